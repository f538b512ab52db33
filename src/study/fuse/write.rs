//! The folder of a fusion: score and decision files as the challenge wants them, weights, tables, pictures, `fusion.json`.
//!
//! `fusion.json` says `"complete": false` while the rest is being written and is replaced last: a folder of which it says true
//! is whole.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::document::Document;
use super::{Error, Submitted, TrainingFused, figures};
use crate::files::{self, Durability};
use crate::fusion::Evaluation;
use crate::official::{self, Year};
use crate::report::figure::Theme;
use crate::report::page::NamedTable;
use crate::report::{Align, Cell, Table};

/// The document's file.
const DOCUMENT: &str = "fusion.json";
/// How the names of score and decision files begin.
const OFFICIAL: [&str; 2] = ["anomaly_score_", "decision_result_"];

/// What is written.
pub(super) struct Results<'a> {
    pub year: Year,
    pub document: Document,
    pub tables: &'a [NamedTable],
    pub submission: &'a [Submitted],
    pub training: &'a [TrainingFused],
    pub history: &'a [Evaluation],
}

/// Whether a folder may be written into; known before anything is computed.
///
/// # Errors
/// A folder of one of the systems, or one that holds somebody else's score files.
pub(super) fn check(output: &Path, systems: &[PathBuf]) -> Result<(), Error> {
    let fail = |why: String| Err(Error::Output { path: output.to_owned(), why });
    if output.exists() && !output.is_dir() {
        return fail("it is a file; name another folder with -o".to_owned());
    }
    if let Ok(real) = output.canonicalize()
        && let Some(system) =
            systems.iter().find(|system| system.canonicalize().is_ok_and(|other| other == real))
    {
        return fail(format!(
            "it is a system's folder, {}; name another one for the results with -o",
            system.display()
        ));
    }
    match (earlier(output), official_files(output).first()) {
        (None, Some(file)) => fail(format!(
            "it holds score files that are not of a fusion ({}); name another folder with -o",
            file.file_name().unwrap_or_default().to_string_lossy()
        )),
        _ => Ok(()),
    }
}

/// The document of a fusion that the folder holds.
fn earlier(output: &Path) -> Option<Value> {
    let document: Value = serde_json::from_str(&files::read_text(&output.join(DOCUMENT)).ok()?).ok()?;
    document.get("complete").is_some().then_some(document)
}

fn official_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let is_official = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        name.ends_with(".csv") && OFFICIAL.iter().any(|prefix| name.starts_with(prefix))
    };
    let mut found: Vec<PathBuf> = entries.filter(is_official).collect();
    found.sort();
    found
}

