//! What the known names make of their arguments. Nothing of Python runs here.

use std::sync::Arc;

use super::super::dtype::Dtype;
use super::super::tensor::Tensor;
use super::super::value::Opaque;
use super::arena::{Arena, Id, Node, StorageView};
use super::cursor::Fault;
use super::globals::{Known, Rebuild};

/// More axes than any tensor has.
const MAX_AXES: usize = 64;

/// What `callee(*arguments)` gives: a plain value for the names that are understood, an object of
/// which only the class is known for all others.
pub fn call(arena: &mut Arena, callee: Id, arguments: Id) -> Result<Id, Fault> {
    let Node::Tuple(arguments) = arena.get(arguments) else {
        return Err(format!("the arguments of a call are {}, not a tuple", arena.kind(arguments)).into());
    };
    match arena.get(callee) {
        Node::Object(class) => {
            let class = class.clone();
            arena.add(Node::Object(class))
        }
        Node::Global(class, Known::Other) => {
            let class = class.clone();
            arena.add(Node::Object(class))
        }
        Node::Global(class, known) => {
            let (class, known) = (class.clone(), *known);
            // The known functions read few arguments; a hostile tuple may be long.
            let arguments: Vec<Id> = arguments.iter().take(16).copied().collect();
            known_call(arena, class, known, &arguments)
        }
        _ => Err(format!("it calls {}", arena.kind(callee)).into()),
    }
}

fn known_call(arena: &mut Arena, class: Arc<Opaque>, known: Known, arguments: &[Id]) -> Result<Id, Fault> {
    let wrong = |arena: &Arena| {
        let kinds: Vec<String> = arguments.iter().map(|&id| arena.kind(id)).collect();
        Fault::from(format!("{} is called with ({})", class.class(), kinds.join(", ")))
    };
    match known {
        Known::Dict => {
            let entries = match arguments {
                [] => Some(Vec::new()),
                [entries] => entries_of(arena, *entries)?,
                _ => None,
            };
            let entries = entries.ok_or_else(|| wrong(arena))?;
            arena.add(Node::Dict(entries))
        }
        Known::DefaultDict => arena.add(Node::Dict(Vec::new())),
        Known::List | Known::Tuple | Known::Set => {
            let items = match arguments {
                [] => Some(Vec::new()),
                [items] => items_of(arena, *items)?,
                _ => None,
            };
            let items = items.ok_or_else(|| wrong(arena))?;
            arena.add(match known {
                Known::List => Node::List(items),
                Known::Tuple => Node::Tuple(items),
                _ => Node::Set(items),
            })
        }
        Known::Bytes | Known::Encode => {
            let bytes: Option<Arc<[u8]>> = match arguments.first().map(|&id| arena.get(id)) {
                None => Some(Arc::default()),
                Some(Node::Bytes(bytes)) => Some(bytes.clone()),
                // Latin-1: one byte a character.
                Some(Node::Text(text)) => {
                    let text = text.clone();
                    arena.charge(text.len() / 8)?;
                    text.chars().map(|character| u8::try_from(u32::from(character)).ok()).collect()
                }
                Some(_) => None,
            };
            let bytes = bytes.ok_or_else(|| wrong(arena))?;
            arena.add(Node::Bytes(bytes))
        }
        Known::Namespace => arena.add(Node::Namespace(None)),
        Known::Reconstructor => match arguments.first().map(|&id| arena.get(id)) {
            Some(Node::Global(class, _)) => {
                let class = class.clone();
                arena.add(Node::Object(class))
            }
            _ => Err(wrong(arena)),
        },
        Known::Device => {
            let place = match arguments {
                [kind] => text_of(arena, *kind).map(str::to_owned),
                [kind, index] => text_of(arena, *kind)
                    .zip(int_of(arena, *index))
                    .map(|(kind, index)| format!("{kind}:{index}")),
                _ => None,
            };
            let place = place.filter(|place| place.len() < MAX_AXES).ok_or_else(|| wrong(arena))?;
            arena.add_text(&place)
        }
        Known::Rebuild(how) => rebuild(arena, how, arguments),
        Known::Storage(..) | Known::Dtype(_) | Known::Other => arena.add(Node::Object(class)),
    }
}

fn text_of(arena: &Arena, id: Id) -> Option<&str> {
    match arena.get(id) {
        Node::Text(text) => Some(text),
        _ => None,
    }
}

fn int_of(arena: &Arena, id: Id) -> Option<i64> {
    match arena.get(id) {
        Node::Int(number) => Some(*number),
        _ => None,
    }
}

/// A copy, so it is accounted for before it is made.
fn items_of(arena: &mut Arena, id: Id) -> Result<Option<Vec<Id>>, Fault> {
    let (Node::List(items) | Node::Tuple(items) | Node::Set(items)) = arena.get(id) else { return Ok(None) };
    let length = items.len();
    arena.charge(length)?;
    match arena.get(id) {
        Node::List(items) | Node::Tuple(items) | Node::Set(items) => Ok(Some(items.clone())),
        _ => Ok(None),
    }
}

