//! A study from one file, as a user sweeps it.

mod failures;
mod kills;
mod plan;
mod sharing;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::pipeline::walk;
use crate::program::{Answer, Bench, shipped};

/// Trials of [`study`]: 2 autoencoders and 1 joint classifier on 2 machine types.
const TRIALS: usize = 6;

/// Two machine types and a study of two families, one of which learns both types with one network.
fn study() -> Bench {
    let bench = Bench::empty();
    let sizes = ["--duration-s", "1.2", "--train-per-section", "6", "--test-per-section", "8"];
    bench.run(&[&["synth", "data", "--machines", "fan,valve", "-q"], &sizes[..]].concat()).fine();
    let family = |name: &str| toml(&shipped(name));
    let text = format!(
        "[study]\nname = \"tiny\"\nseeds = [0]\n\n\
         [common]\ndata.root = \"data\"\ntrain.checkpoint_every_s = 0.0\n\n\
         [[family]]\nconfig = {}\n[family.override]\ntrain.epochs = 8\ntrain.batch_size = 32\n\
         [family.grid]\n\"task.autoencoder.hidden\" = [8, 16]\n\n\
         [[family]]\nconfig = {}\n[family.override]\ntask.classification.frames = 32\n\
         task.classification.width = 4\ntask.classification.label = \"machine-section\"\ntrain.epochs = 4\n\
         [family.grid]\n\"task.classification.backbone\" = [\"resnet18\"]\n",
        family("micro/ae.toml"),
        family("micro/ce.toml")
    );
    fs::write(bench.path("tiny.toml"), text).unwrap();
    bench
}

fn toml(path: &Path) -> String {
    format!("{:?}", path.to_str().unwrap())
}

/// Arguments of a sweep into a folder.
fn arguments<'a>(runs: &'a str, options: &[&'a str]) -> Vec<&'a str> {
    let base = ["sweep", "tiny.toml", "--device", "cpu", "--runs", runs, "--format", "json"];
    [&base[..], options].concat()
}

fn sweep(bench: &Bench, runs: &str, options: &[&str]) -> Answer {
    bench.run(&arguments(runs, options))
}

/// A sweep in the background, whose standard error nobody reads.
fn begin(bench: &Bench, runs: &str, options: &[&str]) -> Child {
    let mut command = bench.command(&arguments(runs, options));
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// All that a study comes to, without what tells when and by whom: results, weights, features, by path below the runs.
fn results(runs: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let kept = ["eval.json", "scores.csv", "features.npz", "model.safetensors", "config.toml", "status"];
    let mut found = BTreeMap::new();
    for path in walk(runs) {
        if kept.iter().any(|name| path.ends_with(name)) && !path.starts_with(runs.join(".cache")) {
            found.insert(path.strip_prefix(runs).unwrap().to_owned(), fs::read(&path).unwrap());
        }
    }
    found
}

fn assert_same(a: &BTreeMap<PathBuf, Vec<u8>>, b: &BTreeMap<PathBuf, Vec<u8>>, when: &str) {
    let names = |of: &BTreeMap<PathBuf, Vec<u8>>| of.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(a), names(b), "{when}");
    for (path, bytes) in a {
        assert!(*bytes == b[path], "{} differs {when}", path.display());
    }
}

/// The tables that the results give, for people and for scripts.
fn tables(bench: &Bench, runs: &str) -> Vec<String> {
    let correlate = |format| bench.run(&["correlate", runs, "--format", format]).fine().out;
    let swept = |format| {
        let arguments = ["sweep", "tiny.toml", "--device", "cpu", "--runs", runs, "--format", format];
        bench.run(&arguments).fine().out
    };
    let all = [correlate("json"), correlate("csv"), swept("json"), swept("csv"), swept("md")];
    all.map(|text| text.replace(&format!("{runs}/"), "RUNS/")).to_vec()
}

fn runs_of(answer: &Answer) -> Vec<Value> {
    answer.json()["runs"].as_array().cloned().unwrap_or_default()
}

/// Process numbers of a process's children.
#[cfg(target_os = "linux")]
fn children(parent: u32) -> Vec<u32> {
    let stat = |pid: u32| fs::read_to_string(format!("/proc/{pid}/stat")).ok();
    // pid (name) state ppid …; the name may hold anything.
    let parent_of = |pid: u32| stat(pid)?.rsplit_once(") ")?.1.split(' ').nth(1)?.parse::<u32>().ok();
    let all = fs::read_dir("/proc").unwrap().flatten();
    let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid| parent_of(*pid) == Some(parent)).collect()
}