impl Results<'_> {
    /// Everything into the folder; the document with the names of the files.
    ///
    /// # Errors
    /// When something cannot be written: the folder's document then says that it is not complete.
    pub fn write(mut self, output: &Path) -> Result<Document, Error> {
        let old = earlier(output);
        files::make_folder(output)?;
        // The files of the fusion before are remembered until they are gone, should this one be stopped.
        let listed = old.as_ref().and_then(|old| old.get("files")?.as_array().cloned()).unwrap_or_default();
        let unfinished = json!({ "schema": 1, "complete": false, "files": listed });
        put(output, Path::new(DOCUMENT), &text(output, DOCUMENT, &unfinished)?)?;
        // Of machines that are fused no more, an old file would pass for one of this fusion.
        if old.is_some() {
            official_files(output).iter().try_for_each(|path| files::remove(path))?;
        }
        let mut names = Vec::new();
        for (machine, section, clips) in self.submission {
            names.extend(official::write_submission(output, self.year, machine, section, clips)?);
        }
        for (machine, section, clips) in self.training {
            names.push(official::write_training_scores(output, self.year, machine, section, clips)?);
        }
        let mut written: Vec<String> = names.iter().map(|path| relative(output, path)).collect();
        for (name, bytes) in self.others(output)? {
            put(output, &name, &bytes)?;
            written.push(name.to_string_lossy().replace('\\', "/"));
        }
        written.sort();
        for stale in listed.iter().filter_map(Value::as_str) {
            let inside =
                Path::new(stale).components().all(|part| matches!(part, std::path::Component::Normal(_)));
            if inside && !written.iter().any(|name| name == stale) {
                files::remove(&output.join(stale))?;
            }
        }
        self.document.files = written;
        put(output, Path::new(DOCUMENT), &text(output, DOCUMENT, &self.document)?)?;
        Ok(self.document)
    }

    /// All files but the score files and the document.
    fn others(&self, output: &Path) -> Result<Vec<(PathBuf, Vec<u8>)>, Error> {
        let document = &self.document;
        let fail = |name: &str, error: std::io::Error| files::Error::new("write", &output.join(name), error);
        let weights = json!({
            "schema": 1,
            "systems": document.systems,
            "branches": document.branches,
            "weights": document.weights,
            "weights_per_machine": document.weights_per_machine,
            "normalise": document.normalise,
            "objective": document.tuned_on.objective,
            "year": document.year,
        });
        let mut others = vec![
            ("README.md".into(), self.readme().into_bytes()),
            ("weights.json".into(), text(output, "weights.json", &weights)?),
            ("history.csv".into(), self.history().csv().map_err(|error| fail("history.csv", error))?),
        ];
        for table in self.tables {
            others.extend(table.files().map_err(|error| fail(&table.name, error))?);
        }
        for (name, figure) in figures::draw(document, self.history) {
            let path = |suffix: &str| PathBuf::from("figures").join(format!("{name}.{suffix}"));
            let png = figure.png().map_err(|error| fail(name, std::io::Error::other(error.to_string())))?;
            others.push((path("svg"), figure.svg(Theme::Light).into_bytes()));
            others.push((path("png"), png));
        }
        Ok(others)
    }

    /// Every weight vector that was tried.
    fn history(&self) -> Table {
        let mut columns = vec![
            ("machine", Align::Left),
            ("evaluation", Align::Right),
            ("origin", Align::Left),
            ("score", Align::Right),
            ("best", Align::Right),
        ];
        columns.extend(self.document.systems.iter().map(|name| (name.as_str(), Align::Right)));
        let mut table = Table::new(&columns);
        for step in self.history {
            let mut row: Vec<Cell> = vec![
                step.machine.as_deref().unwrap_or("all").into(),
                step.number.to_string().into(),
                step.origin.key().into(),
            ];
            row.extend([step.score, step.best].map(|score| Cell::number(score, 4)));
            row.extend(step.weights.iter().map(|weight| Cell::number(*weight, 4)));
            table.row(row);
        }
        table
    }

    /// What the folder is, for whoever finds it.
    fn readme(&self) -> String {
        let document = &self.document;
        let mark = if document.normalise.transductive {
            "**TRANSDUCTIVE**: scores were normalised by the statistics of the very clips that are judged. A challenge forbids \
             that.\n\n"
        } else {
            ""
        };
        let mut text = format!(
            "# Fused scores of {} systems\n\n{mark}Score and decision files in the naming of the challenge of {}, made by \
             `asdbench fuse`. A clip's score is the weighted mean of the systems' scores, each made comparable by `{}` with \
             statistics of: {}.\n\n",
            document.systems.len(),
            document.year,
            document.normalise.method,
            document.normalise.statistics,
        );
        for table in self.tables {
            text += &format!("## {}\n\n{}\n", table.caption, table.table.markdown());
        }
        if !document.notes.is_empty() {
            text += "## Notes\n\n";
            document.notes.iter().for_each(|note| text += &format!("- {note}\n"));
        }
        text
    }
}

fn put(output: &Path, name: &Path, bytes: &[u8]) -> Result<(), files::Error> {
    let path = output.join(name);
    files::make_folder(files::folder_of(&path))?;
    files::write(&path, bytes, Durability::Flushed)
}

fn text(output: &Path, name: &str, value: &impl serde::Serialize) -> Result<Vec<u8>, files::Error> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|error| files::Error::new("write", &output.join(name), error.into()))?;
    Ok((text + "\n").into_bytes())
}

fn relative(output: &Path, path: &Path) -> String {
    path.strip_prefix(output).unwrap_or(path).to_string_lossy().replace('\\', "/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_of_others_are_not_written_into() {
        let place = tempfile::tempdir().unwrap();
        let path = |name: &str| place.path().join(name);
        let put = |name: &str, text: &str| {
            files::make_folder(files::folder_of(&path(name))).unwrap();
            fs::write(path(name), text).unwrap();
        };
        let refused = |name: &str, systems: &[PathBuf]| check(&path(name), systems).unwrap_err().to_string();
        assert!(check(&path("new"), &[]).is_ok());
        put("a/anomaly_score_fan_section_00_test.csv", "x,1\n");
        assert!(refused("a", &[]).contains("not of a fusion (anomaly_score_fan"), "{}", refused("a", &[]));
        assert!(refused("a", &[path("a/../a")]).contains("a system's folder"));
        put("file", "");
        assert!(refused("file", &[]).contains("it is a file"));
        put("a/fusion.json", "{\"schema\": 1, \"complete\": false}");
        assert!(check(&path("a"), &[]).is_ok());
        put("notes/mine.txt", "");
        assert!(check(&path("notes"), &[]).is_ok());
    }
}
