//! Reads files, whatever they extend, and `--set` arguments, and lays them over one another.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

use toml::Value;

use super::error::{Diagnosis, Error};
use super::grid;
use super::resolved::Resolved;
use super::set;
use super::shape::experiment;
use super::source::{SourceKind, Sources, Span};
use super::suggest::nearest;
use super::tree::{self, Item, Node};

/// Enough for any tidy set of configurations; files that extend each other twice over must not take for ever.
const MAX_FILES: usize = 64;

/// A thousand times the longest shipped one. A device, or a recording that was named by mistake, must not fill the memory.
const MAX_BYTES: u64 = 1 << 20;

/// The text of a configuration file, which may be a pipe.
pub(super) fn read_text(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(io::Error::other(format!(
            "it is longer than the {} KiB of any configuration",
            MAX_BYTES >> 10
        )));
    }
    String::from_utf8(bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.utf8_error()))
}

/// Loads a configuration file, whatever it extends, and `--set` arguments over it (`a.b=value`, later ones win).
///
/// `extends` is relative to the file that holds it; every other path in a configuration is left as it is, relative
/// to the working folder. Tables merge, all else replaces; a file's `[grid]` replaces that of the files it extends.
///
/// # Errors
/// [`Error`] with the place of everything that is wrong. Whether `data.root` is set is not checked here.
pub fn load(path: &Path, sets: &[String]) -> Result<Resolved, Error> {
    let mut layers = Layers::default();
    let root = layers.file(path, None)?;
    layers.resolve(root, sets, path)
}

/// As [`load`], for a text that has been read already; `name` is the path that messages show and that `extends` is
/// relative to.
///
/// # Errors
/// As [`load`].
pub fn load_str(text: &str, name: &str) -> Result<Resolved, Error> {
    let mut layers = Layers::default();
    let root = layers.text(text, Path::new(name))?;
    layers.resolve(root, &[], Path::new(name))
}

/// The files being read.
#[derive(Default)]
pub(super) struct Layers {
    pub sources: Sources,
    /// The chain of files that extend one another down to the one being read: real path, shown path.
    open: Vec<(PathBuf, PathBuf)>,
    /// Sources that were there before the configuration that is being read: a study has one for each family.
    before: usize,
}

impl Layers {
    /// Begins another configuration, which may extend as many files as the one before.
    pub fn begin(&mut self) {
        self.before = self.sources.len();
    }

    /// Reads a configuration and the files that it extends; `from` is where another file asks for it.
    pub fn file(&mut self, path: &Path, from: Option<Span>) -> Result<Node, Error> {
        self.enter(path, from, Self::text)
    }

    /// Has `read` make a tree of a file's text; `from` is where another file asks for it.
    pub fn enter(
        &mut self,
        path: &Path,
        from: Option<Span>,
        read: impl FnOnce(&mut Self, &str, &Path) -> Result<Node, Error>,
    ) -> Result<Node, Error> {
        let shown = tidy(path);
        let complain = |diagnosis: Diagnosis, label: &str| match from {
            Some(span) => diagnosis.at(&self.sources, span, Some(label.to_owned())).boxed(),
            None => diagnosis.boxed(),
        };
        if self.sources.len() - self.before >= MAX_FILES {
            let message = format!("more than {MAX_FILES} files extend one another");
            return Err(Error::Read(complain(Diagnosis::new(message), "one too many")));
        }
        let text = read_text(path).map_err(|error| {
            let diagnosis = Diagnosis::new(format!(
                "failed to read the configuration {}: {}",
                shown.display(),
                reason(&error)
            ));
            Error::Read(complain(diagnosis.help(read_help(path, &error)), "extended here"))
        })?;
        let real = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        if let Some(first) = self.open.iter().position(|(open, _)| *open == real) {
            let chain = self.open[first..].iter().map(|(_, shown)| shown).chain([&shown]);
            let chain: Vec<String> = chain.map(|path| path.display().to_string()).collect();
            let diagnosis = Diagnosis::new(format!(
                "configurations extend each other in a circle: {}",
                chain.join(" -> ")
            ));
            let diagnosis = diagnosis.help("remove one `extends` of the circle".to_owned());
            return Err(Error::Cycle(complain(diagnosis, "comes back to a file that is being read")));
        }
        self.open.push((real, shown));
        let node = read(self, &text, path);
        self.open.pop();
        node
    }

