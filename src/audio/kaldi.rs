//! The log filter bank of Kaldi, as BEATs (arXiv 2212.09058) and EAT (arXiv 2401.03497) take it in: frames of 400 samples,
//! 160 apart, 128 bands from 20 to 8,000 Hz, at 16 kHz; no frame reaches over the clip's ends (`snip_edges`), no dither.

use std::f64::consts::TAU;
use std::sync::Arc;

use rustfft::num_complex::Complex;
use rustfft::{Fft, FftPlanner};

use super::Error;
use super::logmel::log2;
use super::mel::{LANES, SparseFilters};

/// The rate of the clips, in Hz.
pub const KALDI_RATE_HZ: u32 = 16_000;
/// Number of bands.
pub const KALDI_BANDS: usize = 128;

const FRAME_SAMPLES: usize = 400;
const HOP_SAMPLES: usize = 160;
/// A frame is filled up with zeros to this length.
const N_FFT: usize = 512;
/// Bins below half the rate, whose own bin no filter takes.
const BINS: usize = N_FFT / 2;
const PRE_EMPHASIS: f64 = 0.97;
/// Lower limit of a band before the logarithm: 2^-23, about 1.1920929e-7.
const FLOOR: f32 = f32::EPSILON;
/// Sums over so many samples make the means of overlapping frames: a frame has five of them, a hop two.
const PART_SAMPLES: usize = 80;
/// Larger samples, once scaled, are refused. The power of these, over all bins, is at most 512 · 400 · (2 · 10^16)² = 8e37,
/// which an f32 holds.
const LARGEST_SCALED: f32 = 1e16;

/// The taper of a frame; both are symmetric and 0 on a frame's first and last sample.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Window {
    /// sin²(πn/399).
    Hann,
    /// The Hann window to the power of 0.85: Kaldi's default.
    Povey,
}

/// In what the front ends of the networks differ.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct KaldiSpec {
    /// Factor of the samples, which lie in -1..1.
    scale: f32,
    window: Window,
    /// Mean of the data that the network was trained on, in ln of power.
    mean: f32,
    /// Standard deviation of the same.
    deviation: f32,
}

impl KaldiSpec {
    /// The front end of BEATs: samples as 16-bit integers have them.
    #[must_use]
    pub fn beats() -> Self {
        Self { scale: 32_768.0, window: Window::Povey, mean: 15.416_63, deviation: 6.555_82 }
    }

    /// The front end of EAT.
    ///
    /// Its reference subtracts the clip's mean first. Each frame's own mean is subtracted anyway, and what a constant adds to
    /// the clip goes with it, so that step has no effect and there is none here.
    #[must_use]
    pub fn eat() -> Self {
        Self { scale: 1.0, window: Window::Hann, mean: -4.268, deviation: 4.569 }
    }
}

/// A filter bank, planned once and shared by all threads, each with its own [`KaldiScratch`].
///
/// Samples are f32, all up to the power is f64. `torchaudio.compliance.kaldi.fbank`, which the networks were trained with,
/// runs in f32. On ordinary clips the two agree to 1e-4. Beside a full-scale tone its rounding moves the quietest bands: by up
/// to 0.014 for a tone of 16 bits and 0.24 for one in f32; ours are within 3e-6 of the same function run in f64.
///
/// Two real frames go through one complex transform. In f64 that is faster than a real transform for each in f32, and nothing
/// of a loud frame's rounding is seen in its partner, as it would be in f32.
pub struct KaldiBank {
    spec: KaldiSpec,
    /// The taper, with the scale and a factor ½ that the split of two frames' spectra needs.
    window: Vec<f64>,
    fft: Arc<dyn Fft<f64>>,
    filters: SparseFilters,
}

/// One thread's work space.
#[derive(Debug, Default)]
pub struct KaldiScratch {
    /// Pre-emphasised samples of a block of frames.
    emphasised: Vec<f64>,
    /// Sums of the block's samples, [`PART_SAMPLES`] each.
    parts: Vec<f64>,
    /// Two frames each, one as the real and one as the imaginary part.
    pairs: Vec<[Complex<f64>; N_FFT]>,
    fft: Vec<Complex<f64>>,
    /// Power spectra of a block of frames, a row per bin.
    spectra: Vec<[f32; LANES]>,
}

impl KaldiBank {
    /// Plans the transform and the filters.
    #[must_use]
    pub fn new(spec: KaldiSpec) -> Self {
        let factor = 0.5 * f64::from(spec.scale);
        Self {
            spec,
            window: window(spec.window).into_iter().map(|weight| factor * weight).collect(),
            fft: FftPlanner::new().plan_fft_forward(N_FFT),
            filters: filters(),
        }
    }

    /// The settings.
    #[must_use]
    pub fn spec(&self) -> KaldiSpec {
        self.spec
    }

    /// Number of frames that lie within a clip: 1 + (samples - 400) / 160, or none.
    #[must_use]
    pub fn frames(&self, n_samples: usize) -> usize {
        n_samples.checked_sub(FRAME_SAMPLES).map_or(0, |after_first| 1 + after_first / HOP_SAMPLES)
    }

