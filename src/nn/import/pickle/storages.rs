//! The storages that a pickle refers to by key; their bytes lie elsewhere in the file.

use std::collections::HashMap;
use std::sync::Arc;

use super::arena::{Arena, Id, Node, StorageView};
use super::cursor::Fault;
use super::globals::Known;

/// Keys are small numbers, or addresses in legacy files.
const LONGEST_KEY: usize = 128;

/// One storage, as its first mention describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Storage {
    /// The name of its bytes: the file `data/KEY` of a zip archive.
    pub key: Arc<str>,
    /// Bytes of one element.
    pub element_bytes: usize,
    /// The number of elements.
    pub elements: usize,
    /// Bytes that all mentions together need.
    pub needed_bytes: usize,
}

/// All storages, in the order of their first mention.
#[derive(Default)]
pub struct Storages {
    all: Vec<Storage>,
    by_key: HashMap<Id, usize>,
}

impl Storages {
    pub fn into_vec(self) -> Vec<Storage> {
        self.all
    }

    /// What a persistent id stands for: `("storage", type, key, location, elements[, view])`.
    pub fn refer(&mut self, arena: &Arena, persistent: Id) -> Result<Node, Fault> {
        let Node::Tuple(parts) = arena.get(persistent) else {
            return Err(format!("the persistent id is {}", arena.kind(persistent)).into());
        };
        let tag = parts.first().map(|&id| arena.get(id));
        let is = |name: &str| matches!(tag, Some(Node::Text(text)) if **text == *name);
        // Legacy files name a module's class together with its source text: ("module", class, file, source).
        if let (true, [_, class, ..]) = (is("module"), parts.as_slice()) {
            return match arena.get(*class) {
                node @ Node::Global(..) => Ok(node.clone()),
                _ => Err(format!("a module of {}", arena.kind(*class)).into()),
            };
        }
        let (true, [_, class, key, _, elements, rest @ ..]) = (is("storage"), parts.as_slice()) else {
            return Err(format!("a persistent id of {} parts that is no storage", parts.len()).into());
        };
        let Node::Global(class, kind @ Known::Storage(element_bytes, _)) = arena.get(*class) else {
            return Err(format!("a storage of the type {}", arena.kind(*class)).into());
        };
        let elements = count(arena, *elements)?;
        let needed_bytes = elements.checked_mul(*element_bytes).ok_or("a storage's size overflows")?;
        let storage = self.number(arena, *key, *element_bytes, elements, needed_bytes)?;
        let window = match rest {
            [] => (0, elements),
            [view, ..] => window(arena, *view, elements)?,
        };
        Ok(Node::Storage(StorageView { storage, class: class.clone(), kind: *kind, window }))
    }

    fn number(
        &mut self,
        arena: &Arena,
        key: Id,
        element_bytes: usize,
        elements: usize,
        needed_bytes: usize,
    ) -> Result<usize, Fault> {
        if let Some(&number) = self.by_key.get(&key) {
            if let Some(storage) = self.all.get_mut(number) {
                storage.needed_bytes = storage.needed_bytes.max(needed_bytes);
            }
            return Ok(number);
        }
        // Equal texts have equal ids in the arena.
        let Node::Text(text) = arena.get(key) else {
            return Err(format!("a storage whose key is {}", arena.kind(key)).into());
        };
        if text.len() > LONGEST_KEY {
            return Err(format!("a storage whose key has {} bytes", text.len()).into());
        }
        let number = self.all.len();
        self.all.push(Storage { key: text.clone(), element_bytes, elements, needed_bytes });
        self.by_key.insert(key, number);
        Ok(number)
    }
}

/// A legacy file's view of a storage: `None` or `(key, offset, elements)`.
fn window(arena: &Arena, view: Id, elements: usize) -> Result<(usize, usize), Fault> {
    match arena.get(view) {
        Node::None => Ok((0, elements)),
        Node::Tuple(parts) => {
            let [_, offset, length] = parts.as_slice() else {
                return Err("a storage view without its parts".into());
            };
            let (offset, length) = (count(arena, *offset)?, count(arena, *length)?);
            match offset.checked_add(length) {
                Some(end) if end <= elements => Ok((offset, length)),
                _ => Err(format!("a view of {length} elements from {offset} on, in a storage of {elements}")
                    .into()),
            }
        }
        _ => Err(format!("a storage view that is {}", arena.kind(view)).into()),
    }
}

fn count(arena: &Arena, id: Id) -> Result<usize, Fault> {
    match arena.get(id) {
        Node::Int(number) => {
            usize::try_from(*number).map_err(|_| format!("a storage with a size of {number}").into())
        }
        _ => Err(format!("a storage whose size is {}", arena.kind(id)).into()),
    }
}
