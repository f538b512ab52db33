//! `[eval]`: how a trained run and its features are judged. Nothing here changes what is trained.

mod detectors;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use detectors::{
    Banks, DensityConfig, DetectorConfig, DetectorKind, Detectors, DistanceMetric, KmeansConfig, KnnConfig,
    LofConfig, MixtureConfig, MixtureCovariance, NeighbourReduce, SmoteConfig,
};

use super::check::Problem;

/// How the features of a trained run are judged.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Default)]
#[serde(default, deny_unknown_fields)]
pub struct EvalConfig {
    /// The linear probe: a linear classifier between normal and anomalous clips.
    pub linear_probe: LinearProbeConfig,
    /// Mahalanobis distance from the normal training clips.
    pub mahalanobis: MahalanobisConfig,
    /// Further detectors by name; all of them score the features of one pass.
    // Runs of before keep the files that they have.
    #[serde(skip_serializing_if = "Detectors::is_empty")]
    #[schemars(extend("propertyNames" = {"pattern": "^[a-z0-9][a-z0-9-]*$"}))]
    pub detectors: Detectors,
    /// The mixtures that the separation family's proxy metric is measured on; not used by others.
    pub separation: SeparationEvalConfig,
    /// What is known of checkpoints that were trained elsewhere; not used by other families.
    // Runs of before, and of other families, keep the files that they have.
    #[serde(skip_serializing_if = "PretrainedEvalConfig::is_empty")]
    pub pretrained: PretrainedEvalConfig,
}

/// The linear probe, on features standardised with the statistics of its training half.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct LinearProbeConfig {
    /// How the probe is fitted.
    pub solver: ProbeSolver,
    /// Inverse strength of the L2 penalty of `lbfgs`.
    #[schemars(extend("exclusiveMinimum" = 0.0))]
    pub c: f64,
    /// How the clips of a section are halved for the in-domain probe.
    pub split: ProbeSplit,
    /// Also fit on the other half, and average both directions.
    pub swap: bool,
    /// `lbfgs` stops when no component of the gradient per clip is larger.
    #[schemars(extend("exclusiveMinimum" = 0.0))]
    pub tolerance: f64,
    /// Settings of the `adam` solver.
    pub adam: ProbeAdamConfig,
}

/// How the linear probe is fitted.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum ProbeSolver {
    /// To convergence: the result depends on no learning rate.
    Lbfgs,
    /// Mini-batch Adam; the epoch with the best training accuracy is kept.
    Adam,
}

/// How the clips of a section are halved for the in-domain probe.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum ProbeSplit {
    /// By sorted file name: the first half of each section and label is tested.
    Sorted,
    /// By a shuffle that the run's seed decides.
    Seeded,
}

/// Settings of the `adam` solver.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct ProbeAdamConfig {
    /// Learning rate.
    #[schemars(extend("exclusiveMinimum" = 0.0))]
    pub lr: f64,
    /// Passes over the probe's training half.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub epochs: usize,
    /// Clips in a batch.
    #[schemars(range(min = 1, max = 1_048_576))]
    pub batch_size: usize,
}

/// Mahalanobis distance: one mean and covariance over all normal training clips.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct MahalanobisConfig {
    /// How the covariance is estimated and inverted.
    pub estimator: CovarianceEstimator,
    /// Added to the diagonal by the `ridge` estimator.
    #[schemars(extend("exclusiveMinimum" = 0.0))]
    pub ridge: f64,
}

/// How a covariance is estimated and inverted.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum CovarianceEstimator {
    /// Shrunk towards a multiple of the identity (Ledoit and Wolf, 2004).
    LedoitWolf,
    /// Shrunk towards a multiple of the identity, by the amount that is best for normal features (Chen et al., 2010).
    Oas,
    /// The sample covariance with `ridge` added to its diagonal.
    Ridge,
    /// The sample covariance and its pseudo-inverse.
    Pinv,
}

