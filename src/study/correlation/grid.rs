//! A family's results by configuration, machine type and seed, and their means.

use std::collections::{BTreeSet, HashMap};

use ndarray::Array2;
use serde::Serialize;

use super::NOTHING_DRAWN;
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
pub(in crate::study) struct Grid<'a> {
    /// In the order of their first rows.
    configs: Vec<&'a str>,
    /// All that any configuration has, sorted: sums taken in this order do not depend on that of the rows.
    cells: Vec<Cell<'a>>,
    /// By configuration, of [`Self::cells`] only.
    rows: HashMap<&'a str, HashMap<Cell<'a>, &'a ResultRow>>,
    /// Seeds of which the first stands for all.
    equal_seeds: bool,
}

impl<'a> Grid<'a> {
    /// Of the rows of one family.
    pub(in crate::study) fn of(rows: &[&'a ResultRow]) -> Self {
        let equal_seeds = equal_seeds(rows);
        let mut configs = Vec::new();
        let mut cells = BTreeSet::new();
        let mut of: HashMap<&str, HashMap<Cell<'_>, &ResultRow>> = HashMap::new();
        for row in rows {
            let cell = (row.machine.as_deref(), row.seed.filter(|_| !equal_seeds));
            cells.insert(cell);
            let cells: &mut HashMap<_, &ResultRow> = of.entry(&row.config).or_insert_with(|| {
                configs.push(row.config.as_str());
                HashMap::new()
            });
            // They are equal: the smallest seed is taken, in whatever order they come.
            let kept = cells.entry(cell).or_insert(row);
            if row.seed < kept.seed {
                *kept = row;
            }
        }
        Self { configs, cells: cells.into_iter().collect(), rows: of, equal_seeds }
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
            equal_seeds: self.equal_seeds,
        }
    }

    pub(in crate::study) fn configs(&self) -> &[&'a str] {
        &self.configs
    }

    /// Machine types, sorted.
    pub(in crate::study) fn machines(&self) -> Vec<&'a str> {
        let mut machines: Vec<&str> = self.cells.iter().filter_map(|(machine, _)| *machine).collect();
        machines.dedup();
        machines
    }

    /// What a configuration's numbers are means over.
    pub(super) fn averaging(&self) -> String {
        let seeds: Vec<usize> = self.cells.chunk_by(|a, b| a.0 == b.0).map(<[_]>::len).collect();
        let plural = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
        let seeds = match (seeds.iter().min(), seeds.iter().max()) {
            (Some(few), Some(many)) if few < many => format!("{few} to {many} seeds"),
            (Some(n), _) => plural(*n, "seed"),
            (None, _) => return "nothing".into(),
        };
        let of_seeds = self.cells.iter().any(|cell| cell.1.is_some());
        let machines = self.machines().len();
        let drawn = match self.equal_seeds {
            true => "; nothing is drawn in this family: its seeds agree, and one stands for all",
            false => "",
        };
        let over = match (machines, of_seeds) {
            (0, false) => "nothing: the rows are taken as they are".to_owned(),
            (0, true) => seeds,
            (n, false) => plural(n, "machine type"),
            (n, true) => format!("{seeds} of each machine type, then over {}", plural(n, "machine type")),
        };
        over + drawn
    }

    /// Why a proxy that is the same everywhere has no rank correlation.
    pub(super) fn constant_proxy(&self, n: usize) -> String {
        let first = self.rows.values().flat_map(HashMap::values).next();
        let name = first.map_or("proxy", |row| row.proxy_name.as_str());
        let shared = match first.is_some_and(|row| NOTHING_DRAWN.contains(&row.family.as_str())) {
            true => " (they share a checkpoint, or what is published of theirs is equal)",
            false => "",
        };
        format!("the proxy `{name}` is the same for all {n} configurations{shared}")
    }

    /// Whether a configuration's number is a mean of several.
    pub(super) fn averages(&self) -> bool {
        self.cells.len() > 1
    }

    /// How many results a configuration has.
    pub(in crate::study) fn results(&self, config: &str) -> usize {
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

    /// Which results a configuration lacks, in words; none where it has all.
    pub(in crate::study) fn lacking(&self, config: &str) -> Option<String> {
        let mut gaps = self.cells.iter().filter(|cell| self.row(config, **cell).is_none());
        let (machine, seed) = gaps.next()?;
        let more = match gaps.count() {
            0 => String::new(),
            more => format!(", nor {more} more"),
        };
        Some(format!("no result{}{more}", place(*machine, *seed)))
    }

    /// How many results configurations lack in all.
    pub(super) fn gap_count(&self) -> usize {
        let there: usize = self.rows.values().map(HashMap::len).sum();
        self.configs.len() * self.cells.len() - there
    }

    /// That some rows are means over machine types or seeds and others are not; none where all are alike.
    pub(in crate::study) fn mixed(&self) -> Option<String> {
        let some_and_none = |part: fn(&Cell<'_>) -> bool| {
            let with = self.cells.iter().filter(|cell| part(cell)).count();
            with > 0 && with < self.cells.len()
        };
        let parts = [
            ("machine", some_and_none(|cell| cell.0.is_some())),
            ("seed", some_and_none(|cell| cell.1.is_some())),
        ];
        let (what, _) = parts.into_iter().find(|(_, mixed)| *mixed)?;
        Some(format!("some rows of the family are of one {what} and some of no {what}: they do not compare"))
    }

    /// Why the configurations cannot be compared by a detection metric; none where they can.
    pub(super) fn flaw(&self, which: Detection) -> Option<String> {
        if let Some(why) = self.mixed() {
            return Some(why);
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
    pub(in crate::study) fn mean(
        &self,
        config: &str,
        value: impl Fn(&ResultRow) -> Option<f64>,
    ) -> Option<f64> {
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

    /// The means over seeds, by machine type; none where any of the values is missing.
    pub(in crate::study) fn machine_means(
        &self,
        config: &str,
        value: &impl Fn(&ResultRow) -> Option<f64>,
    ) -> Option<Vec<f64>> {
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

/// Whether there are several seeds, of a family in which nothing is drawn, and those of each configuration and machine type
/// agree. They need not: a linear probe may be split or solved by chance.
fn equal_seeds(rows: &[&ResultRow]) -> bool {
    let nothing_drawn = rows.iter().all(|row| NOTHING_DRAWN.contains(&row.family.as_str()));
    let several = rows.windows(2).any(|pair| pair[0].seed != pair[1].seed);
    let mut known: HashMap<(&str, Option<&str>), [Option<f64>; 4]> = HashMap::new();
    let mut agree = true;
    for row in rows {
        let values = [row.proxy, row.in_domain_lp, row.out_domain_lp, row.mahalanobis];
        agree &= *known.entry((&row.config, row.machine.as_deref())).or_insert(values) == values;
    }
    nothing_drawn && several && agree
}

fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

fn place(machine: Option<&str>, seed: Option<u64>) -> String {
    let machine = machine.map_or(String::new(), |machine| format!(" on machine `{machine}`"));
    machine + &seed.map_or(String::new(), |seed| format!(" with seed {seed}"))
}
