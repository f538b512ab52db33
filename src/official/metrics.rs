//! The challenge's metrics by name, for a section and as means.

use std::collections::BTreeMap;

use serde::ser::{Serialize, SerializeMap, Serializer};

use super::Year;
use crate::dataset::Domain;

/// One of the challenge's metrics. All are in 0..=1, and higher is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Measure {
    /// AUC; in 2021 only as a mean over sections and domains.
    Auc,
    /// AUC of the source domain.
    AucSource,
    /// AUC of the target domain.
    AucTarget,
    /// Partial AUC; in 2021 only as a mean over sections and domains.
    Pauc,
    /// Partial AUC of the source domain (2021).
    PaucSource,
    /// Partial AUC of the target domain (2021).
    PaucTarget,
    /// Precision, as a mean over sections and domains (2021).
    Precision,
    /// Precision of the source domain.
    PrecisionSource,
    /// Precision of the target domain.
    PrecisionTarget,
    /// Recall, as a mean over sections and domains (2021).
    Recall,
    /// Recall of the source domain.
    RecallSource,
    /// Recall of the target domain.
    RecallTarget,
    /// F1 score, as a mean over sections and domains (2021).
    F1,
    /// F1 score of the source domain.
    F1Source,
    /// F1 score of the target domain.
    F1Target,
}

use Measure::{
    Auc, AucSource, AucTarget, F1, F1Source, F1Target, Pauc, PaucSource, PaucTarget, Precision,
    PrecisionSource, PrecisionTarget, Recall, RecallSource, RecallTarget,
};

impl Measure {
    /// The metrics of a section, in the order of the official tables.
    pub fn of(year: Year) -> &'static [Self] {
        match year {
            Year::Y2020 => &[Auc, Pauc],
            Year::Y2021 => &[
                AucSource,
                AucTarget,
                PaucSource,
                PaucTarget,
                PrecisionSource,
                PrecisionTarget,
                RecallSource,
                RecallTarget,
                F1Source,
                F1Target,
            ],
            _ => &[
                AucSource,
                AucTarget,
                Pauc,
                PrecisionSource,
                PrecisionTarget,
                RecallSource,
                RecallTarget,
                F1Source,
                F1Target,
            ],
        }
    }

    /// What goes into the official score; nothing in 2020, which had none.
    pub fn of_official_score(year: Year) -> &'static [Self] {
        match year {
            Year::Y2020 => &[],
            Year::Y2021 => &[AucSource, AucTarget, PaucSource, PaucTarget],
            _ => &[AucSource, AucTarget, Pauc],
        }
    }

    /// The 2021 means over sections and domains: name, and the two that go in.
    pub(super) fn pooled(year: Year) -> &'static [(Self, [Self; 2])] {
        match year {
            Year::Y2021 => &[
                (Auc, [AucSource, AucTarget]),
                (Pauc, [PaucSource, PaucTarget]),
                (Precision, [PrecisionSource, PrecisionTarget]),
                (Recall, [RecallSource, RecallTarget]),
                (F1, [F1Source, F1Target]),
            ],
            _ => &[],
        }
    }

    /// The name in JSON.
    pub fn key(self) -> &'static str {
        match self {
            Auc => "auc",
            AucSource => "auc_source",
            AucTarget => "auc_target",
            Pauc => "pauc",
            PaucSource => "pauc_source",
            PaucTarget => "pauc_target",
            Precision => "precision",
            PrecisionSource => "precision_source",
            PrecisionTarget => "precision_target",
            Recall => "recall",
            RecallSource => "recall_source",
            RecallTarget => "recall_target",
            F1 => "f1",
            F1Source => "f1_source",
            F1Target => "f1_target",
        }
    }

    /// The name in a table's head.
    pub fn title(self) -> &'static str {
        match self {
            Auc => "AUC",
            AucSource => "AUC (source)",
            AucTarget => "AUC (target)",
            Pauc => "pAUC",
            PaucSource => "pAUC (source)",
            PaucTarget => "pAUC (target)",
            Precision => "prec.",
            PrecisionSource => "prec. (s)",
            PrecisionTarget => "prec. (t)",
            Recall => "recall",
            RecallSource => "recall (s)",
            RecallTarget => "recall (t)",
            F1 => "F1",
            F1Source => "F1 (s)",
            F1Target => "F1 (t)",
        }
    }

    /// The domain that it is about.
    pub fn domain(self) -> Option<Domain> {
        match self {
            AucSource | PaucSource | PrecisionSource | RecallSource | F1Source => Some(Domain::Source),
            AucTarget | PaucTarget | PrecisionTarget | RecallTarget | F1Target => Some(Domain::Target),
            Auc | Pauc | Precision | Recall | F1 => None,
        }
    }
}

/// Values of several metrics, each there or with the reason why not.
///
/// In JSON an object: `{"auc_source": 0.87, "auc_target": null, …, "why": "auc_target: …"}`.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Metrics(BTreeMap<Measure, Result<f64, String>>);

impl Metrics {
    /// The value, if there is one.
    pub fn get(&self, measure: Measure) -> Option<f64> {
        self.0.get(&measure)?.as_ref().ok().copied()
    }

    /// The value or the reason; `None` where the metric does not belong to the year.
    pub fn entry(&self, measure: Measure) -> Option<Result<f64, &str>> {
        Some(self.0.get(&measure)?.as_ref().copied().map_err(String::as_str))
    }

    /// All metrics and their values or reasons.
    pub fn iter(&self) -> impl Iterator<Item = (Measure, Result<f64, &str>)> {
        self.0.iter().map(|(measure, value)| (*measure, value.as_ref().copied().map_err(String::as_str)))
    }

    /// Why values are missing, each reason once: `precision_source, precision_target: no decision file`. `None` where
    /// nothing is.
    pub fn why(&self) -> Option<String> {
        let mut reasons: Vec<(&str, Vec<&str>)> = Vec::new();
        for (measure, value) in self.iter() {
            let Err(why) = value else { continue };
            match reasons.iter_mut().find(|(known, _)| *known == why) {
                Some((_, measures)) => measures.push(measure.key()),
                None => reasons.push((why, vec![measure.key()])),
            }
        }
        let lines: Vec<String> =
            reasons.into_iter().map(|(why, measures)| format!("{}: {why}", measures.join(", "))).collect();
        (!lines.is_empty()).then(|| lines.join("; "))
    }

    pub(super) fn set(&mut self, measure: Measure, value: Result<f64, String>) {
        self.0.insert(measure, value);
    }
}

impl Serialize for Metrics {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (measure, value) in &self.0 {
            map.serialize_entry(measure.key(), &value.as_ref().ok())?;
        }
        if let Some(why) = self.why() {
            map.serialize_entry("why", &why)?;
        }
        map.end()
    }
}
