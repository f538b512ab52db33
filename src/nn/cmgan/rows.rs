//! The conformer's steps on rows `[rows, width]`: as one stretch each where the device has kernels for them, else by
//! Burn's operations.

use burn::tensor::activation::{glu, silu, softmax};
use burn::tensor::module::layer_norm as stock_layer_norm;
use burn::tensor::{Device, Distribution, Int, Tensor};

use crate::nn::kernels::{self, Affine, AttentionSize, Dropout, Scale};
use crate::nn::precision::Precision;

/// Added to the variance before the root, as in PyTorch.
const EPSILON: f64 = 1e-5;
/// Bytes that the logits of one part of an attention may take where nothing is kept of them.
const LOGITS_BYTES: usize = 256 << 20;

/// Whether a device has kernels for a number format.
fn fused(device: &Device, precision: Precision) -> bool {
    precision == Precision::F32 && kernels::serve(device)
}

/// Whether an attention keeps values for each pair of rows until its gradients are taken.
pub fn keeps_logits(device: &Device, precision: Precision) -> bool {
    !fused(device, precision)
}

/// Layer normalisation.
pub fn layer_norm(x: Tensor<2>, (weight, bias): Scale) -> Tensor<2> {
    match kernels::serve(&x.device()) {
        true => kernels::layer_norm(x, (weight, bias), EPSILON),
        false => stock_layer_norm(x, weight, Some(bias), EPSILON),
    }
}

/// x + factor · drop(down(drop(swish(up(norm(x)))))).
pub fn feed_forward(
    x: Tensor<2>,
    norm: Scale,
    [up, down]: [Affine; 2],
    factor: f64,
    dropout: Option<Dropout>,
    precision: Precision,
) -> Tensor<2> {
    if fused(&x.device(), precision) {
        return kernels::feed_forward(x, norm, [up, down], [factor, EPSILON], dropout);
    }
    composed::feed_forward(x, norm, [up, down], factor, dropout, precision)
}

/// One half of linear(norm(x)) times the sigmoid of the other.
pub fn gated(x: Tensor<2>, norm: Scale, linear: Affine, precision: Precision) -> Tensor<2> {
    if fused(&x.device(), precision) {
        return kernels::gated(x, norm, linear, EPSILON);
    }
    composed::gated(x, norm, linear, precision)
}

/// norm(x) · weight.
pub fn normed_linear(x: Tensor<2>, norm: Scale, weight: Tensor<2>, precision: Precision) -> Tensor<2> {
    if fused(&x.device(), precision) {
        return kernels::normed_linear(x, norm, weight, EPSILON);
    }
    composed::product(composed::layer_norm(x, norm), weight, precision)
}

/// residual + drop(linear(x)).
pub fn linear_residual(
    x: Tensor<2>,
    linear: Affine,
    residual: Tensor<2>,
    dropout: Option<Dropout>,
    precision: Precision,
) -> Tensor<2> {
    if fused(&x.device(), precision) {
        return kernels::linear_residual(x, linear, residual, dropout);
    }
    residual + composed::dropped(composed::affine(x, linear, precision), dropout)
}

/// Convolutions of each column of each sequence of `length` rows with its own kernel, `weight` `[channels, kernel]`, over
/// as many rows as there are.
pub fn depthwise(x: Tensor<2>, weight: Tensor<2>, bias: Tensor<1>, length: usize) -> Tensor<2> {
    let kernel = weight.dims()[1];
    let padding = [kernel / 2, (kernel - 1) / 2];
    if kernels::serve(&x.device()) {
        return kernels::depthwise(x, weight, bias, length, padding);
    }
    composed::depthwise(x, weight, bias, length, padding)
}

/// Softmax attention with relative positions (Shaw et al., arXiv 1803.02155): `q` `[rows, heads · width]`, `kv` keys and
/// values side by side, `table` `[2 · reach + 1, width]`.
pub fn attention(
    q: Tensor<2>,
    kv: Tensor<2>,
    table: Tensor<2>,
    size: AttentionSize,
    precision: Precision,
) -> Tensor<2> {
    let device = q.device();
    if fused(&device, precision) {
        return kernels::attention(q, kv, table, size);
    }
    if device.is_autodiff() {
        return composed::attention(q, kv, table, size, precision);
    }
    // Nothing is kept, so the sequences can take turns.
    let rows = q.dims()[0];
    let at_once = sequences_at_once(size) * size.length;
    let part = |first: usize| {
        let count = at_once.min(rows - first);
        let [q, kv] = [&q, &kv].map(|x| x.clone().narrow(0, first, count));
        composed::attention(q, kv, table.clone(), size, precision)
    };
    Tensor::cat((0..rows).step_by(at_once).map(part).collect(), 0)
}

/// Sequences whose logits fit into [`LOGITS_BYTES`].
pub fn sequences_at_once(size: AttentionSize) -> usize {
    (LOGITS_BYTES / (size.heads * size.length * size.length * size_of::<f32>()).max(1)).max(1)
}

