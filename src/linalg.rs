//! Means, covariances and Mahalanobis distances of feature matrices: the only user of `ndarray-linalg`.
//!
//! A feature matrix is `[clips, dim]`, f64, one row a clip. LAPACK and BLAS come from the system's OpenBLAS.
//!
//! Every function here first limits OpenBLAS to one thread ([`use_one_blas_thread`]): its own threads would fight with
//! rayon's for the same cores, and the way it divides a product among threads changes the order of summation, so that the
//! last bits of a result would depend on the number of cores. With one thread the bytes are the same for any thread count.

use std::ffi::c_int;
use std::fmt;
use std::sync::Once;

use ndarray::linalg::general_mat_mul;
use ndarray::{Array1, Array2, ArrayView2, Axis, OwnedRepr, s};
use ndarray_linalg::{CholeskyFactorized, Diag, Eigh, FactorizeC, InverseC, SolveTriangularInplace, UPLO};

/// Rows that are centred at a time: 256 × 640 f64 is 1.3 MB, small beside the data and long enough for BLAS.
const BLOCK_ROWS: usize = 256;

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
            Self::LedoitWolf => "use the ridge or the pinv estimator, or more training clips",
            Self::Ridge { .. } => "use the ledoit-wolf or the pinv estimator, or a larger ridge",
            Self::Pinv => "use the ledoit-wolf estimator",
        }
    }
}

impl fmt::Display for Estimator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LedoitWolf => "ledoit-wolf",
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

/// First and second moments of a feature matrix.
#[derive(Debug, Clone)]
pub struct Moments {
    /// Column means, `[dim]`.
    pub mean: Array1<f64>,
    /// Σᵢ (xᵢ − mean)(xᵢ − mean)ᵀ, `[dim, dim]`, exactly symmetric.
    pub scatter: Array2<f64>,
    /// Σᵢ ‖xᵢ − mean‖⁴, which Ledoit-Wolf's shrinkage needs.
    pub fourth: f64,
    /// Rows seen.
    pub rows: usize,
}

/// Mean and scatter of `features` `[clips, dim]`, centred block by block, so that no copy of the matrix is made.
///
/// # Errors
/// Fewer than two rows, no column, a value that is not finite, squares that overflow.
pub fn moments(features: ArrayView2<f64>) -> Result<Moments, Error> {
    use_one_blas_thread();
    let (rows, dim) = features.dim();
    if rows < 2 {
        return Err(Error::TooFewRows { rows });
    }
    if dim == 0 {
        return Err(Error::NoColumns);
    }
    check_finite(features)?;
    let mean = features.sum_axis(Axis(0)) / rows as f64;
    let mut scatter = Array2::zeros((dim, dim));
    let mut fourth = 0.0;
    for start in (0..rows).step_by(BLOCK_ROWS) {
        let end = rows.min(start + BLOCK_ROWS);
        let centred = &features.slice(s![start..end, ..]) - &mean; // [block, dim]
        fourth += centred.rows().into_iter().map(|row| row.dot(&row).powi(2)).sum::<f64>();
        general_mat_mul(1.0, &centred.t(), &centred, 1.0, &mut scatter);
    }
    if !fourth.is_finite() {
        return Err(Error::Overflow);
    }
    // A general product need not round both triangles alike.
    for row in 0..dim {
        for column in 0..row {
            scatter[[column, row]] = scatter[[row, column]];
        }
    }
    Ok(Moments { mean, scatter, fourth, rows })
}

impl Moments {
    /// The unbiased covariance: the scatter over n − 1, `[dim, dim]`.
    pub fn unbiased_covariance(&self) -> Array2<f64> {
        &self.scatter / (self.rows - 1) as f64
    }

