//! The softmax of a block of rows, in powers of two, and its gradient.

use super::super::conv::lanes::{LANES, Lanes};
use super::super::conv::products::Work;

/// 1.5 · 2²³: adding it rounds to an integer, which then stands in the lowest bits.
const ROUNDING: f32 = 12_582_912.0;
/// 2ˣ on [-½, ½] with a relative error of at most 7.5e-8 (Remez), from the highest power down.
const POWERS: [f32; 6] =
    [0.001_327_647_2, 0.009_675_541, 0.055_507_133, 0.240_221_2, 0.693_146_97, 1.000_000_1];

/// `a · b + c`, rounded once where that is an instruction.
#[inline(always)]
pub fn fused<L: Lanes>(a: f32, b: f32, c: f32) -> f32 {
    // Whoever has that many vector registers has the instruction; without it `mul_add` is a slow call.
    if L::MANY { a.mul_add(b, c) } else { a * b + c }
}

/// 2ˣ for x ≤ 0; below 2⁻¹²⁶ it is 0, of NaN it is NaN.
#[inline(always)]
pub fn power_of_two<L: Lanes>(x: f32) -> f32 {
    // At -127 the exponent's bits become those of 0. Not `max`, which would turn a NaN into -127.
    let x = if x < -127.0 { -127.0 } else { x };
    let rounded = x + ROUNDING;
    let fraction = x - (rounded - ROUNDING);
    let mut power = POWERS[0];
    for factor in &POWERS[1..] {
        power = fused::<L>(power, fraction, *factor);
    }
    let scale = f32::from_bits((rounded.to_bits() << 23).wrapping_add(127 << 23));
    power * scale
}

/// All lanes in one, halves onto halves.
#[inline(never)]
fn folded(mut lanes: [f32; LANES], onto: impl Fn(f32, f32) -> f32) -> f32 {
    for half in [8, 4, 2, 1] {
        for i in 0..half {
            lanes[i] = onto(lanes[i], lanes[i + half]);
        }
    }
    lanes[0]
}

#[inline(always)]
pub fn greater(a: f32, b: f32) -> f32 {
    if a > b { a } else { b }
}

/// Logits in units of ln 2 become their powers of two over that of the row's greatest; the sums are left to be divided by.
pub struct Exponentials<'a> {
    /// Rows of `stride` values, a whole number of vectors. Only the first `length` count, the others become 0.
    pub rows: &'a mut [f32],
    pub stride: usize,
    pub length: usize,
    /// 1 / the sum of each row, to be written.
    pub inverses: &'a mut [f32],
}

impl Work for Exponentials<'_> {
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        // Row after row twice, so that no row waits for the fold of its own lanes.
        let (rows, stride, length) = (self.rows, self.stride, self.length);
        for (row, greatest) in rows.chunks_exact_mut(stride).zip(&mut *self.inverses) {
            row[length..].fill(f32::NEG_INFINITY);
            let mut lanes = [f32::NEG_INFINITY; LANES];
            for values in row.as_chunks::<LANES>().0 {
                for i in 0..LANES {
                    lanes[i] = greater(values[i], lanes[i]);
                }
            }
            *greatest = folded(lanes, greater);
        }
        for (row, inverse) in rows.chunks_exact_mut(stride).zip(self.inverses) {
            let greatest = *inverse;
            let mut sums = [0.0; LANES];
            for values in row.as_chunks_mut::<LANES>().0 {
                for i in 0..LANES {
                    values[i] = power_of_two::<L>(values[i] - greatest);
                    sums[i] += values[i];
                }
            }
            *inverse = 1.0 / folded(sums, |a, b| a + b);
        }
    }
}

/// The softmax's gradient at its logits: with weights p = `powers` · `inverses` and their gradient g,
/// p · (g - Σ p · g).
pub struct Gradient<'a> {
    /// As [`Exponentials`] leaves them, rows of `stride` values.
    pub powers: &'a [f32],
    pub inverses: &'a [f32],
    /// Rows of `stride` values.
    pub of_weights: &'a [f32],
    pub stride: usize,
    /// Row r, to be written from value `SKEW` - r on, all else of it with zeros.
    pub skewed: &'a mut [f32],
    pub skewed_stride: usize,
}

/// Rows of a block, one vector of lanes, less one: how far the first row of a skewed block is indented.
pub const SKEW: usize = LANES - 1;

impl Work for Gradient<'_> {
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let rows = self.powers.chunks_exact(self.stride).zip(self.of_weights.chunks_exact(self.stride));
        let out = self.skewed.chunks_exact_mut(self.skewed_stride).zip(self.inverses);
        for (r, ((powers, of_weights), (out, inverse))) in rows.zip(out).enumerate() {
            let ((powers, _), (of_weights, _)) =
                (powers.as_chunks::<LANES>(), of_weights.as_chunks::<LANES>());
            let mut sums = [0.0; LANES];
            for (power, of_weight) in powers.iter().zip(of_weights) {
                for i in 0..LANES {
                    sums[i] = fused::<L>(power[i], of_weight[i], sums[i]);
                }
            }
            let mean = folded(sums, |a, b| a + b) * inverse;
            let (before, rest) = out.split_at_mut(SKEW - r);
            let (out, after) = rest.split_at_mut(self.stride);
            before.fill(0.0);
            after.fill(0.0);
            let (out, _) = out.as_chunks_mut::<LANES>();
            for ((power, of_weight), out) in powers.iter().zip(of_weights).zip(out) {
                // Whole, so that the compiler need not fear that writing one value changes the next one's inputs.
                *out = std::array::from_fn(|i| power[i] * inverse * (of_weight[i] - mean));
            }
        }
    }
}
