//! The systems of a fusion as branches: one branch a folder of score files, or a seed of a run. No labels.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::Error;
use super::runs::{self, Run};
use crate::config::{Folders, FusionConfig, Missing, SystemConfig};
use crate::dataset::Split;
use crate::fusion::Hierarchy;
use crate::official::{self, Measure, UnlabelledClip, UnlabelledSection, Year};

/// Machine type and section.
pub(super) type Key = (String, String);

/// By file name.
pub(super) type Clips = BTreeMap<String, UnlabelledClip>;

/// One system's scores, or one seed's of it. Higher means more anomalous.
#[derive(Clone, Debug)]
pub(super) struct Branch {
    pub name: String,
    pub sections: BTreeMap<Key, Clips>,
    /// Of the training clips.
    pub training: Option<BTreeMap<Key, Clips>>,
    /// The tables of runs, by machine, in which labels stand.
    pub tables: BTreeMap<String, PathBuf>,
}

/// All systems.
#[derive(Clone, Debug)]
pub(super) struct Systems {
    pub branches: Vec<Branch>,
    pub hierarchy: Hierarchy,
    /// Whose metrics apply.
    pub year: Year,
    /// Folders that were read.
    pub folders: Vec<PathBuf>,
    pub notes: Vec<String>,
}

/// Reads every system that the configuration lists.
pub(super) fn read(config: &FusionConfig, year: Option<Year>) -> Result<Systems, Error> {
    let (mut branches, mut of_branch) = (Vec::new(), Vec::new());
    let mut years: Vec<(String, Year)> = Vec::new();
    let (mut folders, mut notes) = (Vec::new(), Vec::new());
    for system in &config.system {
        let (own, guessed) = match (&system.scores, &system.run) {
            (Some(scores), _) => {
                folders.extend(scores.0.clone());
                folders.extend(system.training_scores.iter().flat_map(|folders| folders.0.clone()));
                of_files(system, scores, year)?
            }
            (None, Some(run)) => {
                folders.push(run.clone());
                of_runs(system, run, config.missing, &mut notes)?
            }
            // A configuration that was loaded has one of the two.
            (None, None) => (Vec::new(), Vec::new()),
        };
        let name = system.group.as_ref().unwrap_or(&system.name);
        of_branch.extend(own.iter().map(|_| name.clone()));
        years.extend(guessed.into_iter().map(|year| (system.name.clone(), year)));
        branches.extend(own);
    }
    let names = branches.iter().map(|branch| branch.name.clone()).collect();
    let hierarchy = Hierarchy::grouped(names, &of_branch)?;
    Ok(Systems { hierarchy, branches, year: year_of(&years, year)?, folders, notes })
}

/// The year that was asked for, or that of all systems.
fn year_of(guessed: &[(String, Year)], asked: Option<Year>) -> Result<Year, Error> {
    if let Some(year) = asked {
        return Ok(year);
    }
    let Some((first, year)) = guessed.first() else { return Ok(Year::Y2022) };
    let rules = |year: Year| Measure::of_official_score(year);
    if let Some((other, differs)) = guessed.iter().find(|(_, other)| rules(*other) != rules(*year)) {
        return Err(Error::Choice(format!(
            "the scores of `{first}` are named as those of {year}, those of `{other}` as those of {differs}, whose metrics \
             differ; set official.year"
        )));
    }
    Ok(*year)
}

/// A folder of score files, or several that complete each other.
fn of_files(
    system: &SystemConfig,
    scores: &Folders,
    year: Option<Year>,
) -> Result<(Vec<Branch>, Vec<Year>), Error> {
    let (sections, years) = merged(system, scores, Split::Test, year)?;
    let training = system.training_scores.as_ref();
    let training = training.map(|folders| merged(system, folders, Split::Train, year)).transpose()?;
    let branch = Branch {
        name: system.name.clone(),
        sections,
        training: training.map(|(sections, _)| sections),
        tables: BTreeMap::new(),
    };
    Ok((vec![branch], years))
}

