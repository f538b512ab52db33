//! The attention of one element of the batch.

use std::mem::MaybeUninit;

use super::super::conv::lanes::{LANES, Processor};
use super::super::conv::products::run;
use super::super::conv::scratch::Room;
use super::super::parts::Unwritten;
use super::product::{Left, Product, Rows, RowsMut, Start};
use super::softmax::{Exponentials, SKEW};
use super::table::{Distances, logit_scale};
use super::{AttentionShape, Channels, Turn, cut};

/// Rows of logits that are computed together.
pub const BLOCK: usize = LANES;

/// What the logits of a head are products of.
pub struct Logits<'a> {
    pub processor: Processor,
    pub shape: &'a AttentionShape,
    /// `[length, channels]` of one element of the batch.
    pub q: &'a [f32],
    /// As [`Turn`] lays the keys of one head.
    pub keys: &'a [f32],
    /// As [`Distances::turn`] lays the table.
    pub table: &'a [f32],
    pub distances: &'a Distances,
    pub head: usize,
}

impl Logits<'_> {
    /// From one row of a block of products with distances to the next.
    pub fn skewed_stride(shape: &AttentionShape) -> usize {
        // Room for the skew, and again an odd number of vectors.
        shape.stride() + 2 * LANES
    }

    /// Powers of two of the logits of the block from position `first` on and 1 / their sums, a row each for `inverses`;
    /// `turned` and `skewed` are for the while.
    pub fn exponentials(
        &self,
        first: usize,
        inverses: &mut [f32],
        [turned, skewed, powers]: [&mut [f32]; 3],
    ) {
        let (shape, rows) = (self.shape, inverses.len());
        let (stride, skewed_stride) = (shape.stride(), Self::skewed_stride(shape));
        let from = Channels {
            values: &self.q[first * shape.channels()..][..rows * shape.channels()],
            channels: shape.channels(),
            first: self.head * shape.width,
            width: shape.width,
        };
        run(self.processor, Turn { from, factor: logit_scale(shape.width), stride: BLOCK, out: turned });
        let queries = Left::Turned(Rows { values: turned, first: 0, row: BLOCK });
        run(
            self.processor,
            Product {
                rows,
                vectors: stride / LANES + 1,
                terms: shape.width,
                left: queries,
                right: Rows {
                    values: self.table,
                    first: self.distances.base - first,
                    row: self.distances.count,
                },
                start: Start::Zeros,
                out: RowsMut { values: skewed, first: 0, row: skewed_stride },
            },
        );
        run(
            self.processor,
            Product {
                rows,
                vectors: stride / LANES,
                terms: shape.width,
                left: queries,
                right: Rows { values: self.keys, first: 0, row: stride },
                start: Start::Of(Rows { values: skewed, first: SKEW, row: skewed_stride - 1 }),
                out: RowsMut { values: powers, first: 0, row: stride },
            },
        );
        let rows = &mut powers[..rows * stride];
        run(self.processor, Exponentials { rows, stride, length: shape.length, inverses });
    }
}

/// Writes `out` `[length, channels]` whole, from the element's `q` and `kv` and the table as [`Distances::turn`] has it.
pub fn element(
    processor: Processor,
    shape: &AttentionShape,
    [q, kv, table]: [&[f32]; 3],
    room: &mut Room,
    out: &mut Unwritten,
) {
    let AttentionShape { length, width, .. } = *shape;
    let (channels, padded, stride) = (shape.channels(), shape.padded_width(), shape.stride());
    let distances = Distances::new(shape);
    let skewed_stride = Logits::skewed_stride(shape);
    let sizes = [
        width * stride,
        length * padded,
        BLOCK * width,
        BLOCK * skewed_stride,
        BLOCK * stride,
        BLOCK * padded,
    ];
    let [keys, values, turned, skewed, powers, sums] = cut(room.take(sizes.iter().sum()), sizes);
    for head in 0..shape.heads {
        let of = |first: usize| Channels { values: kv, channels: 2 * channels, first, width };
        run(processor, Turn { from: of(head * width), factor: 1.0, stride, out: keys });
        of(channels + head * width).pack(values);
        let logits = Logits { processor, shape, q, keys, table, distances: &distances, head };
        for first in (0..length).step_by(BLOCK) {
            let rows = BLOCK.min(length - first);
            let mut inverses = [0.0; BLOCK];
            logits.exponentials(first, &mut inverses[..rows], [&mut *turned, &mut *skewed, &mut *powers]);
            run(
                processor,
                Product {
                    rows,
                    vectors: padded / LANES,
                    terms: length,
                    left: Left::Straight(Rows { values: powers, first: 0, row: stride }),
                    right: Rows { values, first: 0, row: padded },
                    start: Start::Zeros,
                    out: RowsMut { values: sums, first: 0, row: padded },
                },
            );
            let out = out[first * channels..].chunks_exact_mut(channels);
            for ((sums, inverse), out) in sums.chunks_exact(padded).zip(&inverses[..rows]).zip(out) {
                for (out, sum) in out[head * width..][..width].iter_mut().zip(sums) {
                    *out = MaybeUninit::new(sum * inverse);
                }
            }
        }
    }
}
