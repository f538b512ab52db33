//! The samples of a set of clips: checked once, then read from the clips' own files, whole or in part.
//!
//! The check decodes every clip and finds it readable, finite and not silent. What it found is a cache entry,
//! `<key>.json`, with its own checksum; the key is a hash of the clips' *content* and of the settings, so that neither a
//! changed clip nor a changed setting can meet a stale entry.
//!
//! Clips are read again and again while a network is trained. A clip that is written to, or replaced, after the set was opened
//! is refused when it is read next: its size, number and date tell, at the cost of one question to the file system.
//!
//! Memory: the check holds one clip per thread; what stays is a line per clip.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::source::make_cache;
use super::{BadClip, Error, Source};
use crate::audio::{self, ChannelChoice, WavFile, audible_samples, read_at_rate, read_wav_bytes, resample};
use crate::config::OnBadClip;
use crate::dataset::Stamp;
use crate::files::{self, Durability};
use crate::seal;

/// Changed with the meaning or the form of what is cached.
const FORMAT: u32 = 3;
/// Clips checked between two looks at what was found: enough for every core.
const CHUNK: usize = 256;
/// A set with a clip that was changed since so long before its fingerprint was computed is hashed once more when it is opened:
/// clocks of file servers go wrong, by less than that.
const RECENT: Duration = Duration::from_secs(3600);

/// A clip that can be read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WaveClip {
    /// Position in the list that was asked for.
    pub index: usize,
    /// Relative to the data set's root.
    pub path: String,
    /// Samples at the set's rate, at least one.
    pub samples: usize,
    /// Of the file when the set was opened.
    #[serde(skip)]
    stamp: Option<Stamp>,
}

/// The JSON file of the cache.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Listing {
    format: u32,
    rate_hz: u32,
    channel: ChannelChoice,
    fingerprint: String,
    clips: Vec<WaveClip>,
    bad: Vec<BadClip>,
}

/// Which samples are wanted, and of clips with which fingerprint.
#[derive(Clone, Copy)]
pub struct WavesRequest<'a> {
    /// Folder of the cache.
    pub cache: &'a Path,
    /// Fingerprint of the clips.
    pub fingerprint: &'a str,
    /// When its computation began: it may not be that of clips that were changed later.
    pub known_since: SystemTime,
    /// The rate in Hz that clips of another are resampled to.
    pub rate_hz: u32,
    /// The channel of clips with several.
    pub channel: ChannelChoice,
    /// Whether a bad clip stops or is left out.
    pub on_bad_clip: OnBadClip,
    /// Hears of (clips done, clips in all) while clips are checked.
    pub progress: &'a (dyn Fn(u64, u64) + Sync),
}

/// Samples of a set of clips, in the clips' own files.
#[derive(Debug, Clone)]
pub struct Waves {
    root: PathBuf,
    listing: Listing,
}

impl Waves {
    /// Of some clips: checked, or found checked in the cache. Where bad clips are left out, there may be none.
    ///
    /// # Errors
    /// When a clip is bad and bad clips are errors, when the cache cannot be written.
    pub fn open(source: &Source<'_>, request: &WavesRequest<'_>) -> Result<Self, Error> {
        let path = request.cache.join(format!("{}.json", key(request)));
        // Before anything is read: a change while clips are checked is one since then.
        let stamps = stamps(source);
        let opened = |mut listing: Listing| {
            listing.clips.iter_mut().for_each(|clip| clip.stamp = stamps.get(clip.index).copied().flatten());
            Self { root: source.root.to_owned(), listing }
        };
        if path.exists() {
            match load(&path, source, request) {
                Ok(listing) => {
                    // A sweep's worker may have known the fingerprint for hours.
                    let at_rest = |stamp: &Stamp| stamp.is_before(request.known_since, RECENT);
                    if !stamps.iter().flatten().all(at_rest) {
                        source.check(request.fingerprint)?;
                    }
                    return Ok(opened(listing));
                }
                Err(why) => tracing::warn!("cache entry {} is made again: {why}", path.display()),
            }
        }
        make_cache(request.cache)?;
        let listing = check_all(source, request)?;
        source.check(request.fingerprint)?;
        let text = serde_json::to_string_pretty(&listing)
            .map_err(|e| files::Error::new("write", &path, io::Error::other(e)))?;
        files::write(&path, seal::sealed(&text).as_bytes(), Durability::Cached)?;
        Ok(opened(listing))
    }

    /// Whether there is a cache entry for them, which is not looked into.
    pub fn is_cached(request: &WavesRequest<'_>) -> bool {
        request.cache.join(format!("{}.json", key(request))).exists()
    }

    /// Whether any of the clips that were opened is good.
    ///
    /// # Errors
    /// [`Error::NoClip`] where all are bad.
    pub fn check_any(&self, source: &Source<'_>) -> Result<(), Error> {
        match self.clips().is_empty() {
            true => Err(source.all_bad(self.bad())),
            false => Ok(()),
        }
    }

