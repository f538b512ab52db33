//! What a command's failure is to a shell.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use crate::printable;
use crate::study::{fuse, pretrained, sweep};
use crate::{config, dataset, device, fusion, official, study, task, train};

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// A configuration.
    #[error(transparent)]
    Config(#[from] config::Error),
    /// Anything on the way from a data set to a result.
    #[error(transparent)]
    Study(study::Error),
    /// Score and decision files.
    #[error(transparent)]
    Official(#[from] official::Error),
    /// Options that do not go together, where the parser cannot tell.
    #[error("{0}")]
    Usage(&'static str),
    /// Standard output.
    #[error("failed to write to standard output: {0}")]
    Output(io::Error),
    /// Runs that are not what they say.
    #[error("{damaged} of {all} runs are damaged:\n{list}")]
    Damaged {
        /// How many are.
        damaged: usize,
        /// Of how many.
        all: usize,
        /// One line a problem: the file, what is wrong, what to do.
        list: String,
    },
    /// Some runs of several.
    #[error("{failed} of {all} runs failed:\n{list}")]
    Runs {
        /// How many failed.
        failed: usize,
        /// Of how many.
        all: usize,
        /// One line a run: which, and why.
        list: String,
    },
}

impl From<study::Error> for Failure {
    fn from(error: study::Error) -> Self {
        match error {
            study::Error::Config(error) => Self::Config(error),
            other => Self::Study(other),
        }
    }
}

impl From<dataset::Error> for Failure {
    fn from(error: dataset::Error) -> Self {
        Self::Study(error.into())
    }
}

impl From<device::Error> for Failure {
    fn from(error: device::Error) -> Self {
        Self::Study(error.into())
    }
}

/// Something unforeseen, or a disk that cannot be written.
const INTERNAL: u8 = 1;
/// The command line is wrong; clap uses it too.
pub(super) const USAGE: u8 = 2;
/// The configuration is wrong.
const CONFIG: u8 = 3;
/// The recordings, runs or results that were named cannot be used.
const DATA: u8 = 4;
/// The device.
const DEVICE: u8 = 5;
/// Some of several runs failed.
const PART: u8 = 6;
/// The user stopped it.
const INTERRUPTED: u8 = 130;

impl Failure {
    /// The exit code that `cli.md` promises.
    pub fn code(&self) -> u8 {
        match self {
            Self::Output(_) | Self::Config(config::Error::Output(_)) => INTERNAL,
            Self::Usage(_) => USAGE,
            Self::Config(_) => CONFIG,
            Self::Runs { .. } => PART,
            Self::Official(_) | Self::Damaged { .. } => DATA,
            Self::Study(error) => study_code(error),
        }
    }

    /// Say it on standard error. A reader of standard output that went away is no failure.
    pub fn report(&self) -> ExitCode {
        match self {
            Self::Output(e) | Self::Config(config::Error::Output(e))
                if e.kind() == io::ErrorKind::BrokenPipe =>
            {
                return ExitCode::SUCCESS;
            }
            Self::Config(error) => {
                let colour = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
                let _ = writeln!(io::stderr(), "{}", error.render(colour).trim_end());
            }
            other => {
                let _ = writeln!(io::stderr(), "error: {}", printable::message(&other.to_string()));
            }
        }
        ExitCode::from(self.code())
    }
}

fn study_code(error: &study::Error) -> u8 {
    use study::Error;
    match error {
        Error::Config(_) | Error::ChangedTraining(_) | Error::NoDetector { .. } => CONFIG,
        Error::Device(device::Error::Fault(_)) => INTERNAL,
        Error::Training(train::Error::Device(_) | train::Error::Precision(_)) | Error::Device(_) => DEVICE,
        Error::Task(error) | Error::Training(train::Error::Task(error)) => task_code(error),
        Error::File(_)
        | Error::Training(
            train::Error::File(_) | train::Error::Weights(_) | train::Error::Checkpoint { .. },
        )
        | Error::Run(crate::run::Error::File(_)) => INTERNAL,
        // It is the learning rate, or the number format, that must change.
        Error::Training(
            train::Error::Diverged { .. } | train::Error::BrokenWeights { .. } | train::Error::Overflow,
        ) => CONFIG,
        Error::Data(dataset::Error::SynthValue { .. }) => USAGE,
        Error::Data(dataset::Error::Files(_)) => INTERNAL,
        Error::Data(_)
        | Error::Results(_)
        | Error::Compare(_)
        | Error::Official(_)
        | Error::NoSubmission(_)
        | Error::LeftOut { .. }
        | Error::Problems { .. }
        | Error::Run(_)
        | Error::Weights { .. }
        | Error::Score(_)
        | Error::DamagedPlan { .. }
        | Error::Detector { .. }
        | Error::NotTrained { .. }
        | Error::SeparatesNothing { .. }
        | Error::SeveralRuns { .. }
        | Error::TargetLength { .. }
        | Error::OneClass { .. } => DATA,
        Error::Fuse(error) => fuse_code(error),
        Error::Sweep(error) => sweep_code(error),
        Error::Pretrained(error) => pretrained_code(error),
        Error::Interrupted => INTERRUPTED,
    }
}

fn task_code(error: &task::Error) -> u8 {
    match error {
        task::Error::File(_) | task::Error::Fault(_) => INTERNAL,
        task::Error::Device(_) | task::Error::Precision(_) => DEVICE,
        task::Error::Setting(_) => CONFIG,
        _ => DATA,
    }
}

fn sweep_code(error: &sweep::Error) -> u8 {
    use sweep::Error;
    match error {
        Error::NoFamily { .. } | Error::Slurm(_) => USAGE,
        Error::Twice { .. } => CONFIG,
        Error::NoWorker(_) => DEVICE,
        Error::Start(_) | Error::Answer(_) | Error::Submit { .. } => INTERNAL,
    }
}

fn fuse_code(error: &fuse::Error) -> u8 {
    use fuse::Error;
    match error {
        // What is asked for is not to be had of these systems.
        Error::Choice(_)
        | Error::Normalise(_)
        | Error::Fusion(
            fusion::Error::NoObjective { .. } | fusion::Error::Setting(_) | fusion::Error::OneFold { .. },
        ) => CONFIG,
        Error::File(_) => INTERNAL,
        Error::Output { .. } => USAGE,
        Error::Official(_)
        | Error::Run(_)
        | Error::Fusion(_)
        | Error::Unusable { .. }
        | Error::Row { .. }
        | Error::Differ(_)
        | Error::Incomplete(_) => DATA,
    }
}

fn pretrained_code(error: &pretrained::Error) -> u8 {
    use pretrained::Error;
    match error {
        Error::Unlike { .. } => INTERNAL,
        Error::Precision(_) => DEVICE,
        Error::Option(_) => USAGE,
        Error::Read(_)
        | Error::Checkpoint { .. }
        | Error::Output { .. }
        | Error::Family { .. }
        | Error::BadClip(_)
        | Error::NoClip { .. }
        | Error::Labels(_)
        | Error::NoClasses(_)
        | Error::Classes { .. }
        | Error::Missing { .. }
        | Error::Twice { .. } => DATA,
    }
}
