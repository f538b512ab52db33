//! What our side of a comparison takes.

use std::time::Instant;

use crate::peer::median;

/// Median milliseconds of `times` runs, after one that is not counted.
pub fn timed(times: usize, mut work: impl FnMut()) -> f64 {
    work();
    let one = |_| {
        let start = Instant::now();
        work();
        start.elapsed().as_secs_f64() * 1e3
    };
    median((0..times).map(one).collect())
}

/// Most memory that this process has held.
pub fn peak_mb() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<f64>().ok()? / 1024.0)
}
