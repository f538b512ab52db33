//! A fully connected layer with PyTorch's names and PyTorch's initial weights.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use burn::tensor::module::linear;

use super::init::Init;
use super::kernels;
use super::precision::Precision;

/// y = x · weight + bias. The weight is kept as `[inputs, outputs]`; `weights` turns it on the way to and from files.
#[derive(Module, Debug)]
pub struct Linear {
    weight: Param<Tensor<2>>,
    bias: Param<Tensor<1>>,
    #[module(skip)]
    precision: Precision,
}

impl Linear {
    /// `torch.nn.Linear(inputs, outputs)`: weight and bias uniform in ±1/√inputs. `path` is the layer's full name.
    pub fn new(path: &str, inputs: usize, outputs: usize, init: Init<'_>) -> Self {
        let bound = 1.0 / (inputs as f32).sqrt();
        Self {
            weight: init.uniform(&format!("{path}.weight"), [inputs, outputs], bound),
            bias: init.uniform(&format!("{path}.bias"), [outputs], bound),
            precision: init.precision(),
        }
    }

    /// `[rows, inputs]` → `[rows, outputs]`.
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let (weight, bias) = (self.weight.val(), self.bias.val());
        if self.precision == Precision::F32 && kernels::serve(&x.device()) {
            return kernels::linear(x, weight, bias);
        }
        let [x, weight] = [x, weight].map(|operand| self.precision.operand(operand));
        self.precision.result(linear(x, weight, None)) + bias.unsqueeze::<2>()
    }

    /// Weight `[inputs, outputs]` and bias.
    pub(super) fn affine(&self) -> (Tensor<2>, Tensor<1>) {
        (self.weight.val(), self.bias.val())
    }
}
