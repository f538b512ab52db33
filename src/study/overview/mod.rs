//! What a folder of runs says, gathered into one document: `report.json`, from which a report's page and tables are made.
//!
//! Times are left out, so that the same results give the same bytes whenever and however often they were interrupted.

mod counts;
mod detectors;
mod figures;
mod machines;
mod scan;
mod settings;
mod shown;
mod tables;
mod words;
mod write;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Serialize;

pub use counts::{Counts, State};
pub use detectors::{DetectorMeans, DetectorRow};
pub use figures::FigureNote;
pub use machines::Machine;
pub use scan::LeftOut;
pub use settings::{Provenance, Setting, Settings, Varied};
pub use shown::Shown;
pub use words::{Caveat, Finding};
pub use write::{Report, ReportRequest, report};

use scan::{Judged, Scan};

use super::correlation::{Correlation, correlate_by};
use super::plan::Plan;
use super::protocol::{Curves, Stages, stages};
use super::results::{Detection, PerDetection, ResultRow};
use super::{Error, ResultTable, result_tables, tables as printed_tables};
use crate::config::ProtocolConfig;
use crate::report::page::slug;
use crate::stats;

/// The document of a report.
#[derive(Debug, Serialize)]
pub struct Overview {
    /// Version of this form.
    pub schema: u32,
    /// The page's heading.
    pub title: String,
    /// Version of asdbench that gathered it.
    pub asdbench: &'static str,
    /// Where all trials stand, planned or not.
    pub trials: Counts,
    /// What sweeps planned in this folder.
    pub studies: Vec<StudyNote>,
    /// Trials without a result, sorted by path.
    pub left_out: Vec<LeftOut>,
    /// What the numbers do not say.
    pub caveats: Vec<Caveat>,
    /// How they were averaged and tested, a paragraph each.
    pub averaging: Vec<String>,
    /// Sorted by name.
    pub machines: Vec<Machine>,
    /// What the protocol's third stage says of all families.
    pub summary: Vec<Finding>,
    /// In the order of the study, then by name.
    pub families: Vec<Family>,
    /// The study's Tables II-VI of these runs.
    pub tables: Vec<ResultTable>,
    /// What configured detectors reach, beside the Mahalanobis distance.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub detectors: Vec<DetectorRow>,
    /// Thresholds of the three-stage protocol.
    pub protocol: ProtocolConfig,
    /// How the intervals of ρ are made.
    pub bootstrap: Bootstrap,
    /// Programs and devices.
    pub provenance: Provenance,
    /// Which configurations and machine types figures show, in words.
    pub shown_rule: &'static str,
    /// The figures, in the order of the page.
    pub figures: Vec<FigureNote>,
    /// Why others are missing.
    pub figures_missing: Vec<String>,
    /// The report's files, sorted.
    pub files: Vec<String>,
    /// Every result, sorted as the families are.
    pub results: Vec<ResultNote>,
}

/// Settings of a bootstrap.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Bootstrap {
    /// Share of the interval.
    pub level: f64,
    /// Resamples drawn.
    pub resamples: usize,
    /// Seed of the draws.
    pub seed: u64,
}

impl From<stats::Settings> for Bootstrap {
    fn from(settings: stats::Settings) -> Self {
        Self { level: settings.level, resamples: settings.resamples, seed: settings.seed }
    }
}

/// A study that was swept in this folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StudyNote {
    /// Its name.
    pub name: String,
    /// Where its trials stand.
    pub trials: Counts,
}

/// A family of configurations.
#[derive(Debug, Serialize)]
pub struct Family {
    /// For people: the name that the study prints.
    pub label: String,
    /// For ids and file names; unique.
    pub slug: String,
    /// Where its trials stand.
    pub trials: Counts,
    /// Seeds with results, sorted.
    pub seeds: BTreeSet<u64>,
    /// Rank correlations and configurations.
    #[serde(flatten)]
    pub correlation: Correlation,
    /// What the three-stage protocol says.
    pub stages: Stages,
    /// Its row in the study's Table VII.
    pub printed: Option<Printed>,
    /// What its figures show; none where no run of it can be shown.
    pub shown: Option<Shown>,
    /// What its runs were made with.
    pub settings: Settings,
}

impl Family {
    /// Where in the page it stands.
    fn part(&self) -> String {
        format!("family-{}", self.slug)
    }
}

/// A row of the study's Table VII.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Printed {
    /// Configurations of the study.
    pub n: usize,
    /// Against each detection metric.
    #[serde(flatten)]
    pub against: PerDetection<PrintedCell>,
}

/// A cell of the study's Table VII.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct PrintedCell {
    /// ρ as printed.
    pub rho: f64,
    /// Its stars.
    pub stars: usize,
    /// ρ of these runs less the printed one.
    pub difference: Option<f64>,
}

/// The results of one run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ResultNote {
    /// Its folder, below that of all runs.
    pub path: String,
    /// Proxy-task family.
    pub family: String,
    /// `<slug>-<hash8>`.
    pub config: String,
    /// Machine type.
    pub machine: String,
    /// Seed.
    pub seed: u64,
    /// The proxy metric.
    pub proxy: Option<f64>,
    /// AUC of the linear probe within domains.
    pub in_domain_lp: Option<f64>,
    /// AUC of the linear probe across domains.
    pub out_domain_lp: Option<f64>,
    /// AUC of the Mahalanobis distance.
    pub mahalanobis: Option<f64>,
    /// The challenge's Ω.
    pub omega: Option<f64>,
}

