//! The steps by Burn's operations, which a GPU's compiler fuses. Products in the given number format, all else in f32.

use burn::tensor::activation::{gelu, sigmoid, softmax};
use burn::tensor::module::{conv1d, layer_norm as stock_layer_norm};
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Int, Tensor, TensorData};

use super::{Affine, GatedPosition, Precision, Scale, Sequences};

/// Score of a key that does not exist: its exponential is 0 beside any other, and never infinity minus infinity.
const NOWHERE: f32 = -1e30;

pub fn linear(x: Tensor<2>, (weight, bias): Affine, precision: Precision) -> Tensor<2> {
    let [x, weight] = [x, weight].map(|operand| precision.operand(operand));
    precision.result(x.matmul(weight)) + bias.unsqueeze::<2>()
}

pub fn linear_gelu(x: Tensor<2>, affine: Affine, precision: Precision) -> Tensor<2> {
    gelu(linear(x, affine, precision))
}

pub fn layer_norm(x: Tensor<2>, (weight, bias): Scale, epsilon: f64) -> Tensor<2> {
    stock_layer_norm(x, weight, Some(bias), epsilon)
}

pub fn residual_norm(x: Tensor<2>, y: Tensor<2>, alpha: f64, norm: Scale, epsilon: f64) -> Tensor<2> {
    layer_norm(x.mul_scalar(alpha) + y, norm, epsilon)
}

/// `parts` are q, k and v `[rows, heads · width]`, or one matrix that holds them side by side.
pub fn attention(
    parts: Vec<Tensor<2>>,
    heads: usize,
    of: Sequences,
    position: Option<GatedPosition>,
    lengths: Option<&[usize]>,
    precision: Precision,
) -> Tensor<2> {
    let (joined, rows) = (parts.len() == 1, of.rows());
    let channels = parts[0].dims()[1] / if joined { 3 } else { 1 };
    let [q, k, v] = [0, 1, 2].map(|index| match joined {
        true => parts[0].clone().narrow(1, index * channels, channels),
        false => parts[index].clone(),
    });
    let Sequences { count, tokens } = of;
    let width = channels / heads;
    let device = q.device();
    let bias = position.map(|position| position_bias(q.clone(), position, heads, of));
    let [q, k, v] = [q.div_scalar((width as f64).sqrt()), k, v]
        .map(|x| precision.operand(x.reshape([count, tokens, heads, width]).swap_dims(1, 2)));
    let mut scores = precision.result(q.matmul(k.swap_dims(2, 3))); // [count, heads, tokens, tokens]
    if let Some(bias) = bias {
        scores = scores + bias;
    }
    if let Some(lengths) = lengths {
        scores = scores + missing(lengths, tokens, &device);
    }
    let y = precision.result(precision.operand(softmax(scores, 3)).matmul(v)); // [count, heads, tokens, width]
    y.swap_dims(1, 2).reshape([rows, channels])
}

/// The bias of each pair of tokens, `[count, heads, tokens, tokens]`.
fn position_bias(q: Tensor<2>, position: GatedPosition, heads: usize, of: Sequences) -> Tensor<4> {
    let GatedPosition { table, linear: (weight, bias), gate } = position;
    let Sequences { count, tokens } = of;
    let width = weight.dims()[0];
    // Sums of outputs are outputs of sums.
    let weight = weight.reshape([width, 2, 4]).sum_dim(2).reshape([width, 2]);
    let bias = bias.reshape([2, 4]).sum_dim(1).reshape([1, 2]);
    let open = sigmoid(q.reshape([of.rows() * heads, width]).matmul(weight) + bias);
    let open = open.reshape([count, tokens, heads, 2]).swap_dims(1, 2); // [count, heads, tokens, 2]
    let (a, b) = (open.clone().narrow(3, 0, 1), open.narrow(3, 1, 1));
    let gate = a * (b * gate.reshape([1, heads, 1, 1]) - 1.0) + 2.0; // [count, heads, tokens, 1]

    let device = table.device();
    let places = |first: i64| Tensor::<1, Int>::arange(first..first + tokens as i64, &device);
    let near = places(tokens as i64 - 1).unsqueeze_dim::<2>(0) - places(0).unsqueeze_dim::<2>(1); // j - i + tokens - 1
    let table = table.select(1, near.reshape([tokens * tokens]));
    gate * table.reshape([1, heads, tokens, tokens])
}

/// What keys that do not exist add to their scores, `[count, 1, 1, tokens]`.
fn missing(lengths: &[usize], tokens: usize, device: &Device) -> Tensor<4> {
    let of = |length: usize| (0..tokens).map(move |key| if key < length { 0.0 } else { NOWHERE });
    let values: Vec<f32> = lengths.iter().flat_map(|length| of(*length)).collect();
    Tensor::from_data(TensorData::new(values, [lengths.len(), 1, 1, tokens]), device)
}

pub fn position_conv(
    x: Tensor<2>,
    weight: Tensor<3>,
    bias: Tensor<1>,
    groups: usize,
    of: Sequences,
    precision: Precision,
) -> Tensor<2> {
    let ([rows, channels], half) = (x.dims(), weight.dims()[2] / 2);
    let options = ConvOptions::new_with_padding([1], [(half, half - 1)], [1], groups);
    let maps = x.clone().reshape([of.count, of.tokens, channels]).swap_dims(1, 2);
    let y = conv1d(precision.operand(maps), precision.operand(weight), None, options);
    let y = precision.result(y).swap_dims(1, 2).reshape([rows, channels]);
    x + gelu(y + bias.unsqueeze::<2>())
}
