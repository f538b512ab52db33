//! Spearman's rank correlation with a permutation p-value.
//!
//! Ties get midranks. Ranks are doubled and centred, `2·rank − (n + 1)`, which is an integer for every midrank, so ρ is
//! `Σ aᵢbᵢ / √(Σaᵢ² Σbᵢ²)` over integers and permutations are compared with the observed value without rounding. The
//! two-sided p is the share of all n! pairings with `|ρ*| ≥ |ρ|`: enumerated up to n = 10, sampled above.

use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};

use super::Error;
use crate::rng;

/// The largest n whose permutations are all visited: 10! = 3,628,800.
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
    /// Whether every permutation was visited.
    pub exact: bool,
    /// Permutations with |ρ*| ≥ |ρ|.
    pub extreme: u64,
    /// Permutations visited or drawn.
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
    let a = centred_double_ranks(x);
    let mut b = centred_double_ranks(y);
    let norm = |ranks: &[i64]| dot(ranks, ranks) as f64;
    // Under the root the product of two equal integers is a square, so perfect order gives exactly ±1.
    let scale = (norm(&a) * norm(&b)).sqrt();
    if scale == 0.0 {
        return Err(Error::Constant { n });
    }
    let observed = dot(&a, &b);
    let rho = (observed as f64 / scale).clamp(-1.0, 1.0);
    let bound = observed.abs();

    if n <= EXACT_MAX {
        let extreme = count_extreme(&a, &mut b, 0, bound);
        let permutations = (1..=n as u64).product();
        let p = extreme as f64 / permutations as f64;
        let smallest_p = smallest_p(n);
        return Ok(Spearman {
            rho,
            p,
            n,
            smallest_p,
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
    Ok(Spearman { rho, p, n, smallest_p, exact: false, extreme, permutations, standard_error })
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

/// Orders of `b` whose product sum with `a`, on top of `sum`, is at least `bound` in size. `b` is left as it was.
fn count_extreme(a: &[i64], b: &mut [i64], sum: i64, bound: i64) -> u64 {
    // The last two levels of the recursion, which are most of its calls, in place.
    if let ([a0, a1], [b0, b1]) = (a, &*b) {
        let straight = sum + a0 * b0 + a1 * b1;
        let crossed = sum + a0 * b1 + a1 * b0;
        return u64::from(straight.abs() >= bound) + u64::from(crossed.abs() >= bound);
    }
    let [first, rest @ ..] = a else {
        return u64::from(sum.abs() >= bound);
    };
    let mut extreme = 0;
    for i in 0..b.len() {
        b.swap(0, i);
        let sum = sum + first * b[0];
        extreme += count_extreme(rest, &mut b[1..], sum, bound);
        b.swap(0, i);
    }
    extreme
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
    use super::*;

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
        let exact = count_extreme(&a, &mut b, 0, bound) as f64 / 5040.0;
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
