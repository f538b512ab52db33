//! `asdbench report`: what many runs say, as a page to read.

use std::path::PathBuf;

use clap::Args;

use super::{Context, Failure};
use crate::config;
use crate::device::{self, DeviceChoice};
use crate::report::{self, Align, Cell, Table};
use crate::study::Detection;
use crate::study::overview::{self, Overview, ReportRequest, State};

/// Arguments of `asdbench report`.
#[derive(Args, Debug)]
pub struct ReportArgs {
    /// Folder of the runs
    #[arg(value_name = "RUNS")]
    runs: PathBuf,
    /// Folder for index.html, report.json, tables and figures; other files in it stay
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
    /// Heading of the page
    #[arg(long, value_name = "TEXT")]
    title: Option<String>,
    /// Study file whose [protocol] has the thresholds; those of the sweep's plan where not given
    #[arg(long, value_name = "STUDY")]
    config: Option<PathBuf>,
    /// Change a threshold, such as protocol.significance=0.01, or say where the recordings are now: data.root=DIR,
    /// data.interference=DIR
    #[arg(long = "set", value_name = "KEY=VALUE")]
    sets: Vec<String>,
    /// Leave out reconstructions and separated recordings, which need the data set
    #[arg(long)]
    no_examples: bool,
}

/// Settings that say where recordings are, and change nothing that was computed of them.
const PLACES: [&str; 2] = ["data.root", "data.interference"];

/// Write the report and say where it is.
pub fn run(args: &ReportArgs, context: &Context) -> Result<(), Failure> {
    let place = |set: &String| set.split_once('=').is_some_and(|(key, _)| PLACES.contains(&key.trim()));
    let (places, thresholds): (Vec<String>, Vec<String>) = args.sets.iter().cloned().partition(place);
    let protocol = args.config.as_ref().map(|path| config::load_protocol(path, &thresholds)).transpose()?;
    // The same pictures everywhere; one clip a family is soon computed.
    let device = (!args.no_examples).then(|| device::open(DeviceChoice::Cpu)).transpose()?;
    let written = overview::report(&ReportRequest {
        runs: &args.runs,
        output: &args.output,
        title: args.title.as_deref(),
        protocol: protocol.as_ref(),
        thresholds: &thresholds,
        places: &places,
        device: device.as_ref(),
        ui: &context.ui,
    })?;
    let table = table(&written.report);
    context.print(|out| report::print(out, context.format, &table, &written))?;
    for caveat in written.report.caveats.iter().filter(|caveat| caveat.grave) {
        context.ui.warn(&format!("{}: {}", caveat.title, caveat.text));
    }
    for missing in &written.report.figures_missing {
        context.ui.warn(missing);
    }
    context.ui.say(&format!("written to {}: open index.html in a browser", args.output.display()));
    Ok(())
}

/// A row a family.
fn table(overview: &Overview) -> Table {
    let mut columns = vec![("family", Align::Left), ("n", Align::Right), ("done", Align::Right)];
    columns.push(("not done", Align::Right));
    columns.extend(Detection::ALL.map(|which| (which.label(), Align::Right)));
    columns.push(("verdict", Align::Left));
    let mut table = Table::new(&columns);
    for family in &overview.families {
        let (trials, done) = (family.trials.trials, family.trials.of(State::Done));
        let mut row: Vec<Cell> = vec![family.label.as_str().into(), family.correlation.n.to_string().into()];
        row.extend([done, trials - done].map(|count| count.to_string().into()));
        row.extend(Detection::ALL.map(|which| {
            family.correlation.against(which).rho.map_or_else(Cell::none, |rho| Cell::number(rho, 2))
        }));
        row.push(family.stages.verdict.as_str().into());
        table.row(row);
    }
    table
}
