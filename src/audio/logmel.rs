//! The log-mel spectrogram of a clip.

use std::f32::consts::LOG2_E;
use std::path::Path;

use ndarray::Array2;

use super::mel::{LANES, SparseFilters, edges_hz};
use super::spec::LogMelSpec;
use super::stft::{FrameBuffers, Stft};
use super::{ChannelChoice, Error, read_at_rate};

/// 10·log10(2) = 3.010299957, to the nearest f32: decibels per doubling of power.
const DB_PER_OCTAVE: f32 = 3.010_3;

/// A log-mel front end, planned once and shared by all threads.
///
/// Cost of a 10 s clip of 16 kHz with the default settings (313 frames of 128 bands), on one core of
/// 2023: 0.8 ms, of which FFTs 0.5, window and power 0.2, filters and logarithms 0.1, and 0.04 for
/// reading the file (`benches/audio.rs`).
pub struct LogMel {
    spec: LogMelSpec,
    pub(super) stft: Stft,
    pub(super) filters: SparseFilters,
}

/// One thread's work space; fits itself to the front end that it is used with.
#[derive(Debug, Default)]
pub struct Scratch {
    buffers: FrameBuffers,
    /// Power spectra of a block of frames, a row per bin.
    spectra: Vec<[f32; LANES]>,
}

impl LogMel {
    /// Plans the transform and the filters.
    ///
    /// # Errors
    /// [`Error::Setting`] where a setting is out of its range.
    pub fn new(spec: &LogMelSpec) -> Result<Self, Error> {
        spec.check()?;
        Ok(Self {
            spec: spec.clone(),
            stft: Stft::new(spec.n_fft, spec.hop_samples, spec.padding),
            filters: SparseFilters::new(spec),
        })
    }

    /// The settings.
    #[must_use]
    pub fn spec(&self) -> &LogMelSpec {
        &self.spec
    }

    /// Edges of the mel bands in Hz, `n_mels + 2` of them: band i rises from edge i to its centre at edge i + 1 and
    /// falls to edge i + 2.
    #[must_use]
    pub fn band_edges_hz(&self) -> Vec<f64> {
        edges_hz(&self.spec)
    }

    /// Number of frames of a clip of `n_samples` at the front end's rate: 1 + n_samples / hop.
    #[must_use]
    pub fn frames(&self, n_samples: usize) -> usize {
        self.stft.frames(n_samples)
    }

    /// The least number of samples whose log-mel can be had and has `frames` frames.
    #[must_use]
    pub fn min_samples(&self, frames: usize) -> usize {
        self.stft.min_samples(frames)
    }

    /// Whether a clip is long enough for windows of `frames` frames.
    ///
    /// # Errors
    /// [`Error::TooShort`].
    pub fn check_length(&self, n_samples: usize, frames: usize) -> Result<(), Error> {
        let for_padding = self.stft.min_samples_of_padding();
        let needed = self.min_samples(frames);
        if n_samples >= needed {
            return Ok(());
        }
        let reason = if needed == for_padding {
            format!("{:?} padding of {}-sample frames needs them", self.spec.padding, self.spec.n_fft)
                .to_lowercase()
        } else {
            format!("a window of {frames} frames, {} samples apart, needs them", self.spec.hop_samples)
        };
        Err(Error::TooShort { samples: n_samples, needed, reason })
    }

    /// Log-mel in dB, `[frames, n_mels]` row-major: 10·log10(max(band, floor)).
    ///
    /// # Errors
    /// As [`LogMel::compute_into`].
    pub fn compute(&self, samples: &[f32]) -> Result<Array2<f32>, Error> {
        self.compute_with(samples, &mut Scratch::default())
    }

    /// As [`LogMel::compute`], with the work space of the calling thread.
    ///
    /// # Errors
    /// As [`LogMel::compute_into`].
    pub fn compute_with(&self, samples: &[f32], scratch: &mut Scratch) -> Result<Array2<f32>, Error> {
        let mut logmel = Array2::zeros((self.frames(samples.len()), self.spec.n_mels));
        self.compute_into(samples, scratch, logmel.as_slice_mut().unwrap_or_default())?;
        Ok(logmel)
    }

    /// As [`LogMel::compute`], into `out`, which holds `frames(samples.len()) * n_mels` values.
    ///
    /// # Errors
    /// [`Error::TooShort`] for a clip that cannot be padded, [`Error::PowerNotFinite`] where
    /// samples are NaN, infinite or so large that their power is, [`Error::Shape`] where `out` has
    /// another length.
    pub fn compute_into(&self, samples: &[f32], scratch: &mut Scratch, out: &mut [f32]) -> Result<(), Error> {
        self.mel_into(samples, scratch, out)?;
        self.decibels(out);
        Ok(())
    }

