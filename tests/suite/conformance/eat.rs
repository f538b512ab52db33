//! `conformance/eat`: the network step by step against cwx-worst-one/EAT's, from the stored filter bank on, in every form that
//! its weights are published in. Sizes and salts are read from the files.

use std::path::Path;

use asdbench::nn::eat::{Eat, MELS, positions};
use asdbench::nn::import::Checkpoint;
use asdbench::nn::precision::Precision;
use asdbench::nn::pretrained::{Architecture, Encoder, Model, identify};
use burn::tensor::{Device, Tensor};
use ndarray::{Array2, ArrayD};
use ndarray_npy::read_npy;
use serde_json::Map;

use super::procedural::{self, procedural};
use super::tensors::{array, devices, host, tensor, worst};
use super::{files_ending, folder, json, part, report};

/// The README's tolerances.
const STEP: f64 = 1e-3;
const EMBEDDING: f64 = 5e-4;
const AGAINST_F64: f64 = 5e-4;
const POSITIONS: f64 = 1e-5;
/// Of the public sizes: 12 or 24 layers of wide sums, each in another order than the reference's.
const FULL_STEP: f64 = 3e-3;
const FULL_MEAN: f64 = 2e-3;

/// A checkpoint with the configuration beside it, where there is one.
fn open(folder: &Path, name: &str) -> (Checkpoint, Model) {
    let path = folder.join(name);
    let checkpoint = Checkpoint::open(&path).unwrap_or_else(|e| panic!("{e}"));
    let beside = name.ends_with(".safetensors").then(|| json(&folder.join("hf_config.json")));
    let model = identify(&checkpoint, beside.as_ref()).unwrap_or_else(|e| panic!("{name}: {e}"));
    (checkpoint, model)
}

fn load(checkpoint: &Checkpoint, model: &Model, device: &Device) -> Eat {
    match model.load(checkpoint, device, Precision::F32).unwrap_or_else(|e| panic!("{e}")) {
        Encoder::Eat(net) => net,
        _ => panic!("it is no EAT"),
    }
}

fn close(what: &str, found: &[f32], expected: &ArrayD<f32>, tolerance: f64) {
    let error = worst(found, expected.iter().copied(), 0.0);
    report(what, error, tolerance);
    assert!(error <= tolerance, "{what}: {error}");
}

fn images(path: &Path, device: &Device) -> Tensor<3> {
    tensor::<2>(&array(path), device).unsqueeze_dim(0)
}

/// The mean over patches of `[1, tokens, width]`, the class token left out.
fn mean(tokens: &Tensor<3>) -> Vec<f32> {
    let patches = tokens.dims()[1] - 1;
    host(tokens.clone().narrow(1, 1, patches).mean_dim(1))
}

#[test]
fn every_step_is_the_reference_s_in_every_form() {
    let Some(folder) = folder("eat") else { return };
    let at = |name: &str| folder.join(format!("{name}.npy"));
    for device in devices() {
        for name in ["tiny_pretrained.pt", "hf_model.safetensors"] {
            if part(&folder, name).is_none() {
                continue;
            }
            let (checkpoint, model) = open(&folder, name);
            assert!(!model.fine_tuned(), "{name}");
            let net = load(&checkpoint, &model, &device);
            let images = images(&at("short_input"), &device);
            let patches = net.patches(images.clone());
            close("patches", &host(patches.clone()), &array(&at("short_patch")), STEP);
            close("entry", &host(net.enter(patches, 1)), &array(&at("short_enc_in")), STEP);
            let mut seen = 0;
            let last = model.architecture.layers() - 1;
            let result = net.forward(images, last, &mut |n, tokens| {
                close(
                    &format!("block {n}"),
                    &host(tokens.clone()),
                    &array(&at(&format!("short_block{n}"))),
                    STEP,
                );
                seen += 1;
            });
            assert_eq!(seen, model.architecture.layers());
            close("result", &host(result.clone()), &array(&at("short_out")), STEP);
            if let Some(path) = part(&folder, "short_out_f64.npy") {
                let exact: Array2<f64> = read_npy(path).unwrap();
                let exact = exact.mapv(|v| v as f32).into_dyn();
                close("result beside f64", &host(result.clone()), &exact, AGAINST_F64);
            }
            close("mean", &mean(&result), &array(&at("short_mean")), EMBEDDING);
        }
        if part(&folder, "tiny_pretrained_fp16.pt").is_none() {
            continue;
        }
        let (checkpoint, model) = open(&folder, "tiny_pretrained_fp16.pt");
        let net = load(&checkpoint, &model, &device);
        let last = model.architecture.layers() - 1;
        let result = net.forward(images(&at("short_input"), &device), last, &mut |_, _| {});
        close("f16 weights", &host(result), &array(&at("short_out_fp16weights")), STEP);
    }
}

#[test]
fn a_fine_tuned_network_tells_classes_apart() {
    let Some(folder) = folder("eat") else { return };
    let at = |name: &str| folder.join(format!("{name}.npy"));
    if part(&folder, "tiny_finetuned.pt").is_none() {
        return;
    }
    let device = Device::flex();
    let (checkpoint, model) = open(&folder, "tiny_finetuned.pt");
    let expected = array(&at("finetuned_logits"));
    assert_eq!(model.architecture.classes(), Some(expected.len()));
    let net = load(&checkpoint, &model, &device);
    let last = model.architecture.layers() - 1;
    let tokens = net.forward(images(&at("short_input"), &device), last, &mut |_, _| {});
    close("fine-tuned result", &host(tokens.clone()), &array(&at("finetuned_short_out")), STEP);
    close("fine-tuned mean", &mean(&tokens), &array(&at("finetuned_short_mean")), EMBEDDING);
    close("logits", &host(net.classify(&tokens).expect("classes")), &expected, STEP);
}

