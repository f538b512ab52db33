//! Label files of AudioSet (Gemmeke et al., ICASSP 2017) and of other sets of clips with several labels each.

mod files;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::{Path, PathBuf};

use csv::{ReaderBuilder, StringRecord, Trim};

use crate::csv_lines::{self, Lines};
pub use files::locate;

/// Why a table of labels or classes cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LabelError {
    /// It cannot be read.
    #[error(transparent)]
    File(#[from] crate::files::Error),
    /// A line of it.
    #[error("{}, line {line}: {why}", path.display())]
    Line {
        /// The table.
        path: PathBuf,
        /// From 1.
        line: u64,
        /// What is wrong with it.
        why: String,
    },
}

/// Which clip a row is of.
#[derive(Debug, Clone, PartialEq)]
pub enum ClipName {
    /// A part of a video.
    Segment {
        /// YouTube's id of the video.
        ytid: String,
        /// Where it begins, in seconds.
        start_s: f64,
        /// Where it ends, in seconds.
        end_s: f64,
    },
    /// A file, relative to the folder of the clips.
    File(String),
}

impl fmt::Display for ClipName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Segment { ytid, start_s, end_s } => write!(f, "{ytid} ({start_s}-{end_s} s)"),
            Self::File(name) => f.write_str(name),
        }
    }
}

/// A clip and its labels.
#[derive(Debug, Clone, PartialEq)]
pub struct LabelRow {
    /// Line of the table, from 1.
    pub line: u64,
    /// The clip.
    pub clip: ClipName,
    /// AudioSet's ids such as `/m/09x0r`, or numbers of classes, each once; there may be none.
    pub labels: Vec<String>,
}

/// A class of AudioSet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClassRow {
    /// AudioSet's id, such as `/m/09x0r`.
    pub mid: String,
    /// In words, such as `Speech`.
    pub name: String,
}

/// The rows of a label file: AudioSet's own segments file, or a table with columns `clip` and `labels`.
///
/// # Errors
/// A file that cannot be read, and what [`parse_labels`] refuses.
pub fn read_labels(path: &Path) -> Result<Vec<LabelRow>, LabelError> {
    parse_labels(&crate::files::read(path)?, path)
}

/// The rows of a label file's text; `path` is for the messages.
///
/// A segments file has lines of `YTID, start_seconds, end_seconds, "mid,mid"` and comments that begin with `#`. A table
/// has the labels of a clip in one cell, separated by `;` or `,`.
///
/// # Errors
/// Text that is not UTF-8, a line that is neither, no line at all.
pub fn parse_labels(bytes: &[u8], path: &Path) -> Result<Vec<LabelRow>, LabelError> {
    let wrong = |line, why: String| LabelError::Line { path: path.to_owned(), line, why };
    let text = csv_lines::text(bytes).map_err(|error| wrong(error.line(), error.to_string()))?;
    let first = text.lines().find(|line| !is_passed_over(line));
    let Some(first) = first else {
        return Err(wrong(1, format!("there is no clip in the file; expected {FORMS}")));
    };
    let names: Vec<String> = first.split(',').map(|name| unquoted(name).to_lowercase()).collect();
    let has = |column: &str| names.iter().any(|name| name == column);
    let rows = match (has("clip"), has("labels")) {
        _ if has("ytid") => segments(text),
        (true, true) => table(text),
        (false, false) => segments(text),
        _ => Err((
            1,
            format!("a table of labels needs the columns `clip` and `labels`, and this has `{first}`"),
        )),
    };
    let rows = rows.map_err(|(line, why)| wrong(line, why))?;
    match rows.is_empty() {
        true => Err(wrong(1, "there is no row below the header".into())),
        false => Ok(rows),
    }
}

/// What can be read, in words.
const FORMS: &str =
    "AudioSet's `YTID, start_seconds, end_seconds, \"mid,mid\"`, or a table with the header `clip,labels`";

/// The number of a line, and what is wrong with it.
type Wrong = (u64, String);

fn is_passed_over(line: &str) -> bool {
    let line = line.trim();
    line.is_empty() || line.starts_with('#')
}

fn unquoted(field: &str) -> &str {
    field.trim().trim_matches('"').trim()
}

/// AudioSet's form, which is no CSV: there is a blank before its quotes.
fn segments(text: &str) -> Result<Vec<LabelRow>, Wrong> {
    let lines = (1..).zip(text.lines()).filter(|(_, line)| !is_passed_over(line));
    let is_header =
        |line: &str| unquoted(line.split(',').next().unwrap_or_default()).eq_ignore_ascii_case("ytid");
    lines
        .filter(|(_, line)| !is_header(line))
        .map(|(number, line)| segment(number, line).map_err(|why| (number, why)))
        .collect()
}

