//! What a sweep intends: `.studies/<name>.json` in the runs folder. Who reads results learns from it which trials are missing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Error;
use crate::config::ProtocolConfig;
use crate::files::{self, Durability};

/// Folder of the plans, in the runs folder.
const FOLDER: &str = ".studies";
/// What the last thing that a failed trial's log says begins with.
pub(super) const FAILED: &str = "failed: ";

/// The trials of a study.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Version of this form.
    pub schema: u32,
    /// The study's name.
    pub name: String,
    /// In the order of the study file: families, configurations, machine types, seeds.
    pub trials: Vec<PlannedTrial>,
    /// How the results are put into words.
    pub protocol: ProtocolConfig,
}

/// One configuration on one machine type with one seed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedTrial {
    /// The run's folder below the runs folder, with `/`.
    pub path: String,
    /// Proxy-task family.
    pub family: String,
    /// `<slug>-<hash8>`.
    pub config: String,
    /// Machine type.
    pub machine: String,
    /// Seed.
    pub seed: u64,
}

impl Plan {
    /// The file of a study's plan.
    pub fn path(runs: &Path, name: &str) -> PathBuf {
        runs.join(FOLDER).join(format!("{name}.json"))
    }

    /// Folder of what else belongs to a study's sweeps.
    pub fn folder(runs: &Path, name: &str) -> PathBuf {
        runs.join(FOLDER).join(name)
    }

    /// File of what a worker said of a trial of a study, from the trial's path; there only when the trial failed last.
    pub fn log(runs: &Path, name: &str, trial: impl AsRef<Path>) -> PathBuf {
        Self::folder(runs, name).join("logs").join(trial).with_added_extension("log")
    }

    /// Why a trial failed in this study's last sweep, a line; none when it did not fail. It may have failed before it had a
    /// folder that could say so.
    pub fn failure(&self, runs: &Path, trial: &PlannedTrial) -> Option<String> {
        let text = files::read_text(&Self::log(runs, &self.name, &trial.path)).ok()?;
        let said = text.rfind(FAILED).filter(|at| *at == 0 || text[..*at].ends_with('\n'))?;
        text[said + FAILED.len()..].lines().next().map(str::to_owned)
    }

    /// Write the plan, where it is not there as it is.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, runs: &Path) -> Result<(), Error> {
        let path = Self::path(runs, &self.name);
        let mut text =
            serde_json::to_string_pretty(self).map_err(|e| files::Error::new("write", &path, e.into()))?;
        text.push('\n');
        if files::read_text(&path).is_ok_and(|known| known == text) {
            return Ok(());
        }
        files::make_folder(files::folder_of(&path))?;
        files::write(&path, text.as_bytes(), Durability::Flushed)?;
        Ok(())
    }

    /// All plans of a runs folder, sorted by name; none where no sweep was started.
    ///
    /// # Errors
    /// When one cannot be read or is damaged.
    pub fn read_all(runs: &Path) -> Result<Vec<Self>, Error> {
        let folder = runs.join(FOLDER);
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(files::Error::new("read", &folder, error).into()),
        };
        let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        // A study may be named `x.json`: then its logs' folder is too.
        paths.retain(|path| path.extension().is_some_and(|suffix| suffix == "json") && path.is_file());
        paths.sort();
        let read = |path: &PathBuf| {
            let text = files::read_text(path)?;
            serde_json::from_str(&text)
                .map_err(|error| Error::DamagedPlan { path: path.clone(), why: error.to_string() })
        };
        paths.iter().map(read).collect()
    }
}

/// The thresholds that studies agree on, each given with its name; the defaults where there is none and where they differ,
/// which the remark says.
pub fn agreed<'a>(
    studies: impl IntoIterator<Item = (&'a str, &'a ProtocolConfig)>,
) -> (ProtocolConfig, Option<String>) {
    let mut studies = studies.into_iter();
    let Some((name, first)) = studies.next() else { return (ProtocolConfig::default(), None) };
    match studies.find(|(_, other)| *other != first) {
        None => (first.clone(), None),
        Some((other, _)) => {
            let remark = format!(
                "the studies `{name}` and `{other}` differ in [protocol]: the defaults are taken; name a study file with \
                 --config"
            );
            (ProtocolConfig::default(), Some(remark))
        }
    }
}

/// What is said of the results of configurations that no plan of their runs folder has, counted by family. They are no
/// mistake where somebody trained more than the sweep does, and one where the sweep was another before.
pub(super) fn not_planned(results: BTreeMap<&str, usize>) -> Vec<String> {
    let words = |(family, count): (&str, usize)| {
        let (results, are) = if count == 1 { ("result", "is") } else { ("results", "are") };
        format!(
            "{count} {results} of {family} {are} of configurations that no sweep planned, and counted too"
        )
    };
    results.into_iter().map(words).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(name: &str, significance: f64) -> Plan {
        let protocol = ProtocolConfig { significance, ..ProtocolConfig::default() };
        Plan { schema: 1, name: name.into(), trials: Vec::new(), protocol }
    }

    #[test]
    fn a_study_may_have_the_name_of_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let runs = folder.path();
        plan("x.json", 0.05).write(runs).unwrap();
        files::make_folder(&Plan::folder(runs, "x.json")).unwrap();
        let names: Vec<String> = Plan::read_all(runs).unwrap().into_iter().map(|plan| plan.name).collect();
        assert_eq!(names, ["x.json"]);
    }

    #[test]
    fn thresholds_are_those_that_all_studies_have() {
        let of = |plans: &[Plan]| {
            let (protocol, remark) = agreed(plans.iter().map(|plan| (plan.name.as_str(), &plan.protocol)));
            (protocol.significance, remark)
        };
        let default = ProtocolConfig::default().significance;
        assert_eq!(of(&[]), (default, None));
        assert_eq!(of(&[plan("a", 0.2), plan("b", 0.2)]), (0.2, None));
        let (significance, remark) = of(&[plan("a", 0.2), plan("b", 0.2), plan("c", 0.3)]);
        assert_eq!(significance, default);
        assert!(remark.is_some_and(|remark| remark.contains("`a` and `c`")));
    }
}
