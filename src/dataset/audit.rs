//! The audit of a data set: what `asdbench data DIR` shows. Opens every clip once, in parallel, and goes on past
//! whatever is wrong with one of them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use rayon::prelude::*;
use serde::Serialize;

use super::layout;
use super::walk::{Problem, ProblemKind};
use super::{ClipIndex, Domain, IndexedClip, Split};
use crate::audio::{self, ChannelChoice, WavInfo};

/// Everything that an audit found.
#[derive(Clone, Debug, Serialize)]
pub struct Audit {
    /// The data set's root.
    pub root: PathBuf,
    /// The layout that the names were read as, e.g. `dcase2022`.
    pub layout: String,
    /// Number of clips in the index.
    pub clips: usize,
    /// Number of files that are neither clips nor tables, by lower-case extension.
    pub other_files: BTreeMap<String, usize>,
    /// One entry per machine type, sorted by name.
    pub machines: Vec<MachineAudit>,
    /// Clips per machine, section, split, domain and label, sorted in this order.
    pub counts: Vec<CountRow>,
    /// Clips with the same bytes.
    pub duplicates: Vec<Duplicate>,
    /// What a person should look at, sorted by kind, then path.
    pub problems: Vec<Problem>,
}

/// One machine type's clips taken together.
#[derive(Clone, Debug, Serialize)]
pub struct MachineAudit {
    /// Machine type.
    pub machine: String,
    /// Number of clips, readable or not.
    pub clips: usize,
    /// Shortest readable clip, seconds; `None` where no clip is readable. So are the next three.
    pub min_s: Option<f64>,
    /// Median length, seconds (the lower one of an even number).
    pub median_s: Option<f64>,
    /// Longest clip, seconds.
    pub max_s: Option<f64>,
    /// All clips together, seconds.
    pub total_s: f64,
    /// Number of clips by sample rate in Hz.
    pub rates_hz: BTreeMap<u32, usize>,
    /// Number of clips by channel count.
    pub channels: BTreeMap<u16, usize>,
    /// Number of clips by sample format, e.g. `PCM 16`, `float 32`.
    pub formats: BTreeMap<String, usize>,
}

/// The number of clips of one kind.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct CountRow {
    /// Machine type.
    pub machine: String,
    /// Section.
    pub section: String,
    /// Split.
    pub split: Split,
    /// Domain, where the data set has them.
    pub domain: Option<Domain>,
    /// `None` where the label is not known.
    pub anomalous: Option<bool>,
    /// How many.
    pub clips: usize,
}

/// Clips with the same bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Duplicate {
    /// BLAKE3 of the bytes, hexadecimal.
    pub blake3: String,
    /// The clips, relative to the root, sorted.
    pub paths: Vec<PathBuf>,
}

/// What opening one clip showed.
struct Heard {
    info: Option<WavInfo>,
    content: Option<blake3::Hash>,
    problem: Option<(ProblemKind, String)>,
}

/// Opens every clip of `index` (the channel of `channel` where there are several). `progress` is told how many are
/// done, from several threads and not always in order. At most one clip per thread is in memory.
pub fn audit(index: &ClipIndex, channel: ChannelChoice, progress: &(dyn Fn(u64) + Sync)) -> Audit {
    let done = AtomicU64::new(0);
    let heard: Vec<Heard> = index
        .clips()
        .par_iter()
        .map(|entry| {
            let heard = listen(index, entry, channel);
            progress(done.fetch_add(1, Ordering::Relaxed) + 1);
            heard
        })
        .collect();

    let counts = count(index);
    let duplicates = find_duplicates(index, &heard);
    let mut problems = index.problems().to_vec();
    problems.extend(index.clips().iter().zip(&heard).filter_map(|(entry, heard)| {
        let (kind, message) = heard.problem.clone()?;
        let machine = Some(entry.clip.machine.clone());
        Some(Problem { path: Some(entry.clip.path.clone()), machine, kind, message })
    }));
    find_leaks(index, &duplicates, &mut problems);
    let machines: Vec<MachineAudit> = index
        .machines()
        .iter()
        .map(|machine| {
            let summary = summarise(machine, index, &heard);
            find_mixtures(&summary, &mut problems);
            find_gaps(machine, &counts, &mut problems);
            summary
        })
        .collect();
    problems.sort_by(|a, b| (a.kind, &a.path, &a.machine).cmp(&(b.kind, &b.path, &b.machine)));
    Audit {
        root: index.root().to_owned(),
        layout: layout::name(index.layout()).to_owned(),
        clips: index.clips().len(),
        other_files: index.other_files().clone(),
        machines,
        counts,
        duplicates,
        problems,
    }
}

