//! The files of a submission: which there are, what each is about, and of which year they are.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use super::error::some_of;
use super::names::{self, FileName, Kind};
use super::{Error, Year};
use crate::dataset::{Domain, Split};

/// A file of the submission.
pub(super) struct File {
    pub name: FileName,
    pub path: PathBuf,
}

/// The files of one machine, section and (in 2021) domain. `slots` of other years have one with domain `None`.
#[derive(Default)]
pub(super) struct Slot {
    pub scores: Vec<File>,
    pub decisions: Vec<File>,
}

pub(super) type Slots = BTreeMap<Option<Domain>, Slot>;

/// By machine and section.
pub(super) type Groups = BTreeMap<(String, String), Slots>;

/// The files by machine and section, then domain, with one score file and at most one decision file each.
pub(super) fn group(folder: &Path) -> Result<Groups, Error> {
    let mut groups = Groups::new();
    for path in list(folder)? {
        let file = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let name = match names::parse(file) {
            Some(Ok(name)) if name.kind != Kind::Truth => name,
            Some(Err(why)) if !file.starts_with("ground_truth_") => return Err(Error::table(&path, why)),
            _ => continue,
        };
        let slots = groups.entry((name.machine.clone(), name.section.clone())).or_default();
        let slot = slots.entry(name.domain).or_default();
        match name.kind {
            Kind::Decisions => slot.decisions.push(File { name, path }),
            _ => slot.scores.push(File { name, path }),
        }
    }
    let slots = || groups.values().flat_map(BTreeMap::values);
    if slots().all(|slot| slot.scores.is_empty()) {
        return Err(Error::folder(folder, no_scores(folder)));
    }
    several(folder, slots())?;
    for slot in slots() {
        match (slot.scores.first(), slot.decisions.first()) {
            (None, Some(decisions)) => {
                let why = "has no anomaly_score file beside it; add it, or remove the decisions";
                return Err(Error::table(&decisions.path, why));
            }
            (Some(scores), Some(decisions)) if scores.name.variant != decisions.name.variant => {
                let why = format!(
                    "is not of the same run as {}; keep one run in a folder",
                    file_name(&scores.path)
                );
                return Err(Error::table(&decisions.path, why));
            }
            _ => {}
        }
    }
    Ok(groups)
}

/// The score files of training clips by machine and section, then domain, one each.
pub(super) fn group_training(folder: &Path) -> Result<Groups, Error> {
    let mut groups = Groups::new();
    for path in list(folder)? {
        let name = match names::parse_of(&file_name(&path), Split::Train) {
            Some(Ok(name)) if name.kind == Kind::Scores => name,
            _ => continue,
        };
        let slots = groups.entry((name.machine.clone(), name.section.clone())).or_default();
        slots.entry(name.domain).or_default().scores.push(File { name, path });
    }
    if groups.is_empty() {
        let why = "no score file of training clips in this folder; expected \
                   anomaly_score_<machine>_section_NN_train.csv";
        return Err(Error::folder(folder, why));
    }
    several(folder, groups.values().flat_map(BTreeMap::values))?;
    Ok(groups)
}

/// An error where several files are about the same clips, such as several seeds of the baseline.
fn several<'a>(folder: &Path, slots: impl Iterator<Item = &'a Slot>) -> Result<(), Error> {
    let lists = slots.flat_map(|slot| [&slot.scores, &slot.decisions]).filter(|files| files.len() > 1);
    let files: Vec<&File> = lists.flatten().collect();
    let Some(first) = files.first() else { return Ok(()) };
    let variants: BTreeSet<&str> = files.iter().map(|file| file.name.variant.as_str()).collect();
    let runs = match variants.len() {
        1 => String::new(),
        runs => {
            let shown: Vec<&str> =
                variants.into_iter().map(|v| if v.is_empty() { "(none)" } else { v }).collect();
            format!(" ({runs} runs: {})", some_of(&shown))
        }
    };
    let names: Vec<String> = files.iter().map(|file| file_name(&file.path)).collect();
    let why = format!(
        "several files are about machine {}, section {}{}{runs}: {}; choose one, and keep the files of one run in a \
         folder of its own",
        first.name.machine,
        first.name.section,
        if names.len() > 2 { " and others" } else { "" },
        some_of(&names),
    );
    Err(Error::folder(folder, why))
}

