//! Features of a set of clips, most of them perhaps from the cache.

use std::ops::Range;
use std::path::PathBuf;

use ndarray::{Array2, ArrayView1};

use super::cache::FeatureCache;
use super::embedder::{Embedder, Wants};
use crate::task::{Error, Waves, loaders};

/// Clips that are looked up at once, at least: what is not kept waits as samples, 40 MB of clips of 10 s.
const AT_ONCE: usize = 64;

/// What is found of a clip.
enum Found {
    /// Its feature.
    Kept(Vec<f32>),
    /// The hash of its content, and its samples.
    New(blake3::Hash, Vec<f32>),
}

/// Features of all clips, `[clips, dim]`; those that are new go into the cache as they are made. `progress` hears of clips
/// done.
///
/// # Errors
/// When a clip was changed or removed, its feature is not finite, the device fails, or the cache cannot be written.
pub fn features(
    embedder: &Embedder,
    clips: &Waves,
    cache: &FeatureCache,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Array2<f32>, Error> {
    let count = clips.clips().len();
    let mut features = Array2::zeros((count, embedder.dim()));
    let at_once = embedder.batch().max(AT_ONCE);
    for first in (0..count).step_by(at_once) {
        let mut new = Vec::new();
        for (clip, found) in (first..).zip(look_up(clips, cache, first..count.min(first + at_once))?) {
            match found {
                Found::Kept(feature) => {
                    features.row_mut(clip).assign(&ArrayView1::from(&feature));
                    progress(1);
                }
                Found::New(hash, samples) => new.push((clip, hash, samples)),
            }
        }
        let samples = |n: usize| Ok(new[n].2.clone());
        embedder.embed(new.len(), &samples, Wants::default(), &mut |n, embedded| {
            let (clip, hash, _) = &new[n];
            check(&embedded.embedding, embedder.precision().name(), || clips.path(*clip))?;
            cache.put(hash, &embedded.embedding)?;
            features.row_mut(*clip).assign(&ArrayView1::from(&embedded.embedding));
            progress(1);
            Ok::<_, Error>(())
        })?;
    }
    Ok(features)
}

/// Whether a feature is all numbers: what is not must neither be kept nor scored.
fn check(feature: &[f32], precision: &'static str, path: impl FnOnce() -> PathBuf) -> Result<(), Error> {
    match feature.iter().all(|value| value.is_finite()) {
        true => Ok(()),
        false => Err(Error::NotFinite { path: path(), precision }),
    }
}

/// Each clip's file is read once: for its hash, and for its samples where there is no feature.
fn look_up(clips: &Waves, cache: &FeatureCache, some: Range<usize>) -> Result<Vec<Found>, Error> {
    loaders::each(some, |_: &mut (), clip| {
        let content = clips.read_file(clip).map_err(Error::Lost)?;
        let hash = blake3::hash(&content);
        Ok(match cache.get(&hash) {
            Some(feature) => Found::Kept(feature),
            None => Found::New(hash, clips.decode(clip, &content).map_err(Error::Lost)?),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_feature_that_is_not_finite_is_refused_with_its_clip_and_the_remedy() {
        let path = || PathBuf::from("pump/a.wav");
        assert!(check(&[0.0, f32::MAX, -1.0], "bf16", path).is_ok());
        for broken in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let message = check(&[0.0, broken], "bf16", path).unwrap_err().to_string();
            for word in ["`pump/a.wav`", "train.precision = \"f32\" (now \"bf16\")", "damaged"] {
                assert!(message.contains(word), "{message}");
            }
        }
    }
}
