//! Pitch shift as a change of the mel filters.
//!
//! Moving the power of bin j from its frequency to r times it, and then weighting bins with a mel filter, are both
//! linear; so the two are one filter, and a shift costs nothing per frame.
//!
//! The moved power lands between bins. It is shared out among those within max(1, r) of the place, in proportion
//! to a triangle and so that the shares add up to 1: no power is made or lost, neither of a tone nor of noise, and with
//! r > 1 no bin between two places is left empty. At r = 1 these are the front end's own filters.

use super::super::mel::SparseFilters;

/// The ratio of frequencies of so many semitones: exactly 1 for none.
pub(super) fn ratio(semitones: f64) -> f64 {
    (semitones / 12.0).exp2()
}

/// The filters of a front end with `bins` bins, for spectra whose frequencies are to be multiplied by `ratio`.
pub(super) fn moved_into(filters: &SparseFilters, bins: usize, ratio: f64, moved: &mut SparseFilters) {
    let reach = ratio.max(1.0);
    moved.runs.clear();
    moved.weights.clear();
    for (first, place) in &filters.runs {
        let (start, weights) = (moved.weights.len(), &filters.weights[place.clone()]);
        if weights.is_empty() {
            moved.runs.push((0, start..start));
            continue;
        }
        // Bins that are moved to within reach of the filter.
        let lowest = ((*first as f64 - reach) / ratio).ceil().max(0.0) as usize;
        let highest = (((first + weights.len() - 1) as f64 + reach) / ratio) as usize;
        for bin in lowest..=highest.min(bins - 1) {
            moved.weights.push(Share::new(bin, ratio, reach).weight(*first, weights));
        }
        // Above half the sample rate there is nothing to move.
        let lowest = if lowest < bins { lowest } else { 0 };
        moved.runs.push((lowest, start..moved.weights.len()));
    }
}

/// How the power of one bin is shared out.
struct Share {
    /// Where it is moved to, in bins.
    place: f64,
    reach: f64,
    /// Sum of the triangle's values at all bins within reach.
    whole: f64,
}

impl Share {
    fn new(bin: usize, ratio: f64, reach: f64) -> Self {
        let mut share = Self { place: bin as f64 * ratio, reach, whole: 1.0 };
        let (mut target, highest) = ((share.place - reach).ceil(), share.place + reach);
        let mut whole = 0.0;
        while target <= highest {
            whole += share.triangle(target);
            target += 1.0;
        }
        share.whole = whole;
        share
    }

    fn triangle(&self, target: f64) -> f64 {
        (1.0 - (target - self.place).abs() / self.reach).max(0.0)
    }

    /// Sum over the bins of a filter, from bin `first` on, of the share that each gets times its weight.
    fn weight(&self, first: usize, weights: &[f32]) -> f32 {
        let lowest = ((self.place - self.reach).ceil().max(0.0) as usize).max(first);
        let highest = ((self.place + self.reach) as usize).min(first + weights.len() - 1);
        let mut sum = 0.0;
        for target in lowest..=highest {
            let mut share = self.triangle(target as f64);
            // A spectrum is the same on the other side of 0 Hz: what falls there comes back.
            if target > 0 {
                share += self.triangle(-(target as f64));
            }
            sum += share * f64::from(weights[target - first]);
        }
        (sum / self.whole) as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BINS: usize = 65;

    /// A filter of its own for each bin: what is moved is seen as it is.
    fn identity() -> SparseFilters {
        SparseFilters { runs: (0..BINS).map(|bin| (bin, bin..bin + 1)).collect(), weights: vec![1.0; BINS] }
    }

    fn moved(ratio: f64) -> SparseFilters {
        let mut moved = SparseFilters::default();
        moved_into(&identity(), BINS, ratio, &mut moved);
        moved
    }

    #[test]
    fn nothing_moves_at_ratio_1() {
        assert_eq!(ratio(0.0), 1.0);
        let moved = moved(1.0);
        for (target, (first, place)) in moved.runs.iter().enumerate() {
            for (offset, weight) in moved.weights[place.clone()].iter().enumerate() {
                assert_eq!(*weight, f32::from(u8::from(first + offset == target)));
            }
        }
    }

    #[test]
    fn no_power_is_made_or_lost_below_half_the_rate() {
        for semitones in [-24.0, -7.3, -0.1, 0.1, 4.0, 12.0, 24.0] {
            let ratio = ratio(semitones);
            let moved = moved(ratio);
            let mut sums = [0.0_f32; BINS];
            for (first, place) in &moved.runs {
                for (sum, weight) in sums[*first..].iter_mut().zip(&moved.weights[place.clone()]) {
                    *sum += weight;
                }
            }
            for (bin, sum) in sums.iter().enumerate() {
                let place = bin as f64 * ratio;
                let expected = if place + ratio.max(1.0) <= (BINS - 1) as f64 { 1.0 } else { *sum };
                // Up to nine shares are rounded to f32.
                assert!((sum - expected).abs() < 1e-6 && *sum <= 1.0 + 1e-6, "{semitones}, bin {bin}: {sum}");
                assert!(
                    place - ratio.max(1.0) <= BINS as f64 || *sum == 0.0,
                    "{semitones}, bin {bin}: {sum}"
                );
            }
        }
    }

    #[test]
    fn power_lands_around_its_new_place() {
        let moved = moved(1.5);
        for (target, (first, place)) in moved.runs.iter().enumerate() {
            for (offset, weight) in moved.weights[place.clone()].iter().enumerate() {
                let distance = (target as f64 - 1.5 * (first + offset) as f64).abs();
                assert!(*weight == 0.0 || distance < 1.5, "bin {} to {target}", first + offset);
            }
        }
    }
}
