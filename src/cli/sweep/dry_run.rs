//! `asdbench sweep --dry-run`: what would be done, and how long it would take.

use std::time::Duration;

use serde::Serialize;

use crate::cli::{Context, Failure};
use crate::report::{self, Align, Cell, Table};
use crate::run::RunFolder;
use crate::study::sweep::{self, Estimate, Standing, Sweep, SweepTrial, WorkerCommand};
use crate::train::Interrupt;
use crate::ui::{self, Ui};

/// One row.
#[derive(Serialize)]
struct Planned {
    path: String,
    family: String,
    config: String,
    machine: String,
    seed: u64,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    /// Whether the sounds that it hears are in the cache.
    cached: bool,
    /// About how long it takes; `null` where it was not tried.
    seconds: Option<f64>,
}

/// Print every trial and where it stands; `workers` are those that would do it, one of which tries each configuration where
/// `probe` is set.
pub fn print(
    sweep: &Sweep<'_>,
    workers: &[WorkerCommand],
    probe: bool,
    ui: &Ui,
    context: &Context,
) -> Result<(), Failure> {
    let standings = sweep.scan();
    let estimate = match workers {
        [first, ..] if probe => Some(sweep::estimate(sweep, &standings, first, &Interrupt::listen())?),
        _ => None,
    };
    let mut table = Table::new(&[
        ("family", Align::Left),
        ("machine", Align::Left),
        ("config", Align::Left),
        ("seed", Align::Right),
        ("state", Align::Left),
        ("sounds cached", Align::Left),
        ("seconds", Align::Right),
        ("path", Align::Left),
    ]);
    let mut planned = Vec::new();
    for (n, (one, standing)) in sweep.trials().iter().zip(standings).enumerate() {
        let seconds = estimate.as_ref().and_then(|estimate| estimate.seconds[n]);
        let row = plan(one, standing.map_err(|e| e.to_string()), seconds);
        if let Some(why) = &row.why {
            ui.warn(&format!("{}: {why}", row.path));
        }
        let mut cells: Vec<Cell> =
            [&row.family, &row.machine, &row.config].map(|text| text.as_str().into()).into();
        let cached = if row.cached { "yes" } else { "no" };
        cells.extend([row.seed.to_string().into(), row.state.into(), cached.into()]);
        cells.extend([row.seconds.map_or_else(Cell::none, |s| Cell::number(s, 1)), row.path.as_str().into()]);
        table.row(cells);
        planned.push(row);
    }
    let total = estimate.map(|estimate| total(&estimate, workers.len(), ui));
    let document = serde_json::json!({
        "schema": 1,
        "dry_run": true,
        "study": sweep.plan().name,
        "workers": workers.len(),
        "seconds": total,
        "runs": planned,
    });
    context.print(|out| report::print(out, context.format, &table, &document))
}

fn plan(one: &SweepTrial<'_>, standing: Result<Standing, String>, seconds: Option<f64>) -> Planned {
    let trial = &one.trial;
    let (state, why) = match standing {
        Ok(standing) => (standing.word(), None),
        Err(why) => ("refused", Some(why)),
    };
    Planned {
        path: trial.folder.path().display().to_string(),
        family: trial.experiment.family().to_owned(),
        config: RunFolder::config_name(&trial.experiment),
        machine: trial.machine.clone(),
        seed: trial.seed,
        state,
        why,
        cached: one.is_cached(),
        seconds,
    }
}

/// Seconds of all that could be estimated, shared by the workers; says it in words.
fn total(estimate: &Estimate, workers: usize, ui: &Ui) -> f64 {
    for (config, why) in &estimate.refused {
        ui.warn(&format!("{config} is not in the estimate: {why}"));
    }
    let seconds = estimate.seconds.iter().flatten().sum::<f64>() / workers as f64;
    let by = if workers == 1 { "one worker".to_owned() } else { format!("{workers} workers") };
    let words = Duration::try_from_secs_f64(seconds).map_or_else(|_| "an age".into(), ui::in_words);
    ui.say(&format!(
        "about {words} with {by}, as far as a few clips tell; sounds that are not cached come on top"
    ));
    seconds
}
