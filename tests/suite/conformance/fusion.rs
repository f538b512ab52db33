//! `conformance/dcase2022-ae` and two systems made from it: a real submission, fused.

use std::fs;

use super::folder;
use crate::program::Bench;

/// Copies of the submission's score files with every score changed.
fn copy(from: &std::path::Path, to: &std::path::Path, change: impl Fn(&str, f64) -> f64) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if !name.starts_with("anomaly_score_") {
            continue;
        }
        let line = |line: &str| {
            let (clip, score) = line.split_once(',').unwrap();
            format!("{clip},{}\n", change(clip, score.trim().parse().unwrap()))
        };
        let text = fs::read_to_string(&path).unwrap();
        fs::write(to.join(name), text.lines().map(line).collect::<String>()).unwrap();
    }
}

/// A number in -1..1 that looks random, of a clip's name.
fn noise(clip: &str) -> f64 {
    let hash = clip.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    (hash.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as f64 / (1_u64 << 23) as f64 - 1.0
}

#[test]
fn a_public_system_and_a_noisy_copy_are_no_worse_together() {
    let Some(real) = folder("dcase2022-ae") else { return };
    let bench = Bench::empty();
    copy(&real, &bench.path("own"), |_, score| score);
    copy(&real, &bench.path("noisy"), |clip, score| 100.0 * (score + 0.5 * noise(clip)).powi(3));
    let systems =
        "[[system]]\nname = \"own\"\nscores = \"own\"\n[[system]]\nname = \"noisy\"\nscores = \"noisy\"\n";
    fs::write(bench.path("fusion.toml"), systems).unwrap();
    let options = ["--set", "tune.evaluations=40", "--set", "validate.resamples=100", "--format", "json"];
    let document = bench.run(&[&["fuse", "fusion.toml"], &options[..]].concat()).fine().json();
    let tuned = document["tuned_on"]["score"].as_f64().unwrap();
    for single in document["baselines"].as_array().unwrap().iter().filter(|one| one["name"] == "best single")
    {
        assert!(tuned >= single["score"].as_f64().unwrap(), "{single}");
    }
    assert!(document["honest"]["score"].as_f64().unwrap() <= tuned);
    assert_eq!(document["honest"]["folds"].as_array().unwrap().len(), 7);
    // A corner is the system itself: Ω of the submission as the official evaluator has it.
    let scored = bench.run(&["score", "own", "--format", "json"]).fine().json();
    let history = fs::read_to_string(bench.path("fused/history.csv")).unwrap();
    let corner = history.lines().find(|line| line.contains(",single,") && line.ends_with(",1,0")).unwrap();
    let omega: f64 = corner.split(',').nth(3).unwrap().parse().unwrap();
    assert!((omega - scored["official_score"].as_f64().unwrap()).abs() < 1e-12, "{corner}");
}
