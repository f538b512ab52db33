//! The form in which this program writes encoders: safetensors with our names, and what the network is in the metadata.

use serde::{Deserialize, Serialize};

use super::forms::Form;
use super::{Architecture, Error, Model};
use crate::nn::beside::OWN_METADATA as KEY;
use crate::nn::import::Checkpoint;
use crate::nn::torchvision::KIND as RESNET;

/// What tells an encoder's file from a run's.
const KIND: &str = "encoder";

#[derive(Debug, Serialize, Deserialize)]
struct Metadata {
    kind: String,
    architecture: Architecture,
    /// What the file was made from.
    origin: String,
    labels: Option<Vec<String>>,
    random: Option<u64>,
    config: serde_json::Value,
}

/// The metadata's text for a model.
pub fn metadata(model: &Model, origin: &str) -> String {
    let metadata = Metadata {
        kind: KIND.into(),
        architecture: model.architecture.clone(),
        origin: origin.into(),
        labels: model.labels.clone(),
        random: model.random,
        config: model.config.clone(),
    };
    serde_json::to_string(&metadata).expect("numbers that are finite, texts and lists fit into JSON")
}

/// A file of this program's, or nothing.
///
/// # Errors
/// When it is one that cannot be understood, or a trained run's.
pub fn read(checkpoint: &Checkpoint) -> Result<Option<Form>, Error> {
    let Some(text) = checkpoint.metadata().get(KEY) else { return Ok(None) };
    let unfit = |why: String| Error::Unfit(why);
    let any: serde_json::Value = serde_json::from_str(text)
        .map_err(|e| unfit(format!("its metadata `{KEY}` cannot be read ({e}); make the file again")))?;
    match any.get("kind").and_then(serde_json::Value::as_str) {
        Some(KIND) => {}
        Some(RESNET) => {
            let why = "it is a residual network, which has no front end of its own: clips cannot be heard with it; name a \
                       checkpoint of BEATs, EAT or CED";
            return Err(unfit(why.into()));
        }
        _ => {
            let why = "it holds the weights of a run that asdbench trained, not of a pre-trained encoder; `asdbench eval` \
                       judges runs";
            return Err(unfit(why.into()));
        }
    }
    let Metadata { architecture, origin, labels, random, config, .. } = serde_json::from_value(any)
        .map_err(|e| unfit(format!("its metadata `{KEY}` cannot be read ({e}); make the file again")))?;
    match &architecture {
        Architecture::Beats(size) => size.check()?,
        Architecture::Eat(size) => size.check()?,
        Architecture::Ced(size) => size.check_sizes()?,
    }
    let tensors = checkpoint.tensors(&[])?;
    Ok(Some(Form {
        architecture,
        labels,
        random,
        config,
        remarks: vec![format!("made from {origin}")],
        at: Vec::new(),
        names: tensors.names().map(|name| (name.to_owned(), name.to_owned())).collect(),
        left_over: Vec::new(),
    }))
}
