//! Products of a block of rows with weights, and of two blocks with each other.
//!
//! A tile of sums stays in registers: 12 × 32 where the processor has 32 wide ones (24 multiply-adds for 14 loads), else
//! 4 × 16. Each sum goes through its terms in one order, whatever tile it lies in.

use super::super::conv::lanes::{LANES, Lanes, Processor};
use super::super::conv::products::{Work, run};

/// Rows of one block: ten tiles. With a hidden width of 256 a block's values are 120 kB, part of a core's own cache.
pub const BLOCK_ROWS: usize = 120;

/// Rows of a block, each of `width` values, then padding that holds zeros or what a product left.
#[derive(Debug)]
pub struct Block {
    pub values: Vec<f32>,
    pub width: usize,
    pub stride: usize,
}

impl Block {
    /// All zeros.
    pub fn new(width: usize) -> Self {
        let lines = width.div_ceil(LANES);
        // An odd number of cache lines: the same column of many rows then lies in different sets of the cache.
        let stride = (lines + 1 - lines % 2) * LANES;
        Self { values: vec![0.0; BLOCK_ROWS * stride], width, stride }
    }

    /// As [`Self::new`] for `width` values and a 1 behind them: the input of a bias.
    pub fn with_ones(width: usize) -> Self {
        let mut block = Self::new(width + 1);
        let stride = block.stride;
        block.values.iter_mut().skip(width).step_by(stride).for_each(|value| *value = 1.0);
        block
    }

    pub fn rows(&self) -> impl Iterator<Item = &[f32]> {
        self.values.chunks_exact(self.stride)
    }

    pub fn rows_mut(&mut self) -> impl Iterator<Item = &mut [f32]> {
        self.values.chunks_exact_mut(self.stride)
    }
}

/// The right factor of a product in panels of [`LANES`] columns, `[columns / 16, depth, 16]`, the last one padded with
/// zeros.
#[derive(Debug)]
pub struct Panels {
    values: Vec<f32>,
    depth: usize,
}

impl Panels {
    /// Of `weight` `[inputs, outputs]`; with a bias as one more input, which is always 1.
    pub fn new(weight: &[f32], bias: Option<&[f32]>, outputs: usize) -> Self {
        let depth = weight.len() / outputs + usize::from(bias.is_some());
        let rows = weight.chunks_exact(outputs).chain(bias);
        Self::pack(
            depth,
            outputs,
            rows.enumerate().flat_map(|(k, row)| row.iter().enumerate().map(move |(j, v)| (k, j, *v))),
        )
    }

    /// Of the transposed of `weight` `[inputs, outputs]`.
    pub fn transposed(weight: &[f32], outputs: usize) -> Self {
        let values =
            weight.iter().enumerate().map(|(index, value)| (index % outputs, index / outputs, *value));
        Self::pack(outputs, weight.len() / outputs, values)
    }

    /// From (row, column, value).
    fn pack(depth: usize, columns: usize, all: impl Iterator<Item = (usize, usize, f32)>) -> Self {
        let mut values = vec![0.0; columns.div_ceil(LANES) * depth * LANES];
        for (row, column, value) in all {
            values[(column / LANES * depth + row) * LANES + column % LANES] = value;
        }
        Self { values, depth }
    }

    /// The first `rows` rows of `a` times these, into those of `out`.
    pub fn product(&self, rows: usize, a: &Block, out: &mut Block) {
        let panels = self.values.len() / (self.depth * LANES);
        let product = Product {
            rows,
            depth: self.depth,
            panels,
            a: &a.values,
            a_row: a.stride,
            a_step: 1,
            b: &self.values,
            b_panel: self.depth * LANES,
            b_step: LANES,
            out_row: out.stride,
            out: &mut out.values,
            add: false,
        };
        assert!(self.depth <= a.width, "a block of {} columns for {} weights", a.width, self.depth);
        product.run();
    }
}

/// Adds to `sums` `[a.width, b.width up to the next 16]`: aᵀ · b over the first `rows` rows.
pub fn add_product_of_columns(rows: usize, a: &Block, b: &Block, sums: &mut [f32]) {
    let panels = b.width.div_ceil(LANES);
    let product = Product {
        rows: a.width,
        depth: rows,
        panels,
        a: &a.values,
        a_row: 1,
        a_step: a.stride,
        b: &b.values,
        b_panel: LANES,
        b_step: b.stride,
        out_row: panels * LANES,
        out: sums,
        add: true,
    };
    product.run();
}

