//! The log-mel against its definition, at its edges, and with settings out of range. The
//! conformance tests hold it against librosa.

use std::f64::consts::TAU;

use super::*;
use crate::audio::{MelNorm, MelScale, Padding, mel_filters};

fn noise(samples: usize) -> Vec<f32> {
    let mut state = 7_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..samples).map(|_| next()).collect()
}

/// The definition: explicit padding, a sum over samples for each bin, the dense filter matrix,
/// log10.
fn by_definition(spec: &LogMelSpec, samples: &[f32]) -> Array2<f32> {
    let (n, half) = (spec.n_fft, spec.n_fft / 2);
    let at = |position: isize| -> f64 {
        let last = samples.len() as isize - 1;
        let position = match spec.padding {
            Padding::Reflect if position < 0 => -position,
            Padding::Reflect if position > last => 2 * last - position,
            _ => position,
        };
        usize::try_from(position)
            .ok()
            .and_then(|position| samples.get(position))
            .map_or(0.0, |sample| f64::from(*sample))
    };
    let frames = (samples.len() + 2 * half - n) / spec.hop_samples + 1;
    let filters = mel_filters(spec);
    Array2::from_shape_fn((frames, spec.n_mels), |(frame, band)| {
        let start = (frame * spec.hop_samples) as isize - half as isize;
        let magnitude_power = |bin: usize| {
            let (mut re, mut im) = (0.0, 0.0);
            for i in 0..n {
                let window = 0.5 - 0.5 * (TAU * i as f64 / n as f64).cos();
                let angle = TAU * (i * bin % n) as f64 / n as f64;
                re += window * at(start + i as isize) * angle.cos();
                im -= window * at(start + i as isize) * angle.sin();
            }
            (re * re + im * im).powf(spec.power / 2.0)
        };
        let sum: f64 = filters
            .row(band)
            .iter()
            .enumerate()
            .map(|(bin, weight)| f64::from(*weight) * magnitude_power(bin))
            .sum();
        (10.0 * sum.max(spec.floor).log10()) as f32
    })
}

#[test]
fn equals_the_definition_for_all_kinds_of_settings() {
    let small = LogMelSpec { rate_hz: 8000, n_fft: 64, hop_samples: 24, n_mels: 10, ..LogMelSpec::default() };
    let settings = [
        small.clone(),
        LogMelSpec { padding: Padding::Constant, ..small.clone() },
        LogMelSpec { mel: MelScale::Htk, norm: MelNorm::None, ..small.clone() },
        LogMelSpec { mel: MelScale::Htk, ..small.clone() },
        LogMelSpec { norm: MelNorm::None, power: 1.0, ..small.clone() },
        LogMelSpec { power: 3.0, fmin_hz: 200.0, fmax_hz: Some(3500.0), ..small.clone() },
        LogMelSpec { n_fft: 63, hop_samples: 100, ..small.clone() },
    ];
    for spec in settings {
        for samples in [40, 200, 331] {
            let clip = noise(samples);
            let logmel = LogMel::new(&spec).unwrap().compute(&clip).unwrap();
            let expected = by_definition(&spec, &clip);
            assert_eq!(logmel.dim(), expected.dim(), "{spec:?}");
            let error = logmel.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            // f32 powers carry 6e-8 of their value, 3e-7 dB; f32 values of tens of dB 4e-6.
            assert!(error < 3e-5, "{spec:?}: {error}");
        }
    }
}

#[test]
fn log2_is_the_logarithm() {
    let mut x = f32::MIN_POSITIVE;
    while x < f32::MAX / 1.01 {
        let exact = f64::from(x).log2();
        // Half a unit in the last place of the result, and 4e-7.
        let allowed = 4e-7 + exact.abs() * f64::from(f32::EPSILON) / 2.0;
        assert!((f64::from(log2(x)) - exact).abs() <= allowed, "{x}: {} instead of {exact}", log2(x));
        x *= 1.0007;
    }
    for exponent in [-126, -52, -1, 0, 1, 127] {
        assert_eq!(log2(2.0_f32.powi(exponent)), exponent as f32);
    }
}

#[test]
fn a_ten_second_clip_has_313_frames() {
    let front_end = LogMel::new(&LogMelSpec::default()).unwrap();
    assert_eq!(front_end.frames(160_000), 313);
    assert_eq!(front_end.compute(&noise(160_000)).unwrap().dim(), (313, 128));
}

#[test]
fn short_clips_are_errors_with_a_reason() {
    let front_end = LogMel::new(&LogMelSpec::default()).unwrap();
    assert!(front_end.compute(&noise(513)).is_ok());
    for samples in [0, 1, 512] {
        let message =
            front_end.compute(&noise(samples)).unwrap_err().in_file(Path::new("fan/a.wav")).to_string();
        assert!(message.contains("fan/a.wav") && message.contains("513 are needed"), "{message}");
    }
    let message = front_end.check_length(2047, 5).unwrap_err().to_string();
    assert!(message.contains("2048 are needed") && message.contains("5 frames"), "{message}");
    let constant = LogMelSpec { padding: Padding::Constant, ..LogMelSpec::default() };
    assert_eq!(LogMel::new(&constant).unwrap().compute(&noise(1)).unwrap().nrows(), 1);
}

