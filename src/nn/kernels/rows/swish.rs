//! The logistic function without branches, so that the compiler makes vector code of loops over it.

/// 1.5 · 2²³: added to a small number, it leaves the nearest whole number in the lowest bits.
const ROUND: f32 = 12_582_912.0;
/// ln 2 in two parts; products of the first with whole numbers below 2¹⁴ are exact.
const LN_2: [f32; 2] = [355.0 / 512.0, -2.121_944_4e-4];
/// eʳ for |r| ≤ ln(2) / 2, highest power first, as in Moshier's Cephes library.
const EXP: [f32; 8] =
    [1.987_569_2e-4, 1.398_2e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 5e-1, 1.0, 1.0];
/// Below it, the logistic function is less than the smallest normal number, and 0 here.
const LOWEST: f32 = -87.0;

/// 1 / (1 + e⁻ᵛ) to 4 units in the last place; NaN stays NaN.
///
/// Fused multiply-adds: one instruction on every processor since 2013, and the same bits as a call on those before.
#[inline(always)]
pub fn sigmoid(v: f32) -> f32 {
    let t = (-v).clamp(LOWEST, -LOWEST);
    let rounded = t.mul_add(std::f32::consts::LOG2_E, ROUND);
    let whole = rounded - ROUND;
    let r = whole.mul_add(-LN_2[1], whole.mul_add(-LN_2[0], t));
    let mut series = EXP[0];
    for coefficient in &EXP[1..] {
        series = series.mul_add(r, *coefficient);
    }
    let power = f32::from_bits((rounded.to_bits() << 23).wrapping_add(1.0_f32.to_bits()));
    let value = 1.0 / series.mul_add(power, 1.0);
    if v < LOWEST { 0.0 } else { value }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_logistic_function_is_that_of_the_definition() {
        for i in -87_000..=120_000_i32 {
            let v = i as f32 / 1000.0;
            let exact = 1.0 / (1.0 + (-f64::from(v)).exp());
            // Rounding of eᵗ (1.5 ulp with the polynomial's own error), of the sum and of the quotient.
            let error = (f64::from(sigmoid(v)) - exact).abs();
            assert!(error <= 4.0 * f64::from(f32::EPSILON) * exact, "{v}: {} {exact}", sigmoid(v));
        }
        for (v, expected) in
            [(f32::NEG_INFINITY, 0.0), (-1e30, 0.0), (-88.0, 0.0), (1e30, 1.0), (f32::INFINITY, 1.0)]
        {
            assert_eq!(sigmoid(v), expected, "{v}");
        }
        assert!(sigmoid(f32::NAN).is_nan());
    }
}
