//! Products of a few rows with a matrix that stays in the cache: too small and too often for a general product, which
//! would copy both factors first.

use super::super::conv::lanes::{LANES, Lanes};
use super::super::conv::products::Work;

/// A factor read value by value.
#[derive(Clone, Copy)]
pub enum Left<'a> {
    /// A row for each row of the result.
    Straight(Rows<'a>),
    /// A row for each term.
    Turned(Rows<'a>),
}

/// Rows of vectors: row n begins at `first + n · row`.
#[derive(Clone, Copy)]
pub struct Rows<'a> {
    pub values: &'a [f32],
    pub first: usize,
    pub row: usize,
}

/// Rows of vectors to be written.
pub struct RowsMut<'a> {
    pub values: &'a mut [f32],
    pub first: usize,
    pub row: usize,
}

/// What the sums begin with.
#[derive(Clone, Copy)]
pub enum Start<'a> {
    Zeros,
    /// What `out` holds.
    Out,
    Of(Rows<'a>),
}

/// `out[r] = start[r] + Σₜ left[r, t] · right[t]` for `rows` rows of `vectors` vectors, all terms in their order.
pub struct Product<'a> {
    pub rows: usize,
    pub vectors: usize,
    pub terms: usize,
    pub left: Left<'a>,
    pub right: Rows<'a>,
    pub start: Start<'a>,
    pub out: RowsMut<'a>,
}

/// Whether `rows` rows of `width` values, `row` apart from `first` on, lie inside of `count` values.
fn fit(count: usize, first: usize, row: usize, rows: usize, width: usize) -> bool {
    rows == 0 || first + (rows - 1) * row + width <= count
}

impl Work for Product<'_> {
    #[inline(always)]
    unsafe fn run<L: Lanes>(mut self) {
        let width = self.vectors * LANES;
        let fits = |of: &Rows<'_>, rows, width| fit(of.values.len(), of.first, of.row, rows, width);
        let left = match &self.left {
            Left::Straight(left) => fits(left, self.rows, self.terms),
            Left::Turned(left) => fits(left, self.terms, self.rows),
        };
        let start = match &self.start {
            Start::Of(start) => fits(start, self.rows, width),
            Start::Zeros | Start::Out => true,
        };
        let out = fit(self.out.values.len(), self.out.first, self.out.row, self.rows, width);
        let right = fits(&self.right, self.terms, width);
        assert!(left && right && out && start, "a product's matrices that do not fit");
        let straight = matches!(self.left, Left::Straight(_));
        // SAFETY: the caller's processor has the instructions; all rows lie inside of their slices, as asserted.
        unsafe {
            let mut vector = 0;
            while vector < self.vectors {
                vector += match self.vectors - vector {
                    2.. if L::MANY && straight => self.columns::<L, 2, true>(vector),
                    _ if straight => self.columns::<L, 1, true>(vector),
                    3 | 5.. if L::MANY => self.columns::<L, 3, false>(vector),
                    2.. if L::MANY => self.columns::<L, 2, false>(vector),
                    _ => self.columns::<L, 1, false>(vector),
                };
            }
        }
    }
}

