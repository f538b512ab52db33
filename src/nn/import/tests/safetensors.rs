//! Safetensors files, sound ones and those that lie.

use super::super::{Checkpoint, Error, Format};
use super::assemble::{f32_bytes, safetensors};

#[test]
fn safetensors_with_metadata() {
    let header = r#"{"__metadata__":{"model":"tiny"},"b":{"dtype":"I32","shape":[2],"data_offsets":[8,16]},"a.w":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]},"c":{"dtype":"F8_E4M3","shape":[1],"data_offsets":[16,17]}}"#;
    let data =
        [f32_bytes(&[1.5, -2.0]), 7i32.to_le_bytes().to_vec(), (-1i32).to_le_bytes().to_vec(), vec![0]]
            .concat();
    let file = Checkpoint::from_bytes(safetensors(header, &data)).expect("a sound file");
    assert_eq!(file.format(), Format::Safetensors);
    assert_eq!(file.metadata().get("model").map(String::as_str), Some("tiny"));
    let tensors = file.tensors(&[]).expect("a dict of tensors");
    assert_eq!(tensors.names().collect::<Vec<_>>(), ["a.w", "b"]);
    assert_eq!(tensors.require("a.w").expect("the tensor").to_f32().expect("values"), [1.5, -2.0]);
    assert_eq!(tensors.require("b").expect("the tensor").as_i64().expect("values"), [7, -1]);
    assert_eq!(tensors.left_over().len(), 1);
    assert!(tensors.shared().is_empty());
}

fn error(file: Vec<u8>) -> String {
    let error = Checkpoint::from_bytes(file).expect_err("a false file");
    assert!(matches!(error, Error::Safetensors(_)), "{error}");
    error.to_string()
}

/// Each with 8 bytes of data.
#[test]
fn headers_that_lie() {
    let cases = [
        (
            r#""t":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}"#,
            "`t` lies in bytes 0 to 8, where F32 [3] takes 12",
        ),
        (
            r#""t":{"dtype":"F32","shape":[2],"data_offsets":[0,80]}"#,
            "`t` lies in bytes 0 to 80, where F32 [2] takes 8",
        ),
        (r#""t":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}"#, "`t` follows a gap"),
        (r#""t":{"dtype":"F32","shape":[20],"data_offsets":[0,80]}"#, "`t` ends at byte 80 of 8 of the data"),
        (r#""t":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}"#, "4 bytes belong to no tensor"),
        // Overlapping, and with a hole between them.
        (
            r#""t":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"u":{"dtype":"U8","shape":[5],"data_offsets":[3,8]}"#,
            "`u` has bytes of another tensor: it begins at byte 3 of the data, not 4",
        ),
        (
            r#""t":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"u":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}"#,
            "`u` has bytes of another tensor",
        ),
        (
            r#""u":{"dtype":"U8","shape":[3],"data_offsets":[5,8]},"t":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}"#,
            "`u` follows a gap: it begins at byte 5 of the data, not 4",
        ),
        // Products and sums that overflow.
        (
            r#""t":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,8]}"#,
            "that no file can hold",
        ),
        (
            r#""t":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,8]}"#,
            "that no file can hold",
        ),
        (
            r#""t":{"dtype":"F64","shape":[2305843009213693952],"data_offsets":[0,8]}"#,
            "that no file can hold",
        ),
        (
            r#""t":{"dtype":"U8","shape":[18446744073709551615],"data_offsets":[0,18446744073709551615]}"#,
            "that no file can hold",
        ),
        (r#""t":{"dtype":"U8","shape":[18446744073709551616],"data_offsets":[0,8]}"#, "its header: "),
        (r#""t":{"dtype":"F32","shape":[-1],"data_offsets":[0,8]}"#, "its header: "),
        // Four bits an element: three of them are no whole bytes.
        (r#""t":{"dtype":"F4","shape":[3],"data_offsets":[0,8]}"#, "that no file can hold"),
        (r#""t":{"dtype":"F99","shape":[2],"data_offsets":[0,8]}"#, "unknown variant `F99`"),
        (r#""t":{"dtype":"F32","data_offsets":[0,8]}"#, "missing field `shape`"),
        (r#""t":3"#, "its header: "),
        // Which of the two would be read?
        (
            r#""t":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"t":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}"#,
            "`t` occurs twice",
        ),
        (r#""__metadata__":{},"__metadata__":{}"#, "`__metadata__` occurs twice"),
        (r#""__metadata__":{"a":1}"#, "expected a string"),
    ];
    for (entries, why) in cases {
        let error = error(safetensors(&format!("{{{entries}}}"), &[0; 8]));
        assert!(error.contains(why), "{error}\nwhere: {why}");
    }
    // A million lists in each other, in a field that is passed over: no stack is used up.
    let deep = format!("{{\"t\":{{\"x\":{}", "[".repeat(1 << 20));
    assert!(error(safetensors(&deep, &[])).contains("EOF while parsing a list"));
    // A text of the file is shown in part, its special characters escaped.
    let long =
        error(safetensors(&format!("{{\"t\":{{\"dtype\":\"\\u001b[2J{}\"}}}}", "x".repeat(5000)), &[]));
    assert!(long.len() < 1000 && !long.contains('\u{1b}'), "{long}");
}

/// Nothing is reserved for a header that is not there.
#[test]
fn lengths_of_the_header_that_lie() {
    let sound = safetensors(r#"{"t":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#, &[0; 8]);
    assert!(Checkpoint::from_bytes(sound.clone()).is_ok());
    let there = sound.len() - 8;
    for (length, why) in [
        (u64::MAX, "claims 18446744073709551615 bytes, more than 100000000".to_owned()),
        (1 << 60, "claims 1152921504606846976 bytes, more than 100000000".to_owned()),
        (100_000_001, "more than 100000000".to_owned()),
        (100_000_000, format!("claims 100000000 bytes where {there} are left")),
        (there as u64 + 1, format!("where {there} are left")),
        (there as u64, "its header: trailing characters".to_owned()),
        (0, "its header: EOF".to_owned()),
    ] {
        let mut file = sound.clone();
        file[..8].copy_from_slice(&length.to_le_bytes());
        let error = error(file);
        assert!(error.contains(&why), "{error}\nwhere: {why}");
    }
}

/// Tensors without elements take no bytes, wherever they stand.
#[test]
fn empty_tensors() {
    let header = r#"{"b":{"dtype":"F32","shape":[0,3],"data_offsets":[4,4]},"a":{"dtype":"F32","shape":[],"data_offsets":[0,4]},"c":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}"#;
    let file = Checkpoint::from_bytes(safetensors(header, &f32_bytes(&[5.0]))).expect("a sound file");
    let tensors = file.tensors(&[]).expect("a dict of tensors");
    assert_eq!(tensors.require("a").expect("a number").to_f32().expect("values"), [5.0]);
    assert!(tensors.require("b").expect("nothing").to_f32().expect("values").is_empty());
    assert_eq!(tensors.require("c").expect("nothing").shape(), [0]);
    assert!(Checkpoint::from_bytes(safetensors("{}", &[])).expect("no tensors").root().as_dict().is_some());
}
