//! Normalisation over each row.

use std::mem::MaybeUninit;

use super::super::conv::with_vectors;
use super::super::parts::Unwritten;
use super::LayerNorm;
use super::product::Block;
use super::ranges::{over_ranges, rows_of};
use super::step::Front;

/// Partial sums side by side.
const LANES: usize = 16;

/// Sum of `term` over three slices of one length.
#[inline(always)]
fn sum(a: &[f32], b: &[f32], c: &[f32], term: impl Fn(f32, f32, f32) -> f32) -> f32 {
    let mut lanes = [0.0_f32; LANES];
    let ((a, a_rest), (b, b_rest), (c, c_rest)) =
        (a.as_chunks::<LANES>(), b.as_chunks::<LANES>(), c.as_chunks::<LANES>());
    for ((a, b), c) in a.iter().zip(b).zip(c) {
        for lane in 0..LANES {
            lanes[lane] += term(a[lane], b[lane], c[lane]);
        }
    }
    for (lane, ((a, b), c)) in lanes.iter_mut().zip(a_rest.iter().zip(b_rest).zip(c_rest)) {
        *lane += term(*a, *b, *c);
    }
    let mut count = LANES;
    while count > 1 {
        count /= 2;
        for lane in 0..count {
            lanes[lane] += lanes[lane + count];
        }
    }
    lanes[0]
}

impl LayerNorm<'_> {
    fn channels(&self) -> usize {
        assert_eq!(self.weight.len(), self.bias.len(), "a norm's weight and bias differ in length");
        self.weight.len()
    }

    /// Mean and 1 / sqrt(variance + epsilon) of a row.
    #[inline(always)]
    fn statistics(&self, x: &[f32]) -> (f32, f32) {
        let scale = 1.0 / x.len() as f32;
        let mean = sum(x, x, x, |x, _, _| x) * scale;
        // About the mean, not as a difference of squares: no cancellation.
        let variance = sum(x, x, x, |x, _, _| (x - mean) * (x - mean)) * scale;
        (mean, 1.0 / (variance + self.epsilon).sqrt())
    }

    /// Writes the norm of a row.
    #[inline(always)]
    pub fn row<T>(&self, x: &[f32], out: &mut [T], value: impl Fn(f32) -> T) {
        let (mean, inverse) = self.statistics(x);
        for (out, ((x, weight), bias)) in out.iter_mut().zip(x.iter().zip(self.weight).zip(self.bias)) {
            *out = value((x - mean) * inverse * weight + bias);
        }
    }

    /// Writes the gradient at `x` from `gradient`, that at the norm's output, and `passed`, what goes past the norm, and
    /// adds those at weight and bias to `sums`.
    ///
    /// With n the normalised x, g = gradient · weight, ⟨⟩ the mean over a row:
    /// x' = inverse · (g - ⟨g⟩ - n · ⟨g · n⟩), weight' = Σ gradient · n, bias' = Σ gradient.
    pub fn backward_rows<'a>(
        &self,
        x: &[f32],
        gradient: impl Iterator<Item = &'a [f32]>,
        passed: Option<&[f32]>,
        of_x: &mut Unwritten,
        sums: &mut [f32],
    ) {
        let channels = self.channels();
        let (of_weight, of_bias) = sums.split_at_mut(channels);
        with_vectors(
            #[inline(always)]
            || {
                let rows = x.chunks_exact(channels).zip(of_x.chunks_exact_mut(channels));
                for (index, ((x, of_x), gradient)) in rows.zip(gradient).enumerate() {
                    let (gradient, weight) = (&gradient[..channels], &self.weight[..channels]);
                    let (mean, inverse) = self.statistics(x);
                    let scale = 1.0 / channels as f32;
                    let shift = sum(gradient, weight, x, |g, weight, _| g * weight) * scale;
                    let slope =
                        sum(gradient, weight, x, |g, weight, x| g * weight * ((x - mean) * inverse)) * scale;
                    let of = |x: f32, gradient: f32, weight: f32| {
                        inverse * (gradient * weight - shift - (x - mean) * inverse * slope)
                    };
                    let terms = of_x.iter_mut().zip(x.iter().zip(gradient).zip(weight));
                    match passed {
                        Some(passed) => {
                            let passed = &passed[index * channels..][..channels];
                            for ((of_x, ((x, gradient), weight)), passed) in terms.zip(passed) {
                                *of_x = MaybeUninit::new(passed + of(*x, *gradient, *weight));
                            }
                        }
                        None => {
                            for (of_x, ((x, gradient), weight)) in terms {
                                *of_x = MaybeUninit::new(of(*x, *gradient, *weight));
                            }
                        }
                    }
                    for (sum, (x, gradient)) in of_weight.iter_mut().zip(x.iter().zip(gradient)) {
                        *sum += gradient * ((x - mean) * inverse);
                    }
                    for (sum, gradient) in of_bias.iter_mut().zip(gradient) {
                        *sum += gradient;
                    }
                }
            },
        );
    }
}

impl Front for LayerNorm<'_> {
    fn width(&self) -> usize {
        self.channels()
    }

    fn sums(&self) -> usize {
        2 * self.channels()
    }

    fn fill(&self, x: &[f32], block: &mut Block) {
        with_vectors(
            #[inline(always)]
            || {
                let channels = self.channels();
                for (x, out) in x.chunks_exact(channels).zip(block.rows_mut()) {
                    self.row(x, &mut out[..channels], |value| value);
                }
            },
        );
    }

    fn back(&self, x: &[f32], gradient: &Block, of_x: &mut Unwritten, sums: &mut [f32]) {
        self.backward_rows(x, gradient.rows(), None, of_x, sums);
    }
}

/// `x` `[rows, channels]`, each row normalised.
pub fn layer_norm(x: &[f32], norm: LayerNorm<'_>) -> Vec<f32> {
    let channels = norm.channels();
    let rows = super::step::rows(x, channels);
    // SAFETY: every value of every row of a range is written.
    let (output, _) = unsafe {
        over_ranges(rows, channels, 0, |rows, out, _| {
            let x = rows_of(x, channels, &rows);
            with_vectors(
                #[inline(always)]
                || {
                    for (x, out) in x.chunks_exact(channels).zip(out.chunks_exact_mut(channels)) {
                        norm.row(x, out, MaybeUninit::new);
                    }
                },
            );
        })
    };
    output
}

/// Gradients of [`layer_norm`] at x, and at weight and bias.
pub fn layer_norm_backward(x: &[f32], norm: LayerNorm<'_>, gradient: &[f32]) -> (Vec<f32>, [Vec<f32>; 2]) {
    let channels = norm.channels();
    let rows = super::step::rows(x, channels);
    assert_eq!(x.len(), gradient.len(), "a gradient of another size than its tensor");
    // SAFETY: every value of every row of a range is written.
    let (of_x, sums) = unsafe {
        over_ranges(rows, channels, 2 * channels, |rows, of_x, sums| {
            let (x, gradient) = (rows_of(x, channels, &rows), rows_of(gradient, channels, &rows));
            norm.backward_rows(x, gradient.chunks_exact(channels), None, of_x, sums);
        })
    };
    let (of_weight, of_bias) = sums.split_at(channels);
    (of_x, [of_weight.to_vec(), of_bias.to_vec()])
}
