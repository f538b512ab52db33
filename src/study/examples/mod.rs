//! What a trained network makes of a clip, for eyes: spectrograms of a clip and its reconstruction, of a mixture and what
//! is found in it.

mod reconstruction;
mod separation;

use std::io;

use super::Error;
use super::results::Error as ResultsError;
use super::trained_run::{read_run, read_weights};
use crate::audio::{self, LogMel};
use crate::config::TaskConfig;
use crate::dataset;
use crate::device::OpenDevice;
use crate::files;
use crate::report::figure::{Frequencies, HeatMap, HeatMaps};
use crate::run::RunFolder;

/// Pictures of a trained run at work on the test clips that it was judged with, with its own settings: for an autoencoder a
/// normal and an anomalous clip beside their reconstructions, for a separator one of its mixtures. None for the families
/// whose networks give no sound back. `places` are `--set` arguments that say where the recordings are now.
///
/// # Errors
/// When the run is not trained or not evaluated, when its data set is not where its configuration and `places` say or is
/// another one, when the device fails.
pub fn of(folder: &RunFolder, places: &[String], device: &OpenDevice) -> Result<Vec<HeatMaps>, Error> {
    let (experiment, manifest) = read_run(folder, places)?;
    let weights = || read_weights(folder, &manifest).map(|(bytes, _)| bytes);
    match &experiment.task {
        TaskConfig::Autoencoder(task) => {
            let (machine, weights) = (&manifest.machine, weights()?);
            reconstruction::examples(folder, &experiment, task, machine, &weights, device)
        }
        TaskConfig::Separation(task) => {
            let (machine, weights) = (&manifest.machine, weights()?);
            separation::example(folder, &experiment, task, machine, &weights, device).map(|one| vec![one])
        }
        TaskConfig::Classification(_) | TaskConfig::Contrastive(_) | TaskConfig::Pretrained(_) => {
            Ok(Vec::new())
        }
    }
}

/// One spectrogram in the front end's decibels.
fn panel(title: String, logmel: ndarray::Array2<f32>, front_end: &LogMel) -> HeatMap {
    let spec = front_end.spec();
    HeatMap {
        title,
        duration_s: logmel.nrows() as f64 * spec.hop_samples as f64 / f64::from(spec.rate_hz.max(1)),
        values: logmel,
        frequencies: Frequencies::MelEdges(front_end.band_edges_hz()),
    }
}

fn in_sound(error: audio::Error) -> Error {
    dataset::Error::from(error).into()
}

fn not_evaluated(folder: &RunFolder) -> Error {
    ResultsError::NotEvaluated { path: folder.path().to_owned(), runs: 1 }.into()
}

/// The data set that a run was judged with has another one in its place; `name` is the run's file that says so.
fn other_recordings(folder: &RunFolder, name: &str) -> Error {
    let why = "the data set's recordings are not those that the run was judged with; judge it again with `asdbench eval`";
    unfit(folder, name, why)
}

/// A file of the run is not what it should be.
fn unfit(folder: &RunFolder, name: &str, why: &str) -> Error {
    files::Error::new("read", &folder.file(name), io::Error::other(why.to_owned())).into()
}

#[cfg(test)]
mod tests;
