//! The files that an evaluation leaves beside `eval.json`.

use ndarray::Array2;
use serde::Serialize;

use super::Error;
use super::challenge::Challenge;
use crate::dataset::{Clip, LabelledClip};
use crate::files::{self, Durability};
use crate::report::NpzWriter;
use crate::run::RunFolder;
use crate::task::{Sounds, TaskTable};

/// One row of `scores.csv`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Scored {
    /// Relative to the data set's root, as in `features.npz`.
    pub clip: String,
    /// Section.
    pub section: String,
    /// `source`, `target` or empty.
    pub domain: &'static str,
    /// `normal`, `anomaly` or empty.
    pub label: &'static str,
    /// Squared Mahalanobis distance; higher is more anomalous.
    pub mahalanobis: Option<f64>,
    /// 1 where the score is above the threshold of the training scores, else 0.
    pub decision: Option<u8>,
}

/// The first columns of `scores.csv`, those of [`Scored`].
const TEST_COLUMNS: [&str; 6] = ["clip", "section", "domain", "label", "mahalanobis", "decision"];

/// The first columns of `training_scores.csv`.
const TRAINING_COLUMNS: [&str; 4] = ["clip", "section", "domain", "mahalanobis"];

/// A detector's column in a table of scores, after those that every table has.
pub(super) struct Column<'a> {
    pub name: &'a str,
    /// A score per row; none where the detector could not be fitted.
    pub scores: Option<&'a [f64]>,
}

/// `features.npz`: of train and of test clips the features, `[clips, dim]`, and the clips' paths.
pub(super) fn write_features(
    folder: &RunFolder,
    train: (&Array2<f32>, &Sounds),
    test: (&Array2<f32>, &Sounds),
) -> Result<(), Error> {
    let names = |clips: &Sounds| clips.good().map(|good| good.path.to_owned()).collect::<Vec<_>>();
    let mut npz = NpzWriter::default();
    npz.matrix("train", train.0.view());
    npz.texts("train_clip", &names(train.1));
    npz.matrix("test", test.0.view());
    npz.texts("test_clip", &names(test.1));
    let path = folder.file("features.npz");
    let bytes = npz.finish().map_err(|e| files::Error::new("write", &path, e))?;
    Ok(files::write(&path, &bytes, Durability::Flushed)?)
}

/// The family's own tables. Of `names`, one that an earlier evaluation wrote and this one has not, goes.
pub(super) fn write_tables(folder: &RunFolder, names: &[&str], tables: &[TaskTable]) -> Result<(), Error> {
    for name in names.iter().filter(|name| tables.iter().all(|table| table.name != **name)) {
        files::remove(&folder.file(name))?;
    }
    for TaskTable { name, csv } in tables {
        files::write(&folder.file(name), csv, Durability::Flushed)?;
    }
    Ok(())
}

/// `scores.csv`, a row per test clip, and a column per detector.
pub(super) fn write_scores(
    folder: &RunFolder,
    clips: &[&LabelledClip],
    challenge: Option<&Challenge<'_>>,
    detectors: &[Column<'_>],
) -> Result<(), Error> {
    let decisions = challenge.and_then(Challenge::decisions);
    let rows = clips.iter().enumerate().map(|(row, labelled)| Scored {
        clip: labelled.clip.path.to_string_lossy().into_owned(),
        section: labelled.clip.section.clone(),
        domain: labelled.clip.domain.map_or("", |domain| domain.token()),
        label: labelled.anomalous.map_or("", |anomalous| if anomalous { "anomaly" } else { "normal" }),
        mahalanobis: challenge.map(|challenge| challenge.scores[row]),
        decision: decisions.as_ref().map(|decisions| decisions[row].into()),
    });
    write_table(folder, "scores.csv", &TEST_COLUMNS, rows, detectors)
}

/// `training_scores.csv`, a row per training clip: what scores of test clips may be normalised by without a look at them.
/// `mahalanobis` are the distances from the distribution that the clips themselves gave.
pub(super) fn write_training_scores(
    folder: &RunFolder,
    clips: &[&Clip],
    mahalanobis: Option<&[f64]>,
    detectors: &[Column<'_>],
) -> Result<(), Error> {
    let rows = clips.iter().enumerate().map(|(row, clip)| {
        let domain = clip.domain.map_or("", |domain| domain.token());
        (clip.path.to_string_lossy(), &clip.section, domain, mahalanobis.map(|scores| scores[row]))
    });
    write_table(folder, "training_scores.csv", &TRAINING_COLUMNS, rows, detectors)
}

fn write_table(
    folder: &RunFolder,
    name: &str,
    columns: &[&str],
    rows: impl Iterator<Item = impl Serialize>,
    detectors: &[Column<'_>],
) -> Result<(), Error> {
    let path = folder.file(name);
    let fail = |e: String| files::Error::new("write", &path, std::io::Error::other(e));
    // The columns are known only now, and the names of a row's fields would be taken for all of them.
    let mut writer = csv::WriterBuilder::new().has_headers(false).from_writer(Vec::new());
    let header = columns.iter().copied().chain(detectors.iter().map(|column| column.name));
    writer.write_record(header).map_err(|e| fail(e.to_string()))?;
    for (row, cells) in rows.enumerate() {
        let scores: Vec<Option<f64>> =
            detectors.iter().map(|column| column.scores.map(|scores| scores[row])).collect();
        writer.serialize((cells, scores)).map_err(|e| fail(e.to_string()))?;
    }
    let bytes = writer.into_inner().map_err(|e| fail(e.to_string()))?;
    Ok(files::write(&path, &bytes, Durability::Flushed)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_of_an_earlier_evaluation_does_not_stay() {
        let place = tempfile::tempdir().unwrap();
        let folder = RunFolder::at(place.path().to_owned());
        let names = ["mixtures.csv", "others.csv"];
        let table = |name| TaskTable { name, csv: b"a,b\n".to_vec() };
        write_tables(&folder, &names, &[table("mixtures.csv"), table("others.csv")]).unwrap();
        write_tables(&folder, &names, &[table("others.csv")]).unwrap();
        assert!(!folder.file("mixtures.csv").exists());
        assert_eq!(files::read(&folder.file("others.csv")).unwrap(), b"a,b\n");
        write_tables(&folder, &names, &[]).unwrap();
        assert!(!folder.file("others.csv").exists());
    }
}
