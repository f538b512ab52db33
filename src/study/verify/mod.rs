//! Whether runs are what they say: every file against its hash, every number that can be had from the files against
//! `eval.json`. Nothing is written, no recording and no device is needed.

mod derive;
mod differences;
mod scores;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;
use serde::Serialize;

use super::Evaluation;
use super::training::{CONFIG, MODEL, trained_hashes};
use crate::run::{self, Hashes, JUDGED, Manifest, RunFolder, Status, TRAINED, is_single};
use crate::seal::Seal;
use crate::ui::Ui;
use crate::{config, files};

/// What a look at a run found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Every file is what was written, and every number that can be derived is what `eval.json` says.
    Sound,
    /// Nothing contradicts it, but files of an earlier version have no hashes.
    Unverifiable,
    /// Its training is sound; it is not judged.
    NotJudged,
    /// It is not trained to its end, or somebody works on it.
    Unfinished,
    /// A file or a number is not what it should be.
    Damaged,
}

impl State {
    /// All of them, the best first.
    pub const ALL: [Self; 5] =
        [Self::Sound, Self::Unverifiable, Self::NotJudged, Self::Unfinished, Self::Damaged];

    /// For people.
    pub fn label(self) -> &'static str {
        match self {
            Self::Sound => "sound",
            Self::Unverifiable => "unverifiable",
            Self::NotJudged => "not judged",
            Self::Unfinished => "unfinished",
            Self::Damaged => "damaged",
        }
    }
}

/// What is wrong with a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The file, below the run's folder.
    pub file: String,
    /// What is wrong with it.
    pub why: String,
    /// How it becomes whole again.
    pub remedy: String,
}

/// One run, and whether it is what it says; one object of `asdbench verify --format json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Checked {
    /// The run's folder.
    pub path: String,
    /// Proxy-task family; none where there is no manifest to say it, as the next three.
    pub family: Option<String>,
    /// `<slug>-<hash8>`.
    pub config: Option<String>,
    /// Machine type.
    pub machine: Option<String>,
    /// Seed.
    pub seed: Option<u64>,
    /// What was found.
    pub state: State,
    /// Files whose content was compared with their hash or checksum.
    pub files: usize,
    /// Values of `eval.json` that were derived again and compared, to the last digit.
    pub numbers: usize,
    /// What is wrong.
    pub problems: Vec<Problem>,
    /// What could not be checked, and what must be known of what was.
    pub notes: Vec<String>,
}

/// Check runs, several at a time.
pub fn verify(folders: &[RunFolder], ui: &Ui) -> Vec<Checked> {
    crate::linalg::use_one_blas_thread();
    let bar = ui.bar("verify", folders.len() as u64, "runs");
    let checkpoints = Checkpoints::default();
    let one = |folder: &RunFolder| {
        let checked = Look::at(folder, &checkpoints).finish();
        bar.add(1);
        checked
    };
    let checked = folders.par_iter().map(one).collect();
    bar.clear();
    checked
}

/// BLAKE3 of checkpoints that several runs share, each read once; none of one that cannot be read.
#[derive(Default)]
struct Checkpoints(Mutex<HashMap<String, Option<String>>>);

impl Checkpoints {
    fn hash(&self, path: &str) -> Option<String> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let read = || {
            files::check_own(Path::new(path)).ok()?;
            let mut hasher = blake3::Hasher::new();
            hasher.update_reader(std::fs::File::open(path).ok()?).ok()?;
            Some(hasher.finalize().to_hex().to_string())
        };
        known.entry(path.to_owned()).or_insert_with(read).clone()
    }
}

/// One run while it is looked at.
struct Look<'a> {
    folder: &'a RunFolder,
    checked: Checked,
}

