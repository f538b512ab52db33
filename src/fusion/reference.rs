//! Which scores a normalisation may be fitted to.

use super::sets::check_parts;
use super::{Error, Part};

/// Scores of normal training clips: what a normalisation should be fitted to.
#[derive(Clone, Debug)]
pub struct TrainingScores {
    parts: Vec<Part>,
}

impl TrainingScores {
    /// `branches` are the names of the rows of every part's scores.
    ///
    /// # Errors
    /// As [`TuningSet::new`](super::TuningSet::new).
    pub fn new(branches: &[String], parts: Vec<Part>) -> Result<Self, Error> {
        check_parts(branches, &parts)?;
        Ok(Self { parts })
    }

    /// The clips and scores.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }
}

/// Leave to use the statistics of the very clips that are judged. Whoever holds one marks what comes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AllowTransductive(());

impl AllowTransductive {
    /// By the user's word in the configuration.
    ///
    /// # Errors
    /// Without that word.
    pub fn checked(allow_transductive: bool) -> Result<Self, Error> {
        if allow_transductive {
            return Ok(Self(()));
        }
        let why = "test clips by their own statistics: that is transductive, and a clip alone could not be scored; \
                   give training_scores, or set allow_transductive = true, which marks the output";
        Err(Error::Reference(why.to_owned()))
    }
}

/// Whose scores a normalisation is fitted to. Labels are never among it.
#[derive(Clone, Debug)]
pub enum Statistics {
    /// Normal training clips.
    Training(TrainingScores),
    /// The clips that the weights are tuned on.
    Tuning,
    /// All clips of a machine that are there, those to be judged among them.
    Transductive(AllowTransductive),
}

impl Statistics {
    /// The word that outputs say.
    pub fn key(&self) -> &'static str {
        match self {
            Self::Training(_) => "training",
            Self::Tuning => "tuning",
            Self::Transductive(_) => "transductive",
        }
    }

    /// Whether the output must be marked.
    pub fn is_transductive(&self) -> bool {
        matches!(self, Self::Transductive(_))
    }
}
