//! Rows in fixed ranges on all cores, each with sums of its own, added in a fixed order.

use std::ops::Range;

use super::super::parts::Unwritten;
use super::product::BLOCK_ROWS;

/// Ranges of rows: enough for many cores, few enough that setting up their blocks does not count.
const RANGES: usize = 32;

/// Rows of a range, and what is done with them.
struct Job<'a, W> {
    part: usize,
    width: usize,
    sums: usize,
    work: &'a W,
}

/// A `[rows, width]` matrix whose ranges `work` has written, and the total of `sums` sums, which `work` adds to.
///
/// The ranges form a binary tree whose sums are added upwards: no more of them are alive at a time than the tree is deep
/// and threads are many.
///
/// # Safety
/// `work` must write every value of the slice that it is given with a range.
pub unsafe fn over_ranges<W>(rows: usize, width: usize, sums: usize, work: W) -> (Vec<f32>, Vec<f32>)
where
    W: Fn(Range<usize>, &mut Unwritten, &mut [f32]) + Sync,
{
    let mut values = Vec::with_capacity(rows * width);
    let part = rows.div_ceil(RANGES).next_multiple_of(BLOCK_ROWS).max(BLOCK_ROWS);
    let job = Job { part, width, sums, work: &work };
    let total = job.split(0..rows, &mut values.spare_capacity_mut()[..rows * width]);
    // SAFETY: the capacity is at least so much, and the caller promises that all of it was written.
    unsafe { values.set_len(rows * width) };
    (values, total)
}

impl<W: Fn(Range<usize>, &mut Unwritten, &mut [f32]) + Sync> Job<'_, W> {
    fn split(&self, rows: Range<usize>, out: &mut Unwritten) -> Vec<f32> {
        let parts = rows.len().div_ceil(self.part);
        if parts <= 1 {
            let mut sums = vec![0.0; self.sums];
            (self.work)(rows, out, &mut sums);
            return sums;
        }
        let middle = rows.start + parts.div_ceil(2) * self.part;
        let (left, right) = out.split_at_mut((middle - rows.start) * self.width);
        let (mut total, other) =
            rayon::join(|| self.split(rows.start..middle, left), || self.split(middle..rows.end, right));
        total.iter_mut().zip(&other).for_each(|(total, other)| *total += other);
        total
    }
}

/// The blocks of a range: rows of each.
pub fn blocks(rows: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    rows.clone().step_by(BLOCK_ROWS).map(move |first| first..rows.end.min(first + BLOCK_ROWS))
}

/// `rows` of a matrix of `width` columns.
pub fn rows_of<'a>(values: &'a [f32], width: usize, rows: &Range<usize>) -> &'a [f32] {
    &values[rows.start * width..rows.end * width]
}
