//! Metrics of the years, counted by hand.

use asdbench::official::{self, Measure, Year, evaluate};

use super::{Folder, ROWS, SCORES, decisions, fan, scores};

#[track_caller]
fn assert_close(found: Option<f64>, expected: f64) {
    let found = found.expect("a value");
    // A handful of roundings.
    assert!((found - expected).abs() < 1e-14, "{found} against {expected}");
}

#[test]
fn metrics_counted_by_hand() {
    let report = fan().report();
    let metrics = &report.machines[0].sections[0].metrics;
    assert_close(metrics.get(Measure::AucSource), 7.0 / 8.0);
    assert_close(metrics.get(Measure::AucTarget), 5.0 / 8.0);
    // Up to a false-positive rate of 0.1 the ROC is flat at the one anomaly above all normals (7): A = 0.1 / 4.
    assert_close(metrics.get(Measure::Pauc), 0.5 * (1.0 + (0.025 - 0.005) / (0.1 - 0.005)));
    assert_close(metrics.get(Measure::PrecisionSource), 1.0 / 2.0);
    assert_close(metrics.get(Measure::RecallSource), 1.0 / 2.0);
    assert_close(metrics.get(Measure::PrecisionTarget), 2.0 / 3.0);
    assert_close(metrics.get(Measure::RecallTarget), 1.0);
    assert_close(metrics.get(Measure::F1Target), 0.8);
    assert_eq!(metrics.why(), None);
    let pauc = metrics.get(Measure::Pauc).expect("a pAUC");
    assert_close(report.official_score, 3.0 / (8.0 / 7.0 + 8.0 / 5.0 + 1.0 / pauc));
}

#[test]
fn domains_of_2021_are_judged_apart() {
    let of = |domain: &str| {
        ROWS.iter()
            .filter(|(file, ..)| file.contains(domain))
            .map(|(file, score, _)| format!("{},{score}\n", file.replace("_a_1", "").replace("_a_2", "")))
            .collect::<String>()
    };
    let folder = Folder::new(&[
        ("anomaly_score_fan_section_00_source_test.csv", &of("source")),
        ("anomaly_score_fan_section_00_target_test.csv", &of("target")),
    ]);
    let report = folder.report();
    assert_eq!((report.year, report.detected), (Year::Y2021, true));
    let metrics = &report.machines[0].sections[0].metrics;
    // Normals 1, 3 against anomalies 2, 5; normals 6, 0 against anomalies 4, 7.
    assert_close(metrics.get(Measure::AucSource), 3.0 / 4.0);
    assert_close(metrics.get(Measure::AucTarget), 3.0 / 4.0);
    let half = 0.5 * (1.0 + (0.05 - 0.005) / (0.1 - 0.005));
    assert_close(metrics.get(Measure::PaucSource), half);
    assert_close(metrics.get(Measure::PaucTarget), half);
    assert_eq!(metrics.get(Measure::Pauc), None);
    assert_close(report.arithmetic_mean.get(Measure::Auc), 0.75);
    assert_close(report.official_score, 4.0 / (2.0 / 0.75 + 2.0 / half));
    assert!(metrics.why().expect("no decisions").contains("no decision file"));

    // The same names and scores in one file, under the rules of 2022.
    let as_2022 = official::read(folder.path(), None, Some(Year::Y2022)).expect("the same files");
    let as_2022 = evaluate(&as_2022);
    assert_close(as_2022.machines[0].sections[0].metrics.get(Measure::AucSource), 7.0 / 8.0);
}

#[test]
fn machine_ids_of_2020_have_plain_metrics_and_no_official_score() {
    let id = |anomaly: f64| {
        format!(
            "normal_id_01_00000000.wav,1\nnormal_id_01_00000001.wav,3\nanomaly_id_01_00000000.wav,{anomaly}\n"
        )
    };
    let folder = Folder::new(&[
        ("anomaly_score_ToyCar_id_01.csv", &id(2.0)),
        ("anomaly_score_ToyCar_id_02.csv", &id(9.0).replace("id_01", "id_02")),
    ]);
    let report = folder.report();
    assert_eq!(report.year, Year::Y2020);
    let machine = &report.machines[0];
    assert_close(machine.sections[0].metrics.get(Measure::Auc), 0.5);
    assert_close(machine.sections[1].metrics.get(Measure::Auc), 1.0);
    assert_close(machine.arithmetic_mean.get(Measure::Auc), 0.75);
    assert_eq!(report.official_score, None);
    assert!(report.why.expect("a reason").contains("2020"));
}

