//! One run's folder.

use std::fmt;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{Error, Manifest};
use crate::config::Experiment;
use crate::files::{self, Durability};
use crate::seal::{self, Seal};

/// Where a run stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// A process works on it, or was killed while it did.
    Running,
    /// Stopped by the user; resumes.
    Interrupted,
    /// Ended by an error, which is given.
    Failed(String),
    /// Trained to the end.
    Done,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl Status {
    /// The status in one word, without the reason of a failure.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Interrupted => "interrupted",
            Self::Failed(_) => "failed",
            Self::Done => "done",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let (word, reason) = text.split_once('\n').unwrap_or((text, ""));
        match word.trim() {
            "running" => Some(Self::Running),
            "interrupted" => Some(Self::Interrupted),
            "failed" => Some(Self::Failed(reason.trim().to_owned())),
            "done" => Some(Self::Done),
            _ => None,
        }
    }
}

/// A run's folder and the names in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunFolder {
    path: PathBuf,
}

/// Held while a process works on a run; released when it is dropped or the process ends.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl RunFolder {
    /// The folder of one training below `runs`; nothing is made on disk.
    pub fn of(runs: &Path, experiment: &Experiment, machine: &str, seed: u64) -> Self {
        let path = runs
            .join(experiment.family())
            .join(Self::config_name(experiment))
            .join(machine)
            .join(format!("seed-{seed}"));
        Self { path }
    }

    /// A folder that is known to be a run's.
    pub fn at(path: PathBuf) -> Self {
        Self { path }
    }

    /// `<slug>-<hash8>`.
    pub fn config_name(experiment: &Experiment) -> String {
        format!("{}-{}", experiment.slug(), &experiment.training_hash()[..8])
    }

    /// All runs at or below a folder, sorted by path.
    ///
    /// # Errors
    /// [`Error::NoRun`] where there is none.
    pub fn find(above: &Path) -> Result<Vec<Self>, Error> {
        Self::find_by(above, &["manifest.json"])
    }

    /// As [`RunFolder::find`], and those whose manifest is gone.
    ///
    /// # Errors
    /// As there.
    pub fn find_traces(above: &Path) -> Result<Vec<Self>, Error> {
        Self::find_by(above, &["manifest.json", "status", "model.safetensors", "eval.json"])
    }

    /// All folders that hold one of these files.
    fn find_by(above: &Path, names: &[&str]) -> Result<Vec<Self>, Error> {
        let mut found: Vec<Self> = walkdir::WalkDir::new(above)
            .into_iter()
            // The cache holds thousands of files and no run.
            .filter_entry(|entry| entry.depth() == 0 || !entry.file_name().to_string_lossy().starts_with('.'))
            .filter_map(Result::ok)
            .filter(|entry| names.iter().any(|name| entry.file_name() == *name))
            .filter_map(|entry| entry.path().parent().map(|p| Self::at(p.to_owned())))
            .collect();
        found.sort_by(|a, b| a.path.cmp(&b.path));
        found.dedup();
        if found.is_empty() { Err(Error::NoRun(above.to_owned())) } else { Ok(found) }
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The trained weights.
    pub fn model(&self) -> PathBuf {
        self.file("model.safetensors")
    }

    /// One line per epoch.
    pub fn metrics(&self) -> PathBuf {
        self.file("metrics.jsonl")
    }

    /// The resume state.
    pub fn checkpoint(&self) -> PathBuf {
        self.path.join("checkpoint").join("state.zip")
    }

    /// Where the run stands; `None` where no run was started. One whose status is not to be made out counts as stopped
    /// before its end: the command that trained it goes on with it.
    ///
    /// # Errors
    /// When the status cannot be read.
    pub fn status(&self) -> Result<Option<Status>, Error> {
        match self.sound_status() {
            Err(Error::Damaged { path, why }) => {
                tracing::warn!("{} is damaged: {why}; the run counts as stopped", path.display());
                Ok(Some(Status::Running))
            }
            known => known,
        }
    }

    /// As [`RunFolder::status`], without a guess.
    ///
    /// # Errors
    /// When the status cannot be read, and [`Error::Damaged`] where it is not to be made out.
    pub fn sound_status(&self) -> Result<Option<Status>, Error> {
        let path = self.file("status");
        let text = match files::read_own(&path) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) if error.is_missing() => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        match Status::parse(&text) {
            Some(status) => Ok(Some(status)),
            None => Err(Error::Damaged { path, why: "it says no status".to_owned() }),
        }
    }

    /// Say where the run stands.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn set_status(&self, status: &Status) -> Result<(), Error> {
        let text = match status {
            Status::Failed(reason) => format!("failed\n{reason}\n"),
            other => format!("{}\n", other.word()),
        };
        Ok(files::write(&self.file("status"), text.as_bytes(), Durability::Flushed)?)
    }

    /// Make the folder and take it for this process.
    ///
    /// # Errors
    /// [`Error::Locked`] while another process holds it.
    pub fn lock(&self) -> Result<Lock, Error> {
        files::make_folder(&self.path)?;
        let path = self.file("lock");
        let file = files::open_lock(&path)?;
        match file.try_lock() {
            Ok(()) => Ok(Lock { _file: file }),
            Err(TryLockError::WouldBlock) => Err(Error::Locked(self.path.clone())),
            Err(TryLockError::Error(e)) => Err(files::Error::new("lock", &path, e).into()),
        }
    }

    /// Give up the resume state of a finished run, and what killed processes left half-written.
    pub fn clear_checkpoint(&self, _held: &Lock) {
        // None of this failing harms the run.
        let _ = files::remove(&self.checkpoint());
        files::sweep(&self.file("checkpoint"), Duration::ZERO);
        files::sweep(&self.path, Duration::ZERO);
        files::remove_empty_folder(&self.file("checkpoint"));
    }

    /// The manifest; `None` where there is none yet.
    ///
    /// # Errors
    /// When it cannot be read or is damaged.
    pub fn manifest(&self) -> Result<Option<Manifest>, Error> {
        match self.read_json::<Manifest>("manifest.json") {
            Ok(mut manifest) => {
                manifest
                    .check_names()
                    .map_err(|why| Error::Damaged { path: self.file("manifest.json"), why })?;
                if manifest.learnt.is_empty() {
                    manifest.learnt.push(manifest.machine.clone());
                }
                Ok(Some(manifest))
            }
            Err(Error::File(error)) if error.is_missing() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Write the manifest.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_manifest(&self, manifest: &Manifest) -> Result<(), Error> {
        self.write_json("manifest.json", manifest)
    }

    /// One of the run's JSON files.
    ///
    /// # Errors
    /// When it cannot be read, is not what it should be or not what was written.
    pub fn read_json<T: DeserializeOwned>(&self, name: &str) -> Result<T, Error> {
        let path = self.file(name);
        let bytes = files::read_own(&path)?;
        let why = match seal::of(&bytes) {
            Seal::Broken => "its content does not match its checksum".to_owned(),
            Seal::Whole | Seal::Absent => match serde_json::from_slice(&bytes) {
                Ok(value) => return Ok(value),
                Err(error) => error.to_string(),
            },
        };
        Err(Error::Damaged { path, why })
    }

    /// What the seal of one of its JSON files says.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn seal(&self, name: &str) -> Result<Seal, Error> {
        Ok(seal::of(&files::read_own(&self.file(name))?))
    }

    /// Write one of the run's JSON files, for people and programs: indented, numbers in full precision, with its seal.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_json<T: Serialize>(&self, name: &str, value: &T) -> Result<(), Error> {
        let path = self.file(name);
        let mut text = serde_json::to_string_pretty(value)
            .map_err(|e| Error::Damaged { path: path.clone(), why: e.to_string() })?;
        text.push('\n');
        Ok(files::write(&path, seal::sealed(&text).as_bytes(), Durability::Flushed)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_survives_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunFolder::at(folder.path().to_owned());
        assert_eq!(run.status().unwrap(), None);
        for status in [Status::Running, Status::Interrupted, Status::Failed("why\nnot".into()), Status::Done]
        {
            run.set_status(&status).unwrap();
            assert_eq!(run.status().unwrap(), Some(status));
        }
        // What nobody can make out is no reason to give a run up, and none to believe that it is done.
        for damaged in [&b"eone\n"[..], b"", b"\xffdone\n"] {
            std::fs::write(run.file("status"), damaged).unwrap();
            assert_eq!(run.status().unwrap(), Some(Status::Running));
            assert!(matches!(run.sound_status(), Err(Error::Damaged { .. })));
        }
    }

    #[test]
    fn a_json_file_that_was_changed_is_refused_and_one_without_a_seal_is_read() {
        let place = tempfile::tempdir().unwrap();
        let run = RunFolder::at(place.path().to_owned());
        let value = serde_json::json!({ "auc": 0.75, "clips": [1, 2] });
        run.write_json("eval.json", &value).unwrap();
        let text = files::read_text(&run.file("eval.json")).unwrap();
        let read = || run.read_json::<serde_json::Value>("eval.json");
        assert_eq!(
            (read().unwrap()["auc"].as_f64(), run.seal("eval.json").unwrap()),
            (Some(0.75), Seal::Whole)
        );
        std::fs::write(run.file("eval.json"), text.replace("0.75", "0.95")).unwrap();
        let message = read().unwrap_err().to_string();
        for word in ["eval.json is damaged", "checksum", "asdbench eval"] {
            assert!(message.contains(word), "{message}");
        }
        std::fs::write(run.file("eval.json"), b"{ \"auc\": \"\xff\" }").unwrap();
        assert!(matches!(read(), Err(Error::Damaged { .. })));
        std::fs::write(run.file("eval.json"), value.to_string()).unwrap();
        assert_eq!((read().unwrap(), run.seal("eval.json").unwrap()), (value, Seal::Absent));
    }

    #[test]
    fn a_folder_is_held_by_one_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunFolder::at(folder.path().join("run"));
        let held = run.lock().unwrap();
        assert!(matches!(run.lock(), Err(Error::Locked(_))));
        drop(held);
        run.lock().unwrap();
    }

    #[test]
    fn runs_are_found_at_any_depth_and_not_in_the_cache() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(RunFolder::find(folder.path()), Err(Error::NoRun(_))));
        for name in ["b/seed-0", "a/x/seed-1", ".cache/z"] {
            files::make_folder(&folder.path().join(name)).unwrap();
            files::write(&folder.path().join(name).join("manifest.json"), b"{}", Durability::Cached).unwrap();
        }
        let found = RunFolder::find(folder.path()).unwrap();
        let names: Vec<_> = found.iter().map(|r| r.path().strip_prefix(folder.path()).unwrap()).collect();
        assert_eq!(names, [Path::new("a/x/seed-1"), Path::new("b/seed-0")]);
        assert_eq!(RunFolder::find(&folder.path().join("b/seed-0")).unwrap().len(), 1);
    }
}
