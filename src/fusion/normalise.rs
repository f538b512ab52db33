//! Making scores of different systems comparable: each branch's scores are placed among its own reference scores.
//!
//! | method | a score becomes |
//! |---|---|
//! | none | itself |
//! | rank | the share of reference scores below it, ties counting half, linear in between |
//! | z-score | standard deviations above the reference scores' mean |
//! | min-max | its place between their least (0) and greatest (1), which it may leave |
//! | gamma | `-ln(1 - F)`, F being the three-parameter gamma distribution that fits them |
//!
//! All rise with the score as far as rounding allows: two clips that differ keep their order even where both lie beyond every
//! reference score. (Of gamma, scores so far below that their probability is 0 in f64 tie.) A rank above the greatest approaches 1 as
//! `1 - (1 - F) s / (s + x - greatest)`, s being the reference scores' standard deviation; below the least likewise 0.

use std::collections::BTreeMap;

use super::gamma::surprise;
use super::sets::machines;
use super::{Error, Part};
use crate::official::{OFFICIAL_QUANTILE, ThresholdMethod, gamma_quantile_of};

/// How a score becomes comparable with another system's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NormaliseMethod {
    /// As it is.
    None,
    /// Its rank among the reference scores.
    Rank,
    /// Standard deviations above their mean.
    ZScore,
    /// Its place between the least and the greatest.
    MinMax,
    /// Its improbability under the gamma distribution that fits them.
    Gamma,
}

impl NormaliseMethod {
    /// The word in configurations and JSON.
    pub fn key(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Rank => "rank",
            Self::ZScore => "z-score",
            Self::MinMax => "min-max",
            Self::Gamma => "gamma",
        }
    }
}

/// A normalisation fitted to reference scores: per branch and machine, and per branch over all machines for those that the
/// reference lacks.
#[derive(Clone, Debug)]
pub(super) struct Normaliser {
    /// Per machine, one per branch.
    machines: BTreeMap<String, Vec<Scale>>,
    /// One per branch.
    pooled: Vec<Scale>,
    pub notes: Vec<String>,
}

/// One branch's normalisation.
#[derive(Clone, Debug)]
enum Scale {
    Unchanged,
    /// The reference scores are all the same: nothing can be told from such a branch.
    Constant,
    /// `(x - offset) / unit`: z-score and min-max.
    Affine {
        offset: f64,
        unit: f64,
    },
    Rank(Empirical),
    Gamma {
        shape: f64,
        location: f64,
        scale: f64,
    },
    /// Where no gamma distribution fits: `-ln(1 - F)` of the reference scores themselves.
    Survival(Empirical),
}

/// A strictly rising, continuous distribution function through the mid-ranks of scores.
#[derive(Clone, Debug)]
struct Empirical {
    /// Distinct values, rising; two at least.
    values: Vec<f64>,
    /// Of each: the share of scores below it and half of those equal to it.
    shares: Vec<f64>,
    /// Standard deviation: how fast the tails approach 0 and 1.
    spread: f64,
}

impl Normaliser {
    /// `branches` are the names of the rows of every part of `reference`.
    ///
    /// # Errors
    /// No reference scores; too few for a gamma distribution.
    pub fn fit<'a>(
        method: NormaliseMethod,
        branches: &[String],
        reference: impl Iterator<Item = &'a Part>,
    ) -> Result<Self, Error> {
        if method == NormaliseMethod::None {
            let pooled = vec![Scale::Unchanged; branches.len()];
            return Ok(Self { machines: BTreeMap::new(), pooled, notes: Vec::new() });
        }
        let mut scores: BTreeMap<&str, Vec<Vec<f64>>> = BTreeMap::new();
        for part in reference {
            let own = scores.entry(&part.machine).or_insert_with(|| vec![Vec::new(); branches.len()]);
            for (own, scores) in own.iter_mut().zip(part.scores.rows()) {
                own.extend(scores);
            }
        }
        if scores.is_empty() {
            return Err(Error::Reference("any clip: there are no reference scores".to_owned()));
        }
        let mut notes = Vec::new();
        let mut fitted = BTreeMap::new();
        for (machine, scores) in &scores {
            let scales = fit_branches(method, branches, scores, &format!("machine {machine}"), &mut notes)?;
            fitted.insert((*machine).to_owned(), scales);
        }
        let pool = |branch: usize| scores.values().flat_map(|of| of[branch].iter().copied()).collect();
        let pooled: Vec<Vec<f64>> = (0..branches.len()).map(pool).collect();
        // Told where a machine needs them.
        let pooled = fit_branches(method, branches, &pooled, "all machines together", &mut Vec::new())?;
        Ok(Self { machines: fitted, pooled, notes })
    }

    /// Which of the parts' machines have no reference scores of their own, in a sentence.
    pub fn unknown(&self, parts: &[Part]) -> Option<String> {
        if self.machines.is_empty() {
            return None;
        }
        let unknown: Vec<&str> =
            machines(parts).into_iter().filter(|machine| !self.machines.contains_key(*machine)).collect();
        (!unknown.is_empty()).then(|| {
            format!(
                "no reference scores of {}: normalised by those of {} together",
                unknown.join(", "),
                self.machines.keys().map(String::as_str).collect::<Vec<_>>().join(", ")
            )
        })
    }

    /// The normalised scores, rows as before.
    pub fn apply(&self, part: &Part) -> Part {
        let scales = self.machines.get(&part.machine).unwrap_or(&self.pooled);
        let mut normalised = part.clone();
        for (scale, mut scores) in scales.iter().zip(normalised.scores.rows_mut()) {
            scores.mapv_inplace(|score| scale.apply(score));
        }
        normalised
    }
}

