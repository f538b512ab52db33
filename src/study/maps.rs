//! The test clips of an evaluated run in the plane: what its features look like, beside what they are worth.
//!
//! A projection keeps neighbours, or what varies most; neither is what a scorer measures. So the AUCs stand beside it, as the
//! study asks for (section V-C).

mod tsne;

use std::io::Cursor;

use ndarray::{Array2, Axis};
use serde::{Deserialize, Serialize};

use super::results::Error as ResultsError;
use super::{Error, Evaluation};
use crate::dataset::Domain;
use crate::linalg::principal;
use crate::report::{figure, npz_matrix};
use crate::run::{Hashes, RunFolder};
use crate::{csv_lines, files};

/// Components that t-SNE sees of the features: more are noise, and slow.
const COMPONENTS: usize = 50;
/// Clips that t-SNE is made of at most.
const CLIPS: usize = 3000;

/// A run's test clips in two projections.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FeatureMap {
    /// Proxy-task family.
    pub family: String,
    /// `<slug>-<hash8>`.
    pub config: String,
    /// Machine type.
    pub machine: String,
    /// Seed.
    pub seed: u64,
    /// AUC of the Mahalanobis distance, 0..=1, as `eval.json` has it.
    pub mahalanobis: Option<f64>,
    /// In-domain AUC of the linear probe.
    pub in_domain: Option<f64>,
    /// Out-domain AUC of the linear probe.
    pub out_domain: Option<f64>,
    /// Shares of the variance along the two axes of the PCA, 0..=1.
    pub explained: [f64; 2],
    /// In the order of `scores.csv`.
    pub clips: Vec<MappedClip>,
    /// What is not as it should be: why t-SNE is missing or made of some clips only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remark: Option<String>,
}

/// One clip and its places.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MappedClip {
    /// Relative to the data set's root.
    pub clip: String,
    /// Section.
    pub section: String,
    /// Where one is known.
    pub domain: Option<Domain>,
    /// Where a label is known.
    pub anomalous: Option<bool>,
    /// Along the first two principal components of all test clips, in the features' unit.
    pub pca: [f64; 2],
    /// By t-SNE of their first fifty principal components.
    pub tsne: Option<[f64; 2]>,
}

/// What is read of a row of `scores.csv`.
#[derive(Debug, Deserialize)]
struct Row {
    clip: String,
    section: String,
    domain: String,
    label: String,
}

/// Project the test features of an evaluated run. The same run gives the same numbers.
///
/// # Errors
/// When the run is not evaluated, or a file of its evaluation is missing or damaged.
pub fn map(folder: &RunFolder) -> Result<FeatureMap, Error> {
    if !folder.file("eval.json").exists() {
        return Err(ResultsError::NotEvaluated { path: folder.path().to_owned(), runs: 1 }.into());
    }
    let evaluation: Evaluation = folder.read_json("eval.json")?;
    let rows = rows(folder, &evaluation.artefacts)?;
    let features = features(folder, &evaluation.artefacts)?;
    if features.nrows() != rows.len() {
        let why = format!("it has {} rows, features.npz has {} test clips", rows.len(), features.nrows());
        return Err(damaged(folder, "scores.csv", &why));
    }
    let mut remark = None;
    let (mut pca, mut explained) = (vec![[0.0; 2]; rows.len()], [0.0; 2]);
    let mut tsne = vec![None; rows.len()];
    if rows.len() < 2 {
        remark = Some(format!("{} test clip(s) cannot be projected", rows.len()));
    } else {
        let found = principal(features.view(), COMPONENTS)
            .map_err(|error| damaged(folder, "features.npz", &error.to_string()))?;
        for (place, row) in pca.iter_mut().zip(found.coordinates.rows()) {
            place.iter_mut().zip(row).for_each(|(place, value)| *place = *value);
        }
        explained.iter_mut().zip(&found.explained).for_each(|(share, found)| *share = *found);
        // Evenly taken, so that the same ones are taken each time.
        let count = rows.len().min(CLIPS);
        let taken: Vec<usize> = (0..count).map(|index| index * rows.len() / count).collect();
        match tsne::embed(found.coordinates.select(Axis(0), &taken).view()) {
            Ok(places) => {
                taken.iter().zip(places).for_each(|(row, place)| tsne[*row] = Some(place));
                if count < rows.len() {
                    remark = Some(format!("t-SNE of {count} of {} clips", rows.len()));
                }
            }
            Err(why) => remark = Some(format!("no t-SNE: {why}")),
        }
    }
    let clips = rows.into_iter().zip(pca).zip(tsne).map(|((row, pca), tsne)| row.mapped(pca, tsne)).collect();
    Ok(FeatureMap {
        family: evaluation.family,
        config: evaluation.config,
        machine: evaluation.machine,
        seed: evaluation.seed,
        mahalanobis: evaluation.mahalanobis.aucs.auc,
        in_domain: evaluation.linear_probe.in_domain.auc,
        out_domain: evaluation.linear_probe.out_domain.auc,
        explained,
        clips,
        remark,
    })
}

