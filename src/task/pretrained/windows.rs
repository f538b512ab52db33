//! How many clips wait for a network and go through it together, so that memory does not grow with their number.

use std::ops::Range;
use std::sync::mpsc;
use std::thread;

use super::front_end::{FrontEnd, Image, Scratch};
use crate::audio;
use crate::nn::pretrained::TokenGrid;
use crate::task::{Error, loaders};

/// Windows that may wait for the network.
const AHEAD: usize = 1;
/// Batches of a window: with clips of several lengths its last batches are smaller.
const BATCHES: usize = 4;
/// Bytes of images after which a window takes no further batch: 130 clips of 10 s.
const IMAGE_BYTES: usize = 64 << 20;
/// Bytes of all layers' tokens that may be there at once, where they are wanted: 14 clips of 10 s of a base network.
const LAYER_BYTES: usize = 256 << 20;
/// Bytes of one layer's scores, a number for each pair of tokens and each head, that may be there at once where the
/// attention makes them all: a BEATs of 12 heads hears 3 minutes with these.
pub const SCORE_BYTES: usize = 4 << 30;

/// Clips that lie one behind the other, as images.
pub struct Window {
    pub first: usize,
    pub images: Vec<Image>,
}

/// The samples of a clip by its number.
pub type Read<'a> = dyn Fn(usize) -> Result<Vec<f32>, audio::Error> + Sync + 'a;

/// Hands `clips` clips to `take`, window by window, while the next is made on the loaders.
///
/// # Errors
/// When a clip cannot be read or heard, or `take` fails.
pub fn each<E: From<Error>>(
    front_end: &FrontEnd,
    clips: usize,
    batch: usize,
    read: &Read<'_>,
    take: &mut dyn FnMut(Window) -> Result<(), E>,
) -> Result<(), E> {
    thread::scope(|scope| {
        let (sender, receiver) = mpsc::sync_channel(AHEAD);
        scope.spawn(move || {
            let mut next = 0;
            while next < clips {
                let window = window(front_end, read, next..clips.min(next + BATCHES * batch), batch);
                next = window.as_ref().map_or(clips, |window| window.first + window.images.len());
                // The receiver is gone when the network failed.
                if sender.send(window).is_err() {
                    break;
                }
            }
        });
        for window in receiver {
            take(window?)?;
        }
        Ok(())
    })
}

/// As many of the clips in `some` as a window takes, as images, `batch` at a time.
fn window(front_end: &FrontEnd, read: &Read<'_>, some: Range<usize>, batch: usize) -> Result<Window, Error> {
    let mut images: Vec<Image> = Vec::new();
    let bytes =
        |images: &[Image]| images.iter().map(|image| image.values.len() * size_of::<f32>()).sum::<usize>();
    while images.len() < some.len() && bytes(&images) < IMAGE_BYTES {
        let first = some.start + images.len();
        let made = loaders::each(first..some.end.min(first + batch), |scratch: &mut Scratch, clip| {
            let samples = read(clip).map_err(Error::Sound)?;
            front_end.image(&samples, scratch).map_err(Error::Sound)
        })?;
        images.extend(made);
    }
    Ok(Window { first: some.start, images })
}

/// Neighbours of a window whose layers' tokens may be there together; `bytes` has those of each clip. A clip with more than
/// that is alone.
pub fn layer_shares(bytes: impl IntoIterator<Item = usize>) -> Vec<usize> {
    let (mut shares, mut full) = (Vec::new(), LAYER_BYTES);
    for bytes in bytes {
        full = full.saturating_add(bytes);
        match shares.last_mut() {
            Some(share) if full <= LAYER_BYTES => *share += 1,
            _ => {
                shares.push(1);
                full = bytes;
            }
        }
    }
    shares
}

/// Bytes of one layer's scores of a clip.
pub fn score_bytes(grid: &TokenGrid, heads: usize) -> usize {
    let tokens = grid.tokens() / grid.pieces.max(1);
    let sizes = [grid.pieces, heads, tokens, tokens, size_of::<f32>()];
    sizes.into_iter().fold(1, usize::saturating_mul)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::beats::BeatsSize;
    use crate::nn::ced::CedSize;

    #[test]
    fn layers_of_long_clips_are_there_a_few_at_a_time() {
        let shares = |bytes: &[usize]| layer_shares(bytes.iter().copied());
        assert_eq!(shares(&[]), [0; 0]);
        assert_eq!(shares(&[LAYER_BYTES / 2; 5]), [2, 2, 1]);
        assert_eq!(shares(&[1, LAYER_BYTES, 1, 1]), [1, 1, 2], "only neighbours go together");
        assert_eq!(shares(&[2 * LAYER_BYTES, usize::MAX, 3]), [1, 1, 1], "a clip that is too large is alone");
        // 14 clips of 10 s of a base network, as is said above: 12 layers of 496 tokens of 768 values.
        let usual = 12 * 496 * 768 * 4;
        assert_eq!(shares(&[usual; 20]), [14, 6]);
    }

    #[test]
    fn scores_grow_with_the_square_of_a_piece() {
        let grid = |frames| BeatsSize::base(None).grid(frames).unwrap();
        assert_eq!(score_bytes(&grid(998), 12), 12 * 496 * 496 * 4);
        // 3 minutes and 4 minutes at 100 frames a second.
        assert!(
            score_bytes(&grid(18_000), 12) <= SCORE_BYTES && score_bytes(&grid(24_000), 12) > SCORE_BYTES
        );
        // CED attends within pieces of 10 s: an hour makes 356.
        let pieces = CedSize::base().grid(360_000).unwrap();
        assert_eq!(score_bytes(&pieces, 12), 356 * 12 * 252 * 252 * 4);
        let endless = TokenGrid { steps: usize::MAX >> 4, ..grid(998) };
        assert_eq!(score_bytes(&endless, 12), usize::MAX);
    }
}
