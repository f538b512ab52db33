//! `attributes_NN.csv`: the operating conditions of clips, `file_name,d1p,d1v[,d2p,d2v…]` with a key column `dNp`
//! and a value column `dNv` per condition. The file name may lack its folder, its extension or its own attributes.

use std::collections::HashMap;
use std::path::Path;

use super::layout::{name_facts, stem};
use super::walk::{Problem, ProblemKind};

/// Far more than any year's tables have; each is compared with each for every clip.
const MOST_CONDITIONS: usize = 256;

/// The attributes of all clips that the tables below a root name.
#[derive(Debug, Default)]
pub(super) struct AttributeTables {
    /// By (machine, clip's stem).
    rows: HashMap<(String, String), Vec<(String, String)>>,
}

impl AttributeTables {
    /// Reads the tables at `paths` (relative to `root`). One that cannot be read becomes a problem and is left out.
    pub fn read(root: &Path, paths: &[String], problems: &mut Vec<Problem>) -> Self {
        let mut tables = Self::default();
        for path in paths {
            if let Err(why) = tables.read_one(root, path) {
                problems.push(Problem {
                    path: Some(path.into()),
                    machine: None,
                    kind: ProblemKind::BadTable,
                    message: format!("attribute table is left out: {why}"),
                });
            }
        }
        tables
    }

    fn read_one(&mut self, root: &Path, path: &str) -> Result<(), String> {
        let bytes = std::fs::read(root.join(path)).map_err(|error| error.to_string())?;
        let text = std::str::from_utf8(&bytes).map_err(|error| error.to_string())?;
        let text = text.trim_start_matches('\u{feff}');
        let mut reader =
            csv::ReaderBuilder::new().flexible(true).trim(csv::Trim::All).from_reader(text.as_bytes());
        let header = reader.headers().map_err(|error| error.to_string())?.clone();
        let mut columns: HashMap<String, usize> = HashMap::with_capacity(header.len());
        for (at, name) in header.iter().enumerate() {
            columns.entry(name.to_ascii_lowercase()).or_insert(at);
        }
        let column = |name: &str| columns.get(name).copied();
        let name_at = column("file_name").ok_or("its header has no `file_name` column")?;
        let pairs: Vec<(usize, usize)> =
            (1..).map_while(|n| Some((column(&format!("d{n}p"))?, column(&format!("d{n}v"))?))).collect();

        if pairs.len() > MOST_CONDITIONS {
            return Err(format!("it has more than {MOST_CONDITIONS} conditions a clip"));
        }

        // The folder of the table is the machine's, unless one table serves several machines from above.
        let folders: Vec<&str> = path.split('/').rev().skip(1).collect();
        let of_table = folders.first().copied().or_else(|| root.file_name().and_then(|name| name.to_str()));
        for record in reader.records() {
            let record = record.map_err(|error| error.to_string())?;
            let Some(name) = record.get(name_at).filter(|name| !name.is_empty()) else { continue };
            let name = name.replace('\\', "/");
            let mut parts = name.rsplit('/');
            let file = parts.next().unwrap_or_default();
            let of_row = parts.nth(1);
            let attributes: Vec<(String, String)> = pairs
                .iter()
                .filter_map(|&(key, value)| Some((record.get(key)?, record.get(value)?)))
                .filter(|(key, value)| !key.is_empty() && !value.is_empty())
                .filter(|(key, value)| {
                    !super::layout::is_no_attribute(key) && !super::layout::is_no_attribute(value)
                })
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .collect();
            for machine in of_table.into_iter().chain(of_row) {
                self.rows.insert((machine.to_owned(), stem(file).to_owned()), attributes.clone());
            }
        }
        Ok(())
    }

    /// Puts the tables' word over what the clip's name said: equal keys take the table's value, further keys are
    /// appended. A name's unpaired `tag` goes, as the table says under which key it belongs.
    pub fn apply(&self, machine: &str, file: &str, attributes: &mut Vec<(String, String)>) {
        if self.rows.is_empty() {
            return;
        }
        let row = |stem: &str| self.rows.get(&(machine.to_owned(), stem.to_owned()));
        let full = stem(file);
        let Some(found) = row(full).or_else(|| row(without_attributes(full))).filter(|row| !row.is_empty())
        else {
            return;
        };
        attributes.retain(|(key, value)| key != "tag" || !found.iter().any(|(_, known)| known == value));
        for (key, value) in found {
            match attributes.iter_mut().find(|(known, _)| known == key) {
                Some((_, old)) => old.clone_from(value),
                None => attributes.push((key.clone(), value.clone())),
            }
        }
    }
}

/// `section_00_source_train_normal_0000_vel_6` as `section_00_source_train_normal_0000`.
fn without_attributes(stem: &str) -> &str {
    let tokens = name_facts(stem).map_or(0, |facts| {
        facts.attributes.iter().map(|(key, _)| if key == "tag" { 1 } else { 2 }).sum::<usize>()
    });
    let cut = stem.rmatch_indices('_').map(|(at, _)| at).take(tokens).last();
    &stem[..cut.unwrap_or(stem.len())]
}
