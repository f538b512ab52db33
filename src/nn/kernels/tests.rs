//! Each operation beside the stock one.

use super::*;
use burn::tensor::TensorData;
use burn::tensor::activation::relu;
use burn::tensor::module::batch_norm_train;

fn inputs(device: &Device, rows: usize, channels: usize) -> [Tensor<2>; 2] {
    let make = |seed: u64| {
        let draw = |i: usize| ((i as u64 * 2_654_435_761 + seed * 97) % 1009) as f32 / 250.0 - 2.0;
        let values: Vec<f32> = (0..rows * channels).map(draw).collect();
        Tensor::<2>::from_data(TensorData::new(values, [rows, channels]), device)
    };
    [make(1), make(2)]
}

fn host<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_into_vec::<f32>().unwrap()
}

fn assert_near(name: &str, a: Vec<f32>, b: Vec<f32>, tolerance: f32) {
    let largest = a.iter().zip(&b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    // `max` passes what is no number by.
    let numbers = a.iter().chain(&b).all(|value| value.is_finite());
    assert!(numbers && a.len() == b.len() && largest <= tolerance, "{name}: differs by {largest}");
}

#[test]
fn norm_relu_and_its_gradients_are_those_of_the_stock_operations() {
    let device = Device::flex().autodiff();
    // More rows than a block and not a multiple of it.
    let [x, other] = inputs(&device, 150, 7);
    let weight = Tensor::<1>::from_floats([1.0, 0.5, -2.0, 0.1, 3.0, 1.5, -0.7], &device).require_grad();
    let bias = Tensor::<1>::from_floats([0.0, 0.3, -0.2, 1.0, -1.0, 0.5, 0.2], &device).require_grad();
    let x = x.require_grad();
    let both = |fused: bool| {
        let (output, mean, variance) = match fused {
            true => norm_relu(x.clone(), weight.clone(), bias.clone(), 1e-5),
            false => {
                let stock = batch_norm_train(x.clone(), weight.clone(), bias.clone(), 1e-5);
                (relu(stock.output), stock.mean, stock.variance)
            }
        };
        let grads = (output.clone() * other.clone()).sum().backward();
        let of = [
            host(x.grad(&grads).unwrap()),
            host(weight.grad(&grads).unwrap()),
            host(bias.grad(&grads).unwrap()),
        ];
        ([host(output), host(mean), host(variance)], of)
    };
    let ((ours, our_gradients), (stock, stock_gradients)) = (both(true), both(false));
    // Sums of 150 terms of order 1 in f32, in another order: 150 · 2⁻²⁴ · a few.
    for (name, (a, b)) in ["output", "mean", "variance"].iter().zip(ours.into_iter().zip(stock)) {
        assert_near(name, a, b, 1e-5);
    }
    for (name, (a, b)) in ["x", "weight", "bias"].iter().zip(our_gradients.into_iter().zip(stock_gradients)) {
        assert_near(name, a, b, 1e-4);
    }
}

#[test]
fn absolute_error_and_its_gradient_are_those_of_the_stock_operations() {
    let device = Device::flex().autodiff();
    let [x, target] = inputs(&device, 33, 41);
    let x = x.require_grad();
    let both = |fused: bool| {
        let loss = match fused {
            true => mean_absolute_error(x.clone(), target.clone()),
            false => (x.clone() - target.clone()).abs().mean(),
        };
        // A gradient other than 1 arrives.
        let grads = (loss.clone() * 3.0).backward();
        (host(loss), host(x.grad(&grads).unwrap()))
    };
    let ((ours, our_gradient), (stock, stock_gradient)) = (both(true), both(false));
    assert_near("loss", ours, stock, 1e-6);
    assert_near("gradient", our_gradient, stock_gradient, 1e-9);
}

#[test]
fn a_part_of_a_buffer_is_taken_for_what_it_is() {
    let device = Device::flex().autodiff();
    let [x, target] = inputs(&device, 12, 5);
    let part = |tensor: &Tensor<2>| tensor.clone().slice([4..9, 0..5]);
    let stock = (part(&x) - part(&target)).abs().mean();
    assert_near("loss", host(mean_absolute_error(part(&x), part(&target))), host(stock), 1e-6);
    let (weight, bias) = (Tensor::<1>::ones([5], &device), Tensor::<1>::zeros([5], &device));
    let copied = Tensor::<2>::from_data(part(&x).into_data(), &device);
    let of_part = norm_relu(part(&x), weight.clone(), bias.clone(), 1e-5).0;
    assert_eq!(of_part.dims(), [5, 5]);
    assert_near("norm", host(of_part), host(norm_relu(copied, weight, bias, 1e-5).0), 0.0);
}

#[test]
fn a_value_that_is_no_number_is_not_hidden() {
    let device = Device::flex().autodiff();
    let x = Tensor::<2>::from_floats([[1.0, f32::NAN], [2.0, 3.0]], &device);
    let (weight, bias) = (Tensor::<1>::ones([2], &device), Tensor::<1>::zeros([2], &device));
    let output = host(norm_relu(x, weight, bias, 1e-5).0);
    assert!(output[1].is_nan() && output[3].is_nan() && !output[0].is_nan(), "{output:?}");
}

#[test]
fn equal_values_have_no_gradient() {
    let device = Device::flex().autodiff();
    let x = Tensor::<2>::ones([2, 2], &device).require_grad();
    let grads = mean_absolute_error(x.clone(), Tensor::ones([2, 2], &device)).backward();
    assert_eq!(host(x.grad(&grads).unwrap()), [0.0; 4]);
}

#[test]
fn linear_and_its_gradients_are_those_of_the_stock_operations() {
    let device = Device::flex().autodiff();
    let [x, _] = inputs(&device, 150, 13);
    let [weight, _] = inputs(&device, 13, 9);
    let [_, other] = inputs(&device, 150, 9);
    let (x, weight) = (x.require_grad(), weight.require_grad());
    let bias =
        Tensor::<1>::from_floats([0.1, -0.2, 0.3, 0.0, 1.0, -1.0, 2.0, 0.5, 0.7], &device).require_grad();
    let both = |fused: bool| {
        let output = match fused {
            true => linear(x.clone(), weight.clone(), bias.clone()),
            false => x.clone().matmul(weight.clone()) + bias.clone().unsqueeze::<2>(),
        };
        let grads = (output.clone() * other.clone()).sum().backward();
        let of = [
            host(output),
            host(x.grad(&grads).unwrap()),
            host(weight.grad(&grads).unwrap()),
            host(bias.grad(&grads).unwrap()),
        ];
        of
    };
    // Sums of up to 150 terms of order 4 in f32, in another order.
    for (name, (a, b)) in
        ["output", "x", "weight", "bias"].iter().zip(both(true).into_iter().zip(both(false)))
    {
        assert_near(name, a, b, 1e-4);
    }
    // A weight alone that learns, an input that is data.
    let frozen = linear(x.clone().detach(), weight.clone(), bias.clone().detach());
    let grads = frozen.sum().backward();
    assert!(weight.grad(&grads).is_some() && x.grad(&grads).is_none());
}

#[test]
fn a_convolution_and_its_gradients_are_those_of_the_stock_operations() {
    use burn::tensor::module::conv2d;
    use burn::tensor::ops::ConvOptions;

    let device = Device::flex().autodiff();
    let image = |shape: [usize; 4], factor: f32| {
        let values: Vec<f32> =
            (0..shape.iter().product::<usize>()).map(|n| (n as f32 * factor).sin()).collect();
        Tensor::<4>::from_data(TensorData::new(values, shape), &device)
    };
    for (stride, padding, dilation) in [(1, 1, 1), (2, 3, 1), (1, 0, 2)] {
        let x = image([2, 3, 11, 9], 0.37).require_grad();
        let weight = image([5, 3, 3, 3], 0.73).require_grad();
        let steps = ConvSteps { stride: [stride; 2], padding: [[padding; 2]; 2], dilation: [dilation; 2] };
        let both = |own: bool| {
            let output = match own {
                true => convolution(x.clone(), weight.clone(), steps),
                false => {
                    let options = ConvOptions::new([stride; 2], [padding; 2], [dilation; 2], 1);
                    conv2d(x.clone(), weight.clone(), None, options)
                }
            };
            let other = image(output.dims(), 0.11);
            let grads = (output.clone() * other).sum().backward();
            [host(output), host(x.grad(&grads).unwrap()), host(weight.grad(&grads).unwrap())]
        };
        // Sums of up to 200 terms below 1 in f32, in another order.
        for (name, (a, b)) in ["output", "x", "weight"].iter().zip(both(true).into_iter().zip(both(false))) {
            assert_near(name, a, b, 1e-4);
        }
    }
    // An input that is data.
    let (x, weight) = (image([1, 1, 4, 4], 0.3), image([2, 1, 3, 3], 0.5).require_grad());
    let steps = ConvSteps { stride: [1; 2], padding: [[1; 2]; 2], dilation: [1; 2] };
    let grads = convolution(x.clone(), weight.clone(), steps).sum().backward();
    assert!(weight.grad(&grads).is_some() && x.grad(&grads).is_none());
}

#[test]
fn a_turned_weight_is_taken_for_what_it_is() {
    let device = Device::flex();
    let [x, _] = inputs(&device, 5, 4);
    let [weight, _] = inputs(&device, 3, 4);
    let bias = Tensor::<1>::zeros([3], &device);
    let stock = x.clone().matmul(weight.clone().transpose());
    assert_near("turned", host(linear(x, weight.transpose(), bias)), host(stock), 1e-5);
}

#[test]
#[should_panic(expected = "sizes that do not fit")]
fn a_bias_of_another_length_is_refused() {
    let device = Device::flex();
    let x = Tensor::<2>::ones([3, 3], &device);
    norm_relu(x, Tensor::ones([3], &device), Tensor::zeros([2], &device), 1e-5);
}

#[test]
#[should_panic(expected = "another width")]
fn an_input_of_another_width_is_refused() {
    let device = Device::flex();
    linear(Tensor::ones([6, 4], &device), Tensor::ones([3, 2], &device), Tensor::ones([2], &device));
}
