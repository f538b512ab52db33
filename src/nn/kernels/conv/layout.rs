//! How a source of a convolution lies in a core's own memory: with its padding, and cut by strides into phases, so that
//! every tap of the kernel reads values that lie side by side.
//!
//! Output `[j, i]` of a band stands at `j · row_stride + i`, and what a tap reads for it at a fixed distance from there:
//! a band is one long vector, at the cost of the positions between the rows. A row's trailing zeros are the next row's
//! leading ones. Rows that a dilated kernel never mixes are bands of their own, so that dilation costs no halo.

use std::mem::MaybeUninit;
use std::ptr;

use super::super::parts::filled;
use super::lanes::LANES;
use super::maps::Stack;

/// One axis: output `i` reads the source at `i · stride + at` for every tap, where the source has such a position.
#[derive(Clone, Debug)]
pub struct Axis {
    pub source: usize,
    pub outputs: usize,
    pub stride: usize,
    pub taps: Vec<Tap>,
}

#[derive(Clone, Copy, Debug)]
pub struct Tap {
    pub at: isize,
    /// Position in the kernel.
    pub kernel: usize,
    /// Which of the interleaved outputs it belongs to, where outputs are interleaved.
    pub phase: usize,
}

impl Axis {
    fn first(&self) -> isize {
        self.taps.iter().map(|tap| tap.at).min().unwrap_or(0)
    }

    /// Outputs this far apart read disjoint sources: the taps' common distance, where nothing else orders them.
    pub fn classes(&self) -> usize {
        let first = self.first();
        let common = self.taps.iter().fold(0, |common, tap| gcd(common, tap.at.abs_diff(first)));
        if self.stride == 1 { common.clamp(1, self.outputs.max(1)) } else { 1 }
    }
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// One axis cut into phases: what lies side by side is `step` apart in the source.
#[derive(Clone, Debug)]
struct Phases {
    /// What the first tap adds to an output's place.
    first: isize,
    step: usize,
    /// Distances from `first`, below `step`, that some tap has.
    of: Vec<usize>,
    /// Positions of each phase.
    slots: usize,
}

impl Phases {
    fn new(axis: &Axis, step: usize, outputs: usize) -> Self {
        let first = axis.first();
        let from_first = |tap: &Tap| tap.at.abs_diff(first);
        let mut of: Vec<usize> = axis.taps.iter().map(|tap| from_first(tap) % step).collect();
        of.sort_unstable();
        of.dedup();
        let reach = axis.taps.iter().map(|tap| from_first(tap) / step).max().unwrap_or(0);
        Self { first, step, of, slots: reach + outputs }
    }

    /// Phase and slot of what a tap reads for the first output.
    fn place(&self, at: isize) -> (usize, usize) {
        let distance = at.abs_diff(self.first);
        (self.of.iter().take_while(|phase| **phase < distance % self.step).count(), distance / self.step)
    }

    /// The slots of a phase that the source has, from an output onwards: `[start, end)`, and the source of slot 0.
    fn inside(&self, phase: usize, output: isize, source: usize) -> (usize, usize, isize) {
        let (origin, step) = (output + self.first + self.of[phase] as isize, self.step as isize);
        let slots = self.slots as isize;
        let start = (-origin).div_euclid(step) + isize::from((-origin).rem_euclid(step) != 0);
        let end = (source as isize - origin + step - 1).div_euclid(step);
        let start = start.clamp(0, slots);
        (start as usize, end.clamp(start, slots) as usize, origin)
    }
}

#[derive(Clone, Debug)]
pub struct Layout {
    rows: Phases,
    columns: Phases,
    source: [usize; 2],
    row_stride_in_source: usize,
    /// From one row of outputs of a band to the next.
    pub row_stride: usize,
    plane: usize,
    /// From one channel to the next.
    pub channel: usize,
}

impl Layout {
    /// A band of `count` rows of outputs, `rows.classes()` apart.
    pub fn new(rows: &Axis, columns: &Axis, count: usize) -> Self {
        let row_phases = Phases::new(rows, rows.stride * rows.classes(), count);
        let column_phases = Phases::new(columns, columns.stride, columns.outputs);
        let shared = (0..column_phases.of.len())
            .map(|phase| {
                let (start, end, _) = column_phases.inside(phase, 0, columns.source);
                start.min(column_phases.slots - end)
            })
            .min()
            .unwrap_or(0);
        let row_stride = (column_phases.slots - shared).max(1);
        let plane = row_phases.slots * row_stride + shared;
        let values = row_phases.of.len() * column_phases.of.len() * plane;
        // An odd number of cache lines: channels then do not meet in the same sets of the cache.
        let channel = (values.div_ceil(16) | 1) * 16;
        Self {
            source: [rows.source, columns.source],
            row_stride_in_source: rows.stride,
            rows: row_phases,
            columns: column_phases,
            row_stride,
            plane,
            channel,
        }
    }

