//! Bring two views of a clip together (study, section III-E): SimCLR and SimSiam.
//!
//! Each view is drawn from a random stream of its own, named by (seed, epoch, view, clip), while the batch before it
//! trains. Proxy metrics on held-out normal clips, from fresh views: uniformity and alignment of the penultimate
//! features scaled to length 1. Feature of a clip: the penultimate layer, of the clip as it is.

use std::path::Path;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use ndarray::Array2;
use rayon::prelude::*;

use super::order::{EpochOrder, parts};
use super::{
    Error, Extracted, FeatureTask, HeldOut, Judged, LogMels, Proxy, ProxyTask, Sounds, Step, TrainingSet,
    host, images, loaders,
};
use crate::audio::{self, Augmenter, LogMelSpec, ViewScratch};
use crate::config::{ContrastiveConfig, ContrastiveMethod};
use crate::metric::{Undefined, alignment, uniformity};
use crate::nn::init::Init;
use crate::nn::loss::{negative_cosine, nt_xent, spread};
use crate::nn::projection::Projection;
use crate::nn::resnet::{ResNet, ResNetSize};
use crate::rng;

/// A spread below this share of a healthy one's, 1/√dim, is a collapse: all clips look alike to the network.
const COLLAPSED: f64 = 0.1;
/// A uniformity above this is a collapse: the mean squared distance of two clips' features is below 0.05.
const COLLAPSED_UNIFORMITY: f64 = -0.1;
/// Constants of alignment and uniformity (arXiv 2005.10242).
const ALPHA: f64 = 2.0;
const T: f64 = 2.0;
/// Held-out clips whose views go through the network at once.
const VIEWED_CLIPS: usize = 8;

/// A residual network and the heads that it is trained through.
#[derive(Module, Debug)]
pub struct ContrastiveNet {
    backbone: ResNet,
    projector: Projection,
    /// Of SimSiam.
    predictor: Option<Projection>,
}

/// The contrastive families.
pub struct ContrastiveTask<'a> {
    config: &'a ContrastiveConfig,
    part_size: usize,
    train: &'a TrainingSet,
    logmels: &'a LogMels,
    augmenter: Augmenter,
}

impl<'a> ContrastiveTask<'a> {
    /// The task of one machine type.
    ///
    /// # Errors
    /// [`Error::TooFew`] with one clip, [`Error::Clip`] for settings that allow no views.
    pub fn new(
        config: &'a ContrastiveConfig,
        front_end: &LogMelSpec,
        part_size: usize,
        train: &'a TrainingSet,
    ) -> Result<Self, Error> {
        let logmels = train.sounds().logmels()?;
        let clips = logmels.spans().len();
        if clips < 2 {
            return Err(Error::TooFew { machine: train.clips().machine().to_owned(), found: clips });
        }
        let augmenter = Augmenter::new(front_end, &config.augment, config.frames).map_err(Error::Views)?;
        Ok(Self { config, part_size, train, logmels, augmenter })
    }

    fn size(&self) -> ResNetSize {
        ResNetSize { backbone: self.config.backbone, width: self.config.width }
    }

    fn n_mels(&self) -> usize {
        self.logmels.n_mels()
    }

