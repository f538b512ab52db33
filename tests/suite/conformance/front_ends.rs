//! The front ends of the pretrained networks against torchaudio: Kaldi's filter bank as BEATs and EAT use it, CED's log-mel.

use std::path::Path;

use asdbench::audio::{
    CedBank, ChannelChoice, KALDI_BANDS, KaldiBank, KaldiScratch, KaldiSpec, Scratch, read_wav,
};
use ndarray::{Array2, ArrayView2, s};

use super::{files_ending, folder, matrix, part, report};

/// The reference computes in f32; its authors give these for the raw values, in ln of power.
const RAW: f64 = 2e-3;
const RAW_MEAN: f64 = 1e-4;
/// The same for normalised values.
const NORMALISED: f64 = 2e-4;
/// ln(2^-23). Bands within [`NEAR_FLOOR`] of it may be the rounding dust of the reference: ours must be as low.
const FLOOR: f64 = -15.942_385;
const NEAR_FLOOR: f64 = 1e-3;
/// CED's log-mel in dB, as that of `signal/`. Where a value is more than this below the clip's largest, the reference's f32
/// transform is off by up to 0.1 dB beside full-scale tones, and what is asked is less.
const CED_DB: f64 = 5e-3;
const CED_RANGE_DB: f64 = 80.0;
const CED_BELOW_RANGE_DB: f64 = 0.2;

/// The clip of a folder; its 16-bit samples are those of the reference exactly.
fn samples(folder: &Path) -> Vec<f32> {
    let path = folder.join("input.wav");
    read_wav(&path, ChannelChoice::First).unwrap_or_else(|error| panic!("{error}")).samples
}

fn raw(bank: &KaldiBank, samples: &[f32]) -> Array2<f32> {
    let mut values = Array2::zeros((bank.frames(samples.len()), KALDI_BANDS));
    bank.compute_into(samples, &mut KaldiScratch::default(), values.as_slice_mut().expect("row-major"))
        .expect("a filter bank");
    values
}

/// Cut or padded to `frames`, then normalised.
fn normalised(bank: &KaldiBank, samples: &[f32], frames: usize) -> Array2<f32> {
    let mut values = Array2::zeros((frames, KALDI_BANDS));
    let slice = values.as_slice_mut().expect("row-major");
    bank.fit_into(samples, &mut KaldiScratch::default(), slice).expect("a filter bank");
    bank.normalise(slice);
    values
}

fn assert_raw(name: &str, actual: ArrayView2<'_, f32>, expected: ArrayView2<'_, f32>) {
    assert_eq!(actual.dim(), expected.dim(), "{name}: [frames, bands]");
    let (mut largest, mut sum) = (0.0_f64, 0.0);
    for (actual, expected) in actual.iter().zip(&expected) {
        let (actual, expected) = (f64::from(*actual), f64::from(*expected));
        if expected <= FLOOR + NEAR_FLOOR {
            assert!(actual <= FLOOR + NEAR_FLOOR + RAW, "{name}: {actual}, the reference is at the floor");
            continue;
        }
        let error = (actual - expected).abs();
        assert!(error <= RAW, "{name}: {actual} instead of {expected}");
        largest = largest.max(error);
        sum += error;
    }
    report(name, largest, RAW);
    let mean = sum / expected.len() as f64;
    assert!(mean <= RAW_MEAN, "{name}: off by {mean} on average");
}

fn assert_normalised(name: &str, actual: ArrayView2<'_, f32>, expected: ArrayView2<'_, f32>) {
    assert_eq!(actual.dim(), expected.dim(), "{name}: [frames, bands]");
    let errors = actual.iter().zip(&expected).map(|(a, b)| f64::from((a - b).abs()));
    let largest =
        errors.fold(0.0, |largest, error| if error > largest || error.is_nan() { error } else { largest });
    report(name, largest, NORMALISED);
    assert!(largest <= NORMALISED, "{name}: off by {largest}");
}