    /// Ledoit-Wolf's shrunk covariance `[dim, dim]` and the shrinkage in 0..=1, as scikit-learn's `LedoitWolf`:
    /// `(1 − s)·S + s·(tr S / dim)·I` with `S` the scatter over n.
    pub fn ledoit_wolf(&self) -> (Array2<f64>, f64) {
        let (n, dim) = (self.rows as f64, self.mean.len() as f64);
        let mut covariance = &self.scatter / n;
        let trace = covariance.diag().sum();
        let target = trace / dim;
        // Squared distance of S from its target, and the part of it that is sampling error, both per dimension. The double
        // sum of the paper over pairs of features factorises into the fourth powers of the row norms.
        let squares = covariance.iter().map(|v| v * v).sum::<f64>();
        let distance = (squares - 2.0 * target * trace + dim * target * target) / dim;
        let sampling = (self.fourth / n - squares) / (n * dim);
        let sampling = sampling.min(distance);
        let one_feature = self.mean.len() == 1; // the target is the covariance itself
        let shrinkage = if one_feature || sampling <= 0.0 { 0.0 } else { sampling / distance };
        covariance *= 1.0 - shrinkage;
        covariance.diag_mut().map_inplace(|v| *v += shrinkage * target);
        (covariance, shrinkage)
    }
}

/// The square root of an inverse covariance, in the form that its estimator gives it.
#[derive(Debug, Clone)]
enum Root {
    /// Lower Cholesky factor L of the covariance: the distance is ‖L⁻¹(x − mean)‖².
    Cholesky(Array2<f64>),
    /// Whitening matrix `[dim, rank]`: eigenvectors over the square roots of their eigenvalues.
    Whitening(Array2<f64>),
}

/// A mean and an inverted covariance, to which squared Mahalanobis distances are measured.
#[derive(Debug, Clone)]
pub struct Gaussian {
    mean: Array1<f64>,
    root: Root,
    /// How the covariance was estimated.
    pub estimator: Estimator,
    /// Ledoit-Wolf's shrinkage; none for the other estimators.
    pub shrinkage: Option<f64>,
    /// Condition number of what was inverted: ‖Σ‖₁·‖Σ⁻¹‖₁ where the whole matrix was (at least the ratio of its extreme
    /// eigenvalues, at most `dim` times it), largest over smallest kept eigenvalue for [`Estimator::Pinv`].
    pub condition: f64,
    /// Directions that count: `dim`, or the numerical rank for [`Estimator::Pinv`].
    pub rank: usize,
}

impl Gaussian {
    /// Fits to `features` `[clips, dim]`.
    ///
    /// # Errors
    /// Those of [`moments`]; features that never vary; a covariance that cannot be inverted to four digits.
    pub fn fit(features: ArrayView2<f64>, estimator: Estimator) -> Result<Self, Error> {
        let moments = moments(features)?;
        let (rows, dim) = features.dim();
        if moments.scatter.diag().iter().all(|&v| v == 0.0) {
            return Err(Error::Constant { rows });
        }
        let (covariance, shrinkage) = match estimator {
            Estimator::LedoitWolf => {
                let (covariance, shrinkage) = moments.ledoit_wolf();
                (covariance, Some(shrinkage))
            }
            Estimator::Ridge { ridge } => {
                if !(ridge.is_finite() && ridge >= 0.0) {
                    return Err(Error::Ridge { ridge });
                }
                let mut covariance = moments.unbiased_covariance();
                covariance.diag_mut().map_inplace(|v| *v += ridge);
                (covariance, None)
            }
            Estimator::Pinv => (moments.unbiased_covariance(), None),
        };
        let (root, condition, rank) = match estimator {
            Estimator::Pinv => whitening(&covariance, rows)?,
            _ => {
                let singular = |condition| Error::Singular { estimator, rows, dim, condition };
                let factored = covariance.factorizec(UPLO::Lower).map_err(|_| singular(f64::INFINITY))?;
                let condition = one_norm_condition(&covariance, &factored);
                if condition.is_nan() || condition > CONDITION_MAX {
                    return Err(singular(condition));
                }
                (Root::Cholesky(factored.into_lower()), condition, dim)
            }
        };
        Ok(Self { mean: moments.mean, root, estimator, shrinkage, condition, rank })
    }

    /// Features that the model was fitted to, per clip.
    pub fn dim(&self) -> usize {
        self.mean.len()
    }

