//! From a clip to the image that an architecture sees.

use serde_json::{Value, json};

use crate::audio::{self, CedBank, Error, KALDI_BANDS, KaldiBank, KaldiScratch, KaldiSpec};
use crate::config::PretrainedConfig;
use crate::nn::pretrained::Architecture;

/// What makes the images of an architecture; shared by all threads, each with its own [`Scratch`].
pub enum FrontEnd {
    /// As many frames as the clip has.
    Beats(KaldiBank),
    /// A fixed number of frames: shorter clips are filled up with rows of 0 before the values are normalised.
    Eat {
        /// The filter bank.
        bank: KaldiBank,
        /// Of every image.
        frames: usize,
    },
    /// As many frames as the clip has, in dB; the network has the norm itself.
    Ced(CedBank),
}

/// One thread's work space.
#[derive(Debug, Default)]
pub struct Scratch {
    kaldi: KaldiScratch,
    ced: audio::Scratch,
}

/// A clip as a network sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct Image {
    /// Rows.
    pub frames: usize,
    /// `[frames, mels]`.
    pub values: Vec<f32>,
}

impl FrontEnd {
    /// That of an architecture.
    ///
    /// # Errors
    /// None in practice: all settings are the architecture's.
    pub fn new(architecture: &Architecture, config: &PretrainedConfig) -> Result<Self, Error> {
        Ok(match architecture {
            Architecture::Beats(_) => Self::Beats(KaldiBank::new(KaldiSpec::beats())),
            Architecture::Eat(_) => {
                Self::Eat { bank: KaldiBank::new(KaldiSpec::eat()), frames: config.frames }
            }
            Architecture::Ced(_) => Self::Ced(CedBank::new()?),
        })
    }

    /// All that decides an image but the clip.
    pub fn settings(&self) -> Value {
        match self {
            Self::Beats(bank) => json!({ "bank": format!("{:?}", bank.spec()) }),
            Self::Eat { bank, frames } => json!({ "bank": format!("{:?}", bank.spec()), "frames": frames }),
            Self::Ced(bank) => json!({ "bank": bank.spec() }),
        }
    }

    /// Frames of the image of a clip of so many samples; none of one that is shorter than a frame.
    pub fn frames(&self, samples: usize) -> usize {
        match self {
            Self::Beats(bank) => bank.frames(samples),
            Self::Eat { bank, .. } if bank.frames(samples) == 0 => 0,
            Self::Eat { frames, .. } => *frames,
            Self::Ced(bank) => bank.frames(samples),
        }
    }

    /// The least number of samples whose image has `frames` frames.
    pub fn min_samples(&self, frames: usize) -> usize {
        match self {
            Self::Beats(bank) => bank.min_samples(frames),
            Self::Eat { bank, .. } => bank.min_samples(1),
            Self::Ced(bank) => bank.min_samples(frames),
        }
    }

    /// Samples at a clip's end that its image leaves out, where that is more than part of a frame.
    pub fn cut_samples(&self, samples: usize) -> usize {
        match self {
            Self::Beats(_) | Self::Ced(_) => 0,
            Self::Eat { bank, frames } if bank.frames(samples) > *frames => {
                samples - bank.min_samples(*frames)
            }
            Self::Eat { .. } => 0,
        }
    }

    /// The image of a clip.
    ///
    /// # Errors
    /// [`Error::TooShort`] of a clip without a frame, [`Error::PowerNotFinite`] of one with impossible samples.
    pub fn image(&self, samples: &[f32], scratch: &mut Scratch) -> Result<Image, Error> {
        // A clip without a frame is refused with its length, not with an empty image.
        let frames = self.frames(samples.len()).max(1);
        let mut values = vec![0.0; frames * self.mels()];
        match self {
            Self::Beats(bank) => {
                bank.compute_into(samples, &mut scratch.kaldi, &mut values)?;
                bank.normalise(&mut values);
            }
            Self::Eat { bank, .. } => {
                bank.fit_into(samples, &mut scratch.kaldi, &mut values)?;
                bank.normalise(&mut values);
            }
            Self::Ced(bank) => bank.compute_into(samples, &mut scratch.ced, &mut values)?,
        }
        Ok(Image { frames, values })
    }

    /// Mel bands of an image.
    pub fn mels(&self) -> usize {
        match self {
            Self::Beats(_) | Self::Eat { .. } => KALDI_BANDS,
            Self::Ced(bank) => bank.spec().n_mels,
        }
    }
}
