//! Scaling of log-mels by statistics of the machine's training clips.

use serde::{Deserialize, Serialize};

use super::Sounds;
use crate::config::Scale;

/// x ↦ (x - offset) · gain; saved with the run's weights.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Scaler {
    /// In dB.
    pub offset: f32,
    /// Per dB.
    pub gain: f32,
}

/// What a scaler is made from: the log-mel values of all training clips, in dB.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Statistics {
    /// Smallest value.
    pub min: f32,
    /// Largest value.
    pub max: f32,
    /// Mean.
    pub mean: f64,
    /// Standard deviation (population).
    pub std: f64,
}

impl Scaler {
    /// Changes nothing.
    pub const IDENTITY: Self = Self { offset: 0.0, gain: 1.0 };

    /// The scaler of a machine's training clips. Samples stay as they are: full scale means something.
    pub(super) fn of(sounds: &Sounds, scale: Scale) -> Self {
        match sounds {
            Sounds::LogMels(logmels) => Self::new(scale, logmels.statistics()),
            Sounds::Waves(_) => Self::IDENTITY,
        }
    }

    /// The scaler that a configuration asks for. Data without spread (a constant) are only shifted.
    pub(super) fn new(scale: Scale, of: &Statistics) -> Self {
        let inverse = |spread: f64| if spread > 0.0 { (1.0 / spread) as f32 } else { 1.0 };
        match scale {
            Scale::None => Self::IDENTITY,
            Scale::MinMax => Self { offset: of.min, gain: inverse(f64::from(of.max) - f64::from(of.min)) },
            Scale::Standard => Self { offset: of.mean as f32, gain: inverse(of.std) },
        }
    }

    /// Scale in place.
    pub fn apply(&self, values: &mut [f32]) {
        for value in values {
            *value = (*value - self.offset) * self.gain;
        }
    }
}

/// Collects [`Statistics`] in f64, clip by clip in a fixed order.
#[derive(Debug)]
pub(super) struct Tally {
    min: f32,
    max: f32,
    count: f64,
    sum: f64,
    /// Of squares about `SHIFT`, which keeps the difference of two large sums away from silence's -156 dB.
    squares: f64,
}

/// A typical log-mel value in dB; any number near the data does.
const SHIFT: f64 = -40.0;

impl Tally {
    pub(super) fn new() -> Self {
        Self { min: f32::INFINITY, max: f32::NEG_INFINITY, count: 0.0, sum: 0.0, squares: 0.0 }
    }

    pub(super) fn add(&mut self, values: &[f32]) {
        for &value in values {
            self.min = self.min.min(value);
            self.max = self.max.max(value);
            let shifted = f64::from(value) - SHIFT;
            self.sum += shifted;
            self.squares += shifted * shifted;
        }
        self.count += values.len() as f64;
    }

    pub(super) fn finish(&self) -> Statistics {
        let mean = self.sum / self.count;
        let variance = (self.squares / self.count - mean * mean).max(0.0);
        Statistics { min: self.min, max: self.max, mean: mean + SHIFT, std: variance.sqrt() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statistics(values: &[f32]) -> Statistics {
        let mut tally = Tally::new();
        tally.add(values);
        tally.finish()
    }

    #[test]
    fn min_max_maps_the_training_range_to_zero_and_one() {
        let of = statistics(&[-80.0, -20.0, 0.0]);
        let mut values = [-80.0, -40.0, 0.0];
        Scaler::new(Scale::MinMax, &of).apply(&mut values);
        assert_eq!(values, [0.0, 0.5, 1.0]);
    }

    #[test]
    fn standard_gives_mean_zero_and_deviation_one() {
        let of = statistics(&[-156.5, -155.0, -30.0, 3.0]);
        let mut values = [-156.5, -155.0, -30.0, 3.0];
        Scaler::new(Scale::Standard, &of).apply(&mut values);
        let again = statistics(&values);
        // f32 values near 1: a few ulps of the mean of four.
        assert!(again.mean.abs() < 1e-6 && (again.std - 1.0).abs() < 1e-6, "{again:?}");
    }

    #[test]
    fn a_constant_stays_finite() {
        for scale in [Scale::None, Scale::MinMax, Scale::Standard] {
            let mut values = [-5.0, -5.0];
            Scaler::new(scale, &statistics(&[-5.0, -5.0])).apply(&mut values);
            assert!(values.iter().all(|v| v.is_finite()), "{scale:?} {values:?}");
        }
    }
}
