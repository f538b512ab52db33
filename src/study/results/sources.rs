//! Where results come from: results CSVs and folders of runs.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::planned::{Against, against_plans};
use super::{Detection, Error, Origin, PlannedStudy, ResultRow, check, read_csv};
use crate::run::{self, RunFolder, Status};
use crate::study;
use crate::task::Proxy;

/// The rows of some sources.
#[derive(Debug)]
pub struct Gathered {
    /// In the order of the sources; checked against one another.
    pub rows: Vec<ResultRow>,
    /// Runs that have no results yet, and those that a sweep plans and nobody has begun.
    pub left_out: Vec<LeftOut>,
    /// What makes the results hard to compare, for people.
    pub warnings: Vec<String>,
    /// The sweeps that the runs belong to, and how far they have come.
    pub planned: Vec<PlannedStudy>,
}

/// A run without results.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// Its folder.
    pub path: PathBuf,
    /// Where it stands.
    pub state: Standing,
    /// Why, and what to do.
    pub why: String,
}

/// Where a run without results stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It ended by an error.
    Failed,
    /// The user stopped it.
    Interrupted,
    /// A process works on it, or was killed while it did.
    Running,
    /// Trained, and not judged.
    NotEvaluated,
    /// Nobody has begun it.
    NeverStarted,
}

/// What is read of an `eval.json`: the keys that are promised to scripts, so that files of other versions do too.
#[derive(Deserialize)]
struct EvalFile {
    family: String,
    config: String,
    machine: String,
    seed: u64,
    proxy: Proxy,
    #[serde(default)]
    other_proxies: Vec<Proxy>,
    linear_probe: ProbeAucs,
    mahalanobis: Auc,
    /// `[eval]` as it was used.
    #[serde(default)]
    settings: serde_json::Value,
    #[serde(default)]
    test_fingerprint: Option<String>,
}

impl EvalFile {
    fn of(&self, which: Detection) -> &Auc {
        match which {
            Detection::InDomainLp => &self.linear_probe.in_domain,
            Detection::OutDomainLp => &self.linear_probe.out_domain,
            Detection::Mahalanobis => &self.mahalanobis,
        }
    }
}

#[derive(Deserialize)]
struct ProbeAucs {
    in_domain: Auc,
    out_domain: Auc,
}

#[derive(Deserialize)]
struct Auc {
    auc: Option<f64>,
    #[serde(default)]
    sections: BTreeMap<String, Option<f64>>,
}

/// The results of all sources: a file is a results CSV, a folder is that of a run or is above some runs.
///
/// A run that is not evaluated is left out and named, and so is one that a sweep's plan has and nobody has begun. A run that
/// several sources lead to counts once.
///
/// # Errors
/// A source that is not there or holds no results, a damaged file, rows that contradict one another.
pub fn gather(sources: &[PathBuf]) -> Result<Gathered, study::Error> {
    let mut gathered =
        Gathered { rows: Vec::new(), left_out: Vec::new(), warnings: Vec::new(), planned: Vec::new() };
    let mut known = Known::default();
    for source in sources {
        if source.is_file() {
            gathered.rows.extend(read_csv(source)?);
        } else if source.is_dir() {
            gathered.add_runs(source, &mut known)?;
        } else {
            return Err(Error::NoSource(source.clone()).into());
        }
    }
    check(&gathered.rows)?;
    let folders: Vec<&Path> = sources.iter().map(PathBuf::as_path).filter(|source| source.is_dir()).collect();
    let Against { planned, missing, warnings } =
        against_plans(&folders, &known.seen, &gathered.rows, &mut gathered.left_out)?;
    gathered.planned = planned;
    gathered.left_out.extend(missing);
    gathered.warnings.extend(warnings);
    let mixed = mixed_units(&gathered.rows);
    gathered.warnings.extend(mixed);
    Ok(gathered)
}

