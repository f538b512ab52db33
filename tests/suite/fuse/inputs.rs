//! Systems that need other statistics, do not fit together, are turned round or say nothing.

use std::fs;

use super::{SECTIONS, bench, fuse, hide_labels, number, with_training};

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
    with_training(&bench);
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
    // A folder of training scores is no place for results: writing would take them away.
    fuse(&bench, &["-o", "a-train"]).refused(2, &["a-train", "a system's folder"]);
    // Sections without training scores of their own take those of the machine's others, and that is said.
    fs::remove_file(bench.path("a-train/anomaly_score_fan_section_01_train.csv")).unwrap();
    fs::remove_file(bench.path("b-train/anomaly_score_fan_section_01_train.csv")).unwrap();
    let document = fuse(&bench, &[]).fine().json();
    let notes = document["notes"].to_string();
    assert!(notes.contains("no training scores of fan section 01"), "{notes}");
}

#[test]
fn what_the_truth_lists_and_nobody_scored_is_named() {
    let bench = bench("[official]\ntruth = \"gt\"\n");
    hide_labels(&bench, false);
    for system in ["a", "b"] {
        let file = bench.path(&format!("{system}/anomaly_score_valve_section_00_test.csv"));
        let text = fs::read_to_string(&file).unwrap();
        fs::write(&file, text.split_once('\n').unwrap().1).unwrap();
    }
    let apart = ["--tune-on", "machine=fan", "--apply-to", "machine=valve"];
    fuse(&bench, &apart)
        .refused(4, &["1 clip(s) of valve section 00 (section_00_0000", "missing = \"common\""]);
    let common = ["--set", "missing=common"];
    let document = fuse(&bench, &[&apart[..], &common].concat()).fine().json();
    assert!(document["notes"].to_string().contains("section_00_0000"), "{}", document["notes"]);
    assert_eq!(document["applied_to"]["judged_clips"], 79);
    for system in ["a", "b"] {
        fs::remove_file(bench.path(&format!("{system}/anomaly_score_valve_section_00_test.csv"))).unwrap();
    }
    fuse(&bench, &apart).refused(4, &["the ground truth lists", "valve section 00"]);
    fuse(&bench, &["--tune-on", "machine=fan", "--apply-to", "section=1"]).fine();

    // A clip of unknown domain would leave both domains' AUCs.
    let table = bench.path("gt/ground_truth_domain/ground_truth_valve_section_01_test.csv");
    let text = fs::read_to_string(&table).unwrap();
    fs::write(&table, text.split_once('\n').unwrap().1).unwrap();
    fuse(&bench, &["--tune-on", "machine=valve", "--apply-to", "section=1", "--set", "missing=common"])
        .refused(4, &["the domain of `section_01_0000.wav` is unknown"]);
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
