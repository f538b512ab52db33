//! Every step against its definition in f64, its gradients against differences of that.

use super::dropout::Mask;
use super::*;

const EPSILON: f32 = 1e-5;
/// Rows below, at and above a block's, as odd as they come.
const ROWS: [usize; 3] = [1, 3, 150];
const CHANNELS: [usize; 4] = [1, 3, 8, 64];

/// Values in -1..1 without a pattern.
fn values(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

/// Weights of a linear layer from `inputs`, as large as trained ones are.
fn weights(inputs: usize, outputs: usize, seed: u64) -> Vec<f32> {
    let scale = 1.5 / (inputs as f32).sqrt();
    values(inputs * outputs, seed).iter().map(|value| value * scale).collect()
}

fn sigmoid(v: f64) -> f64 {
    1.0 / (1.0 + (-v).exp())
}

fn swish(x: &[f64]) -> Vec<f64> {
    x.iter().map(|v| v * sigmoid(*v)).collect()
}

fn deviations(x: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
    let count = x.clone().count() as f64;
    let mean = x.clone().sum::<f64>() / count;
    (mean, (x.map(|v| (v - mean).powi(2)).sum::<f64>() / count + f64::from(EPSILON)).sqrt())
}

fn row_norm(x: &[f64], weight: &[f64], bias: &[f64]) -> Vec<f64> {
    x.chunks(weight.len())
        .flat_map(|row| {
            let (mean, deviation) = deviations(row.iter().copied());
            let terms = row.iter().zip(weight).zip(bias);
            terms.map(move |((v, weight), bias)| (v - mean) / deviation * weight + bias)
        })
        .collect()
}

fn column_norm(x: &[f64], weight: &[f64], bias: &[f64]) -> Vec<f64> {
    let channels = weight.len();
    let statistics: Vec<_> =
        (0..channels).map(|c| deviations(x.iter().skip(c).step_by(channels).copied())).collect();
    let value = |(i, v): (usize, &f64)| {
        let c = i % channels;
        (v - statistics[c].0) / statistics[c].1 * weight[c] + bias[c]
    };
    x.iter().enumerate().map(value).collect()
}

fn linear(x: &[f64], weight: &[f64], bias: Option<&[f64]>, outputs: usize) -> Vec<f64> {
    x.chunks(weight.len() / outputs)
        .flat_map(|row| {
            let mut sums = bias.map_or(vec![0.0; outputs], <[f64]>::to_vec);
            for (value, weights) in row.iter().zip(weight.chunks(outputs)) {
                sums.iter_mut().zip(weights).for_each(|(sum, weight)| *sum += value * weight);
            }
            sums
        })
        .collect()
}

/// The mask is taken from the code that is tested; that it is a good one is tested elsewhere.
fn masked(x: &[f64], width: usize, dropout: Option<Dropout>, layer: u64, factor: f64) -> Vec<f64> {
    let Some(dropout) = dropout else { return x.iter().map(|v| v * factor).collect() };
    let mask = Mask::new(dropout, layer, 1.0);
    let value = |(i, v): (usize, &f64)| {
        let kept = mask.row(i / width).factor(i % width) != 0.0;
        if kept { v * factor / (1.0 - f64::from(dropout.probability)) } else { 0.0 }
    };
    x.iter().enumerate().map(value).collect()
}

fn sum(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a + b).collect()
}

fn near(found: &[f32], exact: &[f64], places: &[usize], what: &str) {
    // Sums of up to 256 products of size 1 in f32, behind a norm that makes errors of small rows some ten times larger.
    let scale = exact.iter().fold(1.0_f64, |most, value| most.max(value.abs()));
    for (place, exact) in places.iter().zip(exact) {
        let found = f64::from(found[*place]);
        assert!((found - exact).abs() <= 3e-5 * scale, "{what} [{place}]: {found} {exact} of {scale}");
    }
}

/// A step as the tests see it: from inputs (x, then what else has a gradient) to its output.
type Definition<'a> = &'a dyn Fn(&[Vec<f64>]) -> Vec<f64>;

