//! `[eval.detectors.NAME]`: further anomaly detectors on the features of a run, each under a name of its own.

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

use super::MahalanobisConfig;
use crate::config::check::Problem;

/// Detectors by their names, in the order of the names.
pub type Detectors = BTreeMap<String, DetectorConfig>;

/// Columns that `scores.csv` and `training_scores.csv` have without any detector.
const RESERVED: [&str; 6] = ["mahalanobis", "clip", "section", "domain", "label", "decision"];

/// One detector: what it computes, and from which clips.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(try_from = "DetectorTable", into = "DetectorTable")]
pub struct DetectorConfig {
    /// What it computes.
    pub kind: DetectorKind,
    /// One model of all training clips, or one for each domain.
    pub banks: Banks,
    /// Oversampling of the target domain; none where left out.
    pub smote: Option<SmoteConfig>,
}

/// What a detector computes.
#[derive(Clone, Debug, PartialEq)]
pub enum DetectorKind {
    /// Squared Mahalanobis distance from a Gaussian of the training clips.
    Mahalanobis(MahalanobisConfig),
    /// Distance from the nearest training clips.
    Knn(KnnConfig),
    /// Local outlier factor.
    Lof(LofConfig),
    /// Distance from the nearest of some prototypes.
    Kmeans(KmeansConfig),
    /// Negative log likelihood under a mixture of Gaussians.
    Mixture(MixtureConfig),
}

/// From which clips a detector's models are made.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Default)]
#[serde(rename_all = "kebab-case")]
pub enum Banks {
    /// One model of all training clips.
    #[default]
    Global,
    /// One of the source clips and one of the target clips; the smaller score counts.
    Separate,
}

/// How far apart two clips are.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Default)]
#[serde(rename_all = "kebab-case")]
pub enum DistanceMetric {
    /// One minus the cosine of the angle between the features.
    #[default]
    Cosine,
    /// Length of the difference.
    Euclidean,
}

/// What the distances from several neighbours become.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Default)]
#[serde(rename_all = "kebab-case")]
pub enum NeighbourReduce {
    /// Their mean.
    #[default]
    Mean,
    /// The largest, that from the `k`-th.
    Kth,
}

/// Distances from the nearest training clips.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct KnnConfig {
    /// Neighbours; a bank of fewer clips gives those that it has.
    #[schemars(range(min = 1, max = 100_000))]
    pub k: usize,
    /// Distance between clips.
    pub metric: DistanceMetric,
    /// What the distances from the `k` neighbours become.
    pub reduce: NeighbourReduce,
    /// Local density normalisation of the distances; none where left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub density: Option<DensityConfig>,
}

/// Local outlier factor: how much sparser a clip's surroundings are than those of its neighbours.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct LofConfig {
    /// Neighbours; a bank of fewer clips gives those that it has.
    #[schemars(range(min = 1, max = 100_000))]
    pub k: usize,
    /// Distance between clips.
    pub metric: DistanceMetric,
}

/// Distance from the nearest of a few prototypes; with separate banks the target clips are prototypes themselves.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct KmeansConfig {
    /// Prototypes; at most as many as there are clips.
    #[schemars(range(min = 1, max = 100_000))]
    pub prototypes: usize,
    /// Distance between clips; `cosine` scales every clip to length one first.
    pub metric: DistanceMetric,
    /// Beginnings of which the one with the smallest sum of squared distances is kept.
    #[schemars(range(min = 1, max = 1000))]
    pub restarts: usize,
    /// Local density normalisation of the distances; none where left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub density: Option<DensityConfig>,
}

/// Mixture of Gaussians, fitted by expectation maximisation from k-means.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct MixtureConfig {
    /// Gaussians; at most one for five clips.
    #[schemars(range(min = 1, max = 1000))]
    pub components: usize,
    /// Form of their covariances.
    pub covariance: MixtureCovariance,
    /// Added to every variance, as a share of the features' mean variance.
    #[schemars(extend("exclusiveMinimum" = 0.0))]
    pub regularisation: f64,
}

/// Form of a mixture's covariances.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Default)]
#[serde(rename_all = "kebab-case")]
pub enum MixtureCovariance {
    /// One complete matrix for each Gaussian.
    Full,
    /// Variances alone.
    #[default]
    Diagonal,
}

/// Local density normalisation: distances are divided by how far apart the reference clips are where they lie.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct DensityConfig {
    /// Neighbours of a reference clip within its bank, of which the mean distance counts.
    #[schemars(range(min = 1, max = 100_000))]
    pub k: usize,
}

/// Target clips made by interpolation between neighbours in the target domain (Chawla et al., 2002).
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct SmoteConfig {
    /// Target clips, with those made, for each source clip.
    #[schemars(range(max = 1.0), extend("exclusiveMinimum" = 0.0))]
    pub ratio: f64,
    /// Nearest target clips, one of which a new clip is made towards.
    #[schemars(range(min = 1, max = 100_000))]
    pub k: usize,
}

