//! `asdbench score`.

use std::process::Command;

use asdbench::official::Measure;
use serde_json::Value;

use super::{evaluation, fan};

/// Runs `asdbench score`.
fn program(arguments: &[&str]) -> (String, String, Option<i32>) {
    let output = Command::new(env!("CARGO_BIN_EXE_asdbench")).arg("score").args(arguments).output();
    let output = output.expect("the program runs");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8 output");
    (text(output.stdout), text(output.stderr), output.status.code())
}

#[test]
fn the_program_prints_one_document_in_full_precision() {
    let folder = fan();
    let path = folder.path().to_str().expect("UTF-8");
    let (out, err, code) = program(&[path, "--format", "json"]);
    assert_eq!(code, Some(0), "{err}");
    let json: Value = serde_json::from_str(&out).unwrap_or_else(|e| panic!("{e}: {out}"));
    let report = folder.report();
    let metrics = &report.machines[0].sections[0].metrics;
    assert_eq!(json["schema"], 1);
    assert_eq!(json["year"], 2023);
    assert_eq!(
        json["machines"]["fan"]["sections"]["00"]["auc_source"].as_f64(),
        metrics.get(Measure::AucSource)
    );
    assert_eq!(json["machines"]["fan"]["harmonic_mean"]["pauc"].as_f64(), metrics.get(Measure::Pauc));
    assert_eq!(json["arithmetic_mean"]["f1_target"].as_f64(), metrics.get(Measure::F1Target));
    assert_eq!(json["official_score"].as_f64(), report.official_score);
    assert!(err.contains("2023"), "{err}");

    let (out, err, code) = program(&[path, path, "--year", "2022", "--format", "json"]);
    assert_eq!(code, Some(0), "{err}");
    let json: Value = serde_json::from_str(&out).unwrap_or_else(|e| panic!("{e}: {out}"));
    let systems = json["systems"].as_array().expect("a list");
    assert_eq!(systems.len(), 2);
    assert_eq!(systems[1]["path"], path);
    assert_eq!(systems[1]["official_score"].as_f64(), report.official_score);
}

#[test]
fn the_program_prints_tables() {
    let folder = fan();
    let path = folder.path().to_str().expect("UTF-8");
    let (out, err, code) = program(&[path]);
    assert_eq!(code, Some(0), "{err}");
    for words in ["fan", "AUC (source)", "0.8750", "harmonic mean", "official score"] {
        assert!(out.contains(words), "{words}: {out}");
    }
    let (out, ..) = program(&[path, "--format", "csv"]);
    let mut reader = csv::Reader::from_reader(out.as_bytes());
    let at = reader.headers().expect("a header").iter().position(|name| name == "official score");
    let last = reader.records().last().expect("rows").expect("a row");
    let score = last.get(at.expect("a column")).expect("a cell").parse().ok();
    assert_eq!(score, folder.report().official_score);
}

#[test]
fn the_program_refuses_with_the_data_code() {
    let (submission, _) = evaluation();
    let (out, err, code) = program(&[submission.path().to_str().expect("UTF-8")]);
    assert_eq!((code, out.as_str()), (Some(4), ""), "{err}");
    assert!(err.contains("--truth") && err.contains("row 1") && !err.contains("panicked"), "{err}");
    let (_, err, code) = program(&["/no/such/folder", "--year", "2019"]);
    assert_eq!(code, Some(2), "{err}");
}
