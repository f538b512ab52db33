//! What must hold of any bytes, wherever this program reads them: it ends, takes no more memory than their size explains, never
//! panics, and what it accepts has the properties that the rest of the program builds on.
//!
//! One list for the fuzzer (`fuzz/fuzz_targets`) and for the tests (`tests/suite/hostile`), which mutate the files of
//! `fuzz/seeds` and those of `tests/fixtures/found`.

use std::fs;
use std::io::Cursor;
use std::path::{Component, Path};

use asdbench::audio::{self, ChannelChoice, WavFile};
use asdbench::config::{self, DataConfig};
use asdbench::nn::import::{Checkpoint, write_safetensors};
use asdbench::report::npz_matrix;
use asdbench::run::RunFolder;
use asdbench::train::read_epochs;
use asdbench::{dataset, npy, official};

/// Something that reads bytes; the folder is its own, and emptied by it.
pub type Target = fn(&Path, &[u8]);

/// Every target with its name, that of its folder of seeds.
pub const TARGETS: [(&str, Target); 10] = [
    ("wav", wav),
    ("names", names),
    ("config", config_text),
    ("study", study),
    ("scores", scores),
    ("tables", tables),
    ("npz", npz),
    ("checkpoint", checkpoint),
    ("metrics", metrics),
    ("manifest", manifest),
];

/// A recording: the header, every channel, a part of it, and resampled.
fn wav(folder: &Path, bytes: &[u8]) {
    let path = folder.join("clip.wav");
    fs::write(&path, bytes).expect("the folder takes a file");
    let probed = audio::probe(&path);
    for channel in [
        ChannelChoice::First,
        ChannelChoice::Left,
        ChannelChoice::Right,
        ChannelChoice::Mean,
        ChannelChoice::Difference,
    ] {
        let read = audio::read_wav(&path, channel);
        if let Err(error) = &read {
            assert!(error.to_string().contains("clip.wav"), "{error}");
        }
        let (Ok(wave), Ok(info)) = (read, &probed) else { continue };
        assert_eq!(wave.samples.len(), info.samples);
        assert!(wave.samples.iter().all(|sample| sample.is_finite()) || channel == ChannelChoice::Difference);
        assert!(info.samples > 0 && info.samples <= bytes.len(), "{info:?}");
    }
    if let Ok(file) = WavFile::open(&path) {
        let count = file.info().samples.min(7);
        let _ = file.read(file.info().samples - count, count, ChannelChoice::First);
        assert!(file.read(file.info().samples, 1, ChannelChoice::First).is_err());
        assert!(file.read(1, usize::MAX, ChannelChoice::First).is_err());
    }
    if let Ok(samples) = audio::read_at_rate(&path, ChannelChoice::First, 16_000) {
        assert!(samples.len() <= 48 * bytes.len());
    }
}

/// Names of files, one a line: an index of a data set that has these.
#[cfg(unix)]
fn names(folder: &Path, bytes: &[u8]) {
    use std::os::unix::ffi::OsStrExt;
    let root = fresh(folder, "data");
    for line in bytes.split(|byte| *byte == b'\n').take(8) {
        let path = Path::new(std::ffi::OsStr::from_bytes(line));
        let inside = path.components().all(|part| matches!(part, Component::Normal(_)));
        if !inside || line.is_empty() || line.len() > 400 {
            continue;
        }
        let path = root.join(path);
        let above = path.parent().is_some_and(|above| fs::create_dir_all(above).is_ok());
        if above && !path.exists() {
            // A name that the file system refuses is not seen by the program either.
            let _ = fs::write(path, "");
        }
    }
    sound_index(&root);
}

/// Names that other systems allow are a part of those that Unix allows.
#[cfg(not(unix))]
fn names(_: &Path, _: &[u8]) {}

/// Tables beside clips: attributes, and behind a zero byte ground truth.
fn tables(folder: &Path, bytes: &[u8]) {
    let root = fresh(folder, "data");
    for clip in [
        "train/section_00_source_train_normal_0000.wav",
        "test/section_00_source_test_normal_0000.wav",
        "test/section_00_0001.wav",
        "test/section_00_0002.wav",
    ] {
        let path = root.join("fan").join(clip);
        fs::create_dir_all(path.parent().expect("a folder above")).expect("a folder");
        fs::write(path, "").expect("a file");
    }
    let mut parts = bytes.splitn(2, |byte| *byte == 0);
    fs::write(root.join("fan/attributes_00.csv"), parts.next().unwrap_or_default()).expect("a file");
    let truth = root.join("ground_truth_data");
    fs::create_dir_all(&truth).expect("a folder");
    fs::write(truth.join("ground_truth_fan_section_00_test.csv"), parts.next().unwrap_or_default())
        .expect("a file");
    sound_index(&root);
}

fn sound_index(root: &Path) {
    let config = DataConfig { root: Some(root.to_owned()), ..DataConfig::default() };
    let Ok(index) = dataset::index(&config) else { return };
    for entry in index.clips() {
        let clip = &entry.clip;
        let inside = clip.path.components().all(|part| matches!(part, Component::Normal(_)));
        assert!(inside && root.join(&clip.path).is_file(), "{}", clip.path.display());
        assert!(is_single(&clip.machine), "{:?}", clip.machine);
        assert!(clip.section.bytes().all(|byte| byte.is_ascii_digit()), "{:?}", clip.section);
    }
    for machine in index.machines() {
        if let Ok(training) = index.training(machine) {
            let normal = |path: &Path| {
                index.clips().iter().any(|entry| entry.clip.path == path && entry.anomalous == Some(false))
            };
            assert!(training.clips().iter().all(|clip| normal(&clip.path)), "{machine}");
        }
    }
}

