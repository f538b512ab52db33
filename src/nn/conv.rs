//! The convolutions of every network: the one seam behind which a faster one can come. On the CPU they are those of
//! `kernels`, on other devices Burn's.
//!
//! Names and layout are PyTorch's (`torch.nn.Conv2d`): `weight` `[out, in, kernel, kernel]`, `bias` `[out]`.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use burn::tensor::module::conv2d;
use burn::tensor::ops::ConvOptions;

use super::init::Init;
use super::kernels::{self, ConvSteps};
use super::precision::Precision;

/// A two-dimensional convolution, one group, with zero padding.
#[derive(Module, Debug)]
pub struct Conv2d {
    weight: Param<Tensor<4>>,
    bias: Option<Param<Tensor<1>>>,
    #[module(skip)]
    steps: ConvSteps,
    #[module(skip)]
    precision: Precision,
}

/// The sizes of a square [`Conv2d`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConvSize {
    /// Channels of the input.
    pub inputs: usize,
    /// Channels of the output.
    pub outputs: usize,
    /// Rows and columns of the kernel.
    pub kernel: usize,
    /// Step of the kernel in both directions.
    pub stride: usize,
    /// Zeros on each of the four sides.
    pub padding: usize,
}

impl Conv2d {
    /// Square, without bias, normal with variance 2 / (outputs · kernel²): He et al. (arXiv 1502.01852) counting outputs,
    /// as torchvision's residual networks. `path` is the layer's full name.
    pub fn he_normal(path: &str, size: ConvSize, init: Init<'_>) -> Self {
        let ConvSize { inputs, outputs, kernel, stride, padding } = size;
        let deviation = (2.0 / (outputs * kernel * kernel) as f32).sqrt();
        let weight = init.normal(&format!("{path}.weight"), [outputs, inputs, kernel, kernel], deviation);
        let steps = ConvSteps { stride: [stride; 2], padding: [[padding; 2]; 2], dilation: [1, 1] };
        Self { weight, bias: None, steps, precision: init.precision() }
    }

    /// `torch.nn.Conv2d(inputs, outputs, kernel)`: weight and bias uniform in ±1/√(inputs · kernel). `shape` is
    /// `[outputs, inputs, kernel height, kernel width]`, `path` the layer's full name.
    pub fn new(path: &str, shape: [usize; 4], steps: ConvSteps, init: Init<'_>) -> Self {
        let bound = 1.0 / (shape[1..].iter().product::<usize>() as f32).sqrt();
        Self {
            weight: init.uniform(&format!("{path}.weight"), shape, bound),
            bias: Some(init.uniform(&format!("{path}.bias"), [shape[0]], bound)),
            steps,
            precision: init.precision(),
        }
    }

    /// `[batch, inputs, height, width]` → `[batch, outputs, 1 + (padded height - reach) / stride, …]`.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        if self.precision != Precision::F32 || !kernels::serve(&x.device()) {
            return self.composed(x);
        }
        match &self.bias {
            Some(bias) => kernels::convolution_bias(x, self.weight.val(), bias.val(), self.steps),
            None => kernels::convolution(x, self.weight.val(), self.steps),
        }
    }

    /// By Burn's convolution.
    pub(super) fn composed(&self, x: Tensor<4>) -> Tensor<4> {
        let ConvSteps { stride, padding: [rows, columns], dilation } = self.steps;
        let padding = [(rows[0], rows[1]), (columns[0], columns[1])];
        let options = ConvOptions::new_with_padding(stride, padding, dilation, 1);
        let x = self.precision.operand(x);
        let weight = self.precision.operand(self.weight.val());
        let y = self.precision.result(conv2d(x, weight, None, options));
        match &self.bias {
            Some(bias) => y + bias.val().reshape([1, -1, 1, 1]),
            None => y,
        }
    }

    pub(super) fn weight(&self) -> Tensor<4> {
        self.weight.val()
    }

    pub(super) fn bias(&self) -> Option<Tensor<1>> {
        self.bias.as_ref().map(Param::val)
    }

    pub(super) fn precision(&self) -> Precision {
        self.precision
    }
}
