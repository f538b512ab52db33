//! Does a better proxy make a better detector? Spearman over the configurations of a family.
//!
//! A configuration's numbers are means: over the seeds of each machine type, then over the machine types, so that each
//! machine type counts the same. They are taken only where all configurations of the family have all machine types and
//! seeds and every value; where not, the coefficient is missing and says which result it lacks. In a family that draws
//! nothing ([`NOTHING_DRAWN`]) seeds that agree are one: the first stands for all, and none is missing.
//!
//! p-values are exact permutation tests (sampled above [`stats::EXACT_MAX`] configurations), two-sided. Holm's and
//! Benjamini-Hochberg's adjustment is over all coefficients of one call: every family against every detection metric.

mod grid;

use serde::Serialize;

pub use grid::Gap;
pub(super) use grid::Grid;

use super::Evaluation;
use super::results::{Detection, ResultRow};
use crate::config::ProtocolConfig;
use crate::stats::{self, Interval, Spearman};

/// The level below which the study calls a p significant.
pub const SIGNIFICANT: f64 = 0.05;

/// Families in which nothing is drawn, so that another seed gives the same result.
pub const NOTHING_DRAWN: [&str; 1] = ["pretrained"];

/// How many of the results that configurations lack are named: where each has its own seeds, those of all others lack.
pub const MISSING_SHOWN: usize = 20;

/// One configuration's numbers, averaged over seeds and machines.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Configuration {
    /// `<slug>-<hash8>` of a run, or the name that a results CSV gives.
    pub config: String,
    /// Results that it has: machines × seeds.
    pub runs: usize,
    /// Mean proxy metric; missing where the configuration lacks a machine, a seed or a value.
    pub proxy: Option<f64>,
    /// Mean AUC of the linear probe within domains.
    pub in_domain_lp: Option<f64>,
    /// Mean AUC of the linear probe across domains.
    pub out_domain_lp: Option<f64>,
    /// Mean AUC of the Mahalanobis distance.
    pub mahalanobis: Option<f64>,
}

/// A family's rank correlations between the proxy metric and each detection metric.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Correlation {
    /// Proxy-task family.
    pub family: String,
    /// Name of the proxy metric.
    pub proxy: String,
    /// Whether a larger proxy is better: where not, a negative ρ says that the two agree.
    pub higher_is_better: bool,
    /// Configurations.
    pub n: usize,
    /// The smallest p that n allows, ties aside.
    pub smallest_p: f64,
    /// Whether any outcome could have had a p below the level of significance.
    pub can_be_significant: bool,
    /// What the configurations' numbers are means over, in words.
    pub averaging: String,
    /// Against the linear probe within domains.
    pub in_domain_lp: Coefficient,
    /// Against the linear probe across domains.
    pub out_domain_lp: Coefficient,
    /// Against the Mahalanobis distance.
    pub mahalanobis: Coefficient,
    /// The same of each machine type alone, averaged over its seeds; none where there are not several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub machines: Vec<MachineCorrelation>,
    /// Results that a configuration lacks and another one has: the first [`MISSING_SHOWN`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<Gap>,
    /// How many there are in all.
    #[serde(skip_serializing_if = "is_zero")]
    pub missing_total: usize,
    /// What was correlated.
    pub configurations: Vec<Configuration>,
}

/// A family's rank correlations on one machine type.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MachineCorrelation {
    /// Machine type.
    pub machine: String,
    /// Against the linear probe within domains.
    pub in_domain_lp: Coefficient,
    /// Against the linear probe across domains.
    pub out_domain_lp: Coefficient,
    /// Against the Mahalanobis distance.
    pub mahalanobis: Coefficient,
}

/// ρ and its two-sided p, or why there is none.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Coefficient {
    /// Spearman's rank correlation.
    pub rho: Option<f64>,
    /// Two-sided permutation p.
    pub p: Option<f64>,
    /// ρ with its sign turned where a lower proxy is better: above 0, better proxies come with better detection.
    pub agreement: Option<f64>,
    /// Holm's adjusted p.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p_holm: Option<f64>,
    /// Benjamini-Hochberg's adjusted p.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p_bh: Option<f64>,
    /// The smallest p that any pairing of these very values reaches, ties and all; none where p is sampled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub smallest_p: Option<f64>,
    /// Whether every permutation was visited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exact: Option<bool>,
    /// Standard error of a sampled p.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub standard_error: Option<f64>,
    /// Where ρ lies when the machine types are drawn anew: a BCa bootstrap, of three machine types or more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub over_machines: Option<Interval>,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

