//! The fused stretches beside Burn's operations, and segments beside one graph.

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::activation::silu;
use burn::tensor::module::batch_norm_train;
use burn::tensor::{Device, Gradients, Tensor, TensorData};

use super::norm::{self, InstanceNorm, PRelu};
use super::rows::{self, composed};
use super::*;
use crate::nn::kernels::{self, AttentionSize, Dropout};
use crate::nn::precision::Precision;

fn tensor<const D: usize>(shape: [usize; D], seed: u64, device: &Device) -> Tensor<D> {
    let count: usize = shape.iter().product();
    let draw = |i: usize| ((i as u64 * 2_654_435_761 + seed * 9_973) % 2003) as f32 / 1001.0 - 1.0;
    Tensor::from_data(TensorData::new((0..count).map(draw).collect::<Vec<_>>(), shape), device)
}

fn host<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_into_vec::<f32>().unwrap()
}

fn assert_near(name: &str, a: &[f32], b: &[f32], tolerance: f32) {
    // `max` passes what is no number by.
    let numbers = a.iter().chain(b).all(|value| value.is_finite());
    assert!(numbers && a.len() == b.len(), "{name}");
    let scale = b.iter().fold(1.0_f32, |largest, b| largest.max(b.abs()));
    let largest = a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(largest <= tolerance * scale, "{name}: differs by {largest} of {scale}");
}

/// Values and gradients of two ways from `inputs` to a matrix.
fn compare<const N: usize>(
    name: &str,
    inputs: [Tensor<2>; N],
    ways: [&dyn Fn([Tensor<2>; N]) -> Tensor<2>; 2],
) {
    let both = ways.map(|way| {
        let inputs = inputs.clone().map(Tensor::require_grad);
        let output = way(inputs.clone());
        let weights = tensor(output.dims(), 77, &output.device());
        let gradients = (output.clone() * weights).sum().backward();
        (host(output), inputs.map(|input| host(input.grad(&gradients).unwrap())))
    });
    let [(values, gradients), (expected, expected_gradients)] = both;
    // Sums of some hundred terms of order 1 in f32, in another order.
    assert_near(name, &values, &expected, 2e-5);
    for (index, (found, expected)) in gradients.iter().zip(&expected_gradients).enumerate() {
        assert_near(&format!("{name}, gradient {index}"), found, expected, 5e-5);
    }
}

fn row(x: Tensor<2>) -> Tensor<1> {
    let length = x.dims()[1];
    x.reshape([length])
}

#[test]
fn the_stretches_on_rows_are_those_of_burns_operations() {
    let device = Device::flex().autodiff();
    let of = |shape: [usize; 2], seed: u64| tensor::<2>(shape, seed, &device);
    let (rows_, dim) = (37, 8);
    let none = Precision::F32;
    let norm = [of([1, dim], 2), of([1, dim], 3)];
    compare(
        "feed-forward",
        [
            of([rows_, dim], 1),
            norm[0].clone(),
            norm[1].clone(),
            of([dim, 32], 4),
            of([1, 32], 5),
            of([32, dim], 6),
            of([1, dim], 7),
        ],
        [
            &|[x, nw, nb, w1, b1, w2, b2]| {
                rows::feed_forward(x, (row(nw), row(nb)), [(w1, row(b1)), (w2, row(b2))], 0.5, None, none)
            },
            &|[x, nw, nb, w1, b1, w2, b2]| {
                composed::feed_forward(x, (row(nw), row(nb)), [(w1, row(b1)), (w2, row(b2))], 0.5, None, none)
            },
        ],
    );
    compare(
        "gated",
        [of([rows_, dim], 1), norm[0].clone(), norm[1].clone(), of([dim, 12], 4), of([1, 12], 5)],
        [&|[x, nw, nb, w, b]| rows::gated(x, (row(nw), row(nb)), (w, row(b)), none), &|[x, nw, nb, w, b]| {
            composed::gated(x, (row(nw), row(nb)), (w, row(b)), none)
        }],
    );
    compare(
        "normed linear",
        [of([rows_, dim], 1), norm[0].clone(), norm[1].clone(), of([dim, 24], 4)],
        [&|[x, nw, nb, w]| rows::normed_linear(x, (row(nw), row(nb)), w, none), &|[x, nw, nb, w]| {
            composed::product(composed::layer_norm(x, (row(nw), row(nb))), w, none)
        }],
    );
    compare(
        "layer norm",
        [of([rows_, dim], 1), norm[0].clone(), norm[1].clone()],
        [&|[x, nw, nb]| rows::layer_norm(x, (row(nw), row(nb))), &|[x, nw, nb]| {
            composed::layer_norm(x, (row(nw), row(nb)))
        }],
    );
    compare(
        "batch norm, swish, linear and residual",
        [
            of([rows_, dim], 1),
            norm[0].clone(),
            norm[1].clone(),
            of([dim, 6], 4),
            of([1, 6], 5),
            of([rows_, 6], 8),
        ],
        [
            &|[x, nw, nb, w, b, r]| {
                let statistics = kernels::batch_statistics(x.clone());
                rows::norm_swish_linear(x, (row(nw), row(nb)), statistics, (w, row(b)), r)
            },
            &|[x, nw, nb, w, b, r]| {
                let y = silu(batch_norm_train(x, row(nw), row(nb), 1e-5).output);
                r + composed::affine(y, (w, row(b)), none)
            },
        ],
    );
    compare(
        "linear and residual",
        [of([rows_, dim], 1), of([dim, 6], 4), of([1, 6], 5), of([rows_, 6], 8)],
        [&|[x, w, b, r]| rows::linear_residual(x, (w, row(b)), r, None, none), &|[x, w, b, r]| {
            r + composed::affine(x, (w, row(b)), none)
        }],
    );
}

