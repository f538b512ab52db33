//! Why a checkpoint could not be read, or its tensors not written.

use std::io;
use std::path::{Path, PathBuf};

/// Why a checkpoint could not be read, or its tensors not written.
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
    /// Tensors could not be written.
    #[error("failed to write tensors: {0}")]
    Write(io::Error),
}

impl Error {
    /// The error with the file's name, where it does not name it already.
    pub(super) fn of_file(self, path: &Path) -> Self {
        match self {
            Self::Read { .. } | Self::File { .. } => self,
            other => Self::File { path: path.to_owned(), source: Box::new(other) },
        }
    }
}

/// For what writes files and wants to know whether the disk is full.
impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Write(error) => error,
            other => Self::other(other),
        }
    }
}

/// A text out of a file, safe and short enough to stand in a message.
pub(super) fn shown(text: &str) -> String {
    const LONGEST: usize = 96;
    shortened(text, LONGEST)
}

/// The first `longest` characters of a text, the special ones escaped.
pub(super) fn shortened(text: &str, longest: usize) -> String {
    let mut short: String = text.chars().take(longest).flat_map(char::escape_debug).collect();
    if text.chars().nth(longest).is_some() {
        short.push('…');
    }
    short
}
