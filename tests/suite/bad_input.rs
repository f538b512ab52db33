//! Each bad input gives one clear error with its exit code, and leaves nothing half-written.

use std::fs;
use std::path::Path;

use asdbench::audio::{SampleFormat, write_wav};

use crate::program::{Bench, first_clip};

/// Training refuses the data: code 4, an error with all of `words`, no run.
fn refuses(bench: &Bench, words: &[&str]) {
    bench.train(&[]).refused(4, words);
    assert!(!bench.path("runs/autoencoder").exists(), "a refused training leaves no run");
}

/// A fan whose first training clip was replaced.
fn with_bad_clip(replace: impl FnOnce(&Path)) -> (Bench, String) {
    let bench = Bench::with_fan();
    let clip = first_clip(&bench.path("data/fan/train"));
    replace(&clip);
    let name = clip.file_name().unwrap().to_str().unwrap().to_owned();
    (bench, name)
}

#[test]
fn a_missing_folder() {
    let bench = Bench::empty();
    refuses(&bench, &["data folder data does not exist", "data.root"]);
    bench.run(&["data", "nowhere"]).refused(4, &["nowhere", "does not exist"]);
    bench.run(&["eval", "nowhere"]).refused(4, &["no run below nowhere"]);
}

#[test]
fn an_empty_folder() {
    let bench = Bench::empty();
    fs::create_dir(bench.path("data")).unwrap();
    refuses(&bench, &["data folder data is empty"]);
}

#[test]
fn no_data_root() {
    let bench = Bench::empty();
    let config = crate::program::shipped("ae.toml");
    bench.run(&["train", config.to_str().unwrap()]).refused(3, &["--set data.root=DIR"]);
}

#[test]
fn a_text_file_named_wav() {
    let (bench, name) = with_bad_clip(|clip| fs::write(clip, "hello").unwrap());
    refuses(&bench, &[&name, "not a WAV file"]);
}

#[test]
fn a_truncated_wav() {
    let (bench, name) = with_bad_clip(|clip| {
        let bytes = fs::read(clip).unwrap();
        fs::write(clip, &bytes[..bytes.len() / 2]).unwrap();
    });
    refuses(&bench, &[&name, "truncated"]);
}

#[test]
fn a_wav_without_samples() {
    let (bench, name) = with_bad_clip(|clip| {
        let header = fs::read(clip).unwrap()[..44].to_vec();
        let (mut empty, zero) = (header, 0_u32.to_le_bytes());
        empty[40..44].copy_from_slice(&zero);
        empty[4..8].copy_from_slice(&36_u32.to_le_bytes());
        fs::write(clip, empty).unwrap();
    });
    refuses(&bench, &[&name, "zero samples"]);
}

#[test]
fn a_sample_that_is_not_a_number() {
    let (bench, name) = with_bad_clip(|clip| {
        let mut samples = vec![0.1_f32; 9_600];
        samples[77] = f32::NAN;
        // The writer would refuse: patch the bytes.
        write_wav(clip, &vec![0.1; 9_600], 16_000, SampleFormat::Float32).unwrap();
        let mut bytes = fs::read(clip).unwrap();
        let at = bytes.len() - 4 * 9_600 + 4 * 77;
        bytes[at..at + 4].copy_from_slice(&f32::NAN.to_le_bytes());
        fs::write(clip, bytes).unwrap();
    });
    refuses(&bench, &[&name, "sample 77 is NaN"]);
}

#[test]
fn a_clip_shorter_than_one_window() {
    let (bench, name) =
        with_bad_clip(|clip| write_wav(clip, &[0.1; 1_600], 16_000, SampleFormat::Pcm16).unwrap());
    refuses(&bench, &[&name, "has 1600 samples", "window of 5 frames", "data.on_bad_clip"]);
}

#[test]
fn mixed_sample_rates_are_shown_and_resampled() {
    let (bench, _) =
        with_bad_clip(|clip| write_wav(clip, &[0.1; 48_000], 48_000, SampleFormat::Pcm16).unwrap());
    let audit = bench.run(&["data", "data"]).fine();
    assert!(audit.out.contains("16000 (41), 48000 (1)"), "{}", audit.out);
    bench.train(&[]).fine();
}

