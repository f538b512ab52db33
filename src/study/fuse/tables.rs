//! The tables of a fusion: Table 1, the weights beside simpler choices, the complementarity.

use super::document::{Document, MachineRow, TableOne};
use crate::report::page::NamedTable;
use crate::report::{Align, Cell, Table};

/// Every table with the name of its files.
pub(super) fn tables(document: &Document) -> Vec<NamedTable> {
    let mut tables: Vec<NamedTable> = document.tables.iter().map(|of| table_one(of, document)).collect();
    tables.push(weights(document));
    tables.push(pairs(document));
    tables.push(without(document));
    tables
}

/// Harmonic mean of a column's rows; none where one is missing.
pub(super) fn overall(rows: &[MachineRow], column: usize) -> Option<f64> {
    let values: Option<Vec<f64>> = rows.iter().map(|row| row.values.get(column).copied().flatten()).collect();
    let values = values.filter(|values| !values.is_empty())?;
    // Floored as in the official score.
    let reciprocals: f64 = values.iter().map(|value| 1.0 / value.max(f64::EPSILON)).sum();
    Some(values.len() as f64 / reciprocals)
}

/// Rows machines, columns systems and the fusion, in percent, the best of each row in bold.
fn table_one(of: &TableOne, document: &Document) -> NamedTable {
    let mut columns = vec![("machine", Align::Left)];
    columns.extend(of.columns.iter().map(|name| (name.as_str(), Align::Right)));
    let mut table = Table::new(&columns);
    for row in &of.machines {
        table.row(best_in_bold(&row.machine, &row.values));
    }
    table.row(best_in_bold("Overall", &of.overall));
    let (name, clips) = match of.clips {
        "applied" => ("table1", "the clips that the weights are applied to"),
        _ => ("table1_tuned", "the clips that the weights are tuned on"),
    };
    let mark = if document.normalise.transductive { "; TRANSDUCTIVE" } else { "" };
    let missing = of.why.as_ref().map_or_else(String::new, |why| format!("; missing: {why}"));
    NamedTable {
        name: name.to_owned(),
        part: "fusion".to_owned(),
        caption: format!("Harmonic mean (%) of AUCs and partial AUCs, {clips}{mark}{missing}"),
        table,
    }
}

fn best_in_bold(name: &str, values: &[Option<f64>]) -> Vec<Cell> {
    let best = values.iter().flatten().copied().fold(f64::NEG_INFINITY, f64::max);
    let shown = |value: &Option<f64>| match value {
        None => Cell::none(),
        // What rounds to the same is as good.
        Some(value) if Cell::percent(*value).text() == Cell::percent(best).text() => {
            Cell::percent(*value).strong()
        }
        Some(value) => Cell::percent(*value),
    };
    std::iter::once(Cell::from(name)).chain(values.iter().map(shown)).collect()
}

