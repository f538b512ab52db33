//! `[task.classification]`: name the section (or machine, or attributes) of a clip.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::nn::resnet::Backbone;

/// Name the class of a clip from its log-mel.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct ClassificationConfig {
    /// The network.
    pub backbone: Backbone,
    /// Channels of the network's first stage; 64 in the papers, less for toys.
    #[schemars(range(min = 1, max = 1024))]
    pub width: usize,
    /// Frames that are trained on: longer clips are cut at a random place, shorter ones repeated.
    // 32 is the network's stride.
    #[schemars(range(min = 32, max = 65_536))]
    pub frames: usize,
    /// What a class is.
    pub label: ClassLabel,
    /// What is minimised.
    pub loss: ClassificationLoss,
    /// Constants of the angular losses; not used by cross-entropy.
    pub margin: MarginConfig,
    /// The linear classifier on the frozen backbone, whose F1 is the proxy metric of the angular losses; not used by
    /// cross-entropy.
    pub linear_phase: LinearPhaseConfig,
}

/// What a class is.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum ClassLabel {
    /// A section of the machine type.
    Section,
    /// A section of any machine type: one network learns all machine types' clips at once.
    MachineSection,
    /// A section with one combination of attributes.
    Attribute,
}

/// What is minimised.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum ClassificationLoss {
    /// Softmax cross-entropy.
    CrossEntropy,
    /// Additive angular margin (arXiv 1801.07698).
    Arcface,
    /// The same with several centers per class, of which the nearest counts.
    SubcenterArcface,
}

/// Constants of the angular losses.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct MarginConfig {
    /// s: factor of the cosines.
    #[schemars(range(max = 10_000.0), extend("exclusiveMinimum" = 0.0))]
    pub scale: f64,
    /// m: angle in radians by which the target is made harder.
    #[schemars(range(min = 0.0, max = 1.5))]
    pub margin: f64,
    /// Centers per class of `subcenter-arcface`.
    #[schemars(range(min = 1, max = 64))]
    pub subcenters: usize,
}

/// Training of the linear classifier; all of AdamW but the learning rate is that of `[train.optimizer]`, and the schedule
/// that of `[train.schedule]`.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct LinearPhaseConfig {
    /// Passes over the training clips' features.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub epochs: usize,
    /// Features in a batch.
    #[schemars(range(min = 1, max = 1_048_576))]
    pub batch_size: usize,
    /// Learning rate of the first epoch.
    #[schemars(extend("exclusiveMinimum" = 0.0))]
    pub lr: f64,
}

impl Default for ClassificationConfig {
    fn default() -> Self {
        Self {
            backbone: Backbone::Resnet18,
            width: 64,
            frames: 313,
            label: ClassLabel::Section,
            loss: ClassificationLoss::CrossEntropy,
            margin: MarginConfig::default(),
            linear_phase: LinearPhaseConfig::default(),
        }
    }
}

impl Default for MarginConfig {
    fn default() -> Self {
        Self { scale: 30.0, margin: 0.5, subcenters: 3 }
    }
}

impl Default for LinearPhaseConfig {
    fn default() -> Self {
        Self { epochs: 200, batch_size: 64, lr: 1e-4 }
    }
}

impl ClassificationConfig {
    /// The family that the study counts it to.
    pub(super) fn family(&self) -> &'static str {
        match self.loss {
            ClassificationLoss::CrossEntropy => "ce",
            ClassificationLoss::Arcface => "arcface",
            ClassificationLoss::SubcenterArcface => "subcenter-arcface",
        }
    }

    pub(super) fn slug(&self) -> String {
        let label = match self.label {
            ClassLabel::Section => "",
            ClassLabel::MachineSection => "-machine-section",
            ClassLabel::Attribute => "-attribute",
        };
        format!("{}{}{label}", self.backbone.name(), width(self.width))
    }
}

/// Nothing for the papers' width.
pub(super) fn width(width: usize) -> String {
    if width == 64 { String::new() } else { format!("-w{width}") }
}
