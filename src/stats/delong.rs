//! DeLong's intervals and test for AUCs (DeLong, DeLong and Clarke-Pearson, Biometrics 44, 1988), in the O(n log n) form of
//! Sun and Xu (IEEE Signal Processing Letters 21, 2014): the structural components are differences of midranks.
//!
//! For an anomalous clip the component is the share of normal clips that it scores above, ties counting half; for a normal
//! clip the share of anomalous clips above it. The AUC is the mean of either kind, and its variance the sum of their
//! variances, each over its number of clips.

use serde::{Deserialize, Serialize};

use super::{Error, Interval, normal};

/// Share of the intervals.
const LEVEL: f64 = 0.95;

/// Two systems' AUCs on the same clips, and the test that they are equal.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct DeLong {
    /// AUC of the first system.
    pub auc_a: f64,
    /// AUC of the second.
    pub auc_b: f64,
    /// The first less the second.
    pub difference: f64,
    /// Standard error of the difference.
    pub standard_error: f64,
    /// The difference over its standard error. 0 where both are 0. None where only the standard error is 0, as between two
    /// systems of which one ranks every clip right and the other every clip wrong: the test says nothing there.
    pub z: Option<f64>,
    /// Two-sided p of z under the normal distribution; 1 where difference and standard error are 0, none where z is.
    pub p: Option<f64>,
    /// 95 % interval of the difference, within −1..=1.
    pub interval: Interval,
}

/// One system's AUC with its interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct AucInterval {
    /// The AUC.
    pub auc: f64,
    /// Its standard error.
    pub standard_error: f64,
    /// 95 % interval, within 0..=1. It is a point where the standard error is 0, as it is for an AUC of 0 or 1.
    pub interval: Interval,
}

/// Compares two systems' scores of the same clips, higher being more anomalous.
///
/// # Errors
/// Lists of different lengths, a score that is not finite, fewer than two normal or two anomalous clips.
pub fn delong(scores_a: &[f64], scores_b: &[f64], anomalous: &[bool]) -> Result<DeLong, Error> {
    let a = Components::new(scores_a, anomalous)?;
    let b = Components::new(scores_b, anomalous)?;
    let between = a.minus(&b);
    let (difference, variance) = (a.auc() - b.auc(), between.variance());
    let standard_error = variance.sqrt();
    let z = match (difference == 0.0, standard_error == 0.0) {
        (true, true) => Some(0.0),
        (false, true) => None,
        (_, false) => Some(difference / standard_error),
    };
    Ok(DeLong {
        auc_a: a.auc(),
        auc_b: b.auc(),
        difference,
        standard_error,
        z,
        p: z.map(normal::two_sided_p),
        interval: wald(difference, standard_error, -1.0),
    })
}

/// The AUC of one system's scores with its interval.
///
/// # Errors
/// As [`delong`].
pub fn delong_auc(scores: &[f64], anomalous: &[bool]) -> Result<AucInterval, Error> {
    let components = Components::new(scores, anomalous)?;
    let (auc, standard_error) = (components.auc(), components.variance().sqrt());
    Ok(AucInterval { auc, standard_error, interval: wald(auc, standard_error, 0.0) })
}

/// The normal interval, cut at `least` and 1.
fn wald(estimate: f64, standard_error: f64, least: f64) -> Interval {
    let reach = normal::quantile(0.5 + 0.5 * LEVEL) * standard_error;
    Interval { low: (estimate - reach).max(least), high: (estimate + reach).min(1.0), level: LEVEL }
}

/// Structural components: how each clip stands to the clips of the other class. As counts of clips, in halves, they are
/// exact: equal components have a variance of exactly 0.
struct Components {
    /// Per anomalous clip, normal clips that score lower, ties counting half.
    above: Vec<f64>,
    /// Per normal clip, anomalous clips that score higher, ties counting half.
    below: Vec<f64>,
}

