//! The conformer block (Gulati et al., arXiv 2005.08100) of CMGAN: half a feed-forward step, attention with relative
//! positions, a convolution, half a feed-forward step, a norm.

use burn::module::{Module, Param};
use burn::tensor::activation::silu;
use burn::tensor::{Device, Tensor};

use super::pass::Pass;
use super::rows;
use crate::nn::init::Init;
use crate::nn::kernels::{Affine, AttentionSize};
use crate::nn::linear::Linear;
use crate::nn::norm::{BatchNorm, LayerNorm};
use crate::nn::precision::Precision;

/// The sizes of a [`Conformer`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ConformerSize {
    /// Width of a row.
    pub dim: usize,
    /// Heads of the attention; they divide `dim`.
    pub heads: usize,
    /// Rows that the convolution reads.
    pub kernel: usize,
    /// Largest distance that relative positions tell apart.
    pub reach: usize,
    /// Share of values that fall after each feed-forward layer and after the attention.
    pub dropout: f32,
}

/// A linear layer without bias; kept as `[inputs, outputs]`, turned on the way to and from files.
#[derive(Module, Debug)]
struct Unbiased {
    weight: Param<Tensor<2>>,
}

impl Unbiased {
    fn new(path: &str, inputs: usize, outputs: usize, init: Init<'_>) -> Self {
        let bound = 1.0 / (inputs as f32).sqrt();
        Self { weight: init.uniform(&format!("{path}.weight"), [inputs, outputs], bound) }
    }
}

/// A convolution over one row: a linear layer whose weight is `[outputs, inputs, 1]` in files.
#[derive(Module, Debug)]
struct Pointwise {
    weight: Param<Tensor<2>>,
    bias: Param<Tensor<1>>,
}

impl Pointwise {
    fn new(path: &str, inputs: usize, outputs: usize, init: Init<'_>) -> Self {
        let bound = 1.0 / (inputs as f32).sqrt();
        Self {
            weight: init.uniform(&format!("{path}.weight"), [inputs, outputs], bound),
            bias: init.uniform(&format!("{path}.bias"), [outputs], bound),
        }
    }

    fn affine(&self) -> Affine {
        (self.weight.val(), self.bias.val())
    }
}

/// A convolution of each channel with its own kernel, `[channels, 1, kernel]`.
#[derive(Module, Debug)]
struct Depthwise {
    weight: Param<Tensor<3>>,
    bias: Param<Tensor<1>>,
}

/// `[rows, dim]`; the reference's `PositionalEmbedding`.
#[derive(Module, Debug)]
struct Embedding {
    weight: Param<Tensor<2>>,
}

#[derive(Module, Debug)]
struct FeedForward {
    norm: LayerNorm,
    expand: Linear,
    contract: Linear,
}

impl FeedForward {
    fn new(path: &str, dim: usize, init: Init<'_>) -> Self {
        Self {
            norm: LayerNorm::new(dim, init),
            expand: Linear::new(&format!("{path}.fn.fn.net.0"), dim, 4 * dim, init),
            contract: Linear::new(&format!("{path}.fn.fn.net.3"), 4 * dim, dim, init),
        }
    }

    /// x + half of what the layers make of it.
    fn forward(&self, x: Tensor<2>, size: ConformerSize, pass: Pass, precision: Precision) -> Tensor<2> {
        let layers = [self.expand.affine(), self.contract.affine()];
        rows::feed_forward(x, self.norm.scale(), layers, 0.5, pass.dropout(size.dropout), precision)
    }
}

/// Multi-head attention with relative positions.
#[derive(Module, Debug)]
pub struct Attention {
    to_q: Unbiased,
    to_kv: Unbiased,
    to_out: Linear,
    rel_pos_emb: Embedding,
    #[module(skip)]
    heads: usize,
    #[module(skip)]
    reach: usize,
}

impl Attention {
    /// `path` is the layer's full name.
    pub fn new(path: &str, size: ConformerSize, init: Init<'_>) -> Self {
        let ConformerSize { dim, heads, reach, .. } = size;
        let table = init.normal(&format!("{path}.rel_pos_emb.weight"), [2 * reach + 1, dim / heads], 1.0);
        Self {
            to_q: Unbiased::new(&format!("{path}.to_q"), dim, dim, init),
            to_kv: Unbiased::new(&format!("{path}.to_kv"), dim, 2 * dim, init),
            to_out: Linear::new(&format!("{path}.to_out"), dim, dim, init),
            rel_pos_emb: Embedding { weight: table },
            heads,
            reach,
        }
    }

