//! Means and scatters of feature matrices, and the covariances that are made of them.

use std::ops::Range;

use ndarray::linalg::general_mat_mul;
use ndarray::{Array1, Array2, ArrayView2, Axis, Zip, s};
use rayon::prelude::*;

use super::{Error, check_finite, use_one_blas_thread};

/// Rows that are centred at a time: 1,024 × 2,048 f64 is 16 MB, and long enough that a product outweighs its set-up.
pub(super) const BLOCK_ROWS: usize = 1024;

/// Columns of a tile: small enough for several per thread at 640 features, large enough for BLAS to be at its best.
pub(super) const TILE: usize = 256;

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

/// Mean of `features` `[clips, dim]`, `[dim]`, where they are fit for second moments.
///
/// # Errors
/// Fewer than two rows, no column, a value that is not finite.
pub(super) fn checked_mean(features: ArrayView2<f64>) -> Result<Array1<f64>, Error> {
    let (rows, dim) = features.dim();
    if rows < 2 {
        return Err(Error::TooFewRows { rows });
    }
    if dim == 0 {
        return Err(Error::NoColumns);
    }
    check_finite(features)?;
    Ok(features.sum_axis(Axis(0)) / rows as f64)
}

/// Mean and scatter of `features` `[clips, dim]`, centred block by block, so that no copy of the matrix is made.
///
/// # Errors
/// Fewer than two rows, no column, a value that is not finite, squares that overflow.
pub fn moments(features: ArrayView2<f64>) -> Result<Moments, Error> {
    use_one_blas_thread();
    let (rows, dim) = features.dim();
    let mean = checked_mean(features)?;
    let mut tiles = Tile::lower_triangle(dim);
    let mut fourth = 0.0;
    let mut centred = Array2::zeros((rows.min(BLOCK_ROWS), dim));
    for block in features.axis_chunks_iter(Axis(0), BLOCK_ROWS) {
        let mut centred = centred.slice_mut(s![..block.nrows(), ..]); // [block, dim]
        let norms = Zip::from(centred.rows_mut()).and(block.rows()).par_map_collect(|mut centred, row| {
            Zip::from(&mut centred).and(row).and(&mean).for_each(|c, x, m| *c = x - m);
            centred.dot(&centred)
        });
        fourth += norms.iter().map(|norm| norm * norm).sum::<f64>();
        tiles.par_iter_mut().for_each(|tile| tile.add(centred.view()));
    }
    if !fourth.is_finite() {
        return Err(Error::Overflow);
    }
    let mut scatter = Array2::zeros((dim, dim));
    for tile in &tiles {
        tile.write(&mut scatter);
    }
    Ok(Moments { mean, scatter, fourth, rows })
}

/// Σᵢ wᵢ (xᵢ − mean)(xᵢ − mean)ᵀ over the rows of `features` `[clips, dim]`: `[dim, dim]`, exactly symmetric.
///
/// `weights` `[clips]` are finite and not negative.
pub fn weighted_scatter(features: ArrayView2<f64>, weights: &[f64], mean: &Array1<f64>) -> Array2<f64> {
    use_one_blas_thread();
    let (rows, dim) = features.dim();
    let mut tiles = Tile::lower_triangle(dim);
    let mut scaled = Array2::zeros((rows.min(BLOCK_ROWS), dim));
    let blocks = features.axis_chunks_iter(Axis(0), BLOCK_ROWS).zip(weights.chunks(BLOCK_ROWS));
    for (block, weights) in blocks {
        let mut scaled = scaled.slice_mut(s![..block.nrows(), ..]); // [block, dim]
        Zip::from(scaled.rows_mut()).and(block.rows()).and(weights).par_for_each(|scaled, row, weight| {
            let root = weight.sqrt();
            Zip::from(scaled).and(row).and(mean).for_each(|s, x, m| *s = root * (x - m));
        });
        tiles.par_iter_mut().for_each(|tile| tile.add(scaled.view()));
    }
    let mut scatter = Array2::zeros((dim, dim));
    for tile in &tiles {
        tile.write(&mut scatter);
    }
    scatter
}

/// A rectangle of the scatter: one product that a thread computes by itself. The tiles on and below the diagonal are all
/// that a symmetric matrix needs, which for many tiles is half of the work.
struct Tile {
    rows: Range<usize>,
    columns: Range<usize>,
    sum: Array2<f64>,
}

impl Tile {
    fn lower_triangle(dim: usize) -> Vec<Self> {
        let range = |start: usize| start..dim.min(start + TILE);
        let starts = || (0..dim).step_by(TILE);
        let pairs =
            starts().flat_map(|row| starts().take_while(move |&column| column <= row).map(move |c| (row, c)));
        pairs
            .map(|(row, column)| {
                let (rows, columns) = (range(row), range(column));
                Self { sum: Array2::zeros((rows.len(), columns.len())), rows, columns }
            })
            .collect()
    }

    /// Adds the products of the features of `centred` `[block, dim]`.
    fn add(&mut self, centred: ArrayView2<f64>) {
        let left = centred.slice(s![.., self.rows.clone()]);
        let right = centred.slice(s![.., self.columns.clone()]);
        general_mat_mul(1.0, &left.t(), &right, 1.0, &mut self.sum);
    }

    /// Copies the sum into both triangles. A general product need not round both alike, so within a tile on the diagonal the
    /// lower one counts.
    fn write(&self, scatter: &mut Array2<f64>) {
        for (row, values) in self.rows.clone().zip(self.sum.rows()) {
            for (column, &value) in self.columns.clone().zip(values).take_while(|(column, _)| *column <= row)
            {
                scatter[[row, column]] = value;
                scatter[[column, row]] = value;
            }
        }
    }
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
        let covariance = &self.scatter / n;
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
        (shrunk(covariance, target, shrinkage), shrinkage)
    }

    /// The oracle-approximating shrunk covariance `[dim, dim]` and the shrinkage in 0..=1, as scikit-learn's `OAS`: of the
    /// same form as [`Moments::ledoit_wolf`].
    pub fn oas(&self) -> (Array2<f64>, f64) {
        let (n, dim) = (self.rows as f64, self.mean.len() as f64);
        let covariance = &self.scatter / n;
        let target = covariance.diag().sum() / dim;
        let mean_square = covariance.iter().map(|v| v * v).sum::<f64>() / (dim * dim);
        let distance = (n + 1.0) * (mean_square - target * target / dim);
        let shrinkage = match self.mean.len() {
            1 => 0.0, // the target is the covariance itself
            // Not positive where the covariance is the target already, but for rounding.
            _ if distance > 0.0 => ((mean_square + target * target) / distance).min(1.0),
            _ => 1.0,
        };
        (shrunk(covariance, target, shrinkage), shrinkage)
    }
}

/// `(1 − shrinkage)·covariance + shrinkage·target·I`.
fn shrunk(mut covariance: Array2<f64>, target: f64, shrinkage: f64) -> Array2<f64> {
    covariance *= 1.0 - shrinkage;
    covariance.diag_mut().map_inplace(|v| *v += shrinkage * target);
    covariance
}
