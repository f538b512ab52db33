//! One training step of the study's autoencoder (batch 512, hidden 128, bottleneck 8) beside PyTorch's, in the same run.
//!
//! `ASDBENCH_PEER_PYTHON` names a Python with PyTorch (`scripts/peers/setup.sh` makes one); without it only ours is timed.
//! Target: at most 0.9 of PyTorch's time on the same cores.

mod peer;

use std::time::Instant;

use asdbench::config::OptimizerConfig;
use asdbench::nn::adamw::AdamW;
use asdbench::nn::autoencoder::{Autoencoder, AutoencoderSize};
use asdbench::nn::init::Init;
use asdbench::nn::kernels::mean_absolute_error;
use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::{Device, Tensor, TensorData};
use criterion::Criterion;
use peer::median;

const BATCH: usize = 512;
const SIZE: AutoencoderSize = AutoencoderSize { input: 640, hidden: 128, bottleneck: 8, layers: 4 };
/// Steps of one side before the other has its turn: the machine's load drifts.
const STEPS: usize = 100;
const TURNS: usize = 4;

/// A training under way, with batches from memory.
struct Step {
    device: Device,
    net: Option<Autoencoder>,
    optimizer: ModuleOptimizer,
    batches: Vec<Vec<f32>>,
    next: usize,
}

impl Step {
    fn new() -> Self {
        let device = Device::flex().autodiff();
        let batch = |n: usize| {
            (0..BATCH * SIZE.input).map(|i| ((i * 7919 + n * 104_729) % 1000) as f32 / 1000.0).collect()
        };
        Self {
            net: Some(Autoencoder::new(SIZE, Init::new(0, &device))),
            optimizer: ModuleOptimizer::from(AdamW::new(OptimizerConfig::default().adamw())),
            batches: (0..8).map(batch).collect(),
            next: 0,
            device,
        }
    }

    /// As the loop in `train` does it, the loss fetched each step.
    fn run(&mut self) -> f32 {
        self.next = (self.next + 1) % self.batches.len();
        let batch = TensorData::new(self.batches[self.next].clone(), [BATCH, SIZE.input]);
        let x = Tensor::<2>::from_data(batch, &self.device);
        let net = self.net.take().expect("a network between steps");
        let loss = mean_absolute_error(net.forward(x.clone()), x);
        let gradients = GradientsParams::from_grads(loss.backward(), &net);
        self.net = Some(self.optimizer.step(5e-4, net, gradients));
        loss.into_scalar::<f32>()
    }
}

/// Median milliseconds of PyTorch's step, where there is one.
fn pytorch() -> Option<f64> {
    peer::answer("ae_step.py", &["--steps", &STEPS.to_string()])?["ms_per_step_median"].as_f64()
}

fn main() {
    // As the program does.
    asdbench::process::prepare();
    let _awake = asdbench::process::keep_awake();
    let mut step = Step::new();
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..20 {
        step.run();
    }
    for _ in 0..TURNS {
        for _ in 0..STEPS {
            let start = Instant::now();
            step.run();
            ours.push(start.elapsed().as_secs_f64() * 1e3);
        }
        theirs.extend(pytorch());
    }
    let ours = median(ours);
    println!("autoencoder step, batch {BATCH}, hidden {}: {ours:.2} ms", SIZE.hidden);
    match theirs.is_empty() {
        true => println!("PyTorch: skipped, set ASDBENCH_PEER_PYTHON to a Python that has it"),
        false => {
            let theirs = median(theirs);
            println!("PyTorch: {theirs:.2} ms; ratio {:.2} (target 0.9 at most)", ours / theirs);
        }
    }
    let mut criterion = Criterion::default().configure_from_args();
    criterion.bench_function("autoencoder step", |bencher| bencher.iter(|| step.run()));
    criterion.final_summary();
}