/// One scale per branch, with a note on each that is not what was asked for.
fn fit_branches(
    method: NormaliseMethod,
    branches: &[String],
    scores: &[Vec<f64>],
    place: &str,
    notes: &mut Vec<String>,
) -> Result<Vec<Scale>, Error> {
    let fit = |(branch, scores): (&String, &Vec<f64>)| {
        let (scale, note) = Scale::fit(method, branch, scores)?;
        notes.extend(note.map(|note| format!("`{branch}`, {place}: {note}")));
        Ok(scale)
    };
    branches.iter().zip(scores).map(fit).collect()
}

impl Scale {
    /// The scale, and what a person should know of it. At least one score.
    fn fit(method: NormaliseMethod, branch: &str, scores: &[f64]) -> Result<(Self, Option<String>), Error> {
        // Sorted, so that the order of the clips cannot change a sum's last bits.
        let mut sorted = scores.to_vec();
        sorted.sort_unstable_by(f64::total_cmp);
        let Some((&least, &greatest)) = sorted.first().zip(sorted.last()) else {
            return Err(Error::Reference(format!("`{branch}`: there are no reference scores")));
        };
        let largest = least.abs().max(greatest.abs());
        // Equal scores may differ by what computing them rounded.
        if greatest - least <= 1e-12 * largest {
            let note = format!(
                "the {} reference scores are all {least:?}; it contributes nothing there",
                sorted.len()
            );
            return Ok((Self::Constant, Some(note)));
        }
        Ok(match method {
            NormaliseMethod::None => (Self::Unchanged, None),
            NormaliseMethod::Rank => (Self::Rank(Empirical::of(&sorted)), None),
            NormaliseMethod::MinMax => (Self::Affine { offset: least, unit: greatest - least }, None),
            NormaliseMethod::ZScore => {
                let (mean, spread) = moments(&sorted);
                (Self::Affine { offset: mean, unit: spread }, None)
            }
            NormaliseMethod::Gamma => {
                let fit = gamma_quantile_of(&sorted, OFFICIAL_QUANTILE)
                    .map_err(|why| Error::Gamma { branch: branch.to_owned(), why })?;
                match (fit.method, fit.shape, fit.location, fit.scale) {
                    (ThresholdMethod::GammaFit, Some(shape), Some(location), Some(scale)) => {
                        (Self::Gamma { shape, location, scale }, None)
                    }
                    (ThresholdMethod::Fallback(why), ..) => {
                        let note =
                            format!("{why}; the distribution of the scores themselves is used instead");
                        (Self::Survival(Empirical::of(&sorted)), Some(note))
                    }
                    (ThresholdMethod::GammaFit, ..) => (Self::Survival(Empirical::of(&sorted)), None),
                }
            }
        })
    }

    fn apply(&self, score: f64) -> f64 {
        match self {
            Self::Unchanged => score,
            Self::Constant => 0.0,
            Self::Affine { offset, unit } => (score - offset) / unit,
            Self::Rank(empirical) => empirical.share(score),
            Self::Gamma { shape, location, scale } => surprise(*shape, (score - location) / scale),
            Self::Survival(empirical) => -empirical.survival(score).ln(),
        }
    }
}

impl Empirical {
    /// Of sorted scores that are not all the same.
    fn of(sorted: &[f64]) -> Self {
        let n = sorted.len() as f64;
        let (mut values, mut shares, mut below) = (Vec::new(), Vec::new(), 0);
        for tie in sorted.chunk_by(|a, b| a == b) {
            values.push(tie[0]);
            shares.push((below as f64 + 0.5 * tie.len() as f64) / n);
            below += tie.len();
        }
        Self { values, shares, spread: moments(sorted).1 }
    }

