//! k-means: Lloyd's iterations from k-means++ beginnings (Arthur and Vassilvitskii, SODA 2007).

use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use crate::linalg::use_one_blas_thread;

/// Clips that one thread assigns at a time.
const BLOCK_CLIPS: usize = 256;

/// Lloyd's iterations end where no clip changes its cluster, nearly always long before; scikit-learn's limit.
const ITERATIONS: usize = 300;

/// Clips in clusters.
#[derive(Debug, Clone)]
pub(super) struct Clusters {
    /// Mean of each cluster, `[clusters, dim]`.
    pub centres: Array2<f64>,
    /// Cluster of each clip.
    pub labels: Vec<usize>,
    /// Sum of the squared distances of clips from their centres.
    pub inertia: f64,
}

/// The best of `restarts` clusterings of `features` `[clips, dim]` into at most `count` clusters: fewer where there are fewer
/// different clips. `features` are finite and at least one row; `stream` gives the random numbers of a restart.
pub(super) fn cluster(
    features: ArrayView2<f64>,
    count: usize,
    restarts: usize,
    stream: impl Fn(u64) -> ChaCha8Rng,
) -> Clusters {
    let mean = features.sum_axis(Axis(0)) / features.nrows() as f64;
    let centred = &features - &mean; // what clips have in common would cost digits
    let mut best: Option<Clusters> = None;
    for restart in 0..restarts.max(1) as u64 {
        let first = beginning(centred.view(), count, &mut stream(restart));
        let found = lloyd(centred.view(), first);
        if best.as_ref().is_none_or(|best| found.inertia < best.inertia) {
            best = Some(found);
        }
    }
    let mut best = best.unwrap_or_else(|| Clusters {
        centres: Array2::zeros((0, mean.len())),
        labels: Vec::new(),
        inertia: 0.0,
    });
    best.centres += &mean;
    best
}

/// k-means++: each further centre is a clip drawn with the probability of its squared distance from those before.
fn beginning(features: ArrayView2<f64>, count: usize, stream: &mut ChaCha8Rng) -> Array2<f64> {
    let clips = features.nrows();
    let mut chosen = vec![stream.random_range(0..clips)];
    let mut squares = vec![f64::INFINITY; clips];
    while chosen.len() < count {
        let last = features.row(chosen[chosen.len() - 1]);
        squares.par_iter_mut().enumerate().for_each(|(clip, square)| {
            *square = square.min(squared_distance(features.row(clip), last));
        });
        let total: f64 = squares.iter().sum();
        if total <= 0.0 {
            break; // every clip is a centre already
        }
        let mut left = stream.random::<f64>() * total;
        let drawn = squares.iter().position(|&square| {
            left -= square;
            left < 0.0
        });
        // Rounding may leave a little behind the last clip: the furthest one then.
        chosen.push(drawn.unwrap_or_else(|| furthest(&squares)));
    }
    features.select(Axis(0), &chosen)
}

/// Lloyd's iterations from `centres` `[clusters, dim]` on. A cluster that no clip is nearest to gets the clip that is furthest
/// from its own centre, as in scikit-learn.
pub(super) fn lloyd(features: ArrayView2<f64>, mut centres: Array2<f64>) -> Clusters {
    use_one_blas_thread();
    let lengths: Vec<f64> = features.rows().into_iter().map(|row| row.dot(&row)).collect();
    let (mut labels, mut squares) = assign(features, &lengths, &centres);
    for _ in 0..ITERATIONS {
        let mut members = members(&labels, centres.nrows());
        for empty in 0..members.len() {
            if members[empty].is_empty() {
                let clip = furthest(&squares);
                squares[clip] = 0.0;
                members[labels[clip]].retain(|&other| other != clip);
                members[empty].push(clip);
                labels[clip] = empty;
            }
        }
        let means = members.par_iter().map(|members| mean_of(features, members)).collect::<Vec<_>>();
        for (mut centre, mean) in centres.rows_mut().into_iter().zip(means) {
            if let Some(mean) = mean {
                centre.assign(&mean);
            }
        }
        let (next, next_squares) = assign(features, &lengths, &centres);
        let settled = next == labels;
        (labels, squares) = (next, next_squares);
        if settled {
            break;
        }
    }
    Clusters { centres, labels, inertia: squares.iter().sum() }
}

/// The nearest centre of every clip, the first of equal ones, and its squared distance.
fn assign(features: ArrayView2<f64>, lengths: &[f64], centres: &Array2<f64>) -> (Vec<usize>, Vec<f64>) {
    let centre_lengths: Vec<f64> = centres.rows().into_iter().map(|row| row.dot(&row)).collect();
    let blocks = features.axis_chunks_iter(Axis(0), BLOCK_CLIPS).into_par_iter();
    let nearest: Vec<Vec<(usize, f64)>> = blocks
        .map(|block| {
            let products = block.dot(&centres.t()); // [block, clusters]
            let nearest =
                products.rows().into_iter().map(|products| {
                    let keys =
                        products.iter().zip(&centre_lengths).map(|(product, length)| length - 2.0 * product);
                    keys.enumerate().fold((0, f64::INFINITY), |best, (cluster, key)| {
                        if key < best.1 { (cluster, key) } else { best }
                    })
                });
            nearest.collect()
        })
        .collect();
    let nearest = nearest.into_iter().flatten().zip(lengths);
    nearest.map(|((cluster, key), length)| (cluster, (key + length).max(0.0))).unzip()
}

fn members(labels: &[usize], count: usize) -> Vec<Vec<usize>> {
    let mut members = vec![Vec::new(); count];
    for (clip, &label) in labels.iter().enumerate() {
        members[label].push(clip);
    }
    members
}

fn mean_of(features: ArrayView2<f64>, members: &[usize]) -> Option<Array1<f64>> {
    let mut sum = Array1::zeros(features.ncols());
    for &clip in members {
        sum += &features.row(clip);
    }
    (!members.is_empty()).then(|| sum / members.len() as f64)
}

fn squared_distance(one: ArrayView1<f64>, other: ArrayView1<f64>) -> f64 {
    one.iter().zip(other).map(|(a, b)| (a - b) * (a - b)).sum()
}

/// The first of the largest.
fn furthest(squares: &[f64]) -> usize {
    let largest = squares.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    squares.iter().position(|&square| square == largest).unwrap_or(0)
}
