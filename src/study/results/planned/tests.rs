//! Plans beside the results that there are.

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

/// What a sweep's worker said of a trial.
fn says(root: &Path, trial: &PlannedTrial, text: &str) {
    let log = Plan::log(root, "s", &trial.path);
    files::make_folder(files::folder_of(&log)).unwrap();
    files::write(&log, text.as_bytes(), Durability::Cached).unwrap();
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
    assert!(of(Standing::Failed).why.ends_with("(failed: the loss is not finite)"), "{:?}", found.left_out);
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
    says(root, &trials[1], "loading\nfailed: an earlier one\nfailed: no such machine: `fan`\nhelp: look\n");
    says(root, &trials[2], "nothing has failed: all is well\n");
    plan(root, "s", trials);
    let found = gather(&[root.to_owned()]).unwrap();
    let ce = &found.planned[0].families[0];
    assert_eq!((ce.failed, ce.never_started, ce.missing()), (1, 1, 2));
    assert_eq!(found.left_out[0].why, "it could not be begun (failed: no such machine: `fan`)");
}

#[test]
fn a_trial_whose_judging_failed_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let trials: Vec<PlannedTrial> = (0..3).map(|seed| trial("ce", CONFIGS[0], seed)).collect();
    run(root, &trials[0], None);
    run(root, &trials[1], Some("done\n"));
    run(root, &trials[2], Some("done\n"));
    says(root, &trials[1], "training\nfailed: all test clips are normal\n");
    plan(root, "s", trials);
    let found = gather(&[root.to_owned()]).unwrap();
    let ce = &found.planned[0].families[0];
    assert_eq!((ce.failed, ce.not_evaluated, ce.missing()), (1, 1, 2));
    let [failed, not_evaluated] = &found.left_out[..] else { panic!("{:?}", found.left_out) };
    assert_eq!(failed.state, Standing::Failed);
    assert_eq!(failed.why, "it is trained and not judged (failed: all test clips are normal)");
    assert!(not_evaluated.why.contains("asdbench eval"), "{not_evaluated:?}");
}

#[test]
fn shards_with_runs_folders_of_their_own_are_one_sweep() {
    let folder = tempfile::tempdir().unwrap();
    let roots = ["a", "b"].map(|name| folder.path().join(name));
    let trials: Vec<PlannedTrial> = (0..3).map(|seed| trial("ce", CONFIGS[0], seed)).collect();
    run(&roots[0], &trials[0], None);
    run(&roots[1], &trials[1], None);
    run(&roots[1], &trials[2], Some("failed\nthe loss is not finite\n"));
    roots.iter().for_each(|root| plan(root, "s", trials.clone()));
    let found = gather(&roots).unwrap();
    assert_eq!((found.planned.len(), found.left_out.len()), (2, 1), "{:?}", found.left_out);
    for study in &found.planned {
        let ce = &study.families[0];
        assert_eq!((ce.with_results, ce.failed, ce.never_started), (2, 1, 0), "{ce:?}");
    }
    // One of them alone knows of its own trials only.
    let alone = gather(&roots[..1]).unwrap();
    assert_eq!(alone.planned[0].families[0].never_started, 2);
}

#[test]
fn a_part_of_the_runs_answers_for_its_part_of_the_plan() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let trials = vec![trial("ce", CONFIGS[0], 0), trial("ce", CONFIGS[1], 0), trial("simclr", CONFIGS[0], 0)];
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

#[test]
fn results_that_no_sweep_planned_are_counted_and_said() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let planned = trial("ce", CONFIGS[0], 0);
    let others = [trial("ce", CONFIGS[1], 0), trial("ce", CONFIGS[1], 1)];
    run(root, &planned, None);
    plan(root, "s", vec![planned]);
    assert_eq!(gather(&[root.to_owned()]).unwrap().warnings, [""; 0]);
    others.iter().for_each(|trial| run(root, trial, None));
    let found = gather(&[root.to_owned()]).unwrap();
    let words = "2 results of ce are of configurations that no sweep planned, and counted too";
    assert_eq!((found.rows.len(), &found.warnings[..]), (3, &[words.to_owned()][..]));
    // Where no sweep planned anything, nothing is beside a plan.
    std::fs::remove_dir_all(root.join(".studies")).unwrap();
    assert_eq!(gather(&[root.to_owned()]).unwrap().warnings, [""; 0]);
}
