//! Against the definition in f64, in shapes of every kind, on every set of instructions at hand.

use super::super::testing::{even as values, processors};
use super::*;

/// Every product of the convolution: (input, weight, result) by index.
fn products(shape: &ConvShape, mut each: impl FnMut(usize, usize, usize)) {
    let [height, width] = shape.output();
    let [kernel_height, kernel_width] = shape.kernel;
    let place = |axis: usize, out: usize, kernel: usize| {
        let at =
            (out * shape.stride[axis] + kernel * shape.dilation[axis]).checked_sub(shape.padding[axis][0])?;
        (at < shape.input(axis)).then_some(at)
    };
    for n in 0..shape.batch {
        for o in 0..shape.out_channels {
            for y in 0..height {
                for x in 0..width {
                    let out = ((n * shape.out_channels + o) * height + y) * width + x;
                    for c in 0..shape.in_channels {
                        for ky in 0..kernel_height {
                            for kx in 0..kernel_width {
                                let (Some(iy), Some(ix)) = (place(0, y, ky), place(1, x, kx)) else {
                                    continue;
                                };
                                let input = ((n * shape.in_channels + c) * shape.in_height + iy)
                                    * shape.in_width
                                    + ix;
                                let weight =
                                    ((o * shape.in_channels + c) * kernel_height + ky) * kernel_width + kx;
                                each(input, weight, out);
                            }
                        }
                    }
                }
            }
        }
    }
}

/// A sum of n products in f32, in any order, is within n · 2⁻²⁴ of the sum of their sizes (first order); one more for
/// the start of the sum, and groups that are added up later.
fn assert_near(what: &str, shape: &ConvShape, found: &[f32], exact: &[(f64, f64, usize)]) {
    assert_eq!(found.len(), exact.len(), "{what} of {shape:?}");
    for (i, (found, (sum, sizes, terms))) in found.iter().zip(exact).enumerate() {
        let bound = (*terms as f64 + 2.0) * 2f64.powi(-24) * sizes;
        let off = (f64::from(*found) - sum).abs();
        assert!(
            off <= bound,
            "{what} {i} of {shape:?}: {found} instead of {sum}, off by {off}, bound {bound}"
        );
    }
}

fn check(shape: &ConvShape, processors: &[Processor]) {
    let [inputs, weights, outputs] = shape.sizes();
    let (x, weight) = (values(inputs, 1), values(weights, 2));
    let (bias, gradient) = (values(shape.out_channels, 3), values(outputs, 4));
    let plane = shape.output().iter().product::<usize>().max(1);
    let start = |i: usize| f64::from(bias[i / plane % shape.out_channels]);
    let mut result: Vec<_> = (0..outputs).map(|i| (start(i), start(i).abs(), 1)).collect();
    let (mut of_x, mut of_weight) = (vec![(0.0, 0.0, 0); inputs], vec![(0.0, 0.0, 0); weights]);
    products(shape, |input, w, out| {
        let add = |to: &mut (f64, f64, usize), a: f32, b: f32| {
            let product = f64::from(a) * f64::from(b);
            *to = (to.0 + product, to.1 + product.abs(), to.2 + 1);
        };
        add(&mut result[out], x[input], weight[w]);
        add(&mut of_x[input], gradient[out], weight[w]);
        add(&mut of_weight[w], x[input], gradient[out]);
    });
    for processor in processors {
        let found = forward_on(*processor, &[plain(&x, shape)], &weight, Some(&bias), shape);
        assert_near(&format!("{processor:?}: result"), shape, &found, &result);
        let found = backward_input_on(*processor, &gradient, &weight, shape);
        assert_near(&format!("{processor:?}: gradient of input"), shape, &found, &of_x);
        let found = backward_weight_on(*processor, &[plain(&x, shape)], &gradient, shape);
        assert_near(&format!("{processor:?}: gradient of weight"), shape, &found, &of_weight);
    }
}

fn square(batch: usize, channels: [usize; 2], size: [usize; 2], kernel: usize, stride: usize) -> ConvShape {
    ConvShape {
        batch,
        in_channels: channels[0],
        out_channels: channels[1],
        in_height: size[0],
        in_width: size[1],
        kernel: [kernel; 2],
        stride: [stride; 2],
        padding: [[kernel / 2; 2]; 2],
        dilation: [1; 2],
    }
}

/// The layers of the study's networks, with fewer channels and images.
fn layers() -> Vec<ConvShape> {
    let causal = |channels: usize, dilation: usize, size: [usize; 2]| ConvShape {
        kernel: [2, 3],
        padding: [[dilation, 0], [1, 1]],
        dilation: [dilation, 1],
        ..square(1, [channels, 8], size, 1, 1)
    };
    vec![
        square(2, [1, 10], [33, 47], 7, 2),
        square(3, [8, 20], [9, 19], 3, 1),
        square(3, [20, 40], [8, 10], 3, 2),
        square(5, [70, 90], [4, 10], 3, 1),
        square(2, [16, 66], [32, 79], 1, 1),
        square(9, [66, 16], [4, 10], 1, 1),
        square(2, [16, 34], [9, 13], 1, 2),
        causal(16, 1, [21, 17]),
        causal(24, 2, [21, 17]),
        causal(16, 8, [37, 17]),
        // More channels than fit beside each other into a core's cache: bands of few rows.
        causal(300, 4, [30, 101]),
    ]
}