/// Waits until `done`, for three minutes at most.
fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(180);
    while !done() {
        assert!(Instant::now() < deadline, "not in three minutes: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn a_study_goes_the_whole_way_and_is_found_done() {
    let bench = study();
    let swept = sweep(&bench, "runs", &["--jobs", "2"]).fine();
    let document = swept.json();
    assert_eq!((&document["schema"], &document["study"]), (&1.into(), &"tiny".into()));
    assert_eq!(document["counts"]["done"], TRIALS);
    let runs = runs_of(&swept);
    assert_eq!(runs.len(), TRIALS);
    for run in &runs {
        assert_eq!(run["status"], "done", "{run}");
        assert!(run["loss"].as_f64().unwrap() > 0.0, "{run}");
        let path = bench.path(run["path"].as_str().unwrap());
        let text = fs::read_to_string(path.join("eval.json")).unwrap();
        let own: Value = serde_json::from_str(&text).unwrap();
        for key in ["proxy", "linear_probe", "mahalanobis", "official"] {
            assert_eq!(run[key], own[key], "{key} of {}", path.display());
        }
        assert!(!path.join("checkpoint").exists());
        // The manifest says who asked for it.
        let manifest = fs::read_to_string(path.join("manifest.json")).unwrap();
        assert!(manifest.contains("\"tiny.toml\""), "{manifest}");
    }
    // In the order of the study: families, configurations, machine types.
    let order = |key: &str| runs.iter().map(|run| run[key].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    assert_eq!(order("family")[..4], ["autoencoder"; 4]);
    assert_eq!(order("machine"), ["fan", "valve", "fan", "valve", "fan", "valve"]);
    // One training serves both machine types.
    let manifests = walk(&bench.path("runs/ce")).into_iter().filter(|path| path.ends_with("manifest.json"));
    let copied = manifests.filter(|path| fs::read_to_string(path).unwrap().contains("copied_from"));
    assert_eq!(copied.count(), 1);
    // Log-mels were made once: a set for training and one for judging of each machine type and family.
    let logmels = walk(&bench.path("runs/.cache/logmels"));
    assert_eq!(logmels.iter().filter(|path| path.extension().is_some_and(|e| e == "npy")).count(), 8);

    let before = results(&bench.path("runs"));
    let again = sweep(&bench, "runs", &["--jobs", "2"]).fine();
    assert_eq!(again.out, swept.out);
    assert!(again.err.contains(&format!("{TRIALS} trials: {TRIALS} done")), "{}", again.err);
    assert!(!again.err.contains(" done in "), "{}", again.err);
    assert_same(&before, &results(&bench.path("runs")), "after a sweep that had nothing to do");
}

#[test]
fn other_ways_of_judging_train_nothing_again() {
    let bench = study();
    let only = ["--only", "autoencoder"];
    sweep(&bench, "runs", &only).fine();
    let before = results(&bench.path("runs"));
    let options = [&only[..], &["--set", "eval.mahalanobis.estimator=oas"]].concat();
    let plan = sweep(&bench, "runs", &[&options[..], &["--dry-run", "--no-probe"]].concat()).fine();
    assert!(runs_of(&plan).iter().all(|run| run["state"] == "trained"), "{}", plan.out);
    let judged = sweep(&bench, "runs", &options).fine();
    assert!(judged.err.contains("4 trained and to be judged"), "{}", judged.err);
    let after = results(&bench.path("runs"));
    for (path, bytes) in &before {
        let same = *bytes == after[path];
        let expected =
            !(path.ends_with("eval.json") || path.ends_with("config.toml") || path.ends_with("scores.csv"));
        assert_eq!(same, expected, "{}", path.display());
    }
}
