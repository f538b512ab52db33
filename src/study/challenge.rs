//! A run's scores as the challenge judges them: its metrics, its decision threshold, its files.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Error;
use crate::config::Layout;
use crate::dataset::LabelledClip;
use crate::official::{
    self, MachineScores, Measure, Metrics, NormalScores, OFFICIAL_QUANTILE, Row, ScoredClip, SectionScores,
    Submission, Threshold, ThresholdMethod, Year, gamma_threshold,
};

/// The challenge's metrics of a run: the `official` object of an `eval.json`.
///
/// The four values that scripts read are those of the run's one machine: means over its sections, and Ω.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OfficialMetrics {
    /// Whose rules; none where there are no scores.
    pub year: Option<u16>,
    /// Arithmetic mean over sections of the AUC of the source domain.
    pub auc_source: Option<f64>,
    /// Arithmetic mean over sections of the AUC of the target domain.
    pub auc_target: Option<f64>,
    /// Arithmetic mean over sections of the partial AUC.
    pub pauc: Option<f64>,
    /// Harmonic mean of every AUC and partial AUC of every section.
    pub omega: Option<f64>,
    /// Why values are missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// All metrics of the year, arithmetic means over sections.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub arithmetic_mean: Values,
    /// All metrics of the year, harmonic means over sections.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub harmonic_mean: Values,
    /// All metrics of the year by section.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sections: BTreeMap<String, Values>,
    /// What clips are called anomalous above.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<DecisionThreshold>,
}

/// Metrics by the names of `official::Measure`.
pub type Values = BTreeMap<String, Option<f64>>;

/// The decision threshold, from the scores of training clips alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DecisionThreshold {
    /// In the scores' unit; a clip is called anomalous when its score is larger.
    pub value: f64,
    /// Share of normal clips below it by the fitted distribution.
    pub quantile: f64,
    /// `gamma-fit`, or `percentile` of the training scores where the fit failed.
    pub method: String,
    /// Why the fit was not taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

impl OfficialMetrics {
    /// No metric, for one reason.
    pub fn missing(why: String) -> Self {
        Self {
            year: None,
            auc_source: None,
            auc_target: None,
            pauc: None,
            omega: None,
            why: Some(why),
            arithmetic_mean: Values::new(),
            harmonic_mean: Values::new(),
            sections: BTreeMap::new(),
            threshold: None,
        }
    }
}

/// A run's test clips as the challenge takes them.
#[derive(Debug, Clone)]
pub(super) struct Challenge<'a> {
    pub machine: &'a str,
    pub year: Year,
    /// In the order of `scores`.
    pub clips: &'a [&'a LabelledClip],
    pub scores: &'a [f64],
    threshold: Result<Threshold, String>,
}

