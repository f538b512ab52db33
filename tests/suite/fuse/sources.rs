//! Dry runs, runs as systems, and the example that is shipped.

use std::fs;

use asdbench::config::{fusion_schema_text, load_fusion};

use super::{bench, fuse, hide_labels, number};
use crate::program::{Bench, shipped};

#[test]
fn a_dry_run_reads_no_label_and_writes_nothing() {
    let bench = bench("");
    hide_labels(&bench, false);
    let planned = fuse(&bench, &["--dry-run", "--tune-on", "section=0"]).fine().json();
    assert_eq!(planned["sections"].as_array().unwrap().len(), 4);
    let tuned: Vec<bool> =
        planned["sections"].as_array().unwrap().iter().map(|one| one["tuned"] == true).collect();
    assert_eq!(tuned, [true, false, true, false]);
    assert!(!bench.path("fused").exists());
    let text = bench.run(&["fuse", "fusion.toml", "--dry-run"]).fine().out;
    assert!(text.contains("tuned on") && text.contains("fan"), "{text}");
}

#[test]
fn runs_are_fused_by_their_seeds_and_with_score_files() {
    let bench = Bench::with_fan();
    bench.train(&["--set", "train.seeds=[0, 1]"]).fine();
    let judged = bench.eval(&["runs", "--submission", "out"]).fine().json();
    let config = judged["runs"][0]["config"].as_str().unwrap().to_owned();
    let systems = format!(
        "[[system]]\nname = \"ae\"\nrun = \"runs\"\n[[system]]\nname = \"one\"\nscores = \"out/autoencoder/{config}/seed-1\"\n"
    );
    fs::write(bench.path("fusion.toml"), systems).unwrap();
    let document = fuse(&bench, &[]).fine().json();
    assert_eq!(document["systems"], serde_json::json!(["ae", "one"]));
    assert_eq!(document["branches"], serde_json::json!(["ae seed 0", "ae seed 1", "one"]));
    let scored = bench.run(&["score", "fused", "--format", "json"]).fine().json();
    let applied = number(&document["applied_to"]["score"]);
    assert!((number(&scored["official_score"]) - applied).abs() < 1e-12, "{scored}");
    let config = fs::read_to_string(bench.path("fusion.toml")).unwrap();
    let other = config.replace("run = \"runs\"", "run = \"runs\"\ndetector = \"near\"");
    fs::write(bench.path("fusion.toml"), other).unwrap();
    fuse(&bench, &[]).refused(4, &["scores.csv", "no detector `near`", "mahalanobis"]);
}

#[test]
fn the_shipped_example_and_schema_are_those_of_the_types() {
    let example = shipped("fusion.toml");
    let text = fs::read_to_string(&example).unwrap();
    assert!(text.starts_with("#:schema fusion.schema.json\n"), "{text}");
    let config = load_fusion(&example, &[]).unwrap_or_else(|e| panic!("{}", e.render(false)));
    assert_eq!(config.system.len(), 2);
    let committed = fs::read_to_string(shipped("fusion.schema.json")).unwrap();
    let remedy = "run `asdbench config schema --fusion > configs/fusion.schema.json`";
    assert!(committed == fusion_schema_text(), "configs/fusion.schema.json has drifted: {remedy}");
    let shown =
        Bench::empty().run(&["config", "show", example.to_str().unwrap(), "--set", "seed=3"]).fine().out;
    assert!(shown.contains("system[1].name") && shown.contains("--set"), "{shown}");
    let checked = Bench::empty().run(&["config", "check", example.to_str().unwrap()]).fine().out;
    assert!(checked.contains("ok (fusion, 2 systems)"), "{checked}");
}
