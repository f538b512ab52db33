//! From waves to spectra and back, on the device: matrix products and shifted sums, through which gradients go.
//!
//! `torch.stft` and `torch.istft` with a periodic Hamming window as long as the transform, centred, reflect padding. A
//! frame is `n_fft / hop` blocks of one hop, so frames are cut and added again without an index.

use std::f64::consts::TAU;
use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};

/// Exponent of the magnitudes that the network sees; their phases stay.
pub const EXPONENT: f64 = 0.3;
/// Added to |X|² where X is in units of the wave's RMS, so that gradients at 0 stay finite: -120 dB.
const FLOOR: f64 = 1e-12;
/// Added to a wave's mean square: silence stays silence.
const SILENCE: f64 = 1e-20;

/// A short-time Fourier transform and its inverse.
#[derive(Debug, Clone)]
pub struct Stft {
    n_fft: usize,
    hop: usize,
    window: Vec<f64>,
    /// Window and transform, `[n_fft, 2·bins]`.
    analysis: Arc<Vec<f32>>,
    /// Inverse transform and window, `[2·bins, n_fft]`.
    synthesis: Arc<Vec<f32>>,
}

impl Stft {
    /// `hop_samples` must divide `n_fft`, which must be even.
    ///
    /// # Panics
    /// When they are not so.
    pub fn new(n_fft: usize, hop_samples: usize) -> Self {
        let fit =
            n_fft > 0 && n_fft.is_multiple_of(2) && hop_samples > 0 && n_fft.is_multiple_of(hop_samples);
        assert!(fit, "a transform of {n_fft} samples with a hop of {hop_samples}");
        let (bins, last) = (n_fft / 2 + 1, n_fft / 2);
        let window: Vec<f64> =
            (0..n_fft).map(|n| 0.54 - 0.46 * (TAU * n as f64 / n_fft as f64).cos()).collect();
        let mut analysis = vec![0.0; n_fft * 2 * bins];
        let mut synthesis = vec![0.0; 2 * bins * n_fft];
        for (n, window) in window.iter().enumerate() {
            for bin in 0..bins {
                // The product is taken modulo a whole turn, so that no digit is lost.
                let (sin, cos) = (TAU * (n * bin % n_fft) as f64 / n_fft as f64).sin_cos();
                analysis[n * 2 * bins + bin] = (window * cos) as f32;
                analysis[n * 2 * bins + bins + bin] = (-window * sin) as f32;
                // The two bins that are their own mirror images count once.
                let weight = if bin == 0 || bin == last { 1.0 } else { 2.0 } / n_fft as f64;
                synthesis[bin * n_fft + n] = (window * weight * cos) as f32;
                synthesis[(bins + bin) * n_fft + n] = (-window * weight * sin) as f32;
            }
        }
        Self { n_fft, hop: hop_samples, window, analysis: Arc::new(analysis), synthesis: Arc::new(synthesis) }
    }

    /// Frequencies of a spectrum.
    pub fn bins(&self) -> usize {
        self.n_fft / 2 + 1
    }

    /// Frames of a wave of so many samples.
    pub fn frames(&self, samples: usize) -> usize {
        1 + samples / self.hop
    }

    /// `[batch, samples]` → real and imaginary parts `[batch, 2, frames, bins]`.
    ///
    /// # Panics
    /// With `n_fft / 2` samples or fewer: there is nothing to reflect.
    pub fn forward(&self, wave: Tensor<2>) -> Tensor<4> {
        let ([batch, samples], half) = (wave.dims(), self.n_fft / 2);
        assert!(samples > half, "a wave of {samples} samples for a transform of {}", self.n_fft);
        let before = wave.clone().narrow(1, 1, half).flip([1]);
        let after = wave.clone().narrow(1, samples - 1 - half, half).flip([1]);
        let (frames, overlap) = (self.frames(samples), self.n_fft / self.hop);
        let blocks = frames - 1 + overlap;
        let padded = Tensor::cat(vec![before, wave, after], 1).narrow(1, 0, blocks * self.hop);
        let blocks = padded.reshape([batch, blocks, self.hop]);
        let parts = (0..overlap).map(|part| blocks.clone().narrow(1, part, frames)).collect();
        let framed = Tensor::cat(parts, 2).reshape([batch * frames, self.n_fft]);
        let analysis = matrix(&self.analysis, [self.n_fft, 2 * self.bins()], &framed.device());
        framed.matmul(analysis).reshape([batch, frames, 2, self.bins()]).swap_dims(1, 2)
    }

