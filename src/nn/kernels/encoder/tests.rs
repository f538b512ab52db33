//! Against the definitions in f64, in shapes of every kind, on every set of instructions at hand.

use super::super::conv::lanes::Lanes;
use super::super::conv::products::{Work, run};
use super::super::rows::LayerNorm;
use super::super::testing::{normal as values, processors};
use super::attention::attention_on;
use super::gelu::gelu;
use super::linear::linear_on;
use super::position_conv::position_conv_on;
use super::*;

/// On one thread and on three: the bits must be the same.
fn on_threads<T: PartialEq + Send>(work: impl Fn() -> T + Sync) -> T {
    let [one, three] =
        [1, 3].map(|n| rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap().install(&work));
    assert!(one == three, "bits that depend on the number of threads");
    one
}

/// Differences at most `tolerance`, with a scale of 1.
fn assert_near(name: &str, found: &[f32], exact: &[f64], tolerance: f64) {
    assert_eq!(found.len(), exact.len(), "{name}");
    for (index, (found, exact)) in found.iter().zip(exact).enumerate() {
        let error = (f64::from(*found) - exact).abs();
        // Not `error > tolerance`, which a NaN passes.
        assert!(error <= tolerance, "{name}, value {index}: {found} {exact}");
    }
}

/// (1 + erf(v / √2)) / 2 by its series, or the continued fraction of its complement where that converges faster.
fn normal_cumulative(v: f64) -> f64 {
    let z = v.abs();
    let density = (-z * z / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
    let tail = if z < 3.0 {
        let (mut term, mut sum) = (z, z);
        for n in 1..200 {
            term *= z * z / f64::from(2 * n + 1);
            sum += term;
        }
        0.5 - density * sum
    } else {
        density / (1..200).rev().fold(z, |fraction, n| z + f64::from(n) / fraction)
    };
    if v < 0.0 { tail } else { 1.0 - tail }
}

fn exact_gelu(v: f64) -> f64 {
    v * normal_cumulative(v)
}

struct Gelus<'a>(&'a mut [f32]);

impl Work for Gelus<'_> {
    #[inline(always)]
    unsafe fn run<L: Lanes>(self) {
        self.0.iter_mut().for_each(|value| *value = gelu::<L>(*value));
    }
}

#[test]
fn the_gelu_is_that_of_the_definition() {
    for processor in processors() {
        let grid: Vec<f32> = (-140_000..=140_000).map(|i| i as f32 / 10_000.0).collect();
        let mut found = grid.clone();
        run(processor, Gelus(&mut found));
        for (v, found) in grid.iter().zip(&found) {
            let exact = exact_gelu(f64::from(*v));
            // The fit's own error is 3e-8; the rest is the rounding of the result.
            let tolerance = 4e-8 + f64::from(f32::EPSILON) * f64::from(v.abs());
            assert!((f64::from(*found) - exact).abs() <= tolerance, "{v}: {found} {exact}");
        }
        let mut ends = [-1e30_f32, -100.0, 100.0, 1e30, f32::NAN];
        run(processor, Gelus(&mut ends));
        assert_eq!(ends[..4], [0.0, 0.0, 100.0, 1e30]);
        assert!(ends[4].is_nan());
    }
}

#[test]
fn linear_layers_are_those_of_the_definition() {
    // Below, at and above whole tiles, vectors, parts and blocks of terms.
    for (rows, inputs, outputs) in
        [(1, 1, 1), (5, 3, 17), (24, 16, 16), (31, 257, 40), (50, 300, 200), (97, 64, 209), (1000, 40, 33)]
    {
        let (x, weight, bias) = (values(rows * inputs, 1), values(inputs * outputs, 2), values(outputs, 3));
        let exact: Vec<f64> = (0..rows * outputs)
            .map(|index| {
                let (row, column) = (index / outputs, index % outputs);
                let term =
                    |i: usize| f64::from(x[row * inputs + i]) * f64::from(weight[i * outputs + column]);
                f64::from(bias[column]) + (0..inputs).map(term).sum::<f64>()
            })
            .collect();
        let activated: Vec<f64> = exact.iter().map(|v| exact_gelu(*v)).collect();
        // Sums of n terms of order 1, each addition rounded by half of 2⁻²³ of a sum of order √n.
        let tolerance = 4.0 * f64::from(f32::EPSILON) * inputs as f64;
        for processor in processors() {
            let of = |activation| on_threads(|| linear_on(processor, &x, &weight, &bias, activation));
            assert_near("linear", &of(Activation::Identity), &exact, 1e-6 + tolerance);
            assert_near("linear with GELU", &of(Activation::Gelu), &activated, 1e-6 + 1.2 * tolerance);
        }
    }
}

