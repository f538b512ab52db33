//! A network at work on a run's clips: features and proxy metrics.

use std::path::Path;

use ndarray::{Array2, Axis};

use super::Error;
use super::families::WithTask;
use super::training::WeightsMetadata;
use crate::dataset::LabelledClip;
use crate::device::OpenDevice;
use crate::nn::init::Init;
use crate::nn::weights;
use crate::run::{Manifest, RunFolder};
use crate::task::{self, FeatureTask, HeldOut, Judged, ProxyTask, Sounds, TrainingSet};

/// What a trained network says of its machine's clips.
pub(super) struct Features {
    /// Of the training clips, `[clips, dim]`.
    pub train: Array2<f32>,
    /// Of the test clips, `[clips, dim]`.
    pub test: Array2<f32>,
    pub judged: Judged,
    /// Names of all tables that the family can write.
    pub tables: &'static [&'static str],
}

/// All that extraction needs of a run.
pub(super) struct Inference<'a> {
    pub folder: &'a RunFolder,
    /// Of a network that was trained here, as its file.
    pub weights: Option<&'a [u8]>,
    pub train: &'a Sounds,
    pub test: &'a Sounds,
    /// Folder of the test clips.
    pub root: &'a Path,
    /// The test clips, in the order of their sounds.
    pub labelled: &'a [&'a LabelledClip],
    pub device: &'a OpenDevice,
    pub progress: &'a (dyn Fn(u64) + Sync),
    pub judging: &'a (dyn Fn(u64, u64) + Sync),
}

impl Inference<'_> {
    /// Whether the weights, where they are in a file, are this run's, and the clips are scaled as they were in training.
    pub fn check_weights(&self, manifest: &Manifest, sets: &[TrainingSet]) -> Result<(), Error> {
        let Some(bytes) = self.weights else {
            return Ok(());
        };
        let failed = |source| Error::Weights { path: self.folder.model(), source };
        let text = weights::metadata(bytes).map_err(failed)?;
        let saved: WeightsMetadata =
            serde_json::from_str(&text).map_err(|e| failed(weights::Error::Format(e.to_string())))?;
        let machines = || saved.scales.keys().cloned().collect::<Vec<_>>().join(", ");
        let scaled_alike = sets.len() == saved.scales.len()
            && sets.iter().all(|set| saved.scales.get(set.clips().machine()) == Some(&set.scaler()));
        let whose = if (&saved.config_hash, saved.seed) != (&manifest.config_hash, manifest.seed)
            || saved.scales.keys().ne(manifest.learnt.iter())
        {
            format!("it is of machine {}, seed {}", machines(), saved.seed)
        } else if !scaled_alike {
            "its scale is not that of the training clips".to_owned()
        } else {
            return Ok(());
        };
        Err(failed(weights::Error::Mismatch(vec![whose])))
    }

    /// What a network says of the clips.
    fn features<T: FeatureTask>(&self, task: &T, net: &T::Net) -> Result<Features, Error> {
        let device = &self.device.device;
        let train = task.extract(net, self.train, device, self.progress)?;
        let test = task.extract(net, self.test, device, self.progress)?;
        // Normal test clips are held out, because no test clip is trained on.
        let rows: Vec<usize> =
            (0..self.labelled.len()).filter(|&row| self.labelled[row].anomalous == Some(false)).collect();
        let held_out = HeldOut {
            root: self.root,
            clips: rows.iter().map(|&row| &self.labelled[row].clip).collect(),
            features: test.features.select(Axis(0), &rows),
            terms: rows.iter().map(|&row| test.terms[row].clone()).collect(),
            sounds: self.test,
            positions: rows,
            progress: self.judging,
        };
        let judged = task.proxies(net, &held_out, &train, device)?;
        Ok(Features { train: train.features, test: test.features, judged, tables: task.tables() })
    }
}

impl WithTask for &Inference<'_> {
    type Output = Features;

    fn with<T: ProxyTask>(self, task: &T) -> Result<Features, Error> {
        let bytes = self.weights.ok_or(task::Error::Fault("a trained network came without its weights"))?;
        // The seed does not matter: every value is replaced.
        let fresh = task.net(Init::new(0, &self.device.device));
        let loaded = weights::from_safetensors(fresh, bytes);
        let net = loaded.map_err(|source| Error::Weights { path: self.folder.model(), source })?;
        self.features(task, &net)
    }

    fn with_frozen<T: FeatureTask>(self, task: &T, net: &T::Net) -> Result<Features, Error> {
        self.features(task, net)
    }
}
