//! Alignment and uniformity of embeddings (Wang and Isola 2020, "Understanding contrastive
//! representation learning through alignment and uniformity on the hypersphere").
//!
//! Embeddings are `[clips, dim]`, one row a clip, and are scaled to length 1 here.

use ndarray::{Array2, ArrayView2, Axis, s};

use super::Undefined;

/// Rows whose products with all others are held at a time: 128 × 6,000 clips are 6 MB.
const BLOCK_ROWS: usize = 128;

/// Mean of ‖f(a) - f(b)‖^alpha over the pairs of rows of `a` and `b`, two views of the same clips;
/// in 0..=2^alpha, lower is better.
///
/// `alpha` is 2 in the paper. Views that are all alike have 0: a collapsed network is well aligned,
/// which [`uniformity`] tells.
///
/// # Errors
/// [`Undefined`] with tables of unequal shape or without values, with NaN or infinite values, with
/// a row of zeros, with an `alpha` that is not positive and finite.
pub fn alignment(a: ArrayView2<f64>, b: ArrayView2<f64>, alpha: f64) -> Result<f64, Undefined> {
    if !(alpha > 0.0 && alpha.is_finite()) {
        return Err(Undefined::OutOfRange { name: "alpha", value: alpha, range: "above 0 and finite" });
    }
    if a.dim() != b.dim() {
        return Err(Undefined::Shapes { left: a.dim(), right: b.dim() });
    }
    let (a, b) = (directions(a)?, directions(b)?);
    // The difference itself, not 2 - 2 cos: views may be so close that this would be rounding only.
    let sum: f64 = (&a - &b)
        .outer_iter()
        .map(|difference| difference.iter().map(|d| d * d).sum::<f64>().powf(alpha / 2.0))
        .sum();
    Ok(sum / a.nrows() as f64)
}

/// Logarithm of the mean of exp(-t ‖f(x) - f(y)‖²) over all pairs of two different rows; at most 0,
/// lower is better.
///
/// `t` is 2 in the paper. Rows that are all alike have 0, the mark of a collapsed network.
/// O(clips² · dim), in blocks.
///
/// # Errors
/// [`Undefined`] without values, with one row only, with NaN or infinite values, with a row of
/// zeros, with a `t` that is not positive and finite.
pub fn uniformity(x: ArrayView2<f64>, t: f64) -> Result<f64, Undefined> {
    // Squared distances reach 4.
    if !(t > 0.0 && (4.0 * t).is_finite()) {
        return Err(Undefined::OutOfRange { name: "t", value: t, range: "above 0 and finite" });
    }
    let x = directions(x)?;
    let clips = x.nrows();
    if clips == 1 {
        return Err(Undefined::OneRow);
    }
    // The terms are kept relative to the largest, that of the nearest pair so far: with a large t
    // all of them would be 0.
    let (mut nearest, mut sum) = (f64::INFINITY, 0.0);
    let mut squared = Vec::with_capacity(clips);
    for start in (0..clips).step_by(BLOCK_ROWS) {
        let block = x.slice(s![start..clips.min(start + BLOCK_ROWS), ..]);
        let cosines = block.dot(&x.slice(s![start.., ..]).t());
        for (row, cosines) in cosines.outer_iter().enumerate() {
            squared.clear();
            // An error of 1e-16 in the squared distance is one of t · 1e-16 in its exponential, however
            // near the pair, so that here the cosine will do. It may round to above 1.
            squared.extend(cosines.iter().skip(row + 1).map(|cosine| (2.0 - 2.0 * cosine).max(0.0)));
            let least = squared.iter().copied().fold(nearest, f64::min);
            if least < nearest {
                sum *= (-t * (nearest - least)).exp();
                nearest = least;
            }
            sum += squared.iter().map(|d| (-t * (d - nearest)).exp()).sum::<f64>();
        }
    }
    let pairs = clips as f64 * (clips as f64 - 1.0) / 2.0;
    Ok((sum / pairs).ln() - t * nearest)
}