#[test]
fn residual_norms_are_those_of_the_definition() {
    let (rows, channels, alpha, epsilon) = (70, 37, 1.7_f32, 1e-5_f32);
    let (x, y) = (values(rows * channels, 1), values(rows * channels, 2));
    let (weight, bias) = (values(channels, 3), values(channels, 4));
    let exact: Vec<f64> = (0..rows)
        .flat_map(|row| {
            let span = row * channels..(row + 1) * channels;
            let sum: Vec<f64> = (x[span.clone()].iter().zip(&y[span]))
                .map(|(x, y)| f64::from(alpha) * f64::from(*x) + f64::from(*y))
                .collect();
            let mean = sum.iter().sum::<f64>() / channels as f64;
            let variance = sum.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / channels as f64;
            let inverse = 1.0 / (variance + f64::from(epsilon)).sqrt();
            let scale = weight.iter().zip(&bias).map(|(weight, bias)| (f64::from(*weight), f64::from(*bias)));
            sum.into_iter()
                .zip(scale)
                .map(|(v, (weight, bias))| (v - mean) * inverse * weight + bias)
                .collect::<Vec<_>>()
        })
        .collect();
    let norm = LayerNorm { weight: &weight, bias: &bias, epsilon };
    // Values of up to 10, a few roundings each.
    assert_near("norm", &on_threads(|| residual_norm(&x, &y, alpha, norm)), &exact, 1e-5);
}

/// q, k and v side by side, and what the bias of positions needs.
struct Inputs {
    joined: Vec<f32>,
    table: Vec<f32>,
    weight: Vec<f32>,
    bias: Vec<f32>,
    gate: Vec<f32>,
}

/// Sequences, tokens, heads, width of a head.
type Sizes = [usize; 4];

impl Inputs {
    fn new([sequences, tokens, heads, width]: Sizes) -> Self {
        Self {
            joined: values(sequences * tokens * 3 * heads * width, 1),
            table: values(heads * (2 * tokens - 1), 2),
            weight: values(width * 8, 3),
            bias: values(8, 4),
            gate: values(heads, 5),
        }
    }

    fn position(&self) -> Position<'_> {
        Position { table: &self.table, weight: &self.weight, bias: &self.bias, gate: &self.gate }
    }

    fn columns(&self, [_, _, heads, width]: Sizes) -> [Columns<'_>; 3] {
        let all = Columns::all(&self.joined, 3 * heads * width);
        [0, 1, 2].map(|index| all.part(index * heads * width, heads * width))
    }
}

fn exact_attention(inputs: &Inputs, sizes: Sizes, position: bool, lengths: Option<&[usize]>) -> Vec<f64> {
    let [sequences, tokens, heads, width] = sizes;
    let columns = inputs.columns(sizes);
    let mut out = vec![0.0; sequences * tokens * heads * width];
    let at = |matrix: usize, row: usize, column: usize| f64::from(columns[matrix].row(row)[column]);
    for sequence in 0..sequences {
        let keys = lengths.map_or(tokens, |lengths| lengths[sequence]);
        for head in 0..heads {
            for i in 0..tokens {
                let row = sequence * tokens + i;
                let query: Vec<f64> = (0..width).map(|c| at(0, row, head * width + c)).collect();
                let gate = |part: usize| {
                    let output = |o: usize| {
                        let dot = |(c, q): (usize, &f64)| q * f64::from(inputs.weight[c * 8 + o]);
                        query.iter().enumerate().map(dot).sum::<f64>() + f64::from(inputs.bias[o])
                    };
                    1.0 / (1.0 + (-(4 * part..4 * part + 4).map(output).sum::<f64>()).exp())
                };
                let gate = gate(0) * (gate(1) * f64::from(inputs.gate[head]) - 1.0) + 2.0;
                let weights: Vec<f64> = (0..keys)
                    .map(|j| {
                        let key = |c: usize| at(1, sequence * tokens + j, head * width + c);
                        let dot: f64 = query.iter().enumerate().map(|(c, q)| q * key(c)).sum();
                        let bias = f64::from(inputs.table[head * (2 * tokens - 1) + j + tokens - 1 - i]);
                        (dot / (width as f64).sqrt() + if position { gate * bias } else { 0.0 }).exp()
                    })
                    .collect();
                let total: f64 = weights.iter().sum();
                for c in 0..width {
                    let term = |(j, w): (usize, &f64)| w * at(2, sequence * tokens + j, head * width + c);
                    out[row * heads * width + head * width + c] =
                        weights.iter().enumerate().map(term).sum::<f64>() / total;
                }
            }
        }
    }
    out
}

