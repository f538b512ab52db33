//! Study files as they are shipped, and `asdbench config` on them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use asdbench::config::{Layout, Study, load, load_study, study_schema_text};
use serde_json::Value;

fn shipped(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("configs").join(name)
}

fn study(name: &str) -> Study {
    load_study(&shipped(name), &[]).unwrap_or_else(|e| panic!("{}", e.render(false)))
}

/// Configurations of each family.
fn counts(study: &Study) -> BTreeMap<&'static str, usize> {
    let mut counts = BTreeMap::new();
    for experiment in study.families.iter().flat_map(|family| &family.experiments) {
        *counts.entry(experiment.family()).or_default() += 1;
    }
    counts
}

/// Standard output, standard error and exit code of `asdbench config`.
fn config(arguments: &[&str]) -> (String, String, i32) {
    let mut program = assert_cmd::Command::new(env!("CARGO_BIN_EXE_asdbench"));
    let output = program.arg("config").args(arguments).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (text(output.stdout), text(output.stderr), output.status.code().unwrap())
}

#[test]
fn the_study_is_the_41_configurations_of_the_families_files() {
    let study = study("study.toml");
    let expected = BTreeMap::from([
        ("autoencoder", 9),
        ("ce", 5),
        ("arcface", 5),
        ("separation", 8),
        ("simclr", 5),
        ("simsiam", 5),
        ("pretrained", 4),
    ]);
    assert_eq!(counts(&study), expected);
    assert_eq!(expected.values().sum::<usize>(), 41);
    for family in &study.families {
        let alone = load(&family.file, &[]).unwrap().expand().unwrap();
        assert_eq!(family.experiments, alone, "{}: overrides, never a copy", family.file.display());
    }
}

#[test]
fn the_toy_study_has_every_family_of_the_study() {
    let (toy, whole) = (study("study-micro.toml"), study("study.toml"));
    let families = |study: &Study| counts(study).into_keys().collect::<Vec<_>>();
    assert_eq!(families(&toy), families(&whole));
    assert!(
        counts(&toy).values().all(|count| *count >= 3),
        "a rank correlation needs a few: {:?}",
        counts(&toy)
    );
    for experiment in toy.families.iter().flat_map(|family| &family.experiments) {
        // Nothing is trained where the weights are given.
        assert!(
            experiment.train.epochs <= 20 || experiment.family() == "pretrained",
            "{}",
            experiment.slug()
        );
        assert_eq!(experiment.data.root, None, "the folder is left to the user");
    }
}

#[test]
fn real_data_are_named_by_one_line() {
    let sets: Vec<String> = fs::read_dir(shipped("data"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert!(sets.len() >= 5, "{sets:?}");
    for name in sets {
        let text = fs::read_to_string(shipped("data").join(&name)).unwrap();
        assert!(text.starts_with("#:schema ../schema.json\n"), "{name}");
        let folder = tempfile::tempdir().unwrap();
        let own = folder.path().join("mine.toml");
        let study = shipped("study.toml");
        let data = shipped("data").join(&name);
        fs::write(&own, format!("extends = {study:?}\ncommon.extends = {data:?}\n")).unwrap();
        let study = load_study(&own, &[]).unwrap_or_else(|e| panic!("{}", e.render(false)));
        assert_eq!(study.name, "mine");
        let year = name.trim_end_matches(".toml");
        for experiment in study.families.iter().flat_map(|family| &family.experiments) {
            let layout: Layout = serde_json::from_value(year.into()).unwrap();
            assert_eq!(experiment.data.layout, layout);
            assert_eq!(experiment.data.root, Some(format!("data/{year}t2/dev_data/raw").into()));
        }
    }
}

#[test]
fn the_committed_study_schema_is_that_of_the_types() {
    let committed = fs::read_to_string(shipped("study.schema.json")).unwrap();
    let remedy = "run `asdbench config schema --study > configs/study.schema.json`";
    assert!(committed == study_schema_text(), "configs/study.schema.json has drifted: {remedy}");
    assert_eq!(config(&["schema", "--study"]).0, committed);
    for name in ["study.toml", "study-micro.toml"] {
        assert!(
            fs::read_to_string(shipped(name)).unwrap().starts_with("#:schema study.schema.json\n"),
            "{name}"
        );
    }
}

#[test]
fn config_check_takes_studies() {
    let file = shipped("study.toml");
    let file = file.to_str().unwrap();
    let (out, err, code) = config(&["check", file]);
    assert_eq!(
        (code, out),
        (0, format!("{file}: ok (study study: 8 families, 41 configurations)\n")),
        "{err}"
    );
    let (out, _, code) = config(&["check", file, "--format", "json", "--set", "train.epochs=2"]);
    let document: Value = serde_json::from_str(&out).unwrap();
    let entry = &document["configs"][0];
    assert_eq!((code, &entry["study"], &entry["trials"]), (0, &"study".into(), &41.into()));
    assert_eq!(entry["families"][3]["family"], "separation");
    assert_eq!(entry["families"][3]["trials"], 8);
    let (_, err, code) = config(&["check", file, "--set", "train.epoch=2"]);
    assert_eq!((code, err.matches("error:").count()), (3, 1), "{err}");
    assert!(err.contains("did you mean `train.epochs`?"), "{err}");
}

#[test]
fn config_show_takes_studies() {
    let file = shipped("study-micro.toml");
    let file = file.to_str().unwrap();
    let (out, err, code) = config(&["show", file]);
    assert_eq!(code, 0, "{err}");
    let row = |family: &str, setting: &str| {
        let found = out.lines().find(|line| {
            let mut words = line.split_whitespace();
            words.next().is_some_and(|file| file.ends_with(family)) && words.next() == Some(setting)
        });
        found.unwrap_or_else(|| panic!("no {setting} of {family}:\n{out}")).to_owned()
    };
    assert!(
        row("micro/separation.toml", "train.epochs").contains("study-micro.toml:"),
        "the override's place"
    );
    assert!(row("micro/ae.toml", "train.epochs").contains("micro/ae.toml:"), "the file's");
    assert!(row("micro/eat.toml", "list[1]").contains("eat-tiny-2.safetensors"));
    let (out, _, code) = config(&["show", file, "--format", "json"]);
    let document: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &document["schema"], &document["study"]), (0, &1.into(), &"study-micro".into()));
    assert_eq!(document["families"][0]["configurations"][0], "h16-b2");
    let (_, err, code) = config(&["show", file, "--toml"]);
    assert!(code == 3 && err.contains("it is a study of 8 families"), "{err}");
}
