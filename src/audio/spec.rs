//! The settings of the log-mel front end.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Error;

/// The frequency scale on which the mel filters are spaced.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(rename_all = "kebab-case")]
pub enum MelScale {
    /// Linear below 1 kHz, logarithmic above: Slaney's Auditory Toolbox, librosa's default.
    Slaney,
    /// 2595·log10(1 + f/700): HTK, torchaudio's default.
    Htk,
}

/// How the mel filters are scaled.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(rename_all = "kebab-case")]
pub enum MelNorm {
    /// Each filter has unit area over Hz: librosa's default.
    Slaney,
    /// Each filter peaks at 1: torchaudio's default.
    None,
}

/// What stands before the first and after the last sample, where half of the first and the last
/// frame lie.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(rename_all = "kebab-case")]
pub enum Padding {
    /// The clip, mirrored at its first and last sample: the study, torchaudio, librosa before 0.10.
    Reflect,
    /// Zeros: librosa since 0.10.
    Constant,
}

/// Settings of the log-mel; the default is that of the study (128 bands, FFT 1,024, hop 512 at 16
/// kHz).
///
/// librosa: `melspectrogram(pad_mode="reflect")`, then `10*log10(max(x, floor))`. torchaudio's
/// `MelSpectrogram` + `AmplitudeToDB`: `mel = "htk"`, `norm = "none"`, `floor = 1e-10`.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct LogMelSpec {
    /// Sample rate in Hz; clips of another rate are resampled to it.
    pub rate_hz: u32,
    /// Length of a frame and of its FFT, in samples.
    pub n_fft: usize,
    /// Samples from one frame to the next.
    pub hop_samples: usize,
    /// Number of mel bands.
    pub n_mels: usize,
    /// Lower edge of the lowest band, in Hz.
    pub fmin_hz: f64,
    /// Upper edge of the highest band, in Hz; half the sample rate where left out.
    pub fmax_hz: Option<f64>,
    /// Exponent of the magnitude: 2 is power, 1 is magnitude.
    pub power: f64,
    /// The frequency scale.
    pub mel: MelScale,
    /// The scaling of the filters.
    pub norm: MelNorm,
    /// What stands outside of the clip.
    pub padding: Padding,
    /// Lower limit of a band before the logarithm.
    pub floor: f64,
}

impl Default for LogMelSpec {
    fn default() -> Self {
        Self {
            rate_hz: 16_000,
            n_fft: 1024,
            hop_samples: 512,
            n_mels: 128,
            fmin_hz: 0.0,
            fmax_hz: None,
            power: 2.0,
            mel: MelScale::Slaney,
            norm: MelNorm::Slaney,
            padding: Padding::Reflect,
            floor: f64::EPSILON, // 2.22e-16, as in the study
        }
    }
}

impl LogMelSpec {
    /// Upper edge of the highest band, in Hz.
    #[must_use]
    pub fn top_hz(&self) -> f64 {
        self.fmax_hz.unwrap_or(f64::from(self.rate_hz) / 2.0)
    }

    /// Number of FFT bins, from 0 Hz up to half the sample rate.
    #[must_use]
    pub fn bins(&self) -> usize {
        self.n_fft / 2 + 1
    }

    /// Whether all settings are in their ranges.
    ///
    /// # Errors
    /// [`Error::Setting`], with the first setting that is not.
    pub fn check(&self) -> Result<(), Error> {
        let half_rate_hz = f64::from(self.rate_hz) / 2.0;
        let top_hz = self.top_hz();
        ensure((1..=1_000_000).contains(&self.rate_hz), "rate_hz", self.rate_hz, "from 1 to 1000000")?;
        ensure((2..=1 << 20).contains(&self.n_fft), "n_fft", self.n_fft, "from 2 to 1048576")?;
        ensure(self.hop_samples >= 1, "hop_samples", self.hop_samples, "at least 1")?;
        ensure((1..=65_536).contains(&self.n_mels), "n_mels", self.n_mels, "from 1 to 65536")?;
        let fmax_expected = format!("above 0 and at most half the sample rate, {half_rate_hz}");
        ensure(top_hz > 0.0 && top_hz <= half_rate_hz, "fmax_hz", top_hz, &fmax_expected)?;
        let fmin_expected = format!("at least 0 and below fmax_hz, {top_hz}");
        ensure(self.fmin_hz >= 0.0 && self.fmin_hz < top_hz, "fmin_hz", self.fmin_hz, &fmin_expected)?;
        ensure(self.power > 0.0 && self.power <= 8.0, "power", self.power, "above 0 and at most 8")?;
        // Below the smallest f32 a floor would round to zero and silence to minus infinity.
        let floor_range = f64::from(f32::MIN_POSITIVE)..=1e30;
        ensure(floor_range.contains(&self.floor), "floor", self.floor, "from 1.2e-38 to 1e30")
    }
}

fn ensure(holds: bool, key: &'static str, value: impl ToString, expected: &str) -> Result<(), Error> {
    if holds {
        Ok(())
    } else {
        Err(Error::Setting { key, value: value.to_string(), expected: expected.to_owned() })
    }
}
