//! Average precision, of one class and of many.

use ndarray::{ArrayView2, Axis};

use super::{Undefined, check_scores, sort_key};

/// The area under the precision-recall curve as a sum of steps: Σ (Rₙ - Rₙ₋₁) Pₙ over the
/// thresholds, equal scores being one threshold; in 0..=1 and never 0.
///
/// scikit-learn's `average_precision_score`: no interpolation. `scores[i]` belongs to
/// `positive[i]`. Chance has the share of positives, not 0.5.
///
/// # Errors
/// [`Undefined`] without clips, without a positive one, with NaN or infinite scores, with unequal
/// lengths. Positives only are no error: the value is 1.
pub fn average_precision(scores: &[f64], positive: &[bool]) -> Result<f64, Undefined> {
    check_scores(scores, positive)?;
    let mut ranked: Vec<(u64, bool)> =
        scores.iter().zip(positive).map(|(score, positive)| (!sort_key(*score), *positive)).collect();
    ranked.sort_unstable_by_key(|(key, _)| *key);
    let (mut clips, mut hits) = (0_usize, 0_usize);
    let mut sum = 0.0;
    for tied in ranked.chunk_by(|a, b| a.0 == b.0) {
        let gained = tied.iter().filter(|(_, positive)| *positive).count();
        clips += tied.len();
        hits += gained;
        sum += gained as f64 * (hits as f64 / clips as f64);
    }
    match hits {
        0 => Err(Undefined::NoPositive),
        hits => Ok(sum / hits as f64),
    }
}

/// The mean of the classes' average precision, with what it is the mean of.
#[derive(Debug, Clone, PartialEq)]
pub struct MeanAveragePrecision {
    /// Mean over the classes that have a positive clip; in 0..=1.
    pub mean: f64,
    /// Per class (column); nothing for a class without a positive clip, which the mean leaves out.
    pub per_class: Vec<Option<f64>>,
}

