//! Initial weights from named random streams.
//!
//! Burn draws from one generator for the whole process, so that two trainings in
//! one process would disturb each other. Here every parameter has its own stream,
//! named by (seed, path): the same values on every device, in any order.

use burn::module::Param;
use burn::tensor::{Device, Tensor, TensorData};
use rand::RngExt;
use rand_distr::StandardNormal;

use super::precision::Precision;
use crate::rng;

/// Where a network's initial weights come from.
#[derive(Debug, Clone, Copy)]
pub struct Init<'a> {
    seed: u64,
    device: &'a Device,
    precision: Precision,
    blank: bool,
}

impl<'a> Init<'a> {
    /// Weights for `seed`, on `device`.
    pub fn new(seed: u64, device: &'a Device) -> Self {
        Self { seed, device, precision: Precision::F32, blank: false }
    }

    /// Zeros wherever weights are drawn: for a network whose weights are about to be loaded. Drawing 90 million of them
    /// would take longer than reading them.
    pub fn blank(device: &'a Device) -> Self {
        Self { blank: true, ..Self::new(0, device) }
    }

    /// The same weights in a network whose convolutions and dense layers compute in `precision`.
    pub fn with_precision(self, precision: Precision) -> Self {
        Self { precision, ..self }
    }

    /// What convolutions and dense layers compute in.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// The device that the weights live on.
    pub fn device(&self) -> &'a Device {
        self.device
    }

    /// Uniform in `[-bound, bound)`; `path` is the parameter's full name.
    pub fn uniform<const D: usize>(&self, path: &str, shape: [usize; D], bound: f32) -> Param<Tensor<D>> {
        if self.blank {
            return Param::from_tensor(Tensor::zeros(shape, self.device));
        }
        let mut stream = rng::stream(self.seed, &format!("init/{path}"), 0);
        let values: Vec<f32> = (0..shape.iter().product::<usize>())
            .map(|_| bound * (2.0 * stream.random::<f32>() - 1.0))
            .collect();
        Param::from_tensor(Tensor::from_data(TensorData::new(values, shape), self.device))
    }

    /// Normal with mean 0; `path` is the parameter's full name.
    pub fn normal<const D: usize>(&self, path: &str, shape: [usize; D], deviation: f32) -> Param<Tensor<D>> {
        if self.blank {
            return Param::from_tensor(Tensor::zeros(shape, self.device));
        }
        let mut stream = rng::stream(self.seed, &format!("init/{path}"), 0);
        let values: Vec<f32> = (0..shape.iter().product::<usize>())
            .map(|_| deviation * stream.sample::<f32, _>(StandardNormal))
            .collect();
        Param::from_tensor(Tensor::from_data(TensorData::new(values, shape), self.device))
    }

    /// Every element the same.
    pub fn constant<const D: usize>(&self, shape: [usize; D], value: f32) -> Param<Tensor<D>> {
        Param::from_tensor(Tensor::full(shape, value, self.device))
    }
}
