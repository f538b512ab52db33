//! Reconstruct windows of log-mel frames (study, section III-B).
//!
//! A window is 5 neighbouring frames, 640 values. Loss: mean absolute (or squared) error. Proxy metric: mean absolute
//! error on held-out normal clips. Feature of a clip: its windows' element-wise absolute errors, averaged: 640 values.

use burn::tensor::{Device, Tensor, TensorData};
use ndarray::Array2;
use rand::seq::SliceRandom;

use super::{Error, Extracted, LogMels, Proxy, ProxyTask, Scaler};
use crate::config::{AutoencoderConfig, ReconstructionLoss};
use crate::nn::autoencoder::{Autoencoder, AutoencoderSize};
use crate::nn::init::Init;
use crate::nn::kernels::mean_absolute_error;
use crate::rng;

/// Windows that go through the network at once during extraction: 10 MB of input at 640 values.
const EXTRACT_WINDOWS: usize = 4096;

/// The autoencoder family.
#[derive(Debug)]
pub struct AutoencoderTask<'a> {
    config: &'a AutoencoderConfig,
    batch_size: usize,
    train: &'a LogMels,
    scaler: Scaler,
    windows: usize,
}

impl<'a> AutoencoderTask<'a> {
    /// The task of one machine; `train` holds its training clips, each at least one window long.
    ///
    /// # Errors
    /// [`Error::TooFew`] when the clips give fewer than two windows.
    pub fn new(
        machine: &str,
        config: &'a AutoencoderConfig,
        batch_size: usize,
        train: &'a LogMels,
        scaler: Scaler,
    ) -> Result<Self, Error> {
        let windows = train.spans().iter().map(|span| span.frames + 1 - config.frames).sum();
        match windows {
            0 | 1 => Err(Error::TooFew { machine: machine.to_owned(), found: windows }),
            _ => Ok(Self { config, batch_size, train, scaler, windows }),
        }
    }

    /// The network's sizes for a front end of `n_mels` bands.
    pub fn size(config: &AutoencoderConfig, n_mels: usize) -> AutoencoderSize {
        AutoencoderSize {
            input: config.frames * n_mels,
            hidden: config.hidden,
            bottleneck: config.bottleneck,
            layers: config.layers,
        }
    }

    /// Windows of all training clips.
    pub fn windows(&self) -> usize {
        self.windows
    }

    fn width(&self) -> usize {
        self.config.frames * self.train.n_mels()
    }
}

/// Windows on the host, scaled, `[count, width]` row-major.
#[derive(Debug)]
pub struct Windows {
    values: Vec<f32>,
    count: usize,
}

impl ProxyTask for AutoencoderTask<'_> {
    type Net = Autoencoder;
    /// First rows of all windows, shuffled.
    type Order = Vec<u64>;
    type Batch = Windows;

    fn init(&self, seed: u64, device: &Device) -> Autoencoder {
        Autoencoder::new(Self::size(self.config, self.train.n_mels()), Init::new(seed, device))
    }

    fn batches(&self) -> usize {
        // A last batch of one window has no variance to normalise with and is left out.
        self.windows / self.batch_size + usize::from(self.windows % self.batch_size > 1)
    }

    fn order(&self, seed: u64, epoch: usize) -> Vec<u64> {
        let of_clip = |frames: usize, first_row: u64| {
            (0..=(frames - self.config.frames) as u64).map(move |r| first_row + r)
        };
        let mut rows: Vec<u64> =
            self.train.spans().iter().flat_map(|span| of_clip(span.frames, span.first_row)).collect();
        rows.shuffle(&mut rng::stream(seed, "order", epoch as u64));
        rows
    }

    fn batch(&self, order: &Vec<u64>, index: usize) -> Result<Windows, Error> {
        let first = index * self.batch_size;
        let rows = &order[first..(first + self.batch_size).min(order.len())];
        let width = self.width();
        let mut values = vec![0.0; rows.len() * width];
        let mut bytes = Vec::new();
        for (row, window) in rows.iter().zip(values.chunks_exact_mut(width)) {
            // Frames lie one behind the other, so a window is one piece of the file.
            self.train.read_rows(*row, window, &mut bytes)?;
        }
        self.scaler.apply(&mut values);
        Ok(Windows { values, count: rows.len() })
    }

    fn examples(&self, batch: &Windows) -> usize {
        batch.count
    }

    fn loss(&self, net: &Autoencoder, batch: Windows, device: &Device) -> Tensor<1> {
        let x = Tensor::<2>::from_data(TensorData::new(batch.values, [batch.count, self.width()]), device);
        let reconstruction = net.forward(x.clone()); // [count, width]
        match self.config.loss {
            ReconstructionLoss::Mae => mean_absolute_error(reconstruction, x),
            ReconstructionLoss::Mse => (reconstruction - x).square().mean(),
        }
    }

    fn extract(
        &self,
        net: &Autoencoder,
        clips: &LogMels,
        device: &Device,
        progress: &dyn Fn(u64),
    ) -> Result<Extracted, Error> {
        let (width, n_mels) = (self.width(), self.train.n_mels());
        let mut features = Array2::zeros((clips.spans().len(), width));
        let mut proxy_terms = Vec::with_capacity(clips.spans().len());
        let (mut frames, mut bytes) = (Vec::new(), Vec::new());
        for (span, mut feature) in clips.spans().iter().zip(features.rows_mut()) {
            frames.resize(span.frames * n_mels, 0.0);
            clips.read_rows(span.first_row, &mut frames, &mut bytes)?;
            self.scaler.apply(&mut frames);
            let windows = span.frames + 1 - self.config.frames;
            let mut sums = vec![0.0_f64; width];
            for first in (0..windows).step_by(EXTRACT_WINDOWS) {
                let count = EXTRACT_WINDOWS.min(windows - first);
                let values = (first..first + count)
                    .flat_map(|window| &frames[window * n_mels..window * n_mels + width])
                    .copied()
                    .collect::<Vec<f32>>();
                let x = Tensor::<2>::from_data(TensorData::new(values, [count, width]), device);
                let error = (net.forward(x.clone()) - x).abs().sum_dim(0); // [1, width]
                let error = error.try_into_data().map_err(|e| Error::Device(e.to_string()))?;
                let error = error.try_into_vec::<f32>().map_err(|e| Error::Device(format!("{e:?}")))?;
                for (sum, value) in sums.iter_mut().zip(error) {
                    *sum += f64::from(value);
                }
            }
            for (value, sum) in feature.iter_mut().zip(&sums) {
                *value = (sum / windows as f64) as f32;
            }
            let mean = sums.iter().sum::<f64>() / (windows * width) as f64;
            proxy_terms.push((windows as f64, mean));
            progress(1);
        }
        Ok(Extracted { features, proxy_terms })
    }

    /// Mean absolute error over all time-frequency bins (study, equation 6), in the scale of the network's input.
    fn proxy(&self, terms: &[(f64, f64)]) -> Proxy {
        let windows: f64 = terms.iter().map(|(windows, _)| windows).sum();
        let value = (windows > 0.0).then(|| terms.iter().map(|(w, e)| w * e).sum::<f64>() / windows);
        Proxy {
            name: "mae".into(),
            value,
            higher_is_better: false,
            why: value.is_none().then(|| "no held-out normal clip".into()),
        }
    }
}
