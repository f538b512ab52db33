//! Sums over the positions of maps: 1,024 values at a time in f32, then in f64.

use rayon::prelude::*;

use super::lanes::LANES;
use super::products::with_vectors;
use super::shape::ConvShape;

/// Values whose sum is taken in f32, each lane's own 64 of them.
const BLOCK: usize = 64 * LANES;

/// Sums of what `terms` makes of every pair of values.
#[inline(always)]
pub fn sums<const N: usize>(x: &[f32], y: &[f32], terms: impl Fn(f32, f32) -> [f32; N]) -> [f64; N] {
    assert_eq!(x.len(), y.len(), "sizes that do not fit");
    let mut total = [0.0f64; N];
    for (x, y) in x.chunks(BLOCK).zip(y.chunks(BLOCK)) {
        let mut lanes = [[0.0f32; LANES]; N];
        let ((x, x_rest), (y, y_rest)) = (x.as_chunks::<LANES>(), y.as_chunks::<LANES>());
        for (x, y) in x.iter().zip(y) {
            for lane in 0..LANES {
                let terms = terms(x[lane], y[lane]);
                for (lanes, term) in lanes.iter_mut().zip(terms) {
                    lanes[lane] += term;
                }
            }
        }
        for (x, y) in x_rest.iter().zip(y_rest) {
            total.iter_mut().zip(terms(*x, *y)).for_each(|(total, term)| *total += f64::from(term));
        }
        for (total, lanes) in total.iter_mut().zip(lanes) {
            *total += lanes.iter().map(|lane| f64::from(*lane)).sum::<f64>();
        }
    }
    total
}

/// The gradient of a convolution at its bias: every channel's sum over batch and positions, `[out]`.
pub fn backward_bias(gradient: &[f32], shape: &ConvShape) -> Vec<f32> {
    let [_, _, outputs] = shape.sizes();
    assert!(gradient.len() == outputs, "values that do not fit {shape:?}");
    let (channels, plane) = (shape.out_channels, shape.output().iter().product::<usize>());
    if outputs == 0 {
        return vec![0.0; channels];
    }
    let of_channel = |channel: usize| {
        let planes = gradient.chunks_exact(plane).skip(channel).step_by(channels);
        planes
            .map(|values| {
                with_vectors(
                    #[inline(always)]
                    || {
                        let [sum] = sums(
                            values,
                            values,
                            #[inline(always)]
                            |value, _| [value],
                        );
                        sum
                    },
                )
            })
            .sum::<f64>() as f32
    };
    (0..channels).into_par_iter().map(of_channel).collect()
}
