//! Tensors: strides, types, byte orders, names.

use super::super::{Checkpoint, Dtype, Error, Format, Value};
use super::assemble::{Asm, f32_bytes, legacy_file, state_dict, zip_file};

const FLOATS: (&str, &str, i64) = ("FloatStorage", "0", 12);

fn twelve() -> Vec<u8> {
    f32_bytes(&std::array::from_fn::<f32, 12, _>(|i| i as f32))
}

fn open(bytes: Vec<u8>) -> Checkpoint {
    Checkpoint::from_bytes(bytes).unwrap_or_else(|error| panic!("{error}"))
}

/// A view's name, offset, sizes, strides, and its numbers.
type View<'a> = (&'a str, i64, &'a [i64], &'a [i64], &'a [f32]);

/// Views of the numbers 0 to 11; expected values by hand.
#[test]
fn views_of_a_storage() {
    let cases: &[View<'_>] = &[
        ("whole", 0, &[3, 4], &[4, 1], &[0., 1., 2., 3., 4., 5., 6., 7., 8., 9., 10., 11.]),
        ("transposed", 0, &[4, 3], &[1, 4], &[0., 4., 8., 1., 5., 9., 2., 6., 10., 3., 7., 11.]),
        ("inner", 5, &[2, 2], &[4, 1], &[5., 6., 9., 10.]),
        ("every other", 1, &[3], &[4], &[1., 5., 9.]),
        ("three axes", 0, &[2, 1, 3], &[1, 99, 2], &[0., 2., 4., 1., 3., 5.]),
        ("one", 7, &[], &[], &[7.]),
        ("one of two axes", 11, &[1, 1], &[1 << 62, 1 << 62], &[11.]),
        ("repeated", 3, &[2, 2], &[0, 1], &[3., 4., 3., 4.]),
        ("empty", 0, &[0, 3], &[3, 1], &[]),
        ("empty, far and huge", 1 << 40, &[1 << 40, 0, 1 << 40], &[1, 1 << 40, 1 << 60], &[]),
        ("overlapping", 0, &[3, 2], &[1, 1], &[0., 1., 1., 2., 2., 3.]),
    ];
    let tensors: Vec<_> = cases
        .iter()
        .map(|(name, offset, shape, strides, _)| (*name, FLOATS, *offset, *shape, *strides))
        .collect();
    let pickle = state_dict(&tensors);
    let zip = open(zip_file(&pickle, &[("0", twelve())]));
    let legacy = open(legacy_file(&pickle, &[("0", 12, twelve())]));
    assert_eq!((zip.format(), legacy.format()), (Format::TorchZip, Format::TorchLegacy));
    for file in [&zip, &legacy] {
        let tensors = file.tensors(&[]).expect("a dict of tensors");
        assert_eq!(tensors.len(), cases.len());
        for (name, _, shape, _, expected) in cases {
            let tensor = tensors.require(name).expect("the tensor");
            assert_eq!(tensor.to_f32().expect("values"), *expected, "{name}");
            assert_eq!(tensor.len(), expected.len(), "{name}");
            let sizes: Vec<i64> = tensor.shape().iter().map(|&size| size as i64).collect();
            assert_eq!(sizes, *shape, "{name}");
        }
        // All of them are views of the one storage.
        let shared = file.shared(&[]).expect("groups");
        assert_eq!(shared.len(), 1);
        assert_eq!(shared[0].len(), cases.len());
    }
}

