//! One machine type's clips to learn from, with what is heard of them.
//!
//! The second guard against test data in training, behind [`TrainingClips`]: what a network hears while it learns, and the
//! statistics that it is scaled by, are those of these clips and of no others.

use std::path::Path;
use std::sync::Arc;

use super::{Error, GoodClip, Scaler, Sounds};
use crate::audio::ChannelChoice;
use crate::config::Scale;
use crate::dataset::{Clip, TrainingClips};

/// A machine type's training clips, their sounds and their scaler, which nobody can change for another's.
pub struct TrainingSet {
    clips: TrainingClips,
    sounds: Arc<Sounds>,
    scaler: Scaler,
    channel: ChannelChoice,
}

impl TrainingSet {
    /// Of clips and their log-mels or samples; log-mels are scaled by their own statistics.
    ///
    /// # Errors
    /// [`Error::Fault`] where the sounds are of other clips.
    pub fn new(
        clips: TrainingClips,
        sounds: Arc<Sounds>,
        scale: Scale,
        channel: ChannelChoice,
    ) -> Result<Self, Error> {
        check(&clips, &sounds)?;
        let scaler = Scaler::of(&sounds, scale);
        Ok(Self { clips, sounds, scaler, channel })
    }

    /// The same set with fewer of its sounds.
    ///
    /// # Errors
    /// As [`TrainingSet::new`].
    pub fn with_sounds(self, sounds: Arc<Sounds>) -> Result<Self, Error> {
        check(&self.clips, &sounds)?;
        Ok(Self { sounds, ..self })
    }

    /// The clips, of which [`Sounds::good`] names the good ones by position.
    pub fn clips(&self) -> &TrainingClips {
        &self.clips
    }

    /// The clips' log-mels or samples.
    pub fn sounds(&self) -> &Arc<Sounds> {
        &self.sounds
    }

    /// How a network sees log-mels: from this machine's own statistics.
    pub fn scaler(&self) -> Scaler {
        self.scaler
    }

    /// The channel of clips with several.
    pub fn channel(&self) -> ChannelChoice {
        self.channel
    }

    /// The good clips, in the order of their sounds.
    pub fn good_clips(&self) -> impl Iterator<Item = &Clip> {
        self.sounds.good().map(|good| &self.clips.clips()[good.index])
    }
}

/// Every sound is one of the clips'.
fn check(clips: &TrainingClips, sounds: &Sounds) -> Result<(), Error> {
    let own = |good: GoodClip<'_>| {
        clips.clips().get(good.index).is_some_and(|clip| clip.path == Path::new(good.path))
    };
    match sounds.good().all(own) {
        true => Ok(()),
        false => Err(Error::Fault("a training was given the sounds of other clips than its own")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::{SampleFormat, write_wav};
    use crate::config::{DataConfig, OnBadClip};
    use crate::dataset;
    use crate::task::{Source, Waves, WavesRequest};

    #[test]
    fn a_set_takes_no_sound_of_a_test_clip() {
        let place = tempfile::tempdir().unwrap();
        let root = place.path().join("data");
        for split in ["train", "test"] {
            std::fs::create_dir_all(root.join("fan").join(split)).unwrap();
            for n in 0..3 {
                let name = format!("section_00_source_{split}_normal_000{n}.wav");
                let samples = [0.1, -0.2, 0.01 * n as f32];
                write_wav(&root.join("fan").join(split).join(name), &samples, 16_000, SampleFormat::Float32)
                    .unwrap();
            }
        }
        let config = DataConfig { root: Some(root), ..DataConfig::default() };
        let index = dataset::index(&config).unwrap();
        let (training, evaluation) = (index.training("fan").unwrap(), index.evaluation("fan").unwrap());
        let open = |source: &Source<'_>, fingerprint: &str| {
            let request = WavesRequest {
                cache: &place.path().join("cache"),
                fingerprint,
                known_since: std::time::SystemTime::now(),
                rate_hz: 16_000,
                channel: ChannelChoice::First,
                on_bad_clip: OnBadClip::Error,
                progress: &|_, _| {},
            };
            Arc::new(Sounds::Waves(Waves::open(source, &request).unwrap()))
        };
        let own = open(&Source::from(&training), &training.fingerprint().unwrap());
        let tests = open(&Source::from(&evaluation), &evaluation.fingerprint().unwrap());
        let set = |sounds| TrainingSet::new(training.clone(), sounds, Scale::Standard, ChannelChoice::First);

        assert!(matches!(set(Arc::clone(&tests)), Err(Error::Fault(_))));
        let set = set(Arc::clone(&own)).unwrap();
        assert_eq!(set.good_clips().count(), 3);
        // Neither all of them nor some that were put behind its own.
        let joined = Arc::new(Sounds::Waves(own.waves().unwrap().joined([tests.waves().unwrap()])));
        assert!(matches!(set.with_sounds(joined), Err(Error::Fault(_))));
    }
}
