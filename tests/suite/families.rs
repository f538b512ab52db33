//! Classification and contrastive learning, as a user trains and judges them.

use std::fs;
use std::process::Stdio;
use std::time::Instant;

use serde_json::Value;

use crate::killing::kill;
use crate::pipeline::{artefacts, assert_same, assert_same_models, walk};
use crate::program::{Answer, Bench, shipped};

/// The four kinds: configuration, its settings' table.
const KINDS: [(&str, &str); 4] = [
    ("micro/ce.toml", "task.classification"),
    ("micro/arcface.toml", "task.classification"),
    ("micro/simclr.toml", "task.contrastive"),
    ("micro/simsiam.toml", "task.contrastive"),
];
const FAMILIES: [&str; 4] = ["ce", "arcface", "simclr", "simsiam"];

/// Clips of 1.2 s, 38 frames: the network's stride is 32.
fn machines(names: &str) -> Bench {
    let bench = Bench::empty();
    let sizes = ["--duration-s", "1.2", "--train-per-section", "8", "--test-per-section", "8"];
    bench.run(&[&["synth", "data", "--machines", names, "-q"], &sizes[..]].concat()).fine();
    bench
}

/// `asdbench train` at the size of a test; JSON on standard output.
fn train(bench: &Bench, (config, task): (&str, &str), options: &[&str]) -> Answer {
    let mut command = command(bench, (config, task), options);
    let output = command.args(["--format", "json"]).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Answer { out: text(output.stdout), err: text(output.stderr), code: output.status.code() }
}

fn command(bench: &Bench, (config, task): (&str, &str), options: &[&str]) -> std::process::Command {
    let path = shipped(config);
    let mut command = bench.command(&["train", path.to_str().unwrap(), "--device", "cpu"]);
    for set in ["data.root=data", &format!("{task}.frames=32"), &format!("{task}.width=4"), "train.epochs=3"]
    {
        command.args(["--set", set]);
    }
    command.args(options);
    command
}

fn only(answer: &Answer) -> Value {
    let all = answer.json();
    assert_eq!(all["runs"].as_array().map(Vec::len), Some(1), "{all}");
    all["runs"][0].clone()
}

#[test]
fn each_kind_goes_the_whole_way_and_twice_the_same() {
    let bench = machines("fan");
    for (kind, family) in KINDS.into_iter().zip(FAMILIES) {
        for runs in ["a", "b"] {
            let trained = only(&train(&bench, kind, &["--runs", &format!("{family}/{runs}")]).fine());
            assert_eq!((&trained["family"], &trained["status"]), (&family.into(), &"done".into()));
        }
        let judged = only(&bench.eval(&[&format!("{family}/a")]).fine());
        bench.eval(&[&format!("{family}/b")]).fine();
        let [a, b] = ["a", "b"].map(|runs| artefacts(&bench.path(family).join(runs)));
        assert_same(&a, &b, &format!("between two runs of {family}"));

        let proxy = &judged["proxy"];
        let value = proxy["value"].as_f64().unwrap_or_else(|| panic!("{judged}"));
        match family {
            "ce" | "arcface" => {
                assert_eq!((&proxy["name"], &proxy["higher_is_better"]), (&"macro_f1".into(), &true.into()));
                assert!((0.0..=1.0).contains(&value), "{value}");
            }
            _ => {
                assert_eq!(
                    (&proxy["name"], &proxy["higher_is_better"]),
                    (&"uniformity".into(), &false.into())
                );
                assert!(value <= 0.0, "{value}");
                assert_eq!(judged["other_proxies"][0]["name"], "alignment");
            }
        }
        let metrics = walk(&bench.path(family).join("a")).into_iter().find(|p| p.ends_with("metrics.jsonl"));
        let text = fs::read_to_string(metrics.unwrap()).unwrap();
        let signal = if kind.1.ends_with("classification") { "accuracy" } else { "projection_std" };
        for line in text.lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            assert!(line["signals"][signal].is_f64(), "{line}");
        }
    }
}

