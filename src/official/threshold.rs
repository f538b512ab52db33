//! The decision threshold of the challenge's baselines: a percentile of the gamma distribution that is fitted to the
//! scores of the training clips.
//!
//! The fit is the maximum-likelihood fit of SciPy's `stats.gamma.fit` with its defaults: shape, location and scale by
//! the downhill simplex from the moments, stopped where SciPy stops it. Measured against SciPy 1.17.1 on 450 samples of
//! 100 to 6,000 scores, the thresholds differ, in standard deviations of the scores, by less than
//!
//! - 1e-6 for skewed scores (gamma of shape 2 and 9, χ² of 10, log-normal of σ 0.3; spread from 1e-6 to 1e6);
//! - 1e-3 for nearly symmetric ones (normal, χ² of 640 and its root), where the search stops at its limit of evaluations
//!   and rounding errors may have sent it another way;
//! - 1e-2 for those with their mode at the least score (exponential, gamma of shape ½), where the likelihood has no maximum.

use serde::Serialize;

use super::incomplete_gamma::{gamma_quantile, ln_gamma};
use super::simplex;

/// The percentile that the challenge's baselines take.
pub const OFFICIAL_QUANTILE: f64 = 0.9;

/// Below this many scores, three parameters follow the accidents of the sample.
const SCORES_MIN: usize = 10;

/// What the search is charged for each score that the distribution rules out: 100 ln(largest f64), as in SciPy.
const RULED_OUT: f64 = 70_978.271_289_338_4;

/// A score above which a clip is called anomalous.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Threshold {
    /// The threshold, in the scores' unit.
    pub value: f64,
    /// Where it comes from.
    pub method: ThresholdMethod,
    /// Shape of the fitted distribution, also where the fit was rejected.
    pub shape: Option<f64>,
    /// Its location, in the scores' unit.
    pub location: Option<f64>,
    /// Its scale, in the scores' unit.
    pub scale: Option<f64>,
}

/// Where a threshold comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ThresholdMethod {
    /// The quantile of the fitted gamma distribution.
    GammaFit,
    /// The quantile of the scores themselves (linear between neighbours), and why.
    Fallback(String),
}

/// Why there is no threshold.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum ThresholdError {
    /// Nothing to fit.
    #[error("set a decision threshold without scores of normal clips: score at least one training clip")]
    NoScores,
    /// A score that is no number.
    #[error(
        "set a decision threshold from scores of which number {index} is {value}: look for a diverged model or a broken \
         clip"
    )]
    NotFinite {
        /// Index of the first such score.
        index: usize,
        /// The score.
        value: f64,
    },
    /// A quantile that is none.
    #[error("take the quantile {0} for a decision threshold: it must be between 0 and 1, both excluded")]
    Quantile(f64),
}

impl Threshold {
    /// Whether a clip of this score is called anomalous. The comparison is strict, as the challenge's is.
    pub fn is_anomalous(&self, score: f64) -> bool {
        score > self.value
    }
}

/// Scores of clips that are known to be normal without a look at what is judged: what a decision threshold may come from.
///
/// The type exists so that scores of clips that are judged cannot be passed by mistake: the only ways to one state in their
/// names what the caller vouches for.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct NormalScores(Vec<f64>);

impl NormalScores {
    /// Takes the scores of training clips, all of which are normal, and of nothing else.
    pub fn of_training_clips(scores: Vec<f64>) -> Self {
        Self(scores)
    }

    /// Of the clips that a fusion was tuned on, whose labels it was given to see, those that are normal; `anomalous` says of
    /// each clip whether it is not.
    pub fn of_tuning_clips(scores: &[f64], anomalous: &[bool]) -> Self {
        let normal = scores.iter().zip(anomalous).filter(|(_, anomalous)| !**anomalous);
        Self(normal.map(|(score, _)| *score).collect())
    }

    /// In the order of the clips.
    pub fn as_slice(&self) -> &[f64] {
        &self.0
    }

    /// Adds others of the kind.
    pub fn extend(&mut self, others: Self) {
        self.0.extend(others.0);
    }
}

/// The `quantile` (in 0..1) of the gamma distribution fitted to the scores of normal clips, in any order.
///
/// The quantile of the scores themselves is taken instead, with the reason, where there are fewer than ten scores, where
/// they are all the same, or where the fitted distribution plainly is not theirs: the share of the clips above the
/// threshold is more than twice or less than a quarter of what it should be, by more than three standard errors.
///
/// # Errors
/// No scores, a score that is not finite, a quantile outside 0..1.
pub fn gamma_threshold(normal: &NormalScores, quantile: f64) -> Result<Threshold, ThresholdError> {
    gamma_quantile_of(&normal.0, quantile)
}