    /// Squared Mahalanobis distances of the rows of `queries` `[clips, dim]`, in their order.
    ///
    /// # Errors
    /// Queries of another width, or not finite.
    pub fn squared_distances(&self, queries: ArrayView2<f64>) -> Result<Vec<f64>, Error> {
        use_one_blas_thread();
        let (rows, found) = queries.dim();
        if found != self.dim() {
            return Err(Error::Width { expected: self.dim(), found });
        }
        check_finite(queries)?;
        let mut distances = Vec::with_capacity(rows);
        for start in (0..rows).step_by(BLOCK_ROWS) {
            let end = rows.min(start + BLOCK_ROWS);
            let centred = &queries.slice(s![start..end, ..]) - &self.mean; // [block, dim]
            match &self.root {
                Root::Cholesky(factor) => {
                    // Row-major like the factor, or the solver transposes its copy. [dim, block]
                    let mut solved = centred.t().as_standard_layout().into_owned();
                    factor
                        .solve_triangular_inplace(UPLO::Lower, Diag::NonUnit, &mut solved)
                        .map_err(|source| Error::Lapack { dim: found, source })?;
                    distances.extend(solved.map(|v| v * v).sum_axis(Axis(0)));
                }
                Root::Whitening(whitening) => {
                    let white = centred.dot(whitening); // [block, rank]
                    distances.extend(white.rows().into_iter().map(|row| row.dot(&row)));
                }
            }
        }
        Ok(distances)
    }
}

/// The whitening matrix of a symmetric covariance, with its condition and rank.
///
/// numpy's `pinv` drops singular values below 1e-15 of the largest. Here an eigenvalue is also dropped below `dim · ε` of
/// the largest, which is the rounding error of the eigenvalues themselves, and beyond the n − 1 that n rows can give:
/// what lies below is noise whose inverse would decide the distance.
fn whitening(covariance: &Array2<f64>, rows: usize) -> Result<(Root, f64, usize), Error> {
    let dim = covariance.nrows();
    let (values, vectors) = covariance.eigh(UPLO::Lower).map_err(|source| Error::Lapack { dim, source })?;
    let largest = values[dim - 1]; // LAPACK sorts ascending
    let cutoff = largest * (dim as f64 * f64::EPSILON).max(1e-15);
    let first = dim.saturating_sub(rows - 1);
    let kept: Vec<usize> = (first..dim).filter(|&k| values[k] > cutoff).collect();
    let Some(&smallest) = kept.first() else {
        return Err(Error::Constant { rows });
    };
    let mut root = vectors.select(Axis(1), &kept); // [dim, rank]
    for (mut column, &k) in root.columns_mut().into_iter().zip(&kept) {
        column /= values[k].sqrt();
    }
    Ok((Root::Whitening(root), largest / values[smallest], kept.len()))
}

/// ‖Σ‖₁·‖Σ⁻¹‖₁, infinite where the inverse cannot be had.
///
/// The inverse itself: `ndarray-linalg`'s estimate of it multiplies by the norm of the LU factors instead of the matrix's,
/// and eigenvalues take fifty times as long as the factorisation.
fn one_norm_condition(covariance: &Array2<f64>, factored: &CholeskyFactorized<OwnedRepr<f64>>) -> f64 {
    let Ok(inverse) = factored.invc() else { return f64::INFINITY };
    let norm =
        |matrix: &Array2<f64>| matrix.map(|v| v.abs()).sum_axis(Axis(0)).fold(0.0, |a: f64, &b| a.max(b));
    norm(covariance) * norm(&inverse)
}

