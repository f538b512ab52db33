//! From scored and labelled clips to the challenge's tables.

use super::{
    MachineReport, MachineScores, Measure, Metrics, OfficialReport, Row, SectionReport, SectionScores,
    Submission, Year,
};
use crate::dataset::Domain;
use crate::metric;

/// The partial AUC is over false-positive rates up to this.
pub const MAX_FPR: f64 = 0.1;

/// The metrics of every section, their means over each machine's sections and over all, and the official score Ω.
///
/// - 2022 and later: the AUC of a domain sets the domain's normal clips against the anomalous clips of both; the partial
///   AUC is over all clips of the section.
/// - 2021: AUC and partial AUC of a domain are over its own clips.
/// - 2020: AUC and partial AUC, no domains, no official score.
/// - Precision, recall and F1 of a domain are over its own clips, by the decision file.
/// - A harmonic mean takes each value as at least the machine epsilon of f64, as the official evaluator does, so that
///   one zero gives a mean near zero and not an undefined one.
///
/// A mean of which a value is missing is missing too: a mean over fewer sections would look like the official one.
pub fn evaluate(submission: &Submission) -> OfficialReport {
    let year = submission.year;
    let machines: Vec<MachineReport> =
        submission.machines.iter().map(|machine| machine_report(machine, year)).collect();
    let all: Vec<(String, &Metrics)> = machines
        .iter()
        .flat_map(|machine| {
            let label = |section: &SectionReport| format!("{} section {}", machine.machine, section.section);
            machine.sections.iter().map(move |section| (label(section), &section.metrics))
        })
        .collect();
    let official = Measure::of_official_score(year);
    let official_score = match official {
        [] => Err(format!("the challenge of {year} had no official score")),
        _ => mean(&all, official, Mean::Harmonic),
    };
    OfficialReport {
        folder: submission.folder.clone(),
        year,
        detected: submission.detected,
        notes: submission.notes.clone(),
        arithmetic_mean: means(&all, year, Mean::Arithmetic),
        harmonic_mean: means(&all, year, Mean::Harmonic),
        machines,
        why: official_score.as_ref().err().cloned(),
        official_score: official_score.ok(),
    }
}

fn machine_report(machine: &MachineScores, year: Year) -> MachineReport {
    let sections: Vec<SectionReport> = machine
        .sections
        .iter()
        .map(|section| SectionReport {
            section: section.section.clone(),
            clips: section.rows.len(),
            metrics: section_metrics(section, year),
        })
        .collect();
    let all: Vec<(String, &Metrics)> =
        sections.iter().map(|section| (format!("section {}", section.section), &section.metrics)).collect();
    MachineReport {
        machine: machine.machine.clone(),
        arithmetic_mean: means(&all, year, Mean::Arithmetic),
        harmonic_mean: means(&all, year, Mean::Harmonic),
        sections,
    }
}

fn section_metrics(section: &SectionScores, year: Year) -> Metrics {
    let mut metrics = Metrics::default();
    for &measure in Measure::of(year) {
        metrics.set(measure, value(&section.rows, measure, year));
    }
    metrics
}

/// One metric of one section, or why there is none.
fn value(rows: &[Row], measure: Measure, year: Year) -> Result<f64, String> {
    let domain = measure.domain();
    if let Some(domain) = domain {
        known_domain(rows, domain)?;
    }
    let own = |row: &&Row| domain.is_none() || row.domain == domain;
    match measure {
        Measure::AucSource | Measure::AucTarget if year != Year::Y2021 => {
            let clips = Selection::of(rows, |row| row.anomalous || own(row));
            clips.check(domain, "in either domain")?;
            metric::auc(&clips.scores, &clips.anomalous)
        }
        Measure::Auc | Measure::AucSource | Measure::AucTarget => {
            let clips = Selection::of(rows, own);
            clips.check(domain, &of(domain))?;
            metric::auc(&clips.scores, &clips.anomalous)
        }
        Measure::Pauc | Measure::PaucSource | Measure::PaucTarget => {
            let clips = Selection::of(rows, own);
            clips.check(domain, &of(domain))?;
            metric::partial_auc(&clips.scores, &clips.anomalous, MAX_FPR)
        }
        _ => {
            let clips: Vec<&Row> = rows.iter().filter(own).collect();
            let decisions: Option<Vec<bool>> = clips.iter().map(|row| row.decision).collect();
            let decisions = decisions.ok_or("no decision file")?;
            let anomalous: Vec<bool> = clips.iter().map(|row| row.anomalous).collect();
            metric::decision_metrics(&decisions, &anomalous).map(|decided| match measure {
                Measure::Precision | Measure::PrecisionSource | Measure::PrecisionTarget => decided.precision,
                Measure::Recall | Measure::RecallSource | Measure::RecallTarget => decided.recall,
                _ => decided.f1,
            })
        }
    }
    .map_err(|undefined| undefined.to_string())
}

