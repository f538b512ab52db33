//! What can be wrong with a data set as a whole. Each message names the place and the remedy.

use std::path::PathBuf;

use crate::{audio, files};

/// A data set that cannot be used, or a synthetic one that cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No root in the config.
    #[error("no data set is named; set `data.root` to the folder that holds one folder per machine type")]
    NoRoot,
    /// The root is not there.
    #[error(
        "data folder {root} does not exist; check `data.root`, or set it with --set data.root=DIR (relative paths start at the working folder)"
    )]
    MissingRoot { root: PathBuf },
    /// The root is a file.
    #[error("{root} is a file, not a folder; {remedy}")]
    NotAFolder { root: PathBuf, remedy: String },
    /// The root has nothing in it.
    #[error("data folder {root} is empty; unpack the data set there or point `data.root` elsewhere")]
    EmptyRoot { root: PathBuf },
    /// Files, but no clips.
    #[error("no .wav file below {root} ({seen}); {remedy}")]
    NoWav { root: PathBuf, seen: String, remedy: String },
    /// No clip fits any layout.
    #[error(
        "none of the {wavs} .wav files below {root} fits a known layout, e.g. {example}; known layouts: {known}"
    )]
    UnknownLayout { root: PathBuf, wavs: usize, example: String, known: String },
    /// No clip fits the layout that was asked for.
    #[error("none of the {wavs} .wav files below {root} fits layout {asked}, e.g. {example}; {fits}")]
    LayoutMismatch { root: PathBuf, wavs: usize, asked: String, example: String, fits: String },
    /// A machine type which the data set does not have.
    #[error("machine `{machine}` is not in {root}; {nearest}it has: {known}")]
    UnknownMachine { machine: String, root: PathBuf, nearest: String, known: String },
    /// Nothing to learn from.
    #[error("machine `{machine}` in {root} has no normal train clip ({seen}); {remedy}")]
    NoTraining { machine: String, root: PathBuf, seen: String, remedy: String },
    /// Nothing to be judged on.
    #[error("machine `{machine}` in {root} has no test clip ({seen}); {remedy}")]
    NoTest { machine: String, root: PathBuf, seen: String, remedy: String },
    /// The same clip name in two folders of one machine.
    #[error(
        "machine `{machine}` has two clips of one name, {first} and {second} below {root}; \
         point `data.root` at one copy, as scores are joined by file name"
    )]
    SameName { machine: String, root: PathBuf, first: PathBuf, second: PathBuf },
    /// No recording of anything else than the machine.
    #[error(
        "{why}, so there is no interference to mix it with; set data.interference = \"DIR\" to a folder of other recordings"
    )]
    NoInterference { why: String },
    /// A folder of recordings to mix with that cannot be used.
    #[error("data.interference = \"{folder}\": {why}")]
    Interference { folder: PathBuf, why: String },
    /// Reading or writing failed.
    #[error("failed to {action} {path}: {source}")]
    Io { action: &'static str, path: PathBuf, source: std::io::Error },
    /// A file of a synthetic data set could not be written.
    #[error(transparent)]
    Files(#[from] files::Error),
    /// A clip could not be written.
    #[error(transparent)]
    Audio(#[from] audio::Error),
    /// A synthetic data set was asked for with an impossible value.
    #[error("synthetic data: {what} is {value}, which is out of range; choose {valid}")]
    SynthValue { what: &'static str, value: String, valid: String },
    /// The target folder of a synthetic data set holds something else.
    #[error("{folder} {holds}; choose another folder, or remove it first")]
    SynthFolder { folder: PathBuf, holds: String },
}
