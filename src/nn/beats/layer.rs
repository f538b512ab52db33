//! One layer of BEATs: attention with a gated position bias, and a feed-forward step, each with a norm behind it.

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use super::BeatsSize;
use crate::nn::encoder::{self, GatedPosition, Heads, Sequences};
use crate::nn::init::Init;
use crate::nn::linear::Linear;
use crate::nn::norm::LayerNorm;
use crate::nn::precision::Precision;

/// Added to the variance before the root, as in PyTorch.
pub const EPSILON: f64 = 1e-5;
/// Outputs of the gate's linear layer: two sums of four.
const GATES: usize = 8;

/// `torch.nn.Embedding(buckets, heads)`.
#[derive(Module, Debug)]
pub struct Embedding {
    weight: Param<Tensor<2>>,
}

/// What an attention takes of the batch around it.
#[derive(Debug, Clone, Copy)]
pub struct Around<'a> {
    /// How the rows make sequences.
    pub of: Sequences,
    /// Tokens of each sequence that exist, where not all do.
    pub lengths: Option<&'a [usize]>,
    /// Format of the products.
    pub precision: Precision,
}

/// Multi-head attention.
#[derive(Module, Debug)]
pub struct Attention {
    q_proj: Linear,
    k_proj: Linear,
    v_proj: Linear,
    out_proj: Linear,
    grep_linear: Linear,
    grep_a: Param<Tensor<4>>,
    /// One table serves all layers; the first one has it.
    relative_attention_bias: Option<Embedding>,
    #[module(skip)]
    heads: usize,
}

impl Attention {
    fn new(path: &str, first: bool, size: &BeatsSize, init: Init<'_>) -> Self {
        let BeatsSize { width, heads, num_buckets, .. } = *size;
        let linear = |name: &str| Linear::new(&format!("{path}.{name}"), width, width, init);
        let table = || Embedding {
            weight: init.normal(
                &format!("{path}.relative_attention_bias.weight"),
                [num_buckets, heads],
                0.02,
            ),
        };
        Self {
            q_proj: linear("q_proj"),
            k_proj: linear("k_proj"),
            v_proj: linear("v_proj"),
            out_proj: linear("out_proj"),
            grep_linear: Linear::new(&format!("{path}.grep_linear"), width / heads, GATES, init),
            grep_a: init.constant([1, heads, 1, 1], 1.0),
            relative_attention_bias: first.then(table),
            heads,
        }
    }

    /// The table of position biases, `[buckets, heads]`, where this layer has it.
    pub fn position_table(&self) -> Option<Tensor<2>> {
        self.relative_attention_bias.as_ref().map(|table| table.weight.val())
    }

    /// `x` `[rows, width]`, `biases` of every distance, `[heads, 2 · tokens - 1]`.
    pub fn forward(&self, x: Tensor<2>, biases: Tensor<2>, around: Around<'_>) -> Tensor<2> {
        let Around { of, lengths, precision } = around;
        let [q, k, v] = [&self.q_proj, &self.k_proj, &self.v_proj]
            .map(|layer| encoder::linear(x.clone(), layer.affine(), of, precision));
        let position = GatedPosition {
            table: biases,
            linear: self.grep_linear.affine(),
            gate: self.grep_a.val().reshape([self.heads]),
        };
        let heard = encoder::attention(
            Heads::Separate { q, k, v },
            self.heads,
            of,
            Some(position),
            lengths,
            precision,
        );
        encoder::linear(heard, self.out_proj.affine(), of, precision)
    }
}

/// x = norm(α·x + attention(x)); x = norm(α·x + fc2(gelu(fc1(x)))), with α = (2·layers)^¼ (DeepNet, arXiv 2203.00555).
#[derive(Module, Debug)]
pub struct Layer {
    self_attn: Attention,
    self_attn_layer_norm: LayerNorm,
    fc1: Linear,
    fc2: Linear,
    final_layer_norm: LayerNorm,
    #[module(skip)]
    alpha: f64,
}

impl Layer {
    /// `path` is the layer's full name.
    pub fn new(path: &str, first: bool, size: &BeatsSize, init: Init<'_>) -> Self {
        let BeatsSize { layers, width, hidden, .. } = *size;
        Self {
            self_attn: Attention::new(&format!("{path}.self_attn"), first, size, init),
            self_attn_layer_norm: LayerNorm::new(width, init),
            fc1: Linear::new(&format!("{path}.fc1"), width, hidden, init),
            fc2: Linear::new(&format!("{path}.fc2"), hidden, width, init),
            final_layer_norm: LayerNorm::new(width, init),
            alpha: if size.deep_norm { (2.0 * layers as f64).powf(0.25) } else { 1.0 },
        }
    }

    /// Its attention.
    pub fn attention(&self) -> &Attention {
        &self.self_attn
    }

    /// `[rows, width]`, and so is the result.
    pub fn forward(&self, x: Tensor<2>, biases: Tensor<2>, around: Around<'_>) -> Tensor<2> {
        let Around { of, precision, .. } = around;
        let heard = self.self_attn.forward(x.clone(), biases, around);
        let norm = self.self_attn_layer_norm.scale();
        let x = encoder::residual_norm(x, heard, self.alpha, norm, EPSILON);
        let inside = encoder::linear_gelu(x.clone(), self.fc1.affine(), of, precision);
        let outside = encoder::linear(inside, self.fc2.affine(), of, precision);
        encoder::residual_norm(x, outside, self.alpha, self.final_layer_norm.scale(), EPSILON)
    }
}
