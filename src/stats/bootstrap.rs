//! The stratified bootstrap: clips are drawn with replacement within their stratum, and a statistic is taken of every draw.
//!
//! A resample is a weight per clip, how often it was drawn, so that nothing is copied and scores sorted once stay sorted.
//! Replicate r draws from the stream (seed, "bootstrap", r) and from nothing else: the replicates are the same for any number
//! of threads, and the first thousand of two thousand are those of a thousand.

use std::collections::BTreeMap;

use rand::Rng;
use rayon::prelude::*;

use super::interval::{self, Method};
use super::{Error, Interval};
use crate::rng;

/// Draws resamples of the clips of fixed strata.
#[derive(Debug, Clone)]
pub struct Resampler {
    /// Clips of each stratum, rising; the strata by rising key.
    strata: Vec<Vec<usize>>,
    clips: usize,
}

impl Resampler {
    /// `strata[i]` is the stratum of clip i, e.g. (machine, section, domain, label).
    ///
    /// The strata are drawn in the order of their keys and the clips of one in the order given. Clips that are sorted by
    /// name first therefore give the same result in whatever order they were read.
    pub fn new<K: Ord>(strata: &[K]) -> Self {
        let mut by_key: BTreeMap<&K, Vec<usize>> = BTreeMap::new();
        for (clip, key) in strata.iter().enumerate() {
            by_key.entry(key).or_default().push(clip);
        }
        Self { strata: by_key.into_values().collect(), clips: strata.len() }
    }

    /// How many clips there are.
    pub fn clips(&self) -> usize {
        self.clips
    }

    /// The statistic of every replicate 0..`replicates`, in order, computed on all of rayon's threads.
    ///
    /// `statistic` gets a weight per clip, in the order of [`Resampler::new`]. Several statistics of the same resamples are
    /// one that returns them together.
    pub fn replicates<T: Send>(
        &self,
        seed: u64,
        replicates: usize,
        statistic: impl Fn(&[u32]) -> T + Sync,
    ) -> Vec<T> {
        let weights = || vec![0; self.clips];
        (0..replicates)
            .into_par_iter()
            .map_init(weights, |weights, replicate| {
                self.draw(seed, replicate as u64, weights);
                statistic(weights)
            })
            .collect()
    }

    /// Fills `weights` with the resample of one replicate.
    fn draw(&self, seed: u64, replicate: u64, weights: &mut [u32]) {
        weights.fill(0);
        let mut random = rng::stream(seed, "bootstrap", replicate);
        for stratum in &self.strata {
            // More than u32::MAX clips have no weights in memory.
            let size = u32::try_from(stratum.len()).unwrap_or(u32::MAX);
            for _ in 0..size {
                weights[stratum[below(&mut random, size) as usize]] += 1;
            }
        }
    }

    /// The clips that the jackknife leaves out together, with their stratum's number: each clip alone up to [`JACKKNIFE`]
    /// clips. Above, every stratum's clips are dealt out over fewer groups, because the work grows with groups × clips.
    fn groups(&self) -> Vec<(usize, Vec<usize>)> {
        let size = self.clips.div_ceil(JACKKNIFE).max(1);
        let of_stratum = |(number, stratum): (usize, &Vec<usize>)| {
            let count = stratum.len().div_ceil(size);
            let group =
                move |first: usize| (number, stratum.iter().skip(first).step_by(count).copied().collect());
            (0..count).map(group).collect::<Vec<_>>()
        };
        self.strata.iter().enumerate().flat_map(of_stratum).collect()
    }

    /// The statistic without each group in turn, in their order: the jackknife.
    fn without_each<T: Send>(
        &self,
        groups: &[(usize, Vec<usize>)],
        statistic: impl Fn(&[u32]) -> T + Sync,
    ) -> Vec<T> {
        let weights = || vec![1; self.clips];
        let without = |weights: &mut Vec<u32>, (_, group): &(usize, Vec<usize>)| {
            group.iter().for_each(|&clip| weights[clip] = 0);
            let value = statistic(weights);
            group.iter().for_each(|&clip| weights[clip] = 1);
            value
        };
        groups.par_iter().map_init(weights, without).collect()
    }

