//! CED (Dinkel et al., "CED: Consistent ensemble distillation for audio tagging", arXiv 2308.11957): a transformer on
//! patches of a mel spectrogram, taught by an ensemble of larger ones.
//!
//! ```text
//! [frames, 64] in dB → batch norm of each mel band → patches of 16×16 → [4 bands, steps, width]
//!                    + position in time + position in frequency → tokens, band by band
//!                    → blocks: x + attn(norm1(x)), then x + mlp(norm2(x)) → norm
//!                    → mean over tokens → layer norm, linear → logits
//! ```
//!
//! **Front end.** 16 kHz; power spectrum of 512 samples under a periodic Hann window, every 160 samples, centred, with
//! reflected ends: 1 + samples / 160 frames. 64 triangles on the HTK mel scale from 0 to 8,000 Hz, not normalised by area;
//! 10·log10(max(power, 1e-10)), and nothing more than 120 dB below the loudest value of the clip. (A reference batch takes
//! the loudest value of the *batch*; here a clip never depends on its neighbours.)
//!
//! **Numbers.** Norms of the encoder have epsilon 1e-6, batch norm and the classifier's norm 1e-5. GELU is the exact one.
//! Queries, keys and values come from one biased layer, ordered \[3, heads, width / heads]; scores are scaled by the root
//! of a head's width. Trailing frames that fill no patch are dropped. There is no class token.
//!
//! **Lengths.** A clip of up to 1,012 frames (10.1 s) goes through as it is, without padding: the table of positions in
//! time is cut. A longer one goes through in pieces of 1,012 frames, of which 1,008 make 63 steps; the last piece is filled
//! with zeros *behind* the batch norm. The authors' embedding is the mean over the tokens of all pieces, their class
//! probability the mean of the pieces' probabilities (Hugging Face's model classifies the mean of the tokens instead). In
//! one case we differ: of a clip that makes whole pieces (20.23 s, 30.35 s …) both leave out the last piece, ten seconds of
//! sound; here none is left out.
//!
//! **Files.** The authors' are bare state dicts under the names that the network has here, with the front end's tables
//! beside them (`front_end.*`). Hugging Face's have `encoder.` before all but the classifier's names, `init_bn` for
//! `init_bn.1`, and a `config.json`.

mod files;
mod network;
#[cfg(test)]
mod tests;

pub use files::{Names, not_needed, recognise};
pub use network::Ced;

use serde::{Deserialize, Serialize};

use super::pretrained::stated::{MOST_BLOCKS, MOST_CLASSES};
use super::pretrained::{Error, TokenGrid};

/// Values of one head's queries in all public checkpoints; their state dicts do not say how many heads there are.
const HEAD_WIDTH: usize = 64;
/// Frames of a piece in all public checkpoints, and the steps that they make.
const PIECE: (usize, usize) = (1012, 63);

/// Sizes of a [`Ced`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CedSize {
    /// Blocks; 12 in the public ones.
    pub layers: usize,
    /// Values of a token.
    pub width: usize,
    /// Heads of each attention.
    pub heads: usize,
    /// Values between the two layers of a block's perceptron, 4 · width in the public ones.
    pub hidden: usize,
    /// Mel bands, 64 in the public ones; a multiple of `patch`.
    pub mels: usize,
    /// Frames and mel bands of a patch, 16 in the public ones.
    pub patch: usize,
    /// Frames that go through at once, 1,012 in the public ones.
    pub piece_frames: usize,
    /// Classes that the network tells apart, 527 of AudioSet in the public ones; none without a classifier.
    pub classes: Option<usize>,
}

impl CedSize {
    /// CED-Tiny, 5.5 million parameters.
    pub fn tiny() -> Self {
        Self::public(192)
    }

    /// CED-Mini, 9.6 million parameters.
    pub fn mini() -> Self {
        Self::public(256)
    }

    /// CED-Small, 22 million parameters.
    pub fn small() -> Self {
        Self::public(384)
    }

    /// CED-Base, 86 million parameters.
    pub fn base() -> Self {
        Self::public(768)
    }

    /// A toy for smoke runs, without classes.
    pub fn toy() -> Self {
        Self { layers: 2, heads: 4, classes: None, ..Self::public(48) }
    }