fn check_finite(features: ArrayView2<f64>) -> Result<(), Error> {
    match features.indexed_iter().find(|(_, v)| !v.is_finite()) {
        Some(((row, column), _)) => Err(Error::NotFinite { row, column }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    /// Features with correlated columns of different scale, from a fixed arithmetic rule.
    fn sample(rows: usize, dim: usize) -> Array2<f64> {
        let base = Array2::from_shape_fn((rows, dim), |(i, j)| {
            ((i * 31 + j * 17 + i * j * 7) % 101) as f64 / 50.0 - 1.0
        });
        let mixing = Array2::from_shape_fn((dim, dim), |(j, k)| 1.0 / (1 + j.abs_diff(k)) as f64);
        base.dot(&mixing) + 100.0
    }

    #[test]
    fn moments_do_not_depend_on_the_blocks() {
        let x = sample(2 * BLOCK_ROWS + 3, 5);
        let found = moments(x.view()).unwrap();
        let mean = x.mean_axis(Axis(0)).unwrap();
        let centred = &x - &mean;
        let scatter = centred.t().dot(&centred);
        let fourth: f64 = centred.rows().into_iter().map(|r| r.dot(&r).powi(2)).sum();
        // Summation order only: n · ε of the size of the sums.
        assert!((&found.scatter - &scatter).iter().all(|d| d.abs() < 1e-10 * scatter[[0, 0]]));
        assert!((found.fourth - fourth).abs() < 1e-10 * fourth);
        assert_eq!(found.scatter, found.scatter.t());
    }

    #[test]
    fn distances_are_unchanged_by_an_affine_map_of_the_features() {
        let (x, q) = (sample(40, 3), sample(9, 3) + 0.3);
        let map = array![[2.0, 0.3, 0.0], [0.0, 0.5, -1.0], [0.1, 0.0, 3.0]];
        for estimator in [Estimator::Ridge { ridge: 0.0 }, Estimator::Pinv] {
            let plain = Gaussian::fit(x.view(), estimator).unwrap();
            let mapped = Gaussian::fit((x.dot(&map) - 7.0).view(), estimator).unwrap();
            let expected = plain.squared_distances(q.view()).unwrap();
            let found = mapped.squared_distances((q.dot(&map) - 7.0).view()).unwrap();
            for (a, b) in expected.iter().zip(&found) {
                // ε times the condition of the covariance and of the map.
                assert!((a - b).abs() < 1e-9 * a, "{estimator}: {a} against {b}");
            }
        }
    }

    #[test]
    fn many_queries_give_what_one_query_gives() {
        let (x, q) = (sample(50, 7), sample(BLOCK_ROWS + 2, 7));
        for estimator in [Estimator::LedoitWolf, Estimator::Pinv] {
            let model = Gaussian::fit(x.view(), estimator).unwrap();
            let all = model.squared_distances(q.view()).unwrap();
            assert_eq!(all.len(), q.nrows());
            for row in [0, BLOCK_ROWS - 1, BLOCK_ROWS, q.nrows() - 1] {
                let one = model.squared_distances(q.slice(s![row..row + 1, ..])).unwrap()[0];
                assert!((one - all[row]).abs() <= 1e-12 * one, "row {row}: {one} against {}", all[row]);
            }
        }
    }

    #[test]
    fn more_features_than_clips_are_singular_only_where_nothing_shrinks() {
        let x = sample(6, 10);
        let singular = Gaussian::fit(x.view(), Estimator::Ridge { ridge: 0.0 }).unwrap_err();
        assert!(matches!(singular, Error::Singular { rows: 6, dim: 10, .. }), "{singular:?}");
        assert!(singular.to_string().contains("ledoit-wolf"), "{singular}");
        let shrunk = Gaussian::fit(x.view(), Estimator::LedoitWolf).unwrap();
        assert!(shrunk.condition.is_finite() && shrunk.shrinkage.unwrap() > 0.0);
        assert!(Gaussian::fit(x.view(), Estimator::Pinv).unwrap().rank <= 5);
    }

    #[test]
    fn features_without_a_covariance_are_errors() {
        let fit = |x: Array2<f64>| Gaussian::fit(x.view(), Estimator::LedoitWolf).unwrap_err();
        assert!(matches!(fit(Array2::zeros((0, 3))), Error::TooFewRows { rows: 0 }));
        assert!(matches!(fit(Array2::zeros((1, 3))), Error::TooFewRows { rows: 1 }));
        assert!(matches!(fit(Array2::zeros((4, 0))), Error::NoColumns));
        assert!(matches!(fit(Array2::ones((4, 2))), Error::Constant { rows: 4 }));
        assert!(matches!(fit(array![[1.0, 2.0], [3.0, f64::NAN]]), Error::NotFinite { row: 1, column: 1 }));
        assert!(matches!(fit(array![[1e200, 2.0], [3.0, 1.0]]), Error::Overflow));
        // Two clips lie on a line: the shrinkage that Ledoit and Wolf's formula gives is 0.
        assert!(matches!(fit(array![[1.0, 2.0], [3.0, 1.0]]), Error::Singular { .. }));
        let bad = Gaussian::fit(sample(9, 2).view(), Estimator::Ridge { ridge: -1.0 }).unwrap_err();
        assert!(matches!(bad, Error::Ridge { .. }));
        let model = Gaussian::fit(sample(9, 2).view(), Estimator::LedoitWolf).unwrap();
        let width = model.squared_distances(Array2::zeros((1, 3)).view()).unwrap_err();
        assert!(matches!(width, Error::Width { expected: 2, found: 3 }));
        assert!(model.squared_distances(array![[f64::INFINITY, 0.0]].view()).is_err());
        assert_eq!(model.squared_distances(Array2::zeros((0, 2)).view()).unwrap(), [0.0; 0]);
    }

    #[test]
    fn the_condition_is_that_of_the_covariance() {
        // Scatter diag(2, 18), so 9 in every norm.
        let x = array![[1.0, 0.0], [-1.0, 0.0], [0.0, 3.0], [0.0, -3.0]];
        for estimator in [Estimator::Ridge { ridge: 0.0 }, Estimator::Pinv] {
            let model = Gaussian::fit(x.view(), estimator).unwrap();
            assert!((model.condition - 9.0).abs() < 1e-13, "{estimator}: {}", model.condition);
        }
        // Of [[a, b], [b, d]] the inverse is [[d, -b], [-b, a]] over the determinant: the same 1-norm, divided by it.
        let x = array![[1.0, 1.0], [1.0, 1.0], [-1.0, 0.0], [-1.0, -2.0], [0.0, 0.0], [0.0, 0.0]];
        let covariance = moments(x.view()).unwrap().unbiased_covariance();
        let [a, b, d] = [[0, 0], [0, 1], [1, 1]].map(|at| covariance[at]);
        let norm = (a + b).max(b + d);
        let model = Gaussian::fit(x.view(), Estimator::Ridge { ridge: 0.0 }).unwrap();
        let expected = norm * norm / (a * d - b * b);
        assert!((model.condition - expected).abs() < 1e-12 * expected, "{}", model.condition);
    }

    #[test]
    fn a_copied_feature_is_singular_for_an_empty_ridge() {
        let x = sample(30, 3);
        let copied = ndarray::concatenate![Axis(1), x, x.slice(s![.., 1..2])];
        let error = Gaussian::fit(copied.view(), Estimator::Ridge { ridge: 0.0 }).unwrap_err();
        assert!(matches!(error, Error::Singular { .. }), "{error:?}");
        let plain = Gaussian::fit(x.view(), Estimator::Pinv).unwrap().squared_distances(x.view()).unwrap();
        let model = Gaussian::fit(copied.view(), Estimator::Pinv).unwrap();
        assert_eq!(model.rank, 3);
        // A copy adds no direction, so no distance.
        for (a, b) in plain.iter().zip(model.squared_distances(copied.view()).unwrap()) {
            assert!((a - b).abs() < 1e-9 * a, "{a} against {b}");
        }
    }

    #[test]
    fn one_feature_needs_no_shrinkage() {
        let x = array![[1.0], [2.0], [4.0], [9.0]];
        let model = Gaussian::fit(x.view(), Estimator::LedoitWolf).unwrap();
        assert_eq!(model.shrinkage, Some(0.0));
        // Mean 4, variance over n 9.5.
        assert!((model.squared_distances(array![[6.0]].view()).unwrap()[0] - 4.0 / 9.5).abs() < 1e-15);
    }
}
