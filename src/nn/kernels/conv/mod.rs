//! Two-dimensional convolution on plain slices: `[batch, channels, height, width]`, every axis contiguous, one group.
//!
//! Work is cut into parts whose sizes follow from the shape alone, and every sum has one order: the bits are the same on
//! any number of threads. They may differ between processors, whose multiply-add rounds once or twice.

mod gather;
pub(super) mod lanes;
mod layout;
mod maps;
mod of_weight;
pub(super) mod products;
pub(super) mod scratch;
mod shape;
mod sums;
#[cfg(test)]
mod tests;

use std::ops::Range;

use gather::{Gather, Shared, Target, Weights};
use lanes::Processor;
use layout::Axis;
use of_weight::OfWeight;

pub use maps::{Activation, ChannelActivation, Maps, Stack};
pub use products::with_vectors;
pub use shape::ConvShape;
pub use sums::{backward_bias, sums};

/// `x` `[batch, in, height, width]` with `weight` `[out, in, kernel]` and `bias` `[out]`: `[batch, out, height, width]`.
pub fn forward(x: &[f32], weight: &[f32], bias: Option<&[f32]>, shape: &ConvShape) -> Vec<f32> {
    forward_on(Processor::at_hand(), &[plain(x, shape)], weight, bias, shape)
}

/// [`forward`] of maps that are stacked along the input's channels.
pub fn forward_of_maps(
    maps: &[Maps<'_>],
    weight: &[f32],
    bias: Option<&[f32]>,
    shape: &ConvShape,
) -> Vec<f32> {
    forward_on(Processor::at_hand(), maps, weight, bias, shape)
}

fn plain<'a>(x: &'a [f32], shape: &ConvShape) -> Maps<'a> {
    Maps { values: x, channels: shape.in_channels, activation: None }
}

