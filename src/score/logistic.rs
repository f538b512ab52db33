//! L2-regularised logistic regression, minimised by L-BFGS (Liu and Nocedal, Math. Programming 45, 1989).
//!
//! scikit-learn's objective `½‖w‖² + C Σ log(1 + e^(−sᵢzᵢ))`, `zᵢ = w·xᵢ + b`, `s = ±1`, the intercept not penalised, here
//! divided by `C·n`: a mean loss per sample plus `‖w‖²/(2Cn)`, so that the tolerance means the same for any number of clips.
//! It is strictly convex in w, so the minimum does not depend on the way there.

use std::collections::VecDeque;

use ndarray::{Array1, ArrayView1, ArrayView2};

use super::Error;

/// Past steps that approximate the curvature; the literature's 3–20 differ little.
const MEMORY: usize = 10;
const ITERATIONS_MAX: usize = 5000;
/// Step halvings and doublings before a search is given up: 2⁻⁶⁰ is below the rounding of any step.
const SEARCHES_MAX: usize = 60;
/// The weak Wolfe conditions' usual constants.
const DECREASE: f64 = 1e-4;
const CURVATURE: f64 = 0.9;

/// A linear classifier.
#[derive(Debug, Clone, PartialEq)]
pub struct Linear {
    /// One weight per feature, `[dim]`.
    pub weights: Array1<f64>,
    /// Log-odds of a clip whose features are all 0.
    pub intercept: f64,
}

impl Linear {
    /// The log-odds of "anomalous" for each row of `features` `[clips, dim]`. Their order is that of the probabilities of
    /// the study's eq. 4, without the ties that a probability rounded to 1 would bring.
    pub fn log_odds(&self, features: ArrayView2<f64>) -> Array1<f64> {
        features.dot(&self.weights) + self.intercept
    }
}

/// Where a minimisation ended.
#[derive(Debug, Clone)]
pub struct Solution {
    /// The classifier.
    pub linear: Linear,
    /// L-BFGS steps taken.
    pub iterations: usize,
    /// Largest component of the gradient per sample.
    pub gradient: f64,
    /// Whether `gradient` is within the tolerance.
    pub converged: bool,
}

/// Probability of "anomalous" at log-odds `z`; no overflow at either end.
pub fn probability(z: f64) -> f64 {
    if z >= 0.0 {
        1.0 / (1.0 + (-z).exp())
    } else {
        let e = z.exp();
        e / (1.0 + e)
    }
}

/// `log(1 + e^(−sz))`, with s the sign of the label.
fn loss(z: f64, anomalous: bool) -> f64 {
    let against = if anomalous { -z } else { z };
    against.max(0.0) + (-against.abs()).exp().ln_1p()
}

/// The problem: data, labels and the weight of the penalty.
struct Problem<'a> {
    features: ArrayView2<'a, f64>, // [clips, dim]
    anomalous: &'a [bool],
    /// `1/(C·n)`
    penalty: f64,
}

impl Problem<'_> {
    /// `features · w + b` for parameters `[dim + 1]`, the intercept last.
    fn margins(&self, parameters: &Array1<f64>) -> Array1<f64> {
        let (weights, intercept) = split(parameters);
        self.features.dot(&weights) + intercept
    }

    /// Gradient at `parameters` with its `margins`.
    fn gradient(&self, parameters: &Array1<f64>, margins: &Array1<f64>) -> Array1<f64> {
        let n = margins.len() as f64;
        let pairs = margins.iter().zip(self.anomalous);
        let residuals: Array1<f64> = pairs.map(|(&z, &y)| (probability(z) - f64::from(y)) / n).collect();
        let (weights, _) = split(parameters);
        let slope = self.features.t().dot(&residuals) + &weights * self.penalty;
        slope.iter().copied().chain([residuals.sum()]).collect()
    }
}

/// The objective along a line from one point, from margins alone: a step costs O(clips) instead of O(clips · dim).
struct Line<'a, 'data> {
    problem: &'a Problem<'data>,
    margins: &'a Array1<f64>,
    direction_margins: &'a Array1<f64>,
    /// w·w, w·d and d·d of the weights w and the direction d.
    products: [f64; 3],
}

