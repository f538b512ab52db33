//! Operations that Burn's CPU device composes of many passes over memory, in one or two: the seam behind which faster
//! ones can come without a network noticing.
//!
//! A training step of the study's autoencoder (batch 512, hidden 128) is 0.8 GFLOP of matrix products, 5 ms on one core.
//! Stock batch norm, ReLU and absolute error add 12 passes forward and 16 backward over each activation, with
//! transposed copies; here they are 3 and 2. GPUs keep the stock operations, which their compiler fuses itself.
//!
//! Work is shared out in parts of fixed sizes and every sum has one order, so the bits are the same on any number of
//! threads.

mod attention;
mod conv;
mod dense;
mod dense_block;
mod depthwise;
mod encoder;
mod encoding;
mod flex;
mod fused;
mod gradients;
mod instance_norm;
mod parts;
mod rows;
mod several;
mod slices;
mod stretches;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, backend_extension};
use burn::tensor::{Device, Tensor};

pub use encoding::{EncoderStep, GatedBias, encoder_attention, encoder_linear, position_conv, residual_norm};
pub use fused::{
    Affine, AttentionSize, DenseLayer, Dropout, Fused, Scale, attention, batch_statistics, convolution_bias,
    dense_block, depthwise, feed_forward, gated, instance_norm_prelu, layer_norm, linear_residual, mixed,
    norm_swish_linear, normed_linear,
};
pub use several::Several;
pub use slices::AdamWStep;

/// How a convolution's kernel lies on its input; pairs are (height, width).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConvSteps {
    /// From one place of the kernel to the next.
    pub stride: [usize; 2],
    /// Zeros before and after each axis.
    pub padding: [[usize; 2]; 2],
    /// From one of the kernel's elements to the next.
    pub dilation: [usize; 2],
}

/// The operations of this seam, for the CPU device.
#[backend_extension(Flex, Autodiff)]
pub trait Kernels: Backend {
    /// `x` `[rows, inputs]` · `weight` `[inputs, outputs]` + `bias` `[outputs]`.
    fn linear(x: FloatTensor<Self>, weight: FloatTensor<Self>, bias: FloatTensor<Self>) -> FloatTensor<Self>;

    /// Gradients of [`Kernels::linear`] at the weight, at the bias, and at `x` where it is asked for.
    fn linear_backward(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        at_x: bool,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, Option<FloatTensor<Self>>);

    /// `x` `[batch, in, height, width]` with `weight` `[out, in, kernel, kernel]`: `[batch, out, height, width]`.
    fn convolution(x: FloatTensor<Self>, weight: FloatTensor<Self>, steps: ConvSteps) -> FloatTensor<Self>;

    /// Gradients of [`Kernels::convolution`] at the weight, and at `x` where it is asked for.
    fn convolution_backward(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        steps: ConvSteps,
        at_x: bool,
    ) -> (FloatTensor<Self>, Option<FloatTensor<Self>>);

    /// relu(norm(x)) of `x` `[rows, channels]` with batch statistics: (result, mean, biased variance).
    fn norm_relu(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        epsilon: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);

    /// Gradients of [`Kernels::norm_relu`] at `x`, `weight` and `bias`.
    fn norm_relu_backward(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        mean: FloatTensor<Self>,
        variance: FloatTensor<Self>,
        epsilon: f64,
        gradient: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);

    /// Mean of |x - target|, `[1]`; no gradient at `target`.
    fn mean_absolute_error(x: FloatTensor<Self>, target: FloatTensor<Self>) -> FloatTensor<Self>;

    /// Gradient of [`Kernels::mean_absolute_error`] at `x`.
    fn mean_absolute_error_backward(
        x: FloatTensor<Self>,
        target: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
    ) -> FloatTensor<Self>;

    /// A longer stretch of a network, and, where they are asked for, the values beside its inputs that its gradients need.
    fn fused(
        stretch: Fused,
        #[extension_type] inputs: Several<Self>,
        keep: bool,
    ) -> (FloatTensor<Self>, Vec<FloatTensor<Self>>);

