//! Log-mels, mel filters and windows against librosa and torchaudio; the AUC against scikit-learn.

use std::path::{Path, PathBuf};

use asdbench::audio::{
    ChannelChoice, LogMel, LogMelSpec, MelNorm, MelScale, Padding, Wave, mel_filters, read_wav, windows,
};
use ndarray::{Array2, ArrayView1, ArrayView2, Axis};

use super::{files_ending, folder, matrix, report};

/// The references run parts in f32; their authors give this for log-mels, in dB.
const LOGMEL_DB: f64 = 5e-3;
/// The same for the linear mel spectrogram: 1e-3 is 4e-3 dB.
const MEL_RELATIVE: f64 = 1e-3;
/// Filters are f32 values below 1: a few of their last bits.
const FILTER_ABSOLUTE: f64 = 1e-6;
/// Closer than this to the floor, rounding dust of either side is compared, not sound.
const NEAR_FLOOR_DB: f64 = 6.0;

/// Which library made the files, with what they are called.
#[derive(Clone, Copy)]
enum Reference {
    Librosa,
    Torchaudio,
}

impl Reference {
    /// The filter bank of a folder, `[mels, bins]`.
    fn filters(self, folder: &Path) -> (PathBuf, Array2<f32>) {
        let prefix = match self {
            Self::Librosa => "librosa_mel_",
            Self::Torchaudio => "torchaudio_mel_",
        };
        let files = files_ending(folder, ".npy");
        let (_, path) = files.into_iter().find(|(stem, _)| stem.starts_with(prefix)).expect("a filter file");
        let filters = matrix(&path);
        let filters = match self {
            Self::Librosa => filters,
            Self::Torchaudio => filters.reversed_axes(),
        };
        (path, filters)
    }

    /// The front end's settings, but for the hop, from the filters' shape, a clip's rate, and what
    /// the README states.
    fn spec(self, folder: &Path, rate_hz: u32, padding: Padding) -> LogMelSpec {
        let (path, filters) = self.filters(folder);
        let readme = std::fs::read_to_string(folder.join("README.md")).unwrap_or_default();
        let file_name = path.file_name().and_then(|name| name.to_str()).expect("a UTF-8 name");
        let line = readme.lines().find(|line| line.contains(file_name)).unwrap_or_default();
        let default = LogMelSpec::default();
        let (mel, norm, floor) = match self {
            Self::Librosa => {
                (MelScale::Slaney, MelNorm::Slaney, stated_floor(&readme).unwrap_or(default.floor))
            }
            Self::Torchaudio => (MelScale::Htk, MelNorm::None, 1e-10), // AmplitudeToDB's default `amin`
        };
        LogMelSpec {
            rate_hz,
            n_fft: (filters.ncols() - 1) * 2,
            n_mels: filters.nrows(),
            fmin_hz: number_after(line, "fmin ").unwrap_or(0.0),
            fmax_hz: number_after(line, "fmax "),
            mel,
            norm,
            padding,
            floor,
            ..default
        }
    }
}

/// torchaudio takes 10^x in f32 with a function that now and then misses the nearest value by one
/// unit in the last place, at other places on other processors (AVX2, AVX-512). One such band edge
/// moves the three bands that touch it.
impl Reference {
    /// How many bands of a bank may be moved so.
    fn rounded_bands(self, n_mels: usize) -> usize {
        match self {
            Self::Librosa => 0,
            Self::Torchaudio => n_mels / 5,
        }
    }

    /// How far a unit in the last place of its edges moves a band's weights.
    fn edge_rounding(self, band: ArrayView1<'_, f32>, spec: &LogMelSpec) -> f64 {
        match self {
            Self::Librosa => 0.0,
            Self::Torchaudio => {
                let bin_hz = f64::from(spec.rate_hz) / spec.n_fft as f64;
                let top_hz = band
                    .iter()
                    .rposition(|weight| *weight > 0.0)
                    .map_or(0.0, |bin| (bin + 1) as f64 * bin_hz);
                let steps = band.iter().zip(band.iter().skip(1)).map(|(a, b)| f64::from((b - a).abs()));
                let slope_per_hz = steps.fold(0.0, f64::max) / bin_hz;
                // An edge is 700·(10^x - 1) Hz.
                slope_per_hz * (700.0 + top_hz) * f64::from(f32::EPSILON)
            }
        }
    }
}

