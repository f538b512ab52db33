//! Checkpoints of other programs: PyTorch's `.pt` in both of its formats, and safetensors.
//!
//! A `.pt` file is a Python pickle, and loading a pickle in Python runs what the file says. Here
//! nothing is ever run: an interpreter of the opcodes that make plain data builds a tree of
//! [`Value`]s, and names of Python classes and functions fall into three groups.
//!
//! - **Understood**: `OrderedDict`, `defaultdict` and the builtin containers, `argparse.Namespace`
//!   (its attributes as a dict), `torch.Size`, `torch.device`, torch's storages, element types and
//!   tensor makers (`_rebuild_tensor`, `_v2`, `_v3`, parameters). They become plain values.
//! - **Left alone**: any other class or function, say the `omegaconf` and `enum` objects in fairseq
//!   checkpoints, or numpy scalars. It, and whatever the file makes of it, becomes
//!   [`Value::Opaque`], which is an error only where somebody wants its contents.
//! - **Refused**: names that have no business in data, such as `os.system`, `builtins.eval` or
//!   `getattr`, `subprocess`, `torch.load`. The read stops with [`Error::Denied`], which names them
//!   and their byte offset. The list is in `pickle/globals.rs`. It protects the user's other
//!   programs, not this one: here a name that it lacks is left alone, never called.
//!
//! Whatever a file says, memory and time are bounded by its size: lengths are held against the
//! remaining bytes, values that are named many times are there once, the tree is at most 256 deep,
//! and walking it visits at most four million values.
//!
//! Opening a file reads what says what is in it: the directory and the pickle, or the header. Tensors
//! are places in the file that stays open; their bytes are read, and converted, when asked for, one
//! tensor at a time. So a training program's checkpoint of several GB costs no more memory than the
//! model in it.

mod archive;
mod dtype;
mod error;
mod json;
mod pickle;
mod safetensors;
mod source;
mod tensor;
mod tensors;
#[cfg(test)]
mod tests;
mod torch;
mod value;
mod write;

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::path::Path;

pub use dtype::Dtype;
pub use error::Error;
pub use tensor::{Tensor, TensorRef};
pub use tensors::Tensors;
pub use value::{Dict, Opaque, Value};
pub use write::write_safetensors;

use error::shown;
use source::Source;

/// How a checkpoint is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `torch.save` since torch 1.6.
    TorchZip,
    /// `torch.save` before that.
    TorchLegacy,
    /// Hugging Face's format.
    Safetensors,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TorchZip => "torch (zip)",
            Self::TorchLegacy => "torch (legacy)",
            Self::Safetensors => "safetensors",
        })
    }
}

/// An opened checkpoint: what the file says, and the file.
#[derive(Debug)]
pub struct Checkpoint {
    source: Source,
    contents: Contents,
}

/// What a file says, and where its storages lie.
#[derive(Debug)]
struct Contents {
    format: Format,
    root: Value,
    storages: Vec<Range<u64>>,
    big_endian: bool,
    metadata: BTreeMap<String, String>,
}

impl Checkpoint {
    /// Opens a file and reads what is in it, but for the tensors' bytes.
    ///
    /// The file stays open, and must stay as it is: a tensor that is asked for after somebody has
    /// written to it is an error. A file that is replaced by another of its name does no harm.
    ///
    /// # Errors
    /// When it cannot be read, is no checkpoint, or is a damaged or hostile one. The error names
    /// the file.
    pub fn open(path: &Path) -> Result<Self, Error> {
        Self::of(Source::open(path)?).map_err(|error| error.of_file(path))
    }

