//! BEATs (Chen et al., arXiv 2212.09058): a transformer over patches of a log-mel spectrogram.
//!
//! ```text
//! [batch, frames, 128] → 16×16 patches [batch · steps · 8, 512] → norm → linear to 768 → + gelu(convolution over tokens)
//!                      → norm → layers → tokens [batch, steps · 8, 768]
//! ```
//!
//! Token step · 8 + band; frames that fill no patch are dropped: 10 s are 998 frames, 62 steps, 496 tokens. There is no norm
//! behind the last layer. Field names are those of the public checkpoints.

mod layer;
mod position;
mod size;

use burn::module::Module;
use burn::tensor::{Tensor, TensorData};

pub use layer::{Around, Attention, Layer};
pub use position::bucket;
pub use size::{BeatsSize, MELS};

use super::encoder::{self, Sequences};
use super::init::Init;
use super::linear::Linear;
use super::norm::LayerNorm;
use super::patches::Patches;
use super::precision::Precision;
use layer::EPSILON;
use position::PositionConv;

/// The stack of layers and what stands before it.
#[derive(Module, Debug)]
struct Stack {
    /// A `torch.nn.Sequential`, the first of which has the weights.
    pos_conv: [PositionConv; 1],
    layer_norm: LayerNorm,
    layers: Vec<Layer>,
}

/// The network.
#[derive(Module, Debug)]
pub struct Beats {
    patch_embedding: Patches,
    layer_norm: LayerNorm,
    /// Where a patch is as wide as a token there is none.
    post_extract_proj: Option<Linear>,
    encoder: Stack,
    predictor: Option<Linear>,
    #[module(skip)]
    size: BeatsSize,
    #[module(skip)]
    precision: Precision,
}

impl Beats {
    /// Fresh weights, by the reference's rules where they matter for a network that nobody trains: see the layers.
    pub fn new(size: &BeatsSize, init: Init<'_>) -> Self {
        let BeatsSize { layers, width, embed, patch, .. } = *size;
        let layer = |n: usize| Layer::new(&format!("encoder.layers.{n}"), n == 0, size, init);
        Self {
            patch_embedding: Patches::new("patch_embedding", embed, patch, false, init),
            layer_norm: LayerNorm::new(embed, init),
            post_extract_proj: (embed != width).then(|| Linear::new("post_extract_proj", embed, width, init)),
            encoder: Stack {
                pos_conv: [PositionConv::new("encoder.pos_conv.0", size, init)],
                layer_norm: LayerNorm::new(width, init),
                layers: (0..layers).map(layer).collect(),
            },
            predictor: size.classes.map(|classes| Linear::new("predictor", width, classes, init)),
            size: size.clone(),
            precision: init.precision(),
        }
    }

    /// Its sizes.
    pub fn size(&self) -> &BeatsSize {
        &self.size
    }

    /// Its layers.
    pub fn layers(&self) -> &[Layer] {
        &self.encoder.layers
    }

    /// Patches of images `[batch, frames, 128]`, `[rows, 512]`, one time step's bands one behind the other.
    pub fn patches(&self, images: Tensor<3>) -> Tensor<2> {
        self.patch_embedding.forward(images, self.precision)
    }

    /// The norm of the patches.
    pub fn normed(&self, patches: Tensor<2>) -> Tensor<2> {
        encoder::layer_norm(patches, self.layer_norm.scale(), EPSILON)
    }

    /// Normed patches as tokens, `[rows, 768]`.
    pub fn project(&self, patches: Tensor<2>, of: Sequences) -> Tensor<2> {
        match &self.post_extract_proj {
            Some(layer) => encoder::linear(patches, layer.affine(), of, self.precision),
            None => patches,
        }
    }

    /// Tokens with what the convolution over their neighbours adds, `[rows, 768]`.
    pub fn positioned(&self, x: Tensor<2>, of: Sequences) -> Tensor<2> {
        let (weight, bias) = self.encoder.pos_conv[0].weight();
        encoder::position_conv(x, weight, bias, self.size.conv_pos_groups, of, self.precision)
    }

