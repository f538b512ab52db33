//! What one core does for a part of the gradient: lay out, turn the gradients of a chunk of pixels, and multiply.

use std::ops::Range;

use super::super::lanes::{LANES, Lanes};
use super::super::layout::Band;
use super::super::products::{Rows, Work, outer};
use super::super::scratch::Scratch;
use super::{Block, CHUNK, OfWeight, TILE_TAPS, View};

pub struct Part<'a> {
    pub of: &'a OfWeight<'a>,
    pub view: &'a View,
    pub bands: &'a [Band],
    pub mine: Range<usize>,
    /// The source of all bands, where several parts read the same.
    pub laid: Option<&'a [f32]>,
    pub blocks: &'a [Block],
    pub sums: &'a mut [f32],
    pub scratch: &'a mut Scratch,
}

/// Pixels that lie side by side in the gradient.
struct Run {
    /// Position in an output channel of the first image.
    at: usize,
    count: usize,
}

impl Work for Part<'_> {
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let Self { of, view, bands, mine, laid, blocks, sums, scratch } = self;
        let image = of.channels * of.rows.source * of.columns.source;
        let plane = of.rows.outputs * of.columns.outputs;
        let classes = if view.layout.is_some() { of.rows.classes() } else { 1 };
        for index in mine {
            let band = &bands[index];
            let (values, stride): (&[f32], usize) = match &view.layout {
                None => (&of.source.plain().unwrap_or_default()[band.images.start * image..], image),
                Some(layout) => {
                    let stride = of.channels * view.channel;
                    if let Some(laid) = laid {
                        (&laid[index * bands[0].images.len() * stride..], stride)
                    } else {
                        let laid = scratch.source.take(band.images.len() * stride);
                        laid.fill(0.0);
                        for (index, laid) in band.images.clone().zip(laid.chunks_exact_mut(stride)) {
                            layout.fill(&of.source, index, band.first, laid);
                        }
                        (laid, stride)
                    }
                }
            };
            // With padding a band's own first row is row 0 of what is laid out.
            let origin = if view.layout.is_some() { 0 } else { band.first };
            let (mut at, mut runs) = (Vec::new(), Vec::<Run>::new());
            for i in 0..band.images.len() {
                for j in 0..band.rows {
                    let from = i * stride + (origin + j) * view.row_stride;
                    assert!(
                        u32::try_from(from + of.columns.outputs * view.column_stride).is_ok(),
                        "a batch too large"
                    );
                    at.extend((0..of.columns.outputs).map(|x| (from + x * view.column_stride) as u32));
                    let start = (band.images.start + i) * of.outputs * plane
                        + (band.first + j * classes) * of.columns.outputs;
                    match runs.last_mut() {
                        Some(run) if run.at + run.count == start => run.count += of.columns.outputs,
                        _ => runs.push(Run { at: start, count: of.columns.outputs }),
                    }
                }
            }
            let mut runs = runs.into_iter();
            let mut run = Run { at: 0, count: 0 };
            for at in at.chunks(CHUNK) {
                let pieces = pieces(&mut runs, &mut run, at.len());
                for block in blocks {
                    let panel = scratch.panel.take(at.len() * block.width());
                    // SAFETY: the caller's processor has the instructions.
                    unsafe { turn::<L>(of.gradient, plane, block, &pieces, panel) };
                    let sums = &mut sums[(block.at - blocks[0].at) * view.taps.len()..]
                        [..block.width() * view.taps.len()];
                    // SAFETY: as above; every pixel's taps lie inside of `values`.
                    unsafe { add::<L>(panel, at, values, &view.taps, block.vectors, sums) };
                }
            }
        }
    }
}

/// The next `count` pixels, as stretches of the gradient.
fn pieces(runs: &mut impl Iterator<Item = Run>, run: &mut Run, count: usize) -> Vec<Range<usize>> {
    let (mut pieces, mut left) = (Vec::new(), count);
    while left > 0 {
        if run.count == 0 {
            match runs.next() {
                Some(next) => *run = next,
                None => break,
            }
        }
        let take = left.min(run.count);
        pieces.push(run.at..run.at + take);
        run.at += take;
        run.count -= take;
        left -= take;
    }
    pieces
}

/// `[pixels, block]` of the gradient.
///
/// # Safety
/// The processor must have the instructions of `L`.
#[inline(always)]
unsafe fn turn<L: Lanes>(
    gradient: &[f32],
    plane: usize,
    block: &Block,
    pieces: &[Range<usize>],
    panel: &mut [f32],
) {
    let width = block.width();
    let mut pixel = 0;
    for piece in pieces {
        for vector in 0..block.vectors {
            let first = (block.first + vector * LANES) * plane + piece.start;
            let count = LANES.min(block.count - vector * LANES);
            let out = &mut panel[pixel * width + vector * LANES..];
            // SAFETY: the caller's processor has the instructions.
            unsafe {
                Rows { values: gradient, first, stride: plane, count }.turn::<L>(piece.len(), out, width)
            };
        }
        pixel += piece.len();
    }
}

/// Adds a chunk's pixels to the sums of every tap.
///
/// # Safety
/// Every tap of every pixel lies inside of `values`; `panel` has a row of `vectors` vectors for each pixel, `sums` one
/// for each tap; the processor must have the instructions of `L`.
#[inline(always)]
unsafe fn add<L: Lanes>(
    panel: &[f32],
    at: &[u32],
    values: &[f32],
    taps: &[usize],
    vectors: usize,
    sums: &mut [f32],
) {
    let (panel, values, width) = (panel.as_ptr(), values.as_ptr(), vectors * LANES);
    for (taps, sums) in taps.chunks(TILE_TAPS).zip(sums.chunks_mut(TILE_TAPS * width)) {
        // SAFETY: as promised by the caller.
        unsafe {
            if let Ok(taps) = <&[usize; TILE_TAPS]>::try_from(taps) {
                let mut source = [values; TILE_TAPS];
                for (source, tap) in source.iter_mut().zip(taps) {
                    *source = values.add(*tap);
                }
                match vectors {
                    4 => outer::<L, TILE_TAPS, 4>(panel, at, source, sums.as_mut_ptr()),
                    2 => outer::<L, TILE_TAPS, 2>(panel, at, source, sums.as_mut_ptr()),
                    _ => outer::<L, TILE_TAPS, 1>(panel, at, source, sums.as_mut_ptr()),
                }
                continue;
            }
            let pairs = taps.chunks(2).zip(sums.chunks_mut(2 * width));
            for (taps, sums) in pairs {
                let sums = sums.as_mut_ptr();
                match (taps, vectors) {
                    ([a, b], 4) => outer::<L, 2, 4>(panel, at, [values.add(*a), values.add(*b)], sums),
                    ([a, b], 2) => outer::<L, 2, 2>(panel, at, [values.add(*a), values.add(*b)], sums),
                    ([a, b], _) => outer::<L, 2, 1>(panel, at, [values.add(*a), values.add(*b)], sums),
                    ([a], 4) => outer::<L, 1, 4>(panel, at, [values.add(*a)], sums),
                    ([a], 2) => outer::<L, 1, 2>(panel, at, [values.add(*a)], sums),
                    ([a], _) => outer::<L, 1, 1>(panel, at, [values.add(*a)], sums),
                    _ => {}
                }
            }
        }
    }
}
