//! What one core does for a part of a gather: lay out, pack, multiply, and move the sums to where they belong.

use super::super::lanes::{LANES, Lanes};
use super::super::layout::Band;
use super::super::products::{TILE_ROWS, Term, Work, tile};
use super::super::scratch::Scratch;
use super::{Gather, Part, Shared, Source, TILE_VECTORS, Target};

pub struct Job<'a> {
    pub gather: &'a Gather<'a>,
    pub source: &'a Source<'a>,
    /// The source of all bands, where several parts read the same.
    pub laid: Option<&'a [f32]>,
    pub phases: &'a [Vec<Term>],
    pub out: Shared,
}

pub struct PartOfJob<'a> {
    pub job: &'a Job<'a>,
    pub part: &'a Part,
    pub scratch: &'a mut Scratch,
}

/// A stretch of outputs that lie side by side both in the tile and, phases aside, in the result.
struct Run {
    tile: usize,
    row: usize,
    column: usize,
    count: usize,
}

impl Work for PartOfJob<'_> {
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        let Self { job, part, scratch } = self;
        let Job { gather, source, laid, phases, out } = job;
        let (band, images) = (&part.band, part.band.images.len());
        let plane = gather.rows.source * gather.columns.source;
        let image = gather.channels * plane;
        let (mut vectors, mut runs, length) = (Vec::new(), Vec::new(), span(gather, source, band));
        cover(gather, source, band, &mut vectors, &mut runs);
        let (values, image_stride): (&[f32], usize) = match source {
            Source::InPlace(values) => (&values[band.images.start * image..], image),
            Source::Laid(layout) => {
                let stride = gather.channels * layout.channel;
                if let Some(laid) = laid {
                    (&laid[part.laid..], stride)
                } else {
                    let laid = scratch.source.take(images * stride + LANES);
                    laid.fill(0.0);
                    for (index, laid) in band.images.clone().zip(laid.chunks_exact_mut(stride.max(1))) {
                        layout.fill(&gather.source, index, band.first, laid);
                    }
                    (laid, stride)
                }
            }
        };
        // Every image's vectors in one list, so that tiles are full but for the last.
        let all: Vec<(usize, usize)> = (0..images)
            .flat_map(|i| vectors.iter().map(move |(at, to)| (i * image_stride + at, i * length + to)))
            .collect();
        let row = images * length;
        let panel = scratch.panel.take(gather.channels * gather.weights.taps * LANES);
        let tiles = scratch.tile.take(phases.len() * TILE_ROWS * row);
        for block in part.outputs.clone().step_by(LANES) {
            let count = LANES.min(part.outputs.end - block);
            // SAFETY: the caller's processor has the instructions.
            unsafe { gather.pack::<L>(block, count, panel) };
            for first in (0..count).step_by(TILE_ROWS) {
                let rows = TILE_ROWS.min(count - first);
                let mut start = [0.0; TILE_ROWS];
                if let Some(bias) = gather.bias {
                    start[..rows].copy_from_slice(&bias[block + first..][..rows]);
                }
                for (terms, tiles) in phases.iter().zip(tiles.chunks_exact_mut(TILE_ROWS * row)) {
                    // SAFETY: the panel holds 16 values per term; a vector and its terms end inside of `values`, the
                    // laid out ones at most 15 values behind their last plane; each vector of a tile ends inside of it.
                    unsafe { sums::<L>(&panel[first..], terms, values, &all, &start, tiles, row, rows) };
                }
                for r in 0..rows {
                    // SAFETY: the part is the only one to write these outputs.
                    unsafe { put(job, *out, band, block + first + r, &runs, tiles, r * row, length, row) };
                }
            }
        }
    }
}

/// Length of one image's row of the tile.
fn span(gather: &Gather, source: &Source<'_>, band: &Band) -> usize {
    match source {
        Source::InPlace(_) => band.rows.next_multiple_of(LANES) + LANES,
        Source::Laid(layout) => ((band.rows - 1) * layout.row_stride + gather.columns.outputs) + LANES,
    }
}

/// The vectors that cover a band's outputs in one image, as places in the source and in the tile; and the stretches
/// between whatever they compute for nothing.
fn cover(
    gather: &Gather,
    source: &Source<'_>,
    band: &Band,
    vectors: &mut Vec<(usize, usize)>,
    runs: &mut Vec<Run>,
) {
    match source {
        Source::InPlace(_) => {
            let positions = gather.rows.outputs * gather.columns.outputs;
            // The last vector is moved back so that it ends where the image does.
            let ends = positions - LANES;
            let base = band.first.min(ends);
            for at in (band.first..band.first + band.rows).step_by(LANES) {
                vectors.push((at.min(ends), at.min(ends) - base));
            }
            let (row, column) = (0, band.first);
            runs.push(Run { tile: band.first - base, row, column, count: band.rows });
        }
        Source::Laid(layout) => {
            let (mut covered, count) = (0, gather.columns.outputs);
            for j in 0..band.rows {
                let start = j * layout.row_stride;
                covered = covered.max(start);
                while covered < start + count {
                    vectors.push((covered, covered));
                    covered += LANES;
                }
                let row = band.first + j * gather.rows.classes();
                runs.push(Run { tile: start, row, column: 0, count });
            }
        }
    }
}

