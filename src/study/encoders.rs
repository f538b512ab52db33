//! Checkpoints of the pretrained family, opened once for all runs of a command that hear with them: whatever these take of
//! the tokens, the weights are on the device once.

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use super::{Error, Recordings};
use crate::config::{Experiment, PretrainedConfig};
use crate::device::OpenDevice;
use crate::nn::precision::Precision;
use crate::task::pretrained::{CheckpointFile, Embedder};
use crate::task::{self, Sounds, TrainingSet};

/// What was opened so far; one of them has its weights on the device.
#[derive(Default)]
pub(super) struct Encoders {
    files: RefCell<Vec<CheckpointFile>>,
    opened: RefCell<Vec<Rc<Embedder>>>,
}

impl Encoders {
    /// Reads a file whose hash is not known.
    fn file(&self, path: &Path) -> Result<CheckpointFile, task::Error> {
        let mut files = self.files.borrow_mut();
        files.retain(CheckpointFile::is_unchanged);
        if let Some(known) = files.iter().find(|file| file.path() == path) {
            return Ok(known.clone());
        }
        let file = CheckpointFile::open(path)?;
        files.push(file.clone());
        Ok(file)
    }

    fn open(
        &self,
        config: &PretrainedConfig,
        precision: Precision,
        device: &OpenDevice,
    ) -> Result<Rc<Embedder>, task::Error> {
        let file = self.file(&config.checkpoint)?;
        let mut opened = self.opened.borrow_mut();
        let known = opened.iter().find(|known| known.is_of(&file, config, precision)).map(Rc::clone);
        let embedder = match &known {
            Some(known) => Rc::clone(known),
            None => {
                let fresh = Embedder::of_file(file, config, precision, &device.device)?;
                let sharing = opened.iter().find(|other| other.same_network(&fresh));
                Rc::new(match sharing {
                    Some(other) => fresh.share(other),
                    None => fresh,
                })
            }
        };
        // A large one takes 1.2 GB of a device's memory.
        opened.iter().filter(|other| !other.same_network(&embedder)).for_each(|other| other.release());
        if known.is_none() {
            opened.push(Rc::clone(&embedder));
        }
        Ok(embedder)
    }
}

impl Recordings<'_> {
    /// The encoder of a family that trains none; `None` of the others.
    ///
    /// # Errors
    /// When its checkpoint is not there, cannot be used, or has not what the experiment asks for.
    pub(super) fn encoder(
        &self,
        experiment: &Experiment,
        device: &OpenDevice,
    ) -> Result<Option<Rc<Embedder>>, Error> {
        let open = |config| self.encoders.open(config, experiment.train.precision, device);
        Ok(experiment.task.pretrained().map(open).transpose()?)
    }

    /// BLAKE3 of the checkpoint of a family that trains nothing; `None` of the others.
    ///
    /// # Errors
    /// When it is not there.
    pub(super) fn checkpoint_hash(&self, experiment: &Experiment) -> Result<Option<String>, Error> {
        let hash =
            |config: &PretrainedConfig| Ok(self.encoders.file(&config.checkpoint)?.content_hash().to_owned());
        experiment.task.pretrained().map(hash).transpose()
    }

    /// As [`Recordings::training_sets`], without clips that are too short or too long for an encoder.
    ///
    /// # Errors
    /// As there, and as [`Recordings::audible`].
    pub(super) fn audible_training_sets(
        &self,
        machines: &[String],
        experiment: &Experiment,
        encoder: Option<&Embedder>,
    ) -> Result<Vec<TrainingSet>, Error> {
        let audible = |set: TrainingSet| {
            let sounds = self.audible(set.clips().machine(), set.sounds(), encoder)?;
            Ok(set.with_sounds(sounds)?)
        };
        self.training_sets(machines, experiment)?.into_iter().map(audible).collect()
    }

    /// A machine's clips without those that are too short or too long for an encoder, where there is one: these are bad.
    ///
    /// # Errors
    /// When there are some and bad clips are errors, or when no clip is left.
    pub(super) fn audible(
        &self,
        machine: &str,
        sounds: &Arc<Sounds>,
        encoder: Option<&Embedder>,
    ) -> Result<Arc<Sounds>, Error> {
        let Some(embedder) = encoder else {
            return Ok(Arc::clone(sounds));
        };
        let waves = sounds.waves()?;
        if waves.clips().iter().all(|clip| embedder.check_length(clip.samples).is_ok()) {
            return Ok(Arc::clone(sounds));
        }
        let fitting = waves.fitting(self.config.on_bad_clip, |samples| embedder.check_length(samples))?;
        let is_new = |path: &str| waves.bad().iter().all(|known| known.path != path);
        for bad in fitting.bad().iter().filter(|bad| is_new(&bad.path)) {
            self.ui.warn(&format!("left out {}: {}", bad.path, bad.reason));
        }
        if fitting.clips().is_empty() {
            let first = fitting.bad().first().map_or(String::new(), |bad| bad.reason.clone());
            let all = fitting.bad().len();
            return Err(task::Error::NoClip(all, format!("machine `{machine}`"), first).into());
        }
        Ok(Arc::new(Sounds::Waves(fitting)))
    }
}
