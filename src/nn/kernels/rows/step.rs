//! A step with one linear layer: what comes before it, the product, what comes behind it, block by block.

use std::mem::MaybeUninit;
use std::ops::Range;

use super::super::conv::lanes::LANES;
use super::super::conv::with_vectors;
use super::super::parts::Unwritten;
use super::product::{Block, Panels, add_product_of_columns};
use super::ranges::{blocks, over_ranges, rows_of};
use super::swish::sigmoid;
use super::{LayerNorm, Linear};

/// What makes a linear layer's input of a step's input.
pub trait Front: Sync {
    /// Columns of both.
    fn width(&self) -> usize;

    /// Values of its parameters' gradients.
    fn sums(&self) -> usize;

    /// Writes the linear layer's input for the rows of `x`.
    fn fill(&self, x: &[f32], block: &mut Block);

    /// Writes the gradient at `x` from that at the linear layer's input, and adds its parameters' to `sums`.
    fn back(&self, x: &[f32], gradient: &Block, of_x: &mut Unwritten, sums: &mut [f32]);
}

/// A linear layer behind a front.
#[derive(Clone, Copy)]
pub struct Step<'a, F> {
    pub front: F,
    /// `[inputs, outputs]`
    pub weight: &'a [f32],
    pub bias: Option<&'a [f32]>,
}

/// Gradients of a step.
pub struct StepGradients {
    pub of_x: Vec<f32>,
    /// Of the front's parameters.
    pub of_front: Vec<f32>,
    pub of_weight: Vec<f32>,
    /// Empty without a bias.
    pub of_bias: Vec<f32>,
}

/// Rows of `x`.
pub fn rows(x: &[f32], width: usize) -> usize {
    assert!(width > 0 && x.len().is_multiple_of(width), "{} values are no rows of {width}", x.len());
    x.len() / width
}

/// Rows of sums of [`add_product_of_columns`] without their padding.
pub fn without_padding(sums: &[f32], columns: usize) -> Vec<f32> {
    sums.chunks_exact(padded(columns)).flat_map(|row| &row[..columns]).copied().collect()
}

/// Columns of sums with their padding.
pub fn padded(columns: usize) -> usize {
    columns.next_multiple_of(LANES)
}

impl<F: Front> Step<'_, F> {
    pub fn outputs(&self) -> usize {
        let inputs = self.front.width();
        let fit = inputs > 0 && !self.weight.is_empty() && self.weight.len().is_multiple_of(inputs);
        assert!(fit, "a weight of {} values for {inputs} inputs", self.weight.len());
        let outputs = self.weight.len() / inputs;
        assert!(self.bias.is_none_or(|bias| bias.len() == outputs), "a bias that does not fit its weight");
        outputs
    }

    fn input(&self) -> Block {
        if self.bias.is_some() {
            Block::with_ones(self.front.width())
        } else {
            Block::new(self.front.width())
        }
    }

    /// `[rows, width]`, written by `finish` from the number of a block's first row and the layer's output.
    ///
    /// # Safety
    /// `finish` must write every value of the slice that it is given.
    pub unsafe fn forward(
        &self,
        x: &[f32],
        width: usize,
        finish: impl Fn(usize, &Block, &mut Unwritten) + Sync,
    ) -> Vec<f32> {
        let (inputs, outputs) = (self.front.width(), self.outputs());
        let panels = Panels::new(self.weight, self.bias, outputs);
        // SAFETY: the blocks cover each range, and the caller promises that `finish` writes all of a block.
        let (output, _) = unsafe {
            over_ranges(rows(x, inputs), width, 0, |range: Range<usize>, out, _| {
                let (mut input, mut product) = (self.input(), Block::new(outputs));
                for rows in blocks(range.clone()) {
                    self.front.fill(rows_of(x, inputs, &rows), &mut input);
                    panels.product(rows.len(), &input, &mut product);
                    let first = rows.start - range.start;
                    finish(rows.start, &product, &mut out[first * width..(first + rows.len()) * width]);
                }
            })
        };
        output
    }

    /// `turn` gets the number of a block's first row, the number of its rows and a block for the layer's output, with
    /// `again` holding that output, and leaves the gradient at it there.
    pub fn backward(
        &self,
        x: &[f32],
        again: bool,
        turn: impl Fn(usize, usize, &mut Block) + Sync,
    ) -> StepGradients {
        let (inputs, outputs) = (self.front.width(), self.outputs());
        let panels = if again { Some(Panels::new(self.weight, self.bias, outputs)) } else { None };
        let turned = Panels::transposed(self.weight, outputs);
        let of_front = self.front.sums();
        let of_layer = (inputs + usize::from(self.bias.is_some())) * padded(outputs);
        // SAFETY: the blocks cover each range, and a front writes all rows of a block.
        let (of_x, sums) = unsafe {
            over_ranges(rows(x, inputs), inputs, of_front + of_layer, |range: Range<usize>, of_x, sums| {
                let (of_front, of_layer) = sums.split_at_mut(of_front);
                let (mut input, mut output) = (self.input(), Block::new(outputs));
                let mut of_input = Block::new(inputs);
                for rows in blocks(range.clone()) {
                    let x = rows_of(x, inputs, &rows);
                    self.front.fill(x, &mut input);
                    if let Some(panels) = &panels {
                        panels.product(rows.len(), &input, &mut output);
                    }
                    turn(rows.start, rows.len(), &mut output);
                    add_product_of_columns(rows.len(), &input, &output, of_layer);
                    turned.product(rows.len(), &output, &mut of_input);
                    let first = rows.start - range.start;
                    let of_x = &mut of_x[first * inputs..(first + rows.len()) * inputs];
                    self.front.back(x, &of_input, of_x, of_front);
                }
            })
        };
        let (of_front, of_layer) = sums.split_at(of_front);
        let (of_weight, of_bias) = of_layer.split_at(inputs * padded(outputs));
        StepGradients {
            of_x,
            of_front: of_front.to_vec(),
            of_weight: without_padding(of_weight, outputs),
            of_bias: without_padding(of_bias, outputs),
        }
    }
}

