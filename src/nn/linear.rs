//! A fully connected layer with PyTorch's names and PyTorch's initial weights.

use burn::module::Param;
use burn::nn::Linear;
use burn::tensor::Tensor;

use super::init::Init;
use super::kernels;

/// `torch.nn.Linear(inputs, outputs)`: weight and bias uniform in ±1/√inputs.
///
/// Burn keeps the weight as `[inputs, outputs]`; `weights` turns it on the way
/// to and from files. `path` is the layer's full name.
pub fn linear(path: &str, inputs: usize, outputs: usize, init: Init<'_>) -> Linear {
    let bound = 1.0 / (inputs as f32).sqrt();
    Linear {
        weight: init.uniform(&format!("{path}.weight"), [inputs, outputs], bound),
        bias: Some(Param::from_tensor(init.uniform(&format!("{path}.bias"), [outputs], bound).val())),
    }
}

/// `x` `[rows, inputs]` through `layer`: `[rows, outputs]`.
pub fn forward(layer: &Linear, x: Tensor<2>) -> Tensor<2> {
    match &layer.bias {
        Some(bias) if kernels::serve(&x.device()) => kernels::linear(x, layer.weight.val(), bias.val()),
        _ => layer.forward(x),
    }
}
