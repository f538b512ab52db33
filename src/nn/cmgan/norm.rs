//! Instance normalisation followed by a PReLU with one slope per channel: how every convolution of the generator ends.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use burn::tensor::activation::prelu;

use crate::nn::init::Init;
use crate::nn::kernels;

/// Added to the variance before the root, as in PyTorch.
pub(super) const EPSILON: f64 = 1e-5;
/// PyTorch's initial slope.
const SLOPE: f32 = 0.25;

/// `torch.nn.InstanceNorm2d(channels, affine=True)`: mean and biased variance of each sample and channel over the map.
#[derive(Module, Debug)]
pub struct InstanceNorm {
    weight: Param<Tensor<1>>,
    bias: Param<Tensor<1>>,
}

/// `torch.nn.PReLU(channels)`.
#[derive(Module, Debug)]
pub struct PRelu {
    weight: Param<Tensor<1>>,
}

impl InstanceNorm {
    /// Weight 1, bias 0.
    pub fn new(channels: usize, init: Init<'_>) -> Self {
        Self { weight: init.constant([channels], 1.0), bias: init.constant([channels], 0.0) }
    }

    /// prelu(norm(x)) of `[batch, channels, height, width]`.
    pub fn forward_prelu(&self, x: Tensor<4>, slopes: &PRelu) -> Tensor<4> {
        let (weight, bias, slope) = (self.weight.val(), self.bias.val(), slopes.weight.val());
        match kernels::serve(&x.device()) {
            true => kernels::instance_norm_prelu(x, (weight, bias), slope, EPSILON),
            false => composed(x, weight, bias, slope),
        }
    }

    pub(super) fn parameters(&self) -> [Tensor<1>; 2] {
        [self.weight.val(), self.bias.val()]
    }
}

impl PRelu {
    /// Of one slope per channel.
    pub fn new(channels: usize, init: Init<'_>) -> Self {
        Self::with_slope(channels, SLOPE, init)
    }

    /// With another initial slope than PyTorch's.
    pub fn with_slope(channels: usize, slope: f32, init: Init<'_>) -> Self {
        Self { weight: init.constant([channels], slope) }
    }

    /// One slope per index of the second dimension.
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        prelu(x, self.weight.val())
    }

    pub(super) fn slopes(&self) -> Tensor<1> {
        self.weight.val()
    }
}

/// By Burn's operations.
pub(super) fn composed(x: Tensor<4>, weight: Tensor<1>, bias: Tensor<1>, slope: Tensor<1>) -> Tensor<4> {
    let [batch, channels, height, width] = x.dims();
    let rows = x.reshape([batch * channels, height * width]);
    let from_mean = rows.clone() - rows.mean_dim(1);
    let variance = from_mean.clone().square().mean_dim(1);
    let normal = from_mean / variance.add_scalar(EPSILON).sqrt();
    let normal = normal.reshape([batch, channels, height, width]);
    let shape = [1, channels, 1, 1];
    prelu(normal * weight.reshape(shape) + bias.reshape(shape), slope)
}
