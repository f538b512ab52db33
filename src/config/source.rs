//! The texts that a configuration was put together from, and places in them.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// A stretch of one source, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Span {
    pub source: usize,
    pub start: usize,
    pub end: usize,
}

/// A file, or one `--set` argument.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub kind: SourceKind,
    pub text: Arc<str>,
}

#[derive(Clone, Debug)]
pub(super) enum SourceKind {
    File(PathBuf),
    Set,
}

impl Source {
    /// The name that stands above an excerpt.
    pub fn name(&self) -> String {
        match &self.kind {
            SourceKind::File(path) => path.display().to_string(),
            SourceKind::Set => "command line".to_owned(),
        }
    }

    /// The line, counted from 1, that a byte offset lies in.
    pub fn line(&self, offset: usize) -> usize {
        1 + self.text.bytes().take(offset).filter(|&byte| byte == b'\n').count()
    }
}

/// Every source of a configuration, in the order in which they were read.
#[derive(Clone, Debug, Default)]
pub(super) struct Sources(Vec<Source>);

impl Sources {
    /// Keeps a source; spans refer to it by the number that is returned.
    pub fn add(&mut self, kind: SourceKind, text: &str) -> usize {
        self.0.push(Source { kind, text: text.into() });
        self.0.len() - 1
    }

    pub fn get(&self, span: Span) -> &Source {
        &self.0[span.source]
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn origin(&self, span: Span) -> Origin {
        let source = self.get(span);
        match &source.kind {
            SourceKind::File(path) => Origin::File { path: path.clone(), line: source.line(span.start) },
            SourceKind::Set => Origin::Set,
        }
    }
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nobody gave one: the built-in default.
    Default,
    /// A line of a configuration file, counted from 1.
    File { path: PathBuf, line: usize },
    /// A `--set` argument.
    Set,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => write!(f, "default"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Set => write!(f, "--set"),
        }
    }
}
