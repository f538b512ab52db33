//! The two formats of `torch.save`.
//!
//! - **zip** (since torch 1.6): a stored zip archive with one folder of any name; in it `data.pkl`,
//!   a pickle whose persistent ids name storages, `data/KEY` for each storage, `byteorder`.
//! - **legacy**: four pickles (a magic number, 1001, facts about the machine, the object), a fifth
//!   with the storages' keys, then for each of them a count of 8 bytes and the elements.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use super::archive::Archive;
use super::error::{Error, shown};
use super::pickle::{Storage, Unpickled, unpickle};
use super::source::Source;
use super::value::Value;
use super::{Contents, Format};

/// `LONG1` of ten bytes: 0x1950a86a20f9469cfc6c.
const MAGIC: &[u8] = b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";
const LEGACY_PROTOCOL: i64 = 1001;
/// The mark of a pickle of protocol 2 and later.
pub(super) const PROTO: u8 = 0x80;

/// Names and settings of a large model with its optimiser's state have some MB.
const MAX_PICKLE_BYTES: u64 = 256 << 20;
/// Where the pickles of a legacy file end is not known before they are read: so much of its
/// beginning is tried, one after the other.
const LEGACY_HEAD_BYTES: [u64; 3] = [1 << 20, 16 << 20, MAX_PICKLE_BYTES];

/// A zip file.
pub(super) fn zip(source: &Source) -> Result<Contents, Error> {
    let archive = Archive::new(source)?;
    let mut folders = archive.names().filter_map(|name| name.strip_suffix("/data.pkl"));
    let folder = match (folders.next(), folders.next()) {
        (Some(folder), None) => folder,
        (None, _) => return Err(Error::Zip("it has no `data.pkl`".into())),
        _ => return Err(Error::Zip("it has two `data.pkl`".into())),
    };
    let file = |name: &str| archive.file(&format!("{folder}/{name}"));
    if file("constants.pkl")?.is_some() {
        let program = "it is a TorchScript program; load it in Python and save its state_dict()";
        return Err(Error::NotACheckpoint(program.into()));
    }
    let big_endian = match file("byteorder")? {
        None => false,
        Some(range) => is_big_endian(&source.read(range.start..range.end.min(range.start + 16))?)?,
    };
    let pickle = file("data.pkl")?.ok_or_else(|| Error::Zip("it has no `data.pkl`".into()))?;
    let pickle_bytes = pickle.end - pickle.start;
    if pickle_bytes > MAX_PICKLE_BYTES {
        return Err(Error::NotACheckpoint(format!(
            "its `data.pkl` has {} MiB, where names and settings take at most {}",
            pickle_bytes >> 20,
            MAX_PICKLE_BYTES >> 20
        )));
    }
    let Unpickled { root, storages, .. } = unpickle(&source.read(pickle)?, 0)?;
    let place = |storage: &Storage| {
        let name = format!("data/{}", storage.key);
        let range = file(&name)?
            .ok_or_else(|| Error::Zip(format!("a tensor's bytes are missing (`{}`)", shown(&name))))?;
        let length = range.end - range.start;
        match length >= storage.needed_bytes as u64 {
            true => Ok(range),
            false => Err(Error::Zip(format!(
                "`{}` has {length} bytes where its tensors need {}",
                shown(&name),
                storage.needed_bytes
            ))),
        }
    };
    let storages = storages.iter().map(place).collect::<Result<_, _>>()?;
    Ok(Contents { format: Format::TorchZip, root, storages, big_endian, metadata: BTreeMap::new() })
}

fn is_big_endian(order: &[u8]) -> Result<bool, Error> {
    match order {
        b"little" => Ok(false),
        b"big" => Ok(true),
        other => {
            let order = shown(&String::from_utf8_lossy(other));
            Err(Error::Zip(format!("its byte order is `{order}`")))
        }
    }
}

/// A file that is a pickle: a legacy checkpoint, or none.
pub(super) fn legacy(source: &Source) -> Result<Contents, Error> {
    let (object, keys) = legacy_pickles(source)?;
    let storages = legacy_storages(source, &object.storages, &keys)?;
    let metadata = BTreeMap::new();
    Ok(Contents { format: Format::TorchLegacy, root: object.root, storages, big_endian: false, metadata })
}

