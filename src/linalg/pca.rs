//! Principal components of feature matrices.

use ndarray::{Array2, ArrayView2, s};
use ndarray_linalg::{Eigh, UPLO};

use super::moments::checked_mean;
use super::{Error, use_one_blas_thread};

/// Rows in the coordinates in which they vary most.
#[derive(Debug, Clone, PartialEq)]
pub struct Principal {
    /// `[rows, components]`, in the features' unit, centred. Of every component the coordinate furthest from 0 is positive:
    /// a component has no sign of its own.
    pub coordinates: Array2<f64>,
    /// Of each component its share of the whole variance, 0..=1, descending; all 0 where the features never vary.
    pub explained: Vec<f64>,
}

/// The first `components` principal components of `features` `[rows, dim]`; fewer where rows or columns are fewer.
///
/// They are the eigenvectors of the smaller one of the two products of the centred matrix with itself, so that neither many
/// rows nor wide features are slow. A component whose share is below 1e-14 is rounding.
///
/// # Errors
/// Fewer than two rows, no column, a value that is not finite, squares that overflow, LAPACK.
pub fn principal(features: ArrayView2<f64>, components: usize) -> Result<Principal, Error> {
    use_one_blas_thread();
    let (rows, dim) = features.dim();
    let mean = checked_mean(features)?;
    let centred = &features - &mean;
    let wide = rows < dim;
    let product = if wide { centred.dot(&centred.t()) } else { centred.t().dot(&centred) };
    if product.iter().any(|value| !value.is_finite()) {
        return Err(Error::Overflow);
    }
    let variance: f64 = product.diag().sum();
    let size = product.nrows();
    let (values, vectors) =
        product.eigh(UPLO::Lower).map_err(|source| Error::Lapack { dim: size, source })?;
    let kept = components.min(size);
    // LAPACK sorts ascending.
    let vectors = vectors.slice_move(s![.., size - kept..;1]);
    let vectors = vectors.slice(s![.., ..;-1]);
    let values = values.iter().rev().take(kept).map(|value| value.max(0.0));
    let mut coordinates = if wide { vectors.to_owned() } else { centred.dot(&vectors) }; // [rows, kept]
    for (mut column, value) in coordinates.columns_mut().into_iter().zip(values.clone()) {
        // Vectors of the smaller product are the coordinates, but of length 1.
        let length = if wide { value.sqrt() } else { 1.0 };
        let furthest = column.iter().copied().fold(0.0, |a: f64, b| if b.abs() > a.abs() { b } else { a });
        column *= if furthest < 0.0 { -length } else { length };
    }
    let explained = values.map(|value| if variance > 0.0 { value / variance } else { 0.0 }).collect();
    Ok(Principal { coordinates, explained })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Axis, array};

    /// Rows on a plane in `dim` dimensions: 3 along one diagonal, 1 across.
    fn plane(rows: usize, dim: usize) -> (Array2<f64>, Vec<(f64, f64)>) {
        let places: Vec<(f64, f64)> =
            (0..rows).map(|row| (3.0 * (0.7 * row as f64).sin(), (1.9 * row as f64).cos())).collect();
        let features = Array2::from_shape_fn((rows, dim), |(row, column)| {
            let (along, across) = places[row];
            5.0 + match column {
                0 => (along + across) / 2.0_f64.sqrt(),
                1 => (along - across) / 2.0_f64.sqrt(),
                _ => 0.0,
            }
        });
        (features, places)
    }

    fn distance(one: &[f64], other: &[f64]) -> f64 {
        one.iter().zip(other).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
    }

    #[test]
    fn two_components_of_a_plane_keep_all_distances() {
        // Both products: more rows than columns, and fewer.
        for (rows, dim) in [(30, 4), (30, 100)] {
            let (features, _) = plane(rows, dim);
            let found = principal(features.view(), 2).unwrap();
            assert_eq!(found.coordinates.dim(), (rows, 2));
            assert!((found.explained.iter().sum::<f64>() - 1.0).abs() < 1e-12, "{:?}", found.explained);
            assert!(found.explained[0] > found.explained[1]);
            for (one, other) in [(0, 1), (3, 17), (8, 29)] {
                let before = distance(&features.row(one).to_vec(), &features.row(other).to_vec());
                let after =
                    distance(&found.coordinates.row(one).to_vec(), &found.coordinates.row(other).to_vec());
                // ε times the condition of the product, of values near 3.
                assert!((before - after).abs() < 1e-9, "{rows} × {dim}: {before} {after}");
            }
        }
    }

    #[test]
    fn both_products_give_the_same_and_signs_are_fixed() {
        let (features, _) = plane(12, 3);
        let wide = ndarray::concatenate![Axis(1), features, Array2::zeros((12, 40))];
        let (one, other) = (principal(features.view(), 2).unwrap(), principal(wide.view(), 2).unwrap());
        assert!(one.coordinates.iter().zip(&other.coordinates).all(|(a, b)| (a - b).abs() < 1e-9));
        let mirrored = principal((-&features).view(), 2).unwrap();
        for column in one.coordinates.columns().into_iter().chain(mirrored.coordinates.columns()) {
            let furthest =
                column.iter().copied().fold(0.0, |a: f64, b| if b.abs() > a.abs() { b } else { a });
            assert!(furthest > 0.0, "{column}");
            assert!(column.sum().abs() < 1e-9, "centred: {column}");
        }
        assert_eq!(one, principal(features.view(), 2).unwrap());
    }

    #[test]
    fn components_are_as_numpy_has_them() {
        // numpy.linalg.svd of the centred matrix: squares of 4.0 and 1.0, all along the axes.
        let features = array![[2.0, 0.0, 1.0], [-2.0, 0.0, 1.0], [0.0, 1.0, 1.0], [0.0, -1.0, 1.0]];
        let found = principal(features.view(), 3).unwrap();
        assert!((found.explained[0] - 0.8).abs() < 1e-12 && (found.explained[1] - 0.2).abs() < 1e-12);
        assert!(found.explained[2].abs() < 1e-14);
        let expected = [2.0, 2.0, 0.0, 0.0];
        assert!(found.coordinates.column(0).iter().zip(expected).all(|(a, b)| (a.abs() - b).abs() < 1e-12));
    }

    #[test]
    fn what_has_no_components_is_an_error_or_zero() {
        assert!(matches!(principal(Array2::zeros((1, 3)).view(), 2), Err(Error::TooFewRows { rows: 1 })));
        assert!(matches!(principal(Array2::zeros((3, 0)).view(), 2), Err(Error::NoColumns)));
        assert!(matches!(
            principal(array![[1.0], [f64::NAN]].view(), 2),
            Err(Error::NotFinite { row: 1, .. })
        ));
        assert!(matches!(principal(array![[1e200], [-1e200]].view(), 2), Err(Error::Overflow)));
        let same = principal(Array2::from_elem((4, 3), 7.0).view(), 2).unwrap();
        assert_eq!(same.explained, [0.0, 0.0]);
        assert!(same.coordinates.iter().all(|value| value.abs() < 1e-12));
        assert_eq!(principal(array![[1.0], [3.0]].view(), 5).unwrap().coordinates.dim(), (2, 1));
    }
}
