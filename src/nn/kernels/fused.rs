//! Longer stretches of a network as one operation each: what lies between their ends is made again on the way back
//! instead of being kept.

use burn::backend::Dispatch;
use burn::backend::DispatchTensor;
use burn::tensor::Tensor;

pub use super::rows::{Dropout, mixed};
use super::{ConvSteps, Kernels, Several};

/// The stretches; the order of inputs stands beside each. `x` and gradients are `[rows, width]` unless said otherwise,
/// linear weights `[inputs, outputs]`.
#[derive(Debug, Clone, Copy)]
pub enum Fused {
    /// x `[batch, in, height, width]`, weight `[out, in, kernel height, kernel width]`, bias.
    Convolution(ConvSteps),
    /// x `[batch, channels, height, width]`; per layer weight, bias, norm weight, norm bias, slope.
    DenseBlock {
        /// Added to the variances.
        epsilon: f32,
    },
    /// x `[batch, channels, height, width]`, weight, bias, slope.
    InstanceNormPrelu {
        /// Added to the variances.
        epsilon: f32,
    },
    /// q, k and v side by side, table of relative positions.
    Attention(AttentionSize),
    /// x, weight `[channels, kernel]`, bias.
    Depthwise {
        /// Rows of one sequence.
        length: usize,
        /// Zeros before and after a sequence.
        padding: [usize; 2],
    },
    /// x, weight, bias.
    LayerNorm {
        /// Added to the variances.
        epsilon: f32,
    },
    /// x, norm weight, norm bias, then weight and bias of the two layers: x + factor · layers(norm(x)).
    FeedForward {
        /// Added to the variances.
        epsilon: f32,
        /// Weight of the layers in the sum.
        factor: f32,
        /// After each layer.
        dropout: Option<Dropout>,
    },
    /// x, norm weight, norm bias, weight, bias: the gated half of a linear layer of norm(x).
    Gated {
        /// Added to the variances.
        epsilon: f32,
    },
    /// x, norm weight, norm bias, weight: norm(x) · weight.
    NormedLinear {
        /// Added to the variances.
        epsilon: f32,
    },
    /// x, norm weight, norm bias, mean, variance, weight, bias, residual: residual + linear(swish(norm(x))). The gradient
    /// goes through mean and variance as the batch's own.
    NormSwishLinear {
        /// Added to the variances.
        epsilon: f32,
    },
    /// x, weight, bias, residual: residual + dropout(linear(x)).
    LinearResidual {
        /// Of the layer's result.
        dropout: Option<Dropout>,
    },
}

/// The sizes of an attention over sequences.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttentionSize {
    /// Rows of one sequence.
    pub length: usize,
    /// Heads side by side.
    pub heads: usize,
    /// Largest distance that the table tells apart.
    pub reach: usize,
}

/// One layer of a dense block: a convolution, an instance norm, slopes.
#[derive(Debug, Clone)]
pub struct DenseLayer {
    /// `[channels, layer · channels, kernel height, kernel width]`.
    pub weight: Tensor<4>,
    /// Of the convolution.
    pub bias: Tensor<1>,
    /// Of the norm.
    pub norm_weight: Tensor<1>,
    /// Of the norm.
    pub norm_bias: Tensor<1>,
    /// Of negative values.
    pub slope: Tensor<1>,
}

/// A linear layer's weight and bias.
pub type Affine = (Tensor<2>, Tensor<1>);
/// A norm's weight and bias.
pub type Scale = (Tensor<1>, Tensor<1>);

fn run<const D: usize>(op: Fused, inputs: Vec<DispatchTensor>) -> Tensor<D> {
    let (output, _) = <Dispatch as Kernels>::fused(op, Several(inputs), false);
    Tensor::from_dispatch(output)
}

/// A convolution with bias; all of these are for devices that [`super::serve`] accepts.
pub fn convolution_bias(x: Tensor<4>, weight: Tensor<4>, bias: Tensor<1>, steps: ConvSteps) -> Tensor<4> {
    let inputs = vec![x.into_dispatch(), weight.into_dispatch(), bias.into_dispatch()];
    run(Fused::Convolution(steps), inputs)
}

/// The dilated dense block of `nn::cmgan`.
pub fn dense_block(x: Tensor<4>, layers: Vec<DenseLayer>, epsilon: f64) -> Tensor<4> {
    let mut inputs = vec![x.into_dispatch()];
    for layer in layers {
        inputs.extend([
            layer.weight.into_dispatch(),
            layer.bias.into_dispatch(),
            layer.norm_weight.into_dispatch(),
            layer.norm_bias.into_dispatch(),
            layer.slope.into_dispatch(),
        ]);
    }
    run(Fused::DenseBlock { epsilon: epsilon as f32 }, inputs)
}

