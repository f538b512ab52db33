//! Weights of the systems, and what they make of scores.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Error, Part};

/// One weight per system, at least 0 and 1 in sum; one set for all machines, or one for each.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Weights {
    /// For all machines, or for those that have none of their own.
    pub shared: Vec<f64>,
    /// By machine, where each has its own.
    pub per_machine: Option<BTreeMap<String, Vec<f64>>>,
}

impl Weights {
    /// The same for all machines.
    pub fn shared(weights: Vec<f64>) -> Self {
        Self { shared: weights, per_machine: None }
    }

    /// `1 / systems` each.
    pub fn equal(systems: usize) -> Self {
        Self::shared(vec![1.0 / systems as f64; systems])
    }

    /// One system alone.
    pub fn single(systems: usize, system: usize) -> Self {
        Self::shared((0..systems).map(|other| if other == system { 1.0 } else { 0.0 }).collect())
    }

    /// The weights that apply to a machine.
    pub fn of(&self, machine: &str) -> &[f64] {
        self.per_machine.as_ref().and_then(|own| own.get(machine)).unwrap_or(&self.shared)
    }

    /// The fused score of every clip of a part of normalised scores.
    ///
    /// # Errors
    /// Not one weight per system.
    pub fn fuse(&self, part: &Part) -> Result<Vec<f64>, Error> {
        let weights = self.of(&part.machine);
        if weights.len() != part.scores.nrows() {
            return Err(part.shape(format!(
                "{} weights do not pair up with {} systems",
                weights.len(),
                part.scores.nrows()
            )));
        }
        Ok(combine(weights, part))
    }
}

/// `Σ wₛ · scores[s, c]`, summed in the order of the systems. A system of weight 0 is left out, so that a single one keeps
/// its bits.
pub(super) fn combine(weights: &[f64], part: &Part) -> Vec<f64> {
    let mut fused = vec![0.0; part.files.len()];
    for (&weight, scores) in weights.iter().zip(part.scores.rows()) {
        if weight != 0.0 {
            for (fused, score) in fused.iter_mut().zip(scores) {
                *fused += weight * score;
            }
        }
    }
    fused
}
