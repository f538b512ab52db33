//! `asdbench sweep-worker`: what a sweep starts; not for people.

use std::ffi::OsString;

use clap::Args;

use crate::cli::{Context, Failure, RunOptions};
use crate::study::sweep;

/// Arguments of `asdbench sweep-worker`.
#[derive(Args, Debug)]
pub struct WorkerArgs {
    #[command(flatten)]
    options: RunOptions,
    /// The command line of the sweep, for the runs' manifests, which keep the process's arguments
    #[arg(last = true)]
    _of: Vec<OsString>,
}

/// Work until standard input closes.
pub fn work(args: &WorkerArgs, context: &Context) -> Result<(), Failure> {
    Ok(sweep::work(&args.options.runs, args.options.device.device, &context.ui)?)
}
