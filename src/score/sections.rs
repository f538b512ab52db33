//! AUC per section and its mean, with the reason beside what cannot be had.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::metric;

/// A labelled test clip, as far as an evaluation needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeClip {
    /// File name. Splits sort by it; row order decides between equal names.
    pub name: String,
    /// Section, or the machine ID that plays its role.
    pub section: String,
    /// Whether the clip is labelled anomalous.
    pub anomalous: bool,
}

/// AUC of every section and their arithmetic mean.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct SectionAucs {
    /// Mean over the sections that have an AUC; none where no section has one.
    pub auc: Option<f64>,
    /// Why a value is missing, here or in `sections`; none where nothing is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// AUC by section, 0..=1.
    pub sections: BTreeMap<String, Option<f64>>,
}

impl SectionAucs {
    /// No value at all, for the reason `why`.
    pub fn missing(why: impl Into<String>) -> Self {
        Self { why: Some(why.into()), ..Self::default() }
    }

    /// AUC per section of `scores` (higher is more anomalous), one score per clip.
    pub fn of_scores(scores: &[f64], clips: &[ProbeClip]) -> Self {
        let outcomes = sections(clips).into_iter().map(|section| {
            let rows: Vec<usize> = (0..clips.len()).filter(|&i| clips[i].section == section).collect();
            (section.to_owned(), auc_of_rows(scores, clips, &rows))
        });
        Self::of_outcomes(outcomes)
    }

    /// Gathers the AUC, or the reason for its absence, of every section.
    pub(super) fn of_outcomes(outcomes: impl IntoIterator<Item = (String, Result<f64, String>)>) -> Self {
        let mut sections = BTreeMap::new();
        let mut reasons = Vec::new();
        for (section, outcome) in outcomes {
            if let Err(why) = &outcome {
                reasons.push(format!("section {section}: {why}"));
            }
            sections.insert(section, outcome.ok());
        }
        if sections.is_empty() {
            return Self::missing("no labelled test clips");
        }
        let known: Vec<f64> = sections.values().flatten().copied().collect();
        let auc = (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64);
        let why = (!reasons.is_empty()).then(|| reasons.join("; "));
        Self { auc, why, sections }
    }
}

/// The sections of `clips`, each once, sorted.
pub(super) fn sections(clips: &[ProbeClip]) -> Vec<&str> {
    let mut names: Vec<&str> = clips.iter().map(|clip| clip.section.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// AUC of the clips `rows`, whose scores are `scores[row]`.
pub(super) fn auc_of_rows(scores: &[f64], clips: &[ProbeClip], rows: &[usize]) -> Result<f64, String> {
    let chosen: Vec<f64> = rows.iter().map(|&row| scores[row]).collect();
    let labels: Vec<bool> = rows.iter().map(|&row| clips[row].anomalous).collect();
    metric::auc(&chosen, &labels).map_err(|why| why.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clip(section: &str, anomalous: bool) -> ProbeClip {
        ProbeClip { name: String::new(), section: section.into(), anomalous }
    }

    #[test]
    fn sections_are_averaged_and_not_pooled() {
        let clips = [clip("01", true), clip("00", false), clip("00", true), clip("01", false)];
        // Section 00 ranks right, 01 wrong; pooled it would be 2 of 4 pairs as well as here, so give 01 a tie.
        let found = SectionAucs::of_scores(&[5.0, 0.0, 1.0, 5.0], &clips);
        assert_eq!(found.sections, BTreeMap::from([("00".into(), Some(1.0)), ("01".into(), Some(0.5))]));
        assert_eq!((found.auc, found.why), (Some(0.75), None));
    }

    #[test]
    fn what_cannot_be_had_is_null_with_its_reason() {
        let clips = [clip("00", false), clip("00", true), clip("01", false)];
        let found = SectionAucs::of_scores(&[0.0, 1.0, 2.0], &clips);
        assert_eq!((found.auc, found.sections["01"]), (Some(1.0), None));
        assert!(found.why.as_deref().unwrap().starts_with("section 01: "), "{found:?}");

        let none = SectionAucs::of_scores(&[2.0], &clips[2..]);
        let json = serde_json::to_value(&none).unwrap();
        assert!(
            json["auc"].is_null() && json["sections"]["01"].is_null() && json["why"].is_string(),
            "{json}"
        );
        assert_eq!(serde_json::from_value::<SectionAucs>(json).unwrap(), none);
        assert_eq!(SectionAucs::of_scores(&[], &[]).auc, None);
    }
}