/// The floor of the logarithm as the README has it; where that is machine epsilon written short,
/// epsilon.
fn stated_floor(readme: &str) -> Option<f64> {
    let stated = number_after(readme, "max(mel,")?;
    Some(if (stated / f64::EPSILON - 1.0).abs() < 0.01 { f64::EPSILON } else { stated })
}

/// The number that stands behind `label`.
fn number_after(text: &str, label: &str) -> Option<f64> {
    let (_, rest) = text.split_once(label)?;
    let rest = rest.trim_start();
    let end = rest.find(|c: char| !(c.is_ascii_digit() || ".e-+".contains(c))).unwrap_or(rest.len());
    rest[..end].trim_end_matches('.').parse().ok()
}

/// One clip and what the reference made of it.
struct Case {
    name: String,
    wave: Wave,
    /// `[frames, mels]`.
    expected: Array2<f32>,
}

/// All clips with a file `{clip}{suffix}`, the longest first.
fn cases(folder: &Path, suffix: &str) -> Vec<Case> {
    let mut cases: Vec<_> = files_ending(folder, suffix)
        .into_iter()
        .map(|(clip, path)| {
            let wave = read_wav(&folder.join(format!("{clip}.wav")), ChannelChoice::First).expect("a clip");
            let expected = matrix(&path).reversed_axes().as_standard_layout().into_owned();
            Case { name: format!("{clip}{suffix}"), wave, expected }
        })
        .collect();
    assert!(!cases.is_empty(), "no file *{suffix} in {}", folder.display());
    cases.sort_by_key(|case| std::cmp::Reverse(case.wave.samples.len()));
    cases
}

/// The hop, which no file states: of those that give the longest clip its number of frames, the one
/// whose log-mel fits best.
fn with_hop(spec: LogMelSpec, logmels: &[Case]) -> LogMelSpec {
    let longest = &logmels[0];
    let (samples, frames) = (longest.wave.samples.len(), longest.expected.nrows());
    let largest = samples.checked_div(frames - 1).unwrap_or(samples + 1);
    (samples / frames + 1..=largest)
        .map(|hop_samples| LogMelSpec { hop_samples, ..spec.clone() })
        .min_by(|a, b| total_error_db(a, longest).total_cmp(&total_error_db(b, longest)))
        .expect("a hop that gives this number of frames")
}

fn total_error_db(spec: &LogMelSpec, case: &Case) -> f64 {
    let logmel = logmel(spec, &case.wave);
    assert_eq!(logmel.dim(), case.expected.dim(), "{}", case.name);
    logmel.iter().zip(&case.expected).map(|(a, b)| f64::from((a - b).abs())).sum()
}

fn logmel(spec: &LogMelSpec, wave: &Wave) -> Array2<f32> {
    LogMel::new(spec).and_then(|front_end| front_end.compute(&wave.samples)).expect("a log-mel")
}

/// Compares log-mels; values at the floor must be there on both sides, without being compared
/// closer.
fn assert_logmel(name: &str, spec: &LogMelSpec, actual: ArrayView2<'_, f32>, expected: ArrayView2<'_, f32>) {
    assert_eq!(actual.dim(), expected.dim(), "{name}: [frames, mels]");
    let near_floor_db = 10.0 * spec.floor.log10() + NEAR_FLOOR_DB;
    let mut largest: f64 = 0.0;
    for (actual, expected) in actual.iter().zip(&expected) {
        let (actual, expected) = (f64::from(*actual), f64::from(*expected));
        if expected > near_floor_db {
            largest = largest.max((actual - expected).abs());
        } else {
            assert!(
                actual <= near_floor_db + LOGMEL_DB,
                "{name}: {actual} dB, the reference is at the floor"
            );
        }
    }
    report(name, largest, LOGMEL_DB);
    assert!(largest <= LOGMEL_DB, "{name}: off by {largest} dB");
}

fn assert_logmels(reference: Reference, suffix: &str, padding: Padding) {
    let Some(folder) = folder("signal") else { return };
    let cases = cases(&folder, suffix);
    let spec = with_hop(reference.spec(&folder, cases[0].wave.rate_hz, padding), &cases);
    for case in &cases {
        assert_eq!(case.wave.rate_hz, spec.rate_hz, "{}", case.name);
        assert_logmel(&case.name, &spec, logmel(&spec, &case.wave).view(), case.expected.view());
    }
}

#[test]
fn logmels_with_constant_padding_are_those_of_librosa() {
    assert_logmels(Reference::Librosa, "_logmel_constant.npy", Padding::Constant);
}

