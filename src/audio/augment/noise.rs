//! Gaussian white noise, of the same bits on every machine.
//!
//! Eight xoshiro128+ generators (Blackman and Vigna, 2021) run side by side, a lane each, and every pair of their
//! numbers becomes a pair of normal ones (Box and Muller, 1958). The logarithm, sine and cosine are polynomials:
//! compilers make vector loops of them, and, unlike the system library's functions, they give the same bits on
//! every machine. Multiplied, divided and rooted numbers are exact by IEEE 754.

use std::f32::consts::{FRAC_PI_4, LN_2};

use super::super::logmel::log2;

/// Generators side by side.
const LANES: usize = 8;
/// Samples that one step gives.
const STEP: usize = 2 * LANES;

/// A stream of normal numbers of mean 0 and variance 1.
pub(super) struct WhiteNoise {
    state: [[u32; LANES]; 4],
}

impl WhiteNoise {
    /// The stream of a seed. The lanes' states are consecutive outputs of SplitMix64, as the generator's authors
    /// advise; no state is all zeros, as SplitMix64 gives each number once.
    pub fn new(seed: u64) -> Self {
        let mut state = [[0; LANES]; 4];
        let mut counter = seed;
        for lane in 0..LANES {
            for word in 0..2 {
                let bits = split_mix(&mut counter);
                state[2 * word][lane] = bits as u32;
                state[2 * word + 1][lane] = (bits >> 32) as u32;
            }
        }
        Self { state }
    }

    /// Adds `gain` times the next numbers of the stream to `samples`.
    ///
    /// 160,000 samples take 0.2 ms with registers of eight numbers and 0.5 ms with registers of four; the bits are
    /// the same, as no step rounds otherwise.
    pub fn add_to(&mut self, samples: &mut [f32], gain: f32) {
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") {
            // SAFETY: the processor has what the function is compiled for.
            return unsafe { self.add_with_avx2(samples, gain) };
        }
        self.add(samples, gain);
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2")]
    fn add_with_avx2(&mut self, samples: &mut [f32], gain: f32) {
        self.add(samples, gain);
    }

    // Inlined, as is all that it calls, into a function that is compiled for one kind of processor.
    #[inline(always)]
    fn add(&mut self, samples: &mut [f32], gain: f32) {
        let (blocks, rest) = samples.as_chunks_mut::<STEP>();
        for block in blocks {
            let noise = self.step();
            for (sample, value) in block.iter_mut().zip(noise) {
                *sample += gain * value;
            }
        }
        for (sample, value) in rest.iter_mut().zip(self.step()) {
            *sample += gain * value;
        }
    }

    /// Sixteen normal numbers.
    #[inline(always)]
    fn step(&mut self) -> [f32; STEP] {
        let (radii, angles) = (self.next(), self.next());
        let mut normal = [0.0; STEP];
        let (first, second) = normal.split_at_mut(LANES);
        for lane in 0..LANES {
            let radius = radius(radii[lane]);
            let (x, y) = direction(angles[lane]);
            first[lane] = radius * x;
            second[lane] = radius * y;
        }
        normal
    }

    /// The next number of every generator.
    #[inline(always)]
    fn next(&mut self) -> [u32; LANES] {
        let [a, b, c, d] = &mut self.state;
        let mut sums = [0; LANES];
        for lane in 0..LANES {
            sums[lane] = a[lane].wrapping_add(d[lane]);
            let shifted = b[lane] << 9;
            c[lane] ^= a[lane];
            d[lane] ^= b[lane];
            b[lane] ^= c[lane];
            a[lane] ^= d[lane];
            c[lane] ^= shifted;
            d[lane] = d[lane].rotate_left(11);
        }
        sums
    }
}

/// √(-2 ln u), u uniform over the multiples of 2⁻²⁴ from 2⁻²⁴ to 1: from 0 to 5.77.
#[inline(always)]
fn radius(bits: u32) -> f32 {
    // By way of a signed integer, which vector registers convert.
    let u = ((bits >> 8).cast_signed() + 1) as f32 * (1.0 / (1_u32 << 24) as f32);
    (-2.0 * LN_2 * log2(u)).max(0.0).sqrt()
}