    /// A checkpoint that is in memory already.
    ///
    /// # Errors
    /// When it is none, or a damaged or hostile one.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, Error> {
        Self::of(Source::memory(bytes))
    }

    fn of(source: Source) -> Result<Self, Error> {
        /// Enough to tell formats apart.
        const BEGINNING_BYTES: u64 = 64;
        let start = source.read(0..source.len_bytes().min(BEGINNING_BYTES))?.into_owned();
        let contents = if start.starts_with(b"PK") {
            torch::zip(&source)?
        } else if safetensors::begins(&start) {
            safetensors::read(&source)?
        } else {
            let marked = start.first() == Some(&torch::PROTO);
            torch::legacy(&source).map_err(|error| match error {
                // A name that is refused is no chance.
                Error::Denied { .. } | Error::Read { .. } => error,
                error if marked => error,
                // Without the mark of a pickle it may be anything.
                _ => Error::NotACheckpoint(beginning(&start)),
            })?
        };
        Ok(Self { source, contents })
    }

    /// How it is stored.
    pub fn format(&self) -> Format {
        self.contents.format
    }

    /// Everything in it.
    pub fn root(&self) -> &Value {
        &self.contents.root
    }

    /// What stands at a path of dict keys; `[]` is everything.
    ///
    /// # Errors
    /// When there is no such key; the error names those that are there.
    pub fn at(&self, path: &[&str]) -> Result<&Value, Error> {
        let mut value = &self.contents.root;
        for (depth, key) in path.iter().enumerate() {
            value = value
                .get(key)
                .ok_or_else(|| Error::NoKey { at: place(&path[..=depth]), there: keys(value) })?;
        }
        Ok(value)
    }

    /// The tensors of the dict at a path of keys, such as `["model"]`. Dicts in it are flattened:
    /// their keys are joined with `.`.
    ///
    /// # Errors
    /// When there is no such key or no dict, or a name is there twice.
    pub fn tensors(&self, path: &[&str]) -> Result<Tensors<'_>, Error> {
        let value = self.at(path)?;
        let Some(dict) = value.as_dict() else {
            let hint = match value {
                Value::Opaque(_) => ": a whole object was saved; save its state_dict() instead",
                _ => "",
            };
            return Err(Error::NoTensors { at: place(path), found: value.kind(), hint: hint.into() });
        };
        Tensors::of(self, dict)
    }

    /// A tensor of this checkpoint, whose values can be read.
    ///
    /// # Errors
    /// When the tensor is another checkpoint's.
    pub fn tensor<'a>(&'a self, tensor: &'a Tensor) -> Result<TensorRef<'a>, Error> {
        let storage = self.contents.storages.get(tensor.storage()).ok_or_else(|| Error::Values {
            shape: tensor.shape().to_vec(),
            why: "it is not of this checkpoint".into(),
        })?;
        let (start, length) = (storage.start, storage.end - storage.start);
        let big_endian = self.contents.big_endian;
        Ok(TensorRef { tensor, source: &self.source, storage: (start, length), big_endian })
    }

    /// Names under a path, in groups that share a storage; see [`Tensors::shared`].
    ///
    /// # Errors
    /// As [`Checkpoint::tensors`].
    pub fn shared(&self, path: &[&str]) -> Result<Vec<Vec<String>>, Error> {
        let tensors = self.tensors(path)?;
        Ok(tensors.shared().into_iter().map(|group| group.into_iter().map(str::to_owned).collect()).collect())
    }

    /// The texts in a safetensors file's header; empty for the other formats.
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.contents.metadata
    }

    /// The BLAKE3 hash of the whole file, in hex.
    ///
    /// # Errors
    /// When the file fails, or is no longer what it was when it was opened.
    pub fn content_hash(&self) -> Result<String, Error> {
        let mut hasher = blake3::Hasher::new();
        self.source.pieces(0..self.len_bytes(), |piece| {
            hasher.update(piece);
        })?;
        Ok(hasher.finalize().to_hex().to_string())
    }

    /// The file that was opened; nothing for a checkpoint in memory.
    pub fn path(&self) -> Option<&Path> {
        self.source.path()
    }

    /// The file's length in bytes.
    pub fn len_bytes(&self) -> u64 {
        self.source.len_bytes()
    }
}

fn place(path: &[&str]) -> String {
    match path {
        [] => "the file".into(),
        path => path.iter().map(|key| format!("[\"{}\"]", shown(key))).collect(),
    }
}

fn keys(value: &Value) -> String {
    const SHOWN: usize = 12;
    let Some(dict) = value.as_dict() else { return format!("no keys, it is {}", value.kind()) };
    let mut names: Vec<String> = dict
        .iter()
        .take(SHOWN)
        .map(|(key, _)| key.as_text().map_or_else(|| key.kind(), |key| format!("\"{}\"", shown(key))))
        .collect();
    if dict.len() > SHOWN {
        names.push(format!("{} more", dict.len() - SHOWN));
    }
    match names.is_empty() {
        true => "no keys".into(),
        false => names.join(", "),
    }
}

/// What a file is that is no checkpoint, from its first bytes.
fn beginning(bytes: &[u8]) -> String {
    let known: &[(&[u8], &str)] = &[
        (b"version https://git-lfs", "it is a pointer of Git LFS; fetch the file itself with `git lfs pull`"),
        (b"<", "it is a web page; the download did not give the file"),
        (b"\x1f\x8b", "it is gzip-compressed; unpack it first"),
        (b"\x28\xb5\x2f\xfd", "it is zstd-compressed; unpack it first"),
        (b"\x89HDF", "it is an HDF5 file"),
        (b"\x93NUMPY", "it is a numpy array"),
        (b"RIFF", "it is a sound file"),
        (b"GGUF", "it is a GGUF file"),
        (b"{", "it is JSON"),
    ];
    let told = known.iter().find(|(start, _)| bytes.starts_with(start)).map(|(_, what)| (*what).to_owned());
    told.unwrap_or_else(|| match bytes.get(..8.min(bytes.len())) {
        None | Some([]) => "it is empty".into(),
        Some(first) => format!("it begins with the bytes {first:02x?}"),
    })
}
