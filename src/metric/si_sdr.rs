//! The scale-invariant signal-to-distortion ratio.

use super::Undefined;

/// How [`si_sdr`] is taken.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SiSdr {
    /// Removes the mean of both signals first, so that an offset is no distortion.
    pub zero_mean: bool,
    /// Added to ⟨estimate, target⟩, to ‖target‖², and to both sums of the ratio. It is at the signals' own
    /// scale, so it decides for signals that are nearly silent, exact copies, or silent estimates. With 0
    /// the ratio does not depend on the signals' scales.
    pub epsilon: f64,
}

impl Default for SiSdr {
    /// As torchmetrics' `ScaleInvariantSignalNoiseRatio`: without means, f32's epsilon.
    fn default() -> Self {
        Self { zero_mean: true, epsilon: f64::from(f32::EPSILON) }
    }
}

/// How much louder, in dB, the part of `estimate` that is a multiple of `target` is than the rest
/// of it; higher is better.
///
/// With α = ⟨estimate, target⟩ / ‖target‖²: 10 log₁₀(‖α·target‖² / ‖α·target - estimate‖²)
/// (Le Roux et al. 2019, "SDR: half-baked or well done?"), with `epsilon` added as in
/// torchmetrics. Sample i of both signals belongs together.
///
/// A silent estimate has 0 dB where `epsilon` is above 0.
///
/// # Errors
/// [`Undefined`] without samples, with signals of unequal length, with NaN or infinite samples,
/// with a silent target, with a negative or infinite `epsilon`. With `epsilon` = 0 also for a
/// silent estimate, and for an infinite ratio.
pub fn si_sdr(estimate: &[f64], target: &[f64], settings: SiSdr) -> Result<f64, Undefined> {
    let SiSdr { zero_mean, epsilon } = settings;
    if !(epsilon >= 0.0 && epsilon.is_finite()) {
        return Err(Undefined::OutOfRange {
            name: "epsilon",
            value: epsilon,
            range: "0 or above, and finite",
        });
    }
    if estimate.len() != target.len() {
        return Err(Undefined::Lengths { estimate: estimate.len(), target: target.len() });
    }
    if estimate.is_empty() {
        return Err(Undefined::Empty);
    }
    let mut estimate = finite(estimate, "sample of the estimate")?;
    let mut target = finite(target, "sample of the target")?;
    if zero_mean {
        remove_mean(&mut estimate);
        remove_mean(&mut target);
    }
    if peak(&target) == 0.0 {
        return Err(Undefined::Silent { signal: "target" });
    }
    if epsilon == 0.0 {
        if peak(&estimate) == 0.0 {
            return Err(Undefined::Silent { signal: "estimate" });
        }
        // Squares of very loud or quiet signals leave the range of f64.
        for signal in [&mut estimate, &mut target] {
            let peak = peak(signal);
            signal.iter_mut().for_each(|sample| *sample /= peak);
        }
    }
    let dot: f64 = estimate.iter().zip(&target).map(|(e, t)| e * t).sum();
    let energy: f64 = target.iter().map(|t| t * t).sum();
    let scale = (dot + epsilon) / (energy + epsilon);
    // The distortion sample by sample: as a difference of energies it would be lost where it is small.
    let (mut signal, mut distortion) = (epsilon, epsilon);
    for (e, t) in estimate.iter().zip(&target) {
        let projected = scale * t;
        signal += projected * projected;
        distortion += (projected - e) * (projected - e);
    }
    let ratio_db = 10.0 * (signal / distortion).log10();
    if ratio_db.is_finite() { Ok(ratio_db) } else { Err(Undefined::Infinite) }
}

fn finite(signal: &[f64], what: &'static str) -> Result<Vec<f64>, Undefined> {
    match signal.iter().position(|sample| !sample.is_finite()) {
        Some(at) => Err(Undefined::NotFiniteAt { what, at }),
        None => Ok(signal.to_vec()),
    }
}

/// Takes the first sample off before the mean is computed, so that a constant signal becomes zero
/// and not rounding dust, and a large offset costs the mean no digits.
fn remove_mean(signal: &mut [f64]) {
    let Some(&first) = signal.first() else { return };
    let mean = signal.iter().map(|sample| sample - first).sum::<f64>() / signal.len() as f64;
    signal.iter_mut().for_each(|sample| *sample = (*sample - first) - mean);
}

