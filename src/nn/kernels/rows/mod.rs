//! Steps of a network that work on rows alone, each in one pass: norms, linear layers, gates, dropout and what lies
//! between them.
//!
//! Matrices are row-major `[rows, width]`, linear weights `[inputs, outputs]`. A step goes through blocks of
//! [`BLOCK_ROWS`](product::BLOCK_ROWS) rows, whose values between one layer and the next stay in a core's own cache and
//! never become a tensor. Backward, a step computes them anew from its input, which is all that it saves: at a width of
//! 64 a feed-forward step would otherwise keep 14 times its input.
//!
//! Rows go to threads in fixed ranges whose sums are added in a fixed order, so the bits are the same on any number of
//! threads.

mod batch;
mod dropout;
mod feed_forward;
mod norm;
mod product;
mod ranges;
mod residual;
mod step;
mod swish;
#[cfg(test)]
mod tests;

pub use batch::{batch_statistics, norm_swish_linear, norm_swish_linear_backward};
pub use dropout::{Dropout, mixed};
pub use feed_forward::{FeedForward, feed_forward, feed_forward_backward};
pub use norm::{layer_norm, layer_norm_backward};
pub use residual::{linear_dropout_residual, linear_dropout_residual_backward};
pub use step::{gated, gated_backward, normed_linear, normed_linear_backward};
pub use swish::sigmoid;

/// Normalisation over each row (Ba, Kiros and Hinton, 2016): biased variance.
#[derive(Clone, Copy, Debug)]
pub struct LayerNorm<'a> {
    /// `[channels]`
    pub weight: &'a [f32],
    /// `[channels]`
    pub bias: &'a [f32],
    pub epsilon: f32,
}

/// Normalisation over all rows (Ioffe and Szegedy, 2015) with given statistics; all slices are `[channels]`.
#[derive(Clone, Copy, Debug)]
pub struct BatchNorm<'a> {
    pub weight: &'a [f32],
    pub bias: &'a [f32],
    pub mean: &'a [f32],
    pub variance: &'a [f32],
    pub epsilon: f32,
}

/// x · weight + bias.
#[derive(Clone, Copy, Debug)]
pub struct Linear<'a> {
    /// `[inputs, outputs]`
    pub weight: &'a [f32],
    /// `[outputs]`
    pub bias: &'a [f32],
}
