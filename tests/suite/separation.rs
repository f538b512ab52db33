//! Source separation, as a user trains, judges and hears it.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use asdbench::audio::{ChannelChoice, SampleFormat, mix, read_wav, write_wav};
use asdbench::metric::{SiSdr, si_sdr};
use serde_json::Value;

use crate::killing::kill;
use crate::pipeline::{artefacts, assert_same, assert_same_models, walk};
use crate::program::{Answer, Bench, first_clip, shipped};

/// The size of a test: mixtures of 0.4 s, frames of 4 ms.
const SIZE: [&str; 7] = [
    "task.separation.channels=4",
    "task.separation.n_fft=64",
    "task.separation.hop_samples=64",
    "task.separation.segment_s=0.4",
    "train.epochs=3",
    "train.batch_size=4",
    "eval.separation.mixtures=5",
];
/// The clips of [`machines`].
const CLIP_S: f64 = 0.9;
/// As the default configuration measures.
const PLAIN: SiSdr = SiSdr { zero_mean: false, epsilon: 0.0 };

fn machines(names: &str) -> Bench {
    let bench = Bench::empty();
    let sizes = ["--duration-s", "0.9", "--train-per-section", "4", "--test-per-section", "4"];
    bench.run(&[&["synth", "data", "--machines", names, "-q"], &sizes[..]].concat()).fine();
    bench
}

/// `asdbench train` of machine `fan`, not yet started.
fn command(bench: &Bench, sets: &[&str], options: &[&str]) -> Command {
    let path = shipped("micro/separation.toml");
    let mut command =
        bench.command(&["train", path.to_str().unwrap(), "--device", "cpu", "--format", "json"]);
    for set in ["data.root=data", "data.machines=[\"fan\"]"].iter().chain(&SIZE).chain(sets) {
        command.args(["--set", set]);
    }
    command.args(options);
    command
}

fn train(bench: &Bench, sets: &[&str], options: &[&str]) -> Answer {
    let output = command(bench, sets, options).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Answer { out: text(output.stdout), err: text(output.stderr), code: output.status.code() }
}

/// Trained and judged; the run's folder and its evaluation.
fn judged(bench: &Bench, sets: &[&str], runs: &str) -> (PathBuf, Value) {
    train(bench, sets, &["--runs", runs]).fine();
    let all = bench.eval(&[runs]).fine().json();
    assert_eq!(all["runs"].as_array().map(Vec::len), Some(1), "{all}");
    (run_folder(&bench.path(runs)), all["runs"][0].clone())
}

fn run_folder(runs: &Path) -> PathBuf {
    let manifest = walk(runs).into_iter().find(|path| path.ends_with("manifest.json")).expect("a run");
    manifest.parent().unwrap().to_owned()
}

fn wave(path: &Path) -> Vec<f32> {
    read_wav(path, ChannelChoice::First).unwrap().samples
}

fn exact(wave: &[f32]) -> Vec<f64> {
    wave.iter().copied().map(f64::from).collect()
}

fn proxies(judged: &Value) -> Vec<Value> {
    let others = judged["other_proxies"].as_array().expect("other proxies");
    std::iter::once(&judged["proxy"]).chain(others).cloned().collect()
}

type Row = HashMap<String, String>;

/// Rows of a run's `mixtures.csv` by column name.
fn mixtures(run: &Path) -> Vec<Row> {
    let mut reader = csv::Reader::from_path(run.join("mixtures.csv")).unwrap();
    reader.deserialize().map(Result::unwrap).collect()
}

#[test]
fn each_setting_goes_the_whole_way_and_twice_the_same() {
    let bench = machines("fan,valve");
    let kinds: [(&str, &[&str], usize); 3] = [
        // 2 segments × 1 point × 4 channels.
        ("plain", &[], 8),
        // 2 points × 4 channels × 2 segments, and each loss and pool of its own.
        ("blocks", &["task.separation.blocks=1", "train.checkpoint_blocks=true"], 16),
        // 17 of 33 bins after the encoder.
        ("spectral", &["task.separation.loss=\"spectral\"", "task.separation.pool=\"channel\""], 17),
    ];
    for (name, sets, dim) in kinds {
        let (a, evaluation) = judged(&bench, sets, &format!("{name}/a"));
        let (b, _) = judged(&bench, sets, &format!("{name}/b"));
        let of = |runs: &str| artefacts(&bench.path(name).join(runs));
        assert_same(&of("a"), &of("b"), &format!("between two runs of {name}"));
        assert_eq!(fs::read(a.join("mixtures.csv")).unwrap(), fs::read(b.join("mixtures.csv")).unwrap());
        assert_eq!(evaluation["family"], "separation");
        let mut npz = ndarray_npy::NpzReader::new(fs::File::open(a.join("features.npz")).unwrap()).unwrap();
        let features: ndarray::Array2<f32> = npz.by_name("train").unwrap();
        assert_eq!(features.dim(), (12, dim), "{name}");
        for line in fs::read_to_string(a.join("metrics.jsonl")).unwrap().lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            assert!(line["signals"]["si_sdr_improvement_db"].is_f64(), "{line}");
        }
    }
}

