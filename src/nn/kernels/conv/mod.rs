//! Two-dimensional convolution on plain slices: `[batch, channels, height, width]`, every axis contiguous, one group.
//!
//! Work is cut into parts whose sizes follow from the shape alone, and every sum has one order: the bits are the same on
//! any number of threads. They may differ between processors, whose multiply-add rounds once or twice.

mod gather;
mod lanes;
mod layout;
mod of_weight;
mod products;
mod scratch;
#[cfg(test)]
mod tests;

use gather::{Gather, Shared, Target, Weights};
use lanes::Processor;
use layout::{Axis, Tap};
use of_weight::OfWeight;

/// Sizes of a convolution; pairs are (height, width).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvShape {
    pub batch: usize,
    pub in_channels: usize,
    pub out_channels: usize,
    pub in_height: usize,
    pub in_width: usize,
    pub kernel: [usize; 2],
    pub stride: [usize; 2],
    /// Zeros before and after each axis.
    pub padding: [[usize; 2]; 2],
    pub dilation: [usize; 2],
}

impl ConvShape {
    /// Height and width of the result; zero where the kernel does not fit.
    pub fn output(&self) -> [usize; 2] {
        [self.outputs(0), self.outputs(1)]
    }

    fn input(&self, axis: usize) -> usize {
        [self.in_height, self.in_width][axis]
    }

    fn outputs(&self, axis: usize) -> usize {
        let padded = self.input(axis) + self.padding[axis][0] + self.padding[axis][1];
        let reach = (self.kernel[axis] - 1) * self.dilation[axis] + 1;
        if padded < reach { 0 } else { (padded - reach) / self.stride[axis] + 1 }
    }

    fn taps(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }

    /// Sizes of the input, the weight and the result.
    fn sizes(&self) -> [usize; 3] {
        let [height, width] = self.output();
        [
            self.batch * self.in_channels * self.in_height * self.in_width,
            self.out_channels * self.in_channels * self.taps(),
            self.batch * self.out_channels * height * width,
        ]
    }

    /// What each output reads.
    fn forward_axis(&self, axis: usize) -> Axis {
        let tap = |kernel: usize| Tap {
            at: (kernel * self.dilation[axis]) as isize - self.padding[axis][0] as isize,
            kernel,
            phase: 0,
        };
        Axis {
            source: self.input(axis),
            outputs: self.outputs(axis),
            stride: self.stride[axis],
            taps: (0..self.kernel[axis]).map(tap).collect(),
        }
    }

    /// What the gradient of each input reads: input `i · stride + phase` reads outputs `i + at`.
    fn backward_axis(&self, axis: usize) -> Axis {
        let stride = self.stride[axis] as isize;
        let tap = |kernel: usize| {
            let distance = self.padding[axis][0] as isize - (kernel * self.dilation[axis]) as isize;
            // The phase that makes `phase + distance` a multiple of the stride.
            let phase = (-distance).rem_euclid(stride);
            Tap { at: (phase + distance) / stride, kernel, phase: phase as usize }
        };
        Axis {
            source: self.outputs(axis),
            outputs: self.input(axis).div_ceil(self.stride[axis]),
            stride: 1,
            taps: (0..self.kernel[axis]).map(tap).collect(),
        }
    }

    fn check(&self) {
        let positive = [self.kernel, self.stride, self.dilation].as_flattened().iter().all(|size| *size > 0);
        assert!(positive, "a convolution with a kernel, stride or dilation of zero: {self:?}");
    }
}

/// `x` `[batch, in, height, width]` with `weight` `[out, in, kernel]` and `bias` `[out]`: `[batch, out, height, width]`.
pub fn forward(x: &[f32], weight: &[f32], bias: Option<&[f32]>, shape: &ConvShape) -> Vec<f32> {
    forward_on(Processor::at_hand(), x, weight, bias, shape)
}

fn forward_on(
    processor: Processor,
    x: &[f32],
    weight: &[f32],
    bias: Option<&[f32]>,
    shape: &ConvShape,
) -> Vec<f32> {
    shape.check();
    let fit = bias.is_none_or(|bias| bias.len() == shape.out_channels);
    let [inputs, weights, outputs] = shape.sizes();
    assert!(fit && [x.len(), weight.len()] == [inputs, weights], "values that do not fit {shape:?}");
    let taps = shape.taps();
    let [height, width] = shape.output();
    let gather = Gather {
        source: x,
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
        target: Target { height, width, first_row: 0, row_step: 1, column_phases: 1 },
    };
    // SAFETY: one gather without phases has every row, and its columns are all of a row.
    unsafe { written(outputs, processor, &[gather]) }
}

/// The gradient of [`forward`] at `x`, from `gradient` at its result.
pub fn backward_input(gradient: &[f32], weight: &[f32], shape: &ConvShape) -> Vec<f32> {
    backward_input_on(Processor::at_hand(), gradient, weight, shape)
}

fn backward_input_on(processor: Processor, gradient: &[f32], weight: &[f32], shape: &ConvShape) -> Vec<f32> {
    shape.check();
    let [inputs, weights, outputs] = shape.sizes();
    assert!([gradient.len(), weight.len()] == [outputs, weights], "values that do not fit {shape:?}");
    if outputs == 0 {
        return vec![0.0; inputs];
    }
    let taps = shape.taps();
    let (rows, columns) = (shape.backward_axis(0), shape.backward_axis(1));
    let gathers: Vec<Gather> = (0..shape.stride[0].min(shape.in_height))
        .map(|phase| Gather {
            source: gradient,
            batch: shape.batch,
            channels: shape.out_channels,
            outputs: shape.in_channels,
            rows: Axis {
                outputs: (shape.in_height - phase).div_ceil(shape.stride[0]),
                taps: rows.taps.iter().filter(|tap| tap.phase == phase).copied().collect(),
                ..rows
            },
            columns: columns.clone(),
            weights: Weights {
                values: weight,
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
            },
        })
        .collect();
    // SAFETY: every row has one phase, and every gather all phases of columns.
    unsafe { written(inputs, processor, &gathers) }
}

/// # Safety
/// Together the gathers must write every one of `count` values.
unsafe fn written(count: usize, processor: Processor, gathers: &[Gather]) -> Vec<f32> {
    let mut values = Vec::with_capacity(count);
    if count > 0 {
        for gather in gathers {
            // SAFETY: the capacity is that of the whole result, and nobody else knows of it.
            unsafe { gather.write(processor, Shared::new(values.as_mut_ptr())) };
        }
    }
    // SAFETY: the caller promises that all of it was written.
    unsafe { values.set_len(count) };
    values
}

/// The gradient of [`forward`] at its weight.
pub fn backward_weight(x: &[f32], gradient: &[f32], shape: &ConvShape) -> Vec<f32> {
    backward_weight_on(Processor::at_hand(), x, gradient, shape)
}

fn backward_weight_on(processor: Processor, x: &[f32], gradient: &[f32], shape: &ConvShape) -> Vec<f32> {
    shape.check();
    let [inputs, weights, outputs] = shape.sizes();
    assert!([x.len(), gradient.len()] == [inputs, outputs], "values that do not fit {shape:?}");
    if inputs * outputs == 0 {
        return vec![0.0; weights];
    }
    let of = OfWeight {
        source: x,
        gradient,
        batch: shape.batch,
        channels: shape.in_channels,
        outputs: shape.out_channels,
        rows: shape.forward_axis(0),
        columns: shape.forward_axis(1),
    };
    of.sum(processor)
}