#[test]
fn filter_banks_of_clips_are_those_of_torchaudio() {
    let Some(folder) = folder("signal") else { return };
    for (spec, variant) in [(KaldiSpec::beats(), "beats"), (KaldiSpec::eat(), "eat")] {
        let bank = KaldiBank::new(spec);
        let suffix = format!("_fbank_{variant}.npy");
        let files = files_ending(&folder, &suffix);
        assert!(!files.is_empty(), "no file *{suffix} in {}", folder.display());
        for (clip, path) in files {
            let wave = read_wav(&folder.join(format!("{clip}.wav")), ChannelChoice::First).expect("a clip");
            assert_raw(&format!("{clip}, {variant}"), raw(&bank, &wave.samples).view(), matrix(&path).view());
        }
    }
}

#[test]
fn the_front_end_of_beats_is_that_of_its_reference() {
    let Some(folder) = folder("beats") else { return };
    let bank = KaldiBank::new(KaldiSpec::beats());
    let samples = samples(&folder);
    assert_raw("beats", raw(&bank, &samples).view(), matrix(&folder.join("fbank_raw.npy")).view());
    let expected = matrix(&folder.join("fbank_norm.npy"));
    let actual = normalised(&bank, &samples, bank.frames(samples.len()));
    assert_normalised("beats, normalised", actual.view(), expected.view());
}

#[test]
fn the_front_end_of_eat_is_that_of_its_reference() {
    let Some(folder) = folder("eat") else { return };
    let bank = KaldiBank::new(KaldiSpec::eat());
    let samples = samples(&folder);
    if let Some(path) = part(&folder, "fbank_raw.npy") {
        assert_raw("eat", raw(&bank, &samples).view(), matrix(&path).view());
    }
    let short = matrix(&folder.join("short_input.npy"));
    let actual = normalised(&bank, &samples, short.nrows());
    assert_normalised("eat, short", actual.view(), short.view());
    let mut compared = 0;
    for (stem, path) in files_ending(&folder, "_head.npy") {
        // fbank_norm_{frames}_head.npy: the first of so many frames.
        let Some(frames) = stem.strip_prefix("fbank_norm_") else { continue };
        let actual = normalised(&bank, &samples, frames.parse().expect("a number of frames"));
        let head = matrix(&path);
        assert_normalised(&stem, actual.slice(s![..head.nrows(), ..]), head.view());
        compared += 1;
    }
    assert!(compared > 0, "no file fbank_norm_*_head.npy in {}", folder.display());
}

#[test]
fn the_front_end_of_ced_is_that_of_torchaudio() {
    let Some(folder) = folder("ced") else { return };
    let bank = CedBank::new().expect("the front end of CED");
    let files = files_ending(&folder, "_ced.npy");
    assert!(!files.is_empty(), "no file *_ced.npy in {}", folder.display());
    for (clip, path) in files {
        let wave = read_wav(&folder.join(format!("{clip}.wav")), ChannelChoice::First).expect("a clip");
        let expected = matrix(&path).reversed_axes(); // [frames, bands]
        let mut actual = Array2::zeros((bank.frames(wave.samples.len()), bank.spec().n_mels));
        let slice = actual.as_slice_mut().expect("row-major");
        bank.compute_into(&wave.samples, &mut Scratch::default(), slice).expect("a log-mel");
        assert_eq!(actual.dim(), expected.dim(), "{clip}: [frames, bands]");
        let loudest = expected.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let mut largest = 0.0_f64;
        for (actual, expected) in actual.iter().zip(&expected) {
            let error = f64::from((actual - expected).abs());
            let within = f64::from(loudest - expected) <= CED_RANGE_DB;
            let tolerance = if within { CED_DB } else { CED_BELOW_RANGE_DB };
            assert!(error <= tolerance, "{clip}: {actual} dB instead of {expected}");
            if within {
                largest = largest.max(error);
            }
        }
        report(&clip, largest, CED_DB);
    }
}
