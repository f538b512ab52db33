//! Clips beside their reconstructions by an autoencoder.

use std::path::Path;

use burn::tensor::{Tensor, TensorData};
use ndarray::Array2;

use super::{in_sound, not_evaluated, other_recordings, panel, unfit};
use crate::audio::LogMel;
use crate::config::{AutoencoderConfig, Experiment, OnBadClip};
use crate::dataset::{self, EvaluationClips, LabelledClip};
use crate::device::OpenDevice;
use crate::nn::autoencoder::Autoencoder;
use crate::nn::init::Init;
use crate::nn::weights;
use crate::report::figure::HeatMaps;
use crate::run::RunFolder;
use crate::study::training::WeightsMetadata;
use crate::study::{Error, Evaluation};
use crate::task::autoencoder::AutoencoderTask;
use crate::task::{Scaler, host};

/// What says which test clips the run was judged with.
const JUDGED: &str = "eval.json";
/// Windows that go through the network at once.
const WINDOWS: usize = 4096;

/// A clip and its log-mel.
type HeardClip<'a> = (&'a LabelledClip, Array2<f32>);

/// The first normal and the first anomalous test clip that can be read; the first of all where none has a label.
///
/// # Errors
/// When the run is not evaluated, the test clips are not those of then, the weights are none of this run's, a clip cannot be
/// read that may not be left out, or the device fails.
pub(super) fn examples(
    folder: &RunFolder,
    experiment: &Experiment,
    task: &AutoencoderConfig,
    machine: &str,
    bytes: &[u8],
    device: &OpenDevice,
) -> Result<Vec<HeatMaps>, Error> {
    let failed = |source| Error::Weights { path: folder.model(), source };
    let text = weights::metadata(bytes).map_err(failed)?;
    let saved: WeightsMetadata =
        serde_json::from_str(&text).map_err(|e| failed(weights::Error::Format(e.to_string())))?;
    let why = || format!("it has no scale of machine {machine}; train the run again");
    let scaler = *saved.scales.get(machine).ok_or_else(|| unfit(folder, "model.safetensors", &why()))?;
    let front_end = LogMel::new(&experiment.frontend.logmel).map_err(in_sound)?;
    let size = AutoencoderTask::size(task, front_end.spec().n_mels);
    // The seed does not matter: every value is replaced.
    let fresh = Autoencoder::new(size, Init::new(0, &device.device));
    let net = weights::from_safetensors(fresh, bytes).map_err(failed)?;

    let clips = judged_clips(folder, experiment, machine)?;
    let picture = |(clip, logmel): HeardClip<'_>| {
        let found = reconstruct(&logmel, task.frames, scaler, |windows, width| {
            let count = windows.len() / width;
            let x = Tensor::<2>::from_data(TensorData::new(windows, [count, width]), &device.device);
            Ok(host(net.forward(x))?)
        })?;
        let error = (&found - &logmel).mapv(|error| f64::from(error.abs())).mean().unwrap_or(f64::NAN);
        let label = match clip.anomalous {
            Some(true) => "anomalous",
            Some(false) => "normal",
            None => "no label",
        };
        Ok(HeatMaps {
            title: format!("{machine}, {label}: {}", clip.clip.file_name()),
            unit: "dB".into(),
            panels: vec![
                panel("Log-mel".into(), logmel, &front_end),
                panel(format!("Reconstruction, mean absolute error {error:.2} dB"), found, &front_end),
            ],
        })
    };
    let heard = |clip: &LabelledClip| hear(&clips.root.join(&clip.clip.path), experiment, task, &front_end);
    chosen(&clips, experiment.data.on_bad_clip, heard)?.into_iter().map(picture).collect()
}

/// The test clips of a machine, which are those that the run was judged with.
fn judged_clips(
    folder: &RunFolder,
    experiment: &Experiment,
    machine: &str,
) -> Result<EvaluationClips, Error> {
    if !folder.file(JUDGED).exists() {
        return Err(not_evaluated(folder));
    }
    let evaluation: Evaluation = folder.read_json(JUDGED)?;
    let clips = dataset::index(&experiment.data)?.evaluation(machine)?;
    match clips.fingerprint()? == evaluation.test_fingerprint {
        true => Ok(clips),
        false => Err(other_recordings(folder, JUDGED)),
    }
}

