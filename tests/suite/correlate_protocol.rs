//! `asdbench correlate`: the three stages, Tables II-VI, thresholds, and runs that a sweep planned.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::program::Bench;

const HEADER: &str =
    "family,config,machine,seed,proxy_name,proxy,higher_is_better,in_domain_lp,out_domain_lp,mahalanobis\n";

/// The study's cross-entropy classifiers, as it prints them; a family whose metric nobody knows; one checkpoint pooled in
/// four ways.
const RESULTS: &str = "\
ce,resnet18,,,macro_f1,98.62,true,71.20,60.69,58.16
ce,resnet34,,,macro_f1,98.66,true,64.80,59.14,58.61
ce,resnet50,,,macro_f1,97.43,true,65.92,56.42,57.00
ce,resnet101,,,macro_f1,98.36,true,67.78,59.45,59.59
ce,resnet152,,,macro_f1,97.40,true,66.14,59.80,61.21
mine,a,,,score,1,true,0.5,0.5,0.5
mine,b,,,score,2,true,0.6,0.6,0.6
mine,c,,,score,3,true,0.7,0.7,0.7
pretrained,x,,,map,0.48,true,0.7,0.6,0.6
pretrained,x-cls,,,map,0.48,true,0.6,0.5,0.7
pretrained,x-patch,,,map,0.48,true,0.8,0.7,0.8
pretrained,x-layer3,,,map,0.48,true,0.9,0.8,0.5
";

fn bench() -> Bench {
    let bench = Bench::empty();
    fs::write(bench.path("r.csv"), format!("{HEADER}{RESULTS}")).unwrap();
    bench
}

fn family<'a>(document: &'a Value, name: &str) -> &'a Value {
    let families = document["families"].as_array().expect("a list of families");
    families.iter().find(|one| one["family"] == name).unwrap_or_else(|| panic!("no {name} in {document}"))
}

fn document(bench: &Bench, more: &[&str]) -> Value {
    bench.run(&[&["correlate", "r.csv", "--format", "json"], more].concat()).fine().json()
}

#[test]
fn every_family_has_three_stages_and_a_verdict() {
    let bench = bench();
    let document = document(&bench, &[]);
    let stages = |name: &str| &family(&document, name)["stages"];
    for (name, health, representation, correlation) in [
        ("ce", "saturated", "above_chance", "no_evidence"),
        ("mine", "unknown", "above_chance", "cannot_be_significant"),
        ("pretrained", "healthy", "above_chance", "not_measurable"),
    ] {
        let found = stages(name);
        assert_eq!(found["health"]["verdict"], health, "{found:#}");
        assert_eq!(found["representation"]["verdict"], representation, "{found:#}");
        assert_eq!(found["correlation"]["verdict"], correlation, "{found:#}");
        for stage in ["health", "representation", "correlation"] {
            assert!(!found[stage]["evidence"].as_array().unwrap().is_empty(), "{found:#}");
        }
        assert!(found["verdict"].as_str().unwrap().ends_with('.'), "{found:#}");
    }
    assert_eq!(stages("ce")["health"]["saturated_at"].as_f64(), Some(0.97));
    assert_eq!(stages("ce")["correlation"]["mahalanobis"]["verdict"], "no_evidence");
    let text = bench.run(&["correlate", "r.csv"]).fine().out;
    for words in [
        "1 health: saturated",
        "2 representation: above chance",
        "3 correlation: no evidence",
        "verdict: The",
    ] {
        assert!(text.contains(words), "no `{words}` in:\n{text}");
    }
    for (format, mark) in [
        ("csv", "ce,1 health,saturated"),
        ("md", "| ce | 1 health | saturated |"),
        ("latex", "ce & 1 health & saturated &"),
    ] {
        let out = bench.run(&["correlate", "r.csv", "--stages", "--format", format]).fine().out;
        assert!(out.contains(mark), "{format}: {out}");
    }
}

#[test]
fn a_proxy_that_is_the_same_everywhere_says_so_and_nothing_of_n() {
    let bench = bench();
    let answer = bench.run(&["correlate", "r.csv"]).fine();
    let why = "the proxy `map` is the same for all 4 configurations (they share a checkpoint";
    assert!(answer.err.contains(why), "{}", answer.err);
    let lines: Vec<&str> = answer.out.lines().filter(|line| line.starts_with("pretrained")).collect();
    assert!(!lines.is_empty() && lines.iter().all(|line| !line.contains("can never")), "{}", answer.out);
    assert!(
        answer
            .out
            .lines()
            .any(|line| line.starts_with("mine") && line.contains("n = 3 can never give p < 0.05"))
    );
}

