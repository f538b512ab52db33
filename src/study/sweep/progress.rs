//! How far a sweep is, and how long it will take.

use std::time::Duration;

use super::SweepTrial;
use super::conduct::End;
use super::pace::Pace;
use super::scan::trained_part;
use crate::ui::Gauge;

/// A training's part of a trial: judging comes last.
const TRAINING: f64 = 0.95;

/// Where all trials stand now.
pub(super) struct Progress<'a, 's> {
    pub trials: &'a [SweepTrial<'s>],
    pub ends: &'a [Option<End>],
    /// Those that workers are at.
    pub running: &'a [usize],
}

impl Progress<'_, '_> {
    /// Show it; trials weigh what they take.
    pub fn show(&self, pace: &Pace, workers: usize, gauge: &mut Gauge) {
        let parts: Vec<f64> = (0..self.trials.len()).map(|n| self.part(n)).collect();
        let (mut done, mut all) = (0.0, 0.0);
        for (one, part) in self.trials.iter().zip(&parts) {
            let weight = pace.expects(&one.trial).unwrap_or(1.0);
            all += weight;
            done += weight * part;
        }
        let open = (0..self.trials.len()).filter(|n| !self.is_over(*n));
        let left = pace.left(open.map(|n| (&self.trials[n], parts[n])), workers);
        let left = left.and_then(|left| Duration::try_from_secs_f64(left).ok());
        let of = |what: &dyn Fn(&End) -> bool| self.ends.iter().flatten().filter(|end| what(end)).count();
        let failed = match of(&|end| matches!(end, End::Failed { .. })) {
            0 => String::new(),
            failed => format!(", {failed} failed"),
        };
        let (trials, running) = (self.trials.len(), self.running.len());
        let finished = of(&|end| matches!(end, End::Done { .. }));
        gauge.at(done / all, &format!("{finished} of {trials} trials done{failed}, {running} running"), left);
    }

    fn is_over(&self, n: usize) -> bool {
        matches!(self.ends[n], Some(End::Done { .. } | End::Failed { .. } | End::Interrupted))
    }

    /// The part of a trial that is done, from 0 to 1.
    fn part(&self, n: usize) -> f64 {
        match self.is_over(n) {
            true => 1.0,
            false if self.running.contains(&n) => TRAINING * trained_part(&self.trials[n].trial),
            false => 0.0,
        }
    }
}
