//! Residual networks beside PyTorch on the same cores, in turns of one run: forward and one training step of ResNet-18
//! and ResNet-50 (batch 8, 1×128×313), each convolution's shape, peak memory; then how much of making views is hidden
//! behind the steps.
//!
//! `ASDBENCH_PEER_PYTHON` names a Python with PyTorch (`scripts/peers/setup.sh` makes one); without it only ours is timed.
//! An argument `resnet18`, `resnet50`, `layers` or `views` picks a part. Each network runs in a process of its own, so
//! that its peak memory is its own.

mod own;
mod peer;

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use asdbench::config::{self, Experiment, OptimizerConfig, TaskConfig};
use asdbench::nn::adamw::AdamW;
use asdbench::nn::conv::{Conv2d, ConvSize};
use asdbench::nn::init::Init;
use asdbench::nn::linear::Linear;
use asdbench::nn::loss::cross_entropy;
use asdbench::nn::resnet::{Backbone, ResNet, ResNetSize};
use asdbench::study::Recordings;
use asdbench::task::ProxyTask;
use asdbench::task::contrastive::ContrastiveTask;
use asdbench::train::prefetch;
use asdbench::ui::Ui;
use burn::module::Module;
use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::{Device, Int, Tensor, TensorData};
use own::{peak_mb, timed};
use peer::median;
use serde_json::{Value, json};

const BATCH: usize = 8;
const FRAMES: usize = 313;
const TIMES: usize = 5;
const TURNS: usize = 3;

#[derive(Module, Debug)]
struct Network {
    backbone: ResNet,
    fc: Linear,
}

fn network(backbone: Backbone, device: &Device) -> Network {
    let (init, size) = (Init::new(0, device), ResNetSize { backbone, width: 64 });
    Network { backbone: ResNet::new(size, init), fc: Linear::new("fc", size.features(), 6, init) }
}

fn images(shape: [usize; 4], device: &Device) -> Tensor<4> {
    let count: usize = shape.iter().product();
    let values: Vec<f32> = (0..count).map(|i| (i * 7919 % 1000) as f32 / 1000.0).collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// One network in this process: the object that the peer prints, too.
fn measure(backbone: Backbone) -> Value {
    let (device, shape) = (Device::flex(), [BATCH, 1, 128, FRAMES]);
    let net = network(backbone, &device);
    let x = images(shape, &device);
    let forward = timed(TIMES, || {
        let _ = net.fc.forward(net.backbone.forward(x.clone())).into_data();
    });
    let training = device.autodiff();
    let mut net = Some(network(backbone, &training));
    let mut optimizer = ModuleOptimizer::from(AdamW::new(OptimizerConfig::default().adamw()));
    let x = images(shape, &training);
    let classes: Vec<i64> = (0..BATCH as i64).map(|n| n % 6).collect();
    let step = timed(TIMES, || {
        let targets = Tensor::<1, Int>::from_data(classes.as_slice(), &training);
        let one = net.take().expect("a network between steps");
        let loss = cross_entropy(one.fc.forward(one.backbone.forward(x.clone())), targets);
        let gradients = GradientsParams::from_grads(loss.backward(), &one);
        net = Some(optimizer.step(1e-4, one, gradients));
        let _ = loss.into_data();
    });
    json!({ "forward_ms": forward, "step_ms": step, "peak_rss_mb": peak_mb() })
}

/// Ours and the peer's, in turns, each in a process of its own.
fn compare(name: &str, depth: &str) {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        let own = Command::new(std::env::current_exe().expect("this program")).args(["--one", name]).output();
        ours.extend(own.ok().and_then(|own| serde_json::from_slice::<Value>(&own.stdout).ok()));
        theirs.extend(peer::answer("resnet.py", &["--depth", depth, "--times", &TIMES.to_string()]));
    }
    let of = |all: &[Value], key: &str| median(all.iter().filter_map(|one| one[key].as_f64()).collect());
    for key in ["forward_ms", "step_ms", "peak_rss_mb"] {
        let mine = of(&ours, key);
        match theirs.is_empty() {
            true => println!("{name} {key}: {mine:.1}"),
            false => {
                let peer = of(&theirs, key);
                println!("{name} {key}: {mine:.1}, PyTorch {peer:.1}, ratio {:.2}", mine / peer);
            }
        }
    }
}

/// Every distinct convolution of both networks, beside the peer's time of the same shape.
fn layers() {
    for depth in ["18", "50"] {
        let Some(theirs) = peer::answer("resnet.py", &["--depth", depth, "--layers"]) else {
            println!("layers: skipped, set ASDBENCH_PEER_PYTHON to a Python with PyTorch");
            return;
        };
        for layer in theirs["layers"].as_array().into_iter().flatten() {
            let list =
                |key: &str| -> Vec<usize> { serde_json::from_value(layer[key].clone()).unwrap_or_default() };
            let (input, weight) = (list("input"), list("weight"));
            let stride = layer["stride"].as_u64().unwrap_or(1) as usize;
            let size = ConvSize {
                inputs: weight[1],
                outputs: weight[0],
                kernel: weight[2],
                stride,
                padding: weight[2] / 2,
            };
            let shape = [input[0], input[1], input[2], input[3]];
            let (forward, both) = layer_times(size, shape);
            let map = input[2].div_ceil(stride) * input[3].div_ceil(stride);
            let gflop = 2e-9 * (weight.iter().product::<usize>() * input[0] * map) as f64;
            let rate = |ms: f64, times: f64| times * gflop / ms * 1e3;
            let ms = |key: &str| layer[key].as_f64().unwrap_or(f64::NAN);
            println!(
                "resnet{depth} {}×{} {}→{} /{stride} on {}×{}: forward {:.0} GFLOP/s (PyTorch {:.0}), with backward \
                 {:.0} ({:.0})",
                weight[2],
                weight[3],
                weight[1],
                weight[0],
                input[2],
                input[3],
                rate(forward, 1.0),
                rate(ms("forward_ms"), 1.0),
                rate(both, 3.0),
                rate(ms("both_ms"), 3.0)
            );
        }
    }
}

