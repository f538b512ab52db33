//! Two systems on the same clips: the difference of their metrics, with its interval and DeLong's test.
//!
//! The clips are resampled, within strata of (machine, section, domain, label), and both systems are measured on the same
//! resample: an interval of the difference that leaves out what the two have in common. Metrics are those of the challenge's
//! year: AUC and partial AUC per section and their mean, Ω as [`official`](crate::official) defines it.

mod measure;
mod pairing;
mod systems;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::official::{self, Year};
use crate::stats::{self, Bootstrap, Interval, Method, Resampler, Settings};
use crate::{files, run};
use measure::Measured;
use pairing::PairedSection;
pub use systems::SystemKind;

/// Why two systems cannot be compared.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A folder without scores.
    #[error(
        "{} holds neither score files (anomaly_score_*.csv) nor runs below it; name a folder of score files, a run's \
         folder or a folder above some runs",
        .0.display()
    )]
    Neither(PathBuf),
    /// Score files.
    #[error(transparent)]
    Official(#[from] official::Error),
    /// A run's folder.
    #[error(transparent)]
    Run(#[from] run::Error),
    /// A file.
    #[error(transparent)]
    File(#[from] files::Error),
    /// A run that has no scores.
    #[error("{}: {why}", path.display())]
    Unscored {
        /// The run's folder.
        path: PathBuf,
        /// What is missing and what to do.
        why: String,
    },
    /// A row of a run's `scores.csv`.
    #[error("{}, row {row}: {why}", path.display())]
    Row {
        /// The file.
        path: PathBuf,
        /// The line in the file, from 1.
        row: u64,
        /// What is wrong and what to do.
        why: String,
    },
    /// The two sides do not pair up.
    #[error("compare {} with {}: {why}", a.display(), b.display())]
    Unpaired {
        /// The first system.
        a: PathBuf,
        /// The second.
        b: PathBuf,
        /// What one has and the other lacks, and what to do.
        why: String,
    },
    /// The bootstrap's settings.
    #[error(transparent)]
    Bootstrap(stats::Error),
}

/// What [`compare`] needs beside the two systems.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Ground truth of the clips of score folders whose names do not tell it.
    pub truth: Option<PathBuf>,
    /// Year whose metrics apply; found from the names of the score files where it is not given. Runs are judged by the
    /// metrics of 2022 where their clips have domains, of 2020 elsewhere.
    pub year: Option<Year>,
    /// Of the bootstrap.
    pub settings: Settings,
}

/// A metric of two systems and its difference.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Difference {
    /// Of the first system.
    pub a: Option<f64>,
    /// Of the second.
    pub b: Option<f64>,
    /// The first less the second.
    pub difference: Option<f64>,
    /// Interval of the difference.
    pub interval: Option<Interval>,
    /// Standard deviation of the difference among the resamples.
    pub standard_error: Option<f64>,
    /// Interval of the first alone.
    pub interval_a: Option<Interval>,
    /// Interval of the second alone.
    pub interval_b: Option<Interval>,
    /// Resamples that have no value.
    pub undefined_resamples: usize,
    /// Why something is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// A section's AUC over all of its clips, and DeLong's test.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SectionComparison {
    /// Section.
    pub section: String,
    /// Seed of the two runs; none between score folders.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// Clips.
    pub clips: usize,
    /// AUC of the first system.
    pub auc_a: Option<f64>,
    /// AUC of the second.
    pub auc_b: Option<f64>,
    /// The first less the second.
    pub difference: Option<f64>,
    /// DeLong's 95 % interval of the difference.
    pub interval: Option<Interval>,
    /// DeLong's two-sided p.
    pub p: Option<f64>,
    /// The same, adjusted by Holm over all sections of the comparison that have a p.
    pub p_holm: Option<f64>,
    /// Why something is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// Metrics over some sections.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// Mean over sections (and seeds) of the AUC over all clips of the section.
    pub auc: Difference,
    /// Mean over sections (and seeds) of the partial AUC.
    pub pauc: Difference,
    /// Ω: the harmonic mean of what the year's official score is made of.
    pub omega: Difference,
}