/// The visible files in a folder, by name.
fn list(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let remedy = "name a folder that holds anomaly_score_*.csv files";
    let entries =
        fs::read_dir(folder).map_err(|error| Error::folder(folder, format!("{error}; {remedy}")))?;
    let mut paths = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| Error::folder(folder, error.to_string()))?;
        let path = entry.path();
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        if path.is_file() {
            paths.push(path);
        } else if names::parse(&file_name(&path)).is_some() {
            // A link to nowhere, or a folder: a section would be missing without a word.
            return Err(Error::table(
                &path,
                "is named as a table and is no file; repair the link or remove it".to_owned(),
            ));
        }
    }
    paths.sort();
    Ok(paths)
}

/// What to do where a folder has no score files: they may lie one below.
fn no_scores(folder: &Path) -> String {
    let holds_scores = |path: &PathBuf| {
        list(path).is_ok_and(|files| {
            files.iter().any(|file| {
                names::parse(&file_name(file))
                    .is_some_and(|name| name.is_ok_and(|name| name.kind == Kind::Scores))
            })
        })
    };
    // `eval --submission` makes a folder a configuration and one a seed.
    let folders = walkdir::WalkDir::new(folder).min_depth(1).max_depth(3).into_iter().flatten();
    let below = folders.filter(|entry| entry.file_type().is_dir()).map(|entry| entry.into_path());
    let mut below: Vec<PathBuf> = below.filter(holds_scores).collect();
    below.sort();
    if below.is_empty() {
        return "no score file in this folder; expected anomaly_score_<machine>_section_NN_test.csv"
            .to_owned();
    }
    let names: Vec<String> = below.iter().map(|path| path.display().to_string()).collect();
    format!("no score file in this folder itself; name a folder below it: {}", some_of(&names))
}

/// The year that the files' names fit. 2022 to 2026 share their metrics, so that only what differs matters: machine IDs
/// (2020), test sets per domain (2021), more than section 00 (2022), and otherwise 2023, which stands for those after it
/// too where no prefix says the year.
pub(super) fn detect<'a>(folder: &Path, files: impl Iterator<Item = &'a FileName>) -> Result<Year, Error> {
    let guess = |name: &FileName| match name {
        FileName { year: Some(year), .. } => *year,
        FileName { is_id: true, .. } => Year::Y2020,
        FileName { domain: Some(_), .. } => Year::Y2021,
        FileName { section, .. } if section != "00" => Year::Y2022,
        _ => Year::Y2023,
    };
    let years: BTreeSet<Year> = files.map(guess).collect();
    // One metric fits them all; section 00 of 2022 alone looks like 2023.
    let is_one_form = years.len() == 1 || years.iter().all(|year| *year >= Year::Y2022);
    match years.first() {
        Some(year) if is_one_form => Ok(*year),
        _ => {
            let years: Vec<String> = years.iter().map(Year::to_string).collect();
            let why = format!(
                "the files' names are of several years ({}); keep one year's in a folder, or say --year (in a fusion official.year)",
                some_of(&years)
            );
            Err(Error::folder(folder, why))
        }
    }
}

/// A word where machines differ in their sections: in most years they do not.
pub(super) fn unequal(groups: &Groups) -> Vec<String> {
    if groups.values().any(|slots| slots.values().flat_map(|slot| &slot.scores).any(|file| file.name.is_id)) {
        return Vec::new();
    }
    let all: BTreeSet<&String> = groups.keys().map(|(_, section)| section).collect();
    let machines: BTreeSet<&String> = groups.keys().map(|(machine, _)| machine).collect();
    let pairs = machines.iter().flat_map(|machine| all.iter().map(move |section| (*machine, *section)));
    let lacking: Vec<String> = pairs
        .filter(|(machine, section)| !groups.contains_key(&((*machine).clone(), (*section).clone())))
        .map(|(machine, section)| format!("{machine} section {section}"))
        .collect();
    match lacking.as_slice() {
        [] => Vec::new(),
        _ => vec![format!("other machines have scores for what is missing here: {}", some_of(&lacking))],
    }
}

/// A file's own name, for messages.
pub(super) fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
