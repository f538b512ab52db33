//! The two formats of `torch.save`.
//!
//! - **zip** (since torch 1.6): a stored zip archive with one folder of any name; in it `data.pkl`,
//!   a pickle whose persistent ids name storages, `data/KEY` for each storage, `byteorder`.
//! - **legacy**: four pickles (a magic number, 1001, facts about the machine, the object), a fifth
//!   with the storages' keys, then for each of them a count of 8 bytes and the elements.

use std::ops::Range;

use super::archive::Archive;
use super::error::{Error, shown};
use super::pickle::{Storage, Unpickled, unpickle};
use super::value::Value;

/// `LONG1` of ten bytes: 0x1950a86a20f9469cfc6c.
const MAGIC: &[u8] = b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";
const LEGACY_PROTOCOL: i64 = 1001;

/// What a file holds, and where its storages lie.
pub(super) struct Contents {
    pub root: Value,
    pub storages: Vec<Range<usize>>,
    pub big_endian: bool,
}

/// A zip file.
pub(super) fn zip(bytes: &[u8]) -> Result<Contents, Error> {
    let archive = Archive::new(bytes).map_err(Error::Zip)?;
    let mut folders = archive.names().filter_map(|name| name.strip_suffix("/data.pkl"));
    let folder = match (folders.next(), folders.next()) {
        (Some(folder), None) => folder,
        (None, _) => return Err(Error::Zip("it has no `data.pkl`".into())),
        _ => return Err(Error::Zip("it has two `data.pkl`".into())),
    };
    let file = |name: &str| archive.file(&format!("{folder}/{name}")).map_err(Error::Zip);
    if file("constants.pkl")?.is_some() {
        let program = "it is a TorchScript program; load it in Python and save its state_dict()";
        return Err(Error::NotACheckpoint(program.into()));
    }
    let big_endian = match file("byteorder")?.map(|range| &bytes[range]) {
        None | Some(b"little") => false,
        Some(b"big") => true,
        Some(other) => {
            let order = shown(&String::from_utf8_lossy(other));
            return Err(Error::Zip(format!("its byte order is `{order}`")));
        }
    };
    let pickle = file("data.pkl")?.ok_or_else(|| Error::Zip("it has no `data.pkl`".into()))?;
    let Unpickled { root, storages, .. } = unpickle(&bytes[pickle], 0)?;
    let place = |storage: &Storage| {
        let name = format!("data/{}", storage.key);
        let range = file(&name)?
            .ok_or_else(|| Error::Zip(format!("a tensor's bytes are missing (`{}`)", shown(&name))))?;
        match range.len() >= storage.needed_bytes {
            true => Ok(range),
            false => Err(Error::Zip(format!(
                "`{}` has {} bytes where its tensors need {}",
                shown(&name),
                range.len(),
                storage.needed_bytes
            ))),
        }
    };
    let storages = storages.iter().map(place).collect::<Result<_, _>>()?;
    Ok(Contents { root, storages, big_endian })
}

/// A file that is a pickle: a legacy checkpoint, or none.
pub(super) fn legacy(bytes: &[u8]) -> Result<Contents, Error> {
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
    let storages = legacy_storages(bytes, &object.storages, &keys)?;
    Ok(Contents { root: object.root, storages, big_endian: false })
}

fn legacy_storages(bytes: &[u8], storages: &[Storage], keys: &Unpickled) -> Result<Vec<Range<usize>>, Error> {
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
    let numbers: std::collections::HashMap<&str, usize> =
        storages.iter().enumerate().map(|(number, storage)| (&*storage.key, number)).collect();
    let mut ranges: Vec<Option<Range<usize>>> = vec![None; storages.len()];
    let mut at = keys.end;
    for key in list.iter() {
        let number = key.as_text().and_then(|key| numbers.get(key)).copied();
        let (storage, slot) = number
            .and_then(|number| storages.get(number).zip(ranges.get_mut(number)))
            .ok_or_else(|| Error::Legacy("it holds a storage that no tensor needs".into()))?;
        let named = || format!("storage `{}`", shown(&storage.key));
        if slot.is_some() {
            return Err(Error::Legacy(format!("{} is there twice", named())));
        }
        let count = bytes.get(at..).and_then(<[u8]>::first_chunk).map(|eight| i64::from_le_bytes(*eight));
        let count = count.ok_or_else(|| Error::Legacy(format!("it ends before {}", named())))?;
        if usize::try_from(count) != Ok(storage.elements) {
            return Err(Error::Legacy(format!(
                "{} has {count} elements where {} are announced",
                named(),
                storage.elements
            )));
        }
        // Checked when the pickle was read: the product fits.
        let length = storage.elements * storage.element_bytes;
        let start = at + 8;
        let end = start.checked_add(length).filter(|&end| end <= bytes.len());
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
