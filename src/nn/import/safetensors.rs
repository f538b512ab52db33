//! Safetensors files, Hugging Face's too: one flat dict of tensors, and texts about them.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use safetensors::SafeTensors;

use super::dtype::Dtype;
use super::error::Error;
use super::tensor::Tensor;
use super::value::{Dict, Opaque, Value};

/// What a file holds.
pub(super) struct Contents {
    pub root: Value,
    pub storages: Vec<Range<usize>>,
    pub metadata: BTreeMap<String, String>,
}

/// Whether the bytes begin as a safetensors file does: the header's length, then the header.
pub(super) fn begins(bytes: &[u8]) -> bool {
    bytes.get(8) == Some(&b'{')
}

/// A file's tensors, in the order of their bytes.
pub(super) fn read(bytes: &[u8]) -> Result<Contents, Error> {
    let sound = |error| Error::Safetensors(format!("{error}"));
    let (header_bytes, header) = SafeTensors::read_metadata(bytes).map_err(sound)?;
    // The length before the header has 8 bytes.
    let data_at = 8 + header_bytes;
    let mut entries = Vec::new();
    let mut storages = Vec::new();
    for name in header.offset_keys() {
        let Some(info) = header.info(&name) else { continue };
        let (start, end) = info.data_offsets;
        let value = match dtype(info.dtype) {
            Some(dtype) => {
                let tensor = Tensor::contiguous(dtype, storages.len(), info.shape.clone());
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
    let root = Value::Dict(Arc::new(Dict::new(entries)));
    let metadata = header.metadata().clone().unwrap_or_default().into_iter().collect();
    Ok(Contents { root, storages, metadata })
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
