//! Scores of several systems on the same clips, with and without labels.

use std::collections::{BTreeMap, BTreeSet};

use ndarray::Array2;

use super::{Error, Weights};
use crate::dataset::Domain;
use crate::official::{NormalScores, Year};

/// The clips of one machine's section and what every system says of them. No labels.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// Machine type.
    pub machine: String,
    /// Section; in 2020 the machine's ID.
    pub section: String,
    /// The clips' file names, no name twice.
    pub files: Vec<String>,
    /// The clips' domains; `None` where a clip has none or it is not known.
    pub domains: Vec<Option<Domain>>,
    /// `[systems, clips]`, finite; higher means more anomalous.
    pub scores: Array2<f64>,
}

/// Labelled clips to find weights by: the only labels that tuning sees.
#[derive(Clone, Debug)]
pub struct TuningSet {
    labelled: Labelled,
}

/// Labelled clips to judge final weights by. Nothing that chooses weights or thresholds takes one.
#[derive(Clone, Debug)]
pub struct JudgedSet {
    labelled: Labelled,
}

/// Parts sorted by machine and section, each with its labels.
#[derive(Clone, Debug)]
pub(super) struct Labelled {
    pub year: Year,
    pub systems: Vec<String>,
    pub parts: Vec<Part>,
    /// Per part and clip, whether it is anomalous.
    pub labels: Vec<Vec<bool>>,
}

impl TuningSet {
    /// `systems` are the names of the rows of every part's scores; `labels[p][c]` says whether clip c of part p is
    /// anomalous. The parts are sorted by machine and section.
    ///
    /// # Errors
    /// No system, no part, a section twice, tables of another shape, a clip twice, a score that is not finite.
    pub fn new(
        year: Year,
        systems: Vec<String>,
        parts: Vec<Part>,
        labels: Vec<Vec<bool>>,
    ) -> Result<Self, Error> {
        Ok(Self { labelled: Labelled::new(year, systems, parts, labels)? })
    }

    /// The year whose metrics apply.
    pub fn year(&self) -> Year {
        self.labelled.year
    }

    /// The systems' names, in the order of the scores' rows.
    pub fn systems(&self) -> &[String] {
        &self.labelled.systems
    }

    /// The clips and scores, sorted by machine and section.
    pub fn parts(&self) -> &[Part] {
        &self.labelled.parts
    }

    /// The machine types, sorted.
    pub fn machines(&self) -> Vec<&str> {
        self.labelled.machines()
    }

    /// The fused scores of its normal clips by machine type: what a decision threshold may come from.
    ///
    /// # Errors
    /// Not one weight per system.
    pub fn normals(&self, weights: &Weights) -> Result<BTreeMap<String, NormalScores>, Error> {
        let mut normals: BTreeMap<String, NormalScores> = BTreeMap::new();
        for (part, labels) in self.labelled.parts.iter().zip(&self.labelled.labels) {
            let own = NormalScores::of_tuning_clips(&weights.fuse(part)?, labels);
            normals.entry(part.machine.clone()).or_default().extend(own);
        }
        Ok(normals)
    }

    /// The same clips, to judge by them what was chosen for them: an optimistic number.
    pub fn judged(&self) -> JudgedSet {
        JudgedSet { labelled: self.labelled.clone() }
    }

    pub(super) fn labelled(&self) -> &Labelled {
        &self.labelled
    }

    pub(super) fn from_labelled(labelled: Labelled) -> Self {
        Self { labelled }
    }
}

impl JudgedSet {
    /// As [`TuningSet::new`].
    ///
    /// # Errors
    /// As [`TuningSet::new`].
    pub fn new(
        year: Year,
        systems: Vec<String>,
        parts: Vec<Part>,
        labels: Vec<Vec<bool>>,
    ) -> Result<Self, Error> {
        Ok(Self { labelled: Labelled::new(year, systems, parts, labels)? })
    }

    /// The clips and scores, sorted by machine and section.
    pub fn parts(&self) -> &[Part] {
        &self.labelled.parts
    }