impl Line<'_, '_> {
    /// Objective and its derivative at step `t`.
    fn at(&self, t: f64) -> (f64, f64) {
        let (mut value, mut slope) = (0.0, 0.0);
        for ((&z, &dz), &y) in self.margins.iter().zip(self.direction_margins).zip(self.problem.anomalous) {
            let moved = z + t * dz;
            value += loss(moved, y);
            slope += (probability(moved) - f64::from(y)) * dz;
        }
        let n = self.margins.len() as f64;
        let [ww, wd, dd] = self.products;
        let penalty = self.problem.penalty;
        (value / n + 0.5 * penalty * (ww + 2.0 * t * wd + t * t * dd), slope / n + penalty * (wd + t * dd))
    }

    /// A step that satisfies the weak Wolfe conditions, found by bisection and doubling (Lewis and Overton, Math.
    /// Programming 141, 2013); none where rounding leaves no such step.
    fn search(&self) -> Option<f64> {
        let (start, slope) = self.at(0.0);
        // Near the minimum the objective changes by less than its own rounding; the slopes still tell.
        let slack = 8.0 * f64::EPSILON * start.abs();
        let (mut low, mut high, mut t) = (0.0, f64::INFINITY, 1.0);
        for _ in 0..SEARCHES_MAX {
            let (value, slope_here) = self.at(t);
            if value.is_nan() || value > start + DECREASE * t * slope + slack {
                high = t;
            } else if slope_here < CURVATURE * slope {
                low = t;
            } else {
                return Some(t);
            }
            t = if high.is_finite() { 0.5 * (low + high) } else { 2.0 * t };
        }
        None
    }
}

/// Minimises the objective over `features` `[clips, dim]` until no component of its gradient exceeds `tolerance`.
///
/// `anomalous` has one label per row; with labels of both classes and a positive `c` the minimum exists. A search that does
/// not reach it says so in [`Solution::converged`].
///
/// # Errors
/// Rows and labels that do not match.
pub fn minimise(
    features: ArrayView2<f64>,
    anomalous: &[bool],
    c: f64,
    tolerance: f64,
) -> Result<Solution, Error> {
    let (clips, dim) = features.dim();
    if clips != anomalous.len() {
        return Err(Error::Rows { rows: clips, clips: anomalous.len() });
    }
    let problem = Problem { features, anomalous, penalty: 1.0 / (c * clips as f64) };
    let mut parameters = Array1::zeros(dim + 1);
    let mut margins = problem.margins(&parameters);
    let mut gradient = problem.gradient(&parameters, &margins);
    let mut memory = Memory::default();
    let mut iterations = 0;
    while largest(&gradient) > tolerance && iterations < ITERATIONS_MAX {
        let direction = memory.direction(&gradient);
        let direction_margins = problem.margins(&direction);
        let products = {
            let ((w, _), (d, _)) = (split(&parameters), split(&direction));
            [w.dot(&w), w.dot(&d), d.dot(&d)]
        };
        let line =
            Line { problem: &problem, margins: &margins, direction_margins: &direction_margins, products };
        let Some(step) = line.search() else {
            // A stale curvature can spoil a direction; steepest descent cannot be spoilt.
            if memory.is_empty() {
                break;
            }
            memory = Memory::default();
            continue;
        };
        let moved = direction * step;
        parameters += &moved;
        margins.scaled_add(step, &direction_margins);
        let next = problem.gradient(&parameters, &margins);
        memory.remember(moved, &next - &gradient);
        gradient = next;
        iterations += 1;
    }
    let (weights, intercept) = split(&parameters);
    let linear = Linear { weights: weights.to_owned(), intercept };
    let gradient = largest(&gradient);
    Ok(Solution { linear, iterations, gradient, converged: gradient <= tolerance })
}

/// The last steps and the gradient changes along them, newest last.
#[derive(Default)]
struct Memory {
    pairs: VecDeque<(Array1<f64>, Array1<f64>)>,
}

impl Memory {
    fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// Keeps a pair of positive curvature; the line search gives no other, but rounding can.
    fn remember(&mut self, step: Array1<f64>, change: Array1<f64>) {
        if step.dot(&change) > f64::EPSILON * change.dot(&change) {
            if self.pairs.len() == MEMORY {
                self.pairs.pop_front();
            }
            self.pairs.push_back((step, change));
        }
    }

