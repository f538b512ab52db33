//! What the scorers say of a run's features: the linear probe, the Mahalanobis distance, and the configured detectors, all of
//! one pass over the recordings.

use ndarray::{Array2, ArrayView2, Axis};
use serde::{Deserialize, Serialize};

use super::challenge::{Challenge, OfficialMetrics};
use super::inference::Features;
use super::{Error, artefacts};
use crate::config::{Banks, DetectorConfig, EvalConfig, Layout};
use crate::dataset::{Clip, LabelledClip};
use crate::official::NormalScores;
use crate::score::mahalanobis::{self, MahalanobisResult};
use crate::score::{
    BankSize, Detector, FittedScorer, LinearProbe, ProbeClip, SectionAucs, TrainingFeatures, check_finite,
    linear_probe,
};

/// A detector's object in an `eval.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DetectorResult {
    /// What it computes: the table of the configuration that it is written in.
    pub kind: String,
    /// From which clips.
    pub banks: Banks,
    /// AUC per section and their mean.
    #[serde(flatten)]
    pub aucs: SectionAucs,
    /// The challenge's metrics.
    pub official: OfficialMetrics,
    /// The banks that its scores come from; none where it could not be fitted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fitted_to: Vec<BankSize>,
    /// What was limited or left out while it was fitted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// What the scorers say.
pub(super) struct ScorersSay {
    pub linear_probe: LinearProbe,
    pub mahalanobis: MahalanobisResult,
    /// Mahalanobis distances; none where they cannot be had.
    pub scores: Option<Scores>,
    /// In the order of their names.
    pub detected: Vec<Detected>,
}

/// What one detector says.
pub(super) struct Detected {
    pub name: String,
    pub kind: &'static str,
    pub banks: Banks,
    pub aucs: SectionAucs,
    pub fitted_to: Vec<BankSize>,
    pub notes: Vec<String>,
    /// None where it could not be fitted, which `aucs` explains.
    pub scores: Option<Scores>,
}

/// Scores of clips, in their order; higher is more anomalous.
pub(super) struct Scores {
    /// Of the test clips.
    pub test: Vec<f64>,
    /// Of the training clips: what a threshold comes from.
    pub training: NormalScores,
}

impl Scores {
    /// The test clips `clips` as the challenge takes them.
    pub fn challenge<'a>(
        &'a self,
        machine: &'a str,
        layout: Layout,
        clips: &'a [&'a LabelledClip],
    ) -> Challenge<'a> {
        Challenge::new(machine, layout, clips, &self.test, &self.training)
    }
}

impl Detected {
    /// Its object, with what the challenge says of its scores.
    pub fn result(&self, challenge: Option<&Challenge<'_>>) -> DetectorResult {
        let official = match challenge {
            Some(challenge) => challenge.metrics(),
            None => OfficialMetrics::missing("there are no scores".into()),
        };
        DetectorResult {
            kind: self.kind.to_owned(),
            banks: self.banks,
            aucs: self.aucs.clone(),
            official,
            fitted_to: self.fitted_to.clone(),
            notes: self.notes.clone(),
        }
    }

    /// Its columns in the tables of test clips and of training clips.
    pub fn columns(&self) -> [artefacts::Column<'_>; 2] {
        let scores = self.scores.as_ref();
        let test = scores.map(|scores| scores.test.as_slice());
        let training = scores.map(|scores| scores.training.as_slice());
        [test, training].map(|scores| artefacts::Column { name: &self.name, scores })
    }
}

/// Fits to the features of the training clips `train`, in their order, and scores the test clips `clips`.
///
/// # Errors
/// Features that are not finite, or of another number than the clips; a detector that fails for another reason than that the
/// training clips allow no such model.
pub(super) fn apply_scorers(
    settings: &EvalConfig,
    seed: u64,
    train: &[&Clip],
    clips: &[&LabelledClip],
    features: &Features,
) -> Result<ScorersSay, Error> {
    let training = TrainingFeatures::of_training_clips(features.train.mapv(f64::from))
        .with_domains(train.iter().map(|clip| clip.domain).collect())?;
    let all: Array2<f64> = features.test.mapv(f64::from);
    let rows: Vec<usize> = (0..clips.len()).filter(|&row| clips[row].anomalous.is_some()).collect();
    let labelled = all.select(Axis(0), &rows);
    let named = |row: &usize| ProbeClip {
        name: clips[*row].clip.file_name().to_owned(),
        section: clips[*row].clip.section.clone(),
        anomalous: clips[*row].anomalous == Some(true),
    };
    let named: Vec<ProbeClip> = rows.iter().map(named).collect();
    let judged = mahalanobis::evaluate(&training, labelled.view(), &named, &settings.mahalanobis)?;
    let scores = match judged.fitted {
        Some(fitted) => Some(Scores {
            test: fitted.score(all.view())?,
            training: NormalScores::of_training_clips(fitted.score_training(&training)?),
        }),
        None => None,
    };
    let linear_probe = linear_probe::evaluate(labelled.view(), &named, &settings.linear_probe, seed)?;
    let mut detected = Vec::with_capacity(settings.detectors.len());
    if !settings.detectors.is_empty() {
        check_finite(training.view(), |row| train[row].path.display().to_string())?;
        check_finite(all.view(), |row| clips[row].clip.path.display().to_string())?;
    }
    for (name, config) in &settings.detectors {
        let (kind, banks) = (config.kind.name(), config.banks);
        let of = |aucs| Detected {
            name: name.clone(),
            kind,
            banks,
            aucs,
            fitted_to: Vec::new(),
            notes: Vec::new(),
            scores: None,
        };
        detected.push(match detect(config, seed, &training, all.view()) {
            Ok(Found { scores, fitted_to, notes }) => {
                let judged: Vec<f64> = rows.iter().map(|&row| scores.test[row]).collect();
                let aucs = SectionAucs::of_scores(&judged, &named);
                Detected { fitted_to, notes, scores: Some(scores), ..of(aucs) }
            }
            Err(error) if error.is_unfit() => of(SectionAucs::missing(format!("failed to {error}"))),
            Err(source) => return Err(Error::Detector { name: name.clone(), source }),
        });
    }
    Ok(ScorersSay { linear_probe, mahalanobis: judged.result, scores, detected })
}

/// What a fitted detector gives.
struct Found {
    scores: Scores,
    fitted_to: Vec<BankSize>,
    notes: Vec<String>,
}

fn detect(
    config: &DetectorConfig,
    seed: u64,
    training: &TrainingFeatures,
    test: ArrayView2<'_, f64>,
) -> Result<Found, crate::score::Error> {
    let fitted = Detector::new(config).fit(training, seed)?;
    let scores = Scores {
        test: fitted.score(test)?,
        training: NormalScores::of_training_clips(fitted.score_training()?),
    };
    Ok(Found { scores, fitted_to: fitted.banks(), notes: fitted.notes().to_vec() })
}