fn stack<'a>(maps: &'a [Maps<'a>], shape: &ConvShape) -> Stack<'a> {
    let stack = Stack { maps, plane: shape.in_height * shape.in_width };
    assert!(stack.fits(shape.batch, shape.in_channels), "values that do not fit {shape:?}");
    stack
}

fn forward_on(
    processor: Processor,
    maps: &[Maps<'_>],
    weight: &[f32],
    bias: Option<&[f32]>,
    shape: &ConvShape,
) -> Vec<f32> {
    shape.check();
    let fit = bias.is_none_or(|bias| bias.len() == shape.out_channels);
    let [_, weights, outputs] = shape.sizes();
    assert!(fit && weight.len() == weights, "values that do not fit {shape:?}");
    let taps = shape.taps();
    let [height, width] = shape.output();
    let gather = Gather {
        source: stack(maps, shape),
        batch: shape.batch,
        channels: shape.in_channels,
        outputs: shape.out_channels,
        rows: shape.forward_axis(0),
        columns: shape.forward_axis(1),
        weights: Weights {
            values: weight,
            output: shape.in_channels * taps,
            channel: taps,
            width: shape.kernel[1],
            taps,
        },
        bias,
        target: Target { height, width, first_row: 0, row_step: 1, column_phases: 1, add: false },
    };
    let mut values = Vec::with_capacity(outputs);
    if outputs > 0 {
        // SAFETY: the capacity is that of the whole result, and nobody else knows of it.
        unsafe { gather.write(processor, Shared::new(values.as_mut_ptr())) };
    }
    // SAFETY: one gather without phases has every row, and its columns are all of a row.
    unsafe { values.set_len(outputs) };
    values
}

/// The gradient of [`forward`] at `x`, from `gradient` at its result.
pub fn backward_input(gradient: &[f32], weight: &[f32], shape: &ConvShape) -> Vec<f32> {
    backward_input_on(Processor::at_hand(), gradient, weight, shape)
}

fn backward_input_on(processor: Processor, gradient: &[f32], weight: &[f32], shape: &ConvShape) -> Vec<f32> {
    let [inputs, ..] = shape.sizes();
    let mut values = Vec::with_capacity(inputs);
    // SAFETY: the capacity is that of the whole result, which is written, whole, by nobody else.
    unsafe {
        let (out, channels) = (Shared::new(values.as_mut_ptr()), 0..shape.in_channels);
        write_backward_input(processor, gradient, weight, shape, channels, false, out);
        values.set_len(inputs);
    }
    values
}

/// [`backward_input`] at some channels of `x`, into `out` `[batch, channels, height, width]`; with `add`, added to what is
/// there.
pub fn backward_input_into(
    gradient: &[f32],
    weight: &[f32],
    shape: &ConvShape,
    channels: Range<usize>,
    add: bool,
    out: &mut [f32],
) {
    let count = shape.batch * channels.len() * shape.in_height * shape.in_width;
    assert!(channels.end <= shape.in_channels && out.len() == count, "values that do not fit {shape:?}");
    let (processor, out) = (Processor::at_hand(), Shared::new(out.as_mut_ptr()));
    // SAFETY: `out` has the size of the result, is lent to nobody else, and holds values.
    unsafe { write_backward_input(processor, gradient, weight, shape, channels, add, out) };
}

/// # Safety
/// `out` must have room for the result, and values with `add`; nobody else may write or read it meanwhile.
unsafe fn write_backward_input(
    processor: Processor,
    gradient: &[f32],
    weight: &[f32],
    shape: &ConvShape,
    channels: Range<usize>,
    add: bool,
    out: Shared,
) {
    shape.check();
    let [_, weights, outputs] = shape.sizes();
    assert!([gradient.len(), weight.len()] == [outputs, weights], "values that do not fit {shape:?}");
    let count = shape.batch * channels.len() * shape.in_height * shape.in_width;
    if count == 0 {
        return;
    }
    if outputs == 0 {
        // SAFETY: as promised by the caller.
        unsafe { out.clear(if add { 0 } else { count }) };
        return;
    }
    let taps = shape.taps();
    let (rows, columns) = (shape.backward_axis(0), shape.backward_axis(1));
    let [height, width] = shape.output();
    let maps = [Maps { values: gradient, channels: shape.out_channels, activation: None }];
    for phase in 0..shape.stride[0].min(shape.in_height) {
        let gather = Gather {
            source: Stack { maps: &maps, plane: height * width },
            batch: shape.batch,
            channels: shape.out_channels,
            outputs: channels.len(),
            rows: Axis {
                outputs: (shape.in_height - phase).div_ceil(shape.stride[0]),
                taps: rows.taps.iter().filter(|tap| tap.phase == phase).copied().collect(),
                ..rows
            },
            columns: columns.clone(),
            weights: Weights {
                values: &weight[channels.start * taps..],
                output: taps,
                channel: shape.in_channels * taps,
                width: shape.kernel[1],
                taps,
            },
            bias: None,
            target: Target {
                height: shape.in_height,
                width: shape.in_width,
                first_row: phase,
                row_step: shape.stride[0],
                column_phases: shape.stride[1],
                add,
            },
        };
        // SAFETY: as promised by the caller. Every row has one phase, and every gather all phases of columns.
        unsafe { gather.write(processor, out) };
    }
}

/// The gradient of [`forward`] at its weight.
pub fn backward_weight(x: &[f32], gradient: &[f32], shape: &ConvShape) -> Vec<f32> {
    backward_weight_on(Processor::at_hand(), &[plain(x, shape)], gradient, shape)
}

/// The gradient of [`forward_of_maps`] at its weight.
pub fn backward_weight_of_maps(maps: &[Maps<'_>], gradient: &[f32], shape: &ConvShape) -> Vec<f32> {
    backward_weight_on(Processor::at_hand(), maps, gradient, shape)
}

fn backward_weight_on(
    processor: Processor,
    maps: &[Maps<'_>],
    gradient: &[f32],
    shape: &ConvShape,
) -> Vec<f32> {
    shape.check();
    let [inputs, weights, outputs] = shape.sizes();
    let source = stack(maps, shape);
    assert!(gradient.len() == outputs, "values that do not fit {shape:?}");
    if inputs * outputs == 0 {
        return vec![0.0; weights];
    }
    let of = OfWeight {
        source,
        gradient,
        batch: shape.batch,
        channels: shape.in_channels,
        outputs: shape.out_channels,
        rows: shape.forward_axis(0),
        columns: shape.forward_axis(1),
    };
    of.sum(processor)
}
