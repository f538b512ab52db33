//! Detectors of anomalous clips, from one bank of training clips or from one for each domain.
//!
//! With separate banks a clip's score is the smallest of those that the banks give it: it is as normal as it is in the domain
//! where it is most so. The few target clips then do not widen the source domain's model, and are not lost in it.

mod clips;
mod knn;
mod lloyd;
mod lof;
mod mixture;
mod model;
mod prototypes;
mod smote;
#[cfg(test)]
mod tests;

use ndarray::{Array2, ArrayView2, Axis};
use serde::{Deserialize, Serialize};

use super::{Error, TrainingFeatures};
use crate::config::{Banks, DetectorConfig};
use crate::dataset::Domain;
use crate::linalg;
use clips::Clips;
use model::Model;
use smote::{Synthetic, oversample};

/// A detector, not yet fitted.
#[derive(Debug, Clone)]
pub struct Detector {
    config: DetectorConfig,
}

/// A detector that has seen its training clips.
#[derive(Debug, Clone)]
pub struct FittedDetector {
    /// Training clips, in all banks or left out.
    rows: usize,
    banks: Vec<FittedBank>,
    notes: Vec<String>,
}

#[derive(Debug, Clone)]
struct FittedBank {
    name: &'static str,
    clips: Clips,
    /// Training clips of other banks, and their features `[clips, dim]`.
    guests: Vec<usize>,
    guest_features: Array2<f64>,
    model: Model,
}

/// What a bank is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BankSize {
    /// `all`, `source` or `target`.
    pub bank: String,
    /// Training clips in it.
    pub clips: usize,
    /// Clips made by oversampling beside them.
    pub synthetic: usize,
}

/// Training clips of a bank, ascending, and whether synthetic clips belong to it.
struct Group {
    name: &'static str,
    members: Vec<usize>,
    oversampled: bool,
    few: bool,
}

impl Detector {
    /// A detector as configured.
    pub fn new(config: &DetectorConfig) -> Self {
        Self { config: config.clone() }
    }

    /// Fits to the training clips. The random numbers of k-means and of oversampling are streams of `seed`.
    ///
    /// A bank of which no model can be made is left out, with a note, where there is another one.
    ///
    /// # Errors
    /// Features that are not finite, or that allow no such model ([`Error::is_unfit`]).
    pub fn fit(&self, training: &TrainingFeatures, seed: u64) -> Result<FittedDetector, Error> {
        let features = training.view();
        linalg::check_finite(features)?;
        match features.dim() {
            (0, _) => return Err(linalg::Error::TooFewNeighbours { rows: 0, needed: 1 }.into()),
            (_, 0) => return Err(linalg::Error::NoColumns.into()),
            _ => (),
        }
        let mut notes = Vec::new();
        let clips_of = |domain| clips_of(training, domain);
        let synthetic = match &self.config.smote {
            Some(config) => {
                let (source, target) = (clips_of(Domain::Source), clips_of(Domain::Target));
                let made = oversample(features, source.len(), &target, config, seed)?;
                let others = target.len().saturating_sub(1);
                if made.is_ok() && config.k > others {
                    notes.push(format!(
                        "target clips are made of pairs among {others} nearest instead of {}: there are {} target clips",
                        config.k,
                        target.len()
                    ));
                }
                made.map_err(|why| notes.push(why)).ok()
            }
            None => None,
        };
        let groups = self.groups(training, &mut notes);
        let several = groups.len() > 1;
        let mut banks = Vec::new();
        let mut first_error = None;
        for group in groups {
            match self.fit_bank(&group, features, synthetic.as_ref(), seed, &mut notes) {
                Ok(bank) => banks.push(bank),
                Err(why) if several && why.is_unfit() => {
                    notes.push(format!("the {} bank is left out: failed to {why}", group.name));
                    first_error.get_or_insert(why);
                }
                Err(why) => return Err(why.into()),
            }
        }
        match first_error {
            Some(why) if banks.is_empty() => Err(why.into()),
            _ => Ok(FittedDetector { rows: features.nrows(), banks, notes }),
        }
    }

