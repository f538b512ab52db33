//! Metrics: numbers from labels and scores, in f64, without files.
//!
//! A metric that cannot be had is an [`Undefined`] with its reason, never a stand-in such as 0.5.

mod auc;
mod classes;
mod contrastive;
mod decision;
mod precision;
mod ranked;
mod si_sdr;

pub use auc::auc;
pub use classes::{ClassMetrics, MacroF1, macro_f1, macro_f1_of};
pub use contrastive::{alignment, uniformity};
pub use decision::{DecisionMetrics, decision_metrics};
pub use precision::{MeanAveragePrecision, average_precision, mean_average_precision};
pub use ranked::{Ranked, partial_auc};
pub use si_sdr::{SiSdr, si_sdr};

/// Why a metric has no value.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Undefined {
    /// All clips are normal, or all are anomalous.
    #[error("undefined: all clips have the same label; normal and anomalous clips are needed")]
    OneClass,
    /// There is nothing to measure.
    #[error("undefined: there is nothing to measure; clips with samples or scores are needed")]
    Empty,
    /// A score is NaN or infinite.
    #[error("undefined: a score is NaN or infinite; look for a diverged model or a broken clip")]
    NotFinite,
    /// There are more or fewer labels than scores or predictions.
    #[error("undefined: {scores} scores (or predictions) and {labels} labels do not pair up")]
    Unpaired {
        /// Number of scores or predictions.
        scores: usize,
        /// Number of labels.
        labels: usize,
    },
    /// A setting of the metric that it has no value for.
    #[error("undefined: {name} is {value}, it must be {range}")]
    OutOfRange {
        /// The setting.
        name: &'static str,
        /// What it was.
        value: f64,
        /// What it may be, in words.
        range: &'static str,
    },
    /// No clip belongs to the class whose average precision is asked for.
    #[error("undefined: no clip belongs to the class; at least one is needed")]
    NoPositive,
    /// Two tables that belong together differ in rows or columns.
    #[error(
        "undefined: a table of {} rows and {} columns does not pair up with one of {} rows and {} columns",
        .left.0, .left.1, .right.0, .right.1
    )]
    Shapes {
        /// Rows and columns of the first table.
        left: (usize, usize),
        /// Rows and columns of the second.
        right: (usize, usize),
    },
    /// Two signals that belong together differ in length.
    #[error("undefined: an estimate of {estimate} samples does not pair up with a target of {target}")]
    Lengths {
        /// Samples of the estimate.
        estimate: usize,
        /// Samples of the target.
        target: usize,
    },
    /// There is one embedding, which has no distance to another.
    #[error("undefined: there is one embedding only; at least two are needed")]
    OneRow,
    /// A vector without direction.
    #[error(
        "undefined: the embedding in row {row} is all zeros, it has no direction; the network has collapsed"
    )]
    ZeroVector {
        /// Row, counted from 0.
        row: usize,
    },
    /// A value of an embedding or of a signal is NaN or infinite.
    #[error(
        "undefined: {what} {at} (counted from 0) is NaN or infinite; look for a diverged model or a broken clip"
    )]
    NotFiniteAt {
        /// What is counted: an embedding's row, a sample.
        what: &'static str,
        /// Its place, counted from 0.
        at: usize,
    },
    /// A signal is zero, or constant where the mean is removed.
    #[error("undefined: the {signal} is silent; leave silent clips out")]
    Silent {
        /// `"target"` or `"estimate"`.
        signal: &'static str,
    },
    /// A ratio in decibels of which one side is zero or out of f64's range.
    #[error(
        "undefined: the ratio is infinite; signals that are exact copies or exactly unrelated need an epsilon above 0"
    )]
    Infinite,
}

/// The checks that every metric of scored and labelled clips begins with.
fn check_scores(scores: &[f64], labels: &[bool]) -> Result<(), Undefined> {
    if scores.len() != labels.len() {
        return Err(Undefined::Unpaired { scores: scores.len(), labels: labels.len() });
    }
    if scores.is_empty() {
        return Err(Undefined::Empty);
    }
    // No early end: a loop without branches runs several scores at a time.
    match scores.iter().fold(true, |finite, score| finite & score.is_finite()) {
        true => Ok(()),
        false => Err(Undefined::NotFinite),
    }
}

/// An integer that sorts as the finite `score` does, both zeros being one.
fn sort_key(score: f64) -> u64 {
    const SIGN: u64 = 1 << 63;
    let bits = (score + 0.0).to_bits(); // -0.0 + 0.0 = 0.0
    if bits & SIGN == 0 { bits | SIGN } else { !bits }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn keys_sort_as_the_scores_do() {
        let ascending =
            [f64::MIN, -1.0, -f64::MIN_POSITIVE, -5e-324, 0.0, 5e-324, f64::MIN_POSITIVE, 1.0, f64::MAX];
        assert!(ascending.is_sorted_by(|a, b| sort_key(*a) < sort_key(*b)));
        assert_eq!(sort_key(-0.0), sort_key(0.0));
    }

    proptest! {
        #[test]
        fn keys_compare_as_the_scores_do(a in prop::num::f64::NORMAL, b in prop::num::f64::ANY) {
            prop_assume!(b.is_finite());
            prop_assert_eq!(Some(sort_key(a).cmp(&sort_key(b))), a.partial_cmp(&b));
        }
    }
}
