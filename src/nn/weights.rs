//! Weights to and from safetensors, under PyTorch's names and in PyTorch's layout.
//!
//! The two worlds differ in the fully connected layer's weight: `[inputs, outputs]` in Burn, `[outputs, inputs]` in
//! PyTorch, and `[outputs, inputs, 1]` where PyTorch calls it a convolution; and in some names (`names`).

mod shapes;

use std::collections::{BTreeMap, HashMap};

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{DType, Tensor, TensorData};
use rayon::prelude::*;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use super::beside::OWN_METADATA;
use super::import::{TensorRef, Tensors};
use super::names::public_name;

pub use shapes::shapes;

/// Why weights could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not a safetensors file, or a damaged one.
    #[error("not a readable safetensors file ({0}); it may be damaged: remove it and train the run again")]
    Format(String),
    /// The file belongs to another network.
    #[error(
        "the file holds another network: {}; load it with the config that it was trained with",
        first_few(.0)
    )]
    Mismatch(Vec<String>),
    /// The device failed while its values were read.
    #[error("failed to read weights from the device: {0}")]
    Device(String),
}

/// The first of several differences, and how many there are.
fn first_few(problems: &[String]) -> String {
    const NAMED: usize = 5;
    let named = problems.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    match problems.len().saturating_sub(NAMED) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

/// The network's parameters and running statistics as the bytes of a safetensors file.
///
/// `metadata` is one text under the key `asdbench`: a single key keeps the header's bytes the
/// same from run to run.
///
/// # Errors
/// When the device does not hand out the values.
pub fn to_safetensors<M: Module>(net: &M, metadata: String) -> Result<Vec<u8>, Error> {
    let mut collector = Collector::default();
    net.visit(&mut collector);
    if let Some(why) = collector.failure {
        return Err(Error::Device(why));
    }
    let views: Vec<(&String, TensorView<'_>)> = collector
        .tensors
        .iter()
        .map(|(name, (shape, bytes))| {
            TensorView::new(Dtype::F32, shape.clone(), bytes).map(|view| (name, view))
        })
        .collect::<Result<_, _>>()
        .map_err(|e| Error::Format(e.to_string()))?;
    let metadata = HashMap::from([(OWN_METADATA.to_owned(), metadata)]);
    safetensors::serialize(views, Some(metadata)).map_err(|e| Error::Format(e.to_string()))
}

/// The name of a tensor in the bytes of a safetensors file that holds a NaN or an infinite value; `None` where all values
/// are numbers.
///
/// # Errors
/// When the bytes are damaged.
pub fn not_finite(bytes: &[u8]) -> Result<Option<String>, Error> {
    let file = SafeTensors::deserialize(bytes).map_err(|e| Error::Format(e.to_string()))?;
    let finite = |view: &TensorView<'_>| {
        let (values, _) = view.data().as_chunks::<4>();
        values.iter().all(|value| f32::from_le_bytes(*value).is_finite())
    };
    let tensors = file.tensors().into_iter();
    let broken = tensors.filter(|(_, view)| view.dtype() == Dtype::F32 && !finite(view));
    // In the order of the names, whatever that of the file is.
    Ok(broken.map(|(name, _)| name).min())
}

/// The text that [`to_safetensors`] was given.
///
/// # Errors
/// When the bytes are damaged, or another program wrote them.
pub fn metadata(bytes: &[u8]) -> Result<String, Error> {
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(|e| Error::Format(e.to_string()))?;
    let own = header.metadata().as_ref().and_then(|all| all.get(OWN_METADATA).cloned());
    own.ok_or_else(|| Error::Format("it has no asdbench metadata".into()))
}

/// `net` with the values of a safetensors file.
///
/// # Errors
/// When the bytes are damaged, or names or shapes differ from the network's.
pub fn from_safetensors<M: Module>(net: M, bytes: &[u8]) -> Result<M, Error> {
    let file = SafeTensors::deserialize(bytes).map_err(|e| Error::Format(e.to_string()))?;
    let tensors = file.tensors().into_iter().map(|(name, view)| (name, Found::Own(view))).collect();
    load(net, tensors)
}

/// `net` with the values of another program's checkpoint, of whatever float type.
///
/// PyTorch's `num_batches_tracked` counters are left out: nothing here depends on them.
///
/// # Errors
/// When names or shapes differ from the network's, or the values cannot be read.
pub fn from_checkpoint<M: Module>(net: M, tensors: &Tensors<'_>) -> Result<M, Error> {
    let wanted = tensors.iter().filter(|(name, _)| !name.ends_with("num_batches_tracked"));
    load(net, wanted.map(|(name, tensor)| (name.to_owned(), Found::Imported(tensor))).collect())
}

/// `net` with these tensors of another program's checkpoint, by the names of our own files.
///
/// # Errors
/// As [`from_checkpoint`].
pub fn from_tensors<M: Module>(net: M, tensors: BTreeMap<String, TensorRef<'_>>) -> Result<M, Error> {
    load(net, tensors.into_iter().map(|(name, tensor)| (name, Found::Imported(tensor))).collect())
}

fn load<M: Module>(net: M, tensors: BTreeMap<String, Found<'_>>) -> Result<M, Error> {
    let mut loader = Loader { place: Place::default(), tensors, problems: Vec::new() };
    let net = net.map(&mut loader);
    let left: Vec<String> = loader.tensors.into_keys().collect();
    loader.problems.extend(left.into_iter().map(|name| format!("`{name}` belongs nowhere")));
    match loader.problems.is_empty() {
        true => Ok(net),
        false => Err(Error::Mismatch(loader.problems)),
    }
}

/// Where a traversal stands: the names and the kinds of the modules around it.
#[derive(Default)]
struct Place {
    names: Vec<String>,
    kinds: Vec<String>,
}

impl Place {
    fn enter(&mut self, name: &str, kind: &str) {
        self.names.push(name.to_owned());
        self.kinds.push(kind.to_owned());
    }

    fn leave(&mut self) {
        self.names.pop();
        self.kinds.pop();
    }

    /// The full name in files.
    fn name(&self) -> String {
        public_name(&self.names)
    }

    /// How the parameter here lies in files. The derive macro names a struct `Struct:Linear`; a parameter's own entry
    /// follows its owner's.
    fn form(&self) -> Form {
        let owner = self.kinds.iter().rev().find_map(|kind| kind.strip_prefix("Struct:"));
        match (self.names.last().map(String::as_str), owner) {
            (Some("weight"), Some("Linear" | "Unbiased")) => Form::Turned,
            (Some("weight"), Some("Pointwise")) => Form::TurnedConvolution,
            _ => Form::Same,
        }
    }
}

/// How a parameter lies in files.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// As here.
    Same,
    /// `[outputs, inputs]` for `[inputs, outputs]`.
    Turned,
    /// `[outputs, inputs, 1]` for `[inputs, outputs]`.
    TurnedConvolution,
}