/// What the runs that were read so far say.
#[derive(Default)]
struct Known {
    /// Their folders.
    seen: HashSet<PathBuf>,
    /// The first settings of every family, and the run that has them.
    settings: HashMap<String, (serde_json::Value, PathBuf)>,
    /// The first test clips of every machine, and the run that has them.
    tests: HashMap<String, (String, PathBuf)>,
    /// Sections whose lack of an AUC was said: of which machine, by which metric.
    gaps: HashSet<(String, &'static str, String)>,
}

/// What a run's folder holds.
enum Found {
    Results(Box<EvalFile>),
    Nothing(LeftOut),
}

impl Gathered {
    fn add_runs(&mut self, source: &Path, known: &mut Known) -> Result<(), study::Error> {
        let folders = RunFolder::find(source)?;
        // One run may be named in several ways: `runs`, `./runs`, a link to it.
        let new = |folder: &&RunFolder| {
            let path = folder.path();
            known.seen.insert(path.canonicalize().unwrap_or_else(|_| path.to_owned()))
        };
        let own: Vec<&RunFolder> = folders.iter().filter(new).collect();
        let found: Result<Vec<Found>, study::Error> = own.par_iter().map(|folder| look(folder)).collect();
        let (mut rows, mut left_out) = (Vec::new(), Vec::new());
        for (folder, found) in own.iter().zip(found?) {
            match found {
                Found::Nothing(run) => left_out.push(run),
                Found::Results(run) => {
                    self.warnings.extend(known.contradictions(&run, folder.path()));
                    self.warnings.extend(known.partial_means(&run, folder.path()));
                    rows.push(run.row(&folder.file("eval.json"))?);
                }
            }
        }
        let judged = !rows.is_empty() || own.len() < folders.len();
        self.rows.extend(rows);
        self.left_out.extend(left_out);
        match judged {
            true => Ok(()),
            false => Err(Error::NotEvaluated { path: source.to_owned(), runs: folders.len() }.into()),
        }
    }
}

impl Known {
    /// Why a run's results do not compare with those of an earlier one.
    fn contradictions(&mut self, run: &EvalFile, path: &Path) -> Vec<String> {
        let mut warnings = Vec::new();
        if let Some(found) = &run.test_fingerprint {
            let first =
                self.tests.entry(run.machine.clone()).or_insert_with(|| (found.clone(), path.to_owned()));
            if first.0 != *found {
                warnings.push(format!(
                    "{} was judged on other test clips than {}: their results do not compare",
                    path.display(),
                    first.1.display()
                ));
            }
        }
        let judged_by = measuring(&run.settings);
        let (first, of) =
            self.settings.entry(run.family.clone()).or_insert_with(|| (judged_by.clone(), path.to_owned()));
        if *first != judged_by {
            warnings.push(format!(
                "{} was judged with other [eval] settings than {}: their results do not compare",
                path.display(),
                of.display()
            ));
        }
        warnings
    }
}

impl Known {
    /// Which of a run's AUCs are means over some of its machine's sections, each machine, metric and section once.
    fn partial_means(&mut self, run: &EvalFile, path: &Path) -> Vec<String> {
        let mut warnings = Vec::new();
        for which in Detection::ALL {
            let of = run.of(which);
            let without = of.sections.iter().filter(|(_, auc)| auc.is_none()).map(|(section, _)| section);
            let new: Vec<&str> = without
                .filter(|_| of.auc.is_some())
                .filter(|section| self.gaps.insert((run.machine.clone(), which.label(), (*section).clone())))
                .map(String::as_str)
                .collect();
            if !new.is_empty() {
                warnings.push(format!(
                    "{}: the {} AUC of machine `{}` is a mean without section {}, which has none; eval.json says why",
                    path.display(),
                    which.label(),
                    run.machine,
                    new.join(", ")
                ));
            }
        }
        warnings
    }
}

/// The results of one run.
fn look(folder: &RunFolder) -> Result<Found, study::Error> {
    // Trained anew, or damaged, since it was judged.
    let trained = matches!(folder.status()?, None | Some(Status::Done));
    if !trained || !folder.file("eval.json").exists() {
        let path = folder.path().to_owned();
        let (state, why) = why_without_results(folder)?;
        return Ok(Found::Nothing(LeftOut { path, state, why }));
    }
    let run = folder.read_json("eval.json").map_err(|error| match error {
        // Training it again would be much ado: judging it again is enough.
        run::Error::Damaged { path, why } => Error::Invalid {
            origin: Origin::file(&path),
            why: format!("the file is damaged ({why}); run `asdbench eval` on this run again"),
        }
        .into(),
        other => study::Error::from(other),
    })?;
    Ok(Found::Results(Box::new(run)))
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
            proxy_why: self.proxy.why,
            higher_is_better: self.proxy.higher_is_better,
            other_proxies: self.other_proxies,
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

fn why_without_results(folder: &RunFolder) -> Result<(Standing, String), study::Error> {
    let path = folder.path().display();
    Ok(match folder.status()? {
        Some(Status::Done) => {
            (Standing::NotEvaluated, format!("it is not evaluated; judge it with `asdbench eval {path}`"))
        }
        Some(Status::Failed(reason)) => {
            let reason = reason.lines().next().unwrap_or_default().to_owned();
            let reason = if reason.is_empty() { reason } else { format!(": {reason}") };
            (Standing::Failed, format!("it is not trained to its end (failed{reason})"))
        }
        Some(Status::Interrupted) => {
            (Standing::Interrupted, "it is not trained to its end (interrupted)".into())
        }
        Some(Status::Running) => {
            (Standing::Running, "it is not trained to its end (running, or killed while it was)".into())
        }
        None => (Standing::NeverStarted, "it was not begun".into()),
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
    fn a_mean_over_some_sections_is_said_once() {
        let auc = |auc, sections: &[(&str, Option<f64>)]| Auc {
            auc,
            sections: sections.iter().map(|(name, auc)| ((*name).to_owned(), *auc)).collect(),
        };
        let whole = || auc(Some(0.5), &[("00", Some(0.25)), ("01", Some(0.75))]);
        let of = |mahalanobis| EvalFile {
            family: "f".into(),
            config: "c".into(),
            machine: "fan".into(),
            seed: 0,
            proxy: Proxy::new("mae", Ok(0.5), false),
            other_proxies: Vec::new(),
            linear_probe: ProbeAucs { in_domain: whole(), out_domain: auc(None, &[("00", None)]) },
            mahalanobis,
            settings: serde_json::Value::Null,
            test_fingerprint: None,
        };
        let mut known = Known::default();
        assert!(known.partial_means(&of(whole()), Path::new("a")).is_empty());
        let partial = || of(auc(Some(0.25), &[("00", Some(0.25)), ("01", None), ("02", None)]));
        let found = known.partial_means(&partial(), Path::new("a"));
        let expected = "a: the Mahalanobis AUC of machine `fan` is a mean without section 01, 02, which has none; \
                        eval.json says why";
        assert_eq!(found, [expected]);
        assert!(known.partial_means(&partial(), Path::new("b")).is_empty());
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
