//! The filter bank against its formulas and at its edges. The conformance tests hold it against torchaudio.

use rayon::prelude::*;

use super::*;

fn noise(samples: usize) -> Vec<f32> {
    let mut state = 7_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..samples).map(|_| next()).collect()
}

fn compute(bank: &KaldiBank, samples: &[f32]) -> Vec<f32> {
    let mut out = vec![f32::NAN; bank.frames(samples.len()) * KALDI_BANDS];
    bank.compute_into(samples, &mut KaldiScratch::default(), &mut out).unwrap();
    out
}

/// The largest of all, or NaN where there is one.
fn largest(errors: impl Iterator<Item = f64>) -> f64 {
    errors.fold(0.0, |largest, error| if error > largest || error.is_nan() { error } else { largest })
}

fn largest_difference(one: &[f32], other: &[f32]) -> f64 {
    assert_eq!(one.len(), other.len());
    largest(one.iter().zip(other).map(|(a, b)| f64::from(a - b).abs()))
}

/// What the two networks' descriptions say, word for word, in f64.
struct Formulas {
    scale: f64,
    without_clip_mean: bool,
    hann_power: f64,
}

impl Formulas {
    const BEATS: Self = Self { scale: 32_768.0, without_clip_mean: false, hann_power: 0.85 };
    const EAT: Self = Self { scale: 1.0, without_clip_mean: true, hann_power: 1.0 };

    fn compute(&self, samples: &[f32]) -> Vec<f64> {
        let mut clip: Vec<f64> = samples.iter().map(|sample| f64::from(*sample) * self.scale).collect();
        if self.without_clip_mean {
            let mean = clip.iter().sum::<f64>() / clip.len() as f64;
            clip.iter_mut().for_each(|value| *value -= mean);
        }
        let frames = 1 + (clip.len() - 400) / 160;
        (0..frames).flat_map(|frame| self.frame(&clip[160 * frame..160 * frame + 400])).collect()
    }

    fn frame(&self, samples: &[f64]) -> Vec<f64> {
        let mean = samples.iter().sum::<f64>() / 400.0;
        let centred: Vec<f64> = samples.iter().map(|value| value - mean).collect();
        let windowed: Vec<f64> = (0..400)
            .map(|n| {
                let hann = 0.5 - 0.5 * (TAU * n as f64 / 399.0).cos();
                (centred[n] - 0.97 * centred[n.max(1) - 1]) * hann.powf(self.hann_power)
            })
            .collect();
        let power: Vec<f64> = (0..256)
            .map(|bin| {
                let spectrum: Complex<f64> = windowed
                    .iter()
                    .enumerate()
                    .map(|(n, value)| Complex::from_polar(*value, -TAU * (n * bin % 512) as f64 / 512.0))
                    .sum();
                spectrum.norm_sqr()
            })
            .collect();
        let mel = |hz: f64| 1127.0 * (1.0 + hz / 700.0).ln();
        let edge = |index: usize| mel(20.0) + index as f64 * (mel(8000.0) - mel(20.0)) / 129.0;
        let band = |band: usize| {
            let (left, centre, right) = (edge(band), edge(band + 1), edge(band + 2));
            let weight = |bin: usize| {
                let here = mel(bin as f64 * 16_000.0 / 512.0);
                ((here - left) / (centre - left)).min((right - here) / (right - centre)).max(0.0)
            };
            let sum: f64 = power.iter().enumerate().map(|(bin, power)| weight(bin) * power).sum();
            sum.max(1.192_092_9e-7).ln()
        };
        (0..128).map(band).collect()
    }
}

#[test]
fn equals_the_formulas() {
    for (spec, formulas) in [(KaldiSpec::beats(), Formulas::BEATS), (KaldiSpec::eat(), Formulas::EAT)] {
        let bank = KaldiBank::new(spec);
        // One frame; an odd number; a block of eight and one more; samples beyond the last frame.
        for samples in [400, 720, 400 + 8 * 160, 3000] {
            let clip: Vec<f32> = noise(samples).iter().map(|value| 0.25 + 0.1 * value).collect();
            let values = compute(&bank, &clip);
            let expected = formulas.compute(&clip);
            assert_eq!(values.len(), expected.len());
            let errors = values.iter().zip(&expected).map(|(a, b)| (f64::from(*a) - b).abs());
            let largest = largest(errors);
            // The weights' f32 roundings, torchaudio's, come to 5e-5 here.
            assert!(largest < 1e-4, "{spec:?}, {samples} samples: {largest}");
        }
    }
}

#[test]
fn a_constant_has_no_effect() {
    for spec in [KaldiSpec::beats(), KaldiSpec::eat()] {
        let bank = KaldiBank::new(spec);
        // 16-bit samples: half of the range can be added without rounding.
        let clip: Vec<f32> = noise(4000).iter().map(|value| (value * 1000.0).round() / 32_768.0).collect();
        let raised: Vec<f32> = clip.iter().map(|value| value + 0.5).collect();
        // The last bits of values of up to 20.
        assert!(largest_difference(&compute(&bank, &clip), &compute(&bank, &raised)) < 1e-5, "{spec:?}");
        let silence = compute(&bank, &[0.3; 2000]);
        assert!(silence.iter().all(|value| *value == -15.942_385), "{spec:?}");
    }
}

