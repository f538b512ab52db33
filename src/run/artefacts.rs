//! What a run's files held when they were written: BLAKE3 by the file's name.
//!
//! The manifest has those of what was trained, `eval.json` those of what was judged. Whoever makes a result of such a file reads
//! it through [`RunFolder::read_sound`]. Runs of earlier versions have no hashes: their files are read as they are.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use serde::Deserialize;

use super::{Error, RunFolder};
use crate::files;

/// BLAKE3 in hexadecimal, by name.
pub type Hashes = BTreeMap<String, String>;

/// What an evaluation may leave beside its `eval.json` and the tables of some families.
pub const JUDGED: [&str; 3] = ["features.npz", "scores.csv", "training_scores.csv"];
/// What a training leaves beside its weights, whose hash is the manifest's `model`.
pub const TRAINED: [&str; 2] = ["config.toml", "metrics.jsonl"];

/// Why a file is not used.
pub(super) const ALTERED: &str = "its content is not what asdbench wrote: its BLAKE3 hash is another";

/// What is read of an `eval.json`.
#[derive(Deserialize)]
struct Judged {
    #[serde(default)]
    artefacts: Hashes,
}

impl RunFolder {
    /// Hashes of those of its files that are there.
    ///
    /// # Errors
    /// When one is there and cannot be read.
    pub fn hashes<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> Result<Hashes, Error> {
        let mut hashes = Hashes::new();
        for name in names {
            match hash(&self.file(name)) {
                Ok(hash) => drop(hashes.insert(name.to_owned(), hash)),
                Err(error) if error.is_missing() => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(hashes)
    }

    /// The content of one of its files, which is what it was where `known` says what that is.
    ///
    /// # Errors
    /// When it cannot be read, and [`Error::Damaged`] where it is another's.
    pub fn read_sound(&self, name: &str, known: &Hashes) -> Result<Vec<u8>, Error> {
        let path = self.file(name);
        let bytes = files::read_own(&path)?;
        match known.get(name) {
            Some(hash) if blake3::hash(&bytes).to_hex().as_str() != hash => Err(altered(path.as_path())),
            _ => Ok(bytes),
        }
    }

    /// Whether one of its files is what it was, where `known` says what that is; memory holds a part of it.
    ///
    /// # Errors
    /// As [`RunFolder::read_sound`].
    pub fn check(&self, name: &str, known: &Hashes) -> Result<(), Error> {
        let path = self.file(name);
        match known.get(name) {
            Some(known) if hash(&path)? != *known => Err(altered(&path)),
            _ => Ok(()),
        }
    }

    /// What its `eval.json` says of the files beside it; nothing where it is not judged, or was by an earlier version.
    ///
    /// # Errors
    /// When `eval.json` is there and cannot be read.
    pub fn judged_hashes(&self) -> Result<Hashes, Error> {
        match self.read_json::<Judged>("eval.json") {
            Ok(judged) => Ok(judged.artefacts),
            Err(Error::File(error)) if error.is_missing() => Ok(Hashes::new()),
            Err(error) => Err(error),
        }
    }

    /// The epochs of a training as it wrote them; of a run without a manifest as they are.
    ///
    /// # Errors
    /// When they or the manifest cannot be read, or are not what was written.
    pub fn read_metrics(&self) -> Result<Vec<u8>, Error> {
        let known = match self.read_json::<Judged>("manifest.json") {
            Ok(trained) => trained.artefacts,
            Err(Error::File(error)) if error.is_missing() => Hashes::new(),
            Err(error) => return Err(error),
        };
        self.read_sound("metrics.jsonl", &known)
    }
}

fn altered(path: &Path) -> Error {
    Error::Damaged { path: path.to_owned(), why: ALTERED.to_owned() }
}

/// BLAKE3 of a file's content.
fn hash(path: &Path) -> Result<String, files::Error> {
    files::check_own(path)?;
    let read = || {
        let mut hasher = blake3::Hasher::new();
        hasher.update_reader(File::open(path)?)?;
        Ok(hasher.finalize().to_hex().to_string())
    };
    read().map_err(|e| files::Error::new("read", path, e))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::Durability;

    #[test]
    fn a_file_that_changed_is_refused_by_name_and_with_the_remedy() {
        let place = tempfile::tempdir().unwrap();
        let run = RunFolder::at(place.path().to_owned());
        let write =
            |content: &[u8]| files::write(&run.file("scores.csv"), content, Durability::Cached).unwrap();
        write(b"clip,score\n");
        let known = run.hashes(["features.npz", "scores.csv"]).unwrap();
        assert_eq!(known.keys().collect::<Vec<_>>(), ["scores.csv"], "what is not there has no hash");
        assert_eq!(run.read_sound("scores.csv", &known).unwrap(), b"clip,score\n");
        run.check("scores.csv", &known).unwrap();
        write(b"clip,scorf\n");
        let read = run.read_sound("scores.csv", &known).unwrap_err().to_string();
        assert!(read.contains("scores.csv is damaged") && read.contains("asdbench eval"), "{read}");
        assert_eq!(run.check("scores.csv", &known).unwrap_err().to_string(), read);
        // A run of before there were hashes.
        assert_eq!(run.read_sound("scores.csv", &Hashes::new()).unwrap(), b"clip,scorf\n");
        files::remove(&run.file("scores.csv")).unwrap();
        assert!(matches!(run.check("scores.csv", &known), Err(Error::File(error)) if error.is_missing()));
    }

    #[test]
    fn an_evaluation_of_before_there_were_hashes_has_none() {
        let place = tempfile::tempdir().unwrap();
        let run = RunFolder::at(place.path().to_owned());
        assert_eq!(run.judged_hashes().unwrap(), Hashes::new());
        run.write_json("eval.json", &serde_json::json!({ "schema": 1 })).unwrap();
        assert_eq!(run.judged_hashes().unwrap(), Hashes::new());
        let known = Hashes::from([("scores.csv".to_owned(), "00".to_owned())]);
        run.write_json("eval.json", &serde_json::json!({ "artefacts": known })).unwrap();
        assert_eq!(run.judged_hashes().unwrap(), known);
    }
}