/// One and minus two in every type, written by hand, little-endian and reversed.
#[test]
fn types_and_byte_orders() {
    let cases: &[(&str, Dtype, &[u8], &[f32])] = &[
        ("DoubleStorage", Dtype::F64, b"\0\0\0\0\0\0\xf0\x3f\0\0\0\0\0\0\0\xc0", &[1., -2.]),
        ("FloatStorage", Dtype::F32, b"\0\0\x80\x3f\0\0\0\xc0", &[1., -2.]),
        ("HalfStorage", Dtype::F16, b"\0\x3c\0\xc0", &[1., -2.]),
        ("BFloat16Storage", Dtype::Bf16, b"\x80\x3f\0\xc0", &[1., -2.]),
        ("LongStorage", Dtype::I64, b"\x01\0\0\0\0\0\0\0\xfe\xff\xff\xff\xff\xff\xff\xff", &[1., -2.]),
        ("IntStorage", Dtype::I32, b"\x01\0\0\0\xfe\xff\xff\xff", &[1., -2.]),
        ("ShortStorage", Dtype::I16, b"\x01\0\xfe\xff", &[1., -2.]),
        ("CharStorage", Dtype::I8, b"\x01\xfe", &[1., -2.]),
        ("ByteStorage", Dtype::U8, b"\x01\xfe", &[1., 254.]),
        ("BoolStorage", Dtype::Bool, b"\x01\0", &[1., 0.]),
    ];
    for (class, dtype, bytes, expected) in cases {
        let pickle = state_dict(&[("t", (class, "0", 2), 0, &[2], &[1])]);
        let reversed: Vec<u8> =
            bytes.chunks(dtype.size_bytes()).flat_map(|element| element.iter().rev().copied()).collect();
        let file = |order: &str, content: Vec<u8>| {
            let names = ["x/data.pkl", "x/byteorder", "x/data/0"].map(str::to_owned);
            let contents = [pickle.clone(), order.into(), content];
            super::assemble::archive(&names.into_iter().zip(contents).collect::<Vec<_>>())
        };
        for checkpoint in [open(file("little", bytes.to_vec())), open(file("big", reversed))] {
            let tensors = checkpoint.tensors(&[]).expect("a dict of tensors");
            let tensor = tensors.require("t").expect("the tensor");
            assert_eq!(tensor.dtype(), *dtype);
            assert_eq!(tensor.to_f32().expect("values"), *expected, "{class}");
            match tensor.as_i64() {
                Ok(whole) => assert_eq!(whole, expected.iter().map(|&v| v as i64).collect::<Vec<_>>()),
                Err(error) => {
                    assert!(dtype.is_float() && error.to_string().contains(dtype.name()), "{error}")
                }
            }
            assert_eq!(dtype.is_float(), tensor.as_i64().is_err());
        }
        let odd = Checkpoint::from_bytes(file("middle", bytes.to_vec())).expect_err("no such order");
        assert!(odd.to_string().contains("`middle`"), "{odd}");
    }
}

/// Parameters, tensors with attributes, and types that are arguments.
#[test]
fn other_makers_of_tensors() {
    let inner = || Asm(Vec::new()).tensor(FLOATS, 2, &[2], &[1]).0;
    let hooks = |asm: Asm| asm.raw(b"\x88").global("collections", "OrderedDict").raw(b")R");
    let parameter =
        hooks(Asm(Vec::new()).global("torch._utils", "_rebuild_parameter").raw(b"(").raw(&inner()));
    let with_state = hooks(
        Asm(Vec::new()).global("torch._utils", "_rebuild_parameter_with_state").raw(b"(").raw(&inner()),
    );
    let arguments =
        |asm: Asm| asm.storage("FloatStorage", "0", 12).int(2).ints(&[2]).ints(&[1]).raw(b"\x89N");
    let typed = Asm(Vec::new()).global("torch._tensor", "_rebuild_from_type_v2").raw(b"(");
    let typed = typed.global("torch._utils", "_rebuild_tensor_v2").global("torch.nn.parameter", "Parameter");
    let typed = arguments(typed.raw(b"(")).raw(b"t}tR");
    let untyped = Asm(Vec::new()).global("torch._utils", "_rebuild_tensor_v3").raw(b"((").text("storage");
    let untyped = untyped.global("torch.storage", "UntypedStorage").text("0").text("cpu").int(48).raw(b"tQ");
    let untyped = untyped.int(2).ints(&[2]).ints(&[1]).raw(b"\x89N").global("torch", "float32").raw(b"tR");
    for made in [parameter.raw(b"tR"), with_state.raw(b"}tR"), typed, untyped] {
        let pickle = Asm::new().raw(b"}").text("t").raw(&made.0).raw(b"s").stop();
        let file = open(zip_file(&pickle, &[("0", twelve())]));
        let tensors = file.tensors(&[]).expect("a dict of tensors");
        assert_eq!(tensors.require("t").expect("the tensor").to_f32().expect("values"), [2., 3.]);
    }
}

