//! `conformance/beats`: the network step by step against microsoft/unilm's, from the stored filter bank on. Sizes, salts and
//! labels are read from the files. The way from the sound is in `front_ends` and `encoders`.

use std::path::Path;

use asdbench::audio::{KaldiBank, KaldiScratch, KaldiSpec};
use asdbench::nn::beats::{Around, Beats, MELS, bucket, tokens_that_exist};
use asdbench::nn::encoder::Sequences;
use asdbench::nn::import::Checkpoint;
use asdbench::nn::precision::Precision;
use asdbench::nn::pretrained::{Architecture, Encoder, Model, identify};
use burn::tensor::activation::sigmoid;
use burn::tensor::{Device, Tensor, TensorData};
use ndarray::{Array2, Array3, ArrayD, Axis};
use ndarray_npy::read_npy;
use serde_json::{Map, Value, json as object};

use super::procedural::{self, procedural};
use super::tensors::{array, devices, host, tensor, worst};
use super::{files_ending, folder, json, part, report};

/// The README's tolerances.
const STEP: f64 = 1e-3;
const EMBEDDING: f64 = 5e-4;
const AGAINST_F64: f64 = 5e-4;
const BIAS: f64 = 1e-6;
const PROBABILITY: f64 = 1e-4;
/// Of the public size: wide sums, each in another order than the reference's, of one layer and of all.
const FULL_LAYER: f64 = 2e-3;
const FULL_STEP: f64 = 3e-3;
const FULL_MEAN: f64 = 2e-3;

fn open(path: &Path) -> (Checkpoint, Model) {
    let checkpoint = Checkpoint::open(path).unwrap_or_else(|e| panic!("{e}"));
    let model = identify(&checkpoint, None).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    (checkpoint, model)
}

fn load(checkpoint: &Checkpoint, model: &Model, device: &Device) -> Beats {
    match model.load(checkpoint, device, Precision::F32).unwrap_or_else(|e| panic!("{e}")) {
        Encoder::Beats(net) => net,
        _ => panic!("it is no BEATs"),
    }
}

fn close(what: &str, found: &[f32], expected: &ArrayD<f32>, tolerance: f64) {
    let error = worst(found, expected.iter().copied(), 0.0);
    report(what, error, tolerance);
    assert!(error <= tolerance, "{what}: {error}");
}

/// A clip's normalised filter bank as a batch of one.
fn images(path: &Path, device: &Device) -> Tensor<3> {
    tensor::<2>(&array(path), device).unsqueeze_dim(0)
}

/// The mean over tokens of `[1, tokens, width]`.
fn mean(tokens: Tensor<3>) -> Vec<f32> {
    host(tokens.mean_dim(1))
}

