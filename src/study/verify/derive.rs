//! The numbers of an `eval.json`, once more from the files beside it: the scorers' AUCs and the challenge's metrics from
//! `scores.csv`, the distances, the threshold and the linear probe from `features.npz` with the run's seed.
//!
//! Proxy metrics cannot be had without the recordings; for them stands the checksum that `eval.json` carries.

use std::io::Cursor;

use ndarray::{Array2, Axis};
use serde::Serialize;
use serde_json::{Value, json};

use super::differences::Differences;
use super::scores::Scores;
use crate::dataset::LabelledClip;
use crate::official::{NormalScores, Threshold, Year};
use crate::report::npz_matrix;
use crate::run::{Manifest, RunFolder};
use crate::score::{FittedScorer, ProbeClip, SectionAucs, TrainingFeatures, linear_probe, mahalanobis};
use crate::study::Evaluation;
use crate::study::challenge::{Challenge, OfficialMetrics, threshold};

const FEATURES: &str = "features.npz";
const SCORES: &str = "scores.csv";
const TRAINING_SCORES: &str = "training_scores.csv";

/// By how much distances may differ, relatively, where another processor computed them: matrix products are summed in another
/// order, and a covariance of condition 1e8 leaves eight digits.
const ROUNDING: f64 = 1e-6;
/// By how much a probe's AUC may then differ: the order of a few clips that are nearly tied.
const NEARLY_TIED: f64 = 0.005;

