//! Labels, once they may be read: those of the tuning clips before the search, those of all others after it.

use std::path::Path;

use super::Error;
use super::choice::Choice;
use super::decide::Decided;
use super::error::some_of;
use super::prepare::Inputs;
use super::runs;
use super::systems::Systems;
use crate::config::Missing;
use crate::dataset::Domain;
use crate::fusion::Part;
use crate::official::{self, KnownLabels, UnlabelledClip, UnlabelledSection};

/// What is known of a section's clips, in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Known {
    pub anomalous: Vec<Option<bool>>,
    pub domains: Vec<Option<Domain>>,
}

/// The parts to tune on with their labels, every clip of which needs one.
pub(super) fn of_tuning(
    inputs: &Inputs,
    truth: Option<&Path>,
    notes: &mut Vec<String>,
) -> Result<(Vec<Part>, Vec<Vec<bool>>), Error> {
    let (systems, parts) = (&inputs.systems, inputs.tuning());
    let known = known(inputs, &inputs.tune, &parts, truth, notes)?;
    let mut labelled = (Vec::new(), Vec::new());
    for (part, known) in parts.into_iter().zip(known) {
        if let Some(clip) = known.anomalous.iter().position(Option::is_none) {
            let origin = &first(systems, &part, clip)?.origin;
            let remedy = match truth {
                None => "give the ground truth with official.truth, or tune on clips whose labels are known (tune.machines, \
                         tune.sections)"
                    .to_owned(),
                Some(truth) => format!(
                    "the ground truth {} has no label for it; tune on clips whose labels are known (tune.machines, \
                     tune.sections)",
                    truth.display()
                ),
            };
            return Err(Error::Official(official::Error::Unlabelled {
                path: origin.path.clone(),
                row: origin.row,
                clip: part.files[clip].clone(),
                remedy,
            }));
        }
        labelled.1.push(known.anomalous.into_iter().flatten().collect());
        labelled.0.push(Part { domains: known.domains, ..part });
    }
    Ok(labelled)
}

/// What is known of the parts that the weights are applied to, once all is decided.
pub(super) fn of_applied(
    _: &Decided,
    inputs: &Inputs,
    truth: Option<&Path>,
    notes: &mut Vec<String>,
) -> Result<Vec<Known>, Error> {
    known(inputs, &inputs.apply, &inputs.applied(), truth, notes)
}

/// What names, ground truth and the tables of runs say of the chosen clips.
fn known(
    inputs: &Inputs,
    choice: &Choice,
    parts: &[Part],
    truth: Option<&Path>,
    notes: &mut Vec<String>,
) -> Result<Vec<Known>, Error> {
    let systems = &inputs.systems;
    let sections = parts.iter().map(|part| {
        let clips = (0..part.files.len()).map(|clip| {
            let first = first(systems, part, clip)?;
            Ok(UnlabelledClip { domain: part.domains[clip], ..first.clone() })
        });
        Ok(UnlabelledSection {
            machine: part.machine.clone(),
            section: part.section.clone(),
            clips: clips.collect::<Result<_, Error>>()?,
        })
    });
    let sections = sections.collect::<Result<Vec<_>, Error>>()?;
    let read = official::read_labels(&sections, truth, systems.year)?;
    complete(inputs.missing, choice, parts, &read, notes)?;
    let mut known = Vec::with_capacity(parts.len());
    for (part, labels) in parts.iter().zip(read.sections) {
        let mut own = Known { anomalous: labels.anomalous, domains: labels.domains };
        for branch in &systems.branches {
            if let Some(table) = branch.tables.get(&part.machine) {
                learn(&mut own, part, table)?;
            }
        }
        known.push(own);
    }
    Ok(known)
}

/// What the ground truth lists and the systems have not scored, which an official number would rest on too: an error, or a
/// note.
fn complete(
    missing: Missing,
    choice: &Choice,
    parts: &[Part],
    known: &KnownLabels,
    notes: &mut Vec<String>,
) -> Result<(), Error> {
    let sections = known.others.iter().filter(|key| choice.includes(key));
    let mut lacking: Vec<String> =
        sections.map(|(machine, section)| format!("{machine} section {section}")).collect();
    for (part, labels) in parts.iter().zip(&known.sections) {
        if let Some(first) = labels.unscored.first() {
            let (count, machine, section) = (labels.unscored.len(), &part.machine, &part.section);
            lacking.push(format!("{count} clip(s) of {machine} section {section} ({first}…)"));
        }
    }
    if lacking.is_empty() {
        return Ok(());
    }
    let what = format!("the ground truth lists what is not scored by all systems: {}", some_of(&lacking));
    if missing == Missing::Error {
        return Err(Error::Incomplete(what));
    }
    let note = format!("{what}; the numbers are over the rest");
    if !notes.contains(&note) {
        notes.push(note);
    }
    Ok(())
}

/// Adds what a run's table says, which must not contradict what is known.
fn learn(known: &mut Known, part: &Part, table: &Path) -> Result<(), Error> {
    let of_table = runs::labels(table, &part.section)?;
    for (file, known) in part.files.iter().zip(&mut known.anomalous) {
        let Some(&(Some(label), row)) = of_table.get(file) else { continue };
        if known.is_some_and(|known| known != label) {
            let why = format!(
                "the label of `{file}` is another than its name, the ground truth or another run says; judge the run again \
                 with `asdbench eval`"
            );
            return Err(Error::row(table, row, why));
        }
        *known = Some(label);
    }
    Ok(())
}

/// A clip as the first branch has it.
fn first<'a>(systems: &'a Systems, part: &Part, clip: usize) -> Result<&'a UnlabelledClip, Error> {
    let key = (part.machine.clone(), part.section.clone());
    let clips = systems.branches.first().and_then(|branch| branch.sections.get(&key));
    // Parts are made of clips that every branch has.
    clips.and_then(|clips| clips.get(&part.files[clip])).ok_or_else(|| {
        Error::Choice(format!(
            "`{}` of machine {} is in no system; list the systems",
            part.files[clip], part.machine
        ))
    })
}
