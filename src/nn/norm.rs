//! Norms with PyTorch's names: layer normalisation, and batch normalisation with PyTorch's running variance.
//!
//! Burn's own layer of the latter feeds the *biased* batch variance to the running variance;
//! PyTorch (`torch.nn.BatchNorm1d`) feeds the unbiased one, n/(n-1) larger, and
//! the public checkpoints are made that way (Ioffe and Szegedy, arXiv 1502.03167,
//! algorithm 2). Burn's layer also hands out running values that may lag one
//! update behind, which a checkpoint taken between two steps would lose.

use burn::module::{Module, Param, RunningState};
use burn::tensor::Tensor;
use burn::tensor::activation::relu;
use burn::tensor::module::{batch_norm, batch_norm_train};

use super::init::Init;
use super::kernels::{self, Scale};

/// Added to the variance before the root, as in PyTorch.
const EPSILON: f64 = 1e-5;
/// Weight of the newest batch in the running statistics, as in PyTorch.
const MOMENTUM: f64 = 0.1;

/// y = (x - mean) / sqrt(variance + epsilon) * weight + bias, per channel.
///
/// The running statistics sit behind a shared handle: a clone of the module
/// shares them. Take a record (`into_record`) to keep a copy.
#[derive(Module, Debug)]
pub struct BatchNorm {
    weight: Param<Tensor<1>>,
    bias: Param<Tensor<1>>,
    running_mean: RunningState<Tensor<1>>,
    running_var: RunningState<Tensor<1>>,
}

impl BatchNorm {
    /// Weight 1, bias 0, running mean 0, running variance 1.
    pub fn new(channels: usize, init: Init<'_>) -> Self {
        Self {
            weight: init.constant([channels], 1.0),
            bias: init.constant([channels], 0.0),
            running_mean: RunningState::new(Tensor::zeros([channels], init.device())),
            running_var: RunningState::new(Tensor::ones([channels], init.device())),
        }
    }

    /// `x`: `[batch, channels, ...]`, and so is the result. Trains (batch statistics, running
    /// statistics updated) when `x` lives on an autodiff device, and uses the running ones elsewhere.
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let trains = x.device().is_autodiff();
        self.forward_as(x, trains)
    }

    /// As [`BatchNorm::forward`], with batch statistics where `trains`; the running ones learn on an autodiff device only.
    pub fn forward_as<const D: usize>(&self, x: Tensor<D>, trains: bool) -> Tensor<D> {
        let (weight, bias) = (self.weight.val(), self.bias.val());
        if !trains {
            let (mean, variance) = (self.running_mean.value_sync(), self.running_var.value_sync());
            return batch_norm(x, weight, bias, mean, variance, EPSILON);
        }
        let (dims, learns) = (x.dims(), x.device().is_autodiff());
        let count = (dims.iter().product::<usize>() / dims[1]) as f64;
        let trained = batch_norm_train(x, weight, bias, EPSILON);
        if learns {
            self.learn(trained.mean, trained.variance, count);
        }
        trained.output
    }

    /// Mean and variance to normalise `x` `[rows, channels]` with: the batch's where it `trains`, from which the running
    /// ones learn on an autodiff device, else the running ones. For devices that `kernels` serves.
    pub(super) fn statistics(&self, x: Tensor<2>, trains: bool) -> (Tensor<1>, Tensor<1>) {
        if !trains {
            return (self.running_mean.value_sync(), self.running_var.value_sync());
        }
        let (rows, learns) = (x.dims()[0], x.device().is_autodiff());
        let (mean, variance) = kernels::batch_statistics(x);
        if learns {
            self.learn(mean.clone(), variance.clone(), rows as f64);
        }
        (mean, variance)
    }

    /// Weight and bias.
    pub(super) fn scale(&self) -> (Tensor<1>, Tensor<1>) {
        (self.weight.val(), self.bias.val())
    }

    /// relu(forward(x)) of `x` `[batch, channels]`, in fewer passes over memory where the device has a kernel for it.
    pub fn forward_relu(&self, x: Tensor<2>) -> Tensor<2> {
        let device = x.device();
        if !device.is_autodiff() || !kernels::serve(&device) {
            return relu(self.forward(x));
        }
        let count = x.dims()[0] as f64;
        let (output, mean, variance) = kernels::norm_relu(x, self.weight.val(), self.bias.val(), EPSILON);
        self.learn(mean, variance, count);
        output
    }

    /// Feed a batch's mean and biased variance, over `count` values per channel, to the running statistics.
    fn learn(&self, mean: Tensor<1>, variance: Tensor<1>, count: f64) {
        update(&self.running_mean, mean);
        update(&self.running_var, variance.mul_scalar(count / (count - 1.0).max(1.0)));
    }
}

/// `torch.nn.LayerNorm(dim)`: weight and bias; `encoder` and `cmgan` apply them.
#[derive(Module, Debug)]
pub struct LayerNorm {
    weight: Param<Tensor<1>>,
    bias: Param<Tensor<1>>,
}

impl LayerNorm {
    /// Weight 1, bias 0.
    pub fn new(dim: usize, init: Init<'_>) -> Self {
        Self { weight: init.constant([dim], 1.0), bias: init.constant([dim], 0.0) }
    }

    pub(super) fn scale(&self) -> Scale {
        (self.weight.val(), self.bias.val())
    }
}

fn update(state: &RunningState<Tensor<1>>, batch: Tensor<1>) {
    let old = state.value_sync();
    let new = old.mul_scalar(1.0 - MOMENTUM) + batch.detach().mul_scalar(MOMENTUM);
    state.update(new.detach());
    // Drains the update at once: visitors read the value without draining.
    state.value_sync();
}
