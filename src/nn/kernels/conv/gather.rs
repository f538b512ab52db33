//! A convolution as every output sees it: a sum over taps of what lies at them. Forward, and backward to the input.

mod part;

use std::ops::Range;

use rayon::prelude::*;

use super::lanes::{LANES, Lanes, Processor};
use super::layout::{Axis, Band, Layout, Tap, bands, fill_all};
use super::maps::Stack;
use super::products::{self, Rows, Term};
use super::scratch;
use part::{Job, PartOfJob};

/// Values of laid out source that one core works on at a time: a third of a 2 MB cache of its own, beside sums and
/// weights; a tenth faster than twice as many on maps of 321 × 201 positions.
const SOURCE_VALUES: usize = 160 << 10;
/// The same where the weights are the larger part, which are packed anew for every band.
const SOURCE_VALUES_OF_LARGE_WEIGHTS: usize = 352 << 10;
/// Parts of work that are enough for many cores.
const PARTS: usize = 8;
/// Channels below which it does not pay to lay out the same source twice.
const PART_CHANNELS: usize = 64;
/// Vectors of a tile.
const TILE_VECTORS: usize = 3;

/// The weight between output channel `o` and source channel `c` at kernel position `k` is `values[o · output + c · channel + k]`.
#[derive(Clone, Copy)]
pub struct Weights<'a> {
    pub values: &'a [f32],
    pub output: usize,
    pub channel: usize,
    /// Kernel's columns.
    pub width: usize,
    /// Kernel positions.
    pub taps: usize,
}

/// Where outputs belong: row `first + i · step` of an image, columns interleaved from `columns` phases.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    pub height: usize,
    pub width: usize,
    pub first_row: usize,
    pub row_step: usize,
    pub column_phases: usize,
    /// To what is there already.
    pub add: bool,
}

pub struct Gather<'a> {
    /// `[batch, channels, rows.source, columns.source]`
    pub source: Stack<'a>,
    pub batch: usize,
    pub channels: usize,
    pub outputs: usize,
    pub rows: Axis,
    pub columns: Axis,
    pub weights: Weights<'a>,
    /// `[outputs]`
    pub bias: Option<&'a [f32]>,
    pub target: Target,
}

/// Memory that several threads write, each to its own places.
#[derive(Clone, Copy)]
pub struct Shared(*mut f32);

// SAFETY: whoever writes through it answers for the places, see `Gather::write`.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl Shared {
    pub fn new(out: *mut f32) -> Self {
        Self(out)
    }

    /// # Safety
    /// There must be room for `count` values that nobody else writes or reads meanwhile.
    pub unsafe fn clear(self, count: usize) {
        // SAFETY: as promised by the caller; a zero is all bits zero.
        unsafe { self.0.write_bytes(0, count) };
    }
}

/// How the source is read.
enum Source<'a> {
    Laid(Layout),
    /// In its own place, as one row.
    InPlace(&'a [f32]),
}

struct Part {
    band: Band,
    /// Where the band begins in what was laid out for all.
    laid: usize,
    outputs: Range<usize>,
}

