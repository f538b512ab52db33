//! How well a fine-tuned encoder knows its classes: mean average precision on clips whose labels are known.

mod classes;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use ndarray::Array2;
use serde::Serialize;

use super::clips::Clips;
use super::{Error, Listening, Overrides};
use crate::dataset::audioset::{ClassRow, LabelRow, locate, read_classes, read_labels};
use crate::device::OpenDevice;
use crate::files;
use crate::metric::mean_average_precision;
use crate::run::RunFolder;
use crate::study;
use crate::task::BadClip;
use crate::task::pretrained::Wants;
use crate::ui::Ui;
use classes::Classes;

/// Clips and labels that a message names.
const NAMED: usize = 5;

/// What to do with clips of a label file that are not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnMissing {
    /// Stop, naming the first few.
    Error,
    /// Leave them out, and say how many.
    Skip,
}

/// Labels and how they are used.
#[derive(Debug, Clone, Copy)]
pub struct LabelsRequest<'a> {
    /// A segments file of AudioSet, or a table with columns `clip` and `labels`.
    pub labels: &'a Path,
    /// The folder of the clips; the label file's own where none is named.
    pub clips: Option<&'a Path>,
    /// AudioSet's `class_labels_indices.csv`, for networks whose classes have no names.
    pub classes: Option<&'a Path>,
    /// What to do with clips that are not there.
    pub missing: OnMissing,
    /// What is wanted otherwise than the defaults or the runs have it.
    pub overrides: Overrides,
}

/// A measured mAP; one of the results of `asdbench eval --labels --format json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Measured {
    /// The checkpoint file.
    pub checkpoint: String,
    /// BLAKE3 of the checkpoint file.
    pub content_hash: String,
    /// `BEATs`, `EAT` or `CED`.
    pub architecture: &'static str,
    /// The seed of random weights.
    pub random: Option<u64>,
    /// The runs that have this checkpoint and hear clips in this way.
    pub runs: Vec<String>,
    /// The label file.
    pub labels: String,
    /// Mean over the classes with a positive clip; in 0..=1.
    pub map: Option<f64>,
    /// Why there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Clips that were heard.
    pub clips: usize,
    /// Classes that the network tells apart.
    pub classes: usize,
    /// Those with a positive clip.
    pub classes_with_positives: usize,
    /// Clips without any label that the network knows: negative for every class.
    pub clips_without_known_label: usize,
    /// Labels that the network does not know.
    pub unknown_labels: Vec<UnknownLabel>,
    /// Clips that are not there.
    pub missing: Missing,
    /// Clips that were left out.
    pub bad: Vec<BadClip>,
    /// Each class with a positive clip.
    pub per_class: Vec<ClassResult>,
}

/// A label that a network does not know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UnknownLabel {
    /// As the label file has it.
    pub label: String,
    /// Clips that have it.
    pub clips: usize,
}

/// Clips of a label file that are not there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Missing {
    /// How many.
    pub count: usize,
    /// As the label file names them.
    pub clips: Vec<String>,
}

/// How well one class is known.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClassResult {
    /// Its number in the network.
    pub class: usize,
    /// Its label, where it is known.
    pub label: Option<String>,
    /// In words, where they are known.
    pub name: Option<String>,
    /// Its clips.
    pub positives: usize,
    /// In 0..=1; nothing where the mAP cannot be had.
    pub average_precision: Option<f64>,
}

/// A label file with its clips, for any number of networks.
#[derive(Debug)]
pub struct Measuring<'a> {
    request: LabelsRequest<'a>,
    table: Option<Vec<ClassRow>>,
    /// Rows whose clips are there, in the order of `paths`.
    rows: Vec<LabelRow>,
    paths: Vec<PathBuf>,
    missing: Missing,
}

/// A network to be measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    listening: Listening,
    runs: Vec<PathBuf>,
}

