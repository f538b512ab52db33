//! Random bytes and random opcodes: never a panic, always an end.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::super::pickle::unpickle;
use super::super::{Checkpoint, write_safetensors};
use super::assemble::{f32_bytes, legacy_file, zip_file};

/// Opcodes with sound arguments most of the time, so that long programs run deep into the machine.
fn opcode() -> impl Strategy<Value = Vec<u8>> {
    let fixed: Vec<&'static [u8]> = vec![
        b"(", b"0", b"1", b"2", b"N", b"\x88", b"K\x01", b"M\x02\x00", b"J\xff\xff\xff\xff", b"]", b"}", b")", b"t",
        b"\x85", b"\x86", b"\x87", b"l", b"d", b"a", b"e", b"s", b"u", b"R", b"b", b"\x81", b"\x92", b"o", b"Q",
        b"q\x00", b"q\x01", b"h\x00", b"h\x01", b"\x94", b"\x8f", b"\x90", b"\x91", b"\x93", b"U\x01a", b"C\x02ab",
        b"X\x07\x00\x00\x00storage", b"X\x01\x00\x00\x000", b"\x8a\x02\x01\x00", b"\x8b\x01\x00\x00\x00\x03",
        b"ctorch\nFloatStorage\n", b"ctorch._utils\n_rebuild_tensor_v2\n", b"ctorch._tensor\n_rebuild_from_type_v2\n",
        b"ccollections\nOrderedDict\n", b"cargparse\nNamespace\n", b"c_codecs\nencode\n", b"ca\nB\n", b"ia\nB\n",
        b"ctorch\nSize\n", b"cbuiltins\nset\n", b"G?\xf8\x00\x00\x00\x00\x00\x00", b"I1\n", b"F1.5\n", b".",
        b"ctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000NK\x03tQ",
        b"(K\x00K\x02tK\x01\x85",
    ];
    prop_oneof![
        40 => prop::sample::select(fixed).prop_map(<[u8]>::to_vec),
        1 => prop::collection::vec(any::<u8>(), 1..4),
    ]
}

fn read_out(file: Vec<u8>) {
    let Ok(checkpoint) = Checkpoint::from_bytes(file) else { return };
    let _ = checkpoint.root().kind();
    let json = checkpoint.root().to_json().to_string();
    assert!(serde_json::from_str::<serde_json::Value>(&json).is_ok(), "{json}");
    let Ok(tensors) = checkpoint.tensors(&[]) else { return };
    tensors.iter().for_each(|(_, tensor)| drop((tensor.to_f32(), tensor.as_i64())));
    drop(tensors.shared());
    let list: Vec<_> = tensors.iter().map(|(name, tensor)| (name.to_owned(), tensor)).collect();
    let mut bytes = Vec::new();
    if write_safetensors(&list, &BTreeMap::new(), &mut bytes).is_ok() {
        let back = Checkpoint::from_bytes(bytes).expect("what was written is sound");
        assert_eq!(back.tensors(&[]).map(|back| back.len()).ok(), Some(list.len()));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = unpickle(&bytes, 0);
        read_out([b"PK\x03\x04".as_slice(), &bytes].concat());
        read_out([b"\x80\x02".as_slice(), &bytes].concat());
        read_out(bytes);
    }

    #[test]
    fn random_programs(program in prop::collection::vec(opcode(), 1..60)) {
        let pickle = [b"\x80\x02".as_slice(), &program.concat(), b"."].concat();
        let bytes = f32_bytes(&[1.0, 2.0, 3.0]);
        read_out(zip_file(&pickle, &[("0", bytes.clone())]));
        read_out(legacy_file(&pickle, &[("0", 3, bytes)]));
    }
}