    /// The acceleration of the BCa interval: a sixth of the skewness of the statistic's influences, each stratum's weighted as
    /// a sample of its own (Davison and Hinkley 1997, section 5.3.2). `without` is the statistic without each group. 0 where
    /// it does not vary, varies too little for f64, or is undefined without some group.
    fn acceleration(
        &self,
        groups: &[(usize, Vec<usize>)],
        without: impl Iterator<Item = Option<f64>>,
    ) -> f64 {
        let Some(without) = without.collect::<Option<Vec<f64>>>() else { return 0.0 };
        let mut sums = vec![(0.0, 0.0); self.strata.len()];
        for ((stratum, _), value) in groups.iter().zip(&without) {
            sums[*stratum].0 += 1.0;
            sums[*stratum].1 += value;
        }
        let (mut cubes, mut squares) = (0.0, 0.0);
        for ((stratum, _), value) in groups.iter().zip(&without) {
            let (n, sum): (f64, f64) = sums[*stratum];
            // The influence over the stratum's size, which is its share in the statistic's error.
            let share = (n - 1.0) * (sum / n - value) / n;
            cubes += share.powi(3);
            squares += share.powi(2);
        }
        let acceleration = cubes / (6.0 * squares.powf(1.5));
        if acceleration.is_finite() { acceleration } else { 0.0 }
    }
}

/// A number in 0..`bound`, each equally likely (Lemire, ACM Trans. Modeling and Computer Simulation 29, 2019). Spelt out
/// because results hang on it, and a library may change how it draws.
fn below(random: &mut impl Rng, bound: u32) -> u32 {
    let mut product = u64::from(random.next_u32()) * u64::from(bound);
    // The low half tells whether the draw fell into the part of the range that does not divide evenly.
    if (product as u32) < bound {
        let uneven = bound.wrapping_neg() % bound;
        while (product as u32) < uneven {
            product = u64::from(random.next_u32()) * u64::from(bound);
        }
    }
    (product >> 32) as u32
}

/// Groups of clips that the jackknife leaves out at most, but for one group more in each stratum.
const JACKKNIFE: usize = 4096;

/// How a bootstrap is run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// Seed of the draws.
    pub seed: u64,
    /// Resamples drawn.
    pub resamples: usize,
    /// Share of the interval, between 0 and 1.
    pub level: f64,
    /// How the interval is made of the replicates.
    pub method: Method,
}

impl Default for Settings {
    /// 2,000 resamples, 95 %, BCa, seed 0.
    fn default() -> Self {
        Self { seed: 0, resamples: 2000, level: 0.95, method: Method::default() }
    }
}

/// A statistic with its bootstrap interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bootstrap {
    /// The statistic of the clips themselves.
    pub estimate: f64,
    /// Its interval.
    pub interval: Interval,
    /// Standard deviation of the replicates.
    pub standard_error: f64,
    /// Replicates that have a value.
    pub defined: usize,
    /// Replicates without one, which the interval leaves out.
    pub undefined: usize,
}

/// The interval of one `statistic` of weighted clips.
///
/// # Errors
/// A statistic that the clips themselves do not have; fewer than two resamples; a level outside 0..1; too many undefined
/// replicates (see [`interval::of_replicates`]).
pub fn bootstrap(
    resampler: &Resampler,
    settings: Settings,
    statistic: impl Fn(&[u32]) -> Option<f64> + Sync,
) -> Result<Bootstrap, Error> {
    let one = bootstrap_many(resampler, settings, |weights| vec![statistic(weights)]);
    one.into_iter().next().unwrap_or(Err(Error::NoEstimate))
}