impl<'a> Gather<'a> {
    /// Kernels of one position without stride or padding: no output reads outside, and no two read the same.
    fn in_place(&self) -> Option<&'a [f32]> {
        let plain = |axis: &Axis| {
            axis.stride == 1 && axis.source == axis.outputs && axis.taps.len() == 1 && axis.taps[0].at == 0
        };
        let fit = plain(&self.rows)
            && plain(&self.columns)
            && self.target.column_phases == 1
            && self.target.row_step == 1
            && self.rows.outputs * self.columns.outputs >= LANES;
        self.source.plain().filter(|_| fit)
    }

    fn plan(&self) -> (Vec<Band>, Source<'a>) {
        // Images go together so that weights are packed for all of them at once: where weights are the larger part.
        let together = self.weights.values.len();
        let values = if together > SOURCE_VALUES_OF_LARGE_WEIGHTS {
            SOURCE_VALUES_OF_LARGE_WEIGHTS
        } else {
            SOURCE_VALUES
        };
        let Some(source) = self.in_place() else {
            let (bands, layout) =
                bands(&self.rows, &self.columns, self.channels, self.batch, [values, together]);
            return (bands, Source::Laid(layout));
        };
        let positions = self.rows.outputs * self.columns.outputs;
        let fit = (values / self.channels.max(1)).max(TILE_VECTORS * LANES);
        let (images, length) = if positions <= fit {
            (1 << (fit / positions).clamp(1, self.batch.max(1)).ilog2(), positions)
        } else {
            let even = positions.div_ceil(positions.div_ceil(fit));
            (1, even.next_multiple_of(TILE_VECTORS * LANES))
        };
        let mut bands = Vec::new();
        for start in (0..self.batch).step_by(images) {
            for first in (0..positions).step_by(length) {
                let rows = length.min(positions - first);
                bands.push(Band { images: start..self.batch.min(start + images), first, rows });
            }
        }
        (bands, Source::InPlace(source))
    }

    /// Writes every output that this gather has.
    ///
    /// # Safety
    /// `out` must have room for `[batch, outputs, target.height, target.width]`, of values with `target.add`, and nobody
    /// else may write or read the target's rows meanwhile.
    pub unsafe fn write(&self, processor: Processor, out: Shared) {
        let (bands, source) = self.plan();
        let cuts = PARTS.div_ceil(bands.len().max(1)).min(self.outputs / PART_CHANNELS).max(1);
        let channels = self.outputs.div_ceil(cuts).next_multiple_of(LANES);
        let laid_images = bands.first().map_or(0, |band| band.images.len());
        let (laid, laid_stride) = match &source {
            Source::Laid(layout) if channels < self.outputs => {
                (Some(fill_all(layout, &self.source, self.channels, &bands)), self.channels * layout.channel)
            }
            _ => (None, 0),
        };
        let parts: Vec<Part> = bands
            .iter()
            .enumerate()
            .flat_map(|(index, band)| {
                (0..self.outputs).step_by(channels).map(move |first| Part {
                    band: band.clone(),
                    laid: index * laid_images * laid_stride,
                    outputs: first..self.outputs.min(first + channels),
                })
            })
            .collect();
        let phases: Vec<Vec<Term>> =
            (0..self.target.column_phases).map(|phase| self.terms(&source, phase)).collect();
        let job = Job { gather: self, source: &source, laid: laid.as_deref(), phases: &phases, out };
        parts.par_iter().for_each(|part| {
            scratch::with(|scratch| products::run(processor, PartOfJob { job: &job, part, scratch }));
        });
    }

    /// The terms of each sum of an output phase.
    fn terms(&self, source: &Source<'_>, phase: usize) -> Vec<Term> {
        let (channel, offset): (usize, Box<dyn Fn(Tap, Tap) -> usize>) = match source {
            Source::Laid(layout) => (layout.channel, Box::new(|row, column| layout.offset(row, column))),
            Source::InPlace(_) => (self.rows.source * self.columns.source, Box::new(|_, _| 0)),
        };
        let mut taps = Vec::new();
        for row in &self.rows.taps {
            for column in self.columns.taps.iter().filter(|tap| tap.phase == phase) {
                taps.push((row.kernel * self.weights.width + column.kernel, offset(*row, *column)));
            }
        }
        let limit = u32::MAX as usize;
        let last = self.channels * channel.max(self.weights.taps * LANES) + channel;
        assert!(last <= limit, "a convolution over {last} values at a time, more than {limit}");
        (0..self.channels)
            .flat_map(|c| {
                taps.iter().map(move |(kernel, offset)| Term {
                    weight: ((c * self.weights.taps + kernel) * LANES) as u32,
                    source: (c * channel + offset) as u32,
                })
            })
            .collect()
    }

    /// `[channels, taps, 16]`: the weights of 16 outputs side by side.
    #[inline(always)]
    unsafe fn pack<L: Lanes>(&self, first: usize, count: usize, panel: &mut [f32]) {
        let Weights { values, output, channel, taps, .. } = self.weights;
        // Where the terms of one output lie side by side, one stretch is all of them.
        let (stretches, length) =
            if channel == taps { (1, self.channels * taps) } else { (self.channels, taps) };
        for (c, panel) in panel.chunks_exact_mut(length * LANES).enumerate().take(stretches) {
            let first = first * output + c * channel;
            if output == 1 && length == 1 {
                panel[..count].copy_from_slice(&values[first..][..count]);
                panel[count..].fill(0.0);
            } else {
                // SAFETY: the caller's processor has the instructions.
                unsafe { Rows { values, first, stride: output, count }.turn::<L>(length, panel, LANES) };
            }
        }
    }
}
