//! The tables of a report, from its document.

use std::collections::BTreeSet;

use super::counts::State;
use super::{Family, Overview};
use crate::report::page::{NamedTable, slug};
use crate::report::{Align, Cell, Table};
use crate::study::results::Detection;
use crate::study::{ResultConfiguration, ResultTable};

/// The proxy metric that the study prints beside the one that it correlates.
const ALIGNMENT: &str = "alignment";

/// All tables that have a row.
pub(super) fn tables(overview: &Overview) -> Vec<NamedTable> {
    let mut tables =
        vec![trials(overview), machines(overview), left_out(overview), table_vii(overview), alone(overview)];
    tables.extend(overview.tables.iter().map(|of| configurations(&overview.families, of)));
    tables.push(detectors(overview));
    tables.extend(settings(overview));
    tables.push(thresholds(overview));
    tables.retain(|named| !named.table.is_empty());
    tables
}

fn named(name: &str, part: &str, caption: impl Into<String>, table: Table) -> NamedTable {
    NamedTable { name: name.to_owned(), part: part.to_owned(), caption: caption.into(), table }
}

/// Where the trials of each family and plan stand.
fn trials(overview: &Overview) -> NamedTable {
    let mut columns = vec![("", Align::Left), ("trials", Align::Right)];
    columns.extend(State::ALL.map(|state| (state.label(), Align::Right)));
    let mut table = Table::new(&columns);
    let families = overview.families.iter().map(|family| (family.label.clone(), family.trials));
    let studies = overview.studies.iter().map(|study| (format!("planned by {}", study.name), study.trials));
    for (name, counts) in families.chain([("all".to_owned(), overview.trials)]).chain(studies) {
        let mut row: Vec<Cell> = vec![name.into(), whole(counts.trials)];
        row.extend(State::ALL.map(|state| whole(counts.of(state))));
        table.row(row);
    }
    named("trials", "run", "Where the trials stand", table)
}

fn left_out(overview: &Overview) -> NamedTable {
    let mut table = Table::new(&[("trial", Align::Left), ("state", Align::Left), ("reason", Align::Left)]);
    for one in &overview.left_out {
        table.row([one.path.as_str(), one.state.label(), one.why.as_str()]);
    }
    named("left-out", "left-out", "Trials without a result", table)
}

fn machines(overview: &Overview) -> NamedTable {
    let mut columns = vec![
        ("machine type", Align::Left),
        ("results", Align::Right),
        ("training clips", Align::Right),
        ("normal test clips", Align::Right),
        ("anomalous test clips", Align::Right),
    ];
    let names = Detection::ALL.map(|which| format!("{} AUC %", which.label()));
    columns.extend(names.iter().map(|name| (name.as_str(), Align::Right)));
    let mut table = Table::new(&columns);
    for one in &overview.machines {
        let clips = [one.train, one.test_normal, one.test_anomalous];
        let mut row: Vec<Cell> = vec![one.machine.as_str().into(), whole(one.results)];
        row.extend(clips.map(|count| count.map_or_else(Cell::none, whole)));
        row.extend(Detection::ALL.map(|which| percent(*one.best.get(which))));
        table.row(row);
    }
    named(
        "machines",
        "run",
        "Machine types, with the best AUC that any configuration has on each (mean over its seeds)",
        table,
    )
}

/// The study's Table VII of these runs.
fn table_vii(overview: &Overview) -> NamedTable {
    let mut table = Table::new(&[
        ("family", Align::Left),
        ("against", Align::Left),
        ("n", Align::Right),
        ("ρ", Align::Right),
        ("study's ρ", Align::Right),
        ("stars", Align::Left),
        ("difference", Align::Right),
        ("ρ from", Align::Right),
        ("ρ to", Align::Right),
        ("p", Align::Right),
        ("smallest p", Align::Right),
        ("Holm p", Align::Right),
        ("BH p", Align::Right),
        ("study's n", Align::Right),
        ("better proxy detects", Align::Left),
        ("proxy", Align::Left),
    ]);
    for (family, which) in cells(overview) {
        let found = family.correlation.against(which);
        let printed = family.printed.as_ref();
        let cell = printed.map(|printed| printed.against.get(which));
        let interval = found.over_machines.as_ref();
        table.row([
            Cell::from(family.label.as_str()),
            which.label().into(),
            whole(family.correlation.n),
            number(found.rho, 2),
            number(cell.map(|cell| cell.rho), 2),
            "*".repeat(cell.map_or(0, |cell| cell.stars)).into(),
            number(cell.and_then(|cell| cell.difference), 2),
            number(interval.map(|interval| interval.low), 2),
            number(interval.map(|interval| interval.high), 2),
            p(found.p),
            p(Some(found.smallest_p.unwrap_or(family.correlation.smallest_p))),
            p(found.p_holm),
            p(found.p_bh),
            printed.map_or_else(Cell::none, |printed| whole(printed.n)),
            detects(found.agreement).into(),
            proxy(family).into(),
        ]);
    }
    named(
        "table-vii",
        "correlation",
        "Spearman's ρ between the proxy metric and detection, beside the study's Table VII",
        table,
    )
}

