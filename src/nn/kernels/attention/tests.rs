//! Against the definition in f64, in shapes of every kind, on every set of instructions at hand.

use super::super::testing::{normal as values, processors};
use super::*;

fn shape(batch: usize, length: usize, heads: usize, width: usize, reach: usize) -> AttentionShape {
    AttentionShape { batch, length, heads, width, reach }
}

/// Lengths below, at and above whole blocks, widths below, at and above whole vectors, reaches shorter and longer.
fn shapes() -> Vec<AttentionShape> {
    vec![
        shape(1, 1, 1, 1, 3),
        shape(2, 2, 3, 5, 0),
        shape(3, 7, 1, 17, 6),
        shape(2, 16, 3, 16, 6),
        shape(2, 17, 2, 3, 512),
        shape(33, 20, 1, 2, 6),
        shape(2, 45, 4, 16, 64),
        shape(1, 70, 2, 33, 30),
        shape(1, 101, 2, 32, 512),
        shape(1, 321, 1, 16, 512),
    ]
}

struct Inputs {
    q: Vec<f32>,
    kv: Vec<f32>,
    table: Vec<f32>,
    gradient: Vec<f32>,
}

impl Inputs {
    fn new(shape: &AttentionShape) -> Self {
        let count = shape.batch * shape.element();
        Self {
            q: values(count, 1),
            kv: values(2 * count, 2),
            table: values((2 * shape.reach + 1) * shape.width, 3),
            gradient: values(count, 4),
        }
    }

    fn forward(&self, processor: Processor, shape: &AttentionShape) -> Vec<f32> {
        attention_on(processor, &self.q, &self.kv, &self.table, shape)
    }

    fn backward(&self, processor: Processor, shape: &AttentionShape) -> [Vec<f32>; 3] {
        let inputs = [&self.q, &self.kv, &self.table, &self.gradient].map(Vec::as_slice);
        attention_backward_on(processor, inputs, shape).into()
    }
}

/// The result and the gradients at `q`, `kv` and the table, from the definition.
fn definition(shape: &AttentionShape, inputs: &Inputs) -> (Vec<f64>, [Vec<f64>; 3]) {
    let AttentionShape { batch, length, heads, width, reach } = *shape;
    let f64s = |values: &[f32]| values.iter().map(|value| f64::from(*value)).collect::<Vec<f64>>();
    let (q, kv, table) = (f64s(&inputs.q), f64s(&inputs.kv), f64s(&inputs.table));
    let gradient = f64s(&inputs.gradient);
    let mut out = vec![0.0; q.len()];
    let (mut of_q, mut of_kv, mut of_table) =
        (vec![0.0; q.len()], vec![0.0; kv.len()], vec![0.0; table.len()]);
    let scale = 1.0 / (width as f64).sqrt();
    let channels = heads * width;
    for b in 0..batch {
        for h in 0..heads {
            let at = |i: usize| (b * length + i) * channels + h * width;
            let key = |j: usize| (b * length + j) * 2 * channels + h * width;
            let value = |j: usize| key(j) + channels;
            let row = |i: usize, j: usize| {
                let distance = (i as isize - j as isize).clamp(-(reach as isize), reach as isize);
                (distance + reach as isize) as usize * width
            };
            let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
            for i in 0..length {
                let query = &q[at(i)..][..width];
                let logit = |j: usize| {
                    (dot(query, &kv[key(j)..][..width]) + dot(query, &table[row(i, j)..][..width])) * scale
                };
                let logits: Vec<f64> = (0..length).map(logit).collect();
                let greatest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let powers: Vec<f64> = logits.iter().map(|logit| (logit - greatest).exp()).collect();
                let sum: f64 = powers.iter().sum();
                let weights: Vec<f64> = powers.iter().map(|power| power / sum).collect();
                let gradient = &gradient[at(i)..][..width];
                let of_weight = |j: usize| dot(gradient, &kv[value(j)..][..width]);
                let mean: f64 = (0..length).map(|j| weights[j] * of_weight(j)).sum();
                for j in 0..length {
                    let of_logit = weights[j] * (of_weight(j) - mean) * scale;
                    for c in 0..width {
                        out[at(i) + c] += weights[j] * kv[value(j) + c];
                        of_q[at(i) + c] += of_logit * (kv[key(j) + c] + table[row(i, j) + c]);
                        of_kv[key(j) + c] += of_logit * q[at(i) + c];
                        of_kv[value(j) + c] += weights[j] * gradient[c];
                        of_table[row(i, j) + c] += of_logit * q[at(i) + c];
                    }
                }
            }
        }
    }
    (out, [of_q, of_kv, of_table])
}

fn greatest_error(found: &[f32], exact: &[f64]) -> f64 {
    assert_eq!(found.len(), exact.len());
    let errors = found.iter().zip(exact).map(|(found, exact)| (f64::from(*found) - exact).abs());
    // Not `f64::max`, which would pass a NaN over.
    errors.fold(0.0, |greatest, error| if error <= greatest { greatest } else { error })
}

#[test]
fn results_are_those_of_the_definition() {
    for processor in processors() {
        for shape in shapes() {
            let inputs = Inputs::new(&shape);
            let (exact, _) = definition(&shape, &inputs);
            let error = greatest_error(&inputs.forward(processor, &shape), &exact);
            // Logits of up to 20 carry 1e-6 of rounding into the weights of values of up to 4.
            assert!(error < 1e-5, "{processor:?} {shape:?}: {error}");
        }
    }
}

