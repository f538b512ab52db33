use super::*;
use crate::config::{EvalConfig, Experiment, load_str};

fn read(text: &str) -> Detectors {
    load_str(text, "a.toml").unwrap_or_else(|error| panic!("{error:?}")).experiment.eval.detectors
}

/// Every message with its place.
fn refused(text: &str) -> String {
    load_str(text, "a.toml").map(|_| ()).unwrap_err().to_string()
}

#[test]
fn each_kind_is_a_table_of_a_named_detector() {
    let found = read(
        "[eval.detectors.near]\nbanks = \"separate\"\nsmote = { ratio = 0.5 }\nknn = { k = 3, density = { k = 4 } }\n\
         [eval.detectors.factor.lof]\nk = 7\nmetric = \"euclidean\"\n\
         [eval.detectors.means]\nkmeans = {}\n\
         [eval.detectors.gauss]\nmahalanobis = { estimator = \"oas\" }\n\
         [eval.detectors.mix]\nmixture = { covariance = \"full\" }\n",
    );
    let kinds: Vec<(&str, &str)> =
        found.iter().map(|(name, config)| (name.as_str(), config.kind.name())).collect();
    assert_eq!(
        kinds,
        [
            ("factor", "lof"),
            ("gauss", "mahalanobis"),
            ("means", "kmeans"),
            ("mix", "mixture"),
            ("near", "knn")
        ]
    );
    let near = DetectorConfig {
        kind: DetectorKind::Knn(KnnConfig {
            k: 3,
            density: Some(DensityConfig { k: 4 }),
            ..Default::default()
        }),
        banks: Banks::Separate,
        smote: Some(SmoteConfig { ratio: 0.5, k: 5 }),
    };
    assert_eq!(found["near"], near);
    assert_eq!(found["means"], DetectorConfig::new(DetectorKind::Kmeans(KmeansConfig::default())));
}

#[test]
fn without_detectors_the_files_are_those_of_before() {
    let none = EvalConfig::default();
    assert!(!serde_json::to_string(&none).unwrap().contains("detectors"));
    assert!(!Experiment::default().to_toml().contains("detectors"));
    let resolved = load_str("", "a.toml").unwrap();
    assert!(resolved.settings().iter().all(|setting| !setting.path.starts_with("eval.detectors")));
}

#[test]
fn what_was_read_loads_again_and_shows_its_own_kind_only() {
    let text = "[eval.detectors.near]\nbanks = \"separate\"\nsmote = {}\nknn = { density = {} }\n\
                [eval.detectors.far]\nmixture = { components = 3 }\n";
    let resolved = load_str(text, "a.toml").unwrap();
    let experiment = &resolved.experiment;
    assert_eq!(read(&experiment.to_toml()), experiment.eval.detectors);
    let json = serde_json::to_string(&experiment.eval).unwrap();
    assert_eq!(serde_json::from_str::<EvalConfig>(&json).unwrap(), experiment.eval);
    let shown: Vec<(String, Option<String>)> = resolved
        .settings()
        .into_iter()
        .filter_map(|setting| {
            let path = setting.path.strip_prefix("eval.detectors.")?.to_owned();
            Some((path, setting.value.map(|value| value.to_string())))
        })
        .collect();
    let shown: Vec<(&str, Option<&str>)> =
        shown.iter().map(|(path, value)| (path.as_str(), value.as_deref())).collect();
    assert_eq!(
        shown,
        [
            ("far.banks", Some("\"global\"")),
            ("far.mixture.components", Some("3")),
            ("far.mixture.covariance", Some("\"diagonal\"")),
            ("far.mixture.regularisation", Some("0.01")),
            ("near.banks", Some("\"separate\"")),
            ("near.smote.ratio", Some("0.2")),
            ("near.smote.k", Some("5")),
            ("near.knn.k", Some("1")),
            ("near.knn.metric", Some("\"cosine\"")),
            ("near.knn.reduce", Some("\"mean\"")),
            ("near.knn.density.k", Some("4")),
        ]
    );
}

