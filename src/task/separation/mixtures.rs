//! Mixtures of a machine's clip with an interfering recording, drawn from a random stream.

use rand::{Rng, RngExt};

use crate::audio::{self, mix, noise_gain};
use crate::task::{Error, Waves};

/// Draws of a place before the loudest one is taken.
const DRAWS: usize = 16;

/// A place in a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Of the set's good clips.
    pub clip: usize,
    /// At the set's rate.
    pub first_sample: usize,
}

/// A target and its mixture with interference, sample by sample.
#[derive(Debug, Clone, PartialEq)]
pub struct Mixture {
    /// The machine alone, at its own level.
    pub target: Vec<f32>,
    /// target + gain·interference.
    pub mixture: Vec<f32>,
    /// Where the target was taken.
    pub target_at: Place,
    /// Where the interference was taken.
    pub interference_at: Place,
    /// Factor of the interference.
    pub gain: f64,
}

/// What mixtures are made of.
#[derive(Debug, Clone, Copy)]
pub struct Mixer<'a> {
    /// The machine's clips.
    pub targets: &'a Waves,
    /// Recordings to mix them with.
    pub interference: &'a Waves,
    /// Length of a mixture.
    pub samples: usize,
}

impl Mixer<'_> {
    /// A mixture of clip `target` with any interfering recording, their ratio evenly drawn from `snr_db`.
    ///
    /// Drawn in this order: the target's place, the recording, its place, the ratio. A place that holds one and the
    /// same value throughout is drawn again, sixteen times in all; then the [`loudest`] place of the recording is
    /// taken. A recording that is shorter than a mixture is repeated from its first sample on.
    ///
    /// # Errors
    /// When a clip cannot be read or has no sound at the rate in use.
    pub fn draw(&self, target: usize, snr_db: [f64; 2], stream: &mut impl Rng) -> Result<Mixture, Error> {
        let (target_at, target) = self.crop(self.targets, target, stream)?;
        let recording = below(stream, self.interference.clips().len());
        let (interference_at, interference) = self.crop(self.interference, recording, stream)?;
        let [least, most] = snr_db;
        let snr_db = least + (most - least) * stream.random::<f64>();
        let gain = noise_gain(&target, &interference, snr_db).map_err(Error::Lost)?;
        let mixture = mix(&target, &interference, gain);
        Ok(Mixture { target, mixture, target_at, interference_at, gain })
    }

    /// A place of a clip, and what it holds.
    fn crop(&self, waves: &Waves, clip: usize, stream: &mut impl Rng) -> Result<(Place, Vec<f32>), Error> {
        let places = waves.clips()[clip].samples.saturating_sub(self.samples) + 1;
        let mut samples = vec![0.0; self.samples];
        for _ in 0..DRAWS {
            let first_sample = below(stream, places);
            waves.read_segment(clip, first_sample, &mut samples).map_err(Error::Lost)?;
            if range(&samples) > 0.0 {
                return Ok((Place { clip, first_sample }, samples));
            }
        }
        let first_sample = loudest(&waves.read(clip).map_err(Error::Lost)?, self.samples);
        waves.read_segment(clip, first_sample, &mut samples).map_err(Error::Lost)?;
        // A clip of a few samples may be nothing at another rate.
        if samples.iter().all(|sample| *sample == 0.0) {
            let path = waves.clips()[clip].path.clone().into();
            return Err(Error::Lost(audio::Error::Silent { path }));
        }
        Ok((Place { clip, first_sample }, samples))
    }
}

/// A number in 0..`bound`, each as likely as can be told from f64.
pub(super) fn below(stream: &mut impl Rng, bound: usize) -> usize {
    ((stream.random::<f64>() * bound as f64) as usize).min(bound.saturating_sub(1))
}

/// First sample of the place of `samples` samples whose largest and smallest sample are furthest apart, the earliest of
/// several; looked for every half length, so that any change within the recording is inside of some place.
fn loudest(recording: &[f32], samples: usize) -> usize {
    let last = recording.len().saturating_sub(samples);
    let mut best = (0, 0.0);
    for first in (0..last).step_by((samples / 2).max(1)).chain([last]) {
        let found = range(&recording[first..recording.len().min(first + samples)]);
        if found > best.1 {
            best = (first, found);
        }
    }
    best.0
}

/// From the smallest to the largest sample.
fn range(samples: &[f32]) -> f32 {
    let (low, high) = samples.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), sample| {
        (low.min(*sample), high.max(*sample))
    });
    high - low
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng;

    #[test]
    fn draws_are_even_and_within() {
        let mut stream = rng::stream(1, "test", 0);
        let mut counts = [0_u32; 7];
        (0..70_000).for_each(|_| counts[below(&mut stream, 7)] += 1);
        // Binomial with a standard deviation of 93: five of them.
        assert!(counts.iter().all(|count| count.abs_diff(10_000) < 465), "{counts:?}");
        assert!((0..100).all(|_| below(&mut stream, 1) == 0));
    }

    #[test]
    fn the_loudest_place_holds_a_change_wherever_it_is() {
        for at in 1..40 {
            let step: Vec<f32> = (0..40).map(|n| if n < at { 0.5 } else { 0.25 }).collect();
            let first = loudest(&step, 8);
            assert!(first + 8 <= 40 && range(&step[first..first + 8]) == 0.25, "{at}: {first}");
        }
        let mut click = vec![0.0; 40];
        (click[3], click[30]) = (0.1, -0.9);
        assert!((23..=30).contains(&loudest(&click, 8)));
        // Shorter than a place, or nothing to choose from.
        assert_eq!((loudest(&click, 50), loudest(&[0.0; 40], 8)), (0, 0));
    }
}
