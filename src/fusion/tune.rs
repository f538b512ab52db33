//! The search for weights, and what it is compared with.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use rayon::prelude::*;

use super::objective::Evaluator;
use super::proposals::Proposals;
use super::sets::Labelled;
use super::weights::combine;
use super::{Error, Objective, TuningSet, Weights, judge, simplex_grid};

/// Which weights are searched for, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Search {
    /// Of every random draw.
    pub seed: u64,
    /// Weight vectors that are tried, per machine where each has its own weights. Each system alone and equal weights are
    /// tried in any case and count.
    pub evaluations: usize,
    /// What is to become large.
    pub objective: Objective,
    /// One set for all machines, or one for each.
    pub per: Per,
    /// How the next weights are chosen.
    pub method: Method,
}

/// Whose weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Per {
    /// One set for all machines.
    #[default]
    Shared,
    /// One set for each machine. Machines that were not tuned on get the shared set, which is searched for as well.
    Machine,
}

/// How weights are searched for, after each system alone and equal weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Method {
    /// Sequential, model-based: see the module `proposals`.
    #[default]
    Bayesian,
    /// The finest grid on the simplex that has no more points than there are evaluations.
    Grid,
    /// Uniform draws from the simplex.
    Random,
    /// No search: equal weights, however good a single system is.
    Equal,
}

impl Default for Search {
    /// Ω, one set of weights, 400 evaluations of Bayesian optimisation, seed 0.
    fn default() -> Self {
        Self {
            seed: 0,
            evaluations: 400,
            objective: Objective::default(),
            per: Per::default(),
            method: Method::default(),
        }
    }
}

/// Where tried weights came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// One system alone.
    Single,
    /// Equal weights.
    Equal,
    /// What the search proposed.
    Proposed,
}

impl Origin {
    /// The word in the history file.
    pub fn key(self) -> &'static str {
        match self {
            Self::Single => "single",
            Self::Equal => "equal",
            Self::Proposed => "proposed",
        }
    }
}

/// One step of a search.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    /// The machine whose own weights were searched for; none for the shared ones.
    pub machine: Option<String>,
    /// From 1.
    pub number: usize,
    /// Where the weights came from.
    pub origin: Origin,
    /// The weights tried.
    pub weights: Vec<f64>,
    /// Their score.
    pub score: f64,
    /// The best score so far, this one included.
    pub best: f64,
}

/// A simpler choice of weights on the same clips.
#[derive(Clone, Debug, PartialEq)]
pub struct Baseline {
    /// `best single`, `equal weights`, `grid search`, `random search`.
    pub name: &'static str,
    /// What it comes to.
    pub weights: Weights,
    /// Its score.
    pub score: f64,
    /// Weight vectors tried, per machine where each has its own.
    pub evaluations: usize,
    /// What else to know: the single system's name, the grid's step.
    pub note: Option<String>,
}

/// What the search is compared with.
#[derive(Clone, Debug, PartialEq)]
pub struct Baselines {
    /// Every system's score alone, in their order.
    pub singles: Vec<f64>,
    /// Best single, equal weights, grid search, random search.
    pub table: Vec<Baseline>,
}

/// Weights that were found, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct Tuned {
    /// The best; of several with one score the first tried, and so a single system before a mixture.
    pub weights: Weights,
    /// Their score on the tuning set: optimistic.
    pub score: f64,
    /// Every weight vector tried, in order.
    pub history: Vec<Evaluation>,
    /// What it is compared with.
    pub baselines: Baselines,
}

/// Told how many evaluations of how many are done, from any thread.
pub type Progress<'a> = &'a (dyn Fn(u64, u64) + Sync);

/// Finds weights. `set` has prepared (normalised) scores.
///
/// # Errors
/// No evaluations; an objective that the year does not have or that a section's clips leave undefined.
pub fn tune(set: &TuningSet, search: &Search, progress: Progress<'_>) -> Result<Tuned, Error> {
    let set = set.labelled();
    let other = |method| Search { method, ..*search };
    let (grid, random) = (other(Method::Grid), other(Method::Random));
    let total = [search, &grid, &random].map(|search| search.total(set, set.systems.len())).iter().sum();
    let counter = Counter::new(total, progress);
    // Three searches that share nothing.
    let (found, (grid, random)) = rayon::join(
        || find(set, search, &counter),
        || rayon::join(|| find(set, &grid, &counter), || find(set, &random, &counter)),
    );
    let (found, grid, random) = (found?, grid?, random?);
    let baselines = baselines(set, search, grid, random)?;
    Ok(Tuned { weights: found.weights, score: found.score, history: found.history, baselines })
}

/// What a search comes to.
pub(super) struct Found {
    pub weights: Weights,
    pub score: f64,
    pub history: Vec<Evaluation>,
}

/// Evaluations done, of all that will be.
pub(super) struct Counter<'a> {
    done: AtomicU64,
    total: u64,
    progress: Progress<'a>,
}

impl<'a> Counter<'a> {
    pub fn new(total: u64, progress: Progress<'a>) -> Self {
        Self { done: AtomicU64::new(0), total, progress }
    }

    fn count(&self) {
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        (self.progress)(done, self.total);
    }
}

