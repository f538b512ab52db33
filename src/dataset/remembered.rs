//! Fingerprints that need not be computed again: of clips that nobody touched, as far as the file system tells.
//!
//! A study hashes the same gigabytes at every start. What is remembered is known by each clip's name, description, size,
//! number, and times of its last writing and last change; the latter is the system's own, which no program sets, so that a
//! clip that was replaced by one of the same size and date is seen. Clips that were changed a moment ago are not remembered:
//! another change in the same tick of the clock would not be seen.
//!
//! What is remembered stands with a checksum of it and of what it is of. A fingerprint that was damaged is computed again, with
//! a warning: believed, it would make every run of these clips one of other data.

use std::path::Path;
use std::time::{Duration, SystemTime};

use rayon::prelude::*;

use super::fingerprint::{Described, describe};
use super::stamp::Stamp;
use super::{Error, clip};
use crate::files::{self, Durability};

/// Separates these hashes from others; to be changed with what is hashed.
const CONTEXT: &[u8] = b"asdbench remembered fingerprint 2";
/// Clips that were changed since then are not remembered: coarser than any file system's clock.
const SETTLED: Duration = Duration::from_secs(3);

/// What `compute` says of some clips, or what it said in `memory` when they were the same.
///
/// # Errors
/// When a clip cannot be looked at, and as `compute`.
pub(super) fn remembered(
    root: &Path,
    clips: &[Described<'_>],
    memory: &Path,
    compute: impl FnOnce() -> Result<String, Error>,
) -> Result<String, Error> {
    let began = SystemTime::now();
    let stamps = stamps(root, clips)?;
    let key = key(root, clips, &stamps);
    let path = memory.join(format!("{}.txt", &key[..32]));
    match files::read_own(&path) {
        Ok(bytes) => match recall(&key, &bytes) {
            Some(known) => return Ok(known),
            None => tracing::warn!(
                "cache entry {} is made again: its content does not match its checksum",
                path.display()
            ),
        },
        Err(error) if error.is_missing() => {}
        Err(error) => tracing::warn!("{error}: the clips are read instead"),
    }
    let fingerprint = compute()?;
    let settled = stamps.iter().all(|stamp| stamp.is_before(began, SETTLED));
    if settled && self::stamps(root, clips)? == stamps {
        // Not to be remembered costs time alone.
        let _ = files::make_folder(memory)
            .and_then(|()| files::write(&path, note(&key, &fingerprint).as_bytes(), Durability::Cached));
    }
    Ok(fingerprint)
}

fn stamps(root: &Path, clips: &[Described<'_>]) -> Result<Vec<Stamp>, Error> {
    let stamp = |(clip, _): &(&clip::Clip, Option<bool>)| {
        let path = root.join(&clip.path);
        Stamp::of(&path).map_err(|source| Error::Io { action: "read clip", path, source })
    };
    clips.par_iter().map(stamp).collect()
}

/// What is kept: the fingerprint and, on a line of its own, its checksum.
fn note(key: &str, fingerprint: &str) -> String {
    let checksum = blake3::hash(format!("{key} {fingerprint}").as_bytes()).to_hex();
    format!("{fingerprint}\n{checksum}\n")
}

/// The fingerprint in the bytes of an entry of that key, where they are whole.
fn recall(key: &str, bytes: &[u8]) -> Option<String> {
    let fingerprint = std::str::from_utf8(bytes).ok()?.lines().next()?;
    (note(key, fingerprint).as_bytes() == bytes).then(|| fingerprint.to_owned())
}

/// Hash of all that the clips are known by.
fn key(root: &Path, clips: &[Described<'_>], stamps: &[Stamp]) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(CONTEXT);
    let real = root.canonicalize().unwrap_or_else(|_| root.to_owned());
    hasher.update(real.as_os_str().as_encoded_bytes());
    for (clip, stamp) in clips.iter().zip(stamps) {
        describe(&mut hasher, clip);
        hasher.update(stamp.parts().as_flattened());
    }
    hasher.finalize().to_hex().to_string()
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::time::Instant;

    use super::*;

    /// What `remembered` says, and whether it had to compute.
    fn ask(root: &Path, memory: &Path, says: char) -> (String, bool) {
        let clip = clip::Clip {
            path: "a.wav".into(),
            machine: "fan".into(),
            section: "00".into(),
            domain: None,
            attributes: Vec::new(),
        };
        let computed = Cell::new(false);
        let compute = || {
            computed.set(true);
            Ok(says.to_string().repeat(64))
        };
        let found = remembered(root, &[(&clip, None)], memory, compute).unwrap();
        (found, computed.get())
    }

    #[test]
    fn only_clips_at_rest_are_remembered() {
        let place = tempfile::tempdir().unwrap();
        let (root, memory) = (place.path(), place.path().join("memory"));
        let file = root.join("a.wav");
        let written = Instant::now();
        std::fs::write(&file, "one").unwrap();
        // Written a moment ago: whatever is asked is computed. On a busy machine the moment may have passed.
        let first = [ask(root, &memory, 'a').1, ask(root, &memory, 'b').1];
        let busy = written.elapsed() > Duration::from_secs(2);
        assert!(busy || first == [true, true]);
        let _ = std::fs::remove_dir_all(&memory);
        std::thread::sleep(SETTLED + Duration::from_millis(1100));
        assert_eq!(ask(root, &memory, 'a'), ("a".repeat(64), true));
        assert_eq!(ask(root, &memory, 'b'), ("a".repeat(64), false));
        // A bit of the entry: what is computed again is remembered again.
        let entry = std::fs::read_dir(&memory).unwrap().next().unwrap().unwrap().path();
        let whole = std::fs::read(&entry).unwrap();
        for bit in 0..8 * whole.len() {
            let mut flipped = whole.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            std::fs::write(&entry, flipped).unwrap();
            assert_eq!(ask(root, &memory, 'a'), ("a".repeat(64), true), "bit {bit}");
            assert_eq!(std::fs::read(&entry).unwrap(), whole);
        }
        // Of the same size, and with the date of before.
        let date = std::fs::metadata(&file).unwrap().modified().unwrap();
        std::fs::write(&file, "two").unwrap();
        std::fs::File::options().append(true).open(&file).unwrap().set_modified(date).unwrap();
        assert_eq!(ask(root, &memory, 'c'), ("c".repeat(64), true));
        std::fs::remove_file(&file).unwrap();
        let gone = remembered(root, &[], &memory, || Ok("d".repeat(64)));
        assert_eq!(gone.unwrap(), "d".repeat(64));
    }
}
