//! Views of a clip: the same sound, a little different, as contrastive learning compares them.
//!
//! ```text
//! clip -> segment -> + white noise -> power spectra -> time stretch -> pitch shift, mel -> dB -> masks
//! ```
//!
//! A network sees log-mels, and a log-mel holds no phases. So a view is made in one pass over one short-time
//! spectrum and never turned back into sound: what a phase vocoder does to magnitudes is all that is left of a time
//! stretch, and a pitch shift is another set of mel filters. [`Augmenter::render`] makes the sound as well, for ears.
//!
//! - **White noise** is added to the samples, so it passes through whatever follows, as the recording does.
//! - **Time stretch**: frame t of the view is read between the frames of the clip at t · speed, from *magnitudes*.
//!   Between two frames of noise this takes up to 0.5 dB off, as any phase vocoder does.
//! - **Pitch shift** *moves* each bin's power to 2^(semitones/12) times its frequency (`pitch.rs`). Power is kept,
//!   for tones and for noise: what is moved beyond half the sample rate is lost, and bands that no bin is moved into
//!   are silent, so they lie at the front end's floor.
//! - **Masks** (SpecAugment, arXiv 1904.08779) take the view's mean, measured before the first mask: in dB, silence
//!   would be an outlier a hundred below everything else, and would be the loudest thing about a view once its values
//!   are normalised.
//!
//! Cost (`benches/views.rs`, medians of one run on one busy core): a view of a 10 s clip of 16 kHz with everything on
//! takes 1.4 times as long as its plain log-mel (2.4 ms for 1.8 ms, with reading the file). Of what is added, noise is
//! 0.5 ms with its copy of the samples, time stretch 0.25, pitch shift 0.07, masks 0.02.

mod noise;
mod pitch;
mod plan;
mod render;
mod spec;

pub use plan::{Mask, Noise, ViewPlan};
pub use spec::{AugmentSpec, FrequencyMask, PitchShift, TimeMask, TimeStretch, WhiteNoise};

use std::borrow::Cow;

use rand::Rng;

use super::logmel::LogMel;
use super::mel::{LANES, SparseFilters};
use super::mixing::mean_square;
use super::stft::FrameBuffers;
use super::{Error, LogMelSpec};
use plan::Drawn;

/// Makes views; planned once and shared by all threads.
pub struct Augmenter {
    front_end: LogMel,
    spec: AugmentSpec,
    frames: usize,
}

/// One thread's work space; fits itself to the augmenter that it is used with.
#[derive(Debug, Default)]
pub struct ViewScratch {
    buffers: FrameBuffers,
    /// Power spectra of a block of frames, a row per bin.
    spectra: Vec<[f32; LANES]>,
    /// Samples of a segment that is not a part of the clip as it is.
    segment: Vec<f32>,
    stretch: Stretch,
    moved: SparseFilters,
}

/// Reads between the frames of a clip, in their order.
#[derive(Debug, Default)]
struct Stretch {
    /// Magnitudes of the last two frames that were computed.
    left: Vec<f32>,
    right: Vec<f32>,
    /// Index of the frame after `right`; 0 before the first one.
    next: usize,
}

impl Augmenter {
    /// Plans the front end for views of `frames` frames.
    ///
    /// # Errors
    /// [`Error::Setting`] where a setting is out of its range.
    pub fn new(front_end: &LogMelSpec, augment: &AugmentSpec, frames: usize) -> Result<Self, Error> {
        augment.ensure()?;
        if !(1..=1 << 20).contains(&frames) {
            let expected = "from 1 to 1048576".to_owned();
            return Err(Error::Setting { key: "frames", value: frames.to_string(), expected });
        }
        Ok(Self { front_end: LogMel::new(front_end)?, spec: augment.clone(), frames })
    }

    /// Frames of a view.
    #[must_use]
    pub fn frames(&self) -> usize {
        self.frames
    }

    /// The front end that views are made with.
    #[must_use]
    pub fn front_end(&self) -> &LogMel {
        &self.front_end
    }

