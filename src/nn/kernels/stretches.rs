//! The fused stretches on the CPU device's tensors.

use burn::backend::flex::FlexTensor;

use super::attention::{self, AttentionShape};
use super::conv;
use super::dense_block::{self, BlockShape, Held, Layer};
use super::depthwise::{self, DepthwiseShape};
use super::flex::{contiguous, conv_shape, tensor, values};
use super::fused::{AttentionSize, Fused};
use super::instance_norm;
use super::rows::{self, BatchNorm, FeedForward, LayerNorm, Linear};

/// Inputs as slices, with their shapes.
struct Inputs {
    tensors: Vec<FlexTensor>,
}

impl Inputs {
    fn new(tensors: Vec<FlexTensor>) -> Self {
        Self { tensors: tensors.into_iter().map(contiguous).collect() }
    }

    fn at(&self, index: usize) -> &[f32] {
        values(&self.tensors[index])
    }

    fn shape(&self, index: usize) -> Vec<usize> {
        self.tensors[index].layout().shape().to_vec()
    }

    /// Columns of a matrix.
    fn width(&self, index: usize) -> usize {
        self.tensors[index].layout().shape()[1]
    }

    /// Values in the shape of an input.
    fn like(&self, index: usize, values: Vec<f32>) -> FlexTensor {
        tensor(values, self.shape(index))
    }

    /// A matrix with as many rows as the first input.
    fn rows(&self, values: Vec<f32>, width: usize) -> FlexTensor {
        tensor(values, [self.shape(0)[0], width])
    }

    fn layer_norm(&self, epsilon: f32) -> LayerNorm<'_> {
        LayerNorm { weight: self.at(1), bias: self.at(2), epsilon }
    }

    fn linear(&self, weight: usize) -> Linear<'_> {
        Linear { weight: self.at(weight), bias: self.at(weight + 1) }
    }

    fn feed_forward(&self, epsilon: f32) -> FeedForward<'_> {
        FeedForward { norm: self.layer_norm(epsilon), up: self.linear(3), down: self.linear(5) }
    }

    fn batch_norm(&self, epsilon: f32) -> BatchNorm<'_> {
        let [weight, bias, mean, variance] = [1, 2, 3, 4].map(|index| self.at(index));
        BatchNorm { weight, bias, mean, variance, epsilon }
    }

    fn attention(&self, size: AttentionSize) -> AttentionShape {
        let AttentionSize { length, heads, reach } = size;
        let [rows, width] = [self.shape(0)[0], self.width(0)];
        AttentionShape { batch: rows / length, length, heads, width: width / heads, reach }
    }

    fn depthwise(&self, length: usize, padding: [usize; 2]) -> DepthwiseShape {
        let [rows, channels] = [self.shape(0)[0], self.width(0)];
        DepthwiseShape { batch: rows / length, length, channels, kernel: self.width(1), padding }
    }

    fn dense_layers(&self) -> Vec<Layer<'_>> {
        (1..self.tensors.len())
            .step_by(5)
            .map(|first| {
                let [weight, bias, norm_weight, norm_bias, slope] =
                    [0, 1, 2, 3, 4].map(|part| self.at(first + part));
                Layer { weight, bias, norm_weight, norm_bias, slope }
            })
            .collect()
    }

    fn dense_block(&self, epsilon: f32) -> BlockShape {
        let ([batch, channels, height, width], kernel) = (self.map(), &self.shape(1)[2..]);
        BlockShape { batch, channels, height, width, kernel: [kernel[0], kernel[1]], epsilon }
    }

    /// The first input's sizes: batch, channels, height, width.
    fn map(&self) -> [usize; 4] {
        let shape = self.shape(0);
        [shape[0], shape[1], shape[2], shape[3]]
    }

    /// Gradients as the inputs from the second on are shaped.
    fn rest(&self, gradients: impl IntoIterator<Item = Vec<f32>>) -> Vec<Option<FlexTensor>> {
        gradients.into_iter().enumerate().map(|(index, values)| Some(self.like(index + 1, values))).collect()
    }

    /// Gradients at the first input and at those after it.
    fn all(&self, first: Vec<f32>, rest: impl IntoIterator<Item = Vec<f32>>) -> Vec<Option<FlexTensor>> {
        let mut all = vec![Some(self.like(0, first))];
        all.extend(self.rest(rest));
        all
    }
}

