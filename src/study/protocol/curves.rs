//! Training losses of runs, from their `metrics.jsonl`.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde::Deserialize;

use crate::run::{self, RunFolder};
use crate::study::results::ResultRow;

/// One run's training.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Curve {
    /// Mean training loss of each epoch.
    pub losses: Vec<f64>,
    /// The first warning of an epoch.
    pub warning: Option<String>,
}

impl Curve {
    /// By which share of its size the loss fell from the first epoch to the best one; none of fewer than two epochs.
    ///
    /// Losses may be below 0, as separation's is: the size is that of the larger of the two.
    pub fn fall(&self) -> Option<f64> {
        let first = *self.losses.first().filter(|_| self.losses.len() > 1)?;
        let best = self.losses.iter().copied().fold(first, f64::min);
        let size = first.abs().max(best.abs());
        Some(if size > 0.0 { (first - best) / size } else { 0.0 })
    }
}

/// The trainings of many runs.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Curves(HashMap<PathBuf, Curve>);

/// What is read of a line.
#[derive(Deserialize)]
struct Line {
    loss: f64,
    #[serde(default)]
    warning: Option<String>,
}

impl Curves {
    /// Of the runs that `rows` come from. A run without epochs, or whose `metrics.jsonl` cannot be read, has no curve: it is
    /// evidence beside the results, not one of them.
    pub fn read(rows: &[ResultRow]) -> Self {
        let of_runs = rows.par_iter().filter(|row| row.origin.line.is_none());
        let read = |row: &ResultRow| {
            let folder = RunFolder::at(row.origin.path.parent()?.to_owned());
            let bytes = match folder.read_metrics() {
                Ok(bytes) => bytes,
                Err(run::Error::File(error)) if error.is_missing() => return None,
                Err(error) => {
                    tracing::warn!("no training curve: {error}");
                    return None;
                }
            };
            let curve = parse(&String::from_utf8_lossy(&bytes));
            (!curve.losses.is_empty()).then(|| (row.origin.path.clone(), curve))
        };
        Self(of_runs.filter_map(read).collect())
    }

    /// Of the run whose `eval.json` is `path`.
    pub fn insert(&mut self, path: &Path, curve: Curve) {
        self.0.insert(path.to_owned(), curve);
    }

    /// That of a row's run.
    pub fn of(&self, row: &ResultRow) -> Option<&Curve> {
        self.0.get(&row.origin.path)
    }
}

/// A torn last line is no epoch.
fn parse(text: &str) -> Curve {
    let mut curve = Curve::default();
    for line in text.lines().filter_map(|line| serde_json::from_str::<Line>(line).ok()) {
        curve.losses.push(line.loss);
        curve.warning = curve.warning.or(line.warning);
    }
    curve
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loss_falls_by_a_share_of_its_size() {
        let fall = |losses: &[f64]| Curve { losses: losses.to_vec(), warning: None }.fall();
        assert_eq!(fall(&[4.0, 1.0, 2.0]), Some(0.75));
        assert_eq!(fall(&[1.0, 2.0]), Some(0.0));
        // 10 dB from 5 to -5, of 5; and a cosine that is nearly 1 from the start.
        assert_eq!(fall(&[5.0, -5.0]), Some(2.0));
        assert!((fall(&[-0.99, -0.9999]).unwrap() - 0.0099).abs() < 1e-5);
        assert_eq!((fall(&[1.0]), fall(&[]), fall(&[0.0, 0.0])), (None, None, Some(0.0)));
    }

    #[test]
    fn epochs_are_read_up_to_a_torn_line() {
        let text = "{\"epoch\":1,\"loss\":2.5}\n{\"epoch\":2,\"loss\":1.5,\"warning\":\"first\"}\n\
                    {\"epoch\":3,\"loss\":1.0,\"warning\":\"second\"}\n{\"epoch\":4,\"lo";
        assert_eq!(parse(text), Curve { losses: vec![2.5, 1.5, 1.0], warning: Some("first".into()) });
        assert_eq!(parse(""), Curve::default());
    }
}
