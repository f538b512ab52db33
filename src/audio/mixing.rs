//! Two sounds over one another, at a stated level of the one over the other.

use super::Error;
use super::mel::LANES;

/// The factor g of `interference` with 10·log₁₀(Σ target² / Σ (g·interference)²) = `snr_db`, over all samples and
/// without taking off means. The sums are f64.
///
/// # Errors
/// [`Error::NoLevel`] where either has no sample that is not zero, [`Error::Shape`] where their lengths differ.
pub fn noise_gain(target: &[f32], interference: &[f32], snr_db: f64) -> Result<f64, Error> {
    if target.len() != interference.len() {
        return Err(Error::Shape {
            action: "mix two sounds",
            found: format!("{} and {} samples", target.len(), interference.len()),
            expected: "as many samples of both".to_owned(),
        });
    }
    let power = |signal: &'static str, samples: &[f32]| match mean_square(samples) {
        power if power > 0.0 => Ok(power),
        _ => Err(Error::NoLevel { signal }),
    };
    let ratio = power("target", target)? / power("interference", interference)?;
    Ok(ratio.sqrt() * 10.0_f64.powf(-snr_db / 20.0))
}

/// target + gain·interference, sample by sample, rounded once.
#[must_use]
pub fn mix(target: &[f32], interference: &[f32], gain: f64) -> Vec<f32> {
    let sum = |(target, interference): (&f32, &f32)| f64::from(*target) + gain * f64::from(*interference);
    target.iter().zip(interference).map(|pair| sum(pair) as f32).collect()
}

/// Mean of the samples' squares; NaN of none.
pub(super) fn mean_square(samples: &[f32]) -> f64 {
    // One sum per lane: a single one would wait for itself at every step.
    let mut sums = [0.0_f64; LANES];
    let (blocks, rest) = samples.as_chunks::<LANES>();
    for block in blocks {
        for (sum, sample) in sums.iter_mut().zip(block) {
            *sum += f64::from(*sample) * f64::from(*sample);
        }
    }
    let rest: f64 = rest.iter().map(|sample| f64::from(*sample) * f64::from(*sample)).sum();
    (sums.iter().sum::<f64>() + rest) / samples.len() as f64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn by_hand() {
        // Powers 4 and 1: 6.02 dB apart as they are.
        let (target, interference) = ([2.0, -2.0], [1.0, 1.0]);
        assert_eq!(noise_gain(&target, &interference, 0.0).unwrap(), 2.0);
        let gain = noise_gain(&target, &interference, 20.0).unwrap();
        assert!((gain - 0.2).abs() < 1e-15, "{gain}");
        assert_eq!(mix(&target, &interference, 0.5), [2.5, -1.5]);
    }

    #[test]
    fn silence_has_no_level_to_be_mixed_at() {
        let message = |target: &[f32], interference: &[f32]| {
            noise_gain(target, interference, 0.0).unwrap_err().to_string()
        };
        assert!(message(&[0.0, 0.0], &[1.0, 1.0]).contains("the target is silent"));
        assert!(message(&[1.0, 1.0], &[0.0, -0.0]).contains("the interference is silent"));
        assert!(message(&[], &[]).contains("the target is silent"));
        assert!(message(&[1.0], &[1.0, 1.0]).contains("1 and 2 samples"));
    }

    proptest! {
        #[test]
        fn the_mixture_has_the_ratio_that_was_asked_for(
            pairs in prop::collection::vec((-1.0..1.0_f32, -1.0..1.0_f32), 20..100),
            snr_db in -40.0..40.0,
            // Of recordings from very quiet to beyond full scale.
            level in -20..4_i32,
        ) {
            let (target, interference): (Vec<f32>, Vec<f32>) =
                pairs.into_iter().map(|(t, i)| (t * 2.0_f32.powi(level), i)).unzip();
            prop_assume!(target.iter().any(|t| *t != 0.0) && interference.iter().any(|i| *i != 0.0));
            let gain = noise_gain(&target, &interference, snr_db).unwrap();
            let energy = |samples: &[f32], gain: f64| -> f64 {
                samples.iter().map(|s| (gain * f64::from(*s)).powi(2)).sum()
            };
            let found = 10.0 * (energy(&target, 1.0) / energy(&interference, gain)).log10();
            // A few roundings of f64 in sums of up to 100 squares.
            prop_assert!((found - snr_db).abs() < 1e-10, "{} and {}", found, snr_db);
        }
    }
}