/// The intervals of several `statistics` of the same resamples, in their order. They are as many for any weights.
///
/// # Errors
/// Each statistic its own, as [`bootstrap`].
pub fn bootstrap_many(
    resampler: &Resampler,
    settings: Settings,
    statistics: impl Fn(&[u32]) -> Vec<Option<f64>> + Sync,
) -> Vec<Result<Bootstrap, Error>> {
    let estimates = statistics(&vec![1; resampler.clips]);
    let replicates = resampler.replicates(settings.seed, settings.resamples, &statistics);
    let (groups, without) = match settings.method {
        Method::Percentile => Default::default(),
        Method::Bca => {
            let groups = resampler.groups();
            let without = resampler.without_each(&groups, &statistics);
            (groups, without)
        }
    };
    let interval = |(index, estimate): (usize, Option<f64>)| {
        let column = |values: &[Vec<Option<f64>>]| -> Vec<Option<f64>> {
            values.iter().map(|values| values.get(index).copied().flatten()).collect()
        };
        let acceleration = match settings.method {
            Method::Percentile => 0.0,
            Method::Bca => resampler.acceleration(&groups, column(&without).into_iter()),
        };
        interval::of_replicates(
            estimate.ok_or(Error::NoEstimate)?,
            &column(&replicates),
            settings,
            acceleration,
        )
    };
    estimates.into_iter().enumerate().map(interval).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// AUC by weights, of clips in the order of their scores without ties, lowest first.
    fn auc(ascending: &[usize], anomalous: &[bool], weights: &[u32]) -> Option<f64> {
        let (mut normals, mut anomalies, mut in_order) = (0, 0, 0);
        for &clip in ascending {
            match anomalous[clip] {
                true => {
                    anomalies += weights[clip];
                    in_order += weights[clip] * normals;
                }
                false => normals += weights[clip],
            }
        }
        let pairs = normals * anomalies;
        (pairs > 0).then(|| f64::from(in_order) / f64::from(pairs))
    }

    /// A standard normal number (Box and Muller).
    fn normal(random: &mut impl Rng) -> f64 {
        let uniform = |bits: u64| ((bits >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
        let radius = (-2.0 * uniform(random.next_u64()).ln()).sqrt();
        radius * (std::f64::consts::TAU * uniform(random.next_u64())).cos()
    }

    fn mean(values: &[f64], weights: &[u32]) -> Option<f64> {
        let total: u32 = weights.iter().sum();
        let sum: f64 = values.iter().zip(weights).map(|(v, &w)| v * f64::from(w)).sum();
        (total > 0).then(|| sum / f64::from(total))
    }

    #[test]
    fn many_clips_are_left_out_in_groups_that_cover_each_stratum() {
        let few = Resampler::new(&["b", "a", "b"]);
        assert_eq!(few.groups(), [(0, vec![1]), (1, vec![0]), (1, vec![2])]);
        let strata: Vec<usize> = (0..3 * JACKKNIFE).map(|clip| clip % 5).collect();
        let groups = Resampler::new(&strata).groups();
        assert!(groups.len() <= JACKKNIFE + 5, "{}", groups.len());
        let mut seen: Vec<usize> = groups.iter().flat_map(|(_, clips)| clips.clone()).collect();
        seen.sort_unstable();
        assert_eq!(seen, (0..strata.len()).collect::<Vec<_>>());
        assert!(groups.iter().all(|(stratum, clips)| clips.iter().all(|&clip| strata[clip] == *stratum)));
    }

    #[test]
    fn groups_find_the_skewness_that_single_clips_do() {
        // The acceleration of a mean is skewness / (6 √n); exponential values have skewness 2.
        let mut random = rng::stream(5, "test", 0);
        let uniform = |bits: u64| ((bits >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
        let n = 3 * JACKKNIFE;
        let values: Vec<f64> = (0..n).map(|_| -uniform(random.next_u64()).ln()).collect();
        let resampler = Resampler::new(&vec![(); n]);
        let groups = resampler.groups();
        let without = resampler.without_each(&groups, |weights| mean(&values, weights));
        let found = resampler.acceleration(&groups, without.into_iter());
        let expected = 2.0 / (6.0 * (n as f64).sqrt());
        // 4,096 groups estimate a skewness to about ± 0.1 of 2 for single exponentials, less sharply for sums of three.
        assert!((found / expected - 1.0).abs() < 0.25, "{found} {expected}");
    }

    #[test]
    fn a_statistic_too_small_for_its_cube_has_an_interval() {
        let values: Vec<f64> = (1..30).map(|k| f64::from(k) * 1e-120).collect();
        let resampler = Resampler::new(&vec![(); values.len()]);
        let found = bootstrap(&resampler, Settings::default(), |weights| mean(&values, weights)).unwrap();
        assert!(found.interval.low < 15e-120 && found.interval.high > 15e-120, "{found:?}");
    }

    #[test]
    fn a_resample_keeps_the_size_of_every_stratum() {
        let strata = ["b", "a", "b", "b", "c", "a"];
        let resampler = Resampler::new(&strata);
        let drawn = resampler.replicates(3, 50, <[u32]>::to_vec);
        for weights in &drawn {
            for (name, size) in [("a", 2), ("b", 3), ("c", 1)] {
                let of_stratum = weights.iter().zip(strata).filter(|(_, s)| *s == name);
                assert_eq!(of_stratum.map(|(w, _)| w).sum::<u32>(), size);
            }
        }
        assert!(drawn.iter().any(|weights| *weights != drawn[0]));
        assert_eq!(drawn[..20], resampler.replicates(3, 20, <[u32]>::to_vec));
        assert_ne!(drawn, resampler.replicates(4, 50, <[u32]>::to_vec));
    }

    #[test]
    fn draws_are_uniform() {
        let mut random = rng::stream(1, "test", 0);
        let mut counts = [0_u32; 7];
        for _ in 0..70_000 {
            counts[below(&mut random, 7) as usize] += 1;
        }
        // Binomial with a standard deviation of 93: five of them.
        assert!(counts.iter().all(|count| count.abs_diff(10_000) < 465), "{counts:?}");
        assert!((0..100).all(|_| below(&mut random, 1) == 0));
        // A bound that 2³² leaves a large remainder of; an uneven draw would favour the first third.
        let bound = 3 << 30;
        let low = (0..30_000).filter(|_| below(&mut random, bound) < bound / 3).count();
        assert!(low.abs_diff(10_000) < 410, "{low}"); // five of 82
    }

    #[test]
    fn threads_do_not_change_a_bit() {
        let values: Vec<f64> = (0..40).map(|i| f64::from(i * i % 17)).collect();
        let resampler = Resampler::new(&[(); 40]);
        let run = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| bootstrap(&resampler, Settings::default(), |w| mean(&values, w)).unwrap())
        };
        assert_eq!(run(1), run(3));
    }

    #[test]
    fn clips_sorted_by_name_give_the_same_result_in_any_order() {
        let clips: Vec<(String, f64)> = (0..30).map(|i| (format!("{i:02}"), f64::from(i * 7 % 11))).collect();
        let run = |mut clips: Vec<(String, f64)>| {
            clips.sort_by(|a, b| a.0.cmp(&b.0));
            let strata: Vec<bool> = clips.iter().map(|(name, _)| name.ends_with('3')).collect();
            let values: Vec<f64> = clips.iter().map(|(_, value)| *value).collect();
            bootstrap(&Resampler::new(&strata), Settings::default(), |w| mean(&values, w)).unwrap()
        };
        assert_eq!(run(clips.iter().rev().cloned().collect()), run(clips));
    }

    /// The mean of n values has a standard error of σ/√n over n, and the replicates' deviation estimates it.
    #[test]
    fn the_standard_error_of_a_mean_is_known() {
        let values: Vec<f64> = (0..50).map(|i| f64::from(i * 13 % 50)).collect(); // 0..50 once each, variance 208.25
        let found = bootstrap(&Resampler::new(&[(); 50]), Settings::default(), |w| mean(&values, w)).unwrap();
        let expected = (208.25_f64 / 50.0).sqrt();
        // 2,000 replicates know their deviation to 1/√4000 = 1.6 %: three of that.
        assert!((found.standard_error / expected - 1.0).abs() < 0.05, "{found:?} against {expected}");
        assert!((found.estimate - 24.5).abs() < 1e-12 && found.undefined == 0, "{found:?}");
    }

    #[test]
    fn the_interval_covers_at_its_nominal_rate() {
        // Normals N(0, 1), anomalies N(1, 1): the AUC is Φ(1/√2).
        let truth = super::super::normal::cdf(std::f64::consts::FRAC_1_SQRT_2);
        let (normals, anomalies, simulations) = (30, 30, 300);
        let strata: Vec<bool> = (0..normals + anomalies).map(|clip| clip >= normals).collect();
        let resampler = Resampler::new(&strata);
        for method in [Method::Percentile, Method::Bca] {
            let covers = |simulation: &u64| {
                let mut random = rng::stream(0, "test/coverage", *simulation);
                let values: Vec<f64> =
                    strata.iter().map(|&anomalous| normal(&mut random) + f64::from(anomalous)).collect();
                let mut ascending: Vec<usize> = (0..strata.len()).collect();
                ascending.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
                let settings = Settings { seed: *simulation, resamples: 299, method, ..Settings::default() };
                let found = bootstrap(&resampler, settings, |w| auc(&ascending, &strata, w)).unwrap();
                found.interval.contains(truth)
            };
            let covered = (0..simulations).filter(covers).count();
            // Binomial(300, 0.95): mean 285, standard deviation 3.8; three of them on either side.
            assert!((274..=296).contains(&covered), "{method:?}: {covered} of {simulations}");
        }
    }

    #[test]
    fn undefined_replicates_are_counted_or_refused() {
        let resampler = Resampler::new(&[0; 8]);
        let values = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0];
        // Clip 0 is missing from a resample with probability (7/8)⁸ = 34 %; one clip drawn five times or more is rare.
        let often = bootstrap(&resampler, Settings::default(), |w| mean(&values, w).filter(|_| w[0] > 0));
        assert!(
            matches!(often, Err(Error::Undefined { defined, resamples: 2000 }) if defined < 1500),
            "{often:?}"
        );
        let rare =
            bootstrap(&resampler, Settings::default(), |w| mean(&values, w).filter(|_| w[0] < 5)).unwrap();
        assert!(rare.undefined > 0 && rare.undefined + rare.defined == 2000, "{rare:?}");
        let never = bootstrap(&resampler, Settings::default(), |_| None);
        assert_eq!(never, Err(Error::NoEstimate));
        let level =
            bootstrap(&resampler, Settings { level: 1.0, ..Settings::default() }, |w| mean(&values, w));
        assert_eq!(level, Err(Error::Level));
        let one =
            bootstrap(&resampler, Settings { resamples: 1, ..Settings::default() }, |w| mean(&values, w));
        assert_eq!(one, Err(Error::TooFewResamples { resamples: 1 }));
        assert_eq!(
            bootstrap(&Resampler::new::<u8>(&[]), Settings::default(), |w| mean(&[], w)),
            Err(Error::NoEstimate)
        );
    }

    #[test]
    fn a_statistic_that_never_varies_has_an_interval_of_one_point() {
        let resampler = Resampler::new(&[0; 8]);
        for method in [Method::Percentile, Method::Bca] {
            let found =
                bootstrap(&resampler, Settings { method, ..Settings::default() }, |_| Some(1.0)).unwrap();
            assert_eq!((found.interval.low, found.interval.high, found.standard_error), (1.0, 1.0, 0.0));
        }
    }
}
