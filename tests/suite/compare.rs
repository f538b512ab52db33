//! `asdbench compare`, and the challenge's files that `eval` writes, as users and scripts see them.

use std::fs;
use std::path::Path;

use crate::program::Bench;

/// A 2022 submission of one machine and section, 20 clips of each domain and label; anomalies lie `shift` higher.
fn submission(folder: &Path, shift: f64) {
    fs::create_dir_all(folder).unwrap();
    let mut rows = String::new();
    for domain in ["source", "target"] {
        for (label, offset) in [("normal", 0.0), ("anomaly", shift)] {
            for clip in 0..20 {
                // Spread by a fixed permutation of 0..20, so that the classes overlap.
                let score = f64::from(clip * 7 % 20) / 10.0 + offset;
                rows += &format!("section_00_{domain}_test_{label}_{clip:04}_a_1.wav,{score}\n");
            }
        }
    }
    fs::write(folder.join("anomaly_score_fan_section_00_test.csv"), rows).unwrap();
}

#[test]
fn the_better_of_two_score_folders_is_found() {
    let bench = Bench::empty();
    submission(&bench.path("a"), 1.5);
    submission(&bench.path("b"), 0.5);
    let found = bench.run(&["compare", "a", "b", "--format", "json"]).fine();
    let document = found.json();
    assert_eq!(document["schema"], 1);
    let omega = &document["overall"]["omega"];
    let [low, high] = ["low", "high"].map(|end| omega["interval"][end].as_f64().unwrap());
    let difference = omega["difference"].as_f64().unwrap();
    assert!(0.0 < low && low < difference && difference < high, "{omega}");
    assert_eq!(found.json(), bench.run(&["compare", "a", "b", "--format", "json"]).fine().json(), "seeded");

    let swapped = bench.run(&["compare", "b", "a", "--format", "json"]).fine().json();
    let other = swapped["overall"]["omega"]["difference"].as_f64().unwrap();
    assert!((difference + other).abs() < 1e-12, "{difference} {other}");

    let same = bench.run(&["compare", "a", "a", "--format", "json"]).fine().json();
    assert_eq!(same["overall"]["omega"]["difference"], 0.0);
    for format in ["table", "csv", "md", "latex"] {
        let text = bench.run(&["compare", "a", "b", "--format", format]).fine().out;
        assert!(text.contains("fan") && text.contains("pAUC"), "{text}");
    }
}

#[test]
fn systems_of_other_clips_are_refused_with_their_names() {
    let bench = Bench::empty();
    submission(&bench.path("a"), 1.0);
    submission(&bench.path("b"), 1.0);
    let file = bench.path("b/anomaly_score_fan_section_00_test.csv");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(
        &file,
        text.replace(
            "section_00_source_test_normal_0003_a_1.wav",
            "section_00_source_test_normal_0077_a_1.wav",
        ),
    )
    .unwrap();
    let refused = bench.run(&["compare", "a", "b"]);
    assert_eq!(refused.code, Some(4), "{}", refused.err);
    assert!(refused.err.contains("normal_0003") || refused.err.contains("normal_0077"), "{}", refused.err);
    let missing = bench.run(&["compare", "a", "nothing"]);
    assert_eq!(missing.code, Some(4), "{}", missing.err);
    assert!(missing.err.contains("nothing"), "{}", missing.err);
}

#[test]
fn a_runs_submission_scores_as_the_run_does() {
    let bench = Bench::with_fan();
    bench.train(&[]).fine();
    let one = bench.eval(&["runs", "--submission", "out"]).fine().json()["runs"][0].clone();
    let system = format!("out/autoencoder/{}/seed-0", one["config"].as_str().unwrap());
    let scored = bench.run(&["score", &system, "--format", "json"]).fine().json();
    assert_eq!(scored["official_score"], one["official"]["omega"]);
    let mean = &scored["machines"]["fan"]["arithmetic_mean"];
    for metric in ["auc_source", "auc_target", "pauc", "precision_source", "f1_target"] {
        assert_eq!(mean[metric], one["official"]["arithmetic_mean"][metric], "{metric}");
        assert!(mean[metric].is_number(), "{metric}: {mean}");
    }
    // A run and its own files are one system.
    let same = bench.run(&["compare", "runs", &system, "--format", "json"]).fine().json();
    assert_eq!(same["overall"]["auc"]["difference"], 0.0, "{same}");
}
