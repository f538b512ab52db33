//! The challenge's tables: sections, machines, everything, and the official score.

use std::path::PathBuf;

use serde::ser::{Serialize, SerializeMap, Serializer};

use super::{Metrics, Year};

/// The metrics of one section.
#[derive(Clone, Debug, PartialEq)]
pub struct SectionReport {
    /// Section; in 2020 the machine's ID.
    pub section: String,
    /// How many clips.
    pub clips: usize,
    /// Its metrics.
    pub metrics: Metrics,
}

/// The metrics of one machine type.
#[derive(Clone, Debug, PartialEq)]
pub struct MachineReport {
    /// Machine type.
    pub machine: String,
    /// Sorted by section; at least one.
    pub sections: Vec<SectionReport>,
    /// Over its sections.
    pub arithmetic_mean: Metrics,
    /// Over its sections.
    pub harmonic_mean: Metrics,
}

/// What [`evaluate`](super::evaluate()) makes of a submission. In JSON an object:
/// `{"folder", "year", "year_detected", "machines": {M: {"sections": {"00": {…}}, "arithmetic_mean", "harmonic_mean"}},
/// "arithmetic_mean", "harmonic_mean", "official_score"}`, with `"why"` where the score is null and `"notes"` where there
/// are any.
#[derive(Clone, Debug, PartialEq)]
pub struct OfficialReport {
    /// Where the submission was read.
    pub folder: PathBuf,
    /// The year whose metrics these are.
    pub year: Year,
    /// Whether the year was found from the files' names.
    pub detected: bool,
    /// What a person should know before trusting the means.
    pub notes: Vec<String>,
    /// Sorted; at least one.
    pub machines: Vec<MachineReport>,
    /// Over all machines and sections.
    pub arithmetic_mean: Metrics,
    /// Over all machines and sections.
    pub harmonic_mean: Metrics,
    /// Ω: the harmonic mean of every AUC and partial AUC of every domain.
    pub official_score: Option<f64>,
    /// Why there is none.
    pub why: Option<String>,
}

impl Serialize for SectionReport {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(serde::Serialize)]
        struct Section<'a> {
            #[serde(flatten)]
            metrics: &'a Metrics,
            clips: usize,
        }
        Section { metrics: &self.metrics, clips: self.clips }.serialize(serializer)
    }
}

impl Serialize for MachineReport {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(3))?;
        map.serialize_entry("sections", &ByName(&self.sections, |section| section.section.as_str()))?;
        map.serialize_entry("arithmetic_mean", &self.arithmetic_mean)?;
        map.serialize_entry("harmonic_mean", &self.harmonic_mean)?;
        map.end()
    }
}

impl Serialize for OfficialReport {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("folder", &self.folder.to_string_lossy())?;
        map.serialize_entry("year", &self.year.number())?;
        map.serialize_entry("year_detected", &self.detected)?;
        map.serialize_entry("machines", &ByName(&self.machines, |machine| machine.machine.as_str()))?;
        map.serialize_entry("arithmetic_mean", &self.arithmetic_mean)?;
        map.serialize_entry("harmonic_mean", &self.harmonic_mean)?;
        map.serialize_entry("official_score", &self.official_score)?;
        if let Some(why) = &self.why {
            map.serialize_entry("why", why)?;
        }
        if !self.notes.is_empty() {
            map.serialize_entry("notes", &self.notes)?;
        }
        map.end()
    }
}

/// A list as an object.
struct ByName<'a, T>(&'a [T], fn(&T) -> &str);

impl<T: Serialize> Serialize for ByName<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|item| ((self.1)(item), item)))
    }
}
