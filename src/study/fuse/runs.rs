//! Systems that are runs: `scores.csv` and `training_scores.csv` of each, the labels apart from the scores.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::Error;
use super::error::some_of;
use crate::csv_lines::Lines;
use crate::dataset::Domain;
use crate::files;
use crate::official::{Origin, UnlabelledClip, UnlabelledSection, Year, section_name};
use crate::run::{RunFolder, Status};

/// What to do where a table of a run is not as it should be.
const AGAIN: &str = "judge the run again with `asdbench eval`";
/// Columns of `scores.csv` that are no detector's scores.
const NO_DETECTORS: [&str; 5] = ["clip", "section", "domain", "label", "decision"];

/// One run's scores.
#[derive(Clone, Debug)]
pub(super) struct Run {
    pub machine: String,
    pub seed: u64,
    /// `<slug>-<hash8>`.
    pub config: String,
    /// Of the test clips.
    pub sections: Vec<UnlabelledSection>,
    /// Of the training clips; none of a run that was judged before there were such scores.
    pub training: Option<Vec<UnlabelledSection>>,
    /// Where the labels stand.
    pub table: PathBuf,
    /// By whose rules it was judged; by whether its clips have domains, where it does not say.
    pub year: Year,
}

/// As much of a run's `eval.json` as is looked at: no result.
#[derive(Deserialize)]
struct Judged {
    official: Rules,
}

#[derive(Deserialize)]
struct Rules {
    year: Option<u16>,
}

/// The runs at or below a folder, with the scores of one detector.
pub(super) fn read(folder: &Path, detector: &str) -> Result<Vec<Run>, Error> {
    RunFolder::find(folder)?.iter().map(|run| one(run, detector)).collect()
}

fn one(run: &RunFolder, detector: &str) -> Result<Run, Error> {
    let manifest =
        run.manifest()?.ok_or_else(|| Error::unusable(run.path(), "there is no manifest.json; train it"))?;
    if let Some(status) = run.status()?.filter(|status| *status != Status::Done) {
        let why = format!("it is not trained to its end ({status}); train it, then judge it");
        return Err(Error::unusable(run.path(), why));
    }
    // The result is written last: without it, its tables may be of different evaluations.
    if !run.file("eval.json").exists() {
        return Err(Error::unusable(
            run.path(),
            "it is not judged to its end; judge it with `asdbench eval` first",
        ));
    }
    let table = run.file("scores.csv");
    let known = run.judged_hashes()?;
    for name in ["scores.csv", "training_scores.csv"] {
        if run.file(name).exists() {
            run.check(name, &known)?;
        }
    }
    let Some(sections) = scores(&table, &manifest.machine, detector)? else {
        return Err(Error::unusable(run.path(), "it has no scores.csv; judge it with `asdbench eval` first"));
    };
    let training = scores(&run.file("training_scores.csv"), &manifest.machine, detector)?;
    let domains = sections.iter().flat_map(|section| &section.clips).any(|clip| clip.domain.is_some());
    let judged: Option<Judged> = run.read_json("eval.json").ok();
    let number = judged.and_then(|judged| judged.official.year);
    let year = Year::ALL.into_iter().find(|year| Some(year.number()) == number);
    let guessed = if domains { Year::Y2022 } else { Year::Y2020 };
    Ok(Run {
        machine: manifest.machine,
        seed: manifest.seed,
        config: manifest.config,
        sections,
        training,
        table,
        year: year.unwrap_or(guessed),
    })
}

/// The detector's scores in a table; none where the table is not there.
fn scores(path: &Path, machine: &str, detector: &str) -> Result<Option<Vec<UnlabelledSection>>, Error> {
    let Some(rows) = rows(path, ["clip", "section", "domain", detector])? else { return Ok(None) };
    let mut sections: BTreeMap<String, BTreeMap<String, UnlabelledClip>> = BTreeMap::new();
    for (row, [clip, section, domain, score]) in rows {
        let bad = |why: String| Error::row(path, row, why);
        let file = file_name(&clip).to_owned();
        let domain = match domain.as_str() {
            "source" => Some(Domain::Source),
            "target" => Some(Domain::Target),
            "" => None,
            other => return Err(bad(format!("the domain `{other}` is neither `source` nor `target`"))),
        };
        let score = score.parse::<f64>().ok().filter(|score| score.is_finite()).ok_or_else(|| {
            bad(format!("`{clip}` has no finite score in column `{detector}`; the run's eval.json says why"))
        })?;
        let origin = Origin { path: path.to_owned(), row };
        let clips = sections.entry(section_name(&section)).or_default();
        let unlabelled = UnlabelledClip { file: file.clone(), score, domain, origin };
        if let Some(first) = clips.insert(file.clone(), unlabelled) {
            let why = format!(
                "`{file}` was in row {} already, in another folder of the data set, as in MIMII: such clips have no names in \
                 score files and cannot be fused",
                first.origin.row
            );
            return Err(bad(why));
        }
    }
    let section = |(section, clips): (String, BTreeMap<String, UnlabelledClip>)| UnlabelledSection {
        machine: machine.to_owned(),
        section,
        clips: clips.into_values().collect(),
    };
    Ok(Some(sections.into_iter().map(section).collect()))
}

