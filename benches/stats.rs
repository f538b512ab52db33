//! Bootstrap of Ω, exact Spearman tests, and Ledoit-Wolf with Mahalanobis distances, beside NumPy's, SciPy's and
//! scikit-learn's on the same numbers in the same run.
//!
//! `ASDBENCH_PEER_PYTHON` names a Python with scikit-learn and SciPy (`scripts/peers/setup.sh` makes one); without it only
//! ours is timed. `ASDBENCH_PEER_QUICK=1` leaves out the peers that take more than ten seconds. Target: ahead of each.

mod peer;

use std::ffi::OsStr;
use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use asdbench::linalg::{Estimator, Gaussian};
use asdbench::metric::Ranked;
use asdbench::rng;
use asdbench::stats::{Method, Resampler, Settings, bootstrap, spearman};
use ndarray::{Array2, Axis};
use ndarray_npy::write_npy;
use peer::median;
use rand::Rng;

/// 7 machines of 3 sections.
const SECTIONS: usize = 7 * 3;
/// In four equal parts: source normal, source anomalous, target normal, target anomalous.
const CLIPS: usize = 200;
const QUARTER: usize = CLIPS / 4;
const RESAMPLES: usize = 2_000;
const MAX_FPR: f64 = 0.1;
const ROWS: usize = 6_000;
const DIM: usize = 2_048;
/// Times that one side is timed before the other has its turn: the machine's load drifts.
const CALLS: usize = 3;
const TURNS: usize = 2;

/// A bell-shaped number around 0 (the sum of four uniform ones).
fn bell(random: &mut impl Rng) -> f64 {
    (0..4).map(|_| f64::from(random.next_u32()) / f64::from(u32::MAX) - 0.5).sum()
}

/// Scores `[sections, clips]`, anomalous clips somewhat higher.
fn scores() -> Array2<f64> {
    let mut random = rng::stream(0, "bench/scores", 0);
    Array2::from_shape_fn((SECTIONS, CLIPS), |(_, clip)| bell(&mut random) + 0.4 * f64::from(anomalous(clip)))
}

fn anomalous(clip: usize) -> bool {
    clip / QUARTER % 2 == 1
}

fn target(clip: usize) -> bool {
    clip / QUARTER >= 2
}

/// Correlated features `[rows, dim]`.
fn features() -> Array2<f64> {
    let mut random = rng::stream(0, "bench/features", 0);
    let mut features = Array2::from_shape_fn((ROWS, DIM), |_| bell(&mut random));
    for column in 1..DIM {
        let (before, mut rest) = features.view_mut().split_at(Axis(1), column);
        rest.column_mut(0).scaled_add(0.5, &before.column(column - 1));
    }
    features
}

/// Ω of weighted clips: the harmonic mean of AUC (source), AUC (target) and partial AUC over the sections.
fn omega(ranked: &[Ranked], weights: &[u32]) -> Option<f64> {
    let mut sum = 0.0;
    let mut chosen = [0; CLIPS];
    for (ranked, weights) in ranked.iter().zip(weights.chunks_exact(CLIPS)) {
        for of_target in [false, true] {
            for (clip, (chosen, &weight)) in chosen.iter_mut().zip(weights).enumerate() {
                *chosen = weight * u32::from(target(clip) == of_target || anomalous(clip));
            }
            sum += 1.0 / ranked.weighted_auc(&chosen)?.max(f64::EPSILON);
        }
        sum += 1.0 / ranked.weighted_partial_auc(weights, MAX_FPR)?.max(f64::EPSILON);
    }
    Some((3 * ranked.len()) as f64 / sum)
}

/// Milliseconds of each of a few calls.
fn timed<T>(mut call: impl FnMut() -> T) -> Vec<f64> {
    let once = |_| {
        let start = Instant::now();
        black_box(call());
        1e3 * start.elapsed().as_secs_f64()
    };
    (0..CALLS).map(once).collect()
}

