//! Spearman's rank correlation with a permutation p-value.
//!
//! Ties get midranks. Ranks are doubled and centred, `2·rank − (n + 1)`, which is an integer for every midrank, so ρ is
//! `Σ aᵢbᵢ / √(Σaᵢ² Σbᵢ²)` over integers and permutations are compared with the observed value without rounding. The
//! two-sided p is the share of all n! pairings with `|ρ*| ≥ |ρ|`: counted up to n = 10, sampled above.
//!
//! The count is exact and does not visit the n! pairings one by one: of the pairings that give the first k values of one
//! series the same k of the other, only the sum matters. So it keeps, for each of the 2ⁿ subsets, how many pairings reach
//! each sum; a subset's counts are those of the subsets with one member less, moved by one product.

use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};

use super::Error;
use crate::rng;

/// The largest n whose permutations are all counted: 10! = 3,628,800.
pub const EXACT_MAX: usize = 10;

/// How permutations are drawn where there are too many to visit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MonteCarlo {
    /// Seed of the draws.
    pub seed: u64,
    /// Permutations drawn.
    pub draws: u64,
}

impl Default for MonteCarlo {
    /// Seed 0 and 199,999 draws: a standard error of 0.0005 at p = 0.05, and p-values in steps of 1/200,000.
    fn default() -> Self {
        Self { seed: 0, draws: 199_999 }
    }
}

/// A rank correlation and its two-sided permutation test.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Spearman {
    /// Correlation of the midranks, −1..=1.
    pub rho: f64,
    /// Two-sided p: `extreme / permutations` when exact, `(extreme + 1) / (permutations + 1)` when sampled.
    pub p: f64,
    /// Pairs.
    pub n: usize,
    /// The smallest p that this test could give at this n, ties aside.
    pub smallest_p: f64,
    /// The smallest p that an exact test could give these values in any pairing. Ties make it larger than `smallest_p`:
    /// several pairings are then the same. None when sampled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub smallest_p_tied: Option<f64>,
    /// Whether every permutation was counted.
    pub exact: bool,
    /// Permutations with |ρ*| ≥ |ρ|.
    pub extreme: u64,
    /// Permutations counted or drawn.
    pub permutations: u64,
    /// Standard error of a sampled `p`; none when exact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standard_error: Option<f64>,
}

/// The smallest two-sided p of an exact test of `n` untied pairs, `2/n!`: only the perfect order and its reverse reach it.
///
/// For fewer than two pairs it is 1.
pub fn smallest_p(n: usize) -> f64 {
    (2.0 / (2..=n).map(|k| k as f64).product::<f64>()).min(1.0)
}

/// Spearman's ρ of the pairs `x[i]`, `y[i]` with the default [`MonteCarlo`] above n = [`EXACT_MAX`].
///
/// # Errors
/// Series of different lengths, fewer than three pairs, values that are not finite, a series that is constant.
pub fn spearman(x: &[f64], y: &[f64]) -> Result<Spearman, Error> {
    spearman_with(x, y, MonteCarlo::default())
}

