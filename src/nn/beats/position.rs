//! What tells BEATs where a token stands: a convolution over its neighbours, and a bias of each pair of tokens.

use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor, TensorData};

use super::BeatsSize;
use crate::nn::init::Init;

/// `torch.nn.utils.weight_norm(Conv1d(width, width, taps, groups=groups), dim=2)`: each tap's weights have the direction of
/// `weight_v` and the length `weight_g`.
#[derive(Module, Debug)]
pub struct PositionConv {
    weight_g: Param<Tensor<3>>,
    weight_v: Param<Tensor<3>>,
    bias: Param<Tensor<1>>,
}

impl PositionConv {
    /// Normal with variance 4 / (taps · width), as the reference; bias 0. `path` is the layer's full name.
    pub fn new(path: &str, size: &BeatsSize, init: Init<'_>) -> Self {
        let BeatsSize { width, conv_pos: taps, conv_pos_groups: groups, .. } = *size;
        let deviation = (4.0 / (taps * width) as f32).sqrt();
        let shape = [width, width / groups, taps];
        // Of the length that so many normal values have on average.
        let length = deviation * ((width * width / groups) as f32).sqrt();
        Self {
            weight_g: init.constant([1, 1, taps], length),
            weight_v: init.normal(&format!("{path}.weight_v"), shape, deviation),
            bias: init.constant([width], 0.0),
        }
    }

    /// The weight `[width, width / groups, taps]` and the bias.
    pub fn weight(&self) -> (Tensor<3>, Tensor<1>) {
        let direction = self.weight_v.val();
        let [width, inputs, taps] = direction.dims();
        let squares = direction.clone().square().reshape([width * inputs, taps]).sum_dim(0);
        let length = squares.sqrt().reshape([1, 1, taps]);
        (direction * (self.weight_g.val() / length), self.bias.val())
    }
}

/// The bucket of the distance `key - query`: half of the `buckets` are for keys behind the query. A quarter of them hold
/// one distance each, the others grow with the logarithm of the distance up to `max_distance`, beyond which all are one
/// (T5's rule, arXiv 1910.10683). The logarithm is in f32, as in the reference: which distance begins a bucket hangs on it.
pub fn bucket(distance: i64, buckets: usize, max_distance: usize) -> usize {
    let half = buckets / 2;
    let behind = if distance > 0 { half } else { 0 };
    let (exact, far) = (half / 2, distance.unsigned_abs() as usize);
    if far < exact {
        return behind + far;
    }
    let share = (far as f32 / exact as f32).ln() / ((max_distance as f64 / exact as f64).ln() as f32);
    let step = (share * (half - exact) as f32) as usize;
    behind + (exact + step).min(half - 1)
}

/// The bias of every distance from `tokens - 1` before a query to as many behind it, `[heads, 2 · tokens - 1]`, from the
/// table of buckets `[buckets, heads]`.
pub fn biases(table: Tensor<2>, tokens: usize, size: &BeatsSize, device: &Device) -> Tensor<2> {
    let farthest = tokens as i64 - 1;
    let buckets: Vec<i64> = (-farthest..=farthest)
        .map(|distance| bucket(distance, size.num_buckets, size.max_distance) as i64)
        .collect();
    let count = buckets.len();
    let buckets = Tensor::<1, Int>::from_data(TensorData::new(buckets, [count]), device);
    table.select(0, buckets).transpose()
}
