//! `[task.contrastive]`: tell two views of a clip from the views of other clips.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::classification::width;
use crate::audio::AugmentSpec;
use crate::nn::resnet::Backbone;

/// Bring two views of a clip together.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct ContrastiveConfig {
    /// The network.
    pub backbone: Backbone,
    /// Channels of the network's first stage; 64 in the papers, less for toys.
    #[schemars(range(min = 1, max = 1024))]
    pub width: usize,
    /// Frames of a view: longer clips are cut at a random place, shorter ones repeated.
    // 32 is the network's stride.
    #[schemars(range(min = 32, max = 65_536))]
    pub frames: usize,
    /// What is minimised.
    pub method: ContrastiveMethod,
    /// Divides the cosines of `simclr`; not used by `simsiam`.
    #[schemars(range(max = 100.0), extend("exclusiveMinimum" = 0.0))]
    pub temperature: f64,
    /// Width of the projector's two hidden layers; as wide as the backbone's feature where left out.
    #[schemars(range(min = 1, max = 65_536))]
    pub projector_hidden: Option<usize>,
    /// Width of the projections.
    #[schemars(range(min = 2, max = 65_536))]
    pub projection: usize,
    /// Width of the hidden layer of `simsiam`'s predictor; not used by `simclr`.
    #[schemars(range(min = 1, max = 65_536))]
    pub predictor_hidden: usize,
    /// How views differ from their clip.
    pub augment: AugmentSpec,
}

/// What is minimised.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum ContrastiveMethod {
    /// NT-Xent against the other clips of the batch (arXiv 2002.05709).
    Simclr,
    /// A predictor and a stopped gradient in place of other clips (arXiv 2011.10566).
    Simsiam,
}

impl Default for ContrastiveConfig {
    fn default() -> Self {
        Self {
            backbone: Backbone::Resnet18,
            width: 64,
            frames: 313,
            method: ContrastiveMethod::Simclr,
            temperature: 0.1,
            projector_hidden: None,
            projection: 128,
            predictor_hidden: 32,
            augment: AugmentSpec::default(),
        }
    }
}

impl ContrastiveConfig {
    /// The family that the study counts it to.
    pub(super) fn family(&self) -> &'static str {
        match self.method {
            ContrastiveMethod::Simclr => "simclr",
            ContrastiveMethod::Simsiam => "simsiam",
        }
    }

    pub(super) fn slug(&self) -> String {
        format!("{}{}", self.backbone.name(), width(self.width))
    }
}
