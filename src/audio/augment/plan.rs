//! Everything that chance decides about one view.

use rand::{Rng, RngExt};
use serde::Serialize;

use super::spec::AugmentSpec;

/// One view's random parameters, drawn by [`Augmenter::draw`](super::Augmenter::draw).
///
/// The numbers are rounded to what a person reads, and what is written down is what is done.
#[derive(Serialize, Clone, Debug, PartialEq)]
pub struct ViewPlan {
    /// Length of the clip that the plan was drawn for, in samples.
    pub clip_samples: usize,
    /// First sample of the segment of the clip that the view is made of.
    pub first_sample: usize,
    /// Samples of the segment; more than the clip has where the clip is repeated.
    pub segment_samples: usize,
    /// White noise, where there is any.
    pub noise: Option<Noise>,
    /// How much faster the view is than the clip; 1 is as recorded.
    pub speed: f64,
    /// How much higher the view is than the clip, in semitones; 0 is as recorded.
    pub semitones: f64,
    /// Blanked runs of frames.
    pub time_masks: Vec<Mask>,
    /// Blanked runs of mel bands.
    pub frequency_masks: Vec<Mask>,
}

/// White noise.
#[derive(Serialize, Clone, Copy, Debug, PartialEq)]
pub struct Noise {
    /// Power of the segment over the power of the noise, in dB.
    pub snr_db: f64,
    /// Seed of the noise: 53 bits, which every reader of JSON keeps.
    pub seed: u64,
}

/// A blanked run of frames or mel bands.
#[derive(Serialize, Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mask {
    /// The first one.
    pub first: usize,
    /// How many.
    pub length: usize,
}

impl Mask {
    /// A mask of 1 to `longest` places among `places`.
    fn draw(longest: usize, places: usize, rng: &mut impl Rng) -> Self {
        let length = rng.random_range(1..=longest.clamp(1, places));
        Self { first: rng.random_range(0..=places - length), length }
    }
}

/// What decides about a view beside the place in the clip.
pub(super) struct Drawn {
    pub noise: Option<Noise>,
    pub speed: f64,
    pub semitones: f64,
    pub time_masks: Vec<Mask>,
    pub frequency_masks: Vec<Mask>,
    /// Place of the segment among all that fit, from 0 up to but not including 1.
    pub place: f64,
}

impl Drawn {
    /// Draws in one fixed order, and draws what will not be used too, so that switching one augmentation off in the
    /// settings leaves the others of the same stream as they were.
    pub fn new(spec: &AugmentSpec, frames: usize, n_mels: usize, rng: &mut impl Rng) -> Self {
        let place = rng.random();
        let noise = &spec.white_noise;
        let (noisy, level, seed) =
            (chance(noise.probability, rng), rng.random::<f64>(), rng.next_u64() >> 11);
        let snr_db = noise.min_snr_db + level * (noise.max_snr_db - noise.min_snr_db);
        let noise = noisy.then(|| Noise { snr_db: round_to(snr_db, 100.0), seed });

        let (stretched, pace) = (chance(spec.time_stretch.probability, rng), signed(rng));
        let speed = if stretched { spec.time_stretch.max_factor.powf(pace) } else { 1.0 };
        let (shifted, height) = (chance(spec.pitch_shift.probability, rng), signed(rng));
        let semitones = if shifted { height * spec.pitch_shift.max_semitones } else { 0.0 };

        let (mask, blanked) = (&spec.time_mask, chance(spec.time_mask.probability, rng));
        let mut time_masks: Vec<Mask> =
            (0..mask.masks).map(|_| Mask::draw(mask.max_frames, frames, rng)).collect();
        let (mask, thinned) = (&spec.frequency_mask, chance(spec.frequency_mask.probability, rng));
        let mut frequency_masks: Vec<Mask> =
            (0..mask.masks).map(|_| Mask::draw(mask.max_bands, n_mels, rng)).collect();
        if !blanked {
            time_masks.clear();
        }
        if !thinned {
            frequency_masks.clear();
        }
        let (speed, semitones) = (round_to(speed, 1e4), round_to(semitones, 1e3));
        Self { noise, speed, semitones, time_masks, frequency_masks, place }
    }
}

/// True with a probability from 0, never, to 1, always.
fn chance(probability: f64, rng: &mut impl Rng) -> bool {
    rng.random::<f64>() < probability
}

/// Uniform from -1 up to but not including 1.
fn signed(rng: &mut impl Rng) -> f64 {
    2.0 * rng.random::<f64>() - 1.0
}

/// Rounds to a whole multiple of `1 / steps`. It also takes away what the last bit of another system's power
/// function could change.
fn round_to(value: f64, steps: f64) -> f64 {
    let rounded = (value * steps).round() / steps;
    rounded + 0.0 // a zero has no sign worth writing down
}
