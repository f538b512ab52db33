//! The gradient of a convolution at its weight: for every tap, a product of all pixels' sources and gradients.
//!
//! Gradients are turned so that 64 output channels of a pixel lie side by side; a tile of 6 taps by 64 channels stays in
//! registers while the pixels of a chunk go by. Pixels are read where they are, with no position wasted between rows.

mod part;

use rayon::prelude::*;

use super::lanes::{LANES, Lanes, Processor};
use super::layout::{Axis, Band, Layout, bands, fill_all};
use super::maps::Stack;
use super::products::{self, Rows, Work};
use super::scratch;
use part::Part;

/// Values of laid out source that one core works on at a time.
const SOURCE_VALUES: usize = 192 << 10;
/// Pixels of one chunk: 64 channels of it are 28 kB, in the first cache beside the sums of a tile.
const CHUNK: usize = 112;
/// Pixels of a part of a source that is read where it is.
const PIXELS: usize = 1024;
/// Parts of work that are enough for many cores.
const PARTS: usize = 16;
/// Values of sums that wait to be added up: 8 MB.
const WAITING: usize = 2 << 20;
/// Taps of a tile.
const TILE_TAPS: usize = 6;

pub struct OfWeight<'a> {
    /// `[batch, channels, rows.source, columns.source]`
    pub source: Stack<'a>,
    /// `[batch, outputs, rows.outputs, columns.outputs]`
    pub gradient: &'a [f32],
    pub batch: usize,
    pub channels: usize,
    pub outputs: usize,
    pub rows: Axis,
    pub columns: Axis,
}

/// How pixels are found in the source.
struct View {
    /// Where there is padding, or the source is not one slice.
    layout: Option<Layout>,
    channel: usize,
    row_stride: usize,
    column_stride: usize,
    /// Distance of every tap's source, over channels and then kernel positions.
    taps: Vec<usize>,
}

/// Output channels whose sums lie side by side.
struct Block {
    first: usize,
    count: usize,
    vectors: usize,
    /// Where its sums begin, in units of taps.
    at: usize,
}

impl Block {
    fn width(&self) -> usize {
        self.vectors * LANES
    }
}

fn blocks(outputs: usize, processor: Processor) -> Vec<Block> {
    let sizes: &[usize] = if processor.has_many_registers() { &[4, 2, 1] } else { &[1] };
    let (mut blocks, mut first, mut at) = (Vec::new(), 0, 0);
    while first < outputs {
        let left = outputs - first;
        let vectors = *sizes.iter().find(|size| **size * LANES <= left).unwrap_or(&1);
        let count = left.min(vectors * LANES);
        blocks.push(Block { first, count, vectors, at });
        first += count;
        at += vectors * LANES;
    }
    blocks
}

