//! `[grid]`: settings to vary, every combination of which is one trial.

use std::collections::HashSet;

use toml::Value;

use super::check::{Problem, check_value};
use super::experiment::outside_training;
use super::shape::{Shape, experiment};
use super::source::Span;
use super::suggest::nearest_key;
use super::tree::{Item, Node, Table};

/// More trials than anybody trains; a slip in a grid must not fill the memory.
const MAX_TRIALS: usize = 10_000;

/// Settings to vary. The trials are every combination, the last axis varying fastest.
#[derive(Clone, Debug, Default)]
pub struct Grid {
    axes: Vec<Axis>,
}

/// One setting to vary and its values.
#[derive(Clone, Debug)]
pub struct Axis {
    path: Vec<String>,
    key: Span,
    values: Vec<Node>,
}

impl Axis {
    /// The dotted path of the setting.
    #[must_use]
    pub fn path(&self) -> String {
        self.path.join(".")
    }

    /// Its values, in the order in which they are tried.
    #[must_use]
    pub fn values(&self) -> Vec<Value> {
        self.values.iter().map(Node::value).collect()
    }

    pub(super) fn key(&self) -> Span {
        self.key
    }
}

impl Grid {
    /// The axes, in the order in which they are written.
    #[must_use]
    pub fn axes(&self) -> &[Axis] {
        &self.axes
    }

    /// Whether there is nothing to vary: the experiment itself is the only trial.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.axes.is_empty()
    }

    /// The number of trials; 1 without axes.
    #[must_use]
    pub fn trials(&self) -> usize {
        self.axes.iter().fold(1, |product, axis| product.saturating_mul(axis.values.len()))
    }

    /// Reads the `[grid]` table of a merged configuration.
    pub(super) fn read(node: &Node, problems: &mut Vec<Problem>) -> Self {
        let Item::Table(table) = &node.item else {
            let message = "`grid` must be a table of dotted keys with lists of values".to_owned();
            problems.push(Problem::at(node.span, message));
            return Self::default();
        };
        let axes = table.iter().filter_map(|(key, values)| read_axis(key, values, problems)).collect();
        let grid = Self { axes };
        if grid.trials() > MAX_TRIALS {
            let message = format!("the grid has more than {MAX_TRIALS} trials");
            problems.push(
                Problem::at(node.key, message)
                    .help("shorten its lists, or split it into several configurations"),
            );
            return Self::default();
        }
        grid
    }

    /// Refuses axes that belong to another variant than the experiment has.
    ///
    /// `resolved` is the complete experiment as TOML.
    pub(super) fn check_variants(&self, resolved: &Value, problems: &mut Vec<Problem>) {
        for axis in &self.axes {
            if let Some(variant) = absent_variant(&axis.path, experiment(), resolved) {
                let path = axis.path();
                let message = format!("`{path}` cannot vary: the configuration has no table `{variant}`");
                problems.push(Problem::at(axis.key, message).help("remove the axis, or choose that table"));
            }
        }
    }

    /// The layers that turn the base into each trial, the last axis varying fastest.
    pub(super) fn layers(&self) -> impl Iterator<Item = Vec<Node>> {
        (0..self.trials()).map(|trial| {
            let mut rest = trial;
            let pick = |axis: &Axis| {
                let value = axis.values[rest % axis.values.len()].clone();
                rest /= axis.values.len();
                value.nested(&axis.path)
            };
            self.axes.iter().rev().map(pick).collect()
        })
    }
}

// The variant on a path that the experiment did not choose.
fn absent_variant<'a>(path: &'a [String], shape: &Shape, resolved: &Value) -> Option<&'a str> {
    let (key, rest) = path.split_first()?;
    match resolved.get(key) {
        Some(value) => absent_variant(rest, shape.child(key), value),
        None => matches!(shape, Shape::Tagged(_)).then_some(key),
    }
}

