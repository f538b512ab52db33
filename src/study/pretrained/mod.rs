//! Pre-trained encoders on their own: what a checkpoint is, what it says of clips, how well it knows its classes.

mod clips;
mod extract;
mod import;
mod labelled;
mod source;

use std::path::{Path, PathBuf};

pub use extract::{Cut, ExtractRequest, Extraction, extract};
pub use import::{Imported, Tensors, Written, import, random};
pub use labelled::{ClassResult, LabelsRequest, Measured, Measuring, Missing, OnMissing, UnknownLabel};
pub use source::{Listening, Overrides};

use crate::dataset::audioset::LabelError;
use crate::nn::pretrained::Architecture;
use crate::nn::{import as checkpoint, pretrained};
use crate::task::pretrained::Embedder;

/// Why an encoder could not be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A checkpoint cannot be read, or its tensors not be written.
    #[error(transparent)]
    Read(#[from] checkpoint::Error),
    /// A checkpoint is not what is wanted.
    #[error("{}: {source}", path.display())]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: pretrained::Error,
    },
    /// A file that was written does not hold what it should.
    #[error(
        "{}: what was written for it does not read back as it was: {why}; nothing was put there; check the disk, and if it \
         is sound, please report it",
        path.display()
    )]
    Unlike {
        /// The file.
        path: PathBuf,
        /// What differs.
        why: String,
    },
    /// An option that asks for what a checkpoint has not.
    #[error("{0}")]
    Option(String),
    /// A result over its own input.
    #[error("{}: {why}; choose another file with -o", path.display())]
    Output {
        /// The result's path.
        path: PathBuf,
        /// What it is.
        why: &'static str,
    },
    /// A run of another family.
    #[error(
        "{}: it is of the family {family}, which has no checkpoint of its own; name a run of the family pretrained, or a checkpoint file",
        path.display()
    )]
    Family {
        /// The run's folder.
        path: PathBuf,
        /// Its family.
        family: &'static str,
    },
    /// The device does not compute in the number format.
    #[error("the device does not compute in {0}; use --precision f32 or choose another --device")]
    Precision(&'static str),
    /// A clip that cannot be heard, where bad clips are errors.
    #[error("{0}; or use --on-bad-clip skip to leave bad clips out")]
    BadClip(String),
    /// No clip can be heard.
    #[error("all {clips} clips are bad; the first: {first}")]
    NoClip {
        /// How many.
        clips: usize,
        /// What is wrong with the first.
        first: String,
    },
    /// A table of labels or classes.
    #[error(transparent)]
    Labels(#[from] LabelError),
    /// A network without classes.
    #[error(
        "{}: it is pre-trained only and tells no classes apart, so there is no mAP; name a checkpoint that was fine-tuned",
        .0.display()
    )]
    NoClasses(PathBuf),
    /// Labels that cannot be matched with a network's classes.
    #[error("{}: {why}", path.display())]
    Classes {
        /// The checkpoint, or the table of classes.
        path: PathBuf,
        /// What is missing.
        why: String,
    },
    /// Clips of a label file that are not there.
    #[error(
        "{}: {missing} of {clips} clips are not below {}, for one {first}; fetch them, name their folder with --clips, or \
         leave them out with --missing skip",
        labels.display(), folder.display()
    )]
    Missing {
        /// The label file.
        labels: PathBuf,
        /// Where the clips were looked for.
        folder: PathBuf,
        /// How many are missing.
        missing: usize,
        /// Of how many.
        clips: usize,
        /// The first few.
        first: String,
    },
    /// Two rows of one clip.
    #[error("{}: lines {first} and {second} are of one clip, {}; keep one of them", labels.display(), clip.display())]
    Twice {
        /// The label file.
        labels: PathBuf,
        /// The clip's file.
        clip: PathBuf,
        /// A line.
        first: u64,
        /// Another one.
        second: u64,
    },
}

/// A result goes over neither the checkpoint that it is made with nor a clip, and not into the place of a folder.
fn check_output(output: &Path, checkpoint: Option<&Path>, clips: &[PathBuf]) -> Result<(), Error> {
    let wrong = |why| Err(Error::Output { path: output.to_owned(), why });
    if output.is_dir() {
        return wrong("it is a folder");
    }
    // Links are followed: a file has one true path.
    let Ok(known) = output.canonicalize() else { return Ok(()) };
    let is_same = |path: &Path| path.canonicalize().is_ok_and(|path| path == known);
    if checkpoint.is_some_and(is_same) {
        return wrong("it is the checkpoint itself");
    }
    match clips.iter().any(|clip| clip.file_name() == known.file_name() && is_same(clip)) {
        true => wrong("it is one of the clips"),
        false => Ok(()),
    }
}

/// An option that would change nothing is a misunderstanding.
fn check_frames(wanted: &Overrides, embedder: &Embedder) -> Result<(), Error> {
    let architecture = &embedder.model().architecture;
    match (wanted.frames, architecture) {
        (Some(_), Architecture::Beats(_) | Architecture::Ced(_)) => Err(Error::Option(format!(
            "`--frames` is EAT's, and {} is {}, which hears clips whole; leave the option out",
            embedder.path().display(),
            architecture.name()
        ))),
        _ => Ok(()),
    }
}

/// The first few of many, and how many more there are.
fn first_few(names: impl ExactSizeIterator<Item = String>, named: usize) -> String {
    let more = names.len().saturating_sub(named);
    let mut text = names.take(named).collect::<Vec<_>>().join(", ");
    if more > 0 {
        text += &format!(" and {more} more");
    }
    text
}
