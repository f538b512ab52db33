//! The exact GELU without branches, so that the compiler makes vector code of loops over it.

use super::super::attention::softmax::{fused, power_of_two};
use super::super::conv::lanes::Lanes;

/// -log₂ Φ(-z) for 0 ≤ z ≤ 6, highest power first: a fit that is best where z · Φ(-z) is largest. Behind 6 it goes on
/// rising, faster than the logarithm.
const TAIL: [f32; 11] = [
    2.959_084_9e-8,
    -8.705_293e-7,
    1.098_924_9e-5,
    -7.587_056e-5,
    2.748_926e-4,
    1.590_427_2e-5,
    -6.973_659_6e-3,
    5.246_418_7e-2,
    4.592_117e-1,
    1.151_105_5,
    1.0,
];

/// v · Φ(v), with Φ the normal distribution's cumulative function, (1 + erf(v / √2)) / 2, to 6e-8 · max(1, |v|).
///
/// Φ of the negative side is small and its logarithm smooth, so nothing cancels: v · Φ(v) = max(v, 0) - |v| · Φ(-|v|).
#[inline(always)]
pub fn gelu<L: Lanes>(v: f32) -> f32 {
    let z = v.abs();
    let mut bits = TAIL[0];
    for factor in &TAIL[1..] {
        bits = fused::<L>(bits, z, *factor);
    }
    let positive = if v > 0.0 { v } else { 0.0 };
    positive - z * power_of_two::<L>(-bits)
}
