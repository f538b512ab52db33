//! Whole files: formats, and what is none.

use super::super::{Checkpoint, Dtype, Format, Value};
use super::assemble::{Asm, archive};
use super::raw_zip::{self, Stored};

/// Written by torch 2.2.2: `torch.save({"a": torch.tensor([[1., 2.]]).t(), "n": 3}, f,
/// _use_new_zipfile_serialization=False)`.
const LEGACY: &[u8] = b"\
    \x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.\x80\x02}q\x00(X\x10\x00\x00\x00pr\
    otocol_versionq\x01M\xe9\x03X\x0d\x00\x00\x00little_endianq\x02\x88X\n\x00\x00\x00type_sizes\
    q\x03}q\x04(X\x05\x00\x00\x00shortq\x05K\x02X\x03\x00\x00\x00intq\x06K\x04X\x04\x00\x00\x00l\
    ongq\x07K\x04uu.\x80\x02}q\x00(X\x01\x00\x00\x00aq\x01ctorch._utils\n_rebuild_tensor_v2\nq\
    \x02((X\x07\x00\x00\x00storageq\x03ctorch\nFloatStorage\nq\x04X\x0e\x00\x00\x009386774191731\
    2q\x05X\x03\x00\x00\x00cpuq\x06K\x02Ntq\x07QK\x00K\x02K\x01\x86q\x08K\x01K\x02\x86q\x09\x89c\
    collections\nOrderedDict\nq\n)Rq\x0btq\x0cRq\x0dX\x01\x00\x00\x00nq\x0eK\x03u.\x80\x02]q\x00\
    X\x0e\x00\x00\x0093867741917312q\x01a.\x02\x00\x00\x00\x00\x00\x00\x00\x00\x00\x80?\x00\x00\
    \x00@";

#[test]
fn a_legacy_file_of_torch() {
    let file = Checkpoint::from_bytes(LEGACY.to_vec()).expect("torch's own file");
    assert_eq!(file.format(), Format::TorchLegacy);
    assert_eq!(file.root().get("n").and_then(Value::as_int), Some(3));
    let tensors = file.tensors(&[]).expect("a dict of tensors");
    let a = tensors.require("a").expect("the tensor");
    assert_eq!((a.shape(), a.dtype()), (&[2, 1][..], Dtype::F32));
    assert_eq!(a.to_f32().expect("values"), [1.0, 2.0]);
}

/// The archive's folder has any name, nested ones too, and sizes may be 64-bit.
#[test]
fn names_of_the_folder() {
    let pickle = Asm::new().raw(b"}").text("n").raw(b"K\x03s").stop();
    for folder in ["archive", "tiny_model", "a/b"] {
        let file = archive(&[(format!("{folder}/data.pkl"), pickle.clone())]);
        let file = Checkpoint::from_bytes(file).expect("a sound file");
        assert_eq!(file.root().get("n").and_then(Value::as_int), Some(3), "{folder}");
    }
}

/// An archive whose numbers are all in 64-bit fields, as files beyond 4 GiB have them.
#[test]
fn archives_with_64_bit_fields() {
    let pickle = Asm::new().raw(b"}").text("n").raw(b"K\x03s").stop();
    let file = raw_zip::archive(&[Stored { name: "x/data.pkl", content: &pickle }]);
    let checkpoint = Checkpoint::from_bytes(file.clone()).expect("a sound file");
    assert_eq!(checkpoint.root().get("n").and_then(Value::as_int), Some(3));
    for length in 0..file.len() {
        assert!(
            Checkpoint::from_bytes(file[..length].to_vec()).is_err(),
            "the first {length} bytes were read"
        );
    }
}

#[test]
fn what_is_no_checkpoint_is_named() {
    for (bytes, what) in [
        (&b""[..], "it is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 3\n", "Git LFS"),
        (b"<!DOCTYPE html><html></html>", "web page"),
        (b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03", "gzip"),
        (b"RIFF\x24\x00\x00\x00WAVEfmt ", "sound file"),
        (b"hello world, nothing else", "begins with the bytes [68, 65"),
        (b"\x80\x04]\x94.", "not one of torch.save"),
    ] {
        let error = Checkpoint::from_bytes(bytes.to_vec()).expect_err("no checkpoint").to_string();
        assert!(error.contains(what), "{error}");
        assert!(error.contains(".safetensors file"), "{error}");
    }
}
