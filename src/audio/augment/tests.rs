use std::f64::consts::TAU;

use proptest::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::*;

const RATE_HZ: f64 = 16_000.0;
const FRAMES: usize = 313;
const CLIP: usize = 160_000;

fn rng(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

/// All augmentations with one probability.
fn spec(probability: f64) -> AugmentSpec {
    let mut spec = AugmentSpec::default();
    spec.time_mask.probability = probability;
    spec.frequency_mask.probability = probability;
    spec.pitch_shift.probability = probability;
    spec.time_stretch.probability = probability;
    spec.white_noise.probability = probability;
    spec
}

fn augmenter(probability: f64, frames: usize) -> Augmenter {
    Augmenter::new(&LogMelSpec::default(), &spec(probability), frames).unwrap()
}

fn view(augmenter: &Augmenter, samples: &[f32], plan: &ViewPlan) -> Vec<f32> {
    let mut out = vec![0.0; augmenter.frames * augmenter.front_end.spec().n_mels];
    augmenter.view_into(samples, plan, &mut ViewScratch::default(), &mut out).unwrap();
    out
}

/// A tone of amplitude 0.5, with no sharp ends.
fn tone(frequency_hz: f64, samples: usize) -> Vec<f32> {
    (0..samples).map(|n| (0.5 * (TAU * frequency_hz * n as f64 / RATE_HZ).sin()) as f32).collect()
}

/// A tone in uniform noise, different at every place.
fn machine(samples: usize) -> Vec<f32> {
    let mut rng = rng(99);
    tone(431.0, samples).into_iter().map(|x| x + 0.2 * (rng.random::<f32>() - 0.5)).collect()
}

use rand::RngExt;

fn peak(values: &[f32]) -> usize {
    (0..values.len()).max_by(|a, b| values[*a].total_cmp(&values[*b])).unwrap()
}

#[test]
fn nothing_drawn_is_the_front_end_bit_for_bit() {
    let augmenter = augmenter(0.0, FRAMES);
    let clip = machine(CLIP);
    let plan = augmenter.draw(CLIP, &mut rng(1));
    assert_eq!(
        (plan.first_sample, plan.segment_samples),
        (0, CLIP),
        "a clip of as many frames is taken whole"
    );
    assert_eq!(
        view(&augmenter, &clip, &plan),
        augmenter.front_end.compute(&clip).unwrap().into_raw_vec_and_offset().0
    );

    let long = machine(CLIP + 50_000);
    let plan = augmenter.draw(long.len(), &mut rng(2));
    let segment = &long[plan.first_sample..][..plan.segment_samples];
    let expected = augmenter.front_end.compute(segment).unwrap().into_raw_vec_and_offset().0;
    assert_eq!(view(&augmenter, &long, &plan), expected);
}

#[test]
fn other_exponents_and_paddings_are_the_front_end_too() {
    for (power, padding, n_fft) in
        [(1.0, super::super::Padding::Constant, 400), (1.5, super::super::Padding::Reflect, 401)]
    {
        let front_end =
            LogMelSpec { power, padding, n_fft, hop_samples: 160, n_mels: 40, ..LogMelSpec::default() };
        let augmenter = Augmenter::new(&front_end, &spec(0.0), 51).unwrap();
        let clip = machine(20_000);
        let plan = augmenter.draw(clip.len(), &mut rng(3));
        let segment = &clip[plan.first_sample..][..plan.segment_samples];
        let expected = augmenter.front_end.compute(segment).unwrap().into_raw_vec_and_offset().0;
        assert_eq!(view(&augmenter, &clip, &plan), expected);
    }
}

#[test]
fn a_shifted_tone_is_a_tone_of_the_shifted_frequency() {
    let augmenter = augmenter(0.0, FRAMES);
    for (frequency_hz, semitones) in
        [(440.0, 2.0), (440.0, -2.0), (1000.0, 12.0), (1000.0, -12.0), (3000.0, 0.7), (150.0, 5.0)]
    {
        let mut plan = augmenter.draw(CLIP, &mut rng(1));
        plan.semitones = semitones;
        let shifted = view(&augmenter, &tone(frequency_hz, CLIP), &plan);
        let target = tone(frequency_hz * (semitones / 12.0_f64).exp2(), CLIP);
        let expected = augmenter.front_end.compute(&target).unwrap();
        let row = &shifted[100 * 128..101 * 128];
        let expected = expected.row(100).to_vec();
        assert!(
            peak(row).abs_diff(peak(&expected)) <= 1,
            "{frequency_hz} Hz by {semitones}: {} for {}",
            peak(row),
            peak(&expected)
        );
        // The window's main lobe is r times as wide as a tone's own, so the neighbours differ; the sum does not, but
        // for the scale of the filters, which changes by a few per cent from one to the next: 0.5 dB.
        let sum_db = |row: &[f32]| {
            10.0 * row.iter().map(|db| 10.0_f64.powf(f64::from(*db) / 10.0)).sum::<f64>().log10()
        };
        assert!((sum_db(row) - sum_db(&expected)).abs() < 0.5, "{} for {}", sum_db(row), sum_db(&expected));
    }
}

/// Noise of power density N, played r times faster, has the density N/r.
#[test]
fn a_shift_keeps_the_power_of_noise() {
    let augmenter = augmenter(0.0, FRAMES);
    let mut clip = vec![0.0; CLIP];
    noise::WhiteNoise::new(5).add_to(&mut clip, 0.1);
    let mut plan = augmenter.draw(CLIP, &mut rng(1));
    let mean_power = |plan: &ViewPlan| {
        // Bands that both have: far below the moved half sample rate, far above the lowest bins.
        let view = view(&augmenter, &clip, plan);
        let bands = view.chunks(128).flat_map(|row| &row[20..90]);
        bands.map(|db| 10.0_f64.powf(f64::from(*db) / 10.0)).sum::<f64>()
    };
    let before = mean_power(&plan);
    for semitones in [-4.0, 3.0, 7.0] {
        plan.semitones = semitones;
        let lost_db = 10.0 * (before / mean_power(&plan)).log10();
        let expected_db = 10.0 * (semitones / 12.0_f64).exp2().log10();
        // 70 bands of 313 frames hold at least 10,000 independent values, each as uncertain as it is large: 1 %, of
        // which 5 are allowed.
        assert!((lost_db - expected_db).abs() < 0.2, "{semitones}: {lost_db} for {expected_db}");
    }
}

#[test]
fn clicks_of_a_faster_view_are_closer() {
    let augmenter = augmenter(0.0, FRAMES);
    let period = 40 * 512; // 40 frames
    let clip: Vec<f32> = (0..CLIP + 60_000).map(|n| if n % period == 20 * 512 { 1.0 } else { 0.0 }).collect();
    for speed in [0.8, 1.0, 1.25] {
        let mut plan = augmenter.draw(CLIP, &mut rng(1));
        let needed = augmenter.front_end.min_samples(augmenter.source_frames(speed));
        (plan.speed, plan.clip_samples, plan.segment_samples) = (speed, needed, needed);
        let view = view(&augmenter, &clip[..needed], &plan);
        let level = |frame: usize| view[frame * 128..(frame + 1) * 128].iter().sum::<f32>();
        let clicks: Vec<usize> = (1..FRAMES - 1)
            .filter(|frame| {
                level(*frame) >= level(frame - 1)
                    && level(*frame) > level(frame + 1)
                    && level(*frame) > -100.0 * 128.0
            })
            .collect();
        let expected: Vec<f64> =
            (0..).map(|click| (20 + 40 * click) as f64 / speed).take_while(|at| *at < 311.0).collect();
        assert_eq!(clicks.len(), expected.len(), "speed {speed}: {clicks:?}");
        for (found, expected) in clicks.iter().zip(&expected) {
            assert!((*found as f64 - expected).abs() <= 0.51, "speed {speed}: {clicks:?} for {expected:?}");
        }
    }
}

/// At whole and half frames the magnitudes between two frames are known.
#[test]
fn a_slow_view_has_the_mean_magnitude_between_frames() {
    let front_end = LogMelSpec { power: 1.0, norm: super::super::MelNorm::None, ..LogMelSpec::default() };
    let augmenter = Augmenter::new(&front_end, &spec(0.0), 21).unwrap();
    let clip = machine(16_000);
    let mel = augmenter.front_end.mel(&clip).unwrap();
    let mut plan = augmenter.draw(clip.len(), &mut rng(1));
    (plan.speed, plan.first_sample, plan.segment_samples) = (0.5, 0, clip.len());
    let view = view(&augmenter, &clip, &plan);
    for frame in 0..20 {
        for band in 0..128 {
            let (left, right) = (mel[[frame / 2, band]], mel[[frame.div_ceil(2), band]]);
            let expected = 10.0 * (0.5 * (left + right)).log10();
            // Roundings of roots, squares and the sum of a band in f32: 1e-6 of it, 4e-6 dB and more for log-mel's own.
            assert!((view[frame * 128 + band] - expected).abs() < 1e-4, "frame {frame} band {band}");
        }
    }
}

#[test]
fn masks_have_the_drawn_place_and_nothing_else_changes() {
    let (mut spec, front_end) = (spec(0.0), LogMelSpec::default());
    (spec.time_mask.probability, spec.frequency_mask.probability) = (1.0, 1.0);
    let augmenter = Augmenter::new(&front_end, &spec, FRAMES).unwrap();
    let clip = machine(CLIP);
    let plain = augmenter.front_end.compute(&clip).unwrap();
    let mean = plain.iter().map(|db| f64::from(*db)).sum::<f64>() / plain.len() as f64;
    for seed in 0..5 {
        let plan = augmenter.draw(CLIP, &mut rng(seed));
        assert_eq!((plan.time_masks.len(), plan.frequency_masks.len()), (2, 2));
        let view = view(&augmenter, &clip, &plan);
        let hit = |masks: &[Mask], at: usize| {
            masks.iter().any(|mask| at >= mask.first && at < mask.first + mask.length)
        };
        for ((frame, band), before) in plain.indexed_iter() {
            let after = view[frame * 128 + band];
            if hit(&plan.time_masks, frame) || hit(&plan.frequency_masks, band) {
                // The mean is rounded to f32 once: half of 2^-18 for values up to 64, and 2^-17 up to 128.
                assert!((f64::from(after) - mean).abs() < 1e-5);
            } else {
                assert_eq!(after.to_bits(), before.to_bits(), "frame {frame} band {band}");
            }
        }
    }
}

#[test]
fn drawn_masks_fill_their_range() {
    let augmenter = augmenter(1.0, FRAMES);
    let plans: Vec<ViewPlan> = (0..2000).map(|seed| augmenter.draw(CLIP, &mut rng(seed))).collect();
    let masks = |of: fn(&ViewPlan) -> &Vec<Mask>| plans.iter().flat_map(of).copied().collect::<Vec<Mask>>();
    for (masks, longest, places) in
        [(masks(|p| &p.time_masks), 31, FRAMES), (masks(|p| &p.frequency_masks), 16, 128)]
    {
        assert_eq!(masks.iter().map(|mask| mask.length).min(), Some(1));
        assert_eq!(masks.iter().map(|mask| mask.length).max(), Some(longest));
        assert_eq!(masks.iter().map(|mask| mask.first).min(), Some(0));
        assert_eq!(masks.iter().map(|mask| mask.first + mask.length).max(), Some(places));
    }
}

#[test]
fn the_noise_has_the_drawn_power() {
    let clip = machine(CLIP);
    for snr_db in [-10.0, 0.0, 20.0] {
        let mut plan = augmenter(0.0, FRAMES).draw(CLIP, &mut rng(1));
        plan.noise = Some(Noise { snr_db, seed: 11 });
        let mut copy = Vec::new();
        let noisy = segment_of(&clip, &plan, &mut copy);
        let noise: Vec<f32> = noisy.iter().zip(&clip).map(|(noisy, clean)| noisy - clean).collect();
        let found_db = 10.0 * (mean_square(&clip) / mean_square(&noise)).log10();
        // The power of n normal numbers has a relative standard error of √(2/n) = 0.0035; five of them are 0.077 dB.
        assert!((found_db - snr_db).abs() < 0.08, "{found_db} for {snr_db}");
    }
}

#[test]
fn draws_cover_their_ranges() {
    let augmenter = augmenter(1.0, FRAMES);
    let plans: Vec<ViewPlan> = (0..2000).map(|seed| augmenter.draw(CLIP, &mut rng(seed))).collect();
    // 2,000 uniform draws leave no 2 % at an end of the range empty but with a chance of 0.98^2000 = 3e-18.
    let covers = |of: &dyn Fn(&ViewPlan) -> f64, low: f64, high: f64| {
        let (mut least, mut most) = (f64::INFINITY, f64::NEG_INFINITY);
        for plan in &plans {
            (least, most) = (least.min(of(plan)), most.max(of(plan)));
        }
        let margin = 0.02 * (high - low);
        assert!(
            least >= low && least < low + margin && most <= high && most > high - margin,
            "{least} to {most}"
        );
    };
    covers(&|plan| plan.semitones, -2.0, 2.0);
    covers(&|plan| plan.speed.ln(), (1.0 / 1.2_f64).ln() - 1e-4, 1.2_f64.ln() + 1e-4);
    covers(&|plan| plan.noise.unwrap().snr_db, 10.0, 40.0);
    let long: Vec<usize> =
        (0..2000).map(|seed| augmenter.draw(400_000, &mut rng(seed))).map(|plan| plan.first_sample).collect();
    assert!(long.iter().min() < Some(&5_000) && long.iter().max() > Some(&205_000));
}

#[test]
fn probability_0_and_1_are_never_and_always() {
    for seed in 0..200 {
        let none = augmenter(0.0, FRAMES).draw(CLIP, &mut rng(seed));
        assert!(none.noise.is_none() && none.time_masks.is_empty() && none.frequency_masks.is_empty());
        assert_eq!((none.speed, none.semitones), (1.0, 0.0));
        let all = augmenter(1.0, FRAMES).draw(CLIP, &mut rng(seed));
        assert!(all.noise.is_some() && all.time_masks.len() == 2 && all.frequency_masks.len() == 2);
    }
}

#[test]
fn what_is_switched_off_leaves_the_rest_as_drawn() {
    let whole = augmenter(1.0, FRAMES).draw(CLIP, &mut rng(4));
    let mut less = spec(1.0);
    less.pitch_shift.probability = 0.0;
    less.time_mask.probability = 0.0;
    let part = Augmenter::new(&LogMelSpec::default(), &less, FRAMES).unwrap().draw(CLIP, &mut rng(4));
    assert_eq!(part, ViewPlan { semitones: 0.0, time_masks: Vec::new(), ..whole });
}

#[test]
fn the_same_plan_gives_the_same_bytes_on_any_thread() {
    let augmenter = augmenter(1.0, FRAMES);
    let clip = machine(CLIP);
    let plan = augmenter.draw(CLIP, &mut rng(6));
    assert_eq!(plan, augmenter.draw(CLIP, &mut rng(6)));
    let mut scratch = ViewScratch::default();
    let mut first = vec![0.0; FRAMES * 128];
    // A work space that has been used for another view.
    augmenter.view_into(&clip, &augmenter.draw(CLIP, &mut rng(7)), &mut scratch, &mut first).unwrap();
    let other = first.clone();
    augmenter.view_into(&clip, &plan, &mut scratch, &mut first).unwrap();
    let elsewhere =
        std::thread::scope(|scope| scope.spawn(|| view(&augmenter, &clip, &plan)).join().unwrap());
    assert_eq!(first, elsewhere);
    assert_ne!(first, other);
}

#[test]
fn short_clips_are_repeated() {
    let augmenter = augmenter(0.0, FRAMES);
    for samples in [1, 700, 16_000, 159_743] {
        let clip = machine(samples);
        let plan = augmenter.draw(samples, &mut rng(1));
        let repeated: Vec<f32> = clip.iter().copied().cycle().take(plan.segment_samples).collect();
        let expected = augmenter.front_end.compute(&repeated).unwrap().into_raw_vec_and_offset().0;
        assert_eq!(view(&augmenter, &clip, &plan), expected, "{samples} samples");
    }
}

#[test]
fn a_silent_clip_gets_no_noise() {
    let augmenter = augmenter(1.0, FRAMES);
    let clip = vec![0.0; CLIP];
    let view = view(&augmenter, &clip, &augmenter.draw(CLIP, &mut rng(1)));
    let floor = augmenter.front_end.compute(&clip).unwrap()[[0, 0]];
    assert!(view.iter().all(|value| *value == floor), "{floor}");
}

#[test]
fn wrong_clips_plans_and_buffers_are_errors() {
    let augmenter = augmenter(0.0, FRAMES);
    let mut out = vec![0.0; FRAMES * 128];
    let mut scratch = ViewScratch::default();
    let mut fail = |samples: &[f32], plan: &ViewPlan, out: &mut [f32]| {
        augmenter.view_into(samples, plan, &mut scratch, out).unwrap_err().to_string()
    };
    let clip = machine(CLIP);
    let plan = augmenter.draw(CLIP, &mut rng(1));
    assert!(fail(&[], &augmenter.draw(0, &mut rng(1)), &mut out).contains("0 samples"));
    assert!(fail(&clip[1..], &plan, &mut out).contains("159999 samples"));
    assert!(fail(&clip, &ViewPlan { speed: f64::NAN, ..plan.clone() }, &mut out).contains("NaN"));
    assert!(fail(&clip, &ViewPlan { segment_samples: 3, ..plan.clone() }, &mut out).contains("plan"));
    assert!(fail(&clip, &plan, &mut [0.0; 3]).contains("313 x 128"));
    let mut broken = clip.clone();
    broken[80_000] = f32::NAN;
    assert!(fail(&broken, &plan, &mut out).contains("frame 156"));
    assert!(Augmenter::new(&LogMelSpec::default(), &spec(0.5), 0).is_err());
    assert!(augmenter.render(&[], &augmenter.draw(0, &mut rng(1))).is_err());
}

/// Frequency of the largest FFT bin, in Hz, of the middle 65,536 samples or of as many as there are.
fn main_frequency_hz(sound: &[f32]) -> f64 {
    let length = sound.len().min(65_536);
    let start = (sound.len() - length) / 2;
    let fft = realfft::RealFftPlanner::<f32>::new().plan_fft_forward(length);
    let mut windowed: Vec<f32> = (0..length)
        .map(|n| sound[start + n] * (std::f32::consts::PI * n as f32 / length as f32).sin().powi(2))
        .collect();
    let mut spectrum = fft.make_output_vec();
    fft.process(&mut windowed, &mut spectrum).unwrap();
    let power: Vec<f32> = spectrum.iter().map(|bin| bin.norm_sqr()).collect();
    peak(&power) as f64 * RATE_HZ / length as f64
}

#[test]
fn sound_of_a_shift_has_the_shifted_frequency_and_of_a_stretch_its_own() {
    let augmenter = augmenter(0.0, FRAMES);
    let clip = tone(1000.0, CLIP);
    for (speed, semitones) in [(1.0, 3.0), (1.0, -5.0), (1.2, 0.0), (0.83, 0.0), (1.1, -2.0)] {
        let mut plan = augmenter.draw(CLIP, &mut rng(1));
        (plan.speed, plan.semitones, plan.segment_samples) = (speed, semitones, 200_000);
        let sound = augmenter.render(&clip, &plan).unwrap();
        assert_eq!(sound.len(), (200_000.0 / speed).round() as usize);
        let expected_hz = 1000.0 * (semitones / 12.0_f64).exp2();
        // Half a bin of 0.24 Hz, the ratio's rounding of 0.05 %, and the phase vocoder's places, rounded to samples.
        assert!(
            (main_frequency_hz(&sound) - expected_hz).abs() < 0.0015 * expected_hz,
            "{}",
            main_frequency_hz(&sound)
        );
        let middle = &sound[20_000..140_000];
        let level_db = 10.0 * (mean_square(middle) / mean_square(&clip)).log10();
        assert!(level_db.abs() < 1.0, "{speed} {semitones}: {level_db} dB");
    }
}

#[test]
fn sound_with_nothing_drawn_is_the_segment() {
    let augmenter = augmenter(0.0, FRAMES);
    let clip = machine(CLIP);
    let plan = augmenter.draw(CLIP, &mut rng(1));
    assert_eq!(augmenter.render(&clip, &plan).unwrap(), clip);
}

#[test]
fn masks_can_be_heard_where_they_are_and_nowhere_else() {
    let augmenter = augmenter(0.0, FRAMES);
    let mut clip = vec![0.0; CLIP];
    noise::WhiteNoise::new(5).add_to(&mut clip, 0.1);
    let mut plan = augmenter.draw(CLIP, &mut rng(1));
    plan.time_masks = vec![Mask { first: 100, length: 20 }];
    plan.frequency_masks = vec![Mask { first: 60, length: 10 }];
    let sound = augmenter.render(&clip, &plan).unwrap();
    assert!(sound[100 * 512..119 * 512].iter().all(|sample| *sample == 0.0));
    let (before, after) = (augmenter.front_end.mel(&clip).unwrap(), augmenter.front_end.mel(&sound).unwrap());
    for frame in (5..95).chain(125..305) {
        for band in (0..58).chain(72..128) {
            // An unmasked bin comes back but for rounding; the masked ones leak into neighbours by Hann's side lobes.
            let change_db = 10.0 * (after[[frame, band]] / before[[frame, band]]).log10();
            assert!(change_db.abs() < 0.5, "frame {frame} band {band}: {change_db} dB");
        }
        for band in 62..68 {
            let change_db = 10.0 * (after[[frame, band]] / before[[frame, band]]).log10();
            assert!(change_db < -20.0, "frame {frame} band {band}: {change_db} dB");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_clip_gives_a_finite_view_and_a_finite_sound(
        samples in prop::collection::vec(-1e3_f32..1e3, 1..6000),
        seed in any::<u64>(),
        frames in 1_usize..20,
        n_fft in 2_usize..600,
        hop_samples in 1_usize..700,
        probability in prop::sample::select(vec![0.5, 1.0]),
    ) {
        let front_end = LogMelSpec { n_fft, hop_samples, n_mels: 20, ..LogMelSpec::default() };
        let mut augment = spec(probability);
        augment.time_stretch.max_factor = 4.0;
        augment.pitch_shift.max_semitones = 24.0;
        augment.time_mask.max_frames = 100;
        augment.frequency_mask.max_bands = 100;
        let augmenter = Augmenter::new(&front_end, &augment, frames).unwrap();
        let plan = augmenter.draw(samples.len(), &mut rng(seed));
        let mut out = vec![f32::NAN; frames * 20];
        augmenter.view_into(&samples, &plan, &mut ViewScratch::default(), &mut out).unwrap();
        prop_assert!(out.iter().all(|value| value.is_finite()));
        let sound = augmenter.render(&samples, &plan).unwrap();
        prop_assert!(sound.iter().all(|value| value.is_finite()));
    }
}
