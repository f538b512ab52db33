//! `[frontend]`: from a recording to the numbers that a network sees.

use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::check::Problem;
use crate::audio::LogMelSpec;

/// From a recording to the numbers that a network sees.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Default)]
#[serde(default, deny_unknown_fields)]
pub struct FrontendConfig {
    /// How each machine's log-mels are scaled; the statistics come from its training clips.
    pub scale: Scale,
    /// The log-mel spectrogram.
    #[schemars(transform = logmel_ranges)]
    pub logmel: LogMelSpec,
}

/// How log-mels are scaled before a network sees them.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Default)]
#[serde(rename_all = "kebab-case")]
pub enum Scale {
    /// Raw decibels.
    None,
    /// Smallest training value to 0, largest to 1.
    #[default]
    MinMax,
    /// Mean 0 and standard deviation 1 over the training clips.
    Standard,
}

// The ranges stand here and not in `audio`, which checks a spec when it is used but knows nothing of configurations.
// Most upper bounds only keep a slip of the finger from asking for terabytes.
fn logmel_ranges(schema: &mut Schema) {
    let ranges = [
        ("rate_hz", json!({"minimum": 1000, "maximum": 384_000})),
        ("n_fft", json!({"minimum": 16, "maximum": 65_536})),
        ("hop_samples", json!({"minimum": 1, "maximum": 65_536})),
        ("n_mels", json!({"minimum": 1, "maximum": 1024})),
        ("fmin_hz", json!({"minimum": 0.0})),
        ("fmax_hz", json!({"exclusiveMinimum": 0.0})),
        ("power", json!({"exclusiveMinimum": 0.0, "maximum": 8.0})),
        ("floor", json!({"minimum": 1e-37, "maximum": 1.0})),
    ];
    let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) else {
        return;
    };
    for (name, range) in ranges {
        if let (Some(Value::Object(property)), Value::Object(range)) = (properties.get_mut(name), range) {
            property.extend(range);
        }
    }
}

impl FrontendConfig {
    /// Rules between fields; the range of each alone stands in the schema.
    pub(super) fn check(&self, prefix: &str, problems: &mut Vec<Problem>) {
        let mel = &self.logmel;
        let at = |field: &str| format!("{prefix}.logmel.{field}");
        let (n_mels, n_fft, rate_hz) = (at("n_mels"), at("n_fft"), at("rate_hz"));
        let (fmin_hz, fmax_hz) = (at("fmin_hz"), at("fmax_hz"));

        let bins = mel.bins();
        if mel.n_mels > bins {
            problems.push(
                Problem::new(
                    &n_mels,
                    format!("`{n_mels}` is {}, more than the {bins} frequency bins there are", mel.n_mels),
                )
                .related(&[&n_fft])
                .help(format!(
                    "a transform of `n_fft` = {} samples has {bins} bins: lower `n_mels` or raise `n_fft`",
                    mel.n_fft
                )),
            );
        }
        let nyquist_hz = f64::from(mel.rate_hz) / 2.0;
        let top_hz = mel.top_hz();
        if top_hz > nyquist_hz {
            problems.push(
                Problem::new(&fmax_hz, format!("`{fmax_hz}` is {top_hz}, above half the sampling rate"))
                    .related(&[&rate_hz])
                    .help(format!("at `rate_hz` = {} the highest frequency is {nyquist_hz} Hz", mel.rate_hz)),
            );
        }
        if mel.fmin_hz >= top_hz {
            problems.push(
                Problem::new(
                    &fmin_hz,
                    format!("`{fmin_hz}` is {}, not below the upper edge of {top_hz} Hz", mel.fmin_hz),
                )
                .related(&[&fmax_hz, &rate_hz])
                .help("lower `fmin_hz`, or raise `fmax_hz` (half of `rate_hz` where it is not set)"),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(change: impl FnOnce(&mut LogMelSpec)) -> Vec<String> {
        let mut frontend = FrontendConfig::default();
        change(&mut frontend.logmel);
        let mut problems = Vec::new();
        frontend.check("frontend", &mut problems);
        problems.into_iter().map(|problem| problem.message).collect()
    }

    #[test]
    fn the_default_front_end_has_no_problem() {
        assert_eq!(problems(|_| {}), Vec::<String>::new());
    }

    #[test]
    fn more_mels_than_bins() {
        assert_eq!(problems(|mel| mel.n_fft = 254), Vec::<String>::new());
        let found = problems(|mel| mel.n_fft = 253);
        assert_eq!(found, ["`frontend.logmel.n_mels` is 128, more than the 127 frequency bins there are"]);
    }

    #[test]
    fn band_edges_lie_between_zero_and_half_the_rate() {
        assert_eq!(problems(|mel| mel.fmax_hz = Some(8000.0)), Vec::<String>::new());
        let found = problems(|mel| mel.fmax_hz = Some(8000.5));
        assert_eq!(found, ["`frontend.logmel.fmax_hz` is 8000.5, above half the sampling rate"]);
        let found = problems(|mel| (mel.fmin_hz, mel.fmax_hz) = (500.0, Some(500.0)));
        assert_eq!(found, ["`frontend.logmel.fmin_hz` is 500, not below the upper edge of 500 Hz"]);
        // Without fmax_hz the edge is half the rate.
        assert_eq!(problems(|mel| mel.fmin_hz = 8000.0).len(), 1);
    }
}
