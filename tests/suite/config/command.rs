//! `asdbench config`.

use std::fs;
use std::path::Path;

use asdbench::config::{load, load_str};

use super::{folder, sets, shipped};

/// Standard output, standard error and exit code of `asdbench config`.
fn config(arguments: &[&str]) -> (String, String, i32) {
    let output = assert_cmd::Command::new(env!("CARGO_BIN_EXE_asdbench"))
        .arg("config")
        .args(arguments)
        .output()
        .expect("the program starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    (text(output.stdout), text(output.stderr), output.status.code().expect("an exit code"))
}

fn show(config_file: &Path, options: &[&str]) -> String {
    let file = config_file.to_str().unwrap();
    let (out, err, code) = config(&[&["show", file], options].concat());
    assert_eq!(code, 0, "{err}");
    out
}

#[test]
fn show_prints_every_value_with_its_origin() {
    let micro = shipped("micro/ae.toml");
    let text = show(&micro, &["--set", "train.seeds=[4]"]);
    let line = |path: &str| {
        let line = text.lines().find(|line| line.split_whitespace().next() == Some(path));
        line.unwrap_or_else(|| panic!("{path} is missing:\n{text}")).to_owned()
    };
    assert!(line("train.seeds").contains(" [4] ") && line("train.seeds").ends_with("--set"));
    assert!(line("data.root").contains("(not set)") && line("data.root").ends_with("default"));
    assert!(line("train.optimizer.epsilon").contains(" 1e-8 "), "{text}");
    let number = |name: &str, start: &str| {
        let text = fs::read_to_string(shipped(name)).unwrap();
        1 + text.lines().position(|line| line.starts_with(start)).unwrap()
    };
    let epochs = format!("micro/ae.toml:{}", number("micro/ae.toml", "epochs"));
    assert!(line("train.epochs").ends_with(&epochs), "{text}");
    let decay = format!("configs/ae.toml:{}", number("ae.toml", "weight_decay"));
    assert!(line("train.optimizer.weight_decay").ends_with(&decay), "{text}");
    assert!(line("grid.task.autoencoder.hidden").contains("[16, 32]"), "{text}");
}

#[test]
fn show_as_json_is_one_document() {
    let text = show(&shipped("ae.toml"), &["--format", "json"]);
    let document: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(document["schema"], 1);
    assert_eq!((&document["family"], &document["slug"]), (&"autoencoder".into(), &"h128-b8".into()));
    assert_eq!(document["trials"], 9);
    let settings = document["settings"].as_array().unwrap();
    let find = |path: &str| settings.iter().find(|setting| setting["path"] == path).unwrap();
    assert_eq!(find("train.optimizer.lr")["value"], 5e-4);
    assert_eq!(find("train.optimizer.lr")["origin"]["kind"], "file");
    assert_eq!(find("train.optimizer.epsilon")["origin"]["kind"], "default");
    assert!(find("data.root")["value"].is_null() && find("data.root")["why"] == "not set");
}

#[test]
fn show_as_toml_loads_back() {
    let text = show(&shipped("micro/ae.toml"), &["--set", "data.root=clips", "--toml"]);
    let direct = load(&shipped("micro/ae.toml"), &sets(&["data.root=clips"])).unwrap();
    assert_eq!(load_str(&text, "config.toml").unwrap().experiment, direct.experiment);
}

#[test]
fn check_tells_the_good_and_the_bad() {
    let dir = folder(&[("bad.toml", "train.epoch = 3\n"), ("worse.toml", "train.epochs = 0\n")]);
    let good = shipped("ae.toml");
    let (out, _, code) = config(&["check", good.to_str().unwrap()]);
    assert!(code == 0 && out.ends_with("ae.toml: ok (autoencoder, 9 trials)\n"), "{out}");

    let bad = ["bad.toml", "worse.toml"].map(|name| dir.path().join(name));
    let all = [&bad[0], &bad[1], &good].map(|path| path.to_str().unwrap());
    let (out, err, code) = config(&[&["check"], &all[..]].concat());
    assert_eq!((code, out.lines().count()), (3, 1), "{out}");
    assert!(err.contains("bad.toml:1:7") && err.contains("worse.toml:1:16"), "{err}");
}

#[test]
fn schema_prints_the_committed_schema() {
    let committed = fs::read_to_string(shipped("schema.json")).unwrap();
    assert_eq!(config(&["schema"]).0, committed);
}