    /// The inverse of [`Stft::forward`]: `[batch, 2, frames, bins]` → `[batch, samples]`.
    pub fn inverse(&self, spectrum: Tensor<4>, samples: usize) -> Tensor<2> {
        let [batch, _, frames, bins] = spectrum.dims();
        let device = spectrum.device();
        let rows = spectrum.swap_dims(1, 2).reshape([batch * frames, 2 * bins]);
        let framed = rows.matmul(matrix(&self.synthesis, [2 * bins, self.n_fft], &device));
        let framed = framed.reshape([batch, frames, self.n_fft]);
        let overlap = self.n_fft / self.hop;
        let blocks = frames - 1 + overlap;
        let part = |part: usize| {
            let middle = framed.clone().narrow(2, part * self.hop, self.hop);
            let silence = |blocks| Tensor::zeros([batch, blocks, self.hop], &device);
            Tensor::cat(vec![silence(part), middle, silence(overlap - 1 - part)], 1)
        };
        let sum = (1..overlap).fold(part(0), |sum, next| sum + part(next));
        let envelope = Tensor::<1>::from_data(self.envelope(blocks).as_slice(), &device);
        let wave = sum.reshape([batch, blocks * self.hop]) / envelope.unsqueeze::<2>();
        wave.narrow(1, self.n_fft / 2, samples)
    }

    /// Sum of the squared windows over each sample.
    fn envelope(&self, blocks: usize) -> Vec<f32> {
        let mut sum = vec![0.0; blocks * self.hop];
        for frame in 0..=blocks - self.n_fft / self.hop {
            let covered = &mut sum[frame * self.hop..][..self.n_fft];
            covered.iter_mut().zip(&self.window).for_each(|(sum, window)| *sum += window * window);
        }
        sum.into_iter().map(|sum| sum as f32).collect()
    }
}

fn matrix(values: &[f32], shape: [usize; 2], device: &Device) -> Tensor<2> {
    Tensor::from_data(TensorData::new(values.to_vec(), shape), device)
}

/// Root of the mean square of each wave `[batch, samples]`: `[batch, 1]`, never 0.
pub fn rms(wave: Tensor<2>) -> Tensor<2> {
    wave.square().mean_dim(1).add_scalar(SILENCE).sqrt()
}

/// Magnitudes to the power of 0.3, phases kept; `[batch, 2, frames, bins]` in units of the wave's RMS.
pub fn compress(spectrum: Tensor<4>) -> Tensor<4> {
    with_power(spectrum, EXPONENT)
}

/// The inverse of [`compress`].
pub fn expand(spectrum: Tensor<4>) -> Tensor<4> {
    with_power(spectrum, 1.0 / EXPONENT)
}

/// X·|X|^(power - 1), without an angle, whose gradient has no value at 0.
fn with_power(spectrum: Tensor<4>, power: f64) -> Tensor<4> {
    let square = spectrum.clone().square().sum_dim(1).add_scalar(FLOOR); // [batch, 1, frames, bins]
    spectrum * square.powf_scalar((power - 1.0) / 2.0)
}

/// Magnitudes `[batch, 1, frames, bins]`.
pub fn magnitude(spectrum: Tensor<4>) -> Tensor<4> {
    spectrum.square().sum_dim(1).add_scalar(FLOOR).sqrt()
}