/// The rows, each divided by its length.
fn directions(x: ArrayView2<f64>) -> Result<Array2<f64>, Undefined> {
    if x.is_empty() {
        return Err(Undefined::Empty);
    }
    let mut directions = x.to_owned();
    for (row, mut vector) in directions.axis_iter_mut(Axis(0)).enumerate() {
        if vector.iter().any(|value| !value.is_finite()) {
            return Err(Undefined::NotFiniteAt { what: "embedding row", at: row });
        }
        let largest = vector.iter().fold(0.0, |largest: f64, value| largest.max(value.abs()));
        if largest == 0.0 {
            return Err(Undefined::ZeroVector { row });
        }
        // Brought near 1 first: squares of very large or small values leave the range of f64.
        vector.mapv_inplace(|value| value / largest);
        let length = vector.iter().map(|value| value * value).sum::<f64>().sqrt();
        vector.mapv_inplace(|value| value / length);
    }
    Ok(directions)
}

#[cfg(test)]
mod tests {
    use ndarray::array;
    use proptest::prelude::*;

    use super::*;

    /// The definition, pair by pair.
    fn uniformity_by_pairs(x: &Array2<f64>, t: f64) -> f64 {
        let unit: Vec<_> = x.outer_iter().map(|row| &row / row.dot(&row).sqrt()).collect();
        let (mut sum, mut pairs) = (0.0, 0.0);
        for (i, a) in unit.iter().enumerate() {
            for b in &unit[i + 1..] {
                sum += (-t * (a - b).mapv(|d| d * d).sum()).exp();
                pairs += 1.0;
            }
        }
        f64::ln(sum / pairs)
    }

    #[test]
    fn right_angles_and_opposites() {
        let (a, b) = (array![[2.0, 0.0], [0.0, 3.0]], array![[0.0, 5.0], [0.0, -1.0]]);
        // Squared distances 2 and 4.
        assert!((alignment(a.view(), b.view(), 2.0).unwrap() - 3.0).abs() < 1e-15);
        let expected = (2.0_f64.sqrt() + 2.0) / 2.0;
        assert!((alignment(a.view(), b.view(), 1.0).unwrap() - expected).abs() < 1e-15);
        assert!((uniformity(a.view(), 2.0).unwrap() + 4.0).abs() < 1e-15);
        assert!((uniformity(b.view(), 2.0).unwrap() + 8.0).abs() < 1e-15);
    }

    #[test]
    fn a_collapse_is_zero() {
        let same =
            Array2::from_shape_fn((300, 7), |(row, column)| (1.0 + row as f64) * (column as f64 - 2.5));
        let (aligned, uniform) =
            (alignment(same.view(), same.view(), 2.0).unwrap(), uniformity(same.view(), 2.0).unwrap());
        assert_eq!(aligned, 0.0);
        // Cosines of 7 terms round to a few 1e-16 from 1.
        assert!((-1e-14..=0.0).contains(&uniform), "{uniform}");
    }

    #[test]
    fn near_views_keep_their_distance() {
        // 1 - cos = 5e-21 is lost in f64; the difference 1e-10 is not.
        let (a, b) = (array![[1.0, 0.0]], array![[1.0, 1e-10]]);
        let found = alignment(a.view(), b.view(), 1.0).unwrap();
        assert!((found / 1e-10 - 1.0).abs() < 1e-15, "{found}");
    }

    #[test]
    fn large_and_small_lengths_do_not_matter() {
        let scaled = array![[3e200, 4e200], [-4e-200, 3e-200], [1e-320, 0.0]];
        let plain = array![[3.0, 4.0], [-4.0, 3.0], [1.0, 0.0]];
        let found = uniformity(scaled.view(), 2.0).unwrap();
        assert!((found - uniformity_by_pairs(&plain, 2.0)).abs() < 1e-14, "{found}");
        // exp(-2·1e4) is 0; its logarithm is not lost.
        let found = uniformity(array![[1.0, 0.0], [0.0, 1.0]].view(), 1e4).unwrap();
        assert!((found + 2e4).abs() < 1e-10, "{found}");
    }