/// Number types that we do not have are bystanders.
#[test]
fn complex_tensors_are_left_alone() {
    let pickle = state_dict(&[
        ("c", ("ComplexFloatStorage", "0", 6), 0, &[6], &[1]),
        ("t", ("FloatStorage", "1", 1), 0, &[1], &[1]),
    ]);
    for file in [
        zip_file(&pickle, &[("0", twelve()), ("1", f32_bytes(&[5.0]))]),
        legacy_file(&pickle, &[("0", 6, twelve()), ("1", 1, f32_bytes(&[5.0]))]),
    ] {
        let file = open(file);
        let tensors = file.tensors(&[]).expect("a dict of tensors");
        assert_eq!(tensors.require("t").expect("the tensor").to_f32().expect("values"), [5.]);
        assert_eq!(
            tensors.left_over(),
            [("c".to_owned(), "an object of class torch.ComplexFloatStorage".to_owned())]
        );
    }
}

#[test]
fn names_paths_and_what_is_left_over() {
    let row = |asm: Asm, name: &str| asm.text(name).tensor(FLOATS, 0, &[2], &[1]);
    let asm = Asm::new().raw(b"}(").text("model").raw(b"}(");
    let asm = row(asm, "head.weight").text("_ema").raw(b"}(");
    let asm = row(row(asm, "w"), "v").raw(b"u").text("steps").raw(b"]K\x01aK\x05");
    let asm = asm.tensor(FLOATS, 8, &[2], &[1]).raw(b"u").text("epoch").raw(b"K\x07u");
    let file = open(zip_file(&asm.stop(), &[("0", twelve())]));
    let tensors = file.tensors(&["model"]).expect("the model");
    assert_eq!(tensors.names().collect::<Vec<_>>(), ["head.weight", "_ema.w", "_ema.v", "5"]);
    assert_eq!(tensors.left_over(), [("steps".to_owned(), "a list of 1".to_owned())]);
    assert_eq!(tensors.elements(), 8);
    assert_eq!(tensors.require("5").expect("the tensor").to_f32().expect("values"), [8., 9.]);
    assert_eq!(file.tensors(&["model", "_ema"]).expect("the average").len(), 2);
    assert_eq!(file.tensors(&[]).expect("everything").names().next(), Some("model.head.weight"));
    assert_eq!(file.at(&["epoch"]).ok().and_then(Value::as_int), Some(7));
    let missing = tensors.require("w").expect_err("another name").to_string();
    assert!(missing.contains("no tensor `w`"), "{missing}");
    let no_key = file.tensors(&["model", "ema"]).expect_err("no such key").to_string();
    assert!(no_key.contains("[\"model\"][\"ema\"]") && no_key.contains("\"head.weight\""), "{no_key}");
    let no_dict = file.tensors(&["epoch"]).expect_err("a number").to_string();
    assert!(no_dict.contains("[\"epoch\"] is a whole number"), "{no_dict}");
}

#[test]
fn a_name_that_occurs_twice_is_an_error() {
    let row = |asm: Asm, name: &str| asm.text(name).tensor(FLOATS, 0, &[2], &[1]);
    let pickle = row(row(Asm::new().raw(b"}("), "a.b").text("a").raw(b"}("), "b").raw(b"uu").stop();
    let file = open(zip_file(&pickle, &[("0", twelve())]));
    let error = file.tensors(&[]).expect_err("two of one name");
    assert!(matches!(&error, Error::Names(why) if why.contains("`a.b` occurs twice")), "{error}");
}

#[test]
fn a_whole_saved_object_says_what_to_do() {
    let pickle = Asm::new().global("torchvision.models.resnet", "ResNet").raw(b")\x81}b").stop();
    let file = open(zip_file(&pickle, &[]));
    let error = file.tensors(&[]).expect_err("no dict").to_string();
    assert!(error.contains("torchvision.models.resnet.ResNet") && error.contains("state_dict()"), "{error}");
}

/// Handles of one file do not read another one's bytes out of bounds.
#[test]
fn tensors_of_another_file() {
    let pickle = state_dict(&[("t", FLOATS, 0, &[12], &[1])]);
    let large = open(zip_file(&pickle, &[("0", twelve())]));
    let small = state_dict(&[("t", ("FloatStorage", "0", 1), 0, &[1], &[1])]);
    let small = open(zip_file(&small, &[("0", f32_bytes(&[1.0]))]));
    let none = open(zip_file(&Asm::new().raw(b"}").stop(), &[]));
    let Some(Value::Tensor(tensor)) = large.root().get("t") else { panic!("no tensor") };
    let foreign = small.tensor(tensor).expect("a storage of that number").to_f32();
    assert!(foreign.is_err_and(|error| error.to_string().contains("beyond its storage")));
    assert!(none.tensor(tensor).is_err());
}