/// A configuration: whatever is wrong is said without a character that acts; what is right is written and read back.
fn config_text(_: &Path, bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match config::load_str(text, "a.toml") {
        Ok(resolved) => {
            let written = resolved.experiment.to_toml();
            let again = config::load_str(&written, "b.toml").map(|again| again.experiment);
            assert_eq!(again.expect("what was written loads"), resolved.experiment, "{written}");
            assert!(is_single(&RunFolder::config_name(&resolved.experiment)));
        }
        Err(error) => shown(&error.render(false)),
    }
}

/// A study's file beside a configuration that it may name.
fn study(folder: &Path, bytes: &[u8]) {
    fs::write(folder.join("ae.toml"), "[task.autoencoder]\n").expect("a file");
    let path = folder.join("study.toml");
    fs::write(&path, bytes).expect("a file");
    let _ = config::is_study(&path);
    match config::load_study(&path, &[]) {
        Ok(study) => assert!(is_single(&study.name), "{:?}", study.name),
        Err(error) => shown(&error.render(false)),
    }
}

fn shown(message: &str) {
    assert!(!message.trim().is_empty());
    let acts = |character: char| character.is_control() && !matches!(character, '\n' | '\t');
    assert!(!message.contains(acts), "{message:?}");
}

/// Files of the challenge, divided by zero bytes: scores, decisions, a list of evaluation clips, ground truth.
fn scores(folder: &Path, bytes: &[u8]) {
    let (own, truth) = (fresh(folder, "scores"), fresh(folder, "truth"));
    let mut parts = bytes.splitn(4, |byte| *byte == 0);
    let mut part = |path: std::path::PathBuf| match parts.next() {
        Some([]) | None => false,
        Some(part) => fs::write(path, part).is_ok(),
    };
    part(own.join("anomaly_score_fan_section_00_test.csv"));
    part(own.join("decision_result_fan_section_00_test.csv"));
    let listed = part(truth.join("eval_data_list.csv"));
    let labelled = part(truth.join("ground_truth_fan_section_00_test.csv"));
    let Ok(submission) = official::read(&own, (listed || labelled).then_some(&*truth), None) else { return };
    for row in
        submission.machines.iter().flat_map(|machine| &machine.sections).flat_map(|section| &section.rows)
    {
        assert!(row.score.is_finite(), "{row:?}");
    }
    let report = official::evaluate(&submission);
    let unit = |value: f64| (0.0..=1.0).contains(&value);
    assert!(report.official_score.is_none_or(unit), "{report:?}");
    for section in report.machines.iter().flat_map(|machine| &machine.sections) {
        for (measure, value) in section.metrics.iter() {
            assert!(
                value.is_ok_and(unit) || value.is_err_and(|why| !why.is_empty()),
                "{measure:?}: {value:?}"
            );
        }
    }
}

/// Arrays of NumPy.
fn npz(_: &Path, bytes: &[u8]) {
    for matrix in [npz_matrix(Cursor::new(bytes), "test").ok(), npy::matrix(bytes).ok()].into_iter().flatten()
    {
        assert!(4 * matrix.len() <= bytes.len(), "{:?}", matrix.dim());
    }
}

/// `.pt` in both forms, pickles and safetensors: everything in them is read out, and written.
fn checkpoint(_: &Path, bytes: &[u8]) {
    let Ok(checkpoint) = Checkpoint::from_bytes(bytes.to_vec()) else { return };
    let json = checkpoint.root().to_json().to_string();
    assert!(serde_json::from_str::<serde_json::Value>(&json).is_ok(), "{json}");
    for path in [&[][..], &["model"]] {
        let Ok(tensors) = checkpoint.tensors(path) else { continue };
        for (_, tensor) in tensors.iter() {
            if let Ok(values) = tensor.to_f32() {
                assert_eq!(values.len(), tensor.len());
            }
            let _ = tensor.as_i64();
        }
        let list: Vec<_> = tensors.iter().map(|(name, tensor)| (name.to_owned(), tensor)).collect();
        let mut written = Vec::new();
        if write_safetensors(&list, &std::collections::BTreeMap::new(), &mut written).is_ok() {
            let back = Checkpoint::from_bytes(written).expect("what was written is sound");
            assert_eq!(back.tensors(&[]).map(|back| back.len()).ok(), Some(list.len()));
        }
    }
}

/// The epochs of a training, the last of them torn.
fn metrics(folder: &Path, bytes: &[u8]) {
    let path = folder.join("metrics.jsonl");
    fs::write(&path, bytes).expect("a file");
    let whole = read_epochs(&path).expect("any bytes have epochs, or none");
    assert!(whole.iter().all(|line| line.loss.is_finite()));
    let ends = bytes.iter().filter(|byte| **byte == b'\n').count();
    assert!(whole.len() <= ends, "a torn line is no epoch");
}

/// A run's manifest and status.
fn manifest(folder: &Path, bytes: &[u8]) {
    for name in ["manifest.json", "status"] {
        fs::write(folder.join(name), bytes).expect("a file");
    }
    let run = RunFolder::at(folder.to_owned());
    let _ = run.status();
    if let Ok(Some(manifest)) = run.manifest() {
        let names = [&manifest.family, &manifest.config, &manifest.machine];
        assert!(names.into_iter().chain(&manifest.learnt).all(|name| is_single(name)), "{manifest:?}");
    }
}

/// Whether a name stays below the folder that it is joined to.
fn is_single(name: &str) -> bool {
    let mut parts = Path::new(name).components();
    matches!(parts.next(), Some(Component::Normal(part)) if part == name) && parts.next().is_none()
}

fn fresh(folder: &Path, name: &str) -> std::path::PathBuf {
    let path = folder.join(name);
    let _ = fs::remove_dir_all(&path);
    fs::create_dir_all(&path).expect("a folder");
    path
}
