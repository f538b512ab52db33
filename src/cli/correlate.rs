//! `asdbench correlate`: does a better proxy make a better detector?

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::{Context, Failure};
use crate::report::{self, Align, Cell, Format, Table};
use crate::stats::Settings;
use crate::study::{
    self, Coefficient, Comparison, Correlation, Detection, Error, Gathered, LeftOut, SIGNIFICANT,
    StudyTables, Verdict,
};

/// Arguments of `asdbench correlate`.
#[derive(Args, Debug)]
pub struct CorrelateArgs {
    /// A results CSV, a run's folder, or any folder above some runs
    #[arg(value_name = "SOURCE", required_unless_present = "study_tables")]
    sources: Vec<PathBuf>,
    /// Recompute the study's Table VII from its printed Tables II-VI and compare the two
    #[arg(long, conflicts_with = "sources")]
    study_tables: bool,
}

/// Correlate the families of all sources, or those of the study's tables.
pub fn run(args: &CorrelateArgs, context: &Context) -> Result<(), Failure> {
    if args.study_tables {
        let tables = study::study_tables().map_err(Error::from)?;
        return print_study(&tables, context);
    }
    let gathered = study::gather(&args.sources)?;
    let families = study::correlate_rows(&gathered.rows);
    print(&gathered, &families, context)
}

fn print(gathered: &Gathered, families: &[Correlation], context: &Context) -> Result<(), Failure> {
    for run in &gathered.left_out {
        context.ui.warn(&format!("{} is left out: {}", run.path.display(), run.why));
    }
    for warning in &gathered.warnings {
        context.ui.warn(warning);
    }
    for family in families {
        for why in reasons(family) {
            context.ui.warn(&format!("{}: {why}", family.family));
        }
    }
    let mut document = json!({ "schema": 1, "families": families });
    if !gathered.left_out.is_empty() {
        let one = |run: &LeftOut| json!({ "path": run.path.to_string_lossy(), "why": run.why });
        document["left_out"] = gathered.left_out.iter().map(one).collect();
    }
    if !gathered.warnings.is_empty() {
        document["warnings"] = json!(gathered.warnings);
    }
    let table = table(families);
    context.print(|out| {
        report::print(out, context.format, &table, &document)?;
        if context.format == Format::Table && resampled(families) {
            let Settings { seed, resamples, level, .. } = Settings::default();
            writeln!(
                out,
                "\n* {:.0} % of rho when the machine types are drawn anew and the configurations stay ({resamples} BCa \
                 resamples, seed {seed}); p asks another question: how often rho is as large when proxy and detection are \
                 paired at random.",
                100.0 * level
            )?;
        }
        let machines = machines(families);
        if context.format == Format::Table && !machines.is_empty() {
            writeln!(out, "\nrho of each machine type alone:\n\n{}", machines.text().trim_end())?;
        }
        Ok(())
    })
}

/// Why coefficients are missing, each reason once, with the detection metrics that it holds for.
fn reasons(family: &Correlation) -> Vec<String> {
    let mut reasons: Vec<(&str, Vec<&str>)> = Vec::new();
    for which in Detection::ALL {
        let Some(why) = &family.against(which).why else { continue };
        match reasons.iter_mut().find(|(known, _)| known == why) {
            Some((_, metrics)) => metrics.push(which.label()),
            None => reasons.push((why, vec![which.label()])),
        }
    }
    reasons
        .into_iter()
        .map(|(why, metrics)| format!("no rho against {}: {why}", metrics.join(", ")))
        .collect()
}

/// Whether there is an interval over machines.
fn resampled(families: &[Correlation]) -> bool {
    let mut cells = families.iter().flat_map(|family| Detection::ALL.map(|which| family.against(which)));
    cells.any(|found| found.over_machines.is_some())
}

/// One row for each family and detection metric.
fn table(families: &[Correlation]) -> Table {
    let cells = || families.iter().flat_map(|family| Detection::ALL.map(|which| (family, which)));
    let resampled = resampled(families);
    let mut columns = vec![
        ("family", Align::Left),
        ("proxy", Align::Left),
        ("against", Align::Left),
        ("n", Align::Right),
        ("rho", Align::Right),
    ];
    if resampled {
        columns.extend([("from*", Align::Right), ("to*", Align::Right)]);
    }
    columns.extend([
        ("p", Align::Right),
        ("Holm p", Align::Right),
        ("BH p", Align::Right),
        ("smallest p", Align::Right),
        ("better proxy detects", Align::Left),
        ("remark", Align::Left),
    ]);
    let mut table = Table::new(&columns);
    for (family, which) in cells() {
        let found = family.against(which);
        let mut row: Vec<Cell> = vec![
            family.family.as_str().into(),
            format!(
                "{} ({})",
                family.proxy,
                if family.higher_is_better { "higher is better" } else { "lower is better" }
            )
            .into(),
            which.label().into(),
            family.n.to_string().into(),
            number(found.rho, 2),
        ];
        if resampled {
            row.extend([
                number(found.over_machines.map(|i| i.low), 2),
                number(found.over_machines.map(|i| i.high), 2),
            ]);
        }
        let detects = match found.agreement {
            None => Cell::none(),
            Some(agreement) if agreement > 0.0 => "better".into(),
            Some(agreement) if agreement < 0.0 => "worse".into(),
            Some(_) => "no trend".into(),
        };
        row.extend([
            p(found.p),
            p(found.p_holm),
            p(found.p_bh),
            p(Some(found.smallest_p.unwrap_or(family.smallest_p))),
            detects,
            remark(family, found).into(),
        ]);
        table.row(row);
    }
    table
}

fn remark(family: &Correlation, found: &Coefficient) -> String {
    let mut remarks = Vec::new();
    if !family.can_be_significant {
        remarks.push(format!("n = {} can never give p < {SIGNIFICANT}", family.n));
    } else if found.smallest_p.is_some_and(|p| p >= SIGNIFICANT) {
        remarks.push(format!("with its ties it can never give p < {SIGNIFICANT}"));
    }
    if let Some(error) = found.standard_error {
        remarks.push(format!("p sampled, standard error {error:.1e}"));
    }
    remarks.join("; ")
}

fn machines(families: &[Correlation]) -> Table {
    let mut columns = vec![("family", Align::Left), ("machine", Align::Left)];
    columns.extend(Detection::ALL.map(|which| (which.label(), Align::Right)));
    let mut table = Table::new(&columns);
    for family in families {
        for one in &family.machines {
            let mut row: Vec<Cell> = vec![family.family.as_str().into(), one.machine.as_str().into()];
            row.extend(Detection::ALL.map(|which| number(one.against(which).rho, 2)));
            table.row(row);
        }
    }
    table
}

fn print_study(tables: &StudyTables, context: &Context) -> Result<(), Failure> {
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

fn number(value: Option<f64>, decimals: usize) -> Cell {
    value.map_or_else(Cell::none, |value| Cell::number(value, decimals))
}

fn p(value: Option<f64>) -> Cell {
    value.map_or_else(Cell::none, Cell::p_value)
}