/// What a run's `scores.csv` says of the labels of one section's clips: by file name, with the row.
pub(super) fn labels(path: &Path, section: &str) -> Result<BTreeMap<String, (Option<bool>, u64)>, Error> {
    let mut labels = BTreeMap::new();
    for (row, [clip, of, label]) in rows(path, ["clip", "section", "label"])?.unwrap_or_default() {
        if section_name(&of) != section {
            continue;
        }
        let anomalous = match label.as_str() {
            "normal" => Some(false),
            "anomaly" => Some(true),
            "" => None,
            other => {
                let why = format!("the label `{other}` is neither `normal` nor `anomaly`; {AGAIN}");
                return Err(Error::row(path, row, why));
            }
        };
        labels.insert(file_name(&clip).to_owned(), (anomalous, row));
    }
    Ok(labels)
}

fn file_name(clip: &str) -> &str {
    clip.rsplit(['/', '\\']).next().unwrap_or(clip)
}

/// Columns of a table with the line of each row; no other column is looked at. None where there is no such file.
fn rows<const N: usize>(path: &Path, columns: [&str; N]) -> Result<Option<Vec<(u64, [String; N])>>, Error> {
    let text = match files::read_text(path) {
        Ok(text) => text,
        Err(error) if error.is_missing() => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let mut lines = Lines::of(text.as_bytes());
    let header_row = lines.at(0);
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let headers =
        reader.headers().cloned().map_err(|error| Error::row(path, header_row, error.to_string()))?;
    let place = |column: &str| {
        headers.iter().position(|header| header == column).ok_or_else(|| {
            let detectors: Vec<&str> =
                headers.iter().filter(|header| !NO_DETECTORS.contains(header)).collect();
            let why = match NO_DETECTORS.contains(&column) {
                true => format!("there is no column `{column}`; {AGAIN}"),
                false => format!(
                    "there is no detector `{column}`, only {}; choose one with `detector`, or judge the run with \
                     eval.detectors.{column}",
                    some_of(&detectors)
                ),
            };
            Error::row(path, header_row, why)
        })
    };
    let places = columns.iter().map(|column| place(column)).collect::<Result<Vec<usize>, Error>>()?;
    let mut found = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| {
            // The crate's text has its own line number, which is another one.
            let row = lines.of_position(error.position());
            let why = match error.kind() {
                csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
                    format!("{len} values where the header names {expected_len}; {AGAIN}")
                }
                _ => error.to_string(),
            };
            Error::row(path, row, why)
        })?;
        let row = lines.of_position(record.position());
        let value = |column: usize| record.get(places[column]).unwrap_or_default().to_owned();
        found.push((row, std::array::from_fn(value)));
    }
    Ok(Some(found))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_and_labels_are_read_apart() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("scores.csv");
        let text = "clip,section,domain,label,mahalanobis,decision,near\n\
                    fan/test/section_00_source_test_normal_0000.wav,00,source,normal,1.5,0,0.25\n\
                    fan/test/section_01_0000.wav,01,,odd,2.5,0,\n";
        std::fs::write(&path, text).unwrap();
        let found = scores(&path, "fan", "mahalanobis").unwrap().unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].clips[0].file, "section_00_source_test_normal_0000.wav");
        assert_eq!((found[0].clips[0].score, found[0].clips[0].domain), (1.5, Some(Domain::Source)));
        // The other section's label is no label, and nobody has read it.
        let read = labels(&path, "00").unwrap();
        assert_eq!(read["section_00_source_test_normal_0000.wav"], (Some(false), 2));
        let why = labels(&path, "01").unwrap_err().to_string();
        assert!(why.contains("row 3") && why.contains("`odd`"), "{why}");
        let why = scores(&path, "fan", "near").unwrap_err().to_string();
        assert!(why.contains("row 3") && why.contains("no finite score in column `near`"), "{why}");
        let why = scores(&path, "fan", "far").unwrap_err().to_string();
        assert!(why.contains("no detector `far`, only mahalanobis, near"), "{why}");
        assert!(scores(&place.path().join("gone.csv"), "fan", "near").unwrap().is_none());
    }
}