impl Target {
    /// The checkpoint file.
    pub fn checkpoint(&self) -> &Path {
        self.listening.checkpoint()
    }
}

impl<'a> Measuring<'a> {
    /// Read the labels and find the clips.
    ///
    /// # Errors
    /// When a table cannot be read, clips are missing and missing ones are errors, or all are, or two rows are of one clip.
    pub fn open(request: LabelsRequest<'a>, ui: &Ui) -> Result<Self, study::Error> {
        let table = request.classes.map(read_classes).transpose().map_err(Error::from)?;
        let rows = read_labels(request.labels).map_err(Error::from)?;
        let folder = request.clips.unwrap_or_else(|| files::folder_of(request.labels));
        let located = locate(&rows, folder)?;
        let all = rows.len();
        let mut found = Self {
            request,
            table,
            rows: Vec::new(),
            paths: Vec::new(),
            missing: Missing { count: 0, clips: Vec::new() },
        };
        for (row, path) in rows.into_iter().zip(located) {
            match path {
                Some(path) => {
                    found.rows.push(row);
                    found.paths.push(path);
                }
                None => found.missing.clips.push(row.clip.to_string()),
            }
        }
        found.missing.count = found.missing.clips.len();
        found.check_twice()?;
        if found.missing.count > 0 {
            let first = super::first_few(found.missing.clips.iter().cloned(), NAMED);
            if request.missing == OnMissing::Error || found.rows.is_empty() {
                let (labels, folder) = (request.labels.to_owned(), folder.to_owned());
                return Err(Error::Missing {
                    labels,
                    folder,
                    missing: found.missing.count,
                    clips: all,
                    first,
                }
                .into());
            }
            ui.warn(&format!("{} of {all} clips are not there and left out: {first}", found.missing.count));
        }
        Ok(found)
    }

    fn check_twice(&self) -> Result<(), Error> {
        let mut lines = HashMap::new();
        for (row, path) in self.rows.iter().zip(&self.paths) {
            if let Some(first) = lines.insert(path, row.line) {
                let (labels, clip) = (self.request.labels.to_owned(), path.clone());
                return Err(Error::Twice { labels, clip, first, second: row.line });
            }
        }
        Ok(())
    }

    /// The networks that are named by checkpoint files and folders of runs. Runs that have one checkpoint and hear clips in
    /// the same way, bad ones with them, are one network.
    ///
    /// # Errors
    /// When a folder has no run, or one of another family.
    pub fn targets(&self, named: &[PathBuf]) -> Result<Vec<Target>, study::Error> {
        let mut targets: Vec<Target> = Vec::new();
        let mut add = |listening: Listening, run: Option<PathBuf>| {
            let listening = listening.with(&self.request.overrides);
            let known = targets.iter().position(|known| known.listening.measures_as(&listening));
            let target = known.unwrap_or_else(|| {
                targets.push(Target { listening, runs: Vec::new() });
                targets.len() - 1
            });
            targets[target].runs.extend(run);
        };
        for path in named {
            match path.is_dir() {
                false => add(Listening::of_file(path), None),
                true => {
                    for run in RunFolder::find(path)? {
                        add(Listening::of_run(&run)?, Some(run.path().to_owned()));
                    }
                }
            }
        }
        Ok(targets)
    }

