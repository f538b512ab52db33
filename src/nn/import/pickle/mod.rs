//! A machine for Python's pickles that runs nothing of Python.
//!
//! The opcodes are those of `pickletools` that make plain data, protocols 0 to 5; the extension
//! registry and out-of-band buffers are refused. Each opcode takes bounded time, and
//! [`arena::MAX_CELLS`] bounds what all of them make.

mod arena;
mod build;
mod cursor;
mod globals;
mod opcodes;
mod resolve;
mod scalar;
mod storages;

use std::collections::HashMap;

use super::error::Error;
use super::value::Value;
use arena::{Arena, Id, Node};
use cursor::{Cursor, Fault, utf8};
use scalar::{Scalar, scalar};
use storages::Storages;

pub(super) use storages::Storage;

/// Bounds time and the stack; a checkpoint of a thousand tensors has some 30,000 opcodes.
const MAX_OPS: usize = 32_000_000;

/// What a pickle holds.
pub(super) struct Unpickled {
    /// The value that it was made of.
    pub root: Value,
    /// Storages that its tensors lie in.
    pub storages: Vec<Storage>,
    /// Where in the bytes it ends.
    pub end: usize,
}

/// The pickle that begins at byte `start`.
///
/// # Errors
/// When it is damaged, hostile or too large; the error names opcode and place.
pub(super) fn unpickle(bytes: &[u8], start: usize) -> Result<Unpickled, Error> {
    let mut machine = Machine {
        cursor: Cursor::new(bytes, start),
        arena: Arena::default(),
        storages: Storages::default(),
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
    };
    let root = machine.run()?;
    let root = resolve::resolve(&machine.arena, root).map_err(Error::Tree)?;
    Ok(Unpickled { root, storages: machine.storages.into_vec(), end: machine.cursor.at() })
}

struct Machine<'a> {
    cursor: Cursor<'a>,
    arena: Arena,
    storages: Storages,
    stack: Vec<Id>,
    /// Heights of the stack at which groups begin.
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
}

