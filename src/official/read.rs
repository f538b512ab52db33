//! From a folder of score and decision files to rows with labels and domains.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use super::error::some_of;
use super::folder::{self, Groups, Slots, file_name};
use super::names;
use super::rows::{self, Entry};
use super::truth::{Fact, SectionTruth, Truth, differ};
use super::{Error, MachineScores, Row, SectionScores, Submission, Year};
use crate::dataset::{Domain, Split, clip_facts};

/// Read the score and decision files in `folder` itself. Labels and domains come from the clips' names and from the
/// files below `truth`; `year` is found from the files' names where it is not given. Rows are joined by the clip's file
/// name, never by position.
///
/// # Errors
/// Whatever keeps a number from being the official one: a file that cannot be read, two files for the same clips, a
/// clip that is missing, extra or there twice, a value that is no finite score, a clip without a label.
pub fn read(folder: &Path, truth: Option<&Path>, year: Option<Year>) -> Result<Submission, Error> {
    let groups = folder::group(folder)?;
    let files = || groups.values().flat_map(BTreeMap::values).flat_map(|slot| &slot.scores);
    let detected = year.is_none();
    let year = match year {
        Some(year) => year,
        None => folder::detect(folder, files().map(|file| &file.name))?,
    };
    let truth = truth.map(|root| Truth::read(root, year)).transpose()?;
    let notes = match &truth {
        Some(truth) => uncovered(folder, &groups, truth)?,
        None => folder::unequal(&groups),
    };
    let mut machines: Vec<MachineScores> = Vec::new();
    for ((machine, section), slots) in &groups {
        let rows = section_rows(section, slots, truth.as_ref().map(|truth| (truth, machine.as_str())))?;
        let domainless = rows.iter().find(|row| row.0.domain.is_none());
        if year.has_domains()
            && let Some((row, origin)) = domainless
            && rows.iter().any(|(row, _)| row.domain.is_some())
        {
            let why =
                format!("the domain of `{}` is unknown, while other clips' domains are known", row.file);
            return Err(Error::row(&origin.0, origin.1, why));
        }
        let mut rows: Vec<Row> = rows.into_iter().map(|(row, _)| row).collect();
        rows.sort_by(|a, b| a.file.cmp(&b.file));
        let scores = SectionScores { section: section.clone(), rows };
        match machines.last_mut() {
            Some(last) if last.machine == *machine => last.sections.push(scores),
            _ => machines.push(MachineScores { machine: machine.clone(), sections: vec![scores] }),
        }
    }
    Ok(Submission { folder: folder.to_owned(), year, detected, notes, machines })
}

/// What the ground truth has and the submission lacks: whole machines are worth a word, sections of a machine that
/// the truth is about are an error.
fn uncovered(folder: &Path, groups: &Groups, truth: &Truth) -> Result<Vec<String>, Error> {
    let about: BTreeSet<&str> = truth
        .sections()
        .filter(|(machine, section)| groups.contains_key(&((*machine).to_owned(), (*section).to_owned())))
        .map(|(machine, _)| machine)
        .collect();
    let mut absent = BTreeSet::new();
    for (machine, section) in truth.sections() {
        if groups.contains_key(&(machine.to_owned(), section.to_owned())) {
            continue;
        }
        if about.contains(machine) {
            let why = format!(
                "no score file for machine {machine}, section {section}, which the ground truth {} lists",
                truth.root.display()
            );
            return Err(Error::folder(folder, why));
        }
        absent.insert(machine);
    }
    let absent: Vec<&str> = absent.into_iter().collect();
    Ok(match absent.as_slice() {
        [] => Vec::new(),
        _ => vec![format!(
            "the ground truth also lists {}, which the submission does not score: means and official score are over the \
             machines that are there",
            some_of(&absent)
        )],
    })
}

/// Where a row stands.
type Origin = (PathBuf, u64);

/// The rows of one section, labelled, each with its place in the score file.
fn section_rows(
    section: &str,
    slots: &Slots,
    truth: Option<(&Truth, &str)>,
) -> Result<Vec<(Row, Origin)>, Error> {
    let known = truth.and_then(|(truth, machine)| truth.section(machine, section));
    let remedy = match truth {
        None => "give the evaluation set's ground truth with --truth DIR".to_owned(),
        Some((truth, machine)) => format!(
            "the ground truth {} has no label for it (machine {machine}, section {section})",
            truth.root.display()
        ),
    };
    let mut rows: Vec<(Row, Origin)> = Vec::new();
    // By the name in the evaluation set, so that a clip cannot come in twice under two names.
    let mut seen: HashMap<String, Origin> = HashMap::new();
    for (domain, slot) in slots {
        let Some(file) = slot.scores.first() else { continue };
        let path = &file.path;
        let entries = rows::read(path, |value| value.parse::<f64>().is_ok())?;
        let decisions = match slot.decisions.first() {
            Some(decisions) => Some(read_decisions(&decisions.path, path, &entries)?),
            None => None,
        };
        for entry in entries {
            let origin = (path.clone(), entry.row);
            let labelled = label(path, &entry, section, *domain, known)?;
            if let Some((path, row)) = seen.insert(labelled.name.to_owned(), origin.clone()) {
                let why = format!("`{}` was in {}, row {row} already", entry.clip, path.display());
                return Err(Error::row(&origin.0, origin.1, why));
            }
            let Some(anomalous) = labelled.anomalous else {
                let (row, clip) = (entry.row, entry.clip);
                return Err(Error::Unlabelled { path: path.clone(), row, clip, remedy });
            };
            let score = entry.score(path)?;
            let decision = decisions.as_ref().and_then(|decisions| decisions.get(&entry.clip).copied());
            let row = Row {
                file: format!("{}.wav", entry.clip),
                score,
                decision,
                anomalous,
                domain: labelled.domain,
            };
            rows.push((row, origin));
        }
    }
    if let Some(known) = known {
        let missing: Vec<(&str, &Fact)> =
            known.clips().filter(|(clip, _)| !seen.contains_key(*clip)).collect();
        if let Some((clip, fact)) = missing.first() {
            let files: Vec<&Path> =
                slots.values().flat_map(|slot| &slot.scores).map(|file| file.path.as_path()).collect();
            let why = format!(
                "{} clip(s) of the ground truth have no score, the first is `{clip}` ({})",
                missing.len(),
                fact.first
            );
            return Err(Error::table(files.first().copied().unwrap_or(&fact.first.path), why));
        }
    }
    Ok(rows)
}

