//! The kernels on plain slices, row-major `[rows, channels]`.
//!
//! Each loop runs over slices of one length, without branches, so that the compiler makes vector code of it; on a
//! processor with AVX2 it does so for eight lanes. Nothing is reordered or contracted: the bits are the same on both.

use std::mem::MaybeUninit;

use rayon::prelude::*;

use super::parts::{ROWS, VALUES, filled};

/// Rows whose sums are taken in f32 before they go into the total, which keeps the rounding of long columns small.
const BLOCK_ROWS: usize = 64;
/// Partial sums side by side.
const LANES: usize = 16;

/// Per channel, what normalisation with given statistics needs.
pub struct Norm<'a> {
    pub(super) mean: &'a [f32],
    pub(super) bias: &'a [f32],
    /// 1 / sqrt(variance + epsilon).
    pub(super) inverse: Vec<f32>,
    /// weight · inverse.
    pub(super) gain: Vec<f32>,
}

impl<'a> Norm<'a> {
    /// All slices have one value per channel.
    pub fn new(weight: &[f32], bias: &'a [f32], mean: &'a [f32], variance: &[f32], epsilon: f32) -> Self {
        let inverse: Vec<f32> = variance.iter().map(|v| 1.0 / (v + epsilon).sqrt()).collect();
        let gain = inverse.iter().zip(weight).map(|(inverse, weight)| inverse * weight).collect();
        Self { mean, bias, inverse, gain }
    }
}

/// Runs `work` as compiled for AVX2 where the processor has it; `work` must be inlined into it to gain.
fn with_avx2<R>(work: impl FnOnce() -> R) -> R {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        #[target_feature(enable = "avx2")]
        fn wide<R>(work: impl FnOnce() -> R) -> R {
            work()
        }
        // SAFETY: `wide` differs from `work` in the instructions it may use, and the processor has them.
        return unsafe { wide(work) };
    }
    work()
}

/// Sums over rows, block by block, of what `add_row` adds for each row.
#[inline(always)]
pub(super) fn column_sums(rows: usize, width: usize, mut add_row: impl FnMut(usize, &mut [f32])) -> Vec<f32> {
    let mut total = vec![0.0_f32; width];
    let mut block = vec![0.0_f32; width];
    for first in (0..rows).step_by(BLOCK_ROWS) {
        block.fill(0.0);
        for row in first..rows.min(first + BLOCK_ROWS) {
            add_row(row, &mut block);
        }
        total.iter_mut().zip(&block).for_each(|(total, part)| *total += part);
    }
    total
}

/// Sums over the rows of `x` `[rows, channels]`.
pub fn sum_rows(x: &[f32], channels: usize) -> Vec<f32> {
    with_avx2(
        #[inline(always)]
        || {
            column_sums(
                x.len() / channels,
                channels,
                #[inline(always)]
                |index, sums| {
                    let row = &x[index * channels..(index + 1) * channels];
                    sums.iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
                },
            )
        },
    )
}

/// relu(norm(x)), the batch's mean, its biased variance.
pub fn norm_relu(x: &[f32], weight: &[f32], bias: &[f32], epsilon: f32) -> (Vec<f32>, Vec<f32>, Vec<f32>) {
    let channels = weight.len();
    assert!(channels > 0 && x.len() % channels == 0 && bias.len() == channels, "sizes that do not fit");
    let (mean, variance) = column_statistics(x, channels);
    let norm = Norm::new(weight, bias, &mean, &variance, epsilon);
    // SAFETY: `x` has whole rows and every list a value per channel, as asserted, so every value is written.
    let output = unsafe {
        filled(x.len(), ROWS * channels, |index, output| {
            let x = &x[index * ROWS * channels..][..output.len()];
            with_avx2(
                #[inline(always)]
                || {
                    for (output, x) in output.chunks_exact_mut(channels).zip(x.chunks_exact(channels)) {
                        let terms = x.iter().zip(norm.mean).zip(&norm.gain).zip(norm.bias);
                        for (output, (((x, mean), gain), bias)) in output.iter_mut().zip(terms) {
                            let value = (x - mean) * gain + bias;
                            // Not `max`, which would turn a NaN into a healthy-looking 0.
                            *output = MaybeUninit::new(if value < 0.0 { 0.0 } else { value });
                        }
                    }
                },
            );
        })
    };
    (output, mean, variance)
}