#[test]
fn gradients_are_those_of_the_definition() {
    for processor in processors() {
        for shape in shapes() {
            let inputs = Inputs::new(&shape);
            let (_, exact) = definition(&shape, &inputs);
            for (found, exact) in inputs.backward(processor, &shape).iter().zip(&exact) {
                let greatest = exact.iter().fold(1.0_f64, |greatest, value| greatest.max(value.abs()));
                let error = greatest_error(found, exact) / greatest;
                // As for the results, relative to sums of up to some hundred such terms.
                assert!(error < 1e-5, "{processor:?} {shape:?}: {error}");
            }
        }
    }
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let shape = shape(67, 33, 3, 20, 9);
    let inputs = Inputs::new(&shape);
    let on = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let processor = Processor::at_hand();
        pool.install(|| (inputs.forward(processor, &shape), inputs.backward(processor, &shape)))
    };
    assert!(on(1) == on(3));
}

/// Weights of 1 and 0, and gradients of nearly 0: nothing overflows on the way.
#[test]
fn large_logits_stay_finite() {
    for processor in processors() {
        let shape = shape(2, 19, 2, 4, 6);
        let mut inputs = Inputs::new(&shape);
        // ±80 times √width at one key each.
        inputs.q.fill(1.0);
        let channels = shape.channels();
        for (i, row) in inputs.kv.chunks_exact_mut(2 * channels).enumerate() {
            row[..channels].fill(if i % 2 == 0 { 40.0 } else { -40.0 });
        }
        let (exact, exact_gradients) = definition(&shape, &inputs);
        // A logit of 80 in units of ln 2 is rounded by 4e-6, which is the weights' relative error.
        let error = greatest_error(&inputs.forward(processor, &shape), &exact);
        assert!(error < 2e-5, "{processor:?}: {error}");
        for (found, exact) in inputs.backward(processor, &shape).iter().zip(&exact_gradients) {
            let greatest = exact.iter().fold(1.0_f64, |greatest, value| greatest.max(value.abs()));
            let error = greatest_error(found, exact) / greatest;
            assert!(error < 2e-5, "{processor:?}: {error}");
        }
    }
}

/// Which positions of the result are NaN, for one NaN in a query, in a key, in a value or in the table.
#[test]
fn what_is_not_a_number_stays_so() {
    for processor in processors() {
        let shape = shape(2, 18, 2, 3, 4);
        let channels = shape.channels();
        let nans = |inputs: &Inputs| -> Vec<usize> {
            let out = inputs.forward(processor, &shape);
            (0..out.len()).filter(|at| out[*at].is_nan()).collect()
        };
        let head: Vec<usize> =
            (0..18).flat_map(|i| (0..3).map(move |c| (18 + i) * channels + 3 + c)).collect();

        let mut inputs = Inputs::new(&shape);
        let position = (18 + 17) * channels + 3;
        inputs.q[position] = f32::NAN;
        assert_eq!(nans(&inputs), [position, position + 1, position + 2]);
        let gradients = inputs.backward(processor, &shape);
        assert!((position..position + 3).all(|at| gradients[0][at].is_nan()));
        assert!(gradients[1].iter().any(|value| value.is_nan()));
        assert!(gradients[2].iter().any(|value| value.is_nan()));

        let mut inputs = Inputs::new(&shape);
        inputs.kv[(18 + 5) * 2 * channels + 4] = f32::NAN;
        assert_eq!(nans(&inputs), head);

        let mut inputs = Inputs::new(&shape);
        inputs.kv[(18 + 5) * 2 * channels + channels + 4] = f32::NAN;
        assert_eq!(nans(&inputs), head.iter().copied().filter(|at| at % channels == 4).collect::<Vec<_>>());

        let mut inputs = Inputs::new(&shape);
        inputs.table[0] = f32::NAN;
        // Distances of -4 and below: all but the last four positions.
        let expected = (0..2 * 18 * channels).filter(|at| at / channels % 18 < 14);
        assert_eq!(nans(&inputs), expected.collect::<Vec<_>>());
    }
}

/// One position attends to itself alone, whatever the logit.
#[test]
fn one_position_passes_its_value_on() {
    let shape = shape(3, 1, 2, 4, 2);
    let inputs = Inputs::new(&shape);
    let out = attention(&inputs.q, &inputs.kv, &inputs.table, &shape);
    for (out, kv) in out.chunks_exact(8).zip(inputs.kv.chunks_exact(16)) {
        // The power of 2 and its inverse are rounded.
        out.iter().zip(&kv[8..]).for_each(|(out, value)| assert!((out - value).abs() <= 3e-7 * value.abs()));
    }
    let (of_q, of_kv, of_table) =
        attention_backward(&inputs.q, &inputs.kv, &inputs.table, &inputs.gradient, &shape);
    // What remains of a difference of equal numbers of up to 10.
    assert!(of_q.iter().chain(&of_table).all(|value| value.abs() < 2e-5));
    assert!(of_kv.chunks_exact(16).zip(inputs.gradient.chunks_exact(8)).all(|(of_kv, gradient)| {
        of_kv[8..]
            .iter()
            .zip(gradient)
            .all(|(of_value, value)| (of_value - value).abs() <= 3e-7 * value.abs())
    }));
}

#[test]
fn nothing_gives_nothing() {
    for shape in [shape(0, 5, 2, 4, 3), shape(3, 0, 2, 4, 3), shape(3, 5, 0, 4, 3)] {
        let table = values((2 * shape.reach + 1) * shape.width, 1);
        assert!(attention(&[], &[], &table, &shape).is_empty());
        let zeros = vec![0.0; table.len()];
        assert_eq!(attention_backward(&[], &[], &table, &[], &shape), (vec![], vec![], zeros));
    }
}
