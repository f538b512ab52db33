//! Sound pickles in archives and legacy files that lie about sizes and places.

use super::super::Checkpoint;
use super::assemble::{archive, f32_bytes, legacy_file, state_dict, zip_file};
use super::hostile::{file_error, in_time};
use super::raw_zip::{Listed, Stored, contents, directory, local_header};

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
    let local = (0..entry).rfind(|&at| sound[at..].starts_with(b"PK\x03\x04")).expect("the last header");
    let fields: [(usize, &[u8], &str); 9] = [
        (entry + 8, &[1], "is encrypted"),
        (entry + 10, &[8], "is compressed"),
        (entry + 24, &[0, 0, 0, 0x7f], "says that 12 stored bytes are"),
        (local + 30, b"y", "not where the directory says"),
        (local + 26, &[9], "not where the directory says"),
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

/// How what a directory says, and where it stands, is made a lie.
type Lie = fn(&mut [Listed<'_>], u64);

/// Bytes that two files claim, or a file and the directory.
#[test]
fn files_of_an_archive_that_overlap() {
    let pickle = state_dict(&[("t", ("FloatStorage", "0", 3), 0, &[3], &[1])]);
    let values = f32_bytes(&[1., 2., 3.]);
    let files = [("x/data.pkl", &pickle), ("x/data/0", &values), ("x/data/1", &values)];
    let files = files.map(|(name, content)| Stored { name, content });
    let (bytes, listed) = contents(&files);
    let at = bytes.len() as u64;
    let assembled = |listed: &[Listed<'_>]| [bytes.clone(), directory(listed, at)].concat();
    assert!(Checkpoint::from_bytes(assembled(&listed)).is_ok());
    let cases: [(Lie, &str); 10] = [
        // One byte more than there is room for, then all of what follows.
        (|files, _| lengthen(&mut files[1], 1), "`x/data/0` and `x/data/1` have bytes in common"),
        (|files, _| lengthen(&mut files[0], 60), "`x/data.pkl` and `x/data/0` have bytes in common"),
        (|files, _| lengthen(&mut files[2], 1), "`x/data/1` reaches into the archive's directory"),
        (|files, at| files[2].header_at = at, "`x/data/1` reaches into the archive's directory"),
        (|files, at| files[2].header_at = at + 30, "`x/data/1` reaches into the archive's directory"),
        (|files, _| lengthen(&mut files[2], 1 << 40), "`x/data/1` lies beyond the file's end"),
        (|files, _| files[2].header_at = u64::MAX - 2, "`x/data/1` lies beyond the file's end"),
        (|files, _| lengthen(&mut files[2], u64::MAX >> 1), "`x/data/1` lies beyond the file's end"),
        // The same bytes under two names, in whole and in part.
        (|files, _| files[2].header_at = files[1].header_at, "have bytes in common"),
        (|files, _| files[1].header_at -= 7, "`x/data.pkl` and `x/data/0` have bytes in common"),
    ];
    for (lie, why) in cases {
        let mut listed = listed.clone();
        lie(&mut listed, at);
        let error = file_error(assembled(&listed));
        assert!(error.contains(why), "{error}\nwhere: {why}");
    }
    // A local header that is longer than the directory can know.
    let mut long_header = assembled(&listed);
    long_header[listed[1].header_at as usize + 28] = 1;
    assert!(file_error(long_header).contains("`x/data/0` reaches into what follows it"));
}

fn lengthen(file: &mut Listed<'_>, by: u64) {
    file.stored_bytes += by;
    file.size_bytes += by;
}

/// A few deflated bytes that claim to be an exabyte: named, never inflated, and nothing is reserved for them.
#[test]
fn zip_bombs() {
    let pickle = state_dict(&[("t", ("FloatStorage", "0", 3), 0, &[3], &[1])]);
    let values = f32_bytes(&[1., 2., 3.]);
    // An empty stored block, as deflate ends a stream.
    let deflated: &[u8] = b"\x01\x00\x00\xff\xff";
    for (bomb, pickle, values) in [("x/data.pkl", deflated, &values[..]), ("x/data/0", &pickle, deflated)] {
        let files =
            [("x/data.pkl", pickle), ("x/data/0", values)].map(|(name, content)| Stored { name, content });
        let (bytes, mut listed) = contents(&files);
        let place = listed.iter().position(|file| file.name == bomb).expect("it is there");
        for size_bytes in [u64::from(u32::MAX), 1 << 40, 1 << 60, u64::MAX] {
            (listed[place].method, listed[place].size_bytes) = (8, size_bytes);
            let file = [bytes.clone(), directory(&listed, bytes.len() as u64)].concat();
            let error = in_time(|| file_error(file));
            assert!(error.contains(&format!("`{bomb}` is compressed")), "{error}");
            // As a stored file it is no better.
            listed[place].method = 0;
            let file = [bytes.clone(), directory(&listed, bytes.len() as u64)].concat();
            let error = in_time(|| file_error(file));
            assert!(error.contains(&format!("says that 5 stored bytes are {size_bytes}")), "{error}");
        }
    }
}

/// Directories that claim more than there is.
#[test]
fn directories_that_lie() {
    let header = local_header("x/data.pkl");
    let listed = [Listed::stored("x/data.pkl", 0, 0)];
    let sound = directory(&listed, header.len() as u64);
    // From the end: 22 bytes of the end record, 20 of the locator, 56 of the 64-bit end record.
    let end64 = header.len() + sound.len() - 98;
    for (at, number, why) in [
        (end64 + 32, u64::MAX, "cut off"),
        (end64 + 32, 2, "cut off"),
        (end64 + 32, 0, "more entries than it says"),
        (end64 + 40, u64::MAX, "beyond its end"),
        (end64 + 40, 1 << 40, "beyond its end"),
        (end64 + 48, u64::MAX, "beyond its end"),
        (end64 + 48, 0, "cut off"),
        (end64 + 56 + 8, u64::MAX, "64-bit directory is missing"),
        (end64 + 56 + 8, end64 as u64 + 1, "64-bit directory is missing"),
        (end64 + 56 + 8, 0, "64-bit directory is missing"),
    ] {
        let mut file = [header.as_slice(), &sound].concat();
        file[at..at + 8].copy_from_slice(&number.to_le_bytes());
        let error = in_time(|| file_error(file));
        assert!(error.contains(why), "{error}\nwhere: {why}");
    }
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