impl Machine<'_> {
    fn run(&mut self) -> Result<Id, Error> {
        for _ in 0..MAX_OPS {
            let offset = self.cursor.at();
            let mut name = "none";
            let step = self.cursor.u8().and_then(|opcode| {
                name = opcodes::name(opcode).unwrap_or("unknown");
                self.step(opcode)
            });
            match step {
                Ok(None) => {}
                Ok(Some(root)) => return Ok(root),
                Err(Fault::Denied(class)) => return Err(Error::Denied { class, offset }),
                Err(Fault::Bad(why)) => return Err(Error::Pickle { opcode: name, offset, why }),
            }
        }
        let why = format!("more than {MAX_OPS} opcodes");
        Err(Error::Pickle { opcode: "none", offset: self.cursor.at(), why })
    }

    /// One opcode; the root where it is the last.
    fn step(&mut self, opcode: u8) -> Result<Option<Id>, Fault> {
        match opcode {
            b'.' => return self.pop().map(Some),
            0x80 => match self.cursor.u8()? {
                0..=5 => {}
                protocol => return Err(format!("protocol {protocol}").into()),
            },
            // A frame's length is of use to stream readers only.
            0x95 => {
                let length = self.cursor.u64()?;
                self.cursor.peek(length)?;
            }
            b'(' => self.marks.push(self.stack.len()),
            b'0' => self.pop_or_mark()?,
            b'1' => drop(self.pop_mark()?),
            b'2' => {
                let top = self.top()?;
                self.stack.push(top);
            }
            b'q' | b'r' | b'p' | 0x94 => self.memorise(opcode)?,
            b'h' | b'j' | b'g' => self.recall(opcode)?,
            b'c' | 0x93 | b'i' => self.global(opcode)?,
            b'R' | 0x81 | 0x92 | b'o' | b'b' | b'Q' => self.make(opcode)?,
            b'a' | b'e' | b's' | b'u' | 0x90 => self.extend(opcode)?,
            b')' | b't' | 0x85..=0x87 | b']' | b'l' | b'}' | b'd' | 0x8f | 0x91 => self.container(opcode)?,
            _ => match scalar(&mut self.cursor, opcode)? {
                Scalar::Text(text) => self.push_text(&text)?,
                Scalar::Other(node) => self.push(node)?,
            },
        }
        Ok(None)
    }

    fn container(&mut self, opcode: u8) -> Result<(), Fault> {
        let node = match opcode {
            b')' => Node::Tuple(Vec::new()),
            b']' => Node::List(Vec::new()),
            b'}' => Node::Dict(Vec::new()),
            0x8f => Node::Set(Vec::new()),
            0x85..=0x87 => {
                let mut items = Vec::with_capacity(3);
                for _ in 0x84..opcode {
                    items.push(self.pop()?);
                }
                items.reverse();
                Node::Tuple(items)
            }
            b't' => Node::Tuple(self.pop_mark()?),
            b'l' => Node::List(self.pop_mark()?),
            0x91 => Node::Set(self.pop_mark()?),
            _ => Node::Dict(pairs(&self.pop_mark()?)?),
        };
        self.push(node)
    }

    /// Elements and entries for a container that stands on the stack, or in memory too.
    fn extend(&mut self, opcode: u8) -> Result<(), Fault> {
        let items = match opcode {
            b'a' => vec![self.pop()?],
            b's' => {
                let value = self.pop()?;
                vec![self.pop()?, value]
            }
            _ => self.pop_mark()?,
        };
        self.arena.charge(items.len())?;
        let target = self.top()?;
        match (self.arena.get_mut(target)?, opcode) {
            (Node::List(list), b'a' | b'e') => list.extend(items),
            (Node::Set(set), 0x90) => set.extend(items),
            (Node::Dict(dict), b's' | b'u') => dict.extend(pairs(&items)?),
            // A subclass of list or dict that we do not know.
            (Node::Object(_), _) => {}
            _ => return Err(format!("elements for {}", self.arena.kind(target)).into()),
        }
        Ok(())
    }

    fn global(&mut self, opcode: u8) -> Result<(), Fault> {
        let class = if opcode == 0x93 {
            let (name, module) = (self.pop()?, self.pop()?);
            let (Node::Text(module), Node::Text(name)) = (self.arena.get(module), self.arena.get(name))
            else {
                return Err("a class whose name is no text".into());
            };
            let (module, name) = (module.clone(), name.clone());
            self.arena.add_class(&module, &name)?
        } else {
            let (module, name) = (self.cursor.line()?, self.cursor.line()?);
            self.arena.add_class(utf8(module)?, utf8(name)?)?
        };
        if opcode == b'i' {
            let arguments = self.pop_mark()?;
            let arguments = self.arena.add(Node::Tuple(arguments))?;
            return self.call(class, arguments);
        }
        self.stack.push(class);
        Ok(())
    }

    /// Calls, objects and storages: see [`build`] for what comes of them.
    fn make(&mut self, opcode: u8) -> Result<(), Fault> {
        match opcode {
            b'Q' => {
                let persistent = self.pop()?;
                let node = self.storages.refer(&self.arena, persistent)?;
                self.push(node)
            }
            b'o' => {
                let items = self.pop_mark()?;
                let (&class, arguments) = items.split_first().ok_or("an object without a class")?;
                let arguments = self.arena.add(Node::Tuple(arguments.to_vec()))?;
                self.call(class, arguments)
            }
            b'b' => {
                let state = self.pop()?;
                let target = self.top()?;
                let is_dict = matches!(self.arena.get(state), Node::Dict(_));
                match self.arena.get_mut(target)? {
                    Node::Namespace(attributes @ None) if is_dict => *attributes = Some(state),
                    // Attributes beside the contents, such as a state dict's `_metadata`.
                    Node::Object(_) | Node::Dict(_) | Node::Tensor(_) | Node::Set(_) => {}
                    _ => return Err(format!("attributes for {}", self.arena.kind(target)).into()),
                }
                Ok(())
            }
            _ => {
                if opcode == 0x92 {
                    // Keyword arguments: plain data has none that matter.
                    self.pop()?;
                }
                let arguments = self.pop()?;
                let callee = self.pop()?;
                self.call(callee, arguments)
            }
        }
    }

    fn call(&mut self, callee: Id, arguments: Id) -> Result<(), Fault> {
        let made = build::call(&mut self.arena, callee, arguments)?;
        self.stack.push(made);
        Ok(())
    }

    fn memorise(&mut self, opcode: u8) -> Result<(), Fault> {
        let index = match opcode {
            0x94 => u32::try_from(self.memo.len()).map_err(|_| "a memo that is full")?,
            _ => self.index(opcode)?,
        };
        self.arena.charge(1)?;
        let top = self.top()?;
        self.memo.insert(index, top);
        Ok(())
    }

    fn recall(&mut self, opcode: u8) -> Result<(), Fault> {
        let index = self.index(opcode)?;
        let id = self.memo.get(&index).ok_or_else(|| format!("nothing was memorised as {index}"))?;
        self.stack.push(*id);
        Ok(())
    }

    fn index(&mut self, opcode: u8) -> Result<u32, Fault> {
        match opcode {
            b'q' | b'h' => self.cursor.u8().map(u32::from),
            b'r' | b'j' => self.cursor.u32(),
            _ => utf8(self.cursor.line()?)?.parse().map_err(|_| "a memo index that is no number".into()),
        }
    }

    fn push(&mut self, node: Node) -> Result<(), Fault> {
        let id = self.arena.add(node)?;
        self.stack.push(id);
        Ok(())
    }

    fn push_text(&mut self, text: &str) -> Result<(), Fault> {
        let id = self.arena.add_text(text)?;
        self.stack.push(id);
        Ok(())
    }

    /// Nothing below the last mark may be touched.
    fn top(&self) -> Result<Id, Fault> {
        let floor = self.marks.last().copied().unwrap_or(0);
        let above = self.stack.get(floor..).and_then(<[Id]>::last);
        above.copied().ok_or_else(|| "the stack is empty".into())
    }

    fn pop(&mut self) -> Result<Id, Fault> {
        let top = self.top()?;
        self.stack.pop();
        Ok(top)
    }

    fn pop_or_mark(&mut self) -> Result<(), Fault> {
        if self.marks.last() == Some(&self.stack.len()) {
            self.marks.pop();
            return Ok(());
        }
        self.pop().map(drop)
    }

    /// What stands above the last mark.
    fn pop_mark(&mut self) -> Result<Vec<Id>, Fault> {
        let floor = self.marks.pop().ok_or("there is no mark")?;
        Ok(self.stack.split_off(floor.min(self.stack.len())))
    }
}

fn pairs(items: &[Id]) -> Result<Vec<(Id, Id)>, Fault> {
    let (pairs, rest) = items.as_chunks::<2>();
    match rest {
        [] => Ok(pairs.iter().map(|&[key, value]| (key, value)).collect()),
        _ => Err("a key without a value".into()),
    }
}