/// The search beside simpler choices: scores and weights.
fn weights(document: &Document) -> NamedTable {
    let mut columns = vec![
        ("weights", Align::Left),
        ("machines", Align::Left),
        ("tuned on %", Align::Right),
        ("applied to %", Align::Right),
        ("evaluations", Align::Right),
    ];
    columns.extend(document.systems.iter().map(|name| (name.as_str(), Align::Right)));
    columns.push(("remark", Align::Left));
    let mut table = Table::new(&columns);
    let percent = |value: Option<f64>| value.map_or_else(Cell::none, Cell::percent);
    let tuned = &document.tuned_on;
    let mut rows = |name: &str,
                    scores: [Option<f64>; 2],
                    evaluations: Option<usize>,
                    weights: &[f64],
                    per_machine: Option<&std::collections::BTreeMap<String, Vec<f64>>>,
                    remark: &str| {
        let mut row: Vec<Cell> = vec![name.into(), "all".into()];
        row.extend(scores.map(percent));
        row.push(evaluations.map_or_else(Cell::none, |count| count.to_string().into()));
        let weight = |system: usize| weights.get(system).map_or_else(Cell::none, |one| Cell::number(*one, 3));
        row.extend((0..document.systems.len()).map(weight));
        row.push(remark.into());
        table.row(row);
        for (machine, own) in per_machine.into_iter().flatten() {
            let mut row: Vec<Cell> = vec![name.into(), machine.as_str().into()];
            row.extend(["", "", ""].map(Cell::from));
            row.extend(own.iter().map(|weight| Cell::number(*weight, 3)));
            table.row(row);
        }
    };
    rows(
        &format!("fused ({})", tuned.method),
        [Some(tuned.score), document.applied_to.estimate.score],
        Some(tuned.evaluations),
        &document.weights,
        document.weights_per_machine.as_ref(),
        "",
    );
    // Beside the score that flatters itself, of the same clips; each round has weights of its own.
    let honest = &document.honest;
    if let (Some(over), Some(score)) = (honest.over, honest.estimate.score) {
        let interval = honest.estimate.interval.map_or_else(String::new, |interval| {
            format!("; between {:.2} and {:.2}", 100.0 * interval.low, 100.0 * interval.high)
        });
        let remark = format!("what to expect where nothing was tuned{interval}");
        rows(&format!("honest: {over} left out in turn"), [Some(score), None], None, &[], None, &remark);
    }
    for one in &document.baselines {
        let remark = one.note.as_deref().or(one.why.as_deref()).unwrap_or_default();
        let scores = [Some(one.score), one.applied];
        rows(one.name, scores, Some(one.evaluations), &one.weights, one.weights_per_machine.as_ref(), remark);
    }
    let caption = format!("Weights and their {}, beside simpler choices", tuned.objective);
    NamedTable { name: "weights".to_owned(), part: "fusion".to_owned(), caption, table }
}

fn pairs(document: &Document) -> NamedTable {
    let mut table = Table::new(&[
        ("a", Align::Left),
        ("b", Align::Left),
        ("rank correlation", Align::Right),
        ("disagreement %", Align::Right),
    ]);
    for pair in &document.complementarity.pairs {
        let rho = pair.rho.map_or_else(Cell::none, |rho| Cell::number(rho, 3));
        table.row([pair.a.as_str().into(), pair.b.as_str().into(), rho, Cell::percent(pair.disagreement)]);
    }
    NamedTable {
        name: "complementarity".to_owned(),
        part: "fusion".to_owned(),
        caption: "Complementarity on the tuning clips: rank correlation within sections, and clips that exactly one of the two \
                  calls anomalous"
            .to_owned(),
        table,
    }
}

fn without(document: &Document) -> NamedTable {
    let mut table = Table::new(&[
        ("left out", Align::Left),
        ("tuned on %", Align::Right),
        ("loss, points", Align::Right),
    ]);
    for left in &document.complementarity.without {
        table.row([left.system.as_str().into(), Cell::percent(left.score), Cell::percent(left.loss)]);
    }
    NamedTable {
        name: "leave_one_out".to_owned(),
        part: "fusion".to_owned(),
        caption: "What each system's absence costs on the tuning clips, weights tuned anew".to_owned(),
        table,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overall_is_the_harmonic_mean_of_the_rows_as_published() {
        // System 3 of the AITHU report: rows and the overall mean that it prints.
        let printed = [63.44, 66.85, 75.87, 58.97, 75.05, 70.38, 70.17];
        let row = |value: &f64| MachineRow { machine: "m".into(), values: vec![Some(value / 100.0), None] };
        let rows: Vec<MachineRow> = printed.iter().map(row).collect();
        assert_eq!(Cell::percent(overall(&rows, 0).unwrap()).text(), "68.20");
        assert_eq!((overall(&rows, 1), overall(&[], 0)), (None, None));
    }

    #[test]
    fn the_best_of_a_row_is_bold_and_so_is_what_rounds_to_it() {
        let cells = best_in_bold("fan", &[Some(0.67594), None, Some(0.67591), Some(0.6)]);
        let bold: Vec<bool> = cells.iter().map(Cell::is_strong).collect();
        assert_eq!(bold, [false, true, false, true, false]);
        assert!(best_in_bold("fan", &[None, None]).iter().all(|cell| !cell.is_strong()));
    }
}