impl OfWeight<'_> {
    fn view(&self, layout: Option<Layout>) -> View {
        let width = self.columns.source;
        let distance = |row: usize, column: usize| {
            let (row, column) = (self.rows.taps[row], self.columns.taps[column]);
            match &layout {
                Some(layout) => layout.offset(row, column),
                None => row.at as usize * width + column.at as usize,
            }
        };
        let channel = match &layout {
            Some(layout) => layout.channel,
            None => self.rows.source * width,
        };
        let (rows, columns) = (self.rows.taps.len(), self.columns.taps.len());
        let positions =
            |c: usize| (0..rows).flat_map(move |row| (0..columns).map(move |column| (c, row, column)));
        let taps = (0..self.channels)
            .flat_map(positions)
            .map(|(c, row, column)| c * channel + distance(row, column))
            .collect();
        let (row_stride, column_stride) = match &layout {
            Some(layout) => (layout.row_stride, 1),
            None => (self.rows.stride * width, self.columns.stride),
        };
        View { layout, channel, row_stride, column_stride, taps }
    }

    /// Whether every tap of every output lies inside the source.
    fn inside(&self) -> bool {
        [&self.rows, &self.columns].into_iter().all(|axis| {
            let last = axis.outputs.saturating_sub(1) * axis.stride;
            let within = |at: isize| at >= 0 && at as usize + last < axis.source;
            axis.taps.iter().all(|tap| within(tap.at))
        })
    }

    fn plan(&self) -> (Vec<Band>, View) {
        if !self.inside() || self.source.plain().is_none() {
            let (bands, layout) =
                bands(&self.rows, &self.columns, self.channels, self.batch, [SOURCE_VALUES; 2]);
            return (bands, self.view(Some(layout)));
        }
        let pixels = self.rows.outputs * self.columns.outputs;
        let images = (PIXELS / pixels.max(1)).clamp(1, self.batch.max(1));
        let rows = if images > 1 { self.rows.outputs } else { PIXELS.div_ceil(self.columns.outputs) };
        let mut bands = Vec::new();
        for start in (0..self.batch).step_by(images) {
            for first in (0..self.rows.outputs).step_by(rows) {
                let rows = rows.min(self.rows.outputs - first);
                bands.push(Band { images: start..self.batch.min(start + images), first, rows });
            }
        }
        (bands, self.view(None))
    }

    /// `[outputs, channels, kernel positions]`
    pub fn sum(&self, processor: Processor) -> Vec<f32> {
        let (bands, view) = self.plan();
        let taps = view.taps.len();
        let blocks = blocks(self.outputs, processor);
        let wide = blocks.iter().map(Block::width).sum::<usize>();
        let groups = (WAITING / (wide * taps).max(1)).clamp(1, PARTS.min(bands.len().max(1)));
        let cuts = PARTS.div_ceil(groups).min(blocks.len()).max(1);
        let per_part = blocks.len().div_ceil(cuts);
        let laid = match &view.layout {
            Some(layout) if per_part < blocks.len() => {
                Some(fill_all(layout, &self.source, self.channels, &bands))
            }
            _ => None,
        };
        let mut waiting = vec![0.0f32; groups * wide * taps];
        let mut parts = Vec::new();
        let mut rest = waiting.as_mut_slice();
        for group in 0..groups {
            let mine = group * bands.len() / groups..(group + 1) * bands.len() / groups;
            for blocks in blocks.chunks(per_part) {
                let size = blocks.iter().map(Block::width).sum::<usize>() * taps;
                let (sums, behind) = rest.split_at_mut(size);
                rest = behind;
                parts.push((mine.clone(), blocks, sums));
            }
        }
        parts.into_par_iter().for_each(|(mine, blocks, sums)| {
            scratch::with(|scratch| {
                let (view, bands, laid) = (&view, &bands, laid.as_deref());
                products::run(processor, Part { of: self, view, bands, mine, laid, blocks, sums, scratch });
            });
        });
        self.gathered(processor, &waiting, groups, &blocks, taps)
    }

    /// Adds up what the groups of bands have found, in their order, and turns it.
    fn gathered(
        &self,
        processor: Processor,
        waiting: &[f32],
        groups: usize,
        blocks: &[Block],
        taps: usize,
    ) -> Vec<f32> {
        let mut of_weight = vec![0.0; self.outputs * taps];
        let group = waiting.len() / groups;
        of_weight.par_chunks_mut(LANES * taps).enumerate().for_each(|(index, out)| {
            let output = index * LANES;
            let Some(block) = blocks.iter().rfind(|block| block.first <= output) else { return };
            let first = block.at * taps + output - block.first;
            let turned = Turned { waiting, group, groups, first, stride: block.width(), taps, out };
            products::run(processor, turned);
        });
        of_weight
    }
}

/// Up to 16 output channels of the result.
struct Turned<'a> {
    waiting: &'a [f32],
    group: usize,
    groups: usize,
    first: usize,
    stride: usize,
    taps: usize,
    out: &'a mut [f32],
}

impl Work for Turned<'_> {
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let Self { waiting, group, groups, first, stride, taps, out } = self;
        for start in (0..taps).step_by(LANES) {
            let count = LANES.min(taps - start);
            let mut sums = [0.0f32; LANES * LANES];
            for (i, sum) in sums.chunks_exact_mut(LANES).enumerate().take(count) {
                for g in 0..groups {
                    let found = &waiting[g * group + first + (start + i) * stride..][..LANES];
                    sum.iter_mut().zip(found).for_each(|(sum, found)| *sum += found);
                }
            }
            let mut turned = [0.0f32; LANES * LANES];
            let rows = Rows { values: &sums, first: 0, stride: LANES, count: LANES };
            // SAFETY: the caller's processor has the instructions.
            unsafe { rows.turn::<L>(LANES, &mut turned, LANES) };
            for (out, turned) in out.chunks_mut(taps).zip(turned.chunks_exact(LANES)) {
                out[start..start + count].copy_from_slice(&turned[..count]);
            }
        }
    }
}