/// A detector as it is written: exactly one of the five tables, and what holds for any of them.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default)]
#[serde(default, deny_unknown_fields)]
struct DetectorTable {
    /// One model of all training clips, or one for each domain, of which the smaller score counts.
    banks: Banks,
    /// Oversampling of the target domain by interpolation.
    #[serde(skip_serializing_if = "Option::is_none")]
    smote: Option<SmoteConfig>,
    /// Squared Mahalanobis distance from a Gaussian of the training clips.
    #[serde(skip_serializing_if = "Option::is_none")]
    mahalanobis: Option<MahalanobisConfig>,
    /// Distance from the nearest training clips.
    #[serde(skip_serializing_if = "Option::is_none")]
    knn: Option<KnnConfig>,
    /// Local outlier factor.
    #[serde(skip_serializing_if = "Option::is_none")]
    lof: Option<LofConfig>,
    /// Distance from the nearest prototype.
    #[serde(skip_serializing_if = "Option::is_none")]
    kmeans: Option<KmeansConfig>,
    /// Negative log likelihood under a mixture of Gaussians.
    #[serde(skip_serializing_if = "Option::is_none")]
    mixture: Option<MixtureConfig>,
}

impl DetectorConfig {
    /// A detector of that kind, one bank for all clips, nothing oversampled.
    #[must_use]
    pub fn new(kind: DetectorKind) -> Self {
        Self { kind, banks: Banks::Global, smote: None }
    }
}

impl DetectorKind {
    /// The table that it is written in.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Mahalanobis(_) => "mahalanobis",
            Self::Knn(_) => "knn",
            Self::Lof(_) => "lof",
            Self::Kmeans(_) => "kmeans",
            Self::Mixture(_) => "mixture",
        }
    }
}

impl Banks {
    /// The word that it is written as.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Global => "global",
            Self::Separate => "separate",
        }
    }
}

impl TryFrom<DetectorTable> for DetectorConfig {
    type Error = String;

    fn try_from(table: DetectorTable) -> Result<Self, String> {
        let DetectorTable { banks, smote, mahalanobis, knn, lof, kmeans, mixture } = table;
        let mut kinds: Vec<DetectorKind> = [
            mahalanobis.map(DetectorKind::Mahalanobis),
            knn.map(DetectorKind::Knn),
            lof.map(DetectorKind::Lof),
            kmeans.map(DetectorKind::Kmeans),
            mixture.map(DetectorKind::Mixture),
        ]
        .into_iter()
        .flatten()
        .collect();
        let given = kinds.iter().map(|kind| format!("`{}`", kind.name())).collect::<Vec<_>>().join(" and ");
        match (kinds.pop(), kinds.is_empty()) {
            (Some(kind), true) => Ok(Self { kind, banks, smote }),
            (Some(_), false) => {
                Err(format!("a detector is of one kind, this one has {given}: give each a name"))
            }
            (None, _) => {
                Err("a detector has one of the tables `mahalanobis`, `knn`, `lof`, `kmeans`, `mixture`, \
                              as in `knn = { k = 1 }`"
                    .to_owned())
            }
        }
    }
}

impl From<DetectorConfig> for DetectorTable {
    fn from(DetectorConfig { kind, banks, smote }: DetectorConfig) -> Self {
        let table = Self { banks, smote, ..Self::default() };
        match kind {
            DetectorKind::Mahalanobis(config) => Self { mahalanobis: Some(config), ..table },
            DetectorKind::Knn(config) => Self { knn: Some(config), ..table },
            DetectorKind::Lof(config) => Self { lof: Some(config), ..table },
            DetectorKind::Kmeans(config) => Self { kmeans: Some(config), ..table },
            DetectorKind::Mixture(config) => Self { mixture: Some(config), ..table },
        }
    }
}

// The schema is that of the table as it is written.
impl JsonSchema for DetectorConfig {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        DetectorTable::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        DetectorTable::json_schema(generator)
    }
}

impl Default for KnnConfig {
    fn default() -> Self {
        Self { k: 1, metric: DistanceMetric::Cosine, reduce: NeighbourReduce::Mean, density: None }
    }
}

impl Default for LofConfig {
    fn default() -> Self {
        Self { k: 20, metric: DistanceMetric::Cosine }
    }
}

impl Default for KmeansConfig {
    fn default() -> Self {
        Self { prototypes: 16, metric: DistanceMetric::Cosine, restarts: 10, density: None }
    }
}

impl Default for MixtureConfig {
    fn default() -> Self {
        Self { components: 2, covariance: MixtureCovariance::Diagonal, regularisation: 0.01 }
    }
}

impl Default for DensityConfig {
    fn default() -> Self {
        Self { k: 4 }
    }
}

impl Default for SmoteConfig {
    fn default() -> Self {
        Self { ratio: 0.2, k: 5 }
    }
}

/// Detectors' names head columns and stand in commands.
pub(super) fn check(detectors: &Detectors, problems: &mut Vec<Problem>) {
    for name in detectors.keys() {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        let key = format!("eval.detectors.{name}");
        if !name.starts_with(plain) || !name.chars().all(|c| plain(c) || c == '-') {
            let message = format!("`{name}` is no name of a detector");
            let help = "use lower-case letters, digits and `-`, and begin with a letter or a digit";
            problems.push(Problem::new(&key, message).related(&["eval.detectors"]).help(help));
        } else if RESERVED.contains(&name.as_str()) {
            let message =
                format!("a detector cannot be called `{name}`: scores.csv has a column of that name");
            problems
                .push(Problem::new(&key, message).help(format!("call it `{name}-2`, or by what it does")));
        }
    }
}

#[cfg(test)]
mod tests;
