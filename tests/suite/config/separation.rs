//! The separation family's settings.

use asdbench::config::{Experiment, SeparationConfig, TaskConfig, load};

use super::{sets, shipped};

#[test]
fn the_separation_configuration_is_the_study_and_the_default() {
    let study = load(&shipped("separation.toml"), &[]).unwrap();
    let TaskConfig::Separation(task) = &study.experiment.task else { panic!("{:?}", study.experiment.task) };
    assert_eq!(task, &SeparationConfig::default());
    assert_eq!(study.experiment.eval, Experiment::default().eval);
    let slugs: Vec<String> = study.expand().unwrap().iter().map(Experiment::slug).collect();
    let expected = ["n0-c64", "n0-c128", "n1-c64", "n1-c128", "n2-c64", "n2-c128", "n4-c64", "n4-c128"];
    assert_eq!(slugs, expected);
    let micro = load(&shipped("micro/separation.toml"), &[]).unwrap();
    assert_eq!(micro.experiment.frontend, study.experiment.frontend);
    assert_eq!(micro.expand().unwrap().len(), 4);
}

#[test]
fn settings_of_the_separation_family_are_checked() {
    let refusal = |set: &str| load(&shipped("separation.toml"), &sets(&[set])).expect_err(set).render(false);
    assert!(refusal("task.separation.channels=66").contains("multiple of 4"));
    assert!(refusal("task.separation.blocks=17").contains("from 0 to 16"));
    assert!(refusal("task.separation.hop_samples=150").contains("does not divide the 400 samples"));
    assert!(refusal("task.separation.min_snr_db=6").contains("above `max_snr_db`, which is 5"));
    assert!(refusal("eval.separation.snrs_db=[]").contains("a list of 1 or more"));
    let elsewhere =
        load(&shipped("ae.toml"), &sets(&["train.checkpoint_blocks=true"])).unwrap_err().render(false);
    assert!(elsewhere.contains("`train.checkpoint_blocks` is true, and autoencoder has no conformer blocks"));
    load(&shipped("separation.toml"), &sets(&["train.checkpoint_blocks=true"])).unwrap();
}