/// A point of the unit circle: an angle of up to π/4 to either side of the first axis, then mirrored at the
/// diagonal and at both axes by a bit each. The low bits of the generator are its weakest and are left alone.
#[inline(always)]
fn direction(bits: u32) -> (f32, f32) {
    let fraction = (bits.cast_signed() >> 8) as f32 * (1.0 / (1_u32 << 23) as f32); // -1 to 1
    let angle = FRAC_PI_4 * fraction;
    let z = angle * angle;
    // Taylor series: the next terms are below 4e-9 (cosine) and 4e-10 (sine) on this range.
    let cosine = 1.0 + z * (-1.0 / 2.0 + z * (1.0 / 24.0 + z * (-1.0 / 720.0 + z * (1.0 / 40_320.0))));
    let sine =
        angle * (1.0 + z * (-1.0 / 6.0 + z * (1.0 / 120.0 + z * (-1.0 / 5040.0 + z * (1.0 / 362_880.0)))));
    let swapped = 0_u32.wrapping_sub(bits >> 7 & 1);
    let (cosine, sine) = (cosine.to_bits(), sine.to_bits());
    let (x, y) = ((cosine & !swapped) | (sine & swapped), (sine & !swapped) | (cosine & swapped));
    (f32::from_bits(x ^ (bits >> 6 & 1) << 31), f32::from_bits(y ^ (bits >> 5 & 1) << 31))
}

/// SplitMix64 (Steele, Lea and Flood, 2014).
fn split_mix(counter: &mut u64) -> u64 {
    *counter = counter.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut bits = *counter;
    bits = (bits ^ bits >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ bits >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ bits >> 31
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(seed: u64, length: usize) -> Vec<f64> {
        let mut samples = vec![0.0_f32; length];
        WhiteNoise::new(seed).add_to(&mut samples, 1.0);
        samples.into_iter().map(f64::from).collect()
    }

    /// Standard errors of the moments of n normal numbers: 1/√n, √(2/n), √(15/n), √(96/n); 5 of them are allowed.
    #[test]
    fn moments_and_tails_are_those_of_the_normal_distribution() {
        const N: usize = 1 << 21;
        let n = N as f64;
        let samples = noise(7, N);
        let moment = |power: i32| samples.iter().map(|x| x.powi(power)).sum::<f64>() / n;
        assert!(moment(1).abs() < 5.0 / n.sqrt(), "{}", moment(1));
        assert!((moment(2) - 1.0).abs() < 5.0 * (2.0 / n).sqrt(), "{}", moment(2));
        assert!(moment(3).abs() < 5.0 * (15.0 / n).sqrt(), "{}", moment(3));
        assert!((moment(4) - 3.0).abs() < 5.0 * (96.0 / n).sqrt(), "{}", moment(4));
        // Shares beyond 1, 2, 3 and 4 standard deviations; a share p has a standard error of √(p/n) at most.
        for (limit, share) in [(1.0, 0.317_310_5), (2.0, 0.045_500_3), (3.0, 0.002_699_8), (4.0, 6.334e-5)] {
            let found = samples.iter().filter(|x| x.abs() > limit).count() as f64 / n;
            assert!((found - share).abs() < 5.0 * (share / n).sqrt(), "beyond {limit}: {found}");
        }
    }

    /// A correlation of n independent pairs has a standard error of 1/√n; 33 lags, so 5 of them are allowed.
    #[test]
    fn neighbours_are_uncorrelated() {
        const N: usize = 1 << 20;
        let samples = noise(3, N);
        for lag in 1..=33 {
            let sum: f64 = samples.iter().zip(&samples[lag..]).map(|(a, b)| a * b).sum();
            assert!((sum / N as f64).abs() < 5.0 / (N as f64).sqrt(), "lag {lag}: {sum}");
        }
    }

    /// The same bits everywhere: a change of them changes every noisy view.
    #[test]
    fn the_first_numbers_are_pinned() {
        let mut samples = [0.0_f32; 3];
        WhiteNoise::new(0).add_to(&mut samples, 1.0);
        assert_eq!(samples.map(f32::to_bits), [3_200_691_864, 1_016_925_064, 3_209_605_407]);
        let mut narrow = [0.0_f32; 100];
        WhiteNoise::new(1).add(&mut narrow, 1.0);
        assert_eq!(noise(1, 100), narrow.map(f64::from), "whatever the registers' width");
        assert_ne!(noise(1, 16), noise(2, 16));
        assert_eq!(noise(1, 21)[..16], noise(1, 16));
    }

    #[test]
    fn extreme_bits_stay_on_the_circle_and_finite() {
        for bits in [0, 1, u32::MAX, 1 << 31, (1 << 31) - 1, 0xFF, 0xFFFF_FF00] {
            let (x, y) = direction(bits);
            // Roundings of two squares and their sum, and the series' next term: a few f32 steps of 1.2e-7.
            assert!((x * x + y * y - 1.0).abs() < 5e-7, "{bits:#x}: {x} {y}");
            assert!((0.0..5.8).contains(&radius(bits)), "{bits:#x}: {}", radius(bits));
        }
    }
}