    /// The attention alone, without norm, dropout or residual: `[batch, length, dim]` → the same shape.
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let [batch, length, dim] = x.dims();
        let x = x.reshape([batch * length, dim]);
        let (q, kv) = (x.clone().matmul(self.to_q.weight.val()), x.matmul(self.to_kv.weight.val()));
        let y = rows::attention(q, kv, self.rel_pos_emb.weight.val(), self.size(length), Precision::F32);
        self.to_out.forward(y).reshape([batch, length, dim])
    }

    fn size(&self, length: usize) -> AttentionSize {
        AttentionSize { length, heads: self.heads, reach: self.reach }
    }
}

/// The attention behind its norm.
#[derive(Module, Debug)]
struct NormedAttention {
    norm: LayerNorm,
    inner: Attention,
}

impl NormedAttention {
    /// What the rows of each sequence of `length` gather from each other, `[rows, dim]`.
    fn attend(&self, x: Tensor<2>, length: usize, precision: Precision) -> Tensor<2> {
        let inner = &self.inner;
        let q = rows::normed_linear(x.clone(), self.norm.scale(), inner.to_q.weight.val(), precision);
        let kv = rows::normed_linear(x, self.norm.scale(), inner.to_kv.weight.val(), precision);
        rows::attention(q, kv, inner.rel_pos_emb.weight.val(), inner.size(length), precision)
    }

    /// residual + what is made of it.
    fn join(
        &self,
        residual: Tensor<2>,
        attended: Tensor<2>,
        size: ConformerSize,
        pass: Pass,
        precision: Precision,
    ) -> Tensor<2> {
        let layer = self.inner.to_out.affine();
        rows::linear_residual(attended, layer, residual, pass.dropout(size.dropout), precision)
    }
}

#[derive(Module, Debug)]
struct ConvModule {
    entry_norm: LayerNorm,
    gate: Pointwise,
    depthwise: Depthwise,
    batch_norm: BatchNorm,
    exit: Pointwise,
}

impl ConvModule {
    fn new(path: &str, size: ConformerSize, init: Init<'_>) -> Self {
        let (dim, inner) = (size.dim, 2 * size.dim);
        let bound = 1.0 / (size.kernel as f32).sqrt();
        let depthwise = Depthwise {
            weight: init.uniform(&format!("{path}.net.4.conv.weight"), [inner, 1, size.kernel], bound),
            bias: init.uniform(&format!("{path}.net.4.conv.bias"), [inner], bound),
        };
        Self {
            entry_norm: LayerNorm::new(dim, init),
            gate: Pointwise::new(&format!("{path}.net.2"), dim, 2 * inner, init),
            depthwise,
            batch_norm: BatchNorm::new(inner, init),
            exit: Pointwise::new(&format!("{path}.net.7"), inner, dim, init),
        }
    }

    /// x + what the convolutions make of it.
    fn forward(&self, x: Tensor<2>, length: usize, pass: Pass, precision: Precision) -> Tensor<2> {
        let y = rows::gated(x.clone(), self.entry_norm.scale(), self.gate.affine(), precision);
        let [channels, _, kernel] = self.depthwise.weight.val().dims();
        let weight = self.depthwise.weight.val().reshape([channels, kernel]);
        let y = rows::depthwise(y, weight, self.depthwise.bias.val(), length);
        let device = y.device();
        // A graph through running statistics is nothing that the fused stretch knows.
        if rows::has_norm_swish_linear(&device, precision) && (pass.trains() || !device.is_autodiff()) {
            let statistics = self.batch_norm.statistics(y.clone(), pass.trains());
            let norm = self.batch_norm.scale();
            return rows::norm_swish_linear(y, norm, statistics, self.exit.affine(), x);
        }
        let y = silu(self.batch_norm.forward_as(y, pass.trains()));
        x + rows::composed::affine(y, self.exit.affine(), precision)
    }
}

