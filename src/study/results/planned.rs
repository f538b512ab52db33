//! The results that a sweep intends, beside those that there are.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::{LeftOut, ResultRow, Standing};
use crate::config::ProtocolConfig;
use crate::study;
use crate::study::correlation::NOTHING_DRAWN;
use crate::study::plan::{self, Plan, PlannedTrial};

/// A sweep's plan, and how far it has come.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PlannedStudy {
    /// The study's name.
    pub name: String,
    /// What it makes of results, for people.
    #[serde(skip)]
    pub protocol: ProtocolConfig,
    /// By family, in the order of the study.
    pub families: Vec<PlannedFamily>,
}

/// How many trials of a family stand where.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct PlannedFamily {
    /// Proxy-task family.
    pub family: String,
    /// Configurations × machine types × seeds.
    pub trials: usize,
    /// Those that have results.
    pub with_results: usize,
    /// Those that need none: nothing is drawn in the family, and another seed has results.
    pub stood_in_for: usize,
    /// Those that ended by an error.
    pub failed: usize,
    /// Those that the user stopped.
    pub interrupted: usize,
    /// Those that a process works on, or was killed on.
    pub running: usize,
    /// Trained, and not judged.
    pub not_evaluated: usize,
    /// Those that nobody has begun.
    pub never_started: usize,
}

impl PlannedFamily {
    /// Trials that have no results and should.
    pub fn missing(&self) -> usize {
        self.trials - self.with_results - self.stood_in_for
    }

    fn count(&mut self, standing: Standing) {
        *match standing {
            Standing::Failed => &mut self.failed,
            Standing::Interrupted => &mut self.interrupted,
            Standing::Running => &mut self.running,
            Standing::NotEvaluated => &mut self.not_evaluated,
            Standing::NeverStarted => &mut self.never_started,
        } += 1;
    }

    /// What is missing, in words: `2 of 12 trials have no results: 1 failed, 1 never started`.
    pub fn in_words(&self) -> Option<String> {
        let counts = [
            (self.failed, "failed"),
            (self.interrupted, "interrupted"),
            (self.running, "running or killed"),
            (self.not_evaluated, "not evaluated"),
            (self.never_started, "never started"),
        ];
        let words: Vec<String> =
            counts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
        (self.missing() > 0).then(|| {
            format!(
                "{} of {} planned trials have no results: {}",
                self.missing(),
                self.trials,
                words.join(", ")
            )
        })
    }
}

/// Results beside what sweeps intend.
pub(super) struct Against {
    /// Each plan's standing.
    pub planned: Vec<PlannedStudy>,
    /// Planned trials that nobody has begun, or that failed before they had a folder.
    pub missing: Vec<LeftOut>,
    /// What is there and in no plan, for people.
    pub warnings: Vec<String>,
}

/// What the plans of the runs folders of `sources` want of them: each plan's standing, its trials that nobody has begun, and
/// what is there beside them, for people.
///
/// `found` are the runs' folders that were found in them, `rows` the results and `left_out` the runs without, of which those
/// that a sweep failed to judge learn why.
pub(super) fn against_plans(
    sources: &[&Path],
    found: &HashSet<PathBuf>,
    rows: &[ResultRow],
    left_out: &mut [LeftOut],
) -> Result<Against, study::Error> {
    let sources: Vec<(&Path, PathBuf)> = sources.iter().map(|source| (*source, real(source))).collect();
    let mut roots: Vec<&Path> = sources.iter().flat_map(|(_, source)| source.ancestors().take(5)).collect();
    // runs/family/config/machine/seed-n
    roots.extend(found.iter().filter_map(|run| run.ancestors().nth(4)));
    roots.sort();
    roots.dedup();
    let mut plans: Vec<(&Path, Plan)> = Vec::new();
    for root in roots {
        plans.extend(Plan::read_all(root)?.into_iter().map(|plan| (root, plan)));
    }
    not_judged_why(left_out, &plans);
    let warnings = not_planned(rows, &plans);
    let there = There::of(rows, left_out);
    let (mut studies, mut missing): (Vec<PlannedStudy>, BTreeMap<PathBuf, LeftOut>) = Default::default();
    for (root, plan) in plans {
        // Of a part of the runs folder, only that part is asked for. Shown as it was asked for.
        let asked = |trial: &PlannedTrial| {
            let path = root.join(&trial.path);
            let shown = sources
                .iter()
                .find_map(|(given, source)| path.strip_prefix(source).ok().map(|below| given.join(below)))?;
            Some((path, shown))
        };
        let mut families: Vec<PlannedFamily> = Vec::new();
        for trial in &plan.trials {
            let Some((path, shown)) = asked(trial) else { continue };
            let at = families.iter().position(|one| one.family == trial.family).unwrap_or_else(|| {
                families.push(PlannedFamily { family: trial.family.clone(), ..PlannedFamily::default() });
                families.len() - 1
            });
            let family = &mut families[at];
            family.trials += 1;
            if there.results.contains(&(cell(trial), trial.seed)) {
                family.with_results += 1;
            } else if there.any_seed.contains(&cell(trial)) {
                family.stood_in_for += 1;
            } else if let Some(standing) = there.standing.get(Path::new(&trial.path)) {
                family.count(*standing);
            } else {
                let (state, why) = match plan.failure(root, trial) {
                    Some(why) => (Standing::Failed, format!("it could not be begun (failed: {why})")),
                    None => {
                        let why = format!("the study `{}` plans it, and it was never started", plan.name);
                        (Standing::NeverStarted, why)
                    }
                };
                family.count(state);
                missing.entry(path).or_insert(LeftOut { path: shown, state, why });
            }
        }
        if !families.is_empty() {
            studies.push(PlannedStudy { name: plan.name, protocol: plan.protocol, families });
        }
    }
    Ok(Against { planned: studies, missing: missing.into_values().collect(), warnings })
}