/// One machine's metrics.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MachineComparison {
    /// Over its sections.
    #[serde(flatten)]
    pub summary: Summary,
    /// Sorted by section and seed.
    pub sections: Vec<SectionComparison>,
}

/// How the intervals were made.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BootstrapSettings {
    /// Seed of the draws.
    pub seed: u64,
    /// Resamples drawn.
    pub resamples: usize,
    /// Share of the intervals.
    pub level: f64,
    /// Percentile or BCa.
    pub method: Method,
    /// Within what clips are drawn.
    pub strata: [&'static str; 4],
}

/// One of the two systems.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Side {
    /// As it was named.
    pub path: String,
    /// What it is.
    pub kind: SystemKind,
}

/// What [`compare`] finds; in JSON the document of `asdbench compare`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// Version of this form.
    pub schema: u32,
    /// The first system.
    pub a: Side,
    /// The second.
    pub b: Side,
    /// Year whose metrics these are.
    pub year: u16,
    /// How the intervals were made.
    pub bootstrap: BootstrapSettings,
    /// Over all machines.
    pub overall: Summary,
    /// By machine.
    pub machines: BTreeMap<String, MachineComparison>,
    /// What a person should know before trusting the numbers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// Compares the systems in folders `a` and `b`: score files, a run, or a folder above runs.
///
/// Machines must be the same on both sides, and so must the clips of each section, joined by file name. Runs are paired by
/// (machine, seed); where a side is a score folder, or each side is one run, the machine alone pairs. Several seeds are
/// averaged as metrics, never as scores, and share the resamples of their clips: the intervals tell how far the clips
/// decide, not the seeds.
///
/// # Errors
/// Folders without scores, files that cannot be read, sides that do not pair up, resamples too few for an interval.
pub fn compare(a: &Path, b: &Path, options: &Options) -> Result<Comparison, Error> {
    let settings = options.settings;
    if settings.resamples < 2 {
        return Err(Error::Bootstrap(stats::Error::TooFewResamples { resamples: settings.resamples }));
    }
    let systems = [a, b].map(|folder| systems::read(folder, options.truth.as_deref(), options.year));
    let [a, b] = systems;
    let (a, b) = (a?, b?);
    let sections = pairing::pair(&a, &b)?;
    let year = year_of(&a, &b, options.year, &sections)?;
    let measured = Measured::new(&sections, year);
    let bootstraps =
        stats::bootstrap_many(&Resampler::new(&pairing::strata(&sections)), settings, |weights| {
            measured.statistics(weights)
        });
    let names = measured.machines();
    let equal = sections.iter().all(PairedSection::equal);
    let mut summaries = summaries(&bootstraps, &measured.reasons(), equal).into_iter();
    let mut by_section = measured.sections();
    adjust(&mut by_section);
    let machines = names
        .iter()
        .map(|machine| {
            let own = by_section.iter().filter(|(of, _)| of == machine).map(|(_, section)| section.clone());
            let comparison = MachineComparison { summary: summaries.next()?, sections: own.collect() };
            Some(((*machine).to_owned(), comparison))
        })
        .collect::<Option<BTreeMap<_, _>>>();
    // One summary per machine and one for all: as many as there are names, and one more.
    let (machines, overall) =
        machines.zip(summaries.next()).ok_or(Error::Bootstrap(stats::Error::NoEstimate))?;
    let side =
        |system: &systems::System| Side { path: system.folder.display().to_string(), kind: system.kind };
    Ok(Comparison {
        schema: 1,
        a: side(&a),
        b: side(&b),
        year: year.number(),
        bootstrap: BootstrapSettings {
            seed: settings.seed,
            resamples: settings.resamples,
            level: settings.level,
            method: settings.method,
            strata: ["machine", "section", "domain", "label"],
        },
        overall,
        machines,
        notes: [a.notes, b.notes].concat(),
    })
}

