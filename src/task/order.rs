//! The order of an epoch's examples, and its parts: what goes through the network at once.

use rand::seq::SliceRandom;

use crate::rng;

/// The examples of one epoch, in the order that they are shown in.
#[derive(Debug)]
pub struct EpochOrder<T> {
    items: Vec<T>,
    seed: u64,
    epoch: usize,
}

impl<T> EpochOrder<T> {
    /// `items` shuffled by the stream (`seed`, "order", `epoch`).
    pub fn shuffled(mut items: Vec<T>, seed: u64, epoch: usize) -> Self {
        items.shuffle(&mut rng::stream(seed, "order", epoch as u64));
        Self { items, seed, epoch }
    }

    /// Part `index` of those that [`parts`] counts: `size` examples, the last part what is left.
    pub fn part(&self, index: usize, size: usize) -> &[T] {
        let first = index * size;
        &self.items[first..(first + size).min(self.items.len())]
    }

    /// The run's seed: draws for an example come from it.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// From 0.
    pub fn epoch(&self) -> usize {
        self.epoch
    }
}

/// Parts of `size` among `count` examples, the last with what is left. One example alone has no variance to normalise
/// with and nothing to be compared with: a last part of one is left out.
pub fn parts(count: usize, size: usize) -> usize {
    count / size + usize::from(count % size > 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_found_again_by_its_seed_and_epoch() {
        let order = |seed, epoch| EpochOrder::shuffled((0..20).collect(), seed, epoch);
        let first: EpochOrder<u64> = order(1, 2);
        assert_eq!((first.seed(), first.epoch()), (1, 2));
        assert_eq!(first.items, order(1, 2).items);
        assert_ne!(first.items, order(1, 3).items);
        assert_ne!(first.items, order(2, 2).items);
        let mut sorted = first.items.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, Vec::from_iter(0..20));
        // The draws hang on the number of items alone, not on what they are.
        let rows = EpochOrder::shuffled((0..20_usize).map(|n| 100 + n).collect(), 1, 2);
        assert!(rows.items.iter().zip(&first.items).all(|(row, n)| *row == 100 + *n as usize));
    }

    #[test]
    fn parts_hold_every_example_but_a_last_one_alone() {
        for (count, size, sizes) in
            [(6, 3, vec![3, 3]), (8, 3, vec![3, 3, 2]), (7, 3, vec![3, 3]), (2, 5, vec![2]), (1, 5, vec![])]
        {
            let order = EpochOrder::shuffled((0..count).collect(), 0, 0);
            let found: Vec<&[usize]> = (0..parts(count, size)).map(|n| order.part(n, size)).collect();
            assert_eq!(found.iter().map(|part| part.len()).collect::<Vec<_>>(), sizes);
            assert!(order.items.starts_with(&found.concat()));
        }
    }
}
