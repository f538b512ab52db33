//! What trials share is computed once: the first worker that needs log-mels or checked clips makes them, and others that
//! need the same wait for it and find them in the cache.

use std::cell::RefCell;
use std::collections::HashSet;
use std::fs::{File, TryLockError};
use std::path::Path;
use std::thread;
use std::time::Duration;

use crate::config::Hears;
use crate::files;
use crate::study::{Error, Recordings, Trial};
use crate::train::Interrupt;

/// Between two looks at what another process makes.
const LOOK: Duration = Duration::from_millis(50);

/// What one worker has opened.
#[derive(Debug, Default)]
pub(super) struct Prepared {
    known: RefCell<HashSet<String>>,
}

impl Prepared {
    /// Open all sounds of a trial, those to be judged with too, one process at a time for each set. `folder` takes the locks.
    ///
    /// What is wrong with the sounds is said by those who use them: [`None`] here is no error of the trial's.
    ///
    /// # Errors
    /// When a lock cannot be had, or the user stops the sweep.
    pub fn open(
        &self,
        trial: &Trial,
        recordings: &Recordings<'_>,
        folder: &Path,
        interrupt: &Interrupt,
    ) -> Result<(), Error> {
        let experiment = &trial.experiment;
        let data = &experiment.data;
        let heard = match experiment.task.hears() {
            Hears::LogMels => {
                format!("log-mels {:?} {}", experiment.frontend.logmel, experiment.task.min_frames())
            }
            Hears::Waves => format!("waves {}", experiment.frontend.logmel.rate_hz),
        };
        let set = format!("{heard} {:?} {:?} {:?}", data.root, data.channel, data.on_bad_clip);
        for machine in &trial.learnt {
            self.once(&format!("{machine} train {set}"), folder, interrupt, || {
                recordings.training(machine, experiment).is_ok()
            })?;
        }
        let machine = &trial.machine;
        self.once(&format!("{machine} test {set}"), folder, interrupt, || {
            recordings.evaluation(machine, experiment).is_ok()
        })?;
        if experiment.task.needs_interference() {
            // One lock for all: that of another machine type is made of much the same clips.
            let set = format!("interference {:?} {set}", data.interference);
            self.each(&set, machine, folder, interrupt, || {
                let train = recordings.training_interference(machine, experiment);
                train.is_ok() && recordings.evaluation_interference(machine, experiment).is_ok()
            })?;
        }
        Ok(())
    }

    fn once(
        &self,
        what: &str,
        folder: &Path,
        interrupt: &Interrupt,
        make: impl FnOnce() -> bool,
    ) -> Result<(), Error> {
        self.each(what, "", folder, interrupt, make)
    }

    /// `make`, unless it was done here for `what` and `of`, while no other process does it for `what`.
    fn each(
        &self,
        what: &str,
        of: &str,
        folder: &Path,
        interrupt: &Interrupt,
        make: impl FnOnce() -> bool,
    ) -> Result<(), Error> {
        let known = format!("{what} {of}");
        if self.known.borrow().contains(&known) {
            return Ok(());
        }
        let name = &blake3::hash(what.as_bytes()).to_hex()[..16];
        let _lock = wait_for(&folder.join(format!("preparing-{name}.lock")), interrupt)?;
        if make() {
            self.known.borrow_mut().insert(known);
        }
        Ok(())
    }
}

/// Hold a lock's file as soon as nobody else does.
fn wait_for(path: &Path, interrupt: &Interrupt) -> Result<File, Error> {
    files::make_folder(files::folder_of(path))?;
    let file = files::open_lock(path)?;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if interrupt.requested() => return Err(Error::Interrupted),
            Err(TryLockError::WouldBlock) => thread::sleep(LOOK),
            Err(TryLockError::Error(e)) => return Err(files::Error::new("lock", path, e).into()),
        }
    }
}