#[test]
fn thresholds_come_from_a_study_file_and_the_command_line() {
    let bench = bench();
    fs::write(bench.path("study.toml"), "[study]\nname = \"x\"\n[protocol]\nsaturated_f1 = 0.98\n").unwrap();
    let health = |more: &[&str]| document(&bench, more)["families"][0]["stages"]["health"]["verdict"].clone();
    assert_eq!(health(&[]), "saturated");
    assert_eq!(health(&["--config", "study.toml"]), "healthy");
    assert_eq!(health(&["--config", "study.toml", "--set", "protocol.saturated_f1=0.9"]), "saturated");
    assert_eq!(
        health(&["--set", "protocol.failed_f1=0.995", "--set", "protocol.saturated_f1=0.999"]),
        "failed"
    );
    let level = document(&bench, &["--set", "protocol.significance=0.5"]);
    assert_eq!(family(&level, "mine")["can_be_significant"], true);
    assert_eq!(level["protocol"]["significance"].as_f64(), Some(0.5));
    let refused = |more: &[&str], code, words: &[&str]| {
        bench.run(&[&["correlate", "r.csv"], more].concat()).refused(code, words);
    };
    refused(&["--set", "protocol.significans=0.5"], 3, &["did you mean `protocol.significance`"]);
    refused(&["--set", "train.epochs=5"], 3, &["protocol.* only"]);
    refused(&["--config", "gone.toml"], 3, &["gone.toml"]);
    refused(&["--config", "r.csv"], 3, &["r.csv"]);
    refused(&["--tables", "--stages"], 2, &["--stages"]);
}

#[test]
fn tables_stand_beside_the_studys() {
    let bench = bench();
    let tables = &document(&bench, &[])["tables"];
    assert_eq!((&tables[0]["number"], &tables[0]["title"]), (&"III".into(), &"Classification".into()));
    let first = &tables[0]["configurations"][0];
    assert_eq!(first["config"], "resnet18");
    assert!((first["printed"]["in_domain_lp"].as_f64().unwrap() - 0.712).abs() < 1e-12);
    assert_eq!(first["difference"]["in_domain_lp"].as_f64(), Some(0.0));
    // The toy's slim networks are none of the study's.
    assert_eq!(tables[1]["number"], "VI");
    assert_eq!(tables[1]["configurations"][0]["printed"], Value::Null);
    for (format, mark) in [
        ("table", "71.20 (71.20, +0.00)"),
        ("csv", "III,ce,resnet18,1,0,macro_f1,0.986"),
        ("md", "### Table III: Classification\n\n| config | runs | macro_f1 |"),
        ("latex", "% Table III: Classification\n\\begin{tabular}"),
    ] {
        let out = bench.run(&["correlate", "r.csv", "--tables", "--format", format]).fine().out;
        assert!(out.contains(mark), "{format}: {out}");
        assert_eq!(out.matches("resnet152").count(), 1, "{format}: {out}");
    }
}

/// A run with results, or with a status.
fn run(runs: &Path, (config, machine, seed): (&str, &str, u64), status: Option<&str>, proxy: f64) {
    let folder = runs.join("ce").join(config).join(machine).join(format!("seed-{seed}"));
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("manifest.json"), "{}").unwrap();
    fs::write(folder.join("status"), status.unwrap_or("done\n")).unwrap();
    fs::write(folder.join("metrics.jsonl"), "{\"epoch\":1,\"loss\":2.0}\n{\"epoch\":2,\"loss\":1.0}\n")
        .unwrap();
    if status.is_none() {
        let auc = json!({ "auc": 0.5 + proxy / 4.0 });
        let eval = json!({
            "schema": 1, "family": "ce", "config": config, "machine": machine, "seed": seed,
            "proxy": { "name": "macro_f1", "value": proxy, "higher_is_better": true },
            "linear_probe": { "in_domain": auc, "out_domain": auc }, "mahalanobis": auc,
        });
        fs::write(folder.join("eval.json"), eval.to_string()).unwrap();
    }
}