/// ρ of each machine type alone.
fn alone(overview: &Overview) -> NamedTable {
    let mut columns = vec![("family", Align::Left), ("machine type", Align::Left)];
    columns.extend(Detection::ALL.map(|which| (which.label(), Align::Right)));
    let mut table = Table::new(&columns);
    for family in &overview.families {
        for one in &family.correlation.machines {
            let mut row: Vec<Cell> = vec![family.label.as_str().into(), one.machine.as_str().into()];
            row.extend(Detection::ALL.map(|which| number(one.against(which).rho, 2)));
            table.row(row);
        }
    }
    named("table-vii-machines", "machines", "ρ of each machine type alone", table)
}

/// One of the study's Tables II-VI of these runs; the study's columns only where it has one of the configurations.
fn configurations(families: &[Family], of: &ResultTable) -> NamedTable {
    let rows = &of.configurations;
    let printed = rows.iter().any(|one| one.printed.is_some());
    let several = rows.iter().any(|one| one.family != rows[0].family);
    let others: BTreeSet<&str> =
        rows.iter().flat_map(|one| &one.other_proxies).map(|other| other.name.as_str()).collect();
    let mut columns = vec![("configuration".to_owned(), Align::Left)];
    columns.extend(several.then(|| ("family".to_owned(), Align::Left)));
    columns.push(("results".to_owned(), Align::Right));
    let mut metric = |name: &str, beside: &BTreeSet<&str>| {
        columns.push((name.to_owned(), Align::Right));
        if printed {
            columns.extend(["study", "difference"].map(|what| (format!("{name}, {what}"), Align::Right)));
        }
        for name in beside {
            columns.push(((*name).to_owned(), Align::Right));
            if printed && *name == ALIGNMENT {
                columns.extend(["study", "difference"].map(|what| (format!("{name}, {what}"), Align::Right)));
            }
        }
    };
    metric(proxy_column(rows), &others);
    for which in Detection::ALL {
        metric(&format!("{} %", which.label()), &BTreeSet::new());
    }
    let columns: Vec<(&str, Align)> = columns.iter().map(|(name, align)| (name.as_str(), *align)).collect();
    let mut table = Table::new(&columns);
    let decimals =
        decimals(rows.iter().flat_map(|one| [one.proxy, one.printed.as_ref().and_then(|of| of.proxy)]));
    for one in rows {
        let (study, difference) = (one.printed.as_ref(), one.difference.as_ref());
        let mut row: Vec<Cell> = vec![one.config.as_str().into()];
        row.extend(several.then(|| label(families, &one.family).into()));
        row.extend([whole(one.runs), number(one.proxy, decimals)]);
        if printed {
            row.extend([study, difference].map(|of| number(of.and_then(|of| of.proxy), decimals)));
        }
        for name in &others {
            let other = one.other_proxies.iter().find(|other| other.name == *name);
            row.push(number(other.and_then(|other| other.value), 4));
            if printed && *name == ALIGNMENT {
                row.extend([study, difference].map(|of| number(of.and_then(|of| of.alignment), 4)));
            }
        }
        for which in Detection::ALL {
            row.push(percent(one.detection(which)));
            if printed {
                row.extend([study, difference].map(|of| percent(of.and_then(|of| of.detection(which)))));
            }
        }
        table.row(row);
    }
    let (name, caption) = match of.number {
        Some(number) => (
            format!("table-{}", number.to_lowercase()),
            format!("Table {number} of these runs: {}", of.title),
        ),
        None => (
            format!("configurations-{}", slug(&of.title)),
            format!("{}, a family that the study has not", of.title),
        ),
    };
    named(&name, "configurations", caption, table)
}

/// The configured detectors.
fn detectors(overview: &Overview) -> NamedTable {
    let mut table = Table::new(&[
        ("family", Align::Left),
        ("configuration", Align::Left),
        ("detector", Align::Left),
        ("kind", Align::Left),
        ("banks", Align::Left),
        ("AUC %", Align::Right),
        ("AUC source %", Align::Right),
        ("AUC target %", Align::Right),
        ("pAUC %", Align::Right),
        ("Ω %", Align::Right),
    ]);
    for one in &overview.detectors {
        let mut row: Vec<Cell> = vec![label(&overview.families, &one.family).into()];
        row.extend([&one.config, &one.detector, &one.kind, &one.banks].map(|text| text.as_str().into()));
        let means = &one.means;
        let values = [means.auc, means.auc_source, means.auc_target, means.pauc, means.omega];
        row.extend(values.map(percent));
        table.row(row);
    }
    named(
        "detectors",
        "configurations",
        "Detectors of [eval.detectors], each on the same features as the Mahalanobis distance",
        table,
    )
}