/// linear(norm(x)): `[rows, outputs]`.
pub fn normed_linear(x: &[f32], norm: LayerNorm<'_>, weight: &[f32]) -> Vec<f32> {
    let step = Step { front: norm, weight, bias: None };
    let outputs = step.outputs();
    // SAFETY: each row of the slice is written whole.
    unsafe {
        step.forward(x, outputs, |_, product, out| {
            for (out, row) in out.chunks_exact_mut(outputs).zip(product.rows()) {
                out.write_copy_of_slice(&row[..outputs]);
            }
        })
    }
}

/// Gradients of [`normed_linear`] at x; at the norm's weight and bias and at the weight.
pub fn normed_linear_backward(
    x: &[f32],
    norm: LayerNorm<'_>,
    weight: &[f32],
    gradient: &[f32],
) -> (Vec<f32>, [Vec<f32>; 3]) {
    let step = Step { front: norm, weight, bias: None };
    let outputs = step.outputs();
    let StepGradients { of_x, of_front, of_weight, .. } = step.backward(x, false, |first, rows, block| {
        let gradient = rows_of(gradient, outputs, &(first..first + rows));
        for (row, gradient) in block.rows_mut().zip(gradient.chunks_exact(outputs)) {
            row[..outputs].copy_from_slice(gradient);
        }
    });
    let (of_norm_weight, of_norm_bias) = of_front.split_at(norm.weight.len());
    (of_x, [of_norm_weight.to_vec(), of_norm_bias.to_vec(), of_weight])
}

/// The first half of linear(norm(x)) times the logistic function of the second: `[rows, outputs / 2]` (Dauphin et al.,
/// 2017).
pub fn gated(x: &[f32], norm: LayerNorm<'_>, linear: Linear<'_>) -> Vec<f32> {
    let step = Step { front: norm, weight: linear.weight, bias: Some(linear.bias) };
    let width = half(step.outputs());
    // SAFETY: each row of the slice is written whole.
    unsafe {
        step.forward(x, width, |_, product, out| {
            with_vectors(
                #[inline(always)]
                || {
                    for (out, row) in out.chunks_exact_mut(width).zip(product.rows()) {
                        let (values, gates) = row[..2 * width].split_at(width);
                        for ((out, value), gate) in out.iter_mut().zip(values).zip(gates) {
                            *out = MaybeUninit::new(value * sigmoid(*gate));
                        }
                    }
                },
            );
        })
    }
}

/// Gradients of [`gated`] at x; at the norm's weight and bias and the layer's weight and bias.
pub fn gated_backward(
    x: &[f32],
    norm: LayerNorm<'_>,
    linear: Linear<'_>,
    gradient: &[f32],
) -> (Vec<f32>, [Vec<f32>; 4]) {
    let step = Step { front: norm, weight: linear.weight, bias: Some(linear.bias) };
    let width = half(step.outputs());
    let StepGradients { of_x, of_front, of_weight, of_bias } =
        step.backward(x, true, |first, rows, block| {
            let gradient = rows_of(gradient, width, &(first..first + rows));
            with_vectors(
                #[inline(always)]
                || {
                    for (row, gradient) in block.rows_mut().zip(gradient.chunks_exact(width)) {
                        let (values, gates) = row[..2 * width].split_at_mut(width);
                        for ((value, gate), gradient) in values.iter_mut().zip(gates).zip(gradient) {
                            let open = sigmoid(*gate);
                            *gate = gradient * *value * (open * (1.0 - open));
                            *value = gradient * open;
                        }
                    }
                },
            );
        });
    let (of_norm_weight, of_norm_bias) = of_front.split_at(norm.weight.len());
    (of_x, [of_norm_weight.to_vec(), of_norm_bias.to_vec(), of_weight, of_bias])
}

fn half(outputs: usize) -> usize {
    assert!(outputs.is_multiple_of(2), "{outputs} outputs have no halves");
    outputs / 2
}