pub fn forward(stretch: Fused, inputs: Vec<FlexTensor>, keep: bool) -> (FlexTensor, Vec<FlexTensor>) {
    let inputs = Inputs::new(inputs);
    let x = inputs.at(0);
    let output = match stretch {
        Fused::Convolution(steps) => {
            let shape = conv_shape(&inputs.tensors[0], &inputs.tensors[1], steps);
            let y = conv::forward(x, inputs.at(1), Some(inputs.at(2)), &shape);
            let [height, width] = shape.output();
            tensor(y, [shape.batch, shape.out_channels, height, width])
        }
        Fused::DenseBlock { epsilon } => return dense_forward(&inputs, epsilon, keep),
        Fused::InstanceNormPrelu { epsilon } => {
            let [batch, channels, ..] = inputs.map();
            let [weight, bias, slope] = [1, 2, 3].map(|index| inputs.at(index));
            let (y, mean, inverse) =
                instance_norm::instance_norm_prelu(x, weight, bias, slope, [batch, channels], epsilon);
            let kept = if keep { vec![vector(mean), vector(inverse)] } else { Vec::new() };
            return (inputs.like(0, y), kept);
        }
        Fused::Attention(size) => {
            let shape = inputs.attention(size);
            inputs.like(0, attention::attention(x, inputs.at(1), inputs.at(2), &shape))
        }
        Fused::Depthwise { length, padding } => {
            let shape = inputs.depthwise(length, padding);
            inputs.like(0, depthwise::depthwise(x, inputs.at(1), inputs.at(2), &shape))
        }
        Fused::LayerNorm { epsilon } => inputs.like(0, rows::layer_norm(x, inputs.layer_norm(epsilon))),
        Fused::FeedForward { epsilon, factor, dropout } => {
            inputs.like(0, rows::feed_forward(x, inputs.feed_forward(epsilon), factor, dropout))
        }
        Fused::Gated { epsilon } => {
            let y = rows::gated(x, inputs.layer_norm(epsilon), inputs.linear(3));
            inputs.rows(y, inputs.width(3) / 2)
        }
        Fused::NormedLinear { epsilon } => {
            let y = rows::normed_linear(x, inputs.layer_norm(epsilon), inputs.at(3));
            inputs.rows(y, inputs.width(3))
        }
        Fused::NormSwishLinear { epsilon } => {
            let (norm, linear) = (inputs.batch_norm(epsilon), inputs.linear(5));
            inputs.like(7, rows::norm_swish_linear(x, norm, linear, inputs.at(7)))
        }
        Fused::LinearResidual { dropout } => {
            inputs.like(3, rows::linear_dropout_residual(x, inputs.linear(1), inputs.at(3), dropout))
        }
    };
    (output, Vec::new())
}

