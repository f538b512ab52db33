//! A checked experiment that knows where each of its values comes from.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use toml::Value;

use super::check::{Problem, check};
use super::error::Error;
use super::experiment::{CHECKPOINT, Experiment};
use super::grid::{Axis, Grid};
use super::shape::{Shape, experiment};
use super::source::{Origin, Sources, Span};
use super::tree::Node;

/// A configuration with its layers merged and checked.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// The experiment without its grid; of a study's list, the first.
    pub experiment: Experiment,
    /// The settings to vary.
    pub grid: Grid,
    /// In place of a grid: what each trial lays over the experiment.
    list: Vec<Node>,
    /// The file that was asked for.
    pub source: PathBuf,
    tree: Node,
    sources: Sources,
}

/// One setting of a resolved configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// Its dotted path.
    pub path: String,
    /// Its value; `None` for an optional setting that nobody gave.
    pub value: Option<Value>,
    /// Where the value comes from.
    pub origin: Origin,
}

impl Resolved {
    /// Checks merged layers and makes an experiment and its grid of them.
    pub(super) fn check(root: Node, sources: Sources, path: &Path) -> Result<Self, Error> {
        Self::check_list(root, Vec::new(), None, sources, path)
    }

    /// The same with trials one by one in place of a grid, where `list` has any. What is wrong with a value that is written
    /// nowhere is shown at `asked`.
    pub(super) fn check_list(
        mut root: Node,
        list: Vec<Node>,
        asked: Option<Span>,
        sources: Sources,
        path: &Path,
    ) -> Result<Self, Error> {
        let mut problems = Vec::new();
        let axes = root.table_mut().and_then(|table| table.remove("grid"));
        let grid = axes.map_or_else(Grid::default, |axes| Grid::read(&axes, &mut problems));
        // Trials of a list may give what the base leaves open, such as a checkpoint.
        let base = list.first().map_or_else(|| root.clone(), |first| over(&root, [first.clone()]));
        let experiment = build(&base);
        match &experiment {
            Ok(experiment) => {
                grid.check_variants(&complete(experiment), &mut problems);
                if problems.is_empty() {
                    problems.extend(expand(&root, &grid, &list).err().unwrap_or_default());
                }
            }
            Err(found) => problems.extend(found.iter().cloned()),
        }
        match experiment {
            Ok(experiment) if problems.is_empty() => {
                Ok(Self { experiment, grid, list, source: path.to_owned(), tree: root, sources })
            }
            _ => Err(invalid(problems, &base, asked, &sources)),
        }
    }

    /// Every trial of the grid: all combinations, the axes in the order in which they are written, the last one
    /// varying fastest; or every entry of a study's list. Without either, the experiment itself.
    ///
    /// # Errors
    /// [`Error::Invalid`] if a combination breaks a rule; a configuration that was loaded has none of those.
    pub fn expand(&self) -> Result<Vec<Experiment>, Error> {
        expand(&self.tree, &self.grid, &self.list)
            .map_err(|problems| invalid(problems, &self.tree, None, &self.sources))
    }

    /// The number of trials that [`expand`](Self::expand) gives.
    #[must_use]
    pub fn trials(&self) -> usize {
        if self.list.is_empty() { self.grid.trials() } else { self.list.len() }
    }

    /// What the trials of a study's list change, and where each stands; none where a grid says it.
    #[must_use]
    pub fn list(&self) -> Vec<(Value, Origin)> {
        self.list.iter().map(|entry| (entry.value(), self.sources.origin(entry.span))).collect()
    }

    /// Every setting of the experiment, optional ones included, with its value and origin, in the order of the schema.
    #[must_use]
    pub fn settings(&self) -> Vec<Setting> {
        let mut settings = Vec::new();
        let complete = complete(&self.experiment);
        self.collect(experiment(), Some(&complete), "", &mut settings);
        settings
    }

    /// Where an axis of the grid comes from.
    #[must_use]
    pub fn axis_origin(&self, axis: &Axis) -> Origin {
        self.sources.origin(axis.key())
    }

    /// Where the value of a setting comes from, by its dotted path.
    #[must_use]
    pub fn origin(&self, path: &str) -> Origin {
        // The experiment is the first of the list, where there is one.
        let written = self.list.iter().take(1).chain([&self.tree]).find_map(|tree| tree.get(path.split('.')));
        written.map_or(Origin::Default, |node| self.sources.origin(node.span))
    }

