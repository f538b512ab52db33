//! Scores sorted once, for metrics of many resamples of them; the partial AUC.

use super::{Undefined, check_scores, sort_key};

/// Entries of [`Ranked::descending`] hold these two flags below the clip's index. A slice has less
/// than `usize::MAX / 16` scores, so the index has room above them.
const ANOMALOUS: usize = 1;
const LAST_OF_TIE: usize = 2;
const FLAG_BITS: u32 = 2;

/// The area under the ROC curve up to a false-positive rate of `max_fpr` (above 0, at most 1),
/// standardised so that chance has 0.5 and a perfect detector 1 (McClish 1989).
///
/// With A the area, the ROC interpolated at p = `max_fpr`: ½(1 + (A - p²/2) / (p - p²/2)).
/// `max_fpr` = 1 gives the AUC. The least value is (1 - p)/(2 - p), of a detector that finds
/// nothing. Otherwise as [`auc`](super::auc()).
///
/// # Errors
/// Those of [`auc`](super::auc()), and [`Undefined::OutOfRange`] for another `max_fpr`.
pub fn partial_auc(scores: &[f64], anomalous: &[bool], max_fpr: f64) -> Result<f64, Undefined> {
    check_max_fpr(max_fpr)?;
    Ranked::new(scores, anomalous)?.partial_auc(max_fpr)
}

/// Clips in the order of their scores, for metrics of resamples at O(n) each and without
/// allocation.
///
/// A resample is given by `weights`: `weights[i]` says how often clip i, in the order of
/// [`Ranked::new`], was drawn. A clip of weight 0 is left out, so weights also choose among the
/// clips (the normals of one domain against all anomalies). The counting is in integers: the result
/// is that of the list with its repetitions written out, to the last bit.
#[derive(Debug, Clone)]
pub struct Ranked {
    /// Per clip, highest score first: its index, and the two flags.
    descending: Vec<usize>,
    /// Per clip in the caller's order.
    anomalous: Vec<bool>,
    auc: f64,
}

impl Ranked {
    /// Sorts the clips; `scores[i]` belongs to `anomalous[i]`, higher means more anomalous.
    ///
    /// # Errors
    /// [`Undefined`] without clips, with clips of one class only, with NaN or infinite scores, with
    /// unequal lengths.
    pub fn new(scores: &[f64], anomalous: &[bool]) -> Result<Self, Undefined> {
        check_scores(scores, anomalous)?;
        // The key's complement sorts descending.
        let mut ranked: Vec<(u64, usize)> = scores
            .iter()
            .zip(anomalous)
            .enumerate()
            .map(|(clip, (score, anomalous))| {
                (!sort_key(*score), (clip << FLAG_BITS) | (usize::from(*anomalous) * ANOMALOUS))
            })
            .collect();
        ranked.sort_unstable();
        let keys_after = ranked.iter().skip(1).map(|(key, _)| Some(*key)).chain([None]);
        let descending = ranked
            .iter()
            .zip(keys_after)
            .map(|(&(key, entry), after)| entry | (usize::from(after != Some(key)) * LAST_OF_TIE))
            .collect();
        let mut ranked = Self { descending, anomalous: anomalous.to_vec(), auc: 0.0 };
        ranked.auc = ranked.weighted_auc(&ranked.once_each()).ok_or(Undefined::OneClass)?;
        Ok(ranked)
    }

    /// The AUC; equals [`auc`](super::auc()).
    pub fn auc(&self) -> f64 {
        self.auc
    }

    /// The partial AUC; equals [`partial_auc`].
    ///
    /// # Errors
    /// [`Undefined::OutOfRange`] for a `max_fpr` that is not above 0 and at most 1.
    pub fn partial_auc(&self, max_fpr: f64) -> Result<f64, Undefined> {
        check_max_fpr(max_fpr)?;
        self.weighted_partial_auc(&self.once_each(), max_fpr).ok_or(Undefined::OneClass)
    }

    /// The AUC of a resample; nothing where a class has no weight.
    ///
    /// # Panics
    /// Where `weights` has not one weight per clip.
    pub fn weighted_auc(&self, weights: &[u32]) -> Option<f64> {
        let (mut normals, mut anomalies) = (0_u64, 0_u64);
        let mut twice_u = 0_u128;
        self.descend(weights, |tie| {
            twice_u += u128::from(tie.normals) * u128::from(2 * anomalies + tie.anomalies);
            normals += tie.normals;
            anomalies += tie.anomalies;
            true
        });
        let pairs = u128::from(normals) * u128::from(anomalies);
        (pairs > 0).then(|| twice_u as f64 / (2 * pairs) as f64)
    }

