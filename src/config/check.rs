//! Checks a merged configuration against its shape: unknown keys, types, ranges, variants.

use std::collections::HashSet;

use toml::Value;

use super::error::Diagnosis;
use super::shape::{Shape, experiment, quoted};
use super::source::{Sources, Span};
use super::suggest::{nearest, nearest_key};
use super::tree::{Item, Node, Table};

/// Something wrong with a value.
#[derive(Clone, Debug)]
pub(super) struct Problem {
    place: Place,
    pub message: String,
    label: Option<String>,
    help: Option<String>,
}

#[derive(Clone, Debug)]
enum Place {
    At(Span),
    /// Dotted paths of settings: the first one that is written anywhere is pointed at.
    Settings(Vec<String>),
}

impl Problem {
    /// A problem of a setting, which may have its default.
    pub fn new(path: &str, message: String) -> Self {
        Self { place: Place::Settings(vec![path.to_owned()]), message, label: None, help: None }
    }

    /// A problem at a known place.
    pub fn at(span: Span, message: String) -> Self {
        Self { place: Place::At(span), message, label: None, help: None }
    }

    /// Settings that bear on it, pointed at where the setting itself has its default.
    pub fn related(mut self, paths: &[&str]) -> Self {
        if let Place::Settings(all) = &mut self.place {
            all.extend(paths.iter().map(|&path| path.to_owned()));
        }
        self
    }

    /// A few words beside the caret.
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// What to do.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The problem with its place settled, if it has one.
    pub fn placed(mut self, span: Option<Span>) -> Self {
        if let Some(span) = span {
            self.place = Place::At(span);
        }
        self
    }

    /// Where it is written, if anywhere.
    pub fn span(&self, root: &Node) -> Option<Span> {
        match &self.place {
            Place::At(span) => Some(*span),
            Place::Settings(paths) => {
                paths.iter().find_map(|path| root.get(path.split('.'))).map(|node| node.span)
            }
        }
    }

    /// The problem with the excerpt that it is about.
    pub fn diagnose(self, root: &Node, sources: &Sources) -> Diagnosis {
        let span = self.span(root);
        let diagnosis = Diagnosis::new(self.message).help(self.help);
        match span {
            Some(span) => diagnosis.at(sources, span, self.label),
            None => diagnosis,
        }
    }
}

/// Keys of a configuration's file beside the settings.
const BESIDE: [&str; 2] = ["grid", "extends"];
/// Keys that a study's file has and a configuration has not.
pub(super) const OF_STUDIES: [&str; 4] = ["study", "common", "family", "protocol"];
/// Keys that a fusion's file has and a configuration and a study have not.
pub(super) const OF_FUSIONS: [&str; 6] = ["system", "normalise", "tune", "apply", "validate", "official"];

/// Everything wrong with a configuration that concerns one value at a time.
pub(super) fn check(root: &Node) -> Vec<Problem> {
    check_document(root, experiment(), &BESIDE)
}

/// Everything wrong with a document of the given shape that concerns one value at a time; `beside` are keys that a file of
/// this kind has at its top and its shape has not.
pub(super) fn check_document(root: &Node, shape: &Shape, beside: &[&'static str]) -> Vec<Problem> {
    let mut checker = Checker { root: shape, beside, path: Vec::new(), in_list: false, problems: Vec::new() };
    checker.visit(root, shape);
    checker.problems
}

/// Everything wrong with one value that is to stand at `path`.
pub(super) fn check_value(path: &[String], node: &Node, shape: &Shape) -> Vec<Problem> {
    let (root, beside, path) = (experiment(), &BESIDE, path.to_vec());
    let mut checker = Checker { root, beside, path, in_list: false, problems: Vec::new() };
    checker.visit(node, shape);
    checker.problems
}

/// A dotted path as TOML would write it.
pub(super) fn dotted(path: &[String]) -> String {
    path.iter().map(|key| written(key)).collect::<Vec<_>>().join(".")
}

fn written(key: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !key.is_empty() && key.chars().all(bare) { key.to_owned() } else { format!("{key:?}") }
}

/// More problems than are told: the advice to further ones would take longer than all the rest.
const MOST_ADVISED: usize = 100;

struct Checker<'a> {
    root: &'a Shape,
    beside: &'a [&'static str],
    path: Vec<String>,
    /// What is visited is a value in the list at `path`.
    in_list: bool,
    problems: Vec<Problem>,
}

