//! `[eval]`: how a trained run and its features are judged. Nothing here changes what is trained.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the features of a trained run are judged.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Default)]
#[serde(default, deny_unknown_fields)]
pub struct EvalConfig {
    /// The linear probe: a linear classifier between normal and anomalous clips.
    pub linear_probe: LinearProbeConfig,
    /// Mahalanobis distance from the normal training clips.
    pub mahalanobis: MahalanobisConfig,
    /// The mixtures that the separation family's proxy metric is measured on; not used by others.
    pub separation: SeparationEvalConfig,
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
