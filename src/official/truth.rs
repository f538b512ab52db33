//! The ground truth of evaluation sets, whose clips' names say neither label nor domain. Three forms, all found below
//! one folder:
//!
//! - `ground_truth_data/ground_truth_<machine>_section_NN_test.csv` of `file,0|1` (1 = anomalous) and the same below
//!   `ground_truth_domain/` (1 = target);
//! - the same below `ground_truth_attributes/`, of `file,<the clip's full name>`;
//! - `eval_data_list*.csv`: a machine's name on a line of its own, then `file,<the clip's full name>[,0|1]`.
//!
//! A data set's index reads ground truth too, but goes on where a table is broken. Here a table that cannot be read to its
//! last row would change an official number, so it is an error.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use super::names::{self, Kind};
use super::{Error, Year, rows};
use crate::dataset::{Domain, clip_facts, stem};

/// What is known of the clips of evaluation sets.
#[derive(Debug)]
pub(super) struct Truth {
    pub root: PathBuf,
    /// By machine and section.
    sections: BTreeMap<(String, String), SectionTruth>,
}

/// What is known of one section's clips.
#[derive(Debug, Default)]
pub(super) struct SectionTruth {
    clips: BTreeMap<String, Fact>,
    /// From a clip's full name to the name in the evaluation set.
    full_names: HashMap<String, String>,
}

/// What is known of one clip, and where it was read first.
#[derive(Debug, Clone)]
pub(super) struct Fact {
    pub anomalous: Option<bool>,
    pub domain: Option<Domain>,
    pub path: PathBuf,
    pub row: u64,
}

/// Where a row of ground truth stands and what it is about.
struct Source<'a> {
    machine: &'a str,
    section: &'a str,
    path: &'a Path,
    row: u64,
}

impl Truth {
    /// Everything below `root`, which may also be one of the three folders, or a file. Lists of another year than
    /// `year` are left out.
    pub fn read(root: &Path, year: Year) -> Result<Self, Error> {
        let mut truth = Self { root: root.to_owned(), sections: BTreeMap::new() };
        for path in tables(root)? {
            let file = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            match names::parse(file) {
                Some(Ok(name)) if name.kind == Kind::Truth => truth.add_table(&path, &name)?,
                Some(Err(why)) if file.starts_with("ground_truth_") => return Err(Error::table(&path, why)),
                _ if is_list_of(file, year) => truth.add_list(&path)?,
                _ => {}
            }
        }
        if truth.sections.is_empty() {
            let why = "no ground truth there; expected ground_truth_data/ground_truth_<machine>_section_NN_test.csv, the \
                       same in ground_truth_domain, or eval_data_list.csv";
            return Err(Error::folder(root, why));
        }
        Ok(truth)
    }

    pub fn section(&self, machine: &str, section: &str) -> Option<&SectionTruth> {
        self.sections.get(&(machine.to_owned(), section.to_owned()))
    }

    /// Machine and section of everything that is known.
    pub fn sections(&self) -> impl Iterator<Item = (&str, &str)> {
        self.sections.keys().map(|(machine, section)| (machine.as_str(), section.as_str()))
    }

    fn add_table(&mut self, path: &Path, name: &names::FileName) -> Result<(), Error> {
        let folder =
            path.parent().and_then(Path::file_name).and_then(|name| name.to_str()).unwrap_or_default();
        let of_domain = folder.contains("domain");
        let of_names = folder.contains("attributes");
        let entries = match of_names {
            true => rows::read_names(path)?,
            false => rows::read(path, |value| rows::flag(value).is_some())?,
        };
        for entry in entries {
            let source = Source { machine: &name.machine, section: &name.section, path, row: entry.row };
            if of_names {
                self.learn_name(&source, &entry.clip, &entry.value)?;
                continue;
            }
            let flag = entry.flag(path)?;
            let domain = match of_domain {
                true if flag => Some(Domain::Target),
                true => Some(Domain::Source),
                false => name.domain,
            };
            self.learn(&source, &entry.clip, (!of_domain).then_some(flag), domain)?;
        }
        Ok(())
    }

    fn add_list(&mut self, path: &Path) -> Result<(), Error> {
        let mut machine = None;
        for (row, fields) in rows::records(path)? {
            match (fields.as_slice(), &machine) {
                ([name], _) => machine = Some(name.clone()),
                ([clip, full, ..], Some(machine)) => {
                    let clip = stem(clip);
                    let facts = clip_facts(clip).ok_or_else(|| {
                        Error::row(
                            path,
                            row,
                            format!("`{clip}` is not a clip's name: section and machine ID are missing"),
                        )
                    })?;
                    let section = names::section(&facts.section);
                    self.learn_name(&Source { machine, section: &section, path, row }, clip, full)?;
                }
                _ => return Err(Error::row(path, row, "no machine's name stands on a line above")),
            }
        }
        Ok(())
    }

