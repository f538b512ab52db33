//! The evaluation of a trained run: proxy metric, features, linear probe, Mahalanobis distance.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::OnceLock;

use ndarray::{Array2, Axis};
use serde::{Deserialize, Serialize};

use super::challenge::{Challenge, OfficialMetrics};
use super::families::{Frozen, TaskData, with_task};
use super::inference::{Features, Inference};
use super::trained_run::{read_run, read_weights};
use super::{Error, Recordings, artefacts, cache_folder, record};
use crate::config::{DataConfig, EvalConfig, Experiment, Layout};
use crate::dataset::{EvaluationClips, LabelledClip};
use crate::device::OpenDevice;
use crate::files;
use crate::run::{self, InterferenceRecord, Manifest, RunFolder};
use crate::score::mahalanobis::{self, MahalanobisResult};
use crate::score::{FittedScorer, LinearProbe, ProbeClip, TrainingFeatures, linear_probe};
use crate::task::{Proxy, pretrained};
use crate::ui::{Bar, Ui};

/// `eval.json`, and one object of `asdbench eval --format json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Version of this form.
    pub schema: u32,
    /// The run: in `eval.json` below its runs folder, on standard output as it was found.
    pub path: String,
    /// Proxy-task family.
    pub family: String,
    /// `<slug>-<hash8>`.
    pub config: String,
    /// Machine type.
    pub machine: String,
    /// Seed.
    pub seed: u64,
    /// The proxy metric on held-out normal clips.
    pub proxy: Proxy,
    /// Further proxy metrics of the family.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub other_proxies: Vec<Proxy>,
    /// Linear separability of the features.
    pub linear_probe: LinearProbe,
    /// Compactness of the normal features.
    pub mahalanobis: MahalanobisResult,
    /// The challenge's metrics.
    pub official: OfficialMetrics,
    /// How many clips this rests on.
    pub clips: ClipCounts,
    /// `[eval]` as it was used.
    pub settings: EvalConfig,
    /// BLAKE3 of the weights.
    pub model: String,
    /// Fingerprint of the test clips, names and content.
    pub test_fingerprint: String,
    /// What held-out clips were mixed with, in a family that mixes them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interference: Option<InterferenceRecord>,
}

/// Clips by what they served for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClipCounts {
    /// Training clips, to which the Mahalanobis distance was fitted.
    pub train: usize,
    /// Normal test clips.
    pub test_normal: usize,
    /// Anomalous test clips.
    pub test_anomalous: usize,
    /// Test clips without a label: scored, not judged.
    pub test_unlabelled: usize,
    /// Bad clips that were left out, of both sets.
    pub skipped: usize,
}

/// Evaluates runs; those of one data set share its index and sounds.
pub struct Judge<'a> {
    sets: &'a [String],
    device: &'a OpenDevice,
    ui: &'a Ui,
    submission: Option<&'a Path>,
    opened: RefCell<Vec<(DataConfig, PathBuf, Rc<Recordings<'a>>)>>,
}

impl<'a> Judge<'a> {
    /// `sets` are `--set` arguments that change how runs are judged or where their data are.
    pub fn new(sets: &'a [String], device: &'a OpenDevice, ui: &'a Ui) -> Self {
        Self { sets, device, ui, submission: None, opened: RefCell::default() }
    }

    /// Also write the challenge's score and decision files below `folder`, a folder for each configuration and seed.
    pub fn with_submission(self, folder: Option<&'a Path>) -> Self {
        Self { submission: folder, ..self }
    }

    /// Evaluate one run on the data set that its configuration names, and write `features.npz`, `scores.csv` and, last,
    /// `eval.json` into its folder. The result has the run's path as it was given.
    ///
    /// # Errors
    /// When the run is not trained, the data set is another, its labels allow no AUC, or a file fails.
    pub fn evaluate(&self, folder: &RunFolder) -> Result<Evaluation, Error> {
        let (experiment, manifest) = read_run(folder, self.sets)?;
        let path = folder.path();
        let path = path.canonicalize().map_err(|e| files::Error::new("open", path, e))?;
        // runs/family/config/machine/seed-n
        let runs = path.ancestors().nth(4).unwrap_or(Path::new("."));
        let recordings = self.recordings(&experiment, cache_folder(runs))?;
        let mut evaluation = self.judge(folder, &experiment, &manifest, &recordings)?;
        evaluation.path = folder.path().display().to_string();
        Ok(evaluation)
    }

