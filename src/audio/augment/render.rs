//! A view as sound: a phase vocoder, a resampler, and filters for the masks.

use std::sync::Arc;

use realfft::num_complex::Complex;
use realfft::{ComplexToReal, RealFftPlanner};

use super::super::logmel::LogMel;
use super::super::mel::mel_filters;
use super::super::stft::{FrameBuffers, Stft, hann_periodic};
use super::super::{Error, LogMelSpec, Padding, resample};
use super::pitch;
use super::plan::{Mask, ViewPlan};

/// Steps of a pitch shift's ratio; the nearest of them is at most 0.9 cents away for an unshifted sound.
const RATIO_STEPS: u32 = 1000;

/// The sound of a view: `round(segment / speed)` samples.
///
/// A pitch shift is a time stretch by its ratio, played that much faster.
pub(super) fn render(front_end: &LogMel, segment: &[f32], plan: &ViewPlan) -> Result<Vec<f32>, Error> {
    let spec = front_end.spec();
    let samples = ((segment.len() as f64 / plan.speed).round() as usize).max(1);
    let vocoder = Vocoder::new(spec);
    let flat = vec![1.0; spec.bins()];
    let steps = (pitch::ratio(plan.semitones) * f64::from(RATIO_STEPS)).round() as u32;
    let speed = plan.speed * f64::from(RATIO_STEPS) / f64::from(steps);
    let mut sound = segment.to_vec();
    if speed != 1.0 {
        sound = vocoder.stretch(&sound, speed, &flat);
    }
    sound = resample(&sound, steps, RATIO_STEPS)?;
    if !plan.frequency_masks.is_empty() {
        sound = vocoder.stretch(&sound, 1.0, &gains(spec, &plan.frequency_masks));
    }
    sound.resize(samples, 0.0);
    for mask in &plan.time_masks {
        silence(&mut sound, spec.hop_samples, *mask);
    }
    Ok(sound)
}

/// What is left of each bin when bands are missing: the share of its weight that lies in the other bands.
fn gains(spec: &LogMelSpec, masks: &[Mask]) -> Vec<f64> {
    let filters = mel_filters(spec);
    let masked =
        |band: usize| masks.iter().any(|mask| (mask.first..mask.first + mask.length).contains(&band));
    let share = |weights: ndarray::ArrayView1<'_, f32>| {
        let (mut all, mut left) = (0.0, 0.0);
        for (band, weight) in weights.iter().enumerate() {
            all += f64::from(*weight);
            left += if masked(band) { 0.0 } else { f64::from(*weight) };
        }
        if all > 0.0 { left / all } else { 1.0 }
    };
    filters.columns().into_iter().map(share).collect()
}

/// Silences the frames of a mask, with an eighth of a hop to fade at either end.
fn silence(sound: &mut [f32], hop_samples: usize, mask: Mask) {
    let hop = hop_samples as f64;
    // A frame stands for the hop around its centre.
    let (from, to) = ((mask.first as f64 - 0.5) * hop, ((mask.first + mask.length) as f64 - 0.5) * hop);
    let (first, last) = (from.max(0.0) as usize, (to as usize).min(sound.len()));
    for (at, sample) in sound.iter_mut().enumerate().take(last).skip(first) {
        let inside = (at as f64 - from).min(to - at as f64);
        *sample *= (1.0 - inside / (hop / 8.0)).clamp(0.0, 1.0) as f32;
    }
}

/// Stretches sound by way of short-time spectra a quarter of a frame apart or less: with the front end's own hop,
/// half a frame, a phase vocoder's frames do not overlap enough to hide their seams.
struct Vocoder {
    n_fft: usize,
    hop_samples: usize,
    /// Frames at every sample.
    stft: Stft,
    window: Vec<f64>,
    inverse: Arc<dyn ComplexToReal<f64>>,
}

impl Vocoder {
    fn new(spec: &LogMelSpec) -> Self {
        let n_fft = spec.n_fft;
        Self {
            n_fft,
            hop_samples: (n_fft / 4).min(spec.hop_samples).max(1),
            // Outside of the sound is silence, however short it is.
            stft: Stft::new(n_fft, 1, Padding::Constant),
            window: hann_periodic(n_fft),
            inverse: RealFftPlanner::new().plan_fft_inverse(n_fft),
        }
    }

    /// `round(samples / speed)` samples of the same pitch, with a gain per bin. At speed 1 and gain 1 it is the sound
    /// itself, but for rounding.
    ///
    /// Each frame of the result has the magnitudes of the sound at its place, and phases that go on from the frame
    /// before by what the sound's own phases do over one hop up to that place.
    fn stretch(&self, sound: &[f32], speed: f64, gains: &[f64]) -> Vec<f32> {
        let samples = (sound.len() as f64 / speed).round() as usize;
        let (half, hop) = (self.n_fft / 2, self.hop_samples);
        // A hop of silence ahead, for the hop up to the first places.
        let source = [&vec![0.0; hop], sound].concat();
        // Both with half a frame ahead of the result's first sample, and a frame behind its last one.
        let mut sums = vec![0.0_f64; samples + hop + 2 * self.n_fft];
        let mut squares = sums.clone();
        let (mut before, mut here) = (FrameBuffers::default(), FrameBuffers::default());
        let mut phases = vec![Complex::new(1.0, 0.0); self.n_fft / 2 + 1];
        let mut spectrum = self.inverse.make_input_vec();
        let mut frame = self.inverse.make_output_vec();
        for index in 0..=samples.div_ceil(hop) {
            let start = index * hop;
            let place = hop + (start as f64 * speed).round() as usize;
            let now = self.stft.spectrum(&source, place, &mut here);
            let then = self.stft.spectrum(&source, place - hop, &mut before);
            for (bin, value) in spectrum.iter_mut().enumerate() {
                let turn = unit(now[bin]) * unit(then[bin]).conj();
                phases[bin] = if index == 0 { unit(now[bin]) } else { unit(phases[bin] * turn) };
                *value = phases[bin] * now[bin].norm() * gains[bin];
            }
            // A real signal's spectrum is real at both ends; the inverse insists on it.
            spectrum[0].im = 0.0;
            if self.n_fft.is_multiple_of(2) {
                spectrum[half].im = 0.0;
            }
            self.inverse.process(&mut spectrum, &mut frame).expect("the buffers were sized by the plan");
            for (offset, (value, weight)) in frame.iter().zip(&self.window).enumerate() {
                sums[start + offset] += value * weight / self.n_fft as f64;
                squares[start + offset] += weight * weight;
            }
        }
        let normal = |(sum, square): (&f64, &f64)| if *square > 1e-9 { (sum / square) as f32 } else { 0.0 };
        sums.iter().zip(&squares).skip(half).take(samples).map(normal).collect()
    }
}

/// The number of length 1 in the same direction; 1 for 0.
fn unit(value: Complex<f64>) -> Complex<f64> {
    let length = value.norm();
    if length > 0.0 && length.is_finite() { value / length } else { Complex::new(1.0, 0.0) }
}
