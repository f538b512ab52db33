//! What is decided before a label of a clip that is judged is read: the weights, and which fused scores are called anomalous.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Error;
use super::align::Parts;
use crate::fusion::{Prepared, Tuned, TuningSet, Weights};
use crate::official::{NormalScores, OFFICIAL_QUANTILE, ThresholdMethod, gamma_threshold};

/// Where one machine type's threshold comes from.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Threshold {
    /// In the fused scores' unit; a clip above it is called anomalous.
    pub value: f64,
    /// `training`: fused scores of its training clips; `tuning-normals`: of the normal clips that the weights were tuned on;
    /// `tuning-normals-of-all-machines`: where it has none of its own.
    pub from: &'static str,
    /// Scores that it is made from.
    pub clips: usize,
    /// The quantile of their distribution.
    pub quantile: f64,
    /// `gamma-fit`, or `percentile` of the scores themselves.
    pub method: &'static str,
    /// Why there is no fit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// Weights and thresholds that nothing changes any more. Labels of clips that were not tuned on are given to who holds them,
/// and to nobody else.
#[derive(Clone, Debug)]
pub(super) struct Decided {
    weights: Weights,
    thresholds: BTreeMap<String, Threshold>,
}

impl Decided {
    /// The weights that a search ended with, and thresholds of `machines`. `tuning` has the prepared scores that were tuned
    /// on, `training` the raw ones of training clips.
    ///
    /// # Errors
    /// Parts that do not fit the weights.
    pub fn of<'a>(
        tuned: &Tuned,
        prepared: &Prepared,
        training: Option<&Parts>,
        tuning: &TuningSet,
        machines: impl Iterator<Item = &'a String>,
    ) -> Result<Self, Error> {
        let weights = tuned.weights.clone();
        let mut normals = Normals { training: BTreeMap::new(), tuning: tuning.normals(&weights)? };
        for part in training.into_iter().flat_map(BTreeMap::values) {
            let fused = NormalScores::of_training_clips(weights.fuse(&prepared.part(part)?)?);
            normals.training.entry(part.machine.clone()).or_default().extend(fused);
        }
        let threshold = |machine: &String| Some((machine.clone(), normals.threshold(machine)?));
        let thresholds = machines.filter_map(threshold).collect();
        Ok(Self { weights, thresholds })
    }

    /// The weights.
    pub fn weights(&self) -> &Weights {
        &self.weights
    }

    /// By machine type; of one without any normal score there is none.
    pub fn thresholds(&self) -> &BTreeMap<String, Threshold> {
        &self.thresholds
    }
}

/// Fused scores of clips that are known to be normal, by machine.
#[derive(Debug, Default)]
struct Normals {
    training: BTreeMap<String, NormalScores>,
    tuning: BTreeMap<String, NormalScores>,
}

impl Normals {
    /// The 90th percentile of a gamma distribution fitted to the machine's normal scores, as the challenge's baselines have
    /// it; none where there is no normal score at all.
    fn threshold(&self, machine: &str) -> Option<Threshold> {
        let own = |scores: &BTreeMap<String, NormalScores>| {
            scores.get(machine).filter(|scores| !scores.as_slice().is_empty()).cloned()
        };
        let all = || {
            let mut all = NormalScores::default();
            self.tuning.values().for_each(|scores| all.extend(scores.clone()));
            all
        };
        let (from, scores) = own(&self.training)
            .map(|scores| ("training", scores))
            .or_else(|| own(&self.tuning).map(|scores| ("tuning-normals", scores)))
            .unwrap_or_else(|| ("tuning-normals-of-all-machines", all()));
        let found = gamma_threshold(&scores, OFFICIAL_QUANTILE).ok()?;
        let (method, why) = match found.method {
            ThresholdMethod::GammaFit => ("gamma-fit", None),
            ThresholdMethod::Fallback(why) => ("percentile", Some(why)),
        };
        Some(Threshold {
            value: found.value,
            from,
            clips: scores.as_slice().len(),
            quantile: OFFICIAL_QUANTILE,
            method,
            why,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn training_scores_come_first_then_the_machines_own_normals_then_all() {
        let scores =
            |shift: f64| (0..200).map(|k| shift - (1.0 - f64::from(k) / 200.0).ln()).collect::<Vec<_>>();
        let of = |machine: &str, shift| {
            BTreeMap::from([(machine.to_owned(), NormalScores::of_training_clips(scores(shift)))])
        };
        let normals = Normals { training: of("fan", 0.0), tuning: of("valve", 10.0) };
        let found = |machine| normals.threshold(machine).unwrap();
        assert_eq!((found("fan").from, found("fan").clips), ("training", 200));
        // ln 10 above the shift, for an exponential distribution.
        assert!((found("fan").value - 2.3).abs() < 0.3, "{:?}", found("fan"));
        assert_eq!(found("valve").from, "tuning-normals");
        assert_eq!(found("slider").from, "tuning-normals-of-all-machines");
        assert_eq!(found("slider").value, found("valve").value);
        assert_eq!(Normals::default().threshold("fan"), None);
    }
}
