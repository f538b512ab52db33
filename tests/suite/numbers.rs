//! What is no number is said to be none: a training that diverges, a metric that cannot be had.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::pipeline::walk;
use crate::program::{Answer, Bench, shipped};

const RESNET: [&str; 2] = ["task.classification.frames=32", "task.classification.width=4"];
const VIEWS: [&str; 2] = ["task.contrastive.frames=32", "task.contrastive.width=4"];
const MIXTURES: [&str; 5] = [
    "task.separation.channels=4",
    "task.separation.n_fft=64",
    "task.separation.hop_samples=64",
    "task.separation.segment_s=0.4",
    "train.batch_size=4",
];
/// All that are trained: configuration, settings, whether the second batch is one of four clips.
const FAMILIES: [(&str, &[&str], bool); 6] = [
    ("micro/ae.toml", &[], false),
    ("micro/ce.toml", &RESNET, false),
    ("micro/arcface.toml", &RESNET, false),
    ("micro/simclr.toml", &VIEWS, false),
    ("micro/simsiam.toml", &VIEWS, false),
    ("micro/separation.toml", &MIXTURES, true),
];

fn machines() -> Bench {
    let bench = Bench::empty();
    let sizes = ["--duration-s", "1.2", "--train-per-section", "6", "--test-per-section", "8"];
    bench.run(&[&["synth", "data", "--machines", "fan,valve", "-q"], &sizes[..]].concat()).fine();
    bench
}

/// `asdbench train` of machine `fan` into a folder.
fn train(bench: &Bench, config: &str, runs: &str, sets: &[&str]) -> Answer {
    let config = shipped(config);
    let mut arguments = vec!["train", config.to_str().unwrap(), "--device", "cpu", "--runs", runs];
    for set in ["data.root=data", "data.machines=[\"fan\"]"].iter().chain(sets) {
        arguments.extend(["--set", *set]);
    }
    bench.run(&arguments)
}

/// The clips that an error names, and how many more it counts.
fn named(error: &str) -> (Vec<&str>, usize) {
    let (_, rest) = error.split_once(", of ").unwrap_or_else(|| panic!("{error}"));
    let list = rest.split_once("; lower").map_or(rest, |(list, _)| list);
    let list = list.split_once(": its last steps").map_or(list, |(list, _)| list);
    let (list, more) = match list.split_once(" and ") {
        Some((list, more)) => (list, more.strip_suffix(" more clips").unwrap().parse().unwrap()),
        None => (list, 0),
    };
    (list.split(", ").collect(), more)
}

/// The run's folder has failed for the reason that the error names, and has no weights.
fn failed(runs: &Path, why: &str) {
    let find = |name: &str| -> Option<PathBuf> { walk(runs).into_iter().find(|path| path.ends_with(name)) };
    let status = fs::read_to_string(find("status").expect("a status")).unwrap();
    assert!(status.starts_with("failed\n") && status.contains(why), "{status}");
    assert_eq!(find("model.safetensors"), None);
}

#[test]
fn a_diverging_training_of_each_family_ends_with_its_epoch_its_batch_and_its_clips() {
    let bench = machines();
    for (config, sets, four) in FAMILIES {
        let small = if four { "train.batch_size=4" } else { "train.batch_size=9" };
        let sets = [sets, &[small, "train.epochs=3", "train.optimizer.lr=1e30"]].concat();
        let answer = train(&bench, config, config, &sets);
        // The first step breaks the weights, the second batch shows it.
        answer.refused(3, &["the training loss became", "epoch 1, batch 2, of fan/train/", "1e30"]);
        let (clips, more) = named(answer.err.lines().find(|line| line.starts_with("error")).unwrap());
        // Windows of a batch may be of fewer clips.
        let count = clips.len() + more;
        match (config, four) {
            ("micro/ae.toml", _) => assert!((2..=9).contains(&count), "{clips:?} {more}"),
            (_, true) => assert_eq!((clips.len(), more), (4, 0), "{clips:?}"),
            _ => assert_eq!((clips.len(), more), (9, 0), "{clips:?}"),
        }
        for clip in clips {
            assert!(bench.path("data").join(clip).is_file(), "{config}: there is no clip `{clip}`");
        }
        failed(&bench.path(config), "the training loss became");
    }
}

