//! The directory of a zip archive of stored (uncompressed) files, as `torch.save` writes them.
//!
//! Not the `zip` crate's reader: it takes the last of two entries of one name without a word,
//! reserves memory for as many entries as a damaged archive claims, and, where a directory is
//! damaged, tries every other place that looks like one. Here one directory is read, in place, and
//! every entry is a range of the file's own bytes, so that no size can be larger than the file.
//! Checksums are not compared: torch can be told to leave them out.

use std::collections::HashMap;
use std::ops::Range;

use super::error::shown;

const END: &[u8] = b"PK\x05\x06";
const END_BYTES: usize = 22;
const END64_LOCATOR: &[u8] = b"PK\x06\x07";
const END64_LOCATOR_BYTES: usize = 20;
const END64: &[u8] = b"PK\x06\x06";
const ENTRY: &[u8] = b"PK\x01\x02";
const ENTRY_BYTES: usize = 46;
const LOCAL: &[u8] = b"PK\x03\x04";
const LOCAL_BYTES: usize = 30;
/// The extra field with 64-bit sizes.
const ZIP64_FIELD: u16 = 1;

/// What the directory says about one file.
struct Entry {
    compressed: bool,
    encrypted: bool,
    stored_bytes: u64,
    size_bytes: u64,
    header_at: u64,
}

/// An archive's files by name.
pub(super) struct Archive<'a> {
    bytes: &'a [u8],
    entries: HashMap<&'a str, Entry>,
}

impl<'a> Archive<'a> {
    /// Reads the directory. Errors are lowercase fragments.
    pub fn new(bytes: &'a [u8]) -> Result<Self, String> {
        let (count, directory) = directory(bytes)?;
        let directory = bytes.get(directory).ok_or("its directory lies beyond its end")?;
        let mut entries = HashMap::new();
        let mut rest = directory;
        for _ in 0..count {
            let (name, entry, after) = entry(rest)?;
            rest = after;
            if entries.insert(name, entry).is_some() {
                return Err(format!("there are two files `{}`", shown(name)));
            }
        }
        match rest.is_empty() {
            true => Ok(Self { bytes, entries }),
            false => Err("its directory has more entries than it says".into()),
        }
    }

    /// All names, in no order.
    pub fn names(&self) -> impl Iterator<Item = &'a str> {
        self.entries.keys().copied()
    }

    /// Where in the bytes a file's content lies; nothing where there is no such file.
    pub fn file(&self, name: &str) -> Result<Option<Range<usize>>, String> {
        let Some(entry) = self.entries.get(name) else { return Ok(None) };
        let fail = |why: &str| format!("`{}` {why}", shown(name));
        if entry.encrypted {
            return Err(fail("is encrypted"));
        }
        if entry.compressed {
            return Err(fail("is compressed, which torch.save never does: save it again with torch"));
        }
        if entry.size_bytes != entry.stored_bytes {
            return Err(format!(
                "`{}` says that {} stored bytes are {}",
                shown(name),
                entry.stored_bytes,
                entry.size_bytes
            ));
        }
        let beyond = || fail("lies beyond the file's end");
        let header_at = usize::try_from(entry.header_at).map_err(|_| beyond())?;
        let header =
            self.bytes.get(header_at..).and_then(|rest| rest.get(..LOCAL_BYTES)).ok_or_else(beyond)?;
        let (name_bytes, extra_bytes) = (u16_at(header, 26), u16_at(header, 28));
        let name_at = header_at + LOCAL_BYTES;
        let own_name = self.bytes.get(name_at..name_at + usize::from(name_bytes));
        if !header.starts_with(LOCAL) || own_name != Some(name.as_bytes()) {
            return Err(fail("is not where the directory says"));
        }
        let start = name_at + usize::from(name_bytes) + usize::from(extra_bytes);
        let size = usize::try_from(entry.size_bytes).map_err(|_| beyond())?;
        let end = start.checked_add(size).filter(|&end| end <= self.bytes.len()).ok_or_else(beyond)?;
        Ok(Some(start..end))
    }
}

