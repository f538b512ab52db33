//! `asdbench sweep`: every trial of a study, trained and judged.

mod array;
mod dry_run;
mod worker;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;

use super::{Context, Failure, RunOptions};
use crate::config;
use crate::device;
use crate::report::{self, Align, Cell, Table};
use crate::study::Error;
use crate::study::sweep::{self, Failed, Selection, Shard, Sweep, Swept, SweptRun, WorkerCommand};
use crate::train::Interrupt;
pub use worker::{WorkerArgs, work};

/// Arguments of `asdbench sweep`.
#[derive(Args, Debug)]
pub struct SweepArgs {
    /// The study's file, such as configs/study.toml
    study: PathBuf,
    /// Set one setting of all configurations, such as train.epochs=20; may be given several times
    #[arg(long = "set", value_name = "KEY=VALUE")]
    sets: Vec<String>,
    /// Trials at a time: 1 on the CPU without this; on GPUs one each, and all of them without this
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
    /// Do part I of N, counted from 1; others do the others, with the same --runs or not
    #[arg(long, value_name = "I/N")]
    shard: Option<Shard>,
    /// Do these families alone
    #[arg(long, value_name = "FAMILY", value_delimiter = ',')]
    only: Vec<String>,
    /// Say what would be done and how long it takes, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// With --dry-run: do not try the configurations to see how long they take
    #[arg(long, requires = "dry_run")]
    no_probe: bool,
    #[command(flatten)]
    array: array::ArrayOptions,
    #[command(flatten)]
    options: RunOptions,
}

/// Do what is not done yet; a trial that fails leaves the others running.
pub fn run(args: &SweepArgs, context: &Context) -> Result<(), Failure> {
    let study = config::load_study(&args.study, &args.sets)?;
    if let Some(script) = args.array.script() {
        return array::write(script, &study, args, context);
    }
    let ui = context.ui.once();
    let selection = Selection { shard: args.shard, only: args.only.clone() };
    let sweep = Sweep::open(&study, &args.options.runs, &selection, &ui)?;
    let commands = commands(args)?;
    if args.dry_run {
        return dry_run::print(&sweep, &commands, !args.no_probe, &ui, context);
    }
    let interrupt = Interrupt::listen();
    let swept = sweep::conduct(&sweep, &commands, &interrupt)?;
    print(&sweep, &swept, context)?;
    let counts = swept.counts;
    ui.say(&format!(
        "{} trials: {} done ({} before), {} failed, {} put off",
        counts.trials, counts.done, counts.found, counts.failed, counts.put_off
    ));
    match (swept.interrupted, swept.failed.len()) {
        (true, _) => Err(Error::Interrupted.into()),
        (false, 0) => Ok(()),
        (false, failed) => {
            let list = swept.failed.iter().map(said).collect::<Vec<_>>().join("\n");
            Err(Failure::Runs { failed, all: counts.trials, list })
        }
    }
}

/// A failed trial, why, and the end of what its worker said.
fn said(failed: &Failed) -> String {
    let lines: String = failed.tail.iter().map(|line| format!("\n    | {line}")).collect();
    format!("  {}: {}\n    log: {}{lines}", failed.path, failed.why, failed.log.display())
}

/// This very program, once for each worker.
fn commands(args: &SweepArgs) -> Result<Vec<WorkerCommand>, Failure> {
    let jobs = args.jobs.map(usize::from);
    let devices = sweep::devices(args.options.device.device, jobs, device::adapters)?;
    let threads = sweep::threads(devices.len());
    let own: Vec<OsString> = std::env::args_os().collect();
    // Of Linux: the program that runs, even where a newer one has taken its name since.
    let program = match cfg!(target_os = "linux") {
        true => PathBuf::from("/proc/self/exe"),
        false => std::env::current_exe().map_err(|e| Error::from(sweep::Error::Start(e)))?,
    };
    let command = |device: &String| {
        let runs = args.options.runs.as_os_str();
        let options =
            ["sweep-worker".as_ref(), "--device".as_ref(), device.as_ref(), "--runs".as_ref(), runs];
        let mut arguments: Vec<OsString> = options.map(OsString::from).into();
        arguments.push("--".into());
        arguments.extend(own.iter().cloned());
        let name = own.first().cloned().unwrap_or_else(|| "asdbench".into());
        WorkerCommand { program: program.clone(), name, arguments, threads }
    };
    Ok(devices.iter().map(command).collect())
}

fn print(sweep: &Sweep<'_>, swept: &Swept, context: &Context) -> Result<(), Failure> {
    let mut table = Table::new(&[
        ("family", Align::Left),
        ("machine", Align::Left),
        ("config", Align::Left),
        ("seed", Align::Right),
        ("status", Align::Left),
        ("epochs", Align::Right),
        ("loss", Align::Right),
        ("proxy", Align::Right),
        ("measured by", Align::Left),
        ("in-domain LP %", Align::Right),
        ("out-domain LP %", Align::Right),
        ("Mahalanobis %", Align::Right),
        ("Ω %", Align::Right),
        ("path", Align::Left),
    ]);
    swept.runs.iter().for_each(|run| table.row(row(run)));
    let document = serde_json::json!({
        "schema": 1,
        "study": sweep.plan().name,
        "counts": swept.counts,
        "runs": swept.runs,
    });
    context.print(|out| report::print(out, context.format, &table, &document))
}

fn row(run: &SweptRun) -> Vec<Cell> {
    let number = |value: Option<f64>, digits| value.map_or_else(Cell::none, |v| Cell::number(v, digits));
    let percent = |auc: Option<f64>| auc.map_or_else(Cell::none, Cell::percent);
    let SweptRun { trained, judged, .. } = run;
    let proxy = judged.as_ref().map(|judged| &judged.proxy);
    let mut cells: Vec<Cell> =
        [&trained.family, &trained.machine, &trained.config].map(|text| text.as_str().into()).into();
    cells.extend([trained.seed.to_string().into(), trained.status.as_str().into()]);
    cells.extend([trained.epochs.to_string().into(), number(trained.loss, 6)]);
    cells.extend([number(proxy.and_then(|proxy| proxy.value), 5)]);
    cells.push(proxy.map_or_else(Cell::none, |proxy| proxy.name.as_str().into()));
    let aucs = judged.as_ref().map_or([None; 4], |judged| {
        let probe = &judged.linear_probe;
        let mahalanobis = judged.mahalanobis.aucs.auc;
        [probe.in_domain.auc, probe.out_domain.auc, mahalanobis, judged.official.omega]
    });
    cells.extend(aucs.map(percent));
    cells.push(trained.path.as_str().into());
    cells
}
