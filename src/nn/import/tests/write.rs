//! Checkpoints written as safetensors, read back by this reader and by the format's own crate.

use std::collections::BTreeMap;
use std::io::{self, Write};

use safetensors::SafeTensors;

use super::super::{Checkpoint, Dtype, Error, TensorRef, Value, write_safetensors};
use super::assemble::{Asm, Row, archive, f32_bytes, state_dict, zip_file};

fn owned<'a>(file: &'a Checkpoint) -> Vec<(String, TensorRef<'a>)> {
    let tensors = file.tensors(&[]).expect("a dict of tensors");
    tensors.iter().map(|(name, tensor)| (name.to_owned(), tensor)).collect()
}

fn written(tensors: &[(String, TensorRef<'_>)], metadata: &BTreeMap<String, String>) -> Vec<u8> {
    let mut bytes = Vec::new();
    write_safetensors(tensors, metadata, &mut bytes).unwrap_or_else(|error| panic!("{error}"));
    bytes
}

/// Storages of all types, of three elements whose bytes are all different.
const STORAGES: [(&str, &str, Dtype); 10] = [
    ("f64", "DoubleStorage", Dtype::F64),
    ("f32", "FloatStorage", Dtype::F32),
    ("f16", "HalfStorage", Dtype::F16),
    ("bf16", "BFloat16Storage", Dtype::Bf16),
    ("i64", "LongStorage", Dtype::I64),
    ("i32", "IntStorage", Dtype::I32),
    ("i16", "ShortStorage", Dtype::I16),
    ("i8", "CharStorage", Dtype::I8),
    ("u8", "ByteStorage", Dtype::U8),
    ("bool", "BoolStorage", Dtype::Bool),
];

/// A view's name, offset, sizes, strides, and the elements that it shows.
type View = (&'static str, i64, &'static [i64], &'static [i64], &'static [usize]);

/// Rows, columns, one number, repeated ones and none of a 2 × 3 matrix.
const VIEWS: [View; 6] = [
    ("whole", 0, &[2, 3], &[3, 1], &[0, 1, 2, 3, 4, 5]),
    ("turned", 0, &[3, 2], &[1, 3], &[0, 3, 1, 4, 2, 5]),
    ("inner", 1, &[2, 2], &[3, 1], &[1, 2, 4, 5]),
    ("one", 4, &[], &[], &[4]),
    ("repeated", 2, &[2, 2], &[0, 3], &[2, 5, 2, 5]),
    ("none", 0, &[0, 3], &[3, 1], &[]),
];

/// Every type, in every layout, of both byte orders: the same bytes, rows first and little-endian.
#[test]
fn every_type_layout_and_byte_order() {
    let metadata = BTreeMap::from([("model", "tiny"), ("config", "{\"a\": \"ä\\\"\"}")]);
    let metadata: BTreeMap<String, String> =
        metadata.into_iter().map(|(key, text)| (key.to_owned(), text.to_owned())).collect();
    for (key, class, dtype) in STORAGES {
        let names: Vec<String> = VIEWS.iter().map(|view| format!("{key}.{}", view.0)).collect();
        let rows: Vec<Row<'_>> = VIEWS
            .iter()
            .zip(&names)
            .map(|((_, offset, shape, strides, _), name)| {
                (&**name, (class, key, 6), *offset, *shape, *strides)
            })
            .collect();
        let size = dtype.size_bytes();
        let little: Vec<u8> = (0..6 * size).map(|byte| 0x31 + byte as u8).collect();
        let big: Vec<u8> = little.chunks(size).flat_map(|element| element.iter().rev().copied()).collect();
        let files = [("little", &little), ("big", &big)].map(|(order, bytes)| {
            let names = ["x/data.pkl".to_owned(), "x/byteorder".to_owned(), format!("x/data/{key}")];
            let contents = [state_dict(&rows), order.into(), bytes.clone()];
            let file = archive(&names.into_iter().zip(contents).collect::<Vec<_>>());
            let file = Checkpoint::from_bytes(file).expect("a sound file");
            written(&owned(&file), &metadata)
        });
        assert_eq!(files[0], files[1], "{dtype}");
        let theirs = SafeTensors::deserialize(&files[0]).expect("their reader takes it");
        let ours = Checkpoint::from_bytes(files[0].clone()).expect("our reader takes it");
        assert_eq!(ours.metadata(), &metadata);
        let tensors = ours.tensors(&[]).expect("a dict of tensors");
        assert_eq!((theirs.len(), tensors.len()), (VIEWS.len(), VIEWS.len()));
        for ((_, _, shape, _, elements), name) in VIEWS.iter().zip(&names) {
            let expected: Vec<u8> =
                elements.iter().flat_map(|at| &little[at * size..][..size]).copied().collect();
            let (a, b) =
                (theirs.tensor(name).expect("it is there"), tensors.require(name).expect("it is there"));
            assert_eq!(a.data(), expected, "{name}");
            assert_eq!(b.to_le_bytes().expect("bytes"), expected, "{name}");
            assert_eq!(b.dtype(), dtype, "{name}");
            assert_eq!(a.shape(), b.shape(), "{name}");
            assert_eq!(a.shape().iter().map(|&size| size as i64).collect::<Vec<_>>(), *shape, "{name}");
        }
        // Read and written again, they are the same.
        assert_eq!(written(&owned(&ours), &metadata), files[0], "{dtype}");
    }
}

/// Types together: the order of the bytes is that of the format's own writer, and the data is aligned.
#[test]
fn order_and_alignment_are_the_formats_own() {
    let header = r#"{"b.u8":{"dtype":"U8","shape":[3],"data_offsets":[0,3]},"z.f32":{"dtype":"F32","shape":[1],"data_offsets":[3,7]},"a.f32":{"dtype":"F32","shape":[2],"data_offsets":[7,15]},"c.i64":{"dtype":"I64","shape":[1],"data_offsets":[15,23]},"d.f16":{"dtype":"F16","shape":[1],"data_offsets":[23,25]}}"#;
    let file = super::assemble::safetensors(header, &std::array::from_fn::<u8, 25, _>(|at| at as u8));
    let theirs = SafeTensors::deserialize(&file).expect("a sound file");
    let metadata = std::collections::HashMap::from([("key".to_owned(), "text".to_owned())]);
    let expected = safetensors::serialize(theirs.tensors(), Some(metadata.clone())).expect("a file");
    let ours = Checkpoint::from_bytes(file).expect("a sound file");
    let mut tensors = owned(&ours);
    for _ in 0..tensors.len() {
        // Whatever order they come in.
        tensors.rotate_left(1);
        let bytes = written(&tensors, &metadata.clone().into_iter().collect());
        assert_eq!(bytes.escape_ascii().to_string(), expected.escape_ascii().to_string());
        let length = u64::from_le_bytes(*bytes.first_chunk().expect("a length"));
        assert!(length.is_multiple_of(8));
    }
}

/// One storage under two names is there twice; nothing at all is a file too.
#[test]
fn shared_storages_and_nothing() {
    let storage = ("FloatStorage", "0", 2);
    let pickle = state_dict(&[("a", storage, 0, &[2], &[1]), ("b", storage, 0, &[2], &[1])]);
    let file =
        Checkpoint::from_bytes(zip_file(&pickle, &[("0", f32_bytes(&[1., 2.]))])).expect("a sound file");
    let bytes = written(&owned(&file), &BTreeMap::new());
    let back = Checkpoint::from_bytes(bytes).expect("a sound file");
    let tensors = back.tensors(&[]).expect("a dict of tensors");
    assert_eq!((tensors.len(), tensors.shared().len(), back.metadata().len()), (2, 0, 0));
    assert_eq!(tensors.require("b").expect("it is there").to_f32().expect("values"), [1., 2.]);
    let empty = written(&[], &BTreeMap::new());
    assert_eq!(empty, b"\x08\0\0\0\0\0\0\0{}      ");
    assert!(Checkpoint::from_bytes(empty).expect("a sound file").root().as_dict().is_some());
}

/// A settings dict goes through the header's texts and comes back.
#[test]
fn a_config_in_the_metadata() {
    let asm = Asm::new().raw(b"}(").text("layers").int(2).text("rate").raw(b"G?\xb9\x99\x99\x99\x99\x99\x9a");
    let file =
        Checkpoint::from_bytes(zip_file(&asm.text("name").text("ä").raw(b"u").stop(), &[])).expect("data");
    let config = file.root().to_json();
    let metadata = BTreeMap::from([("config".to_owned(), config.to_string())]);
    let back = Checkpoint::from_bytes(written(&[], &metadata)).expect("a sound file");
    let read: serde_json::Value = serde_json::from_str(&back.metadata()["config"]).expect("JSON");
    assert_eq!(read, serde_json::json!({"layers": 2, "rate": 0.1, "name": "ä"}));
    assert_eq!(file.root().get("layers").and_then(Value::as_int), Some(2));
}

#[test]
fn names_that_cannot_be_written() {
    let pickle = state_dict(&[("a", ("FloatStorage", "0", 2), 0, &[2], &[1])]);
    let file =
        Checkpoint::from_bytes(zip_file(&pickle, &[("0", f32_bytes(&[1., 2.]))])).expect("a sound file");
    let (_, tensor) = owned(&file).remove(0);
    for (names, why) in [
        (&["a", "b", "a"][..], "`a` occurs twice"),
        (&["__metadata__"], "`__metadata__` stands for the file's texts"),
    ] {
        let tensors: Vec<_> = names.iter().map(|name| ((*name).to_owned(), tensor)).collect();
        let mut bytes = Vec::new();
        let error = write_safetensors(&tensors, &BTreeMap::new(), &mut bytes).expect_err("names").to_string();
        assert!(error.contains(why), "{error}");
        assert!(bytes.is_empty());
    }
    let huge = BTreeMap::from([("log".to_owned(), "x".repeat(100_000_000))]);
    let error = write_safetensors(&[], &huge, &mut io::sink()).expect_err("too long").to_string();
    assert!(error.contains("more than the 100000000 bytes of a header"), "{error}");
}

/// A disk that takes so many bytes.
struct Disk(usize);

impl Write for Disk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.checked_sub(bytes.len()).ok_or(io::ErrorKind::StorageFull)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Wherever the disk is full, the caller can tell.
#[test]
fn a_full_disk() {
    let pickle = state_dict(&[("a", ("FloatStorage", "0", 2), 0, &[2], &[1])]);
    let file =
        Checkpoint::from_bytes(zip_file(&pickle, &[("0", f32_bytes(&[1., 2.]))])).expect("a sound file");
    let tensors = owned(&file);
    let length = written(&tensors, &BTreeMap::new()).len();
    for room in 0..length {
        let error = write_safetensors(&tensors, &BTreeMap::new(), &mut Disk(room)).expect_err("it is full");
        assert!(error.to_string().contains("failed to write tensors"), "{error}");
        assert_eq!(io::Error::from(error).kind(), io::ErrorKind::StorageFull);
    }
    assert!(write_safetensors(&tensors, &BTreeMap::new(), &mut Disk(length)).is_ok());
    let other = io::Error::from(Error::NoTensor("x".into()));
    assert!(other.to_string().contains("no tensor `x`"), "{other}");
}
