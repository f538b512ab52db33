//! Name the class of a clip (study, section III-C): its section, its machine type and section, or its attributes.
//!
//! Loss: cross-entropy on a linear head, or an angular one. Proxy metric: macro F1 on held-out normal clips of classes
//! that were trained on; with an angular loss that of a linear classifier on the frozen backbone. Feature of a clip:
//! the penultimate layer, 512 or 2,048 values.

use std::collections::{BTreeMap, BTreeSet};

use burn::module::Module;
use burn::tensor::{Device, Int, Tensor};
use rand::RngExt;

use super::linear_phase::{classify, largest};
use super::order::{EpochOrder, parts};
use super::{
    Error, Extracted, FeatureTask, HeldOut, Judged, Proxy, ProxyTask, Sounds, Step, TrainingSet, host, images,
};
use crate::config::{ClassLabel, ClassificationConfig, ClassificationLoss, TrainConfig};
use crate::dataset::Clip;
use crate::metric::macro_f1_of;
use crate::nn::arcface::{ArcFace, ArcFaceSize};
use crate::nn::init::Init;
use crate::nn::linear::Linear;
use crate::nn::loss::cross_entropy;
use crate::nn::resnet::{ResNet, ResNetSize};
use crate::rng;

/// A residual network and its classifier. In files, the network's parameters have torchvision's names.
#[derive(Module, Debug)]
pub struct Classifier {
    backbone: ResNet,
    /// Of the cross-entropy; torchvision's name.
    fc: Option<Linear>,
    /// Of the angular losses.
    arcface: Option<ArcFace>,
}

/// One clip to learn from.
#[derive(Debug, Clone, Copy)]
struct Example {
    /// Which training set.
    set: usize,
    /// Position among its good clips.
    clip: usize,
    class: usize,
}

/// The classification family.
pub struct ClassificationTask<'a> {
    config: &'a ClassificationConfig,
    training: &'a TrainConfig,
    sets: &'a [TrainingSet],
    /// Which of the sets is of the machine type that is judged.
    own: usize,
    /// Names of the classes, sorted.
    classes: Vec<String>,
    /// Those of the machine type that is judged, ascending: a clip of it is named as one of these.
    own_classes: BTreeSet<usize>,
    examples: Vec<Example>,
    n_mels: usize,
    remarks: Vec<String>,
}

impl<'a> ClassificationTask<'a> {
    /// The task of machine type `own` of `sets`; all sets are learnt, or only that one, as the configuration says.
    ///
    /// # Errors
    /// [`Error::Labels`] when there are fewer than two classes or a clip has no label.
    pub fn new(
        config: &'a ClassificationConfig,
        training: &'a TrainConfig,
        sets: &'a [TrainingSet],
        own: usize,
    ) -> Result<Self, Error> {
        let learnt = |set: usize| config.label == ClassLabel::MachineSection || set == own;
        let mut named = Vec::new();
        for (set, training) in sets.iter().enumerate().filter(|(set, _)| learnt(*set)) {
            for (clip, of) in training.good_clips().enumerate() {
                named.push((set, clip, class_name(config.label, of)));
            }
        }
        let machine = sets[own].clips().machine();
        if config.label == ClassLabel::Attribute && sets[own].good_clips().all(|c| c.attributes.is_empty()) {
            return Err(Error::Labels(format!(
                "no clip of machine `{machine}` has attributes in its name or in a table; set task.classification.label = \"section\""
            )));
        }
        let mut clips_of: BTreeMap<&str, usize> = BTreeMap::new();
        named.iter().for_each(|(_, _, name)| *clips_of.entry(name).or_default() += 1);
        let classes: Vec<String> = clips_of.keys().map(|&name| name.to_owned()).collect();
        if classes.len() < 2 {
            return Err(Error::Labels(format!(
                "machine `{machine}` has the one class `{}` to learn, and a classifier needs two; {}leave the machine out",
                classes.first().map_or("", String::as_str),
                match config.label {
                    ClassLabel::Section =>
                        "set task.classification.label to \"machine-section\" or \"attribute\", or ",
                    ClassLabel::MachineSection | ClassLabel::Attribute => "",
                }
            )));
        }
        let mut remarks = Vec::new();
        let single: Vec<String> =
            clips_of.iter().filter(|(_, n)| **n == 1).map(|(name, _)| format!("`{name}`")).collect();
        if let Some(first) = single.first() {
            let others =
                if single.len() > 1 { format!(" and {} others", single.len() - 1) } else { String::new() };
            remarks.push(format!("machine `{machine}`: class {first}{others}: one training clip only"));
        }
        let unnamed = sets[own].good_clips().filter(|clip| clip.attributes.is_empty()).count();
        if config.label == ClassLabel::Attribute && unnamed > 0 {
            remarks.push(format!(
                "machine `{machine}`: {unnamed} training clips have no attributes and are classes by section"
            ));
        }
        let class = |name: &String| classes.binary_search(name).unwrap_or_default();
        let examples =
            named.iter().map(|(set, clip, name)| Example { set: *set, clip: *clip, class: class(name) });
        let examples: Vec<Example> = examples.collect();
        let own_classes: BTreeSet<usize> =
            examples.iter().filter(|example| example.set == own).map(|example| example.class).collect();
        let n_mels = sets[own].sounds().logmels()?.n_mels();
        Ok(Self { config, training, sets, own, classes, own_classes, examples, n_mels, remarks })
    }