#[test]
fn tables_of_positions() {
    let Some(folder) = folder("eat") else { return };
    if let Some(path) = part(&folder, "positions.npy") {
        let expected = array(&path);
        let (checkpoint, model) = open(&folder, "tiny_pretrained.pt");
        let Architecture::Eat(size) = &model.architecture else { panic!("it is no EAT") };
        let bands = MELS / size.patch;
        let own = positions(size.positions / bands, bands, size.width);
        close("positions", &own, &expected, POSITIONS);
        let stored = model.tensors(&checkpoint).unwrap();
        let (_, stored) =
            stored.iter().find(|(name, _)| name == "fixed_positional_encoder.positions").expect("positions");
        close("stored positions", &stored.to_f32().unwrap(), &expected, POSITIONS);
    }
    // Rows of the table of a public size, that of the same width. No file but the README names them.
    let rows = [0, 1, 7, 8, 9, 511, 4095, 6143];
    let expected = array(&folder.join("positions_768_samples.npy"));
    let width = expected.shape()[1];
    let (steps, bands) = files_ending(&folder, "_proc.json")
        .into_iter()
        .map(|(_, path)| procedural::keys(&json(&path)))
        .find_map(|keys| {
            grid(&keys).filter(|(of, _, _)| *of == width).map(|(_, steps, bands)| (steps, bands))
        })
        .expect("a network of that width");
    let table = positions(steps, bands, width);
    let expected: Vec<f32> = expected.iter().copied().collect();
    for (n, row) in rows.into_iter().enumerate() {
        // The reference's frequencies are f32 powers as its machine's library rounds them, one unit of the last place to
        // either side: 2^-23 of an angle, which grows with the place.
        let tolerance = POSITIONS + (row / bands).max(row % bands) as f64 * (-23f64).exp2();
        let (found, expected) =
            (&table[row * width..(row + 1) * width], &expected[n * width..(n + 1) * width]);
        let error = worst(found, expected.iter().copied(), 0.0);
        report(&format!("positions of the public size, row {row}"), error, tolerance);
        assert!(error <= tolerance, "row {row}: {error}");
    }
}

/// Width, time steps and bands of a network's table of positions.
fn grid(keys: &[(String, Vec<usize>)]) -> Option<(usize, usize, usize)> {
    let shape = |end: &str| keys.iter().find(|(key, _)| key.ends_with(end)).map(|(_, shape)| shape);
    let &[_, rows, width] = shape(".positions")?.as_slice() else { return None };
    let bands = MELS / shape("local_encoder.proj.weight")?.last()?;
    Some((width, rows / bands, bands))
}

/// The public sizes with made-up weights.
#[test]
fn full_sizes_with_procedural_weights() {
    let Some(folder) = folder("eat") else { return };
    let at = |name: &str| folder.join(format!("{name}.npy"));
    let networks = files_ending(&folder, "_proc.json");
    assert!(!networks.is_empty(), "no networks in {}", folder.display());
    for (name, path) in networks {
        let description = json(&path);
        let (salt, gain) = procedural::rule(&description);
        let keys = procedural::keys(&description);
        let (width, steps, bands) = grid(&keys).expect("patches and positions");
        let bytes = procedural::safetensors(&keys, &Map::new(), |n| {
            let (key, shape) = &keys[n];
            match key.ends_with("fixed_positional_encoder.positions") {
                true => positions(steps, bands, width),
                false => procedural(key, shape, salt, gain),
            }
        });
        let checkpoint = procedural::checkpoint(bytes);
        // Without fairseq's envelope the width of a head is what tells how many there are.
        let model = identify(&checkpoint, None).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(Some(model.architecture.heads() as u64), description["num_heads"].as_u64());
        let of_positions = keys.iter().find(|(key, _)| key.ends_with(".positions")).expect("positions");
        let without = model.parameters() - of_positions.1.iter().product::<usize>();
        assert_eq!(Some(without as u64), description["params_without_positions"].as_u64());
        for device in devices() {
            let net = load(&checkpoint, &model, &device);
            let last = model.architecture.layers() - 1;
            let tokens = net.forward(images(&at("short_input"), &device), last, &mut |_, _| {});
            let expected = array(&at(&format!("{name}_proc_out_head")));
            let head = host(tokens.clone().narrow(1, 0, expected.shape()[0]));
            close(&format!("{name}, first tokens"), &head, &expected, FULL_STEP);
            close(
                &format!("{name}, mean"),
                &mean(&tokens),
                &array(&at(&format!("{name}_proc_mean"))),
                FULL_MEAN,
            );
        }
    }
}

#[test]
fn what_a_checkpoint_is() {
    let Some(folder) = folder("eat") else { return };
    for name in ["tiny_pretrained.pt", "tiny_pretrained_fp16.pt", "tiny_finetuned.pt", "hf_model.safetensors"]
    {
        if part(&folder, name).is_none() {
            continue;
        }
        let (checkpoint, model) = open(&folder, name);
        let at: &[&str] = if name.ends_with(".pt") { &["model"] } else { &[] };
        let all = checkpoint.tensors(at).unwrap_or_else(|e| panic!("{e}"));
        let spare: usize = model.left_over.iter().map(|left| left.tensors).sum();
        assert_eq!(model.used.len() + spare, all.len(), "{name}: every tensor is used or left over");
        let average = model.left_over.iter().find(|left| left.name.starts_with("_ema"));
        let expected = all.names().filter(|key| key.starts_with("_ema")).count();
        assert_eq!(average.map_or(0, |group| group.tensors), expected, "{name}");
    }
}