/// AudioSet's mAP: the average precision of each class over all clips, classes weighing the same.
///
/// `scores` and `positive` are `[clips, classes]`; a clip may belong to any number of classes.
///
/// # Errors
/// [`Undefined`] with tables of unequal shape, without clips or classes, with NaN or infinite
/// scores, and where no class has a positive clip.
pub fn mean_average_precision(
    scores: ArrayView2<f64>,
    positive: ArrayView2<bool>,
) -> Result<MeanAveragePrecision, Undefined> {
    if scores.dim() != positive.dim() {
        return Err(Undefined::Shapes { left: scores.dim(), right: positive.dim() });
    }
    if scores.is_empty() {
        return Err(Undefined::Empty);
    }
    let mut per_class = Vec::with_capacity(scores.ncols());
    for (scores, positive) in scores.axis_iter(Axis(1)).zip(positive.axis_iter(Axis(1))) {
        match average_precision(&scores.to_vec(), &positive.to_vec()) {
            Ok(value) => per_class.push(Some(value)),
            Err(Undefined::NoPositive) => per_class.push(None),
            Err(why) => return Err(why),
        }
    }
    let values: Vec<f64> = per_class.iter().flatten().copied().collect();
    match values.len() {
        0 => Err(Undefined::NoPositive),
        classes => Ok(MeanAveragePrecision { mean: values.iter().sum::<f64>() / classes as f64, per_class }),
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn counted_by_hand() {
        let positive = [true, false, true, false];
        // Hits at ranks 1 and 3: (1/1 + 2/3) / 2.
        assert_eq!(average_precision(&[4.0, 3.0, 2.0, 1.0], &positive), Ok((1.0 + 2.0 / 3.0) / 2.0));
        // The last three tie: 1/2 · 1 + 1/2 · 2/4.
        assert_eq!(average_precision(&[4.0, 1.0, 1.0, 1.0], &positive), Ok(0.75));
        // Constant scores have the share of positives.
        assert_eq!(average_precision(&[1.0; 4], &positive), Ok(0.5));
        assert_eq!(average_precision(&[-0.0, 0.0, -0.0, 0.0], &positive), Ok(0.5));
        assert_eq!(average_precision(&[1.0, 2.0], &[true, true]), Ok(1.0));
    }

    #[test]
    fn a_class_without_positives_is_left_out_of_the_mean() {
        let scores = array![[0.9, 0.5, 0.2], [0.1, 0.4, 0.7]];
        let positive = array![[true, false, false], [false, false, false]];
        let found = mean_average_precision(scores.view(), positive.view()).unwrap();
        assert_eq!(found, MeanAveragePrecision { mean: 1.0, per_class: vec![Some(1.0), None, None] });
    }

    #[test]
    fn what_cannot_be_had_is_an_error() {
        assert_eq!(average_precision(&[], &[]), Err(Undefined::Empty));
        assert_eq!(average_precision(&[1.0], &[false]), Err(Undefined::NoPositive));
        assert_eq!(average_precision(&[f64::INFINITY], &[true]), Err(Undefined::NotFinite));
        assert_eq!(
            average_precision(&[1.0], &[true, true]),
            Err(Undefined::Unpaired { scores: 1, labels: 2 })
        );

        let scores = array![[0.9, 0.5], [0.1, 0.4]];
        let none = Array2::from_elem((2, 2), false);
        assert_eq!(mean_average_precision(scores.view(), none.view()), Err(Undefined::NoPositive));
        let shapes = Undefined::Shapes { left: (2, 2), right: (1, 2) };
        let short = Array2::from_elem((1, 2), true);
        assert_eq!(mean_average_precision(scores.view(), short.view()), Err(shapes));
        for shape in [(0, 3), (3, 0)] {
            let (scores, labels) = (Array2::zeros(shape), Array2::from_elem(shape, true));
            assert_eq!(mean_average_precision(scores.view(), labels.view()), Err(Undefined::Empty));
        }
        // A class without positives is not excused from finite scores.
        let diverged = array![[0.9, f64::NAN], [0.1, 0.4]];
        let positive = array![[true, false], [false, false]];
        assert_eq!(mean_average_precision(diverged.view(), positive.view()), Err(Undefined::NotFinite));
    }

    /// The definition, threshold by threshold from the lowest.
    fn by_thresholds(scores: &[f64], positive: &[bool]) -> f64 {
        let all = positive.iter().filter(|p| **p).count() as f64;
        let mut thresholds = scores.to_vec();
        thresholds.sort_by(f64::total_cmp);
        thresholds.dedup();
        let at = |threshold: Option<&f64>| {
            let Some(threshold) = threshold else { return (0.0, 1.0) };
            let alarms = scores.iter().zip(positive).filter(|(score, _)| *score >= threshold);
            let hits = alarms.clone().filter(|(_, p)| **p).count() as f64;
            (hits / all, hits / alarms.count() as f64)
        };
        (0..thresholds.len())
            .map(|n| (at(thresholds.get(n)).0 - at(thresholds.get(n + 1)).0) * at(thresholds.get(n)).1)
            .sum()
    }

    fn clips() -> impl Strategy<Value = (Vec<f64>, Vec<bool>)> {
        prop::collection::vec((-8_i32..8, any::<bool>()), 1..60)
            .prop_filter("a positive", |clips| clips.iter().any(|clip| clip.1))
            .prop_map(|clips| clips.into_iter().map(|(score, p)| (f64::from(score) / 4.0, p)).unzip())
    }

    proptest! {
        #[test]
        fn equals_the_definition((scores, positive) in clips()) {
            // At most 16 thresholds with three roundings of values below 1 each.
            let found = average_precision(&scores, &positive).unwrap();
            prop_assert!((found - by_thresholds(&scores, &positive)).abs() < 1e-14);
        }

        #[test]
        fn monotone_transforms_and_order_change_nothing((scores, positive) in clips()) {
            let found = average_precision(&scores, &positive);
            let transformed: Vec<f64> = scores.iter().map(|score| score.exp() * 3.0 - 7.0).collect();
            prop_assert_eq!(&found, &average_precision(&transformed, &positive));
            let (reversed, labels): (Vec<f64>, Vec<bool>) =
                scores.iter().copied().zip(positive.iter().copied()).rev().unzip();
            prop_assert_eq!(&found, &average_precision(&reversed, &labels));
        }

        #[test]
        fn the_mean_lies_in_its_range(
            rows in prop::collection::vec(([-4_i32..4, -4..4, -4..4], [any::<bool>(); 3]), 1..30)
        ) {
            let scores = Array2::from_shape_fn((rows.len(), 3), |(clip, class)| f64::from(rows[clip].0[class]));
            let positive = Array2::from_shape_fn((rows.len(), 3), |(clip, class)| rows[clip].1[class]);
            match mean_average_precision(scores.view(), positive.view()) {
                Ok(found) => prop_assert!(found.mean > 0.0 && found.mean <= 1.0, "{:?}", found),
                Err(why) => {
                    prop_assert_eq!(why, Undefined::NoPositive);
                    prop_assert!(!positive.iter().any(|p| *p));
                }
            }
        }
    }
}