#[test]
fn every_step_is_the_reference_s() {
    let Some(folder) = folder("beats") else { return };
    let at = |name: &str| folder.join(format!("{name}.npy"));
    for device in devices() {
        let (checkpoint, model) = open(&folder.join("tiny_pretrained.pt"));
        assert!(!model.fine_tuned() && model.labels.is_none() && model.random.is_none());
        let net = load(&checkpoint, &model, &device);
        let images = images(&at("fbank_norm"), &device);

        let patches = net.patches(images.clone());
        let [tokens, width] = patches.dims();
        // The reference's map is [width, steps, bands].
        let map = host(patches.clone().transpose());
        close("patches", &map, &array(&at("patch_conv")), STEP);
        let of = Sequences { count: 1, tokens };
        assert_eq!(width, array(&at("patch_ln")).shape()[1]);
        let normed = net.normed(patches);
        close("norm of patches", &host(normed.clone()), &array(&at("patch_ln")), STEP);
        let projected = net.project(normed, of);
        close("projection", &host(projected.clone()), &array(&at("proj")), STEP);
        let positioned = net.positioned(projected.clone(), of);
        close("positions", &host(positioned.clone() - projected), &array(&at("pos_conv")), STEP);
        let entered = net.enter(positioned);
        close("entry", &host(entered.clone()), &array(&at("enc_in")), STEP);

        let biases = net.position_biases(tokens);
        if let Some(path) = part(&folder, "posbias_layer0.npy") {
            let expected: Array3<f32> = read_npy(path).unwrap();
            let found = host(biases.clone());
            let per_head = 2 * tokens - 1;
            for ((head, query, key), expected) in expected.indexed_iter() {
                let found = found[head * per_head + key + tokens - 1 - query];
                assert!(f64::from((found - expected).abs()) <= BIAS, "bias of head {head}, {query} to {key}");
            }
        }

        let around = Around { of, lengths: None, precision: Precision::F32 };
        let heard = net.layers()[0].attention().forward(entered, biases, around);
        close("attention", &host(heard), &array(&at("attn_layer0")), STEP);
        let mut seen = 0;
        let last = net.layers().len() - 1;
        let result = net.forward(images, None, last, &mut |n, tokens| {
            close(&format!("layer {n}"), &host(tokens.clone()), &array(&at(&format!("layer{n}"))), STEP);
            seen += 1;
        });
        assert_eq!(seen, net.layers().len());
        close("result", &host(result.clone()), &array(&at("final")), STEP);
        if let Some(path) = part(&folder, "final_f64_from_fbank.npy") {
            let exact: Array2<f64> = read_npy(path).unwrap();
            let exact = exact.mapv(|v| v as f32).into_dyn();
            close("result beside f64", &host(result.clone()), &exact, AGAINST_F64);
        }
        close("embedding", &mean(result), &array(&at("embedding")), EMBEDDING);
        assert!(net.classify(&Tensor::zeros([1, 2, model.architecture.width()], &device)).is_none());
    }
}

#[test]
fn a_fine_tuned_network_tells_classes_apart() {
    let Some(folder) = folder("beats") else { return };
    let at = |name: &str| folder.join(format!("{name}.npy"));
    let device = Device::flex();
    let Some(path) = part(&folder, "tiny_finetuned.pt") else { return };
    let (checkpoint, model) = open(&path);
    let labels: Vec<String> = json(&folder.join("finetuned_label_dict.json"))
        .as_object()
        .expect("labels")
        .values()
        .map(|label| label.as_str().expect("a text").to_owned())
        .collect();
    assert_eq!(model.labels.as_ref(), Some(&labels));
    assert_eq!(model.architecture.classes(), Some(labels.len()));
    let net = load(&checkpoint, &model, &device);
    let last = net.layers().len() - 1;
    let tokens = net.forward(images(&at("fbank_norm"), &device), None, last, &mut |_, _| {});
    close("fine-tuned result", &host(tokens.clone()), &array(&at("finetuned_final")), STEP);
    close("fine-tuned embedding", &mean(tokens.clone()), &array(&at("finetuned_embedding")), EMBEDDING);
    let probabilities = sigmoid(net.classify(&tokens).expect("classes"));
    close("probabilities", &host(probabilities), &array(&at("finetuned_probs")), PROBABILITY);
}

#[test]
fn the_old_format_holds_the_same_network() {
    let Some(folder) = folder("beats") else { return };
    if part(&folder, "tiny_pretrained_legacy.pt").is_none() {
        return;
    }
    let device = Device::flex();
    let result = |name: &str| {
        let (checkpoint, model) = open(&folder.join(name));
        let net = load(&checkpoint, &model, &device);
        let images = images(&folder.join("fbank_norm.npy"), &device);
        host(net.forward(images, None, net.layers().len() - 1, &mut |_, _| {}))
    };
    assert_eq!(result("tiny_pretrained_legacy.pt"), result("tiny_pretrained.pt"));
}

