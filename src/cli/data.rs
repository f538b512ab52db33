//! `asdbench data`: what a data set holds.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::preview_augment::{self, PreviewAugmentArgs};
use super::{Context, Failure};
use crate::audio::ChannelChoice;
use crate::config::{DataConfig, Layout};
use crate::dataset;
use crate::printable;
use crate::report::{self, Align, Format, Table};
use crate::study::Error;

/// Arguments of `asdbench data`.
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct DataArgs {
    #[command(subcommand)]
    command: Option<DataCommand>,
    #[command(flatten)]
    index: Option<IndexArgs>,
}

#[derive(Subcommand, Debug)]
enum DataCommand {
    /// Write views of a clip as contrastive learning sees them: WAVs to hear, a picture to look at
    PreviewAugment(PreviewAugmentArgs),
}

/// Arguments of `asdbench data DIR`.
#[derive(Args, Debug)]
struct IndexArgs {
    /// The data set's root: the folder that holds one folder per machine type
    dir: PathBuf,
    /// Naming scheme, where it is not found by itself: dcase2020 to dcase2026, mimii
    #[arg(long, default_value = "auto", value_parser = layout)]
    layout: Layout,
    /// Machine types, separated by commas; all where not given
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    machines: Vec<String>,
    /// Fail (exit code 4) where there is any problem, for scripts
    #[arg(long)]
    strict: bool,
}

fn layout(text: &str) -> Result<Layout, String> {
    let value = serde_json::Value::String(text.to_owned());
    serde_json::from_value(value).map_err(|error| error.to_string())
}

/// One of the two.
pub fn run(args: &DataArgs, context: &Context) -> Result<(), Failure> {
    match (&args.command, &args.index) {
        (Some(DataCommand::PreviewAugment(args)), _) => preview_augment::run(args, context),
        (None, Some(args)) => index(args, context),
        (None, None) => unreachable!("the folder is required where there is no subcommand"),
    }
}

/// Index and audit; problems are shown, and are a failure of this command only when it is strict.
fn index(args: &IndexArgs, context: &Context) -> Result<(), Failure> {
    let config = DataConfig {
        root: Some(args.dir.clone()),
        layout: args.layout,
        machines: args.machines.clone(),
        ..DataConfig::default()
    };
    let index = dataset::index(&config).map_err(Error::from)?;
    let total = index.clips().len() as u64;
    let bar = context.ui.bar("clips", total, "clips");
    let audit = dataset::audit(&index, ChannelChoice::First, &|done| bar.at(done, total));
    bar.clear();
    let mut document = serde_json::json!({ "schema": 1 });
    if let (Some(all), Ok(serde_json::Value::Object(found))) =
        (document.as_object_mut(), serde_json::to_value(&audit))
    {
        all.extend(found);
    }
    let counts = counts(&audit);
    print(&audit, &counts, &document, context)?;
    match audit.problems.len() {
        found if args.strict && found > 0 => Err(Error::Problems { root: args.dir.clone(), found }.into()),
        _ => Ok(()),
    }
}

fn print(
    audit: &dataset::Audit,
    counts: &Table,
    document: &serde_json::Value,
    context: &Context,
) -> Result<(), Failure> {
    if context.format != Format::Table {
        return context.print(|out| report::print(out, context.format, counts, document));
    }
    context.print(|out| {
        writeln!(out, "{} ({} layout, {} clips)\n", audit.root.display(), audit.layout, audit.clips)?;
        write!(out, "{}\n{}", counts.text(), machines(audit).text())?;
        for twins in &audit.duplicates {
            let paths: Vec<String> = twins.paths.iter().map(|p| p.display().to_string()).collect();
            writeln!(out, "\nthe same content: {}", printable::line(&paths.join(", ")))?;
        }
        if audit.problems.is_empty() {
            return writeln!(out, "\nno problems");
        }
        writeln!(out, "\n{} problems:", audit.problems.len())?;
        for problem in &audit.problems {
            let place = problem.path.as_ref().map(|p| p.display().to_string()).or(problem.machine.clone());
            let place = place.unwrap_or_else(|| "data set".into());
            writeln!(out, "  {}", printable::message(&format!("{place}: {}", problem.message)))?;
        }
        Ok(())
    })
}

fn counts(audit: &dataset::Audit) -> Table {
    let columns = [
        ("machine", Align::Left),
        ("section", Align::Left),
        ("split", Align::Left),
        ("domain", Align::Left),
        ("label", Align::Left),
        ("clips", Align::Right),
    ];
    let mut table = Table::new(&columns);
    for row in &audit.counts {
        table.row(vec![
            row.machine.clone(),
            row.section.clone(),
            row.split.token().into(),
            row.domain.map_or("-", |d| d.token()).into(),
            row.anomalous.map_or("-", |a| if a { "anomaly" } else { "normal" }).into(),
            row.clips.to_string(),
        ]);
    }
    table
}

fn machines(audit: &dataset::Audit) -> Table {
    let columns = [
        ("machine", Align::Left),
        ("clips", Align::Right),
        ("length s", Align::Right),
        ("median s", Align::Right),
        ("hours", Align::Right),
        ("rate Hz", Align::Left),
        ("channels", Align::Left),
        ("format", Align::Left),
    ];
    let mut table = Table::new(&columns);
    let seconds = |value: Option<f64>| value.map_or("-".into(), |v| format!("{v:.2}"));
    for one in &audit.machines {
        let length = match (one.min_s, one.max_s) {
            (Some(min), Some(max)) if min < max => format!("{min:.2} to {max:.2}"),
            (min, _) => seconds(min),
        };
        table.row(vec![
            one.machine.clone(),
            one.clips.to_string(),
            length,
            seconds(one.median_s),
            format!("{:.2}", one.total_s / 3600.0),
            tally(&one.rates_hz),
            tally(&one.channels),
            tally(&one.formats),
        ]);
    }
    table
}

/// `16000`, or `8000 (2), 16000 (98)` where there are several.
fn tally<K: ToString>(counts: &std::collections::BTreeMap<K, usize>) -> String {
    if let [(only, _)] = counts.iter().collect::<Vec<_>>()[..] {
        return only.to_string();
    }
    counts.iter().map(|(key, n)| format!("{} ({n})", key.to_string())).collect::<Vec<_>>().join(", ")
}
