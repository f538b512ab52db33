//! Score-level fusion of runs and of anybody's score files, from a configuration to a folder of results.
//!
//! ```text
//! scores (no labels) -> parts -> labels of the tuning clips -> weights -> fused scores -> labels of the others -> numbers
//! ```
//!
//! The labels of clips that are not tuned on are read once weights and thresholds are final, and by nobody before:
//! `labels::of_applied` takes a `Decided`, which only the end of a search gives.

mod align;
mod choice;
mod decide;
mod document;
mod error;
mod figures;
mod judging;
mod labels;
mod prepare;
mod runs;
mod systems;
mod tables;
mod write;

use std::collections::BTreeSet;
use std::path::Path;

use crate::config::{FusionConfig, ValidateOver};
use crate::fusion::{
    self, Complementarity, Over, Part, Plan, Prepared, Search, Tuned, TuningSet, Validation, Weights,
};
use crate::official::ScoredClip;
use crate::report::Table;
use crate::stats::{Method, Settings};
use crate::ui::Ui;
use decide::Decided;
pub use decide::Threshold;
pub use document::{
    AppliedTo, BaselineResult, ComplementarityResult, Document, Estimate, FoldResult, Honest, MachineRow,
    Normalisation, PairResult, TableOne, TunedOn, WithoutResult,
};
pub use error::Error;
use judging::Judging;
use prepare::Inputs;
pub use prepare::{Planned, PlannedSection};

/// Which fusion, and where it goes.
#[derive(Clone, Copy)]
pub struct FuseRequest<'a> {
    /// What is fused, and how.
    pub config: &'a FusionConfig,
    /// Folder for the results; made where it is not there.
    pub output: &'a Path,
    /// Where progress and warnings go.
    pub ui: &'a Ui,
}

/// What a fusion found, with its tables for people.
#[derive(Clone, Debug)]
pub struct Fused {
    /// Everything, for programs.
    pub document: Document,
    /// Tables with their titles: Table 1, the weights, the complementarity.
    pub tables: Vec<(String, Table)>,
}

/// What would be fused, without a look at any label.
///
/// # Errors
/// As [`fuse`], as far as it goes.
pub fn plan(config: &FusionConfig) -> Result<Planned, Error> {
    Ok(Inputs::read(config)?.planned())
}

/// Tune weights, apply them, judge what comes of it, and write everything into the folder.
///
/// # Errors
/// Systems that cannot be read or do not fit together, a normalisation without its scores, tuning clips without labels, a
/// folder that cannot be written. Clips to be judged without labels are none: they are scored, and the numbers are missing.
pub fn fuse(request: &FuseRequest<'_>) -> Result<Fused, Error> {
    let FuseRequest { config, output, ui } = *request;
    let inputs = Inputs::read(config)?;
    write::check(output, &inputs.systems.folders)?;
    let mut notes = inputs.notes.clone();
    let truth = config.official.truth.as_deref();
    let applied = inputs.applied();

    let (parts, labels) = labels::of_tuning(&inputs, truth, &mut notes)?;
    let branches = inputs.plan.hierarchy.branches().to_vec();
    let raw = TuningSet::new(inputs.systems.year, branches, parts, labels)?;
    let prepared = inputs.plan.fit(&raw, &applied)?;
    notes.extend(prepared.notes().iter().cloned());
    let tuning = prepared.tuning(&raw)?;
    notes.extend(reversed(&tuning));
    let bar = ui.bar("tuning", inputs.search.evaluations as u64, "evaluations");
    let tuned = fusion::tune(&tuning, &inputs.search, &|done, of| bar.at(done, of));
    bar.clear();
    let tuned = tuned?;
    let settings = Settings {
        seed: config.seed,
        resamples: config.validate.resamples,
        level: config.validate.confidence,
        method: Method::default(),
    };
    let validation = validate(config, &raw, &inputs.plan, &inputs.search, settings, ui)?;
    let complementarity = complement(&tuning, &tuned, &inputs.search, ui)?;

    let ready = applied.iter().map(|part| prepared.part(part)).collect::<Result<Vec<_>, fusion::Error>>()?;
    let machines: BTreeSet<&String> = ready.iter().map(|part| &part.machine).collect();
    let training_scores = inputs.training.as_ref();
    let decided = Decided::of(&tuned, &prepared, training_scores, &tuning, machines.into_iter())?;
    let submission = submission(&decided, &ready)?;

    let known = labels::of_applied(&decided, &inputs, truth, &mut notes)?;
    let judging = Judging { inputs: &inputs, tuned: &tuned, decided: &decided, settings };
    let document = judging.document(&ready, known, &tuning, validation, &complementarity, notes)?;
    let training = training(decided.weights(), &prepared, &inputs)?;
    let tables = tables::tables(&document);
    let results = write::Results {
        year: inputs.systems.year,
        document,
        tables: &tables,
        submission: &submission,
        training: &training,
        history: &tuned.history,
    };
    let document = results.write(output)?;
    Ok(Fused { document, tables: tables.into_iter().map(|named| (named.caption, named.table)).collect() })
}

