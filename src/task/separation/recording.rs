//! A recording of any length through the network: segments that overlap, cross-faded.

use burn::tensor::{Device, Tensor, TensorData};

use crate::nn::cmgan::{Cmgan, Pass};
use crate::task::{Error, host};

/// The network's estimate of the machine in a recording, at no particular level.
///
/// A recording that is longer than `samples`, a segment of the training, goes through the network in segments that
/// overlap by half, the last one by what is left, and are cross-faded; a shorter one is padded with zeros and cut back.
/// `progress` hears of each of the [`segments`].
///
/// # Errors
/// When the device fails.
pub fn estimate(
    net: &Cmgan,
    wave: &[f32],
    samples: usize,
    device: &Device,
    progress: &dyn Fn(),
) -> Result<Vec<f32>, Error> {
    cross_faded(wave, samples, |segment| {
        let mut found = find(net, segment, device)?;
        // A level that is free is free in each segment: unlike ones would fade into one another, or cancel.
        fit(&mut found, segment);
        progress();
        Ok(found)
    })
}

/// Scale an estimate so that the rest of the mixture has the least energy; whether there is anything to scale.
pub fn fit(estimate: &mut [f32], mixture: &[f32]) -> bool {
    let product = |other: &[f32]| -> f64 {
        estimate.iter().zip(other).map(|(e, o)| f64::from(*e) * f64::from(*o)).sum()
    };
    let (common, energy) = (product(mixture), product(estimate));
    if energy == 0.0 {
        return false;
    }
    let factor = common / energy;
    estimate.iter_mut().for_each(|sample| *sample = (factor * f64::from(*sample)) as f32);
    true
}

/// The network's estimate of one segment.
fn find(net: &Cmgan, segment: &[f32], device: &Device) -> Result<Vec<f32>, Error> {
    // Silence has no RMS to be divided by, and nothing to be found.
    if segment.iter().all(|sample| *sample == 0.0) {
        return Ok(segment.to_vec());
    }
    let wave = Tensor::from_data(TensorData::new(segment.to_vec(), [1, segment.len()]), device);
    host(net.separate(wave, Pass::Evaluate).wave)
}

/// First samples of segments that overlap by half, the last one by what is left; of a recording that is shorter than a
/// segment the one that it is padded to.
pub fn segments(length: usize, samples: usize) -> Vec<usize> {
    let last = length.saturating_sub(samples);
    (0..last).step_by((samples / 2).max(1)).chain([last]).collect()
}

/// What `find` makes of segments of `samples` samples, put together again. Each is weighted by its distance from its
/// ends, over the sum of all weights at a sample: where two overlap by half, the one fades out as the other fades in.
fn cross_faded(
    wave: &[f32],
    samples: usize,
    mut find: impl FnMut(&[f32]) -> Result<Vec<f32>, Error>,
) -> Result<Vec<f32>, Error> {
    let (mut sums, mut weights) = (vec![0.0; wave.len()], vec![0.0; wave.len()]);
    for start in segments(wave.len(), samples) {
        let within = start..wave.len().min(start + samples);
        let mut segment = wave[within.clone()].to_vec();
        segment.resize(samples, 0.0);
        let places = sums[within.clone()].iter_mut().zip(&mut weights[within]);
        for (n, ((sum, total), found)) in places.zip(find(&segment)?).enumerate() {
            let weight = (n + 1).min(samples - n) as f64;
            *sum += weight * f64::from(found);
            *total += weight;
        }
    }
    Ok(sums.iter().zip(weights).map(|(sum, weight)| (sum / weight) as f32).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wave(length: usize) -> Vec<f32> {
        (0..length).map(|n| (n as f32 * 0.37).sin()).collect()
    }

    #[test]
    fn segments_cover_any_length() {
        assert_eq!(segments(20, 8), [0, 4, 8, 12]);
        assert_eq!(segments(21, 8), [0, 4, 8, 12, 13], "the last one ends with the recording");
        assert_eq!((segments(8, 8), segments(3, 8), segments(9, 8)), (vec![0], vec![0], vec![0, 1]));
    }

    #[test]
    fn segments_that_are_left_as_they_are_are_the_recording() {
        for length in [1, 3, 8, 9, 20, 21, 100] {
            let wave = wave(length);
            let mut sizes = Vec::new();
            let same = cross_faded(&wave, 8, |segment| {
                sizes.push(segment.len());
                Ok(segment.to_vec())
            });
            for (found, expected) in same.unwrap().iter().zip(&wave) {
                // Weights and their sum round in f64, the result to f32.
                assert!((found - expected).abs() < 1e-6, "{length}: {found} {expected}");
            }
            assert!(sizes.iter().all(|size| *size == 8), "{sizes:?}");
        }
    }

    #[test]
    fn one_segment_fades_into_the_next() {
        // The segments are 1, 2, 3 throughout.
        let mut level = 0.0;
        let found = cross_faded(&[0.0; 16], 8, |segment| {
            level += 1.0;
            Ok(vec![level; segment.len()])
        });
        let found = found.unwrap();
        assert!(
            found[..4].iter().all(|value| *value == 1.0) && found[12..].iter().all(|value| *value == 3.0)
        );
        assert!(found.windows(2).all(|pair| pair[0] <= pair[1]), "{found:?}");
        // 1 at 4/(4+1), 2 at 1/5.
        assert!((found[4] - 1.2).abs() < 1e-6 && (found[7] - 1.8).abs() < 1e-6, "{found:?}");
    }

    #[test]
    fn the_fitted_estimate_leaves_a_residual_at_right_angles() {
        let mixture = wave(500);
        let mut estimate: Vec<f32> =
            mixture.iter().enumerate().map(|(n, m)| -7.0 * m + (n % 3) as f32).collect();
        assert!(fit(&mut estimate, &mixture));
        let residual: Vec<f32> = mixture.iter().zip(&estimate).map(|(m, e)| m - e).collect();
        let product: f64 = residual.iter().zip(&estimate).map(|(r, e)| f64::from(*r) * f64::from(*e)).sum();
        // Energies near 250, samples rounded to 6e-8.
        assert!(product.abs() < 1e-4, "{product}");
        assert!(!fit(&mut [0.0; 500], &mixture));
    }

    #[test]
    fn segments_of_unlike_levels_are_levelled_before_they_meet() {
        let wave = wave(40);
        let mut level = 1.0;
        let found = cross_faded(&wave, 8, |segment| {
            level *= -3.0;
            let mut found: Vec<f32> = segment.iter().map(|sample| level * sample).collect();
            fit(&mut found, segment);
            Ok(found)
        });
        for (found, expected) in found.unwrap().iter().zip(&wave) {
            assert!((found - expected).abs() < 1e-6, "{found} {expected}");
        }
    }
}
