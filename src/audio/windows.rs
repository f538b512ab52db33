//! Windows of neighbouring frames, as the DCASE baseline concatenates them.

use ndarray::{ArrayView2, ShapeBuilder};

use super::Error;

/// All windows of `frames` neighbouring frames of a log-mel `[total, mels]`, as `[total - frames +
/// 1, frames * mels]`: row r is frame r's mels, then frame r+1's, and so on.
///
/// Nothing is copied. A log-mel is row-major, so frames r..r+frames already lie one behind the
/// other, and row r is the slice `[r * mels .. (r + frames) * mels]` of its memory; the rows of the
/// view overlap. A row is contiguous (`row.to_slice()`), the view as a whole is not.
///
/// # Errors
/// [`Error::Shape`] where the log-mel has fewer than `frames` frames, is not row-major, or where
/// `frames` or `mels` is zero.
pub fn windows(logmel: ArrayView2<'_, f32>, frames: usize) -> Result<ArrayView2<'_, f32>, Error> {
    let (total, mels) = logmel.dim();
    let rejected = |expected: String| Error::Shape {
        action: "cut windows from the log-mel",
        found: format!("{total} x {mels}"),
        expected,
    };
    if frames == 0 || mels == 0 || total < frames {
        return Err(rejected(format!("at least {} x 1", frames.max(1))));
    }
    let values = logmel.to_slice().ok_or_else(|| rejected("row-major".into()))?;
    let shape = (total - frames + 1, frames * mels).strides((mels, 1));
    ArrayView2::from_shape(shape, values).map_err(|error| rejected(error.to_string()))
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, s};

    use super::*;

    #[test]
    fn rows_are_neighbouring_frames() {
        let logmel = Array2::from_shape_fn((7, 3), |(frame, mel)| (10 * frame + mel) as f32);
        let view = windows(logmel.view(), 5).unwrap();
        assert_eq!(view.dim(), (3, 15));
        for row in 0..3 {
            let copied: Vec<f32> = logmel.slice(s![row..row + 5, ..]).iter().copied().collect();
            assert_eq!(view.row(row).to_slice().unwrap(), copied);
        }
    }

    #[test]
    fn one_window_of_all_frames_and_windows_of_one() {
        let logmel = Array2::from_shape_fn((5, 2), |(frame, mel)| (10 * frame + mel) as f32);
        assert_eq!(windows(logmel.view(), 5).unwrap().dim(), (1, 10));
        assert_eq!(windows(logmel.view(), 1).unwrap(), logmel);
    }

    #[test]
    fn too_few_frames_and_other_layouts_are_errors() {
        let logmel = Array2::<f32>::zeros((4, 2));
        assert!(windows(logmel.view(), 5).unwrap_err().to_string().contains("4 x 2"));
        assert!(windows(logmel.view(), 0).is_err());
        assert!(windows(logmel.t(), 1).unwrap_err().to_string().contains("row-major"));
        assert!(windows(Array2::zeros((4, 0)).view(), 1).is_err());
    }
}
