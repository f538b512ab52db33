//! WAV files out.

use std::io::{self, BufWriter, Write};
use std::path::Path;

use super::Error;
use crate::files::{self, Durability, Sink};

/// How samples are stored in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SampleFormat {
    /// 16-bit integers.
    Pcm16,
    /// 24-bit integers.
    Pcm24,
    /// 32-bit integers.
    Pcm32,
    /// 32-bit floats.
    Float32,
}

impl SampleFormat {
    /// Bits of one sample.
    fn bits(self) -> u16 {
        match self {
            Self::Pcm16 => 16,
            Self::Pcm24 => 24,
            Self::Pcm32 | Self::Float32 => 32,
        }
    }
}

/// Writes a mono WAV file; `samples` have full scale at ±1.
///
/// Integers are rounded to the nearest value, and what is beyond full scale is clipped. The file
/// appears under its name only when it is complete: it is written to a temporary file of the same
/// folder and renamed.
///
/// # Errors
/// Where the folder is missing or not writable, where the disk is full, and where a sample is not
/// finite.
pub fn write_wav(path: &Path, samples: &[f32], rate_hz: u32, format: SampleFormat) -> Result<(), Error> {
    if let Some(sample) = samples.iter().position(|value| !value.is_finite()) {
        let cause =
            io::Error::new(io::ErrorKind::InvalidData, format!("sample {sample} is {}", samples[sample]));
        return Err(Error::Write { path: path.to_owned(), cause });
    }
    let fill = |file: &mut Sink| {
        let mut buffered = BufWriter::new(file);
        write_samples(&mut buffered, samples, rate_hz, format).map_err(|error| match error {
            hound::Error::IoError(cause) => cause,
            other => io::Error::other(other),
        })?;
        buffered.flush()
    };
    files::write_with(path, Durability::Cached, fill)
        .map_err(|error| Error::Write { path: path.to_owned(), cause: error.into_source() })
}

fn write_samples(
    sink: &mut BufWriter<&mut Sink>,
    samples: &[f32],
    rate_hz: u32,
    format: SampleFormat,
) -> Result<(), hound::Error> {
    let float = format == SampleFormat::Float32;
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: rate_hz,
        bits_per_sample: format.bits(),
        sample_format: if float { hound::SampleFormat::Float } else { hound::SampleFormat::Int },
    };
    let mut writer = hound::WavWriter::new(sink, spec)?;
    if float {
        for sample in samples {
            writer.write_sample(*sample)?;
        }
    } else {
        let scale = f64::from(1_u32 << (format.bits() - 1));
        for sample in samples {
            let value = (f64::from(*sample) * scale).round().clamp(-scale, scale - 1.0);
            writer.write_sample(value as i32)?;
        }
    }
    writer.finalize()
}
