//! The feed-forward step of a conformer (Gulati et al., 2020, section 2.3): norm, linear, swish, dropout, linear, dropout,
//! a factor, added to the input.

use std::ops::Range;

use super::super::conv::with_vectors;
use super::dropout::Mask;
use super::product::{Block, Panels, add_product_of_columns};
use super::ranges::{blocks, over_ranges, rows_of};
use super::residual::Ending;
use super::step::{Front, padded, rows, without_padding};
use super::swish::sigmoid;
use super::{Dropout, LayerNorm, Linear};

/// Parameters of the step: `[channels]` to `[hidden]` and back.
#[derive(Clone, Copy, Debug)]
pub struct FeedForward<'a> {
    pub norm: LayerNorm<'a>,
    pub up: Linear<'a>,
    pub down: Linear<'a>,
}

/// Of the dropout layers that share a seed.
const HIDDEN: u64 = 1;
const OUTPUT: u64 = 2;

impl FeedForward<'_> {
    /// Channels and hidden values.
    fn sizes(&self) -> (usize, usize) {
        let (channels, hidden) = (self.down.bias.len(), self.up.bias.len());
        let fit = self.norm.weight.len() == channels
            && self.up.weight.len() == channels * hidden
            && self.down.weight.len() == channels * hidden
            && hidden > 0;
        assert!(fit, "a feed-forward step's parameters do not fit each other");
        (channels, hidden)
    }
}

/// x + factor · dropout(down(dropout(swish(up(norm(x)))))), with `x` `[rows, channels]`.
pub fn feed_forward(x: &[f32], step: FeedForward<'_>, factor: f32, dropout: Option<Dropout>) -> Vec<f32> {
    let FeedForward { norm, up, down } = step;
    let (channels, hidden) = step.sizes();
    let mask = dropout.map(|dropout| Mask::new(dropout, HIDDEN, 1.0));
    let ending = Ending::new(channels, dropout, OUTPUT, factor);
    let up = Panels::new(up.weight, Some(up.bias), hidden);
    let down = Panels::new(down.weight, Some(down.bias), channels);
    // SAFETY: the blocks cover each range, and the ending writes all rows of a block.
    let (output, _) = unsafe {
        over_ranges(rows(x, channels), channels, 0, |range: Range<usize>, out, _| {
            let (mut input, mut middle) = (Block::with_ones(channels), Block::with_ones(hidden));
            let mut output = Block::new(channels);
            for rows in blocks(range.clone()) {
                let x = rows_of(x, channels, &rows);
                norm.fill(x, &mut input);
                up.product(rows.len(), &input, &mut middle);
                activate(&rows, mask, &mut middle, hidden);
                down.product(rows.len(), &middle, &mut output);
                let first = rows.start - range.start;
                let out = &mut out[first * channels..(first + rows.len()) * channels];
                ending.write(rows.start, &output, x, out);
            }
        })
    };
    output
}

/// Dropout and swish of a block's first `hidden` columns, and the 1 of a bias behind them.
fn activate(rows: &Range<usize>, mask: Option<Mask>, block: &mut Block, hidden: usize) {
    with_vectors(
        #[inline(always)]
        || {
            for (row, values) in rows.clone().zip(block.rows_mut()) {
                values[hidden] = 1.0;
                let values = &mut values[..hidden];
                match mask {
                    Some(mask) => {
                        let mask = mask.row(row);
                        for (column, value) in values.iter_mut().enumerate() {
                            *value = *value * sigmoid(*value) * mask.factor(column);
                        }
                    }
                    None => values.iter_mut().for_each(|value| *value *= sigmoid(*value)),
                }
            }
        },
    );
}