/// prelu(instance norm(x)).
pub fn instance_norm_prelu(x: Tensor<4>, (weight, bias): Scale, slope: Tensor<1>, epsilon: f64) -> Tensor<4> {
    let inputs = vec![x.into_dispatch(), weight.into_dispatch(), bias.into_dispatch(), slope.into_dispatch()];
    run(Fused::InstanceNormPrelu { epsilon: epsilon as f32 }, inputs)
}

/// Softmax attention with relative positions; `q` `[rows, heads · width]`, `kv` twice as wide, `table`
/// `[2 · reach + 1, width]`.
pub fn attention(q: Tensor<2>, kv: Tensor<2>, table: Tensor<2>, size: AttentionSize) -> Tensor<2> {
    run(Fused::Attention(size), vec![q.into_dispatch(), kv.into_dispatch(), table.into_dispatch()])
}

/// A convolution of each column of each sequence with its own kernel.
pub fn depthwise(
    x: Tensor<2>,
    weight: Tensor<2>,
    bias: Tensor<1>,
    length: usize,
    padding: [usize; 2],
) -> Tensor<2> {
    let inputs = vec![x.into_dispatch(), weight.into_dispatch(), bias.into_dispatch()];
    run(Fused::Depthwise { length, padding }, inputs)
}

/// Layer normalisation.
pub fn layer_norm(x: Tensor<2>, (weight, bias): Scale, epsilon: f64) -> Tensor<2> {
    let inputs = vec![x.into_dispatch(), weight.into_dispatch(), bias.into_dispatch()];
    run(Fused::LayerNorm { epsilon: epsilon as f32 }, inputs)
}

/// x + factor · drop(down(drop(swish(up(norm(x)))))).
pub fn feed_forward(
    x: Tensor<2>,
    norm: Scale,
    [up, down]: [Affine; 2],
    [factor, epsilon]: [f64; 2],
    dropout: Option<Dropout>,
) -> Tensor<2> {
    let inputs = vec![
        x.into_dispatch(),
        norm.0.into_dispatch(),
        norm.1.into_dispatch(),
        up.0.into_dispatch(),
        up.1.into_dispatch(),
        down.0.into_dispatch(),
        down.1.into_dispatch(),
    ];
    run(Fused::FeedForward { epsilon: epsilon as f32, factor: factor as f32, dropout }, inputs)
}

/// One half of linear(norm(x)) times the sigmoid of the other.
pub fn gated(x: Tensor<2>, norm: Scale, linear: Affine, epsilon: f64) -> Tensor<2> {
    let inputs = vec![
        x.into_dispatch(),
        norm.0.into_dispatch(),
        norm.1.into_dispatch(),
        linear.0.into_dispatch(),
        linear.1.into_dispatch(),
    ];
    run(Fused::Gated { epsilon: epsilon as f32 }, inputs)
}

/// norm(x) · weight.
pub fn normed_linear(x: Tensor<2>, norm: Scale, weight: Tensor<2>, epsilon: f64) -> Tensor<2> {
    let inputs =
        vec![x.into_dispatch(), norm.0.into_dispatch(), norm.1.into_dispatch(), weight.into_dispatch()];
    run(Fused::NormedLinear { epsilon: epsilon as f32 }, inputs)
}

/// Mean and biased variance of each column of `x` `[rows, channels]`; no gradient.
pub fn batch_statistics(x: Tensor<2>) -> (Tensor<1>, Tensor<1>) {
    let (mean, variance) = <Dispatch as Kernels>::batch_statistics(x.detach().into_dispatch());
    (Tensor::from_dispatch(mean), Tensor::from_dispatch(variance))
}

/// residual + linear(swish(batch norm(x))) with the given mean and variance; where there are gradients these are the
/// batch's own.
pub fn norm_swish_linear(
    x: Tensor<2>,
    norm: Scale,
    (mean, variance): Scale,
    linear: Affine,
    residual: Tensor<2>,
    epsilon: f64,
) -> Tensor<2> {
    let inputs = vec![
        x.into_dispatch(),
        norm.0.into_dispatch(),
        norm.1.into_dispatch(),
        mean.into_dispatch(),
        variance.into_dispatch(),
        linear.0.into_dispatch(),
        linear.1.into_dispatch(),
        residual.into_dispatch(),
    ];
    run(Fused::NormSwishLinear { epsilon: epsilon as f32 }, inputs)
}

/// residual + drop(linear(x)).
pub fn linear_residual(
    x: Tensor<2>,
    linear: Affine,
    residual: Tensor<2>,
    dropout: Option<Dropout>,
) -> Tensor<2> {
    let inputs =
        vec![x.into_dispatch(), linear.0.into_dispatch(), linear.1.into_dispatch(), residual.into_dispatch()];
    run(Fused::LinearResidual { dropout }, inputs)
}
