//! Encoders that were trained elsewhere, as a user takes them in, judges and correlates them.

mod published;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use asdbench::audio::{ChannelChoice, SampleFormat, read_wav, write_wav};
use serde_json::Value;

use crate::pipeline::{assert_same, walk};
use crate::program::{Answer, Bench, first_clip, shipped};

/// Configuration, random network, and for each pool the values of a feature: tokens have 48, and there are 8 bands.
type Kind = (&'static str, &'static str, &'static [(&'static str, usize)]);
const KINDS: [Kind; 2] = [
    ("micro/beats.toml", "beats-tiny", &[("mean", 48), ("mean+std", 96), ("patch", 384)]),
    ("micro/eat.toml", "eat-tiny", &[("mean", 48), ("cls", 48), ("patch", 384)]),
];
/// Of `Bench::with_fan`, all different.
const CLIPS: usize = 3 * 6 + 3 * 8;

/// The machine `fan`, and both random networks below `checkpoints`.
fn with_networks() -> Bench {
    let bench = Bench::with_fan();
    for (_, network, _) in KINDS {
        make(&bench, network, "1", network);
    }
    bench
}

/// A random network as `checkpoints/<name>.safetensors`.
fn make(bench: &Bench, network: &str, seed: &str, name: &str) {
    fs::create_dir_all(bench.path("checkpoints")).unwrap();
    let path = format!("checkpoints/{name}.safetensors");
    bench.run(&["import", "--random", network, "--seed", seed, "-o", &path]).fine();
}

fn train(bench: &Bench, config: &str, options: &[&str]) -> Answer {
    let config = shipped(config);
    let base = ["train", config.to_str().unwrap(), "--set", "data.root=data", "--device", "cpu"];
    bench.run(&[&base[..], &["--format", "json"], options].concat())
}

fn only(answer: &Answer) -> Value {
    let all = answer.json();
    assert_eq!(all["runs"].as_array().map(Vec::len), Some(1), "{all}");
    all["runs"][0].clone()
}

fn json(path: &Path) -> Value {
    let text = fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_str(&text).unwrap()
}

fn dim(run: &Path) -> (usize, usize) {
    let mut npz = ndarray_npy::NpzReader::new(fs::File::open(run.join("features.npz")).unwrap()).unwrap();
    npz.by_name::<ndarray::OwnedRepr<f32>, ndarray::Ix2>("train").unwrap().dim()
}

/// What must be the same bytes whenever the same is judged; nothing was trained.
fn judged(runs: &Path) -> BTreeMap<&'static str, Vec<u8>> {
    let run = walk(runs).into_iter().find(|path| path.ends_with("manifest.json")).expect("a run");
    let read = |name| (name, fs::read(run.with_file_name(name)).unwrap_or_else(|e| panic!("{name}: {e}")));
    ["features.npz", "scores.csv", "eval.json"].map(read).into()
}

/// Features that are kept of clips.
fn kept(runs: &Path) -> Vec<PathBuf> {
    let all = walk(&runs.join(".cache/features")).into_iter();
    all.filter(|path| path.extension().is_some_and(|extension| extension == "npy")).collect()
}

#[test]
fn each_kind_goes_the_whole_way_with_each_pool_and_twice_the_same() {
    let bench = with_networks();
    for (config, network, pools) in KINDS {
        for (pool, values) in pools {
            let set = format!("task.pretrained.pool=\"{pool}\"");
            let folder = |runs: &str| format!("{network}-{pool}/{runs}");
            for runs in ["a", "b"] {
                let trained = only(&train(&bench, config, &["--set", &set, "--runs", &folder(runs)]).fine());
                assert_eq!((&trained["family"], &trained["status"]), (&"pretrained".into(), &"done".into()));
                assert_eq!((&trained["epochs"], &trained["loss"]), (&0.into(), &Value::Null));
                assert!(trained["why"].as_str().unwrap().contains("nothing is trained"), "{trained}");
            }
            let one = only(&bench.eval(&[&folder("a")]).fine());
            bench.eval(&[&folder("b")]).fine();
            assert_same(
                &judged(&bench.path(&folder("a"))),
                &judged(&bench.path(&folder("b"))),
                &format!("between two runs of {network} {pool}"),
            );
            let run = bench.path(one["path"].as_str().unwrap());
            assert_eq!(dim(&run), (18, *values), "{network} {pool}");
            for auc in
                [&one["linear_probe"]["in_domain"], &one["linear_probe"]["out_domain"], &one["mahalanobis"]]
            {
                assert!((0.0..=1.0).contains(&auc["auc"].as_f64().unwrap()), "{one}");
            }
        }
    }
}

