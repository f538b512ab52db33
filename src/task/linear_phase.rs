//! A linear classifier on frozen features: how much of the classes an angular loss left for a plane to find.
//!
//! Softmax cross-entropy with the run's AdamW and step schedule but a learning rate of its own, on the CPU: features are few
//! and small.

use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::{Device, Int, Tensor, TensorData};
use ndarray::{ArrayView2, Axis};
use rand::seq::SliceRandom;

use super::{Error, host};
use crate::config::{LinearPhaseConfig, TrainConfig};
use crate::nn::adamw::AdamW;
use crate::nn::init::Init;
use crate::nn::linear::Linear;
use crate::nn::loss::cross_entropy;
use crate::rng;

/// Learn `labels` of `features` `[clips, dim]`, then name the class of each row of `unseen` `[others, dim]`.
///
/// # Errors
/// When the arithmetic fails on the device.
pub fn classify(
    config: &LinearPhaseConfig,
    train: &TrainConfig,
    features: ArrayView2<'_, f32>,
    labels: &[usize],
    classes: usize,
    unseen: ArrayView2<'_, f32>,
) -> Result<Vec<usize>, Error> {
    let device = Device::flex();
    let training = device.clone().autodiff();
    let dim = features.ncols();
    // Its own stream: the same classifier for every seed of the backbone.
    let mut layer = Linear::new("linear_phase", dim, classes, Init::new(0, &training));
    let mut optimizer = ModuleOptimizer::from(AdamW::new(train.optimizer.adamw()));
    let mut order: Vec<usize> = (0..features.nrows()).collect();
    for epoch in 0..config.epochs {
        order.shuffle(&mut rng::stream(0, "linear phase", epoch as u64));
        let lr = config.lr * train.schedule.factor(epoch);
        for rows in order.chunks(config.batch_size) {
            let targets: Vec<i64> = rows.iter().map(|&row| labels[row] as i64).collect();
            let targets = Tensor::<1, Int>::from_data(targets.as_slice(), &training);
            let logits = layer.forward(tensor(features.select(Axis(0), rows).view(), &training));
            let gradients = GradientsParams::from_grads(cross_entropy(logits, targets).backward(), &layer);
            layer = optimizer.step(lr, layer, gradients);
        }
    }
    let logits = host(burn::module::Module::valid(&layer).forward(tensor(unseen, &device)))?;
    Ok(logits.chunks_exact(classes).map(largest).collect())
}

/// Position of the largest value, the first of several.
pub(super) fn largest(values: &[f32]) -> usize {
    values.iter().enumerate().fold(0, |best, (n, value)| if *value > values[best] { n } else { best })
}

fn tensor(rows: ArrayView2<'_, f32>, device: &Device) -> Tensor<2> {
    let values: Vec<f32> = rows.iter().copied().collect();
    Tensor::from_data(TensorData::new(values, [rows.nrows(), rows.ncols()]), device)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;

    #[test]
    fn separable_classes_are_told_apart_and_twice_the_same() {
        // Three directions of five, one class each, with a little of the others.
        let clip = |n: usize| {
            let mut row = [0.1, 0.1, 0.1, 0.05 * (n % 7) as f32, 0.03 * (n % 5) as f32];
            row[n % 3] = 1.0;
            row
        };
        let features = Array2::from_shape_fn((60, 5), |(n, d)| clip(n)[d]);
        let labels: Vec<usize> = (0..60).map(|n| n % 3).collect();
        let unseen = Array2::from_shape_fn((9, 5), |(n, d)| clip(n + 100)[d]);
        let config = LinearPhaseConfig { epochs: 60, batch_size: 16, lr: 0.02 };
        let run = || {
            classify(&config, &TrainConfig::default(), features.view(), &labels, 3, unseen.view()).unwrap()
        };
        let expected: Vec<usize> = (0..9).map(|n| (n + 100) % 3).collect();
        assert_eq!(run(), expected);
        assert_eq!(run(), expected);
    }
}