#[test]
fn parts_of_a_batch_are_told_apart() {
    let bench = machines();
    let sets = ["train.batch_size=8", "train.accumulate=2", "train.optimizer.lr=1e30"];
    let answer = train(&bench, "micro/simclr.toml", "runs", &[&VIEWS[..], &sets].concat());
    answer.refused(3, &["epoch 1, part 1 of batch 2, of fan/train/"]);
    assert_eq!(named(answer.err.lines().find(|line| line.starts_with("error")).unwrap()).0.len(), 4);
}

/// A loss is measured before its step: of the last step nobody would know.
#[test]
fn weights_that_the_last_step_broke_are_no_result() {
    let bench = machines();
    for (config, sets, _) in FAMILIES {
        // One batch, one epoch.
        let one = ["train.batch_size=100000", "train.epochs=1", "train.optimizer.lr=1e30"];
        let answer = train(&bench, config, config, &[sets, &one[..]].concat());
        answer.refused(3, &["after epoch 1 the", "its last steps were too long", "train.optimizer.lr"]);
        failed(&bench.path(config), "after epoch 1 the");
    }
    // What is no number fails at once, whatever the loss says.
    let one = ["train.batch_size=100000", "train.epochs=1", "train.optimizer.lr=1e38"];
    train(&bench, "micro/ae.toml", "nan", &one).refused(3, &["weights that are not finite, in `"]);
    // A learning rate that leads somewhere goes the whole way in the same folder.
    let one = ["train.batch_size=100000", "train.epochs=1"];
    train(&bench, "micro/ae.toml", "micro/ae.toml", &one).fine();
}

#[test]
fn a_hostile_clip_is_named_before_anything_is_trained() {
    let bench = machines();
    let clip = crate::program::first_clip(&bench.path("data/fan/train"));
    let name = clip.file_name().unwrap().to_str().unwrap();
    for loudest in [1e20_f32, f32::MAX] {
        let mut bytes = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x03\0\x01\0".to_vec();
        bytes.extend([16_000_u32, 64_000].iter().flat_map(|value| value.to_le_bytes()));
        bytes.extend(b"\x04\0\x20\0data");
        bytes.extend((4 * 19_200_u32).to_le_bytes());
        bytes.extend((0..19_200).flat_map(|n| (loudest * (n as f32 * 0.3).sin()).to_le_bytes()));
        let size = (bytes.len() - 8) as u32;
        bytes[4..8].copy_from_slice(&size.to_le_bytes());
        fs::write(&clip, bytes).unwrap();
        for (config, sets, _) in FAMILIES {
            let answer = train(&bench, config, "runs", sets);
            answer.refused(4, &[name, "export the clip again", "data.on_bad_clip"]);
        }
    }
    assert!(!walk(&bench.path("runs")).iter().any(|path| path.ends_with("manifest.json")));
}

/// Trained and judged autoencoders of both machine types; the evaluation of `fan`.
fn judged(bench: &Bench) -> Value {
    let config = shipped("micro/ae.toml");
    let train = ["train", config.to_str().unwrap(), "--device", "cpu", "-q", "--grid"];
    bench.run(&[&train[..], &["--set", "data.root=data", "--set", "train.epochs=1"]].concat()).fine();
    let all = bench.eval(&["runs"]).fine().json();
    let fan = all["runs"].as_array().unwrap().iter().find(|run| run["machine"] == "fan");
    fan.unwrap_or_else(|| panic!("{all}")).clone()
}

/// Every number below an object under a name with `auc` in it.
fn aucs(value: &Value, path: &str, found: &mut Vec<(String, Value)>) {
    if let Some(object) = value.as_object() {
        for (key, value) in object {
            let path = format!("{path}/{key}");
            if path.contains("auc") && !value.is_object() {
                found.push((path.clone(), value.clone()));
            }
            aucs(value, &path, found);
        }
    }
}

