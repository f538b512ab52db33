//! Local outlier factor (Breunig, Kriegel, Ng and Sander, SIGMOD 2000), as scikit-learn's `LocalOutlierFactor(novelty=True)`
//! has it, with the sign turned: about 1 among clips, larger where a clip's surroundings are sparser than its neighbours'.

use ndarray::ArrayView2;
use rayon::prelude::*;

use super::clips::{Clips, Neighbourhoods};
use crate::linalg::{Bank, Distance, Error, Neighbour};

/// Added to a mean distance, as scikit-learn does: clips that coincide with all their neighbours have a finite density.
const LEAST_REACH: f64 = 1e-10;

/// A fitted detector.
#[derive(Debug, Clone)]
pub(super) struct Lof {
    bank: Bank,
    neighbourhoods: Neighbourhoods,
    /// Local reachability density of every row.
    densities: Vec<f64>,
}

impl Lof {
    /// # Errors
    /// Fewer than two clips, and those of [`Bank::new`].
    pub fn fit(clips: &Clips, distance: Distance, k: usize) -> Result<Self, Error> {
        if clips.len() < 2 {
            return Err(Error::TooFewNeighbours { rows: clips.len(), needed: 2 });
        }
        let bank = Bank::new(clips.features.view(), distance)?;
        let neighbourhoods = Neighbourhoods::of_rows(&bank, clips, k);
        let mut fitted = Self { bank, neighbourhoods, densities: Vec::new() };
        // Every row has a neighbour, so every density is there.
        fitted.densities =
            (0..clips.len()).map(|row| fitted.density_of_row(row, &[]).unwrap_or_default()).collect();
        Ok(fitted)
    }

    pub fn score(&self, queries: ArrayView2<f64>) -> Result<Vec<f64>, Error> {
        let nearest = self.bank.nearest(queries, self.neighbourhoods.k, |_, _| ())?;
        let factors = nearest.par_iter().map(|nearest| {
            self.factor(nearest.iter(), &[], |row| Some(self.densities[row])).unwrap_or(f64::INFINITY)
        });
        Ok(factors.collect())
    }

    /// The training clips' scores, each against the bank without it; infinite where too little is left.
    pub fn score_members(&self, clips: &Clips) -> Vec<f64> {
        let one = |row: usize| {
            let without = clips.left_out(row).unwrap_or_default();
            let own = self.neighbourhoods.of(row, without);
            self.factor(own, without, |row| self.density_of_row(row, without)).unwrap_or(f64::INFINITY)
        };
        (0..clips.members.len()).into_par_iter().map(one).collect()
    }

    /// The mean density of the neighbours over the density that they give.
    fn factor<'a>(
        &self,
        neighbours: impl Iterator<Item = &'a Neighbour> + Clone,
        without: &[usize],
        density_of: impl Fn(usize) -> Option<f64>,
    ) -> Option<f64> {
        let own = self.density(neighbours.clone(), without)?;
        let (sum, count) = neighbours
            .map(|neighbour| density_of(neighbour.row))
            .try_fold((0.0, 0.0), |(sum, count), density| Some((sum + density?, count + 1.0)))?;
        Some(sum / count / own)
    }

    fn density_of_row(&self, row: usize, without: &[usize]) -> Option<f64> {
        self.density(self.neighbourhoods.of(row, without), without)
    }

    /// One over the mean reachability distance, which is no smaller than a neighbour's distance from its own k-th; none
    /// without neighbours.
    fn density<'a>(&self, neighbours: impl Iterator<Item = &'a Neighbour>, without: &[usize]) -> Option<f64> {
        let (mut sum, mut count) = (0.0, 0.0);
        for neighbour in neighbours {
            let last = self.neighbourhoods.of(neighbour.row, without).last()?;
            sum += neighbour.distance.max(last.distance);
            count += 1.0;
        }
        (count > 0.0).then(|| 1.0 / (sum / count + LEAST_REACH))
    }
}
