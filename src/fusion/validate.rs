//! What to expect of weights on machines or sections that they were not tuned on.

use std::collections::{BTreeMap, BTreeSet};

use rayon::prelude::*;

use super::judge::{self, Judged};
use super::objective::Evaluator;
use super::sets::Labelled;
use super::tune::{Counter, find};
use super::{Error, Part, Per, Plan, Progress, Search, TuningSet, Weights};
use crate::stats::{Bootstrap, Settings};

/// What is left out in turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// A machine type.
    Machines,
    /// A section number, of all machines.
    Sections,
}

impl Over {
    /// Of weights for all machines: machines where there are several, else sections. Of weights for each machine: sections
    /// first, as a machine that is left out has no weights of its own. None where nothing can be left out.
    pub fn auto(set: &TuningSet, per: Per) -> Option<Self> {
        let order = match per {
            Per::Shared => [Self::Machines, Self::Sections],
            Per::Machine => [Self::Sections, Self::Machines],
        };
        order.into_iter().find(|over| over.groups(set.labelled()).len() > 1)
    }

    /// The word in configurations and JSON.
    pub fn key(self) -> &'static str {
        match self {
            Self::Machines => "machines",
            Self::Sections => "sections",
        }
    }

    fn group(self, part: &Part) -> &str {
        match self {
            Self::Machines => &part.machine,
            Self::Sections => &part.section,
        }
    }

    fn groups(self, set: &Labelled) -> Vec<String> {
        let groups: BTreeSet<&str> = set.parts.iter().map(|part| self.group(part)).collect();
        groups.into_iter().map(str::to_owned).collect()
    }
}

/// One round of a validation.
#[derive(Clone, Debug, PartialEq)]
pub struct Fold {
    /// The machine or section that was left out.
    pub left_out: String,
    /// Weights tuned on the others.
    pub weights: Weights,
    /// Their score on the others.
    pub tuned: f64,
    /// Their score on what was left out.
    pub score: f64,
    /// The score on what was left out of the system that is the best single one on the others.
    pub best_single: f64,
    /// Machines of it that were fused with the shared weights although each machine has its own: nothing else of them was
    /// tuned on.
    pub without_own: Vec<String>,
}

/// Optimistic and honest worth of tuned weights.
#[derive(Clone, Debug, PartialEq)]
pub struct Validation {
    /// What was left out in turn.
    pub over: Over,
    /// The score of weights tuned on everything, on everything.
    pub optimistic: f64,
    /// Its interval or why there is none.
    pub optimistic_bootstrap: Result<Bootstrap, String>,
    /// The score over all sections, each fused with the weights of the round that left it out.
    pub honest: f64,
    /// Its interval or why there is none: of the clips, with the weights as they are.
    pub honest_bootstrap: Result<Bootstrap, String>,
    /// Of the honest score.
    pub per_machine: BTreeMap<String, f64>,
    /// Each round.
    pub folds: Vec<Fold>,
}

