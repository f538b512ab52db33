//! Does a better proxy make a better detector? Spearman over the configurations of a family.

use serde::Serialize;

use super::Evaluation;
use crate::stats::{self, Spearman};

/// One configuration's numbers, averaged over machines and seeds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Configuration {
    /// `<slug>-<hash8>`.
    pub config: String,
    /// Machines × seeds that the means are of.
    pub runs: usize,
    /// Mean proxy metric.
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
    /// The smallest p that n allows.
    pub smallest_p: f64,
    /// Against the linear probe within domains.
    pub in_domain_lp: Coefficient,
    /// Against the linear probe across domains.
    pub out_domain_lp: Coefficient,
    /// Against the Mahalanobis distance.
    pub mahalanobis: Coefficient,
    /// What was correlated.
    pub configurations: Vec<Configuration>,
}

/// ρ and its exact two-sided p, or why there is none.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Coefficient {
    /// Spearman's rank correlation.
    pub rho: Option<f64>,
    /// Two-sided permutation p.
    pub p: Option<f64>,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// Correlate the evaluations of one family; configurations in the order of their first run.
///
/// A mean is taken over the runs of a configuration only if all of them have the value: a mean over other machines than
/// the neighbour's would not be comparable.
pub fn correlate(evaluations: &[Evaluation]) -> Option<Correlation> {
    let first = evaluations.first()?;
    let mut names: Vec<&str> = Vec::new();
    for evaluation in evaluations {
        if !names.contains(&evaluation.config.as_str()) {
            names.push(&evaluation.config);
        }
    }
    let configurations: Vec<Configuration> =
        names.into_iter().map(|name| configuration(name, evaluations)).collect();
    let against = |value: fn(&Configuration) -> Option<f64>| coefficient(&configurations, value);
    Some(Correlation {
        family: first.family.clone(),
        proxy: first.proxy.name.clone(),
        higher_is_better: first.proxy.higher_is_better,
        n: configurations.len(),
        smallest_p: stats::smallest_p(configurations.len()),
        in_domain_lp: against(|c| c.in_domain_lp),
        out_domain_lp: against(|c| c.out_domain_lp),
        mahalanobis: against(|c| c.mahalanobis),
        configurations,
    })
}

fn configuration(name: &str, evaluations: &[Evaluation]) -> Configuration {
    let runs: Vec<&Evaluation> = evaluations.iter().filter(|e| e.config == name).collect();
    let mean = |value: fn(&Evaluation) -> Option<f64>| {
        let values: Option<Vec<f64>> = runs.iter().map(|run| value(run)).collect();
        values.map(|values| values.iter().sum::<f64>() / values.len() as f64)
    };
    Configuration {
        config: name.to_owned(),
        runs: runs.len(),
        proxy: mean(|e| e.proxy.value),
        in_domain_lp: mean(|e| e.linear_probe.in_domain.auc),
        out_domain_lp: mean(|e| e.linear_probe.out_domain.auc),
        mahalanobis: mean(|e| e.mahalanobis.aucs.auc),
    }
}

fn coefficient(configurations: &[Configuration], value: fn(&Configuration) -> Option<f64>) -> Coefficient {
    let pairs: Option<Vec<(f64, f64)>> = configurations.iter().map(|c| c.proxy.zip(value(c))).collect();
    let none = |why: String| Coefficient { rho: None, p: None, why: Some(why) };
    let Some(pairs) = pairs else {
        return none("a configuration lacks the value".into());
    };
    let (x, y): (Vec<f64>, Vec<f64>) = pairs.into_iter().unzip();
    match stats::spearman(&x, &y) {
        Ok(Spearman { rho, p, .. }) => Coefficient { rho: Some(rho), p: Some(p), why: None },
        Err(error) => none(error.to_string()),
    }
}
