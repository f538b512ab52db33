//! The one place that tells the families apart.

use super::Error;
use crate::config::{Experiment, TaskConfig};
use crate::task::autoencoder::AutoencoderTask;
use crate::task::classification::ClassificationTask;
use crate::task::contrastive::ContrastiveTask;
use crate::task::{ProxyTask, TrainingSet};

/// What is done with a task, whichever family it is of.
pub(super) trait WithTask {
    /// What comes of it.
    type Output;

    /// Do it.
    fn with<T: ProxyTask>(self, task: &T) -> Result<Self::Output, Error>;
}

/// Make the task of an experiment for machine type `own` of `sets`, and do `work` with it.
pub(super) fn with_task<W: WithTask>(
    experiment: &Experiment,
    sets: &[TrainingSet],
    own: usize,
    work: W,
) -> Result<W::Output, Error> {
    let part_size = experiment.train.part_size();
    let set = &sets[own];
    match &experiment.task {
        TaskConfig::Autoencoder(config) => {
            let machine = &set.clips.machine;
            work.with(&AutoencoderTask::new(machine, config, part_size, &set.logmels, set.scaler)?)
        }
        TaskConfig::Classification(config) => {
            work.with(&ClassificationTask::new(config, &experiment.train, sets, own)?)
        }
        TaskConfig::Contrastive(config) => {
            work.with(&ContrastiveTask::new(config, &experiment.frontend.logmel, part_size, set)?)
        }
    }
}