/// What is known of a scored clip.
pub(super) struct Labelled<'a> {
    /// Its name in the evaluation set, where that differs.
    pub name: &'a str,
    pub anomalous: Option<bool>,
    pub domain: Option<Domain>,
}

/// Bring together what the clip's name, the file's name and the ground truth say; they must not contradict each other.
pub(super) fn label<'a>(
    path: &Path,
    entry: &'a Entry,
    section: &str,
    of_file: Option<Domain>,
    known: Option<&'a SectionTruth>,
) -> Result<Labelled<'a>, Error> {
    let fail = |why: String| Err(Error::row(path, entry.row, why));
    let clip = entry.clip.as_str();
    let facts = clip_facts(clip).unwrap_or_default();
    if !facts.section.is_empty() && names::section(&facts.section) != section {
        return fail(format!("`{clip}` is not of section {section}, which the file is about"));
    }
    if facts.split.is_some_and(|split| split != Split::Test) {
        return fail(format!("`{clip}` is not a test clip; a submission scores test clips only"));
    }
    if differ(facts.domain, of_file) {
        return fail(format!("`{clip}` is named after another domain than the file"));
    }
    let domain = facts.domain.or(of_file);
    let Some(known) = known else {
        return Ok(Labelled { name: clip, anomalous: facts.anomalous, domain });
    };
    let Some((name, fact)) = known.find(clip) else {
        return fail(format!("`{clip}` is not in the ground truth; remove it, or check the ground truth"));
    };
    if let Some((what, place)) = fact.contradiction(facts.anomalous, domain) {
        // The domain may stand in the file's name alone.
        let says = if what == "domain" && facts.domain.is_none() { "the file's name" } else { "the name" };
        return fail(format!("{says} gives `{clip}` another {what} than the ground truth in {place}"));
    }
    let anomalous = fact.anomalous.as_ref().map(|said| said.value);
    let of_truth = fact.domain.as_ref().map(|said| said.value);
    Ok(Labelled { name, anomalous: facts.anomalous.or(anomalous), domain: domain.or(of_truth) })
}

/// The decisions by clip; about the same clips as the scores.
fn read_decisions(path: &Path, scores_path: &Path, scores: &[Entry]) -> Result<HashMap<String, bool>, Error> {
    let scored: HashMap<&str, u64> = scores.iter().map(|entry| (entry.clip.as_str(), entry.row)).collect();
    let mut decisions = HashMap::with_capacity(scores.len());
    for entry in rows::read(path, |value| rows::flag(value).is_some())? {
        let flag = entry.flag(path)?;
        if !scored.contains_key(entry.clip.as_str()) {
            let why = format!("`{}` has a decision but no score in {}", entry.clip, file_name(scores_path));
            return Err(Error::row(path, entry.row, why));
        }
        decisions.insert(entry.clip, flag);
    }
    match scores.iter().find(|entry| !decisions.contains_key(&entry.clip)) {
        Some(entry) => {
            let why = format!("`{}` has a score but no decision in {}", entry.clip, file_name(path));
            Err(Error::row(scores_path, entry.row, why))
        }
        None => Ok(decisions),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_contradiction_of_the_ground_truth_names_the_row_that_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let put = |path: &str, text: &str| {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        let table = "ground_truth_fan_section_00_test.csv";
        // The domain is read last, so that the clip is known from the file with the label.
        for (name, label, domain, what, place) in [
            ("section_00_source_test_normal_0000", 0, 1, "domain", "ground_truth_domain"),
            ("section_00_source_test_normal_0000", 1, 0, "label", "ground_truth_data"),
        ] {
            put("scores/anomaly_score_fan_section_00_test.csv", &format!("{name}.wav,0.5\n"));
            put(&format!("gt/ground_truth_data/{table}"), &format!("{name}.wav,{label}\n"));
            put(&format!("gt/ground_truth_domain/{table}"), &format!("\n{name}.wav,{domain}\n"));
            let found =
                read(&folder.path().join("scores"), Some(&folder.path().join("gt")), Some(Year::Y2022));
            let why = found.unwrap_err().to_string();
            let row = if what == "domain" { 2 } else { 1 };
            assert!(why.contains(&format!("the name gives `{name}` another {what} than")), "{why}");
            assert!(why.ends_with(&format!("{place}/{table}, row {row}")), "{why}");
        }
    }
}
