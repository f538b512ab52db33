//! The metrics of both systems under a resample of the clips.

use super::SectionComparison;
use super::pairing::{PairedSection, Scores};
use crate::metric::{Ranked, Undefined};
use crate::official::{MAX_FPR, Measure, Year};
use crate::stats;

/// One of the metrics that a section's values are made of.
struct Term {
    partial: bool,
    /// Whether each clip of the section belongs to it; none where all do.
    chosen: Option<Vec<bool>>,
}

impl Term {
    /// `measure` of the clips of a section: the AUC of a domain sets its normal clips against all anomalous ones, in 2021
    /// against its own.
    fn new(measure: Measure, section: &PairedSection, year: Year) -> Self {
        let partial = matches!(measure, Measure::Pauc | Measure::PaucSource | Measure::PaucTarget);
        let chosen = measure.domain().map(|domain| {
            let others_anomalies = !partial && year != Year::Y2021;
            let belongs = |clip: &super::pairing::Clip| {
                clip.domain == Some(domain) || (others_anomalies && clip.anomalous)
            };
            // A domain that no clip has would set nothing against all anomalies: no value, as nothing is chosen.
            let known = section.clips.iter().any(|clip| clip.domain == Some(domain));
            section.clips.iter().map(|clip| known && belongs(clip)).collect()
        });
        Self { partial, chosen }
    }

    /// Its value, with `scratch` for the weights of the chosen clips.
    fn value(&self, ranked: &Ranked, weights: &[u32], scratch: &mut Vec<u32>) -> Option<f64> {
        let weights = match &self.chosen {
            None => weights,
            Some(chosen) => {
                scratch.clear();
                scratch
                    .extend(weights.iter().zip(chosen).map(|(&weight, &chosen)| weight * u32::from(chosen)));
                scratch
            }
        };
        match self.partial {
            true => ranked.weighted_partial_auc(weights, MAX_FPR),
            false => ranked.weighted_auc(weights),
        }
    }
}

/// A section, its terms, and its scores sorted once.
struct Section<'a> {
    paired: &'a PairedSection,
    /// Partial AUCs, whose mean is the section's.
    partial: Vec<Term>,
    /// AUCs that go into Ω beside the partial ones.
    aucs: Vec<Term>,
    /// Both systems' scores, for each seed.
    ranked: Vec<Result<[Ranked; 2], Undefined>>,
}

/// All sections, ready to be measured.
pub(super) struct Measured<'a> {
    sections: Vec<Section<'a>>,
    /// Each machine's sections: its range in `sections`.
    machines: Vec<(&'a str, std::ops::Range<usize>)>,
    year: Year,
}

/// Sums over sections that become means.
#[derive(Clone, Copy, Default)]
struct Sums {
    auc: Option<f64>,
    pauc: Option<f64>,
    /// Of reciprocals.
    omega: Option<f64>,
    sections: f64,
    terms: f64,
}

impl Sums {
    const NONE_YET: Self =
        Self { auc: Some(0.0), pauc: Some(0.0), omega: Some(0.0), sections: 0.0, terms: 0.0 };

    fn add(&mut self, other: &Self) {
        let sum = |a: Option<f64>, b: Option<f64>| Some(a? + b?);
        self.auc = sum(self.auc, other.auc);
        self.pauc = sum(self.pauc, other.pauc);
        self.omega = sum(self.omega, other.omega);
        self.sections += other.sections;
        self.terms += other.terms;
    }

    /// Mean AUC, mean partial AUC, Ω.
    fn means(&self) -> [Option<f64>; 3] {
        let omega = self.omega.filter(|_| self.terms > 0.0).map(|sum| self.terms / sum);
        [self.auc.map(|sum| sum / self.sections), self.pauc.map(|sum| sum / self.sections), omega]
    }
}

impl<'a> Measured<'a> {
    /// `sections` are sorted by machine.
    pub fn new(sections: &'a [PairedSection], year: Year) -> Self {
        let machines = sections.chunk_by(|a, b| a.machine == b.machine).scan(0, |start, own| {
            let range = *start..*start + own.len();
            *start = range.end;
            Some((own[0].machine.as_str(), range))
        });
        let machines = machines.collect();
        Self {
            sections: sections.iter().map(|section| Section::new(section, year)).collect(),
            machines,
            year,
        }
    }

