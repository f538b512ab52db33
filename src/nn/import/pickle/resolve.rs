//! From numbered values to a tree that callers can walk: no cycles, bounded depth and extent.

use std::collections::HashMap;
use std::sync::Arc;

use super::super::value::{Dict, Opaque, Value};
use super::arena::{Arena, Id, MAX_CELLS, Node};

/// Python's own pickler gives up at about 300 levels.
const MAX_DEPTH: usize = 256;

/// What became of a value.
#[derive(Clone)]
enum State {
    Unseen,
    /// Its own parts are being made: meeting it again is a cycle.
    Open,
    Done(Tree),
}

/// A finished value, its levels, and the number of values that a walk through it visits.
#[derive(Clone)]
struct Tree {
    value: Value,
    levels: usize,
    extent: usize,
}

/// The root as a tree. Errors are lowercase fragments.
pub fn resolve(arena: &Arena, root: Id) -> Result<Value, String> {
    let mut resolver = Resolver { arena, states: vec![State::Unseen; arena.len()] };
    let tree = resolver.tree(root, 0)?;
    Ok(tree.value)
}

struct Resolver<'a> {
    arena: &'a Arena,
    states: Vec<State>,
}

impl Resolver<'_> {
    /// Recursive, at most `MAX_DEPTH` deep; each value is made once.
    fn tree(&mut self, id: Id, depth: usize) -> Result<Tree, String> {
        let slot = self.states.get_mut(id as usize).ok_or("a value that is not there")?;
        let tree = match std::mem::replace(slot, State::Open) {
            State::Open => return Err("a value contains itself".into()),
            State::Done(tree) => tree,
            State::Unseen if depth >= MAX_DEPTH => return Err(too_deep()),
            State::Unseen => self.make(id, depth)?,
        };
        if depth + tree.levels > MAX_DEPTH {
            return Err(too_deep());
        }
        if tree.extent > MAX_CELLS {
            return Err(format!("they unfold to more than {MAX_CELLS} values"));
        }
        if let Some(slot) = self.states.get_mut(id as usize) {
            *slot = State::Done(tree.clone());
        }
        Ok(tree)
    }

    fn make(&mut self, id: Id, depth: usize) -> Result<Tree, String> {
        let arena = self.arena;
        let leaf = |value| Ok(Tree { value, levels: 1, extent: 1 });
        match arena.get(id) {
            Node::None => leaf(Value::None),
            Node::Bool(truth) => leaf(Value::Bool(*truth)),
            Node::Int(number) => leaf(Value::Int(*number)),
            Node::Float(number) => leaf(Value::Float(*number)),
            Node::Text(text) => leaf(Value::Text(text.clone())),
            Node::Bytes(bytes) => leaf(Value::Bytes(bytes.clone())),
            Node::List(items) => self.sequence(items, depth, Value::List),
            Node::Tuple(items) => self.sequence(items, depth, Value::Tuple),
            Node::Set(items) => self.sequence(items, depth, Value::Set),
            Node::Dict(entries) => self.dict(entries, depth),
            Node::Namespace(None) => leaf(Value::Dict(Arc::default())),
            Node::Namespace(Some(attributes)) => self.tree(*attributes, depth + 1),
            Node::Global(class, _) | Node::Object(class) => leaf(opaque(class)),
            Node::Storage(view) => leaf(opaque(&view.class)),
            Node::Tensor(tensor) => leaf(Value::Tensor(tensor.clone())),
        }
    }

    fn sequence(
        &mut self,
        items: &[Id],
        depth: usize,
        wrap: impl Fn(Arc<[Value]>) -> Value,
    ) -> Result<Tree, String> {
        let (mut levels, mut extent) = (0, 1usize);
        let mut values = Vec::with_capacity(items.len());
        for &item in items {
            let tree = self.tree(item, depth + 1)?;
            levels = levels.max(tree.levels);
            extent = extent.saturating_add(tree.extent);
            values.push(tree.value);
        }
        Ok(Tree { value: wrap(values.into()), levels: levels + 1, extent })
    }

    fn dict(&mut self, entries: &[(Id, Id)], depth: usize) -> Result<Tree, String> {
        let (mut levels, mut extent) = (0, 1usize);
        let mut values: Vec<(Value, Value)> = Vec::with_capacity(entries.len());
        let mut places: HashMap<Key, usize> = HashMap::new();
        for &(key, value) in entries {
            let place = self.key(key)?.and_then(|key| {
                let next = values.len();
                let place = *places.entry(key).or_insert(next);
                (place < next).then_some(place)
            });
            let (key, value) = (self.tree(key, depth + 1)?, self.tree(value, depth + 1)?);
            levels = levels.max(key.levels).max(value.levels);
            extent = extent.saturating_add(key.extent).saturating_add(value.extent);
            match place.and_then(|place| values.get_mut(place)) {
                Some(entry) => entry.1 = value.value,
                None => values.push((key.value, value.value)),
            }
        }
        Ok(Tree { value: Value::Dict(Arc::new(Dict::new(values))), levels: levels + 1, extent })
    }

    /// By what two keys are the same; nothing for keys that are never held equal (tuples, objects).
    fn key(&self, id: Id) -> Result<Option<Key>, String> {
        Ok(match self.arena.get(id) {
            Node::None => Some(Key::None),
            // In Python, True is 1.
            Node::Bool(truth) => Some(Key::Int(i64::from(*truth))),
            Node::Int(number) => Some(Key::Int(*number)),
            Node::Float(number) => Some(Key::Float(number.to_bits())),
            Node::Text(_) => Some(Key::Text(id)),
            Node::List(_) | Node::Dict(_) | Node::Set(_) => {
                return Err(format!("a dict's key is {}", self.arena.kind(id)));
            }
            _ => None,
        })
    }
}

/// A key that can be told from others at once.
#[derive(PartialEq, Eq, Hash)]
enum Key {
    None,
    Int(i64),
    Float(u64),
    /// The text's number: equal texts have one.
    Text(Id),
}

fn opaque(class: &Arc<Opaque>) -> Value {
    Value::Opaque(class.clone())
}

fn too_deep() -> String {
    format!("they are nested more than {MAX_DEPTH} deep")
}
