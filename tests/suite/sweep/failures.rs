//! Trials that fail, and studies that cannot begin.

use std::fs;
use std::path::PathBuf;
use std::process::Stdio;

use serde_json::Value;

use super::{runs_of, study, sweep, toml};
use crate::pipeline::walk;
use crate::program::{Bench, shipped};

/// The study with two more families: one whose checkpoint is missing, and one whose learning rate leads nowhere.
fn with_bad_families() -> Bench {
    let bench = study();
    let mut text = fs::read_to_string(bench.path("tiny.toml")).unwrap();
    text += &format!(
        "\n[[family]]\nconfig = {}\n[family.grid]\n\"task.pretrained.pool\" = [\"mean\"]\n\
         \n[[family]]\nconfig = {}\n[family.override]\ntrain.optimizer.lr = 1e30\n\
         [family.grid]\n\"task.autoencoder.hidden\" = [8]\n",
        toml(&shipped("micro/beats.toml")),
        toml(&shipped("micro/ae.toml"))
    );
    fs::write(bench.path("tiny.toml"), text).unwrap();
    bench
}

#[test]
fn what_fails_leaves_the_others_running_and_is_named_with_its_log() {
    let bench = with_bad_families();
    let swept = sweep(&bench, "runs", &["--jobs", "2"]);
    swept.refused(6, &["4 of 10 runs failed", "there is no checkpoint", "the training loss became", "log: "]);
    let (failed, done): (Vec<_>, Vec<_>) =
        runs_of(&swept).into_iter().partition(|run| run["status"] == "failed");
    assert_eq!((failed.len(), done.len()), (4, 6));
    assert!(done.iter().all(|run| run["status"] == "done" && run["mahalanobis"]["auc"].is_number()));
    for run in &failed {
        let why = run["why"].as_str().unwrap();
        let log = fs::read_to_string(bench.path(run["log"].as_str().unwrap())).unwrap();
        assert!(
            log.contains(why) && swept.err.contains(run["log"].as_str().unwrap()),
            "{log}\n{}",
            swept.err
        );
        assert!(run.get("proxy").is_none(), "{run}");
    }
    assert_eq!(swept.json()["counts"]["failed"], 4);

    // What is mended is done, the rest fails again, and nothing else is touched.
    fs::create_dir_all(bench.path("checkpoints")).unwrap();
    let file = "checkpoints/beats-tiny.safetensors";
    bench.run(&["import", "--random", "beats-tiny", "--seed", "1", "-o", file]).fine();
    let again = sweep(&bench, "runs", &["--jobs", "2"]);
    again.refused(6, &["2 of 10 runs failed", "the training loss became"]);
    assert_eq!(again.err.matches(" done in ").count(), 2, "{}", again.err);
}

/// What the report of `runs` says.
fn report(bench: &Bench) -> Value {
    bench.run(&["report", "runs", "-o", "out", "--no-examples", "-q"]).fine();
    serde_json::from_str(&fs::read_to_string(bench.path("out/report.json")).unwrap()).unwrap()
}

#[test]
fn a_trial_that_cannot_be_judged_says_why() {
    let bench = study();
    let anomalous = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().contains("_anomaly_");
    let clips: Vec<PathBuf> = walk(&bench.path("data/valve/test")).into_iter().filter(anomalous).collect();
    assert!(!clips.is_empty());
    clips.iter().for_each(|clip| fs::remove_file(clip).unwrap());
    let why = "an AUC needs normal and anomalous ones";
    sweep(&bench, "runs", &["--only", "autoencoder"]).refused(6, &[why]);

    let found = bench.run(&["correlate", "runs", "--format", "json"]).fine().json();
    let planned = &found["planned"][0]["families"][0];
    assert_eq!((&planned["failed"], &planned["not_evaluated"]), (&2.into(), &0.into()), "{planned}");
    let trials = report(&bench);
    assert_eq!((&trials["trials"]["failed"], &trials["trials"]["not_judged"]), (&2.into(), &0.into()));
    for document in [&found, &trials] {
        let left_out = document["left_out"].as_array().unwrap();
        let failed: Vec<&Value> = left_out.iter().filter(|run| run["state"] == "failed").collect();
        assert_eq!(failed.len(), 2, "{left_out:?}");
        assert!(failed.iter().all(|run| run["why"].as_str().unwrap().contains(why)), "{failed:?}");
    }
}

#[test]
fn a_report_of_trials_that_all_failed_before_they_had_a_folder_says_so() {
    let bench = with_bad_families();
    sweep(&bench, "runs", &["--only", "pretrained"]).refused(6, &["there is no checkpoint"]);
    let document = report(&bench);
    assert_eq!((&document["trials"]["failed"], &document["trials"]["done"]), (&2.into(), &0.into()));
    let page = fs::read_to_string(bench.path("out/index.html")).unwrap();
    assert!(page.contains("No run is judged yet") && page.contains("there is no checkpoint"), "{page}");
}

#[test]
fn warnings_are_said_once() {
    let bench = study();
    let bad = crate::program::first_clip(&bench.path("data/fan/train"));
    fs::write(&bad, "not a sound").unwrap();
    let swept = sweep(&bench, "runs", &["--jobs", "2", "--set", "data.on_bad_clip=skip"]).fine();
    let name = bad.file_name().unwrap().to_str().unwrap();
    assert_eq!(swept.err.lines().filter(|line| line.contains(name)).count(), 1, "{}", swept.err);
}

#[test]
fn what_cannot_begin_is_refused() {
    let bench = study();
    sweep(&bench, "runs", &["--only", "autoencoders"]).refused(2, &["autoencoders", "autoencoder, ce"]);
    sweep(&bench, "runs", &["--shard", "3/2"]).refused(2, &["I/N"]);
    sweep(&bench, "runs", &["--jobs", "0"]).refused(2, &["--jobs"]);
    sweep(&bench, "runs", &["--no-probe"]).refused(2, &["--dry-run"]);
    sweep(&bench, "runs", &["--set", "data.root=nowhere"]).refused(4, &["nowhere"]);
    bench.run(&["sweep", "none.toml"]).refused(3, &["none.toml"]);
    assert!(!bench.path("runs").exists());
}

#[test]
fn a_worker_without_a_sweep_ends() {
    let bench = Bench::empty();
    for input in [Stdio::null(), Stdio::piped()] {
        let mut command = bench.command(&["sweep-worker", "--device", "cpu"]);
        let mut child = command.stdin(input).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        if let Some(mut orders) = child.stdin.take() {
            std::io::Write::write_all(&mut orders, b"{\"run\": 3}\n").unwrap();
        }
        assert_eq!(child.wait_with_output().unwrap().status.code(), Some(0));
    }
    assert!(!bench.path("runs").exists());
}
