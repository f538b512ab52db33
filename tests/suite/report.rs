//! `asdbench report`: a page, tables and figures of runs that went well, and of runs that did not.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::pipeline::walk;
use crate::program::Bench;

/// Four autoencoders on one machine, trained and judged, in `runs`; the folders of their runs.
fn judged() -> (Bench, Vec<PathBuf>) {
    let bench = Bench::with_fan();
    let trained = bench.train(&["--set", "train.epochs=2", "--grid"]).fine().json();
    let path = |run: &Value| bench.path(run["path"].as_str().unwrap());
    let paths: Vec<PathBuf> = trained["runs"].as_array().unwrap().iter().map(path).collect();
    assert_eq!(paths.len(), 4);
    bench.eval(&["runs"]).fine();
    (bench, paths)
}

fn json_of(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// Every file below a folder.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let read = |path: PathBuf| (path.strip_prefix(folder).unwrap().to_owned(), fs::read(&path).unwrap());
    walk(folder).into_iter().map(read).collect()
}

/// All numbers of a document.
fn numbers(document: &Value, found: &mut Vec<f64>) {
    match document {
        Value::Number(number) => found.extend(number.as_f64()),
        Value::Array(items) => items.iter().for_each(|item| numbers(item, found)),
        Value::Object(keys) => keys.values().for_each(|item| numbers(item, found)),
        _ => {}
    }
}

/// The exact values behind the numbers of a page, and what people read of each.
fn printed(page: &str) -> Vec<(f64, String)> {
    let one = |part: &str| {
        let (value, rest) = part.split_once("\">").unwrap();
        let text = rest.split_once("</data>").unwrap().0.replace('−', "-");
        (value.parse().unwrap_or_else(|_| panic!("{value} is no number")), text)
    };
    page.split("<data value=\"").skip(1).map(one).collect()
}

#[test]
fn a_report_has_every_part_and_the_same_bytes_again() {
    let (bench, _) = judged();
    let answer = bench.run(&["report", "runs", "-o", "out", "--format", "json"]).fine();
    let written = answer.json();
    let first = files(&bench.path("out"));
    let names: Vec<String> = first.keys().map(|path| path.to_string_lossy().into_owned()).collect();
    assert_eq!(json!(names), written["files"]);
    for name in [
        "index.html",
        "report.json",
        "tables/table-ii.csv",
        "tables/table-vii.md",
        "tables/table-vii.tex",
        "figures/proxy-mahalanobis.svg",
        "figures/curves-autoencoder.png",
        "figures/scores-autoencoder-best.svg",
        "figures/map-autoencoder.svg",
        "figures/example-autoencoder-1.png",
    ] {
        assert!(first.contains_key(Path::new(name)), "{name} is not among {names:?}");
    }
    let document = json_of(&bench.path("out/report.json"));
    assert_eq!(written["report"], document);
    assert_eq!((&document["schema"], &document["trials"]["done"]), (&1.into(), &4.into()));
    assert_eq!(document["results"].as_array().unwrap().len(), 4);
    let family = &document["families"][0];
    assert_eq!((&family["family"], &family["n"]), (&"autoencoder".into(), &4.into()));
    let correlated = bench.run(&["correlate", "runs", "--format", "json"]).fine().json();
    for key in ["in_domain_lp", "out_domain_lp", "mahalanobis", "configurations", "machines"] {
        assert_eq!(family[key], correlated["families"][0][key], "{key}");
    }
    assert_eq!(family["stages"], correlated["families"][0]["stages"]);
    // Another folder, another time, another name of the runs' folder, the recordings elsewhere: the same bytes.
    fs::rename(bench.path("data"), bench.path("moved")).unwrap();
    bench.run(&["report", "./runs/", "-o", "again/and/deeper", "-q", "--set", "data.root=moved"]).fine();
    // Where they are not, the page has no examples, and that is said at once.
    let elsewhere = bench.run(&["report", "runs", "-o", "elsewhere", "--set", "data.root=nowhere"]).fine();
    assert!(
        elsewhere.err.contains("There is no example of") && elsewhere.err.contains("nowhere"),
        "{}",
        elsewhere.err
    );
    let again = files(&bench.path("again/and/deeper"));
    assert_eq!(first.keys().collect::<Vec<_>>(), again.keys().collect::<Vec<_>>());
    for (name, bytes) in &first {
        assert!(*bytes == again[name], "{} differs", name.display());
    }
}

