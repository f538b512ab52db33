//! Fusion files: which systems are fused, what their weights are tuned and judged on, and how.

mod load;
mod shape;
mod show;
mod system;

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use load::{is_fusion, load_fusion, resolve_fusion};
pub use shape::{fusion_schema, fusion_schema_text};
pub use show::ResolvedFusion;
pub use system::{Folders, SystemConfig};

/// A score-level fusion of several systems.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Default)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "Fusion")]
pub struct FusionConfig {
    /// Seed of the search and of the intervals.
    #[schemars(range(max = 9_223_372_036_854_775_807_u64))]
    pub seed: u64,
    /// What systems with different machines, sections or clips mean.
    pub missing: Missing,
    /// The systems, in the order of the tables.
    pub system: Vec<SystemConfig>,
    /// How scores of different systems are made comparable.
    pub normalise: NormaliseConfig,
    /// What the weights are tuned on, and how.
    pub tune: TuneConfig,
    /// What the weights are applied to.
    pub apply: ApplyConfig,
    /// How the tuned fusion is judged on what it was not tuned on.
    pub validate: ValidateConfig,
    /// Whose rules hold, and where labels stand that no name tells.
    pub official: OfficialConfig,
}

/// What systems with different machines, sections or clips mean.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Default)]
#[serde(rename_all = "kebab-case")]
pub enum Missing {
    /// An error that names what is missing where.
    #[default]
    Error,
    /// What all systems have is used; the rest is counted and said.
    Common,
}

/// How scores of different systems are made comparable.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq, Default)]
#[serde(default, deny_unknown_fields)]
pub struct NormaliseConfig {
    /// `auto` is the z-score: with the mean and spread of the training clips' scores where every system has them, else with
    /// those of the tuning clips, which marks the output where they are judged too. The others need training scores.
    pub method: NormaliseMethod,
    /// Whether the scores of the very clips that are judged may serve where there are no training scores. A challenge forbids
    /// it; every output says so.
    pub allow_transductive: bool,
}

/// A way to make scores comparable.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Default)]
#[serde(rename_all = "kebab-case")]
pub enum NormaliseMethod {
    /// The z-score, by what is there.
    #[default]
    Auto,
    /// Scores as they are.
    None,
    /// Less the mean, over the standard deviation.
    ZScore,
    /// The share of reference scores below.
    Rank,
    /// Least to 0, greatest to 1.
    MinMax,
    /// `-ln(1 - F)`, F being the distribution function of a fitted gamma distribution.
    Gamma,
}

/// What the weights are tuned on, and how.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(default, deny_unknown_fields)]
pub struct TuneConfig {
    /// Machine types; all where left out.
    #[schemars(length(min = 1), inner(length(min = 1)), extend("uniqueItems" = true))]
    pub machines: Vec<String>,
    /// Sections, such as `"00"`; all where left out.
    #[schemars(length(min = 1), inner(length(min = 1)), extend("uniqueItems" = true))]
    pub sections: Vec<String>,
    /// What the weights make as large as they can.
    pub objective: FusionObjective,
    /// One set of weights for all machine types, or one for each.
    pub weights: WeightsPer,
    /// Weights that are tried; for one set of them.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub evaluations: usize,
    /// How they are found.
    pub method: TuneMethod,
}

/// A number that weights are tuned for; higher is better.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Default)]
#[serde(rename_all = "kebab-case")]
pub enum FusionObjective {
    /// The year's official score.
    #[default]
    Omega,
    /// Harmonic mean of the AUCs over sections, and over domains where there are any.
    Auc,
    /// Harmonic mean of the source domain's AUCs.
    AucSource,
    /// Harmonic mean of the target domain's AUCs.
    AucTarget,
    /// Harmonic mean of the partial AUCs.
    Pauc,
    /// Harmonic mean of AUCs and partial AUCs in any year: the official score, and in 2020, which had none, the same of its
    /// metrics.
    HarmonicMean,
}

/// How many sets of weights there are.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Default)]
#[serde(rename_all = "kebab-case")]
pub enum WeightsPer {
    /// One for all machine types.
    #[default]
    Shared,
    /// One for each machine type.
    Machine,
}

/// How weights are found.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Default)]
#[serde(rename_all = "kebab-case")]
pub enum TuneMethod {
    /// By Bayesian optimisation (a Gaussian process), refined by an evolution strategy around its best.
    #[default]
    Bayesian,
    /// By the finest even grid of as many points.
    Grid,
    /// By chance, evenly over all weights.
    Random,
    /// Not at all: all systems weigh the same.
    Equal,
}

/// What the weights are applied to.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq, Default)]
#[serde(default, deny_unknown_fields)]
pub struct ApplyConfig {
    /// Machine types; all where left out.
    #[schemars(length(min = 1), inner(length(min = 1)), extend("uniqueItems" = true))]
    pub machines: Vec<String>,
    /// Sections, such as `"00"`; all where left out.
    #[schemars(length(min = 1), inner(length(min = 1)), extend("uniqueItems" = true))]
    pub sections: Vec<String>,
}

/// How the tuned fusion is judged on what it was not tuned on.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct ValidateConfig {
    /// What is left out in turn while all else is tuned on; `auto` is machines where there are several, else
    /// sections; of weights for each machine sections first.
    pub over: ValidateOver,
    /// Resamples of the clips for the intervals.
    #[schemars(range(min = 100, max = 100_000))]
    pub resamples: usize,
    /// Share of the intervals.
    #[schemars(range(min = 0.5, max = 0.999))]
    pub confidence: f64,
}

/// What is left out in turn.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Default)]
#[serde(rename_all = "kebab-case")]
pub enum ValidateOver {
    /// By what there is.
    #[default]
    Auto,
    /// A machine type.
    Machines,
    /// A section, of all machine types.
    Sections,
    /// Nothing: there is no honest number.
    None,
}

/// Whose rules hold, and where labels stand that no name tells.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq, Default)]
#[serde(default, deny_unknown_fields)]
pub struct OfficialConfig {
    /// Whose metrics: `auto` goes by the files' names.
    pub year: OfficialYear,
    /// Ground truth of an evaluation set: the folder above ground_truth_data and ground_truth_domain.
    #[schemars(length(min = 1))]
    pub truth: Option<PathBuf>,
}

/// A year of the challenge.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum OfficialYear {
    /// By the files' names.
    #[default]
    #[serde(rename = "auto")]
    Auto,
    /// 2020.
    #[serde(rename = "2020")]
    Y2020,
    /// 2021.
    #[serde(rename = "2021")]
    Y2021,
    /// 2022.
    #[serde(rename = "2022")]
    Y2022,
    /// 2023.
    #[serde(rename = "2023")]
    Y2023,
    /// 2024.
    #[serde(rename = "2024")]
    Y2024,
    /// 2025.
    #[serde(rename = "2025")]
    Y2025,
    /// 2026.
    #[serde(rename = "2026")]
    Y2026,
}

impl Default for TuneConfig {
    fn default() -> Self {
        Self {
            machines: Vec::new(),
            sections: Vec::new(),
            objective: FusionObjective::default(),
            weights: WeightsPer::default(),
            evaluations: 400,
            method: TuneMethod::default(),
        }
    }
}

impl Default for ValidateConfig {
    fn default() -> Self {
        Self { over: ValidateOver::default(), resamples: 2000, confidence: 0.95 }
    }
}

impl NormaliseMethod {
    /// The word in a file.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::None => "none",
            Self::ZScore => "z-score",
            Self::Rank => "rank",
            Self::MinMax => "min-max",
            Self::Gamma => "gamma",
        }
    }
}

#[cfg(test)]
mod tests;
