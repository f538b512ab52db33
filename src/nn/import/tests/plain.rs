//! Plain data in the notations of all protocols, and what becomes of classes.

use super::super::error::Error;
use super::super::pickle::unpickle;
use super::super::value::Value;
use super::assemble::Asm;

fn read(pickle: &[u8]) -> Value {
    unpickle(pickle, 0).unwrap_or_else(|error| panic!("{error}")).root
}

fn error(pickle: &[u8]) -> Error {
    match unpickle(pickle, 0) {
        Ok(read) => panic!("it was read: {:?}", read.root),
        Err(error) => error,
    }
}

fn shown(pickle: &[u8]) -> String {
    brief(&read(pickle))
}

/// A value in a short notation of its own, so that cases fit on a line.
fn brief(value: &Value) -> String {
    let all = |items: &[Value]| items.iter().map(brief).collect::<Vec<_>>().join(",");
    match value {
        Value::None => "None".into(),
        Value::Bool(truth) => truth.to_string(),
        Value::Int(number) => number.to_string(),
        Value::Float(number) => format!("{number:?}"),
        Value::Text(text) => format!("{text:?}"),
        Value::Bytes(bytes) => format!("b{bytes:?}"),
        Value::List(items) => format!("[{}]", all(items)),
        Value::Tuple(items) => format!("({})", all(items)),
        Value::Set(items) => format!("set({})", all(items)),
        Value::Dict(dict) => {
            let entries: Vec<String> =
                dict.iter().map(|(key, value)| format!("{}:{}", brief(key), brief(value))).collect();
            format!("{{{}}}", entries.join(","))
        }
        Value::Tensor(tensor) => format!("tensor{:?}", tensor.shape()),
        Value::Opaque(opaque) => format!("<{}>", opaque.class()),
    }
}

/// Each pickle is what Python 3.11 writes (`pickletools.optimize(pickle.dumps(value, protocol))`),
/// or for opcodes that it no longer writes, what its documentation says.
#[test]
fn plain_data_of_every_protocol() {
    let cases: &[(&[u8], &str)] = &[
        // Protocol 0.
        (b"(lI1\naL2L\naF1.5\naI01\naNa.", "[1,2,1.5,true,None]"),
        (b"(dVk\\u20ac\nS'a\\x41\\n'\ns.", "{\"k€\":\"aA\\n\"}"),
        (b"(I1\nI2\ntp0\n0(g0\ng0\nt.", "((1,2),(1,2))"),
        (b"(lp0\nL-9223372036854775808L\na.", "[-9223372036854775808]"),
        (b"L9223372036854775808L\n.", "<builtins.int>"),
        // Protocols 1 and 2.
        (
            b"]q\x00(K\x01M\x00\x01J\xff\xff\xff\xffG?\xf8\x00\x00\x00\x00\x00\x00U\x01ae.",
            "[1,256,-1,1.5,\"a\"]",
        ),
        (b"\x80\x02T\x02\x00\x00\x00\xff\xfe.", "b[255, 254]"),
        (b"\x80\x02(\x88\x89N\x8a\x00\x8a\x01\xffl.", "[true,false,None,0,-1]"),
        (b"\x80\x02\x8a\x09\xff\xff\xff\xff\xff\xff\xff\x7f\x00.", "9223372036854775807"),
        (b"\x80\x02\x8a\x09\xff\xff\xff\xff\xff\xff\xff\xff\x00.", "<builtins.int>"),
        (b"\x80\x02\x8b\x02\x00\x00\x00\x00\x80.", "-32768"),
        (b"\x80\x02)K\x01\x85K\x02K\x03\x86K\x04K\x05K\x06\x87\x87.", "((1),(2,3),(4,5,6))"),
        // The stack's own opcodes.
        (b"\x80\x02K\x012\x86.", "(1,1)"),
        (b"\x80\x02K\x01(0.", "1"),
        (b"\x80\x02K\x01(K\x02K\x031.", "1"),
        // Protocols 3 to 5: bytes, frames, memo without numbers, sets.
        (b"\x80\x03(C\x02abB\x01\x00\x00\x00ct.", "(b[97, 98],b[99])"),
        (b"\x80\x04\x95\x0a\x00\x00\x00\x00\x00\x00\x00]\x94(\x8c\x01a\x94h\x01e.", "[\"a\",\"a\"]"),
        (b"\x80\x04\x8f(K\x01K\x02\x90.", "set(1,2)"),
        (b"\x80\x04(K\x01\x91.", "set(1)"),
        (b"\x80\x05\x96\x01\x00\x00\x00\x00\x00\x00\x00z.", "b[122]"),
    ];
    for (pickle, expected) in cases {
        assert_eq!(shown(pickle), *expected, "{}", pickle.escape_ascii());
    }
}

