//! What a run was made from, in 64 hexadecimal digits: the clips' relative paths, what the index says of them and
//! their bytes. A changed, added, removed, renamed or relabelled clip changes it; moving the data set does not.

use std::fs::File;
use std::path::Path;

use rayon::prelude::*;

use super::{Clip, Error, EvaluationClips, SoundClips, TrainingClips};

/// Separates these hashes from others; to be changed with the format of what is hashed.
const CONTEXT: &[u8] = b"asdbench data fingerprint 1";

impl TrainingClips {
    /// BLAKE3 over the sorted (path, description, content hash) of all clips, in hexadecimal. Reads every byte of
    /// every clip, in parallel, with one small buffer per thread.
    ///
    /// Fails where a clip cannot be read.
    pub fn fingerprint(&self) -> Result<String, Error> {
        fingerprint(&self.root, self.clips.iter().map(|clip| (clip, None)).collect())
    }
}

impl EvaluationClips {
    /// As [`TrainingClips::fingerprint`], with the labels: ground truth that arrives later changes it.
    pub fn fingerprint(&self) -> Result<String, Error> {
        fingerprint(&self.root, self.clips.iter().map(|entry| (&entry.clip, entry.anomalous)).collect())
    }
}

impl SoundClips {
    /// As [`TrainingClips::fingerprint`]: that of a machine's normal train clips is the same.
    pub fn fingerprint(&self) -> Result<String, Error> {
        fingerprint(&self.root, self.clips.iter().map(|clip| (clip, None)).collect())
    }
}

fn fingerprint(root: &Path, mut clips: Vec<(&Clip, Option<bool>)>) -> Result<String, Error> {
    clips.sort_by(|a, b| a.0.path.cmp(&b.0.path));
    let contents: Vec<blake3::Hash> =
        clips.par_iter().map(|(clip, _)| content_hash(&root.join(&clip.path))).collect::<Result<_, _>>()?;
    let mut hasher = blake3::Hasher::new();
    hasher.update(CONTEXT);
    for ((clip, anomalous), content) in clips.iter().zip(&contents) {
        field(&mut hasher, clip.path.to_string_lossy().as_bytes());
        field(&mut hasher, clip.machine.as_bytes());
        field(&mut hasher, clip.section.as_bytes());
        field(&mut hasher, clip.domain.map_or("", |domain| domain.token()).as_bytes());
        hasher.update(&(clip.attributes.len() as u64).to_le_bytes());
        for (key, value) in &clip.attributes {
            field(&mut hasher, key.as_bytes());
            field(&mut hasher, value.as_bytes());
        }
        hasher.update(&[anomalous.map_or(2, u8::from)]);
        hasher.update(content.as_bytes());
    }
    Ok(hasher.finalize().to_hex().to_string())
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
