//! The linear probe: how well one linear layer, trained on labelled test clips, separates normal from anomalous clips it
//! has not seen. *In-domain*: half of every section trains, the other half is tested. *Out-domain*: one section is left
//! out, the others train whole.
//!
//! The value is the AUC per section and its mean over sections. What a split does not allow is none with its reason.

use ndarray::{Array1, ArrayView2, Axis};
use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};

use super::logistic::{self, Linear};
use super::sections::{auc_of_rows, sections};
use super::{Error, ProbeClip, SectionAucs, adam, check_rows};
use crate::config::{LinearProbeConfig, ProbeSolver, ProbeSplit};
use crate::rng;

/// The `linear_probe` object of an `eval.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LinearProbe {
    /// Trained on one half of every section, tested on the other.
    pub in_domain: SectionAucs,
    /// Trained on the other sections whole, tested on the section named.
    pub out_domain: SectionAucs,
}

/// Probes `features` `[clips, dim]` of the labelled test `clips` of one machine type. `seed` decides the `seeded` split
/// and Adam's shuffles; the default settings use no chance.
///
/// # Errors
/// Rows and clips that do not match; features that are not finite.
pub fn evaluate(
    features: ArrayView2<f64>,
    clips: &[ProbeClip],
    config: &LinearProbeConfig,
    seed: u64,
) -> Result<LinearProbe, Error> {
    crate::linalg::use_one_blas_thread();
    check_rows(features, clips)?;
    let study = Study { features, clips, config, seed };
    Ok(LinearProbe { in_domain: study.in_domain(), out_domain: study.out_domain() })
}

/// One evaluation: the data and settings that all its probes share.
struct Study<'a> {
    features: ArrayView2<'a, f64>,
    clips: &'a [ProbeClip],
    config: &'a LinearProbeConfig,
    seed: u64,
}

impl Study<'_> {
    fn in_domain(&self) -> SectionAucs {
        let first_half = first_halves(self.clips, self.config.split, self.seed);
        let forward = self.half(&first_half, 0);
        if !self.config.swap {
            return SectionAucs::of_outcomes(forward);
        }
        let second_half: Vec<bool> = first_half.iter().map(|in_first| !in_first).collect();
        let backward = self.half(&second_half, 1);
        let both = forward.into_iter().zip(backward);
        SectionAucs::of_outcomes(
            both.map(|((section, a), (_, b))| (section, a.and_then(|a| Ok(0.5 * (a + b?))))),
        )
    }

    /// Trains one probe on the clips of all sections that are not `tested`, and tests it section by section.
    fn half(&self, tested: &[bool], fold: u64) -> Vec<(String, Result<f64, String>)> {
        let rows = |wanted: bool| -> Vec<usize> {
            (0..self.clips.len()).filter(|&row| tested[row] == wanted).collect()
        };
        let scores = self.probe(&rows(false), fold);
        let test = rows(true);
        let section_auc = |section: &str| {
            let rows: Vec<usize> =
                test.iter().copied().filter(|&row| self.clips[row].section == section).collect();
            auc_of_rows(scores.as_deref().map_err(Clone::clone)?, self.clips, &rows)
        };
        sections(self.clips).into_iter().map(|section| (section.to_owned(), section_auc(section))).collect()
    }

    fn out_domain(&self) -> SectionAucs {
        let sections = sections(self.clips);
        if let [only] = sections[..] {
            return SectionAucs::missing(format!(
                "leaving out section {only} leaves no other section to train on"
            ));
        }
        let outcomes = sections.into_iter().zip(2..).map(|(section, fold)| {
            let (test, train): (Vec<usize>, Vec<usize>) =
                (0..self.clips.len()).partition(|&row| self.clips[row].section == section);
            let outcome = self.probe(&train, fold).and_then(|scores| auc_of_rows(&scores, self.clips, &test));
            (section.to_owned(), outcome)
        });
        SectionAucs::of_outcomes(outcomes)
    }

    /// Trains a probe on the rows `train` and scores every clip with it, or says why there is no probe.
    fn probe(&self, train: &[usize], fold: u64) -> Result<Vec<f64>, String> {
        let labels: Vec<bool> = train.iter().map(|&row| self.clips[row].anomalous).collect();
        if labels.is_empty() {
            return Err("no clips to train the probe on".into());
        }
        if let Some(class) = [true, false].into_iter().find(|class| !labels.contains(class)) {
            let class = if class { "anomalous" } else { "normal" };
            return Err(format!("no {class} clips to train the probe on"));
        }
        let scaling = Standardiser::fit(self.features.select(Axis(0), train).view());
        let all = scaling.apply(self.features);
        let chosen = all.select(Axis(0), train);
        let linear = match self.config.solver {
            ProbeSolver::Adam => adam::train(chosen.view(), &labels, &self.config.adam, self.seed, fold),
            ProbeSolver::Lbfgs => self.converged(chosen.view(), &labels)?,
        };
        Ok(linear.log_odds(all.view()).to_vec())
    }

    /// The minimum of the regularised loss; a point short of it would depend on the solver, so it is no result.
    fn converged(&self, chosen: ArrayView2<f64>, labels: &[bool]) -> Result<Linear, String> {
        let LinearProbeConfig { c, tolerance, .. } = *self.config;
        let solution = logistic::minimise(chosen, labels, c, tolerance).map_err(|why| why.to_string())?;
        if solution.converged {
            return Ok(solution.linear);
        }
        Err(format!(
            "the linear probe stopped after {} iterations at a gradient of {:.1e}, above its tolerance of {tolerance:.1e}",
            solution.iterations, solution.gradient
        ))
    }
}