    fn collect(&self, shape: &Shape, value: Option<&Value>, path: &str, settings: &mut Vec<Setting>) {
        if let Shape::Map(entries) = shape {
            for (name, entry) in value.and_then(Value::as_table).into_iter().flatten() {
                let shape = entries.without_absent_tables(entry);
                self.collect(&shape, Some(entry), &format!("{path}.{name}"), settings);
            }
            return;
        }
        if shape.keys().is_empty() {
            settings.push(Setting {
                path: path.to_owned(),
                value: value.cloned(),
                origin: self.origin(path),
            });
        }
        for (key, child) in shape.keys() {
            let inner = value.and_then(|value| value.get(key));
            // Of a tagged table only the chosen variant has settings.
            if inner.is_none() && matches!(shape, Shape::Tagged(_)) {
                continue;
            }
            let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            self.collect(child, inner, &path, settings);
        }
    }
}

// The experiment that a merged tree describes, or everything that is wrong with it.
fn build(root: &Node) -> Result<Experiment, Vec<Problem>> {
    let mut problems = check(root);
    match serde_path_to_error::deserialize::<_, Experiment>(root.value()) {
        Ok(experiment) => {
            experiment.check(&mut problems);
            if problems.is_empty() {
                return Ok(experiment);
            }
        }
        // The check against the schema says it better, where it has found the same.
        Err(error) if problems.is_empty() => {
            let path = error.path().to_string();
            problems.push(Problem::new(&path, format!("`{path}`: {}", error.inner().message())));
        }
        Err(_) => {}
    }
    Err(problems)
}

// Layers over a tree.
fn over(root: &Node, layers: impl IntoIterator<Item = Node>) -> Node {
    let mut tree = root.clone();
    layers.into_iter().for_each(|layer| tree.merge(layer, experiment()));
    tree
}

fn expand(root: &Node, grid: &Grid, list: &[Node]) -> Result<Vec<Experiment>, Vec<Problem>> {
    if !list.is_empty() {
        let layers = list.iter().map(|entry| vec![entry.clone()]);
        return trials(root, layers, |nth, same| {
            let message = format!("two entries of the list train the same, {same}");
            Problem::at(list[nth].span, message).help(SAME_FILE_HELP)
        });
    }
    trials(root, grid.layers(), |_, same| {
        let message = format!("two trials of the grid train the same, {same}");
        let help = match grid.axes().iter().any(|axis| axis.path() == CHECKPOINT) {
            true => "a checkpoint is known by its file's name, wherever it lies: rename one of two",
            false => "make each axis change another setting of the training",
        };
        let place = grid.axes().last().map_or(root.span, Axis::key);
        Problem::at(place, message).help(help)
    })
}

const SAME_FILE_HELP: &str =
    "change a setting of the training in each; a checkpoint is known by its file's name";

// `repeated` says that a trial, by its number, is one that was there before.
fn trials(
    root: &Node,
    all: impl Iterator<Item = Vec<Node>>,
    repeated: impl Fn(usize, &str) -> Problem,
) -> Result<Vec<Experiment>, Vec<Problem>> {
    let mut trials = Vec::new();
    let mut problems = Vec::new();
    let mut told = HashSet::new();
    let mut trained = HashSet::new();
    for (nth, layers) in all.enumerate() {
        let trial = over(root, layers);
        match build(&trial) {
            Ok(experiment) => {
                if !trained.insert(experiment.training_hash()) {
                    let same = format!("`{}` of the {}", experiment.slug(), experiment.family());
                    return Err(vec![repeated(nth, &same)]);
                }
                trials.push(experiment);
            }
            // Many trials break a rule in the same way: the first tells it.
            Err(found) => found.into_iter().for_each(|problem| {
                let span = problem.span(&trial);
                if told.insert((span, problem.message.clone())) {
                    problems.push(problem.placed(span));
                }
            }),
        }
    }
    if problems.is_empty() { Ok(trials) } else { Err(problems) }
}

fn invalid(problems: Vec<Problem>, root: &Node, asked: Option<Span>, sources: &Sources) -> Error {
    let placed = |problem: Problem| {
        let span = problem.span(root).or(asked);
        problem.placed(span)
    };
    let mut problems: Vec<Problem> = problems.into_iter().map(placed).collect();
    problems.sort_by_key(|problem| problem.span(root));
    Error::of_problems(problems.into_iter().map(|problem| problem.diagnose(root, sources)))
}

fn complete(experiment: &Experiment) -> Value {
    Value::try_from(experiment).unwrap_or_else(|_| Value::Table(toml::Table::new()))
}