/// As [`gamma_threshold`], of any scores: a place among them, not a decision.
///
/// # Errors
/// As [`gamma_threshold`].
pub(crate) fn gamma_quantile_of(scores: &[f64], quantile: f64) -> Result<Threshold, ThresholdError> {
    if !(quantile > 0.0 && quantile < 1.0) {
        return Err(ThresholdError::Quantile(quantile));
    }
    if scores.is_empty() {
        return Err(ThresholdError::NoScores);
    }
    if let Some((index, &value)) = scores.iter().enumerate().find(|(_, score)| !score.is_finite()) {
        return Err(ThresholdError::NotFinite { index, value });
    }
    // Sorted, so that the order of the clips cannot change the sums' last bits.
    let mut scores = scores.to_vec();
    scores.sort_unstable_by(f64::total_cmp);
    let of_scores = |why: String| Threshold {
        value: percentile(&scores, quantile),
        method: ThresholdMethod::Fallback(why),
        shape: None,
        location: None,
        scale: None,
    };
    if scores.len() < SCORES_MIN {
        let why = format!("{} scores are too few for a fit ({SCORES_MIN} are needed)", scores.len());
        return Ok(of_scores(why));
    }
    if scores.first() == scores.last() {
        return Ok(of_scores("all scores are the same".to_owned()));
    }
    let Some(start) = moments_start(&scores) else {
        return Ok(of_scores("the scores' moments overflow or vanish".to_owned()));
    };
    let mut standard = vec![0.0; scores.len()];
    let [shape, location, scale] =
        simplex::minimise(start, |parameters| negative_log_likelihood(&scores, parameters, &mut standard));
    let value = location + scale * gamma_quantile(shape, quantile);
    let threshold = match unfit(&scores, [shape, location, scale], value, quantile) {
        None => {
            Threshold { value, method: ThresholdMethod::GammaFit, shape: None, location: None, scale: None }
        }
        Some(why) => of_scores(why),
    };
    Ok(Threshold { shape: Some(shape), location: Some(location), scale: Some(scale), ..threshold })
}

/// Why a fit cannot be what the scores follow, if it cannot.
fn unfit(scores: &[f64], [shape, _, scale]: [f64; 3], value: f64, quantile: f64) -> Option<String> {
    if !(shape > 0.0 && scale > 0.0 && value.is_finite()) {
        return Some("the gamma fit left the range of its parameters".to_owned());
    }
    let clips = scores.len() as f64;
    let above = scores.iter().filter(|score| **score > value).count() as f64 / clips;
    let expected = 1.0 - quantile;
    let error = (expected * quantile / clips).sqrt();
    let many = above > 2.0 * expected + 3.0 * error;
    let few = above < 0.25 * expected && above + 5.0 * error < expected;
    (many || few).then(|| {
        format!(
            "the gamma fit does not describe the scores: {:.1} % of them lie above its {} quantile",
            100.0 * above,
            quantile
        )
    })
}

/// Shape, location and scale from the moments, where the search begins: the shape from the skewness, the others from
/// mean and variance. Where that location would rule out a score, it goes a tenth of the range below the least one, and
/// the scale is 1, as in SciPy. `None` where f64 cannot hold the moments.
fn moments_start(sorted: &[f64]) -> Option<[f64; 3]> {
    let (least, greatest) = (*sorted.first()?, *sorted.last()?);
    let n = sorted.len() as f64;
    let mean = pairwise_sum(sorted) / n;
    let central = |power: i32| {
        let powers: Vec<f64> = sorted.iter().map(|score| (score - mean).powi(power)).collect();
        pairwise_sum(&powers) / n
    };
    let variance = central(2);
    let skewness = central(3) / variance.powf(1.5);
    let shape = 4.0 / (1e-8 + skewness * skewness);
    let scale = (variance / shape).sqrt();
    let location = mean - scale * shape;
    let start = match location < least {
        true => [shape, location, scale],
        false => [shape, least - 0.1 * (greatest - least), 1.0],
    };
    (start.iter().all(|parameter| parameter.is_finite()) && shape > 0.0 && scale > 0.0).then_some(start)
}

