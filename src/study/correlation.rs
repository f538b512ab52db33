//! Does a better proxy make a better detector? Spearman over the configurations of a family.

use std::collections::BTreeSet;

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

impl Coefficient {
    fn missing(why: String) -> Self {
        Self { rho: None, p: None, why: Some(why) }
    }
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
    let of = |name: &str| -> BTreeSet<(&str, u64)> {
        let own = evaluations.iter().filter(|e| e.config == name);
        own.map(|e| (e.machine.as_str(), e.seed)).collect()
    };
    let comparable = names.iter().all(|name| of(name) == of(names[0]));
    let configurations: Vec<Configuration> =
        names.into_iter().map(|name| configuration(name, evaluations)).collect();
    let against = |value: fn(&Configuration) -> Option<f64>| match comparable {
        true => coefficient(&configurations, value),
        false => {
            Coefficient::missing("the configurations were not run on the same machines and seeds".into())
        }
    };
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
    let Some(pairs) = pairs else {
        return Coefficient::missing("a configuration lacks the value".into());
    };
    let (x, y): (Vec<f64>, Vec<f64>) = pairs.into_iter().unzip();
    match stats::spearman(&x, &y) {
        Ok(Spearman { rho, p, .. }) => Coefficient { rho: Some(rho), p: Some(p), why: None },
        Err(error) => Coefficient::missing(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::EvalConfig;
    use crate::score::mahalanobis::MahalanobisResult;
    use crate::score::{LinearProbe, SectionAucs};
    use crate::study::evaluation::{ClipCounts, OfficialMetrics};
    use crate::task::Proxy;

    fn evaluation(config: &str, machine: &str, proxy: f64, auc: Option<f64>) -> Evaluation {
        let aucs = SectionAucs { auc, ..SectionAucs::default() };
        Evaluation {
            schema: 1,
            path: String::new(),
            family: "autoencoder".into(),
            config: config.into(),
            machine: machine.into(),
            seed: 0,
            proxy: Proxy { name: "mae".into(), value: Some(proxy), higher_is_better: false, why: None },
            linear_probe: LinearProbe { in_domain: aucs.clone(), out_domain: SectionAucs::default() },
            mahalanobis: MahalanobisResult {
                aucs,
                estimator: String::new(),
                shrinkage: None,
                condition: None,
                rank: None,
            },
            official: OfficialMetrics {
                auc_source: None,
                auc_target: None,
                pauc: None,
                omega: None,
                why: None,
            },
            clips: ClipCounts { train: 0, test_normal: 0, test_anomalous: 0, test_unlabelled: 0, skipped: 0 },
            settings: EvalConfig::default(),
            model: String::new(),
        }
    }

    #[test]
    fn configurations_are_averaged_over_machines_before_they_are_ranked() {
        // On each machine alone the order is another; the means 0.3, 0.4, 0.5 against 0.7, 0.6, 0.5 are opposite.
        let runs: Vec<Evaluation> =
            [("a", 0.1, 0.5, 0.9, 0.5), ("b", 0.5, 0.3, 0.4, 0.8), ("c", 0.2, 0.8, 0.6, 0.4)]
                .into_iter()
                .flat_map(|(config, fan, pump, auc_fan, auc_pump)| {
                    [
                        evaluation(config, "fan", fan, Some(auc_fan)),
                        evaluation(config, "pump", pump, Some(auc_pump)),
                    ]
                })
                .collect();
        let found = correlate(&runs).unwrap();
        assert_eq!((found.n, found.configurations[0].runs), (3, 2));
        assert_eq!(found.in_domain_lp.rho, Some(-1.0));
        // Two of the six orders of three are as extreme.
        assert_eq!(found.mahalanobis.p, Some(2.0 / 6.0));
    }

    #[test]
    fn a_missing_value_is_no_mean() {
        let mut runs: Vec<Evaluation> =
            (0..4).map(|n| evaluation(&n.to_string(), "fan", f64::from(n), Some(f64::from(n * n)))).collect();
        assert_eq!(correlate(&runs).unwrap().mahalanobis.rho, Some(1.0));
        runs[2].mahalanobis.aucs.auc = None;
        let found = correlate(&runs).unwrap();
        assert_eq!((found.mahalanobis.rho, found.configurations[2].mahalanobis), (None, None));
        assert_eq!(found.in_domain_lp.rho, Some(1.0));
        // A configuration that was run on one machine more is not comparable.
        runs.push(evaluation("2", "pump", 1.0, Some(0.5)));
        let found = correlate(&runs).unwrap();
        assert_eq!(found.in_domain_lp.rho, None);
        assert!(found.mahalanobis.why.is_some() && correlate(&[]).is_none());
    }
}
