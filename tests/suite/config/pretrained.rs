//! The settings of encoders that were trained elsewhere.

use asdbench::config::{Experiment, PretrainedConfig, TaskConfig, load, load_str};

use super::{sets, shipped};

#[test]
fn the_shipped_files_name_the_study_s_checkpoints_and_what_is_published_of_them() {
    let found = |name: &str| -> Vec<(String, Option<f64>)> {
        let resolved = load(&shipped(name), &[]).unwrap();
        let TaskConfig::Pretrained(task) = &resolved.experiment.task else { panic!("{name}") };
        let usual = PretrainedConfig { checkpoint: task.checkpoint.clone(), ..Default::default() };
        assert_eq!(task, &usual, "{name}");
        let trial = |trial: Experiment| {
            let TaskConfig::Pretrained(task) = &trial.task else { panic!("{name}") };
            let published = trial.eval.pretrained.published(&task.name());
            (trial.slug(), published.map(|entry| entry.map))
        };
        resolved.expand().unwrap().into_iter().map(trial).collect()
    };
    let expected = |all: &[(&str, f64)]| -> Vec<(String, Option<f64>)> {
        all.iter().map(|(slug, map)| ((*slug).to_owned(), Some(*map))).collect()
    };
    assert_eq!(found("beats.toml"), expected(&[("BEATs_iter3", 0.480), ("BEATs_iter3_plus_AS2M", 0.486)]));
    assert_eq!(
        found("eat.toml"),
        expected(&[("EAT-base_epoch30_pt", 0.489), ("EAT-large_epoch20_pt", 0.495)])
    );
    let ced = ["tiny_mAP_4814", "mini_mAP_4896", "small_mAP_4958", "base_mAP_4999"];
    let ced = ced.map(|name| format!("audiotransformer_{name}"));
    let maps = [0.481, 0.490, 0.496, 0.500];
    let ced: Vec<(&str, f64)> = ced.iter().map(String::as_str).zip(maps).collect();
    assert_eq!(found("ced.toml"), expected(&ced));
    for name in ["micro/beats.toml", "micro/eat.toml"] {
        assert_eq!(load(&shipped(name), &[]).unwrap().expand().unwrap().len(), 3, "{name}");
    }
}

#[test]
fn a_published_number_comes_back_from_a_run_s_own_file() {
    let written = load(&shipped("eat.toml"), &[]).unwrap().experiment;
    assert_eq!(load_str(&written.to_toml(), "config.toml").unwrap().experiment, written);
    // Other families' files have nothing of it.
    assert!(!load(&shipped("ae.toml"), &[]).unwrap().experiment.to_toml().contains("pretrained"));
}

#[test]
fn settings_of_the_pretrained_family_are_checked() {
    let refusal = |set: &str| load(&shipped("beats.toml"), &sets(&[set])).expect_err(set).render(false);
    assert!(refusal("task.pretrained.frames=1000").contains("a multiple of 16"));
    assert!(refusal("task.pretrained.pool=means").contains("did you mean `mean`?"));
    assert!(refusal("task.pretrained.checkpoint=\"\"").contains("names no file"));
    assert!(refusal("frontend.logmel.rate_hz=32000").contains("pre-trained encoders hear 16000 Hz"));
    let published = |entry: &str| refusal(&format!("eval.pretrained.published=[{{{entry}}}]"));
    let percent = published("checkpoint=\"a.pt\", map=48.0, source=\"a paper\"");
    assert!(percent.contains("`eval.pretrained.published.map` must be a number from 0 to 1"), "{percent}");
    let typo = published("checkpont=\"a.pt\", map=0.48, source=\"a paper\"");
    assert!(typo.contains("did you mean `eval.pretrained.published.checkpoint`?"), "{typo}");
    assert!(published("checkpoint=\"a.pt\", map=0.48").contains("missing field `source`"));
    assert!(refusal("eval.pretrained.published=0.48").contains("must be a list of tables"));
    let twice = refusal("grid.task.pretrained.checkpoint=[\"a/x.pt\", \"b/x.pt\"]");
    assert!(twice.contains("rename one of two"), "{twice}");
}
