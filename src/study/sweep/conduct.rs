//! The parent's loop: hands trials to workers, hears how they end, and starts a fresh worker where one died.

use std::collections::{HashSet, VecDeque};
use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use super::hand::{Heard, WorkerCommand};
use super::log::Log;
use super::message::{Order, Outcome, Report};
use super::pace::Pace;
use super::progress::Progress;
use super::scan::Standing;
use super::slot::{Slot, note_failure, without_name};
use super::summary::Swept;
use super::{Error, Sweep, SweepTrial};
use crate::files::{self, Durability};
use crate::study::plan::{FAILED, Plan};
use crate::study::{self, Evaluation};
use crate::train::Interrupt;
use crate::ui::{Gauge, Ui};

/// Between two looks at what the user wants.
const TICK: Duration = Duration::from_millis(50);
/// Between two tries at a trial that another process works on.
const AGAIN: Duration = Duration::from_secs(1);
/// Between two looks at how far the running trials are.
const LOOK: Duration = Duration::from_secs(1);
/// Lines of a failed trial's log that are shown.
const SHOWN: usize = 8;

/// How a trial ended.
#[derive(Debug)]
pub(super) enum End {
    /// Its results are where they are: those of thousands of trials would not stay small in memory.
    Done {
        found: bool,
    },
    Failed {
        why: String,
        log: PathBuf,
        tail: Vec<String>,
    },
    Interrupted,
    PutOff {
        by: String,
    },
}

/// Train and judge all trials of a sweep that are not done yet, one worker for each of `commands`.
///
/// # Errors
/// When no worker can be started or can work, or the plan cannot be written. A trial's error is its own.
pub fn conduct(
    sweep: &Sweep<'_>,
    commands: &[WorkerCommand],
    interrupt: &Interrupt,
) -> Result<Swept, study::Error> {
    // Makes the runs folder, which workers look for.
    sweep.plan().write(sweep.runs())?;
    let mut conductor = Conductor::new(sweep, commands, interrupt);
    conductor.look();
    conductor.work()?;
    let Conductor { ends, .. } = conductor;
    Ok(Swept::new(sweep, ends, interrupt.requested()))
}

struct Conductor<'a, 's> {
    sweep: &'a Sweep<'s>,
    trials: &'a [SweepTrial<'s>],
    interrupt: &'a Interrupt,
    ui: &'a Ui,
    slots: Vec<Slot<'a>>,
    sender: Sender<(usize, Heard)>,
    events: Receiver<(usize, Heard)>,
    next_id: usize,
    queue: VecDeque<usize>,
    /// With others, and when to ask again.
    others: Vec<(usize, Instant)>,
    ends: Vec<Option<End>>,
    /// Holders that were named.
    named: HashSet<String>,
    pace: Pace,
    stopping: bool,
    /// Why the last worker could not work.
    unusable: String,
}

impl<'a, 's> Conductor<'a, 's> {
    fn new(sweep: &'a Sweep<'s>, commands: &'a [WorkerCommand], interrupt: &'a Interrupt) -> Self {
        let (sender, events) = mpsc::channel();
        let trials = sweep.trials();
        Self {
            sweep,
            trials,
            interrupt,
            ui: sweep.ui(),
            slots: commands.iter().map(Slot::new).collect(),
            sender,
            events,
            next_id: 0,
            queue: VecDeque::new(),
            others: Vec::new(),
            ends: trials.iter().map(|_| None).collect(),
            named: HashSet::new(),
            pace: Pace::default(),
            stopping: false,
            unusable: "there is none".into(),
        }
    }

    /// What is done already, and the rest in an order in which a machine type's sounds serve all its trials.
    fn look(&mut self) {
        let (mut begun, mut trained) = (0, 0);
        let mut rest = Vec::new();
        for (n, standing) in self.sweep.scan().into_iter().enumerate() {
            match standing {
                Ok(Standing::Done) => {
                    self.pace.found(&self.trials[n].trial);
                    // It serves those who judge it again.
                    if let Err(error) = self.trials[n].trial.refresh() {
                        self.ui.warn(&error.to_string());
                    }
                    self.end(n, End::Done { found: true });
                    continue;
                }
                Ok(Standing::Resume) => begun += 1,
                Ok(Standing::Trained) => trained += 1,
                // What is wrong is the worker's to say: its log is kept.
                Ok(Standing::New) | Err(_) => {}
            }
            rest.push(n);
        }
        rest.sort_by_key(|&n| (&self.trials[n].trial.machine, n));
        let (all, done) = (self.trials.len(), self.trials.len() - rest.len());
        let several = |count: usize, what: &str| match count {
            0 => String::new(),
            count => format!(", {count} {what}"),
        };
        self.ui.say(&format!(
            "{all} trials: {done} done{}{}{}",
            several(trained, "trained and to be judged"),
            several(begun, "begun"),
            several(rest.len() - trained - begun, "new"),
        ));
        self.queue = rest.into();
    }

