//! Several processes on one folder.

use std::process::Stdio;

use super::{TRIALS, arguments, assert_same, results, runs_of, study, sweep, tables};
use crate::program::{Answer, Bench};

/// Sweeps that run at the same time.
fn at_once(bench: &Bench, runs: &str, options: [&[&str]; 2]) -> [Answer; 2] {
    let begun = options.map(|options| {
        let mut command = bench.command(&arguments(runs, options));
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    });
    begun.map(|child| {
        let output = child.wait_with_output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Answer { out: text(output.stdout), err: text(output.stderr), code: output.status.code() }
    })
}

fn worked(answers: &[Answer]) -> usize {
    answers.iter().map(|answer| answer.err.matches(" done in ").count()).sum()
}

#[test]
fn two_shards_give_what_one_process_gives() {
    let bench = study();
    sweep(&bench, "whole", &[]).fine();
    let shards = at_once(&bench, "shared", [&["--shard", "1/2"], &["--shard", "2/2"]]).map(Answer::fine);
    let [first, second] = shards.each_ref().map(runs_of);
    assert_eq!(first.len() + second.len(), TRIALS);
    // A training that serves several machine types is one shard's.
    for shard in [&first, &second] {
        let joint = shard.iter().filter(|run| run["family"] == "ce").count();
        assert!(joint == 0 || joint == 2, "{joint}");
        assert!(!shard.is_empty());
    }
    assert_eq!(worked(&shards), TRIALS);
    assert_same(&results(&bench.path("whole")), &results(&bench.path("shared")), "in two shards");
    assert_eq!(tables(&bench, "whole"), tables(&bench, "shared"));
}

#[test]
fn two_processes_on_one_shard_do_every_trial_once() {
    let bench = study();
    sweep(&bench, "whole", &[]).fine();
    let both = at_once(&bench, "shared", [&[], &[]]).map(Answer::fine);
    assert_eq!(worked(&both), TRIALS, "{}\n{}", both[0].err, both[1].err);
    assert_eq!(both[0].out, both[1].out);
    assert_same(&results(&bench.path("whole")), &results(&bench.path("shared")), "with two processes");
    assert_eq!(tables(&bench, "whole"), tables(&bench, "shared"));
}