    /// Draws every random parameter of one view of a clip of `n_samples` samples.
    ///
    /// A clip that is longer than the view is cut at a drawn place; one that is shorter is repeated from its first
    /// sample on; one that has as many frames as the view is taken whole.
    pub fn draw(&self, n_samples: usize, rng: &mut impl Rng) -> ViewPlan {
        let drawn = Drawn::new(&self.spec, self.frames, self.front_end.spec().n_mels, rng);
        let least = self.front_end.min_samples(self.source_frames(drawn.speed));
        // A hop more would be another frame; up to there, no sample of a clip is left out.
        let segment_samples = n_samples.clamp(least, least + self.front_end.spec().hop_samples - 1);
        let places = n_samples.saturating_sub(segment_samples) + 1;
        ViewPlan {
            clip_samples: n_samples,
            first_sample: ((drawn.place * places as f64) as usize).min(places - 1),
            segment_samples,
            noise: drawn.noise,
            speed: drawn.speed,
            semitones: drawn.semitones,
            time_masks: drawn.time_masks,
            frequency_masks: drawn.frequency_masks,
        }
    }

    /// Makes a view, `[frames, n_mels]` row-major, in dB, into `out`.
    ///
    /// The same plan gives the same bits. Where nothing was drawn, the view is exactly the front end's log-mel of the
    /// segment.
    ///
    /// # Errors
    /// [`Error::TooShort`] for a clip without samples, [`Error::PowerNotFinite`] where samples are NaN, infinite or so
    /// large that their power is, [`Error::Shape`] where `out` has another length or the plan is for another clip.
    pub fn view_into(
        &self,
        samples: &[f32],
        plan: &ViewPlan,
        scratch: &mut ViewScratch,
        out: &mut [f32],
    ) -> Result<(), Error> {
        let n_mels = self.front_end.spec().n_mels;
        if out.len() != self.frames * n_mels {
            let (found, expected) = (out.len().to_string(), format!("{} x {n_mels} values", self.frames));
            return Err(Error::Shape { action: "make a view", found, expected });
        }
        self.check(samples, plan)?;
        let ViewScratch { buffers, spectra, segment, stretch, moved } = scratch;
        let segment = segment_of(samples, plan, segment);
        let filters = match pitch::ratio(plan.semitones) {
            1.0 => &self.front_end.filters,
            ratio => {
                pitch::moved_into(&self.front_end.filters, self.front_end.spec().bins(), ratio, moved);
                &*moved
            }
        };
        spectra.resize(self.front_end.spec().bins(), [0.0; LANES]);
        stretch.next = 0;
        for (block, bands) in out.chunks_mut(LANES * n_mels).enumerate() {
            let first = block * LANES;
            for lane in 0..bands.len() / n_mels {
                if plan.speed == 1.0 {
                    self.front_end.stft.power_frame(&segment, first + lane, buffers, spectra, lane);
                } else {
                    let position = (first + lane) as f64 * plan.speed;
                    stretch.power_frame(&self.front_end, &segment, position, buffers, spectra, lane);
                }
            }
            self.front_end.raise(spectra.as_flattened_mut());
            filters.apply(spectra, bands);
            if let Some(at) = bands.iter().position(|band| !band.is_finite()) {
                return Err(Error::PowerNotFinite { frame: first + at / n_mels });
            }
        }
        self.front_end.decibels(out);
        mask(out, n_mels, plan);
        Ok(())
    }

    /// The view as sound, at the front end's rate: for listening, not for training.
    ///
    /// The same operations on complex frames, whose phases a phase vocoder makes up (Flanagan and Golden, 1966), and
    /// back to samples. Masked frames are silent and masked bands are missing.
    ///
    /// # Errors
    /// As [`Augmenter::view_into`], and [`Error::Resample`] for sample rates that cannot be resampled.
    pub fn render(&self, samples: &[f32], plan: &ViewPlan) -> Result<Vec<f32>, Error> {
        self.check(samples, plan)?;
        let mut copy = Vec::new();
        let segment = segment_of(samples, plan, &mut copy);
        render::render(&self.front_end, &segment, plan)
    }

