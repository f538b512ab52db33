//! The challenge's own score files and metrics.
//!
//! [`read`] turns a folder of `anomaly_score_*.csv` and `decision_result_*.csv` files into a [`Submission`];
//! [`evaluate`] turns that into an [`OfficialReport`]; [`write_submission`] writes such files; [`gamma_threshold`] is the
//! threshold that the challenge's baselines decide by. [`read_scores`] reads the same files, and those of training clips,
//! without a word on what is anomalous; [`read_labels`] says it later, of the sections that it is asked for.
//!
//! Two faults of the official evaluators are not copied: a confidence interval that is (N - 1) times too small (none is
//! computed here), and a 2022 machine's source mean over one section only.

mod error;
mod evaluate;
mod folder;
mod incomplete_gamma;
mod metrics;
mod names;
mod read;
mod report;
mod rows;
mod simplex;
mod threshold;
mod truth;
mod unlabelled;
mod write;
mod year;

use std::path::PathBuf;

use crate::dataset::Domain;

pub use error::Error;
pub use evaluate::{MAX_FPR, evaluate};
pub(crate) use incomplete_gamma::{ln_gamma, lower_gamma};
pub use metrics::{Measure, Metrics};
pub(crate) use names::section as section_name;
pub use read::read;
pub use report::{MachineReport, OfficialReport, SectionReport};
pub(crate) use threshold::gamma_quantile_of;
pub use threshold::{
    NormalScores, OFFICIAL_QUANTILE, Threshold, ThresholdError, ThresholdMethod, gamma_threshold,
};
pub use unlabelled::{
    KnownLabels, Labels, Origin, ScoreFolder, UnlabelledClip, UnlabelledSection, read_labels, read_scores,
};
pub use write::{ScoredClip, write_submission, write_training_scores};
pub use year::{UnknownYear, Year};

/// A test clip with its score and what is known of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The clip's file name, without folders, with `.wav`.
    pub file: String,
    /// Anomaly score, finite; higher means more anomalous.
    pub score: f64,
    /// Whether the clip was called anomalous; `None` without a decision file.
    pub decision: Option<bool>,
    /// Whether it is.
    pub anomalous: bool,
    /// `None` in 2020, and where neither names nor ground truth tell.
    pub domain: Option<Domain>,
}

/// The test clips of one section.
#[derive(Clone, Debug, PartialEq)]
pub struct SectionScores {
    /// Section, at least two digits; in 2020 the machine's ID.
    pub section: String,
    /// Sorted by file name; no name twice.
    pub rows: Vec<Row>,
}

/// The sections of one machine type.
#[derive(Clone, Debug, PartialEq)]
pub struct MachineScores {
    /// Machine type.
    pub machine: String,
    /// Sorted; at least one.
    pub sections: Vec<SectionScores>,
}

/// What one system says of the test clips of one year.
#[derive(Clone, Debug, PartialEq)]
pub struct Submission {
    /// Where it was read.
    pub folder: PathBuf,
    /// The year whose metrics apply.
    pub year: Year,
    /// Whether the year was found from the files' names.
    pub detected: bool,
    /// What a person should know before trusting the means.
    pub notes: Vec<String>,
    /// Sorted; at least one.
    pub machines: Vec<MachineScores>,
}
