//! Squared Mahalanobis distance to one global Gaussian of the normal training clips (eq. 5 of the study): the score is
//! `(h − μ)ᵀ Σ⁻¹ (h − μ)`, with no domain labels and one mean and covariance for all sections of a machine type.

use ndarray::ArrayView2;
use serde::{Deserialize, Serialize};

use super::{Error, FittedScorer, ProbeClip, Scorer, SectionAucs, TrainingFeatures, check_rows};
use crate::config::{CovarianceEstimator, MahalanobisConfig};
use crate::linalg::{self, Estimator, Gaussian};

/// The scorer, with the estimator of its covariance.
#[derive(Debug, Clone, Copy)]
pub struct Mahalanobis {
    estimator: Estimator,
}

impl Mahalanobis {
    /// A scorer with the configured estimator.
    pub fn new(config: &MahalanobisConfig) -> Self {
        let estimator = match config.estimator {
            CovarianceEstimator::LedoitWolf => Estimator::LedoitWolf,
            CovarianceEstimator::Oas => Estimator::Oas,
            CovarianceEstimator::Ridge => Estimator::Ridge { ridge: config.ridge },
            CovarianceEstimator::Pinv => Estimator::Pinv,
        };
        Self { estimator }
    }

    /// How it estimates a covariance.
    pub(super) fn estimator(self) -> Estimator {
        self.estimator
    }
}

impl Scorer for Mahalanobis {
    type Fitted = FittedMahalanobis;

    fn fit(&self, training: &TrainingFeatures) -> Result<FittedMahalanobis, Error> {
        Ok(FittedMahalanobis { gaussian: Gaussian::fit(training.view(), self.estimator)? })
    }
}

/// A fitted [`Mahalanobis`].
#[derive(Debug, Clone)]
pub struct FittedMahalanobis {
    gaussian: Gaussian,
}

impl FittedMahalanobis {
    /// Scores of the training clips themselves, which a decision threshold is set by.
    ///
    /// # Errors
    /// Features of another width.
    pub fn score_training(&self, training: &TrainingFeatures) -> Result<Vec<f64>, Error> {
        self.score(training.view())
    }
}

impl FittedScorer for FittedMahalanobis {
    fn score(&self, queries: ArrayView2<f64>) -> Result<Vec<f64>, Error> {
        Ok(self.gaussian.squared_distances(queries)?)
    }
}

/// The `mahalanobis` object of an `eval.json`. Its AUC is the mean of the sections' AUCs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MahalanobisResult {
    /// AUC per section and their mean.
    #[serde(flatten)]
    pub aucs: SectionAucs,
    /// Name of the covariance estimator.
    pub estimator: String,
    /// Ledoit-Wolf's or OAS's shrinkage; left out for the other estimators.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shrinkage: Option<f64>,
    /// Condition number of what was inverted ([`Gaussian::condition`]); none where nothing could be.
    pub condition: Option<f64>,
    /// Directions that count: below the features' dimension only for the pseudo-inverse.
    pub rank: Option<usize>,
}

/// Result and scores of one evaluation.
#[derive(Debug, Clone)]
pub struct Evaluation {
    /// What `eval.json` holds.
    pub result: MahalanobisResult,
    /// Score per clip, in their order; none where the covariance could not be inverted, which `result` explains.
    pub scores: Option<Vec<f64>>,
    /// What gave the scores, for other clips.
    pub fitted: Option<FittedMahalanobis>,
}

/// Fits to the training features and evaluates the labelled `clips`, whose features are the rows of `queries`
/// `[clips, dim]`. A covariance that cannot be had is a result without values and with the reason, not an error.
///
/// # Errors
/// Rows and clips that do not match, features of the clips that are not finite or of another width.
pub fn evaluate(
    training: &TrainingFeatures,
    queries: ArrayView2<f64>,
    clips: &[ProbeClip],
    config: &MahalanobisConfig,
) -> Result<Evaluation, Error> {
    check_rows(queries, clips)?;
    let scorer = Mahalanobis::new(config);
    let estimator = scorer.estimator.to_string();
    let fitted = match scorer.fit(training) {
        Ok(fitted) => fitted,
        Err(Error::Linalg(why)) => {
            let aucs = SectionAucs::missing(describe(&why));
            let result = MahalanobisResult { aucs, estimator, shrinkage: None, condition: None, rank: None };
            return Ok(Evaluation { result, scores: None, fitted: None });
        }
        Err(other) => return Err(other),
    };
    let scores = fitted.score(queries)?;
    let Gaussian { shrinkage, condition, rank, .. } = fitted.gaussian;
    let result = MahalanobisResult {
        aucs: SectionAucs::of_scores(&scores, clips),
        estimator,
        shrinkage,
        condition: Some(condition),
        rank: Some(rank),
    };
    Ok(Evaluation { result, scores: Some(scores), fitted: Some(fitted) })
}