/// The reference pads the samples of the second clip of `batch_input` after six tenths; which tokens that leaves out, and
/// what the others are then.
#[test]
fn missing_tokens_are_not_looked_at() {
    let Some(folder) = folder("beats") else { return };
    let at = |name: &str| folder.join(format!("{name}.npy"));
    let Some(batch) = part(&folder, "batch_input.npy") else { return };
    let missing: Array2<bool> = read_npy(at("padded_tokens_mask")).unwrap();
    let (clips, tokens) = missing.dim();
    let samples = array(&batch).shape()[1];
    let lengths: Vec<usize> =
        missing.rows().into_iter().map(|row| row.iter().filter(|missing| !**missing).count()).collect();
    for (row, length) in missing.rows().into_iter().zip(&lengths) {
        assert!(row.iter().skip(*length).all(|missing| *missing), "padding is at the end");
    }
    let frames = KaldiBank::new(KaldiSpec::beats()).frames(samples);
    assert_eq!(lengths[0], tokens_that_exist(samples, samples, frames, tokens));
    // 60 % of the samples: no file but the README says so.
    assert_eq!(lengths[1], tokens_that_exist(samples * 6 / 10, samples, frames, tokens));
    // The filter bank of the batch, whole: the sounds' own module computes it.
    let batch: Array2<f32> = read_npy(&batch).unwrap();
    for device in devices() {
        let (checkpoint, model) = open(&folder.join("tiny_pretrained.pt"));
        let net = load(&checkpoint, &model, &device);
        let images = banks(&batch, &device);
        let last = net.layers().len() - 1;
        let whole = net.forward(images.clone(), None, last, &mut |_, _| {});
        close("a batch", &host(whole), &array(&at("batch_final")), STEP);
        let found = net.forward(images, Some(&lengths), last, &mut |_, _| {});
        let width = model.architecture.width();
        let (found, expected) = (host(found), array(&at("padded_final")));
        for clip in 0..clips {
            let there = clip * tokens * width..(clip * tokens + lengths[clip]) * width;
            let expected: Vec<f32> = expected.iter().copied().collect();
            let error = worst(&found[there.clone()], expected[there].iter().copied(), 0.0);
            report(&format!("padded clip {clip}"), error, STEP);
            assert!(error <= STEP, "padded clip {clip}: {error}");
        }
    }
}

#[test]
fn buckets_of_distances() {
    let Some(folder) = folder("beats") else { return };
    let files = files_ending(&folder, ".npy");
    let mut compared = 0;
    for (stem, path) in files.iter().filter(|(stem, _)| stem.starts_with("buckets_")) {
        let sizes: Vec<usize> = stem.split('_').skip(1).map(|size| size.parse().expect("a size")).collect();
        let expected: ndarray::Array1<i64> = read_npy(path).unwrap();
        let farthest = expected.len() as i64 / 2;
        for (distance, expected) in (-farthest..).zip(&expected) {
            assert_eq!(bucket(distance, sizes[0], sizes[1]) as i64, *expected, "{stem}: {distance}");
        }
        compared += 1;
    }
    assert!(compared > 0, "no buckets in {}", folder.display());
}