#[test]
fn a_run_says_what_its_network_is_and_that_it_is_random() {
    let bench = with_networks();
    let trained = train(&bench, "micro/beats.toml", &[]).fine();
    let said = "nothing to train: the weights are those of checkpoints/beats-tiny.safetensors";
    assert_eq!(trained.err.matches(said).count(), 1, "{}", trained.err);
    assert!(
        trained.err.contains("checkpoints/beats-tiny.safetensors are random (seed 1)"),
        "{}",
        trained.err
    );
    let run = bench.path(only(&trained)["path"].as_str().unwrap());
    assert!(!run.join("model.safetensors").exists());
    assert_eq!(fs::read(run.join("metrics.jsonl")).unwrap(), b"");
    let manifest = json(&run.join("manifest.json"));
    let content = fs::read(bench.path("checkpoints/beats-tiny.safetensors")).unwrap();
    assert_eq!(manifest["model"], blake3::hash(&content).to_hex().as_str());
    let expected = serde_json::json!({
        "path": "checkpoints/beats-tiny.safetensors", "architecture": "BEATs", "fine_tuned": false, "random_seed": 1
    });
    assert_eq!(manifest["pretrained"], expected);

    // Published numbers are not those of random weights, whatever the file is called.
    let sets =
        "eval.pretrained.published=[{checkpoint=\"beats-tiny.safetensors\", map=0.5, source=\"a paper\"}]";
    let answer = bench.eval(&["runs", "--set", sets]).fine();
    let judged = only(&answer);
    let proxy = &judged["proxy"];
    assert_eq!((&proxy["name"], &proxy["higher_is_better"]), (&"map".into(), &true.into()));
    assert_eq!(proxy["value"], Value::Null);
    assert!(proxy["why"].as_str().unwrap().contains("are random (seed 1)"), "{proxy}");
    assert!(answer.err.contains("are random (seed 1)"), "{}", answer.err);
    assert_eq!(json(&run.join("eval.json"))["model"], manifest["model"]);

    // Found again, and judged again from what was kept.
    let again = train(&bench, "micro/beats.toml", &[]).fine();
    assert_eq!(again.json(), trained.json());
    assert!(again.err.contains("is trained already"), "{}", again.err);
}

#[test]
fn neither_batch_nor_threads_nor_other_clips_change_a_feature() {
    let bench = with_networks();
    for (config, network, _) in KINDS {
        for (batch, threads) in [("1", "1"), ("5", "3"), ("64", "2")] {
            let runs = format!("{network}/{batch}");
            let set = format!("task.pretrained.batch={batch}");
            train(&bench, config, &["--runs", &runs, "--set", &set]).fine();
            let mut eval = bench.command(&["eval", &runs, "--device", "cpu", "-q"]);
            assert!(eval.env("RAYON_NUM_THREADS", threads).output().unwrap().status.success());
        }
        let [alone, five, all] = ["1", "5", "64"].map(|batch| judged(&bench.path(network).join(batch)));
        assert_same(&alone, &five, "between batches of 1 and 5");
        assert_same(&alone, &all, "between batches of 1 and all");
    }
}