    /// The partial AUC of a resample, as [`partial_auc`]; nothing where a class has no weight, or
    /// where `max_fpr` is not above 0 and at most 1.
    ///
    /// # Panics
    /// Where `weights` has not one weight per clip.
    pub fn weighted_partial_auc(&self, weights: &[u32], max_fpr: f64) -> Option<f64> {
        check_max_fpr(max_fpr).ok()?;
        if max_fpr == 1.0 {
            return self.weighted_auc(weights);
        }
        let (normals, anomalies) = self.totals(weights);
        if normals == 0 || anomalies == 0 {
            return None;
        }
        // The curve in counts: false alarms to the right, up to `limit`, which may lie between two
        // of them; hits upwards.
        let limit = max_fpr * normals as f64;
        let whole_limit = limit as u64;
        let (mut false_alarms, mut hits) = (0_u64, 0_u64);
        // Twice the area between the curve and its top: the misses. What a perfect detector has
        // none of is summed, so that its result is 1 without rounding.
        let mut twice_missed = 0_u128;
        let mut beyond = 0.0;
        self.descend(weights, |tie| {
            let missed = anomalies - hits;
            if false_alarms + tie.normals <= whole_limit {
                twice_missed += u128::from(tie.normals) * u128::from(2 * missed - tie.anomalies);
                false_alarms += tie.normals;
                hits += tie.anomalies;
                return true;
            }
            // The limit cuts this tie's slope; a tie without a normal never comes here.
            let width = limit - false_alarms as f64;
            let risen = tie.anomalies as f64 * (width / tie.normals as f64);
            beyond = width * (2.0 * missed as f64 - risen);
            false
        });
        let missed_share = (twice_missed as f64 + beyond) / (2.0 * anomalies as f64 * limit);
        // With A = p (1 - missed_share), McClish's formula comes down to this, which does not take the
        // difference of nearly equal areas.
        Some(1.0 - missed_share.min(1.0) / (2.0 - max_fpr))
    }

    /// Visits the ties from the highest score downwards, a score of its own being a tie of one,
    /// until `visit` says no.
    ///
    /// u64 holds the sum of 2³¹ weights of any size with one bit to spare.
    #[inline]
    fn descend(&self, weights: &[u32], mut visit: impl FnMut(Tie) -> bool) {
        assert_eq!(weights.len(), self.anomalous.len(), "one weight per clip");
        let mut tie = Tie { normals: 0, anomalies: 0 };
        for entry in &self.descending {
            let weight = u64::from(weights[entry >> FLAG_BITS]);
            // Labels come in no order that a branch could be predicted from.
            let anomalous = (entry & ANOMALOUS) as u64;
            tie.anomalies += weight * anomalous;
            tie.normals += weight * (1 - anomalous);
            if entry & LAST_OF_TIE != 0 {
                if !visit(tie) {
                    return;
                }
                tie = Tie { normals: 0, anomalies: 0 };
            }
        }
    }

    /// The weights of all normal and of all anomalous clips.
    fn totals(&self, weights: &[u32]) -> (u64, u64) {
        assert_eq!(weights.len(), self.anomalous.len(), "one weight per clip");
        let (mut all, mut anomalies) = (0, 0);
        for (weight, anomalous) in weights.iter().zip(&self.anomalous) {
            all += u64::from(*weight);
            anomalies += u64::from(*weight) * u64::from(*anomalous);
        }
        (all - anomalies, anomalies)
    }

    fn once_each(&self) -> Vec<u32> {
        vec![1; self.anomalous.len()]
    }
}

/// The weights of clips with one score.
#[derive(Clone, Copy)]
struct Tie {
    normals: u64,
    anomalies: u64,
}