#[test]
fn logmels_with_reflect_padding_are_those_of_librosa() {
    assert_logmels(Reference::Librosa, "_logmel_reflect.npy", Padding::Reflect);
}

#[test]
fn logmels_are_those_of_torchaudio() {
    assert_logmels(Reference::Torchaudio, "_logmel_torchaudio.npy", Padding::Reflect);
}

#[test]
fn linear_mels_are_those_of_librosa() {
    let Some(folder) = folder("signal") else { return };
    for (padding, name) in [(Padding::Constant, "constant"), (Padding::Reflect, "reflect")] {
        let logmels = cases(&folder, &format!("_logmel_{name}.npy"));
        let spec = with_hop(Reference::Librosa.spec(&folder, logmels[0].wave.rate_hz, padding), &logmels);
        for case in cases(&folder, &format!("_mel_{name}.npy")) {
            let actual =
                LogMel::new(&spec).and_then(|front_end| front_end.mel(&case.wave.samples)).expect("a mel");
            assert_eq!(actual.dim(), case.expected.dim(), "{}", case.name);
            let errors = actual.iter().zip(&case.expected).map(|(actual, expected)| {
                let (actual, expected) = (f64::from(*actual), f64::from(*expected));
                // Below the logarithm's floor there is no sound to compare.
                (actual - expected).abs() / expected.max(spec.floor)
            });
            let largest = errors.fold(0.0, f64::max);
            report(&case.name, largest, MEL_RELATIVE);
            assert!(largest <= MEL_RELATIVE, "{}: off by {largest} of the value", case.name);
        }
    }
}

fn assert_filters(reference: Reference, clips: &str) {
    let Some(folder) = folder("signal") else { return };
    let rate_hz = cases(&folder, clips)[0].wave.rate_hz;
    let spec = reference.spec(&folder, rate_hz, Padding::Reflect);
    let (path, expected) = reference.filters(&folder);
    let actual = mel_filters(&spec);
    assert_eq!(actual.dim(), expected.dim(), "{}", path.display());
    let (mut largest, mut beyond) = (0.0_f64, 0);
    for (actual, expected) in actual.rows().into_iter().zip(expected.rows()) {
        let errors =
            actual.iter().zip(&expected).map(|(actual, expected)| f64::from((actual - expected).abs()));
        let error = errors.fold(0.0, f64::max);
        largest = largest.max(error);
        if error > FILTER_ABSOLUTE {
            beyond += 1;
            let allowed = FILTER_ABSOLUTE + reference.edge_rounding(expected, &spec);
            assert!(error <= allowed, "{}: a band off by {error}, at most {allowed}", path.display());
        }
    }
    report(&path.display().to_string(), largest, FILTER_ABSOLUTE);
    assert!(beyond <= reference.rounded_bands(spec.n_mels), "{}: {beyond} bands off", path.display());
}

#[test]
fn filters_are_those_of_librosa() {
    assert_filters(Reference::Librosa, "_logmel_reflect.npy");
}

#[test]
fn filters_are_those_of_torchaudio() {
    assert_filters(Reference::Torchaudio, "_logmel_torchaudio.npy");
}

#[test]
fn windows_are_those_of_the_baseline() {
    let Some(folder) = folder("signal") else { return };
    let mut compared = 0;
    for (padding, name) in [(Padding::Constant, "constant"), (Padding::Reflect, "reflect")] {
        let logmels = cases(&folder, &format!("_logmel_{name}.npy"));
        for (stem, path) in files_ending(&folder, &format!("_{name}.npy")) {
            let Some((clip, _)) = stem.rsplit_once("_frames") else { continue };
            let expected = matrix(&path);
            let case = logmels
                .iter()
                .find(|case| case.name.starts_with(&format!("{clip}_logmel")))
                .expect("its log-mel");
            let frames = expected.ncols() / case.expected.ncols();
            // An exact copy of the reference's own log-mel …
            let rows = windows(case.expected.view(), frames).expect("windows");
            assert_eq!(rows, expected, "{}", path.display());
            // … and the whole way from the clip.
            let spec = with_hop(Reference::Librosa.spec(&folder, case.wave.rate_hz, padding), &logmels);
            let logmel = logmel(&spec, &case.wave);
            let ours = windows(logmel.view(), frames).expect("windows");
            assert_logmel(&stem, &spec, ours, expected.view());
            assert_eq!(ours.len_of(Axis(0)), logmel.nrows() + 1 - frames);
            compared += 1;
        }
    }
    assert!(compared > 0, "no file *_frames*_*.npy in {}", folder.display());
}