/// `out[i, j]` (+)= Σₖ a(i, k) · b(k, j), with a(i, k) = `a[i · a_row + k · a_step]` and vector p of b's row k at
/// `b[p · b_panel + k · b_step]`.
struct Product<'a> {
    rows: usize,
    depth: usize,
    /// Vectors of columns.
    panels: usize,
    a: &'a [f32],
    a_row: usize,
    a_step: usize,
    b: &'a [f32],
    b_panel: usize,
    b_step: usize,
    out: &'a mut [f32],
    out_row: usize,
    add: bool,
}

impl Product<'_> {
    fn run(self) {
        if self.rows == 0 || self.panels == 0 || self.depth == 0 {
            return;
        }
        let (row, step, panel) = (self.rows - 1, self.depth - 1, self.panels - 1);
        assert!(row * self.a_row + step * self.a_step < self.a.len(), "a factor that is too short");
        assert!(
            panel * self.b_panel + step * self.b_step + LANES <= self.b.len(),
            "a factor that is too short"
        );
        assert!(row * self.out_row + (panel + 1) * LANES <= self.out.len(), "no room for a product");
        run(Processor::at_hand(), self);
    }

    /// # Safety
    /// As for [`Work::run`]; `panel + V` panels must be there.
    #[inline(always)]
    unsafe fn columns<L: Lanes, const V: usize>(&mut self, panel: usize) {
        let mut row = 0;
        while row < self.rows {
            // SAFETY: a tile of at most as many rows as are left.
            row += unsafe {
                match self.rows - row {
                    12.. if L::MANY => self.tile::<L, 12, V>(row, panel),
                    8.. if L::MANY => self.tile::<L, 8, V>(row, panel),
                    4.. => self.tile::<L, 4, V>(row, panel),
                    _ => self.tile::<L, 1, V>(row, panel),
                }
            };
        }
    }

    /// `R` rows from `row` on, `V` vectors from `panel` on; returns `R`.
    ///
    /// # Safety
    /// They must be there, and the processor must have the instructions of `L`.
    #[inline(always)]
    #[expect(clippy::needless_range_loop, reason = "the compiler keeps only plain indices in registers")]
    unsafe fn tile<L: Lanes, const R: usize, const V: usize>(&mut self, row: usize, panel: usize) -> usize {
        // SAFETY: `run` has checked the ends of all three; the caller, that the tile lies inside.
        unsafe {
            let mut a = self.a.as_ptr().add(row * self.a_row);
            let mut b = self.b.as_ptr().add(panel * self.b_panel);
            let out = self.out.as_mut_ptr().add(row * self.out_row + panel * LANES);
            let (a_row, a_step, b_panel, b_step) = (self.a_row, self.a_step, self.b_panel, self.b_step);
            let mut sums = [[L::splat(0.0); V]; R];
            for _ in 0..self.depth {
                let mut values = [L::splat(0.0); V];
                for v in 0..V {
                    values[v] = L::load(b.add(v * b_panel));
                }
                for r in 0..R {
                    let value = L::splat(*a.add(r * a_row));
                    for v in 0..V {
                        sums[r][v] = sums[r][v].plus_product(value, values[v]);
                    }
                }
                a = a.wrapping_add(a_step);
                b = b.wrapping_add(b_step);
            }
            for r in 0..R {
                for v in 0..V {
                    let to = out.add(r * self.out_row + v * LANES);
                    if self.add {
                        sums[r][v] = sums[r][v].plus_product(L::splat(1.0), L::load(to));
                    }
                    sums[r][v].store(to);
                }
            }
        }
        R
    }
}

impl Work for Product<'_> {
    #[inline(always)]
    unsafe fn run<L: Lanes>(mut self) {
        let mut panel = 0;
        // SAFETY: as promised by the caller, and no more panels than there are.
        unsafe {
            while L::MANY && panel + 2 <= self.panels {
                self.columns::<L, 2>(panel);
                panel += 2;
            }
            for panel in panel..self.panels {
                self.columns::<L, 1>(panel);
            }
        }
    }
}