fn check_max_fpr(max_fpr: f64) -> Result<(), Undefined> {
    if max_fpr > 0.0 && max_fpr <= 1.0 {
        return Ok(());
    }
    Err(Undefined::OutOfRange { name: "max_fpr", value: max_fpr, range: "above 0 and at most 1" })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::metric::auc;

    /// The definition: the ROC's corners, the trapezoids between them, McClish's formula.
    fn by_trapezoids(scores: &[f64], anomalous: &[bool], p: f64) -> f64 {
        let mut thresholds = scores.to_vec();
        thresholds.sort_by(|a, b| b.total_cmp(a));
        thresholds.dedup();
        let share = |of: bool, threshold: f64| {
            let scores = || scores.iter().zip(anomalous).filter(|(_, a)| **a == of);
            scores().filter(|(s, _)| **s >= threshold).count() as f64 / scores().count() as f64
        };
        let (mut x, mut y, mut area) = (0.0, 0.0, 0.0);
        for threshold in thresholds {
            let (mut next_x, mut next_y) = (share(false, threshold), share(true, threshold));
            if next_x > p {
                next_y = y + (next_y - y) * (p - x) / (next_x - x);
                next_x = p;
            }
            area += (next_x - x) * (y + next_y) / 2.0;
            (x, y) = (next_x, next_y);
            if x >= p {
                break;
            }
        }
        let chance = p * p / 2.0;
        0.5 * (1.0 + (area - chance) / (p - chance))
    }

    /// Scores with many ties, labels, and weights that leave some of both classes.
    fn weighted() -> impl Strategy<Value = (Vec<f64>, Vec<bool>, Vec<u32>)> {
        prop::collection::vec((-8_i32..8, any::<bool>(), 0_u32..4), 2..60)
            .prop_filter("weight in both classes", |clips| {
                [true, false].iter().all(|class| clips.iter().any(|clip| clip.1 == *class && clip.2 > 0))
            })
            .prop_map(|clips| {
                let scores = clips.iter().map(|clip| f64::from(clip.0) / 4.0).collect();
                let labels = clips.iter().map(|clip| clip.1).collect();
                (scores, labels, clips.iter().map(|clip| clip.2).collect())
            })
    }

    /// Every clip as often as its weight says.
    fn written_out<T: Copy>(values: &[T], weights: &[u32]) -> Vec<T> {
        values.iter().zip(weights).flat_map(|(v, w)| std::iter::repeat_n(*v, *w as usize)).collect()
    }

    #[test]
    fn perfect_reversed_and_constant_scores() {
        let anomalous: Vec<bool> = (0..53).map(|clip| clip >= 30).collect();
        let rising: Vec<f64> = (0..53).map(f64::from).collect();
        let falling: Vec<f64> = rising.iter().map(|score| -score).collect();
        for p in [1e-300, 0.05, 0.1, 1.0 / 3.0, 0.7, 1.0 - f64::EPSILON / 2.0, 1.0] {
            assert_eq!(partial_auc(&rising, &anomalous, p), Ok(1.0), "{p}");
            // The rest is one to three roundings of values below 1.
            let worst = partial_auc(&falling, &anomalous, p).unwrap();
            assert!((worst - (1.0 - p) / (2.0 - p)).abs() < 3e-16, "{p}: {worst}");
            let constant = partial_auc(&[4.0; 53], &anomalous, p).unwrap();
            assert!((constant - 0.5).abs() < 3e-16, "{p}: {constant}");
        }
    }

    #[test]
    fn the_limit_may_lie_on_a_corner_or_within_a_tie() {
        let anomalous = [true, false, true, false, false, true, false];
        let scores = [9.0, 8.0, 8.0, 7.0, 6.0, 5.0, 4.0];
        // Up to 1/4: a step up to 1/3, then the tie's slope to 2/3; A = (1/4) · (1/3 + 2/3) / 2.
        let found = partial_auc(&scores, &anomalous, 0.25).unwrap();
        let chance = 0.03125;
        assert!((found - 0.5 * (1.0 + (0.125 - chance) / (0.25 - chance))).abs() < 1e-15, "{found}");
        // Half way along that slope, at 1/8: A = (1/8) · (1/3 + 1/2) / 2.
        let found = partial_auc(&scores, &anomalous, 0.125).unwrap();
        let (area, chance) = (0.625 / 12.0, 0.0078125);
        assert!((found - 0.5 * (1.0 + (area - chance) / (0.125 - chance))).abs() < 1e-15, "{found}");
    }

    #[test]
    fn the_limit_moves_the_value_smoothly() {
        // One step of f64 on either side of a corner: no jump, whichever side rounding takes.
        let anomalous = [true, false, true, false, false, true, false, true, false, false];
        let scores: Vec<f64> = (0..10).map(|clip| -f64::from(clip)).collect();
        let ranked = Ranked::new(&scores, &anomalous).unwrap();
        for corner in [1.0 / 6.0, 2.0 / 6.0, 0.5, 4.0 / 6.0, 5.0 / 6.0] {
            let at = ranked.partial_auc(corner).unwrap();
            for near in [f64::next_down(corner), f64::next_up(corner)] {
                assert!((ranked.partial_auc(near).unwrap() - at).abs() < 1e-15, "{corner}");
            }
        }
    }

    #[test]
    fn what_cannot_be_had_is_an_error() {
        let (scores, both) = ([1.0, 2.0], [false, true]);
        assert_eq!(partial_auc(&[], &[], 0.1), Err(Undefined::Empty));
        assert_eq!(partial_auc(&scores, &[true, true], 0.1), Err(Undefined::OneClass));
        assert_eq!(partial_auc(&[1.0, f64::NAN], &both, 0.1), Err(Undefined::NotFinite));
        assert_eq!(partial_auc(&[1.0], &both, 0.1), Err(Undefined::Unpaired { scores: 1, labels: 2 }));
        assert_eq!(Ranked::new(&scores, &[false, false]).err(), Some(Undefined::OneClass));
        let ranked = Ranked::new(&scores, &both).unwrap();
        for p in [0.0, -0.0, -0.1, 1.0 + f64::EPSILON, f64::INFINITY, f64::NAN] {
            for found in [partial_auc(&scores, &both, p), ranked.partial_auc(p)] {
                assert!(
                    matches!(found, Err(Undefined::OutOfRange { name: "max_fpr", .. })),
                    "{p}: {found:?}"
                );
            }
            assert_eq!(ranked.weighted_partial_auc(&[1, 1], p), None, "{p}");
        }
        for weights in [[0, 1], [1, 0], [0, 0]] {
            assert_eq!(ranked.weighted_auc(&weights), None);
            assert_eq!(ranked.weighted_partial_auc(&weights, 0.1), None);
            assert_eq!(ranked.weighted_partial_auc(&weights, 1.0), None);
        }
    }

    #[test]
    fn the_largest_weights_do_not_overflow() {
        let ranked = Ranked::new(&[1.0, 2.0, 2.0, 3.0], &[false, false, true, true]).unwrap();
        assert_eq!(ranked.weighted_auc(&[u32::MAX; 4]), Some(0.875));
        assert_eq!(ranked.weighted_partial_auc(&[u32::MAX; 4], 0.5), ranked.partial_auc(0.5).ok());
    }

    proptest! {
        #[test]
        fn weights_are_repetitions((scores, anomalous, weights) in weighted(), p in 0.01_f64..=1.0) {
            let ranked = Ranked::new(&scores, &anomalous).unwrap();
            let (drawn, labels) = (written_out(&scores, &weights), written_out(&anomalous, &weights));
            prop_assert_eq!(ranked.weighted_auc(&weights), auc(&drawn, &labels).ok());
            prop_assert_eq!(ranked.weighted_partial_auc(&weights, p), partial_auc(&drawn, &labels, p).ok());
        }

        #[test]
        fn without_weights_it_is_the_function((scores, anomalous, _) in weighted(), p in 0.01_f64..=1.0) {
            let ranked = Ranked::new(&scores, &anomalous).unwrap();
            prop_assert_eq!(Ok(ranked.auc()), auc(&scores, &anomalous));
            prop_assert_eq!(ranked.partial_auc(p), partial_auc(&scores, &anomalous, p));
            prop_assert_eq!(ranked.partial_auc(1.0), Ok(ranked.auc()));
        }

        #[test]
        fn equals_the_definition((scores, anomalous, _) in weighted(), p in 0.01_f64..=1.0) {
            // The definition takes the difference of areas near p²/2 and divides by no less than p/2 = 0.005,
            // which makes up to 60 roundings of 1e-16 p each into about 1e-14.
            let found = partial_auc(&scores, &anomalous, p).unwrap();
            prop_assert!((found - by_trapezoids(&scores, &anomalous, p)).abs() < 1e-13);
        }

        #[test]
        fn lies_in_its_range((scores, anomalous, _) in weighted(), p in 1e-9_f64..=1.0) {
            let found = partial_auc(&scores, &anomalous, p).unwrap();
            // The lower end is rounded twice.
            prop_assert!((1.0 - p) / (2.0 - p) - 2e-16 <= found && found <= 1.0, "{}", found);
        }

        #[test]
        fn monotone_transforms_and_order_change_nothing((scores, anomalous, _) in weighted(), p in 0.01_f64..=1.0) {
            let found = partial_auc(&scores, &anomalous, p);
            let transformed: Vec<f64> = scores.iter().map(|score| score.exp() * 3.0 - 7.0).collect();
            prop_assert_eq!(&found, &partial_auc(&transformed, &anomalous, p));
            let (reversed, labels): (Vec<f64>, Vec<bool>) =
                scores.iter().copied().zip(anomalous.iter().copied()).rev().unzip();
            prop_assert_eq!(&found, &partial_auc(&reversed, &labels, p));
        }
    }
}
