//! What weights are searched for, measured as [`official::evaluate`](crate::official::evaluate()) does.

use super::Error;
use super::sets::{Labelled, Part};
use crate::dataset::Domain;
use crate::metric::Ranked;
use crate::official::{MAX_FPR, Measure, Year};

/// The number that tuning makes large. Each is a harmonic mean, of values taken as at least the machine epsilon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Objective {
    /// The official score Ω of the year: of every section's AUCs and partial AUCs.
    #[default]
    Omega,
    /// Of the AUCs, of both domains where the year has them.
    Auc,
    /// Of the source domain's AUCs.
    AucSource,
    /// Of the target domain's AUCs.
    AucTarget,
    /// Of the partial AUCs.
    Pauc,
    /// Of AUCs and partial AUCs in any year: Ω, and in 2020, which had none, the same of its metrics.
    HarmonicMean,
}

impl Objective {
    /// All, in the order of the documentation.
    pub const ALL: [Self; 6] =
        [Self::Omega, Self::Auc, Self::AucSource, Self::AucTarget, Self::Pauc, Self::HarmonicMean];

    /// The word in configurations and JSON.
    pub fn key(self) -> &'static str {
        match self {
            Self::Omega => "omega",
            Self::Auc => "auc",
            Self::AucSource => "auc-source",
            Self::AucTarget => "auc-target",
            Self::Pauc => "pauc",
            Self::HarmonicMean => "harmonic-mean",
        }
    }

    /// What it is the mean of.
    ///
    /// # Errors
    /// A year that had no such metric.
    pub fn measures(self, year: Year) -> Result<&'static [Measure], Error> {
        use Measure::{Auc, AucSource, AucTarget, Pauc, PaucSource, PaucTarget};
        let missing = |instead| Err(Error::NoObjective { objective: self.key(), year, instead });
        Ok(match (self, year) {
            (Self::Omega, Year::Y2020) => return missing("harmonic-mean"),
            (Self::AucSource | Self::AucTarget, Year::Y2020) => return missing("auc"),
            (Self::HarmonicMean, Year::Y2020) => &[Auc, Pauc],
            (Self::Omega | Self::HarmonicMean, _) => Measure::of_official_score(year),
            (Self::Auc, Year::Y2020) => &[Auc],
            (Self::Auc, _) => &[AucSource, AucTarget],
            (Self::AucSource, _) => &[AucSource],
            (Self::AucTarget, _) => &[AucTarget],
            (Self::Pauc, Year::Y2021) => &[PaucSource, PaucTarget],
            (Self::Pauc, _) => &[Pauc],
        })
    }
}

/// An objective ready to be measured many times on the same clips: which clips belong to which metric is found once.
pub(super) struct Evaluator {
    measures: usize,
    sections: Vec<Section>,
}

struct Section {
    anomalous: Vec<bool>,
    /// One per measure.
    terms: Vec<Term>,
}

/// One metric of a section.
struct Term {
    partial: bool,
    /// 1 for the clips that belong to it, 0 for others.
    chosen: Vec<u32>,
}

impl Evaluator {
    /// # Errors
    /// A year without the objective; a section without normal or without anomalous clips of a domain.
    pub fn new(set: &Labelled, objective: Objective) -> Result<Self, Error> {
        let measures = objective.measures(set.year)?;
        let section = |(part, labels): (&Part, &Vec<bool>)| -> Result<Section, Error> {
            let term = |measure: &Measure| {
                Term::new(part, labels, *measure, set.year).map_err(|why| Error::Undefined {
                    machine: part.machine.clone(),
                    section: part.section.clone(),
                    objective: objective.key(),
                    why,
                })
            };
            let terms = measures.iter().map(term).collect::<Result<_, _>>()?;
            Ok(Section { anomalous: labels.clone(), terms })
        };
        let sections = set.parts.iter().zip(&set.labels).map(section).collect::<Result<_, _>>()?;
        Ok(Self { measures: measures.len(), sections })
    }

    /// The objective of the fused scores of every section, in their order.
    ///
    /// # Errors
    /// A score that is not finite.
    pub fn value(&self, fused: &[Vec<f64>]) -> Result<f64, Error> {
        let values = self.values(fused)?;
        Ok(self.mean(0..self.sections.len(), &values))
    }

