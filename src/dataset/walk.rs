//! The walk over a data set's folder: every clip and table below the root, once, in a fixed order.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use serde::Serialize;
use walkdir::WalkDir;

use super::Error;

/// Something in a data set that a person should look at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The file or folder, relative to the root; `None` where a whole machine is meant.
    pub path: Option<PathBuf>,
    /// The machine type, where it is known.
    pub machine: Option<String>,
    /// The kind, for scripts.
    pub kind: ProblemKind,
    /// What is wrong and what to do.
    pub message: String,
}

/// The kinds of [`Problem`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProblemKind {
    /// A folder or file that could not be visited.
    Unreachable,
    /// A clip whose name fits no layout.
    UnmatchedName,
    /// A clip whose name says something else than its folder.
    Contradiction,
    /// An anomalous clip in the train split.
    AnomalousTraining,
    /// Two clips of one machine with one name.
    SameName,
    /// A table of attributes or ground truth that could not be read.
    BadTable,
    /// A clip that cannot be decoded, is cut short, empty or not finite.
    BadClip,
    /// A clip that holds one constant value.
    Silent,
    /// Several sample rates in one machine.
    MixedRates,
    /// Several channel counts in one machine.
    MixedChannels,
    /// A test set with normal or anomalous clips only.
    OneClassTest,
    /// A domain without clips.
    MissingDomain,
    /// The same content in the train and the test split.
    Leak,
    /// A machine without train or without test clips.
    MissingSplit,
}

/// What lies below a root. Paths are relative to it, with `/` between folders, and sorted.
#[derive(Debug, Default)]
pub(super) struct Tree {
    pub wavs: Vec<String>,
    /// `attributes_*.csv` files.
    pub attributes: Vec<String>,
    /// `ground_truth_*.csv` files.
    pub truths: Vec<String>,
    /// Number of other files by lower-case extension (empty where there is none).
    pub others: BTreeMap<String, usize>,
    pub problems: Vec<Problem>,
}

/// Visits everything below `root`. Hidden files (and with them macOS's `._*` twins) and hidden folders are passed
/// over; links are followed, except into the tree itself or above it, where they would show clips twice or never
/// end. Fails only where the root itself cannot be read.
pub(super) fn walk(root: &Path) -> Result<Tree, Error> {
    let metadata = match std::fs::metadata(root) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(Error::MissingRoot { root: root.to_owned() });
        }
        Err(source) => return Err(io("open data folder", root, source)),
    };
    if !metadata.is_dir() {
        let remedy = if has_extension(root, "zip") {
            "unpack it and point `data.root` at the folder"
        } else {
            "point `data.root` at the folder that holds one folder per machine type"
        };
        return Err(Error::NotAFolder { root: root.to_owned(), remedy: remedy.to_owned() });
    }
    let canonical = root.canonicalize().map_err(|source| io("open data folder", root, source))?;
    let mut entries = std::fs::read_dir(root).map_err(|source| io("read data folder", root, source))?;
    if entries.next().is_none() {
        return Err(Error::EmptyRoot { root: root.to_owned() });
    }

    let mut tree = Tree::default();
    let mut entered = Links::default();
    let visible = |entry: &walkdir::DirEntry| {
        entry.depth() == 0
            || (!is_hidden(entry.file_name())
                && !leads_back(entry, &canonical)
                && entered.is_first(root, entry))
    };
    for entry in WalkDir::new(root).follow_links(true).sort_by_file_name().into_iter().filter_entry(visible) {
        match entry {
            Ok(entry) if entry.file_type().is_file() => tree.add(root, entry.path()),
            Ok(entry) if !entry.file_type().is_dir() && has_extension(entry.path(), "wav") => {
                let path = entry.path().strip_prefix(root).unwrap_or(entry.path()).to_owned();
                let message = "is no file but a pipe or a device; remove it".to_owned();
                tree.problem(Some(path), ProblemKind::Unreachable, message);
            }
            Ok(_) => {}
            Err(error) => {
                let path = error.path().map(|path| path.strip_prefix(root).unwrap_or(path).to_owned());
                // A link that leads back into its own folders is harmless: walkdir reports it and does not enter.
                if error.loop_ancestor().is_none() {
                    tree.problem(path, ProblemKind::Unreachable, format!("cannot be visited: {error}"));
                }
            }
        }
    }
    for (path, message) in entered.again {
        tree.problem(Some(path), ProblemKind::Unreachable, message);
    }
    // The order of whole paths, not walkdir's order of components, in which `a/x` would come before `a b/x`.
    tree.wavs.sort_unstable();
    tree.attributes.sort_unstable();
    tree.truths.sort_unstable();
    Ok(tree)
}

