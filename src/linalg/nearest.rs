//! Nearest rows of a bank of features, found with matrix products.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use ndarray::linalg::general_mat_mul;
use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis};
use rayon::prelude::*;

use super::{Error, check_finite, use_one_blas_thread};

/// Queries that one thread compares with the whole bank at a time: its products with 6,000 rows are 6 MB.
const BLOCK_QUERIES: usize = 128;

/// How far apart two rows are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Distance {
    /// Length of the difference.
    Euclidean,
    /// One minus the cosine of the angle, 0..=2. A row of zeros has no angle: its distance is 1 from every other one, as in
    /// scikit-learn.
    Cosine,
}

/// A row of a bank, and how far it is from a query.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Neighbour {
    /// Index of the row.
    pub row: usize,
    /// Its distance.
    pub distance: f64,
}

/// Rows that queries are compared with.
#[derive(Debug, Clone)]
pub struct Bank {
    distance: Distance,
    /// Subtracted from every row and query before Euclidean distances: what rows have in common would cost digits.
    centre: Array1<f64>,
    /// `[rows, dim]`, centred for Euclidean, of length 1 for cosine distances.
    rows: Array2<f64>,
    /// Squared lengths of the rows.
    squares: Vec<f64>,
}

/// Rows or queries as they are compared, with the squared lengths that count for them.
struct Prepared {
    rows: Array2<f64>,
    squares: Vec<f64>,
}

impl Bank {
    /// Takes `features` `[rows, dim]`.
    ///
    /// # Errors
    /// No row, no column, a value that is not finite, squares that overflow.
    pub fn new(features: ArrayView2<f64>, distance: Distance) -> Result<Self, Error> {
        use_one_blas_thread();
        let (rows, dim) = features.dim();
        if rows == 0 {
            return Err(Error::TooFewNeighbours { rows, needed: 1 });
        }
        if dim == 0 {
            return Err(Error::NoColumns);
        }
        check_finite(features)?;
        let centre = match distance {
            Distance::Euclidean => features.sum_axis(Axis(0)) / rows as f64,
            Distance::Cosine => Array1::zeros(dim),
        };
        let Prepared { rows, squares } = prepare(features, &centre, distance)?;
        Ok(Self { distance, centre, rows, squares })
    }

    /// Rows of the bank.
    pub fn len(&self) -> usize {
        self.rows.nrows()
    }

    /// Whether it has no row, which [`Bank::new`] refuses.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The factor on a row's key (see [`Bank::nearest`]) that divides its distance by `scale`.
    pub fn weight(&self, scale: f64) -> f64 {
        match self.distance {
            Distance::Euclidean => 1.0 / (scale * scale),
            Distance::Cosine => 1.0 / scale,
        }
    }

    /// Of each of `queries` `[clips, dim]` the at most `k` rows with the smallest keys, by ascending distance.
    ///
    /// Keys `[rows]` are squared Euclidean distances, or twice the cosine ones, as a matrix product gives them. `edit` may
    /// change those of a query: a row with the key infinity is left out. The distances of the rows that are returned are
    /// taken again from the features themselves, so that equal rows are 0 apart.
    ///
    /// # Errors
    /// Queries of another width, not finite, or too large for their squares.
    pub fn nearest(
        &self,
        queries: ArrayView2<f64>,
        k: usize,
        edit: impl Fn(usize, &mut [f64]) + Sync,
    ) -> Result<Vec<Vec<Neighbour>>, Error> {
        let found = queries.ncols();
        if found != self.rows.ncols() {
            return Err(Error::Width { expected: self.rows.ncols(), found });
        }
        check_finite(queries)?;
        let prepared = prepare(queries, &self.centre, self.distance)?;
        Ok(self.search(&prepared.rows, &prepared.squares, k, edit))
    }

    /// As [`Bank::nearest`], of the bank's own rows; `edit` leaves out of a row's search what it must not find.
    pub fn nearest_of_rows(&self, k: usize, edit: impl Fn(usize, &mut [f64]) + Sync) -> Vec<Vec<Neighbour>> {
        self.search(&self.rows, &self.squares, k, edit)
    }