#[test]
fn layers_of_the_networks_are_those_of_the_definition() {
    for shape in layers() {
        check(&shape, &processors());
    }
}

#[test]
fn shapes_of_every_kind_are_those_of_the_definition() {
    let processors = processors();
    let mut fitting = 0;
    for seed in 0..400 {
        let draws: Vec<usize> = values(24, seed + 100).iter().map(|v| ((v + 1.0) * 5e5) as usize).collect();
        let mut draws = draws.into_iter();
        let mut draw = |below: usize| draws.next().unwrap() % below;
        let shape = ConvShape {
            batch: 1 + draw(3),
            in_channels: 1 + draw(if seed % 4 == 0 { 40 } else { 5 }),
            out_channels: 1 + draw(if seed % 4 == 1 { 70 } else { 20 }),
            in_height: 1 + draw(12),
            in_width: 1 + draw(if seed % 3 == 0 { 40 } else { 9 }),
            kernel: [1 + draw(5), 1 + draw(5)],
            stride: [1 + draw(4), 1 + draw(4)],
            padding: [[draw(5), draw(5)], [draw(5), draw(5)]],
            dilation: [1 + draw(4), 1 + draw(3)],
        };
        fitting += usize::from(shape.output().iter().product::<usize>() > 0);
        check(&shape, &processors);
    }
    assert!(fitting > 200, "only {fitting} shapes have outputs");
}

#[test]
fn smallest_and_largest_are_those_of_the_definition() {
    let point = square(1, [1, 1], [1, 1], 1, 1);
    let shapes = [
        point,
        // A kernel larger than the image, all of it padding but one position.
        ConvShape { kernel: [5, 7], padding: [[4, 4], [6, 6]], ..point },
        // Strides past the whole image, and outputs that see nothing but padding.
        ConvShape { stride: [3, 5], padding: [[4, 9], [6, 8]], ..point },
        // Dilation past the image.
        ConvShape {
            kernel: [2, 2],
            dilation: [7, 9],
            padding: [[7, 7], [9, 9]],
            in_height: 3,
            in_width: 4,
            ..point
        },
        // More padding than the kernel reaches.
        ConvShape { kernel: [2, 2], padding: [[3, 5], [4, 2]], in_height: 3, in_width: 4, ..point },
        ConvShape { batch: 0, ..point },
        ConvShape { kernel: [3, 3], ..point },
    ];
    for shape in shapes {
        check(&shape, &processors());
    }
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
}

/// ⟨conv(x, w), g⟩ = ⟨x, gradient of x⟩ = ⟨w, gradient of w⟩ in the sizes of a real layer.
#[test]
fn gradients_are_adjoint() {
    for shape in [square(8, [64, 64], [32, 79], 3, 1), square(4, [64, 128], [32, 79], 3, 2)] {
        let [inputs, weights, outputs] = shape.sizes();
        let (x, weight, gradient) = (values(inputs, 5), values(weights, 6), values(outputs, 7));
        let forward = dot(&forward(&x, &weight, None, &shape), &gradient);
        let of_x = dot(&backward_input(&gradient, &weight, &shape), &x);
        let of_weight = dot(&backward_weight(&x, &gradient, &shape), &weight);
        // Each of `outputs` sums of ~600 terms of size 1/3 is off by some 600^½ · 600^½ · 2⁻²⁴ / 3, at random; a
        // transposition of one layer would show as a difference of the size of the product itself, ~10⁴.
        let bound = 200.0 * 2f64.powi(-24) * (outputs as f64).sqrt() * 10.0;
        assert!((forward - of_x).abs() < bound, "{forward} {of_x} {bound}");
        assert!((forward - of_weight).abs() < bound, "{forward} {of_weight} {bound}");
    }
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let mut shapes = layers();
    shapes.push(square(8, [64, 64], [32, 79], 3, 1));
    shapes.push(square(8, [64, 256], [32, 79], 1, 1));
    for shape in shapes {
        let [inputs, weights, outputs] = shape.sizes();
        let (x, weight, gradient) = (values(inputs, 8), values(weights, 9), values(outputs, 10));
        let on = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                [
                    forward(&x, &weight, None, &shape),
                    backward_input(&gradient, &weight, &shape),
                    backward_weight(&x, &gradient, &shape),
                ]
                .map(|values| values.into_iter().map(f32::to_bits).collect::<Vec<_>>())
            })
        };
        let one = on(1);
        assert!(one == on(2) && one == on(5), "{shape:?}");
    }
}

