//! The header of a RIFF/WAVE file.
//!
//! Read here and not by `hound` (which writes our files and checks this reader in the tests): it
//! does not step over the pad byte of odd chunks, knows no 64-bit float, and hides where the data
//! chunk lies, which the bulk decoder needs.
//!
//! Source: Multimedia Programming Interface and Data Specifications 1.0 (RIFF), and Microsoft's
//! `WAVEFORMATEXTENSIBLE`.

use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use super::Error;

/// Format tag of integer PCM.
const TAG_PCM: u16 = 1;
/// Format tag of IEEE floats.
const TAG_FLOAT: u16 = 3;
/// Format tag that points to a GUID, whose first two bytes are one of the tags above.
const TAG_EXTENSIBLE: u16 = 0xFFFE;
/// Bytes of the `fmt ` chunk that are looked at: 24 + 16 of the GUID.
const FMT_BYTES: usize = 40;

/// What a WAV file's header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WavInfo {
    /// Sample rate in Hz.
    pub rate_hz: u32,
    /// Number of channels.
    pub channels: u16,
    /// Samples per channel, at least one.
    pub samples: usize,
    /// Bits that one sample takes in the file: 8, 16, 24, 32 or 64.
    pub bits: u16,
    /// Whether the samples are floats.
    pub float: bool,
}

impl WavInfo {
    /// Length of the clip in seconds.
    #[must_use]
    pub fn duration_s(&self) -> f64 {
        self.samples as f64 / f64::from(self.rate_hz)
    }

    /// Bytes of one sample of one channel.
    pub(super) fn sample_bytes(&self) -> usize {
        usize::from(self.bits / 8)
    }
}

/// A header and where the samples lie.
#[derive(Debug, Clone, Copy)]
pub(super) struct Header {
    pub info: WavInfo,
    /// Offset of the first sample in the file.
    pub data_start: u64,
    /// Length of the samples, a whole number of frames.
    pub data_bytes: usize,
}

/// The sample format as the `fmt ` chunk gives it.
struct Format {
    rate_hz: u32,
    channels: u16,
    bits: u16,
    float: bool,
}

/// Reads the header of a file of `file_bytes` bytes and checks that the sound it promises is there.
///
/// # Errors
/// Whatever is not a WAV file with at least one sample in a supported encoding: see [`Error`].
pub(super) fn read_header<R: Read + Seek>(
    reader: &mut R,
    file_bytes: u64,
    path: &Path,
) -> Result<Header, Error> {
    check_magic(reader, path)?;
    let mut format = None;
    let mut position = 12;
    loop {
        reader.seek(SeekFrom::Start(position)).map_err(|cause| unreadable(path, cause))?;
        let mut chunk = [0; 8];
        if fill(reader, &mut chunk).map_err(|cause| unreadable(path, cause))? < chunk.len() {
            let missing = if format.is_some() { "data" } else { "fmt" };
            return Err(damaged(path, format!("no {missing} chunk before the end of the file")));
        }
        let [id @ .., b0, b1, b2, b3] = chunk;
        let chunk_bytes = u64::from(u32::from_le_bytes([b0, b1, b2, b3]));
        let start = position + 8;
        match &id {
            b"fmt " => format = Some(read_format(reader, chunk_bytes, path)?),
            b"data" => {
                let format = format
                    .ok_or_else(|| damaged(path, "the data chunk comes before the fmt chunk".into()))?;
                return with_data(&format, start, chunk_bytes, file_bytes, path);
            }
            _ if is_name(&id) => {}
            _ => return Err(damaged(path, format!("no chunk starts at byte {position}, where one should"))),
        }
        position =
            after_chunk(reader, start + chunk_bytes, chunk_bytes).map_err(|cause| unreadable(path, cause))?;
    }
}

/// Checks the twelve bytes that every WAV file starts with.
fn check_magic<R: Read>(reader: &mut R, path: &Path) -> Result<(), Error> {
    let mut magic = [0; 12];
    let found = fill(reader, &mut magic).map_err(|cause| unreadable(path, cause))?;
    let not_wav = |reason: &str| Error::NotWav { path: path.to_owned(), reason: reason.into() };
    if found == 0 {
        return Err(not_wav("the file is empty"));
    }
    if [&b"RF64"[..], b"RIFX", b"BW64"].contains(&&magic[..4]) {
        let encoding = format!("the {} variant of WAV", String::from_utf8_lossy(&magic[..4]));
        return Err(Error::Unsupported { path: path.to_owned(), encoding });
    }
    if &magic[..4] != b"RIFF" {
        return Err(not_wav("it does not start with `RIFF`"));
    }
    if found < magic.len() {
        return Err(not_wav("it ends inside its header"));
    }
    if &magic[8..] != b"WAVE" {
        return Err(not_wav("it is a RIFF file of another type"));
    }
    Ok(())
}