    fn recordings(&self, experiment: &Experiment, cache: PathBuf) -> Result<Rc<Recordings<'a>>, Error> {
        // A run says itself which machine it is of.
        let data = DataConfig { machines: Vec::new(), ..experiment.data.clone() };
        let mut opened = self.opened.borrow_mut();
        if let Some((.., known)) =
            opened.iter().find(|(config, folder, _)| *config == data && *folder == cache)
        {
            return Ok(Rc::clone(known));
        }
        let recordings = Rc::new(Recordings::open(&data, cache.clone(), self.ui)?);
        opened.push((data, cache, Rc::clone(&recordings)));
        Ok(recordings)
    }

    fn judge(
        &self,
        folder: &RunFolder,
        experiment: &Experiment,
        manifest: &Manifest,
        recordings: &Recordings<'_>,
    ) -> Result<Evaluation, Error> {
        let Self { device, ui, .. } = *self;
        let machine = &manifest.machine;
        if self.submission.is_some() && recordings.layout() == Layout::Mimii {
            return Err(Error::NoSubmission(folder.path().to_owned()));
        }
        let other = |what, found: &str, expected: &str| {
            let short = |hash: &str| hash.get(..8).unwrap_or(hash).to_owned();
            let path = folder.path().to_owned();
            Error::Run(run::Error::Other { path, what, found: short(found), expected: short(expected) })
        };
        let fingerprint = recordings.data_fingerprint(machine, &manifest.learnt, experiment)?;
        if fingerprint != manifest.data_fingerprint {
            return Err(other("data set", &manifest.data_fingerprint, &fingerprint));
        }
        let encoder = recordings.encoder(experiment, device)?;
        let encoder = encoder.as_deref();
        if let (Some(embedder), Some(used)) = (encoder, &manifest.model)
            && embedder.content_hash() != used
        {
            return Err(other("checkpoint", used, embedder.content_hash()));
        }
        let (clips, test) = recordings.evaluation(machine, experiment)?;
        let test = recordings.audible(machine, &test, encoder)?;
        if let Some(embedder) = encoder {
            pretrained::cut(embedder, test.waves()?, "test").iter().for_each(|remark| ui.warn(remark));
        }
        let labelled: Vec<&LabelledClip> = test.good().map(|good| &clips.clips[good.index]).collect();
        check_labels(&clips, &labelled)?;
        let sets = recordings.audible_training_sets(&manifest.learnt, experiment, encoder)?;
        let own = manifest.learnt.iter().position(|learnt| learnt == machine).unwrap_or_default();
        let train = &sets[own].sounds;
        let interference = recordings.evaluation_interference(machine, experiment)?;
        let (cache, device_name) = (recordings.cache.as_path(), device.name.as_str());
        let frozen = encoder.map(|embedder| Frozen { embedder, cache, device_name });
        let data = TaskData { sets: &sets, own, interference: interference.as_ref(), frozen };
        let mixed_with = match &interference {
            Some(of) => Some(record::interference(of, of.held_out()?)),
            None => None,
        };
        let (weights, model) = match encoder {
            None => read_weights(folder, manifest).map(|(bytes, hash)| (Some(bytes), hash))?,
            Some(embedder) => (None, embedder.content_hash().to_owned()),
        };
        let bar = ui.bar(
            &format!("{machine} {}: features", experiment.slug()),
            (train.len() + test.len()) as u64,
            "clips",
        );
        let judging = OnceLock::new();
        let inference = Inference {
            folder,
            weights: weights.as_deref(),
            train,
            test: &test,
            root: &clips.root,
            labelled: &labelled,
            device,
            progress: &|n| bar.add(n),
            judging: &|done, all| {
                let bar = judging.get_or_init(|| {
                    bar.clear();
                    ui.bar(&format!("{machine} {}: proxy metric", experiment.slug()), all, "examples")
                });
                bar.at(done, all);
            },
        };
        inference.check_weights(manifest, &sets)?;
        let mut features = with_task(experiment, data, &inference)?;
        bar.clear();
        judging.get().into_iter().for_each(Bar::clear);
        let judged = apply_scorers(&experiment.eval, manifest.seed, &labelled, &features)?;
        let challenge = judged
            .scores
            .as_ref()
            .map(|(test, train)| Challenge::new(machine, recordings.layout(), &labelled, test, train));
        let official = match &challenge {
            Some(challenge) => challenge.metrics(),
            None => OfficialMetrics::missing("there are no Mahalanobis distances".into()),
        };
        // Several files, one result: `eval.json` is there only when the others are its own.
        let _lock = folder.lock()?;
        files::remove(&folder.file("eval.json"))?;
        artefacts::write_features(folder, (&features.train, train), (&features.test, &test))?;
        artefacts::write_scores(folder, &labelled, challenge.as_ref())?;
        artefacts::write_tables(folder, features.tables, &features.judged.tables)?;

        let count = |label| labelled.iter().filter(|clip| clip.anomalous == label).count();
        let evaluation = Evaluation {
            schema: 1,
            path: format!("{}/{}/{machine}/seed-{}", manifest.family, manifest.config, manifest.seed),
            family: manifest.family.clone(),
            config: manifest.config.clone(),
            machine: machine.clone(),
            seed: manifest.seed,
            proxy: features.judged.proxies.remove(0),
            other_proxies: features.judged.proxies,
            linear_probe: judged.linear_probe,
            mahalanobis: judged.mahalanobis,
            official,
            clips: ClipCounts {
                train: train.len(),
                test_normal: count(Some(false)),
                test_anomalous: count(Some(true)),
                test_unlabelled: count(None),
                skipped: train.bad().len() + test.bad().len(),
            },
            settings: experiment.eval.clone(),
            model,
            test_fingerprint: test.fingerprint().to_owned(),
            interference: mixed_with,
        };
        folder.write_json("eval.json", &evaluation)?;
        if let (Some(below), Some(challenge)) = (self.submission, &challenge) {
            let system =
                below.join(&manifest.family).join(&manifest.config).join(format!("seed-{}", manifest.seed));
            challenge.write(&system)?;
        }
        Ok(evaluation)
    }
}

