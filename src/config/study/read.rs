//! Reads a study's files, and sorts `--set` arguments into those for the study and those for its experiments.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::shape;
use crate::config::check::{OF_STUDIES, Problem};
use crate::config::error::{Diagnosis, Error};
use crate::config::load::{Layers, read_text};
use crate::config::set;
use crate::config::source::Span;
use crate::config::tree::{Item, Node, Table};

/// Files that extend one another only to be told apart: more is a circle, which loading names.
const MAX_DEPTH: usize = 16;

/// A study's files laid over one another, not yet checked.
pub(super) struct Reading {
    pub layers: Layers,
    pub root: Node,
    /// Settings of experiments from the command line, later ones over earlier ones.
    pub sets: Vec<Node>,
    folders: Folders,
}

/// The folder of each source that is a study's file: the names of families are relative to it.
type Folders = HashMap<usize, PathBuf>;

impl Reading {
    pub fn of(path: &Path, arguments: &[String]) -> Result<Self, Error> {
        let (mut layers, mut folders) = (Layers::default(), Folders::new());
        let mut root =
            layers.enter(path, None, |layers, text, path| study(layers, &mut folders, text, path))?;
        let mut sets = Vec::new();
        for argument in arguments {
            let layer = set::parse_for(argument, shape::settable(), &mut layers.sources)?.layer;
            match first_key(&layer) {
                Some((key, _)) if key == "study" || key == "protocol" => root.merge(layer, shape::study()),
                Some((key, span)) if OF_STUDIES.contains(&key) || key == "grid" || key == "extends" => {
                    let message = format!("`{key}` of a study cannot be set");
                    let help = "it stands in the study's file; `--set` takes `study.…`, `protocol.…` and an \
                                experiment's settings, such as `--set train.epochs=20`";
                    let diagnosis = Diagnosis::new(message).at(&layers.sources, span, None);
                    return Err(Error::Invalid(vec![diagnosis.help(help.to_owned())]));
                }
                _ => sets.push(layer),
            }
        }
        Ok(Self { layers, root, sets, folders })
    }

    /// The path of a file that is named at `span`, relative to the study's file that names it.
    pub fn beside(&self, name: &str, span: Span) -> PathBuf {
        self.folders.get(&span.source).map_or_else(|| name.into(), |folder| folder.join(name))
    }

    /// Problems of the study's own file, in its order.
    pub fn invalid(&self, mut problems: Vec<Problem>) -> Error {
        problems.sort_by_key(|problem| problem.span(&self.root));
        let diagnose = |problem: Problem| problem.diagnose(&self.root, &self.layers.sources);
        Error::of_problems(problems.into_iter().map(diagnose))
    }
}

fn first_key(layer: &Node) -> Option<(&str, Span)> {
    match &layer.item {
        Item::Table(table) => table.iter().next().map(|(key, node)| (key.as_str(), node.key)),
        Item::List(_) | Item::Scalar(_) => None,
    }
}

// A study's text over the studies that it extends.
fn study(layers: &mut Layers, folders: &mut Folders, text: &str, path: &Path) -> Result<Node, Error> {
    let mut own = layers.parse(text, path)?;
    let folder = path.parent().unwrap_or(Path::new("")).to_owned();
    folders.insert(own.span.source, folder.clone());
    let named = layers.extended(&mut own)?;
    for settings in settings_tables(&mut own) {
        let table = std::mem::replace(settings, Node::empty(settings.span));
        let (key, span) = (table.key, table.span);
        *settings = layers.extend(table, &folder)?;
        (settings.key, settings.span) = (key, span);
    }
    let mut below = Node::empty(own.span);
    for (name, span) in named {
        let read = |layers: &mut Layers, text: &str, path: &Path| study(layers, folders, text, path);
        let mut base = layers.enter(&folder.join(name), Some(span), read)?;
        // Two studies of one name would overwrite each other's plan.
        if let Some(table) = base.table_mut().and_then(|table| table.get_mut("study")?.table_mut()) {
            table.remove("name");
        }
        below.merge(base, shape::study());
    }
    below.merge(own, shape::study());
    Ok(below)
}

// The tables of a study's text that hold an experiment's settings, and may extend configurations.
fn settings_tables(own: &mut Node) -> Vec<&mut Node> {
    let mut found = Vec::new();
    for (key, node) in own.table_mut().into_iter().flatten() {
        match key.as_str() {
            "common" => found.push(node),
            "family" => {
                entries(node).filter_map(Node::table_mut).for_each(|table| in_family(table, &mut found))
            }
            _ => {}
        }
    }
    found.retain(|node| matches!(node.item, Item::Table(_)));
    found
}

fn in_family<'a>(family: &'a mut Table, found: &mut Vec<&'a mut Node>) {
    for (key, node) in family {
        match key.as_str() {
            "override" => found.push(node),
            "list" => found.extend(entries(node)),
            _ => {}
        }
    }
}

fn entries(node: &mut Node) -> std::slice::IterMut<'_, Node> {
    match &mut node.item {
        Item::List(entries) => entries.iter_mut(),
        Item::Scalar(_) | Item::Table(_) => [].iter_mut(),
    }
}

/// Whether a file is a study's rather than one configuration's, by its keys or those of what it extends.
///
/// A file that cannot be read, or is no TOML, counts as a configuration: loading it says what is wrong.
#[must_use]
pub fn is_study(path: &Path) -> bool {
    looks_like_study(path, MAX_DEPTH)
}

fn looks_like_study(path: &Path, depth: usize) -> bool {
    let text = read_text(path).unwrap_or_default();
    let Ok(table) = text.parse::<toml::Table>() else { return false };
    if OF_STUDIES.iter().any(|key| table.contains_key(*key)) {
        return true;
    }
    let folder = path.parent().unwrap_or(Path::new(""));
    let names = match table.get("extends") {
        Some(toml::Value::String(name)) => vec![name.as_str()],
        Some(toml::Value::Array(names)) => names.iter().filter_map(toml::Value::as_str).collect(),
        _ => Vec::new(),
    };
    // A file that adds nothing is what it extends.
    depth > 0
        && table.len() == 1
        && names.first().is_some_and(|name| looks_like_study(&folder.join(name), depth - 1))
}
