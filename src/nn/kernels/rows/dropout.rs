//! Dropout whose mask is a function of a seed and a place, so that nobody stores it.

/// Sets values to 0 with a probability and divides the others by the probability to stay.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dropout {
    pub seed: u64,
    /// From 0 (nothing happens) to 1 (nothing stays).
    pub probability: f32,
}

/// The masks of one dropout layer.
#[derive(Clone, Copy, Debug)]
pub struct Mask {
    key: u64,
    /// Of 2³² random numbers, those below it set a value to 0.
    threshold: u32,
    scale: f32,
}

/// The mask of one row.
#[derive(Clone, Copy, Debug)]
pub struct RowMask {
    keys: [u32; 2],
    threshold: u32,
    scale: f32,
}

impl Mask {
    /// Of layer `layer` of those that share a seed; values that stay are multiplied by `factor` besides.
    pub fn new(dropout: Dropout, layer: u64, factor: f32) -> Self {
        let Dropout { seed, probability } = dropout;
        let threshold = (f64::from(probability) * 2.0_f64.powi(32)) as u32;
        // One number in 2³² is never below the threshold: with a probability of 1 it is multiplied by 0, too.
        let scale = if probability < 1.0 { factor / (1.0 - probability) } else { 0.0 };
        Self { key: mixed(mixed(seed).wrapping_add(layer)), threshold, scale }
    }

    #[inline(always)]
    pub fn row(&self, row: usize) -> RowMask {
        let keys = mixed(self.key ^ row as u64);
        RowMask { keys: [keys as u32, (keys >> 32) as u32], threshold: self.threshold, scale: self.scale }
    }
}

impl RowMask {
    /// What the value of a column is multiplied by. Not a choice between it and 0: a NaN must not vanish.
    #[inline(always)]
    pub fn factor(&self, column: usize) -> f32 {
        // Two multiplications, by the constants of Wellons' "lowbias32"; only the highest bits, the best, decide.
        let x = (column as u32 ^ self.keys[0]).wrapping_mul(0x7feb_352d);
        let x = (x ^ (x >> 15)).wrapping_add(self.keys[1]).wrapping_mul(0x846c_a68b);
        if x >= self.threshold { self.scale } else { 0.0 }
    }
}

/// Sixty-four bits, each of which depends on each of `x` (SplitMix64; Steele, Lea and Flood, 2014).
#[inline(always)]
pub fn mixed(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROWS: usize = 4000;
    const WIDTH: usize = 256;

    /// 1 where a value stays, in 4,000 rows of 256.
    fn kept(seed: u64, layer: u64, probability: f32) -> Vec<f64> {
        let mask = Mask::new(Dropout { seed, probability }, layer, 1.0);
        let row =
            |row| (0..WIDTH).map(move |column| f64::from(u8::from(mask.row(row).factor(column) != 0.0)));
        (0..ROWS).flat_map(row).collect()
    }

    fn correlation(a: &[f64], b: &[f64], share: f64) -> f64 {
        let products: f64 = a.iter().zip(b).map(|(a, b)| (a - share) * (b - share)).sum();
        products / (share * (1.0 - share) * a.len() as f64)
    }

    #[test]
    fn masks_are_as_good_as_chance() {
        let count = (ROWS * WIDTH) as f64;
        // Of the 600 draws below, one lies beyond 5 deviations once in 3,000 times: chance would not fail it.
        let far = 5.0;
        for probability in [0.1, 0.2, 0.5] {
            let share = 1.0 - f64::from(probability);
            let masks: Vec<Vec<f64>> = (0..3)
                .flat_map(|layer| [0, 1, 2, 1 << 32].map(|seed| kept(seed, layer, probability)))
                .collect();
            for (index, mask) in masks.iter().enumerate() {
                let mean = mask.iter().sum::<f64>() / count;
                assert!(
                    (mean - share).abs() < far * (share * (1.0 - share) / count).sqrt(),
                    "{index}: {mean}"
                );
                // A correlation of independent values deviates by 1 / sqrt(count).
                for distance in [1, 2, 3, 4, 8, 16, 64, WIDTH, 2 * WIDTH, 16 * WIDTH] {
                    let correlation = correlation(mask, &mask[distance..], share);
                    assert!(correlation.abs() < far / count.sqrt(), "{index}, {distance}: {correlation}");
                }
                for other in &masks[..index] {
                    assert!(correlation(mask, other, share).abs() < far / count.sqrt(), "{index}");
                }
            }
        }
    }

    /// Whether rows and columns as wholes keep their share: a weak hash can be right on average and not in these.
    #[test]
    fn rows_and_columns_keep_their_share() {
        let mask = kept(11, 0, 0.2);
        let rows = mask.chunks(WIDTH).map(|row| (row.iter().sum::<f64>(), WIDTH as f64));
        let columns = (0..WIDTH).map(|c| (mask.iter().skip(c).step_by(WIDTH).sum::<f64>(), ROWS as f64));
        let squares = |sums: &mut dyn Iterator<Item = (f64, f64)>| {
            let (mut total, mut number) = (0.0, 0.0);
            for (sum, count) in sums {
                total += (sum - 0.8 * count).powi(2) / (count * 0.8 * 0.2);
                number += 1.0;
            }
            // Chi-squared: mean `number`, variance twice that.
            (total - number) / (2.0_f64 * number).sqrt()
        };
        for deviations in [squares(&mut rows.into_iter()), squares(&mut columns.into_iter())] {
            assert!(deviations.abs() < 5.0, "{deviations}");
        }
    }

    #[test]
    fn what_stays_is_divided_by_its_share() {
        let factors = |seed: u64, probability: f32| -> Vec<f32> {
            let mask = Mask::new(Dropout { seed, probability }, 0, 1.0);
            (0..50).flat_map(|row| (0..WIDTH).map(move |column| mask.row(row).factor(column))).collect()
        };
        assert!(factors(1, 0.0).iter().all(|factor| *factor == 1.0));
        assert!(factors(1, 1.0).iter().all(|factor| *factor == 0.0));
        let half = factors(1, 0.5);
        assert!(half.iter().all(|factor| *factor == 0.0 || *factor == 2.0));
        assert!(half != factors(2, 0.5));
        assert!(half == factors(1, 0.5));
    }
}