    /// Every metric of every section, `[section][measure]`.
    ///
    /// # Errors
    /// As [`Evaluator::value`].
    pub fn values(&self, fused: &[Vec<f64>]) -> Result<Vec<Vec<f64>>, Error> {
        let of = |(section, fused): (&Section, &Vec<f64>)| {
            let ranked = Ranked::new(fused, &section.anomalous)?;
            // Every term has both classes, which was checked.
            Ok(section.terms.iter().filter_map(|term| term.value(&ranked, &term.chosen)).collect())
        };
        self.sections.iter().zip(fused).map(of).collect()
    }

    /// The harmonic mean over some sections: all of the first metric, then of the next, which is the order of the official
    /// sum and gives its rounding.
    pub fn mean(&self, sections: impl Iterator<Item = usize> + Clone, values: &[Vec<f64>]) -> f64 {
        let (mut count, mut sum) = (0.0, 0.0);
        for measure in 0..self.measures {
            for section in sections.clone() {
                count += 1.0;
                sum += 1.0 / values[section][measure].max(f64::EPSILON);
            }
        }
        count / sum
    }

    /// Every section's scores sorted once, for resamples.
    ///
    /// # Errors
    /// A score that is not finite.
    pub fn ranked(&self, fused: &[Vec<f64>]) -> Result<Vec<Ranked>, Error> {
        let sections = self.sections.iter().zip(fused);
        Ok(sections
            .map(|(section, fused)| Ranked::new(fused, &section.anomalous))
            .collect::<Result<_, _>>()?)
    }

    /// The objective of a resample: `weights` are those of the sections' clips, one section after the other.
    pub fn weighted(&self, ranked: &[Ranked], weights: &[u32]) -> Option<f64> {
        let (mut rest, mut scratch, mut values) = (weights, Vec::new(), Vec::with_capacity(ranked.len()));
        for (section, ranked) in self.sections.iter().zip(ranked) {
            let (own, after) = rest.split_at(section.anomalous.len());
            rest = after;
            let of = |term: &Term| {
                scratch.clear();
                scratch.extend(own.iter().zip(&term.chosen).map(|(&weight, &chosen)| weight * chosen));
                term.value(ranked, &scratch)
            };
            values.push(section.terms.iter().map(of).collect::<Option<Vec<f64>>>()?);
        }
        Some(self.mean(0..values.len(), &values))
    }
}

impl Term {
    /// `measure` of a section's clips: the AUC of a domain sets its normal clips against all anomalous ones, in 2021 against
    /// its own.
    fn new(part: &Part, labels: &[bool], measure: Measure, year: Year) -> Result<Self, String> {
        let partial = matches!(measure, Measure::Pauc | Measure::PaucSource | Measure::PaucTarget);
        let others_anomalies = !partial && year != Year::Y2021;
        let domain = measure.domain();
        let belongs = |(&of_clip, &anomalous): (&Option<Domain>, &bool)| {
            domain.is_none() || of_clip == domain || (others_anomalies && anomalous)
        };
        let chosen: Vec<bool> = part.domains.iter().zip(labels).map(belongs).collect();
        let has = |class: bool| chosen.iter().zip(labels).any(|(&chosen, &label)| chosen && label == class);
        let of = domain.map_or_else(String::new, |domain| format!(" of the {} domain", domain.token()));
        if domain.is_some() && part.domains.iter().all(Option::is_none) {
            return Err("the clips' domains are unknown: neither names nor ground truth tell them".to_owned());
        }
        // They would leave the AUCs of both domains without a word.
        if domain.is_some()
            && let Some(clip) = part.domains.iter().position(Option::is_none)
        {
            let file = &part.files[clip];
            return Err(format!("the domain of `{file}` is unknown, while other clips' domains are known"));
        }
        match (has(false), has(true)) {
            (false, _) => Err(format!("there is no normal clip{of}")),
            (_, false) if others_anomalies => Err("there is no anomalous clip".to_owned()),
            (_, false) => Err(format!("there is no anomalous clip{of}")),
            (true, true) => Ok(Self { partial, chosen: chosen.into_iter().map(u32::from).collect() }),
        }
    }

    fn value(&self, ranked: &Ranked, weights: &[u32]) -> Option<f64> {
        match self.partial {
            true => ranked.weighted_partial_auc(weights, MAX_FPR),
            false => ranked.weighted_auc(weights),
        }
    }
}
