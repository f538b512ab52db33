//! The log-mels of a set of clips, computed once and then streamed from a file.
//!
//! A cache entry is `<key>.npy`, all clips' frames one behind the other (f32, `[frames, mels]`, readable with
//! `numpy.load`), and `<key>.json`, which clip lies where. The key is a hash of the clips' *content* and of every
//! setting of the front end, so that neither a changed clip nor a changed setting can meet a stale entry. The JSON
//! file is written last: without it the entry does not exist.
//!
//! Memory: reading keeps nothing but the index, and while it is held a small set. 6,000 clips of 10 s are 0.96 GB on disk
//! and 0.3 MB here.

use std::fs::File;
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::Error;
use super::scaler::{Statistics, Tally};
use crate::audio::{self, ChannelChoice, LogMel, LogMelSpec, Scratch};
use crate::config::OnBadClip;
use crate::dataset::{self, EvaluationClips, TrainingClips};
use crate::files::{self, Durability};

/// Changed with the meaning or the form of what is cached.
const FORMAT: u32 = 1;
/// Clips computed between two writes: enough for every core, 50 MB at 10 s a clip.
const CHUNK: usize = 64;
/// Bytes of the `.npy` header, padded.
const HEADER: usize = 128;
/// Bytes of an f32.
const VALUE: u64 = 4;
/// No cache entry takes this long between two writes: what is older was left by a killed process.
const ABANDONED: Duration = Duration::from_secs(3600);

/// A clip that was left out, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BadClip {
    /// Position in the list that was asked for.
    pub index: usize,
    /// Relative to the data set's root.
    pub path: String,
    /// The error that reading it gave.
    pub reason: String,
}

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

/// What is common to clips to learn from and clips to be judged on.
struct Source<'a> {
    machine: &'a str,
    root: &'a Path,
    paths: Vec<&'a Path>,
    fingerprint: &'a dyn Fn() -> Result<String, dataset::Error>,
}

impl LogMels {
    /// Of training clips.
    ///
    /// # Errors
    /// When a clip is bad and bad clips are errors, when all are, when the cache cannot be written.
    pub fn of_training(clips: &TrainingClips, request: &LogMelsRequest<'_>) -> Result<Self, Error> {
        Self::open(
            &Source {
                machine: &clips.machine,
                root: &clips.root,
                paths: clips.clips.iter().map(|clip| clip.path.as_path()).collect(),
                fingerprint: &|| clips.fingerprint(),
            },
            request,
        )
    }

    /// Of test clips.
    ///
    /// # Errors
    /// As [`LogMels::of_training`].
    pub fn of_evaluation(clips: &EvaluationClips, request: &LogMelsRequest<'_>) -> Result<Self, Error> {
        Self::open(
            &Source {
                machine: &clips.machine,
                root: &clips.root,
                paths: clips.clips.iter().map(|labelled| labelled.clip.path.as_path()).collect(),
                fingerprint: &|| clips.fingerprint(),
            },
            request,
        )
    }

    fn open(source: &Source<'_>, request: &LogMelsRequest<'_>) -> Result<Self, Error> {
        let key = key(request);
        let values = request.cache.join(format!("{key}.npy"));
        let listing = request.cache.join(format!("{key}.json"));
        if listing.exists() {
            match Self::load(&values, &listing) {
                Ok(loaded) => return Ok(loaded),
                Err(why) => tracing::warn!("cache entry {} is made again: {why}", values.display()),
            }
        }
        files::make_folder(request.cache)?;
        files::sweep(request.cache, ABANDONED);
        files::remove(&listing)?;
        let index = build(source, request, &values)?;
        if (source.fingerprint)()? != index.fingerprint {
            files::remove(&values)?;
            return Err(Error::Changed(source.machine.to_owned()));
        }
        let text = serde_json::to_vec_pretty(&index)
            .map_err(|e| files::Error::new("write", &listing, io::Error::other(e)))?;
        files::write(&listing, &text, Durability::Flushed)?;
        let file = File::open(&values).map_err(|e| files::Error::new("read", &values, e))?;
        Ok(Self { file, path: values, index, held: RwLock::default() })
    }

