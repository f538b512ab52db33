//! What a checkpoint is, and the same network as a safetensors file.

use std::collections::BTreeMap;
use std::io::{BufWriter, Write};
use std::path::Path;

use serde::Serialize;

use super::{Error, check_output};
use crate::device::{self, DeviceChoice};
use crate::files::{self, Durability, Sink};
use crate::nn::beside::{OWN_METADATA, config_beside};
use crate::nn::import::{Checkpoint, Format, TensorRef, write_safetensors};
use crate::nn::init::Init;
use crate::nn::pretrained::{self, LeftOver, Model, Used};
use crate::nn::torchvision::{self, ResNetFile};
use crate::study;

/// What a checkpoint is; the result of `asdbench import --format json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Imported {
    /// Version of this form.
    pub schema: u32,
    /// The checkpoint file.
    pub path: String,
    /// How it is stored.
    pub format: String,
    /// Its length.
    pub bytes: u64,
    /// BLAKE3 of the file.
    pub content_hash: String,
    /// Such as `BEATs`, `EAT`, `CED`, `ResNet-18`.
    pub architecture: String,
    /// Sizes by name.
    pub sizes: serde_json::Map<String, serde_json::Value>,
    /// Parameters of the network.
    pub parameters: usize,
    /// Whether it tells classes apart.
    pub fine_tuned: bool,
    /// How many.
    pub classes: Option<usize>,
    /// The names of the classes, where the file has them.
    pub labels: Option<Vec<String>>,
    /// The seed of random weights: the network has learnt nothing.
    pub random: Option<u64>,
    /// What a user should know.
    pub remarks: Vec<String>,
    /// Its own configuration, as the file has it.
    pub config: serde_json::Value,
    /// The file's tensors.
    pub tensors: Tensors,
    /// What was written, where something was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub written: Option<Written>,
}

/// The tensors of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Tensors {
    /// Those that the network takes.
    pub used: Vec<Used>,
    /// The others.
    pub left_over: Vec<LeftOver>,
}

/// A file that was written, after it was read again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Written {
    /// The file.
    pub path: String,
    /// Its length.
    pub bytes: u64,
    /// BLAKE3 of it.
    pub content_hash: String,
    /// Its tensors.
    pub tensors: usize,
}

/// A network that a file was found to hold.
enum Found<'a> {
    Encoder(Box<Model>),
    ResNet(ResNetFile<'a>),
}

/// Say what a checkpoint is; where `output` is given, also write what the network takes as a safetensors file, which takes
/// its name only when it was read again and held the same, bit by bit.
///
/// # Errors
/// When the file cannot be read or is of no known network, when `output` is the checkpoint itself or cannot be written.
pub fn import(checkpoint: &Path, output: Option<&Path>) -> Result<Imported, study::Error> {
    let opened = Checkpoint::open(checkpoint).map_err(Error::from)?;
    let found = find(&opened, checkpoint)?;
    let mut imported = describe(&opened, &found, checkpoint)?;
    if let Some(output) = output {
        check_written(output, Some(checkpoint), |_| true, "it is there already and is no such checkpoint")?;
        imported.written = Some(write(&opened, &found, &imported, output)?);
    }
    Ok(imported)
}

/// Write an encoder with fresh weights, for trials of what is done with encoders, and say what it is.
///
/// # Errors
/// When there is no such size, when `output` is there and no network of random weights, or the file cannot be written.
pub fn random(name: &str, seed: u64, output: &Path) -> Result<Imported, study::Error> {
    let unknown = || Error::Checkpoint {
        path: output.to_owned(),
        source: pretrained::Error::Unknown(format!(
            "there is no random network `{name}`; there are {}",
            pretrained::random::names().join(", ")
        )),
    };
    let architecture = pretrained::random::architecture(name).ok_or_else(unknown)?;
    check_written(output, None, is_random, "it is there already and is no network of random weights")?;
    let device = device::open(DeviceChoice::Cpu)?;
    let net = architecture.init(Init::new(seed, &device.device));
    let metadata =
        pretrained::random::model(architecture, seed).metadata(&format!("random weights ({name})"));
    let bytes = net
        .to_safetensors(metadata)
        .map_err(|source| study::Error::Weights { path: output.to_owned(), source })?;
    files::make_folder(files::folder_of(output))?;
    files::write(output, &bytes, Durability::Flushed)?;
    import(output, None)
}

