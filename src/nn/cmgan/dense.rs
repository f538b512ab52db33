//! The dilated dense block, and the encoder and the decoders that are built on it.

use burn::module::Module;
use burn::tensor::Tensor;

use super::norm::{self, InstanceNorm, PRelu};
use crate::nn::conv::Conv2d;
use crate::nn::init::Init;
use crate::nn::kernels::{self, ConvSteps};
use crate::nn::precision::Precision;

/// Layers of a dilated dense block.
const DEPTH: usize = 4;
/// Rows (time) and columns (frequency) of a dense block's kernels.
const KERNEL: [usize; 2] = [2, 3];
/// Initial slope of the PReLU that the mask ends with.
const MASK_SLOPE: f32 = -0.25;

/// A kernel that moves by single steps, with zeros before and after the columns.
fn steps(columns: [usize; 2]) -> ConvSteps {
    ConvSteps { stride: [1, 1], padding: [[0, 0], columns], dilation: [1, 1] }
}

/// Convolutions of which each reads the maps of all before it, the newest first, with time steps of 1, 2, 4, 8; causal
/// in time.
#[derive(Module, Debug)]
pub struct DilatedDense {
    convs: Vec<Conv2d>,
    norms: Vec<InstanceNorm>,
    prelus: Vec<PRelu>,
}

impl DilatedDense {
    /// `path` is the block's full name.
    pub fn new(path: &str, channels: usize, init: Init<'_>) -> Self {
        let conv = |layer: usize| {
            let step = 1 << layer;
            let steps = ConvSteps {
                stride: [1, 1],
                padding: [[(KERNEL[0] - 1) * step, 0], [KERNEL[1] / 2; 2]],
                dilation: [step, 1],
            };
            let shape = [channels, (layer + 1) * channels, KERNEL[0], KERNEL[1]];
            Conv2d::new(&format!("{path}.conv{}", layer + 1), shape, steps, init)
        };
        Self {
            convs: (0..DEPTH).map(conv).collect(),
            norms: (0..DEPTH).map(|_| InstanceNorm::new(channels, init)).collect(),
            prelus: (0..DEPTH).map(|_| PRelu::new(channels, init)).collect(),
        }
    }

    /// `[batch, channels, time, frequency]` → the same shape.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let precision = self.convs.first().map(Conv2d::precision);
        if precision == Some(Precision::F32) && kernels::serve(&x.device()) {
            return kernels::dense_block(x, self.layers(), norm::EPSILON);
        }
        self.composed(x)
    }

    fn layers(&self) -> Vec<kernels::DenseLayer> {
        let parts = self.convs.iter().zip(&self.norms).zip(&self.prelus);
        let layer = |((conv, norm), prelu): ((&Conv2d, &InstanceNorm), &PRelu)| {
            let [norm_weight, norm_bias] = norm.parameters();
            let weight = conv.weight();
            let bias = conv.bias().unwrap_or_else(|| Tensor::zeros([weight.dims()[0]], &weight.device()));
            kernels::DenseLayer { weight, bias, norm_weight, norm_bias, slope: prelu.slopes() }
        };
        parts.map(layer).collect()
    }

    /// By Burn's operations.
    pub(super) fn composed(&self, x: Tensor<4>) -> Tensor<4> {
        let mut maps = vec![x.clone()];
        let mut newest = x;
        for ((conv, norm), prelu) in self.convs.iter().zip(&self.norms).zip(&self.prelus) {
            let all = Tensor::cat(maps.iter().rev().cloned().collect(), 1);
            let [weight, bias] = norm.parameters();
            newest = norm::composed(conv.composed(all), weight, bias, prelu.slopes());
            maps.push(newest.clone());
        }
        newest
    }
}

/// A convolution, an instance norm and a PReLU, named as the positions of a sequence.
#[derive(Module, Debug)]
struct Stage {
    stage_conv: Conv2d,
    stage_norm: InstanceNorm,
    stage_prelu: PRelu,
}