    /// The least number of samples that give a filter bank of at least `frames` frames.
    #[must_use]
    pub fn min_samples(&self, frames: usize) -> usize {
        frames.saturating_sub(1).saturating_mul(HOP_SAMPLES).saturating_add(FRAME_SAMPLES)
    }

    /// The raw filter bank, ln(max(band, 2^-23)), into `out` `[frames(samples.len()), 128]`, row-major.
    ///
    /// # Errors
    /// [`Error::TooShort`] for a clip without a whole frame, [`Error::PowerNotFinite`] where samples are NaN, infinite or so
    /// large that their power may be, [`Error::Shape`] where `out` has another length.
    pub fn compute_into(
        &self,
        samples: &[f32],
        scratch: &mut KaldiScratch,
        out: &mut [f32],
    ) -> Result<(), Error> {
        self.check_length(samples)?;
        let frames = self.frames(samples.len());
        if out.len() != frames * KALDI_BANDS {
            return Err(shape(out.len(), format!("{frames} x {KALDI_BANDS} values")));
        }
        self.rows_into(samples, scratch, out)
    }

    /// As [`KaldiBank::compute_into`], for a network that takes a fixed number of frames: `out` holds any number of rows of
    /// 128; frames beyond them are left out, and rows beyond the clip are 0. EAT's reference pads so before it normalises.
    ///
    /// # Errors
    /// As [`KaldiBank::compute_into`].
    pub fn fit_into(
        &self,
        samples: &[f32],
        scratch: &mut KaldiScratch,
        out: &mut [f32],
    ) -> Result<(), Error> {
        self.check_length(samples)?;
        if !out.len().is_multiple_of(KALDI_BANDS) {
            return Err(shape(out.len(), format!("rows of {KALDI_BANDS} values")));
        }
        let filled = out.len().min(self.frames(samples.len()) * KALDI_BANDS);
        let (rows, padding) = out.split_at_mut(filled);
        padding.fill(0.0);
        self.rows_into(samples, scratch, rows)
    }

    /// Turns raw values, padding included, into the network's input in place: (x - mean) / (2 · deviation).
    pub fn normalise(&self, values: &mut [f32]) {
        let KaldiSpec { mean, deviation, .. } = self.spec;
        for value in values {
            *value = (*value - mean) / (2.0 * deviation);
        }
    }

    fn check_length(&self, samples: &[f32]) -> Result<(), Error> {
        let needed = self.min_samples(1);
        if samples.len() >= needed {
            return Ok(());
        }
        let reason = "a frame of the Kaldi filter bank has as many".to_owned();
        Err(Error::TooShort { samples: samples.len(), needed, reason })
    }

    /// The first frames of a clip that has at least as many as `out` has rows.
    fn rows_into(&self, samples: &[f32], scratch: &mut KaldiScratch, out: &mut [f32]) -> Result<(), Error> {
        let frames = out.len() / KALDI_BANDS;
        if frames == 0 {
            return Ok(());
        }
        let samples = &samples[..self.min_samples(frames)];
        check_samples(samples, LARGEST_SCALED / self.spec.scale)?;
        scratch.fit(self);
        for (block, bands) in out.chunks_mut(LANES * KALDI_BANDS).enumerate() {
            let frames = bands.len() / KALDI_BANDS;
            let first = block * LANES * HOP_SAMPLES;
            scratch.load(&samples[first..first + self.min_samples(frames)]);
            self.power(frames, scratch);
            self.filters.apply(&scratch.spectra, bands);
            for value in bands {
                *value = std::f32::consts::LN_2 * log2(value.max(FLOOR));
            }
        }
        Ok(())
    }

    /// Power spectra of the loaded block of frames, a lane per frame.
    fn power(&self, frames: usize, scratch: &mut KaldiScratch) {
        let KaldiScratch { emphasised, parts, pairs, fft, spectra } = scratch;
        for (pair, values) in pairs.iter_mut().enumerate() {
            // Lanes beyond the last frame are not read: they repeat it.
            let (lane, other) = ((2 * pair).min(frames - 1), (2 * pair + 1).min(frames - 1));
            let (mean, other_mean) = (emphasised_mean(parts, lane), emphasised_mean(parts, other));
            let samples = emphasised_frame(emphasised, lane).iter().zip(emphasised_frame(emphasised, other));
            let (frame, padding) = values.split_at_mut(FRAME_SAMPLES);
            for ((value, (re, im)), weight) in frame.iter_mut().zip(samples).zip(&self.window) {
                *value = Complex::new((re - mean) * weight, (im - other_mean) * weight);
            }
            padding.fill(Complex::default());
            self.fft.process_with_scratch(values, fft);
        }
        // With Z of a + ib: 2A = Z[k] + conj Z[-k], 2iB = Z[k] - conj Z[-k]; the ½ is in the window.
        for (bin, lanes) in (1..BINS).zip(&mut spectra[1..]) {
            for (values, powers) in pairs.iter().zip(lanes.as_chunks_mut::<2>().0) {
                let (z, mirrored) = (values[bin], values[N_FFT - bin]);
                let (sum, difference) = (z + mirrored, z - mirrored);
                let one = sum.re * sum.re + difference.im * difference.im;
                let other = sum.im * sum.im + difference.re * difference.re;
                *powers = [one as f32, other as f32];
            }
        }
    }
}

