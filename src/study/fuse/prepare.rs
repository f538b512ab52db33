//! From a configuration to what is fused: systems read and brought together, the normalisation settled. No label is read.

use std::collections::BTreeSet;

use serde::Serialize;

use super::Error;
use super::align::{self, Parts};
use super::choice::Choice;
use super::document::Normalisation;
use super::error::some_of;
use super::systems::{self, Key, Systems};
use crate::config::{
    FusionConfig, FusionObjective, Missing, NormaliseMethod as Asked, OfficialYear, TuneMethod, WeightsPer,
};
use crate::fusion::{
    AllowTransductive, Method, NormaliseMethod, Objective, Part, Per, Plan, Search, Statistics,
    TrainingScores,
};
use crate::official::Year;

/// Everything that the labels are still missing from.
#[derive(Clone, Debug)]
pub(super) struct Inputs {
    pub systems: Systems,
    /// Of the clips that are tuned on or applied to.
    pub parts: Parts,
    /// Of their machines' training clips, where every system has such scores.
    pub training: Option<Parts>,
    pub tune: Choice,
    pub apply: Choice,
    pub plan: Plan,
    pub search: Search,
    /// What clips that not all have scored mean.
    pub missing: Missing,
    pub notes: Vec<String>,
}

/// What a fusion would do; in JSON what `asdbench fuse --dry-run` prints.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Planned {
    /// Version of this form.
    pub schema: u32,
    /// In the order of the weights.
    pub systems: Vec<String>,
    /// What the systems are means of.
    pub branches: Vec<String>,
    /// The year whose metrics apply.
    pub year: u16,
    /// How scores are made comparable.
    pub normalise: Normalisation,
    /// Weights to try.
    pub evaluations: usize,
    /// Each section: machine type, section, clips, whether it is tuned on, whether it is applied to.
    pub sections: Vec<PlannedSection>,
    /// What a person should know.
    pub notes: Vec<String>,
}

/// One section of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PlannedSection {
    /// Machine type.
    pub machine: String,
    /// Section.
    pub section: String,
    /// Test clips.
    pub clips: usize,
    /// Training clips that all systems have scores of.
    pub training_clips: usize,
    /// Whether the weights are tuned on it.
    pub tuned: bool,
    /// Whether they are applied to it.
    pub applied: bool,
}

impl Inputs {
    /// Reads all scores.
    pub fn read(config: &FusionConfig) -> Result<Self, Error> {
        let mut systems = systems::read(config, year(config.official.year))?;
        let mut notes = std::mem::take(&mut systems.notes);
        let tune = Choice::new(&config.tune.machines, &config.tune.sections);
        let apply = Choice::new(&config.apply.machines, &config.apply.sections);
        let available: BTreeSet<Key> =
            systems.branches.iter().flat_map(|branch| branch.sections.keys().cloned()).collect();
        tune.check("tune", &available)?;
        apply.check("apply", &available)?;
        let wanted = |key: &Key| tune.includes(key) || apply.includes(key);
        let parts = align::test_parts(&systems.branches, wanted, config.missing, &mut notes)?;
        for (choice, what) in [(&tune, "tune on"), (&apply, "apply the weights to")] {
            if !parts.keys().any(|key| choice.includes(key)) {
                return Err(Error::Choice(format!(
                    "there is nothing to {what}: no clip of the chosen machines and sections is scored by all systems"
                )));
            }
        }
        let training = align::training_parts(&systems.branches, wanted, config.missing, &mut notes)?;
        let training = training.filter(|parts| !parts.is_empty());
        notes.extend(training.as_ref().and_then(|training| borrowed(&parts, training)));
        let plan = plan(config, &systems, training.as_ref())?;
        let (search, missing) = (search(config), config.missing);
        Ok(Self { systems, parts, training, tune, apply, plan, search, missing, notes })
    }

    pub fn tuning(&self) -> Vec<Part> {
        self.chosen(&self.tune)
    }

    pub fn applied(&self) -> Vec<Part> {
        self.chosen(&self.apply)
    }

    fn chosen(&self, choice: &Choice) -> Vec<Part> {
        self.parts.iter().filter(|(key, _)| choice.includes(key)).map(|(_, part)| part.clone()).collect()
    }

    /// Sections that are both tuned on and applied to.
    pub fn overlap(&self) -> usize {
        self.parts.keys().filter(|key| self.tune.includes(key) && self.apply.includes(key)).count()
    }

    pub fn normalisation(&self) -> Normalisation {
        let statistics = &self.plan.statistics;
        let method = match self.plan.method {
            NormaliseMethod::None => {
                return Normalisation { method: "none", statistics: "none", transductive: false };
            }
            NormaliseMethod::ZScore => "z-score",
            NormaliseMethod::Rank => "rank",
            NormaliseMethod::MinMax => "min-max",
            NormaliseMethod::Gamma => "gamma",
        };
        // Tuning clips that are judged as well are test clips.
        let judged_too = matches!(statistics, Statistics::Tuning) && self.overlap() > 0;
        let transductive = statistics.is_transductive() || judged_too;
        Normalisation { method, statistics: statistics.key(), transductive }
    }

