//! One head of one sequence.

use super::super::super::attention::cut;
use super::super::super::conv::lanes::{LANES, Lanes};
use super::super::super::conv::products::Work;
use super::super::super::conv::scratch::Room;
use super::super::pack::{Columns, Tiles, left_size, panel_size, panels, right_size, turn};
use super::super::tile::{Left, ROWS, STEP, Start, Tile};
use super::position::Gate;
use super::softmax::{greatest, powers};

/// Queries whose scores are computed together: two tiles of rows, three vectors of columns.
pub const QUERIES: usize = 2 * ROWS;

/// What one head's result is made of.
pub struct Head<'a> {
    /// Rows for all tokens.
    pub q: Columns<'a>,
    /// Rows for the tokens that exist, as in `v`.
    pub k: Columns<'a>,
    pub v: Columns<'a>,
    /// Of the products of queries and keys, in units of ln 2.
    pub scale: f32,
    pub gate: Option<Gate<'a>>,
    /// Where the head's columns of the sequence's rows begin.
    pub out: *mut f32,
    /// From one row to the next.
    pub stride: usize,
}

impl<'a> Head<'a> {
    /// The work, with memory for the while.
    pub fn with(self, room: &'a mut Room) -> HeadWork<'a> {
        HeadWork { head: self, room }
    }
}

pub struct HeadWork<'a> {
    head: Head<'a>,
    room: &'a mut Room,
}

impl Work for HeadWork<'_> {
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let Head { q, k, v, scale, gate, out, stride } = self.head;
        let (tokens, keys, width) = (q.rows(), k.rows(), q.width);
        let padded = width.next_multiple_of(LANES);
        let sizes = [
            left_size(keys, width),
            right_size(keys, width),
            right_size(width, QUERIES),
            keys.next_multiple_of(STEP) * QUERIES,
            QUERIES * padded,
            gate.map_or(0, |gate| gate.size()),
        ];
        let [turned, values, queries, scores, sums, table] = cut(self.room.take(sizes.iter().sum()), sizes);
        // SAFETY: the caller's processor has the instructions, as in all that follows.
        unsafe { turn::<L>(k, turned) };
        panels(v, 0..keys, values);
        if let Some(gate) = gate {
            gate.reversed(table);
        }
        let turned = Tiles { values: turned, rows: keys, depth: width };
        for first in (0..tokens).step_by(QUERIES) {
            let count = QUERIES.min(tokens - first);
            let vectors = count.div_ceil(LANES);
            let mut gates = [[0.0; LANES]; QUERIES / LANES];
            for (vector, gates) in gates.iter_mut().enumerate().take(vectors) {
                let queries = &mut queries[vector * panel_size(width)..][..width * LANES];
                // SAFETY: as above.
                unsafe { q.block(first + vector * LANES).turn::<L>(width, queries, LANES) };
                if let Some(gate) = gate {
                    *gates = gate.of_queries::<L>(queries);
                }
                queries.iter_mut().for_each(|value| *value *= scale);
            }
            for tile in 0..turned.count() {
                let tile_out = &mut scores[tile * ROWS * QUERIES..];
                let rows = turned.rows_of(tile).next_multiple_of(STEP);
                assert!(rows * QUERIES <= tile_out.len(), "no room for scores");
                // SAFETY: as above, and there is room for the tile's rows.
                unsafe {
                    Tile {
                        rows,
                        left: turned.left(tile),
                        right: queries,
                        columns: vectors * LANES,
                        start: Start::Zeros,
                        out: tile_out.as_mut_ptr(),
                        stride: QUERIES,
                    }
                    .run::<L>();
                }
            }
            let mut inverses = [[0.0; LANES]; QUERIES / LANES];
            for (vector, inverse) in inverses.iter_mut().enumerate().take(vectors) {
                let scores = &mut scores[..keys * QUERIES];
                let place = tokens - 1 + first + vector * LANES;
                let bias = gate.map(|_| (&gates[vector], &*table, place));
                let most = greatest::<L>(scores, vector, bias);
                *inverse = powers::<L>(scores, vector, &most).map(|sum| 1.0 / sum);
            }
            for row in (0..count).step_by(ROWS) {
                let sums = &mut sums[row * padded..];
                let rows = ROWS.min((count - row).next_multiple_of(STEP));
                assert!(rows * padded <= sums.len(), "no room for sums");
                // SAFETY: as above, and there is room for the tile's rows.
                unsafe {
                    Tile {
                        rows,
                        left: Left::<QUERIES> { values: scores, first: row, runs: 1, run: 0, terms: keys },
                        right: values,
                        columns: padded,
                        start: Start::Zeros,
                        out: sums.as_mut_ptr(),
                        stride: padded,
                    }
                    .run::<L>();
                }
            }
            for (query, sums) in sums.chunks_exact(padded).enumerate().take(count) {
                let inverse = inverses[query / LANES][query % LANES];
                // SAFETY: these columns of the row are the head's alone.
                let out = unsafe {
                    let row = out.add((first + query) * stride);
                    std::slice::from_raw_parts_mut(row.cast::<std::mem::MaybeUninit<f32>>(), width)
                };
                for (out, sum) in out.iter_mut().zip(sums) {
                    out.write(sum * inverse);
                }
            }
        }
    }
}