impl Product<'_> {
    /// All rows of `V` vectors from `vector` on; returns `V`.
    ///
    /// # Safety
    /// The processor must have the instructions of `L`, all rows lie inside of their slices, and `S` says whether the left
    /// factor is straight.
    #[inline(always)]
    unsafe fn columns<L: Lanes, const V: usize, const S: bool>(&mut self, vector: usize) -> usize {
        let mut row = 0;
        // SAFETY: as promised by the caller.
        unsafe {
            while row < self.rows {
                row += match self.rows - row {
                    16.. if L::MANY && V == 1 => self.tile::<L, 16, V, S>(row, vector),
                    8.. if L::MANY => self.tile::<L, 8, V, S>(row, vector),
                    4.. => self.tile::<L, 4, V, S>(row, vector),
                    _ => self.tile::<L, 1, V, S>(row, vector),
                };
            }
        }
        V
    }

    /// `R` rows of `V` vectors in registers; returns `R`.
    ///
    /// # Safety
    /// As for [`Self::columns`].
    #[inline(always)]
    #[expect(clippy::needless_range_loop, reason = "the compiler keeps only plain indices in registers")]
    unsafe fn tile<L: Lanes, const R: usize, const V: usize, const S: bool>(
        &mut self,
        row: usize,
        vector: usize,
    ) -> usize {
        let at = vector * LANES;
        // SAFETY: as promised by the caller.
        unsafe {
            let out = self.out.values.as_mut_ptr().add(self.out.first + row * self.out.row + at);
            let mut sums = [[L::splat(0.0); V]; R];
            let start = match self.start {
                Start::Zeros => None,
                Start::Out => Some((out.cast_const(), self.out.row)),
                Start::Of(of) => Some((of.values.as_ptr().add(of.first + row * of.row + at), of.row)),
            };
            if let Some((start, stride)) = start {
                for r in 0..R {
                    for v in 0..V {
                        sums[r][v] = L::load(start.add(r * stride + v * LANES));
                    }
                }
            }
            let right = self.right.values.as_ptr().add(self.right.first + at);
            match self.left {
                Left::Straight(left) if S => {
                    let rows = left.values.as_ptr().add(left.first + row * left.row);
                    let mut term = 0;
                    // Four terms for each time that a row's place is computed.
                    while L::MANY && term + 4 <= self.terms {
                        add_straight::<L, R, V, 4>(
                            &mut sums,
                            rows.add(term),
                            left.row,
                            right.add(term * self.right.row),
                            self.right.row,
                        );
                        term += 4;
                    }
                    while term < self.terms {
                        add_straight::<L, R, V, 1>(
                            &mut sums,
                            rows.add(term),
                            left.row,
                            right.add(term * self.right.row),
                            self.right.row,
                        );
                        term += 1;
                    }
                }
                Left::Turned(left) if !S => {
                    let mut factors = left.values.as_ptr().add(left.first + row);
                    let mut right = right;
                    for _ in 0..self.terms {
                        let mut values = [L::splat(0.0); V];
                        for v in 0..V {
                            values[v] = L::load(right.add(v * LANES));
                        }
                        for r in 0..R {
                            let factor = L::splat(*factors.add(r));
                            for v in 0..V {
                                sums[r][v] = sums[r][v].plus_product(factor, values[v]);
                            }
                        }
                        // The last steps lead out of the slices, where nothing is read.
                        factors = factors.wrapping_add(left.row);
                        right = right.wrapping_add(self.right.row);
                    }
                }
                Left::Straight(_) | Left::Turned(_) => unreachable!("the caller says which it is"),
            }
            for r in 0..R {
                for v in 0..V {
                    sums[r][v].store(out.add(r * self.out.row + v * LANES));
                }
            }
        }
        R
    }
}

/// Adds `T` terms to `R` rows of `V` vectors.
///
/// # Safety
/// The processor must have the instructions of `L`; there are `R` rows of `T` values, `row` apart, and `T` rows of `V`
/// vectors, `right_row` apart.
#[inline(always)]
#[expect(clippy::needless_range_loop, reason = "the compiler keeps only plain indices in registers")]
unsafe fn add_straight<L: Lanes, const R: usize, const V: usize, const T: usize>(
    sums: &mut [[L; V]; R],
    rows: *const f32,
    row: usize,
    right: *const f32,
    right_row: usize,
) {
    // SAFETY: as promised by the caller.
    unsafe {
        let mut values = [[L::splat(0.0); V]; T];
        for t in 0..T {
            for v in 0..V {
                values[t][v] = L::load(right.add(t * right_row + v * LANES));
            }
        }
        for r in 0..R {
            let factors = rows.add(r * row);
            for t in 0..T {
                let factor = L::splat(*factors.add(t));
                for v in 0..V {
                    sums[r][v] = sums[r][v].plus_product(factor, values[t][v]);
                }
            }
        }
    }
}
