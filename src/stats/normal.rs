//! The standard normal distribution: tail probabilities and quantiles, in f64.

use std::f64::consts::{FRAC_1_SQRT_2, PI, SQRT_2};

/// From here on the continued fraction converges faster than the series.
const SERIES_MAX: f64 = 2.0;

/// P(|Z| ≥ |z|), with a relative error of about 1e-13 + z²·ε: the exponential's argument is rounded.
pub(super) fn two_sided_p(z: f64) -> f64 {
    erfc(z.abs() * FRAC_1_SQRT_2)
}

/// P(Z ≤ z).
pub(super) fn cdf(z: f64) -> f64 {
    0.5 * erfc(-z * FRAC_1_SQRT_2)
}

/// The z with P(Z ≤ z) = p; infinite at 0 and 1, NaN outside.
pub(super) fn quantile(p: f64) -> f64 {
    if p == 0.0 {
        return f64::NEG_INFINITY;
    }
    if p == 1.0 {
        return f64::INFINITY;
    }
    if p > 0.5 {
        // The complement is exact for p ≥ ½, and the lower tail is where the relative error is kept.
        return -quantile(1.0 - p);
    }
    // Abramowitz and Stegun 26.2.23: within 4.5e-4 everywhere.
    let t = (-2.0 * p.ln()).sqrt();
    let top = 2.515_517 + t * (0.802_853 + t * 0.010_328);
    let bottom = 1.0 + t * (1.432_788 + t * (0.189_269 + t * 0.001_308));
    let mut z = top / bottom - t;
    // Newton with the curvature's correction: the error is cubed each time, 4.5e-4 -> 1e-10 -> 1e-30.
    for _ in 0..3 {
        let step = (cdf(z) - p) / density(z);
        z -= step / (1.0 + 0.5 * z * step);
    }
    z
}

fn density(z: f64) -> f64 {
    (-0.5 * z * z).exp() / (SQRT_2 * PI.sqrt())
}

/// The complementary error function.
fn erfc(x: f64) -> f64 {
    if x < 0.0 {
        return 2.0 - erfc(-x);
    }
    if x < SERIES_MAX {
        // erf x = 2/√π · e^(−x²) · Σ 2ⁿ x^(2n+1) / (2n+1)!!, all terms positive (Abramowitz and Stegun 7.1.6).
        let (mut term, mut sum, mut n) = (x, x, 0.0);
        while term > f64::EPSILON * 0.01 * sum {
            n += 1.0;
            term *= 2.0 * x * x / (2.0 * n + 1.0);
            sum += term;
        }
        return 1.0 - 2.0 / PI.sqrt() * (-x * x).exp() * sum;
    }
    // Laplace's continued fraction x + (1/2)/(x + (2/2)/(x + (3/2)/(x + …))), from its far end (7.1.14). Sixty levels are
    // past the rounding at x = 2.
    let fraction = (1..=60).rev().fold(x, |below, k| x + 0.5 * f64::from(k) / below);
    (-x * x).exp() / (PI.sqrt() * fraction)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `2 * scipy.stats.norm.sf(z)`, SciPy 1.17.1.
    const TAILS: [(f64, f64); 11] = [
        (1e-9, 0.9999999992021155),
        (0.1, 0.920344325445942),
        (0.5, 0.6170750774519738),
        (1.0, 0.31731050786291415),
        (1.96, 0.04999579029644087),
        (2.8, 0.005110260660855864),
        (2.83, 0.004654800413463103),
        (3.5, 0.00046525815807105003),
        (6.0, 1.973175290075389e-9),
        (12.0, 3.552964224155306e-33),
        (30.0, 9.813427854295816e-198),
    ];

    /// `scipy.stats.norm.ppf(p)`, SciPy 1.17.1.
    const QUANTILES: [(f64, f64); 9] = [
        (1e-300, -37.0470962993612),
        (1e-12, -7.034483825301131),
        (0.001, -3.090232306167813),
        (0.025, -1.9599639845400545),
        (0.3, -0.5244005127080409),
        (0.49, -0.02506890825871106),
        (0.9, 1.2815515655446004),
        (0.975, 1.959963984540054),
        (0.995, 2.5758293035489004),
    ];

    #[test]
    fn agrees_with_scipy() {
        for (z, p) in TAILS {
            // 1 − erf loses two digits before the continued fraction takes over; beyond, z² is rounded.
            let tolerance = p * (1e-13 + z * z * f64::EPSILON);
            assert!((two_sided_p(z) - p).abs() < tolerance, "{z}: {} against {p}", two_sided_p(z));
            assert_eq!(two_sided_p(-z), two_sided_p(z));
        }
        for (p, z) in QUANTILES {
            // The error of p over the density, near the middle; a few roundings elsewhere.
            assert!((quantile(p) - z).abs() <= 1e-15 + 1e-14 * z.abs(), "{p}: {} against {z}", quantile(p));
        }
    }

    #[test]
    fn ends_and_middle() {
        assert_eq!((two_sided_p(0.0), cdf(0.0)), (1.0, 0.5));
        assert_eq!((two_sided_p(f64::INFINITY), cdf(f64::NEG_INFINITY)), (0.0, 0.0));
        assert_eq!((quantile(0.0), quantile(1.0)), (f64::NEG_INFINITY, f64::INFINITY));
        assert!(quantile(0.5).abs() < 1e-16 && quantile(-0.1).is_nan() && quantile(1.5).is_nan());
        for k in 1..200 {
            let p = f64::from(k) / 200.0;
            assert!((cdf(quantile(p)) - p).abs() < 1e-15, "{p}");
        }
    }
}