/// As [`activate`]; also turns `gradient`, that at the result, into that at what was there.
fn activate_backward(rows: &Range<usize>, mask: Option<Mask>, block: &mut Block, gradient: &mut Block) {
    let hidden = gradient.width;
    with_vectors(
        #[inline(always)]
        || {
            for ((row, values), gradient) in rows.clone().zip(block.rows_mut()).zip(gradient.rows_mut()) {
                values[hidden] = 1.0;
                let terms = values[..hidden].iter_mut().zip(&mut gradient[..hidden]);
                match mask {
                    Some(mask) => {
                        let mask = mask.row(row);
                        for (column, (value, gradient)) in terms.enumerate() {
                            let (v, factor) = (*value, mask.factor(column));
                            let open = sigmoid(v) * factor;
                            *value = v * open;
                            *gradient *= open + *value * (1.0 - sigmoid(v));
                        }
                    }
                    None => terms.for_each(|(value, gradient)| {
                        let (v, open) = (*value, sigmoid(*value));
                        *value = v * open;
                        *gradient *= open + *value * (1.0 - open);
                    }),
                }
            }
        },
    );
}

/// Gradients of [`feed_forward`] at x; at the norm's weight and bias and the weights and biases of `up` and `down`.
pub fn feed_forward_backward(
    x: &[f32],
    step: FeedForward<'_>,
    factor: f32,
    dropout: Option<Dropout>,
    gradient: &[f32],
) -> (Vec<f32>, [Vec<f32>; 6]) {
    let FeedForward { norm, up, down } = step;
    let (channels, hidden) = step.sizes();
    assert_eq!(x.len(), gradient.len(), "a gradient of another size than its tensor");
    let mask = dropout.map(|dropout| Mask::new(dropout, HIDDEN, 1.0));
    let ending = Ending::new(channels, dropout, OUTPUT, factor);
    let forward = Panels::new(up.weight, Some(up.bias), hidden);
    let (of_up, of_down) = (Panels::transposed(up.weight, hidden), Panels::transposed(down.weight, channels));
    let (up_sums, down_sums) = ((channels + 1) * padded(hidden), (hidden + 1) * padded(channels));
    let norm_sums = norm.sums();
    // SAFETY: the blocks cover each range, and the norm writes all rows of a block.
    let (of_x, sums) = unsafe {
        over_ranges(
            rows(x, channels),
            channels,
            norm_sums + up_sums + down_sums,
            |range: Range<usize>, of_x, sums| {
                let (norm_sums, sums) = sums.split_at_mut(norm_sums);
                let (up_sums, down_sums) = sums.split_at_mut(up_sums);
                let (mut input, mut middle) = (Block::with_ones(channels), Block::with_ones(hidden));
                let (mut of_middle, mut of_output) = (Block::new(hidden), Block::new(channels));
                for rows in blocks(range.clone()) {
                    let (x, gradient) = (rows_of(x, channels, &rows), rows_of(gradient, channels, &rows));
                    norm.fill(x, &mut input);
                    forward.product(rows.len(), &input, &mut middle);
                    ending.back(rows.start, gradient, &mut of_output);
                    of_down.product(rows.len(), &of_output, &mut of_middle);
                    activate_backward(&rows, mask, &mut middle, &mut of_middle);
                    add_product_of_columns(rows.len(), &middle, &of_output, down_sums);
                    add_product_of_columns(rows.len(), &input, &of_middle, up_sums);
                    // The gradient at the step's output has done its work.
                    let of_input = &mut of_output;
                    of_up.product(rows.len(), &of_middle, of_input);
                    let first = rows.start - range.start;
                    let of_x = &mut of_x[first * channels..(first + rows.len()) * channels];
                    norm.backward_rows(x, of_input.rows(), Some(gradient), of_x, norm_sums);
                }
            },
        )
    };
    let (norm_sums, sums) = sums.split_at(norm_sums);
    let (up_sums, down_sums) = sums.split_at(up_sums);
    let (of_norm_weight, of_norm_bias) = norm_sums.split_at(channels);
    let (of_up, of_up_bias) = up_sums.split_at(channels * padded(hidden));
    let (of_down, of_down_bias) = down_sums.split_at(hidden * padded(channels));
    let of_parameters = [
        of_norm_weight.to_vec(),
        of_norm_bias.to_vec(),
        without_padding(of_up, hidden),
        without_padding(of_up_bias, hidden),
        without_padding(of_down, channels),
        without_padding(of_down_bias, channels),
    ];
    (of_x, of_parameters)
}
