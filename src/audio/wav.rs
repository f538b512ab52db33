//! WAV files in: PCM of 8, 16, 24 and 32 bits and floats of 32 and 64, of any number of channels,
//! as one channel of `f32`.

use std::fmt;
use std::fs::File;
use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Error;
use super::riff::{Header, WavInfo, read_header};

/// Which channel of a clip is used.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, PartialEq, Eq, Debug, Default)]
#[serde(rename_all = "kebab-case")]
pub enum ChannelChoice {
    /// The first channel, whatever there are.
    #[default]
    First,
    /// The first channel of a clip with at least two (in DCASE 2026, the near microphone).
    Left,
    /// The second channel (in DCASE 2026, the far microphone).
    Right,
    /// The mean of all channels.
    Mean,
    /// Left minus right.
    Difference,
}

impl fmt::Display for ChannelChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::First => "first",
            Self::Left => "left",
            Self::Right => "right",
            Self::Mean => "mean",
            Self::Difference => "difference",
        })
    }
}

/// One channel of sound.
#[derive(Debug, Clone, PartialEq)]
pub struct Wave {
    /// Samples, full scale at ±1.
    pub samples: Vec<f32>,
    /// Sample rate in Hz.
    pub rate_hz: u32,
}

/// A WAV file whose header was read and checked, and whose samples are still in the file.
#[derive(Debug)]
pub struct WavFile {
    file: File,
    header: Header,
    path: PathBuf,
}

impl WavFile {
    /// Opens a WAV file.
    ///
    /// # Errors
    /// As [`read_wav`], except that the samples are not looked at.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let (mut file, file_bytes) = open(path)?;
        let header = read_header(&mut file, file_bytes, path)?;
        Ok(Self { file, header, path: path.to_owned() })
    }

    /// What the header says.
    #[must_use]
    pub fn info(&self) -> &WavInfo {
        &self.header.info
    }

    /// `count` samples of one channel from sample `first` on; no other part of the file is read.
    ///
    /// # Errors
    /// As [`read_wav`], and [`Error::Shape`] where the clip has no such samples.
    pub fn read(&self, first: usize, count: usize, channel: ChannelChoice) -> Result<Vec<f32>, Error> {
        let Header { info, data_start, data_bytes } = &self.header;
        if first.checked_add(count).is_none_or(|end| end > info.samples) {
            let found = format!("{count} samples from sample {first} on");
            let expected = format!("within the {} samples of `{}`", info.samples, self.path.display());
            return Err(Error::Shape { action: "read a part of a clip", found, expected });
        }
        // The header's check keeps all of this within the file, and so within the address space.
        let frame_bytes = info.sample_bytes() * usize::from(info.channels);
        let (start, wanted) = (first * frame_bytes, count * frame_bytes);
        let unreadable = |cause| Error::Read { path: self.path.clone(), cause };
        let mut data = Vec::with_capacity(wanted);
        let mut file = &self.file;
        file.seek(SeekFrom::Start(data_start + start as u64)).map_err(unreadable)?;
        file.take(wanted as u64).read_to_end(&mut data).map_err(unreadable)?;
        if data.len() < wanted {
            // Cut since the header was checked.
            return Err(Error::Truncated {
                path: self.path.clone(),
                promised_bytes: *data_bytes as u64,
                present_bytes: (start + data.len()) as u64,
            });
        }
        decode(&data, info, channel, first, &self.path)
    }
}

/// Reads a WAV file's header, without its samples.
///
/// # Errors
/// As [`read_wav`], except that the samples are not looked at.
pub fn probe(path: &Path) -> Result<WavInfo, Error> {
    Ok(*WavFile::open(path)?.info())
}

/// Reads a WAV file and takes one channel of it.
///
/// Full scale is ±1: integers are divided by 2^(bits-1), 8-bit samples after 128 is taken off;
/// floats are kept as they are.
///
/// # Errors
/// Where the file cannot be read, is no WAV file, is truncated, empty, of an unsupported encoding,
/// or mono while the choice needs two channels, and where a sample of the channel is NaN or
/// infinite.
pub fn read_wav(path: &Path, channel: ChannelChoice) -> Result<Wave, Error> {
    let file = WavFile::open(path)?;
    let info = file.info();
    Ok(Wave { samples: file.read(0, info.samples, channel)?, rate_hz: info.rate_hz })
}

