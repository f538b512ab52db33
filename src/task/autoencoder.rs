//! Reconstruct windows of log-mel frames (study, section III-B).
//!
//! A window is 5 neighbouring frames, 640 values. Loss: mean absolute (or squared) error. Proxy metric: mean absolute
//! error on held-out normal clips. Feature of a clip: its windows' element-wise absolute errors, averaged: 640 values.

use std::collections::BTreeSet;

use burn::tensor::{Device, Tensor, TensorData};
use ndarray::{Array2, ArrayViewMut1, Axis};
use rayon::prelude::*;

use super::logmels::Span;
use super::order::{EpochOrder, parts};
use super::{
    Error, Extracted, FeatureTask, HeldOut, Judged, LogMels, Proxy, ProxyTask, Scaler, Sounds, Step, host,
};
use crate::config::{AutoencoderConfig, ReconstructionLoss};
use crate::nn::autoencoder::{Autoencoder, AutoencoderSize};
use crate::nn::init::Init;
use crate::nn::kernels::{self, mean_absolute_error};

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

    /// The feature of one clip into `feature`; its windows and their mean absolute error.
    fn extract_clip(
        &self,
        net: &Autoencoder,
        clips: &LogMels,
        span: &Span,
        device: &Device,
        frames: &mut Vec<f32>,
        mut feature: ArrayViewMut1<'_, f32>,
    ) -> Result<(f64, f64), Error> {
        let (width, n_mels) = (self.width(), self.train.n_mels());
        frames.resize(span.frames * n_mels, 0.0);
        clips.read_rows(span.first_row, frames)?;
        self.scaler.apply(frames);
        let windows = span.frames + 1 - self.config.frames;
        let mut sums = vec![0.0_f64; width];
        for first in (0..windows).step_by(EXTRACT_WINDOWS) {
            let count = EXTRACT_WINDOWS.min(windows - first);
            let mut values = Vec::with_capacity(count * width);
            for window in first..first + count {
                values.extend_from_slice(&frames[window * n_mels..window * n_mels + width]);
            }
            let x = Tensor::<2>::from_data(TensorData::new(values, [count, width]), device);
            let error = (net.forward(x.clone()) - x).abs().sum_dim(0); // [1, width]
            for (sum, value) in sums.iter_mut().zip(host(error)?) {
                *sum += f64::from(value);
            }
        }
        for (value, sum) in feature.iter_mut().zip(&sums) {
            *value = (sum / windows as f64) as f32;
        }
        Ok((windows as f64, sums.iter().sum::<f64>() / (windows * width) as f64))
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
    /// Of the first rows of all windows.
    type Order = EpochOrder<u64>;
    type Batch = Windows;

    fn net(&self, init: Init<'_>) -> Autoencoder {
        Autoencoder::new(Self::size(self.config, self.train.n_mels()), init)
    }

    fn batches(&self) -> usize {
        parts(self.windows, self.batch_size)
    }

    fn order(&self, seed: u64, epoch: usize) -> EpochOrder<u64> {
        let of_clip = |frames: usize, first_row: u64| {
            (0..=(frames - self.config.frames) as u64).map(move |r| first_row + r)
        };
        let rows = self.train.spans().iter().flat_map(|span| of_clip(span.frames, span.first_row));
        EpochOrder::shuffled(rows.collect(), seed, epoch)
    }

    fn batch(&self, order: &EpochOrder<u64>, index: usize) -> Result<Windows, Error> {
        let rows = order.part(index, self.batch_size);
        let width = self.width();
        let mut values = vec![0.0; rows.len() * width];
        for (row, window) in rows.iter().zip(values.chunks_exact_mut(width)) {
            // Frames lie one behind the other, so a window is one piece of the file.
            self.train.read_rows(*row, window)?;
        }
        self.scaler.apply(&mut values);
        Ok(Windows { values, count: rows.len() })
    }

    fn clips_of(&self, order: &EpochOrder<u64>, index: usize) -> Vec<String> {
        let spans = self.train.spans();
        // The last clip that begins at the row or before it.
        let clip = |row: &u64| spans.partition_point(|span| span.first_row <= *row).checked_sub(1);
        let clips: BTreeSet<usize> = order.part(index, self.batch_size).iter().filter_map(clip).collect();
        clips.into_iter().map(|clip| spans[clip].path.clone()).collect()
    }

    fn examples(&self, batch: &Windows) -> usize {
        batch.count
    }

    fn step(&self, net: &Autoencoder, batch: Windows, device: &Device) -> Step {
        let x = Tensor::<2>::from_data(TensorData::new(batch.values, [batch.count, self.width()]), device);
        let reconstruction = net.forward(x.clone()); // [count, width]
        match self.config.loss {
            ReconstructionLoss::Mae => mean_absolute_error(reconstruction, x).into(),
            ReconstructionLoss::Mse => (reconstruction - x).square().mean().into(),
        }
    }
}

