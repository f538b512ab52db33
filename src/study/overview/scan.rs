//! The runs of a folder: those that are trained and judged, and why the others are not.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Component, Path, PathBuf};

use serde::Serialize;

use super::counts::{Counts, State};
use crate::run::{self, Manifest, RunFolder, Status};
use crate::study::plan::{self, Plan, PlannedTrial};
use crate::study::results::{Origin, ResultRow};
use crate::study::{Error, Evaluation, NOTHING_DRAWN};

/// A trial that has no results.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// Its folder, below that of all runs.
    pub path: String,
    /// Where it stands.
    pub state: State,
    /// Why, and what to do.
    pub why: String,
}

/// A trained and judged run.
#[derive(Debug)]
pub(super) struct Judged {
    pub folder: RunFolder,
    /// Below the folder of all runs.
    pub path: String,
    pub manifest: Manifest,
    pub evaluation: Evaluation,
}

/// All that a folder of runs holds.
#[derive(Debug)]
pub(super) struct Scan {
    /// The folder of all runs.
    pub runs: PathBuf,
    /// Sorted by path.
    pub judged: Vec<Judged>,
    /// Sorted by path.
    pub left_out: Vec<LeftOut>,
    /// What the sweeps of this folder intend, sorted by name.
    pub plans: Vec<Plan>,
    /// What makes the results hard to compare, for people.
    pub warnings: Vec<String>,
}

/// Look at all runs below a folder.
///
/// # Errors
/// Where there is no run, and no sweep that planned some.
pub(super) fn scan(runs: &Path) -> Result<Scan, Error> {
    let mut scan = Scan {
        runs: runs.to_owned(),
        judged: Vec::new(),
        left_out: Vec::new(),
        plans: Vec::new(),
        warnings: Vec::new(),
    };
    match Plan::read_all(runs) {
        Ok(plans) => scan.plans = plans,
        Err(error) => scan.warnings.push(format!(
            "what the sweep intended is not known, so that missing trials cannot be named: {}",
            below(runs, &error.to_string())
        )),
    }
    let folders = match RunFolder::find(runs) {
        // All trials of a sweep may have failed before they had a folder.
        Err(run::Error::NoRun(_)) if !scan.plans.is_empty() => Vec::new(),
        found => found?,
    };
    for folder in folders {
        let path = relative(runs, folder.path());
        match look(&folder) {
            Ok((manifest, evaluation)) => scan.judged.push(Judged { folder, path, manifest, evaluation }),
            Err((state, why)) => scan.left_out.push(LeftOut { path, state, why: below(runs, &why) }),
        }
    }
    scan.set_contradictions_aside();
    scan.add_missing();
    scan.say_why_not_judged();
    scan.left_out.sort_by(|a, b| a.path.cmp(&b.path));
    scan.warnings.extend(scan.measured_otherwise());
    scan.warnings.extend(scan.not_planned());
    Ok(scan)
}

impl Scan {
    /// A message that names files below the folder of all runs only.
    pub(super) fn below(&self, message: &str) -> String {
        below(&self.runs, message)
    }

    /// The results of all judged runs.
    pub(super) fn rows(&self) -> Vec<ResultRow> {
        let row = |one: &Judged| ResultRow {
            origin: Origin::file(&one.folder.file("eval.json")),
            ..ResultRow::from(&one.evaluation)
        };
        self.judged.iter().map(row).collect()
    }

    /// One trial in two folders, and a family that is measured in two ways, would make the means meaningless: the first
    /// one stays.
    fn set_contradictions_aside(&mut self) {
        let (mut trials, mut proxies) = (HashMap::new(), HashMap::new());
        let mut kept = Vec::new();
        for one in std::mem::take(&mut self.judged) {
            let run = &one.evaluation;
            let trial = (run.family.clone(), run.config.clone(), run.machine.clone(), run.seed);
            let proxy = (run.proxy.name.clone(), run.proxy.higher_is_better);
            let same: Option<&String> = trials.get(&trial);
            let (known, of) = proxies.entry(run.family.clone()).or_insert((proxy.clone(), one.path.clone()));
            let why = match same {
                Some(other) => Some(format!("it is the same trial as {other}; remove one of the two")),
                None if *known != proxy => Some(format!(
                    "its proxy metric is `{}`, that of {of} is `{}`; judge both with `asdbench eval`",
                    proxy.0, known.0
                )),
                None => None,
            };
            match why {
                Some(why) => self.left_out.push(LeftOut { path: one.path, state: State::Damaged, why }),
                None => {
                    trials.insert(trial, one.path.clone());
                    kept.push(one);
                }
            }
        }
        self.judged = kept;
    }

