//! The sizes of a BEATs network, from a checkpoint's own configuration.

use serde::{Deserialize, Serialize};

use crate::nn::import::{Dict, Value};
use crate::nn::pretrained::{Error, TokenGrid};

/// Mel bands of the input.
pub const MELS: usize = 128;

/// The sizes of a [`Beats`](super::Beats).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BeatsSize {
    /// Layers of the encoder; 12 in all public checkpoints.
    pub layers: usize,
    /// Width of a token; 768.
    pub width: usize,
    /// Width inside a layer's feed-forward step; 3072.
    pub hidden: usize,
    /// Heads of an attention; 12.
    pub heads: usize,
    /// Width of a patch before it is projected to a token; 512.
    pub embed: usize,
    /// Frames and bands of a patch; 16.
    pub patch: usize,
    /// Taps of the convolution over positions; 128.
    pub conv_pos: usize,
    /// Its groups; 16.
    pub conv_pos_groups: usize,
    /// Distances that the position bias tells apart, of both directions together; 320.
    pub num_buckets: usize,
    /// The distance from which on all are one; 800 in the public checkpoints.
    pub max_distance: usize,
    /// Whether residual branches are scaled for depth; true.
    pub deep_norm: bool,
    /// Classes of a fine-tuned network; 527.
    pub classes: Option<usize>,
}

impl BeatsSize {
    /// That of every public checkpoint, with the number of classes of a fine-tuned one.
    pub fn base(classes: Option<usize>) -> Self {
        Self {
            layers: 12,
            width: 768,
            hidden: 3072,
            heads: 12,
            embed: 512,
            patch: 16,
            conv_pos: 128,
            conv_pos_groups: 16,
            num_buckets: 320,
            max_distance: 800,
            deep_norm: true,
            classes,
        }
    }

    /// A toy for smoke runs.
    pub fn tiny() -> Self {
        Self { layers: 2, width: 48, hidden: 96, heads: 4, embed: 32, ..Self::base(None) }
    }

    /// From the dict `cfg` of a checkpoint. What it leaves out has the reference's default.
    ///
    /// # Errors
    /// When it describes a network that no public checkpoint has, or none at all.
    pub fn of_config(config: &Dict) -> Result<Self, Error> {
        let number = |key: &str, default: usize| match config.get(key) {
            None => Ok(default),
            Some(value) => match value.as_int().and_then(|number| usize::try_from(number).ok()) {
                Some(number) => Ok(number),
                None => Err(Error::Unfit(format!("`{key}` of its configuration is {}", value.kind()))),
            },
        };
        let flag = |key: &str, default| config.get(key).and_then(Value::as_bool).unwrap_or(default);
        for (key, expected, why) in [
            ("layer_norm_first", false, "norms before each step"),
            ("conv_bias", false, "patches with a bias"),
        ] {
            if flag(key, expected) != expected {
                return Err(Error::Unfit(format!(
                    "its configuration wants {why} (`{key}`), which no public BEATs has"
                )));
            }
        }
        for key in ["relative_position_embedding", "gru_rel_pos"] {
            if !flag(key, false) {
                return Err(Error::Unfit(format!(
                    "its configuration has no `{key}`, which all public BEATs have"
                )));
            }
        }
        let activation = config.get("activation_fn").map_or(Some("gelu"), Value::as_text);
        if activation != Some("gelu") {
            return Err(Error::Unfit(format!("its activation is {activation:?}, not \"gelu\"")));
        }
        let classes = match flag("finetuned_model", false) {
            true => Some(number("predictor_class", 527)?),
            false => None,
        };
        let size = Self {
            layers: number("encoder_layers", 12)?,
            width: number("encoder_embed_dim", 768)?,
            hidden: number("encoder_ffn_embed_dim", 3072)?,
            heads: number("encoder_attention_heads", 12)?,
            embed: number("embed_dim", 512)?,
            patch: number("input_patch_size", 16)?,
            conv_pos: number("conv_pos", 128)?,
            conv_pos_groups: number("conv_pos_groups", 16)?,
            num_buckets: number("num_buckets", 320)?,
            max_distance: number("max_distance", 1280)?,
            deep_norm: flag("deep_norm", false),
            classes,
        };
        size.check()?;
        Ok(size)
    }

    /// Whether a network can have these sizes.
    ///
    /// # Errors
    /// When it cannot.
    pub fn check(&self) -> Result<(), Error> {
        let sizes = [
            ("encoder_layers", self.layers, 1..=512),
            ("encoder_embed_dim", self.width, 1..=16_384),
            ("encoder_ffn_embed_dim", self.hidden, 1..=65_536),
            ("encoder_attention_heads", self.heads, 1..=self.width.max(1)),
            ("embed_dim", self.embed, 1..=16_384),
            ("input_patch_size", self.patch, 1..=MELS),
            ("conv_pos", self.conv_pos, 2..=1024),
            ("conv_pos_groups", self.conv_pos_groups, 1..=self.width.max(1)),
            ("num_buckets", self.num_buckets, 4..=65_536),
            ("max_distance", self.max_distance, self.num_buckets / 4 + 1..=1 << 20),
            ("predictor_class", self.classes.unwrap_or(1), 1..=65_536),
        ];
        if let Some((key, value, range)) = sizes.iter().find(|(_, value, range)| !range.contains(value)) {
            return Err(Error::Unfit(format!(
                "`{key}` of its configuration is {value}, not in {}..={}",
                range.start(),
                range.end()
            )));
        }
        let divides = [
            ("encoder_attention_heads", self.heads, "encoder_embed_dim", self.width),
            ("conv_pos_groups", self.conv_pos_groups, "encoder_embed_dim", self.width),
            ("input_patch_size", self.patch, "the number of mel bands", MELS),
            ("2", 2, "conv_pos", self.conv_pos),
            ("4", 4, "num_buckets", self.num_buckets),
        ];
        match divides.iter().find(|(_, divisor, _, value)| !value.is_multiple_of(*divisor)) {
            Some((key, divisor, of, value)) if key.parse::<usize>().is_ok() => {
                Err(Error::Unfit(format!("`{of}` of its configuration is {value}, no multiple of {divisor}")))
            }
            Some((key, divisor, of, value)) => Err(Error::Unfit(format!(
                "`{key}` of its configuration is {divisor}, which does not divide {of}, {value}"
            ))),
            None => Ok(()),
        }
    }

    /// The tokens of so many frames.
    ///
    /// # Errors
    /// When they fill no patch.
    pub fn grid(&self, frames: usize) -> Result<TokenGrid, Error> {
        match frames / self.patch {
            0 => Err(Error::Unfit(format!("{frames} frames are fewer than the {} of a patch", self.patch))),
            steps => {
                Ok(TokenGrid { pieces: 1, prefix: 0, steps, bands: MELS / self.patch, band_by_band: false })
            }
        }
    }
}
