//! Configured detectors: one pass scores them all, and nothing else changes by it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::program::{Bench, shipped};

/// As `--set` arguments: every kind, both forms of banks, oversampling and density normalisation.
const SETTINGS: [&str; 5] = [
    "eval.detectors.near={ banks = \"separate\", knn = { k = 2, density = { k = 2 } }, smote = { k = 2 } }",
    "eval.detectors.factor={ lof = { k = 4, metric = \"euclidean\" } }",
    "eval.detectors.means={ banks = \"separate\", kmeans = { prototypes = 3 } }",
    "eval.detectors.mix={ mixture = { components = 2 } }",
    "eval.detectors.gauss={ banks = \"separate\", mahalanobis = {} }",
];
/// In the order of the columns.
const NAMES: [&str; 5] = ["factor", "gauss", "means", "mix", "near"];

fn sets() -> Vec<&'static str> {
    SETTINGS.iter().flat_map(|setting| ["--set", setting]).collect()
}

/// One trained run in `runs`, and its folder.
fn trained() -> (Bench, PathBuf) {
    let bench = Bench::with_fan();
    let run = bench.train(&[]).fine().json()["runs"][0].clone();
    let folder = bench.path(run["path"].as_str().unwrap());
    (bench, folder)
}

/// Header and rows of a table of scores.
fn table(path: &Path) -> (Vec<String>, Vec<Vec<String>>) {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut lines = text.lines().map(|line| line.split(',').map(str::to_owned).collect::<Vec<_>>());
    (lines.next().expect("a header"), lines.collect())
}

/// The mean over sections of the share of pairs in which the anomalous clip has the higher score, half for a tie.
fn auc(header: &[String], rows: &[Vec<String>], name: &str) -> f64 {
    let column = |name: &str| header.iter().position(|column| column == name).expect("a column");
    let (section, label, score) = (column("section"), column("label"), column(name));
    let mut sections: BTreeMap<&str, [Vec<f64>; 2]> = BTreeMap::new();
    for row in rows {
        let of_label = usize::from(row[label] == "anomaly");
        sections.entry(&row[section]).or_default()[of_label].push(row[score].parse().expect("a score"));
    }
    let of_section = |[normal, anomalous]: &[Vec<f64>; 2]| {
        let pairs = anomalous.iter().flat_map(|a| normal.iter().map(move |n| (a, n)));
        let won: f64 = pairs
            .map(|(a, n)| {
                if a > n {
                    1.0
                } else if a == n {
                    0.5
                } else {
                    0.0
                }
            })
            .sum();
        won / (normal.len() * anomalous.len()) as f64
    };
    sections.values().map(of_section).sum::<f64>() / sections.len() as f64
}

