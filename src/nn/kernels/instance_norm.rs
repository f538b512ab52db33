//! Instance norm (Ulyanov, Vedaldi and Lempitsky, 2016) and a PReLU behind it, on plain slices `[batch, channels, positions]`.
//!
//! A channel of a sample is normalised over all its positions, as PyTorch's `InstanceNorm2d(affine=True)` does: biased
//! variance, no running statistics. Then values that are not positive are multiplied by the channel's slope. One task is
//! one channel of one sample, 258 kB at 321 × 201 positions: its passes find it in a core's own cache.

use std::mem::MaybeUninit;

use rayon::prelude::*;

use super::conv::{Activation, ChannelActivation, sums, with_vectors};
use super::parts::{Unwritten, filled};

/// Per channel, what the norm and the PReLU learn.
#[derive(Clone, Copy, Debug)]
pub struct NormPrelu<'a> {
    pub weight: &'a [f32],
    pub bias: &'a [f32],
    pub slope: &'a [f32],
}

/// Gradients of [`instance_norm_prelu`].
#[derive(Debug)]
pub struct InstanceNormGradients {
    pub x: Vec<f32>,
    pub weight: Vec<f32>,
    pub bias: Vec<f32>,
    pub slope: Vec<f32>,
}

/// `x` `[batch, channels, positions]`, its weight, bias and slope `[channels]`: the result, and of every channel of every
/// sample the mean and 1 / sqrt(variance + epsilon), `[batch · channels]`.
pub fn instance_norm_prelu(
    x: &[f32],
    weight: &[f32],
    bias: &[f32],
    slope: &[f32],
    [batch, channels]: [usize; 2],
    epsilon: f32,
) -> (Vec<f32>, Vec<f32>, Vec<f32>) {
    assert!([weight.len(), bias.len(), slope.len()] == [channels; 3], "sizes that do not fit");
    let (mean, inverse) = statistics(x, batch * channels, epsilon);
    let gain = gains(&inverse, weight);
    let activation = Activation { mean: &mean, gain: &gain, bias, slope };
    let y = activated(x, &activation);
    (y, mean, inverse)
}

/// Mean and 1 / sqrt(variance + epsilon) of each of `count` planes.
pub fn statistics(x: &[f32], count: usize, epsilon: f32) -> (Vec<f32>, Vec<f32>) {
    let plane = plane(x, count);
    let of_plane = |x: &[f32]| {
        with_vectors(
            #[inline(always)]
            || {
                let scale = 1.0 / x.len() as f64;
                let [sum] = sums(
                    x,
                    x,
                    #[inline(always)]
                    |x, _| [x],
                );
                let mean = (sum * scale) as f32;
                // About the mean, not as a difference of squares: no cancellation.
                let [squares] = sums(
                    x,
                    x,
                    #[inline(always)]
                    |x, _| [(x - mean) * (x - mean)],
                );
                (mean, (1.0 / (squares * scale + f64::from(epsilon)).sqrt()) as f32)
            },
        )
    };
    x.par_chunks_exact(plane).map(of_plane).unzip()
}

/// Positions of each of `count` planes.
fn plane(x: &[f32], count: usize) -> usize {
    assert!(count > 0 && !x.is_empty() && x.len().is_multiple_of(count), "sizes that do not fit");
    x.len() / count
}

/// weight / deviation, `[batch · channels]`.
pub fn gains(inverse: &[f32], weight: &[f32]) -> Vec<f32> {
    assert!(!weight.is_empty() && inverse.len().is_multiple_of(weight.len()), "sizes that do not fit");
    inverse.iter().zip(weight.iter().cycle()).map(|(inverse, weight)| inverse * weight).collect()
}

/// The norm with given statistics and the PReLU.
pub fn activated(x: &[f32], activation: &Activation<'_>) -> Vec<f32> {
    let plane = plane(x, activation.mean.len());
    let write = |index: usize, out: &mut Unwritten| {
        let (x, of) = (&x[index * plane..][..out.len()], activation.of(index));
        with_vectors(
            #[inline(always)]
            || out.iter_mut().zip(x).for_each(|(out, x)| *out = MaybeUninit::new(of.apply(*x))),
        );
    };
    // SAFETY: there is a value of `x` for each of the part's.
    unsafe { filled(x.len(), plane, write) }
}

/// [`activated`] in place.
pub fn activate(x: &mut [f32], activation: &Activation<'_>) {
    let plane = plane(x, activation.mean.len());
    x.par_chunks_exact_mut(plane).enumerate().for_each(|(index, x)| {
        let of = activation.of(index);
        with_vectors(
            #[inline(always)]
            || x.iter_mut().for_each(|x| *x = of.apply(*x)),
        );
    });
}

