//! `asdbench eval --labels`: mAP of fine-tuned encoders, measured on clips whose labels are known.

use std::path::{Path, PathBuf};

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};

use crate::cli::listening::{ListeningOptions, network};
use crate::cli::{Context, Failure};
use crate::device::OpenDevice;
use crate::report::{self, Align, Cell, Format, Table};
use crate::study::Error;
use crate::study::pretrained::{LabelsRequest, Measured, Measuring, OnMissing};

/// Options of `asdbench eval --labels`.
#[derive(Args, Debug)]
pub struct LabelOptions {
    /// Measure the mAP of fine-tuned checkpoints: CSV is an AudioSet segments file, or a table with columns clip and labels.
    /// Nothing is written
    #[arg(long, value_name = "CSV", conflicts_with_all = ["sets", "submission"])]
    pub labels: Option<PathBuf>,
    /// Folder of the clips: a table's paths start there, AudioSet's segments are found by name (YTID.wav, YYTID.wav,
    /// YTID_START.wav, YTID_START_END.wav in s or ms); the CSV's own if not given
    #[arg(long, value_name = "DIR", requires = "labels")]
    clips: Option<PathBuf>,
    /// AudioSet's class_labels_indices.csv, for checkpoints that do not name their classes, and for labels that are numbers
    #[arg(long, value_name = "CSV", requires = "labels")]
    classes: Option<PathBuf>,
    /// What to do with clips of the CSV that are not there
    #[arg(long, value_name = "WHAT", default_value = "error", requires = "labels", value_parser = missing_parser())]
    missing: OnMissing,
    #[command(flatten)]
    listening: ListeningOptions,
}

impl LabelOptions {
    /// Whether there is an option that says how clips are heard.
    pub fn are_given(&self) -> bool {
        self.listening.are_given()
    }
}

fn missing_parser() -> impl TypedValueParser<Value = OnMissing> {
    PossibleValuesParser::new(["error", "skip"])
        .map(|word| if word == "skip" { OnMissing::Skip } else { OnMissing::Error })
}

/// Measure every checkpoint; one that fails leaves the others.
pub fn run(
    (labels, options): (&PathBuf, &LabelOptions),
    named: &[PathBuf],
    device: &OpenDevice,
    context: &Context,
) -> Result<(), Failure> {
    let request = LabelsRequest {
        labels,
        clips: options.clips.as_deref(),
        classes: options.classes.as_deref(),
        missing: options.missing,
        overrides: options.listening.overrides(),
    };
    let measuring = Measuring::open(request, &context.ui)?;
    let targets = measuring.targets(named)?;
    let (mut measured, mut failures) = (Vec::new(), Vec::new());
    for target in &targets {
        match measuring.measure(target, device, &context.ui) {
            Ok(one) => measured.push(one),
            Err(error) => {
                super::warn(target.checkpoint(), &error, targets.len(), context);
                failures.push((target.checkpoint(), error));
            }
        }
    }
    if !measured.is_empty() || context.format == Format::Json {
        let mut document = serde_json::json!({ "schema": 1, "models": measured });
        if !failures.is_empty() {
            let one = |(path, error): &(&Path, Error)| super::failed_entry(path, error);
            document["failed"] = failures.iter().map(one).collect();
        }
        measured.iter().filter_map(|one| one.why.as_ref()).for_each(|why| context.ui.warn(why));
        let table = table(&measured);
        context.print(|out| report::print(out, context.format, &table, &document))?;
    }
    super::ended(failures, targets.len())
}

/// One row a checkpoint.
fn table(measured: &[Measured]) -> Table {
    let mut table = Table::new(&[
        ("checkpoint", Align::Left),
        ("network", Align::Left),
        ("mAP %", Align::Right),
        ("clips", Align::Right),
        ("missing", Align::Right),
        ("left out", Align::Right),
        ("classes", Align::Right),
        ("with clips", Align::Right),
        ("unknown labels", Align::Right),
    ]);
    for one in measured {
        let network = network(one.architecture, one.random);
        let mut row = vec![Cell::from(one.checkpoint.as_str()), network.into()];
        row.push(one.map.map_or_else(Cell::none, Cell::percent));
        let counts = [
            one.clips,
            one.missing.count,
            one.bad.len(),
            one.classes,
            one.classes_with_positives,
            one.unknown_labels.len(),
        ];
        row.extend(counts.map(|count| count.to_string().into()));
        table.row(row);
    }
    table
}