pub fn backward(
    stretch: Fused,
    inputs: Vec<FlexTensor>,
    kept: Vec<FlexTensor>,
    gradient: FlexTensor,
    at_first: bool,
) -> Vec<Option<FlexTensor>> {
    let inputs = Inputs::new(inputs);
    if let Fused::DenseBlock { epsilon } = stretch {
        return dense_backward(&inputs, kept, gradient, epsilon, at_first);
    }
    let gradient = contiguous(gradient);
    let (x, g) = (inputs.at(0), values(&gradient));
    match stretch {
        Fused::DenseBlock { .. } => Vec::new(),
        Fused::Convolution(steps) => {
            let shape = conv_shape(&inputs.tensors[0], &inputs.tensors[1], steps);
            let of_x = at_first.then(|| inputs.like(0, conv::backward_input(g, inputs.at(1), &shape)));
            let (of_weight, of_bias) = (conv::backward_weight(x, g, &shape), conv::backward_bias(g, &shape));
            let mut all = vec![of_x];
            all.extend(inputs.rest([of_weight, of_bias]));
            all
        }
        Fused::InstanceNormPrelu { epsilon: _ } => {
            let [weight, bias, slope] = [1, 2, 3].map(|index| inputs.at(index));
            let (mean, inverse) = (values(&kept[0]), values(&kept[1]));
            let of = instance_norm::instance_norm_prelu_backward(x, mean, inverse, weight, bias, slope, g);
            inputs.all(of.x, [of.weight, of.bias, of.slope])
        }
        Fused::Attention(size) => {
            let shape = inputs.attention(size);
            let (of_q, of_kv, of_table) =
                attention::attention_backward(x, inputs.at(1), inputs.at(2), g, &shape);
            inputs.all(of_q, [of_kv, of_table])
        }
        Fused::Depthwise { length, padding } => {
            let shape = inputs.depthwise(length, padding);
            let (of_x, of_weight, of_bias) = depthwise::depthwise_backward(x, inputs.at(1), g, &shape);
            inputs.all(of_x, [of_weight, of_bias])
        }
        Fused::LayerNorm { epsilon } => {
            let (of_x, rest) = rows::layer_norm_backward(x, inputs.layer_norm(epsilon), g);
            inputs.all(of_x, rest)
        }
        Fused::FeedForward { epsilon, factor, dropout } => {
            let (of_x, rest) =
                rows::feed_forward_backward(x, inputs.feed_forward(epsilon), factor, dropout, g);
            inputs.all(of_x, rest)
        }
        Fused::Gated { epsilon } => {
            let (of_x, rest) = rows::gated_backward(x, inputs.layer_norm(epsilon), inputs.linear(3), g);
            inputs.all(of_x, rest)
        }
        Fused::NormedLinear { epsilon } => {
            let (of_x, rest) = rows::normed_linear_backward(x, inputs.layer_norm(epsilon), inputs.at(3), g);
            inputs.all(of_x, rest)
        }
        Fused::NormSwishLinear { epsilon } => {
            let (of_x, [norm_weight, norm_bias, weight, bias]) =
                rows::norm_swish_linear_backward(x, inputs.batch_norm(epsilon), inputs.linear(5), g);
            let mut all = inputs.all(of_x, [norm_weight, norm_bias]);
            // Mean and variance are functions of x, and the sum passes the gradient on as it is.
            all.extend([None, None, Some(inputs.like(5, weight)), Some(inputs.like(6, bias))]);
            all.push(Some(gradient));
            all
        }
        Fused::LinearResidual { dropout } => {
            let (of_x, rest) = rows::linear_dropout_residual_backward(x, inputs.linear(1), dropout, g);
            let mut all = inputs.all(of_x, rest);
            all.push(Some(gradient));
            all
        }
    }
}

pub fn batch_statistics(x: FlexTensor) -> (FlexTensor, FlexTensor) {
    let x = contiguous(x);
    let (mean, variance) = rows::batch_statistics(values(&x), x.layout().shape()[1]);
    (vector(mean), vector(variance))
}

fn vector(values: Vec<f32>) -> FlexTensor {
    let length = values.len();
    tensor(values, [length])
}

/// Keeps each layer's convolution, mean and inverse deviation.
fn dense_forward(inputs: &Inputs, epsilon: f32, keep: bool) -> (FlexTensor, Vec<FlexTensor>) {
    let (x, layers, shape) = (inputs.at(0), inputs.dense_layers(), inputs.dense_block(epsilon));
    if !keep {
        let y = dense_block::dense_block_inference(x, &layers, &shape);
        return (inputs.like(0, y), Vec::new());
    }
    let (y, saved) = dense_block::dense_block(x, &layers, &shape);
    let kept = saved
        .into_iter()
        .flat_map(|layer| [inputs.like(0, layer.maps), vector(layer.mean), vector(layer.inverse)]);
    (inputs.like(0, y), kept.collect())
}

/// Works in the memory of what was kept and of the gradient.
fn dense_backward(
    inputs: &Inputs,
    mut kept: Vec<FlexTensor>,
    gradient: FlexTensor,
    epsilon: f32,
    at_first: bool,
) -> Vec<Option<FlexTensor>> {
    let mut gradient = contiguous(gradient);
    let held: Vec<Held<'_>> = kept
        .chunks_exact_mut(3)
        .filter_map(|layer| match layer {
            [maps, mean, inverse] => {
                Some(Held { maps: maps.storage_mut(), mean: values(mean), inverse: values(inverse) })
            }
            _ => None,
        })
        .collect();
    let of_layers = dense_block::dense_block_backward(
        inputs.at(0),
        &inputs.dense_layers(),
        held,
        gradient.storage_mut(),
        &inputs.dense_block(epsilon),
        at_first,
    );
    let of_layers =
        of_layers.into_iter().flat_map(|of| [of.weight, of.bias, of.norm_weight, of.norm_bias, of.slope]);
    let mut all = vec![at_first.then_some(gradient)];
    all.extend(inputs.rest(of_layers));
    all
}