    /// Two views of each clip, `[2, clips, mels, frames]`; view `v` of clip `n` comes from the stream (`seed`,
    /// `purpose`/v, `clips[n].1`).
    fn views(
        &self,
        root: &Path,
        clips: &[(&Path, u64)],
        seed: u64,
        purpose: &str,
    ) -> Result<Vec<f32>, Error> {
        let (n_mels, frames) = (self.n_mels(), self.config.frames);
        let size = n_mels * frames;
        let mut images = vec![0.0; 2 * clips.len() * size];
        let (first, second) = images.split_at_mut(clips.len() * size);
        let one = |scratch: &mut (ViewScratch, Vec<f32>), (pair, clip): ([&mut [f32]; 2], &(&Path, u64))| {
            let (scratch, rows) = scratch;
            let path = root.join(clip.0);
            let samples = self.augmenter.front_end().read_clip(&path, self.train.channel())?;
            rows.resize(size, 0.0);
            for (view, image) in pair.into_iter().enumerate() {
                let mut stream = rng::stream(seed, &format!("{purpose}/{view}"), clip.1);
                let plan = self.augmenter.draw(samples.len(), &mut stream);
                self.augmenter.view_into(&samples, &plan, scratch, rows).map_err(|e| e.in_file(&path))?;
                self.train.scaler().apply(rows);
                images::fill(image, rows, n_mels, 0);
            }
            Ok::<(), audio::Error>(())
        };
        let pairs = first.par_chunks_mut(size).zip(second.par_chunks_mut(size));
        let pairs = pairs.map(|(first, second)| [first, second]).zip(clips);
        loaders::each(pairs, |scratch, pair| one(scratch, pair).map_err(Error::Lost))?;
        Ok(images)
    }

    /// Features of both views of clips, on an inference device.
    fn features_of_views(
        &self,
        net: &ContrastiveNet,
        held_out: &HeldOut<'_, ()>,
        device: &Device,
    ) -> Result<[Array2<f64>; 2], Error> {
        let dim = self.size().features();
        let mut values = [Vec::new(), Vec::new()];
        let clips: Vec<(&Path, u64)> =
            held_out.clips.iter().enumerate().map(|(n, clip)| (clip.path.as_path(), n as u64)).collect();
        for some in clips.chunks(VIEWED_CLIPS) {
            // One fixed seed: the same views whatever the run's.
            let images = self.views(held_out.root, some, 0, "held-out view")?;
            for (images, values) in images.chunks_exact(images.len() / 2).zip(&mut values) {
                let x = images::tensor(images.to_vec(), some.len(), self.n_mels(), device);
                values.extend(host(net.backbone.forward(x))?.into_iter().map(f64::from));
            }
        }
        let matrix = |values| Array2::from_shape_vec((clips.len(), dim), values);
        let [first, second] = values.map(matrix);
        let failed = |e: ndarray::ShapeError| Error::Device(e.to_string());
        Ok([first.map_err(failed)?, second.map_err(failed)?])
    }
}

/// Views on the host.
#[derive(Debug)]
pub struct Batch {
    /// `[2, count, mels, frames]`.
    images: Vec<f32>,
    count: usize,
}

