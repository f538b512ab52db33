//! The area under the ROC curve.

use super::{Undefined, check_scores, sort_key};

/// Probability that an anomalous clip scores higher than a normal one, ties counting one half; in
/// 0..=1.
///
/// This is the Mann-Whitney statistic U / (n_anomalous · n_normal), which equals the trapezoidal
/// area under the ROC curve (Hanley and McNeil 1982). U is counted in integers, so the only
/// rounding is that of the last division. O(n log n).
///
/// `scores[i]` belongs to `anomalous[i]`; higher means more anomalous.
///
/// # Errors
/// [`Undefined`] without clips, with clips of one class only, with NaN or infinite scores, with
/// unequal lengths.
pub fn auc(scores: &[f64], anomalous: &[bool]) -> Result<f64, Undefined> {
    check_scores(scores, anomalous)?;
    // Two lists of bare integers sort several times faster than one of pairs. They share a buffer,
    // normals from the front and anomalies from the back, so that no label needs a branch.
    let mut keys = vec![0; scores.len()];
    let (mut normals, mut rest) = (0, scores.len());
    for (score, anomalous) in scores.iter().zip(anomalous) {
        rest -= usize::from(*anomalous);
        keys[if *anomalous { rest } else { normals }] = sort_key(*score);
        normals += usize::from(!anomalous);
    }
    let (normals, anomalies) = keys.split_at_mut(normals);
    if normals.is_empty() || anomalies.is_empty() {
        return Err(Undefined::OneClass);
    }
    normals.sort_unstable();
    anomalies.sort_unstable();

    // Per anomaly, the normals below it count twice and those it ties with once.
    let (mut below, mut not_above) = (0, 0);
    let mut twice_u: u128 = 0;
    for anomaly in anomalies.iter() {
        while normals.get(below).is_some_and(|normal| normal < anomaly) {
            below += 1;
        }
        not_above = not_above.max(below);
        while normals.get(not_above) == Some(anomaly) {
            not_above += 1;
        }
        twice_u += (below + not_above) as u128;
    }
    let pairs = anomalies.len() as u128 * normals.len() as u128;
    Ok(twice_u as f64 / (2 * pairs) as f64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The definition, pair by pair.
    fn by_pairs(scores: &[f64], anomalous: &[bool]) -> f64 {
        let (mut sum, mut pairs) = (0.0, 0.0);
        for (high, _) in scores.iter().zip(anomalous).filter(|(_, anomalous)| **anomalous) {
            for (low, _) in scores.iter().zip(anomalous).filter(|(_, anomalous)| !**anomalous) {
                pairs += 1.0;
                sum += if high > low {
                    1.0
                } else if high < low {
                    0.0
                } else {
                    0.5
                };
            }
        }
        sum / pairs
    }

    /// Labelled scores of both classes, with many ties.
    fn labelled() -> impl Strategy<Value = (Vec<f64>, Vec<bool>)> {
        prop::collection::vec((-8_i32..8, any::<bool>()), 2..60)
            .prop_filter("both classes", |clips| {
                clips.iter().any(|(_, anomalous)| *anomalous) && clips.iter().any(|(_, anomalous)| !anomalous)
            })
            .prop_map(|clips| {
                clips.into_iter().map(|(score, anomalous)| (f64::from(score) / 4.0, anomalous)).unzip()
            })
    }

    #[test]
    fn separated_reversed_and_tied_scores() {
        let anomalous = [false, false, true, true];
        assert_eq!(auc(&[0.0, 1.0, 2.0, 3.0], &anomalous), Ok(1.0));
        assert_eq!(auc(&[3.0, 2.0, 1.0, 0.0], &anomalous), Ok(0.0));
        assert_eq!(auc(&[5.0; 4], &anomalous), Ok(0.5));
        assert_eq!(auc(&[0.0, 1.0, 1.0, 2.0], &anomalous), Ok(0.875)); // (1 + 1/2 + 1 + 1) / 4
        assert_eq!(auc(&[-0.0, 0.0], &[false, true]), Ok(0.5));
    }

    #[test]
    fn what_cannot_be_had_is_an_error() {
        assert_eq!(auc(&[], &[]), Err(Undefined::Empty));
        assert_eq!(auc(&[1.0, 2.0], &[true, true]), Err(Undefined::OneClass));
        assert_eq!(auc(&[1.0, 2.0], &[false, false]), Err(Undefined::OneClass));
        assert_eq!(auc(&[1.0, f64::NAN], &[false, true]), Err(Undefined::NotFinite));
        assert_eq!(auc(&[1.0, f64::INFINITY], &[false, true]), Err(Undefined::NotFinite));
        assert_eq!(auc(&[1.0], &[false, true]), Err(Undefined::Unpaired { scores: 1, labels: 2 }));
    }

    proptest! {
        #[test]
        fn equals_the_definition((scores, anomalous) in labelled()) {
            // The definition's sum of halves is exact, so only the two divisions round.
            let difference = auc(&scores, &anomalous).unwrap() - by_pairs(&scores, &anomalous);
            prop_assert!(difference.abs() < 1e-15);
        }

        #[test]
        fn monotone_transforms_change_nothing((scores, anomalous) in labelled()) {
            let transformed: Vec<f64> = scores.iter().map(|score| score.exp() * 3.0 - 7.0).collect();
            prop_assert_eq!(auc(&scores, &anomalous), auc(&transformed, &anomalous));
        }

        #[test]
        fn swapped_labels_give_the_rest((scores, anomalous) in labelled()) {
            let swapped: Vec<bool> = anomalous.iter().map(|anomalous| !anomalous).collect();
            let sum = auc(&scores, &anomalous).unwrap() + auc(&scores, &swapped).unwrap();
            prop_assert!((sum - 1.0).abs() < 1e-15);
        }

        #[test]
        fn the_order_of_clips_does_not_matter((scores, anomalous) in labelled()) {
            let (reversed_scores, reversed): (Vec<f64>, Vec<bool>) =
                scores.iter().copied().zip(anomalous.iter().copied()).rev().unzip();
            prop_assert_eq!(auc(&scores, &anomalous), auc(&reversed_scores, &reversed));
        }
    }
}
