//! Embeddings of clips from pre-trained encoders, as a user extracts them.

mod references;

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use asdbench::audio::{ChannelChoice, SampleFormat, read_wav, write_wav};
use ndarray::{Array0, Array1, Array2, Array3, s};
use ndarray_npy::{NpzReader, ReadableElement};

use crate::import::{TINY, random_network};
use crate::program::{Answer, Bench, first_clip};

/// `asdbench extract` on the CPU into `out.npz`; JSON on standard output.
pub fn extract(bench: &Bench, arguments: &[&str]) -> Answer {
    bench.run(&[&["extract", "-o", "out.npz", "--device", "cpu", "--format", "json"], arguments].concat())
}

/// An array of a `.npz` file.
pub fn array<T: ReadableElement, D: ndarray::Dimension>(path: &Path, name: &str) -> ndarray::Array<T, D> {
    let mut npz = NpzReader::new(File::open(path).unwrap()).unwrap();
    npz.by_name(name).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// A list of texts of a `.npz` file, which is UTF-32 of one width.
pub fn texts(path: &Path, name: &str) -> Vec<String> {
    let mut npz = zip::ZipArchive::new(File::open(path).unwrap()).unwrap();
    let mut bytes = Vec::new();
    npz.by_name(&format!("{name}.npy")).unwrap().read_to_end(&mut bytes).unwrap();
    let header = usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let text = std::str::from_utf8(&bytes[10..10 + header]).unwrap();
    let width: usize = text.split("'<U").nth(1).unwrap().split('\'').next().unwrap().parse().unwrap();
    let (points, _) = bytes[10 + header..].as_chunks::<4>();
    let points: Vec<char> =
        points.iter().map(|point| char::from_u32(u32::from_le_bytes(*point)).unwrap()).collect();
    points.chunks(width).map(|text| text.iter().filter(|point| **point != '\0').collect()).collect()
}

/// A chirp, so that no two stretches are alike.
pub fn tone(path: &Path, duration_s: f64, rate_hz: u32) {
    write_wav(path, &chirp(duration_s, rate_hz), rate_hz, SampleFormat::Pcm16).unwrap();
}

fn chirp(duration_s: f64, rate_hz: u32) -> Vec<f32> {
    let samples = (duration_s * f64::from(rate_hz)) as usize;
    let at = |n: usize| {
        let t = n as f64 / f64::from(rate_hz);
        (0.3 * (900.0 * t + 700.0 * t * t).sin() + 0.1 * (3000.0 * t).sin()) as f32
    };
    (0..samples).map(at).collect()
}

/// Five clips of unlike lengths and rates, and the same of both channels.
fn recordings(bench: &Bench) -> Vec<String> {
    fs::create_dir(bench.path("clips")).unwrap();
    let clips =
        [("a.wav", 1.0, 16_000), ("b.wav", 10.0, 16_000), ("c.wav", 18.0, 16_000), ("d.wav", 1.0, 44_100)];
    for (name, duration_s, rate_hz) in clips {
        tone(&bench.path("clips").join(name), duration_s, rate_hz);
    }
    let spec = hound::WavSpec {
        channels: 2,
        sample_rate: 16_000,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut stereo = hound::WavWriter::create(bench.path("clips/e.wav"), spec).unwrap();
    let left = read_wav(&bench.path("clips/a.wav"), ChannelChoice::First).unwrap().samples;
    for (n, sample) in left.iter().enumerate() {
        stereo.write_sample((sample * 32_768.0) as i16).unwrap();
        stereo.write_sample(((n * 7919) % 2000) as i16 - 1000).unwrap();
    }
    stereo.finalize().unwrap();
    ["a", "b", "c", "d", "e"].map(|name| format!("clips/{name}.wav")).to_vec()
}

#[test]
fn clips_of_any_length_rate_and_number_of_channels() {
    for network in TINY {
        let bench = Bench::empty();
        let clips = recordings(&bench);
        random_network(&bench, network, "net.safetensors");
        let answer = extract(&bench, &["net.safetensors", "clips", "--layers", "--batch", "3"]).fine();
        let said = answer.json();
        let npz = bench.path("out.npz");
        assert_eq!(texts(&npz, "clip"), clips, "{network}");
        let embeddings: Array2<f32> = array(&npz, "embedding");
        assert_eq!(embeddings.dim(), (5, said["dim"].as_u64().unwrap() as usize));
        assert!(embeddings.iter().all(|value| value.is_finite()), "{network}");
        let tokens: Array1<i64> = array(&npz, "tokens");
        assert_eq!(
            (said["tokens"][0].as_i64(), said["tokens"][1].as_i64()),
            (tokens.iter().min().copied(), tokens.iter().max().copied())
        );

        // Tokens are numbers up to a clip's count and nothing behind it; the last layer's mean is the embedding.
        let layer: Array3<f32> = array(&npz, "layer_00");
        assert_eq!(layer.dim().1, *tokens.iter().max().unwrap() as usize);
        for (clip, &count) in layer.outer_iter().zip(&tokens) {
            let count = count as usize;
            assert!(clip.slice(s![..count, ..]).iter().all(|value| value.is_finite()), "{network}");
            assert!(clip.slice(s![count.., ..]).iter().all(|value| value.is_nan()), "{network}");
        }
        // The first channel of the last clip is the first clip; its rate makes a small difference to the fourth.
        assert_eq!(embeddings.row(4), embeddings.row(0), "{network}");
        let distance = |a: usize, b: usize| (&embeddings.row(a) - &embeddings.row(b)).mapv(|x| x * x).sum();
        assert!(distance(3, 0) < distance(1, 0), "{network}");

        // Random weights are said everywhere.
        assert_eq!(said["random"], 1);
        assert!(answer.err.contains("random (seed 1)"), "{}", answer.err);
        let seed: Array0<u64> = array(&npz, "random");
        assert_eq!(seed.into_scalar(), 1);
        let hash = blake3::hash(&fs::read(bench.path("net.safetensors")).unwrap()).to_hex().to_string();
        assert_eq!(texts(&npz, "checkpoint"), [hash.as_str()]);
        assert_eq!(said["content_hash"], hash);

        // EAT hears so many frames, and says what it does not hear.
        let is_cut = said["architecture"] == "EAT";
        assert_eq!(
            answer.err.contains("the end of 1 clip is not heard: clips/c.wav"),
            is_cut,
            "{}",
            answer.err
        );
        assert_eq!(said["cut"].as_array().unwrap().len(), usize::from(is_cut));
        if is_cut {
            // 18 s less 1024 frames of 10 ms, to a frame of 25 ms.
            let lost_s = said["cut"][0]["lost_s"].as_f64().unwrap();
            assert!((lost_s - (18.0 - 10.24)).abs() < 0.03, "{lost_s}");
        }
    }
}

#[test]
fn batches_threads_and_neighbours_change_no_bit() {
    for network in TINY {
        let bench = Bench::empty();
        let clips = recordings(&bench);
        random_network(&bench, network, "net.safetensors");
        let mut all = Vec::new();
        for (batch, threads) in [("1", "1"), ("4", "2"), ("8", "3")] {
            let mut command =
                bench.command(&["extract", "net.safetensors", "clips", "-o", "out.npz", "--layers"]);
            command.args(["--device", "cpu", "--batch", batch]).env("RAYON_NUM_THREADS", threads);
            assert!(command.output().unwrap().status.success());
            all.push(fs::read(bench.path("out.npz")).unwrap());
        }
        assert!(all.iter().all(|bytes| *bytes == all[0]), "{network}");
        let together: Array2<f32> = array(&bench.path("out.npz"), "embedding");
        for (n, clip) in clips.iter().enumerate() {
            extract(&bench, &["net.safetensors", clip]).fine();
            let alone: Array2<f32> = array(&bench.path("out.npz"), "embedding");
            assert_eq!(alone.row(0), together.row(n), "{network}: {clip}");
        }
    }
}

#[test]
fn pools_and_channels() {
    let bench = Bench::empty();
    recordings(&bench);
    random_network(&bench, TINY[0], "net.safetensors");
    let embedding = |options: &[&str]| -> Array2<f32> {
        extract(&bench, &[&["net.safetensors", "clips/e.wav", "clips/e.wav"], options].concat()).fine();
        array(&bench.path("out.npz"), "embedding")
    };
    let mean = embedding(&[]);
    let both = embedding(&["--pool", "mean+std"]);
    assert_eq!(both.ncols(), 2 * mean.ncols());
    assert_eq!(both.slice(s![.., ..mean.ncols()]), mean);
    let bands = embedding(&["--pool", "patch"]);
    assert!(bands.ncols() > mean.ncols() && bands.ncols() % mean.ncols() == 0);
    assert_eq!(embedding(&["--channel", "left"]), mean);
    for other in ["right", "mean", "difference"] {
        assert_ne!(embedding(&["--channel", other]), mean, "{other}");
    }
    extract(&bench, &["net.safetensors", "clips/a.wav", "--channel", "right"])
        .refused(4, &["clips/a.wav", "mono", "--channel first"]);
    extract(&bench, &["net.safetensors", "clips/a.wav", "--pool", "max"]).refused(2, &["mean+std"]);
    extract(&bench, &["net.safetensors", "clips/a.wav", "--frames", "100"]).refused(2, &["multiple of 16"]);
    extract(&bench, &["net.safetensors", "clips/a.wav", "--frames", "160"])
        .refused(2, &["`--frames` is EAT's", "BEATs"]);
    extract(&bench, &["net.safetensors", "clips/a.wav", "--layer", "99"]).refused(2, &["`--layer` is 99"]);
    // 8 bits of precision in two layers.
    let halved = embedding(&["--precision", "bf16"]);
    let norm = |of: &Array2<f32>| of.iter().map(|x| x * x).sum::<f32>().sqrt();
    assert!(norm(&(&halved - &mean)) < 0.1 * norm(&mean), "{} {}", norm(&(&halved - &mean)), norm(&mean));
}

#[test]
fn bad_clips_are_named_and_left_out_on_request() {
    let bench = Bench::empty();
    fs::create_dir(bench.path("clips")).unwrap();
    for name in ["a.wav", "c.wav"] {
        tone(&bench.path("clips").join(name), 1.0, 16_000);
    }
    random_network(&bench, TINY[0], "net.safetensors");
    let bad = bench.path("clips/b.wav");
    let replace: [(&str, &dyn Fn()); 5] = [
        ("not a WAV file", &|| fs::write(&bad, "hello").unwrap()),
        ("truncated", &|| {
            let bytes = fs::read(bench.path("clips/a.wav")).unwrap();
            fs::write(&bad, &bytes[..bytes.len() / 2]).unwrap();
        }),
        ("samples", &|| tone(&bad, 0.01, 16_000)),
        ("from 1 to 1000000 Hz", &|| tone(&bad, 0.01, 2_000_000)),
        ("silent", &|| write_wav(&bad, &[0.25; 16_000], 16_000, SampleFormat::Pcm16).unwrap()),
    ];
    for (why, replace) in replace {
        replace();
        extract(&bench, &["net.safetensors", "clips"])
            .refused(4, &["clips/b.wav", why, "--on-bad-clip skip"]);
        assert!(!bench.path("out.npz").exists(), "nothing is written");
        let answer = extract(&bench, &["net.safetensors", "clips", "--on-bad-clip", "skip"]).fine();
        assert!(answer.err.contains("clips/b.wav") && answer.err.contains(why), "{}", answer.err);
        let said = answer.json();
        assert_eq!((&said["clips"], &said["bad"][0]["path"]), (&2.into(), &"clips/b.wav".into()));
        assert!(said["bad"][0]["reason"].as_str().unwrap().contains(why), "{said}");
        assert_eq!(texts(&bench.path("out.npz"), "clip"), ["clips/a.wav", "clips/c.wav"]);
        fs::remove_file(bench.path("out.npz")).unwrap();
    }
    extract(&bench, &["net.safetensors", "clips/b.wav", "--on-bad-clip", "skip"])
        .refused(4, &["all 1 clips are bad"]);
}

#[test]
fn what_cannot_be_heard_or_written_is_told_before_anything_is() {
    let bench = Bench::empty();
    tone(&bench.path("a.wav"), 1.0, 16_000);
    random_network(&bench, TINY[0], "net.safetensors");
    let before = [fs::read(bench.path("a.wav")).unwrap(), fs::read(bench.path("net.safetensors")).unwrap()];
    extract(&bench, &["none.pt", "a.wav"]).refused(4, &["none.pt"]);
    extract(&bench, &["net.safetensors", "none.wav"]).refused(4, &["none.wav", "no such file"]);
    fs::create_dir(bench.path("empty")).unwrap();
    extract(&bench, &["net.safetensors", "empty"]).refused(4, &["empty", "folder of WAV files"]);
    extract(&bench, &["empty", "a.wav"]).refused(4, &["no run below empty"]);
    let to =
        |output: &str| bench.run(&["extract", "net.safetensors", "a.wav", "-o", output, "--device", "cpu"]);
    to("a.wav").refused(4, &["a.wav", "one of the clips", "-o"]);
    to("./net.safetensors").refused(4, &["net.safetensors", "the checkpoint itself"]);
    to("empty").refused(4, &["empty", "it is a folder"]);
    to("a.wav/out.npz").refused(1, &["a.wav"]);
    assert_eq!(
        before,
        [fs::read(bench.path("a.wav")).unwrap(), fs::read(bench.path("net.safetensors")).unwrap()]
    );
    // A folder that is not there is made.
    to("deep/er/out.npz").fine();
    let entries = fs::read_dir(bench.path("deep/er")).unwrap().count();
    assert_eq!(entries, 1, "what waited on the disk is gone");
}

#[test]
fn a_run_of_the_family_hears_as_it_was_made() {
    let bench = Bench::with_fan();
    random_network(&bench, TINY[0], "net.safetensors");
    let config =
        "[data]\nroot = \"data\"\n[task.pretrained]\ncheckpoint = \"net.safetensors\"\npool = \"mean+std\"\n";
    fs::write(bench.path("run.toml"), config).unwrap();
    bench.run(&["train", "run.toml", "--device", "cpu", "--runs", "runs"]).fine();
    let clip = first_clip(&bench.path("data/fan/test"));
    let clip = clip.to_str().unwrap();
    let embedding = |model: &str, options: &[&str]| -> Array2<f32> {
        extract(&bench, &[&[model, clip], options].concat()).fine();
        array(&bench.path("out.npz"), "embedding")
    };
    let of_run = embedding("runs", &[]);
    assert_eq!(of_run, embedding("net.safetensors", &["--pool", "mean+std"]));
    assert_eq!(embedding("runs", &["--pool", "mean"]), embedding("net.safetensors", &[]));

    // The file was replaced.
    bench.run(&["import", "--random", TINY[0], "--seed", "2", "-o", "net.safetensors"]).fine();
    fs::remove_file(bench.path("out.npz")).unwrap();
    extract(&bench, &["runs", clip]).refused(4, &["another checkpoint", "runs"]);
    assert!(!bench.path("out.npz").exists());
    extract(&bench, &["net.safetensors", clip]).fine();

    bench.train(&["--set", "train.epochs=1", "--runs", "others"]).fine();
    extract(&bench, &["others", clip]).refused(4, &["family autoencoder", "pretrained"]);
}
