//! Pictures of a fusion: how the search went, and what each system is worth on each machine type.

use super::document::{Document, TableOne};
use crate::fusion::Evaluation;
use crate::report::figure::{Curve, Curves, DotRow, Dots, Figure, Scale, curves, dots};

/// Pictures with the names of their files.
pub(super) fn draw(document: &Document, history: &[Evaluation]) -> Vec<(&'static str, Figure)> {
    let mut drawn = vec![("history", search(document, history))];
    for table in &document.tables {
        let name = if table.clips == "applied" { "machines" } else { "machines_tuned" };
        drawn.push((name, machines(document, table)));
    }
    drawn
}

/// What a reader must know of every picture.
fn mark(document: &Document) -> &'static str {
    if document.normalise.transductive { " (transductive)" } else { "" }
}

/// The best score so far by the number of evaluations, beside simpler choices; where each machine type has weights of its own,
/// a curve for each.
fn search(document: &Document, history: &[Evaluation]) -> Figure {
    let point = |step: &Evaluation| (step.number as f64, 100.0 * step.best);
    let of = |machine: Option<&str>| -> Vec<(f64, f64)> {
        history.iter().filter(|step| step.machine.as_deref() == machine).map(point).collect()
    };
    let shared = of(None);
    let last = shared.last().map_or(1.0, |point| point.0);
    let mut lines = Vec::new();
    if !shared.is_empty() {
        let group = format!("best so far ({})", document.tuned_on.method);
        lines.push(Curve { group, name: "all machines".to_owned(), points: shared });
    }
    if document.weights_per_machine.is_none() {
        for baseline in &document.baselines {
            let points = [1.0, last].map(|number| (number, 100.0 * baseline.score)).to_vec();
            let name = baseline.note.clone().unwrap_or_default();
            lines.push(Curve { group: baseline.name.to_owned(), name, points });
        }
    }
    for machine in document.weights_per_machine.iter().flatten().map(|(machine, _)| machine) {
        let points = of(Some(machine));
        lines.push(Curve { group: machine.clone(), name: "its own weights".to_owned(), points });
    }
    curves(&Curves {
        title: format!("Search for weights{}", mark(document)),
        x_label: "Evaluations".to_owned(),
        y_label: format!("{} on the tuning clips (%)", document.tuned_on.objective),
        y_scale: Scale::Linear,
        lines,
    })
}

/// Table 1 as dots.
fn machines(document: &Document, table: &TableOne) -> Figure {
    let percent =
        |values: &[Option<f64>]| values.iter().map(|value| value.map(|value| 100.0 * value)).collect();
    let row = |name: &str, values: &[Option<f64>]| DotRow { name: name.to_owned(), values: percent(values) };
    let mut rows: Vec<DotRow> = table.machines.iter().map(|of| row(&of.machine, &of.values)).collect();
    rows.push(row("Overall", &table.overall));
    let clips = if table.clips == "applied" { "applied to" } else { "tuned on" };
    let optimistic = table.clips != "applied" || document.applied_to.overlap > 0;
    let note = match (optimistic, document.honest.estimate.score, document.honest.over) {
        (true, Some(score), Some(over)) => format!(
            "The weights were tuned on these clips: the fusion looks better than it is. Left out in turn, {over} come to {:.2} %.",
            100.0 * score
        ),
        (true, ..) => "The weights were tuned on these clips: the fusion looks better than it is.".to_owned(),
        (false, ..) => String::new(),
    };
    dots(&Dots {
        title: format!("Systems and their fusion on the clips {clips}{}", mark(document)),
        x_label: "Harmonic mean of AUCs and partial AUCs (%)".to_owned(),
        series: table.columns.clone(),
        rows,
        note,
    })
}
