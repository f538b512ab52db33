//! What `extract` says of the references' recordings, held against what the authors' programs say.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use asdbench::audio::{ChannelChoice, SampleFormat, read_wav, write_wav};
use ndarray::{Array1, Array2, ArrayD, Axis};
use serde_json::Value;

use super::{array, extract, texts};
use crate::conformance::{files_ending, folder, report};
use crate::import::checkpoint;
use crate::program::Bench;

/// Tolerances are those that the references' READMEs give for f32, whose sums are in another order here: of a layer's tokens,
/// and of a single token.
const STEP: f32 = 1e-3;
/// Of a mean over tokens, in which errors of tokens make up for each other.
const EMBEDDING: f32 = 5e-4;
/// Of class probabilities.
const PROBABILITY: f32 = 1e-4;
/// The slope of the sigmoid is at most 1/4: of probabilities where the README's is that of logits.
const OF_LOGITS: f32 = STEP / 4.0;
/// Of everything that CED says; its README has one.
const CED: f32 = 1e-3;

#[track_caller]
fn assert_near(what: &str, found: &ArrayD<f32>, expected: &ArrayD<f32>, tolerance: f32) {
    assert_eq!(found.shape(), expected.shape(), "{what}");
    // `max` would pass over what is no number.
    let distance = |(a, b): (&f32, &f32)| if (a - b).is_nan() { f32::INFINITY } else { (a - b).abs() };
    let error = found.iter().zip(expected).map(distance).fold(0.0, f32::max);
    assert!(error <= tolerance, "{what}: {error} is over {tolerance}");
    report(what, f64::from(error), f64::from(tolerance));
}

/// What a checkpoint of the references says of their recording.
struct Heard {
    bench: Bench,
    said: Value,
}

impl Heard {
    fn of(checkpoint: &Path, clip: &Path, options: &[&str]) -> Self {
        let bench = Bench::empty();
        let arguments = [checkpoint.to_str().unwrap(), clip.to_str().unwrap()];
        let said = extract(&bench, &[&arguments[..], options].concat()).fine().json();
        Self { bench, said }
    }

    /// Nothing where there is no such checkpoint.
    fn input(family: &str, name: &str, options: &[&str]) -> Option<Self> {
        let checkpoint = checkpoint(family, name)?;
        Some(Self::of(&checkpoint, &checkpoint.with_file_name("input.wav"), options))
    }

    #[track_caller]
    fn assert_near(&self, name: &str, reference: &Path, tolerance: f32) {
        let expected: ArrayD<f32> = ndarray_npy::read_npy(reference)
            .unwrap_or_else(|error| panic!("{}: {error}", reference.display()));
        let found = self.row(name);
        assert_eq!(found.shape(), expected.shape(), "{name}");
        assert_near(&format!("{name} and {}", reference.display()), &found, &expected, tolerance);
    }

    /// Of the last layer.
    fn tokens(&self) -> String {
        format!("layer_{:02}", self.said["layer"].as_u64().unwrap())
    }

    fn npz(&self) -> PathBuf {
        self.bench.path("out.npz")
    }

    /// Of the only clip.
    fn row(&self, name: &str) -> ArrayD<f32> {
        array::<f32, ndarray::IxDyn>(&self.npz(), name).index_axis_move(Axis(0), 0)
    }
}

#[test]
fn beats_as_the_reference() {
    let Some(folder) = folder("beats") else { return };
    let Some(heard) = Heard::input("beats", "tiny_pretrained.pt", &["--layers"]) else { return };
    let at = |name: &str| folder.join(format!("{name}.npy"));
    heard.assert_near("embedding", &at("embedding"), EMBEDDING);
    let arrays = heard.said["arrays"].as_array().unwrap();
    let layers = arrays.iter().filter(|name| name.as_str().unwrap().starts_with("layer_")).count();
    assert!(layers > 0);
    for n in 0..layers {
        heard.assert_near(&format!("layer_{n:02}"), &at(&format!("layer{n}")), STEP);
    }
    heard.assert_near(&heard.tokens(), &at("final"), STEP);
    let tokens: Array1<i64> = array(&heard.npz(), "tokens");
    assert_eq!(tokens.to_vec(), [heard.row(&heard.tokens()).shape()[0] as i64]);
    assert_eq!(texts(&heard.npz(), "clip"), [folder.join("input.wav").to_str().unwrap()]);
    assert_eq!(heard.said["layer"], layers - 1);

    // An inner layer.
    let inner = Heard::input("beats", "tiny_pretrained.pt", &["--layer", "0"]).unwrap();
    let layer: ArrayD<f32> = ndarray_npy::read_npy(at("layer0")).unwrap();
    let mean = layer.mean_axis(Axis(0)).unwrap();
    assert_near("mean of layer 0", &inner.row("embedding"), &mean, EMBEDDING);
    // The other format of the same weights.
    if let Some(legacy) = Heard::input("beats", "tiny_pretrained_legacy.pt", &[]) {
        assert_eq!(legacy.row("embedding"), heard.row("embedding"));
    }
}

