//! Against the definition in f64: the concatenation, the padding, every layer.

use super::*;

/// Values in [-1, 1] that repeat only after more of them than any test uses.
fn values(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut draw = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..count).map(|_| draw()).collect()
}

/// Weight, bias, norm weight, norm bias and slope of each layer.
type Learnt<T> = Vec<[Vec<T>; 5]>;

fn learnt(shape: &BlockShape, depth: usize) -> Learnt<f32> {
    let channels = shape.channels;
    let taps = shape.kernel[0] * shape.kernel[1];
    let layer = |index: usize| {
        let sizes = [(index + 1) * channels * channels * taps, channels, channels, channels, channels];
        let mut seed = 10 * index as u64 + 20;
        sizes.map(|size| {
            seed += 1;
            values(size, seed)
        })
    };
    (0..depth).map(layer).collect()
}

fn layers(learnt: &Learnt<f32>) -> Vec<Layer<'_>> {
    let lists = learnt.iter();
    lists
        .map(|[weight, bias, norm_weight, norm_bias, slope]| Layer {
            weight,
            bias,
            norm_weight,
            norm_bias,
            slope,
        })
        .collect()
}

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|value| f64::from(*value)).collect()
}

/// The block as its definition has it.
fn exact(x: &[f64], learnt: &Learnt<f64>, shape: &BlockShape) -> Vec<f64> {
    let BlockShape { batch, channels, height, width, kernel: [rows, columns], epsilon } = *shape;
    let (plane, taps) = (height * width, rows * columns);
    let mut result = Vec::new();
    for x in x.chunks(channels * plane) {
        // Newest first.
        let mut seen = x.to_vec();
        for (index, [weight, bias, norm_weight, norm_bias, slope]) in learnt.iter().enumerate() {
            let (inputs, dilation) = ((index + 1) * channels, 1 << index);
            let mut maps = Vec::new();
            for o in 0..channels {
                let mut map = vec![bias[o]; plane];
                for (place, sum) in map.iter_mut().enumerate() {
                    let (row, column) = (place / width, place % width);
                    for (tap, c) in (0..taps).flat_map(|tap| (0..inputs).map(move |c| (tap, c))) {
                        let above = (rows - 1 - tap / columns) * dilation;
                        let at = (column + tap % columns).checked_sub(columns / 2);
                        let at = at.filter(|at| *at < width).zip(row.checked_sub(above));
                        let Some((column, row)) = at else { continue };
                        let weight = weight[(o * inputs + c) * taps + tap];
                        *sum += weight * seen[c * plane + row * width + column];
                    }
                }
                let mean = map.iter().sum::<f64>() / plane as f64;
                let variance = map.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / plane as f64;
                let gain = norm_weight[o] / (variance + f64::from(epsilon)).sqrt();
                let norms = map.iter().map(|v| (v - mean) * gain + norm_bias[o]);
                maps.extend(norms.map(|norm| if norm > 0.0 { norm } else { slope[o] * norm }));
            }
            maps.append(&mut seen);
            seen = maps;
        }
        result.extend_from_slice(&seen[..channels * plane]);
    }
    assert_eq!(result.len(), batch * channels * plane);
    result
}

fn shapes() -> Vec<(BlockShape, usize)> {
    let shape = |batch, channels, height, width, kernel| BlockShape {
        batch,
        channels,
        height,
        width,
        kernel,
        epsilon: 1e-3,
    };
    vec![
        (shape(2, 3, 7, 5, [2, 3]), 4),
        (shape(1, 5, 11, 9, [2, 3]), 4),
        // Heights below the dilation, widths below the kernel's.
        (shape(2, 3, 3, 2, [2, 3]), 4),
        (shape(1, 2, 5, 1, [2, 3]), 3),
        (shape(2, 2, 6, 4, [1, 1]), 2),
        (shape(1, 2, 9, 6, [3, 5]), 3),
        (shape(2, 17, 6, 19, [2, 3]), 2),
        (shape(1, 3, 4, 4, [2, 1]), 1),
    ]
}

struct Found {
    output: Vec<f32>,
    of_x: Vec<f32>,
    layers: Vec<LayerGradients>,
}

fn found(x: &[f32], learnt: &Learnt<f32>, gradient: &[f32], shape: &BlockShape) -> Found {
    let layers = layers(learnt);
    let (output, mut saved) = dense_block(x, &layers, shape);
    let mut of_x = gradient.to_vec();
    let layers = dense_block_backward(x, &layers, held(&mut saved), &mut of_x, shape, true);
    Found { output, of_x, layers }
}

