//! Trials and their training: a configuration, a machine, a seed.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{Error, Recordings};
use crate::config::{Experiment, FrontendConfig, TaskConfig};
use crate::device::OpenDevice;
use crate::files::{self, Durability};
use crate::run::{self, Lock, Manifest, RunFolder, SkippedClip, Start, Status};
use crate::task::autoencoder::AutoencoderTask;
use crate::task::{LogMels, ProxyTask, Scaler};
use crate::train::{EpochLine, Interrupt, Outcome, Training};
use crate::ui::{EpochBar, Ui};

/// One training to be done.
#[derive(Debug, Clone)]
pub struct Trial {
    /// The configuration, without grid.
    pub experiment: Experiment,
    /// Machine type.
    pub machine: String,
    /// Seed.
    pub seed: u64,
    /// Where it goes.
    pub folder: RunFolder,
}

/// What a training would do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TrialState {
    /// Start from the beginning.
    New,
    /// Go on from a checkpoint or the beginning.
    Resume,
    /// Nothing: it is trained.
    Done,
}

/// A training that ended; one object of `asdbench train --format json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Trained {
    /// The run's folder.
    pub path: String,
    /// Proxy-task family.
    pub family: String,
    /// `<slug>-<hash8>`.
    pub config: String,
    /// Machine type.
    pub machine: String,
    /// Seed.
    pub seed: u64,
    /// `done`, `interrupted` or `failed`.
    pub status: String,
    /// Epochs trained.
    pub epochs: usize,
    /// Lowest mean training loss of an epoch.
    pub loss: Option<f64>,
    /// Why there is no loss.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// All that inference needs beside the weights, in the same file.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct WeightsMetadata {
    pub family: String,
    pub config_hash: String,
    pub machine: String,
    pub seed: u64,
    pub scale: Scaler,
    pub frontend: FrontendConfig,
    pub task: TaskConfig,
}

/// All machines and seeds of all experiments, sorted by machine first, so that a machine's log-mels serve all its trials.
pub fn trials(experiments: &[Experiment], recordings: &Recordings<'_>, runs: &Path) -> Vec<Trial> {
    let mut all = Vec::new();
    for machine in recordings.machines() {
        for experiment in experiments {
            all.extend(experiment.train.seeds.iter().map(|&seed| Trial {
                experiment: experiment.clone(),
                machine: machine.clone(),
                seed,
                folder: RunFolder::of(runs, experiment, machine, seed),
            }));
        }
    }
    all
}

impl Trial {
    /// What training it would do.
    ///
    /// # Errors
    /// When its folder holds another configuration's or other data's run, or is damaged.
    pub fn state(&self, recordings: &Recordings<'_>) -> Result<TrialState, Error> {
        let Some(manifest) = self.folder.manifest()? else {
            return Ok(TrialState::New);
        };
        let other = |what, found: &str, expected: &str| {
            let short = |hash: &str| hash.get(..8).unwrap_or(hash).to_owned();
            let path = self.folder.path().to_owned();
            Error::Run(run::Error::Other { path, what, found: short(found), expected: short(expected) })
        };
        let hash = self.experiment.training_hash();
        if manifest.config_hash != hash {
            return Err(other("configuration", &manifest.config_hash, &hash));
        }
        let fingerprint = recordings.training_fingerprint(&self.machine)?;
        if manifest.data_fingerprint != fingerprint {
            return Err(other("data set", &manifest.data_fingerprint, &fingerprint));
        }
        let done = self.folder.status()? == Some(Status::Done) && self.folder.model().exists();
        Ok(if done { TrialState::Done } else { TrialState::Resume })
    }

    /// The entry of a run that was trained before.
    fn found(&self) -> Result<Trained, Error> {
        Ok(self.trained(&Status::Done, read_outcome(&self.folder)?))
    }

    /// Bring a trained run up to date with what does not change its training: the data folder, `[eval]`.
    fn renew(&self, lock: &Lock) -> Result<(), Error> {
        self.folder.clear_checkpoint(lock);
        self.write_config(lock)
    }

    fn write_config(&self, _held: &Lock) -> Result<(), Error> {
        let (path, text) = (self.folder.file("config.toml"), self.experiment.to_toml());
        if !path.exists() || files::read_text(&path)? != text {
            files::write(&path, text.as_bytes(), Durability::Flushed)?;
        }
        Ok(())
    }

    /// The entry of a run that `error` ended.
    pub fn failed(&self, error: &Error) -> Trained {
        let why = Some(error.to_string());
        Trained { why, ..self.trained(&Status::Failed(String::new()), None) }
    }

    fn trained(&self, status: &Status, outcome: Option<(usize, f64)>) -> Trained {
        Trained {
            path: self.folder.path().display().to_string(),
            family: self.experiment.family().to_owned(),
            config: RunFolder::config_name(&self.experiment),
            machine: self.machine.clone(),
            seed: self.seed,
            status: status.word().to_owned(),
            epochs: outcome.map_or(0, |(epochs, _)| epochs),
            loss: outcome.map(|(_, loss)| loss),
            why: outcome.is_none().then(|| "no epoch was finished".into()),
        }
    }
}

