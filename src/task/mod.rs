//! The proxy tasks: what a batch is, the loss, the proxy metric, the feature. One file each behind [`FeatureTask`], and
//! behind [`ProxyTask`] where something is trained.

pub mod autoencoder;
pub mod classification;
pub mod contrastive;
mod images;
mod interference;
mod linear_phase;
mod loaders;
mod logmels;
mod order;
pub mod pretrained;
mod scaler;
pub mod separation;
mod sounds;
mod source;
mod training_set;
mod waves;

pub use interference::Interference;
pub use logmels::{LogMels, LogMelsRequest};
pub use order::EpochOrder;
pub use scaler::Scaler;
pub use sounds::{GoodClip, Sounds};
pub use source::{BadClip, Source};
pub use training_set::TrainingSet;
pub(crate) use waves::joint_fingerprint;
pub use waves::{WaveClip, Waves, WavesRequest};

use std::path::Path;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use ndarray::Array2;
use serde::{Deserialize, Serialize};

use crate::dataset::Clip;
use crate::nn::below::Below;
use crate::nn::init::Init;
use crate::{audio, dataset, files};

/// Why a task cannot have its data.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Reading or writing the cache failed.
    #[error(transparent)]
    File(#[from] files::Error),
    /// The labels allow no training.
    #[error("{0}")]
    Labels(String),
    /// A clip is bad and `data.on_bad_clip = "error"`.
    #[error("{0}; or set data.on_bad_clip = \"skip\" to leave bad clips out")]
    Clip(#[source] audio::Error),
    /// A clip that could be read when it was indexed.
    #[error("{0}; it could be read before: did the data folder change?")]
    Lost(#[source] audio::Error),
    /// A clip that cannot be heard; it was named by a user.
    #[error(transparent)]
    Sound(audio::Error),
    /// A checkpoint that is not there or cannot be used.
    #[error("{0}")]
    Checkpoint(String),
    /// Settings that ask for what a checkpoint has not.
    #[error("{0}")]
    Setting(String),
    /// A network's features of a clip are no numbers.
    #[error(
        "the features of `{}` are not finite numbers; set train.precision = \"f32\" (now \"{precision}\"), which has the \
         widest range, or fetch the checkpoint again: its weights may be damaged",
        path.display()
    )]
    NotFinite {
        /// The clip.
        path: std::path::PathBuf,
        /// The number format.
        precision: &'static str,
    },
    /// The device does not compute in the number format that was asked for.
    #[error("the device does not compute in {0}; set train.precision = \"f32\" or choose another --device")]
    Precision(&'static str),
    /// Settings that allow no views.
    #[error("failed to plan the views: {0}")]
    Views(#[source] audio::Error),
    /// The clips cannot be had.
    #[error(transparent)]
    Data(#[from] dataset::Error),
    /// All clips are bad.
    #[error("all {0} clips of {1} are bad; the first: {2}")]
    NoClip(usize, String, String),
    /// Clips were changed by somebody while they were read.
    #[error("the clips of {0} changed while they were read; run the command again when they are at rest")]
    Changed(String),
    /// The device failed.
    #[error("the device failed: {0}; free memory on it, or use --device cpu")]
    Device(String),
    /// Parts of the program that do not fit each other.
    #[error("{0}; this is a fault of the program, please report it")]
    Fault(&'static str),
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
    /// What a reader must know of the value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Ends of the value's 95 % interval, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<[f64; 2]>,
}

impl Proxy {
    /// A value, or why there is none.
    pub fn new(name: &str, value: Result<f64, String>, higher_is_better: bool) -> Self {
        let (value, why) = match value {
            Ok(value) => (Some(value), None),
            Err(why) => (None, Some(why)),
        };
        Self { name: name.to_owned(), value, higher_is_better, why, note: None, interval: None }
    }

    /// With a remark.
    pub fn noted(self, note: Option<String>) -> Self {
        Self { note, ..self }
    }

    /// With the ends of its 95 % interval.
    pub fn with_interval(self, interval: Option<[f64; 2]>) -> Self {
        Self { interval, ..self }
    }
}

/// A table that stands beside `eval.json`: what a proxy metric is made of, row by row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskTable {
    /// The file's name, one of [`FeatureTask::tables`].
    pub name: &'static str,
    /// Its content.
    pub csv: Vec<u8>,
}

/// How well a trained network solves its task.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    /// The metrics, the one that the study correlates first; at least that one.
    pub proxies: Vec<Proxy>,
    /// What they are made of, where that is worth a file.
    pub tables: Vec<TaskTable>,
}

impl From<Vec<Proxy>> for Judged {
    fn from(proxies: Vec<Proxy>) -> Self {
        Self { proxies, tables: Vec::new() }
    }
}

/// What a trained network says of some clips.
#[derive(Debug, Clone)]
pub struct Extracted<T> {
    /// One feature per clip, `[clips, dim]`.
    pub features: Array2<f32>,
    /// What the proxy metric takes from each clip.
    pub terms: Vec<T>,
}

/// Normal clips that no network was trained on. Which of the test clips are normal is all that was taken from their
/// labels.
pub struct HeldOut<'a, T> {
    /// Folder that the clips' paths are relative to.
    pub root: &'a Path,
    /// The clips.
    pub clips: Vec<&'a Clip>,
    /// Their features, `[clips, dim]`.
    pub features: Array2<f32>,
    /// What the network said of them beside the feature.
    pub terms: Vec<T>,
    /// All clips that they are among.
    pub sounds: &'a Sounds,
    /// Position of each clip in `sounds`.
    pub positions: Vec<usize>,
    /// Hears of (examples done, examples in all) where judging takes long.
    pub progress: &'a (dyn Fn(u64, u64) + Sync),
}

/// A batch's loss, and what else is worth a line in the metrics.
#[derive(Debug)]
pub struct Step {
    /// Mean over the batch's examples, `[1]`.
    pub loss: Tensor<1>,
    /// Means over the batch's examples, one for each of [`ProxyTask::signals`]; no gradient.
    pub signals: Option<Tensor<1>>,
    /// What goes on where the loss's graph ends, in a network that is trained in segments.
    pub below: Option<Below>,
}

impl From<Tensor<1>> for Step {
    fn from(loss: Tensor<1>) -> Self {
        Self { loss, signals: None, below: None }
    }
}

impl Step {
    /// With the rest of the backward pass.
    #[must_use]
    pub fn through_segments(self, below: Below) -> Self {
        Self { below: Some(below), ..self }
    }

    /// With values for the metrics.
    #[must_use]
    pub fn with_signals(self, signals: Tensor<1>) -> Self {
        Self { signals: Some(signals), ..self }
    }
}

/// One family's features and proxy metrics: all that judging a network needs.
pub trait FeatureTask {
    /// The network.
    type Net;
    /// What extraction keeps of a clip beside its feature, for the proxy metric.
    type Term: Clone + Send;

    /// What a user should know of the data before the training.
    fn remarks(&self) -> &[String] {
        &[]
    }

    /// Features of clips of the task's own machine type, on an inference device; `progress` hears of clips done, from
    /// any thread.
    ///
    /// # Errors
    /// When the clips cannot be read or the device fails.
    fn extract(
        &self,
        net: &Self::Net,
        clips: &Sounds,
        device: &Device,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<Extracted<Self::Term>, Error>;

    /// Names of all files that [`Judged::tables`] can have.
    fn tables(&self) -> &'static [&'static str] {
        &[]
    }

    /// The proxy metrics, the one that the study correlates first. `trained` is what [`FeatureTask::extract`] said of the
    /// training clips.
    ///
    /// # Errors
    /// When clips cannot be read or the device fails.
    fn proxies(
        &self,
        net: &Self::Net,
        held_out: &HeldOut<'_, Self::Term>,
        trained: &Extracted<Self::Term>,
        device: &Device,
    ) -> Result<Judged, Error>;
}

/// One family's training. The loop in `train` knows no more of a family than this.
pub trait ProxyTask: FeatureTask<Net: Module> + Sync {
    /// The order of one epoch's examples.
    type Order: Send + Sync;
    /// One batch on the host.
    type Batch: Send;

    /// A network with fresh weights.
    fn net(&self, init: Init<'_>) -> Self::Net;

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

    /// The clips that batch `index` of the epoch is made of, each once, relative to the data set's root: an error in the
    /// batch names them.
    fn clips_of(&self, order: &Self::Order, index: usize) -> Vec<String>;

    /// Examples in a batch.
    fn examples(&self, batch: &Self::Batch) -> usize;

    /// The loss of a batch.
    fn step(&self, net: &Self::Net, batch: Self::Batch, device: &Device) -> Step;

    /// Names of what [`Step::signals`] holds.
    fn signals(&self) -> &'static [&'static str] {
        &[]
    }

    /// What an epoch's mean signals give reason to warn of; `epoch` counts from 1.
    fn warning(&self, _epoch: usize, _signals: &[f64]) -> Option<String> {
        None
    }
}

/// The host's copy of a tensor of any shape.
pub(crate) fn host<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>, Error> {
    let data = tensor.try_into_data().map_err(|e| Error::Device(e.to_string()))?;
    data.convert::<f32>().try_into_vec::<f32>().map_err(|e| Error::Device(format!("{e:?}")))
}