/// What there is of trials, in whichever runs folder: shards of one sweep may have one each, and each has the whole plan.
struct There<'a> {
    /// Trials with results.
    results: HashSet<([&'a str; 3], u64)>,
    /// Configurations and machine types, of families that draw nothing, of which some seed has results.
    any_seed: HashSet<[&'a str; 3]>,
    /// Where those without stand, by `family/config/machine/seed-n`.
    standing: HashMap<PathBuf, Standing>,
}

impl<'a> There<'a> {
    fn of(rows: &'a [ResultRow], left_out: &[LeftOut]) -> Self {
        let cell = |row: &'a ResultRow| {
            let cell = [row.family.as_str(), &row.config, row.machine.as_deref()?];
            Some((cell, row.seed?))
        };
        let results: HashSet<_> = rows.iter().filter_map(cell).collect();
        let nothing_drawn = |[family, ..]: &[&str; 3]| NOTHING_DRAWN.contains(family);
        let any_seed = results.iter().map(|(cell, _)| *cell).filter(nothing_drawn).collect();
        let standing = left_out.iter().map(|run| (trial_path(&real(&run.path)), run.state)).collect();
        Self { results, any_seed, standing }
    }
}

/// Of runs that are trained and not judged, those that a sweep failed to judge say so: to judge them once more fails again.
fn not_judged_why(left_out: &mut [LeftOut], plans: &[(&Path, Plan)]) {
    let not_judged = left_out.iter_mut().filter(|run| run.state == Standing::NotEvaluated);
    let mut not_judged: HashMap<PathBuf, &mut LeftOut> =
        not_judged.map(|run| (real(&run.path), run)).collect();
    for (root, plan) in plans {
        for trial in &plan.trials {
            let Some(run) = not_judged.get_mut(&root.join(&trial.path)) else { continue };
            if let Some(why) = plan.failure(root, trial) {
                run.state = Standing::Failed;
                run.why = format!("it is trained and not judged (failed: {why})");
            }
        }
    }
}

/// Results of configurations that no plan of their own runs folder has, where it has one.
fn not_planned(rows: &[ResultRow], plans: &[(&Path, Plan)]) -> Vec<String> {
    // runs/family/config/machine/seed-n
    let configuration = |run: &Path| run.ancestors().nth(2).map(Path::to_owned);
    let mut planned: HashMap<&Path, HashSet<_>> = HashMap::new();
    for (root, plan) in plans {
        let configurations = plan.trials.iter().map(|trial| configuration(&root.join(&trial.path)));
        planned.entry(root).or_default().extend(configurations);
    }
    let mut others: BTreeMap<&str, usize> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.origin.line.is_none()) {
        let Some(run) = row.origin.path.parent().map(real) else { continue };
        let known = run.ancestors().nth(4).and_then(|root| planned.get(root));
        if known.is_some_and(|known| !known.contains(&configuration(&run))) {
            *others.entry(&row.family).or_default() += 1;
        }
    }
    plan::not_planned(others)
}

/// `family/config/machine/seed-n` of a run's folder.
fn trial_path(run: &Path) -> PathBuf {
    let root = run.ancestors().nth(4);
    root.and_then(|root| run.strip_prefix(root).ok()).unwrap_or(run).to_owned()
}

/// A trial whatever its seed.
fn cell(trial: &PlannedTrial) -> [&str; 3] {
    [&trial.family, &trial.config, &trial.machine]
}

/// One folder may be named in several ways.
fn real(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

#[cfg(test)]
mod tests;
