//! Factors of a product in the order in which a tile reads them.

use std::ops::Range;

use super::super::conv::lanes::{LANES, Lanes};
use super::super::conv::products::Rows;
use super::tile::{Left, ROWS, prefetch};

/// Rows of a weight that are asked for before they are needed: each lies on another page, where the processor does not
/// foresee it.
const AHEAD: usize = 4;

/// Columns `first..first + width` of a matrix whose rows are `stride` values apart.
#[derive(Clone, Copy, Debug)]
pub struct Columns<'a> {
    pub values: &'a [f32],
    pub stride: usize,
    pub first: usize,
    pub width: usize,
}

impl<'a> Columns<'a> {
    /// All columns of a matrix.
    pub fn all(values: &'a [f32], width: usize) -> Self {
        Self { values, stride: width, first: 0, width }
    }

    pub fn rows(&self) -> usize {
        self.values.len() / self.stride
    }

    /// Some of the rows.
    pub fn of_rows(self, rows: Range<usize>) -> Self {
        Self { values: &self.values[rows.start * self.stride..rows.end * self.stride], ..self }
    }

    /// Some of the columns.
    pub fn part(self, first: usize, width: usize) -> Self {
        assert!(first + width <= self.width, "columns {first}..{} of {}", first + width, self.width);
        Self { first: self.first + first, width, ..self }
    }

    pub fn row(&self, row: usize) -> &'a [f32] {
        &self.values[row * self.stride + self.first..][..self.width]
    }

    /// At most 16 rows, to be turned.
    pub fn block(&self, first: usize) -> Rows<'a> {
        Rows {
            values: self.values,
            first: first * self.stride + self.first,
            stride: self.stride,
            count: LANES.min(self.rows() - first),
        }
    }
}

/// Values of a left factor of `rows` rows and `depth` terms, with room for what is written over its end.
pub fn left_size(rows: usize, depth: usize) -> usize {
    rows.next_multiple_of(ROWS) * depth + LANES
}

/// A left factor: tile by tile, term by term, 24 rows side by side; rows that are not there are zeros.
#[derive(Clone, Copy)]
pub struct Tiles<'a> {
    pub values: &'a [f32],
    pub rows: usize,
    pub depth: usize,
}

impl<'a> Tiles<'a> {
    pub fn count(&self) -> usize {
        self.rows.div_ceil(ROWS)
    }

    /// Rows of a tile.
    pub fn rows_of(&self, tile: usize) -> usize {
        ROWS.min(self.rows - tile * ROWS)
    }

    pub fn left(&self, tile: usize) -> Left<'a, ROWS> {
        Left { values: self.values, first: tile * ROWS * self.depth, runs: 1, run: 0, terms: self.depth }
    }
}

/// Writes the left factor of a matrix to `out`, as many values as [`left_size`] says.
///
/// # Safety
/// The processor must have the instructions of `L`.
#[inline(always)]
pub unsafe fn turn<L: Lanes>(from: Columns<'_>, out: &mut [f32]) {
    let (rows, depth) = (from.rows(), from.width);
    assert!(left_size(rows, depth) <= out.len(), "no room for a left factor");
    for tile in (0..rows).step_by(ROWS) {
        for start in (0..depth).step_by(LANES) {
            let terms = LANES.min(depth - start);
            let from = from.part(start, terms);
            // SAFETY: as promised by the caller; the last vector that is written ends 8 values behind the left factor.
            unsafe {
                let upper = L::transposed(vectors(from, tile, LANES));
                let lower = L::transposed(vectors(from, tile + LANES, ROWS - LANES));
                let out = out.as_mut_ptr().add(tile * depth + start * ROWS);
                for term in 0..terms {
                    upper[term].store(out.add(term * ROWS));
                    // Half of it lies in the next term, which is written next.
                    lower[term].store(out.add(term * ROWS + LANES));
                }
            }
        }
    }
}

/// At most `count` rows from `first` on, of at most one vector; zeros for those that are not there, and anything behind
/// their end.
///
/// # Safety
/// The processor must have the instructions of `L`.
#[inline(always)]
unsafe fn vectors<L: Lanes>(from: Columns<'_>, first: usize, count: usize) -> [L; LANES] {
    let count = count.min(from.rows().saturating_sub(first));
    let at = first * from.stride + from.first;
    // SAFETY: a vector is read where it ends inside of the values, else what is there is copied.
    unsafe {
        let mut vectors = [L::splat(0.0); LANES];
        if count == LANES && at + (LANES - 1) * from.stride + LANES <= from.values.len() {
            for (i, vector) in vectors.iter_mut().enumerate() {
                *vector = L::load(from.values.as_ptr().add(at + i * from.stride));
            }
        } else if count == ROWS - LANES && at + (count - 1) * from.stride + LANES <= from.values.len() {
            for (i, vector) in vectors.iter_mut().enumerate().take(ROWS - LANES) {
                *vector = L::load(from.values.as_ptr().add(at + i * from.stride));
            }
        } else {
            for (i, vector) in vectors.iter_mut().enumerate().take(count) {
                let mut copy = [0.0; LANES];
                copy[..from.width].copy_from_slice(&from.values[at + i * from.stride..][..from.width]);
                *vector = L::load(copy.as_ptr());
            }
        }
        vectors
    }
}

/// From one panel of a right factor of so many terms to the next: an odd number of cache lines, so that the same term
/// of many panels lies in different sets of the cache.
pub fn panel_size(terms: usize) -> usize {
    (terms | 1) * LANES
}

/// Values of a right factor.
pub fn right_size(terms: usize, columns: usize) -> usize {
    columns.div_ceil(LANES) * panel_size(terms)
}

/// Writes terms `terms` of a right factor `[terms, columns]` as panels of 16 columns, filled up with zeros.
#[inline(always)]
pub fn panels(from: Columns<'_>, terms: Range<usize>, out: &mut [f32]) {
    let size = panel_size(terms.len());
    assert!(right_size(terms.len(), from.width) <= out.len(), "no room for panels");
    let whole = from.width / LANES;
    for (term, row) in terms.clone().enumerate() {
        if row + AHEAD < terms.end {
            from.row(row + AHEAD).chunks(LANES).for_each(|line| prefetch(line.as_ptr()));
        }
        let (vectors, rest) = from.row(row).as_chunks::<LANES>();
        for (panel, vector) in vectors.iter().enumerate() {
            out[panel * size + term * LANES..][..LANES].copy_from_slice(vector);
        }
        if !rest.is_empty() {
            let out = &mut out[whole * size + term * LANES..][..LANES];
            out[..rest.len()].copy_from_slice(rest);
            out[rest.len()..].fill(0.0);
        }
    }
}