    /// Minus the approximate inverse Hessian times `gradient`: the two-loop recursion.
    fn direction(&self, gradient: &Array1<f64>) -> Array1<f64> {
        let mut direction = -gradient;
        let mut weights = Vec::with_capacity(self.pairs.len());
        for (step, change) in self.pairs.iter().rev() {
            let weight = step.dot(&direction) / step.dot(change);
            direction.scaled_add(-weight, change);
            weights.push(weight);
        }
        if let Some((step, change)) = self.pairs.back() {
            direction *= step.dot(change) / change.dot(change);
        }
        for ((step, change), weight) in self.pairs.iter().zip(weights.into_iter().rev()) {
            let correction = weight - change.dot(&direction) / step.dot(change);
            direction.scaled_add(correction, step);
        }
        direction
    }
}

/// Weights and intercept of a parameter vector `[dim + 1]`.
fn split(parameters: &Array1<f64>) -> (ArrayView1<'_, f64>, f64) {
    let dim = parameters.len() - 1;
    (parameters.slice(ndarray::s![..dim]), parameters[dim])
}

/// The largest size of a component; NaN where one is, which no tolerance admits.
fn largest(gradient: &Array1<f64>) -> f64 {
    gradient.iter().fold(0.0, |largest: f64, g| if largest >= g.abs() { largest } else { g.abs() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array2, array};

    fn sample() -> (Array2<f64>, Vec<bool>) {
        let features =
            Array2::from_shape_fn((40, 6), |(i, j)| ((i * 13 + j * 29 + i * i * j) % 17) as f64 / 8.0 - 1.0);
        let labels = (0..40).map(|i| (i * 7) % 5 < 2).collect();
        (features, labels)
    }

    #[test]
    fn two_clips_have_their_closed_form() {
        // x = ±1: the minimum of log(1 + e^(−w)) + w²/(4C) has w = 2C·σ(−w), b = 0.
        let features = array![[1.0], [-1.0]];
        let found = minimise(features.view(), &[true, false], 1.0, 1e-14).unwrap();
        let w = found.linear.weights[0];
        assert!((w - 2.0 * probability(-w)).abs() < 1e-12 && found.linear.intercept.abs() < 1e-12, "{w}");
    }

    #[test]
    fn the_gradient_is_that_of_the_objective() {
        let (features, labels) = sample();
        let problem = Problem { features: features.view(), anomalous: &labels, penalty: 0.3 };
        let at: Array1<f64> = (0..7).map(|k| 0.4 - 0.1 * k as f64).collect();
        let value = |parameters: &Array1<f64>| {
            let margins = problem.margins(parameters);
            let (w, _) = split(parameters);
            let products = [w.dot(&w), 0.0, 0.0];
            let still = Array1::zeros(margins.len());
            Line { problem: &problem, margins: &margins, direction_margins: &still, products }.at(0.0).0
        };
        let gradient = problem.gradient(&at, &problem.margins(&at));
        for k in 0..7 {
            let (mut above, mut below) = (at.clone(), at.clone());
            above[k] += 1e-5;
            below[k] -= 1e-5;
            let slope = (value(&above) - value(&below)) / 2e-5;
            // Central differences: h² times the third derivative, and ε/h.
            assert!((slope - gradient[k]).abs() < 1e-9, "{k}: {slope} against {}", gradient[k]);
        }
    }

    #[test]
    fn every_strength_converges_and_says_so() {
        let (features, labels) = sample();
        for c in [1e-6, 1e-2, 1.0, 1e3, 1e6] {
            let found = minimise(features.view(), &labels, c, 1e-10).unwrap();
            assert!(found.converged && found.gradient <= 1e-10, "{c}: {found:?}");
        }
        let impossible = minimise(features.view(), &labels, 1.0, 0.0).unwrap();
        assert!(!impossible.converged && impossible.gradient < 1e-13, "{impossible:?}");
    }

    #[test]
    fn extremes_neither_overflow_nor_pass_as_converged() {
        assert_eq!((probability(1000.0), probability(-1000.0), probability(0.0)), (1.0, 0.0, 0.5));
        assert_eq!((loss(1000.0, false), loss(1000.0, true)), (1000.0, 0.0));
        let nan = minimise(array![[f64::NAN], [1.0]].view(), &[true, false], 1.0, 1e-6).unwrap();
        assert!(!nan.converged);
        let error = minimise(array![[0.0], [1.0]].view(), &[true], 1.0, 1e-6).unwrap_err();
        assert!(matches!(error, Error::Rows { rows: 2, clips: 1 }));
    }
}
