//! `asdbench eval`: judge trained runs.

mod labels;

use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};

use clap::Args;

use super::{Context, DeviceOption, Failure};
use crate::config;
use crate::device;
use crate::report::{self, Align, Cell, Format, Table};
use crate::run::RunFolder;
use crate::study::{Error, Evaluation, Judge};

/// Arguments of `asdbench eval`.
#[derive(Args, Debug)]
pub struct EvalArgs {
    /// A run's folder, or any folder above some runs; with --labels, a checkpoint file too
    #[arg(required = true, value_name = "RUN")]
    runs: Vec<PathBuf>,
    /// Change how the runs are judged or where the data are: eval.*, data.root, data.interference
    #[arg(long = "set", value_name = "KEY=VALUE")]
    sets: Vec<String>,
    /// Also write the challenge's score and decision files to DIR/<config>/seed-<n>
    #[arg(long, value_name = "DIR")]
    submission: Option<PathBuf>,
    /// Whose scores --submission writes: a detector of [eval.detectors], in place of mahalanobis
    #[arg(long, value_name = "NAME", requires = "submission")]
    detector: Option<String>,
    #[command(flatten)]
    labels: labels::LabelOptions,
    #[command(flatten)]
    device: DeviceOption,
}

/// Evaluate every run; one that fails leaves the others.
pub fn run(args: &EvalArgs, context: &Context) -> Result<(), Failure> {
    if let Some(labels) = &args.labels.labels {
        let device = device::open(args.device.device)?;
        return labels::run((labels, &args.labels), &args.runs, &device, context);
    }
    if args.labels.are_given() {
        return Err(Failure::Usage(
            "--frames, --batch, --channel, --on-bad-clip and --precision go with --labels; a run has its own, in its configuration",
        ));
    }
    let mut folders = Vec::new();
    for above in &args.runs {
        folders.extend(RunFolder::find(above).map_err(Error::from)?);
    }
    // One run may be named in several ways: `runs`, `./runs`, a link to it.
    let mut seen = HashSet::new();
    folders.retain(|folder| {
        seen.insert(folder.path().canonicalize().unwrap_or_else(|_| folder.path().to_owned()))
    });
    let device = device::open(args.device.device)?;
    let (mut evaluated, mut failures) = (Vec::new(), Vec::new());
    let judge = Judge::new(&args.sets, &device, &context.ui)
        .with_submission(args.submission.as_deref())
        .with_detector(args.detector.as_deref());
    for folder in &folders {
        match judge.evaluate(folder) {
            Ok(one) => evaluated.push(one),
            // One mistake, not one of every run.
            Err(error) if is_of_arguments(&error, &args.sets, &folders) => return Err(error.into()),
            Err(error) => {
                warn(folder.path(), &error, folders.len(), context);
                failures.push((folder.path(), error));
            }
        }
    }
    if !evaluated.is_empty() || context.format == Format::Json {
        print(&evaluated, &failures, context)?;
    }
    ended(failures, folders.len())
}

/// Whether the `--set` arguments are wrong for every run whose own configuration is fine: a setting that is not there, or one
/// that was trained with.
fn is_of_arguments(error: &Error, sets: &[String], folders: &[RunFolder]) -> bool {
    let hash = |folder: &RunFolder, sets: &[String]| {
        let loaded = config::load(&folder.file("config.toml"), sets).ok()?;
        Some(loaded.experiment.training_hash())
    };
    let is_wrong = |folder: &RunFolder| {
        let own = hash(folder, &[])?;
        Some(hash(folder, sets) != Some(own))
    };
    if !matches!(error, Error::Config(_) | Error::ChangedTraining(_)) || sets.is_empty() {
        return false;
    }
    let mut sound = folders.iter().filter_map(is_wrong).peekable();
    sound.peek().is_some() && sound.all(|wrong| wrong)
}

/// Say at once that one of several failed.
fn warn(path: &Path, error: &Error, all: usize, context: &Context) {
    if all > 1 {
        context.ui.warn(&format!("{} failed: {error}", path.display()));
    }
}

/// How a command ends that failed for some of `all` things.
fn ended(mut failures: Vec<(&Path, Error)>, all: usize) -> Result<(), Failure> {
    match failures.len() {
        0 => Ok(()),
        failed if failed == all => Err(failures.swap_remove(0).1.into()),
        failed => {
            let line = |(path, error): &(&Path, Error)| format!("  {}: {error}", path.display());
            let list = failures.iter().map(line).collect::<Vec<_>>().join("\n");
            Err(Failure::Runs { failed, all, list })
        }
    }
}

/// One entry of a document's `failed`.
fn failed_entry(path: &Path, error: &Error) -> serde_json::Value {
    serde_json::json!({ "path": path.to_string_lossy(), "why": error.to_string() })
}

