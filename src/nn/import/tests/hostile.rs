//! Files that want something else than to be read.

use std::time::{Duration, Instant};

use super::super::Checkpoint;
use super::super::pickle::unpickle;
use super::assemble::{Asm, Storage, f32_bytes, legacy_file, state_dict, zip_file};

/// Far more than any of these needs, far less than one that walks 2^40 values.
const AT_MOST: Duration = Duration::from_secs(20);

fn pickle_error(pickle: &[u8]) -> String {
    match unpickle(pickle, 0) {
        Ok(_) => panic!("it was read"),
        Err(error) => error.to_string(),
    }
}

pub fn file_error(file: Vec<u8>) -> String {
    match Checkpoint::from_bytes(file) {
        Ok(checkpoint) => panic!("it was read: {:?}", checkpoint.root()),
        Err(error) => error.to_string(),
    }
}

pub fn in_time<T>(work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = work();
    assert!(start.elapsed() < AT_MOST, "it took {:?}", start.elapsed());
    result
}

/// A value in two references to itself's predecessor, forty times: 2^40 values when walked.
#[test]
fn memo_bombs() {
    let shapes: [(&[u8], &[u8]); 3] = [(b"(", b"l"), (b"(", b"t"), (b"}(", b"u")];
    for (open, close) in shapes {
        let mut asm = Asm::new().raw(b"]").put(0).raw(b"0");
        for level in 0..40 {
            asm = asm.raw(open);
            for key in ["a", "b"] {
                if close == b"u" {
                    asm = asm.text(key);
                }
                asm = asm.get(level);
            }
            asm = asm.raw(close).put(level + 1).raw(b"0");
        }
        let pickle = asm.get(40).stop();
        let error = in_time(|| pickle_error(&pickle));
        assert!(error.contains("unfold to more than"), "{error}");
    }
}

/// One long thing made once, then used or copied again and again by few bytes.
#[test]
fn quadratic_work_is_refused() {
    let long = "k".repeat(1 << 20);
    // A key of 1 MiB in each of 100,000 dicts: hashed or copied each time, that is 100 GB.
    let asm = Asm::new().raw(b"]").text(&long).put(0).raw(b"0(");
    let keys = (0..100_000).fold(asm, |asm, _| asm.raw(b"}").get(0).raw(b"Ns")).raw(b"e").stop();
    assert!(in_time(|| unpickle(&keys, 0)).is_ok());
    // Tuples of 100,000 as the argument of `list`, 1,000 times.
    let asm = (0..100_000).fold(Asm::new().raw(b"("), |asm, _| asm.raw(b"N")).raw(b"t\x85").put(0).raw(b"0");
    let asm = asm.global("builtins", "list").put(1).raw(b"0(");
    let copies = (0..1000).fold(asm, |asm, _| asm.get(1).get(0).raw(b"R")).raw(b"l").stop();
    let error = in_time(|| pickle_error(&copies));
    assert!(error.contains("more than 4000000 values"), "{error}");
    // The same with a text as bytes.
    let asm =
        Asm::new().text(&long).raw(b"\x85").put(0).raw(b"0").global("_codecs", "encode").put(1).raw(b"0(");
    let encoded = (0..1000).fold(asm, |asm, _| asm.get(1).get(0).raw(b"R")).raw(b"l").stop();
    let error = in_time(|| pickle_error(&encoded));
    assert!(error.contains("more than 4000000 values"), "{error}");
    // A class with a name of 1 MiB, referred to 100,000 times.
    let asm = Asm(b"\x80\x04(".to_vec()).text(&long).put(0);
    let classes = (0..100_000).fold(asm, |asm, _| asm.get(0).get(0).raw(b"\x93")).raw(b"t").stop();
    assert!(in_time(|| pickle_error(&classes)).contains("512 bytes"));
    // Names of tensors: a key of 4,000 bytes under 250 others.
    let asm = (0..250)
        .fold(Asm::new().raw(b"}").text(&"k".repeat(4000)).put(0).raw(b"0"), |asm, _| asm.get(0).raw(b"}"));
    let nested = asm.get(0).raw(b"N").raw(&[b's'; 251]).stop();
    let file = Checkpoint::from_bytes(zip_file(&nested, &[])).expect("plain data");
    assert!(file.tensors(&[]).expect_err("too long").to_string().contains("too long"));
}

