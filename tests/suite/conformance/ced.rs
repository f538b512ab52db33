//! `conformance/ced`: the authors' and Hugging Face's form of a tiny CED, against the reference. Sizes are read from the
//! files, expected values from the arrays beside them.

use std::path::{Path, PathBuf};

use asdbench::nn::ced::Ced;
use asdbench::nn::import::Checkpoint;
use asdbench::nn::precision::Precision;
use asdbench::nn::pretrained::{Encoder, identify};
use burn::tensor::activation::sigmoid;
use burn::tensor::{Device, Tensor};

use super::tensors::{array, devices, host, tensor, worst};
use super::{files_ending, folder, json, report};

/// The README's tolerance.
const FORWARD: f64 = 1e-3;

/// The files of one form: the folder of its expected values, and its checkpoint.
fn forms() -> Vec<(PathBuf, PathBuf)> {
    let Some(folder) = folder("ced") else { return Vec::new() };
    let only = |folder: PathBuf, suffix: &str| {
        let files = files_ending(&folder, suffix);
        let [(_, file)] = files.as_slice() else {
            panic!("{}: {} checkpoints", folder.display(), files.len())
        };
        (folder.clone(), file.clone())
    };
    vec![only(folder.join("authors"), ".pt"), only(folder.join("hf"), ".safetensors")]
}

/// Whose form a checkpoint has, and its network; with the `config.json` beside it, where there is one.
fn open(path: &Path, device: &Device) -> (&'static str, Ced) {
    let file = Checkpoint::open(path).unwrap_or_else(|e| panic!("{e}"));
    let beside = path.with_file_name("config.json");
    let config = beside.exists().then(|| json(&beside));
    let model = identify(&file, config.as_ref()).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    match model.load(&file, device, Precision::F32).unwrap_or_else(|e| panic!("{}: {e}", path.display())) {
        Encoder::Ced(net) => (if config.is_some() { "Hugging Face" } else { "authors" }, net),
        _ => panic!("{} is no CED", path.display()),
    }
}

/// The tokens of the last block, normed, and class probabilities.
fn heard(net: &Ced, images: Tensor<3>) -> (Tensor<3>, Tensor<2>) {
    let tokens = net.forward(images, net.size().layers - 1, &mut |_, _| {});
    let probabilities = sigmoid(net.classify(&tokens).expect("a classifier"));
    (tokens, probabilities)
}

fn near<const D: usize>(what: &str, found: Tensor<D>, expected: &Path) {
    let error = worst(&host(found), array(expected), 0.0);
    report(what, error, FORWARD);
    assert!(error <= FORWARD, "{what}: {error}");
}

/// The clip's spectrogram `[1, frames, mels]`.
fn clip(form: &Path, device: &Device) -> Tensor<3> {
    tensor::<2>(&array(&form.with_file_name("input_db.npy")), device).unsqueeze()
}

#[test]
fn every_step_of_a_short_clip() {
    for (form, file) in forms() {
        for device in devices() {
            let (form_name, net) = open(&file, &device);
            let images = clip(&form, &device);
            let [_, frames, _] = images.dims();
            let grid = net.size().grid(frames).unwrap();
            assert!(grid.pieces == 1 && grid.steps < net.size().steps(), "the clip cuts no table: {grid:?}");

            let mut blocks = 0;
            let tokens = net.forward(images, net.size().layers - 1, &mut |layer, tokens| {
                blocks += 1;
                let expected = form.join(format!("block{layer}.npy"));
                near(&format!("{form_name}, block {layer}"), tokens.clone(), &expected);
            });
            assert_eq!(blocks, net.size().layers);
            assert_eq!(tokens.dims()[1], grid.tokens());
            near(&format!("{form_name}, norm"), tokens.clone(), &form.join("norm.npy"));
            near(&format!("{form_name}, mean"), tokens.clone().mean_dim(1), &form.join("embedding.npy"));
            let logits = net.classify(&tokens).expect("a classifier");
            near(&format!("{form_name}, logits"), logits.clone(), &form.join("logits.npy"));
            near(&format!("{form_name}, classes"), sigmoid(logits), &form.join("probabilities.npy"));
        }
    }
}

#[test]
fn a_long_clip_goes_through_in_pieces_the_last_of_them_filled() {
    for (form, file) in forms() {
        for device in devices() {
            let (form_name, net) = open(&file, &device);
            let images = clip(&form, &device).repeat_dim(1, 12);
            let frames = images.dims()[1];
            let grid = net.size().grid(frames).unwrap();
            assert!(grid.pieces > 1 && !frames.is_multiple_of(net.size().piece_frames), "{grid:?}");
            let (tokens, probabilities) = heard(&net, images);
            near(&format!("{form_name}, long, mean"), tokens.mean_dim(1), &form.join("long_embedding.npy"));
            near(&format!("{form_name}, long, classes"), probabilities, &form.join("long_probabilities.npy"));
        }
    }
}

/// The reference leaves out the last of whole pieces; here it is heard.
#[test]
fn whole_pieces_are_all_heard() {
    for (form, file) in forms() {
        let device = Device::flex();
        let (form_name, net) = open(&file, &device);
        let (piece, clip) = (net.size().piece_frames, clip(&form, &device));
        let times = (2 * piece).div_ceil(clip.dims()[1]);
        let images = clip.repeat_dim(1, times).narrow(1, 0, 2 * piece);
        let expected = form.join("whole_probabilities.npy");
        let (_, first) = heard(&net, images.clone().narrow(1, 0, piece));
        near(&format!("{form_name}, the first of two pieces"), first, &expected);
        let (tokens, both) = heard(&net, images);
        assert_eq!(tokens.dims()[1], 2 * net.size().bands() * net.size().steps());
        let difference = worst(&host(both), array(&expected), 0.0);
        assert!(difference > FORWARD, "the second piece changes nothing: {difference}");
    }
}
