//! Two systems' scores side by side, joined by machine, seed, section and clip.

use std::collections::{BTreeMap, BTreeSet};

use super::Error;
use super::systems::{Part, Scored, System, SystemKind};
use crate::dataset::Domain;

/// How many names an error lists.
const NAMES_MAX: usize = 3;

/// A clip that both systems scored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Clip {
    pub name: String,
    pub anomalous: bool,
    pub domain: Option<Domain>,
}

/// Scores of a section's clips, in their order.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Scores {
    pub seed: Option<u64>,
    pub a: Vec<f64>,
    pub b: Vec<f64>,
}

/// A section with the scores of each pair of runs.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct PairedSection {
    pub machine: String,
    pub section: String,
    /// Sorted by name, so that resamples do not depend on the order of rows.
    pub clips: Vec<Clip>,
    /// By rising seed.
    pub scores: Vec<Scores>,
}

impl PairedSection {
    /// Whether both systems gave every clip the same score.
    pub fn equal(&self) -> bool {
        self.scores.iter().all(|scores| scores.a == scores.b)
    }
}

/// Pairs the systems, sorted by machine and section.
pub(super) fn pair(a: &System, b: &System) -> Result<Vec<PairedSection>, Error> {
    let unpaired = |why: String| Error::Unpaired { a: a.folder.clone(), b: b.folder.clone(), why };
    let runs = |system: &System| system.kind == SystemKind::Runs;
    let single = |system: &System| runs(system) && system.parts.len() == 1;
    let by_seed = runs(a) && runs(b) && !(single(a) && single(b));
    let (of_a, of_b) = (keyed(a, by_seed).map_err(unpaired)?, keyed(b, by_seed).map_err(unpaired)?);
    let what = if by_seed { "machine and seed" } else { "machine" };
    same_keys(&of_a, &of_b, what).map_err(unpaired)?;
    let mut paired: BTreeMap<(String, String), PairedSection> = BTreeMap::new();
    for (key, part_a) in &of_a {
        let Some(part_b) = of_b.get(key) else { continue };
        let machine = &part_a.machine;
        let within = |why: String| unpaired(format!("machine {machine}: {why}"));
        same_keys(&part_a.sections, &part_b.sections, "section").map_err(within)?;
        // Score folders have no seed, and two single runs may have different ones: that of the first names the pair.
        let seed = part_a.seed.or(part_b.seed);
        for (section, rows_a) in &part_a.sections {
            let Some(rows_b) = part_b.sections.get(section) else { continue };
            let within = |why: String| unpaired(format!("machine {machine}, section {section}: {why}"));
            let (clips, scores) = join(rows_a, rows_b, seed).map_err(within)?;
            let place = (machine.clone(), section.clone());
            match paired.get_mut(&place) {
                None => {
                    let section = section.clone();
                    paired.insert(
                        place,
                        PairedSection { machine: machine.clone(), section, clips, scores: vec![scores] },
                    );
                }
                Some(known) if known.clips == clips => known.scores.push(scores),
                Some(_) => {
                    return Err(within(
                        "its seeds have different clips; judge all runs on one data set".into(),
                    ));
                }
            }
        }
    }
    Ok(paired.into_values().collect())
}

/// The stratum of every clip: machine and section, domain, label.
pub(super) fn strata(sections: &[PairedSection]) -> Vec<(usize, Option<Domain>, bool)> {
    let of = |(index, section): (usize, &PairedSection)| -> Vec<(usize, Option<Domain>, bool)> {
        section.clips.iter().map(|clip| (index, clip.domain, clip.anomalous)).collect()
    };
    sections.iter().enumerate().flat_map(of).collect()
}

/// The parts of a system by machine, and by seed where that counts.
fn keyed(system: &System, by_seed: bool) -> Result<BTreeMap<String, &Part>, String> {
    let mut keyed: BTreeMap<String, &Part> = BTreeMap::new();
    for part in &system.parts {
        // Seeds of one width sort as numbers do.
        let key = match part.seed.filter(|_| by_seed) {
            Some(seed) => format!("{} seed {seed:>20}", part.machine),
            None => part.machine.clone(),
        };
        let name = key.split_whitespace().collect::<Vec<_>>().join(" ");
        if let Some(other) = keyed.insert(key, part) {
            return Err(format!(
                "{} and {} are both of {name}; name a folder with one run of each machine{}",
                other.folder.display(),
                part.folder.display(),
                if by_seed { " and seed" } else { "" },
            ));
        }
    }
    Ok(keyed)
}

/// Joins the rows of one section by file name; by whole path where a file name stands for several clips, as in MIMII.
fn join(rows_a: &[Scored], rows_b: &[Scored], seed: Option<u64>) -> Result<(Vec<Clip>, Scores), String> {
    let unique = |rows: &[Scored]| rows.iter().map(Scored::file).collect::<BTreeSet<_>>().len() == rows.len();
    let by_file = unique(rows_a) && unique(rows_b);
    let keyed = |rows: &'_ [Scored]| -> Result<BTreeMap<String, Scored>, String> {
        let mut keyed = BTreeMap::new();
        for row in rows {
            let key = if by_file { row.file() } else { &row.path };
            if keyed.insert(key.to_owned(), row.clone()).is_some() {
                return Err(format!("the clip {key} is there twice"));
            }
        }
        Ok(keyed)
    };
    let (of_a, of_b) = (keyed(rows_a)?, keyed(rows_b)?);
    same_keys(&of_a, &of_b, "clip")?;
    let mut clips = Vec::with_capacity(of_a.len());
    let mut scores = Scores { seed, a: Vec::with_capacity(of_a.len()), b: Vec::with_capacity(of_a.len()) };
    for ((name, a), b) in of_a.into_iter().zip(of_b.into_values()) {
        if a.anomalous != b.anomalous {
            return Err(format!("the clip {name} is normal in the one and anomalous in the other"));
        }
        if a.domain.zip(b.domain).is_some_and(|(a, b)| a != b) {
            return Err(format!(
                "the clip {name} is of the source domain in the one and of the target in the other"
            ));
        }
        clips.push(Clip { name, anomalous: a.anomalous, domain: a.domain.or(b.domain) });
        scores.a.push(a.score);
        scores.b.push(b.score);
    }
    Ok((clips, scores))
}

/// An error that names what one side has and the other lacks.
fn same_keys<T>(a: &BTreeMap<String, T>, b: &BTreeMap<String, T>, what: &str) -> Result<(), String> {
    let mut lacks = Vec::new();
    for (here, there, side) in [(a, b, "first"), (b, a, "second")] {
        let names: Vec<String> = here
            .keys()
            .filter(|key| !there.contains_key(*key))
            .map(|key| key.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect();
        if names.is_empty() {
            continue;
        }
        let shown = names.iter().take(NAMES_MAX).cloned().collect::<Vec<_>>().join(", ");
        let more = match names.len().saturating_sub(NAMES_MAX) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        lacks.push(format!("only the {side} has {shown}{more}"));
    }
    match lacks.is_empty() {
        true => Ok(()),
        false => {
            Err(format!("the {what}s differ: {}; compare systems on the same {what}s", lacks.join(", ")))
        }
    }
}
