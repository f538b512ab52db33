//! `[[system]]`: one system of a fusion, and the rules between its settings.

use std::collections::HashMap;
use std::path::PathBuf;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use toml::Value;

use crate::config::check::Problem;
use crate::config::source::Span;
use crate::config::suggest::nearest;
use crate::config::tree::{Item, Node};

/// The column of a run's `scores.csv` that is read where none is named.
const DETECTOR: &str = "mahalanobis";
/// Columns of `scores.csv` that are no scores.
const NO_SCORES: [&str; 5] = ["clip", "section", "domain", "label", "decision"];
/// What the fusion itself is called in tables.
const FUSED: &str = "fused";

/// One system.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct SystemConfig {
    /// What it is called in tables.
    #[schemars(length(min = 1))]
    pub name: String,
    /// A folder of official score files, or a list of folders that complete each other; in place of `run`.
    #[serde(default)]
    #[schemars(schema_with = "one_or_several")]
    pub scores: Option<Folders>,
    /// A run, or a folder above runs of one configuration; seeds are averaged. In place of `scores`.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub run: Option<PathBuf>,
    /// A folder, or several, of `anomaly_score_<machine>_section_NN_train.csv` files: the scores of the training clips. A run
    /// has its own.
    #[serde(default)]
    #[schemars(schema_with = "one_or_several")]
    pub training_scores: Option<Folders>,
    /// The column of a run's scores.csv.
    #[serde(default = "mahalanobis")]
    #[schemars(length(min = 1))]
    pub detector: String,
    /// Systems of one group are seeds of one configuration: they are averaged, and the group is one system.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub group: Option<String>,
    /// Whether a higher score is more anomalous; false turns the scores round.
    #[serde(default = "yes")]
    pub higher_is_anomalous: bool,
}

/// One folder or several.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(from = "OneOrSeveral")]
pub struct Folders(pub Vec<PathBuf>);

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrSeveral {
    One(PathBuf),
    Several(Vec<PathBuf>),
}

impl From<OneOrSeveral> for Folders {
    fn from(either: OneOrSeveral) -> Self {
        match either {
            OneOrSeveral::One(folder) => Self(vec![folder]),
            OneOrSeveral::Several(folders) => Self(folders),
        }
    }
}

fn mahalanobis() -> String {
    DETECTOR.to_owned()
}

fn yes() -> bool {
    true
}

fn one_or_several(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "anyOf": [
            { "type": "string", "minLength": 1 },
            { "type": "array", "items": { "type": "string", "minLength": 1 }, "minItems": 1 },
            { "type": "null" },
        ],
    })
}

/// Rules between the settings of each system, and between systems. The tables have been held against their shape.
pub(super) fn check(root: &Node, problems: &mut Vec<Problem>) {
    let systems = match root.get(["system"]).map(|node| &node.item) {
        Some(Item::List(systems)) if !systems.is_empty() => systems.as_slice(),
        _ => {
            let help =
                "add a `[[system]]` with `name` and `scores = \"DIR\"`, or `run = \"DIR\"`, for each of them";
            problems.push(Problem::new("system", "the fusion has no system".to_owned()).help(help));
            return;
        }
    };
    let mut names: HashMap<String, Span> = HashMap::new();
    for system in systems {
        one(system, problems);
        let Some((name, span)) = text(system, "name") else { continue };
        if name == FUSED {
            let message = format!("a system cannot be called `{FUSED}`");
            problems.push(Problem::at(span, message).help("that is the name of what comes out"));
        }
        if names.insert(name.clone(), span).is_some() {
            let message = format!("two systems are called `{name}`");
            let help = "give each its own name; `group` makes several one system";
            problems.push(Problem::at(span, message).label("again").help(help));
        }
    }
    // A group is a system of that name, so that a single one of the same name would be told apart by nobody.
    for (group, span) in systems.iter().filter_map(|system| text(system, "group")) {
        let alone = |system: &&Node| {
            text(system, "name").is_some_and(|(name, _)| name == group)
                && text(system, "group").is_none_or(|(own, _)| own != group)
        };
        if group == FUSED || systems.iter().any(|system| alone(&system)) {
            let message = format!("the group `{group}` has the name of another system");
            problems.push(Problem::at(span, message).help("call one of the two differently"));
        }
    }
}

fn one(system: &Node, problems: &mut Vec<Problem>) {
    if text(system, "name").is_none() {
        let message = "the system has no name".to_owned();
        problems.push(Problem::at(system.span, message).help("add `name = \"…\"`"));
    }
    for key in ["scores", "training_scores"] {
        if let Some(node) = system.get([key]) {
            folders(key, node, problems);
        }
    }
    match (system.get(["scores"]), system.get(["run"])) {
        (Some(_), Some(run)) => {
            let message = "a system has `scores` or `run`, not both".to_owned();
            problems.push(Problem::at(run.key, message).help("keep one of the two"));
        }
        (None, None) => {
            let message = "the system names no scores".to_owned();
            let help = "add `scores = \"DIR\"` (official score files), or `run = \"DIR\"` (runs that `asdbench eval` has judged)";
            problems.push(Problem::at(system.span, message).help(help));
        }
        (Some(_), None) => {
            if let Some(detector) = system.get(["detector"]) {
                let message =
                    "`detector` is a column of a run's scores.csv; score files have one score".to_owned();
                problems.push(Problem::at(detector.key, message).help("remove it"));
            }
        }
        (None, Some(_)) => {
            if let Some(training) = system.get(["training_scores"]) {
                let message =
                    "a run has the scores of its training clips in its own training_scores.csv".to_owned();
                problems.push(Problem::at(training.key, message).help("remove `training_scores`"));
            }
        }
    }
    if let Some((detector, span)) = text(system, "detector")
        && NO_SCORES.contains(&detector.as_str())
    {
        let message = format!("`{detector}` is no detector but another column of scores.csv");
        let near = nearest(&detector, [DETECTOR]).unwrap_or(DETECTOR);
        problems.push(Problem::at(span, message).help(format!("such as `{near}`")));
    }
}

// The shape leaves the two forms to this.
fn folders(key: &str, node: &Node, problems: &mut Vec<Problem>) {
    let is_text = |node: &Node| matches!(&node.item, Item::Scalar(Value::String(text)) if !text.is_empty());
    let right = match &node.item {
        Item::List(entries) => !entries.is_empty() && entries.iter().all(is_text),
        _ => is_text(node),
    };
    if !right {
        let message = format!("`system.{key}` must be the path of a folder, or a list of them");
        let help = format!("such as `{key} = \"DIR\"` or `{key} = [\"dev\", \"eval\"]`");
        problems.push(Problem::at(node.span, message).help(help));
    }
}

fn text(system: &Node, key: &str) -> Option<(String, Span)> {
    let node = system.get([key])?;
    match &node.item {
        Item::Scalar(Value::String(text)) => Some((text.clone(), node.span)),
        _ => None,
    }
}