impl ProxyTask for ContrastiveTask<'_> {
    /// Of positions among the good clips.
    type Order = EpochOrder<usize>;
    type Batch = Batch;

    fn net(&self, init: Init<'_>) -> ContrastiveNet {
        let features = self.size().features();
        let hidden = self.config.projector_hidden.unwrap_or(features);
        let out = self.config.projection;
        ContrastiveNet {
            backbone: ResNet::new(self.size(), init),
            projector: Projection::new("projector", features, &[hidden, hidden], out, init),
            predictor: (self.config.method == ContrastiveMethod::Simsiam)
                .then(|| Projection::new("predictor", out, &[self.config.predictor_hidden], out, init)),
        }
    }

    fn batches(&self) -> usize {
        parts(self.logmels.spans().len(), self.part_size)
    }

    fn order(&self, seed: u64, epoch: usize) -> EpochOrder<usize> {
        EpochOrder::shuffled((0..self.logmels.spans().len()).collect(), seed, epoch)
    }

    fn batch(&self, order: &EpochOrder<usize>, index: usize) -> Result<Batch, Error> {
        let chosen = order.part(index, self.part_size);
        let spans = self.logmels.spans();
        let clips: Vec<(&Path, u64)> =
            chosen.iter().map(|&clip| (Path::new(&spans[clip].path), clip as u64)).collect();
        let purpose = format!("view/{}", order.epoch());
        let images = self.views(self.train.clips().root(), &clips, order.seed(), &purpose)?;
        Ok(Batch { images, count: chosen.len() })
    }

    fn clips_of(&self, order: &EpochOrder<usize>, index: usize) -> Vec<String> {
        let spans = self.logmels.spans();
        order.part(index, self.part_size).iter().map(|&clip| spans[clip].path.clone()).collect()
    }

    fn examples(&self, batch: &Batch) -> usize {
        batch.count
    }

    fn step(&self, net: &ContrastiveNet, batch: Batch, device: &Device) -> Step {
        let count = batch.count;
        match &net.predictor {
            // As in the papers: SimCLR's batch statistics are of both views together, SimSiam's of each.
            None => {
                let x = images::tensor(batch.images, 2 * count, self.n_mels(), device);
                let z = net.projector.forward(net.backbone.forward(x)); // [2·count, projection]
                let [first, second]: [Tensor<2>; 2] =
                    [0, 1].map(|view| z.clone().narrow(0, view * count, count));
                let signal = spread(first.clone());
                Step::from(nt_xent(first, second, self.config.temperature)).with_signals(signal)
            }
            Some(predictor) => {
                let mut images = batch.images;
                let second = images.split_off(images.len() / 2);
                let z = [images, second].map(|images| {
                    let x = images::tensor(images, count, self.n_mels(), device);
                    net.projector.forward(net.backbone.forward(x)) // [count, projection]
                });
                let p = z.clone().map(|z| predictor.forward(z));
                let signal = spread(z[0].clone());
                Step::from(negative_cosine(p, z)).with_signals(signal)
            }
        }
    }

    fn signals(&self) -> &'static [&'static str] {
        &["projection_std"]
    }

    fn warning(&self, _epoch: usize, signals: &[f64]) -> Option<String> {
        let healthy = 1.0 / (self.config.projection as f64).sqrt();
        let std = *signals.first()?;
        (std < COLLAPSED * healthy).then(|| {
            format!(
                "the network has collapsed: projections of different clips differ by {std:.1e} per dimension, \
                 healthy ones by about {healthy:.1e}"
            )
        })
    }
}

impl FeatureTask for ContrastiveTask<'_> {
    type Net = ContrastiveNet;
    type Term = ();

    fn extract(
        &self,
        net: &ContrastiveNet,
        clips: &Sounds,
        device: &Device,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<Extracted<()>, Error> {
        let clips = clips.logmels()?;
        let (dim, scaler) = (self.size().features(), self.train.scaler());
        let forward = |x| Ok(net.backbone.forward(x));
        let features = images::extract(clips, scaler, device, progress, dim, forward)?;
        Ok(Extracted { features, terms: vec![(); clips.spans().len()] })
    }

    fn proxies(
        &self,
        net: &ContrastiveNet,
        held_out: &HeldOut<'_, ()>,
        _trained: &Extracted<()>,
        device: &Device,
    ) -> Result<Judged, Error> {
        if held_out.clips.is_empty() {
            let none = || Err("no held-out normal clip".to_owned());
            return Ok(
                vec![Proxy::new("uniformity", none(), false), Proxy::new("alignment", none(), false)].into()
            );
        }
        let [first, second] = self.features_of_views(net, held_out, device)?;
        let uniform = uniformity(first.view(), T);
        // A feature of nothing but zeros is the end of all learning, and has no direction to measure.
        let collapsed = match &uniform {
            Ok(value) => *value > COLLAPSED_UNIFORMITY,
            Err(why) => matches!(why, Undefined::ZeroVector { .. }),
        };
        let uniform = uniform.map_err(|e| e.to_string());
        let aligned = alignment(first.view(), second.view(), ALPHA).map_err(|e| e.to_string());
        let note = collapsed.then(|| {
            "all clips have nearly one feature: the network has collapsed, or was hardly trained".to_owned()
        });
        Ok(vec![
            Proxy::new("uniformity", uniform, false).noted(note),
            Proxy::new("alignment", aligned, false),
        ]
        .into())
    }
}
