//! ArcFace (Deng et al., arXiv 1801.07698) and its sub-centers (Deng et al., ECCV 2020): a classifier by angle with a margin.
//!
//! ```text
//! logit of the target: s·cos(θ + m), of the others: s·cos θ
//! ```
//!
//! θ is the angle between an embedding and its class's weight, of several sub-centers the nearest. Where θ + m passes
//! π, where cos(θ + m) would rise again, s·(cos θ - m·sin m) takes its place.

use burn::module::{Module, Param};
use burn::tensor::{Int, Tensor};

use super::init::Init;
use super::loss::directions;

/// Below the smallest square of a distance that f32 resolves beside 1; keeps the root's gradient finite.
const SMALLEST_SQUARE: f64 = 1e-24;

/// The classifier's weights, `[classes · centers, dim]`, a class's centers one below the other.
#[derive(Module, Debug)]
pub struct ArcFace {
    weight: Param<Tensor<2>>,
    #[module(skip)]
    centers: usize,
    #[module(skip)]
    scale: f64,
    #[module(skip)]
    margin: f64,
}

/// The sizes and constants of an [`ArcFace`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ArcFaceSize {
    /// Width of an embedding.
    pub dim: usize,
    /// Classes.
    pub classes: usize,
    /// Centers of each class; 1 is plain ArcFace.
    pub centers: usize,
    /// s: length of the sphere that the logits live on.
    pub scale: f64,
    /// m: angle in radians by which a target is made harder.
    pub margin: f64,
}

impl ArcFace {
    /// Weights uniform in ±√(6 / (dim + classes · centers)), Xavier's, as in the authors' code; `path` is its full name.
    pub fn new(path: &str, size: ArcFaceSize, init: Init<'_>) -> Self {
        let rows = size.classes * size.centers;
        let bound = (6.0 / (size.dim + rows) as f32).sqrt();
        let weight = init.uniform(&format!("{path}.weight"), [rows, size.dim], bound);
        Self { weight, centers: size.centers, scale: size.scale, margin: size.margin }
    }

    /// Cosines of the angles between embeddings and classes, `[batch, classes]`.
    pub fn cosines(&self, embeddings: Tensor<2>) -> Tensor<2> {
        self.nearest(directions(embeddings)).0
    }

    /// Logits with the margin on the targets, `[batch, classes]`, for a cross-entropy.
    pub fn logits(&self, embeddings: Tensor<2>, targets: Tensor<1, Int>) -> Tensor<2> {
        let [batch, dim] = embeddings.dims();
        let embeddings = directions(embeddings);
        let (cosines, centers) = self.nearest(embeddings.clone());
        let [_, classes] = cosines.dims();
        let column = targets.reshape([batch, 1]);

        // cos and sin from the distance between two points of the sphere: from a rounded cosine near ±1, the sine, and
        // with it the logit, would keep three digits.
        let rows = centers.gather(1, column.clone()).reshape([batch]);
        let weights = directions(self.weight.val().select(0, rows)); // [batch, dim]
        let far = cosines.clone().gather(1, column.clone()).lower_scalar(0.0); // [batch, 1]
        let towards = weights.clone().mask_where(far.clone().expand([batch, dim]), weights.neg());
        let square = (embeddings - towards).square().sum_dim(1).add_scalar(SMALLEST_SQUARE);
        let near_cos = square.clone().mul_scalar(-0.5).add_scalar(1.0);
        let sin = (square.clone() * square.mul_scalar(-0.25).add_scalar(1.0)).sqrt();
        let cos = near_cos.clone().mask_where(far, near_cos.neg());

        let (sin_margin, cos_margin) = self.margin.sin_cos();
        let turned = cos.clone().mul_scalar(cos_margin) - sin.mul_scalar(sin_margin);
        let beyond = cos.clone().lower_equal_scalar(-cos_margin); // cos(π - m)
        let target = turned.mask_where(beyond, cos.sub_scalar(self.margin * sin_margin));

        let own = column.float().expand([batch, classes]);
        let number = Tensor::<1, Int>::arange(0..classes as i64, &own.device());
        let own = own.equal(number.float().reshape([1, classes]).expand([batch, classes]));
        cosines.mask_where(own, target.expand([batch, classes])).mul_scalar(self.scale)
    }

    /// Per class, the cosine of the nearest center and that center's row, `[batch, classes]` each.
    fn nearest(&self, directions_of: Tensor<2>) -> (Tensor<2>, Tensor<2, Int>) {
        let [batch, _] = directions_of.dims();
        let [rows, _] = self.weight.dims();
        let classes = rows / self.centers;
        let all = directions_of.matmul(directions(self.weight.val()).transpose()); // [batch, classes · centers]
        let first = Tensor::<1, Int>::arange(0..classes as i64, &all.device())
            .mul_scalar(self.centers as i64)
            .reshape([1, classes])
            .expand([batch, classes]);
        if self.centers == 1 {
            return (all, first);
        }
        let (nearest, which) = all.reshape([batch, classes, self.centers]).max_dim_with_indices(2);
        (nearest.reshape([batch, classes]), which.reshape([batch, classes]) + first)
    }
}
