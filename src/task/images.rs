//! Log-mels as the images that a residual network sees: `[batch, 1, mel, frames]`.

use burn::tensor::{Device, Tensor, TensorData};
use ndarray::Array2;

use super::logmels::Span;
use super::{Error, LogMels, Scaler, host};

/// Clips that go through the network at once during extraction: the first stage's maps of 16 clips of 10 s are 41 MB.
const EXTRACT_CLIPS: usize = 16;

/// `rows` `[frames, mels]` from frame `first` on, turned into `image` `[mels, frames]`; a clip that ends begins again.
pub fn fill(image: &mut [f32], rows: &[f32], n_mels: usize, first: usize) {
    let (frames, wanted) = (rows.len() / n_mels, image.len() / n_mels);
    for frame in 0..wanted {
        let at = (first + frame) % frames * n_mels;
        for (band, value) in rows[at..at + n_mels].iter().enumerate() {
            image[band * wanted + frame] = *value;
        }
    }
}

/// Features of all clips, whole and in order, `[clips, dim]`. `forward` makes those of several clips of one length,
/// `[batch, dim]` of `[batch, 1, mel, frames]`.
///
/// # Errors
/// When the log-mels cannot be read, the device fails, or `forward` does.
pub fn extract(
    clips: &LogMels,
    scaler: Scaler,
    device: &Device,
    progress: &(dyn Fn(u64) + Sync),
    dim: usize,
    mut forward: impl FnMut(Tensor<4>) -> Result<Tensor<2>, Error>,
) -> Result<Array2<f32>, Error> {
    let n_mels = clips.n_mels();
    let mut features = Vec::with_capacity(clips.spans().len() * dim);
    let mut rows = Vec::new();
    for alike in clips.spans().chunk_by(|a: &Span, b: &Span| a.frames == b.frames) {
        for some in alike.chunks(EXTRACT_CLIPS) {
            let size = some[0].frames * n_mels;
            rows.resize(size, 0.0);
            let mut images = vec![0.0; some.len() * size];
            for (span, image) in some.iter().zip(images.chunks_exact_mut(size)) {
                clips.read_rows(span.first_row, &mut rows)?;
                scaler.apply(&mut rows);
                fill(image, &rows, n_mels, 0);
            }
            features.extend(host(forward(tensor(images, some.len(), n_mels, device))?)?);
            progress(some.len() as u64);
        }
    }
    let shape = (clips.spans().len(), dim);
    Array2::from_shape_vec(shape, features).map_err(|e| Error::Device(e.to_string()))
}

/// Images one behind the other as a tensor `[count, 1, mels, frames]`.
pub fn tensor(images: Vec<f32>, count: usize, n_mels: usize, device: &Device) -> Tensor<4> {
    let frames = images.len() / (count * n_mels).max(1);
    Tensor::from_data(TensorData::new(images, [count, 1, n_mels, frames]), device)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bands_are_rows_and_a_short_clip_is_repeated() {
        // Two frames of three bands.
        let rows = [1.0, 2.0, 3.0, 10.0, 20.0, 30.0];
        let mut image = [0.0; 9];
        fill(&mut image, &rows, 3, 1);
        assert_eq!(image, [10.0, 1.0, 10.0, 20.0, 2.0, 20.0, 30.0, 3.0, 30.0]);
    }
}