    /// Reads a text and the files that it extends.
    fn text(&mut self, text: &str, path: &Path) -> Result<Node, Error> {
        let own = self.parse(text, path)?;
        self.extend(own, path.parent().unwrap_or(Path::new("")))
    }

    /// Parses a file's text, which becomes a source.
    pub fn parse(&mut self, text: &str, path: &Path) -> Result<Node, Error> {
        let source = self.sources.add(SourceKind::File(tidy(path)), text);
        tree::parse(text, source).map_err(|error| {
            let range = error.span().unwrap_or(0..0);
            let span = Span { source, start: range.start, end: range.end };
            let message = format!("not valid TOML: {}", error.message().replace('\n', ", "));
            Error::Syntax(Diagnosis::new(message).at(&self.sources, span, None).boxed())
        })
    }

    /// Lays a table of settings over the configurations that it extends, relative to `folder`.
    pub fn extend(&mut self, mut own: Node, folder: &Path) -> Result<Node, Error> {
        grid::flatten(&mut own);
        let mut below = Node::empty(own.span);
        for (name, span) in self.extended(&mut own)? {
            let base = self.file(&folder.join(name), Some(span))?;
            overlay(&mut below, base);
        }
        overlay(&mut below, own);
        Ok(below)
    }

    /// Takes `extends` out of a file's table.
    pub fn extended(&self, own: &mut Node) -> Result<Vec<(String, Span)>, Error> {
        let Some(node) = own.table_mut().and_then(|table| table.remove("extends")) else {
            return Ok(Vec::new());
        };
        let entries = match &node.item {
            Item::List(list) => list.as_slice(),
            Item::Scalar(_) | Item::Table(_) => std::slice::from_ref(&node),
        };
        let name = |entry: &Node| match &entry.item {
            Item::Scalar(Value::String(name)) => Ok((name.clone(), entry.span)),
            _ => {
                let message = "`extends` must be the path of a configuration, or a list of them";
                Err(Error::Invalid(vec![Diagnosis::new(message).at(&self.sources, entry.span, None)]))
            }
        };
        entries.iter().map(name).collect()
    }

    /// Lays the `--set` arguments over the files and checks the result.
    fn resolve(mut self, mut root: Node, sets: &[String], path: &Path) -> Result<Resolved, Error> {
        for argument in sets {
            let set::Override { mut layer, whole_grid } = set::parse(argument, &mut self.sources)?;
            if whole_grid && let Some(table) = root.table_mut() {
                table.remove("grid");
            }
            grid::flatten(&mut layer);
            root.merge(layer, experiment());
        }
        Resolved::check(root, self.sources, path)
    }
}

// A file's grid is one statement of what is varied: a mix of two files' axes would be neither's.
fn overlay(below: &mut Node, above: Node) {
    if above.get(["grid"]).is_some()
        && let Some(table) = below.table_mut()
    {
        table.remove("grid");
    }
    below.merge(above, experiment());
}

fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".to_owned(),
        io::ErrorKind::InvalidData => "it is not UTF-8 text".to_owned(),
        io::ErrorKind::IsADirectory => "it is a folder".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => error.to_string(),
    }
}

// A file of a like name beside the missing one.
fn read_help(path: &Path, error: &io::Error) -> Option<String> {
    if error.kind() != io::ErrorKind::NotFound {
        return None;
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let entries = std::fs::read_dir(folder).ok()?;
    let mut names: Vec<String> =
        entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.retain(|name| name.ends_with(".toml"));
    names.sort();
    let stems = names.iter().filter_map(|name| name.strip_suffix(".toml"));
    let near = nearest(path.file_stem()?.to_str()?, stems)?;
    let near = path.with_file_name(format!("{near}.toml"));
    Some(format!("did you mean `{}`?", tidy(&near).display()))
}

/// A path without `x/..` and `.`, for showing: `configs/micro/../ae.toml` is `configs/ae.toml`.
pub(super) fn tidy(path: &Path) -> PathBuf {
    let mut tidy = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if matches!(tidy.components().next_back(), Some(Component::Normal(_))) => {
                tidy.pop();
            }
            part => tidy.push(part),
        }
    }
    tidy
}