    fn size(&self) -> ResNetSize {
        ResNetSize { backbone: self.config.backbone, width: self.config.width }
    }

    /// The likeliest of the machine type's own classes.
    fn named(&self, logits: &[f32]) -> usize {
        let own: Vec<f32> = self.own_classes.iter().map(|&class| logits[class]).collect();
        self.own_classes.iter().nth(largest(&own)).copied().unwrap_or_default()
    }

    /// The class of a clip, where it was learnt.
    fn class_of(&self, clip: &Clip) -> Option<usize> {
        self.classes.binary_search(&class_name(self.config.label, clip)).ok()
    }
}

/// What a clip is to be recognised as.
fn class_name(label: ClassLabel, clip: &Clip) -> String {
    match label {
        ClassLabel::Section => clip.section.clone(),
        ClassLabel::MachineSection => format!("{} {}", clip.machine, clip.section),
        ClassLabel::Attribute => {
            let attributes = clip.attributes.iter().map(|(key, value)| format!(" {key}={value}"));
            format!("{}{}", clip.section, attributes.collect::<String>())
        }
    }
}

/// Scaled log-mels and their classes on the host.
#[derive(Debug)]
pub struct Batch {
    /// `[count, mels, frames]`.
    images: Vec<f32>,
    classes: Vec<i64>,
}

impl ProxyTask for ClassificationTask<'_> {
    /// Of positions among the examples.
    type Order = EpochOrder<usize>;
    type Batch = Batch;

    fn net(&self, init: Init<'_>) -> Classifier {
        let (dim, classes) = (self.size().features(), self.classes.len());
        let margin = &self.config.margin;
        let arcface = |centers| {
            let (scale, margin) = (margin.scale, margin.margin);
            ArcFace::new("arcface", ArcFaceSize { dim, classes, centers, scale, margin }, init)
        };
        let (fc, arcface) = match self.config.loss {
            ClassificationLoss::CrossEntropy => (Some(Linear::new("fc", dim, classes, init)), None),
            ClassificationLoss::Arcface => (None, Some(arcface(1))),
            ClassificationLoss::SubcenterArcface => (None, Some(arcface(margin.subcenters))),
        };
        Classifier { backbone: ResNet::new(self.size(), init), fc, arcface }
    }

    fn batches(&self) -> usize {
        parts(self.examples.len(), self.training.part_size())
    }

    fn order(&self, seed: u64, epoch: usize) -> EpochOrder<usize> {
        EpochOrder::shuffled((0..self.examples.len()).collect(), seed, epoch)
    }

    fn batch(&self, order: &EpochOrder<usize>, index: usize) -> Result<Batch, Error> {
        let chosen = order.part(index, self.training.part_size());
        let (n_mels, frames) = (self.n_mels, self.config.frames);
        let mut images = vec![0.0; chosen.len() * n_mels * frames];
        let mut rows = Vec::new();
        for (number, image) in chosen.iter().zip(images.chunks_exact_mut(n_mels * frames)) {
            let example = self.examples[*number];
            let set = &self.sets[example.set];
            let logmels = set.sounds().logmels()?;
            let span = &logmels.spans()[example.clip];
            let kept = span.frames.min(frames);
            let start = match span.frames - kept {
                0 => 0,
                spare => {
                    let draw = format!("crop/{}", order.epoch());
                    rng::stream(order.seed(), &draw, *number as u64).random_range(0..=spare as u64)
                }
            };
            rows.resize(kept * n_mels, 0.0);
            logmels.read_rows(span.first_row + start, &mut rows)?;
            set.scaler().apply(&mut rows);
            images::fill(image, &rows, n_mels, 0);
        }
        let classes = chosen.iter().map(|number| self.examples[*number].class as i64).collect();
        Ok(Batch { images, classes })
    }

    fn clips_of(&self, order: &EpochOrder<usize>, index: usize) -> Vec<String> {
        let examples =
            order.part(index, self.training.part_size()).iter().map(|number| self.examples[*number]);
        let path = |example: Example| {
            let good = self.sets[example.set].sounds().good().nth(example.clip)?;
            Some(good.path.to_owned())
        };
        examples.filter_map(path).collect()
    }

    fn examples(&self, batch: &Batch) -> usize {
        batch.classes.len()
    }

    fn step(&self, net: &Classifier, batch: Batch, device: &Device) -> Step {
        let targets = Tensor::<1, Int>::from_data(batch.classes.as_slice(), device);
        let x = images::tensor(batch.images, batch.classes.len(), self.n_mels, device);
        let features = net.backbone.forward(x); // [batch, features]
        // Right or wrong without the margin, as it will be used.
        let (logits, plain) = match (&net.fc, &net.arcface) {
            (Some(fc), _) => {
                let logits = fc.forward(features);
                (logits.clone(), logits)
            }
            (None, Some(arcface)) => {
                (arcface.logits(features.clone(), targets.clone()), arcface.cosines(features.detach()))
            }
            (None, None) => unreachable!("a classifier has one of the two heads"),
        };
        let named = plain.detach().argmax(1).reshape([batch.classes.len()]);
        let accuracy = named.equal(targets.clone()).float().mean();
        Step::from(cross_entropy(logits, targets)).with_signals(accuracy)
    }

    fn signals(&self) -> &'static [&'static str] {
        &["accuracy"]
    }
}