/// `gradients` of Σ output · `of_output` at some places of each input, as the definition's central differences say.
fn check(
    what: &str,
    inputs: &[&[f32]],
    definition: Definition<'_>,
    output: &[f32],
    of_output: &[f32],
    gradients: &[Vec<f32>],
) {
    let mut exact: Vec<Vec<f64>> =
        inputs.iter().map(|list| list.iter().map(|value| f64::from(*value)).collect()).collect();
    let expected = definition(&exact);
    assert_eq!(output.len(), expected.len(), "{what}");
    near(output, &expected, &(0..output.len()).collect::<Vec<_>>(), what);
    let loss = |inputs: &[Vec<f64>]| -> f64 {
        definition(inputs).iter().zip(of_output).map(|(value, weight)| value * f64::from(*weight)).sum()
    };
    assert_eq!(gradients.len(), inputs.len(), "{what}");
    for (index, gradient) in gradients.iter().enumerate() {
        let count = inputs[index].len();
        assert_eq!(gradient.len(), count, "{what}: input {index}");
        // The first, the last and some in between.
        let places: Vec<usize> =
            (0..count.min(12)).map(|i| i * (count - 1) / (count.min(12) - 1).max(1)).collect();
        let differences: Vec<f64> = places
            .iter()
            .map(|place| {
                let value = exact[index][*place];
                let mut at = |shifted: f64| {
                    exact[index][*place] = shifted;
                    loss(&exact)
                };
                let difference = (at(value + 1e-5) - at(value - 1e-5)) / 2e-5;
                exact[index][*place] = value;
                difference
            })
            .collect();
        near(gradient, &differences, &places, &format!("{what}, gradient at input {index}"));
    }
}

fn all(of_x: Vec<f32>, of_parameters: impl IntoIterator<Item = Vec<f32>>) -> Vec<Vec<f32>> {
    std::iter::once(of_x).chain(of_parameters).collect()
}

fn for_sizes(test: impl Fn(usize, usize, Option<Dropout>)) {
    for rows in ROWS {
        for channels in CHANNELS {
            test(rows, channels, None);
            test(rows, channels, Some(Dropout { seed: 7 + rows as u64, probability: 0.3 }));
        }
    }
}

#[test]
fn layer_norm_is_that_of_the_definition() {
    for_sizes(|rows, channels, _| {
        let (x, weight, bias) = (values(rows * channels, 1), values(channels, 2), values(channels, 3));
        let of_output = values(rows * channels, 4);
        let norm = LayerNorm { weight: &weight, bias: &bias, epsilon: EPSILON };
        let (of_x, of_parameters) = layer_norm_backward(&x, norm, &of_output);
        let definition = |inputs: &[Vec<f64>]| row_norm(&inputs[0], &inputs[1], &inputs[2]);
        let output = layer_norm(&x, norm);
        let gradients = all(of_x, of_parameters);
        check("layer norm", &[&x, &weight, &bias], &definition, &output, &of_output, &gradients);
    });
}

#[test]
fn feed_forward_is_that_of_the_definition() {
    for_sizes(|rows, channels, dropout| {
        let hidden = 4 * channels - 1;
        let x = values(rows * channels, 1);
        let parameters = [
            values(channels, 2),
            values(channels, 3),
            weights(channels, hidden, 4),
            values(hidden, 5),
            weights(hidden, channels, 6),
            values(channels, 7),
        ];
        let [norm_weight, norm_bias, up_weight, up_bias, down_weight, down_bias] = &parameters;
        let of_output = values(rows * channels, 8);
        let step = FeedForward {
            norm: LayerNorm { weight: norm_weight, bias: norm_bias, epsilon: EPSILON },
            up: Linear { weight: up_weight, bias: up_bias },
            down: Linear { weight: down_weight, bias: down_bias },
        };
        let definition = |inputs: &[Vec<f64>]| {
            let [x, norm_weight, norm_bias, up, up_bias, down, down_bias] = inputs else { unreachable!() };
            let middle = swish(&linear(&row_norm(x, norm_weight, norm_bias), up, Some(up_bias), hidden));
            let end = linear(&masked(&middle, hidden, dropout, 1, 1.0), down, Some(down_bias), channels);
            sum(x, &masked(&end, channels, dropout, 2, 0.5))
        };
        let output = feed_forward(&x, step, 0.5, dropout);
        let (of_x, of_parameters) = feed_forward_backward(&x, step, 0.5, dropout, &of_output);
        let inputs: Vec<&[f32]> =
            std::iter::once(x.as_slice()).chain(parameters.iter().map(Vec::as_slice)).collect();
        let gradients = all(of_x, of_parameters);
        check("feed-forward", &inputs, &definition, &output, &of_output, &gradients);
    });
}

