//! Clips that are to be heard: where they lie and how to see that they are still the same.

use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Error;
use crate::audio;
use crate::dataset::{self, EvaluationClips, SoundClips, TrainingClips};
use crate::files;

/// No cache entry takes this long between two writes: what is older was left by a killed process.
const ABANDONED: Duration = Duration::from_secs(3600);

/// A clip that was left out, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BadClip {
    /// Position in the list that was asked for.
    pub index: usize,
    /// Relative to the data set's root.
    pub path: String,
    /// The error that reading it gave.
    pub reason: String,
}

impl BadClip {
    pub(super) fn new(index: usize, path: &Path, error: &audio::Error) -> Self {
        Self { index, path: path.to_string_lossy().into_owned(), reason: error.to_string() }
    }
}

type Fingerprint<'a> = Box<dyn Fn() -> Result<String, dataset::Error> + Sync + 'a>;

/// What is common to clips to learn from, clips to be judged on and clips to be mixed with others.
pub struct Source<'a> {
    /// Whose clips they are, in words.
    of: String,
    pub(super) root: &'a Path,
    pub(super) paths: Vec<&'a Path>,
    fingerprint: Fingerprint<'a>,
}

impl<'a> From<&'a TrainingClips> for Source<'a> {
    fn from(clips: &'a TrainingClips) -> Self {
        Self {
            of: format!("machine `{}`", clips.machine()),
            root: clips.root(),
            paths: clips.clips().iter().map(|clip| clip.path.as_path()).collect(),
            fingerprint: Box::new(|| clips.fingerprint()),
        }
    }
}

impl<'a> From<&'a EvaluationClips> for Source<'a> {
    fn from(clips: &'a EvaluationClips) -> Self {
        Self {
            of: format!("machine `{}`", clips.machine),
            root: &clips.root,
            paths: clips.clips.iter().map(|labelled| labelled.clip.path.as_path()).collect(),
            fingerprint: Box::new(|| clips.fingerprint()),
        }
    }
}

impl<'a> From<&'a SoundClips> for Source<'a> {
    fn from(clips: &'a SoundClips) -> Self {
        Self {
            of: clips.of.clone(),
            root: &clips.root,
            paths: clips.clips.iter().map(|clip| clip.path.as_path()).collect(),
            fingerprint: Box::new(|| clips.fingerprint()),
        }
    }
}

impl Source<'_> {
    /// Whether the clips are those of a moment ago.
    pub(super) fn check(&self, fingerprint: &str) -> Result<(), Error> {
        match (self.fingerprint)()? == fingerprint {
            true => Ok(()),
            false => Err(Error::Changed(self.of.clone())),
        }
    }

    /// The error of a set in which no clip is good.
    pub(super) fn all_bad(&self, bad: &[BadClip]) -> Error {
        let first = bad.first().map_or(String::new(), |bad| bad.reason.clone());
        Error::NoClip(self.paths.len(), self.of.clone(), first)
    }
}

/// Make the folder of a cache, without what killed processes left in it.
pub(super) fn make_cache(folder: &Path) -> Result<(), files::Error> {
    files::make_folder(folder)?;
    files::sweep(folder, ABANDONED);
    Ok(())
}
