//! Adjusted p-values of several tests that are read together.

use super::Error;

/// Holm's adjusted p (Scand. J. Statistics 6, 1979), in the order given: rejecting where it is at most α keeps the chance
/// of even one false rejection in the whole table below α, however the tests depend on each other.
///
/// # Errors
/// [`Error::NoProbability`] for a value that is NaN or outside 0..=1.
pub fn holm(p: &[f64]) -> Result<Vec<f64>, Error> {
    let order = ascending(p)?;
    let mut adjusted = vec![0.0; p.len()];
    let mut floor = 0.0_f64;
    for (rank, &test) in order.iter().enumerate() {
        floor = floor.max((p.len() - rank) as f64 * p[test]).min(1.0);
        adjusted[test] = floor;
    }
    Ok(adjusted)
}

/// Benjamini and Hochberg's adjusted p (J. Royal Statistical Society B 57, 1995), in the order given: rejecting where it is
/// at most q keeps the expected share of false rejections below q, for tests that are independent or positively dependent.
///
/// # Errors
/// As [`holm`].
pub fn benjamini_hochberg(p: &[f64]) -> Result<Vec<f64>, Error> {
    let order = ascending(p)?;
    let mut adjusted = vec![0.0; p.len()];
    let mut ceiling = 1.0_f64;
    for (rank, &test) in order.iter().enumerate().rev() {
        // The factor first: at the last rank it is exactly 1.
        ceiling = ceiling.min(p.len() as f64 / (rank + 1) as f64 * p[test]);
        adjusted[test] = ceiling;
    }
    Ok(adjusted)
}

/// The tests by rising p.
fn ascending(p: &[f64]) -> Result<Vec<usize>, Error> {
    if let Some(index) = p.iter().position(|p| !(0.0..=1.0).contains(p)) {
        return Err(Error::NoProbability { index });
    }
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|&a, &b| p[a].total_cmp(&p[b]));
    Ok(order)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const P: [f64; 9] = [0.03, 0.0004, 0.41, 0.03, 1.0, 0.0, 0.011, 0.2, 0.049];

    #[test]
    fn agrees_with_scipy_and_the_formula() {
        // scipy.stats.false_discovery_control(P, method="bh"), SciPy 1.17.1.
        let scipy = [
            0.054,
            0.0018000000000000002,
            0.46125,
            0.054,
            1.0,
            0.0,
            0.033,
            0.2571428571428572,
            0.07350000000000001,
        ];
        // max over the smaller p of (m − rank + 1)·p, capped at 1: statsmodels' formula for "holm", evaluated in NumPy.
        let formula = [0.18, 0.0032, 0.82, 0.18, 1.0, 0.0, 0.077, 0.6000000000000001, 0.196];
        for (found, expected) in [(benjamini_hochberg(&P).unwrap(), scipy), (holm(&P).unwrap(), formula)] {
            for (f, e) in found.iter().zip(expected) {
                assert!((f - e).abs() < 1e-15, "{found:?}"); // one rounding of a product below 1
            }
        }
    }

    #[test]
    fn few_and_bad_values() {
        for adjust in [holm, benjamini_hochberg] {
            assert_eq!(adjust(&[]), Ok(vec![]));
            assert_eq!(adjust(&[0.3]), Ok(vec![0.3]));
            assert_eq!(adjust(&[1.0, 1.0]), Ok(vec![1.0, 1.0]));
            for bad in [f64::NAN, -1e-9, 1.0 + 1e-9, f64::INFINITY] {
                assert_eq!(adjust(&[0.1, bad]), Err(Error::NoProbability { index: 1 }));
            }
        }
    }

    proptest! {
        #[test]
        fn holm_is_the_stricter_and_both_keep_the_order(
            p in prop::collection::vec(0.0..=1.0_f64, 1..30).prop_shuffle(),
        ) {
            let (strict, loose) = (holm(&p).unwrap(), benjamini_hochberg(&p).unwrap());
            for i in 0..p.len() {
                // One rounding: m/m is 1, but a product with (m − rank) need not be above one with m/rank in the last bit.
                prop_assert!(strict[i] >= loose[i] * (1.0 - 1e-15) && loose[i] >= p[i] && strict[i] <= 1.0);
                for j in 0..p.len() {
                    prop_assert!(p[i] > p[j] || (strict[i] <= strict[j] && loose[i] <= loose[j]));
                }
            }
        }
    }
}
