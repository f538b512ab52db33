//! `scores.csv` and `training_scores.csv` as an evaluation wrote them, with all of their columns.

use std::collections::BTreeMap;

use crate::csv_lines;
use crate::dataset::{Clip, Domain, LabelledClip};

/// Columns that are not a detector's.
const KNOWN: [&str; 6] = ["clip", "section", "domain", "label", "mahalanobis", "decision"];

/// One of the two tables.
#[derive(Debug)]
pub(super) struct Scores {
    /// The clips, in their order.
    pub clips: Vec<LabelledClip>,
    /// Squared Mahalanobis distances; none where there is not one for every clip.
    pub mahalanobis: Option<Vec<f64>>,
    /// 0 or 1 for each clip; none where there is not one for every clip.
    pub decisions: Option<Vec<bool>>,
    /// Scores of further detectors by name.
    pub detectors: BTreeMap<String, Vec<f64>>,
}

impl Scores {
    /// Of a file's content.
    ///
    /// # Errors
    /// What is wrong with it, with the line.
    pub fn parse(bytes: &[u8], machine: &str) -> Result<Self, String> {
        let text = csv_lines::text(bytes).map_err(|error| error.to_string())?;
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let headers = reader.headers().map_err(|error| error.to_string())?.clone();
        let column = |name: &str| headers.iter().position(|header| header == name);
        let needed = |name: &str| column(name).ok_or_else(|| format!("there is no column `{name}`"));
        let (clip, section, domain) = (needed("clip")?, needed("section")?, needed("domain")?);
        let (label, decision) = (column("label"), column("decision"));
        let scored: Vec<(usize, &str)> = headers
            .iter()
            .enumerate()
            .filter(|(_, name)| *name == "mahalanobis" || !KNOWN.contains(name))
            .collect();
        let mut clips = Vec::new();
        let mut columns: Vec<Vec<Option<f64>>> = vec![Vec::new(); scored.len()];
        let mut decisions = Vec::new();
        for record in reader.records() {
            let record = record.map_err(|error| error.to_string())?;
            let line = record.position().map_or(0, csv::Position::line);
            let cell = |index: usize| record.get(index).unwrap_or_default();
            let bad = |index: usize| {
                let name = headers.get(index).unwrap_or_default();
                format!("line {line}: `{}` is no value of `{name}`", cell(index))
            };
            let domain = match cell(domain) {
                "" => None,
                token => {
                    let known = [Domain::Source, Domain::Target].into_iter();
                    Some(known.into_iter().find(|one| one.token() == token).ok_or_else(|| bad(domain))?)
                }
            };
            let anomalous = match label.map(|label| (label, cell(label))) {
                None | Some((_, "")) => None,
                Some((_, "normal")) => Some(false),
                Some((_, "anomaly")) => Some(true),
                Some((label, _)) => return Err(bad(label)),
            };
            clips.push(LabelledClip {
                clip: Clip {
                    path: cell(clip).into(),
                    machine: machine.to_owned(),
                    section: cell(section).to_owned(),
                    domain,
                    attributes: Vec::new(),
                },
                anomalous,
            });
            for (values, (index, _)) in columns.iter_mut().zip(&scored) {
                values.push(match cell(*index) {
                    "" => None,
                    text => Some(text.parse().map_err(|_| bad(*index))?),
                });
            }
            decisions.push(match decision.map(|index| (index, cell(index))) {
                None | Some((_, "")) => None,
                Some((_, "0")) => Some(false),
                Some((_, "1")) => Some(true),
                Some((index, _)) => return Err(bad(index)),
            });
        }
        let mut detectors: BTreeMap<String, Vec<f64>> = (scored.iter().zip(columns))
            .filter_map(|((_, name), values)| {
                Some(((*name).to_owned(), values.into_iter().collect::<Option<Vec<f64>>>()?))
            })
            .collect();
        let mahalanobis = detectors.remove("mahalanobis");
        Ok(Self { clips, mahalanobis, decisions: decisions.into_iter().collect(), detectors })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "clip,section,domain,label,mahalanobis,decision,near\n\
        fan/test/a.wav,00,source,normal,1.5,0,3\nfan/test/b.wav,00,,,2.5e-3,1,4\n";

    #[test]
    fn every_column_is_read() {
        let read = Scores::parse(TEXT.as_bytes(), "fan").unwrap();
        let labels: Vec<_> = read.clips.iter().map(|clip| (clip.clip.domain, clip.anomalous)).collect();
        assert_eq!(labels, [(Some(Domain::Source), Some(false)), (None, None)]);
        assert_eq!(read.mahalanobis, Some(vec![1.5, 2.5e-3]));
        assert_eq!(read.decisions, Some(vec![false, true]));
        assert_eq!(read.detectors, BTreeMap::from([("near".to_owned(), vec![3.0, 4.0])]));
        let training =
            Scores::parse(b"clip,section,domain,mahalanobis,near\na.wav,00,target,1,\n", "fan").unwrap();
        assert_eq!((training.mahalanobis, training.detectors.len()), (Some(vec![1.0]), 0));
        let none = Scores::parse(TEXT.replace("1.5,0", ",").as_bytes(), "fan").unwrap();
        assert_eq!((none.mahalanobis, none.decisions), (None, None));
    }

    #[test]
    fn what_is_no_value_is_named_with_its_line() {
        for (from, to, word) in [
            ("1.5", "x", "line 2: `x` is no value of `mahalanobis`"),
            ("normal", "Normal", "line 2: `Normal` is no value of `label`"),
            ("source", "src", "`src` is no value of `domain`"),
            ("1.5,0", "1.5,2", "`2` is no value of `decision`"),
            ("section", "sektion", "there is no column `section`"),
        ] {
            let found = Scores::parse(TEXT.replacen(from, to, 1).as_bytes(), "fan").unwrap_err();
            assert!(found.contains(word), "{found}");
        }
        assert!(Scores::parse(b"\xff\xfe", "fan").unwrap_err().contains("UTF-16"));
    }
}
