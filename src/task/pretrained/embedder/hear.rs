//! Images through the network, and what is kept of their tokens.

use burn::tensor::{Tensor, TensorData};
use ndarray::Array2;
use rayon::prelude::*;

use super::{Embedded, Embedder, Wants};
use crate::nn::pretrained::{Encoder, TokenGrid};
use crate::task::pretrained::front_end::Image;
use crate::task::pretrained::pool;
use crate::task::pretrained::windows::{self, SCORE_BYTES};
use crate::task::{Error, host};

impl Embedder {
    /// Neighbours of a window whose results are made together: layers wait on the host until all of them are heard.
    pub(super) fn shares(&self, images: &[Image], wants: Wants) -> Result<Vec<usize>, Error> {
        if !wants.layers {
            return Ok(vec![images.len()]);
        }
        let architecture = &self.model.architecture;
        let token_bytes = architecture.layers() * architecture.width() * size_of::<f32>();
        let bytes = |image: &Image| Ok(self.grid(image.frames)?.tokens().saturating_mul(token_bytes));
        let bytes: Vec<usize> = images.iter().map(bytes).collect::<Result<_, Error>>()?;
        Ok(windows::layer_shares(bytes))
    }

    /// Clips of so many tokens that go through the network together.
    fn at_once(&self, grid: &TokenGrid) -> usize {
        match self.score_bytes(grid) {
            // The CPU's kernels share one clip among two cores as well as several, and its values stay nearer then.
            0 => self.config.batch.min(rayon::current_num_threads().div_ceil(2)),
            bytes => self.config.batch.min((SCORE_BYTES / bytes).max(1)),
        }
    }

    /// The tokens of an image, which was found fit.
    fn grid(&self, frames: usize) -> Result<TokenGrid, Error> {
        self.model.architecture.grid(frames).map_err(|why| Error::Checkpoint(why.to_string()))
    }

    /// The results of some images, in their order.
    pub(super) fn hear(
        &self,
        encoder: &Encoder,
        images: Vec<Image>,
        wants: Wants,
    ) -> Result<Vec<Embedded>, Error> {
        let mut results: Vec<Option<Embedded>> = images.iter().map(|_| None).collect();
        let mut order: Vec<usize> = (0..images.len()).collect();
        order.sort_by_key(|n| images[*n].frames);
        for alike in order.chunk_by(|a, b| images[*a].frames == images[*b].frames) {
            let grid = self.grid(images[alike[0]].frames)?;
            for some in alike.chunks(self.at_once(&grid)) {
                let batch: Vec<&Image> = some.iter().map(|n| &images[*n]).collect();
                for (n, embedded) in some.iter().zip(self.hear_alike(encoder, &batch, wants)?) {
                    results[*n] = Some(embedded);
                }
            }
        }
        Ok(results.into_iter().flatten().collect())
    }

    /// The results of images of one number of frames.
    fn hear_alike(&self, encoder: &Encoder, images: &[&Image], wants: Wants) -> Result<Vec<Embedded>, Error> {
        let (architecture, count) = (&self.model.architecture, images.len());
        let (frames, mels, last) = (images[0].frames, architecture.mels(), architecture.layers() - 1);
        let grid = self.grid(frames)?;
        let values: Vec<f32> = images.iter().flat_map(|image| &image.values).copied().collect();
        let input = Tensor::<3>::from_data(TensorData::new(values, [count, frames, mels]), &self.device);

        let to_the_end = wants.layers || wants.probabilities;
        let (mut pooled, mut layers) = (None, Vec::new());
        let end = if to_the_end { last } else { self.layer };
        let tokens = encoder.forward(input, end, &mut |layer, tokens| {
            // What the last layer gives is the result.
            if wants.layers && layer < last {
                layers.push(host(tokens.clone()));
            }
            if layer == self.layer && layer < end {
                pooled = Some(tokens.clone());
            }
        });
        let logits = if wants.probabilities { encoder.classify(&tokens) } else { None };
        let of_layer = host(pooled.unwrap_or_else(|| tokens.clone()))?;
        if wants.layers {
            layers.push(host(tokens));
        }
        let layers = layers.into_iter().collect::<Result<Vec<_>, _>>()?;
        let logits = logits.map(host).transpose()?.unwrap_or_default();

        let size = of_layer.len() / count;
        let shape = (grid.tokens(), size / grid.tokens());
        let pool = self.config.pool;
        let one = |n: usize| {
            let own =
                |tokens: &Vec<f32>| Array2::from_shape_vec(shape, tokens[n * size..(n + 1) * size].to_vec());
            Ok(Embedded {
                embedding: pool::pooled(pool, &of_layer[n * size..(n + 1) * size], &grid),
                layers: layers
                    .iter()
                    .map(own)
                    .collect::<Result<_, _>>()
                    .map_err(|e| Error::Device(e.to_string()))?,
                probabilities: logits[n * logits.len() / count..(n + 1) * logits.len() / count]
                    .iter()
                    .map(|logit| (1.0 / (1.0 + (-f64::from(*logit)).exp())) as f32)
                    .collect(),
            })
        };
        (0..count).into_par_iter().map(one).collect()
    }
}