/// Fills a tile of up to 8 rows.
///
/// # Safety
/// As for [`tile`], for every vector; the processor must have the instructions of `L`.
#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "one call; a struct would only name them twice")]
unsafe fn sums<L: Lanes>(
    panel: &[f32],
    terms: &[Term],
    values: &[f32],
    vectors: &[(usize, usize)],
    start: &[f32; TILE_ROWS],
    tiles: &mut [f32],
    row: usize,
    rows: usize,
) {
    let (values, out) = (values.as_ptr(), tiles.as_mut_ptr());
    // SAFETY: as promised by the caller; a channel too many of a tile has weights of zero and room. Without terms, as where
    // a phase of a stride has no taps, a place of the source may lie outside of it, and nothing is read.
    unsafe {
        if !L::MANY {
            for r in (0..rows).step_by(4) {
                for (at, to) in vectors {
                    let (panel, start) = (panel.as_ptr().add(r), start.as_ptr().add(r));
                    tile::<L, 4, 1>(
                        panel,
                        terms,
                        [values.wrapping_add(*at)],
                        start,
                        [out.add(r * row + to)],
                        row,
                    );
                }
            }
            return;
        }
        let (panel, start) = (panel.as_ptr(), start.as_ptr());
        for group in vectors.chunks(TILE_VECTORS) {
            match (group, rows) {
                ([a, b, c], 5..) => {
                    let source =
                        [values.wrapping_add(a.0), values.wrapping_add(b.0), values.wrapping_add(c.0)];
                    tile::<L, 8, 3>(
                        panel,
                        terms,
                        source,
                        start,
                        [out.add(a.1), out.add(b.1), out.add(c.1)],
                        row,
                    );
                }
                ([a, b, c], _) => {
                    let source =
                        [values.wrapping_add(a.0), values.wrapping_add(b.0), values.wrapping_add(c.0)];
                    tile::<L, 4, 3>(
                        panel,
                        terms,
                        source,
                        start,
                        [out.add(a.1), out.add(b.1), out.add(c.1)],
                        row,
                    );
                }
                ([a, b], _) => {
                    let source = [values.wrapping_add(a.0), values.wrapping_add(b.0)];
                    tile::<L, 8, 2>(panel, terms, source, start, [out.add(a.1), out.add(b.1)], row);
                }
                _ => {
                    for (at, to) in group {
                        tile::<L, 8, 1>(panel, terms, [values.wrapping_add(*at)], start, [out.add(*to)], row);
                    }
                }
            }
        }
    }
}

/// Moves one output channel from the tiles of every phase to the result.
///
/// # Safety
/// As for [`Gather::write`].
#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "one call; a struct would only name them twice")]
unsafe fn put(
    job: &Job,
    out: Shared,
    band: &Band,
    channel: usize,
    runs: &[Run],
    tiles: &[f32],
    first: usize,
    length: usize,
    row: usize,
) {
    let Job { gather, .. } = job;
    let Target { height, width, first_row, row_step, column_phases, add } = gather.target;
    for (i, image) in band.images.clone().enumerate() {
        let plane = (image * gather.outputs + channel) * height * width;
        for run in runs {
            let at = plane + (first_row + run.row * row_step) * width + run.column;
            let from = first + i * length + run.tile;
            // SAFETY: `at` is a place of the result, with `count` values, or up to `width` interleaved ones, behind it.
            unsafe {
                let to = out.0.add(at);
                let put = |column: usize, value: f32| {
                    let to = to.add(column);
                    *to = if add { *to + value } else { value };
                };
                match column_phases {
                    1 if !add => tiles[from..][..run.count].as_ptr().copy_to_nonoverlapping(to, run.count),
                    1 => tiles[from..][..run.count].iter().enumerate().for_each(|(i, value)| put(i, *value)),
                    2 => {
                        let pairs = width / 2;
                        let (a, b) =
                            (&tiles[from..][..width - pairs], &tiles[TILE_ROWS * row + from..][..pairs]);
                        for (j, (a, b)) in a.iter().zip(b).enumerate() {
                            put(2 * j, *a);
                            put(2 * j + 1, *b);
                        }
                        if a.len() > pairs {
                            put(width - 1, a[pairs]);
                        }
                    }
                    _ => {
                        for column in 0..width {
                            let phase = column % column_phases;
                            put(column, tiles[phase * TILE_ROWS * row + from + column / column_phases]);
                        }
                    }
                }
            }
        }
    }
}
