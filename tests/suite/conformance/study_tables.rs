//! The study's tables that ship in the program against those of `conformance/stats`, number by number.

use std::fs;

use asdbench::study::{Detection, ResultRow, Verdict, study_rows, study_tables};
use serde_json::Value;

use super::folder;

/// What the file calls a family of ours.
const FAMILIES: [(&str, &str); 9] = [
    ("autoencoder", "AutoEncoder"),
    ("ce", "CE"),
    ("arcface", "ArcFace"),
    ("separation", "Separation"),
    ("simclr", "SimCLR_uniformity"),
    ("simsiam", "SimSiam_uniformity"),
    ("simclr-alignment", "SimCLR_alignment"),
    ("simsiam-alignment", "SimSiam_alignment"),
    ("pretrained", "Pretrained"),
];

fn key(which: Detection) -> &'static str {
    match which {
        Detection::InDomainLp => "ilp",
        Detection::OutDomainLp => "olp",
        Detection::Mahalanobis => "md",
    }
}

fn file() -> Option<Value> {
    let path = folder("stats")?.join("paper_tables_spearman.json");
    let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    Some(serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display())))
}

fn numbers(value: &Value) -> Vec<Option<f64>> {
    value.as_array().unwrap_or_else(|| panic!("{value} is no list")).iter().map(Value::as_f64).collect()
}

#[test]
fn the_printed_tables_are_the_same_to_the_last_digit() {
    let Some(file) = file() else {
        return;
    };
    let tables = file["tables"].as_object().expect("tables by family");
    assert_eq!(tables.len(), FAMILIES.len());
    let rows = study_rows().unwrap();
    let mut compared = 0;
    for (family, name) in FAMILIES {
        let own: Vec<&ResultRow> = rows.iter().filter(|row| row.family == family).collect();
        let column =
            |value: &dyn Fn(&ResultRow) -> Option<f64>| own.iter().map(|row| value(row)).collect::<Vec<_>>();
        assert_eq!(column(&|row| row.proxy), numbers(&tables[name]["proxy"]), "{name} proxy");
        for which in Detection::ALL {
            assert_eq!(
                column(&|row| row.detection(which)),
                numbers(&tables[name][key(which)]),
                "{name} {which:?}"
            );
        }
        compared += own.len();
    }
    assert_eq!(compared, rows.len());
}

#[test]
fn table_vii_is_recomputed_as_by_the_reference() {
    let Some(file) = file() else {
        return;
    };
    let tables = study_tables().unwrap();
    let printed = tables.families.iter().map(|one| &one.correlation);
    let mut cells = 0;
    for correlation in printed.chain(&tables.not_printed) {
        let (_, name) =
            FAMILIES.iter().find(|(family, _)| *family == correlation.family).expect("a known family");
        for which in Detection::ALL {
            let expected = &file["result"][name][key(which)];
            let found = correlation.against(which);
            let rho = expected["rho"].as_f64().expect("rho");
            // The README's tolerance.
            assert!((found.rho.unwrap() - rho).abs() < 1e-12, "{name} {which:?}: {found:?} against {rho}");
            // Both are one rounding of the same ratio of counts.
            assert_eq!(found.p, expected["p_two_sided"].as_f64(), "{name} {which:?}");
            cells += 1;
        }
    }
    assert_eq!(cells, 3 * FAMILIES.len());
}

/// The design's own list of what does not reproduce.
#[test]
fn what_does_not_reproduce_is_what_was_found_by_hand() {
    let tables = study_tables().unwrap();
    let mut not = Vec::new();
    for one in &tables.families {
        for which in Detection::ALL {
            if one.table_vii.against(which).verdict != Verdict::Reproduced {
                not.push((one.correlation.family.as_str(), key(which)));
            }
        }
    }
    let all = |family| [(family, "ilp"), (family, "olp"), (family, "md")];
    assert_eq!(not, [&[("autoencoder", "olp")][..], &all("ce"), &all("arcface")].concat());
}
