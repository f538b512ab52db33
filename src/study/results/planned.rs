//! The results that a sweep intends, beside those that there are.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::{LeftOut, ResultRow, Standing};
use crate::config::ProtocolConfig;
use crate::study;
use crate::study::correlation::NOTHING_DRAWN;
use crate::study::plan::{Plan, PlannedTrial};

/// A sweep's plan, and how far it has come.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PlannedStudy {
    /// The study's name.
    pub name: String,
    /// What it makes of results, for people.
    #[serde(skip)]
    pub protocol: ProtocolConfig,
    /// By family, in the order of the study.
    pub families: Vec<PlannedFamily>,
}

/// How many trials of a family stand where.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct PlannedFamily {
    /// Proxy-task family.
    pub family: String,
    /// Configurations × machine types × seeds.
    pub trials: usize,
    /// Those that have results.
    pub with_results: usize,
    /// Those that need none: nothing is drawn in the family, and another seed has results.
    pub stood_in_for: usize,
    /// Those that ended by an error.
    pub failed: usize,
    /// Those that the user stopped.
    pub interrupted: usize,
    /// Those that a process works on, or was killed on.
    pub running: usize,
    /// Trained, and not judged.
    pub not_evaluated: usize,
    /// Those that nobody has begun.
    pub never_started: usize,
}

impl PlannedFamily {
    /// Trials that have no results and should.
    pub fn missing(&self) -> usize {
        self.trials - self.with_results - self.stood_in_for
    }

    fn count(&mut self, standing: Standing) {
        *match standing {
            Standing::Failed => &mut self.failed,
            Standing::Interrupted => &mut self.interrupted,
            Standing::Running => &mut self.running,
            Standing::NotEvaluated => &mut self.not_evaluated,
            Standing::NeverStarted => &mut self.never_started,
        } += 1;
    }

    /// What is missing, in words: `2 of 12 trials have no results: 1 failed, 1 never started`.
    pub fn in_words(&self) -> Option<String> {
        let counts = [
            (self.failed, "failed"),
            (self.interrupted, "interrupted"),
            (self.running, "running or killed"),
            (self.not_evaluated, "not evaluated"),
            (self.never_started, "never started"),
        ];
        let words: Vec<String> =
            counts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
        (self.missing() > 0).then(|| {
            format!(
                "{} of {} planned trials have no results: {}",
                self.missing(),
                self.trials,
                words.join(", ")
            )
        })
    }
}

/// What the plans of the runs folders of `sources` want of them: each plan's standing, and its trials that nobody has begun.
///
/// `found` are the runs' folders that were found in them, `rows` the results and `left_out` the runs without.
pub(super) fn against_plans(
    sources: &[&Path],
    found: &HashSet<PathBuf>,
    rows: &[ResultRow],
    left_out: &[LeftOut],
) -> Result<(Vec<PlannedStudy>, Vec<LeftOut>), study::Error> {
    let sources: Vec<(&Path, PathBuf)> = sources.iter().map(|source| (*source, real(source))).collect();
    let mut roots: Vec<&Path> = sources.iter().flat_map(|(_, source)| source.ancestors().take(5)).collect();
    // runs/family/config/machine/seed-n
    roots.extend(found.iter().filter_map(|run| run.ancestors().nth(4)));
    roots.sort();
    roots.dedup();
    let there: HashSet<PathBuf> = rows.iter().filter_map(|row| row.origin.path.parent()).map(real).collect();
    let standing: HashMap<PathBuf, Standing> =
        left_out.iter().map(|run| (real(&run.path), run.state)).collect();
    let (mut studies, mut missing): (Vec<PlannedStudy>, BTreeMap<PathBuf, LeftOut>) = Default::default();
    for root in roots {
        for plan in Plan::read_all(root)? {
            // Of a part of the runs folder, only that part is asked for. Shown as it was asked for.
            let asked = |trial: &PlannedTrial| {
                let path = root.join(&trial.path);
                let shown = sources.iter().find_map(|(given, source)| {
                    path.strip_prefix(source).ok().map(|below| given.join(below))
                })?;
                Some((path, shown))
            };
            let any_seed = any_seed(&plan.trials, root, &there);
            let mut families: Vec<PlannedFamily> = Vec::new();
            for trial in &plan.trials {
                let Some((path, shown)) = asked(trial) else { continue };
                let at = families.iter().position(|one| one.family == trial.family).unwrap_or_else(|| {
                    families.push(PlannedFamily { family: trial.family.clone(), ..PlannedFamily::default() });
                    families.len() - 1
                });
                let family = &mut families[at];
                family.trials += 1;
                if there.contains(&path) {
                    family.with_results += 1;
                } else if any_seed.contains(&cell(trial)) {
                    family.stood_in_for += 1;
                } else if let Some(standing) = standing.get(&path) {
                    family.count(*standing);
                } else {
                    let (state, why) = match plan.failure(root, trial) {
                        Some(why) => (Standing::Failed, format!("it could not be begun (failed: {why})")),
                        None => {
                            let why = format!("the study `{}` plans it, and it was never started", plan.name);
                            (Standing::NeverStarted, why)
                        }
                    };
                    family.count(state);
                    missing.entry(path).or_insert(LeftOut { path: shown, state, why });
                }
            }
            if !families.is_empty() {
                studies.push(PlannedStudy { name: plan.name, protocol: plan.protocol, families });
            }
        }
    }
    Ok((studies, missing.into_values().collect()))
}

