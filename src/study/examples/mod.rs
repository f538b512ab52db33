//! What a trained network makes of a clip, for eyes: spectrograms of a clip and its reconstruction, of a mixture and what
//! is found in it.

mod reconstruction;
mod separation;

use std::io;

use super::Error;
use super::trained_run::{read_run, read_weights};
use crate::audio::{self, LogMel};
use crate::config::TaskConfig;
use crate::dataset;
use crate::device::OpenDevice;
use crate::files;
use crate::report::figure::{Frequencies, HeatMap, HeatMaps};
use crate::run::RunFolder;

/// Pictures of a trained run at work on its own test clips, with its own settings: for an autoencoder a normal and an
/// anomalous clip beside their reconstructions, for a separator one of the mixtures that it was judged with. None for the
/// families whose networks give no sound back.
///
/// # Errors
/// When the run is not trained, when its data set is not where its configuration says, when the device fails; for a
/// separator also when the run is not evaluated.
pub fn of(folder: &RunFolder, device: &OpenDevice) -> Result<Vec<HeatMaps>, Error> {
    let (experiment, manifest) = read_run(folder, &[])?;
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

/// A file of the run is not what it should be.
fn unfit(folder: &RunFolder, name: &str, why: &str) -> Error {
    files::Error::new("read", &folder.file(name), io::Error::other(why.to_owned())).into()
}

#[cfg(test)]
mod tests;
