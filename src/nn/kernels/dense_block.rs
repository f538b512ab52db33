//! The dilated dense block of CMGAN (Cao, Abdulatif and Yang, 2022; from Pandey and Wang, 2020) as one operation.
//!
//! Layer i of 1, 2, … sees the maps of all earlier layers, newest first, and the block's input: a convolution of i · C to
//! C channels, with 2^(i-1) rows between its kernel's rows and zeros before the first row only, so that no row sees a
//! later one; an instance norm; a PReLU. The last layer's C maps are the result.
//!
//! No maps are concatenated, padded or kept behind the norm. Convolutions read the maps before it, where they are, and
//! normalise while they lay a few rows out in a core's cache. The backward pass turns each layer's maps into their
//! gradient in place, from the last layer to the first: a layer's gradient is what the later layers' convolutions give.

#[cfg(test)]
mod tests;

use super::conv::{self, Activation, ConvShape, Maps};
use super::instance_norm::{self, NormPrelu};

/// What one layer learns.
#[derive(Clone, Copy, Debug)]
pub struct Layer<'a> {
    /// `[channels, i · channels, kernel]`
    pub weight: &'a [f32],
    /// `[channels]`, as are all others.
    pub bias: &'a [f32],
    pub norm_weight: &'a [f32],
    pub norm_bias: &'a [f32],
    pub slope: &'a [f32],
}

/// Sizes of a block.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BlockShape {
    pub batch: usize,
    pub channels: usize,
    pub height: usize,
    pub width: usize,
    /// Rows, columns; an odd number of columns.
    pub kernel: [usize; 2],
    /// Added to the variance.
    pub epsilon: f32,
}

/// What the backward pass needs of a layer.
#[derive(Debug)]
pub struct SavedLayer {
    /// Before the norm, `[batch, channels, height, width]`.
    pub maps: Vec<f32>,
    /// `[batch · channels]`, as is the inverse of the deviation.
    pub mean: Vec<f32>,
    pub inverse: Vec<f32>,
}

/// A [`SavedLayer`] whose maps are lent to be overwritten.
#[derive(Debug)]
pub struct Held<'a> {
    pub maps: &'a mut [f32],
    pub mean: &'a [f32],
    pub inverse: &'a [f32],
}

/// Gradients of a [`Layer`].
#[derive(Clone, Debug, PartialEq)]
pub struct LayerGradients {
    pub weight: Vec<f32>,
    /// The norm takes away what the bias adds: exactly 0.
    pub bias: Vec<f32>,
    pub norm_weight: Vec<f32>,
    pub norm_bias: Vec<f32>,
    pub slope: Vec<f32>,
}

impl BlockShape {
    /// Values of one set of maps.
    pub fn values(&self) -> usize {
        self.batch * self.channels * self.height * self.width
    }

    /// The convolution of layer `index`, from 0.
    fn convolution(&self, index: usize) -> ConvShape {
        let [rows, columns] = self.kernel;
        let dilation = 1 << index;
        ConvShape {
            batch: self.batch,
            in_channels: (index + 1) * self.channels,
            out_channels: self.channels,
            in_height: self.height,
            in_width: self.width,
            kernel: self.kernel,
            stride: [1; 2],
            padding: [[(rows - 1) * dilation, 0], [columns / 2; 2]],
            dilation: [dilation, 1],
        }
    }

    fn check(&self, x: &[f32], layers: &[Layer<'_>]) {
        let [rows, columns] = self.kernel;
        assert!(rows > 0 && columns % 2 == 1, "a dense block with a kernel of {rows} × {columns}");
        assert!(!layers.is_empty() && self.values() > 0, "a dense block without layers or values");
        assert_eq!(x.len(), self.values(), "an input of another size than the block's");
        for (index, layer) in layers.iter().enumerate() {
            let weights = (index + 1) * self.channels * self.channels * rows * columns;
            let lists = [layer.bias, layer.norm_weight, layer.norm_bias, layer.slope];
            let fit = layer.weight.len() == weights && lists.iter().all(|list| list.len() == self.channels);
            assert!(fit, "layer {} of a dense block with weights of another size", index + 1);
        }
    }
}

/// A layer's maps before the norm, and what makes of them what others see.
struct Seen<'a> {
    maps: &'a [f32],
    mean: &'a [f32],
    gain: Vec<f32>,
    layer: &'a Layer<'a>,
}

impl<'a> Seen<'a> {
    fn new(maps: &'a [f32], mean: &'a [f32], inverse: &[f32], layer: &'a Layer<'a>) -> Self {
        Self { maps, mean, gain: instance_norm::gains(inverse, layer.norm_weight), layer }
    }

    fn activation(&self) -> Activation<'_> {
        let Layer { norm_bias, slope, .. } = self.layer;
        Activation { mean: self.mean, gain: &self.gain, bias: norm_bias, slope }
    }
}

/// What the layer behind `seen` reads: the newest maps first, the input last.
fn stacked<'a>(x: &'a [f32], seen: &'a [Seen<'a>], channels: usize) -> Vec<Maps<'a>> {
    let newest_first = seen.iter().rev();
    let maps = newest_first.map(|seen| (seen.maps, Some(seen.activation())));
    maps.chain([(x, None)]).map(|(values, activation)| Maps { values, channels, activation }).collect()
}