    /// The same set without the clips whose number of samples `fits` refuses: these are bad.
    ///
    /// # Errors
    /// The first refusal, where bad clips are errors.
    pub(crate) fn fitting(
        &self,
        on_bad_clip: OnBadClip,
        fits: impl Fn(usize) -> Result<(), audio::Error>,
    ) -> Result<Self, Error> {
        let mut fitting = self.clone();
        let Listing { clips, bad, .. } = &mut fitting.listing;
        clips.clear();
        for (n, clip) in self.clips().iter().enumerate() {
            match fits(clip.samples).map_err(|error| error.in_file(&self.path(n))) {
                Ok(()) => clips.push(clip.clone()),
                Err(error) if on_bad_clip == OnBadClip::Skip => {
                    bad.push(BadClip::new(clip.index, Path::new(&clip.path), &error));
                }
                Err(error) => return Err(Error::Clip(error)),
            }
        }
        bad.sort_by_key(|clip| clip.index);
        Ok(fitting)
    }

    /// The same set with the clips of others below the same root behind its own.
    pub(crate) fn joined<'a>(&self, others: impl IntoIterator<Item = &'a Self>) -> Self {
        let mut all = self.clone();
        let mut fingerprints = vec![all.listing.fingerprint.clone()];
        let Listing { clips, bad, .. } = &mut all.listing;
        for other in others {
            debug_assert_eq!(self.root, other.root, "paths are relative to one root");
            let first = clips.len() + bad.len();
            clips.extend(
                other.clips().iter().map(|clip| WaveClip { index: first + clip.index, ..clip.clone() }),
            );
            bad.extend(other.bad().iter().map(|clip| BadClip { index: first + clip.index, ..clip.clone() }));
            fingerprints.push(other.fingerprint().to_owned());
        }
        all.listing.fingerprint = joint_fingerprint(&fingerprints);
        all
    }

    /// The clips that are there, in the order that was asked for.
    pub fn clips(&self) -> &[WaveClip] {
        &self.listing.clips
    }

    /// The clips that were left out.
    pub fn bad(&self) -> &[BadClip] {
        &self.listing.bad
    }

    /// Fingerprint of the clips.
    pub fn fingerprint(&self) -> &str {
        &self.listing.fingerprint
    }

    /// Rate of all samples in Hz.
    pub fn rate_hz(&self) -> u32 {
        self.listing.rate_hz
    }

    /// All samples of a clip of [`Waves::clips`], full scale being 1.
    ///
    /// # Errors
    /// When the clip was changed or removed meanwhile.
    pub fn read(&self, clip: usize) -> Result<Vec<f32>, audio::Error> {
        let path = self.path(clip);
        let samples = read_at_rate(&path, self.listing.channel, self.rate_hz())?;
        self.check_same(clip, &path, samples.len())?;
        Ok(samples)
    }

    /// The content of the file of a clip of [`Waves::clips`].
    ///
    /// # Errors
    /// When it was removed meanwhile.
    pub fn read_file(&self, clip: usize) -> Result<Vec<u8>, audio::Error> {
        let path = self.path(clip);
        let content =
            std::fs::read(&path).map_err(|cause| audio::Error::Read { path: path.clone(), cause })?;
        self.check_untouched(clip, &path)?;
        Ok(content)
    }

    /// As [`Waves::read`], from the content of the clip's file.
    ///
    /// # Errors
    /// When it is not the clip that was checked.
    pub fn decode(&self, clip: usize, content: &[u8]) -> Result<Vec<f32>, audio::Error> {
        let path = self.path(clip);
        let wave = read_wav_bytes(content, &path, self.listing.channel)?;
        let samples = match wave.rate_hz == self.rate_hz() {
            true => wave.samples,
            false => resample(&wave.samples, wave.rate_hz, self.rate_hz()).map_err(|e| e.in_file(&path))?,
        };
        self.check_length(clip, &path, samples.len())?;
        Ok(samples)
    }

    /// The channel of clips with several.
    pub fn channel(&self) -> ChannelChoice {
        self.listing.channel
    }

    /// The samples of a clip of [`Waves::clips`] from `first_sample` on, as many as fill `out`; a clip that ends begins
    /// again. Of a file at the set's rate only the samples that are wanted are read; one at another rate is resampled
    /// whole.
    ///
    /// # Errors
    /// When the clip was changed or removed meanwhile.
    pub fn read_segment(
        &self,
        clip: usize,
        first_sample: usize,
        out: &mut [f32],
    ) -> Result<(), audio::Error> {
        let length = self.clips()[clip].samples;
        let first = first_sample % length;
        let path = self.path(clip);
        let file = WavFile::open(&path)?;
        if file.info().rate_hz != self.rate_hz() || length < out.len() {
            let whole = self.read(clip)?;
            for (value, sample) in out.iter_mut().zip(whole.iter().cycle().skip(first)) {
                *value = *sample;
            }
            return Ok(());
        }
        self.check_length(clip, &path, file.info().samples)?;
        let (before_end, after_start) = out.split_at_mut((length - first).min(out.len()));
        for (first, part) in [(first, before_end), (0, after_start)] {
            if !part.is_empty() {
                part.copy_from_slice(&file.read(first, part.len(), self.listing.channel)?);
            }
        }
        self.check_untouched(clip, &path)
    }

    /// The file of a clip of [`Waves::clips`].
    pub(crate) fn path(&self, clip: usize) -> PathBuf {
        self.root.join(&self.clips()[clip].path)
    }

    fn check_same(&self, clip: usize, path: &Path, found: usize) -> Result<(), audio::Error> {
        self.check_length(clip, path, found)?;
        self.check_untouched(clip, path)
    }

    /// Whether nobody wrote to a clip's file since the set was opened. Asked after it was read, so that a change while it was
    /// read counts.
    fn check_untouched(&self, clip: usize, path: &Path) -> Result<(), audio::Error> {
        let Some(stamp) = self.clips()[clip].stamp else { return Ok(()) };
        match Stamp::of(path) {
            Ok(now) if now.has_content_of(&stamp) => Ok(()),
            Ok(_) => Err(audio::Error::Touched { path: path.to_owned() }),
            Err(cause) => Err(audio::Error::Read { path: path.to_owned(), cause }),
        }
    }

    fn check_length(&self, clip: usize, path: &Path, found: usize) -> Result<(), audio::Error> {
        let expected = self.clips()[clip].samples;
        match found == expected {
            true => Ok(()),
            false => Err(audio::Error::Changed { path: path.to_owned(), found, expected }),
        }
    }
}

