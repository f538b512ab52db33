//! What a checkpoint is, and its network.

use std::collections::BTreeMap;

use burn::tensor::Device;
use serde::Serialize;

use super::forms::{self, Form};
use super::{Architecture, Encoder, Error, own};
use crate::nn::import::{Checkpoint, TensorRef, Tensors};
use crate::nn::init::Init;
use crate::nn::precision::Precision;
use crate::nn::weights;

/// Problems that an error names one by one.
const NAMED: usize = 5;

/// A tensor that a network takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Used {
    /// Its name in the network and in files that this program writes.
    pub name: String,
    /// Its name in the checkpoint.
    pub from: String,
    /// Its sizes.
    pub shape: Vec<usize>,
    /// Its elements' type in the file, such as `f32`.
    pub dtype: &'static str,
}

/// Tensors of a checkpoint that the network does not take.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LeftOver {
    /// The tensor's name in the file, or that of a group, such as `_ema.*`.
    pub name: String,
    /// How many tensors that is.
    pub tensors: usize,
    /// Why it is not needed.
    pub why: String,
}

/// What a checkpoint is.
#[derive(Debug, Clone)]
pub struct Model {
    /// Kind and sizes.
    pub architecture: Architecture,
    /// Names of the classes (AudioSet's mids) of a fine-tuned network, where the file has them.
    pub labels: Option<Vec<String>>,
    /// The seed of random weights: the network has learnt nothing.
    pub random: Option<u64>,
    /// Its own configuration, as the file has it.
    pub config: serde_json::Value,
    /// What a user should know of the file.
    pub remarks: Vec<String>,
    /// The tensors that the network takes.
    pub used: Vec<Used>,
    /// The others.
    pub left_over: Vec<LeftOver>,
    /// Keys of the dict that the tensors are in.
    pub(super) at: Vec<String>,
}

/// What a checkpoint is. `beside` is the `config.json` that lies beside a file of Hugging Face's.
///
/// # Errors
/// When it is none that is known, its configuration makes no network, or its tensors are not that network's: the error names
/// those that are missing or of another shape.
pub fn identify(checkpoint: &Checkpoint, beside: Option<&serde_json::Value>) -> Result<Model, Error> {
    let form = match own::read(checkpoint)? {
        Some(form) => form,
        None => forms::recognise(checkpoint, beside)?,
    };
    let Form { architecture, labels, random, config, mut remarks, at, names, left_over } = form;
    let tensors = tensors_at(checkpoint, &at)?;
    architecture.check_against(checkpoint, &tensors)?;
    let (mut used, mut problems) = (Vec::new(), Vec::new());
    let wanted = architecture.shapes();
    let count = wanted.len();
    for (name, shape) in wanted {
        let from = names.get(&name);
        match from.and_then(|from| Some((from, tensors.get(from)?))) {
            None => problems.push(format!("`{}` is missing", from.unwrap_or(&name))),
            Some((from, tensor)) if tensor.shape() != shape => {
                problems.push(format!("`{from}` has shape {:?}, expected {shape:?}", tensor.shape()));
            }
            Some((from, tensor)) => {
                used.push(Used { name, from: from.clone(), shape, dtype: tensor.dtype().name() });
            }
        }
    }
    if !problems.is_empty() {
        let more = problems.len().saturating_sub(NAMED);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        problems.truncate(NAMED);
        return Err(Error::Unfit(format!(
            "its tensors are not those of the {} that it says it is: {}{more} (of {count}); fetch it again from its origin",
            architecture.name(),
            problems.join(", "),
        )));
    }
    if let (Some(labels), Some(classes)) = (&labels, architecture.classes())
        && labels.len() != classes
    {
        return Err(Error::Unfit(format!("it names {} classes and tells {classes} apart", labels.len())));
    }
    if let Some(seed) = random {
        remarks.push(format!("its weights are random (seed {seed}): it has learnt nothing"));
    }
    Ok(Model { architecture, labels, random, config, remarks, used, left_over, at })
}

/// The tensors at a path of keys.
fn tensors_at<'a>(checkpoint: &'a Checkpoint, at: &[String]) -> Result<Tensors<'a>, Error> {
    let path: Vec<&str> = at.iter().map(String::as_str).collect();
    Ok(checkpoint.tensors(&path)?)
}

