//! The dense autoencoder of the DCASE baselines (arXiv 2206.05876, section 4.1) in the study's sizes.
//!
//! ```text
//! 640 → [hidden] × layers → bottleneck → [hidden] × layers → 640
//! ```
//!
//! Every hidden layer and the bottleneck is Linear, BatchNorm, ReLU; the output is
//! linear. 640 = 5 frames × 128 mel bins (study, section III-B).

use burn::module::Module;
use burn::tensor::Tensor;

use super::init::Init;
use super::linear::Linear;
use super::norm::BatchNorm;

/// The sizes of an [`Autoencoder`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AutoencoderSize {
    /// Width of a window: frames × mel bins.
    pub input: usize,
    /// Width of each hidden layer.
    pub hidden: usize,
    /// Width of the latent code.
    pub bottleneck: usize,
    /// Hidden layers on each side of the bottleneck.
    pub layers: usize,
}

/// Linear, BatchNorm, ReLU.
#[derive(Module, Debug)]
struct Block {
    linear: Linear,
    norm: BatchNorm,
}

impl Block {
    fn new(path: &str, inputs: usize, outputs: usize, init: Init<'_>) -> Self {
        Self {
            linear: Linear::new(&format!("{path}.linear"), inputs, outputs, init),
            norm: BatchNorm::new(outputs, init),
        }
    }

    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        self.norm.forward_relu(self.linear.forward(x))
    }
}

/// The network. Parameters: `encoder.N.{linear,norm}`, `decoder.N.{linear,norm}`, `output`.
#[derive(Module, Debug)]
pub struct Autoencoder {
    /// `layers` hidden blocks, then the bottleneck.
    encoder: Vec<Block>,
    /// `layers` hidden blocks.
    decoder: Vec<Block>,
    output: Linear,
}

impl Autoencoder {
    /// A network with fresh weights.
    pub fn new(size: AutoencoderSize, init: Init<'_>) -> Self {
        let stack = |name: &str, widths: Vec<usize>| {
            widths
                .windows(2)
                .enumerate()
                .map(|(n, pair)| Block::new(&format!("{name}.{n}"), pair[0], pair[1], init))
                .collect()
        };
        let hidden = std::iter::repeat_n(size.hidden, size.layers);
        let narrowing = std::iter::once(size.input).chain(hidden.clone());
        Self {
            encoder: stack("encoder", narrowing.chain([size.bottleneck]).collect()),
            decoder: stack("decoder", std::iter::once(size.bottleneck).chain(hidden).collect()),
            output: Linear::new("output", size.hidden, size.input, init),
        }
    }

    /// `[windows, input]` → its reconstruction, `[windows, input]`.
    pub fn forward(&self, windows: Tensor<2>) -> Tensor<2> {
        let code = self.encoder.iter().fold(windows, |x, block| block.forward(x)); // [windows, bottleneck]
        let hidden = self.decoder.iter().fold(code, |x, block| block.forward(x)); // [windows, hidden]
        self.output.forward(hidden)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn has_the_parameters_of_the_dcase_baseline() {
        // 128 × 4, 8, 128 × 4: weights 640·128·2 + 128·128·6 + 128·8·2 = 264,192, biases 128·8 + 8 + 640 = 1,672,
        // and four values (two of them running statistics) for each of 128·8 + 8 = 1,032 normalised channels.
        let device = Device::flex();
        let size = AutoencoderSize { input: 640, hidden: 128, bottleneck: 8, layers: 4 };
        let net = Autoencoder::new(size, Init::new(1, &device));
        assert_eq!(net.num_params(), 264_192 + 1_672 + 4 * 1_032);
    }

    #[test]
    fn keeps_the_shape_and_differs_by_seed_only() {
        let device = Device::flex();
        let size = AutoencoderSize { input: 20, hidden: 6, bottleneck: 3, layers: 2 };
        let run = |seed| {
            let x = Tensor::<2>::ones([4, 20], &device);
            let y = Autoencoder::new(size, Init::new(seed, &device)).forward(x);
            assert_eq!(y.dims(), [4, 20]);
            y.into_data().try_to_vec::<f32>().unwrap()
        };
        assert_eq!(run(1), run(1));
        assert_ne!(run(1), run(2));
    }
}
