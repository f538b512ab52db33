//! How good final weights are.

use std::collections::BTreeMap;

use super::objective::Evaluator;
use super::sets::Labelled;
use super::{Error, JudgedSet, Objective, Weights};
use crate::stats::{Bootstrap, Resampler, Settings, bootstrap};

/// A fused system's worth.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    /// The objective over all sections.
    pub score: f64,
    /// Over each machine's sections.
    pub per_machine: BTreeMap<String, f64>,
    /// The interval of the score, of clips drawn anew within (machine, section, domain, label) with the weights as they are;
    /// or why there is none.
    pub bootstrap: Result<Bootstrap, String>,
}

/// The objective of the fused scores of prepared (normalised) parts.
///
/// # Errors
/// Not one weight per system; clips that the objective is undefined for.
pub fn judge(
    set: &JudgedSet,
    weights: &Weights,
    objective: Objective,
    settings: Settings,
) -> Result<Judged, Error> {
    let set = set.labelled();
    let fused = fuse(set, weights)?;
    of_fused(set, &Evaluator::new(set, objective)?, &fused, settings)
}

/// The fused scores of every part.
pub(super) fn fuse(set: &Labelled, weights: &Weights) -> Result<Vec<Vec<f64>>, Error> {
    set.parts.iter().map(|part| weights.fuse(part)).collect()
}

/// Of fused scores, one list per part of `set`.
pub(super) fn of_fused(
    set: &Labelled,
    evaluator: &Evaluator,
    fused: &[Vec<f64>],
    settings: Settings,
) -> Result<Judged, Error> {
    let values = evaluator.values(fused)?;
    let machine = |machine: &str| {
        let own = (0..set.parts.len()).filter(|&section| set.parts[section].machine == machine);
        (machine.to_owned(), evaluator.mean(own, &values))
    };
    Ok(Judged {
        score: evaluator.mean(0..set.parts.len(), &values),
        per_machine: set.machines().into_iter().map(machine).collect(),
        bootstrap: interval(set, evaluator, fused, settings)?,
    })
}

fn interval(
    set: &Labelled,
    evaluator: &Evaluator,
    fused: &[Vec<f64>],
    settings: Settings,
) -> Result<Result<Bootstrap, String>, Error> {
    let ranked = evaluator.ranked(fused)?;
    let strata: Vec<_> = set
        .parts
        .iter()
        .zip(&set.labels)
        .flat_map(|(part, labels)| {
            let clips = part.domains.iter().zip(labels);
            clips.map(move |(domain, anomalous)| (&part.machine, &part.section, *domain, *anomalous))
        })
        .collect();
    let resampler = Resampler::new(&strata);
    let found = bootstrap(&resampler, settings, |weights| evaluator.weighted(&ranked, weights));
    Ok(found.map_err(|error| format!("failed to {error}")))
}
