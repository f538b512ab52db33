//! BEATs of the public size beside PyTorch on the same cores, in turns of one run: ten 10 s clips from the filter bank to
//! the embedding, one by one and all at once. The peer's time is the better of its two ways of attention.
//!
//! `ASDBENCH_PEER_PYTHON` names a Python with PyTorch (`scripts/peers/setup.sh` makes one); without it only ours is timed.
//! An argument `gpu` times batches of 32 on the first GPU, in f32 and bf16, instead. Each side runs in a process of its own,
//! so that its peak memory is its own.

mod own;
mod peer;

use std::process::Command;

use asdbench::device::{self, DeviceChoice};
use asdbench::nn::beats::BeatsSize;
use asdbench::nn::init::Init;
use asdbench::nn::precision::Precision;
use asdbench::nn::pretrained::{Architecture, Encoder};
use burn::tensor::{Device, Tensor, TensorData};
use own::{peak_mb, timed};
use peer::median;
use serde_json::{Value, json};

/// Frames of a 10 s clip.
const FRAMES: usize = 998;
const MELS: usize = 128;
const CLIPS: usize = 10;
const TIMES: usize = 3;
const TURNS: usize = 3;

/// Milliseconds a clip in batches of `batch`.
fn clip_ms(net: &Encoder, clips: usize, batch: usize, last: usize, device: &Device) -> f64 {
    let values: Vec<f32> =
        (0..batch * FRAMES * MELS).map(|i| (i * 7919 % 2000) as f32 / 1000.0 - 1.0).collect();
    let images = Tensor::<3>::from_data(TensorData::new(values, [batch, FRAMES, MELS]), device);
    let all = timed(TIMES, || {
        for _ in 0..clips / batch {
            let tokens = net.forward(images.clone(), last, &mut |_, _| {});
            let _ = tokens.mean_dim(1).into_data();
        }
    });
    all / clips as f64
}

fn network(precision: Precision, device: &Device) -> (Encoder, usize) {
    let architecture = Architecture::Beats(BeatsSize::base(None));
    let init = Init::new(0, device).with_precision(precision);
    (architecture.init(init), architecture.layers() - 1)
}

/// Ours in this process: the object that the peer prints, too.
fn measure() -> Value {
    let device = Device::flex();
    let (net, last) = network(Precision::F32, &device);
    let of = |batch| clip_ms(&net, CLIPS, batch, last, &device);
    json!({ "batch_1_ms": of(1), "batch_10_ms": of(CLIPS), "peak_rss_mb": peak_mb() })
}

fn cpu() {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        let own = Command::new(std::env::current_exe().expect("this program")).arg("--one").output();
        ours.extend(own.ok().and_then(|own| serde_json::from_slice::<Value>(&own.stdout).ok()));
        theirs.extend(peer::answer("beats.py", &["--times", &TIMES.to_string()]));
    }
    let of = |all: &[Value], key: &str| median(all.iter().filter_map(|one| one[key].as_f64()).collect());
    for batch in [1, CLIPS] {
        let mine = of(&ours, &format!("batch_{batch}_ms"));
        if theirs.is_empty() {
            println!("BEATs-base, batch {batch}: {mine:.0} ms a clip");
            continue;
        }
        let [plain, fused] = ["plain", "fused"].map(|way| of(&theirs, &format!("batch_{batch}_{way}_ms")));
        println!(
            "BEATs-base, batch {batch}: {mine:.0} ms a clip, PyTorch {plain:.0} (its fused attention {fused:.0}), ratio {:.2}",
            mine / plain.min(fused)
        );
    }
    let peak = |all: &[Value]| of(all, "peak_rss_mb");
    match theirs.is_empty() {
        true => println!("peak memory {:.0} MB", peak(&ours)),
        false => println!("peak memory {:.0} MB, PyTorch {:.0} MB", peak(&ours), peak(&theirs)),
    }
}

fn gpu() {
    const BATCH: usize = 32;
    let opened = device::open(DeviceChoice::Gpu(None)).unwrap_or_else(|e| panic!("{e}"));
    for (precision, flag) in [(Precision::F32, None), (Precision::Bf16, Some("--bf16"))] {
        let name = precision.name();
        if !precision.serves(&opened.device) {
            println!("{}: no {name}", opened.name);
            continue;
        }
        let (net, last) = network(precision, &opened.device);
        let mine = 1e3 / clip_ms(&net, 4 * BATCH, BATCH, last, &opened.device);
        let size = BATCH.to_string();
        let clips = (4 * BATCH).to_string();
        let mut arguments = vec!["--device", "cuda", "--clips", &clips, "--batches", &size];
        arguments.extend(flag);
        match peer::answer("beats.py", &arguments) {
            None => println!("{} {name}, batch {BATCH}: {mine:.0} clips a second", opened.name),
            Some(theirs) => {
                let ms = |way: &str| theirs[format!("batch_{BATCH}_{way}_ms")].as_f64().unwrap_or(f64::NAN);
                let rate = 1e3 / ms("plain").min(ms("fused"));
                println!(
                    "{} {name}, batch {BATCH}: {mine:.0} clips a second, PyTorch {rate:.0}, ratio {:.2}",
                    opened.name,
                    mine / rate
                );
            }
        }
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "--one") {
        println!("{}", measure());
    } else if arguments.iter().any(|argument| argument == "gpu") {
        gpu();
    } else {
        cpu();
    }
}
