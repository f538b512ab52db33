//! A trained run's files, as they were when its training ended.

use super::Error;
use super::training::{CONFIG, MODEL, trained_hashes};
use crate::config::{self, Experiment};
use crate::run::{Manifest, RunFolder, Status};

/// Configuration and manifest of a trained run; `sets` are `--set` arguments that change nothing that was trained.
///
/// # Errors
/// When the run is not trained to its end, or not with this configuration.
pub(super) fn read_run(folder: &RunFolder, sets: &[String]) -> Result<(Experiment, Manifest), Error> {
    let path = || folder.path().to_owned();
    let status = folder.status()?;
    let trained = |manifest: &Manifest| {
        // What was trained elsewhere is not in the folder.
        status == Some(Status::Done) && (manifest.pretrained.is_some() || folder.model().exists())
    };
    let Some(manifest) = folder.manifest()?.filter(trained) else {
        let status = match status {
            None => "it was not begun".into(),
            Some(Status::Running) if folder.lock().is_ok() => "it was stopped before its end".into(),
            Some(Status::Running) => "it is running".into(),
            Some(Status::Interrupted) => "it was interrupted".into(),
            Some(Status::Failed(why)) => format!("it failed: {why}"),
            Some(Status::Done) => "its model.safetensors is gone".into(),
        };
        return Err(Error::NotTrained { path: path(), status });
    };
    folder.check(CONFIG, &manifest.artefacts)?;
    let experiment = config::load(&folder.file(CONFIG), sets)?.experiment;
    if experiment.training_hash() != manifest.config_hash {
        return Err(Error::ChangedTraining(path()));
    }
    Ok((experiment, manifest))
}

/// The weights of a run, as a file's content, and their BLAKE3.
///
/// # Errors
/// When they cannot be read or are not what the training wrote.
pub(super) fn read_weights(folder: &RunFolder, manifest: &Manifest) -> Result<(Vec<u8>, String), Error> {
    let bytes = folder.read_sound(MODEL, &trained_hashes(manifest))?;
    let model = blake3::hash(&bytes).to_hex().to_string();
    Ok((bytes, model))
}
