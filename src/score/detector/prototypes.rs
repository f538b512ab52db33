//! Distance from the nearest of a few prototypes, which are the centres of k-means clusters.

use ndarray::{Array1, Array2, ArrayView2, Axis};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::clips::{Clips, Densities, Neighbourhoods};
use super::lloyd::{Clusters, cluster};
use crate::linalg::{Bank, Distance, Error, unit_rows};

/// A fitted detector.
#[derive(Debug, Clone)]
pub(super) struct Prototypes {
    distance: Distance,
    bank: Bank,
    /// What was clustered: the clips, for cosine distances scaled to length 1.
    points: Array2<f64>,
    clusters: Clusters,
    density: Option<Densities>,
}

impl Prototypes {
    /// `density` is the number of neighbours of the normalisation, where there is one: of a prototype these are clips.
    ///
    /// # Errors
    /// Those of [`Bank::new`].
    pub fn fit(
        clips: &Clips,
        distance: Distance,
        count: usize,
        restarts: usize,
        density: Option<usize>,
        stream: impl Fn(u64) -> ChaCha8Rng,
    ) -> Result<Self, Error> {
        let all = Bank::new(clips.features.view(), distance)?;
        let points = match distance {
            Distance::Euclidean => clips.features.clone(),
            Distance::Cosine => unit_rows(clips.features.view()),
        };
        let clusters = cluster(points.view(), count, restarts, stream);
        let bank = Bank::new(clusters.centres.view(), distance)?;
        let density = match density {
            Some(k) => {
                let neighbourhoods = Neighbourhoods::of_points(&all, clips, clusters.centres.view(), k)?;
                Some(Densities::new(&bank, neighbourhoods, clips))
            }
            None => None,
        };
        Ok(Self { distance, bank, points, clusters, density })
    }

    /// Prototypes.
    pub fn len(&self) -> usize {
        self.bank.len()
    }

    pub fn score(&self, queries: ArrayView2<f64>) -> Result<Vec<f64>, Error> {
        let nearest = self.bank.nearest(queries, 1, |_, keys| {
            if let Some(density) = &self.density {
                density.apply(keys);
            }
        })?;
        Ok(nearest.iter().flatten().map(|n| n.distance / self.scale(n.row, &[])).collect())
    }

    /// The training clips' scores, each from prototypes that are the means of their clusters without it; a prototype of that
    /// clip alone does not count. The other clips stay in their clusters, and a prototype's neighbours are those that it had.
    /// Infinite where no prototype is left.
    ///
    /// # Errors
    /// Those of distances.
    pub fn score_members(&self, clips: &Clips) -> Result<Vec<f64>, Error> {
        let mut sizes = vec![0_usize; self.len()];
        for &label in &self.clusters.labels {
            sizes[label] += 1;
        }
        let without = |row: usize| clips.left_out(row).unwrap_or_default();
        let own = clips.features.view();
        let own = own.split_at(Axis(0), clips.members.len()).0;
        let unchanged = self.bank.nearest(own, 1, |row, keys| {
            if let Some(density) = &self.density {
                density.apply_without(&self.bank, row, without(row), keys);
            }
            for &other in without(row) {
                keys[self.clusters.labels[other]] = f64::INFINITY;
            }
        })?;
        let one = |(row, unchanged): (usize, Vec<crate::linalg::Neighbour>)| -> Result<f64, Error> {
            let without = without(row);
            let mut least = f64::INFINITY;
            for neighbour in unchanged {
                least = least.min(neighbour.distance / self.scale(neighbour.row, without));
            }
            let mut changed: Vec<usize> = without.iter().map(|&other| self.clusters.labels[other]).collect();
            changed.sort_unstable();
            changed.dedup();
            for cluster in changed {
                let Some(centre) = self.centre_without(cluster, sizes[cluster], without) else { continue };
                let pair = Bank::new(centre.insert_axis(Axis(0)).view(), self.distance)?;
                let query = clips.features.row(row).insert_axis(Axis(0));
                for neighbour in pair.nearest(query, 1, |_, _| ())?.into_iter().flatten() {
                    least = least.min(neighbour.distance / self.scale(cluster, without));
                }
            }
            Ok(least)
        };
        unchanged.into_par_iter().enumerate().map(one).collect()
    }

    /// The centre of a cluster of `size` clips if those of `without` were not in it; none if no others are.
    fn centre_without(&self, cluster: usize, size: usize, without: &[usize]) -> Option<Array1<f64>> {
        let gone: Vec<usize> =
            without.iter().copied().filter(|&row| self.clusters.labels[row] == cluster).collect();
        let left = size.checked_sub(gone.len()).filter(|&left| left > 0)?;
        let mut centre = self.clusters.centres.row(cluster).to_owned();
        for row in gone {
            // m' = m + (m − x) / left for each that goes, all measured from the whole cluster's mean.
            let away = &self.clusters.centres.row(cluster) - &self.points.row(row);
            centre.scaled_add(1.0 / left as f64, &away);
        }
        Some(centre)
    }

    fn scale(&self, prototype: usize, without: &[usize]) -> f64 {
        self.density.as_ref().map_or(1.0, |density| density.scale(prototype, without))
    }
}
