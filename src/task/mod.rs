//! The proxy tasks: what a batch is, the loss, the proxy metric, the feature. One file each behind [`ProxyTask`].

pub mod autoencoder;
mod logmels;
mod scaler;

pub use logmels::{BadClip, LogMels, LogMelsRequest};
pub use scaler::Scaler;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use ndarray::Array2;
use serde::{Deserialize, Serialize};

use crate::{audio, dataset, files};

/// Why a task cannot have its data.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Reading or writing the cache failed.
    #[error(transparent)]
    File(#[from] files::Error),
    /// A clip is bad and `data.on_bad_clip = "error"`.
    #[error("{0}; or set data.on_bad_clip = \"skip\" to leave bad clips out")]
    Clip(#[source] audio::Error),
    /// The clips cannot be had.
    #[error(transparent)]
    Data(#[from] dataset::Error),
    /// All clips are bad.
    #[error("all {0} clips of machine `{1}` are bad; the first: {2}")]
    NoClip(usize, String, String),
    /// Clips were changed by somebody while they were read.
    #[error(
        "the clips of machine `{0}` changed while they were read; run the command again when they are at rest"
    )]
    Changed(String),
    /// The device failed.
    #[error("the device failed: {0}")]
    Device(String),
    /// Too little data for one training step.
    #[error("machine `{machine}` gives {found} training examples and a batch needs at least 2; add clips")]
    TooFew {
        /// Machine type.
        machine: String,
        /// Examples that there are.
        found: usize,
    },
}

/// A proxy metric's value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Proxy {
    /// The metric's name.
    pub name: String,
    /// `None` where it cannot be had.
    pub value: Option<f64>,
    /// Whether a larger value is a better proxy.
    pub higher_is_better: bool,
    /// Why there is no value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// What a trained network says of some clips.
#[derive(Debug, Clone)]
pub struct Extracted {
    /// One feature per clip, `[clips, dim]`.
    pub features: Array2<f32>,
    /// What the proxy metric takes from each clip: its weight and its value, e.g. windows and their mean error.
    pub proxy_terms: Vec<(f64, f64)>,
}

/// One family's training and features. The loop in `train` knows no more of a family than this.
pub trait ProxyTask: Sync {
    /// The network.
    type Net: Module;
    /// The order of one epoch's examples.
    type Order: Send + Sync;
    /// One batch on the host.
    type Batch: Send;

    /// A network with fresh weights.
    fn init(&self, seed: u64, device: &Device) -> Self::Net;

    /// Batches in an epoch.
    fn batches(&self) -> usize;

    /// The examples' order in one epoch, from the stream (seed, "order", epoch).
    fn order(&self, seed: u64, epoch: usize) -> Self::Order;

    /// Batch `index` of the epoch. A pure function of its arguments: any thread may make it, and a resumed run makes
    /// the same one.
    ///
    /// # Errors
    /// When the data cannot be read.
    fn batch(&self, order: &Self::Order, index: usize) -> Result<Self::Batch, Error>;

    /// Examples in a batch.
    fn examples(&self, batch: &Self::Batch) -> usize;

    /// The loss of a batch, a mean over its examples, `[1]`.
    fn loss(&self, net: &Self::Net, batch: Self::Batch, device: &Device) -> Tensor<1>;

    /// Features of clips, on an inference device; `progress` hears of clips done, from any thread.
    ///
    /// # Errors
    /// When the log-mels cannot be read or the device fails.
    fn extract(
        &self,
        net: &Self::Net,
        clips: &LogMels,
        device: &Device,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<Extracted, Error>;

    /// The proxy metric from the terms of held-out normal clips.
    fn proxy(&self, terms: &[(f64, f64)]) -> Proxy;
}
