//! The log-mel of CED (arXiv 2308.11957): torchaudio's, of 64 bands, cut off 120 dB below the clip's loudest value.

use super::logmel::{LogMel, Scratch};
use super::{Error, LogMelSpec, MelNorm, MelScale, Padding};

/// Values further below the largest one are raised to that.
const RANGE_DB: f32 = 120.0;

/// The front end, planned once and shared by all threads, each with its own [`Scratch`].
///
/// A value depends on the whole of what is computed at once. CED's reference computes a batch at once and so lets the loudest
/// clip of the batch raise the floor of the others; here every clip is for itself, as in the reference's batches of one.
pub struct CedBank {
    logmel: LogMel,
}

impl CedBank {
    /// Plans the transform and the filters.
    ///
    /// # Errors
    /// As [`LogMel::new`].
    pub fn new() -> Result<Self, Error> {
        let spec = LogMelSpec {
            rate_hz: 16_000,
            n_fft: 512,
            hop_samples: 160,
            n_mels: 64,
            fmin_hz: 0.0,
            fmax_hz: Some(8_000.0),
            power: 2.0,
            mel: MelScale::Htk,
            norm: MelNorm::None,
            padding: Padding::Reflect,
            floor: 1e-10,
        };
        Ok(Self { logmel: LogMel::new(&spec)? })
    }

    /// The settings.
    #[must_use]
    pub fn spec(&self) -> &LogMelSpec {
        self.logmel.spec()
    }

    /// Number of frames of a clip: 1 + samples / 160.
    #[must_use]
    pub fn frames(&self, n_samples: usize) -> usize {
        self.logmel.frames(n_samples)
    }

    /// The least number of samples whose log-mel can be had and has `frames` frames.
    #[must_use]
    pub fn min_samples(&self, frames: usize) -> usize {
        self.logmel.min_samples(frames)
    }

    /// The log-mel in dB, into `out` `[frames(samples.len()), 64]`, row-major.
    ///
    /// # Errors
    /// As [`LogMel::compute_into`].
    pub fn compute_into(&self, samples: &[f32], scratch: &mut Scratch, out: &mut [f32]) -> Result<(), Error> {
        self.logmel.compute_into(samples, scratch, out)?;
        limit_range(out);
        Ok(())
    }
}

fn limit_range(decibels: &mut [f32]) {
    let largest = decibels.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    for value in decibels {
        *value = value.max(largest - RANGE_DB);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A full-scale tone of 0.1 s, then 0.1 s of `rest`.
    fn tone_and(rest: f32) -> Vec<f32> {
        let mut samples: Vec<f32> = (0..1600).map(|n| (n as f32 * 0.4).sin()).collect();
        samples.extend((0..1600).map(|n| if n % 2 == 0 { rest } else { -rest }));
        samples
    }

    fn compute(bank: &CedBank, samples: &[f32]) -> Vec<f32> {
        let mut out = vec![0.0; bank.frames(samples.len()) * bank.spec().n_mels];
        bank.compute_into(samples, &mut Scratch::default(), &mut out).unwrap();
        out
    }

    fn range(values: &[f32]) -> (f32, f32) {
        values.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), v| (low.min(*v), high.max(*v)))
    }

    #[test]
    fn a_loud_clip_spans_120_db_and_a_quiet_one_reaches_the_floor() {
        let bank = CedBank::new().unwrap();
        let (low, high) = range(&compute(&bank, &tone_and(0.0)));
        assert!(high > 30.0 && low == high - RANGE_DB, "{low} to {high} dB");
        // 60 dB less: now the floor of -100 dB is nearer.
        let quiet: Vec<f32> = tone_and(0.0).iter().map(|sample| sample * 1e-3).collect();
        let (low, high) = range(&compute(&bank, &quiet));
        assert!((low + 100.0).abs() < 1e-4 && high < 0.0, "{low} to {high} dB");
    }

    #[test]
    fn values_within_the_range_are_those_of_the_log_mel() {
        let bank = CedBank::new().unwrap();
        let samples = tone_and(0.1);
        let plain = LogMel::new(bank.spec()).unwrap().compute(&samples).unwrap();
        let (low, high) = range(plain.as_slice().unwrap());
        let values = compute(&bank, &samples);
        let raised = plain.iter().zip(&values).filter(|(plain, value)| plain < value).count();
        assert!(low < high - RANGE_DB && raised > 0, "{raised} raised");
        for (plain, value) in plain.iter().zip(&values) {
            assert_eq!(*value, plain.max(high - RANGE_DB));
        }
    }

    #[test]
    fn ten_seconds_have_1001_frames_and_short_clips_are_errors() {
        let bank = CedBank::new().unwrap();
        assert_eq!(bank.frames(160_000), 1001);
        assert_eq!(bank.min_samples(1), 257);
        let error = bank.compute_into(&[0.1; 256], &mut Scratch::default(), &mut [0.0; 128]).unwrap_err();
        assert!(matches!(error, Error::TooShort { samples: 256, needed: 257, .. }), "{error}");
    }
}
