//! A sweep's memory and open files do not grow with its trials. `scripts/check-memory.sh` does the same with 2,000.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::program::{Bench, shipped};

/// Trials: enough that a few kilobytes of each would be seen.
const TRIALS: usize = 60;
/// Between two looks.
const LOOK: Duration = Duration::from_millis(20);

/// Trials that were done at the looks that are compared: the first ones fill the allocator's pools, and after the last one a
/// process gives back what it had.
const EARLY: Range<usize> = 10..20;
const LATE: Range<usize> = 45..TRIALS;

/// A sweep, which ends with the test whatever comes of it.
struct Sweep(Child);

impl Drop for Sweep {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

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

fn sweep(bench: &Bench) -> Sweep {
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
    Sweep(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
}

#[cfg(target_os = "linux")]
#[test]
fn neither_memory_nor_open_files_of_a_sweep_grow() {
    let bench = Bench::empty();
    let sizes = ["--duration-s", "0.6", "--train-per-section", "4", "--test-per-section", "4"];
    bench.run(&[&["synth", "data", "--machines", "fan", "-q"], &sizes[..]].concat()).fine();
    let mut child = sweep(&bench);
    let mut seen: BTreeMap<u32, Vec<Moment>> = BTreeMap::new();
    let deadline = Instant::now() + Duration::from_secs(900);
    let ended = loop {
        assert!(Instant::now() < deadline, "{TRIALS} trials take more than a quarter of an hour");
        let runs = fs::read_dir(bench.path("runs/autoencoder")).into_iter().flatten().flatten();
        let seeds =
            runs.filter_map(|config| fs::read_dir(config.path().join("fan")).ok()).flatten().flatten();
        let done = seeds.filter(|seed| seed.path().join("eval.json").exists()).count();
        for (pid, moment) in look(child.0.id(), done) {
            seen.entry(pid).or_default().push(moment);
        }
        if let Some(status) = child.0.try_wait().unwrap() {
            break status;
        }
        std::thread::sleep(LOOK);
    };
    assert!(ended.success(), "{ended}");

    // The sweep and its worker, which did all trials.
    let at = |moments: &[Moment], when: Range<usize>| -> Vec<Moment> {
        moments.iter().filter(|one| when.contains(&one.done)).copied().collect()
    };
    let both = |moments: &Vec<Moment>| (at(moments, EARLY), at(moments, LATE));
    let mut long: Vec<(Vec<Moment>, Vec<Moment>)> = seen.values().map(both).collect();
    long.retain(|(before, after)| !before.is_empty() && !after.is_empty());
    assert_eq!(long.len(), 2, "{:?}", seen.keys());
    for (before, after) in long {
        let memory = |some: &[Moment]| some.iter().map(|one| one.resident_kib).collect::<Vec<_>>();
        let (most, least) = (memory(&before).into_iter().max(), memory(&after).into_iter().min());
        let (most, least) = (most.unwrap_or_default(), least.unwrap_or_default());
        // What is open at every look is held; how many files a trial has open for a moment is chance to the looker.
        let held = |some: &[Moment]| some.iter().map(|one| one.files).min().unwrap_or_default();
        // 8 MiB for the 25 trials in between, where a leaked evaluation or features of one alone would be half a megabyte each;
        // what a trial takes for a moment is gone at another look. And no file, where a leaked one alone would be 25.
        assert!(least < most + 8 * 1024, "{most} {least} KiB");
        assert!(held(&after) <= held(&before) + 2, "{} {} files held", held(&before), held(&after));
        assert!(after.iter().all(|one| one.files < 64), "{after:?}");
    }
}
