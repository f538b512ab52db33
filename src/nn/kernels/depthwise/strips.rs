//! The two sums of a depthwise convolution, a vector of channels at a time.

use std::mem::MaybeUninit;

use super::super::conv::lanes::{LANES, Lanes};
use super::super::conv::products::Work;
use super::super::conv::scratch::Room;
use super::super::parts::Unwritten;

/// Sums in registers, where there are many of these.
const MANY: usize = 16;
/// Sums in registers, where there are few.
const FEW: usize = 4;

/// One element of the batch, `[positions, channels]`, a vector of channels at a time.
#[derive(Clone, Copy)]
pub struct Strips<'a> {
    pub values: &'a [f32],
    pub channels: usize,
    pub padding: [usize; 2],
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

/// Each output as a sum over the kernel's places.
pub struct Gather<'a> {
    pub strips: Strips<'a>,
    pub kernel: usize,
    /// `[vectors, kernel, LANES]`
    pub weight: &'a [f32],
    /// `[vectors, LANES]`
    pub start: &'a [f32],
    pub outputs: usize,
    pub room: &'a mut Room,
    /// `[outputs, channels]`, written whole.
    pub out: &'a mut Unwritten,
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
pub struct OfWeight<'a> {
    pub x: Strips<'a>,
    pub gradient: Strips<'a>,
    pub kernel: usize,
    pub outputs: usize,
    pub room: &'a mut Room,
    /// `[vectors, kernel + 1, LANES]`, the bias behind the kernel's places.
    pub sums: &'a mut [f32],
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
