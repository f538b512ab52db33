//! `conformance/cmgan`: the generator's parts, the whole of it with fewer and fewer blocks, its front end, and a wave from
//! end to end, against the reference. Widths, lengths and depths are read from the files.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use asdbench::audio::{ChannelChoice, read_wav};
use asdbench::nn::cmgan::{
    Attention, Cmgan, CmganSize, ComplexDecoder, Conformer, ConformerSize, DenseEncoder, DilatedDense,
    MaskDecoder, Pass, Stft, SubPixel, Tscb, compress, expand, rms,
};
use asdbench::nn::import::{Checkpoint, Tensors};
use asdbench::nn::init::Init;
use asdbench::nn::weights;
use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use ndarray::ArrayD;

use super::tensors::{array, devices, gradients_by_name, host, state, tensor, worst};
use super::{files_ending, folder, report};

/// The README's tolerances.
const FORWARD: f64 = 1e-3;
const POINTS: f64 = 5e-4;
const WAVE: f64 = 1e-3;
const TRAINING: Pass = Pass::Train { dropout: 0 };

fn at(folder: &Path, name: &str) -> ArrayD<f32> {
    array(&folder.join(name))
}

fn shape(tensors: &Tensors<'_>, name: &str) -> Vec<usize> {
    tensors.require(name).unwrap_or_else(|e| panic!("{name}: {e}")).shape().to_vec()
}

/// Holds `forward` of `{name}_in.npy` to `{name}_out.npy`; `make` gets the weights of `{name}.safetensors`.
fn part<M: Module>(
    name: &str,
    make: impl Fn(&Tensors<'_>, Init<'_>) -> M,
    forward: impl Fn(&M, Tensor<4>) -> Tensor<4>,
) {
    let Some(folder) = folder("cmgan") else { return };
    let device = Device::flex();
    let file = Checkpoint::open(&folder.join(format!("{name}.safetensors"))).unwrap();
    let tensors = file.tensors(&[]).unwrap();
    let net = weights::from_checkpoint(make(&tensors, Init::new(1, &device)), &tensors).unwrap();
    let input = tensor::<4>(&at(&folder, &format!("{name}_in.npy")), &device);
    let expected = at(&folder, &format!("{name}_out.npy"));
    let found = forward(&net, input);
    assert_eq!(found.dims().as_slice(), expected.shape(), "{name}");
    let error = worst(&host(found), expected, 0.0);
    report(name, error, FORWARD);
    assert!(error <= FORWARD, "{name}: {error}");
}

#[test]
fn the_dilated_dense_block() {
    let make =
        |t: &Tensors<'_>, init: Init<'_>| DilatedDense::new("block", shape(t, "conv1.weight")[0], init);
    part("dilated_dense", make, |net, x| net.forward(x));
}

#[test]
fn the_encoder() {
    let make = |t: &Tensors<'_>, init: Init<'_>| {
        let entry = shape(t, "conv_1.0.weight");
        DenseEncoder::new(entry[1], entry[0], init)
    };
    part("dense_encoder", make, |net, x| net.forward(x));
}

#[test]
fn the_sub_pixel_convolution() {
    let make = |t: &Tensors<'_>, init: Init<'_>| SubPixel::new("layer", shape(t, "conv.weight")[1], init);
    part("sp_conv", make, |net, x| net.forward(x));
}

#[test]
fn the_decoders() {
    let mask = |t: &Tensors<'_>, init: Init<'_>| {
        let (channels, bins) = (shape(t, "conv_1.weight")[1], shape(t, "prelu_out.weight")[0]);
        MaskDecoder::new(channels, bins, init)
    };
    part("mask_decoder", mask, |net, x| net.forward(x));
    let complex = |t: &Tensors<'_>, init: Init<'_>| ComplexDecoder::new(shape(t, "conv.weight")[1], init);
    part("complex_decoder", complex, |net, x| net.forward(x));
}

/// The sizes of the conformer whose parameters start with `prefix`.
fn conformer_size(tensors: &Tensors<'_>, prefix: &str) -> ConformerSize {
    let table = shape(tensors, &format!("{prefix}attn.fn.rel_pos_emb.weight"));
    let depthwise = shape(tensors, &format!("{prefix}conv.net.4.conv.weight"));
    let dim = shape(tensors, &format!("{prefix}post_norm.weight"))[0];
    ConformerSize { dim, heads: dim / table[1], kernel: depthwise[2], reach: table[0] / 2, dropout: 0.0 }
}

#[test]
fn the_two_stage_block() {
    let make =
        |t: &Tensors<'_>, init: Init<'_>| Tscb::new("block", conformer_size(t, "time_conformer."), init);
    part("tscb", make, |net, x| net.forward(x, Pass::Evaluate));
}