/// A family's name for people.
fn label<'a>(families: &'a [Family], family: &'a str) -> &'a str {
    let known = families.iter().find(|one| one.correlation.family == family);
    known.map_or(family, |one| one.label.as_str())
}

/// The proxy's name, where all configurations of a table have the same one.
fn proxy_column(rows: &[ResultConfiguration]) -> &str {
    match rows.first() {
        Some(first) if rows.iter().all(|one| one.proxy_name == first.proxy_name) => &first.proxy_name,
        _ => "proxy",
    }
}

/// Enough for three digits of the largest.
fn decimals(values: impl Iterator<Item = Option<f64>>) -> usize {
    match values.flatten().map(f64::abs).fold(0.0, f64::max) {
        largest if largest < 0.1 => 5,
        largest if largest < 2.0 => 4,
        _ => 2,
    }
}

/// The thresholds of the protocol.
fn thresholds(overview: &Overview) -> NamedTable {
    let mut table = Table::new(&[("threshold", Align::Left), ("value", Align::Right)]);
    let value = serde_json::to_value(&overview.protocol).unwrap_or_default();
    for (key, value) in value.as_object().into_iter().flatten() {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        table.row([format!("protocol.{key}"), value]);
    }
    named("thresholds", "settings", "Thresholds of the three-stage protocol", table)
}

/// A table of each family's settings.
fn settings(overview: &Overview) -> impl Iterator<Item = NamedTable> {
    overview.families.iter().map(|family| {
        let mut table = Table::new(&[("setting", Align::Left), ("value", Align::Left)]);
        for varied in &family.settings.varied {
            table.row([varied.key.clone(), format!("one of {}", varied.values.join(", "))]);
        }
        for setting in &family.settings.common {
            table.row([setting.key.as_str(), setting.value.as_str()]);
        }
        named(
            &format!("settings-{}", family.slug),
            &family.part(),
            format!("Settings of {}", family.label),
            table,
        )
    })
}

fn cells(overview: &Overview) -> impl Iterator<Item = (&Family, Detection)> {
    overview.families.iter().flat_map(|family| Detection::ALL.map(|which| (family, which)))
}

fn proxy(family: &Family) -> String {
    let better = if family.correlation.higher_is_better { "higher" } else { "lower" };
    format!("{} ({better} is better)", family.correlation.proxy)
}

/// As `asdbench correlate` says it.
fn detects(agreement: Option<f64>) -> &'static str {
    match agreement {
        None => "-",
        Some(agreement) if agreement > 0.0 => "better",
        Some(agreement) if agreement < 0.0 => "worse",
        Some(_) => "no trend",
    }
}

fn number(value: Option<f64>, decimals: usize) -> Cell {
    value.map_or_else(Cell::none, |value| Cell::number(value, decimals))
}

fn whole(count: usize) -> Cell {
    count.to_string().into()
}

fn percent(fraction: Option<f64>) -> Cell {
    fraction.map_or_else(Cell::none, Cell::percent)
}

fn p(value: Option<f64>) -> Cell {
    value.map_or_else(Cell::none, Cell::p_value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::study::{result_tables, study_rows};
    use crate::task::Proxy;

    #[test]
    fn alignment_stands_beside_what_the_study_prints() {
        let mut rows = study_rows().unwrap();
        rows.iter_mut().for_each(|row| row.other_proxies = vec![Proxy::new("alignment", Ok(0.5), false)]);
        let tables = result_tables(&rows);
        let of = tables.iter().find(|table| table.number == Some("V")).unwrap();
        let NamedTable { table, .. } = configurations(&[], of);
        let at = |name: &str| table.columns().iter().position(|(column, _)| column == name).unwrap();
        let [ours, study, difference] = ["alignment", "alignment, study", "alignment, difference"].map(at);
        assert_eq!((study, difference), (ours + 1, ours + 2));
        for (row, one) in table.rows().iter().zip(&of.configurations) {
            let [printed, less] = [&one.printed, &one.difference].map(|of| of.as_ref().unwrap().alignment);
            assert!(printed.is_some() && less.is_some(), "{one:?}");
            assert_eq!((&row[ours], &row[study]), (&number(Some(0.5), 4), &number(printed, 4)));
            assert_eq!(row[difference], number(less, 4));
        }
    }
}
