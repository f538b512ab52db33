//! Self-attention with relative positions (Shaw et al., 2018, as lucidrains' Conformer and CMGAN have it), on plain
//! slices, row-major, the positions of a batch one behind the other.
//!
//! For each element of the batch and each head, over positions i and j:
//! `logit[i, j] = (q_i · k_j + q_i · table[clamp(i - j, ±reach) + reach]) / √width`, `out_i = Σⱼ softmax(logit[i])_j · v_j`.
//!
//! The `length²` weights exist only for 16 rows of one head at a time, in the cache; the gradient computes them anew. The
//! products with the table are taken once per distance and read askew: in a block of rows, row r's products begin one
//! value before those of row r - 1.
//!
//! One part of the work is one element of the batch, or a group of them whose size follows from the shape, and every sum
//! has one order: the bits are the same on any number of threads. They may differ between processors, whose
//! multiply-add rounds once or twice.

mod backward;
mod forward;
mod product;
pub(super) mod softmax;
mod table;
#[cfg(test)]
mod tests;

use std::cell::RefCell;

use super::conv::lanes::{LANES, Lanes, Processor};
use super::conv::products::{Rows, Work};
use super::conv::scratch::Room;
use super::parts::filled;
use table::Distances;

/// Sizes of an attention.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttentionShape {
    pub batch: usize,
    /// Positions, each of which attends to each.
    pub length: usize,
    pub heads: usize,
    /// Channels of one head.
    pub width: usize,
    /// The longest distance that the table tells from longer ones.
    pub reach: usize,
}

impl AttentionShape {
    /// Channels of a position.
    fn channels(&self) -> usize {
        self.heads * self.width
    }

    /// Values of one element of the batch.
    fn element(&self) -> usize {
        self.length * self.channels()
    }

    /// From one row of logits to the next: whole vectors, an odd number of them, so that rows do not fall onto the same
    /// lines of the cache.
    fn stride(&self) -> usize {
        odd_vectors(self.length)
    }

    /// The width, rounded up to whole vectors.
    fn padded_width(&self) -> usize {
        self.width.next_multiple_of(LANES)
    }

    fn check(&self, q: &[f32], kv: &[f32], table: &[f32]) {
        let sizes =
            [self.batch * self.element(), 2 * self.batch * self.element(), (2 * self.reach + 1) * self.width];
        assert!([q.len(), kv.len(), table.len()] == sizes, "values that do not fit {self:?}");
    }
}

/// The smallest odd number of vectors that holds `count` values, in values.
fn odd_vectors(count: usize) -> usize {
    (count.div_ceil(LANES) | 1) * LANES
}

/// `q` `[batch · length, heads · width]`, `kv` `[batch · length, 2 · heads · width]` (keys, then values, head by head),
/// `table` `[2 · reach + 1, width]`, shared by the heads: `[batch · length, heads · width]`.
pub fn attention(q: &[f32], kv: &[f32], table: &[f32], shape: &AttentionShape) -> Vec<f32> {
    attention_on(Processor::at_hand(), q, kv, table, shape)
}

fn attention_on(
    processor: Processor,
    q: &[f32],
    kv: &[f32],
    table: &[f32],
    shape: &AttentionShape,
) -> Vec<f32> {
    shape.check(q, kv, table);
    let distances = Distances::new(shape);
    let mut room = Room::default();
    let turned = room.take(shape.width * distances.count);
    distances.turn(table, turned);
    let element = shape.element();
    // SAFETY: every head writes its channels of every position.
    unsafe {
        filled(q.len(), element.max(1), |index, out| {
            let (q, kv) = (&q[index * element..][..element], &kv[2 * index * element..][..2 * element]);
            with_room(|room| forward::element(processor, shape, [q, kv, turned], room, out));
        })
    }
}

/// Gradients of [`attention`] at `q`, `kv` and `table`, from `gradient` at its result.
pub fn attention_backward(
    q: &[f32],
    kv: &[f32],
    table: &[f32],
    gradient: &[f32],
    shape: &AttentionShape,
) -> (Vec<f32>, Vec<f32>, Vec<f32>) {
    attention_backward_on(Processor::at_hand(), [q, kv, table, gradient], shape)
}

fn attention_backward_on(
    processor: Processor,
    [q, kv, table, gradient]: [&[f32]; 4],
    shape: &AttentionShape,
) -> (Vec<f32>, Vec<f32>, Vec<f32>) {
    shape.check(q, kv, table);
    assert_eq!(q.len(), gradient.len(), "a gradient that does not fit {shape:?}");
    backward::all(processor, shape, [q, kv, table, gradient])
}

thread_local! {
    static ROOM: RefCell<Room> = RefCell::default();
}

/// Lends memory that the thread keeps; `work` must not ask for it again.
pub(super) fn with_room<T>(work: impl FnOnce(&mut Room) -> T) -> T {
    ROOM.with_borrow_mut(work)
}

/// Cuts `values` into slices of the given sizes.
pub(super) fn cut<const N: usize>(values: &mut [f32], sizes: [usize; N]) -> [&mut [f32]; N] {
    let mut rest = values;
    sizes.map(|size| rest.split_off_mut(..size).expect("room for all slices"))
}

/// Channels `first..first + width` of the `length` positions in `values`, each `channels` long.
#[derive(Clone, Copy)]
struct Channels<'a> {
    values: &'a [f32],
    channels: usize,
    first: usize,
    width: usize,
}

impl Channels<'_> {
    fn positions(&self) -> impl Iterator<Item = &[f32]> {
        self.values.chunks_exact(self.channels).map(|row| &row[self.first..][..self.width])
    }

    /// Copies position by position, each filled up with zeros to whole vectors.
    fn pack(&self, out: &mut [f32]) {
        let padded = self.width.next_multiple_of(LANES);
        for (row, out) in self.positions().zip(out.chunks_exact_mut(padded)) {
            out[..self.width].copy_from_slice(row);
            out[self.width..].fill(0.0);
        }
    }
}

/// Writes [`Channels`] times a factor as rows of `stride` values, channel by channel, filled up with zeros.
struct Turn<'a> {
    from: Channels<'a>,
    factor: f32,
    stride: usize,
    out: &'a mut [f32],
}

impl Work for Turn<'_> {
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let Self { from, factor, stride, out } = self;
        let length = from.values.len() / from.channels;
        for first in (0..length).step_by(LANES) {
            let count = LANES.min(length - first);
            let rows = Rows {
                values: from.values,
                first: first * from.channels + from.first,
                stride: from.channels,
                count,
            };
            // SAFETY: the caller's processor has the instructions.
            unsafe { rows.turn::<L>(from.width, &mut out[first..], stride) };
        }
        for row in out.chunks_exact_mut(stride) {
            row[..length].iter_mut().for_each(|value| *value *= factor);
            row[length..].fill(0.0);
        }
    }
}