/// As [`spearman`], with the sampling stated. `sampling` matters above n = [`EXACT_MAX`] only.
///
/// # Errors
/// As [`spearman`]; no draws.
pub fn spearman_with(x: &[f64], y: &[f64], sampling: MonteCarlo) -> Result<Spearman, Error> {
    let Ranks { a, mut b, observed, rho } = Ranks::new(x, y)?;
    let n = a.len();
    let bound = observed.abs();

    if n <= EXACT_MAX {
        let sums = Sums::of_pairings(&a, &b);
        let (extreme, permutations) = (sums.at_least(bound), (1..=n as u64).product());
        let share = |count: u64| count as f64 / permutations as f64;
        return Ok(Spearman {
            rho,
            p: share(extreme),
            n,
            smallest_p: smallest_p(n),
            smallest_p_tied: Some(share(sums.at_least(sums.largest()))),
            exact: true,
            extreme,
            permutations,
            standard_error: None,
        });
    }
    if sampling.draws == 0 {
        return Err(Error::NoDraws);
    }
    let permutations = sampling.draws;
    let extreme = sample_extreme(&a, &mut b, bound, sampling);
    // The observed pairing counts as one of the draws: an estimate that is never 0 and a test that keeps its level.
    let p = (extreme + 1) as f64 / (permutations + 1) as f64;
    let standard_error = Some((p * (1.0 - p) / permutations as f64).sqrt());
    let smallest_p = smallest_p(n).max(1.0 / (permutations + 1) as f64);
    let smallest_p_tied = None;
    Ok(Spearman {
        rho,
        p,
        n,
        smallest_p,
        smallest_p_tied,
        exact: false,
        extreme,
        permutations,
        standard_error,
    })
}

/// Spearman's ρ alone, without a test: for statistics that need it thousands of times.
///
/// # Errors
/// As [`spearman`].
pub fn rank_correlation(x: &[f64], y: &[f64]) -> Result<f64, Error> {
    Ok(Ranks::new(x, y)?.rho)
}

/// Two series as ranks, and their correlation.
struct Ranks {
    a: Vec<i64>,
    b: Vec<i64>,
    /// Σ aᵢbᵢ
    observed: i64,
    rho: f64,
}

impl Ranks {
    fn new(x: &[f64], y: &[f64]) -> Result<Self, Error> {
        let n = x.len();
        if n != y.len() {
            return Err(Error::Lengths { left: n, right: y.len() });
        }
        if n < 3 {
            return Err(Error::TooFew { n });
        }
        if let Some(index) = (0..n).find(|&i| !(x[i].is_finite() && y[i].is_finite())) {
            return Err(Error::NotFinite { index });
        }
        let (a, b) = (centred_double_ranks(x), centred_double_ranks(y));
        let norm = |ranks: &[i64]| dot(ranks, ranks) as f64;
        // Under the root the product of two equal integers is a square, so perfect order gives exactly ±1.
        let scale = (norm(&a) * norm(&b)).sqrt();
        if scale == 0.0 {
            return Err(Error::Constant { n });
        }
        let observed = dot(&a, &b);
        let rho = (observed as f64 / scale).clamp(-1.0, 1.0);
        Ok(Self { a, b, observed, rho })
    }
}

/// `2·midrank − (n + 1)` of every value: integers that sum to 0. `values` are finite.
fn centred_double_ranks(values: &[f64]) -> Vec<i64> {
    let n = values.len();
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&i, &j| values[i].total_cmp(&values[j]));
    let mut ranks = vec![0; n];
    let mut start = 0;
    while start < n {
        // `==` and not the total order: 0.0 and −0.0 are one value.
        let ties = order[start..].iter().take_while(|&&i| values[i] == values[order[start]]).count();
        let end = start + ties;
        for &i in &order[start..end] {
            // Ranks start + 1 ..= end; twice their mean is start + 1 + end.
            ranks[i] = (start + 1 + end) as i64 - (n as i64 + 1);
        }
        start = end;
    }
    ranks
}

fn dot(a: &[i64], b: &[i64]) -> i64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// How many of the n! pairings of two series reach each product sum.
struct Sums {
    /// Pairings with a sum of `index − limit`.
    counts: Vec<u32>, // at most 10!
    /// No pairing has a sum that is larger in size.
    limit: usize,
}

