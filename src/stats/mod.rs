//! Statistics of scores and of the results of many runs: rank correlation with its permutation test, bootstrap intervals,
//! DeLong's test, adjusted p-values. f64, no input or output.

mod adjust;
pub mod bootstrap;
mod delong;
pub mod interval;
mod normal;
mod rho;
mod spearman;

pub use adjust::{benjamini_hochberg, holm};
pub use bootstrap::{Bootstrap, Resampler, Settings, bootstrap, bootstrap_many};
pub use delong::{AucInterval, DeLong, delong, delong_auc};
pub use interval::{Interval, Method};
pub use rho::{rho_over_machines, without_noise};
pub use spearman::{EXACT_MAX, MonteCarlo, Spearman, rank_correlation, smallest_p, spearman, spearman_with};

/// Why a statistic does not exist for the values given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Two series that should be pairs.
    #[error("pair {left} values with {right}: both series need one value per configuration")]
    Lengths {
        /// Values of the first series.
        left: usize,
        /// Values of the second series.
        right: usize,
    },
    /// Too few pairs.
    #[error("correlate {n} configuration(s): a rank correlation needs at least 3")]
    TooFew {
        /// Pairs given.
        n: usize,
    },
    /// A NaN or an infinity.
    #[error("rank a value that is not finite (pair {index}): leave that configuration out or repair it")]
    NotFinite {
        /// Index of the first such pair.
        index: usize,
    },
    /// A series whose values are all equal has no ranks to correlate.
    #[error("correlate a series that is the same for all {n} configurations")]
    Constant {
        /// Pairs given.
        n: usize,
    },
    /// A Monte Carlo test without draws.
    #[error("estimate a p-value from no permutation: draw at least 1")]
    NoDraws,
    /// A p-value that is none.
    #[error("adjust p-value {index}: it is not within 0 and 1")]
    NoProbability {
        /// Index of the first such value.
        index: usize,
    },
    /// Scores and labels that should be pairs.
    #[error("pair {scores} scores with {labels} labels: every clip needs one of each")]
    Labels {
        /// Scores given.
        scores: usize,
        /// Labels given.
        labels: usize,
    },
    /// A score that is NaN or infinite.
    #[error("compare scores that are not finite (clip {index}): look for a diverged model or a broken clip")]
    Score {
        /// Index of the first such clip.
        index: usize,
    },
    /// Too few clips of a class for the variance of an AUC.
    #[error(
        "judge an AUC of {normal} normal and {anomalous} anomalous clip(s): at least two of each are needed"
    )]
    TooFewClips {
        /// Normal clips.
        normal: usize,
        /// Anomalous clips.
        anomalous: usize,
    },
    /// Too few machines to resample.
    #[error("resample {machines} machine(s): at least two are needed")]
    TooFewMachines {
        /// Machines given.
        machines: usize,
    },
    /// A statistic that the clips themselves do not have.
    #[error("find an interval around a value that these clips do not have")]
    NoEstimate,
    /// Too few resamples for an interval.
    #[error("find an interval from {resamples} resample(s): draw at least two, better a thousand")]
    TooFewResamples {
        /// Resamples asked for.
        resamples: usize,
    },
    /// A level that is no share.
    #[error("find an interval of a level that is not between 0 and 1")]
    Level,
    /// So many resamples without a value that the interval's ends are unknown.
    #[error(
        "find an interval: only {defined} of {resamples} resamples have a value; there are too few clips of a kind"
    )]
    Undefined {
        /// Resamples with a value.
        defined: usize,
        /// Resamples drawn.
        resamples: usize,
    },
}
