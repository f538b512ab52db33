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
use std::fmt;
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

/// What is known of one clip.
#[derive(Debug, Clone)]
pub(super) struct Fact {
    pub anomalous: Option<Said<bool>>,
    pub domain: Option<Said<Domain>>,
    /// Where the clip was named first.
    pub first: Place,
}

/// What ground truth says, and where it says so first.
#[derive(Debug, Clone)]
pub(super) struct Said<T> {
    pub value: T,
    pub place: Place,
}

/// A row of ground truth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub path: PathBuf,
    pub row: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, row {}", self.path.display(), self.row)
    }
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
        Self::read_of(root, year, |_, _| true)
    }

    /// As [`Truth::read`], of the machines and sections that `wanted` says yes to: no other label is looked at.
    pub fn read_of(root: &Path, year: Year, wanted: impl Fn(&str, &str) -> bool) -> Result<Self, Error> {
        let mut truth = Self { root: root.to_owned(), sections: BTreeMap::new() };
        let mut found = false;
        for path in tables(root)? {
            let file = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            match names::parse(file) {
                Some(Ok(name)) if name.kind == Kind::Truth => {
                    found = true;
                    if wanted(&name.machine, &name.section) {
                        truth.add_table(&path, &name)?;
                    }
                }
                Some(Err(why)) if file.starts_with("ground_truth_") => return Err(Error::table(&path, why)),
                _ if is_list_of(file, year) => {
                    found = true;
                    truth.add_list(&path, &wanted)?;
                }
                _ => {}
            }
        }
        if !found {
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
                self.learn_name(&source, &entry.clip, &entry.value, None)?;
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

    fn add_list(&mut self, path: &Path, wanted: impl Fn(&str, &str) -> bool) -> Result<(), Error> {
        let mut machine: Option<String> = None;
        for (row, fields) in rows::records(path)? {
            let fail = |why: String| Err(Error::row(path, row, why));
            // A row of a section that is not asked for is not read beyond its name.
            if let (Some(machine), [clip, _, ..]) = (&machine, fields.as_slice())
                && let Some(facts) = clip_facts(stem(clip))
                && !wanted(machine, &names::section(&facts.section))
            {
                continue;
            }
            let (clip, full, label) = match fields.as_slice() {
                // Spreadsheets pad a machine's line with empty cells to the width of the others.
                [name] | [name, _] if fields.iter().skip(1).all(String::is_empty) => {
                    if rows::is_clip(name) {
                        return fail(format!("the full name of `{name}` is missing"));
                    }
                    machine = Some(name.clone());
                    continue;
                }
                [clip, full] => (stem(clip), full, None),
                [clip, full, label] => match rows::flag(label) {
                    Some(flag) => (stem(clip), full, Some(flag)),
                    None => {
                        return fail(format!("the label `{label}` of `{clip}` is neither 0 nor 1"));
                    }
                },
                _ => {
                    let columns = fields.len();
                    return fail(format!(
                        "{columns} columns where two or three are expected: clip,full name[,label]"
                    ));
                }
            };
            let Some(machine) = &machine else {
                return fail("no machine's name stands on a line above".to_owned());
            };
            let Some(facts) = clip_facts(clip) else {
                return fail(format!("`{clip}` is not a clip's name: section and machine ID are missing"));
            };
            let section = names::section(&facts.section);
            self.learn_name(&Source { machine, section: &section, path, row }, clip, full, label)?;
        }
        Ok(())
    }

    /// Take label and domain from a clip's full name, and the label that stands beside it.
    fn learn_name(
        &mut self,
        source: &Source,
        clip: &str,
        full: &str,
        label: Option<bool>,
    ) -> Result<(), Error> {
        let full = stem(full);
        let facts = clip_facts(full).ok_or_else(|| {
            Error::row(source.path, source.row, format!("`{full}` is not a clip's full name"))
        })?;
        if differ(facts.anomalous, label) {
            let why = format!("the label of `{clip}` contradicts its full name `{full}`");
            return Err(Error::row(source.path, source.row, why));
        }
        self.learn(source, clip, facts.anomalous.or(label), facts.domain)?;
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
        let place = || Place { path: source.path.to_owned(), row: source.row };
        let known = section.clips.entry(clip.to_owned()).or_insert_with(|| Fact {
            anomalous: None,
            domain: None,
            first: place(),
        });
        if let Some((what, other)) = known.contradiction(anomalous, domain) {
            let why = format!("gives `{clip}` another {what} than {other}");
            return Err(Error::row(source.path, source.row, why));
        }
        if let (None, Some(value)) = (&known.anomalous, anomalous) {
            known.anomalous = Some(Said { value, place: place() });
        }
        if let (None, Some(value)) = (&known.domain, domain) {
            known.domain = Some(Said { value, place: place() });
        }
        Ok(())
    }
}

impl Fact {
    /// Which of the two is known to be another, and where that was said.
    pub fn contradiction(
        &self,
        anomalous: Option<bool>,
        domain: Option<Domain>,
    ) -> Option<(&'static str, &Place)> {
        let label = self.anomalous.as_ref().filter(|said| differ(Some(said.value), anomalous));
        let domain = self.domain.as_ref().filter(|said| differ(Some(said.value), domain));
        let label = label.map(|said| ("label", &said.place));
        label.or(domain.map(|said| ("domain", &said.place)))
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
            let entry = match entry {
                Ok(entry) => entry,
                // A link back into its own folders shows nothing new; walkdir does not enter it.
                Err(error) if error.loop_ancestor().is_some() => continue,
                Err(error) => return Err(fail(&root, error.to_string())),
            };
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Of a folder with these files.
    fn read(files: &[(&str, &str)]) -> Result<Truth, String> {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        Truth::read(folder.path(), Year::Y2022).map_err(|error| error.to_string())
    }

    fn list(text: &str) -> Result<Truth, String> {
        read(&[("eval_data_list.csv", text)])
    }

    #[test]
    fn a_contradiction_names_what_it_contradicts() {
        let label = "ground_truth_data/ground_truth_fan_section_03_test.csv";
        let domain = "ground_truth_domain/ground_truth_fan_section_03_test.csv";
        let clips = |of: [u8; 2]| format!("section_03_0000.wav,{}\nsection_03_0001.wav,{}\n", of[0], of[1]);
        // Read last, so that the label and the domain were said before it, in two files.
        let full = |name: &str| format!("\nsection_03_0001.wav,section_03_{name}_0007.wav\n");
        let names = "ground_truth_names_attributes/ground_truth_fan_section_03_test.csv";
        for (name, expected) in
            [("target_test_normal", "another label than"), ("source_test_anomaly", "another domain than")]
        {
            let found = read(&[(label, &clips([0, 1])), (domain, &clips([0, 1])), (names, &full(name))]);
            let why = found.unwrap_err();
            let place = if expected.contains("label") { label } else { domain };
            let (this, other) = why.split_once(expected).expect(&why);
            assert!(this.contains(&format!("{names}, row 2: gives `section_03_0001`")), "{why}");
            assert!(other.ends_with(&format!("{place}, row 2")), "{why}");
        }
        let agreed =
            [(label, &*clips([0, 1])), (domain, &*clips([0, 1])), (names, &*full("target_test_anomaly"))];
        assert!(read(&agreed).is_ok());
    }

    #[test]
    fn a_machines_line_may_be_padded() {
        let rows = "section_03_0000.wav,section_03_source_test_normal_0000.wav";
        for line in ["fan", "fan,", "fan,,", "\"fan\" , , ,"] {
            let truth = list(&format!("{line}\n{rows}\nvalve,,\n{rows},0\n")).unwrap();
            assert_eq!(truth.sections().collect::<Vec<_>>(), [("fan", "03"), ("valve", "03")], "{line}");
        }
        for row in ["section_03_0001.wav,,", "section_03_0001.wav"] {
            let why = list(&format!("fan\n{rows}\n{row}\n")).unwrap_err();
            assert!(why.contains("row 3: the full name of `section_03_0001.wav` is missing"), "{why}");
        }
    }

    #[test]
    fn a_lists_third_column_is_the_label() {
        let truth = list("fan\nid_01_00000000.wav,id_01_00000009.wav,1\n").unwrap();
        let (_, fact) = truth.section("fan", "01").unwrap().find("id_01_00000000").unwrap();
        assert_eq!(fact.anomalous.as_ref().map(|said| said.value), Some(true));
        for (row, expected) in [
            (
                "id_01_00000000.wav,normal_id_01_00000000.wav,1",
                "row 2: the label of `id_01_00000000` contradicts",
            ),
            ("id_01_00000000.wav,normal_id_01_00000000.wav,x", "row 2: the label `x`"),
            ("id_01_00000000.wav,normal_id_01_00000000.wav,0,0", "row 2: 4 columns"),
        ] {
            let why = list(&format!("fan\n{row}\n")).unwrap_err();
            assert!(why.contains(expected), "{why}");
        }
    }
}
