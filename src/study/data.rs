//! The recordings of one experiment, opened once and shared by its trials.

use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use super::Error;
use super::cached::{LOGMELS, WAVES, logmels_request, waves_request};
use super::encoders::Encoders;
use crate::config::{DataConfig, Experiment, Hears, Layout, OnBadClip};
use crate::dataset::{self, ClipIndex, EvaluationClips, InterferenceFolder, Problem, ProblemKind};
use crate::task::{self, LogMels, LogMelsRequest, Sounds, Source, TrainingSet, Waves, WavesRequest};
use crate::ui::Ui;

/// Problems of one kind that are named one by one; the rest is counted.
const NAMED: usize = 5;

/// Files that are left out change the data as much as a bad clip does, so they stop or are said alike. `more` says how to
/// see all problems below `root`.
pub(super) fn report(
    root: &Path,
    problems: &[Problem],
    config: &DataConfig,
    more: &str,
    ui: &Ui,
) -> Result<(), Error> {
    let unreachable = |problem: &&Problem| problem.kind == ProblemKind::Unreachable;
    if config.on_bad_clip == OnBadClip::Error
        && let Some(problem) = problems.iter().find(unreachable)
    {
        let path = problem.path.as_ref().map_or(root.to_owned(), |path| root.join(path));
        return Err(Error::LeftOut { path, why: problem.message.clone() });
    }
    for problem in problems.iter().take(NAMED) {
        let place = problem.path.as_ref().map_or(String::new(), |path| format!("{}: ", path.display()));
        ui.warn(&format!("{place}{}", problem.message));
    }
    if problems.len() > NAMED {
        ui.warn(&format!("{} more problems{more}", problems.len() - NAMED));
    }
    Ok(())
}

/// An indexed data set and what was heard of it so far.
pub struct Recordings<'a> {
    pub(super) config: DataConfig,
    pub(super) index: ClipIndex,
    /// Of all machine types, where the configuration chose some and the others were asked for.
    pub(super) whole: OnceCell<ClipIndex>,
    /// Of `data.interference`, once it was asked for.
    pub(super) folder: OnceCell<InterferenceFolder>,
    /// Of families that train nothing.
    pub(super) encoders: Encoders,
    pub(super) cache: PathBuf,
    pub(super) ui: &'a Ui,
    /// Where fingerprints of clips at rest are remembered.
    memory: Option<PathBuf>,
    /// Each with the moment at which its computation began.
    fingerprints: RefCell<HashMap<String, (String, SystemTime)>>,
    sounds: RefCell<HashMap<String, Arc<Sounds>>>,
}

impl<'a> Recordings<'a> {
    /// Index the data set of a configuration; `cache` takes what is computed of its clips.
    ///
    /// # Errors
    /// When there is no data set, or not this one.
    pub fn open(config: &DataConfig, cache: PathBuf, ui: &'a Ui) -> Result<Self, Error> {
        config.root_dir()?;
        let index = dataset::index(config)?;
        let more = format!("; `asdbench data {}` lists them", index.root().display());
        report(index.root(), index.problems(), config, &more, ui)?;
        Ok(Self::of(config.clone(), index, cache, ui))
    }

    fn of(config: DataConfig, index: ClipIndex, cache: PathBuf, ui: &'a Ui) -> Self {
        Self {
            config,
            index,
            whole: OnceCell::new(),
            folder: OnceCell::new(),
            encoders: Encoders::default(),
            cache,
            ui,
            memory: None,
            fingerprints: RefCell::default(),
            sounds: RefCell::default(),
        }
    }

    /// Remember fingerprints in the cache: a study of many starts does not read all its clips at each of them.
    #[must_use]
    pub fn remembering(self) -> Self {
        Self { memory: Some(self.cache.join("fingerprints")), ..self }
    }

    /// A part of all machine types' clips, evenly taken: at most so many of each split.
    pub(super) fn sampled(&self, clips: usize, cache: PathBuf) -> Result<Self, Error> {
        let config = DataConfig { machines: Vec::new(), ..self.config.clone() };
        Ok(Self::of(config, self.whole_index()?.sampled(clips), cache, self.ui))
    }

    /// Where fingerprints of clips at rest are remembered, if they are.
    pub(super) fn memory(&self) -> Option<&Path> {
        self.memory.as_deref()
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
        Ok(self.index.training(machine)?.clips().len())
    }

    /// Number of test clips of a machine.
    ///
    /// # Errors
    /// When there is none.
    pub fn test_clips(&self, machine: &str) -> Result<usize, Error> {
        Ok(self.index.evaluation(machine)?.clips.len())
    }