    pub fn planned(&self) -> Planned {
        let training = |key: &Key| {
            self.training.as_ref().and_then(|parts| parts.get(key)).map_or(0, |part| part.files.len())
        };
        let section = |(key, part): (&Key, &Part)| PlannedSection {
            machine: key.0.clone(),
            section: key.1.clone(),
            clips: part.files.len(),
            training_clips: training(key),
            tuned: self.tune.includes(key),
            applied: self.apply.includes(key),
        };
        Planned {
            schema: 1,
            systems: self.plan.hierarchy.systems().to_vec(),
            branches: self.plan.hierarchy.branches().to_vec(),
            year: self.systems.year.number(),
            normalise: self.normalisation(),
            evaluations: self.search.evaluations,
            sections: self.parts.iter().map(section).collect(),
            notes: self.notes.clone(),
        }
    }
}

/// Which sections have no training scores of their own, in a sentence; of machines that have none at all the normalisation
/// tells.
fn borrowed(parts: &Parts, training: &Parts) -> Option<String> {
    let machines: BTreeSet<&String> = training.keys().map(|(machine, _)| machine).collect();
    let without = parts.keys().filter(|key| machines.contains(&key.0) && !training.contains_key(*key));
    let without: Vec<String> =
        without.map(|(machine, section)| format!("{machine} section {section}")).collect();
    (!without.is_empty()).then(|| {
        format!(
            "no training scores of {}: normalised, and called anomalous, by those of the machine's other sections",
            some_of(&without)
        )
    })
}

fn year(year: OfficialYear) -> Option<Year> {
    match year {
        OfficialYear::Auto => None,
        OfficialYear::Y2020 => Some(Year::Y2020),
        OfficialYear::Y2021 => Some(Year::Y2021),
        OfficialYear::Y2022 => Some(Year::Y2022),
        OfficialYear::Y2023 => Some(Year::Y2023),
        OfficialYear::Y2024 => Some(Year::Y2024),
        OfficialYear::Y2025 => Some(Year::Y2025),
        OfficialYear::Y2026 => Some(Year::Y2026),
    }
}

fn search(config: &FusionConfig) -> Search {
    let tune = &config.tune;
    Search {
        seed: config.seed,
        evaluations: tune.evaluations,
        objective: match tune.objective {
            FusionObjective::Omega => Objective::Omega,
            FusionObjective::Auc => Objective::Auc,
            FusionObjective::AucSource => Objective::AucSource,
            FusionObjective::AucTarget => Objective::AucTarget,
            FusionObjective::Pauc => Objective::Pauc,
            FusionObjective::HarmonicMean => Objective::HarmonicMean,
        },
        per: match tune.weights {
            WeightsPer::Shared => Per::Shared,
            WeightsPer::Machine => Per::Machine,
        },
        method: match tune.method {
            TuneMethod::Bayesian => Method::Bayesian,
            TuneMethod::Grid => Method::Grid,
            TuneMethod::Random => Method::Random,
            TuneMethod::Equal => Method::Equal,
        },
    }
}

/// The normalisation that was asked for, fitted to what there is.
fn plan(config: &FusionConfig, systems: &Systems, training: Option<&Parts>) -> Result<Plan, Error> {
    let asked = config.normalise.method;
    let method = match asked {
        Asked::None => NormaliseMethod::None,
        Asked::Auto | Asked::ZScore => NormaliseMethod::ZScore,
        Asked::Rank => NormaliseMethod::Rank,
        Asked::MinMax => NormaliseMethod::MinMax,
        Asked::Gamma => NormaliseMethod::Gamma,
    };
    let hierarchy = systems.hierarchy.clone();
    let statistics = match training {
        // Nothing is fitted, whatever this says.
        _ if method == NormaliseMethod::None => Statistics::Tuning,
        Some(parts) => Statistics::Training(TrainingScores::new(
            hierarchy.branches(),
            parts.values().cloned().collect(),
        )?),
        None if config.normalise.allow_transductive => {
            Statistics::Transductive(AllowTransductive::checked(config.normalise.allow_transductive)?)
        }
        None if asked == Asked::Auto => Statistics::Tuning,
        None => {
            let lacking = systems.branches.iter().filter(|branch| branch.training.is_none());
            let lacking: Vec<&str> = lacking.map(|branch| branch.name.as_str()).collect();
            let lacking = match lacking.as_slice() {
                [] => "of the chosen machines and sections".to_owned(),
                lacking => format!("of {}", some_of(lacking)),
            };
            return Err(Error::Normalise(format!(
                "normalise.method = \"{}\" needs the scores of training clips, which are missing {lacking}; give \
                 training_scores (runs: judge them with `asdbench eval`), or set normalise.method = \"auto\", which takes the \
                 mean and spread of the tuning clips, or normalise.allow_transductive = true, which marks every output",
                asked.word()
            )));
        }
    };
    Ok(Plan { hierarchy, method, statistics })
}
