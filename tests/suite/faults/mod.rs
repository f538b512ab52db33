//! Faults, drawn by seed: kills, a full disk, writes that fail, files that go or change, bits that turn over, a second
//! process. Each meets one command of the way from clips to a report, see [`strike`]; the program damages itself as
//! `ASDBENCH_FAULTS` says, see `src/faults`.
//!
//! `ASDBENCH_FAULT_COUNT=1000` for so many of them in place of [`IN_CI`], `ASDBENCH_FAULT_KIND=bit` for those of one kind among
//! them, `ASDBENCH_FAULT_SEED=17` for that one alone.

mod draw;
mod one_door;
mod same;
mod strike;
mod way;

use std::collections::BTreeMap;
use std::fs;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crate::program::Bench;
use draw::{KINDS, draw};
use strike::{Passed, strike};
use way::{Base, Stage};

/// Faults without further orders.
const IN_CI: u64 = 50;
/// Commands at a time.
const AT_ONCE: usize = 2;

#[test]
fn no_fault_costs_more_than_time() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect(name));
    let (count, only) = (number("ASDBENCH_FAULT_COUNT"), number("ASDBENCH_FAULT_SEED"));
    let seeds = match only {
        Some(seed) => seed..seed + 1,
        None => 0..count.unwrap_or(IN_CI),
    };
    let kind = std::env::var("ASDBENCH_FAULT_KIND").ok();
    let started = Instant::now();
    let base = Base::new();
    let (next, failures, passed) =
        (AtomicU64::new(seeds.start), Mutex::new(Vec::new()), Mutex::new(BTreeMap::new()));
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::SeqCst);
                    if seed >= seeds.end {
                        break;
                    }
                    let drawn = draw(&base, seed);
                    if kind.as_ref().is_some_and(|kind| kind != drawn.kind) {
                        continue;
                    }
                    match strike(&base, &drawn) {
                        Ok(how) => {
                            *passed.lock().unwrap().entry((drawn.kind, format!("{how:?}"))).or_insert(0) += 1;
                            if count.is_some() || only.is_some() {
                                println!("{drawn}: {how:?}");
                            }
                        }
                        Err(why) => {
                            println!("{drawn}: FAILED: {why}");
                            failures.lock().unwrap().push(format!("{drawn}: {why}"));
                        }
                    }
                }
            });
        }
    });
    let (failures, passed) = (failures.into_inner().unwrap(), passed.into_inner().unwrap());
    let all = failures.len() as u64 + passed.values().sum::<u64>();
    println!(
        "{all} faults in {:.0} s: {} passed by as {passed:?}, {} did harm",
        started.elapsed().as_secs_f64(),
        passed.values().sum::<u64>(),
        failures.len()
    );
    assert!(failures.is_empty(), "{} of {all} faults did harm:\n\n{}", failures.len(), failures.join("\n\n"));
    if all >= IN_CI && kind.is_none() {
        // A harness that strikes nothing proves nothing.
        let of = |kind: &str| passed.keys().any(|(known, how)| *known == kind && how != "Unharmed");
        for kind in KINDS.iter().filter(|kind| !matches!(**kind, "twice" | "clip" | "lost")) {
            assert!(of(kind), "no {kind} of {all} struck: {passed:?}");
        }
        let unharmed: u64 = passed
            .iter()
            .filter(|((_, how), _)| how == &format!("{:?}", Passed::Unharmed))
            .map(|(_, n)| n)
            .sum();
        assert!(unharmed * 2 < all, "more than half of {all} met nothing: {passed:?}");
    }
}

#[test]
fn a_plan_is_followed_only_where_it_is_allowed_and_is_said() {
    let bench = Bench::empty();
    let synth =
        ["synth", "data", "--machines", "fan", "--duration-s", "0.5", "--train-per-section", "4", "-q"];
    let run = |plan: &str| {
        let output = bench.command(&synth).env("ASDBENCH_FAULTS", plan).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, err) = run("kill:3");
    assert_eq!(code, Some(2), "{err}");
    assert!(err.contains(".asdbench-faults") && err.contains("unset the variable"), "{err}");
    assert!(!bench.path("data").exists());

    fs::write(bench.path(".asdbench-faults"), "").unwrap();
    for (plan, word) in
        [("kill", "`kill`"), ("write:1=EWHAT", "EWHAT"), ("lose:1=../x", "../x"), ("log:/x", "/x")]
    {
        let (code, err) = run(plan);
        assert!(code == Some(2) && err.contains(word), "{plan}: {code:?}: {err}");
    }
    let (code, err) = run("kill:3,log:ops.txt");
    assert!(code.is_none() && err.contains("warning: ASDBENCH_FAULTS is set"), "{code:?}: {err}");
    let steps = fs::read_to_string(bench.path("ops.txt")).unwrap();
    assert!(steps.lines().count() == 3 && steps.ends_with("\tkill\n"), "{steps}");

    let (code, err) = run("");
    assert!(code == Some(0) && err.is_empty(), "{code:?}: {err}");
    assert_eq!(fs::read_to_string(bench.path("ops.txt")).unwrap(), steps);
}

/// A power cut takes what was not flushed, and of a training that is done there is no checkpoint to go on from.
#[test]
fn the_last_epoch_is_on_the_disk_before_the_weights_are() {
    let bench = Bench::with_fan();
    fs::write(bench.path(".asdbench-faults"), "").unwrap();
    let config = crate::program::shipped("micro/ae.toml");
    let train = ["train", config.to_str().unwrap(), "--set", "data.root=data", "--device", "cpu", "-q"];
    let output =
        bench.command(&train).env("ASDBENCH_FAULTS", "full:1000000000000,log:ops.txt").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let steps = fs::read_to_string(bench.path("ops.txt")).unwrap();
    let last = |kind: &str, file: &str| {
        let is_it = |line: &str| {
            let fields: Vec<&str> = line.split('\t').collect();
            fields[1] == kind && fields[4].ends_with(file)
        };
        let lines: Vec<&str> = steps.lines().collect();
        lines.into_iter().rposition(is_it).unwrap_or_else(|| panic!("no {kind} of {file}:\n{steps}"))
    };
    let (written, flushed) = (last("write", "metrics.jsonl"), last("fsync", "metrics.jsonl"));
    assert!(written < flushed && flushed < last("rename", "model.safetensors"), "{steps}");
}

#[test]
fn the_same_stage_goes_through_the_same_operations() {
    let base = Base::new();
    let scene = base.scene(Stage::Classifier.between().0);
    let ended = scene.run(Stage::Classifier, Some("full:1000000000000"));
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    let told = |steps: &[way::Step]| {
        steps.iter().map(|step| (step.number, step.kind.clone(), step.path.clone())).collect::<Vec<_>>()
    };
    assert_eq!(told(&scene.steps()), told(base.steps(Stage::Classifier)));
    assert_eq!(draw(&base, 3).to_string(), draw(&base, 3).to_string());
    assert_ne!(draw(&base, 0).to_string(), draw(&base, 6).to_string());
}
