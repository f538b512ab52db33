//! Mel filter banks as librosa's `filters.mel` and torchaudio's `melscale_fbanks` make them.

use ndarray::Array2;

use super::spec::{LogMelSpec, MelNorm, MelScale};

/// The mel filters, `[n_mels, n_fft/2 + 1]`: triangles between neighbouring centre frequencies.
///
/// The Slaney scale is computed in f64 and stored in f32, as librosa does. The HTK scale is
/// computed with torchaudio's f32 roundings: they move single weights by up to 1.4e-5.
#[must_use]
pub fn mel_filters(spec: &LogMelSpec) -> Array2<f32> {
    let mut filters = match spec.mel {
        MelScale::Slaney => triangles(&bins_slaney(spec), &edges_slaney(spec)),
        MelScale::Htk => triangles_htk(spec),
    };
    if spec.norm == MelNorm::Slaney {
        let edges_hz = edges_hz(spec);
        for (band, mut filter) in filters.rows_mut().into_iter().enumerate() {
            let width_hz = edges_hz[band + 2] - edges_hz[band];
            filter.mapv_inplace(|weight| to_f32(f64::from(weight) * 2.0 / width_hz));
        }
    }
    filters
}

/// Frames that are filtered side by side, one per lane of a vector register.
pub(super) const LANES: usize = 8;

/// The filters in the form in which they are applied: each as the run of bins that it is not zero on.
///
/// A bin lies in two triangles at most, so 128 filters of 513 bins hold 1,022 weights instead of
/// 65,664. The runs are short; the sum over one would be too short for vector registers, so
/// [`LANES`] frames are summed at once.
#[derive(Debug, Default)]
pub(super) struct SparseFilters {
    /// First bin and place in `weights` of each filter.
    pub(super) runs: Vec<(usize, std::ops::Range<usize>)>,
    /// The weights of all filters, one run behind the other.
    pub(super) weights: Vec<f32>,
}

impl SparseFilters {
    pub fn new(spec: &LogMelSpec) -> Self {
        let mut runs = Vec::with_capacity(spec.n_mels);
        let mut weights = Vec::new();
        for filter in mel_filters(spec).rows() {
            let first = filter.iter().position(|weight| *weight > 0.0).unwrap_or(0);
            let end = filter.iter().rposition(|weight| *weight > 0.0).map_or(first, |last| last + 1);
            let place = weights.len();
            weights.extend(filter.iter().skip(first).take(end - first));
            runs.push((first, place..weights.len()));
        }
        Self { runs, weights }
    }

    /// Weighted sums over the bins of up to [`LANES`] frames. `spectra` holds a row per bin,
    /// `bands` a row of mels per frame.
    pub fn apply(&self, spectra: &[[f32; LANES]], bands: &mut [f32]) {
        let n_mels = self.runs.len();
        for (band, (first, place)) in self.runs.iter().enumerate() {
            let mut sums = [0.0_f32; LANES];
            for (values, weight) in spectra[*first..].iter().zip(&self.weights[place.clone()]) {
                for (sum, value) in sums.iter_mut().zip(values) {
                    *sum += value * weight;
                }
            }
            for (frame, sum) in bands.chunks_exact_mut(n_mels).zip(sums) {
                frame[band] = sum;
            }
        }
    }
}

/// Rows of weights from bin frequencies and `n_mels + 2` band edges, in f64.
fn triangles(bins_hz: &[f64], edges_hz: &[f64]) -> Array2<f32> {
    Array2::from_shape_fn((edges_hz.len() - 2, bins_hz.len()), |(band, bin)| {
        let (left, centre, right) = (edges_hz[band], edges_hz[band + 1], edges_hz[band + 2]);
        let rising = (bins_hz[bin] - left) / (centre - left);
        let falling = (right - bins_hz[bin]) / (right - centre);
        to_f32(rising.min(falling).max(0.0))
    })
}

/// Band edges in Hz, `n_mels + 2` of them.
pub(super) fn edges_hz(spec: &LogMelSpec) -> Vec<f64> {
    match spec.mel {
        MelScale::Slaney => edges_slaney(spec),
        MelScale::Htk => edges_htk(spec).into_iter().map(f64::from).collect(),
    }
}

/// Frequencies of the FFT bins.
fn bins_slaney(spec: &LogMelSpec) -> Vec<f64> {
    let step_hz = f64::from(spec.rate_hz) / real(spec.n_fft);
    (0..spec.bins()).map(|bin| real(bin) * step_hz).collect()
}

/// Slaney's scale: 200/3 Hz per mel up to 1 kHz, then 27 mels per factor of 6.4.
fn edges_slaney(spec: &LogMelSpec) -> Vec<f64> {
    const HZ_PER_MEL: f64 = 200.0 / 3.0;
    const BEND_HZ: f64 = 1000.0;
    const BEND_MEL: f64 = BEND_HZ / HZ_PER_MEL; // 15
    let log_step = 6.4_f64.ln() / 27.0;
    let mel_of =
        |hz: f64| if hz < BEND_HZ { hz / HZ_PER_MEL } else { BEND_MEL + (hz / BEND_HZ).ln() / log_step };
    let hz_of = |mel: f64| {
        if mel < BEND_MEL { mel * HZ_PER_MEL } else { BEND_HZ * ((mel - BEND_MEL) * log_step).exp() }
    };
    let (low, high) = (mel_of(spec.fmin_hz), mel_of(spec.top_hz()));
    let step = (high - low) / real(spec.n_mels + 1);
    (0..spec.n_mels + 2).map(|edge| hz_of(low + real(edge) * step)).collect()
}

/// HTK's scale with torchaudio's roundings: the mels are an f32 `linspace`, and each step to Hz
/// rounds to f32.
fn edges_htk(spec: &LogMelSpec) -> Vec<f32> {
    let mel_of = |hz: f64| 2595.0 * (1.0 + hz / 700.0).log10();
    let mels = linspace(mel_of(spec.fmin_hz), mel_of(spec.top_hz()), spec.n_mels + 2);
    mels.into_iter().map(|mel| 700.0 * (to_f32(10.0_f64.powf(f64::from(mel / 2595.0))) - 1.0)).collect()
}

/// As [`triangles`], in f32 throughout.
fn triangles_htk(spec: &LogMelSpec) -> Array2<f32> {
    let edges_hz = edges_htk(spec);
    let bins_hz = linspace(0.0, f64::from(spec.rate_hz / 2), spec.bins());
    Array2::from_shape_fn((spec.n_mels, bins_hz.len()), |(band, bin)| {
        let (left, centre, right) = (edges_hz[band], edges_hz[band + 1], edges_hz[band + 2]);
        let rising = (bins_hz[bin] - left) / (centre - left);
        let falling = (right - bins_hz[bin]) / (right - centre);
        rising.min(falling).max(0.0)
    })
}

/// PyTorch's f32 `linspace`: counted from the nearer end, each value rounded once.
fn linspace(start: f64, end: f64, count: usize) -> Vec<f32> {
    let (start, end) = (f64::from(to_f32(start)), f64::from(to_f32(end)));
    let step = f64::from(to_f32(f64::from(to_f32(end - start)) / real(count - 1)));
    let value = |index: usize| {
        if index < count / 2 { start + step * real(index) } else { end - step * real(count - 1 - index) }
    };
    (0..count).map(|index| to_f32(value(index))).collect()
}

fn real(count: usize) -> f64 {
    count as f64
}

fn to_f32(value: f64) -> f32 {
    value as f32
}
