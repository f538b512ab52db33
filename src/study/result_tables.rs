//! The study's Tables II-VI from one's own results, with its printed values and the difference where a configuration is one of
//! its 41.
//!
//! A configuration is one of the 41 by its family and its name, which says all that the study varies: `h128-b8`, `resnet18`
//! (of the papers' width, with sections for labels), `n4-c128` (with the study's spectrogram, segments and pooling), the
//! authors' name of a checkpoint with mean pooling. What the name leaves out, such as epochs, learning rate and data, is not
//! held against it: the difference is that between two trainings, and only on the study's data a reproduction.

mod printed;

pub use printed::Printed;

use serde::Serialize;

use super::correlation::Grid;
use super::protocol::Metric;
use super::results::{Detection, ResultRow, Units};
use printed::PrintedTables;

/// Families of each table, as the study numbers and names them.
const TABLES: [(&str, &str, &[&str]); 5] = [
    ("II", "AutoEncoder", &["autoencoder"]),
    ("III", "Classification", &["ce", "arcface"]),
    ("IV", "Source separation", &["separation"]),
    ("V", "Contrastive learning", &["simclr", "simsiam"]),
    ("VI", "Pre-trained models", &["pretrained"]),
];

/// One of Tables II-VI, or that of a family which the study has not.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ResultTable {
    /// Roman, as in the study; none of other families.
    pub number: Option<&'static str>,
    /// What it is of.
    pub title: String,
    /// In the study's order of families; within each, in the order of the results.
    pub configurations: Vec<ResultConfiguration>,
}

/// One configuration: means over its machine types and seeds, beside the study's.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ResultConfiguration {
    /// Proxy-task family.
    pub family: String,
    /// As the results name it.
    pub config: String,
    /// Results that it has: machines × seeds.
    pub runs: usize,
    /// Machine types of the family.
    pub machines: usize,
    /// The proxy's name.
    pub proxy_name: String,
    /// The proxy, shares as fractions; none where a machine type, a seed or a value is missing.
    pub proxy: Option<f64>,
    /// Further proxy metrics, likewise, such as the alignment of contrastive families.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub other_proxies: Vec<OtherProxy>,
    /// AUC of the linear probe within domains, as a fraction.
    pub in_domain_lp: Option<f64>,
    /// AUC of the linear probe across domains.
    pub out_domain_lp: Option<f64>,
    /// AUC of the Mahalanobis distance.
    pub mahalanobis: Option<f64>,
    /// Why a number is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// The study's numbers, where it has the configuration.
    pub printed: Option<Printed>,
    /// These numbers less the study's.
    pub difference: Option<Printed>,
}

/// A proxy metric beside the one that is correlated.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OtherProxy {
    /// Its name.
    pub name: String,
    /// Its mean.
    pub value: Option<f64>,
}

impl ResultConfiguration {
    /// One of the detection metrics.
    pub fn detection(&self, which: Detection) -> Option<f64> {
        match which {
            Detection::InDomainLp => self.in_domain_lp,
            Detection::OutDomainLp => self.out_domain_lp,
            Detection::Mahalanobis => self.mahalanobis,
        }
    }

    /// A proxy value for people, with its unit.
    pub fn show_proxy(&self, value: f64) -> String {
        match Metric::known(&self.proxy_name) {
            Some(metric) => metric.show(value),
            None => format!("{value:.4}"),
        }
    }
}

/// Tables II-VI of some results, those without a configuration left out, and a table for each family that the study has not.
pub fn result_tables(rows: &[ResultRow]) -> Vec<ResultTable> {
    let printed = PrintedTables::read();
    let of_families = |number, title: &str, families: &[&str]| {
        let configurations: Vec<ResultConfiguration> =
            families.iter().flat_map(|family| configurations(rows, family, &printed)).collect();
        (!configurations.is_empty()).then(|| ResultTable { number, title: title.to_owned(), configurations })
    };
    let known =
        TABLES.iter().filter_map(|(number, title, families)| of_families(Some(*number), title, families));
    let mut tables: Vec<ResultTable> = known.collect();
    let mut others: Vec<&str> = Vec::new();
    for row in rows {
        let family = row.family.as_str();
        if !TABLES.iter().any(|(.., families)| families.contains(&family)) && !others.contains(&family) {
            others.push(family);
        }
    }
    tables.extend(others.into_iter().filter_map(|family| of_families(None, family, &[family])));
    tables
}

