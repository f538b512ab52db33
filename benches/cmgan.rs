//! The separation network beside PyTorch on the same cores, in turns of one run: forward, forward + backward of the SI-SDR
//! of one 2 s mixture, peak memory; then where the time goes, by kind of layer.
//!
//! `ASDBENCH_PEER_PYTHON` names a Python with PyTorch (`scripts/peers/setup.sh` makes one); without it only ours is timed.
//! An argument `full`, `micro` or `parts` picks a part. Each network runs in a process of its own, so that its peak
//! memory is its own. `--segments` in the name of a network is `train.checkpoint_blocks`.

mod peer;

use std::process::Command;
use std::time::Instant;

use asdbench::nn::cmgan::{Cmgan, CmganSize, DilatedDense, HEADS, Pass, SubPixel};
use asdbench::nn::init::Init;
use asdbench::nn::kernels::{self, AttentionSize};
use asdbench::nn::loss::si_sdr;
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor, TensorData};
use peer::median;
use serde_json::{Value, json};

const SAMPLES: usize = 32_000;
const TIMES: usize = 3;
const TURNS: usize = 3;
const TRAINING: Pass = Pass::Train { dropout: 1 };

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

fn waves(device: &Device) -> [Tensor<2>; 2] {
    let target: Vec<f32> = (0..SAMPLES).map(|n| (n as f32 * 0.05).sin()).collect();
    let mixture = target.iter().zip(noise(SAMPLES, 1)).map(|(t, n)| t + 0.5 * n).collect();
    [mixture, target].map(|wave: Vec<f32>| Tensor::from_data(TensorData::new(wave, [1, SAMPLES]), device))
}

/// Median milliseconds, after one that is not counted.
fn timed(mut work: impl FnMut()) -> f64 {
    work();
    let one = |_| {
        let start = Instant::now();
        work();
        start.elapsed().as_secs_f64() * 1e3
    };
    median((0..TIMES).map(one).collect())
}

fn peak_mb() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<f64>().ok()? / 1024.0)
}

/// One network in this process: the object that the peer prints, too.
fn measure(name: &str) -> Value {
    let (size, segments) = parse(name);
    let training = Device::flex().autodiff();
    let net = Cmgan::new(size, Init::new(0, &training));
    let [mixture, target] = waves(&training);
    let step = timed(|| {
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
        let _ = (GradientsParams::from_grads(gradients, &net), of_segments, loss.into_data());
    });
    let peak_mb = peak_mb();
    let device = Device::flex();
    let (net, [mixture, _]) = (Cmgan::new(size, Init::new(0, &device)), waves(&device));
    let forward = timed(|| {
        let _ = net.separate(mixture.clone(), Pass::Evaluate).wave.into_data();
    });
    json!({ "step_ms": step, "forward_ms": forward, "peak_mb": peak_mb })
}

/// Ours and the peer's, in turns, each in a process of its own.
fn compare(name: &str) {
    let (size, _) = parse(name);
    let numbers = [size.channels, size.blocks, size.hop_samples, TIMES].map(|n| n.to_string());
    let options = ["--channels", "--blocks", "--hop", "--times"];
    let arguments: Vec<&str> = options.iter().zip(&numbers).flat_map(|(o, n)| [*o, n.as_str()]).collect();
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        let own = Command::new(std::env::current_exe().expect("this program")).args(["--one", name]).output();
        ours.extend(own.ok().and_then(|own| serde_json::from_slice::<Value>(&own.stdout).ok()));
        theirs.extend(peer::answer("cmgan.py", &arguments));
    }
    let of = |all: &[Value], key: &str| median(all.iter().filter_map(|one| one[key].as_f64()).collect());
    for key in ["forward_ms", "step_ms", "peak_mb"] {
        let mine = of(&ours, key);
        match theirs.is_empty() {
            true => println!("{name} {key}: {mine:.0}"),
            false => {
                let peer = of(&theirs, key);
                println!("{name} {key}: {mine:.0}, PyTorch {peer:.0}, ratio {:.2}", mine / peer);
            }
        }
    }
}

/// Milliseconds of forward, and of forward and backward, of `layer` on `shape`.
fn part_times<const D: usize, const E: usize>(
    shape: [usize; D],
    layer: impl Fn(Tensor<D>) -> Tensor<E>,
) -> [f64; 2] {
    let values = noise(shape.iter().product(), 3);
    let at = |device: &Device| Tensor::<D>::from_data(TensorData::new(values.clone(), shape), device);
    let plain = at(&Device::flex());
    let forward = timed(|| {
        let _ = layer(plain.clone());
    });
    let tracked = at(&Device::flex().autodiff());
    let both = timed(|| {
        let x = tracked.clone().require_grad();
        let _ = x.grad(&layer(x.clone()).sum().backward());
    });
    [forward, both]
}