/// The object, and the list of its storages.
fn legacy_pickles(source: &Source) -> Result<(Unpickled, Unpickled), Error> {
    let mut sizes = LEGACY_HEAD_BYTES.into_iter().peekable();
    loop {
        let size = sizes.next().unwrap_or(MAX_PICKLE_BYTES).min(source.len_bytes());
        let head = source.read(0..size)?;
        let may_be_longer = size < source.len_bytes() && head.first() == Some(&PROTO);
        match pickles(&head) {
            Err(Error::Pickle { .. }) if may_be_longer && sizes.peek().is_some() => {}
            result => return result,
        }
    }
}

fn pickles(bytes: &[u8]) -> Result<(Unpickled, Unpickled), Error> {
    let magic = unpickle(bytes, 0)?;
    if !bytes[..magic.end].windows(MAGIC.len()).any(|window| window == MAGIC) {
        return Err(Error::NotACheckpoint("it is a pickle, but not one of torch.save".into()));
    }
    let protocol = unpickle(bytes, magic.end)?;
    if protocol.root != Value::Int(LEGACY_PROTOCOL) {
        return Err(Error::Legacy(format!("its protocol is {:?}, not {LEGACY_PROTOCOL}", protocol.root)));
    }
    let machine = unpickle(bytes, protocol.end)?;
    if machine.root.get("little_endian").and_then(Value::as_bool) == Some(false) {
        return Err(Error::Legacy("a big-endian machine wrote it: save it again with a newer torch".into()));
    }
    let object = unpickle(bytes, machine.end)?;
    let keys = unpickle(bytes, object.end)?;
    Ok((object, keys))
}

fn legacy_storages(
    source: &Source,
    storages: &[Storage],
    keys: &Unpickled,
) -> Result<Vec<Range<u64>>, Error> {
    let Value::List(list) = &keys.root else {
        return Err(Error::Legacy(format!("the list of its storages is {}", keys.root.kind())));
    };
    if list.len() != storages.len() {
        return Err(Error::Legacy(format!(
            "it holds {} storages where its tensors need {}",
            list.len(),
            storages.len()
        )));
    }
    let numbers: HashMap<&str, usize> =
        storages.iter().enumerate().map(|(number, storage)| (&*storage.key, number)).collect();
    let mut ranges: Vec<Option<Range<u64>>> = vec![None; storages.len()];
    let mut at = keys.end as u64;
    for key in list.iter() {
        let number = key.as_text().and_then(|key| numbers.get(key)).copied();
        let (storage, slot) = number
            .and_then(|number| storages.get(number).zip(ranges.get_mut(number)))
            .ok_or_else(|| Error::Legacy("it holds a storage that no tensor needs".into()))?;
        let named = || format!("storage `{}`", shown(&storage.key));
        if slot.is_some() {
            return Err(Error::Legacy(format!("{} is there twice", named())));
        }
        let start = at.saturating_add(8);
        if start > source.len_bytes() {
            return Err(Error::Legacy(format!("it ends before {}", named())));
        }
        let count = source.read(at..start)?.first_chunk().map_or(-1, |eight| i64::from_le_bytes(*eight));
        if usize::try_from(count) != Ok(storage.elements) {
            return Err(Error::Legacy(format!(
                "{} has {count} elements where {} are announced",
                named(),
                storage.elements
            )));
        }
        // Checked when the pickle was read: the product fits.
        let length = storage.elements * storage.element_bytes;
        let end = start.checked_add(length as u64).filter(|&end| end <= source.len_bytes());
        let end = end.ok_or_else(|| Error::Legacy(format!("it ends within {}", named())))?;
        if length < storage.needed_bytes {
            return Err(Error::Legacy(format!("{} is shorter than its tensors need", named())));
        }
        *slot = Some(start..end);
        at = end;
    }
    // As many keys as storages, and none twice: there is no gap.
    Ok(ranges.into_iter().flatten().collect())
}
