//! The mixing cases of `conformance/signal`, and the gradient of the separation loss. Tolerances are the README's; sizes,
//! ratios and case names are read from the files.

use std::path::Path;

use asdbench::audio::{ChannelChoice, mix, noise_gain, read_wav};
use asdbench::metric::{SiSdr, si_sdr};
use asdbench::nn::loss;
use burn::tensor::{Device, Tensor, TensorData};
use ndarray::Array1;
use ndarray_npy::read_npy;

use super::{files_ending, folder, json, matrix, report};

/// Relative, of gains, levels and decibels.
const MIXING: f64 = 1e-5;
/// Relative, of gradients.
const GRADIENT: f64 = 1e-3;

fn array(path: &Path) -> Vec<f32> {
    let array: Array1<f32> = read_npy(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    array.to_vec()
}

fn exact(wave: &[f32]) -> Vec<f64> {
    wave.iter().copied().map(f64::from).collect()
}

#[test]
fn mixtures_have_the_reference_s_gains_and_levels() {
    let Some(folder) = folder("signal") else { return };
    let noise = array(&folder.join("mix_noise.npy"));
    let machine = read_wav(&folder.join("machine.wav"), ChannelChoice::First).unwrap().samples;
    let target = &machine[..noise.len()];
    let file = json(&folder.join("mixing.json"));
    let cases = file.as_array().expect("cases");
    assert!(!cases.is_empty());
    let mut largest = 0.0_f64;
    for case in cases {
        let number = |key: &str| case[key].as_f64().unwrap_or_else(|| panic!("{key} in {case}"));
        let gain = noise_gain(target, &noise, number("snr_db")).unwrap();
        let mixture = exact(&mix(target, &noise, gain));
        let rms = (mixture.iter().map(|s| s * s).sum::<f64>() / mixture.len() as f64).sqrt();
        let ratio = |zero_mean| {
            si_sdr(&mixture, &exact(target), SiSdr { zero_mean, epsilon: 0.0 }).expect("a mixture's SI-SDR")
        };
        for (key, found) in [
            ("noise_gain", gain),
            ("mix_rms", rms),
            ("sisdr_mix_zero_mean_true_f64", ratio(true)),
            ("sisdr_mix_zero_mean_false_f64", ratio(false)),
        ] {
            let error = (found / number(key) - 1.0).abs();
            assert!(error <= MIXING, "{key}: {found} in {case}");
            largest = largest.max(error);
        }
    }
    report("mixing", largest, MIXING);
}

#[test]
fn the_loss_has_the_reference_s_gradient() {
    let Some(folder) = folder("signal") else { return };
    let target = array(&folder.join("sisdr_target.npy"));
    let estimates = matrix(&folder.join("sisdr_estimates.npy"));
    let file = json(&folder.join("sisdr.json"));
    let cases = file["cases"].as_array().expect("cases");
    let gradients: Vec<_> = files_ending(&folder, ".npy")
        .into_iter()
        .filter_map(|(stem, path)| Some((stem.strip_prefix("sisdr_grad_")?.to_owned(), path)))
        .collect();
    assert!(!gradients.is_empty(), "no gradient in {}", folder.display());
    let device = Device::flex().autodiff();
    for (name, path) in gradients {
        let row = cases.iter().position(|case| case["case"] == name.as_str()).expect("the gradient's case");
        let tensor = |wave: Vec<f32>| {
            let shape = [1, wave.len()];
            Tensor::<2>::from_data(TensorData::new(wave, shape), &device)
        };
        let estimate = tensor(estimates.row(row).to_vec()).require_grad();
        // With means taken off, as the README says.
        let loss = loss::si_sdr(estimate.clone(), tensor(target.clone()), true).mean().neg();
        let gradients = loss.backward();
        let found: Vec<f32> = estimate.grad(&gradients).unwrap().into_data().try_into_vec().unwrap();
        let expected = array(&path);
        assert_eq!(found.len(), expected.len());
        let largest = expected.iter().fold(0.0_f32, |max, value| max.max(value.abs()));
        let mut worst = 0.0_f64;
        for (found, expected) in found.iter().zip(&expected) {
            // The loss sums in f32: values near 0 are differences of ones as large as the largest.
            let allowed = GRADIENT * f64::from(expected.abs()) + 1e-6 * f64::from(largest);
            let error = f64::from((found - expected).abs());
            assert!(error <= allowed, "{name}: {found} {expected}");
            worst = worst.max(error / f64::from(largest));
        }
        report(&format!("gradient of -SI-SDR, {name}, of the largest"), worst, GRADIENT);
    }
}
