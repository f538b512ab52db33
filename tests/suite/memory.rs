//! A sweep's memory and open files do not grow with its trials. `scripts/check-memory.sh` does the same with 2,000.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::program::{Bench, shipped};

/// Trials: enough that a few kilobytes of each would be seen.
const TRIALS: usize = 60;
/// Between two looks.
const LOOK: Duration = Duration::from_millis(20);

/// A process at one moment.
#[derive(Debug, Clone, Copy)]
struct Moment {
    /// Trials that were done.
    done: usize,
    resident_kib: u64,
    files: usize,
}

fn number(status: &str, key: &str) -> Option<u64> {
    status.lines().find_map(|line| line.strip_prefix(key)?.split_whitespace().next()?.parse().ok())
}

/// The process and its children as they are now, by number; those that are gone are left out.
fn look(parent: u32, done: usize) -> Vec<(u32, Moment)> {
    let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap_or_default();
    let pids = children.split_whitespace().filter_map(|pid| pid.parse().ok());
    let moment = |pid: u32| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let files = fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count();
        Some((pid, Moment { done, resident_kib: number(&status, "VmRSS:")?, files }))
    };
    std::iter::once(parent).chain(pids).filter_map(moment).collect()
}

fn sweep(bench: &Bench) -> Child {
    let text = format!(
        "[study]\nname = \"many\"\nseeds = [{}]\n\n[common]\ndata.root = \"data\"\ntrain.epochs = 1\n\n\
         [[family]]\nconfig = {:?}\n[family.override]\ntrain.batch_size = 256\n\
         [family.grid]\n\"task.autoencoder.hidden\" = [4]\n",
        (0..TRIALS).map(|seed| seed.to_string()).collect::<Vec<_>>().join(", "),
        shipped("micro/ae.toml")
    );
    fs::write(bench.path("many.toml"), text).unwrap();
    let arguments = ["sweep", "many.toml", "--device", "cpu", "--jobs", "1", "--format", "json", "-q"];
    let mut command = bench.command(&arguments);
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

#[cfg(target_os = "linux")]
#[test]
fn neither_memory_nor_open_files_of_a_sweep_grow() {
    let bench = Bench::empty();
    let sizes = ["--duration-s", "0.6", "--train-per-section", "4", "--test-per-section", "4"];
    bench.run(&[&["synth", "data", "--machines", "fan", "-q"], &sizes[..]].concat()).fine();
    let mut child = sweep(&bench);
    let mut seen: BTreeMap<u32, Vec<Moment>> = BTreeMap::new();
    let deadline = Instant::now() + Duration::from_secs(300);
    let ended = loop {
        assert!(Instant::now() < deadline, "{TRIALS} trials take more than five minutes");
        let runs = fs::read_dir(bench.path("runs/autoencoder")).into_iter().flatten().flatten();
        let seeds =
            runs.filter_map(|config| fs::read_dir(config.path().join("fan")).ok()).flatten().flatten();
        let done = seeds.filter(|seed| seed.path().join("eval.json").exists()).count();
        for (pid, moment) in look(child.id(), done) {
            seen.entry(pid).or_default().push(moment);
        }
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        std::thread::sleep(LOOK);
    };
    assert!(ended.success(), "{ended}");

    // The sweep and its worker, which did all trials.
    let long: Vec<&Vec<Moment>> =
        seen.values().filter(|moments| moments.last().is_some_and(|last| last.done + 5 >= TRIALS)).collect();
    assert_eq!(long.len(), 2, "{:?}", seen.keys());
    for moments in long {
        let between = |first: usize, last: usize| {
            let some: Vec<&Moment> = moments.iter().filter(|one| (first..last).contains(&one.done)).collect();
            assert!(!some.is_empty(), "nobody looked between trials {first} and {last}");
            some
        };
        let memory = |some: &[&Moment]| some.iter().map(|one| one.resident_kib).max().unwrap_or_default();
        // What is open at every look is held; how many files a trial has open for a moment is chance to the looker.
        let held = |some: &[&Moment]| some.iter().map(|one| one.files).min().unwrap_or_default();
        // The first trials fill the allocator's pools. From then on: 8 MiB for 40 trials, where a leaked evaluation or
        // features of one alone would be half a megabyte each; and no file, where a leaked one alone would be 40.
        let (before, after) = (between(10, 20), between(50, TRIALS));
        assert!(memory(&after) < memory(&before) + 8 * 1024, "{} {} KiB", memory(&before), memory(&after));
        assert!(held(&after) <= held(&before) + 2, "{} {} files held", held(&before), held(&after));
        assert!(after.iter().all(|one| one.files < 64), "{after:?}");
    }
}
