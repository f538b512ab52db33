//! What a machine's clips are mixed with: other recordings, without labels.

use std::collections::HashSet;
use std::path::Path;

use super::{Error, Waves};
use crate::dataset::InterferenceClips;

/// Recordings to mix with: some while training, others when the training is judged.
///
/// A training gets the first kind alone, so that no test clip of any machine type can be heard in it.
#[derive(Debug, Clone)]
pub struct Interference {
    what: String,
    remark: Option<String>,
    train: Waves,
    held_out: Option<Waves>,
}

impl Interference {
    /// For a training: the samples of recordings that it may hear.
    ///
    /// # Errors
    /// [`Error::Fault`] where the samples are of others.
    pub fn of_training(what: String, recordings: &[InterferenceClips], train: Waves) -> Result<Self, Error> {
        let clips = recordings.iter().flat_map(|of| &of.sounds().clips);
        let allowed: HashSet<&Path> = clips.map(|clip| clip.path.as_path()).collect();
        match train.clips().iter().all(|clip| allowed.contains(Path::new(&clip.path))) {
            true => Ok(Self { what, remark: None, train, held_out: None }),
            false => Err(Error::Fault("a training was given interference that it must not hear")),
        }
    }

    /// For the evaluation of a training, with what must be known of the held-out recordings.
    pub fn with_held_out(self, held_out: Waves, remark: Option<String>) -> Self {
        Self { held_out: Some(held_out), remark, ..self }
    }

    /// Which recordings these are, in words.
    pub fn what(&self) -> &str {
        &self.what
    }

    /// What a reader of a result on the held-out recordings must know.
    pub fn remark(&self) -> Option<&str> {
        self.remark.as_deref()
    }

    /// To learn with.
    pub fn train(&self) -> &Waves {
        &self.train
    }

    /// To be judged with.
    ///
    /// # Errors
    /// [`Error::Fault`] in a training, which has none.
    pub fn held_out(&self) -> Result<&Waves, Error> {
        self.held_out.as_ref().ok_or(Error::Fault("a training asked for the held-out interference"))
    }
}
