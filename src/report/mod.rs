//! Results for people and programs: one table, five forms.

mod cell;
pub mod figure;
mod npz;
pub mod page;
mod spectrogram;
mod svg;
mod table;
mod viridis;

pub use cell::Cell;
pub use npz::{NpzWriter, Spool, npz_matrix};
pub use spectrogram::{Panel, spectrograms};
pub(crate) use table::markdown_escape;
pub use table::{Align, Table};

use std::io::{self, Write};

use clap::ValueEnum;
use serde::Serialize;

/// How a result is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Format {
    /// Aligned columns, for a terminal.
    #[default]
    Table,
    /// One JSON document, numbers in full precision.
    Json,
    /// Comma-separated values.
    Csv,
    /// A Markdown table.
    Md,
    /// A LaTeX `tabular` with booktabs rules.
    Latex,
}

/// Print `table`, or `document` where JSON is asked for.
///
/// # Errors
/// When `out` does not take it.
pub fn print(
    out: &mut dyn Write,
    format: Format,
    table: &Table,
    document: &impl Serialize,
) -> io::Result<()> {
    match format {
        Format::Table => write!(out, "{}", table.text()),
        Format::Json => {
            serde_json::to_writer_pretty(&mut *out, document)?;
            writeln!(out)
        }
        Format::Csv => out.write_all(&table.csv()?),
        Format::Md => write!(out, "{}", table.markdown()),
        Format::Latex => write!(out, "{}", table.latex()),
    }
}
