//! Find a machine's sound in a mixture with another machine's (study, section III-D), with CMGAN's generator.
//!
//! Each example is drawn from a random stream of its own, named by (seed, epoch, clip), while the batch before it trains:
//! a place in one of the machine's clips, at the level that it was recorded at, and a place in any interfering recording,
//! scaled to a drawn ratio. The network itself divides a mixture by its RMS and multiplies what it finds by it. Proxy
//! metrics: the improvement of the SI-SDR over the mixture's on held-out normal clips mixed with held-out interference,
//! over all mixtures and at each level. Feature of a clip: the maps at the network's N + 1 extraction points, pooled, of
//! the clip as it is.

mod features;
mod judge;
mod mixtures;
mod recording;

pub use recording::{estimate, fit, segments};

use burn::tensor::{Device, Tensor, TensorData};
use rand::Rng;

use super::order::{EpochOrder, parts};
use super::{
    Error, Extracted, FeatureTask, HeldOut, Interference, Judged, Proxy, ProxyTask, Sounds, Step,
    TrainingSet, Waves, loaders,
};
use crate::config::{SeparationConfig, SeparationEvalConfig, SeparationLoss, TrainConfig};
use crate::nn::cmgan::{Cmgan, Pass};
use crate::nn::init::Init;
use crate::nn::loss::{si_sdr, spectral};
use crate::rng;
use features::Extraction;
use judge::Judge;
use mixtures::Mixer;

/// Bytes of one map of all waves that go through the network at once where nothing is trained: 8 waves of 2 s with 64
/// channels. Several such maps are there at a time.
const MAP_BYTES: usize = 64 << 20;
/// Waves that go through the network at once at most, so that progress is seen.
const WAVES: usize = 64;
/// Epochs in which a network may still be worse than nothing without a word.
const UNSETTLED: usize = 5;

/// The separation family.
pub struct SeparationTask<'a> {
    config: &'a SeparationConfig,
    train: &'a TrainConfig,
    eval: &'a SeparationEvalConfig,
    machine: &'a str,
    waves: &'a Waves,
    interference: &'a Interference,
    /// Samples of a mixture, and of a feature's segment.
    samples: usize,
}

impl<'a> SeparationTask<'a> {
    /// The task of one machine type.
    ///
    /// # Errors
    /// [`Error::TooFew`] with one clip.
    pub fn new(
        config: &'a SeparationConfig,
        train: &'a TrainConfig,
        eval: &'a SeparationEvalConfig,
        set: &'a TrainingSet,
        interference: &'a Interference,
    ) -> Result<Self, Error> {
        let waves = set.sounds().waves()?;
        let (machine, found) = (set.clips().machine(), waves.clips().len());
        if found < 2 {
            return Err(Error::TooFew { machine: machine.to_owned(), found });
        }
        let samples = config.segment_samples(waves.rate_hz());
        Ok(Self { config, train, eval, machine, waves, interference, samples })
    }

    /// Waves that go through the network at once where nothing is trained.
    fn at_once(&self) -> usize {
        let SeparationConfig { channels, n_fft, hop_samples, .. } = *self.config;
        let (frames, bins) = (self.samples / hop_samples + 1, n_fft / 4 + 1); // the encoder halves the bins
        (MAP_BYTES / (channels * frames * bins * size_of::<f32>())).clamp(1, WAVES)
    }
}

/// Mixtures on the host.
#[derive(Debug)]
pub struct Batch {
    /// `[count, samples]`.
    mixtures: Vec<f32>,
    /// `[count, samples]`.
    targets: Vec<f32>,
    count: usize,
    /// Seed of the step's dropout.
    dropout: u64,
}

