//! `fusion.json`: what a fusion found, for programs. The same is the JSON document of `asdbench fuse`.

use std::collections::BTreeMap;

use serde::Serialize;

use super::decide::Threshold;
use crate::stats::{Bootstrap, Interval};

/// A number with its bootstrap interval.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Estimate {
    /// The number; none where it cannot be had.
    pub score: Option<f64>,
    /// Its interval over clips.
    pub interval: Option<Interval>,
    /// Why one of the two is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

impl Estimate {
    /// A number, and its interval or the reason why there is none.
    pub(super) fn of(score: f64, bootstrap: &Result<Bootstrap, String>) -> Self {
        Self {
            score: Some(score),
            interval: bootstrap.as_ref().ok().map(|found| found.interval),
            why: bootstrap.as_ref().err().cloned(),
        }
    }

    /// No number.
    pub(super) fn missing(why: String) -> Self {
        Self { score: None, interval: None, why: Some(why) }
    }
}

/// How scores were made comparable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Normalisation {
    /// `none`, `z-score`, `rank`, `min-max` or `gamma`.
    pub method: &'static str,
    /// Whose scores it was fitted to: `training`, `tuning` (without labels), `transductive`, or `none`.
    pub statistics: &'static str,
    /// Whether the very clips that are judged were among them, which a challenge forbids.
    pub transductive: bool,
}

/// What the weights were tuned on.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TunedOn {
    /// The objective there: optimistic, as the weights were chosen for it.
    pub score: f64,
    /// What was made large.
    pub objective: &'static str,
    /// How.
    pub method: &'static str,
    /// Weights tried.
    pub evaluations: usize,
    /// Machine types.
    pub machines: Vec<String>,
    /// Sections of any of them.
    pub sections: Vec<String>,
    /// Clips.
    pub clips: usize,
}

/// What the weights were applied to, and how good the fused scores are there.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AppliedTo {
    /// The objective, its interval, or why there is none.
    #[serde(flatten)]
    pub estimate: Estimate,
    /// The objective of each machine type; empty where nothing could be judged.
    pub per_machine: BTreeMap<String, f64>,
    /// Machine types.
    pub machines: Vec<String>,
    /// Sections of any of them.
    pub sections: Vec<String>,
    /// Clips that have fused scores.
    pub clips: usize,
    /// Those among them that the numbers rest on.
    pub judged_clips: usize,
    /// Sections that were tuned on too: where there are any, the score is optimistic.
    pub overlap: usize,
    /// By machine type.
    pub thresholds: BTreeMap<String, Threshold>,
}

/// One round of the validation.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FoldResult {
    /// The machine type or section that was not tuned on.
    pub left_out: String,
    /// Weights tuned on the others.
    pub weights: Vec<f64>,
    /// By machine type, where each has its own.
    pub weights_per_machine: Option<BTreeMap<String, Vec<f64>>>,
    /// The objective on the others.
    pub tuned: f64,
    /// The objective on what was left out.
    pub score: f64,
    /// The objective there of the system that is the best single one of the others.
    pub best_single: f64,
}

/// What to expect of the fusion where it was not tuned.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Honest {
    /// `machines` or `sections`; none where nothing can be left out.
    pub over: Option<&'static str>,
    /// The objective over all sections, each fused with weights that were tuned without it.
    #[serde(flatten)]
    pub estimate: Estimate,
    /// The same clips with the final weights.
    pub optimistic: Option<Estimate>,
    /// Of the honest score.
    pub per_machine: BTreeMap<String, f64>,
    /// Each round.
    pub folds: Vec<FoldResult>,
}

/// A simpler choice of weights.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BaselineResult {
    /// `best single`, `equal weights`, `grid search`, `random search`.
    pub name: &'static str,
    /// The objective on the clips that were tuned on.
    pub score: f64,
    /// The objective on the clips that the weights were applied to.
    pub applied: Option<f64>,
    /// Why it is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Weights tried.
    pub evaluations: usize,
    /// Its weights.
    pub weights: Vec<f64>,
    /// By machine type, where each has its own.
    pub weights_per_machine: Option<BTreeMap<String, Vec<f64>>>,
    /// What else to know.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// Two systems.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PairResult {
    /// The first.
    pub a: String,
    /// The second.
    pub b: String,
    /// Mean rank correlation of their scores within sections; none where one is constant.
    pub rho: Option<f64>,
    /// Share of clips that exactly one calls anomalous, at equally many alarms.
    pub disagreement: f64,
}

/// A fusion without one system.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WithoutResult {
    /// The system.
    pub system: String,
    /// The objective on the tuning clips, with weights tuned anew.
    pub score: f64,
    /// What its absence costs there.
    pub loss: f64,
}

/// What systems have that others lack, on the tuning clips.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ComplementarityResult {
    /// Every two.
    pub pairs: Vec<PairResult>,
    /// Every one's absence.
    pub without: Vec<WithoutResult>,
}

/// A row of Table 1.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MachineRow {
    /// Machine type.
    pub machine: String,
    /// Harmonic mean of its AUCs and partial AUCs, of every system and of the fusion.
    pub values: Vec<Option<f64>>,
}

/// Per-machine harmonic means, in the form of the challenge's technical reports.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TableOne {
    /// `applied` or `tuned`: the clips that it is about.
    pub clips: &'static str,
    /// The systems and, last, `fused`.
    pub columns: Vec<String>,
    /// Sorted by machine type.
    pub machines: Vec<MachineRow>,
    /// Harmonic mean of each column.
    pub overall: Vec<Option<f64>>,
    /// Why values are missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// The whole.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Document {
    /// Version of this form.
    pub schema: u32,
    /// Whether everything else in the folder is of this fusion.
    pub complete: bool,
    /// In the order of the weights.
    pub systems: Vec<String>,
    /// What each is the mean of: folders of score files, or seeds.
    pub branches: Vec<String>,
    /// For all machine types, or for those that have none of their own.
    pub weights: Vec<f64>,
    /// By machine type, where each has its own.
    pub weights_per_machine: Option<BTreeMap<String, Vec<f64>>>,
    /// The year whose metrics these are.
    pub year: u16,
    /// Seed of the search and of the intervals.
    pub seed: u64,
    /// How scores were made comparable.
    pub normalise: Normalisation,
    /// What the weights were tuned on.
    pub tuned_on: TunedOn,
    /// What they were applied to.
    pub applied_to: AppliedTo,
    /// What to expect elsewhere.
    pub honest: Honest,
    /// Simpler choices.
    pub baselines: Vec<BaselineResult>,
    /// What systems have that others lack.
    pub complementarity: ComplementarityResult,
    /// Of the clips that were applied to, and of those that were tuned on where they are others.
    pub tables: Vec<TableOne>,
    /// What a person should know before trusting the numbers.
    pub notes: Vec<String>,
    /// Files in the folder beside this one.
    pub files: Vec<String>,
}
