//! Linear layers, with what follows them.

use rayon::prelude::*;

use super::super::attention::{cut, with_room};
use super::super::conv::lanes::{Lanes, Processor};
use super::super::conv::products::{Work, run};
use super::super::conv::scratch::Room;
use super::gelu::gelu;
use super::pack::{Columns, Tiles, left_size, panels, right_size, turn};
use super::tile::{ROWS, Start, Tile};
use super::written;

/// Terms between two visits to a result: a left tile of them is 36 kB.
const TERMS: usize = 384;
/// Columns of a part: the right factor's panels of [`TERMS`] terms, 590 kB, stay in a core's second cache.
const COLUMNS: usize = 384;
/// Tiles of a part: enough of them for each time that the panels are packed.
const TILES: usize = 40;

/// What is done to a layer's result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    Identity,
    Gelu,
}

/// activation(`x` `[rows, inputs]` · `weight` `[inputs, outputs]` + `bias` `[outputs]`).
pub fn linear(x: &[f32], weight: &[f32], bias: &[f32], activation: Activation) -> Vec<f32> {
    linear_on(Processor::at_hand(), x, weight, bias, activation)
}

pub fn linear_on(
    processor: Processor,
    x: &[f32],
    weight: &[f32],
    bias: &[f32],
    activation: Activation,
) -> Vec<f32> {
    let outputs = bias.len();
    assert!(outputs > 0 && weight.len().is_multiple_of(outputs), "a weight that does not fit its bias");
    let inputs = weight.len() / outputs;
    assert!(inputs > 0 && x.len().is_multiple_of(inputs), "rows of another width than the layer's");
    let (x, weight) = (Columns::all(x, inputs), Columns::all(weight, outputs));
    let rows = x.rows();
    let tiles = rows.div_ceil(ROWS);
    let cuts = tiles.div_ceil(TILES).max(1);
    let parts: Vec<_> = (0..outputs)
        .step_by(COLUMNS)
        .flat_map(|first| (0..cuts).map(move |cut| (first, cut * tiles / cuts..(cut + 1) * tiles / cuts)))
        .collect();
    // SAFETY: the parts are all columns of all tiles.
    unsafe {
        written(rows * outputs, |out| {
            parts.into_par_iter().for_each(|(first, tiles)| {
                let rows = tiles.start * ROWS..rows.min(tiles.end * ROWS);
                let width = COLUMNS.min(outputs - first);
                with_room(|room| {
                    let part = Part {
                        x: x.of_rows(rows.clone()),
                        weight: weight.part(first, width),
                        bias: &bias[first..][..width],
                        activation,
                        room,
                        out: out.at(rows.start * outputs + first),
                        stride: outputs,
                    };
                    run(processor, part);
                });
            });
        })
    }
}

/// Some columns of some rows of a layer's result.
struct Part<'a> {
    /// The rows.
    x: Columns<'a>,
    /// The columns.
    weight: Columns<'a>,
    bias: &'a [f32],
    activation: Activation,
    /// For the while.
    room: &'a mut Room,
    out: *mut f32,
    /// From one row of the result to the next.
    stride: usize,
}

impl Work for Part<'_> {
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let Self { x, weight, bias, activation, room, out, stride } = self;
        let (rows, depth, width) = (x.rows(), x.width, weight.width);
        let most = TERMS.min(depth);
        let sizes = [left_size(ROWS, most), right_size(most, width)];
        let [left, right] = cut(room.take(sizes.iter().sum()), sizes);
        for first in (0..depth).step_by(TERMS) {
            let terms = first..depth.min(first + TERMS);
            let start = if first == 0 { Start::Row(bias) } else { Start::Out };
            panels(weight, terms.clone(), right);
            for row in (0..rows).step_by(ROWS) {
                let count = ROWS.min(rows - row);
                let x = x.of_rows(row..row + count).part(first, terms.len());
                // SAFETY: the caller's processor has the instructions; this part of the result is nobody else's, inside
                // of it, and written before it is read.
                unsafe {
                    turn::<L>(x, left);
                    let out = out.add(row * stride);
                    Tile {
                        rows: count,
                        left: Tiles { values: left, rows: count, depth: terms.len() }.left(0),
                        right,
                        columns: width,
                        start,
                        out,
                        stride,
                    }
                    .run::<L>();
                    if terms.end == depth && activation == Activation::Gelu {
                        for row in 0..count {
                            let row = std::slice::from_raw_parts_mut(out.add(row * stride), width);
                            row.iter_mut().for_each(|value| *value = gelu::<L>(*value));
                        }
                    }
                }
            }
        }
    }
}