impl ProxyTask for SeparationTask<'_> {
    type Order = EpochOrder<usize>;
    type Batch = Batch;

    fn net(&self, init: Init<'_>) -> Cmgan {
        Cmgan::new(self.config.size(), init)
    }

    fn batches(&self) -> usize {
        parts(self.waves.clips().len(), self.train.part_size())
    }

    fn order(&self, seed: u64, epoch: usize) -> EpochOrder<usize> {
        EpochOrder::shuffled((0..self.waves.clips().len()).collect(), seed, epoch)
    }

    fn batch(&self, order: &EpochOrder<usize>, index: usize) -> Result<Batch, Error> {
        let (seed, epoch) = (order.seed(), order.epoch());
        let clips = order.part(index, self.train.part_size());
        let mixer =
            Mixer { targets: self.waves, interference: self.interference.train(), samples: self.samples };
        let snr_db = [self.config.min_snr_db, self.config.max_snr_db];
        let drawn = loaders::each(clips, |_: &mut (), &clip| {
            mixer.draw(clip, snr_db, &mut rng::stream(seed, &format!("mixture/{epoch}"), clip as u64))
        })?;
        let (mut mixtures, mut targets) = (Vec::new(), Vec::new());
        for one in drawn {
            mixtures.extend(one.mixture);
            targets.extend(one.target);
        }
        let dropout = rng::stream(seed, &format!("dropout/{epoch}"), index as u64).next_u64();
        Ok(Batch { mixtures, targets, count: clips.len(), dropout })
    }

    /// The machine's clips; what they are mixed with is drawn while the batch is made.
    fn clips_of(&self, order: &EpochOrder<usize>, index: usize) -> Vec<String> {
        let clips = self.waves.clips();
        order.part(index, self.train.part_size()).iter().map(|&clip| clips[clip].path.clone()).collect()
    }

    fn examples(&self, batch: &Batch) -> usize {
        batch.count
    }

    fn step(&self, net: &Cmgan, batch: Batch, device: &Device) -> Step {
        let shape = [batch.count, self.samples];
        let waves = |values| Tensor::<2>::from_data(TensorData::new(values, shape), device);
        let (mixture, target) = (waves(batch.mixtures), waves(batch.targets));
        let pass = Pass::Train { dropout: batch.dropout };
        let (found, below) = match self.train.checkpoint_blocks {
            true => {
                let (found, below) = net.separate_in_segments(mixture.clone(), pass);
                (found, Some(below))
            }
            false => (net.separate(mixture.clone(), pass), None),
        };
        let zero_mean = self.config.zero_mean;
        let ratio = |wave: Tensor<2>| si_sdr(wave, target.clone(), zero_mean); // [count, 1]
        let ratio_found = ratio(found.wave);
        let improvement = (ratio_found.clone().detach() - ratio(mixture)).mean();
        let loss = match self.config.loss {
            SeparationLoss::SiSdr => ratio_found.mean().neg(),
            SeparationLoss::Spectral => spectral(found.spectrum, net.spectrum(target, found.rms)),
        };
        let step = Step::from(loss).with_signals(improvement);
        match below {
            Some(below) => step.through_segments(below),
            None => step,
        }
    }

    fn signals(&self) -> &'static [&'static str] {
        &[judge::IMPROVEMENT]
    }

    fn warning(&self, epoch: usize, signals: &[f64]) -> Option<String> {
        let improvement = *signals.first()?;
        // A fresh network's estimates are worse than the mixtures, which is no news, unless it stays so to the end.
        let epochs = self.train.epochs;
        let settled = epoch == epochs || epoch > epochs.div_ceil(10).max(UNSETTLED);
        (improvement <= 0.0 && settled).then(|| {
            format!(
                "the estimates are no nearer to the machine than the mixtures are: SI-SDR improvement {improvement:.2} dB"
            )
        })
    }
}

impl FeatureTask for SeparationTask<'_> {
    type Net = Cmgan;
    type Term = ();

    fn extract(
        &self,
        net: &Cmgan,
        clips: &Sounds,
        device: &Device,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<Extracted<()>, Error> {
        let clips = clips.waves()?;
        let SeparationConfig { pool, segments, .. } = *self.config;
        let extraction = Extraction { samples: self.samples, segments, pool, at_once: self.at_once() };
        let features = extraction.features(net, clips, device, progress)?;
        Ok(Extracted { features, terms: vec![(); clips.clips().len()] })
    }

    fn proxies(
        &self,
        net: &Cmgan,
        held_out: &HeldOut<'_, ()>,
        _trained: &Extracted<()>,
        device: &Device,
    ) -> Result<Judged, Error> {
        if held_out.clips.is_empty() {
            let none = |name: &String| Proxy::new(name, Err("no held-out normal clip".to_owned()), true);
            return Ok(judge::names(self.eval).iter().map(none).collect::<Vec<_>>().into());
        }
        let judge = Judge {
            mixer: Mixer {
                targets: held_out.sounds.waves()?,
                interference: self.interference.held_out()?,
                samples: self.samples,
            },
            remark: self.interference.remark(),
            clips: &held_out.positions,
            machine: self.machine,
            settings: self.eval,
            zero_mean: self.config.zero_mean,
            at_once: self.at_once(),
            progress: held_out.progress,
        };
        judge.judge(net, device)
    }

    fn tables(&self) -> &'static [&'static str] {
        &[judge::TABLE]
    }
}
