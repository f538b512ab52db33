//! Sizes, names and properties; the numbers themselves are held against the reference in `tests/suite/conformance/ced.rs`.

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use serde_json::{Value, json};

use super::*;
use crate::nn::import::Checkpoint;
use crate::nn::init::Init;
use crate::nn::weights;

/// 4 bands of 8, 5 steps and 2 frames.
const SMALL: CedSize = CedSize {
    layers: 2,
    width: 12,
    heads: 3,
    hidden: 20,
    mels: 32,
    patch: 8,
    piece_frames: 42,
    classes: Some(5),
};

fn net(device: &Device) -> Ced {
    Ced::new(&SMALL, Init::new(3, device))
}

/// `[batch, frames, mels]`, different everywhere.
fn images(batch: usize, frames: usize, device: &Device) -> Tensor<3> {
    let values =
        (0..batch * frames * SMALL.mels).map(|n| ((n * n) as f32 * 0.37).sin() * 3.0 - 1.0).collect();
    Tensor::from_data(TensorData::new::<f32, _>(values, [batch, frames, SMALL.mels]), device)
}

fn host<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_to_vec().unwrap()
}

/// Tokens behind the last block, and class logits.
fn heard(net: &Ced, images: Tensor<3>) -> (Tensor<3>, Tensor<2>) {
    let tokens = net.forward(images, SMALL.layers - 1, &mut |_, _| {});
    let logits = net.classify(&tokens).unwrap();
    (tokens, logits)
}

fn elements(size: CedSize) -> usize {
    size.tensors().iter().map(|(_, shape)| shape.iter().product::<usize>()).sum()
}

#[test]
fn the_public_sizes_have_as_many_parameters_as_the_reference() {
    // Counted in the reference; the batch norm has a running mean and variance of 64 bands beside them.
    let expected = [5_503_183, 9_696_655, 21_622_543, 85_711_759].map(|parameters| parameters + 2 * 64);
    assert_eq!([CedSize::tiny(), CedSize::mini(), CedSize::small(), CedSize::base()].map(elements), expected);
}

#[test]
fn the_network_has_the_tensors_that_its_size_lists() {
    let device = Device::flex();
    for size in [SMALL, CedSize { classes: None, ..SMALL }] {
        let net = Ced::new(&size, Init::new(1, &device));
        assert_eq!(net.num_params(), elements(size));
        let file = Checkpoint::from_bytes(weights::to_safetensors(&net, String::new()).unwrap()).unwrap();
        let tensors = file.tensors(&[]).unwrap();
        let mut found: Vec<_> =
            tensors.iter().map(|(name, of)| (name.to_owned(), of.shape().to_vec())).collect();
        let mut listed = size.tensors();
        found.sort();
        listed.sort();
        assert_eq!(found, listed);
        assert_eq!(recognise(&tensors), Some(Names::Authors));
    }
}

#[test]
fn the_tokens_of_clips() {
    let size = CedSize::tiny();
    let grid = |frames| size.grid(frames).map(|grid| (grid.pieces, grid.steps, grid.bands)).ok();
    assert_eq!(grid(15), None);
    assert_eq!(grid(16), Some((1, 1, 4)));
    assert_eq!(grid(101), Some((1, 6, 4))); // 1 s
    assert_eq!(grid(1001), Some((1, 62, 4))); // 10 s
    assert_eq!(grid(1012), Some((1, 63, 4)));
    assert_eq!(grid(1013), Some((2, 63, 4)));
    assert_eq!(grid(1801), Some((2, 63, 4))); // 18 s
    assert_eq!(grid(2024), Some((2, 63, 4)));
    assert_eq!(size.grid(1801).unwrap().tokens(), 504);
    assert!(size.grid(15).unwrap_err().to_string().contains("0.15 s"));
}

#[test]
fn the_network_gives_the_tokens_that_its_size_promises() {
    let device = Device::flex();
    let net = net(&device);
    for frames in [8, 9, 41, 42, 43, 84, 100] {
        let (tokens, logits) = heard(&net, images(2, frames, &device));
        assert_eq!(tokens.dims(), [2, SMALL.grid(frames).unwrap().tokens(), 12], "{frames} frames");
        assert_eq!(logits.dims(), [2, 5], "{frames} frames");
    }
}

#[test]
fn every_block_is_shown_and_the_norm_comes_behind_the_last() {
    let device = Device::flex();
    let net = net(&device);
    let x = images(2, 30, &device);
    let mut shown = Vec::new();
    let whole =
        host(net.forward(x.clone(), 1, &mut |layer, tokens| shown.push((layer, host(tokens.clone())))));
    assert_eq!(shown.iter().map(|(layer, _)| *layer).collect::<Vec<_>>(), [0, 1]);
    let first = host(net.forward(x, 0, &mut |layer, _| assert_eq!(layer, 0)));
    assert_eq!(first, shown[0].1, "behind a block in the middle there is no norm");
    assert_ne!(whole, shown[1].1);
    // A fresh norm: each token has mean 0 and variance 1, but for the epsilon.
    for token in whole.chunks(12) {
        let mean = token.iter().sum::<f32>() / 12.0;
        let variance = token.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / 12.0;
        assert!(mean.abs() < 1e-5 && (variance - 1.0).abs() < 1e-3, "{mean} {variance}");
    }
}

#[test]
fn frames_that_fill_no_patch_are_not_heard() {
    let device = Device::flex();
    let net = net(&device);
    let (whole, shorter) = (images(1, 31, &device), images(1, 31, &device).narrow(1, 0, 24));
    assert_eq!(host(heard(&net, whole).0), host(heard(&net, shorter).0));
}