/// The error as a reason that stands alone.
fn describe(why: &linalg::Error) -> String {
    format!("failed to {why}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array2, array};

    fn clips(labels: &[bool]) -> Vec<ProbeClip> {
        let clip = |(i, &anomalous): (usize, &bool)| ProbeClip {
            name: format!("{i:04}"),
            section: "00".into(),
            anomalous,
        };
        labels.iter().enumerate().map(clip).collect()
    }

    fn training() -> TrainingFeatures {
        let features = Array2::from_shape_fn((30, 3), |(i, j)| ((i * 37 + j * 11 + i * i * j) % 23) as f64);
        TrainingFeatures::of_training_clips(features)
    }

    #[test]
    fn far_clips_score_higher() {
        let queries = array![[11.0, 11.0, 11.0], [400.0, -300.0, 11.0]];
        use CovarianceEstimator::{LedoitWolf, Oas, Pinv, Ridge};
        for estimator in [LedoitWolf, Oas, Ridge, Pinv] {
            let config = MahalanobisConfig { estimator, ..MahalanobisConfig::default() };
            let found = evaluate(&training(), queries.view(), &clips(&[false, true]), &config).unwrap();
            assert_eq!(found.result.aucs.auc, Some(1.0));
            let scores = found.scores.unwrap();
            assert!(scores[0] < 3.0 && scores[1] > 1000.0, "{scores:?}");
            assert_eq!(found.result.shrinkage.is_some(), matches!(estimator, LedoitWolf | Oas));
        }
    }

    #[test]
    fn json_has_the_documented_shape() {
        let queries = array![[11.0, 11.0, 11.0], [400.0, -300.0, 11.0]];
        let found =
            evaluate(&training(), queries.view(), &clips(&[false, true]), &MahalanobisConfig::default())
                .unwrap();
        let json = serde_json::to_value(&found.result).unwrap();
        assert_eq!((json["auc"].as_f64(), json["sections"]["00"].as_f64()), (Some(1.0), Some(1.0)));
        assert_eq!(json["estimator"], "ledoit-wolf");
        assert!(
            json["shrinkage"].is_f64() && json["condition"].is_f64() && json.get("why").is_none(),
            "{json}"
        );
        assert_eq!(serde_json::from_value::<MahalanobisResult>(json).unwrap(), found.result);
    }

    #[test]
    fn a_covariance_that_cannot_be_had_is_explained() {
        let constant = TrainingFeatures::of_training_clips(Array2::ones((5, 3)));
        let queries = Array2::zeros((2, 3));
        let found =
            evaluate(&constant, queries.view(), &clips(&[false, true]), &MahalanobisConfig::default())
                .unwrap();
        assert_eq!((found.scores, found.result.aucs.auc), (None, None));
        assert!(found.result.aucs.why.unwrap().contains("never vary"));
        let one =
            evaluate(&training(), queries.view(), &clips(&[false, false]), &MahalanobisConfig::default())
                .unwrap();
        assert!(one.scores.is_some() && one.result.aucs.auc.is_none() && one.result.aucs.why.is_some());
    }

    #[test]
    fn features_of_something_else_are_errors() {
        let config = MahalanobisConfig::default();
        let run = |queries: Array2<f64>| {
            evaluate(&training(), queries.view(), &clips(&[false, true]), &config).unwrap_err()
        };
        assert!(matches!(run(Array2::zeros((3, 3))), Error::Rows { rows: 3, clips: 2 }));
        assert!(matches!(
            run(Array2::zeros((2, 4))),
            Error::Linalg(linalg::Error::Width { expected: 3, found: 4 })
        ));
        assert!(matches!(run(Array2::from_elem((2, 3), f64::NAN)), Error::NotFinite { column: 0, .. }));
    }
}