/// A value that is no number reaches every output that reads it, and no other.
#[test]
fn a_value_that_is_no_number_stays_where_it_belongs() {
    let shape = square(2, [3, 5], [6, 7], 3, 1);
    let [inputs, weights, outputs] = shape.sizes();
    let (mut x, weight) = (values(inputs, 11), values(weights, 12));
    let hit = 3 * 7 + 6;
    x[hit] = f32::NAN;
    let mut expected = vec![false; outputs];
    products(&shape, |input, _, out| expected[out] |= input == hit);
    for processor in processors() {
        let found = forward_on(processor, &[plain(&x, &shape)], &weight, None, &shape);
        assert_eq!(found.iter().map(|v| v.is_nan()).collect::<Vec<_>>(), expected, "{processor:?}");
    }
}

/// Maps that are read through a norm and a PReLU, one behind the other, are what they make of them, concatenated.
#[test]
fn stacked_maps_are_their_concatenation() {
    for shape in layers().into_iter().filter(|shape| shape.in_channels > 6) {
        let plane = shape.in_height * shape.in_width;
        let channels = [5, shape.in_channels - 5];
        let parts = channels.map(|channels| values(shape.batch * channels * plane, channels as u64));
        let numbers = |seed| values(shape.batch * channels[0], seed);
        let (mean, gain, bias, slope) = (numbers(20), numbers(21), values(5, 22), values(5, 23));
        let activation = Activation { mean: &mean, gain: &gain, bias: &bias, slope: &slope };
        let maps = [
            Maps { values: &parts[0], channels: channels[0], activation: Some(activation) },
            Maps { values: &parts[1], channels: channels[1], activation: None },
        ];
        let mut x = Vec::new();
        for image in 0..shape.batch {
            for (index, values) in parts[0].chunks(plane).enumerate().skip(image * 5).take(5) {
                x.extend(values.iter().map(|value| {
                    let norm = (value - mean[index]) * gain[index] + bias[index % 5];
                    if norm > 0.0 { norm } else { slope[index % 5] * norm }
                }));
            }
            let image_values = channels[1] * plane;
            x.extend_from_slice(&parts[1][image * image_values..][..image_values]);
        }
        let [_, weights, outputs] = shape.sizes();
        let (weight, gradient) = (values(weights, 24), values(outputs, 25));
        // A 1 × 1 kernel reads a plain source where it is, in other bands: every sum keeps its order all the same.
        assert_eq!(forward_of_maps(&maps, &weight, None, &shape), forward(&x, &weight, None, &shape));
        let found = backward_weight_of_maps(&maps, &gradient, &shape);
        for (found, plain) in found.iter().zip(backward_weight(&x, &gradient, &shape)) {
            // Groups of bands, and so the order of sums, may differ: `outputs` terms of size 1/3 at most.
            assert!((found - plain).abs() < 1e-6 * outputs as f32, "{found} {plain} {shape:?}");
        }
    }
}

/// Some channels of the gradient, written over what is there or added to it.
#[test]
fn some_channels_of_a_gradient_are_those_of_the_whole() {
    for shape in layers().into_iter().filter(|shape| shape.in_channels > 6) {
        let [_, weights, outputs] = shape.sizes();
        let (weight, gradient) = (values(weights, 26), values(outputs, 27));
        let whole = backward_input(&gradient, &weight, &shape);
        let plane = shape.in_height * shape.in_width;
        let some = |whole: &[f32]| -> Vec<f32> {
            whole
                .chunks(shape.in_channels * plane)
                .flat_map(|image| image[plane..6 * plane].to_vec())
                .collect()
        };
        let mut found = vec![f32::NAN; shape.batch * 5 * plane];
        backward_input_into(&gradient, &weight, &shape, 1..6, false, &mut found);
        assert_eq!(found, some(&whole), "{shape:?}");
        backward_input_into(&gradient, &weight, &shape, 1..6, true, &mut found);
        assert_eq!(found, some(&whole).iter().map(|value| value + value).collect::<Vec<_>>(), "{shape:?}");
    }
}

#[test]
fn the_gradient_at_the_bias_is_a_sum_over_images_and_positions() {
    let shape = ConvShape { out_channels: 3, ..square(2, [1, 3], [77, 91], 1, 1) };
    let plane = 77 * 91;
    // Far from 0, so that a plain sum in f32 would be off by much more.
    let gradient: Vec<f32> = values(2 * 3 * plane, 28).iter().map(|value| 1000.0 + value).collect();
    for (channel, found) in backward_bias(&gradient, &shape).iter().enumerate() {
        let planes = gradient.chunks(plane).skip(channel).step_by(3);
        let exact: f64 = planes.flatten().map(|value| f64::from(*value)).sum();
        // Lanes of 64 values: 64 · 2⁻²⁴ at worst, at random an eighth of it; the result's own rounding is 2⁻²⁴.
        assert!((f64::from(*found) / exact - 1.0).abs() < 1e-6, "{found} {exact}");
    }
}

#[test]
#[should_panic(expected = "values that do not fit")]
fn a_weight_of_another_size_is_refused() {
    let shape = square(1, [2, 3], [4, 4], 3, 1);
    forward(&[0.0; 32], &[0.0; 53], None, &shape);
}
