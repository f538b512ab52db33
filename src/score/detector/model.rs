//! What is fitted to one bank of clips.

use ndarray::ArrayView2;

use super::clips::Clips;
use super::knn::Knn;
use super::lloyd::cluster;
use super::lof::Lof;
use super::mixture::Mixture;
use super::prototypes::Prototypes;
use crate::config::{DetectorKind, DistanceMetric, NeighbourReduce};
use crate::linalg::{Distance, Error, Gaussian};
use crate::rng;
use crate::score::Mahalanobis;

/// Clips that each Gaussian of a mixture needs at least on average: with fewer its variances are chance.
const CLIPS_PER_COMPONENT: usize = 5;

/// A fitted detector of one bank.
#[derive(Debug, Clone)]
pub(super) enum Model {
    Mahalanobis(Gaussian),
    Knn(Knn),
    Lof(Lof),
    Prototypes(Prototypes),
    Mixture(Mixture),
}

impl Model {
    /// Fits `kind` to the clips of the bank `name`. `few` is a bank of so few clips that they are prototypes themselves: the
    /// target domain's beside the source domain's. What had to be limited is told in `notes`.
    ///
    /// # Errors
    /// Clips that allow no such model.
    pub fn fit(
        kind: &DetectorKind,
        clips: &Clips,
        name: &str,
        few: bool,
        seed: u64,
        notes: &mut Vec<String>,
    ) -> Result<Self, Error> {
        let rows = clips.len();
        let features = clips.features.view();
        let others = rows.saturating_sub(1).max(1);
        let mut limit = |what: &str, asked: usize, most: usize| {
            if asked > most {
                notes.push(format!(
                    "{what} of the {name} bank is {most} instead of {asked}: it has {rows} clips"
                ));
            }
            asked.min(most)
        };
        let stream = |restart| rng::stream(seed, &format!("detector/kmeans/{name}"), restart);
        match kind {
            DetectorKind::Mahalanobis(config) => {
                Ok(Self::Mahalanobis(Gaussian::fit(features, Mahalanobis::new(config).estimator())?))
            }
            DetectorKind::Knn(config) => {
                let k = limit("k", config.k, others);
                let density =
                    config.density.as_ref().map(|density| limit("the density's k", density.k, others));
                Ok(Self::Knn(Knn::fit(clips, distance(config.metric), k, config.reduce, density)?))
            }
            DetectorKind::Lof(config) => {
                let k = limit("k", config.k, others);
                Ok(Self::Lof(Lof::fit(clips, distance(config.metric), k)?))
            }
            DetectorKind::Kmeans(config) => {
                let density =
                    config.density.as_ref().map(|density| limit("the density's k", density.k, others));
                let metric = distance(config.metric);
                if few {
                    let reduce = NeighbourReduce::Mean; // of one
                    return Ok(Self::Knn(Knn::fit(clips, metric, 1, reduce, density)?));
                }
                let count = config.prototypes;
                let fitted = Prototypes::fit(clips, metric, count, config.restarts, density, stream)?;
                if fitted.len() < count {
                    notes.push(format!(
                        "the {name} bank has {} prototypes instead of {count}: no more of its {rows} clips differ",
                        fitted.len()
                    ));
                }
                Ok(Self::Prototypes(fitted))
            }
            DetectorKind::Mixture(config) => {
                let most = (rows / CLIPS_PER_COMPONENT).max(1);
                let count = limit("the number of Gaussians", config.components, most);
                let clusters = cluster(features, count, RESTARTS, stream);
                let found = clusters.centres.nrows();
                if found < count {
                    notes.push(format!(
                        "the {name} bank has {found} Gaussians instead of {count}: no more of its {rows} clips differ"
                    ));
                }
                let fitted = Mixture::fit(
                    features,
                    &clusters.labels,
                    found,
                    config.covariance,
                    config.regularisation,
                )?;
                Ok(Self::Mixture(fitted))
            }
        }
    }

    pub fn score(&self, queries: ArrayView2<f64>) -> Result<Vec<f64>, Error> {
        match self {
            Self::Mahalanobis(gaussian) => gaussian.squared_distances(queries),
            Self::Knn(knn) => knn.score(queries),
            Self::Lof(lof) => lof.score(queries),
            Self::Prototypes(prototypes) => prototypes.score(queries),
            Self::Mixture(mixture) => mixture.score(queries),
        }
    }

    /// Scores of the bank's own training clips, in their order: see [`super::FittedDetector::score_training`].
    pub fn score_members(&self, clips: &Clips) -> Result<Vec<f64>, Error> {
        let in_sample = || clips.features.view().split_at(ndarray::Axis(0), clips.members.len()).0;
        match self {
            Self::Mahalanobis(gaussian) => gaussian.squared_distances(in_sample()),
            Self::Mixture(mixture) => mixture.score(in_sample()),
            Self::Knn(knn) => Ok(knn.score_members(clips)),
            Self::Lof(lof) => Ok(lof.score_members(clips)),
            Self::Prototypes(prototypes) => prototypes.score_members(clips),
        }
    }
}

/// Beginnings of the k-means that a mixture starts from.
const RESTARTS: usize = 10;

fn distance(metric: DistanceMetric) -> Distance {
    match metric {
        DistanceMetric::Cosine => Distance::Cosine,
        DistanceMetric::Euclidean => Distance::Euclidean,
    }
}
