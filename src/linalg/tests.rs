//! Estimators and distances against their definitions, scikit-learn and each other.

use ndarray::{Array2, Axis, array, s};
use ndarray_linalg::{FactorizeC, InverseC, UPLO};

use super::gaussian::BLOCK_QUERIES;
use super::moments::{BLOCK_ROWS, TILE};
use super::*;

/// Features with correlated columns of different scale, from a fixed arithmetic rule.
fn sample(rows: usize, dim: usize) -> Array2<f64> {
    let base = Array2::from_shape_fn((rows, dim), |(i, j)| {
        ((i * 31 + j * 17 + i * j * 7) % 101) as f64 / 50.0 - 1.0
    });
    let mixing = Array2::from_shape_fn((dim, dim), |(j, k)| 1.0 / (1 + j.abs_diff(k)) as f64);
    base.dot(&mixing) + 100.0
}

#[test]
fn moments_do_not_depend_on_the_blocks() {
    let x = sample(BLOCK_ROWS + 3, 2 * TILE + 5);
    let found = moments(x.view()).unwrap();
    let mean = x.mean_axis(Axis(0)).unwrap();
    let centred = &x - &mean;
    let scatter = centred.t().dot(&centred);
    let fourth: f64 = centred.rows().into_iter().map(|r| r.dot(&r).powi(2)).sum();
    // Summation order only: n · ε of the size of the sums.
    assert!((&found.scatter - &scatter).iter().all(|d| d.abs() < 1e-10 * scatter[[0, 0]]));
    assert!((found.fourth - fourth).abs() < 1e-10 * fourth);
    assert_eq!(found.scatter, found.scatter.t());
}

#[test]
fn distances_are_unchanged_by_an_affine_map_of_the_features() {
    let (x, q) = (sample(40, 3), sample(9, 3) + 0.3);
    let map = array![[2.0, 0.3, 0.0], [0.0, 0.5, -1.0], [0.1, 0.0, 3.0]];
    for estimator in [Estimator::Ridge { ridge: 0.0 }, Estimator::Pinv] {
        let plain = Gaussian::fit(x.view(), estimator).unwrap();
        let mapped = Gaussian::fit((x.dot(&map) - 7.0).view(), estimator).unwrap();
        let expected = plain.squared_distances(q.view()).unwrap();
        let found = mapped.squared_distances((q.dot(&map) - 7.0).view()).unwrap();
        for (a, b) in expected.iter().zip(&found) {
            // ε times the condition of the covariance and of the map.
            assert!((a - b).abs() < 1e-9 * a, "{estimator}: {a} against {b}");
        }
    }
}

#[test]
fn many_queries_give_what_one_query_gives() {
    let (x, q) = (sample(50, 7), sample(BLOCK_QUERIES + 2, 7));
    for estimator in [Estimator::LedoitWolf, Estimator::Oas, Estimator::Pinv] {
        let model = Gaussian::fit(x.view(), estimator).unwrap();
        let all = model.squared_distances(q.view()).unwrap();
        assert_eq!(all.len(), q.nrows());
        for row in [0, BLOCK_QUERIES - 1, BLOCK_QUERIES, q.nrows() - 1] {
            let one = model.squared_distances(q.slice(s![row..row + 1, ..])).unwrap()[0];
            assert!((one - all[row]).abs() <= 1e-12 * one, "row {row}: {one} against {}", all[row]);
        }
    }
}

#[test]
fn more_features_than_clips_are_singular_only_where_nothing_shrinks() {
    let x = sample(6, 10);
    let singular = Gaussian::fit(x.view(), Estimator::Ridge { ridge: 0.0 }).unwrap_err();
    assert!(matches!(singular, Error::Singular { rows: 6, dim: 10, .. }), "{singular:?}");
    assert!(singular.to_string().contains("ledoit-wolf"), "{singular}");
    let shrunk = Gaussian::fit(x.view(), Estimator::LedoitWolf).unwrap();
    assert!(shrunk.condition.is_finite() && shrunk.shrinkage.unwrap() > 0.0);
    assert!(Gaussian::fit(x.view(), Estimator::Pinv).unwrap().rank <= 5);
}

