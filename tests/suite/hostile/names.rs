//! Names that nobody expects, folders that lead in circles, and very many files.

#![cfg(unix)]

use std::fs;
use std::os::unix::fs::symlink;
use std::time::{Duration, Instant};

use asdbench::config::DataConfig;
use asdbench::dataset::{ClipIndex, ProblemKind, index};

use super::number;
use crate::program::{Bench, first_clip};

/// Far more than any index here takes.
const AT_MOST: Duration = Duration::from_secs(60);

fn indexed(bench: &Bench, root: &str) -> ClipIndex {
    let started = Instant::now();
    let config = DataConfig { root: Some(bench.path(root)), ..DataConfig::default() };
    let index = index(&config).unwrap_or_else(|error| panic!("{error}"));
    assert!(started.elapsed() < AT_MOST, "{:?}", started.elapsed());
    index
}

fn fifo(path: &std::path::Path) {
    let name = std::ffi::CString::new(path.to_str().unwrap()).unwrap();
    // SAFETY: the name is a string that ends in zero and lives through the call.
    assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
}

/// Names of machines that file systems take.
pub const HOSTILE: [&str; 8] = [
    "<img src=x onerror=alert(1)>|a&b,\"é☃\"",
    "\u{1b}[31mred\u{7}",
    "new\nline",
    "-rf",
    "  spaced  ",
    "=cmd()",
    "[x](javascript:alert(1))",
    "\u{202e}gpj.exe",
];

/// Machines with these names, all with the clips of `fan`.
pub fn with_hostile_machines() -> Bench {
    let bench = Bench::with_fan();
    for name in HOSTILE {
        copy(&bench.path("data/fan"), &bench.path("data").join(name));
    }
    fs::remove_dir_all(bench.path("data/fan")).unwrap();
    bench
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &target),
            false => drop(fs::copy(entry.path(), target).unwrap()),
        }
    }
}

#[test]
fn machines_of_any_name_are_indexed_as_they_are() {
    let bench = with_hostile_machines();
    let index = indexed(&bench, "data");
    let mut expected = HOSTILE.to_vec();
    expected.sort_unstable();
    assert_eq!(index.machines(), expected);
    assert!(index.problems().is_empty(), "{:?}", index.problems());
}

#[test]
fn a_pipe_named_as_a_clip_is_named_and_nobody_waits_for_it() {
    let bench = Bench::with_fan();
    let pipe = "section_00_source_train_normal_0099.wav";
    fifo(&bench.path("data/fan/train").join(pipe));
    let answer = bench.run(&["data", "data"]).fine();
    assert!(answer.out.contains(pipe) && answer.out.contains("pipe or a device"), "{}", answer.out);
    bench.train(&[]).refused(4, &[pipe]);
    bench.train(&["--set", "data.on_bad_clip=skip"]).fine();

    fs::create_dir(bench.path("scores")).unwrap();
    fifo(&bench.path("scores/anomaly_score_fan_section_00_test.csv"));
    bench.run(&["score", "scores"]).refused(4, &["anomaly_score_fan_section_00_test.csv", "is no file"]);
    fifo(&bench.path("weights.pt"));
    bench.run(&["import", "weights.pt"]).refused(4, &["weights.pt", "not a regular file"]);
}

