//! Distance from the nearest training clips.

use ndarray::ArrayView2;

use super::clips::{Clips, Densities, Neighbourhoods};
use crate::config::NeighbourReduce;
use crate::linalg::{Bank, Distance, Error, Neighbour};

/// A fitted detector: the clips themselves.
#[derive(Debug, Clone)]
pub(super) struct Knn {
    bank: Bank,
    k: usize,
    reduce: NeighbourReduce,
    density: Option<Densities>,
}

impl Knn {
    /// `density` is the number of neighbours of the normalisation, where there is one.
    ///
    /// # Errors
    /// Those of [`Bank::new`].
    pub fn fit(
        clips: &Clips,
        distance: Distance,
        k: usize,
        reduce: NeighbourReduce,
        density: Option<usize>,
    ) -> Result<Self, Error> {
        let bank = Bank::new(clips.features.view(), distance)?;
        let density = density.map(|k| Densities::new(&bank, Neighbourhoods::of_rows(&bank, clips, k), clips));
        Ok(Self { bank, k, reduce, density })
    }

    pub fn score(&self, queries: ArrayView2<f64>) -> Result<Vec<f64>, Error> {
        let nearest = self.bank.nearest(queries, self.k, |_, keys| {
            if let Some(density) = &self.density {
                density.apply(keys);
            }
        })?;
        Ok(nearest.into_iter().map(|nearest| self.reduced(nearest, &[])).collect())
    }

    /// The training clips' scores, each against the bank without it; infinite where nothing is left.
    pub fn score_members(&self, clips: &Clips) -> Vec<f64> {
        let nearest = self.bank.nearest_of_rows(self.k, |row, keys| {
            let Some(without) = clips.left_out(row) else {
                return keys.fill(f64::INFINITY);
            };
            if let Some(density) = &self.density {
                density.apply_without(&self.bank, row, without, keys);
            }
            for &other in without {
                keys[other] = f64::INFINITY;
            }
        });
        let scored = nearest
            .into_iter()
            .enumerate()
            .map_while(|(row, nearest)| clips.left_out(row).map(|without| self.reduced(nearest, without)));
        scored.collect()
    }

    fn reduced(&self, nearest: Vec<Neighbour>, without: &[usize]) -> f64 {
        let scale = |row| self.density.as_ref().map_or(1.0, |density| density.scale(row, without));
        let distances = nearest.into_iter().map(|n| n.distance / scale(n.row));
        match self.reduce {
            NeighbourReduce::Kth => distances.reduce(f64::max).unwrap_or(f64::INFINITY),
            NeighbourReduce::Mean => {
                let (sum, count) = distances.fold((0.0, 0.0), |(sum, count), d| (sum + d, count + 1.0));
                if count > 0.0 { sum / count } else { f64::INFINITY }
            }
        }
    }
}
