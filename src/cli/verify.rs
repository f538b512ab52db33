//! `asdbench verify`: whether runs are what they say.

use std::collections::HashSet;
use std::path::PathBuf;

use clap::Args;

use super::{Context, Failure};
use crate::report::{self, Align, Table};
use crate::run::RunFolder;
use crate::study::Error;
use crate::study::verify::{Checked, State, verify};

/// Arguments of `asdbench verify`.
#[derive(Args, Debug)]
#[command(after_help = AFTER_HELP)]
pub struct VerifyArgs {
    /// A run's folder, or any folder above some runs
    #[arg(required = true, value_name = "RUN")]
    runs: Vec<PathBuf>,
}

const AFTER_HELP: &str = "Reads only. Every file of a run is compared with the hash that was kept of it; AUCs, official metrics,\n\
    decisions and the linear probe are derived again from scores.csv and features.npz and compared with eval.json to\n\
    the last digit. Proxy metrics need the recordings: for them stands eval.json's own checksum.\n\
    A run is sound, unverifiable (of an earlier version, without hashes), not judged, unfinished or damaged.\n\
    Exit code 4 where one is damaged, with the remedy.";

/// Check every run, and say what is wrong.
pub fn run(args: &VerifyArgs, context: &Context) -> Result<(), Failure> {
    let mut folders = Vec::new();
    for above in &args.runs {
        folders.extend(RunFolder::find_traces(above).map_err(Error::from)?);
    }
    // One run may be named in several ways: `runs`, `./runs`, a link to it.
    let mut seen = HashSet::new();
    folders.retain(|folder| {
        seen.insert(folder.path().canonicalize().unwrap_or_else(|_| folder.path().to_owned()))
    });
    let checked = verify(&folders, &context.ui);
    let counts: serde_json::Map<String, serde_json::Value> = State::ALL
        .into_iter()
        .map(|state| (state.label().replace(' ', "_"), count(&checked, state).into()))
        .collect();
    let document = serde_json::json!({ "schema": 1, "runs": checked, "counts": counts });
    context.print(|out| report::print(out, context.format, &table(&checked), &document))?;
    for one in &checked {
        one.notes.iter().for_each(|note| context.ui.say(&format!("{}: {note}", one.path)));
    }
    let lines: Vec<String> = checked
        .iter()
        .flat_map(|one| one.problems.iter().map(move |problem| (one, problem)))
        .map(|(one, problem)| format!("  {}/{}: {}; {}", one.path, problem.file, problem.why, problem.remedy))
        .collect();
    match count(&checked, State::Damaged) {
        0 => Ok(()),
        damaged => Err(Failure::Damaged { damaged, all: checked.len(), list: lines.join("\n") }),
    }
}

fn count(checked: &[Checked], state: State) -> usize {
    checked.iter().filter(|one| one.state == state).count()
}

/// One row a run.
fn table(checked: &[Checked]) -> Table {
    let mut table = Table::new(&[
        ("run", Align::Left),
        ("state", Align::Left),
        ("files", Align::Right),
        ("numbers", Align::Right),
        ("problems", Align::Right),
    ]);
    for one in checked {
        let counts = [one.files, one.numbers, one.problems.len()].map(|count| count.to_string());
        table.row([one.path.clone(), one.state.label().to_owned()].into_iter().chain(counts));
    }
    table
}