impl ResultNote {
    fn detection(&self, which: Detection) -> Option<f64> {
        match which {
            Detection::InDomainLp => self.in_domain_lp,
            Detection::OutDomainLp => self.out_domain_lp,
            Detection::Mahalanobis => self.mahalanobis,
        }
    }
}

impl From<&Judged> for ResultNote {
    fn from(run: &Judged) -> Self {
        let judged = &run.evaluation;
        Self {
            path: run.path.clone(),
            family: judged.family.clone(),
            config: judged.config.clone(),
            machine: judged.machine.clone(),
            seed: judged.seed,
            proxy: judged.proxy.value,
            in_domain_lp: judged.linear_probe.in_domain.auc,
            out_domain_lp: judged.linear_probe.out_domain.auc,
            mahalanobis: judged.mahalanobis.aucs.auc,
            omega: judged.official.omega,
        }
    }
}

/// Gather what `scan` found; figures are added as they are drawn.
fn gather(scan: &Scan, title: &str, protocol: ProtocolConfig) -> Result<Overview, Error> {
    let rows = scan.rows();
    let results: Vec<ResultNote> = scan.judged.iter().map(ResultNote::from).collect();
    let families = families(scan, &rows, &protocol)?;
    let mut overview = Overview {
        schema: 1,
        title: title.to_owned(),
        asdbench: env!("CARGO_PKG_VERSION"),
        trials: scan.all(),
        studies: studies(scan),
        left_out: scan.left_out.clone(),
        caveats: Vec::new(),
        averaging: words::averaging(),
        machines: machines::machines(scan, &results),
        summary: words::summary(&families),
        families,
        tables: result_tables(&rows),
        detectors: detectors::rows(&scan.judged),
        protocol,
        bootstrap: stats::Settings::default().into(),
        provenance: Provenance::of(&scan.judged),
        shown_rule: shown::RULE,
        figures: Vec::new(),
        figures_missing: Vec::new(),
        files: Vec::new(),
        results,
    };
    overview.caveats = words::caveats(&overview, &scan.judged, &scan.warnings);
    Ok(overview)
}

fn studies(scan: &Scan) -> Vec<StudyNote> {
    let note = |plan: &Plan| StudyNote {
        name: plan.name.clone(),
        trials: scan.counts(plan.trials.iter().map(|trial| trial.path.as_str())),
    };
    scan.plans.iter().map(note).collect()
}

fn families(scan: &Scan, rows: &[ResultRow], protocol: &ProtocolConfig) -> Result<Vec<Family>, Error> {
    let printed = printed_tables::study_tables()?;
    let curves = Curves::read(rows);
    let mut slugs = BTreeSet::new();
    let family = |correlation: Correlation| {
        let name = correlation.family.clone();
        let own = || scan.judged.iter().filter(|run| run.evaluation.family == name);
        let printed = printed.families.iter().find(|one| one.correlation.family == name);
        let mut unique = slug(&name);
        while !slugs.insert(unique.clone()) {
            unique.push_str("-2");
        }
        Family {
            label: printed.map_or_else(|| name.clone(), |printed| printed.printed_name.to_owned()),
            slug: unique,
            trials: scan.of_family(&name),
            seeds: own().map(|run| run.evaluation.seed).collect(),
            printed: printed.map(|printed| {
                let cell = |which| {
                    let cell = printed.table_vii.against(which);
                    PrintedCell {
                        rho: cell.printed_rho,
                        stars: cell.printed_stars,
                        difference: correlation.against(which).rho.map(|rho| rho - cell.printed_rho),
                    }
                };
                Printed { n: printed.correlation.n, against: PerDetection::of(cell) }
            }),
            stages: stages(&correlation, rows, &curves, protocol),
            shown: Shown::of(own(), correlation.higher_is_better),
            settings: Settings::of(own()),
            correlation,
        }
    };
    Ok(correlate_by(rows, protocol).into_iter().map(family).collect())
}

/// Families that have no result in the study's order: those that it prints first.
fn rank(family: &str) -> usize {
    const ORDER: [&str; 7] =
        ["autoencoder", "ce", "arcface", "separation", "simclr", "simsiam", "pretrained"];
    ORDER.iter().position(|known| *known == family).unwrap_or(ORDER.len())
}

/// Runs in the order of the page: as planned, then as the study has the families, then by path.
fn sort(scan: &mut Scan) {
    let planned = scan.plans.iter().flat_map(|plan| &plan.trials);
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    for (place, trial) in planned.enumerate() {
        places.entry(trial.path.clone()).or_insert(place);
    }
    scan.judged.sort_by_key(|run| {
        let place = places.get(&run.path).copied().unwrap_or(usize::MAX);
        (place, rank(&run.evaluation.family), run.path.clone())
    });
}

/// Look at the runs of a folder, sorted for the page.
fn look(runs: &Path) -> Result<Scan, Error> {
    let mut scan = scan::scan(runs)?;
    sort(&mut scan);
    Ok(scan)
}