#[test]
fn attention_and_depthwise_convolution_are_those_of_burns_operations() {
    let device = Device::flex().autodiff();
    let of = |shape: [usize; 2], seed: u64| tensor::<2>(shape, seed, &device);
    // Three sequences of 11 rows; distances up to 4 are told apart.
    for reach in [4, 20] {
        let size = AttentionSize { length: 11, heads: 2, reach };
        compare(
            "attention",
            [of([33, 6], 1), of([33, 12], 2), of([2 * reach + 1, 3], 3)],
            [&|[q, kv, table]| rows::attention(q, kv, table, size, Precision::F32), &|[q, kv, table]| {
                composed::attention(q, kv, table, size, Precision::F32)
            }],
        );
    }
    for kernel in [4, 7] {
        compare(
            "depthwise",
            [of([33, 5], 1), of([5, kernel], 2), of([1, 5], 3)],
            [&|[x, w, b]| rows::depthwise(x, w, row(b), 11), &|[x, w, b]| {
                composed::depthwise(x, w, row(b), 11, [kernel / 2, (kernel - 1) / 2])
            }],
        );
    }
}

/// Gradients by position.
fn gradients_of<M: Module>(net: &M, gradients: &Gradients) -> Vec<(String, Vec<f32>)> {
    use burn::module::{ModuleVisitor, Param};
    struct Read<'a>(&'a Gradients, Vec<String>, Vec<(String, Vec<f32>)>);
    impl ModuleVisitor for Read<'_> {
        fn enter_module(&mut self, name: &str, _kind: &str) {
            self.1.push(name.to_owned());
        }

        fn exit_module(&mut self, _name: &str, _kind: &str) {
            self.1.pop();
        }

        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            // Running statistics have none.
            if param.val().is_require_grad() {
                self.2.push((self.1.join("."), host(param.val().grad(self.0).unwrap())));
            }
        }
    }
    let mut read = Read(gradients, Vec::new(), Vec::new());
    net.visit(&mut read);
    read.2
}

#[test]
fn the_dense_block_and_the_norm_are_those_of_burns_operations() {
    let device = Device::flex().autodiff();
    let init = Init::new(3, &device);
    let block = DilatedDense::new("block", 5, init);
    let (norm, slopes) = (InstanceNorm::new(5, init), PRelu::new(5, init));
    // Fewer rows than the last layer's step.
    for shape in [[2, 5, 6, 9], [1, 5, 17, 4]] {
        let run = |fused: bool| {
            let x = tensor::<4>(shape, 1, &device).require_grad();
            let [weight, bias] = norm.parameters();
            let y = match fused {
                true => norm.forward_prelu(block.forward(x.clone()), &slopes),
                false => norm::composed(block.composed(x.clone()), weight, bias, slopes.slopes()),
            };
            let gradients = (y.clone() * tensor::<4>(shape, 2, &device)).sum().backward();
            let mut all = gradients_of(&block, &gradients);
            all.extend(gradients_of(&norm, &gradients));
            all.extend(gradients_of(&slopes, &gradients));
            (host(y), host(x.grad(&gradients).unwrap()), all)
        };
        let ((y, x, all), (expected_y, expected_x, expected)) = (run(true), run(false));
        // Sums of up to 120 products, normalised four times in a row.
        assert_near("dense block", &y, &expected_y, 5e-5);
        // Four norms amplify rounding.
        assert_near("gradient at x", &x, &expected_x, 5e-4);
        for ((name, found), (_, expected)) in all.iter().zip(&expected) {
            assert_near(name, found, expected, 5e-4);
        }
    }
}

fn toy(device: &Device) -> Cmgan {
    let size = CmganSize { channels: 8, blocks: 2, n_fft: 32, hop_samples: 16, dropout: 0.2 };
    Cmgan::new(size, Init::new(5, device))
}

