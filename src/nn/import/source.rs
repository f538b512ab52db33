//! A checkpoint's bytes, read when they are asked for: from an open file, or from memory.
//!
//! Files are not mapped into memory: one that is cut while it is mapped ends the process, here it
//! is an error.

use std::borrow::Cow;
use std::fmt;
use std::fs::{File, Metadata};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::error::Error;

/// How much is read at a time where the caller takes it in pieces; a multiple of every element's
/// size.
const PIECE_BYTES: usize = 1 << 20;

/// A file's or a buffer's bytes.
pub(super) struct Source {
    store: Store,
    len_bytes: u64,
}

enum Store {
    File(OpenFile),
    Memory(Vec<u8>),
}

impl Source {
    /// Regular files only: a device or a pipe may never end.
    pub fn open(path: &Path) -> Result<Self, Error> {
        match OpenFile::open(path) {
            Ok(file) => Ok(Self { len_bytes: file.len_bytes, store: Store::File(file) }),
            Err(source) => Err(Error::Read { path: path.to_owned(), source }),
        }
    }

    /// Bytes that are in memory already.
    pub fn memory(bytes: Vec<u8>) -> Self {
        Self { len_bytes: bytes.len() as u64, store: Store::Memory(bytes) }
    }

    /// The file, where there is one.
    pub fn path(&self) -> Option<&Path> {
        match &self.store {
            Store::File(file) => Some(&file.path),
            Store::Memory(_) => None,
        }
    }

    /// The length at the time of opening.
    pub fn len_bytes(&self) -> u64 {
        self.len_bytes
    }

    /// The bytes of a range.
    ///
    /// # Errors
    /// When the file fails, is no longer what it was when it was opened, or has no such range,
    /// which callers rule out before.
    pub fn read(&self, range: Range<u64>) -> Result<Cow<'_, [u8]>, Error> {
        let file = match &self.store {
            Store::Memory(bytes) => return self.slice(bytes, &range).map(Cow::Borrowed),
            Store::File(file) => file,
        };
        let read = || {
            let length = file.length(&range)?;
            let mut buffer = Vec::new();
            buffer.try_reserve_exact(length).map_err(|_| io::ErrorKind::OutOfMemory)?;
            buffer.resize(length, 0);
            file.fill(range.start, &mut buffer)?;
            file.unchanged()?;
            Ok(Cow::Owned(buffer))
        };
        read().map_err(|source| self.error(source))
    }

    /// The bytes of a range from front to back, in pieces; all but the last are of a length that
    /// no element straddles.
    ///
    /// # Errors
    /// As [`Source::read`].
    pub fn pieces(&self, range: Range<u64>, mut each: impl FnMut(&[u8])) -> Result<(), Error> {
        let file = match &self.store {
            Store::Memory(bytes) => {
                each(self.slice(bytes, &range)?);
                return Ok(());
            }
            Store::File(file) => file,
        };
        let mut read = || {
            let mut left = file.length(&range)?;
            let mut buffer = vec![0; left.min(PIECE_BYTES)];
            let mut at = range.start;
            while left > 0 {
                buffer.truncate(left);
                file.fill(at, &mut buffer)?;
                each(&buffer);
                left -= buffer.len();
                at += buffer.len() as u64;
            }
            file.unchanged()
        };
        read().map_err(|source| self.error(source))
    }

    fn slice<'a>(&self, bytes: &'a [u8], range: &Range<u64>) -> Result<&'a [u8], Error> {
        let index = |at: u64| usize::try_from(at).ok();
        let piece = index(range.start).zip(index(range.end)).and_then(|(start, end)| bytes.get(start..end));
        piece.ok_or_else(|| self.error(beyond()))
    }

    fn error(&self, source: io::Error) -> Error {
        let path = self.path().unwrap_or(Path::new("a checkpoint in memory")).to_owned();
        Error::Read { path, source }
    }
}

/// Not the bytes: there may be a gigabyte of them.
impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").field("path", &self.path()).field("len_bytes", &self.len_bytes).finish()
    }
}

struct OpenFile {
    file: File,
    path: PathBuf,
    len_bytes: u64,
    /// When it was last written to, at the time of opening.
    modified: Option<SystemTime>,
    /// Where readers share the file's one position, they take turns.
    #[cfg(not(unix))]
    turn: std::sync::Mutex<()>,
}

impl OpenFile {
    fn open(path: &Path) -> io::Result<Self> {
        let regular = |about: Metadata| match about.is_file() {
            true => Ok(about),
            false => Err(io::Error::other("it is not a regular file")),
        };
        // Before it is opened: a pipe would wait for somebody who writes to it.
        regular(std::fs::metadata(path)?)?;
        let file = File::open(path)?;
        let about = regular(file.metadata()?)?;
        Ok(Self {
            file,
            path: path.to_owned(),
            len_bytes: about.len(),
            modified: about.modified().ok(),
            #[cfg(not(unix))]
            turn: std::sync::Mutex::default(),
        })
    }

    fn length(&self, range: &Range<u64>) -> io::Result<usize> {
        let length = range.end.checked_sub(range.start).filter(|_| range.end <= self.len_bytes);
        usize::try_from(length.ok_or_else(beyond)?).map_err(|_| io::ErrorKind::OutOfMemory.into())
    }

    fn fill(&self, at: u64, buffer: &mut [u8]) -> io::Result<()> {
        #[cfg(unix)]
        let read = std::os::unix::fs::FileExt::read_exact_at(&self.file, buffer, at);
        #[cfg(not(unix))]
        let read = {
            use std::io::{Read as _, Seek as _};
            let _turn = self.turn.lock();
            let mut file = &self.file;
            file.seek(io::SeekFrom::Start(at)).and_then(|_| file.read_exact(buffer))
        };
        read.map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => io::Error::other("it became shorter while it was read"),
            _ => error,
        })
    }

    /// Weights of one file under another one's hash would be worse than an error.
    fn unchanged(&self) -> io::Result<()> {
        let about = self.file.metadata()?;
        match about.len() == self.len_bytes && about.modified().ok() == self.modified {
            true => Ok(()),
            false => {
                Err(io::Error::other("it was written to while it was read; try again when it is finished"))
            }
        }
    }
}

fn beyond() -> io::Error {
    io::Error::other("it has no such bytes")
}
