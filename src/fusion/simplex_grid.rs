//! The grid on the simplex of weights: all vectors of multiples of 1/steps that sum to 1.

/// Points of the grid of `steps` for `systems`: C(steps + systems - 1, systems - 1), or nothing where that leaves u64.
pub(super) fn points(systems: usize, steps: usize) -> Option<u64> {
    let mut count = 1_u128;
    for k in 1..systems as u128 {
        // Exact at every step: the product is a binomial coefficient.
        count = count.checked_mul(steps as u128 + k)? / k;
        u64::try_from(count).ok()?;
    }
    u64::try_from(count).ok()
}

/// The finest grid that has no more than `most` points; 1, the corners alone, where even the next has more.
pub(super) fn finest(systems: usize, most: usize) -> usize {
    if systems < 2 {
        return 1;
    }
    let fits = |steps: usize| points(systems, steps).is_some_and(|points| points <= most as u64);
    let mut steps = 1;
    while fits(steps + 1) {
        steps += 1;
    }
    steps
}

/// All points, in the order of the steps that the first system gets, most first.
pub(super) fn weights(systems: usize, steps: usize) -> impl Iterator<Item = Vec<f64>> {
    let mut next = (systems > 0).then(|| {
        let mut first = vec![0; systems];
        first[0] = steps;
        first
    });
    std::iter::from_fn(move || {
        let current = next.take()?;
        next = successor(&current);
        Some(current.iter().map(|&count| count as f64 / steps as f64).collect())
    })
}

/// The next composition: one step moves from the last place that has any, the very last left out, to its right, and takes
/// the very last's with it.
fn successor(counts: &[usize]) -> Option<Vec<usize>> {
    let last = counts.len() - 1;
    let from = (0..last).rev().find(|&place| counts[place] > 0)?;
    let mut next = counts.to_vec();
    next[from] -= 1;
    let carried = std::mem::take(&mut next[last]);
    next[from + 1] = carried + 1;
    Some(next)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_grid_has_every_point_once() {
        for (systems, steps) in [(1, 1), (1, 7), (2, 5), (3, 4), (5, 6), (10, 3)] {
            let all: Vec<Vec<f64>> = weights(systems, steps).collect();
            assert_eq!(Some(all.len() as u64), points(systems, steps), "{systems} {steps}");
            let distinct: BTreeSet<Vec<u64>> = all
                .iter()
                .map(|point| point.iter().map(|w| (w * steps as f64).round() as u64).collect())
                .collect();
            assert_eq!(distinct.len(), all.len(), "{systems} {steps}");
            assert!(all.iter().all(|point| (point.iter().sum::<f64>() - 1.0).abs() < 1e-15 * systems as f64));
        }
        assert_eq!(points(10, 10), Some(92_378)); // C(19, 9)
        assert_eq!(points(40, 200), None);
    }

    #[test]
    fn the_finest_grid_fits() {
        assert_eq!(finest(2, 400), 399);
        assert_eq!(finest(3, 400), 26); // 28 · 27 / 2 = 378, and 406 for 27
        assert_eq!(finest(10, 400), 3); // 220, and 715 for 4
        assert_eq!(finest(40, 400), 1);
        assert_eq!(finest(1, 400), 1);
        assert_eq!(finest(10, 2), 1);
    }
}
