//! The interval of a rank correlation between configurations, over the machines that their values are means of.

use ndarray::{ArrayView2, Axis};

use super::bootstrap::{self, Bootstrap, Resampler, Settings};
use super::{Error, spearman};

/// Spearman's ρ between the machine means of `x` and of `y`, both `[configurations, machines]`, with its interval under
/// resampling of the machines: each resample draws machines with replacement, the same ones for `x` and `y` and for all
/// configurations, averages over them and ranks again.
///
/// What it answers is how far ρ hangs on the choice of machines; the configurations stay the ones that they are. With seven
/// machines there are 1,716 different resamples, and intervals of so few units are somewhat too short. Resamples in which a
/// mean is the same for all configurations have no ρ: they are left out and counted.
///
/// # Errors
/// Tables of different shape, fewer than three configurations or two machines, a value that is not finite, means that are
/// all equal, and those of [`bootstrap::bootstrap`].
pub fn rho_over_machines(
    x: ArrayView2<f64>,
    y: ArrayView2<f64>,
    settings: Settings,
) -> Result<Bootstrap, Error> {
    let (configurations, machines) = x.dim();
    if x.dim() != y.dim() {
        return Err(Error::Lengths { left: x.len(), right: y.len() });
    }
    if configurations < 3 {
        return Err(Error::TooFew { n: configurations });
    }
    if machines < 2 {
        return Err(Error::TooFewMachines { machines });
    }
    for table in [x, y] {
        if let Some(index) = table.rows().into_iter().position(|row| row.iter().any(|v| !v.is_finite())) {
            return Err(Error::NotFinite { index });
        }
    }
    let rho = |weights: &[u32]| {
        let means = |table: ArrayView2<f64>| -> Vec<f64> {
            let weighted = |row: ndarray::ArrayView1<f64>| {
                without_noise(row.iter().zip(weights).map(|(value, &weight)| value * f64::from(weight)).sum())
            };
            // The sum ranks as the mean does.
            table.axis_iter(Axis(0)).map(weighted).collect()
        };
        spearman::rank_correlation(&means(x), &means(y))
    };
    // Why the machines themselves give no ρ, before it is said that they do not.
    rho(&vec![1; machines])?;
    bootstrap::bootstrap(&Resampler::new(&vec![(); machines]), settings, |weights| rho(weights).ok())
}

/// To twelve digits: two means that are equal must rank as equal, whichever way their last bits were rounded.
pub fn without_noise(mean: f64) -> f64 {
    format!("{mean:.11e}").parse().unwrap_or(mean)
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};

    use super::*;

    #[test]
    fn machines_that_agree_leave_no_doubt() {
        let x = Array2::from_shape_fn((5, 7), |(c, m)| (c * 10 + m) as f64);
        let found = rho_over_machines(x.view(), x.mapv(|v| -v).view(), Settings::default()).unwrap();
        assert_eq!((found.estimate, found.interval.low, found.interval.high), (-1.0, -1.0, -1.0));
        assert_eq!(found.undefined, 0);
    }

    #[test]
    fn equal_means_tie_whichever_way_they_were_rounded() {
        // Rows 0 and 1 are the same numbers in another order: their sums differ in the last bit.
        let x = array![[0.1, 0.2, 0.3], [0.3, 0.2, 0.1], [1.0, 1.0, 1.0], [2.0, 2.0, 2.0]];
        assert_ne!(x.row(0).sum(), x.row(1).sum());
        let y = array![[1.0; 3], [1.0; 3], [2.0; 3], [3.0; 3]];
        let found = rho_over_machines(x.view(), y.view(), Settings::default()).unwrap();
        assert_eq!(found.estimate, 1.0);
    }

    #[test]
    fn machines_that_disagree_widen_the_interval() {
        let x = Array2::from_shape_fn((5, 7), |(c, m)| ((c * 7 + m * m * 3 + c * m) % 11) as f64);
        let y = Array2::from_shape_fn((5, 7), |(c, m)| ((c * 5 + m * 2 + c * c * m) % 13) as f64);
        let found = rho_over_machines(x.view(), y.view(), Settings::default()).unwrap();
        let sums = |t: &Array2<f64>| t.sum_axis(Axis(1)).to_vec();
        assert_eq!(found.estimate, spearman::spearman(&sums(&x), &sums(&y)).unwrap().rho);
        assert!(
            found.interval.high - found.interval.low > 0.5 && found.interval.contains(found.estimate),
            "{found:?}"
        );
        let rows = [4, 2, 0, 3, 1];
        let (x, y) = (x.select(Axis(0), &rows), y.select(Axis(0), &rows));
        assert_eq!(rho_over_machines(x.view(), y.view(), Settings::default()).unwrap(), found);
    }

    #[test]
    fn what_has_no_rho_is_an_error() {
        let ok = array![[1.0, 2.0], [3.0, 1.0], [4.0, 6.0]];
        let run = |x: &Array2<f64>, y: &Array2<f64>| {
            rho_over_machines(x.view(), y.view(), Settings::default()).unwrap_err()
        };
        assert_eq!(run(&ok, &Array2::zeros((3, 3))), Error::Lengths { left: 6, right: 9 });
        assert_eq!(run(&Array2::zeros((2, 4)), &Array2::zeros((2, 4))), Error::TooFew { n: 2 });
        assert_eq!(
            run(&Array2::zeros((3, 1)), &Array2::zeros((3, 1))),
            Error::TooFewMachines { machines: 1 }
        );
        assert_eq!(run(&ok, &array![[1.0, 2.0], [f64::NAN, 1.0], [4.0, 6.0]]), Error::NotFinite { index: 1 });
        assert_eq!(run(&ok, &Array2::ones((3, 2))), Error::Constant { n: 3 });
        // One machine that ranks and one that does not: half of the resamples that draw one machine only have no ρ.
        let half = array![[1.0, 0.0], [2.0, 0.0], [3.0, 0.0]];
        assert!(matches!(run(&ok, &half), Error::Undefined { .. }));
    }
}