impl Form {
    /// The shape in files of what has `shape` here.
    fn in_files(self, mut shape: Vec<usize>) -> Vec<usize> {
        if self != Self::Same {
            shape.swap(0, 1);
        }
        if self == Self::TurnedConvolution {
            shape.push(1);
        }
        shape
    }
}

#[derive(Default)]
struct Collector {
    place: Place,
    /// Sorted, so that the file does not depend on the order of the fields.
    tensors: BTreeMap<String, (Vec<usize>, Vec<u8>)>,
    failure: Option<String>,
}

impl ModuleVisitor for Collector {
    fn enter_module(&mut self, name: &str, kind: &str) {
        self.place.enter(name, kind);
    }

    fn exit_module(&mut self, _name: &str, _kind: &str) {
        self.place.leave();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let value = param.val();
        let shape = value.dims().to_vec();
        let values = value
            .try_into_data()
            .map_err(|e| e.to_string())
            .and_then(|data| data.convert::<f32>().try_into_vec::<f32>().map_err(|e| format!("{e:?}")));
        match values {
            Ok(mut values) => {
                let form = self.place.form();
                if form != Form::Same {
                    values = transposed(&values, shape[1]);
                }
                let shape = form.in_files(shape);
                let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
                self.tensors.insert(self.place.name(), (shape, bytes));
            }
            Err(why) => self.failure = Some(why),
        }
    }
}

/// The transpose of a row-major matrix of `columns` columns. On the host, so that a loaded weight lies in memory as a
/// fresh one does: a view of the transpose would multiply in another order and give other last bits.
fn transposed(values: &[f32], columns: usize) -> Vec<f32> {
    // Squares whose rows and columns stay in a core's cache: column by column, a large weight would take seconds.
    const SIDE: usize = 32;
    let rows = values.len() / columns.max(1);
    let mut turned = vec![0.0; values.len()];
    turned.par_chunks_mut((SIDE * rows).max(1)).enumerate().for_each(|(part, out)| {
        for first in (0..rows).step_by(SIDE) {
            for (n, out) in out.chunks_exact_mut(rows).enumerate() {
                let column = part * SIDE + n;
                for (row, out) in out.iter_mut().enumerate().skip(first).take(SIDE) {
                    *out = values[row * columns + column];
                }
            }
        }
    });
    turned
}

/// A tensor of a file.
enum Found<'a> {
    /// Of a file that this program wrote.
    Own(TensorView<'a>),
    Imported(TensorRef<'a>),
}

impl Found<'_> {
    /// The values, where the shape is the expected one.
    fn values(&self, expected: &[usize]) -> Result<Vec<f32>, String> {
        let found = match self {
            Self::Own(view) if view.dtype() == Dtype::F32 && view.shape() == expected => {
                let (words, _) = view.data().as_chunks::<4>();
                return Ok(words.iter().map(|word| f32::from_le_bytes(*word)).collect());
            }
            Self::Imported(tensor) if tensor.shape() == expected => {
                return tensor.to_f32().map_err(|e| e.to_string());
            }
            Self::Own(view) => format!("{:?} {:?}", view.dtype(), view.shape()),
            Self::Imported(tensor) => format!("{} {:?}", tensor.dtype().name(), tensor.shape()),
        };
        Err(format!("is {found}, expected f32 {expected:?}"))
    }
}

