//! `conformance/resnet`: residual blocks and networks against torchvision, losses against their definitions in f64.
//! Shapes, depths, widths, salts and constants are read from the files.

use std::collections::BTreeMap;

use asdbench::nn::arcface::{ArcFace, ArcFaceSize};
use asdbench::nn::import::Checkpoint;
use asdbench::nn::init::Init;
use asdbench::nn::linear::Linear;
use asdbench::nn::loss::{cross_entropy, negative_cosine, nt_xent};
use asdbench::nn::resnet::{Backbone, Block, ResNet, ResNetSize};
use asdbench::nn::weights;
use burn::module::Module;
use burn::tensor::{Device, Int, Tensor};
use ndarray::{Array1, ArrayD};
use ndarray_npy::read_npy;
use safetensors::tensor::{Dtype, TensorView};

use super::procedural::procedural;
use super::tensors::{array, gradients_by_name, host, state, tensor, worst};
use super::{files_ending, folder, json, report};

/// The README's tolerances.
const FORWARD: f64 = 1e-3;
const SLIM: f64 = 2e-3;
const LOSS: f64 = 1e-6;
const LOSS_GRADIENT: f64 = 1e-4;

#[test]
fn blocks_are_torchvisions_in_both_modes_with_their_gradients() {
    let Some(folder) = folder("resnet") else { return };
    let blocks = files_ending(&folder, "_lossw.npy");
    assert!(!blocks.is_empty(), "no blocks in {}", folder.display());
    let device = Device::flex();
    for (name, weight_of_loss) in blocks {
        let at = |suffix: &str| folder.join(format!("{name}{suffix}"));
        let file = Checkpoint::open(&at(".safetensors")).unwrap();
        let tensors = file.tensors(&[]).unwrap();
        let planes = tensors.require("conv1.weight").unwrap().shape()[0];
        let expansion = tensors.get("conv3.weight").map_or(1, |of| of.shape()[0] / planes);
        let (input, evaluated) = (array(&at("_in.npy")), array(&at("_out_eval.npy")));
        let halved = |stride: &usize| {
            (2..4).all(|axis| input.shape()[axis].div_ceil(*stride) == evaluated.shape()[axis])
        };
        let stride = (1..8).find(halved).expect("a stride that explains the shapes");
        let block = |device: &Device| {
            let sizes = [input.shape()[1], planes, expansion];
            let fresh = Block::new("block", sizes, stride, Init::new(1, device));
            weights::from_checkpoint(fresh, &tensors).unwrap()
        };

        let found = host(block(&device).forward(tensor::<4>(&input, &device)));
        let error = worst(&found, evaluated, 0.0);
        report(&format!("{name}, evaluation"), error, FORWARD);
        assert!(error <= FORWARD, "{name}: {error}");

        let training = device.clone().autodiff();
        let net = block(&training);
        let x = tensor::<4>(&input, &training).require_grad();
        let out = net.forward(x.clone());
        let error = worst(&host(out.clone()), array(&at("_out_train.npy")), 0.0);
        report(&format!("{name}, training"), error, FORWARD);
        assert!(error <= FORWARD, "{name}: {error}");

        let loss = (out * tensor::<4>(&array(&weight_of_loss), &training)).mean();
        let gradients = loss.backward();
        // rtol 1e-3, atol 1e-6.
        let error = worst(&host(x.grad(&gradients).unwrap()), array(&at("_grad_in.npy")), 1e-3);
        assert!(error <= 1e-6, "{name}: gradient of the input: {error}");
        let named = gradients_by_name(&net, &gradients);
        let expected = Checkpoint::open(&at("_grads.safetensors")).unwrap();
        let expected = expected.tensors(&[]).unwrap();
        assert!(expected.len() >= 6, "{name}: {} gradients", expected.len());
        for (parameter, gradient) in expected.iter() {
            let error = worst(&named[parameter], gradient.to_f32().unwrap(), 1e-3);
            assert!(error <= 1e-6, "{name}: gradient of {parameter}: {error}");
        }

        let after = Checkpoint::open(&at("_bn_after.safetensors")).unwrap();
        let state = state(&net);
        let mut running = 0;
        for (statistic, value) in after.tensors(&[]).unwrap().iter() {
            if !statistic.ends_with("num_batches_tracked") {
                running += 1;
                let error = worst(&state[statistic], value.to_f32().unwrap(), 1e-4);
                assert!(error <= 1e-5, "{name}: {statistic}: {error}");
            }
        }
        assert!(running >= 4, "{name}: {running} running statistics");
    }
}