#[test]
fn attentions_are_those_of_the_definition() {
    // Below, at and above whole vectors of channels, tiles of keys and blocks of queries.
    for sizes in
        [[1, 1, 1, 1], [2, 7, 3, 12], [3, 24, 2, 16], [2, 49, 1, 33], [1, 101, 2, 64], [2, 150, 2, 32]]
    {
        let [sequences, tokens, ..] = sizes;
        let inputs = Inputs::new(sizes);
        let shorter: Vec<usize> =
            (0..sequences).map(|s| 1 + (tokens - 1) * (s + 1) / (sequences + 1)).collect();
        for (position, lengths) in [(false, None), (true, None), (true, Some(&shorter[..]))] {
            let exact = exact_attention(&inputs, sizes, position, lengths);
            for processor in processors() {
                let found = on_threads(|| {
                    let position = position.then(|| inputs.position());
                    let of = Attention { tokens, heads: sizes[2], lengths };
                    attention_on(processor, inputs.columns(sizes), position, of)
                });
                // Scores of up to 30, rounded to 2⁻²⁰, are exponents; values of order 1.
                assert_near(&format!("attention {sizes:?}"), &found, &exact, 1e-5);
            }
        }
    }
}

#[test]
fn position_convolutions_are_those_of_the_definition() {
    for [sequences, tokens, width, groups, kernel] in
        [[1, 1, 1, 1, 2], [2, 7, 3, 2, 4], [1, 24, 16, 2, 8], [2, 53, 20, 3, 128], [3, 100, 48, 1, 6]]
    {
        let channels = width * groups;
        let (x, weight) = (values(sequences * tokens * channels, 1), values(channels * width * kernel, 2));
        let bias = values(channels, 3);
        let exact: Vec<f64> = (0..x.len())
            .map(|index| {
                let (row, channel) = (index / channels, index % channels);
                let (sequence, token, group) = (row / tokens, row % tokens, channel / width);
                let mut sum = f64::from(bias[channel]);
                for c in 0..width {
                    for tap in 0..kernel {
                        let from = (token + tap).wrapping_sub(kernel / 2);
                        if from < tokens {
                            let x = x[(sequence * tokens + from) * channels + group * width + c];
                            sum += f64::from(x) * f64::from(weight[(channel * width + c) * kernel + tap]);
                        }
                    }
                }
                f64::from(x[index]) + exact_gelu(sum)
            })
            .collect();
        for processor in processors() {
            let conv = PositionConv { tokens, groups, kernel, weight: &weight, bias: &bias };
            let found = on_threads(|| position_conv_on(processor, &x, conv));
            // Sums of up to 2,560 terms of order 1: as many roundings of sums of order 50.
            assert_near(&format!("conv {tokens} {width}"), &found, &exact, 2e-4);
        }
    }
}

/// What a sequence gives alone, and as the third of four.
#[test]
fn the_bits_of_a_sequence_are_its_own() {
    let [tokens, heads, width, outputs] = [53, 2, 24, 70];
    let channels = 3 * heads * width;
    let x = values(4 * tokens * channels, 1);
    let third = &x[2 * tokens * channels..3 * tokens * channels];
    let same = |name: &str, of: &dyn Fn(&[f32], &[usize]) -> Vec<f32>| {
        let (alone, all) = (of(third, &[tokens - 9]), of(&x, &[4, tokens, tokens - 9, 1]));
        assert!(alone == all[2 * alone.len()..3 * alone.len()], "{name}");
    };
    let (weight, bias) = (values(channels * outputs, 2), values(outputs, 3));
    same("linear", &|x, _| linear(x, &weight, &bias, Activation::Gelu));
    let inputs = Inputs::new([1, tokens, heads, width]);
    same("attention", &|x, lengths| {
        let all = Columns::all(x, channels);
        let columns = [0, 1, 2].map(|index| all.part(index * heads * width, heads * width));
        let of = Attention { tokens, heads, lengths: Some(lengths) };
        attention(columns, Some(inputs.position()), of)
    });
    let (groups, kernel) = (4, 8);
    let (weight, bias) = (values(channels * channels / groups * kernel, 2), values(channels, 3));
    let conv = PositionConv { tokens, groups, kernel, weight: &weight, bias: &bias };
    same("convolution", &|x, _| position_conv(x, conv));
    let norm = LayerNorm { weight: &bias, bias: &bias, epsilon: 1e-5 };
    same("norm", &|x, _| residual_norm(x, x, 0.5, norm));
}