fn peak(signal: &[f64]) -> f64 {
    signal.iter().fold(0.0, |peak: f64, sample| peak.max(sample.abs()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const EXACT: SiSdr = SiSdr { zero_mean: false, epsilon: 0.0 };
    const EXACT_ZERO_MEAN: SiSdr = SiSdr { zero_mean: true, epsilon: 0.0 };

    #[test]
    fn computed_by_hand() {
        // Along the target 2, across it 1: 10 log10 4.
        let found = si_sdr(&[2.0, 1.0], &[5.0, 0.0], EXACT).unwrap();
        assert!((found - 10.0 * 4.0_f64.log10()).abs() < 1e-14, "{found}");
        // The sign of the estimate is a scale, too.
        assert_eq!(si_sdr(&[-2.0, -1.0], &[5.0, 0.0], EXACT), Ok(found));
        // An offset counts unless the mean is removed: then along 1, across 1.
        let (estimate, target) = ([8.0, 8.0, 6.0, 6.0], [1.0, -1.0, 1.0, -1.0]);
        assert_eq!(si_sdr(&estimate, &target, EXACT), Err(Undefined::Infinite)); // nothing of the target
        let estimate = [9.0, 7.0, 7.0, 5.0];
        assert!(si_sdr(&estimate, &target, EXACT_ZERO_MEAN).unwrap().abs() < 1e-14);
        assert!(si_sdr(&estimate, &target, EXACT).unwrap() < -16.0); // 10 log10 (1/50)
    }

    #[test]
    fn silence_and_copies() {
        let target = [1.0, -2.0, 0.5];
        let default = SiSdr::default();
        assert_eq!(si_sdr(&[0.0; 3], &target, default), Ok(0.0));
        assert_eq!(si_sdr(&[0.0; 3], &target, EXACT), Err(Undefined::Silent { signal: "estimate" }));
        // 0.1 has no exact mean of three: dust of 1e-17 is not a signal.
        for settings in [default, EXACT_ZERO_MEAN] {
            let found = si_sdr(&target, &[0.1; 3], settings);
            assert_eq!(found, Err(Undefined::Silent { signal: "target" }));
        }
        assert_eq!(
            si_sdr(&[0.1; 3], &target, EXACT_ZERO_MEAN),
            Err(Undefined::Silent { signal: "estimate" })
        );
        assert_eq!(si_sdr(&target, &[0.0, -0.0, 0.0], default), Err(Undefined::Silent { signal: "target" }));

        assert_eq!(si_sdr(&target, &target, EXACT), Err(Undefined::Infinite));
        assert!(si_sdr(&target, &target, default).unwrap() > 60.0);
    }

    #[test]
    fn what_cannot_be_had_is_an_error() {
        let default = SiSdr::default();
        assert_eq!(si_sdr(&[], &[], default), Err(Undefined::Empty));
        assert_eq!(si_sdr(&[1.0], &[1.0, 2.0], default), Err(Undefined::Lengths { estimate: 1, target: 2 }));
        for bad in [f64::NAN, f64::INFINITY] {
            let (good, bad) = ([1.0, 2.0], [1.0, bad]);
            let why = |what| Err(Undefined::NotFiniteAt { what, at: 1 });
            assert_eq!(si_sdr(&bad, &good, default), why("sample of the estimate"));
            assert_eq!(si_sdr(&good, &bad, default), why("sample of the target"));
        }
        // Their energies are out of range, which without an epsilon does not matter.
        assert_eq!(si_sdr(&[1e200, 0.0], &[1e200, -1e200], default), Err(Undefined::Infinite));
        assert!(si_sdr(&[1e200, 0.0], &[1e-200, 1e-200], EXACT).unwrap().abs() < 1e-14);
        for epsilon in [-1e-9, f64::NAN, f64::INFINITY] {
            let found = si_sdr(&[1.0], &[1.0], SiSdr { epsilon, ..EXACT });
            assert!(matches!(found, Err(Undefined::OutOfRange { name: "epsilon", .. })), "{found:?}");
        }
    }

    fn signals() -> impl Strategy<Value = (Vec<f64>, Vec<f64>)> {
        prop::collection::vec((-1.0..1.0, -1.0..1.0), 8..200).prop_map(|pairs| pairs.into_iter().unzip())
    }

    proptest! {
        #[test]
        fn scales_do_not_matter(
            (estimate, target) in signals(),
            gain in prop_oneof![-1e6..-1e-6, 1e-6..1e6],
            zero_mean: bool,
        ) {
            let settings = SiSdr { zero_mean, epsilon: 0.0 };
            let found = si_sdr(&estimate, &target, settings).unwrap();
            // Random signals can be nearly unrelated, but hardly below -60 dB, where the projection still
            // has 1e-13 of its digits: 1e-12 dB at most.
            prop_assume!(found > -60.0);
            let scaled = |signal: &[f64]| -> Vec<f64> { signal.iter().map(|s| s * gain).collect() };
            for again in [
                si_sdr(&scaled(&estimate), &target, settings).unwrap(),
                si_sdr(&estimate, &scaled(&target), settings).unwrap(),
            ] {
                prop_assert!((again - found).abs() < 1e-10, "{} and {}", found, again);
            }
        }

        #[test]
        fn offsets_do_not_matter_without_means((estimate, target) in signals(), offset in -10.0..10.0) {
            let found = si_sdr(&estimate, &target, EXACT_ZERO_MEAN).unwrap();
            prop_assume!(found > -60.0);
            let moved: Vec<f64> = estimate.iter().map(|sample| sample + offset).collect();
            // The sum rounds to 1e-15 of a signal near 1.
            let again = si_sdr(&moved, &target, EXACT_ZERO_MEAN).unwrap();
            prop_assert!((again - found).abs() < 1e-9, "{} and {}", found, again);
        }

        #[test]
        fn is_the_ratio_of_the_angle((estimate, target) in signals()) {
            // cos²/(1 - cos²) of the angle between the two.
            let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
            let squared_cosine =
                dot(&estimate, &target).powi(2) / (dot(&estimate, &estimate) * dot(&target, &target));
            prop_assume!(squared_cosine > 1e-6 && squared_cosine < 0.999);
            let expected = 10.0 * (squared_cosine / (1.0 - squared_cosine)).log10();
            let found = si_sdr(&estimate, &target, EXACT).unwrap();
            prop_assert!((found - expected).abs() < 1e-9, "{} instead of {}", found, expected);
        }
    }
}
