//! `asdbench extract`: what a pre-trained encoder says of clips, for other programs.

use std::path::PathBuf;

use clap::Args;

use super::listening::{ListeningOptions, network};
use super::{Context, DeviceOption, Failure};
use crate::config::TokenPool;
use crate::device;
use crate::report::{self, Align, Cell, Table};
use crate::study::pretrained::{self, ExtractRequest, Extraction, Overrides};

/// Arguments of `asdbench extract`.
#[derive(Args, Debug)]
pub struct ExtractArgs {
    /// A checkpoint file (see `asdbench import`), or the folder of a run of the family pretrained, whose settings are taken
    #[arg(value_name = "MODEL")]
    model: PathBuf,
    /// WAV files of any length, rate and number of channels, and folders of them
    #[arg(required = true, value_name = "WAV")]
    clips: Vec<PathBuf>,
    /// The .npz file for the arrays: embedding, clip, tokens; probabilities and label of a fine-tuned network
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Also every layer's tokens, as layer_00 and so on, shorter clips filled up with NaN behind their `tokens`; while it
    /// works it needs their room on the disk twice
    #[arg(long)]
    layers: bool,
    /// What an embedding keeps of a clip's tokens: their mean, the class token, mean and deviation, or each band's mean
    #[arg(long, value_name = "POOL", value_parser = super::listening::word::<TokenPool>(&["mean", "cls", "mean+std", "patch"]))]
    pool: Option<TokenPool>,
    /// The layer that embeddings are of, counted from 0; the last if not given
    #[arg(long, value_name = "N")]
    layer: Option<usize>,
    #[command(flatten)]
    listening: ListeningOptions,
    #[command(flatten)]
    device: DeviceOption,
}

/// Extract, and say what was written.
pub fn run(args: &ExtractArgs, context: &Context) -> Result<(), Failure> {
    let device = device::open(args.device.device)?;
    let request = ExtractRequest {
        model: &args.model,
        clips: &args.clips,
        output: &args.output,
        layers: args.layers,
        overrides: Overrides { pool: args.pool, layer: args.layer, ..args.listening.overrides() },
    };
    let extraction = pretrained::extract(&request, &device, &context.ui)?;
    let table = table(&extraction);
    context.print(|out| report::print(out, context.format, &table, &extraction))
}

/// One row.
fn table(extraction: &Extraction) -> Table {
    let [least, most] = extraction.tokens;
    let tokens = if least == most { least.to_string() } else { format!("{least}-{most}") };
    let mut table = Table::new(&[
        ("network", Align::Left),
        ("clips", Align::Right),
        ("left out", Align::Right),
        ("dim", Align::Right),
        ("tokens", Align::Right),
        ("seconds", Align::Right),
        ("clips/s", Align::Right),
        ("written to", Align::Left),
    ]);
    table.row([
        network(extraction.architecture, extraction.random).into(),
        extraction.clips.to_string().into(),
        extraction.bad.len().to_string().into(),
        extraction.dim.to_string().into(),
        tokens.into(),
        Cell::number(extraction.duration_s, 1),
        Cell::number(extraction.clips_per_s, 2),
        extraction.output.as_str().into(),
    ]);
    table
}