/// torchvision's network with its classifier.
#[derive(Module, Debug)]
struct Network {
    backbone: ResNet,
    fc: Linear,
}

impl Network {
    fn new(size: ResNetSize, classes: usize, device: &Device) -> Self {
        let init = Init::new(1, device);
        Self { backbone: ResNet::new(size, init), fc: Linear::new("fc", size.features(), classes, init) }
    }

    /// Feature and logits.
    fn run(&self, input: &ArrayD<f32>, device: &Device) -> (Vec<f32>, Vec<f32>) {
        let feature = self.backbone.forward(tensor::<4>(input, device));
        (host(feature.clone()), host(self.fc.forward(feature)))
    }
}

/// The depth that the names of a state dict show.
fn backbone<'a>(names: impl Iterator<Item = &'a str>) -> Backbone {
    let names: Vec<&str> = names.collect();
    let bottleneck = names.contains(&"layer1.0.conv3.weight");
    let third = (0..).take_while(|n| names.contains(&format!("layer3.{n}.conv1.weight").as_str())).count();
    match (bottleneck, third) {
        (false, 2) => Backbone::Resnet18,
        (false, 6) => Backbone::Resnet34,
        (true, 6) => Backbone::Resnet50,
        (true, 23) => Backbone::Resnet101,
        (true, 36) => Backbone::Resnet152,
        other => panic!("no residual network has {other:?}"),
    }
}

#[test]
fn slim_networks_load_from_pt_files() {
    let Some(folder) = folder("resnet") else { return };
    let networks = files_ending(&folder, ".pt");
    assert!(!networks.is_empty(), "no networks in {}", folder.display());
    let device = Device::flex();
    for (name, path) in networks {
        let file = Checkpoint::open(&path).unwrap();
        let tensors = file.tensors(&[]).unwrap();
        let shape = |of: &str| tensors.require(of).unwrap().shape().to_vec();
        let size = ResNetSize { backbone: backbone(tensors.names()), width: shape("conv1.weight")[0] };
        let net = Network::new(size, shape("fc.weight")[0], &device);
        let net = weights::from_checkpoint(net, &tensors).unwrap();
        let at = |suffix: &str| array(&folder.join(format!("{name}{suffix}.npy")));
        let (feature, logits) = net.run(&at("_in"), &device);
        for (what, found) in [("feat", feature), ("logits", logits)] {
            let expected = at(&format!("_{what}"));
            let largest = expected.iter().fold(0.0_f32, |max, value| max.max(value.abs()));
            let error = worst(&found, expected, 0.0);
            report(&format!("{name} {what}"), error, SLIM);
            assert!(
                error <= SLIM && error <= 1e-3 * f64::from(largest),
                "{name} {what}: {error} of {largest}"
            );
        }
        // And out again: the file that is written holds what was read.
        let written = state(&net);
        for (parameter, value) in tensors.iter().filter(|(name, _)| !name.ends_with("num_batches_tracked")) {
            assert_eq!(written[parameter], value.to_f32().unwrap(), "{name}: {parameter}");
        }
    }
}

