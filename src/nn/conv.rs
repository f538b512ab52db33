//! The convolution of every network: the one seam behind which a faster one can come. On the CPU it is that of
//! `kernels`, on other devices Burn's.
//!
//! Names and layout are PyTorch's (`torch.nn.Conv2d`): `weight` `[out, in, kernel, kernel]`.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use burn::tensor::module::conv2d;
use burn::tensor::ops::ConvOptions;

use super::init::Init;
use super::kernels::{self, ConvSteps};
use super::precision::Precision;

/// A square two-dimensional convolution without bias, with zero padding on all sides.
#[derive(Module, Debug)]
pub struct Conv2d {
    weight: Param<Tensor<4>>,
    #[module(skip)]
    stride: usize,
    #[module(skip)]
    padding: usize,
    #[module(skip)]
    precision: Precision,
}

/// The sizes of a [`Conv2d`].
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
    /// Without bias, normal with variance 2 / (outputs · kernel²): He et al. (arXiv 1502.01852) counting outputs, as
    /// torchvision's residual networks. `path` is the layer's full name.
    pub fn he_normal(path: &str, size: ConvSize, init: Init<'_>) -> Self {
        let ConvSize { inputs, outputs, kernel, stride, padding } = size;
        let deviation = (2.0 / (outputs * kernel * kernel) as f32).sqrt();
        let weight = init.normal(&format!("{path}.weight"), [outputs, inputs, kernel, kernel], deviation);
        Self { weight, stride, padding, precision: init.precision() }
    }

    /// `[batch, inputs, height, width]` → `[batch, outputs, 1 + (height + 2·padding - kernel) / stride, …]`.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        if self.precision == Precision::F32 && kernels::serve(&x.device()) {
            let steps =
                ConvSteps { stride: [self.stride; 2], padding: [[self.padding; 2]; 2], dilation: [1, 1] };
            return kernels::convolution(x, self.weight.val(), steps);
        }
        let options = ConvOptions::new([self.stride; 2], [self.padding; 2], [1, 1], 1);
        let x = self.precision.operand(x);
        let weight = self.precision.operand(self.weight.val());
        self.precision.result(conv2d(x, weight, None, options))
    }
}