    #[test]
    fn what_cannot_be_had_is_an_error() {
        let good = array![[1.0, 2.0], [3.0, 4.0]];
        let zero = array![[1.0, 2.0], [0.0, -0.0]];
        let diverged = array![[1.0, 2.0], [f64::NAN, 1.0]];
        let (no_direction, not_finite) =
            (Undefined::ZeroVector { row: 1 }, Undefined::NotFiniteAt { what: "embedding row", at: 1 });
        for (bad, why) in [(&zero, no_direction), (&diverged, not_finite)] {
            assert_eq!(uniformity(bad.view(), 2.0), Err(why));
            assert_eq!(alignment(good.view(), bad.view(), 2.0), Err(why));
            assert_eq!(alignment(bad.view(), good.view(), 2.0), Err(why));
        }
        for shape in [(0, 2), (2, 0), (0, 0)] {
            let empty = Array2::zeros(shape);
            assert_eq!(uniformity(empty.view(), 2.0), Err(Undefined::Empty));
            assert_eq!(alignment(empty.view(), empty.view(), 2.0), Err(Undefined::Empty));
        }
        let one = array![[1.0, 2.0]];
        assert_eq!(uniformity(one.view(), 2.0), Err(Undefined::OneRow));
        let shapes = Undefined::Shapes { left: (2, 2), right: (1, 2) };
        assert_eq!(alignment(good.view(), one.view(), 2.0), Err(shapes));
        for setting in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(matches!(uniformity(good.view(), setting), Err(Undefined::OutOfRange { name: "t", .. })));
            let found = alignment(good.view(), good.view(), setting);
            assert!(matches!(found, Err(Undefined::OutOfRange { name: "alpha", .. })));
        }
    }

    /// Rows without zero vectors; enough of them for several blocks.
    fn embeddings() -> impl Strategy<Value = Array2<f64>> {
        (2..2 * BLOCK_ROWS + 3, 1..5_usize).prop_flat_map(|(rows, columns)| {
            prop::collection::vec(prop_oneof![-2.0..-0.01, 0.01..2.0_f64], rows * columns).prop_map(
                move |values| Array2::from_shape_fn((rows, columns), |(i, j)| values[i * columns + j]),
            )
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn uniformity_equals_the_definition(x in embeddings(), t in 0.1..4.0) {
            // Up to 33,000 terms below 1, each with a relative error near 1e-15, all of one sign.
            let found = uniformity(x.view(), t).unwrap();
            prop_assert!((found - uniformity_by_pairs(&x, t)).abs() < 1e-11, "{}", found);
            prop_assert!((-4.0 * t - 1e-12..=0.0).contains(&found));
        }

        #[test]
        fn lengths_do_not_matter(x in embeddings(), scale in 1e-3..1e3) {
            let scaled = x.mapv(|value| value * scale);
            let difference = uniformity(x.view(), 2.0).unwrap() - uniformity(scaled.view(), 2.0).unwrap();
            prop_assert!(difference.abs() < 1e-11);
            // Each component differs by a few 1e-16.
            prop_assert!(alignment(x.view(), scaled.view(), 2.0).unwrap() < 1e-29);
        }

        #[test]
        fn alignment_is_symmetric_and_bounded(x in embeddings(), alpha in 0.5..4.0) {
            let reversed = x.slice(s![..;-1, ..]);
            let found = alignment(x.view(), reversed, alpha).unwrap();
            prop_assert_eq!(found, alignment(reversed, x.view(), alpha).unwrap());
            prop_assert!(found >= 0.0 && found <= 2_f64.powf(alpha) * (1.0 + 1e-14), "{}", found);
        }
    }
}
