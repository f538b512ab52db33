//! `[protocol]`: thresholds of the study's three-stage alignment verification protocol. Nothing here changes what is trained
//! or judged, only how results are put into words.

mod load;

use std::sync::LazyLock;

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::{Deserialize, Serialize};

use super::check::Problem;
use super::shape::Shape;

/// Thresholds of the alignment verification protocol.
///
/// The study names one number, the F1 of 97 % that all of its classifiers exceed, and calls all ten of its contrastive
/// configurations failed, the best of which has a uniformity of -0.99. The other defaults are ours.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct ProtocolConfig {
    /// The level below which a p counts as significant.
    #[schemars(extend("exclusiveMinimum" = 0.0, "exclusiveMaximum" = 1.0))]
    pub significance: f64,
    /// The p that is held against it: the test's own, as in the study, or one adjusted over all families and metrics.
    pub p_value: PValue,
    /// Macro F1, as a fraction, above which a configuration is saturated.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub saturated_f1: f64,
    /// Macro F1, as a fraction, below which a configuration failed; six classes guessed at have about 0.17.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub failed_f1: f64,
    /// Mean average precision, as a fraction, above which a configuration is saturated.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub saturated_map: f64,
    /// Mean average precision, as a fraction, below which a configuration failed.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub failed_map: f64,
    /// SI-SDR improvement in dB above which a configuration is saturated: what is left is as good as inaudible.
    #[schemars(range(min = -100.0, max = 1000.0))]
    pub saturated_si_sdri_db: f64,
    /// SI-SDR improvement in dB up to which a configuration failed: at 0 the estimate is no better than the mixture.
    #[schemars(range(min = -100.0, max = 1000.0))]
    pub failed_si_sdri_db: f64,
    /// Uniformity below which a configuration is saturated; -4 is that of directions without any order.
    #[schemars(range(min = -8.0, max = 0.0))]
    pub saturated_uniformity: f64,
    /// Uniformity above which a configuration collapsed; 0 is that of clips that all have one feature.
    #[schemars(range(min = -8.0, max = 0.0))]
    pub failed_uniformity: f64,
    /// Mean reconstruction error, in the scale of the network's input, below which a configuration is saturated.
    #[schemars(range(min = 0.0, max = 1e6))]
    pub saturated_error: f64,
    /// A loss that falls by less than this share over all epochs never left its start.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub stuck_loss: f64,
    /// The family failed where at least this share of its configurations did.
    #[schemars(extend("exclusiveMinimum" = 0.0), range(max = 1.0))]
    pub failed_share: f64,
    /// An AUC, as a fraction, that is no further from 0.5 than this is chance, however narrow its interval.
    #[schemars(range(min = 0.0, max = 0.5))]
    pub chance_margin: f64,
}

/// Which p decides.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum PValue {
    /// That of the permutation test, each on its own.
    Exact,
    /// Holm's, over all families and detection metrics.
    Holm,
    /// Benjamini and Hochberg's, over the same.
    Bh,
}

impl PValue {
    /// As tables name it.
    pub fn label(self) -> &'static str {
        match self {
            Self::Exact => "p",
            Self::Holm => "Holm p",
            Self::Bh => "BH p",
        }
    }
}

impl Default for ProtocolConfig {
    fn default() -> Self {
        Self {
            significance: 0.05,
            p_value: PValue::Exact,
            saturated_f1: 0.97,
            failed_f1: 0.2,
            saturated_map: 0.97,
            failed_map: 0.05,
            saturated_si_sdri_db: 30.0,
            failed_si_sdri_db: 0.0,
            saturated_uniformity: -3.9,
            failed_uniformity: -1.0,
            saturated_error: 1e-4,
            stuck_loss: 0.01,
            failed_share: 0.5,
            chance_margin: 0.03,
        }
    }
}

impl ProtocolConfig {
    /// Rules between thresholds: what is saturated has not failed.
    pub(super) fn check(&self, problems: &mut Vec<Problem>) {
        for (saturated, failed, apart) in [
            ("saturated_f1", "failed_f1", self.saturated_f1 > self.failed_f1),
            ("saturated_map", "failed_map", self.saturated_map > self.failed_map),
            ("saturated_si_sdri_db", "failed_si_sdri_db", self.saturated_si_sdri_db > self.failed_si_sdri_db),
            ("saturated_uniformity", "failed_uniformity", self.saturated_uniformity < self.failed_uniformity),
        ] {
            if !apart {
                let message = format!(
                    "`protocol.{saturated}` must be the better value, and `protocol.{failed}` the worse"
                );
                let failed = format!("protocol.{failed}");
                problems.push(Problem::new(&format!("protocol.{saturated}"), message).related(&[&failed]));
            }
        }
    }

    /// What the table may look like.
    pub(super) fn shape() -> &'static Shape {
        static SHAPE: LazyLock<Shape> = LazyLock::new(|| {
            let mut settings = SchemaSettings::draft07();
            settings.inline_subschemas = true;
            Shape::read(settings.into_generator().into_root_schema_for::<ProtocolConfig>().as_value())
        });
        &SHAPE
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::shape::Range;

    #[test]
    fn every_threshold_has_a_range_and_a_default_within_it() {
        let defaults = toml::Value::try_from(ProtocolConfig::default()).unwrap();
        assert!(ProtocolConfig::shape().keys().len() > 10);
        for (key, shape) in ProtocolConfig::shape().keys() {
            match shape {
                Shape::Float(range) => {
                    assert_ne!(range, &Range::default(), "{key}");
                    assert!(range.contains(defaults[key].as_float().unwrap()), "{key}");
                }
                Shape::Choice(words) => {
                    assert!(words.iter().any(|w| Some(w.as_str()) == defaults[key].as_str()))
                }
                other => panic!("{key} is {other:?}"),
            }
        }
        let mut problems = Vec::new();
        ProtocolConfig::default().check(&mut problems);
        assert!(problems.is_empty());
    }
}