#[test]
fn gated_and_normed_linear_are_those_of_the_definition() {
    for_sizes(|rows, channels, _| {
        let outputs = 3 * channels;
        let (x, norm_weight, norm_bias) =
            (values(rows * channels, 1), values(channels, 2), values(channels, 3));
        let (weight, bias) = (weights(channels, 2 * outputs, 4), values(2 * outputs, 5));
        let of_output = values(rows * 2 * outputs, 6);
        let norm = LayerNorm { weight: &norm_weight, bias: &norm_bias, epsilon: EPSILON };

        let definition = |inputs: &[Vec<f64>]| {
            linear(&row_norm(&inputs[0], &inputs[1], &inputs[2]), &inputs[3], None, 2 * outputs)
        };
        let output = normed_linear(&x, norm, &weight);
        let (of_x, of_parameters) = normed_linear_backward(&x, norm, &weight, &of_output);
        let inputs: [&[f32]; 4] = [&x, &norm_weight, &norm_bias, &weight];
        check("normed linear", &inputs, &definition, &output, &of_output, &all(of_x, of_parameters));

        let of_output = &of_output[..rows * outputs];
        let definition = |inputs: &[Vec<f64>]| {
            let input = row_norm(&inputs[0], &inputs[1], &inputs[2]);
            let both = linear(&input, &inputs[3], Some(&inputs[4]), 2 * outputs);
            let halves = both.chunks(2 * outputs).map(|row| row.split_at(outputs));
            halves
                .flat_map(|(values, gates)| values.iter().zip(gates).map(|(v, gate)| v * sigmoid(*gate)))
                .collect()
        };
        let linear = Linear { weight: &weight, bias: &bias };
        let output = gated(&x, norm, linear);
        let (of_x, of_parameters) = gated_backward(&x, norm, linear, of_output);
        let inputs: [&[f32]; 5] = [&x, &norm_weight, &norm_bias, &weight, &bias];
        check("gated", &inputs, &definition, &output, of_output, &all(of_x, of_parameters));
    });
}

#[test]
fn norm_swish_linear_is_that_of_the_definition() {
    for_sizes(|rows, channels, _| {
        let outputs = channels.div_ceil(2);
        let (x, norm_weight, norm_bias) =
            (values(rows * channels, 1), values(channels, 2), values(channels, 3));
        let (weight, bias) = (weights(channels, outputs, 4), values(outputs, 5));
        let (residual, of_output) = (values(rows * outputs, 6), values(rows * outputs, 7));
        let (mean, variance) = batch_statistics(&x, channels);
        let norm = BatchNorm {
            weight: &norm_weight,
            bias: &norm_bias,
            mean: &mean,
            variance: &variance,
            epsilon: EPSILON,
        };
        let definition = |inputs: &[Vec<f64>]| {
            let [x, norm_weight, norm_bias, weight, bias, residual] = inputs else { unreachable!() };
            let end = linear(&swish(&column_norm(x, norm_weight, norm_bias)), weight, Some(bias), outputs);
            sum(residual, &end)
        };
        let layer = Linear { weight: &weight, bias: &bias };
        let output = norm_swish_linear(&x, norm, layer, &residual);
        let (of_x, of_parameters) = norm_swish_linear_backward(&x, norm, layer, &of_output);
        let inputs: [&[f32]; 6] = [&x, &norm_weight, &norm_bias, &weight, &bias, &residual];
        let mut gradients = all(of_x, of_parameters);
        gradients.push(of_output.clone());
        check("norm, swish, linear", &inputs, &definition, &output, &of_output, &gradients);
    });
}

#[test]
fn linear_dropout_residual_is_that_of_the_definition() {
    for_sizes(|rows, channels, dropout| {
        let inputs = 2 * channels + 1;
        let (x, weight, bias) = (values(rows * inputs, 1), weights(inputs, channels, 2), values(channels, 3));
        let (residual, of_output) = (values(rows * channels, 4), values(rows * channels, 5));
        let definition = |inputs: &[Vec<f64>]| {
            let end = linear(&inputs[0], &inputs[1], Some(&inputs[2]), channels);
            sum(&inputs[3], &masked(&end, channels, dropout, 0, 1.0))
        };
        let layer = Linear { weight: &weight, bias: &bias };
        let output = linear_dropout_residual(&x, layer, &residual, dropout);
        let (of_x, of_parameters) = linear_dropout_residual_backward(&x, layer, dropout, &of_output);
        let mut gradients = all(of_x, of_parameters);
        gradients.push(of_output.clone());
        let inputs: [&[f32]; 4] = [&x, &weight, &bias, &residual];
        check("linear, dropout, residual", &inputs, &definition, &output, &of_output, &gradients);
    });
}