    /// Gradients of [`Kernels::fused`] at its inputs, in their order; none at what has no gradient, and none at the first
    /// where it is not asked for.
    fn fused_backward(
        stretch: Fused,
        #[extension_type] inputs: Several<Self>,
        #[extension_type] kept: Several<Self>,
        gradient: FloatTensor<Self>,
        at_first: bool,
    ) -> Vec<Option<FloatTensor<Self>>>;

    /// Mean and biased variance of the columns of `x` `[rows, channels]`, outside any graph.
    fn batch_statistics(x: FloatTensor<Self>) -> (FloatTensor<Self>, FloatTensor<Self>);

    /// A step of a transformer encoder, outside any graph.
    fn encoder(step: EncoderStep, #[extension_type] inputs: Several<Self>) -> FloatTensor<Self>;

    /// One step of AdamW on a parameter outside any graph: (parameter, first moment, second moment).
    fn adamw(
        parameter: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        first: FloatTensor<Self>,
        second: FloatTensor<Self>,
        step: AdamWStep,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
}

/// Whether this seam has its own kernels for tensors of a device.
pub fn serve(device: &Device) -> bool {
    device.clone().inner() == Device::flex()
}

/// `x` `[rows, inputs]` · `weight` `[inputs, outputs]` + `bias`; for devices that [`serve`] accepts.
pub fn linear(x: Tensor<2>, weight: Tensor<2>, bias: Tensor<1>) -> Tensor<2> {
    let (x, weight, bias) = (x.into_dispatch(), weight.into_dispatch(), bias.into_dispatch());
    Tensor::from_dispatch(<Dispatch as Kernels>::linear(x, weight, bias))
}

/// A convolution without bias; for devices that [`serve`] accepts.
pub fn convolution(x: Tensor<4>, weight: Tensor<4>, steps: ConvSteps) -> Tensor<4> {
    let output = <Dispatch as Kernels>::convolution(x.into_dispatch(), weight.into_dispatch(), steps);
    Tensor::from_dispatch(output)
}

/// relu(norm(x)) and the batch's mean and biased variance; for devices that [`serve`] accepts.
pub fn norm_relu(
    x: Tensor<2>,
    weight: Tensor<1>,
    bias: Tensor<1>,
    epsilon: f64,
) -> (Tensor<2>, Tensor<1>, Tensor<1>) {
    let (output, mean, variance) = <Dispatch as Kernels>::norm_relu(
        x.into_dispatch(),
        weight.into_dispatch(),
        bias.into_dispatch(),
        epsilon,
    );
    (Tensor::from_dispatch(output), Tensor::from_dispatch(mean), Tensor::from_dispatch(variance))
}

/// Mean of |x - target|, `[1]`, on any device; no gradient at `target`.
pub fn mean_absolute_error(x: Tensor<2>, target: Tensor<2>) -> Tensor<1> {
    if !serve(&x.device()) {
        return (x - target.detach()).abs().mean();
    }
    let (x, target) = (x.into_dispatch(), target.into_dispatch());
    Tensor::from_dispatch(<Dispatch as Kernels>::mean_absolute_error(x, target))
}

/// One step of AdamW: parameter, first and second moment; for devices that [`serve`] accepts.
pub fn adamw<const D: usize>(
    parameter: Tensor<D>,
    gradient: Tensor<D>,
    first: Tensor<D>,
    second: Tensor<D>,
    step: AdamWStep,
) -> (Tensor<D>, Tensor<D>, Tensor<D>) {
    let (parameter, first, second) = <Dispatch as Kernels>::adamw(
        parameter.into_dispatch(),
        gradient.into_dispatch(),
        first.into_dispatch(),
        second.into_dispatch(),
        step,
    );
    (Tensor::from_dispatch(parameter), Tensor::from_dispatch(first), Tensor::from_dispatch(second))
}
