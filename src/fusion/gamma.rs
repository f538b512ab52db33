//! Minus the logarithm of a gamma distribution's survival function, which keeps the order of scores far out in the tail
//! where the distribution function itself has rounded to 1.

use crate::official::{ln_gamma, lower_gamma};

/// `-ln Q(a, x)`, Q being the probability that a gamma variable of shape `a` > 0 and scale 1 exceeds `x`. Below the support,
/// at `x` < 0, it goes on as `x` itself, so that lower scores stay lower.
///
/// The complement of the series below a + 1, above it Lentz's continued fraction (Numerical Recipes, section 6.2).
pub(super) fn surprise(a: f64, x: f64) -> f64 {
    if x <= 0.0 {
        return x;
    }
    if x < a + 1.0 {
        return -(-lower_gamma(a, x)).ln_1p();
    }
    -(a * x.ln() - x - ln_gamma(a) + fraction(a, x).ln())
}

/// The continued fraction of Γ(a, x) / (xᵃ e⁻ˣ), for x ≥ a + 1.
fn fraction(a: f64, x: f64) -> f64 {
    // About √a terms are needed at x = a + 1, and few further out.
    const TERMS: u32 = 100_000;
    let tiny = f64::MIN_POSITIVE / f64::EPSILON;
    let mut b = x + 1.0 - a;
    let (mut c, mut d) = (1.0 / tiny, 1.0 / b);
    let mut h = d;
    for i in 1..=TERMS {
        let i = f64::from(i);
        let numerator = -i * (i - a);
        b += 2.0;
        d = 1.0 / nonzero(numerator * d + b, tiny);
        c = nonzero(b + numerator / c, tiny);
        let factor = d * c;
        h *= factor;
        if (factor - 1.0).abs() <= f64::EPSILON {
            break;
        }
    }
    h
}

fn nonzero(value: f64, tiny: f64) -> f64 {
    if value.abs() < tiny { tiny } else { value }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `-log(gammainc(a, x, regularized=True))` of mpmath 1.3 with 40 digits.
    #[test]
    fn agrees_with_mpmath() {
        let cases: [(f64, f64, f64); 13] = [
            (0.5, 0.01, 0.1193049737373956),
            (0.5, 3.0, 4.24708474678559),
            (1.0, 2.0, 2.0),
            (2.0, 0.1, 0.00468982019567514),
            (2.0, 2.9, 1.5390234468643993),
            (2.0, 3.1, 1.689013026289738),
            (2.0, 700.0, 693.4474921129654),
            (9.0, 4.0, 0.02159493569946684),
            (9.0, 30.0, 13.099586792261514),
            (100.0, 90.0, 0.1722377566538677),
            (100.0, 180.0, 24.247209135807722),
            (30000.0, 29900.0, 0.3316821895865278),
            (30000.0, 31000.0, 19.006460906707),
        ];
        for (a, x, expected) in cases {
            let found = surprise(a, x);
            // Terms as large as x and a ln x cancel in the tail.
            let tolerance = 1e-13 * expected.max(x).max(a * x.ln().abs()).max(1.0);
            assert!((found - expected).abs() < tolerance, "{a} {x}: {found} against {expected}");
        }
    }

    #[test]
    fn rises_everywhere() {
        for a in [0.3, 1.0, 2.5, 40.0, 3e4] {
            let at = |step: i32| surprise(a, a * (1.0 + f64::from(step) / 50.0));
            for step in -100..500 {
                // Far below the mean the distribution function is 0 in f64.
                let nothing = step < -10 && at(step + 1) == 0.0;
                assert!(nothing || at(step) < at(step + 1), "{a} {step}: {} {}", at(step), at(step + 1));
            }
        }
        // Where the distribution function is 1 in f64.
        assert!(surprise(2.0, 1e6) < surprise(2.0, 1e6 + 1.0));
    }
}