#[test]
fn the_proxies_are_those_of_the_table_and_of_the_same_mixtures_for_every_network() {
    let bench = machines("fan,valve");
    let (run, evaluation) = judged(&bench, &[], "runs");
    let rows = mixtures(&run);
    assert_eq!(rows.len(), 3 * 5);
    let number =
        |row: &Row, column: &str| -> f64 { row[column].parse().unwrap_or_else(|e| panic!("{column}: {e}")) };
    let found = proxies(&evaluation);
    let names: Vec<&str> = found.iter().map(|proxy| proxy["name"].as_str().unwrap()).collect();
    let levels = [-5.0, 0.0, 5.0];
    assert_eq!(
        names,
        [
            "si_sdr_improvement_db",
            "si_sdr_improvement_db_at_-5db",
            "si_sdr_improvement_db_at_0db",
            "si_sdr_improvement_db_at_5db"
        ]
    );
    for (proxy, level) in found.iter().zip([None].into_iter().chain(levels.map(Some))) {
        let own = rows.iter().filter(|row| level.is_none_or(|level| number(row, "snr_db") == level));
        let improvements: Vec<f64> =
            own.map(|row| number(row, "estimate_si_sdr_db") - number(row, "mixture_si_sdr_db")).collect();
        let mean = improvements.iter().sum::<f64>() / improvements.len() as f64;
        let value = proxy["value"].as_f64().unwrap_or_else(|| panic!("{proxy}"));
        // The table has all digits; both are sums of fifteen numbers.
        assert!((value - mean).abs() < 1e-9, "{proxy} {mean}");
        assert_eq!(proxy["higher_is_better"], true);
        let [low, high] = [0, 1].map(|end| proxy["interval"][end].as_f64().expect("an interval"));
        assert!(low <= high && (level.is_some() || (low..=high).contains(&value)), "{proxy}");
    }
    for row in &rows {
        assert!(row["target"].starts_with("fan/test/") && row["target"].contains("_normal_"), "{row:?}");
        assert!(row["interference"].starts_with("valve/test/"), "{row:?}");
        assert!((0.0..=CLIP_S - 0.4).contains(&number(row, "target_start_s")), "{row:?}");
        // The mixture again, from the clips.
        let crop = |path: &str, start: &str| {
            let first = (number(row, start) * 16_000.0).round() as usize;
            wave(&bench.path("data").join(&row[path]))[first..first + 6_400].to_vec()
        };
        let target = crop("target", "target_start_s");
        let interference = crop("interference", "interference_start_s");
        let gain = number(row, "gain");
        let energy = |wave: &[f64]| wave.iter().map(|sample| sample * sample).sum::<f64>();
        let scaled: Vec<f64> = exact(&interference).iter().map(|sample| gain * sample).collect();
        let snr_db = 10.0 * (energy(&exact(&target)) / energy(&scaled)).log10();
        // Sums of 6,400 squares in f64.
        assert!((snr_db - number(row, "snr_db")).abs() < 1e-9, "{snr_db} {row:?}");
        let mixture = exact(&mix(&target, &interference, gain));
        let before = si_sdr(&mixture, &exact(&target), PLAIN).unwrap();
        assert!((before - number(row, "mixture_si_sdr_db")).abs() < 1e-9, "{before} {row:?}");
    }

    // Another network, another seed: the same mixtures.
    let (other, _) = judged(&bench, &["train.seeds=[3]", "task.separation.blocks=1"], "others");
    let drawn = |rows: &[Row]| -> Vec<String> {
        let columns = [
            "snr_db",
            "target",
            "target_start_s",
            "interference",
            "interference_start_s",
            "gain",
            "mixture_si_sdr_db",
        ];
        rows.iter().map(|row| columns.map(|column| row[column].as_str()).join(",")).collect()
    };
    assert_eq!(drawn(&rows), drawn(&mixtures(&other)));

    // Other levels are judged on request, without a new training.
    let sets = ["--set", "eval.separation.snrs_db=[-2.5]", "--set", "eval.separation.mixtures=3"];
    let again = bench.eval(&[&["runs"], &sets[..]].concat()).fine().json();
    assert_eq!(proxies(&again["runs"][0])[1]["name"], "si_sdr_improvement_db_at_-2.5db");
    assert_eq!(mixtures(&run).len(), 3);
}

