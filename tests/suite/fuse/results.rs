//! What a fusion finds and writes, and what it must not look at.

use std::fs;

use serde_json::Value;

use super::{FEW, SECTIONS, bench, configure, files, fuse, hide_labels, number, scores, with_training};
use crate::program::Bench;

#[test]
fn a_fusion_is_no_worse_than_its_best_system_and_its_files_score_as_it_says() {
    let bench = bench("");
    let document = fuse(&bench, &[]).fine().json();
    assert_eq!((&document["schema"], &document["systems"]), (&1.into(), &serde_json::json!(["a", "b"])));
    let weights: Vec<f64> = document["weights"].as_array().unwrap().iter().map(number).collect();
    assert!((weights.iter().sum::<f64>() - 1.0).abs() < 1e-9 && weights.iter().all(|weight| *weight >= 0.0));
    let tuned = number(&document["tuned_on"]["score"]);
    for baseline in &document["baselines"].as_array().unwrap()[..2] {
        assert!(tuned >= number(&baseline["score"]), "{baseline}");
    }
    // Unlike noise: both together are clearly better than one.
    let single = document["baselines"].as_array().unwrap().iter().find(|one| one["name"] == "best single");
    assert!(tuned > number(&single.unwrap()["score"]) + 0.01, "{document}");
    // Tuned on what it is applied to: said, with the honest number beside it.
    assert_eq!(document["applied_to"]["score"], document["tuned_on"]["score"]);
    assert_eq!(document["applied_to"]["overlap"], 4);
    let honest = &document["honest"];
    assert!(
        honest["interval"]["low"].is_number() && honest["folds"].as_array().unwrap().len() == 2,
        "{honest}"
    );
    assert!(number(&honest["score"]) <= tuned, "{honest}");
    let notes = document["notes"].to_string();
    assert!(notes.contains("optimistic") && notes.contains("tuning clips"), "{notes}");
    // Normalised by clips that are judged too: marked. Where they are kept apart, not.
    assert_eq!(document["normalise"]["statistics"], "tuning");
    assert!(document["normalise"]["transductive"] == true && notes.contains("TRANSDUCTIVE"), "{notes}");
    let apart = ["--tune-on", "machine=fan", "--apply-to", "machine=valve", "-o", "apart"];
    let apart = fuse(&bench, &apart).fine().json();
    assert_eq!(apart["normalise"]["transductive"], false);
    assert!(!apart["notes"].to_string().contains("TRANSDUCTIVE"), "{}", apart["notes"]);
    assert!(apart["notes"].to_string().contains("by those of fan together"), "{}", apart["notes"]);
    assert_eq!(apart["applied_to"]["thresholds"]["valve"]["from"], "tuning-normals-of-all-machines");
    assert!(apart["notes"].to_string().contains("other machines' normal clips"), "{}", apart["notes"]);

    let scored = bench.run(&["score", "fused", "--format", "json"]).fine().json();
    assert!((number(&scored["official_score"]) - tuned).abs() < 1e-12, "{scored}");
    assert!(
        scored["machines"]["fan"]["arithmetic_mean"]["precision_source"].is_number(),
        "decisions: {scored}"
    );
    let fan = &document["applied_to"]["per_machine"]["fan"];
    assert_eq!(document["tables"][0]["machines"][0]["values"][2], *fan);

    let history = fs::read_to_string(bench.path("fused/history.csv")).unwrap();
    assert_eq!(history.lines().count(), 1 + document["tuned_on"]["evaluations"].as_u64().unwrap() as usize);
    let table = fs::read_to_string(bench.path("fused/tables/table1.md")).unwrap();
    assert!(table.contains("| machine | a | b | fused |") && table.contains("**"), "{table}");
    assert!(table.lines().last().unwrap().starts_with("| Overall |"), "{table}");
    let weights = fs::read_to_string(bench.path("fused/tables/weights.md")).unwrap();
    let honest =
        format!("| honest: machines left out in turn | all | {:.2} |", 100.0 * number(&honest["score"]));
    assert!(weights.contains(&honest) && weights.contains("; between "), "{weights}");
    for file in ["weights.json", "README.md", "tables/complementarity.csv", "tables/table1.tex"] {
        assert!(bench.path("fused").join(file).is_file(), "{file}");
    }
    for picture in ["history", "machines"] {
        assert!(
            fs::read(bench.path(&format!("fused/figures/{picture}.png"))).unwrap().starts_with(b"\x89PNG")
        );
    }
    let stored: Value = serde_json::from_slice(&fs::read(bench.path("fused/fusion.json")).unwrap()).unwrap();
    assert_eq!((stored, document["complete"].clone()), (document, true.into()));
}

