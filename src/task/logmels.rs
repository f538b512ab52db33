//! The log-mels of a set of clips, computed once and then streamed from a file.
//!
//! A cache entry is `<key>.npy`, all clips' frames one behind the other (f32, `[frames, mels]`, readable with
//! `numpy.load`), and `<key>.json`, which clip lies where. The key is a hash of the clips' *content* and of every
//! setting of the front end, so that neither a changed clip nor a changed setting can meet a stale entry. The JSON
//! file is written last: without it the entry does not exist.
//!
//! The JSON file carries its own checksum and that of the values. Both are looked at whenever an entry is opened, which a
//! process does once for each set: the values of 6,000 clips of 10 s take half a second on one core, half of it for reading.
//! An entry that fails is made again, with a warning that names it.
//!
//! Memory: reading keeps nothing but the index, and while it is held a small set. 6,000 clips of 10 s are 0.96 GB on disk
//! and 0.3 MB here.

mod build;

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

use serde::{Deserialize, Serialize};

use super::scaler::Statistics;
use super::{BadClip, Error, Source};
use crate::audio::{ChannelChoice, LogMelSpec};
use crate::config::OnBadClip;
use crate::files::{self, Durability};
use crate::seal;

/// Changed with the meaning or the form of what is cached.
const FORMAT: u32 = 1;
/// Bytes of the `.npy` header, padded.
const HEADER: usize = 128;
/// Bytes of an f32.
const VALUE: u64 = 4;

/// Where a clip's frames lie.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// Position in the list that was asked for.
    pub index: usize,
    /// Relative to the data set's root.
    pub path: String,
    /// First row.
    pub first_row: u64,
    /// Rows.
    pub frames: usize,
}

/// The JSON file beside the values.
#[derive(Debug, Serialize, Deserialize)]
struct Index {
    format: u32,
    spec: LogMelSpec,
    fingerprint: String,
    spans: Vec<Span>,
    bad: Vec<BadClip>,
    statistics: Statistics,
    /// BLAKE3 of the `.npy` file.
    hash: String,
}

/// Which log-mels are wanted, and of clips with which fingerprint.
#[derive(Clone, Copy)]
pub struct LogMelsRequest<'a> {
    /// Folder of the cache.
    pub cache: &'a Path,
    /// Fingerprint of the clips, as a moment ago.
    pub fingerprint: &'a str,
    /// The front end.
    pub spec: &'a LogMelSpec,
    /// The channel of clips with several.
    pub channel: ChannelChoice,
    /// Whether a bad clip stops or is left out.
    pub on_bad_clip: OnBadClip,
    /// A clip with fewer frames is bad.
    pub min_frames: usize,
    /// Hears of (clips done, clips in all) while log-mels are computed.
    pub progress: &'a (dyn Fn(u64, u64) + Sync),
}

/// Sets of at most so many bytes are held in memory once they are read from at random: 400 clips of 10 s.
const HELD_BYTES: u64 = 64 << 20;

/// Log-mels in dB of a set of clips, on disk; a small set in memory too.
#[derive(Debug)]
pub struct LogMels {
    file: File,
    path: PathBuf,
    index: Index,
    /// All values, of a small set, while somebody holds it.
    held: RwLock<Option<Vec<f32>>>,
}

/// A small set's values stay in memory as long as this lives.
#[derive(Debug)]
pub struct Held<'a>(&'a LogMels);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        *self.0.held.write().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl LogMels {
    /// Of some clips: from the cache, or computed and put there.
    ///
    /// # Errors
    /// When a clip is bad and bad clips are errors, when all are, when the cache cannot be written.
    pub fn open(source: &Source<'_>, request: &LogMelsRequest<'_>) -> Result<Self, Error> {
        let key = key(request);
        let values = request.cache.join(format!("{key}.npy"));
        let listing = request.cache.join(format!("{key}.json"));
        if listing.exists() {
            match Self::load(&values, &listing, request) {
                Ok(loaded) => return Ok(loaded),
                Err(why) => tracing::warn!("cache entry {} is made again: {why}", values.display()),
            }
        }
        super::source::make_cache(request.cache)?;
        files::remove(&listing)?;
        let index = build::build(source, request, &values)?;
        if let Err(changed) = source.check(&index.fingerprint) {
            files::remove(&values)?;
            return Err(changed);
        }
        let text = serde_json::to_string_pretty(&index)
            .map_err(|e| files::Error::new("write", &listing, io::Error::other(e)))?;
        files::write(&listing, seal::sealed(&text).as_bytes(), Durability::Flushed)?;
        let file = File::open(&values).map_err(|e| files::Error::new("read", &values, e))?;
        Ok(Self { file, path: values, index, held: RwLock::default() })
    }