impl FeatureMap {
    /// What the picture of it shows.
    pub fn figure(&self) -> figure::Map {
        let point = |clip: &MappedClip, [x, y]: [f64; 2]| figure::MapPoint {
            x,
            y,
            anomalous: clip.anomalous,
            domain: clip.domain,
            clip: clip.clip.clone(),
        };
        let auc = |name: &str, auc| figure::PrintedAuc { name: name.to_owned(), auc };
        let axis = |number: usize| format!("PC {number} ({:.1} %)", 100.0 * self.explained[number - 1]);
        let pca = figure::MapPanel {
            title: "PCA".into(),
            x_label: axis(1),
            y_label: axis(2),
            points: self.clips.iter().map(|clip| point(clip, clip.pca)).collect(),
        };
        let tsne = figure::MapPanel {
            title: self.remark.clone().unwrap_or_else(|| "t-SNE".into()),
            points: self.clips.iter().filter_map(|clip| Some(point(clip, clip.tsne?))).collect(),
            ..figure::MapPanel::default()
        };
        figure::Map {
            title: format!("{}: features of {} ({})", self.machine, self.family, self.config),
            aucs: vec![
                auc("MD AUC", self.mahalanobis),
                auc("in-domain LP AUC", self.in_domain),
                auc("out-domain LP AUC", self.out_domain),
            ],
            panels: vec![pca, tsne],
        }
    }
}

impl Row {
    fn mapped(self, pca: [f64; 2], tsne: Option<[f64; 2]>) -> MappedClip {
        MappedClip {
            domain: [Domain::Source, Domain::Target].into_iter().find(|domain| domain.token() == self.domain),
            anomalous: match self.label.as_str() {
                "anomaly" => Some(true),
                "normal" => Some(false),
                _ => None,
            },
            clip: self.clip,
            section: self.section,
            pca,
            tsne,
        }
    }
}

fn rows(folder: &RunFolder, known: &Hashes) -> Result<Vec<Row>, Error> {
    let bytes = folder.read_sound("scores.csv", known)?;
    let text = csv_lines::text(&bytes).map_err(|error| damaged(folder, "scores.csv", &error.to_string()))?;
    let rows: Result<Vec<Row>, csv::Error> =
        csv::Reader::from_reader(text.as_bytes()).deserialize().collect();
    rows.map_err(|error| damaged(folder, "scores.csv", &error.to_string()))
}

/// Of the test clips, `[clips, dim]`.
fn features(folder: &RunFolder, known: &Hashes) -> Result<Array2<f64>, Error> {
    let bytes = folder.read_sound("features.npz", known)?;
    let features = npz_matrix(Cursor::new(bytes), "test")
        .map_err(|error| damaged(folder, "features.npz", &error.to_string()))?;
    Ok(features.mapv(f64::from))
}

/// A file of the evaluation is not what it should be. Judging the run again makes all of them again.
fn damaged(folder: &RunFolder, name: &str, why: &str) -> Error {
    let (path, runs) = (folder.file(name), folder.path().display());
    let source = std::io::Error::other(format!("{why}; judge the run again with `asdbench eval {runs}`"));
    files::Error::new("read", &path, source).into()
}

#[cfg(test)]
mod tests;
