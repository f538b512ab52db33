//! Which runs are shown: a study has hundreds, a page has room for a few of each family.

use std::collections::BTreeMap;

use serde::Serialize;

use super::scan::Judged;

/// In words, as the page says it.
pub(super) const RULE: &str = "Of each family the figures show two configurations: the one with the best proxy metric, and the \
    one in the middle when all are sorted by it. Labels have no part in the choice. Of several seeds the lowest is shown; where \
    one machine type must do, it is gearbox, as in the study's Fig. 5, or the first by name. Training curves are those of \
    these two configurations on every machine type, thinned to 60 epochs.";

/// The study's Fig. 5 shows this one.
const MACHINE: &str = "gearbox";

/// What the figures of a family show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Shown {
    /// The configuration with the best proxy metric.
    pub best: String,
    /// The one in the middle; none where the best is the only one.
    pub median: Option<String>,
    /// The machine type of pictures of a single run.
    pub machine: String,
    /// The lowest seed of the best configuration on this machine type.
    pub seed: u64,
}

impl Shown {
    /// Choose from the judged runs of a family; none where there is none.
    pub(super) fn of<'a>(
        runs: impl Iterator<Item = &'a Judged> + Clone,
        higher_is_better: bool,
    ) -> Option<Self> {
        let mut proxies: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
        for run in runs.clone() {
            proxies.entry(&run.evaluation.config).or_default().extend(run.evaluation.proxy.value);
        }
        // A choice of pictures, not a number: over what there is. Who has no proxy at all comes last.
        let mean = |values: &[f64]| match values.is_empty() {
            true => f64::INFINITY,
            false => {
                values.iter().sum::<f64>() / values.len() as f64 * if higher_is_better { -1.0 } else { 1.0 }
            }
        };
        let mut ranked: Vec<(f64, &str)> =
            proxies.iter().map(|(config, values)| (mean(values), *config)).collect();
        ranked.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(b.1)));
        let best = ranked.first()?.1;
        let median = ranked.get(ranked.len() / 2).map(|(_, config)| *config).filter(|config| *config != best);
        let of_best = || runs.clone().map(|run| &run.evaluation).filter(|run| run.config == best);
        let machine =
            of_best().map(|run| run.machine.as_str()).min_by_key(|name| (*name != MACHINE, *name))?;
        let seed = of_best().filter(|run| run.machine == machine).map(|run| run.seed).min()?;
        Some(Self {
            best: best.to_owned(),
            median: median.map(str::to_owned),
            machine: machine.to_owned(),
            seed,
        })
    }

    /// The shown configurations and what they are, in words.
    pub(super) fn configurations(&self) -> impl Iterator<Item = (&str, &'static str)> {
        let median = self.median.iter().map(|config| (config.as_str(), "the median proxy metric"));
        std::iter::once((self.best.as_str(), "the best proxy metric")).chain(median)
    }
}
