//! What a folder holds, in a form that two undisturbed runs agree on byte by byte.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// Contents by path.
pub type Results = BTreeMap<PathBuf, Vec<u8>>;

/// All files below a folder, hidden ones too, sorted.
pub fn walk(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() { found.extend(walk(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

/// All files but locks, caches, lists of operations and those that are being written; of what says when something was done,
/// the rest.
pub fn results(root: &Path) -> Results {
    let mut found = Results::new();
    for path in walk(root) {
        let relative = path.strip_prefix(root).expect("a path below").to_owned();
        let name = relative.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let passing = name == "lock" || name.ends_with(".lock") || name == "ops.txt" || is_temporary(&path);
        if passing || relative.starts_with("runs/.cache") {
            continue;
        }
        let bytes = fs::read(&path).unwrap_or_default();
        let bytes = match name.as_str() {
            "manifest.json" => timeless_manifest(&bytes).unwrap_or(bytes),
            "metrics.jsonl" => timeless_metrics(&bytes).unwrap_or(bytes),
            _ => bytes,
        };
        found.insert(relative, bytes);
    }
    found
}

/// Files that killed processes left half-written.
pub fn leftovers(root: &Path) -> Vec<PathBuf> {
    walk(root).into_iter().filter(|path| is_temporary(path)).collect()
}

fn is_temporary(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b".writing-"))
}

/// What a run is, without who made it when.
fn timeless_manifest(bytes: &[u8]) -> Option<Vec<u8>> {
    let manifest: Value = serde_json::from_slice(bytes).ok()?;
    let keys = [
        "family",
        "config",
        "config_hash",
        "data_fingerprint",
        "machine",
        "learnt",
        "seed",
        "copied_from",
        "model",
        "clips",
        "skipped",
    ];
    serde_json::to_vec(&keys.map(|key| &manifest[key])).ok()
}

fn timeless_metrics(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut kept = Vec::new();
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let mut line: Value = serde_json::from_slice(line).ok()?;
        let fields = line.as_object_mut()?;
        fields.remove("seconds");
        fields.remove("examples_per_s");
        kept.extend(serde_json::to_vec(&line).ok()?);
        kept.push(b'\n');
    }
    Some(kept)
}

/// What differs in the files that `of` takes, in words; none where nothing does.
pub fn difference(expected: &Results, found: &Results, of: impl Fn(&Path) -> bool) -> Option<String> {
    let mut told = Vec::new();
    for path in expected.keys().chain(found.keys().filter(|path| !expected.contains_key(*path))) {
        if !of(path) {
            continue;
        }
        match (expected.get(path), found.get(path)) {
            (Some(a), Some(b)) if a == b => {}
            (Some(_), Some(_)) => told.push(format!("{} differs", path.display())),
            (Some(_), None) => told.push(format!("{} is missing", path.display())),
            _ => told.push(format!("{} should not be there", path.display())),
        }
    }
    (!told.is_empty()).then(|| told.join("; "))
}
