//! How the Mahalanobis distances of normal and anomalous clips lie, machine type by machine type.

use serde::Deserialize;

use super::{AucNote, Drawn, FigureNote, Runs, paths};
use crate::dataset::Domain;
use crate::report::figure::{self, HistogramPanel, Histograms, PrintedAuc, Score};
use crate::study::overview::Family;
use crate::study::overview::scan::Judged;

/// What is read of a row of `scores.csv`.
#[derive(Deserialize)]
struct Row {
    domain: String,
    label: String,
    mahalanobis: Option<f64>,
}

/// One figure for each shown configuration that has scores.
pub(super) fn draw(family: &Family, runs: &Runs<'_>) -> Vec<Drawn> {
    let Some(shown) = &family.shown else { return Vec::new() };
    let kinds = ["best", "median"];
    let of = |((config, what), kind): ((&str, &str), &str)| one(family, runs, config, what, kind);
    shown.configurations().zip(kinds).filter_map(of).collect()
}

fn one(family: &Family, runs: &Runs<'_>, config: &str, what: &str, kind: &str) -> Option<Drawn> {
    let (mut panels, mut drawn, mut aucs) = (Vec::new(), Vec::new(), Vec::new());
    for run in runs.lowest_seeds(config) {
        let scores = scores(run);
        if scores.is_empty() {
            continue;
        }
        let (machine, auc) = (&run.evaluation.machine, run.evaluation.mahalanobis.aucs.auc);
        let printed = PrintedAuc { name: "MD AUC".to_owned(), auc };
        panels.push(HistogramPanel { title: machine.clone(), aucs: vec![printed], scores });
        aucs.push(AucNote { name: format!("MD AUC on {machine}"), auc });
        drawn.push(run);
    }
    let title = format!("{}: anomaly scores of {config}", family.label);
    let histograms =
        Histograms { title: title.clone(), x_label: "Squared Mahalanobis distance".to_owned(), panels };
    let figure = (!drawn.is_empty()).then(|| figure::histograms(&histograms))?;
    let words: Vec<String> = aucs.iter().map(AucNote::in_words).collect();
    let note = FigureNote {
        name: format!("scores-{}-{kind}", family.slug),
        part: family.part(),
        title,
        caption: format!(
            "The configuration with {what}: how far normal and anomalous test clips lie from the normal training clips. The \
             less the two overlap, the better they can be told apart. Source domain upwards, target domain downwards."
        ),
        alt: format!("Histograms of anomaly scores of normal and anomalous clips: {}.", words.join(", ")),
        runs: paths(&drawn),
        aucs,
    };
    Some(Drawn { note, figure })
}

/// The scores of the labelled clips; none where the file cannot be read or is not what was judged.
fn scores(run: &Judged) -> Vec<Score> {
    let bytes = match run.folder.read_sound("scores.csv", &run.evaluation.artefacts) {
        Ok(bytes) => bytes,
        Err(error) => {
            tracing::warn!("no histogram: {error}");
            return Vec::new();
        }
    };
    let mut reader = csv::Reader::from_reader(bytes.as_slice());
    let rows: Result<Vec<Row>, csv::Error> = reader.deserialize().collect();
    let score = |row: Row| {
        let anomalous = match row.label.as_str() {
            "anomaly" => true,
            "normal" => false,
            _ => return None,
        };
        let domain = [Domain::Source, Domain::Target].into_iter().find(|domain| domain.token() == row.domain);
        Some(Score { score: row.mahalanobis?, anomalous, domain })
    };
    rows.unwrap_or_default().into_iter().filter_map(score).collect()
}