    fn search(
        &self,
        queries: &Array2<f64>,
        squares: &[f64],
        k: usize,
        edit: impl Fn(usize, &mut [f64]) + Sync,
    ) -> Vec<Vec<Neighbour>> {
        use_one_blas_thread();
        let blocks = queries.axis_chunks_iter(Axis(0), BLOCK_QUERIES).into_par_iter().enumerate();
        let found: Vec<Vec<Vec<Neighbour>>> = blocks
            .map(|(block, queries)| {
                // Row-major whatever the operands are, which a plain product is not.
                let mut products = Array2::zeros((queries.nrows(), self.len()));
                general_mat_mul(1.0, &queries, &self.rows.t(), 0.0, &mut products);
                let (mut products, _) = products.into_raw_vec_and_offset();
                let first = block * BLOCK_QUERIES;
                let each = products.chunks_exact_mut(self.len()).zip(queries.rows()).enumerate();
                each.map(|(offset, (keys, query))| {
                    let square = squares[first + offset];
                    for (key, row_square) in keys.iter_mut().zip(&self.squares) {
                        *key = square + row_square - 2.0 * *key;
                    }
                    edit(first + offset, keys);
                    let exact = |row| Neighbour { row, distance: self.exact(query, self.rows.row(row)) };
                    let mut nearest: Vec<Neighbour> = smallest(keys, k).into_iter().map(exact).collect();
                    nearest.sort_by(|a, b| a.distance.total_cmp(&b.distance).then(a.row.cmp(&b.row)));
                    nearest
                })
                .collect()
            })
            .collect();
        found.into_iter().flatten().collect()
    }

    /// Distance of two prepared rows, without the cancellation of a product of them.
    fn exact(&self, one: ArrayView1<f64>, other: ArrayView1<f64>) -> f64 {
        let square = one.iter().zip(other).map(|(a, b)| (a - b) * (a - b)).sum::<f64>();
        let nothing = |row: ArrayView1<f64>| row.iter().all(|&value| value == 0.0);
        match self.distance {
            Distance::Euclidean => square.sqrt(),
            Distance::Cosine if nothing(one) || nothing(other) => 1.0,
            Distance::Cosine => square / 2.0,
        }
    }
}

fn prepare(features: ArrayView2<f64>, centre: &Array1<f64>, distance: Distance) -> Result<Prepared, Error> {
    match distance {
        Distance::Euclidean => {
            let mut rows = features.to_owned();
            let each = rows.axis_iter_mut(Axis(0)).into_par_iter();
            let squares: Vec<f64> = each
                .map(|mut row| {
                    row -= centre;
                    row.dot(&row)
                })
                .collect();
            // Four times: the square of a difference is at most that.
            if squares.iter().any(|square| !(4.0 * square).is_finite()) {
                return Err(Error::TooLarge);
            }
            Ok(Prepared { rows, squares })
        }
        Distance::Cosine => {
            let rows = unit_rows(features);
            // Also of rows of zeros: their keys are then 2 from every row, twice the distance 1.
            let squares = vec![1.0; rows.nrows()];
            Ok(Prepared { rows, squares })
        }
    }
}

/// `features` `[rows, dim]` with every row scaled to length 1; rows of zeros stay.
pub fn unit_rows(features: ArrayView2<f64>) -> Array2<f64> {
    let mut rows = features.to_owned();
    rows.axis_iter_mut(Axis(0)).into_par_iter().for_each(|mut row| {
        // The largest first: the square of a number of any size is then in range.
        let largest = row.iter().fold(0.0, |a: f64, b| a.max(b.abs()));
        if largest > 0.0 {
            row /= largest;
            let length = row.dot(&row).sqrt();
            row /= length;
        }
    });
    rows
}

/// A candidate, ordered by key and then by row: of equal ones the first row is the nearer.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    key: f64,
    row: usize,
}

impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key.total_cmp(&other.key).then(self.row.cmp(&other.row))
    }
}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Candidate {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Candidate {}

/// Indices of the `k` smallest finite keys.
fn smallest(keys: &[f64], k: usize) -> Vec<usize> {
    let mut kept = BinaryHeap::with_capacity(k.min(keys.len()) + 1);
    let mut limit = f64::INFINITY;
    for (row, &key) in keys.iter().enumerate() {
        if key < limit {
            kept.push(Candidate { key, row });
            if kept.len() > k {
                kept.pop();
            }
            if kept.len() == k {
                limit = kept.peek().map_or(f64::INFINITY, |last: &Candidate| last.key);
            }
        }
    }
    kept.into_iter().map(|candidate| candidate.row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    fn sample(rows: usize, dim: usize, shift: f64) -> Array2<f64> {
        Array2::from_shape_fn((rows, dim), |(i, j)| {
            ((i * 37 + j * 11 + i * i * j) % 101) as f64 / 9.0 + shift
        })
    }

    fn rows_of(neighbours: &[Neighbour]) -> Vec<usize> {
        neighbours.iter().map(|neighbour| neighbour.row).collect()
    }

    /// Distances as they are defined, all pairs.
    fn defined(one: ArrayView1<f64>, other: ArrayView1<f64>, distance: Distance) -> f64 {
        match distance {
            Distance::Euclidean => (&one - &other).mapv(|v| v * v).sum().sqrt(),
            Distance::Cosine => 1.0 - one.dot(&other) / (one.dot(&one) * other.dot(&other)).sqrt(),
        }
    }

    #[test]
    fn the_nearest_are_those_of_all_pairs() {
        let (features, queries) = (sample(150, 7, 1000.0), sample(2 * BLOCK_QUERIES + 3, 7, 1000.5));
        for distance in [Distance::Euclidean, Distance::Cosine] {
            let bank = Bank::new(features.view(), distance).unwrap();
            let found = bank.nearest(queries.view(), 4, |_, _| ()).unwrap();
            assert_eq!(found.len(), queries.nrows());
            for (query, found) in queries.rows().into_iter().zip(found) {
                let mut all: Vec<f64> =
                    features.rows().into_iter().map(|row| defined(query, row, distance)).collect();
                all.sort_by(f64::total_cmp);
                assert_eq!(found.len(), 4);
                for (found, expected) in found.iter().zip(all) {
                    // The definition of the cosine distance loses all digits below ε; differences of features near 1,000 keep 13.
                    assert!((found.distance - expected).abs() < 1e-11, "{distance:?}: {found:?} {expected}");
                }
            }
        }
    }

    #[test]
    fn equal_rows_are_nothing_apart_and_the_first_is_the_nearest() {
        let features = array![[1e6, 1.0], [1e6, 2.0], [1e6, 1.0], [1e6, 1.0]];
        for distance in [Distance::Euclidean, Distance::Cosine] {
            let bank = Bank::new(features.view(), distance).unwrap();
            let found = &bank.nearest(array![[1e6, 1.0]].view(), 3, |_, _| ()).unwrap()[0];
            assert_eq!(rows_of(found), [0, 2, 3]);
            assert!(found.iter().all(|neighbour| neighbour.distance == 0.0), "{found:?}");
        }
    }

    #[test]
    fn zeros_are_one_from_everything_in_cosine() {
        let bank =
            Bank::new(array![[0.0, 0.0], [3.0, 0.0], [-1e-200, 0.0]].view(), Distance::Cosine).unwrap();
        let found = bank.nearest(array![[0.0, 0.0], [1e200, 0.0]].view(), 3, |_, _| ()).unwrap();
        assert!(found[0].iter().all(|neighbour| neighbour.distance == 1.0), "{found:?}");
        assert_eq!(rows_of(&found[1]), [1, 0, 2]);
        assert_eq!(found[1].iter().map(|n| n.distance).collect::<Vec<_>>(), [0.0, 1.0, 2.0]);
    }

    #[test]
    fn keys_are_edited_before_the_search() {
        let bank = Bank::new(array![[0.0], [1.0], [3.0], [7.0]].view(), Distance::Euclidean).unwrap();
        let others = bank.nearest_of_rows(2, |row, keys| keys[row] = f64::INFINITY);
        assert_eq!(
            others.iter().map(|found| rows_of(found)).collect::<Vec<_>>(),
            [[1, 2], [0, 2], [1, 0], [2, 1]]
        );
        // From 1.6, divided by 10 the row at 7 is nearer than that at 1.
        let scaled = bank.nearest(array![[1.6]].view(), 1, |_, keys| keys[3] *= bank.weight(10.0)).unwrap();
        assert_eq!(scaled[0], [Neighbour { row: 3, distance: 5.4 }]);
        assert_eq!(bank.nearest_of_rows(9, |_, keys| keys.fill(f64::INFINITY))[0], []);
        assert_eq!(bank.nearest_of_rows(9, |_, _| ())[0].len(), 4);
    }

    #[test]
    fn what_has_no_distance_is_refused() {
        let bank = |features: Array2<f64>| Bank::new(features.view(), Distance::Euclidean);
        assert!(matches!(bank(Array2::zeros((0, 2))), Err(Error::TooFewNeighbours { rows: 0, needed: 1 })));
        assert!(matches!(bank(Array2::zeros((2, 0))), Err(Error::NoColumns)));
        assert!(matches!(bank(array![[1.0], [f64::NAN]]), Err(Error::NotFinite { row: 1, column: 0 })));
        assert!(matches!(bank(array![[1e200], [-1e200]]), Err(Error::TooLarge)));
        let good = bank(array![[1.0], [2.0]]).unwrap();
        let ask = |queries: Array2<f64>| good.nearest(queries.view(), 1, |_, _| ()).unwrap_err();
        assert!(matches!(ask(Array2::zeros((1, 2))), Error::Width { expected: 1, found: 2 }));
        assert!(matches!(ask(array![[f64::INFINITY]]), Error::NotFinite { row: 0, column: 0 }));
        assert!(matches!(ask(array![[1e200]]), Error::TooLarge));
    }

    #[test]
    fn threads_do_not_change_a_bit() {
        let (features, queries) = (sample(300, 40, 0.1), sample(2 * BLOCK_QUERIES + 9, 40, 0.7));
        let run = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let bank = Bank::new(features.view(), Distance::Cosine).unwrap();
                bank.nearest(queries.view(), 5, |_, _| ()).unwrap()
            })
        };
        assert_eq!(run(1), run(3));
    }
}
