//! What final weights are worth, put together for programs.

use std::collections::{BTreeMap, BTreeSet};

use super::decide::Decided;
use super::document::{
    AppliedTo, BaselineResult, ComplementarityResult, Document, Estimate, FoldResult, Honest, MachineRow,
    Normalisation, PairResult, TableOne, TunedOn, WithoutResult,
};
use super::error::some_of;
use super::labels::Known;
use super::prepare::Inputs;
use super::{Error, tables};
use crate::fusion::{
    Complementarity, Fold, JudgedSet, Method as Search, Objective, Part, Tuned, TuningSet, Validation,
    Weights, judge,
};
use crate::stats::{Method, Settings};

/// What the numbers are made from.
pub(super) struct Judging<'a> {
    pub inputs: &'a Inputs,
    pub tuned: &'a Tuned,
    pub decided: &'a Decided,
    pub settings: Settings,
}

/// The clips of a set that can be judged; or why there are none.
type Judged = Result<JudgedSet, String>;

impl Judging<'_> {
    /// `ready` are the prepared parts that the weights are applied to, and `known` what is known of their clips.
    pub fn document(
        &self,
        ready: &[Part],
        known: Vec<Known>,
        tuning: &TuningSet,
        validation: Result<Validation, String>,
        complementarity: &Complementarity,
        mut notes: Vec<String>,
    ) -> Result<Document, Error> {
        let inputs = self.inputs;
        let systems = inputs.plan.hierarchy.systems().to_vec();
        let (applied, judged_clips) = self.judged(ready, known, &mut notes);
        let tables = self.tables(&systems, &applied, tuning);
        let baseline = |baseline: &crate::fusion::Baseline| {
            let found = self.quick(&applied, &baseline.weights, inputs.search.objective);
            BaselineResult {
                name: baseline.name,
                score: baseline.score,
                applied: found.as_ref().ok().map(|found| found.0),
                why: found.err(),
                evaluations: baseline.evaluations,
                weights: baseline.weights.shared.clone(),
                weights_per_machine: baseline.weights.per_machine.clone(),
                note: baseline.note.clone(),
            }
        };
        let normalise = inputs.normalisation();
        let weights = &self.tuned.weights;
        let applied_to = self.applied_to(ready, &applied, judged_clips);
        let without_own = without_own(&validation);
        let honest = honest(validation);
        notes.extend(warnings(&applied_to, &honest, &normalise));
        notes.extend(without_own);
        Ok(Document {
            schema: 1,
            complete: true,
            branches: inputs.plan.hierarchy.branches().to_vec(),
            weights: weights.shared.clone(),
            weights_per_machine: weights.per_machine.clone(),
            year: inputs.systems.year.number(),
            seed: inputs.search.seed,
            normalise,
            tuned_on: self.tuned_on(tuning),
            applied_to,
            honest,
            baselines: self.tuned.baselines.table.iter().map(baseline).collect(),
            complementarity: named(complementarity, &systems),
            tables,
            notes,
            files: Vec::new(),
            systems,
        })
    }

    /// Sections all of whose clips have a label, and how many clips those are.
    fn judged(&self, ready: &[Part], known: Vec<Known>, notes: &mut Vec<String>) -> (Judged, usize) {
        let (mut parts, mut labels, mut without) = (Vec::new(), Vec::new(), Vec::new());
        for (part, known) in ready.iter().zip(known) {
            let all: Option<Vec<bool>> = known.anomalous.into_iter().collect();
            match all {
                Some(all) => {
                    labels.push(all);
                    parts.push(Part { domains: known.domains, ..part.clone() });
                }
                None => without.push(format!("{} section {}", part.machine, part.section)),
            }
        }
        if parts.is_empty() {
            let why = "no section of the clips that the weights are applied to has labels for all of its clips; give their \
                       ground truth with official.truth";
            return (Err(why.to_owned()), 0);
        }
        if !without.is_empty() {
            notes.push(format!(
                "{} section(s) are scored and not judged, as labels are missing: {}",
                without.len(),
                some_of(&without)
            ));
        }
        let clips = labels.iter().map(Vec::len).sum();
        let systems = self.inputs.plan.hierarchy.systems().to_vec();
        let set = JudgedSet::new(self.inputs.systems.year, systems, parts, labels);
        (set.map_err(|error| format!("failed to {error}")), clips)
    }

    fn tuned_on(&self, tuning: &TuningSet) -> TunedOn {
        let tuning = tuning.parts();
        let search = &self.inputs.search;
        TunedOn {
            score: self.tuned.score,
            objective: search.objective.key(),
            method: match search.method {
                Search::Bayesian => "bayesian",
                Search::Grid => "grid",
                Search::Random => "random",
                Search::Equal => "equal",
            },
            evaluations: self.tuned.history.len(),
            machines: names(tuning.iter().map(|part| &part.machine)),
            sections: names(tuning.iter().map(|part| &part.section)),
            clips: tuning.iter().map(|part| part.files.len()).sum(),
        }
    }

    fn applied_to(&self, ready: &[Part], applied: &Judged, judged_clips: usize) -> AppliedTo {
        let found = applied.as_ref().map_err(Clone::clone).and_then(|set| {
            judge(set, &self.tuned.weights, self.inputs.search.objective, self.settings)
                .map_err(|error| format!("failed to {error}"))
        });
        let machines = names(ready.iter().map(|part| &part.machine));
        AppliedTo {
            thresholds: self.decided.thresholds().clone(),
            machines,
            sections: names(ready.iter().map(|part| &part.section)),
            clips: ready.iter().map(|part| part.files.len()).sum(),
            judged_clips: if found.is_ok() { judged_clips } else { 0 },
            overlap: self.inputs.overlap(),
            per_machine: found.as_ref().map(|found| found.per_machine.clone()).unwrap_or_default(),
            estimate: match found {
                Ok(found) => Estimate::of(found.score, &found.bootstrap),
                Err(why) => Estimate::missing(why),
            },
        }
    }

    /// An objective over all sections and by machine, without an interval.
    fn quick(
        &self,
        set: &Judged,
        weights: &Weights,
        objective: Objective,
    ) -> Result<(f64, BTreeMap<String, f64>), String> {
        // The least that a bootstrap takes: the interval is not looked at.
        let settings = Settings { resamples: 2, method: Method::Percentile, ..self.settings };
        let found = judge(set.as_ref().map_err(Clone::clone)?, weights, objective, settings);
        let found = found.map_err(|error| format!("failed to {error}"))?;
        Ok((found.score, found.per_machine))
    }

    /// Table 1 of the clips applied to, and of those tuned on where they are others.
    fn tables(&self, systems: &[String], applied: &Judged, tuning: &TuningSet) -> Vec<TableOne> {
        let mut sets = Vec::new();
        if applied.is_ok() {
            sets.push(("applied", applied.clone()));
        }
        let same = self
            .inputs
            .parts
            .keys()
            .all(|key| self.inputs.tune.includes(key) == self.inputs.apply.includes(key));
        if !same || applied.is_err() {
            sets.push(("tuned", Ok(tuning.judged())));
        }
        let single = |system: usize| Weights::single(systems.len(), system);
        let columns: Vec<Weights> =
            (0..systems.len()).map(single).chain([self.tuned.weights.clone()]).collect();
        let names: Vec<String> = systems.iter().cloned().chain(std::iter::once("fused".to_owned())).collect();
        let table = |(clips, set): (&'static str, Judged)| {
            let found: Vec<Result<BTreeMap<String, f64>, String>> = columns
                .iter()
                .map(|weights| self.quick(&set, weights, Objective::HarmonicMean).map(|found| found.1))
                .collect();
            let why = found.iter().find_map(|column| column.as_ref().err().cloned());
            let machines: BTreeSet<&String> = found.iter().flatten().flat_map(BTreeMap::keys).collect();
            let values = |machine: &String| -> Vec<Option<f64>> {
                found.iter().map(|column| column.as_ref().ok()?.get(machine).copied()).collect()
            };
            let rows: Vec<MachineRow> = machines
                .into_iter()
                .map(|machine| MachineRow { machine: machine.clone(), values: values(machine) })
                .collect();
            let overall = (0..names.len()).map(|column| tables::overall(&rows, column)).collect();
            TableOne { clips, columns: names.clone(), machines: rows, overall, why }
        };
        sets.into_iter().map(table).collect()
    }
}

