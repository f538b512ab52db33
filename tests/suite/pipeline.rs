//! Clips in, an autoencoder trained, anomalies scored: what the files and the JSON say, and that they say it again.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::killing::{kill, send};
use crate::program::{Bench, first_clip};

/// What must be the same bytes whenever the same is trained and judged.
const ARTEFACTS: [&str; 4] = ["model.safetensors", "features.npz", "scores.csv", "eval.json"];

/// The artefacts of the only run below a folder.
pub fn artefacts(runs: &Path) -> BTreeMap<&'static str, Vec<u8>> {
    let run = walk(runs).into_iter().find(|path| path.ends_with("manifest.json")).expect("a run");
    let run = run.parent().unwrap();
    let read =
        |name| fs::read(run.join(name)).unwrap_or_else(|e| panic!("{}: {e}", run.join(name).display()));
    ARTEFACTS.into_iter().map(|name| (name, read(name))).collect()
}

/// The weights alone: a run that was not judged yet has nothing else.
pub fn assert_same_models(a: &BTreeMap<&'static str, Vec<u8>>, runs: &Path) {
    let path = walk(runs).into_iter().find(|path| path.ends_with("model.safetensors")).expect("a model");
    assert!(fs::read(path).unwrap() == a["model.safetensors"], "model.safetensors differs after kills");
}

