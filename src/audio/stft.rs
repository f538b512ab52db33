//! The short-time Fourier transform's power, frame by frame: periodic Hann window, frames centred
//! on multiples of the hop.

use std::f64::consts::TAU;
use std::sync::Arc;

use realfft::num_complex::Complex;
use realfft::{RealFftPlanner, RealToComplex};

use super::mel::LANES;
use super::spec::Padding;

/// A planned transform; shared by threads, each with its own [`FrameBuffers`].
///
/// The transform runs in f64: beside a full-scale tone, an f32 FFT's rounding moves the quietest
/// bands of a 16-bit clip by 0.1 to 9 dB (librosa, whose FFT is in f64 too, has them right). It costs
/// 0.1 ms more per 10 s clip.
pub(super) struct Stft {
    n_fft: usize,
    hop_samples: usize,
    padding: Padding,
    window: Vec<f64>,
    fft: Arc<dyn RealToComplex<f64>>,
}

/// One thread's work space.
#[derive(Debug, Default)]
pub(super) struct FrameBuffers {
    frame: Vec<f64>,
    spectrum: Vec<Complex<f64>>,
    fft: Vec<Complex<f64>>,
}

impl Stft {
    pub fn new(n_fft: usize, hop_samples: usize, padding: Padding) -> Self {
        let fft = RealFftPlanner::new().plan_fft_forward(n_fft);
        Self { n_fft, hop_samples, padding, window: hann_periodic(n_fft), fft }
    }

    /// Number of frames of a clip: 1 + samples / hop for even FFT lengths (librosa, `center=True`).
    pub fn frames(&self, samples: usize) -> usize {
        // Padded by half a window on both sides; an odd window leaves one sample fewer to move in.
        let padded = samples + 2 * (self.n_fft / 2);
        if padded < self.n_fft { 0 } else { 1 + (padded - self.n_fft) / self.hop_samples }
    }

    /// The least number of samples that gives `frames` frames.
    pub fn min_samples(&self, frames: usize) -> usize {
        let for_frames = (frames.saturating_sub(1)).saturating_mul(self.hop_samples) + self.n_fft % 2;
        for_frames.max(self.min_samples_of_padding())
    }

    /// The least number of samples that can be padded: a mirror needs as many samples as it shows,
    /// and the one it stands on.
    pub fn min_samples_of_padding(&self) -> usize {
        match self.padding {
            Padding::Reflect => self.n_fft / 2 + 1,
            Padding::Constant => 1,
        }
    }

    /// Power spectrum |X|² of frame `index`, into lane `lane` of `spectra` (a row per bin).
    ///
    /// `samples` must hold at least [`Stft::min_samples_of_padding`].
    pub fn power_frame(
        &self,
        samples: &[f32],
        index: usize,
        buffers: &mut FrameBuffers,
        spectra: &mut [[f32; LANES]],
        lane: usize,
    ) {
        for (lanes, bin) in spectra.iter_mut().zip(self.spectrum(samples, index, buffers)) {
            // An overflow becomes infinite here and is found by the caller.
            lanes[lane] = bin.norm_sqr() as f32;
        }
    }

    /// Complex spectrum of frame `index`: `n_fft / 2 + 1` bins.
    ///
    /// `samples` must hold at least [`Stft::min_samples_of_padding`].
    pub fn spectrum<'a>(
        &self,
        samples: &[f32],
        index: usize,
        buffers: &'a mut FrameBuffers,
    ) -> &'a [Complex<f64>] {
        buffers.fit(self);
        self.window_frame(samples, index, &mut buffers.frame);
        self.fft
            .process_with_scratch(&mut buffers.frame, &mut buffers.spectrum, &mut buffers.fft)
            .expect("the buffers were sized by the plan");
        &buffers.spectrum
    }

    /// Cuts frame `index` out of the padded clip and applies the window.
    fn window_frame(&self, samples: &[f32], index: usize, frame: &mut [f64]) {
        let half = self.n_fft / 2;
        let start = index * self.hop_samples; // in the padded clip: `half` ahead of the clip itself
        if let Some(inside) = start.checked_sub(half).and_then(|first| samples.get(first..first + self.n_fft))
        {
            for ((value, sample), weight) in frame.iter_mut().zip(inside).zip(&self.window) {
                *value = f64::from(*sample) * weight;
            }
            return;
        }
        for (offset, (value, weight)) in frame.iter_mut().zip(&self.window).enumerate() {
            *value = f64::from(self.padded_sample(samples, start + offset)) * weight;
        }
    }

    /// Sample at `position` of the padded clip.
    fn padded_sample(&self, samples: &[f32], position: usize) -> f32 {
        let half = self.n_fft / 2;
        let at = match self.padding {
            Padding::Constant => position.checked_sub(half),
            // Neither mirror repeats the sample that it stands on.
            Padding::Reflect if position < half => Some(half - position),
            Padding::Reflect if position - half < samples.len() => Some(position - half),
            Padding::Reflect => (2 * (samples.len() - 1)).checked_sub(position - half),
        };
        at.and_then(|at| samples.get(at)).copied().unwrap_or(0.0)
    }
}

impl FrameBuffers {
    /// Sizes the buffers for a transform; does nothing when they fit already.
    fn fit(&mut self, stft: &Stft) {
        self.frame.resize(stft.n_fft, 0.0);
        self.spectrum.resize(stft.fft.complex_len(), Complex::default());
        self.fft.resize(stft.fft.get_scratch_len(), Complex::default());
    }
}

/// The periodic Hann window: sin²(πn/N), as `scipy.signal.get_window("hann", N)`.
pub(super) fn hann_periodic(length: usize) -> Vec<f64> {
    (0..length).map(|n| 0.5 - 0.5 * (TAU * n as f64 / length as f64).cos()).collect()
}