#[test]
fn beats_with_classes_as_the_reference() {
    let Some(folder) = folder("beats") else { return };
    let Some(heard) = Heard::input("beats", "tiny_finetuned.pt", &["--layers"]) else { return };
    let at = |name: &str| folder.join(format!("{name}.npy"));
    heard.assert_near("embedding", &at("finetuned_embedding"), EMBEDDING);
    heard.assert_near("probabilities", &at("finetuned_probs"), PROBABILITY);
    heard.assert_near(&heard.tokens(), &at("finetuned_final"), STEP);
    let labels = fs::read_to_string(folder.join("finetuned_label_dict.json")).unwrap();
    let labels: Value = serde_json::from_str(&labels).unwrap();
    let found = texts(&heard.npz(), "label");
    assert_eq!(found.len(), labels.as_object().unwrap().len());
    for (n, label) in found.iter().enumerate() {
        assert_eq!(labels[n.to_string()], **label);
    }
}

#[test]
fn eat_as_the_reference() {
    let Some(folder) = folder("eat") else { return };
    let at = |name: &str| folder.join(format!("{name}.npy"));
    // As many frames as the references' short input has.
    let short: Array2<f32> = ndarray_npy::read_npy(at("short_input")).unwrap();
    let frames = short.nrows().to_string();
    let short = ["--frames", frames.as_str(), "--layers"];
    let blocks: Vec<(String, PathBuf)> = files_ending(&folder, ".npy")
        .into_iter()
        .filter_map(|(stem, path)| Some((stem.strip_prefix("short_block")?.to_owned(), path)))
        .collect();
    for name in ["tiny_pretrained.pt", "hf_model.safetensors"] {
        if let Some(heard) = Heard::input("eat", name, &["--layers"]) {
            heard.assert_near("embedding", &at("emb1024_mean"), EMBEDDING);
            if at("out1024").exists() {
                heard.assert_near(&heard.tokens(), &at("out1024"), STEP);
            }
        }
        if let Some(cls) = Heard::input("eat", name, &["--pool", "cls"]) {
            cls.assert_near("embedding", &at("emb1024_cls"), STEP);
        }
        if let Some(heard) = Heard::input("eat", name, &short) {
            heard.assert_near("embedding", &at("short_mean"), EMBEDDING);
            assert!(!blocks.is_empty(), "no blocks in {}", folder.display());
            for (n, expected) in &blocks {
                heard.assert_near(&format!("layer_{:02}", n.parse::<usize>().unwrap()), expected, STEP);
            }
        }
    }
    if let Some(half) = Heard::input("eat", "tiny_pretrained_fp16.pt", &short) {
        half.assert_near(&half.tokens(), &at("short_out_fp16weights"), STEP);
    }
    let Some(tuned) = Heard::input("eat", "tiny_finetuned.pt", &short) else { return };
    tuned.assert_near(&tuned.tokens(), &at("finetuned_short_out"), STEP);
    tuned.assert_near("embedding", &at("finetuned_short_mean"), EMBEDDING);
    let logits: ArrayD<f32> = ndarray_npy::read_npy(at("finetuned_logits")).unwrap();
    let expected = logits.mapv(|logit| 1.0 / (1.0 + (-logit).exp()));
    assert_near("probabilities", &tuned.row("probabilities"), &expected, OF_LOGITS);
    assert!(!names(&tuned.npz()).contains(&"label".to_owned()), "the file does not name its classes");
}

#[test]
fn ced_as_the_reference() {
    let Some(folder) = folder("ced") else { return };
    let clip = folder.join("input.wav");
    for form in ["authors/tiny.pt", "hf/model.safetensors"] {
        let path = folder.join(form);
        let at = |name: &str| path.with_file_name(format!("{name}.npy"));
        let heard = Heard::of(&path, &clip, &["--layers"]);
        for (name, file) in
            [("embedding", "embedding"), ("probabilities", "probabilities"), ("layer_00", "block0")]
        {
            heard.assert_near(name, &at(file), CED);
        }
        heard.assert_near(&heard.tokens(), &at("norm"), CED);

        // Longer than the table of positions.
        let long = heard.bench.path("long.wav");
        let wave = read_wav(&clip, ChannelChoice::First).unwrap();
        let of_long = files_ending(path.parent().unwrap(), "_embedding.npy");
        // Such as `wave12`: the recording so many times.
        let of_long = of_long.into_iter().find_map(|(stem, _)| stem.strip_prefix("wave")?.parse().ok());
        let times: usize = of_long.expect("a long recording");
        write_wav(&long, &wave.samples.repeat(times), wave.rate_hz, SampleFormat::Pcm16).unwrap();
        let long = Heard::of(&path, &long, &[]);
        long.assert_near("embedding", &at(&format!("wave{times}_embedding")), CED);
        long.assert_near("probabilities", &at(&format!("wave{times}_probabilities")), CED);
    }
}

fn names(path: &Path) -> Vec<String> {
    let npz = zip::ZipArchive::new(File::open(path).unwrap()).unwrap();
    npz.file_names().map(|name| name.trim_end_matches(".npy").to_owned()).collect()
}