fn segment(number: u64, line: &str) -> Result<LabelRow, String> {
    let fields: Vec<&str> = line.splitn(4, ',').map(unquoted).collect();
    let &[ytid, start, end, labels] = fields.as_slice() else {
        return Err(format!("`{line}` has {} of 4 values; expected {FORMS}", fields.len()));
    };
    let seconds = |text: &str| match text.parse::<f64>() {
        Ok(seconds) if seconds.is_finite() && seconds >= 0.0 => Ok(seconds),
        _ => Err(format!("`{text}` is no time in seconds; expected {FORMS}")),
    };
    let (start_s, end_s) = (seconds(start)?, seconds(end)?);
    if end_s <= start_s {
        return Err(format!("the segment ends at {end_s} s and begins at {start_s} s"));
    }
    if ytid.is_empty() {
        return Err("the YTID is empty".into());
    }
    let labels = listed(labels, ",");
    if labels.is_empty() {
        return Err("there is no label".into());
    }
    Ok(LabelRow { line: number, clip: ClipName::Segment { ytid: ytid.into(), start_s, end_s }, labels })
}

/// Each label once, in the cell's order.
fn listed(labels: &str, separator: &str) -> Vec<String> {
    let mut listed: Vec<String> = Vec::new();
    for label in labels.split(separator).map(str::trim).filter(|label| !label.is_empty()) {
        if listed.iter().all(|known| known != label) {
            listed.push(label.to_owned());
        }
    }
    listed
}

fn reader(text: &str) -> csv::Reader<&[u8]> {
    ReaderBuilder::new().has_headers(false).flexible(true).trim(Trim::All).from_reader(text.as_bytes())
}

/// The place of each column in a header, in any case.
fn places<const N: usize>(header: &StringRecord, columns: [&str; N]) -> Result<[usize; N], String> {
    let mut found = [0; N];
    for (place, column) in found.iter_mut().zip(columns) {
        let mut all = (0..header.len()).filter(|&n| header[n].eq_ignore_ascii_case(column));
        *place = all.next().ok_or_else(|| format!("there is no column `{column}`"))?;
        if all.next().is_some() {
            return Err(format!("the header names column `{column}` twice"));
        }
    }
    Ok(found)
}

/// The cells of some columns, row by row, with the rows' lines.
fn rows<const N: usize>(text: &str, columns: [&str; N]) -> Result<Vec<(u64, [String; N])>, Wrong> {
    let mut lines = Lines::of(text.as_bytes());
    let mut header: Option<([usize; N], usize)> = None;
    let mut rows = Vec::new();
    for record in reader(text).records() {
        // The text is UTF-8 and rows may have any length, so that nothing is left that could fail.
        let record = record.map_err(|error| (1, error.to_string()))?;
        let line = lines.of_position(record.position());
        let Some((places_of, length)) = header else {
            header = Some((places(&record, columns).map_err(|why| (line, why))?, record.len()));
            continue;
        };
        if record.iter().all(str::is_empty) {
            continue;
        }
        if record.len() != length {
            let why = format!("{} values where the header names {length}", record.len());
            return Err((line, format!("{why}; quote a value that has a comma in it")));
        }
        rows.push((line, places_of.map(|place| record[place].to_owned())));
    }
    Ok(rows)
}

fn table(text: &str) -> Result<Vec<LabelRow>, Wrong> {
    let row = |(line, [clip, labels]): (u64, [String; 2])| {
        if clip.is_empty() {
            return Err((line, "`clip` is empty".to_owned()));
        }
        // Where there is a semicolon, a comma is a part of a name.
        let separator = if labels.contains(';') { ";" } else { "," };
        Ok(LabelRow { line, clip: ClipName::File(clip), labels: listed(&labels, separator) })
    };
    rows(text, ["clip", "labels"])?.into_iter().map(row).collect()
}

/// The classes in the order of their numbers, from AudioSet's `class_labels_indices.csv` with the columns `index`, `mid`
/// and `display_name`.
///
/// # Errors
/// A file that cannot be read, a column that is missing, a number that is missing or there twice.
pub fn read_classes(path: &Path) -> Result<Vec<ClassRow>, LabelError> {
    parse_classes(&crate::files::read(path)?, path)
}

/// As [`read_classes`], from the file's content; `path` is for the messages.
///
/// # Errors
/// As [`read_classes`], but for reading.
pub fn parse_classes(bytes: &[u8], path: &Path) -> Result<Vec<ClassRow>, LabelError> {
    let wrong = |(line, why)| LabelError::Line { path: path.to_owned(), line, why };
    let text = csv_lines::text(bytes).map_err(|error| wrong((error.line(), error.to_string())))?;
    let rows = rows(text, ["index", "mid", "display_name"]).map_err(wrong)?;
    let mut classes: Vec<Option<ClassRow>> = vec![None; rows.len()];
    for (line, [index, mid, name]) in rows {
        let count = classes.len();
        let slot = index.parse().ok().and_then(|index: usize| classes.get_mut(index));
        let slot = slot.ok_or_else(|| {
            wrong((
                line,
                format!("`index` is `{index}`; expected the numbers 0 to {}", count.saturating_sub(1)),
            ))
        })?;
        if slot.replace(ClassRow { mid, name }).is_some() {
            return Err(wrong((line, format!("`index` {index} is there twice"))));
        }
    }
    // As many rows as numbers, and none twice: there is no gap.
    let classes: Vec<ClassRow> = classes.into_iter().flatten().collect();
    match classes.is_empty() {
        true => Err(wrong((1, "there is no row; expected columns index,mid,display_name".into()))),
        false => Ok(classes),
    }
}