#[test]
fn killed_trainings_end_with_the_same_bytes_on_any_number_of_threads() {
    let bench = machines("fan,valve");
    let long = [
        "train.epochs=10",
        "train.checkpoint_every_s=0",
        "train.accumulate=2",
        "task.separation.blocks=1",
        "eval.separation.mixtures=2",
    ];
    let started = Instant::now();
    train(&bench, &long, &["--runs", "whole"]).fine();
    let took = started.elapsed();
    bench.eval(&["whole"]).fine();
    let whole = artefacts(&bench.path("whole"));
    let begin = |n: u32| {
        let mut command = command(&bench, &long, &["--runs", "cut"]);
        command.env("RAYON_NUM_THREADS", (1 + n % 3).to_string());
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    };
    kill(
        5,
        took,
        |n| f64::from(n * 5 % 7) / 20.0,
        begin,
        || {
            assert_same_models(&whole, &bench.path("cut"));
            fs::remove_dir_all(bench.path("cut")).unwrap();
        },
    );
    train(&bench, &long, &["--runs", "cut"]).fine();
    bench.eval(&["cut"]).fine();
    assert_same(&whole, &artefacts(&bench.path("cut")), "after kills");
}

#[test]
fn recomputed_blocks_give_the_same_losses_but_for_rounding() {
    let bench = machines("fan,valve");
    let losses = |sets: &[&str], runs: &str| -> Vec<f64> {
        train(&bench, &[&["task.separation.blocks=2"], sets].concat(), &["--runs", runs]).fine();
        let metrics = fs::read_to_string(run_folder(&bench.path(runs)).join("metrics.jsonl")).unwrap();
        let loss = |line: &str| serde_json::from_str::<Value>(line).unwrap()["loss"].as_f64().unwrap();
        metrics.lines().map(loss).collect()
    };
    let kept = losses(&[], "kept");
    let recomputed = losses(&["train.checkpoint_blocks=true"], "recomputed");
    assert_eq!(kept.len(), recomputed.len());
    for (kept, recomputed) in kept.iter().zip(&recomputed) {
        // Losses of some dB. Masks, or statistics that learn twice, would move them by tenths; nine steps of AdamW turn
        // last digits of small gradients into more than rounding.
        assert!((kept - recomputed).abs() < 2e-2, "{kept} {recomputed}");
    }
}

#[test]
fn a_machine_is_heard_out_of_mixtures_and_better_with_more_training() {
    let bench = Bench::empty();
    let sizes = ["--difficulty", "0", "--duration-s", "1", "--train-per-section", "16"];
    let command =
        [&["synth", "data", "--machines", "valve,ToyCar", "--test-per-section", "8", "-q"], &sizes[..]];
    bench.run(&command.concat()).fine();
    let gain = |epochs: &str| {
        let config = shipped("micro/separation.toml");
        let sets = [epochs, "data.root=data", "data.machines=[\"valve\"]", "eval.separation.mixtures=30"];
        let sets = sets.map(|set| ["--set", set]).concat();
        let base = ["train", config.to_str().unwrap(), "--device", "cpu", "--runs", epochs];
        bench.run(&[&base[..], &sets].concat()).fine();
        let judged = bench.eval(&[epochs]).fine().json();
        let proxy = &judged["runs"][0]["proxy"];
        println!("{epochs}: {proxy}");
        proxy["value"].as_f64().unwrap()
    };
    let [little, more] = ["train.epochs=3", "train.epochs=15"].map(gain);
    assert!(more > little + 0.5 && more > 2.0, "{little} dB, then {more} dB");
}

