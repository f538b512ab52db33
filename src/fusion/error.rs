//! Why scores cannot be fused. Each message names the system, machine or section and the remedy.

use crate::official::{ThresholdError, Year};
use crate::{metric, stats};

/// Scores that cannot be fused, or weights that cannot be found.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Nothing to fuse.
    #[error("fuse no scores: there is {0}")]
    Nothing(&'static str),
    /// A section that is there twice.
    #[error("fuse machine `{machine}`, section {section}, twice: give each section once")]
    Twice {
        /// The machine type.
        machine: String,
        /// The section.
        section: String,
    },
    /// A table whose rows or columns are not the systems or clips.
    #[error("fuse machine `{machine}`, section {section}: {why}")]
    Shape {
        /// The machine type.
        machine: String,
        /// The section.
        section: String,
        /// What does not pair up.
        why: String,
    },
    /// A score that is NaN or infinite.
    #[error(
        "fuse machine `{machine}`, section {section}: the score of `{file}` by `{system}` is {value}; look for a diverged \
         model, or leave the system out"
    )]
    NotFinite {
        /// The machine type.
        machine: String,
        /// The section.
        section: String,
        /// The clip.
        file: String,
        /// The system.
        system: String,
        /// The score.
        value: f64,
    },
    /// A metric that these clips do not have.
    #[error("judge machine `{machine}`, section {section}, by {objective}: {why}")]
    Undefined {
        /// The machine type.
        machine: String,
        /// The section.
        section: String,
        /// The metric's name.
        objective: &'static str,
        /// Which clips are missing.
        why: String,
    },
    /// An objective that a year does not have.
    #[error("tune by {objective}: the challenge of {year} had none; choose {instead}")]
    NoObjective {
        /// The objective's name.
        objective: &'static str,
        /// The year.
        year: Year,
        /// What can be chosen.
        instead: &'static str,
    },
    /// A setting outside its range.
    #[error("{0}")]
    Setting(String),
    /// A normalisation without the scores that it is fitted to.
    #[error("normalise the scores of {0}")]
    Reference(String),
    /// A fit of a gamma distribution.
    #[error("normalise the scores of `{branch}` by a gamma distribution: {why}")]
    Gamma {
        /// The branch.
        branch: String,
        /// Why there is no fit.
        why: ThresholdError,
    },
    /// Too little to leave something out.
    #[error("validate over {over}: there is one only; {remedy}")]
    OneFold {
        /// What is left out in turn.
        over: &'static str,
        /// What to do.
        remedy: &'static str,
    },
    /// The search itself.
    #[error("search for weights: {0}")]
    Search(String),
    /// A metric of the scores.
    #[error(transparent)]
    Metric(#[from] metric::Undefined),
    /// A statistic of the scores.
    #[error(transparent)]
    Stats(#[from] stats::Error),
}
