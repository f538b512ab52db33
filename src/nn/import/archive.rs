//! The directory of a zip archive of stored (uncompressed) files, as `torch.save` writes them.
//!
//! Not the `zip` crate's reader: it takes the last of two entries of one name without a word,
//! reserves memory for as many entries as a damaged archive claims, and, where a directory is
//! damaged, tries every other place that looks like one. Here one directory is read, every entry is
//! a range of the file's own bytes that it shares with no other, so that no size can be larger than
//! the file, and nothing is ever inflated. Checksums are not compared: torch can be told to leave
//! them out.

use std::ops::Range;

use super::error::{Error, shown};
use super::source::Source;

const END: &[u8] = b"PK\x05\x06";
const END_BYTES: u64 = 22;
const END64_LOCATOR: &[u8] = b"PK\x06\x07";
const END64_LOCATOR_BYTES: u64 = 20;
const END64: &[u8] = b"PK\x06\x06";
const END64_BYTES: u64 = 56;
const ENTRY: &[u8] = b"PK\x01\x02";
const ENTRY_BYTES: usize = 46;
const LOCAL: &[u8] = b"PK\x03\x04";
const LOCAL_BYTES: u64 = 30;
/// The extra field with 64-bit sizes.
const ZIP64_FIELD: u16 = 1;
/// A hundred times the directory of a large model with its optimiser's state.
const MAX_DIRECTORY_BYTES: u64 = 64 << 20;

/// What the directory says about one file.
struct Entry {
    name: String,
    compressed: bool,
    encrypted: bool,
    stored_bytes: u64,
    size_bytes: u64,
    header_at: u64,
    /// Where the next entry, or else the directory, begins.
    limit: u64,
}

impl Entry {
    /// The least that it takes: its local header may be longer.
    fn end(&self) -> Option<u64> {
        self.header_at.checked_add(LOCAL_BYTES + self.name.len() as u64)?.checked_add(self.stored_bytes)
    }

    fn error(&self, why: &str) -> Error {
        Error::Zip(format!("`{}` {why}", shown(&self.name)))
    }
}

/// An archive's files.
pub(super) struct Archive<'a> {
    source: &'a Source,
    /// Sorted by name.
    entries: Vec<Entry>,
}

impl<'a> Archive<'a> {
    /// Reads the directory.
    pub fn new(source: &'a Source) -> Result<Self, Error> {
        let (count, place) = directory(source)?;
        if place.end - place.start > MAX_DIRECTORY_BYTES {
            return Err(bad("its directory is larger than any checkpoint's"));
        }
        let directory = source.read(place.clone())?;
        let mut entries = Vec::new();
        let mut rest = &*directory;
        for _ in 0..count {
            let (entry, after) = entry(rest).map_err(Error::Zip)?;
            rest = after;
            entries.push(entry);
        }
        if !rest.is_empty() {
            return Err(bad("its directory has more entries than it says"));
        }
        separate(&mut entries, place.start, source.len_bytes())?;
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        if let Some(twins) = entries.windows(2).find(|pair| pair[0].name == pair[1].name) {
            return Err(Error::Zip(format!("there are two files `{}`", shown(&twins[0].name))));
        }
        Ok(Self { source, entries })
    }

    /// All names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|entry| entry.name.as_str())
    }

    /// Where in the archive a file's content lies; nothing where there is no such file.
    pub fn file(&self, name: &str) -> Result<Option<Range<u64>>, Error> {
        let place = self.entries.binary_search_by(|entry| entry.name.as_str().cmp(name));
        let Some(entry) = place.ok().and_then(|at| self.entries.get(at)) else { return Ok(None) };
        if entry.encrypted {
            return Err(entry.error("is encrypted"));
        }
        if entry.compressed {
            return Err(entry.error("is compressed, which torch.save never does: save it again with torch"));
        }
        if entry.size_bytes != entry.stored_bytes {
            let (stored, size) = (entry.stored_bytes, entry.size_bytes);
            return Err(entry.error(&format!("says that {stored} stored bytes are {size}")));
        }
        let header_bytes = LOCAL_BYTES + name.len() as u64;
        // Held against the file's length when the directory was read.
        let header = self.source.read(entry.header_at..entry.header_at + header_bytes)?;
        let (name_bytes, extra_bytes) = (u16_at(&header, 26), u16_at(&header, 28));
        let (fixed, own_name) = header.split_at_checked(LOCAL_BYTES as usize).unwrap_or_default();
        let is_named = usize::from(name_bytes) == name.len() && own_name == name.as_bytes();
        if !fixed.starts_with(LOCAL) || !is_named {
            return Err(entry.error("is not where the directory says"));
        }
        let start = entry.header_at + header_bytes + u64::from(extra_bytes);
        match start.checked_add(entry.size_bytes) {
            Some(end) if end <= entry.limit => Ok(Some(start..end)),
            _ => Err(entry.error("reaches into what follows it")),
        }
    }
}

