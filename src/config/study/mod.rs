//! Study files: several families of configurations that are trained, judged and correlated together.
//!
//! A family is a configuration file; the study lays settings over it: `[study] seeds`, then `[common]`, then the family's
//! `override`, then `--set`. What varies is the file's `[grid]`, or the family's `grid` or `list` in its place.
//! A study may extend another; a list of families replaces that of the study below, as lists do everywhere.

mod family;
mod read;
mod shape;
mod show;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use toml::Value;

use super::check::{Problem, check_document};
use super::error::Diagnosis;
use super::source::Span;
use super::tree::{Item, Node};
use super::{Error, Experiment, ProtocolConfig, Resolved};
use family::Family;
use read::Reading;
pub use read::is_study;
pub(super) use shape::settable;
pub use shape::{study_schema, study_schema_text};

/// Characters of a name, which becomes a file's.
const MAX_NAME: usize = 80;

/// What a study file asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct Study {
    /// What the study is called; safe as a file's name.
    pub name: String,
    /// In the order of the file.
    pub families: Vec<StudyFamily>,
    /// How its results are put into words.
    pub protocol: ProtocolConfig,
}

/// The configurations that a study makes of one file.
#[derive(Clone, Debug, PartialEq)]
pub struct StudyFamily {
    /// The configuration file.
    pub file: PathBuf,
    /// Its configurations in the order of the grid or list, with the seeds that they are trained with.
    pub experiments: Vec<Experiment>,
}

/// A study and where its values come from.
#[derive(Clone, Debug)]
pub struct ResolvedStudy {
    /// The study.
    pub study: Study,
    /// What each family was put together from, in the order of the study's.
    pub resolved: Vec<Resolved>,
}

/// Loads a study file, whatever it extends, and `--set` arguments over it.
///
/// `--set study.…` and `--set protocol.…` go to those tables, all else to the experiments of every family; of `task`, only
/// the families that have the table named take it.
///
/// # Errors
/// [`Error`] with the place of everything that is wrong, in the study's file or in a family's. Two configurations that train
/// the same are an error too: they would share their runs.
pub fn load_study(path: &Path, sets: &[String]) -> Result<Study, Error> {
    resolve_study(path, sets).map(|resolved| resolved.study)
}

/// As [`load_study`], with the origin of every value.
///
/// # Errors
/// As [`load_study`].
pub fn resolve_study(path: &Path, sets: &[String]) -> Result<ResolvedStudy, Error> {
    let mut reading = Reading::of(path, sets)?;
    let root = reading.root.clone();
    let mut problems = check_document(&root, shape::study(), &["extends"]);
    if !problems.is_empty() {
        return Err(reading.invalid(problems));
    }
    let name = name(&root, path, &mut problems);
    let written = Family::read_all(&root, &mut problems);
    let common = root.get(["common"]).cloned();
    common.iter().for_each(|common| family::expect_settings("common", common, &mut problems));
    if !problems.is_empty() {
        return Err(reading.invalid(problems));
    }
    let seeds = root.get(["study", "seeds"]).cloned();
    let mut resolved = Vec::new();
    let mut errors = Vec::new();
    let mut variants = Vec::new();
    for family in &written {
        match family.resolve(&mut reading, seeds.as_ref(), common.as_ref(), &mut variants) {
            Ok(family) => resolved.push(family),
            Err(error) => errors.push(error),
        }
    }
    if errors.is_empty() {
        let unused = family::unused(common.iter().chain(&reading.sets), &variants);
        let same = repeated(&written, &resolved, &reading)?;
        problems.extend(unused.into_iter().chain(same));
        if !problems.is_empty() {
            errors.push(reading.invalid(problems));
        }
    }
    if !errors.is_empty() {
        return Err(Error::join_distinct(errors));
    }
    let families = resolved
        .iter()
        .map(|resolved| Ok(StudyFamily { file: resolved.source.clone(), experiments: resolved.expand()? }));
    let families = families.collect::<Result<_, Error>>()?;
    let study = Study { name, families, protocol: protocol(&reading)? };
    Ok(ResolvedStudy { study, resolved })
}

// The name that is given, or that of the file.
fn name(root: &Node, path: &Path, problems: &mut Vec<Problem>) -> String {
    let usable = |name: &str| {
        let safe = |c: char| c.is_ascii_alphanumeric() || "-_.+".contains(c);
        !name.is_empty() && name.len() <= MAX_NAME && !name.starts_with(['.', '-']) && name.chars().all(safe)
    };
    let rule = format!(
        "a study's name takes letters, digits, `-`, `_`, `.` and `+`, at most {MAX_NAME}, and begins with none of `-` and `.`"
    );
    let given = root.get(["study", "name"]).map(|node| (node.span, node.value()));
    if let Some((span, Value::String(name))) = given {
        if !usable(&name) {
            problems.push(Problem::at(span, format!("{name:?} cannot be a file's name")).help(rule));
        }
        return name;
    }
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    if !usable(&name) {
        let message = format!("the study has no name, and that of its file, {name:?}, cannot serve");
        problems.push(Problem::new("study", message).help(format!("give one under [study]; {rule}")));
    }
    name
}

/// The thresholds of a study file and whatever it extends, with `--set protocol.x=value` arguments over them.
///
/// All else in the file is left to who runs the study. A study without a `[protocol]` has the defaults.
///
/// # Errors
/// A file that cannot be read, is no TOML or no study; an unknown threshold or one out of range, with its place; a
/// `--set` of something else.
pub fn load_protocol(path: &Path, sets: &[String]) -> Result<ProtocolConfig, Error> {
    let reading = Reading::of(path, &[])?;
    if ["study", "family", "protocol"].iter().all(|key| reading.root.get([*key]).is_none()) {
        let message = format!("{} is no study: it has no [study] and no [protocol]", path.display());
        let help = "name the file that `asdbench sweep` takes".to_owned();
        return Err(Error::Invalid(vec![Diagnosis::new(message).help(help)]));
    }
    protocol(&reading)?.with_sets(sets)
}

// The settings of the protocol; those that are left out have their defaults.
fn protocol(reading: &Reading) -> Result<ProtocolConfig, Error> {
    ProtocolConfig::default().under(&reading.root, &reading.layers.sources)
}

// Configurations of two families that train the same.
fn repeated(written: &[Family], resolved: &[Resolved], reading: &Reading) -> Result<Vec<Problem>, Error> {
    let mut first: HashMap<String, (usize, Span)> = HashMap::new();
    let mut problems = Vec::new();
    for (nth, (family, resolved)) in written.iter().zip(resolved).enumerate() {
        for experiment in resolved.expand()? {
            match first.get(&experiment.training_hash()) {
                Some(&(earlier, place)) if earlier != nth => {
                    let origin = reading.layers.sources.origin(place);
                    let message = format!(
                        "two families train the same, `{}` of the {}: the one at {origin} and this one",
                        experiment.slug(),
                        experiment.family(),
                    );
                    let help = "change a setting of the training in one of them, or remove it";
                    problems.push(Problem::at(family.config.span, message).label("again").help(help));
                    // Of two equal grids, the first pair says it all.
                    break;
                }
                Some(_) => {}
                None => {
                    first.insert(experiment.training_hash(), (nth, family.config.span));
                }
            }
        }
    }
    Ok(problems)
}

/// The text of a node that holds a string.
fn text_of(node: &Node) -> Option<&str> {
    match &node.item {
        Item::Scalar(Value::String(text)) => Some(text),
        Item::Scalar(_) | Item::List(_) | Item::Table(_) => None,
    }
}

#[cfg(test)]
mod tests;
