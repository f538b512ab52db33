//! Losses of the discriminative families, with what tells that a contrastive one collapsed, and of source separation.

use burn::tensor::activation::log_softmax;
use burn::tensor::{Int, Tensor};

use super::cmgan::EXPONENT;

/// Keeps a vector of zeros from being divided by its length.
const SHORTEST: f64 = 1e-12;
/// In place of a vector's similarity to itself: its exponential is 0, and unlike -∞ it takes part in sums.
const MASKED: f64 = -1e30;

/// Rows of `x` `[rows, dim]` scaled to length 1; a row of zeros stays one.
pub fn directions(x: Tensor<2>) -> Tensor<2> {
    // The square's epsilon keeps the root's gradient finite at 0.
    let length = x.clone().square().sum_dim(1).add_scalar(SHORTEST * SHORTEST).sqrt(); // [rows, 1]
    x / length
}

/// Mean over the batch of -ln softmax(logits)[target], `[1]`; `logits` `[batch, classes]`.
pub fn cross_entropy(logits: Tensor<2>, targets: Tensor<1, Int>) -> Tensor<1> {
    let [batch, _] = logits.dims();
    log_softmax(logits, 1).gather(1, targets.reshape([batch, 1])).mean().neg()
}

/// NT-Xent (Chen et al., arXiv 2002.05709, equation 1), mean over all 2·batch anchors, `[1]`.
///
/// `first` and `second` `[batch, dim]` are two views of the same clips. Each anchor's other view competes with the
/// 2·batch - 2 remaining vectors; `temperature` divides the cosines.
pub fn nt_xent(first: Tensor<2>, second: Tensor<2>, temperature: f64) -> Tensor<1> {
    let [batch, _] = first.dims();
    let device = first.device();
    let z = directions(Tensor::cat(vec![first, second], 0)); // [2·batch, dim]
    let cosines = z.clone().matmul(z.transpose()).div_scalar(temperature); // [2·batch, 2·batch]
    let itself = Tensor::<2>::eye(2 * batch, &device).bool();
    let others: Vec<i64> = (0..2 * batch).map(|anchor| ((anchor + batch) % (2 * batch)) as i64).collect();
    let others = Tensor::<1, Int>::from_data(others.as_slice(), &device);
    // Subtracts each row's maximum before it takes exponentials.
    cross_entropy(cosines.mask_fill(itself, MASKED), others)
}

/// SimSiam's loss (Chen and He, arXiv 2011.10566, equations 1 and 2), `[1]`, in -1..=1.
///
/// `predicted` and `projected` hold the two views' predictions and projections, `[batch, dim]` each; no gradient
/// reaches a projection.
pub fn negative_cosine(predicted: [Tensor<2>; 2], projected: [Tensor<2>; 2]) -> Tensor<1> {
    let [p1, p2] = predicted.map(directions);
    let [z1, z2] = projected.map(|z| directions(z.detach()));
    ((p1 * z2).sum_dim(1).mean() + (p2 * z1).sum_dim(1).mean()).mul_scalar(-0.5)
}

/// Mean over dimensions of the standard deviation, over the batch, of `z` `[batch, dim]` scaled to length 1; `[1]`.
///
/// 0 where all rows point the same way; about 1/√dim where they spread over the sphere (arXiv 2011.10566, section 4.1).
pub fn spread(z: Tensor<2>) -> Tensor<1> {
    let z = directions(z.detach());
    let from_mean = z.clone() - z.mean_dim(0);
    from_mean.square().mean_dim(0).sqrt().mean()
}

/// Keeps ratios of energies between ±80 dB, relative to the estimate's energy.
const RELATIVE: f64 = 1e-8;
/// Least RMS, relative to the peak, that a wave is scaled up from: below lies the rounding of f32 around a constant.
const DUST: f64 = 1e-6;
/// Magnitude below which the logarithm levels off: 120 dB below a tone as loud as the mixture.
const LOG_FLOOR: f64 = 1e-4;
/// Weight of the real and imaginary parts in the spectral loss (the study's authors' code).
const PARTS: f64 = 0.05;

/// The scale-invariant signal-to-distortion ratio (Le Roux et al., arXiv 1811.02508) of each wave in dB, `[batch, 1]`;
/// `estimate` and `target` `[batch, samples]`, of which the means are taken off with `zero_mean`.
///
/// Both waves are scaled to energy 1 first, and ε = 1e-8 is added to both energies of the ratio: so the level of a
/// recording does not matter, and neither a perfect nor an unrelated estimate is beyond ±80 dB or has an infinite
/// gradient. The scales are constants to the gradient, which they do not change: the ratio does not depend on them.
///
/// A silent estimate (with `zero_mean`: a constant one) has 0 dB and no gradient. A silent target has -80 dB: there is
/// nothing to find, and whoever makes batches leaves such out.
pub fn si_sdr(estimate: Tensor<2>, target: Tensor<2>, zero_mean: bool) -> Tensor<2> {
    let (estimate, target) = (unit(estimate, zero_mean), unit(target, zero_mean));
    let scale = (estimate.clone() * target.clone()).sum_dim(1); // [batch, 1]; ‖target‖ = 1
    let projected = target * scale;
    let signal = projected.clone().square().sum_dim(1);
    // Sample by sample: as a difference of energies it would be lost where it is small.
    let distortion = (projected - estimate).square().sum_dim(1);
    let ratio = (signal.add_scalar(RELATIVE)).log() - (distortion.add_scalar(RELATIVE)).log();
    ratio.mul_scalar(10.0 / std::f64::consts::LN_10)
}