impl Sums {
    /// Counts all pairings of `a` and `b`, of one length of at most [`EXACT_MAX`].
    fn of_pairings(a: &[i64], b: &[i64]) -> Self {
        // The largest sizes together give the largest sum, and with some pairs left out a smaller one.
        let sorted_sizes = |ranks: &[i64]| {
            let mut sizes: Vec<usize> = ranks.iter().map(|rank| rank.unsigned_abs() as usize).collect();
            sizes.sort_unstable();
            sizes
        };
        let limit: usize = sorted_sizes(a).iter().zip(sorted_sizes(b)).map(|(a, b)| a * b).sum();
        let width = 2 * limit + 1;
        // One row of counts per subset of b, by its bits: how the first values of a, as many as it has members, pair with it.
        let mut table = vec![0_u32; width << b.len()];
        table[limit] = 1;
        for subset in 1_usize..1 << b.len() {
            let first = a[subset.count_ones() as usize - 1];
            let (smaller, row) = table.split_at_mut(subset * width);
            let row = &mut row[..width];
            for (member, other) in b.iter().enumerate().filter(|(member, _)| subset >> member & 1 == 1) {
                let before = &smaller[(subset ^ 1 << member) * width..][..width];
                let product = first * other;
                let by = product.unsigned_abs() as usize;
                // Counts that would leave the row are 0, by the choice of its width.
                let (to, from) = match product >= 0 {
                    true => (&mut row[by..], &before[..width - by]),
                    false => (&mut row[..width - by], &before[by..]),
                };
                for (to, from) in to.iter_mut().zip(from) {
                    *to += from;
                }
            }
        }
        let counts = table.split_off(table.len() - width);
        Self { counts, limit }
    }

    /// The sums that occur, and how often.
    fn occurring(&self) -> impl Iterator<Item = (i64, u64)> {
        let sum = |index: usize| index as i64 - self.limit as i64;
        self.counts
            .iter()
            .enumerate()
            .filter(|(_, count)| **count > 0)
            .map(move |(i, &count)| (sum(i), u64::from(count)))
    }

    /// Pairings whose sum is at least `bound` in size.
    fn at_least(&self, bound: i64) -> u64 {
        self.occurring().filter(|(sum, _)| sum.abs() >= bound).map(|(_, count)| count).sum()
    }

    /// The largest size of a sum.
    fn largest(&self) -> i64 {
        self.occurring().map(|(sum, _)| sum.abs()).max().unwrap_or_default()
    }
}