/// A parameter of a layer that is timed, on the device of its input.
fn parameter<const D: usize>(shape: [usize; D], like: &Device) -> Tensor<D> {
    let values = noise(shape.iter().product(), 5).into_iter().map(|v| 0.1 * v).collect::<Vec<_>>();
    let tensor = Tensor::from_data(TensorData::new(values, shape), like);
    if like.is_autodiff() { tensor.require_grad() } else { tensor }
}

/// Each kind of layer of the network with one block and 64 channels, as often as it is called there.
fn parts() {
    let (channels, time, bins) = (64, 321, 201_usize);
    let (half, rows) = (bins.div_ceil(2), time * bins.div_ceil(2));
    let vector = |n: usize, d: &Device| parameter([n], d);
    let mut found: Vec<(&str, [f64; 2])> = Vec::new();
    let mut add = |name: &'static str, calls: f64, [forward, both]: [f64; 2]| match found
        .iter_mut()
        .find(|(other, _)| *other == name)
    {
        Some((_, sum)) => *sum = [sum[0] + calls * forward, sum[1] + calls * both],
        None => found.push((name, [calls * forward, calls * both])),
    };
    let dense = |x: Tensor<4>| DilatedDense::new("d", channels, Init::new(0, &x.device())).forward(x);
    add("Dense", 1.0, part_times([1, channels, time, bins], dense));
    add("Dense", 2.0, part_times([1, channels, time, half], dense));
    let norm = |x: Tensor<4>| {
        let (n, d) = (x.dims()[1], x.device());
        kernels::instance_norm_prelu(x, (vector(n, &d), vector(n, &d)), vector(n, &d), 1e-5)
    };
    // Those inside the dense blocks are counted there.
    add("InstanceNorm2d", 1.0, part_times([1, channels, time, bins], norm));
    add("InstanceNorm2d", 1.0, part_times([1, channels, time, half], norm));
    add("InstanceNorm2d", 1.0, part_times([1, channels, time, 2 * half], norm));
    let pixel = |x: Tensor<4>| SubPixel::new("s", channels, Init::new(0, &x.device())).forward(x);
    add("SubPixel", 2.0, part_times([1, channels, time, half], pixel));
    let feed_forward = |x: Tensor<2>| {
        let d = x.device();
        let layer = |i, o| (parameter([i, o], &d), vector(o, &d));
        let norm = (vector(channels, &d), vector(channels, &d));
        let dropout = Some(kernels::Dropout { seed: 1, probability: 0.2 });
        kernels::feed_forward(
            x,
            norm,
            [layer(channels, 4 * channels), layer(4 * channels, channels)],
            [0.5, 1e-5],
            dropout,
        )
    };
    add("FeedForward", 4.0, part_times([rows, channels], feed_forward));
    for length in [time, half] {
        let attention = |q: Tensor<2>| {
            let d = q.device();
            let size = AttentionSize { length, heads: HEADS, reach: 512 };
            let kv = parameter([rows, 2 * channels], &d);
            kernels::attention(q, kv, parameter([1025, channels / HEADS], &d), size)
        };
        add("Attention", 1.0, part_times([rows, channels], attention));
        let depthwise = |x: Tensor<2>| {
            let d = x.device();
            let weight = parameter([2 * channels, 31], &d);
            kernels::depthwise(x, weight, vector(2 * channels, &d), length, [15, 15])
        };
        add("Depthwise", 1.0, part_times([rows, 2 * channels], depthwise));
    }
    let theirs = peer::answer("cmgan.py", &["--blocks", "1", "--times", "3", "--forward-only", "--parts"]);
    for (name, [forward, both]) in found {
        let peer = theirs.as_ref().map(|theirs| &theirs["parts"][name]);
        let of =
            |key: &str| peer.and_then(|peer| peer[key].as_f64()).map_or("-".into(), |ms| format!("{ms:.0}"));
        println!(
            "{name}: forward {forward:.0} ms (PyTorch {}), forward and backward {both:.0} ({})",
            of("forward_ms"),
            of("both_ms")
        );
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, name] = arguments.as_slice()
        && flag == "--one"
    {
        println!("{}", measure(name));
        return;
    }
    let wanted = |part: &str| {
        let named: Vec<&String> = arguments.iter().filter(|a| !a.starts_with("--")).collect();
        named.is_empty() || named.iter().any(|name| name.as_str() == part)
    };
    if wanted("micro") {
        ["c8-n0-h200", "c8-n1-h200"].into_iter().for_each(compare);
    }
    if wanted("full") {
        ["c64-n0-h100", "c64-n1-h100", "c64-n1-h100-segments"].into_iter().for_each(compare);
    }
    if wanted("parts") {
        parts();
    }
}
