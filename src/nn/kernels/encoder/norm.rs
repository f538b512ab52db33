//! A residual connection with the norm behind it.

use std::mem::MaybeUninit;

use super::super::conv::with_vectors;
use super::super::parts::filled;
use super::super::rows::LayerNorm;

/// Rows of a part.
const ROWS: usize = 32;

/// norm(alpha · `x` + `y`), both `[rows, channels]`.
pub fn residual_norm(x: &[f32], y: &[f32], alpha: f32, norm: LayerNorm<'_>) -> Vec<f32> {
    let channels = norm.weight.len();
    let fit = channels > 0 && x.len() == y.len() && x.len().is_multiple_of(channels);
    assert!(fit && norm.bias.len() == channels, "sizes that do not fit");
    // SAFETY: a part consists of whole rows, of which every value is written.
    unsafe {
        filled(x.len(), ROWS * channels, |index, out| {
            let span = index * ROWS * channels..index * ROWS * channels + out.len();
            let (x, y) = (&x[span.clone()], &y[span]);
            let mut sum = vec![0.0; channels];
            with_vectors(
                #[inline(always)]
                || {
                    let rows = x.chunks_exact(channels).zip(y.chunks_exact(channels));
                    for ((x, y), out) in rows.zip(out.chunks_exact_mut(channels)) {
                        for (sum, (x, y)) in sum.iter_mut().zip(x.iter().zip(y)) {
                            *sum = alpha * x + y;
                        }
                        norm.row(&sum, out, MaybeUninit::new);
                    }
                },
            );
        })
    }
}
