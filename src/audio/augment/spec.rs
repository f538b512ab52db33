//! The settings of the augmentations: how likely and how strong each one is.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::Error;

/// How a clip's views differ from it; every augmentation is drawn anew for every view.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Default)]
#[serde(default, deny_unknown_fields)]
pub struct AugmentSpec {
    /// Stretches of time that are blanked (SpecAugment).
    pub time_mask: TimeMask,
    /// Runs of mel bands that are blanked (SpecAugment).
    pub frequency_mask: FrequencyMask,
    /// All frequencies up or down by one ratio.
    pub pitch_shift: PitchShift,
    /// Faster or slower at the same pitch.
    pub time_stretch: TimeStretch,
    /// Gaussian white noise on the recording.
    pub white_noise: WhiteNoise,
}

/// Stretches of time that are blanked: they take the mean of the view.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct TimeMask {
    /// Chance that a view has these masks.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub probability: f64,
    /// Masks of such a view; they may overlap.
    #[schemars(range(max = 64))]
    pub masks: usize,
    /// Longest mask in frames; the length is drawn uniformly from 1 up to it.
    #[schemars(range(min = 1, max = 65_536))]
    pub max_frames: usize,
}

/// Runs of mel bands that are blanked: they take the mean of the view.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct FrequencyMask {
    /// Chance that a view has these masks.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub probability: f64,
    /// Masks of such a view; they may overlap.
    #[schemars(range(max = 64))]
    pub masks: usize,
    /// Widest mask in mel bands; the width is drawn uniformly from 1 up to it.
    #[schemars(range(min = 1, max = 1024))]
    pub max_bands: usize,
}

/// All frequencies up or down by one ratio.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct PitchShift {
    /// Chance that a view is shifted.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub probability: f64,
    /// Largest shift in semitones; the shift is drawn uniformly from minus to plus this.
    #[schemars(range(min = 0.0, max = 24.0))]
    pub max_semitones: f64,
}

/// Faster or slower at the same pitch.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct TimeStretch {
    /// Chance that a view is stretched.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub probability: f64,
    /// Highest speed; the speed is drawn from 1/max_factor to max_factor, uniformly on a logarithmic scale.
    #[schemars(range(min = 1.0, max = 4.0))]
    pub max_factor: f64,
}

/// Gaussian white noise on the recording; a silent recording gets none.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct WhiteNoise {
    /// Chance that a view has noise.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub probability: f64,
    /// Most noise: lowest ratio of the recording's power to the noise's, in dB; drawn uniformly up to the highest.
    #[schemars(range(min = -60.0, max = 120.0))]
    pub min_snr_db: f64,
    /// Least noise: highest ratio of the recording's power to the noise's, in dB.
    #[schemars(range(min = -60.0, max = 120.0))]
    pub max_snr_db: f64,
}

// A machine is known by the pitch and the pace of its parts, so shift and stretch stay small; a mask takes at most a
// tenth of a 10 s clip and an eighth of 128 bands, so that two of each leave most of the sound.
impl Default for TimeMask {
    fn default() -> Self {
        Self { probability: 0.5, masks: 2, max_frames: 31 }
    }
}

impl Default for FrequencyMask {
    fn default() -> Self {
        Self { probability: 0.5, masks: 2, max_bands: 16 }
    }
}

impl Default for PitchShift {
    fn default() -> Self {
        Self { probability: 0.5, max_semitones: 2.0 }
    }
}

impl Default for TimeStretch {
    fn default() -> Self {
        Self { probability: 0.5, max_factor: 1.2 }
    }
}

impl Default for WhiteNoise {
    fn default() -> Self {
        Self { probability: 0.5, min_snr_db: 10.0, max_snr_db: 40.0 }
    }
}

impl AugmentSpec {
    /// Rules between settings; the range of each alone stands in the schema.
    ///
    /// Each problem is the dotted path of the setting, below `prefix`, and what is wrong with it.
    #[must_use]
    pub fn check(&self, prefix: &str) -> Vec<(String, String)> {
        let mut problems = Vec::new();
        let noise = &self.white_noise;
        if noise.min_snr_db > noise.max_snr_db {
            let (low, high) =
                (format!("{prefix}.white_noise.min_snr_db"), format!("{prefix}.white_noise.max_snr_db"));
            let message =
                format!("`{low}` is {}, above `{high}`, which is {}", noise.min_snr_db, noise.max_snr_db);
            problems.push((low, message));
        }
        problems
    }

    /// Whether all settings are in their ranges, for specs that no configuration was read from.
    pub(super) fn ensure(&self) -> Result<(), Error> {
        let (pitch, stretch, noise) = (&self.pitch_shift, &self.time_stretch, &self.white_noise);
        let snr_range_db = -60.0..=120.0;
        let checks = [
            ("time_mask.probability", self.time_mask.probability, 0.0..=1.0),
            ("frequency_mask.probability", self.frequency_mask.probability, 0.0..=1.0),
            ("pitch_shift.probability", pitch.probability, 0.0..=1.0),
            ("time_stretch.probability", stretch.probability, 0.0..=1.0),
            ("white_noise.probability", noise.probability, 0.0..=1.0),
            ("pitch_shift.max_semitones", pitch.max_semitones, 0.0..=24.0),
            ("time_stretch.max_factor", stretch.max_factor, 1.0..=4.0),
            ("white_noise.max_snr_db", noise.max_snr_db, snr_range_db.clone()),
            ("white_noise.min_snr_db", noise.min_snr_db, *snr_range_db.start()..=noise.max_snr_db),
        ];
        for (key, value, range) in checks {
            if !range.contains(&value) {
                let expected = format!("from {} to {}", range.start(), range.end());
                return Err(Error::Setting { key, value: value.to_string(), expected });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_right_and_reads_back() {
        let spec = AugmentSpec::default();
        assert!(spec.ensure().is_ok() && spec.check("task.simclr.augment").is_empty());
        let text = toml::to_string(&spec).unwrap();
        assert_eq!(toml::from_str::<AugmentSpec>(&text).unwrap(), spec);
        assert!(toml::from_str::<AugmentSpec>("[time_mask]\nmax_frame = 3").is_err());
    }

    #[test]
    fn rules_between_settings_name_both() {
        let mut spec = AugmentSpec::default();
        spec.white_noise.min_snr_db = 50.0;
        let problems = spec.check("task.simclr.augment");
        let [(path, message)] = problems.as_slice() else { panic!("{problems:?}") };
        assert_eq!(path, "task.simclr.augment.white_noise.min_snr_db");
        assert!(message.contains("50") && message.contains("max_snr_db`, which is 40"), "{message}");
    }

    #[test]
    fn values_out_of_range_are_errors() {
        let wrong = |change: fn(&mut AugmentSpec)| {
            let mut spec = AugmentSpec::default();
            change(&mut spec);
            spec.ensure().unwrap_err().to_string()
        };
        assert!(wrong(|spec| spec.time_mask.probability = 1.5).contains("time_mask.probability is 1.5"));
        assert!(wrong(|spec| spec.time_stretch.max_factor = 0.5).contains("from 1 to 4"));
        assert!(wrong(|spec| spec.white_noise.max_snr_db = f64::NAN).contains("NaN"));
        assert!(wrong(|spec| spec.white_noise.min_snr_db = 41.0).contains("from -60 to 40"));
    }
}