impl Stage {
    fn new(path: &str, shape: [usize; 4], steps: ConvSteps, init: Init<'_>) -> Self {
        Self {
            stage_conv: Conv2d::new(&format!("{path}.0"), shape, steps, init),
            stage_norm: InstanceNorm::new(shape[0], init),
            stage_prelu: PRelu::new(shape[0], init),
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        self.stage_norm.forward_prelu(self.stage_conv.forward(x), &self.stage_prelu)
    }
}

/// From a spectrum to maps of half its frequencies.
#[derive(Module, Debug)]
pub struct DenseEncoder {
    conv_1: Stage,
    dilated_dense: DilatedDense,
    conv_2: Stage,
}

impl DenseEncoder {
    /// From `inputs` maps of the spectrum.
    pub fn new(inputs: usize, channels: usize, init: Init<'_>) -> Self {
        let path = "dense_encoder";
        let halving = ConvSteps { stride: [1, 2], ..steps([1, 1]) };
        Self {
            conv_1: Stage::new(&format!("{path}.conv_1"), [channels, inputs, 1, 1], steps([0, 0]), init),
            dilated_dense: DilatedDense::new(&format!("{path}.dilated_dense"), channels, init),
            conv_2: Stage::new(&format!("{path}.conv_2"), [channels, channels, 1, 3], halving, init),
        }
    }

    /// `[batch, inputs, time, bins]` → `[batch, channels, time, ⌈bins / 2⌉]`.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        self.conv_2.forward(self.dilated_dense.forward(self.conv_1.forward(x)))
    }
}

/// A convolution whose channels, two for each, become neighbouring frequencies.
#[derive(Module, Debug)]
pub struct SubPixel {
    conv: Conv2d,
}

impl SubPixel {
    /// `path` is the layer's full name.
    pub fn new(path: &str, channels: usize, init: Init<'_>) -> Self {
        let shape = [2 * channels, channels, 1, 3];
        Self { conv: Conv2d::new(&format!("{path}.conv"), shape, steps([1, 1]), init) }
    }

    /// `[batch, channels, time, frequency]` → twice the frequencies.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let [batch, channels, time, frequency] = x.dims();
        let pairs = self.conv.forward(x).reshape([batch, 2, channels, time, frequency]);
        pairs.permute([0, 2, 3, 4, 1]).reshape([batch, channels, time, 2 * frequency])
    }
}

/// From maps to a factor for each magnitude; without bounds.
#[derive(Module, Debug)]
pub struct MaskDecoder {
    dense_block: DilatedDense,
    sub_pixel: SubPixel,
    conv_1: Conv2d,
    norm: InstanceNorm,
    prelu: PRelu,
    final_conv: Conv2d,
    /// One slope per frequency.
    prelu_out: PRelu,
}

impl MaskDecoder {
    /// For spectra of `bins` frequencies.
    pub fn new(channels: usize, bins: usize, init: Init<'_>) -> Self {
        let path = "mask_decoder";
        Self {
            dense_block: DilatedDense::new(&format!("{path}.dense_block"), channels, init),
            sub_pixel: SubPixel::new(&format!("{path}.sub_pixel"), channels, init),
            conv_1: Conv2d::new(&format!("{path}.conv_1"), [1, channels, 1, 2], steps([0, 0]), init),
            norm: InstanceNorm::new(1, init),
            prelu: PRelu::new(1, init),
            final_conv: Conv2d::new(&format!("{path}.final_conv"), [1, 1, 1, 1], steps([0, 0]), init),
            prelu_out: PRelu::with_slope(bins, MASK_SLOPE, init),
        }
    }

    /// `[batch, channels, time, ⌈bins / 2⌉]` → `[batch, 1, time, bins]`.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let x = self.conv_1.forward(self.sub_pixel.forward(self.dense_block.forward(x)));
        let x = self.final_conv.forward(self.norm.forward_prelu(x, &self.prelu));
        // A slope belongs to a frequency, which stands in the second place for that.
        self.prelu_out.forward(x.swap_dims(1, 3)).swap_dims(1, 3)
    }
}

/// From maps to a complex spectrum that is added.
#[derive(Module, Debug)]
pub struct ComplexDecoder {
    dense_block: DilatedDense,
    sub_pixel: SubPixel,
    norm: InstanceNorm,
    prelu: PRelu,
    conv: Conv2d,
}

impl ComplexDecoder {
    /// With fresh weights.
    pub fn new(channels: usize, init: Init<'_>) -> Self {
        let path = "complex_decoder";
        Self {
            dense_block: DilatedDense::new(&format!("{path}.dense_block"), channels, init),
            sub_pixel: SubPixel::new(&format!("{path}.sub_pixel"), channels, init),
            norm: InstanceNorm::new(channels, init),
            prelu: PRelu::new(channels, init),
            conv: Conv2d::new(&format!("{path}.conv"), [2, channels, 1, 2], steps([0, 0]), init),
        }
    }

    /// `[batch, channels, time, ⌈bins / 2⌉]` → real and imaginary parts `[batch, 2, time, bins]`.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let x = self.sub_pixel.forward(self.dense_block.forward(x));
        self.conv.forward(self.norm.forward_prelu(x, &self.prelu))
    }
}