#[test]
fn detectors_are_judged_beside_what_was_there() {
    let (bench, folder) = trained();
    let before = bench.eval(&["runs"]).fine().json()["runs"][0].clone();
    assert_eq!(before.get("detectors"), None);
    let (plain_header, plain) = table(&folder.join("scores.csv"));
    assert_eq!(plain_header, ["clip", "section", "domain", "label", "mahalanobis", "decision"]);
    let (header, training) = table(&folder.join("training_scores.csv"));
    assert_eq!(header, ["clip", "section", "domain", "mahalanobis"]);
    assert_eq!(training.len(), 18, "3 sections of 6 training clips");
    assert!(training.iter().all(|row| row[0].starts_with("fan/train/section_")), "{training:?}");

    let after = bench.eval(&[&["runs"][..], &sets()].concat()).fine().json()["runs"][0].clone();
    let own: Value = serde_json::from_str(&fs::read_to_string(folder.join("eval.json")).unwrap()).unwrap();
    assert_eq!(own["detectors"], after["detectors"]);
    for (key, value) in before.as_object().unwrap() {
        if key == "artefacts" {
            assert_eq!(after[key]["features.npz"], value["features.npz"]);
            assert_ne!(after[key]["scores.csv"], value["scores.csv"]);
        } else if key != "settings" {
            assert_eq!(&after[key], value, "{key}");
        }
    }
    let (header, rows) = table(&folder.join("scores.csv"));
    assert_eq!(header[..6], plain_header);
    assert_eq!(header[6..], NAMES);
    for (row, plain) in rows.iter().zip(&plain) {
        assert_eq!(row[..6], plain[..]);
    }
    assert_eq!(rows.len(), plain.len());
    let kinds =
        [("lof", "global"), ("mahalanobis", "separate"), ("kmeans", "separate"), ("mixture", "global")];
    for (name, (kind, banks)) in NAMES.iter().zip(kinds.into_iter().chain([("knn", "separate")])) {
        let found = &after["detectors"][name];
        assert_eq!((&found["kind"], &found["banks"]), (&kind.into(), &banks.into()), "{name}: {found}");
        let clips: u64 =
            found["fitted_to"].as_array().unwrap().iter().map(|b| b["clips"].as_u64().unwrap()).sum();
        assert_eq!(clips, 18, "{name}: {found}");
        // The same pairs counted in another order: to the rounding of a mean.
        let expected = auc(&header, &rows, name);
        assert!((found["auc"].as_f64().unwrap() - expected).abs() < 1e-12, "{name}: {found}");
        let omega = found["official"]["omega"].as_f64().unwrap_or_else(|| panic!("{name}: {found}"));
        assert!((0.0..=1.0).contains(&omega), "{name}: {omega}");
        assert!(found["official"]["threshold"]["value"].is_number(), "{name}: {found}");
    }

    let (header, rows) = table(&folder.join("training_scores.csv"));
    assert_eq!(header[..4], ["clip", "section", "domain", "mahalanobis"]);
    assert_eq!(header[4..], NAMES);
    assert_eq!(rows.len(), 18);
    for (row, plain) in rows.iter().zip(&training) {
        assert_eq!(row[..4], plain[..]);
        assert!(["source", "target"].contains(&row[2].as_str()), "{row:?}");
        // Its own neighbour, a clip would be at no distance.
        assert!(row[8].parse::<f64>().unwrap() > 0.0, "{row:?}");
    }

    // A run without them again has nothing of them.
    let again = bench.eval(&["runs"]).fine().json()["runs"][0].clone();
    assert_eq!(again, before);
    assert_eq!(table(&folder.join("scores.csv")), (plain_header, plain));
}

#[test]
fn the_number_of_threads_does_not_matter_to_detectors() {
    let (bench, folder) = trained();
    let judged = ["1", "3"].map(|threads| {
        let mut eval = bench.command(&[&["eval", "runs", "--device", "cpu"][..], &sets()].concat());
        let output = eval.env("RAYON_NUM_THREADS", threads).output();
        assert!(output.unwrap().status.success());
        ["eval.json", "scores.csv", "training_scores.csv"].map(|name| fs::read(folder.join(name)).unwrap())
    });
    assert!(judged[0] == judged[1], "what detectors say differs between 1 and 3 threads");
}

#[test]
fn a_detectors_submission_scores_as_it_does() {
    let (bench, folder) = trained();
    let options = [&["runs", "--submission", "out", "--detector", "near"][..], &sets()].concat();
    let one = bench.eval(&options).fine().json()["runs"][0].clone();
    let system = format!("out/autoencoder/{}/seed-0", one["config"].as_str().unwrap());
    let scored = bench.run(&["score", &system, "--format", "json"]).fine().json();
    let official = &one["detectors"]["near"]["official"];
    assert_eq!(scored["official_score"], official["omega"]);
    for metric in ["auc_source", "auc_target", "pauc", "f1_target"] {
        let found = &scored["machines"]["fan"]["arithmetic_mean"][metric];
        assert_eq!(found, &official["arithmetic_mean"][metric], "{metric}");
    }
    let (_, rows) = table(&bench.path(&system).join("anomaly_score_fan_section_00_test.csv"));
    let (header, own) = table(&folder.join("scores.csv"));
    let near = header.iter().position(|name| name == "near").unwrap();
    let found = own.iter().find(|row| row[0].ends_with(&rows[0][0])).expect("the clip of the first row");
    assert_eq!(rows[0][1].parse::<f64>().unwrap(), found[near].parse::<f64>().unwrap());

    let unknown = [&["runs", "--submission", "other", "--detector", "nearest"][..], &sets()].concat();
    let words = ["no detector `nearest`", "mahalanobis, factor, gauss, means, mix, near"];
    bench.eval(&unknown).refused(3, &words);
    assert!(!bench.path("other").exists());
    bench.eval(&["runs", "--detector", "near"]).refused(2, &["--submission"]);
}

