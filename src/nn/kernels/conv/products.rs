//! The two inner products that every convolution here consists of, and turned blocks.
//!
//! Both hold a tile of sums in registers and go through all terms of one sum in one order: 24 sums of 16 values, with 11
//! or 10 loads for 24 multiply-adds, where the processor has 32 wide registers; 8 or 6 where it has 16.

#[cfg(target_arch = "x86_64")]
use super::lanes::{Avx2, Avx512};
use super::lanes::{LANES, Lanes, Processor};

/// Something to do with whatever lanes the processor has.
pub trait Work {
    /// # Safety
    /// The processor must have the instructions of `L`.
    unsafe fn run<L: Lanes>(self);
}

pub fn run(processor: Processor, work: impl Work) {
    match processor {
        // SAFETY: the instructions are there. Asking is a load: the answer is kept.
        #[cfg(target_arch = "x86_64")]
        Processor::Avx512 if is_x86_feature_detected!("avx512f") => unsafe { run_avx512(work) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Processor::Avx2 if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") => unsafe {
            run_avx2(work)
        },
        // SAFETY: arrays need no instructions of their own.
        _ => unsafe { work.run::<[f32; LANES]>() },
    }
}

/// Runs plain code as compiled for the widest vectors at hand; it must be inlined to gain, and its bits stay the same.
pub fn with_vectors<R>(work: impl FnOnce() -> R) -> R {
    struct Plain<'a, F, R>(F, &'a mut Option<R>);
    impl<F: FnOnce() -> R, R> Work for Plain<'_, F, R> {
        #[inline(always)]
        unsafe fn run<L: Lanes>(self) {
            *self.1 = Some(self.0());
        }
    }
    let mut result = None;
    run(Processor::at_hand(), Plain(work, &mut result));
    match result {
        Some(result) => result,
        None => unreachable!("`run` runs its work"),
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn run_avx512(work: impl Work) {
    // SAFETY: this function is entered only with AVX-512.
    unsafe { work.run::<Avx512>() }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn run_avx2(work: impl Work) {
    // SAFETY: this function is entered only with AVX2 and FMA.
    unsafe { work.run::<Avx2>() }
}

/// One term of a sum of [`tile`]: where its weights stand in the panel, and how far its source is from the vector's.
#[derive(Clone, Copy, Debug)]
pub struct Term {
    pub weight: u32,
    pub source: u32,
}

/// Rows of a tile of [`tile`].
pub const TILE_ROWS: usize = 8;

/// `R` rows of `V` vectors of sums over `terms`: row r, vector v is start\[r] + Σ panel\[weight + r] · source\[v]\[source..].
///
/// # Safety
/// `panel` holds `R` values from every term's weight on, each of `source` holds [`LANES`] values from every term's source
/// on, `start` holds `R` values, and each of `out` has room for [`LANES`] values every `row` values, `R` times.
#[inline(always)]
#[expect(clippy::needless_range_loop, reason = "the compiler keeps only plain indices in registers")]
pub unsafe fn tile<L: Lanes, const R: usize, const V: usize>(
    panel: *const f32,
    terms: &[Term],
    source: [*const f32; V],
    start: *const f32,
    out: [*mut f32; V],
    row: usize,
) {
    // SAFETY: as promised by the caller.
    unsafe {
        let mut sums = [[L::splat(0.0); V]; R];
        for (r, sums) in sums.iter_mut().enumerate() {
            *sums = [L::splat(*start.add(r)); V];
        }
        for term in terms {
            let (weights, at) = (panel.add(term.weight as usize), term.source as usize);
            let mut values = [L::splat(0.0); V];
            for v in 0..V {
                values[v] = L::load(source[v].add(at));
            }
            for r in 0..R {
                let weight = L::splat(*weights.add(r));
                for v in 0..V {
                    sums[r][v] = sums[r][v].plus_product(weight, values[v]);
                }
            }
        }
        for r in 0..R {
            for v in 0..V {
                sums[r][v].store(out[v].add(r * row));
            }
        }
    }
}

/// Adds to `C` rows of `V` vectors of sums: row c of `sums` += Σₚ source\[c]\[at\[p]] · panel\[p], a row of `V` vectors.
///
/// # Safety
/// `panel` holds a row for each of `at`, each of `source` holds a value at every `at`, `sums` holds `C` rows.
#[inline(always)]
#[expect(clippy::needless_range_loop, reason = "the compiler keeps only plain indices in registers")]
pub unsafe fn outer<L: Lanes, const C: usize, const V: usize>(
    panel: *const f32,
    at: &[u32],
    source: [*const f32; C],
    sums: *mut f32,
) {
    // SAFETY: as promised by the caller.
    unsafe {
        let mut held = [[L::splat(0.0); V]; C];
        for c in 0..C {
            for v in 0..V {
                held[c][v] = L::load(sums.add((c * V + v) * LANES));
            }
        }
        let mut row = panel;
        for at in at {
            let mut values = [L::splat(0.0); V];
            for v in 0..V {
                values[v] = L::load(row.add(v * LANES));
            }
            row = row.add(V * LANES);
            for c in 0..C {
                let value = L::splat(*source[c].add(*at as usize));
                for v in 0..V {
                    held[c][v] = held[c][v].plus_product(value, values[v]);
                }
            }
        }
        for c in 0..C {
            for v in 0..V {
                held[c][v].store(sums.add((c * V + v) * LANES));
            }
        }
    }
}

/// Rows of a matrix that begin at `first` and lie `stride` apart, at most [`LANES`] of them.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    pub values: &'a [f32],
    pub first: usize,
    pub stride: usize,
    pub count: usize,
}

impl Rows<'_> {
    /// Writes the columns as rows of [`LANES`] values, `stride` apart in `out`; rows that are not there count as zeros.
    ///
    /// # Safety
    /// The processor must have the instructions of `L`.
    #[inline(always)]
    pub unsafe fn turn<L: Lanes>(self, columns: usize, out: &mut [f32], stride: usize) {
        assert!(columns == 0 || (columns - 1) * stride + LANES <= out.len(), "no room for turned rows");
        for start in (0..columns).step_by(LANES) {
            let columns = LANES.min(columns - start);
            let first = self.first + start;
            let mut copy = [0.0; LANES * LANES];
            // SAFETY: a row of 16 ends inside of what it is read from, as the condition says, or is one of 16 in the
            // copy; what is written ends where the assertion says at the latest.
            unsafe {
                let mut rows = [L::splat(0.0); LANES];
                if self.count == LANES && first + (LANES - 1) * self.stride + LANES <= self.values.len() {
                    for (i, row) in rows.iter_mut().enumerate() {
                        *row = L::load(self.values.as_ptr().add(first + i * self.stride));
                    }
                } else {
                    for (i, row) in rows.iter_mut().enumerate() {
                        let copy = &mut copy[i * LANES..][..LANES];
                        if i < self.count {
                            let values = &self.values[first + i * self.stride..][..columns];
                            copy[..columns].copy_from_slice(values);
                        }
                        *row = L::load(copy.as_ptr());
                    }
                }
                let turned = L::transposed(rows);
                for (j, turned) in turned.iter().enumerate().take(columns) {
                    turned.store(out.as_mut_ptr().add((start + j) * stride));
                }
            }
        }
    }
}
