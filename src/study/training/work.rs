//! What a training does with a task.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::Trial;
use crate::config::{FrontendConfig, TaskConfig};
use crate::device::OpenDevice;
use crate::files::{self, Durability};
use crate::study::Error;
use crate::study::families::{TaskData, WithTask};
use crate::task::{FeatureTask, ProxyTask, Scaler};
use crate::train::{Interrupt, Outcome, Training};
use crate::ui::{EpochBar, Ui};

/// All that inference needs beside the weights, in the same file.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::study) struct WeightsMetadata {
    pub family: String,
    pub config_hash: String,
    pub seed: u64,
    /// The machine types that were learnt, and how the network sees each.
    pub scales: BTreeMap<String, Scaler>,
    pub frontend: FrontendConfig,
    pub task: TaskConfig,
}

/// Making the task is the check; what it remarks is said.
pub(super) struct Check<'a> {
    pub ui: &'a Ui,
}

impl WithTask for Check<'_> {
    type Output = ();

    fn with<T: ProxyTask>(self, task: &T) -> Result<(), Error> {
        self.say_remarks(task);
        Ok(())
    }

    fn with_frozen<T: FeatureTask>(self, task: &T, _net: &T::Net) -> Result<(), Error> {
        self.say_remarks(task);
        Ok(())
    }
}

impl Check<'_> {
    fn say_remarks<T: FeatureTask>(&self, task: &T) {
        task.remarks().iter().for_each(|remark| self.ui.warn(remark));
    }
}

/// The training of a task.
pub(super) struct Run<'a> {
    pub trial: &'a Trial,
    pub data: TaskData<'a>,
    pub device: &'a OpenDevice,
    pub interrupt: &'a Interrupt,
    pub ui: &'a Ui,
}

impl WithTask for Run<'_> {
    type Output = Outcome;

    fn with<T: ProxyTask>(self, task: &T) -> Result<Outcome, Error> {
        let Self { trial, data, device, interrupt, ui } = self;
        let metadata = WeightsMetadata {
            family: trial.experiment.family().to_owned(),
            config_hash: trial.experiment.training_hash(),
            seed: trial.seed,
            scales: data.sets.iter().map(|set| (set.clips().machine().to_owned(), set.scaler())).collect(),
            frontend: trial.experiment.frontend.clone(),
            task: trial.experiment.task.clone(),
        };
        let metadata = serde_json::to_string(&metadata)
            .map_err(|e| files::Error::new("write", &trial.folder.model(), e.into()))?;
        // Small sets stay in memory: an epoch reads them in a random order.
        let held: Result<Vec<_>, _> = data.sets.iter().map(|set| set.sounds().hold()).collect();
        let _held = held?;
        let training = Training {
            task,
            config: &trial.experiment.train,
            seed: trial.seed,
            device: &device.device,
            folder: &trial.folder,
            metadata,
            interrupt,
        };
        let mut bar = EpochBar::new(ui, &trial.name(), trial.experiment.train.epochs, task.batches());
        let outcome = training.run(&mut bar)?;
        bar.finish(outcome.best);
        Ok(outcome)
    }

    /// A run without epochs.
    fn with_frozen<T: FeatureTask>(self, _task: &T, _net: &T::Net) -> Result<Outcome, Error> {
        let Self { trial, data, ui, .. } = self;
        files::write(&trial.folder.metrics(), b"", Durability::Flushed)?;
        let checkpoint = data.frozen.map_or(Path::new(""), |frozen| frozen.embedder.path()).display();
        let seeds = match trial.experiment.train.seeds.as_slice() {
            [_] => "",
            _ => ", and nothing is drawn: all seeds are equal",
        };
        ui.say(&format!("{}: nothing to train: the weights are those of {checkpoint}{seeds}", trial.name()));
        Ok(Outcome { finished: true, epochs: 0, best: None })
    }
}
