//! The one place that tells the families apart.

use std::path::Path;

use super::Error;
use crate::config::{Experiment, TaskConfig};
use crate::task::autoencoder::AutoencoderTask;
use crate::task::classification::ClassificationTask;
use crate::task::contrastive::ContrastiveTask;
use crate::task::pretrained::{Embedder, PretrainedTask};
use crate::task::separation::SeparationTask;
use crate::task::{self, FeatureTask, Interference, ProxyTask, TrainingSet};

/// What is done with a task, whichever family it is of.
pub(super) trait WithTask {
    /// What comes of it.
    type Output;

    /// Do it with a task that is trained.
    fn with<T: ProxyTask>(self, task: &T) -> Result<Self::Output, Error>;

    /// Do it with a task whose network was trained elsewhere.
    fn with_frozen<T: FeatureTask>(self, task: &T, net: &T::Net) -> Result<Self::Output, Error>;
}

/// What a task is made of beside its configuration.
#[derive(Clone, Copy)]
pub(super) struct TaskData<'a> {
    /// The machine types that are learnt.
    pub sets: &'a [TrainingSet],
    /// Which of them is judged.
    pub own: usize,
    /// Of a family that needs it.
    pub interference: Option<&'a Interference>,
    /// Of a family that trains nothing.
    pub frozen: Option<Frozen<'a>>,
}

/// A network that was trained elsewhere.
#[derive(Clone, Copy)]
pub(super) struct Frozen<'a> {
    pub embedder: &'a Embedder,
    /// Folder of what is computed of clips.
    pub cache: &'a Path,
    pub device_name: &'a str,
}

impl<'a> TaskData<'a> {
    /// The machine type that is judged.
    fn set(&self) -> &'a TrainingSet {
        &self.sets[self.own]
    }

    /// The network that was trained elsewhere.
    fn frozen(&self) -> Result<Frozen<'a>, task::Error> {
        self.frozen.ok_or(task::Error::Fault("the task trains nothing and was given no network"))
    }

    /// What clips are mixed with.
    fn interference(&self) -> Result<&'a Interference, task::Error> {
        self.interference.ok_or(task::Error::Fault("the task mixes clips and was given nothing to mix with"))
    }
}

/// Make the task of an experiment and do `work` with it.
pub(super) fn with_task<W: WithTask>(
    experiment: &Experiment,
    data: TaskData<'_>,
    work: W,
) -> Result<W::Output, Error> {
    let part_size = experiment.train.part_size();
    let set = data.set();
    match &experiment.task {
        TaskConfig::Autoencoder(config) => {
            let (machine, logmels) = (set.clips().machine(), set.sounds().logmels()?);
            work.with(&AutoencoderTask::new(machine, config, part_size, logmels, set.scaler())?)
        }
        TaskConfig::Classification(config) => {
            work.with(&ClassificationTask::new(config, &experiment.train, data.sets, data.own)?)
        }
        TaskConfig::Contrastive(config) => {
            work.with(&ContrastiveTask::new(config, &experiment.frontend.logmel, part_size, set)?)
        }
        TaskConfig::Separation(config) => {
            let (train, judged) = (&experiment.train, &experiment.eval.separation);
            work.with(&SeparationTask::new(config, train, judged, set, data.interference()?)?)
        }
        TaskConfig::Pretrained(_) => {
            let Frozen { embedder, cache, device_name } = data.frozen()?;
            let (published, waves) = (&experiment.eval.pretrained, set.sounds().waves()?);
            let task = PretrainedTask::new(embedder, published, waves, cache.join("features"), device_name);
            work.with_frozen(&task, embedder)
        }
    }
}
