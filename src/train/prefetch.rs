//! Batches are made on a thread of their own, two ahead of the step that uses them.

use std::ops::Range;
use std::sync::mpsc;
use std::thread;

use super::Error;
use crate::task::ProxyTask;

/// Batches that may wait.
const AHEAD: usize = 2;

/// Call `step` with each batch in order until it says `true`; whether it did.
///
/// # Errors
/// The first error of making a batch or of `step`.
pub fn each<T: ProxyTask>(
    task: &T,
    order: &T::Order,
    batches: Range<usize>,
    mut step: impl FnMut(T::Batch) -> Result<bool, Error>,
) -> Result<bool, Error> {
    thread::scope(|scope| {
        let (sender, receiver) = mpsc::sync_channel(AHEAD);
        scope.spawn(move || {
            for index in batches {
                // The receiver is gone when the steps stopped early.
                if sender.send(task.batch(order, index)).is_err() {
                    break;
                }
            }
        });
        for batch in receiver {
            if step(batch?)? {
                return Ok(true);
            }
        }
        Ok(false)
    })
}
