//! `asdbench correlate --study-tables`: the study's Table VII, recomputed from its printed tables.

use serde_json::json;

use super::{number, p};
use crate::cli::{Context, Failure};
use crate::report::{self, Align, Cell, Format, Table};
use crate::study::{Comparison, Correlation, Detection, SIGNIFICANT, StudyTables, Verdict};

/// Print both, cell by cell.
pub(super) fn print(tables: &StudyTables, context: &Context) -> Result<(), Failure> {
    let cells =
        || tables.families.iter().flat_map(|one| Detection::ALL.map(|which| one.table_vii.against(which)));
    let count = |verdict| cells().filter(|cell| cell.verdict == verdict).count();
    let stars_not_given = cells().filter(|cell| !cell.stars_given).count();
    let (reproduced, within) = (count(Verdict::Reproduced), count(Verdict::WithinRounding));
    let document = json!({
        "schema": 1,
        "families": tables.families,
        "not_printed": tables.not_printed,
        "summary": {
            "cells": cells().count(),
            "reproduced": reproduced,
            "within_rounding": within,
            "not_reproduced": count(Verdict::NotReproduced),
            "stars_not_given": stars_not_given,
        },
    });
    if context.format != Format::Table {
        let table = study_table(tables, true);
        return context.print(|out| report::print(out, context.format, &table, &document));
    }
    context.print(|out| {
        writeln!(out, "Table VII of the study, recomputed from its printed Tables II-VI\n")?;
        writeln!(out, "{}", study_table(tables, false).text())?;
        writeln!(
            out,
            "{reproduced} of {} printed coefficients are reproduced, {within} more within the rounding of the printed \
             numbers.\nCells with other stars than the exact test gives: {stars_not_given} (* p < 0.05, ** p < 0.01, *** p < 0.001).",
            cells().count(),
        )?;
        for line in floors(tables).into_iter().chain(survivors(tables)).chain(others(tables)) {
            writeln!(out, "{line}")?;
        }
        Ok(())
    })
}

/// Table VII, one row a cell; a terminal gets the narrow form, in which the stars stand behind their ρ.
fn study_table(tables: &StudyTables, wide: bool) -> Table {
    let mut columns = vec![("proxy task", Align::Left), ("against", Align::Left), ("n", Align::Right)];
    columns.extend(match wide {
        true => &[
            ("rho", Align::Right),
            ("stars", Align::Left),
            ("p", Align::Right),
            ("Holm p", Align::Right),
            ("BH p", Align::Right),
            ("smallest p", Align::Right),
            ("printed rho", Align::Right),
            ("printed stars", Align::Left),
            ("remark", Align::Left),
        ][..],
        false => &[
            ("rho", Align::Left),
            ("exact p", Align::Right),
            ("Holm p", Align::Right),
            ("smallest p", Align::Right),
            ("printed", Align::Left),
            ("remark", Align::Left),
        ],
    });
    let mut table = Table::new(&columns);
    for one in &tables.families {
        for which in Detection::ALL {
            let (found, printed) = (one.correlation.against(which), one.table_vii.against(which));
            let mut row: Vec<Cell> =
                vec![one.printed_name.into(), which.label().into(), one.correlation.n.to_string().into()];
            let stars = "*".repeat(printed.stars.unwrap_or(0));
            let printed_stars = "*".repeat(printed.printed_stars);
            let smallest_p = p(Some(found.smallest_p.unwrap_or(one.correlation.smallest_p)));
            let remark = study_remark(printed);
            row.extend(match wide {
                true => vec![
                    number(found.rho, 2),
                    stars.into(),
                    p(found.p),
                    p(found.p_holm),
                    p(found.p_bh),
                    smallest_p,
                    Cell::number(printed.printed_rho, 2),
                    printed_stars.into(),
                    remark.into(),
                ],
                false => vec![
                    found.rho.map_or("-".into(), |rho| format!("{rho:>5.2}{stars}")).into(),
                    p(found.p),
                    p(found.p_holm),
                    smallest_p,
                    format!("{:>5.2}{printed_stars}", printed.printed_rho).into(),
                    remark.into(),
                ],
            });
            table.row(row);
        }
    }
    table
}

fn study_remark(cell: &Comparison) -> String {
    let mut remarks = Vec::new();
    match cell.verdict {
        Verdict::Reproduced => {}
        Verdict::WithinRounding => remarks.push("within rounding of the inputs".to_owned()),
        Verdict::NotReproduced => remarks.push("not reproduced".to_owned()),
    }
    if !cell.stars_given {
        let given = match cell.stars {
            Some(stars @ 1..) => "*".repeat(stars),
            _ => "no star".to_owned(),
        };
        remarks.push(format!("the exact test gives {given}"));
    }
    remarks.join("; ")
}

/// What each number of configurations allows.
fn floors(tables: &StudyTables) -> Vec<String> {
    let mut sizes: Vec<usize> = tables.families.iter().map(|one| one.correlation.n).collect();
    sizes.sort_unstable();
    sizes.dedup();
    let line = |n: usize| {
        let of_size = || tables.families.iter().filter(move |one| one.correlation.n == n);
        let names: Vec<&str> = of_size().map(|one| one.printed_name).collect();
        let first = of_size().next()?;
        let allows = match first.most_stars {
            0 => "can never be significant".to_owned(),
            most => format!("{} at most", "*".repeat(most)),
        };
        let smallest_p = Cell::p_value(first.correlation.smallest_p);
        let smallest_p = smallest_p.text();
        Some(format!("n = {n} allows p >= {smallest_p}: {allows} ({})", names.join(", ")))
    };
    sizes.into_iter().filter_map(line).collect()
}

fn survivors(tables: &StudyTables) -> Option<String> {
    let cells = tables.families.iter().flat_map(|one| Detection::ALL.map(|which| (one, which)));
    let names: Vec<String> = cells
        .filter(|(one, which)| one.correlation.against(*which).p_holm.is_some_and(|p| p < SIGNIFICANT))
        .map(|(one, which)| format!("{} ({})", one.printed_name, which.label()))
        .collect();
    (!names.is_empty())
        .then(|| format!("Holm's p over all cells is below {SIGNIFICANT} for: {}", names.join(", ")))
}

/// What Table V has and Table VII has not.
fn others(tables: &StudyTables) -> Option<String> {
    let line = |one: &Correlation| {
        let rho =
            Detection::ALL.map(|which| one.against(which).rho.map_or("-".into(), |rho| format!("{rho:.2}")));
        format!("{} {}", one.family, rho.join(" / "))
    };
    let lines: Vec<String> = tables.not_printed.iter().map(line).collect();
    (!lines.is_empty()).then(|| format!("not in Table VII, from Table V: {}", lines.join(", ")))
}
