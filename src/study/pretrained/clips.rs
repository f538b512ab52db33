//! Clips that an encoder can hear, found out before the first of them is heard.

use std::path::PathBuf;

use rayon::prelude::*;

use super::{Error, Listening};
use crate::audio::{self, ChannelChoice, audible_samples, read_at_rate};
use crate::config::OnBadClip;
use crate::task::BadClip;
use crate::task::pretrained::Embedder;
use crate::ui::Ui;

/// Clips checked between two looks at what was found: enough for every core.
const CHUNK: usize = 256;
/// Clips that a warning names.
const NAMED: usize = 5;

/// A clip that can be heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct GoodClip {
    /// Position in the list that was asked for.
    pub index: usize,
    /// As it was named.
    pub path: PathBuf,
    /// At [`Embedder::RATE_HZ`].
    pub samples: usize,
}

/// The clips of a list.
#[derive(Debug, Default)]
pub(super) struct Clips {
    pub good: Vec<GoodClip>,
    pub bad: Vec<BadClip>,
    channel: ChannelChoice,
}

impl Clips {
    /// Decode every clip once; memory holds one per thread.
    ///
    /// # Errors
    /// When a clip is bad and bad clips are errors, and when all are bad.
    pub fn check(
        paths: &[PathBuf],
        embedder: &Embedder,
        listening: &Listening,
        ui: &Ui,
    ) -> Result<Self, Error> {
        let mut clips = Self { channel: listening.channel, ..Self::default() };
        let bar = ui.bar("checking the clips", paths.len() as u64, "clips");
        for (number, chunk) in paths.chunks(CHUNK).enumerate() {
            let read = |path: &PathBuf| audible_samples(path, listening.channel, Embedder::RATE_HZ);
            let found: Vec<_> = chunk.par_iter().map(read).collect();
            for (n, (path, samples)) in chunk.iter().zip(found).enumerate() {
                let fits = |samples| match embedder.check_length(samples) {
                    Ok(()) => Ok(samples),
                    Err(error) => Err(error.in_file(path)),
                };
                let index = number * CHUNK + n;
                match samples.and_then(fits) {
                    Ok(samples) => {
                        clips.good.push(GoodClip { index, path: path.clone(), samples });
                    }
                    Err(error) if listening.on_bad_clip == OnBadClip::Skip => {
                        let (path, reason) = (path.display().to_string(), told(&error));
                        clips.bad.push(BadClip { index, path, reason });
                    }
                    Err(error) => return Err(Error::BadClip(told(&error))),
                }
            }
            bar.add(chunk.len() as u64);
        }
        bar.clear();
        match (clips.good.is_empty(), clips.bad.first()) {
            (true, Some(first)) => Err(Error::NoClip { clips: paths.len(), first: first.reason.clone() }),
            _ => Ok(clips),
        }
    }

    /// Name the first few that were left out.
    pub fn warn(&self, ui: &Ui) {
        for bad in self.bad.iter().take(NAMED) {
            ui.warn(&format!("left out: {}", bad.reason));
        }
        if let more @ 1.. = self.bad.len().saturating_sub(NAMED) {
            ui.warn(&format!("{more} more clips were left out; --format json names them all"));
        }
    }

    /// The samples of a good clip.
    ///
    /// # Errors
    /// When it was changed or removed meanwhile.
    pub fn read(&self, n: usize) -> Result<Vec<f32>, audio::Error> {
        let GoodClip { path, samples: expected, .. } = &self.good[n];
        let samples = read_at_rate(path, self.channel, Embedder::RATE_HZ)?;
        match samples.len() == *expected {
            true => Ok(samples),
            false => {
                let (found, expected) = (samples.len(), *expected);
                Err(audio::Error::Changed { path: path.clone(), found, expected })
            }
        }
    }

    /// Length of all good clips.
    pub fn duration_s(&self) -> f64 {
        let samples: usize = self.good.iter().map(|clip| clip.samples).sum();
        samples as f64 / f64::from(Embedder::RATE_HZ)
    }
}

/// An error in the words of a command that has options and no configuration.
fn told(error: &audio::Error) -> String {
    match error {
        audio::Error::Channel { path, choice } => {
            format!(
                "take channel `{choice}` of `{}`: the clip is mono; use --channel first or mean",
                path.display()
            )
        }
        audio::Error::InFile { cause, .. } if matches!(**cause, audio::Error::Resample { .. }) => {
            error.to_string().trim_end_matches(" and frontend.logmel.rate_hz").to_owned()
        }
        other => other.to_string(),
    }
}
