//! Ctrl-C: the first finishes the batch and checkpoints, the second stops at once.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Exit code of an interrupted program, as shells expect it.
const INTERRUPTED: i32 = 130;

/// Whether the user wants the program to stop.
#[derive(Debug, Clone, Default)]
pub struct Interrupt {
    count: Arc<AtomicUsize>,
}

impl Interrupt {
    /// Listen to SIGINT, SIGTERM and SIGHUP. A process listens once; where it cannot, signals keep their default.
    pub fn listen() -> Self {
        let interrupt = Self::default();
        let count = Arc::clone(&interrupt.count);
        let listening = ctrlc::set_handler(move || {
            if count.fetch_add(1, Ordering::SeqCst) > 0 {
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
        self.count.load(Ordering::SeqCst) > 0
    }

    /// Ask to stop.
    pub fn request(&self) {
        self.count.fetch_add(1, Ordering::SeqCst);
    }
}
