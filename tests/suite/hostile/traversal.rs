//! Nothing is written outside of the folder that a user names, whatever names stand in what he reads.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use asdbench::official::{ScoredClip, Year, write_submission};

use crate::pipeline::walk;
use crate::program::Bench;

/// Where an absolute name leads: a place that may be written to.
fn outside() -> PathBuf {
    std::env::temp_dir().join("asdbench-escaped")
}

/// Ways out of a folder.
fn ways_out() -> [String; 7] {
    let outside = outside().display().to_string();
    ["../../../escaped", "..", &outside, "a/../../escaped", "a/b", "", "."].map(str::to_owned)
}

fn listed(bench: &Bench) -> BTreeSet<PathBuf> {
    walk(&bench.path(".")).into_iter().collect()
}

#[test]
fn a_manifest_leads_to_no_other_folder() {
    let bench = Bench::with_fan();
    let run = bench.train(&["--set", "train.epochs=1"]).fine().json()["runs"][0]["path"]
        .as_str()
        .unwrap()
        .to_owned();
    bench.eval(&[&run]).fine();
    let path = bench.path(&run).join("manifest.json");
    let sound = fs::read_to_string(&path).unwrap();
    let before = listed(&bench);
    for key in ["family", "config", "machine", "learnt"] {
        for way in ways_out() {
            let mut manifest: serde_json::Value = serde_json::from_str(&sound).unwrap();
            manifest[key] = if key == "learnt" { serde_json::json!([way]) } else { way.as_str().into() };
            fs::write(&path, manifest.to_string()).unwrap();
            bench.eval(&[&run, "--submission", "a/b/c"]).refused(4, &["manifest.json is damaged", key]);
        }
        // The others say so, or leave the run out.
        for command in [&["report", &run, "-o", "out"][..], &["compare", &run, &run], &["correlate", &run]] {
            let answer = bench.run(command);
            assert!(answer.code != Some(1) && !answer.err.contains("panicked"), "{}", answer.err);
        }
        fs::write(&path, &sound).unwrap();
    }
    let after = listed(&bench);
    // What a command makes beside its answer lies in the folders that it was given.
    let given = [bench.path("./out"), bench.path("./runs")];
    let elsewhere = |path: &&PathBuf| !given.iter().any(|folder| path.starts_with(folder));
    let new: Vec<_> = after.difference(&before).filter(elsewhere).collect();
    assert!(new.is_empty(), "{new:?}");
    assert!(!outside().exists());
    bench.eval(&[&run, "--submission", "a/b/c"]).fine();
    assert!(bench.path("a/b/c").is_dir());
}

#[test]
fn a_study_writes_below_its_own_name() {
    let bench = Bench::with_fan();
    let config = crate::program::shipped("micro/ae.toml");
    for name in ways_out() {
        let text = format!("[study]\nname = {name:?}\n[[family]]\nconfig = {config:?}\n");
        fs::write(bench.path("study.toml"), text).unwrap();
        let answer = bench.run(&["sweep", "study.toml", "--set", "data.root=data", "--device", "cpu"]);
        answer.refused(3, &["cannot be a file's name"]);
    }
    assert!(!bench.path("runs").exists());
}

#[test]
fn a_submission_stays_in_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    let own = folder.path().join("a/b");
    let clip = |file: &str| ScoredClip { file: file.into(), score: 0.5, decision: Some(false), domain: None };
    for way in ways_out() {
        let clips = [clip("section_00_0000.wav")];
        let written = write_submission(&own, Year::Y2023, &way, "00", &clips);
        match written {
            Ok(files) => assert!(files.iter().all(|file| file.parent() == Some(&*own)), "{way}: {files:?}"),
            Err(error) => assert!(error.to_string().contains("rename"), "{error}"),
        }
        assert!(write_submission(&own, Year::Y2023, "fan", &way, &clips).is_err(), "{way}");
    }
    // A clip's own folders are no part of its name.
    write_submission(&own, Year::Y2023, "fan", "00", &[clip("../../../x/section_00_0000.wav")]).unwrap();
    let text = fs::read_to_string(own.join("anomaly_score_fan_section_00_test.csv")).unwrap();
    assert_eq!(text, "section_00_0000.wav,0.5\n");
    assert!(walk(folder.path()).iter().all(|path| path.starts_with(&own)));
}

#[test]
fn machines_are_chosen_not_made() {
    let bench = Bench::with_fan();
    for way in ways_out() {
        let set = format!("data.machines=[{way:?}]");
        let refused = bench.train(&["--set", &set]);
        assert!(matches!(refused.code, Some(3 | 4)), "{}", refused.err);
        let synth = bench.run(&["synth", "made", "--machines", &way]);
        assert!(matches!(synth.code, Some(2..=4)), "{way}: {:?} {}", synth.code, synth.err);
    }
    assert!(!bench.path("runs").exists() && !bench.path("made").exists());
}
