//! One side of a comparison: score files or runs, as lists of scored clips.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Error;
use crate::csv_lines::{self, Lines};
use crate::dataset::Domain;
use crate::files;
use crate::official::{self, Year};
use crate::run::{self, RunFolder, Status};

/// Where a system's scores were found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SystemKind {
    /// Score files as the challenge names them.
    ScoreFiles,
    /// `scores.csv` of runs.
    Runs,
}

/// A clip with one system's score.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Scored {
    /// As the source names it: a file name, or a path in the data set.
    pub path: String,
    pub score: f64,
    pub anomalous: bool,
    pub domain: Option<Domain>,
}

impl Scored {
    /// Without folders.
    pub fn file(&self) -> &str {
        self.path.rsplit(['/', '\\']).next().unwrap_or(&self.path)
    }
}

/// One machine by one run or submission.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Part {
    pub machine: String,
    /// None in score files.
    pub seed: Option<u64>,
    /// Where it was read.
    pub folder: PathBuf,
    /// Clips by section.
    pub sections: BTreeMap<String, Vec<Scored>>,
}

/// One side of a comparison.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct System {
    pub folder: PathBuf,
    pub kind: SystemKind,
    /// Of score files.
    pub year: Option<Year>,
    pub parts: Vec<Part>,
    pub notes: Vec<String>,
}

/// Reads score files where `folder` itself has some, else the runs at or below it.
pub(super) fn read(folder: &Path, truth: Option<&Path>, year: Option<Year>) -> Result<System, Error> {
    let entries = std::fs::read_dir(folder).map_err(|e| files::Error::new("open the folder", folder, e))?;
    let is_score = |name: &str| name.starts_with("anomaly_score_");
    if entries.flatten().any(|entry| entry.file_name().to_str().is_some_and(is_score)) {
        return Ok(of_submission(official::read(folder, truth, year)?));
    }
    let runs = RunFolder::find(folder).map_err(|error| match error {
        run::Error::NoRun(path) => Error::Neither(path),
        other => other.into(),
    })?;
    let mut notes = Vec::new();
    let parts: Result<Vec<Part>, Error> = runs.iter().map(|run| of_run(run, &mut notes)).collect();
    Ok(System { folder: folder.to_owned(), kind: SystemKind::Runs, year: None, parts: parts?, notes })
}

fn of_submission(submission: official::Submission) -> System {
    let scored = |row: official::Row| Scored {
        path: row.file,
        score: row.score,
        anomalous: row.anomalous,
        domain: row.domain,
    };
    let part = |machine: official::MachineScores| Part {
        machine: machine.machine,
        seed: None,
        folder: submission.folder.clone(),
        sections: machine
            .sections
            .into_iter()
            .map(|section| (section.section, section.rows.into_iter().map(scored).collect()))
            .collect(),
    };
    System {
        parts: submission.machines.into_iter().map(part).collect(),
        kind: SystemKind::ScoreFiles,
        year: Some(submission.year),
        notes: submission.notes,
        folder: submission.folder,
    }
}

/// The columns of `scores.csv` that a comparison reads.
const COLUMNS: [&str; 5] = ["clip", "section", "domain", "label", "mahalanobis"];

/// A row of `scores.csv`.
#[derive(Deserialize)]
struct Line {
    clip: String,
    section: String,
    domain: String,
    label: String,
    mahalanobis: Option<f64>,
}

fn of_run(run: &RunFolder, notes: &mut Vec<String>) -> Result<Part, Error> {
    let unscored = |why: &str| Error::Unscored { path: run.path().to_owned(), why: why.to_owned() };
    let Some(manifest) = run.manifest()? else { return Err(unscored("there is no manifest.json; train it")) };
    if let Some(status) = run.status()?.filter(|status| *status != Status::Done) {
        return Err(unscored(&format!("it is not trained to its end ({status}); train it, then judge it")));
    }
    // Whoever judges a run removes it first and writes it last: without it the other files are of no whole evaluation.
    if !run.file("eval.json").exists() {
        return Err(unscored(
            "it has no eval.json: it is not judged to the end; judge it with `asdbench eval`",
        ));
    }
    let path = run.file("scores.csv");
    let bytes = match run.read_sound("scores.csv", &run.judged_hashes()?) {
        Ok(bytes) => bytes,
        Err(run::Error::File(error)) if error.is_missing() => {
            return Err(unscored("it has no scores.csv; judge it with `asdbench eval` first"));
        }
        Err(error) => return Err(error.into()),
    };
    let text = csv_lines::text(&bytes).map_err(|error| row_error(&path, error.line(), error.to_string()))?;
    let mut sections: BTreeMap<String, Vec<Scored>> = BTreeMap::new();
    let mut unlabelled = 0;
    let mut lines = Lines::of(text.as_bytes());
    let header_row = lines.at(0);
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let headers =
        reader.headers().cloned().map_err(|error| row_error(&path, header_row, error.to_string()))?;
    // A column of optional values that is missing would be read as empty.
    if let Some(column) = COLUMNS.iter().find(|column| !headers.iter().any(|header| header == **column)) {
        let why = format!("there is no column `{column}`; judge the run again with `asdbench eval`");
        return Err(row_error(&path, header_row, why));
    }
    for record in reader.records() {
        let record = record.map_err(|error| {
            // The crate's text has its own line number, which is another one.
            let row = lines.of_position(error.position());
            let why = match error.kind() {
                csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
                    format!("{len} values where the header names {expected_len}; judge the run again with `asdbench eval`")
                }
                _ => error.to_string(),
            };
            row_error(&path, row, why)
        })?;
        let row = lines.of_position(record.position());
        let bad = |why: String| row_error(&path, row, why);
        let line: Line = record
            .deserialize(Some(&headers))
            .map_err(|error| bad(format!("{error}; judge the run again with `asdbench eval`")))?;
        let anomalous = match line.label.as_str() {
            "normal" => false,
            "anomaly" => true,
            "" => {
                unlabelled += 1;
                continue;
            }
            other => return Err(bad(format!("the label `{other}` is neither `normal` nor `anomaly`"))),
        };
        let domain = match line.domain.as_str() {
            "source" => Some(Domain::Source),
            "target" => Some(Domain::Target),
            "" => None,
            other => return Err(bad(format!("the domain `{other}` is neither `source` nor `target`"))),
        };
        let score = line.mahalanobis.filter(|score| score.is_finite()).ok_or_else(|| {
            bad(format!("`{}` has no finite score; the run's eval.json says why", line.clip))
        })?;
        sections.entry(line.section).or_default().push(Scored { path: line.clip, score, anomalous, domain });
    }
    if sections.is_empty() {
        return Err(unscored("its scores.csv has no labelled clip"));
    }
    if unlabelled > 0 {
        notes.push(format!("{}: {unlabelled} clips without a label are left out", run.path().display()));
    }
    Ok(Part { machine: manifest.machine, seed: Some(manifest.seed), folder: run.path().to_owned(), sections })
}

fn row_error(path: &Path, row: u64, why: String) -> Error {
    Error::Row { path: path.to_owned(), row, why }
}