    /// Whether a network can have these sizes.
    ///
    /// # Errors
    /// When it cannot.
    pub fn check_sizes(&self) -> Result<(), Error> {
        let Self { layers, width, heads, hidden, mels, patch, piece_frames, .. } = *self;
        let sane = (1..=MOST_BLOCKS).contains(&layers)
            && (1..=16_384).contains(&width)
            && (1..=65_536).contains(&hidden)
            && (1..=width).contains(&heads)
            && width.is_multiple_of(heads)
            && (1..=1024).contains(&mels)
            && (1..=mels).contains(&patch)
            && mels.is_multiple_of(patch)
            && (patch..=1 << 20).contains(&piece_frames)
            && self.classes.is_none_or(|classes| (1..=MOST_CLASSES).contains(&classes));
        match sane {
            true => Ok(()),
            false => Err(Error::Unfit(format!("sizes that make no CED: {self:?}"))),
        }
    }

    fn public(width: usize) -> Self {
        Self {
            layers: 12,
            width,
            heads: width / HEAD_WIDTH, // 3, 4, 6, 12
            hidden: 4 * width,
            mels: 64,
            patch: 16,
            piece_frames: PIECE.0,
            classes: Some(527),
        }
    }

    /// Bands of patches: 64 / 16 = 4 in the public ones.
    pub fn bands(&self) -> usize {
        self.mels / self.patch
    }

    /// Steps of patches that the table of positions in time has: ⌊1,012 / 16⌋ = 63 in the public ones.
    pub fn steps(&self) -> usize {
        self.piece_frames / self.patch
    }

    /// The tokens of a clip of so many frames.
    ///
    /// # Errors
    /// When it is shorter than a patch.
    pub fn grid(&self, frames: usize) -> Result<TokenGrid, Error> {
        if frames < self.patch {
            return Err(Error::Unfit(format!(
                "a clip of {frames} frames is shorter than a patch of {}; CED needs 0.15 s of sound or more",
                self.patch
            )));
        }
        let (pieces, frames) = self.pieces(frames);
        let (steps, bands) = (frames / self.patch, self.bands());
        Ok(TokenGrid { pieces, prefix: 0, steps, bands, band_by_band: true })
    }

    /// How many pieces a clip of so many frames makes, and the frames of each.
    fn pieces(&self, frames: usize) -> (usize, usize) {
        match frames.div_ceil(self.piece_frames) {
            0 | 1 => (1, frames),
            pieces => (pieces, self.piece_frames),
        }
    }

    /// Names and shapes, as in files, of all that a network of this size has: its parameters and the batch norm's running
    /// statistics.
    pub fn tensors(&self) -> Vec<(String, Vec<usize>)> {
        let Self { width, hidden, mels, patch, .. } = *self;
        let mut tensors = Vec::new();
        let mut add = |name: &str, shape: &[usize]| tensors.push((name.to_owned(), shape.to_vec()));
        for statistic in ["weight", "bias", "running_mean", "running_var"] {
            add(&format!("init_bn.1.{statistic}"), &[mels]);
        }
        add("patch_embed.proj.weight", &[width, 1, patch, patch]);
        add("patch_embed.proj.bias", &[width]);
        add("time_pos_embed", &[1, width, 1, self.steps()]);
        add("freq_pos_embed", &[1, width, self.bands(), 1]);
        let mut pair = |name: &str, weight: &[usize]| {
            add(&format!("{name}.weight"), weight);
            add(&format!("{name}.bias"), &weight[..1]);
        };
        for layer in 0..self.layers {
            let inner = [
                ("norm1", vec![width]),
                ("attn.qkv", vec![3 * width, width]),
                ("attn.proj", vec![width, width]),
                ("norm2", vec![width]),
                ("mlp.fc1", vec![hidden, width]),
                ("mlp.fc2", vec![width, hidden]),
            ];
            for (name, weight) in inner {
                pair(&format!("blocks.{layer}.{name}"), &weight);
            }
        }
        pair("norm", &[width]);
        if let Some(classes) = self.classes {
            pair("outputlayer.0", &[width]);
            pair("outputlayer.1", &[classes, width]);
        }
        tensors
    }
}
