//! Tensors of any checkpoint as a safetensors file.

use std::collections::BTreeMap;
use std::io::Write;

use safetensors::Dtype as Theirs;

use super::dtype::Dtype;
use super::error::{Error, shown};
use super::safetensors::{LENGTH_BYTES, MAX_HEADER_BYTES, METADATA};
use super::tensor::TensorRef;

/// Writes tensors under their names, and texts about them, as a safetensors file.
///
/// Elements keep their type, and lie rows first and little-endian, whatever they were. One tensor is
/// in memory at a time. The bytes depend on names, tensors and texts alone: tensors stand in the
/// format's usual order, the widest type first, then by name. Tensors that share a storage are
/// written once each.
///
/// # Errors
/// When a tensor cannot be read or written, or a name is there twice or is the format's own.
pub fn write_safetensors(
    tensors: &[(String, TensorRef<'_>)],
    metadata: &BTreeMap<String, String>,
    out: &mut impl Write,
) -> Result<(), Error> {
    let mut sorted: Vec<&(String, TensorRef<'_>)> = tensors.iter().collect();
    sorted.sort_by(|(a, x), (b, y)| theirs(y.dtype()).cmp(&theirs(x.dtype())).then_with(|| a.cmp(b)));
    let header = header(&sorted, metadata)?;
    out.write_all(&(header.len() as u64).to_le_bytes()).map_err(Error::Write)?;
    out.write_all(&header).map_err(Error::Write)?;
    for (_, tensor) in sorted {
        out.write_all(&tensor.to_le_bytes()?).map_err(Error::Write)?;
    }
    Ok(())
}

fn header(
    tensors: &[&(String, TensorRef<'_>)],
    metadata: &BTreeMap<String, String>,
) -> Result<Vec<u8>, Error> {
    let names = |why: String| Error::Names(why);
    let mut entries = serde_json::Map::new();
    if !metadata.is_empty() {
        let texts = metadata.iter().map(|(key, text)| (key.clone(), text.as_str().into()));
        entries.insert(METADATA.to_owned(), serde_json::Value::Object(texts.collect()));
    }
    let mut start = 0u64;
    for (name, tensor) in tensors {
        let size = (tensor.len() as u64).checked_mul(tensor.dtype().size_bytes() as u64);
        let end = size.and_then(|size| start.checked_add(size));
        let end = end.ok_or_else(|| names(format!("`{}` is too large for a file", shown(name))))?;
        let info = serde_json::json!({
            "dtype": theirs(tensor.dtype()),
            "shape": tensor.shape(),
            "data_offsets": [start, end],
        });
        if name == METADATA {
            return Err(names(format!("`{METADATA}` stands for the file's texts, not for a tensor")));
        }
        if entries.insert(name.clone(), info).is_some() {
            return Err(names(format!("`{}` occurs twice", shown(name))));
        }
        start = end;
    }
    let mut header = serde_json::Value::Object(entries).to_string().into_bytes();
    // Spaces up to a multiple of 8 bytes, so that the tensors behind it are aligned.
    header.resize(header.len().next_multiple_of(LENGTH_BYTES as usize), b' ');
    match header.len() as u64 <= MAX_HEADER_BYTES {
        true => Ok(header),
        false => {
            Err(names(format!("with the texts they take more than the {MAX_HEADER_BYTES} bytes of a header")))
        }
    }
}

/// The type under the format's name.
fn theirs(dtype: Dtype) -> Theirs {
    match dtype {
        Dtype::F64 => Theirs::F64,
        Dtype::F32 => Theirs::F32,
        Dtype::F16 => Theirs::F16,
        Dtype::Bf16 => Theirs::BF16,
        Dtype::I64 => Theirs::I64,
        Dtype::I32 => Theirs::I32,
        Dtype::I16 => Theirs::I16,
        Dtype::I8 => Theirs::I8,
        Dtype::U8 => Theirs::U8,
        Dtype::Bool => Theirs::BOOL,
    }
}
