//! A run that is what it says, and what becomes of it when a bit, a number or a file is not.

mod foreign;

use std::collections::BTreeSet;
use std::fs;

use ndarray::Array2;
use serde_json::{Value, json};

use super::*;
use crate::config::{EvalConfig, Experiment, Layout, load_str};
use crate::dataset::{Clip, Domain, LabelledClip};
use crate::official::NormalScores;
use crate::report::NpzWriter;
use crate::score::{FittedScorer, ProbeClip, TrainingFeatures, linear_probe, mahalanobis};
use crate::study::challenge::Challenge;

/// A run that was trained and judged, made by hand: 40 training clips, 2 sections of 12 test clips.
struct Place {
    folder: tempfile::TempDir,
}

fn experiment() -> Experiment {
    load_str("[task.autoencoder]\n", "a.toml").unwrap().experiment
}

fn clips() -> Vec<LabelledClip> {
    let clip = |row: usize| {
        let (section, domain) = (format!("{:02}", row / 12), [Domain::Source, Domain::Target][row % 2]);
        let anomalous = row % 4 > 1;
        let label = if anomalous { "anomaly" } else { "normal" };
        let name = format!("fan/test/section_{section}_{}_test_{label}_{row:04}.wav", domain.token());
        let (machine, domain) = ("fan".to_owned(), Some(domain));
        let clip = Clip { path: name.into(), machine, section, domain, attributes: Vec::new() };
        LabelledClip { clip, anomalous: Some(anomalous) }
    };
    (0..24).map(clip).collect()
}

fn features(rows: usize, salt: usize) -> Array2<f32> {
    Array2::from_shape_fn((rows, 3), |(row, column)| {
        let noise =
            ((row * 7919 + column * 104_729 + salt * 31 + row * row * (column + 3)) % 1000) as f32 / 500.0;
        noise + if salt > 0 && row % 4 > 1 { 0.7 } else { 0.0 }
    })
}

impl Place {
    fn new() -> Self {
        let place = Self { folder: tempfile::tempdir().unwrap() };
        let (run, experiment) = (place.run(), experiment());
        fs::write(run.file(CONFIG), experiment.to_toml()).unwrap();
        fs::write(run.metrics(), "{\"epoch\":1,\"loss\":0.5}\n").unwrap();
        fs::write(run.model(), "weights of some kind").unwrap();
        run.set_status(&Status::Done).unwrap();
        let model = run.hashes([MODEL]).unwrap().remove(MODEL).unwrap();
        let start = json!({ "unix_s": 0, "asdbench": "", "burn": "", "argv": [], "git": null, "device": "" });
        let manifest = json!({
            "schema": 1, "family": "autoencoder", "config": "a-00000000", "config_hash": experiment.training_hash(),
            "data_fingerprint": "d", "machine": "fan", "learnt": ["fan"], "seed": 3, "started": start, "resumed": [],
            "model": model, "artefacts": run.hashes(TRAINED).unwrap(), "clips": 40, "skipped": [],
        });
        run.write_json("manifest.json", &manifest).unwrap();
        place.judge(&model);
        place
    }

    fn judge(&self, model: &str) {
        let (run, clips, settings) = (self.run(), clips(), EvalConfig::default());
        let (train, test) = (features(40, 0), features(24, 1));
        let mut npz = NpzWriter::default();
        npz.matrix("train", train.view());
        npz.matrix("test", test.view());
        fs::write(run.file("features.npz"), npz.finish().unwrap()).unwrap();
        let named: Vec<ProbeClip> = clips
            .iter()
            .map(|one| ProbeClip {
                name: one.clip.file_name().to_owned(),
                section: one.clip.section.clone(),
                anomalous: one.anomalous == Some(true),
            })
            .collect();
        let (training, test) =
            (TrainingFeatures::of_training_clips(train.mapv(f64::from)), test.mapv(f64::from));
        let judged = mahalanobis::evaluate(&training, test.view(), &named, &settings.mahalanobis).unwrap();
        let fitted = judged.fitted.unwrap();
        let (scores, of_training) =
            (fitted.score(test.view()).unwrap(), fitted.score_training(&training).unwrap());
        let probe = linear_probe::evaluate(test.view(), &named, &settings.linear_probe, 3).unwrap();
        let all: Vec<&LabelledClip> = clips.iter().collect();
        let challenge = Challenge::new(
            "fan",
            Layout::Dcase2022,
            &all,
            &scores,
            &NormalScores::of_training_clips(of_training),
        );
        let decisions = challenge.decisions().unwrap();
        let mut text = "clip,section,domain,label,mahalanobis,decision\n".to_owned();
        for (row, one) in clips.iter().enumerate() {
            let label = if one.anomalous == Some(true) { "anomaly" } else { "normal" };
            let domain = one.clip.domain.map_or("", Domain::token);
            let (path, section) = (one.clip.path.display(), &one.clip.section);
            text +=
                &format!("{path},{section},{domain},{label},{},{}\n", scores[row], u8::from(decisions[row]));
        }
        fs::write(run.file("scores.csv"), text).unwrap();
        let evaluation = json!({
            "schema": 1, "path": "autoencoder/a-00000000/fan/seed-3", "family": "autoencoder", "config": "a-00000000",
            "machine": "fan", "seed": 3, "proxy": { "name": "mae", "value": 0.1, "higher_is_better": false },
            "linear_probe": probe, "mahalanobis": judged.result, "official": challenge.metrics(),
            "clips": { "train": 40, "test_normal": 12, "test_anomalous": 12, "test_unlabelled": 0, "skipped": 1 },
            "settings": settings, "model": model, "test_fingerprint": "t", "artefacts": run.hashes(JUDGED).unwrap(),
        });
        run.write_json("eval.json", &evaluation).unwrap();
    }