fn names<'a>(all: impl Iterator<Item = &'a String>) -> Vec<String> {
    all.collect::<BTreeSet<_>>().into_iter().cloned().collect()
}

fn honest(validation: Result<Validation, String>) -> Honest {
    let validation = match validation {
        Ok(validation) => validation,
        Err(why) => {
            return Honest {
                over: None,
                estimate: Estimate::missing(why),
                optimistic: None,
                per_machine: BTreeMap::new(),
                folds: Vec::new(),
            };
        }
    };
    let fold = |fold: Fold| FoldResult {
        left_out: fold.left_out,
        weights: fold.weights.shared,
        weights_per_machine: fold.weights.per_machine,
        tuned: fold.tuned,
        score: fold.score,
        best_single: fold.best_single,
    };
    Honest {
        over: Some(validation.over.key()),
        estimate: Estimate::of(validation.honest, &validation.honest_bootstrap),
        optimistic: Some(Estimate::of(validation.optimistic, &validation.optimistic_bootstrap)),
        per_machine: validation.per_machine,
        folds: validation.folds.into_iter().map(fold).collect(),
    }
}

fn named(found: &Complementarity, systems: &[String]) -> ComplementarityResult {
    let pair = |pair: &crate::fusion::Pair| PairResult {
        a: systems[pair.a].clone(),
        b: systems[pair.b].clone(),
        rho: pair.rho,
        disagreement: pair.disagreement,
    };
    let without = |left: &crate::fusion::LeftOut| WithoutResult {
        system: systems[left.system].clone(),
        score: left.score,
        loss: left.loss,
    };
    ComplementarityResult {
        pairs: found.pairs.iter().map(pair).collect(),
        without: found.left_out.iter().map(without).collect(),
    }
}