#[test]
fn what_a_detector_was_limited_to_is_said() {
    let (bench, _) = trained();
    let set = "eval.detectors.near={ banks = \"separate\", knn = { k = 100 } }";
    let answer = bench.eval(&["runs", "--set", set]).fine();
    let near = &answer.json()["runs"][0]["detectors"]["near"];
    assert!(near["auc"].is_number(), "{near}");
    let notes = near["notes"].as_array().unwrap_or_else(|| panic!("{near}"));
    assert!(!notes.is_empty());
    for note in notes {
        let said = format!("detector near: {}", note.as_str().unwrap());
        assert!(answer.err.contains(&said), "{said} is not in {}", answer.err);
    }
}

#[test]
fn a_sweep_judges_again_what_was_judged_without_a_detector() {
    let bench = Bench::with_fan();
    let config = shipped("micro/ae.toml");
    let text = format!(
        "[study]\nname = \"one\"\nseeds = [0]\n[common]\ndata.root = \"data\"\n[[family]]\nconfig = {:?}\n\
         [family.override]\ntrain.epochs = 2\n[family.grid]\n\"task.autoencoder.hidden\" = [8]\n",
        config.to_str().unwrap()
    );
    fs::write(bench.path("one.toml"), text).unwrap();
    let base = ["sweep", "one.toml", "--device", "cpu", "--format", "json"];
    let sweep = |options: &[&str]| bench.run(&[&base[..], options].concat()).fine();
    let state = |options: &[&str]| {
        let plan = sweep(&[&["--dry-run", "--no-probe"], options].concat()).json();
        plan["runs"][0]["state"].as_str().map(str::to_owned)
    };
    assert_eq!(sweep(&[]).json()["runs"][0].get("detectors"), None);
    let near = ["--set", "eval.detectors.near.knn.k=1"];
    assert_eq!(state(&near).as_deref(), Some("trained"));
    let judged = sweep(&near).json();
    assert!(judged["runs"][0]["detectors"]["near"]["auc"].is_number(), "{judged}");
    assert_eq!(state(&near).as_deref(), Some("done"));
    assert_eq!(state(&["--set", "eval.detectors.near.knn.k=2"]).as_deref(), Some("trained"));

    let folder = bench.path(judged["runs"][0]["path"].as_str().unwrap());
    fs::remove_file(folder.join("training_scores.csv")).unwrap();
    assert_eq!(state(&near).as_deref(), Some("trained"));
}

#[test]
fn a_report_has_the_detectors() {
    let (bench, _) = trained();
    let without = || {
        bench.eval(&["runs"]).fine();
        bench.run(&["report", "runs", "-o", "without", "--no-examples", "--format", "json"]).fine().json()
    };
    assert_eq!(without()["report"].get("detectors"), None);
    assert!(!bench.path("without/tables/detectors.csv").exists());
    let one = bench.eval(&[&["runs"][..], &sets()].concat()).fine().json()["runs"][0].clone();
    let report =
        bench.run(&["report", "runs", "-o", "with", "--no-examples", "--format", "json"]).fine().json();
    let rows = report["report"]["detectors"].as_array().unwrap_or_else(|| panic!("{report}"));
    assert_eq!(rows.len(), 1 + NAMES.len());
    assert_eq!((&rows[0]["detector"], &rows[0]["omega"]), (&"mahalanobis".into(), &one["official"]["omega"]));
    for (row, name) in rows[1..].iter().zip(NAMES) {
        assert_eq!(
            (&row["detector"], &row["omega"]),
            (&name.into(), &one["detectors"][name]["official"]["omega"])
        );
    }
    let (header, table) = table(&bench.path("with/tables/detectors.csv"));
    assert_eq!((header[2].as_str(), table.len()), ("detector", rows.len()));
}
