//! AUC and partial AUC of 10⁶ scores, and of resamples of a section of 200 clips, beside scikit-learn's on the same scores
//! in the same run.
//!
//! `ASDBENCH_PEER_PYTHON` names a Python with scikit-learn (`scripts/peers/setup.sh` makes one); without it only ours is timed.
//! Target: ahead of scikit-learn. A bootstrap of a challenge submission (7 machines × 3 sections × 3 metrics × 2,000
//! resamples) takes well under a second on one core, of which this times the metrics.

mod peer;

use std::ffi::OsString;
use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use asdbench::metric::{Ranked, auc, partial_auc};
use criterion::Criterion;
use ndarray::ArrayView1;
use ndarray_npy::write_npy;
use peer::median;
use serde_json::Value;

const SCORES: usize = 1_000_000;
const CLIPS: usize = 200;
const MAX_FPR: f64 = 0.1;
const RESAMPLES: usize = 2_000;
/// Evaluations of a bootstrap over 7 machines with 3 sections, of AUC (source), AUC (target) and partial AUC.
const SECTIONS: usize = 7 * 3;
/// Calls of one side before the other has its turn: the machine's load drifts.
const CALLS: usize = 5;
const TURNS: usize = 4;

/// Numbers that are the same in every run.
struct Uniform(u64);

impl Uniform {
    /// In 0..1 (Marsaglia's xorshift).
    fn next(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// Bell-shaped scores in random order, half of them anomalous and somewhat higher.
fn labelled(count: usize) -> (Vec<f64>, Vec<bool>) {
    let mut uniform = Uniform(0x9E37_79B9_7F4A_7C15);
    (0..count)
        .map(|_| {
            let anomalous = uniform.next() < 0.5;
            let bell: f64 = (0..12).map(|_| uniform.next()).sum::<f64>() - 6.0;
            (bell + if anomalous { 0.5 } else { 0.0 }, anomalous)
        })
        .unzip()
}

/// How often each clip is drawn in each resample.
fn resamples() -> Vec<Vec<u32>> {
    let mut uniform = Uniform(1);
    let draw = |_| {
        let mut weights = vec![0; CLIPS];
        (0..CLIPS).for_each(|_| weights[(uniform.next() * CLIPS as f64) as usize] += 1);
        weights
    };
    (0..RESAMPLES).map(draw).collect()
}

/// The peer's values and times, where there is one.
fn scikit_learn(folder: &Path) -> Option<Value> {
    let files = ["scores.npy", "labels.npy"].map(|name| folder.join(name).into_os_string());
    let (calls, clips, max_fpr) = (CALLS.to_string(), CLIPS.to_string(), MAX_FPR.to_string());
    let options = ["--repeats", &calls, "--clips", &clips, "--max-fpr", &max_fpr].map(OsString::from);
    peer::answer("metrics.py", &[&files[..], &options].concat())
}

/// Seconds of one call, the median of a few.
fn timed<T>(mut call: impl FnMut() -> T) -> Vec<f64> {
    let once = |_| {
        let start = Instant::now();
        black_box(call());
        start.elapsed().as_secs_f64()
    };
    (0..CALLS).map(once).collect()
}

/// One line of the comparison.
#[derive(Default)]
struct Race {
    what: String,
    unit: &'static str,
    ours: Vec<f64>,
    theirs: Vec<f64>,
}

impl Race {
    fn new(what: impl Into<String>, unit: &'static str) -> Self {
        Self { what: what.into(), unit, ..Self::default() }
    }

    fn report(self) {
        let Self { what, unit, ours, theirs } = self;
        let ours = median(ours);
        match theirs.is_empty() {
            true => println!("{what}: {ours:.3} {unit}; scikit-learn skipped, set ASDBENCH_PEER_PYTHON"),
            false => {
                let theirs = median(theirs);
                println!(
                    "{what}: {ours:.3} {unit}, scikit-learn {theirs:.3} {unit}; ratio {:.4}",
                    ours / theirs
                );
            }
        }
    }
}

fn main() {
    let (scores, labels) = labelled(SCORES);
    let folder = tempfile::tempdir().expect("a temporary folder");
    write_npy(folder.path().join("scores.npy"), &ArrayView1::from(&scores)).expect("the scores are written");
    write_npy(folder.path().join("labels.npy"), &ArrayView1::from(&labels)).expect("the labels are written");
    let section = Ranked::new(&scores[..CLIPS], &labels[..CLIPS]).expect("clips of both classes");
    let resamples = resamples();

    let mut whole = Race::new(format!("AUC of {SCORES} scores"), "ms");
    let mut partial = Race::new(format!("partial AUC of {SCORES} scores"), "ms");
    let mut weighted = Race::new(format!("AUC of a resample of {CLIPS} clips"), "us");
    let mut weighted_partial = Race::new(format!("partial AUC of a resample of {CLIPS} clips"), "us");
    let per_resample_us = |seconds: f64| seconds * 1e6 / RESAMPLES as f64;
    for _ in 0..TURNS {
        whole.ours.extend(timed(|| auc(&scores, &labels)).iter().map(|s| s * 1e3));
        partial.ours.extend(timed(|| partial_auc(&scores, &labels, MAX_FPR)).iter().map(|s| s * 1e3));
        let all = || resamples.iter().filter_map(|weights| section.weighted_auc(weights)).sum::<f64>();
        weighted.ours.extend(timed(all).into_iter().map(per_resample_us));
        let all = || -> f64 {
            resamples.iter().filter_map(|weights| section.weighted_partial_auc(weights, MAX_FPR)).sum()
        };
        weighted_partial.ours.extend(timed(all).into_iter().map(per_resample_us));

        let Some(peer) = scikit_learn(folder.path()) else { continue };
        for (race, key) in [
            (&mut whole, "auc_ms"),
            (&mut partial, "partial_auc_ms"),
            (&mut weighted, "resampled_auc_us"),
            (&mut weighted_partial, "resampled_partial_auc_us"),
        ] {
            race.theirs.extend(peer[key].as_f64());
        }
        // A fast wrong number is none.
        for (key, found) in
            [("auc", auc(&scores, &labels)), ("partial_auc", partial_auc(&scores, &labels, MAX_FPR))]
        {
            let (found, expected) = (found.expect("defined"), peer[key].as_f64().expect("a value"));
            assert!((found - expected).abs() < 1e-12, "{key}: {found}, scikit-learn {expected}");
        }
    }
    let evaluations = (SECTIONS * RESAMPLES) as f64;
    let bootstrap_s =
        evaluations * (2.0 * median(weighted.ours.clone()) + median(weighted_partial.ours.clone())) / 1e6;
    for race in [whole, partial, weighted, weighted_partial] {
        race.report();
    }
    println!("metrics of {RESAMPLES} resamples of a submission: {:.0} ms on one core", bootstrap_s * 1e3);

    let mut criterion = Criterion::default().configure_from_args();
    criterion.bench_function("auc_1e6", |bencher| bencher.iter(|| auc(black_box(&scores), &labels)));
    criterion
        .bench_function("ranked_1e6", |bencher| bencher.iter(|| Ranked::new(black_box(&scores), &labels)));
    let mut draws = resamples.iter().cycle();
    criterion.bench_function("weighted_auc_200", |bencher| {
        bencher.iter(|| draws.next().and_then(|weights| section.weighted_auc(black_box(weights))));
    });
    criterion.bench_function("weighted_partial_auc_200", |bencher| {
        bencher.iter(|| {
            draws.next().and_then(|weights| section.weighted_partial_auc(black_box(weights), MAX_FPR))
        });
    });
    criterion.final_summary();
}
