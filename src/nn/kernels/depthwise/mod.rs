//! Convolution along the positions, each channel with a kernel of its own, on plain slices `[batch, length, channels]`.
//!
//! One vector of channels of one element of the batch is copied together, with the zeros around it, into the nearest
//! cache: there is no other padded copy, and every sum stays in registers for its whole length. Parts of the work follow
//! from the shape, and every sum has one order: the bits are the same on any number of threads. They may differ between
//! processors, whose multiply-add rounds once or twice.

mod strips;
#[cfg(test)]
mod tests;

use std::cell::RefCell;

use rayon::prelude::*;

use super::conv::lanes::{LANES, Processor};
use super::conv::products::run;
use super::conv::scratch::Room;
use super::parts::filled;
use strips::{Gather, OfWeight, Strips};

/// Groups of the batch that are enough for many cores; each has sums of the weight's gradient of its own.
const GROUPS: usize = 32;

/// Sizes of a depthwise convolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DepthwiseShape {
    pub batch: usize,
    /// Positions.
    pub length: usize,
    pub channels: usize,
    pub kernel: usize,
    /// Zeros before the first and after the last position, each fewer than the kernel has places.
    pub padding: [usize; 2],
}

impl DepthwiseShape {
    /// Positions of the result: as many as of the input where the padding is one less than the kernel.
    pub fn outputs(&self) -> usize {
        (self.length + self.padding[0] + self.padding[1] + 1).saturating_sub(self.kernel)
    }

    fn inputs(&self) -> usize {
        self.batch * self.length * self.channels
    }

    /// Vectors of channels.
    fn vectors(&self) -> usize {
        self.channels.div_ceil(LANES)
    }

    fn check(&self, x: &[f32], weight: &[f32]) {
        let padding = self.padding.iter().all(|padding| *padding < self.kernel);
        assert!(padding, "a padding as long as the kernel: {self:?}");
        let sizes = [self.inputs(), self.channels * self.kernel];
        assert!([x.len(), weight.len()] == sizes, "values that do not fit {self:?}");
    }

    /// Zeros around the gradient of the result, of which each input then reads as many as the kernel has places.
    fn turned_padding(&self) -> [usize; 2] {
        self.padding.map(|padding| self.kernel - 1 - padding)
    }
}

/// `x` `[batch, length, channels]` with `weight` `[channels, kernel]` and `bias` `[channels]`:
/// `y[b, n, c] = bias[c] + Σₖ weight[c, k] · x[b, n + k - padding[0], c]`, `[batch, outputs, channels]`.
pub fn depthwise(x: &[f32], weight: &[f32], bias: &[f32], shape: &DepthwiseShape) -> Vec<f32> {
    depthwise_on(Processor::at_hand(), x, weight, bias, shape)
}

fn depthwise_on(
    processor: Processor,
    x: &[f32],
    weight: &[f32],
    bias: &[f32],
    shape: &DepthwiseShape,
) -> Vec<f32> {
    shape.check(x, weight);
    assert_eq!(bias.len(), shape.channels, "a bias that does not fit {shape:?}");
    let (channels, outputs) = (shape.channels, shape.outputs());
    let weight = by_vector(shape, |channel, place| weight[channel * shape.kernel + place]);
    let mut start = bias.to_vec();
    start.resize(shape.vectors() * LANES, 0.0);
    let (input, output) = (shape.length * channels, outputs * channels);
    // SAFETY: a gather writes all channels of all its outputs.
    unsafe {
        filled(shape.batch * output, output.max(1), |index, out| {
            let strips = Strips { values: &x[index * input..][..input], channels, padding: shape.padding };
            with_room(|room| {
                let (kernel, weight, start) = (shape.kernel, &weight, &start);
                run(processor, Gather { strips, kernel, weight, start, outputs, room, out });
            });
        })
    }
}

/// Gradients of [`depthwise`] at `x`, the weight and the bias, from `gradient` at its result.
pub fn depthwise_backward(
    x: &[f32],
    weight: &[f32],
    gradient: &[f32],
    shape: &DepthwiseShape,
) -> (Vec<f32>, Vec<f32>, Vec<f32>) {
    depthwise_backward_on(Processor::at_hand(), x, weight, gradient, shape)
}

fn depthwise_backward_on(
    processor: Processor,
    x: &[f32],
    weight: &[f32],
    gradient: &[f32],
    shape: &DepthwiseShape,
) -> (Vec<f32>, Vec<f32>, Vec<f32>) {
    shape.check(x, weight);
    let DepthwiseShape { batch, length, channels, kernel, padding } = *shape;
    let outputs = shape.outputs();
    assert_eq!(gradient.len(), batch * outputs * channels, "a gradient that does not fit {shape:?}");
    let (mut of_weight, mut of_bias) = (vec![0.0; weight.len()], vec![0.0; channels]);
    if x.is_empty() || gradient.is_empty() {
        return (vec![0.0; x.len()], of_weight, of_bias);
    }
    let turned = by_vector(shape, |channel, place| weight[channel * kernel + kernel - 1 - place]);
    let start = vec![0.0; shape.vectors() * LANES];
    let (input, output) = (length * channels, outputs * channels);

    let group = batch.div_ceil(GROUPS);
    let mut of_x = Vec::with_capacity(x.len());
    let inputs = x.par_chunks(group * input).zip(gradient.par_chunks(group * output));
    let sums: Vec<Vec<f32>> = inputs
        .zip(of_x.spare_capacity_mut()[..x.len()].par_chunks_mut(group * input))
        .map(|((x, gradient), of_x)| {
            // Per vector of channels the kernel's places and the bias.
            let mut sums = vec![0.0; shape.vectors() * (kernel + 1) * LANES];
            let elements = x.chunks_exact(input).zip(gradient.chunks_exact(output));
            for ((x, gradient), out) in elements.zip(of_x.chunks_exact_mut(input)) {
                let strips = Strips { values: gradient, channels, padding: shape.turned_padding() };
                let (weight, start) = (&turned, &start);
                let x = Strips { values: x, channels, padding };
                let gradient = Strips { padding: [0, 0], ..strips };
                with_room(|room| {
                    run(processor, Gather { strips, kernel, weight, start, outputs: length, room, out });
                    run(processor, OfWeight { x, gradient, kernel, outputs, room, sums: &mut sums });
                });
            }
            sums
        })
        .collect();
    // SAFETY: the capacity is that of `x`, and a gather writes all channels of all its outputs.
    unsafe { of_x.set_len(x.len()) };
    for sums in sums {
        for channel in 0..channels {
            let at = channel / LANES * (kernel + 1) * LANES + channel % LANES;
            for (place, total) in of_weight[channel * kernel..][..kernel].iter_mut().enumerate() {
                *total += sums[at + place * LANES];
            }
            of_bias[channel] += sums[at + kernel * LANES];
        }
    }
    (of_x, of_weight, of_bias)
}

/// A weight as `[vectors, kernel, LANES]`, zeros where channels end.
fn by_vector(shape: &DepthwiseShape, weight: impl Fn(usize, usize) -> f32) -> Vec<f32> {
    let mut values = vec![0.0; shape.vectors() * shape.kernel * LANES];
    for channel in 0..shape.channels {
        for place in 0..shape.kernel {
            values[(channel / LANES * shape.kernel + place) * LANES + channel % LANES] =
                weight(channel, place);
        }
    }
    values
}

thread_local! {
    static ROOM: RefCell<Room> = RefCell::default();
}

/// Lends memory that the thread keeps; `work` must not ask for it again.
fn with_room(work: impl FnOnce(&mut Room)) {
    ROOM.with_borrow_mut(work);
}
