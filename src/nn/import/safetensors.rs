//! Safetensors files, Hugging Face's too: one flat dict of tensors, and texts about them.
//!
//! The header's length (8 bytes), the header (JSON), the tensors' bytes. Not the `safetensors`
//! crate's reader: it wants the whole file in memory, and takes the last of two tensors of one name
//! without a word.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::sync::Arc;

use safetensors::tensor::TensorInfo;
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};

use super::dtype::Dtype;
use super::error::{Error, shortened, shown};
use super::source::Source;
use super::tensor::Tensor;
use super::value::{Dict, Opaque, Value};
use super::{Contents, Format};

/// The bytes before the header, which are its length.
pub(super) const LENGTH_BYTES: u64 = 8;
/// The format's own limit.
pub(super) const MAX_HEADER_BYTES: u64 = 100_000_000;
/// The header's key that is no tensor.
pub(super) const METADATA: &str = "__metadata__";

/// Whether the bytes begin as a safetensors file does: the header's length, then the header.
pub(super) fn begins(bytes: &[u8]) -> bool {
    bytes.get(8) == Some(&b'{')
}

/// A file's tensors, in the order of their bytes.
pub(super) fn read(source: &Source) -> Result<Contents, Error> {
    let (data_at, Header { metadata, mut tensors }) = header(source)?;
    tensors.sort_by_key(|(_, info)| info.data_offsets);
    let data_bytes = source.len_bytes() - data_at;
    let mut entries = Vec::with_capacity(tensors.len());
    let mut storages = Vec::with_capacity(tensors.len());
    let mut next = 0;
    for (name, info) in tensors {
        let bad = |why: String| Error::Safetensors(format!("`{}` {why}", shown(&name)));
        let (start, end) = (info.data_offsets.0 as u64, info.data_offsets.1 as u64);
        if start != next {
            let what = if start < next { "has bytes of another tensor" } else { "follows a gap" };
            return Err(bad(format!("{what}: it begins at byte {start} of the data, not {next}")));
        }
        let needed =
            bytes_of(&info).ok_or_else(|| bad("has a shape and a type that no file can hold".into()))?;
        if end.checked_sub(start) != Some(needed) {
            return Err(bad(format!(
                "lies in bytes {start} to {end}, where {:?} {:?} takes {needed}",
                info.dtype, info.shape
            )));
        }
        if end > data_bytes {
            return Err(bad(format!("ends at byte {end} of {data_bytes} of the data")));
        }
        next = end;
        let value = match dtype(info.dtype) {
            Some(dtype) => {
                let tensor = Tensor::contiguous(dtype, storages.len(), info.shape);
                Value::Tensor(Arc::new(tensor.map_err(Error::Safetensors)?))
            }
            None => Value::Opaque(Arc::new(Opaque {
                module: "safetensors".into(),
                name: format!("{:?}", info.dtype).into(),
            })),
        };
        storages.push(data_at + start..data_at + end);
        entries.push((Value::Text(name.into()), value));
    }
    if next != data_bytes {
        return Err(Error::Safetensors(format!("{} bytes belong to no tensor", data_bytes - next)));
    }
    let root = Value::Dict(Arc::new(Dict::new(entries)));
    Ok(Contents { format: Format::Safetensors, root, storages, big_endian: false, metadata })
}

/// Where the tensors' bytes begin, and what the header says.
fn header(source: &Source) -> Result<(u64, Header), Error> {
    let bad = |why: String| Error::Safetensors(why);
    if source.len_bytes() < LENGTH_BYTES {
        return Err(bad("it ends before its header".into()));
    }
    let length = source.read(0..LENGTH_BYTES)?;
    let length = length.first_chunk().map_or(0, |eight| u64::from_le_bytes(*eight));
    if length > MAX_HEADER_BYTES {
        return Err(bad(format!("its header claims {length} bytes, more than {MAX_HEADER_BYTES}")));
    }
    let data_at = LENGTH_BYTES + length;
    if data_at > source.len_bytes() {
        let there = source.len_bytes() - LENGTH_BYTES;
        return Err(bad(format!("its header claims {length} bytes where {there} are left")));
    }
    let header = source.read(LENGTH_BYTES..data_at)?;
    let header = serde_json::from_slice(&header);
    let header =
        header.map_err(|error| bad(format!("its header: {}", shortened(&error.to_string(), 300))))?;
    Ok((data_at, header))
}

/// Bytes of a tensor; nothing where they overflow, or where the last element ends within a byte.
fn bytes_of(info: &TensorInfo) -> Option<u64> {
    let elements = info.shape.iter().try_fold(1u64, |product, &size| product.checked_mul(size as u64))?;
    let bits = elements.checked_mul(info.dtype.bitsize() as u64)?;
    bits.is_multiple_of(8).then_some(bits / 8)
}

/// The header's entries, in its order.
struct Header {
    metadata: BTreeMap<String, String>,
    tensors: Vec<(String, TensorInfo)>,
}

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(HeaderVisitor)
    }
}

struct HeaderVisitor;

impl<'de> Visitor<'de> for HeaderVisitor {
    type Value = Header;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of tensors")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Header, A::Error> {
        let mut header = Header { metadata: BTreeMap::new(), tensors: Vec::new() };
        let mut names = HashSet::new();
        while let Some(name) = map.next_key::<String>()? {
            if !names.insert(name.clone()) {
                return Err(A::Error::custom(format!("`{}` occurs twice", shown(&name))));
            }
            if name == METADATA {
                header.metadata = map.next_value::<Option<_>>()?.unwrap_or_default();
            } else {
                header.tensors.push((name, map.next_value()?));
            }
        }
        Ok(header)
    }
}

fn dtype(dtype: safetensors::Dtype) -> Option<Dtype> {
    use safetensors::Dtype as Theirs;
    Some(match dtype {
        Theirs::F64 => Dtype::F64,
        Theirs::F32 => Dtype::F32,
        Theirs::F16 => Dtype::F16,
        Theirs::BF16 => Dtype::Bf16,
        Theirs::I64 => Dtype::I64,
        Theirs::I32 => Dtype::I32,
        Theirs::I16 => Dtype::I16,
        Theirs::I8 => Dtype::I8,
        Theirs::U8 => Dtype::U8,
        Theirs::BOOL => Dtype::Bool,
        _ => return None,
    })
}
