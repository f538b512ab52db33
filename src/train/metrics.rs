//! `metrics.jsonl`: one line per epoch, appended as it ends.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::files::{self, Appended, Durability};

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

/// The epochs in a file, in its order. A last line without its end is torn and no epoch: the training that was killed there
/// goes on before it. Neither is a line that is damaged.
///
/// # Errors
/// When the file cannot be read.
pub fn read_epochs(path: &Path) -> Result<Vec<EpochLine>, files::Error> {
    Ok(epochs_in(&files::read_own(path)?))
}

/// As [`read_epochs`], of the file's content.
pub fn epochs_in(bytes: &[u8]) -> Vec<EpochLine> {
    let lines = bytes.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n"));
    lines.filter_map(|line| serde_json::from_slice(line).ok()).collect()
}

/// The open file.
#[derive(Debug)]
pub struct Metrics {
    file: Appended,
}

impl Metrics {
    /// Open for appending after `epochs` lines. Lines of epochs that a killed process trained after its last
    /// checkpoint are dropped, as is a torn last line: these epochs are trained again.
    ///
    /// # Errors
    /// When the file cannot be written, or lacks one of these epochs: the best of them would be forgotten.
    pub fn open(path: &Path, epochs: usize) -> Result<Self, files::Error> {
        let old = match files::read_own(path) {
            Ok(bytes) => bytes,
            Err(error) if error.is_missing() => Vec::new(),
            Err(error) => return Err(error),
        };
        let lines = old.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n"));
        let lines: Vec<&[u8]> = lines.take(epochs).collect();
        let is_whole = |(n, line): (usize, &&[u8])| {
            serde_json::from_slice::<EpochLine>(line).is_ok_and(|line| line.epoch == n + 1)
        };
        let whole = lines.iter().enumerate().take_while(|line| is_whole(*line)).count();
        if whole < epochs {
            let why = format!(
                "the checkpoint beside it stands behind epoch {epochs}, and its line {} is missing or damaged; \
                 remove the folder `checkpoint` to start the run from its beginning",
                whole + 1
            );
            return Err(files::Error::new("continue", path, io::Error::new(io::ErrorKind::InvalidData, why)));
        }
        let kept = lines.concat();
        files::write(path, &kept, Durability::Flushed)?;
        Ok(Self { file: Appended::open(path)? })
    }

    /// Put all lines on the disk, before a checkpoint counts on them.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn sync(&self) -> Result<(), files::Error> {
        self.file.sync()
    }

    /// Append a line.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn append(&mut self, line: &EpochLine) -> Result<(), files::Error> {
        let fail = |e: serde_json::Error| files::Error::new("write", self.file.path(), e.into());
        let mut text = serde_json::to_vec(line).map_err(fail)?;
        text.push(b'\n');
        self.file.append(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(epoch: usize) -> EpochLine {
        EpochLine {
            epoch,
            loss: 0.1,
            lr: 1e-3,
            best: true,
            seconds: 1.0,
            examples_per_s: 2.0,
            signals: BTreeMap::from([("accuracy".to_owned(), 0.5)]),
            warning: None,
        }
    }

    #[test]
    fn a_resumed_file_keeps_the_checkpoints_epochs_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
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

    #[test]
    fn epochs_that_the_checkpoint_counts_on_must_be_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        assert!(Metrics::open(&path, 1).unwrap_err().to_string().contains("line 1 is missing"));
        let mut metrics = Metrics::open(&path, 0).unwrap();
        for epoch in 1..=3 {
            metrics.append(&line(epoch)).unwrap();
        }
        drop(metrics);
        let whole = std::fs::read_to_string(&path).unwrap();
        for (torn, lost) in
            [(whole.replacen("\"epoch\":2", "\"epoch\":3", 1), 2), (whole.replace(":3,", ":"), 3)]
        {
            std::fs::write(&path, &torn).unwrap();
            let refused = Metrics::open(&path, 3).unwrap_err().to_string();
            assert!(
                refused.contains("metrics.jsonl") && refused.contains(&format!("line {lost} ")),
                "{refused}"
            );
            assert_eq!(std::fs::read_to_string(&path).unwrap(), torn);
        }
    }

    #[test]
    fn a_file_torn_at_any_byte_has_the_epochs_before() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        let line = |epoch| EpochLine {
            epoch,
            loss: 0.5,
            lr: 1e-3,
            best: true,
            seconds: 1.0,
            examples_per_s: 2.0,
            signals: BTreeMap::new(),
            // Two bytes a character: a tear inside of one leaves no UTF-8.
            warning: Some("ρ – é".into()),
        };
        let mut metrics = Metrics::open(&path, 0).unwrap();
        (1..=2).for_each(|epoch| metrics.append(&line(epoch)).unwrap());
        drop(metrics);
        let whole = std::fs::read(&path).unwrap();
        let first = whole.iter().position(|byte| *byte == b'\n').unwrap();
        for length in 0..=whole.len() {
            std::fs::write(&path, &whole[..length]).unwrap();
            let epochs = read_epochs(&path).unwrap();
            let expected = usize::from(length > first) + usize::from(length == whole.len());
            assert_eq!(epochs, (1..=expected).map(line).collect::<Vec<_>>(), "{length}");
        }
        std::fs::write(&path, [&b"{\"epoch\": 1, \"loss\": 1e999}\n\xff\n[[[[\n"[..], &whole].concat())
            .unwrap();
        assert_eq!(read_epochs(&path).unwrap(), [line(1), line(2)]);
    }
}
