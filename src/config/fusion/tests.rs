//! Fusion files as people write them, right and wrong.

use std::fs;
use std::path::PathBuf;

use super::*;
use crate::config::Error;

const TWO: &str =
    "[[system]]\nname = \"ae\"\nscores = \"a\"\n[[system]]\nname = \"b\"\nscores = [\"b\", \"c\"]\n";

fn load(text: &str, sets: &[&str]) -> Result<FusionConfig, Error> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fusion.toml");
    fs::write(&path, text).unwrap();
    let sets: Vec<String> = sets.iter().map(|&one| one.to_owned()).collect();
    load_fusion(&path, &sets)
}

#[track_caller]
fn refused(text: &str, words: &[&str]) {
    let shown = load(text, &[]).expect_err("an error").render(false);
    for word in words {
        assert!(shown.contains(word), "`{word}` is not in:\n{shown}");
    }
}

#[test]
fn two_systems_are_enough_and_all_else_has_defaults() {
    let found = load(TWO, &[]).unwrap();
    let names: Vec<&str> = found.system.iter().map(|system| system.name.as_str()).collect();
    assert_eq!(names, ["ae", "b"]);
    assert_eq!(found.system[1].scores, Some(Folders(vec![PathBuf::from("b"), PathBuf::from("c")])));
    assert_eq!(
        (found.system[0].detector.as_str(), found.system[0].higher_is_anomalous),
        ("mahalanobis", true)
    );
    let rest = FusionConfig { system: Vec::new(), ..found };
    assert_eq!(rest, FusionConfig::default());
    assert_eq!((rest.tune.evaluations, rest.tune.method), (400, TuneMethod::Bayesian));
}

#[test]
fn settings_lie_over_the_file_and_what_it_extends() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("base.toml"), format!("{TWO}[tune]\nevaluations = 50\nsections = [\"00\"]\n")).unwrap();
    let text =
        "extends = \"base.toml\"\nseed = 3\n[tune]\nweights = \"machine\"\n[official]\nyear = \"2022\"\n";
    fs::write(path("own.toml"), text).unwrap();
    let sets = ["tune.evaluations=60", "official.year=2021", "normalise.method=rank"].map(str::to_owned);
    let found = load_fusion(&path("own.toml"), &sets).unwrap();
    assert_eq!((found.system.len(), found.seed, found.tune.evaluations), (2, 3, 60));
    assert_eq!(
        (found.tune.weights, found.tune.sections.as_slice()),
        (WeightsPer::Machine, &["00".to_owned()][..])
    );
    assert_eq!((found.official.year, found.normalise.method), (OfficialYear::Y2021, NormaliseMethod::Rank));
    assert!(is_fusion(&path("base.toml")) && !is_fusion(&path("gone.toml")));
}

#[test]
fn what_is_wrong_is_named_with_its_place_and_a_remedy() {
    refused(
        &TWO.replace("scores = \"a\"", "score = \"a\""),
        &["unknown key `system.score`", "system.scores", "fusion.toml"],
    );
    refused(&format!("{TWO}[tune]\nevaluation = 3\n"), &["did you mean `tune.evaluations`"]);
    refused(
        &format!("{TWO}[tune]\nevaluations = 0\n"),
        &["`tune.evaluations` must be a whole number from 1"],
    );
    refused(&format!("{TWO}[tune]\nmethod = \"bayes\"\n"), &["did you mean `bayesian`"]);
    refused(&format!("{TWO}[official]\nyear = 2022\n"), &["write it in quotes: \"2022\""]);
    refused(&format!("{TWO}[train]\nepochs = 3\n"), &["unknown key `train`"]);
    refused("seed = 1\n", &["the fusion has no system", "[[system]]"]);
    refused(&TWO.replace("name = \"b\"", "name = \"ae\""), &["two systems are called `ae`"]);
    refused(&TWO.replace("name = \"b\"\n", ""), &["the system has no name"]);
    refused(&TWO.replace("name = \"b\"", "name = \"fused\""), &["cannot be called `fused`"]);
    refused(&TWO.replace("scores = \"a\"\n", ""), &["the system names no scores", "run = "]);
    refused(&TWO.replace("scores = \"a\"", "scores = \"a\"\nrun = \"r\""), &["not both"]);
    refused(&TWO.replace("scores = \"a\"", "scores = 3"), &["`system.scores` must be the path"]);
    refused(&TWO.replace("scores = \"a\"", "scores = []"), &["`system.scores` must be the path"]);
    refused(&TWO.replace("scores = \"a\"", "scores = \"a\"\ndetector = \"near\""), &["column of a run's"]);
    refused(&TWO.replace("scores = \"a\"", "run = \"a\"\ndetector = \"label\""), &["`label` is no detector"]);
    refused(&TWO.replace("scores = \"a\"", "run = \"a\"\ntraining_scores = \"t\""), &["training_scores.csv"]);
    refused(
        &TWO.replace("scores = \"a\"", "scores = \"a\"\ngroup = \"b\""),
        &["the group `b` has the name of another"],
    );
    let why = load(TWO, &["system=[]"]).unwrap_err().render(false);
    assert!(why.contains("`system` cannot be set"), "{why}");
}

#[test]
fn other_files_are_told_where_they_belong() {
    refused("[[family]]\nconfig = \"ae.toml\"\n", &["asdbench sweep"]);
    let why = crate::config::load_str(TWO, "ae.toml").unwrap_err().render(false);
    assert!(why.contains("asdbench fuse"), "{why}");
}

#[test]
fn the_schema_describes_every_setting() {
    let schema = fusion_schema();
    for key in ["seed", "missing", "system", "normalise", "tune", "apply", "validate", "official"] {
        assert!(schema["properties"][key].is_object(), "{key}");
    }
    let system = &schema["properties"]["system"]["items"]["properties"];
    assert!(
        system["scores"]["anyOf"].is_array() && system["detector"]["default"] == "mahalanobis",
        "{system}"
    );
    assert!(schema["properties"]["extends"].is_object());
}
