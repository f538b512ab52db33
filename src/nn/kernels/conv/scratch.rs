//! Memory that each thread keeps from one part of its work to the next: fresh memory would cost a page fault per 4 kB.

use std::cell::RefCell;

/// Values in a cache line.
const LINE: usize = 16;

/// Values of any content, the first at the start of a cache line.
#[derive(Default)]
pub struct Room(Vec<f32>);

impl Room {
    pub fn take(&mut self, count: usize) -> &mut [f32] {
        if self.0.len() < count + LINE {
            self.0 = vec![0.0; count + LINE];
        }
        let start = self.0.as_ptr().align_offset(LINE * size_of::<f32>()).min(LINE);
        &mut self.0[start..][..count]
    }
}

#[derive(Default)]
pub struct Scratch {
    /// The source as a [`super::layout::Layout`] has it.
    pub source: Room,
    /// One factor of a product, turned.
    pub panel: Room,
    /// Sums.
    pub tile: Room,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// Lends the thread's own scratch; `work` must not ask for it again.
pub fn with<T>(work: impl FnOnce(&mut Scratch) -> T) -> T {
    SCRATCH.with_borrow_mut(work)
}
