//! What is shipped, and how layers, grids and hashes come about.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use asdbench::config::{
    AutoencoderConfig, Error, Experiment, Origin, TaskConfig, json_schema_text, load, load_str,
};

use super::{folder, sets, shipped};

fn autoencoder(experiment: &Experiment) -> &AutoencoderConfig {
    let TaskConfig::Autoencoder(autoencoder) = &experiment.task else { panic!("{:?}", experiment.task) };
    autoencoder
}

#[test]
fn the_committed_schema_is_that_of_the_types() {
    let committed = fs::read_to_string(shipped("schema.json")).unwrap();
    let remedy = "run `asdbench config schema > configs/schema.json`";
    assert!(committed == json_schema_text(), "configs/schema.json has drifted: {remedy}");
}

#[test]
fn shipped_configurations_load_and_name_their_schema() {
    let mut names = Vec::new();
    for (folder, directive) in [("", "#:schema schema.json\n"), ("micro/", "#:schema ../schema.json\n")] {
        for entry in fs::read_dir(shipped(folder)).unwrap() {
            let file = entry.unwrap().file_name().into_string().unwrap();
            // Studies and fusions have a schema and a test of their own.
            let others = ["study", "fusion"].iter().any(|kind| file.starts_with(kind));
            if file.ends_with(".toml") && !others {
                names.push((format!("{folder}{file}"), directive));
            }
        }
    }
    assert!(names.len() >= 13, "{names:?}");
    for (name, directive) in &names {
        let text = fs::read_to_string(shipped(name)).unwrap();
        assert!(text.starts_with(directive), "{name}");
        let resolved = load(&shipped(name), &[]).unwrap_or_else(|e| panic!("{}", e.render(false)));
        assert_eq!(resolved.experiment.data.root, None, "{name} leaves the folder to the user");
    }
}

#[test]
fn the_autoencoder_configuration_is_the_study_and_the_default() {
    let resolved = load(&shipped("ae.toml"), &[]).unwrap();
    assert_eq!(resolved.experiment, Experiment::default());
    let slugs: Vec<String> = resolved.expand().unwrap().iter().map(Experiment::slug).collect();
    let expected =
        ["h64-b4", "h64-b8", "h64-b16", "h128-b4", "h128-b8", "h128-b16", "h256-b4", "h256-b8", "h256-b16"];
    assert_eq!(slugs, expected);
}

#[test]
fn the_micro_autoencoder_keeps_the_front_end() {
    let study = load(&shipped("ae.toml"), &[]).unwrap().experiment;
    let micro = load(&shipped("micro/ae.toml"), &[]).unwrap();
    assert_eq!(micro.experiment.frontend, study.frontend);
    assert!(micro.experiment.train.epochs < study.train.epochs);
    let hashes: HashSet<String> = micro.expand().unwrap().iter().map(Experiment::training_hash).collect();
    assert_eq!(hashes.len(), 4);
}

#[test]
fn layers_merge_and_every_value_knows_its_origin() {
    let dir = folder(&[
        ("base.toml", "[train]\nepochs = 7\nseeds = [1, 2]\n[train.optimizer]\nlr = 1e-2\n"),
        ("sub/more.toml", "[train]\nbatch_size = 64\nepochs = 8\n"),
        ("top.toml", "extends = [\"base.toml\", \"sub/more.toml\"]\n[train]\noptimizer.weight_decay = 0\n"),
    ]);
    let top = dir.path().join("top.toml");
    let resolved =
        load(&top, &sets(&["train.seeds=[3]", "data.root=2022", "data.root=some/folder"])).unwrap();
    let train = &resolved.experiment.train;
    assert_eq!((train.epochs, train.batch_size, &train.seeds[..]), (8, 64, &[3][..]));
    assert_eq!((train.optimizer.lr, train.optimizer.weight_decay), (1e-2, 0.0));
    assert_eq!(resolved.experiment.data.root_dir().unwrap(), Path::new("some/folder"));
    assert_eq!(resolved.source, top);

    let at = |name: &str, line| Origin::File { path: dir.path().join(name), line };
    assert_eq!(resolved.origin("train.epochs"), at("sub/more.toml", 3));
    assert_eq!(resolved.origin("train.optimizer.lr"), at("base.toml", 5));
    assert_eq!(resolved.origin("train.optimizer.weight_decay"), at("top.toml", 3));
    assert_eq!(resolved.origin("train.seeds"), Origin::Set);
    assert_eq!(resolved.origin("train.schedule.gamma"), Origin::Default);
}

#[test]
fn a_file_may_be_reached_twice_but_not_by_itself() {
    let dir = folder(&[
        ("root.toml", "train.epochs = 5\n"),
        ("left.toml", "extends = \"root.toml\"\n"),
        ("right.toml", "extends = \"root.toml\"\n"),
        ("top.toml", "extends = [\"left.toml\", \"right.toml\"]\n"),
        ("loop.toml", "extends = \"./loop.toml\"\n"),
    ]);
    assert_eq!(load(&dir.path().join("top.toml"), &[]).unwrap().experiment.train.epochs, 5);
    let error = load(&dir.path().join("loop.toml"), &[]).unwrap_err();
    assert!(matches!(error, Error::Cycle(_)), "{error:?}");
}

#[test]
fn a_grid_replaces_the_grid_below_it() {
    let dir = folder(&[
        ("base.toml", "[grid]\n\"train.epochs\" = [1, 2]\n\"train.batch_size\" = [8, 16]\n"),
        ("top.toml", "extends = \"base.toml\"\n[grid]\ntrain.optimizer.lr = [1e-3, 1e-4, 1e-5]\n"),
    ]);
    let axes = |set: &[&str]| {
        let resolved = load(&dir.path().join("top.toml"), &sets(set)).unwrap();
        let paths: Vec<String> = resolved.grid.axes().iter().map(|axis| axis.path()).collect();
        (paths.join(" "), resolved.expand().unwrap().len())
    };
    assert_eq!(axes(&[]), ("train.optimizer.lr".to_owned(), 3));
    // An argument adds or replaces one axis, or the whole grid where it gives that.
    assert_eq!(axes(&["grid.train.epochs=[4, 5]"]), ("train.optimizer.lr train.epochs".to_owned(), 6));
    assert_eq!(axes(&["grid.\"train.optimizer.lr\"=[0.1]"]), ("train.optimizer.lr".to_owned(), 1));
    assert_eq!(axes(&["grid={}"]), (String::new(), 1));
}

#[test]
fn the_last_axis_varies_fastest() {
    let text = "[grid]\n\"train.epochs\" = [1, 2]\n\"task.autoencoder.hidden\" = [9, 3]\n";
    let trials = load_str(text, "a.toml").unwrap().expand().unwrap();
    let order: Vec<(usize, usize)> =
        trials.iter().map(|trial| (trial.train.epochs, autoencoder(trial).hidden)).collect();
    assert_eq!(order, [(1, 9), (1, 3), (2, 9), (2, 3)]);
}

#[test]
fn the_hash_does_not_depend_on_how_a_configuration_is_written() {
    let hash = |text: &str| load_str(text, "a.toml").unwrap().experiment.training_hash();
    let one = hash("[train]\nepochs = 3\noptimizer = { lr = 0.001, beta1 = 0.8 }\n");
    let other = hash("train.optimizer.beta1 = 8e-1\ntrain.optimizer.lr = 1e-3\ntrain.epochs = 3\n");
    assert_eq!(one, other);
    assert_eq!(hash(""), hash("[train.schedule]\ngamma = 0.5\n"));
    assert_ne!(one, hash(""));
}