impl Checker<'_> {
    fn visit(&mut self, node: &Node, shape: &Shape) {
        match (shape, &node.item) {
            (Shape::Any, _) | (Shape::Boolean, Item::Scalar(Value::Boolean(_))) => {}
            (Shape::Table(_) | Shape::Map(_), Item::Table(table)) => self.visit_entries(table, shape),
            (Shape::Tagged(_), Item::Table(table)) => self.visit_variant(node, table, shape),
            (Shape::List { items, min_items, unique }, Item::List(list)) => {
                if list.len() < *min_items {
                    self.refuse(node, shape);
                }
                if *unique {
                    self.visit_repeats(list);
                }
                let outside = std::mem::replace(&mut self.in_list, true);
                list.iter().for_each(|entry| self.visit(entry, items));
                self.in_list = outside;
            }
            (Shape::Integer(range), Item::Scalar(Value::Integer(number)))
                if range.contains(*number as f64) => {}
            (Shape::Float(range), Item::Scalar(Value::Integer(number))) if range.contains(*number as f64) => {
            }
            (Shape::Float(range), Item::Scalar(Value::Float(number))) if range.contains(*number) => {}
            (Shape::Text { min_chars }, Item::Scalar(Value::String(text)))
                if text.chars().count() >= *min_chars => {}
            (Shape::Choice(words), Item::Scalar(Value::String(word))) if words.contains(word) => {}
            _ => self.refuse(node, shape),
        }
    }

    fn visit_entries(&mut self, table: &Table, shape: &Shape) {
        let outside = std::mem::replace(&mut self.in_list, false);
        for (key, node) in table {
            match shape.find(key) {
                Some(child) => {
                    self.path.push(key.clone());
                    self.visit(node, child);
                    self.path.pop();
                }
                None => self.unknown_key(key, node, shape),
            }
        }
        self.in_list = outside;
    }

    fn visit_variant(&mut self, node: &Node, table: &Table, shape: &Shape) {
        let keys: Vec<&String> = table.keys().collect();
        match keys.as_slice() {
            [_] => self.visit_entries(table, shape),
            [] => self.refuse(node, shape),
            [_, second, ..] => {
                let message =
                    format!("`{}` takes one of its tables, not {}", dotted(&self.path), quoted(&keys));
                let span = table.get(*second).map_or(node.key, |entry| entry.key);
                self.problems.push(
                    Problem::at(span, message).label("a second one").help("keep one and remove the rest"),
                );
            }
        }
    }

    fn visit_repeats(&mut self, list: &[Node]) {
        let mut seen = HashSet::new();
        for entry in list {
            let value = entry.value().to_string();
            if !seen.insert(value.clone()) {
                let message = format!("`{}` has {value} more than once", dotted(&self.path));
                self.problems.push(Problem::at(entry.span, message).label("again"));
            }
        }
    }

    fn unknown_key(&mut self, key: &str, node: &Node, shape: &Shape) {
        let parent = dotted(&self.path);
        let message = match (shape, parent.as_str()) {
            (Shape::Tagged(_), _) => format!("`{parent}` has no variant `{}`", written(key)),
            (_, "") => format!("unknown key `{}`", written(key)),
            _ => format!("unknown key `{parent}.{}`", written(key)),
        };
        let mut names: Vec<&str> = shape.keys().iter().map(|(name, _)| name.as_str()).collect();
        if self.path.is_empty() {
            names.extend(self.beside);
        }
        let beside = self.beside.iter().copied();
        let near = match self.path.is_empty().then(|| nearest(key, beside)).flatten() {
            _ if self.problems.len() >= MOST_ADVISED => None,
            Some(name) => Some(name.to_owned()),
            // Tables in a list have no paths of their own.
            None => match nearest(key, shape.keys().iter().map(|(name, _)| name.as_str())) {
                Some(name) if !parent.is_empty() => Some(format!("{parent}.{name}")),
                _ => nearest_key(self.root, &self.path, key),
            },
        };
        let place =
            if parent.is_empty() { "this file may have".to_owned() } else { format!("`{parent}` has") };
        let of_study = parent.is_empty() && OF_STUDIES.contains(&key);
        let of_fusion = parent.is_empty() && OF_FUSIONS.contains(&key);
        let is_study = OF_STUDIES.iter().any(|key| self.root.find(key).is_some());
        let of_experiment =
            parent.is_empty() && is_study && (experiment().find(key).is_some() || key == "grid");
        let help = match near {
            // Known to experiments, unknown here: this is a study.
            _ if of_experiment => {
                "a study has its experiments' settings under [common], or [family.override]; \
                                   `asdbench train` takes a configuration without families"
                    .to_owned()
            }
            _ if of_study => {
                "it belongs to a study, of several configurations: `asdbench sweep` runs one".to_owned()
            }
            _ if of_fusion => {
                "it belongs to a fusion of several systems: `asdbench fuse` takes one".to_owned()
            }
            // It was written under a table's header, or given to `--set`.
            _ if key == "extends" => "`extends` stands in a file, above its first table".to_owned(),
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("{place} {}", quoted(names)),
        };
        self.problems.push(Problem::at(node.key, message).label("not known").help(help));
    }

    fn refuse(&mut self, node: &Node, shape: &Shape) {
        let subject = if self.in_list { "every value of " } else { "" };
        let message = format!("{subject}`{}` must be {}", dotted(&self.path), shape.describe());
        let mut problem = Problem::at(node.span, message).label(format!("found {}", found(&node.item)));
        problem.help = remedy(&node.item, shape);
        self.problems.push(problem);
    }
}