/// What is written is named as what it is, and takes the place of nothing but a safetensors file of a network that is
/// `replaceable`.
fn check_written(
    output: &Path,
    checkpoint: Option<&Path>,
    replaceable: fn(&Found<'_>) -> bool,
    why_kept: &'static str,
) -> Result<(), Error> {
    check_output(output, checkpoint, &[])?;
    let wrong = |why| Err(Error::Output { path: output.to_owned(), why });
    if output.extension().is_none_or(|suffix| suffix != "safetensors") {
        return wrong("a safetensors file is written, and the name does not end in .safetensors");
    }
    if !output.exists() {
        return Ok(());
    }
    let is_replaceable = |there: Checkpoint| {
        there.format() == Format::Safetensors && find(&there, output).is_ok_and(|found| replaceable(&found))
    };
    match Checkpoint::open(output).is_ok_and(is_replaceable) {
        true => Ok(()),
        false => wrong(why_kept),
    }
}

/// Weights that somebody trained or fetched are not given up for ones that can be made again.
fn is_random(found: &Found<'_>) -> bool {
    matches!(found, Found::Encoder(model) if model.random.is_some())
}

/// What a file holds.
fn find<'a>(checkpoint: &'a Checkpoint, path: &Path) -> Result<Found<'a>, Error> {
    let failed = |source| Error::Checkpoint { path: path.to_owned(), source };
    if let Some(resnet) = ResNetFile::of(checkpoint).map_err(failed)? {
        return Ok(Found::ResNet(resnet));
    }
    let beside = config_beside(checkpoint).map_err(failed)?;
    let model = pretrained::identify(checkpoint, beside.as_ref()).map_err(failed)?;
    Ok(Found::Encoder(Box::new(model)))
}

fn describe(checkpoint: &Checkpoint, found: &Found<'_>, path: &Path) -> Result<Imported, Error> {
    let common = Imported {
        schema: 1,
        path: path.display().to_string(),
        format: checkpoint.format().to_string(),
        bytes: checkpoint.len_bytes(),
        content_hash: checkpoint.content_hash()?,
        architecture: String::new(),
        sizes: serde_json::Map::new(),
        parameters: 0,
        fine_tuned: false,
        classes: None,
        labels: None,
        random: None,
        remarks: Vec::new(),
        config: serde_json::Value::Null,
        tensors: Tensors { used: Vec::new(), left_over: Vec::new() },
        written: None,
    };
    Ok(match found {
        Found::Encoder(model) => Imported {
            architecture: model.architecture.name().to_owned(),
            sizes: sizes(model),
            parameters: model.parameters(),
            fine_tuned: model.fine_tuned(),
            classes: model.architecture.classes(),
            labels: model.labels.clone(),
            random: model.random,
            remarks: model.remarks.clone(),
            config: model.config.clone(),
            tensors: Tensors { used: model.used.clone(), left_over: model.left_over.clone() },
            ..common
        },
        Found::ResNet(resnet) => Imported {
            architecture: resnet.name(),
            sizes: resnet_sizes(resnet),
            parameters: resnet.parameters(),
            fine_tuned: resnet.classes.is_some(),
            classes: resnet.classes,
            remarks: vec![
                "a residual network has no front end of its own: `extract` does not take it".into(),
            ],
            tensors: Tensors { used: resnet.used.clone(), left_over: resnet.left_over.clone() },
            ..common
        },
    })
}

/// Without the name of the kind around them.
fn sizes(model: &Model) -> serde_json::Map<String, serde_json::Value> {
    use serde_json::Value::Object;
    match serde_json::to_value(&model.architecture) {
        Ok(Object(kind)) => match kind.into_iter().next() {
            Some((_, Object(sizes))) => sizes,
            _ => serde_json::Map::new(),
        },
        _ => serde_json::Map::new(),
    }
}