#[test]
fn features_without_a_covariance_are_errors() {
    let fit = |x: Array2<f64>| Gaussian::fit(x.view(), Estimator::LedoitWolf).unwrap_err();
    assert!(matches!(fit(Array2::zeros((0, 3))), Error::TooFewRows { rows: 0 }));
    assert!(matches!(fit(Array2::zeros((1, 3))), Error::TooFewRows { rows: 1 }));
    assert!(matches!(fit(Array2::zeros((4, 0))), Error::NoColumns));
    assert!(matches!(fit(Array2::ones((4, 2))), Error::Constant { rows: 4 }));
    assert!(matches!(fit(array![[1.0, 2.0], [3.0, f64::NAN]]), Error::NotFinite { row: 1, column: 1 }));
    assert!(matches!(fit(array![[1e200, 2.0], [3.0, 1.0]]), Error::Overflow));
    // Two clips lie on a line: the shrinkage that Ledoit and Wolf's formula gives is 0.
    assert!(matches!(fit(array![[1.0, 2.0], [3.0, 1.0]]), Error::Singular { .. }));
    let bad = Gaussian::fit(sample(9, 2).view(), Estimator::Ridge { ridge: -1.0 }).unwrap_err();
    assert!(matches!(bad, Error::Ridge { .. }));
    let model = Gaussian::fit(sample(9, 2).view(), Estimator::LedoitWolf).unwrap();
    let width = model.squared_distances(Array2::zeros((1, 3)).view()).unwrap_err();
    assert!(matches!(width, Error::Width { expected: 2, found: 3 }));
    assert!(model.squared_distances(array![[f64::INFINITY, 0.0]].view()).is_err());
    assert_eq!(model.squared_distances(Array2::zeros((0, 2)).view()).unwrap(), [0.0; 0]);
}

#[test]
fn the_condition_is_that_of_the_covariance() {
    // Scatter diag(2, 18), so 9 in every norm.
    let x = array![[1.0, 0.0], [-1.0, 0.0], [0.0, 3.0], [0.0, -3.0]];
    for estimator in [Estimator::Ridge { ridge: 0.0 }, Estimator::Pinv] {
        let model = Gaussian::fit(x.view(), estimator).unwrap();
        assert!((model.condition - 9.0).abs() < 1e-13, "{estimator}: {}", model.condition);
    }
    // Of [[a, b], [b, d]] the inverse is [[d, -b], [-b, a]] over the determinant: the same 1-norm, divided by it.
    let x = array![[1.0, 1.0], [1.0, 1.0], [-1.0, 0.0], [-1.0, -2.0], [0.0, 0.0], [0.0, 0.0]];
    let covariance = moments(x.view()).unwrap().unbiased_covariance();
    let [a, b, d] = [[0, 0], [0, 1], [1, 1]].map(|at| covariance[at]);
    let norm = (a + b).max(b + d);
    let model = Gaussian::fit(x.view(), Estimator::Ridge { ridge: 0.0 }).unwrap();
    let expected = norm * norm / (a * d - b * b);
    assert!((model.condition - expected).abs() < 1e-12 * expected, "{}", model.condition);
}

#[test]
fn a_copied_feature_is_singular_for_an_empty_ridge() {
    let x = sample(30, 3);
    let copied = ndarray::concatenate![Axis(1), x, x.slice(s![.., 1..2])];
    let error = Gaussian::fit(copied.view(), Estimator::Ridge { ridge: 0.0 }).unwrap_err();
    assert!(matches!(error, Error::Singular { .. }), "{error:?}");
    let plain = Gaussian::fit(x.view(), Estimator::Pinv).unwrap().squared_distances(x.view()).unwrap();
    let model = Gaussian::fit(copied.view(), Estimator::Pinv).unwrap();
    assert_eq!(model.rank, 3);
    // A copy adds no direction, so no distance.
    for (a, b) in plain.iter().zip(model.squared_distances(copied.view()).unwrap()) {
        assert!((a - b).abs() < 1e-9 * a, "{a} against {b}");
    }
}

#[test]
fn one_feature_needs_no_shrinkage() {
    let x = array![[1.0], [2.0], [4.0], [9.0]];
    let model = Gaussian::fit(x.view(), Estimator::LedoitWolf).unwrap();
    assert_eq!(model.shrinkage, Some(0.0));
    // Mean 4, variance over n 9.5.
    assert!((model.squared_distances(array![[6.0]].view()).unwrap()[0] - 4.0 / 9.5).abs() < 1e-15);
}

