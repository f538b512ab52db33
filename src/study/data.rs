//! The recordings of one experiment, opened once and shared by its trials.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use super::Error;
use crate::config::{DataConfig, Experiment, Layout, OnBadClip};
use crate::dataset::{self, ClipIndex, EvaluationClips, Problem, ProblemKind};
use crate::task::{LogMels, LogMelsRequest, Scaler, TrainingSet};
use crate::ui::Ui;

/// Problems of one kind that are named one by one; the rest is counted.
const NAMED: usize = 5;

/// Files that the index leaves out change the data as much as a bad clip does, so they stop or are said alike.
fn report(index: &ClipIndex, config: &DataConfig, ui: &Ui) -> Result<(), Error> {
    let unreachable = |problem: &&Problem| problem.kind == ProblemKind::Unreachable;
    if config.on_bad_clip == OnBadClip::Error
        && let Some(problem) = index.problems().iter().find(unreachable)
    {
        let path = problem.path.as_ref().map_or(index.root().to_owned(), |path| index.root().join(path));
        return Err(Error::LeftOut { path, why: problem.message.clone() });
    }
    for problem in index.problems().iter().take(NAMED) {
        let place = problem.path.as_ref().map_or(String::new(), |path| format!("{}: ", path.display()));
        ui.warn(&format!("{place}{}", problem.message));
    }
    if index.problems().len() > NAMED {
        let more = index.problems().len() - NAMED;
        ui.warn(&format!("{more} more problems; `asdbench data {}` lists them", index.root().display()));
    }
    Ok(())
}

/// An indexed data set and the log-mels taken from it so far.
pub struct Recordings<'a> {
    index: ClipIndex,
    cache: PathBuf,
    ui: &'a Ui,
    fingerprints: RefCell<HashMap<String, String>>,
    logmels: RefCell<HashMap<String, Arc<LogMels>>>,
}

impl<'a> Recordings<'a> {
    /// Index the data set of a configuration; `cache` takes its log-mels.
    ///
    /// # Errors
    /// When there is no data set, or not this one.
    pub fn open(config: &DataConfig, cache: PathBuf, ui: &'a Ui) -> Result<Self, Error> {
        config.root_dir()?;
        let index = dataset::index(config)?;
        report(&index, config, ui)?;
        Ok(Self { index, cache, ui, fingerprints: RefCell::default(), logmels: RefCell::default() })
    }

    /// Machine types that the configuration chose.
    pub fn machines(&self) -> &[String] {
        self.index.machines()
    }

    /// How the data set's files are laid out.
    pub fn layout(&self) -> Layout {
        self.index.layout()
    }

    /// Machine types whose clips one training of `machine` learns from.
    pub fn learnt_with(&self, machine: &str, experiment: &Experiment) -> Vec<String> {
        match experiment.task.is_joint() {
            true => self.machines().to_vec(),
            false => vec![machine.to_owned()],
        }
    }

    /// Number of training clips of a machine.
    ///
    /// # Errors
    /// When there is none.
    pub fn training_clips(&self, machine: &str) -> Result<usize, Error> {
        Ok(self.index.training(machine)?.clips.len())
    }

    /// Fingerprint of a machine's training clips; reads every byte of them once.
    ///
    /// # Errors
    /// When a clip cannot be read.
    pub fn training_fingerprint(&self, machine: &str) -> Result<String, Error> {
        self.fingerprint(&format!("train/{machine}"), || self.index.training(machine)?.fingerprint())
    }

    /// One fingerprint of the training clips of several machines; of one machine its own.
    ///
    /// # Errors
    /// As [`Recordings::training_fingerprint`].
    pub fn joint_fingerprint(&self, machines: &[String]) -> Result<String, Error> {
        if let [machine] = machines {
            return self.training_fingerprint(machine);
        }
        let mut hasher = blake3::Hasher::new();
        for machine in machines {
            hasher.update(format!("{machine}\n{}\n", self.training_fingerprint(machine)?).as_bytes());
        }
        Ok(hasher.finalize().to_hex().to_string())
    }

    /// The training clips of machines with their log-mels: neither labels nor test clips.
    ///
    /// # Errors
    /// As [`Recordings::training`].
    pub fn training_sets(
        &self,
        machines: &[String],
        experiment: &Experiment,
    ) -> Result<Vec<TrainingSet>, Error> {
        let set = |machine: &String| {
            let logmels = self.training(machine, experiment)?;
            Ok(TrainingSet {
                clips: self.index.training(machine)?,
                scaler: Scaler::new(experiment.frontend.scale, logmels.statistics()),
                logmels,
                channel: experiment.data.channel,
            })
        };
        machines.iter().map(set).collect()
    }

    /// Log-mels of a machine's training clips: neither labels nor test clips.
    ///
    /// # Errors
    /// When there is none, when clips are bad, when the cache cannot be written.
    pub fn training(&self, machine: &str, experiment: &Experiment) -> Result<Arc<LogMels>, Error> {
        let fingerprint = self.training_fingerprint(machine)?;
        self.logmels(&fingerprint, experiment, &format!("{machine}: train log-mels"), |request| {
            Ok(LogMels::of_training(&self.index.training(machine)?, request)?)
        })
    }

    /// A machine's test clips, with their labels, and their log-mels.
    ///
    /// # Errors
    /// As [`Recordings::training`].
    pub fn evaluation(
        &self,
        machine: &str,
        experiment: &Experiment,
    ) -> Result<(EvaluationClips, Arc<LogMels>), Error> {
        let clips = self.index.evaluation(machine)?;
        let fingerprint = self.fingerprint(&format!("test/{machine}"), || clips.fingerprint())?;
        let logmels =
            self.logmels(&fingerprint, experiment, &format!("{machine}: test log-mels"), |request| {
                Ok(LogMels::of_evaluation(&clips, request)?)
            })?;
        Ok((clips, logmels))
    }

    fn fingerprint(
        &self,
        of: &str,
        compute: impl FnOnce() -> Result<String, dataset::Error>,
    ) -> Result<String, Error> {
        if let Some(known) = self.fingerprints.borrow().get(of) {
            return Ok(known.clone());
        }
        let fingerprint = compute()?;
        self.fingerprints.borrow_mut().insert(of.to_owned(), fingerprint.clone());
        Ok(fingerprint)
    }

    fn logmels(
        &self,
        fingerprint: &str,
        experiment: &Experiment,
        what: &str,
        open: impl FnOnce(&LogMelsRequest<'_>) -> Result<LogMels, Error>,
    ) -> Result<Arc<LogMels>, Error> {
        let min_frames = experiment.task.min_frames();
        let settings = (&experiment.frontend.logmel, experiment.data.channel, experiment.data.on_bad_clip);
        let key = format!("{fingerprint} {settings:?} {min_frames}");
        if let Some(known) = self.logmels.borrow().get(&key) {
            return Ok(Arc::clone(known));
        }
        let bar = self.ui.bar(what, 0, "clips");
        let request = LogMelsRequest {
            cache: &self.cache,
            fingerprint,
            spec: settings.0,
            channel: settings.1,
            on_bad_clip: settings.2,
            min_frames,
            progress: &|done, all| bar.at(done, all),
        };
        let opened = open(&request)?;
        bar.clear();
        for bad in opened.bad() {
            self.ui.warn(&format!("left out {}: {}", bad.path, bad.reason));
        }
        let opened = Arc::new(opened);
        self.logmels.borrow_mut().insert(key, Arc::clone(&opened));
        Ok(opened)
    }
}