/// Every entry ends before the next one begins, and before the directory.
fn separate(entries: &mut [Entry], directory_at: u64, len_bytes: u64) -> Result<(), Error> {
    entries.sort_by_key(|entry| entry.header_at);
    let mut next: Option<&Entry> = None;
    for entry in entries.iter_mut().rev() {
        entry.limit = next.map_or(directory_at, |next| next.header_at);
        let end = entry.end().filter(|&end| end <= len_bytes);
        let end = end.ok_or_else(|| entry.error("lies beyond the file's end"))?;
        if end > directory_at {
            return Err(entry.error("reaches into the archive's directory"));
        }
        if let Some(next) = next.filter(|next| end > next.header_at) {
            return Err(entry.error(&format!("and `{}` have bytes in common", shown(&next.name))));
        }
        next = Some(entry);
    }
    Ok(())
}

/// The number of entries, and where the directory lies.
fn directory(source: &Source) -> Result<(u64, Range<u64>), Error> {
    let missing = || bad("its 64-bit directory is missing");
    let len_bytes = source.len_bytes();
    // A comment of up to 65,535 bytes may follow the end record.
    let tail_at = len_bytes.saturating_sub(END_BYTES + u64::from(u16::MAX));
    let tail = source.read(tail_at..len_bytes)?;
    let last = tail.len().checked_sub(END_BYTES as usize).ok_or_else(|| bad("it ends too early"))?;
    let ends_here = |record: &&[u8]| {
        record.starts_with(END) && END_BYTES as usize + usize::from(u16_at(record, 20)) == record.len()
    };
    let ends = (0..=last).rev().filter_map(|at| tail.get(at..));
    let end = ends.into_iter().find(ends_here).ok_or_else(|| bad("it has no directory"))?;
    let end_at = len_bytes - end.len() as u64;
    let mut count = u64::from(u16_at(end, 10));
    let mut size = u64::from(u32_at(end, 12));
    let mut start = u64::from(u32_at(end, 16));
    if count == u64::from(u16::MAX) || size == u64::from(u32::MAX) || start == u64::from(u32::MAX) {
        let locator_at = end_at.checked_sub(END64_LOCATOR_BYTES).ok_or_else(missing)?;
        let locator = source.read(locator_at..end_at)?;
        let end64_at = u64_at(&locator, 8);
        let end64_end = end64_at.checked_add(END64_BYTES).filter(|&end| end <= locator_at);
        let end64 = source.read(end64_at..end64_end.ok_or_else(missing)?)?;
        if !locator.starts_with(END64_LOCATOR) || !end64.starts_with(END64) {
            return Err(missing());
        }
        (count, size, start) = (u64_at(&end64, 32), u64_at(&end64, 40), u64_at(&end64, 48));
    }
    let stop = start.checked_add(size).filter(|&stop| stop <= end_at);
    Ok((count, start..stop.ok_or_else(|| bad("its directory lies beyond its end"))?))
}

/// The first entry of a directory, and what follows it.
fn entry(bytes: &[u8]) -> Result<(Entry, &[u8]), String> {
    let short = || "its directory is cut off".to_owned();
    let fixed = bytes.get(..ENTRY_BYTES).filter(|fixed| fixed.starts_with(ENTRY)).ok_or_else(short)?;
    let [name_bytes, extra_bytes, comment_bytes] = [28, 30, 32].map(|at| usize::from(u16_at(fixed, at)));
    let extra_at = ENTRY_BYTES + name_bytes;
    let comment_at = extra_at + extra_bytes;
    let name = bytes.get(ENTRY_BYTES..extra_at).ok_or_else(short)?;
    let extra = bytes.get(extra_at..comment_at).ok_or_else(short)?;
    let rest = bytes.get(comment_at + comment_bytes..).ok_or_else(short)?;
    let mut entry = Entry {
        name: std::str::from_utf8(name).map_err(|_| "a file's name is not UTF-8")?.to_owned(),
        encrypted: u16_at(fixed, 8) & 1 != 0,
        compressed: u16_at(fixed, 10) != 0,
        stored_bytes: u32_at(fixed, 20).into(),
        size_bytes: u32_at(fixed, 24).into(),
        header_at: u32_at(fixed, 42).into(),
        limit: 0,
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
    Ok((entry, rest))
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

fn bad(why: &str) -> Error {
    Error::Zip(why.to_owned())
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