/// Nested cross-validation: for every fold the normalisation is fitted and the weights are searched for without it, anew.
/// `raw` has raw scores, one row per branch of `plan`. Statistics of training clips are the left-out machine's own, as they
/// will be where the weights are applied; statistics of tuning clips are those of the other folds.
///
/// # Errors
/// One fold only; what [`Plan::fit`] and [`tune`](super::tune()) refuse.
pub fn cross_validate(
    raw: &TuningSet,
    plan: &Plan,
    search: &Search,
    over: Over,
    settings: Settings,
    progress: Progress<'_>,
) -> Result<Validation, Error> {
    let set = raw.labelled();
    let groups = over.groups(set);
    if groups.len() < 2 {
        let remedy = match over {
            Over::Machines => "leave out sections, or tune on several machines",
            Over::Sections => "leave out machines, or tune on several sections",
        };
        return Err(Error::OneFold { over: over.key(), remedy });
    }
    let rounds: Vec<(Labelled, Labelled)> = groups
        .iter()
        .map(|left_out| {
            let is_out = |part: &Part| over.group(part) == left_out;
            (set.filter(|part| !is_out(part)), set.filter(is_out))
        })
        .collect();
    let systems = plan.hierarchy.systems().len();
    let total =
        search.total(set, systems) + rounds.iter().map(|(rest, _)| search.total(rest, systems)).sum::<u64>();
    let counter = Counter::new(total, progress);
    let (optimistic, folds) = rayon::join(
        || optimistic(raw, plan, search, settings, &counter),
        || {
            let round = |(left_out, (rest, out)): (&String, (Labelled, Labelled))| {
                fold(left_out, rest, out, plan, search, &counter)
            };
            groups.par_iter().zip(rounds).map(round).collect::<Result<Vec<_>, Error>>()
        },
    );
    let optimistic = optimistic?;
    // Every section is left out once; back in the order of the set.
    let mut fused: BTreeMap<(String, String), Vec<f64>> = BTreeMap::new();
    let mut told = Vec::new();
    for (fold, of_fold) in folds? {
        told.push(fold);
        fused.extend(of_fold);
    }
    let fused: Vec<Vec<f64>> = fused.into_values().collect();
    let honest = judge::of_fused(set, &Evaluator::new(set, search.objective)?, &fused, settings)?;
    Ok(Validation {
        over,
        optimistic: optimistic.score,
        optimistic_bootstrap: optimistic.bootstrap,
        honest: honest.score,
        honest_bootstrap: honest.bootstrap,
        per_machine: honest.per_machine,
        folds: told,
    })
}

/// Tuned and judged on the same clips.
fn optimistic(
    raw: &TuningSet,
    plan: &Plan,
    search: &Search,
    settings: Settings,
    counter: &Counter<'_>,
) -> Result<Judged, Error> {
    let prepared = plan.fit(raw, &[])?.tuning(raw)?;
    let set = prepared.labelled();
    let found = find(set, search, counter)?;
    let fused = judge::fuse(set, &found.weights)?;
    judge::of_fused(set, &Evaluator::new(set, search.objective)?, &fused, settings)
}

/// The fused scores of sections by (machine, section).
type Fused = Vec<((String, String), Vec<f64>)>;

/// One round: `out`'s labels are used once its weights are final.
fn fold(
    left_out: &str,
    rest: Labelled,
    out: Labelled,
    plan: &Plan,
    search: &Search,
    counter: &Counter<'_>,
) -> Result<(Fold, Fused), Error> {
    let rest = TuningSet::from_labelled(rest);
    let prepared = plan.fit(&rest, &out.parts)?;
    let tuning = prepared.tuning(&rest)?;
    let found = find(tuning.labelled(), search, counter)?;
    let out = prepared.tuning(&TuningSet::from_labelled(out))?;
    let out = out.labelled();
    let systems = out.systems.len();
    let singles = |set: &Labelled| -> Result<Vec<f64>, Error> {
        let evaluator = Evaluator::new(set, search.objective)?;
        let single = |system| evaluator.value(&judge::fuse(set, &Weights::single(systems, system))?);
        (0..systems).map(single).collect()
    };
    let on_rest = singles(tuning.labelled())?;
    let best = (0..systems).rev().max_by(|&a, &b| on_rest[a].total_cmp(&on_rest[b])).unwrap_or(0);
    let fused = judge::fuse(out, &found.weights)?;
    let own = found.weights.per_machine.as_ref();
    let lacks = |machine: &&str| own.is_some_and(|own| !own.contains_key(*machine));
    let fold = Fold {
        without_own: out.machines().into_iter().filter(lacks).map(str::to_owned).collect(),
        left_out: left_out.to_owned(),
        tuned: found.score,
        score: Evaluator::new(out, search.objective)?.value(&fused)?,
        best_single: singles(out)?[best],
        weights: found.weights,
    };
    let keys = out.parts.iter().map(|part| (part.machine.clone(), part.section.clone()));
    Ok((fold, keys.zip(fused).collect()))
}
