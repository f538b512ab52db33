//! Run folders: who a run is, what it is made from, where it stands.
//!
//! ```text
//! runs/<family>/<slug>-<hash8>/<machine>/seed-<n>/
//!     manifest.json      what made the run: arguments, hashes, versions, clips left out
//!     config.toml        the resolved configuration
//!     status             running | interrupted | failed | done, and why
//!     metrics.jsonl      one line per epoch, streamed
//!     checkpoint/        resume state while the run is not done
//!     model.safetensors  the weights of the epoch with the lowest training loss
//!     features.npz       scores.csv  eval.json    what `asdbench eval` adds, and tables of some families
//! ```
//!
//! A family that trains nothing has an empty `metrics.jsonl` and no `model.safetensors`: its manifest names the checkpoint and
//! what it holds.

mod folder;
mod manifest;

pub use folder::{Lock, RunFolder, Status};
pub use manifest::{GitState, InterferenceRecord, Manifest, PretrainedRecord, SkippedClip, Start};

use std::path::PathBuf;

use crate::files;

/// Why a run folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Reading or writing failed.
    #[error(transparent)]
    File(#[from] files::Error),
    /// Another process works on the run.
    #[error("{} is in use by another process; wait for it or stop it", .0.display())]
    Locked(PathBuf),
    /// The folder's name is this run's, its content is another's.
    #[error(
        "{} holds a run of another {what} ({found}, now {expected}); \
         train into another folder with --runs, or remove this one",
        path.display()
    )]
    Other {
        /// The run's folder.
        path: PathBuf,
        /// What differs: configuration, data.
        what: &'static str,
        /// As the folder says.
        found: String,
        /// As it should be.
        expected: String,
    },
    /// A file of the run is damaged.
    #[error("{} is damaged ({why}); remove the run's folder and train it again", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// No run below a folder.
    #[error("no run below {}; train one with `asdbench train CONFIG`, or name the folder that --runs gave", .0.display())]
    NoRun(PathBuf),
}
