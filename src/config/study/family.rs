//! One family of a study: its file, and what the study lays over it.

use toml::Value;

use super::read::Reading;
use super::text_of;
use crate::config::check::Problem;
use crate::config::grid;
use crate::config::load::tidy;
use crate::config::shape::{experiment, quoted};
use crate::config::suggest::nearest;
use crate::config::tree::{Item, Node};
use crate::config::{Error, Resolved, TaskConfig};

/// A `[[family]]` as it is written.
pub(super) struct Family {
    /// The name of its file.
    pub config: Node,
    over: Option<Node>,
    grid: Option<Node>,
    list: Vec<Node>,
}

impl Family {
    /// Every family of a study that has been held against its shape.
    pub fn read_all(root: &Node, problems: &mut Vec<Problem>) -> Vec<Self> {
        let families = match root.get(["family"]).map(|node| &node.item) {
            Some(Item::List(families)) => families.as_slice(),
            _ => {
                let help = "add a `[[family]]` with `config = \"FILE\"` for each of its families";
                problems.push(Problem::new("study", "the study has no family".to_owned()).help(help));
                return Vec::new();
            }
        };
        families.iter().filter_map(|family| Self::read(family, problems)).collect()
    }

    fn read(family: &Node, problems: &mut Vec<Problem>) -> Option<Self> {
        let Some(config) = family.get(["config"]).cloned() else {
            let message = "the family names no configuration".to_owned();
            problems.push(Problem::at(family.span, message).help("add `config = \"FILE\"`"));
            return None;
        };
        let (over, grid) = (family.get(["override"]).cloned(), family.get(["grid"]).cloned());
        let list = match family.get(["list"]).map(|node| &node.item) {
            Some(Item::List(entries)) => entries.clone(),
            _ => Vec::new(),
        };
        if let (Some(grid), false) = (&grid, list.is_empty()) {
            let message = "the family has a grid and a list".to_owned();
            problems.push(Problem::at(grid.key, message).help("keep one of the two"));
        }
        over.iter().for_each(|node| expect_settings("family.override", node, problems));
        list.iter().for_each(|node| expect_settings("family.list", node, problems));
        Some(Self { config, over, grid, list })
    }

    /// The family's file with everything that the study lays over it. `variants` gathers the tables of `task` that the
    /// study's families have.
    pub fn resolve(
        &self,
        reading: &mut Reading,
        seeds: Option<&Node>,
        common: Option<&Node>,
        variants: &mut Vec<String>,
    ) -> Result<Resolved, Error> {
        let span = self.config.span;
        let path = reading.beside(text_of(&self.config).unwrap_or_default(), span);
        reading.layers.begin();
        let mut root = reading.layers.file(&path, Some(span))?;
        let variant = variant(&root);
        variants.push(variant.clone());
        self.refuse_others(&variant, reading)?;
        if let Some(seeds) = seeds {
            root.merge(seeds.clone().nested(&["train".to_owned(), "seeds".to_owned()]), experiment());
        }
        let common = common.map(|common| for_variant(common, &variant));
        common.into_iter().chain(self.over.clone()).for_each(|layer| root.merge(layer, experiment()));
        if let Some(table) = root.table_mut()
            && (self.grid.is_some() || !self.list.is_empty())
        {
            table.remove("grid");
            table.extend(self.grid.clone().map(|grid| ("grid".to_owned(), grid)));
        }
        grid::flatten(&mut root);
        let mut list = self.list.clone();
        for set in &reading.sets {
            let set = for_variant(set, &variant);
            root.merge(set.clone(), experiment());
            list.iter_mut().for_each(|entry| entry.merge(set.clone(), experiment()));
        }
        Resolved::check_list(root, list, Some(span), reading.layers.sources.clone(), &tidy(&path))
    }

    // An override of another family's settings would change what the file trains.
    fn refuse_others(&self, variant: &str, reading: &Reading) -> Result<(), Error> {
        let mut problems = Vec::new();
        for node in self.over.iter().chain(&self.list) {
            if let Some(grid) = node.get(["grid"]) {
                let help = "a family's grid stands in `[family.grid]`";
                problems.push(Problem::at(grid.key, "a grid cannot stand here".to_owned()).help(help));
            }
            let others = tasks(node).into_iter().filter(|(key, _)| *key != variant);
            problems.extend(others.map(|(key, node)| {
                let file = text_of(&self.config).unwrap_or_default();
                let message = format!("`task.{key}` is not what {file} trains, which is `task.{variant}`");
                Problem::at(node.key, message).help("name a configuration of that task as the family's")
            }));
        }
        if problems.is_empty() { Ok(()) } else { Err(reading.invalid(problems)) }
    }
}

/// Refuses what stands in the place of an experiment's settings and is no table.
pub(super) fn expect_settings(place: &str, node: &Node, problems: &mut Vec<Problem>) {
    if !matches!(node.item, Item::Table(_)) {
        let message = format!("`{place}` must hold an experiment's settings");
        let help = "write it as a table, such as `{ train.epochs = 20 }`";
        problems.push(Problem::at(node.span, message).help(help));
    }
}

/// What of the settings for all families no family takes: tables of `task` that none has, and grids.
pub(super) fn unused<'a>(layers: impl Iterator<Item = &'a Node>, variants: &[String]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for layer in layers {
        if let Some(grid) = layer.get(["grid"]) {
            let message = "a grid cannot be common to all families".to_owned();
            let help = "each has its own: that of its file, or `[family.grid]`";
            problems.push(Problem::at(grid.key, message).help(help));
        }
        for (key, node) in
            tasks(layer).into_iter().filter(|(key, _)| !variants.iter().any(|known| known == key))
        {
            let message = format!("no family of the study has a table `task.{key}`");
            let problem = Problem::at(node.key, message).label("not taken by any");
            problems.push(match nearest(key, variants.iter().map(String::as_str)) {
                Some(near) => problem.help(format!("did you mean `task.{near}`?")),
                None => {
                    let mut known = variants.to_vec();
                    known.sort();
                    known.dedup();
                    let known = known.iter().map(|variant| format!("task.{variant}"));
                    problem.help(format!("they have {}", quoted(known.collect::<Vec<_>>())))
                }
            });
        }
    }
    problems
}

// The table of `task` that a configuration has.
fn variant(root: &Node) -> String {
    let chosen = tasks(root).first().map(|(key, _)| (*key).to_owned());
    chosen.unwrap_or_else(|| {
        let usual = Value::try_from(TaskConfig::default());
        let table = usual.ok().and_then(|task| task.as_table()?.keys().next().cloned());
        table.unwrap_or_default()
    })
}

fn tasks(layer: &Node) -> Vec<(&str, &Node)> {
    match layer.get(["task"]).map(|node| &node.item) {
        Some(Item::Table(table)) => table.iter().map(|(key, node)| (key.as_str(), node)).collect(),
        _ => Vec::new(),
    }
}

// A layer for all families as one of them takes it, which has the table `variant` of `task`.
fn for_variant(layer: &Node, variant: &str) -> Node {
    let mut layer = layer.clone();
    if let Some(top) = layer.table_mut()
        && let Some(tasks) = top.get_mut("task").and_then(Node::table_mut)
    {
        tasks.retain(|key, _| key == variant);
        if tasks.is_empty() {
            top.remove("task");
        }
    }
    layer
}