impl Coefficient {
    fn missing(why: String) -> Self {
        Self { why: Some(why), ..Self::default() }
    }
}

/// As serde asks, which gives a reference.
fn is_zero(count: &usize) -> bool {
    *count == 0
}

impl Correlation {
    /// Against one of the detection metrics.
    pub fn against(&self, which: Detection) -> &Coefficient {
        match which {
            Detection::InDomainLp => &self.in_domain_lp,
            Detection::OutDomainLp => &self.out_domain_lp,
            Detection::Mahalanobis => &self.mahalanobis,
        }
    }
}

impl MachineCorrelation {
    /// Against one of the detection metrics.
    pub fn against(&self, which: Detection) -> &Coefficient {
        match which {
            Detection::InDomainLp => &self.in_domain_lp,
            Detection::OutDomainLp => &self.out_domain_lp,
            Detection::Mahalanobis => &self.mahalanobis,
        }
    }
}

/// Correlate the evaluations of one family; none where there are none.
///
/// As [`correlate_rows`], of which this is the first family.
pub fn correlate(evaluations: &[Evaluation]) -> Option<Correlation> {
    let rows: Vec<ResultRow> = evaluations.iter().map(ResultRow::from).collect();
    correlate_rows(&rows).into_iter().next()
}

/// Correlate each family of `rows`, in the order of their first rows.
///
/// The rows have passed [`super::results::check`]; their order changes the order of families and configurations and no
/// number.
pub fn correlate_rows(rows: &[ResultRow]) -> Vec<Correlation> {
    correlate_by(rows, &ProtocolConfig::default())
}

/// As [`correlate_rows`], with a level of significance of one's own.
pub fn correlate_by(rows: &[ResultRow], protocol: &ProtocolConfig) -> Vec<Correlation> {
    let mut families: Vec<&str> = Vec::new();
    for row in rows {
        if !families.contains(&row.family.as_str()) {
            families.push(&row.family);
        }
    }
    let mut correlations: Vec<Correlation> = families
        .into_iter()
        .filter_map(|family| {
            let own: Vec<&ResultRow> = rows.iter().filter(|row| row.family == family).collect();
            own.first().map(|first| correlation(first, &own, protocol.significance))
        })
        .collect();
    adjust(&mut correlations);
    correlations
}

fn correlation(first: &ResultRow, rows: &[&ResultRow], significance: f64) -> Correlation {
    let grid = Grid::of(rows);
    let configurations: Vec<Configuration> =
        grid.configs().iter().map(|name| configuration(&grid, name)).collect();
    let n = configurations.len();
    let higher_is_better = first.higher_is_better;
    let against = |grid: &Grid<'_>, which| coefficient(grid, which, higher_is_better);
    let machines = match grid.machines() {
        several if several.len() > 1 => several,
        _ => Vec::new(),
    };
    let alone = |machine: &str| {
        let part = grid.on(machine);
        MachineCorrelation {
            machine: machine.to_owned(),
            in_domain_lp: against(&part, Detection::InDomainLp),
            out_domain_lp: against(&part, Detection::OutDomainLp),
            mahalanobis: against(&part, Detection::Mahalanobis),
        }
    };
    let [in_domain_lp, out_domain_lp, mahalanobis] = Detection::ALL.map(|which| against(&grid, which));
    let smallest_p = smallest_p(n);
    Correlation {
        family: first.family.clone(),
        proxy: first.proxy_name.clone(),
        higher_is_better,
        n,
        smallest_p,
        can_be_significant: smallest_p < significance,
        averaging: grid.averaging(),
        in_domain_lp,
        out_domain_lp,
        mahalanobis,
        machines: machines.into_iter().map(alone).collect(),
        missing: grid.gaps().take(MISSING_SHOWN).collect(),
        missing_total: grid.gap_count(),
        configurations,
    }
}