#[test]
fn each_row_is_that_of_its_400_samples_alone() {
    let bank = KaldiBank::new(KaldiSpec::beats());
    // Sounds 180 dB apart side by side: nothing of the loud ones may reach the rows that lie within quiet ones, such as row
    // 5, whose partner in the transform is loud.
    let mut clip = noise(400 + 160 * 20);
    for (n, value) in clip.iter_mut().enumerate() {
        *value *= if n / 800 % 2 == 0 { 1e3 } else { 1e-6 };
    }
    let values = compute(&bank, &clip);
    for (row, values) in values.chunks_exact(KALDI_BANDS).enumerate() {
        let alone = compute(&bank, &clip[160 * row..160 * row + 400]);
        // A few of the last bits of values of up to 40.
        assert!(largest_difference(values, &alone) < 2e-5, "row {row}");
    }
}

#[test]
fn frames_lie_within_the_clip() {
    let bank = KaldiBank::new(KaldiSpec::eat());
    for (samples, frames) in [(0, 0), (399, 0), (400, 1), (559, 1), (560, 2), (160_000, 998)] {
        assert_eq!(bank.frames(samples), frames, "{samples}");
    }
    for frames in [1, 2, 7, 1024] {
        let least = bank.min_samples(frames);
        assert!(bank.frames(least) == frames && bank.frames(least - 1) == frames - 1, "{frames}");
    }
    assert_eq!(compute(&bank, &noise(400)).len(), KALDI_BANDS);
    let mut scratch = KaldiScratch::default();
    for samples in [0, 1, 399] {
        for result in [
            bank.compute_into(&noise(samples), &mut scratch, &mut []),
            bank.fit_into(&noise(samples), &mut scratch, &mut [0.0; KALDI_BANDS]),
        ] {
            let message = result.unwrap_err().to_string();
            assert!(message.contains(&format!("{samples} samples and 400 are needed")), "{message}");
        }
    }
}

#[test]
fn wild_samples_are_errors_where_a_frame_has_them() {
    let bank = KaldiBank::new(KaldiSpec::beats());
    let mut scratch = KaldiScratch::default();
    let mut out = vec![0.0; 3 * KALDI_BANDS];
    for wild in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e12] {
        for (at, frame) in [(0, 0), (399, 0), (400, 1), (560, 2), (719, 2)] {
            let mut clip = noise(750);
            clip[at] = wild;
            let error = bank.compute_into(&clip, &mut scratch, &mut out).unwrap_err();
            assert!(
                matches!(error, Error::PowerNotFinite { frame: named } if named == frame),
                "{at}: {error}"
            );
        }
        let mut clip = noise(750);
        clip[720] = wild;
        bank.compute_into(&clip, &mut scratch, &mut out).unwrap();
    }
    // The loudest samples that are taken: their power is a number in every band that has bins.
    for spec in [KaldiSpec::beats(), KaldiSpec::eat()] {
        let loudest = LARGEST_SCALED / spec.scale;
        let clip: Vec<f32> = (0..400).map(|n| if n / 8 % 2 == 0 { loudest } else { -loudest }).collect();
        assert!(compute(&KaldiBank::new(spec), &clip).iter().all(|value| value.is_finite()));
    }
}

#[test]
fn rows_are_cut_or_padded_with_raw_zeros() {
    let bank = KaldiBank::new(KaldiSpec::eat());
    let clip = noise(400 + 160 * 10);
    let whole = compute(&bank, &clip);
    let mut scratch = KaldiScratch::default();
    for frames in [0, 1, 9, 11, 14] {
        let mut out = vec![f32::NAN; frames * KALDI_BANDS];
        bank.fit_into(&clip, &mut scratch, &mut out).unwrap();
        let both = whole.len().min(out.len());
        // A frame's partner in the transform is another one at the cut: the last bits of values of up to 20.
        assert!(largest_difference(&out[..both], &whole[..both]) < 1e-5, "{frames}");
        assert!(out[both..].iter().all(|value| *value == 0.0), "{frames}");
        bank.normalise(&mut out);
        assert!(out[both..].iter().all(|value| (value - 0.467_06).abs() < 1e-5), "{frames}");
    }
    for wrong in [0, KALDI_BANDS, whole.len() + 1] {
        let result = bank.compute_into(&clip, &mut scratch, &mut vec![0.0; wrong]);
        assert!(matches!(result, Err(Error::Shape { .. })), "{wrong}");
    }
    assert!(matches!(bank.fit_into(&clip, &mut scratch, &mut [0.0; 129]), Err(Error::Shape { .. })));
}

#[test]
fn threads_share_a_bank_and_work_spaces_any_clip() {
    let bank = KaldiBank::new(KaldiSpec::beats());
    let clips: Vec<Vec<f32>> = (0..12).map(|n| noise(400 + 331 * n)).collect();
    let alone: Vec<Vec<f32>> = clips.iter().map(|clip| compute(&bank, clip)).collect();
    let together: Vec<Vec<f32>> = clips
        .par_iter()
        .rev()
        .map_init(KaldiScratch::default, |scratch, clip| {
            let mut out = vec![f32::NAN; bank.frames(clip.len()) * KALDI_BANDS];
            bank.compute_into(clip, scratch, &mut out).unwrap();
            out
        })
        .collect();
    assert!(together.iter().rev().eq(&alone));
}
