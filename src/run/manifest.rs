//! `manifest.json`: what made a run, so that its result can be believed without asking its author.

use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// The manifest of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of this file's form.
    pub schema: u32,
    /// Version of asdbench.
    pub asdbench: String,
    /// Version of Burn, which does the arithmetic of the training.
    pub burn: String,
    /// The command line.
    pub argv: Vec<String>,
    /// State of the Git working tree around the working folder; `None` outside one.
    pub git: Option<GitState>,
    /// Proxy-task family.
    pub family: String,
    /// `<slug>-<hash8>`, the configuration's folder.
    pub config: String,
    /// Hash of all that decides the weights, see `Experiment::training_hash`.
    pub config_hash: String,
    /// Fingerprint of the training clips.
    pub data_fingerprint: String,
    /// Machine type.
    pub machine: String,
    /// Seed of every random draw.
    pub seed: u64,
    /// The device that trained, in words.
    pub device: String,
    /// Training clips used.
    pub clips: usize,
    /// Training clips left out under `data.on_bad_clip = "skip"`.
    pub skipped: Vec<SkippedClip>,
    /// When the run was first started, seconds since 1970 UTC.
    pub started_unix_s: u64,
}

/// A clip that was left out, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SkippedClip {
    /// Relative to the data set's root.
    pub path: String,
    /// The error that reading it gave.
    pub reason: String,
}

/// The Git working tree that a command was started in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GitState {
    /// Commit of HEAD.
    pub commit: String,
    /// Whether tracked files differ from it.
    pub modified: bool,
}

impl GitState {
    /// Of the working folder; `None` where there is no repository, no commit or no Git.
    pub fn here() -> Option<Self> {
        let git = |arguments: &[&str]| {
            let output = Command::new("git").args(arguments).output().ok()?;
            output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
        };
        let commit = git(&["rev-parse", "HEAD"])?;
        let changes = git(&["status", "--porcelain", "--untracked-files=no"])?;
        Some(Self { commit, modified: !changes.is_empty() })
    }
}

/// Seconds since 1970 UTC; 0 with a clock before that.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs())
}
