//! Bringing the branches' clips together: machines, sections and clips that all of them have scored.

use std::collections::{BTreeMap, BTreeSet};

use ndarray::Array2;

use super::Error;
use super::error::some_of;
use super::systems::{Branch, Clips, Key};
use crate::config::Missing;
use crate::fusion::Part;

/// Sections that all branches have scored, as parts with a row for each branch.
pub(super) type Parts = BTreeMap<Key, Part>;

/// The sections that `chosen` says yes to, of all branches; `what` are the clips, in words. What branches do not share is an
/// error, or left out, counted and said.
pub(super) fn align(
    branches: &[(&str, &BTreeMap<Key, Clips>)],
    chosen: impl Fn(&Key) -> bool,
    missing: Missing,
    what: &str,
    notes: &mut Vec<String>,
) -> Result<Parts, Error> {
    let wanted: BTreeSet<&Key> =
        branches.iter().flat_map(|(_, sections)| sections.keys()).filter(|key| chosen(key)).collect();
    let mut parts = Parts::new();
    let (mut lost_sections, mut lost_clips) = (Vec::new(), 0);
    for key in wanted {
        let without: Vec<&str> = branches
            .iter()
            .filter(|(_, sections)| !sections.contains_key(key))
            .map(|(name, _)| *name)
            .collect();
        let section = format!("{} section {}", key.0, key.1);
        if !without.is_empty() {
            if missing == Missing::Error {
                let why =
                    format!("{} has no {what} of machine {}, section {}", some_of(&without), key.0, key.1);
                return Err(Error::Differ(why));
            }
            lost_sections.push(section);
            continue;
        }
        let own: Vec<(&str, &Clips)> =
            branches.iter().filter_map(|(name, sections)| Some((*name, sections.get(key)?))).collect();
        let (files, lost) = common(&own, missing, &section, what)?;
        lost_clips += lost;
        if files.is_empty() {
            lost_sections.push(section);
            continue;
        }
        parts.insert(key.clone(), part(key, &own, &files)?);
    }
    if !lost_sections.is_empty() {
        notes.push(format!(
            "{} section(s) whose {what} not all systems have are left out: {}",
            lost_sections.len(),
            some_of(&lost_sections)
        ));
    }
    if lost_clips > 0 {
        notes.push(format!("{lost_clips} {what} that not all systems have are left out"));
    }
    Ok(parts)
}

/// The clips of a section that all branches have, and how many others there are.
fn common(
    own: &[(&str, &Clips)],
    missing: Missing,
    section: &str,
    what: &str,
) -> Result<(Vec<String>, usize), Error> {
    let all: BTreeSet<&String> = own.iter().flat_map(|(_, clips)| clips.keys()).collect();
    if missing == Missing::Error {
        for (name, clips) in own {
            let lacks: Vec<&String> = all.iter().copied().filter(|file| !clips.contains_key(*file)).collect();
            if !lacks.is_empty() {
                let why = format!("{name} lacks {} {what} of {section}: {}", lacks.len(), some_of(&lacks));
                return Err(Error::Differ(why));
            }
        }
    }
    let count = all.len();
    let shared = |file: &&String| own.iter().all(|(_, clips)| clips.contains_key(*file));
    let files: Vec<String> = all.into_iter().filter(shared).cloned().collect();
    let lost = count - files.len();
    Ok((files, lost))
}

fn part(key: &Key, own: &[(&str, &Clips)], files: &[String]) -> Result<Part, Error> {
    let mut scores = Array2::zeros((own.len(), files.len()));
    let mut domains = Vec::with_capacity(files.len());
    for (column, file) in files.iter().enumerate() {
        let mut domain = None;
        for (row, (name, clips)) in own.iter().enumerate() {
            let clip = &clips[file];
            scores[[row, column]] = clip.score;
            if domain.is_some() && clip.domain.is_some() && domain != clip.domain {
                let why = format!(
                    "{name} has `{file}` in another domain than the systems before it; look which is right"
                );
                return Err(Error::row(&clip.origin.path, clip.origin.row, why));
            }
            domain = domain.or(clip.domain);
        }
        domains.push(domain);
    }
    Ok(Part { machine: key.0.clone(), section: key.1.clone(), files: files.to_vec(), domains, scores })
}

/// The parts of the test clips that are tuned on or applied to.
pub(super) fn test_parts(
    branches: &[Branch],
    chosen: impl Fn(&Key) -> bool,
    missing: Missing,
    notes: &mut Vec<String>,
) -> Result<Parts, Error> {
    let own: Vec<_> = branches.iter().map(|branch| (branch.name.as_str(), &branch.sections)).collect();
    align(&own, chosen, missing, "test clips", notes)
}

/// The parts of the training clips, where every branch has such scores.
pub(super) fn training_parts(
    branches: &[Branch],
    chosen: impl Fn(&Key) -> bool,
    missing: Missing,
    notes: &mut Vec<String>,
) -> Result<Option<Parts>, Error> {
    let own: Option<Vec<_>> =
        branches.iter().map(|branch| Some((branch.name.as_str(), branch.training.as_ref()?))).collect();
    own.map(|own| align(&own, chosen, missing, "training clips", notes)).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::Domain;
    use crate::official::{Origin, UnlabelledClip};

    fn clips(scores: &[(&str, f64)]) -> Clips {
        let clip = |&(file, score): &(&str, f64)| {
            let origin = Origin { path: "s.csv".into(), row: 1 };
            let clip = UnlabelledClip { file: file.into(), score, domain: Some(Domain::Source), origin };
            (file.to_owned(), clip)
        };
        scores.iter().map(clip).collect()
    }

    fn sections(of: &[(&str, Clips)]) -> BTreeMap<Key, Clips> {
        of.iter().map(|(machine, clips)| (((*machine).to_owned(), "00".to_owned()), clips.clone())).collect()
    }

    #[test]
    fn clips_are_joined_by_name_and_what_differs_is_named_or_left_out() {
        let a = sections(&[("fan", clips(&[("x", 1.0), ("y", 2.0)])), ("valve", clips(&[("z", 0.0)]))]);
        let b = sections(&[("fan", clips(&[("y", 20.0), ("x", 10.0), ("w", 30.0)]))]);
        let both = [("a", &a), ("b", &b)];
        let run = |missing, chosen: &dyn Fn(&Key) -> bool| {
            let mut notes = Vec::new();
            align(&both, chosen, missing, "test clips", &mut notes).map(|parts| (parts, notes))
        };
        let why = run(Missing::Error, &|_| true).unwrap_err().to_string();
        assert!(
            why.contains("a lacks 1 test clips of fan section 00: w") && why.contains("missing = "),
            "{why}"
        );
        let why = run(Missing::Error, &|key| key.0 == "valve").unwrap_err().to_string();
        assert!(why.contains("b has no test clips of machine valve, section 00"), "{why}");
        let (parts, notes) = run(Missing::Common, &|_| true).unwrap();
        assert_eq!((parts.len(), notes.len()), (1, 2), "{notes:?}");
        let part = parts.values().next().unwrap();
        assert_eq!(part.files, ["x", "y"]);
        assert_eq!(part.scores, ndarray::array![[1.0, 2.0], [10.0, 20.0]]);
        assert_eq!(part.domains, [Some(Domain::Source); 2]);
        assert!(notes[0].contains("valve section 00") && notes[1].starts_with("1 test clips"), "{notes:?}");
    }
}
