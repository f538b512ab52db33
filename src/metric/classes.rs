//! Macro F1 of a classifier.

use super::{DecisionMetrics, Undefined};

/// One class against all others.
#[derive(Debug, Clone, PartialEq)]
pub struct ClassMetrics<L> {
    /// The class.
    pub class: L,
    /// Share of the clips predicted as this class that are of it; 0 where none was so predicted.
    pub precision: f64,
    /// Share of the class's clips that are predicted as such; 0 where the class has none.
    pub recall: f64,
    /// Harmonic mean of the two; 0 where both are.
    pub f1: f64,
    /// Clips of the class.
    pub support: usize,
}

/// The mean F1 over classes, with what it is the mean of.
#[derive(Debug, Clone, PartialEq)]
pub struct MacroF1<L> {
    /// Mean of the classes' F1, each class weighing the same; in 0..=1.
    pub macro_f1: f64,
    /// Per class, in ascending order.
    pub classes: Vec<ClassMetrics<L>>,
}

/// What one class's metrics are made of.
#[derive(Clone, Default)]
struct Counts {
    hits: u64,
    predicted: u64,
    actual: usize,
}

/// Macro F1 over every class that is predicted or actual; `predicted[i]` belongs to `actual[i]`.
///
/// scikit-learn's `f1_score(average="macro", zero_division=0)`. A class that is never predicted, or
/// only predicted, has F1 0 and counts.
///
/// # Errors
/// [`Undefined`] without clips and with unequal lengths.
pub fn macro_f1<L: Ord + Clone>(predicted: &[L], actual: &[L]) -> Result<MacroF1<L>, Undefined> {
    let union: Vec<L> = predicted.iter().chain(actual).cloned().collect();
    macro_f1_of(&union, predicted, actual)
}

/// As [`macro_f1`], the mean being taken over `classes` (in any order, repetitions counting once),
/// whether they occur or not: those that do not occur have F1 0. Clips of other classes still count as errors of these.
///
/// # Errors
/// [`Undefined`] without clips or classes, and with unequal lengths.
pub fn macro_f1_of<L: Ord + Clone>(
    classes: &[L],
    predicted: &[L],
    actual: &[L],
) -> Result<MacroF1<L>, Undefined> {
    if predicted.len() != actual.len() {
        return Err(Undefined::Unpaired { scores: predicted.len(), labels: actual.len() });
    }
    if predicted.is_empty() || classes.is_empty() {
        return Err(Undefined::Empty);
    }
    let mut classes = classes.to_vec();
    classes.sort_unstable();
    classes.dedup();
    let mut counts = vec![Counts::default(); classes.len()];
    for (predicted, actual) in predicted.iter().zip(actual) {
        if let Ok(class) = classes.binary_search(predicted) {
            counts[class].predicted += 1;
            counts[class].hits += u64::from(predicted == actual);
        }
        if let Ok(class) = classes.binary_search(actual) {
            counts[class].actual += 1;
        }
    }
    let classes: Vec<ClassMetrics<L>> = classes
        .into_iter()
        .zip(counts)
        .map(|(class, of)| {
            let DecisionMetrics { precision, recall, f1 } =
                DecisionMetrics::from_counts(of.hits, of.predicted, of.actual as u64);
            ClassMetrics { class, precision, recall, f1, support: of.actual }
        })
        .collect();
    let sum: f64 = classes.iter().map(|class| class.f1).sum();
    Ok(MacroF1 { macro_f1: sum / classes.len() as f64, classes })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::metric::decision_metrics;

    fn class(class: &str, [precision, recall, f1]: [f64; 3], support: usize) -> ClassMetrics<&str> {
        ClassMetrics { class, precision, recall, f1, support }
    }

    #[test]
    fn counted_by_hand() {
        let actual = ["fan", "fan", "fan", "pump", "valve"];
        let predicted = ["fan", "fan", "pump", "pump", "slider"];
        let found = macro_f1(&predicted, &actual).unwrap();
        assert_eq!(
            found.classes,
            [
                class("fan", [1.0, 2.0 / 3.0, 0.8], 3),
                class("pump", [0.5, 1.0, 2.0 / 3.0], 1),
                class("slider", [0.0; 3], 0), // only predicted
                class("valve", [0.0; 3], 1),  // never predicted
            ]
        );
        assert_eq!(found.macro_f1, (0.8 + 2.0 / 3.0) / 4.0);
    }

    #[test]
    fn given_classes_are_the_mean_s_whether_they_occur_or_not() {
        let (actual, predicted) = ([0, 0, 1, 1], [0, 1, 1, 2]);
        let found = macro_f1_of(&[7, 1, 0, 1], &predicted, &actual).unwrap();
        let f1: Vec<(i32, f64)> = found.classes.iter().map(|of| (of.class, of.f1)).collect();
        assert_eq!(f1, [(0, 2.0 / 3.0), (1, 0.5), (7, 0.0)]);
        assert_eq!(found.macro_f1, (2.0 / 3.0 + 0.5) / 3.0);
    }

    #[test]
    fn one_class_alone_has_its_value() {
        assert_eq!(macro_f1(&[3, 3], &[3, 3]).unwrap().macro_f1, 1.0);
        assert_eq!(macro_f1(&[3, 3], &[4, 4]).unwrap().macro_f1, 0.0);
    }

    #[test]
    fn what_cannot_be_had_is_an_error() {
        assert_eq!(macro_f1::<u8>(&[], &[]), Err(Undefined::Empty));
        assert_eq!(macro_f1_of(&[], &[1], &[1]), Err(Undefined::Empty));
        assert_eq!(macro_f1(&[1], &[1, 2]), Err(Undefined::Unpaired { scores: 1, labels: 2 }));
    }

    proptest! {
        #[test]
        fn each_class_is_its_own_decision(clips in prop::collection::vec((0_u8..5, 0_u8..5), 1..80)) {
            let (predicted, actual): (Vec<u8>, Vec<u8>) = clips.into_iter().unzip();
            let found = macro_f1(&predicted, &actual).unwrap();
            let support: usize = found.classes.iter().map(|of| of.support).sum();
            prop_assert_eq!(support, actual.len());
            for of in &found.classes {
                let is = |labels: &[u8]| -> Vec<bool> { labels.iter().map(|l| *l == of.class).collect() };
                let alone = decision_metrics(&is(&predicted), &is(&actual)).unwrap();
                prop_assert_eq!([alone.precision, alone.recall, alone.f1], [of.precision, of.recall, of.f1]);
            }
            prop_assert!((0.0..=1.0).contains(&found.macro_f1));
        }

        #[test]
        fn f1_takes_either_side_for_the_truth(clips in prop::collection::vec((0_u8..5, 0_u8..5), 1..80)) {
            let (predicted, actual): (Vec<u8>, Vec<u8>) = clips.into_iter().unzip();
            let one = macro_f1(&predicted, &actual).unwrap();
            prop_assert_eq!(one.macro_f1, macro_f1(&actual, &predicted).unwrap().macro_f1);
        }
    }
}
