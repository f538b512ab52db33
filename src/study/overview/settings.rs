//! What runs were made with: their settings, and the programs and devices that made them.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::scan::Judged;
use crate::files;

/// A family's settings.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Settings {
    /// Those that its runs differ in, sorted by key.
    pub varied: Vec<Varied>,
    /// Those that are the same in all of its runs, sorted by key.
    pub common: Vec<Setting>,
}

/// A setting with one value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Setting {
    /// Such as `train.epochs`.
    pub key: String,
    /// As TOML.
    pub value: String,
}

/// A setting with several values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Varied {
    /// Such as `task.autoencoder.hidden`.
    pub key: String,
    /// As TOML, sorted.
    pub values: Vec<String>,
}

impl Settings {
    /// Of the configurations that runs keep. One that cannot be read adds nothing: it decides no result.
    pub(super) fn of<'a>(runs: impl Iterator<Item = &'a Judged>) -> Self {
        let mut values: BTreeMap<String, BTreeSet<Option<String>>> = BTreeMap::new();
        let mut seen = 0;
        for run in runs {
            let text = files::read_text(&run.folder.file("config.toml"));
            let Some(mut table) = text.ok().and_then(|text| text.parse::<toml::Table>().ok()) else {
                continue;
            };
            // A run may have been judged with others than it was trained with.
            if let Ok(judged) = toml::Value::try_from(&run.evaluation.settings) {
                table.insert("eval".to_owned(), judged);
            }
            let mut flat = BTreeMap::new();
            flatten("", &toml::Value::Table(table), &mut flat);
            // A setting that earlier runs have not.
            for (key, value) in &flat {
                let of_key = values.entry(key.clone()).or_default();
                if of_key.is_empty() && seen > 0 {
                    of_key.insert(None);
                }
                of_key.insert(Some(value.clone()));
            }
            for (_, of_key) in values.iter_mut().filter(|(key, _)| !flat.contains_key(*key)) {
                of_key.insert(None);
            }
            seen += 1;
        }
        let mut settings = Self::default();
        for (key, values) in values {
            let mut values: Vec<String> =
                values.into_iter().map(|value| value.unwrap_or_else(|| "not set".into())).collect();
            match values.as_mut_slice() {
                [one] => settings.common.push(Setting { key, value: std::mem::take(one) }),
                _ => {
                    sort(&mut values);
                    settings.varied.push(Varied { key, values });
                }
            }
        }
        settings
    }

    /// The value of a setting that all runs share.
    pub(super) fn common(&self, key: &str) -> Option<&str> {
        self.common.iter().find(|setting| setting.key == key).map(|setting| setting.value.as_str())
    }

    /// All values of a setting, as TOML.
    pub(super) fn all(&self, key: &str) -> Vec<&str> {
        let varied = self.varied.iter().find(|setting| setting.key == key);
        match varied {
            Some(setting) => setting.values.iter().map(String::as_str).collect(),
            None => self.common(key).into_iter().collect(),
        }
    }
}

/// Leaves of a tree of tables by their dotted keys.
fn flatten(prefix: &str, value: &toml::Value, flat: &mut BTreeMap<String, String>) {
    match value {
        toml::Value::Table(table) => {
            for (key, value) in table {
                let key = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
                flatten(&key, value, flat);
            }
        }
        leaf => {
            flat.insert(prefix.to_owned(), leaf.to_string());
        }
    }
}

/// Numbers by size, texts by letters.
fn sort(values: &mut [String]) {
    let number = |text: &String| text.parse::<f64>();
    values.sort_by(|a, b| match (number(a), number(b)) {
        (Ok(a), Ok(b)) => a.total_cmp(&b),
        _ => a.cmp(b),
    });
}

/// Programs and devices that runs were trained with; each sorted.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Provenance {
    /// Versions of asdbench.
    pub asdbench: BTreeSet<String>,
    /// Versions of Burn.
    pub burn: BTreeSet<String>,
    /// Devices, in words.
    pub devices: BTreeSet<String>,
    /// Commits of the working folders that had some, with `, modified` where files differed.
    pub commits: BTreeSet<String>,
}

impl Provenance {
    pub(super) fn of(runs: &[Judged]) -> Self {
        let mut found = Self::default();
        for start in
            runs.iter().flat_map(|run| std::iter::once(&run.manifest.started).chain(&run.manifest.resumed))
        {
            found.asdbench.insert(start.asdbench.clone());
            found.burn.insert(start.burn.clone());
            found.devices.insert(start.device.clone());
            found.commits.extend(start.git.as_ref().map(|git| match git.modified {
                true => format!("{}, modified", git.commit),
                false => git.commit.clone(),
            }));
        }
        found
    }
}
