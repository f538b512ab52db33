//! Input of any kind: mutated files for everything that reads other people's files, names that nobody expects, and what the
//! program makes of them.
//!
//! The targets are those of the fuzzer, `fuzz/targets.rs`. Here each is given the sound files of `fuzz/seeds`, whatever broke
//! something once (`tests/fixtures/found/TARGET/*`), and mutations of both: the same ones every time, `ROUNDS` of them, or
//! for `ASDBENCH_FUZZ_SECONDS` seconds and from `ASDBENCH_FUZZ_SEED` on where these are set. A target runs in a process of its
//! own, whose memory is limited, so that an abort, an endless loop or a stack that overflows fails one test and says the input.

mod child;
mod mutate;
mod names;
mod network;
mod outputs;
mod traversal;

#[path = "../../../fuzz/targets.rs"]
mod targets;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The variable that makes a process the child of a target's test.
const TARGET: &str = "ASDBENCH_HOSTILE_TARGET";
/// Where the child may write.
const FOLDER: &str = "ASDBENCH_HOSTILE_FOLDER";

/// Fails the test of a target with the input that broke it.
#[track_caller]
fn survives(target: &str) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let seconds: u64 = number("ASDBENCH_FUZZ_SECONDS").unwrap_or(0);
    let log = fs::File::create(folder.path().join("log")).expect("a file");
    let mut child = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "hostile::child::of_a_target", "--nocapture", "--test-threads=1"])
        .env(TARGET, target)
        .env(FOLDER, folder.path())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .expect("this program starts");
    let (started, patience) = (Instant::now(), Duration::from_secs(180 + 2 * seconds));
    let status = loop {
        if let Some(status) = child.try_wait().expect("the child is ours") {
            break Some(status);
        }
        if started.elapsed() > patience {
            child.kill().expect("the child is ours");
            child.wait().expect("the child is ours");
            break None;
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    if status.is_some_and(|status| status.success()) {
        assert!(folder.path().join("done").exists(), "{target}: the child ran no input");
        return;
    }
    let input = fs::read(folder.path().join("input")).unwrap_or_default();
    let kept = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join(format!("{target}-{}", &blake3::hash(&input).to_hex().as_str()[..12]));
    fs::write(&kept, &input).expect("the folder for temporary files");
    let said = fs::read_to_string(folder.path().join("log")).unwrap_or_default();
    let how = status.map_or_else(|| "did not end".to_owned(), |status| status.to_string());
    panic!(
        "{target} broke ({how}) on {} ({} bytes; put it into tests/fixtures/found/{target}):\n{said}",
        kept.display(),
        input.len()
    );
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// The files of a folder of the repository, sorted by name.
fn files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(|path| path.is_file()).collect();
    files.sort();
    files
}

#[test]
fn recordings() {
    survives("wav");
}

#[test]
fn names_of_clips() {
    survives("names");
}

#[test]
fn configurations() {
    survives("config");
}

#[test]
fn studies() {
    survives("study");
}

#[test]
fn files_of_the_challenge() {
    survives("scores");
}

#[test]
fn tables_beside_clips() {
    survives("tables");
}

#[test]
fn arrays() {
    survives("npz");
}

#[test]
fn checkpoints() {
    survives("checkpoint");
}

#[test]
fn epochs() {
    survives("metrics");
}

#[test]
fn manifests() {
    survives("manifest");
}

#[test]
fn every_target_has_its_seeds_and_its_test() {
    let source = include_str!("mod.rs");
    for (name, _) in targets::TARGETS {
        assert!(!files(&format!("fuzz/seeds/{name}")).is_empty(), "{name} has no seeds");
        assert!(source.contains(&format!("survives(\"{name}\");")), "{name} has no test");
    }
}
