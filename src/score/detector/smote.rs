//! Target clips made by interpolation between target clips (SMOTE: Chawla, Bowyer, Hall and Kegelmeyer, J. Artificial
//! Intelligence Research 16, 2002).

use ndarray::{Array2, ArrayView2, Axis};
use rand::RngExt;
use rand::seq::SliceRandom;

use crate::config::SmoteConfig;
use crate::linalg::{Bank, Distance, Error};
use crate::rng;

/// Clips that were never recorded.
#[derive(Debug, Clone)]
pub(super) struct Synthetic {
    /// `[clips, dim]`.
    pub features: Array2<f64>,
    /// Of each the two training clips on whose line it lies.
    pub parents: Vec<[usize; 2]>,
}

/// Makes target clips until there are `config.ratio` times as many as the `source` clips. Each lies at a random place between a
/// target clip, which take turns in a random order, and one of its `config.k` nearest (Euclidean) in the target domain.
///
/// Instead of clips the reason where none are made.
///
/// # Errors
/// Those of distances between the clips.
pub(super) fn oversample(
    training: ArrayView2<f64>,
    source: usize,
    target: &[usize],
    config: &SmoteConfig,
    seed: u64,
) -> Result<Result<Synthetic, String>, Error> {
    let wanted = (config.ratio * source as f64).ceil() as usize;
    let missing = match wanted.checked_sub(target.len()) {
        _ if target.len() < 2 => {
            return Ok(Err(format!("no target clips are made of {}: at least 2 are needed", target.len())));
        }
        None | Some(0) => {
            return Ok(Err(format!(
                "no target clips are made: there are {} of {wanted} already",
                target.len()
            )));
        }
        Some(missing) => missing,
    };
    let bank = Bank::new(training.select(Axis(0), target).view(), Distance::Euclidean)?;
    let neighbours = bank.nearest_of_rows(config.k, |row, keys| keys[row] = f64::INFINITY);
    let mut stream = rng::stream(seed, "detector/smote", 0);
    let mut order: Vec<usize> = (0..target.len()).collect();
    order.shuffle(&mut stream);
    let mut features = Array2::zeros((missing, training.ncols()));
    let mut parents = Vec::with_capacity(missing);
    for (mut row, &base) in features.rows_mut().into_iter().zip(order.iter().cycle()) {
        let towards = &neighbours[base];
        let other = towards[stream.random_range(0..towards.len())].row;
        let place = stream.random::<f64>();
        row.assign(&training.row(target[base]));
        row *= 1.0 - place;
        row.scaled_add(place, &training.row(target[other]));
        parents.push([target[base], target[other]]);
    }
    Ok(Ok(Synthetic { features, parents }))
}