/// Print evaluations as a table or a document.
fn print(evaluated: &[Evaluation], failures: &[(&Path, Error)], context: &Context) -> Result<(), Failure> {
    let sense =
        |e: &Evaluation| if e.proxy.higher_is_better { "higher is better" } else { "lower is better" };
    let titled = |e: &Evaluation| format!("{} ({})", e.proxy.name, sense(e));
    // Families measure their proxies differently: then each row names its own.
    // A file for programs has the same columns whatever is in it.
    let mixed = context.format == Format::Csv || evaluated.iter().any(|e| e.family != evaluated[0].family);
    let proxy = match evaluated.first() {
        Some(first) if !mixed => titled(first),
        _ => "proxy".to_owned(),
    };
    let intervals = context.format == Format::Csv || evaluated.iter().any(|e| e.proxy.interval.is_some());
    let mut columns = vec![("machine", Align::Left)];
    columns.extend(mixed.then_some(("family", Align::Left)));
    columns.extend([("config", Align::Left), ("seed", Align::Right), (proxy.as_str(), Align::Right)]);
    if intervals {
        columns.extend([("low", Align::Right), ("high", Align::Right)]);
    }
    columns.extend(mixed.then_some(("measured by", Align::Left)));
    columns.extend([
        ("in-domain LP %", Align::Right),
        ("out-domain LP %", Align::Right),
        ("Mahalanobis %", Align::Right),
        ("AUC source %", Align::Right),
        ("AUC target %", Align::Right),
        ("pAUC %", Align::Right),
        ("Ω %", Align::Right),
    ]);
    // Runs may have been judged by different ones.
    let detectors: BTreeSet<&str> =
        evaluated.iter().flat_map(|one| one.detectors.keys().map(String::as_str)).collect();
    let names: Vec<String> =
        detectors.iter().flat_map(|name| [format!("{name} AUC %"), format!("{name} Ω %")]).collect();
    columns.extend(names.iter().map(|name| (name.as_str(), Align::Right)));
    let mut table = Table::new(&columns);
    let number = |value: Option<f64>| value.map_or_else(Cell::none, |value| Cell::number(value, 5));
    let percent = |auc: Option<f64>| auc.map_or_else(Cell::none, Cell::percent);
    for one in evaluated {
        let mut row = vec![Cell::from(one.machine.as_str())];
        row.extend(mixed.then(|| one.family.as_str().into()));
        row.extend([one.config.as_str().into(), one.seed.to_string().into(), number(one.proxy.value)]);
        if intervals {
            row.extend([0, 1].map(|end| number(one.proxy.interval.map(|ends| ends[end]))));
        }
        row.extend(mixed.then(|| titled(one).into()));
        row.extend(
            [
                one.linear_probe.in_domain.auc,
                one.linear_probe.out_domain.auc,
                one.mahalanobis.aucs.auc,
                one.official.auc_source,
                one.official.auc_target,
                one.official.pauc,
                one.official.omega,
            ]
            .map(percent),
        );
        for name in &detectors {
            let of = one.detectors.get(*name);
            row.extend([of.and_then(|of| of.aucs.auc), of.and_then(|of| of.official.omega)].map(percent));
        }
        table.row(row);
        for why in reasons(one) {
            context.ui.warn(&format!("{}: {why}", one.path));
        }
    }
    let mut document = serde_json::json!({ "schema": 1, "runs": evaluated });
    if !failures.is_empty() {
        let one = |(path, error): &(&Path, Error)| failed_entry(path, error);
        document["failed"] = failures.iter().map(one).collect();
    }
    context.print(|out| report::print(out, context.format, &table, &document))
}

/// Why values of an evaluation are missing, and what must be known of others.
fn reasons(one: &Evaluation) -> Vec<String> {
    let all = [
        ("proxy", &one.proxy.why),
        ("proxy", &one.proxy.note),
        ("in-domain linear probe", &one.linear_probe.in_domain.why),
        ("out-domain linear probe", &one.linear_probe.out_domain.why),
        ("Mahalanobis", &one.mahalanobis.aucs.why),
        ("official metrics", &one.official.why),
    ];
    let own = all.iter().filter_map(|(what, why)| why.as_ref().map(|why| format!("{what}: {why}")));
    let others = one.other_proxies.iter().filter_map(|proxy| Some((&proxy.name, proxy.why.as_ref()?)));
    let others = others.map(|(name, why)| format!("{name}: {why}"));
    let detectors = one.detectors.iter().flat_map(|(name, of)| {
        // What holds of the clips has been said of the Mahalanobis distance.
        let official = of.official.why.as_ref().filter(|why| one.official.why.as_ref() != Some(why));
        let official = official.filter(|_| of.aucs.auc.is_some());
        let own = of.aucs.why.as_ref().filter(|why| one.mahalanobis.aucs.why.as_ref() != Some(why));
        let said = of.notes.iter().chain(own).chain(official);
        said.map(move |said| format!("detector {name}: {said}"))
    });
    own.chain(others).chain(detectors).collect()
}
