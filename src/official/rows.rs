//! The rows of a two-column file, `clip,value`, however it came to be: with Windows line ends, a byte-order mark, a
//! header, blank lines, quotes, semicolons or tabs, folders before the clip's name, or without its `.wav`.

use std::collections::HashMap;
use std::path::Path;

use super::Error;
use crate::csv_lines::{self, Lines};
use crate::dataset::{clip_facts, stem};
use crate::files;

/// One row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// The line in the file, from 1.
    pub row: u64,
    /// The clip's name without folders and `.wav`: what rows are joined by.
    pub clip: String,
    pub value: String,
}

/// All rows of the file, in its order; at least one, no clip twice. `is_value` tells a value from a header's word.
pub(super) fn read(path: &Path, is_value: impl Fn(&str) -> bool) -> Result<Vec<Entry>, Error> {
    read_as(path, is_value, true)
}

/// As [`read`], where the values are clips' names.
pub(super) fn read_names(path: &Path) -> Result<Vec<Entry>, Error> {
    read_as(path, is_clip, false)
}

fn read_as(path: &Path, is_value: impl Fn(&str) -> bool, check_swapped: bool) -> Result<Vec<Entry>, Error> {
    let mut entries = Vec::new();
    for (index, (row, fields)) in records(path)?.into_iter().enumerate() {
        let [name, value] = fields.as_slice() else {
            let columns = fields.len();
            return Err(Error::row(
                path,
                row,
                format!("{columns} column(s) where two are expected: clip,value"),
            ));
        };
        if check_swapped && is_clip(value) && !is_clip(name) && is_value(name) {
            let why = format!("the columns are swapped: `{name}` stands before the clip; write clip,value");
            return Err(Error::row(path, row, why));
        }
        // An empty value is no header's word but a score that is missing.
        let is_word = !value.is_empty() && !is_value(value);
        let is_header = index == 0 && !is_clip(name) && (is_word || (name == "0" && value == "1"));
        if is_header {
            continue;
        }
        if name.is_empty() {
            return Err(Error::row(path, row, "the clip's name is missing"));
        }
        entries.push(Entry { row, clip: clip(name).to_owned(), value: value.clone() });
    }
    if entries.is_empty() {
        return Err(Error::table(path, "holds no rows; write one for every clip: clip,value"));
    }
    let mut seen = HashMap::with_capacity(entries.len());
    for entry in &entries {
        if let Some(first) = seen.insert(entry.clip.as_str(), entry.row) {
            let why = format!("`{}` was in row {first} already; each clip has one row", entry.clip);
            return Err(Error::row(path, entry.row, why));
        }
    }
    Ok(entries)
}

/// The non-empty lines with their numbers, as trimmed fields; empty fields at a line's end are left out down to two.
pub(super) fn records(path: &Path) -> Result<Vec<(u64, Vec<String>)>, Error> {
    let bytes = files::read(path)?;
    let text = csv_lines::text(&bytes).map_err(|error| Error::row(path, error.line(), error.to_string()))?;
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .trim(csv::Trim::All)
        .delimiter(delimiter(text))
        .from_reader(text.as_bytes());
    let mut records = Vec::new();
    let mut lines = Lines::of(text.as_bytes());
    for record in reader.records() {
        let record = record.map_err(|error| Error::table(path, error.to_string()))?;
        let row = lines.of_position(record.position());
        let mut fields: Vec<String> = record.iter().map(str::to_owned).collect();
        if fields.iter().all(String::is_empty) {
            continue;
        }
        while fields.len() > 2 && fields.last().is_some_and(String::is_empty) {
            fields.pop();
        }
        records.push((row, fields));
    }
    Ok(records)
}

/// What divides the columns, by the first line that has anything.
fn delimiter(text: &str) -> u8 {
    let line = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    match () {
        () if line.contains(';') => b';',
        () if line.contains('\t') && !line.contains(',') => b'\t',
        () => b',',
    }
}

/// A clip's name without its folders, which Windows divides by `\`, and without `.wav`.
fn clip(name: &str) -> &str {
    stem(name.rsplit(['/', '\\']).next().unwrap_or_default())
}

/// Whether it looks like a clip's name: it ends in `.wav` or says section or machine ID.
pub(super) fn is_clip(name: &str) -> bool {
    let file = name.rsplit(['/', '\\']).next().unwrap_or_default();
    stem(file).len() < file.len() || clip_facts(file).is_some()
}

impl Entry {
    /// The value as an anomaly score: any finite number.
    pub fn score(&self, path: &Path) -> Result<f64, Error> {
        let why = match self.value.parse::<f64>() {
            Ok(score) if score.is_finite() => return Ok(score),
            Ok(_) => {
                format!(
                    "the score of `{}` is {}; look for a diverged model or a broken clip",
                    self.clip, self.value
                )
            }
            Err(_) if self.value.is_empty() => format!("the score of `{}` is missing", self.clip),
            Err(_) if self.value.contains(',') => {
                format!("the score `{}` of `{}` is no number; write a decimal point", self.value, self.clip)
            }
            Err(_) => format!("the score `{}` of `{}` is no number", self.value, self.clip),
        };
        Err(Error::row(path, self.row, why))
    }

    /// The value as yes or no: 1 or 0, however they are written.
    pub fn flag(&self, path: &Path) -> Result<bool, Error> {
        flag(&self.value).ok_or_else(|| {
            let why = format!("`{}` has the value `{}`, which is neither 0 nor 1", self.clip, self.value);
            Error::row(path, self.row, why)
        })
    }
}

