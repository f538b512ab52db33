//! What the configured detectors say of each configuration, beside the Mahalanobis distance that every run is judged by.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::scan::Judged;
use crate::study::{Evaluation, NOTHING_DRAWN, OfficialMetrics};

/// Machine type and seed.
type Cell<'a> = (&'a str, u64);

/// One detector on one configuration: means over the seeds of each machine type, then over machine types.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DetectorRow {
    /// Proxy-task family.
    pub family: String,
    /// `<slug>-<hash8>`.
    pub config: String,
    /// The detector's name; `mahalanobis` is that of every run.
    pub detector: String,
    /// What it computes; `several` where runs differ in it.
    pub kind: String,
    /// From which clips, likewise.
    pub banks: String,
    /// The numbers, as fractions; none where a machine type, a seed or a value of the family is missing.
    #[serde(flatten)]
    pub means: DetectorMeans,
}

/// Means of what a detector reaches.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct DetectorMeans {
    /// AUC, a mean over sections.
    pub auc: Option<f64>,
    /// AUC of the source domain.
    pub auc_source: Option<f64>,
    /// AUC of the target domain.
    pub auc_target: Option<f64>,
    /// Partial AUC.
    pub pauc: Option<f64>,
    /// Ω.
    pub omega: Option<f64>,
}

/// What one run says of one detector.
struct Said<'a> {
    kind: &'a str,
    banks: &'static str,
    auc: Option<f64>,
    official: &'a OfficialMetrics,
}

const DISTANCE: &str = "mahalanobis";

/// Of the families that have a run with a detector, in the order of their first runs; none where there is no such run.
pub(super) fn rows(judged: &[Judged]) -> Vec<DetectorRow> {
    rows_of(&judged.iter().map(|run| &run.evaluation).collect::<Vec<_>>())
}

fn rows_of(runs: &[&Evaluation]) -> Vec<DetectorRow> {
    let mut rows = Vec::new();
    for family in in_order(runs.iter().map(|run| run.family.as_str())) {
        let own: Vec<&Evaluation> = runs.iter().copied().filter(|run| run.family == family).collect();
        let names: BTreeSet<&str> =
            own.iter().flat_map(|run| run.detectors.keys().map(String::as_str)).collect();
        if names.is_empty() {
            continue;
        }
        let cells: BTreeSet<Cell<'_>> = own.iter().map(|run| cell(run)).collect();
        for config in in_order(own.iter().map(|run| run.config.as_str())) {
            let of_config: BTreeMap<Cell<'_>, &Evaluation> =
                own.iter().rev().filter(|run| run.config == config).map(|run| (cell(run), *run)).collect();
            for name in [DISTANCE].into_iter().chain(names.iter().copied()) {
                rows.extend(row(name, &of_config, &cells));
            }
        }
    }
    rows
}

/// Where nothing is drawn, one seed stands for all.
fn cell(run: &Evaluation) -> Cell<'_> {
    let drawn = !NOTHING_DRAWN.contains(&run.family.as_str());
    (&run.machine, if drawn { run.seed } else { 0 })
}

/// None where no run of the configuration has the detector.
fn row(
    name: &str,
    runs: &BTreeMap<Cell<'_>, &Evaluation>,
    cells: &BTreeSet<Cell<'_>>,
) -> Option<DetectorRow> {
    let (_, first) = runs.first_key_value()?;
    let said: BTreeMap<Cell<'_>, Said<'_>> =
        runs.iter().filter_map(|(cell, run)| Some((*cell, said(name, run)?))).collect();
    if said.is_empty() {
        return None;
    }
    let mean = |of: fn(&Said<'_>) -> Option<f64>| mean(cells, |cell| said.get(cell).and_then(of));
    Some(DetectorRow {
        family: first.family.clone(),
        config: first.config.clone(),
        detector: name.to_owned(),
        kind: same(said.values().map(|said| said.kind)),
        banks: same(said.values().map(|said| said.banks)),
        means: DetectorMeans {
            auc: mean(|said| said.auc),
            auc_source: mean(|said| said.official.auc_source),
            auc_target: mean(|said| said.official.auc_target),
            pauc: mean(|said| said.official.pauc),
            omega: mean(|said| said.official.omega),
        },
    })
}

fn said<'a>(name: &str, run: &'a Evaluation) -> Option<Said<'a>> {
    if name == DISTANCE {
        let (auc, official) = (run.mahalanobis.aucs.auc, &run.official);
        return Some(Said { kind: DISTANCE, banks: "global", auc, official });
    }
    let of = run.detectors.get(name)?;
    Some(Said { kind: &of.kind, banks: of.banks.name(), auc: of.aucs.auc, official: &of.official })
}

