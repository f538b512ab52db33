//! `conformance/dcase2022-ae`: a third party's submission, judged as the official evaluator judged it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use asdbench::official::{self, Measure, Metrics, OfficialReport};

use super::{folder, report};

/// One value of a `result.csv`.
struct Value {
    /// Machine type, or nothing in the overall tables.
    machine: String,
    /// Section, or the name of a mean.
    row: String,
    column: String,
    value: f64,
}

/// The tables of a `result.csv`: a machine's name on a line of its own, a header, rows; the last table has no name.
fn values(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
    let (mut machine, mut columns, mut values) = (String::new(), Vec::new(), Vec::new());
    for record in reader.records() {
        let fields: Vec<String> = record.expect("a record").iter().map(str::to_owned).collect();
        match fields.as_slice() {
            [name] => machine.clone_from(name),
            [first, names @ ..] if names.iter().all(|name| name.parse::<f64>().is_err()) => {
                columns = names.to_vec();
                if first.is_empty() {
                    machine.clear();
                }
            }
            [row, numbers @ ..] => {
                assert_eq!(numbers.len(), columns.len(), "{row}");
                for (column, number) in columns.iter().zip(numbers) {
                    let value = number.parse().unwrap_or_else(|e| panic!("{number}: {e}"));
                    let (machine, row, column) = (machine.clone(), row.clone(), column.clone());
                    values.push(Value { machine, row, column, value });
                }
            }
            [] => {}
        }
    }
    values
}

fn measure(column: &str) -> Measure {
    match column {
        "AUC (source)" => Measure::AucSource,
        "AUC (target)" => Measure::AucTarget,
        "pAUC" => Measure::Pauc,
        "precision (source)" => Measure::PrecisionSource,
        "precision (target)" => Measure::PrecisionTarget,
        "recall (source)" => Measure::RecallSource,
        "recall (target)" => Measure::RecallTarget,
        "F1 score (source)" => Measure::F1Source,
        "F1 score (target)" => Measure::F1Target,
        other => panic!("an unknown column: {other}"),
    }
}

fn metrics<'a>(report: &'a OfficialReport, machine: &str, row: &str) -> &'a Metrics {
    if machine.is_empty() {
        return match row {
            _ if row.starts_with("arithmetic mean over all") => &report.arithmetic_mean,
            _ if row.starts_with("harmonic mean over all") => &report.harmonic_mean,
            other => panic!("an unknown row: {other}"),
        };
    }
    let of = report.machines.iter().find(|of| of.machine == machine);
    let of = of.unwrap_or_else(|| panic!("machine {machine} is missing"));
    match row {
        "arithmetic mean" => &of.arithmetic_mean,
        "harmonic mean" => &of.harmonic_mean,
        section => {
            let found = of.sections.iter().find(|found| found.section == section);
            &found.unwrap_or_else(|| panic!("{machine}: section {section} is missing")).metrics
        }
    }
}

#[test]
fn a_submission_is_judged_as_by_the_official_evaluator() {
    let Some(folder) = folder("dcase2022-ae") else {
        return;
    };
    let submission = official::read(&folder, None, None).unwrap_or_else(|e| panic!("{e}"));
    let judged = official::evaluate(&submission);
    let expected = values(&folder.join("result.csv"));

    // Every table of the file is compared, and the file has every machine and section of the folder.
    let sections: usize = judged.machines.iter().map(|machine| machine.sections.len()).sum();
    let rows: BTreeSet<(&str, &str)> =
        expected.iter().map(|of| (of.machine.as_str(), of.row.as_str())).collect();
    assert_eq!(rows.len(), sections + 2 * judged.machines.len() + 2);
    assert_eq!(expected.len(), rows.len() * Measure::of(judged.year).len());

    let (mut largest, mut largest_relative) = (0.0_f64, 0.0_f64);
    for Value { machine, row, column, value } in &expected {
        let found = metrics(&judged, machine, row).get(measure(column));
        let found = found.unwrap_or_else(|| panic!("{machine} {row} {column} is missing"));
        let error = (found - value).abs();
        assert!(error <= 1e-12, "{machine} {row} {column}: {found} against {value}: {error:e}");
        largest = largest.max(error);
        // The absolute tolerance says nothing of the harmonic means of zeros, which are a few ε.
        if *value != 0.0 {
            assert!(error <= 1e-14 * value, "{machine} {row} {column}: {found} against {value}");
            largest_relative = largest_relative.max(error / value);
        }
    }
    report("official metrics", largest, 1e-12);
    report("official metrics (relative)", largest_relative, 1e-14);
    println!("{} values compared", expected.len());
}

#[test]
fn the_official_score_is_the_harmonic_mean_of_its_parts() {
    let Some(folder) = folder("dcase2022-ae") else {
        return;
    };
    let submission = official::read(&folder, None, None).unwrap_or_else(|e| panic!("{e}"));
    let judged = official::evaluate(&submission);
    let score = judged.official_score.expect("an official score");
    let parts: Vec<f64> = values(&folder.join("result.csv"))
        .iter()
        .filter(|of| of.row.parse::<u32>().is_ok() && of.column.contains("AUC"))
        .map(|of| of.value)
        .collect();
    let expected = parts.len() as f64 / parts.iter().map(|part| 1.0 / part).sum::<f64>();
    // The parts agree to 1e-14, and their mean does.
    assert!((score - expected).abs() <= 1e-14, "{score} against {expected}");
}
