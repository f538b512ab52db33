//! `asdbench data preview-augment`: views of a clip, for ears and eyes.

use std::path::PathBuf;

use clap::Args;

use super::{Context, Failure};
use crate::config;
use crate::report::{self, Align, Cell, Table};
use crate::study::{self, PreviewRequest, View};

/// Arguments of `asdbench data preview-augment`.
#[derive(Args, Debug)]
pub struct PreviewAugmentArgs {
    /// The clip, a WAV file
    clip: PathBuf,
    /// Folder for original.wav, view-1.wav and so on, views.svg and views.json
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
    /// Configuration of a contrastive family, whose views are made; the defaults, on the whole clip, where not given
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Number of views
    #[arg(long, default_value_t = 4, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=99))]
    views: u64,
    /// Seed: the same gives the same views
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

/// Make and write the views, and say what was drawn for each.
pub fn run(args: &PreviewAugmentArgs, context: &Context) -> Result<(), Failure> {
    let resolved = args.config.as_ref().map(|path| config::load(path, &[])).transpose()?;
    let preview = study::preview(&PreviewRequest {
        clip: &args.clip,
        output: &args.output,
        experiment: resolved.as_ref().map(|resolved| &resolved.experiment),
        views: args.views,
        seed: args.seed,
    })?;
    let table = table(&preview.views);
    context.print(|out| report::print(out, context.format, &table, &preview))?;
    context.ui.say(&format!("written to {}: open views.svg, listen to the WAV files", args.output.display()));
    Ok(())
}

/// A row a view.
fn table(views: &[View]) -> Table {
    let columns = [
        ("view", Align::Left),
        ("from s", Align::Right),
        ("noise SNR dB", Align::Right),
        ("speed", Align::Right),
        ("semitones", Align::Right),
        ("masked s", Align::Left),
        ("masked Hz", Align::Left),
    ];
    let mut table = Table::new(&columns);
    for view in views {
        let plan = &view.plan;
        table.row([
            Cell::from(view.name.as_str()),
            Cell::number(view.from_s, 2),
            plan.noise.map_or_else(Cell::none, |noise| Cell::number(noise.snr_db, 1)),
            if plan.speed == 1.0 { Cell::none() } else { Cell::number(plan.speed, 3) },
            if plan.semitones == 0.0 { Cell::none() } else { Cell::number(plan.semitones, 2) },
            ranges(&view.masked_s, 2),
            ranges(&view.masked_hz, 0),
        ]);
    }
    table
}

fn ranges(ranges: &[[f64; 2]], decimals: usize) -> Cell {
    if ranges.is_empty() {
        return Cell::none();
    }
    let range = |[from, to]: &[f64; 2]| format!("{from:.decimals$} to {to:.decimals$}");
    ranges.iter().map(range).collect::<Vec<_>>().join(", ").into()
}
