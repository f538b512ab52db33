//! Networks whose weights were trained elsewhere, whatever file they come in: what a checkpoint is, and how it is loaded.

mod checkpoint;
mod forms;
mod own;
pub mod random;
pub(in crate::nn) mod stated;
#[cfg(test)]
mod tests;

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

pub use checkpoint::{LeftOver, Model, Used, identify};

use super::beats::{self, Beats, BeatsSize};
use super::ced::{Ced, CedSize};
use super::eat::{self, Eat, EatSize};
use super::import;
use super::init::Init;
use super::weights;

/// Why a checkpoint cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be read.
    #[error(transparent)]
    Read(#[from] import::Error),
    /// None of the architectures that are known.
    #[error("{0}")]
    Unknown(String),
    /// Its configuration or tensors do not make a network.
    #[error("{0}")]
    Unfit(String),
    /// The device does not take the weights.
    #[error(transparent)]
    Weights(#[from] weights::Error),
}

/// A network's kind and sizes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Architecture {
    /// BEATs (arXiv 2212.09058).
    Beats(BeatsSize),
    /// EAT (arXiv 2401.03497).
    Eat(EatSize),
    /// CED (arXiv 2308.11957).
    Ced(CedSize),
}

/// How the tokens of a clip lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenGrid {
    /// Pieces that a clip goes through the network in, each with tokens of its own, piece after piece: more than 1 only of
    /// what is longer than CED's table of positions.
    pub pieces: usize,
    /// Tokens before those of a piece's patches: 1 where there is a class token, else 0.
    pub prefix: usize,
    /// Patches along time, of one piece.
    pub steps: usize,
    /// Patches along frequency.
    pub bands: usize,
    /// Whether the patches of one band lie one behind the other; else those of one time step do.
    pub band_by_band: bool,
}

impl TokenGrid {
    /// All tokens.
    pub fn tokens(&self) -> usize {
        self.pieces * (self.prefix + self.steps * self.bands)
    }
}

impl Architecture {
    /// As its authors write it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Beats(_) => "BEATs",
            Self::Eat(_) => "EAT",
            Self::Ced(_) => "CED",
        }
    }

    /// Layers of the encoder.
    pub fn layers(&self) -> usize {
        match self {
            Self::Beats(size) => size.layers,
            Self::Eat(size) => size.layers,
            Self::Ced(size) => size.layers,
        }
    }

    /// Values of a token.
    pub fn width(&self) -> usize {
        match self {
            Self::Beats(size) => size.width,
            Self::Eat(size) => size.width,
            Self::Ced(size) => size.width,
        }
    }

    /// Heads of each layer's attention.
    pub fn heads(&self) -> usize {
        match self {
            Self::Beats(size) => size.heads,
            Self::Eat(size) => size.heads,
            Self::Ced(size) => size.heads,
        }
    }

    /// Classes that a fine-tuned network tells apart; none of a pre-trained one.
    pub fn classes(&self) -> Option<usize> {
        match self {
            Self::Beats(size) => size.classes,
            Self::Eat(size) => size.classes,
            Self::Ced(size) => size.classes,
        }
    }

    /// Mel bands of the input.
    pub fn mels(&self) -> usize {
        match self {
            Self::Beats(_) => beats::MELS,
            Self::Eat(_) => eat::MELS,
            Self::Ced(size) => size.mels,
        }
    }

    /// The tokens of a clip of so many frames.
    ///
    /// # Errors
    /// Where it has too few or too many frames.
    pub fn grid(&self, frames: usize) -> Result<TokenGrid, Error> {
        match self {
            Self::Beats(size) => size.grid(frames),
            Self::Eat(size) => size.grid(frames),
            Self::Ced(size) => size.grid(frames),
        }
    }

    /// A network with the weights of `init`.
    pub fn init(&self, init: Init<'_>) -> Encoder {
        match self {
            Self::Beats(size) => Encoder::Beats(Beats::new(size, init)),
            Self::Eat(size) => Encoder::Eat(Eat::new(size, init)),
            Self::Ced(size) => Encoder::Ced(Ced::new(size, init)),
        }
    }
}

/// A network.
#[derive(Debug)]
pub enum Encoder {
    /// BEATs.
    Beats(Beats),
    /// EAT.
    Eat(Eat),
    /// CED.
    Ced(Ced),
}

impl Encoder {
    /// Tokens `[batch, tokens, width]` behind layer `last` (counted from 0) of images `[batch, frames, mels]`, normalised
    /// as the architecture wants them; `each` sees every layer's number and tokens. What follows the last layer (CED's
    /// norm) is in the result of the last.
    pub fn forward(
        &self,
        images: Tensor<3>,
        last: usize,
        each: &mut dyn FnMut(usize, &Tensor<3>),
    ) -> Tensor<3> {
        match self {
            Self::Beats(net) => net.forward(images, None, last, each),
            Self::Eat(net) => net.forward(images, last, each),
            Self::Ced(net) => net.forward(images, last, each),
        }
    }

    /// Class logits `[batch, classes]` of the last layer's tokens; none of a network that was not fine-tuned.
    pub fn classify(&self, tokens: &Tensor<3>) -> Option<Tensor<2>> {
        match self {
            Self::Beats(net) => net.classify(tokens),
            Self::Eat(net) => net.classify(tokens),
            Self::Ced(net) => net.classify(tokens),
        }
    }

    /// The weights as a safetensors file's bytes.
    ///
    /// # Errors
    /// When the device does not hand out the values.
    pub fn to_safetensors(&self, metadata: String) -> Result<Vec<u8>, weights::Error> {
        match self {
            Self::Beats(net) => weights::to_safetensors(net, metadata),
            Self::Eat(net) => weights::to_safetensors(net, metadata),
            Self::Ced(net) => weights::to_safetensors(net, metadata),
        }
    }
}