#[test]
fn the_number_of_threads_that_train_and_make_views_does_not_matter() {
    let bench = machines("fan");
    for kind in [KINDS[0], KINDS[2]] {
        for threads in ["1", "3"] {
            let runs = format!("{}/{threads}", kind.1);
            let mut train = command(&bench, kind, &["-q", "--runs", &runs]);
            assert!(train.env("RAYON_NUM_THREADS", threads).output().unwrap().status.success());
            let mut eval = bench.command(&["eval", &runs, "--device", "cpu"]);
            assert!(eval.env("RAYON_NUM_THREADS", threads).output().unwrap().status.success());
        }
        let [one, three] = ["1", "3"].map(|threads| artefacts(&bench.path(kind.1).join(threads)));
        assert_same(&one, &three, "between 1 and 3 threads");
    }
}

#[test]
fn killed_trainings_of_each_kind_end_with_the_same_bytes() {
    let bench = Bench::empty();
    // 27 clips: the last batch of an epoch has one part only, and that one is smaller.
    let sizes = ["--duration-s", "1.2", "--train-per-section", "9", "--test-per-section", "8"];
    bench.run(&[&["synth", "data", "--machines", "fan", "-q"], &sizes[..]].concat()).fine();
    for (kind, family) in KINDS.into_iter().zip(FAMILIES) {
        let folder = |runs: &str| format!("{family}-{runs}");
        // A checkpoint at every chance, and parts of batches, at which there is none.
        let long = [
            "--set",
            "train.epochs=12",
            "--set",
            "train.checkpoint_every_s=0",
            "--set",
            "train.accumulate=2",
        ];
        let (whole, cut) = (folder("whole"), folder("cut"));
        let started = Instant::now();
        train(&bench, kind, &[&long[..], &["--runs", &whole]].concat()).fine();
        let took = started.elapsed();
        bench.eval(&[&whole]).fine();
        let undisturbed = artefacts(&bench.path(&whole));
        let begin = |_| {
            let mut command = command(&bench, kind, &[&long[..], &["--runs", &cut]].concat());
            command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
        };
        kill(
            5,
            took,
            |n| f64::from(n * 5 % 7) / 20.0,
            begin,
            || {
                assert_same_models(&undisturbed, &bench.path(&cut));
                fs::remove_dir_all(bench.path(&cut)).unwrap();
            },
        );
        train(&bench, kind, &[&long[..], &["--runs", &cut]].concat()).fine();
        bench.eval(&[&cut]).fine();
        assert_same(&undisturbed, &artefacts(&bench.path(&cut)), &format!("after kills of {family}"));
    }
}

#[test]
fn cross_entropy_learns_sections_that_differ() {
    let bench = Bench::empty();
    let sizes = ["--duration-s", "2", "--train-per-section", "24", "--test-per-section", "16"];
    bench.run(&[&["synth", "data", "--machines", "valve", "-q"], &sizes[..]].concat()).fine();
    let size = ["--set", "task.classification.frames=63", "--set", "task.classification.width=8"];
    let pace = ["--set", "train.epochs=16", "--set", "train.optimizer.lr=5e-3"];
    train(&bench, KINDS[0], &[&size[..], &pace, &["--set", "train.schedule.step_epochs=5"]].concat()).fine();
    let judged = only(&bench.eval(&["runs"]).fine());
    let f1 = judged["proxy"]["value"].as_f64().unwrap();
    assert!(f1 > 0.95, "{f1}");
}

#[test]
fn simclr_improves_on_its_initialisation() {
    let bench = Bench::empty();
    let sizes = ["--duration-s", "2", "--train-per-section", "40", "--test-per-section", "24"];
    bench.run(&[&["synth", "data", "--machines", "fan", "-q"], &sizes[..]].concat()).fine();
    let judged = |runs: &str, options: &[&str]| {
        let size = ["--set", "task.contrastive.frames=63", "--set", "task.contrastive.width=8"];
        // Views that differ much: there is something to become indifferent to.
        let masks = ["--set", "task.contrastive.augment.time_mask.max_frames=31", "--runs", runs];
        train(&bench, KINDS[2], &[&size[..], &masks, options].concat()).fine();
        let judged = only(&bench.eval(&[runs]).fine());
        let value = |proxy: &Value| proxy["value"].as_f64().unwrap();
        (value(&judged["proxy"]), value(&judged["other_proxies"][0]))
    };
    // Steps too small to move a weight: the batch statistics settle, and nothing else.
    let initial = judged("initial", &["--set", "train.optimizer.lr=1e-12"]);
    let pace = ["--set", "train.epochs=60", "--set", "train.optimizer.lr=4e-3"];
    let calm = ["--set", "train.schedule.step_epochs=20", "--set", "train.batch_size=32"];
    let trained = judged("trained", &[pace, calm].concat());
    assert!(trained.0 < initial.0, "uniformity {initial:?} {trained:?}");
    assert!(trained.1 < initial.1, "alignment {initial:?} {trained:?}");
}