/// Configurations and machine types, of families that draw nothing, of which some seed has results.
fn any_seed<'a>(trials: &'a [PlannedTrial], root: &Path, there: &HashSet<PathBuf>) -> HashSet<[&'a str; 3]> {
    let of = |trial: &&PlannedTrial| {
        NOTHING_DRAWN.contains(&trial.family.as_str()) && there.contains(&root.join(&trial.path))
    };
    trials.iter().filter(of).map(cell).collect()
}

/// A trial whatever its seed.
fn cell(trial: &PlannedTrial) -> [&str; 3] {
    [&trial.family, &trial.config, &trial.machine]
}

/// One folder may be named in several ways.
fn real(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::{self, Durability};
    use crate::study::results::gather;

    const CONFIGS: [&str; 2] = ["a-00000000", "b-00000000"];

    fn trial(family: &str, config: &str, seed: u64) -> PlannedTrial {
        let path = format!("{family}/{config}/fan/seed-{seed}");
        PlannedTrial { path, family: family.into(), config: config.into(), machine: "fan".into(), seed }
    }

    /// A run of a trial in some state, with results where there is no state.
    fn run(root: &Path, trial: &PlannedTrial, state: Option<&str>) {
        let folder = root.join(&trial.path);
        files::make_folder(&folder).unwrap();
        let write = |name: &str, text: &str| {
            files::write(&folder.join(name), text.as_bytes(), Durability::Cached).unwrap();
        };
        write("manifest.json", "{}");
        write("status", state.unwrap_or("done\n"));
        if state.is_none() {
            let PlannedTrial { family, config, seed, .. } = trial;
            write(
                "eval.json",
                &format!(
                    r#"{{"family":"{family}","config":"{config}","machine":"fan","seed":{seed},
                    "proxy":{{"name":"p","value":0.5,"higher_is_better":true}},
                    "linear_probe":{{"in_domain":{{"auc":0.75}},"out_domain":{{"auc":0.5}}}},"mahalanobis":{{"auc":0.625}}}}"#
                ),
            );
        }
    }

    fn plan(root: &Path, name: &str, trials: Vec<PlannedTrial>) {
        let protocol = ProtocolConfig { significance: 0.01, ..ProtocolConfig::default() };
        Plan { schema: 1, name: name.into(), trials, protocol }.write(root).unwrap();
    }

    #[test]
    fn every_planned_trial_is_counted_where_it_stands() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let trials: Vec<PlannedTrial> =
            CONFIGS.iter().flat_map(|config| (0..3).map(|seed| trial("autoencoder", config, seed))).collect();
        let states =
            [None, Some("failed\nthe loss is not finite\nmore\n"), Some("interrupted\n"), Some("running\n")];
        states.iter().zip(&trials).for_each(|(state, trial)| run(root, trial, *state));
        run(root, &trials[4], Some("done\n"));
        plan(root, "s", trials);
        let found = gather(&[root.to_owned()]).unwrap();
        let [study] = &found.planned[..] else { panic!("{:?}", found.planned) };
        let expected = PlannedFamily {
            family: "autoencoder".into(),
            trials: 6,
            with_results: 1,
            stood_in_for: 0,
            failed: 1,
            interrupted: 1,
            running: 1,
            not_evaluated: 1,
            never_started: 1,
        };
        assert_eq!((&study.families[..], study.protocol.significance), (&[expected.clone()][..], 0.01));
        assert_eq!(
            expected.in_words().unwrap(),
            "5 of 6 planned trials have no results: 1 failed, 1 interrupted, 1 running or killed, 1 not evaluated, 1 \
             never started"
        );
        let of = |state: Standing| found.left_out.iter().find(|run| run.state == state).unwrap();
        assert!(
            of(Standing::Failed).why.ends_with("(failed: the loss is not finite)"),
            "{:?}",
            found.left_out
        );
        let never = of(Standing::NeverStarted);
        assert!(
            never.path == root.join("autoencoder/b-00000000/fan/seed-2") && never.why.contains("`s`"),
            "{never:?}"
        );
        assert_eq!(found.left_out.len(), 5);
    }

    #[test]
    fn what_failed_before_it_had_a_folder_failed() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let trials = vec![trial("ce", CONFIGS[0], 0), trial("ce", CONFIGS[1], 0), trial("ce", CONFIGS[1], 1)];
        run(root, &trials[0], None);
        let says = |trial: &PlannedTrial, text: &str| {
            let log = Plan::log(root, "s", &trial.path);
            files::make_folder(files::folder_of(&log)).unwrap();
            files::write(&log, text.as_bytes(), Durability::Cached).unwrap();
        };
        says(&trials[1], "loading\nfailed: an earlier one\nfailed: no such machine: `fan`\nhelp: look\n");
        says(&trials[2], "nothing has failed: all is well\n");
        plan(root, "s", trials);
        let found = gather(&[root.to_owned()]).unwrap();
        let ce = &found.planned[0].families[0];
        assert_eq!((ce.failed, ce.never_started, ce.missing()), (1, 1, 2));
        assert_eq!(found.left_out[0].why, "it could not be begun (failed: no such machine: `fan`)");
    }

    #[test]
    fn a_part_of_the_runs_answers_for_its_part_of_the_plan() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let trials =
            vec![trial("ce", CONFIGS[0], 0), trial("ce", CONFIGS[1], 0), trial("simclr", CONFIGS[0], 0)];
        run(root, &trials[0], None);
        plan(root, "s", trials);
        let of = |sources: &[&str]| {
            let sources: Vec<PathBuf> = sources.iter().map(|source| root.join(source)).collect();
            let found = gather(&sources).unwrap();
            (
                found.planned[0].families.iter().map(PlannedFamily::missing).collect::<Vec<_>>(),
                found.left_out.len(),
            )
        };
        assert_eq!(of(&["ce/a-00000000"]), (vec![0], 0));
        assert_eq!(of(&["ce"]), (vec![1], 1));
        assert_eq!(of(&["."]), (vec![1, 1], 2));
        assert_eq!(of(&["ce", ".", "ce/a-00000000"]), (vec![1, 1], 2));
    }

    #[test]
    fn where_nothing_is_drawn_one_seed_stands_for_the_others() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let families = ["pretrained", "ce"];
        let trials: Vec<PlannedTrial> =
            families.iter().flat_map(|family| (0..2).map(|seed| trial(family, CONFIGS[0], seed))).collect();
        run(root, &trials[0], None);
        run(root, &trials[2], None);
        plan(root, "s", trials);
        let found = gather(&[root.to_owned()]).unwrap();
        let [pretrained, ce] = &found.planned[0].families[..] else { panic!("{:?}", found.planned) };
        assert_eq!((pretrained.stood_in_for, pretrained.missing(), pretrained.in_words()), (1, 0, None));
        assert_eq!((ce.stood_in_for, ce.missing()), (0, 1));
        assert_eq!(found.left_out.len(), 1);
    }

    #[test]
    fn without_a_sweep_nothing_is_planned() {
        let folder = tempfile::tempdir().unwrap();
        run(folder.path(), &trial("ce", CONFIGS[0], 0), None);
        let found = gather(&[folder.path().to_owned()]).unwrap();
        assert!(found.planned.is_empty() && found.left_out.is_empty());
        files::make_folder(&folder.path().join(".studies")).unwrap();
        files::write(&folder.path().join(".studies/x.json"), b"{", Durability::Cached).unwrap();
        let error = gather(&[folder.path().to_owned()]).unwrap_err().to_string();
        assert!(error.contains("x.json is damaged"), "{error}");
    }
}
