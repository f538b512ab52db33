//! Synthetic machines in the DCASE 2022 layout: seven machine types, each with a physical model and its own faults,
//! sections that are different units of a type, and source and target domains that differ in speed, microphone or
//! surroundings. For trying the whole program, and for tests, without the real recordings.
//!
//! Every clip draws from a random stream of its own (see [`crate::rng`]), so the same spec gives the same bytes on
//! any number of threads, and a clip keeps its bytes when other machines or more clips are asked for.

mod machine;
mod plan;
mod scene;
mod signal;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use self::machine::MachineType;
use self::plan::{Job, Plan};
use super::Error;
use super::index::nearest;
use crate::audio;
use crate::files::{self, Durability};

/// Version of the generator: to be raised with every change that changes a clip's bytes.
const GENERATOR: u32 = 1;
/// The file that says what a folder was generated from.
const SPEC_FILE: &str = "synth.json";
/// The file that says which fault each anomalous test clip has, and how strong it is.
const FAULT_FILE: &str = "faults.csv";

/// Whether the data set in a folder is a synthetic one.
pub fn made(root: &Path) -> bool {
    root.join(SPEC_FILE).is_file()
}

/// How much to generate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    /// 3 sections of 40 train and 32 test clips of 2 s: seconds to train on.
    #[default]
    Tiny,
    /// 3 sections of 100 train and 60 test clips of 10 s: an honest little experiment.
    Smoke,
    /// The study's counts: 6 sections of 1,000 train clips of 10 s, the first 3 with 200 test clips.
    Study,
}

impl Preset {
    fn sections(self) -> usize {
        match self {
            Self::Tiny | Self::Smoke => 3,
            Self::Study => 6,
        }
    }

    fn clips(self) -> (usize, usize, f64) {
        match self {
            Self::Tiny => (40, 32, 2.0),
            Self::Smoke => (100, 60, 10.0),
            Self::Study => (1000, 200, 10.0),
        }
    }
}

/// What to generate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SynthSpec {
    /// Counts and lengths where the fields below leave them open.
    pub preset: Preset,
    /// Machine types; empty = all seven.
    pub machines: Vec<String>,
    /// Seed of all random streams.
    pub seed: u64,
    /// 0 = loud faults in little noise, 1 = faint faults in much noise.
    pub difficulty: f64,
    /// Length of a clip in seconds, 0.5 to 60.
    pub duration_s: Option<f64>,
    /// Train clips per section, 4 to 10,000; one in a hundred, but at least four, is of the target domain.
    pub train_per_section: Option<usize>,
    /// Test clips per section with tests, 4 to 10,000; a quarter of each domain and label.
    pub test_per_section: Option<usize>,
    /// Sample rate, 4,000 to 192,000 Hz.
    pub rate_hz: u32,
}

impl Default for SynthSpec {
    fn default() -> Self {
        Self {
            preset: Preset::default(),
            machines: Vec::new(),
            seed: 0,
            difficulty: 0.5,
            duration_s: None,
            train_per_section: None,
            test_per_section: None,
            rate_hz: 16_000,
        }
    }
}

/// What was generated.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SynthReport {
    /// The data set's folder: a root for `data.root`.
    pub root: PathBuf,
    /// Machine types.
    pub machines: Vec<String>,
    /// Sections per machine type.
    pub sections: usize,
    /// Number of train clips in all.
    pub train_clips: usize,
    /// Number of test clips in all.
    pub test_clips: usize,
    /// Length of each clip, seconds.
    pub duration_s: f64,
}

