//! Where results come from: results CSVs and folders of runs.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Detection, Error, Origin, ResultRow, check, read_csv};
use crate::run::{self, RunFolder, Status};
use crate::study;
use crate::task::Proxy;

/// The rows of some sources.
#[derive(Debug)]
pub struct Gathered {
    /// In the order of the sources; checked against one another.
    pub rows: Vec<ResultRow>,
    /// Runs that have no results yet.
    pub left_out: Vec<LeftOut>,
    /// What makes the results hard to compare, for people.
    pub warnings: Vec<String>,
}

/// A run without results.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// Its folder.
    pub path: PathBuf,
    /// Why, and what to do.
    pub why: String,
}

/// What is read of an `eval.json`: the keys that are promised to scripts, so that files of other versions do too.
#[derive(Deserialize)]
struct EvalFile {
    family: String,
    config: String,
    machine: String,
    seed: u64,
    proxy: Proxy,
    linear_probe: ProbeAucs,
    mahalanobis: Auc,
    /// `[eval]` as it was used.
    #[serde(default)]
    settings: serde_json::Value,
    #[serde(default)]
    test_fingerprint: Option<String>,
}

#[derive(Deserialize)]
struct ProbeAucs {
    in_domain: Auc,
    out_domain: Auc,
}

#[derive(Deserialize)]
struct Auc {
    auc: Option<f64>,
}

/// The results of all sources: a file is a results CSV, a folder is that of a run or is above some runs.
///
/// A run that is not evaluated is left out and named. A run that several sources lead to counts once.
///
/// # Errors
/// A source that is not there or holds no results, a damaged file, rows that contradict one another.
pub fn gather(sources: &[PathBuf]) -> Result<Gathered, study::Error> {
    let mut gathered = Gathered { rows: Vec::new(), left_out: Vec::new(), warnings: Vec::new() };
    let (mut seen, mut settings, mut tests) = (HashSet::new(), HashMap::new(), HashMap::new());
    for source in sources {
        if source.is_file() {
            gathered.rows.extend(read_csv(source)?);
        } else if source.is_dir() {
            gathered.add_runs(source, &mut seen, &mut settings, &mut tests)?;
        } else {
            return Err(Error::NoSource(source.clone()).into());
        }
    }
    check(&gathered.rows)?;
    let mixed = mixed_units(&gathered.rows);
    gathered.warnings.extend(mixed);
    Ok(gathered)
}

impl Gathered {
    /// `settings` are the first ones of every family, `tests` the first test clips of every machine, and the run that
    /// has them.
    fn add_runs(
        &mut self,
        source: &Path,
        seen: &mut HashSet<PathBuf>,
        settings: &mut HashMap<String, (serde_json::Value, PathBuf)>,
        tests: &mut HashMap<String, (String, PathBuf)>,
    ) -> Result<(), study::Error> {
        let folders = RunFolder::find(source)?;
        let mut judged = false;
        for folder in &folders {
            let path = folder.path();
            let file = folder.file("eval.json");
            if !file.exists() {
                self.left_out.push(LeftOut { path: path.to_owned(), why: why_without_results(folder)? });
                continue;
            }
            judged = true;
            // Trained anew, or damaged, since it was judged.
            if !matches!(folder.status()?, None | Some(Status::Done)) {
                self.left_out.push(LeftOut { path: path.to_owned(), why: why_without_results(folder)? });
                continue;
            }
            // One run may be named in several ways: `runs`, `./runs`, a link to it.
            if !seen.insert(path.canonicalize().unwrap_or_else(|_| path.to_owned())) {
                continue;
            }
            let run: EvalFile = folder.read_json("eval.json").map_err(|error| match error {
                // Training it again would be much ado: judging it again is enough.
                run::Error::Damaged { path, why } => Error::Invalid {
                    origin: Origin::file(&path),
                    why: format!("the file is damaged ({why}); run `asdbench eval` on this run again"),
                }
                .into(),
                other => study::Error::from(other),
            })?;
            if let Some(found) = &run.test_fingerprint {
                let first =
                    tests.entry(run.machine.clone()).or_insert_with(|| (found.clone(), path.to_owned()));
                if first.0 != *found {
                    self.warnings.push(format!(
                        "{} was judged on other test clips than {}: their results do not compare",
                        path.display(),
                        first.1.display()
                    ));
                }
            }
            let judged_by = measuring(&run.settings);
            let (first, of) =
                settings.entry(run.family.clone()).or_insert_with(|| (judged_by.clone(), path.to_owned()));
            if *first != judged_by {
                self.warnings.push(format!(
                    "{} was judged with other [eval] settings than {}: their results do not compare",
                    path.display(),
                    of.display()
                ));
            }
            self.rows.push(run.row(&file)?);
        }
        match judged {
            true => Ok(()),
            false => Err(Error::NotEvaluated { path: source.to_owned(), runs: folders.len() }.into()),
        }
    }
}

/// Settings that decide how something is measured. What is published of checkpoints is looked up, each by its own: one
/// file has those of BEATs and another those of EAT.
fn measuring(settings: &serde_json::Value) -> serde_json::Value {
    let mut settings = settings.clone();
    if let Some(table) = settings.as_object_mut() {
        table.remove("pretrained");
    }
    settings
}

impl EvalFile {
    fn row(self, file: &Path) -> Result<ResultRow, Error> {
        let row = ResultRow {
            origin: Origin::file(file),
            family: self.family,
            config: self.config,
            machine: Some(self.machine),
            seed: Some(self.seed),
            proxy_name: self.proxy.name,
            proxy: self.proxy.value,
            higher_is_better: self.proxy.higher_is_better,
            in_domain_lp: self.linear_probe.in_domain.auc,
            out_domain_lp: self.linear_probe.out_domain.auc,
            mahalanobis: self.mahalanobis.auc,
        };
        let values = [row.proxy, row.in_domain_lp, row.out_domain_lp, row.mahalanobis];
        match values.into_iter().flatten().all(f64::is_finite) {
            true => Ok(row),
            false => Err(Error::Invalid { origin: row.origin, why: "a value is not finite".into() }),
        }
    }
}

