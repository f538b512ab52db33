//! `asdbench synth`: synthetic machines.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{Context, Failure};
use crate::dataset::synth::{self, SynthSpec};
use crate::report::{self, Align, Table};

/// Arguments of `asdbench synth`.
#[derive(Args, Debug)]
pub struct SynthArgs {
    /// Folder to write; the data set's root
    dir: PathBuf,
    /// How much
    #[arg(long, value_enum, default_value_t)]
    preset: Preset,
    /// Machine types, separated by commas; all seven where not given
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    machines: Vec<String>,
    /// Seed: the same gives the same bytes
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// 0 = loud faults in little noise, 1 = faint faults in much noise
    #[arg(long, default_value_t = SynthSpec::default().difficulty)]
    difficulty: f64,
    /// Length of a clip in seconds
    #[arg(long, value_name = "SECONDS")]
    duration_s: Option<f64>,
    /// Train clips per section
    #[arg(long, value_name = "N")]
    train_per_section: Option<usize>,
    /// Test clips per section
    #[arg(long, value_name = "N")]
    test_per_section: Option<usize>,
    /// Sample rate in Hz
    #[arg(long, default_value_t = SynthSpec::default().rate_hz)]
    rate_hz: u32,
}

/// How much to generate.
#[derive(ValueEnum, Debug, Clone, Copy, Default)]
enum Preset {
    /// 3 sections of 40 train and 32 test clips of 2 s: seconds to train on
    #[default]
    Tiny,
    /// 3 sections of 100 train and 60 test clips of 10 s
    Smoke,
    /// The study's counts: 6 sections of 1,000 train clips of 10 s, 3 of them with 200 test clips; 15 GB
    Study,
}

/// Generate, and say what there is now.
pub fn run(args: &SynthArgs, context: &Context) -> Result<(), Failure> {
    let spec = SynthSpec {
        preset: match args.preset {
            Preset::Tiny => synth::Preset::Tiny,
            Preset::Smoke => synth::Preset::Smoke,
            Preset::Study => synth::Preset::Study,
        },
        machines: args.machines.clone(),
        seed: args.seed,
        difficulty: args.difficulty,
        duration_s: args.duration_s,
        train_per_section: args.train_per_section,
        test_per_section: args.test_per_section,
        rate_hz: args.rate_hz,
    };
    let bar = context.ui.bar("clips", 0, "clips");
    let made = synth::generate(&spec, &args.dir, &|done, all| bar.at(done, all))?;
    bar.clear();
    let columns = [
        ("machine", Align::Left),
        ("sections", Align::Right),
        ("train clips", Align::Right),
        ("test clips", Align::Right),
        ("seconds each", Align::Right),
    ];
    let mut table = Table::new(&columns);
    let machines = made.machines.len().max(1);
    for machine in &made.machines {
        let (train, test) = (made.train_clips / machines, made.test_clips / machines);
        let numbers =
            [made.sections.to_string(), train.to_string(), test.to_string(), made.duration_s.to_string()];
        table.row([machine.clone()].into_iter().chain(numbers));
    }
    let mut document = serde_json::json!({ "schema": 1, "spec": spec });
    document["made"] = serde_json::to_value(&made).unwrap_or_default();
    context.print(|out| report::print(out, context.format, &table, &document))?;
    context.ui.say(&format!(
        "next: asdbench data {0}, then asdbench train CONFIG --set data.root={0}",
        args.dir.display()
    ));
    Ok(())
}
