//! t-SNE (van der Maaten and Hinton, JMLR 9, 2008) by Barnes and Hut's approximation, with the same result each time.

use bhtsne::{Neighbor, tSNE};
use ndarray::ArrayView2;
use rayon::prelude::*;

/// Effective number of neighbours, where there are three times as many.
const PERPLEXITY: f64 = 30.0;
/// Accuracy of the approximation: that of the paper on it (van der Maaten, JMLR 15, 2014).
const THETA: f64 = 0.5;
/// Fewer points than this have no neighbourhoods.
const LEAST: usize = 8;
/// Standard deviation along the first axis with which the embedding begins, as in scikit-learn.
const START: f64 = 1e-4;

/// Places of the rows of `coordinates`, `[rows, components]`, centred, the first component that which varies most.
///
/// `bhtsne` itself would begin at places that cannot be seeded, and its tree of neighbours draws at random too. Here it
/// begins at the first two components and is given the neighbours, so that it draws nothing; on one thread it also adds in
/// the same order. (Its exact variant counts every point among its own neighbours, in both distributions: it is not used.)
///
/// # Errors
/// Why it cannot be had, in a few words.
pub(super) fn embed(coordinates: ArrayView2<'_, f64>) -> Result<Vec<[f64; 2]>, String> {
    let (rows, components) = coordinates.dim();
    if rows < LEAST {
        return Err(format!("{rows} clips are too few"));
    }
    let squares: f64 = coordinates.iter().map(|value| value * value).sum();
    // All of the same length, whatever unit the features have.
    let unit = (squares / rows as f64).sqrt();
    if components == 0 || unit.is_nan() || unit <= f64::MIN_POSITIVE {
        return Err("the features never vary".into());
    }
    let points: Vec<Vec<f64>> =
        coordinates.rows().into_iter().map(|row| row.iter().map(|value| value / unit).collect()).collect();
    let perplexity = PERPLEXITY.min((rows - 1) as f64 / 3.0).floor();
    let neighbours = neighbours(&points, 3 * perplexity as usize);
    let spread = (points.iter().map(|point| point[0] * point[0]).sum::<f64>() / rows as f64).sqrt();
    let start =
        |point: &Vec<f64>| [0, 1].map(|axis| START * point.get(axis).copied().unwrap_or(0.0) / spread);
    let start: Vec<f64> = points.iter().flat_map(start).collect();
    let alone = rayon::ThreadPoolBuilder::new().num_threads(1).build();
    let alone = alone.map_err(|error| format!("no thread for it: {error}"))?;
    let places = alone.install(|| {
        let mut tsne: tSNE<'_, f64, Vec<f64>> = tSNE::new(&points);
        tsne.perplexity(perplexity).initial_embedding(start);
        tsne.barnes_hut_with_neighbors(THETA, &neighbours).embedding()
    });
    if places.len() != 2 * rows || places.iter().any(|value| !value.is_finite()) {
        return Err("it did not converge".into());
    }
    Ok(places.chunks_exact(2).map(|place| [place[0], place[1]]).collect())
}

/// The `count` nearest other points of each, by distance, then by row.
fn neighbours(points: &[Vec<f64>], count: usize) -> Vec<Vec<Neighbor<f64>>> {
    let of = |row: usize| {
        let distance =
            |other: &[f64]| points[row].iter().zip(other).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
        let others = points.iter().enumerate().filter(|(index, _)| *index != row);
        let mut all: Vec<Neighbor<f64>> =
            others.map(|(index, other)| Neighbor { index, distance: distance(other) }).collect();
        all.sort_by(|a, b| a.distance.total_cmp(&b.distance).then(a.index.cmp(&b.index)));
        all.truncate(count);
        all
    };
    (0..points.len()).into_par_iter().map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;

    /// Three groups, far apart from one another.
    fn groups(rows: usize) -> Array2<f64> {
        Array2::from_shape_fn((rows, 5), |(row, column)| {
            let centre = if column == row % 3 { 20.0 } else { 0.0 };
            centre + (1.7 * row as f64 + 2.3 * column as f64).sin()
        })
    }

    #[test]
    fn groups_stay_together_and_the_result_is_the_same_each_time() {
        let points = groups(120);
        let places = embed(points.view()).unwrap();
        let distance = |a: usize, b: usize| (places[a][0] - places[b][0]).hypot(places[a][1] - places[b][1]);
        // The nearest other point is of the own group.
        for row in 0..120 {
            let others = (0..120).filter(|other| *other != row);
            let nearest = others.min_by(|a, b| distance(row, *a).total_cmp(&distance(row, *b))).unwrap();
            assert_eq!(nearest % 3, row % 3, "{row}");
        }
        let bits =
            |places: &[[f64; 2]]| places.iter().flatten().map(|value| value.to_bits()).collect::<Vec<_>>();
        for threads in [1, 2, 5] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            assert_eq!(bits(&pool.install(|| embed(points.view())).unwrap()), bits(&places), "{threads}");
        }
    }

    #[test]
    fn the_unit_of_the_features_does_not_matter() {
        let points = groups(30);
        let (one, other) = (embed(points.view()).unwrap(), embed((&points * 1024.0).view()).unwrap());
        // A power of two scales without rounding, but for the square roots.
        assert!(
            one.iter()
                .flatten()
                .zip(other.iter().flatten())
                .all(|(a, b)| (a - b).abs() < 1e-3 * a.abs().max(1.0))
        );
    }

    #[test]
    fn few_equal_and_repeated_points_are_no_reason_to_fail() {
        assert_eq!(embed(groups(7).view()).unwrap_err(), "7 clips are too few");
        assert_eq!(embed(Array2::zeros((20, 5)).view()).unwrap_err(), "the features never vary");
        assert_eq!(embed(Array2::zeros((20, 0)).view()).unwrap_err(), "the features never vary");
        // Each point ten times.
        let repeated =
            Array2::from_shape_fn((100, 2), |(row, column)| ((row % 10) * (column + 1)) as f64 - 4.5);
        assert_eq!(embed(repeated.view()).unwrap().len(), 100);
        // One point far from ninety-nine equal ones, and one component only.
        let one = Array2::from_shape_fn((100, 1), |(row, _)| if row == 0 { 99.0 } else { -1.0 });
        assert_eq!(embed(one.view()).unwrap().len(), 100);
        assert_eq!(embed(groups(8).view()).unwrap().len(), 8);
    }
}
