//! Resampling to the front end's rate, with the synchronous FFT resampler of `rubato`.

use std::path::Path;

use rubato::audioadapter_buffers::direct::SequentialSlice;
use rubato::{Fft, FixedSync, Resampler, WindowFunction};

use super::{ChannelChoice, Error, read_wav};

/// The largest sample that a clip may have, full scale being 1: the power of louder ones leaves the range of f32 in front ends
/// that scale samples to 16 bits (400 · 32,768 · 1e9, and twice that behind a pre-emphasis: 2.6e16, squared 6.9e32 of 3.4e38).
pub(crate) const LOUDEST: f32 = 1e9;

/// Least block length of the resampler at the lower rate; its anti-aliasing filter is as long.
/// 1,024 samples put the band edge at 97 % of half the lower rate.
const BLOCK_SAMPLES: usize = 1024;
/// Highest rate that is resampled, in Hz; a wrong header's rate would otherwise ask for gigabytes
/// of filter.
const MAX_RATE_HZ: u32 = 1_000_000;
/// Most samples after which both rates meet again, which blocks are multiples of: every rate to 131 kHz meets every other. A
/// damaged header's 524,289 Hz would take transforms of millions of points, and a second for a clip of a hundred samples.
const MAX_UNIT_SAMPLES: u32 = 1 << 17;
/// How many times as long a clip may become: 8 kHz, a telephone's rate, at the highest rate of a front end, 384 kHz. A
/// header that says 1 Hz would make gigabytes of a clip of two seconds.
const MAX_STRETCH: u32 = 48;

/// Resamples a clip to another rate; `round(samples * to / from)` samples long, in time with the
/// input.
///
/// The same input gives the same bits, whatever was resampled before and on whatever thread. The
/// work is done in f64.
///
/// # Errors
/// [`Error::Resample`] where a rate is zero or above 1 MHz, the result more than 48 times as long, or the common divisor of high rates too small.
pub fn resample(samples: &[f32], from_hz: u32, to_hz: u32) -> Result<Vec<f32>, Error> {
    let failed = |reason: String| Error::Resample { from_hz, to_hz, reason };
    for rate_hz in [from_hz, to_hz] {
        if rate_hz == 0 || rate_hz > MAX_RATE_HZ {
            return Err(failed(format!("rates from 1 to {MAX_RATE_HZ} Hz are supported")));
        }
    }
    if to_hz > from_hz.saturating_mul(MAX_STRETCH) {
        return Err(failed(format!("at most {MAX_STRETCH} times as many samples are supported")));
    }
    if from_hz == to_hz || samples.is_empty() {
        return Ok(samples.to_vec());
    }
    let divisor = gcd(from_hz, to_hz);
    if from_hz.max(to_hz) / divisor > MAX_UNIT_SAMPLES {
        return Err(failed("the rates have too small a common divisor".to_owned()));
    }
    let input: Vec<f64> = samples.iter().copied().map(f64::from).collect();
    let channel = SequentialSlice::new(&input, 1, input.len()).map_err(|error| failed(error.to_string()))?;
    let block = block_in(from_hz, to_hz);
    let (from, to) = (from_hz as usize, to_hz as usize);
    let mut resampler =
        Fft::<f64>::new_custom(from, to, block, 1, 1, WindowFunction::BlackmanHarris2, FixedSync::Input)
            .map_err(|error| failed(error.to_string()))?;
    let output =
        resampler.process_all(&channel, input.len(), None).map_err(|error| failed(error.to_string()))?;
    let mut output: Vec<f32> = output.take_data().into_iter().map(|sample| sample as f32).collect();
    output.resize(resampled_length(samples.len(), from_hz, to_hz), 0.0);
    Ok(output)
}

/// The number of samples at `rate_hz` of a clip with something to hear: readable, not silent, and finite at that rate too.
///
/// # Errors
/// What is wrong with the clip, as [`read_at_rate`]; each names the file.
pub fn audible_samples(path: &Path, channel: ChannelChoice, rate_hz: u32) -> Result<usize, Error> {
    let wave = read_wav(path, channel)?;
    // Before resampling, which makes edges of a constant.
    if wave.samples.iter().all(|sample| *sample == wave.samples[0]) {
        return Err(Error::Silent { path: path.to_owned() });
    }
    let samples = match wave.rate_hz == rate_hz {
        true => wave.samples,
        false => resample(&wave.samples, wave.rate_hz, rate_hz).map_err(|error| error.in_file(path))?,
    };
    if samples.is_empty() {
        return Err(Error::Empty { path: path.to_owned() });
    }
    check_values(path, &samples)?;
    Ok(samples.len())
}

/// Whether all samples of a clip, at the rate that they are used at, are numbers that front ends can take.
///
/// # Errors
/// [`Error::NotFinite`] with the first that is not.
pub(crate) fn check_values(path: &Path, samples: &[f32]) -> Result<(), Error> {
    // Sums of the largest floats leave their range between two samples.
    let not_finite = samples.iter().position(|value| !value.is_finite());
    let wrong = not_finite.or_else(|| samples.iter().position(|value| value.abs() > LOUDEST));
    match wrong {
        Some(sample) => Err(Error::NotFinite { path: path.to_owned(), sample, value: samples[sample] }),
        None => Ok(()),
    }
}