/// A word on machines whose honest number is not that of the weights that they get.
fn without_own(validation: &Result<Validation, String>) -> Option<String> {
    let folds = validation.iter().flat_map(|validation| &validation.folds);
    let machines = names(folds.flat_map(|fold| &fold.without_own));
    (!machines.is_empty()).then(|| {
        format!(
            "the honest number of {} is that of the shared weights: left out as a whole, a machine has none of its own; tune on \
             several sections of each and set validate.over = \"sections\"",
            some_of(&machines)
        )
    })
}

/// What must stand beside the numbers.
fn warnings(applied: &AppliedTo, honest: &Honest, normalise: &Normalisation) -> Vec<String> {
    let mut words = Vec::new();
    if applied.overlap > 0 && applied.estimate.score.is_some() {
        let instead = match (honest.estimate.score, &honest.estimate.interval, honest.over) {
            (Some(score), interval, Some(over)) => {
                let interval = interval.map_or_else(String::new, |interval| {
                    format!(" [{:.2}, {:.2}]", 100.0 * interval.low, 100.0 * interval.high)
                });
                format!("left out in turn, {over} come to {:.2} %{interval}", 100.0 * score)
            }
            _ => {
                format!("there is no honest number: {}", honest.estimate.why.as_deref().unwrap_or("unknown"))
            }
        };
        words.push(format!(
            "the weights were tuned on {} of the sections that they are applied to, so that the score there is optimistic; \
             {instead}",
            applied.overlap
        ));
    }
    words.extend(of_normalisation(normalise, applied.overlap));
    let from = |origin: &str| {
        let own = applied.thresholds.iter().filter(|(_, threshold)| threshold.from == origin);
        names(own.map(|(machine, _)| machine))
    };
    let (own, others) = (from("tuning-normals"), from("tuning-normals-of-all-machines"));
    if !own.is_empty() {
        words.push(format!(
            "decisions of {} rest on fused scores of the normal clips that were tuned on, as there are none of training clips",
            some_of(&own)
        ));
    }
    if !others.is_empty() {
        words.push(format!(
            "decisions of {} rest on fused scores of other machines' normal clips, as there is neither a training score nor a \
             tuning clip of its own: where machines' scores differ in scale, they say nothing",
            some_of(&others)
        ));
    }
    words
}

/// A word on whose scores the normalisation was fitted to.
fn of_normalisation(normalise: &Normalisation, overlap: usize) -> Option<String> {
    let lacking = "as not every system has the scores of its training clips";
    Some(match (normalise.statistics, normalise.transductive) {
        ("transductive", _) => {
            "TRANSDUCTIVE: scores are normalised by the statistics of the very clips that are judged, which a challenge forbids"
                .to_owned()
        }
        ("tuning", true) => format!(
            "TRANSDUCTIVE: scores are normalised by the mean and spread of the tuning clips (labels are not used), {lacking}; \
             {overlap} sections of them are judged too, which a challenge forbids. The honest number is free of it: what is left \
             out is normalised by the others"
        ),
        ("tuning", false) => format!(
            "scores are normalised by the mean and spread of the tuning clips (labels are not used), {lacking}"
        ),
        _ => return None,
    })
}