/// The year whose metrics apply to both.
fn year_of(
    a: &systems::System,
    b: &systems::System,
    asked: Option<Year>,
    sections: &[PairedSection],
) -> Result<Year, Error> {
    let years: Vec<Year> = [a.year, b.year].into_iter().flatten().collect();
    let rule = |year: Year| official::Measure::of_official_score(year);
    if let [first, second] = years[..]
        && rule(first) != rule(second)
    {
        let why =
            format!("the one is read as {first}, the other as {second}, whose metrics differ; give --year");
        return Err(Error::Unpaired { a: a.folder.clone(), b: b.folder.clone(), why });
    }
    let domains = sections.iter().any(|section| section.clips.iter().any(|clip| clip.domain.is_some()));
    let guessed = if domains { Year::Y2022 } else { Year::Y2020 };
    Ok(asked.or(years.first().copied()).unwrap_or(guessed))
}

/// Nine statistics each, in the order of [`Measured::statistics`], to summaries with the reasons for what is missing.
fn summaries(
    bootstraps: &[Result<Bootstrap, stats::Error>],
    reasons: &[[Option<String>; 3]],
    equal: bool,
) -> Vec<Summary> {
    let summary = |(nine, why): (&[Result<Bootstrap, stats::Error>], &[Option<String>; 3])| {
        let [auc, pauc, omega] =
            [0, 1, 2].map(|metric| difference(&nine[3 * metric..], why[metric].as_deref(), equal));
        Summary { auc, pauc, omega }
    };
    bootstraps.chunks_exact(9).zip(reasons).map(summary).collect()
}

/// A standard error that only rounding made.
const NO_ERROR: f64 = 1e-12;

/// One metric of a, of b, and their difference. Where the resamples are all alike they say nothing of other clips, and there
/// is no interval, unless the systems are `equal`: their difference is 0 on any clips.
fn difference(three: &[Result<Bootstrap, stats::Error>], why: Option<&str>, equal: bool) -> Difference {
    let of = |index: usize| three.get(index).and_then(|found| found.as_ref().ok());
    let (a, b, difference) = (of(0), of(1), of(2));
    let failed =
        || three.iter().take(3).find_map(|found| found.as_ref().err()).map(|e| format!("failed to {e}"));
    let varies = |found: &&Bootstrap| found.standard_error > NO_ERROR;
    let fixed = difference.is_some_and(|found| !equal && !varies(&found));
    let alike = || {
        let why = "no interval: every resample gives the same value; there are too few clips, or the classes are wholly \
                   apart";
        fixed.then(|| why.to_owned())
    };
    Difference {
        a: a.map(|found| found.estimate),
        b: b.map(|found| found.estimate),
        difference: difference.map(|found| found.estimate),
        interval: difference.filter(|_| !fixed).map(|found| found.interval),
        standard_error: difference.map(|found| found.standard_error),
        interval_a: a.filter(varies).map(|found| found.interval),
        interval_b: b.filter(varies).map(|found| found.interval),
        undefined_resamples: difference.map_or(0, |found| found.undefined),
        why: why.map(str::to_owned).or_else(failed).or_else(alike),
    }
}

/// Fills in Holm's adjustment over all sections that have a p.
fn adjust(sections: &mut [(String, SectionComparison)]) {
    let p: Vec<f64> = sections.iter().filter_map(|(_, section)| section.p).collect();
    // Every p is one, so there is an adjustment.
    let adjusted = stats::holm(&p).unwrap_or_default();
    let tested = sections.iter_mut().filter(|(_, section)| section.p.is_some());
    for ((_, section), p_holm) in tested.zip(adjusted) {
        section.p_holm = Some(p_holm);
    }
}

#[cfg(test)]
mod tests;