#[test]
fn oas_agrees_with_scikit_learn() {
    // sklearn.covariance.OAS().fit(x) of scikit-learn 1.9.1: `shrinkage_`, `covariance_[0]`, `mahalanobis(q)`.
    let x = Array2::from_shape_fn((30, 4), |(i, j)| {
        ((i * i * 3 + j * 5 + i * j * 7) % 13) as f64 * ((j + 1) * (j + 1)) as f64 / 4.0
    });
    let q = array![[1.0, 2.0, 0.5, -1.0], [0.0, 0.0, 0.0, 0.0], [3.0, 3.0, 3.0, 3.0]];
    let (covariance, shrinkage) = moments(x.view()).unwrap().oas();
    // Sums of a few dozen rounded products.
    assert!((shrinkage / 0.1588359454287003 - 1.0).abs() < 1e-13, "{shrinkage}");
    for (found, expected) in covariance.row(0).iter().zip([
        14.854525853878114,
        0.603301552473082,
        1.6507844570961752,
        4.865666742331318,
    ]) {
        assert!((found - expected).abs() < 1e-12, "{covariance}");
    }
    let model = Gaussian::fit(x.view(), Estimator::Oas).unwrap();
    assert_eq!(model.shrinkage, Some(shrinkage));
    for (found, expected) in model.squared_distances(q.view()).unwrap().iter().zip([
        4.20844053014487,
        4.878539808250127,
        3.0461174247037177,
    ]) {
        assert!((found / expected - 1.0).abs() < 1e-12, "{found}"); // the same, times a condition of about 15
    }
}

#[test]
fn oas_shrinks_wholly_where_nothing_tells_the_directions_apart() {
    // Covariance 0.5·I: the target itself.
    let x = array![[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]];
    let (covariance, shrinkage) = moments(x.view()).unwrap().oas();
    assert_eq!((shrinkage, covariance), (1.0, array![[0.5, 0.0], [0.0, 0.5]]));
    let one = Gaussian::fit(array![[1.0], [2.0], [4.0], [9.0]].view(), Estimator::Oas).unwrap();
    assert_eq!(one.shrinkage, Some(0.0));
    let wide = Gaussian::fit(sample(6, 10).view(), Estimator::Oas).unwrap();
    assert!(wide.condition.is_finite() && wide.shrinkage.is_some_and(|s| s > 0.0), "{wide:?}");
}

#[test]
fn distances_of_many_features_are_those_of_the_inverse() {
    // More features than a panel of the triangular solver has rows, and not a multiple of them.
    let (x, q) = (sample(400, 150), sample(7, 150) + 0.5);
    let model = Gaussian::fit(x.view(), Estimator::Ridge { ridge: 0.5 }).unwrap();
    let found = model.squared_distances(q.view()).unwrap();
    let mut covariance = moments(x.view()).unwrap().unbiased_covariance();
    covariance.diag_mut().map_inplace(|v| *v += 0.5);
    let centred = &q - &x.mean_axis(Axis(0)).unwrap();
    let inverse = covariance.factorizec(UPLO::Lower).unwrap().invc().unwrap();
    for (row, found) in centred.rows().into_iter().zip(found) {
        let expected = row.dot(&inverse.dot(&row));
        // ε times the condition, which the ridge keeps below 1e4.
        assert!((found / expected - 1.0).abs() < 1e-11, "{found} against {expected}");
    }
}

#[test]
fn threads_do_not_change_a_bit() {
    let (x, q) = (sample(300, TILE + 40), sample(2 * BLOCK_QUERIES + 9, TILE + 40));
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let model = Gaussian::fit(x.view(), Estimator::LedoitWolf).unwrap();
            model.squared_distances(q.view()).unwrap()
        })
    };
    assert_eq!(run(1), run(3));
}

#[test]
fn weights_count_rows_as_often() {
    let x = sample(BLOCK_ROWS + 3, 5);
    let weights: Vec<f64> = (0..x.nrows()).map(|row| (row % 3) as f64).collect();
    let repeated: Vec<usize> = (0..x.nrows()).flat_map(|row| std::iter::repeat_n(row, row % 3)).collect();
    let repeated = moments(x.select(Axis(0), &repeated).view()).unwrap();
    let found = weighted_scatter(x.view(), &weights, &repeated.mean);
    // Summation order only.
    assert!((&found - &repeated.scatter).iter().all(|d| d.abs() < 1e-11 * found[[0, 0]]), "{found}");
    assert_eq!(found, found.t());
}
