//! Means, covariances, Mahalanobis distances, nearest neighbours and principal components of feature matrices: the only user
//! of `ndarray-linalg`.
//!
//! A feature matrix is `[clips, dim]`, f64, one row a clip. LAPACK and BLAS come from the system's OpenBLAS.
//!
//! Every function here first limits OpenBLAS to one thread ([`use_one_blas_thread`]): its own threads would fight with
//! rayon's for the same cores, and the way it divides a product among threads changes the order of summation, so that the
//! last bits of a result would depend on the number of cores. What is worth more than one core is divided among rayon's
//! threads here, into blocks whose sizes do not depend on their number: the bytes are the same for any thread count.

mod factor;
mod gaussian;
mod moments;
mod nearest;
mod pca;

use std::ffi::c_int;
use std::fmt;
use std::sync::Once;

use ndarray::ArrayView2;

pub use factor::Factor;
pub use gaussian::Gaussian;
pub use moments::{Moments, moments, weighted_scatter};
pub use nearest::{Bank, Distance, Neighbour, unit_rows};
pub use pca::{Principal, principal};

/// Above this condition number a solved distance keeps fewer than four correct digits (ε · 1e12 ≈ 2e-4), and its order
/// among other clips' distances is noise.
const CONDITION_MAX: f64 = 1e12;

/// What can go wrong when a Gaussian is fitted to features, or distances to it are taken.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Too few rows for a covariance.
    #[error("estimate a covariance from {rows} training clip(s): at least 2 are needed, add training clips")]
    TooFewRows {
        /// Rows of the training matrix.
        rows: usize,
    },
    /// A matrix without columns.
    #[error("estimate a covariance of features with no dimension: check how the features were made")]
    NoColumns,
    /// A value that is NaN or infinite.
    #[error(
        "take features that are not finite (row {row}, column {column}): the features were not computed correctly"
    )]
    NotFinite {
        /// Row (clip) of the first such value.
        row: usize,
        /// Column (feature) of that value.
        column: usize,
    },
    /// The squares of the features leave the range of f64.
    #[error("estimate a covariance of features this large (their squares overflow): scale the features")]
    Overflow,
    /// All training rows are the same.
    #[error(
        "estimate a covariance of features that never vary: the {rows} training clips all have the same features"
    )]
    Constant {
        /// Rows of the training matrix.
        rows: usize,
    },
    /// A ridge that cannot be added.
    #[error("add a ridge of {ridge} to a covariance: it must be finite and not negative")]
    Ridge {
        /// The value that was given.
        ridge: f64,
    },
    /// The estimated covariance cannot be inverted reliably.
    #[error(
        "invert the {estimator} covariance of {rows} clips × {dim} features (condition {condition:.1e}, limit {CONDITION_MAX:.0e}): {}",
        estimator.remedy()
    )]
    Singular {
        /// The estimator that gave it.
        estimator: Estimator,
        /// Training rows.
        rows: usize,
        /// Features.
        dim: usize,
        /// Condition number (1-norm), infinite where the factorisation itself failed.
        condition: f64,
    },
    /// Queries of another width than the training features.
    #[error(
        "measure {found}-dimensional features against a model of {expected} dimensions: use features of the same run"
    )]
    Width {
        /// Features of the training matrix.
        expected: usize,
        /// Features of the queries.
        found: usize,
    },
    /// Too few rows for neighbours.
    #[error(
        "look for neighbours among {rows} training clip(s): at least {needed} are needed, add training clips"
    )]
    TooFewNeighbours {
        /// Rows that there are.
        rows: usize,
        /// Rows that there must be.
        needed: usize,
    },
    /// The squares of the features leave the range of f64.
    #[error("measure distances between features this large (their squares overflow): scale the features")]
    TooLarge,
    /// A covariance that has no Cholesky factor.
    #[error(
        "factorise a covariance of {dim} features that is not positive definite: use a larger regularisation, or more \
         training clips"
    )]
    NotPositive {
        /// Features.
        dim: usize,
    },
    /// LAPACK refused.
    #[error("factorise a {dim} × {dim} covariance")]
    Lapack {
        /// Features.
        dim: usize,
        /// What LAPACK said.
        #[source]
        source: ndarray_linalg::error::LinalgError,
    },
}

/// How a covariance is made invertible.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Estimator {
    /// Ledoit and Wolf's shrinkage towards a multiple of the identity (J. Multivariate Analysis 88, 2004), with the
    /// amount that minimises the expected squared error; the covariance divides by n, as in scikit-learn.
    LedoitWolf,
    /// The oracle-approximating shrinkage towards a multiple of the identity (Chen, Wiesel, Eldar and Hero, IEEE Trans. Signal
    /// Processing 58, 2010, eq. 23 without its terms in 2/dim), which is optimal for normal features and, unlike Ledoit and
    /// Wolf's, needs second moments only; the covariance divides by n. As in scikit-learn.
    Oas,
    /// The unbiased covariance (n − 1) plus `ridge` (in squared feature units) on its diagonal.
    Ridge {
        /// What is added to every variance.
        ridge: f64,
    },
    /// The pseudo-inverse of the unbiased covariance (n − 1): directions in which training never varied count nothing.
    Pinv,
}

impl Estimator {
    fn remedy(&self) -> &'static str {
        match self {
            Self::LedoitWolf | Self::Oas => "use the ridge or the pinv estimator, or more training clips",
            Self::Ridge { .. } => "use the ledoit-wolf or the pinv estimator, or a larger ridge",
            Self::Pinv => "use the ledoit-wolf estimator",
        }
    }
}

impl fmt::Display for Estimator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LedoitWolf => "ledoit-wolf",
            Self::Oas => "oas",
            Self::Ridge { .. } => "ridge",
            Self::Pinv => "pinv",
        })
    }
}

unsafe extern "C" {
    /// OpenBLAS's own switch. The environment variable of that name is read when the library is loaded, before `main`.
    safe fn openblas_set_num_threads(threads: c_int);
}

/// Limits OpenBLAS to one thread for the rest of the process. Cheap after the first call.
///
/// Everything in this module calls it; a program that multiplies `ndarray` matrices elsewhere (their products go to the
/// same OpenBLAS) calls it once at its start.
pub fn use_one_blas_thread() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| openblas_set_num_threads(1));
}

/// Checks that all of `features` are finite.
///
/// # Errors
/// The place of the first that is not.
pub fn check_finite(features: ArrayView2<f64>) -> Result<(), Error> {
    // Without places first: a plain pass over the values is what nearly every call needs.
    if features.iter().all(|value| value.is_finite()) {
        return Ok(());
    }
    match features.indexed_iter().find(|(_, v)| !v.is_finite()) {
        Some(((row, column), _)) => Err(Error::NotFinite { row, column }),
        None => Ok(()),
    }
}

impl Error {
    /// Whether the training features, although they are numbers of one width, allow no such model: a result without values
    /// and with this reason. Otherwise something else went wrong before.
    pub fn is_unfit(&self) -> bool {
        !matches!(self, Self::NotFinite { .. } | Self::Width { .. } | Self::NoColumns)
    }
}

#[cfg(test)]
mod tests;