fn listen(index: &ClipIndex, entry: &IndexedClip, channel: ChannelChoice) -> Heard {
    let path = index.root().join(&entry.clip.path);
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) => {
            let problem = Some((ProblemKind::BadClip, format!("cannot be read: {error}")));
            return Heard { info: None, content: None, problem };
        }
    };
    // Every empty file has the same bytes; they are reported as bad clips, not as copies of each other.
    let content = (!bytes.is_empty()).then(|| blake3::hash(&bytes));
    let info = audio::probe(&path).ok();
    let problem = match audio::read_wav_bytes(&bytes, &path, channel) {
        Err(error) => Some((ProblemKind::BadClip, error.to_string())),
        Ok(wave) if wave.samples.iter().any(|sample| !sample.is_finite()) => Some((
            ProblemKind::BadClip,
            "holds samples that are not finite; record or convert it again".to_owned(),
        )),
        Ok(wave) if wave.samples.windows(2).all(|pair| pair[0] == pair[1]) => {
            Some((ProblemKind::Silent, "holds one constant value; check the recording".to_owned()))
        }
        Ok(_) => None,
    };
    Heard { info, content, problem }
}

fn count(index: &ClipIndex) -> Vec<CountRow> {
    let mut counts: BTreeMap<_, usize> = BTreeMap::new();
    for entry in index.clips() {
        let key = (&entry.clip.machine, &entry.clip.section, entry.split, entry.clip.domain, entry.anomalous);
        *counts.entry(key).or_default() += 1;
    }
    let row =
        |((machine, section, split, domain, anomalous), clips): ((&String, &String, _, _, _), usize)| {
            CountRow { machine: machine.clone(), section: section.clone(), split, domain, anomalous, clips }
        };
    counts.into_iter().map(row).collect()
}

fn find_duplicates(index: &ClipIndex, heard: &[Heard]) -> Vec<Duplicate> {
    let mut by_content: BTreeMap<[u8; 32], Vec<PathBuf>> = BTreeMap::new();
    for (entry, heard) in index.clips().iter().zip(heard) {
        if let Some(content) = heard.content {
            by_content.entry(*content.as_bytes()).or_default().push(entry.clip.path.clone());
        }
    }
    let mut duplicates: Vec<Duplicate> = by_content
        .into_iter()
        .filter(|(_, paths)| paths.len() > 1)
        .map(|(hash, paths)| Duplicate { blake3: blake3::Hash::from_bytes(hash).to_hex().to_string(), paths })
        .collect();
    duplicates.sort_by(|a, b| a.paths.cmp(&b.paths));
    duplicates
}

/// A test clip that is also a train clip makes every score of the data set too good.
fn find_leaks(index: &ClipIndex, duplicates: &[Duplicate], problems: &mut Vec<Problem>) {
    let splits: &BTreeMap<&PathBuf, Split> =
        &index.clips().iter().map(|entry| (&entry.clip.path, entry.split)).collect();
    for duplicate in duplicates {
        let of = |split| duplicate.paths.iter().filter(move |&path| splits.get(path) == Some(&split));
        if let Some(train) = of(Split::Train).next() {
            problems.extend(of(Split::Test).map(|test| Problem {
                path: Some(test.clone()),
                machine: None,
                kind: ProblemKind::Leak,
                message: format!("is a test clip with the same bytes as train clip {}", train.display()),
            }));
        }
    }
}