/// Reads one channel of a clip and resamples it where its rate is another than `rate_hz`.
///
/// # Errors
/// As [`read_wav`] and [`resample`]; each names the file.
pub fn read_at_rate(path: &Path, channel: ChannelChoice, rate_hz: u32) -> Result<Vec<f32>, Error> {
    let wave = read_wav(path, channel)?;
    if wave.rate_hz == rate_hz {
        return Ok(wave.samples);
    }
    resample(&wave.samples, wave.rate_hz, rate_hz).map_err(|error| error.in_file(path))
}

/// Samples of a resampled clip: `round(samples * to / from)`, in integers.
pub fn resampled_length(samples: usize, from_hz: u32, to_hz: u32) -> usize {
    let (from, to) = (u128::from(from_hz), u128::from(to_hz));
    let length = (2 * samples as u128 * to + from) / (2 * from);
    usize::try_from(length).unwrap_or(usize::MAX)
}

/// Block length at the input rate. A block is an even multiple of `from / gcd`, so that the
/// filter's delay, half a block, is a whole number of samples at both rates and can be taken off
/// exactly.
fn block_in(from_hz: u32, to_hz: u32) -> usize {
    let divisor = gcd(from_hz, to_hz);
    let (unit_in, unit_out) = ((from_hz / divisor) as usize, (to_hz / divisor) as usize);
    let units = BLOCK_SAMPLES.div_ceil(unit_in.min(unit_out)).next_multiple_of(2);
    unit_in * units
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

    use super::*;

    fn sine(frequency_hz: f64, rate_hz: u32, samples: usize) -> Vec<f32> {
        (0..samples)
            .map(|n| (0.5 * (TAU * frequency_hz * n as f64 / f64::from(rate_hz)).sin()) as f32)
            .collect()
    }

    #[test]
    fn a_sine_stays_the_same_sine_in_time() {
        for (from_hz, to_hz) in [
            (48_000, 16_000),
            (44_100, 16_000),
            (16_000, 44_100),
            (8_000, 16_000),
            (22_050, 16_000),
            (16_001, 16_000),
        ] {
            let resampled = resample(&sine(1000.0, from_hz, from_hz as usize), from_hz, to_hz).unwrap();
            assert_eq!(resampled.len(), to_hz as usize, "{from_hz} -> {to_hz}");
            let expected = sine(1000.0, to_hz, to_hz as usize);
            // Away from the ends, where the filter sees the silence around the clip. The window's
            // side lobes lie below -110 dB.
            let margin = to_hz as usize / 4;
            let inside = margin..to_hz as usize - margin;
            let error = inside.map(|n| (resampled[n] - expected[n]).abs()).fold(0.0, f32::max);
            assert!(error < 2e-6, "{from_hz} -> {to_hz}: {error}");
        }
    }

    #[test]
    fn tones_above_the_new_band_vanish() {
        let resampled = resample(&sine(10_000.0, 48_000, 48_000), 48_000, 16_000).unwrap();
        let loudest = resampled[4000..12_000].iter().fold(0.0_f32, |peak, sample| peak.max(sample.abs()));
        assert!(loudest < 2e-6, "{loudest}");
    }

    #[test]
    fn lengths_are_rounded_and_short_clips_work() {
        for samples in [1, 2, 3, 5, 100, 441, 1000, 1023, 4097] {
            for (from_hz, to_hz) in [(44_100, 16_000), (16_000, 48_000), (48_000, 16_000), (7, 3)] {
                let expected = (samples as f64 * f64::from(to_hz) / f64::from(from_hz)).round() as usize;
                let clip = vec![0.25; samples];
                assert_eq!(
                    resample(&clip, from_hz, to_hz).unwrap().len(),
                    expected,
                    "{samples} {from_hz} {to_hz}"
                );
            }
        }
    }

    #[test]
    fn the_same_rate_changes_nothing_and_impossible_rates_are_errors() {
        let clip = sine(440.0, 16_000, 500);
        assert_eq!(resample(&clip, 16_000, 16_000).unwrap(), clip);
        for (from_hz, to_hz) in [(0, 16_000), (16_000, 0), (4_294_967_291, 16_000)] {
            let message = resample(&clip, from_hz, to_hz).unwrap_err().to_string();
            assert!(message.contains("from 1 to 1000000 Hz"), "{message}");
        }
        let stretched = resample(&clip, 1, 16_000).unwrap_err().to_string();
        assert!(stretched.contains("at most 48 times"), "{stretched}");
        let apart = resample(&clip, 524_289, 16_000).unwrap_err().to_string();
        assert!(apart.contains("common divisor"), "{apart}");
        assert_eq!(resample(&clip, 8_000, 384_000).unwrap().len(), 48 * clip.len());
    }

    #[test]
    fn the_result_is_deterministic() {
        let clip = sine(333.0, 44_100, 5000);
        assert_eq!(resample(&clip, 44_100, 16_000).unwrap(), resample(&clip, 44_100, 16_000).unwrap());
    }
}
