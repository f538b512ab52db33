//! What can be wrong with a submission or its ground truth. Each message names the file, the row and the remedy.

use std::path::{Path, PathBuf};

use super::Year;
use crate::files;

/// A submission that cannot be read, judged or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A folder that cannot be used as it is.
    #[error("{}: {why}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What is wrong and what to do.
        why: String,
    },
    /// A file as a whole.
    #[error("{}: {why}", path.display())]
    Table {
        /// The file.
        path: PathBuf,
        /// What is wrong and what to do.
        why: String,
    },
    /// A row of a file.
    #[error("{}, row {row}: {why}", path.display())]
    Row {
        /// The file.
        path: PathBuf,
        /// The line in the file, from 1.
        row: u64,
        /// What is wrong and what to do.
        why: String,
    },
    /// A clip whose label no name and no truth tells.
    #[error("{}, row {row}: the name `{clip}` does not say whether the clip is normal or anomalous; {remedy}", path.display())]
    Unlabelled {
        /// The score file.
        path: PathBuf,
        /// The line in the file, from 1.
        row: u64,
        /// The clip.
        clip: String,
        /// What to do.
        remedy: String,
    },
    /// A submission that the naming of a year cannot hold.
    #[error("write a submission of {year} for machine `{machine}`, section {section}: {why}")]
    Unwritable {
        /// The year.
        year: Year,
        /// The machine type.
        machine: String,
        /// The section.
        section: String,
        /// What is wrong and what to do.
        why: String,
    },
    /// A file or folder that could not be read or written.
    #[error(transparent)]
    File(#[from] files::Error),
}

impl Error {
    pub(super) fn folder(path: &Path, why: impl Into<String>) -> Self {
        Self::Folder { path: path.to_owned(), why: why.into() }
    }

    pub(super) fn table(path: &Path, why: impl Into<String>) -> Self {
        Self::Table { path: path.to_owned(), why: why.into() }
    }

    pub(super) fn row(path: &Path, row: u64, why: impl Into<String>) -> Self {
        Self::Row { path: path.to_owned(), row, why: why.into() }
    }
}

/// The first few of many, in words: `a, b, c and 12 more`.
pub(super) fn some_of<T: AsRef<str>>(names: &[T]) -> String {
    const SHOWN: usize = 5;
    let shown: Vec<&str> = names.iter().take(SHOWN).map(AsRef::as_ref).collect();
    match names.len().checked_sub(SHOWN) {
        None | Some(0) => shown.join(", "),
        Some(more) => format!("{} and {more} more", shown.join(", ")),
    }
}