impl Tree {
    fn add(&mut self, root: &Path, path: &Path) {
        let relative = path.strip_prefix(root).unwrap_or(path);
        let parts: Option<Vec<&str>> = relative.components().map(|part| part.as_os_str().to_str()).collect();
        let Some(name) = parts.map(|parts| parts.join("/")) else {
            let message = "name is not UTF-8; rename it".to_owned();
            return self.problem(Some(relative.to_owned()), ProblemKind::UnmatchedName, message);
        };
        let file = name.rsplit('/').next().unwrap_or_default();
        let extension =
            Path::new(file).extension().and_then(|e| e.to_str()).unwrap_or_default().to_lowercase();
        match extension.as_str() {
            "wav" => self.wavs.push(name),
            "csv" if file.starts_with("attributes_") => self.attributes.push(name),
            "csv" if file.starts_with("ground_truth_") => self.truths.push(name),
            _ => *self.others.entry(extension).or_default() += 1,
        }
    }

    fn problem(&mut self, path: Option<PathBuf>, kind: ProblemKind, message: String) {
        self.problems.push(Problem { path, machine: None, kind, message });
    }

    /// The other files in words, e.g. `3 zip, 1 txt`.
    pub fn others_seen(&self) -> String {
        if self.others.is_empty() {
            return "no other file either".to_owned();
        }
        let named = |(extension, count): (&String, &usize)| match extension.as_str() {
            "" => format!("{count} without extension"),
            extension => format!("{count} .{extension}"),
        };
        format!("seen: {}", self.others.iter().map(named).collect::<Vec<_>>().join(", "))
    }
}

/// The folders outside of the tree that links led to. Each is entered once: a few folders of links to one another hold more
/// ways than a walk ever ends, and no clip that has not been seen.
#[derive(Debug, Default)]
struct Links {
    /// The link that led to a folder first.
    first: HashMap<PathBuf, PathBuf>,
    /// Links that were not followed, and why.
    again: Vec<(PathBuf, String)>,
}

impl Links {
    fn is_first(&mut self, root: &Path, entry: &walkdir::DirEntry) -> bool {
        if !entry.path_is_symlink() || !entry.file_type().is_dir() {
            return true;
        }
        // What cannot be resolved is reported when it is entered.
        let Ok(target) = entry.path().canonicalize() else { return true };
        // A link back into its own folders is harmless: walkdir finds it and does not enter.
        let folder = entry.path().parent().and_then(|folder| folder.canonicalize().ok());
        if folder.is_some_and(|folder| folder.starts_with(&target)) {
            return true;
        }
        let link = entry.path().strip_prefix(root).unwrap_or(entry.path());
        if let Some(first) = self.first.get(&target) {
            let why = format!("links to the folder that {} shows already; it is left out", first.display());
            self.again.push((link.to_owned(), why));
            return false;
        }
        self.first.insert(target, link.to_owned());
        true
    }
}

/// A linked folder whose target holds the root, or lies below it where the walk comes by anyway.
fn leads_back(entry: &walkdir::DirEntry, canonical_root: &Path) -> bool {
    if !entry.path_is_symlink() || !entry.file_type().is_dir() {
        return false;
    }
    entry.path().canonicalize().is_ok_and(|target| match target.strip_prefix(canonical_root) {
        Ok(inside) => !inside.iter().any(is_hidden),
        Err(_) => canonical_root.starts_with(&target),
    })
}

fn is_hidden(name: &std::ffi::OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b".")
}

fn has_extension(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|found| found.eq_ignore_ascii_case(extension))
}

fn io(action: &'static str, path: &Path, source: std::io::Error) -> Error {
    Error::Io { action, path: path.to_owned(), source }
}
