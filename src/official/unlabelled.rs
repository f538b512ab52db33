//! Score files without labels, and labels on their own: whoever fuses or normalises scores reads the first long before the
//! second.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::read::label;
use super::rows::{self, Entry};
use super::truth::Truth;
use super::{Error, Year, folder, names};
use crate::dataset::{Domain, Split, clip_facts};

/// Where something is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The file.
    pub path: PathBuf,
    /// The line in it, from 1.
    pub row: u64,
}

/// A clip with its score. What its name says of its label is not looked at.
#[derive(Clone, Debug, PartialEq)]
pub struct UnlabelledClip {
    /// The clip's file name, without folders, with `.wav`.
    pub file: String,
    /// Anomaly score, finite.
    pub score: f64,
    /// As its own name or the score file's says.
    pub domain: Option<Domain>,
    /// Its row.
    pub origin: Origin,
}

/// The clips of one machine's section.
#[derive(Clone, Debug, PartialEq)]
pub struct UnlabelledSection {
    /// Machine type.
    pub machine: String,
    /// Section, at least two digits; in 2020 the machine's ID.
    pub section: String,
    /// Sorted by file name; no name twice.
    pub clips: Vec<UnlabelledClip>,
}

/// The scores of a folder.
#[derive(Clone, Debug, PartialEq)]
pub struct ScoreFolder {
    /// Where they were read.
    pub folder: PathBuf,
    /// The year that was asked for, or that the files' names fit.
    pub year: Year,
    /// Sorted by machine and section; at least one.
    pub sections: Vec<UnlabelledSection>,
}

/// The labels of a section's clips, in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Labels {
    /// Whether each is anomalous; `None` where neither name nor ground truth tells.
    pub anomalous: Vec<Option<bool>>,
    /// The domain of each, as far as it is known.
    pub domains: Vec<Option<Domain>>,
    /// Clips that the ground truth lists for the section beside them: without them a metric is not the official one.
    pub unscored: Vec<String>,
}

/// What names and ground truth say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownLabels {
    /// Of the sections that were asked for, in their order.
    pub sections: Vec<Labels>,
    /// Machine and section of those that the ground truth lists for the same machines and that were not asked for. Their
    /// labels are not looked at.
    pub others: Vec<(String, String)>,
}

/// Read the score files in `folder` itself: those of test clips, or those of training clips, which are named
/// `anomaly_score_<machine>_section_NN_train.csv`.
///
/// # Errors
/// No such file, a file that cannot be read, two files for the same clips, a clip twice, of another section or split, a
/// value that is no finite score; without `year`, names of several years.
pub fn read_scores(folder: &Path, split: Split, year: Option<Year>) -> Result<ScoreFolder, Error> {
    let groups = match split {
        Split::Train => folder::group_training(folder)?,
        Split::Test | Split::Supplemental => folder::group(folder)?,
    };
    let files = || groups.values().flat_map(BTreeMap::values).flat_map(|slot| &slot.scores);
    let year = match year {
        Some(year) => year,
        None => folder::detect(folder, files().map(|file| &file.name))?,
    };
    let mut sections = Vec::new();
    for ((machine, section), slots) in &groups {
        let mut clips: BTreeMap<String, UnlabelledClip> = BTreeMap::new();
        for (domain, slot) in slots {
            let Some(file) = slot.scores.first() else { continue };
            for entry in rows::read(&file.path, |value| value.parse::<f64>().is_ok())? {
                let clip = unlabelled(&file.path, entry, section, *domain, split)?;
                if let Some(first) = clips.get(&clip.file) {
                    let Origin { path, row } = &first.origin;
                    let why = format!("`{}` was in {}, row {row} already", clip.file, path.display());
                    return Err(Error::row(&clip.origin.path, clip.origin.row, why));
                }
                clips.insert(clip.file.clone(), clip);
            }
        }
        sections.push(UnlabelledSection {
            machine: machine.clone(),
            section: section.clone(),
            clips: clips.into_values().collect(),
        });
    }
    Ok(ScoreFolder { folder: folder.to_owned(), year, sections })
}

