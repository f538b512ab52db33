//! Why systems cannot be fused. Each message names the system or file and the remedy.

use std::path::{Path, PathBuf};

use crate::{files, fusion, official, run};

/// Systems that cannot be fused, or a fusion that cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Score files or ground truth.
    #[error(transparent)]
    Official(#[from] official::Error),
    /// A run's folder.
    #[error(transparent)]
    Run(#[from] run::Error),
    /// A file.
    #[error(transparent)]
    File(#[from] files::Error),
    /// Scores, weights and what is made of them.
    #[error("failed to {0}")]
    Fusion(#[from] fusion::Error),
    /// A run or a folder that has no usable scores.
    #[error("{}: {why}", path.display())]
    Unusable {
        /// The folder.
        path: PathBuf,
        /// What is missing and what to do.
        why: String,
    },
    /// A row of a run's table.
    #[error("{}, row {row}: {why}", path.display())]
    Row {
        /// The file.
        path: PathBuf,
        /// The line in the file, from 1.
        row: u64,
        /// What is wrong and what to do.
        why: String,
    },
    /// Systems that have not scored the same.
    #[error("the systems differ: {0}; score the same with all of them, or set missing = \"common\"")]
    Differ(String),
    /// Clips that the ground truth lists and nobody scored.
    #[error("{0}; score them too, choose what is tuned on and applied to, or set missing = \"common\"")]
    Incomplete(String),
    /// Machine types or sections that there are not, or none that are left.
    #[error("{0}")]
    Choice(String),
    /// A normalisation without the scores that it is made from.
    #[error("{0}")]
    Normalise(String),
    /// What the folder for the results holds.
    #[error("{}: {why}", path.display())]
    Output {
        /// The folder.
        path: PathBuf,
        /// What is in the way and what to do.
        why: String,
    },
}

impl Error {
    pub(super) fn unusable(path: &Path, why: impl Into<String>) -> Self {
        Self::Unusable { path: path.to_owned(), why: why.into() }
    }

    pub(super) fn row(path: &Path, row: u64, why: impl Into<String>) -> Self {
        Self::Row { path: path.to_owned(), row, why: why.into() }
    }
}

/// The first few of many, in words: `a, b, c and 12 more`.
pub(super) fn some_of<T: AsRef<str>>(names: &[T]) -> String {
    const SHOWN: usize = 5;
    let shown: Vec<&str> = names.iter().take(SHOWN).map(AsRef::as_ref).collect();
    match names.len().saturating_sub(SHOWN) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}
