//! What is known of proxy metrics: their units, and from where on they are saturated or failed.

use super::limit;
use crate::config::ProtocolConfig;

/// A proxy metric with a known ceiling or floor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::study) enum Metric {
    /// Macro F1, a share.
    MacroF1,
    /// Mean average precision, a share.
    Map,
    /// SI-SDR improvement in dB.
    SiSdri,
    /// Uniformity of contrastive features: 0 is a collapse.
    Uniformity,
    /// Mean reconstruction error: 0 is its floor.
    Error,
}

/// How a configuration does by its proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Saturated,
    Failed,
    Between,
}

impl Metric {
    /// By the name that results have.
    pub(in crate::study) fn known(name: &str) -> Option<Self> {
        Some(match name {
            "macro_f1" => Self::MacroF1,
            "map" => Self::Map,
            // In the study's tables, and of runs.
            "si_sdri" | "si_sdr_improvement_db" => Self::SiSdri,
            "uniformity" => Self::Uniformity,
            "mae" | "mse" => Self::Error,
            _ => return None,
        })
    }

    /// Whether it is between 0 and 1, and percent in print.
    pub(in crate::study) fn is_share(self) -> bool {
        matches!(self, Self::MacroF1 | Self::Map)
    }

    /// The values beyond which it is saturated, and failed; of an error the latter is not known.
    pub(super) fn limits(self, config: &ProtocolConfig) -> (f64, Option<f64>) {
        match self {
            Self::MacroF1 => (config.saturated_f1, Some(config.failed_f1)),
            Self::Map => (config.saturated_map, Some(config.failed_map)),
            Self::SiSdri => (config.saturated_si_sdri_db, Some(config.failed_si_sdri_db)),
            Self::Uniformity => (config.saturated_uniformity, Some(config.failed_uniformity)),
            Self::Error => (config.saturated_error, None),
        }
    }

    pub(super) fn state(self, value: f64, config: &ProtocolConfig) -> State {
        let (saturated, failed) = self.limits(config);
        let (is_saturated, has_failed) = match self {
            // At 0 dB nothing is gained.
            Self::SiSdri => (value > saturated, failed.is_some_and(|limit| value <= limit)),
            Self::MacroF1 | Self::Map => (value > saturated, failed.is_some_and(|limit| value < limit)),
            Self::Uniformity | Self::Error => (value < saturated, failed.is_some_and(|limit| value > limit)),
        };
        match (is_saturated, has_failed) {
            (_, true) => State::Failed,
            (true, _) => State::Saturated,
            _ => State::Between,
        }
    }

    /// For people, with its unit.
    pub(in crate::study) fn show(self, value: f64) -> String {
        match self {
            Self::MacroF1 | Self::Map => format!("{:.2} %", 100.0 * value),
            Self::SiSdri => format!("{value:.2} dB"),
            Self::Uniformity => format!("{value:.2}"),
            Self::Error => format!("{value:.5}"),
        }
    }

    /// A threshold, for people.
    fn show_limit(self, value: f64) -> String {
        match self {
            Self::MacroF1 | Self::Map => format!("{} %", limit(100.0 * value)),
            Self::SiSdri => format!("{value} dB"),
            Self::Uniformity | Self::Error => format!("{value}"),
        }
    }

    /// `above 97 % a configuration is saturated, below 20 % it failed`.
    pub(super) fn rule(self, config: &ProtocolConfig) -> String {
        let (saturated, failed) = self.limits(config);
        let (good, bad, failing) = match self {
            Self::MacroF1 | Self::Map => ("above", "below", "it failed"),
            Self::SiSdri => ("above", "up to", "it failed"),
            Self::Uniformity => ("below", "above", "it collapsed"),
            Self::Error => ("below", "", ""),
        };
        let mut rule = format!("{good} {} a configuration is saturated", self.show_limit(saturated));
        if let Some(failed) = failed {
            rule.push_str(&format!(", {bad} {} {failing}", self.show_limit(failed)));
        }
        rule
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_has_its_good_end() {
        let config = ProtocolConfig::default();
        let state = |name: &str, value| Metric::known(name).unwrap().state(value, &config);
        for (name, saturated, between, failed) in [
            ("macro_f1", 0.9843, 0.9, 0.1),
            ("map", 0.99, 0.48, 0.01),
            ("si_sdri", 31.0, 2.29, 0.0),
            ("uniformity", -3.95, -2.5, -0.18),
        ] {
            assert_eq!(state(name, saturated), State::Saturated, "{name}");
            assert_eq!(state(name, between), State::Between, "{name}");
            assert_eq!(state(name, failed), State::Failed, "{name}");
        }
        assert_eq!((state("mae", 1e-5), state("mae", 4.1e-3)), (State::Saturated, State::Between));
        // The limits themselves: more than 97 % is asked for, and 0 dB is nothing gained.
        assert_eq!((state("macro_f1", 0.97), state("macro_f1", 0.2)), (State::Between, State::Between));
        assert_eq!(Metric::known("alignment"), None);
        assert_eq!(
            Metric::MacroF1.rule(&config),
            "above 97 % a configuration is saturated, below 20 % it failed"
        );
    }
}
