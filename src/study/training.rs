//! Trials and their training: a configuration, a machine, a seed.

mod work;

use std::path::Path;

use serde::Serialize;

use super::families::{Frozen, TaskData, with_task};
use super::record;
use super::{Error, Recordings};
use crate::config::Experiment;
use crate::device::{self, OpenDevice};
use crate::files::{self, Durability};
use crate::run::{self, Hashes, Lock, Manifest, RunFolder, Start, Status};
use crate::train::{Interrupt, Outcome, read_epochs};
use crate::ui::Ui;
pub(super) use work::WeightsMetadata;
use work::{Check, Run};

/// The trained weights.
pub(super) const MODEL: &str = "model.safetensors";
/// The resolved configuration.
pub(super) const CONFIG: &str = "config.toml";

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
    pub(super) fn name(&self) -> String {
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
            let Ok(taken) = twin.read_trained() else { continue };
            for (bytes, to) in taken.into_iter().zip([self.folder.metrics(), self.folder.model()]) {
                files::write(&to, &bytes, Durability::Flushed)?;
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

    /// Epochs and weights of a trained run, as its training wrote them.
    fn read_trained(&self) -> Result<[Vec<u8>; 2], Error> {
        let manifest = self.folder.manifest()?;
        let known = manifest.as_ref().map(trained_hashes).unwrap_or_default();
        Ok([self.folder.read_sound("metrics.jsonl", &known)?, self.folder.read_sound(MODEL, &known)?])
    }

    /// Note the hashes of what was trained in the manifest, and whose weights they are.
    fn seal(&self, copied_from: Option<&String>) -> Result<(), Error> {
        if let Some(mut manifest) = self.folder.manifest()? {
            if manifest.pretrained.is_none() {
                manifest.model = self.folder.hashes([MODEL])?.remove(MODEL);
            }
            manifest.artefacts = self.folder.hashes(run::TRAINED)?;
            manifest.copied_from = copied_from.cloned();
            self.folder.write_manifest(&manifest)?;
        }
        Ok(())
    }

    /// Whether a trained run's files are what its training wrote. Where one is not, it is said, and the run is as if it had
    /// been stopped before its first epoch: what was judged of it goes too.
    fn keep_sound(&self, ui: &Ui) -> Result<bool, Error> {
        let known = self.folder.manifest()?.as_ref().map(trained_hashes).unwrap_or_default();
        let checked = [MODEL, "metrics.jsonl"].map(|name| self.folder.check(name, &known));
        let damage = match checked.into_iter().find_map(Result::err) {
            None => return Ok(true),
            Some(run::Error::Damaged { path, why }) => format!("{} is damaged ({why})", path.display()),
            Some(run::Error::File(error)) if error.is_missing() => error.to_string(),
            // A disk that cannot be read now is no reason to give up what is on it.
            Some(other) => return Err(other.into()),
        };
        let lock = self.folder.lock()?;
        ui.warn(&format!("{damage}: the run is trained again"));
        files::remove(&self.folder.file("eval.json"))?;
        self.folder.set_status(&Status::Interrupted)?;
        self.folder.clear_checkpoint(&lock);
        Ok(false)
    }

    /// The entry of a run that was trained before.
    pub(super) fn found(&self) -> Result<Trained, Error> {
        Ok(self.trained(&Status::Done, read_outcome(&self.folder)?))
    }

    /// Bring a trained run up to date with what does not change its training: the data folder, `[eval]`.
    fn renew(&self, lock: &Lock) -> Result<(), Error> {
        self.folder.clear_checkpoint(lock);
        self.write_config(lock)
    }

    /// As [`Trial::renew`], of a run that nobody works on and only where its configuration says otherwise.
    pub(super) fn refresh(&self) -> Result<(), Error> {
        let written = files::read_text(&self.folder.file(CONFIG));
        if written.is_ok_and(|text| text == self.experiment.to_toml()) {
            return Ok(());
        }
        match self.folder.lock() {
            Ok(lock) => self.renew(&lock),
            Err(_) => Ok(()),
        }
    }

    /// Write the configuration, and what it is into the manifest of a trained run. In between, and after a crash there, the
    /// manifest says nothing of it.
    fn write_config(&self, _held: &Lock) -> Result<(), Error> {
        let (path, text) = (self.folder.file(CONFIG), self.experiment.to_toml());
        let same = files::read_own(&path).is_ok_and(|bytes| bytes == text.as_bytes());
        let hash = blake3::hash(text.as_bytes()).to_hex().to_string();
        let mut manifest = self.folder.manifest()?.filter(|manifest| !manifest.artefacts.is_empty());
        if let Some(manifest) = &mut manifest
            && manifest.artefacts.get(CONFIG).is_some_and(|noted| !same || *noted != hash)
        {
            manifest.artefacts.remove(CONFIG);
            self.folder.write_manifest(manifest)?;
        }
        if !same {
            files::write(&path, text.as_bytes(), Durability::Flushed)?;
        }
        if let Some(manifest) = &mut manifest
            && manifest.artefacts.insert(CONFIG.to_owned(), hash).is_none()
        {
            self.folder.write_manifest(manifest)?;
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
    if trial.state(recordings)? == TrialState::Done && trial.keep_sound(ui)? {
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
        None => {
            // Nobody knows what a checkpoint without it was trained on.
            trial.folder.clear_checkpoint(&lock);
            trial.folder.write_manifest(&record::manifest(trial, recordings, data, device)?)?;
        }
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
    let run = Run { trial, data, device, interrupt, ui };
    let result = device::watch(Some(device), || with_task(&trial.experiment, data, run));
    if let Ok(Outcome { finished: true, .. }) = &result {
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

/// What a manifest says of what was trained, by file name.
pub(super) fn trained_hashes(manifest: &Manifest) -> Hashes {
    let mut known = manifest.artefacts.clone();
    if manifest.pretrained.is_none() {
        known.extend(manifest.model.clone().map(|model| (MODEL.to_owned(), model)));
    }
    known
}

/// Epochs and lowest loss of a finished run, from its metrics.
fn read_outcome(folder: &RunFolder) -> Result<Option<(usize, f64)>, Error> {
    let lines = read_epochs(&folder.metrics())?.into_iter();
    Ok(lines.fold(None, |best, line| {
        Some((line.epoch, best.map_or(line.loss, |(_, loss): (_, f64)| loss.min(line.loss))))
    }))
}
