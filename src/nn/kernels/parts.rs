//! Results that are written part by part, on all cores, into memory that nobody zeroed first.
//!
//! Where a part begins is said by sizes, never by the number of threads: the bits are the same on any number.

use std::mem::MaybeUninit;

use rayon::prelude::*;

/// Rows of a batch that one task works on: 128 × 640 values of f32 are 330 kB, a core's own cache.
pub const ROWS: usize = 128;
/// Values that one task works on where rows do not matter.
pub const VALUES: usize = 1 << 15;

/// A slice that is to be written, whole.
pub type Unwritten = [MaybeUninit<f32>];

/// A vector of `count` values whose parts of `part` values (the last may be shorter) `write` has written.
///
/// # Safety
/// `write` must write every value of the slice that it is given with the part's number.
pub unsafe fn filled(count: usize, part: usize, write: impl Fn(usize, &mut Unwritten) + Sync) -> Vec<f32> {
    let mut values = Vec::with_capacity(count);
    let room: &mut Unwritten = &mut values.spare_capacity_mut()[..count];
    room.par_chunks_mut(part).enumerate().for_each(|(index, part)| write(index, part));
    // SAFETY: the capacity is at least `count`, and the caller promises that all of it was written.
    unsafe { values.set_len(count) };
    values
}
