//! The clips of one bank, and what is left out of it when one of them is scored.

use ndarray::{Array2, ArrayView2, Axis, concatenate};

use super::smote::Synthetic;
use crate::linalg::{Bank, Neighbour};

/// Training clips, then clips made of them.
#[derive(Debug, Clone)]
pub(super) struct Clips {
    /// `[rows, dim]`.
    pub features: Array2<f64>,
    /// Of each training clip's row its index among all training clips.
    pub members: Vec<usize>,
    /// Of each synthetic row, which follow, the rows that it lies between.
    parents: Vec<[usize; 2]>,
    /// Of each training clip's row the rows without which the clip is scored, ascending: itself, and what was made of it.
    left_out: Vec<Vec<usize>>,
}

impl Clips {
    /// The rows `members` of `training` `[clips, dim]`, and the synthetic ones made of some of them.
    pub fn new(training: ArrayView2<f64>, members: Vec<usize>, synthetic: Option<&Synthetic>) -> Self {
        let own = training.select(Axis(0), &members);
        let mut left_out: Vec<Vec<usize>> = (0..members.len()).map(|row| vec![row]).collect();
        let Some(synthetic) = synthetic else {
            return Self { features: own, members, parents: Vec::new(), left_out };
        };
        // Members ascend, and the parents of what was made for this bank are among them.
        let row = |clip: usize| members.binary_search(&clip).unwrap_or_default();
        let parents: Vec<[usize; 2]> = synthetic.parents.iter().map(|pair| pair.map(row)).collect();
        for (number, pair) in parents.iter().enumerate() {
            for &parent in pair {
                left_out[parent].push(members.len() + number);
            }
        }
        let features = match concatenate(Axis(0), &[own.view(), synthetic.features.view()]) {
            Ok(features) => features,
            // Both have the width of the training features.
            Err(_) => own,
        };
        Self { features, members, parents, left_out }
    }

    /// Clips and synthetic clips.
    pub fn len(&self) -> usize {
        self.features.nrows()
    }

    pub fn synthetic(&self) -> usize {
        self.parents.len()
    }

    /// The rows without which the training clip of that row is scored; of a synthetic row all would be, so it has none.
    pub fn left_out(&self, row: usize) -> Option<&[usize]> {
        self.left_out.get(row).map(Vec::as_slice)
    }

    /// Training clips that are scored without that row.
    fn scored_without(&self, row: usize) -> &[usize] {
        const NONE: &[usize] = &[];
        match row.checked_sub(self.members.len()) {
            Some(number) => self.parents.get(number).map_or(NONE, |pair| pair),
            None => self.left_out.get(row).map_or(NONE, |rows| &rows[..1]),
        }
    }

    fn most_left_out(&self) -> usize {
        self.left_out.iter().map(Vec::len).max().unwrap_or(0)
    }
}

/// The nearest rows of a bank to each of some points, as many as leave `k` whichever clip is left out.
#[derive(Debug, Clone)]
pub(super) struct Neighbourhoods {
    lists: Vec<Vec<Neighbour>>,
    pub k: usize,
}

impl Neighbourhoods {
    /// The nearest other rows of each row of the bank.
    pub fn of_rows(bank: &Bank, clips: &Clips, k: usize) -> Self {
        let longest = k + clips.most_left_out();
        Self { lists: bank.nearest_of_rows(longest, |row, keys| keys[row] = f64::INFINITY), k }
    }

    /// The nearest rows of each of `points` `[points, dim]`, which are no rows themselves.
    pub fn of_points(
        bank: &Bank,
        clips: &Clips,
        points: ArrayView2<f64>,
        k: usize,
    ) -> Result<Self, crate::linalg::Error> {
        Ok(Self { lists: bank.nearest(points, k + clips.most_left_out(), |_, _| ())?, k })
    }

    /// At most `k` neighbours of a point, by ascending distance, none of which is in `without`.
    pub fn of(&self, point: usize, without: &[usize]) -> impl Iterator<Item = &Neighbour> + Clone {
        self.lists[point].iter().filter(move |n| without.binary_search(&n.row).is_err()).take(self.k)
    }
}

/// How far apart clips are around each of some reference points: by what their distances are divided.
///
/// This is the local density normalisation of Wilkinghoff et al. (Local density-based anomaly score normalization for domain
/// generalization, 2025) in its form with k nearest neighbours: the score is the least, over the reference points y, of
/// d(x, y) over the mean distance of y from its k nearest neighbours in the bank. A dense source and a sparse target domain
/// then share one scale, and no domain label is needed.
#[derive(Debug, Clone)]
pub(super) struct Densities {
    neighbourhoods: Neighbourhoods,
    scales: Vec<f64>,
    weights: Vec<f64>,
    /// The smallest scale above 0: that of points which coincide with all their neighbours.
    floor: f64,
    /// Of each training clip's row the points whose scale counts it in.
    affected: Vec<Vec<usize>>,
}

impl Densities {
    /// The scales of the points of `reference`, whose `neighbourhoods` are rows of `clips`.
    pub fn new(reference: &Bank, neighbourhoods: Neighbourhoods, clips: &Clips) -> Self {
        let raw: Vec<f64> =
            (0..reference.len()).map(|point| mean_distance(neighbourhoods.of(point, &[]))).collect();
        let least = raw.iter().copied().filter(|&scale| scale > 0.0).fold(f64::INFINITY, f64::min);
        // Where all clips are one, their distances stay as they are.
        let floor = if least.is_finite() { least } else { 1.0 };
        let scales: Vec<f64> = raw.into_iter().map(|scale| scale.max(floor)).collect();
        let weights = scales.iter().map(|&scale| reference.weight(scale)).collect();
        let mut affected = vec![Vec::new(); clips.members.len()];
        for point in 0..reference.len() {
            for neighbour in neighbourhoods.of(point, &[]) {
                for &clip in clips.scored_without(neighbour.row) {
                    // A clip and one made of it may both be neighbours.
                    if affected[clip].last() != Some(&point) {
                        affected[clip].push(point);
                    }
                }
            }
        }
        Self { neighbourhoods, scales, weights, floor, affected }
    }

    /// By what the distance from a point is divided, where the rows `without` do not count.
    pub fn scale(&self, point: usize, without: &[usize]) -> f64 {
        if without.is_empty() {
            return self.scales[point];
        }
        mean_distance(self.neighbourhoods.of(point, without)).max(self.floor)
    }

    /// Divides the keys of all points.
    pub fn apply(&self, keys: &mut [f64]) {
        for (key, weight) in keys.iter_mut().zip(&self.weights) {
            *key *= weight;
        }
    }

    /// Divides the keys of all points as the bank has them without the training clip of that row.
    pub fn apply_without(&self, reference: &Bank, clip: usize, without: &[usize], keys: &mut [f64]) {
        self.apply(keys);
        for &point in &self.affected[clip] {
            keys[point] *= reference.weight(self.scale(point, without)) / self.weights[point];
        }
    }
}

/// 0 of none.
fn mean_distance<'a>(neighbours: impl Iterator<Item = &'a Neighbour>) -> f64 {
    let (sum, count) = neighbours.fold((0.0, 0_usize), |(sum, count), n| (sum + n.distance, count + 1));
    sum / count.max(1) as f64
}
