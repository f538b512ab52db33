//! A block of a vision transformer (Dosovitskiy et al., arXiv 2010.11929) with timm's names, as EAT and CED are made of.

use burn::module::Module;
use burn::tensor::Tensor;

use super::{Heads, Sequences};
use crate::nn::init::Init;
use crate::nn::linear::Linear;
use crate::nn::norm::LayerNorm;
use crate::nn::precision::Precision;

/// Where a block's norms stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Norms {
    /// Before what they feed: x = x + attention(norm1(x)); x = x + mlp(norm2(x)). CED.
    Before,
    /// Behind each sum: x = norm1(x + attention(x)); x = norm2(x + mlp(x)). EAT.
    Behind,
}

/// The sizes of a [`Block`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BlockSize {
    /// Values of a token.
    pub width: usize,
    /// Values between the two layers of the perceptron.
    pub hidden: usize,
    /// Heads of the attention.
    pub heads: usize,
    /// Added to a variance before the root.
    pub epsilon: f64,
    /// Where the norms stand.
    pub norms: Norms,
}

/// q, k and v from one layer, ordered [3, heads, width of a head]; one layer behind the heads.
#[derive(Module, Debug)]
struct Attention {
    qkv: Linear,
    proj: Linear,
}

/// Two layers with a GELU between them.
#[derive(Module, Debug)]
struct Mlp {
    fc1: Linear,
    fc2: Linear,
}

/// Attention and a perceptron, each with a norm and added to what it came from.
#[derive(Module, Debug)]
pub struct Block {
    norm1: LayerNorm,
    attn: Attention,
    norm2: LayerNorm,
    mlp: Mlp,
    #[module(skip)]
    size: BlockSize,
}

impl Block {
    /// `path` is the block's full name.
    pub fn new(path: &str, size: BlockSize, init: Init<'_>) -> Self {
        let BlockSize { width, hidden, .. } = size;
        let linear =
            |name: &str, inputs, outputs| Linear::new(&format!("{path}.{name}"), inputs, outputs, init);
        Self {
            norm1: LayerNorm::new(width, init),
            attn: Attention {
                qkv: linear("attn.qkv", width, 3 * width),
                proj: linear("attn.proj", width, width),
            },
            norm2: LayerNorm::new(width, init),
            mlp: Mlp { fc1: linear("mlp.fc1", width, hidden), fc2: linear("mlp.fc2", hidden, width) },
            size,
        }
    }

    /// `[rows, width]`, and so is the result.
    pub fn forward(&self, x: Tensor<2>, of: Sequences, precision: Precision) -> Tensor<2> {
        let BlockSize { epsilon, norms, .. } = self.size;
        let (norm1, norm2) = (self.norm1.scale(), self.norm2.scale());
        match norms {
            Norms::Before => {
                let y = super::layer_norm(x.clone(), norm1, epsilon);
                let x = x + self.heard(y, of, precision);
                let y = super::layer_norm(x.clone(), norm2, epsilon);
                x + self.thought(y, of, precision)
            }
            Norms::Behind => {
                let y = self.heard(x.clone(), of, precision);
                let x = super::residual_norm(x, y, 1.0, norm1, epsilon);
                let y = self.thought(x.clone(), of, precision);
                super::residual_norm(x, y, 1.0, norm2, epsilon)
            }
        }
    }

    /// What the attention makes of `x`.
    fn heard(&self, x: Tensor<2>, of: Sequences, precision: Precision) -> Tensor<2> {
        let heads = Heads::Joined(super::linear(x, self.attn.qkv.affine(), of, precision));
        let y = super::attention(heads, self.size.heads, of, None, None, precision);
        super::linear(y, self.attn.proj.affine(), of, precision)
    }

    /// What the perceptron makes of `x`.
    fn thought(&self, x: Tensor<2>, of: Sequences, precision: Precision) -> Tensor<2> {
        let y = super::linear_gelu(x, self.mlp.fc1.affine(), of, precision);
        super::linear(y, self.mlp.fc2.affine(), of, precision)
    }
}
