//! Sixteen f32 side by side, as the processor at hand has them: AVX-512, AVX2 with FMA, or whatever the compiler makes
//! of an array.
//!
//! Every operation works on each lane alone, so a result does not depend on where in a vector its value lies.

/// Values in one vector of lanes.
pub const LANES: usize = 16;

/// Which instructions the processor at hand has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Processor {
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    Portable,
}

impl Processor {
    pub fn at_hand() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx512f") {
                return Self::Avx512;
            }
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                return Self::Avx2;
            }
        }
        Self::Portable
    }

    /// Whether 32 vectors fit into registers.
    pub fn has_many_registers(self) -> bool {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => true,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => false,
            Self::Portable => false,
        }
    }
}

/// A vector of [`LANES`] values.
///
/// # Safety
/// Every function may be called only where the processor has the instructions that the type stands for; loads and
/// stores need [`LANES`] values behind the pointer.
pub trait Lanes: Copy {
    /// Whether 32 such vectors fit into registers: the large tiles pay then.
    const MANY: bool;

    unsafe fn splat(value: f32) -> Self;
    unsafe fn load(from: *const f32) -> Self;
    unsafe fn store(self, to: *mut f32);
    /// `self + a · b`, rounded once where the processor can.
    unsafe fn plus_product(self, a: Self, b: Self) -> Self;

    /// Rows of a 16 × 16 block become its columns.
    #[inline(always)]
    unsafe fn transposed(rows: [Self; LANES]) -> [Self; LANES] {
        let mut values = [0.0f32; LANES * LANES];
        let mut turned = [0.0f32; LANES * LANES];
        let mut result = rows;
        // SAFETY: each access takes one row of 16 of a 16 × 16 block.
        unsafe {
            for (i, row) in rows.iter().enumerate() {
                row.store(values.as_mut_ptr().add(i * LANES));
            }
            for i in 0..LANES {
                for j in 0..LANES {
                    turned[j * LANES + i] = values[i * LANES + j];
                }
            }
            for (i, row) in result.iter_mut().enumerate() {
                *row = Self::load(turned.as_ptr().add(i * LANES));
            }
        }
        result
    }
}

impl Lanes for [f32; LANES] {
    const MANY: bool = false;

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        [value; LANES]
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller has 16 values there.
        unsafe { from.cast::<Self>().read_unaligned() }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller has room for 16 values there.
        unsafe { to.cast::<Self>().write_unaligned(self) }
    }

    #[inline(always)]
    unsafe fn plus_product(mut self, a: Self, b: Self) -> Self {
        for i in 0..LANES {
            // Without an instruction for it, `mul_add` is a slow call.
            self[i] = if cfg!(any(target_arch = "aarch64", target_feature = "fma")) {
                a[i].mul_add(b[i], self[i])
            } else {
                self[i] + a[i] * b[i]
            };
        }
        self
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::{LANES, Lanes};

    impl Lanes for __m512 {
        const MANY: bool = true;

        #[inline(always)]
        unsafe fn splat(value: f32) -> Self {
            // SAFETY: the caller's processor has AVX-512.
            unsafe { _mm512_set1_ps(value) }
        }

        #[inline(always)]
        unsafe fn load(from: *const f32) -> Self {
            // SAFETY: as above, and the caller has 16 values there.
            unsafe { _mm512_loadu_ps(from) }
        }

        #[inline(always)]
        unsafe fn store(self, to: *mut f32) {
            // SAFETY: as above, and the caller has room for 16 values there.
            unsafe { _mm512_storeu_ps(to, self) }
        }

        #[inline(always)]
        unsafe fn plus_product(self, a: Self, b: Self) -> Self {
            // SAFETY: the caller's processor has AVX-512.
            unsafe { _mm512_fmadd_ps(a, b, self) }
        }

        #[inline(always)]
        unsafe fn transposed(rows: [Self; LANES]) -> [Self; LANES] {
            let (mut a, mut b) = (rows, rows);
            // SAFETY: the caller's processor has AVX-512. Pairs, then fours of values inside each quarter of a vector,
            // then the quarters themselves.
            unsafe {
                for i in 0..8 {
                    a[2 * i] = _mm512_unpacklo_ps(rows[2 * i], rows[2 * i + 1]);
                    a[2 * i + 1] = _mm512_unpackhi_ps(rows[2 * i], rows[2 * i + 1]);
                }
                for i in 0..4 {
                    let (p, q, r, s) = (a[4 * i], a[4 * i + 1], a[4 * i + 2], a[4 * i + 3]);
                    b[4 * i] = _mm512_shuffle_ps::<0x44>(p, r);
                    b[4 * i + 1] = _mm512_shuffle_ps::<0xee>(p, r);
                    b[4 * i + 2] = _mm512_shuffle_ps::<0x44>(q, s);
                    b[4 * i + 3] = _mm512_shuffle_ps::<0xee>(q, s);
                }
                for i in 0..4 {
                    a[i] = _mm512_shuffle_f32x4::<0x88>(b[i], b[4 + i]);
                    a[4 + i] = _mm512_shuffle_f32x4::<0xdd>(b[i], b[4 + i]);
                    a[8 + i] = _mm512_shuffle_f32x4::<0x88>(b[8 + i], b[12 + i]);
                    a[12 + i] = _mm512_shuffle_f32x4::<0xdd>(b[8 + i], b[12 + i]);
                }
                for i in 0..4 {
                    b[i] = _mm512_shuffle_f32x4::<0x88>(a[i], a[8 + i]);
                    b[8 + i] = _mm512_shuffle_f32x4::<0xdd>(a[i], a[8 + i]);
                    b[4 + i] = _mm512_shuffle_f32x4::<0x88>(a[4 + i], a[12 + i]);
                    b[12 + i] = _mm512_shuffle_f32x4::<0xdd>(a[4 + i], a[12 + i]);
                }
            }
            b
        }
    }

    /// Two vectors of eight.
    #[derive(Clone, Copy)]
    pub struct Pair(__m256, __m256);

    impl Lanes for Pair {
        const MANY: bool = false;

        #[inline(always)]
        unsafe fn splat(value: f32) -> Self {
            // SAFETY: the caller's processor has AVX2.
            unsafe { Self(_mm256_set1_ps(value), _mm256_set1_ps(value)) }
        }

        #[inline(always)]
        unsafe fn load(from: *const f32) -> Self {
            // SAFETY: as above, and the caller has 16 values there.
            unsafe { Self(_mm256_loadu_ps(from), _mm256_loadu_ps(from.add(8))) }
        }

        #[inline(always)]
        unsafe fn store(self, to: *mut f32) {
            // SAFETY: as above, and the caller has room for 16 values there.
            unsafe {
                _mm256_storeu_ps(to, self.0);
                _mm256_storeu_ps(to.add(8), self.1);
            }
        }

        #[inline(always)]
        unsafe fn plus_product(self, a: Self, b: Self) -> Self {
            // SAFETY: the caller's processor has FMA.
            unsafe { Self(_mm256_fmadd_ps(a.0, b.0, self.0), _mm256_fmadd_ps(a.1, b.1, self.1)) }
        }
    }
}

#[cfg(target_arch = "x86_64")]
pub use std::arch::x86_64::__m512 as Avx512;
#[cfg(target_arch = "x86_64")]
pub use x86::Pair as Avx2;
