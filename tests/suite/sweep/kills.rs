//! A sweep that is killed, stopped, or loses a worker.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::{TRIALS, assert_same, begin, children, results, runs_of, study, sweep, tables, wait_until};
use crate::killing::{kill, send, wait_until_left};
use crate::pipeline::walk;

#[test]
fn five_kills_change_no_byte_of_the_results() {
    let bench = study();
    let started = Instant::now();
    sweep(&bench, "whole", &["--jobs", "2"]).fine();
    let took = started.elapsed();

    // Moments in the first half of a whole sweep, in no order that one could follow.
    let moment = |n| f64::from(1 + n * 7 % 10) / 20.0;
    kill(
        5,
        took,
        moment,
        |_| begin(&bench, "cut", &["--jobs", "2"]),
        || {
            // Done in spite of the kills: once more, for the kills that are left. The last workers go first.
            wait_until_left(&bench.path("cut"));
            assert_same(&results(&bench.path("whole")), &results(&bench.path("cut")), "after kills");
            fs::remove_dir_all(bench.path("cut")).unwrap();
        },
    );
    wait_until_left(&bench.path("cut"));
    sweep(&bench, "cut", &["--jobs", "2"]).fine();
    assert_same(&results(&bench.path("whole")), &results(&bench.path("cut")), "after five kills");
    assert_eq!(tables(&bench, "whole"), tables(&bench, "cut"));
    // In what sweeps share, the cache and their plans, what was being written stays for an hour: it may be another's.
    let half = |path: &&PathBuf| path.to_string_lossy().contains(".writing-");
    let shared = [".cache", ".studies"];
    let own =
        |path: &&PathBuf| !path.components().any(|part| shared.iter().any(|name| part.as_os_str() == *name));
    let all = walk(&bench.path("cut"));
    let left: Vec<_> = all.iter().filter(own).filter(half).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_killed_parent_leaves_nobody_behind() {
    let bench = study();
    let long = ["--jobs", "2", "--set", "train.epochs=4000"];
    let mut child = begin(&bench, "runs", &long);
    let mut workers = Vec::new();
    wait_until("two trainings", || {
        workers = children(child.id());
        workers.len() == 2
            && walk(&bench.path("runs")).iter().filter(|path| path.ends_with("state.zip")).count() == 2
    });
    child.kill().unwrap();
    child.wait().unwrap();
    let alive = |pid: &u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // One that nobody has waited for yet is dead.
        stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
    };
    let since = Instant::now();
    wait_until("the end of all workers", || !workers.iter().any(alive));
    assert!(since.elapsed() < Duration::from_secs(30), "{:?}", since.elapsed());
}

#[cfg(target_os = "linux")]
#[test]
fn a_killed_worker_costs_its_trial_alone() {
    let bench = study();
    // Long enough that whoever saw two epochs of a training strikes that one.
    let long = ["--jobs", "1", "--set", "train.epochs=80"];
    sweep(&bench, "whole", &long).fine();
    let child = bench
        .command(&super::arguments("cut", &long))
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let metrics = || walk(&bench.path("cut")).into_iter().find(|path| path.ends_with("metrics.jsonl"));
    let mut worker = None;
    wait_until("two epochs of the first training", || {
        worker = children(child.id()).first().copied();
        metrics().is_some_and(|path| fs::read_to_string(path).is_ok_and(|text| text.lines().count() >= 2))
    });
    send(libc::SIGKILL, worker.unwrap());
    let output = child.wait_with_output().unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(6), "{err}");
    assert!(err.contains("was killed by signal 9") && err.contains("1 failed"), "{err}");
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["counts"]["done"], TRIALS - 1);
    let failed: Vec<_> =
        document["runs"].as_array().unwrap().iter().filter(|run| run["status"] == "failed").collect();
    assert_eq!(failed.len(), 1);
    let log = fs::read_to_string(bench.path(failed[0]["log"].as_str().unwrap())).unwrap();
    assert!(log.contains("epoch 1/") && log.contains("killed by signal 9"), "{log}");
    let run = bench.path(failed[0]["path"].as_str().unwrap());
    assert!(fs::read_to_string(run.join("status")).unwrap().starts_with("failed\n"));

    let again = sweep(&bench, "cut", &long).fine();
    assert!(again.err.contains("1 begun"), "{}", again.err);
    assert_same(&results(&bench.path("whole")), &results(&bench.path("cut")), "after a worker's death");
    assert!(!bench.path(failed[0]["log"].as_str().unwrap()).exists(), "the log of a failure that is over");
}

/// One that is told to stop while it judges ends the trial well and goes; it is given nothing more.
#[cfg(target_os = "linux")]
#[test]
fn a_worker_that_is_told_to_stop_while_it_judges_costs_no_other_trial() {
    let bench = study();
    let child = bench
        .command(&super::arguments("runs", &["--jobs", "1", "--only", "autoencoder"]))
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut worker = None;
    wait_until("the end of the first training", || {
        worker = worker.or_else(|| children(child.id()).first().copied());
        let statuses = walk(&bench.path("runs")).into_iter().filter(|path| path.ends_with("status"));
        statuses.into_iter().any(|path| fs::read_to_string(path).is_ok_and(|text| text == "done\n"))
    });
    send(libc::SIGTERM, worker.unwrap());
    let output = child.wait_with_output().unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert!(err.contains("4 trials") && !err.contains("ended with exit code"), "{err}");
    // Where it had judged meanwhile, the next training was told to stop, and says so.
    let stopped = err.matches("somebody told its worker process to stop").count();
    assert_eq!(output.status.code(), Some(if stopped > 0 { 6 } else { 0 }), "{err}");
}

#[cfg(unix)]
#[test]
fn ctrl_c_writes_checkpoints_and_the_same_command_goes_on() {
    let bench = study();
    let long = ["--jobs", "2", "--set", "train.epochs=4000"];
    let mut child = begin(&bench, "runs", &long);
    let metrics = || walk(&bench.path("runs")).into_iter().filter(|path| path.ends_with("metrics.jsonl"));
    wait_until("an epoch of two trainings", || {
        metrics().filter(|path| fs::metadata(path).is_ok_and(|file| file.len() > 0)).count() == 2
    });
    send(libc::SIGINT, child.id());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let statuses: Vec<String> = walk(&bench.path("runs"))
        .into_iter()
        .filter(|path| path.ends_with("status"))
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    assert_eq!(statuses, ["interrupted\n"; 2]);
    let plan = sweep(&bench, "runs", &[&long[..], &["--dry-run", "--no-probe"]].concat()).fine();
    let states = |state: &str| runs_of(&plan).iter().filter(|run| run["state"] == state).count();
    assert_eq!((states("resume"), states("new")), (2, TRIALS - 2));
}

/// A terminal's Ctrl-C goes to the whole group that the sweep is in; its workers must not hear it twice.
#[cfg(target_os = "linux")]
#[test]
fn workers_are_out_of_a_terminals_reach() {
    let bench = study();
    let mut child = begin(&bench, "runs", &["--set", "train.epochs=4000"]);
    let group = |pid: u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        stat.rsplit_once(") ")?.1.split(' ').nth(2)?.parse::<u32>().ok()
    };
    let mut worker = None;
    wait_until("a worker of its own group", || {
        worker = children(child.id()).first().copied();
        worker.is_some_and(|worker| group(worker) == Some(worker))
    });
    assert_ne!(group(child.id()), group(worker.unwrap()));
    send(libc::SIGINT, child.id());
    assert_eq!(child.wait().unwrap().code(), Some(130));
}
