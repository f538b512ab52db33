//! The downhill simplex of Nelder and Mead (1965), step for step as SciPy's `fmin` takes it with its default settings.
//!
//! The steps matter because `fmin` stops by absolute tolerances and after a limited number of evaluations: where it stops
//! is part of the answer that the challenge's thresholds rest on.

/// How far a vertex of the first simplex is from the start, relative to the coordinate (absolute where that is 0).
const FIRST_STEP: f64 = 0.05;
const FIRST_STEP_AT_ZERO: f64 = 0.00025;
/// The search ends when all vertices are this close to the best, in every coordinate and in value.
const TOLERANCE: f64 = 1e-4;
/// Evaluations allowed, per dimension.
const EVALUATIONS: usize = 200;

type Vertex<const N: usize> = ([f64; N], f64);

struct Simplex<const N: usize, F> {
    function: F,
    evaluations_left: usize,
    /// N + 1 vertices, the best first.
    vertices: Vec<Vertex<N>>,
}

/// Minimise `function`, which may be infinite but not NaN, from `start`; the best point seen.
pub(super) fn minimise<const N: usize>(start: [f64; N], function: impl FnMut(&[f64; N]) -> f64) -> [f64; N] {
    let mut simplex = Simplex { function, evaluations_left: EVALUATIONS * N, vertices: Vec::new() };
    for corner in 0..=N {
        let mut point = start;
        if let Some(coordinate) = corner.checked_sub(1) {
            let from = start[coordinate];
            point[coordinate] = if from == 0.0 { FIRST_STEP_AT_ZERO } else { (1.0 + FIRST_STEP) * from };
        }
        let value = simplex.evaluate(&point).unwrap_or(f64::INFINITY);
        simplex.vertices.push((point, value));
    }
    simplex.sort();
    while simplex.evaluations_left > 0 && !simplex.has_converged() {
        // `None`: out of evaluations in the middle of a step; what was replaced until then stays replaced.
        let _ = simplex.step();
        simplex.sort();
    }
    simplex.vertices[0].0
}

impl<const N: usize, F: FnMut(&[f64; N]) -> f64> Simplex<N, F> {
    fn evaluate(&mut self, point: &[f64; N]) -> Option<f64> {
        self.evaluations_left = self.evaluations_left.checked_sub(1)?;
        Some((self.function)(point))
    }

    fn sort(&mut self) {
        self.vertices.sort_by(|a, b| a.1.total_cmp(&b.1));
    }

    fn has_converged(&self) -> bool {
        let (best, value) = self.vertices[0];
        // The difference of two infinities is NaN and not close.
        self.vertices[1..].iter().all(|(point, other)| {
            (other - value).abs() <= TOLERANCE
                && point.iter().zip(&best).all(|(x, b)| (x - b).abs() <= TOLERANCE)
        })
    }

    fn step(&mut self) -> Option<()> {
        let (best, next_worst, worst) = (self.vertices[0].1, self.vertices[N - 1].1, self.vertices[N]);
        let centroid: [f64; N] = std::array::from_fn(|i| {
            self.vertices[..N].iter().map(|(point, _)| point[i]).sum::<f64>() / N as f64
        });
        // On the line from the worst vertex through the centroid of the others, `t` times as far beyond it.
        let beyond =
            |t: f64| -> [f64; N] { std::array::from_fn(|i| (1.0 + t) * centroid[i] - t * worst.0[i]) };
        let reflected = beyond(1.0);
        let value = self.evaluate(&reflected)?;
        if value < best {
            let expanded = beyond(2.0);
            let further = self.evaluate(&expanded)?;
            self.vertices[N] = if further < value { (expanded, further) } else { (reflected, value) };
        } else if value < next_worst {
            self.vertices[N] = (reflected, value);
        } else {
            let outside = value < worst.1;
            let contracted = beyond(if outside { 0.5 } else { -0.5 });
            let nearer = self.evaluate(&contracted)?;
            if (outside && nearer <= value) || (!outside && nearer < worst.1) {
                self.vertices[N] = (contracted, nearer);
            } else {
                self.shrink()?;
            }
        }
        Some(())
    }

    /// Move all vertices halfway to the best.
    fn shrink(&mut self) -> Option<()> {
        let best = self.vertices[0].0;
        for index in 1..=N {
            let from = self.vertices[index].0;
            let point = std::array::from_fn(|i| best[i] + 0.5 * (from[i] - best[i]));
            self.vertices[index].0 = point;
            self.vertices[index].1 = self.evaluate(&point)?;
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `scipy.optimize.fmin` (SciPy 1.17.1) on Rosenbrock's function from (-1.2, 1), and on one with a wall of infinity
    /// from (0, 3). The same steps give the same bits but for the rounding of the function itself.
    #[test]
    fn takes_the_steps_of_scipys_fmin() {
        let mut calls = 0;
        let found = minimise([-1.2, 1.0], |&[x, y]| {
            calls += 1;
            100.0 * (y - x * x) * (y - x * x) + (1.0 - x) * (1.0 - x)
        });
        assert_eq!(calls, ROSENBROCK.0);
        assert_eq!(found, ROSENBROCK.1);

        let mut calls = 0;
        let found = minimise([0.0, 3.0], |&[x, y]| {
            calls += 1;
            if x + y < 1.0 { f64::INFINITY } else { x * x + 2.0 * y * y + x * y }
        });
        assert_eq!(calls, WALL.0);
        assert_eq!(found, WALL.1);
    }

    #[test]
    fn ends_where_there_is_no_minimum() {
        let mut calls = 0;
        let found = minimise([1.0, 1.0, 1.0], |point| {
            calls += 1;
            -point.iter().sum::<f64>()
        });
        assert_eq!(calls, 3 * EVALUATIONS);
        assert!(found.iter().sum::<f64>() > 1e6);
        assert_eq!(minimise([1.0], |_| f64::INFINITY), [1.0]);
    }

    const ROSENBROCK: (usize, [f64; 2]) = (159, [1.0000220217835696, 1.0000422197517715]);
    const WALL: (usize, [f64; 2]) = (67, [0.0003176603466272356, 0.9997265696525512]);
}
