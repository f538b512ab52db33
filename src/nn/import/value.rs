//! The plain data that a checkpoint holds beside and around its tensors.

use std::sync::Arc;

use super::error::shown;
use super::tensor::Tensor;

/// One value of a checkpoint.
///
/// Values that the file names twice are shared, not copied. There are no cycles, no more than
/// 256 levels, and a walk through everything visits at most four million values: all of that is
/// checked while the file is opened, so a caller may recurse.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `None`.
    None,
    /// `True`, `False`.
    Bool(bool),
    /// A whole number. One beyond 64 bits is [`Value::Opaque`].
    Int(i64),
    /// A number.
    Float(f64),
    /// A text.
    Text(Arc<str>),
    /// Bytes; also a text of Python 2 that is not UTF-8.
    Bytes(Arc<[u8]>),
    /// A list.
    List(Arc<[Value]>),
    /// A tuple, `torch.Size` too.
    Tuple(Arc<[Value]>),
    /// A set, in the file's order.
    Set(Arc<[Value]>),
    /// A dict, an `OrderedDict`, or the attributes of an `argparse.Namespace`.
    Dict(Arc<Dict>),
    /// A tensor; [`Checkpoint::tensor`](super::Checkpoint::tensor) gives its values.
    Tensor(Arc<Tensor>),
    /// A class, a function or an object that was neither called nor made.
    Opaque(Arc<Opaque>),
}

/// Something in the file that is no plain data: only its name is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opaque {
    /// The Python module, such as `omegaconf.dictconfig`.
    pub module: Arc<str>,
    /// The name in it, such as `DictConfig`.
    pub name: Arc<str>,
}

impl Opaque {
    /// `module.name`, fit for a message.
    pub fn class(&self) -> String {
        shown(&format!("{}.{}", self.module, self.name))
    }
}

/// A dict in the file's order. A key that was set twice has its last value at its first place.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Dict {
    entries: Vec<(Value, Value)>,
}

impl Dict {
    pub(super) fn new(entries: Vec<(Value, Value)>) -> Self {
        Self { entries }
    }

    /// The value of a text key.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.entries.iter().find(|(k, _)| k.as_text() == Some(key)).map(|(_, value)| value)
    }

    /// Keys and values.
    pub fn iter(&self) -> impl Iterator<Item = (&Value, &Value)> {
        self.entries.iter().map(|(key, value)| (key, value))
    }

    /// The number of keys.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl Value {
    /// The value of a key, where this is a dict that has it.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.as_dict()?.get(key)
    }

    /// The text, where this is one.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The whole number, where this is one.
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Self::Int(number) => Some(*number),
            _ => None,
        }
    }

    /// The number, whole ones too.
    pub fn as_float(&self) -> Option<f64> {
        match self {
            Self::Float(number) => Some(*number),
            Self::Int(number) => Some(*number as f64),
            _ => None,
        }
    }

    /// The truth value, where this is one.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(truth) => Some(*truth),
            _ => None,
        }
    }

    /// The elements of a list, tuple or set.
    pub fn as_list(&self) -> Option<&[Value]> {
        match self {
            Self::List(items) | Self::Tuple(items) | Self::Set(items) => Some(items),
            _ => None,
        }
    }

    /// The dict, where this is one.
    pub fn as_dict(&self) -> Option<&Dict> {
        match self {
            Self::Dict(dict) => Some(dict),
            _ => None,
        }
    }

    /// What this is, for a message: `a text`, `an object of class omegaconf.DictConfig`.
    pub fn kind(&self) -> String {
        match self {
            Self::None => "nothing (None)".into(),
            Self::Bool(_) => "a truth value".into(),
            Self::Int(_) => "a whole number".into(),
            Self::Float(_) => "a number".into(),
            Self::Text(_) => "a text".into(),
            Self::Bytes(_) => "bytes".into(),
            Self::List(items) => format!("a list of {}", items.len()),
            Self::Tuple(items) => format!("a tuple of {}", items.len()),
            Self::Set(items) => format!("a set of {}", items.len()),
            Self::Dict(dict) => format!("a dict of {}", dict.len()),
            Self::Tensor(tensor) => format!("one tensor of shape {:?}", tensor.shape()),
            Self::Opaque(opaque) => format!("an object of class {}", opaque.class()),
        }
    }
}
