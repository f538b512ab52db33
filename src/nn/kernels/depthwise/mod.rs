//! Convolution along the positions, each channel with a kernel of its own, on plain slices `[batch, length, channels]`.
//!
//! One vector of channels of one element of the batch is copied together, with the zeros around it, into the nearest
//! cache: there is no other padded copy, and every sum stays in registers for its whole length. Parts of the work follow
//! from the shape, and every sum has one order: the bits are the same on any number of threads. They may differ between
//! processors, whose multiply-add rounds once or twice.

#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::mem::MaybeUninit;

use rayon::prelude::*;

use super::conv::lanes::{LANES, Lanes, Processor};
use super::conv::products::{Work, run};
use super::conv::scratch::Room;
use super::parts::{Unwritten, filled};

/// Groups of the batch that are enough for many cores; each has sums of the weight's gradient of its own.
const GROUPS: usize = 32;
/// Sums in registers, where there are many of these.
const MANY: usize = 16;
/// Sums in registers, where there are few.
const FEW: usize = 4;

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

/// One element of the batch, `[positions, channels]`, a vector of channels at a time.
#[derive(Clone, Copy)]
struct Strips<'a> {
    values: &'a [f32],
    channels: usize,
    padding: [usize; 2],
}

impl Strips<'_> {
    fn vectors(&self) -> usize {
        self.channels.div_ceil(LANES)
    }

    fn positions(&self) -> usize {
        self.values.len() / self.channels
    }

    /// Positions with padding, and `more` that sums which nobody needs may read.
    fn rows(&self, more: usize) -> usize {
        self.positions() + self.padding[0] + self.padding[1] + more
    }

    /// Copies a vector of channels; zeros around it, and for channels that are not there.
    #[inline(always)]
    fn copy(&self, vector: usize, out: &mut [f32]) {
        let first = vector * LANES;
        let count = LANES.min(self.channels - first);
        let (before, rest) = out.split_at_mut(self.padding[0] * LANES);
        let (out, after) = rest.split_at_mut(self.positions() * LANES);
        before.fill(0.0);
        after.fill(0.0);
        let (out, _) = out.as_chunks_mut::<LANES>();
        if count == LANES {
            for (out, row) in out.iter_mut().zip(self.values.chunks_exact(self.channels)) {
                out.copy_from_slice(&row[first..][..LANES]);
            }
        } else {
            for (out, row) in out.iter_mut().zip(self.values.chunks_exact(self.channels)) {
                out[..count].copy_from_slice(&row[first..]);
                out[count..].fill(0.0);
            }
        }
    }
}

thread_local! {
    static ROOM: RefCell<Room> = RefCell::default();
}

/// Lends memory that the thread keeps; `work` must not ask for it again.
fn with_room(work: impl FnOnce(&mut Room)) {
    ROOM.with_borrow_mut(work);
}

/// Each output as a sum over the kernel's places.
struct Gather<'a> {
    strips: Strips<'a>,
    kernel: usize,
    /// `[vectors, kernel, LANES]`
    weight: &'a [f32],
    /// `[vectors, LANES]`
    start: &'a [f32],
    outputs: usize,
    room: &'a mut Room,
    /// `[outputs, channels]`, written whole.
    out: &'a mut Unwritten,
}

impl Work for Gather<'_> {
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        // SAFETY: the caller's processor has the instructions.
        unsafe { if L::MANY { self.all::<L, MANY>() } else { self.all::<L, FEW>() } }
    }
}

