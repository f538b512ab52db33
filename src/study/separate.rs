//! A trained separator at work on a recording, for ears.

use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::Error;
use super::trained_run::{read_run, read_weights};
use crate::audio::{self, SampleFormat, read_at_rate, write_wav};
use crate::config::{Experiment, TaskConfig};
use crate::device::OpenDevice;
use crate::metric::{SiSdr, Undefined, si_sdr};
use crate::nn::cmgan::Cmgan;
use crate::nn::init::Init;
use crate::nn::weights;
use crate::run::RunFolder;
use crate::task::separation::{estimate, fit, segments};
use crate::ui::Ui;
use crate::{dataset, files};

/// What is to be separated, with what, and where to.
#[derive(Debug, Clone, Copy)]
pub struct SeparationRequest<'a> {
    /// A folder at or above one run of the separation family.
    pub run: &'a Path,
    /// A WAV file of any length and rate.
    pub mixture: &'a Path,
    /// The machine alone, a WAV file as long as the mixture.
    pub target: Option<&'a Path>,
    /// Folder of the results.
    pub output: &'a Path,
}

/// What was separated; the result of `asdbench separate --format json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Separation {
    /// Version of this form.
    pub schema: u32,
    /// The run's folder.
    pub run: String,
    /// The machine type that it learnt.
    pub machine: String,
    /// The recording.
    pub mixture: String,
    /// Its length.
    pub duration_s: f64,
    /// The results' rate: the run's.
    pub rate_hz: u32,
    /// What is the machine's, scaled by least squares to the mixture.
    pub estimate: String,
    /// Mixture less estimate.
    pub residual: String,
    /// How good it is, where the machine alone was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub si_sdr: Option<Improvement>,
}

/// SI-SDR against the machine alone, over the whole recording.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Improvement {
    /// The machine alone.
    pub target: String,
    /// Of the mixture, in dB.
    pub before_db: Option<f64>,
    /// Of the estimate, in dB.
    pub after_db: Option<f64>,
    /// After less before, in dB.
    pub improvement_db: Option<f64>,
    /// Why one is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// Separate a recording and write `<stem>.estimate.wav` and `<stem>.residual.wav`, 32-bit floats, each whole or not at
/// all.
///
/// The network hears the recording at the run's rate, in segments that are cross-faded (see [`estimate`]). SI-SDR leaves
/// an estimate's level and sign free, so that the whole of it is scaled by the factor that leaves the least residual;
/// then estimate + residual = mixture.
///
/// # Errors
/// When the run is none of the separation family or not trained, when a WAV file cannot be read, is silent, or does not
/// fit the other, when the device fails, when the folder cannot be written.
pub fn separate(request: &SeparationRequest<'_>, device: &OpenDevice, ui: &Ui) -> Result<Separation, Error> {
    let folder = only_run(request.run)?;
    let (experiment, manifest) = read_run(&folder, &[])?;
    let TaskConfig::Separation(task) = &experiment.task else {
        let (path, family) = (folder.path().to_owned(), experiment.family());
        return Err(Error::SeparatesNothing { path, family });
    };
    let rate_hz = experiment.frontend.logmel.rate_hz;
    let (mixture, target) = recordings(request, &experiment)?;
    let [estimate_path, residual_path] = outputs(request)?;

    let (bytes, _) = read_weights(&folder, &manifest)?;
    // The seed does not matter: every value is replaced.
    let net = weights::from_safetensors(Cmgan::new(task.size(), Init::new(0, &device.device)), &bytes)
        .map_err(|source| Error::Weights { path: folder.model(), source })?;
    let samples = task.segment_samples(rate_hz);
    let bar = ui.bar(
        &request.mixture.display().to_string(),
        segments(mixture.len(), samples).len() as u64,
        "segments",
    );
    let mut estimate = estimate(&net, &mixture, samples, &device.device, &|| bar.add(1))?;
    bar.clear();
    if !fit(&mut estimate, &mixture) {
        ui.warn("the network finds nothing of its machine in the recording: the estimate is silent");
    }
    let residual: Vec<f32> =
        mixture.iter().zip(&estimate).map(|(mixture, estimate)| mixture - estimate).collect();

    files::make_folder(request.output)?;
    for (path, wave) in [(&estimate_path, &estimate), (&residual_path, &residual)] {
        write_wav(path, wave, rate_hz, SampleFormat::Float32).map_err(dataset::Error::from)?;
    }
    let ratio = |wave: &[f32], target: &[f32]| {
        let settings = SiSdr { zero_mean: task.zero_mean, epsilon: 0.0 };
        si_sdr(&exact(wave), &exact(target), settings)
    };
    let improvement = request
        .target
        .zip(target)
        .map(|(path, target)| improvement(path, ratio(&mixture, &target), ratio(&estimate, &target)));
    Ok(Separation {
        schema: 1,
        run: folder.path().display().to_string(),
        machine: manifest.machine,
        mixture: request.mixture.display().to_string(),
        duration_s: mixture.len() as f64 / f64::from(rate_hz),
        rate_hz,
        estimate: estimate_path.display().to_string(),
        residual: residual_path.display().to_string(),
        si_sdr: improvement,
    })
}