/// Sums of gradients, of each parameter that has any.
fn sums<M: Module>(net: &M, parts: Vec<GradientsParams>) -> Vec<Vec<f32>> {
    struct Sum(Vec<GradientsParams>, Vec<Vec<f32>>);
    impl burn::module::ModuleVisitor for Sum {
        fn visit_float<const D: usize>(&mut self, param: &burn::module::Param<Tensor<D>>) {
            if !param.val().is_require_grad() {
                return;
            }
            let of_parts = self.0.iter().filter_map(|part| part.get::<D>(param.id));
            let sum = of_parts.reduce(|sum, next| sum + next);
            self.1.push(sum.map(host).unwrap_or_default());
        }
    }
    let mut sum = Sum(parts, Vec::new());
    net.visit(&mut sum);
    sum.1
}

#[test]
fn an_attention_in_parts_gives_the_gradients_of_one() {
    let device = Device::flex();
    let size = ConformerSize { dim: 8, heads: 2, kernel: 5, reach: 4, dropout: 0.2 };
    let pass = Pass::Train { dropout: 3 };
    let (input, gradient) = (tensor::<3>([5, 9, 8], 1, &device), tensor::<3>([5, 9, 8], 2, &device));
    let run = |at_once: Option<usize>| {
        let net = Conformer::new("block", size, Init::new(7, &device.clone().autodiff()));
        let mut found = Vec::new();
        let (x, g) = (input.clone(), gradient.clone());
        let of_input = match at_once {
            Some(at_once) => net.backward_in_parts(x, g, pass, at_once, &mut found),
            None => net.backward(x, g, pass, &mut found),
        };
        let state = crate::nn::weights::to_safetensors(&net, String::new()).unwrap();
        (host(of_input), sums(&net, found), state)
    };
    let (of_input, of_parameters, state) = run(None);
    // Parts of two, two and one sequences; one part.
    for at_once in [2, 5] {
        let found = run(Some(at_once));
        // Sums over parts in another order.
        assert_near("gradient at the input", &found.0, &of_input, 1e-5);
        for (found, expected) in found.1.iter().zip(&of_parameters) {
            assert_near("gradient of a parameter", found, expected, 1e-5);
        }
        assert!(found.2 == state, "the running statistics learn once");
    }
}

#[test]
fn the_devices_own_masks_are_of_their_seed() {
    let device = Device::flex().autodiff();
    let x = Tensor::<2>::ones([100, 100], &device);
    let dropped = |seed: u64| host(composed::dropped(x.clone(), Some(Dropout { seed, probability: 0.2 })));
    let found = dropped(1);
    assert!(found.iter().all(|value| *value == 0.0 || (value - 1.25).abs() < 1e-6));
    // 8,000 of 10,000 stay, with a deviation of 40: five of them.
    let kept = found.iter().filter(|value| **value > 0.0).count();
    assert!(kept.abs_diff(8_000) < 200, "{kept}");
    assert!(found == dropped(1) && found != dropped(2));
}

#[test]
fn segments_give_the_gradients_of_one_graph() {
    let device = Device::flex().autodiff();
    let mixture = tensor::<2>([2, 160], 9, &device);
    let pass = Pass::Train { dropout: 11 };
    let whole = toy(&device);
    let separated = whole.separate(mixture.clone(), pass);
    let expected_wave = host(separated.wave.clone());
    let expected = separated.wave.square().mean().backward();
    let expected = gradients_of(&whole, &expected);

    let net = toy(&device);
    let (separated, below) = net.separate_in_segments(mixture, pass);
    assert_eq!(host(separated.wave.clone()), expected_wave);
    let mut gradients = separated.wave.square().mean().backward();
    let parts = below.gradients(&mut gradients);
    let top = GradientsParams::from_grads(gradients, &net);
    let found = sums(&net, parts.into_iter().chain([top]).collect());
    assert_eq!(found.len(), expected.len());
    for (found, (name, expected)) in found.iter().zip(&expected) {
        // The same operations on the same values; sums of three gradients in another order.
        assert_near(name, found, expected, 1e-5);
    }
    // The running statistics learnt once in both.
    let state = |net: &Cmgan| crate::nn::weights::to_safetensors(net, String::new()).unwrap();
    assert_eq!(state(&whole), state(&net));
}

#[test]
fn masks_are_of_the_pass_alone() {
    let device = Device::flex().autodiff();
    let mixture = tensor::<2>([1, 160], 9, &device);
    let wave = |dropout: u64| host(toy(&device).separate(mixture.clone(), Pass::Train { dropout }).wave);
    assert_eq!(wave(1), wave(1));
    assert_ne!(wave(1), wave(2));
    assert_ne!(wave(1), host(toy(&device).separate(mixture.clone(), Pass::Evaluate).wave));
}

#[test]
fn silence_gives_finite_samples_and_gradients() {
    let device = Device::flex().autodiff();
    let net = toy(&device);
    let mixture = Tensor::<2>::zeros([1, 160], &device);
    let separated = net.separate(mixture, Pass::Train { dropout: 1 });
    assert!(host(separated.wave.clone()).iter().all(|sample| sample.is_finite()));
    let gradients = separated.wave.sum().backward();
    for (name, gradient) in gradients_of(&net, &gradients) {
        assert!(gradient.iter().all(|g| g.is_finite()), "{name}");
    }
}
