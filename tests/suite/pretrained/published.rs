//! Checkpoints in their public forms, with the numbers that are published of them.

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;

use super::train;
use crate::conformance;
use crate::program::Bench;

#[test]
fn public_forms_of_checkpoints_are_judged_by_what_is_published_and_correlated() {
    let folders = (conformance::folder("beats"), conformance::folder("eat"));
    let (Some(beats), Some(eat)) = folders else { return };
    let bench = Bench::with_fan();
    // As a clone of a repository on Hugging Face has it.
    let hub = bench.path("checkpoints/eat-public");
    fs::create_dir_all(&hub).unwrap();
    fs::copy(eat.join("hf_model.safetensors"), hub.join("model.safetensors")).unwrap();
    fs::copy(eat.join("hf_config.json"), hub.join("config.json")).unwrap();
    fs::copy(beats.join("tiny_pretrained.pt"), bench.path("checkpoints/one.pt")).unwrap();
    fs::copy(beats.join("tiny_pretrained.pt"), bench.path("checkpoints/two.pt")).unwrap();
    let sets = |sets: &[String]| -> Vec<String> {
        sets.iter().flat_map(|set| ["--set".to_owned(), set.clone()]).collect()
    };
    let published = |of: &[(&str, f64)]| {
        let entry =
            |(name, map): &(&str, f64)| format!("{{checkpoint=\"{name}\", map={map}, source=\"a table\"}}");
        let entries: Vec<String> = of.iter().map(entry).collect();
        format!("eval.pretrained.published=[{}]", entries.join(", "))
    };
    let of_beats = published(&[("one.pt", 0.25), ("two.pt", 0.5)]);
    let of_eat = published(&[("eat-public/model.safetensors", 0.75)]);
    let (one, two, hub) = ("one.pt", "two.pt", "eat-public/model.safetensors");
    let trials = [
        ("micro/beats.toml", one, "mean", &of_beats),
        ("micro/beats.toml", two, "patch", &of_beats),
        ("micro/eat.toml", hub, "mean", &of_eat),
        ("micro/eat.toml", hub, "cls", &of_eat),
    ];
    for (config, checkpoint, pool, published) in trials {
        let checkpoint = format!("task.pretrained.checkpoint=checkpoints/{checkpoint}");
        let all = sets(&[checkpoint, format!("task.pretrained.pool=\"{pool}\""), published.clone()]);
        train(&bench, config, &all.iter().map(String::as_str).collect::<Vec<_>>()).fine();
    }
    let judged = bench.eval(&["runs"]).fine().json();
    let values: BTreeMap<String, f64> = judged["runs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|run| {
            let note = run["proxy"]["note"].as_str().unwrap();
            assert!(note.contains("a table") && note.contains("not measured here"), "{note}");
            let config = run["config"].as_str().unwrap().rsplit_once('-').unwrap().0.to_owned();
            (config, run["proxy"]["value"].as_f64().unwrap())
        })
        .collect();
    let expected = [
        ("eat-public-cls-frames208", 0.75),
        ("eat-public-frames208", 0.75),
        ("one", 0.25),
        ("two-patch", 0.5),
    ];
    assert_eq!(values, expected.map(|(config, map)| (config.to_owned(), map)).into());

    let answer = bench.run(&["correlate", "runs", "--format", "json"]).fine();
    let family = &answer.json()["families"][0];
    assert_eq!(
        (&family["family"], &family["proxy"], &family["n"]),
        (&"pretrained".into(), &"map".into(), &4.into())
    );
    assert_eq!(family["smallest_p"].as_f64(), Some(2.0 / 24.0));
    // AUCs of a toy may all be equal, which has no rank correlation and says so.
    let rho = |detection: &str| family[detection]["rho"].as_f64();
    let found: Vec<f64> =
        ["in_domain_lp", "out_domain_lp", "mahalanobis"].into_iter().filter_map(rho).collect();
    assert!(!found.is_empty() && found.iter().all(|rho| rho.abs() <= 1.0), "{family}");
    // The two files' tables of published numbers are no other way of judging.
    assert!(!answer.err.contains("other [eval] settings"), "{}", answer.err);

    // Without an entry there is no proxy, and it says why.
    let without = bench.eval(&["runs", "--set", "eval.pretrained.published=[]"]).fine().json();
    for run in without["runs"].as_array().unwrap() {
        assert_eq!(run["proxy"]["value"], Value::Null);
        assert!(run["proxy"]["why"].as_str().unwrap().contains("eval.pretrained.published"), "{run}");
    }
}
