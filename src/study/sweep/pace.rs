//! How long trials take, from those that were done: by configuration where one is known, else by family, else by all.

use std::collections::HashMap;

use super::SweepTrial;
use crate::run::RunFolder;
use crate::study::Trial;
use crate::train::read_epochs;

/// A mean that grows.
#[derive(Debug, Clone, Copy, Default)]
struct Mean {
    sum: f64,
    count: usize,
}

impl Mean {
    fn add(&mut self, value: f64) {
        self.sum += value;
        self.count += 1;
    }

    fn value(self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / self.count as f64)
    }
}

/// Seconds that trials take.
#[derive(Debug, Default)]
pub(super) struct Pace {
    by_config: HashMap<String, Mean>,
    by_family: HashMap<&'static str, Mean>,
    all: Mean,
    /// Of configurations that were trained before: the training alone.
    before: HashMap<String, f64>,
}

impl Pace {
    /// A trial took so many seconds.
    pub fn took(&mut self, trial: &Trial, seconds: f64) {
        self.by_config.entry(RunFolder::config_name(&trial.experiment)).or_default().add(seconds);
        self.by_family.entry(trial.experiment.family()).or_default().add(seconds);
        self.all.add(seconds);
    }

    /// A trial was found trained: its metrics say how long it took, one of each configuration is enough.
    pub fn found(&mut self, trial: &Trial) {
        let name = RunFolder::config_name(&trial.experiment);
        if !self.before.contains_key(&name)
            && let Some(seconds) = trained_in(&trial.folder)
        {
            self.before.insert(name, seconds);
        }
    }

    /// Seconds that a trial will take, where there is anything to go by.
    pub fn expects(&self, trial: &Trial) -> Option<f64> {
        let name = RunFolder::config_name(&trial.experiment);
        let by_config = self.by_config.get(&name).and_then(|mean| mean.value());
        let by_family = || self.by_family.get(trial.experiment.family()).and_then(|mean| mean.value());
        by_config.or_else(|| self.before.get(&name).copied()).or_else(by_family).or_else(|| self.all.value())
    }

    /// Seconds left for `trials`, each with the part that is done, shared by `workers`; none as long as nothing is known.
    pub fn left<'a, 't: 'a>(
        &self,
        trials: impl Iterator<Item = (&'a SweepTrial<'t>, f64)>,
        workers: usize,
    ) -> Option<f64> {
        let (mut sum, mut longest, mut count) = (0.0, 0.0_f64, 0_usize);
        for (trial, done) in trials {
            let seconds = self.expects(&trial.trial)? * (1.0 - done);
            sum += seconds;
            longest = longest.max(seconds);
            count += 1;
        }
        Some(longest.max(sum / workers.min(count).max(1) as f64))
    }
}

/// Seconds of all epochs of a run.
fn trained_in(folder: &RunFolder) -> Option<f64> {
    let seconds: Vec<f64> = read_epochs(&folder.metrics()).ok()?.iter().map(|line| line.seconds).collect();
    (!seconds.is_empty()).then(|| seconds.iter().sum())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Experiment;

    fn trial(family: &str) -> Trial {
        let text = format!("[task.{family}]\n");
        let experiment = crate::config::load_str(&text, "a.toml").map(|resolved| resolved.experiment);
        trial_of(experiment.unwrap())
    }

    fn trial_of(experiment: Experiment) -> Trial {
        let folder = RunFolder::of(std::path::Path::new("runs"), &experiment, "fan", 0);
        Trial { experiment, machine: "fan".into(), learnt: vec!["fan".into()], seed: 0, folder }
    }

    #[test]
    fn the_nearest_that_is_known_counts() {
        let [autoencoder, contrastive] = ["autoencoder", "contrastive"].map(trial);
        let mut wider = autoencoder.experiment.clone();
        wider.train.batch_size = 64;
        let wider = trial_of(wider);
        let mut pace = Pace::default();
        assert_eq!(pace.expects(&autoencoder), None);
        pace.took(&autoencoder, 10.0);
        pace.took(&autoencoder, 20.0);
        assert_eq!(pace.expects(&autoencoder), Some(15.0));
        assert_eq!(pace.expects(&wider), Some(15.0));
        assert_eq!(pace.expects(&contrastive), Some(15.0));
        pace.took(&contrastive, 105.0);
        assert_eq!(pace.expects(&wider), Some(15.0));
        assert_eq!(pace.expects(&contrastive), Some(105.0));
    }
}