/// Over the seeds of each machine type, then over machine types; none where a value is missing.
fn mean(cells: &BTreeSet<Cell<'_>>, value: impl Fn(&Cell<'_>) -> Option<f64>) -> Option<f64> {
    let mut machines: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for cell in cells {
        machines.entry(cell.0).or_default().push(value(cell)?);
    }
    let of = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let means: Vec<f64> = machines.values().map(|values| of(values)).collect();
    (!means.is_empty()).then(|| of(&means))
}

fn same<'a>(words: impl Iterator<Item = &'a str>) -> String {
    match in_order(words).as_slice() {
        [one] => (*one).to_owned(),
        _ => "several".to_owned(),
    }
}

fn in_order<'a>(words: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut seen = BTreeSet::new();
    words.filter(|word| seen.insert(*word)).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn run(config: &str, machine: &str, seed: u64, near: Option<f64>) -> Evaluation {
        let aucs = |auc: f64| json!({"auc": auc, "sections": {"00": auc}});
        let official = |omega: f64| json!({"year": 2022, "auc_source": omega, "auc_target": omega, "pauc": omega, "omega": omega});
        let mut evaluation = json!({
            "schema": 1, "path": "", "family": "autoencoder", "config": config, "machine": machine, "seed": seed,
            "proxy": {"name": "mae", "value": 0.1, "higher_is_better": false},
            "linear_probe": {"in_domain": aucs(0.75), "out_domain": aucs(0.5)},
            "mahalanobis": {"auc": 0.5, "sections": {"00": 0.5}, "estimator": "oas", "condition": 1.0, "rank": 6},
            "official": official(0.5),
            "clips": {"train": 4, "test_normal": 2, "test_anomalous": 2, "test_unlabelled": 0, "skipped": 0},
            "settings": crate::config::EvalConfig::default(),
            "model": "m",
            "test_fingerprint": "t",
        });
        if let Some(near) = near {
            evaluation["detectors"] = json!({"near": {"kind": "knn", "banks": "separate", "auc": near,
                "sections": {"00": near}, "official": official(near)}});
        }
        serde_json::from_value(evaluation).unwrap()
    }

    #[test]
    fn without_a_detector_there_are_no_rows() {
        assert_eq!(rows_of(&[&run("a", "fan", 0, None)]), []);
    }

    #[test]
    fn machine_types_count_the_same_whatever_their_seeds() {
        let runs =
            [run("a", "fan", 0, Some(0.6)), run("a", "fan", 1, Some(0.8)), run("a", "valve", 0, Some(0.9))];
        let found = rows_of(&runs.iter().collect::<Vec<_>>());
        let names: Vec<&str> = found.iter().map(|row| row.detector.as_str()).collect();
        assert_eq!(names, ["mahalanobis", "near"]);
        let near = &found[1];
        assert_eq!((near.kind.as_str(), near.banks.as_str()), ("knn", "separate"));
        // (0.7 + 0.9) / 2, to the rounding of sums.
        assert!((near.means.omega.unwrap() - 0.8).abs() < 1e-12, "{near:?}");
        assert_eq!(found[0].means.auc, Some(0.5));
    }

    #[test]
    fn a_mean_lacks_no_machine_type_of_its_family() {
        let runs = [
            run("a", "fan", 0, Some(0.6)),
            run("a", "valve", 0, None),
            run("b", "fan", 0, Some(0.7)),
            run("b", "valve", 0, Some(0.7)),
        ];
        let found = rows_of(&runs.iter().collect::<Vec<_>>());
        let of = |config, name| {
            let row = found.iter().find(|row| row.config == config && row.detector == name).unwrap();
            row.means.omega
        };
        assert_eq!((of("a", "near"), of("b", "near")), (None, Some(0.7)));
        assert_eq!(of("a", "mahalanobis"), Some(0.5));
    }
}
