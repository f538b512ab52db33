//! `asdbench score`: the challenge's official metrics of score and decision files.

use std::path::PathBuf;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use serde::Serialize;

use super::{Context, Failure};
use crate::official::{self, Measure, Metrics, OfficialReport, UnknownYear, Year};
use crate::report::{self, Align, Cell, Table};

/// Arguments of `asdbench score`.
#[derive(Args, Debug)]
pub struct ScoreArgs {
    /// A folder of anomaly_score_*.csv and decision_result_*.csv files; several are several systems
    #[arg(required = true, value_name = "DIR")]
    folders: Vec<PathBuf>,
    /// Ground truth of an evaluation set: the folder above ground_truth_data and ground_truth_domain
    #[arg(long, value_name = "DIR")]
    truth: Option<PathBuf>,
    /// Whose metrics: auto goes by the files' names
    #[arg(long, default_value = "auto", value_name = "YEAR", value_parser = year_parser())]
    year: YearChoice,
}

/// A year, or none to find it from the files' names.
#[derive(Clone, Copy, Debug)]
pub(super) struct YearChoice(pub(super) Option<Year>);

pub(super) fn year_parser() -> impl TypedValueParser<Value = YearChoice> {
    let year = |text: String| match text.as_str() {
        "auto" => Ok::<_, UnknownYear>(YearChoice(None)),
        year => year.parse().map(Some).map(YearChoice),
    };
    PossibleValuesParser::new(["auto", "2020", "2021", "2022", "2023", "2024", "2025", "2026"]).try_map(year)
}

#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    #[serde(flatten)]
    report: &'a OfficialReport,
}

#[derive(Serialize)]
struct System<'a> {
    path: String,
    #[serde(flatten)]
    report: &'a OfficialReport,
}

/// Judge every folder; the first that cannot be read ends it, as a table with a system missing would mislead.
pub fn run(args: &ScoreArgs, context: &Context) -> Result<(), Failure> {
    let mut reports = Vec::new();
    for folder in &args.folders {
        let submission = official::read(folder, args.truth.as_deref(), args.year.0)?;
        let report = official::evaluate(&submission);
        let how = if report.detected { "by the files' names" } else { "as asked" };
        context.ui.say(&format!("{}: metrics of {} ({how})", folder.display(), report.year));
        let score = report.why.iter().map(|why| format!("no official score: {why}"));
        let means = report.arithmetic_mean.why();
        for line in report.notes.iter().cloned().chain(means).chain(score) {
            context.ui.warn(&format!("{}: {line}", folder.display()));
        }
        reports.push(report);
    }
    let table = table(&reports);
    context.print(|out| match reports.as_slice() {
        [report] => report::print(out, context.format, &table, &Document { schema: 1, report }),
        _ => {
            let path = |report: &OfficialReport| report.folder.to_string_lossy().into_owned();
            let systems: Vec<System> =
                reports.iter().map(|report| System { path: path(report), report }).collect();
            let document = serde_json::json!({ "schema": 1, "systems": systems });
            report::print(out, context.format, &table, &document)
        }
    })
}

/// One row a section, two a machine's means, two the overall means, one the official score.
fn table(reports: &[OfficialReport]) -> Table {
    let several = reports.len() > 1;
    let mut measures: Vec<Measure> = Vec::new();
    for measure in reports.iter().flat_map(|report| Measure::of(report.year)) {
        if !measures.contains(measure) {
            measures.push(*measure);
        }
    }
    let named = [("system", several), ("machine", true), ("section", true)];
    let mut columns: Vec<(&str, Align)> =
        named.iter().filter(|(_, shown)| *shown).map(|(name, _)| (*name, Align::Left)).collect();
    columns.extend(measures.iter().map(|measure| (measure.title(), Align::Right)));
    columns.push(("official score", Align::Right));
    let mut table = Table::new(&columns);
    for report in reports {
        let system = report.folder.to_string_lossy();
        let mut row = |machine: &str, section: &str, values: Option<&Metrics>| {
            let mut cells: Vec<Cell> = several.then(|| Cell::from(&*system)).into_iter().collect();
            cells.extend([Cell::from(machine), Cell::from(section)]);
            // Each row has either metrics or the score; the rest stays empty, as nothing is missing there.
            cells
                .extend(measures.iter().map(|measure| values.map_or("".into(), |v| number(v.get(*measure)))));
            cells.push(if values.is_none() { number(report.official_score) } else { "".into() });
            table.row(cells);
        };
        for machine in &report.machines {
            for section in &machine.sections {
                row(&machine.machine, &section.section, Some(&section.metrics));
            }
            row(&machine.machine, "arithmetic mean", Some(&machine.arithmetic_mean));
            row(&machine.machine, "harmonic mean", Some(&machine.harmonic_mean));
        }
        row("all", "arithmetic mean", Some(&report.arithmetic_mean));
        row("all", "harmonic mean", Some(&report.harmonic_mean));
        row("all", "official score", None);
    }
    table
}

fn number(value: Option<f64>) -> Cell {
    value.map_or_else(Cell::none, |value| Cell::number(value, 4))
}
