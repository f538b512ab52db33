//! From the branches' raw scores to the systems' normalised ones.

use ndarray::Array2;

use super::normalise::Normaliser;
use super::sets::Labelled;
use super::{Error, NormaliseMethod, Part, Statistics, TuningSet};

/// Which branches make up a system: runs that differ in their seed are averaged before systems are combined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hierarchy {
    branches: Vec<String>,
    systems: Vec<String>,
    /// Per system, its branches' rows.
    members: Vec<Vec<usize>>,
}

impl Hierarchy {
    /// Every branch a system of its own.
    pub fn flat(branches: Vec<String>) -> Self {
        let members = (0..branches.len()).map(|branch| vec![branch]).collect();
        Self { systems: branches.clone(), branches, members }
    }

    /// `systems[b]` is the name of the system that branch b belongs to; systems stand in the order of their first branch.
    ///
    /// # Errors
    /// Not one system per branch.
    pub fn grouped(branches: Vec<String>, systems: &[String]) -> Result<Self, Error> {
        if branches.len() != systems.len() {
            return Err(Error::Setting(format!(
                "group {} branches by the names of {} systems: each branch belongs to one system",
                branches.len(),
                systems.len()
            )));
        }
        let mut grouped = Self { branches, systems: Vec::new(), members: Vec::new() };
        for (branch, system) in systems.iter().enumerate() {
            match grouped.systems.iter().position(|known| known == system) {
                Some(known) => grouped.members[known].push(branch),
                None => {
                    grouped.systems.push(system.clone());
                    grouped.members.push(vec![branch]);
                }
            }
        }
        Ok(grouped)
    }

    /// The branches' names, in the order of the raw scores' rows.
    pub fn branches(&self) -> &[String] {
        &self.branches
    }

    /// The systems' names, in the order of the weights.
    pub fn systems(&self) -> &[String] {
        &self.systems
    }

    /// `[branches, clips]` -> `[systems, clips]`, the mean over each system's branches.
    fn average(&self, part: Part) -> Part {
        if self.members.iter().all(|members| members.len() == 1) {
            return part;
        }
        let mut scores = Array2::zeros((self.members.len(), part.files.len()));
        for (members, mut mean) in self.members.iter().zip(scores.rows_mut()) {
            for &branch in members {
                mean += &part.scores.row(branch);
            }
            mean /= members.len() as f64;
        }
        Part { scores, ..part }
    }
}

/// How raw scores are prepared.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Which branches are averaged.
    pub hierarchy: Hierarchy,
    /// How each branch's scores are made comparable.
    pub method: NormaliseMethod,
    /// Whose scores that is fitted to.
    pub statistics: Statistics,
}

/// A plan fitted to its reference scores, ready to prepare any clip.
#[derive(Clone, Debug)]
pub struct Prepared {
    hierarchy: Hierarchy,
    normaliser: Normaliser,
    notes: Vec<String>,
}

impl Plan {
    /// Fits the normalisation. `tuning` has raw scores, one row per branch; `applied` are the raw scores of the clips that
    /// are to be judged, whose scores nothing but transductive statistics looks at.
    ///
    /// # Errors
    /// Rows that are not the branches; no reference scores.
    pub fn fit(&self, tuning: &TuningSet, applied: &[Part]) -> Result<Prepared, Error> {
        let branches = self.hierarchy.branches();
        let known = tuning.parts();
        let key = |part: &Part| (part.machine.clone(), part.section.clone());
        let seen: Vec<_> = known.iter().map(key).collect();
        let more: Vec<&Part> = applied.iter().filter(|part| !seen.contains(&key(part))).collect();
        let reference: Vec<&Part> = match &self.statistics {
            Statistics::Training(training) => training.parts().iter().collect(),
            Statistics::Tuning => known.iter().collect(),
            Statistics::Transductive(_) => known.iter().chain(more.iter().copied()).collect(),
        };
        for part in known.iter().chain(applied).chain(reference.iter().copied()) {
            self.hierarchy.check(part)?;
        }
        let normaliser = Normaliser::fit(self.method, branches, reference.into_iter())?;
        let mut notes = normaliser.notes.clone();
        let all: Vec<Part> = known.iter().chain(more).cloned().collect();
        notes.extend(normaliser.unknown(&all));
        Ok(Prepared { hierarchy: self.hierarchy.clone(), normaliser, notes })
    }
}

impl Hierarchy {
    fn check(&self, part: &Part) -> Result<(), Error> {
        if part.scores.nrows() == self.branches.len() {
            return Ok(());
        }
        let (rows, branches) = (part.scores.nrows(), self.branches.len());
        Err(part
            .shape(format!("scores of {rows} branches do not pair up with the {branches} that there are")))
    }
}

impl Prepared {
    /// `[branches, clips]` raw -> `[systems, clips]` normalised and averaged.
    ///
    /// # Errors
    /// Rows that are not the branches; a score so large that its normalised value is not finite.
    pub fn part(&self, raw: &Part) -> Result<Part, Error> {
        self.hierarchy.check(raw)?;
        let prepared = self.hierarchy.average(self.normaliser.apply(raw));
        prepared.check_finite(self.hierarchy.systems())?;
        Ok(prepared)
    }

    /// The tuning set as [`tune`](super::tune()) wants it.
    ///
    /// # Errors
    /// As [`Prepared::part`].
    pub fn tuning(&self, raw: &TuningSet) -> Result<TuningSet, Error> {
        let Labelled { year, parts, labels, .. } = raw.labelled();
        let parts = parts.iter().map(|part| self.part(part)).collect::<Result<_, _>>()?;
        let systems = self.hierarchy.systems().to_vec();
        Ok(TuningSet::from_labelled(Labelled { year: *year, systems, parts, labels: labels.clone() }))
    }

    /// What a person should know: branches that contribute nothing, machines without reference scores of their own.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }
}