/// A conformer block.
#[derive(Module, Debug)]
pub struct Conformer {
    ff1: FeedForward,
    attn: NormedAttention,
    conv: ConvModule,
    ff2: FeedForward,
    post_norm: LayerNorm,
    #[module(skip)]
    size: ConformerSize,
    #[module(skip)]
    precision: Precision,
}

/// What a conformer's residual stream carries after each of its steps, `[batch, length, dim]` each.
#[derive(Debug)]
pub struct Steps {
    /// After the first half feed-forward step.
    pub ff1: Tensor<3>,
    /// After the attention.
    pub attn: Tensor<3>,
    /// After the convolution.
    pub conv: Tensor<3>,
    /// After the second half feed-forward step.
    pub ff2: Tensor<3>,
    /// After the norm: the block's output.
    pub output: Tensor<3>,
}

impl Conformer {
    /// `path` is the block's full name.
    pub fn new(path: &str, size: ConformerSize, init: Init<'_>) -> Self {
        Self {
            ff1: FeedForward::new(&format!("{path}.ff1"), size.dim, init),
            attn: NormedAttention {
                norm: LayerNorm::new(size.dim, init),
                inner: Attention::new(&format!("{path}.attn.fn"), size, init),
            },
            conv: ConvModule::new(&format!("{path}.conv"), size, init),
            ff2: FeedForward::new(&format!("{path}.ff2"), size.dim, init),
            post_norm: LayerNorm::new(size.dim, init),
            size,
            precision: init.precision(),
        }
    }

    /// `[batch, length, dim]` → the same shape.
    pub fn forward(&self, x: Tensor<3>, pass: Pass) -> Tensor<3> {
        let [batch, length, dim] = x.dims();
        let x = self.before_attention(x.reshape([batch * length, dim]), pass);
        let attended = self.attend(x.clone(), length);
        self.after_attention(x, attended, length, pass).reshape([batch, length, dim])
    }

    /// As [`Conformer::forward`], with what happens on the way.
    pub fn steps(&self, x: Tensor<3>, pass: Pass) -> Steps {
        let [batch, length, dim] = x.dims();
        let rows = |x: &Tensor<2>| x.clone().reshape([batch, length, dim]);
        let ff1 = self.before_attention(x.reshape([batch * length, dim]), pass);
        let attended = self.attend(ff1.clone(), length);
        let attn = self.attn.join(ff1.clone(), attended, self.size, pass.within(1), self.precision);
        let conv = self.conv.forward(attn.clone(), length, pass, self.precision);
        let ff2 = self.ff2.forward(conv.clone(), self.size, pass.within(2), self.precision);
        let output = rows::layer_norm(ff2.clone(), self.post_norm.scale());
        Steps {
            ff1: rows(&ff1),
            attn: rows(&attn),
            conv: rows(&conv),
            ff2: rows(&ff2),
            output: rows(&output),
        }
    }

    /// The first step, `[rows, dim]`.
    pub(super) fn before_attention(&self, x: Tensor<2>, pass: Pass) -> Tensor<2> {
        self.ff1.forward(x, self.size, pass.within(0), self.precision)
    }

    /// What the rows of each sequence gather from each other; draws no masks.
    pub(super) fn attend(&self, x: Tensor<2>, length: usize) -> Tensor<2> {
        self.attn.attend(x, length, self.precision)
    }

    /// The steps from the attention's projection on.
    pub(super) fn after_attention(
        &self,
        residual: Tensor<2>,
        attended: Tensor<2>,
        length: usize,
        pass: Pass,
    ) -> Tensor<2> {
        let x = self.attn.join(residual, attended, self.size, pass.within(1), self.precision);
        let x = self.conv.forward(x, length, pass, self.precision);
        let x = self.ff2.forward(x, self.size, pass.within(2), self.precision);
        rows::layer_norm(x, self.post_norm.scale())
    }

    /// Sequences whose attention goes through a graph at once: any number where it keeps nothing for each pair of rows.
    pub(super) fn sequences_at_once(&self, device: &Device, length: usize) -> usize {
        match rows::keeps_logits(device, self.precision) {
            true => rows::sequences_at_once(self.attn.inner.size(length)),
            false => usize::MAX,
        }
    }
}
