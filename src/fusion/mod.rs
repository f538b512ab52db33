//! Score-level fusion: several systems' anomaly scores of the same clips become one score, a weighted mean of normalised
//! scores whose weights are searched for on labelled clips.
//!
//! The way of the data, with what sees labels in capitals:
//!
//! ```text
//! branches' scores -> Plan::fit -> Prepared (normalised, seeds averaged) -> TUNE -> Weights -> fused scores -> JUDGE
//! ```
//!
//! [`TuningSet`] is the only labelled thing that [`tune`], [`cross_validate`] and [`complementarity`] take. The labels of
//! the clips that the weights are applied to are in a [`JudgedSet`], which only [`judge`] takes, together with weights that
//! are final by then.

mod complementarity;
mod error;
mod gamma;
mod judge;
mod normalise;
mod objective;
mod plan;
#[cfg(test)]
mod planted;
mod proposals;
mod reference;
mod sets;
mod simplex_grid;
#[cfg(test)]
mod tests;
mod tune;
mod validate;
mod weights;

pub use complementarity::{Complementarity, LeftOut, Pair, Reversed, complementarity, reversed};
pub use error::Error;
pub use judge::{Judged, judge};
pub use normalise::NormaliseMethod;
pub use objective::Objective;
pub use plan::{Hierarchy, Plan, Prepared};
pub use reference::{AllowTransductive, Statistics, TrainingScores};
pub use sets::{JudgedSet, Part, TuningSet};
pub use tune::{Baseline, Baselines, Evaluation, Method, Origin, Per, Progress, Search, Tuned, tune};
pub use validate::{Fold, Over, Validation, cross_validate};
pub use weights::Weights;
