//! The steps of transformer encoders as operations outside any graph.

use burn::backend::Dispatch;
use burn::backend::flex::FlexTensor;
use burn::tensor::Tensor;

use super::encoder::{self, Activation, Attention, Columns, Position, PositionConv};
use super::flex::{contiguous, tensor, values};
use super::rows::LayerNorm;
use super::{Affine, Kernels, Scale, Several};

/// The steps; the order of inputs stands beside each. All results are `[rows, width]`.
#[derive(Debug, Clone)]
pub enum EncoderStep {
    /// x `[rows, inputs]`, weight `[inputs, outputs]`, bias.
    Linear {
        /// Whether the exact GELU follows.
        gelu: bool,
    },
    /// x, y, weight, bias: norm(alpha · x + y).
    ResidualNorm {
        /// Weight of x in the sum.
        alpha: f32,
        /// Added to the variances.
        epsilon: f32,
    },
    /// q, k and v side by side, or each alone; then, where the bias of positions is wanted, its table, the gate's weight
    /// `[width of a head, 8]` and bias, and its factor for each head.
    Attention {
        /// How many there are side by side.
        heads: usize,
        /// Rows of a sequence.
        tokens: usize,
        /// Of each sequence, how many tokens exist; without it all do.
        lengths: Option<Vec<usize>>,
    },
    /// x, weight `[width, width / groups, kernel]`, bias: x + gelu(conv(x)).
    PositionConv {
        /// Rows of a sequence.
        tokens: usize,
        /// Of channels, each convolved alone.
        groups: usize,
    },
}

fn run(step: EncoderStep, inputs: impl IntoIterator<Item = Tensor<2>>, more: Vec<Tensor<1>>) -> Tensor<2> {
    let matrices = inputs.into_iter().map(Tensor::into_dispatch);
    let inputs = matrices.chain(more.into_iter().map(Tensor::into_dispatch)).collect();
    Tensor::from_dispatch(<Dispatch as Kernels>::encoder(step, Several(inputs)))
}

/// x · weight + bias, with the exact GELU behind it where asked for; all of these are for devices that [`super::serve`]
/// accepts, and keep no gradient.
pub fn encoder_linear(x: Tensor<2>, (weight, bias): Affine, gelu: bool) -> Tensor<2> {
    run(EncoderStep::Linear { gelu }, [x, weight], vec![bias])
}

/// norm(alpha · x + y).
pub fn residual_norm(
    x: Tensor<2>,
    y: Tensor<2>,
    alpha: f64,
    (weight, bias): Scale,
    epsilon: f64,
) -> Tensor<2> {
    let step = EncoderStep::ResidualNorm { alpha: alpha as f32, epsilon: epsilon as f32 };
    run(step, [x, y], vec![weight, bias])
}

/// The table, the gate's layer and its factors of an attention's bias of positions.
pub type GatedBias = (Tensor<2>, Affine, Tensor<1>);

/// Softmax attention of `heads` heads over sequences of `tokens` rows; `qkv` as [`EncoderStep::Attention`] has them.
pub fn encoder_attention(
    qkv: Vec<Tensor<2>>,
    heads: usize,
    tokens: usize,
    lengths: Option<Vec<usize>>,
    position: Option<GatedBias>,
) -> Tensor<2> {
    let step = EncoderStep::Attention { heads, tokens, lengths };
    match position {
        Some((table, (weight, bias), gate)) => {
            run(step, qkv.into_iter().chain([table, weight]), vec![bias, gate])
        }
        None => run(step, qkv, Vec::new()),
    }
}

/// x + gelu(conv(x)) over sequences of `tokens` rows.
pub fn position_conv(
    x: Tensor<2>,
    weight: Tensor<3>,
    bias: Tensor<1>,
    groups: usize,
    tokens: usize,
) -> Tensor<2> {
    let inputs = vec![x.into_dispatch(), weight.into_dispatch(), bias.into_dispatch()];
    let step = EncoderStep::PositionConv { tokens, groups };
    Tensor::from_dispatch(<Dispatch as Kernels>::encoder(step, Several(inputs)))
}

/// The steps on the CPU device's tensors.
pub(super) fn forward(step: EncoderStep, inputs: Vec<FlexTensor>) -> FlexTensor {
    let inputs: Vec<FlexTensor> = inputs.into_iter().map(contiguous).collect();
    let at = |index: usize| values(&inputs[index]);
    let size = |index: usize, axis: usize| inputs[index].layout().shape()[axis];
    let rows = size(0, 0);
    let (output, width) = match step {
        EncoderStep::Linear { gelu } => {
            let activation = if gelu { Activation::Gelu } else { Activation::Identity };
            assert_eq!(size(0, 1), size(1, 0), "an input of another width than the layer's");
            (encoder::linear(at(0), at(1), at(2), activation), at(2).len())
        }
        EncoderStep::ResidualNorm { alpha, epsilon } => {
            let norm = LayerNorm { weight: at(2), bias: at(3), epsilon };
            (encoder::residual_norm(at(0), at(1), alpha, norm), size(0, 1))
        }
        EncoderStep::Attention { heads, tokens, lengths } => {
            let joined = matches!(inputs.len(), 1 | 5);
            let channels = if joined { size(0, 1) / 3 } else { size(0, 1) };
            let qkv = [0, 1, 2].map(|part| match joined {
                true => Columns::all(at(0), size(0, 1)).part(part * channels, channels),
                false => Columns::all(at(part), size(part, 1)),
            });
            let first = if joined { 1 } else { 3 };
            let position = (inputs.len() > first).then(|| {
                let [table, weight, bias, gate] = [0, 1, 2, 3].map(|index| at(first + index));
                Position { table, weight, bias, gate }
            });
            let sizes = Attention { tokens, heads, lengths: lengths.as_deref() };
            (encoder::attention(qkv, position, sizes), channels)
        }
        EncoderStep::PositionConv { tokens, groups } => {
            let conv = PositionConv { tokens, groups, kernel: size(1, 2), weight: at(1), bias: at(2) };
            (encoder::position_conv(at(0), conv), size(0, 1))
        }
    };
    tensor(output, [rows, width])
}
