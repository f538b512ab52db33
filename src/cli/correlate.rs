//! `asdbench correlate`: does a better proxy make a better detector?

mod stages;
mod study;
mod tables;

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::{Context, Failure};
use crate::config::{self, ProtocolConfig};
use crate::printable;
use crate::report::{self, Align, Cell, Format, Table};
use crate::stats::Settings;
use crate::study::plan::agreed;
use crate::study::protocol::{self, Curves, Stages};
use crate::study::{self as work, Coefficient, Correlation, Detection, Error, Gathered};

/// Arguments of `asdbench correlate`.
#[derive(Args, Debug)]
pub struct CorrelateArgs {
    /// A results CSV, a run's folder, or any folder above some runs
    #[arg(value_name = "SOURCE", required_unless_present = "study_tables")]
    sources: Vec<PathBuf>,
    /// Recompute the study's Table VII from its printed Tables II-VI and compare the two
    #[arg(long, conflicts_with_all = ["sources", "tables", "stages", "config", "sets"])]
    study_tables: bool,
    /// Print Tables II-VI: every configuration, beside the study's printed numbers where it has it
    #[arg(long)]
    tables: bool,
    /// Print the three stages of the alignment verification protocol: verdicts and what they rest on
    #[arg(long, conflicts_with = "tables")]
    stages: bool,
    /// A study file, for the thresholds in its [protocol]; else those of the sweep that made the runs, else the defaults
    #[arg(long, value_name = "STUDY")]
    config: Option<PathBuf>,
    /// Change a threshold: protocol.significance=0.01
    #[arg(long = "set", value_name = "KEY=VALUE")]
    sets: Vec<String>,
}

/// A family's coefficients and its three stages.
type Judged = (Correlation, Stages);

/// Of results that a sweep left out, so many are named, and the rest counted.
const LEFT_OUT_NAMED: usize = 20;

/// Correlate the families of all sources, or those of the study's tables.
pub fn run(args: &CorrelateArgs, context: &Context) -> Result<(), Failure> {
    if args.study_tables {
        let tables = work::study_tables().map_err(Error::from)?;
        return study::print(&tables, context);
    }
    // Before anything is read: a wrong argument should not take long to be told.
    let named = args.config.as_ref().map(|path| config::load_protocol(path, &args.sets)).transpose()?;
    if named.is_none() {
        ProtocolConfig::default().with_sets(&args.sets)?;
    }
    let gathered = work::gather(&args.sources)?;
    let config = match named {
        Some(config) => config,
        None => planned(&gathered, context).with_sets(&args.sets)?,
    };
    warn(&gathered, context);
    let families = work::correlate_by(&gathered.rows, &config);
    let curves = Curves::read(&gathered.rows);
    let judged: Vec<Judged> = families
        .into_iter()
        .map(|family| {
            let stages = protocol::stages(&family, &gathered.rows, &curves, &config);
            (family, stages)
        })
        .collect();
    for (family, _) in &judged {
        for why in reasons(family) {
            context.ui.warn(&format!("{}: {why}", family.family));
        }
    }
    let tables = work::result_tables(&gathered.rows);
    let mut document = json!({ "schema": 1, "families": [], "protocol": config, "tables": tables });
    let with_stages = |(family, stages): &Judged| {
        let mut family = json!(family);
        family["stages"] = json!(stages);
        family
    };
    document["families"] = judged.iter().map(with_stages).collect();
    for (key, list) in [
        ("left_out", json!(gathered.left_out)),
        ("planned", json!(gathered.planned)),
        ("warnings", json!(gathered.warnings)),
    ] {
        if list.as_array().is_some_and(|list| !list.is_empty()) {
            document[key] = list;
        }
    }
    match (args.tables, args.stages) {
        _ if context.format == Format::Json => {
            context.print(|out| report::print(out, Format::Json, &Table::new(&[]), &document))
        }
        (true, _) => tables::print(&tables, context),
        (_, true) => stages::print(&judged, context),
        _ => print(&judged, &config, context),
    }
}

