//! The attention's gradients, a fixed group of the batch's elements at a time.

use std::mem::MaybeUninit;

use rayon::prelude::*;

use super::super::conv::lanes::{LANES, Lanes, Processor};
use super::super::conv::products::{self, Work, run};
use super::super::conv::scratch::Room;
use super::super::parts::Unwritten;
use super::forward::{BLOCK, Logits};
use super::product::{Left, Product, Rows, RowsMut, Start};
use super::softmax::{Gradient, SKEW};
use super::table::{Distances, scale};
use super::{AttentionShape, Channels, Turn, cut, with_room};

/// Groups of the batch that are enough for many cores; each has a sum of the table's gradient of its own.
const GROUPS: usize = 32;

/// What all parts read.
struct Shared<'a> {
    processor: Processor,
    shape: &'a AttentionShape,
    distances: Distances,
    /// As [`Distances::turn`] lays it.
    turned: &'a [f32],
    /// As [`Distances::pack`] lays it.
    packed: &'a [f32],
}

/// One element of the batch: `q` and `gradient` `[length, channels]`, `kv` `[length, 2 · channels]`.
#[derive(Clone, Copy)]
struct Element<'a> {
    q: &'a [f32],
    kv: &'a [f32],
    gradient: &'a [f32],
}

/// Memory for one head, see [`Shared::head`].
struct Buffers<'a> {
    /// Keys and values as [`Turn`] lays them, and the gradients there.
    keys: &'a mut [f32],
    values: &'a mut [f32],
    of_keys: &'a mut [f32],
    of_values: &'a mut [f32],
    /// Keys position by position.
    packed: &'a mut [f32],
    /// Blocks of rows: products with distances or gradients at logits, askew; powers of logits; gradients at weights.
    skewed: &'a mut [f32],
    powers: &'a mut [f32],
    of_weights: &'a mut [f32],
    /// Queries or rows of the gradient as [`Turn`] lays them; rows of the gradient over the sums of powers.
    turned: &'a mut [f32],
    weighted: &'a mut [f32],
    /// Rows of the gradient at the queries.
    of_q: &'a mut [f32],
}

/// Gradients at `q`, `kv` and the table.
pub fn all(
    processor: Processor,
    shape: &AttentionShape,
    [q, kv, table, gradient]: [&[f32]; 4],
) -> (Vec<f32>, Vec<f32>, Vec<f32>) {
    let distances = Distances::new(shape);
    let mut room = Room::default();
    let sizes = [shape.width * distances.count, shape.padded_width() * distances.count];
    let [turned, packed] = cut(room.take(sizes.iter().sum()), sizes);
    distances.turn(table, turned);
    distances.pack(table, packed);
    let shared = Shared { processor, shape, distances, turned, packed };

    let mut of_table = vec![0.0; table.len()];
    let (mut of_q, mut of_kv) = (Vec::with_capacity(q.len()), Vec::with_capacity(kv.len()));
    if !q.is_empty() {
        let part = shape.batch.div_ceil(GROUPS) * shape.element();
        let out = of_q.spare_capacity_mut()[..q.len()].par_chunks_mut(part);
        let out = out.zip(of_kv.spare_capacity_mut()[..kv.len()].par_chunks_mut(2 * part));
        let inputs = q.par_chunks(part).zip(kv.par_chunks(2 * part)).zip(gradient.par_chunks(part));
        let sums: Vec<Vec<f32>> = inputs
            .zip(out)
            .map(|(((q, kv), gradient), (of_q, of_kv))| {
                with_room(|room| shared.group(Element { q, kv, gradient }, room, of_q, of_kv))
            })
            .collect();
        let met = &mut of_table[shared.distances.rows().start * shape.width..];
        for sums in sums {
            met.iter_mut().zip(sums).for_each(|(total, sum)| *total += sum);
        }
    }
    // SAFETY: the capacities are those of the lengths, and every group writes all of its parts.
    unsafe {
        of_q.set_len(q.len());
        of_kv.set_len(kv.len());
    }
    (of_q, of_kv, of_table)
}