impl<'a> Challenge<'a> {
    /// The threshold knows no scores but `training`.
    pub fn new(
        machine: &'a str,
        layout: Layout,
        clips: &'a [&'a LabelledClip],
        scores: &'a [f64],
        training: &NormalScores,
    ) -> Self {
        Self::of_threshold(machine, year(layout), clips, scores, threshold(training))
    }

    /// Of clips that were scored before, under the rules of `year` and a threshold that is known.
    pub fn of_threshold(
        machine: &'a str,
        year: Year,
        clips: &'a [&'a LabelledClip],
        scores: &'a [f64],
        threshold: Result<Threshold, String>,
    ) -> Self {
        Self { machine, year, clips, scores, threshold }
    }

    /// Whether each clip is called anomalous.
    pub fn decisions(&self) -> Option<Vec<bool>> {
        let threshold = self.threshold.as_ref().ok()?;
        Some(self.scores.iter().map(|score| threshold.is_anomalous(*score)).collect())
    }

    /// The metrics of the labelled clips.
    pub fn metrics(&self) -> OfficialMetrics {
        let decisions = self.decisions();
        let mut sections: BTreeMap<&str, Vec<Row>> = BTreeMap::new();
        for (index, labelled) in self.clips.iter().enumerate() {
            let Some(anomalous) = labelled.anomalous else { continue };
            let clip = &labelled.clip;
            sections.entry(&clip.section).or_default().push(Row {
                // The whole path: one name may lie in two folders, and rows differ by their names.
                file: clip.path.to_string_lossy().into_owned(),
                score: self.scores[index],
                decision: decisions.as_ref().map(|decisions| decisions[index]),
                anomalous,
                domain: clip.domain,
            });
        }
        if sections.is_empty() {
            return OfficialMetrics::missing("no test clip has a label".into());
        }
        let sections = sections
            .into_iter()
            .map(|(section, mut rows)| {
                rows.sort_by(|a, b| a.file.cmp(&b.file));
                SectionScores { section: section.to_owned(), rows }
            })
            .collect();
        let report = official::evaluate(&Submission {
            folder: PathBuf::new(),
            year: self.year,
            detected: false,
            notes: Vec::new(),
            machines: vec![MachineScores { machine: self.machine.to_owned(), sections }],
        });
        let machine = &report.machines[0];
        let mean = |measure| machine.arithmetic_mean.get(measure);
        let why = [self.threshold.as_ref().err().cloned(), machine.arithmetic_mean.why(), report.why.clone()];
        let mut reasons: Vec<String> = why.into_iter().flatten().collect();
        reasons.dedup();
        reasons.extend(self.unlabelled());
        OfficialMetrics {
            year: Some(self.year.number()),
            auc_source: mean(Measure::AucSource),
            auc_target: mean(Measure::AucTarget),
            pauc: mean(Measure::Pauc),
            omega: report.official_score,
            why: (!reasons.is_empty()).then(|| reasons.join("; ")),
            arithmetic_mean: values(&machine.arithmetic_mean),
            harmonic_mean: values(&machine.harmonic_mean),
            sections: machine
                .sections
                .iter()
                .map(|one| (one.section.clone(), values(&one.metrics)))
                .collect(),
            threshold: self.threshold.as_ref().ok().map(decision_threshold),
        }
    }

    /// What the metrics do not rest on although it is there.
    fn unlabelled(&self) -> Option<String> {
        let (mut clips, mut unknown, mut known) = (0, BTreeSet::new(), BTreeSet::new());
        for labelled in self.clips {
            let section = labelled.clip.section.as_str();
            let of_its_kind = if labelled.anomalous.is_some() { &mut known } else { &mut unknown };
            of_its_kind.insert(section);
            clips += usize::from(labelled.anomalous.is_none());
        }
        let without: Vec<&str> = unknown.difference(&known).copied().collect();
        let sections = match without.as_slice() {
            [] => String::new(),
            sections => format!(", among them all of section {}", sections.join(", ")),
        };
        let all = self.clips.len();
        (clips > 0).then(|| {
            format!("{clips} of {all} test clips have no label{sections}: they are scored, not judged")
        })
    }

    /// Write the score and decision files of all test clips, with or without labels, into `folder`; their paths.
    ///
    /// # Errors
    /// A section or a clip that does not fit into the challenge's names, a folder that cannot be written.
    pub fn write(&self, folder: &Path) -> Result<Vec<PathBuf>, Error> {
        let decisions = self.decisions();
        let mut sections: BTreeMap<&str, Vec<ScoredClip>> = BTreeMap::new();
        for (index, labelled) in self.clips.iter().enumerate() {
            sections.entry(&labelled.clip.section).or_default().push(ScoredClip {
                file: labelled.clip.file_name().to_owned(),
                score: self.scores[index],
                decision: decisions.as_ref().map(|decisions| decisions[index]),
                domain: labelled.clip.domain,
            });
        }
        let mut written = Vec::new();
        for (section, clips) in sections {
            written.extend(official::write_submission(folder, self.year, self.machine, section, &clips)?);
        }
        Ok(written)
    }
}

/// The threshold that training scores give, or why they give none.
pub(super) fn threshold(training: &NormalScores) -> Result<Threshold, String> {
    gamma_threshold(training, OFFICIAL_QUANTILE).map_err(|error| format!("no decisions: failed to {error}"))
}

fn values(metrics: &Metrics) -> Values {
    metrics.iter().map(|(measure, value)| (measure.key().to_owned(), value.ok())).collect()
}

fn decision_threshold(threshold: &Threshold) -> DecisionThreshold {
    let (method, why) = match &threshold.method {
        ThresholdMethod::GammaFit => ("gamma-fit", None),
        ThresholdMethod::Fallback(why) => ("percentile", Some(why.clone())),
    };
    DecisionThreshold { value: threshold.value, quantile: OFFICIAL_QUANTILE, method: method.into(), why }
}

