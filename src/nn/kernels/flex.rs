//! The operations on the CPU device's tensors.

use burn::backend::Flex;
use burn::backend::flex::FlexTensor;
use burn::tensor::{DType, Shape, TensorData};

use super::conv::{self, ConvShape};
use super::slices::AdamWStep;
use super::{ConvSteps, EncoderStep, Fused, Kernels, Several, dense, encoding, slices, stretches};

/// A contiguous tensor's values.
pub(super) fn values(tensor: &FlexTensor) -> &[f32] {
    tensor.storage::<f32>()
}

pub(super) fn contiguous(tensor: FlexTensor) -> FlexTensor {
    debug_assert_eq!(tensor.dtype(), DType::F32);
    // A view of a part of a buffer may be contiguous too, and `storage` is the whole buffer.
    let whole = tensor.layout().start_offset() == 0
        && tensor.bytes().len() == tensor.layout().num_elements() * size_of::<f32>();
    if whole && tensor.is_contiguous() { tensor } else { FlexTensor::from_data(tensor.into_data()) }
}

/// The sizes of a matrix.
fn dims(tensor: &FlexTensor) -> [usize; 2] {
    let shape = tensor.layout().shape();
    [shape[0], shape[1]]
}

pub(super) fn tensor(values: Vec<f32>, shape: impl Into<Shape>) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, shape))
}

/// The sizes of a convolution.
pub(super) fn conv_shape(x: &FlexTensor, weight: &FlexTensor, steps: ConvSteps) -> ConvShape {
    let (x, weight) = (x.layout().shape(), weight.layout().shape());
    assert_eq!(x[1], weight[1], "an input of other channels than the layer's");
    ConvShape {
        batch: x[0],
        in_channels: x[1],
        out_channels: weight[0],
        in_height: x[2],
        in_width: x[3],
        kernel: [weight[2], weight[3]],
        stride: steps.stride,
        padding: steps.padding,
        dilation: steps.dilation,
    }
}

impl Kernels for Flex {
    fn convolution(x: FlexTensor, weight: FlexTensor, steps: ConvSteps) -> FlexTensor {
        let shape = conv_shape(&x, &weight, steps);
        let (x, weight) = (contiguous(x), contiguous(weight));
        let output = conv::forward(values(&x), values(&weight), None, &shape);
        let [height, width] = shape.output();
        tensor(output, [shape.batch, shape.out_channels, height, width])
    }

    fn convolution_backward(
        x: FlexTensor,
        weight: FlexTensor,
        gradient: FlexTensor,
        steps: ConvSteps,
        at_x: bool,
    ) -> (FlexTensor, Option<FlexTensor>) {
        let shape = conv_shape(&x, &weight, steps);
        let (x, weight, gradient) = (contiguous(x), contiguous(weight), contiguous(gradient));
        let of_weight = conv::backward_weight(values(&x), values(&gradient), &shape);
        let of_x = at_x.then(|| conv::backward_input(values(&gradient), values(&weight), &shape));
        let ConvShape { batch, in_channels, out_channels, in_height, in_width, kernel, .. } = shape;
        let of_weight = tensor(of_weight, [out_channels, in_channels, kernel[0], kernel[1]]);
        (of_weight, of_x.map(|of_x| tensor(of_x, [batch, in_channels, in_height, in_width])))
    }

    fn linear(x: FlexTensor, weight: FlexTensor, bias: FlexTensor) -> FlexTensor {
        let ([_, width], [inputs, _]) = (dims(&x), dims(&weight));
        assert_eq!(width, inputs, "an input of another width than the layer's");
        let (x, weight, bias) = (contiguous(x), contiguous(weight), contiguous(bias));
        let output = dense::linear(values(&x), values(&weight), values(&bias));
        let outputs = values(&bias).len();
        let rows = output.len() / outputs;
        tensor(output, [rows, outputs])
    }