fn why_without_results(folder: &RunFolder) -> Result<String, study::Error> {
    let path = folder.path().display();
    Ok(match folder.status()? {
        Some(Status::Done) => format!("it is not evaluated; judge it with `asdbench eval {path}`"),
        Some(status) => format!("it is not trained to its end ({status})"),
        None => "it was not begun".into(),
    })
}

/// Families whose AUCs are fractions in one row and percent in another: a mean of the two means nothing.
fn mixed_units(rows: &[ResultRow]) -> Vec<String> {
    let mut warnings = Vec::new();
    let mut families: Vec<&str> = Vec::new();
    for row in rows {
        if !families.contains(&row.family.as_str()) {
            families.push(&row.family);
        }
    }
    for family in families {
        for which in Detection::ALL {
            let of_family = rows.iter().filter(|row| row.family == family);
            let known: Vec<(&ResultRow, f64)> =
                of_family.filter_map(|row| row.detection(which).map(|auc| (row, auc))).collect();
            // An AUC of at most 1 % is as good as impossible.
            let fraction = known.iter().find(|(_, auc)| *auc > 0.0 && *auc <= 1.0);
            let percent = known.iter().find(|(_, auc)| *auc > 1.0);
            if let (Some((a, _)), Some((b, _))) = (fraction, percent) {
                warnings.push(format!(
                    "{} of family `{family}` looks like a fraction in {} and like percent in {}",
                    which.key(),
                    a.origin,
                    b.origin
                ));
            }
        }
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::{self, Durability};

    fn run(root: &Path, machine: &str, seed: u64, eval: Option<&str>) -> PathBuf {
        let folder = root.join("autoencoder/h8-b4-01234567").join(machine).join(format!("seed-{seed}"));
        files::make_folder(&folder).unwrap();
        let write = |name: &str, text: &str| {
            files::write(&folder.join(name), text.as_bytes(), Durability::Cached).unwrap();
        };
        write("manifest.json", "{}");
        write("status", "done\n");
        if let Some(settings) = eval {
            write(
                "eval.json",
                &format!(
                    r#"{{"schema":1,"path":"p","family":"autoencoder","config":"h8-b4-01234567","machine":"{machine}",
                    "seed":{seed},"proxy":{{"name":"mae","value":0.5,"higher_is_better":false}},
                    "linear_probe":{{"in_domain":{{"auc":0.75,"sections":{{}}}},"out_domain":{{"auc":null,"why":"x"}}}},
                    "mahalanobis":{{"auc":0.625}},"official":{{"omega":0.5}},"settings":{settings}}}"#
                ),
            );
        }
        folder
    }

    #[test]
    fn runs_are_read_once_and_those_without_results_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let judged = run(folder.path(), "fan", 0, Some("{}"));
        let bare = run(folder.path(), "pump", 1, None);
        let found = gather(&[folder.path().to_owned(), judged.clone()]).unwrap();
        assert_eq!(found.rows.len(), 1);
        let row = &found.rows[0];
        assert_eq!((row.machine.as_deref(), row.seed, row.proxy), (Some("fan"), Some(0), Some(0.5)));
        assert_eq!((row.in_domain_lp, row.out_domain_lp, row.mahalanobis), (Some(0.75), None, Some(0.625)));
        assert_eq!(row.origin.path, judged.join("eval.json"));
        assert_eq!(found.left_out.len(), 1);
        assert!(found.left_out[0].path == bare && found.left_out[0].why.contains("asdbench eval"));
        assert!(found.warnings.is_empty());
        let alone = gather(&[bare]).unwrap_err().to_string();
        assert!(alone.contains("none of the 1 runs") && alone.contains("asdbench eval"), "{alone}");
    }

    #[test]
    fn results_that_do_not_compare_are_warned_of() {
        let folder = tempfile::tempdir().unwrap();
        run(folder.path(), "fan", 0, Some("{}"));
        run(folder.path(), "fan", 1, Some(r#"{"mahalanobis":{"ridge":{}}}"#));
        let csv = folder.path().join("r.csv");
        let text = "family,config,machine,seed,proxy_name,proxy,higher_is_better,in_domain_lp,out_domain_lp,mahalanobis\n\
                    autoencoder,other,fan,0,mae,1,false,71.5,,\n";
        files::write(&csv, text.as_bytes(), Durability::Cached).unwrap();
        let found = gather(&[folder.path().to_owned(), csv]).unwrap();
        assert_eq!(found.rows.len(), 3);
        let [settings, units] = &found.warnings[..] else { panic!("{:?}", found.warnings) };
        assert!(settings.contains("seed-1 was judged with other [eval] settings"), "{settings}");
        assert!(units.contains("in_domain_lp") && units.contains("line 2"), "{units}");
    }

    #[test]
    fn a_source_must_be_there_and_whole() {
        let folder = tempfile::tempdir().unwrap();
        let gone = folder.path().join("gone");
        assert!(gather(&[gone]).unwrap_err().to_string().contains("there is no "));
        assert!(gather(&[folder.path().to_owned()]).unwrap_err().to_string().contains("no run below"));
        let damaged = run(folder.path(), "fan", 0, Some("}"));
        let found = gather(&[damaged]).unwrap_err().to_string();
        assert!(
            found.contains("eval.json: the file is damaged") && found.contains("asdbench eval"),
            "{found}"
        );
    }
}