/// Mixtures of held-out normal clips with held-out interference, the same for every configuration and seed.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct SeparationEvalConfig {
    /// Mixtures at each level.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub mixtures: usize,
    /// Levels in dB of the machine over the interference.
    #[schemars(length(min = 1), inner(range(min = -60.0, max = 60.0)), extend("uniqueItems" = true))]
    pub snrs_db: Vec<f64>,
}

/// What is known of checkpoints that were trained elsewhere.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Default)]
#[serde(default, deny_unknown_fields)]
pub struct PretrainedEvalConfig {
    /// The proxy metric of the pretrained family as published, one table for each checkpoint.
    pub published: Vec<PublishedMap>,
}

/// A checkpoint's mean average precision on AudioSet, as published.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct PublishedMap {
    /// Name of the file, without folders; of a `model.safetensors` with its folder's: `EAT-base/model.safetensors`.
    #[schemars(length(min = 1))]
    pub checkpoint: String,
    /// The metric as a fraction: 0.486 for 48.6 %.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub map: f64,
    /// Where it is published.
    #[schemars(length(min = 1))]
    pub source: String,
}

impl PretrainedEvalConfig {
    fn is_empty(&self) -> bool {
        self.published.is_empty()
    }

    /// What is published of the checkpoint of that name, as `PretrainedConfig::name` gives it.
    #[must_use]
    pub fn published(&self, name: &str) -> Option<&PublishedMap> {
        self.published.iter().find(|entry| entry.checkpoint == name)
    }
}

impl EvalConfig {
    /// Rules between settings; the range of each alone stands in the schema.
    pub(super) fn check(&self, problems: &mut Vec<Problem>) {
        detectors::check(&self.detectors, problems);
        let published = &self.pretrained.published;
        let repeated = (1..published.len())
            .find(|&n| published[..n].iter().any(|earlier| earlier.checkpoint == published[n].checkpoint));
        if let Some(n) = repeated {
            let key = "eval.pretrained.published";
            let message = format!("`{key}` has `{}` more than once", published[n].checkpoint);
            problems.push(Problem::new(key, message).help("keep one of the two"));
        }
    }
}

impl Default for SeparationEvalConfig {
    fn default() -> Self {
        Self { mixtures: 1000, snrs_db: vec![-5.0, 0.0, 5.0] }
    }
}

impl Default for LinearProbeConfig {
    fn default() -> Self {
        Self {
            solver: ProbeSolver::Lbfgs,
            c: 1.0,
            split: ProbeSplit::Sorted,
            swap: false,
            tolerance: 1e-6,
            adam: ProbeAdamConfig::default(),
        }
    }
}

impl Default for ProbeAdamConfig {
    fn default() -> Self {
        Self { lr: 1e-3, epochs: 200, batch_size: 64 }
    }
}

impl Default for MahalanobisConfig {
    fn default() -> Self {
        Self { estimator: CovarianceEstimator::LedoitWolf, ridge: 1e-6 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(checkpoints: &[&str]) -> EvalConfig {
        let of = |checkpoint: &&str| PublishedMap {
            checkpoint: (*checkpoint).to_owned(),
            map: 0.5,
            source: "a paper".to_owned(),
        };
        let pretrained = PretrainedEvalConfig { published: checkpoints.iter().map(of).collect() };
        EvalConfig { pretrained, ..Default::default() }
    }

    #[test]
    fn a_checkpoint_is_published_once() {
        let problems = |config: &EvalConfig| {
            let mut problems = Vec::new();
            config.check(&mut problems);
            problems.into_iter().map(|problem| problem.message).collect::<Vec<_>>()
        };
        assert_eq!(problems(&with(&["a.pt", "b.pt"])), Vec::<String>::new());
        let found = problems(&with(&["a.pt", "b.pt", "a.pt"]));
        assert_eq!(found, ["`eval.pretrained.published` has `a.pt` more than once"]);
    }

    #[test]
    fn other_families_files_have_nothing_of_it() {
        let text = |config: &EvalConfig| serde_json::to_string(config).unwrap();
        assert!(!text(&EvalConfig::default()).contains("pretrained"));
        assert!(
            text(&with(&["a.pt"])).contains(r#""pretrained":{"published":[{"checkpoint":"a.pt","map":0.5"#)
        );
    }
}