#[test]
fn detectors_change_no_training() {
    let with = load_str("[eval.detectors.near]\nknn = {}\n", "a.toml").unwrap().experiment;
    assert_eq!(with.training_hash(), Experiment::default().training_hash());
    assert_ne!(with.eval, EvalConfig::default());
}

#[test]
fn a_detector_is_of_exactly_one_kind() {
    let both = refused("[eval.detectors.near]\nknn = {}\nlof = {}\n");
    assert!(both.contains("`eval.detectors.near`") && both.contains("`knn` and `lof`"), "{both}");
    let none = refused("[eval.detectors.near]\nbanks = \"separate\"\n");
    assert!(none.contains("`eval.detectors.near`") && none.contains("knn = { k = 1 }"), "{none}");
}

#[test]
fn unknown_keys_and_values_out_of_range_are_named() {
    for (text, words) in [
        ("[eval.detectors.near.knm]\nk = 1\n", "unknown key `eval.detectors.near.knm`"),
        ("[eval.detectors.near.knn]\nneighbours = 1\n", "unknown key `eval.detectors.near.knn.neighbours`"),
        ("[eval.detectors.near.knn]\nk = 0\n", "`eval.detectors.near.knn.k` must be a whole number from 1"),
        ("[eval.detectors.near]\nknn = {}\nsmote = { ratio = 0.0 }\n", "`eval.detectors.near.smote.ratio`"),
        ("[eval.detectors.near]\nknn = {}\nbanks = \"both\"\n", "`eval.detectors.near.banks` must be one of"),
        ("[eval]\ndetectors = [\"knn\"]\n", "`eval.detectors` must be a table"),
        ("[eval.detectors]\nnear = 3\n", "`eval.detectors.near` must be a table"),
        ("[eval.detectors.Near]\nknn = {}\n", "`Near` is no name of a detector"),
        ("[eval.detectors.-a]\nknn = {}\n", "`-a` is no name of a detector"),
        ("[eval.detectors.decision]\nknn = {}\n", "cannot be called `decision`"),
        ("[eval.detectors.mahalanobis]\nknn = {}\n", "cannot be called `mahalanobis`"),
    ] {
        let found = refused(text);
        assert!(found.contains(words), "{text}: {found}");
    }
}

#[test]
fn layers_merge_by_name() {
    let found = crate::config::load_str(
        "[eval.detectors.near.knn]\nk = 2\n[eval.detectors.far.lof]\nk = 3\n",
        "a.toml",
    );
    assert_eq!(found.unwrap().experiment.eval.detectors.len(), 2);
    let place = tempfile::tempdir().unwrap();
    let (below, above) = (place.path().join("below.toml"), place.path().join("above.toml"));
    std::fs::write(&below, "[eval.detectors.near]\nbanks = \"separate\"\nknn = { k = 2 }\n").unwrap();
    std::fs::write(&above, "extends = \"below.toml\"\n[eval.detectors.far]\nlof = {}\n").unwrap();
    let sets = ["eval.detectors.near.knn.k=5", "eval.detectors.far.banks=separate"].map(str::to_owned);
    let found = crate::config::load(&above, &sets).unwrap().experiment.eval.detectors;
    assert_eq!(found["near"].banks, Banks::Separate);
    assert_eq!(found["near"].kind, DetectorKind::Knn(KnnConfig { k: 5, ..Default::default() }));
    assert_eq!(found["far"].banks, Banks::Separate);
}

#[test]
fn the_example_of_the_shipped_configuration_is_one() {
    let shipped = include_str!("../../../../configs/base.toml");
    let (_, example) = shipped.split_once("# [eval.detectors.").expect("an example");
    let lines = example.lines().map(|line| line.trim_start_matches("# ").trim_start_matches('#'));
    let text = lines.collect::<Vec<_>>().join("\n");
    let found = read(&format!("[eval.detectors.{text}\n"));
    let kinds: Vec<&str> = found.values().map(|config| config.kind.name()).collect();
    assert_eq!(kinds, ["knn", "kmeans"]);
    assert!(found.values().all(|config| config.banks == Banks::Separate));
}
