//! Trials and their training: a configuration, a machine, a seed.

mod work;

use std::path::Path;

use serde::Serialize;

use super::families::{Frozen, TaskData, with_task};
use super::record;
use super::{Error, Recordings};
use crate::config::Experiment;
use crate::device::OpenDevice;
use crate::files::{self, Durability};
use crate::run::{self, Lock, RunFolder, Start, Status};
use crate::train::{EpochLine, Interrupt, Outcome};
use crate::ui::Ui;
pub(super) use work::WeightsMetadata;
use work::{Check, Run};

/// One training to be done.
#[derive(Debug, Clone)]
pub struct Trial {
    /// The configuration, without grid.
    pub experiment: Experiment,
    /// Machine type.
    pub machine: String,
    /// Machine types whose clips are learnt.
    pub learnt: Vec<String>,
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

/// All machines and seeds of all experiments, sorted by machine first, so that a machine's log-mels serve all its trials.
pub fn trials(experiments: &[Experiment], recordings: &Recordings<'_>, runs: &Path) -> Vec<Trial> {
    let mut all = Vec::new();
    for machine in recordings.machines() {
        for experiment in experiments {
            all.extend(experiment.train.seeds.iter().map(|&seed| Trial {
                experiment: experiment.clone(),
                machine: machine.clone(),
                learnt: recordings.learnt_with(machine, experiment),
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
    /// When its folder holds another configuration's, other data's or another checkpoint's run, or is damaged, or when a
    /// checkpoint is not there.
    pub fn state(&self, recordings: &Recordings<'_>) -> Result<TrialState, Error> {
        let checkpoint = recordings.checkpoint_hash(&self.experiment)?;
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
        if manifest.learnt != self.learnt {
            return Err(Error::Run(run::Error::Other {
                path: self.folder.path().to_owned(),
                what: "set of machine types",
                found: manifest.learnt.join(", "),
                expected: self.learnt.join(", "),
            }));
        }
        let fingerprint = recordings.data_fingerprint(&self.machine, &self.learnt, &self.experiment)?;
        if manifest.data_fingerprint != fingerprint {
            return Err(other("data set", &manifest.data_fingerprint, &fingerprint));
        }
        if let Some(checkpoint) = &checkpoint
            && let Some(found) = manifest.model.as_ref().filter(|found| *found != checkpoint)
        {
            return Err(other("checkpoint", found, checkpoint));
        }
        let has_model = checkpoint.is_some() || self.folder.model().exists();
        let done = self.folder.status()? == Some(Status::Done) && has_model;
        Ok(if done { TrialState::Done } else { TrialState::Resume })
    }

    /// What it is called while it runs.
    fn name(&self) -> String {
        format!("{} {} seed {}", self.machine, self.experiment.slug(), self.seed)
    }

    /// Which of the learnt machine types is the trial's own.
    fn own_set(&self) -> usize {
        self.learnt.iter().position(|machine| *machine == self.machine).unwrap_or_default()
    }

    /// Take the weights over from the trained run of another machine type that learnt the same clips with the same
    /// configuration and seed: its training would be this one's, byte for byte. Epochs and lowest loss, where there
    /// was one.
    fn take_over(&self, recordings: &Recordings<'_>, ui: &Ui) -> Result<Option<(usize, f64)>, Error> {
        // runs/family/config/machine/seed-n
        let (Some(config), Some(name)) =
            (self.folder.path().ancestors().nth(2), self.folder.path().file_name())
        else {
            return Ok(None);
        };
        for machine in self.learnt.iter().filter(|machine| **machine != self.machine) {
            let folder = RunFolder::at(config.join(machine).join(name));
            let twin = Self { machine: machine.clone(), folder, ..self.clone() };
            // What is wrong with another run is not this one's concern.
            if !matches!(twin.state(recordings), Ok(TrialState::Done)) {
                continue;
            }
            for (from, to) in
                [(twin.folder.metrics(), self.folder.metrics()), (twin.folder.model(), self.folder.model())]
            {
                files::write(&to, &files::read(&from)?, Durability::Flushed)?;
            }
            self.seal(Some(machine))?;
            ui.say(&format!(
                "{}: one network serves all machine types; taken over from {}",
                self.folder.path().display(),
                twin.folder.path().display()
            ));
            return read_outcome(&self.folder);
        }
        Ok(None)
    }

    /// Note the weights' hash in the manifest, and whose they are.
    fn seal(&self, copied_from: Option<&String>) -> Result<(), Error> {
        if let Some(mut manifest) = self.folder.manifest()? {
            manifest.model = Some(blake3::hash(&files::read(&self.folder.model())?).to_hex().to_string());
            manifest.copied_from = copied_from.cloned();
            self.folder.write_manifest(&manifest)?;
        }
        Ok(())
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
            why: outcome.is_none().then(|| match self.experiment.task.pretrained() {
                Some(_) => "nothing is trained: the weights are those of the checkpoint".into(),
                None => "no epoch was finished".into(),
            }),
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
    // Before anything is written: bad data, or a checkpoint that cannot be used, leave no folder behind.
    let encoder = recordings.encoder(&trial.experiment, device)?;
    let encoder = encoder.as_deref();
    let interference = recordings.training_interference(&trial.machine, &trial.experiment)?;
    let sets = recordings.audible_training_sets(&trial.learnt, &trial.experiment, encoder)?;
    let (cache, device_name) = (recordings.cache.as_path(), device.name.as_str());
    let frozen = encoder.map(|embedder| Frozen { embedder, cache, device_name });
    let data = TaskData { sets: &sets, own: trial.own_set(), interference: interference.as_ref(), frozen };
    if let Some(interference) = &interference {
        let (machine, clips) = (&trial.machine, interference.train().clips().len());
        ui.say(&format!("{machine}: mixed with {} ({clips} clips)", interference.what()));
    }
    // Labels that allow no training, too.
    with_task(&trial.experiment, data, Check { ui })?;
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
        None => trial.folder.write_manifest(&record::manifest(trial, recordings, data, device)?)?,
        Some(mut manifest) => {
            manifest.resumed.push(Start::now(&device.name));
            trial.folder.write_manifest(&manifest)?;
        }
    }
    trial.folder.set_status(&Status::Running)?;
    if let Some(outcome) = trial.take_over(recordings, ui)? {
        trial.folder.set_status(&Status::Done)?;
        trial.folder.clear_checkpoint(&lock);
        return Ok(trial.trained(&Status::Done, Some(outcome)));
    }
    let result = with_task(&trial.experiment, data, Run { trial, data, device, interrupt, ui });
    if let (Ok(Outcome { finished: true, .. }), None) = (&result, frozen) {
        trial.seal(None)?;
    }
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

/// Epochs and lowest loss of a finished run, from its metrics.
fn read_outcome(folder: &RunFolder) -> Result<Option<(usize, f64)>, Error> {
    let text = files::read_text(&folder.metrics())?;
    let lines = text.lines().filter_map(|line| serde_json::from_str::<EpochLine>(line).ok());
    Ok(lines.fold(None, |best, line| {
        Some((line.epoch, best.map_or(line.loss, |(_, loss): (_, f64)| loss.min(line.loss))))
    }))
}