/// Generates the data set of `spec` in the folder `out`, which is made if need be. `progress` is told (clips done,
/// clips in all), from several threads and not always in order.
///
/// Each clip appears whole or not at all. A run that was cut short is completed by the same call; clips that are
/// there already are written again, to the same bytes.
///
/// Fails where a value of `spec` is out of range, where `out` holds anything but a data set of this very spec
/// (nothing is written then), and where writing fails.
pub fn generate(
    spec: &SynthSpec,
    out: &Path,
    progress: &(dyn Fn(u64, u64) + Sync),
) -> Result<SynthReport, Error> {
    let plan = resolve(spec)?;
    let described = describe(&plan);
    claim(out, &described)?;

    for machine in &plan.machines {
        for split in ["train", "test"] {
            let folder = out.join(machine.name()).join(split);
            files::make_folder(&folder)?;
        }
    }
    let jobs = plan.jobs();
    write_tables(out, &jobs)?;
    let done = AtomicU64::new(0);
    jobs.par_iter().try_for_each(|job| -> Result<(), Error> {
        audio::write_wav(
            &out.join(job.path()),
            &job.render(&plan),
            plan.rate_hz,
            audio::SampleFormat::Pcm16,
        )?;
        progress(done.fetch_add(1, Ordering::Relaxed) + 1, jobs.len() as u64);
        Ok(())
    })?;
    let train_clips = jobs.iter().filter(|job| job.is_train()).count();
    Ok(SynthReport {
        root: out.to_owned(),
        machines: plan.machines.iter().map(|machine| machine.name().to_owned()).collect(),
        sections: plan.sections,
        train_clips,
        test_clips: jobs.len() - train_clips,
        duration_s: plan.duration_s,
    })
}

/// The spec with every choice made, or what is wrong with it.
fn resolve(spec: &SynthSpec) -> Result<Plan, Error> {
    let (train, test, duration_s) = spec.preset.clips();
    let plan = Plan {
        machines: choose_machines(&spec.machines)?,
        sections: spec.preset.sections(),
        seed: spec.seed,
        difficulty: spec.difficulty,
        duration_s: spec.duration_s.unwrap_or(duration_s),
        train_per_section: spec.train_per_section.unwrap_or(train),
        test_per_section: spec.test_per_section.unwrap_or(test),
        rate_hz: spec.rate_hz,
    };
    let out_of_range =
        |what, value: String, valid: &str| Err(Error::SynthValue { what, value, valid: valid.to_owned() });
    if !(0.0..=1.0).contains(&plan.difficulty) {
        return out_of_range("difficulty", plan.difficulty.to_string(), "0 to 1");
    }
    if !(0.5..=60.0).contains(&plan.duration_s) {
        return out_of_range("the clip length", format!("{} s", plan.duration_s), "0.5 to 60 s");
    }
    if !(4..=10_000).contains(&plan.train_per_section) {
        return out_of_range(
            "the number of train clips per section",
            plan.train_per_section.to_string(),
            "4 to 10000",
        );
    }
    if !(4..=10_000).contains(&plan.test_per_section) {
        return out_of_range(
            "the number of test clips per section",
            plan.test_per_section.to_string(),
            "4 to 10000",
        );
    }
    if !(4_000..=192_000).contains(&plan.rate_hz) {
        return out_of_range("the sample rate", format!("{} Hz", plan.rate_hz), "4000 to 192000 Hz");
    }
    Ok(plan)
}

fn choose_machines(names: &[String]) -> Result<Vec<MachineType>, Error> {
    let mut machines = Vec::new();
    for name in names {
        let Some(machine) = MachineType::ALL.into_iter().find(|machine| machine.name() == name) else {
            let known = MachineType::ALL.map(MachineType::name);
            let nearest = nearest(name, known.into_iter());
            let hint = if nearest.is_empty() { "" } else { "; " };
            let valid = format!("one of {}{hint}{}", known.join(", "), nearest.trim_end());
            return Err(Error::SynthValue { what: "a machine type", value: format!("`{name}`"), valid });
        };
        machines.push(machine);
    }
    if machines.is_empty() {
        machines.extend(MachineType::ALL);
    }
    machines.sort_unstable();
    machines.dedup();
    Ok(machines)
}

