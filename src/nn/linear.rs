//! A fully connected layer with PyTorch's names and PyTorch's initial weights.

use burn::module::Param;
use burn::nn::Linear;

use super::init::Init;

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
