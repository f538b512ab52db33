//! `asdbench correlate --tables`: Tables II-VI of one's own results, beside the study's.

use crate::cli::{Context, Failure};
use crate::printable;
use crate::report::{Align, Cell, Format, Table, markdown_escape};
use crate::study::{Detection, ResultConfiguration, ResultTable};

/// Print all tables: one after the other for people and documents, in one piece as CSV.
pub(super) fn print(tables: &[ResultTable], context: &Context) -> Result<(), Failure> {
    let all = csv(tables).csv().map_err(Failure::Output)?;
    context.print(|out| {
        if context.format == Format::Csv {
            return out.write_all(&all);
        }
        for (place, one) in tables.iter().enumerate() {
            let gap = if place > 0 { "\n" } else { "" };
            // It may be a family's name: in a line break of it a comment of LaTeX would end.
            let (title, table) = (title(one), table(one));
            let line = printable::line(&title);
            match context.format {
                Format::Md => write!(out, "{gap}### {}\n\n{}", markdown_escape(&title), table.markdown())?,
                Format::Latex => write!(out, "{gap}% {line}\n{}", table.latex())?,
                Format::Table | Format::Csv | Format::Json => write!(out, "{gap}{line}\n\n{}", table.text())?,
            }
        }
        if context.format == Format::Table {
            writeln!(out, "\n{}", note(tables))?;
        }
        Ok(())
    })
}

fn title(table: &ResultTable) -> String {
    match table.number {
        Some(number) => format!("Table {number}: {}", table.title),
        None => table.title.clone(),
    }
}

fn note(tables: &[ResultTable]) -> &'static str {
    let mut configurations = tables.iter().flat_map(|table| &table.configurations);
    match configurations.any(|one| one.printed.is_some()) {
        true => {
            "(in brackets: the study's printed number, and ours less it; the names match, what was trained on need not)"
        }
        false => {
            "none of these configurations is one of the study's 41, so that there is nothing to compare with"
        }
    }
}

/// For people: the study's numbers stand in brackets behind ours.
fn table(of: &ResultTable) -> Table {
    let proxies = proxies(of);
    let several = of.configurations.iter().any(|one| one.family != of.configurations[0].family);
    let mut columns = Vec::new();
    columns.extend(several.then_some(("family", Align::Left)));
    columns.extend([("config", Align::Left), ("runs", Align::Right)]);
    columns.extend(proxies.iter().map(|name| (name.as_str(), Align::Left)));
    columns.extend([
        ("in-domain LP %", Align::Left),
        ("out-domain LP %", Align::Left),
        ("Mahalanobis %", Align::Left),
        ("remark", Align::Left),
    ]);
    let mut table = Table::new(&columns);
    for one in &of.configurations {
        let mut row: Vec<Cell> = Vec::new();
        row.extend(several.then(|| one.family.as_str().into()));
        row.extend([one.config.as_str().into(), one.runs.to_string().into()]);
        row.extend(proxies.iter().map(|name| proxy(one, name)));
        row.extend(Detection::ALL.map(|which| {
            let printed = one.printed.as_ref().and_then(|printed| printed.detection(which));
            beside(one.detection(which), printed, |auc| format!("{:.2}", 100.0 * auc))
        }));
        row.push(one.why.as_deref().unwrap_or_default().into());
        table.row(row);
    }
    table
}

/// The names of all proxy metrics of a table that the study has too, the correlated ones first.
fn proxies(of: &ResultTable) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    let own = of.configurations.iter().map(|one| &one.proxy_name);
    let others = of.configurations.iter().flat_map(|one| &one.other_proxies).map(|other| &other.name);
    for name in own.chain(others.filter(|name| *name == "alignment")) {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    names
}

fn proxy(one: &ResultConfiguration, name: &str) -> Cell {
    let printed = one.printed.as_ref();
    if one.proxy_name == name {
        return beside(one.proxy, printed.and_then(|printed| printed.proxy), |value| one.show_proxy(value));
    }
    let other = one.other_proxies.iter().find(|other| other.name == name);
    let alignment = printed.filter(|_| name == "alignment").and_then(|printed| printed.alignment);
    beside(other.and_then(|other| other.value), alignment, |value| format!("{value:.2}"))
}

/// `71.91 (70.43, +1.48)`.
fn beside(ours: Option<f64>, printed: Option<f64>, show: impl Fn(f64) -> String) -> Cell {
    match (ours, printed) {
        (None, None) => Cell::none(),
        (Some(ours), None) => show(ours).into(),
        (None, Some(printed)) => format!("- ({})", show(printed)).into(),
        (Some(ours), Some(printed)) => {
            let difference = show((ours - printed).abs());
            let sign = if ours < printed { "-" } else { "+" };
            format!("{} ({}, {sign}{difference})", show(ours), show(printed)).into()
        }
    }
}

/// For programs: all tables, numbers in full precision and in the units of runs.
fn csv(tables: &[ResultTable]) -> Table {
    let mut columns: Vec<(String, Align)> = ["table", "family", "config", "runs", "machines", "proxy_name"]
        .map(|name| (name.into(), Align::Left))
        .into();
    for kind in ["", "printed_", "difference_"] {
        for name in ["proxy", "alignment", "in_domain_lp", "out_domain_lp", "mahalanobis"] {
            columns.push((format!("{kind}{name}"), Align::Right));
        }
    }
    columns.push(("why".into(), Align::Left));
    let columns: Vec<(&str, Align)> = columns.iter().map(|(name, align)| (name.as_str(), *align)).collect();
    let mut table = Table::new(&columns);
    let number = |value: Option<f64>| value.map_or_else(Cell::none, |value| Cell::number(value, 4));
    for of in tables {
        for one in &of.configurations {
            let mut row: Vec<Cell> = vec![
                of.number.unwrap_or_default().into(),
                one.family.as_str().into(),
                one.config.as_str().into(),
                one.runs.to_string().into(),
                one.machines.to_string().into(),
                one.proxy_name.as_str().into(),
            ];
            let alignment = one.other_proxies.iter().find(|other| other.name == "alignment");
            row.extend([number(one.proxy), number(alignment.and_then(|other| other.value))]);
            row.extend(Detection::ALL.map(|which| number(one.detection(which))));
            for of_study in [&one.printed, &one.difference] {
                let of_study = of_study.clone().unwrap_or_default();
                row.extend([number(of_study.proxy), number(of_study.alignment)]);
                row.extend(Detection::ALL.map(|which| number(of_study.detection(which))));
            }
            row.push(one.why.as_deref().unwrap_or_default().into());
            table.row(row);
        }
    }
    table
}