/// The public size with made-up weights.
#[test]
fn full_size_with_procedural_weights() {
    let Some(folder) = folder("beats") else { return };
    let at = |name: &str| folder.join(format!("{name}.npy"));
    let description = json(&folder.join("base_proc.json"));
    let (salt, gain) = procedural::rule(&description);
    let keys = procedural::keys(&description);
    let (key, shape) = keys.iter().find(|(key, _)| key == "patch_embedding.weight").expect("patches");
    let first = array(&at("base_proc_first8_patch_weight"));
    assert_eq!(procedural(key, shape, salt, gain)[..first.len()], *first.as_slice().unwrap());

    // As this program's own file: the reference's is a pickle. All layers share the table that was copied last.
    let table = |key: &str| key.ends_with("relative_attention_bias.weight");
    let last_table = keys.iter().rfind(|(key, _)| table(key)).expect("a table").0.clone();
    let own: Vec<(String, Vec<usize>)> =
        keys.iter().filter(|(key, _)| !table(key) || key.contains(".layers.0.")).cloned().collect();
    let metadata =
        Map::from_iter([("asdbench".to_owned(), Value::String(own_metadata(&description["cfg"])))]);
    let bytes = procedural::safetensors(&own, &metadata, |n| {
        let (key, shape) = &own[n];
        procedural(if table(key) { &last_table } else { key }, shape, salt, gain)
    });
    let checkpoint = procedural::checkpoint(bytes);
    let model = identify(&checkpoint, None).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(Some(model.parameters() as u64), description["params_unique"].as_u64());
    for device in devices() {
        let net = load(&checkpoint, &model, &device);
        let mut first_layer = None;
        let last = net.layers().len() - 1;
        let images = images(&at("fbank_norm"), &device);
        let tokens = net.forward(images, None, last, &mut |n, tokens| {
            if n == 0 {
                first_layer = Some(tokens.clone());
            }
        });
        let head = |tokens: Tensor<3>, expected: &ArrayD<f32>| host(tokens.narrow(1, 0, expected.shape()[0]));
        let expected = array(&at("base_proc_layer0_head"));
        let found = head(first_layer.expect("a first layer"), &expected);
        close("full size, first layer", &found, &expected, FULL_LAYER);
        let expected = array(&at("base_proc_final_head"));
        close("full size, result", &head(tokens.clone(), &expected), &expected, FULL_STEP);
        close("full size, embedding", &mean(tokens), &array(&at("base_proc_embedding")), FULL_MEAN);
    }
}

/// Our metadata for a `cfg`.
fn own_metadata(config: &Value) -> String {
    let field = |key: &str| config[key].clone();
    let beats = object!({
        "layers": field("encoder_layers"), "width": field("encoder_embed_dim"),
        "hidden": field("encoder_ffn_embed_dim"), "heads": field("encoder_attention_heads"),
        "embed": field("embed_dim"), "patch": field("input_patch_size"),
        "conv_pos": field("conv_pos"), "conv_pos_groups": field("conv_pos_groups"),
        "num_buckets": field("num_buckets"), "max_distance": field("max_distance"),
        "deep_norm": field("deep_norm"), "classes": null,
    });
    object!({
        "kind": "encoder", "architecture": {"beats": beats}, "origin": "a rule", "labels": null,
        "random": null, "config": config,
    })
    .to_string()
}

/// Normalised filter banks of clips, `[clips, frames, 128]`.
fn banks(clips: &Array2<f32>, device: &Device) -> Tensor<3> {
    let bank = KaldiBank::new(KaldiSpec::beats());
    let rows = clips.axis_iter(Axis(0)).map(|clip| {
        let samples = clip.to_vec();
        let frames = bank.frames(samples.len());
        let mut image = vec![0.0; frames * MELS];
        let filled = bank.compute_into(&samples, &mut KaldiScratch::default(), &mut image);
        filled.unwrap_or_else(|e| panic!("{e}"));
        bank.normalise(&mut image);
        Tensor::from_data(TensorData::new(image, [frames, MELS]), device)
    });
    Tensor::stack::<3>(rows.collect::<Vec<Tensor<2>>>(), 0)
}

#[test]
fn what_a_checkpoint_is() {
    let Some(folder) = folder("beats") else { return };
    let listed: Vec<(String, Vec<usize>)> = {
        let keys = json(&folder.join("tiny_pretrained_keys.json"));
        let keys = keys.get("keys").unwrap_or(&keys).clone();
        serde_json::from_value::<std::collections::BTreeMap<_, _>>(keys).unwrap().into_iter().collect()
    };
    let (_, model) = open(&folder.join("tiny_pretrained.pt"));
    assert!(matches!(model.architecture, Architecture::Beats(_)));
    let spare: usize = model.left_over.iter().map(|left| left.tensors).sum();
    assert_eq!(model.used.len() + spare, listed.len(), "every tensor is used or left over");
    for used in &model.used {
        let (_, shape) = listed.iter().find(|(key, _)| *key == used.from).expect("a name of the file");
        assert_eq!(used.shape, *shape, "{}", used.from);
    }
}
