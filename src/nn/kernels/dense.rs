//! Fully connected layers on plain slices, row-major, on all cores.
//!
//! The batch is cut into parts of a fixed number of rows, and a weight's gradient into parts of its own rows. One part is
//! one single-threaded matrix product, which at these sizes loses less than one product on many threads does.

use std::mem::MaybeUninit;

use gemm::Parallelism;

use super::parts::{ROWS, Unwritten, filled};
use super::slices;

/// Parts of a weight's gradient; each packs the whole gradient of the output anew.
const WEIGHT_PARTS: usize = 4;
/// Rows below which a part of a weight's gradient does not pay.
const WEIGHT_ROWS: usize = 64;

/// A matrix in a slice, its rows or its columns one behind the other.
#[derive(Clone, Copy)]
struct Matrix<'a> {
    values: &'a [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a> Matrix<'a> {
    fn new(values: &'a [f32], columns: usize) -> Self {
        Self { values, rows: values.len() / columns, columns, row_stride: columns, column_stride: 1 }
    }

    fn transposed(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }

    /// Rows `first..first + count`.
    fn part(self, first: usize, count: usize) -> Self {
        assert!(first + count <= self.rows, "rows {first}..{} of {}", first + count, self.rows);
        Self { values: &self.values[first * self.row_stride..], rows: count, ..self }
    }

    /// Whether the last element lies inside the slice.
    fn fits(&self) -> bool {
        let last = (self.rows.max(1) - 1) * self.row_stride + (self.columns.max(1) - 1) * self.column_stride;
        self.rows * self.columns == 0 || last < self.values.len()
    }
}