/// How many of the drawn orders of `b` have a product sum with `a` of at least `bound` in size. `b` is left shuffled.
fn sample_extreme(a: &[i64], b: &mut [i64], bound: i64, sampling: MonteCarlo) -> u64 {
    let mut random = rng::stream(sampling.seed, "spearman", 0);
    let mut extreme = 0;
    for _ in 0..sampling.draws {
        b.shuffle(&mut random);
        extreme += u64::from(dot(a, b).abs() >= bound);
    }
    extreme
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Every order of `b`, one by one: product sums with `a`.
    fn enumerate(a: &[i64], b: &mut [i64], sum: i64, visit: &mut impl FnMut(i64)) {
        let [first, rest @ ..] = a else { return visit(sum) };
        for i in 0..b.len() {
            b.swap(0, i);
            let sum = sum + first * b[0];
            enumerate(rest, &mut b[1..], sum, visit);
            b.swap(0, i);
        }
    }

    /// Pairs with many ties, neither series constant.
    fn pairs() -> impl Strategy<Value = Vec<(f64, f64)>> {
        prop::collection::vec(((0_i32..5).prop_map(f64::from), (0_i32..9).prop_map(f64::from)), 3..=7)
            .prop_filter("ranks on both sides", |pairs| {
                pairs.iter().any(|pair| pair.0 != pairs[0].0) && pairs.iter().any(|pair| pair.1 != pairs[0].1)
            })
    }

    proptest! {
        #[test]
        fn counting_by_sums_equals_enumeration(pairs in pairs()) {
            let (x, y): (Vec<f64>, Vec<f64>) = pairs.into_iter().unzip();
            let (a, mut b) = (centred_double_ranks(&x), centred_double_ranks(&y));
            let bound = dot(&a, &b).abs();
            let (mut extreme, mut largest) = (0, (0, 0));
            enumerate(&a, &mut b, 0, &mut |sum| {
                extreme += u64::from(sum.abs() >= bound);
                largest = match sum.abs().cmp(&largest.0) {
                    std::cmp::Ordering::Greater => (sum.abs(), 1),
                    std::cmp::Ordering::Equal => (largest.0, largest.1 + 1),
                    std::cmp::Ordering::Less => largest,
                };
            });
            let found = spearman(&x, &y).unwrap();
            prop_assert_eq!(found.extreme, extreme);
            prop_assert_eq!(found.smallest_p_tied, Some(largest.1 as f64 / found.permutations as f64));
        }

        #[test]
        fn p_is_symmetric_and_at_least_the_smallest(pairs in pairs()) {
            let (x, y): (Vec<f64>, Vec<f64>) = pairs.into_iter().unzip();
            let found = spearman(&x, &y).unwrap();
            let least = found.smallest_p_tied.unwrap();
            prop_assert!(found.p >= least && least >= found.smallest_p && found.p <= 1.0);
            prop_assert_eq!(spearman(&y, &x).unwrap(), found);
            let flipped = spearman(&x, &y.iter().map(|v| -v).collect::<Vec<_>>()).unwrap();
            prop_assert_eq!((flipped.rho, flipped.p), (-found.rho, found.p));
            let reversed = |values: &[f64]| values.iter().rev().copied().collect::<Vec<_>>();
            prop_assert_eq!(spearman(&reversed(&x), &reversed(&y)).unwrap(), found);
        }
    }

    #[test]
    fn ties_raise_the_smallest_p() {
        // Of the 24 pairings, those of the two low with the two low values, or with the two high ones: 2 · 2!·2!.
        let found = spearman(&[1.0, 1.0, 2.0, 2.0], &[1.0, 4.0, 1.0, 4.0]).unwrap();
        assert_eq!((found.smallest_p, found.smallest_p_tied), (2.0 / 24.0, Some(8.0 / 24.0)));
    }

    #[test]
    fn ten_untied_pairs_are_counted_whole() {
        let x: Vec<f64> = (0..10).map(f64::from).collect();
        let found = spearman(&x, &x).unwrap();
        assert_eq!((found.extreme, found.permutations), (2, 3_628_800));
        let ranks = centred_double_ranks(&x);
        let sums = Sums::of_pairings(&ranks, &ranks);
        assert_eq!(sums.at_least(0), 3_628_800);
        assert_eq!(sums.largest(), 330); // 2 · (81 + 49 + 25 + 9 + 1)
    }

    #[test]
    fn midranks_are_centred_and_share_ties() {
        // Ranks 1, 2.5, 2.5, 4 of the sorted values; 2·rank − 5.
        assert_eq!(centred_double_ranks(&[7.0, -1.0, 3.0, 3.0]), [3, -3, 0, 0]);
        assert_eq!(centred_double_ranks(&[0.0, -0.0, 1.0]), [-1, -1, 2]);
    }

    #[test]
    fn perfect_order_is_exactly_one_at_the_smallest_p() {
        for n in 3..=8 {
            let x: Vec<f64> = (0..n).map(|i| i as f64).collect();
            let falling: Vec<f64> = x.iter().map(|v| -v.exp()).collect();
            let up = spearman(&x, &x).unwrap();
            let down = spearman(&x, &falling).unwrap();
            assert_eq!((up.rho, down.rho), (1.0, -1.0), "n = {n}");
            assert_eq!((up.extreme, up.p), (2, up.smallest_p), "n = {n}");
            assert_eq!(down.p, up.p, "n = {n}");
        }
        assert_eq!(smallest_p(4), 2.0 / 24.0);
    }

    #[test]
    fn is_symmetric_and_blind_to_monotone_transforms() {
        let x = [0.3, -1.2, 0.9, 0.9, 2.4, -0.1, 0.0];
        let y = [1.0, 0.5, 0.5, 3.0, 2.0, -4.0, 0.7];
        let reference = spearman(&x, &y).unwrap();
        assert_eq!(spearman(&y, &x).unwrap(), reference);
        assert_eq!(spearman(&x.map(f64::exp), &y.map(|v| 3.0 * v + 1.0)).unwrap(), reference);
        let flipped = spearman(&x, &y.map(|v| -v)).unwrap();
        assert_eq!((flipped.rho, flipped.p), (-reference.rho, reference.p));
    }

    #[test]
    fn sampling_agrees_with_enumeration() {
        let a = centred_double_ranks(&[0.3, -1.2, 0.9, 1.9, 2.4, -0.1, 0.0]);
        let mut b = centred_double_ranks(&[1.0, 0.5, 0.6, 3.0, 2.0, -4.0, 0.7]);
        let bound = dot(&a, &b).abs();
        let exact = Sums::of_pairings(&a, &b).at_least(bound) as f64 / 5040.0;
        let draws = 20_000;
        let sampled = sample_extreme(&a, &mut b, bound, MonteCarlo { seed: 0, draws }) as f64 / draws as f64;
        let error = (exact * (1.0 - exact) / draws as f64).sqrt();
        assert!(exact > 0.01 && (sampled - exact).abs() < 4.0 * error, "{sampled} against {exact} ± {error}");
    }

    #[test]
    fn above_the_limit_p_is_sampled_by_its_seed() {
        let x = [0.3, -1.2, 0.9, 1.9, 2.4, -0.1, 0.0, 5.0, 0.2, 0.25, 7.0];
        let y = [1.0, 0.5, 0.6, 3.0, 2.0, -4.0, 0.7, 1.5, 4.0, -1.0, 2.5];
        let draws = 5_000;
        let found = spearman_with(&x, &y, MonteCarlo { seed: 0, draws }).unwrap();
        assert_eq!((found.exact, found.permutations, found.smallest_p), (false, draws, 1.0 / 5_001.0));
        assert_eq!(found.p, (found.extreme + 1) as f64 / 5_001.0);
        assert!(found.standard_error.is_some_and(|error| error > 0.0 && error < 0.01), "{found:?}");
        assert_eq!(found, spearman_with(&x, &y, MonteCarlo { seed: 0, draws }).unwrap());
        assert_ne!(found.extreme, spearman_with(&x, &y, MonteCarlo { seed: 1, draws }).unwrap().extreme);
        let perfect = spearman_with(&x, &x, MonteCarlo { seed: 0, draws }).unwrap();
        assert_eq!((perfect.rho, perfect.p), (1.0, perfect.smallest_p));
    }

    #[test]
    fn what_has_no_rank_correlation_is_an_error() {
        assert_eq!(spearman(&[1.0, 2.0], &[1.0, 2.0]), Err(Error::TooFew { n: 2 }));
        assert_eq!(spearman(&[], &[]), Err(Error::TooFew { n: 0 }));
        assert_eq!(spearman(&[1.0, 2.0, 3.0], &[1.0, 2.0]), Err(Error::Lengths { left: 3, right: 2 }));
        assert_eq!(spearman(&[1.0, 2.0, 3.0], &[1.0, f64::NAN, 3.0]), Err(Error::NotFinite { index: 1 }));
        assert_eq!(
            spearman(&[1.0, 2.0, f64::INFINITY], &[1.0, 2.0, 3.0]),
            Err(Error::NotFinite { index: 2 })
        );
        assert_eq!(spearman(&[1.0, 2.0, 3.0], &[4.0; 3]), Err(Error::Constant { n: 3 }));
        let twelve: Vec<f64> = (0..12).map(f64::from).collect();
        let none = MonteCarlo { seed: 0, draws: 0 };
        assert_eq!(spearman_with(&twelve, &twelve, none), Err(Error::NoDraws));
    }
}
