//! The files that an evaluation leaves beside `eval.json`.

use ndarray::Array2;
use serde::Serialize;

use super::Error;
use super::challenge::Challenge;
use crate::dataset::LabelledClip;
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

/// `scores.csv`, a row per test clip.
pub(super) fn write_scores(
    folder: &RunFolder,
    clips: &[&LabelledClip],
    challenge: Option<&Challenge<'_>>,
) -> Result<(), Error> {
    let path = folder.file("scores.csv");
    let fail = |e: String| files::Error::new("write", &path, std::io::Error::other(e));
    let decisions = challenge.and_then(Challenge::decisions);
    let mut writer = csv::Writer::from_writer(Vec::new());
    for (row, labelled) in clips.iter().enumerate() {
        let scored = Scored {
            clip: labelled.clip.path.to_string_lossy().into_owned(),
            section: labelled.clip.section.clone(),
            domain: labelled.clip.domain.map_or("", |domain| domain.token()),
            label: labelled.anomalous.map_or("", |anomalous| if anomalous { "anomaly" } else { "normal" }),
            mahalanobis: challenge.map(|challenge| challenge.scores[row]),
            decision: decisions.as_ref().map(|decisions| decisions[row].into()),
        };
        writer.serialize(scored).map_err(|e| fail(e.to_string()))?;
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
