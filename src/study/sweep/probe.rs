//! How long a configuration takes: a short training and its judging on a few clips of each machine type, in a folder of its
//! own that goes when it ends.

use std::rc::Rc;
use std::time::Instant;

use super::message::Probed;
use crate::device::OpenDevice;
use crate::files;
use crate::run::RunFolder;
use crate::study::{Error, Judge, Recordings, Trial, cache_folder, train};
use crate::train::{Interrupt, read_epochs};
use crate::ui::Ui;

/// Clips of each machine type and split.
const CLIPS: usize = 32;
/// The first one is longer: memory is taken, kernels are chosen.
const EPOCHS: usize = 2;

/// Try a trial out.
///
/// # Errors
/// As training and judging it.
pub(super) fn probe(
    trial: &Trial,
    recordings: &Recordings<'_>,
    device: &OpenDevice,
    interrupt: &Interrupt,
    ui: &Ui,
) -> Result<Probed, Error> {
    let place = tempfile::tempdir().map_err(|e| files::Error::new("make", &std::env::temp_dir(), e))?;
    let runs = place.path().canonicalize().map_err(|e| files::Error::new("open", place.path(), e))?;
    let cache = cache_folder(&runs);
    let sampled = Rc::new(recordings.sampled(CLIPS, cache.clone())?);
    let mut experiment = trial.experiment.clone();
    experiment.train.epochs = EPOCHS.min(experiment.train.epochs);
    let folder = RunFolder::of(&runs, &experiment, &trial.machine, trial.seed);
    let short = Trial { experiment, folder, ..trial.clone() };
    let data = &short.experiment.data;
    let judge = Judge::new(&[], device, ui).knowing(data, cache, Rc::clone(&sampled));

    train(&short, &sampled, device, interrupt, ui)?;
    if interrupt.requested() {
        return Err(Error::Interrupted);
    }
    // A family that trains nothing has no epoch.
    let epoch_s = read_epochs(&short.folder.metrics())?.last().map_or(0.0, |line| line.seconds);
    let mut learnt = 0;
    for machine in &trial.learnt {
        learnt += sampled.training_clips(machine)?;
    }
    let started = Instant::now();
    let clips = judge.evaluate(&short.folder)?.clips;
    let judged = clips.train + clips.test_normal + clips.test_anomalous + clips.test_unlabelled;
    let judging_s = started.elapsed().as_secs_f64();
    Ok(Probed { epoch_s: epoch_s / learnt.max(1) as f64, judging_s: judging_s / judged.max(1) as f64 })
}