    /// Planned trials that have no folder. Where nothing is drawn, one seed stands for all.
    fn add_missing(&mut self) {
        let there: HashSet<&str> = self.paths().collect();
        let judged = self.judged.iter().map(|one| &one.evaluation);
        let any_seed: HashSet<[&str; 3]> = judged
            .filter(|run| NOTHING_DRAWN.contains(&run.family.as_str()))
            .map(|run| [run.family.as_str(), &run.config, &run.machine])
            .collect();
        let wanted = |trial: &&PlannedTrial| {
            !there.contains(trial.path.as_str())
                && !any_seed.contains(&[trial.family.as_str(), &trial.config, &trial.machine])
        };
        let mut missing: BTreeMap<&str, (State, String)> = BTreeMap::new();
        for plan in &self.plans {
            for trial in plan.trials.iter().filter(wanted) {
                let begins = || (State::Missing, "it was not begun; the same sweep begins it".to_owned());
                let failed = |why: String| (State::Failed, below(&self.runs, &why));
                let stands = plan.failure(&self.runs, trial).map_or_else(begins, failed);
                missing.entry(&trial.path).or_insert(stands);
            }
        }
        let missing: Vec<LeftOut> = missing
            .into_iter()
            .map(|(path, (state, why))| LeftOut { path: path.to_owned(), state, why })
            .collect();
        self.left_out.extend(missing);
    }

    /// Of runs that are trained and not judged, those that a sweep failed to judge say why: to judge them once more fails
    /// again.
    fn say_why_not_judged(&mut self) {
        let not_judged = self.left_out.iter_mut().filter(|run| run.state == State::NotJudged);
        let mut not_judged: HashMap<String, &mut LeftOut> =
            not_judged.map(|run| (run.path.clone(), run)).collect();
        for plan in &self.plans {
            for trial in &plan.trials {
                let Some(run) = not_judged.get_mut(&trial.path) else { continue };
                if let Some(why) = plan.failure(&self.runs, trial) {
                    run.state = State::Failed;
                    run.why = format!("it is trained and not judged (failed: {})", below(&self.runs, &why));
                }
            }
        }
    }

    /// Results of configurations that no plan has, where there is one.
    fn not_planned(&self) -> Vec<String> {
        // family/config/machine/seed-n
        let configuration = |path: &'_ str| Path::new(path).ancestors().nth(2).map(Path::to_owned);
        let planned: HashSet<_> = self
            .plans
            .iter()
            .flat_map(|plan| plan.trials.iter().map(|trial| configuration(&trial.path)))
            .collect();
        let mut others: BTreeMap<&str, usize> = BTreeMap::new();
        let unknown = |run: &&Judged| !self.plans.is_empty() && !planned.contains(&configuration(&run.path));
        for run in self.judged.iter().filter(unknown) {
            *others.entry(&run.evaluation.family).or_default() += 1;
        }
        plan::not_planned(others)
    }

    /// Runs that were not measured as others of their family or machine type were.
    fn measured_otherwise(&self) -> Vec<String> {
        let (mut settings, mut tests) = (HashMap::new(), HashMap::new());
        let mut others: BTreeMap<String, usize> = BTreeMap::new();
        for Judged { evaluation: run, .. } in &self.judged {
            let own = measuring(run);
            if *settings.entry(&run.family).or_insert_with(|| own.clone()) != own {
                *others
                    .entry(format!("runs of {} were judged with other [eval] settings", run.family))
                    .or_default() += 1;
            }
            if *tests.entry(&run.machine).or_insert(&run.test_fingerprint) != &run.test_fingerprint {
                *others
                    .entry(format!("runs on {} were judged on other test clips", run.machine))
                    .or_default() += 1;
            }
        }
        others
            .into_iter()
            .map(|(what, count)| format!("{count} {what} than the first: their results do not compare"))
            .collect()
    }

    fn paths(&self) -> impl Iterator<Item = &str> {
        let left_out = self.left_out.iter().map(|one| one.path.as_str());
        self.judged.iter().map(|one| one.path.as_str()).chain(left_out)
    }

