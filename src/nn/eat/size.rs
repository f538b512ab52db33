//! The sizes of an EAT network, from what a checkpoint says of itself.

use serde::{Deserialize, Serialize};

use crate::nn::encoder::{BlockSize, Norms};
use crate::nn::pretrained::stated::{self, MOST_BLOCKS, MOST_CLASSES};
use crate::nn::pretrained::{Error, TokenGrid};

/// Mel bands of the input.
pub const MELS: usize = 128;
/// Width of a head where a checkpoint does not say how many heads there are, as in every released model.
const HEAD_WIDTH: usize = 64;

/// The sizes of an [`Eat`](super::Eat).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EatSize {
    /// Blocks of the encoder: 12 (base), 24 (large).
    pub layers: usize,
    /// Width of a token: 768, 1024. The paper's table names 1536 for large, which no released model has.
    pub width: usize,
    /// Width inside a block's feed-forward step: 4 times as much.
    pub hidden: usize,
    /// Heads of an attention: 12, 16.
    pub heads: usize,
    /// Frames and bands of a patch; 16.
    pub patch: usize,
    /// Patches that have a position; 6144.
    pub positions: usize,
    /// Added to a variance before the root; 1e-6.
    pub epsilon: f64,
    /// The same in the norm of a fine-tuned network's head: 1e-6 in fairseq, 1e-5 in Hugging Face's form.
    pub head_epsilon: f64,
    /// Classes of a fine-tuned network; 527.
    pub classes: Option<usize>,
}

/// What a checkpoint's configuration says, where it has one.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Stated {
    /// Heads of an attention.
    pub heads: Option<usize>,
    /// Added to a variance before the root.
    pub epsilon: Option<f64>,
    /// Added in the norm of the head.
    pub head_epsilon: Option<f64>,
}

impl EatSize {
    /// EAT-base.
    pub fn base(classes: Option<usize>) -> Self {
        Self {
            layers: 12,
            width: 768,
            hidden: 4 * 768,
            heads: 12,
            patch: 16,
            positions: 768 * 8,
            epsilon: 1e-6,
            head_epsilon: 1e-6,
            classes,
        }
    }

    /// EAT-large.
    pub fn large(classes: Option<usize>) -> Self {
        Self { layers: 24, width: 1024, hidden: 4 * 1024, heads: 16, ..Self::base(classes) }
    }

    /// A toy for smoke runs.
    pub fn tiny() -> Self {
        Self { layers: 2, width: 48, hidden: 4 * 48, heads: 4, positions: 128 * 8, ..Self::base(None) }
    }

    /// From the shapes of tensors (names as in [`Eat`](super::Eat)) and what the configuration says beside them.
    ///
    /// # Errors
    /// When they make no network.
    pub fn of_tensors(shape: &dyn Fn(&str) -> Option<Vec<usize>>, stated: Stated) -> Result<Self, Error> {
        let need = |name: &str, axes: usize| match shape(name) {
            Some(sizes) if sizes.len() == axes => Ok(sizes),
            Some(sizes) => {
                Err(Error::Unfit(format!("its tensor `{name}` has shape {sizes:?}, expected {axes} axes")))
            }
            None => Err(Error::Unfit(format!("its tensor `{name}` is missing"))),
        };
        let patches = need("local_encoder.proj.weight", 4)?;
        let (width, patch) = (patches[0], patches[2]);
        let hidden = need("blocks.0.mlp.fc1.weight", 2)?[0];
        let layers = stated::blocks(shape);
        let positions = need("fixed_positional_encoder.positions", 3)?[1];
        let classes = stated::classes(shape, "head");
        let heads = match stated.heads {
            Some(heads) => heads,
            None if width.is_multiple_of(HEAD_WIDTH) => width / HEAD_WIDTH,
            None => {
                return Err(Error::Unfit(format!(
                    "tokens of {width} values do not make heads of {HEAD_WIDTH}, and nothing says how many there are; put \
                     the `config.json` of Hugging Face's form beside it, or use the file as it was published"
                )));
            }
        };
        let epsilon = stated.epsilon.unwrap_or(1e-6);
        let size = Self {
            layers,
            width,
            hidden,
            heads,
            patch,
            positions,
            epsilon,
            head_epsilon: stated.head_epsilon.unwrap_or(epsilon),
            classes,
        };
        size.check()?;
        Ok(size)
    }

    /// Those of a block.
    pub(super) fn block(&self) -> BlockSize {
        let Self { width, hidden, heads, epsilon, .. } = *self;
        BlockSize { width, hidden, heads, epsilon, norms: Norms::Behind }
    }

    /// Whether a network can have these sizes.
    ///
    /// # Errors
    /// When it cannot.
    pub fn check(&self) -> Result<(), Error> {
        let unfit = |why: String| Err(Error::Unfit(why));
        let Self { layers, width, hidden, heads, patch, positions, .. } = *self;
        if !(1..=MOST_BLOCKS).contains(&layers) || !(4..=16_384).contains(&width) || !width.is_multiple_of(4)
        {
            return unfit(format!("{layers} blocks of width {width} make no EAT"));
        }
        if heads == 0 || !width.is_multiple_of(heads) {
            return unfit(format!("{heads} heads cannot share a width of {width}"));
        }
        if patch == 0 || !MELS.is_multiple_of(patch) {
            return unfit(format!("patches of {patch} bands do not divide {MELS} mel bands"));
        }
        if positions < MELS / patch {
            return unfit(format!("{positions} positions are fewer than one time step has"));
        }
        if !(1..=65_536).contains(&hidden) {
            return unfit(format!("feed-forward steps of {hidden} values make no EAT"));
        }
        if let Some(classes) = self.classes.filter(|classes| !(1..=MOST_CLASSES).contains(classes)) {
            return unfit(format!("{classes} classes are not in 1..={MOST_CLASSES}"));
        }
        match self.epsilon > 0.0 && self.head_epsilon > 0.0 {
            true => Ok(()),
            false => unfit("the epsilon of its norms is not above 0".into()),
        }
    }

    /// The tokens of so many frames.
    ///
    /// # Errors
    /// When they fill no patch, or more than there are positions.
    pub fn grid(&self, frames: usize) -> Result<TokenGrid, Error> {
        let (steps, bands) = (frames / self.patch, MELS / self.patch);
        if steps == 0 {
            let why = format!("{frames} frames are fewer than the {} of a patch", self.patch);
            return Err(Error::Unfit(why));
        }
        let longest = self.positions / bands * self.patch;
        match steps * bands <= self.positions {
            true => Ok(TokenGrid { pieces: 1, prefix: 1, steps, bands, band_by_band: false }),
            false => {
                Err(Error::Unfit(format!("{frames} frames are more than the {longest} that have positions")))
            }
        }
    }
}
