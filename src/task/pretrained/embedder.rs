//! A pre-trained encoder at work on clips.
//!
//! Images are made on the threads that make batches, a bounded number ahead of the network; clips of one number of frames
//! go through it together. The weights come onto the device with the first clip: where all features are kept already,
//! none are needed.

mod hear;

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use burn::tensor::Device;
use ndarray::Array2;
use serde_json::{Value, json};

use super::checkpoint_file::CheckpointFile;
use super::front_end::FrontEnd;
use super::pool;
use super::windows::{self, Read, SCORE_BYTES, Window};
use crate::config::{PretrainedConfig, TokenPool};
use crate::nn::kernels;
use crate::nn::precision::Precision;
use crate::nn::pretrained::{Encoder, Model, TokenGrid};
use crate::task::Error;
use crate::{audio, nn};

/// Frames of a patch at most; 16 in every public network.
const LARGEST_PATCH: usize = 1024;

/// A loaded checkpoint, its front end and what is kept of its tokens.
pub struct Embedder {
    config: PretrainedConfig,
    precision: Precision,
    device: Device,
    file: CheckpointFile,
    model: Model,
    front_end: FrontEnd,
    /// The layer whose tokens are pooled, from 0.
    layer: usize,
    /// On the device, once a clip was heard; one for all that [`Embedder::share`] it.
    encoder: Arc<Mutex<Option<Arc<Encoder>>>>,
}

/// What is wanted of a clip beside its embedding.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Wants {
    /// Every layer's tokens.
    pub layers: bool,
    /// Class probabilities.
    pub probabilities: bool,
}

/// What an encoder says of a clip.
#[derive(Debug, Clone, PartialEq)]
pub struct Embedded {
    /// The pooled feature.
    pub embedding: Vec<f32>,
    /// Tokens of each layer, `[tokens, width]`, class token first, where they are wanted.
    pub layers: Vec<Array2<f32>>,
    /// Per class, where they are wanted and the network tells classes apart.
    pub probabilities: Vec<f32>,
}

impl Embedder {
    /// Sample rate in Hz of what it hears.
    pub const RATE_HZ: u32 = 16_000;

    /// Load the checkpoint that `config` names, to be used on an inference device.
    ///
    /// # Errors
    /// When it is missing (the message says what to get and where to put it), damaged or unknown, or has no such layer
    /// or class token, or the device does not compute in `precision`.
    pub fn open(config: &PretrainedConfig, precision: Precision, device: &Device) -> Result<Self, Error> {
        Self::of_file(CheckpointFile::open(&config.checkpoint)?, config, precision, device)
    }

    /// As [`Embedder::open`], of a checkpoint that was found already.
    ///
    /// # Errors
    /// As there.
    pub fn of_file(
        file: CheckpointFile,
        config: &PretrainedConfig,
        precision: Precision,
        device: &Device,
    ) -> Result<Self, Error> {
        if !precision.serves(device) {
            return Err(Error::Precision(precision.name()));
        }
        let model = file.identify()?;
        let embedder = Self {
            config: config.clone(),
            precision,
            device: device.clone(),
            front_end: FrontEnd::new(&model.architecture, config).map_err(Error::Sound)?,
            file,
            layer: config.layer.unwrap_or(model.architecture.layers().saturating_sub(1)),
            model,
            encoder: Arc::default(),
        };
        embedder.check()?;
        Ok(embedder)
    }

    /// Whether the network has what the settings ask for.
    fn check(&self) -> Result<(), Error> {
        let (architecture, path) = (&self.model.architecture, self.path().display());
        let (name, layers) = (architecture.name(), architecture.layers());
        let (wanted, made) = (architecture.mels(), self.front_end.mels());
        if wanted != made {
            let why = format!("{path} wants {wanted} mel bands, and every published {name} has {made}");
            return Err(Error::Checkpoint(why));
        }
        if self.layer >= layers {
            return Err(Error::Setting(format!(
                "`task.pretrained.layer` is {}, and {path} has {layers} layers, counted from 0; take one below {layers}",
                self.layer
            )));
        }
        match self.shortest_grid() {
            Err(why) => Err(Error::Setting(format!(
                "`task.pretrained.frames` is {}, and {path} cannot hear that: {why}",
                self.config.frames
            ))),
            Ok(grid) if grid.prefix == 0 && self.config.pool == TokenPool::Cls => {
                Err(Error::Setting(format!(
                    "`task.pretrained.pool` is \"cls\", and {path} is of {name}, which has no class token; take \"mean\""
                )))
            }
            Ok(_) => Ok(()),
        }
    }

    /// What the checkpoint is.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// BLAKE3 of the checkpoint file, in hexadecimal.
    pub fn content_hash(&self) -> &str {
        self.file.content_hash()
    }

    /// The checkpoint file.
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// Values of an embedding.
    pub fn dim(&self) -> usize {
        let width = self.model.architecture.width();
        self.shortest_grid().map_or(width, |grid| pool::dim(self.config.pool, &grid, width))
    }

    /// Tokens of a clip of so many samples, the class token with them; none where it cannot be heard.
    pub fn tokens(&self, samples: usize) -> usize {
        let grid = self.model.architecture.grid(self.front_end.frames(samples));
        grid.map_or(0, |grid| grid.tokens())
    }

    /// Clips of one length that go through the network together.
    pub(super) fn batch(&self) -> usize {
        self.config.batch
    }

    /// All that decides an embedding but the clip's samples.
    pub(super) fn identity(&self) -> Value {
        json!({
            "checkpoint": self.content_hash(),
            // Some of its sizes may stand in a file beside the checkpoint.
            "architecture": self.model.architecture,
            "front_end": self.front_end.settings(),
            "rate_hz": Self::RATE_HZ,
            "layer": self.layer,
            "pool": self.config.pool,
            "precision": self.precision,
        })
    }