impl Model {
    /// Parameters that the network has.
    pub fn parameters(&self) -> usize {
        self.used.iter().map(|tensor| tensor.shape.iter().product::<usize>()).sum()
    }

    /// Whether it tells classes apart.
    pub fn fine_tuned(&self) -> bool {
        self.architecture.classes().is_some()
    }

    /// The network with the checkpoint's weights.
    ///
    /// # Errors
    /// When a tensor cannot be read.
    pub fn load(
        &self,
        checkpoint: &Checkpoint,
        device: &Device,
        precision: Precision,
    ) -> Result<Encoder, Error> {
        let tensors: BTreeMap<String, TensorRef<'_>> = self.tensors(checkpoint)?.into_iter().collect();
        let blank = self.architecture.init(Init::blank(device).with_precision(precision));
        Ok(match blank {
            Encoder::Beats(net) => Encoder::Beats(weights::from_tensors(net, tensors)?),
            Encoder::Eat(net) => Encoder::Eat(weights::from_tensors(net, tensors)?),
            Encoder::Ced(net) => Encoder::Ced(weights::from_tensors(net, tensors)?),
        })
    }

    /// The tensors that the network takes, by the names in files that this program writes.
    ///
    /// # Errors
    /// When one is missing.
    pub fn tensors<'a>(&self, checkpoint: &'a Checkpoint) -> Result<Vec<(String, TensorRef<'a>)>, Error> {
        let tensors = tensors_at(checkpoint, &self.at)?;
        self.used.iter().map(|used| Ok((used.name.clone(), tensors.require(&used.from)?))).collect()
    }

    /// The text under the key `asdbench` in the metadata of a file that this program writes; `origin` says what it was
    /// made from.
    pub fn metadata(&self, origin: &str) -> String {
        own::metadata(self, origin)
    }
}

impl Architecture {
    /// Whether a file has as many numbers as a network of these sizes needs at least: memory is taken for no other.
    ///
    /// # Errors
    /// When it has fewer.
    pub(super) fn check_against(&self, checkpoint: &Checkpoint, tensors: &Tensors<'_>) -> Result<(), Error> {
        let (layers, width) = (self.layers(), self.width());
        let hidden = match self {
            Self::Beats(size) => size.hidden,
            Self::Eat(size) => size.hidden,
            Self::Ced(size) => size.hidden,
        };
        // q, k, v and output of an attention, and a feed-forward step.
        let of_layer = [4, 2]
            .into_iter()
            .zip([width, hidden])
            .map(|(count, outputs)| width.saturating_mul(outputs).saturating_mul(count));
        let of_layers = of_layer.fold(0, usize::saturating_add).saturating_mul(layers);
        let patches = |patch: usize, outputs: usize| patch.saturating_mul(patch).saturating_mul(outputs);
        let beside = match self {
            Self::Beats(size) => [
                patches(size.patch, size.embed),
                size.embed.saturating_mul(width),
                size.num_buckets.saturating_mul(size.heads),
                (width / size.conv_pos_groups).saturating_mul(width).saturating_mul(size.conv_pos),
            ],
            Self::Eat(size) => [patches(size.patch, width), size.positions.saturating_mul(width), 0, 0],
            Self::Ced(size) => [
                patches(size.patch, width),
                size.steps().saturating_mul(width),
                size.bands().saturating_mul(width),
                0,
            ],
        };
        let classes = self.classes().unwrap_or(0).saturating_mul(width);
        let needed = beside.into_iter().chain([classes]).fold(of_layers, usize::saturating_add);
        // A number takes a byte or more, and few bytes may be repeated into many numbers.
        let there = (tensors.elements() as u64).min(checkpoint.len_bytes());
        match needed as u64 <= there {
            true => Ok(()),
            false => Err(Error::Unfit(format!(
                "it says that it is {} of {layers} layers of {width}, which needs more than {needed} numbers, and has \
                 {}; fetch it again from its origin",
                self.name(),
                there
            ))),
        }
    }

    /// Shapes in files of all parameters, by their names.
    pub(super) fn shapes(&self) -> BTreeMap<String, Vec<usize>> {
        match self.init(Init::blank(&Device::flex())) {
            Encoder::Beats(net) => weights::shapes(&net),
            Encoder::Eat(net) => weights::shapes(&net),
            Encoder::Ced(net) => weights::shapes(&net),
        }
    }
}