    /// What the first layer takes, from positioned tokens.
    pub fn enter(&self, x: Tensor<2>) -> Tensor<2> {
        encoder::layer_norm(x, self.encoder.layer_norm.scale(), EPSILON)
    }

    /// The bias of every distance, from `tokens - 1` before a query to as many behind it: `[heads, 2 · tokens - 1]`.
    pub fn position_biases(&self, tokens: usize) -> Tensor<2> {
        let table = self.encoder.layers.iter().find_map(|layer| layer.attention().position_table());
        let table = table.expect("the first layer has the table, and a size without layers is refused");
        let device = table.device();
        position::biases(table, tokens, &self.size, &device)
    }

    /// Tokens `[batch, tokens, 768]` behind layer `last`, counted from 0, of normalised images `[batch, frames, 128]`;
    /// `each` sees every layer's number and tokens. Of sequence s only the first `lengths[s]` tokens exist, where they
    /// are given; the others are not looked at, and what stands at their places means nothing.
    pub fn forward(
        &self,
        images: Tensor<3>,
        lengths: Option<&[usize]>,
        last: usize,
        each: &mut dyn FnMut(usize, &Tensor<3>),
    ) -> Tensor<3> {
        let [batch, frames, _] = images.dims();
        let BeatsSize { width, patch, .. } = self.size;
        let of = Sequences { count: batch, tokens: frames / patch * (MELS / patch) };
        let mut x = self.project(self.normed(self.patches(images)), of);
        if let Some(lengths) = lengths {
            x = without_missing(x, lengths, of);
        }
        let mut x = self.enter(self.positioned(x, of));
        let biases = self.position_biases(of.tokens);
        let around = Around { of, lengths, precision: self.precision };
        let shape = [batch, of.tokens, width];
        for (n, layer) in self.encoder.layers.iter().enumerate().take(last + 1) {
            x = layer.forward(x, biases.clone(), around);
            each(n, &x.clone().reshape(shape));
        }
        x.reshape(shape)
    }

    /// Logits `[batch, classes]` of a fine-tuned network, from the last layer's tokens: their mean over all tokens.
    pub fn classify(&self, tokens: &Tensor<3>) -> Option<Tensor<2>> {
        let [batch, _, width] = tokens.dims();
        let predictor = self.predictor.as_ref()?;
        let of = Sequences { count: batch, tokens: 1 };
        // The mean of the tokens' logits is the logits of their mean.
        let mean = tokens.clone().mean_dim(1).reshape([batch, width]);
        Some(encoder::linear(mean, predictor.affine(), of, self.precision))
    }
}

/// Zero at the places of tokens that do not exist, which the convolution over positions reads.
fn without_missing(x: Tensor<2>, lengths: &[usize], of: Sequences) -> Tensor<2> {
    let there = |length: &usize| {
        let length = *length;
        (0..of.tokens).map(move |token| if token < length { 1.0f32 } else { 0.0 })
    };
    let values: Vec<f32> = lengths.iter().flat_map(there).collect();
    let mask = TensorData::new(values, [of.rows(), 1]);
    let device = x.device();
    x * Tensor::<2>::from_data(mask, &device)
}

/// Tokens that exist of a clip of `samples` samples that was padded to `padded` samples, `frames` frames and `tokens`
/// tokens: the reference calls a token missing when all of its share of the samples is.
pub fn tokens_that_exist(samples: usize, padded: usize, frames: usize, tokens: usize) -> usize {
    let shrunk = |there: usize, all: usize, parts: usize| match all.checked_div(parts) {
        None | Some(0) => parts,
        Some(share) => there.div_ceil(share).min(parts),
    };
    shrunk(shrunk(samples, padded, frames), frames, tokens)
}
