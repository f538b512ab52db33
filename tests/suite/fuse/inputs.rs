//! Systems that need other statistics, do not fit together, are turned round or say nothing.

use std::fs;

use super::{SECTIONS, bench, fuse, number, training};

#[test]
fn a_normalisation_takes_training_scores_or_says_what_else_it_takes() {
    let bench = bench("");
    let rank = ["--set", "normalise.method=rank"];
    fuse(&bench, &rank)
        .refused(3, &["training_scores", "a, b", "normalise.method = \"auto\"", "allow_transductive"]);
    let allowed = [&rank[..], &["--set", "normalise.allow_transductive=true"]].concat();
    let document = fuse(&bench, &allowed).fine().json();
    assert_eq!(
        (&document["normalise"]["transductive"], &document["normalise"]["method"]),
        (&true.into(), &"rank".into())
    );
    assert!(document["notes"].to_string().contains("TRANSDUCTIVE"), "{document}");
    let text = |file: &str| fs::read_to_string(bench.path("fused").join(file)).unwrap();
    for file in ["README.md", "weights.json", "figures/history.svg", "figures/machines.svg"] {
        assert!(text(file).to_lowercase().contains("transductive"), "{file}");
    }
    training(&bench.path("a-train"), "a", 1.0);
    training(&bench.path("b-train"), "b", 1000.0);
    let systems = fs::read_to_string(bench.path("fusion.toml")).unwrap();
    let systems = systems
        .replace("scores = \"a\"", "scores = \"a\"\ntraining_scores = \"a-train\"")
        .replace("scores = \"b\"", "scores = \"b\"\ntraining_scores = \"b-train\"");
    fs::write(bench.path("fusion.toml"), systems).unwrap();
    for method in ["auto", "none", "rank", "min-max", "gamma"] {
        let setting = format!("normalise.method={method}");
        let document = fuse(&bench, &["--set", &setting]).fine().json();
        let expected = if method == "none" { "none" } else { "training" };
        assert_eq!(document["normalise"]["statistics"], expected, "{method}");
        assert_eq!(document["applied_to"]["thresholds"]["fan"]["from"], "training", "{method}");
        assert_eq!(document["applied_to"]["thresholds"]["fan"]["clips"], 60, "{method}");
        assert!(text("README.md").contains("# Fused scores") && !text("README.md").contains("TRANSDUCTIVE"));
    }
    // The fused training scores are there for the next fusion.
    assert!(bench.path("fused/anomaly_score_fan_section_00_train.csv").is_file());
}

#[test]
fn systems_that_do_not_fit_together_are_refused_by_name_or_cut_to_what_they_share() {
    let bench = bench("");
    let file = bench.path("b/anomaly_score_fan_section_00_test.csv");
    let text = fs::read_to_string(&file).unwrap();
    let less: String = text.lines().skip(1).map(|line| format!("{line}\n")).collect();
    fs::write(&file, &less).unwrap();
    let lost = "section_00_source_test_normal_0000_a.wav";
    fuse(&bench, &[]).refused(4, &["b lacks 1 test clips of fan section 00", lost, "missing = \"common\""]);
    fs::remove_file(bench.path("b/anomaly_score_valve_section_01_test.csv")).unwrap();
    fuse(&bench, &["--tune-on", "machine=valve", "--apply-to", "machine=valve"])
        .refused(4, &["b has no test clips of machine valve, section 01"]);
    let document = fuse(&bench, &["--set", "missing=common"]).fine().json();
    let notes = document["notes"].to_string();
    assert!(
        notes.contains("1 test clips that not all systems have") && notes.contains("valve section 01"),
        "{notes}"
    );
    assert_eq!(document["applied_to"]["clips"], 3 * 80 - 1);

    fs::write(&file, text.replacen(',', ",nan\n#", 1).replacen('#', "x.wav,", 1)).unwrap();
    fuse(&bench, &[]).refused(4, &["anomaly_score_fan_section_00_test.csv", "row 1", "diverged"]);
    fuse(&bench, &["--tune-on", "machine=pump"]).refused(4, &["diverged"]);
    fs::write(&file, &text).unwrap();
    fuse(&bench, &["--tune-on", "machine=pump"]).refused(3, &["tune.machines names `pump`", "fan, valve"]);
    fuse(&bench, &["--tune-on", "pump"]).refused(2, &["machine=fan,valve"]);
    fuse(&bench, &["--set", "tune.evaluation=3"]).refused(3, &["tune.evaluations"]);
    bench.run(&["fuse", "gone.toml"]).refused(3, &["gone.toml"]);
    fs::remove_dir_all(bench.path("b")).unwrap();
    fuse(&bench, &[]).refused(4, &["b"]);
}

#[test]
fn a_system_turned_round_and_one_that_says_nothing_are_noticed() {
    let bench = bench("");
    for section in SECTIONS {
        for machine in ["fan", "valve"] {
            let file = bench.path(&format!("b/anomaly_score_{machine}_section_{section}_test.csv"));
            let text = fs::read_to_string(&file).unwrap();
            let turn = |line: &str| line.replacen(',', ",-", 1) + "\n";
            fs::write(&file, text.lines().map(turn).collect::<String>()).unwrap();
        }
    }
    let found = fuse(&bench, &[]).fine();
    assert!(found.err.contains("`b`") && found.err.contains("higher_is_anomalous = false"), "{}", found.err);
    let config = fs::read_to_string(bench.path("fusion.toml")).unwrap();
    let turned = config.replace("scores = \"b\"", "scores = \"b\"\nhigher_is_anomalous = false");
    fs::write(bench.path("fusion.toml"), turned).unwrap();
    let again = fuse(&bench, &[]).fine();
    assert!(!again.err.contains("higher_is_anomalous"), "{}", again.err);
    assert!(number(&again.json()["tuned_on"]["score"]) > number(&found.json()["tuned_on"]["score"]));

    for section in SECTIONS {
        for machine in ["fan", "valve"] {
            let file = bench.path(&format!("b/anomaly_score_{machine}_section_{section}_test.csv"));
            let text = fs::read_to_string(&file).unwrap();
            let constant = |line: &str| format!("{},7\n", line.split(',').next().unwrap());
            fs::write(&file, text.lines().map(constant).collect::<String>()).unwrap();
        }
    }
    let document = fuse(&bench, &[]).fine().json();
    assert!(
        document["notes"].as_array().unwrap().iter().any(|note| note.to_string().contains("`b`")),
        "{document}"
    );
    assert!(document["complementarity"]["pairs"][0]["rho"].is_null(), "{document}");
}