struct Loader<'a> {
    place: Place,
    tensors: BTreeMap<String, Found<'a>>,
    problems: Vec<String>,
}

impl ModuleMapper for Loader<'_> {
    fn enter_module(&mut self, name: &str, kind: &str) {
        self.place.enter(name, kind);
    }

    fn exit_module(&mut self, _name: &str, _kind: &str) {
        self.place.leave();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let name = self.place.name();
        let Some(found) = self.tensors.remove(&name) else {
            self.problems.push(format!("`{name}` is missing"));
            return param;
        };
        let (form, shape) = (self.place.form(), param.val().dims().to_vec());
        let mut values = match found.values(&form.in_files(shape.clone())) {
            Ok(values) => values,
            Err(why) => {
                self.problems.push(format!("`{name}` {why}"));
                return param;
            }
        };
        if form != Form::Same {
            values = transposed(&values, shape[0]);
        }
        param.map(|old| {
            let new = Tensor::from_data(TensorData::new(values, shape), (&old.device(), DType::F32));
            // Loaded weights go on learning where fresh ones would.
            new.set_require_grad(old.is_require_grad())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::autoencoder::{Autoencoder, AutoencoderSize};
    use crate::nn::init::Init;
    use burn::tensor::Device;

    const SIZE: AutoencoderSize = AutoencoderSize { input: 12, hidden: 5, bottleneck: 2, layers: 1 };

    fn net(seed: u64, device: &Device) -> Autoencoder {
        Autoencoder::new(SIZE, Init::new(seed, device))
    }

    #[test]
    fn a_round_trip_gives_the_same_outputs_and_bytes() {
        let training = Device::flex().autodiff();
        let trained = net(1, &training);
        // Moves the running statistics away from their start.
        trained.forward(Tensor::ones([4, 12], &training) * 3.0);
        let bytes = to_safetensors(&trained, "x".into()).unwrap();
        let device = Device::flex();
        let loaded = from_safetensors(net(2, &device), &bytes).unwrap();
        assert_eq!(metadata(&bytes).unwrap(), "x");
        let x = Tensor::<2>::ones([3, 12], &device) * 0.3;
        let values = |net: &Autoencoder| net.forward(x.clone()).into_data().try_to_vec::<f32>().unwrap();
        assert_eq!(values(&trained.valid()), values(&loaded));
        assert_eq!(to_safetensors(&loaded, "x".into()).unwrap(), bytes);
    }

    #[test]
    fn a_value_that_is_no_number_is_found_wherever_it_is() {
        let device = Device::flex();
        let bytes = to_safetensors(&net(1, &device), String::new()).unwrap();
        assert_eq!(not_finite(&bytes).unwrap(), None);
        // The last value of the file: four bytes from its end.
        for broken in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut damaged = bytes.clone();
            let end = damaged.len() - 4;
            damaged[end..].copy_from_slice(&broken.to_le_bytes());
            assert!(not_finite(&damaged).unwrap().is_some());
        }
        assert!(not_finite(&bytes[..bytes.len() / 2]).is_err());
    }

    #[test]
    fn names_and_shapes_are_those_of_pytorch() {
        let device = Device::flex();
        let bytes = to_safetensors(&net(1, &device), String::new()).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        assert_eq!(file.tensor("encoder.0.linear.weight").unwrap().shape(), [5, 12]);
        assert_eq!(file.tensor("encoder.1.norm.running_var").unwrap().shape(), [2]);
        assert_eq!(file.tensor("output.bias").unwrap().shape(), [12]);
    }

    #[test]
    fn another_network_is_refused_by_name() {
        let device = Device::flex();
        let bytes = to_safetensors(&net(1, &device), String::new()).unwrap();
        let other = AutoencoderSize { hidden: 6, layers: 2, ..SIZE };
        let other = Autoencoder::new(other, Init::new(1, &device));
        let error = from_safetensors(other, &bytes).unwrap_err();
        let message = error.to_string();
        assert!(message.contains("encoder.0.linear.weight") && message.contains(" more;"), "{message}");
        let Error::Mismatch(problems) = error else { panic!("{message}") };
        assert!(problems.contains(&"`encoder.2.linear.weight` is missing".to_owned()), "{problems:?}");
    }

    #[test]
    fn damaged_bytes_are_an_error() {
        let device = Device::flex();
        let bytes = to_safetensors(&net(1, &device), String::new()).unwrap();
        for cut in [0, 7, 40, bytes.len() - 1] {
            assert!(from_safetensors(net(1, &device), &bytes[..cut]).is_err(), "cut at {cut}");
        }
    }
}
