//! Trials that fail, and studies that cannot begin.

use std::fs;
use std::process::Stdio;

use super::{runs_of, study, sweep, toml};
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
