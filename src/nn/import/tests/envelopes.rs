//! Sound pickles in archives and legacy files that lie about sizes and places.

use super::assemble::{archive, f32_bytes, legacy_file, state_dict, zip_file};
use super::hostile::file_error;

#[test]
fn zip_archives_that_lie() {
    let pickle = state_dict(&[("t", ("FloatStorage", "0", 3), 0, &[3], &[1])]);
    let sound = zip_file(&pickle, &[("0", f32_bytes(&[1., 2., 3.]))]);
    let files = |names: &[&str]| {
        archive(&names.iter().map(|name| ((*name).to_owned(), pickle.clone())).collect::<Vec<_>>())
    };
    let cases = [
        (files(&["x/data/0"]), "no `data.pkl`"),
        (files(&["x/data.pkl", "y/data.pkl"]), "two `data.pkl`"),
        (files(&["x/data.pkl", "x/constants.pkl"]), "TorchScript"),
        (b"PK\x03\x04".to_vec(), "ends too early"),
        ([b"PK\x03\x04".to_vec(), vec![0; 200_000]].concat(), "no directory"),
    ];
    for (file, why) in cases {
        let error = file_error(file);
        assert!(error.contains(why), "{error}");
    }
    // Two entries of one name: `y` in place of `x`, in the local header and in the directory.
    let mut twice = files(&["x/data.pkl", "y/data.pkl"]);
    let places: Vec<usize> =
        (0..twice.len() - 10).filter(|&at| twice[at..].starts_with(b"y/data.pkl")).collect();
    assert_eq!(places.len(), 2);
    places.iter().for_each(|&at| twice[at] = b'x');
    assert!(file_error(twice).contains("two files `x/data.pkl`"));
    // Directory entries of the sound file, field by field.
    let entry =
        (0..sound.len() - 4).rfind(|&at| sound[at..].starts_with(b"PK\x01\x02")).expect("the last entry");
    let end = sound.len() - 22;
    let fields: [(usize, &[u8], &str); 8] = [
        (entry + 8, &[1], "is encrypted"),
        (entry + 10, &[8], "is compressed"),
        (entry + 24, &[0, 0, 0, 0x7f], "says that 12 stored bytes are"),
        (entry + 42, &[1], "not where the directory says"),
        (entry + 42, &[0, 0, 0, 0x7f], "beyond the file's end"),
        (end + 10, &[2], "more entries than it says"),
        (end + 10, &[0xfe, 0xff], "cut off"),
        (end + 16, &[0xff; 4], "64-bit directory is missing"),
    ];
    for (at, bytes, why) in fields {
        let mut file = sound.clone();
        file[at..at + bytes.len()].copy_from_slice(bytes);
        let error = file_error(file);
        assert!(error.contains(why), "{error}\nwhere: {why}");
    }
    // Both sizes of an entry far larger than the file: nothing is reserved for it.
    let mut bomb = sound;
    for at in [entry + 20, entry + 24] {
        bomb[at..at + 4].copy_from_slice(&0x7fff_ffffu32.to_le_bytes());
    }
    assert!(file_error(bomb).contains("beyond the file's end"));
}

#[test]
fn legacy_files_that_lie() {
    let three = || f32_bytes(&[1., 2., 3.]);
    let pickle = state_dict(&[("t", ("FloatStorage", "0", 3), 0, &[3], &[1])]);
    let cases = [
        (legacy_file(&pickle, &[("0", 4, three())]), "4 elements where 3 are announced"),
        (legacy_file(&pickle, &[("0", -3, three())]), "-3 elements where 3 are announced"),
        (legacy_file(&pickle, &[("0", i64::MAX, three())]), "elements where 3 are announced"),
        (legacy_file(&pickle, &[("0", 3, vec![0; 11])]), "ends within storage `0`"),
        (legacy_file(&pickle, &[]), "0 storages where its tensors need 1"),
        (legacy_file(&pickle, &[("1", 3, three())]), "a storage that no tensor needs"),
    ];
    for (file, why) in cases {
        let error = file_error(file);
        assert!(error.contains(why), "{error}");
    }
    let two = state_dict(&[
        ("t", ("FloatStorage", "0", 3), 0, &[3], &[1]),
        ("u", ("FloatStorage", "1", 3), 0, &[3], &[1]),
    ]);
    assert!(file_error(legacy_file(&two, &[("0", 3, three()), ("0", 3, three())])).contains("there twice"));
    // The same storage in two types, of which the second needs more.
    let wider = state_dict(&[
        ("t", ("FloatStorage", "0", 3), 0, &[3], &[1]),
        ("u", ("LongStorage", "0", 3), 0, &[3], &[1]),
    ]);
    assert!(file_error(legacy_file(&wider, &[("0", 3, three())])).contains("shorter than its tensors need"));
    assert!(file_error(zip_file(&wider, &[("0", three())])).contains("need 24"));
}
