//! Nothing of the test clips, neither label nor sound, reaches a training, its scales, its choice of weights or the
//! threshold of its decisions: each family is trained again beside poisoned test clips.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use ndarray::{Array2, OwnedRepr};
use serde_json::Value;

use crate::pipeline::walk;
use crate::program::{Bench, shipped};

/// A family at the size of a test.
struct Family {
    config: &'static str,
    sets: &'static [&'static str],
    /// Whether there are weights of its own.
    trains: bool,
}

/// Two machine types, because separation mixes one with the other; clips of 38 frames.
fn machines() -> Bench {
    let bench = Bench::empty();
    let sizes = ["--duration-s", "1.2", "--train-per-section", "6", "--test-per-section", "8"];
    bench.run(&[&["synth", "clean", "--machines", "fan,valve", "-q"], &sizes[..]].concat()).fine();
    for poison in ["labels", "sounds"] {
        copy(&bench.path("clean"), &bench.path(poison));
    }
    for clip in test_clips(&bench.path("labels")) {
        let name = clip.file_name().unwrap().to_str().unwrap();
        // In two steps: both names are there.
        fs::rename(&clip, clip.with_file_name(swapped(name) + ".new")).unwrap();
    }
    for new in walk(&bench.path("labels")).into_iter().filter(|path| path.extension().unwrap() == "new") {
        fs::rename(&new, new.with_extension("")).unwrap();
    }
    for (n, clip) in test_clips(&bench.path("sounds")).into_iter().enumerate() {
        let mut bytes = fs::read(&clip).unwrap();
        let mut state = n as u32;
        // Noise at full scale behind the header.
        for byte in &mut bytes[44..] {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *byte = (state >> 24) as u8;
        }
        fs::write(clip, bytes).unwrap();
    }
    bench
}

fn copy(from: &Path, to: &Path) {
    for path in walk(from) {
        let copied = to.join(path.strip_prefix(from).unwrap());
        fs::create_dir_all(copied.parent().unwrap()).unwrap();
        fs::copy(path, copied).unwrap();
    }
}

fn test_clips(data: &Path) -> Vec<PathBuf> {
    let test = |path: &PathBuf| path.parent().is_some_and(|folder| folder.ends_with("test"));
    let clips: Vec<PathBuf> = walk(data).into_iter().filter(test).collect();
    assert_eq!(clips.len(), 2 * 3 * 8);
    clips
}

/// A clip's path with the other label.
fn swapped(name: &str) -> String {
    match name.contains("_normal_") {
        true => name.replace("_normal_", "_anomaly_"),
        false => name.replace("_anomaly_", "_normal_"),
    }
}

/// What a training and an evaluation left, apart by whether test clips may have a say in it.
struct Left {
    /// By name: what must be the same whatever the test clips are.
    of_training: BTreeMap<&'static str, Vec<u8>>,
    evaluation: Value,
    /// Mahalanobis distances of the test clips, by path.
    scores: BTreeMap<String, f64>,
}

fn left(bench: &Bench, family: &Family, data: &str) -> Left {
    let config = shipped(family.config);
    let root = format!("data.root={data}");
    let mut train = vec!["train", config.to_str().unwrap(), "--device", "cpu", "-q", "--runs", data];
    for set in [root.as_str(), "data.machines=[\"fan\"]"].iter().chain(family.sets) {
        train.extend(["--set", *set]);
    }
    bench.run(&train).fine();
    bench.eval(&[data]).fine();

    let manifests: Vec<PathBuf> =
        walk(&bench.path(data)).into_iter().filter(|path| path.ends_with("manifest.json")).collect();
    assert_eq!(manifests.len(), 1, "{manifests:?}");
    let run = manifests[0].parent().unwrap();
    let json =
        |name: &str| -> Value { serde_json::from_str(&fs::read_to_string(run.join(name)).unwrap()).unwrap() };
    let (manifest, evaluation) = (json("manifest.json"), json("eval.json"));
    let mut of_training = BTreeMap::new();
    if family.trains {
        of_training.insert("model.safetensors", fs::read(run.join("model.safetensors")).unwrap());
    }
    // Of the manifest, metrics and evaluation what is no time.
    let metrics = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let lines = metrics.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let course = lines.map(|line| format!("{} {} {}\n", line["loss"], line["best"], line["signals"]));
    of_training.insert("the course of the loss", course.collect::<String>().into_bytes());
    let learnt = format!("{} {}", manifest["data_fingerprint"], manifest["model"]);
    of_training.insert("what the manifest says of data and weights", learnt.into_bytes());
    let threshold = &evaluation["official"]["threshold"];
    assert!(threshold["value"].is_f64(), "{evaluation}");
    of_training.insert("the threshold", threshold.to_string().into_bytes());

    let mut npz = ndarray_npy::NpzReader::new(fs::File::open(run.join("features.npz")).unwrap()).unwrap();
    let features: Array2<f32> = npz.by_name::<OwnedRepr<f32>, _>("train").unwrap();
    assert_eq!(features.nrows(), 18);
    let bits = features.iter().flat_map(|value| value.to_le_bytes());
    of_training.insert("the training clips' features", bits.collect());
    if let Ok(bytes) = fs::read(run.join("training_scores.csv")) {
        of_training.insert("training_scores.csv", bytes);
    }

    let mut reader = csv::Reader::from_path(run.join("scores.csv")).unwrap();
    let rows = reader.deserialize::<BTreeMap<String, String>>().map(Result::unwrap);
    let scores: BTreeMap<String, f64> =
        rows.map(|row| (row["clip"].clone(), row["mahalanobis"].parse().unwrap())).collect();
    assert_eq!(scores.len(), 24);
    Left { of_training, evaluation, scores }
}