#[test]
fn what_a_sweep_planned_and_did_not_get_is_named_and_counted() {
    let bench = Bench::empty();
    let runs = bench.path("runs");
    let configs = ["a-00000000", "b-00000000", "c-00000000", "d-00000000"];
    for (n, config) in configs[..3].iter().enumerate() {
        for machine in ["fan", "pump"] {
            run(&runs, (config, machine, 0), None, 0.5 + 0.1 * n as f64);
        }
    }
    run(&runs, (configs[3], "fan", 0), Some("failed\nthe loss is not finite in epoch 3\n"), 0.5);
    let trials: Vec<Value> = configs
        .iter()
        .flat_map(|config| {
            ["fan", "pump"].map(|machine| {
                json!({ "path": format!("ce/{config}/{machine}/seed-0"), "family": "ce", "config": config,
                        "machine": machine, "seed": 0 })
            })
        })
        .collect();
    let plan = json!({ "schema": 1, "name": "s", "trials": trials, "protocol": { "significance": 0.4 } });
    fs::create_dir_all(runs.join(".studies")).unwrap();
    fs::write(runs.join(".studies/s.json"), plan.to_string()).unwrap();

    let answer = bench.run(&["correlate", "runs", "--format", "json"]).fine();
    let found = answer.json();
    let planned = &found["planned"][0]["families"][0];
    for (key, count) in
        [("trials", 8), ("with_results", 6), ("failed", 1), ("never_started", 1), ("interrupted", 0)]
    {
        assert_eq!(planned[key], count, "{key}: {planned}");
    }
    let left_out = found["left_out"].as_array().unwrap();
    let states: Vec<&Value> = left_out.iter().map(|one| &one["state"]).collect();
    assert_eq!(states, ["failed", "never_started"]);
    assert!(left_out[0]["why"].as_str().unwrap().contains("the loss is not finite in epoch 3"), "{found:#}");
    assert_eq!(left_out[1]["path"], "runs/ce/d-00000000/pump/seed-0");
    assert!(
        answer.err.contains("2 of 8 planned trials have no results: 1 failed, 1 never started"),
        "{}",
        answer.err
    );
    // The three complete configurations are correlated, by the level that the plan has.
    let ce = family(&found, "ce");
    assert_eq!(
        (&ce["n"], ce["in_domain_lp"]["rho"].as_f64(), &ce["can_be_significant"]),
        (&3.into(), Some(1.0), &true.into())
    );
    assert_eq!(ce["averaging"], "1 seed of each machine type, then over 2 machine types");
    assert_eq!(ce["stages"]["correlation"]["verdict"], "aligned");
    assert_eq!(ce["stages"]["health"]["losses"]["runs"], 6);
    // A level of one's own goes over the plan's.
    let own = bench
        .run(&["correlate", "runs", "--format", "json", "--set", "protocol.significance=0.3"])
        .fine()
        .json();
    assert_eq!(family(&own, "ce")["stages"]["correlation"]["verdict"], "cannot_be_significant");

    // A machine type of one configuration that is lost is a hole in the grid, which is not averaged over.
    fs::remove_file(runs.join("ce/b-00000000/pump/seed-0/eval.json")).unwrap();
    let found = bench.run(&["correlate", "runs", "--format", "json"]).fine().json();
    let ce = family(&found, "ce");
    assert!(ce["in_domain_lp"]["rho"].is_null() && ce["missing"][0]["config"] == "b-00000000", "{ce:#}");
    assert_eq!(found["planned"][0]["families"][0]["not_evaluated"], 1);
    let table = &found["tables"][0]["configurations"][1];
    assert!(
        table["proxy"].is_null() && table["why"] == "no result on machine `pump` with seed 0",
        "{table:#}"
    );
}

#[test]
fn a_thousand_runs_are_gathered_quickly() {
    let bench = Bench::empty();
    let runs = bench.path("runs");
    for n in 0..1000_u64 {
        let (config, machine) = (n % 8, ["fan", "gearbox", "pump", "slider", "valve"][(n / 8 % 5) as usize]);
        run(&runs, (&format!("c{config}-00000000"), machine, n / 40), None, 0.3 + 0.05 * config as f64);
    }
    let start = std::time::Instant::now();
    let found = bench.run(&["correlate", "runs", "--format", "json"]).fine().json();
    let seconds = start.elapsed().as_secs_f64();
    let ce = family(&found, "ce");
    assert_eq!((&ce["n"], ce["in_domain_lp"]["rho"].as_f64()), (&8.into(), Some(1.0)));
    assert_eq!(ce["averaging"], "25 seeds of each machine type, then over 5 machine types");
    // 0.5 s where nothing else runs; a busy machine takes many times that. Each run gathered again for each other: minutes.
    assert!(seconds < 30.0, "{seconds} s");
}