    /// Where taps read for the band's first output.
    pub fn offset(&self, row: Tap, column: Tap) -> usize {
        let ((row_phase, slot), (column_phase, column)) =
            (self.rows.place(row.at), self.columns.place(column.at));
        (row_phase * self.columns.of.len() + column_phase) * self.plane + slot * self.row_stride + column
    }

    /// Lays out all channels of one image for the band that starts at row `first` of the outputs, in `out` of zeros.
    #[inline(always)]
    pub fn fill(&self, source: &Stack<'_>, image: usize, first: usize, out: &mut [f32]) {
        let [height, width] = self.source;
        let output = (first * self.row_stride_in_source) as isize;
        let rows: Vec<_> =
            (0..self.rows.of.len()).map(|phase| self.rows.inside(phase, output, height)).collect();
        let columns: Vec<_> =
            (0..self.columns.of.len()).map(|phase| self.columns.inside(phase, 0, width)).collect();
        for ((source, activation), out) in source.planes(image).zip(out.chunks_exact_mut(self.channel)) {
            let mut planes = out.chunks_exact_mut(self.plane);
            for &(top, bottom, origin) in &rows {
                for (&(start, end, left), plane) in columns.iter().zip(&mut planes) {
                    if start == end {
                        continue;
                    }
                    let from = (left + (start * self.columns.step) as isize) as usize;
                    for slot in top..bottom {
                        let row = (origin + (slot * self.rows.step) as isize) as usize;
                        let source = &source[row * width..][from..width];
                        let out = &mut plane[slot * self.row_stride..][start..end];
                        copy(source, self.columns.step, out);
                        if let Some(activation) = activation {
                            out.iter_mut().for_each(|value| *value = activation.apply(*value));
                        }
                    }
                }
            }
        }
    }
}

/// Every `step`th value.
#[inline(always)]
fn copy(source: &[f32], step: usize, out: &mut [f32]) {
    match step {
        1 => out.copy_from_slice(&source[..out.len()]),
        2 => {
            // In pairs, for the compiler's sake; the last value may have no partner.
            let pairs = out.len().min(source.len() / 2);
            for (out, pair) in out.iter_mut().zip(source.chunks_exact(2)) {
                *out = pair[0];
            }
            if let Some(last) = out.get_mut(pairs) {
                *last = source[2 * pairs];
            }
        }
        step => out.iter_mut().zip(source.iter().step_by(step)).for_each(|(out, value)| *out = *value),
    }
}

/// What [`Layout::fill`] makes of every band of a batch, one band behind the other, each with room for as many images as
/// the first has: for bands that several parts of the work read.
pub fn fill_all(layout: &Layout, source: &Stack<'_>, channels: usize, bands: &[Band]) -> Vec<f32> {
    let stride = channels * layout.channel;
    let images = bands.first().map_or(0, |band| band.images.len());
    let count = bands.len() * images * stride;
    // SAFETY: each part is filled with zeros, whole, before anything else.
    unsafe {
        // Vectors read up to their own length behind the last position: a last part without a band.
        filled(count + LANES, stride, |index, laid| {
            laid.fill(MaybeUninit::new(0.0));
            let Some(band) = bands.get(index / images.max(1)) else { return };
            let Some(image) = band.images.clone().nth(index % images) else { return };
            // SAFETY: written above, and a `MaybeUninit<f32>` lies in memory as an `f32`.
            let laid = &mut *(ptr::from_mut(laid) as *mut [f32]);
            layout.fill(source, image, band.first, laid);
        })
    }
}

/// Some rows of outputs of some images, which one core works on at a time.
#[derive(Clone, Debug)]
pub struct Band {
    pub images: std::ops::Range<usize>,
    /// First row of outputs, in steps of `Axis::classes` from there.
    pub first: usize,
    pub rows: usize,
}

/// Cuts a batch into bands of at most `values` laid out values where rows permit, of whole images where they are small
/// and come to at most `together` values; the layout is that of the highest band.
pub fn bands(
    rows: &Axis,
    columns: &Axis,
    channels: usize,
    batch: usize,
    [values, together]: [usize; 2],
) -> (Vec<Band>, Layout) {
    let classes = rows.classes();
    let in_class = rows.outputs.div_ceil(classes);
    let (mut count, mut parts) = (in_class, 1);
    let mut layout = Layout::new(rows, columns, count);
    while layout.channel * channels > values && count > 1 {
        parts += 1;
        count = in_class.div_ceil(parts);
        layout = Layout::new(rows, columns, count);
    }
    let whole = classes == 1 && count == in_class;
    let fit = (values.min(together) / (layout.channel * channels).max(1)).clamp(1, batch.max(1));
    let images = if whole { 1 << fit.ilog2() } else { 1 };
    let mut bands = Vec::new();
    for start in (0..batch).step_by(images) {
        for class in 0..classes {
            let in_class = (rows.outputs - class).div_ceil(classes);
            for row in (0..in_class).step_by(count) {
                bands.push(Band {
                    images: start..batch.min(start + images),
                    first: class + row * classes,
                    rows: count.min(in_class - row),
                });
            }
        }
    }
    (bands, layout)
}