impl FeatureTask for AutoencoderTask<'_> {
    type Net = Autoencoder;
    /// A clip's windows and their mean absolute error.
    type Term = (f64, f64);

    fn extract(
        &self,
        net: &Autoencoder,
        clips: &Sounds,
        device: &Device,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<Extracted<(f64, f64)>, Error> {
        let clips = clips.logmels()?;
        let spans = clips.spans();
        let mut features = Array2::zeros((spans.len(), self.width()));
        let one = |frames: &mut Vec<f32>, (feature, span): (ArrayViewMut1<'_, f32>, &Span)| {
            let term = self.extract_clip(net, clips, span, device, frames, feature);
            progress(1);
            term
        };
        let rows = features.axis_iter_mut(Axis(0));
        let terms = match kernels::serve(device) {
            // Clips side by side, each as it would be alone: small products gain little from a second thread.
            // Of several errors the first clip's is told, not the first in time.
            true => {
                let all: Vec<_> = rows.into_par_iter().zip(spans).map_init(Vec::new, one).collect();
                all.into_iter().collect::<Result<_, _>>()
            }
            false => {
                let mut frames = Vec::new();
                rows.into_iter().zip(spans).map(|pair| one(&mut frames, pair)).collect()
            }
        }?;
        Ok(Extracted { features, terms })
    }

    /// Mean absolute error over all time-frequency bins (study, equation 6), in the scale of the network's input.
    fn proxies(
        &self,
        _net: &Autoencoder,
        held_out: &HeldOut<'_, (f64, f64)>,
        _trained: &Extracted<(f64, f64)>,
        _device: &Device,
    ) -> Result<Judged, Error> {
        Ok(vec![Proxy::new("mae", mean_error(&held_out.terms), false)].into())
    }
}

/// Windows weigh alike, whatever clip they are of.
fn mean_error(terms: &[(f64, f64)]) -> Result<f64, String> {
    let windows: f64 = terms.iter().map(|(windows, _)| windows).sum();
    match windows > 0.0 {
        true => Ok(terms.iter().map(|(windows, error)| windows * error).sum::<f64>() / windows),
        false => Err("no held-out normal clip".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::{LogMelSpec, windows};
    use crate::config::{OnBadClip, Scale};
    use crate::task::logmels::tests::Place;
    use ndarray::ArrayView2;

    fn small() -> AutoencoderConfig {
        AutoencoderConfig { hidden: 6, bottleneck: 2, layers: 1, ..AutoencoderConfig::default() }
    }

    fn sounds(place: &Place) -> Sounds {
        // 16 bands: windows of 80 values. Clips of 5, 9 and 5 frames: 1 + 5 + 1 windows.
        let spec = LogMelSpec { n_mels: 16, ..LogMelSpec::default() };
        Sounds::LogMels(place.open(&spec, OnBadClip::Error).unwrap())
    }

    #[test]
    fn an_epoch_shows_every_window_once_in_an_order_of_its_own() {
        let place = Place::new();
        let sounds = sounds(&place);
        let train = sounds.logmels().unwrap();
        let scaler = Scaler::new(Scale::MinMax, train.statistics());
        let config = small();
        let task = AutoencoderTask::new("pump", &config, 3, train, scaler).unwrap();
        assert_eq!((task.windows(), task.batches()), (7, 2), "a last batch of one window is left out");
        let rows = |seed, epoch| task.order(seed, epoch).part(0, 7).to_vec();
        let order = rows(1, 0);
        let mut sorted = order.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, [0, 5, 6, 7, 8, 9, 14]);
        assert!(order != rows(1, 1) && order == rows(1, 0) && order != rows(2, 0));

        let mut all = vec![0.0; 19 * 16];
        train.read_rows(0, &mut all).unwrap();
        let batch = task.batch(&task.order(1, 0), 1).unwrap();
        assert_eq!(task.examples(&batch), 3);
        let row = order[3] as usize;
        let mut expected = all[row * 16..(row + 5) * 16].to_vec();
        scaler.apply(&mut expected);
        assert_eq!(batch.values[..80], expected);
        assert!(batch.values.iter().all(|value| (0.0..=1.0).contains(value)));
    }

    #[test]
    fn a_feature_is_the_mean_absolute_error_of_the_clips_windows() {
        let place = Place::new();
        let sounds = sounds(&place);
        let train = sounds.logmels().unwrap();
        let scaler = Scaler::new(Scale::MinMax, train.statistics());
        let config = small();
        let task = AutoencoderTask::new("pump", &config, 4, train, scaler).unwrap();
        let device = Device::flex();
        let net = task.net(Init::new(3, &device));
        let found = task.extract(&net, &sounds, &device, &|_| {}).unwrap();

        let mut frames = vec![0.0; 9 * 16];
        train.read_rows(5, &mut frames).unwrap();
        scaler.apply(&mut frames);
        let view = windows(ArrayView2::from_shape((9, 16), &frames).unwrap(), 5).unwrap();
        let values: Vec<f32> = view.iter().copied().collect();
        let x = Tensor::<2>::from_data(TensorData::new(values, [5, 80]), &device);
        let expected =
            (net.forward(x.clone()) - x).abs().mean_dim(0).into_data().try_into_vec::<f32>().unwrap();
        for (found, expected) in found.features.row(1).iter().zip(&expected) {
            // A mean of five in f64 beside one in f32.
            assert!((found - expected).abs() < 1e-6, "{found} {expected}");
        }
        // Windows weigh alike, whatever clip they are of: 1, 5 and 1 of 7.
        let means: Vec<f64> =
            found.features.rows().into_iter().map(|row| f64::from(row.mean().unwrap())).collect();
        let proxy = mean_error(&found.terms).unwrap();
        assert!((proxy - (means[0] + 5.0 * means[1] + means[2]) / 7.0).abs() < 1e-6, "{proxy} {means:?}");
        assert!(mean_error(&[]).is_err());
    }
}
