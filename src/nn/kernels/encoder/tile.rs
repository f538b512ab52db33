//! A tile of a product: up to 24 rows of one vector of sums each.
//!
//! A term costs one load of the right factor and a multiply-add per row that reads its left value from memory as it is,
//! so 24 multiply-adds are 25 instructions: the processor need not decode more than two in a cycle to multiply all the
//! time, which leaves room where two threads share a core.

use std::ops::Range;

use super::super::conv::lanes::{LANES, Lanes};
use super::pack::{panel_size, right_size};

/// Rows of a full tile.
pub const ROWS: usize = 24;
/// Rows of smaller tiles are a multiple of it.
pub const STEP: usize = 8;

/// The left factor of a tile: term t of run u of row r is `values[first + u · run + t · TERM + r]`. The step from term to
/// term is part of the type: an address with an index would cost the instruction that reads it a second decoding slot.
#[derive(Clone, Copy)]
pub struct Left<'a, const TERM: usize> {
    pub values: &'a [f32],
    pub first: usize,
    pub runs: usize,
    pub run: usize,
    /// Terms of a run.
    pub terms: usize,
}

/// What the sums begin with.
#[derive(Clone, Copy)]
pub enum Start<'a> {
    Zeros,
    /// A value per column.
    Row(&'a [f32]),
    /// What the result holds.
    Out,
}

/// Some rows of a product: `out[r, c] = start + Σ left(r, n) · right(n, c)`, the terms of all runs in their order.
pub struct Tile<'a, const TERM: usize> {
    /// At most [`ROWS`]; the left factor has values for as many rows as the next multiple of [`STEP`].
    pub rows: usize,
    pub left: Left<'a, TERM>,
    /// Panels of 16 columns, `[terms of all runs, 16]` each, [`panel_size`] apart; behind the last column anything.
    pub right: &'a [f32],
    pub columns: usize,
    pub start: Start<'a>,
    pub out: *mut f32,
    /// From one row of `out` to the next.
    pub stride: usize,
}

impl<const TERM: usize> Tile<'_, TERM> {
    fn fits(&self) -> bool {
        let Left { values, first, runs, run, terms } = self.left;
        let last = runs.saturating_sub(1) * run + terms.saturating_sub(1) * TERM;
        let left = runs * terms == 0 || first + last + self.rows.next_multiple_of(STEP) <= values.len();
        let right = right_size(runs * terms, self.columns) <= self.right.len();
        let start = match self.start {
            Start::Row(row) => row.len() >= self.columns,
            Start::Zeros | Start::Out => true,
        };
        (1..=ROWS).contains(&self.rows) && left && right && start
    }

    /// # Safety
    /// The processor must have the instructions of `L`; `out` must be valid for writes of all rows and columns, which
    /// nobody else reads or writes meanwhile, and hold values with [`Start::Out`].
    #[inline(always)]
    pub unsafe fn run<L: Lanes>(self) {
        assert!(self.fits(), "factors that do not fit their tile");
        let size = panel_size(self.left.runs * self.left.terms);
        for first in (0..self.columns).step_by(LANES) {
            let columns = first..self.columns.min(first + LANES);
            let right = &self.right[first / LANES * size..][..size];
            // SAFETY: as promised by the caller.
            unsafe {
                if columns.len() == LANES && self.rows.is_multiple_of(STEP) {
                    let start = match self.start {
                        Start::Row(row) => Start::Row(&row[columns.clone()]),
                        other => other,
                    };
                    self.whole::<L>(right, start, self.out.add(first), self.stride);
                } else {
                    self.edge::<L>(right, columns);
                }
            }
        }
    }

    /// A vector of columns of which not all are wanted, or a tile of which not all rows are.
    ///
    /// # Safety
    /// As for [`Self::run`].
    #[inline(always)]
    unsafe fn edge<L: Lanes>(&self, right: &[f32], columns: Range<usize>) {
        let mut copy = [0.0; ROWS * LANES];
        let mut row = [0.0; LANES];
        // SAFETY: only rows and columns of the result are read and written there.
        unsafe {
            let start = match self.start {
                Start::Zeros => Start::Zeros,
                Start::Row(values) => {
                    row[..columns.len()].copy_from_slice(&values[columns.clone()]);
                    Start::Row(&row)
                }
                Start::Out => {
                    for r in 0..self.rows {
                        let from = self.out.add(r * self.stride + columns.start);
                        copy[r * LANES..][..columns.len()]
                            .copy_from_slice(std::slice::from_raw_parts(from, columns.len()));
                    }
                    Start::Out
                }
            };
            self.whole::<L>(right, start, copy.as_mut_ptr(), LANES);
            for r in 0..self.rows {
                let to = self.out.add(r * self.stride + columns.start);
                to.copy_from_nonoverlapping(copy[r * LANES..].as_ptr(), columns.len());
            }
        }
    }

    /// A vector of columns for as many rows as the next multiple of [`STEP`].
    ///
    /// # Safety
    /// As for [`Self::run`], `out` being the vector's.
    #[inline(always)]
    unsafe fn whole<L: Lanes>(&self, right: &[f32], start: Start<'_>, out: *mut f32, stride: usize) {
        // SAFETY: the factors fit, as `run` has asserted.
        unsafe {
            match self.rows.div_ceil(STEP) {
                3 if L::MANY => self.sums::<L, 24>(0, right, start, out, stride),
                2 if L::MANY => self.sums::<L, 16>(0, right, start, out, stride),
                1 if L::MANY => self.sums::<L, 8>(0, right, start, out, stride),
                steps => {
                    for row in (0..steps * STEP).step_by(4) {
                        self.sums::<L, 4>(row, right, start, out.add(row * stride), stride);
                    }
                }
            }
        }
    }

    /// `R` rows from `row` on.
    ///
    /// # Safety
    /// As for [`Self::whole`].
    #[inline(always)]
    #[expect(clippy::needless_range_loop, reason = "the compiler keeps only plain indices in registers")]
    unsafe fn sums<L: Lanes, const R: usize>(
        &self,
        row: usize,
        right: &[f32],
        start: Start<'_>,
        out: *mut f32,
        stride: usize,
    ) {
        let Left { values, first, runs, run, terms } = self.left;
        // SAFETY: as promised by the caller.
        unsafe {
            let mut sums = match start {
                Start::Row(row) => [L::load(row.as_ptr()); R],
                Start::Zeros => [L::splat(0.0); R],
                Start::Out => {
                    // Wanted at the end only.
                    for r in 0..R {
                        prefetch(out.add(r * stride));
                    }
                    [L::splat(0.0); R]
                }
            };
            let mut right = right.as_ptr();
            for u in 0..runs {
                let mut left = values.as_ptr().add(first + u * run + row);
                for _ in 0..terms {
                    let factor = L::load(right);
                    for r in 0..R {
                        sums[r] = sums[r].plus_product(L::splat(*left.add(r)), factor);
                    }
                    // The last step may lead out of the slice, where nothing is read.
                    left = left.wrapping_add(TERM);
                    right = right.add(LANES);
                }
            }
            for r in 0..R {
                let to = out.add(r * stride);
                if let Start::Out = start {
                    sums[r] = sums[r].plus_product(L::splat(1.0), L::load(to));
                }
                sums[r].store(to);
            }
        }
    }
}

/// Asks for the cache line of a value, which need not be there.
#[inline(always)]
pub fn prefetch(at: *const f32) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every processor of this architecture has the instruction, which reads nothing that the program sees.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(at.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = at;
}