/// What is wrong with a file.
type Wrong = (&'static str, String);

/// What came of deriving an evaluation's numbers.
#[derive(Debug, Default)]
pub(super) struct Derived {
    /// Values that were compared.
    pub compared: usize,
    /// What must be known of the comparison.
    pub notes: Vec<String>,
    /// What is wrong, by file.
    pub problems: Vec<Wrong>,
}

/// Derive what can be derived, and compare it with what is stated.
///
/// # Errors
/// The file that cannot be used, and why.
pub(super) fn derive(folder: &RunFolder, manifest: &Manifest, stated: &Evaluation) -> Result<Derived, Wrong> {
    let files = Files::read(folder, manifest, stated)?;
    let mut derived = Derived::default();
    let mut differences = Differences::default();
    let Files { scores, train, test, .. } = &files;
    let count = |label| scores.clips.iter().filter(|clip| clip.anomalous == label).count();
    let counts = json!({ "train": train.nrows(), "test_normal": count(Some(false)),
        "test_anomalous": count(Some(true)), "test_unlabelled": count(None), "skipped": stated.clips.skipped });
    differences.add("clips", &value(&stated.clips), &counts);

    let labelled = Labelled::of(&scores.clips);
    let features = test.select(Axis(0), &labelled.rows);
    let training = TrainingFeatures::of_training_clips(train.clone());
    let unfit = |error: crate::score::Error| (FEATURES, format!("failed to {error}"));
    let settings = &stated.settings;
    let judged = mahalanobis::evaluate(&training, features.view(), &labelled.clips, &settings.mahalanobis)
        .map_err(unfit)?;
    let distances = match &judged.fitted {
        None => None,
        Some(fitted) => Some((
            fitted.score(test.view()).map_err(unfit)?,
            fitted.score_training(&training).map_err(unfit)?,
        )),
    };
    let mut result = judged.result;
    let mut official = OfficialMetrics::missing("there are no Mahalanobis distances".into());
    let mut exact = true;
    match (&distances, &scores.mahalanobis) {
        (None, None) => {}
        (Some((of_test, of_training)), Some(written)) => {
            let apart = files.apart(of_test, of_training);
            if !(apart <= ROUNDING) {
                return Err((
                    SCORES,
                    format!(
                        "its distances are not those of features.npz: one differs by {apart:.1e} of its value"
                    ),
                ));
            }
            exact = apart == 0.0;
            if !exact {
                derived.notes.push(format!(
                    "distances computed here differ by {apart:.1e} of their values, as on another processor: what rests on them \
                     is compared to within rounding"
                ));
            }
            result.aucs = SectionAucs::of_scores(&labelled.scores(written), &labelled.clips);
            let mut threshold = threshold(&NormalScores::of_training_clips(of_training.clone()));
            if let (false, Ok(derived), Some(stated)) = (exact, &mut threshold, &stated.official.threshold)
                && near(derived.value, stated.value, 1e-2)
            {
                derived.value = stated.value;
            }
            official = files.official(
                manifest,
                stated,
                (written, scores.decisions.as_deref()),
                threshold,
                &mut derived,
            );
        }
        (had, _) => {
            let why = match had {
                Some(_) => "it has no distance of some clip, and by features.npz there is one",
                None => "it has distances, and by features.npz there can be none",
            };
            return Err((SCORES, why.to_owned()));
        }
    }
    differences.add("official", &value(&stated.official), &value(&official));
    differences.tolerance = if exact { 0.0 } else { ROUNDING };
    differences.add("mahalanobis", &value(&stated.mahalanobis), &value(&result));
    let probe =
        linear_probe::evaluate(features.view(), &labelled.clips, &settings.linear_probe, manifest.seed)
            .map_err(unfit)?;
    differences.tolerance = if exact { 0.0 } else { NEARLY_TIED };
    differences.add("linear_probe", &value(&stated.linear_probe), &value(&probe));
    differences.tolerance = 0.0;
    files.detectors(folder, manifest, stated, &labelled, &mut differences, &mut derived)?;

    derived.compared += differences.compared;
    derived.problems.extend(differences.found.into_iter().map(|why| ("eval.json", why)));
    Ok(derived)
}

/// What an evaluation left beside its `eval.json`.
struct Files {
    scores: Scores,
    /// Where the evaluation wrote them.
    training_scores: Option<Scores>,
    /// `[clips, dim]`.
    train: Array2<f64>,
    /// `[clips, dim]`.
    test: Array2<f64>,
}

impl Files {
    fn read(folder: &RunFolder, manifest: &Manifest, stated: &Evaluation) -> Result<Self, Wrong> {
        let read = |name: &'static str| {
            folder.read_sound(name, &stated.artefacts).map_err(|error| (name, error.to_string()))
        };
        let table = |name| Scores::parse(&read(name)?, &manifest.machine).map_err(|why| (name, why));
        let bytes = read(FEATURES)?;
        let matrix = |name: &str| {
            let matrix = npz_matrix(Cursor::new(&bytes), name).map_err(|why| (FEATURES, why))?;
            Ok(matrix.mapv(f64::from))
        };
        let (train, test) = (matrix("train")?, matrix("test")?);
        let scores = table(SCORES)?;
        let training_scores =
            stated.artefacts.contains_key(TRAINING_SCORES).then(|| table(TRAINING_SCORES)).transpose()?;
        let rows = |file, found: usize, expected: usize, of: &str| match found == expected {
            true => Ok(()),
            false => Err((file, format!("it has {found} rows, and features.npz has {expected} {of} clips"))),
        };
        rows(SCORES, scores.clips.len(), test.nrows(), "test")?;
        if let Some(of) = &training_scores {
            rows(TRAINING_SCORES, of.clips.len(), train.nrows(), "training")?;
        }
        Ok(Self { scores, training_scores, train, test })
    }

    /// The largest relative difference of the written distances to those that were computed.
    fn apart(&self, of_test: &[f64], of_training: &[f64]) -> f64 {
        let training = self.training_scores.as_ref().and_then(|of| of.mahalanobis.as_ref());
        let pairs = self.scores.mahalanobis.iter().flatten().zip(of_test);
        let further = training.into_iter().flatten().zip(of_training);
        pairs
            .chain(further)
            .map(|(a, b)| apart(*a, *b))
            .fold(0.0, |most, one| if one <= most { most } else { one })
    }

    /// The challenge's metrics of some scores; decisions that contradict the threshold are a problem.
    fn official(
        &self,
        manifest: &Manifest,
        stated: &Evaluation,
        (scores, written): (&[f64], Option<&[bool]>),
        threshold: Result<Threshold, String>,
        derived: &mut Derived,
    ) -> OfficialMetrics {
        let clips: Vec<&LabelledClip> = self.scores.clips.iter().collect();
        // Where no year is stated, no clip has a label: then there is no metric under any rules.
        let year = Year::ALL.into_iter().find(|year| Some(year.number()) == stated.official.year);
        let year = year.unwrap_or(Year::Y2022);
        let challenge = Challenge::of_threshold(&manifest.machine, year, &clips, scores, threshold);
        if let Some(written) = written {
            let decisions = challenge.decisions().unwrap_or_default();
            derived.compared += written.len();
            let other = written.iter().zip(&decisions).filter(|(a, b)| a != b).count()
                + written.len().abs_diff(decisions.len());
            if other > 0 {
                let why = format!(
                    "{other} of its {} decisions are not what its scores and the threshold say",
                    written.len()
                );
                derived.problems.push((SCORES, why));
            }
        }
        challenge.metrics()
    }

    /// AUCs and metrics of further detectors, each from its column of scores.
    fn detectors(
        &self,
        folder: &RunFolder,
        manifest: &Manifest,
        stated: &Evaluation,
        labelled: &Labelled,
        differences: &mut Differences,
        derived: &mut Derived,
    ) -> Result<(), Wrong> {
        if self.scores.detectors.is_empty() {
            return Ok(());
        }
        let document: Value =
            folder.read_json("eval.json").map_err(|error| ("eval.json", error.to_string()))?;
        for (name, scores) in &self.scores.detectors {
            let Some(one) = document["detectors"].get(name) else {
                derived
                    .problems
                    .push((SCORES, format!("its column `{name}` is of no detector of eval.json")));
                continue;
            };
            let aucs = SectionAucs::of_scores(&labelled.scores(scores), &labelled.clips);
            add_stated(differences, &format!("detectors.{name}"), one, &value(&aucs));
            let training = self.training_scores.as_ref().and_then(|of| of.detectors.get(name));
            if let (Some(official), Some(training)) = (one.get("official"), training) {
                let threshold = threshold(&NormalScores::of_training_clips(training.clone()));
                let found = self.official(manifest, stated, (scores, None), threshold, derived);
                add_stated(differences, &format!("detectors.{name}.official"), official, &value(&found));
            }
        }
        Ok(())
    }
}

