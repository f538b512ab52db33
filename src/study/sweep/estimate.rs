//! How long a sweep will take, from a short try of each of its configurations.

use std::collections::{HashMap, HashSet};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use super::hand::{Hand, Heard, WorkerCommand};
use super::log::Log;
use super::message::{Order, Outcome, Probed, Report};
use super::scan::{Standing, trained_part};
use super::{Error, Sweep, SweepTrial};
use crate::run::RunFolder;
use crate::study;
use crate::train::Interrupt;
use crate::ui::Bar;

/// A configuration that takes longer to try is not waited for.
const PATIENCE: Duration = Duration::from_secs(120);
const TICK: Duration = Duration::from_millis(50);

/// Seconds that each trial of a sweep will take, in their order.
#[derive(Debug, Clone, PartialEq)]
pub struct Estimate {
    /// None where its configuration could not be tried; 0 of one that is done.
    pub seconds: Vec<Option<f64>>,
    /// Why a configuration could not be tried.
    pub refused: Vec<(String, String)>,
}

/// Try one trial of every configuration that has something to do.
///
/// # Errors
/// When no worker can be started, or the user stops it.
pub fn estimate(
    sweep: &Sweep<'_>,
    standings: &[Result<Standing, study::Error>],
    command: &WorkerCommand,
    interrupt: &Interrupt,
) -> Result<Estimate, study::Error> {
    let idle = |n: usize| matches!(&standings[n], Ok(Standing::Done) | Err(_));
    let mut first: Vec<&SweepTrial<'_>> = Vec::new();
    let mut seen = HashSet::new();
    for (n, one) in sweep.trials().iter().enumerate() {
        if !idle(n) && seen.insert(name(one)) {
            first.push(one);
        }
    }
    let bar = sweep.ui().bar("trying", first.len() as u64, "configurations");
    let (probed, refused) = try_all(&first, command, interrupt, &bar)?;
    bar.clear();
    // Machine types that share a training: it is done once.
    let is_trained =
        |standing: &Result<Standing, _>| matches!(standing, Ok(Standing::Trained | Standing::Done));
    let with = sweep.trials().iter().zip(standings);
    let mut trained: HashSet<usize> =
        with.filter(|(_, standing)| is_trained(standing)).map(|(one, _)| one.training).collect();
    let mut seconds = Vec::new();
    for (n, one) in sweep.trials().iter().enumerate() {
        let all = match (&standings[n], probed.get(&name(one))) {
            (Ok(Standing::Done), _) => Some(0.0),
            (Ok(standing), Some(probed)) => {
                let share = match standing {
                    Standing::Trained => 0.0,
                    _ if !trained.insert(one.training) => 0.0,
                    _ => 1.0 - trained_part(&one.trial),
                };
                Some(takes(one, probed, share)?)
            }
            _ => None,
        };
        seconds.push(all);
    }
    Ok(Estimate { seconds, refused })
}

type Tried = (HashMap<String, Probed>, Vec<(String, String)>);

fn try_all(
    trials: &[&SweepTrial<'_>],
    command: &WorkerCommand,
    interrupt: &Interrupt,
    bar: &Bar,
) -> Result<Tried, study::Error> {
    let (mut probed, mut refused) = (HashMap::new(), Vec::new());
    let mut worker: Option<Tester> = None;
    for one in trials {
        if worker.is_none() {
            worker = Some(Tester::start(command)?);
        }
        let answer = match &mut worker {
            Some(tester) => tester.probe(one, interrupt)?,
            None => Err("it could not be started".into()),
        };
        match answer {
            Ok(found) => {
                probed.insert(name(one), found);
            }
            Err(why) => {
                refused.push((name(one), why));
                // One that died, or takes too long, goes.
                worker = worker.filter(|tester| tester.usable);
            }
        }
        bar.add(1);
    }
    Ok((probed, refused))
}

/// A worker that tries trials.
struct Tester {
    hand: Hand,
    events: mpsc::Receiver<(usize, Heard)>,
    usable: bool,
}

impl Tester {
    fn start(command: &WorkerCommand) -> Result<Self, Error> {
        let (sender, events) = mpsc::channel();
        let hand = Hand::start(command, 0, &sender).map_err(Error::Start)?;
        Ok(Self { hand, events, usable: true })
    }

    /// What a trial takes, or why that cannot be had.
    fn probe(
        &mut self,
        one: &SweepTrial<'_>,
        interrupt: &Interrupt,
    ) -> Result<Result<Probed, String>, study::Error> {
        self.hand.tell(&Order::Probe(Box::new(one.job())));
        let (started, mut log) = (Instant::now(), Log::default());
        while started.elapsed() < PATIENCE {
            if interrupt.requested() {
                return Err(study::Error::Interrupted);
            }
            match self.events.recv_timeout(TICK) {
                Ok((_, Heard::Report(Report::Ended { outcome, last }))) => match outcome {
                    Outcome::Probed(probed) => {
                        self.usable = !last;
                        return Ok(Ok(probed));
                    }
                    Outcome::Failed { why, .. } => {
                        self.usable = !last;
                        return Ok(Err(why));
                    }
                    _ => {}
                },
                Ok((_, Heard::Report(Report::Unusable { why }))) => return Err(Error::NoWorker(why).into()),
                Ok((_, Heard::Line(line))) => log.push(line),
                Ok((_, Heard::OutClosed)) | Err(mpsc::RecvTimeoutError::Disconnected) => {
                    self.usable = false;
                    let last = log.tail(1).pop().unwrap_or_default();
                    return Ok(Err(format!("its worker process ended: {last}")));
                }
                Ok(_) | Err(mpsc::RecvTimeoutError::Timeout) => {}
            }
        }
        self.usable = false;
        Ok(Err(format!("trying it takes longer than {} s", PATIENCE.as_secs())))
    }
}

/// Seconds of a trial of which `share` is to be trained.
fn takes(one: &SweepTrial<'_>, probed: &Probed, share: f64) -> Result<f64, study::Error> {
    let mut learnt = 0;
    for machine in &one.trial.learnt {
        learnt += one.recordings.training_clips(machine)?;
    }
    let own = one.recordings.training_clips(&one.trial.machine)?;
    let judged = own + one.recordings.test_clips(&one.trial.machine)?;
    let epochs = one.trial.experiment.train.epochs as f64;
    Ok(share * epochs * probed.epoch_s * learnt as f64 + probed.judging_s * judged as f64)
}

fn name(one: &SweepTrial<'_>) -> String {
    format!("{}/{}", one.trial.experiment.family(), RunFolder::config_name(&one.trial.experiment))
}
