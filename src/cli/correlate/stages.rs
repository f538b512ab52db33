//! `asdbench correlate --stages`: the alignment verification protocol of each family.

use std::io::{self, Write};

use super::Judged;
use crate::cli::{Context, Failure};
use crate::printable;
use crate::report::{self, Align, Format, Table};
use crate::study::protocol::Stages;

/// Print them, as paragraphs for people and as a table for documents.
pub(super) fn print(judged: &[Judged], context: &Context) -> Result<(), Failure> {
    let table = table(judged);
    context.print(|out| match context.format {
        Format::Table => write(judged, out),
        format => report::print(out, format, &table, &()),
    })
}

/// A paragraph for each family: the verdicts, each with a line for every piece of evidence.
pub(super) fn write(judged: &[Judged], out: &mut dyn Write) -> io::Result<()> {
    for (place, (family, stages)) in judged.iter().enumerate() {
        let gap = if place > 0 { "\n" } else { "" };
        writeln!(out, "{gap}{}", printable::line(&family.family))?;
        for (stage, verdict, evidence) in parts(stages) {
            writeln!(out, "  {stage}: {verdict}")?;
            for sentence in evidence {
                writeln!(out, "    {}", printable::line(sentence))?;
            }
        }
        writeln!(out, "  verdict: {}", printable::line(&stages.verdict))?;
    }
    Ok(())
}

/// The stages by name: verdict and evidence.
fn parts(stages: &Stages) -> [(&'static str, &'static str, &[String]); 3] {
    let Stages { health, representation, correlation, .. } = stages;
    [
        ("1 health", health.verdict.word(), &health.evidence),
        ("2 representation", representation.verdict.word(), &representation.evidence),
        ("3 correlation", correlation.verdict.word(), &correlation.evidence),
    ]
}

/// One row for each family and stage.
fn table(judged: &[Judged]) -> Table {
    let columns = ["family", "stage", "verdict", "evidence"].map(|name| (name, Align::Left));
    let mut table = Table::new(&columns);
    for (family, stages) in judged {
        for (stage, verdict, evidence) in parts(stages) {
            table.row([family.family.as_str(), stage, verdict, &evidence.join("; ")]);
        }
        table.row([family.family.as_str(), "all", "", &stages.verdict]);
    }
    table
}
