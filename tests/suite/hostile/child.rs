//! The process in which a target meets its inputs.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::mutate::Mutator;
use super::{FOLDER, TARGET, files, number, targets};

/// Mutations of a target in an ordinary run of the tests.
const ROUNDS: u64 = 1500;
/// No input is longer: what takes more memory than this can explain is a bug.
const LONGEST: usize = 1 << 16;
/// Memory above that of the process as it starts, in bytes.
const MEMORY: u64 = 256 << 20;
/// Time for one input. A thousand times what any takes, so that a busy machine fails no test.
const SLOWEST: Duration = Duration::from_secs(10);

/// Of no use by itself: the tests of the targets start it with its variables.
#[test]
fn of_a_target() {
    let Ok(target) = std::env::var(TARGET) else { return };
    let folder = PathBuf::from(std::env::var_os(FOLDER).expect("the folder is given"));
    let (_, run) = targets::TARGETS.into_iter().find(|(name, _)| *name == target).expect("a target's name");
    let own = folder.join("own");
    fs::create_dir(&own).expect("a folder");
    let give = |input: &[u8]| {
        fs::write(folder.join("input"), input).expect("a file");
        let started = Instant::now();
        run(&own, input);
        assert!(started.elapsed() < SLOWEST, "it took {:?}", started.elapsed());
    };

    let mut corpus: Vec<Vec<u8>> = Vec::new();
    for path in [format!("fuzz/seeds/{target}"), format!("tests/fixtures/found/{target}")]
        .iter()
        .flat_map(|folder| files(folder))
    {
        corpus.push(fs::read(path).expect("a file of the corpus"));
    }
    // What is made once for the process, such as tables and threads, does not count.
    give(&corpus[0]);
    limit_memory();
    corpus.iter().for_each(|input| give(input));

    let seed = number("ASDBENCH_FUZZ_SEED").unwrap_or(0);
    let seconds = number("ASDBENCH_FUZZ_SECONDS").map(Duration::from_secs);
    let (started, mut round) = (Instant::now(), 0);
    while seconds.map_or(round < ROUNDS, |seconds| started.elapsed() < seconds) {
        let mut input = Mutator::new(&target, seed, round).mutate(&corpus);
        input.truncate(LONGEST);
        give(&input);
        round += 1;
    }
    eprintln!("{target}: {round} mutations of {} files", corpus.len());
    fs::write(folder.join("done"), round.to_string()).expect("a file");
}

/// Whatever allocates more ends the process.
#[cfg(target_os = "linux")]
fn limit_memory() {
    let status = fs::read_to_string("/proc/self/status").expect("Linux has it");
    let line = status.lines().find_map(|line| line.strip_prefix("VmData:")).expect("VmData");
    let kib: u64 = line.trim().trim_end_matches(" kB").trim().parse().expect("a number");
    let most = (kib << 10) + MEMORY;
    let limit = libc::rlimit { rlim_cur: most, rlim_max: most };
    // SAFETY: the structure is whole and lives through the call.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_DATA, &raw const limit) }, 0);
}

#[cfg(not(target_os = "linux"))]
fn limit_memory() {
    let _ = MEMORY;
}