/// Gradients of [`instance_norm_prelu`] at `x`, weight, bias and slope, from its statistics and the gradient at its result.
pub fn instance_norm_prelu_backward(
    x: &[f32],
    mean: &[f32],
    inverse: &[f32],
    weight: &[f32],
    bias: &[f32],
    slope: &[f32],
    gradient: &[f32],
) -> InstanceNormGradients {
    let mut of_x = x.to_vec();
    let [weight, bias, slope] =
        backward_in_place(&mut of_x, mean, inverse, NormPrelu { weight, bias, slope }, gradient);
    InstanceNormGradients { x: of_x, weight, bias, slope }
}

/// As [`instance_norm_prelu_backward`], with the gradient at `x` in its place: gradients of weight, bias and slope.
///
/// With h = (x - mean) · inverse, g the gradient behind the PReLU, n positions: x' = weight · inverse · (g - Σg/n - h · Σ(g·h)/n),
/// weight' = Σ(g·h), bias' = Σg; the sums of all samples are added in order.
pub fn backward_in_place(
    x: &mut [f32],
    mean: &[f32],
    inverse: &[f32],
    learnt: NormPrelu<'_>,
    gradient: &[f32],
) -> [Vec<f32>; 3] {
    let NormPrelu { weight, bias, slope } = learnt;
    let (channels, count) = (weight.len(), mean.len());
    let (plane, gain) = (plane(x, count), gains(inverse, weight));
    let fit = [bias.len(), slope.len()] == [channels; 2] && inverse.len() == count;
    assert!(fit && gradient.len() == x.len(), "sizes that do not fit");
    let activation = Activation { mean, gain: &gain, bias, slope };
    let parts: Vec<[f64; 3]> = x
        .par_chunks_exact_mut(plane)
        .zip(gradient.par_chunks_exact(plane))
        .enumerate()
        .map(|(index, (x, gradient))| {
            let of = activation.of(index);
            with_vectors(
                #[inline(always)]
                || backward_of_plane(x, gradient, of, inverse[index]),
            )
        })
        .collect();
    let mut total = vec![[0.0f64; 3]; channels];
    for (index, part) in parts.iter().enumerate() {
        total[index % channels].iter_mut().zip(part).for_each(|(total, part)| *total += part);
    }
    [0, 1, 2].map(|which| total.iter().map(|sums| sums[which] as f32).collect())
}

