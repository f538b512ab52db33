//! `asdbench import`: what a checkpoint is, and the same as a safetensors file.

mod tables;

use std::path::PathBuf;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};

use super::{Context, Failure};
use crate::nn::pretrained::random;
use crate::report::{self, Format};
use crate::study::pretrained;
use tables::{head, tensors};

/// Arguments of `asdbench import`.
#[derive(Args, Debug)]
pub struct ImportArgs {
    /// A .pt or .safetensors file of BEATs, EAT, CED, or of a ResNet in torchvision's names
    #[arg(value_name = "CHECKPOINT", required_unless_present = "random", conflicts_with = "random")]
    checkpoint: Option<PathBuf>,
    /// Write what the network takes as a safetensors file, with its configuration inside, and read it again
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Write a network of random weights to -o: it has learnt nothing, and all that is made with it says so
    #[arg(long, value_name = "NAME", requires = "output", value_parser = random_parser())]
    random: Option<String>,
    /// Seed of the random weights
    #[arg(long, default_value_t = 0, requires = "random", value_name = "N")]
    seed: u64,
}

fn random_parser() -> impl TypedValueParser<Value = String> {
    PossibleValuesParser::new(random::names())
}

/// Import, and say what it is; all tensors where more is to be said.
pub fn run(args: &ImportArgs, context: &Context) -> Result<(), Failure> {
    let imported = match (&args.random, &args.output, &args.checkpoint) {
        (Some(name), Some(output), _) => pretrained::random(name, args.seed, output)?,
        (_, output, Some(checkpoint)) => pretrained::import(checkpoint, output.as_deref())?,
        // Clap asks for one of the two, and for -o with the second.
        _ => return Ok(()),
    };
    context.print(|out| match context.format {
        Format::Json => report::print(out, Format::Json, &head(&imported), &imported),
        Format::Csv => report::print(out, Format::Csv, &tensors(&imported), &imported),
        format => {
            report::print(out, format, &head(&imported), &imported)?;
            if context.verbose > 0 {
                writeln!(out)?;
                report::print(out, format, &tensors(&imported), &imported)?;
            }
            Ok(())
        }
    })
}