fn merged(
    system: &SystemConfig,
    folders: &Folders,
    split: Split,
    year: Option<Year>,
) -> Result<(BTreeMap<Key, Clips>, Vec<Year>), Error> {
    let (mut sections, mut years) = (BTreeMap::new(), Vec::new());
    let mut whence: BTreeMap<Key, &PathBuf> = BTreeMap::new();
    for folder in &folders.0 {
        let read = official::read_scores(folder, split, year)?;
        years.push(read.year);
        for section in read.sections {
            let (key, clips) = keyed(section, system.higher_is_anomalous);
            if let Some(first) = whence.insert(key.clone(), folder) {
                let why = format!(
                    "machine {}, section {} is in {} too; keep it in one of the folders of `{}`",
                    key.0,
                    key.1,
                    first.display(),
                    system.name
                );
                return Err(Error::unusable(folder, why));
            }
            sections.insert(key, clips);
        }
    }
    Ok((sections, years))
}

fn keyed(section: UnlabelledSection, higher_is_anomalous: bool) -> (Key, Clips) {
    let turned = |mut clip: UnlabelledClip| {
        clip.score = if higher_is_anomalous { clip.score } else { -clip.score };
        (clip.file.clone(), clip)
    };
    ((section.machine, section.section), section.clips.into_iter().map(turned).collect())
}

/// A run, or a folder above runs of one configuration: a branch for each seed.
fn of_runs(
    system: &SystemConfig,
    folder: &std::path::Path,
    missing: Missing,
    notes: &mut Vec<String>,
) -> Result<(Vec<Branch>, Vec<Year>), Error> {
    let runs = runs::read(folder, &system.detector)?;
    let years = runs.iter().map(|run| run.year).collect();
    if let Some(other) = runs.iter().find(|run| run.config != runs[0].config) {
        let why = format!(
            "there are runs of several configurations below it ({}, {}); name the folder of one of them for `{}`, and list \
             the others as systems of their own",
            runs[0].config, other.config, system.name
        );
        return Err(Error::unusable(folder, why));
    }
    let mut seeds: BTreeMap<u64, Vec<Run>> = BTreeMap::new();
    for run in runs {
        let of_seed = seeds.entry(run.seed).or_default();
        if let Some(first) = of_seed.iter().find(|first| first.machine == run.machine) {
            let why = format!(
                "{} and {} are both of {} seed {}; keep one",
                first.table.display(),
                run.table.display(),
                run.machine,
                run.seed
            );
            return Err(Error::unusable(folder, why));
        }
        of_seed.push(run);
    }
    let most = seeds.values().map(Vec::len).max().unwrap_or(0);
    // A seed of few machines would take the others' machines away, where only what all have is used.
    if missing == Missing::Common && seeds.values().any(|runs| runs.len() < most) {
        let (kept, left): (BTreeMap<_, _>, BTreeMap<_, _>) =
            seeds.into_iter().partition(|(_, runs)| runs.len() == most);
        let left: Vec<String> = left.keys().map(u64::to_string).collect();
        notes.push(format!("{}: seed {} left out, which lacks machines", system.name, left.join(", ")));
        seeds = kept;
    }
    let several = seeds.len() > 1;
    let branch = |(seed, runs): (u64, Vec<Run>)| {
        let name = if several { format!("{} seed {seed}", system.name) } else { system.name.clone() };
        let lacking: Vec<&str> =
            runs.iter().filter(|run| run.training.is_none()).map(|run| run.machine.as_str()).collect();
        if !lacking.is_empty() {
            notes.push(format!(
                "{name}: no training_scores.csv of {}; `asdbench eval` writes it",
                lacking.join(", ")
            ));
        }
        let training = lacking.is_empty().then(|| {
            let sections = runs.iter().flat_map(|run| run.training.iter().flatten().cloned());
            sections.map(|section| keyed(section, system.higher_is_anomalous)).collect()
        });
        let tables = runs.iter().map(|run| (run.machine.clone(), run.table.clone())).collect();
        let sections = runs.into_iter().flat_map(|run| run.sections);
        let sections = sections.map(|section| keyed(section, system.higher_is_anomalous)).collect();
        Branch { name, sections, training, tables }
    };
    Ok((seeds.into_iter().map(branch).collect(), years))
}