fn found(item: &Item) -> String {
    match item {
        Item::Table(table) if table.is_empty() => "an empty table".to_owned(),
        Item::Table(_) => "a table".to_owned(),
        Item::List(list) if list.is_empty() => "an empty list".to_owned(),
        Item::List(_) => "a list".to_owned(),
        Item::Scalar(Value::String(text)) if text.chars().count() > 40 => "a long string".to_owned(),
        Item::Scalar(Value::String(text)) => format!("the string {text:?}"),
        Item::Scalar(Value::Datetime(_)) => "a date".to_owned(),
        Item::Scalar(value) => format!("{value}"),
    }
}

// A value that would do if it were written a little differently.
fn remedy(item: &Item, shape: &Shape) -> Option<String> {
    match (shape, item) {
        (Shape::Choice(words), Item::Scalar(Value::String(word))) => {
            nearest(word, words.iter().map(String::as_str)).map(|near| format!("did you mean `{near}`?"))
        }
        (Shape::Integer(_) | Shape::Float(_), Item::Scalar(Value::String(text)))
            if text.parse::<f64>().is_ok() =>
        {
            Some(format!("write it without quotes: {text}"))
        }
        (Shape::Boolean, Item::Scalar(Value::String(text))) if text == "true" || text == "false" => {
            Some(format!("write it without quotes: {text}"))
        }
        (Shape::Text { .. } | Shape::Choice(_), Item::Scalar(value)) if !value.is_str() => {
            Some(format!("write it in quotes: \"{value}\""))
        }
        (Shape::Integer(range), Item::Scalar(Value::Float(number)))
            if number.fract() == 0.0 && range.contains(*number) =>
        {
            Some(format!("write it without a point or exponent: {number}"))
        }
        (Shape::List { items, .. }, Item::Scalar(value)) if !matches!(**items, Shape::Table(_)) => {
            Some(format!("write it as a list: [{value}]"))
        }
        _ => None,
    }
}