/// As [`read_wav`], from a file's content; `path` only serves the messages.
///
/// # Errors
/// As [`read_wav`].
pub fn read_wav_bytes(bytes: &[u8], path: &Path, channel: ChannelChoice) -> Result<Wave, Error> {
    let header = read_header(&mut Cursor::new(bytes), bytes.len() as u64, path)?;
    let data = usize::try_from(header.data_start).ok().and_then(|start| bytes.get(start..));
    let data = data.and_then(|data| data.get(..header.data_bytes)).ok_or_else(|| Error::Truncated {
        path: path.to_owned(),
        promised_bytes: header.data_bytes as u64,
        present_bytes: data.map_or(0, |data| data.len() as u64),
    })?;
    let samples = decode(data, &header.info, channel, 0, path)?;
    Ok(Wave { samples, rate_hz: header.info.rate_hz })
}

/// Opens a regular file and gives its length; a pipe named `.wav` would otherwise wait for ever.
fn open(path: &Path) -> Result<(File, u64), Error> {
    let unreadable = |cause| Error::Read { path: path.to_owned(), cause };
    let metadata = std::fs::metadata(path).map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(unreadable(io::Error::other("it is not a file")));
    }
    let file = File::open(path).map_err(unreadable)?;
    Ok((file, metadata.len()))
}

/// Turns whole frames into one channel. `data` is of the clip's sample `first` on, which serves the messages.
fn decode(
    data: &[u8],
    info: &WavInfo,
    channel: ChannelChoice,
    first: usize,
    path: &Path,
) -> Result<Vec<f32>, Error> {
    if info.channels == 1
        && matches!(channel, ChannelChoice::Left | ChannelChoice::Right | ChannelChoice::Difference)
    {
        return Err(Error::Channel { path: path.to_owned(), choice: channel });
    }
    let mix = Mix { channels: usize::from(info.channels), choice: channel };
    let samples = match (info.float, info.sample_bytes()) {
        (false, 1) => mix.one_channel(data, |[byte]: [u8; 1]| (f32::from(byte) - 128.0) / 128.0),
        (false, 2) => mix.one_channel(data, |bytes| f32::from(i16::from_le_bytes(bytes)) / 32_768.0),
        // Shifted to the top of an i32, so that the sign comes out right; both divisions are exact.
        (false, 3) => mix.one_channel(data, |[a, b, c]: [u8; 3]| {
            i32::from_le_bytes([0, a, b, c]) as f32 / 2_147_483_648.0
        }),
        (false, _) => mix.one_channel(data, |bytes| i32::from_le_bytes(bytes) as f32 / 2_147_483_648.0),
        (true, 4) => mix.one_channel(data, f32::from_le_bytes),
        (true, _) => mix.one_channel(data, |bytes| f64::from_le_bytes(bytes) as f32),
    };
    if info.float
        && let Some(at) = samples.iter().position(|value| !value.is_finite())
    {
        return Err(Error::NotFinite { path: path.to_owned(), sample: first + at, value: samples[at] });
    }
    Ok(samples)
}

/// How the channels of a frame become one sample.
struct Mix {
    channels: usize,
    choice: ChannelChoice,
}

impl Mix {
    /// Decodes `data`, whole frames of `channels` samples of `BYTES` bytes.
    ///
    /// One pass per closure, so that the compiler makes a vector loop of each (a 10 s mono clip of
    /// 16 bits takes 0.03 ms; sample by sample through `hound` it takes 2 ms).
    fn one_channel<const BYTES: usize>(&self, data: &[u8], value: impl Fn([u8; BYTES]) -> f32) -> Vec<f32> {
        let (samples, _) = data.as_chunks::<BYTES>();
        if self.channels == 1 {
            return samples.iter().map(|bytes| value(*bytes)).collect();
        }
        let frames = samples.chunks_exact(self.channels);
        match self.choice {
            ChannelChoice::First | ChannelChoice::Left => frames.map(|frame| value(frame[0])).collect(),
            ChannelChoice::Right => frames.map(|frame| value(frame[1])).collect(),
            ChannelChoice::Difference => frames.map(|frame| value(frame[0]) - value(frame[1])).collect(),
            ChannelChoice::Mean => {
                let count = f32::from(u16::try_from(self.channels).unwrap_or(u16::MAX));
                frames.map(|frame| frame.iter().map(|bytes| value(*bytes)).sum::<f32>() / count).collect()
            }
        }
    }
}

#[cfg(test)]
mod tests;