#[test]
fn a_machine_without_train_or_test_clips() {
    let bench = Bench::with_fan();
    fs::rename(bench.path("data/fan/train"), bench.path("train")).unwrap();
    refuses(&bench, &["machine `fan`", "no normal train clip"]);
    fs::rename(bench.path("train"), bench.path("data/fan/train")).unwrap();
    bench.train(&[]).fine();
    fs::remove_dir_all(bench.path("data/fan/test")).unwrap();
    bench.eval(&["runs"]).refused(4, &["machine `fan`", "no test clip"]);
}

#[test]
fn a_test_set_of_one_class() {
    let bench = Bench::with_fan();
    for entry in fs::read_dir(bench.path("data/fan/test")).unwrap() {
        let path = entry.unwrap().path();
        if path.to_str().unwrap().contains("_anomaly_") {
            fs::remove_file(path).unwrap();
        }
    }
    bench.train(&[]).fine();
    bench.eval(&["runs"]).refused(4, &["all 12 labelled test clips of machine `fan`", "are normal"]);
    let audit = bench.run(&["data", "data"]).fine();
    assert!(audit.out.contains("problems"), "{}", audit.out);
}

#[cfg(unix)]
#[test]
fn a_clip_that_cannot_be_reached() {
    let bench = Bench::with_fan();
    let clip = bench.path("data/fan/train/section_00_source_train_normal_0099.wav");
    std::os::unix::fs::symlink("nowhere.wav", clip).unwrap();
    refuses(&bench, &["section_00_source_train_normal_0099.wav", "data.on_bad_clip"]);
    let trained = bench.train(&["--set", "data.on_bad_clip=skip"]).fine();
    assert!(
        trained.err.contains("warning: fan/train/section_00_source_train_normal_0099.wav"),
        "{}",
        trained.err
    );
}

#[test]
fn a_name_that_fits_nothing_is_said() {
    let bench = Bench::with_fan();
    let train = bench.path("data/fan/train");
    fs::copy(first_clip(&train), train.join("my recording.wav")).unwrap();
    let trained = bench.train(&[]).fine();
    assert!(trained.err.contains("my recording.wav"), "{}", trained.err);
    bench.run(&["data", "data"]).fine();
    bench.run(&["data", "data", "--strict"]).refused(4, &["problem"]);
}

#[test]
fn a_failed_training_says_why_wherever_it_is_asked() {
    let bench = Bench::with_fan();
    let failed = bench.train(&["--set", "train.optimizer.lr=1e30"]);
    failed.refused(3, &["the training loss became", "train.optimizer.lr (now 1e30)"]);
    let run = &failed.json()["runs"][0];
    assert!(run["status"] == "failed" && run["loss"].is_null() && run["why"].is_string(), "{run}");
    bench.eval(&["runs"]).refused(4, &["it failed: the training loss became"]);
}

#[test]
fn a_run_named_twice_is_judged_once() {
    let bench = Bench::with_fan();
    bench.train(&[]).fine();
    let judged = bench.eval(&["runs", "./runs/autoencoder", "runs"]).fine().json();
    assert_eq!(judged["runs"].as_array().unwrap().len(), 1);
}

#[test]
fn wrong_settings() {
    let bench = Bench::with_fan();
    bench.train(&["--set", "train.epoch=3"]).refused(3, &["train.epoch", "train.epochs"]);
    bench.train(&["--set", "train.epochs=many"]).refused(3, &["train.epochs=many"]);
    bench.train(&["--set", "train.epochs=0"]).refused(3, &["train.epochs", "1"]);
    bench.run(&["devices", "--device", "cuda"]).refused(2, &["gpu:N"]);
    bench.run(&["train", "none.toml"]).refused(3, &["none.toml"]);
    bench.run(&["trian"]).refused(2, &["train"]);
}