    fn linear_backward(
        x: FlexTensor,
        weight: FlexTensor,
        gradient: FlexTensor,
        at_x: bool,
    ) -> (FlexTensor, FlexTensor, Option<FlexTensor>) {
        let ([rows, inputs], [_, outputs]) = (dims(&x), dims(&gradient));
        let (x, weight, gradient) = (contiguous(x), contiguous(weight), contiguous(gradient));
        let (x, weight, gradient) = (values(&x), values(&weight), values(&gradient));
        let ((of_weight, of_bias), of_x) = rayon::join(
            || dense::linear_backward_parameters(x, gradient, inputs, outputs),
            || at_x.then(|| dense::linear_backward_x(gradient, weight, outputs)),
        );
        let of_x = of_x.map(|of_x| tensor(of_x, [rows, inputs]));
        (tensor(of_weight, [inputs, outputs]), tensor(of_bias, [outputs]), of_x)
    }

    fn norm_relu(
        x: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        epsilon: f64,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        let (x, weight, bias) = (contiguous(x), contiguous(weight), contiguous(bias));
        let channels = values(&weight).len();
        let rows = values(&x).len() / channels;
        let (output, mean, variance) =
            slices::norm_relu(values(&x), values(&weight), values(&bias), epsilon as f32);
        (tensor(output, [rows, channels]), tensor(mean, [channels]), tensor(variance, [channels]))
    }

    fn norm_relu_backward(
        x: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        mean: FlexTensor,
        variance: FlexTensor,
        epsilon: f64,
        gradient: FlexTensor,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        let (x, weight, bias, gradient) =
            (contiguous(x), contiguous(weight), contiguous(bias), contiguous(gradient));
        let channels = values(&weight).len();
        let rows = values(&x).len() / channels;
        let norm = slices::Norm::new(
            values(&weight),
            values(&bias),
            values(&mean),
            values(&variance),
            epsilon as f32,
        );
        let (of_x, of_weight, of_bias) = slices::norm_relu_backward(values(&x), values(&gradient), &norm);
        (tensor(of_x, [rows, channels]), tensor(of_weight, [channels]), tensor(of_bias, [channels]))
    }

    fn mean_absolute_error(x: FlexTensor, target: FlexTensor) -> FlexTensor {
        let (x, target) = (contiguous(x), contiguous(target));
        tensor(vec![slices::mean_absolute_error(values(&x), values(&target))], [1])
    }

    fn mean_absolute_error_backward(x: FlexTensor, target: FlexTensor, gradient: FlexTensor) -> FlexTensor {
        let shape = Shape::from(x.layout().shape().to_vec());
        let (x, target, gradient) = (contiguous(x), contiguous(target), contiguous(gradient));
        let (x, target) = (values(&x), values(&target));
        let step = values(&gradient)[0] / x.len() as f32;
        tensor(slices::mean_absolute_error_backward(x, target, step), shape)
    }

    fn fused(stretch: Fused, inputs: Several<Self>, keep: bool) -> (FlexTensor, Vec<FlexTensor>) {
        stretches::forward(stretch, inputs.0, keep)
    }

    fn fused_backward(
        stretch: Fused,
        inputs: Several<Self>,
        kept: Several<Self>,
        gradient: FlexTensor,
        at_first: bool,
    ) -> Vec<Option<FlexTensor>> {
        stretches::backward(stretch, inputs.0, kept.0, gradient, at_first)
    }

    fn batch_statistics(x: FlexTensor) -> (FlexTensor, FlexTensor) {
        stretches::batch_statistics(x)
    }

    fn encoder(step: EncoderStep, inputs: Several<Self>) -> FlexTensor {
        encoding::forward(step, inputs.0)
    }

    fn adamw(
        parameter: FlexTensor,
        gradient: FlexTensor,
        first: FlexTensor,
        second: FlexTensor,
        step: AdamWStep,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        let gradient = contiguous(gradient);
        let (mut parameter, mut first, mut second) =
            (contiguous(parameter), contiguous(first), contiguous(second));
        // Each of these copies only what somebody else still holds.
        let (p, m, v) = (parameter.storage_mut(), first.storage_mut(), second.storage_mut());
        slices::adamw(p, values(&gradient), m, v, step);
        (parameter, first, second)
    }
}