fn configurations(rows: &[ResultRow], family: &str, printed: &PrintedTables) -> Vec<ResultConfiguration> {
    let own: Vec<&ResultRow> = rows.iter().filter(|row| row.family == family).collect();
    let Some(first) = own.first() else { return Vec::new() };
    let grid = Grid::of(&own);
    let scale = Scale::of(first, &own);
    grid.configs().iter().map(|config| configuration(&grid, first, config, &scale, printed)).collect()
}

/// From the units of a source to those of runs.
struct Scale {
    aucs: Units,
    proxy: Units,
    /// Of an error: the study prints thousandths beside percent.
    thousandths: bool,
}

impl Scale {
    fn of(first: &ResultRow, rows: &[&ResultRow]) -> Self {
        let metric = Metric::known(&first.proxy_name);
        let aucs = Units::of_aucs(rows.iter().copied());
        let proxy = match metric.is_some_and(Metric::is_share) {
            true => Units::of(rows.iter().filter_map(|row| row.proxy)),
            false => Units::Fractions,
        };
        Self { aucs, proxy, thousandths: metric == Some(Metric::Error) && aucs == Units::Percent }
    }

    fn proxy(&self, value: f64) -> Option<f64> {
        self.proxy.fraction(value).map(|value| if self.thousandths { value / 1000.0 } else { value })
    }
}

fn configuration(
    grid: &Grid<'_>,
    first: &ResultRow,
    config: &str,
    scale: &Scale,
    printed: &PrintedTables,
) -> ResultConfiguration {
    let mixed = grid.mixed();
    let mean = |value: &dyn Fn(&ResultRow) -> Option<f64>| match mixed {
        Some(_) => None,
        None => grid.mean(config, value),
    };
    let detection = |which| mean(&|row| row.detection(which).and_then(|auc| scale.aucs.fraction(auc)));
    let proxy = mean(&|row| row.proxy.and_then(|value| scale.proxy(value)));
    let other_proxies: Vec<OtherProxy> = first
        .other_proxies
        .iter()
        .map(|other| {
            let of = |row: &ResultRow| row.other_proxies.iter().find(|one| one.name == other.name)?.value;
            OtherProxy { name: other.name.clone(), value: mean(&of) }
        })
        .collect();
    let [in_domain_lp, out_domain_lp, mahalanobis] = Detection::ALL.map(detection);
    let values = [proxy, in_domain_lp, out_domain_lp, mahalanobis];
    let names = [first.proxy_name.as_str()].into_iter().chain(Detection::ALL.map(Detection::key));
    let without: Vec<&str> =
        names.zip(values).filter(|(_, value)| value.is_none()).map(|(name, _)| name).collect();
    let no_value = || {
        let reason = first.proxy_why.as_ref().filter(|_| proxy.is_none());
        let reason = reason.map_or(String::new(), |why| format!(": {why}"));
        format!("some results have no {}{reason}", without.join(", "))
    };
    let why = match without.is_empty() {
        true => None,
        false => mixed.clone().or_else(|| grid.lacking(config)).or_else(|| Some(no_value())),
    };
    let of_study = printed.find(&first.family, &first.proxy_name, config);
    let ours = Printed {
        proxy,
        alignment: other_proxies.iter().find(|other| other.name == "alignment").and_then(|other| other.value),
        in_domain_lp,
        out_domain_lp,
        mahalanobis,
    };
    ResultConfiguration {
        family: first.family.clone(),
        config: config.to_owned(),
        runs: grid.results(config),
        machines: grid.machines().len(),
        proxy_name: first.proxy_name.clone(),
        why,
        difference: of_study.map(|study| ours.less(study)),
        printed: of_study.cloned(),
        proxy,
        other_proxies,
        in_domain_lp,
        out_domain_lp,
        mahalanobis,
    }
}

#[cfg(test)]
mod tests;
