//! What is kept of clips, and whether it is there.

use std::path::Path;
use std::time::SystemTime;

use super::{Error, Recordings};
use crate::config::{Experiment, Hears};
use crate::task::{LogMels, LogMelsRequest, Waves, WavesRequest};

/// Folder of log-mels in the cache.
pub(super) const LOGMELS: &str = "logmels";
/// Folder of what is known of clips whose samples are read.
pub(super) const WAVES: &str = "waves";

/// Log-mels as an experiment hears them.
pub(super) fn logmels_request<'a>(
    cache: &'a Path,
    fingerprint: &'a str,
    experiment: &'a Experiment,
) -> LogMelsRequest<'a> {
    LogMelsRequest {
        cache,
        fingerprint,
        spec: &experiment.frontend.logmel,
        channel: experiment.data.channel,
        on_bad_clip: experiment.data.on_bad_clip,
        min_frames: experiment.task.min_frames(),
        progress: &|_, _| {},
    }
}

/// Samples as an experiment hears them, of clips with a fingerprint of any age.
pub(super) fn waves_request<'a>(
    cache: &'a Path,
    fingerprint: &'a str,
    experiment: &Experiment,
) -> WavesRequest<'a> {
    WavesRequest {
        cache,
        fingerprint,
        known_since: SystemTime::UNIX_EPOCH,
        rate_hz: experiment.frontend.logmel.rate_hz,
        channel: experiment.data.channel,
        on_bad_clip: experiment.data.on_bad_clip,
        progress: &|_, _| {},
    }
}

impl Recordings<'_> {
    /// Whether the sounds of the machine types that are learnt, and those of the one that is judged, are in the cache.
    ///
    /// # Errors
    /// When clips are not there or cannot be read.
    pub(super) fn is_cached(
        &self,
        machine: &str,
        learnt: &[String],
        experiment: &Experiment,
    ) -> Result<bool, Error> {
        let folder = self.cache.join(match experiment.task.hears() {
            Hears::LogMels => LOGMELS,
            Hears::Waves => WAVES,
        });
        // Where nothing was cached ever, the clips need not be read to know.
        if !folder.exists() {
            return Ok(false);
        }
        let is_there = |fingerprint: &str| match experiment.task.hears() {
            Hears::LogMels => LogMels::is_cached(&logmels_request(&folder, fingerprint, experiment)),
            Hears::Waves => Waves::is_cached(&waves_request(&folder, fingerprint, experiment)),
        };
        for machine in learnt {
            if !is_there(&self.training_fingerprint(machine)?) {
                return Ok(false);
            }
        }
        Ok(is_there(&self.evaluation_fingerprint(machine)?))
    }
}
