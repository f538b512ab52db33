//! What systems have that others lack.

use ndarray::Axis;
use rayon::prelude::*;

use super::sets::Labelled;
use super::tune::{Counter, find};
use super::{Error, Part, Progress, Search, Tuned, TuningSet};
use crate::metric;
use crate::stats;

/// Two systems.
#[derive(Clone, Debug, PartialEq)]
pub struct Pair {
    /// Index of the first.
    pub a: usize,
    /// Index of the second.
    pub b: usize,
    /// Spearman's ρ of their scores within a section, averaged over the sections where neither is constant; none where
    /// there is no such section.
    pub rho: Option<f64>,
    /// The share of clips that exactly one of them calls anomalous, when each calls as many of a section's clips anomalous
    /// as there are anomalous ones, its highest scores first, ties in the order of the clips' names.
    pub disagreement: f64,
}

/// A fusion without one system.
#[derive(Clone, Debug, PartialEq)]
pub struct LeftOut {
    /// Index of the system that was left out.
    pub system: usize,
    /// The score of weights tuned anew without it.
    pub score: f64,
    /// What its absence costs: the score of all systems less this one. Below 0 where the smaller search went further.
    pub loss: f64,
}

/// How systems complement each other on the tuning set.
#[derive(Clone, Debug, PartialEq)]
pub struct Complementarity {
    /// All pairs a < b.
    pub pairs: Vec<Pair>,
    /// Each system's absence; empty where there is one system only.
    pub left_out: Vec<LeftOut>,
}

/// A system whose higher scores seem to mean more normal.
#[derive(Clone, Debug, PartialEq)]
pub struct Reversed {
    /// Index of the system.
    pub system: usize,
    /// Its mean AUC over sections, all clips of each.
    pub auc: f64,
}

/// Rank correlation, disagreement and leave-one-system-out loss of prepared scores; `tuned` is the search with all of them.
///
/// # Errors
/// What [`tune`](super::tune()) refuses.
pub fn complementarity(
    set: &TuningSet,
    tuned: &Tuned,
    search: &Search,
    progress: Progress<'_>,
) -> Result<Complementarity, Error> {
    let set = set.labelled();
    let systems = set.systems.len();
    let alarms: Vec<Vec<Vec<bool>>> = (0..systems)
        .map(|system| set.parts.iter().zip(&set.labels).map(|part| alarms(part, system)).collect())
        .collect();
    let pairs: Vec<(usize, usize)> =
        (0..systems).flat_map(|a| (a + 1..systems).map(move |b| (a, b))).collect();
    let pair = |&(a, b): &(usize, usize)| Pair {
        a,
        b,
        rho: rho(set, a, b),
        disagreement: disagreement(&alarms[a], &alarms[b]),
    };
    let pairs = pairs.par_iter().map(pair).collect();
    if systems < 2 {
        return Ok(Complementarity { pairs, left_out: Vec::new() });
    }
    let counter = Counter::new(search.total(set, systems - 1) * systems as u64, progress);
    let without = |system: usize| {
        let score = find(&without(set, system), search, &counter)?.score;
        Ok(LeftOut { system, score, loss: tuned.score - score })
    };
    let left_out = (0..systems).into_par_iter().map(without).collect::<Result<_, Error>>()?;
    Ok(Complementarity { pairs, left_out })
}

/// Systems whose mean AUC over sections lies below one half by more than three of its standard errors under chance (Mann and
/// Whitney's variance, (n₀ + n₁ + 1) / 12 n₀n₁).
pub fn reversed(set: &TuningSet) -> Vec<Reversed> {
    let set = set.labelled();
    let of = |system: usize| {
        let (mut sum, mut variance, mut sections) = (0.0, 0.0, 0.0);
        for (part, labels) in set.parts.iter().zip(&set.labels) {
            let Ok(auc) = metric::auc(&part.scores.row(system).to_vec(), labels) else { continue };
            let anomalous = labels.iter().filter(|label| **label).count() as f64;
            let normal = labels.len() as f64 - anomalous;
            sum += auc;
            variance += (normal + anomalous + 1.0) / (12.0 * normal * anomalous);
            sections += 1.0;
        }
        let auc = sum / sections;
        (auc < 0.5 - 3.0 * variance.sqrt() / sections).then_some(Reversed { system, auc })
    };
    (0..set.systems.len()).filter_map(of).collect()
}

fn without(set: &Labelled, system: usize) -> Labelled {
    let kept: Vec<usize> = (0..set.systems.len()).filter(|&other| other != system).collect();
    let part = |part: &Part| Part { scores: part.scores.select(Axis(0), &kept), ..part.clone() };
    Labelled {
        year: set.year,
        systems: kept.iter().map(|&kept| set.systems[kept].clone()).collect(),
        parts: set.parts.iter().map(part).collect(),
        labels: set.labels.clone(),
    }
}

fn rho(set: &Labelled, a: usize, b: usize) -> Option<f64> {
    let of = |part: &Part| {
        let scores = |system| part.scores.row(system).to_vec();
        stats::rank_correlation(&scores(a), &scores(b)).ok()
    };
    let found: Vec<f64> = set.parts.iter().filter_map(of).collect();
    (!found.is_empty()).then(|| found.iter().sum::<f64>() / found.len() as f64)
}

/// Whether a system calls each clip of a section anomalous.
fn alarms((part, labels): (&Part, &Vec<bool>), system: usize) -> Vec<bool> {
    let scores = part.scores.row(system);
    let mut order: Vec<usize> = (0..labels.len()).collect();
    order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]).then_with(|| part.files[a].cmp(&part.files[b])));
    let count = labels.iter().filter(|label| **label).count();
    let mut alarms = vec![false; labels.len()];
    order.into_iter().take(count).for_each(|clip| alarms[clip] = true);
    alarms
}

fn disagreement(a: &[Vec<bool>], b: &[Vec<bool>]) -> f64 {
    let clips = || a.iter().flatten().zip(b.iter().flatten());
    clips().filter(|(a, b)| a != b).count() as f64 / clips().count() as f64
}
