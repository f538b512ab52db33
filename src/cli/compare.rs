//! `asdbench compare`: two systems on the same clips.

use std::path::PathBuf;

use clap::Args;

use super::score::{YearChoice, year_parser};
use super::{Context, Failure};
use crate::report::{self, Align, Cell, Table};
use crate::stats::Settings;
use crate::study::Error;
use crate::study::compare::{self, Comparison, Difference, Options, SectionComparison, Summary};

/// Arguments of `asdbench compare`.
#[derive(Args, Debug)]
pub struct CompareArgs {
    /// The first system: a folder of anomaly_score_*.csv files, a run, or a folder above runs
    #[arg(value_name = "A")]
    a: PathBuf,
    /// The second system, with scores of the same clips; runs are paired by machine and seed
    #[arg(value_name = "B")]
    b: PathBuf,
    /// Ground truth of an evaluation set: the folder above ground_truth_data and ground_truth_domain
    #[arg(long, value_name = "DIR")]
    truth: Option<PathBuf>,
    /// Whose metrics: auto goes by the files' names
    #[arg(long, default_value = "auto", value_name = "YEAR", value_parser = year_parser())]
    year: YearChoice,
    /// Seed of the bootstrap
    #[arg(long, default_value_t = 0, value_name = "N", allow_negative_numbers = true)]
    seed: u64,
    /// Resamples of the bootstrap
    #[arg(long, default_value_t = Settings::default().resamples, value_name = "N", value_parser = resamples, allow_negative_numbers = true)]
    resamples: usize,
}

/// Fewer say nothing about the ends of an interval; more take gigabytes.
fn resamples(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count @ 100..=100_000) => Ok(count),
        _ => Err("must be a whole number from 100 to 100000".to_owned()),
    }
}

/// Compare the two and print the table.
pub fn run(args: &CompareArgs, context: &Context) -> Result<(), Failure> {
    let settings = Settings { seed: args.seed, resamples: args.resamples, ..Settings::default() };
    let options = Options { truth: args.truth.clone(), year: args.year.0, settings };
    let found = compare::compare(&args.a, &args.b, &options).map_err(Error::from)?;
    context.ui.say(&format!(
        "A = {}, B = {}: metrics of {}; {:.0} % intervals of A − B from {} resamples of the clips",
        found.a.path,
        found.b.path,
        found.year,
        100.0 * found.bootstrap.level,
        found.bootstrap.resamples,
    ));
    for line in found.notes.iter().chain(&reasons(&found)) {
        context.ui.warn(line);
    }
    context.print(|out| report::print(out, context.format, &table(&found), &found))
}

/// A row a section (DeLong), three a machine and three over all (bootstrap).
fn table(found: &Comparison) -> Table {
    let seeds =
        found.machines.values().flat_map(|machine| &machine.sections).any(|section| section.seed.is_some());
    let mut columns = vec![("machine", Align::Left), ("section", Align::Left)];
    columns.extend(seeds.then_some(("seed", Align::Right)));
    columns.push(("metric", Align::Left));
    columns.extend(["A", "B", "A − B", "low", "high", "p", "p (Holm)"].map(|name| (name, Align::Right)));
    let mut table = Table::new(&columns);
    for (machine, comparison) in &found.machines {
        for section in &comparison.sections {
            let mut row: Vec<Cell> = vec![machine.as_str().into(), section.section.as_str().into()];
            let seed = section.seed.map_or_else(Cell::none, |seed| seed.to_string().into());
            row.extend(seeds.then_some(seed));
            row.push("AUC".into());
            row.extend(section_cells(section));
            table.row(row);
        }
        summary_rows(&mut table, machine, &comparison.summary, seeds);
    }
    summary_rows(&mut table, "all", &found.overall, seeds);
    table
}

fn section_cells(section: &SectionComparison) -> impl Iterator<Item = Cell> {
    let interval = section.interval.as_ref();
    let ends = [interval.map(|interval| interval.low), interval.map(|interval| interval.high)];
    let values = [section.auc_a, section.auc_b, section.difference, ends[0], ends[1]].map(number);
    values.into_iter().chain([section.p, section.p_holm].map(|p| p.map_or_else(Cell::none, Cell::p_value)))
}

fn summary_rows(table: &mut Table, machine: &str, summary: &Summary, seeds: bool) {
    for (name, one) in metrics(summary) {
        let mut row: Vec<Cell> = vec![machine.into(), "mean".into()];
        row.extend(seeds.then(Cell::none));
        row.push(name.into());
        let interval = one.interval.as_ref();
        let ends = [interval.map(|interval| interval.low), interval.map(|interval| interval.high)];
        row.extend([one.a, one.b, one.difference, ends[0], ends[1], None, None].map(number));
        table.row(row);
    }
}

fn metrics(summary: &Summary) -> [(&'static str, &Difference); 3] {
    [("AUC", &summary.auc), ("pAUC", &summary.pauc), ("Ω", &summary.omega)]
}

fn number(value: Option<f64>) -> Cell {
    value.map_or_else(Cell::none, |value| Cell::number(value, 4))
}

/// Why values are missing, each reason once.
fn reasons(found: &Comparison) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut add = |line: String| {
        if !lines.contains(&line) {
            lines.push(line);
        }
    };
    let summaries = found.machines.values().map(|machine| &machine.summary).chain([&found.overall]);
    for (name, one) in summaries.flat_map(metrics) {
        one.why.iter().for_each(|why| add(format!("{name}: {why}")));
    }
    for (machine, comparison) in &found.machines {
        for section in &comparison.sections {
            section.why.iter().for_each(|why| add(format!("{machine} section {}: {why}", section.section)));
        }
    }
    lines
}