#[test]
fn what_is_kept_of_clips_is_used_and_what_is_damaged_is_made_again() {
    let bench = with_networks();
    train(&bench, "micro/eat.toml", &[]).fine();
    bench.eval(&["runs"]).fine();
    let runs = bench.path("runs");
    let (first, files) = (judged(&runs), kept(&runs));
    assert_eq!(files.len(), CLIPS);
    let content: Vec<Vec<u8>> = files.iter().map(|path| fs::read(path).unwrap()).collect();

    // A killed extraction leaves some of them, and perhaps a half-written file.
    files.iter().step_by(2).for_each(|path| fs::remove_file(path).unwrap());
    let (flipped, cut) = (&files[1], &files[3]);
    let mut bytes = content[1].clone();
    bytes[200] ^= 4;
    fs::write(flipped, bytes).unwrap();
    fs::write(cut, &content[3][..100]).unwrap();
    let again = bench.eval(&["runs"]).fine();
    assert_same(&first, &judged(&runs), "after half of the cache was lost");
    assert_eq!(kept(&runs), files);
    assert_eq!(files.iter().map(|path| fs::read(path).unwrap()).collect::<Vec<_>>(), content);
    for path in [flipped, cut] {
        let name = path.file_name().unwrap().to_str().unwrap();
        let line =
            again.err.lines().find(|line| line.contains(name)).unwrap_or_else(|| panic!("{}", again.err));
        assert!(line.contains("is made again"), "{line}");
    }
    assert_eq!(again.err.matches("is made again").count(), 2, "{}", again.err);

    // What is kept is what counts: another feature, with its checksum, would be believed. One of another clip is not.
    fs::copy(&files[4], &files[5]).unwrap();
    let again = bench.eval(&["runs"]).fine();
    assert_same(&first, &judged(&runs), "after an entry took another's place");
    assert_eq!(again.err.matches("is made again").count(), 1, "{}", again.err);

    // Another way of making features has entries of its own.
    let sets = ["--set", "task.pretrained.pool=\"cls\""];
    train(&bench, "micro/eat.toml", &sets).fine();
    bench.eval(&["runs"]).fine();
    assert_eq!(kept(&runs).len(), 2 * CLIPS);
}

#[test]
fn another_checkpoint_of_the_same_name_is_refused() {
    let bench = with_networks();
    train(&bench, "micro/beats.toml", &[]).fine();
    bench.eval(&["runs"]).fine();
    // Elsewhere it is the same.
    fs::rename(bench.path("checkpoints"), bench.path("elsewhere")).unwrap();
    let moved = ["--set", "task.pretrained.checkpoint=elsewhere/beats-tiny.safetensors"];
    bench.eval(&["runs"]).refused(4, &["there is no checkpoint checkpoints/beats-tiny.safetensors"]);
    bench.eval(&[&["runs"], &moved[..]].concat()).fine();

    make(&bench, "beats-tiny", "2", "beats-tiny");
    train(&bench, "micro/beats.toml", &[]).refused(4, &["another checkpoint", "--runs"]);
    bench.eval(&["runs"]).refused(4, &["another checkpoint"]);
    // Nor is it measured in the run's name.
    fs::write(bench.path("labels.csv"), "clip,labels\nnone.wav,0\n").unwrap();
    fs::copy(first_clip(&bench.path("data/fan/train")), bench.path("none.wav")).unwrap();
    bench.eval(&["runs", "--labels", "labels.csv"]).refused(4, &["another checkpoint"]);
    train(&bench, "micro/beats.toml", &["--runs", "others"]).fine();

    // From now on the run knows where its own is.
    assert!(train(&bench, "micro/beats.toml", &moved).fine().err.contains("is trained already"));
    bench.eval(&["runs"]).fine();
}

