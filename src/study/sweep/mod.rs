//! A whole study: every trial trained and judged, by worker processes, and resumed after anything.
//!
//! The parent plans, looks at what is there and hands out what is not; each worker is a process of its own, so that what ends
//! one trial, the system's hand included, ends no other. Everything that lasts is in the runs' folders:
//!
//! ```text
//! runs/.studies/<name>.json      what the sweep intends
//! runs/.studies/<name>/logs/     what workers said of trials that failed
//! runs/.studies/.claims/         who works on what, by locks
//! ```

mod claim;
mod conduct;
mod crew;
mod estimate;
mod hand;
mod log;
mod message;
mod pace;
mod prepare;
mod probe;
mod progress;
mod scan;
mod shard;
mod slot;
mod summary;
mod trials;
mod worker;

pub use conduct::conduct;
pub use crew::{devices, threads};
pub use estimate::{Estimate, estimate};
pub use hand::WorkerCommand;
pub use scan::Standing;
pub use shard::Shard;
pub use summary::{Counts, Failed, Swept, SweptRun};
pub use trials::{Selection, Sweep, SweepTrial, check_names};
pub use worker::work;

use std::io;
use std::path::PathBuf;

use super::slurm::SlurmError;

/// Why a sweep could not go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// `--only` names none of the study's families.
    #[error("the study has no family `{wanted}`; it has {known}")]
    NoFamily {
        /// As asked for.
        wanted: String,
        /// All there are.
        known: String,
    },
    /// Two trials would go to one folder.
    #[error(
        "{first} and {second} both train `{path}`: they differ in nothing that is trained; remove one, or give it other \
         settings"
    )]
    Twice {
        /// The run's folder below the runs folder.
        path: String,
        /// A configuration's file.
        first: String,
        /// The other's.
        second: String,
    },
    /// A worker process could not be started.
    #[error("failed to start a worker process: {0}; try fewer --jobs")]
    Start(io::Error),
    /// No worker can work.
    #[error("no worker process could begin: {0}")]
    NoWorker(String),
    /// A script for Slurm.
    #[error(transparent)]
    Slurm(#[from] SlurmError),
    /// A job array was not taken.
    #[error("failed to submit {} with `sbatch`: {why}; submit it where Slurm is", script.display())]
    Submit {
        /// The script, which is written.
        script: PathBuf,
        /// What the system or `sbatch` said.
        why: String,
    },
    /// A worker's way to its parent.
    #[error("failed to answer the sweep: {0}")]
    Answer(io::Error),
}
