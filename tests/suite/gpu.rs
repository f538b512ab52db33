//! The same small training on a GPU adapter, a software one included, beside the CPU.
//!
//! Only in builds with GPU support; `ASDBENCH_TEST_GPU` names the device (`gpu:0`), and without it, or without any
//! adapter, the test says that it was skipped.

#![cfg(feature = "wgpu")]

use crate::program::Bench;

/// Both devices compute in f32, in another order, and a training multiplies what differs: signs of errors near zero flip,
/// and AdamW makes full steps of gradients that are zero but for rounding (a bias before a norm), which an epsilon far
/// above rounding keeps in bounds. After one epoch, 6 steps, the loss differed by 2e-5 of its value on llvmpipe; by the
/// second, two runs on that adapter differed from one another by 9e-4. So one epoch it is, with room for other adapters.
const TOLERANCE: f64 = 1e-3;

#[test]
fn a_small_training_agrees_with_the_cpu() {
    let bench = Bench::with_fan();
    let Some(device) = std::env::var("ASDBENCH_TEST_GPU").ok() else {
        eprintln!("SKIPPED: set ASDBENCH_TEST_GPU=gpu:0 to test a GPU or a software adapter");
        return;
    };
    let devices = bench.run(&["devices", "--format", "json"]).fine().json();
    let listed = devices["devices"].as_array().unwrap();
    let Some(adapter) = listed.iter().find(|adapter| adapter["id"] == device.as_str()) else {
        eprintln!("SKIPPED: no adapter {device}");
        return;
    };
    assert!(adapter["product_error"].as_f64().unwrap() < 2.5e-4, "{adapter}");
    let chosen = listed.iter().find(|adapter| adapter["chosen"] == true).unwrap();
    assert_ne!(chosen["kind"], "software", "auto must not take a software adapter");

    // 270 windows in batches of 45: one shape only, because each new one is tuned for half a minute in software.
    let small = [
        "task.autoencoder.hidden=16",
        "train.batch_size=45",
        "train.epochs=1",
        "train.optimizer.epsilon=1e-2",
    ];
    let small = small.map(|set| ["--set", set]).concat();
    let train = |device: &str, runs: &str| {
        let own = ["--device", device, "--runs", runs];
        let config = crate::program::shipped("micro/ae.toml");
        let base = ["train", config.to_str().unwrap(), "--set", "data.root=data", "--format", "json"];
        let trained = bench.run(&[&base[..], &small, &own].concat()).fine().json();
        let judged = bench.run(&["eval", runs, "--device", device, "--format", "json"]).fine().json();
        (trained["runs"][0]["loss"].as_f64().unwrap(), judged["runs"][0]["proxy"]["value"].as_f64().unwrap())
    };
    let (cpu, gpu) = (train("cpu", "cpu"), train(&device, "gpu"));
    println!("loss and MAE: cpu {cpu:?}, {device} {gpu:?}");
    assert!((cpu.0 - gpu.0).abs() <= TOLERANCE * cpu.0, "loss: cpu {} {device} {}", cpu.0, gpu.0);
    assert!((cpu.1 - gpu.1).abs() <= TOLERANCE * cpu.1, "MAE: cpu {} {device} {}", cpu.1, gpu.1);
}