#[test]
fn a_collapse_is_reported_while_training_and_when_judged() {
    let bench = machines("fan");
    // A step that decays every weight to nothing.
    let forced = ["--set", "train.optimizer.lr=1e-3", "--set", "train.optimizer.weight_decay=1000.0"];
    let trained = train(&bench, KINDS[3], &forced).fine();
    assert!(trained.err.contains("warning: fan") && trained.err.contains("has collapsed"), "{}", trained.err);
    let metrics = walk(&bench.path("runs")).into_iter().find(|p| p.ends_with("metrics.jsonl")).unwrap();
    let last = fs::read_to_string(metrics).unwrap();
    let last: Value = serde_json::from_str(last.lines().last().unwrap()).unwrap();
    assert!(last["warning"].as_str().unwrap().contains("has collapsed"), "{last}");
    let judged = bench.run(&["eval", "runs", "--device", "cpu"]).fine();
    assert!(format!("{}{}", judged.out, judged.err).contains("collapsed"), "{}\n{}", judged.out, judged.err);
}

#[test]
fn one_network_for_all_machine_types_is_trained_once() {
    let bench = machines("fan,valve");
    let joint = ["--set", "task.classification.label=\"machine-section\""];
    let trained = train(&bench, KINDS[0], &joint).fine();
    assert!(trained.err.contains("taken over"), "{}", trained.err);
    assert_eq!(trained.json()["runs"].as_array().map(Vec::len), Some(2));
    let models: Vec<Vec<u8>> = walk(&bench.path("runs"))
        .into_iter()
        .filter(|path| path.ends_with("model.safetensors"))
        .map(|path| fs::read(path).unwrap())
        .collect();
    assert_eq!(models.len(), 2);
    assert!(models[0] == models[1]);
    let judged = bench.eval(&["runs"]).fine().json();
    for run in judged["runs"].as_array().unwrap() {
        assert!(run["proxy"]["value"].is_f64(), "{run}");
    }
    // Another set of machine types is another network.
    let alone = [&joint[..], &["--set", "data.machines=[\"fan\"]"]].concat();
    train(&bench, KINDS[0], &alone).refused(4, &["set of machine types", "fan, valve"]);

    // One bit of the weights.
    let model =
        walk(&bench.path("runs")).into_iter().find(|path| path.ends_with("model.safetensors")).unwrap();
    let mut bytes = fs::read(&model).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&model, bytes).unwrap();
    bench.eval(&["runs"]).refused(6, &["model.safetensors is damaged", "trains it again"]);
}

#[test]
fn labels_that_allow_no_training_are_named() {
    let bench = Bench::empty();
    let sizes = ["--duration-s", "1.2", "--train-per-section", "4", "--test-per-section", "4"];
    bench.run(&[&["synth", "data", "--machines", "fan", "-q"], &sizes[..]].concat()).fine();
    // One section only.
    let clips = walk(&bench.path("data/fan/train"));
    let name = |path: &std::path::Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    let (first, others): (Vec<_>, Vec<_>) =
        clips.into_iter().partition(|path| name(path).starts_with("section_00"));
    let aside: Vec<(_, Vec<u8>)> =
        others.iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect();
    others.iter().for_each(|path| fs::remove_file(path).unwrap());
    train(&bench, KINDS[0], &[]).refused(4, &["fan", "one class `00`", "task.classification.label"]);
    assert!(!bench.path("runs/ce").exists(), "a refused training leaves no run");

    // A class with one clip is learnt, and said.
    fs::write(&aside[0].0, &aside[0].1).unwrap();
    let trained = train(&bench, KINDS[0], &[]).fine();
    assert!(trained.err.contains("one training clip only"), "{}", trained.err);

    // No attributes in the names.
    for path in first.iter().chain([&aside[0].0]) {
        let plain: Vec<String> = name(path).split('_').take(6).map(str::to_owned).collect();
        let plain = format!("{}.wav", plain.join("_").trim_end_matches(".wav"));
        fs::rename(path, path.with_file_name(plain)).unwrap();
    }
    for table in walk(&bench.path("data/fan")).iter().filter(|p| name(p).starts_with("attributes")) {
        fs::remove_file(table).unwrap();
    }
    let attribute = ["--set", "task.classification.label=\"attribute\""];
    train(&bench, KINDS[0], &attribute)
        .refused(4, &["no clip of machine `fan` has attributes", "\"section\""]);
}

