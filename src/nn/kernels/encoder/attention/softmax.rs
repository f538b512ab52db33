//! The softmax of a vector of queries, whose scores stand in rows of [`QUERIES`], a row per key, in units of ln 2.

use super::super::super::attention::softmax::{fused, greater, power_of_two};
use super::super::super::conv::lanes::{LANES, Lanes};
use super::head::QUERIES;

/// What is added to the scores: a factor for each query, and the value that key j has for the first query at the given
/// place less j.
pub type Bias<'a> = Option<(&'a [f32; LANES], &'a [f32], usize)>;

/// The queries `vector` of each key's row.
#[inline(always)]
fn rows(scores: &mut [f32], vector: usize) -> impl Iterator<Item = &mut [f32; LANES]> {
    scores.chunks_exact_mut(QUERIES).map(move |row| &mut row.as_chunks_mut::<LANES>().0[vector])
}

/// Adds the bias; the greatest score of each query.
#[inline(always)]
pub fn greatest<L: Lanes>(scores: &mut [f32], vector: usize, bias: Bias<'_>) -> [f32; LANES] {
    let mut most = [f32::NEG_INFINITY; LANES];
    if let Some((gates, table, place)) = bias {
        for (key, row) in rows(scores, vector).enumerate() {
            let values = &table[place - key..][..LANES];
            for i in 0..LANES {
                row[i] = fused::<L>(gates[i], values[i], row[i]);
                most[i] = greater(row[i], most[i]);
            }
        }
    } else {
        for row in rows(scores, vector) {
            for i in 0..LANES {
                most[i] = greater(row[i], most[i]);
            }
        }
    }
    most
}

/// Scores become their powers of two over that of the query's greatest; the sums of each query.
#[inline(always)]
pub fn powers<L: Lanes>(scores: &mut [f32], vector: usize, most: &[f32; LANES]) -> [f32; LANES] {
    let mut sums = [0.0; LANES];
    for row in rows(scores, vector) {
        for i in 0..LANES {
            row[i] = power_of_two::<L>(row[i] - most[i]);
            sums[i] += row[i];
        }
    }
    sums
}