/// The rules that fit a layout; those of 2022 have held since.
fn year(layout: Layout) -> Year {
    match layout {
        // Machine IDs, no domains.
        Layout::Dcase2020 | Layout::Mimii => Year::Y2020,
        Layout::Dcase2021 => Year::Y2021,
        Layout::Auto | Layout::Dcase2022 => Year::Y2022,
        Layout::Dcase2023 => Year::Y2023,
        Layout::Dcase2024 => Year::Y2024,
        Layout::Dcase2025 => Year::Y2025,
        Layout::Dcase2026 => Year::Y2026,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::{Clip, Domain};

    fn clip(section: &str, domain: Domain, anomalous: Option<bool>, number: usize) -> LabelledClip {
        let label = match anomalous {
            Some(true) => "anomaly",
            Some(false) => "normal",
            None => "unknown",
        };
        let name =
            format!("fan/test/section_{section}_{}_test_{label}_{number:04}_spd_1.wav", domain.token());
        let clip = Clip {
            path: name.into(),
            machine: "fan".into(),
            section: section.into(),
            domain: Some(domain),
            attributes: Vec::new(),
        };
        LabelledClip { clip, anomalous }
    }

    /// One section: source separated but for one pair, target at random.
    fn clips() -> (Vec<LabelledClip>, Vec<f64>) {
        let mut clips = Vec::new();
        let mut scores = Vec::new();
        for (domain, normal, anomaly) in [(Domain::Source, 1.0, 3.0), (Domain::Target, 2.0, 2.0)] {
            for number in 0..4 {
                clips.push(clip("00", domain, Some(number % 2 == 1), number));
                scores.push(if number % 2 == 1 { anomaly } else { normal });
            }
        }
        (clips, scores)
    }

    fn training() -> NormalScores {
        let scores = (1..200).map(|k| 1.0 + 0.3 * -(1.0 - f64::from(k) / 200.0).ln());
        NormalScores::of_training_clips(scores.collect())
    }

    #[test]
    fn a_runs_metrics_are_those_of_the_files_that_it_writes() {
        let (labelled, scores) = clips();
        let clips: Vec<&LabelledClip> = labelled.iter().collect();
        let training = training();
        let challenge = Challenge::new("fan", Layout::Dcase2022, &clips, &scores, &training);
        let found = challenge.metrics();
        // Source normals (1, 1) against anomalies (3, 3, 2, 2) of both domains; target normals (2, 2).
        assert_eq!((found.auc_source, found.auc_target), (Some(1.0), Some(0.75)));
        assert_eq!(found.why, None);
        let folder = tempfile::tempdir().unwrap();
        challenge.write(folder.path()).unwrap();
        let read = official::evaluate(&official::read(folder.path(), None, None).unwrap());
        assert!(found.omega.is_some());
        assert_eq!(read.official_score, found.omega);
        let mean = &read.machines[0].arithmetic_mean;
        assert_eq!(values(mean), found.arithmetic_mean);
        // Above the 90th percentile of the training scores: 1 + 0.3 · ln 10 = 1.7.
        let threshold = found.threshold.unwrap();
        assert!((threshold.value - 1.7).abs() < 0.1, "{threshold:?}");
        assert_eq!(found.arithmetic_mean["precision_source"], Some(1.0));
        assert_eq!(found.arithmetic_mean["precision_target"], Some(0.5));
    }

    #[test]
    fn unlabelled_clips_are_written_and_not_judged() {
        let (mut labelled, scores) = clips();
        labelled.iter_mut().for_each(|clip| clip.anomalous = None);
        let clips: Vec<&LabelledClip> = labelled.iter().collect();
        let training = training();
        let challenge = Challenge::new("fan", Layout::Dcase2022, &clips, &scores, &training);
        let found = challenge.metrics();
        assert_eq!((found.omega, found.why.as_deref()), (None, Some("no test clip has a label")));
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(challenge.write(folder.path()).unwrap().len(), 2);
    }

    #[test]
    fn a_section_without_labels_is_said() {
        let (mut labelled, mut scores) = clips();
        labelled.push(clip("01", Domain::Source, None, 0));
        scores.push(1.0);
        let clips: Vec<&LabelledClip> = labelled.iter().collect();
        let found = Challenge::new("fan", Layout::Dcase2022, &clips, &scores, &training()).metrics();
        assert!(found.omega.is_some());
        let why = found.why.unwrap();
        assert!(why.contains("1 of 9 test clips") && why.contains("section 01"), "{why}");
    }

    #[test]
    fn without_domains_there_is_the_plain_auc() {
        let (mut labelled, scores) = clips();
        labelled.iter_mut().for_each(|clip| clip.clip.domain = None);
        let clips: Vec<&LabelledClip> = labelled.iter().collect();
        let training = training();
        let found = Challenge::new("fan", Layout::Mimii, &clips, &scores, &training).metrics();
        assert_eq!((found.auc_source, found.omega), (None, None));
        assert!(found.why.is_some());
        // Normals 1, 1, 2, 2 against 3, 3, 2, 2: 12 pairs won and 4 tied of 16.
        assert_eq!(found.arithmetic_mean["auc"], Some(14.0 / 16.0));
    }
}