    /// Fingerprint of a machine's training clips; reads every byte of them once.
    ///
    /// # Errors
    /// When a clip cannot be read.
    pub fn training_fingerprint(&self, machine: &str) -> Result<String, Error> {
        self.fingerprint(&format!("train/machine `{machine}`"), || {
            self.index.training(machine)?.fingerprint_in(self.memory())
        })
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

    /// The training clips of machines with their sounds: neither labels nor test clips.
    ///
    /// # Errors
    /// As [`Recordings::training`].
    pub fn training_sets(
        &self,
        machines: &[String],
        experiment: &Experiment,
    ) -> Result<Vec<TrainingSet>, Error> {
        let set = |machine: &String| {
            let sounds = self.training(machine, experiment)?;
            let (clips, scale) = (self.index.training(machine)?, experiment.frontend.scale);
            Ok(TrainingSet::new(clips, sounds, scale, experiment.data.channel)?)
        };
        machines.iter().map(set).collect()
    }

    /// Sounds of a machine's training clips: neither labels nor test clips.
    ///
    /// # Errors
    /// When there is none, when clips are bad, when the cache cannot be written.
    pub fn training(&self, machine: &str, experiment: &Experiment) -> Result<Arc<Sounds>, Error> {
        let fingerprint = self.training_fingerprint(machine)?;
        let clips = self.index.training(machine)?;
        self.sounds(&Source::from(&clips), &fingerprint, experiment, &format!("{machine}: train"))
    }

    /// A machine's test clips, with their labels, and their sounds.
    ///
    /// # Errors
    /// As [`Recordings::training`].
    pub fn evaluation(
        &self,
        machine: &str,
        experiment: &Experiment,
    ) -> Result<(EvaluationClips, Arc<Sounds>), Error> {
        let clips = self.index.evaluation(machine)?;
        let fingerprint = self.evaluation_fingerprint(machine)?;
        let sounds =
            self.sounds(&Source::from(&clips), &fingerprint, experiment, &format!("{machine}: test"))?;
        Ok((clips, sounds))
    }

    /// Fingerprint of a machine's test clips and their labels; reads every byte of them once.
    ///
    /// # Errors
    /// When there is none, or one cannot be read.
    pub fn evaluation_fingerprint(&self, machine: &str) -> Result<String, Error> {
        self.fingerprint(&format!("labelled/{machine}"), || {
            self.index.evaluation(machine)?.fingerprint_in(self.memory())
        })
    }

    /// What `compute` says, once for each name.
    pub(super) fn fingerprint<E: Into<Error>>(
        &self,
        of: &str,
        compute: impl FnOnce() -> Result<String, E>,
    ) -> Result<String, Error> {
        if let Some((known, _)) = self.fingerprints.borrow().get(of) {
            return Ok(known.clone());
        }
        let began = SystemTime::now();
        let fingerprint = compute().map_err(Into::into)?;
        self.fingerprints.borrow_mut().insert(of.to_owned(), (fingerprint.clone(), began));
        Ok(fingerprint)
    }

    /// When the computation of a fingerprint began; long ago of one that was not computed here.
    pub(super) fn known_since(&self, fingerprint: &str) -> SystemTime {
        let known = self.fingerprints.borrow();
        let began = known.values().filter(|(known, _)| known == fingerprint).map(|(_, began)| *began);
        began.min().unwrap_or(SystemTime::UNIX_EPOCH)
    }

    /// What the experiment's family hears of some clips; `what` they are stands before the progress.
    fn sounds(
        &self,
        source: &Source<'_>,
        fingerprint: &str,
        experiment: &Experiment,
        what: &str,
    ) -> Result<Arc<Sounds>, Error> {
        match experiment.task.hears() {
            Hears::LogMels => self.logmels(source, fingerprint, experiment, what),
            Hears::Waves => self.waves(source, fingerprint, experiment, what),
        }
    }

    fn logmels(
        &self,
        source: &Source<'_>,
        fingerprint: &str,
        experiment: &Experiment,
        what: &str,
    ) -> Result<Arc<Sounds>, Error> {
        let cache = &self.cache.join(LOGMELS);
        let request = logmels_request(cache, fingerprint, experiment);
        let LogMelsRequest { spec, channel, on_bad_clip, min_frames, .. } = request;
        let key = format!("{fingerprint} {spec:?} {channel:?} {on_bad_clip:?} {min_frames}");
        self.opened(key, &format!("{what} log-mels"), |progress| {
            LogMels::open(source, &LogMelsRequest { progress, ..request }).map(Sounds::LogMels)
        })
    }

    fn waves(
        &self,
        source: &Source<'_>,
        fingerprint: &str,
        experiment: &Experiment,
        what: &str,
    ) -> Result<Arc<Sounds>, Error> {
        let sounds = self.any_waves(source, fingerprint, experiment, what)?;
        sounds.waves()?.check_any(source)?;
        Ok(sounds)
    }

    /// Samples of some clips, whatever the experiment's family is; none where all are bad and left out.
    pub(super) fn any_waves(
        &self,
        source: &Source<'_>,
        fingerprint: &str,
        experiment: &Experiment,
        what: &str,
    ) -> Result<Arc<Sounds>, Error> {
        let cache = &self.cache.join(WAVES);
        let known_since = self.known_since(fingerprint);
        let request = WavesRequest { known_since, ..waves_request(cache, fingerprint, experiment) };
        let WavesRequest { rate_hz, channel, on_bad_clip, .. } = request;
        let key = format!("{fingerprint} {rate_hz} Hz {channel:?} {on_bad_clip:?}");
        self.opened(key, &format!("{what} clips"), |progress| {
            Waves::open(source, &WavesRequest { progress, ..request }).map(Sounds::Waves)
        })
    }

    /// What was opened as `key`, or is now.
    fn opened(
        &self,
        key: String,
        what: &str,
        open: impl FnOnce(&(dyn Fn(u64, u64) + Sync)) -> Result<Sounds, task::Error>,
    ) -> Result<Arc<Sounds>, Error> {
        if let Some(known) = self.sounds.borrow().get(&key) {
            return Ok(Arc::clone(known));
        }
        let bar = self.ui.bar(what, 0, "clips");
        let opened = open(&|done, all| bar.at(done, all))?;
        bar.clear();
        for bad in opened.bad() {
            self.ui.warn(&format!("left out {}: {}", bad.path, bad.reason));
        }
        let opened = Arc::new(opened);
        self.sounds.borrow_mut().insert(key, Arc::clone(&opened));
        Ok(opened)
    }
}
