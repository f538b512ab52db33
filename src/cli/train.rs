//! `asdbench train`: one configuration, every selected machine and seed.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::{Context, Failure, RunOptions};
use crate::config;
use crate::device;
use crate::report::{self, Align, Cell, Format, Table};
use crate::run::RunFolder;
use crate::study::{self, Error, Recordings, Trained, Trial, TrialState};
use crate::train::Interrupt;

/// Arguments of `asdbench train`.
#[derive(Args, Debug)]
pub struct TrainArgs {
    /// The configuration file
    config: PathBuf,
    /// Set one setting, such as train.epochs=20; may be given several times
    #[arg(long = "set", value_name = "KEY=VALUE")]
    sets: Vec<String>,
    /// Train with this seed alone
    #[arg(long)]
    seed: Option<u64>,
    /// Train every configuration of the file's [grid], not its base alone
    #[arg(long)]
    grid: bool,
    /// Say what would be trained, and train nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    options: RunOptions,
}

/// Train all trials in turn; one that fails leaves the others running.
pub fn run(args: &TrainArgs, context: &Context) -> Result<(), Failure> {
    let mut sets = args.sets.clone();
    sets.extend(args.seed.map(|seed| format!("train.seeds=[{seed}]")));
    let resolved = config::load(&args.config, &sets)?;
    let experiments = if args.grid { resolved.expand()? } else { vec![resolved.experiment.clone()] };
    if !args.grid && !resolved.grid.is_empty() {
        let (file, trials) = (args.config.display(), resolved.grid.trials());
        context.ui.say(&format!(
            "{file} names a grid of {trials} configurations; training its base, {} (--grid trains all)",
            resolved.experiment.slug()
        ));
    }
    let cache = study::cache_folder(&args.options.runs);
    let recordings = Recordings::open(&resolved.experiment.data, cache, &context.ui)?;
    let trials = study::trials(&experiments, &recordings, &args.options.runs);
    if args.dry_run {
        return plan(&trials, &recordings, context);
    }
    let device = device::open(args.options.device.device)?;
    context.ui.say(&format!("device {}", device.name));
    let interrupt = Interrupt::listen();
    let (mut trained, mut failures) = (Vec::new(), Vec::new());
    for trial in &trials {
        match study::train(trial, &recordings, &device, &interrupt, &context.ui) {
            Ok(run) => trained.push(run),
            Err(Error::Interrupted) => {}
            Err(error) => {
                trained.push(trial.failed(&error));
                if trials.len() > 1 {
                    context.ui.warn(&format!("{} failed: {error}", trial.folder.path().display()));
                }
                failures.push((trial, error));
            }
        }
        if interrupt.requested() {
            break;
        }
    }
    // A table without rows says nothing; a script still gets its document.
    if failures.len() < trained.len() || context.format == Format::Json {
        print(&trained, context)?;
    }
    if interrupt.requested() {
        return Err(Error::Interrupted.into());
    }
    finish(failures, trials.len())
}

/// One failure of one run keeps its own exit code; of several runs, the list says which failed.
fn finish(mut failures: Vec<(&Trial, Error)>, all: usize) -> Result<(), Failure> {
    match failures.len() {
        0 => Ok(()),
        failed if failed == all => Err(failures.swap_remove(0).1.into()),
        failed => {
            let line =
                |(trial, error): &(&Trial, Error)| format!("  {}: {error}", trial.folder.path().display());
            Err(Failure::Runs { failed, all, list: failures.iter().map(line).collect::<Vec<_>>().join("\n") })
        }
    }
}

fn print(trained: &[Trained], context: &Context) -> Result<(), Failure> {
    let columns = [
        ("machine", Align::Left),
        ("config", Align::Left),
        ("seed", Align::Right),
        ("status", Align::Left),
        ("epochs", Align::Right),
        ("loss", Align::Right),
        ("path", Align::Left),
    ];
    let mut table = Table::new(&columns);
    for run in trained {
        let loss = run.loss.map_or_else(Cell::none, |loss| Cell::number(loss, 6));
        table.row([
            Cell::from(run.machine.as_str()),
            run.config.as_str().into(),
            run.seed.to_string().into(),
            run.status.as_str().into(),
            run.epochs.to_string().into(),
            loss,
            run.path.as_str().into(),
        ]);
    }
    let document = serde_json::json!({ "schema": 1, "runs": trained });
    context.print(|out| report::print(out, context.format, &table, &document))
}

/// One row of a dry run.
#[derive(Serialize)]
struct Planned {
    path: String,
    machine: String,
    config: String,
    seed: u64,
    state: TrialState,
    clips: usize,
    epochs: usize,
}

fn plan(trials: &[Trial], recordings: &Recordings<'_>, context: &Context) -> Result<(), Failure> {
    let columns = [
        ("machine", Align::Left),
        ("config", Align::Left),
        ("seed", Align::Right),
        ("state", Align::Left),
        ("train clips", Align::Right),
        ("epochs", Align::Right),
        ("path", Align::Left),
    ];
    let mut table = Table::new(&columns);
    let mut planned = Vec::new();
    for trial in trials {
        let one = Planned {
            path: trial.folder.path().display().to_string(),
            machine: trial.machine.clone(),
            config: RunFolder::config_name(&trial.experiment),
            seed: trial.seed,
            state: trial.state(recordings)?,
            clips: recordings.training_clips(&trial.machine)?,
            epochs: if trial.experiment.task.pretrained().is_some() {
                0
            } else {
                trial.experiment.train.epochs
            },
        };
        let state = format!("{:?}", one.state).to_lowercase();
        let numbers = [one.clips.to_string(), one.epochs.to_string(), one.path.clone()];
        let words = [one.machine.clone(), one.config.clone(), one.seed.to_string(), state];
        table.row(words.into_iter().chain(numbers));
        planned.push(one);
    }
    let document = serde_json::json!({ "schema": 1, "dry_run": true, "runs": planned });
    context.print(|out| report::print(out, context.format, &table, &document))
}
