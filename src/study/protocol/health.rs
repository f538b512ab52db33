//! Stage 1: neither saturated nor failed.

use serde::Serialize;

use super::metric::{Metric, State};
use super::{Curves, limit, plural, some};
use crate::config::ProtocolConfig;
use crate::study::correlation::{Correlation, Grid, NOTHING_DRAWN};
use crate::study::results::{ResultRow, Units};

/// How a proxy task does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HealthVerdict {
    /// All configurations are at the metric's ceiling, so that it tells none from another.
    Saturated,
    /// Too many configurations have learnt nothing.
    Failed,
    /// Neither of the two.
    Healthy,
    /// The program knows no ceiling and no floor of the metric, or there is no value of it.
    Unknown,
}

impl HealthVerdict {
    /// In a table.
    pub fn word(self) -> &'static str {
        match self {
            Self::Saturated => "saturated",
            Self::Failed => "failed",
            Self::Healthy => "healthy",
            Self::Unknown => "unknown",
        }
    }
}

/// Stage 1.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Health {
    /// The family's.
    pub verdict: HealthVerdict,
    /// The verdict and what it rests on, in words.
    pub in_words: String,
    /// The sentences of which these words are made.
    pub evidence: Vec<String>,
    /// The metric that was looked at; the proxy itself, or one beside it that tells a collapse.
    pub metric: String,
    /// Its smallest mean of a configuration; shares as fractions.
    pub lowest: Option<f64>,
    /// Its largest.
    pub highest: Option<f64>,
    /// Beyond this a configuration is saturated.
    pub saturated_at: Option<f64>,
    /// Beyond this it failed.
    pub failed_at: Option<f64>,
    /// Configurations that have a value of it.
    pub judged: usize,
    /// Those that are saturated.
    pub saturated: Vec<String>,
    /// Those that failed, by the metric or by their losses.
    pub failed: Vec<String>,
    /// What the training says, where there are runs with two epochs or more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub losses: Option<Losses>,
}

/// How the losses of a family's runs fell.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Losses {
    /// Runs with a curve.
    pub runs: usize,
    /// The smallest share by which one fell.
    pub least_fall: f64,
    /// The largest.
    pub most_fall: f64,
    /// A smaller fall is none.
    pub stuck_below: f64,
    /// Runs whose loss never left its start: `config/machine/seed-n`.
    pub stuck: Vec<String>,
    /// Runs that warned while they trained.
    pub warned: usize,
}

pub(super) fn judge(
    family: &Correlation,
    rows: &[&ResultRow],
    grid: &Grid<'_>,
    curves: &Curves,
    config: &ProtocolConfig,
) -> Health {
    let (name, metric) = metric_of(family, rows);
    let values = metric.map_or_else(Vec::new, |metric| values(&name, metric, grid, rows));
    let of_state = |state: State| -> Vec<String> {
        let metric = metric.into_iter().flat_map(|metric| values.iter().map(move |value| (metric, value)));
        metric
            .filter(|(metric, (_, value))| metric.state(*value, config) == state)
            .map(|(_, (name, _))| name.clone())
            .collect()
    };
    let (saturated, mut failed) = (of_state(State::Saturated), of_state(State::Failed));
    let mut evidence = Vec::new();
    let lowest = values.iter().map(|(_, value)| *value).min_by(f64::total_cmp);
    let highest = values.iter().map(|(_, value)| *value).max_by(f64::total_cmp);
    match (metric, lowest.zip(highest)) {
        (None, _) => evidence.push(format!("no ceiling and no floor of `{name}` is known")),
        (Some(_), None) => {
            let why = rows.iter().find_map(|row| row.proxy_why.as_deref()).unwrap_or("some results lack it");
            evidence.push(format!("no configuration has `{name}` for all machine types and seeds: {why}"));
        }
        (Some(metric), Some((lowest, highest))) => {
            let beside = if name == family.proxy { "" } else { ", measured beside the proxy," };
            evidence.push(format!(
                "`{name}`{beside} is {} to {} over {}; {}: {} saturated, {} failed{}",
                metric.show(lowest),
                metric.show(highest),
                plural(values.len(), "configuration"),
                metric.rule(config),
                saturated.len(),
                failed.len(),
                if failed.is_empty() { String::new() } else { format!(" ({})", some(&failed)) },
            ));
        }
    }
    let without = grid.configs().len() - values.len();
    if metric.is_some() && without > 0 && !values.is_empty() {
        evidence.push(format!(
            "{} without a value for all machine types and seeds",
            plural(without, "configuration")
        ));
    }
    let losses = losses(rows, curves, config);
    match &losses {
        Some(found) => {
            evidence.push(in_words(found));
            let stuck = stuck_configurations(grid, rows, curves, config);
            failed.extend(stuck.into_iter().filter(|name| !failed.contains(name)).collect::<Vec<_>>());
        }
        None if NOTHING_DRAWN.contains(&family.family.as_str()) => {
            evidence.push("nothing was trained here".into());
        }
        None => evidence.push("there are no loss curves to see a failed training by".into()),
    }
    evidence.extend(warning(rows, curves));
    let all = grid.configs().len();
    let too_many = !failed.is_empty() && failed.len() as f64 >= config.failed_share * all as f64;
    let verdict = match () {
        () if too_many => HealthVerdict::Failed,
        () if values.is_empty() => HealthVerdict::Unknown,
        () if saturated.len() == values.len() => HealthVerdict::Saturated,
        () => HealthVerdict::Healthy,
    };
    let (saturated_at, failed_at) = match metric.map(|metric| metric.limits(config)) {
        Some((saturated, failed)) => (Some(saturated), failed),
        None => (None, None),
    };
    Health {
        verdict,
        in_words: format!("{}: {}", verdict.word(), evidence.join("; ")),
        evidence,
        metric: name,
        lowest,
        highest,
        saturated_at,
        failed_at,
        judged: values.len(),
        saturated,
        failed,
        losses,
    }
}

