//! Nearest neighbours, local outlier factors, k-means and mixtures beside scikit-learn's on the same numbers in the same run.
//!
//! `ASDBENCH_PEER_PYTHON` names a Python with scikit-learn (`scripts/peers/setup.sh` makes one); without it only ours is timed.
//! Targets: 600 queries against a bank of 6,000 × 768 in less than 200 ms on two cores, and ahead of the peer everywhere.

mod peer;

use std::ffi::OsStr;
use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use asdbench::config::{
    DensityConfig, DetectorConfig, DetectorKind, DistanceMetric, KmeansConfig, KnnConfig, LofConfig,
    MixtureConfig,
};
use asdbench::rng;
use asdbench::score::{Detector, FittedDetector, TrainingFeatures};
use ndarray::{Array1, Array2};
use ndarray_npy::write_npy;
use peer::median;
use rand::Rng;

const BANK: usize = 6_000;
const QUERIES: usize = 600;
const DIM: usize = 768;
/// Conditions that clips are recorded in.
const CONDITIONS: usize = 8;
/// Times that a call is timed; the machine's load drifts.
const CALLS: usize = 5;

/// A bell-shaped number around 0 (the sum of four uniform ones).
fn bell(random: &mut impl Rng) -> f64 {
    (0..4).map(|_| f64::from(random.next_u32()) / f64::from(u32::MAX) - 0.5).sum()
}

/// Features `[clips, dim]` around the means of a few conditions.
fn features(clips: usize, name: &str) -> Array2<f64> {
    let mut random = rng::stream(0, "bench/conditions", 0);
    let conditions: Vec<Array1<f64>> =
        (0..CONDITIONS).map(|_| Array1::from_shape_fn(DIM, |_| 1.0 + bell(&mut random))).collect();
    let mut random = rng::stream(0, name, 0);
    Array2::from_shape_fn((clips, DIM), |(clip, column)| {
        conditions[clip % CONDITIONS][column] + bell(&mut random)
    })
}

/// Median milliseconds of a call, and what it gave.
fn timed<T>(mut call: impl FnMut() -> T) -> (f64, T) {
    let mut last = call();
    let times = (0..CALLS).map(|_| {
        let start = Instant::now();
        last = black_box(call());
        1e3 * start.elapsed().as_secs_f64()
    });
    (median(times.collect()), last)
}

/// Times the fit and the scores of one detector, and beside them the peer's `task`. Where both must agree, `relative` says how
/// closely their mean scores do.
fn race(
    task: &str,
    kind: DetectorKind,
    data: (&TrainingFeatures, &Array2<f64>),
    folder: &Path,
    relative: Option<f64>,
) {
    let (bank, queries) = data;
    let detector = Detector::new(&DetectorConfig::new(kind));
    let (fit_ms, fitted) = timed(|| detector.fit(bank, 0).expect("a fit"));
    let score = |fitted: &FittedDetector| fitted.score(queries.view()).expect("scores");
    let (score_ms, scores) = timed(|| score(&fitted));
    println!("{task}: fit {fit_ms:.1} ms, scores of {QUERIES} clips {score_ms:.1} ms");
    let start = Instant::now();
    black_box(fitted.score_training().expect("training scores"));
    println!("  scores of the {BANK} training clips {:.1} ms", 1e3 * start.elapsed().as_secs_f64());
    let Some(answer) = peer::answer("detectors.py", &[OsStr::new(task), folder.as_os_str()]) else {
        println!("  peer skipped: set ASDBENCH_PEER_PYTHON to a Python with scikit-learn");
        return;
    };
    let number = |key: &str| answer[key].as_f64().unwrap_or_else(|| panic!("the peer answered {answer}"));
    let (their_fit, their_score) = (number("fit_ms"), number("score_ms"));
    println!(
        "  scikit-learn: fit {their_fit:.1} ms, scores {their_score:.1} ms; ours take {:.2} and {:.2} of it",
        fit_ms / their_fit,
        score_ms / their_score
    );
    if let Some(relative) = relative {
        let mean = scores.iter().sum::<f64>() / scores.len() as f64;
        let theirs = number("value");
        assert!((mean / theirs - 1.0).abs() < relative, "{task}: ours is {mean}, theirs {theirs}");
    }
}

fn main() {
    asdbench::linalg::use_one_blas_thread();
    let folder = tempfile::tempdir().expect("a folder for the peer's data");
    let (bank, queries) = (features(BANK, "bench/bank"), features(QUERIES, "bench/queries"));
    write_npy(folder.path().join("bank.npy"), &bank).expect("bank.npy");
    write_npy(folder.path().join("queries.npy"), &queries).expect("queries.npy");
    let bank = TrainingFeatures::of_training_clips(bank);
    let run = |task, kind, relative| race(task, kind, (&bank, &queries), folder.path(), relative);
    for metric in [DistanceMetric::Cosine, DistanceMetric::Euclidean] {
        let name = if metric == DistanceMetric::Cosine { "knn-cosine" } else { "knn-euclidean" };
        // The same sums in another order.
        run(name, DetectorKind::Knn(KnnConfig { k: 5, metric, ..KnnConfig::default() }), Some(1e-9));
    }
    let density = Some(DensityConfig { k: 4 });
    run("knn-density", DetectorKind::Knn(KnnConfig { density, ..KnnConfig::default() }), Some(1e-9));
    run("lof", DetectorKind::Lof(LofConfig::default()), Some(1e-9));
    // Beginnings are drawn, so the clusters differ.
    run("kmeans", DetectorKind::Kmeans(KmeansConfig::default()), None);
    run("mixture", DetectorKind::Mixture(MixtureConfig::default()), None);
}
