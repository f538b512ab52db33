//! The heads of contrastive learning, which are dropped after training.

use burn::module::Module;
use burn::tensor::Tensor;

use super::init::Init;
use super::linear::Linear;
use super::norm::BatchNorm;

/// Hidden layers of Linear, BatchNorm and ReLU, then a Linear.
#[derive(Module, Debug)]
pub struct Projection {
    hidden: Vec<(Linear, BatchNorm)>,
    output: Linear,
}

impl Projection {
    /// `input` → each width of `hidden` → `output`; `path` is the head's full name.
    ///
    /// SimCLR's and SimSiam's projector here has two hidden layers and 128 outputs, SimSiam's predictor one, a
    /// bottleneck (arXiv 2011.10566, section 4.2).
    pub fn new(path: &str, input: usize, hidden: &[usize], output: usize, init: Init<'_>) -> Self {
        let mut before = input;
        let hidden = hidden.iter().enumerate().map(|(number, &width)| {
            let name = format!("{path}.hidden.{number}.0");
            let layer = Linear::new(&name, std::mem::replace(&mut before, width), width, init);
            (layer, BatchNorm::new(width, init))
        });
        let hidden = hidden.collect();
        Self { hidden, output: Linear::new(&format!("{path}.output"), before, output, init) }
    }

    /// `[batch, input]` → `[batch, output]`.
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let x = self.hidden.iter().fold(x, |x, (layer, norm)| norm.forward_relu(layer.forward(x)));
        self.output.forward(x)
    }
}