fn summarise(machine: &str, index: &ClipIndex, heard: &[Heard]) -> MachineAudit {
    let of_machine: Vec<&Heard> = index
        .clips()
        .iter()
        .zip(heard)
        .filter(|(entry, _)| entry.clip.machine == machine)
        .map(|(_, h)| h)
        .collect();
    let infos: Vec<&WavInfo> = of_machine.iter().filter_map(|heard| heard.info.as_ref()).collect();
    let mut lengths_s: Vec<f64> = infos.iter().map(|info| info.duration_s()).collect();
    lengths_s.sort_by(f64::total_cmp);
    MachineAudit {
        machine: machine.to_owned(),
        clips: of_machine.len(),
        min_s: lengths_s.first().copied(),
        median_s: lengths_s.get(lengths_s.len().saturating_sub(1) / 2).copied(),
        max_s: lengths_s.last().copied(),
        total_s: lengths_s.iter().sum(),
        rates_hz: tally(infos.iter().map(|info| info.rate_hz)),
        channels: tally(infos.iter().map(|info| info.channels)),
        formats: tally(
            infos.iter().map(|info| format!("{} {}", if info.float { "float" } else { "PCM" }, info.bits)),
        ),
    }
}

fn tally<T: Ord>(values: impl Iterator<Item = T>) -> BTreeMap<T, usize> {
    let mut counts = BTreeMap::new();
    for value in values {
        *counts.entry(value).or_default() += 1;
    }
    counts
}

fn find_mixtures(summary: &MachineAudit, problems: &mut Vec<Problem>) {
    fn list<T: std::fmt::Display>(counts: &BTreeMap<T, usize>, unit: &str) -> String {
        counts
            .iter()
            .map(|(value, clips)| format!("{clips} clips of {value}{unit}"))
            .collect::<Vec<_>>()
            .join(", ")
    }
    let mut mixed = |kind, message| {
        problems.push(Problem { path: None, machine: Some(summary.machine.clone()), kind, message });
    };
    if summary.rates_hz.len() > 1 {
        let seen = list(&summary.rates_hz, " Hz");
        mixed(
            ProblemKind::MixedRates,
            format!("sample rates differ: {seen}; clips are resampled to the front end's rate"),
        );
    }
    if summary.channels.len() > 1 {
        let seen = list(&summary.channels, " channels");
        mixed(ProblemKind::MixedChannels, format!("channel counts differ: {seen}; check `data.channel`"));
    }
}

/// Missing splits and domains, and test sets on which no AUC can be had.
fn find_gaps(machine: &str, counts: &[CountRow], problems: &mut Vec<Problem>) {
    let rows: Vec<&CountRow> = counts.iter().filter(|row| row.machine == machine).collect();
    let mut gap = |kind, message| {
        problems.push(Problem { path: None, machine: Some(machine.to_owned()), kind, message });
    };
    let has = |split| rows.iter().any(|row| row.split == split);
    for split in [Split::Train, Split::Test] {
        if !has(split) {
            gap(ProblemKind::MissingSplit, format!("no {} clips", split.token()));
        }
    }
    let mut sections: Vec<&str> = rows.iter().map(|row| row.section.as_str()).collect();
    sections.dedup();
    for section in sections {
        let of = |split| rows.iter().filter(move |row| row.section == section && row.split == split);
        let labelled = |anomalous| of(Split::Test).any(|row| row.anomalous == Some(anomalous));
        match (labelled(false), labelled(true)) {
            (true, false) => gap(
                ProblemKind::OneClassTest,
                format!("section {section} has only normal test clips; its AUC is undefined"),
            ),
            (false, true) => gap(
                ProblemKind::OneClassTest,
                format!("section {section} has only anomalous test clips; its AUC is undefined"),
            ),
            _ => {}
        }
        for split in [Split::Train, Split::Test] {
            let domain = |domain| of(split).any(|row| row.domain == Some(domain));
            for (here, lacking) in [(Domain::Source, Domain::Target), (Domain::Target, Domain::Source)] {
                if domain(here) && !domain(lacking) {
                    let (split, lacking) = (split.token(), lacking.token());
                    gap(
                        ProblemKind::MissingDomain,
                        format!("section {section} has no {split} clip of the {lacking} domain"),
                    );
                }
            }
        }
    }
}
