//! `[train]`: the training loop, the same for every family.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::TaskConfig;
use super::check::Problem;
use crate::nn::adamw::AdamWSettings;
use crate::nn::precision::Precision;

/// The training loop.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct TrainConfig {
    /// Passes over the training clips.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub epochs: usize,
    /// Examples in a batch; at least 2, because batch normalisation needs a variance.
    #[schemars(range(min = 2, max = 1_048_576))]
    pub batch_size: usize,
    /// Seeds; each gives one training per machine type.
    // TOML's integers are signed: a larger seed could not be written back.
    #[schemars(length(min = 1), inner(range(max = 9_223_372_036_854_775_807_u64)), extend("uniqueItems" = true))]
    pub seeds: Vec<u64>,
    /// Seconds between two checkpoints, more where writing one takes over a twentieth of that; 0 writes one whenever there is
    /// a chance.
    #[schemars(range(min = 0.0))]
    pub checkpoint_every_s: f64,
    /// Equal parts that a batch goes through the network in, to fit a smaller device; their gradients are summed before
    /// the step. Batch statistics are of a part, and SimCLR's negatives come from it.
    #[schemars(range(min = 1, max = 1_048_576))]
    pub accumulate: usize,
    /// Whether the backward pass computes the insides of the conformer blocks anew in place of keeping them: a step takes
    /// less memory, a third more time, and gives the same gradients but for rounding. For the separation family only.
    pub checkpoint_blocks: bool,
    /// Number format of the operands of convolutions and of dense layers while training.
    pub precision: Precision,
    /// Longest gradient, over all parameters together: longer ones are scaled down to it; none where left out.
    #[schemars(extend("exclusiveMinimum" = 0.0))]
    pub clip_norm: Option<f64>,
    /// AdamW.
    pub optimizer: OptimizerConfig,
    /// The learning rate over the epochs.
    pub schedule: ScheduleConfig,
}

/// AdamW (Loshchilov and Hutter, 2019).
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct OptimizerConfig {
    /// Learning rate of the first epoch.
    #[schemars(extend("exclusiveMinimum" = 0.0))]
    pub lr: f64,
    /// Decoupled weight decay.
    #[schemars(range(min = 0.0))]
    pub weight_decay: f64,
    /// Decay of the gradient's running mean.
    #[schemars(range(min = 0.0), extend("exclusiveMaximum" = 1.0))]
    pub beta1: f64,
    /// Decay of the squared gradient's running mean.
    #[schemars(range(min = 0.0), extend("exclusiveMaximum" = 1.0))]
    pub beta2: f64,
    /// Added to the denominator of a step.
    #[schemars(extend("exclusiveMinimum" = 0.0))]
    pub epsilon: f64,
}

/// A step schedule: the learning rate is multiplied by `gamma` every `step_epochs` epochs.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct ScheduleConfig {
    /// Epochs between two steps.
    #[schemars(range(min = 1))]
    pub step_epochs: usize,
    /// Factor of a step; 1 keeps the learning rate.
    #[schemars(range(max = 1.0), extend("exclusiveMinimum" = 0.0))]
    pub gamma: f64,
}

impl OptimizerConfig {
    /// All but the learning rate.
    #[must_use]
    pub fn adamw(&self) -> AdamWSettings {
        let Self { weight_decay, beta1, beta2, epsilon, .. } = *self;
        AdamWSettings { beta1, beta2, epsilon, weight_decay }
    }
}

impl ScheduleConfig {
    /// Factor of the first epoch's learning rate in `epoch`, from 0.
    #[must_use]
    pub fn factor(&self, epoch: usize) -> f64 {
        let steps = i32::try_from(epoch / self.step_epochs).unwrap_or(i32::MAX);
        self.gamma.powi(steps)
    }
}

impl TrainConfig {
    /// Examples that go through the network at once.
    #[must_use]
    pub fn part_size(&self) -> usize {
        self.batch_size / self.accumulate
    }

    /// Rules between settings; the range of each alone stands in the schema.
    pub(super) fn check(&self, task: &TaskConfig, problems: &mut Vec<Problem>) {
        if self.checkpoint_blocks && !matches!(task, TaskConfig::Separation(_)) {
            let family = task.family();
            let message = format!("`train.checkpoint_blocks` is true, and {family} has no conformer blocks");
            let help = "only the separation family has them; leave it out, or see train.accumulate";
            problems.push(Problem::new("train.checkpoint_blocks", message).help(help));
        }
        let Self { batch_size, accumulate, .. } = *self;
        // Out of range by themselves.
        if accumulate == 0 || batch_size < 2 {
            return;
        }
        if !batch_size.is_multiple_of(accumulate) || batch_size / accumulate < 2 {
            let why = match batch_size.is_multiple_of(accumulate) {
                true => format!("leaves one example of {batch_size} to each part"),
                false => format!("does not divide a batch of {batch_size} evenly"),
            };
            let message = format!("`train.accumulate` is {accumulate}, which {why}");
            problems.push(
                Problem::new("train.accumulate", message)
                    .related(&["train.batch_size"])
                    .help("each part needs the same number of examples, at least 2"),
            );
        }
    }
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            epochs: 200,
            batch_size: 512,
            seeds: vec![0],
            checkpoint_every_s: 60.0,
            accumulate: 1,
            checkpoint_blocks: false,
            precision: Precision::F32,
            clip_norm: None,
            optimizer: OptimizerConfig::default(),
            schedule: ScheduleConfig::default(),
        }
    }
}

impl Default for OptimizerConfig {
    fn default() -> Self {
        Self { lr: 5e-4, weight_decay: 0.01, beta1: 0.9, beta2: 0.999, epsilon: 1e-8 }
    }
}

impl Default for ScheduleConfig {
    fn default() -> Self {
        Self { step_epochs: 50, gamma: 0.5 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_learning_rate_steps_down() {
        let schedule = ScheduleConfig { step_epochs: 3, gamma: 0.5 };
        let factors: Vec<f64> = (0..8).map(|epoch| schedule.factor(epoch)).collect();
        assert_eq!(factors, [1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.25, 0.25]);
        assert_eq!(ScheduleConfig { step_epochs: 1, gamma: 1.0 }.factor(usize::MAX), 1.0);
        assert_eq!(ScheduleConfig { step_epochs: 1, gamma: 0.5 }.factor(usize::MAX), 0.0);
    }
}