#[test]
fn full_size_networks_with_procedural_weights() {
    let Some(folder) = folder("resnet") else { return };
    let networks = files_ending(&folder, "_proc.json");
    assert!(!networks.is_empty(), "no networks in {}", folder.display());
    let device = Device::flex();
    let input = array(&folder.join("proc_in.npy"));
    for (name, path) in networks {
        let description = json(&path);
        let salt = description["salt"].as_str().expect("a salt").parse().expect("a number");
        let gain = description["G"].as_f64().expect("a gain");
        let shapes: BTreeMap<String, Vec<usize>> =
            serde_json::from_value(description["keys"].clone()).expect("names and shapes");
        let backbone = backbone(shapes.keys().map(String::as_str));
        let last = if shapes.contains_key("layer1.0.conv3.weight") { ".bn3.weight" } else { ".bn2.weight" };
        let quarter = description["extra"].as_str().is_some_and(|extra| extra.contains("multiplied by 0.25"));
        let values: BTreeMap<&String, (&Vec<usize>, Vec<u8>)> = shapes
            .iter()
            .filter(|(key, _)| !key.ends_with("num_batches_tracked"))
            .map(|(key, shape)| {
                let factor = if quarter && key.ends_with(last) { 0.25 } else { 1.0 };
                let values = procedural(key, shape, salt, gain);
                (key, (shape, values.iter().flat_map(|value| (value * factor).to_le_bytes()).collect()))
            })
            .collect();
        let views = values.iter().map(|(key, (shape, bytes))| {
            (key, TensorView::new(Dtype::F32, (*shape).clone(), bytes).unwrap())
        });
        let bytes = safetensors::serialize(views, None).unwrap();
        let size = ResNetSize { backbone, width: shapes["conv1.weight"][0] };
        let net = Network::new(size, shapes["fc.weight"][0], &device);
        if let Some(parameters) = description["params"].as_u64() {
            let running: usize = shapes
                .iter()
                .filter(|(key, _)| key.contains("running_"))
                .map(|(_, shape)| shape.iter().product::<usize>())
                .sum();
            assert_eq!((net.num_params() - running) as u64, parameters, "{name}");
        }
        let net = weights::from_safetensors(net, &bytes).unwrap();
        let (feature, logits) = net.run(&input, &device);
        for (what, found) in [("feat", feature), ("logits", logits)] {
            let expected = array(&folder.join(format!("{name}_proc_{what}.npy")));
            let largest = f64::from(expected.iter().fold(0.0_f32, |max, value| max.max(value.abs())));
            let error = worst(&found, expected, 0.0) / largest;
            report(&format!("{name} {what}"), error, 1e-3);
            assert!(error <= 1e-3, "{name} {what}: {error}");
        }
    }
}

/// Loss and gradients at its arguments.
fn loss_and_gradients<const N: usize>(
    inputs: [&ArrayD<f32>; N],
    loss: impl FnOnce([Tensor<2>; N]) -> Tensor<1>,
) -> (f64, [Option<Vec<f32>>; N]) {
    let device = Device::flex().autodiff();
    let inputs = inputs.map(|input| tensor::<2>(input, &device).require_grad());
    let loss = loss(inputs.clone());
    let value = f64::from(host(loss.clone())[0]);
    let gradients = loss.backward();
    (value, inputs.map(|input| input.grad(&gradients).map(host)))
}

fn assert_gradient(what: &str, found: &Option<Vec<f32>>, expected: ArrayD<f32>) {
    // Relative to the largest: single values near 0 are differences of large ones.
    let largest = f64::from(expected.iter().fold(0.0_f32, |max, value| max.max(value.abs())));
    let error = worst(found.as_ref().expect("a gradient"), expected, LOSS_GRADIENT) / largest;
    assert!(error <= LOSS_GRADIENT, "{what}: {error}");
}

