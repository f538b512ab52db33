//! Processes that are killed at some moment of their work, and what they leave for a while.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::{Duration, Instant};

use crate::pipeline::walk;

/// Attempts after which whatever is to be killed is always faster.
const TRIES: u32 = 60;

/// Starts processes, counted from 1, and kills each after `moment(n)` of `took`, until so many were killed while they ran.
///
/// `ended` is called when one came to its end before: it checks what is there and clears it away. The moments come earlier
/// from then on, for whatever became faster than it was when `took` was measured.
pub fn kill(
    wanted: u32,
    took: Duration,
    moment: impl Fn(u32) -> f64,
    mut begin: impl FnMut(u32) -> Child,
    mut ended: impl FnMut(),
) {
    let (mut killed, mut tries, mut pause) = (0, 0, took);
    while killed < wanted {
        tries += 1;
        assert!(tries <= TRIES, "only {killed} of {wanted} were killed while they ran; {took:?}");
        let mut child = begin(tries);
        std::thread::sleep(pause.mul_f64(moment(tries)).max(Duration::from_millis(1)));
        if child.try_wait().unwrap().is_none() {
            killed += 1;
            child.kill().unwrap();
            child.wait().unwrap();
        } else {
            ended();
            pause /= 2;
        }
    }
}

/// Waits until nobody works on the runs below a folder: workers end a moment after a sweep that was killed.
pub fn wait_until_left(runs: &Path) {
    let is_lock = |path: &&PathBuf| {
        path.ends_with("lock") || path.extension().is_some_and(|extension| extension == "lock")
    };
    let is_free = |path: &PathBuf| File::open(path).is_ok_and(|file| file.try_lock().is_ok());
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut free = 0;
    // Between two locks a worker holds none for a moment.
    while free < 3 {
        assert!(Instant::now() < deadline, "somebody still works in {}", runs.display());
        std::thread::sleep(Duration::from_millis(50));
        free = if walk(runs).iter().filter(is_lock).all(is_free) { free + 1 } else { 0 };
    }
}

/// Sends a signal to a process that the test started.
pub fn send(signal: libc::c_int, pid: u32) {
    let pid = libc::pid_t::try_from(pid).unwrap();
    // SAFETY: a signal to a process that this test started.
    assert_eq!(unsafe { libc::kill(pid, signal) }, 0);
}