impl<'a> Look<'a> {
    fn at(folder: &'a RunFolder, checkpoints: &Checkpoints) -> Self {
        let checked = Checked {
            path: folder.path().display().to_string(),
            family: None,
            config: None,
            machine: None,
            seed: None,
            state: State::Sound,
            files: 0,
            numbers: 0,
            problems: Vec::new(),
            notes: Vec::new(),
        };
        let mut look = Self { folder, checked };
        let unfinished = match folder.sound_status() {
            Ok(Some(Status::Done)) => None,
            Ok(Some(Status::Failed(why))) => Some(format!("its training failed: {why}")),
            Ok(Some(status)) => Some(format!("it is not trained to its end ({status})")),
            Ok(None) => Some("it has no status: the command that trained it begins it anew".to_owned()),
            Err(error) => {
                look.unreadable("status", &error);
                None
            }
        };
        if let Some(manifest) = look.manifest(unfinished.is_some()) {
            match unfinished {
                Some(why) => look.stop(State::Unfinished, why),
                None => {
                    look.trained(&manifest, checkpoints);
                    look.judged(&manifest);
                }
            }
        }
        look
    }

    fn finish(self) -> Checked {
        let state = if self.checked.problems.is_empty() { self.checked.state } else { State::Damaged };
        Checked { state, ..self.checked }
    }

    fn manifest(&mut self, unfinished: bool) -> Option<Manifest> {
        match self.folder.manifest() {
            Ok(Some(manifest)) => {
                self.sealed("manifest.json");
                let Manifest { family, config, machine, seed, .. } = manifest.clone();
                self.checked = Checked {
                    family: Some(family),
                    config: Some(config),
                    machine: Some(machine),
                    seed: Some(seed),
                    ..self.checked.clone()
                };
                Some(manifest)
            }
            Ok(None) if unfinished => {
                self.stop(State::Unfinished, "it has no manifest yet".to_owned());
                None
            }
            Ok(None) => {
                self.problem("manifest.json", "it is gone", TRAIN_ANEW);
                None
            }
            Err(error) => {
                self.unreadable("manifest.json", &error);
                None
            }
        }
    }

    /// The files of the training.
    fn trained(&mut self, manifest: &Manifest, checkpoints: &Checkpoints) {
        let known = trained_hashes(manifest);
        let own = [MODEL].into_iter().filter(|_| manifest.pretrained.is_none());
        for name in own.chain(TRAINED).filter(|name| *name != CONFIG) {
            self.compare(name, &known);
        }
        if self.compare(CONFIG, &known) {
            self.configuration(manifest);
        }
        if let (Some(pretrained), Some(model)) = (&manifest.pretrained, &manifest.model) {
            let path = &pretrained.path;
            match checkpoints.hash(path) {
                Some(found) if found == *model => self.checked.files += 1,
                Some(_) => self.note(format!("{path} is another file now than when the run was made of it")),
                None => self.note(format!("{path} cannot be read from here: the checkpoint is not checked")),
            }
        }
    }

    /// Whether the configuration is what was trained.
    fn configuration(&mut self, manifest: &Manifest) {
        match config::load(&self.folder.file(CONFIG), &[]) {
            Ok(read) if read.experiment.training_hash() == manifest.config_hash => self.checked.numbers += 1,
            Ok(_) => {
                self.problem(CONFIG, "it is not the configuration that the run was trained with", WRITE_ANEW)
            }
            Err(error) => {
                let why = error.to_string();
                self.problem(CONFIG, why.lines().next().unwrap_or_default(), WRITE_ANEW);
            }
        }
    }