#[test]
fn contrastive_losses_and_their_gradients() {
    let Some(folder) = folder("resnet") else { return };
    let losses = json(&folder.join("losses.json"));
    let at = |name: &str| array(&folder.join(format!("{name}.npy")));
    let (za, zb) = (at("ntx_za"), at("ntx_zb"));
    let temperatures = losses["ntxent"].as_object().expect("temperatures");
    assert!(!temperatures.is_empty());
    let mut gradients = 0;
    for (temperature, expected) in temperatures {
        let tau: f64 = temperature.parse().expect("a temperature");
        let (loss, [da, db]) = loss_and_gradients([&za, &zb], |[a, b]| nt_xent(a, b, tau));
        let expected = expected.as_f64().expect("a loss");
        let error = (loss / expected - 1.0).abs();
        report(&format!("NT-Xent, temperature {tau}"), error, LOSS);
        assert!(error <= LOSS, "{tau}: {loss} {expected}");
        for (side, found) in [("za", da), ("zb", db)] {
            let file = folder.join(format!("ntx_grad_{side}_tau{temperature}.npy"));
            if file.exists() {
                gradients += 1;
                assert_gradient(&format!("NT-Xent at {side}"), &found, array(&file));
            }
        }
    }

    assert!(gradients >= 2, "{gradients} gradients of NT-Xent");

    let inputs = ["simsiam_p1", "simsiam_p2", "simsiam_z1", "simsiam_z2"].map(at);
    let (loss, [p1, _, z1, z2]) =
        loss_and_gradients(inputs.each_ref(), |[p1, p2, z1, z2]| negative_cosine([p1, p2], [z1, z2]));
    let expected = losses["simsiam"].as_f64().expect("a loss");
    assert!((loss / expected - 1.0).abs() <= LOSS, "{loss} {expected}");
    assert_gradient("SimSiam at p1", &p1, at("simsiam_grad_p1"));
    // Exactly zero: no gradient at all arrives at a projection.
    for z in [z1, z2] {
        assert!(z.is_none_or(|z| z.iter().all(|value| *value == 0.0)));
    }
}

#[test]
fn arcface_with_embeddings_on_and_opposite_to_their_class() {
    let Some(folder) = folder("resnet") else { return };
    let losses = json(&folder.join("losses.json"));
    let at = |name: &str| array(&folder.join(format!("{name}.npy")));
    let (embeddings, centers) = (at("arc_emb"), at("arc_W"));
    let labels: Array1<i64> = read_npy(folder.join("arc_y.npy")).expect("labels");
    let cases = losses["arcface"].as_array().expect("cases");
    assert!(!cases.is_empty());
    let device = Device::flex().autodiff();
    for case in cases {
        let number = |key: &str| case[key].as_f64().unwrap_or_else(|| panic!("{key}"));
        let (classes, dim) = (centers.shape()[0], centers.shape()[1]);
        let (scale, margin) = (number("s"), number("m"));
        let size = ArcFaceSize { dim, classes, centers: 1, scale, margin };
        let values: Vec<u8> = centers.iter().flat_map(|value| value.to_le_bytes()).collect();
        let view = TensorView::new(Dtype::F32, vec![classes, dim], &values).unwrap();
        let bytes = safetensors::serialize([("weight", view)], None).unwrap();
        let head = ArcFace::new("arcface", size, Init::new(1, &device));
        let head = weights::from_safetensors(head, &bytes).unwrap();
        let x = tensor::<2>(&embeddings, &device).require_grad();
        let targets = Tensor::<1, Int>::from_data(labels.as_slice().unwrap(), &device);
        let logits = head.logits(x.clone(), targets.clone());
        let expected: Vec<Vec<f64>> = serde_json::from_value(case["logits_fallback"].clone()).unwrap();
        let found = host(logits.clone());
        for (found, expected) in found.iter().zip(expected.iter().flatten()) {
            // Cosines are rounded to 6e-8, times s.
            assert!((f64::from(*found) - expected).abs() <= 3e-7 * scale, "{found} {expected}");
        }
        let loss = cross_entropy(logits, targets);
        let key = case.as_object().and_then(|case| case.keys().find(|key| key.starts_with("loss_monotone")));
        let expected = number(key.expect("a loss"));
        let value = f64::from(host(loss.clone())[0]);
        report(&format!("ArcFace, s {scale}, m {margin}"), (value / expected - 1.0).abs(), LOSS);
        assert!((value / expected - 1.0).abs() <= LOSS, "{value} {expected}");
        // The angle's derivative is infinite at cos = ±1; the gradient is not.
        let gradients = loss.backward();
        assert!(host(x.grad(&gradients).unwrap()).iter().all(|value| value.is_finite()));
    }
}
