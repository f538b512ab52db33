//! EAT (Chen et al., arXiv 2401.03497): a transformer over patches of a log-mel spectrogram, with a class token.
//!
//! ```text
//! [batch, frames, 128] → 16×16 patches [batch, steps · 8, width] + positions → class token before them → norm → blocks
//!                      → tokens [batch, 1 + steps · 8, width]
//! ```
//!
//! Token 0 is the class token, which has no position; token 1 + step · 8 + band a patch. There is no norm behind the last
//! block. Field names are those of Hugging Face's form of the checkpoints; fairseq's are a prefix away.
//!
//! The sizes are those of a checkpoint's tensors. The paper gives the large model a width of 1536; the released one has 1024,
//! and so have its features.

mod position;
mod size;

use burn::module::{Module, Param};
use burn::tensor::{Tensor, TensorData};

pub use position::positions;
pub use size::{EatSize, MELS, Stated};

use super::encoder::{self, Block, Sequences};
use super::init::Init;
use super::linear::Linear;
use super::norm::LayerNorm;
use super::patches::Patches;
use super::precision::Precision;

/// The patches' convolution.
#[derive(Module, Debug)]
struct LocalEncoder {
    proj: Patches,
}

/// Where the patches stand: `[1, positions, width]`, never trained.
#[derive(Module, Debug)]
struct FixedPositions {
    positions: Param<Tensor<3>>,
}

/// The network.
#[derive(Module, Debug)]
pub struct Eat {
    local_encoder: LocalEncoder,
    extra_tokens: Param<Tensor<3>>,
    fixed_positional_encoder: FixedPositions,
    pre_norm: LayerNorm,
    blocks: Vec<Block>,
    fc_norm: Option<LayerNorm>,
    head: Option<Linear>,
    #[module(skip)]
    size: EatSize,
    #[module(skip)]
    precision: Precision,
}

impl Eat {
    /// Fresh weights; the positions are what they always are.
    pub fn new(size: &EatSize, init: Init<'_>) -> Self {
        let EatSize { layers, width, patch, positions: places, classes, .. } = *size;
        let bands = MELS / patch;
        // A table that ends within a time step is cut there.
        let mut table = positions(places.div_ceil(bands), bands, width);
        table.truncate(places * width);
        let table = Tensor::from_data(TensorData::new(table, [1, places, width]), init.device());
        Self {
            local_encoder: LocalEncoder {
                proj: Patches::new("local_encoder.proj", width, patch, true, init),
            },
            extra_tokens: init.normal("extra_tokens", [1, 1, width], 0.02),
            fixed_positional_encoder: FixedPositions { positions: Param::from_tensor(table) },
            pre_norm: LayerNorm::new(width, init),
            blocks: (0..layers).map(|n| Block::new(&format!("blocks.{n}"), size.block(), init)).collect(),
            fc_norm: classes.map(|_| LayerNorm::new(width, init)),
            head: classes.map(|classes| Linear::new("head", width, classes, init)),
            size: size.clone(),
            precision: init.precision(),
        }
    }

    /// Its sizes.
    pub fn size(&self) -> &EatSize {
        &self.size
    }

    /// Patches of images `[batch, frames, 128]`, `[batch · steps · 8, width]`, one time step's bands one behind the other.
    pub fn patches(&self, images: Tensor<3>) -> Tensor<2> {
        self.local_encoder.proj.forward(images, self.precision)
    }

    /// What the first block takes: patches of `batch` images with their positions, behind a class token each, normed.
    pub fn enter(&self, patches: Tensor<2>, batch: usize) -> Tensor<2> {
        let [rows, width] = patches.dims();
        let tokens = rows / batch;
        let positions = self.fixed_positional_encoder.positions.val().narrow(1, 0, tokens);
        let placed = patches.reshape([batch, tokens, width]) + positions;
        let class = self.extra_tokens.val().repeat_dim(0, batch);
        let all = Tensor::cat(vec![class, placed], 1).reshape([batch * (tokens + 1), width]);
        encoder::layer_norm(all, self.pre_norm.scale(), self.size.epsilon)
    }

    /// Tokens `[batch, 1 + steps · 8, width]` behind block `last`, counted from 0, of normalised images
    /// `[batch, frames, 128]`; `each` sees every block's number and tokens.
    pub fn forward(
        &self,
        images: Tensor<3>,
        last: usize,
        each: &mut dyn FnMut(usize, &Tensor<3>),
    ) -> Tensor<3> {
        let [batch, frames, _] = images.dims();
        let EatSize { width, patch, .. } = self.size;
        let of = Sequences { count: batch, tokens: 1 + frames / patch * (MELS / patch) };
        let shape = [batch, of.tokens, width];
        let mut x = self.enter(self.patches(images), batch);
        for (n, block) in self.blocks.iter().enumerate().take(last + 1) {
            x = block.forward(x, of, self.precision);
            each(n, &x.clone().reshape(shape));
        }
        x.reshape(shape)
    }

    /// Logits `[batch, classes]` of a fine-tuned network, from the last block's tokens: of the class token.
    pub fn classify(&self, tokens: &Tensor<3>) -> Option<Tensor<2>> {
        let [batch, _, width] = tokens.dims();
        let (norm, head) = (self.fc_norm.as_ref()?, self.head.as_ref()?);
        let class = tokens.clone().narrow(1, 0, 1).reshape([batch, width]);
        let normed = encoder::layer_norm(class, norm.scale(), self.size.head_epsilon);
        Some(encoder::linear(normed, head.affine(), Sequences { count: batch, tokens: 1 }, self.precision))
    }
}