#[test]
fn deep_nesting_and_cycles() {
    for (open, close) in [(&b"]"[..], &b"a"[..]), (b"}N", b"s")] {
        let deep = Asm::new().raw(&open.repeat(100_000)).raw(b"N").raw(&close.repeat(100_000)).stop();
        assert!(pickle_error(&deep).contains("nested more than 256 deep"));
        let sound = Asm::new().raw(&open.repeat(250)).raw(b"N").raw(&close.repeat(250)).stop();
        assert!(unpickle(&sound, 0).is_ok());
    }
    let tuples = Asm::new().raw(b"N").raw(&[0x85; 100_000]).stop();
    assert!(pickle_error(&tuples).contains("nested more than 256 deep"));
    let own = [
        Asm::new().raw(b"]").put(0).get(0).raw(b"a"),
        Asm::new().raw(b"}").put(0).raw(b"N").get(0).raw(b"s"),
        Asm::new().raw(b"]").put(0).get(0).raw(b"\x85a"),
        Asm::new().global("argparse", "Namespace").raw(b")R").put(0).raw(b"}N").get(0).raw(b"sb"),
    ];
    for asm in own {
        assert!(pickle_error(&asm.stop()).contains("contains itself"));
    }
    // Through an object that is left alone there is no cycle.
    let asm = Asm::new().global("a", "B").raw(b")R").put(0).raw(b"}N").get(0).raw(b"sb");
    assert!(unpickle(&asm.stop(), 0).is_ok());
    // A maker of tensors as its own function, once around.
    let maker = Asm::new().global("torch._tensor", "_rebuild_from_type_v2").put(0).raw(b"(").get(0);
    assert!(pickle_error(&maker.raw(b"N))tR").stop()).contains("its own maker"));
}

/// A storage, offset, sizes and strides, and what the error says.
type Lie<'a> = (Storage<'a>, i64, &'a [i64], &'a [i64], &'a str);

#[test]
fn tensors_that_lie() {
    let three = ("FloatStorage", "0", 3);
    let cases: &[Lie<'_>] = &[
        (three, 0, &[4], &[1], "reaches element 3 of a storage of 3"),
        (three, 3, &[1], &[1], "reaches element 3 of a storage of 3"),
        (three, -1, &[1], &[1], "whose offset is -1"),
        (three, 0, &[-1], &[1], "whose size is -1"),
        (three, 0, &[2], &[-1], "whose stride is -1"),
        (three, 0, &[2, 2], &[1], "2 sizes and 1 strides"),
        (three, 0, &[i64::MAX, i64::MAX], &[0, 0], "size overflows"),
        (three, 0, &[3, 3], &[i64::MAX, i64::MAX], "strides overflow"),
        (three, i64::MAX, &[3], &[i64::MAX], "strides overflow"),
        (three, 0, &[1; 65], &[1; 65], "65 axes"),
        (("FloatStorage", "0", -3), 0, &[0], &[1], "a size of -3"),
        (("FloatStorage", "0", i64::MAX), 0, &[1], &[1], "size overflows"),
        (("FloatStorage", "0", 1 << 40), 0, &[1 << 40], &[1], "12 bytes where its tensors need"),
        (("FloatStorage", "1", 3), 0, &[3], &[1], "missing (`data/1`)"),
        (("FloatStorage", "../data.pkl", 3), 0, &[3], &[1], "missing (`data/../data.pkl`)"),
        (("float32", "0", 3), 0, &[3], &[1], "a storage of the type"),
    ];
    for (storage, offset, shape, strides, why) in cases {
        let pickle = state_dict(&[("t", *storage, *offset, shape, strides)]);
        let error = file_error(zip_file(&pickle, &[("0", f32_bytes(&[1., 2., 3.]))]));
        assert!(error.contains(why), "{error}\nwhere: {why}");
    }
    // Three numbers repeated to a terabyte open, but are not made.
    let pickle = state_dict(&[("t", three, 0, &[1 << 38], &[0])]);
    let file =
        Checkpoint::from_bytes(zip_file(&pickle, &[("0", f32_bytes(&[1., 2., 3.]))])).expect("a sound file");
    let error =
        file.tensors(&[]).expect("a dict").require("t").expect("the tensor").to_f32().expect_err("too large");
    assert!(error.to_string().contains("repeats a storage of 3 elements"), "{error}");
}

fn small_files() -> [Vec<u8>; 3] {
    let pickle = state_dict(&[("t", ("FloatStorage", "0", 3), 0, &[3], &[1])]);
    let bytes = f32_bytes(&[1., 2., 3.]);
    let header = br#"{"__metadata__":{"a":"b"},"t":{"dtype":"F32","shape":[3],"data_offsets":[0,12]}}"#;
    let safetensors = [(header.len() as u64).to_le_bytes().as_slice(), header, &bytes].concat();
    [zip_file(&pickle, &[("0", bytes.clone())]), legacy_file(&pickle, &[("0", 3, bytes)]), safetensors]
}

#[test]
fn every_truncation_is_an_error() {
    for file in small_files() {
        assert!(Checkpoint::from_bytes(file.clone()).is_ok());
        for length in 0..file.len() {
            assert!(
                Checkpoint::from_bytes(file[..length].to_vec()).is_err(),
                "the first {length} bytes were read"
            );
        }
    }
}

/// Nothing panics, whatever a byte is; what opens can be read out.
#[test]
fn no_changed_byte_panics() {
    for file in small_files() {
        for at in 0..file.len() {
            for change in [0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80, 0xff] {
                let mut changed = file.clone();
                changed[at] ^= change;
                let Ok(checkpoint) = Checkpoint::from_bytes(changed) else { continue };
                let Ok(tensors) = checkpoint.tensors(&[]) else { continue };
                tensors.iter().for_each(|(_, tensor)| drop((tensor.to_f32(), tensor.as_i64())));
            }
        }
    }
}