/// Train one trial, or find it trained.
///
/// # Errors
/// When the data, the folder, the disk or the device fail; the folder's status then says so.
pub fn train(
    trial: &Trial,
    recordings: &Recordings<'_>,
    device: &OpenDevice,
    interrupt: &Interrupt,
    ui: &Ui,
) -> Result<Trained, Error> {
    if trial.state(recordings)? == TrialState::Done {
        // A run that is being judged is held, and needs nothing from us.
        if let Ok(lock) = trial.folder.lock() {
            trial.renew(&lock)?;
        }
        ui.say(&format!("{} is trained already", trial.folder.path().display()));
        return trial.found();
    }
    // Before anything is written: bad data leave no folder behind.
    let logmels = recordings.training(&trial.machine, &trial.experiment)?;
    if interrupt.requested() {
        return Err(Error::Interrupted);
    }
    let lock = trial.folder.lock()?;
    // Another process may have trained it since.
    if trial.state(recordings)? == TrialState::Done {
        trial.renew(&lock)?;
        return trial.found();
    }
    trial.write_config(&lock)?;
    match trial.folder.manifest()? {
        None => trial.folder.write_manifest(&manifest(trial, recordings, &logmels, device)?)?,
        Some(mut manifest) => {
            manifest.resumed.push(Start::now(&device.name));
            trial.folder.write_manifest(&manifest)?;
        }
    }
    trial.folder.set_status(&Status::Running)?;
    let result = run_family(trial, &logmels, device, interrupt, ui);
    let status = match &result {
        Ok(outcome) if outcome.finished => Status::Done,
        Ok(_) => Status::Interrupted,
        Err(error) => Status::Failed(error.to_string()),
    };
    let noted = trial.folder.set_status(&status);
    // The cause before what it may have caused.
    let outcome = result?;
    noted?;
    if outcome.finished {
        trial.folder.clear_checkpoint(&lock);
    }
    Ok(trial.trained(&status, outcome.best.map(|(loss, _)| (outcome.epochs, loss))))
}

/// The one place where training tells the families apart.
fn run_family(
    trial: &Trial,
    logmels: &LogMels,
    device: &OpenDevice,
    interrupt: &Interrupt,
    ui: &Ui,
) -> Result<Outcome, Error> {
    let scaler = Scaler::new(trial.experiment.frontend.scale, logmels.statistics());
    match &trial.experiment.task {
        TaskConfig::Autoencoder(config) => {
            let batch_size = trial.experiment.train.batch_size;
            let _held = logmels.hold()?;
            let task = AutoencoderTask::new(&trial.machine, config, batch_size, logmels, scaler)?;
            run_task(trial, &task, scaler, device, interrupt, ui)
        }
    }
}

fn run_task<T: ProxyTask>(
    trial: &Trial,
    task: &T,
    scaler: Scaler,
    device: &OpenDevice,
    interrupt: &Interrupt,
    ui: &Ui,
) -> Result<Outcome, Error> {
    let metadata = WeightsMetadata {
        family: trial.experiment.family().to_owned(),
        config_hash: trial.experiment.training_hash(),
        machine: trial.machine.clone(),
        seed: trial.seed,
        scale: scaler,
        frontend: trial.experiment.frontend.clone(),
        task: trial.experiment.task.clone(),
    };
    let metadata = serde_json::to_string(&metadata)
        .map_err(|e| files::Error::new("write", &trial.folder.model(), e.into()))?;
    let training = Training {
        task,
        config: &trial.experiment.train,
        seed: trial.seed,
        device: &device.device,
        folder: &trial.folder,
        metadata,
        interrupt,
    };
    let name = format!("{} {} seed {}", trial.machine, trial.experiment.slug(), trial.seed);
    let mut bar = EpochBar::new(ui, &name, trial.experiment.train.epochs, task.batches());
    let outcome = training.run(&mut bar)?;
    bar.finish(outcome.best);
    Ok(outcome)
}

fn manifest(
    trial: &Trial,
    recordings: &Recordings<'_>,
    logmels: &LogMels,
    device: &OpenDevice,
) -> Result<Manifest, Error> {
    let skipped = logmels.bad().iter();
    Ok(Manifest {
        schema: 1,
        family: trial.experiment.family().into(),
        config: RunFolder::config_name(&trial.experiment),
        config_hash: trial.experiment.training_hash(),
        data_fingerprint: recordings.training_fingerprint(&trial.machine)?,
        machine: trial.machine.clone(),
        seed: trial.seed,
        started: Start::now(&device.name),
        resumed: Vec::new(),
        clips: logmels.spans().len(),
        skipped: skipped
            .map(|bad| SkippedClip { path: bad.path.clone(), reason: bad.reason.clone() })
            .collect(),
    })
}

/// Epochs and lowest loss of a finished run, from its metrics.
fn read_outcome(folder: &RunFolder) -> Result<Option<(usize, f64)>, Error> {
    let text = files::read_text(&folder.metrics())?;
    let lines = text.lines().filter_map(|line| serde_json::from_str::<EpochLine>(line).ok());
    Ok(lines.fold(None, |best, line| {
        Some((line.epoch, best.map_or(line.loss, |(_, loss): (_, f64)| loss.min(line.loss))))
    }))
}
