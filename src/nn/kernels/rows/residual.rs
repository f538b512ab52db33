//! A linear layer, dropout, and a path past both.

use std::mem::MaybeUninit;

use super::super::conv::with_vectors;
use super::super::parts::Unwritten;
use super::dropout::Mask;
use super::product::Block;
use super::ranges::rows_of;
use super::step::{Front, Step, StepGradients};
use super::{Dropout, Linear};

/// The input as it is.
#[derive(Clone, Copy)]
pub struct Plain {
    pub width: usize,
}

impl Front for Plain {
    fn width(&self) -> usize {
        self.width
    }

    fn sums(&self) -> usize {
        0
    }

    fn fill(&self, x: &[f32], block: &mut Block) {
        for (x, row) in x.chunks_exact(self.width).zip(block.rows_mut()) {
            row[..self.width].copy_from_slice(x);
        }
    }

    fn back(&self, _x: &[f32], gradient: &Block, of_x: &mut Unwritten, _sums: &mut [f32]) {
        for (of_x, row) in of_x.chunks_exact_mut(self.width).zip(gradient.rows()) {
            of_x.write_copy_of_slice(&row[..self.width]);
        }
    }
}

/// `residual` + factor · dropout(values): what ends a step.
#[derive(Clone, Copy)]
pub struct Ending {
    width: usize,
    factor: f32,
    mask: Option<Mask>,
}

impl Ending {
    /// With layer `layer` of the dropout layers that share a seed.
    pub fn new(width: usize, dropout: Option<Dropout>, layer: u64, factor: f32) -> Self {
        Self { width, factor, mask: dropout.map(|dropout| Mask::new(dropout, layer, factor)) }
    }

    /// Writes the rows from row `first` on.
    pub fn write(&self, first: usize, values: &Block, residual: &[f32], out: &mut Unwritten) {
        with_vectors(
            #[inline(always)]
            || {
                let rows = residual.chunks_exact(self.width).zip(values.rows());
                for (index, (out, (residual, values))) in
                    out.chunks_exact_mut(self.width).zip(rows).enumerate()
                {
                    let terms = out.iter_mut().zip(residual.iter().zip(values));
                    match &self.mask {
                        Some(mask) => {
                            let mask = mask.row(first + index);
                            for (column, (out, (residual, value))) in terms.enumerate() {
                                *out = MaybeUninit::new(residual + value * mask.factor(column));
                            }
                        }
                        None => terms.for_each(|(out, (residual, value))| {
                            *out = MaybeUninit::new(residual + value * self.factor);
                        }),
                    }
                }
            },
        );
    }

    /// Writes the gradient at the values from `gradient`, that at the step's output.
    pub fn back(&self, first: usize, gradient: &[f32], block: &mut Block) {
        with_vectors(
            #[inline(always)]
            || {
                let rows = gradient.chunks_exact(self.width).zip(block.rows_mut());
                for (index, (gradient, row)) in rows.enumerate() {
                    let terms = row.iter_mut().zip(gradient);
                    match &self.mask {
                        Some(mask) => {
                            let mask = mask.row(first + index);
                            for (column, (value, gradient)) in terms.enumerate() {
                                *value = gradient * mask.factor(column);
                            }
                        }
                        None => terms.for_each(|(value, gradient)| *value = gradient * self.factor),
                    }
                }
            },
        );
    }
}

impl<F: Front> Step<'_, F> {
    /// residual + dropout(linear(front(x))): `[rows, outputs]`.
    pub fn forward_to_residual(&self, x: &[f32], residual: &[f32], dropout: Option<Dropout>) -> Vec<f32> {
        let outputs = self.outputs();
        let fit = x.len() / self.front.width() * outputs == residual.len();
        assert!(fit, "a residual that does not fit its step");
        let ending = Ending::new(outputs, dropout, 0, 1.0);
        // SAFETY: an ending writes all rows of the residual, which has those of the slice.
        unsafe {
            self.forward(x, outputs, |first, product, out| {
                let rows = first..first + out.len() / outputs;
                ending.write(first, product, rows_of(residual, outputs, &rows), out);
            })
        }
    }

    /// Gradients of [`Self::forward_to_residual`], but that at the residual, which is `gradient`.
    pub fn backward_from_residual(
        &self,
        x: &[f32],
        dropout: Option<Dropout>,
        gradient: &[f32],
    ) -> StepGradients {
        let outputs = self.outputs();
        let ending = Ending::new(outputs, dropout, 0, 1.0);
        self.backward(x, false, |first, rows, block| {
            ending.back(first, rows_of(gradient, outputs, &(first..first + rows)), block);
        })
    }
}

/// residual + dropout(linear(x)): `[rows, outputs]`.
pub fn linear_dropout_residual(
    x: &[f32],
    linear: Linear<'_>,
    residual: &[f32],
    dropout: Option<Dropout>,
) -> Vec<f32> {
    step(linear).forward_to_residual(x, residual, dropout)
}

/// Gradients of [`linear_dropout_residual`] at x; at weight and bias. That at the residual is `gradient` itself.
pub fn linear_dropout_residual_backward(
    x: &[f32],
    linear: Linear<'_>,
    dropout: Option<Dropout>,
    gradient: &[f32],
) -> (Vec<f32>, [Vec<f32>; 2]) {
    let gradients = step(linear).backward_from_residual(x, dropout, gradient);
    (gradients.of_x, [gradients.of_weight, gradients.of_bias])
}

fn step(linear: Linear<'_>) -> Step<'_, Plain> {
    let width = linear.weight.len() / linear.bias.len();
    Step { front: Plain { width }, weight: linear.weight, bias: Some(linear.bias) }
}