    /// Hear the clips with one network and hold what it says against the labels.
    ///
    /// # Errors
    /// When the checkpoint cannot be used or tells no classes apart, none of its classes is among the labels, a clip is bad
    /// and bad clips are errors, or the device fails.
    pub fn measure(&self, target: &Target, device: &OpenDevice, ui: &Ui) -> Result<Measured, study::Error> {
        let embedder = target.listening.open(device, ui)?;
        super::check_frames(&self.request.overrides, &embedder)?;
        let model = embedder.model();
        let path = || target.checkpoint().to_owned();
        let count = model.architecture.classes().ok_or_else(|| Error::NoClasses(path()))?;
        let unmatched = |why| Error::Classes { path: path(), why };
        let classes =
            Classes::of(model.labels.as_deref(), count, self.table.as_deref()).map_err(unmatched)?;
        let unknown = self.unknown(&classes).map_err(unmatched)?;
        if !unknown.is_empty() {
            let named = unknown.iter().map(|one| format!("{} ({} clips)", one.label, one.clips));
            let first = super::first_few(named, NAMED);
            ui.warn(&format!("{} labels are unknown to the network and left out: {first}", unknown.len()));
        }
        let clips = Clips::check(&self.paths, &embedder, &target.listening, ui)?;
        clips.warn(ui);

        let mut scores = Array2::<f64>::zeros((clips.good.len(), count));
        let bar = ui.bar("hearing the clips", clips.good.len() as u64, "clips");
        let wants = Wants { layers: false, probabilities: true };
        embedder.embed(clips.good.len(), &|n| clips.read(n), wants, &mut |n, heard| {
            bar.add(1);
            let said = scores.row_mut(n);
            said.into_iter().zip(&heard.probabilities).for_each(|(score, said)| *score = f64::from(*said));
            Ok::<(), study::Error>(())
        })?;
        bar.clear();
        let mut positive = Array2::from_elem(scores.dim(), false);
        for (n, clip) in clips.good.iter().enumerate() {
            for class in self.rows[clip.index].labels.iter().filter_map(|label| classes.find(label)) {
                positive[[n, class]] = true;
            }
        }
        let precision = mean_average_precision(scores.view(), positive.view());
        let why = precision.as_ref().err().map(ToString::to_string);
        let map = precision.as_ref().ok().map(|found| found.mean);
        let per_class = precision.map(|found| found.per_class).unwrap_or_default();
        let positives = |class: usize| positive.column(class).iter().filter(|is| **is).count();
        let per_class: Vec<ClassResult> = (0..count)
            .map(|class| ClassResult {
                class,
                label: classes.label(class),
                name: classes.name(class),
                positives: positives(class),
                average_precision: per_class.get(class).copied().flatten(),
            })
            .filter(|result| result.positives > 0)
            .collect();
        Ok(Measured {
            checkpoint: embedder.path().display().to_string(),
            content_hash: embedder.content_hash().to_owned(),
            architecture: model.architecture.name(),
            random: model.random,
            runs: target.runs.iter().map(|run| run.display().to_string()).collect(),
            labels: self.request.labels.display().to_string(),
            map,
            why,
            clips: clips.good.len(),
            classes: count,
            classes_with_positives: per_class.len(),
            clips_without_known_label: positive
                .rows()
                .into_iter()
                .filter(|row| !row.iter().any(|is| *is))
                .count(),
            unknown_labels: unknown,
            missing: self.missing.clone(),
            bad: clips.bad,
            per_class,
        })
    }

    /// The labels that a network does not know, those of most clips first.
    ///
    /// The error says why it knows none, or what must be known of one that is a number.
    fn unknown(&self, classes: &Classes) -> Result<Vec<UnknownLabel>, String> {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        let mut known = 0;
        for label in self.rows.iter().flat_map(|row| &row.labels) {
            match classes.find(label) {
                Some(_) => known += 1,
                None if classes.needs_table_for(label) => return Err(classes.number_without_table(label)),
                None => *counts.entry(label).or_default() += 1,
            }
        }
        let mut unknown: Vec<UnknownLabel> = counts
            .into_iter()
            .map(|(label, clips)| UnknownLabel { label: label.to_owned(), clips })
            .collect();
        unknown.sort_by_key(|one| std::cmp::Reverse(one.clips));
        match (known, unknown.first()) {
            (0, Some(first)) => Err(classes.none_known(&first.label)),
            (0, None) => Err(format!("no clip of {} has a label", self.request.labels.display())),
            _ => Ok(unknown),
        }
    }
}
