//! A clip's feature: the maps at the network's extraction points, pooled.

use burn::tensor::{Device, Tensor, TensorData};
use ndarray::Array2;

use crate::config::FeaturePool;
use crate::nn::cmgan::{Cmgan, Pass};
use crate::task::{Error, Waves, host, loaders};

/// Segments of clips, and how their maps become features.
#[derive(Debug, Clone, Copy)]
pub struct Extraction {
    /// Samples of a segment.
    pub samples: usize,
    /// Segments of a clip.
    pub segments: usize,
    /// What is kept of a map.
    pub pool: FeaturePool,
    /// Segments that go through the network at once.
    pub at_once: usize,
}

impl Extraction {
    /// Features of all clips, `[clips, dim]`; `progress` hears of clips done.
    ///
    /// # Errors
    /// When a clip cannot be read or the device fails.
    pub fn features(
        &self,
        net: &Cmgan,
        clips: &Waves,
        device: &Device,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<Array2<f32>, Error> {
        let starts: Vec<Vec<usize>> =
            clips.clips().iter().map(|clip| starts(clip.samples, self.samples, self.segments)).collect();
        let places: Vec<(usize, usize)> = starts
            .iter()
            .enumerate()
            .flat_map(|(clip, starts)| starts.iter().map(move |&s| (clip, s)))
            .collect();
        let mut rows = Vec::with_capacity(places.len());
        let mut done = 0;
        for some in places.chunks(self.at_once) {
            let waves = loaders::each(some, |_: &mut (), &(clip, first)| {
                let mut segment = vec![0.0; self.samples];
                clips.read_segment(clip, first, &mut segment).map_err(Error::Lost)?;
                Ok(segment)
            })?;
            let waves = TensorData::new(waves.concat(), [some.len(), self.samples]);
            let pooled = host(self.pooled(net, Tensor::from_data(waves, device)))?;
            rows.extend(pooled.chunks_exact(pooled.len() / some.len()).map(<[f32]>::to_vec));
            // A clip is done with its last segment.
            let finished =
                some.last().map_or(0, |(clip, _)| *clip as u64) + u64::from(rows.len() == places.len());
            progress(finished - done);
            done = finished;
        }
        let mut rows = rows.into_iter();
        let features: Vec<f32> = starts
            .iter()
            .flat_map(|starts| self.joined(rows.by_ref().take(starts.len()).collect()))
            .collect();
        let dim = features.len() / clips.clips().len().max(1);
        Array2::from_shape_vec((clips.clips().len(), dim), features).map_err(|e| Error::Device(e.to_string()))
    }

    /// What is kept of some segments, `[batch, points · kept]`: pooled where the maps are, which are large.
    fn pooled(&self, net: &Cmgan, waves: Tensor<2>) -> Tensor<2> {
        let [batch, _] = waves.dims();
        let pool = |map: Tensor<4>| {
            let [_, channels, _, bins] = map.dims();
            match self.pool {
                FeaturePool::Global => map.mean_dim(3).mean_dim(2).reshape([batch, channels]),
                FeaturePool::Channel => map.mean_dim(1).mean_dim(2).reshape([batch, bins]),
            }
        };
        Tensor::cat(net.points(waves, Pass::Evaluate).into_iter().map(pool).collect(), 1)
    }

    /// The feature of a clip from its segments' rows; the one row of a clip with one place serves for all segments.
    fn joined(&self, rows: Vec<Vec<f32>>) -> Vec<f32> {
        match self.pool {
            FeaturePool::Global if rows.len() == 1 => rows.concat().repeat(self.segments),
            FeaturePool::Global => rows.concat(),
            FeaturePool::Channel => {
                let count = rows.len() as f64;
                let mean = |n: usize| rows.iter().map(|row| f64::from(row[n])).sum::<f64>() / count;
                (0..rows[0].len()).map(|n| mean(n) as f32).collect()
            }
        }
    }
}

/// First samples of `segments` segments in a clip: the first begins with it, the last ends with it, the others lie
/// evenly between. One alone begins with the clip. A clip no longer than a segment has one place for all.
fn starts(clip_samples: usize, samples: usize, segments: usize) -> Vec<usize> {
    let last = clip_samples.saturating_sub(samples);
    if last == 0 || segments == 1 {
        return vec![0];
    }
    let gaps = segments - 1;
    (0..segments).map(|n| (n * last + gaps / 2) / gaps).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_spread_over_the_clip() {
        let s = 16_000;
        assert_eq!(starts(10 * s, 2 * s, 5), [0, 2 * s, 4 * s, 6 * s, 8 * s], "the study's: no overlap");
        assert_eq!(starts(6 * s, 2 * s, 5), [0, s, 2 * s, 3 * s, 4 * s], "half of each overlaps");
        assert_eq!(starts(12 * s, 2 * s, 3), [0, 5 * s, 10 * s], "with gaps");
        assert_eq!(starts(2 * s + 3, 2 * s, 3), [0, 2, 3], "rounded to whole samples");
        assert_eq!(starts(10 * s, 2 * s, 1), [0]);
        assert_eq!((starts(2 * s, 2 * s, 5), starts(s, 2 * s, 5)), (vec![0], vec![0]));
    }

    #[test]
    fn rows_become_features_of_one_length() {
        let of = |pool| Extraction { samples: 8, segments: 3, pool, at_once: 1 };
        let rows = || vec![vec![1.0, 2.0], vec![3.0, 4.0], vec![5.0, 9.0]];
        let global = of(FeaturePool::Global);
        assert_eq!(global.joined(rows()), [1.0, 2.0, 3.0, 4.0, 5.0, 9.0]);
        assert_eq!(global.joined(vec![vec![1.0, 2.0]]), [1.0, 2.0, 1.0, 2.0, 1.0, 2.0]);
        let channel = of(FeaturePool::Channel);
        assert_eq!(channel.joined(rows()), [3.0, 5.0]);
        assert_eq!(channel.joined(vec![vec![1.0, 2.0]]), [1.0, 2.0]);
    }
}
