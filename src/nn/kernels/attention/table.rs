//! The table of relative positions in the order in which a block of rows meets it.

use super::super::conv::lanes::LANES;
use super::softmax::SKEW;
use super::{AttentionShape, odd_vectors};

/// Distances i - j in falling order, column u that of `highest` - u. The block of rows from i on begins at column
/// `base` - i, a whole number of vectors where i is one; its row r begins `SKEW` - r further.
pub struct Distances {
    pub base: usize,
    /// Columns, an odd number of vectors.
    pub count: usize,
    highest: usize,
    length: usize,
    width: usize,
    reach: usize,
}

impl Distances {
    pub fn new(shape: &AttentionShape) -> Self {
        let base = shape.length.saturating_sub(1).next_multiple_of(LANES);
        Self {
            base,
            count: odd_vectors(base + shape.stride() + LANES),
            highest: base + SKEW,
            length: shape.length,
            width: shape.width,
            reach: shape.reach,
        }
    }

    /// The table's row for a column.
    fn row(&self, column: usize) -> usize {
        // distance + reach, clamped to 0..=2 · reach
        (self.highest + self.reach).saturating_sub(column).min(2 * self.reach)
    }

    /// Columns whose distance two positions can have.
    fn met(&self) -> std::ops::Range<usize> {
        (self.highest + 1).saturating_sub(self.length)..self.highest + self.length
    }

    /// Writes the columns' rows of `table` `[2 · reach + 1, width]` as columns.
    pub fn turn(&self, table: &[f32], out: &mut [f32]) {
        for (channel, out) in out.chunks_exact_mut(self.count).enumerate() {
            for (column, out) in out.iter_mut().enumerate() {
                *out = table[self.row(column) * self.width + channel];
            }
        }
    }

    /// Writes the columns' rows of `table` as rows, each filled up with zeros to whole vectors.
    pub fn pack(&self, table: &[f32], out: &mut [f32]) {
        let padded = self.width.next_multiple_of(LANES);
        for (column, out) in out.chunks_exact_mut(padded).enumerate() {
            out[..self.width].copy_from_slice(&table[self.row(column) * self.width..][..self.width]);
            out[self.width..].fill(0.0);
        }
    }

    /// Rows of the table that are met.
    pub fn rows(&self) -> std::ops::Range<usize> {
        let met = self.met();
        if met.is_empty() { 0..0 } else { self.row(met.end - 1)..self.row(met.start) + 1 }
    }

    /// The gradient at [`Self::rows`] of the table, from that at the columns as [`Self::turn`] lays them, times `scale`.
    pub fn fold(&self, columns: &[f32], scale: f32) -> Vec<f32> {
        let rows = self.rows();
        let mut sums = vec![0.0; rows.len() * self.width];
        for (channel, columns) in columns.chunks_exact(self.count).enumerate() {
            for column in self.met() {
                sums[(self.row(column) - rows.start) * self.width + channel] += columns[column] * scale;
            }
        }
        sums
    }
}

/// 1 / √width.
pub fn scale(width: usize) -> f32 {
    1.0 / (width as f32).sqrt()
}

/// Turns products of queries and keys into logits in units of ln 2: log₂ e / √width.
pub fn logit_scale(width: usize) -> f32 {
    (std::f64::consts::LOG2_E / (width as f64).sqrt()) as f32
}