/// A clip's log-mel.
fn hear(
    path: &Path,
    experiment: &Experiment,
    task: &AutoencoderConfig,
    front_end: &LogMel,
) -> Result<Array2<f32>, Error> {
    let in_clip = |error: crate::audio::Error| in_sound(error.in_file(path));
    let samples = front_end.read_clip(path, experiment.data.channel).map_err(in_sound)?;
    front_end.check_length(samples.len(), task.frames).map_err(in_clip)?;
    front_end.compute(&samples).map_err(in_clip)
}

/// The first clip of either label that is `heard`, with what was; the first of all where none has a label.
fn chosen<'a>(
    clips: &'a EvaluationClips,
    on_bad_clip: OnBadClip,
    heard: impl Fn(&LabelledClip) -> Result<Array2<f32>, Error>,
) -> Result<Vec<HeardClip<'a>>, Error> {
    let first = |label: Option<bool>| {
        for clip in clips.clips.iter().filter(|clip| clip.anomalous == label) {
            match heard(clip) {
                // The evaluation left it out too.
                Err(_) if on_bad_clip == OnBadClip::Skip => {}
                found => return found.map(|logmel| Some((clip, logmel))),
            }
        }
        Ok(None)
    };
    let labelled: Vec<_> = [first(Some(false))?, first(Some(true))?].into_iter().flatten().collect();
    match labelled.is_empty() {
        true => Ok(first(None)?.into_iter().collect()),
        false => Ok(labelled),
    }
}

/// A log-mel, `[frames, n_mels]` in dB, from the reconstructions of its windows of `length` frames: each frame is the mean
/// of what the windows that it is in make of it. `network` takes some windows, scaled, and their width.
fn reconstruct(
    logmel: &Array2<f32>,
    length: usize,
    scaler: Scaler,
    mut network: impl FnMut(Vec<f32>, usize) -> Result<Vec<f32>, Error>,
) -> Result<Array2<f32>, Error> {
    let (frames, n_mels) = logmel.dim();
    let mut scaled: Vec<f32> = logmel.iter().copied().collect();
    scaler.apply(&mut scaled);
    let (windows, width) = (frames + 1 - length, length * n_mels);
    let mut sums = vec![0.0_f64; frames * n_mels];
    for first in (0..windows).step_by(WINDOWS) {
        let some = first..windows.min(first + WINDOWS);
        let values = some.clone().flat_map(|window| scaled[window * n_mels..][..width].iter().copied());
        let found = network(values.collect(), width)?;
        for (window, found) in some.zip(found.chunks_exact(width)) {
            for (sum, value) in sums[window * n_mels..][..width].iter_mut().zip(found) {
                *sum += f64::from(*value);
            }
        }
    }
    // At both ends a frame is in fewer windows.
    let of = |frame: usize| (frame + 1).min(length).min(frames - frame).min(windows) as f64;
    Ok(Array2::from_shape_fn((frames, n_mels), |(frame, band)| {
        let mean = (sums[frame * n_mels + band] / of(frame)) as f32;
        mean / scaler.gain + scaler.offset
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_that_are_left_as_they_are_are_the_clip() {
        let scaler = Scaler { offset: -80.0, gain: 0.02 };
        for frames in [5, 6, 9, 12, 5000] {
            let logmel = Array2::from_shape_fn((frames, 3), |(frame, band)| {
                -60.0 + 9.0 * ((frame * 3 + band) as f32).sin()
            });
            let mut seen = 0;
            let found = reconstruct(&logmel, 5, scaler, |windows, width| {
                assert_eq!((width, windows.len() % width), (15, 0));
                seen += windows.len() / width;
                Ok(windows)
            });
            assert_eq!(seen, frames - 4);
            // Scaled to 0..1 and back in f32.
            assert!(found.unwrap().iter().zip(&logmel).all(|(a, b)| (a - b).abs() < 1e-4), "{frames}");
        }
    }

    #[test]
    fn a_frame_is_the_mean_of_its_windows() {
        let logmel = Array2::zeros((4, 1));
        let mut window = 0.0;
        let found = reconstruct(&logmel, 2, Scaler::IDENTITY, |windows, width| {
            let numbered = windows.chunks_exact(width).flat_map(|part| {
                window += 1.0;
                vec![window; part.len()]
            });
            Ok(numbered.collect())
        });
        assert_eq!(found.unwrap().into_raw_vec_and_offset().0, [1.0, 1.5, 2.5, 3.0]);
    }
}
