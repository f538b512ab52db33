//! Numbers, texts and bytes, in every notation that the protocols have.

use std::borrow::Cow;
use std::sync::Arc;

use super::arena::Node;
use super::cursor::{Cursor, Fault, long, raw_unicode, unquote, utf8};
use super::globals::large_int;
use super::opcodes;

/// What one opcode gives. Texts are apart: equal ones are kept once.
pub enum Scalar<'a> {
    Text(Cow<'a, str>),
    Other(Node),
}

/// The value of an opcode that takes nothing from the stack.
pub fn scalar<'a>(cursor: &mut Cursor<'a>, opcode: u8) -> Result<Scalar<'a>, Fault> {
    Ok(Scalar::Other(match opcode {
        b'N' => Node::None,
        0x88 => Node::Bool(true),
        0x89 => Node::Bool(false),
        b'I' => match cursor.line()? {
            b"00" => Node::Bool(false),
            b"01" => Node::Bool(true),
            line => decimal(line)?,
        },
        b'L' => {
            let line = cursor.line()?;
            decimal(line.strip_suffix(b"L").unwrap_or(line))?
        }
        b'J' => Node::Int(cursor.i32()?.into()),
        b'K' => Node::Int(cursor.u8()?.into()),
        b'M' => Node::Int(cursor.u16()?.into()),
        0x8a => {
            let length = cursor.u8()?;
            whole(cursor.take(length.into())?)
        }
        0x8b => {
            let length = cursor.length_i32()?;
            whole(cursor.take(length)?)
        }
        b'F' => Node::Float(utf8(cursor.line()?)?.parse().map_err(|_| "a number that is none")?),
        b'G' => Node::Float(f64::from_be_bytes(cursor.array()?)),
        b'X' | 0x8c | 0x8d | b'V' => return text(cursor, opcode).map(Scalar::Text),
        // Texts of Python 2: bytes that are mostly ASCII.
        b'S' | b'T' | b'U' => match String::from_utf8(old_text(cursor, opcode)?.into_owned()) {
            Ok(text) => return Ok(Scalar::Text(text.into())),
            Err(error) => Node::Bytes(error.into_bytes().into()),
        },
        b'B' | b'C' | 0x8e | 0x96 => {
            let length = match opcode {
                b'B' => cursor.u32()?.into(),
                b'C' => cursor.u8()?.into(),
                _ => cursor.u64()?,
            };
            Node::Bytes(cursor.take(length)?.into())
        }
        _ => {
            return Err(match opcodes::name(opcode) {
                Some(_) => "an opcode that no checkpoint needs".into(),
                None => format!("a byte {opcode:#04x} that is no opcode").into(),
            });
        }
    }))
}

fn text<'a>(cursor: &mut Cursor<'a>, opcode: u8) -> Result<Cow<'a, str>, Fault> {
    let length = match opcode {
        b'X' => cursor.u32()?.into(),
        0x8c => cursor.u8()?.into(),
        0x8d => cursor.u64()?,
        _ => return raw_unicode(cursor.line()?).map(Cow::Owned),
    };
    utf8(cursor.take(length)?).map(Cow::Borrowed)
}

fn old_text<'a>(cursor: &mut Cursor<'a>, opcode: u8) -> Result<Cow<'a, [u8]>, Fault> {
    let length = match opcode {
        b'T' => cursor.length_i32()?,
        b'U' => cursor.u8()?.into(),
        _ => return unquote(cursor.line()?).map(Cow::Owned),
    };
    cursor.take(length).map(Cow::Borrowed)
}

fn whole(bytes: &[u8]) -> Node {
    long(bytes).map_or_else(|| Node::Object(Arc::new(large_int())), Node::Int)
}

fn decimal(line: &[u8]) -> Result<Node, Fault> {
    let digits = line.strip_prefix(b"-").unwrap_or(line);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err("a whole number that is none".into());
    }
    let number = utf8(line)?.parse();
    Ok(number.map_or_else(|_| Node::Object(Arc::new(large_int())), Node::Int))
}