    /// An entry that passes every check, or why not.
    fn load(values: &Path, listing: &Path) -> Result<Self, String> {
        let text = files::read_text(listing).map_err(|e| e.to_string())?;
        let index: Index = serde_json::from_str(&text).map_err(|e| e.to_string())?;
        let file = File::open(values).map_err(|e| e.to_string())?;
        match hash(&file) {
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

/// Compute all clips and write the values; memory holds one chunk.
fn build(source: &Source<'_>, request: &LogMelsRequest<'_>, values: &Path) -> Result<Index, Error> {
    let front_end = LogMel::new(request.spec).map_err(Error::Clip)?;
    let mut rows = Rows { spans: Vec::new(), bad: Vec::new(), tally: Tally::new(), next_row: 0 };
    let mut failure = None;
    let written = files::write_with(values, Durability::Cached, |file| {
        let mut out = BufWriter::with_capacity(1 << 20, file);
        out.write_all(&[0; HEADER])?;
        for (chunk_index, chunk) in source.paths.chunks(CHUNK).enumerate() {
            let computed: Vec<Result<_, audio::Error>> = chunk
                .par_iter()
                .map_init(Scratch::default, |scratch, path| {
                    let path = source.root.join(path);
                    front_end.compute_clip(&path, request.channel, request.min_frames, scratch)
                })
                .collect();
            for (n, logmel) in computed.into_iter().enumerate() {
                let index = chunk_index * CHUNK + n;
                match logmel {
                    Ok(logmel) => {
                        rows.add(index, chunk[n], logmel.as_slice().unwrap_or_default(), request, &mut out)?
                    }
                    Err(error) if request.on_bad_clip == OnBadClip::Skip => rows.bad.push(BadClip {
                        index,
                        path: chunk[n].to_string_lossy().into_owned(),
                        reason: error.to_string(),
                    }),
                    Err(error) => {
                        failure = Some(error);
                        return Err(io::Error::other("a bad clip"));
                    }
                }
            }
            (request.progress)((chunk_index * CHUNK + chunk.len()) as u64, source.paths.len() as u64);
        }
        out.seek(SeekFrom::Start(0))?;
        out.write_all(&npy_header(rows.next_row, request.spec.n_mels))?;
        out.flush()
    });
    if let Some(error) = failure {
        return Err(Error::Clip(error));
    }
    written?;
    if rows.spans.is_empty() {
        files::remove(values)?;
        let first = rows.bad.first().map_or(String::new(), |bad| bad.reason.clone());
        return Err(Error::NoClip(source.paths.len(), source.machine.to_owned(), first));
    }
    let file = File::open(values).map_err(|e| files::Error::new("read", values, e))?;
    let hash = hash(&file).map_err(|e| files::Error::new("read", values, e))?;
    let statistics = rows.tally.finish();
    Ok(Index {
        format: FORMAT,
        spec: request.spec.clone(),
        fingerprint: request.fingerprint.to_owned(),
        spans: rows.spans,
        bad: rows.bad,
        statistics,
        hash,
    })
}

/// What grows while clips are written.
struct Rows {
    spans: Vec<Span>,
    bad: Vec<BadClip>,
    tally: Tally,
    next_row: u64,
}

impl Rows {
    fn add(
        &mut self,
        index: usize,
        path: &Path,
        values: &[f32],
        request: &LogMelsRequest<'_>,
        out: &mut impl Write,
    ) -> io::Result<()> {
        let frames = values.len() / request.spec.n_mels;
        self.tally.add(values);
        let path = path.to_string_lossy().into_owned();
        self.spans.push(Span { index, path, first_row: self.next_row, frames });
        self.next_row += frames as u64;
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        out.write_all(&bytes)
    }
}

/// NumPy's format 1.0, padded to [`HEADER`] bytes.
fn npy_header(rows: u64, columns: usize) -> Vec<u8> {
    let text = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, {columns}), }}");
    let mut header = b"\x93NUMPY\x01\x00".to_vec();
    header.extend(((HEADER - 10) as u16).to_le_bytes());
    header.extend(text.as_bytes());
    header.resize(HEADER - 1, b' ');
    header.push(b'\n');
    header
}

