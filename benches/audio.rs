//! WAV and log-mel of a 10 s clip on one thread, beside librosa on the same file in the same run.
//!
//! The peer runs where `ASDBENCH_PEER_PYTHON` names a Python that has librosa and soundfile.

mod peer;
mod sound;

use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use asdbench::audio::{ChannelChoice, LogMel, LogMelSpec, SampleFormat, Scratch, read_wav, write_wav};
use criterion::Criterion;
use peer::median;
use sound::machine_noise;

const DURATION_S: usize = 10;
/// Clips timed for the comparison; the median is taken, as in the peer's script.
const CLIPS: usize = 200;

fn main() {
    let spec = LogMelSpec::default();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let clip = folder.path().join("clip.wav");
    write_wav(&clip, &machine_noise(spec.rate_hz, DURATION_S), spec.rate_hz, SampleFormat::Pcm16)
        .expect("a clip");
    let front_end = LogMel::new(&spec).expect("the default front end");

    let mut criterion = Criterion::default().configure_from_args();
    let mut scratch = Scratch::default();
    criterion.bench_function("wav_logmel_10s", |bencher| {
        bencher.iter(|| front_end.compute_clip(black_box(&clip), ChannelChoice::First, 1, &mut scratch));
    });
    criterion.bench_function("wav_10s", |bencher| {
        bencher.iter(|| read_wav(black_box(&clip), ChannelChoice::First));
    });
    let wave = read_wav(&clip, ChannelChoice::First).expect("the clip");
    criterion.bench_function("logmel_10s", |bencher| {
        bencher.iter(|| front_end.compute_with(black_box(&wave.samples), &mut scratch));
    });
    criterion.final_summary();
    compare(&front_end, &clip);
}

/// Prints our time, the peer's, and their ratio.
fn compare(front_end: &LogMel, clip: &Path) {
    let mut scratch = Scratch::default();
    let times_ms: Vec<f64> = (0..CLIPS)
        .map(|_| {
            let start = Instant::now();
            let logmel = front_end.compute_clip(clip, ChannelChoice::First, 1, &mut scratch);
            black_box(logmel).expect("a log-mel");
            start.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    let ours_ms = median(times_ms);
    println!("asdbench: {ours_ms:.3} ms per 10 s clip (median of {CLIPS}, one thread)");

    let Some(result) = peer::answer("librosa_logmel.py", &[clip]) else {
        println!("librosa:  skipped, set ASDBENCH_PEER_PYTHON to a Python that has it");
        return;
    };
    let peer_ms = result["ms_per_clip"].as_f64().expect("ms_per_clip");
    println!(
        "librosa:  {peer_ms:.3} ms per 10 s clip ({})",
        result["versions"].as_str().unwrap_or("unknown version")
    );
    println!("ratio:    {:.1}x", peer_ms / ours_ms);
}