fn describe(plan: &Plan) -> Value {
    json!({
        "schema": 1,
        "generator": GENERATOR,
        "machines": plan.machines.iter().map(|machine| machine.name()).collect::<Vec<_>>(),
        "sections": plan.sections,
        "seed": plan.seed,
        "difficulty": plan.difficulty,
        "duration_s": plan.duration_s,
        "train_per_section": plan.train_per_section,
        "test_per_section": plan.test_per_section,
        "rate_hz": plan.rate_hz,
    })
}

/// Makes `out` the folder of the data set that `described` describes, unless it is something else's.
fn claim(out: &Path, described: &Value) -> Result<(), Error> {
    let taken = |holds: String| Err(Error::SynthFolder { folder: out.to_owned(), holds });
    let spec_path = out.join(SPEC_FILE);
    match std::fs::read(&spec_path) {
        Ok(bytes) => match serde_json::from_slice::<Value>(&bytes) {
            Ok(found) if found == *described => Ok(()),
            Ok(found) => taken(format!(
                "holds a synthetic data set of another specification ({})",
                differences(&found, described)
            )),
            Err(_) => taken(format!("holds a {SPEC_FILE} that is not one of a synthetic data set")),
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            if out.exists() && !out.is_dir() {
                return taken("is a file".to_owned());
            }
            files::make_folder(out)?;
            let entries = std::fs::read_dir(out).map_err(|source| io("read folder", out, source))?;
            // One that was killed before it had said what it makes may begin again.
            if entries.flatten().any(|entry| !files::is_temporary(&entry.file_name())) {
                return taken("is not empty and was not made by this command".to_owned());
            }
            let text = format!("{described:#}\n");
            Ok(files::write(&spec_path, text.as_bytes(), Durability::Flushed)?)
        }
        Err(source) if source.kind() == std::io::ErrorKind::NotADirectory => taken("is a file".to_owned()),
        Err(source) => Err(io("read", &spec_path, source)),
    }
}

/// `seed 0 there, 1 asked for; …`
fn differences(found: &Value, asked: &Value) -> String {
    let Some(asked) = asked.as_object() else { return String::new() };
    let told: Vec<String> = asked
        .iter()
        .filter(|(key, value)| found.get(key.as_str()) != Some(value))
        .map(|(key, value)| {
            format!("{key}: {} there, {value} asked for", found.get(key).unwrap_or(&Value::Null))
        })
        .collect();
    told.join("; ")
}

/// The attribute tables of all machines, in the form of the real data sets, and the table of faults.
fn write_tables(out: &Path, jobs: &[Job]) -> Result<(), Error> {
    let mut tables: BTreeMap<(&str, usize), String> = BTreeMap::new();
    let mut faults = "machine,file_name,fault,gain_db\n".to_owned();
    for job in jobs {
        let table = tables.entry((job.machine.name(), job.section)).or_insert_with(|| {
            let columns: Vec<String> = (1..=job.attributes.len()).map(|n| format!(",d{n}p,d{n}v")).collect();
            format!("file_name{}\n", columns.concat())
        });
        let pairs: Vec<String> =
            job.attributes.iter().map(|(key, value)| format!(",{key},{value}")).collect();
        table.push_str(&format!("{}{}\n", job.path(), pairs.concat()));
        if let Some(fault) = job.fault {
            let gain_db = 20.0 * fault.gain.log10();
            faults.push_str(&format!(
                "{},{},{},{gain_db:.3}\n",
                job.machine.name(),
                job.file_name(),
                fault.kind
            ));
        }
    }
    for ((machine, section), table) in tables {
        let path = out.join(machine).join(format!("attributes_{section:02}.csv"));
        files::write(&path, table.as_bytes(), Durability::Cached)?;
    }
    Ok(files::write(&out.join(FAULT_FILE), faults.as_bytes(), Durability::Cached)?)
}

fn io(action: &'static str, path: &Path, source: std::io::Error) -> Error {
    Error::Io { action, path: path.to_owned(), source }
}

#[cfg(test)]
mod tests;
