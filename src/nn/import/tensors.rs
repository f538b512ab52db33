//! Named tensors: a state dict, flattened.

use std::collections::{BTreeMap, HashMap};

use super::Checkpoint;
use super::error::{Error, shown};
use super::tensor::TensorRef;
use super::value::{Dict, Value};

/// Names of parameters are far shorter; a file with longer ones is after our memory.
const LONGEST_NAME: usize = 4096;
/// All names together.
const ALL_NAMES: usize = 64 << 20;

/// The tensors of one dict of a checkpoint, under their names, in the file's order.
#[derive(Debug)]
pub struct Tensors<'a> {
    entries: Vec<(String, TensorRef<'a>)>,
    index: HashMap<String, usize>,
    left_over: Vec<(String, String)>,
}

impl<'a> Tensors<'a> {
    pub(super) fn of(checkpoint: &'a Checkpoint, dict: &'a Dict) -> Result<Self, Error> {
        let mut tensors = Self { entries: Vec::new(), index: HashMap::new(), left_over: Vec::new() };
        let mut name_bytes = 0;
        tensors.add(checkpoint, "", dict, &mut name_bytes)?;
        Ok(tensors)
    }

    /// Recursive: a checkpoint's values are at most 256 levels deep.
    fn add(
        &mut self,
        checkpoint: &'a Checkpoint,
        prefix: &str,
        dict: &'a Dict,
        name_bytes: &mut usize,
    ) -> Result<(), Error> {
        for (key, value) in dict.iter() {
            let name = match key {
                Value::Text(text) if prefix.len() + text.len() < LONGEST_NAME => format!("{prefix}{text}"),
                Value::Text(text) => {
                    return Err(Error::Names(format!("`{}` is too long", shown(text))));
                }
                Value::Int(number) => format!("{prefix}{number}"),
                other => {
                    self.left_over.push((format!("{prefix}?"), format!("the key is {}", other.kind())));
                    continue;
                }
            };
            *name_bytes += name.len();
            if *name_bytes > ALL_NAMES {
                return Err(Error::Names("there are too many".into()));
            }
            match value {
                Value::Dict(inner) => self.add(checkpoint, &format!("{name}."), inner, name_bytes)?,
                Value::Tensor(tensor) => {
                    if self.index.insert(name.clone(), self.entries.len()).is_some() {
                        return Err(Error::Names(format!("`{}` occurs twice", shown(&name))));
                    }
                    self.entries.push((name, checkpoint.tensor(tensor)?));
                }
                other => self.left_over.push((name, other.kind())),
            }
        }
        Ok(())
    }

    /// The tensor of that name.
    pub fn get(&self, name: &str) -> Option<TensorRef<'a>> {
        self.index.get(name).and_then(|&at| self.entries.get(at)).map(|(_, tensor)| *tensor)
    }

    /// The tensor of that name.
    ///
    /// # Errors
    /// When there is none.
    pub fn require(&self, name: &str) -> Result<TensorRef<'a>, Error> {
        self.get(name).ok_or_else(|| Error::NoTensor(name.to_owned()))
    }

    /// Names and tensors in the file's order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, TensorRef<'a>)> {
        self.entries.iter().map(|(name, tensor)| (name.as_str(), *tensor))
    }

    /// Names in the file's order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|(name, _)| name.as_str())
    }

    /// The number of tensors.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Elements of all tensors together; more than the file holds where tensors share storages.
    pub fn elements(&self) -> usize {
        self.entries.iter().fold(0, |sum, (_, tensor)| sum.saturating_add(tensor.len()))
    }

    /// What else the dict holds: names and what is there, such as `a list of 3`.
    pub fn left_over(&self) -> &[(String, String)] {
        &self.left_over
    }

    /// Names of tensors that are views of one storage, in groups of two and more, in the file's order.
    pub fn shared(&self) -> Vec<Vec<&str>> {
        let mut groups: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (at, (_, tensor)) in self.entries.iter().enumerate() {
            groups.entry(tensor.tensor().storage()).or_default().push(at);
        }
        let mut groups: Vec<Vec<usize>> = groups.into_values().filter(|group| group.len() > 1).collect();
        groups.sort_unstable();
        let name = |at: usize| self.entries[at].0.as_str();
        groups.into_iter().map(|group| group.into_iter().map(name).collect()).collect()
    }
}
