//! The network.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use burn::tensor::activation::log_sigmoid;

use super::CedSize;
use crate::nn::encoder::{self, Block, BlockSize, Norms, Sequences};
use crate::nn::init::Init;
use crate::nn::linear::Linear;
use crate::nn::norm::{BatchNorm, LayerNorm};
use crate::nn::patches::Patches;
use crate::nn::precision::Precision;

/// Added to the variance before the root in the encoder's norms, and in the classifier's.
const EPSILON: f64 = 1e-6;
const CLASSIFIER_EPSILON: f64 = 1e-5;
/// Deviation of fresh positions.
const POSITION_DEVIATION: f32 = 0.02;

/// From patches to tokens.
#[derive(Module, Debug)]
struct PatchEmbed {
    /// Its weight is `[width, 1, mel bands, frames]` of a patch.
    proj: Patches,
}

/// The network, for inference.
#[derive(Module, Debug)]
pub struct Ced {
    /// Of each mel band.
    init_bn: BatchNorm,
    patch_embed: PatchEmbed,
    /// `[1, width, 1, steps]`.
    time_pos_embed: Param<Tensor<4>>,
    /// `[1, width, bands, 1]`.
    freq_pos_embed: Param<Tensor<4>>,
    blocks: Vec<Block>,
    norm: LayerNorm,
    /// The classifier.
    outputlayer: Option<(LayerNorm, Linear)>,
    #[module(skip)]
    size: CedSize,
    #[module(skip)]
    precision: Precision,
}

impl Ced {
    /// With fresh weights.
    pub fn new(size: &CedSize, init: Init<'_>) -> Self {
        let CedSize { layers, width, hidden, heads, patch, .. } = *size;
        let block = BlockSize { width, hidden, heads, epsilon: EPSILON, norms: Norms::Before };
        let position = |path: &str, shape| init.normal(path, shape, POSITION_DEVIATION);
        Self {
            init_bn: BatchNorm::new(size.mels, init),
            patch_embed: PatchEmbed { proj: Patches::new("patch_embed.proj", width, patch, true, init) },
            time_pos_embed: position("time_pos_embed", [1, width, 1, size.steps()]),
            freq_pos_embed: position("freq_pos_embed", [1, width, size.bands(), 1]),
            blocks: (0..layers).map(|layer| Block::new(&format!("blocks.{layer}"), block, init)).collect(),
            norm: LayerNorm::new(width, init),
            outputlayer: size.classes.map(|classes| {
                (LayerNorm::new(width, init), Linear::new("outputlayer.1", width, classes, init))
            }),
            size: *size,
            precision: init.precision(),
        }
    }

    /// Its sizes.
    pub fn size(&self) -> CedSize {
        self.size
    }

    /// Tokens `[batch, tokens, width]` behind block `last`, counted from 0, of `images` `[batch, frames, mels]` in dB; piece
    /// after piece where [`CedSize::grid`] says that there are several. `each` sees every block's number and tokens.
    /// The final norm is in the result where `last` is the last block, and nowhere else.
    pub fn forward(
        &self,
        images: Tensor<3>,
        last: usize,
        each: &mut dyn FnMut(usize, &Tensor<3>),
    ) -> Tensor<3> {
        let batch = images.dims()[0];
        let (mut x, of) = self.embed(images);
        let clips = [batch, of.rows() / batch, self.size.width];
        for (layer, block) in self.blocks.iter().enumerate().take(last.saturating_add(1)) {
            x = block.forward(x, of, self.precision);
            each(layer, &x.clone().reshape(clips));
        }
        if last.saturating_add(1) >= self.blocks.len() {
            x = encoder::layer_norm(x, self.norm.scale(), EPSILON);
        }
        x.reshape(clips)
    }

    /// The blocks' input, `[rows, width]`: a sequence for each piece of each clip.
    fn embed(&self, images: Tensor<3>) -> (Tensor<2>, Sequences) {
        let [batch, frames, mels] = images.dims();
        let CedSize { width, patch, .. } = self.size;
        let normal = self.init_bn.forward_as(images.reshape([batch * frames, mels]), false);
        let normal = normal.reshape([batch, frames, mels]);
        let (pieces, of_piece) = self.size.pieces(frames);
        let filled = match pieces * of_piece - frames {
            0 => normal,
            missing => {
                let zeros = Tensor::zeros([batch, missing, mels], &normal.device());
                Tensor::cat(vec![normal, zeros], 1)
            }
        };
        let (count, steps, bands) = (batch * pieces, of_piece / patch, self.size.bands());
        let of = Sequences { count, tokens: bands * steps };

        // Mel bands first: the convolution's height, and the order of the tokens.
        let images = filled.reshape([count, of_piece, mels]).swap_dims(1, 2);
        let x = self.patch_embed.proj.forward(images, self.precision);

        let time = self.time_pos_embed.val().narrow(3, 0, steps);
        let positions = (time + self.freq_pos_embed.val()).permute([0, 2, 3, 1]); // [1, bands, steps, width]
        let x = x.reshape([count, of.tokens, width]) + positions.reshape([1, of.tokens, width]);
        (x.reshape([of.rows(), width]), of)
    }

    /// Class logits `[batch, classes]` of the result of [`Ced::forward`] for the last block; none without a classifier. Of
    /// several pieces it is the logit of the mean of their probabilities.
    pub fn classify(&self, tokens: &Tensor<3>) -> Option<Tensor<2>> {
        let (norm, linear) = self.outputlayer.as_ref()?;
        let [batch, tokens_of_clip, width] = tokens.dims();
        let pieces = (tokens_of_clip / (self.size.bands() * self.size.steps())).max(1);
        let rows = [batch * pieces, width];
        let of_pieces = tokens.clone().reshape([rows[0], tokens_of_clip / pieces, width]);
        let means =
            encoder::layer_norm(of_pieces.mean_dim(1).reshape(rows), norm.scale(), CLASSIFIER_EPSILON);
        let of = Sequences { count: rows[0], tokens: 1 };
        let logits = encoder::linear(means, linear.affine(), of, self.precision);
        if pieces == 1 {
            return Some(logits);
        }
        let classes = logits.dims()[1];
        let logits = logits.reshape([batch, pieces, classes]);
        // ln(p / (1 - p)) of the mean p; the number of pieces cancels.
        let odds = log_sum(log_sigmoid(logits.clone())) - log_sum(log_sigmoid(-logits));
        Some(odds)
    }
}

/// ln Σ exp(x) over the second dimension, without leaving the range of the numbers.
fn log_sum(x: Tensor<3>) -> Tensor<2> {
    let [batch, _, classes] = x.dims();
    let most = x.clone().max_dim(1);
    let sum = (x - most.clone()).exp().sum_dim(1).log();
    (sum + most).reshape([batch, classes])
}
