//! Reads a fusion's files and the `--set` arguments over them.

use std::path::Path;

use super::shape::fusion;
use super::{FusionConfig, ResolvedFusion, system};
use crate::config::check::{OF_FUSIONS, Problem, check_document};
use crate::config::error::{Diagnosis, Error};
use crate::config::load::{Layers, read_text};
use crate::config::set;
use crate::config::tree::Node;

/// Loads a fusion file, whatever it extends, and `--set` arguments over it (`a.b=value`, later ones win).
///
/// `extends` is relative to the file that holds it; every other path is left as it is, relative to the working folder. Tables
/// merge, all else replaces: a file's systems replace those of the files it extends.
///
/// # Errors
/// [`Error`] with the place of everything that is wrong. Whether the folders are there is not checked here.
pub fn load_fusion(path: &Path, sets: &[String]) -> Result<FusionConfig, Error> {
    Ok(resolve_fusion(path, sets)?.fusion)
}

/// As [`load_fusion`], with the origin of every value.
///
/// # Errors
/// As [`load_fusion`].
pub fn resolve_fusion(path: &Path, sets: &[String]) -> Result<ResolvedFusion, Error> {
    let mut layers = Layers::default();
    let mut root = layers.enter(path, None, read)?;
    for argument in sets {
        let layer = set::parse_for(argument, fusion(), &mut layers.sources)?.layer;
        if let Some(node) = layer.get(["system"]) {
            let message = "`system` cannot be set from the command line".to_owned();
            let help = "systems stand in the file; `--set` takes the other tables, such as `--set tune.evaluations=100`";
            let problem = Problem::at(node.key, message).help(help);
            return Err(Error::Invalid(vec![problem.diagnose(&layer, &layers.sources)]));
        }
        root.merge(layer, fusion());
    }
    let mut problems = check_document(&root, fusion(), &["extends"]);
    if problems.is_empty() {
        system::check(&root, &mut problems);
    }
    if problems.is_empty() {
        match serde_path_to_error::deserialize(root.value()) {
            Ok(fusion) => return Ok(ResolvedFusion { fusion, tree: root, sources: layers.sources }),
            Err(error) => {
                let message = format!("`{}`: {}", error.path(), error.inner().message());
                problems.push(Problem::new(&error.path().to_string(), message));
            }
        }
    }
    problems.sort_by_key(|problem| problem.span(&root));
    let diagnose = |problem: Problem| problem.diagnose(&root, &layers.sources);
    Err(Error::Invalid(problems.into_iter().map(diagnose).collect::<Vec<Diagnosis>>()))
}

// A fusion's text over the fusions that it extends.
fn read(layers: &mut Layers, text: &str, path: &Path) -> Result<Node, Error> {
    let mut own = layers.parse(text, path)?;
    let folder = path.parent().unwrap_or(Path::new("")).to_owned();
    let mut below = Node::empty(own.span);
    for (name, span) in layers.extended(&mut own)? {
        below.merge(layers.enter(&folder.join(name), Some(span), read)?, fusion());
    }
    below.merge(own, fusion());
    Ok(below)
}

/// Whether a file is a fusion's rather than a configuration's or a study's, by its keys.
///
/// A file that cannot be read, or is no TOML, counts as none: loading it says what is wrong.
#[must_use]
pub fn is_fusion(path: &Path) -> bool {
    let text = read_text(path).unwrap_or_default();
    let keys = text.parse::<toml::Table>().unwrap_or_default();
    OF_FUSIONS.iter().any(|key| keys.contains_key(*key))
}