#[test]
fn every_number_of_the_page_is_one_of_the_document() {
    let (bench, _) = judged();
    bench.run(&["report", "runs", "-o", "out", "--no-examples", "-q"]).fine();
    let page = fs::read_to_string(bench.path("out/index.html")).unwrap();
    let mut known = Vec::new();
    numbers(&json_of(&bench.path("out/report.json")), &mut known);
    let printed = printed(&page);
    assert!(printed.len() > 60, "{}", printed.len());
    for (value, text) in &printed {
        // AUCs are fractions in the document and percent in the page.
        let found = known.iter().any(|known| known == value || 100.0 * known == *value);
        assert!(found, "{value} is not in report.json");
        let decimals = text.split_once('.').map_or(0, |(_, digits)| digits.len());
        if !text.contains('e') {
            let shown: f64 = text.parse().unwrap();
            let half = 0.5 * 10_f64.powi(-i32::try_from(decimals).unwrap());
            assert!((shown - value).abs() <= half * (1.0 + 1e-9), "{text} is shown for {value}");
        }
    }
    // Names alone do not make a page: each link within it leads somewhere, each file that it names is there.
    for link in page.split("href=\"").skip(1).map(|part| part.split('"').next().unwrap()) {
        match link.strip_prefix('#') {
            Some(id) => assert_eq!(page.matches(&format!("id=\"{id}\"")).count(), 1, "{id}"),
            None => assert!(bench.path("out").join(link).is_file(), "{link}"),
        }
    }
    assert!(!bench.path("out/figures/example-autoencoder-1.svg").exists());
}

#[test]
fn what_is_missing_is_named_and_the_rest_is_done() {
    let (bench, runs) = judged();
    fs::write(runs[0].join("status"), "failed\nthe loss is <b>not</b> a number in epoch 3\n").unwrap();
    fs::write(runs[1].join("eval.json"), "{\"schema\":1,").unwrap();
    let copy = |name: &str| {
        let folder = runs[2].parent().unwrap().join(name);
        fs::create_dir_all(&folder).unwrap();
        for file in ["manifest.json", "status"] {
            fs::copy(runs[2].join(file), folder.join(file)).unwrap();
        }
        folder
    };
    fs::write(copy("seed-7").join("status"), "interrupted\n").unwrap();
    copy("seed-8");
    fs::write(copy("seed-9").join("manifest.json"), "no JSON").unwrap();
    let trial = |path: &str| json!({ "path": path, "family": "autoencoder", "config": "c", "machine": "fan", "seed": 0 });
    let below = |path: &Path| path.strip_prefix(bench.path("runs")).unwrap().to_string_lossy().into_owned();
    let trials: Vec<Value> =
        runs.iter().map(|run| trial(&below(run))).chain([trial("autoencoder/c/fan/seed-0")]).collect();
    let plan = json!({ "schema": 1, "name": "toy", "trials": trials, "protocol": { "significance": 0.4 } });
    fs::create_dir_all(bench.path("runs/.studies")).unwrap();
    fs::write(bench.path("runs/.studies/toy.json"), plan.to_string()).unwrap();
    // Whatever else is in the folder stays.
    fs::create_dir_all(bench.path("out/figures")).unwrap();
    fs::write(bench.path("out/figures/mine.txt"), "mine").unwrap();
    fs::write(bench.path("out/index.html"), "old").unwrap();

    let answer = bench.run(&["report", "runs", "-o", "out", "--no-examples"]).fine();
    assert!(answer.err.contains("Incomplete"), "{}", answer.err);
    assert!(answer.out.contains("AutoEncoder"), "{}", answer.out);
    let document = json_of(&bench.path("out/report.json"));
    let counts = &document["trials"];
    for (state, count) in [
        ("trials", 8),
        ("done", 2),
        ("failed", 1),
        ("half_done", 1),
        ("not_judged", 1),
        ("damaged", 2),
        ("missing", 1),
    ] {
        assert_eq!(counts[state], count, "{state}: {counts}");
    }
    assert_eq!(document["studies"][0]["trials"]["trials"], 5);
    assert_eq!(document["studies"][0]["trials"]["missing"], 1);
    assert_eq!(document["protocol"]["significance"], 0.4);
    let left_out = document["left_out"].as_array().unwrap();
    let why = |end: &str| {
        let of = |one: &&Value| one["path"].as_str().unwrap().ends_with(end);
        let one = left_out.iter().find(of).unwrap_or_else(|| panic!("no {end} in {left_out:?}"));
        (one["state"].as_str().unwrap(), one["why"].as_str().unwrap())
    };
    assert_eq!(why(&below(&runs[0])), ("failed", "the loss is <b>not</b> a number in epoch 3"));
    assert!(why(&below(&runs[1])).1.contains("eval.json is damaged"), "{left_out:?}");
    assert_eq!(why("seed-7").0, "half_done");
    assert!(why("seed-8") == ("not_judged", "judge it with `asdbench eval`"), "{left_out:?}");
    assert_eq!(why("seed-9").0, "damaged");
    assert_eq!(why("c/fan/seed-0").0, "missing");
    let page = fs::read_to_string(bench.path("out/index.html")).unwrap();
    assert!(
        page.contains("&lt;b&gt;not&lt;/b&gt; a number")
            || page.contains("&lt;b&gt;not&lt;&#x2f;b&gt; a number"),
        "{page}"
    );
    assert!(!page.contains("<b>not</b>"));
    assert_eq!(fs::read_to_string(bench.path("out/figures/mine.txt")).unwrap(), "mine");
    // What an earlier report has and this one has not goes; what a document names elsewhere is not touched.
    assert!(bench.path("out/tables/left-out.csv").exists());
    let earlier = fs::read_to_string(bench.path("out/report.json")).unwrap();
    let hostile =
        earlier.replacen("\"tables/left-out.csv\"", "\"tables/left-out.csv\", \"tables/../../plan.toml\"", 1);
    assert_ne!(hostile, earlier);
    fs::write(bench.path("out/report.json"), hostile).unwrap();
    fs::write(bench.path("plan.toml"), "mine").unwrap();
    let one = format!("runs/{}", below(&runs[2]));
    bench.run(&["report", &one, "-o", "out", "--no-examples", "-q"]).fine();
    assert!(
        !bench.path("out/tables/left-out.csv").exists() && bench.path("out/tables/table-ii.csv").exists()
    );
    assert_eq!(fs::read_to_string(bench.path("plan.toml")).unwrap(), "mine");
    let stray = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().starts_with(".writing");
    assert!(!walk(&bench.path("out")).iter().any(stray));
}