/// `0`, `1.0` or `True` as yes or no.
pub(super) fn flag(value: &str) -> Option<bool> {
    match value.parse::<f64>() {
        Ok(0.0) => Some(false),
        Ok(1.0) => Some(true),
        Ok(_) => None,
        Err(_) => value.to_ascii_lowercase().parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &[u8]) -> Result<Vec<Entry>, Error> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("scores.csv");
        std::fs::write(&path, text).unwrap();
        read(&path, |value| value.parse::<f64>().is_ok())
    }

    #[track_caller]
    fn rows(text: &[u8]) -> Vec<(u64, String, String)> {
        let entries = read_text(text).unwrap();
        entries.into_iter().map(|entry| (entry.row, entry.clip, entry.value)).collect()
    }

    fn two(first: u64, second: u64) -> Vec<(u64, String, String)> {
        vec![
            (first, "section_00_0000".into(), "0.5".into()),
            (second, "section_00_0001".into(), "-1e-3".into()),
        ]
    }

    #[test]
    fn spellings_of_the_same_rows() {
        for text in [
            "section_00_0000.wav,0.5\nsection_00_0001.wav,-1e-3\n",
            "section_00_0000.wav,0.5\r\nsection_00_0001.wav,-1e-3\r\n",
            "\u{feff}section_00_0000.wav,0.5\nsection_00_0001.wav,-1e-3",
            "section_00_0000;0.5\nsection_00_0001;-1e-3\n",
            "section_00_0000.wav\t0.5\nsection_00_0001.wav\t-1e-3\n",
            " section_00_0000.WAV , 0.5 \n section_00_0001.wav , -1e-3 \n",
            "\"section_00_0000.wav\",\"0.5\"\n\"section_00_0001.wav\",\"-1e-3\"\n",
            "raw/fan/test/section_00_0000.wav,0.5\nraw\\fan\\test\\section_00_0001.wav,-1e-3\n",
            "section_00_0000.wav,0.5,\nsection_00_0001.wav,-1e-3,,\n",
        ] {
            assert_eq!(rows(text.as_bytes()), two(1, 2), "{text:?}");
        }
    }

    #[test]
    fn headers_and_blank_lines_are_passed_over_and_rows_keep_their_line() {
        let body = "section_00_0000.wav,0.5\nsection_00_0001.wav,-1e-3\n";
        for header in ["file_name,anomaly_score\n", "0,1\n", ",score\n"] {
            assert_eq!(rows(format!("{header}{body}").as_bytes()), two(2, 3), "{header}");
        }
        let blank = "\n\nsection_00_0000.wav,0.5\n  \n,\nsection_00_0001.wav,-1e-3\n\n";
        assert_eq!(rows(blank.as_bytes()), two(3, 6));
        assert_eq!(rows(blank.replace('\n', "\r\n").as_bytes()), two(3, 6));
        assert_eq!(rows(blank.replace('\n', "\r").as_bytes()), two(3, 6));
    }

    #[test]
    fn a_first_row_without_a_value_is_no_header() {
        for first in ["clipA,", "clipA,,", "file, "] {
            let entries = read_text(format!("{first}\nsection_00_0001.wav,2\n").as_bytes()).unwrap();
            assert_eq!(entries.len(), 2, "{first}");
            let why = entries[0].score(Path::new("s.csv")).unwrap_err().to_string();
            assert!(why.starts_with("s.csv, row 1: ") && why.contains("is missing"), "{why}");
        }
    }

    #[test]
    fn faults_name_the_row() {
        let cases: [(&[u8], &str); 9] = [
            (b"", "no rows"),
            (b"file,score\n\n", "no rows"),
            (b"a.wav,1\nb.wav\n", "row 2: 1 column"),
            (b"a.wav,1\n\nb.wav,2,3\n", "row 3: 3 column"),
            (b"a.wav,1\nb.wav,2\na.wav,3\n", "row 3: `a` was in row 1"),
            (b"x/a.wav,1\ny/a,3\n", "row 2: `a` was in row 1"),
            (b"0.5,a.wav\n0.7,b.wav\n", "row 1: the columns are swapped"),
            (b"a.wav,1\n,2\n", "row 2: the clip's name"),
            (b"a.wav,1\nb\xe9.wav,2\n", "row 2: this is not UTF-8"),
        ];
        for (text, expected) in cases {
            let message = read_text(text).unwrap_err().to_string();
            assert!(message.contains(expected) && message.contains("scores.csv"), "{expected}: {message}");
        }
        let utf16 = b"\xff\xfea\x00,\x001\x00";
        assert!(read_text(utf16).unwrap_err().to_string().contains("UTF-16"));
    }

    #[test]
    fn values() {
        let path = Path::new("s.csv");
        let entry = |value: &str| Entry { row: 7, clip: "a".into(), value: value.into() };
        assert_eq!(entry("1.5e3").score(path).unwrap(), 1500.0);
        for value in ["nan", "NaN", "inf", "-inf", "1e999", "", "x", "0,5", "[0.5]"] {
            let message = entry(value).score(path).unwrap_err().to_string();
            assert!(message.starts_with("s.csv, row 7: ") && message.contains("`a`"), "{message}");
        }
        for (value, expected) in [("0", false), ("1", true), ("1.0", true), ("True", true), ("false", false)]
        {
            assert_eq!(entry(value).flag(path).unwrap(), expected, "{value}");
        }
        for value in ["2", "0.5", "-1", "", "yes", "nan"] {
            assert!(entry(value).flag(path).is_err(), "{value}");
        }
    }
}
