//! Ctrl-C: the first finishes the batch and checkpoints, the second stops at once.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Exit code of an interrupted program, as shells expect it.
const INTERRUPTED: i32 = 130;

/// Whether the user wants the program to stop.
#[derive(Debug, Clone, Default)]
pub struct Interrupt {
    asked: Arc<AtomicBool>,
}

impl Interrupt {
    /// Listen to SIGINT, SIGTERM and SIGHUP. A process listens once; where it cannot, signals keep their default.
    pub fn listen() -> Self {
        let interrupt = Self::default();
        let asked = Arc::clone(&interrupt.asked);
        // Apart from what others ask: a scheduler's signal reaches a sweep's worker beside the sweep's own word to it, and
        // the two together are one wish.
        let signalled = AtomicBool::new(false);
        let listening = ctrlc::set_handler(move || {
            asked.store(true, Ordering::SeqCst);
            if signalled.swap(true, Ordering::SeqCst) {
                std::process::exit(INTERRUPTED);
            }
            // A terminal that went away must not take this thread with it.
            let _ = writeln!(io::stderr(), "stopping after this batch; once more to stop at once");
        });
        if let Err(error) = listening {
            tracing::warn!("Ctrl-C stops at once: {error}");
        }
        interrupt
    }

    /// Whether somebody asked to stop.
    pub fn requested(&self) -> bool {
        self.asked.load(Ordering::SeqCst)
    }

    /// Ask to stop.
    pub fn request(&self) {
        self.asked.store(true, Ordering::SeqCst);
    }
}