/// The mixture, and the machine alone where it is given.
fn recordings(
    request: &SeparationRequest<'_>,
    experiment: &Experiment,
) -> Result<(Vec<f32>, Option<Vec<f32>>), Error> {
    let mixture = read(request.mixture, experiment)?;
    let Some(path) = request.target else {
        return Ok((mixture, None));
    };
    let target = read(path, experiment)?;
    if target.len() == mixture.len() {
        return Ok((mixture, Some(target)));
    }
    Err(Error::TargetLength {
        target: path.to_owned(),
        found: target.len(),
        mixture: request.mixture.to_owned(),
        expected: mixture.len(),
        rate_hz: experiment.frontend.logmel.rate_hz,
    })
}

/// The run at or below a folder.
pub(super) fn only_run(above: &Path) -> Result<RunFolder, Error> {
    let mut found = RunFolder::find(above)?;
    match found.len() {
        1 => Ok(found.swap_remove(0)),
        runs => Err(Error::SeveralRuns { path: above.to_owned(), runs }),
    }
}

/// A recording as the run's clips were read, with some sound in it.
fn read(path: &Path, experiment: &Experiment) -> Result<Vec<f32>, Error> {
    let rate_hz = experiment.frontend.logmel.rate_hz;
    let wave = read_at_rate(path, experiment.data.channel, rate_hz).map_err(dataset::Error::from)?;
    if wave.iter().all(|sample| *sample == wave[0]) {
        return Err(dataset::Error::from(audio::Error::Silent { path: path.to_owned() }).into());
    }
    Ok(wave)
}

/// Where estimate and residual go: over neither of the recordings.
fn outputs(request: &SeparationRequest<'_>) -> Result<[PathBuf; 2], Error> {
    let stem = request.mixture.file_stem().unwrap_or_default().to_string_lossy();
    let paths = ["estimate", "residual"].map(|what| request.output.join(format!("{stem}.{what}.wav")));
    for input in [Some(request.mixture), request.target].into_iter().flatten() {
        let input = input.canonicalize().ok();
        if let Some(path) = paths.iter().find(|path| input.is_some() && path.canonicalize().ok() == input) {
            let source = io::Error::other("it is one of the recordings; choose another folder with -o");
            return Err(dataset::Error::Io { action: "write", path: path.clone(), source }.into());
        }
    }
    Ok(paths)
}

fn exact(wave: &[f32]) -> Vec<f64> {
    wave.iter().copied().map(f64::from).collect()
}

fn improvement(path: &Path, before: Result<f64, Undefined>, after: Result<f64, Undefined>) -> Improvement {
    let why = |of: &str, ratio: Result<f64, Undefined>| match ratio.err()? {
        Undefined::Infinite => {
            Some(format!("the {of} is the target itself or has nothing of it: no finite SI-SDR"))
        }
        why => Some(format!("{of}: {why}")),
    };
    Improvement {
        target: path.display().to_string(),
        before_db: before.ok(),
        after_db: after.ok(),
        improvement_db: after.ok().zip(before.ok()).map(|(after, before)| after - before),
        why: why("mixture", before).or_else(|| why("estimate", after)),
    }
}