fn layer_times(size: ConvSize, shape: [usize; 4]) -> (f64, f64) {
    let device = Device::flex();
    let (conv, x) = (Conv2d::he_normal("conv", size, Init::new(0, &device)), images(shape, &device));
    let forward = timed(TIMES, || {
        let _ = conv.forward(x.clone()).into_data();
    });
    let training = device.autodiff();
    let conv = Conv2d::he_normal("conv", size, Init::new(0, &training));
    let x = images(shape, &training).require_grad();
    let both = timed(TIMES, || {
        let gradients = conv.forward(x.clone()).sum().backward();
        let _ = x.grad(&gradients).map(Tensor::into_data);
    });
    (forward, both)
}

/// A SimCLR step of ResNet-18 with its batch from memory, made ahead, and made between two steps.
fn views() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let clips = folder.path().join("clips");
    let synth = Command::new(env!("CARGO_BIN_EXE_asdbench"))
        .args(["synth", &clips.display().to_string(), "--machines", "fan", "-q"])
        .args(["--train-per-section", "16", "--test-per-section", "4"])
        .status();
    assert!(synth.is_ok_and(|status| status.success()), "no clips");
    let configs = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs/simclr.toml");
    let sets = [format!("data.root={:?}", clips), format!("train.batch_size={BATCH}")];
    let experiment: Experiment = config::load(&configs, &sets).expect("a configuration").experiment;
    let TaskConfig::Contrastive(contrastive) = &experiment.task else { panic!("no contrastive task") };
    let ui = Ui::new(true, false);
    let recordings = Recordings::open(&experiment.data, folder.path().join("cache"), &ui).expect("clips");
    let learnt = recordings.training_sets(&["fan".to_owned()], &experiment).expect("log-mels");
    let task =
        ContrastiveTask::new(contrastive, &experiment.frontend.logmel, BATCH, &learnt[0]).expect("a task");

    let device = Device::flex().autodiff();
    let mut net = Some(task.net(Init::new(0, &device)));
    let mut optimizer = ModuleOptimizer::from(AdamW::new(OptimizerConfig::default().adamw()));
    let mut step = |batch| {
        let one = net.take().expect("a network between steps");
        let loss = task.step(&one, batch, &device).loss;
        let gradients = GradientsParams::from_grads(loss.backward(), &one);
        net = Some(optimizer.step(1e-4, one, gradients));
        let _ = loss.into_data();
    };
    let order = task.order(0, 0);
    let batches = task.batches();
    let per_batch = |start: Instant| start.elapsed().as_secs_f64() * 1e3 / batches as f64;
    let (mut memory, mut ahead, mut between, mut making) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..TURNS {
        let start = Instant::now();
        let made: Vec<_> = (0..batches).map(|n| task.batch(&order, n).expect("views")).collect();
        making.push(per_batch(start));
        let start = Instant::now();
        made.into_iter().for_each(&mut step);
        memory.push(per_batch(start));
        let start = Instant::now();
        prefetch::each(&task, &order, 0..batches, |batch| {
            step(batch);
            Ok(false)
        })
        .expect("views");
        ahead.push(per_batch(start));
        let start = Instant::now();
        (0..batches).for_each(|n| step(task.batch(&order, n).expect("views")));
        between.push(per_batch(start));
    }
    let [memory, ahead, between, making] = [memory, ahead, between, making].map(median);
    println!(
        "SimCLR step, ResNet-18, {BATCH} clips: {memory:.0} ms with batches from memory, {ahead:.0} ms with views made \
         ahead, {between:.0} ms with views made between steps; {:.1} ms to make {} views on all cores; not hidden: {:.1} % \
         of a step (target 10)",
        making,
        2 * BATCH,
        100.0 * (ahead - memory) / memory
    );
}

fn main() {
    // As the program does.
    asdbench::process::prepare();
    let _awake = asdbench::process::keep_awake();
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if let [flag, name] = arguments.as_slice()
        && flag == "--one"
    {
        let backbone = if name == "resnet50" { Backbone::Resnet50 } else { Backbone::Resnet18 };
        println!("{}", measure(backbone));
        return;
    }
    let wanted = |part: &str| arguments.is_empty() || arguments.iter().any(|argument| argument == part);
    if wanted("resnet18") {
        compare("resnet18", "18");
    }
    if wanted("resnet50") {
        compare("resnet50", "50");
    }
    if wanted("layers") {
        layers();
    }
    if wanted("views") {
        views();
    }
}
