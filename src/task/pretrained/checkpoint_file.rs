//! The file of a checkpoint, known by what it holds.

use std::fs::{self, File, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use burn::tensor::Device;

use super::origin::advice;
use crate::nn;
use crate::nn::beside::config_beside;
use crate::nn::import::Checkpoint;
use crate::nn::precision::Precision;
use crate::nn::pretrained::{Encoder, Model, identify};
use crate::task::Error;

/// A checkpoint's file and the hash of its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckpointFile {
    path: PathBuf,
    stamp: Stamp,
    content_hash: String,
}

/// By which a file that was replaced is told without reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stamp {
    bytes: u64,
    modified: Option<SystemTime>,
}

impl CheckpointFile {
    /// Reads the whole file once.
    ///
    /// # Errors
    /// When it is not there, which says what to get and from where, or cannot be read.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let stamp = Stamp::of(path)?;
        let hash = || {
            let mut hasher = blake3::Hasher::new();
            hasher.update_reader(File::open(path)?)?;
            Ok(hasher.finalize())
        };
        let content_hash = hash().map_err(|why| unreadable(path, &why))?.to_hex().to_string();
        Ok(Self { path: path.to_owned(), stamp, content_hash })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// BLAKE3 of its content, in hexadecimal.
    pub fn content_hash(&self) -> &str {
        &self.content_hash
    }

    /// Whether nobody replaced it since it was opened, as far as size and time tell.
    pub fn is_unchanged(&self) -> bool {
        Stamp::of(&self.path).is_ok_and(|stamp| stamp == self.stamp)
    }

    /// What it is.
    ///
    /// # Errors
    /// When it is damaged or no checkpoint that is known.
    pub fn identify(&self) -> Result<Model, Error> {
        let checkpoint = self.checkpoint()?;
        let unfit = |why: nn::pretrained::Error| self.unfit(&why.to_string());
        let beside = config_beside(&checkpoint).map_err(unfit)?;
        identify(&checkpoint, beside.as_ref()).map_err(unfit)
    }

    /// Its network, which is `model`, on a device.
    ///
    /// # Errors
    /// When it cannot be read, or is another than it was.
    pub fn load(&self, model: &Model, device: &Device, precision: Precision) -> Result<Encoder, Error> {
        let checkpoint = self.checkpoint()?;
        let loaded =
            model.load(&checkpoint, device, precision).map_err(|why| self.unfit(&why.to_string()))?;
        match self.is_unchanged() {
            true => Ok(loaded),
            false => Err(self.unfit("it changed while it was in use; run the command again")),
        }
    }

    /// Its error knows the file.
    fn checkpoint(&self) -> Result<Checkpoint, Error> {
        Checkpoint::open(&self.path).map_err(|why| Error::Checkpoint(why.to_string()))
    }

    fn unfit(&self, why: &str) -> Error {
        Error::Checkpoint(format!("{}: {why}", self.path.display()))
    }
}

impl Stamp {
    fn of(path: &Path) -> Result<Self, Error> {
        let metadata = fs::metadata(path).map_err(|why| match why.kind() {
            io::ErrorKind::NotFound => {
                Error::Checkpoint(format!("there is no checkpoint {}: {}", path.display(), advice(path)))
            }
            _ => unreadable(path, &why),
        })?;
        if metadata.is_file() {
            return Ok(Self::from(metadata));
        }
        let why = match metadata.is_dir() {
            true => "it is a folder; name the file in it, such as model.safetensors",
            false => "it is not a regular file",
        };
        Err(unreadable(path, &io::Error::other(why)))
    }
}

impl From<Metadata> for Stamp {
    fn from(metadata: Metadata) -> Self {
        Self { bytes: metadata.len(), modified: metadata.modified().ok() }
    }
}

fn unreadable(path: &Path, why: &io::Error) -> Error {
    Error::Checkpoint(format!("failed to read the checkpoint {}: {why}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_known_by_its_content() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("a.pt");
        fs::write(&path, "one").unwrap();
        let one = CheckpointFile::open(&path).unwrap();
        assert_eq!(one.content_hash(), blake3::hash(b"one").to_hex().as_str());
        assert!(one.is_unchanged());
        fs::write(&path, "two and more").unwrap();
        assert!(!one.is_unchanged());
        assert_ne!(CheckpointFile::open(&path).unwrap().content_hash(), one.content_hash());
        fs::remove_file(&path).unwrap();
        assert!(!one.is_unchanged());
    }

    #[test]
    fn what_is_not_there_is_told_with_its_origin() {
        let place = tempfile::tempdir().unwrap();
        let missing = CheckpointFile::open(&place.path().join("BEATs_iter3.pt")).unwrap_err().to_string();
        for words in ["there is no checkpoint", "BEATs_iter3.pt: get BEATs_iter3.pt from the page of BEATs"] {
            assert!(missing.contains(words), "{missing}");
        }
        let folder = CheckpointFile::open(place.path()).unwrap_err().to_string();
        assert!(folder.contains("it is a folder; name the file in it"), "{folder}");
    }
}
