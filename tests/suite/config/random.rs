//! Random configurations and near-configurations: what is written loads back, and nothing panics.

use std::path::PathBuf;

use asdbench::config::{AutoencoderConfig, Experiment, ReconstructionLoss, TaskConfig, load, load_str};
use proptest::prelude::*;

use super::{folder, sets};

fn experiments() -> impl Strategy<Value = Experiment> {
    let small = 1e-9..1.0_f64;
    let train = (1_usize..1000, 2_usize..5000, small.clone(), small.clone(), small);
    let task = (1_usize..5000, 1_usize..500, any::<bool>());
    let seeds = prop::collection::hash_set(0..=i64::MAX as u64, 1..4);
    let data = (prop::option::of("[ -~]{1,20}"), prop::collection::hash_set("\\PC{1,9}", 0..3));
    (train, task, seeds, data).prop_map(|(train, task, seeds, (root, machines))| {
        let mut experiment = Experiment::default();
        (experiment.train.epochs, experiment.train.batch_size) = (train.0, train.1);
        (experiment.train.optimizer.lr, experiment.train.schedule.gamma) = (train.2, train.3);
        experiment.eval.linear_probe.tolerance = train.4;
        experiment.train.seeds = seeds.into_iter().collect();
        experiment.data.root = root.map(PathBuf::from);
        experiment.data.machines = machines.into_iter().collect();
        let loss = if task.2 { ReconstructionLoss::Mae } else { ReconstructionLoss::Mse };
        experiment.task = TaskConfig::Autoencoder(AutoencoderConfig {
            hidden: task.0,
            bottleneck: task.1,
            loss,
            ..AutoencoderConfig::default()
        });
        experiment
    })
}

/// Lines that are nearly a configuration: known and unknown keys, right and wrong values.
fn nearly() -> impl Strategy<Value = String> {
    let key = prop::sample::select(vec![
        "train",
        "epochs",
        "task",
        "autoencoder",
        "hidden",
        "grid",
        "extends",
        "data",
        "machines",
        "frontend",
        "logmel",
        "n_fft",
        "fmax_hz",
        "\"train.epochs\"",
        "\"\"",
        "seeds",
        "é",
    ]);
    let keys = prop::collection::vec(key, 1..4).prop_map(|keys| keys.join("."));
    let value = prop::sample::select(vec![
        "1",
        "-1",
        "0.5",
        "nan",
        "-inf",
        "\"x\"",
        "''",
        "true",
        "[]",
        "[1, 2]",
        "[[1], \"ä\"]",
        "{}",
        "{ a = 1 }",
        "{ autoencoder = {} }",
        "1979-05-27",
        "0xffffffffffffffffff",
        "",
        "[",
    ]);
    let line = (keys, value, 0..4_u8).prop_map(|(key, value, kind)| match kind {
        0 => format!("[{key}]"),
        1 => format!("[[{key}]]"),
        _ => format!("{key} = {value}"),
    });
    prop::collection::vec(line, 0..8).prop_map(|lines| lines.join("\n"))
}

fn survives(text: &str, argument: &str) {
    let dir = folder(&[("a.toml", text)]);
    for sets in [Vec::new(), sets(&[argument])] {
        match load(&dir.path().join("a.toml"), &sets) {
            Ok(resolved) => {
                assert_eq!(resolved.expand().unwrap().len(), resolved.grid.trials());
                assert!(!resolved.settings().is_empty());
            }
            Err(error) => {
                let rendered = error.render(false);
                assert!(rendered.contains("error:"), "{rendered}");
                assert!(!rendered.contains("Failed to read contents"), "{rendered}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_loads_back(experiment in experiments()) {
        let text = experiment.to_toml();
        let resolved = load_str(&text, "config.toml").map_err(|e| TestCaseError::fail(e.render(false)))?;
        prop_assert_eq!(&resolved.experiment, &experiment);
        prop_assert_eq!(resolved.experiment.training_hash(), experiment.training_hash());
        prop_assert_eq!(resolved.experiment.to_toml(), text);
    }

    #[test]
    fn no_text_panics(text in "(?s).{0,60}", argument in "(?s).{0,30}") {
        survives(&text, &argument);
    }

    #[test]
    fn nothing_near_a_configuration_panics(text in nearly(), argument in nearly()) {
        survives(&text, &argument);
    }
}