/// The number of entries, and where the directory lies.
fn directory(bytes: &[u8]) -> Result<(u64, Range<usize>), String> {
    // A comment of up to 65,535 bytes may follow the end record.
    let first = bytes.len().saturating_sub(END_BYTES + usize::from(u16::MAX));
    let last = bytes.len().checked_sub(END_BYTES).ok_or("it ends too early")?;
    let ends_here = |&at: &usize| {
        let record = &bytes[at..];
        record.starts_with(END) && END_BYTES + usize::from(u16_at(record, 20)) == record.len()
    };
    let end_at = (first..=last).rev().find(ends_here).ok_or("it has no directory")?;
    let end = &bytes[end_at..];
    let mut count = u64::from(u16_at(end, 10));
    let mut size = u64::from(u32_at(end, 12));
    let mut start = u64::from(u32_at(end, 16));
    if count == u64::from(u16::MAX) || size == u64::from(u32::MAX) || start == u64::from(u32::MAX) {
        let locator_at = end_at.checked_sub(END64_LOCATOR_BYTES).ok_or("its 64-bit directory is missing")?;
        let locator = &bytes[locator_at..end_at];
        let end64 = usize::try_from(u64_at(locator, 8)).ok().and_then(|at| bytes.get(at..locator_at));
        let end64 = end64.filter(|end64| locator.starts_with(END64_LOCATOR) && end64.starts_with(END64));
        let end64 = end64.filter(|end64| end64.len() >= 56).ok_or("its 64-bit directory is missing")?;
        (count, size, start) = (u64_at(end64, 32), u64_at(end64, 40), u64_at(end64, 48));
    }
    let range = start.checked_add(size).filter(|&stop| stop <= end_at as u64).map(|stop| start..stop);
    let range = range.ok_or("its directory lies beyond its end")?;
    // Both are at most the file's length.
    Ok((count, range.start as usize..range.end as usize))
}

fn entry(bytes: &[u8]) -> Result<(&str, Entry, &[u8]), String> {
    let short = || "its directory is cut off".to_owned();
    let fixed = bytes.get(..ENTRY_BYTES).filter(|fixed| fixed.starts_with(ENTRY)).ok_or_else(short)?;
    let [name_bytes, extra_bytes, comment_bytes] = [28, 30, 32].map(|at| usize::from(u16_at(fixed, at)));
    let extra_at = ENTRY_BYTES + name_bytes;
    let comment_at = extra_at + extra_bytes;
    let name = bytes.get(ENTRY_BYTES..extra_at).ok_or_else(short)?;
    let extra = bytes.get(extra_at..comment_at).ok_or_else(short)?;
    let rest = bytes.get(comment_at + comment_bytes..).ok_or_else(short)?;
    let name = std::str::from_utf8(name).map_err(|_| "a file's name is not UTF-8")?;
    let mut entry = Entry {
        encrypted: u16_at(fixed, 8) & 1 != 0,
        compressed: u16_at(fixed, 10) != 0,
        stored_bytes: u32_at(fixed, 20).into(),
        size_bytes: u32_at(fixed, 24).into(),
        header_at: u32_at(fixed, 42).into(),
    };
    // The 64-bit field has, in this order, those numbers that do not fit above.
    let mut wide = zip64_field(extra).unwrap_or_default();
    for number in [&mut entry.size_bytes, &mut entry.stored_bytes, &mut entry.header_at] {
        if *number == u64::from(u32::MAX) {
            let (eight, after) = wide.split_first_chunk::<8>().ok_or("a 64-bit size is missing")?;
            *number = u64::from_le_bytes(*eight);
            wide = after;
        }
    }
    Ok((name, entry, rest))
}

fn zip64_field(mut extra: &[u8]) -> Option<&[u8]> {
    loop {
        let header = extra.get(..4)?;
        let content = extra.get(4..4 + usize::from(u16_at(header, 2)))?;
        if u16_at(header, 0) == ZIP64_FIELD {
            return Some(content);
        }
        extra = &extra[4 + content.len()..];
    }
}

/// Little-endian numbers of records whose length was checked; 0 beyond their end.
fn u16_at(record: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(array_at(record, at))
}

fn u32_at(record: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(array_at(record, at))
}

fn u64_at(record: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(array_at(record, at))
}

fn array_at<const N: usize>(record: &[u8], at: usize) -> [u8; N] {
    record.get(at..).and_then(<[u8]>::first_chunk).copied().unwrap_or([0; N])
}