/// Scores and labels of some of a section's clips.
struct Selection {
    scores: Vec<f64>,
    anomalous: Vec<bool>,
}

impl Selection {
    fn of<'a>(rows: &'a [Row], keep: impl Fn(&&'a Row) -> bool) -> Self {
        let (scores, anomalous) = rows.iter().filter(keep).map(|row| (row.score, row.anomalous)).unzip();
        Self { scores, anomalous }
    }

    /// Says which class is missing, and where it was looked for: the normal clips in the domain, the anomalous ones
    /// wherever `anomalies_of` says.
    fn check(&self, domain: Option<Domain>, anomalies_of: &str) -> Result<(), String> {
        if !self.anomalous.contains(&false) {
            return Err(format!("no normal clip {}", of(domain)).trim_end().to_owned());
        }
        if !self.anomalous.contains(&true) {
            return Err(format!("no anomalous clip {anomalies_of}").trim_end().to_owned());
        }
        Ok(())
    }
}

fn of(domain: Option<Domain>) -> String {
    domain.map_or_else(String::new, |domain| format!("of the {} domain", domain.token()))
}

fn known_domain(rows: &[Row], domain: Domain) -> Result<(), String> {
    if rows.iter().all(|row| row.domain.is_none()) {
        return Err("the clips' domains are unknown: neither names nor ground truth tell them".to_owned());
    }
    match rows.iter().any(|row| row.domain == Some(domain)) {
        true => Ok(()),
        false => Err(format!("no clip {}", of(Some(domain)))),
    }
}

#[derive(Clone, Copy)]
enum Mean {
    Arithmetic,
    Harmonic,
}

/// The means of each metric over labelled sections; in 2021 also over sections and domains together.
fn means(sections: &[(String, &Metrics)], year: Year, kind: Mean) -> Metrics {
    let mut means = Metrics::default();
    for &measure in Measure::of(year) {
        means.set(measure, mean(sections, &[measure], kind));
    }
    for (pooled, parts) in Measure::pooled(year) {
        means.set(*pooled, mean(sections, parts, kind));
    }
    means
}

/// The mean of several metrics over labelled sections: all sections of the first metric, then of the next.
fn mean(sections: &[(String, &Metrics)], measures: &[Measure], kind: Mean) -> Result<f64, String> {
    let mut values = Vec::with_capacity(sections.len() * measures.len());
    let mut missing = Vec::new();
    for measure in measures {
        for (label, metrics) in sections {
            match metrics.entry(*measure) {
                Some(Ok(value)) => values.push(value),
                Some(Err(why)) => missing.push((label, why)),
                None => missing.push((label, "not computed")),
            }
        }
    }
    if let Some((label, why)) = missing.first() {
        let alike = missing.iter().filter(|(other, reason)| other != label && reason == why).count();
        let more = if alike > 0 { format!(" and {alike} more") } else { String::new() };
        return Err(format!("{label}{more}: {why}"));
    }
    let count = values.len() as f64;
    Ok(match kind {
        Mean::Arithmetic => values.iter().sum::<f64>() / count,
        // Count over sum, not 1 / mean of reciprocals: the rounding of the official tables.
        Mean::Harmonic => count / values.iter().map(|value| 1.0 / value.max(f64::EPSILON)).sum::<f64>(),
    })
}