fn unlabelled(
    path: &Path,
    entry: Entry,
    section: &str,
    of_file: Option<Domain>,
    split: Split,
) -> Result<UnlabelledClip, Error> {
    let facts = clip_facts(&entry.clip).unwrap_or_default();
    let fail = |why: String| Err(Error::row(path, entry.row, why));
    if !facts.section.is_empty() && names::section(&facts.section) != section {
        return fail(format!("`{}` is not of section {section}, which the file is about", entry.clip));
    }
    if facts.split.is_some_and(|of_name| of_name != split) {
        return fail(format!("`{}` is no {} clip, which the file is about", entry.clip, split.token()));
    }
    if facts.domain.is_some() && of_file.is_some() && facts.domain != of_file {
        return fail(format!("`{}` is named after another domain than the file", entry.clip));
    }
    let score = entry.score(path)?;
    Ok(UnlabelledClip {
        file: format!("{}.wav", entry.clip),
        score,
        domain: facts.domain.or(of_file),
        origin: Origin { path: path.to_owned(), row: entry.row },
    })
}

/// What the clips' names and the ground truth below `truth` say of these sections, in their order. Of other machines and
/// sections no label is looked at.
///
/// # Errors
/// Ground truth that cannot be read, that contradicts a name, or that lacks a scored clip of a section that it lists.
pub fn read_labels(
    sections: &[UnlabelledSection],
    truth: Option<&Path>,
    year: Year,
) -> Result<KnownLabels, Error> {
    let wanted: BTreeSet<(&str, &str)> =
        sections.iter().map(|section| (section.machine.as_str(), section.section.as_str())).collect();
    let machines: BTreeSet<&str> = wanted.iter().map(|(machine, _)| *machine).collect();
    let others = RefCell::new(BTreeSet::new());
    let asked = |machine: &str, section: &str| {
        let asked = wanted.contains(&(machine, section));
        if !asked && machines.contains(machine) {
            others.borrow_mut().insert((machine.to_owned(), section.to_owned()));
        }
        asked
    };
    let truth = truth.map(|root| Truth::read_of(root, year, asked)).transpose()?;
    let of_section = |section: &UnlabelledSection| {
        let known = truth.as_ref().and_then(|truth| truth.section(&section.machine, &section.section));
        let mut labels = Labels { anomalous: Vec::new(), domains: Vec::new(), unscored: Vec::new() };
        let mut scored = BTreeSet::new();
        for clip in &section.clips {
            let name = clip.file.strip_suffix(".wav").unwrap_or(&clip.file).to_owned();
            let entry = Entry { row: clip.origin.row, clip: name, value: String::new() };
            let found = label(&clip.origin.path, &entry, &section.section, clip.domain, known)?;
            labels.anomalous.push(found.anomalous);
            labels.domains.push(found.domain);
            scored.insert(found.name.to_owned());
        }
        let listed = known.iter().flat_map(|known| known.clips());
        let unscored = listed.filter(|(clip, _)| !scored.contains(*clip));
        labels.unscored.extend(unscored.map(|(clip, _)| clip.to_owned()));
        Ok(labels)
    };
    let sections = sections.iter().map(of_section).collect::<Result<_, Error>>()?;
    Ok(KnownLabels { sections, others: others.into_inner().into_iter().collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIPS: [&str; 2] = ["section_00_source_test_normal_0000", "section_00_target_test_anomaly_0001"];

    fn put(root: &Path, path: &str, text: &str) {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    #[test]
    fn scores_of_test_and_training_clips_are_told_apart() {
        let place = tempfile::tempdir().unwrap();
        let root = place.path();
        let rows = format!("{}.wav,0.5\n{}.wav,1.5\n", CLIPS[1], CLIPS[0]);
        put(root, "anomaly_score_fan_section_00_test.csv", &rows);
        let train = "section_00_source_train_normal_0000_a.wav,0.25\n";
        put(root, "anomaly_score_fan_section_00_train.csv", train);
        let found = read_scores(root, Split::Test, None).unwrap();
        assert_eq!((found.year, found.sections.len()), (Year::Y2023, 1));
        let scores: Vec<f64> = found.sections[0].clips.iter().map(|clip| clip.score).collect();
        assert_eq!(scores, [1.5, 0.5], "sorted by name");
        assert_eq!(found.sections[0].clips[1].domain, Some(Domain::Target));
        let training = read_scores(root, Split::Train, None).unwrap();
        assert_eq!((training.sections[0].clips.len(), training.sections[0].clips[0].score), (1, 0.25));
        put(root, "other/anomaly_score_fan_section_00_train.csv", &rows);
        let why = read_scores(&root.join("other"), Split::Train, None).unwrap_err().to_string();
        assert!(why.contains("row 1") && why.contains("is no train clip"), "{why}");
        put(root, "none/x.txt", "");
        let why = read_scores(&root.join("none"), Split::Train, None).unwrap_err().to_string();
        assert!(why.contains("_train.csv"), "{why}");
    }

    #[test]
    fn labels_are_read_of_the_sections_asked_for_alone() {
        let place = tempfile::tempdir().unwrap();
        let root = place.path();
        let truth = |machine: &str, text: &str| {
            put(root, &format!("gt/ground_truth_data/ground_truth_{machine}_section_00_test.csv"), text);
        };
        truth("fan", "section_00_0000.wav,0\nsection_00_0001.wav,1\n");
        // What is no table cannot have been looked at.
        truth("valve", "\u{0}\u{0}rubbish;;\n1");
        put(
            root,
            "gt/eval_data_list.csv",
            "fan\nsection_00_0000.wav,section_00_source_test_normal_0000.wav\nvalve\nsection_00_0000.wav,rubbish\n",
        );
        for machine in ["fan", "valve"] {
            let rows = "section_00_0000.wav,1\nsection_00_0001.wav,2\n";
            put(root, &format!("s/anomaly_score_{machine}_section_00_test.csv"), rows);
        }
        let found = read_scores(&root.join("s"), Split::Test, None).unwrap();
        let gt = root.join("gt");
        let known = read_labels(&found.sections[..1], Some(&gt), Year::Y2023).unwrap();
        let labels = &known.sections;
        assert_eq!(labels[0].anomalous, [Some(false), Some(true)]);
        assert_eq!(labels[0].domains, [Some(Domain::Source), None]);
        assert_eq!((labels[0].unscored.len(), known.others.len()), (0, 0), "valve was not asked for at all");
        assert!(read_labels(&found.sections, Some(&gt), Year::Y2023).is_err());
        let none = read_labels(&found.sections, None, Year::Y2023).unwrap();
        assert_eq!(none.sections[1].anomalous, [None, None]);
    }

    #[test]
    fn clips_and_sections_that_nobody_scored_are_named() {
        let place = tempfile::tempdir().unwrap();
        let root = place.path();
        for section in ["00", "01"] {
            let rows = format!("section_{section}_0000.wav,0\nsection_{section}_0001.wav,1\n");
            put(root, &format!("gt/ground_truth_data/ground_truth_fan_section_{section}_test.csv"), &rows);
        }
        put(root, "s/anomaly_score_fan_section_00_test.csv", "section_00_0001.wav,2\n");
        let found = read_scores(&root.join("s"), Split::Test, None).unwrap();
        let known = read_labels(&found.sections, Some(&root.join("gt")), Year::Y2022).unwrap();
        assert_eq!(known.sections[0].unscored, ["section_00_0000"]);
        assert_eq!(known.others, [("fan".to_owned(), "01".to_owned())]);
    }

    #[test]
    fn a_year_that_is_given_settles_names_of_several() {
        let place = tempfile::tempdir().unwrap();
        let root = place.path();
        put(
            root,
            "anomaly_score_fan_section_00_source_test.csv",
            "section_00_source_test_normal_0000.wav,2\n",
        );
        put(root, "anomaly_score_valve_section_00_test.csv", "section_00_source_test_normal_0000.wav,2\n");
        let why = read_scores(root, Split::Test, None).unwrap_err().to_string();
        assert!(why.contains("--year") && why.contains("official.year"), "{why}");
        let found = read_scores(root, Split::Test, Some(Year::Y2021)).unwrap();
        assert_eq!((found.year, found.sections.len()), (Year::Y2021, 2));
    }

    #[test]
    fn names_tell_labels_where_they_have_them() {
        let clips = CLIPS.map(|name| UnlabelledClip {
            file: format!("{name}.wav"),
            score: 0.0,
            domain: None,
            origin: Origin { path: "s.csv".into(), row: 1 },
        });
        let section = UnlabelledSection { machine: "fan".into(), section: "00".into(), clips: clips.into() };
        let labels = read_labels(&[section], None, Year::Y2022).unwrap().sections;
        assert_eq!(labels[0].anomalous, [Some(false), Some(true)]);
        assert_eq!(labels[0].domains, [Some(Domain::Source), Some(Domain::Target)]);
    }
}