impl Gather<'_> {
    /// # Safety
    /// The processor must have the instructions of `L`.
    #[inline(always)]
    #[expect(clippy::needless_range_loop, reason = "the compiler keeps only plain indices in registers")]
    unsafe fn all<L: Lanes, const T: usize>(self) {
        let Self { strips, kernel, weight, start, outputs, room, out } = self;
        let channels = strips.channels;
        assert_eq!(out.len(), outputs * channels, "a result that does not fit");
        assert!(strips.rows(0) + 1 == outputs + kernel, "a kernel that does not fit");
        let strip = room.take(strips.rows(T) * LANES);
        for vector in 0..strips.vectors() {
            strips.copy(vector, strip);
            let weight = &weight[vector * kernel * LANES..][..kernel * LANES];
            let start = &start[vector * LANES..][..LANES];
            let count = LANES.min(channels - vector * LANES);
            for first in (0..outputs).step_by(T) {
                // SAFETY: the last sum reads row first + T - 1 + kernel - 1 < outputs + T + kernel - 1, which are the
                // strip's rows; the result has `outputs` rows of `channels` values, `count` of them from the
                // vector's first on.
                unsafe {
                    let strip = strip.as_ptr().add(first * LANES);
                    let weight = weight.as_ptr();
                    let mut sums = [L::load(start.as_ptr()); T];
                    // Two places at once: each row then is loaded for two sums.
                    for place in (0..kernel & !1).step_by(2) {
                        let (even, odd) =
                            (L::load(weight.add(place * LANES)), L::load(weight.add((place + 1) * LANES)));
                        let mut row = L::load(strip.add(place * LANES));
                        for t in 0..T {
                            let next = L::load(strip.add((place + t + 1) * LANES));
                            sums[t] = sums[t].plus_product(even, row).plus_product(odd, next);
                            row = next;
                        }
                    }
                    if kernel % 2 == 1 {
                        let last = L::load(weight.add((kernel - 1) * LANES));
                        for t in 0..T {
                            let row = L::load(strip.add((kernel - 1 + t) * LANES));
                            sums[t] = sums[t].plus_product(last, row);
                        }
                    }
                    let out = out.as_mut_ptr().add(first * channels + vector * LANES);
                    for t in 0..T {
                        if first + t < outputs {
                            put(sums[t], out.add(t * channels), count);
                        }
                    }
                }
            }
        }
    }
}

/// Stores the first `count` values.
///
/// # Safety
/// As for [`Lanes`], but with room for `count` values.
#[inline(always)]
unsafe fn put<L: Lanes>(values: L, out: *mut MaybeUninit<f32>, count: usize) {
    // SAFETY: as promised by the caller.
    unsafe {
        if count == LANES {
            values.store(out.cast());
        } else {
            let mut copy = [0.0; LANES];
            values.store(copy.as_mut_ptr());
            out.cast::<f32>().copy_from_nonoverlapping(copy.as_ptr(), count);
        }
    }
}

/// Adds one element's gradient at the weight and the bias.
struct OfWeight<'a> {
    x: Strips<'a>,
    gradient: Strips<'a>,
    kernel: usize,
    outputs: usize,
    room: &'a mut Room,
    /// `[vectors, kernel + 1, LANES]`, the bias behind the kernel's places.
    sums: &'a mut [f32],
}

impl Work for OfWeight<'_> {
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        // SAFETY: the caller's processor has the instructions.
        unsafe { if L::MANY { self.all::<L, MANY>() } else { self.all::<L, FEW>() } }
    }
}

impl OfWeight<'_> {
    /// # Safety
    /// The processor must have the instructions of `L`.
    #[inline(always)]
    #[expect(clippy::needless_range_loop, reason = "the compiler keeps only plain indices in registers")]
    unsafe fn all<L: Lanes, const T: usize>(self) {
        let Self { x, gradient, kernel, outputs, room, sums } = self;
        assert!(
            x.rows(0) + 1 == outputs + kernel && gradient.positions() == outputs,
            "a kernel that does not fit"
        );
        let room = room.take((x.rows(T) + outputs) * LANES);
        let (strip, gradients) = room.split_at_mut(x.rows(T) * LANES);
        for (vector, sums) in sums.chunks_exact_mut((kernel + 1) * LANES).enumerate() {
            x.copy(vector, strip);
            gradient.copy(vector, gradients);
            let (sums, of_bias) = sums.split_at_mut(kernel * LANES);
            for row in gradients.as_chunks::<LANES>().0 {
                of_bias.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
            }
            for (block, sums) in sums.chunks_mut(T * LANES).enumerate() {
                // SAFETY: the last sum reads row outputs - 1 + place, place < kernel + T - 1, of outputs + kernel - 1
                // + T; the sums that are stored lie in a block of T vectors at most.
                unsafe {
                    let strip = strip.as_ptr().add(block * T * LANES);
                    let mut held = [L::splat(0.0); T];
                    for n in 0..outputs {
                        let value = L::load(gradients.as_ptr().add(n * LANES));
                        for t in 0..T {
                            let row = L::load(strip.add((n + t) * LANES));
                            held[t] = held[t].plus_product(value, row);
                        }
                    }
                    let (sums, _) = sums.as_chunks_mut::<LANES>();
                    for t in 0..T {
                        if let Some(sums) = sums.get_mut(t) {
                            let mut part = [0.0; LANES];
                            held[t].store(part.as_mut_ptr());
                            sums.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
                        }
                    }
                }
            }
        }
    }
}
