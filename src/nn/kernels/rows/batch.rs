//! Batch norm, swish and a linear layer, added to a residual: the end of a conformer's convolution.

use std::mem::MaybeUninit;

use rayon::prelude::*;

use super::super::conv::with_vectors;
use super::super::parts::{ROWS, Unwritten};
use super::super::slices::{Norm, column_sums};
use super::product::Block;
use super::ranges::{over_ranges, rows_of};
use super::step::{Front, Step, StepGradients, rows};
use super::swish::sigmoid;
use super::{BatchNorm, Linear};

/// Mean and biased variance of each column of `x` `[rows, channels]`.
pub fn batch_statistics(x: &[f32], channels: usize) -> (Vec<f32>, Vec<f32>) {
    let scale = 1.0 / rows(x, channels) as f32;
    let mut mean = totals(x, channels, |x, sums| sums.iter_mut().zip(x).for_each(|(sum, x)| *sum += x));
    mean.iter_mut().for_each(|mean| *mean *= scale);
    // About the mean, not as a difference of squares: no cancellation.
    let mut variance = totals(x, channels, |x, sums| {
        for ((sum, x), mean) in sums.iter_mut().zip(x).zip(&mean) {
            *sum += (x - mean) * (x - mean);
        }
    });
    variance.iter_mut().for_each(|variance| *variance *= scale);
    (mean, variance)
}

/// Sums over rows of what `add` adds for each.
fn totals(x: &[f32], channels: usize, add: impl Fn(&[f32], &mut [f32]) + Sync) -> Vec<f32> {
    // SAFETY: rows without columns have nothing to write.
    let (_, sums) = unsafe {
        over_ranges(rows(x, channels), 0, channels, |range, _, sums| {
            let x = rows_of(x, channels, &range);
            with_vectors(
                #[inline(always)]
                || {
                    let of_range = column_sums(
                        range.len(),
                        channels,
                        #[inline(always)]
                        |row, sums| add(&x[row * channels..(row + 1) * channels], sums),
                    );
                    sums.copy_from_slice(&of_range);
                },
            );
        })
    };
    sums
}

/// swish(norm(x)). Backward, it leaves the gradient at the norm's output instead of that at `x`, which needs the sums of
/// all rows.
#[derive(Clone, Copy)]
struct NormSwish<'a>(&'a Norm<'a>);

impl Front for NormSwish<'_> {
    fn width(&self) -> usize {
        self.0.gain.len()
    }

    fn sums(&self) -> usize {
        2 * self.width()
    }

    fn fill(&self, x: &[f32], block: &mut Block) {
        let channels = self.width();
        let (mean, gain, bias) = (self.0.mean, &self.0.gain, self.0.bias);
        with_vectors(
            #[inline(always)]
            || {
                for (x, out) in x.chunks_exact(channels).zip(block.rows_mut()) {
                    let terms = x.iter().zip(mean).zip(gain.iter().zip(bias));
                    for (out, ((x, mean), (gain, bias))) in out.iter_mut().zip(terms) {
                        let value = (x - mean) * gain + bias;
                        *out = value * sigmoid(value);
                    }
                }
            },
        );
    }

    fn back(&self, x: &[f32], gradient: &Block, of_x: &mut Unwritten, sums: &mut [f32]) {
        let channels = self.width();
        let (mean, gain, bias) = (self.0.mean, &self.0.gain, self.0.bias);
        let (of_g, of_gd) = sums.split_at_mut(channels);
        with_vectors(
            #[inline(always)]
            || {
                let rows = x.chunks_exact(channels).zip(of_x.chunks_exact_mut(channels));
                for ((x, of_x), gradient) in rows.zip(gradient.rows()) {
                    let terms = x.iter().zip(mean).zip(gain.iter().zip(bias)).zip(gradient);
                    let sums = of_g.iter_mut().zip(of_gd.iter_mut());
                    for ((of_x, (of_g, of_gd)), (((x, mean), (gain, bias)), gradient)) in
                        of_x.iter_mut().zip(sums).zip(terms)
                    {
                        let d = x - mean;
                        let value = d * gain + bias;
                        let open = sigmoid(value);
                        let g = gradient * (open * (1.0 + value * (1.0 - open)));
                        *of_g += g;
                        *of_gd += g * d;
                        *of_x = MaybeUninit::new(g);
                    }
                }
            },
        );
    }
}

/// residual + linear(swish(norm(x))): `[rows, outputs]`.
pub fn norm_swish_linear(x: &[f32], norm: BatchNorm<'_>, linear: Linear<'_>, residual: &[f32]) -> Vec<f32> {
    step(&with_statistics(norm), linear).forward_to_residual(x, residual, None)
}

/// Gradients of [`norm_swish_linear`] with the batch's own mean and variance, which depend on x: at x; at the norm's weight
/// and bias and the layer's weight and bias. That at the residual is `gradient` itself.
///
/// With g the gradient at the norm's output, d = x - mean, i = 1/deviation, n rows:
/// x' = gain·(g - Σg/n - d·i²·Σ(g·d)/n), weight' = i·Σ(g·d), bias' = Σg.
pub fn norm_swish_linear_backward(
    x: &[f32],
    norm: BatchNorm<'_>,
    linear: Linear<'_>,
    gradient: &[f32],
) -> (Vec<f32>, [Vec<f32>; 4]) {
    let norm = with_statistics(norm);
    let gradients = step(&norm, linear).backward_from_residual(x, None, gradient);
    let StepGradients { mut of_x, of_front, of_weight, of_bias } = gradients;
    let channels = norm.gain.len();
    let (of_g, of_gd) = of_front.split_at(channels);
    let scale = channels as f32 / x.len().max(1) as f32;
    let shift: Vec<f32> = of_g.iter().map(|sum| sum * scale).collect();
    let slope: Vec<f32> =
        of_gd.iter().zip(&norm.inverse).map(|(sum, inverse)| sum * inverse * inverse * scale).collect();
    let (mean, gain, shift, slope) = (norm.mean, &norm.gain, &shift, &slope);
    of_x.par_chunks_mut(ROWS * channels).zip(x.par_chunks(ROWS * channels)).for_each(|(of_x, x)| {
        with_vectors(
            #[inline(always)]
            || {
                for (of_x, x) in of_x.chunks_exact_mut(channels).zip(x.chunks_exact(channels)) {
                    let terms = x.iter().zip(mean).zip(gain.iter().zip(shift).zip(slope));
                    for (of_x, ((x, mean), ((gain, shift), slope))) in of_x.iter_mut().zip(terms) {
                        *of_x = gain * (*of_x - shift - (x - mean) * slope);
                    }
                }
            },
        );
    });
    let of_norm_weight = of_gd.iter().zip(&norm.inverse).map(|(sum, inverse)| sum * inverse).collect();
    (of_x, [of_norm_weight, of_g.to_vec(), of_weight, of_bias])
}

fn with_statistics(norm: BatchNorm<'_>) -> Norm<'_> {
    let channels = norm.weight.len();
    let fit = [norm.bias, norm.mean, norm.variance].iter().all(|list| list.len() == channels);
    assert!(fit, "a norm's lists differ in length");
    Norm::new(norm.weight, norm.bias, norm.mean, norm.variance, norm.epsilon)
}

fn step<'a>(norm: &'a Norm<'a>, linear: Linear<'a>) -> Step<'a, NormSwish<'a>> {
    Step { front: NormSwish(norm), weight: linear.weight, bias: Some(linear.bias) }
}