#[test]
fn an_auc_that_cannot_be_had_is_none_everywhere() {
    let bench = machines();
    // Section 01 of both machine types has no anomalous clip any more.
    for clip in walk(&bench.path("data")) {
        let name = clip.file_name().unwrap().to_str().unwrap();
        if name.starts_with("section_01") && name.contains("_anomaly_") {
            fs::remove_file(clip).unwrap();
        }
    }
    let one = judged(&bench);
    for of in [&one["linear_probe"]["in_domain"], &one["linear_probe"]["out_domain"], &one["mahalanobis"]] {
        assert_eq!(of["sections"]["01"], Value::Null, "{of}");
        assert!(of["sections"]["00"].is_f64() && of["sections"]["02"].is_f64(), "{of}");
        assert!(of["why"].as_str().unwrap().contains("section 01: undefined"), "{of}");
        // The mean is of those that there are, and says so.
        let mean = (of["sections"]["00"].as_f64().unwrap() + of["sections"]["02"].as_f64().unwrap()) / 2.0;
        assert!((of["auc"].as_f64().unwrap() - mean).abs() < 1e-12, "{of}");
    }
    let official = &one["official"];
    for metric in ["auc_source", "auc_target", "pauc", "omega"] {
        assert_eq!(official[metric], Value::Null, "{official}");
    }
    assert!(official["why"].as_str().unwrap().contains("section 01"), "{official}");
    let mut found = Vec::new();
    aucs(&official["sections"]["01"], "", &mut found);
    assert_eq!(found.len(), 3);
    assert!(found.iter().all(|(_, value)| value.is_null()), "{found:?}");

    // The challenge's tables, the comparison of two systems and the report have none either.
    bench.run(&["eval", "runs", "--device", "cpu", "--submission", "files", "-q"]).fine();
    let systems: Vec<PathBuf> = walk(&bench.path("files"))
        .into_iter()
        .filter(|path| path.to_string_lossy().contains("anomaly_score_fan_section_00"))
        .map(|path| path.parent().unwrap().to_owned())
        .collect();
    assert!(systems.len() >= 2, "{systems:?}");
    let [a, b] = [0, 1].map(|n| systems[n].to_str().unwrap());
    let scored = bench.run(&["score", a, "--format", "json"]).fine().json();
    let mut found = Vec::new();
    aucs(&scored, "", &mut found);
    let section = |path: &str| path.contains("01");
    let without: Vec<_> = found.iter().filter(|(path, _)| section(path)).collect();
    assert_eq!(without.len(), 2 * 3, "{without:?}");
    assert!(without.iter().all(|(_, value)| value.is_null()), "{without:?}");
    assert_eq!(scored["official_score"], Value::Null, "{scored}");
    let compared = bench.run(&["compare", a, b, "--format", "json"]).fine();
    for metric in ["auc", "pauc", "omega"] {
        let of = &compared.json()["overall"][metric];
        for number in ["a", "b", "difference", "interval"] {
            assert_eq!(of[number], Value::Null, "{of}");
        }
        assert!(of["why"].as_str().unwrap().contains("fan section 01: undefined"), "{of}");
    }
    let said = "the Mahalanobis AUC of machine `fan` is a mean without section 01";
    let correlated = bench.run(&["correlate", "runs", "--format", "json"]).fine();
    assert_eq!(correlated.err.matches(said).count(), 1, "{}", correlated.err);
    bench.run(&["report", "runs", "-o", "page", "-q"]).fine();
    let report = fs::read_to_string(bench.path("page/report.json")).unwrap();
    assert!(report.contains("runs without an AUC of fan section 01; valve section 01"), "{report}");
}

#[test]
fn where_no_section_has_an_auc_there_is_none_to_correlate() {
    let bench = machines();
    for clip in walk(&bench.path("data")) {
        let name = clip.file_name().unwrap().to_str().unwrap();
        let gone = name.starts_with("section_00") && name.contains("_test_normal_")
            || !name.starts_with("section_00") && name.contains("_test_anomaly_");
        if gone {
            fs::remove_file(clip).unwrap();
        }
    }
    // Each section has one label, and the machine has both.
    let one = judged(&bench);
    assert_eq!(one["mahalanobis"]["auc"], Value::Null, "{one}");
    assert_eq!(one["linear_probe"]["in_domain"]["auc"], Value::Null, "{one}");
    let found = bench.run(&["correlate", "runs", "--format", "json"]).fine();
    for family in found.json()["families"].as_array().unwrap() {
        assert_eq!(family["mahalanobis"]["rho"], Value::Null, "{family}");
        assert!(family["mahalanobis"]["why"].is_string(), "{family}");
        for configuration in family["configurations"].as_array().unwrap() {
            assert_eq!(configuration["mahalanobis"], Value::Null, "{configuration}");
        }
    }
    assert!(found.err.contains("no rho against"), "{}", found.err);
    bench.run(&["report", "runs", "-o", "page", "-q"]).fine();

    // One label in all is refused, with its cause.
    for clip in walk(&bench.path("data")) {
        if clip.file_name().unwrap().to_str().unwrap().contains("_test_anomaly_") {
            fs::remove_file(clip).unwrap();
        }
    }
    bench.eval(&["runs"]).refused(4, &["are normal: an AUC needs normal and anomalous ones"]);
}
