//! Values under construction. They refer to each other by number, so that a value that the file
//! names a million times is there once.

use std::collections::HashMap;
use std::sync::Arc;

use super::super::tensor::Tensor;
use super::super::value::Opaque;
use super::cursor::Fault;
use super::globals::{Known, known};

/// Values, elements of lists and entries of dicts together: a hundred times those of a large
/// checkpoint. It bounds memory (some hundred MB) and time for whatever a pickle does.
pub const MAX_CELLS: usize = 4_000_000;

/// What a new class counts: its names are looked up in long lists, once.
const CLASS_CELLS: usize = 16;

/// Longer names of modules and classes do not occur.
const LONGEST_NAME: usize = 512;

/// The number of a value.
pub type Id = u32;

/// A value under construction.
#[derive(Debug, Clone)]
pub enum Node {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(Arc<str>),
    Bytes(Arc<[u8]>),
    List(Vec<Id>),
    Tuple(Vec<Id>),
    Set(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    /// The dict of its attributes, when it has come.
    Namespace(Option<Id>),
    /// A name, not called.
    Global(Arc<Opaque>, Known),
    /// What calling an unknown name would have made.
    Object(Arc<Opaque>),
    Storage(StorageView),
    Tensor(Arc<Tensor>),
}

/// A storage, or a part of one, as a tensor refers to it.
#[derive(Debug, Clone)]
pub struct StorageView {
    /// The storage's number in the order of their mention.
    pub storage: usize,
    /// How the file calls the type.
    pub class: Arc<Opaque>,
    pub kind: Known,
    /// The first element and the number of elements.
    pub window: (usize, usize),
}

/// All values.
#[derive(Default)]
pub struct Arena {
    nodes: Vec<Node>,
    texts: HashMap<Arc<str>, Id>,
    /// By the module's length, module and name.
    classes: HashMap<String, Id>,
    cells: usize,
}

impl Arena {
    /// Accounts for `cells` more.
    pub fn charge(&mut self, cells: usize) -> Result<(), Fault> {
        self.cells = self.cells.saturating_add(cells);
        match self.cells <= MAX_CELLS {
            true => Ok(()),
            false => Err(format!("more than {MAX_CELLS} values").into()),
        }
    }

    pub fn add(&mut self, node: Node) -> Result<Id, Fault> {
        let inner = match &node {
            Node::List(items) | Node::Tuple(items) | Node::Set(items) => items.len(),
            Node::Dict(entries) => entries.len(),
            _ => 0,
        };
        self.charge(1 + inner)?;
        // The charge keeps the count far below 2^32.
        let id = self.nodes.len() as Id;
        self.nodes.push(node);
        Ok(id)
    }

    /// Equal texts have equal numbers, so that no dict ever compares long keys.
    pub fn add_text(&mut self, text: &str) -> Result<Id, Fault> {
        if let Some(&id) = self.texts.get(text) {
            return Ok(id);
        }
        let text: Arc<str> = text.into();
        let id = self.add(Node::Text(text.clone()))?;
        self.texts.insert(text, id);
        Ok(id)
    }

    /// A class or function; the same name has the same number.
    pub fn add_class(&mut self, module: &str, name: &str) -> Result<Id, Fault> {
        if module.len() > LONGEST_NAME || name.len() > LONGEST_NAME {
            return Err(format!("a class with a name of more than {LONGEST_NAME} bytes").into());
        }
        let key = format!("{}:{module}{name}", module.len());
        if let Some(&id) = self.classes.get(&key) {
            return Ok(id);
        }
        let known = known(module, name)?;
        self.charge(CLASS_CELLS)?;
        let class = Opaque { module: module.into(), name: name.into() };
        let id = self.add(Node::Global(Arc::new(class), known))?;
        self.classes.insert(key, id);
        Ok(id)
    }

    pub fn get(&self, id: Id) -> &Node {
        // Numbers come from `add` only; an impossible one is nothing.
        self.nodes.get(id as usize).unwrap_or(&Node::None)
    }

    pub fn get_mut(&mut self, id: Id) -> Result<&mut Node, Fault> {
        self.nodes.get_mut(id as usize).ok_or_else(|| "a value that is not there".into())
    }

    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// What a value is, for a message.
    pub fn kind(&self, id: Id) -> String {
        match self.get(id) {
            Node::None => "None".into(),
            Node::Bool(_) => "a truth value".into(),
            Node::Int(_) => "a whole number".into(),
            Node::Float(_) => "a number".into(),
            Node::Text(_) => "a text".into(),
            Node::Bytes(_) => "bytes".into(),
            Node::List(_) => "a list".into(),
            Node::Tuple(_) => "a tuple".into(),
            Node::Set(_) => "a set".into(),
            Node::Dict(_) => "a dict".into(),
            Node::Namespace(_) => "a namespace".into(),
            Node::Global(class, _) => format!("the name {}", class.class()),
            Node::Object(class) => format!("an object of {}", class.class()),
            Node::Storage(_) => "a storage".into(),
            Node::Tensor(_) => "a tensor".into(),
        }
    }
}