impl Search {
    /// Evaluations of one search, the corners and equal weights among them.
    fn per_search(&self, systems: usize) -> usize {
        // A system alone has nothing to be mixed with.
        if systems < 2 {
            return 1;
        }
        let first = systems + 1;
        match self.method {
            Method::Equal => first,
            Method::Grid => {
                let points = simplex_grid::points(systems, simplex_grid::finest(systems, self.evaluations));
                // The corners are points of any grid.
                let points = points.map_or(usize::MAX, |points| points as usize);
                first.max(points + 1)
            }
            Method::Bayesian | Method::Random => first.max(self.evaluations),
        }
    }

    /// Evaluations of all its searches.
    pub(super) fn total(&self, set: &Labelled, systems: usize) -> u64 {
        let searches = match self.per {
            Per::Shared => 1,
            Per::Machine => 1 + set.machines().len(),
        };
        (self.per_search(systems) * searches) as u64
    }
}

/// One search, without what it is compared with.
pub(super) fn find(set: &Labelled, search: &Search, counter: &Counter<'_>) -> Result<Found, Error> {
    if search.evaluations == 0 {
        return Err(Error::Setting("search for weights in no evaluation: allow at least one".to_owned()));
    }
    let evaluator = Evaluator::new(set, search.objective)?;
    let shared = find_one(set, &evaluator, search, None, counter)?;
    if search.per == Per::Shared {
        let weights = Weights::shared(shared.weights);
        return Ok(Found { weights, score: shared.score, history: shared.history });
    }
    // The harmonic mean over machines is largest where each machine's own is.
    let machines: Vec<(String, FoundOne)> = set
        .machines()
        .into_par_iter()
        .map(|machine| {
            let own = set.filter(|part| part.machine == machine);
            let evaluator = Evaluator::new(&own, search.objective)?;
            Ok((machine.to_owned(), find_one(&own, &evaluator, search, Some(machine), counter)?))
        })
        .collect::<Result<_, Error>>()?;
    let mut history = shared.history;
    let mut own = BTreeMap::new();
    for (machine, found) in machines {
        history.extend(found.history);
        own.insert(machine, found.weights);
    }
    let weights = Weights { shared: shared.weights, per_machine: Some(own) };
    let score = evaluator.value(&judge::fuse(set, &weights)?)?;
    Ok(Found { weights, score, history })
}

/// One set of weights.
struct FoundOne {
    weights: Vec<f64>,
    score: f64,
    history: Vec<Evaluation>,
}

fn find_one(
    set: &Labelled,
    evaluator: &Evaluator,
    search: &Search,
    machine: Option<&str>,
    counter: &Counter<'_>,
) -> Result<FoundOne, Error> {
    let systems = set.systems.len();
    let mut history: Vec<Evaluation> = Vec::with_capacity(search.per_search(systems));
    let mut best: Option<usize> = None;
    let mut measure = |origin, weights: Vec<f64>| -> Result<f64, Error> {
        let fused: Vec<Vec<f64>> = set.parts.iter().map(|part| combine(&weights, part)).collect();
        let score = evaluator.value(&fused)?;
        let index = history.len();
        let leader = match best.map(|best| history[best].score) {
            Some(leader) if leader >= score => leader,
            _ => {
                best = Some(index);
                score
            }
        };
        let machine = machine.map(str::to_owned);
        history.push(Evaluation { machine, number: index + 1, origin, weights, score, best: leader });
        counter.count();
        Ok(score)
    };
    let mut proposals = Proposals::new(search, systems, machine);
    for system in 0..systems {
        let weights = Weights::single(systems, system).shared;
        let score = measure(Origin::Single, weights.clone())?;
        proposals.tell(&weights, score);
    }
    if systems > 1 {
        let weights = Weights::equal(systems).shared;
        let score = measure(Origin::Equal, weights.clone())?;
        proposals.tell(&weights, score);
        while let Some(weights) = proposals.next()? {
            let score = measure(Origin::Proposed, weights.clone())?;
            proposals.tell(&weights, score);
        }
    }
    let chosen = match search.method {
        // Single systems were measured to be compared with.
        Method::Equal => history.len() - 1,
        _ => best.unwrap_or(0),
    };
    let Evaluation { weights, score, .. } = history[chosen].clone();
    Ok(FoundOne { weights, score, history })
}

fn baselines(set: &Labelled, search: &Search, grid: Found, random: Found) -> Result<Baselines, Error> {
    let systems = set.systems.len();
    let evaluator = Evaluator::new(set, search.objective)?;
    let value = |weights: &Weights| evaluator.value(&judge::fuse(set, weights)?);
    let singles: Vec<f64> =
        (0..systems).map(|system| value(&Weights::single(systems, system))).collect::<Result<_, _>>()?;
    // The first of equals.
    let best = (0..systems).rev().max_by(|&a, &b| singles[a].total_cmp(&singles[b])).unwrap_or(0);
    let equal = Weights::equal(systems);
    let step = simplex_grid::finest(systems, search.evaluations);
    let searched = |name, method, found: Found, note: Option<String>| Baseline {
        name,
        evaluations: Search { method, ..*search }.per_search(systems),
        weights: found.weights,
        score: found.score,
        note,
    };
    let table = vec![
        Baseline {
            name: "best single",
            weights: Weights::single(systems, best),
            score: singles[best],
            evaluations: systems,
            note: Some(set.systems[best].clone()),
        },
        Baseline { name: "equal weights", score: value(&equal)?, weights: equal, evaluations: 1, note: None },
        searched("grid search", Method::Grid, grid, Some(format!("steps of 1/{step}"))),
        searched("random search", Method::Random, random, None),
    ];
    Ok(Baselines { singles, table })
}