impl Components {
    fn new(scores: &[f64], anomalous: &[bool]) -> Result<Self, Error> {
        if scores.len() != anomalous.len() {
            return Err(Error::Labels { scores: scores.len(), labels: anomalous.len() });
        }
        if let Some(index) = scores.iter().position(|score| !score.is_finite()) {
            return Err(Error::Score { index });
        }
        let of = |class: bool| -> Vec<f64> {
            scores
                .iter()
                .zip(anomalous)
                .filter(|(_, label)| **label == class)
                .map(|(score, _)| *score)
                .collect()
        };
        let (anomalies, normals) = (of(true), of(false));
        if anomalies.len() < 2 || normals.len() < 2 {
            return Err(Error::TooFewClips { normal: normals.len(), anomalous: anomalies.len() });
        }
        let (sorted_normals, sorted_anomalies) = (sorted(&normals), sorted(&anomalies));
        let above = anomalies.iter().map(|score| midcount(&sorted_normals, *score)).collect();
        let all = anomalies.len() as f64;
        let below = normals.iter().map(|score| all - midcount(&sorted_anomalies, *score)).collect();
        Ok(Self { above, below })
    }

    fn minus(&self, other: &Self) -> Self {
        let minus = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a - b).collect();
        Self { above: minus(&self.above, &other.above), below: minus(&self.below, &other.below) }
    }

    fn auc(&self) -> f64 {
        // A sum of halves and a product of counts, both exact up to 2⁵³ pairs.
        self.above.iter().sum::<f64>() / (self.above.len() * self.below.len()) as f64
    }

    fn variance(&self) -> f64 {
        let (anomalies, normals) = (self.above.len() as f64, self.below.len() as f64);
        // Of the components themselves, which are shares: counts over the size of the other class.
        variance(&self.above) / (normals * normals * anomalies)
            + variance(&self.below) / (anomalies * anomalies * normals)
    }
}

/// The unbiased variance of two or more values.
fn variance(values: &[f64]) -> f64 {
    let n = values.len() as f64;
    // Around the first value, which equal values have no rounding from.
    let from = values.first().copied().unwrap_or_default();
    let mean = values.iter().map(|value| value - from).sum::<f64>() / n;
    values.iter().map(|value| (value - from - mean).powi(2)).sum::<f64>() / (n - 1.0)
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted
}

