//! A checked experiment that knows where each of its values comes from.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use toml::Value;

use super::check::{Problem, check};
use super::error::Error;
use super::experiment::{CHECKPOINT, Experiment};
use super::grid::{Axis, Grid};
use super::shape::{Shape, experiment};
use super::source::{Origin, Sources};
use super::tree::Node;

/// A configuration with its layers merged and checked.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// The experiment without its grid.
    pub experiment: Experiment,
    /// The settings to vary.
    pub grid: Grid,
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
    pub(super) fn check(mut root: Node, sources: Sources, path: &Path) -> Result<Self, Error> {
        let mut problems = Vec::new();
        let axes = root.table_mut().and_then(|table| table.remove("grid"));
        let grid = axes.map_or_else(Grid::default, |axes| Grid::read(&axes, &mut problems));
        let experiment = build(&root);
        match &experiment {
            Ok(experiment) => {
                grid.check_variants(&complete(experiment), &mut problems);
                if problems.is_empty() {
                    problems.extend(expand(&root, &grid).err().unwrap_or_default());
                }
            }
            Err(found) => problems.extend(found.iter().cloned()),
        }
        match experiment {
            Ok(experiment) if problems.is_empty() => {
                Ok(Self { experiment, grid, source: path.to_owned(), tree: root, sources })
            }
            _ => Err(invalid(problems, &root, &sources)),
        }
    }

    /// Every trial of the grid: all combinations, the axes in the order in which they are written, the last one
    /// varying fastest. Without a grid, the experiment itself.
    ///
    /// # Errors
    /// [`Error::Invalid`] if a combination breaks a rule; a configuration that was loaded has none of those.
    pub fn expand(&self) -> Result<Vec<Experiment>, Error> {
        expand(&self.tree, &self.grid).map_err(|problems| invalid(problems, &self.tree, &self.sources))
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
        self.tree.get(path.split('.')).map_or(Origin::Default, |node| self.sources.origin(node.span))
    }

    fn collect(&self, shape: &Shape, value: Option<&Value>, path: &str, settings: &mut Vec<Setting>) {
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

fn expand(root: &Node, grid: &Grid) -> Result<Vec<Experiment>, Vec<Problem>> {
    let mut trials = Vec::with_capacity(grid.trials());
    let mut problems = Vec::new();
    let mut told = HashSet::new();
    let mut trained = HashSet::new();
    for layers in grid.layers() {
        let mut trial = root.clone();
        layers.into_iter().for_each(|layer| trial.merge(layer, experiment()));
        match build(&trial) {
            Ok(experiment) => {
                let first = trained.insert(experiment.training_hash());
                if let (false, Some(axis)) = (first, grid.axes().last()) {
                    let message = format!(
                        "two trials of the grid train the same, `{}` of the {}",
                        experiment.slug(),
                        experiment.family()
                    );
                    let help = match grid.axes().iter().any(|axis| axis.path() == CHECKPOINT) {
                        true => {
                            "a checkpoint is known by its file's name, wherever it lies: rename one of two"
                        }
                        false => "make each axis change another setting of the training",
                    };
                    return Err(vec![Problem::at(axis.key(), message).help(help)]);
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

fn invalid(mut problems: Vec<Problem>, root: &Node, sources: &Sources) -> Error {
    problems.sort_by_key(|problem| problem.span(root));
    Error::Invalid(problems.into_iter().map(|problem| problem.diagnose(root, sources)).collect())
}

fn complete(experiment: &Experiment) -> Value {
    Value::try_from(experiment).unwrap_or_else(|_| Value::Table(toml::Table::new()))
}