fn held(saved: &mut [SavedLayer]) -> Vec<Held<'_>> {
    let each = saved.iter_mut();
    each.map(|SavedLayer { maps, mean, inverse }| Held { maps, mean, inverse }).collect()
}

#[test]
fn result_and_gradients_are_those_of_the_definition() {
    for (shape, depth) in shapes() {
        let (x, gradient) = (values(shape.values(), 1), values(shape.values(), 2));
        let learnt = learnt(&shape, depth);
        let found = found(&x, &learnt, &gradient, &shape);
        let wide_learnt: Learnt<f64> =
            learnt.iter().map(|lists| lists.each_ref().map(|list| wide(list))).collect();
        let result = exact(&wide(&x), &wide_learnt, &shape);
        for (found, exact) in found.output.iter().zip(&result) {
            // Sums of at most 306 products of size 1/3, through up to 4 norms that make their errors of 1e-7 larger by
            // at most 1 / sqrt(epsilon) = 32 together with their values.
            assert!((f64::from(*found) - exact).abs() < 2e-5, "{found} instead of {exact} in {shape:?}");
        }
        assert_eq!(dense_block_inference(&x, &layers(&learnt), &shape), found.output);

        let loss = |x: &[f64], learnt: &Learnt<f64>| {
            exact(x, learnt, &shape).iter().zip(&gradient).map(|(y, g)| y * f64::from(*g)).sum::<f64>()
        };
        let near = |what: &str, found: f32, of: &dyn Fn(f64) -> f64| {
            let step = 1e-6;
            let difference = (of(step) - of(-step)) / (2.0 * step);
            // Sums of up to ~1,000 terms of size 1 in f32 behind gains of up to 32; a wrong layer is off by its own size.
            let bound = 1e-3 * difference.abs().max(1.0);
            let off = (f64::from(found) - difference).abs();
            assert!(off < bound, "{what}: {found} instead of {difference} in {shape:?}");
        };
        for i in (0..x.len()).step_by(x.len().div_ceil(30)) {
            near("input", found.of_x[i], &|step| {
                let mut x = wide(&x);
                x[i] += step;
                loss(&x, &wide_learnt)
            });
        }
        for (index, gradients) in found.layers.iter().enumerate() {
            let LayerGradients { weight, bias, norm_weight, norm_bias, slope } = gradients;
            for (which, list) in [weight, bias, norm_weight, norm_bias, slope].into_iter().enumerate() {
                assert_eq!(list.len(), learnt[index][which].len());
                for i in (0..list.len()).step_by(list.len().div_ceil(12)) {
                    near(&format!("layer {index}, {which}, {i}"), list[i], &|step| {
                        let mut learnt = wide_learnt.clone();
                        learnt[index][which][i] += step;
                        loss(&wide(&x), &learnt)
                    });
                }
            }
        }
    }
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let shape = BlockShape { batch: 2, channels: 20, height: 45, width: 67, kernel: [2, 3], epsilon: 1e-5 };
    let (x, gradient, learnt) = (values(shape.values(), 3), values(shape.values(), 4), learnt(&shape, 4));
    let on = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| found(&x, &learnt, &gradient, &shape))
    };
    let (one, three) = (on(1), on(3));
    assert!(one.output == three.output && one.of_x == three.of_x && one.layers == three.layers);
}

/// No row sees a later one but through the norm: with statistics held, which they are where nothing changes, the maps of
/// the first layer before a change stay as they are.
#[test]
fn convolutions_are_causal() {
    let shape = BlockShape { batch: 1, channels: 3, height: 9, width: 5, kernel: [2, 3], epsilon: 1e-5 };
    let (x, learnt) = (values(shape.values(), 5), learnt(&shape, 1));
    let mut changed = x.clone();
    let (row, plane) = (4, 9 * 5);
    (0..3).for_each(|c| changed[c * plane + row * 5..(c + 1) * plane].fill(7.0));
    let maps = |x: &[f32]| dense_block(x, &layers(&learnt), &shape).1.swap_remove(0).maps;
    for (before, after) in maps(&x).chunks(plane).zip(maps(&changed).chunks(plane)) {
        assert_eq!(before[..row * 5], after[..row * 5]);
        assert_ne!(before[row * 5..], after[row * 5..]);
    }
}

#[test]
#[should_panic(expected = "layer 2 of a dense block with weights of another size")]
fn weights_of_another_size_are_refused() {
    let shape = BlockShape { batch: 1, channels: 2, height: 3, width: 3, kernel: [2, 3], epsilon: 1e-5 };
    let mut learnt = learnt(&shape, 2);
    learnt[1][0].pop();
    dense_block(&[0.0; 18], &layers(&learnt), &shape);
}
