//! Files as the challenge wants them: without a header, one row a clip, in the naming of the year.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::names::{self, Kind};
use super::{Error, Year};
use crate::dataset::{Domain, Split, clip_facts, is_number, stem};
use crate::files::{self, Durability};

/// A test clip to be submitted; its label may be unknown.
#[derive(Clone, Debug, PartialEq)]
pub struct ScoredClip {
    /// File name, with or without folders and `.wav`.
    pub file: String,
    /// Anomaly score, finite; higher means more anomalous.
    pub score: f64,
    /// Whether it is called anomalous; for all clips or for none.
    pub decision: Option<bool>,
    /// In 2021, whose files are per domain: needed where the clip's name does not tell.
    pub domain: Option<Domain>,
}

/// Write the score file of one machine's section into `folder`, which is made where it is missing, and the decision file
/// where there are decisions; without them a decision file of an earlier call is removed. In 2021 there is one of each per
/// domain. Rows are sorted by clip; scores have all their digits. Each file appears whole or not at all. Returns the
/// files' paths.
///
/// [`read`](super::read()) reads back what was written.
///
/// # Errors
/// No clip, a clip twice, a score that is not finite, decisions for some clips only, a machine's name or section that
/// does not fit into a file name, a clip of 2021 without a domain, a folder that cannot be written.
pub fn write_submission(
    folder: &Path,
    year: Year,
    machine: &str,
    section: &str,
    clips: &[ScoredClip],
) -> Result<Vec<PathBuf>, Error> {
    let fail = |why: String| {
        Err(Error::Unwritable { year, machine: machine.to_owned(), section: section.to_owned(), why })
    };
    if clips.is_empty() {
        return fail("there is no clip; score the test clips first".to_owned());
    }
    if !is_number(section) {
        return fail("the section is not a number; use 00, 01, …".to_owned());
    }
    let section = names::section(section);
    let mut files: BTreeMap<Option<Domain>, BTreeMap<String, &ScoredClip>> = BTreeMap::new();
    for clip in clips {
        let name = stem(clip.file.rsplit(['/', '\\']).next().unwrap_or_default());
        if name.is_empty() || name.chars().any(char::is_control) || name.trim() != name {
            return fail(format!(
                "`{}` is not a clip's file name; rename the clip",
                clip.file.escape_debug()
            ));
        }
        if !clip.score.is_finite() {
            return fail(format!("the score of `{name}` is {}; look for a diverged model", clip.score));
        }
        if clip.decision.is_some() != clips[0].decision.is_some() {
            return fail(format!(
                "`{name}` has a decision and others have none, or the reverse; decide on all or none"
            ));
        }
        let domain = match year {
            Year::Y2021 => clip.domain.or_else(|| clip_facts(name)?.domain),
            _ => None,
        };
        if year == Year::Y2021 && domain.is_none() {
            return fail(format!("the domain of `{name}` is unknown; files of 2021 are per domain"));
        }
        if files.entry(domain).or_default().insert(format!("{name}.wav"), clip).is_some() {
            return fail(format!("`{name}` is there twice; score each clip once"));
        }
    }
    files::make_folder(folder)?;
    let mut written = Vec::new();
    for (domain, clips) in files {
        let path = |kind| {
            let name = names::write(kind, year, machine, &section, domain);
            // A name that would be read as another machine, or that leads out of the folder.
            let fits = !machine.contains(['/', '\\'])
                && names::parse(&name)?.is_ok_and(|read| read.machine == machine);
            fits.then(|| folder.join(name))
        };
        let (Some(scores), Some(decisions)) = (path(Kind::Scores), path(Kind::Decisions)) else {
            return fail("the machine's name does not fit into a file name; rename it".to_owned());
        };
        let rows = clips.iter().map(|(file, clip)| [file.clone(), format!("{:?}", clip.score)]);
        save(&scores, rows)?;
        written.push(scores);
        let decided: Option<Vec<bool>> = clips.values().map(|clip| clip.decision).collect();
        let Some(decided) = decided else {
            files::remove(&decisions)?;
            continue;
        };
        let rows = clips.keys().zip(decided).map(|(file, flag)| [file.clone(), u8::from(flag).to_string()]);
        save(&decisions, rows)?;
        written.push(decisions);
    }
    Ok(written)
}

/// Write the scores of one machine's section's training clips, pairs of file name and finite score, into `folder`, which is
/// there; the file's path.
///
/// # Errors
/// A folder that cannot be written, a machine's name that does not fit into a file name.
pub fn write_training_scores(
    folder: &Path,
    year: Year,
    machine: &str,
    section: &str,
    clips: &[(String, f64)],
) -> Result<PathBuf, Error> {
    let name = names::write_training(year, machine, section);
    let fits = names::parse_of(&name, Split::Train)
        .is_some_and(|read| read.is_ok_and(|read| read.machine == machine));
    if machine.contains(['/', '\\']) || !fits {
        let why = "the machine's name does not fit into a file name; rename it".to_owned();
        return Err(Error::Unwritable {
            year,
            machine: machine.to_owned(),
            section: section.to_owned(),
            why,
        });
    }
    let path = folder.join(name);
    save(&path, clips.iter().map(|(file, score)| [file.clone(), format!("{score:?}")]))?;
    Ok(path)
}

fn save(path: &Path, rows: impl Iterator<Item = [String; 2]>) -> Result<(), Error> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in rows {
        writer.write_record(&row).map_err(|error| Error::table(path, error.to_string()))?;
    }
    let bytes = writer.into_inner().map_err(|error| Error::table(path, error.to_string()))?;
    Ok(files::write(path, &bytes, Durability::Flushed)?)
}
