//! Arrays of the reference files beside tensors of our networks.

use std::collections::BTreeMap;
use std::path::Path;

use asdbench::device::{self, DeviceChoice};
use asdbench::nn::import::Checkpoint;
use asdbench::nn::weights;
use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, Gradients, Tensor, TensorData};
use ndarray::ArrayD;
use ndarray_npy::read_npy;

/// The CPU, and the GPU that `ASDBENCH_TEST_GPU` names (`gpu:0`), which must be there then.
pub fn devices() -> Vec<Device> {
    let named = std::env::var("ASDBENCH_TEST_GPU").ok().filter(|_| cfg!(feature = "wgpu"));
    let gpu = named.map(|name| {
        let choice = name.parse::<DeviceChoice>().unwrap_or_else(|e| panic!("ASDBENCH_TEST_GPU: {e}"));
        device::open(choice).unwrap_or_else(|e| panic!("ASDBENCH_TEST_GPU: {e}")).device
    });
    std::iter::once(Device::flex()).chain(gpu).collect()
}

/// The array of a `.npy` file.
pub fn array(path: &Path) -> ArrayD<f32> {
    read_npy(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// An array on a device.
pub fn tensor<const D: usize>(array: &ArrayD<f32>, device: &Device) -> Tensor<D> {
    let values: Vec<f32> = array.iter().copied().collect();
    Tensor::from_data(TensorData::new(values, array.shape().to_vec()), device)
}

/// A tensor's values.
pub fn host<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_into_vec().unwrap()
}

/// Largest |found - expected| - rtol·|expected|; infinite where either is no number, which `max` would pass by.
pub fn worst(found: &[f32], expected: impl IntoIterator<Item = f32>, rtol: f64) -> f64 {
    let expected: Vec<f32> = expected.into_iter().collect();
    assert_eq!(found.len(), expected.len());
    let excess = |(a, b): (&f32, &f32)| match f64::from((a - b).abs()) - rtol * f64::from(b.abs()) {
        excess if excess.is_nan() => f64::INFINITY,
        excess => excess,
    };
    found.iter().zip(&expected).map(excess).fold(f64::MIN, f64::max)
}

/// Values of every parameter by its PyTorch name.
pub fn state<M: Module>(net: &M) -> BTreeMap<String, Vec<f32>> {
    let file = Checkpoint::from_bytes(weights::to_safetensors(net, String::new()).unwrap()).unwrap();
    let tensors = file.tensors(&[]).unwrap();
    tensors.iter().map(|(name, tensor)| (name.to_owned(), tensor.to_f32().unwrap())).collect()
}

/// Gradients of every parameter by its PyTorch name, in PyTorch's layout; what has none keeps its value.
pub fn gradients_by_name<M: Module>(net: &M, gradients: &Gradients) -> BTreeMap<String, Vec<f32>> {
    struct InPlaceOfValues<'a>(&'a Gradients);
    impl ModuleMapper for InPlaceOfValues<'_> {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            // Running statistics have none.
            match param.val().grad(self.0) {
                Some(gradient) => param.map(|_| gradient),
                None => param,
            }
        }
    }
    state(&net.clone().map(&mut InPlaceOfValues(gradients)))
}