#[test]
fn a_clip_does_not_depend_on_its_neighbours() {
    let device = Device::flex();
    let net = net(&device);
    for frames in [42, 100] {
        let batch = images(5, frames, &device);
        let (tokens, logits) = heard(&net, batch.clone());
        for clip in 0..5 {
            let (alone, alone_logits) = heard(&net, batch.clone().narrow(0, clip, 1));
            assert_eq!(
                host(tokens.clone().narrow(0, clip, 1)),
                host(alone),
                "clip {clip} of {frames} frames"
            );
            assert_eq!(host(logits.clone().narrow(0, clip, 1)), host(alone_logits), "clip {clip}");
        }
    }
}

#[test]
fn a_long_clip_has_the_mean_probability_of_its_pieces() {
    let device = Device::flex();
    let net = net(&device);
    let sigmoid = |x: &f32| 1.0 / (1.0 + (-f64::from(*x)).exp());
    let x = images(1, 84, &device);
    let (_, whole) = heard(&net, x.clone());
    let pieces = [0, 42].map(|first| host(heard(&net, x.clone().narrow(1, first, 42)).1));
    for (class, logit) in host(whole).iter().enumerate() {
        let mean = pieces.iter().map(|piece| sigmoid(&piece[class])).sum::<f64>() / 2.0;
        // A few roundings of f32.
        assert!((sigmoid(logit) - mean).abs() < 1e-6, "class {class}");
    }
}

#[test]
fn sizes_are_read_from_shapes() {
    for size in [CedSize::tiny(), CedSize::mini(), CedSize::small(), CedSize::base()] {
        assert_eq!(read(size, None).unwrap(), size);
        let headless = CedSize { classes: None, ..size };
        assert_eq!(read(headless, None).unwrap(), headless);
    }
    let config = json!({"num_heads": 3, "target_length": 42, "patch_stride": 8, "f_min": 0.0, "f_max": null});
    assert_eq!(read(SMALL, Some(&config)).unwrap(), SMALL);
    let of_another = json!({"model_type": "eat", "embed_dim": 768, "num_heads": 12});
    assert_eq!(read(CedSize::tiny(), Some(&of_another)).unwrap(), CedSize::tiny());
}

/// The size that the tensors of `size` say, with `config` beside them.
fn read(size: CedSize, config: Option<&Value>) -> Result<CedSize, Error> {
    let tensors = size.tensors();
    CedSize::of_tensors(
        &|name| tensors.iter().find(|(own, _)| own == name).map(|(_, shape)| shape.clone()),
        config,
    )
}

#[test]
fn what_makes_no_network_is_said() {
    let says = |result: Result<CedSize, Error>, words: &str| {
        let text = result.unwrap_err().to_string();
        assert!(text.contains(words), "{text}");
    };
    says(read(SMALL, None), "num_heads");
    says(read(SMALL, Some(&json!({"num_heads": 5}))), "num_heads = 5");
    says(read(SMALL, Some(&json!({"num_heads": "three"}))), "no whole number");
    let tiny = |config: Value| read(CedSize::tiny(), Some(&config));
    says(tiny(json!({"embed_dim": 768})), "embed_dim = 768");
    says(tiny(json!({"target_length": 500})), "target_length = 500");
    says(tiny(json!({"outputdim": 50})), "outputdim = 50");
    says(tiny(json!({"pooling": "token"})), "pooling = \"token\"");
    says(tiny(json!({"n_fft": 1024})), "n_fft = 1024");
    let tensors = CedSize::tiny().tensors();
    let shape = |name: &str| tensors.iter().find(|(own, _)| own == name).map(|(_, shape)| shape.clone());
    let changed = |which: &'static str, to: Option<Vec<usize>>| {
        CedSize::of_tensors(
            &|name| match name == which {
                true => to.clone(),
                false => shape(name),
            },
            None,
        )
    };
    says(changed("cls_token", Some(vec![1, 1, 192])), "class token");
    says(changed("blocks.3.attn.qkv.bias", None), "`blocks.3.attn.qkv.bias` is missing");
    says(changed("norm.weight", Some(vec![7])), "`norm.weight` has the shape [7], not [192]");
    says(changed("time_pos_embed", Some(vec![63])), "has 1 dimensions, not 4");
    says(changed("patch_embed.proj.weight", None), "missing");
}

#[test]
fn hugging_faces_names() {
    let of = |own| Names::HuggingFace.in_file(own);
    assert_eq!(of("init_bn.1.running_var"), "encoder.init_bn.running_var");
    assert_eq!(of("blocks.1.attn.qkv.bias"), "encoder.blocks.1.attn.qkv.bias");
    assert_eq!(of("outputlayer.1.weight"), "outputlayer.1.weight");
    assert_eq!(Names::Authors.in_file("init_bn.1.running_var"), "init_bn.1.running_var");
    assert!(not_needed("front_end.0.mel_scale.fb").is_some());
    assert!(not_needed("encoder.init_bn.num_batches_tracked").is_some());
    assert!(not_needed("decoder.weight").is_none());
}

#[test]
fn labels_stand_in_the_order_of_their_numbers() {
    let size = CedSize { classes: Some(3), ..CedSize::tiny() };
    let labels = |names: Value| size.labels(&json!({ "id2label": names }));
    let expected: Vec<String> = ["a", "b", "c"].map(str::to_owned).to_vec();
    assert_eq!(labels(json!({"2": "c", "0": "a", "1": "b"})), Some(expected));
    assert_eq!(labels(json!({"0": "LABEL_0", "1": "LABEL_1"})), None, "of another number of classes");
    assert_eq!(labels(json!({"1": "a", "2": "b", "3": "c"})), None);
}
