//! What becomes of runs and caches whose files changed: nothing corrupt is served, what can be made again is made again.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::pipeline::{artefacts, assert_same, walk};
use crate::program::{Answer, Bench};

fn flip(path: &Path, part: f64) {
    let mut bytes = fs::read(path).unwrap();
    let byte = (part * (bytes.len() - 1) as f64) as usize;
    bytes[byte] ^= 1;
    fs::write(path, bytes).unwrap();
}

/// One trained and judged run, and its folder.
fn judged() -> (Bench, PathBuf) {
    let bench = Bench::with_fan();
    let path = bench.train(&["--set", "train.epochs=2"]).fine().json()["runs"][0]["path"]
        .as_str()
        .unwrap()
        .to_owned();
    bench.eval(&["runs"]).fine();
    let folder = bench.path(&path);
    (bench, folder)
}

fn verify(bench: &Bench) -> Answer {
    bench.run(&["verify", "runs", "--format", "json"])
}

fn only(answer: &Answer) -> Value {
    let document = answer.json();
    assert_eq!(
        (&document["schema"], document["runs"].as_array().unwrap().len()),
        (&1.into(), 1),
        "{document}"
    );
    document["runs"][0].clone()
}

#[test]
fn what_the_program_writes_is_sound() {
    let (bench, folder) = judged();
    let answer = verify(&bench).fine();
    let run = only(&answer);
    assert_eq!(
        (&run["state"], &run["problems"], &run["notes"]),
        (&"sound".into(), &Value::Array(vec![]), &Value::Array(vec![]))
    );
    assert_eq!(
        (&run["family"], &run["machine"], &run["seed"]),
        (&"autoencoder".into(), &"fan".into(), &0.into())
    );
    assert!(run["files"].as_u64().unwrap() >= 7 && run["numbers"].as_u64().unwrap() > 60, "{run}");
    assert_eq!(
        (&answer.json()["counts"]["sound"], &answer.json()["counts"]["damaged"]),
        (&1.into(), &0.into())
    );
    let table = bench.run(&["verify", folder.to_str().unwrap(), "runs"]).fine();
    assert_eq!(table.out.lines().count(), 2, "a run that is named twice is one:\n{}", table.out);
    // Other ways of judging are another evaluation, as sound.
    bench
        .eval(&["runs", "--set", "eval.linear_probe.split=seeded", "--set", "eval.mahalanobis.estimator=oas"])
        .fine();
    assert_eq!(only(&verify(&bench).fine())["state"], "sound");
    bench.run(&["verify", "nothing"]).refused(4, &["no run below nothing"]);
    bench.run(&["verify"]).refused(2, &["RUN"]);
}

#[test]
fn a_flipped_bit_is_never_served_and_the_remedy_mends_it() {
    let (bench, folder) = judged();
    let whole = artefacts(&bench.path("runs"));
    for name in ["features.npz", "scores.csv", "eval.json"] {
        flip(&folder.join(name), 0.5);
        verify(&bench).refused(4, &[name, "asdbench eval"]);
        let run = only(&verify(&bench));
        assert_eq!((&run["state"], &run["problems"][0]["file"]), (&"damaged".into(), &name.into()), "{run}");
        if name == "scores.csv" {
            bench.run(&["compare", "runs", "runs"]).refused(4, &["scores.csv is damaged"]);
        }
        if name == "eval.json" {
            bench.run(&["correlate", "runs"]).refused(4, &["eval.json", "damaged"]);
        }
        bench.eval(&["runs"]).fine();
        assert_eq!(only(&verify(&bench).fine())["state"], "sound", "{name}");
        assert_same(&whole, &artefacts(&bench.path("runs")), name);
    }
    // What was trained is not judged; the command that trained it trains it again.
    for name in ["model.safetensors", "metrics.jsonl"] {
        flip(&folder.join(name), 0.5);
        verify(&bench).refused(4, &[name, "trains it again"]);
        if name == "model.safetensors" {
            bench.eval(&["runs"]).refused(4, &["model.safetensors is damaged"]);
        }
        let again = bench.train(&["--set", "train.epochs=2"]).fine();
        assert!(again.err.contains(name) && again.err.contains("the run is trained again"), "{}", again.err);
        assert_eq!(only(&verify(&bench).fine())["state"], "not_judged");
        bench.eval(&["runs"]).fine();
        assert_eq!(only(&verify(&bench).fine())["state"], "sound", "{name}");
        assert_same(&whole, &artefacts(&bench.path("runs")), name);
    }
    // A digit of the configuration.
    let config = folder.join("config.toml");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text.replacen("c = 1.0", "c = 3.0", 1)).unwrap();
    assert_ne!(fs::read_to_string(&config).unwrap(), text);
    bench.eval(&["runs"]).refused(4, &["config.toml is damaged", "--set"]);
    verify(&bench).refused(4, &["config.toml", "asdbench train"]);
    bench.train(&["--set", "train.epochs=2"]).fine();
    assert_eq!(fs::read_to_string(&config).unwrap(), text);
    assert_eq!(only(&verify(&bench).fine())["state"], "sound");
}

#[test]
fn a_damaged_cache_entry_is_made_again_and_named() {
    let (bench, _) = judged();
    let whole = artefacts(&bench.path("runs"));
    let entries = walk(&bench.path("runs/.cache/logmels"));
    assert!(entries.len() >= 4, "values and index of train and test clips: {entries:?}");
    for entry in entries {
        let before = fs::read(&entry).unwrap();
        for part in [0.3, 1.0] {
            flip(&entry, part);
            let mended = bench.eval(&["runs"]).fine();
            let stem = entry.file_stem().unwrap().to_str().unwrap();
            assert!(mended.err.contains("made again") && mended.err.contains(stem), "{}", mended.err);
            assert!(fs::read(&entry).unwrap() == before, "{}", entry.display());
        }
    }
    assert_same(&whole, &artefacts(&bench.path("runs")), "after damages of the cache");
}
