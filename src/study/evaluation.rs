//! The evaluation of a trained run: proxy metric, features, linear probe, Mahalanobis distance, further detectors.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use super::challenge::OfficialMetrics;
use super::families::{Frozen, TaskData, with_task};
use super::inference::Inference;
use super::scoring::{DetectorResult, Scores, apply_scorers};
use super::trained_run::{read_run, read_weights};
use super::{Error, Recordings, artefacts, cache_folder, record};
use crate::config::{DataConfig, EvalConfig, Experiment, Layout};
use crate::dataset::{Clip, EvaluationClips, LabelledClip};
use crate::device::{self, OpenDevice};
use crate::files;
use crate::run::{self, Hashes, InterferenceRecord, JUDGED, Manifest, RunFolder};
use crate::score::LinearProbe;
use crate::score::mahalanobis::MahalanobisResult;
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
    /// The configured detectors by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub detectors: BTreeMap<String, DetectorResult>,
    /// How many clips this rests on.
    pub clips: ClipCounts,
    /// `[eval]` as it was used.
    pub settings: EvalConfig,
    /// BLAKE3 of the weights.
    pub model: String,
    /// Fingerprint of the test clips, names and content.
    pub test_fingerprint: String,
    /// BLAKE3 of the files that were written with it, by name; nothing in those of earlier versions.
    #[serde(default, skip_serializing_if = "Hashes::is_empty")]
    pub artefacts: Hashes,
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
    detector: Option<&'a str>,
    remembering: bool,
    opened: RefCell<Vec<(DataConfig, PathBuf, Rc<Recordings<'a>>)>>,
}

impl<'a> Judge<'a> {
    /// `sets` are `--set` arguments that change how runs are judged or where their data are.
    pub fn new(sets: &'a [String], device: &'a OpenDevice, ui: &'a Ui) -> Self {
        Self {
            sets,
            device,
            ui,
            submission: None,
            detector: None,
            remembering: false,
            opened: RefCell::default(),
        }
    }

    /// Also write the challenge's score and decision files below `folder`, a folder for each configuration and seed.
    pub fn with_submission(self, folder: Option<&'a Path>) -> Self {
        Self { submission: folder, ..self }
    }

    /// Whose scores these files hold: a configured detector, or the Mahalanobis distance where none is named.
    #[must_use]
    pub fn with_detector(self, name: Option<&'a str>) -> Self {
        Self { detector: name, ..self }
    }

    /// Remember clips' fingerprints, as [`Recordings::remembering`].
    #[must_use]
    pub fn remembering(self) -> Self {
        Self { remembering: true, ..self }
    }

    /// With recordings in the place of those of a data set, for runs whose cache is `cache`.
    pub(super) fn knowing(self, data: &DataConfig, cache: PathBuf, recordings: Rc<Recordings<'a>>) -> Self {
        let data = DataConfig { machines: Vec::new(), ..data.clone() };
        self.opened.borrow_mut().push((data, cache, recordings));
        self
    }

    /// Evaluate one run on the data set that its configuration names, and write `features.npz`, `scores.csv`,
    /// `training_scores.csv` and, last, `eval.json` into its folder. The result has the run's path as it was given.
    ///
    /// # Errors
    /// When the run is not trained, the data set is another, its labels allow no AUC, a detector is asked for that it has
    /// not, or a file fails.
    pub fn evaluate(&self, folder: &RunFolder) -> Result<Evaluation, Error> {
        let (experiment, manifest) = read_run(folder, self.sets)?;
        let path = folder.path();
        let path = path.canonicalize().map_err(|e| files::Error::new("open", path, e))?;
        // runs/family/config/machine/seed-n
        let runs = path.ancestors().nth(4).unwrap_or(Path::new("."));
        let recordings = self.recordings(&experiment, cache_folder(runs))?;
        let judge = || self.judge(folder, &experiment, &manifest, &recordings);
        let mut evaluation = device::watch(Some(self.device), judge)?;
        evaluation.path = folder.path().display().to_string();
        Ok(evaluation)
    }

