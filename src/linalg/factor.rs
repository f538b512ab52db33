//! Cholesky factors of covariances that were made elsewhere.

use ndarray::{Array2, ArrayView2, Axis};
use ndarray_linalg::{FactorizeC, UPLO};
use rayon::prelude::*;

use super::gaussian::{BLOCK_QUERIES, solve_lower};
use super::{Error, use_one_blas_thread};

/// A factored covariance: what the density of a Gaussian needs of it.
#[derive(Debug, Clone)]
pub struct Factor {
    /// Lower Cholesky factor `[dim, dim]`.
    lower: Array2<f64>,
    /// Logarithm of the covariance's determinant.
    pub log_determinant: f64,
}

impl Factor {
    /// Factors a symmetric `covariance` `[dim, dim]`.
    ///
    /// # Errors
    /// A covariance that is not positive definite.
    pub fn of(covariance: &Array2<f64>) -> Result<Self, Error> {
        use_one_blas_thread();
        let dim = covariance.nrows();
        let factored = covariance.factorizec(UPLO::Lower).map_err(|_| Error::NotPositive { dim })?;
        let lower = factored.into_lower();
        let log_determinant = 2.0 * lower.diag().iter().map(|value| value.ln()).sum::<f64>();
        if !log_determinant.is_finite() {
            return Err(Error::NotPositive { dim });
        }
        Ok(Self { lower, log_determinant })
    }

    /// xᵀ Σ⁻¹ x of each row of `centred` `[clips, dim]`, in their order.
    pub fn squared_lengths(&self, centred: ArrayView2<f64>) -> Vec<f64> {
        use_one_blas_thread();
        let blocks = centred.axis_chunks_iter(Axis(0), BLOCK_QUERIES).into_par_iter();
        let lengths: Vec<Vec<f64>> = blocks
            .map(|block| {
                let mut solved = block.t().as_standard_layout().into_owned(); // [dim, block]
                solve_lower(&self.lower, &mut solved);
                solved.mapv_inplace(|v| v * v);
                solved.sum_axis(Axis(0)).to_vec()
            })
            .collect();
        lengths.concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn lengths_and_determinant_are_those_of_the_inverse() {
        // Determinant 11; its inverse is [[3, -1], [-1, 4]] / 11.
        let factor = Factor::of(&array![[4.0, 1.0], [1.0, 3.0]]).unwrap();
        assert!((factor.log_determinant - 11.0_f64.ln()).abs() < 1e-14);
        let found = factor.squared_lengths(array![[1.0, 0.0], [2.0, -1.0], [0.0, 0.0]].view());
        for (found, expected) in found.iter().zip([3.0 / 11.0, 20.0 / 11.0, 0.0]) {
            assert!((found - expected).abs() < 1e-14, "{found} {expected}");
        }
    }

    #[test]
    fn what_has_no_factor_is_refused() {
        for matrix in [array![[1.0, 2.0], [2.0, 1.0]], array![[0.0]], array![[f64::NAN]]] {
            let dim = matrix.nrows();
            assert!(matches!(Factor::of(&matrix), Err(Error::NotPositive { dim: found }) if found == dim));
        }
    }
}
