//! Where a trial stands, from its folder alone: a few small files, and what its data set's clips hash to, which is known once
//! for each machine type.

use crate::files;
use crate::run::Manifest;
use crate::study::trained_run::read_weights;
use crate::study::{Error, Evaluation, Recordings, Trial, TrialState};

/// Where a trial stands.
#[derive(Debug, Clone, PartialEq)]
pub enum Standing {
    /// Nothing is there.
    New,
    /// Its training was begun.
    Resume,
    /// Trained; not judged, or judged in another way or on other clips than now.
    Trained,
    /// Trained and judged.
    Done,
}

impl Standing {
    /// In one word.
    pub fn word(&self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Resume => "resume",
            Self::Trained => "trained",
            Self::Done => "done",
        }
    }
}

/// Where a trial stands.
///
/// # Errors
/// As [`Trial::state`].
pub(super) fn standing(trial: &Trial, recordings: &Recordings<'_>) -> Result<Standing, Error> {
    Ok(match trial.state(recordings)? {
        TrialState::New => Standing::New,
        TrialState::Resume => Standing::Resume,
        TrialState::Done => match is_judged(trial, recordings)? {
            true => Standing::Done,
            false => Standing::Trained,
        },
    })
}

/// Whether a trained run has an evaluation, and judging it again would say the same.
fn is_judged(trial: &Trial, recordings: &Recordings<'_>) -> Result<bool, Error> {
    // One that is not there, or damaged, is made again.
    let (Ok(found), Some(manifest)) =
        (trial.folder.read_json::<Evaluation>("eval.json"), trial.folder.manifest()?)
    else {
        return Ok(false);
    };
    // Runs that were judged before there were detectors have no scores of their training clips, and need none.
    let training_scores = found.detectors.is_empty() || trial.folder.file("training_scores.csv").exists();
    let mixed_with = found.interference.as_ref().map(|of| &of.fingerprint);
    Ok(found.schema == 1
        && found.settings == trial.experiment.eval
        && ["features.npz", "scores.csv"].iter().all(|name| trial.folder.file(name).exists())
        && training_scores
        && found.model == model(trial, &manifest, recordings)?
        && found.test_fingerprint == recordings.evaluation_fingerprint(&trial.machine)?
        && mixed_with == recordings.held_out_fingerprint(&trial.machine, &trial.experiment)?.as_ref())
}

/// BLAKE3 of what the run is judged with.
fn model(trial: &Trial, manifest: &Manifest, recordings: &Recordings<'_>) -> Result<String, Error> {
    if let Some(checkpoint) = recordings.checkpoint_hash(&trial.experiment)? {
        return Ok(checkpoint);
    }
    match &manifest.model {
        Some(model) => Ok(model.clone()),
        // Of before manifests had it.
        None => Ok(read_weights(&trial.folder, manifest)?.1),
    }
}

/// Part of a training that is done, from 0 to 1: its epochs, as its metrics have them.
pub(super) fn trained_part(trial: &Trial) -> f64 {
    let lines = files::read_own(&trial.folder.metrics())
        .map_or(0, |bytes| bytes.iter().filter(|byte| **byte == b'\n').count());
    (lines as f64 / trial.experiment.train.epochs.max(1) as f64).min(1.0)
}
