//! Sizes of a convolution, and what they mean for each axis.

use super::layout::{Axis, Tap};

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

    pub fn input(&self, axis: usize) -> usize {
        [self.in_height, self.in_width][axis]
    }

    pub fn outputs(&self, axis: usize) -> usize {
        let padded = self.input(axis) + self.padding[axis][0] + self.padding[axis][1];
        let reach = (self.kernel[axis] - 1) * self.dilation[axis] + 1;
        if padded < reach { 0 } else { (padded - reach) / self.stride[axis] + 1 }
    }

    pub fn taps(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }

    /// Sizes of the input, the weight and the result.
    pub fn sizes(&self) -> [usize; 3] {
        let [height, width] = self.output();
        [
            self.batch * self.in_channels * self.in_height * self.in_width,
            self.out_channels * self.in_channels * self.taps(),
            self.batch * self.out_channels * height * width,
        ]
    }

    /// What each output reads.
    pub fn forward_axis(&self, axis: usize) -> Axis {
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
    pub fn backward_axis(&self, axis: usize) -> Axis {
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

    pub fn check(&self) {
        let positive = [self.kernel, self.stride, self.dilation].as_flattened().iter().all(|size| *size > 0);
        assert!(positive, "a convolution with a kernel, stride or dilation of zero: {self:?}");
    }
}
