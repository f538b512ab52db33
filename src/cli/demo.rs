//! `asdbench demo`: the whole way on synthetic machines.

use std::path::PathBuf;

use clap::Args;

use super::{Context, Failure};
use crate::config;
use crate::dataset::synth::{self, SynthSpec};
use crate::device::{self, DeviceChoice};
use crate::report::{self, Align, Format, Table};
use crate::study::{self, Correlation, Judge, Recordings};
use crate::train::Interrupt;

/// Arguments of `asdbench demo`.
#[derive(Args, Debug)]
pub struct DemoArgs {
    /// Folder for the clips, the configuration and the runs
    #[arg(short, long, default_value = "asdbench-demo", value_name = "DIR")]
    output: PathBuf,
    /// Seed of the machines and of the training
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

/// Two machines that fail in different ways: one turns, one clicks.
const MACHINES: [&str; 2] = ["fan", "valve"];

/// The study's autoencoders, shortened to minutes; relative paths start at the working folder.
fn configuration(data: &str, seed: u64) -> String {
    format!(
        "# The study's nine autoencoders on two synthetic machines, with a short training.\n\
         [data]\nroot = {data}\n\n\
         [task.autoencoder]\nhidden = 128\nbottleneck = 8\n\n\
         [train]\nepochs = 12\nbatch_size = 128\nseeds = [{seed}]\n\n\
         [train.optimizer]\nlr = 2e-3\n\n\
         [train.schedule]\nstep_epochs = 4\ngamma = 0.3\n\n\
         [grid]\n\"task.autoencoder.hidden\" = [64, 128, 256]\n\"task.autoencoder.bottleneck\" = [4, 8, 16]\n"
    )
}

/// Synthesise, train, evaluate, correlate.
pub fn run(args: &DemoArgs, context: &Context) -> Result<(), Failure> {
    let ui = &context.ui;
    let (data, runs) = (args.output.join("data"), args.output.join("runs"));
    ui.say(&format!("1/4 synthetic machines in {}", data.display()));
    let machines = MACHINES.map(str::to_owned).to_vec();
    let spec = SynthSpec { machines, seed: args.seed, ..SynthSpec::default() };
    let bar = ui.bar("clips", 0, "clips");
    synth::generate(&spec, &data, &|done, all| bar.at(done, all))?;
    bar.clear();

    let file = args.output.join("demo.toml");
    let quoted = toml::Value::String(data.display().to_string()).to_string();
    let text = configuration(&quoted, args.seed);
    crate::files::write(&file, text.as_bytes(), crate::files::Durability::Flushed)
        .map_err(study::Error::from)?;
    let resolved = config::load(&file, &[])?;
    let recordings = Recordings::open(&resolved.experiment.data, study::cache_folder(&runs), ui)?;
    let trials = study::trials(&resolved.expand()?, &recordings, &runs);
    ui.say(&format!("2/4 training {} autoencoders, 9 for each of {} machines", trials.len(), MACHINES.len()));
    // The promise of this command: the same result everywhere.
    let device = device::open(DeviceChoice::Cpu)?;
    let interrupt = Interrupt::listen();
    for trial in &trials {
        study::train(trial, &recordings, &device, &interrupt, ui)?;
        if interrupt.requested() {
            return Err(study::Error::Interrupted.into());
        }
    }
    ui.say("3/4 judging them: proxy metric, linear probe, Mahalanobis distance");
    let mut evaluations = Vec::new();
    let judge = Judge::new(&[], &device, ui);
    for trial in &trials {
        evaluations.push(judge.evaluate(&trial.folder)?);
        if interrupt.requested() {
            return Err(study::Error::Interrupted.into());
        }
    }
    ui.say("4/4 does a better autoencoder detect better?\n");
    let correlation = study::correlate(&evaluations);
    if context.format == Format::Json {
        let document = serde_json::json!({ "schema": 1, "runs": evaluations, "correlation": correlation });
        return context.print(|out| report::print(out, Format::Json, &Table::new(&[]), &document));
    }
    if let Some(correlation) = correlation {
        let (means, rho) = (means(&correlation), table(&correlation));
        context.print(|out| {
            report::print(out, context.format, &means, &())?;
            writeln!(out)?;
            report::print(out, context.format, &rho, &())?;
            writeln!(out)
        })?;
        ui.say(&remark(&correlation));
    }
    ui.say(&format!(
        "\nNext: {file} is the configuration; a run's folder below {runs} holds its weights, features and scores.\n\
         asdbench data {data}\nasdbench train {file} --runs {runs} --set task.autoencoder.hidden=32\n\
         asdbench train configs/ae.toml --set data.root=DIR   for your own machines",
        file = file.display(),
        runs = runs.display(),
        data = data.display(),
    ));
    Ok(())
}

/// The study's Table II: each configuration, averaged over the machines.
fn means(correlation: &Correlation) -> Table {
    let columns = [
        ("config", Align::Left),
        (correlation.proxy.as_str(), Align::Right),
        ("in-domain LP %", Align::Right),
        ("out-domain LP %", Align::Right),
        ("Mahalanobis %", Align::Right),
    ];
    let mut table = Table::new(&columns);
    let percent = |auc: Option<f64>| auc.map_or("-".to_owned(), |auc| format!("{:.2}", 100.0 * auc));
    for one in &correlation.configurations {
        let proxy = one.proxy.map_or("-".to_owned(), |value| format!("{value:.5}"));
        let aucs = [one.in_domain_lp, one.out_domain_lp, one.mahalanobis].map(percent);
        table.row([one.config.clone(), proxy].into_iter().chain(aucs));
    }
    table
}

/// The study's Table VII, one row a detection metric.
fn table(correlation: &Correlation) -> Table {
    let columns = [
        ("proxy against", Align::Left),
        ("n", Align::Right),
        ("rho", Align::Right),
        ("exact p", Align::Right),
    ];
    let mut table = Table::new(&columns);
    let rows = [
        ("in-domain LP", &correlation.in_domain_lp),
        ("out-domain LP", &correlation.out_domain_lp),
        ("Mahalanobis", &correlation.mahalanobis),
    ];
    let number = |value: Option<f64>, digits| value.map_or("-".to_owned(), |v| format!("{v:.digits$}"));
    for (name, found) in rows {
        table.row(vec![name.into(), correlation.n.to_string(), number(found.rho, 2), number(found.p, 4)]);
    }
    table
}

fn remark(correlation: &Correlation) -> String {
    let (better, proxy) =
        if correlation.higher_is_better { ("higher", "positive") } else { ("lower", "negative") };
    format!(
        "A {better} {} is better, so a {proxy} rho says that a better proxy detects better. \
         n = {} allows p >= {:.1e}. Two synthetic machines prove nothing about real ones.",
        correlation.proxy, correlation.n, correlation.smallest_p
    )
}