#[test]
fn what_cannot_be_used_is_told_before_anything_is_written() {
    let bench = with_networks();
    let refused = |config: &str, set: &str, code: i32, words: &[&str]| {
        train(&bench, config, &["--set", set]).refused(code, words);
        assert!(!walk(&bench.path("runs")).iter().any(|path| path.ends_with("manifest.json")), "{set}");
    };
    let public = "task.pretrained.checkpoint=checkpoints/BEATs_iter3.pt";
    let origin = ["checkpoints/BEATs_iter3.pt", "microsoft/unilm", "asdbench import --random beats-tiny"];
    refused("micro/beats.toml", public, 4, &origin);
    train(&bench, "micro/beats.toml", &["--set", public, "--dry-run"]).refused(4, &origin);
    let own = "task.pretrained.checkpoint=mine.pt";
    refused("micro/beats.toml", own, 4, &["mine.pt", "BEATs, EAT or CED"]);
    refused("micro/beats.toml", "task.pretrained.checkpoint=data", 4, &["it is a folder"]);
    let clip = first_clip(&bench.path("data/fan/train"));
    let sound = format!("task.pretrained.checkpoint={}", clip.display());
    refused("micro/beats.toml", &sound, 4, &["it is a sound file"]);
    refused("micro/beats.toml", "task.pretrained.pool=\"cls\"", 3, &["BEATs", "no class token"]);
    refused("micro/eat.toml", "task.pretrained.layer=2", 3, &["has 2 layers", "below 2"]);
    refused("micro/eat.toml", "task.pretrained.frames=16000", 3, &["`task.pretrained.frames` is 16000"]);
    refused("micro/eat.toml", "task.pretrained.frames=100", 3, &["a multiple of 16"]);
    refused("micro/beats.toml", "task.pretrained.checkpoint=\"\"", 3, &["names no file"]);
    refused("micro/beats.toml", "frontend.logmel.rate_hz=32000", 3, &["hear 16000 Hz"]);

    // A dry run of what can be done writes nothing either.
    let planned = train(&bench, "micro/beats.toml", &["--dry-run"]).fine().json();
    assert_eq!(planned["runs"][0]["state"], "new");
    assert!(!walk(&bench.path("runs")).iter().any(|path| path.ends_with("manifest.json")));
}

#[test]
fn clips_that_are_too_short_are_bad_and_those_that_are_too_long_are_cut() {
    let bench = with_networks();
    let short = first_clip(&bench.path("data/fan/train"));
    let wave = read_wav(&short, ChannelChoice::First).unwrap();
    // 15 frames: one less than a patch has.
    write_wav(&short, &wave.samples[..2_799], wave.rate_hz, SampleFormat::Pcm16).unwrap();
    let name = short.file_name().unwrap().to_str().unwrap();
    train(&bench, "micro/beats.toml", &[]).refused(4, &[name, "2799", "2800", "on_bad_clip"]);
    let skip = ["--set", "data.on_bad_clip=\"skip\""];
    let trained = train(&bench, "micro/beats.toml", &skip).fine();
    assert!(trained.err.contains("left out") && trained.err.contains(name), "{}", trained.err);
    let manifest = json(&bench.path(only(&trained)["path"].as_str().unwrap()).join("manifest.json"));
    assert_eq!((&manifest["clips"], manifest["skipped"].as_array().unwrap().len()), (&17.into(), 1));
    let judged = only(&bench.eval(&["runs"]).fine());
    assert_eq!((&judged["clips"]["train"], &judged["clips"]["skipped"]), (&17.into(), &1.into()));

    // EAT fills up what is short, and says what it cuts off.
    let sets = ["--runs", "eat", "--set", "task.pretrained.frames=48"];
    let trained = train(&bench, "micro/eat.toml", &sets).fine();
    assert!(trained.err.contains("17 of 18 training clips are longer"), "{}", trained.err);
    bench.eval(&["eat"]).fine();
}

#[test]
fn several_seeds_are_equal_and_say_so() {
    let bench = with_networks();
    let trained = train(&bench, "micro/beats.toml", &["--set", "train.seeds=[0, 5]"]).fine();
    assert_eq!(trained.err.matches("all seeds are equal").count(), 2, "{}", trained.err);
    let all = bench.eval(&["runs"]).fine().json();
    let [a, b] = [0, 1].map(|n| &all["runs"][n]);
    assert_eq!((&a["seed"], &b["seed"]), (&0.into(), &5.into()));
    assert_eq!((&a["mahalanobis"], &a["linear_probe"]), (&b["mahalanobis"], &b["linear_probe"]));
}
