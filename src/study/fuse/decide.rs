//! Which fused scores are called anomalous.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Error;
use super::align::Parts;
use crate::fusion::{Part, Prepared, Weights};
use crate::official::{OFFICIAL_QUANTILE, ThresholdMethod, gamma_threshold};

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

/// Fused scores of clips that are taken for normal.
#[derive(Clone, Debug, Default)]
pub(super) struct Normals {
    /// Training clips' by machine.
    training: BTreeMap<String, Vec<f64>>,
    /// Normal tuning clips' by machine.
    tuning: BTreeMap<String, Vec<f64>>,
}

impl Normals {
    /// `tuning` are prepared parts with their labels.
    pub fn new(
        weights: &Weights,
        prepared: &Prepared,
        training: Option<&Parts>,
        tuning: &[(Part, Vec<bool>)],
    ) -> Result<Self, Error> {
        let mut normals = Self::default();
        for part in training.into_iter().flat_map(BTreeMap::values) {
            let fused = weights.fuse(&prepared.part(part)?)?;
            normals.training.entry(part.machine.clone()).or_default().extend(fused);
        }
        for (part, labels) in tuning {
            let fused = weights.fuse(part)?.into_iter().zip(labels);
            let own = normals.tuning.entry(part.machine.clone()).or_default();
            own.extend(fused.filter(|(_, anomalous)| !**anomalous).map(|(score, _)| score));
        }
        Ok(normals)
    }

    /// The 90th percentile of a gamma distribution fitted to the machine's normal scores, as the challenge's baselines have
    /// it; none where there is no normal score at all.
    pub fn threshold(&self, machine: &str) -> Option<Threshold> {
        let own = |scores: &BTreeMap<String, Vec<f64>>| {
            scores.get(machine).filter(|scores| !scores.is_empty()).cloned()
        };
        let all = || Some(self.tuning.values().flatten().copied().collect::<Vec<f64>>());
        let (from, scores) = own(&self.training)
            .map(|scores| ("training", scores))
            .or_else(|| own(&self.tuning).map(|scores| ("tuning-normals", scores)))
            .or_else(|| all().map(|scores| ("tuning-normals-of-all-machines", scores)))?;
        let found = gamma_threshold(&scores, OFFICIAL_QUANTILE).ok()?;
        let (method, why) = match found.method {
            ThresholdMethod::GammaFit => ("gamma-fit", None),
            ThresholdMethod::Fallback(why) => ("percentile", Some(why)),
        };
        Some(Threshold {
            value: found.value,
            from,
            clips: scores.len(),
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
        let of = |machine: &str, shift| BTreeMap::from([(machine.to_owned(), scores(shift))]);
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
