//! What can go wrong with a clip or with the front end's settings.

use std::io;
use std::path::{Path, PathBuf};

use super::ChannelChoice;

/// An error of the audio room.
///
/// Each message is complete (its cause is part of the text), names the file where there is one, and
/// ends with the remedy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file could not be opened or read.
    #[error("read `{}`: {cause}; check that the file exists and may be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        cause: io::Error,
    },
    /// The file is something else than a RIFF/WAVE file.
    #[error("read `{}`: not a WAV file ({reason}); replace it with a WAV file or leave it out", path.display())]
    NotWav {
        /// The file.
        path: PathBuf,
        /// What was found instead.
        reason: String,
    },
    /// The file ends before the sound that its header promises.
    #[error(
        "read `{}`: truncated, its header promises {promised_bytes} bytes of sound and {present_bytes} are there; \
         copy or download the file again, or leave it out",
        path.display()
    )]
    Truncated {
        /// The file.
        path: PathBuf,
        /// Length of the data chunk as its header states it.
        promised_bytes: u64,
        /// Bytes of it that the file holds.
        present_bytes: u64,
    },
    /// The header contradicts itself or lacks a part.
    #[error("read `{}`: damaged WAV header ({reason}); export the file again or leave it out", path.display())]
    Header {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A WAV file whose samples are stored in a way that is not read.
    #[error(
        "read `{}`: {encoding} is not supported; convert the file to PCM of 8, 16, 24 or 32 bits or to 32-bit float",
        path.display()
    )]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// The encoding, in words.
        encoding: String,
    },
    /// A well-formed WAV file without sound.
    #[error("read `{}`: the clip has zero samples; record or download it again, or leave it out", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// A sample is NaN, infinite or beyond what sound can be.
    #[error("read `{}`: sample {sample} is {value}; export the clip again or leave it out", path.display())]
    NotFinite {
        /// The file.
        path: PathBuf,
        /// Index of the first such sample, after the channel choice.
        sample: usize,
        /// Its value.
        value: f32,
    },
    /// There is nothing to hear.
    #[error("read `{}`: silent: every sample is the same; record or download it again, or leave it out", path.display())]
    Silent {
        /// The file.
        path: PathBuf,
    },
    /// The file was another one a while ago.
    #[error("read `{}`: the clip has {found} samples and had {expected}", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
        /// Samples now.
        found: usize,
        /// Samples when the clip was checked.
        expected: usize,
    },
    /// The file was written to, or replaced, while it was in use.
    #[error("read `{}`: the clip was changed while it was in use; run the command again", path.display())]
    Touched {
        /// The file.
        path: PathBuf,
    },
    /// The channel choice needs channels that the clip does not have.
    #[error(
        "take channel `{choice}` of `{}`: the clip is mono and data.channel = \"{choice}\" needs a stereo clip; \
         set data.channel = \"first\" for mono clips",
        path.display()
    )]
    Channel {
        /// The file.
        path: PathBuf,
        /// The choice that cannot be had.
        choice: ChannelChoice,
    },
    /// The file could not be written.
    #[error("write `{}`: {cause}; check that the folder exists, may be written and has space left", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        cause: io::Error,
    },
    /// The rates are outside of what is resampled.
    #[error(
        "resample from {from_hz} Hz to {to_hz} Hz: {reason}; check the clip's header and frontend.logmel.rate_hz"
    )]
    Resample {
        /// Rate of the clip.
        from_hz: u32,
        /// Rate asked for.
        to_hz: u32,
        /// Why not.
        reason: String,
    },
    /// A setting of the log-mel front end is out of its range.
    #[error("set up the log-mel: {key} is {value}; it must be {expected}")]
    Setting {
        /// Name of the setting in [`LogMelSpec`](super::LogMelSpec).
        key: &'static str,
        /// Its value.
        value: String,
        /// The valid range, in words.
        expected: String,
    },
    /// The clip is shorter than one window.
    #[error(
        "compute the log-mel: the clip has {samples} samples and {needed} are needed, since {reason}; leave it out"
    )]
    TooShort {
        /// Samples of the clip.
        samples: usize,
        /// The least that is enough.
        needed: usize,
        /// What needs them.
        reason: String,
    },
    /// The clip is longer than can be heard at once.
    #[error(
        "hear the clip: it has {samples} samples, and {reason}; cut it into shorter ones or leave it out"
    )]
    TooLong {
        /// Samples of the clip.
        samples: usize,
        /// What they are too many for.
        reason: String,
    },
    /// The samples are NaN, infinite or so large that their power is.
    #[error(
        "compute the log-mel: the power of frame {frame} is not a number; export the clip again, scaled to -1..1"
    )]
    PowerNotFinite {
        /// The first such frame.
        frame: usize,
    },
    /// Silence has no level that another sound could be mixed with it at.
    #[error("mix two sounds: the {signal} is silent; leave that recording out")]
    NoLevel {
        /// Which of the two.
        signal: &'static str,
    },
    /// A buffer or matrix handed in does not have the shape that the call needs.
    #[error(
        "{action}: the shape is {found} and must be {expected}; this is a fault of the caller, please report it"
    )]
    Shape {
        /// What was attempted.
        action: &'static str,
        /// The shape handed in.
        found: String,
        /// The shape needed.
        expected: String,
    },
    /// An error of a step that does not know the file, with the file.
    #[error("use `{}`: {cause}", path.display())]
    InFile {
        /// The file.
        path: PathBuf,
        /// What went wrong with it.
        cause: Box<Error>,
    },
}

impl Error {
    /// The same error with the file named, for errors of the steps that work on samples alone.
    #[must_use]
    pub fn in_file(self, path: &Path) -> Self {
        match self {
            nameless @ (Self::Resample { .. }
            | Self::TooShort { .. }
            | Self::TooLong { .. }
            | Self::PowerNotFinite { .. }
            | Self::NoLevel { .. }) => Self::InFile { path: path.to_owned(), cause: Box::new(nameless) },
            named => named,
        }
    }

    /// The file that the error is about, where it is about one.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Read { path, .. }
            | Self::NotWav { path, .. }
            | Self::Truncated { path, .. }
            | Self::Header { path, .. }
            | Self::Unsupported { path, .. }
            | Self::Empty { path }
            | Self::NotFinite { path, .. }
            | Self::Silent { path }
            | Self::Changed { path, .. }
            | Self::Touched { path }
            | Self::Channel { path, .. }
            | Self::Write { path, .. }
            | Self::InFile { path, .. } => Some(path),
            Self::Resample { .. }
            | Self::Setting { .. }
            | Self::TooShort { .. }
            | Self::TooLong { .. }
            | Self::PowerNotFinite { .. }
            | Self::NoLevel { .. }
            | Self::Shape { .. } => None,
        }
    }
}
