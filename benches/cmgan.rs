//! The separation network beside PyTorch on the same cores, in turns of one run: forward, forward + backward of the SI-SDR
//! of one 2 s mixture, peak memory; then where the time goes, by kind of layer.
//!
//! `ASDBENCH_PEER_PYTHON` names a Python with PyTorch (`scripts/peers/setup.sh` makes one); without it only ours is timed.
//! An argument `full`, `micro` or `parts` picks a part. Each network runs in a process of its own, so that its peak
//! memory is its own. `-segments` in the name of a network is `train.checkpoint_blocks`.
//!
//! The argument `gpu`, which no other run includes, times training steps on the device that `ASDBENCH_TEST_GPU` names.

mod own;
mod peer;

use std::process::Command;

use asdbench::device::{self, DeviceChoice};
use asdbench::nn::cmgan::{Cmgan, CmganSize, DilatedDense, HEADS, Pass, SubPixel};
use asdbench::nn::conv::Conv2d;
use asdbench::nn::init::Init;
use asdbench::nn::kernels::{self, Affine, AttentionSize, ConvSteps, Dropout, Scale};
use asdbench::nn::loss::si_sdr;
use burn::optim::GradientsParams;
use burn::tensor::activation::prelu;
use burn::tensor::{Device, Tensor, TensorData};
use own::{peak_mb, timed};
use peer::median;
use serde_json::{Value, json};

const SAMPLES: usize = 32_000;
const TIMES: usize = 3;
const TURNS: usize = 3;
const TRAINING: Pass = Pass::Train { dropout: 1 };
/// Mixtures of a step on a GPU.
const GPU_BATCH: usize = 12;
/// Whose layers are timed one by one; its sizes follow.
const BY_PARTS: &str = "c64-n1-h100";
const CHANNELS: usize = 64;
const FRAMES: usize = 321;
const BINS: usize = 201;
/// Frequencies behind the encoder.
const HALF: usize = 101;
const EPSILON: f64 = 1e-5;

/// Channels, blocks, hop and whether the blocks run in segments: the words of a network's name.
fn parse(name: &str) -> (CmganSize, bool) {
    let mut numbers = name.split('-').filter_map(|word| word.get(1..)?.parse().ok());
    let mut next = || numbers.next().expect("c<channels>-n<blocks>-h<hop>");
    let (channels, blocks, hop_samples) = (next(), next(), next());
    (CmganSize { channels, blocks, n_fft: 400, hop_samples, dropout: 0.2 }, name.ends_with("segments"))
}

fn noise(count: usize, seed: u64) -> Vec<f32> {
    let draw = |i: usize| {
        (((i as u64 + seed * 7919).wrapping_mul(6_364_136_223_846_793_005) >> 40) as f32) / 8e6 - 1.0
    };
    (0..count).map(draw).collect()
}

fn waves(batch: usize, device: &Device) -> [Tensor<2>; 2] {
    let target: Vec<f32> = (0..SAMPLES).map(|n| (n as f32 * 0.05).sin()).collect();
    let mixture = target.iter().zip(noise(SAMPLES, 1)).map(|(t, n)| t + 0.5 * n).collect();
    [mixture, target].map(|wave: Vec<f32>| {
        Tensor::from_data(TensorData::new(wave.repeat(batch), [batch, SAMPLES]), device)
    })
}

/// Milliseconds of forward and backward of the SI-SDR of `batch` mixtures, on a device without graph.
fn step_ms(name: &str, batch: usize, device: &Device) -> f64 {
    let (size, segments) = parse(name);
    let training = device.clone().autodiff();
    let net = Cmgan::new(size, Init::new(0, &training));
    let [mixture, target] = waves(batch, &training);
    timed(TIMES, || {
        let (separated, below) = match segments {
            true => {
                let (separated, below) = net.separate_in_segments(mixture.clone(), TRAINING);
                (separated, Some(below))
            }
            false => (net.separate(mixture.clone(), TRAINING), None),
        };
        let loss = si_sdr(separated.wave, target.clone(), false).mean().neg();
        let mut gradients = loss.backward();
        let of_segments = below.map(|below| below.gradients(&mut gradients));
        let found = (GradientsParams::from_grads(gradients, &net), of_segments, loss.into_data());
        // The loss's value does not wait for the gradients.
        device.sync().expect("a device that answers");
        drop(found);
    })
}