fn entries_of(arena: &mut Arena, id: Id) -> Result<Option<Vec<(Id, Id)>>, Fault> {
    if let Node::Dict(entries) = arena.get(id) {
        let length = entries.len();
        arena.charge(length)?;
        return Ok(match arena.get(id) {
            Node::Dict(entries) => Some(entries.clone()),
            _ => None,
        });
    }
    let Some(pairs) = items_of(arena, id)? else { return Ok(None) };
    let pair = |&id: &Id| match arena.get(id) {
        Node::List(pair) | Node::Tuple(pair) => <[Id; 2]>::try_from(pair.as_slice()).ok().map(Into::into),
        _ => None,
    };
    Ok(pairs.iter().map(pair).collect())
}

fn rebuild(arena: &mut Arena, how: Rebuild, arguments: &[Id]) -> Result<Id, Fault> {
    match (how, arguments) {
        // (data, requires_grad, hooks[, state])
        (Rebuild::Parameter, [data, ..]) => match arena.get(*data) {
            Node::Tensor(_) | Node::Object(_) => Ok(*data),
            _ => Err(format!("a parameter of {}", arena.kind(*data)).into()),
        },
        // (function, type, arguments, state)
        (Rebuild::FromType, [function, _, inner, ..]) => match arena.get(*function) {
            // Not itself again: that would be a recursion of the file's choice.
            Node::Global(_, Known::Rebuild(Rebuild::FromType)) => {
                Err("a tensor made by its own maker".into())
            }
            _ => call(arena, *function, *inner),
        },
        // (storage, offset, size, stride, requires_grad, hooks, dtype[, metadata])
        (Rebuild::TensorWithDtype, [storage, offset, size, stride, _, _, dtype, ..]) => {
            let Node::Global(class, Known::Dtype(dtype)) = arena.get(*dtype) else {
                return Err(format!("a tensor of the type {}", arena.kind(*dtype)).into());
            };
            let (class, dtype) = (class.clone(), *dtype);
            match dtype {
                Some(dtype) => tensor(arena, [*storage, *offset, *size, *stride], Some(dtype)),
                None => arena.add(Node::Object(class)),
            }
        }
        // (storage, offset, size, stride[, requires_grad, hooks[, metadata]])
        (Rebuild::Tensor, [storage, offset, size, stride, ..]) => {
            tensor(arena, [*storage, *offset, *size, *stride], None)
        }
        _ => Err(format!("a tensor made of {} arguments", arguments.len()).into()),
    }
}

fn tensor(
    arena: &mut Arena,
    [storage, offset, size, stride]: [Id; 4],
    dtype: Option<Dtype>,
) -> Result<Id, Fault> {
    let Node::Storage(view) = arena.get(storage) else {
        return Err(format!("a tensor in {} instead of a storage", arena.kind(storage)).into());
    };
    let StorageView { storage, class, kind, window } = view.clone();
    let Known::Storage(stored_bytes, stored) = kind else { return Err("a storage without a type".into()) };
    let Some(stored) = stored else { return arena.add(Node::Object(class)) };
    let dtype = dtype.unwrap_or(stored);
    let window = retyped(window, stored_bytes, dtype.size_bytes())
        .ok_or_else(|| format!("a {dtype} tensor that starts within an element"))?;
    let offset = counts(arena, "offset", &[offset])?.first().copied().unwrap_or(0);
    let shape = axes(arena, "size", size)?;
    let strides = axes(arena, "stride", stride)?;
    arena.charge(2 * shape.len())?;
    let tensor = Tensor::new(dtype, storage, window, offset, shape, strides)?;
    arena.add(Node::Tensor(Arc::new(tensor)))
}

/// The same bytes counted in elements of another size.
fn retyped((start, length): (usize, usize), from: usize, to: usize) -> Option<(usize, usize)> {
    let start_bytes = start.checked_mul(from)?;
    let length_bytes = length.checked_mul(from)?;
    start_bytes.is_multiple_of(to).then_some((start_bytes / to, length_bytes / to))
}

fn axes(arena: &Arena, what: &str, id: Id) -> Result<Vec<usize>, Fault> {
    match arena.get(id) {
        Node::Tuple(items) | Node::List(items) if items.len() <= MAX_AXES => counts(arena, what, items),
        Node::Tuple(items) | Node::List(items) => Err(format!("a tensor of {} axes", items.len()).into()),
        _ => Err(format!("a tensor whose {what} is {}", arena.kind(id)).into()),
    }
}

fn counts(arena: &Arena, what: &str, ids: &[Id]) -> Result<Vec<usize>, Fault> {
    let count = |&id: &Id| match arena.get(id) {
        Node::Int(number) => {
            usize::try_from(*number).map_err(|_| Fault::from(format!("a tensor whose {what} is {number}")))
        }
        _ => Err(format!("a tensor whose {what} is {}", arena.kind(id)).into()),
    };
    ids.iter().map(count).collect()
}
