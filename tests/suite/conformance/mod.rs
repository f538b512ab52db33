//! Results of the field's reference implementations, held against ours.
//!
//! The reference files lie in the folder that `ASDBENCH_CONFORMANCE_DIR` names, else in
//! `../shared/conformance` beside the checkout, else in the small copy under `tests/fixtures`.
//! Every size, rate and setting is read from the files: any folder of the same layout does.

mod beats;
mod ced;
mod checkpoints;
mod cmgan;
mod eat;
mod front_ends;
mod fusion;
mod metrics;
mod mixing;
mod official;
mod procedural;
mod resnet;
mod signal;
mod stats;
mod study_tables;
mod tensors;

use std::io::Write as _;
use std::path::{Path, PathBuf};

use ndarray::Array2;

/// The reference folder `name`, or nothing, which is said on the terminal, where there is none.
///
/// # Panics
/// Where `ASDBENCH_CONFORMANCE_DIR` is set and names no folder: a typing error must not skip the
/// tests.
pub fn folder(name: &str) -> Option<PathBuf> {
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR"));
    let named = std::env::var_os("ASDBENCH_CONFORMANCE_DIR").map(PathBuf::from);
    if let Some(root) = &named {
        assert!(root.is_dir(), "ASDBENCH_CONFORMANCE_DIR is no folder: {}", root.display());
    }
    let roots = named.map_or_else(
        || vec![checkout.join("../shared/conformance"), checkout.join("tests/fixtures")],
        |root| vec![root],
    );
    let found = roots.into_iter().map(|root| root.join(name)).find(|folder| folder.is_dir());
    if found.is_none() {
        // Straight to stderr, in one piece: what tests print with macros is hidden while they pass.
        let skipped = format!("SKIPPED: no conformance folder `{name}`; set ASDBENCH_CONFORMANCE_DIR\n");
        let _ = std::io::stderr().write_all(skipped.as_bytes());
    }
    found
}

/// A file of a reference folder. Nothing, which is said on the terminal, where the small copy under `tests/fixtures` is
/// without it; anywhere else it must be there.
pub fn part(folder: &Path, name: &str) -> Option<PathBuf> {
    let path = folder.join(name);
    let copy = folder.parent().is_some_and(|root| root.ends_with("tests/fixtures"));
    if copy && !path.exists() {
        let skipped = format!("SKIPPED: `{}` is in no plain clone\n", path.display());
        let _ = std::io::stderr().write_all(skipped.as_bytes());
        return None;
    }
    assert!(path.exists(), "{} is missing", path.display());
    Some(path)
}

/// A JSON file.
pub fn json(path: &Path) -> serde_json::Value {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Says how far from the reference a passing comparison was; shown with `--nocapture`.
pub fn report(what: &str, error: f64, tolerance: f64) {
    println!("{what}: largest error {error:.3e}, tolerance {tolerance:.0e}");
}

/// Files of a folder whose names are `{stem}{suffix}`, with their stems, sorted by name.
pub fn files_ending(folder: &Path, suffix: &str) -> Vec<(String, PathBuf)> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<_> = entries
        .map(|entry| entry.expect("folder entry").path())
        .filter_map(|path| {
            let stem = path.file_name()?.to_str()?.strip_suffix(suffix)?.to_owned();
            Some((stem, path))
        })
        .collect();
    files.sort();
    files
}

/// A matrix of a `.npy` file.
pub fn matrix(path: &Path) -> Array2<f32> {
    ndarray_npy::read_npy(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