    /// F(x), above 0 and below 1 but for rounding.
    fn share(&self, x: f64) -> f64 {
        let last = self.values.len() - 1;
        if x < self.values[0] {
            return self.shares[0] * self.tail(self.values[0] - x);
        }
        if x >= self.values[last] {
            return 1.0 - self.survival(x);
        }
        let above = self.values.partition_point(|value| *value <= x);
        let part = (x - self.values[above - 1]) / (self.values[above] - self.values[above - 1]);
        self.shares[above - 1] + part * (self.shares[above] - self.shares[above - 1])
    }

    /// 1 - F(x), without the rounding of the difference above the greatest value.
    fn survival(&self, x: f64) -> f64 {
        let last = self.values.len() - 1;
        match x >= self.values[last] {
            true => (1.0 - self.shares[last]) * self.tail(x - self.values[last]),
            false => 1.0 - self.share(x),
        }
    }

    /// What is left of a tail at a distance beyond the outermost value.
    fn tail(&self, distance: f64) -> f64 {
        self.spread / (self.spread + distance)
    }
}

/// Mean and standard deviation (of the population) of scores that are not all the same.
fn moments(scores: &[f64]) -> (f64, f64) {
    // Around the middle of their range: sums and squares of large scores that lie close together would lose their digits.
    let (least, greatest) =
        scores.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(least, greatest), score| {
            (least.min(*score), greatest.max(*score))
        });
    let (middle, range) = (0.5 * least + 0.5 * greatest, greatest - least);
    let n = scores.len() as f64;
    let mean = scores.iter().map(|score| (score - middle) / range).sum::<f64>() / n;
    let square = scores.iter().map(|score| ((score - middle) / range - mean).powi(2)).sum::<f64>() / n;
    (middle + mean * range, square.sqrt() * range)
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;
    use proptest::prelude::*;

    use super::*;

    const ALL: [NormaliseMethod; 5] = [
        NormaliseMethod::None,
        NormaliseMethod::Rank,
        NormaliseMethod::ZScore,
        NormaliseMethod::MinMax,
        NormaliseMethod::Gamma,
    ];

    fn part(machine: &str, scores: &[&[f64]]) -> Part {
        let clips = scores[0].len();
        Part {
            machine: machine.to_owned(),
            section: "00".to_owned(),
            files: (0..clips).map(|clip| format!("{clip}.wav")).collect(),
            domains: vec![None; clips],
            scores: Array2::from_shape_fn((scores.len(), clips), |(system, clip)| scores[system][clip]),
        }
    }

    fn fit(method: NormaliseMethod, reference: &[Part]) -> Normaliser {
        let branches: Vec<String> =
            (0..reference[0].scores.nrows()).map(|branch| format!("S{}", branch + 1)).collect();
        Normaliser::fit(method, &branches, reference.iter()).unwrap()
    }

    fn normalised(method: NormaliseMethod, reference: &[f64], scores: &[f64]) -> Vec<f64> {
        fit(method, &[part("fan", &[reference])]).apply(&part("fan", &[scores])).scores.row(0).to_vec()
    }

    #[test]
    fn by_hand() {
        let reference = [1.0, 2.0, 2.0, 3.0, 7.0];
        let scores = [0.0, 1.0, 2.0, 2.5, 7.0, 9.0];
        assert_eq!(normalised(NormaliseMethod::None, &reference, &scores), scores);
        let found = normalised(NormaliseMethod::MinMax, &reference, &scores);
        let expected = scores.map(|score| (score - 1.0) / 6.0);
        assert!(found.iter().zip(expected).all(|(found, expected)| (found - expected).abs() < 1e-15));
        // Mean 3, variance (4 + 1 + 1 + 0 + 16) / 5; both are rounded before they are used.
        let found = normalised(NormaliseMethod::ZScore, &reference, &scores);
        let expected = scores.map(|score| (score - 3.0) / 4.4_f64.sqrt());
        assert!(found.iter().zip(expected).all(|(found, expected)| (found - expected).abs() < 1e-14));
        // Shares 0.1, 0.4 (twice), 0.7, 0.9; between 2 and 3 half way; tails of scale √4.4.
        let s = 4.4_f64.sqrt();
        let expected = [0.1 * s / (s + 1.0), 0.1, 0.4, 0.55, 0.9, 1.0 - 0.1 * s / (s + 2.0)];
        let found = normalised(NormaliseMethod::Rank, &reference, &scores);
        assert!(
            found.iter().zip(expected).all(|(found, expected)| (found - expected).abs() < 1e-15),
            "{found:?}"
        );
    }

    #[test]
    fn gamma_scores_of_gamma_numbers_are_exponential() {
        // Erlang numbers of shape 3 at even quantiles of their own distribution.
        let reference: Vec<f64> = (0..800)
            .map(|k| {
                let p = (f64::from(k) + 0.5) / 800.0;
                let (mut low, mut high) = (0.0, 100.0);
                for _ in 0..80 {
                    let middle = 0.5 * (low + high);
                    if 1.0 - (-surprise(3.0, middle)).exp() < p { low = middle } else { high = middle }
                }
                10.0 + 2.0 * low
            })
            .collect();
        let found = normalised(NormaliseMethod::Gamma, &reference, &reference);
        for (k, found) in found.iter().enumerate().skip(40) {
            let expected = -(1.0 - (k as f64 + 0.5) / 800.0).ln();
            // The fit to 800 quantiles is not the distribution itself.
            assert!((found - expected).abs() < 0.05 * expected.max(0.2), "{k}: {found} {expected}");
        }
    }

    #[test]
    fn constant_references_contribute_nothing_and_are_named() {
        let noisy = [0.3, 0.3 + 1e-16, 0.3 - 1e-16, 0.3];
        for method in ALL.into_iter().filter(|method| *method != NormaliseMethod::None) {
            if method == NormaliseMethod::Gamma {
                continue; // ten scores at least
            }
            let found = fit(method, &[part("fan", &[&[1.0, 2.0, 3.0, 4.0], &noisy])]);
            assert_eq!(found.notes.len(), 1);
            assert!(
                found.notes[0].starts_with("`S2`, machine fan: the 4 reference scores are all"),
                "{:?}",
                found.notes
            );
            let scores = found.apply(&part("fan", &[&[5.0, 1.0], &[0.1, 9.0]])).scores;
            assert_eq!(scores.row(1).to_vec(), [0.0, 0.0]);
            assert!(scores[[0, 0]] > scores[[0, 1]]);
        }
    }

    #[test]
    fn unknown_machines_take_all_machines_together() {
        let reference = [part("fan", &[&[0.0, 2.0]]), part("valve", &[&[4.0, 10.0]])];
        let found = fit(NormaliseMethod::MinMax, &reference);
        let at = |machine: &str| found.apply(&part(machine, &[&[5.0]])).scores[[0, 0]];
        assert_eq!((at("fan"), at("valve"), at("pump")), (2.5, 1.0 / 6.0, 0.5));
        let told = found.unknown(&[part("fan", &[&[1.0]]), part("pump", &[&[1.0]])]).unwrap();
        assert!(told.contains("no reference scores of pump") && told.contains("fan, valve"), "{told}");
        assert_eq!(found.unknown(&reference), None);
    }

    #[test]
    fn what_cannot_be_fitted_is_told() {
        let few = Normaliser::fit(NormaliseMethod::ZScore, &["S1".to_owned()], [].into_iter()).unwrap_err();
        assert!(few.to_string().contains("no reference scores"));
        // Too few for a gamma distribution: the scores' own distribution, which keeps the scale.
        let found = fit(NormaliseMethod::Gamma, &[part("fan", &[&[1.0, 2.0, 3.0]])]);
        assert!(found.notes[0].contains("too few for a fit"), "{:?}", found.notes);
        let scores = found.apply(&part("fan", &[&[2.0, 1e9, 2e9]])).scores;
        assert!((scores[[0, 0]] - 2.0_f64.ln()).abs() < 1e-15);
        assert!(scores[[0, 1]] < scores[[0, 2]] && scores[[0, 2]].is_finite());
    }

    proptest! {
        #[test]
        fn order_is_kept_beyond_the_reference_too(
            reference in prop::collection::vec(0.0..10.0_f64, 12..60),
            low in -50.0..60.0_f64,
            step in 0.001..5.0_f64,
        ) {
            for method in ALL {
                // Far below a nearly symmetric gamma distribution the probability is 0 in f64.
                let low = if method == NormaliseMethod::Gamma { low.max(0.0) } else { low };
                let found = normalised(method, &reference, &[low, low + step]);
                prop_assert!(found[0] < found[1], "{:?}: {:?}", method, found);
            }
        }

        #[test]
        fn the_order_of_the_reference_changes_no_bit(reference in prop::collection::vec(-5.0..5.0_f64, 12..40)) {
            let reversed: Vec<f64> = reference.iter().rev().copied().collect();
            for method in ALL {
                prop_assert_eq!(
                    normalised(method, &reference, &[-6.0, 0.1, 7.0]),
                    normalised(method, &reversed, &[-6.0, 0.1, 7.0])
                );
            }
        }
    }
}
