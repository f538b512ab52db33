//! The CPU's kernels against Burn's operations, and that a sequence's bits are its own.

use burn::tensor::{Device, Tensor, TensorData};
use rand::RngExt;

use super::*;
use crate::rng;

/// Both round each sum in another order: a few units of the last place of values around 1, times the root of the terms.
const TOLERANCE: f32 = 2e-5;

fn random<const D: usize>(name: &str, shape: [usize; D]) -> Tensor<D> {
    let mut stream = rng::stream(5, name, 0);
    let values: Vec<f32> =
        (0..shape.iter().product::<usize>()).map(|_| 2.0 * stream.random::<f32>() - 1.0).collect();
    Tensor::from_data(TensorData::new(values, shape), &Device::flex())
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_into_vec().unwrap()
}

fn assert_near<const D: usize>(what: &str, found: Tensor<D>, expected: Tensor<D>) {
    assert_eq!(found.dims(), expected.dims(), "{what}");
    for (at, (found, expected)) in values(found).iter().zip(values(expected)).enumerate() {
        assert!((found - expected).abs() <= TOLERANCE, "{what}, {at}: {found}, not {expected}");
    }
}

/// A weight whose products are about as large as its input.
fn affine(name: &str, inputs: usize, outputs: usize) -> Affine {
    let weight = random(&format!("{name} weight"), [inputs, outputs]);
    (weight.div_scalar((inputs as f32).sqrt()), random(&format!("{name} bias"), [outputs]))
}

fn scale(name: &str, width: usize) -> Scale {
    (random(&format!("{name} weight"), [width]), random(&format!("{name} bias"), [width]))
}

#[test]
fn linear_layers_and_norms() {
    for (count, tokens, inputs, outputs) in
        [(1, 1, 1, 1), (2, 7, 48, 96), (3, 50, 65, 33), (1, 130, 256, 512)]
    {
        let of = Sequences { count, tokens };
        let what = format!("{of:?}, {inputs} to {outputs}");
        let (x, layer) = (random(&what, [of.rows(), inputs]), affine(&what, inputs, outputs));
        let expected = composed::linear(x.clone(), layer.clone(), Precision::F32);
        assert_near(&what, linear(x.clone(), layer.clone(), of, Precision::F32), expected);
        let expected = composed::linear_gelu(x.clone(), layer.clone(), Precision::F32);
        assert_near(&what, linear_gelu(x.clone(), layer, of, Precision::F32), expected);
        if inputs > 1 {
            let (y, norm) = (random("y", [of.rows(), inputs]), scale("norm", inputs));
            let expected = composed::layer_norm(x.clone().mul_scalar(1.7) + y.clone(), norm.clone(), 1e-5);
            assert_near(&what, residual_norm(x.clone(), y, 1.7, norm.clone(), 1e-5), expected);
            let expected = composed::layer_norm(x.clone(), norm.clone(), 1e-6);
            assert_near(&what, layer_norm(x, norm, 1e-6), expected);
        }
    }
}

fn position(heads: usize, width: usize, tokens: usize) -> GatedPosition {
    GatedPosition {
        table: random("table", [heads, 2 * tokens - 1]),
        linear: affine("gate", width, 8),
        gate: random("factors", [heads]),
    }
}

#[test]
fn attention_with_and_without_positions_and_missing_tokens() {
    for (count, tokens, heads, width) in [(1, 1, 1, 4), (2, 9, 4, 12), (3, 50, 3, 64), (1, 113, 2, 32)] {
        let of = Sequences { count, tokens };
        let channels = heads * width;
        let what = format!("{of:?}, {heads} heads of {width}");
        let all = random(&what, [of.rows(), 3 * channels]).mul_scalar(2.0);
        let parts = [0, 1, 2].map(|n| all.clone().narrow(1, n * channels, channels));
        let lengths: Vec<usize> = (0..count).map(|n| 1 + n * (tokens - 1) / count.max(2)).collect();
        for (gated, lengths) in [(false, None), (true, None), (true, Some(lengths.as_slice()))] {
            let gate = || gated.then(|| position(heads, width, tokens));
            let expected = composed::attention(parts.to_vec(), heads, of, gate(), lengths, Precision::F32);
            let joined = attention(Heads::Joined(all.clone()), heads, of, gate(), lengths, Precision::F32);
            let [q, k, v] = parts.clone();
            let separate = Heads::Separate { q, k, v };
            let separate = attention(separate, heads, of, gate(), lengths, Precision::F32);
            assert_eq!(values(joined.clone()), values(separate), "{what}: one matrix or three");
            for n in 0..count {
                // Tokens that do not exist may hold anything.
                let there = lengths.map_or(tokens, |lengths| lengths[n]);
                let own = |x: &Tensor<2>| x.clone().narrow(0, n * tokens, there);
                assert_near(&format!("{what}, {gated}, {lengths:?}"), own(&joined), own(&expected));
            }
        }
    }
}

#[test]
fn convolutions_over_positions() {
    for (count, tokens, width, groups, taps) in [(1, 1, 4, 2, 2), (2, 9, 48, 16, 128), (1, 60, 96, 2, 8)] {
        let of = Sequences { count, tokens };
        let x = random("x", [of.rows(), width]);
        let weight = random::<3>("weight", [width, width / groups, taps]);
        let weight = weight.div_scalar(((width / groups * taps) as f32).sqrt());
        let bias = random("bias", [width]);
        let expected =
            composed::position_conv(x.clone(), weight.clone(), bias.clone(), groups, of, Precision::F32);
        let found = position_conv(x, weight, bias, groups, of, Precision::F32);
        assert_near(&format!("{of:?}, {width} in {groups}, {taps} taps"), found, expected);
    }
}

#[test]
fn a_batch_in_parts_is_the_batch() {
    let (of, number) = (Sequences { count: 3, tokens: 21 }, 2);
    let joined = random("joined", [of.rows(), 3 * 10]);
    let lengths = [21, 3, 8];
    let at_once = |at_once: usize| {
        in_parts(&[joined.clone()], of, at_once, |rows, first, of| {
            let lengths = &lengths[first..first + of.count];
            composed::attention(rows, number, of, None, Some(lengths), Precision::F32)
        })
    };
    assert_near("parts", at_once(2), at_once(3));
}

/// A clip's feature must not hang on the clips beside it.
#[test]
fn a_sequence_has_the_same_bits_in_any_batch() {
    let (tokens, heads, width) = (50, 3, 16);
    let channels = heads * width;
    let run = |x: Tensor<2>| {
        let of = Sequences { count: x.dims()[0] / tokens, tokens };
        let weight = random::<3>("conv", [channels, channels / 4, 6]).div_scalar(9.0);
        let x = position_conv(x, weight, random("conv bias", [channels]), 4, of, Precision::F32);
        let all = linear(x.clone(), affine("qkv", channels, 3 * channels), of, Precision::F32);
        let gate = Some(position(heads, width, tokens));
        let y = attention(Heads::Joined(all), heads, of, gate, None, Precision::F32);
        let x = residual_norm(x, y, 1.3, scale("norm", channels), 1e-5);
        values(linear_gelu(x, affine("up", channels, 100), of, Precision::F32))
    };
    let clips = random("clips", [4 * tokens, channels]);
    let together = run(clips.clone());
    let size = together.len() / 4;
    for n in 0..4 {
        let alone = run(clips.clone().narrow(0, n * tokens, tokens));
        assert_eq!(alone, together[n * size..(n + 1) * size], "clip {n}");
    }
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    assert_eq!(pool.install(|| run(clips)), together, "on one thread");
}
