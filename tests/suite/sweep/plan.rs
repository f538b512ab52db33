//! What a sweep says that it would do.

use std::fs;

use serde_json::Value;

use super::{TRIALS, runs_of, study, sweep};

#[test]
fn a_dry_run_says_where_all_stand_and_leaves_nothing() {
    let bench = study();
    let plan = sweep(&bench, "runs", &["--dry-run", "--jobs", "2"]).fine();
    assert!(!bench.path("runs").exists());
    let document = plan.json();
    assert_eq!((&document["dry_run"], &document["workers"]), (&true.into(), &2.into()));
    let seconds = |run: &Value| run["seconds"].as_f64().unwrap_or_else(|| panic!("{run}"));
    let runs = runs_of(&plan);
    assert_eq!(runs.len(), TRIALS);
    for run in &runs {
        assert_eq!((&run["state"], &run["cached"]), (&"new".into(), &false.into()), "{run}");
        assert!(seconds(run) > 0.0);
    }
    // The second machine type of the joint training has its network from the first.
    assert!(seconds(&runs[5]) < seconds(&runs[4]), "{} {}", runs[4], runs[5]);
    let total = runs.iter().map(seconds).sum::<f64>() / 2.0;
    assert!((document["seconds"].as_f64().unwrap() / total - 1.0).abs() < 1e-9);

    sweep(&bench, "runs", &["--only", "autoencoder"]).fine();
    let later = sweep(&bench, "runs", &["--dry-run", "--no-probe"]).fine();
    let runs = runs_of(&later);
    for run in &runs[..4] {
        assert_eq!((&run["state"], &run["cached"]), (&"done".into(), &true.into()), "{run}");
    }
    for run in &runs[4..] {
        assert_eq!((&run["state"], &run["cached"]), (&"new".into(), &false.into()), "{run}");
        assert_eq!(run["seconds"], Value::Null);
    }
}

#[test]
fn the_plan_is_of_the_whole_study_whatever_part_is_done() {
    let bench = study();
    sweep(&bench, "runs", &["--shard", "1/3", "--only", "autoencoder"]).fine();
    let text = fs::read_to_string(bench.path("runs/.studies/tiny.json")).unwrap();
    let plan: Value = serde_json::from_str(&text).unwrap();
    let trials = plan["trials"].as_array().unwrap();
    assert_eq!(trials.len(), TRIALS);
    assert_eq!((&trials[0]["family"], &trials[0]["machine"]), (&"autoencoder".into(), &"fan".into()));
    let path = trials[0]["path"].as_str().unwrap();
    assert!(bench.path("runs").join(path).join("eval.json").exists(), "{path}");
}

#[test]
fn a_job_array_does_one_shard_a_task() {
    let bench = study();
    let options = ["--slurm", "array.sh", "--tasks", "3", "--sbatch=--time=60", "--only", "ce"];
    sweep(&bench, "my runs", &options).fine();
    let script = fs::read_to_string(bench.path("array.sh")).unwrap();
    for words in
        ["#SBATCH --array=1-3", "#SBATCH --time=60", "$SLURM_ARRAY_TASK_ID/3", "'my runs'", "--only ce"]
    {
        assert!(script.contains(words), "{words} is not in\n{script}");
    }
    assert!(!bench.path("my runs").exists());
    sweep(&bench, "runs", &["--slurm", "array.sh"]).refused(2, &["--tasks"]);
    sweep(&bench, "runs", &["--submit"]).refused(2, &["--slurm"]);
    let unfit = ["--slurm", "other.sh", "--tasks", "1", "--sbatch=--comment=two words"];
    sweep(&bench, "runs", &unfit).refused(2, &["two words"]);
    let unknown = ["--slurm", "other.sh", "--tasks", "1", "--only", "autoencoders"];
    sweep(&bench, "runs", &unknown).refused(2, &["autoencoders", "autoencoder, ce"]);
    assert!(!bench.path("other.sh").exists());
}