/// How many of the `sorted` values lie below `value`, equal ones counting half.
fn midcount(sorted: &[f64], value: f64) -> f64 {
    let below = sorted.partition_point(|other| *other < value);
    let up_to = sorted.partition_point(|other| *other <= value);
    0.5 * (below + up_to) as f64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const A: [f64; 14] = [0.1, 0.4, 0.35, 0.8, 0.2, 0.5, 0.45, 0.3, 0.9, 0.7, 0.4, 0.65, 0.35, 1.2];
    const B: [f64; 14] = [3.0, 1.0, 2.0, 2.0, 5.0, 4.0, 1.0, 0.0, 6.0, 2.0, 4.0, 7.0, 1.0, 5.0];

    /// Standard error of A's AUC alone, from the same reference.
    const SINGLE: f64 = 0.12740737376183878;

    fn labels() -> Vec<bool> {
        (0..14).map(|clip| clip >= 8).collect()
    }

    #[test]
    fn agrees_with_the_definition() {
        // From the kernel ψ(x, y) of all pairs, its row and column means and `numpy.cov` of both systems' (NumPy 1.26.4), and
        // `2 * scipy.stats.norm.sf(|z|)` (SciPy 1.17.1).
        let found = delong(&A, &B, &labels()).unwrap();
        let expected =
            [0.7916666666666666, 0.75, 0.14625788542030493, 0.2848849246447676, 0.7757323060134901];
        let values = [found.auc_a, found.auc_b, found.standard_error, found.z.unwrap(), found.p.unwrap()];
        for (f, e) in values.iter().zip(expected) {
            assert!((f - e).abs() < 1e-13, "{found:?}"); // a dozen roundings of values of the order of 1
        }
        let single = delong_auc(&A, &labels()).unwrap();
        assert!((single.standard_error - SINGLE).abs() < 1e-14, "{single:?}");
        assert_eq!(single.auc, found.auc_a);
        // 1.959964 standard errors on either side, cut at 1.
        assert!(
            (single.interval.low - (single.auc - 1.959963984540054 * SINGLE)).abs() < 1e-13,
            "{single:?}"
        );
        assert_eq!(single.interval.high, 1.0);
        assert!((found.interval.high - found.difference - 1.959963984540054 * expected[2]).abs() < 1e-13);
    }

    #[test]
    fn equal_and_perfect_systems_have_a_defined_answer() {
        let same = delong(&A, &A.map(f64::exp), &labels()).unwrap();
        assert_eq!((same.difference, same.standard_error, same.z, same.p), (0.0, 0.0, Some(0.0), Some(1.0)));
        let rising: Vec<f64> = (0..14).map(f64::from).collect();
        let perfect = delong_auc(&rising, &labels()).unwrap();
        assert_eq!((perfect.auc, perfect.standard_error), (1.0, 0.0));
        assert_eq!((perfect.interval.low, perfect.interval.high), (1.0, 1.0));
        let falling: Vec<f64> = rising.iter().map(|v| -v).collect();
        let opposite = delong(&rising, &falling, &labels()).unwrap();
        assert_eq!((opposite.difference, opposite.z, opposite.p), (1.0, None, None));
        let constant = delong(&[1.0; 14], &[-0.0; 14], &labels()).unwrap();
        assert_eq!((constant.auc_a, constant.auc_b, constant.p), (0.5, 0.5, Some(1.0)));
        assert_eq!(delong_auc(&[0.0, -0.0, 0.0, -0.0], &[true, true, false, false]).unwrap().auc, 0.5);
    }

    #[test]
    fn what_has_no_answer_is_an_error() {
        let few = |labels: &[bool]| delong_auc(&A[..labels.len()], labels).unwrap_err();
        assert_eq!(few(&[]), Error::TooFewClips { normal: 0, anomalous: 0 });
        assert_eq!(few(&[false, false, true]), Error::TooFewClips { normal: 2, anomalous: 1 });
        assert_eq!(few(&[true; 5]), Error::TooFewClips { normal: 0, anomalous: 5 });
        assert_eq!(delong_auc(&A, &[true]), Err(Error::Labels { scores: 14, labels: 1 }));
        let mut broken = A;
        broken[3] = f64::NAN;
        assert_eq!(delong(&A, &broken, &labels()), Err(Error::Score { index: 3 }));
    }

    /// Scores of two systems with ties, and labels with at least two clips of each class.
    fn systems() -> impl Strategy<Value = Vec<(f64, f64, bool)>> {
        prop::collection::vec(
            ((-6_i32..6).prop_map(f64::from), (-6_i32..6).prop_map(f64::from), any::<bool>()),
            4..40,
        )
        .prop_filter("two of each class", |clips| {
            let anomalies = clips.iter().filter(|clip| clip.2).count();
            anomalies >= 2 && clips.len() - anomalies >= 2
        })
    }

    fn run(clips: &[(f64, f64, bool)]) -> DeLong {
        let column = |of: fn(&(f64, f64, bool)) -> f64| clips.iter().map(of).collect::<Vec<f64>>();
        let labels: Vec<bool> = clips.iter().map(|clip| clip.2).collect();
        delong(&column(|clip| clip.0), &column(|clip| clip.1), &labels).unwrap()
    }

    proptest! {
        #[test]
        fn swapping_the_systems_turns_the_sign(clips in systems()) {
            let found = run(&clips);
            let swapped: Vec<_> = clips.iter().map(|&(a, b, label)| (b, a, label)).collect();
            let other = run(&swapped);
            prop_assert_eq!((other.difference, other.standard_error), (-found.difference, found.standard_error));
            prop_assert_eq!(other.p, found.p);
            prop_assert_eq!((other.interval.low, other.interval.high), (-found.interval.high, -found.interval.low));
        }

        #[test]
        fn order_and_monotone_transforms_do_not_matter(clips in systems()) {
            let found = run(&clips);
            let moved: Vec<_> = clips.iter().rev().map(|&(a, b, label)| (a.exp(), 3.0 * b - 7.0, label)).collect();
            let other = run(&moved);
            prop_assert_eq!((other.auc_a, other.auc_b), (found.auc_a, found.auc_b));
            // The sum of squares in another order.
            prop_assert!((other.standard_error - found.standard_error).abs() <= 1e-14);
        }
    }
}
