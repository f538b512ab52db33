//! The study's three-stage alignment verification protocol (section VI-D): is the proxy task healthy, are its features fit for
//! finding anomalies, and does a better proxy make a better detector? Each stage has a verdict in one word, the numbers that
//! it rests on, and sentences; the thresholds are those of [`ProtocolConfig`].

mod alignment;
mod curves;
mod health;
mod metric;
mod representation;

pub use alignment::{Alignment, AlignmentVerdict, MetricAlignment, MetricVerdict};
pub use curves::{Curve, Curves};
pub use health::{Health, HealthVerdict, Losses};
pub use representation::{AgainstChance, ChanceVerdict, Estimate, Representation, RepresentationVerdict};

pub(super) use metric::Metric;

use serde::Serialize;

use super::correlation::{Correlation, Grid};
use super::results::{Detection, ResultRow};
use crate::config::ProtocolConfig;

/// What the three stages say of a family.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Stages {
    /// Whether the proxy task is neither too easy nor failed.
    pub health: Health,
    /// Whether its features tell anomalous from normal clips.
    pub representation: Representation,
    /// Whether a better proxy comes with better detection.
    pub correlation: Alignment,
    /// All three in one sentence.
    pub verdict: String,
}

impl Stages {
    /// A line for each stage and one for all: its name, and its words.
    pub fn in_words(&self) -> [(&'static str, &str); 4] {
        [
            ("1 health", &self.health.in_words),
            ("2 representation", &self.representation.in_words),
            ("3 correlation", &self.correlation.in_words),
            ("verdict", &self.verdict),
        ]
    }
}

/// The three stages of a family.
///
/// `rows` are the results that `family` was correlated of, among which there may be those of other families; `curves` their
/// runs' training losses, where there are runs.
pub fn stages(family: &Correlation, rows: &[ResultRow], curves: &Curves, config: &ProtocolConfig) -> Stages {
    let own: Vec<&ResultRow> = rows.iter().filter(|row| row.family == family.family).collect();
    let grid = Grid::of(&own);
    let health = health::judge(family, &own, &grid, curves, config);
    let representation = representation::judge(&own, &grid, config);
    let correlation = alignment::judge(family, config);
    let verdict = verdict(&health, &representation, &correlation);
    Stages { health, representation, correlation, verdict }
}

fn verdict(health: &Health, representation: &Representation, correlation: &Alignment) -> String {
    let task = match health.verdict {
        HealthVerdict::Healthy => "The proxy task is healthy".to_owned(),
        HealthVerdict::Saturated => "The proxy task is saturated".to_owned(),
        HealthVerdict::Failed => "The proxy task failed".to_owned(),
        HealthVerdict::Unknown => "Whether the proxy task is healthy is not known".to_owned(),
    };
    let above = representation.with(ChanceVerdict::AboveChance);
    let features = match representation.verdict {
        RepresentationVerdict::AboveChance => "its features find anomalies better than chance".to_owned(),
        RepresentationVerdict::Mixed => {
            format!("its features find anomalies better than chance by {} only", labels(&above))
        }
        RepresentationVerdict::AtChance => "its features find anomalies no better than chance".to_owned(),
        RepresentationVerdict::Unknown => "what its features are worth is not known".to_owned(),
    };
    let aligned = correlation.with(MetricVerdict::Aligned);
    let misaligned = correlation.with(MetricVerdict::Misaligned);
    let mut alignment = match correlation.verdict {
        AlignmentVerdict::Aligned => "a better proxy comes with better detection by every measure".to_owned(),
        AlignmentVerdict::PartlyAligned => {
            format!("a better proxy comes with better detection by {} only", labels(&aligned))
        }
        AlignmentVerdict::Misaligned => {
            format!("a better proxy comes with worse detection by {}", labels(&misaligned))
        }
        AlignmentVerdict::Mixed => format!(
            "a better proxy comes with better detection by {} and worse by {}",
            labels(&aligned),
            labels(&misaligned)
        ),
        AlignmentVerdict::NoEvidence => {
            "there is no evidence that a better proxy means better or worse detection".to_owned()
        }
        AlignmentVerdict::CannotBeSignificant => {
            "no outcome of any correlation could have been significant".to_owned()
        }
        AlignmentVerdict::NotMeasurable => "a correlation cannot be measured".to_owned(),
    };
    if !(aligned.is_empty() && misaligned.is_empty()) {
        alignment.push_str(match health.verdict {
            HealthVerdict::Saturated => ", which of a saturated proxy says little",
            HealthVerdict::Failed => ", which of a failed task says little about alignment",
            HealthVerdict::Healthy | HealthVerdict::Unknown => "",
        });
    }
    format!("{task}; {features}; {alignment}.")
}

/// For people, with commas and an "and".
fn labels(which: &[Detection]) -> String {
    let names: Vec<&str> = which.iter().map(|which| which.label()).collect();
    match names.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => names.concat(),
    }
}

/// `1 run`, `2 runs`.
fn plural(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// A threshold without what f64 adds to it: 0.07 is 7 %.
fn limit(value: f64) -> f64 {
    (value * 1e9).round() / 1e9
}

/// The first few of many, for a sentence.
fn some(names: &[String]) -> String {
    const SHOWN: usize = 5;
    let shown = names.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

#[cfg(test)]
mod tests;
