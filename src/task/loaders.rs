//! Threads that make batches, apart from those that train.

use std::sync::LazyLock;

use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};

use super::Error;

/// A training thread that waits for its part of a layer must not start on a view of 2 ms.
static LOADERS: LazyLock<Option<ThreadPool>> = LazyLock::new(|| {
    // As many as train, which RAYON_NUM_THREADS can limit.
    ThreadPoolBuilder::new()
        .num_threads(rayon::current_num_threads())
        .thread_name(|n| format!("loader-{n}"))
        .build()
        .ok()
});

/// `make` of every item, on the loaders, in order; `S` is one thread's work space.
///
/// # Errors
/// The error of the first item that has one, which need not be the first in time.
pub fn each<I: Send, S: Default, T: Send>(
    items: impl IntoParallelIterator<Item = I, Iter: IndexedParallelIterator>,
    make: impl Fn(&mut S, I) -> Result<T, Error> + Sync + Send,
) -> Result<Vec<T>, Error> {
    let items = items.into_par_iter();
    let all = || items.map_init(S::default, make).collect::<Vec<_>>();
    let made = match &*LOADERS {
        Some(loaders) => loaders.install(all),
        None => all(),
    };
    made.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_and_errors_come_in_order() {
        let doubled = each(vec![1, 2, 3], |_: &mut (), n: usize| Ok(2 * n));
        assert_eq!(doubled.unwrap(), [2, 4, 6]);
        let refused = each(vec![1, 2, 3], |_: &mut (), n: usize| match n {
            1 => Ok(n),
            _ => Err(Error::Labels(format!("item {n}"))),
        });
        assert_eq!(refused.unwrap_err().to_string(), "item 2");
    }
}
