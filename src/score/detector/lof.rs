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
    /// Distance of every row from its k-th neighbour.
    reaches: Vec<f64>,
    /// Local reachability density of every row.
    densities: Vec<f64>,
    /// Of every row those that have it among their k nearest.
    listed_by: Vec<Vec<usize>>,
}

/// A bank without some of its rows.
struct Without<'a> {
    rows: &'a [usize],
    /// Of every row whether one of its k nearest is left out.
    changed: Vec<bool>,
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
        // Every row has a neighbour, so everything is there.
        let reach = |row| neighbourhoods.of(row, &[]).last().map_or(0.0, |last| last.distance);
        let reaches = (0..clips.len()).map(reach).collect();
        let mut listed_by = vec![Vec::new(); clips.len()];
        for row in 0..clips.len() {
            neighbourhoods.of(row, &[]).for_each(|neighbour| listed_by[neighbour.row].push(row));
        }
        let mut fitted = Self { bank, neighbourhoods, reaches, densities: Vec::new(), listed_by };
        let density = |row| fitted.density(fitted.neighbourhoods.of(row, &[]), None).unwrap_or_default();
        fitted.densities = (0..clips.len()).into_par_iter().map(density).collect();
        Ok(fitted)
    }

    pub fn score(&self, queries: ArrayView2<f64>) -> Result<Vec<f64>, Error> {
        let nearest = self.bank.nearest(queries, self.neighbourhoods.k, |_, _| ())?;
        let factors =
            nearest.par_iter().map(|nearest| self.factor(nearest.iter(), None).unwrap_or(f64::INFINITY));
        Ok(factors.collect())
    }

    /// The training clips' scores, each against the bank without it; infinite where too little is left.
    ///
    /// Of n clips with k neighbours each n·k² looks at whether a neighbour's neighbours changed: most did not.
    pub fn score_members(&self, clips: &Clips) -> Vec<f64> {
        let one = |row: usize| {
            let rows = clips.left_out(row).unwrap_or_default();
            let mut changed = vec![false; self.reaches.len()];
            rows.iter().flat_map(|&out| &self.listed_by[out]).for_each(|&row| changed[row] = true);
            let own = self.neighbourhoods.of(row, rows);
            self.factor(own, Some(&Without { rows, changed })).unwrap_or(f64::INFINITY)
        };
        (0..clips.members.len()).into_par_iter().map(one).collect()
    }

    /// The mean density of the neighbours over the density that they give.
    fn factor<'a>(
        &self,
        neighbours: impl Iterator<Item = &'a Neighbour> + Clone,
        without: Option<&Without>,
    ) -> Option<f64> {
        let own = self.density(neighbours.clone(), without)?;
        let (sum, count) = neighbours
            .map(|neighbour| self.density_of_row(neighbour.row, without))
            .try_fold((0.0, 0.0), |(sum, count), density| Some((sum + density?, count + 1.0)))?;
        Some(sum / count / own)
    }

    fn density_of_row(&self, row: usize, without: Option<&Without>) -> Option<f64> {
        let Some(out) = without else { return Some(self.densities[row]) };
        let mut own = self.neighbourhoods.of(row, &[]);
        if !out.changed[row] && own.all(|neighbour| !out.changed[neighbour.row]) {
            return Some(self.densities[row]);
        }
        self.density(self.neighbourhoods.of(row, out.rows), without)
    }

    /// One over the mean reachability distance, which is no smaller than a neighbour's distance from its own k-th; none
    /// without neighbours.
    fn density<'a>(
        &self,
        neighbours: impl Iterator<Item = &'a Neighbour>,
        without: Option<&Without>,
    ) -> Option<f64> {
        let (mut sum, mut count) = (0.0, 0.0);
        for neighbour in neighbours {
            sum += neighbour.distance.max(self.reach(neighbour.row, without)?);
            count += 1.0;
        }
        (count > 0.0).then(|| 1.0 / (sum / count + LEAST_REACH))
    }

    /// A row's distance from its k-th neighbour; none without neighbours.
    fn reach(&self, row: usize, without: Option<&Without>) -> Option<f64> {
        match without.filter(|out| out.changed[row]) {
            None => Some(self.reaches[row]),
            Some(out) => self.neighbourhoods.of(row, out.rows).last().map(|last| last.distance),
        }
    }
}