    fn work(&mut self) -> Result<(), study::Error> {
        let mut gauge = Gauge::new(self.ui, &format!("sweep {}", self.sweep.plan().name));
        let mut looked: Option<Instant> = None;
        loop {
            self.heed_the_user();
            if !self.stopping {
                self.hand_out()?;
            }
            let busy = self.slots.iter().any(|slot| slot.trial.is_some());
            if !busy && (self.stopping || (self.queue.is_empty() && self.others.is_empty())) {
                break;
            }
            if looked.is_none_or(|looked| looked.elapsed() >= LOOK) {
                looked = Some(Instant::now());
                let running: Vec<usize> = self.slots.iter().filter_map(|slot| slot.trial).collect();
                let progress = Progress { trials: self.trials, ends: &self.ends, running: &running };
                progress.show(&self.pace, self.slots.len(), &mut gauge);
            }
            match self.events.recv_timeout(TICK) {
                Ok((id, heard)) => self.hear(id, heard),
                Err(RecvTimeoutError::Timeout) => {}
                // Not as long as there is a sender of our own.
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        gauge.clear();
        self.slots.iter_mut().for_each(|slot| slot.hand = None);
        Ok(())
    }

    fn heed_the_user(&mut self) {
        if self.interrupt.requested() && !self.stopping {
            self.stopping = true;
            self.slots
                .iter_mut()
                .filter_map(|slot| slot.hand.as_mut())
                .for_each(|hand| hand.tell(&Order::Stop));
        }
    }

    /// Give every idle worker a trial.
    fn hand_out(&mut self) -> Result<(), study::Error> {
        for place in 0..self.slots.len() {
            if !self.slots[place].is_idle() {
                continue;
            }
            let Some(n) = self.choose() else { break };
            if self.slots[place].hand.is_none() {
                self.next_id += 1;
                self.slots[place].start(self.next_id, &self.sender).map_err(Error::Start)?;
            }
            self.slots[place].give(n, &self.trials[n]);
        }
        match self.slots.iter().all(|slot| slot.closed) {
            true => Err(Error::NoWorker(self.unusable.clone()).into()),
            false => Ok(()),
        }
    }

    /// The next trial: none whose training another worker is at, which the trial would take over, and those of other
    /// processes last.
    fn choose(&mut self) -> Option<usize> {
        let running: Vec<usize> =
            self.slots.iter().filter_map(|slot| slot.trial).map(|n| self.trials[n].training).collect();
        let free = |n: &usize| !running.contains(&self.trials[*n].training);
        if let Some(place) = self.queue.iter().position(free) {
            return self.queue.remove(place);
        }
        if !self.queue.is_empty() {
            return None;
        }
        while let Some(place) = self.others.iter().position(|(n, again)| *again <= Instant::now() && free(n))
        {
            let (n, _) = self.others.swap_remove(place);
            match self.trials[n].standing() {
                Ok(Standing::Done) => self.end(n, End::Done { found: true }),
                _ => return Some(n),
            }
        }
        None
    }

    fn hear(&mut self, id: usize, heard: Heard) {
        let Some(place) = self.slots.iter().position(|slot| slot.id == id && slot.hand.is_some()) else {
            return;
        };
        let slot = &mut self.slots[place];
        match heard {
            Heard::Line(line) => {
                let warning =
                    line.strip_prefix("warning: ").or_else(|| line.trim_start().strip_prefix("WARN "));
                if let Some(warning) = warning {
                    self.ui.warn(&without_name(warning, slot.trial.map(|n| &self.trials[n])));
                }
                slot.log.push(line);
            }
            Heard::EndOfTrial => slot.log_ended = true,
            Heard::Report(Report::Ready { device }) => {
                slot.ready = true;
                if self.named.insert(device.clone()) {
                    self.ui.say(&format!("device {device}"));
                }
            }
            Heard::Report(Report::Unusable { why }) => slot.unusable = Some(why),
            Heard::Report(Report::Ended { outcome, last }) => {
                (slot.outcome, slot.leaving) = (Some(outcome), last);
            }
            Heard::OutClosed => slot.out_open = false,
            Heard::ErrClosed => slot.err_open = false,
        }
        self.settle(place);
    }

    /// What follows when all of a trial, or of a worker, was heard.
    fn settle(&mut self, place: usize) {
        let slot = &mut self.slots[place];
        let seconds = slot.since.elapsed().as_secs_f64();
        if let Some((n, outcome, log)) = slot.take_ended() {
            self.ended(n, outcome, seconds, &log);
        }
        let slot = &mut self.slots[place];
        let Some(how) = slot.take_gone() else { return };
        let Some(n) = slot.trial.take() else { return };
        let log = std::mem::take(&mut slot.log);
        if self.stopping {
            self.end(n, End::Interrupted);
        } else if slot.ready {
            let last = log.tail(1).pop().map_or(String::new(), |line| format!("; it last said: {line}"));
            let why = format!("its worker process {how}{last}");
            note_failure(&self.trials[n].trial.folder, &why);
            self.fail(n, why, &log);
        } else {
            // No fault of the trial's.
            slot.closed = true;
            let words = || format!("it {how}: {}", log.tail(3).join("; "));
            self.unusable = slot.unusable.take().unwrap_or_else(words);
            self.ui.warn(&format!("a worker process could not begin: {}", self.unusable));
            self.queue.push_front(n);
        }
    }

    fn ended(&mut self, n: usize, outcome: Outcome, seconds: f64, log: &Log) {
        let trial = &self.trials[n].trial;
        match outcome {
            Outcome::Done | Outcome::Found => match trial.folder.read_json::<Evaluation>("eval.json") {
                Ok(_) => {
                    let found = outcome == Outcome::Found;
                    self.end(n, End::Done { found });
                    if !found {
                        self.pace.took(&self.trials[n].trial, seconds);
                        let of = self.ends.iter().filter(|end| matches!(end, Some(End::Done { .. }))).count();
                        let path = self.trials[n].path.display();
                        self.ui.say(&format!("[{of}/{}] {path} done in {seconds:.0} s", self.trials.len()));
                    }
                }
                Err(error) => self.fail(n, error.to_string(), log),
            },
            Outcome::Held { by } => {
                if self.named.insert(by.clone()) {
                    let path = self.trials[n].path.display();
                    self.ui.say(&format!("{by} works on {path}, and maybe others; they are put off"));
                }
                self.ends[n] = Some(End::PutOff { by });
                self.others.push((n, Instant::now() + AGAIN));
            }
            Outcome::Interrupted if self.stopping => self.end(n, End::Interrupted),
            Outcome::Interrupted => {
                let why =
                    "somebody told its worker process to stop; the same command goes on where it stopped";
                self.fail(n, why.to_owned(), log);
            }
            Outcome::Failed { why, .. } => self.fail(n, why, log),
            // It was not asked to.
            Outcome::Probed(_) => self.fail(n, "its worker tried it and did not do it".to_owned(), log),
        }
    }

    fn log_path(&self, n: usize) -> PathBuf {
        Plan::log(self.sweep.runs(), &self.sweep.plan().name, &self.trials[n].path)
    }

    fn end(&mut self, n: usize, end: End) {
        if matches!(end, End::Done { .. }) {
            // Of an earlier failure.
            let _ = files::remove(&self.log_path(n));
        }
        self.ends[n] = Some(end);
    }

    fn fail(&mut self, n: usize, why: String, log: &Log) {
        let path = self.log_path(n);
        let kept = files::make_folder(files::folder_of(&path)).and_then(|()| {
            let text = format!("{}{FAILED}{why}\n", log.text());
            files::write(&path, text.as_bytes(), Durability::Cached)
        });
        if let Err(error) = kept {
            self.ui.warn(&error.to_string());
        }
        self.ui.warn(&format!("{} failed: {why}", self.trials[n].trial.folder.path().display()));
        self.end(n, End::Failed { why, log: path, tail: log.tail(SHOWN) });
    }
}