/// `out = a · b`, or `out += a · b` where `out` holds values; `out` is `[a.rows, b.columns]`, row-major, written whole.
///
/// # Safety
/// With `add`, every value of `out` must have been written.
unsafe fn product(out: &mut Unwritten, add: bool, a: Matrix<'_>, b: Matrix<'_>) {
    let fit = a.fits() && b.fits() && a.columns == b.rows && out.len() == a.rows * b.columns;
    assert!(fit && a.columns > 0, "matrices that do not fit");
    // SAFETY: the pointers are valid for every index below the sizes given with them, as asserted; `out` is borrowed
    // alone and so overlaps neither, and is read only with `add`.
    unsafe {
        gemm::gemm(
            a.rows,
            b.columns,
            a.columns,
            out.as_mut_ptr().cast::<f32>(),
            1,
            b.columns as isize,
            add,
            a.values.as_ptr(),
            a.column_stride as isize,
            a.row_stride as isize,
            b.values.as_ptr(),
            b.column_stride as isize,
            b.row_stride as isize,
            1.0,
            1.0,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}

/// Part `index` of values in parts of `part`.
fn part_of(values: &[f32], part: usize, index: usize) -> &[f32] {
    &values[index * part..values.len().min((index + 1) * part)]
}

/// `x` `[rows, inputs]` · `weight` `[inputs, outputs]` + `bias` `[outputs]`: `[rows, outputs]`.
pub fn linear(x: &[f32], weight: &[f32], bias: &[f32]) -> Vec<f32> {
    let outputs = bias.len();
    let inputs = weight.len() / outputs;
    let weight = Matrix::new(weight, outputs);
    let rows = x.len() / inputs;
    // SAFETY: each row of a part is written with the bias, before the product is added to it.
    unsafe {
        filled(rows * outputs, ROWS * outputs, |index, out| {
            for row in out.chunks_exact_mut(outputs) {
                row.iter_mut().zip(bias).for_each(|(value, bias)| *value = MaybeUninit::new(*bias));
            }
            product(out, true, Matrix::new(part_of(x, ROWS * inputs, index), inputs), weight);
        })
    }
}

/// Gradient of [`linear`] at `x`: `gradient` `[rows, outputs]` · `weight`ᵀ, `[rows, inputs]`.
pub fn linear_backward_x(gradient: &[f32], weight: &[f32], outputs: usize) -> Vec<f32> {
    let inputs = weight.len() / outputs;
    let weight = Matrix::new(weight, outputs).transposed();
    let rows = gradient.len() / outputs;
    // SAFETY: a product writes all of a part.
    unsafe {
        filled(rows * inputs, ROWS * inputs, |index, of_x| {
            let gradient = part_of(gradient, ROWS * outputs, index);
            product(of_x, false, Matrix::new(gradient, outputs), weight);
        })
    }
}

/// Gradients of [`linear`] at the weight, `x`ᵀ · `gradient` `[inputs, outputs]`, and at the bias, `[outputs]`.
pub fn linear_backward_parameters(
    x: &[f32],
    gradient: &[f32],
    inputs: usize,
    outputs: usize,
) -> (Vec<f32>, Vec<f32>) {
    let part = inputs.div_ceil(WEIGHT_PARTS).max(WEIGHT_ROWS);
    let (x, of_y) = (Matrix::new(x, inputs).transposed(), Matrix::new(gradient, outputs));
    rayon::join(
        // SAFETY: a product writes all of a part.
        || unsafe {
            filled(inputs * outputs, part * outputs, |index, of_weight| {
                let rows = x.part(index * part, of_weight.len() / outputs);
                product(of_weight, false, rows, of_y);
            })
        },
        || slices::sum_rows(gradient, outputs),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(count: usize, seed: usize) -> Vec<f32> {
        (0..count).map(|i| ((i * 7919 + seed * 104_729) % 997) as f32 / 500.0 - 1.0).collect()
    }

    /// Parts of uneven sizes, against the definition in f64.
    #[test]
    fn products_are_those_of_the_definition() {
        for (rows, inputs, outputs) in [(1, 1, 1), (3, 5, 2), (ROWS + 7, 261, 9), (300, 8, 130)] {
            let (x, weight, bias) =
                (values(rows * inputs, 1), values(inputs * outputs, 2), values(outputs, 3));
            let gradient = values(rows * outputs, 4);
            let at = |m: &[f32], columns: usize, i: usize, j: usize| f64::from(m[i * columns + j]);
            // Sums of up to 300 terms of size 1 in f32.
            let near =
                |found: f32, exact: f64| assert!((f64::from(found) - exact).abs() < 1e-4, "{found} {exact}");
            let out = linear(&x, &weight, &bias);
            let of_x = linear_backward_x(&gradient, &weight, outputs);
            let (of_weight, of_bias) = linear_backward_parameters(&x, &gradient, inputs, outputs);
            assert_eq!(
                (out.len(), of_x.len(), of_weight.len()),
                (rows * outputs, rows * inputs, inputs * outputs)
            );
            for r in 0..rows {
                for o in 0..outputs {
                    let sum: f64 =
                        (0..inputs).map(|i| at(&x, inputs, r, i) * at(&weight, outputs, i, o)).sum();
                    near(out[r * outputs + o], sum + f64::from(bias[o]));
                }
                for i in 0..inputs {
                    let sum =
                        (0..outputs).map(|o| at(&gradient, outputs, r, o) * at(&weight, outputs, i, o)).sum();
                    near(of_x[r * inputs + i], sum);
                }
            }
            for o in 0..outputs {
                near(of_bias[o], (0..rows).map(|r| at(&gradient, outputs, r, o)).sum());
                for i in 0..inputs {
                    let sum = (0..rows).map(|r| at(&x, inputs, r, i) * at(&gradient, outputs, r, o)).sum();
                    near(of_weight[i * outputs + o], sum);
                }
            }
        }
    }

    #[test]
    fn the_number_of_threads_changes_no_bit() {
        let (rows, inputs, outputs) = (512, 640, 128);
        let (x, weight, bias) = (values(rows * inputs, 1), values(inputs * outputs, 2), values(outputs, 3));
        let gradient = values(rows * outputs, 4);
        let on = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let parameters = linear_backward_parameters(&x, &gradient, inputs, outputs);
                (linear(&x, &weight, &bias), linear_backward_x(&gradient, &weight, outputs), parameters)
            })
        };
        assert!(on(1) == on(3));
    }
}