/// A set in which all clips have one label gives no AUC; one without any label is scored only.
fn check_labels(clips: &EvaluationClips, labelled: &[&LabelledClip]) -> Result<(), Error> {
    let labels: Vec<bool> = labelled.iter().filter_map(|clip| clip.anomalous).collect();
    match labels.first() {
        Some(first) if labels.iter().all(|label| label == first) => Err(Error::OneClass {
            machine: clips.machine.clone(),
            root: clips.root.clone(),
            clips: labels.len(),
            label: if *first { "anomalous" } else { "normal" },
        }),
        _ => Ok(()),
    }
}

/// What the scorers say.
struct ScorersSay {
    linear_probe: LinearProbe,
    mahalanobis: MahalanobisResult,
    /// Mahalanobis distances of the test clips, and of the training clips.
    scores: Option<(Vec<f64>, Vec<f64>)>,
}

fn apply_scorers(
    settings: &EvalConfig,
    seed: u64,
    clips: &[&LabelledClip],
    features: &Features,
) -> Result<ScorersSay, Error> {
    let training = TrainingFeatures::of_training_clips(features.train.mapv(f64::from));
    let all: Array2<f64> = features.test.mapv(f64::from);
    let rows: Vec<usize> = (0..clips.len()).filter(|&row| clips[row].anomalous.is_some()).collect();
    let labelled = all.select(Axis(0), &rows);
    let named = |row: &usize| ProbeClip {
        name: clips[*row].clip.file_name().to_owned(),
        section: clips[*row].clip.section.clone(),
        anomalous: clips[*row].anomalous == Some(true),
    };
    let named: Vec<ProbeClip> = rows.iter().map(named).collect();
    let judged = mahalanobis::evaluate(&training, labelled.view(), &named, &settings.mahalanobis)?;
    let scores = match judged.fitted {
        Some(fitted) => Some((fitted.score(all.view())?, fitted.score_training(&training)?)),
        None => None,
    };
    let linear_probe = linear_probe::evaluate(labelled.view(), &named, &settings.linear_probe, seed)?;
    Ok(ScorersSay { linear_probe, mahalanobis: judged.result, scores })
}