    /// Turns bands into dB in place: 10·log10(max(band, floor)).
    pub(super) fn decibels(&self, bands: &mut [f32]) {
        let floor = self.spec.floor as f32;
        for value in bands {
            *value = DB_PER_OCTAVE * log2(value.max(floor));
        }
    }

    /// The linear mel spectrogram, `[frames, n_mels]` row-major: what the logarithm is taken of.
    ///
    /// # Errors
    /// As [`LogMel::compute_into`].
    pub fn mel(&self, samples: &[f32]) -> Result<Array2<f32>, Error> {
        let mut mel = Array2::zeros((self.frames(samples.len()), self.spec.n_mels));
        self.mel_into(samples, &mut Scratch::default(), mel.as_slice_mut().unwrap_or_default())?;
        Ok(mel)
    }

    /// Reads a clip, resamples it where its rate is another than the front end's, and computes its
    /// log-mel.
    ///
    /// # Errors
    /// As [`read_at_rate`] and [`LogMel::compute_into`]; each names the file.
    pub fn compute_clip(
        &self,
        path: &Path,
        channel: ChannelChoice,
        min_frames: usize,
        scratch: &mut Scratch,
    ) -> Result<Array2<f32>, Error> {
        let samples = self.read_clip(path, channel)?;
        let logmel =
            self.check_length(samples.len(), min_frames).and_then(|()| self.compute_with(&samples, scratch));
        logmel.map_err(|error| error.in_file(path))
    }

    /// Reads a clip and resamples it where its rate is another than the front end's.
    ///
    /// # Errors
    /// As [`read_at_rate`].
    pub fn read_clip(&self, path: &Path, channel: ChannelChoice) -> Result<Vec<f32>, Error> {
        read_at_rate(path, channel, self.spec.rate_hz)
    }

    fn mel_into(&self, samples: &[f32], scratch: &mut Scratch, out: &mut [f32]) -> Result<(), Error> {
        self.check_length(samples.len(), 1)?;
        let (frames, n_mels) = (self.frames(samples.len()), self.spec.n_mels);
        if out.len() != frames * n_mels {
            let (found, expected) = (out.len().to_string(), format!("{frames} x {n_mels} values"));
            return Err(Error::Shape { action: "compute the log-mel", found, expected });
        }
        scratch.spectra.resize(self.spec.bins(), [0.0; LANES]);
        for (block, bands) in out.chunks_mut(LANES * n_mels).enumerate() {
            let first = block * LANES;
            for lane in 0..bands.len() / n_mels {
                self.stft.power_frame(
                    samples,
                    first + lane,
                    &mut scratch.buffers,
                    &mut scratch.spectra,
                    lane,
                );
            }
            self.raise(scratch.spectra.as_flattened_mut());
            self.filters.apply(&scratch.spectra, bands);
            if let Some(at) = bands.iter().position(|band| !band.is_finite()) {
                return Err(Error::PowerNotFinite { frame: first + at / n_mels });
            }
        }
        Ok(())
    }

    /// Turns |X|² into |X|^power.
    pub(super) fn raise(&self, spectrum: &mut [f32]) {
        let power = self.spec.power;
        if power == 1.0 {
            for value in spectrum {
                *value = value.sqrt();
            }
        } else if power != 2.0 {
            let exponent = (power / 2.0) as f32;
            for value in spectrum {
                *value = value.powf(exponent);
            }
        }
    }
}

/// Base-2 logarithm of a positive, finite, normal number.
///
/// The compiler makes a vector loop of it, which calls of the system's `log2f` cannot become; and it
/// gives the same bits with every system library. Largest error 4e-7 beside the rounding of the result.
#[inline]
pub(super) fn log2(x: f32) -> f32 {
    // x = m · 2^e with m in [√½, √2): the exponent is counted from the bits of √½.
    const ROOT_HALF: u32 = 0x3F35_04F3;
    let exponent = x.to_bits().wrapping_sub(ROOT_HALF).cast_signed() >> 23;
    let m = f32::from_bits(x.to_bits().wrapping_sub((exponent << 23).cast_unsigned()));
    // ln m = 2·artanh(s), s = (m-1)/(m+1), |s| < 0.172: the next term is below 1e-9.
    let s = (m - 1.0) / (m + 1.0);
    let z = s * s;
    let series = 1.0 + z * (1.0 / 3.0 + z * (1.0 / 5.0 + z * (1.0 / 7.0 + z * (1.0 / 9.0))));
    exponent as f32 + 2.0 * LOG2_E * s * series
}

#[cfg(test)]
mod tests;
