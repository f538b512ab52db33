//! Anomaly scorers on feature matrices, and the evaluation of features by them.
//!
//! A scorer is fitted to the features of normal training clips and gives every other clip a score; higher means more
//! anomalous. The linear probe is no scorer: it is trained on labelled test clips, and measures how separable they are.

mod adam;
mod detector;
pub mod linear_probe;
pub mod logistic;
pub mod mahalanobis;
mod sections;

use ndarray::{Array2, ArrayView2};

pub use detector::{BankSize, Detector, FittedDetector};
pub use linear_probe::LinearProbe;
pub use mahalanobis::Mahalanobis;
pub use sections::{ProbeClip, SectionAucs};

use crate::dataset::Domain;
use crate::linalg;

/// Why features could not be scored.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A feature matrix and a list of clips that do not belong together.
    #[error("match {rows} rows of features with {clips} clips: compute the features of this run again")]
    Rows {
        /// Rows of the feature matrix.
        rows: usize,
        /// Clips listed.
        clips: usize,
    },
    /// A feature that is NaN or infinite.
    #[error(
        "score clip {clip}: feature {column} is not finite; the model has diverged or the clip is damaged"
    )]
    NotFinite {
        /// Name of the first such clip.
        clip: String,
        /// The feature's index.
        column: usize,
    },
    /// The scorer's linear algebra.
    #[error(transparent)]
    Linalg(#[from] linalg::Error),
}

impl Error {
    /// Whether the training features, although they are sound, allow no such model: a result without values and with this
    /// reason ("failed to …"), as [`mahalanobis::evaluate`] has it. Otherwise an error of the evaluation.
    pub fn is_unfit(&self) -> bool {
        matches!(self, Self::Linalg(why) if why.is_unfit())
    }
}

/// Features `[clips, dim]` of the normal *training* clips of one machine type, with their domains where these are known.
///
/// What a scorer may be fitted to. The type exists so that test features cannot be passed by mistake: the only way to one
/// is [`TrainingFeatures::of_training_clips`], whose name states what the caller vouches for.
#[derive(Debug, Clone)]
pub struct TrainingFeatures {
    features: Array2<f64>,
    domains: Vec<Option<Domain>>,
}

impl TrainingFeatures {
    /// Takes features that were computed from training clips and from nothing else.
    pub fn of_training_clips(features: Array2<f64>) -> Self {
        Self { features, domains: Vec::new() }
    }

    /// The same clips with their domains, one per row.
    ///
    /// # Errors
    /// Another number of domains than of clips.
    pub fn with_domains(self, domains: Vec<Option<Domain>>) -> Result<Self, Error> {
        let (rows, clips) = (self.features.nrows(), domains.len());
        if rows != clips {
            return Err(Error::Rows { rows, clips });
        }
        Ok(Self { domains, ..self })
    }

    /// The features, `[clips, dim]`.
    pub fn view(&self) -> ArrayView2<'_, f64> {
        self.features.view()
    }

    /// The domain of a clip; none where it is not known.
    pub fn domain(&self, clip: usize) -> Option<Domain> {
        self.domains.get(clip).copied().flatten()
    }
}

/// A way to score clips, not yet fitted.
pub trait Scorer {
    /// What fitting gives.
    type Fitted: FittedScorer;

    /// Fits to the features of normal training clips.
    ///
    /// # Errors
    /// Features from which the scorer's model cannot be estimated.
    fn fit(&self, training: &TrainingFeatures) -> Result<Self::Fitted, Error>;
}

/// A scorer that has seen its training clips.
pub trait FittedScorer {
    /// One anomaly score per row of `queries` `[clips, dim]`, in their order; higher is more anomalous.
    ///
    /// # Errors
    /// Queries of another width than the training features, or not finite.
    fn score(&self, queries: ArrayView2<f64>) -> Result<Vec<f64>, Error>;
}

/// Checks that `features` `[clips, dim]` has one finite row per clip.
fn check_rows(features: ArrayView2<f64>, clips: &[ProbeClip]) -> Result<(), Error> {
    if features.nrows() != clips.len() {
        return Err(Error::Rows { rows: features.nrows(), clips: clips.len() });
    }
    check_finite(features, |row| clips[row].name.clone())
}

/// Checks that all of `features` `[clips, dim]` are finite; `name` gives the name of a row's clip, for the error.
///
/// # Errors
/// The first clip with a feature that is not.
pub fn check_finite(features: ArrayView2<f64>, name: impl Fn(usize) -> String) -> Result<(), Error> {
    match features.indexed_iter().find(|(_, v)| !v.is_finite()) {
        Some(((row, column), _)) => Err(Error::NotFinite { clip: name(row), column }),
        None => Ok(()),
    }
}
