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
//!     features.npz       scores.csv  training_scores.csv  eval.json
//!                        what `asdbench eval` adds, and tables of some families
//! ```
//!
//! Nothing corrupt is served: `manifest.json` and `eval.json` carry their own checksums, the manifest the hashes of what was
//! trained, `eval.json` those of what was judged. `asdbench verify` checks them all.
//!
//! A family that trains nothing has an empty `metrics.jsonl` and no `model.safetensors`: its manifest names the checkpoint and
//! what it holds.

mod artefacts;
mod folder;
mod manifest;
mod names;

pub use artefacts::{Hashes, JUDGED, TRAINED};
pub use folder::{Lock, RunFolder, Status};
pub use manifest::{GitState, InterferenceRecord, Manifest, PretrainedRecord, SkippedClip, Start};
pub(crate) use names::is_single;

use std::path::{Path, PathBuf};

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
    #[error("{} is damaged ({why}); {}", path.display(), remedy(path))]
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

/// How a file of a run becomes whole again.
fn remedy(path: &Path) -> &'static str {
    match path.file_name().and_then(|name| name.to_str()) {
        Some("manifest.json") => "remove the run's folder and train it again",
        Some("config.toml") => {
            "the command that trained the run writes it again; to judge it in another way, or with data elsewhere, give --set"
        }
        Some("model.safetensors" | "metrics.jsonl") => {
            "remove the run's file `status`, and the command that trained the run trains it again"
        }
        _ => "judge the run again with `asdbench eval`",
    }
}