/// Minus the sum of the densities' logarithms, plus a penalty for each score outside of the support. `standard` is room
/// for one number per score.
fn negative_log_likelihood(
    scores: &[f64],
    &[shape, location, scale]: &[f64; 3],
    standard: &mut Vec<f64>,
) -> f64 {
    // NaN too.
    if !(shape > 0.0 && scale > 0.0) {
        return f64::INFINITY;
    }
    let normaliser = ln_gamma(shape);
    standard.clear();
    standard.extend(scores.iter().map(|score| (score - location) / scale).filter_map(|x| {
        // At x = 0 the density is 0 or infinite, but for shape 1.
        let power = if shape == 1.0 { 0.0 } else { (shape - 1.0) * x.ln() };
        let density = power - x - normaliser;
        (x >= 0.0 && density.is_finite()).then_some(density)
    }));
    let ruled_out = (scores.len() - standard.len()) as f64;
    -pairwise_sum(standard) + ruled_out * RULED_OUT + scores.len() as f64 * scale.ln()
}

/// A sum whose rounding error grows with the logarithm of the length: of 6,000 log-densities a plain one loses digits
/// that the search's last steps depend on.
fn pairwise_sum(values: &[f64]) -> f64 {
    if values.len() <= 64 {
        return values.iter().sum();
    }
    let (left, right) = values.split_at(values.len() / 2);
    pairwise_sum(left) + pairwise_sum(right)
}