#[test]
fn one_machine_type_alone_needs_other_recordings() {
    let bench = machines("fan");
    train(&bench, &[], &[]).refused(4, &["fan", "data.interference"]);
    assert!(!bench.path("runs/separation").exists(), "a refused training leaves no run");

    let other = machines("valve");
    let folder = other.path("data/valve/train");
    let set = format!("data.interference={:?}", folder.to_str().unwrap());
    let (run, evaluation) = judged(&bench, &[&set], "runs");
    assert!(evaluation["proxy"]["value"].is_f64(), "{evaluation}");
    // Of twelve recordings the fifth and the tenth are kept from the training, to be judged with.
    let recordings = walk(&folder);
    assert_eq!(recordings.len(), 12);
    let kept = [&recordings[4], &recordings[9]];
    let rows = mixtures(&run);
    assert!(rows.iter().all(|row| kept.iter().any(|path| path.ends_with(&row["interference"]))));
}

#[test]
fn short_clips_are_repeated_and_silence_within_a_clip_is_passed_by() {
    let bench = machines("fan,valve");
    // 0.2 s of the 0.4 s of a mixture; and half a second of nothing before a sound.
    let tone = |n: usize| (n as f32 * 0.05).sin() * 0.1;
    for machine in ["fan", "valve"] {
        for split in ["train", "test"] {
            let clip = first_clip(&bench.path(&format!("data/{machine}/{split}")));
            let short: Vec<f32> = (0..3200).map(tone).collect();
            write_wav(&clip, &short, 16_000, SampleFormat::Pcm16).unwrap();
        }
    }
    let mut clips = walk(&bench.path("data/fan/train"));
    let late: Vec<f32> = (0..14_400).map(|n| if n < 14_000 { 0.0 } else { tone(n) }).collect();
    write_wav(&clips.pop().unwrap(), &late, 16_000, SampleFormat::Pcm16).unwrap();
    let (run, evaluation) = judged(&bench, &["train.epochs=6"], "runs");
    assert!(
        evaluation["proxy"]["value"].is_f64() && evaluation["mahalanobis"]["auc"].is_f64(),
        "{evaluation}"
    );
    for row in mixtures(&run) {
        assert!(row["estimate_si_sdr_db"].parse::<f64>().unwrap().is_finite(), "{row:?}");
    }

    // A clip without any sound is a bad one.
    let silent = clips.pop().unwrap();
    write_wav(&silent, &[0.0; 14_400], 16_000, SampleFormat::Pcm16).unwrap();
    let name = silent.file_name().unwrap().to_str().unwrap();
    train(&bench, &[], &["--runs", "silent"]).refused(4, &[name, "data.on_bad_clip"]);
    let skipped = train(&bench, &["data.on_bad_clip=\"skip\""], &["--runs", "silent"]).fine();
    assert!(skipped.err.contains(name), "{}", skipped.err);
}

fn separate(bench: &Bench, arguments: &[&str]) -> Answer {
    bench.run(&[&["separate", "--device", "cpu"], arguments].concat())
}

#[test]
fn a_recording_is_taken_apart_into_two_that_add_up() {
    let bench = machines("fan,valve");
    train(&bench, &["task.separation.blocks=1"], &[]).fine();
    let fan = wave(&first_clip(&bench.path("data/fan/test")));
    let valve = wave(&first_clip(&bench.path("data/valve/test")));
    // Longer than a segment and no multiple of one; a segment; shorter than one.
    for (n, length) in [14_001, 6_400, 700].into_iter().enumerate() {
        let mixture: Vec<f32> = fan.iter().zip(&valve).map(|(f, v)| f + v).take(length).collect();
        let (name, clean) = (format!("mix{n}.wav"), format!("clean{n}.wav"));
        write_wav(&bench.path(&name), &mixture, 16_000, SampleFormat::Float32).unwrap();
        write_wav(&bench.path(&clean), &fan[..mixture.len()], 16_000, SampleFormat::Float32).unwrap();
        let answer = separate(&bench, &["runs", &name, "-o", "out", "--target", &clean, "--format", "json"])
            .fine()
            .json();
        assert_eq!((&answer["schema"], &answer["machine"]), (&1.into(), &"fan".into()));
        let [estimate, residual] = ["estimate", "residual"].map(|what| {
            let path = bench.path(&format!("out/mix{n}.{what}.wav"));
            assert_eq!(bench.path(answer[what].as_str().unwrap()), path);
            wave(&path)
        });
        assert_eq!((estimate.len(), residual.len()), (mixture.len(), mixture.len()));
        for ((e, r), m) in estimate.iter().zip(&residual).zip(&mixture) {
            // One rounding of f32 at the level of the largest.
            assert!((e + r - m).abs() <= 2.0 * f32::EPSILON * (e.abs() + r.abs() + m.abs()), "{e} {r} {m}");
        }
        assert!(estimate.iter().any(|sample| *sample != 0.0));
        let target = exact(&fan[..mixture.len()]);
        for (key, wave) in [("before_db", &mixture), ("after_db", &estimate)] {
            let expected = si_sdr(&exact(wave), &target, PLAIN).unwrap();
            let found = answer["si_sdr"][key].as_f64().unwrap_or_else(|| panic!("{answer}"));
            assert!((found - expected).abs() < 1e-9, "{key}: {found} {expected}");
        }
    }
    // Another rate is resampled; without the machine alone there is nothing to measure.
    let long: Vec<f32> = (0..24_000).map(|n| (n as f32 * 0.05).sin() * 0.1).collect();
    write_wav(&bench.path("other.wav"), &long, 48_000, SampleFormat::Pcm24).unwrap();
    let answer = separate(&bench, &["runs", "other.wav", "-o", "out"]).fine();
    assert!(
        answer.out.contains("out/other.estimate.wav") && !answer.out.contains("SI-SDR"),
        "{}",
        answer.out
    );
    let estimate = read_wav(&bench.path("out/other.estimate.wav"), ChannelChoice::First).unwrap();
    assert_eq!((estimate.samples.len(), estimate.rate_hz), (8_000, 16_000));
}