/// Gradient at `x` in its place; at weight, bias and slope.
#[inline(always)]
fn backward_of_plane(x: &mut [f32], gradient: &[f32], of: ChannelActivation, inverse: f32) -> [f64; 3] {
    // PyTorch's choice at 0: as for a negative number.
    let behind = |norm: f32, gradient: f32| if norm > 0.0 { gradient } else { of.slope * gradient };
    let [of_weight, of_bias, of_slope] = sums(
        x,
        gradient,
        #[inline(always)]
        |x, gradient| {
            let norm = of.norm(x);
            let inner = behind(norm, gradient);
            [inner * ((x - of.mean) * inverse), inner, if norm > 0.0 { 0.0 } else { gradient * norm }]
        },
    );
    let scale = 1.0 / x.len() as f64;
    let (shift, tilt) = ((of_bias * scale) as f32, (of_weight * scale) as f32);
    for (x, gradient) in x.iter_mut().zip(gradient) {
        let inner = behind(of.norm(*x), *gradient);
        *x = of.gain * (inner - shift - (*x - of.mean) * inverse * tilt);
    }
    [of_weight, of_bias, of_slope]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(count: usize, seed: usize) -> Vec<f32> {
        (0..count).map(|i| ((i * 7919 + seed * 104_729) % 997) as f32 / 500.0 - 1.0).collect()
    }

    /// By the definition, in f64.
    fn exact(x: &[f64], learnt: [&[f64]; 3], batch: usize, epsilon: f64) -> Vec<f64> {
        let [weight, bias, slope] = learnt;
        let plane = x.len() / batch / weight.len();
        let mut result = Vec::new();
        for (index, x) in x.chunks(plane).enumerate() {
            let c = index % weight.len();
            let mean = x.iter().sum::<f64>() / plane as f64;
            let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / plane as f64;
            result.extend(x.iter().map(|x| {
                let norm = (x - mean) / (variance + epsilon).sqrt() * weight[c] + bias[c];
                if norm > 0.0 { norm } else { slope[c] * norm }
            }));
        }
        result
    }

    fn wide(values: &[f32]) -> Vec<f64> {
        values.iter().map(|value| f64::from(*value)).collect()
    }

    #[test]
    fn result_and_gradients_are_those_of_the_definition() {
        for (batch, channels, plane) in [(2, 3, 35), (1, 2, 1), (2, 1, 16), (1, 2, 2111)] {
            let x = values(batch * channels * plane, 1);
            let gradient = values(x.len(), 2);
            let learnt = [3, 4, 5].map(|seed| values(channels, seed));
            let [weight, bias, slope] = [0, 1, 2].map(|i| learnt[i].as_slice());
            let (y, mean, inverse) = instance_norm_prelu(&x, weight, bias, slope, [batch, channels], 1e-3);
            let found = instance_norm_prelu_backward(&x, &mean, &inverse, weight, bias, slope, &gradient);
            let arguments = [wide(&x), wide(weight), wide(bias), wide(slope)];
            let exact_of = |arguments: &[Vec<f64>; 4]| {
                let [x, weight, bias, slope] = arguments;
                exact(x, [weight, bias, slope], batch, f64::from(1e-3f32))
            };
            for (found, exact) in y.iter().zip(exact_of(&arguments)) {
                // A value of size ~3 in f32, a handful of roundings.
                assert!((f64::from(*found) - exact).abs() < 3e-6, "{found} {exact}");
            }
            let loss = |arguments: &[Vec<f64>; 4]| {
                exact_of(arguments).iter().zip(&gradient).map(|(y, g)| y * f64::from(*g)).sum::<f64>()
            };
            let parts = [&found.x, &found.weight, &found.bias, &found.slope];
            for (which, part) in parts.into_iter().enumerate() {
                let step = part.len().div_ceil(40);
                for i in (0..part.len()).step_by(step) {
                    let at = |by: f64| {
                        let mut arguments = arguments.clone();
                        arguments[which][i] += by;
                        loss(&arguments)
                    };
                    let difference = (at(1e-6) - at(-1e-6)) / 2e-6;
                    // Differences in f64 are good to 1e-16 / 1e-6 of the loss, ~1e-7 here; sums of `plane` values of size
                    // 1 in f32 to ~1e-6 of their root.
                    let bound = 2e-5 * (plane as f64).sqrt().max(1.0) * difference.abs().max(1.0);
                    let off = (f64::from(part[i]) - difference).abs();
                    assert!(off < bound, "{which} {i}: {} instead of {difference}", part[i]);
                }
            }
        }
    }

    /// A small spread far from 0, over as many positions as a spectrogram has.
    #[test]
    fn statistics_hold_for_many_positions_far_from_zero() {
        let x: Vec<f32> = values(321 * 201, 6).iter().map(|value| 100.0 + value * 0.01).collect();
        let (mean, inverse) = statistics(&x, 1, 0.0);
        let count = x.len() as f64;
        let exact = wide(&x).iter().sum::<f64>() / count;
        let variance = wide(&x).iter().map(|x| (x - exact).powi(2)).sum::<f64>() / count;
        // Half a unit in the last place at 100; the deviation of 0.006 from that mean is off by the mean's error squared.
        assert!((f64::from(mean[0]) - exact).abs() <= 4e-6, "{} {exact}", mean[0]);
        let root = 1.0 / variance.sqrt();
        assert!((f64::from(inverse[0]) / root - 1.0).abs() < 1e-6, "{} {root}", inverse[0]);
    }

    #[test]
    fn a_value_that_is_no_number_spoils_its_channel_and_no_other() {
        let mut x = values(2 * 3 * 20, 7);
        x[25] = f32::NAN;
        let (ones, gradient) = (vec![1.0; 3], values(x.len(), 8));
        let (y, mean, inverse) = instance_norm_prelu(&x, &ones, &ones, &ones, [2, 3], 1e-5);
        let found = instance_norm_prelu_backward(&x, &mean, &inverse, &ones, &ones, &ones, &gradient);
        for (index, (y, of_x)) in y.iter().zip(&found.x).enumerate() {
            assert_eq!([y.is_nan(), of_x.is_nan()], [(20..40).contains(&index); 2], "{index}");
        }
        assert_eq!(found.weight.iter().map(|v| v.is_nan()).collect::<Vec<_>>(), [false, true, false]);
    }

    #[test]
    fn at_zero_the_gradient_is_that_of_a_negative_number() {
        // A constant channel normalises to 0 everywhere.
        let gradient = [1.0, 2.0, 3.0];
        let (_, mean, inverse) = instance_norm_prelu(&[5.0; 3], &[1.0], &[0.0], &[0.25], [1, 1], 1e-5);
        let found =
            instance_norm_prelu_backward(&[5.0; 3], &mean, &inverse, &[1.0], &[0.0], &[0.25], &gradient);
        assert_eq!((found.bias, found.slope), (vec![1.5], vec![0.0]));
    }

    #[test]
    fn the_number_of_threads_changes_no_bit() {
        let (x, gradient) = (values(3 * 4 * 5000, 9), values(3 * 4 * 5000, 10));
        let learnt = [11, 12, 13].map(|seed| values(4, seed));
        let on = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let [weight, bias, slope] = &learnt;
                let (y, mean, inverse) = instance_norm_prelu(&x, weight, bias, slope, [3, 4], 1e-5);
                let found = instance_norm_prelu_backward(&x, &mean, &inverse, weight, bias, slope, &gradient);
                let all = [y, mean, inverse, found.x, found.weight, found.bias, found.slope].concat();
                all.into_iter().map(f32::to_bits).collect::<Vec<_>>()
            })
        };
        assert!(on(1) == on(3));
    }
}