/// Mean and biased variance of each column.
fn column_statistics(x: &[f32], channels: usize) -> (Vec<f32>, Vec<f32>) {
    with_avx2(
        #[inline(always)]
        || {
            let rows = x.len() / channels;
            let row = |index: usize| &x[index * channels..(index + 1) * channels];
            let scale = 1.0 / rows as f32;
            let mut mean = column_sums(
                rows,
                channels,
                #[inline(always)]
                |index, sums| sums.iter_mut().zip(row(index)).for_each(|(sum, x)| *sum += x),
            );
            mean.iter_mut().for_each(|mean| *mean *= scale);
            // About the mean, not as a difference of squares: no cancellation.
            let mut variance = column_sums(
                rows,
                channels,
                #[inline(always)]
                |index, sums| {
                    for ((sum, x), mean) in sums.iter_mut().zip(row(index)).zip(&mean) {
                        *sum += (x - mean) * (x - mean);
                    }
                },
            );
            variance.iter_mut().for_each(|variance| *variance *= scale);
            (mean, variance)
        },
    )
}

/// Gradients of [`norm_relu`] at x, weight and bias, from the gradient behind the ReLU.
///
/// With g the gradient where the ReLU is open, d = x - mean, i = 1/deviation, n rows:
/// x' = gain·(g - Σg/n - d·i²·Σ(g·d)/n), weight' = i·Σ(g·d), bias' = Σg.
pub fn norm_relu_backward(x: &[f32], gradient: &[f32], norm: &Norm<'_>) -> (Vec<f32>, Vec<f32>, Vec<f32>) {
    let channels = norm.gain.len();
    let fit = channels > 0 && x.len() % channels == 0 && gradient.len() == x.len();
    assert!(fit, "sizes that do not fit");
    let rows = x.len() / channels;
    let (mean, bias, gain) = (&norm.mean[..channels], &norm.bias[..channels], &norm.gain[..channels]);
    let sums = with_avx2(
        #[inline(always)]
        || {
            let span = |index: usize| index * channels..(index + 1) * channels;
            column_sums(
                rows,
                2 * channels,
                #[inline(always)]
                |index, sums| {
                    let (of_g, of_gd) = sums.split_at_mut(channels);
                    let (of_g, of_gd) = (&mut of_g[..channels], &mut of_gd[..channels]);
                    let (x, gradient) = (&x[span(index)][..channels], &gradient[span(index)][..channels]);
                    for c in 0..channels {
                        let d = x[c] - mean[c];
                        let g = open(d * gain[c] + bias[c], gradient[c]);
                        of_g[c] += g;
                        of_gd[c] += g * d;
                    }
                },
            )
        },
    );
    let (of_g, of_gd) = sums.split_at(channels);
    let scale = 1.0 / rows as f32;
    let shift: Vec<f32> = of_g.iter().map(|sum| sum * scale).collect();
    let slope = of_gd.iter().zip(&norm.inverse).map(|(sum, inverse)| sum * inverse * inverse * scale);
    let slope: Vec<f32> = slope.collect();
    let (shift, slope) = (&shift[..channels], &slope[..channels]);
    // SAFETY: `x` has whole rows, as asserted, and every channel of every row of a part is written.
    let of_x = unsafe {
        filled(x.len(), ROWS * channels, |index, of_x| {
            let first = index * ROWS * channels;
            let (x, gradient) = (&x[first..][..of_x.len()], &gradient[first..][..of_x.len()]);
            with_avx2(
                #[inline(always)]
                || {
                    for (row, of_x) in of_x.chunks_exact_mut(channels).enumerate() {
                        let span = row * channels..(row + 1) * channels;
                        let (x, gradient) = (&x[span.clone()][..channels], &gradient[span][..channels]);
                        let of_x = &mut of_x[..channels];
                        for c in 0..channels {
                            let d = x[c] - mean[c];
                            let g = open(d * gain[c] + bias[c], gradient[c]);
                            of_x[c] = MaybeUninit::new(gain[c] * (g - shift[c] - d * slope[c]));
                        }
                    }
                },
            );
        })
    };
    let of_weight = of_gd.iter().zip(&norm.inverse).map(|(sum, inverse)| sum * inverse).collect();
    (of_x, of_weight, of_g.to_vec())
}

/// `gradient` where the ReLU's input is positive, else 0.
#[inline(always)]
fn open(input: f32, gradient: f32) -> f32 {
    if input > 0.0 { gradient } else { 0.0 }
}

