//! `[task.<kind>]`: the proxy task that is trained.

mod classification;
mod contrastive;
mod pretrained;
mod separation;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::check::Problem;
use super::frontend::FrontendConfig;
use crate::audio::AugmentSpec;
use crate::nn::resnet::STRIDE;
pub use classification::{
    ClassLabel, ClassificationConfig, ClassificationLoss, LinearPhaseConfig, MarginConfig,
};
pub use contrastive::{ContrastiveConfig, ContrastiveMethod};
pub use pretrained::{PretrainedConfig, TokenPool, checkpoint_name};
pub use separation::{FeaturePool, SeparationConfig, SeparationLoss};

/// The proxy task, one table per kind: `[task.autoencoder]`.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub enum TaskConfig {
    /// Reconstruct windows of log-mel frames.
    Autoencoder(AutoencoderConfig),
    /// Name the class of a clip.
    Classification(ClassificationConfig),
    /// Bring two views of a clip together.
    Contrastive(ContrastiveConfig),
    /// Find the machine's own sound in a mixture.
    Separation(SeparationConfig),
    /// Train nothing: take an encoder that was trained elsewhere.
    Pretrained(PretrainedConfig),
}

/// What a family takes of a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Hears {
    /// Its log-mel spectrogram.
    LogMels,
    /// Its samples, at the rate of `frontend.logmel.rate_hz`.
    Waves,
}

/// Reconstruct windows of log-mel frames through a bottleneck.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct AutoencoderConfig {
    /// Width of each hidden layer.
    #[schemars(range(min = 1, max = 65_536))]
    pub hidden: usize,
    /// Width of the bottleneck.
    #[schemars(range(min = 1, max = 65_536))]
    pub bottleneck: usize,
    /// Neighbouring frames in a window; a window has frames × n_mels values.
    #[schemars(range(min = 1, max = 1024))]
    pub frames: usize,
    /// Hidden layers on each side of the bottleneck.
    #[schemars(range(min = 1, max = 64))]
    pub layers: usize,
    /// What is minimised between a window and its reconstruction.
    pub loss: ReconstructionLoss,
}

/// What is minimised between a window and its reconstruction.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum ReconstructionLoss {
    /// Mean absolute error.
    Mae,
    /// Mean squared error.
    Mse,
}

impl Default for TaskConfig {
    fn default() -> Self {
        Self::Autoencoder(AutoencoderConfig::default())
    }
}

impl Default for AutoencoderConfig {
    fn default() -> Self {
        Self { hidden: 128, bottleneck: 8, frames: 5, layers: 4, loss: ReconstructionLoss::Mae }
    }
}

