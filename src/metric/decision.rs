//! Precision, recall and F1 of yes-or-no decisions.

use super::Undefined;

/// How good a detector's decisions are, the anomalous clips being the positive ones. Each in 0..=1.
///
/// Where nothing can be divided by, the value is 0, as in the challenge's evaluator: a precision
/// without any alarm, a recall without any anomaly, an F1 with neither.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DecisionMetrics {
    /// Share of the alarms that are right.
    pub precision: f64,
    /// Share of the anomalies that raise an alarm.
    pub recall: f64,
    /// Harmonic mean of the two.
    pub f1: f64,
}

impl DecisionMetrics {
    /// From the counts of right alarms, of all alarms, and of all anomalies.
    pub(super) fn from_counts(hits: u64, alarms: u64, anomalies: u64) -> Self {
        let ratio = |part: u64, whole: u64| if whole == 0 { 0.0 } else { part as f64 / whole as f64 };
        Self {
            precision: ratio(hits, alarms),
            recall: ratio(hits, anomalies),
            // 2PR/(P+R) in counts: rounded once.
            f1: ratio(2 * hits, alarms + anomalies),
        }
    }
}

/// Precision, recall and F1 of decisions; `predicted[i]`, true for an alarm, belongs to
/// `anomalous[i]`.
///
/// # Errors
/// [`Undefined`] without clips and with unequal lengths. One class alone is no error: see
/// [`DecisionMetrics`].
pub fn decision_metrics(predicted: &[bool], anomalous: &[bool]) -> Result<DecisionMetrics, Undefined> {
    if predicted.len() != anomalous.len() {
        return Err(Undefined::Unpaired { scores: predicted.len(), labels: anomalous.len() });
    }
    if predicted.is_empty() {
        return Err(Undefined::Empty);
    }
    let (mut hits, mut alarms, mut anomalies) = (0, 0, 0);
    for (&predicted, &anomalous) in predicted.iter().zip(anomalous) {
        hits += u64::from(predicted & anomalous);
        alarms += u64::from(predicted);
        anomalies += u64::from(anomalous);
    }
    Ok(DecisionMetrics::from_counts(hits, alarms, anomalies))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn counted_by_hand() {
        // 1 hit, 2 false alarms, 1 miss.
        let found = decision_metrics(&[true, true, true, false, false], &[true, false, false, true, false]);
        assert_eq!(found, Ok(DecisionMetrics { precision: 1.0 / 3.0, recall: 0.5, f1: 0.4 }));
    }

    #[test]
    fn nothing_to_divide_by_is_zero() {
        let none = DecisionMetrics { precision: 0.0, recall: 0.0, f1: 0.0 };
        assert_eq!(decision_metrics(&[false, false], &[true, false]), Ok(none)); // no alarm
        assert_eq!(decision_metrics(&[true, false], &[false, false]), Ok(none)); // no anomaly
        assert_eq!(decision_metrics(&[false, false], &[false, false]), Ok(none));
        let all = DecisionMetrics { precision: 1.0, recall: 1.0, f1: 1.0 };
        assert_eq!(decision_metrics(&[true], &[true]), Ok(all));
    }

    #[test]
    fn what_cannot_be_had_is_an_error() {
        assert_eq!(decision_metrics(&[], &[]), Err(Undefined::Empty));
        assert_eq!(decision_metrics(&[true], &[]), Err(Undefined::Unpaired { scores: 1, labels: 0 }));
    }

    proptest! {
        #[test]
        fn f1_is_the_harmonic_mean_and_lies_between(
            clips in prop::collection::vec((any::<bool>(), any::<bool>()), 1..60)
        ) {
            let (predicted, anomalous): (Vec<bool>, Vec<bool>) = clips.into_iter().unzip();
            let DecisionMetrics { precision, recall, f1 } = decision_metrics(&predicted, &anomalous).unwrap();
            prop_assert!((0.0..=1.0).contains(&precision) && (0.0..=1.0).contains(&recall));
            if precision + recall > 0.0 {
                // Five roundings of values up to 2 on the left's side.
                prop_assert!((2.0 * precision * recall / (precision + recall) - f1).abs() < 1e-15);
            } else {
                prop_assert_eq!(f1, 0.0);
            }
            // Both ends rounded once each.
            prop_assert!(f1 >= precision.min(recall) - 1e-15 && f1 <= precision.max(recall) + 1e-15);
        }
    }
}
