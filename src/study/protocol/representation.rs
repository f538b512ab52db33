//! Stage 2: are the features fit for finding anomalies? AUCs of the linear probes and of the Mahalanobis distance against 0.5.
//!
//! The verdict is on the mean over all configurations, because the best of many is above the others by chance too; the best
//! is told beside it. Intervals are of the machine types drawn anew, so that they say how far the result hangs on them.

use serde::Serialize;

use super::{labels, limit, plural};
use crate::config::ProtocolConfig;
use crate::stats::bootstrap::bootstrap;
use crate::stats::{Interval, Resampler, Settings};
use crate::study::correlation::{Grid, MACHINES_TO_RESAMPLE};
use crate::study::results::{Detection, PerDetection, ResultRow, Units};

/// The AUC of guessing.
const CHANCE: f64 = 0.5;

/// Bootstrap intervals of fewer units hold the true value clearly less often than they say.
const MACHINES_FOR_COVER: usize = 7;

/// What all three say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RepresentationVerdict {
    /// All that is known is above chance.
    AboveChance,
    /// Some is.
    Mixed,
    /// None is.
    AtChance,
    /// There is no number.
    Unknown,
}

impl RepresentationVerdict {
    /// In a table.
    pub fn word(self) -> &'static str {
        match self {
            Self::AboveChance => "above chance",
            Self::Mixed => "mixed",
            Self::AtChance => "at chance",
            Self::Unknown => "unknown",
        }
    }
}

/// What one of them says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ChanceVerdict {
    /// Its interval is above 0.5, and itself by more than the margin.
    AboveChance,
    /// Neither above nor below.
    AtChance,
    /// Its interval is below 0.5, and itself by more than the margin.
    BelowChance,
    /// There is no number.
    Unknown,
}

impl ChanceVerdict {
    /// In a table.
    pub fn word(self) -> &'static str {
        match self {
            Self::AboveChance => "above chance",
            Self::AtChance => "at chance",
            Self::BelowChance => "below chance",
            Self::Unknown => "unknown",
        }
    }
}

/// An AUC, as a fraction.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Estimate {
    /// Its value.
    pub auc: f64,
    /// Over machine types; none of fewer than three.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<Interval>,
}

/// One detection metric against chance.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AgainstChance {
    /// Of the mean.
    pub verdict: ChanceVerdict,
    /// The mean over the configurations that have all machine types and seeds.
    pub mean: Option<Estimate>,
    /// How many these are.
    pub configurations: usize,
    /// The best of them.
    pub best: Option<Estimate>,
    /// Which it is.
    pub best_config: Option<String>,
    /// Why there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// Stage 2.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Representation {
    /// The family's.
    pub verdict: RepresentationVerdict,
    /// The verdict and what it rests on, in words.
    pub in_words: String,
    /// The sentences of which these words are made.
    pub evidence: Vec<String>,
    /// How far from 0.5 an AUC must be.
    pub margin: f64,
    /// One for each detection metric.
    #[serde(flatten)]
    pub against: PerDetection<AgainstChance>,
}

impl Representation {
    /// The detection metrics that have a verdict.
    pub fn with(&self, verdict: ChanceVerdict) -> Vec<Detection> {
        Detection::ALL.into_iter().filter(|which| self.against.get(*which).verdict == verdict).collect()
    }
}

pub(super) fn judge(rows: &[&ResultRow], grid: &Grid<'_>, config: &ProtocolConfig) -> Representation {
    let units = Units::of_aucs(rows.iter().copied());
    let against = PerDetection::of(|which| against_chance(grid, which, units, config));
    let count =
        |verdict| Detection::ALL.iter().filter(|which| against.get(**which).verdict == verdict).count();
    let (above, unknown) = (count(ChanceVerdict::AboveChance), count(ChanceVerdict::Unknown));
    let verdict = match (above, unknown) {
        (_, 3) => RepresentationVerdict::Unknown,
        (0, _) => RepresentationVerdict::AtChance,
        (above, unknown) if above + unknown == 3 => RepresentationVerdict::AboveChance,
        _ => RepresentationVerdict::Mixed,
    };
    let mut evidence: Vec<String> =
        Detection::ALL.iter().map(|which| in_words(*which, against.get(*which))).collect();
    evidence.push(match grid.machines().len() {
        several if several >= MACHINES_TO_RESAMPLE => {
            let Settings { seed, resamples, level, .. } = Settings::default();
            let short = if several < MACHINES_FOR_COVER { ", too short with so few" } else { "" };
            format!(
                "[] are {:.0} % intervals over {several} machine types ({resamples} BCa resamples, seed {seed}){short}",
                100.0 * level
            )
        }
        few => format!(
            "there are no intervals, which take three machine types and there {}: an AUC further than {} % from 50 % counts",
            match few {
                0 => "are means only".to_owned(),
                1 => "is one".to_owned(),
                n => format!("are {n}"),
            },
            limit(100.0 * config.chance_margin)
        ),
    });
    let words = match verdict {
        RepresentationVerdict::Mixed => {
            let above = Detection::ALL
                .into_iter()
                .filter(|which| against.get(*which).verdict == ChanceVerdict::AboveChance);
            format!("mixed, above chance by {}", labels(&above.collect::<Vec<_>>()))
        }
        other => other.word().to_owned(),
    };
    let in_words = format!("{words}: {}", evidence.join("; "));
    Representation { verdict, in_words, evidence, margin: config.chance_margin, against }
}