#[test]
fn the_years_of_the_names() {
    let baseline = |seed: &str| format!("anomaly_score_DCASE2024T2fan_section_00_test_seed{seed}_id(0_).csv");
    let folder = Folder::new(&[(&baseline("13711"), &scores())]);
    folder.write(&baseline("13711").replace("anomaly_score", "decision_result"), &decisions());
    let report = folder.report();
    assert_eq!((report.year, report.machines[0].machine.as_str()), (Year::Y2024, "fan"));
    assert_eq!(report.machines[0].sections[0].metrics, fan().report().machines[0].sections[0].metrics);

    folder.write(&baseline("2"), &scores());
    folder.refused(&["seed13711_id(0_)", "seed2_id(0_)", "choose one"]);

    let folder = Folder::new(&[(SCORES, &scores())]);
    assert_eq!(folder.report().year, Year::Y2023);
    folder.write("anomaly_score_fan_section_01_test.csv", &scores().replace("section_00", "section_01"));
    assert_eq!(folder.report().year, Year::Y2022);
    folder.write("anomaly_score_fan_id_03.csv", "normal_id_03_0.wav,1\n");
    folder.refused(&["2020", "--year"]);
}

#[test]
fn a_value_that_cannot_be_had_is_null_with_its_reason() {
    let source: String =
        scores().lines().filter(|line| line.contains("source")).map(|l| format!("{l}\n")).collect();
    let folder = Folder::new(&[(SCORES, &source)]);
    let report = folder.report();
    let metrics = &report.machines[0].sections[0].metrics;
    assert_eq!(metrics.get(Measure::AucTarget), None);
    assert!(metrics.get(Measure::AucSource).is_some() && metrics.get(Measure::Pauc).is_some());
    assert_eq!(report.official_score, None);
    let json = serde_json::to_value(&report).expect("JSON");
    let section = &json["machines"]["fan"]["sections"]["00"];
    assert!(section["auc_target"].is_null() && section["precision_source"].is_null());
    let why = section["why"].as_str().expect("a reason");
    assert!(why.contains("auc_target") && why.contains("no clip of the target domain"), "{why}");
    assert!(why.contains("precision_source") && why.contains("no decision file"), "{why}");
    assert!(json["why"].as_str().is_some_and(|why| why.contains("fan section 00")), "{json}");

    let normal: String =
        scores().lines().filter(|line| line.contains("normal")).map(|l| format!("{l}\n")).collect();
    let why = Folder::new(&[(SCORES, &normal)]).report().machines[0].sections[0].metrics.why();
    assert!(why.expect("a reason").contains("no anomalous clip"));
}

#[test]
fn decisions_of_some_sections_leave_the_others_without() {
    let folder = fan();
    folder.write("anomaly_score_fan_section_01_test.csv", &scores().replace("section_00", "section_01"));
    let report = folder.report();
    let machine = &report.machines[0];
    assert!(machine.sections[0].metrics.get(Measure::F1Source).is_some());
    assert_eq!(machine.sections[1].metrics.get(Measure::F1Source), None);
    assert_eq!(machine.arithmetic_mean.get(Measure::F1Source), None);
    assert!(machine.arithmetic_mean.why().expect("a reason").contains("section 01: no decision file"));
    assert!(report.official_score.is_some());
}

#[test]
fn a_hundred_thousand_rows_are_quick() {
    let rows: String = (0..100_000)
        .map(|index| {
            let label = if index % 2 == 0 { "normal" } else { "anomaly" };
            let domain = if index % 3 == 0 { "source" } else { "target" };
            format!("section_00_{domain}_test_{label}_{index:06}.wav,{}\n", (index * 7919) % 100_003)
        })
        .collect();
    let folder = Folder::new(&[(SCORES, &rows)]);
    let start = std::time::Instant::now();
    let report = folder.report();
    assert_eq!(report.machines[0].sections[0].clips, 100_000);
    assert!(report.official_score.is_some());
    // An unoptimised build on a busy machine takes a second or two; anything quadratic takes minutes.
    assert!(start.elapsed().as_secs() < 30, "{:?}", start.elapsed());
}
