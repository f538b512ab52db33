//! The steps of transformer encoders (Vaswani et al., arXiv 1706.03762) on rows `[rows, width]`, sequence after sequence,
//! for inference: by kernels of their own where the device has them, else by Burn's operations.
//!
//! On the CPU the bits of a sequence depend on that sequence alone, not on the batch around it.

mod block;
mod composed;
#[cfg(test)]
mod tests;

use burn::tensor::{Device, Tensor};

pub use block::{Block, BlockSize, Norms};

use super::kernels::{self, Affine, Scale};
use super::precision::Precision;

/// Bytes that the scores of one part of an attention may take.
const SCORES_BYTES: usize = 512 << 20;

/// How the rows of a matrix make sequences.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sequences {
    /// How many there are.
    pub count: usize,
    /// Rows of each.
    pub tokens: usize,
}

impl Sequences {
    /// Rows of all.
    pub fn rows(self) -> usize {
        self.count * self.tokens
    }

    fn check(self, x: &Tensor<2>) {
        assert_eq!(x.dims()[0], self.rows(), "rows that are not those of {self:?}");
    }
}

/// What an attention starts from; the columns of q, k and v go head by head.
#[derive(Debug, Clone)]
pub enum Heads {
    /// Three matrices `[rows, heads · width]`.
    Separate {
        /// Queries.
        q: Tensor<2>,
        /// Keys.
        k: Tensor<2>,
        /// Values.
        v: Tensor<2>,
    },
    /// q, k and v side by side, `[rows, 3 · heads · width]`.
    Joined(Tensor<2>),
}

/// A bias of each score that a gate of the query scales: key j gets gate(i) · table\[j - i + tokens - 1] for query i.
///
/// The gate (BEATs, arXiv 2212.09058, after the gated relative position bias of arXiv 2110.13900), from the unscaled
/// query of a head: two sums of four outputs of `linear` each go through the logistic function to a and b, then
/// gate(i) = a · (b · `gate` - 1) + 2.
#[derive(Debug, Clone)]
pub struct GatedPosition {
    /// `[heads, 2 · tokens - 1]`, from the farthest key before the query to the farthest one behind it.
    pub table: Tensor<2>,
    /// Weight `[width of a head, 8]` and bias, for all heads.
    pub linear: Affine,
    /// `[heads]`.
    pub gate: Tensor<1>,
}

/// Whether a device has kernels for a number format; what needs gradients is composed.
fn fused(device: &Device, precision: Precision) -> bool {
    precision == Precision::F32 && !device.is_autodiff() && kernels::serve(device)
}

/// x · weight + bias.
pub fn linear(x: Tensor<2>, affine: Affine, of: Sequences, precision: Precision) -> Tensor<2> {
    of.check(&x);
    if fused(&x.device(), precision) {
        return kernels::encoder_linear(x, affine, false);
    }
    composed::linear(x, affine, precision)
}

/// gelu(x · weight + bias) with the exact GELU, v · (1 + erf(v / √2)) / 2 (Hendrycks and Gimpel, arXiv 1606.08415).
pub fn linear_gelu(x: Tensor<2>, affine: Affine, of: Sequences, precision: Precision) -> Tensor<2> {
    of.check(&x);
    if fused(&x.device(), precision) {
        return kernels::encoder_linear(x, affine, true);
    }
    composed::linear_gelu(x, affine, precision)
}

/// norm(x) of each row.
pub fn layer_norm(x: Tensor<2>, norm: Scale, epsilon: f64) -> Tensor<2> {
    match kernels::serve(&x.device()) {
        true => kernels::layer_norm(x, norm, epsilon),
        false => composed::layer_norm(x, norm, epsilon),
    }
}

/// norm(alpha · x + y) of each row.
pub fn residual_norm(x: Tensor<2>, y: Tensor<2>, alpha: f64, norm: Scale, epsilon: f64) -> Tensor<2> {
    if fused(&x.device(), Precision::F32) {
        return kernels::residual_norm(x, y, alpha, norm, epsilon);
    }
    composed::residual_norm(x, y, alpha, norm, epsilon)
}

/// softmax(q · kᵀ / √width + position) · v for each of `number` heads: `[rows, heads · width]`.
///
/// Of sequence s the first `lengths`\[s] tokens exist, at least one; without `lengths` all do. Rows of those that do not
/// hold anything finite.
pub fn attention(
    heads: Heads,
    number: usize,
    of: Sequences,
    position: Option<GatedPosition>,
    lengths: Option<&[usize]>,
    precision: Precision,
) -> Tensor<2> {
    if let Some(lengths) = lengths {
        let fit = lengths.len() == of.count && lengths.iter().all(|length| (1..=of.tokens).contains(length));
        assert!(fit, "lengths that are not those of {of:?}");
    }
    let parts = match heads {
        Heads::Separate { q, k, v } => vec![q, k, v],
        Heads::Joined(all) => vec![all],
    };
    parts.iter().for_each(|x| of.check(x));
    if fused(&parts[0].device(), precision) {
        let position = position.map(|position| (position.table, position.linear, position.gate));
        return kernels::encoder_attention(
            parts,
            number,
            of.tokens,
            lengths.map(<[usize]>::to_vec),
            position,
        );
    }
    let scores = number * of.tokens * of.tokens * size_of::<f32>();
    let at_once = (SCORES_BYTES / scores.max(1)).max(1);
    in_parts(&parts, of, at_once, |rows, first, of| {
        let lengths = lengths.map(|lengths| &lengths[first..first + of.count]);
        composed::attention(rows, number, of, position.clone(), lengths, precision)
    })
}

/// `work` on `at_once` sequences at a time: on their rows of all `parts`, the number of the first, and their sizes.
fn in_parts(
    parts: &[Tensor<2>],
    of: Sequences,
    at_once: usize,
    work: impl Fn(Vec<Tensor<2>>, usize, Sequences) -> Tensor<2>,
) -> Tensor<2> {
    let part = |first: usize| {
        let of = Sequences { count: at_once.min(of.count - first), ..of };
        let rows = parts.iter().map(|x| x.clone().narrow(0, first * of.tokens, of.rows())).collect();
        work(rows, first, of)
    };
    Tensor::cat((0..of.count).step_by(at_once).map(part).collect(), 0)
}

/// x + gelu(conv(x)): a convolution over the tokens of each sequence, `weight` `[width, width / groups, kernel]` with an
/// even kernel, kernel / 2 zeros before the first token and kernel / 2 - 1 behind the last (wav2vec 2.0,
/// arXiv 2006.11477).
pub fn position_conv(
    x: Tensor<2>,
    weight: Tensor<3>,
    bias: Tensor<1>,
    groups: usize,
    of: Sequences,
    precision: Precision,
) -> Tensor<2> {
    of.check(&x);
    assert!(weight.dims()[2].is_multiple_of(2), "a kernel of {} taps has no halves", weight.dims()[2]);
    if fused(&x.device(), precision) {
        return kernels::position_conv(x, weight, bias, groups, of.tokens);
    }
    composed::position_conv(x, weight, bias, groups, of, precision)
}
