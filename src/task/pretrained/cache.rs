//! Features of clips, kept one by one: a file for each clip, named by the hash of the clip's content, in a folder for
//! each way of making them.
//!
//! `<key>/about.json` says which way that is; `<key>/<two digits>/<hash>.npy` is a feature (f32, `[dim]`, readable with
//! `numpy.load`) with a checksum behind it. An extraction that was killed goes on with what is there; a changed clip, or
//! another way, has another name. Files are whole or not there, but not flushed: after a power cut some may be torn, which
//! the checksum finds.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::files::{self, Durability};
use crate::npy;
use crate::task::source::make_cache;

/// Changed with the meaning or the form of what is kept, and with the arithmetic of any network.
const FORMAT: u32 = 1;
/// Bytes of a checksum: BLAKE3's.
const CHECKSUM: usize = blake3::OUT_LEN;

/// Features that were made in one way.
#[derive(Debug)]
pub struct FeatureCache {
    folder: PathBuf,
    key: String,
    header: Vec<u8>,
    dim: usize,
}

impl FeatureCache {
    /// Below `cache`, of features of `dim` values; `about` is all that decides them but the clip.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn open(cache: &Path, about: &Value, dim: usize) -> Result<Self, files::Error> {
        let about = serde_json::json!({ "format": FORMAT, "dim": dim, "made_by": about });
        let key = blake3::hash(about.to_string().as_bytes()).to_hex()[..32].to_owned();
        let folder = cache.join(&key);
        make_cache(&folder)?;
        for shard in fs::read_dir(&folder).into_iter().flatten().flatten() {
            if shard.file_type().is_ok_and(|kind| kind.is_dir()) {
                make_cache(&shard.path())?;
            }
        }
        let path = folder.join("about.json");
        if !path.exists() {
            files::write(&path, format!("{about:#}\n").as_bytes(), Durability::Cached)?;
        }
        Ok(Self { folder, key, header: npy::header("<f4", &format!("({dim},)")), dim })
    }

    /// The feature of a clip, where it is kept and whole.
    pub fn get(&self, clip: &blake3::Hash) -> Option<Vec<f32>> {
        let path = self.path(clip);
        match fs::read(&path).and_then(|bytes| self.parse(clip, &bytes).map_err(io::Error::other)) {
            Ok(feature) => Some(feature),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(why) => {
                tracing::warn!("cache entry {} is made again: {why}", path.display());
                None
            }
        }
    }

    /// Keep the feature of a clip.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn put(&self, clip: &blake3::Hash, feature: &[f32]) -> Result<(), files::Error> {
        let values: Vec<u8> = feature.iter().flat_map(|value| value.to_le_bytes()).collect();
        let checksum = self.checksum(clip, &values);
        let path = self.path(clip);
        if let Some(shard) = path.parent() {
            files::make_folder(shard)?;
        }
        files::write(&path, &[&self.header[..], &values, checksum.as_bytes()].concat(), Durability::Cached)
    }

    fn path(&self, clip: &blake3::Hash) -> PathBuf {
        let name = clip.to_hex();
        self.folder.join(&name[..2]).join(format!("{name}.npy"))
    }

    fn parse(&self, clip: &blake3::Hash, bytes: &[u8]) -> Result<Vec<f32>, String> {
        let expected = self.header.len() + self.dim * size_of::<f32>() + CHECKSUM;
        if bytes.len() != expected {
            return Err(format!("it has {} bytes and must have {expected}", bytes.len()));
        }
        let (header, rest) = bytes.split_at(self.header.len());
        let (values, checksum) = rest.split_at(rest.len() - CHECKSUM);
        if header != self.header || checksum != self.checksum(clip, values).as_bytes() {
            return Err("its content does not match its checksum".to_owned());
        }
        let (values, _) = values.as_chunks::<4>();
        let feature: Vec<f32> = values.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        match feature.iter().all(|value| value.is_finite()) {
            true => Ok(feature),
            false => Err("its values are not finite numbers".to_owned()),
        }
    }

    /// Of the values and of where they belong, so that no entry serves for another.
    fn checksum(&self, clip: &blake3::Hash, values: &[u8]) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new();
        hasher.update(self.key.as_bytes()).update(clip.as_bytes()).update(values);
        hasher.finalize()
    }
}

#[cfg(test)]
mod tests {
    use ndarray_npy::ReadNpyExt;
    use serde_json::json;

    use super::*;

    const FEATURE: [f32; 3] = [1.5, -0.0, f32::MIN_POSITIVE];

    fn opened(place: &Path) -> FeatureCache {
        FeatureCache::open(place, &json!({"pool": "mean"}), 3).unwrap()
    }

    fn clip(content: &str) -> blake3::Hash {
        blake3::hash(content.as_bytes())
    }

    #[test]
    fn what_is_kept_comes_back_bit_by_bit_and_to_its_clip_alone() {
        let place = tempfile::tempdir().unwrap();
        let (a, b) = (clip("a"), clip("b"));
        assert_eq!(opened(place.path()).get(&a), None);
        opened(place.path()).put(&a, &FEATURE).unwrap();
        let bits = |feature: &[f32]| feature.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&opened(place.path()).get(&a).unwrap()), bits(&FEATURE));
        assert_eq!(opened(place.path()).get(&b), None);
        let other_way = FeatureCache::open(place.path(), &json!({"pool": "cls"}), 3).unwrap();
        assert_eq!(other_way.get(&a), None);
    }

    #[test]
    fn what_is_not_finite_is_made_again() {
        let place = tempfile::tempdir().unwrap();
        let cache = opened(place.path());
        for broken in [f32::NAN, f32::INFINITY] {
            cache.put(&clip("a"), &[1.0, broken, 2.0]).unwrap();
            assert_eq!(cache.get(&clip("a")), None, "{broken}");
        }
    }

    #[test]
    fn numpy_reads_an_entry() {
        let place = tempfile::tempdir().unwrap();
        let cache = opened(place.path());
        cache.put(&clip("a"), &FEATURE).unwrap();
        let bytes = fs::read(cache.path(&clip("a"))).unwrap();
        // As NumPy, which stops where the values end; this reader must be stopped.
        let read = ndarray::Array1::<f32>::read_npy(&bytes[..bytes.len() - CHECKSUM]).unwrap();
        assert_eq!(read.as_slice(), Some(&FEATURE[..]));
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_found() {
        let place = tempfile::tempdir().unwrap();
        let cache = opened(place.path());
        cache.put(&clip("a"), &FEATURE).unwrap();
        let path = cache.path(&clip("a"));
        let whole = fs::read(&path).unwrap();
        for bit in 0..8 * whole.len() {
            let mut flipped = whole.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            fs::write(&path, flipped).unwrap();
            assert_eq!(cache.get(&clip("a")), None, "bit {bit}");
        }
        for length in 0..whole.len() {
            fs::write(&path, &whole[..length]).unwrap();
            assert_eq!(cache.get(&clip("a")), None, "{length} bytes");
        }
        // Another clip's entry, whole, under this one's name.
        cache.put(&clip("b"), &FEATURE).unwrap();
        fs::copy(cache.path(&clip("b")), &path).unwrap();
        assert_eq!(cache.get(&clip("a")), None);
        cache.put(&clip("a"), &FEATURE).unwrap();
        assert_eq!(fs::read(&path).unwrap(), whole);
    }
}