impl Shared<'_> {
    /// Writes the gradients at a whole group's `q` and `kv`; returns that at the rows of the table that are met.
    fn group(
        &self,
        of: Element<'_>,
        room: &mut Room,
        of_q: &mut Unwritten,
        of_kv: &mut Unwritten,
    ) -> Vec<f32> {
        let AttentionShape { length, width, .. } = *self.shape;
        let (padded, stride) = (self.shape.padded_width(), self.shape.stride());
        let turned = width * stride;
        let sizes = [
            width * self.distances.count,
            turned,
            turned,
            turned,
            turned,
            length * padded,
            BLOCK * Logits::skewed_stride(self.shape),
            BLOCK * stride,
            BLOCK * stride,
            BLOCK * width,
            BLOCK * width,
            BLOCK * padded,
        ];
        let [
            of_distances,
            keys,
            values,
            of_keys,
            of_values,
            packed,
            skewed,
            powers,
            of_weights,
            block,
            weighted,
            rows,
        ] = cut(room.take(sizes.iter().sum()), sizes);
        let mut buffers = Buffers {
            keys,
            values,
            of_keys,
            of_values,
            packed,
            skewed,
            powers,
            of_weights,
            turned: block,
            weighted,
            of_q: rows,
        };
        of_distances.fill(0.0);
        let element = self.shape.element();
        let inputs = of.q.chunks_exact(element).zip(of.kv.chunks_exact(2 * element));
        let inputs = inputs.zip(of.gradient.chunks_exact(element));
        let out = of_q.chunks_exact_mut(element).zip(of_kv.chunks_exact_mut(2 * element));
        for (((q, kv), gradient), (of_q, of_kv)) in inputs.zip(out) {
            for head in 0..self.shape.heads {
                self.head(Element { q, kv, gradient }, head, &mut buffers, of_distances, of_q);
                self.write_turned(head * width, scale(width), buffers.of_keys, buffers.powers, of_kv);
                let first = self.shape.channels() + head * width;
                self.write_turned(first, 1.0, buffers.of_values, buffers.powers, of_kv);
            }
        }
        self.distances.fold(of_distances, scale(width))
    }

    /// Writes the gradient at the queries of one head, leaves those at its keys (without the scale of logits) and values
    /// in the buffers, and adds that at the distances to `of_distances`.
    fn head(
        &self,
        of: Element<'_>,
        head: usize,
        buffers: &mut Buffers<'_>,
        of_distances: &mut [f32],
        of_q: &mut Unwritten,
    ) {
        let (processor, shape) = (self.processor, self.shape);
        let AttentionShape { length, width, .. } = *shape;
        let (channels, padded, stride) = (shape.channels(), shape.padded_width(), shape.stride());
        let skewed_stride = Logits::skewed_stride(shape);
        let Buffers {
            keys,
            values,
            of_keys,
            of_values,
            packed,
            skewed,
            powers,
            of_weights,
            turned,
            weighted,
            of_q: rows_of_q,
        } = buffers;
        let channels_of = |first: usize| Channels { values: of.kv, channels: 2 * channels, first, width };
        let from = channels_of(head * width);
        run(processor, Turn { from, factor: 1.0, stride, out: keys });
        from.pack(packed);
        let from = channels_of(channels + head * width);
        run(processor, Turn { from, factor: 1.0, stride, out: values });
        of_keys.fill(0.0);
        of_values.fill(0.0);
        let logits =
            Logits { processor, shape, q: of.q, keys, table: self.turned, distances: &self.distances, head };
        for first in (0..length).step_by(BLOCK) {
            let rows = BLOCK.min(length - first);
            let mut inverses = [0.0; BLOCK];
            let inverses = &mut inverses[..rows];
            logits.exponentials(first, inverses, [&mut **turned, &mut **skewed, &mut **powers]);
            let gradient = Channels {
                values: &of.gradient[first * channels..][..rows * channels],
                channels,
                first: head * width,
                width,
            };
            run(processor, Turn { from: gradient, factor: 1.0, stride: BLOCK, out: turned });
            run(
                processor,
                Product {
                    rows,
                    vectors: stride / LANES,
                    terms: width,
                    left: Left::Turned(Rows { values: turned, first: 0, row: BLOCK }),
                    right: Rows { values, first: 0, row: stride },
                    start: Start::Zeros,
                    out: RowsMut { values: of_weights, first: 0, row: stride },
                },
            );
            run(processor, Gradient { powers, inverses, of_weights, stride, skewed, skewed_stride });
            let weighted_rows = weighted.chunks_exact_mut(width).zip(&*inverses);
            for (row, (weighted, inverse)) in gradient.positions().zip(weighted_rows) {
                weighted.iter_mut().zip(row).for_each(|(weighted, value)| *weighted = value * inverse);
            }
            let queries =
                Left::Turned(Rows { values: of.q, first: first * channels + head * width, row: channels });
            let of_logits = Rows { values: skewed, first: SKEW, row: skewed_stride - 1 };
            // At the values: weightsᵀ · gradient.
            run(
                processor,
                Product {
                    rows: width,
                    vectors: stride / LANES,
                    terms: rows,
                    left: Left::Turned(Rows { values: weighted, first: 0, row: width }),
                    right: Rows { values: powers, first: 0, row: stride },
                    start: Start::Out,
                    out: RowsMut { values: of_values, first: 0, row: stride },
                },
            );
            // At the keys: (gradient at the logits)ᵀ · queries; at the distances the same, read straight.
            run(
                processor,
                Product {
                    rows: width,
                    vectors: stride / LANES,
                    terms: rows,
                    left: queries,
                    right: of_logits,
                    start: Start::Out,
                    out: RowsMut { values: of_keys, first: 0, row: stride },
                },
            );
            let column = self.distances.base - first;
            run(
                processor,
                Product {
                    rows: width,
                    vectors: stride / LANES + 1,
                    terms: rows,
                    left: queries,
                    right: Rows { values: skewed, first: 0, row: skewed_stride },
                    start: Start::Out,
                    out: RowsMut { values: of_distances, first: column, row: self.distances.count },
                },
            );
            // At the queries: gradient at the logits · keys, and · table, where columns before and after are zeros.
            run(
                processor,
                Product {
                    rows,
                    vectors: padded / LANES,
                    terms: length,
                    left: Left::Straight(of_logits),
                    right: Rows { values: packed, first: 0, row: padded },
                    start: Start::Zeros,
                    out: RowsMut { values: rows_of_q, first: 0, row: padded },
                },
            );
            let before = BLOCK - rows;
            run(
                processor,
                Product {
                    rows,
                    vectors: padded / LANES,
                    terms: SKEW + length - before,
                    left: Left::Straight(Rows { values: skewed, first: before, row: skewed_stride }),
                    right: Rows { values: self.packed, first: (column + before) * padded, row: padded },
                    start: Start::Out,
                    out: RowsMut { values: rows_of_q, first: 0, row: padded },
                },
            );
            let out = of_q[first * channels..].chunks_exact_mut(channels).take(rows);
            for (row, out) in rows_of_q.chunks_exact(padded).zip(out) {
                write(row, scale(width), &mut out[head * width..][..width]);
            }
        }
    }

    /// Writes a head's gradient at keys or values, which lies as [`Turn`] lays them, times `scale`, as the channels from
    /// `first` on of every position; `copy` is for the while.
    fn write_turned(&self, first: usize, scale: f32, turned: &[f32], copy: &mut [f32], out: &mut Unwritten) {
        let AttentionShape { length, width, .. } = *self.shape;
        let row = 2 * self.shape.channels();
        for start in (0..width).step_by(LANES) {
            let count = LANES.min(width - start);
            let stride = self.shape.stride();
            let rows = products::Rows { values: turned, first: start * stride, stride, count };
            run(self.processor, Back { rows, length, out: copy });
            for (copy, out) in copy.chunks_exact(LANES).zip(out.chunks_exact_mut(row)) {
                write(copy, scale, &mut out[first + start..][..count]);
            }
        }
    }
}

/// The rows' columns as rows of one vector.
struct Back<'a> {
    rows: products::Rows<'a>,
    length: usize,
    out: &'a mut [f32],
}

impl Work for Back<'_> {
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        // SAFETY: the caller's processor has the instructions.
        unsafe { self.rows.turn::<L>(self.length, self.out, LANES) };
    }
}

/// Writes as many of `values` as `out` has room for, times `scale`.
fn write(values: &[f32], scale: f32, out: &mut Unwritten) {
    for (out, value) in out.iter_mut().zip(values) {
        *out = MaybeUninit::new(value * scale);
    }
}
