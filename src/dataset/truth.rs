//! Ground truth of evaluation sets, as published after each challenge: headerless tables
//! `ground_truth_data/ground_truth_<machine>_section_NN_test.csv` of `file,0|1` (1 = anomalous), the same under
//! `ground_truth_domain/` (1 = target), and under `ground_truth_attributes/` `file,<the full name>`.

use std::collections::HashMap;
use std::path::Path;

use super::clip::Domain;
use super::layout::{Parsed, name_facts, stem};
use super::walk::{Problem, ProblemKind};

/// What the tables say of one clip.
#[derive(Clone, Debug, Default)]
struct Facts {
    anomalous: Option<bool>,
    domain: Option<Domain>,
    attributes: Vec<(String, String)>,
}

/// The ground truth of all clips that the tables below a root name.
#[derive(Debug, Default)]
pub(super) struct GroundTruth {
    /// By (machine, clip's stem).
    rows: HashMap<(String, String), Facts>,
}

impl GroundTruth {
    /// Reads the tables at `paths` (relative to `root`). One that cannot be read becomes a problem; the rows before
    /// the fault count.
    pub fn read(root: &Path, paths: &[String], problems: &mut Vec<Problem>) -> Self {
        let mut truth = Self::default();
        for path in paths {
            if let Err(why) = truth.read_one(root, path) {
                problems.push(Problem {
                    path: Some(path.into()),
                    machine: None,
                    kind: ProblemKind::BadTable,
                    message: format!("ground truth is left out from the fault on: {why}"),
                });
            }
        }
        truth
    }

    fn read_one(&mut self, root: &Path, path: &str) -> Result<(), String> {
        let machine = machine_of(path).ok_or("its name is not ground_truth_<machine>_section_NN_test.csv")?;
        let of_domain = path.rsplit('/').nth(1).is_some_and(|folder| folder.contains("domain"));
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .trim(csv::Trim::All)
            .from_path(root.join(path))
            .map_err(|error| error.to_string())?;
        for (row, record) in reader.records().enumerate() {
            let record = record.map_err(|error| error.to_string())?;
            let (Some(file), Some(value)) = (record.get(0), record.get(1)) else {
                return Err(format!("row {} has no second column", row + 1));
            };
            let file = file.rsplit('/').next().unwrap_or_default();
            let facts = self.rows.entry((machine.to_owned(), stem(file).to_owned())).or_default();
            match value {
                "0" if of_domain => facts.domain = Some(Domain::Source),
                "1" if of_domain => facts.domain = Some(Domain::Target),
                "0" => facts.anomalous = Some(false),
                "1" => facts.anomalous = Some(true),
                full_name => {
                    let Some(named) = name_facts(stem(full_name)) else {
                        return Err(format!(
                            "row {} says `{value}`, which is neither 0 nor 1 nor a clip's name",
                            row + 1
                        ));
                    };
                    facts.anomalous = facts.anomalous.or(named.anomalous);
                    facts.domain = facts.domain.or(named.domain);
                    facts.attributes = named.attributes;
                }
            }
        }
        Ok(())
    }

    /// Fills in what the clip's own name leaves open.
    pub fn apply(&self, file: &str, clip: &mut Parsed) {
        if self.rows.is_empty() {
            return;
        }
        if let Some(facts) = self.rows.get(&(clip.machine.clone(), stem(file).to_owned())) {
            clip.anomalous = clip.anomalous.or(facts.anomalous);
            clip.domain = clip.domain.or(facts.domain);
            if clip.attributes.is_empty() {
                clip.attributes.clone_from(&facts.attributes);
            }
        }
    }
}

fn machine_of(path: &str) -> Option<&str> {
    let name = path.rsplit('/').next()?.strip_prefix("ground_truth_")?;
    let end = name.find("_section_").or_else(|| name.find("_id_"))?;
    Some(&name[..end])
}