/// `x` `[batch, channels, height, width]`: the result, of the same size, and what [`dense_block_backward`] needs beside `x`.
pub fn dense_block(x: &[f32], layers: &[Layer<'_>], shape: &BlockShape) -> (Vec<f32>, Vec<SavedLayer>) {
    shape.check(x, layers);
    let saved = maps_of_layers(x, layers, shape);
    let output = match (saved.last(), layers.last()) {
        (Some(saved), Some(layer)) => {
            let last = Seen::new(&saved.maps, &saved.mean, &saved.inverse, layer);
            instance_norm::activated(&saved.maps, &last.activation())
        }
        _ => unreachable!("a block has layers, as checked"),
    };
    (output, saved)
}

/// [`dense_block`] where nothing will ask for gradients: one sample at a time, in the memory of a sample's maps.
pub fn dense_block_inference(x: &[f32], layers: &[Layer<'_>], shape: &BlockShape) -> Vec<f32> {
    shape.check(x, layers);
    let one = BlockShape { batch: 1, ..*shape };
    let mut output = Vec::new();
    for x in x.chunks_exact(one.values()) {
        let last = maps_of_layers(x, layers, &one).pop().zip(layers.last());
        let Some((SavedLayer { mut maps, mean, inverse }, layer)) = last else {
            unreachable!("a block has layers, as checked")
        };
        let gain = instance_norm::gains(&inverse, layer.norm_weight);
        let activation = Activation { mean: &mean, gain: &gain, bias: layer.norm_bias, slope: layer.slope };
        instance_norm::activate(&mut maps, &activation);
        if shape.batch == 1 {
            return maps;
        }
        output.reserve_exact(shape.values() - output.len());
        output.extend_from_slice(&maps);
    }
    output
}

/// Every layer's maps before its norm.
fn maps_of_layers(x: &[f32], layers: &[Layer<'_>], shape: &BlockShape) -> Vec<SavedLayer> {
    let mut saved: Vec<SavedLayer> = Vec::new();
    for (index, layer) in layers.iter().enumerate() {
        let earlier = saved.iter().zip(layers);
        let seen: Vec<_> = earlier
            .map(|(saved, layer)| Seen::new(&saved.maps, &saved.mean, &saved.inverse, layer))
            .collect();
        let maps = stacked(x, &seen, shape.channels);
        let maps = conv::forward_of_maps(&maps, layer.weight, Some(layer.bias), &shape.convolution(index));
        let count = shape.batch * shape.channels;
        let (mean, inverse) = instance_norm::statistics(&maps, count, shape.epsilon);
        saved.push(SavedLayer { maps, mean, inverse });
    }
    saved
}

/// Gradients of [`dense_block`] at its layers, from `gradient` at its result.
///
/// All memory of the size of maps is lent: `held` ends as scratch, and `gradient`, where `at_x`, as the gradient at `x`,
/// else as scratch too.
pub fn dense_block_backward(
    x: &[f32],
    layers: &[Layer<'_>],
    mut held: Vec<Held<'_>>,
    gradient: &mut [f32],
    shape: &BlockShape,
    at_x: bool,
) -> Vec<LayerGradients> {
    shape.check(x, layers);
    let fit = held.len() == layers.len() && held.iter().all(|held| held.maps.len() == shape.values());
    assert!(fit && gradient.len() == shape.values(), "saved maps or a gradient of another size");
    let mut found = Vec::new();
    for (index, layer) in layers.iter().enumerate().rev() {
        let (earlier, rest) = held.split_at_mut(index);
        let Some((this, later)) = rest.split_first_mut() else {
            unreachable!("as many as layers, as checked")
        };
        gather_gradient(layers, index + 1, later, gradient, shape);
        let Layer { norm_weight: weight, norm_bias: bias, slope, .. } = *layer;
        let learnt = NormPrelu { weight, bias, slope };
        let [norm_weight, norm_bias, slope] =
            instance_norm::backward_in_place(this.maps, this.mean, this.inverse, learnt, gradient);
        let seen: Vec<_> = earlier
            .iter()
            .zip(layers)
            .map(|(held, layer)| Seen::new(held.maps, held.mean, held.inverse, layer))
            .collect();
        let maps = stacked(x, &seen, shape.channels);
        let weight = conv::backward_weight_of_maps(&maps, this.maps, &shape.convolution(index));
        let bias = vec![0.0; shape.channels];
        found.push(LayerGradients { weight, bias, norm_weight, norm_bias, slope });
    }
    if at_x {
        gather_gradient(layers, 0, &held, gradient, shape);
    }
    found.reverse();
    found
}

/// Writes the gradient at the result of layer `from`, counted from 1, or at the block's input, which is 0, from the
/// gradients at the maps of all `later` layers. The last layer has none behind it: its gradient stays as it is.
fn gather_gradient(
    layers: &[Layer<'_>],
    from: usize,
    later: &[Held<'_>],
    gradient: &mut [f32],
    shape: &BlockShape,
) {
    for (place, held) in later.iter().enumerate() {
        // The layer right behind sees it as its newest maps, the next as its second newest.
        let (first, layer) = (place * shape.channels, from + place);
        let (weight, convolution) = (layers[layer].weight, shape.convolution(layer));
        let channels = first..first + shape.channels;
        conv::backward_input_into(held.maps, weight, &convolution, channels, place > 0, gradient);
    }
}