    /// Their names, sorted.
    pub fn machines(&self) -> Vec<&'a str> {
        self.machines.iter().map(|(name, _)| *name).collect()
    }

    /// Nine values per machine and nine over all: AUC, partial AUC and Ω, each of a, of b, and a − b. `weights` are those of
    /// the sections' clips, one section after the other.
    pub fn statistics(&self, weights: &[u32]) -> Vec<Option<f64>> {
        let mut scratch = Vec::new();
        let mut rest = weights;
        let mut overall = [Sums::NONE_YET; 2];
        let mut values = Vec::with_capacity(9 * (self.machines.len() + 1));
        for (_, range) in &self.machines {
            let mut machine = [Sums::NONE_YET; 2];
            for section in &self.sections[range.clone()] {
                let (own, after) = rest.split_at(section.paired.clips.len());
                rest = after;
                for (sums, of_section) in machine.iter_mut().zip(section.sums(own, &mut scratch)) {
                    sums.add(&of_section);
                }
            }
            values.extend(differences(&machine));
            for (sums, of_machine) in overall.iter_mut().zip(&machine) {
                sums.add(of_machine);
            }
        }
        values.extend(differences(&overall));
        values
    }

    /// Why values are missing, for AUC, partial AUC and Ω of every machine and of all.
    pub fn reasons(&self) -> Vec<[Option<String>; 3]> {
        let of = |sections: &[Section]| -> [Option<String>; 3] {
            let undefined = sections.iter().find_map(|section| {
                let why = section.ranked.iter().find_map(|ranked| ranked.as_ref().err())?;
                Some(format!("{} section {}: {why}", section.paired.machine, section.paired.section))
            });
            let domains = sections.iter().find(|section| section.lacks_domain()).map(|section| {
                let PairedSection { machine, section, .. } = section.paired;
                format!("{machine} section {section}: a domain has no normal or no anomalous clips, or is not known")
            });
            let pauc = undefined.clone().or_else(|| domains.clone().filter(|_| self.year == Year::Y2021));
            let no_score = Measure::of_official_score(self.year).is_empty();
            let omega = no_score.then(|| format!("the challenge of {} had no official score", self.year));
            [undefined.clone(), pauc, undefined.or(omega).or(domains)]
        };
        let machines = self.machines.iter().map(|(_, range)| of(&self.sections[range.clone()]));
        machines.chain([of(&self.sections)]).collect()
    }

    /// DeLong's comparison of every section and seed, with its machine; not yet adjusted.
    pub fn sections(&self) -> Vec<(String, SectionComparison)> {
        let of = |section: &Section<'a>| -> Vec<(String, SectionComparison)> {
            let paired = section.paired;
            paired.scores.iter().map(|scores| (paired.machine.clone(), delong(paired, scores))).collect()
        };
        self.sections.iter().flat_map(of).collect()
    }
}

impl<'a> Section<'a> {
    fn new(paired: &'a PairedSection, year: Year) -> Self {
        let term = |measure: &Measure| Term::new(*measure, paired, year);
        let official = Measure::of_official_score(year);
        // 2020 has no official score, and still a partial AUC.
        let official = if official.is_empty() { &[Measure::Pauc] } else { official };
        let (partial, aucs) = official.iter().map(term).partition(|term| term.partial);
        let anomalous: Vec<bool> = paired.clips.iter().map(|clip| clip.anomalous).collect();
        let rank =
            |scores: &Scores| Ok([Ranked::new(&scores.a, &anomalous)?, Ranked::new(&scores.b, &anomalous)?]);
        Self { paired, partial, aucs, ranked: paired.scores.iter().map(rank).collect() }
    }

    /// What this section, with all its seeds, adds to the sums of a and of b.
    fn sums(&self, weights: &[u32], scratch: &mut Vec<u32>) -> [Sums; 2] {
        let mut both = [Sums::NONE_YET; 2];
        for ranked in &self.ranked {
            for (system, sums) in both.iter_mut().enumerate() {
                let one = match ranked {
                    Ok(ranked) => self.one(&ranked[system], weights, scratch),
                    Err(_) => Sums { sections: 1.0, ..Sums::default() },
                };
                sums.add(&one);
            }
        }
        both
    }

    /// One system, one seed.
    fn one(&self, ranked: &Ranked, weights: &[u32], scratch: &mut Vec<u32>) -> Sums {
        let floored = |sum: Option<f64>, value: Option<f64>| Some(sum? + 1.0 / value?.max(f64::EPSILON));
        let (mut pauc, mut omega) = (Some(0.0), Some(0.0));
        for term in &self.partial {
            let value = term.value(ranked, weights, scratch);
            pauc = pauc.zip(value).map(|(sum, value)| sum + value);
            omega = floored(omega, value);
        }
        for term in &self.aucs {
            omega = floored(omega, term.value(ranked, weights, scratch));
        }
        // Without AUCs beside them the partial ones are no official score.
        let terms = if self.aucs.is_empty() { 0 } else { self.partial.len() + self.aucs.len() };
        Sums {
            auc: ranked.weighted_auc(weights),
            pauc: pauc.map(|sum| sum / self.partial.len() as f64),
            omega,
            sections: 1.0,
            terms: terms as f64,
        }
    }

    /// Whether a term has clips of one class at most.
    fn lacks_domain(&self) -> bool {
        let lacks = |chosen: &Vec<bool>, class: bool| {
            !self.paired.clips.iter().zip(chosen).any(|(clip, &chosen)| chosen && clip.anomalous == class)
        };
        let terms = self.partial.iter().chain(&self.aucs);
        terms
            .filter_map(|term| term.chosen.as_ref())
            .any(|chosen| lacks(chosen, true) || lacks(chosen, false))
    }
}

fn differences([a, b]: &[Sums; 2]) -> impl Iterator<Item = Option<f64>> {
    let pairs = a.means().into_iter().zip(b.means());
    pairs.flat_map(|(a, b)| [a, b, a.zip(b).map(|(a, b)| a - b)])
}

fn delong(paired: &PairedSection, scores: &Scores) -> SectionComparison {
    let anomalous: Vec<bool> = paired.clips.iter().map(|clip| clip.anomalous).collect();
    let mut found = SectionComparison {
        section: paired.section.clone(),
        seed: scores.seed,
        clips: paired.clips.len(),
        auc_a: None,
        auc_b: None,
        difference: None,
        interval: None,
        p: None,
        p_holm: None,
        why: None,
    };
    match stats::delong(&scores.a, &scores.b, &anomalous) {
        Ok(test) => {
            found.auc_a = Some(test.auc_a);
            found.auc_b = Some(test.auc_b);
            found.difference = Some(test.difference);
            found.interval = Some(test.interval);
            found.p = test.p;
            let without = "the AUCs differ and have no variance: both systems separate the clips wholly, rightly or wrongly";
            found.why = test.p.is_none().then(|| without.to_owned());
        }
        Err(error) => found.why = Some(format!("failed to {error}")),
    }
    found
}