impl TaskConfig {
    /// The family that the study counts it to: the name in the runs folder and in tables, such as `arcface`.
    #[must_use]
    pub fn family(&self) -> &'static str {
        match self {
            Self::Autoencoder(_) => "autoencoder",
            Self::Classification(classification) => classification.family(),
            Self::Contrastive(contrastive) => contrastive.family(),
            Self::Separation(_) => "separation",
            Self::Pretrained(_) => "pretrained",
        }
    }

    /// Short name of the configuration within its family: what the study's grid varies. Safe in a file name.
    #[must_use]
    pub fn slug(&self) -> String {
        match self {
            Self::Autoencoder(ae) => format!("h{}-b{}", ae.hidden, ae.bottleneck),
            Self::Classification(classification) => classification.slug(),
            Self::Contrastive(contrastive) => contrastive.slug(),
            Self::Separation(separation) => separation.slug(),
            Self::Pretrained(pretrained) => pretrained.slug(),
        }
    }

    /// What it takes of a recording.
    #[must_use]
    pub fn hears(&self) -> Hears {
        match self {
            Self::Autoencoder(_) | Self::Classification(_) | Self::Contrastive(_) => Hears::LogMels,
            Self::Separation(_) | Self::Pretrained(_) => Hears::Waves,
        }
    }

    /// Whether it mixes a machine's clips with other recordings.
    #[must_use]
    pub fn needs_interference(&self) -> bool {
        matches!(self, Self::Separation(_))
    }

    /// The least number of log-mel frames that a clip needs.
    #[must_use]
    pub fn min_frames(&self) -> usize {
        match self {
            Self::Autoencoder(ae) => ae.frames,
            Self::Classification(_) | Self::Contrastive(_) => STRIDE,
            // Hears no log-mels; a clip that is shorter than a segment is repeated.
            Self::Separation(_) => 1,
            // Hears no log-mels; what it needs is the checkpoint's to say.
            Self::Pretrained(_) => 1,
        }
    }

    /// The settings of a family whose networks were trained elsewhere.
    #[must_use]
    pub fn pretrained(&self) -> Option<&PretrainedConfig> {
        match self {
            Self::Pretrained(pretrained) => Some(pretrained),
            Self::Autoencoder(_) | Self::Classification(_) | Self::Contrastive(_) | Self::Separation(_) => {
                None
            }
        }
    }

    /// Whether one network learns the clips of all machine types.
    #[must_use]
    pub fn is_joint(&self) -> bool {
        matches!(self, Self::Classification(of) if of.label == ClassLabel::MachineSection)
    }

    /// How views are made, in the families that have views.
    #[must_use]
    pub fn augment(&self) -> Option<&AugmentSpec> {
        match self {
            Self::Contrastive(contrastive) => Some(&contrastive.augment),
            Self::Autoencoder(_) | Self::Classification(_) | Self::Separation(_) | Self::Pretrained(_) => {
                None
            }
        }
    }

    /// Rules between settings; the range of each alone stands in the schema.
    pub(super) fn check(&self, frontend: &FrontendConfig, problems: &mut Vec<Problem>) {
        if let Some(augment) = self.augment() {
            let found = augment.check("task.contrastive.augment");
            problems.extend(found.into_iter().map(|(path, message)| Problem::new(&path, message)));
        }
        if let Self::Separation(separation) = self {
            separation.check(frontend.logmel.rate_hz, problems);
        }
        if let Self::Pretrained(pretrained) = self {
            pretrained.check(frontend.logmel.rate_hz, problems);
        }
        let n_mels = frontend.logmel.n_mels;
        if matches!(self, Self::Classification(_) | Self::Contrastive(_)) && n_mels < STRIDE {
            let message = format!("`frontend.logmel.n_mels` is {n_mels}, less than the network's stride");
            problems.push(
                Problem::new("frontend.logmel.n_mels", message)
                    .help(format!("a residual network needs {STRIDE} mel bands or more")),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_are_those_of_the_study_s_tables() {
        let classification =
            |loss| TaskConfig::Classification(ClassificationConfig { loss, ..Default::default() }).family();
        let contrastive =
            |method| TaskConfig::Contrastive(ContrastiveConfig { method, ..Default::default() }).family();
        let families = [
            TaskConfig::default().family(),
            classification(ClassificationLoss::CrossEntropy),
            classification(ClassificationLoss::Arcface),
            contrastive(ContrastiveMethod::Simclr),
            contrastive(ContrastiveMethod::Simsiam),
            TaskConfig::Separation(SeparationConfig::default()).family(),
            TaskConfig::Pretrained(PretrainedConfig::default()).family(),
        ];
        let expected = ["autoencoder", "ce", "arcface", "simclr", "simsiam", "separation", "pretrained"];
        assert_eq!(families, expected);
    }

    #[test]
    fn the_slug_names_what_the_grid_varies() {
        let task =
            TaskConfig::Autoencoder(AutoencoderConfig { hidden: 64, bottleneck: 16, ..Default::default() });
        assert_eq!(task.slug(), "h64-b16");
        let toy = ClassificationConfig { width: 8, label: ClassLabel::Attribute, ..Default::default() };
        assert_eq!(TaskConfig::Classification(toy).slug(), "resnet18-w8-attribute");
        assert_eq!(TaskConfig::Contrastive(ContrastiveConfig::default()).slug(), "resnet18");
    }
}