    pub(super) fn labelled(&self) -> &Labelled {
        &self.labelled
    }
}

impl Labelled {
    fn new(
        year: Year,
        systems: Vec<String>,
        parts: Vec<Part>,
        labels: Vec<Vec<bool>>,
    ) -> Result<Self, Error> {
        if parts.len() != labels.len() {
            return Err(Error::Setting(format!(
                "pair {} sections with labels of {}: each section needs its own",
                parts.len(),
                labels.len()
            )));
        }
        check_parts(&systems, &parts)?;
        let mut both: Vec<(Part, Vec<bool>)> = parts.into_iter().zip(labels).collect();
        both.sort_by(|(a, _), (b, _)| (&a.machine, &a.section).cmp(&(&b.machine, &b.section)));
        if let Some((part, labels)) = both.iter().find(|(part, labels)| part.files.len() != labels.len()) {
            return Err(part.shape(format!("{} clips have {} labels", part.files.len(), labels.len())));
        }
        let (parts, labels) = both.into_iter().unzip();
        Ok(Self { year, systems, parts, labels })
    }

    pub fn machines(&self) -> Vec<&str> {
        machines(&self.parts)
    }

    /// The parts that `keep` says yes to, with their labels.
    pub fn filter(&self, keep: impl Fn(&Part) -> bool) -> Self {
        let kept = self.parts.iter().zip(&self.labels).filter(|(part, _)| keep(part));
        let (parts, labels) = kept.map(|(part, labels)| (part.clone(), labels.clone())).unzip();
        Self { year: self.year, systems: self.systems.clone(), parts, labels }
    }
}

impl Part {
    pub(super) fn shape(&self, why: String) -> Error {
        Error::Shape { machine: self.machine.clone(), section: self.section.clone(), why }
    }

    /// `systems` are the names of the rows.
    pub(super) fn check_finite(&self, systems: &[String]) -> Result<(), Error> {
        match self.scores.indexed_iter().find(|(_, score)| !score.is_finite()) {
            None => Ok(()),
            Some(((system, clip), &value)) => Err(Error::NotFinite {
                machine: self.machine.clone(),
                section: self.section.clone(),
                file: self.files[clip].clone(),
                system: systems[system].clone(),
                value,
            }),
        }
    }
}

/// The machine types of sorted parts.
pub(super) fn machines(parts: &[Part]) -> Vec<&str> {
    parts.iter().map(|part| part.machine.as_str()).collect::<BTreeSet<_>>().into_iter().collect()
}

/// What every list of parts must fulfil.
pub(super) fn check_parts(systems: &[String], parts: &[Part]) -> Result<(), Error> {
    if systems.is_empty() {
        return Err(Error::Nothing("no system; list at least one"));
    }
    if parts.is_empty() {
        return Err(Error::Nothing("no section of any machine that all systems have scored"));
    }
    let mut seen = BTreeSet::new();
    for part in parts {
        if !seen.insert((&part.machine, &part.section)) {
            return Err(Error::Twice { machine: part.machine.clone(), section: part.section.clone() });
        }
        check_part(systems, part)?;
    }
    Ok(())
}

fn check_part(systems: &[String], part: &Part) -> Result<(), Error> {
    let clips = part.files.len();
    if clips == 0 {
        return Err(part.shape("there is no clip".to_owned()));
    }
    if part.scores.dim() != (systems.len(), clips) {
        let (rows, columns) = part.scores.dim();
        let why = format!(
            "scores of {rows} systems for {columns} clips do not pair up with {} systems and {clips} clips",
            systems.len()
        );
        return Err(part.shape(why));
    }
    if part.domains.len() != clips {
        return Err(part.shape(format!("{clips} clips have {} domains", part.domains.len())));
    }
    let mut seen = BTreeSet::new();
    if let Some(file) = part.files.iter().find(|file| !seen.insert(file.as_str())) {
        return Err(part.shape(format!("`{file}` is there twice; score each clip once")));
    }
    part.check_finite(systems)
}