#[test]
fn names_do_no_harm() {
    let (bench, runs) = judged();
    let machine = "<script>alert('1')<script>";
    let folder = bench.path("runs/autoencoder/x/y/seed-0");
    fs::create_dir_all(&folder).unwrap();
    for entry in fs::read_dir(&runs[0]).unwrap().flatten().filter(|entry| entry.path().is_file()) {
        fs::copy(entry.path(), folder.join(entry.file_name())).unwrap();
    }
    for (file, keys) in [("manifest.json", ["machine", "config"]), ("eval.json", ["machine", "config"])] {
        let mut content = json_of(&folder.join(file));
        for key in keys {
            content[key] = if key == "machine" { machine.into() } else { "..<i>".into() };
        }
        // Of the content as it was; a file without one is read.
        content.as_object_mut().unwrap().remove("checksum").expect("a seal");
        fs::write(folder.join(file), content.to_string()).unwrap();
    }
    let title = "<img src=x onerror=alert(2)>";
    bench.run(&["report", "runs", "-o", "out", "--no-examples", "-q", "--title", title]).fine();
    let page = fs::read_to_string(bench.path("out/index.html")).unwrap();
    for harm in ["<script", "<img", "<i>", "http:", "https:"] {
        let harmless = page.replace("xmlns=\"http://www.w3.org/2000/svg\"", "");
        assert!(!harmless.contains(harm), "{harm}");
    }
    assert!(page.contains("alert(2)") && page.contains("&lt;script&gt;alert("), "{page}");
    for (name, bytes) in files(&bench.path("out")) {
        if name.extension().is_some_and(|suffix| suffix == "svg") {
            assert!(!String::from_utf8(bytes).unwrap().contains("<script"), "{}", name.display());
        }
    }
    assert!(!bench.path("<i>").exists());
}

