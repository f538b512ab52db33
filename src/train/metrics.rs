//! `metrics.jsonl`: one line per epoch, appended as it ends.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::files::{self, Durability};

/// One epoch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EpochLine {
    /// From 1.
    pub epoch: usize,
    /// Mean training loss over the epoch's examples, while the weights moved.
    pub loss: f64,
    /// Learning rate.
    pub lr: f64,
    /// Whether no earlier epoch had a loss as low.
    pub best: bool,
    /// Wall time of the part of the epoch that this process trained.
    pub seconds: f64,
    /// Examples per second in that time.
    pub examples_per_s: f64,
    /// What else the family measures of its batches, means over the epoch's examples, such as `accuracy`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub signals: BTreeMap<String, f64>,
    /// What these give reason to warn of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warning: Option<String>,
}

/// The open file.
#[derive(Debug)]
pub struct Metrics {
    file: File,
    path: PathBuf,
}

impl Metrics {
    /// Open for appending after `epochs` lines. Lines of epochs that a killed process trained after its last
    /// checkpoint are dropped, as is a torn last line: these epochs are trained again.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn open(path: &Path, epochs: usize) -> Result<Self, files::Error> {
        let old = match files::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.is_missing() => Vec::new(),
            Err(error) => return Err(error),
        };
        let lines = old.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n"));
        let kept: Vec<u8> = lines.take(epochs).flatten().copied().collect();
        files::write(path, &kept, Durability::Flushed)?;
        let file =
            OpenOptions::new().append(true).open(path).map_err(|e| files::Error::new("write", path, e))?;
        Ok(Self { file, path: path.to_owned() })
    }

    /// Put all lines on the disk, before a checkpoint counts on them.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn sync(&self) -> Result<(), files::Error> {
        self.file.sync_data().map_err(|e| files::Error::new("write", &self.path, e))
    }

    /// Append a line.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn append(&mut self, line: &EpochLine) -> Result<(), files::Error> {
        let fail = |e| files::Error::new("write", &self.path, e);
        let mut text = serde_json::to_vec(line).map_err(|e| fail(e.into()))?;
        text.push(b'\n');
        self.file.write_all(&text).map_err(fail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resumed_file_keeps_the_checkpoints_epochs_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        let line = |epoch| EpochLine {
            epoch,
            loss: 0.1,
            lr: 1e-3,
            best: true,
            seconds: 1.0,
            examples_per_s: 2.0,
            signals: BTreeMap::from([("accuracy".to_owned(), 0.5)]),
            warning: None,
        };
        let mut metrics = Metrics::open(&path, 0).unwrap();
        for epoch in 1..=3 {
            metrics.append(&line(epoch)).unwrap();
        }
        drop(metrics);
        let mut torn = std::fs::read(&path).unwrap();
        torn.extend(b"{\"epo");
        std::fs::write(&path, torn).unwrap();
        Metrics::open(&path, 2).unwrap().append(&line(9)).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let epochs: Vec<usize> =
            text.lines().map(|l| serde_json::from_str::<EpochLine>(l).unwrap().epoch).collect();
        assert_eq!(epochs, [1, 2, 9]);
    }
}
