//! `manifest.json`: what made a run, so that its result can be believed without asking its author.

use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::Hashes;

/// As Cargo.toml pins it.
const BURN: &str = "0.22.1";

/// The manifest of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of this file's form.
    pub schema: u32,
    /// Proxy-task family.
    pub family: String,
    /// `<slug>-<hash8>`, the configuration's folder.
    pub config: String,
    /// Hash of all that decides the weights, see `Experiment::training_hash`.
    pub config_hash: String,
    /// Fingerprint of the training clips, and of what they were mixed with.
    pub data_fingerprint: String,
    /// Whether `asdbench synth` made the recordings; older manifests do not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub synthetic: Option<bool>,
    /// Machine type.
    pub machine: String,
    /// Machine types whose clips were learnt; of older manifests, which do not say it, the run's own.
    #[serde(default)]
    pub learnt: Vec<String>,
    /// Seed of every random draw.
    pub seed: u64,
    /// The process that began the run.
    pub started: Start,
    /// Those that went on with it.
    pub resumed: Vec<Start>,
    /// The run whose weights were taken over, where one network serves several machine types.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copied_from: Option<String>,
    /// BLAKE3 of the trained weights, once there are; of the checkpoint's file, in a family that trains nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// BLAKE3 of the training's other files by name, once it is done.
    #[serde(default, skip_serializing_if = "Hashes::is_empty")]
    pub artefacts: Hashes,
    /// Training clips used.
    pub clips: usize,
    /// Training clips left out under `data.on_bad_clip = "skip"`.
    pub skipped: Vec<SkippedClip>,
    /// What the clips were mixed with, in a family that mixes them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interference: Option<InterferenceRecord>,
    /// Where the weights came from, in a family that trains nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pretrained: Option<PretrainedRecord>,
}

/// A checkpoint that was trained elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PretrainedRecord {
    /// Its file.
    pub path: String,
    /// The network, as its authors call it.
    pub architecture: String,
    /// Whether it was fine-tuned to tell classes apart.
    pub fine_tuned: bool,
    /// The seed of random weights, which have learnt nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub random_seed: Option<u64>,
}

/// Recordings that a machine's clips were mixed with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InterferenceRecord {
    /// Which they are, in words.
    pub what: String,
    /// How many.
    pub clips: usize,
    /// Fingerprint of them all.
    pub fingerprint: String,
    /// What a reader must know of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remark: Option<String>,
    /// Those left out under `data.on_bad_clip = "skip"`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skipped: Vec<SkippedClip>,
}

/// A process that worked on a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Start {
    /// Seconds since 1970 UTC.
    pub unix_s: u64,
    /// Version of asdbench.
    pub asdbench: String,
    /// Version of Burn, which does the arithmetic of the training.
    pub burn: String,
    /// The command line.
    pub argv: Vec<String>,
    /// State of the Git working tree around the working folder; `None` outside one.
    pub git: Option<GitState>,
    /// The device, in words.
    pub device: String,
}

impl Start {
    /// This process, on a device.
    pub fn now(device: &str) -> Self {
        Self {
            // 0 with a clock before 1970.
            unix_s: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs()),
            asdbench: env!("CARGO_PKG_VERSION").into(),
            burn: BURN.into(),
            argv: std::env::args_os().map(|a| a.to_string_lossy().into_owned()).collect(),
            git: GitState::here(),
            device: device.to_owned(),
        }
    }
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
            // A repository may name a program that is to watch its files: not ours to start.
            let output =
                Command::new("git").args(["-c", "core.fsmonitor=false"]).args(arguments).output().ok()?;
            output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
        };
        let commit = git(&["rev-parse", "HEAD"])?;
        let changes = git(&["status", "--porcelain", "--untracked-files=no"])?;
        Some(Self { commit, modified: !changes.is_empty() })
    }
}
