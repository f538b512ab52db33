//! WAV and log-mel of a 10 s clip on one thread, beside librosa on the same file in the same run; the front ends of the
//! pretrained networks, from samples to the network's input, beside torchaudio.
//!
//! The peers run where `ASDBENCH_PEER_PYTHON` names a Python that has librosa and soundfile, torch and torchaudio.

mod peer;
mod sound;

use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use asdbench::audio::{
    CedBank, ChannelChoice, KALDI_BANDS, KaldiBank, KaldiScratch, KaldiSpec, LogMel, LogMelSpec,
    SampleFormat, Scratch, read_wav, write_wav,
};
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
    let mut kaldi = Kaldi::new(KaldiSpec::beats(), wave.samples.len());
    criterion.bench_function("kaldi_10s", |bencher| bencher.iter(|| kaldi.run(black_box(&wave.samples))));
    criterion.final_summary();
    compare(&front_end, &clip);
    compare_pretrained(&wave.samples, &clip);
}

/// A Kaldi filter bank with what it writes into.
struct Kaldi {
    bank: KaldiBank,
    scratch: KaldiScratch,
    out: Vec<f32>,
}

impl Kaldi {
    fn new(spec: KaldiSpec, n_samples: usize) -> Self {
        let bank = KaldiBank::new(spec);
        let out = vec![0.0; bank.frames(n_samples) * KALDI_BANDS];
        Self { bank, scratch: KaldiScratch::default(), out }
    }

    /// The network's input.
    fn run(&mut self, samples: &[f32]) {
        self.bank.compute_into(samples, &mut self.scratch, &mut self.out).expect("a filter bank");
        self.bank.normalise(&mut self.out);
        black_box(&self.out);
    }
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

/// Prints our times for the pretrained networks' front ends, the peer's, and their ratios.
fn compare_pretrained(samples: &[f32], clip: &Path) {
    let mut beats = Kaldi::new(KaldiSpec::beats(), samples.len());
    let mut eat = Kaldi::new(KaldiSpec::eat(), samples.len());
    let ced = CedBank::new().expect("the front end of CED");
    let (mut scratch, mut out) =
        (Scratch::default(), vec![0.0; ced.frames(samples.len()) * ced.spec().n_mels]);
    let mut times_ms = [const { Vec::new() }; 3];
    // Each has its turn before any has its next, so that a noisy neighbour hits all of them.
    for _ in 0..CLIPS {
        let start = Instant::now();
        beats.run(black_box(samples));
        let after_beats = Instant::now();
        eat.run(black_box(samples));
        let after_eat = Instant::now();
        ced.compute_into(black_box(samples), &mut scratch, &mut out).expect("a log-mel");
        black_box(&out);
        let spans = [after_beats - start, after_eat - after_beats, after_eat.elapsed()];
        for (times_ms, span) in times_ms.iter_mut().zip(spans) {
            times_ms.push(span.as_secs_f64() * 1e3);
        }
    }
    let result = peer::answer("torchaudio_fbank.py", &[clip]);
    for (name, times_ms) in ["beats", "eat", "ced"].into_iter().zip(times_ms) {
        let ours_ms = median(times_ms);
        println!(
            "front end of {name}: {ours_ms:.3} ms per 10 s clip (median of {CLIPS}, one thread, without the file)"
        );
        let Some(result) = &result else { continue };
        let peer_ms = result[format!("ms_{name}")].as_f64().expect("the peer's times");
        let versions = result["versions"].as_str().unwrap_or("unknown version");
        println!("    {versions}: {peer_ms:.3} ms, ratio {:.1}x", peer_ms / ours_ms);
    }
    if result.is_none() {
        println!("torchaudio: skipped, set ASDBENCH_PEER_PYTHON to a Python that has it");
    }
}
