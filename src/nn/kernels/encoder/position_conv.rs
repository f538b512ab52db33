//! A convolution over the tokens of each sequence, in groups of channels, that is added to its input behind a GELU
//! (wav2vec 2.0, arXiv 2006.11477).
//!
//! A sequence's channels of one group are gathered once, each channel's tokens side by side between zeros: a tile's
//! left factor as it is, whose terms are a tap further on in the same memory.

use rayon::prelude::*;

use super::super::attention::{cut, with_room};
use super::super::conv::lanes::{LANES, Lanes, Processor};
use super::super::conv::products::{Rows, Work, run};
use super::super::conv::scratch::Room;
use super::gelu::gelu;
use super::pack::{Columns, panel_size};
use super::tile::{Left, ROWS, STEP, Start, Tile};
use super::{Shared, written};

/// Sizes of the convolution, and its parameters.
#[derive(Debug, Clone, Copy)]
pub struct PositionConv<'a> {
    /// Of a sequence.
    pub tokens: usize,
    pub groups: usize,
    /// Even; half of it zeros before the first token, one less behind the last.
    pub kernel: usize,
    /// `[channels, channels / groups, kernel]`
    pub weight: &'a [f32],
    /// `[channels]`
    pub bias: &'a [f32],
}

/// `x` + gelu(conv(`x`)), `x` `[rows, channels]`.
pub fn position_conv(x: &[f32], conv: PositionConv<'_>) -> Vec<f32> {
    position_conv_on(Processor::at_hand(), x, conv)
}

pub fn position_conv_on(processor: Processor, x: &[f32], conv: PositionConv<'_>) -> Vec<f32> {
    let PositionConv { tokens, groups, kernel, weight, bias } = conv;
    let channels = bias.len();
    assert!(
        groups > 0 && channels > 0 && channels.is_multiple_of(groups),
        "{channels} channels in {groups} groups"
    );
    let width = channels / groups;
    assert!(kernel > 0 && kernel.is_multiple_of(2), "a kernel of {kernel} taps has no halves");
    assert_eq!(weight.len(), channels * width * kernel, "a weight that does not fit {channels} channels");
    assert!(tokens > 0 && x.len().is_multiple_of(tokens * channels), "rows that do not fit {tokens} tokens");
    let x = Columns::all(x, channels);
    let vectors = width.div_ceil(LANES);
    // SAFETY: the vectors of all groups are all columns, and each part writes its own in all rows.
    unsafe {
        written(x.rows() * channels, |out| {
            (0..groups * vectors).into_par_iter().for_each(|index| {
                let (group, first) = (index / vectors * width, index % vectors * LANES);
                let outputs = LANES.min(width - first);
                let part = Part { conv, x: x.part(group, width), first, outputs, out, channels };
                with_room(|room| run(processor, PartWork { part, room }));
            });
        })
    }
}

/// A vector of outputs of one group, of all sequences.
struct Part<'a> {
    conv: PositionConv<'a>,
    /// The group's columns.
    x: Columns<'a>,
    /// Of the vector, among the group's columns.
    first: usize,
    outputs: usize,
    out: Shared,
    channels: usize,
}

struct PartWork<'a> {
    part: Part<'a>,
    /// For the while.
    room: &'a mut Room,
}

impl Work for PartWork<'_> {
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let Part { conv, x, first, outputs, out, channels } = self.part;
        let PositionConv { tokens, kernel, weight, bias, .. } = conv;
        let width = x.width;
        let terms = width * kernel;
        let column = x.first + first;
        // From one channel to the next: all tokens that a tile may ask for or a turned block write.
        let longest = tokens.next_multiple_of(ROWS).max(tokens.next_multiple_of(LANES));
        let stride = (longest + kernel).next_multiple_of(LANES);
        let sizes = [panel_size(terms), width * stride];
        let [panel, maps] = cut(self.room.take(sizes.iter().sum()), sizes);
        let rows = Rows { values: weight, first: column * terms, stride: terms, count: outputs };
        // SAFETY: the caller's processor has the instructions, as in all that follows.
        unsafe { rows.turn::<L>(terms, panel, LANES) };
        let mut start = [0.0; LANES];
        start[..outputs].copy_from_slice(&bias[column..][..outputs]);
        for sequence in 0..x.rows() / tokens {
            let x = x.of_rows(sequence * tokens..(sequence + 1) * tokens);
            maps.fill(0.0);
            for token in (0..tokens).step_by(LANES) {
                // SAFETY: as above.
                unsafe { x.block(token).turn::<L>(width, &mut maps[kernel / 2 + token..], stride) };
            }
            for token in (0..tokens).step_by(ROWS) {
                let count = ROWS.min(tokens - token);
                let mut sums = [0.0; ROWS * LANES];
                let left = Left::<1> { values: maps, first: token, runs: width, run: stride, terms: kernel };
                // SAFETY: as above; there is room for as many rows as a tile has.
                unsafe {
                    Tile {
                        rows: count.next_multiple_of(STEP),
                        left,
                        right: panel,
                        columns: LANES,
                        start: Start::Row(&start),
                        out: sums.as_mut_ptr(),
                        stride: LANES,
                    }
                    .run::<L>();
                }
                sums.iter_mut().for_each(|value| *value = gelu::<L>(*value));
                for (row, sums) in sums.chunks_exact(LANES).enumerate().take(count) {
                    let from = &x.row(token + row)[first..][..outputs];
                    let row = sequence * tokens + token + row;
                    for (index, (value, sum)) in from.iter().zip(sums).enumerate() {
                        // SAFETY: these columns of the result are this part's alone.
                        unsafe { out.at(row * channels + column + index).write(value + sum) };
                    }
                }
            }
        }
    }
}