#[test]
fn the_same_files_come_again_and_old_ones_go() {
    let bench = bench("");
    fuse(&bench, &[]).fine();
    let first = files(&bench.path("fused"));
    fuse(&bench, &[]).fine();
    assert!(files(&bench.path("fused")) == first);
    fs::write(bench.path("fused/mine.txt"), "mine").unwrap();
    fuse(&bench, &["--apply-to", "machine=valve"]).fine();
    assert!(!bench.path("fused/anomaly_score_fan_section_00_test.csv").exists());
    assert!(bench.path("fused/anomaly_score_valve_section_00_test.csv").exists());
    assert!(bench.path("fused/mine.txt").exists());
    for (output, word) in [("a", "a system's folder"), ("other", "not of a fusion")] {
        scores(&bench.path("other"), "c", 0.1, 1.0);
        fuse(&bench, &["-o", output]).refused(2, &[output, word, "-o"]);
    }
    for format in ["table", "csv", "md", "latex"] {
        let out = bench.run(&[&["fuse", "fusion.toml", "--format", format], &FEW[..]].concat()).fine().out;
        assert!(out.contains("Overall") && out.contains("valve"), "{out}");
    }
}

#[test]
fn labels_of_the_clips_to_be_judged_change_no_weight_and_no_score() {
    let bench = bench("[official]\ntruth = \"gt\"\n");
    no_label_is_looked_at(&bench);

    // Without any truth the clips are scored all the same.
    let before = blind_files(&bench, "right");
    configure(&bench, "");
    let document = fuse(&bench, &[&APART[..], &["-o", "none"]].concat()).fine().json();
    assert!(document["applied_to"]["score"].is_null(), "{document}");
    assert!(document["applied_to"]["why"].as_str().unwrap().contains("official.truth"), "{document}");
    assert!(blind_files(&bench, "none") == before);
    fuse(&bench, &[]).refused(4, &["does not say whether the clip is normal", "tune.machines"]);
}

#[test]
fn nor_where_training_clips_normalise_and_set_the_thresholds() {
    let bench = bench("[official]\ntruth = \"gt\"\n");
    with_training(&bench);
    no_label_is_looked_at(&bench);
}

const APART: [&str; 4] = ["--tune-on", "machine=fan", "--apply-to", "machine=valve"];

/// Score and decision files, weights and history: what no label of a judged clip may change.
fn blind_files(bench: &Bench, output: &str) -> Vec<Vec<u8>> {
    let blind = ["anomaly_score", "decision_result", "weights.json", "history.csv"];
    let mut kept = files(&bench.path(output));
    kept.retain(|(name, _)| blind.iter().any(|word| name.contains(word)));
    kept.into_iter().map(|(_, bytes)| bytes).collect()
}

fn no_label_is_looked_at(bench: &Bench) {
    let run = |output: &str| {
        let document = fuse(bench, &[&APART[..], &["-o", output]].concat()).fine().json();
        (document, blind_files(bench, output))
    };
    hide_labels(bench, false);
    let (right, files_of_right) = run("right");
    hide_labels(bench, true);
    let (poisoned, files_of_poisoned) = run("poisoned");
    assert!(files_of_right.len() >= 2 * SECTIONS.len() + 2);
    assert!(files_of_right == files_of_poisoned, "labels of the clips to be judged were looked at");
    for key in ["weights", "tuned_on", "honest", "complementarity", "systems"] {
        assert_eq!(right[key], poisoned[key], "{key}");
    }
    // Judged, they are what they are: the poison works.
    let scores = [&right, &poisoned].map(|document| number(&document["applied_to"]["score"]));
    assert!(scores[0] > 0.6 && scores[1] < 0.4, "{scores:?}");
    assert_eq!(right["applied_to"]["overlap"], 0);
    assert!(!right["notes"].to_string().contains("optimistic"), "{}", right["notes"]);
    assert_eq!(right["applied_to"]["thresholds"], poisoned["applied_to"]["thresholds"]);
}

#[test]
fn weights_of_each_machine_are_judged_as_such_or_it_is_said() {
    let bench = bench("");
    let own = ["--set", "tune.weights=machine"];
    let document = fuse(&bench, &own).fine().json();
    let honest = &document["honest"];
    assert_eq!(honest["over"], "sections", "{honest}");
    assert!(honest["folds"][0]["weights_per_machine"]["fan"].is_array(), "{honest}");
    assert!(!document["notes"].to_string().contains("shared weights"), "{}", document["notes"]);
    let machines = [&own[..], &["--set", "validate.over=machines"]].concat();
    let document = fuse(&bench, &machines).fine().json();
    assert!(
        document["notes"].to_string().contains("fan, valve is that of the shared weights"),
        "{}",
        document["notes"]
    );
}

#[test]
fn a_metric_that_cannot_be_had_says_why() {
    let bench = bench("");
    for system in ["a", "b"] {
        for machine in ["fan", "valve"] {
            for section in SECTIONS {
                let file =
                    bench.path(&format!("{system}/anomaly_score_{machine}_section_{section}_test.csv"));
                let text = fs::read_to_string(&file).unwrap();
                let source: Vec<&str> = text.lines().filter(|line| line.contains("_source_")).collect();
                fs::write(&file, source.join("\n") + "\n").unwrap();
            }
        }
    }
    fuse(&bench, &[]).refused(4, &["no normal clip of the target domain"]);
    let document = fuse(&bench, &["--set", "tune.objective=auc-source"]).fine().json();
    assert!(document["tuned_on"]["score"].is_number());
    let why = document["tables"][0]["why"].as_str().unwrap();
    assert!(why.contains("no normal clip of the target domain"), "{why}");
    let table = fs::read_to_string(bench.path("fused/README.md")).unwrap();
    assert!(table.contains("missing: failed to"), "{table}");
}