/// Waves `[batch, samples]` of energy 1, divided by constants; silent ones stay silent.
fn unit(wave: Tensor<2>, zero_mean: bool) -> Tensor<2> {
    let [_, samples] = wave.dims();
    // Squares of very loud or quiet signals leave the range of f32.
    let peak = wave.clone().detach().abs().max_dim(1).clamp_min(f32::MIN_POSITIVE); // [batch, 1]
    let wave = wave / peak;
    let wave = if zero_mean {
        // The first sample off before the mean: a constant becomes zero and not rounding dust.
        let wave = wave.clone() - wave.detach().narrow(1, 0, 1);
        wave.clone() - wave.mean_dim(1)
    } else {
        wave
    };
    let length = wave.clone().detach().square().sum_dim(1).sqrt();
    wave / length.clamp_min(DUST * (samples as f64).sqrt())
}

/// The spectral loss of the study's authors, `[1]`, between power-compressed spectra `[batch, 2 (re, im), time,
/// frequency]`: |X|^0.3 with the phase of X, in units of the mixture's RMS. The sum of
///
/// - the mean absolute difference of ln|X|, where |X| below 1e-4 levels off smoothly,
/// - the mean squared difference of |X|^0.3,
/// - 0.05 times the mean smooth L1 difference (d²/2 up to 1, d - ½ above) of the compressed real and imaginary parts.
///
/// Unlike [`si_sdr`] it depends on the estimate's level. Gradients are finite where a spectrum is 0.
pub fn spectral(estimate: Tensor<4>, target: Tensor<4>) -> Tensor<1> {
    let energy = |spectrum: &Tensor<4>| spectrum.clone().square().sum_dim(1); // |X|^0.6, [batch, 1, time, frequency]
    let (of_estimate, of_target) = (energy(&estimate), energy(&target));
    let floor = LOG_FLOOR.powf(2.0 * EXPONENT);
    let log = |energy: &Tensor<4>| energy.clone().add_scalar(floor).log().div_scalar(2.0 * EXPONENT);
    let logs = (log(&of_estimate) - log(&of_target)).abs().mean();
    // The square's epsilon keeps the root's gradient finite at 0.
    let root = |energy: Tensor<4>| energy.add_scalar(SHORTEST).sqrt();
    let magnitudes = (root(of_estimate) - root(of_target)).square().mean();
    let distance = (estimate - target).abs();
    let bounded = distance.clone().clamp_max(1.0);
    let parts = (bounded.clone() * (distance - bounded.div_scalar(2.0))).mean();
    logs + magnitudes + parts.mul_scalar(PARTS)
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData};

    use super::*;
    use crate::metric;

    /// Waves of 400 samples that look like sound.
    fn wave(seed: u64, level: f32) -> Vec<f32> {
        let sample = |n: u64| {
            let phase = (n * (7 + seed)) as f32;
            level * ((phase * 0.031).sin() + 0.4 * (phase * phase * 0.003).sin())
        };
        (0..400).map(sample).collect()
    }

    fn rows(rows: &[&[f32]], device: &Device) -> Tensor<2> {
        Tensor::from_data(TensorData::new(rows.concat(), [rows.len(), rows[0].len()]), device)
    }

    fn host<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
        tensor.into_data().try_into_vec().unwrap()
    }

    fn loss_and_gradient(estimate: &[f32], target: &[f32], zero_mean: bool) -> (f32, Vec<f32>) {
        let device = Device::flex().autodiff();
        let estimate = rows(&[estimate], &device).require_grad();
        let loss = si_sdr(estimate.clone(), rows(&[target], &device), zero_mean).mean().neg();
        let gradients = loss.backward();
        (host(loss)[0], host(estimate.grad(&gradients).unwrap()))
    }

    #[test]
    fn it_is_the_metric_whatever_the_levels() {
        let target = wave(1, 0.3);
        for level in [1e-25, 1e-6, 1.0, 1e20_f32] {
            let noise = wave(5, 0.1);
            let estimate: Vec<f32> = target.iter().zip(&noise).map(|(t, n)| level * (t + n + 0.05)).collect();
            for zero_mean in [false, true] {
                let exact = |wave: &[f32]| wave.iter().copied().map(f64::from).collect::<Vec<_>>();
                let settings = metric::SiSdr { zero_mean, epsilon: 0.0 };
                let expected = metric::si_sdr(&exact(&estimate), &exact(&target), settings).unwrap();
                let (found, _) = loss_and_gradient(&estimate, &target, zero_mean);
                // f32 sums of 400 samples, near 10 dB: 1e-5 of a decibel in the energies.
                assert!(
                    (f64::from(found) + expected).abs() < 1e-4,
                    "{level} {zero_mean}: {found} {expected}"
                );
            }
        }
    }

    #[test]
    fn waves_of_a_batch_have_a_ratio_each() {
        let device = Device::flex();
        let (targets, estimates) = ([wave(1, 0.3), wave(2, 0.01)], [wave(3, 0.2), wave(2, 4.0)]);
        let both = |waves: &[Vec<f32>; 2]| rows(&[&waves[0], &waves[1]], &device);
        let found = host(si_sdr(both(&estimates), both(&targets), false));
        let alone = [0, 1].map(|n| -loss_and_gradient(&estimates[n], &targets[n], false).0);
        assert_eq!(found, alone);
    }

    #[test]
    fn copies_silence_and_constants_have_finite_losses_and_gradients() {
        let target = wave(1, 0.3);
        let (copy, gradient) = loss_and_gradient(&target, &target, false);
        // f32's rounding of a copy's own projection, 1e-7, has the square of that as energy: 1e-6 of ε.
        assert!((-80.01..-79.99).contains(&copy), "{copy}");
        assert!(gradient.iter().all(|g| g.is_finite()));
        for (estimate, zero_mean) in [(0.0, false), (0.0, true), (0.1, true)] {
            let (loss, gradient) = loss_and_gradient(&[estimate; 400], &target, zero_mean);
            assert_eq!(loss, 0.0, "{estimate} {zero_mean}");
            assert!(gradient.iter().all(|g| *g == 0.0), "{estimate} {zero_mean}");
        }
        let (loss, gradient) = loss_and_gradient(&target, &[0.0; 400], false);
        assert!((79.9..80.1).contains(&loss) && gradient.iter().all(|g| g.is_finite()), "{loss}");
    }

    #[test]
    fn its_gradient_is_that_of_differences() {
        let (target, estimate) = (wave(1, 0.3), wave(2, 0.2));
        for zero_mean in [false, true] {
            let (_, gradient) = loss_and_gradient(&estimate, &target, zero_mean);
            let exact = |wave: &[f32]| wave.iter().copied().map(f64::from).collect::<Vec<_>>();
            let settings = metric::SiSdr { zero_mean, epsilon: 0.0 };
            let at = |sample: usize, step: f64| {
                let mut moved = exact(&estimate);
                moved[sample] += step;
                -metric::si_sdr(&moved, &exact(&target), settings).unwrap()
            };
            let largest = gradient.iter().fold(0.0_f32, |max, g| max.max(g.abs()));
            for sample in (0..400).step_by(37) {
                let expected = (at(sample, 1e-6) - at(sample, -1e-6)) / 2e-6;
                // f32 sums of the loss; single values near 0 are differences of large ones.
                let error = (f64::from(gradient[sample]) - expected).abs() / f64::from(largest);
                assert!(error < 1e-4, "{sample}: {} {expected}", gradient[sample]);
            }
        }
    }

    /// A compressed spectrum `[1, 2, 1, 2]` of complex magnitudes.
    fn spectrum(values: [[f32; 2]; 2], device: &Device) -> Tensor<4> {
        Tensor::from_data(TensorData::new(values.concat(), [1, 2, 1, 2]), device)
    }

    #[test]
    fn the_spectral_loss_by_hand() {
        let device = Device::flex();
        // Compressed magnitudes 5 and 1 against 2.5 and 1; the parts differ by 1.5, 0, 2 and 0.
        let estimate = spectrum([[3.0, 1.0], [4.0, 0.0]], &device);
        let target = spectrum([[1.5, 1.0], [2.0, 0.0]], &device);
        let found = host(spectral(estimate.clone(), target))[0];
        let logs = 2.0_f64.ln() / 0.3 / 2.0;
        let (magnitudes, parts) = (2.5 * 2.5 / 2.0, (1.0 + 1.5) / 4.0);
        let expected = logs + magnitudes + 0.05 * parts;
        // The logarithm's floor is 0.004 beside 6.25: 4e-4 of ln, over 0.6 and two bins.
        assert!((f64::from(found) - expected).abs() < 1e-3, "{found} {expected}");
        assert_eq!(host(spectral(estimate.clone(), estimate))[0], 0.0);
    }

    #[test]
    fn silence_gives_the_spectral_loss_a_finite_gradient() {
        let device = Device::flex().autodiff();
        for target in [[[0.0, 1.0], [0.0, 0.5]], [[0.0; 2]; 2]] {
            let estimate = spectrum([[0.0; 2]; 2], &device).require_grad();
            let loss = spectral(estimate.clone(), spectrum(target, &device));
            let gradients = loss.backward();
            assert!(host(loss)[0].is_finite());
            let gradient = host(estimate.grad(&gradients).unwrap());
            assert!(gradient.iter().all(|g| g.is_finite()), "{gradient:?}");
        }
    }
}