fn resnet_sizes(resnet: &ResNetFile<'_>) -> serde_json::Map<String, serde_json::Value> {
    let ResNetFile { depth, blocks, width, inputs, features, .. } = resnet;
    let entries = [
        ("depth", (*depth).into()),
        ("blocks", serde_json::json!(blocks)),
        ("width", (*width).into()),
        ("inputs", (*inputs).into()),
        ("features", (*features).into()),
    ];
    entries.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Write the tensors; what was written must be what was read, or nothing takes the output's name.
fn write(
    checkpoint: &Checkpoint,
    found: &Found<'_>,
    imported: &Imported,
    output: &Path,
) -> Result<Written, study::Error> {
    let path = Path::new(&imported.path);
    let failed = |source| Error::Checkpoint { path: path.to_owned(), source };
    let origin = path.file_name().unwrap_or_default().to_string_lossy();
    let (tensors, text): (Vec<(String, TensorRef<'_>)>, String) = match found {
        Found::Encoder(model) => (model.tensors(checkpoint).map_err(failed)?, model.metadata(&origin)),
        Found::ResNet(resnet) => {
            let text = serde_json::json!({
                "kind": torchvision::KIND,
                "architecture": resnet.name(),
                "sizes": resnet_sizes(resnet),
                "origin": origin,
            });
            (resnet.tensors().to_vec(), text.to_string())
        }
    };
    let metadata = BTreeMap::from([(OWN_METADATA.to_owned(), text)]);
    files::make_folder(files::folder_of(output))?;
    let fill = |file: &mut Sink| {
        let mut out = BufWriter::with_capacity(1 << 20, file);
        write_safetensors(&tensors, &metadata, &mut out)?;
        out.flush()
    };
    files::write_checked(output, Durability::Flushed, fill, |temporary| {
        let unlike = |why: String| Error::Unlike { path: output.to_owned(), why };
        let again = Checkpoint::open(temporary).map_err(|error| unlike(error.to_string()))?;
        Ok(read_again(&again, imported, &tensors, output).map_err(unlike)?)
    })
}

/// What was written is what was read: the same network, the same bits. The error says what is not.
fn read_again(
    checkpoint: &Checkpoint,
    imported: &Imported,
    tensors: &[(String, TensorRef<'_>)],
    output: &Path,
) -> Result<Written, String> {
    let told = |error: &dyn std::fmt::Display| error.to_string();
    let found = find(checkpoint, output).map_err(|error| told(&error))?;
    let again = describe(checkpoint, &found, output).map_err(|error| told(&error))?;
    type Kinds<'k> = BTreeMap<&'k str, (&'k [usize], &'static str)>;
    fn kinds(tensors: &Tensors) -> Kinds<'_> {
        tensors.used.iter().map(|used| (used.name.as_str(), (&*used.shape, used.dtype))).collect()
    }
    let same = [
        ("its kind", again.architecture == imported.architecture),
        ("its sizes", again.sizes == imported.sizes),
        ("its labels", again.labels == imported.labels),
        ("its seed", again.random == imported.random),
        // As texts: numbers of a pickle and of JSON have more than one form.
        ("its configuration", again.config.to_string() == imported.config.to_string()),
        ("the names, shapes or types of its tensors", kinds(&again.tensors) == kinds(&imported.tensors)),
        ("what is left over", again.tensors.left_over.is_empty()),
        ("its format", checkpoint.format() == Format::Safetensors),
    ];
    if let Some((what, _)) = same.iter().find(|(_, same)| !same) {
        return Err(format!("{what} is another"));
    }
    let written = checkpoint.tensors(&[]).map_err(|error| told(&error))?;
    for (name, tensor) in tensors {
        let bytes = |tensor: &TensorRef<'_>| tensor.to_le_bytes().map_err(|error| told(&error));
        if bytes(tensor)? != bytes(&written.require(name).map_err(|error| told(&error))?)? {
            return Err(format!("`{name}` has other values"));
        }
    }
    Ok(Written {
        path: again.path,
        bytes: again.bytes,
        content_hash: again.content_hash,
        tensors: again.tensors.used.len(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_otherwise_is_named() {
        let place = tempfile::tempdir().unwrap();
        let [one, two] = ["1.safetensors", "2.safetensors"].map(|name| place.path().join(name));
        let imported = random("beats-tiny", 1, &one).unwrap();
        random("beats-tiny", 2, &two).unwrap();
        let [one_file, two_file] = [&one, &two].map(|path| Checkpoint::open(path).unwrap());
        let tensors = match find(&one_file, &one).unwrap() {
            Found::Encoder(model) => model.tensors(&one_file).unwrap(),
            Found::ResNet(_) => panic!("it is a BEATs"),
        };
        let same = read_again(&one_file, &imported, &tensors, &one).unwrap();
        assert_eq!((same.content_hash, same.tensors), (imported.content_hash.clone(), tensors.len()));
        let seed = read_again(&two_file, &imported, &tensors, &two).unwrap_err();
        assert!(seed.contains("its seed"), "{seed}");
        let imported = Imported { random: Some(2), ..imported };
        let values = read_again(&two_file, &imported, &tensors, &two).unwrap_err();
        assert!(values.contains("has other values"), "{values}");
    }
}