    /// Frames of the clip that a view of this speed reads: the last one is read together with its successor.
    fn source_frames(&self, speed: f64) -> usize {
        if speed == 1.0 { self.frames } else { ((self.frames - 1) as f64 * speed) as usize + 2 }
    }

    /// Whether the plan is one of this augmenter for this clip.
    fn check(&self, samples: &[f32], plan: &ViewPlan) -> Result<(), Error> {
        if samples.is_empty() {
            let reason = "a view needs one".to_owned();
            return Err(Error::TooShort { samples: 0, needed: 1, reason });
        }
        let fits = (0.125..=8.0).contains(&plan.speed)
            && plan.clip_samples == samples.len()
            && plan.segment_samples >= self.front_end.min_samples(self.source_frames(plan.speed));
        if fits {
            return Ok(());
        }
        let found =
            format!("{} of {} samples at speed {}", plan.segment_samples, plan.clip_samples, plan.speed);
        let expected = format!("drawn by the same augmenter for a clip of {} samples", samples.len());
        Err(Error::Shape { action: "follow a view's plan", found, expected })
    }
}

impl Stretch {
    /// As `Stft::power_frame`, between two frames of the clip; positions must not decrease.
    fn power_frame(
        &mut self,
        front_end: &LogMel,
        samples: &[f32],
        position: f64,
        buffers: &mut FrameBuffers,
        spectra: &mut [[f32; LANES]],
        lane: usize,
    ) {
        let (index, weight) = (position as usize, position.fract() as f32);
        // Frames that lie between two positions of a fast view are never looked at.
        self.next = self.next.max(index);
        while self.next < index + 2 {
            std::mem::swap(&mut self.left, &mut self.right);
            self.right.clear();
            let spectrum = front_end.stft.spectrum(samples, self.next, buffers);
            self.right.extend(spectrum.iter().map(|bin| (bin.norm_sqr() as f32).sqrt()));
            self.next += 1;
        }
        for (lanes, (left, right)) in spectra.iter_mut().zip(self.left.iter().zip(&self.right)) {
            let magnitude = left + weight * (right - left);
            lanes[lane] = magnitude * magnitude;
        }
    }
}

/// The segment of a clip that a view is made of, with its noise: a part of the clip itself where that will do.
fn segment_of<'a>(samples: &'a [f32], plan: &ViewPlan, copy: &'a mut Vec<f32>) -> Cow<'a, [f32]> {
    let first = plan.first_sample % samples.len();
    let inside = samples.get(first..first + plan.segment_samples);
    if let (Some(inside), None) = (inside, plan.noise) {
        return inside.into();
    }
    copy.clear();
    copy.extend_from_slice(inside.unwrap_or_default());
    let mut from = first;
    while copy.len() < plan.segment_samples {
        let rest = &samples[from..samples.len().min(from + plan.segment_samples - copy.len())];
        copy.extend_from_slice(rest);
        from = 0;
    }
    if let Some(noise) = plan.noise {
        let gain = mean_square(copy).sqrt() * 10.0_f64.powf(-noise.snr_db / 20.0);
        if gain > 0.0 {
            noise::WhiteNoise::new(noise.seed).add_to(copy, gain as f32);
        }
    }
    Cow::Borrowed(copy)
}

/// Blanks frames and bands with the mean of the view.
fn mask(view: &mut [f32], n_mels: usize, plan: &ViewPlan) {
    if plan.time_masks.is_empty() && plan.frequency_masks.is_empty() {
        return;
    }
    let mut sums = [0.0_f64; LANES];
    for block in view.chunks(LANES) {
        for (sum, value) in sums.iter_mut().zip(block) {
            *sum += f64::from(*value);
        }
    }
    let mean = (sums.iter().sum::<f64>() / view.len() as f64) as f32;
    for mask in &plan.time_masks {
        view.chunks_exact_mut(n_mels).skip(mask.first).take(mask.length).for_each(|frame| frame.fill(mean));
    }
    for mask in &plan.frequency_masks {
        for frame in view.chunks_exact_mut(n_mels) {
            frame.iter_mut().skip(mask.first).take(mask.length).for_each(|band| *band = mean);
        }
    }
}

#[cfg(test)]
mod tests;
