//! Statistics over the results of many runs. f64, no input or output.

mod spearman;

pub use spearman::{EXACT_MAX, MonteCarlo, Spearman, smallest_p, spearman, spearman_with};

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
}