/// One network in this process: the object that the peer prints, too.
fn measure(name: &str) -> Value {
    let device = Device::flex();
    let step = step_ms(name, 1, &device);
    let peak_mb = peak_mb();
    let (net, [mixture, _]) = (Cmgan::new(parse(name).0, Init::new(0, &device)), waves(1, &device));
    let forward = timed(TIMES, || {
        let _ = net.separate(mixture.clone(), Pass::Evaluate).wave.into_data();
    });
    json!({ "step_ms": step, "forward_ms": forward, "peak_mb": peak_mb })
}

/// [`measure`] in a process of its own. Nothing where it fails, which is told.
fn own(name: &str) -> Option<Value> {
    let program = std::env::current_exe().expect("this program");
    let answer = match Command::new(program).args(["--one", name]).output() {
        Ok(output) if output.status.success() => {
            serde_json::from_slice(&output.stdout).map_err(|e| e.to_string())
        }
        Ok(output) => Err(format!("{}\n{}", output.status, String::from_utf8_lossy(&output.stderr))),
        Err(error) => Err(error.to_string()),
    };
    answer.inspect_err(|why| eprintln!("{name} failed: {why}")).ok()
}

/// What the peer prints for one of our networks, with as many threads as ours and `more` arguments.
fn peer_of(name: &str, more: &[&str]) -> Option<Value> {
    let (size, _) = parse(name);
    let numbers = [size.channels, size.blocks, size.hop_samples, TIMES, rayon::current_num_threads()];
    let numbers = numbers.map(|n| n.to_string());
    let options = ["--channels", "--blocks", "--hop", "--times", "--threads"];
    let pairs = options.iter().zip(&numbers).flat_map(|(o, n)| [*o, n.as_str()]);
    peer::answer("cmgan.py", &pairs.chain(more.iter().copied()).collect::<Vec<_>>())
}

/// Ours and the peer's, in turns, each in a process of its own.
fn compare(name: &str) {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        ours.extend(own(name));
        theirs.extend(peer_of(name, &[]));
    }
    if ours.is_empty() {
        println!("{name}: skipped, it failed in every turn");
    }
    let of = |all: &[Value], key: &str| {
        let values: Vec<f64> = all.iter().filter_map(|one| one[key].as_f64()).collect();
        (!values.is_empty()).then(|| median(values))
    };
    for key in ["forward_ms", "step_ms", "peak_mb"] {
        let Some(mine) = of(&ours, key) else {
            continue;
        };
        let Some(peer) = of(&theirs, key) else {
            println!("{name} {key}: {mine:.0}");
            continue;
        };
        let imports = of(&theirs, "import_mb").filter(|_| key == "peak_mb");
        let imports = imports.map_or(String::new(), |mb| format!(" (of which PyTorch itself {mb:.0} MB)"));
        println!("{name} {key}: {mine:.0}, PyTorch {peer:.0}{imports}, ratio {:.2}", mine / peer);
    }
}

/// Training steps on a GPU; PyTorch's with its defaults, which let convolutions round to TF32.
fn gpu() {
    let Ok(named) = std::env::var("ASDBENCH_TEST_GPU") else {
        println!("gpu: skipped, ASDBENCH_TEST_GPU names no device (gpu:0)");
        return;
    };
    let choice = named.parse::<DeviceChoice>();
    let opened = match choice.and_then(|choice| device::open(choice).map_err(|e| e.to_string())) {
        Ok(opened) => opened,
        Err(why) => {
            println!("gpu: skipped, {why}");
            return;
        }
    };
    for blocks in [0, 1, 4] {
        let name = format!("c64-n{blocks}-h100-segments");
        let step = step_ms(&name, GPU_BATCH, &opened.device);
        let theirs = peer_of(&name, &["--device", "cuda", "--batch", &GPU_BATCH.to_string()]);
        let peer = shown(&theirs.unwrap_or_default()["step_ms"]);
        println!(
            "{} {name} batch {GPU_BATCH} step_ms: {step:.0}, PyTorch without segments {peer}",
            opened.name
        );
    }
}