#[test]
fn runs_that_nobody_judged_make_a_page_that_says_so() {
    let bench = Bench::with_fan();
    bench.train(&["--set", "train.epochs=1"]).fine();
    bench.run(&["report", "runs", "-o", "out", "-q"]).fine();
    let document = json_of(&bench.path("out/report.json"));
    assert_eq!((&document["trials"]["done"], &document["trials"]["not_judged"]), (&0.into(), &1.into()));
    let page = fs::read_to_string(bench.path("out/index.html")).unwrap();
    assert!(page.contains("No run is judged yet") && page.contains("asdbench eval"), "{page}");
}

#[test]
fn a_report_needs_runs_and_a_folder() {
    let bench = Bench::empty();
    bench.run(&["report", "runs"]).refused(2, &["--output"]);
    bench.run(&["report", "runs", "-o", "out"]).refused(4, &["no run below runs"]);
    assert!(!bench.path("out").exists());
    let (bench, _) = judged();
    fs::write(bench.path("taken"), "a file").unwrap();
    bench.run(&["report", "runs", "-o", "taken", "--no-examples"]).refused(1, &["taken"]);
    assert_eq!(fs::read_to_string(bench.path("taken")).unwrap(), "a file");
    let set = |value: &str| bench.run(&["report", "runs", "-o", "out", "--no-examples", "--set", value]);
    set("train.epochs=3").refused(3, &["train.epochs"]);
    set("protocol.significance=2").refused(3, &["significance"]);
    set("protocol.significance=0.2").fine();
    assert_eq!(json_of(&bench.path("out/report.json"))["protocol"]["significance"], 0.2);
}

#[test]
fn thresholds_are_those_that_the_sweeps_agree_on() {
    let (bench, _) = judged();
    fs::create_dir_all(bench.path("runs/.studies")).unwrap();
    let plan = |name: &str, significance: f64| {
        let plan =
            json!({ "schema": 1, "name": name, "trials": [], "protocol": { "significance": significance } });
        fs::write(bench.path(&format!("runs/.studies/{name}.json")), plan.to_string()).unwrap();
    };
    let report = |options: &[&str]| {
        let answer = bench.run(&[&["report", "runs", "-o", "out", "--no-examples"], options].concat()).fine();
        (json_of(&bench.path("out/report.json"))["protocol"]["significance"].as_f64().unwrap(), answer.err)
    };
    plan("a", 0.2);
    let (significance, said) = report(&[]);
    assert_eq!(significance, 0.2);
    // A plan that has none of the results: they count, and the page begins with saying so.
    assert!(said.contains("4 results of autoencoder are of configurations that no sweep planned"), "{said}");
    plan("b", 0.3);
    for (options, expected) in [(&[][..], 0.05), (&["--set", "protocol.significance=0.1"], 0.1)] {
        let (significance, said) = report(options);
        assert!(significance == expected && said.contains("`a` and `b` differ in [protocol]"), "{said}");
    }
    // What cannot be read is no reason to make no page, whatever else is asked for.
    fs::write(bench.path("runs/.studies/b.json"), "{").unwrap();
    let (significance, said) = report(&["--set", "protocol.significance=0.1"]);
    assert!(significance == 0.1 && said.contains("b.json is damaged"), "{said}");
}

#[test]
fn synthetic_recordings_are_said_to_be_wherever_they_are_now() {
    let bench = Bench::with_fan();
    bench.train(&["--set", "train.epochs=1"]).fine();
    bench.eval(&["runs"]).fine();
    let said = || {
        let answer = bench.run(&["report", "runs", "-o", "out", "--no-examples"]).fine();
        answer.err.contains("Synthetic machines: ")
    };
    assert!(said());
    fs::rename(bench.path("data"), bench.path("moved")).unwrap();
    assert!(said());
    // A manifest of before it was noted: what is in the data's folder says it.
    let manifest =
        walk(&bench.path("runs")).into_iter().find(|path| path.ends_with("manifest.json")).unwrap();
    let mut content = json_of(&manifest);
    let keys = content.as_object_mut().unwrap();
    assert_eq!((keys.remove("synthetic"), keys.remove("checksum").is_some()), (Some(true.into()), true));
    fs::write(&manifest, content.to_string()).unwrap();
    assert!(!said());
    fs::rename(bench.path("moved"), bench.path("data")).unwrap();
    assert!(said());
}
