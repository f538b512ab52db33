//! What a feature keeps of a clip's tokens: sums in f64, in the order of the tokens, so that the same tokens give the
//! same bits.

use crate::config::TokenPool;
use crate::nn::pretrained::TokenGrid;

/// Values of a feature of tokens of `width` values.
pub fn dim(pool: TokenPool, grid: &TokenGrid, width: usize) -> usize {
    match pool {
        TokenPool::Mean | TokenPool::Cls => width,
        TokenPool::MeanStd => 2 * width,
        TokenPool::Patch => grid.bands * width,
    }
}

/// The feature of one clip's tokens `[grid.tokens(), width]`, which `Cls` takes from a network with a class token only.
pub fn pooled(pool: TokenPool, tokens: &[f32], grid: &TokenGrid) -> Vec<f32> {
    let width = tokens.len() / grid.tokens();
    let row = |at: usize| &tokens[at * width..(at + 1) * width];
    let of_piece = grid.tokens() / grid.pieces;
    let first = |piece: usize| piece * of_piece + grid.prefix;
    let patches = || (0..grid.pieces).flat_map(|piece| (first(piece)..(piece + 1) * of_piece).map(row));
    match pool {
        TokenPool::Cls => row(0).to_vec(),
        TokenPool::Mean => rounded(&mean(patches(), width)),
        TokenPool::MeanStd => {
            let mean = mean(patches(), width);
            let deviation = deviation(patches(), &mean);
            [rounded(&mean), rounded(&deviation)].concat()
        }
        TokenPool::Patch => {
            let band = |band: usize| {
                let steps =
                    |piece| (0..grid.steps).map(move |step| row(first(piece) + place(grid, step, band)));
                rounded(&mean((0..grid.pieces).flat_map(steps), width))
            };
            (0..grid.bands).flat_map(band).collect()
        }
    }
}

/// Where a patch stands among those of its piece.
fn place(grid: &TokenGrid, step: usize, band: usize) -> usize {
    match grid.band_by_band {
        true => band * grid.steps + step,
        false => step * grid.bands + band,
    }
}

fn mean<'a>(rows: impl Iterator<Item = &'a [f32]>, width: usize) -> Vec<f64> {
    let (mut sums, mut count) = (vec![0.0; width], 0);
    for row in rows {
        for (sum, value) in sums.iter_mut().zip(row) {
            *sum += f64::from(*value);
        }
        count += 1;
    }
    sums.iter_mut().for_each(|sum| *sum /= f64::from(count));
    sums
}

/// Of the rows themselves, not of what they are a sample of.
fn deviation<'a>(rows: impl Iterator<Item = &'a [f32]>, mean: &[f64]) -> Vec<f64> {
    let (mut squares, mut count) = (vec![0.0; mean.len()], 0);
    for row in rows {
        for ((sum, value), mean) in squares.iter_mut().zip(row).zip(mean) {
            let from_mean = f64::from(*value) - mean;
            *sum += from_mean * from_mean;
        }
        count += 1;
    }
    squares.iter().map(|sum| (sum / f64::from(count)).sqrt()).collect()
}

fn rounded(values: &[f64]) -> Vec<f32> {
    values.iter().map(|value| *value as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 3 steps of 2 bands; the patch at (step, band) is [10·step + band, 1], in every piece.
    fn tokens(grid: &TokenGrid) -> Vec<f32> {
        let mut tokens = vec![-7.0; 2 * grid.tokens()];
        for (piece, step) in (0..grid.pieces).flat_map(|piece| (0..grid.steps).map(move |step| (piece, step)))
        {
            for band in 0..grid.bands {
                let nth = match grid.band_by_band {
                    true => grid.steps * band + step,
                    false => grid.bands * step + band,
                };
                let at = 2 * (piece * (grid.prefix + 6) + grid.prefix + nth);
                tokens[at..at + 2].copy_from_slice(&[(10 * step + band) as f32, 1.0]);
            }
        }
        tokens
    }

    fn grids() -> Vec<TokenGrid> {
        let of =
            |pieces, prefix, band_by_band| TokenGrid { pieces, prefix, steps: 3, bands: 2, band_by_band };
        let one = [of(1, 0, false), of(1, 0, true), of(1, 1, false), of(1, 1, true)];
        one.into_iter().chain([of(3, 0, true), of(2, 1, false)]).collect()
    }

    #[test]
    fn means_are_over_patches_alone() {
        for grid in grids() {
            let pooled = |pool| pooled(pool, &tokens(&grid), &grid);
            // 0, 1, 10, 11, 20, 21: mean 10.5; squares of 10.5, 9.5, 0.5 twice each: 200.75 / 3.
            assert_eq!(pooled(TokenPool::Mean), [10.5, 1.0], "{grid:?}");
            let deviation = (200.75_f64 / 3.0).sqrt() as f32;
            assert_eq!(pooled(TokenPool::MeanStd), [10.5, 1.0, deviation, 0.0], "{grid:?}");
            assert_eq!(pooled(TokenPool::Patch), [10.0, 1.0, 11.0, 1.0], "{grid:?}");
        }
    }

    #[test]
    fn the_class_token_stands_first() {
        let grid = TokenGrid { pieces: 1, prefix: 1, steps: 3, bands: 2, band_by_band: false };
        assert_eq!(pooled(TokenPool::Cls, &tokens(&grid), &grid), [-7.0, -7.0]);
    }

    #[test]
    fn features_have_the_length_that_is_said() {
        let grid = TokenGrid { pieces: 1, prefix: 1, steps: 3, bands: 2, band_by_band: false };
        for pool in [TokenPool::Mean, TokenPool::Cls, TokenPool::MeanStd, TokenPool::Patch] {
            assert_eq!(pooled(pool, &tokens(&grid), &grid).len(), dim(pool, &grid, 2), "{pool:?}");
        }
    }

    #[test]
    fn a_large_mean_hides_no_deviation() {
        let grid = TokenGrid { pieces: 1, prefix: 0, steps: 2, bands: 1, band_by_band: false };
        // One pass over squares would lose 1e-4 in 1e8.
        assert_eq!(pooled(TokenPool::MeanStd, &[4096.0, 4097.0], &grid), [4096.5, 0.5]);
    }
}
