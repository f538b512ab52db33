//! What a run was made from, in 64 hexadecimal digits: the clips' relative paths, what the index says of them and
//! their bytes. A changed, added, removed, renamed or relabelled clip changes it; moving the data set does not.

use std::fs::File;
use std::path::Path;

use rayon::prelude::*;

use super::remembered::remembered;
use super::{Clip, Error, EvaluationClips, SoundClips, TrainingClips};

/// Separates these hashes from others; to be changed with the format of what is hashed.
const CONTEXT: &[u8] = b"asdbench data fingerprint 1";

/// A clip, and its label in a set that has labels.
pub(super) type Described<'a> = (&'a Clip, Option<bool>);

impl TrainingClips {
    /// BLAKE3 over the sorted (path, description, content hash) of all clips, in hexadecimal. Reads every byte of
    /// every clip, in parallel, with one small buffer per thread.
    ///
    /// Fails where a clip cannot be read.
    pub fn fingerprint(&self) -> Result<String, Error> {
        self.fingerprint_in(None)
    }

    /// As [`TrainingClips::fingerprint`]; with a folder to remember it in, clips that nobody touched since are not read.
    pub fn fingerprint_in(&self, memory: Option<&Path>) -> Result<String, Error> {
        fingerprint(&self.root, self.clips.iter().map(|clip| (clip, None)).collect(), memory)
    }
}

impl EvaluationClips {
    /// As [`TrainingClips::fingerprint`], with the labels: ground truth that arrives later changes it.
    pub fn fingerprint(&self) -> Result<String, Error> {
        self.fingerprint_in(None)
    }

    /// As [`TrainingClips::fingerprint_in`], with the labels.
    pub fn fingerprint_in(&self, memory: Option<&Path>) -> Result<String, Error> {
        let clips = self.clips.iter().map(|entry| (&entry.clip, entry.anomalous)).collect();
        fingerprint(&self.root, clips, memory)
    }
}

impl SoundClips {
    /// As [`TrainingClips::fingerprint`]: that of a machine's normal train clips is the same.
    pub fn fingerprint(&self) -> Result<String, Error> {
        self.fingerprint_in(None)
    }

    /// As [`TrainingClips::fingerprint_in`].
    pub fn fingerprint_in(&self, memory: Option<&Path>) -> Result<String, Error> {
        fingerprint(&self.root, self.clips.iter().map(|clip| (clip, None)).collect(), memory)
    }
}

fn fingerprint(root: &Path, mut clips: Vec<Described<'_>>, memory: Option<&Path>) -> Result<String, Error> {
    clips.sort_by(|a, b| a.0.path.cmp(&b.0.path));
    match memory {
        Some(memory) => remembered(root, &clips, memory, || hash(root, &clips)),
        None => hash(root, &clips),
    }
}

fn hash(root: &Path, clips: &[Described<'_>]) -> Result<String, Error> {
    let contents: Vec<blake3::Hash> =
        clips.par_iter().map(|(clip, _)| content_hash(&root.join(&clip.path))).collect::<Result<_, _>>()?;
    let mut hasher = blake3::Hasher::new();
    hasher.update(CONTEXT);
    for (clip, content) in clips.iter().zip(&contents) {
        describe(&mut hasher, clip);
        hasher.update(content.as_bytes());
    }
    Ok(hasher.finalize().to_hex().to_string())
}

/// What the index says of a clip.
pub(super) fn describe(hasher: &mut blake3::Hasher, (clip, anomalous): &Described<'_>) {
    field(hasher, clip.path.to_string_lossy().as_bytes());
    field(hasher, clip.machine.as_bytes());
    field(hasher, clip.section.as_bytes());
    field(hasher, clip.domain.map_or("", |domain| domain.token()).as_bytes());
    hasher.update(&(clip.attributes.len() as u64).to_le_bytes());
    for (key, value) in &clip.attributes {
        field(hasher, key.as_bytes());
        field(hasher, value.as_bytes());
    }
    hasher.update(&[anomalous.map_or(2, u8::from)]);
}

/// Length first, so that no two different lists of fields hash alike.
fn field(hasher: &mut blake3::Hasher, bytes: &[u8]) {
    hasher.update(&(bytes.len() as u64).to_le_bytes());
    hasher.update(bytes);
}

fn content_hash(path: &Path) -> Result<blake3::Hash, Error> {
    let read = || {
        let mut hasher = blake3::Hasher::new();
        hasher.update_reader(File::open(path)?)?;
        Ok(hasher.finalize())
    };
    read().map_err(|source| Error::Io { action: "read clip", path: path.to_owned(), source })
}