#[test]
fn links_in_circles_and_ways_without_number_end() {
    let bench = Bench::with_fan();
    symlink("..", bench.path("data/fan/up")).unwrap();
    symlink(".", bench.path("data/fan/train/self")).unwrap();
    symlink("b", bench.path("data/a")).unwrap();
    symlink("a", bench.path("data/b")).unwrap();
    // Two links in each of thirty folders: 2^30 ways from the first to the last. The system follows forty at most.
    for depth in 0..30 {
        let folder = bench.path(&format!("store/{depth}"));
        fs::create_dir_all(&folder).unwrap();
        for link in ["a", "b"] {
            symlink(format!("../{}", depth + 1), folder.join(link)).unwrap();
        }
    }
    fs::create_dir_all(bench.path("store/30/valve/train")).unwrap();
    let clip = first_clip(&bench.path("data/fan/train"));
    fs::copy(&clip, bench.path("store/30/valve/train").join(clip.file_name().unwrap())).unwrap();
    symlink(bench.path("store/0"), bench.path("data/store")).unwrap();
    let index = indexed(&bench, "data");
    assert_eq!(index.machines(), ["fan", "valve"]);
    assert_eq!(index.clips().iter().filter(|entry| entry.clip.machine == "valve").count(), 1);
    let again = index.problems().iter().filter(|problem| problem.message.contains("shows already")).count();
    assert_eq!(again, 30, "{:?}", index.problems());
    assert!(index.problems().iter().all(|problem| problem.kind == ProblemKind::Unreachable));

    // Ground truth with a link into its own folders is read.
    fs::create_dir_all(bench.path("truth/ground_truth_data")).unwrap();
    symlink("..", bench.path("truth/ground_truth_data/up")).unwrap();
    let rows = |value: fn(usize) -> usize| {
        (0..8).map(|n| format!("section_00_000{n}.wav,{}\n", value(n))).collect::<String>()
    };
    fs::write(bench.path("truth/ground_truth_data/ground_truth_fan_section_00_test.csv"), rows(|n| n % 2))
        .unwrap();
    fs::create_dir(bench.path("scores")).unwrap();
    fs::write(bench.path("scores/anomaly_score_fan_section_00_test.csv"), rows(|n| n)).unwrap();
    bench.run(&["score", "scores", "--truth", "truth"]).fine();
}

/// Of so many files, with as many that fit nothing, and tables with columns without number. Ten thousand here, more where
/// `ASDBENCH_HOSTILE_FILES` says so.
#[test]
fn very_many_files_take_time_and_memory_by_their_number() {
    let files = usize::try_from(number("ASDBENCH_HOSTILE_FILES").unwrap_or(5_000)).unwrap();
    let bench = Bench::empty();
    for split in ["train", "test", "odd"] {
        fs::create_dir_all(bench.path(&format!("data/fan/{split}"))).unwrap();
    }
    for n in 0..files {
        let clip = format!("data/fan/train/section_00_source_train_normal_{n:06}.wav");
        fs::write(bench.path(&clip), "").unwrap();
        fs::write(bench.path(&format!("data/fan/odd/recording {n:06}.wav")), "").unwrap();
    }
    fs::write(bench.path("data/fan/test/section_00_source_test_normal_000000.wav"), "").unwrap();
    let columns: String = (1..files).map(|n| format!(",d{n}p,d{n}v")).collect();
    fs::write(bench.path("data/fan/attributes_00.csv"), format!("file_name{columns}\n")).unwrap();
    let started = Instant::now();
    let before = resident_bytes();
    let index = indexed(&bench, "data");
    assert_eq!(index.clips().len(), files + 1);
    assert_eq!(index.problems().len(), files + 1);
    let (took, room) = (started.elapsed(), resident_bytes().saturating_sub(before));
    eprintln!("{} files: {took:?}, {} MiB", 2 * files, room >> 20);
    // Many times what it takes, as other tests share the process's memory and its processors: 10 µs and 1 KiB a file.
    assert!(took < Duration::from_millis(4 * files as u64) + Duration::from_secs(5), "{took:?}");
    assert!(room < (2 << 30) + 16_384 * files as u64, "{} MiB", room >> 20);
    let table = index.problems().iter().find(|problem| problem.kind == ProblemKind::BadTable).unwrap();
    assert!(table.message.contains("more than 256 conditions"), "{}", table.message);
}

#[cfg(target_os = "linux")]
fn resident_bytes() -> u64 {
    let pages = fs::read_to_string("/proc/self/statm").unwrap();
    4096 * pages.split(' ').nth(1).unwrap().parse::<u64>().unwrap()
}

#[cfg(not(target_os = "linux"))]
fn resident_bytes() -> u64 {
    0
}

#[test]
fn a_header_that_lies_about_its_rate_costs_nothing() {
    let bench = Bench::with_fan();
    let clip = first_clip(&bench.path("data/fan/train"));
    let mut bytes = fs::read(&clip).unwrap();
    for (rate, words) in [(1_u32, "at most 48 times"), (u32::MAX, "rates from 1 to 1000000 Hz")] {
        bytes[24..28].copy_from_slice(&rate.to_le_bytes());
        fs::write(&clip, &bytes).unwrap();
        let name = clip.file_name().unwrap().to_str().unwrap();
        bench.train(&[]).refused(4, &[name, words, "data.on_bad_clip"]);
    }
}
