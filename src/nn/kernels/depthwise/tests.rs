//! Against the definition in f64, in shapes of every kind, on every set of instructions at hand.

use super::super::testing::{even as values, processors};
use super::*;

fn shape(batch: usize, length: usize, channels: usize, kernel: usize, padding: [usize; 2]) -> DepthwiseShape {
    DepthwiseShape { batch, length, channels, kernel, padding }
}

/// Channels below, at and above whole vectors, kernels longer than the input, paddings of every kind.
fn shapes() -> Vec<DepthwiseShape> {
    vec![
        shape(1, 1, 1, 31, [15, 15]),
        shape(2, 2, 3, 4, [2, 1]),
        shape(3, 7, 17, 3, [1, 1]),
        shape(2, 7, 16, 1, [0, 0]),
        shape(2, 40, 33, 31, [15, 15]),
        shape(70, 19, 5, 6, [3, 2]),
        shape(1, 50, 2, 5, [0, 0]),
        shape(1, 9, 20, 4, [3, 3]),
        shape(1, 101, 128, 31, [15, 15]),
    ]
}

/// Every product of the convolution: (input, weight, result) by index.
fn products(shape: &DepthwiseShape, mut each: impl FnMut(usize, usize, usize)) {
    for b in 0..shape.batch {
        for n in 0..shape.outputs() {
            for k in 0..shape.kernel {
                let Some(from) = (n + k).checked_sub(shape.padding[0]).filter(|from| *from < shape.length)
                else {
                    continue;
                };
                for c in 0..shape.channels {
                    let out = (b * shape.outputs() + n) * shape.channels + c;
                    each((b * shape.length + from) * shape.channels + c, c * shape.kernel + k, out);
                }
            }
        }
    }
}

fn assert_near(found: &[f32], exact: &[f64], what: impl std::fmt::Debug) {
    assert_eq!(found.len(), exact.len());
    for (found, exact) in found.iter().zip(exact) {
        // Sums of up to 1,400 terms below 1, in f32.
        assert!((f64::from(*found) - exact).abs() < 3e-5, "{what:?}: {found} {exact}");
    }
}

#[test]
fn results_and_gradients_are_those_of_the_definition() {
    for processor in processors() {
        for shape in shapes() {
            let (x, weight) = (values(shape.inputs(), 1), values(shape.channels * shape.kernel, 2));
            let bias = values(shape.channels, 3);
            let gradient = values(shape.batch * shape.outputs() * shape.channels, 4);
            let mut out: Vec<f64> =
                (0..gradient.len()).map(|at| f64::from(bias[at % shape.channels])).collect();
            let (mut of_x, mut of_weight) = (vec![0.0; x.len()], vec![0.0; weight.len()]);
            let mut of_bias = vec![0.0; bias.len()];
            products(&shape, |input, place, output| {
                out[output] += f64::from(x[input]) * f64::from(weight[place]);
                of_x[input] += f64::from(gradient[output]) * f64::from(weight[place]);
                of_weight[place] += f64::from(gradient[output]) * f64::from(x[input]);
            });
            for (at, value) in gradient.iter().enumerate() {
                of_bias[at % shape.channels] += f64::from(*value);
            }
            assert_near(&depthwise_on(processor, &x, &weight, &bias, &shape), &out, (processor, shape));
            let found = depthwise_backward_on(processor, &x, &weight, &gradient, &shape);
            assert_near(&found.0, &of_x, (processor, shape, "x"));
            assert_near(&found.1, &of_weight, (processor, shape, "weight"));
            assert_near(&found.2, &of_bias, (processor, shape, "bias"));
        }
    }
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let shape = shape(67, 33, 20, 7, [3, 3]);
    let (x, weight, bias) = (values(shape.inputs(), 1), values(20 * 7, 2), values(20, 3));
    let gradient = values(shape.inputs(), 4);
    let on = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            (depthwise(&x, &weight, &bias, &shape), depthwise_backward(&x, &weight, &gradient, &shape))
        })
    };
    assert!(on(1) == on(3));
}

/// One NaN reaches the outputs that read it and no other.
#[test]
fn what_is_not_a_number_stays_so() {
    for processor in processors() {
        let shape = shape(2, 12, 3, 5, [2, 2]);
        let (mut x, weight, bias) = (values(shape.inputs(), 1), values(15, 2), values(3, 3));
        x[(12 + 6) * 3 + 1] = f32::NAN;
        let out = depthwise_on(processor, &x, &weight, &bias, &shape);
        let found: Vec<usize> = (0..out.len()).filter(|at| out[*at].is_nan()).collect();
        assert_eq!(found, (4..=8).map(|n| (12 + n) * 3 + 1).collect::<Vec<_>>());
        let (of_x, of_weight, of_bias) =
            depthwise_backward_on(processor, &x, &weight, &values(out.len(), 4), &shape);
        assert!(of_x.iter().chain(&of_bias).all(|value| value.is_finite()));
        let found: Vec<usize> = (0..15).filter(|at| of_weight[*at].is_nan()).collect();
        assert_eq!(found, (5..10).collect::<Vec<_>>());
    }
}

#[test]
fn nothing_gives_nothing() {
    for shape in [
        shape(0, 5, 2, 3, [1, 1]),
        shape(2, 0, 2, 3, [1, 1]),
        shape(2, 5, 0, 3, [1, 1]),
        shape(2, 2, 2, 9, [0, 0]),
    ] {
        let (x, weight, bias) =
            (values(shape.inputs(), 1), values(shape.channels * shape.kernel, 2), vec![0.0; shape.channels]);
        assert_eq!(depthwise(&x, &weight, &bias, &shape), vec![0.0; 0]);
        let zeros = |values: &[f32]| vec![0.0_f32; values.len()];
        assert_eq!(depthwise_backward(&x, &weight, &[], &shape), (zeros(&x), zeros(&weight), bias));
    }
}