/// Times both sides in turn, and holds the peer's `value` against ours.
fn race<T>(
    what: &str,
    task: &str,
    folder: &Path,
    mut call: impl FnMut() -> T,
    value: impl Fn(&T) -> (f64, f64),
) {
    let (expected, tolerance) = value(&call());
    let mut ours = Vec::new();
    let mut theirs: Vec<(String, Vec<f64>)> = Vec::new();
    for _ in 0..TURNS {
        ours.extend(timed(&mut call));
        let Some(answer) = peer::answer("stats.py", &[OsStr::new(task), folder.as_os_str()]) else {
            continue;
        };
        for way in answer.as_array().into_iter().flatten() {
            let (Some(name), Some(ms), Some(found)) =
                (way["name"].as_str(), way["ms"].as_f64(), way["value"].as_f64())
            else {
                panic!("the peer answered {way}")
            };
            assert!((found - expected).abs() <= tolerance, "{what}: {name} has {found}, ours is {expected}");
            match theirs.iter_mut().find(|(known, _)| known == name) {
                Some((_, times)) => times.push(ms),
                None => theirs.push((name.to_owned(), vec![ms])),
            }
        }
    }
    let ours = median(ours);
    println!("{what}: {ours:.2} ms");
    if theirs.is_empty() {
        println!("  peers skipped: set ASDBENCH_PEER_PYTHON to a Python with scikit-learn and SciPy");
    }
    for (name, times) in theirs {
        let theirs = median(times);
        println!("  {name}: {theirs:.1} ms; ours is {:.1} times as fast", theirs / ours);
    }
}

fn main() {
    asdbench::linalg::use_one_blas_thread();
    let folder = tempfile::tempdir().expect("a folder for the peers' data");
    let folder = folder.path();

    let scores = scores();
    write_npy(folder.join("scores.npy"), &scores).expect("scores.npy");
    let labels: Vec<bool> = (0..CLIPS).map(anomalous).collect();
    let ranked: Vec<Ranked> = scores
        .rows()
        .into_iter()
        .map(|scores| Ranked::new(&scores.to_vec(), &labels).expect("both classes"))
        .collect();
    let strata: Vec<(usize, usize)> =
        (0..SECTIONS * CLIPS).map(|row| (row / CLIPS, row % CLIPS / QUARTER)).collect();
    let resampler = Resampler::new(&strata);
    for method in [Method::Percentile, Method::Bca] {
        let settings = Settings { resamples: RESAMPLES, method, ..Settings::default() };
        let call =
            || bootstrap(&resampler, settings, |weights| omega(&ranked, weights)).expect("an interval");
        let what = format!("{RESAMPLES} resamples of Ω, {SECTIONS} sections of {CLIPS} clips, {method:?}");
        match method {
            // Only the estimate can be the same: the peer draws other resamples.
            Method::Percentile => race(&what, "omega", folder, call, |found| (found.estimate, 1e-12)),
            Method::Bca => println!("{what}: {:.2} ms", median(timed(call))),
        }
    }

    for n in [9, 10] {
        let x: Vec<f64> = (0..n).map(|i| (i * 7 % n) as f64).collect();
        let y: Vec<f64> = (0..n).map(|i| ((i * i * 3 + i) % 11) as f64).collect();
        let pairs =
            Array2::from_shape_fn((2, n), |(row, column)| if row == 0 { x[column] } else { y[column] });
        write_npy(folder.join("pairs.npy"), &pairs).expect("pairs.npy");
        let call = || spearman(&x, &y).expect("ranks");
        // Twice the smaller tail is not the share of |ρ*| ≥ |ρ|; the peer returns the latter, a ratio of the same integers.
        race(&format!("exact Spearman, n = {n}"), "spearman", folder, call, |found| (found.p, 1e-12));
    }

    let features = features();
    write_npy(folder.join("features.npy"), &features).expect("features.npy");
    let call = || {
        let model = Gaussian::fit(features.view(), Estimator::LedoitWolf).expect("a covariance");
        model.squared_distances(features.view()).expect("distances")
    };
    let mean = |distances: &Vec<f64>| {
        let mean = distances.iter().sum::<f64>() / distances.len() as f64;
        (mean, 1e-9 * mean)
    };
    race(&format!("Ledoit-Wolf and distances, {ROWS} × {DIM}"), "mahalanobis", folder, call, mean);
}
