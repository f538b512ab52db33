//! The machine types of a report, and the best that any configuration reaches on each.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::ResultNote;
use super::scan::{Judged, Scan};
use crate::study::correlation::NOTHING_DRAWN;
use crate::study::results::{Detection, PerDetection};

/// A machine type.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Machine {
    /// Its name.
    pub machine: String,
    /// Results on it.
    pub results: usize,
    /// Training clips; none where runs differ in them.
    pub train: Option<usize>,
    /// Normal test clips; none where runs differ in them.
    pub test_normal: Option<usize>,
    /// Anomalous test clips; none where runs differ in them.
    pub test_anomalous: Option<usize>,
    /// The best AUC of any configuration, a mean over its seeds.
    pub best: PerDetection<Option<f64>>,
}

/// Sorted by name.
pub(super) fn machines(scan: &Scan, results: &[ResultNote]) -> Vec<Machine> {
    let mut runs: BTreeMap<&str, Vec<&Judged>> = BTreeMap::new();
    for run in &scan.judged {
        runs.entry(&run.evaluation.machine).or_default().push(run);
    }
    let machine = |(machine, runs): (&str, Vec<&Judged>)| {
        let same = |of: fn(&Judged) -> usize| {
            let counts: BTreeSet<usize> = runs.iter().map(|run| of(run)).collect();
            (counts.len() == 1).then(|| counts.first().copied()).flatten()
        };
        let best = |which| best(results, machine, which);
        Machine {
            machine: machine.to_owned(),
            results: runs.len(),
            train: same(|run| run.evaluation.clips.train),
            test_normal: same(|run| run.evaluation.clips.test_normal),
            test_anomalous: same(|run| run.evaluation.clips.test_anomalous),
            best: PerDetection::of(best),
        }
    };
    runs.into_iter().map(machine).collect()
}

/// The best mean over the seeds of any configuration. One that lacks a seed that another one of its family has there, or a
/// seed's value, has none; where nothing is drawn, no seed is lacking.
fn best(results: &[ResultNote], machine: &str, which: Detection) -> Option<f64> {
    let mut by_config: BTreeMap<(&str, &str), BTreeMap<u64, Option<f64>>> = BTreeMap::new();
    let mut seeds: BTreeMap<&str, BTreeSet<u64>> = BTreeMap::new();
    for one in results.iter().filter(|one| one.machine == machine) {
        by_config.entry((&one.family, &one.config)).or_default().insert(one.seed, one.detection(which));
        seeds.entry(&one.family).or_default().insert(one.seed);
    }
    let mean = |((family, _), values): ((&str, &str), BTreeMap<u64, Option<f64>>)| {
        let complete = NOTHING_DRAWN.contains(&family) || values.len() == seeds[family].len();
        let n = values.len() as f64;
        values.into_values().sum::<Option<f64>>().filter(|_| complete).map(|sum| sum / n)
    };
    by_config.into_iter().filter_map(mean).max_by(f64::total_cmp)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(family: &str, config: &str, seed: u64, auc: Option<f64>) -> ResultNote {
        ResultNote {
            path: format!("{family}/{config}/fan/seed-{seed}"),
            family: family.into(),
            config: config.into(),
            machine: "fan".into(),
            seed,
            proxy: None,
            in_domain_lp: None,
            out_domain_lp: None,
            mahalanobis: auc,
            omega: None,
        }
    }

    #[test]
    fn the_best_is_no_mean_over_the_seeds_that_happen_to_be_there() {
        let of = |results: &[ResultNote]| best(results, "fan", Detection::Mahalanobis);
        let whole = [result("ce", "a", 0, Some(0.5)), result("ce", "a", 1, Some(0.75))];
        assert_eq!(of(&whole), Some(0.625));
        // One seed of the better configuration failed, or has no value.
        let lacks = |better: &[ResultNote]| of(&[&whole[..], better].concat());
        assert_eq!(lacks(&[result("ce", "b", 0, Some(0.875))]), Some(0.625));
        assert_eq!(lacks(&[result("ce", "b", 0, Some(0.875)), result("ce", "b", 1, None)]), Some(0.625));
        // Another family may have been given one seed, and where nothing is drawn one seed is all.
        assert_eq!(lacks(&[result("simclr", "b", 0, Some(0.875))]), Some(0.875));
        let encoder = |config: &str, seed: u64, auc: f64| result("pretrained", config, seed, Some(auc));
        let drawn = [encoder("x", 0, 0.5), encoder("x", 1, 0.5), encoder("y", 0, 0.875)];
        assert_eq!(of(&drawn), Some(0.875));
    }
}
