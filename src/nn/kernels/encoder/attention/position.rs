//! The gated bias of positions (BEATs, arXiv 2212.09058): what key j adds to the score of query i is
//! gate_i · table\[j - i + tokens - 1], with gate_i = a · (b · g - 1) + 2 and a, b the logistic function of two linear
//! functions of the query, each the sum of four outputs of one layer.

use std::f32::consts::LOG2_E;

use super::super::super::attention::softmax::fused;
use super::super::super::conv::lanes::{LANES, Lanes};
use super::super::super::rows::sigmoid;
use super::head::QUERIES;

/// Outputs of the layer for each of a and b.
const SUMMED: usize = 4;

/// What the bias of all heads is made of.
#[derive(Debug, Clone, Copy)]
pub struct Position<'a> {
    /// `[heads, 2 · tokens - 1]`
    pub table: &'a [f32],
    /// `[width, 8]`
    pub weight: &'a [f32],
    /// `[8]`
    pub bias: &'a [f32],
    /// g, `[heads]`
    pub gate: &'a [f32],
}

/// [`Position`] with the layer's outputs summed.
pub struct Prepared<'a> {
    position: Position<'a>,
    tokens: usize,
    /// `[2, width]`
    weight: Vec<f32>,
    bias: [f32; 2],
}

impl<'a> Position<'a> {
    pub fn prepared(self, tokens: usize, heads: usize, width: usize) -> Prepared<'a> {
        let sizes = [heads * (2 * tokens - 1), width * 2 * SUMMED, 2 * SUMMED, heads];
        let found = [self.table, self.weight, self.bias, self.gate].map(<[f32]>::len);
        assert_eq!(found, sizes, "values that do not fit {heads} heads of {width} for {tokens} tokens");
        let sum = |row: &[f32], part: usize| row[part * SUMMED..][..SUMMED].iter().sum::<f32>();
        let columns = |part| self.weight.chunks_exact(2 * SUMMED).map(move |row| sum(row, part));
        Prepared {
            position: self,
            tokens,
            weight: columns(0).chain(columns(1)).collect(),
            bias: [0, 1].map(|part| sum(self.bias, part)),
        }
    }
}

impl Prepared<'_> {
    pub fn of_head(&self, head: usize) -> Gate<'_> {
        let distances = 2 * self.tokens - 1;
        Gate {
            table: &self.position.table[head * distances..][..distances],
            weight: &self.weight,
            bias: self.bias,
            gate: self.position.gate[head],
        }
    }
}

/// The bias of one head.
#[derive(Clone, Copy)]
pub struct Gate<'a> {
    /// `[2 · tokens - 1]`
    table: &'a [f32],
    /// `[2, width]`
    weight: &'a [f32],
    bias: [f32; 2],
    gate: f32,
}

impl Gate<'_> {
    /// Values of [`Self::reversed`].
    pub fn size(&self) -> usize {
        self.table.len() + QUERIES
    }

    /// Writes the table from the farthest key behind the query to the farthest one before it, so that for one key the
    /// values of consecutive queries follow each other; zeros for queries that are not there.
    pub fn reversed(&self, out: &mut [f32]) {
        let (values, rest) = out.split_at_mut(self.table.len());
        values.iter_mut().zip(self.table.iter().rev()).for_each(|(value, from)| *value = *from);
        rest.fill(0.0);
    }

    /// The gates of a vector of queries, `[width, 16]`, in units of ln 2.
    #[inline(always)]
    pub fn of_queries<L: Lanes>(&self, queries: &[f32]) -> [f32; LANES] {
        let (of_a, of_b) = self.weight.split_at(self.weight.len() / 2);
        let (mut a, mut b) = ([self.bias[0]; LANES], [self.bias[1]; LANES]);
        for ((values, of_a), of_b) in queries.as_chunks::<LANES>().0.iter().zip(of_a).zip(of_b) {
            for i in 0..LANES {
                a[i] = fused::<L>(values[i], *of_a, a[i]);
                b[i] = fused::<L>(values[i], *of_b, b[i]);
            }
        }
        std::array::from_fn(|i| (sigmoid(a[i]) * (sigmoid(b[i]) * self.gate - 1.0) + 2.0) * LOG2_E)
    }
}
