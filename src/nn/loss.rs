//! Losses of the discriminative families, and what tells that a contrastive one collapsed.

use burn::tensor::activation::log_softmax;
use burn::tensor::{Int, Tensor};

/// Keeps a vector of zeros from being divided by its length.
const SHORTEST: f64 = 1e-12;
/// In place of a vector's similarity to itself: its exponential is 0, and unlike -∞ it takes part in sums.
const MASKED: f64 = -1e30;

/// Rows of `x` `[rows, dim]` scaled to length 1; a row of zeros stays one.
pub fn directions(x: Tensor<2>) -> Tensor<2> {
    // The square's epsilon keeps the root's gradient finite at 0.
    let length = x.clone().square().sum_dim(1).add_scalar(SHORTEST * SHORTEST).sqrt(); // [rows, 1]
    x / length
}

/// Mean over the batch of -ln softmax(logits)[target], `[1]`; `logits` `[batch, classes]`.
pub fn cross_entropy(logits: Tensor<2>, targets: Tensor<1, Int>) -> Tensor<1> {
    let [batch, _] = logits.dims();
    log_softmax(logits, 1).gather(1, targets.reshape([batch, 1])).mean().neg()
}

/// NT-Xent (Chen et al., arXiv 2002.05709, equation 1), mean over all 2·batch anchors, `[1]`.
///
/// `first` and `second` `[batch, dim]` are two views of the same clips. Each anchor's other view competes with the
/// 2·batch - 2 remaining vectors; `temperature` divides the cosines.
pub fn nt_xent(first: Tensor<2>, second: Tensor<2>, temperature: f64) -> Tensor<1> {
    let [batch, _] = first.dims();
    let device = first.device();
    let z = directions(Tensor::cat(vec![first, second], 0)); // [2·batch, dim]
    let cosines = z.clone().matmul(z.transpose()).div_scalar(temperature); // [2·batch, 2·batch]
    let itself = Tensor::<2>::eye(2 * batch, &device).bool();
    let others: Vec<i64> = (0..2 * batch).map(|anchor| ((anchor + batch) % (2 * batch)) as i64).collect();
    let others = Tensor::<1, Int>::from_data(others.as_slice(), &device);
    // Subtracts each row's maximum before it takes exponentials.
    cross_entropy(cosines.mask_fill(itself, MASKED), others)
}

/// SimSiam's loss (Chen and He, arXiv 2011.10566, equations 1 and 2), `[1]`, in -1..=1.
///
/// `predicted` and `projected` hold the two views' predictions and projections, `[batch, dim]` each; no gradient
/// reaches a projection.
pub fn negative_cosine(predicted: [Tensor<2>; 2], projected: [Tensor<2>; 2]) -> Tensor<1> {
    let [p1, p2] = predicted.map(directions);
    let [z1, z2] = projected.map(|z| directions(z.detach()));
    ((p1 * z2).sum_dim(1).mean() + (p2 * z1).sum_dim(1).mean()).mul_scalar(-0.5)
}

/// Mean over dimensions of the standard deviation, over the batch, of `z` `[batch, dim]` scaled to length 1; `[1]`.
///
/// 0 where all rows point the same way; about 1/√dim where they spread over the sphere (arXiv 2011.10566, section 4.1).
pub fn spread(z: Tensor<2>) -> Tensor<1> {
    let z = directions(z.detach());
    let from_mean = z.clone() - z.mean_dim(0);
    from_mean.square().mean_dim(0).sqrt().mean()
}
