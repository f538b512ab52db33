//! The trials of a study: what is intended, and which part of it one process does.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::message::Job;
use super::scan::{self, Standing};
use super::{Error, Shard};
use crate::config::{DataConfig, Experiment, Study, StudyFamily};
use crate::run::RunFolder;
use crate::study::plan::{Plan, PlannedTrial};
use crate::study::{self, Recordings, Trial, cache_folder};
use crate::ui::Ui;

/// Which of a study's trials are done here.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// One of some parts; all without it.
    pub shard: Option<Shard>,
    /// Families by name; all where it is empty.
    pub only: Vec<String>,
}

/// A trial of a study.
pub struct SweepTrial<'a> {
    /// What is trained and where it goes.
    pub trial: Trial,
    /// Its place in the plan, from 0.
    pub position: usize,
    /// The run's folder below the runs folder.
    pub path: PathBuf,
    /// Trials of one number share one training, where a network learns several machine types.
    pub(super) training: usize,
    pub(super) recordings: Rc<Recordings<'a>>,
}

/// A study on its data.
pub struct Sweep<'a> {
    plan: Plan,
    trials: Vec<SweepTrial<'a>>,
    runs: PathBuf,
    ui: &'a Ui,
}

impl<'a> Sweep<'a> {
    /// The trials of a study, which go to `runs`; indexes the data sets and writes nothing.
    ///
    /// # Errors
    /// When a data set cannot be used, two trials are one, or no family has a name that was asked for.
    pub fn open(study: &Study, runs: &Path, selection: &Selection, ui: &'a Ui) -> Result<Self, study::Error> {
        check_names(study, &selection.only)?;
        let mut opened = Opened { runs, ui, all: Vec::new() };
        let mut sweep = Self {
            plan: Plan {
                schema: 1,
                name: study.name.clone(),
                trials: Vec::new(),
                protocol: study.protocol.clone(),
            },
            trials: Vec::new(),
            runs: runs.to_owned(),
            ui,
        };
        let (mut trainings, mut files) = (HashMap::new(), HashMap::new());
        for family in &study.families {
            for experiment in &family.experiments {
                let recordings = opened.recordings(experiment)?;
                for trial in study::trials(std::slice::from_ref(experiment), &recordings, runs) {
                    let path = trial.folder.path().strip_prefix(runs).unwrap_or(trial.folder.path());
                    let path = path.to_owned();
                    if let Some(first) = files.insert(path.clone(), &family.file) {
                        return Err(twice(&path, first, &family.file).into());
                    }
                    let next = trainings.len();
                    let training = *trainings.entry(training_of(&trial)).or_insert(next);
                    let position = sweep.plan.trials.len();
                    sweep.plan.trials.push(planned(&trial, &path));
                    let named = selection.only.is_empty() || selection.only.contains(&name(experiment));
                    if named && selection.shard.is_none_or(|shard| shard.has(training)) {
                        let recordings = Rc::clone(&recordings);
                        sweep.trials.push(SweepTrial { trial, position, path, training, recordings });
                    }
                }
            }
        }
        Ok(sweep)
    }

    /// What the whole study intends, whichever part is done here.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The trials that are done here, in the order of the plan.
    pub fn trials(&self) -> &[SweepTrial<'a>] {
        &self.trials
    }

    /// The folder of the runs.
    pub fn runs(&self) -> &Path {
        &self.runs
    }

    pub(super) fn ui(&self) -> &'a Ui {
        self.ui
    }

    /// Where each of [`Sweep::trials`] stands; an error is that trial's alone.
    ///
    /// Reads every byte of the clips of a machine type once, where one of its runs was begun.
    pub fn scan(&self) -> Vec<Result<Standing, study::Error>> {
        self.trials.iter().map(SweepTrial::standing).collect()
    }
}

impl SweepTrial<'_> {
    /// Where it stands.
    ///
    /// # Errors
    /// As [`Trial::state`].
    pub fn standing(&self) -> Result<Standing, study::Error> {
        scan::standing(&self.trial, &self.recordings)
    }

    /// Whether the sounds that it hears are in the cache; not where their clips cannot be read.
    pub fn is_cached(&self) -> bool {
        let Trial { machine, learnt, experiment, .. } = &self.trial;
        self.recordings.is_cached(machine, learnt, experiment).unwrap_or(false)
    }

    /// What its worker is told.
    pub(super) fn job(&self) -> Job {
        let Trial { experiment, machine, learnt, seed, .. } = self.trial.clone();
        Job { experiment, machine, learnt, seed }
    }
}

/// Data sets that were indexed.
struct Opened<'a, 'b> {
    runs: &'b Path,
    ui: &'a Ui,
    all: Vec<(DataConfig, Rc<Recordings<'a>>)>,
}

impl<'a> Opened<'a, '_> {
    fn recordings(&mut self, experiment: &Experiment) -> Result<Rc<Recordings<'a>>, study::Error> {
        if let Some((_, known)) = self.all.iter().find(|(config, _)| *config == experiment.data) {
            return Ok(Rc::clone(known));
        }
        let recordings = Recordings::open(&experiment.data, cache_folder(self.runs), self.ui)?;
        let recordings = Rc::new(recordings.remembering());
        self.all.push((experiment.data.clone(), Rc::clone(&recordings)));
        Ok(recordings)
    }
}

/// By what trials are known that one training serves: its folder without the machine type, or all of it.
fn training_of(trial: &Trial) -> PathBuf {
    let path = trial.folder.path();
    match (trial.learnt.as_slice(), path.ancestors().nth(2), path.file_name()) {
        // runs/family/config/machine/seed-n
        ([_, _, ..], Some(config), Some(seed)) => config.join(seed),
        _ => path.to_owned(),
    }
}

fn planned(trial: &Trial, path: &Path) -> PlannedTrial {
    let parts: Vec<_> = path.iter().map(|part| part.to_string_lossy()).collect();
    PlannedTrial {
        path: parts.join("/"),
        family: name(&trial.experiment),
        config: RunFolder::config_name(&trial.experiment),
        machine: trial.machine.clone(),
        seed: trial.seed,
    }
}

fn name(experiment: &Experiment) -> String {
    experiment.family().to_owned()
}

/// Whether a study has all families that were asked for.
///
/// # Errors
/// Where it has not.
pub fn check_names(study: &Study, only: &[String]) -> Result<(), Error> {
    let experiments = study.families.iter().flat_map(|family: &StudyFamily| &family.experiments);
    let mut seen = HashSet::new();
    let known: Vec<String> = experiments.map(name).filter(|name| seen.insert(name.clone())).collect();
    match only.iter().find(|wanted| !known.contains(wanted)) {
        Some(wanted) => Err(Error::NoFamily { wanted: wanted.clone(), known: known.join(", ") }),
        None => Ok(()),
    }
}

fn twice(path: &Path, first: &Path, second: &Path) -> Error {
    let text = |path: &Path| path.display().to_string();
    Error::Twice { path: text(path), first: text(first), second: text(second) }
}