/// Compare those keys of what was derived that are stated.
fn add_stated(differences: &mut Differences, at: &str, stated: &Value, derived: &Value) {
    for (key, value) in derived.as_object().into_iter().flatten() {
        if let Some(stated) = stated.get(key) {
            differences.add(&format!("{at}.{key}"), stated, value);
        }
    }
}

/// The test clips that have a label.
struct Labelled {
    /// Among all test clips.
    rows: Vec<usize>,
    clips: Vec<ProbeClip>,
}

impl Labelled {
    fn of(clips: &[LabelledClip]) -> Self {
        let rows: Vec<usize> = (0..clips.len()).filter(|&row| clips[row].anomalous.is_some()).collect();
        let named = |row: &usize| ProbeClip {
            name: clips[*row].clip.file_name().to_owned(),
            section: clips[*row].clip.section.clone(),
            anomalous: clips[*row].anomalous == Some(true),
        };
        let clips = rows.iter().map(named).collect();
        Self { rows, clips }
    }

    /// Their scores of those of all test clips.
    fn scores(&self, all: &[f64]) -> Vec<f64> {
        self.rows.iter().map(|&row| all[row]).collect()
    }
}

fn apart(a: f64, b: f64) -> f64 {
    if a == b { 0.0 } else { (a - b).abs() / a.abs().max(b.abs()) }
}

fn near(a: f64, b: f64, tolerance: f64) -> bool {
    apart(a, b) <= tolerance
}

/// As JSON; these types always have one.
fn value(of: &impl Serialize) -> Value {
    serde_json::to_value(of).unwrap_or_default()
}
