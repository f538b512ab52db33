//! The inference steps of transformer encoders, on plain slices, row-major `[rows, width]`, sequence after sequence.
//!
//! Every product goes through one [`tile`] that holds 24 rows of 16 sums in registers. Its factors lie in memory in the
//! order in which it reads them: rows of the left one side by side, a vector of the right one per term. What comes
//! before and behind a product (biases, GELU, softmax) is done to the part of it that is in a core's cache.
//!
//! Each sum goes through its terms in one order, wherever in a tile or part it lies: the bits of a row do not depend on
//! the rows beside it, nor those of a sequence on the batch, nor any on the number of threads. They may differ between
//! processors, whose multiply-add rounds once or twice.

mod attention;
mod gelu;
mod linear;
mod norm;
mod pack;
mod position_conv;
#[cfg(test)]
mod tests;
mod tile;

pub use attention::{Attention, Position, attention};
pub use linear::{Activation, linear};
pub use norm::residual_norm;
pub use pack::Columns;
pub use position_conv::{PositionConv, position_conv};

/// A result that several threads write, each its own places.
#[derive(Clone, Copy)]
struct Shared(*mut f32);

// SAFETY: whoever writes through it answers for the places.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl Shared {
    /// The place `offset` values behind the first.
    ///
    /// # Safety
    /// It must lie inside of the result.
    #[inline(always)]
    unsafe fn at(self, offset: usize) -> *mut f32 {
        // SAFETY: as promised by the caller.
        unsafe { self.0.add(offset) }
    }
}

/// Values of a matrix that `write` writes, whole, through the pointer that it gets.
///
/// # Safety
/// `write` must write every one of the `count` values.
unsafe fn written(count: usize, write: impl FnOnce(Shared)) -> Vec<f32> {
    let mut values = Vec::with_capacity(count);
    write(Shared(values.as_mut_ptr()));
    // SAFETY: the capacity is at least `count`, and the caller promises that all of it was written.
    unsafe { values.set_len(count) };
    values
}