    /// Where each of some trials stands; those that others stand for are not counted.
    pub(super) fn counts<'a>(&'a self, trials: impl Iterator<Item = &'a str>) -> Counts {
        let states: HashMap<&str, State> = self
            .left_out
            .iter()
            .map(|one| (one.path.as_str(), one.state))
            .chain(self.judged.iter().map(|one| (one.path.as_str(), State::Done)))
            .collect();
        Counts::from_iter(trials.filter_map(|path| states.get(path).copied()))
    }

    /// Where all of them stand, planned or not.
    pub(super) fn all(&self) -> Counts {
        self.counts(self.paths())
    }

    /// Where those of one family stand.
    pub(super) fn of_family(&self, family: &str) -> Counts {
        let of: HashMap<&str, &PlannedTrial> = self
            .plans
            .iter()
            .flat_map(|plan| &plan.trials)
            .map(|trial| (trial.path.as_str(), trial))
            .collect();
        let judged: HashMap<&str, &str> =
            self.judged.iter().map(|one| (one.path.as_str(), one.evaluation.family.as_str())).collect();
        let family_of = |path: &str| {
            let planned = of.get(path).map(|trial| trial.family.as_str());
            // runs/family/config/machine/seed-n
            planned
                .or_else(|| judged.get(path).copied())
                .map_or_else(|| path.rsplit('/').nth(3) == Some(family), |known| known == family)
        };
        self.counts(self.paths().filter(|path| family_of(path)))
    }
}

/// A run's results, or where it stands and why it has none.
fn look(folder: &RunFolder) -> Result<(Manifest, Evaluation), (State, String)> {
    let damaged = |error: run::Error| match error {
        // Training it again would be much ado.
        run::Error::Damaged { path, why } if path.ends_with("eval.json") => {
            (State::Damaged, format!("its eval.json is damaged ({why}); judge it with `asdbench eval`"))
        }
        other => (State::Damaged, other.to_string()),
    };
    let why = match folder.status().map_err(damaged)? {
        Some(Status::Done) => None,
        Some(Status::Failed(why)) if why.is_empty() => {
            Some((State::Failed, "no reason was given".to_owned()))
        }
        Some(Status::Failed(why)) => Some((State::Failed, why)),
        Some(Status::Interrupted) => {
            Some((State::HalfDone, "it was interrupted; the same command goes on with it".to_owned()))
        }
        Some(Status::Running) => Some(match folder.lock() {
            Err(run::Error::Locked(_)) => (State::HalfDone, "another process works on it".to_owned()),
            _ => (
                State::HalfDone,
                "it was stopped before its end; the same command goes on with it".to_owned(),
            ),
        }),
        None => Some((State::HalfDone, "it has no status; the same command begins it anew".to_owned())),
    };
    if let Some(why) = why {
        return Err(why);
    }
    let gone = || (State::Damaged, "its manifest.json is gone; train it again".to_owned());
    let manifest = folder.manifest().map_err(damaged)?.ok_or_else(gone)?;
    if !folder.file("eval.json").exists() {
        return Err((State::NotJudged, "judge it with `asdbench eval`".to_owned()));
    }
    let evaluation: Evaluation = folder.read_json("eval.json").map_err(damaged)?;
    if manifest.model.as_ref().is_some_and(|trained| *trained != evaluation.model) {
        let why = "other weights were judged than it has now; judge it with `asdbench eval`";
        return Err((State::NotJudged, why.to_owned()));
    }
    let same = (&manifest.family, &manifest.config, &manifest.machine, manifest.seed)
        == (&evaluation.family, &evaluation.config, &evaluation.machine, evaluation.seed);
    match same {
        true => Ok((manifest, evaluation)),
        false => Err((
            State::Damaged,
            "its eval.json is that of another run; judge it with `asdbench eval`".to_owned(),
        )),
    }
}

/// Settings that decide how something is measured. What is published of checkpoints is looked up, each by its own.
fn measuring(run: &Evaluation) -> Option<serde_json::Value> {
    let mut settings = serde_json::to_value(&run.settings).ok()?;
    settings.as_object_mut()?.remove("pretrained");
    Some(settings)
}

/// A run's folder below that of all runs, with `/` on every system.
fn relative(runs: &Path, folder: &Path) -> String {
    let relative = folder.strip_prefix(runs).unwrap_or(folder);
    let names: Vec<_> = relative
        .components()
        .filter(|part| !matches!(part, Component::CurDir))
        .map(|part| part.as_os_str().to_string_lossy())
        .collect();
    match names.is_empty() {
        true => ".".to_owned(),
        false => names.join("/"),
    }
}

/// A message that names files below the folder of all runs only, so that the same runs give the same report wherever they lie.
fn below(runs: &Path, message: &str) -> String {
    let folder = runs.display().to_string();
    let folder = folder.trim_end_matches('/');
    match folder {
        "" | "." => message.to_owned(),
        _ => message.replace(&format!("{folder}/"), ""),
    }
}