    fn fit_bank(
        &self,
        group: &Group,
        training: ArrayView2<f64>,
        synthetic: Option<&Synthetic>,
        seed: u64,
        notes: &mut Vec<String>,
    ) -> Result<FittedBank, linalg::Error> {
        let synthetic = synthetic.filter(|_| group.oversampled);
        let clips = Clips::new(training, group.members.clone(), synthetic);
        let model = Model::fit(&self.config.kind, &clips, group.name, group.few, seed, notes)?;
        let guests: Vec<usize> =
            (0..training.nrows()).filter(|clip| group.members.binary_search(clip).is_err()).collect();
        let guest_features = training.select(Axis(0), &guests);
        Ok(FittedBank { name: group.name, clips, guests, guest_features, model })
    }

    fn groups(&self, training: &TrainingFeatures, notes: &mut Vec<String>) -> Vec<Group> {
        let all = || Group {
            name: "all",
            members: (0..training.view().nrows()).collect(),
            oversampled: true,
            few: false,
        };
        if self.config.banks == Banks::Global {
            return vec![all()];
        }
        let (mut source, target) = (clips_of(training, Domain::Source), clips_of(training, Domain::Target));
        if source.is_empty() && target.is_empty() {
            notes.push("one bank for all clips: no training clip's domain is known".to_owned());
            return vec![all()];
        }
        let known = source.len() + target.len();
        let unknown: Vec<usize> =
            (0..training.view().nrows()).filter(|&clip| training.domain(clip).is_none()).collect();
        if !unknown.is_empty() {
            notes.push(format!(
                "{} of {} training clips are in the source bank although their domain is not known",
                unknown.len(),
                known + unknown.len()
            ));
            source.extend(unknown);
            source.sort_unstable();
        }
        let mut groups = Vec::new();
        for (name, members, is_target) in [("source", source, false), ("target", target, true)] {
            if members.is_empty() {
                notes.push(format!("the {name} bank is left out: no training clip is of that domain"));
            } else {
                groups.push(Group { name, members, oversampled: is_target, few: is_target });
            }
        }
        groups
    }
}

fn clips_of(training: &TrainingFeatures, domain: Domain) -> Vec<usize> {
    (0..training.view().nrows()).filter(|&clip| training.domain(clip) == Some(domain)).collect()
}

impl FittedDetector {
    /// One anomaly score per row of `queries` `[clips, dim]`, in their order; higher is more anomalous.
    ///
    /// # Errors
    /// Queries of another width than the training features, or not finite.
    pub fn score(&self, queries: ArrayView2<f64>) -> Result<Vec<f64>, Error> {
        let mut least = vec![f64::INFINITY; queries.nrows()];
        for bank in &self.banks {
            for (least, score) in least.iter_mut().zip(bank.model.score(queries)?) {
                *least = least.min(score);
            }
        }
        Ok(least)
    }

    /// Scores of the training clips, in their order, synthetic ones left out: what thresholds are set and scores of several
    /// detectors are normalised by.
    ///
    /// Distances are leave-one-out: those of a clip are from its bank without it, and without what oversampling made of it,
    /// because otherwise every clip is its own nearest neighbour. For nearest neighbours and local outlier factors that is the
    /// score which a detector fitted to all other clips gives; for k-means the others stay in their clusters. Gaussians and
    /// mixtures of them give the clips that they were fitted to, as the challenge's baseline does.
    ///
    /// # Errors
    /// A bank of one clip, which leaves nothing to measure from, where no other bank has a score for it.
    pub fn score_training(&self) -> Result<Vec<f64>, Error> {
        let rows = self.rows;
        let mut least = vec![f64::INFINITY; rows];
        for bank in &self.banks {
            let own = bank.model.score_members(&bank.clips)?;
            let of_guests = bank.model.score(bank.guest_features.view())?;
            let scores = bank.clips.members.iter().zip(own).chain(bank.guests.iter().zip(of_guests));
            for (&clip, score) in scores {
                least[clip] = least[clip].min(score);
            }
        }
        match least.iter().any(|score| score.is_infinite()) {
            true => Err(linalg::Error::TooFewNeighbours { rows, needed: rows + 1 }.into()),
            false => Ok(least),
        }
    }

    /// What was limited or left out.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The banks that scores come from.
    pub fn banks(&self) -> Vec<BankSize> {
        let size = |bank: &FittedBank| BankSize {
            bank: bank.name.to_owned(),
            clips: bank.clips.members.len(),
            synthetic: bank.clips.synthetic(),
        };
        self.banks.iter().map(size).collect()
    }
}
