//! Negative log likelihood under a mixture of Gaussians, fitted by expectation maximisation as scikit-learn's
//! `GaussianMixture` does from a k-means beginning; all probabilities are kept as logarithms.

use std::f64::consts::PI;

use ndarray::{Array1, Array2, ArrayView2, Axis, Zip};
use rayon::prelude::*;

use crate::config::MixtureCovariance;
use crate::linalg::{Error, Factor, check_finite, moments, weighted_scatter};

/// The fit ends where the mean log likelihood of a clip gains less; scikit-learn's default is 1e-3.
const TOLERANCE: f64 = 1e-6;

/// Steps after which the fit ends in any case.
const STEPS: usize = 200;

/// A fitted mixture.
#[derive(Debug, Clone)]
pub(super) struct Mixture {
    components: Vec<Component>,
}

#[derive(Debug, Clone)]
struct Component {
    log_weight: f64,
    mean: Array1<f64>,
    shape: Shape,
}

/// A covariance.
#[derive(Debug, Clone)]
enum Shape {
    Full(Factor),
    /// Variances `[dim]` and the sum of their logarithms.
    Diagonal {
        variances: Array1<f64>,
        log_determinant: f64,
    },
}

impl Mixture {
    /// Fits to `features` `[clips, dim]` from the components that `labels` give, one per clip below `components`.
    ///
    /// `regularisation` is a share of the features' mean variance, which is added to every variance: features have no unit of
    /// their own.
    ///
    /// # Errors
    /// Features without a variance, and a covariance that cannot be factored.
    pub fn fit(
        features: ArrayView2<f64>,
        labels: &[usize],
        components: usize,
        covariance: MixtureCovariance,
        regularisation: f64,
    ) -> Result<Self, Error> {
        let (rows, dim) = features.dim();
        let variance = match rows {
            1 => 0.0,
            _ => moments(features)?.scatter.diag().sum() / (rows * dim) as f64,
        };
        if variance <= 0.0 {
            return Err(Error::Constant { rows });
        }
        let added = regularisation * variance;
        let mut shares = Array2::zeros((components, rows));
        for (clip, &label) in labels.iter().enumerate() {
            shares[[label, clip]] = 1.0;
        }
        let mut fitted = maximised(features, &shares, covariance, added)?;
        let mut before = f64::NEG_INFINITY;
        for _ in 0..STEPS {
            let (shares, log_likelihood) = fitted.expected(features);
            fitted = maximised(features, &shares, covariance, added)?;
            if (log_likelihood - before).abs() < TOLERANCE {
                return Ok(fitted);
            }
            before = log_likelihood;
        }
        tracing::warn!(
            "the mixture of {components} Gaussians still gained after {STEPS} steps: its scores are those of the last one"
        );
        Ok(fitted)
    }

    /// Negative log likelihoods of the rows of `queries` `[clips, dim]`.
    ///
    /// # Errors
    /// Queries of another width, or not finite.
    pub fn score(&self, queries: ArrayView2<f64>) -> Result<Vec<f64>, Error> {
        let (expected, found) = (self.components.first().map_or(0, |one| one.mean.len()), queries.ncols());
        if found != expected {
            return Err(Error::Width { expected, found });
        }
        check_finite(queries)?;
        let joint = self.joint(queries);
        Ok(joint.columns().into_iter().map(|terms| -log_sum(terms.iter().copied())).collect())
    }

    /// Logarithm of each component's weight times its density, `[components, clips]`.
    fn joint(&self, features: ArrayView2<f64>) -> Array2<f64> {
        let mut joint = Array2::zeros((self.components.len(), features.nrows()));
        for (mut terms, component) in joint.rows_mut().into_iter().zip(&self.components) {
            let constant = features.ncols() as f64 * (2.0 * PI).ln();
            let (squares, log_determinant) = component.squared_distances(features);
            Zip::from(&mut terms).and(&squares).for_each(|term, square| {
                *term = component.log_weight - 0.5 * (constant + log_determinant + square);
            });
        }
        joint
    }

    /// Each component's share of each clip, `[components, clips]`, and the mean log likelihood.
    fn expected(&self, features: ArrayView2<f64>) -> (Array2<f64>, f64) {
        let mut joint = self.joint(features);
        let mut sum = 0.0;
        for mut terms in joint.columns_mut() {
            let whole = log_sum(terms.iter().copied());
            terms.mapv_inplace(|term| (term - whole).exp());
            sum += whole;
        }
        (joint, sum / features.nrows() as f64)
    }
}

impl Component {
    /// (x − mean)ᵀ Σ⁻¹ (x − mean) of every row, and the logarithm of Σ's determinant.
    fn squared_distances(&self, features: ArrayView2<f64>) -> (Array1<f64>, f64) {
        match &self.shape {
            Shape::Full(factor) => {
                let centred = &features - &self.mean;
                (factor.squared_lengths(centred.view()).into(), factor.log_determinant)
            }
            Shape::Diagonal { variances, log_determinant } => {
                let rows = features.axis_iter(Axis(0)).into_par_iter();
                let squares: Vec<f64> = rows
                    .map(|row| {
                        let terms = row.iter().zip(&self.mean).zip(variances);
                        terms.map(|((x, mean), variance)| (x - mean) * (x - mean) / variance).sum()
                    })
                    .collect();
                (squares.into(), *log_determinant)
            }
        }
    }
}

/// The most likely components for the `shares` `[components, clips]` that they have of the clips.
fn maximised(
    features: ArrayView2<f64>,
    shares: &Array2<f64>,
    covariance: MixtureCovariance,
    added: f64,
) -> Result<Mixture, Error> {
    // As scikit-learn: a component that lost all its clips keeps a little, and is not divided by zero.
    let totals: Vec<f64> = shares.rows().into_iter().map(|row| row.sum() + 10.0 * f64::EPSILON).collect();
    let whole: f64 = totals.iter().sum();
    let means = shares.dot(&features); // [components, dim]
    let each = shares.rows().into_iter().zip(means.rows()).zip(&totals);
    let components = each.map(|((shares, sum), &total)| {
        let mean = &sum / total;
        let shares = shares.to_vec();
        let shape = match covariance {
            MixtureCovariance::Full => {
                let mut covariance = weighted_scatter(features, &shares, &mean) / total;
                covariance.diag_mut().map_inplace(|variance| *variance += added);
                Shape::Full(Factor::of(&covariance)?)
            }
            MixtureCovariance::Diagonal => {
                let mut variances = Array1::zeros(mean.len());
                for (row, &share) in features.rows().into_iter().zip(&shares) {
                    Zip::from(&mut variances).and(row).and(&mean).for_each(|v, x, m| {
                        *v += share * (x - m) * (x - m);
                    });
                }
                variances.mapv_inplace(|sum: f64| sum / total + added);
                let log_determinant = variances.iter().map(|variance| variance.ln()).sum();
                Shape::Diagonal { variances, log_determinant }
            }
        };
        Ok(Component { log_weight: (total / whole).ln(), mean, shape })
    });
    Ok(Mixture { components: components.collect::<Result<_, Error>>()? })
}

/// The logarithm of the sum of the exponentials of `terms`.
fn log_sum(terms: impl Iterator<Item = f64> + Clone) -> f64 {
    let largest = terms.clone().fold(f64::NEG_INFINITY, f64::max);
    if !largest.is_finite() {
        return largest;
    }
    largest + terms.map(|term| (term - largest).exp()).sum::<f64>().ln()
}