#[test]
fn containers_of_the_standard_library_become_plain() {
    let cases: &[(Asm, &str)] = &[
        // OrderedDict with its attributes, as a state dict has.
        (
            Asm::new()
                .global("collections", "OrderedDict")
                .raw(b")R(")
                .text("a")
                .int(1)
                .raw(b"u}")
                .text("_metadata")
                .raw(b"Nsb"),
            "{\"a\":1}",
        ),
        (
            Asm::new()
                .global("collections", "OrderedDict")
                .raw(b"]]")
                .raw(b"(")
                .text("k")
                .int(2)
                .raw(b"ea\x85R"),
            "{\"k\":2}",
        ),
        (
            Asm::new()
                .global("collections", "defaultdict")
                .global("__builtin__", "list")
                .raw(b"\x85R")
                .text("k")
                .raw(b"]s"),
            "{\"k\":[]}",
        ),
        (Asm::new().global("__builtin__", "set").raw(b"]K\x01a\x85R"), "set(1)"),
        (
            Asm::new().global("_codecs", "encode").raw(b"(").text("a\u{ff}").text("latin1").raw(b"tR"),
            "b[97, 255]",
        ),
        (Asm::new().global("argparse", "Namespace").raw(b")\x81}").text("lr").raw(b"K\x03sb"), "{\"lr\":3}"),
        (
            Asm::new()
                .global("copy_reg", "_reconstructor")
                .raw(b"(")
                .global("argparse", "Namespace")
                .global("__builtin__", "object")
                .raw(b"NtR"),
            "<argparse.Namespace>",
        ),
        (Asm::new().global("torch", "Size").ints(&[2, 3]).raw(b"\x85R"), "(2,3)"),
        (Asm::new().global("torch", "device").text("cuda").raw(b"K\x01\x86R"), "\"cuda:1\""),
        (Asm::new().global("torch", "float16"), "<torch.float16>"),
    ];
    for (asm, expected) in cases {
        assert_eq!(shown(&asm.clone().stop()), *expected);
    }
}

/// Bystanders, in all ways in which pickles make objects; none of them stops the read.
#[test]
fn unknown_classes_are_left_alone() {
    let config = "<omegaconf.dictconfig.DictConfig>";
    let class = Asm::new().global("omegaconf.dictconfig", "DictConfig");
    let stacked = Asm(b"\x80\x04".to_vec()).text("omegaconf.dictconfig").text("DictConfig").raw(b"\x93");
    let cases = [
        class.clone(),
        stacked.clone().raw(b")\x81}\x94b"),
        stacked.raw(b")}\x92"),
        class.clone().raw(b")\x81}").text("_content").raw(b"}sb"),
        class.clone().raw(b"K\x01\x85R"),
        // A subclass of dict, and one of list.
        class.clone().raw(b")R").text("k").raw(b"K\x01s"),
        class.clone().raw(b")R(K\x01K\x02e"),
        Asm::new().raw(b"(").global("omegaconf.dictconfig", "DictConfig").raw(b"K\x01o"),
        Asm::new().raw(b"(K\x01iomegaconf.dictconfig\nDictConfig\n"),
        // What a made thing makes when it is called.
        class.raw(b")R)R"),
    ];
    for asm in cases {
        assert_eq!(shown(&asm.clone().stop()), config, "{}", asm.0.escape_ascii());
    }
    let scalar = Asm::new().global("numpy.core.multiarray", "scalar").raw(b"(").global("numpy", "dtype");
    let scalar = scalar.text("f8").raw(b"K\x00K\x01\x87RC\x08\x00\x00\x00\x00\x00\x00\xf0?tR").stop();
    assert_eq!(shown(&scalar), "<numpy.core.multiarray.scalar>");
}

/// Python keeps a key's first place and its last value.
#[test]
fn keys_set_twice() {
    let asm = Asm::new().raw(b"}(").text("a").int(1).text("b").int(2).text("a").int(3);
    let asm = asm.raw(b"\x88").int(4).int(1).int(5).raw(b"u");
    assert_eq!(shown(&asm.stop()), "{\"a\":3,\"b\":2,true:5}");
    let named = error(&Asm::new().raw(b"}]K\x01s").stop()).to_string();
    assert!(named.contains("key is a list"), "{named}");
}

#[test]
fn errors_name_opcode_and_byte() {
    let cases: &[(&[u8], &str, &str, usize)] = &[
        (b"\x80\x02K\x01R.", "REDUCE", "stack is empty", 4),
        (b"\x80\x02K\x01K\x02R.", "REDUCE", "the arguments of a call are a whole number", 6),
        (b"\x80\x02K\x01)R.", "REDUCE", "calls a whole number", 5),
        (b"\x80\x02h\x07.", "BINGET", "nothing was memorised as 7", 2),
        (b"\x80\x02K\x01t.", "TUPLE", "no mark", 4),
        (b"\x80\x02(K\x01d.", "DICT", "a key without a value", 5),
        (b"\x80\x02\x82\x01.", "EXT1", "no checkpoint needs", 2),
        (b"\x80\x02P1\n.", "PERSID", "no checkpoint needs", 2),
        (b"\x80\x05\x97.", "NEXT_BUFFER", "no checkpoint needs", 2),
        (b"\x80\x06.", "PROTO", "protocol 6", 0),
        (b"\x80\x02\xff.", "unknown", "0xff", 2),
        (b"\x80\x02X\x05\x00\x00\x00ab", "BINUNICODE", "5 bytes where 2 are left", 2),
        (b"\x80\x02T\xff\xff\xff\xff.", "BINSTRING", "a length of -1", 2),
        (b"\x80\x02\x8b\xff\xff\xff\x7f.", "LONG4", "2147483647 bytes where 1 are left", 2),
        (b"\x80\x02K\x01", "none", "1 bytes where 0 are left", 4),
    ];
    for (pickle, expected_opcode, expected_why, expected_offset) in cases {
        let Error::Pickle { opcode, offset, why } = error(pickle) else {
            panic!("{}", pickle.escape_ascii())
        };
        assert_eq!((opcode, offset), (*expected_opcode, *expected_offset), "{why}");
        assert!(why.contains(expected_why), "{why}");
    }
}
