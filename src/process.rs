//! What the program asks of its own process, once, before any work.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Let the calling thread work in the thread pool, and the memory that it frees stay with the process.
///
/// Call it first in a program: later it changes nothing.
pub fn prepare() {
    keep_freed_memory();
    // A training step hands a hundred small jobs to the pool. As one of the pool's own threads this one takes part in
    // them; from outside it would be put to sleep and woken for each.
    // Never fewer than two: with this thread alone, a job that another thread waits for would have nobody.
    let threads = match std::env::var("RAYON_NUM_THREADS").ok().and_then(|text| text.parse().ok()) {
        Some(threads) if threads > 0 => threads,
        _ => thread::available_parallelism().map_or(1, usize::from),
    };
    // An error says that there is a pool already.
    let _ = rayon::ThreadPoolBuilder::new().num_threads(threads.max(2)).use_current_thread().build_global();
}

/// A training step frees and takes the same megabytes again and again. By default glibc gives them back to the system
/// each time, and every page of them costs a fault: a quarter of a step.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn keep_freed_memory() {
    /// The largest that glibc takes: half of an arena.
    const MAPPED_FROM: libc::c_int = 32 << 20;
    const KEPT: libc::c_int = 256 << 20;
    // SAFETY: sets two numbers of the allocator.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, MAPPED_FROM);
        libc::mallopt(libc::M_TRIM_THRESHOLD, KEPT);
    }
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn keep_freed_memory() {}

/// End the process at once, in the middle of whatever its threads do: no destructor runs, none can wait for another.
pub fn leave() -> ! {
    #[cfg(unix)]
    // SAFETY: ends the process without touching its memory.
    unsafe {
        libc::_exit(0)
    }
    #[cfg(not(unix))]
    std::process::exit(0)
}

/// Threads that a training keeps awake beside its own: one part of a layer's work each.
const AWAKE: usize = 3;
/// After so long without work a thread that is kept awake naps.
const PATIENCE: Duration = Duration::from_millis(5);
const NAP: Duration = Duration::from_millis(1);

/// The pool's threads stay awake as long as this lives.
#[derive(Debug)]
pub struct AwakePool(Arc<AtomicBool>);

/// Keep some threads of the pool looking for work.
///
/// A step on the CPU hands out a job of a tenth of a millisecond every other tenth. A thread that sleeps in between is
/// woken too late for its half, the more so on a virtual machine: of a step's products it did a quarter.
pub fn keep_awake() -> AwakePool {
    let over = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&over);
    rayon::spawn_broadcast(move |context| {
        // Thread 0 may be the one that trains; it must come back from here.
        if (1..=AWAKE).contains(&context.index()) {
            look_for_work(&told);
        }
    });
    AwakePool(over)
}

fn look_for_work(over: &AtomicBool) {
    let mut idle_since = Instant::now();
    while !over.load(Ordering::Relaxed) {
        if rayon::yield_now() == Some(rayon::Yield::Executed) {
            idle_since = Instant::now();
        } else if idle_since.elapsed() < PATIENCE {
            // Lets a thread outside the pool run, such as the one that makes the batches.
            thread::yield_now();
        } else {
            thread::sleep(NAP);
        }
    }
}

impl Drop for AwakePool {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rayon::prelude::*;

    #[test]
    fn a_pool_that_is_kept_awake_works_and_is_let_go() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
        for _ in 0..20 {
            let awake = pool.install(keep_awake);
            let sum: u64 = pool.install(|| (0..1000_u64).into_par_iter().sum());
            assert_eq!(sum, 499_500);
            drop(awake);
        }
        // Every thread answers: none is stuck.
        assert_eq!(pool.broadcast(|context| context.index()), [0, 1, 2]);
    }
}
