//! Square patches of a spectrogram, each made a token: a convolution whose step is as large as its kernel, as one product.

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use super::encoder::{self, Sequences};
use super::init::Init;
use super::precision::Precision;

/// `torch.nn.Conv2d(1, width, patch, stride=patch)` over (time, frequency), with or without bias.
#[derive(Module, Debug)]
pub struct Patches {
    weight: Param<Tensor<4>>,
    bias: Option<Param<Tensor<1>>>,
}

impl Patches {
    /// Weight and bias uniform in ±1/patch. `path` is the layer's full name.
    pub fn new(path: &str, width: usize, patch: usize, bias: bool, init: Init<'_>) -> Self {
        let bound = 1.0 / patch as f32; // 1 / sqrt(patch · patch)
        Self {
            weight: init.uniform(&format!("{path}.weight"), [width, 1, patch, patch], bound),
            bias: bias.then(|| init.uniform(&format!("{path}.bias"), [width], bound)),
        }
    }

    /// Images `[batch, frames, mels]` to rows `[batch · steps · bands, width]`, a time step's bands one behind the other.
    /// Frames and mels that fill no patch are dropped.
    pub fn forward(&self, images: Tensor<3>, precision: Precision) -> Tensor<2> {
        let [batch, frames, mels] = images.dims();
        let [width, _, patch, _] = self.weight.val().dims();
        let (steps, bands) = (frames / patch, mels / patch);
        let whole = images.narrow(1, 0, steps * patch).narrow(2, 0, bands * patch);
        let squares = whole.reshape([batch, steps, patch, bands, patch]).swap_dims(2, 3);
        let rows = squares.reshape([batch * steps * bands, patch * patch]);
        let weight = self.weight.val().reshape([width, patch * patch]).transpose();
        let bias = match &self.bias {
            Some(bias) => bias.val(),
            None => Tensor::zeros([width], &rows.device()),
        };
        encoder::linear(rows, (weight, bias), Sequences { count: batch, tokens: steps * bands }, precision)
    }
}