/// Train beside the clean and beside poisoned test clips, and compare.
fn poison(family: &Family) {
    let bench = machines();
    if !family.trains {
        fs::create_dir(bench.path("checkpoints")).unwrap();
        let file = "checkpoints/beats-tiny.safetensors";
        bench.run(&["import", "--random", "beats-tiny", "--seed", "1", "-o", file]).fine();
    }
    let [clean, labels, sounds] = ["clean", "labels", "sounds"].map(|data| left(&bench, family, data));
    for (what, poisoned) in [("labels", &labels), ("sounds", &sounds)] {
        let names = |of: &Left| of.of_training.keys().copied().collect::<Vec<_>>();
        assert_eq!(names(&clean), names(poisoned));
        for (name, bytes) in &clean.of_training {
            assert!(*bytes == poisoned.of_training[name], "{name} changed with the test clips' {what}");
        }
    }

    // The poison was one: what is judged did change, and as it must.
    let sections = |left: &Left| left.evaluation["mahalanobis"]["sections"].as_object().unwrap().clone();
    let turned = sections(&labels);
    for (section, auc) in sections(&clean) {
        let (auc, other) = (auc.as_f64().unwrap(), turned[&section].as_f64().unwrap());
        // Both are quotients of the same whole numbers.
        assert!((auc + other - 1.0).abs() < 1e-12, "section {section}: {auc} and {other}");
    }
    for (clip, score) in &clean.scores {
        // A clip's place in its batch may round its feature otherwise.
        let other = labels.scores[&swapped(clip)];
        assert!((score - other).abs() <= 1e-3 * score, "{clip}: {score} and {other}");
        assert!(
            (score - sounds.scores[clip]).abs() > 1e-3 * score,
            "{clip}: {score} whatever it sounds like"
        );
    }
}

const RESNET: [&str; 3] = ["task.classification.frames=32", "task.classification.width=4", "train.epochs=2"];
const VIEWS: [&str; 3] = ["task.contrastive.frames=32", "task.contrastive.width=4", "train.epochs=2"];

#[test]
fn poisoned_test_clips_do_not_reach_an_autoencoder() {
    poison(&Family { config: "micro/ae.toml", sets: &["train.epochs=3"], trains: true });
}

#[test]
fn poisoned_test_clips_do_not_reach_a_classifier() {
    poison(&Family { config: "micro/ce.toml", sets: &RESNET, trains: true });
}

#[test]
fn poisoned_test_clips_do_not_reach_an_angular_classifier() {
    poison(&Family { config: "micro/arcface.toml", sets: &RESNET, trains: true });
}

#[test]
fn poisoned_test_clips_do_not_reach_simclr() {
    poison(&Family { config: "micro/simclr.toml", sets: &VIEWS, trains: true });
}

#[test]
fn poisoned_test_clips_do_not_reach_simsiam() {
    poison(&Family { config: "micro/simsiam.toml", sets: &VIEWS, trains: true });
}

/// Nor do those of the other machine types, with which only the judging mixes.
#[test]
fn poisoned_test_clips_do_not_reach_a_separation() {
    let sets = &[
        "task.separation.channels=4",
        "task.separation.n_fft=64",
        "task.separation.hop_samples=64",
        "task.separation.segment_s=0.4",
        "train.epochs=2",
        "train.batch_size=4",
        "eval.separation.mixtures=5",
    ];
    poison(&Family { config: "micro/separation.toml", sets, trains: true });
}

/// Nothing is trained; the scorers and the threshold are fitted.
#[test]
fn poisoned_test_clips_do_not_reach_what_is_fitted_to_a_pretrained_encoder() {
    poison(&Family { config: "micro/beats.toml", sets: &[], trains: false });
}

/// The rooms that learn get clips in types that hold no label. That they know no other is what makes these types a guard.
#[test]
fn the_rooms_that_learn_name_neither_labels_nor_the_index() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let forbidden =
        ["ClipIndex", "IndexedClip", "LabelledClip", "EvaluationClips", "GroundTruth", "anomalous"];
    // The one door by which clips to be judged become sounds.
    let doors = [("task/source.rs", "EvaluationClips")];
    let (mut files, mut opened) = (0, 0);
    for path in ["train", "task", "nn", "audio"].iter().flat_map(|room| walk(&source.join(room))) {
        let name = path.strip_prefix(&source).unwrap().to_str().unwrap();
        if !name.ends_with(".rs") {
            continue;
        }
        files += 1;
        let text = fs::read_to_string(&path).unwrap();
        let own = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        for word in forbidden.into_iter().filter(|word| own.contains(word)) {
            match doors.contains(&(name, word)) {
                true => opened += 1,
                false => panic!("src/{name} names {word}"),
            }
        }
    }
    assert!(files > 50, "{files} files");
    assert_eq!(opened, doors.len());
}