/// The fingerprint of several sets as one; of one set its own.
pub(crate) fn joint_fingerprint(parts: &[String]) -> String {
    match parts {
        [one] => one.clone(),
        parts => {
            let mut hasher = blake3::Hasher::new();
            for part in parts {
                hasher.update(format!("{part}\n").as_bytes());
            }
            hasher.finalize().to_hex().to_string()
        }
    }
}

fn key(request: &WavesRequest<'_>) -> String {
    let identity = serde_json::json!([
        "waves",
        FORMAT,
        request.rate_hz,
        request.channel,
        request.on_bad_clip,
        request.fingerprint
    ]);
    blake3::hash(identity.to_string().as_bytes()).to_hex()[..32].to_owned()
}

/// Of every clip's file, in the order that was asked for; none of one that cannot be looked at, which is bad.
fn stamps(source: &Source<'_>) -> Vec<Option<Stamp>> {
    source.paths.par_iter().map(|path| Stamp::of(&source.root.join(path)).ok()).collect()
}

/// An entry that can be used, or why not.
fn load(path: &Path, source: &Source<'_>, request: &WavesRequest<'_>) -> Result<Listing, String> {
    let bytes = files::read_own(path).map_err(|e| e.to_string())?;
    seal::check(&bytes)?;
    let listing: Listing = serde_json::from_slice(&bytes).map_err(|e| e.to_string())?;
    if (listing.format, listing.rate_hz, listing.channel, listing.fingerprint.as_str())
        != (FORMAT, request.rate_hz, request.channel, request.fingerprint)
    {
        return Err("it is of other clips or settings".into());
    }
    let known = |clip: &WaveClip| {
        clip.samples > 0 && source.paths.get(clip.index).is_some_and(|path| **path == *clip.path)
    };
    let complete = listing.clips.len() + listing.bad.len() == source.paths.len();
    match complete && listing.clips.iter().all(known) {
        true => Ok(listing),
        false => Err("it does not name the clips that it should".into()),
    }
}

/// Decode every clip; memory holds one per thread.
fn check_all(source: &Source<'_>, request: &WavesRequest<'_>) -> Result<Listing, Error> {
    let (mut clips, mut bad) = (Vec::new(), Vec::new());
    for (chunk_index, chunk) in source.paths.chunks(CHUNK).enumerate() {
        let found: Vec<_> = chunk
            .par_iter()
            .map(|path| audible_samples(&source.root.join(path), request.channel, request.rate_hz))
            .collect();
        for (n, result) in found.into_iter().enumerate() {
            let index = chunk_index * CHUNK + n;
            match result {
                Ok(samples) => {
                    let path = chunk[n].to_string_lossy().into_owned();
                    clips.push(WaveClip { index, path, samples, stamp: None });
                }
                Err(error) if request.on_bad_clip == OnBadClip::Skip => {
                    bad.push(BadClip::new(index, chunk[n], &error));
                }
                Err(error) => return Err(Error::Clip(error)),
            }
        }
        (request.progress)((chunk_index * CHUNK + chunk.len()) as u64, source.paths.len() as u64);
    }
    Ok(Listing {
        format: FORMAT,
        rate_hz: request.rate_hz,
        channel: request.channel,
        fingerprint: request.fingerprint.to_owned(),
        clips,
        bad,
    })
}

#[cfg(test)]
mod tests;
