//! `asdbench separate`: a trained separator at work on a recording.

use std::path::PathBuf;

use clap::Args;

use super::{Context, DeviceOption, Failure};
use crate::device;
use crate::report::{self, Align, Cell, Table};
use crate::study::{self, Separation, SeparationRequest};

/// Arguments of `asdbench separate`.
#[derive(Args, Debug)]
pub struct SeparateArgs {
    /// A trained run of the separation family, or a folder above one such run
    #[arg(value_name = "RUN")]
    run: PathBuf,
    /// The recording, a WAV file of any length, rate and number of channels
    #[arg(value_name = "MIXTURE")]
    mixture: PathBuf,
    /// Folder for MIXTURE.estimate.wav, what is the machine's, and MIXTURE.residual.wav, the rest
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
    /// The machine alone, as long as the recording: says the SI-SDR before and after
    #[arg(long, value_name = "CLEAN")]
    target: Option<PathBuf>,
    #[command(flatten)]
    device: DeviceOption,
}

/// Separate, and say where the result is and how good it is.
pub fn run(args: &SeparateArgs, context: &Context) -> Result<(), Failure> {
    let device = device::open(args.device.device)?;
    let request = SeparationRequest {
        run: &args.run,
        mixture: &args.mixture,
        target: args.target.as_deref(),
        output: &args.output,
    };
    let separation = study::separate(&request, &device, &context.ui)?;
    if let Some(why) = separation.si_sdr.as_ref().and_then(|ratio| ratio.why.as_ref()) {
        context.ui.warn(why);
    }
    let table = table(&separation);
    context.print(|out| report::print(out, context.format, &table, &separation))
}

/// One row.
fn table(separation: &Separation) -> Table {
    let mut columns = vec![("machine", Align::Left), ("seconds", Align::Right), ("rate Hz", Align::Right)];
    let mut row = vec![
        Cell::from(separation.machine.as_str()),
        Cell::number(separation.duration_s, 2),
        separation.rate_hz.to_string().into(),
    ];
    if let Some(ratio) = &separation.si_sdr {
        let decibels = |value: Option<f64>| value.map_or_else(Cell::none, |value| Cell::number(value, 2));
        for (name, value) in [
            ("SI-SDR before dB", ratio.before_db),
            ("after dB", ratio.after_db),
            ("improvement dB", ratio.improvement_db),
        ] {
            columns.push((name, Align::Right));
            row.push(decibels(value));
        }
    }
    for (name, path) in [("estimate", &separation.estimate), ("residual", &separation.residual)] {
        columns.push((name, Align::Left));
        row.push(path.as_str().into());
    }
    let mut table = Table::new(&columns);
    table.row(row);
    table
}