#[test]
fn given_statistics_are_used_as_they_are() {
    let (rows, channels) = (150, 3);
    let x = values(rows * channels, 1);
    let one = [1.0; 3];
    let norm =
        BatchNorm { weight: &one, bias: &[0.0; 3], mean: &[0.5; 3], variance: &[3.99; 3], epsilon: 0.01 };
    let identity = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0];
    let linear = Linear { weight: &identity, bias: &[0.0; 3] };
    let output = norm_swish_linear(&x, norm, linear, &vec![0.0; x.len()]);
    for (output, x) in output.iter().zip(&x) {
        let value = (f64::from(*x) - 0.5) / 2.0;
        // A few roundings of values below 1.
        assert!((f64::from(*output) - value * sigmoid(value)).abs() < 1e-6);
    }
}

/// The bits that a list of results consists of.
fn bits(lists: &[Vec<f32>]) -> Vec<u32> {
    lists.iter().flatten().map(|value| value.to_bits()).collect()
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    // Thirteen ranges, the last one short.
    let (rows, channels, hidden) = (1500, 24, 96);
    let x = values(rows * channels, 1);
    let (norm_weight, small) = (values(channels, 2), values(channels, 3));
    let (up, up_bias, down) = (weights(channels, hidden, 4), values(hidden, 5), weights(hidden, channels, 6));
    let gradient = values(rows * hidden, 7);
    let (narrow, half) = (&gradient[..rows * channels], &gradient[..rows * hidden / 2]);
    let dropout = Some(Dropout { seed: 3, probability: 0.2 });
    let norm = LayerNorm { weight: &norm_weight, bias: &small, epsilon: EPSILON };
    let (up, down) = (Linear { weight: &up, bias: &up_bias }, Linear { weight: &down, bias: &small });
    let step = FeedForward { norm, up, down };
    let on = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let lists = pool.install(|| {
            let (mean, variance) = batch_statistics(&gradient, hidden);
            let batch = BatchNorm {
                weight: &up_bias,
                bias: &up_bias,
                mean: &mean,
                variance: &variance,
                epsilon: EPSILON,
            };
            let mut lists =
                vec![layer_norm(&x, norm), feed_forward(&x, step, 0.5, dropout), gated(&x, norm, up)];
            lists.push(normed_linear(&x, norm, up.weight));
            lists.push(norm_swish_linear(&gradient, batch, down, &x));
            lists.push(linear_dropout_residual(&x, up, &gradient, dropout));
            let (of_x, rest) = layer_norm_backward(&x, norm, narrow);
            lists.extend(all(of_x, rest));
            let (of_x, rest) = feed_forward_backward(&x, step, 0.5, dropout, narrow);
            lists.extend(all(of_x, rest));
            let (of_x, rest) = gated_backward(&x, norm, up, half);
            lists.extend(all(of_x, rest));
            let (of_x, rest) = normed_linear_backward(&x, norm, up.weight, &gradient);
            lists.extend(all(of_x, rest));
            let (of_x, rest) = norm_swish_linear_backward(&gradient, batch, down, narrow);
            lists.extend(all(of_x, rest));
            let (of_x, rest) = linear_dropout_residual_backward(&x, up, dropout, &gradient);
            lists.extend(all(of_x, rest));
            lists.extend([mean.clone(), variance.clone()]);
            lists
        });
        bits(&lists)
    };
    assert!(on(1) == on(3));
}

#[test]
fn no_rows_are_no_error() {
    let norm = LayerNorm { weight: &[1.0; 4], bias: &[0.0; 4], epsilon: EPSILON };
    let linear = Linear { weight: &[1.0; 8], bias: &[0.0; 2] };
    assert!(layer_norm(&[], norm).is_empty() && gated(&[], norm, linear).is_empty());
    let (of_x, of_parameters) = gated_backward(&[], norm, linear, &[]);
    assert!(of_x.is_empty() && of_parameters.iter().flatten().all(|value| *value == 0.0));
}

#[test]
fn a_value_that_is_no_number_stays_visible() {
    let mut x = values(150 * 4, 1);
    x[7] = f32::NAN;
    let norm = LayerNorm { weight: &[1.0; 4], bias: &[0.0; 4], epsilon: EPSILON };
    let dropout = Dropout { seed: 5, probability: 0.5 };
    let weight = weights(4, 4, 2);
    let linear = Linear { weight: &weight, bias: &[0.0; 4] };
    let step = FeedForward { norm, up: linear, down: linear };
    let nan_rows = |values: &[f32]| -> Vec<usize> {
        (0..values.len()).filter(|i| values[*i].is_nan()).map(|i| i / 4).collect()
    };
    assert_eq!(nan_rows(&feed_forward(&x, step, 0.5, Some(dropout))), [1; 4]);
    assert_eq!(nan_rows(&linear_dropout_residual(&x, linear, &[0.0; 600], Some(dropout))), [1; 4]);
}