impl KaldiScratch {
    /// Sizes the buffers; does nothing when they fit already.
    fn fit(&mut self, bank: &KaldiBank) {
        self.pairs.resize(LANES / 2, [Complex::default(); N_FFT]);
        self.fft.resize(bank.fft.get_inplace_scratch_len(), Complex::default());
        self.spectra.resize(BINS, [0.0; LANES]);
    }

    /// Takes in the samples of a block of frames.
    ///
    /// What stands before a frame's first sample does not matter, since the windows are 0 there.
    fn load(&mut self, samples: &[f32]) {
        self.emphasised.clear();
        self.emphasised.push(0.0);
        let pairs = samples.iter().zip(&samples[1..]);
        self.emphasised
            .extend(pairs.map(|(before, now)| f64::from(*now) - PRE_EMPHASIS * f64::from(*before)));
        self.parts.clear();
        self.parts.extend(samples.chunks_exact(PART_SAMPLES).map(sum));
    }
}

fn emphasised_frame(emphasised: &[f64], frame: usize) -> &[f64] {
    &emphasised[frame * HOP_SAMPLES..][..FRAME_SAMPLES]
}

/// What pre-emphasis makes of a frame's mean: subtracting it afterwards is the same as the mean before.
fn emphasised_mean(parts: &[f64], frame: usize) -> f64 {
    let first = frame * HOP_SAMPLES / PART_SAMPLES;
    let total: f64 = parts[first..first + FRAME_SAMPLES / PART_SAMPLES].iter().sum();
    (1.0 - PRE_EMPHASIS) * total / FRAME_SAMPLES as f64
}

/// A sum in f64, of four sums side by side.
fn sum(samples: &[f32]) -> f64 {
    let mut sums = [0.0_f64; 4];
    for four in samples.chunks_exact(4) {
        for (sum, sample) in sums.iter_mut().zip(four) {
            *sum += f64::from(*sample);
        }
    }
    sums.iter().sum()
}

fn check_samples(samples: &[f32], largest: f32) -> Result<(), Error> {
    let fits = |sample: &f32| sample.abs() <= largest; // false for NaN
    // Without a way out of the loop it becomes a vector loop.
    if samples.iter().fold(true, |all, sample| all & fits(sample)) {
        return Ok(());
    }
    let at = samples.iter().position(|sample| !fits(sample)).unwrap_or(0);
    let frame = at.checked_sub(FRAME_SAMPLES).map_or(0, |beyond_first| 1 + beyond_first / HOP_SAMPLES);
    Err(Error::PowerNotFinite { frame })
}

fn shape(found: usize, expected: String) -> Error {
    Error::Shape { action: "compute the Kaldi filter bank", found: found.to_string(), expected }
}

fn window(window: Window) -> Vec<f64> {
    let power = match window {
        Window::Hann => 1.0,
        Window::Povey => 0.85,
    };
    let hann = |n: usize| 0.5 - 0.5 * (TAU * n as f64 / (FRAME_SAMPLES - 1) as f64).cos();
    (0..FRAME_SAMPLES).map(|n| hann(n).powf(power)).collect()
}

/// Triangles on the mel scale, 1127·ln(1 + f/700), of height 1, with slopes straight in mel.
///
/// The fourth lies between two bins and takes none: that band is always at the floor. Computed with torchaudio's f32 roundings,
/// which move single weights by up to 1.4e-5.
fn filters() -> SparseFilters {
    let mel_of = |hz: f64| 1127.0 * (1.0 + hz / 700.0).ln();
    let lowest = mel_of(20.0);
    let step = ((mel_of(f64::from(KALDI_RATE_HZ) / 2.0) - lowest) / (KALDI_BANDS + 1) as f64) as f32;
    let edge = |index: usize| lowest as f32 + index as f32 * step;
    let bin_hz = KALDI_RATE_HZ as f32 / N_FFT as f32;
    let bin_mel = |bin: usize| 1127.0 * (f64::from(1.0 + bin as f32 * bin_hz / 700.0).ln() as f32);
    let mut filters = SparseFilters::default();
    for band in 0..KALDI_BANDS {
        let (left, centre, right) = (edge(band), edge(band + 1), edge(band + 2));
        let weight = |bin: usize| {
            let mel = bin_mel(bin);
            ((mel - left) / (centre - left)).min((right - mel) / (right - centre))
        };
        let first = (0..BINS).find(|bin| weight(*bin) > 0.0).unwrap_or(0);
        let place = filters.weights.len();
        filters.weights.extend((first..BINS).map(weight).take_while(|weight| *weight > 0.0));
        filters.runs.push((first, place..filters.weights.len()));
    }
    filters
}

#[cfg(test)]
mod tests;
