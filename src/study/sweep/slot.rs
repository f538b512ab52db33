//! A place for a worker, and what was heard of the one that is there.

use std::io;
use std::sync::mpsc::Sender;
use std::time::Instant;

use super::SweepTrial;
use super::hand::{Hand, Heard, WorkerCommand};
use super::log::Log;
use super::message::{Order, Outcome};
use crate::run::{RunFolder, Status};

/// A place for a worker.
pub(super) struct Slot<'a> {
    pub command: &'a WorkerCommand,
    /// Of the worker that is there.
    pub id: usize,
    pub hand: Option<Hand>,
    /// Whether the worker said that it can work.
    pub ready: bool,
    pub trial: Option<usize>,
    pub since: Instant,
    pub log: Log,
    pub outcome: Option<Outcome>,
    /// All of the trial's lines are here.
    pub log_ended: bool,
    pub out_open: bool,
    pub err_open: bool,
    /// It ends by itself: it is given nothing more.
    pub leaving: bool,
    /// Why it cannot work, by its own words.
    pub unusable: Option<String>,
    /// No worker can work here.
    pub closed: bool,
}

impl<'a> Slot<'a> {
    /// Nobody is there yet.
    pub fn new(command: &'a WorkerCommand) -> Self {
        Self {
            command,
            id: 0,
            hand: None,
            ready: false,
            trial: None,
            since: Instant::now(),
            log: Log::default(),
            outcome: None,
            log_ended: false,
            out_open: false,
            err_open: false,
            leaving: false,
            unusable: None,
            closed: false,
        }
    }

    /// Start a worker; its events have this number.
    pub fn start(&mut self, id: usize, events: &Sender<(usize, Heard)>) -> io::Result<()> {
        self.hand = Some(Hand::start(self.command, id, events)?);
        (self.id, self.ready, self.leaving, self.unusable) = (id, false, false, None);
        (self.out_open, self.err_open) = (true, true);
        Ok(())
    }

    /// Hand a trial to the worker that is there.
    pub fn give(&mut self, n: usize, trial: &SweepTrial<'_>) {
        (self.trial, self.since, self.outcome, self.log_ended) = (Some(n), Instant::now(), None, false);
        self.log = Log::default();
        if let Some(hand) = &mut self.hand {
            hand.tell(&Order::Run(Box::new(trial.job())));
        }
    }
}

impl Slot<'_> {
    /// Whether it can be given a trial.
    pub fn is_idle(&self) -> bool {
        !self.closed && self.trial.is_none() && !(self.leaving && self.hand.is_some())
    }

    /// The trial that it had, how that ended, and what was said, once all of it was heard.
    pub fn take_ended(&mut self) -> Option<(usize, Outcome, Log)> {
        let whole = self.log_ended || !self.err_open;
        let n = self.trial.filter(|_| whole && self.outcome.is_some())?;
        self.trial = None;
        Some((n, self.outcome.take()?, std::mem::take(&mut self.log)))
    }

    /// How the worker ended, once nothing more is to be heard of it.
    pub fn take_gone(&mut self) -> Option<String> {
        match self.out_open || self.err_open {
            true => None,
            false => self.hand.take().map(Hand::ended),
        }
    }
}

/// A warning as it is for every trial that has it.
pub(super) fn without_name(warning: &str, trial: Option<&SweepTrial<'_>>) -> String {
    let own = trial.and_then(|one| warning.strip_prefix(&format!("{}: ", one.trial.name())));
    match (own, trial) {
        // Of some epoch; the metrics of each run say which.
        (Some(own), Some(one)) => {
            let own = match own.strip_prefix("epoch ").and_then(|rest| rest.split_once(": ")) {
                Some((number, rest)) if number.parse::<usize>().is_ok() => rest,
                _ => own,
            };
            format!("{} {}: {own}", one.trial.experiment.family(), one.trial.machine)
        }
        _ => warning.to_owned(),
    }
}

/// What a worker could not note itself.
pub(super) fn note_failure(folder: &RunFolder, why: &str) {
    let begun = matches!(folder.manifest(), Ok(Some(_)));
    // Another process that goes on with it knows better.
    if begun
        && let Ok(_lock) = folder.lock()
        && !matches!(folder.status(), Ok(Some(Status::Done)))
    {
        let _ = folder.set_status(&Status::Failed(why.to_owned()));
    }
}