    /// Take label and domain from a clip's full name.
    fn learn_name(&mut self, source: &Source, clip: &str, full: &str) -> Result<(), Error> {
        let full = stem(full);
        let facts = clip_facts(full).ok_or_else(|| {
            Error::row(source.path, source.row, format!("`{full}` is not a clip's full name"))
        })?;
        self.learn(source, clip, facts.anomalous, facts.domain)?;
        let section =
            self.sections.entry((source.machine.to_owned(), source.section.to_owned())).or_default();
        section.full_names.insert(full.to_owned(), clip.to_owned());
        Ok(())
    }

    fn learn(
        &mut self,
        source: &Source,
        clip: &str,
        anomalous: Option<bool>,
        domain: Option<Domain>,
    ) -> Result<(), Error> {
        let section =
            self.sections.entry((source.machine.to_owned(), source.section.to_owned())).or_default();
        let known = section.clips.entry(clip.to_owned()).or_insert_with(|| Fact {
            anomalous: None,
            domain: None,
            path: source.path.to_owned(),
            row: source.row,
        });
        if differ(known.anomalous, anomalous) || differ(known.domain, domain) {
            let why = format!("says otherwise of `{clip}` than {}, row {}", known.path.display(), known.row);
            return Err(Error::row(source.path, source.row, why));
        }
        known.anomalous = known.anomalous.or(anomalous);
        known.domain = known.domain.or(domain);
        Ok(())
    }
}

impl SectionTruth {
    /// What is known of a clip, with its name in the evaluation set; `clip` may be that or the full name.
    pub fn find(&self, clip: &str) -> Option<(&str, &Fact)> {
        let name = self.full_names.get(clip).map_or(clip, String::as_str);
        self.clips.get_key_value(name).map(|(name, fact)| (name.as_str(), fact))
    }

    pub fn clips(&self) -> impl Iterator<Item = (&str, &Fact)> {
        self.clips.iter().map(|(clip, fact)| (clip.as_str(), fact))
    }
}

/// Whether two things are known and not the same.
pub(super) fn differ<T: PartialEq>(one: Option<T>, other: Option<T>) -> bool {
    one.is_some() && other.is_some() && one != other
}

/// All files below `root`, in the order of their names. Of `ground_truth_data` itself, the folders beside it too.
fn tables(root: &Path) -> Result<Vec<PathBuf>, Error> {
    let fail =
        |path: &Path, why: String| Error::folder(path, format!("failed to read the ground truth: {why}"));
    let real = root.canonicalize().map_err(|error| fail(root, error.to_string()))?;
    let is_truth = |path: &Path| {
        path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with("ground_truth_"))
    };
    let mut roots = vec![root.to_owned()];
    if real.is_dir()
        && is_truth(&real)
        && let Some(parent) = real.parent()
    {
        let beside = std::fs::read_dir(parent).map_err(|error| fail(parent, error.to_string()))?;
        roots.extend(
            beside
                .flatten()
                .map(|entry| entry.path())
                .filter(|path| path.is_dir() && is_truth(path) && *path != real),
        );
    }
    let mut files = Vec::new();
    for root in roots {
        for entry in WalkDir::new(&root).follow_links(true) {
            let entry = entry.map_err(|error| fail(&root, error.to_string()))?;
            let is_hidden = entry.depth() > 0 && entry.file_name().as_encoded_bytes().starts_with(b".");
            if entry.file_type().is_file() && !is_hidden {
                files.push(entry.into_path());
            }
        }
    }
    files.sort();
    Ok(files)
}

/// Whether a file is an `eval_data_list` that may be about `year`: several years' lists often lie in one folder, and
/// 2021 and 2022 have the same machines. The years since 2023 have machines of their own.
fn is_list_of(file: &str, year: Year) -> bool {
    let Some(rest) = file.strip_prefix("eval_data_list").and_then(|rest| rest.strip_suffix(".csv")) else {
        return false;
    };
    match rest.trim_start_matches('_').parse::<Year>() {
        Ok(of) => of == year || (of >= Year::Y2023 && year >= Year::Y2023),
        Err(_) => true,
    }
}