#[test]
fn the_conformer_in_both_modes_with_its_gradients() {
    let Some(folder) = folder("cmgan") else { return };
    devices().into_iter().for_each(|device| conformer_on(device, &folder));
}

fn conformer_on(device: Device, folder: &Path) {
    let file = Checkpoint::open(&folder.join("conformer.safetensors")).unwrap();
    let tensors = file.tensors(&[]).unwrap();
    let net = |device: &Device| {
        let fresh = Conformer::new("block", conformer_size(&tensors, ""), Init::new(1, device));
        weights::from_checkpoint(fresh, &tensors).unwrap()
    };
    let input = at(folder, "conformer_in.npy");
    let whole = host(net(&device).forward(tensor(&input, &device), Pass::Evaluate));
    let steps = net(&device).steps(tensor(&input, &device), Pass::Evaluate);
    assert!(whole == host(steps.output.clone()), "the block and its steps differ");
    for (name, found) in [
        ("after_ff1", steps.ff1),
        ("after_attn", steps.attn),
        ("after_conv", steps.conv),
        ("after_ff2", steps.ff2),
        ("out_eval", steps.output),
    ] {
        let error = worst(&host(found), at(folder, &format!("conformer_{name}.npy")), 0.0);
        report(name, error, FORWARD);
        assert!(error <= FORWARD, "{name}: {error}");
    }

    let training = device.autodiff();
    let net = net(&training);
    let x = tensor::<3>(&input, &training).require_grad();
    let output = net.forward(x.clone(), TRAINING);
    let error = worst(&host(output.clone()), at(folder, "conformer_out_train.npy"), 0.0);
    report("training", error, FORWARD);
    assert!(error <= FORWARD, "training: {error}");
    let loss = (output * tensor::<3>(&at(folder, "conformer_loss_weight.npy"), &training)).mean();
    let gradients = loss.backward();
    // rtol 1e-3, atol 1e-6.
    let error = worst(&host(x.grad(&gradients).unwrap()), at(folder, "conformer_grad_in.npy"), 1e-3);
    assert!(error <= 1e-6, "gradient of the input: {error}");
    let found = gradients_by_name(&net, &gradients);
    let expected = Checkpoint::open(&folder.join("conformer_grads.safetensors")).unwrap();
    let expected = expected.tensors(&[]).unwrap();
    assert!(expected.len() >= 20, "{} gradients", expected.len());
    for (name, gradient) in expected.iter() {
        let error = worst(&found[name], gradient.to_f32().unwrap(), 1e-3);
        report(&format!("gradient of {name}"), error, 1e-6);
        assert!(error <= 1e-6, "gradient of {name}: {error}");
    }
    let after = Checkpoint::open(&folder.join("conformer_bn_after.safetensors")).unwrap();
    let (after, state) = (after.tensors(&[]).unwrap(), state(&net));
    assert!(after.len() >= 2);
    for (name, value) in after.iter() {
        // Sums over all rows in another order.
        let error = worst(&state[name], value.to_f32().unwrap(), 1e-5);
        assert!(error <= 1e-6, "{name} after one step: {error}");
    }
}

#[test]
fn positions_beyond_the_table_count_as_its_ends() {
    let Some(folder) = folder("cmgan") else { return };
    let device = Device::flex();
    let file = Checkpoint::open(&folder.join("attn_clamp.safetensors")).unwrap();
    let tensors = file.tensors(&[]).unwrap();
    let (table, dim) = (shape(&tensors, "rel_pos_emb.weight"), shape(&tensors, "to_q.weight")[1]);
    let size = ConformerSize { dim, heads: dim / table[1], kernel: 1, reach: table[0] / 2, dropout: 0.0 };
    let input = at(&folder, "attn_clamp_in.npy");
    assert!(input.shape()[1] > size.reach + 1, "the file exercises no clamping");
    let net = Attention::new("attn", size, Init::new(1, &device));
    let net = weights::from_checkpoint(net, &tensors).unwrap();
    let found = host(net.forward(tensor(&input, &device)));
    let error = worst(&found, at(&folder, "attn_clamp_out.npy"), 0.0);
    report("clamped positions", error, FORWARD);
    assert!(error <= FORWARD, "{error}");
}

/// Blocks that a file has.
fn blocks(tensors: &Tensors<'_>) -> usize {
    (1..).take_while(|n| tensors.get(&format!("TSCB_{n}.time_conformer.post_norm.weight")).is_some()).count()
}

