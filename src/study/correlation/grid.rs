//! A family's results by configuration, machine type and seed, and their means.

use std::collections::{BTreeSet, HashMap};

use ndarray::Array2;
use serde::Serialize;

use crate::study::results::{Detection, ResultRow};

/// Machine type and seed; none where a row is a mean over them.
type Cell<'a> = (Option<&'a str>, Option<u64>);

/// A result that a configuration lacks and another one of its family has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Gap {
    /// The configuration.
    pub config: String,
    /// Machine type; none for a mean over them.
    pub machine: Option<String>,
    /// Seed; none for a mean over them.
    pub seed: Option<u64>,
}

/// The results of one family, or of one machine type of it.
pub(super) struct Grid<'a> {
    /// In the order of their first rows.
    configs: Vec<&'a str>,
    /// All that any configuration has, sorted: sums taken in this order do not depend on that of the rows.
    cells: Vec<Cell<'a>>,
    /// By configuration, of [`Self::cells`] only.
    rows: HashMap<&'a str, HashMap<Cell<'a>, &'a ResultRow>>,
}

impl<'a> Grid<'a> {
    /// Of the rows of one family.
    pub(super) fn of(rows: &[&'a ResultRow]) -> Self {
        let mut configs = Vec::new();
        let mut cells = BTreeSet::new();
        let mut of: HashMap<&str, HashMap<Cell<'_>, &ResultRow>> = HashMap::new();
        for row in rows {
            let cell = (row.machine.as_deref(), row.seed);
            cells.insert(cell);
            of.entry(&row.config)
                .or_insert_with(|| {
                    configs.push(row.config.as_str());
                    HashMap::new()
                })
                .insert(cell, row);
        }
        Self { configs, cells: cells.into_iter().collect(), rows: of }
    }

    /// All configurations of the family on one machine type.
    pub(super) fn on(&self, machine: &str) -> Self {
        let is_of = |cell: &Cell<'_>| cell.0 == Some(machine);
        let part = |all: &HashMap<Cell<'a>, &'a ResultRow>| {
            all.iter().filter(|(cell, _)| is_of(cell)).map(|(cell, row)| (*cell, *row)).collect()
        };
        Self {
            configs: self.configs.clone(),
            cells: self.cells.iter().filter(|cell| is_of(cell)).copied().collect(),
            rows: self.rows.iter().map(|(config, all)| (*config, part(all))).collect(),
        }
    }

    pub(super) fn configs(&self) -> &[&'a str] {
        &self.configs
    }

    /// Machine types, sorted.
    pub(super) fn machines(&self) -> Vec<&'a str> {
        let mut machines: Vec<&str> = self.cells.iter().filter_map(|(machine, _)| *machine).collect();
        machines.dedup();
        machines
    }

    /// Whether a configuration's number is a mean of several.
    pub(super) fn averages(&self) -> bool {
        self.cells.len() > 1
    }

    /// How many results a configuration has.
    pub(super) fn results(&self, config: &str) -> usize {
        self.rows.get(config).map_or(0, HashMap::len)
    }

    fn row(&self, config: &str, cell: Cell<'_>) -> Option<&'a ResultRow> {
        self.rows.get(config)?.get(&cell).copied()
    }

    /// What configurations lack, in their order. There may be configurations × cells of them: never take all.
    pub(super) fn gaps(&self) -> impl Iterator<Item = Gap> {
        let of = move |config: &'a str| {
            self.cells.iter().filter(move |cell| self.row(config, **cell).is_none()).map(
                move |(machine, seed)| Gap {
                    config: config.to_owned(),
                    machine: machine.map(str::to_owned),
                    seed: *seed,
                },
            )
        };
        self.configs.iter().flat_map(move |config| of(config))
    }

    /// How many results configurations lack in all.
    pub(super) fn gap_count(&self) -> usize {
        let there: usize = self.rows.values().map(HashMap::len).sum();
        self.configs.len() * self.cells.len() - there
    }

    /// Why the configurations cannot be compared by a detection metric; none where they can.
    pub(super) fn flaw(&self, which: Detection) -> Option<String> {
        let some_and_none = |part: fn(&Cell<'_>) -> bool| {
            let with = self.cells.iter().filter(|cell| part(cell)).count();
            with > 0 && with < self.cells.len()
        };
        for (what, mixed) in [
            ("machine", some_and_none(|cell| cell.0.is_some())),
            ("seed", some_and_none(|cell| cell.1.is_some())),
        ] {
            if mixed {
                return Some(format!(
                    "some rows of the family are of one {what} and some of no {what}: they do not compare"
                ));
            }
        }
        if let Some(first) = self.gaps().next() {
            let place = place(first.machine.as_deref(), first.seed);
            let others = match self.gap_count() - 1 {
                0 => String::new(),
                more => format!(" ({more} more are missing)"),
            };
            return Some(format!(
                "config `{}` has no result{place}{others}, and means over different machines or seeds do not compare",
                first.config
            ));
        }
        let lacking = |row: &ResultRow| match (row.proxy, row.detection(which)) {
            (None, _) => Some("proxy"),
            (_, None) => Some(which.key()),
            _ => None,
        };
        for config in &self.configs {
            for (machine, seed) in &self.cells {
                if let Some(what) = self.row(config, (*machine, *seed)).and_then(lacking) {
                    return Some(format!("config `{config}` has no {what}{}", place(*machine, *seed)));
                }
            }
        }
        None
    }

    /// The mean over machine types of the means over seeds; none where any of the values is missing.
    pub(super) fn mean(&self, config: &str, value: impl Fn(&ResultRow) -> Option<f64>) -> Option<f64> {
        mean(&self.machine_means(config, &value)?)
    }

    /// `[configurations, machines]`: the means over seeds; none where any of the values is missing.
    pub(super) fn table(&self, value: impl Fn(&ResultRow) -> Option<f64>) -> Option<Array2<f64>> {
        let rows: Option<Vec<Vec<f64>>> =
            self.configs.iter().map(|config| self.machine_means(config, &value)).collect();
        let rows = rows?;
        let machines = rows.first().map_or(0, Vec::len);
        Array2::from_shape_vec((rows.len(), machines), rows.concat()).ok()
    }

    fn machine_means(&self, config: &str, value: &impl Fn(&ResultRow) -> Option<f64>) -> Option<Vec<f64>> {
        let machines = self.cells.chunk_by(|a, b| a.0 == b.0);
        machines
            .map(|cells| {
                let seeds: Option<Vec<f64>> =
                    cells.iter().map(|cell| self.row(config, *cell).and_then(value)).collect();
                mean(&seeds?)
            })
            .collect()
    }
}

fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

fn place(machine: Option<&str>, seed: Option<u64>) -> String {
    let machine = machine.map_or(String::new(), |machine| format!(" on machine `{machine}`"));
    machine + &seed.map_or(String::new(), |seed| format!(" with seed {seed}"))
}