/// Column means and scales of a probe's training clips.
struct Standardiser {
    mean: Array1<f64>,
    scale: Array1<f64>,
}

impl Standardiser {
    fn fit(train: ArrayView2<f64>) -> Self {
        let n = train.nrows() as f64;
        let mean = train.sum_axis(Axis(0)) / n;
        let variance = train.rows().into_iter().fold(Array1::<f64>::zeros(mean.len()), |sum, row| {
            let centred = &row - &mean;
            sum + &centred * &centred
        }) / n;
        // A feature that only varies by the rounding of its mean is constant; dividing by that would blow noise up.
        let scale = ndarray::Zip::from(&variance).and(&mean).map_collect(|&variance, &mean| {
            let rounding = (n * mean * f64::EPSILON).powi(2) + n * f64::EPSILON * variance;
            if variance <= rounding { 1.0 } else { variance.sqrt() }
        });
        Self { mean, scale }
    }

    fn apply(&self, features: ArrayView2<f64>) -> ndarray::Array2<f64> {
        (&features - &self.mean) / &self.scale
    }
}

/// Marks, in every (section, label), the first half of the clips (the smaller where they are odd) in the order of their
/// names or, seeded, of a shuffle of it. In the forward direction these are the test clips.
fn first_halves(clips: &[ProbeClip], split: ProbeSplit, seed: u64) -> Vec<bool> {
    let mut first = vec![false; clips.len()];
    for section in sections(clips) {
        for anomalous in [false, true] {
            let mut rows: Vec<usize> = (0..clips.len())
                .filter(|&row| clips[row].section == section && clips[row].anomalous == anomalous)
                .collect();
            rows.sort_by(|&a, &b| clips[a].name.cmp(&clips[b].name));
            if split == ProbeSplit::Seeded {
                let purpose = format!("linear-probe/split/{section}");
                rows.shuffle(&mut rng::stream(seed, &purpose, u64::from(anomalous)));
            }
            for &row in &rows[..rows.len() / 2] {
                first[row] = true;
            }
        }
    }
    first
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;

    /// `per_class` clips of each label in every section; feature 0 separates them as far as `noise` lets it, feature 1 is
    /// constant, feature 2 tells the section.
    fn machine(sections: usize, per_class: usize, noise: f64) -> (Array2<f64>, Vec<ProbeClip>) {
        let mut clips = Vec::new();
        let mut rows = Vec::new();
        for section in 0..sections {
            for index in 0..2 * per_class {
                let anomalous = index % 2 == 1;
                clips.push(ProbeClip {
                    name: format!("{index:04}"),
                    section: format!("{section:02}"),
                    anomalous,
                });
                let wobble = ((index * 7919 + section * 104_729) % 1000) as f64 / 1000.0 - 0.5;
                rows.extend([f64::from(anomalous) + noise * wobble, 3.0, section as f64]);
            }
        }
        (Array2::from_shape_vec((clips.len(), 3), rows).unwrap(), clips)
    }

    #[test]
    fn separable_clips_have_a_perfect_probe_in_every_setting() {
        let (features, clips) = machine(3, 20, 0.5);
        for solver in [ProbeSolver::Lbfgs, ProbeSolver::Adam] {
            for split in [ProbeSplit::Sorted, ProbeSplit::Seeded] {
                for swap in [false, true] {
                    let mut config =
                        LinearProbeConfig { solver, split, swap, ..LinearProbeConfig::default() };
                    config.adam.lr = 0.01;
                    let found = evaluate(features.view(), &clips, &config, 3).unwrap();
                    assert_eq!(
                        (found.in_domain.auc, found.out_domain.auc),
                        (Some(1.0), Some(1.0)),
                        "{config:?}"
                    );
                    assert_eq!((found.in_domain.sections.len(), found.out_domain.sections.len()), (3, 3));
                }
            }
        }
    }

    #[test]
    fn the_sorted_split_tests_the_first_half_of_every_section_and_label() {
        let (_, mut clips) = machine(2, 3, 0.0);
        clips.reverse();
        let first = first_halves(&clips, ProbeSplit::Sorted, 0);
        // Per section: normals 0000, 0002, 0004 and anomalies 0001, 0003, 0005; the half of three is one.
        let named: Vec<(&str, &str)> = (clips.iter().zip(&first))
            .filter(|(_, f)| **f)
            .map(|(c, _)| (c.section.as_str(), c.name.as_str()))
            .collect();
        assert_eq!(named, [("01", "0001"), ("01", "0000"), ("00", "0001"), ("00", "0000")]);
        let seeded: Vec<_> = (0..20).map(|seed| first_halves(&clips, ProbeSplit::Seeded, seed)).collect();
        assert!(seeded.iter().all(|half| half.iter().filter(|f| **f).count() == 4));
        assert!(seeded.iter().any(|half| *half != first));
        assert_eq!(seeded[5], first_halves(&clips, ProbeSplit::Seeded, 5));
    }

    #[test]
    fn row_order_and_feature_scale_do_not_matter() {
        let (features, clips) = machine(3, 20, 6.0);
        let config = LinearProbeConfig { swap: true, ..LinearProbeConfig::default() };
        let reference = evaluate(features.view(), &clips, &config, 0).unwrap();
        let auc = reference.in_domain.auc.unwrap();
        assert!(auc > 0.5 && auc < 1.0, "{auc}");
        let rows: Vec<usize> = (0..clips.len()).rev().collect();
        let reversed: Vec<ProbeClip> = rows.iter().map(|&row| clips[row].clone()).collect();
        let scaled = features.select(Axis(0), &rows) * 1e4 - 50.0;
        assert_eq!(evaluate(scaled.view(), &reversed, &config, 0).unwrap(), reference);
    }

    #[test]
    fn swapped_labels_mirror_the_scores_and_keep_the_auc() {
        let (features, clips) = machine(3, 20, 6.0);
        let config = LinearProbeConfig { swap: true, ..LinearProbeConfig::default() };
        let swapped: Vec<ProbeClip> = clips
            .iter()
            .cloned()
            .map(|mut clip| {
                clip.anomalous = !clip.anomalous;
                clip
            })
            .collect();
        let a = evaluate(features.view(), &clips, &config, 0).unwrap();
        let b = evaluate(features.view(), &swapped, &config, 0).unwrap();
        assert!((a.out_domain.auc.unwrap() - b.out_domain.auc.unwrap()).abs() < 1e-12);
        assert!((a.in_domain.auc.unwrap() - b.in_domain.auc.unwrap()).abs() < 1e-12);
    }

    #[test]
    fn what_a_split_does_not_allow_is_none_with_a_reason() {
        let config = LinearProbeConfig::default();
        let (features, clips) = machine(1, 4, 0.1);
        let single = evaluate(features.view(), &clips, &config, 0).unwrap();
        assert_eq!((single.in_domain.auc, single.out_domain.auc), (Some(1.0), None));
        assert!(single.out_domain.why.unwrap().contains("section 00"));

        let (features, mut clips) = machine(2, 4, 0.1);
        for clip in &mut clips {
            clip.anomalous &= clip.section == "01";
        }
        let lopsided = evaluate(features.view(), &clips, &config, 0).unwrap();
        assert_eq!((lopsided.in_domain.sections["00"], lopsided.in_domain.sections["01"]), (None, Some(1.0)));
        assert_eq!((lopsided.out_domain.sections["00"], lopsided.out_domain.sections["01"]), (None, None));
        let why = lopsided.out_domain.why.unwrap();
        assert!(why.contains("section 01: no anomalous clips to train the probe on"), "{why}");

        for clip in &mut clips {
            clip.anomalous = false;
        }
        let normal = evaluate(features.view(), &clips, &config, 0).unwrap();
        assert_eq!((normal.in_domain.auc, normal.out_domain.auc), (None, None));

        let none = evaluate(Array2::zeros((0, 3)).view(), &[], &config, 0).unwrap();
        assert!(none.in_domain.why.is_some() && none.out_domain.why.is_some());

        let strict = LinearProbeConfig { tolerance: 0.0, ..LinearProbeConfig::default() };
        let unmet = evaluate(features.view(), &machine(2, 4, 0.1).1, &strict, 0).unwrap();
        assert!(unmet.in_domain.auc.is_none() && unmet.in_domain.why.unwrap().contains("tolerance"));
    }

    #[test]
    fn features_that_do_not_belong_are_errors() {
        let (mut features, clips) = machine(2, 4, 0.1);
        let config = LinearProbeConfig::default();
        let short = evaluate(features.view(), &clips[1..], &config, 0).unwrap_err();
        assert!(matches!(short, Error::Rows { rows: 16, clips: 15 }));
        features[[5, 2]] = f64::NAN;
        let bad = evaluate(features.view(), &clips, &config, 0).unwrap_err();
        assert!(matches!(bad, Error::NotFinite { column: 2, .. }), "{bad}");
    }
}