impl FeatureTask for ClassificationTask<'_> {
    type Net = Classifier;
    /// The class that the head names; 0 without one.
    type Term = usize;

    fn remarks(&self) -> &[String] {
        &self.remarks
    }

    fn extract(
        &self,
        net: &Classifier,
        clips: &Sounds,
        device: &Device,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<Extracted<usize>, Error> {
        let clips = clips.logmels()?;
        let (dim, scaler) = (self.size().features(), self.sets[self.own].scaler());
        let mut terms = Vec::with_capacity(clips.spans().len());
        let features = images::extract(clips, scaler, device, progress, dim, |x| {
            let [count, ..] = x.dims();
            let of_batch = net.backbone.forward(x); // [batch, features]
            match &net.fc {
                Some(fc) => {
                    let logits = host(fc.forward(of_batch.clone()))?;
                    terms.extend(logits.chunks_exact(self.classes.len()).map(|row| self.named(row)));
                }
                None => terms.extend(std::iter::repeat_n(0, count)),
            }
            Ok(of_batch)
        })?;
        Ok(Extracted { features, terms })
    }

    fn proxies(
        &self,
        _net: &Classifier,
        held_out: &HeldOut<'_, usize>,
        trained: &Extracted<usize>,
        _device: &Device,
    ) -> Result<Judged, Error> {
        let known: Vec<(usize, usize)> = held_out
            .clips
            .iter()
            .enumerate()
            .filter_map(|(row, clip)| Some((row, self.class_of(clip)?)))
            .collect();
        let (rows, actual): (Vec<usize>, Vec<usize>) = known.into_iter().unzip();
        let predicted: Vec<usize> = match self.config.loss {
            ClassificationLoss::CrossEntropy => rows.iter().map(|&row| held_out.terms[row]).collect(),
            ClassificationLoss::Arcface | ClassificationLoss::SubcenterArcface if rows.is_empty() => {
                Vec::new()
            }
            ClassificationLoss::Arcface | ClassificationLoss::SubcenterArcface => {
                let own = self.examples.iter().filter(|example| example.set == self.own);
                let labels: Vec<usize> = own.map(|example| example.class).collect();
                classify(
                    &self.config.linear_phase,
                    self.training,
                    trained.features.view(),
                    &labels,
                    self.classes.len(),
                    held_out.features.select(ndarray::Axis(0), &rows).view(),
                )?
            }
        };
        // Over the classes that there are held-out clips of: the others could only score 0.
        let value = macro_f1_of(&actual, &predicted, &actual).map(|found| found.macro_f1);
        let value = value.map_err(|_| "no held-out normal clip of a class that was trained on".to_owned());
        let (counted, all) = (rows.len(), held_out.clips.len());
        let note = (0 < counted && counted < all).then(|| {
            format!("of {counted} of {all} held-out normal clips; no clip of the others' classes was learnt")
        });
        Ok(vec![Proxy::new("macro_f1", value, true).noted(note)].into())
    }
}