/// residual + linear(swish(batch norm(x))) with given statistics; in training these are the batch's own.
pub fn norm_swish_linear(
    x: Tensor<2>,
    norm: Scale,
    statistics: Scale,
    linear: Affine,
    residual: Tensor<2>,
) -> Tensor<2> {
    kernels::norm_swish_linear(x, norm, statistics, linear, residual, EPSILON)
}

/// Whether [`norm_swish_linear`] is at hand.
pub fn has_norm_swish_linear(device: &Device, precision: Precision) -> bool {
    fused(device, precision)
}

/// By Burn's operations, which a GPU's compiler fuses.
pub(super) mod composed {
    use super::*;

    pub fn layer_norm(x: Tensor<2>, (weight, bias): Scale) -> Tensor<2> {
        stock_layer_norm(x, weight, Some(bias), EPSILON)
    }

    pub fn product(x: Tensor<2>, weight: Tensor<2>, precision: Precision) -> Tensor<2> {
        precision.result(precision.operand(x).matmul(precision.operand(weight)))
    }

    pub fn affine(x: Tensor<2>, (weight, bias): Affine, precision: Precision) -> Tensor<2> {
        product(x, weight, precision) + bias.unsqueeze::<2>()
    }

    /// Drawn by the device: other elements fall than on the CPU, as many and as reproducibly.
    pub fn dropped(x: Tensor<2>, dropout: Option<Dropout>) -> Tensor<2> {
        let Some(Dropout { seed, probability }) = dropout else {
            return x;
        };
        let device = x.device();
        device.clone().inner().seed(seed);
        let kept = 1.0 - f64::from(probability);
        let mask = Tensor::<2>::random(x.dims(), Distribution::Bernoulli(kept), &device.clone().inner());
        let mask = if device.is_autodiff() { Tensor::from_inner(mask) } else { mask };
        x * mask.div_scalar(kept)
    }

    pub fn feed_forward(
        x: Tensor<2>,
        norm: Scale,
        [up, down]: [Affine; 2],
        factor: f64,
        dropout: Option<Dropout>,
        precision: Precision,
    ) -> Tensor<2> {
        let second = dropout.map(|dropout| Dropout { seed: dropout.seed.rotate_left(32), ..dropout });
        let hidden = silu(affine(layer_norm(x.clone(), norm), up, precision));
        let result = affine(dropped(hidden, dropout), down, precision);
        x + dropped(result, second).mul_scalar(factor)
    }

    pub fn gated(x: Tensor<2>, norm: Scale, linear: Affine, precision: Precision) -> Tensor<2> {
        glu(affine(layer_norm(x, norm), linear, precision), 1)
    }

    pub fn depthwise(
        x: Tensor<2>,
        weight: Tensor<2>,
        bias: Tensor<1>,
        length: usize,
        [before, after]: [usize; 2],
    ) -> Tensor<2> {
        use burn::tensor::module::conv1d;
        use burn::tensor::ops::ConvOptions;
        let ([rows, channels], [_, kernel]) = (x.dims(), weight.dims());
        let batch = rows / length;
        let options = ConvOptions::new_with_padding([1], [(before, after)], [1], channels);
        let maps = x.reshape([batch, length, channels]).swap_dims(1, 2);
        let y = conv1d(maps, weight.reshape([channels, 1, kernel]), Some(bias), options);
        y.swap_dims(1, 2).reshape([rows, channels])
    }

    pub fn attention(
        q: Tensor<2>,
        kv: Tensor<2>,
        table: Tensor<2>,
        size: AttentionSize,
        precision: Precision,
    ) -> Tensor<2> {
        let AttentionSize { length, heads, reach } = size;
        let [rows, all] = q.dims();
        let (batch, width) = (rows / length, all / heads);
        let split = |x: Tensor<2>| x.reshape([batch, length, heads, width]).swap_dims(1, 2);
        let k = split(kv.clone().narrow(1, 0, all));
        let v = split(kv.narrow(1, all, all));
        // Scaling q scales both terms.
        let q = split(q).div_scalar((width as f64).sqrt());
        let [q, k, v] = [q, k, v].map(|x| precision.operand(x));
        let dots = precision.result(q.clone().matmul(k.swap_dims(2, 3))); // [batch, heads, length, length]

        let near: Vec<i64> = (0..length * length)
            .map(|pair| {
                let distance = (pair / length) as i64 - (pair % length) as i64;
                distance.clamp(-(reach as i64), reach as i64) + reach as i64
            })
            .collect();
        let near = Tensor::<1, Int>::from_data(near.as_slice(), &table.device());
        let table = precision.operand(table).select(0, near).reshape([length, length, width]);
        // For each row i: [batch · heads, width] · [width, length].
        let by_row = q.permute([2, 0, 1, 3]).reshape([length, batch * heads, width]);
        let relative = precision.result(by_row.matmul(table.swap_dims(1, 2)));
        let relative = relative.reshape([length, batch, heads, length]).permute([1, 2, 0, 3]);

        let weights = softmax(dots + relative, 3);
        let y = precision.result(precision.operand(weights).matmul(v)); // [batch, heads, length, width]
        y.swap_dims(1, 2).reshape([rows, all])
    }
}
