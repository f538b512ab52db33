//! Metrics: numbers from labels and scores, in f64, without files.
//!
//! A metric that cannot be had is an [`Undefined`] with its reason, never a stand-in such as 0.5.

mod auc;

pub use auc::auc;

/// Why a metric has no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Undefined {
    /// All clips are normal, or all are anomalous.
    #[error("undefined: all clips have the same label; normal and anomalous clips are needed")]
    OneClass,
    /// There is nothing to measure.
    #[error("undefined: there are no clips")]
    Empty,
    /// A score is NaN or infinite.
    #[error("undefined: a score is NaN or infinite; look for a diverged model or a broken clip")]
    NotFinite,
    /// There are more or fewer labels than scores.
    #[error("undefined: {scores} scores and {labels} labels do not pair up")]
    Unpaired {
        /// Number of scores.
        scores: usize,
        /// Number of labels.
        labels: usize,
    },
}
