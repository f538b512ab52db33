//! From an experiment to trained and judged runs: trials, training, evaluation, and what many runs say together.

mod artefacts;
mod cached;
mod challenge;
pub mod compare;
mod correlation;
mod data;
mod encoders;
mod evaluation;
pub mod examples;
mod families;
pub mod fuse;
mod inference;
mod interference;
pub mod maps;
pub mod overview;
pub mod plan;
pub mod pretrained;
mod preview;
pub mod protocol;
mod record;
mod result_tables;
mod results;
mod scoring;
mod separate;
pub mod slurm;
pub mod sweep;
mod tables;
mod trained_run;
mod training;
pub mod verify;

pub use artefacts::Scored;
pub use challenge::{DecisionThreshold, OfficialMetrics};
pub use correlation::{
    Coefficient, Configuration, Correlation, MachineCorrelation, NOTHING_DRAWN, SIGNIFICANT, correlate,
    correlate_by, correlate_rows,
};
pub use data::Recordings;
pub use evaluation::{Evaluation, Judge};
pub use preview::{Preview, PreviewRequest, View, preview};
pub use result_tables::{Printed, ResultConfiguration, ResultTable, result_tables};
pub use results::{
    Detection, Error as ResultsError, Gathered, LeftOut, PerDetection, PlannedFamily, PlannedStudy,
    ResultRow, Standing, gather,
};
pub use scoring::DetectorResult;
pub use separate::{Improvement, Separation, SeparationRequest, separate};
pub use tables::{Comparison, StudyTables, Verdict, study_rows, study_tables};
pub use training::{Trained, Trial, TrialState, train, trials};

use std::path::{Path, PathBuf};

use crate::{config, dataset, device, files, nn::weights, run, score, task, train as training_loop};

/// Why a study could not go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] config::Error),
    /// The recordings.
    #[error(transparent)]
    Data(#[from] dataset::Error),
    /// A file that cannot be looked at, where bad clips are errors.
    #[error("{}: {why}; or set data.on_bad_clip = \"skip\" to go on without it", path.display())]
    LeftOut {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A table of results.
    #[error(transparent)]
    Results(#[from] ResultsError),
    /// Two systems that cannot be compared.
    #[error(transparent)]
    Compare(#[from] compare::Error),
    /// Systems that cannot be fused.
    #[error(transparent)]
    Fuse(#[from] fuse::Error),
    /// Score and decision files.
    #[error(transparent)]
    Official(#[from] crate::official::Error),
    /// The device.
    #[error(transparent)]
    Device(#[from] device::Error),
    /// The run's folder.
    #[error(transparent)]
    Run(#[from] run::Error),
    /// A file.
    #[error(transparent)]
    File(#[from] files::Error),
    /// The task's data.
    #[error(transparent)]
    Task(#[from] task::Error),
    /// The training.
    #[error(transparent)]
    Training(#[from] training_loop::Error),
    /// The weights of a run.
    #[error("{}: {source}", path.display())]
    Weights {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: weights::Error,
    },
    /// The scorers.
    #[error(transparent)]
    Score(#[from] score::Error),
    /// What a sweep intended cannot be read.
    #[error(
        "{} is damaged: {why}; remove it, and the next sweep of its study writes it anew: until then nobody knows which \
         trials are missing",
        path.display()
    )]
    DamagedPlan {
        /// The plan's file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A configured detector.
    #[error("detector `{name}`: failed to {source}")]
    Detector {
        /// Its name.
        name: String,
        /// What is wrong.
        source: score::Error,
    },
    /// Files are wanted of a detector that a run's configuration has not.
    #[error(
        "{}: it has no detector `{name}`, its configuration has {known}; configure one, as in \
         --set eval.detectors.{name}.knn.k=1",
        path.display()
    )]
    NoDetector {
        /// The run's folder.
        path: PathBuf,
        /// What was asked for.
        name: String,
        /// What is there.
        known: String,
    },
    /// A run that is not trained to its end.
    #[error("{} is not trained: {status}; train it with `asdbench train` on its configuration", path.display())]
    NotTrained {
        /// The run's folder.
        path: PathBuf,
        /// Where it stands.
        status: String,
    },
    /// `--set`, or somebody's hand, changed what was trained.
    #[error(
        "{}: this is not the configuration that the run was trained with; --set may change eval.*, data.root and \
         data.interference of a trained run and nothing that was trained with; train a new run instead",
        .0.display()
    )]
    ChangedTraining(PathBuf),
    /// Files of the challenge for a data set whose clips have no names of their own.
    #[error(
        "{}: it is of a MIMII data set, where a normal and an abnormal clip share a file name, so there can be no \
         submission files; leave --submission out",
        .0.display()
    )]
    NoSubmission(PathBuf),
    /// A test set that no AUC can be had of.
    #[error(
        "all {clips} labelled test clips of machine `{machine}` below {} are {label}: an AUC needs normal and anomalous \
         ones; check the file names with `asdbench data`",
        root.display()
    )]
    OneClass {
        /// Machine type.
        machine: String,
        /// The data set's root.
        root: PathBuf,
        /// How many.
        clips: usize,
        /// The one label.
        label: &'static str,
    },
    /// A run whose network separates nothing.
    #[error("{}: it is of the family {family}, which separates nothing; name a run of the separation family", path.display())]
    SeparatesNothing {
        /// The run's folder.
        path: PathBuf,
        /// Its family.
        family: &'static str,
    },
    /// Several runs where one is wanted.
    #[error("{}: there are {runs} runs; name the folder of one, such as …/seed-0", path.display())]
    SeveralRuns {
        /// The folder above them.
        path: PathBuf,
        /// How many.
        runs: usize,
    },
    /// A mixture and its target that cannot be compared sample by sample.
    #[error(
        "{}: it has {found} samples at {rate_hz} Hz and {} has {expected}; the machine alone must be as long as its mixture",
        target.display(), mixture.display()
    )]
    TargetLength {
        /// The machine alone.
        target: PathBuf,
        /// Its samples.
        found: usize,
        /// The mixture.
        mixture: PathBuf,
        /// Its samples.
        expected: usize,
        /// The run's rate.
        rate_hz: u32,
    },
    /// A strict audit found something.
    #[error("{} has {found} problems", root.display())]
    Problems {
        /// The data set's root.
        root: PathBuf,
        /// How many.
        found: usize,
    },
    /// A sweep.
    #[error(transparent)]
    Sweep(#[from] sweep::Error),
    /// A pre-trained encoder.
    #[error(transparent)]
    Pretrained(#[from] pretrained::Error),
    /// The user stopped it.
    #[error("interrupted; the same command goes on where this one stopped")]
    Interrupted,
}

impl Error {
    /// Whether the device failed, so that nothing more is to be expected of it in this process.
    pub fn is_lost_device(&self) -> bool {
        let by_task = |error: &task::Error| matches!(error, task::Error::Device(_));
        match self {
            Self::Device(error) => matches!(error, device::Error::Lost { .. }),
            Self::Task(error) | Self::Training(training_loop::Error::Task(error)) => by_task(error),
            Self::Training(error) => matches!(error, training_loop::Error::Device(_)),
            _ => false,
        }
    }
}

/// What a runs folder keeps of recordings.
pub fn cache_folder(runs: &Path) -> PathBuf {
    runs.join(".cache")
}