/// The quantile of sorted values, linear between neighbours.
fn percentile(sorted: &[f64], quantile: f64) -> f64 {
    let position = quantile * (sorted.len() - 1) as f64;
    let (below, share) = (position.floor() as usize, position.fract());
    let above = (below + 1).min(sorted.len() - 1);
    // Not low + share (high - low): that overflows for the largest numbers.
    (1.0 - share) * sorted[below] + share * sorted[above]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SplitMix64 as uniform numbers in 0..1, both excluded; any language has it in five lines.
    struct Uniform(u64);

    impl Uniform {
        fn next(&mut self) -> f64 {
            self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mut z = self.0;
            z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            z ^= z >> 31;
            ((z >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
        }

        /// Gamma with an integer shape: a sum of exponentials.
        fn erlang(mut self, shape: usize, n: usize) -> Vec<f64> {
            (0..n).map(|_| (0..shape).map(|_| -self.next().ln()).sum()).collect()
        }

        /// Box and Muller's normal numbers.
        fn normal(mut self, n: usize) -> Vec<f64> {
            let mut one =
                || (-2.0 * self.next().ln()).sqrt() * (2.0 * std::f64::consts::PI * self.next()).cos();
            (0..n).map(|_| one()).collect()
        }
    }

    fn of(scores: &[f64], scale: f64, offset: f64) -> Vec<f64> {
        scores.iter().map(|score| offset + scale * score).collect()
    }

    /// `gamma.ppf(0.9, *gamma.fit(x))` of SciPy 1.17.1 on the same numbers.
    #[test]
    fn agrees_with_scipy() {
        let lognormal: Vec<f64> = Uniform(4).normal(990).iter().map(|x| (2.0 + 0.3 * x).exp()).collect();
        // Skewed scores: the search converges, 1e-6 of their spread. Nearly symmetric ones and those with their mode at
        // the end: it stops at its limit, and rounding errors (of the logarithm, of the sum's order) have grown; 1e-3.
        let cases = [
            ("gamma 2, few", of(&Uniform(1).erlang(2, 100), 1.0, 3.0), 7.220_400_128_232_82, 1e-6),
            ("gamma 2, many", of(&Uniform(2).erlang(2, 6000), 1.0, 3.0), 6.933_498_271_697_124, 1e-6),
            ("chi-square 10", of(&Uniform(3).erlang(5, 1000), 2.0, 0.0), 15.799_542_642_022_44, 1e-6),
            ("log-normal", lognormal, 10.746_836_321_416_307, 1e-6),
            ("small", of(&Uniform(5).erlang(3, 990), 1e-3, 1e-3), 0.006_297_642_598_689_028, 1e-6),
            ("normal", of(&Uniform(6).normal(990), 1.0, 10.0), 11.320_141_002_348_677, 1e-3),
            ("chi-square 200", of(&Uniform(7).erlang(100, 990), 2.0, 0.0), 225.894_138_946_837_93, 1e-3),
            ("exponential", Uniform(8).erlang(1, 990), 2.802_908_250_507_499, 1e-3),
        ];
        for (name, scores, expected, tolerance) in cases {
            let found = gamma_quantile_of(&scores, OFFICIAL_QUANTILE).unwrap();
            assert_eq!(found.method, ThresholdMethod::GammaFit, "{name}");
            let mean = scores.iter().sum::<f64>() / scores.len() as f64;
            let spread =
                (scores.iter().map(|s| (s - mean).powi(2)).sum::<f64>() / scores.len() as f64).sqrt();
            let error = (found.value - expected).abs() / spread;
            assert!(
                error <= tolerance,
                "{name}: {} against {expected}: {error:e} of the spread",
                found.value
            );
        }
    }

    #[test]
    fn the_order_of_the_scores_changes_no_bit() {
        let mut scores = Uniform(9).normal(500);
        let first = gamma_quantile_of(&scores, 0.9).unwrap();
        scores.reverse();
        scores.rotate_left(123);
        assert_eq!(gamma_quantile_of(&scores, 0.9).unwrap(), first);
    }

    #[test]
    fn falls_back_with_the_reason() {
        let reason = |scores: &[f64]| match gamma_quantile_of(scores, 0.9).unwrap() {
            Threshold { value, method: ThresholdMethod::Fallback(why), .. } => (value, why),
            fitted => panic!("{fitted:?}"),
        };
        let (value, why) = reason(&[3.0, 1.0, 2.0, 7.0, 5.0]);
        assert!((value - 6.2).abs() < 1e-15 && why.contains("too few"), "{value} {why}"); // numpy.quantile: 6.2
        let (value, why) = reason(&[0.25; 50]);
        assert!(value == 0.25 && why.contains("the same"), "{value} {why}");
        let (value, why) = reason(&[&[0.0; 40][..], &[f64::MAX; 10]].concat());
        assert!(value.is_finite() && why.contains("overflow"), "{value} {why}");
        // Here SciPy's threshold, 7.8e-5, lies below 99.9 % of the scores it was fitted to.
        let heavy: Vec<f64> = Uniform(3).normal(1000).iter().map(|x| (3.0 * x).exp()).collect();
        let (value, why) = reason(&heavy);
        assert!(why.contains("does not describe"), "{why}");
        assert!((value - 47.474_285_374_564_94).abs() < 1e-12, "{value}"); // numpy.quantile
    }

    #[test]
    fn what_cannot_be_had_is_an_error() {
        assert_eq!(gamma_quantile_of(&[], 0.9), Err(ThresholdError::NoScores));
        assert!(matches!(
            gamma_quantile_of(&[1.0, f64::NAN], 0.9),
            Err(ThresholdError::NotFinite { index: 1, .. })
        ));
        assert!(gamma_quantile_of(&[1.0, f64::INFINITY], 0.9).is_err());
        for quantile in [0.0, 1.0, -0.1, f64::NAN] {
            assert!(matches!(gamma_quantile_of(&[1.0], quantile), Err(ThresholdError::Quantile(_))));
        }
    }

    #[test]
    fn anomalous_tuning_clips_have_no_part_in_a_threshold() {
        let scores: Vec<f64> = (0..40).map(f64::from).collect();
        let anomalous: Vec<bool> = (0..40).map(|clip| clip >= 20).collect();
        let normal = NormalScores::of_tuning_clips(&scores, &anomalous);
        assert_eq!(normal, NormalScores::of_training_clips(scores[..20].to_vec()));
        assert_eq!(gamma_threshold(&normal, 0.9), gamma_quantile_of(&scores[..20], 0.9));
    }

    #[test]
    fn the_decision_is_strict() {
        let threshold = gamma_quantile_of(&[0.5; 20], 0.9).unwrap();
        assert!(!threshold.is_anomalous(0.5) && threshold.is_anomalous(0.5 + f64::EPSILON));
    }

    #[test]
    fn a_fit_that_nothing_reaches_is_no_threshold() {
        // A long tail to the left: the fit's 90th percentile lies beyond every score.
        let scores: Vec<f64> = (1..=990).map(|k| (f64::from(k) / 991.0).ln()).collect();
        let found = gamma_quantile_of(&scores, 0.9).unwrap();
        let above = scores.iter().filter(|score| found.is_anomalous(**score)).count();
        assert!((60..=140).contains(&above), "{above} of 990 above {found:?}");
    }
}