/// The file's generator with its first `blocks` blocks.
fn generator(tensors: &Tensors<'_>, blocks: usize, hop: impl Fn(usize) -> usize, device: &Device) -> Cmgan {
    let channels = shape(tensors, "dense_encoder.conv_1.0.weight")[0];
    let n_fft = 2 * (shape(tensors, "mask_decoder.prelu_out.weight")[0] - 1);
    let size = CmganSize { channels, blocks, n_fft, hop_samples: hop(n_fft), dropout: 0.2 };
    let wanted: BTreeMap<String, (Vec<usize>, Vec<u8>)> = tensors
        .iter()
        .filter(|(name, _)| !name.ends_with("num_batches_tracked"))
        .filter(|(name, _)| (blocks + 1..=9).all(|n| !name.starts_with(&format!("TSCB_{n}."))))
        .map(|(name, t)| {
            let bytes = t.to_f32().unwrap().iter().flat_map(|v| v.to_le_bytes()).collect();
            (name.to_owned(), (t.shape().to_vec(), bytes))
        })
        .collect();
    let views = wanted.iter().map(|(name, (shape, bytes))| {
        let view = safetensors::tensor::TensorView::new(safetensors::Dtype::F32, shape.clone(), bytes);
        (name, view.unwrap())
    });
    let bytes = safetensors::serialize(views, None).unwrap();
    weights::from_safetensors(Cmgan::new(size, Init::new(1, device)), &bytes).unwrap()
}

#[test]
fn the_generator_with_each_number_of_blocks() {
    let Some(folder) = folder("cmgan") else { return };
    devices().into_iter().for_each(|device| generators_on(&device, &folder));
}

fn generators_on(device: &Device, folder: &Path) {
    let file = Checkpoint::open(&folder.join("tscnet.safetensors")).unwrap();
    let tensors = file.tensors(&[]).unwrap();
    let input = tensor::<4>(&at(folder, "tscnet_in.npy"), device);
    let all = blocks(&tensors);
    let mut compared = 0;
    for count in 0..=all {
        let stem = if count == all { "tscnet".to_owned() } else { format!("tscnet_n{count}") };
        if !folder.join(format!("{stem}_real.npy")).exists() {
            continue;
        }
        // No wave is made here: any hop does.
        let net = generator(&tensors, count, |n_fft| n_fft, device);
        let found = net.forward(input.clone(), Pass::Evaluate);
        for (part, name) in [(0, "real"), (1, "imag")] {
            let expected = at(folder, &format!("{stem}_{name}.npy"));
            let error = worst(&host(found.clone().narrow(1, part, 1)), expected, 0.0);
            report(&format!("{stem} {name}"), error, FORWARD);
            assert!(error <= FORWARD, "{stem} {name}: {error}");
        }
        compared += 1;
    }
    assert!(compared > 1, "{compared} generators");
    let points = generator(&tensors, all, |n_fft| n_fft, device).maps(input, Pass::Evaluate);
    assert_eq!(points.len(), all + 1);
    for (index, point) in points.into_iter().enumerate() {
        let means = [
            ("chanmean", host(point.clone().mean_dim(1))),
            ("globalmean", host(point.mean_dim(2).mean_dim(3))),
        ];
        for (name, found) in means {
            let error = worst(&found, at(folder, &format!("point{index}_{name}.npy")), 0.0);
            report(&format!("point {index} {name}"), error, POINTS);
            assert!(error <= POINTS, "point {index} {name}: {error}");
        }
    }
}

/// A whole number that the README gives behind a word.
fn stated(folder: &Path, word: &str) -> usize {
    let text = fs::read_to_string(folder.join("README.md")).unwrap();
    let number = text.split(&format!("{word} ")).skip(1).find_map(|after| {
        after.split(|c: char| !c.is_ascii_digit()).next().and_then(|digits| digits.parse().ok())
    });
    number.unwrap_or_else(|| panic!("no {word} in the README of {}", folder.display()))
}