    /// Whether there is a cache entry for them, which is not looked into.
    pub fn is_cached(request: &LogMelsRequest<'_>) -> bool {
        request.cache.join(format!("{}.json", key(request))).exists()
    }

    /// An entry that passes every check, or why not.
    fn load(values: &Path, listing: &Path, request: &LogMelsRequest<'_>) -> Result<Self, String> {
        let bytes = files::read_own(listing).map_err(|e| e.to_string())?;
        seal::check(&bytes)?;
        let index: Index = serde_json::from_slice(&bytes).map_err(|e| e.to_string())?;
        if (index.format, &index.spec, index.fingerprint.as_str())
            != (FORMAT, request.spec, request.fingerprint)
        {
            return Err("it is of other clips or settings".into());
        }
        let file = File::open(values).map_err(|e| e.to_string())?;
        match build::hash(&file) {
            Ok(found) if found == index.hash => {
                Ok(Self { file, path: values.to_owned(), index, held: RwLock::default() })
            }
            Ok(_) => Err("its content does not match its hash".into()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// The clips that are there, in the order that was asked for.
    pub fn spans(&self) -> &[Span] {
        &self.index.spans
    }

    /// The clips that were left out.
    pub fn bad(&self) -> &[BadClip] {
        &self.index.bad
    }

    /// Of all values.
    pub fn statistics(&self) -> &Statistics {
        &self.index.statistics
    }

    /// Fingerprint of the clips.
    pub fn fingerprint(&self) -> &str {
        &self.index.fingerprint
    }

    /// Mel bands, the length of a row.
    pub fn n_mels(&self) -> usize {
        self.index.spec.n_mels
    }

    /// Rows from `row` on, as many as fill `out` (a multiple of the mel bands).
    ///
    /// # Errors
    /// When the file was cut or removed meanwhile.
    pub fn read_rows(&self, row: u64, out: &mut [f32]) -> Result<(), files::Error> {
        if let Some(held) = &*self.held.read().unwrap_or_else(PoisonError::into_inner) {
            let first = row as usize * self.n_mels();
            if let Some(values) = held.get(first..first + out.len()) {
                out.copy_from_slice(values);
                return Ok(());
            }
        }
        self.read_file(row, out)
    }

    /// Keep a small set's values in memory until the guard is dropped: a shuffled epoch asks for each of them five times,
    /// 2.5 kB at a time.
    ///
    /// # Errors
    /// When the file was cut or removed meanwhile.
    pub fn hold(&self) -> Result<Held<'_>, files::Error> {
        let rows: usize = self.index.spans.iter().map(|span| span.frames).sum();
        let count = rows * self.n_mels();
        if count as u64 * VALUE <= HELD_BYTES {
            let mut values = vec![0.0; count];
            self.read_file(0, &mut values)?;
            *self.held.write().unwrap_or_else(PoisonError::into_inner) = Some(values);
        }
        Ok(Held(self))
    }

    fn read_file(&self, row: u64, out: &mut [f32]) -> Result<(), files::Error> {
        let at = HEADER as u64 + row * self.n_mels() as u64 * VALUE;
        let bytes: &mut [u8] = bytemuck::cast_slice_mut(out);
        self.file.read_exact_at(bytes, at).map_err(|e| files::Error::new("read", &self.path, e))?;
        // The file is little-endian; where the machine is too, this is nothing.
        out.iter_mut().for_each(|value| *value = f32::from_bits(u32::from_le(value.to_bits())));
        Ok(())
    }
}

fn key(request: &LogMelsRequest<'_>) -> String {
    let identity = serde_json::json!([
        FORMAT,
        request.spec,
        request.channel,
        request.on_bad_clip,
        request.min_frames,
        request.fingerprint
    ]);
    blake3::hash(identity.to_string().as_bytes()).to_hex()[..32].to_owned()
}

#[cfg(test)]
pub(super) mod tests;