/// The proxy, or one measured beside it where nothing is known of the proxy: a collapsed network is perfectly aligned.
fn metric_of(family: &Correlation, rows: &[&ResultRow]) -> (String, Option<Metric>) {
    if let Some(metric) = Metric::known(&family.proxy) {
        return (family.proxy.clone(), Some(metric));
    }
    let others = rows.first().map_or(&[][..], |row| &row.other_proxies);
    let known =
        others.iter().find_map(|other| Metric::known(&other.name).map(|m| (other.name.clone(), Some(m))));
    known.unwrap_or_else(|| (family.proxy.clone(), None))
}

/// The mean of each configuration that has one; shares as fractions.
fn values(name: &str, metric: Metric, grid: &Grid<'_>, rows: &[&ResultRow]) -> Vec<(String, f64)> {
    if grid.mixed().is_some() {
        return Vec::new();
    }
    let value = |row: &ResultRow| match row.proxy_name == name {
        true => row.proxy,
        false => row.other_proxies.iter().find(|other| other.name == name).and_then(|other| other.value),
    };
    let units = match metric.is_share() {
        true => Units::of(rows.iter().filter_map(|row| value(row))),
        false => Units::Fractions,
    };
    let configs = grid.configs().iter();
    configs
        .filter_map(|config| Some(((*config).to_owned(), units.fraction(grid.mean(config, value)?)?)))
        .collect()
}

fn losses(rows: &[&ResultRow], curves: &Curves, config: &ProtocolConfig) -> Option<Losses> {
    let of = |row: &&ResultRow| curves.of(row).and_then(|curve| curve.fall());
    let falls: Vec<f64> = rows.iter().filter_map(of).collect();
    let is_stuck = |row: &&&ResultRow| of(row).is_some_and(|fall| fall < config.stuck_loss);
    Some(Losses {
        runs: falls.len(),
        least_fall: falls.iter().copied().min_by(f64::total_cmp)?,
        most_fall: falls.iter().copied().max_by(f64::total_cmp)?,
        stuck_below: config.stuck_loss,
        stuck: rows.iter().filter(is_stuck).map(|row| place(row)).collect(),
        warned: rows.iter().filter(|row| curves.of(row).is_some_and(|curve| curve.warning.is_some())).count(),
    })
}

/// Configurations of whose runs as large a share never learnt as makes a family fail.
fn stuck_configurations(
    grid: &Grid<'_>,
    rows: &[&ResultRow],
    curves: &Curves,
    config: &ProtocolConfig,
) -> Vec<String> {
    let falls = |name: &str| -> Vec<f64> {
        let own = rows.iter().filter(|row| row.config == name);
        own.filter_map(|row| curves.of(row)?.fall()).collect()
    };
    let stuck = |name: &&&str| {
        let falls = falls(name);
        let stuck = falls.iter().filter(|fall| **fall < config.stuck_loss).count();
        stuck > 0 && stuck as f64 >= config.failed_share * falls.len() as f64
    };
    grid.configs().iter().filter(stuck).map(|name| (*name).to_owned()).collect()
}

fn in_words(losses: &Losses) -> String {
    let Losses { runs, least_fall, most_fall, stuck_below, stuck, .. } = losses;
    let percent = |share: f64| format!("{:.0} %", 100.0 * share);
    let falls = format!(
        "the loss of {} fell by {} to {} of its size",
        plural(*runs, "run"),
        percent(*least_fall),
        percent(*most_fall)
    );
    match stuck.is_empty() {
        true => falls,
        false => format!(
            "{falls}; {} never left its start (less than {} %): {}",
            stuck.len(),
            limit(100.0 * stuck_below),
            some(stuck)
        ),
    }
}

fn warning(rows: &[&ResultRow], curves: &Curves) -> Option<String> {
    let mut warned = rows.iter().filter_map(|row| Some((row, curves.of(row)?.warning.as_deref()?)));
    let (row, first) = warned.next()?;
    let count = 1 + warned.count();
    Some(format!("{} warned in training, the first, {}: {first}", plural(count, "run"), place(row)))
}

/// `config/machine/seed-n`.
fn place(row: &ResultRow) -> String {
    let machine = row.machine.as_ref().map_or(String::new(), |machine| format!("/{machine}"));
    let seed = row.seed.map_or(String::new(), |seed| format!("/seed-{seed}"));
    format!("{}{machine}{seed}", row.config)
}
