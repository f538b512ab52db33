//! One view of a 10 s clip on one thread: nothing on, each augmentation alone, everything on, beside the plain log-mel
//! and, in the same run, beside the same five augmentations in torchaudio.
//!
//! The peer runs where `ASDBENCH_PEER_PYTHON` names a Python that has torch and torchaudio.

mod peer;
mod sound;

use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use asdbench::audio::augment::{AugmentSpec, Augmenter, ViewPlan, ViewScratch};
use asdbench::audio::{ChannelChoice, LogMelSpec, SampleFormat, read_wav, write_wav};
use asdbench::rng;
use criterion::Criterion;
use peer::median;
use sound::machine_noise;

const DURATION_S: usize = 10;
/// Views timed for the comparison; the median is taken, as in the peer's script. Every case has its turn before any
/// has its next, so that a noisy neighbour hits all of them.
const VIEWS: usize = 300;

/// A case: its name and the chance of each augmentation, in the order noise, stretch, shift, time and band masks.
const CASES: [(&str, [f64; 5]); 7] = [
    ("nothing on", [0.0; 5]),
    ("white noise", [1.0, 0.0, 0.0, 0.0, 0.0]),
    ("time stretch", [0.0, 1.0, 0.0, 0.0, 0.0]),
    ("pitch shift", [0.0, 0.0, 1.0, 0.0, 0.0]),
    ("masks", [0.0, 0.0, 0.0, 1.0, 1.0]),
    ("the default, each on in half of the views", [0.5; 5]),
    ("everything on", [1.0; 5]),
];

fn main() {
    let front_end = LogMelSpec::default();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let clip = folder.path().join("clip.wav");
    let samples = machine_noise(front_end.rate_hz, DURATION_S);
    write_wav(&clip, &samples, front_end.rate_hz, SampleFormat::Pcm16).expect("a clip");

    let mut criterion = Criterion::default().configure_from_args();
    let mut scratch = ViewScratch::default();
    for (name, index) in [("view_plain_10s", 0), ("view_all_10s", CASES.len() - 1)] {
        let augmenter = augmenter(CASES[index].1);
        let mut out = vec![0.0; augmenter.frames() * front_end.n_mels];
        let mut number = 0;
        criterion.bench_function(name, |bencher| {
            bencher.iter(|| {
                number += 1;
                view(&augmenter, black_box(&clip), number, &mut scratch, &mut out)
            });
        });
    }
    criterion.final_summary();
    compare(&clip);
}

/// Views as long as the clip.
fn augmenter([noise, stretch, shift, time, bands]: [f64; 5]) -> Augmenter {
    let mut spec = AugmentSpec::default();
    spec.white_noise.probability = noise;
    spec.time_stretch.probability = stretch;
    spec.pitch_shift.probability = shift;
    spec.time_mask.probability = time;
    spec.frequency_mask.probability = bands;
    let front_end = LogMelSpec::default();
    let frames = 1 + DURATION_S * front_end.rate_hz as usize / front_end.hop_samples;
    Augmenter::new(&front_end, &spec, frames).expect("the default settings")
}

/// All that a loader does for one view: the file, the draw, the view.
fn view(
    augmenter: &Augmenter,
    clip: &Path,
    number: u64,
    scratch: &mut ViewScratch,
    out: &mut [f32],
) -> ViewPlan {
    let wave = read_wav(clip, ChannelChoice::First).expect("the clip");
    let plan = augmenter.draw(wave.samples.len(), &mut rng::stream(0, "bench", number));
    augmenter.view_into(&wave.samples, &plan, scratch, out).expect("a view");
    plan
}

/// Prints our times, the peer's, and their ratio.
fn compare(clip: &Path) {
    let augmenters = CASES.map(|(_, chances)| augmenter(chances));
    let front_end = augmenters[0].front_end();
    let mut scratch = ViewScratch::default();
    let mut out = vec![0.0; augmenters[0].frames() * front_end.spec().n_mels];
    let mut logmel_scratch = asdbench::audio::Scratch::default();
    let mut times_ms = vec![Vec::with_capacity(VIEWS); CASES.len() + 1];
    for number in 0..VIEWS as u64 {
        let start = Instant::now();
        black_box(front_end.compute_clip(clip, ChannelChoice::First, 1, &mut logmel_scratch))
            .expect("a log-mel");
        times_ms[CASES.len()].push(start.elapsed().as_secs_f64() * 1e3);
        for (augmenter, times_ms) in augmenters.iter().zip(&mut times_ms) {
            let start = Instant::now();
            black_box(view(augmenter, clip, number, &mut scratch, &mut out));
            times_ms.push(start.elapsed().as_secs_f64() * 1e3);
        }
    }
    let medians_ms: Vec<f64> = times_ms.into_iter().map(median).collect();
    println!("asdbench, median of {VIEWS} views of a 10 s clip from its file, one thread:");
    println!("  {:<42} {:.3} ms", "log-mel of the front end", medians_ms[CASES.len()]);
    for ((name, _), ms) in CASES.iter().zip(&medians_ms) {
        println!("  {name:<42} {ms:.3} ms");
    }

    let Some(result) = peer::answer("views.py", &[clip]) else {
        println!("torchaudio: skipped, set ASDBENCH_PEER_PYTHON to a Python that has it");
        return;
    };
    println!("{}:", result["versions"].as_str().unwrap_or("unknown version"));
    for (key, what, ours_ms) in [
        ("ms_plain", "log-mel", medians_ms[CASES.len()]),
        ("ms_spectral", "everything on, one spectrum, no pitch shift", medians_ms[CASES.len() - 1]),
        ("ms_all", "everything on", medians_ms[CASES.len() - 1]),
    ] {
        let peer_ms = result[key].as_f64().expect("the peer's times");
        println!("  {what:<42} {peer_ms:.3} ms, ratio {:.1}x", peer_ms / ours_ms);
    }
}
