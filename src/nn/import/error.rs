//! Why a checkpoint could not be read.

use std::io;
use std::path::PathBuf;

/// Why a checkpoint could not be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read at all.
    #[error("failed to read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// One of the errors below, with the file's name.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<Error>,
    },
    /// None of the formats that are known.
    #[error("it is no checkpoint: {0}; give a file of torch.save (.pt, .pth) or a .safetensors file")]
    NotACheckpoint(String),
    /// The pickle names something that has no business in data. Nothing was called.
    #[error(
        "the file wants to call {class} at byte {offset} of its pickle; it is not a plain checkpoint \
         (nothing was executed): do not load it with other programs, and fetch it again from its origin"
    )]
    Denied {
        /// `module.name` of what it wants to call.
        class: String,
        /// Where, from the start of the pickle (`data.pkl` of a zip file).
        offset: usize,
    },
    /// The pickle is damaged, or of a kind that no checkpoint has.
    #[error("its pickle is damaged or no checkpoint's: {why} (opcode {opcode} at byte {offset})")]
    Pickle {
        /// The opcode's name in Python's `pickletools`.
        opcode: &'static str,
        /// Where it stands, from the start of the pickle.
        offset: usize,
        /// What is wrong.
        why: String,
    },
    /// The values in the pickle do not make a plain tree.
    #[error("its values are no plain data: {0}")]
    Tree(String),
    /// The zip archive around the pickle.
    #[error("its zip archive is not as torch.save writes them: {0}; it may be cut off: fetch it again")]
    Zip(String),
    /// The storages of a legacy file.
    #[error("it is not as torch.save writes legacy files: {0}; it may be cut off: fetch it again")]
    Legacy(String),
    /// A safetensors file.
    #[error("it is not a sound safetensors file: {0}; it may be cut off: fetch it again")]
    Safetensors(String),
    /// The path of keys leads nowhere, or not to named tensors.
    #[error("{at} is {found}, not a dict of tensors{hint}")]
    NoTensors {
        /// Where, such as `["model"]`.
        at: String,
        /// What is there.
        found: String,
        /// What to do, or nothing.
        hint: String,
    },
    /// No such key.
    #[error("it has no {at}; there are: {there}")]
    NoKey {
        /// The path of keys, such as `["model"]`.
        at: String,
        /// The keys that are there.
        there: String,
    },
    /// No tensor of that name.
    #[error("it has no tensor `{0}`; it is another model's checkpoint, or an incomplete one")]
    NoTensor(String),
    /// Names that make no sound list of parameters.
    #[error("its tensors' names cannot be used: {0}")]
    Names(String),
    /// The values of one tensor cannot be had.
    #[error("a tensor of shape {shape:?} cannot be read: {why}")]
    Values {
        /// The tensor's shape.
        shape: Vec<usize>,
        /// Why not.
        why: String,
    },
}

/// A text out of a file, safe and short enough to stand in a message.
pub(super) fn shown(text: &str) -> String {
    const LONGEST: usize = 96;
    let mut short: String = text.chars().take(LONGEST).flat_map(char::escape_debug).collect();
    if text.chars().nth(LONGEST).is_some() {
        short.push('…');
    }
    short
}
