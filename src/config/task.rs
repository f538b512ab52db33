//! `[task.<family>]`: the proxy task that is trained.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The proxy task, one table per family: `[task.autoencoder]`.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub enum TaskConfig {
    /// Reconstruct windows of log-mel frames.
    Autoencoder(AutoencoderConfig),
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
    /// The family's name, as in `[task.<family>]` and in the runs folder.
    #[must_use]
    pub fn family(&self) -> &'static str {
        match self {
            Self::Autoencoder(_) => "autoencoder",
        }
    }

    /// Short name of the configuration within its family: what the study's grid varies. Safe in a file name.
    #[must_use]
    pub fn slug(&self) -> String {
        match self {
            Self::Autoencoder(ae) => format!("h{}-b{}", ae.hidden, ae.bottleneck),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_family_is_the_name_of_its_table() {
        let task = TaskConfig::default();
        let table = serde_json::to_value(&task).unwrap();
        assert!(table.get(task.family()).is_some(), "{table}");
    }

    #[test]
    fn the_slug_names_what_the_grid_varies() {
        let task =
            TaskConfig::Autoencoder(AutoencoderConfig { hidden: 64, bottleneck: 16, ..Default::default() });
        assert_eq!(task.slug(), "h64-b16");
    }
}
