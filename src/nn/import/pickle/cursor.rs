//! Bytes of a pickle, taken from the front; every length is held against what is left.

/// What is wrong with a pickle; the machine adds opcode and place.
#[derive(Debug)]
pub enum Fault {
    /// Damaged, or of a kind that no checkpoint has: a lowercase fragment.
    Bad(String),
    /// It names something that has no business in data.
    Denied(String),
}

impl From<String> for Fault {
    fn from(why: String) -> Self {
        Self::Bad(why)
    }
}

impl From<&str> for Fault {
    fn from(why: &str) -> Self {
        Self::Bad(why.to_owned())
    }
}

/// A place in the bytes.
pub struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at: at.min(bytes.len()) }
    }

    pub fn at(&self) -> usize {
        self.at
    }

    /// The next bytes, which stay where they are.
    pub fn peek(&self, length: u64) -> Result<&'a [u8], Fault> {
        let left = &self.bytes[self.at..];
        let next = usize::try_from(length).ok().and_then(|length| left.get(..length));
        next.ok_or_else(|| format!("it needs {length} bytes where {} are left", left.len()).into())
    }

    pub fn take(&mut self, length: u64) -> Result<&'a [u8], Fault> {
        let taken = self.peek(length)?;
        self.at += taken.len();
        Ok(taken)
    }

    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let taken = self.take(N as u64)?;
        taken.try_into().map_err(|_| Fault::from("the file ends here"))
    }

    pub fn u8(&mut self) -> Result<u8, Fault> {
        self.array().map(|[byte]| byte)
    }

    pub fn u16(&mut self) -> Result<u16, Fault> {
        self.array().map(u16::from_le_bytes)
    }

    pub fn u32(&mut self) -> Result<u32, Fault> {
        self.array().map(u32::from_le_bytes)
    }

    pub fn i32(&mut self) -> Result<i32, Fault> {
        self.array().map(i32::from_le_bytes)
    }

    pub fn u64(&mut self) -> Result<u64, Fault> {
        self.array().map(u64::from_le_bytes)
    }

    /// A length of four bytes that the format calls signed.
    pub fn length_i32(&mut self) -> Result<u64, Fault> {
        let length = self.i32()?;
        u64::try_from(length).map_err(|_| format!("a length of {length}").into())
    }

    /// The text up to the next line feed, without it.
    pub fn line(&mut self) -> Result<&'a [u8], Fault> {
        let left = &self.bytes[self.at..];
        let end = left.iter().position(|&byte| byte == b'\n').ok_or("a line without an end")?;
        self.at += end + 1;
        Ok(&left[..end])
    }
}

/// Bytes as a text.
pub fn utf8(bytes: &[u8]) -> Result<&str, Fault> {
    std::str::from_utf8(bytes).map_err(|_| Fault::from("a text is not UTF-8"))
}

/// A whole number in two's complement, little-endian; nothing where it needs more than 64 bits.
pub fn long(bytes: &[u8]) -> Option<i64> {
    let fill = if bytes.last().is_some_and(|byte| byte & 0x80 != 0) { 0xff } else { 0 };
    let mut eight = [fill; 8];
    for (place, &byte) in bytes.iter().enumerate() {
        match eight.get_mut(place) {
            Some(slot) => *slot = byte,
            None if byte == fill => {}
            None => return None,
        }
    }
    let number = i64::from_le_bytes(eight);
    // Nine bytes and more: the sign must be that of the eight that are kept.
    ((number < 0) == (fill == 0xff)).then_some(number)
}

/// Python's `repr` of a byte string (protocol 0): quotes and backslashes.
pub fn unquote(line: &[u8]) -> Result<Vec<u8>, Fault> {
    let inner = match line {
        [b'\'', inner @ .., b'\''] | [b'"', inner @ .., b'"'] => inner,
        _ => return Err("a text without its quotes".into()),
    };
    let mut text = Vec::with_capacity(inner.len());
    let mut rest = inner.iter();
    while let Some(&byte) = rest.next() {
        if byte != b'\\' {
            text.push(byte);
            continue;
        }
        text.push(match rest.next() {
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            Some(&same @ (b'\\' | b'\'' | b'"')) => same,
            Some(b'x') => {
                let digits: Vec<u8> = rest.by_ref().take(2).copied().collect();
                code(&digits, 2)? as u8
            }
            _ => return Err("a text with an unknown escape".into()),
        });
    }
    Ok(text)
}

/// Python's `raw-unicode-escape` (protocol 0): Latin-1 with `\uXXXX` and `\UXXXXXXXX`.
pub fn raw_unicode(line: &[u8]) -> Result<String, Fault> {
    let mut text = String::with_capacity(line.len());
    let mut at = 0;
    while let Some(&byte) = line.get(at) {
        let width = match line.get(at..at + 2) {
            Some(b"\\u") => 4,
            Some(b"\\U") => 8,
            _ => {
                text.push(char::from(byte));
                at += 1;
                continue;
            }
        };
        let point = code(line.get(at + 2..at + 2 + width).unwrap_or_default(), width)?;
        text.push(char::from_u32(point).ok_or("a text with a code point that there is not")?);
        at += 2 + width;
    }
    Ok(text)
}

fn code(digits: &[u8], width: usize) -> Result<u32, Fault> {
    let sound = digits.len() == width && digits.iter().all(u8::is_ascii_hexdigit);
    let parsed = std::str::from_utf8(digits).ok().and_then(|digits| u32::from_str_radix(digits, 16).ok());
    parsed.filter(|_| sound).ok_or_else(|| "a text with a broken escape".into())
}
