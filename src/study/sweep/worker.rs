//! A worker: trains and judges the trials that it is told, one after the other, and keeps open what they share.
//!
//! It ends with its standard input: whatever becomes of the parent, nobody is left behind.

use std::io::{self, BufRead, Write};
use std::path::Path;
use std::sync::mpsc::{self, Receiver};
use std::thread;

use super::claim::{self, Claimed};
use super::message::{END_OF_TRIAL, Job, Order, Outcome, Report};
use super::prepare::Prepared;
use super::probe::probe;
use super::scan::{Standing, standing};
use crate::device::{self, DeviceChoice};
use crate::printable;
use crate::process;
use crate::run::{self, RunFolder, Status};
use crate::study::{self, Error, Judge, Trial, cache_folder, train};
use crate::train::Interrupt;
use crate::ui::Ui;

/// Work on what standard input says, until it closes. `runs` is the folder of the runs.
///
/// # Errors
/// When standard output does not take an answer. What is wrong with a trial is reported.
pub fn work(runs: &Path, device: DeviceChoice, ui: &Ui) -> Result<(), Error> {
    let interrupt = Interrupt::listen();
    let jobs = listen(interrupt.clone());
    let device = match device::open(device) {
        Ok(device) => device,
        Err(error) => return tell(&Report::Unusable { why: error.to_string() }),
    };
    tell(&Report::Ready { device: device.name.clone() })?;
    // As a judge finds it of a run's folder; a sweep that trains has made it.
    let real = runs.canonicalize().unwrap_or_else(|_| runs.to_owned());
    let cache = cache_folder(&real);
    let judge = Judge::new(&[], &device, ui).remembering();
    let prepared = Prepared::default();
    let run = |trial: &Trial| -> Result<Outcome, Error> {
        let path = trial.folder.path();
        let name = path.strip_prefix(runs).unwrap_or(path);
        let claim = claim::path(runs, name);
        let _claim = match claim::take(&claim)? {
            Claimed::Ours(claim) => claim,
            Claimed::Theirs(by) => return Ok(Outcome::Held { by }),
        };
        let recordings = judge.recordings(&trial.experiment, cache.clone())?;
        // Another process may have done it since the sweep looked.
        if matches!(standing(trial, &recordings), Ok(Standing::Done)) {
            return Ok(Outcome::Found);
        }
        prepared.open(trial, &recordings, &claim::folder(runs), &interrupt)?;
        let trained = train(trial, &recordings, &device, &interrupt, ui)?;
        if trained.status == Status::Interrupted.word() || interrupt.requested() {
            return Ok(Outcome::Interrupted);
        }
        judge.evaluate(&trial.folder)?;
        Ok(Outcome::Done)
    };
    let try_out = |trial: &Trial| {
        let recordings = judge.recordings(&trial.experiment, cache.clone())?;
        probe(trial, &recordings, &device, &interrupt, ui).map(Outcome::Probed)
    };
    while let Ok((what, job)) = jobs.recv() {
        let trial = trial(job, runs);
        let done = match what {
            What::Run => run(&trial),
            What::Probe => try_out(&trial),
        };
        let outcome = match done {
            Ok(outcome) => outcome,
            Err(Error::Interrupted) => Outcome::Interrupted,
            Err(Error::Run(run::Error::Locked(_))) => Outcome::Held { by: "another process".into() },
            Err(error) => {
                // For the log.
                let _ = writeln!(io::stderr(), "error: {}", printable::message(&error.to_string()));
                Outcome::Failed { why: error.to_string(), device_lost: error.is_lost_device() }
            }
        };
        let _ = writeln!(io::stderr(), "{END_OF_TRIAL}");
        let device_lost = matches!(outcome, Outcome::Failed { device_lost: true, .. });
        // A driver that failed once fails again in the same process; the sweep starts a fresh one.
        let last = device_lost || interrupt.requested();
        tell(&Report::Ended { outcome, last })?;
        if last {
            break;
        }
    }
    Ok(())
}

fn trial(job: Job, runs: &Path) -> Trial {
    let Job { experiment, machine, learnt, seed } = job;
    let folder = RunFolder::of(runs, &experiment, &machine, seed);
    Trial { experiment, machine, learnt, seed, folder }
}

/// What is done with a trial.
enum What {
    Run,
    Probe,
}

/// Orders as they come; to stop is heard while a trial runs.
fn listen(interrupt: Interrupt) -> Receiver<(What, Job)> {
    let (orders, jobs) = mpsc::channel();
    thread::spawn(move || {
        for line in io::stdin().lock().lines() {
            let more = match line.ok().and_then(|line| serde_json::from_str(&line).ok()) {
                Some(Order::Stop) => {
                    interrupt.request();
                    true
                }
                Some(Order::Run(job)) => orders.send((What::Run, *job)).is_ok(),
                Some(Order::Probe(job)) => orders.send((What::Probe, *job)).is_ok(),
                None => false,
            };
            if !more {
                break;
            }
        }
        process::leave();
    });
    jobs
}

fn tell(report: &Report) -> Result<(), study::Error> {
    let mut line = serde_json::to_vec(report).map_err(|e| super::Error::Answer(e.into()))?;
    line.push(b'\n');
    let mut out = io::stdout().lock();
    Ok(out.write_all(&line).and_then(|()| out.flush()).map_err(super::Error::Answer)?)
}