#[test]
fn what_cannot_be_separated_is_told() {
    let bench = machines("fan,valve");
    train(&bench, &["train.seeds=[0, 1]"], &[]).fine();
    let run = run_folder(&bench.path("runs"));
    let run = run.to_str().unwrap();
    let clip = first_clip(&bench.path("data/fan/test"));
    let clip = clip.to_str().unwrap();
    separate(&bench, &["runs", clip, "-o", "out"]).refused(4, &["2 runs", "name the folder of one"]);
    separate(&bench, &["data", clip, "-o", "out"]).refused(4, &["data"]);
    separate(&bench, &[run, "none.wav", "-o", "out"]).refused(4, &["none.wav"]);
    fs::write(bench.path("text.wav"), "not a sound").unwrap();
    separate(&bench, &[run, "text.wav", "-o", "out"]).refused(4, &["text.wav", "not a WAV file"]);
    write_wav(&bench.path("silent.wav"), &[0.0; 8000], 16_000, SampleFormat::Pcm16).unwrap();
    separate(&bench, &[run, "silent.wav", "-o", "out"]).refused(4, &["silent.wav"]);
    write_wav(&bench.path("short.wav"), &wave(Path::new(clip))[..5000], 16_000, SampleFormat::Float32)
        .unwrap();
    separate(&bench, &[run, clip, "-o", "out", "--target", "short.wav"])
        .refused(4, &["short.wav", "5000 samples", "as long as its mixture"]);
    assert!(!bench.path("out").exists(), "nothing is written");
    separate(&bench, &[run, clip]).refused(2, &["--output"]);

    // A result over its own recording.
    fs::create_dir(bench.path("own")).unwrap();
    let recording = bench.path("own/clip.estimate.wav");
    fs::copy(clip, bench.path("clip.wav")).unwrap();
    fs::copy(clip, &recording).unwrap();
    let arguments = [run, "clip.wav", "-o", "own", "--target", recording.to_str().unwrap()];
    separate(&bench, &arguments).refused(4, &["clip.estimate.wav", "choose another folder"]);

    // Not trained, and another family's.
    let status = Path::new(run).join("status");
    let done = fs::read(&status).unwrap();
    fs::write(&status, "interrupted\n").unwrap();
    separate(&bench, &[run, clip, "-o", "out"]).refused(4, &["not trained", "interrupted"]);
    fs::write(&status, done).unwrap();
    bench.train(&["--set", "train.epochs=1", "--runs", "others"]).fine();
    let other = run_folder(&bench.path("others"));
    separate(&bench, &[other.to_str().unwrap(), clip, "-o", "out"])
        .refused(4, &["family autoencoder", "separation"]);
}

#[test]
fn a_network_that_does_not_separate_is_reported() {
    let bench = machines("fan,valve");
    // Steps too small to learn anything.
    let trained = train(&bench, &["train.optimizer.lr=1e-9", "train.epochs=2"], &[]).fine();
    let judged = bench.run(&["eval", "runs", "--device", "cpu"]).fine();
    assert!(trained.err.contains("no nearer to the machine"), "{}", trained.err);
    assert!(judged.err.contains("the separation failed"), "{}", judged.err);
}
