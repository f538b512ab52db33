//! The linear probe trained by Adam (Kingma and Ba, ICLR 2015) on mini-batches: one linear layer with a softmax over
//! "normal" and "anomalous", cross-entropy, the epoch with the best training accuracy kept.

use ndarray::{Array1, ArrayView2, Axis};
use rand::RngExt;
use rand::seq::SliceRandom;

use super::logistic::{Linear, probability};
use crate::config::ProbeAdamConfig;
use crate::rng;

const BETA1: f64 = 0.9;
const BETA2: f64 = 0.999;
const EPSILON: f64 = 1e-8;

/// Trains on `features` `[clips, dim]` with one label per row. `fold` separates the random streams of one evaluation's
/// probes.
///
/// A softmax over two logits depends on their difference alone. Both rows of the layer get the same gradient with
/// opposite signs, so Adam moves their difference by exactly twice its step; what is kept here is that difference.
pub(super) fn train(
    features: ArrayView2<f64>,
    anomalous: &[bool],
    config: &ProbeAdamConfig,
    seed: u64,
    fold: u64,
) -> Linear {
    let (clips, dim) = features.dim();
    let mut random = rng::stream(seed, "linear-probe/adam", fold);
    // The usual start of a linear layer: every weight and bias uniform in ±1/√dim. [dim + 1], the intercept last
    let bound = 1.0 / (dim as f64).sqrt();
    let mut uniform = || random.random_range(-bound..bound);
    let mut parameters: Array1<f64> = (0..=dim).map(|_| uniform() - uniform()).collect();
    let mut first = Array1::<f64>::zeros(dim + 1);
    let mut second = Array1::<f64>::zeros(dim + 1);
    let mut order: Vec<usize> = (0..clips).collect();
    let mut steps = 0;
    let mut best = (f64::NEG_INFINITY, linear(&parameters));
    for _ in 0..config.epochs {
        order.shuffle(&mut random);
        for batch in order.chunks(config.batch_size) {
            let rows = features.select(Axis(0), batch); // [batch, dim]
            let log_odds = linear(&parameters).log_odds(rows.view());
            let residuals: Array1<f64> = log_odds
                .iter()
                .zip(batch)
                .map(|(&z, &row)| (probability(z) - f64::from(anomalous[row])) / batch.len() as f64)
                .collect();
            let gradient: Array1<f64> =
                rows.t().dot(&residuals).iter().copied().chain([residuals.sum()]).collect();
            steps += 1;
            let (correct1, correct2) = (1.0 - BETA1.powi(steps), 1.0 - BETA2.powi(steps));
            for (((p, m), v), &g) in parameters.iter_mut().zip(&mut first).zip(&mut second).zip(&gradient) {
                *m = BETA1 * *m + (1.0 - BETA1) * g;
                *v = BETA2 * *v + (1.0 - BETA2) * g * g;
                *p -= 2.0 * config.lr * (*m / correct1) / ((*v / correct2).sqrt() + EPSILON);
            }
        }
        let now = linear(&parameters);
        let accuracy = accuracy(&now, features, anomalous);
        if accuracy > best.0 {
            best = (accuracy, now);
        }
    }
    best.1
}

/// Share of the clips on the right side of even odds.
fn accuracy(linear: &Linear, features: ArrayView2<f64>, anomalous: &[bool]) -> f64 {
    let log_odds = linear.log_odds(features);
    let right = log_odds.iter().zip(anomalous).filter(|&(&z, &y)| (z > 0.0) == y).count();
    right as f64 / anomalous.len() as f64
}

fn linear(parameters: &Array1<f64>) -> Linear {
    let dim = parameters.len() - 1;
    Linear { weights: parameters.slice(ndarray::s![..dim]).to_owned(), intercept: parameters[dim] }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;

    #[test]
    fn separable_clips_are_learnt_and_the_stream_decides_the_rest() {
        let features = Array2::from_shape_fn((90, 4), |(i, j)| {
            if j == 0 { i as f64 / 45.0 - 1.0 } else { ((i * 7 + j) % 5) as f64 - 2.0 }
        });
        let labels: Vec<bool> = (0..90).map(|i| i >= 45).collect();
        let config = ProbeAdamConfig { lr: 0.01, ..ProbeAdamConfig::default() };
        let found = train(features.view(), &labels, &config, 0, 0);
        assert!(accuracy(&found, features.view(), &labels) > 0.95);
        assert_eq!(found, train(features.view(), &labels, &config, 0, 0));
        assert_ne!(found, train(features.view(), &labels, &config, 0, 1));
        assert_ne!(found, train(features.view(), &labels, &config, 1, 0));
    }
}
