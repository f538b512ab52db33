//! What a task hears of a set of clips: log-mels or samples.

use super::logmels::Held;
use super::{BadClip, Error, LogMels, Waves};
use crate::files;

/// The clips of a set, in the form that a family takes.
#[derive(Debug)]
pub enum Sounds {
    /// As log-mels.
    LogMels(LogMels),
    /// As samples.
    Waves(Waves),
}

/// A clip that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GoodClip<'a> {
    /// Position in the list that was asked for.
    pub index: usize,
    /// Relative to the data set's root.
    pub path: &'a str,
}

impl Sounds {
    /// Number of good clips.
    pub fn len(&self) -> usize {
        match self {
            Self::LogMels(logmels) => logmels.spans().len(),
            Self::Waves(waves) => waves.clips().len(),
        }
    }

    /// Only of clips to mix with, where all are bad and left out.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The good clips, in the order that was asked for.
    pub fn good(&self) -> impl Iterator<Item = GoodClip<'_>> {
        (0..self.len()).map(|n| {
            let (index, path) = match self {
                Self::LogMels(logmels) => (logmels.spans()[n].index, &logmels.spans()[n].path),
                Self::Waves(waves) => (waves.clips()[n].index, &waves.clips()[n].path),
            };
            GoodClip { index, path }
        })
    }

    /// The clips that were left out.
    pub fn bad(&self) -> &[BadClip] {
        match self {
            Self::LogMels(logmels) => logmels.bad(),
            Self::Waves(waves) => waves.bad(),
        }
    }

    /// Fingerprint of the clips.
    pub fn fingerprint(&self) -> &str {
        match self {
            Self::LogMels(logmels) => logmels.fingerprint(),
            Self::Waves(waves) => waves.fingerprint(),
        }
    }

    /// Keep a small set in memory until the guard is dropped, where that is worth it: a segment of a clip's samples is
    /// one read of a file as it is.
    ///
    /// # Errors
    /// When the cache was cut or removed meanwhile.
    pub fn hold(&self) -> Result<Option<Held<'_>>, files::Error> {
        match self {
            Self::LogMels(logmels) => logmels.hold().map(Some),
            Self::Waves(_) => Ok(None),
        }
    }

    /// The log-mels of a family that hears log-mels.
    ///
    /// # Errors
    /// [`Error::Fault`] where there are samples instead.
    pub fn logmels(&self) -> Result<&LogMels, Error> {
        match self {
            Self::LogMels(logmels) => Ok(logmels),
            Self::Waves(_) => Err(Error::Fault("the task hears log-mels and was given samples")),
        }
    }

    /// The samples of a family that hears samples.
    ///
    /// # Errors
    /// [`Error::Fault`] where there are log-mels instead.
    pub fn waves(&self) -> Result<&Waves, Error> {
        match self {
            Self::Waves(waves) => Ok(waves),
            Self::LogMels(_) => Err(Error::Fault("the task hears samples and was given log-mels")),
        }
    }
}
