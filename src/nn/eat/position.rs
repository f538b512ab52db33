//! Where a patch stands, as sines and cosines.

/// The table of positions `[steps · bands, width]`: row step · bands + band. The first half of a row is of the *band*, the
/// second of the time step; each half has sines, then cosines, of place · 10000^(-i / (width / 4)) for i from 0 to width / 4
/// (the masked autoencoder's two-dimensional form, arXiv 2111.06377, of arXiv 1706.03762's). `width` is a multiple of 4.
///
/// In f64. Published checkpoints have their table with them, and theirs is taken: the reference computes it in f32, with
/// powers as its machine's library rounds them, which is up to place · 2^-23 from this.
pub fn positions(steps: usize, bands: usize, width: usize) -> Vec<f32> {
    let quarter = width / 4;
    let frequencies: Vec<f64> = (0..quarter).map(|i| 10_000_f64.powf(-(i as f64 / quarter as f64))).collect();
    let half = |place: usize| -> Vec<f32> {
        let angles = frequencies.iter().map(|frequency| place as f64 * frequency);
        angles.clone().map(f64::sin).chain(angles.map(f64::cos)).map(|value| value as f32).collect()
    };
    let of_bands: Vec<Vec<f32>> = (0..bands).map(half).collect();
    let mut table = Vec::with_capacity(steps * bands * width);
    for step in 0..steps {
        let of_step = half(step);
        for of_band in &of_bands {
            table.extend(of_band);
            table.extend(&of_step);
        }
    }
    table
}