/// Where the next chunk starts. Chunks are padded to even lengths, but some programs forget the pad
/// byte.
fn after_chunk<R: Read + Seek>(reader: &mut R, end: u64, chunk_bytes: u64) -> io::Result<u64> {
    if chunk_bytes.is_multiple_of(2) {
        return Ok(end);
    }
    let mut id = [0; 4];
    reader.seek(SeekFrom::Start(end))?;
    let found = fill(reader, &mut id)?;
    // A pad byte is zero and so cannot be the start of a name.
    let unpadded = found == id.len() && is_name(&id);
    Ok(if unpadded { end } else { end + 1 })
}

/// Whether these bytes can name a chunk: four printable characters.
fn is_name(id: &[u8; 4]) -> bool {
    id.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ')
}

/// Reads the `fmt ` chunk; the reader stands at its first byte.
fn read_format<R: Read>(reader: &mut R, chunk_bytes: u64, path: &Path) -> Result<Format, Error> {
    let mut bytes = [0; FMT_BYTES];
    let wanted = usize::try_from(chunk_bytes).unwrap_or(usize::MAX).min(FMT_BYTES);
    let found = fill(reader, &mut bytes[..wanted]).map_err(|cause| unreadable(path, cause))?;
    if found < 16 {
        return Err(damaged(path, format!("the fmt chunk has {found} bytes, it needs at least 16")));
    }
    let u16_at = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
    let mut tag = u16_at(0);
    if tag == TAG_EXTENSIBLE {
        if found < FMT_BYTES {
            return Err(damaged(
                path,
                format!("the extensible fmt chunk has {found} bytes, it needs {FMT_BYTES}"),
            ));
        }
        tag = u16_at(24);
    }
    let channels = u16_at(2);
    let rate_hz = u32::from_le_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]);
    let block_bytes = u16_at(12);
    let bits = u16_at(14);
    if channels == 0 {
        return Err(damaged(path, "zero channels".into()));
    }
    if rate_hz == 0 {
        return Err(damaged(path, "a sample rate of zero".into()));
    }
    let float = match (tag, bits) {
        (TAG_PCM, 8 | 16 | 24 | 32) => false,
        (TAG_FLOAT, 32 | 64) => true,
        (TAG_PCM, _) => return Err(unsupported(path, format!("{bits}-bit PCM"))),
        (TAG_FLOAT, _) => return Err(unsupported(path, format!("{bits}-bit float"))),
        _ => return Err(unsupported(path, format!("the encoding with tag {tag:#06x}"))),
    };
    // Samples in wider containers (24 of 32 bits) are aligned left by some programs and right by
    // others: never guessed.
    if u32::from(block_bytes) != u32::from(channels) * u32::from(bits / 8) {
        let reason = format!("{block_bytes} bytes a frame do not hold {channels} channel(s) of {bits} bits");
        return Err(damaged(path, reason));
    }
    Ok(Format { rate_hz, channels, bits, float })
}

/// Puts the format and the data chunk together, and checks the chunk against the file's length.
fn with_data(
    format: &Format,
    start: u64,
    promised: u64,
    file_bytes: u64,
    path: &Path,
) -> Result<Header, Error> {
    let present = file_bytes.saturating_sub(start);
    if promised > present {
        return Err(Error::Truncated {
            path: path.to_owned(),
            promised_bytes: promised,
            present_bytes: present,
        });
    }
    let frame_bytes = u64::from(format.channels) * u64::from(format.bits / 8);
    if !promised.is_multiple_of(frame_bytes) {
        let reason = format!("{promised} bytes of sound are not a whole number of {frame_bytes}-byte frames");
        return Err(damaged(path, reason));
    }
    if promised == 0 {
        return Err(Error::Empty { path: path.to_owned() });
    }
    let too_large = |_| unsupported(path, "a data chunk larger than the address space".into());
    let data_bytes = usize::try_from(promised).map_err(too_large)?;
    let samples = usize::try_from(promised / frame_bytes).map_err(too_large)?;
    let info = WavInfo {
        rate_hz: format.rate_hz,
        channels: format.channels,
        samples,
        bits: format.bits,
        float: format.float,
    };
    Ok(Header { info, data_start: start, data_bytes })
}

/// Reads until `buffer` is full or the file ends, and gives the number of bytes read.
fn fill<R: Read>(reader: &mut R, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match reader.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

fn unreadable(path: &Path, cause: io::Error) -> Error {
    Error::Read { path: path.to_owned(), cause }
}

fn damaged(path: &Path, reason: String) -> Error {
    Error::Header { path: path.to_owned(), reason }
}

fn unsupported(path: &Path, encoding: String) -> Error {
    Error::Unsupported { path: path.to_owned(), encoding }
}