/// Mean of |x - target|: 1,024 values at a time in f32, then in f64.
pub fn mean_absolute_error(x: &[f32], target: &[f32]) -> f32 {
    assert_eq!(x.len(), target.len(), "sizes that do not fit");
    // Collected in order: the sum has one order on any number of threads.
    let parts: Vec<f64> =
        x.par_chunks(VALUES).zip(target.par_chunks(VALUES)).map(|(x, t)| absolute_sum(x, t)).collect();
    (parts.iter().sum::<f64>() / x.len() as f64) as f32
}

/// Sum of |x - target|.
fn absolute_sum(x: &[f32], target: &[f32]) -> f64 {
    with_avx2(
        #[inline(always)]
        || {
            let mut total = 0.0_f64;
            for (x, target) in x.chunks(64 * LANES).zip(target.chunks(64 * LANES)) {
                let mut lanes = [0.0_f32; LANES];
                let (x, x_rest) = x.as_chunks::<LANES>();
                let (target, target_rest) = target.as_chunks::<LANES>();
                for (x, target) in x.iter().zip(target) {
                    for lane in 0..LANES {
                        lanes[lane] += (x[lane] - target[lane]).abs();
                    }
                }
                total += lanes.iter().map(|lane| f64::from(*lane)).sum::<f64>();
                let rest = x_rest.iter().zip(target_rest);
                total += rest.map(|(x, target)| f64::from((x - target).abs())).sum::<f64>();
            }
            total
        },
    )
}

/// `step` · sign(x - target); 0 where both agree, as in PyTorch.
pub fn mean_absolute_error_backward(x: &[f32], target: &[f32], step: f32) -> Vec<f32> {
    assert_eq!(x.len(), target.len(), "sizes that do not fit");
    // SAFETY: `x` and `target` have a value for each of the part's.
    unsafe {
        filled(x.len(), VALUES, |index, of_x| {
            let (x, target) = (&x[index * VALUES..][..of_x.len()], &target[index * VALUES..][..of_x.len()]);
            with_avx2(
                #[inline(always)]
                || {
                    for ((of_x, x), target) in of_x.iter_mut().zip(x).zip(target) {
                        // Without a branch: which sign comes next cannot be foreseen.
                        let sign = f32::from(x > target) - f32::from(x < target);
                        *of_x = MaybeUninit::new(step * sign);
                    }
                },
            );
        })
    }
}

/// One step of AdamW (Loshchilov and Hutter, 2019, algorithm 2, as PyTorch has it).
#[derive(Debug, Clone, Copy)]
pub struct AdamWStep {
    /// 1 - learning rate · weight decay.
    pub decay: f32,
    /// Of the gradient's mean.
    pub beta1: f32,
    /// Of its square's mean.
    pub beta2: f32,
    /// Learning rate / (1 - beta1^t).
    pub step_size: f32,
    /// 1 / sqrt(1 - beta2^t).
    pub root_correction: f32,
    /// Added to the root.
    pub epsilon: f32,
}

/// Moves `parameter` and its moments in place, one pass.
pub fn adamw(
    parameter: &mut [f32],
    gradient: &[f32],
    first: &mut [f32],
    second: &mut [f32],
    step: AdamWStep,
) {
    let parameter = parameter.par_chunks_mut(VALUES).zip(gradient.par_chunks(VALUES));
    let moments = first.par_chunks_mut(VALUES).zip(second.par_chunks_mut(VALUES));
    parameter.zip(moments).for_each(|((parameter, gradient), (first, second))| {
        adamw_part(parameter, gradient, first, second, step);
    });
}

fn adamw_part(
    parameter: &mut [f32],
    gradient: &[f32],
    first: &mut [f32],
    second: &mut [f32],
    step: AdamWStep,
) {
    with_avx2(
        #[inline(always)]
        || {
            let count = parameter.len();
            let (gradient, first, second) = (&gradient[..count], &mut first[..count], &mut second[..count]);
            for i in 0..count {
                let g = gradient[i];
                first[i] = step.beta1 * first[i] + (1.0 - step.beta1) * g;
                second[i] = step.beta2 * second[i] + (1.0 - step.beta2) * (g * g);
                let root = second[i].sqrt() * step.root_correction + step.epsilon;
                parameter[i] = step.decay * parameter[i] - step.step_size * (first[i] / root);
            }
        },
    )
}