/// Brings every spelling of an axis, `"a.b" = […]`, `a.b = […]` and `[grid.a]`, to the first, so that layers merge.
pub(super) fn flatten(root: &mut Node) {
    let Some(grid) = root.table_mut().and_then(|table| table.get_mut("grid")).and_then(Node::table_mut)
    else {
        return;
    };
    let mut flat = Table::new();
    flatten_into(std::mem::take(grid), "", &mut flat);
    *grid = flat;
}

fn flatten_into(table: Table, prefix: &str, flat: &mut Table) {
    for (key, node) in table {
        let path = format!("{prefix}{key}");
        match node.item {
            Item::Table(inner) if !inner.is_empty() => flatten_into(inner, &format!("{path}."), flat),
            item => {
                flat.insert(path, Node { item, ..node });
            }
        }
    }
}

fn read_axis(key: &str, node: &Node, problems: &mut Vec<Problem>) -> Option<Axis> {
    let path: Vec<String> = key.split('.').map(str::to_owned).collect();
    let Some(shape) = path.iter().try_fold(experiment(), |shape, key| shape.find(key)) else {
        let problem = Problem::at(node.key, format!("unknown key `{key}` in the grid")).label("not known");
        let (last, parent) = path.split_last()?;
        problems.push(match nearest_key(experiment(), parent, last) {
            Some(near) => problem.help(format!("did you mean `{near}`?")),
            None => problem.help("an axis is the dotted path of a setting, such as `train.optimizer.lr`"),
        });
        return None;
    };
    // The layout says how files are read, once for all trials.
    if outside_training(key) || key == "data.layout" {
        let problem = Problem::at(
            node.key,
            format!("`{key}` cannot vary in a grid: it does not change what is trained"),
        );
        problems.push(problem.help("the trials of a grid are trainings; set it once, outside the grid"));
        return None;
    }
    let values = match &node.item {
        Item::List(values) if !values.is_empty() => values,
        item => {
            let message = format!("`{key}` in the grid must be a list of one or more values");
            let problem = Problem::at(node.span, message);
            problems.push(match item {
                Item::Scalar(value) => problem.help(format!("write it as a list: [{value}]")),
                Item::Table(_) | Item::List(_) => problem,
            });
            return None;
        }
    };
    let before = problems.len();
    let mut seen = HashSet::new();
    for value in values {
        problems.extend(check_value(&path, value, shape));
        let text = value.value().to_string();
        if !seen.insert(text.clone()) {
            problems.push(
                Problem::at(value.span, format!("`{key}` in the grid has {text} more than once"))
                    .label("again"),
            );
        }
    }
    (problems.len() == before).then(|| Axis { path, key: node.key, values: values.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_belongs_to_the_variant_that_is_chosen() {
        let family = |key: &str| (key.to_owned(), Shape::Table(vec![("x".to_owned(), Shape::Any)]));
        let tagged = Shape::Tagged(vec![family("a"), family("b")]);
        let shape = Shape::Table(vec![("task".to_owned(), tagged)]);
        let chosen = Value::Table(toml::from_str("task.a.x = 1").unwrap());
        let absent = |path: &[&str]| {
            let path: Vec<String> = path.iter().map(|&key| key.to_owned()).collect();
            absent_variant(&path, &shape, &chosen).map(str::to_owned)
        };
        assert_eq!(absent(&["task", "a", "x"]), None);
        assert_eq!(absent(&["task", "b", "x"]).as_deref(), Some("b"));
        // A setting without a value is no variant.
        assert_eq!(absent(&["task", "a", "y"]), None);
    }

    #[test]
    fn all_spellings_of_an_axis_are_one() {
        let spelled = |text: &str| {
            let mut root = super::super::tree::parse(text, 0).unwrap();
            flatten(&mut root);
            root.value().to_string()
        };
        let expected = r#"{ grid = { "train.epochs" = [1] } }"#;
        assert_eq!(spelled("[grid]\n\"train.epochs\" = [1]"), expected);
        assert_eq!(spelled("[grid]\ntrain.epochs = [1]"), expected);
        assert_eq!(spelled("[grid.train]\nepochs = [1]"), expected);
        assert_eq!(spelled("grid = 3"), "{ grid = 3 }");
    }
}