    /// Whether another has the same network in the same number format, whatever it takes of the tokens.
    pub fn same_network(&self, other: &Self) -> bool {
        let of = |one: &Self| (one.precision, one.device.clone());
        // Some sizes may stand in a file beside the checkpoint.
        self.content_hash() == other.content_hash()
            && self.model.architecture == other.model.architecture
            && of(self) == of(other)
    }

    /// The same with the weights of one with the [same network](Self::same_network).
    #[must_use]
    pub fn share(self, with: &Self) -> Self {
        debug_assert!(self.same_network(with), "weights of another network");
        Self { encoder: Arc::clone(&with.encoder), ..self }
    }

    /// Whether it is what [`Embedder::of_file`] would make.
    pub fn is_of(&self, file: &CheckpointFile, config: &PretrainedConfig, precision: Precision) -> bool {
        (&self.config, self.precision, self.content_hash()) == (config, precision, file.content_hash())
    }

    /// Whether the weights of two are one and the same.
    #[cfg(test)]
    pub(super) fn has_weights_of(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.encoder, &other.encoder)
    }

    /// Number format of the products.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// Give up the weights on the device; the next clip brings them back.
    pub fn release(&self) {
        *self.weights() = None;
    }

    /// Why a clip of so many samples cannot be heard, where it cannot.
    ///
    /// # Errors
    /// When it is too short for the network, or so long that its attention would not fit into a device's memory. The error
    /// does not know the file.
    pub fn check_length(&self, samples: usize) -> Result<(), audio::Error> {
        let frames = self.front_end.frames(samples);
        let grid = self.model.architecture.grid(frames).ok().filter(|_| frames > 0);
        if let Some(bytes) = grid.map(|grid| self.score_bytes(&grid)) {
            return match bytes <= SCORE_BYTES {
                true => Ok(()),
                false => Err(self.too_long(samples, bytes)),
            };
        }
        let needed = self.front_end.min_samples(self.least_frames());
        let least_ms = 1000.0 * needed as f64 / f64::from(Self::RATE_HZ);
        let reason = format!("{} hears no less than {least_ms} ms", self.model.architecture.name());
        Err(audio::Error::TooShort { samples, needed, reason })
    }

    pub(super) fn too_long(&self, samples: usize, bytes: usize) -> audio::Error {
        let gib = |bytes: usize| bytes as f64 / f64::from(1 << 30);
        let reason = format!(
            "one layer of {} needs {:.1} GiB on this device for its {:.1} s, where {:.0} are the most",
            self.model.architecture.name(),
            gib(bytes),
            samples as f64 / f64::from(Self::RATE_HZ),
            gib(SCORE_BYTES)
        );
        audio::Error::TooLong { samples, reason }
    }

    /// The share of a clip of so many samples that is cut off, in seconds; 0 of most.
    pub fn cut_s(&self, samples: usize) -> f64 {
        self.front_end.cut_samples(samples) as f64 / f64::from(Self::RATE_HZ)
    }

    /// Hear `clips` clips, which `read` gives by number as samples at [`Self::RATE_HZ`], on any thread; `each` gets every
    /// clip's result, in order. Clips of one length go through the network together.
    ///
    /// On the CPU a clip's result is the same whatever the others are.
    ///
    /// # Errors
    /// When a clip cannot be read, the device fails, or `each` does. That a clip is too short is better found with
    /// [`Embedder::check_length`], by somebody who knows its file.
    pub fn embed<E: From<Error>>(
        &self,
        clips: usize,
        read: &Read<'_>,
        wants: Wants,
        each: &mut dyn FnMut(usize, Embedded) -> Result<(), E>,
    ) -> Result<(), E> {
        if clips == 0 {
            return Ok(());
        }
        let encoder = self.encoder()?;
        windows::each(&self.front_end, clips, self.config.batch, read, &mut |window| {
            let Window { first, mut images } = window;
            let mut clip = first;
            for share in self.shares(&images, wants)? {
                let rest = images.split_off(share.min(images.len()));
                for embedded in self.hear(&encoder, std::mem::replace(&mut images, rest), wants)? {
                    each(clip, embedded)?;
                    clip += 1;
                }
            }
            Ok(())
        })
    }

    fn weights(&self) -> MutexGuard<'_, Option<Arc<Encoder>>> {
        self.encoder.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The weights on the device.
    fn encoder(&self) -> Result<Arc<Encoder>, Error> {
        let mut weights = self.weights();
        if let Some(encoder) = &*weights {
            return Ok(Arc::clone(encoder));
        }
        let loaded = Arc::new(self.file.load(&self.model, &self.device, self.precision)?);
        *weights = Some(Arc::clone(&loaded));
        Ok(loaded)
    }

    /// Bytes of one layer's scores of a clip where the attention makes them all; 0 where a kernel needs only a few.
    fn score_bytes(&self, grid: &TokenGrid) -> usize {
        match self.precision == Precision::F32 && kernels::serve(&self.device) {
            true => 0,
            false => windows::score_bytes(grid, self.model.architecture.heads()),
        }
    }

    /// The tokens of the shortest clip.
    fn shortest_grid(&self) -> Result<TokenGrid, nn::pretrained::Error> {
        let samples = self.front_end.min_samples(self.least_frames());
        self.model.architecture.grid(self.front_end.frames(samples))
    }

    /// The least number of frames that the network hears.
    fn least_frames(&self) -> usize {
        let hears = |frames: &usize| self.model.architecture.grid(*frames).is_ok();
        (1..=LARGEST_PATCH).find(hears).unwrap_or(LARGEST_PATCH)
    }
}