pub fn walk(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() { found.extend(walk(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

pub fn assert_same(a: &BTreeMap<&'static str, Vec<u8>>, b: &BTreeMap<&'static str, Vec<u8>>, when: &str) {
    for (name, bytes) in a {
        assert!(bytes == &b[name], "{name} differs {when}");
    }
}

#[test]
fn the_whole_way_gives_what_scripts_rely_on() {
    let bench = Bench::with_fan();
    let trained = bench.train(&[]).fine().json();
    assert_eq!(trained["schema"], 1);
    let run = &trained["runs"][0];
    assert_eq!((&run["family"], &run["machine"]), (&"autoencoder".into(), &"fan".into()));
    assert_eq!((&run["status"], &run["epochs"], &run["seed"]), (&"done".into(), &6.into(), &0.into()));
    assert!(run["loss"].as_f64().unwrap() > 0.0);
    let folder = bench.path(run["path"].as_str().unwrap());
    for name in ["manifest.json", "config.toml", "metrics.jsonl", "model.safetensors", "status"] {
        assert!(folder.join(name).is_file(), "{name}");
    }
    assert!(!folder.join("checkpoint").exists());
    assert_eq!(fs::read_to_string(folder.join("metrics.jsonl")).unwrap().lines().count(), 6);

    let evaluated = bench.eval(&["runs"]).fine().json();
    let one = &evaluated["runs"][0];
    assert_eq!(one["proxy"]["name"], "mae");
    assert_eq!(one["proxy"]["higher_is_better"], false);
    for auc in [&one["linear_probe"]["in_domain"], &one["linear_probe"]["out_domain"], &one["mahalanobis"]] {
        assert!((0.0..=1.0).contains(&auc["auc"].as_f64().unwrap()), "{one}");
    }
    for metric in ["auc_source", "auc_target", "pauc", "omega"] {
        assert!((0.0..=1.0).contains(&one["official"][metric].as_f64().unwrap()), "{one}");
    }
    assert_eq!(one["official"]["year"], 2022);
    let own: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(folder.join("eval.json")).unwrap()).unwrap();
    assert_eq!(own["mahalanobis"], one["mahalanobis"]);
    let scores = fs::read_to_string(folder.join("scores.csv")).unwrap();
    assert_eq!(scores.lines().count(), 1 + 24, "a header and 3 sections of 8 test clips");
    assert!(
        scores.starts_with(
            "clip,section,domain,label,mahalanobis,decision\nfan/test/section_00_source_test_anomaly_"
        ),
        "{scores}"
    );

    // Trained once, found again: nothing is trained, and the answer is the same.
    let again = bench.train(&[]).fine();
    assert_eq!(again.json(), trained);
    assert!(!again.err.contains("epoch"), "{}", again.err);
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_one_others() {
    let bench = Bench::with_fan();
    for (runs, seed) in [("a", "7"), ("b", "7"), ("c", "8")] {
        bench.train(&["--seed", seed, "--runs", runs]).fine();
        bench.eval(&[runs]).fine();
    }
    let [a, b, c] = ["a", "b", "c"].map(|runs| artefacts(&bench.path(runs)));
    assert_same(&a, &b, "between two runs of one seed");
    assert_ne!(a["model.safetensors"], c["model.safetensors"]);
    assert_ne!(a["scores.csv"], c["scores.csv"]);
}

#[test]
fn the_number_of_threads_does_not_matter() {
    let bench = Bench::with_fan();
    for (runs, threads) in [("one", "1"), ("three", "3")] {
        let config = crate::program::shipped("micro/ae.toml");
        let arguments = ["train", config.to_str().unwrap(), "--set", "data.root=data", "--runs", runs];
        let status = bench
            .command(&arguments)
            .args(["-q", "--device", "cpu"])
            .env("RAYON_NUM_THREADS", threads)
            .status();
        assert!(status.unwrap().success());
        let mut eval = bench.command(&["eval", runs, "--device", "cpu"]);
        assert!(eval.env("RAYON_NUM_THREADS", threads).output().unwrap().status.success());
    }
    assert_same(&artefacts(&bench.path("one")), &artefacts(&bench.path("three")), "between 1 and 3 threads");
}

#[test]
fn a_killed_training_ends_with_the_same_bytes() {
    let bench = Bench::with_fan();
    // Long enough to be killed in, and a checkpoint at every chance.
    let long =
        ["--set", "train.epochs=60", "--set", "train.checkpoint_every_s=0", "--set", "train.batch_size=16"];
    let started = Instant::now();
    bench.train(&[&long[..], &["--runs", "whole"]].concat()).fine();
    let whole_took = started.elapsed();
    bench.eval(&["whole"]).fine();
    let whole = artefacts(&bench.path("whole"));

    let config = crate::program::shipped("micro/ae.toml");
    let base =
        ["train", config.to_str().unwrap(), "--set", "data.root=data", "--device", "cpu", "--runs", "cut"];
    let begin =
        |_| bench.command(&base).args(long).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    // Moments in the first quarter of what a whole run takes, in no order that the run could follow; each resumes what the
    // last one left.
    let moment = |n| f64::from(n * 7 % 20) / 80.0;
    kill(12, whole_took, moment, begin, || {
        // Done in spite of the kills: once more from the beginning, for the kills that are left.
        assert_same_models(&whole, &bench.path("cut"));
        fs::remove_dir_all(bench.path("cut/autoencoder")).unwrap();
    });
    bench.train(&[&long[..], &["--runs", "cut"]].concat()).fine();
    bench.eval(&["cut"]).fine();
    assert_same(&whole, &artefacts(&bench.path("cut")), "after kills");
    let lines = |runs: &str| {
        let metrics = walk(&bench.path(runs)).into_iter().find(|p| p.ends_with("metrics.jsonl")).unwrap();
        let text = fs::read_to_string(metrics).unwrap();
        let loss = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["loss"].clone();
        text.lines().map(loss).collect::<Vec<_>>()
    };
    assert_eq!(lines("whole"), lines("cut"));
}

#[cfg(unix)]
#[test]
fn ctrl_c_checkpoints_and_the_same_command_goes_on() {
    let bench = Bench::with_fan();
    let config = crate::program::shipped("micro/ae.toml");
    let arguments = ["train", config.to_str().unwrap(), "--set", "data.root=data", "--device", "cpu"];
    let sizes = ["--set", "train.epochs=3000", "--set", "train.batch_size=16"];
    let mut child =
        bench.command(&arguments).args(sizes).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    // The first epoch has begun when the metrics have a line.
    let deadline = Instant::now() + Duration::from_secs(180);
    let metrics = || walk(&bench.path("runs")).into_iter().find(|path| path.ends_with("metrics.jsonl"));
    while metrics().is_none_or(|path| fs::metadata(path).map_or(0, |m| m.len()) == 0) {
        assert!(Instant::now() < deadline, "no epoch in three minutes");
        std::thread::sleep(Duration::from_millis(5));
    }
    send(libc::SIGINT, child.id());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let files = walk(&bench.path("runs"));
    assert!(files.iter().any(|path| path.ends_with("checkpoint/state.zip")), "{files:?}");
    let status = files.iter().find(|path| path.ends_with("status")).unwrap();
    assert_eq!(fs::read_to_string(status).unwrap(), "interrupted\n");
    let plan = bench.train(&[&sizes[..], &["--dry-run"]].concat()).fine().json();
    assert_eq!(plan["runs"][0]["state"], "resume");
}

#[test]
fn a_skipped_clip_is_counted_and_named() {
    let bench = Bench::with_fan();
    let bad = first_clip(&bench.path("data/fan/train"));
    fs::write(&bad, "not a sound").unwrap();
    let name = bad.file_name().unwrap().to_str().unwrap().to_owned();
    bench.train(&[]).refused(4, &[&name, "not a WAV file", "data.on_bad_clip"]);
    assert!(!bench.path("runs/autoencoder").exists(), "a refused training leaves no run");

    let trained = bench.train(&["--set", "data.on_bad_clip=skip"]).fine();
    assert!(trained.err.contains(&name), "{}", trained.err);
    let path = trained.json()["runs"][0]["path"].as_str().unwrap().to_owned();
    let text = fs::read_to_string(bench.path(&path).join("manifest.json")).unwrap();
    let manifest: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&manifest["clips"], manifest["skipped"].as_array().unwrap().len()), (&17.into(), 1));
    assert!(manifest["skipped"][0]["path"].as_str().unwrap().ends_with(&name));
    let evaluated = bench.eval(&["runs"]).fine().json();
    assert_eq!(evaluated["runs"][0]["clips"]["skipped"], 1);
}

#[test]
fn the_grid_is_trained_on_request_only() {
    let bench = Bench::with_fan();
    let base = bench.train(&["--dry-run"]).fine();
    assert_eq!(base.json()["runs"].as_array().unwrap().len(), 1);
    assert!(base.err.contains("grid of 4 configurations"), "{}", base.err);
    let grid = bench.train(&["--dry-run", "--grid", "--seed", "5"]).fine().json();
    let runs = grid["runs"].as_array().unwrap();
    assert!(runs.len() == 4 && runs.iter().all(|run| run["seed"] == 5 && run["state"] == "new"), "{grid}");
    assert!(!bench.path("runs").exists(), "a dry run writes nothing");
}

/// Sections of the wild: clips of 0.6 s beside clips of 2 s, other rates, several channels.
#[test]
fn lengths_and_rates_may_differ_within_a_machine() {
    let bench = Bench::with_fan();
    let test = bench.path("data/fan/test");
    let long: Vec<f32> = (0..96_000).map(|i| (i as f32 * 0.05).sin() * 0.1).collect();
    let clip = first_clip(&test);
    asdbench::audio::write_wav(&clip, &long, 48_000, asdbench::audio::SampleFormat::Float32).unwrap();
    bench.train(&[]).fine();
    let evaluated = bench.eval(&["runs"]).fine().json();
    assert!(evaluated["runs"][0]["mahalanobis"]["auc"].is_number(), "{evaluated}");
}