/// A kind of layer, the peer's name for it, and its milliseconds of forward, and of forward and backward.
type Part = (&'static str, [f64; 2]);

/// Milliseconds of forward, evaluating, and of forward and backward, training, of what `build` makes, on `shape`.
fn part_times<const D: usize, L: Fn(Tensor<D>) -> Tensor<D>>(
    shape: [usize; D],
    build: impl Fn(&Device) -> L,
) -> [f64; 2] {
    let values = noise(shape.iter().product(), 3);
    let at = |device: &Device| Tensor::<D>::from_data(TensorData::new(values.clone(), shape), device);
    let (plain, training) = (Device::flex(), Device::flex().autodiff());
    let (layer, x) = (build(&plain), at(&plain));
    let forward = timed(TIMES, || {
        let _ = layer(x.clone());
    });
    let (layer, x) = (build(&training), at(&training));
    let both = timed(TIMES, || {
        let x = x.clone().require_grad();
        let _ = x.grad(&layer(x.clone()).sum().backward());
    });
    [forward, both]
}

/// A parameter of a layer that is timed.
fn parameter<const D: usize>(shape: [usize; D], device: &Device) -> Tensor<D> {
    let values = noise(shape.iter().product(), 5).into_iter().map(|v| 0.1 * v).collect::<Vec<_>>();
    let tensor = Tensor::from_data(TensorData::new(values, shape), device);
    if device.is_autodiff() { tensor.require_grad() } else { tensor }
}

fn scale(width: usize, device: &Device) -> Scale {
    (parameter([width], device), parameter([width], device))
}

fn affine(inputs: usize, outputs: usize, device: &Device) -> Affine {
    (parameter([inputs, outputs], device), parameter([outputs], device))
}

/// While training only.
fn dropout(device: &Device) -> Option<Dropout> {
    device.is_autodiff().then_some(Dropout { seed: 1, probability: 0.2 })
}

/// The layers on maps, one entry per call.
fn map_parts() -> Vec<Part> {
    let dense = |d: &Device| {
        let block = DilatedDense::new("d", CHANNELS, Init::new(0, d));
        move |x: Tensor<4>| block.forward(x)
    };
    let mut found: Vec<Part> =
        [BINS, HALF, HALF].map(|width| ("Dense", part_times([1, CHANNELS, FRAMES, width], dense))).into();
    // Of the encoder's two stages, the complex decoder and the mask decoder.
    for (channels, width) in [(CHANNELS, BINS), (CHANNELS, HALF), (CHANNELS, 2 * HALF), (1, BINS)] {
        let norm = |d: &Device| {
            let (norm, slopes) = (scale(channels, d), parameter([channels], d));
            move |x: Tensor<4>| kernels::instance_norm_prelu(x, norm.clone(), slopes.clone(), EPSILON)
        };
        found.push(("InstanceNorm2d + PReLU", part_times([1, channels, FRAMES, width], norm)));
    }
    let pixel = |d: &Device| {
        let layer = SubPixel::new("s", CHANNELS, Init::new(0, d));
        move |x: Tensor<4>| layer.forward(x)
    };
    found.extend([(); 2].map(|()| ("SubPixel", part_times([1, CHANNELS, FRAMES, HALF], pixel))));
    // The encoder's two, the mask decoder's two, the complex decoder's: [outputs, inputs], kernel, stride, padding, width.
    for ([outputs, inputs], kernel, stride, padding, width) in [
        ([CHANNELS, 3], 1, 1, 0, BINS),
        ([CHANNELS, CHANNELS], 3, 2, 1, BINS),
        ([1, CHANNELS], 2, 1, 0, 2 * HALF),
        ([1, 1], 1, 1, 0, BINS),
        ([2, CHANNELS], 2, 1, 0, 2 * HALF),
    ] {
        let conv = |d: &Device| {
            let steps = ConvSteps { stride: [1, stride], padding: [[0, 0], [padding; 2]], dilation: [1, 1] };
            let layer = Conv2d::new("c", [outputs, inputs, 1, kernel], steps, Init::new(0, d));
            move |x: Tensor<4>| layer.forward(x)
        };
        found.push(("Conv2d", part_times([1, inputs, FRAMES, width], conv)));
    }
    let mask = |d: &Device| {
        let slopes = parameter([BINS], d);
        move |x: Tensor<4>| prelu(x.swap_dims(1, 3), slopes.clone())
    };
    found.push(("PReLU", part_times([1, 1, FRAMES, BINS], mask)));
    found
}

/// The layers on rows, one entry per call. Feed-forward, attention and conv module end with the sum with their input, which
/// is in the kernel; the peer's do without it.
fn row_parts() -> Vec<Part> {
    let shape = [FRAMES * HALF, CHANNELS];
    let feed_forward = |d: &Device| {
        let (norm, dropout) = (scale(CHANNELS, d), dropout(d));
        let layers = [affine(CHANNELS, 4 * CHANNELS, d), affine(4 * CHANNELS, CHANNELS, d)];
        move |x: Tensor<2>| kernels::feed_forward(x, norm.clone(), layers.clone(), [0.5, EPSILON], dropout)
    };
    let post_norm = |d: &Device| {
        let norm = scale(CHANNELS, d);
        move |x: Tensor<2>| kernels::layer_norm(x, norm.clone(), EPSILON)
    };
    let mut found = Vec::new();
    for length in [FRAMES, HALF] {
        let attention = |d: &Device| {
            let size = AttentionSize { length, heads: HEADS, reach: 512 };
            let (norm, out, dropout) = (scale(CHANNELS, d), affine(CHANNELS, CHANNELS, d), dropout(d));
            let [to_q, to_kv] = [1, 2].map(|n| parameter([CHANNELS, n * CHANNELS], d));
            let table = parameter([2 * size.reach + 1, CHANNELS / HEADS], d);
            move |x: Tensor<2>| {
                let of = |weight: &Tensor<2>| {
                    kernels::normed_linear(x.clone(), norm.clone(), weight.clone(), EPSILON)
                };
                let y = kernels::attention(of(&to_q), of(&to_kv), table.clone(), size);
                kernels::linear_residual(y, out.clone(), x, dropout)
            }
        };
        let conv_module = |d: &Device| {
            let inner = 2 * CHANNELS;
            let (norms, trains) = ([scale(CHANNELS, d), scale(inner, d)], d.is_autodiff());
            let (gate, exit) = (affine(CHANNELS, 2 * inner, d), affine(inner, CHANNELS, d));
            let (weight, bias) = (parameter([inner, 31], d), parameter([inner], d));
            let running = (Tensor::zeros([inner], d), Tensor::ones([inner], d));
            move |x: Tensor<2>| {
                let [entry, norm] = norms.clone();
                let y = kernels::gated(x.clone(), entry, gate.clone(), EPSILON);
                let y = kernels::depthwise(y, weight.clone(), bias.clone(), length, [15, 15]);
                let statistics = if trains { kernels::batch_statistics(y.clone()) } else { running.clone() };
                kernels::norm_swish_linear(y, norm, statistics, exit.clone(), x, EPSILON)
            }
        };
        found.extend([(); 2].map(|()| ("FeedForward", part_times(shape, feed_forward))));
        found.push(("Attention", part_times(shape, attention)));
        found.push(("ConvModule", part_times(shape, conv_module)));
        found.push(("LayerNorm", part_times(shape, post_norm)));
    }
    found
}

/// Milliseconds of the peer's answer.
fn shown(ms: &Value) -> String {
    ms.as_f64().map_or("-".into(), |ms| format!("{ms:.0}"))
}

/// Each kind of layer of the network with one block, as often as it is called there. What is in no kind: transforms,
/// turns of axes, sums.
fn parts() {
    let found: Vec<Part> = map_parts().into_iter().chain(row_parts()).collect();
    let sum = |of: &dyn Fn(&Part) -> bool| {
        let counted = found.iter().filter(|part| of(part));
        counted.fold([0.0, 0.0], |sum, (_, [forward, both])| [sum[0] + forward, sum[1] + both])
    };
    let mut kinds: Vec<&str> = found.iter().map(|(kind, _)| *kind).collect();
    kinds.sort_unstable();
    kinds.dedup();
    let (whole, theirs) = (measure(BY_PARTS), peer_of(BY_PARTS, &["--parts"]).unwrap_or_default());
    for kind in kinds {
        let ([forward, both], peer) = (sum(&|part| part.0 == kind), &theirs["parts"][kind]);
        println!(
            "{kind}: forward {forward:.0} ms (PyTorch {}), forward and backward {both:.0} ({})",
            shown(&peer["forward_ms"]),
            shown(&peer["both_ms"])
        );
    }
    let ([forward, both], peer) = (sum(&|_| true), &theirs["parts_sum"]);
    println!(
        "sum of parts: forward {forward:.0} of the whole's {} ms (PyTorch {} of {}), forward and backward {both:.0} of {} \
         ({} of {})",
        shown(&whole["forward_ms"]),
        shown(&peer["forward_ms"]),
        shown(&theirs["forward_ms"]),
        shown(&whole["step_ms"]),
        shown(&peer["both_ms"]),
        shown(&theirs["step_ms"])
    );
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, name] = arguments.as_slice()
        && flag == "--one"
    {
        println!("{}", measure(name));
        return;
    }
    let named: Vec<&str> = arguments.iter().map(String::as_str).filter(|a| !a.starts_with("--")).collect();
    let wanted = |part: &str| named.is_empty() || named.contains(&part);
    if wanted("micro") {
        ["c8-n0-h200", "c8-n1-h200"].into_iter().for_each(compare);
    }
    if wanted("full") {
        ["c64-n0-h100", "c64-n1-h100", "c64-n1-h100-segments"].into_iter().for_each(compare);
    }
    if wanted("parts") {
        parts();
    }
    if named.contains(&"gpu") {
        gpu();
    }
}