fn hash(file: &File) -> io::Result<String> {
    let mut hasher = blake3::Hasher::new();
    let mut at = 0;
    let mut buffer = vec![0; 1 << 20];
    loop {
        let count = file.read_at(&mut buffer, at)?;
        if count == 0 {
            return Ok(hasher.finalize().to_hex().to_string());
        }
        hasher.update(&buffer[..count]);
        at += count as u64;
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::audio::{SampleFormat, write_wav};
    use crate::config::DataConfig;

    pub struct Place {
        folder: tempfile::TempDir,
    }

    impl Place {
        /// Three clips of a machine `pump`, of 5, 9 and 5 frames.
        pub fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            for split in ["train", "test"] {
                std::fs::create_dir_all(folder.path().join("data/pump").join(split)).unwrap();
            }
            let place = Self { folder };
            place.clip(0, 2_100);
            place.clip(1, 4_100);
            place.clip(2, 2_100);
            place
        }

        fn clip(&self, index: usize, samples: usize) {
            let name = format!("data/pump/train/section_00_source_train_normal_000{index}.wav");
            let tone: Vec<f32> =
                (0..samples).map(|i| (i as f32 * 0.03 * (index + 1) as f32).sin() * 0.3).collect();
            write_wav(&self.folder.path().join(name), &tone, 16_000, SampleFormat::Pcm16).unwrap();
        }

        pub fn open(&self, spec: &LogMelSpec, on_bad_clip: OnBadClip) -> Result<LogMels, Error> {
            let root = Some(self.folder.path().join("data"));
            let clips = dataset::index(&DataConfig { root, ..DataConfig::default() })
                .unwrap()
                .training("pump")
                .unwrap();
            let fingerprint = clips.fingerprint().unwrap();
            let request = LogMelsRequest {
                cache: &self.folder.path().join("cache"),
                fingerprint: &fingerprint,
                spec,
                channel: ChannelChoice::First,
                on_bad_clip,
                min_frames: 5,
                progress: &|_, _| {},
            };
            LogMels::of_training(&clips, &request)
        }

        fn entries(&self) -> usize {
            std::fs::read_dir(self.folder.path().join("cache")).unwrap().count()
        }
    }

    #[test]
    fn rows_are_those_of_the_front_end_clip_by_clip() {
        let place = Place::new();
        let spec = LogMelSpec::default();
        let opened = place.open(&spec, OnBadClip::Error).unwrap();
        assert_eq!(
            opened.spans().iter().map(|s| (s.first_row, s.frames)).collect::<Vec<_>>(),
            [(0, 5), (5, 9), (14, 5)]
        );
        let path = place.folder.path().join("data").join(&opened.spans()[1].path);
        let front_end = LogMel::new(&spec).unwrap();
        let expected =
            front_end.compute_clip(&path, ChannelChoice::First, 1, &mut Scratch::default()).unwrap();
        let mut rows = vec![0.0; 9 * 128];
        opened.read_rows(5, &mut rows).unwrap();
        assert_eq!(rows, expected.as_slice().unwrap());
        assert!(opened.read_rows(15, &mut rows).is_err(), "beyond the end");
    }

    #[test]
    fn other_readers_find_the_values() {
        let place = Place::new();
        place.open(&LogMelSpec::default(), OnBadClip::Error).unwrap();
        let npy = std::fs::read_dir(place.folder.path().join("cache")).unwrap();
        let npy = npy.map(|e| e.unwrap().path()).find(|p| p.extension().is_some_and(|e| e == "npy")).unwrap();
        let matrix: ndarray::Array2<f32> = ndarray_npy::read_npy(npy).unwrap();
        assert_eq!(matrix.dim(), (19, 128));
    }

    #[test]
    fn a_changed_clip_or_setting_has_an_entry_of_its_own() {
        let place = Place::new();
        let spec = LogMelSpec::default();
        let first = place.open(&spec, OnBadClip::Error).unwrap();
        place.open(&spec, OnBadClip::Error).unwrap();
        assert_eq!(place.entries(), 2, "values and index, used again");
        place.open(&LogMelSpec { hop_samples: 256, ..spec.clone() }, OnBadClip::Error).unwrap();
        assert_eq!(place.entries(), 4);
        place.clip(2, 2_101);
        let changed = place.open(&spec, OnBadClip::Error).unwrap();
        assert_eq!(place.entries(), 6);
        assert_ne!(changed.fingerprint(), first.fingerprint());
    }

    #[test]
    fn a_short_clip_stops_or_is_left_out() {
        let place = Place::new();
        place.clip(1, 2_000);
        let spec = LogMelSpec::default();
        let message = place.open(&spec, OnBadClip::Error).unwrap_err().to_string();
        assert!(message.contains("normal_0001.wav") && message.contains("window of 5 frames"), "{message}");
        assert_eq!(place.entries(), 0, "nothing half-written");
        let opened = place.open(&spec, OnBadClip::Skip).unwrap();
        assert_eq!((opened.spans().len(), opened.bad()[0].index), (2, 1));
        assert_eq!(opened.spans()[1].first_row, 5);
    }
}