#[test]
fn min_samples_is_the_least_that_works() {
    for (n_fft, hop_samples) in [(1024, 512), (63, 20), (64, 100)] {
        for padding in [Padding::Reflect, Padding::Constant] {
            let spec = LogMelSpec { n_fft, hop_samples, n_mels: 4, padding, ..LogMelSpec::default() };
            let front_end = LogMel::new(&spec).unwrap();
            for frames in [1, 2, 5] {
                let least = front_end.min_samples(frames);
                assert!(
                    front_end.frames(least) >= frames && front_end.compute(&noise(least)).is_ok(),
                    "{spec:?}"
                );
                let fewer = least - 1;
                assert!(
                    front_end.frames(fewer) < frames || front_end.compute(&noise(fewer)).is_err(),
                    "{spec:?}"
                );
            }
        }
    }
}

#[test]
fn silence_is_the_floor_and_wild_samples_are_errors() {
    let front_end = LogMel::new(&LogMelSpec::default()).unwrap();
    let silence = front_end.compute(&[0.0; 2000]).unwrap();
    assert!(silence.iter().all(|value| (value + 156.535_6).abs() < 1e-4));
    for wild in [f32::NAN, f32::INFINITY, 1e30] {
        let mut clip = noise(4000);
        clip[3000] = wild;
        let message = front_end.compute(&clip).unwrap_err().to_string();
        assert!(message.contains("frame 5"), "{message}");
    }
}

#[test]
fn work_space_serves_any_front_end_and_outputs_are_checked() {
    let large = LogMel::new(&LogMelSpec::default()).unwrap();
    let small = LogMel::new(&LogMelSpec { n_fft: 128, hop_samples: 64, n_mels: 16, ..LogMelSpec::default() })
        .unwrap();
    let clip = noise(3000);
    let mut scratch = Scratch::default();
    for front_end in [&large, &small, &large] {
        assert_eq!(front_end.compute_with(&clip, &mut scratch).unwrap(), front_end.compute(&clip).unwrap());
    }
    assert!(matches!(large.compute_into(&clip, &mut scratch, &mut [0.0; 5]), Err(Error::Shape { .. })));
}

#[test]
fn settings_out_of_range_are_named() {
    let good = LogMelSpec::default();
    for (spec, key) in [
        (LogMelSpec { rate_hz: 0, ..good.clone() }, "rate_hz"),
        (LogMelSpec { n_fft: 1, ..good.clone() }, "n_fft"),
        (LogMelSpec { hop_samples: 0, ..good.clone() }, "hop_samples"),
        (LogMelSpec { n_mels: 0, ..good.clone() }, "n_mels"),
        (LogMelSpec { fmin_hz: -1.0, ..good.clone() }, "fmin_hz"),
        (LogMelSpec { fmin_hz: 9000.0, ..good.clone() }, "fmin_hz"),
        (LogMelSpec { fmax_hz: Some(8001.0), ..good.clone() }, "fmax_hz"),
        (LogMelSpec { fmax_hz: Some(f64::NAN), ..good.clone() }, "fmax_hz"),
        (LogMelSpec { power: 0.0, ..good.clone() }, "power"),
        (LogMelSpec { floor: 0.0, ..good.clone() }, "floor"),
    ] {
        let Err(Error::Setting { key: named, .. }) = LogMel::new(&spec).map(|_| ()) else {
            panic!("{key} was taken")
        };
        assert_eq!(named, key);
    }
}

#[test]
fn settings_are_read_from_toml_and_unknown_ones_rejected() {
    let spec: LogMelSpec =
        toml::from_str("n_mels = 64\nmel = \"htk\"\nnorm = \"none\"\npadding = \"constant\"").unwrap();
    let expected = LogMelSpec {
        n_mels: 64,
        mel: MelScale::Htk,
        norm: MelNorm::None,
        padding: Padding::Constant,
        ..LogMelSpec::default()
    };
    assert_eq!(spec, expected);
    assert!(toml::from_str::<LogMelSpec>("mels = 64").is_err());
}

#[test]
fn a_clip_of_another_rate_is_resampled_and_errors_name_the_file() {
    use crate::audio::{SampleFormat, write_wav};
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("clip.wav");
    let tone = |rate_hz: u32| -> Vec<f32> {
        (0..2 * rate_hz)
            .map(|n| (0.5 * (TAU * 1000.0 * f64::from(n) / f64::from(rate_hz)).sin()) as f32)
            .collect()
    };
    let front_end = LogMel::new(&LogMelSpec::default()).unwrap();
    write_wav(&path, &tone(48_000), 48_000, SampleFormat::Float32).unwrap();
    let resampled = front_end.compute_clip(&path, ChannelChoice::First, 1, &mut Scratch::default()).unwrap();
    let direct = front_end.compute(&tone(16_000)).unwrap();
    assert_eq!(resampled.dim(), direct.dim());
    let loudest = |logmel: &Array2<f32>| {
        let frame = logmel.row(logmel.nrows() / 2);
        frame.iter().copied().enumerate().max_by(|a, b| a.1.total_cmp(&b.1)).unwrap()
    };
    assert_eq!(loudest(&resampled).0, loudest(&direct).0);
    assert!((loudest(&resampled).1 - loudest(&direct).1).abs() < 1e-3);

    write_wav(&path, &[0.1; 100], 16_000, SampleFormat::Pcm16).unwrap();
    let error = front_end.compute_clip(&path, ChannelChoice::First, 1, &mut Scratch::default()).unwrap_err();
    assert_eq!(error.path(), Some(path.as_path()));
}
