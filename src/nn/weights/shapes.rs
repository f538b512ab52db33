//! The shapes that a network's tensors have in files.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;

use super::Place;

/// Shapes in files of the network's parameters and running statistics, by their names.
pub fn shapes<M: Module>(net: &M) -> BTreeMap<String, Vec<usize>> {
    let mut shapes = Shapes::default();
    net.visit(&mut shapes);
    shapes.found
}

#[derive(Default)]
struct Shapes {
    place: Place,
    found: BTreeMap<String, Vec<usize>>,
}

impl ModuleVisitor for Shapes {
    fn enter_module(&mut self, name: &str, kind: &str) {
        self.place.enter(name, kind);
    }

    fn exit_module(&mut self, _name: &str, _kind: &str) {
        self.place.leave();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let shape = self.place.form().in_files(param.val().dims().to_vec());
        self.found.insert(self.place.name(), shape);
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;
    use safetensors::SafeTensors;

    use super::*;
    use crate::nn::autoencoder::{Autoencoder, AutoencoderSize};
    use crate::nn::init::Init;
    use crate::nn::weights::to_safetensors;

    #[test]
    fn shapes_are_those_of_the_file() {
        let size = AutoencoderSize { input: 12, hidden: 5, bottleneck: 2, layers: 1 };
        let net = Autoencoder::new(size, Init::new(1, &Device::flex()));
        let bytes = to_safetensors(&net, String::new()).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let written: BTreeMap<String, Vec<usize>> =
            file.tensors().into_iter().map(|(name, view)| (name, view.shape().to_vec())).collect();
        assert_eq!(written["encoder.0.linear.weight"], [5, 12]);
        assert_eq!(shapes(&net), written);
    }
}
