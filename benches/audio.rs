//! WAV and log-mel of a 10 s clip on one thread, beside librosa on the same file in the same run.
//!
//! The peer runs where `ASDBENCH_PEER_PYTHON` names a Python that has librosa and soundfile.

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use asdbench::audio::{ChannelChoice, LogMel, LogMelSpec, SampleFormat, Scratch, read_wav, write_wav};
use criterion::Criterion;

const DURATION_S: usize = 10;
/// Clips timed for the comparison; the median is taken, as in the peer's script.
const CLIPS: usize = 200;

fn main() {
    let spec = LogMelSpec::default();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let clip = folder.path().join("clip.wav");
    write_wav(&clip, &machine_noise(&spec), spec.rate_hz, SampleFormat::Pcm16).expect("a clip");
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

/// A harmonic sound with noise, of full dynamic range: denormals and silence would be timed
/// otherwise.
fn machine_noise(spec: &LogMelSpec) -> Vec<f32> {
    let mut state = 1_u32;
    (0..DURATION_S * spec.rate_hz as usize)
        .map(|n| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let noise = (state >> 8) as f32 / (1 << 23) as f32 - 1.0;
            let phase =
                std::f32::consts::TAU * 120.0 * (n % spec.rate_hz as usize) as f32 / spec.rate_hz as f32;
            0.3 * phase.sin() + 0.1 * (3.0 * phase).sin() + 0.05 * noise
        })
        .collect()
}

/// Prints our time, the peer's, and their ratio.
fn compare(front_end: &LogMel, clip: &Path) {
    let mut scratch = Scratch::default();
    let mut times_ms: Vec<f64> = (0..CLIPS)
        .map(|_| {
            let start = Instant::now();
            let logmel = front_end.compute_clip(clip, ChannelChoice::First, 1, &mut scratch);
            black_box(logmel).expect("a log-mel");
            start.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    times_ms.sort_by(f64::total_cmp);
    let ours_ms = times_ms[CLIPS / 2];
    println!("asdbench: {ours_ms:.3} ms per 10 s clip (median of {CLIPS}, one thread)");

    let Some(python) = std::env::var_os("ASDBENCH_PEER_PYTHON") else {
        println!("librosa:  skipped, ASDBENCH_PEER_PYTHON names no Python");
        return;
    };
    let script: PathBuf =
        [env!("CARGO_MANIFEST_DIR"), "scripts", "peers", "librosa_logmel.py"].iter().collect();
    let output = Command::new(&python).arg(script).arg(clip).output().expect("the peer's Python starts");
    assert!(output.status.success(), "the peer failed: {}", String::from_utf8_lossy(&output.stderr));
    let result: serde_json::Value = serde_json::from_slice(&output.stdout).expect("the peer prints JSON");
    let peer_ms = result["ms_per_clip"].as_f64().expect("ms_per_clip");
    println!(
        "librosa:  {peer_ms:.3} ms per 10 s clip ({})",
        result["versions"].as_str().unwrap_or("unknown version")
    );
    println!("ratio:    {:.1}x", peer_ms / ours_ms);
}