    /// The recordings that a run of an experiment is judged with; opened once for all runs of one data set.
    ///
    /// # Errors
    /// As [`Recordings::open`].
    pub(super) fn recordings(
        &self,
        experiment: &Experiment,
        cache: PathBuf,
    ) -> Result<Rc<Recordings<'a>>, Error> {
        // A run says itself which machine it is of.
        let data = DataConfig { machines: Vec::new(), ..experiment.data.clone() };
        let mut opened = self.opened.borrow_mut();
        if let Some((.., known)) =
            opened.iter().find(|(config, folder, _)| *config == data && *folder == cache)
        {
            return Ok(Rc::clone(known));
        }
        let recordings = Recordings::open(&data, cache.clone(), self.ui)?;
        let recordings = Rc::new(if self.remembering { recordings.remembering() } else { recordings });
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
        self.check_detector(folder, experiment)?;
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
        let train = sets[own].sounds();
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
        let trained_on: Vec<&Clip> = sets[own].good_clips().collect();
        let judged = apply_scorers(&experiment.eval, manifest.seed, &trained_on, &labelled, &features)?;
        let layout = recordings.layout();
        let challenge = |of| Scores::challenge(of, machine, layout, &labelled);
        let distances = judged.scores.as_ref().map(challenge);
        let official = match &distances {
            Some(challenge) => challenge.metrics(),
            None => OfficialMetrics::missing("there are no Mahalanobis distances".into()),
        };
        let challenges: Vec<_> =
            judged.detected.iter().map(|one| (one, one.scores.as_ref().map(challenge))).collect();
        let detectors = challenges.iter().map(|(one, of)| (one.name.clone(), one.result(of.as_ref())));
        let detectors: BTreeMap<String, DetectorResult> = detectors.collect();
        // Several files, one result: `eval.json` is there only when the others are its own.
        let _lock = folder.lock()?;
        files::remove(&folder.file("eval.json"))?;
        artefacts::write_features(folder, (&features.train, train), (&features.test, &test))?;
        let (of_test, of_training): (Vec<_>, Vec<_>) =
            judged.detected.iter().map(|one| one.columns().into()).unzip();
        artefacts::write_scores(folder, &labelled, distances.as_ref(), &of_test)?;
        let own_scores = judged.scores.as_ref().map(|scores| scores.training.as_slice());
        artefacts::write_training_scores(folder, &trained_on, own_scores, &of_training)?;
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
            detectors,
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
            artefacts: folder.hashes(JUDGED.iter().chain(features.tables).copied())?,
            interference: mixed_with,
        };
        folder.write_json("eval.json", &evaluation)?;
        let of_detector = |name| challenges.iter().find(|(one, _)| one.name == name)?.1.as_ref();
        let submitted = self.detector().map_or(distances.as_ref(), of_detector);
        if let (Some(below), Some(challenge)) = (self.submission, submitted) {
            let system =
                below.join(&manifest.family).join(&manifest.config).join(format!("seed-{}", manifest.seed));
            challenge.write(&system)?;
        }
        Ok(evaluation)
    }

    /// The configured detector that files are wanted of; none where they are wanted of the Mahalanobis distance.
    fn detector(&self) -> Option<&'a str> {
        self.detector.filter(|name| *name != "mahalanobis")
    }

    /// Known before anything is computed.
    fn check_detector(&self, folder: &RunFolder, experiment: &Experiment) -> Result<(), Error> {
        let known = &experiment.eval.detectors;
        match self.detector() {
            Some(name) if !known.contains_key(name) => Err(Error::NoDetector {
                path: folder.path().to_owned(),
                name: name.to_owned(),
                known: ["mahalanobis"]
                    .into_iter()
                    .chain(known.keys().map(String::as_str))
                    .collect::<Vec<_>>()
                    .join(", "),
            }),
            _ => Ok(()),
        }
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
