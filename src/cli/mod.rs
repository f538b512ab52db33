//! The command line: one command, one file. Parses, calls one function, turns its error into an exit code.

mod compare;
mod config;
mod correlate;
mod data;
mod demo;
mod devices;
mod eval;
mod exit;
mod extract;
mod fuse;
mod import;
mod listening;
mod preview_augment;
mod report;
mod score;
mod separate;
mod shell;
mod sweep;
mod synth;
mod train;
mod verify;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::device::{self, DeviceChoice};
use crate::report::Format;
use crate::ui::{LogWriter, Ui};
pub use exit::Failure;

/// Train proxy tasks on normal machine sounds, score anomalies, and see whether the two agree.
#[derive(Parser, Debug)]
#[command(name = "asdbench", version, max_term_width = 100, after_help = AFTER_HELP)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    common: Common,
}

const AFTER_HELP: &str = "New here? `asdbench demo` goes the whole way on synthetic machines, in minutes.\n\
    Exit codes: 0 done, 1 internal error, 2 usage, 3 config, 4 data, 5 device, 6 some runs failed, 130 interrupted.";

/// Options of every command.
#[derive(Args, Debug)]
struct Common {
    /// How results are printed on standard output
    #[arg(long, global = true, value_enum, default_value_t, value_name = "FORMAT")]
    format: Format,
    /// Say warnings and errors only
    #[arg(short, long, global = true)]
    quiet: bool,
    /// Say more; twice for everything
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
    /// Draw no progress bars
    #[arg(long, global = true)]
    no_progress: bool,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Write synthetic machine clips in the DCASE 2022 layout
    Synth(synth::SynthArgs),
    /// Index a data set: counts, lengths, rates, problems
    Data(data::DataArgs),
    /// Train one configuration for every selected machine and seed
    Train(train::TrainArgs),
    /// Train and judge every trial of a study; goes on where it was stopped
    Sweep(sweep::SweepArgs),
    /// Does what a sweep says on its standard input
    #[command(hide = true)]
    SweepWorker(sweep::WorkerArgs),
    /// Judge trained runs: proxy metric, features, linear probe, Mahalanobis distance
    Eval(eval::EvalArgs),
    /// Separate a machine from a recording with a trained run, as WAV files to listen to
    Separate(separate::SeparateArgs),
    /// Rank correlation of proxy and detection, family by family, with exact p
    Correlate(correlate::CorrelateArgs),
    /// Tables, figures and one self-contained HTML page of many runs
    Report(report::ReportArgs),
    /// Check runs: every file against its hash, every number against the files that it comes from
    Verify(verify::VerifyArgs),
    /// The challenge's official metrics of score and decision files
    Score(score::ScoreArgs),
    /// Paired difference of two systems, with its interval
    Compare(compare::CompareArgs),
    /// Tune weights of several systems, and fuse their scores
    Fuse(fuse::FuseArgs),
    /// Describe a checkpoint of BEATs, EAT, CED or a ResNet; -o converts it to safetensors
    Import(import::ImportArgs),
    /// Embeddings of WAV files from a pre-trained encoder, as a .npz file
    Extract(extract::ExtractArgs),
    /// The whole way on synthetic machines, in minutes, on the CPU
    Demo(demo::DemoArgs),
    /// List what can compute here, and which one `auto` takes
    Devices(devices::DevicesArgs),
    /// Show and check configurations, print their schema
    Config(config::ConfigArgs),
    /// Print shell completions
    Completions(shell::CompletionsArgs),
    /// Print the manual page
    Man,
}

/// Where runs are, and what computes.
#[derive(Args, Debug)]
struct RunOptions {
    /// Folder of the runs and their cache
    #[arg(long, default_value = "runs", value_name = "DIR")]
    runs: PathBuf,
    #[command(flatten)]
    device: DeviceOption,
}

/// What computes.
#[derive(Args, Debug)]
struct DeviceOption {
    /// auto, cpu, gpu or gpu:N (see `asdbench devices`)
    #[arg(long, default_value = "auto", value_name = "DEVICE")]
    device: DeviceChoice,
}

/// What every command gets beside its own arguments.
struct Context {
    format: Format,
    /// How often `-v` was given.
    verbose: u8,
    ui: Ui,
}

impl Context {
    /// Write a result to standard output.
    fn print(&self, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Failure> {
        let mut out = io::BufWriter::new(io::stdout().lock());
        write(&mut out).and_then(|()| out.flush()).map_err(Failure::Output)
    }
}

/// Run the program on the process's arguments.
pub fn main() -> ExitCode {
    if let Err(error) = crate::faults::prepare() {
        let _ = writeln!(io::stderr(), "error: {error}");
        return ExitCode::from(exit::USAGE);
    }
    crate::process::prepare();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        // Help and version too: clap knows the stream and the code (0 or 2).
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let context = Context {
        format: cli.common.format,
        verbose: cli.common.verbose,
        ui: Ui::new(cli.common.quiet, !cli.common.no_progress),
    };
    log(&cli.common, &context.ui);
    // Before any matrix product: OpenBLAS's own threads would fight with rayon's, and their number change the bits.
    crate::linalg::use_one_blas_thread();
    match device::watch(None, || run(&cli.command, &context)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

fn run(command: &Command, context: &Context) -> Result<(), Failure> {
    match command {
        Command::Synth(args) => synth::run(args, context),
        Command::Data(args) => data::run(args, context),
        Command::Train(args) => train::run(args, context),
        Command::Sweep(args) => sweep::run(args, context),
        Command::SweepWorker(args) => sweep::work(args, context),
        Command::Eval(args) => eval::run(args, context),
        Command::Separate(args) => separate::run(args, context),
        Command::Correlate(args) => correlate::run(args, context),
        Command::Report(args) => report::run(args, context),
        Command::Verify(args) => verify::run(args, context),
        Command::Score(args) => score::run(args, context),
        Command::Compare(args) => compare::run(args, context),
        Command::Fuse(args) => fuse::run(args, context),
        Command::Import(args) => import::run(args, context),
        Command::Extract(args) => extract::run(args, context),
        Command::Demo(args) => demo::run(args, context),
        Command::Devices(args) => devices::run(args, context),
        Command::Config(args) => config::run(args, context),
        Command::Completions(args) => shell::completions(args, context),
        Command::Man => shell::man(context),
    }
}

/// Warnings of the rooms below go through the same door as everything else on standard error.
fn log(common: &Common, ui: &Ui) {
    let level = match (common.quiet, common.verbose) {
        (true, _) => "error,asdbench=warn",
        (false, 0) => "error,asdbench=warn",
        (false, 1) => "warn,asdbench=info",
        (false, _) => "info,asdbench=debug",
    };
    let filter = tracing_subscriber::EnvFilter::try_from_env("ASDBENCH_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(level));
    let ui = ui.clone();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .without_time()
        .with_target(false)
        .with_ansi(false)
        .with_writer(move || LogWriter(ui.clone()))
        .init();
}
