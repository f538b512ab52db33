//! A Gaussian fitted to features, and the distances to it.

use ndarray::linalg::general_mat_mul;
use ndarray::{Array1, Array2, ArrayView2, Axis, OwnedRepr, s};
use ndarray_linalg::{CholeskyFactorized, Eigh, FactorizeC, InverseC, UPLO};
use rayon::prelude::*;

use super::moments::moments;
use super::{CONDITION_MAX, Error, Estimator, check_finite, use_one_blas_thread};

/// Queries whose distances one thread computes at a time.
pub(super) const BLOCK_QUERIES: usize = 256;

/// Rows of a triangular system that are solved at a time.
const PANEL_ROWS: usize = 64;

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
    /// Ledoit-Wolf's or OAS's shrinkage; none for the other estimators.
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
            Estimator::Oas => {
                let (covariance, shrinkage) = moments.oas();
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
            Estimator::Pinv => {
                let (root, condition, rank) = whitening(&covariance, rows)?;
                // Not an error: what is kept is above the rounding of the eigenvalues. But the last of it is near to it.
                if condition > CONDITION_MAX {
                    tracing::warn!(
                        "the pseudo-inverse of the covariance of {rows} clips × {dim} features has a condition of \
                         {condition:.1e}: its distances keep few correct digits; {}",
                        estimator.remedy()
                    );
                }
                (root, condition, rank)
            }
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
        let found = queries.ncols();
        if found != self.dim() {
            return Err(Error::Width { expected: self.dim(), found });
        }
        check_finite(queries)?;
        let blocks = queries.axis_chunks_iter(Axis(0), BLOCK_QUERIES).into_par_iter();
        let distances: Vec<Vec<f64>> = blocks.map(|block| self.distances_of_block(block)).collect();
        Ok(distances.concat())
    }

    /// Squared distances of a few `queries` `[block, dim]`.
    fn distances_of_block(&self, queries: ArrayView2<f64>) -> Vec<f64> {
        let centred = &queries - &self.mean; // [block, dim]
        match &self.root {
            Root::Cholesky(factor) => {
                let mut solved = centred.t().as_standard_layout().into_owned(); // [dim, block]
                solve_lower(factor, &mut solved);
                solved.mapv_inplace(|v| v * v);
                solved.sum_axis(Axis(0)).to_vec()
            }
            Root::Whitening(whitening) => {
                let white = centred.dot(whitening); // [block, rank]
                white.rows().into_iter().map(|row| row.dot(&row)).collect()
            }
        }
    }
}

/// Replaces `right` `[dim, block]` by L⁻¹·`right`, with L the lower triangle of `factor` `[dim, dim]`.
///
/// Forward substitution a panel of rows at a time: all but the panels' own triangles is plain products, which take a third of
/// the time of LAPACK's solver as `ndarray-linalg` calls it on row-major matrices.
pub(super) fn solve_lower(factor: &Array2<f64>, right: &mut Array2<f64>) {
    let dim = factor.nrows();
    for start in (0..dim).step_by(PANEL_ROWS) {
        let end = dim.min(start + PANEL_ROWS);
        let (solved, mut rest) = right.view_mut().split_at(Axis(0), start);
        let mut panel = rest.slice_mut(s![..end - start, ..]);
        general_mat_mul(-1.0, &factor.slice(s![start..end, ..start]), &solved, 1.0, &mut panel);
        for row in start..end {
            let (above, mut below) = panel.view_mut().split_at(Axis(0), row - start);
            let mut current = below.row_mut(0);
            for (&weight, earlier) in factor.slice(s![row, start..row]).iter().zip(above.rows()) {
                current.scaled_add(-weight, &earlier);
            }
            current /= factor[[row, row]];
        }
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