#[test]
fn eval_does_not_change_what_was_trained() {
    let bench = Bench::with_fan();
    bench.train(&[]).fine();
    bench
        .eval(&["runs", "--set", "train.epochs=4"])
        .refused(3, &["--set may change eval.*, data.root and data.interference"]);
    let swapped = bench.eval(&["runs", "--set", "eval.linear_probe.swap=true"]).fine().json();
    assert_eq!(swapped["runs"][0]["settings"]["linear_probe"]["swap"], true);

    // One mistake of the command line, and not one of each run.
    bench.train(&["--set", "train.seeds=[1, 2]"]).fine();
    for (set, word) in [
        ("train.epochs=4", "--set may change"),
        ("eval.linear_probe.swop=true", "swop"),
        ("train.batch_size=0", "batch_size"),
    ] {
        let answer = bench.eval(&["runs", "--set", set]);
        answer.refused(3, &[word]);
        assert!(!answer.err.contains(" failed: ") && answer.out.is_empty(), "{set}: {}", answer.err);
    }
    // A run with a configuration that cannot be read is that run's own mistake.
    let runs = crate::pipeline::walk(&bench.path("runs"));
    std::fs::write(runs.iter().find(|path| path.ends_with("config.toml")).unwrap(), "=").unwrap();
    let answer = bench.eval(&["runs", "--set", "eval.linear_probe.swap=true"]);
    answer.refused(6, &["1 of 3 runs failed"]);
    assert_eq!(answer.json()["runs"].as_array().unwrap().len(), 2);
}

#[cfg(unix)]
#[test]
fn an_unwritable_runs_folder() {
    use std::os::unix::fs::PermissionsExt;
    let bench = Bench::with_fan();
    let runs = bench.path("runs");
    fs::create_dir(&runs).unwrap();
    fs::set_permissions(&runs, fs::Permissions::from_mode(0o555)).unwrap();
    let writable = fs::write(runs.join("probe"), "").is_ok();
    if writable {
        // Root may write anywhere but into a file.
        fs::remove_file(runs.join("probe")).unwrap();
        fs::remove_dir(&runs).unwrap();
        fs::write(&runs, "a file").unwrap();
    }
    bench.train(&[]).refused(1, &["runs"]);
}

#[test]
fn another_configuration_or_other_data_under_the_same_name() {
    let bench = Bench::with_fan();
    let path = bench.train(&[]).fine().json()["runs"][0]["path"].as_str().unwrap().to_owned();
    let manifest = bench.path(&path).join("manifest.json");
    let text = fs::read_to_string(&manifest).unwrap();
    let mut changed: serde_json::Value = serde_json::from_str(&text).unwrap();
    changed["config_hash"] = "0123456789".into();
    fs::write(&manifest, changed.to_string()).unwrap();
    bench.train(&[]).refused(4, &[&path, "another configuration", "--runs"]);
    fs::write(&manifest, "{ torn").unwrap();
    bench.train(&[]).refused(4, &["manifest.json is damaged"]);
    fs::write(&manifest, text).unwrap();

    // A changed clip: the run is of other data now, for training and for judging.
    let clip = first_clip(&bench.path("data/fan/train"));
    write_wav(&clip, &[0.2; 9_600], 16_000, SampleFormat::Pcm16).unwrap();
    bench.train(&[]).refused(4, &["another data set"]);
    bench.eval(&["runs"]).refused(4, &["another data set"]);
}

#[test]
fn a_damaged_model_or_cache() {
    let bench = Bench::with_fan();
    let path = bench.train(&[]).fine().json()["runs"][0]["path"].as_str().unwrap().to_owned();
    let before = bench.eval(&["runs"]).fine().json();
    // A flipped bit in the cache is found, said and mended.
    let cache = bench.path("runs/.cache/logmels");
    for entry in fs::read_dir(&cache).unwrap() {
        let file = entry.unwrap().path();
        if file.extension().is_some_and(|e| e == "npy") {
            let mut bytes = fs::read(&file).unwrap();
            let last = bytes.len() - 1;
            bytes[last] ^= 1;
            fs::write(&file, bytes).unwrap();
        }
    }
    let mended = bench.eval(&["runs"]).fine();
    assert!(mended.err.contains("made again"), "{}", mended.err);
    assert_eq!(mended.json(), before);

    let model = bench.path(&path).join("model.safetensors");
    let bytes = fs::read(&model).unwrap();
    fs::write(&model, &bytes[..bytes.len() - 9]).unwrap();
    bench.eval(&["runs"]).refused(4, &["model.safetensors", "damaged"]);
}

/// `/dev/full` takes no byte: the nearest thing to a full disk that needs no rights.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_behind_standard_output() {
    let bench = Bench::with_fan();
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = bench.command(&["data", "data"]).stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("standard output"));
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let bench = Bench::with_fan();
    let mut child = bench.command(&["data", "data"]).stdout(std::process::Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