/// A section's clips as they are submitted.
type Submitted = (String, String, Vec<ScoredClip>);

fn submission(decided: &Decided, parts: &[Part]) -> Result<Vec<Submitted>, Error> {
    let section = |part: &Part| {
        let threshold = decided.thresholds().get(&part.machine);
        let clips = decided.weights().fuse(part)?.into_iter().zip(part.files.iter().zip(&part.domains));
        let clip = |(score, (file, domain)): (f64, (&String, &_))| ScoredClip {
            file: file.clone(),
            score,
            // Strictly above, as the challenge has it.
            decision: threshold.map(|threshold| score > threshold.value),
            domain: *domain,
        };
        Ok((part.machine.clone(), part.section.clone(), clips.map(clip).collect()))
    };
    parts.iter().map(section).collect()
}

/// Fused scores of one section's training clips.
type TrainingFused = (String, String, Vec<(String, f64)>);

fn training(weights: &Weights, prepared: &Prepared, inputs: &Inputs) -> Result<Vec<TrainingFused>, Error> {
    let fused = |part: &Part| {
        let scores = weights.fuse(&prepared.part(part)?)?;
        let clips = part.files.iter().cloned().zip(scores).collect();
        Ok((part.machine.clone(), part.section.clone(), clips))
    };
    inputs.training.iter().flat_map(std::collections::BTreeMap::values).map(fused).collect()
}

/// A word on each system that seems to be turned round.
fn reversed(tuning: &TuningSet) -> Vec<String> {
    let word = |found: fusion::Reversed| {
        format!(
            "`{}` has a mean AUC of {:.1} % on the tuning clips, clearly below chance: its lower scores seem to mean anomalous; \
             set higher_is_anomalous = false for it",
            tuning.systems()[found.system],
            100.0 * found.auc
        )
    };
    fusion::reversed(tuning).into_iter().map(word).collect()
}

/// The nested validation; the reason where there is nothing to leave out.
fn validate(
    config: &FusionConfig,
    raw: &TuningSet,
    plan: &Plan,
    search: &Search,
    settings: Settings,
    ui: &Ui,
) -> Result<Result<Validation, String>, Error> {
    let over = match config.validate.over {
        ValidateOver::None => return Ok(Err("validate.over = \"none\"".to_owned())),
        ValidateOver::Machines => Over::Machines,
        ValidateOver::Sections => Over::Sections,
        ValidateOver::Auto => match Over::auto(raw, search.per) {
            Some(over) => over,
            None => {
                let why = "the weights are tuned on one section: nothing can be left out; tune on several";
                return Ok(Err(why.to_owned()));
            }
        },
    };
    let bar = ui.bar("validation", 0, "evaluations");
    let found = fusion::cross_validate(raw, plan, search, over, settings, &|done, of| bar.at(done, of));
    bar.clear();
    Ok(Ok(found?))
}

fn complement(tuning: &TuningSet, tuned: &Tuned, search: &Search, ui: &Ui) -> Result<Complementarity, Error> {
    let bar = ui.bar("complementarity", 0, "evaluations");
    let found = fusion::complementarity(tuning, tuned, search, &|done, of| bar.at(done, of));
    bar.clear();
    Ok(found?)
}