    fn run(&self) -> RunFolder {
        RunFolder::at(self.folder.path().to_owned())
    }

    fn verify(&self) -> Checked {
        verify(&[self.run()], &Ui::new(true, false)).swap_remove(0)
    }

    /// A JSON file with another content, which is sealed as if it were true.
    fn lie(&self, name: &str, change: impl FnOnce(&mut Value)) {
        let mut value: Value = self.run().read_json(name).unwrap();
        value.as_object_mut().unwrap().shift_remove("checksum");
        change(&mut value);
        self.run().write_json(name, &value).unwrap();
    }
}

fn flip(path: &Path, bit: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[bit / 8] ^= 1 << (bit % 8);
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_run_that_is_what_it_says_is_sound_and_left_alone() {
    let place = Place::new();
    let listing = || -> BTreeSet<_> {
        let entries = fs::read_dir(place.folder.path()).unwrap().flatten();
        entries.map(|entry| (entry.file_name(), entry.metadata().unwrap().modified().unwrap())).collect()
    };
    let before = listing();
    let found = place.verify();
    assert_eq!((found.state, &found.problems, &found.notes), (State::Sound, &vec![], &vec![]), "{found:?}");
    // Manifest, model, configuration, metrics, evaluation, features, scores.
    assert_eq!(found.files, 7);
    // 24 decisions, 2 probes and a detector of 2 sections, the official metrics of each section and their means.
    assert!(found.numbers > 60, "{}", found.numbers);
    assert_eq!((found.machine.as_deref(), found.seed), (Some("fan"), Some(3)));
    assert_eq!(listing(), before, "nothing is written");
}

/// Whatever bit it is: 40 of each file, evenly taken.
#[test]
fn a_flipped_bit_of_any_file_is_found_and_the_file_named() {
    let place = Place::new();
    for name in ["manifest.json", MODEL, CONFIG, "metrics.jsonl", "eval.json", "features.npz", "scores.csv"] {
        let path = place.run().file(name);
        let whole = fs::read(&path).unwrap();
        for n in 0..40 {
            let bit = n * (8 * whole.len() - 1) / 39;
            flip(&path, bit);
            let found = place.verify();
            // In the seal itself, the content is what it was: that is no damage, and it is said.
            let expected = if found.problems.is_empty() { State::Unverifiable } else { State::Damaged };
            assert_eq!(found.state, expected, "{name}, bit {bit}");
            match found.problems.first() {
                Some(problem) => {
                    assert_eq!(problem.file, name, "bit {bit}: {found:?}");
                    assert!(
                        problem.remedy.contains("asdbench") || problem.remedy.contains("remove "),
                        "{problem:?}"
                    );
                }
                None => {
                    let seal = whole.len() - bit / 8 <= 90 && name.ends_with(".json");
                    assert!(seal && found.notes[0].contains("no checksum"), "{name}, bit {bit}: {found:?}");
                }
            }
            fs::write(&path, &whole).unwrap();
        }
        fs::remove_file(&path).unwrap();
        let gone = place.verify();
        match name {
            "eval.json" => assert_eq!(gone.state, State::NotJudged),
            _ => assert_eq!((gone.state, gone.problems[0].file.as_str()), (State::Damaged, name), "{gone:?}"),
        }
        fs::write(&path, &whole).unwrap();
    }
    assert_eq!(place.verify().state, State::Sound);
}

#[test]
fn a_number_that_its_files_do_not_give_is_found_though_every_hash_is_right() {
    let wrong = |change: &dyn Fn(&mut Value)| {
        let place = Place::new();
        place.lie("eval.json", change);
        let found = place.verify();
        assert_eq!(found.state, State::Damaged, "{found:?}");
        assert!(found.problems.iter().all(|problem| problem.remedy.contains("asdbench eval")), "{found:?}");
        found.problems.iter().map(|problem| format!("{}: {}", problem.file, problem.why)).collect::<Vec<_>>()
    };
    let last_digit = |value: &mut Value| {
        let number = value.as_f64().unwrap();
        *value = f64::from_bits(number.to_bits() ^ 1).into();
    };
    for key in [
        "/mahalanobis/auc",
        "/mahalanobis/condition",
        "/official/omega",
        "/official/threshold/value",
        "/official/sections/01/pauc",
        "/linear_probe/in_domain/auc",
        "/linear_probe/out_domain/sections/00",
    ] {
        let found = wrong(&|document| last_digit(document.pointer_mut(key).unwrap()));
        let named = format!("eval.json: {} is ", key[1..].replace('/', "."));
        assert!(found.len() == 1 && found[0].starts_with(&named), "{key}: {found:?}");
    }
    let clips = wrong(&|document| document["clips"]["test_normal"] = 13.into());
    assert_eq!(clips, ["eval.json: clips.test_normal is 13, and by its files 12"]);
    let other = wrong(&|document| document["model"] = "another".into());
    assert!(other[0].contains("other weights"), "{other:?}");
    let whose = wrong(&|document| document["machine"] = "valve".into());
    assert!(whose[0].contains("that of another run"), "{whose:?}");
}

#[test]
fn scores_that_features_do_not_give_are_found() {
    // The hashes are those of the changed file, as if it had been written so.
    let changed = |change: &dyn Fn(&str) -> String| {
        let place = Place::new();
        let path = place.run().file("scores.csv");
        let text = fs::read_to_string(&path).unwrap();
        let other = change(&text);
        assert_ne!(other, text);
        fs::write(&path, other).unwrap();
        let hashes = place.run().hashes(JUDGED).unwrap();
        place.lie("eval.json", |document| document["artefacts"] = json!(hashes));
        place.verify()
    };
    let distance_times = |factor: f64| {
        move |text: &str| {
            let line = text.lines().nth(1).unwrap();
            let value: f64 = line.split(',').nth(4).unwrap().parse().unwrap();
            text.replacen(&format!(",{value},"), &format!(",{},", value * factor), 1)
        }
    };
    let without_last = |text: &str| text.trim_end().rsplit_once('\n').unwrap().0.to_owned();
    for (change, word) in [
        (&distance_times(1.001) as &dyn Fn(&str) -> String, "its distances are not those of features.npz"),
        (&|text| text.replacen(",1\n", ",0\n", 1), "1 of its 24 decisions"),
        (&|text| text.replacen(",0\n", ",1\n", 1), "1 of its 24 decisions"),
        (&without_last, "it has 23 rows, and features.npz has 24 test clips"),
        (&|text| text.replacen("source", "sourc", 2), "no value of `domain`"),
    ] {
        let found = changed(change);
        assert_eq!((found.state, found.problems.len()), (State::Damaged, 1), "{word}: {found:?}");
        let problem = &found.problems[0];
        assert!(problem.file == "scores.csv" && problem.why.contains(word), "{word}: {problem:?}");
    }
    // As another processor might have summed it: what rests on it is compared to within rounding, and that is said.
    let rounded = changed(&distance_times(1.0 + 1e-12));
    assert_eq!((rounded.state, rounded.problems.len()), (State::Sound, 0), "{rounded:?}");
    assert!(rounded.notes[0].contains("another processor"), "{rounded:?}");
}

#[test]
fn a_run_of_before_there_were_hashes_is_read_derived_and_called_unverifiable() {
    let place = Place::new();
    for name in ["manifest.json", "eval.json"] {
        let mut value: Value = place.run().read_json(name).unwrap();
        let object = value.as_object_mut().unwrap();
        object.retain(|key, _| key != "artefacts" && key != "checksum");
        fs::write(place.run().file(name), value.to_string()).unwrap();
    }
    let found = place.verify();
    assert_eq!((found.state, &found.problems), (State::Unverifiable, &vec![]), "{found:?}");
    // The weights' hash has always been there.
    assert!(found.files == 1 && found.numbers > 60, "{found:?}");
    for file in ["manifest.json", "config.toml", "metrics.jsonl", "eval.json", "features.npz", "scores.csv"] {
        assert!(found.notes.iter().any(|note| note.starts_with(file)), "{file}: {:?}", found.notes);
    }
}

#[test]
fn where_a_run_stands_is_no_damage() {
    let place = Place::new();
    for (status, word) in [
        (Status::Running, "running"),
        (Status::Interrupted, "interrupted"),
        (Status::Failed("no disk".into()), "no disk"),
    ] {
        place.run().set_status(&status).unwrap();
        let found = place.verify();
        assert!(found.state == State::Unfinished && found.notes[0].contains(word), "{found:?}");
    }
    // One that nobody wrote is damage; what is beside it is looked at all the same.
    fs::write(place.run().file("status"), "donf\n").unwrap();
    let found = place.verify();
    assert_eq!((found.state, found.problems.len(), found.files), (State::Damaged, 1, 7), "{found:?}");
    let problem = &found.problems[0];
    assert!(problem.file == "status" && problem.remedy.contains("trains it again"), "{problem:?}");
    place.run().set_status(&Status::Running).unwrap();
    fs::remove_file(place.run().file("manifest.json")).unwrap();
    assert_eq!(place.verify().state, State::Unfinished);
    place.run().set_status(&Status::Done).unwrap();
    let gone = place.verify();
    assert_eq!((gone.state, gone.problems[0].why.as_str()), (State::Damaged, "it is gone"));
    assert_eq!((gone.family, gone.seed), (None, None));
    // It is found though nothing names it a run any more.
    let traces = RunFolder::find_traces(place.folder.path()).unwrap();
    assert_eq!(traces, [place.run()]);
}