fn against_chance(grid: &Grid<'_>, which: Detection, units: Units, config: &ProtocolConfig) -> AgainstChance {
    let missing = |why: &str| AgainstChance {
        verdict: ChanceVerdict::Unknown,
        mean: None,
        configurations: 0,
        best: None,
        best_config: None,
        why: Some(why.to_owned()),
    };
    if units == Units::Mixed {
        return missing("some AUCs are fractions and some percent");
    }
    if let Some(why) = grid.mixed() {
        return missing(&why);
    }
    let value = |row: &ResultRow| row.detection(which).and_then(|auc| units.fraction(auc));
    let complete: Vec<(&str, Vec<f64>)> =
        grid.configs().iter().filter_map(|name| Some((*name, grid.machine_means(name, &value)?))).collect();
    let best = complete.iter().max_by(|a, b| mean(&a.1).total_cmp(&mean(&b.1)).then(b.0.cmp(a.0)));
    let Some((best_config, best)) = best else {
        return missing("no configuration has it for all machine types and seeds");
    };
    let machines: Vec<f64> = (0..best.len())
        .map(|machine| mean(&complete.iter().map(|(_, means)| means[machine]).collect::<Vec<_>>()))
        .collect();
    let of = |machines: &[f64]| Estimate {
        auc: mean(machines),
        // Rows that are means already have one value, of no machine type.
        interval: (grid.machines().len() >= MACHINES_TO_RESAMPLE).then(|| interval(machines)).flatten(),
    };
    let (overall, best) = (of(&machines), of(best));
    AgainstChance {
        verdict: verdict(&overall, config),
        mean: Some(overall),
        configurations: complete.len(),
        best: Some(best),
        best_config: Some((*best_config).to_owned()),
        why: None,
    }
}

fn verdict(found: &Estimate, config: &ProtocolConfig) -> ChanceVerdict {
    let beyond = (found.auc - CHANCE).abs() > config.chance_margin;
    let is_clear = |side: fn(&Interval) -> bool| beyond && found.interval.as_ref().is_none_or(side);
    match found.auc > CHANCE {
        true if is_clear(|interval| interval.low > CHANCE) => ChanceVerdict::AboveChance,
        false if is_clear(|interval| interval.high < CHANCE) => ChanceVerdict::BelowChance,
        _ => ChanceVerdict::AtChance,
    }
}

/// Of the mean over machine types, when these are drawn anew.
fn interval(machines: &[f64]) -> Option<Interval> {
    let weighted = |weights: &[u32]| {
        let sum: f64 = machines.iter().zip(weights).map(|(value, weight)| value * f64::from(*weight)).sum();
        let draws: u32 = weights.iter().sum();
        (draws > 0).then(|| sum / f64::from(draws))
    };
    let resampler = Resampler::new(&vec![(); machines.len()]);
    bootstrap(&resampler, Settings::default(), weighted).ok().map(|found| found.interval)
}

fn in_words(which: Detection, found: &AgainstChance) -> String {
    let show = |estimate: &Estimate| {
        let interval = estimate.interval.map_or(String::new(), |interval| {
            format!(" [{:.2}, {:.2}]", 100.0 * interval.low, 100.0 * interval.high)
        });
        format!("{:.2} %{interval}", 100.0 * estimate.auc)
    };
    match (&found.mean, &found.best, &found.best_config) {
        (Some(overall), Some(best), Some(config)) => format!(
            "{} {} on average over {}, {}, and {} at best ({config})",
            which.label(),
            show(overall),
            plural(found.configurations, "configuration"),
            found.verdict.word(),
            show(best)
        ),
        _ => format!("{}: {}", which.label(), found.why.as_deref().unwrap_or("no value")),
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}