#[test]
fn sizes_that_fit_nothing_are_refused_or_fitted() {
    let bench = machines("fan");
    // A batch larger than the data is the data.
    train(&bench, KINDS[2], &["--set", "train.batch_size=512", "--set", "train.epochs=1"]).fine();
    train(&bench, KINDS[0], &["--set", "train.accumulate=8"])
        .refused(3, &["train.accumulate", "leaves one example of 8 to each part"]);
    train(&bench, KINDS[0], &["--set", "train.accumulate=3"])
        .refused(3, &["train.accumulate", "does not divide a batch of 8"]);
    train(&bench, KINDS[0], &["--set", "task.classification.frames=31"]).refused(3, &["frames", "from 32"]);
    train(&bench, KINDS[0], &["--set", "frontend.logmel.n_mels=31"]).refused(3, &["n_mels", "stride"]);
    let short = Bench::with_fan();
    train(&short, KINDS[0], &[]).refused(4, &[".wav", "32 frames", "data.on_bad_clip"]);
}

#[test]
fn halved_precision_and_clipping_train() {
    let bench = machines("fan");
    let loss = |runs: &str, options: &[&str]| {
        let more = ["--set", "train.epochs=12", "--runs", runs];
        only(&train(&bench, KINDS[0], &[&more[..], options].concat()).fine())["loss"].as_f64().unwrap()
    };
    let full = loss("full", &[]);
    let settings = [
        ("bf16", "train.precision=\"bf16\""),
        ("f16", "train.precision=\"f16\""),
        ("clip", "train.clip_norm=0.5"),
    ];
    for (runs, set) in settings {
        let found = loss(runs, &["--set", set]);
        // Another way, and it learns: guessing among three sections has a loss of ln 3 = 1.099.
        assert_ne!(found, full, "{set}");
        assert!(found < 0.9, "{set}: {found}, in f32 {full}");
    }
}

#[test]
fn views_are_previewed() {
    let bench = machines("fan");
    let clip = crate::program::first_clip(&bench.path("data/fan/train"));
    let clip = clip.to_str().unwrap();
    let config = shipped("simclr.toml");
    let preview = |out: &str| {
        let arguments = ["data", "preview-augment", clip, "-o", out, "--views", "2", "--format", "json"];
        bench.run(&[&arguments[..], &["--config", config.to_str().unwrap()]].concat())
    };
    let views = preview("views").fine().json();
    assert_eq!(views["views"].as_array().map(Vec::len), Some(2));
    for name in ["original.wav", "view-1.wav", "view-2.wav", "views.svg", "views.json"] {
        assert!(bench.path("views").join(name).is_file(), "{name}");
    }
    // As many frames as the configuration says: the clip of 38 frames is repeated.
    assert_eq!(views["frames"], 313);
    preview("again").fine();
    for name in ["view-1.wav", "views.svg"] {
        let read = |folder: &str| fs::read(bench.path(folder).join(name)).unwrap();
        assert!(read("views") == read("again"), "{name} differs");
    }
    let autoencoder = shipped("ae.toml");
    let arguments =
        ["data", "preview-augment", clip, "-o", "none", "--config", autoencoder.to_str().unwrap()];
    bench.run(&arguments).refused(3, &["autoencoder", "no views"]);
    bench.run(&["data", "preview-augment", "none.wav", "-o", "none"]).refused(4, &["none.wav"]);
    assert!(!bench.path("none").exists());
    bench.run(&["data"]).refused(2, &["<DIR>"]);
}