fn configuration(grid: &Grid<'_>, name: &str) -> Configuration {
    Configuration {
        config: name.to_owned(),
        runs: grid.results(name),
        proxy: grid.mean(name, |row| row.proxy),
        in_domain_lp: grid.mean(name, |row| row.in_domain_lp),
        out_domain_lp: grid.mean(name, |row| row.out_domain_lp),
        mahalanobis: grid.mean(name, |row| row.mahalanobis),
    }
}

/// The smallest p of [`stats::spearman`]: that of the exact test, or that of its draws.
fn smallest_p(n: usize) -> f64 {
    let exact = stats::smallest_p(n);
    let draws = stats::MonteCarlo::default().draws;
    if n <= stats::EXACT_MAX { exact } else { exact.max(1.0 / (draws + 1) as f64) }
}

fn coefficient(grid: &Grid<'_>, which: Detection, higher_is_better: bool) -> Coefficient {
    if let Some(why) = grid.flaw(which) {
        return Coefficient::missing(why);
    }
    let pair =
        |name: &&str| grid.mean(name, |row| row.proxy).zip(grid.mean(name, |row| row.detection(which)));
    let mut pairs: Vec<(f64, f64)> = grid.configs().iter().filter_map(pair).collect();
    if grid.averages() {
        pairs = pairs.into_iter().map(|(x, y)| (stats::without_noise(x), stats::without_noise(y))).collect();
    }
    if let Some((first, _)) = pairs.first()
        && pairs.len() > 1
        && pairs.iter().all(|(x, _)| x == first)
    {
        return Coefficient::missing(grid.constant_proxy(pairs.len()));
    }
    // A sampled p depends on the order of the pairs; a sorted one depends on nothing but their values.
    pairs.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
    let (x, y): (Vec<f64>, Vec<f64>) = pairs.into_iter().unzip();
    match stats::spearman(&x, &y) {
        Ok(Spearman { rho, p, exact, standard_error, smallest_p_tied, .. }) => {
            let agreement = if higher_is_better || rho == 0.0 { rho } else { -rho };
            Coefficient {
                rho: Some(rho),
                p: Some(p),
                agreement: Some(agreement),
                smallest_p: smallest_p_tied,
                exact: Some(exact),
                standard_error,
                over_machines: over_machines(grid, which),
                ..Coefficient::default()
            }
        }
        // The proxy is not it, as was seen above.
        Err(stats::Error::Constant { n }) => {
            Coefficient::missing(format!("the {} is the same for all {n} configurations", which.key()))
        }
        Err(error) => Coefficient::missing(format!("failed to {error}")),
    }
}

/// Of fewer machine types than this there is nothing to draw from.
pub(super) const MACHINES_TO_RESAMPLE: usize = 3;

/// None where too many of the draws have no ρ for the interval to have ends.
fn over_machines(grid: &Grid<'_>, which: Detection) -> Option<Interval> {
    if grid.machines().len() < MACHINES_TO_RESAMPLE {
        return None;
    }
    let (x, y) = (grid.table(|row| row.proxy)?, grid.table(|row| row.detection(which))?);
    stats::rho_over_machines(x.view(), y.view(), stats::Settings::default()).ok().map(|found| found.interval)
}

/// Fills in the adjusted p-values.
fn adjust(correlations: &mut [Correlation]) {
    let mut found: Vec<&mut Coefficient> = correlations
        .iter_mut()
        .flat_map(|one| [&mut one.in_domain_lp, &mut one.out_domain_lp, &mut one.mahalanobis])
        .filter(|coefficient| coefficient.p.is_some())
        .collect();
    let p: Vec<f64> = found.iter().filter_map(|coefficient| coefficient.p).collect();
    // Shares of permutations are probabilities, which is all that the adjustments ask for.
    let (Ok(holm), Ok(bh)) = (stats::holm(&p), stats::benjamini_hochberg(&p)) else { return };
    for (coefficient, (holm, bh)) in found.iter_mut().zip(holm.into_iter().zip(bh)) {
        (coefficient.p_holm, coefficient.p_bh) = (Some(holm), Some(bh));
    }
}

#[cfg(test)]
mod tests;