/// The thresholds of the sweeps that made the runs.
fn planned(gathered: &Gathered, context: &Context) -> ProtocolConfig {
    let studies = gathered.planned.iter().map(|study| (study.name.as_str(), &study.protocol));
    let (protocol, remark) = agreed(studies);
    if let Some(remark) = remark {
        context.ui.warn(&remark);
    }
    protocol
}

/// What is not there, and what does not compare.
fn warn(gathered: &Gathered, context: &Context) {
    for run in gathered.left_out.iter().take(LEFT_OUT_NAMED) {
        context.ui.warn(&format!("{} is left out: {}", run.path.display(), run.why));
    }
    if let more @ 1.. = gathered.left_out.len().saturating_sub(LEFT_OUT_NAMED) {
        context.ui.warn(&format!("{more} more are left out; --format json names them all"));
    }
    for study in &gathered.planned {
        for family in &study.families {
            if let Some(words) = family.in_words() {
                context.ui.warn(&format!(
                    "{}, study `{}`: {words}; what is said of it rests on the others",
                    family.family, study.name
                ));
            }
        }
    }
    for warning in &gathered.warnings {
        context.ui.warn(warning);
    }
}

fn print(judged: &[Judged], config: &ProtocolConfig, context: &Context) -> Result<(), Failure> {
    let families: Vec<&Correlation> = judged.iter().map(|(family, _)| family).collect();
    let table = table(judged, config);
    context.print(|out| {
        report::print(out, context.format, &table, &())?;
        if context.format != Format::Table {
            return Ok(());
        }
        if resampled(&families) {
            let Settings { seed, resamples, level, .. } = Settings::default();
            writeln!(
                out,
                "\n* {:.0} % of rho when the machine types are drawn anew and the configurations stay ({resamples} BCa \
                 resamples, seed {seed}); p asks another question: how often rho is as large when proxy and detection are \
                 paired at random.",
                100.0 * level
            )?;
        }
        writeln!(out, "\nEach configuration's numbers are means over\n")?;
        for family in &families {
            writeln!(out, "{}: {}", printable::line(&family.family), family.averaging)?;
        }
        let machines = machines(&families);
        if !machines.is_empty() {
            writeln!(out, "\nrho of each machine type alone:\n\n{}", machines.text().trim_end())?;
        }
        writeln!(out, "\nThe three stages of the alignment verification protocol:\n")?;
        stages::write(judged, out)
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
fn resampled(families: &[&Correlation]) -> bool {
    let mut cells = families.iter().flat_map(|family| Detection::ALL.map(|which| family.against(which)));
    cells.any(|found| found.over_machines.is_some())
}

/// One row for each family and detection metric.
fn table(judged: &[Judged], config: &ProtocolConfig) -> Table {
    let cells = judged.iter().flat_map(|one| Detection::ALL.map(|which| (&one.0, &one.1, which)));
    let resampled = resampled(&judged.iter().map(|(family, _)| family).collect::<Vec<_>>());
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
        ("verdict", Align::Left),
        ("remark", Align::Left),
    ]);
    let mut table = Table::new(&columns);
    for (family, stages, which) in cells {
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
            p(found.p.map(|_| found.smallest_p.unwrap_or(family.smallest_p))),
            detects,
            stages.correlation.against.get(which).verdict.word().into(),
            remark(family, found, config.significance).into(),
        ]);
        table.row(row);
    }
    table
}

fn remark(family: &Correlation, found: &Coefficient, level: f64) -> String {
    let mut remarks = Vec::new();
    if found.p.is_none() {
        // What n allows does not matter where there is nothing to test: the reason is told on standard error.
    } else if !family.can_be_significant {
        remarks.push(format!("n = {} can never give p < {level}", family.n));
    } else if found.smallest_p.is_some_and(|p| p >= level) {
        remarks.push(format!("with its ties it can never give p < {level}"));
    }
    if let Some(error) = found.standard_error {
        remarks.push(format!("p sampled, standard error {error:.1e}"));
    }
    remarks.join("; ")
}

fn machines(families: &[&Correlation]) -> Table {
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

fn number(value: Option<f64>, decimals: usize) -> Cell {
    value.map_or_else(Cell::none, |value| Cell::number(value, decimals))
}

fn p(value: Option<f64>) -> Cell {
    value.map_or_else(Cell::none, Cell::p_value)
}