    /// The files of the evaluation, and its numbers.
    fn judged(&mut self, manifest: &Manifest) {
        let before = files::read_own(&self.folder.file("eval.json"));
        let evaluation = match (&before, self.folder.read_json::<Evaluation>("eval.json")) {
            (Err(error), _) if error.is_missing() => {
                return self.stop(State::NotJudged, "judge it with `asdbench eval`".to_owned());
            }
            (_, Err(error)) => return self.unreadable("eval.json", &error),
            (_, Ok(evaluation)) => evaluation,
        };
        let sound_so_far = self.checked.problems.len();
        self.sealed("eval.json");
        let stated =
            (&evaluation.family, &evaluation.config, evaluation.seed, &evaluation.machine, &evaluation.model);
        let own = (&manifest.family, &manifest.config, manifest.seed, &manifest.machine);
        if (stated.0, stated.1, stated.2, stated.3) != own {
            self.problem("eval.json", "it is that of another run", JUDGE_AGAIN);
        } else if manifest.model.as_ref().is_some_and(|model| model != stated.4) {
            self.problem("eval.json", "other weights were judged than the run has now", JUDGE_AGAIN);
        }
        let known = &evaluation.artefacts;
        for name in known.keys().filter(|name| !is_single(name)) {
            let why = format!("it has a hash of {name:?}, which is no file of the run");
            self.problem("eval.json", &why, JUDGE_AGAIN);
        }
        let expected = JUDGED[..2].iter().copied();
        let further =
            known.keys().map(String::as_str).filter(|name| is_single(name) && !JUDGED[..2].contains(name));
        let files: Vec<&str> = expected.chain(further).collect();
        let damaged = files.into_iter().filter(|name| !self.compare(name, known)).count();
        // Numbers of a file that is not what it was would only say so again.
        if damaged == 0 {
            match derive::derive(self.folder, manifest, &evaluation) {
                Ok(found) => {
                    self.checked.numbers += found.compared;
                    self.checked.notes.extend(found.notes);
                    for (file, why) in found.problems {
                        self.problem(file, &why, JUDGE_AGAIN);
                    }
                }
                Err((file, why)) => self.problem(file, &why, JUDGE_AGAIN),
            }
        }
        let judged_anew = || match (&before, files::read_own(&self.folder.file("eval.json"))) {
            (Ok(before), Ok(now)) => *before != now,
            _ => true,
        };
        if self.checked.problems.len() > sound_so_far && judged_anew() {
            self.checked.problems.truncate(sound_so_far);
            self.stop(State::Unfinished, "it was judged anew at this moment: verify it again".to_owned());
        }
    }

    /// Whether a file is there and what it was, as far as that is known.
    fn compare(&mut self, name: &str, known: &Hashes) -> bool {
        let is_there = files::check_own(&self.folder.file(name)).map_err(run::Error::from);
        match is_there.and_then(|()| self.folder.check(name, known)) {
            Ok(()) if known.contains_key(name) => self.checked.files += 1,
            Ok(()) => self.unhashed(format!("{name} has no hash: it was written before there were any")),
            Err(run::Error::File(error)) if error.is_missing() => {
                self.problem(name, "it is gone", remedy(name));
                return false;
            }
            Err(error) => {
                self.unreadable(name, &error);
                return false;
            }
        }
        true
    }

    /// Count a file that carries its own checksum, which its reading has compared.
    fn sealed(&mut self, name: &str) {
        match self.folder.seal(name) {
            Ok(Seal::Whole) => self.checked.files += 1,
            _ => self
                .unhashed(format!("{name} has no checksum: an earlier version or another program wrote it")),
        }
    }

    fn unreadable(&mut self, file: &str, error: &run::Error) {
        match error {
            run::Error::Damaged { path, why } => {
                let name = path.file_name().map_or(file.into(), |name| name.to_string_lossy());
                let why = why.clone();
                self.problem(&name.into_owned(), &why, remedy(file));
            }
            other => self.problem(file, &other.to_string(), "see to the disk, then verify again"),
        }
    }

    fn problem(&mut self, file: &str, why: &str, remedy: &str) {
        let run = self.folder.path().display().to_string();
        let remedy = remedy.replace("RUN", &run);
        self.checked.problems.push(Problem { file: file.to_owned(), why: why.to_owned(), remedy });
    }

    fn unhashed(&mut self, note: String) {
        self.checked.state = self.checked.state.max(State::Unverifiable);
        self.note(note);
    }

    fn stop(&mut self, state: State, why: String) {
        self.checked.state = state;
        self.note(why);
    }

    fn note(&mut self, note: String) {
        self.checked.notes.push(note);
    }
}

const JUDGE_AGAIN: &str = "judge it again with `asdbench eval RUN`";
const TRAIN_AGAIN: &str =
    "remove RUN/status, and the command that trained the run trains it again; then judge it again";
const TRAIN_ANEW: &str =
    "remove RUN, and the command that trained the run trains it again; then judge it again";
const WRITE_ANEW: &str = "`asdbench train` on the run's configuration writes it again";

/// How a file becomes whole again.
fn remedy(file: &str) -> &'static str {
    match Path::new(file).file_name().and_then(|name| name.to_str()) {
        Some("manifest.json") => TRAIN_ANEW,
        Some("model.safetensors" | "metrics.jsonl" | "status") => TRAIN_AGAIN,
        Some("config.toml") => WRITE_ANEW,
        _ => JUDGE_AGAIN,
    }
}