#[test]
fn the_front_end_and_its_inverse() {
    let Some(folder) = folder("cmgan") else { return };
    let device = Device::flex();
    let n_fft = at(&folder, "hamming400_periodic.npy").len();
    let stft = Stft::new(n_fft, stated(&folder, "hop"));
    let samples = read_wav(&folder.join("input.wav"), ChannelChoice::First).unwrap().samples;
    let count = samples.len();
    let wave = Tensor::<2>::from_data(TensorData::new(samples, [1, count]), &device);
    let level = rms(wave.clone());
    let c = at(&folder, "rms_norm_c.npy").iter().copied().collect::<Vec<_>>();
    assert!(worst(&host(level.clone().recip()), c, 1e-5) <= 0.0);

    let wave = wave / level;
    let spectrum = stft.forward(wave.clone());
    let expected = at(&folder, "stft_ri.npy"); // [bins, frames, 2]
    let (bins, frames) = (expected.shape()[0], expected.shape()[1]);
    assert_eq!(spectrum.dims()[3], bins);
    let head = |x: Tensor<4>| x.narrow(2, 0, frames);
    let found = host(head(spectrum.clone()).permute([0, 3, 2, 1]));
    let error = worst(&found, expected.iter().copied(), 0.0);
    report("transform", error, 1e-3);
    assert!(error <= 1e-3, "transform: {error}");

    // Where a magnitude is below 1e-4 its power hangs on rounding.
    let loud = host(head(spectrum.clone()).square().sum_dim(1).sqrt());
    let (found, expected) = (host(head(compress(spectrum.clone()))), at(&folder, "power_compress.npy"));
    let expected: Vec<f32> = expected.iter().copied().collect();
    let mut compared = 0;
    for (index, (found, expected)) in found.iter().zip(&expected).enumerate() {
        if loud[index % loud.len()] >= 1e-4 {
            assert!((found - expected).abs() <= 2e-4, "value {index}: {found}, not {expected}");
            compared += 1;
        }
    }
    assert!(compared > expected.len() / 2);

    let back = host(stft.inverse(expand(compress(spectrum)), count));
    let error = worst(&back, at(&folder, "istft_roundtrip.npy"), 0.0);
    report("round trip", error, 2e-3);
    assert!(error <= 2e-3, "round trip: {error}");
    let error = worst(&back, host(wave), 0.0);
    assert!(error <= 2e-3, "round trip, beside the wave: {error}");
}

#[test]
fn a_wave_from_end_to_end() {
    let Some(folder) = folder("cmgan") else { return };
    let device = Device::flex();
    let file = Checkpoint::open(&folder.join("e2e.safetensors")).unwrap();
    let tensors = file.tensors(&[]).unwrap();
    let hop = stated(&folder, "hop");
    let net = generator(&tensors, blocks(&tensors), |_| hop, &device);
    let samples = read_wav(&folder.join("input.wav"), ChannelChoice::First).unwrap().samples;
    let count = samples.len();
    let wave = Tensor::<2>::from_data(TensorData::new(samples, [1, count]), &device);
    let found = net.separate(wave.clone(), Pass::Evaluate);
    for (part, name) in [(0, "real"), (1, "imag")] {
        let expected = at(&folder, &format!("e2e_est_{name}_head.npy"));
        let head = found.spectrum.clone().narrow(1, part, 1).narrow(2, 0, expected.shape()[0]);
        let error = worst(&host(head), expected, 0.0);
        report(&format!("spectrum, {name}"), error, 2e-3);
        assert!(error <= 2e-3, "spectrum, {name}: {error}");
    }
    let expected = at(&folder, "e2e_wave.npy");
    let square = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>();
    let distance =
        square(&mut host(found.wave).iter().zip(expected.iter()).map(|(a, b)| f64::from(*a) - f64::from(*b)));
    let error = (distance / square(&mut expected.iter().map(|v| f64::from(*v)))).sqrt();
    report("wave", error, WAVE);
    assert!(error < WAVE, "wave: {error}");
    let suffix = "_chanmean_timemean.npy";
    let points = net.points(wave, Pass::Evaluate);
    let expected: Vec<_> =
        files_ending(&folder, suffix).into_iter().filter(|(stem, _)| stem.starts_with("e2e_point")).collect();
    assert_eq!(expected.len(), points.len());
    for (point, (stem, path)) in points.into_iter().zip(expected) {
        let error = worst(&host(point.mean_dim(1).mean_dim(2)), array(&path), 0.0);
        report(&stem, error, 1e-3);
        assert!(error <= 1e-3, "{stem}: {error}");
    }
}

/// Values that training changes by their gradients.
fn learnt(net: &Cmgan) -> usize {
    state(net).iter().filter(|(name, _)| !name.contains(".running_")).map(|(_, values)| values.len()).sum()
}

#[test]
fn parameters_are_as_many_as_the_references() {
    let Some(folder) = folder("cmgan") else { return };
    let text = fs::read_to_string(folder.join("param_counts.json")).unwrap();
    let counts: BTreeMap<String, usize> = serde_json::from_str(&text).unwrap();
    assert!(!counts.is_empty());
    let n_fft = at(&folder, "hamming400_periodic.npy").len();
    for (name, expected) in counts {
        let sizes = name.strip_prefix('C').and_then(|sizes| sizes.split_once("_N")).expect("C<n>_N<n>");
        let [channels, blocks] = [sizes.0, sizes.1].map(|size| size.parse().unwrap());
        let size = CmganSize { channels, blocks, n_fft, hop_samples: n_fft / 4, dropout: 0.2 };
        let net = Cmgan::new(size, Init::new(1, &Device::flex()));
        assert_eq!(learnt(&net), expected, "{name}");
    }
}
