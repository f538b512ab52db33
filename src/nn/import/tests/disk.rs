//! Files on the disk: what is read when, and what happens when they change or are none.

use std::fs::{self, File, OpenOptions};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use super::super::{Checkpoint, Error, Format};
use super::assemble::{Asm, f32_bytes, legacy_file, safetensors, state_dict, zip_file};
use super::hostile::in_time;
use super::raw_zip::{Listed, directory, local_header};

/// Far more than memory: a test that reads all of it does not end well.
const HUGE_BYTES: u64 = 1 << 36;

fn open(path: &Path) -> Checkpoint {
    Checkpoint::open(path).unwrap_or_else(|error| panic!("{error}"))
}

fn error(path: &Path) -> String {
    let error = Checkpoint::open(path).expect_err("no sound file").to_string();
    assert!(error.contains(&*path.file_name().expect("a name").to_string_lossy()), "{error}");
    error
}

fn floats(file: &Checkpoint, name: &str) -> Vec<f32> {
    file.tensors(&[]).expect("a dict").require(name).expect("the tensor").to_f32().expect("values")
}

/// Pieces of a file at their places, with holes between them that take no room on the disk.
fn sparse(path: &Path, pieces: &[(u64, Vec<u8>)]) {
    let mut file = File::create(path).expect("a new file");
    for (at, bytes) in pieces {
        file.seek(SeekFrom::Start(*at)).expect("a place");
        file.write_all(bytes).expect("writing");
    }
}

/// Three numbers behind 64 GiB that nobody asks for: nothing but them is read.
#[test]
fn only_what_is_asked_for_is_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("large.bin");
    let values = f32_bytes(&[1., 2., 3.]);
    let elements = (HUGE_BYTES / 4) as i64;
    let pickle = state_dict(&[
        ("huge", ("FloatStorage", "0", elements), 0, &[elements], &[1]),
        ("tail", ("FloatStorage", "0", elements), elements - 2, &[2], &[1]),
        ("t", ("FloatStorage", "1", 3), 0, &[3], &[1]),
    ]);
    let names = ["x/data.pkl", "x/data/0", "x/data/1"];
    let [first, second, third] = names.map(local_header);
    let second_at = (first.len() + pickle.len()) as u64;
    let huge_at = second_at + second.len() as u64;
    let third_at = huge_at + HUGE_BYTES;
    let third = [third, values.clone()].concat();
    let directory_at = third_at + third.len() as u64;
    let listed = [
        Listed::stored(names[0], pickle.len() as u64, 0),
        Listed::stored(names[1], HUGE_BYTES, second_at),
        Listed::stored(names[2], 12, third_at),
    ];
    let nine = f32_bytes(&[8., 9.]);
    let zip = [
        (0, [first, pickle.clone(), second].concat()),
        (third_at - 8, [nine.clone(), third].concat()),
        (directory_at, directory(&listed, directory_at)),
    ];
    // The second storage of a legacy file begins with its count.
    let head = legacy_file(&pickle, &[("0", elements, vec![]), ("1", 0, vec![])]);
    let head = &head[..head.len() - 8];
    let count = 3i64.to_le_bytes().to_vec();
    let end = head.len() as u64 + HUGE_BYTES;
    let legacy = [(0, head.to_vec()), (end - 8, [nine.clone(), count, values.clone()].concat())];
    let info = |start, end, shape: u64| {
        format!(r#"{{"dtype":"F32","shape":[{shape}],"data_offsets":[{start},{end}]}}"#)
    };
    let header = format!(
        r#"{{"huge":{},"tail":{},"t":{}}}"#,
        info(0, HUGE_BYTES - 8, HUGE_BYTES / 4 - 2),
        info(HUGE_BYTES - 8, HUGE_BYTES, 2),
        info(HUGE_BYTES, HUGE_BYTES + 12, 3)
    );
    let header = safetensors(&header, &[]);
    let end = header.len() as u64 + HUGE_BYTES;
    let safe = [(0, header), (end - 8, [nine, values].concat())];
    for pieces in [zip.as_slice(), &legacy, &safe] {
        sparse(&path, pieces);
        in_time(|| {
            let file = open(&path);
            assert!(file.len_bytes() > HUGE_BYTES);
            let tensors = file.tensors(&[]).expect("a dict of tensors");
            assert!(tensors.require("huge").expect("the tensor").len() as u64 >= HUGE_BYTES / 4 - 2);
            assert_eq!(floats(&file, "t"), [1., 2., 3.], "{}", file.format());
            assert_eq!(floats(&file, "tail"), [8., 9.], "{}", file.format());
        });
    }
}

/// No list of names has 300 MiB: they are not read to find out.
#[test]
fn a_pickle_that_is_too_large_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("large.pt");
    let size = 300 << 20;
    let header = local_header("x/data.pkl");
    let at = header.len() as u64 + size;
    sparse(&path, &[(0, header), (at, directory(&[Listed::stored("x/data.pkl", size, 0)], at))]);
    let error = in_time(|| error(&path));
    assert!(
        error.contains("its `data.pkl` has 300 MiB, where names and settings take at most 256"),
        "{error}"
    );
}

/// Where a legacy file's pickles end is found by trying: here beyond the first attempt.
#[test]
fn a_legacy_file_with_much_text() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("long.pt");
    let asm = Asm::new().raw(b"}(").text("log").text(&"x".repeat(3 << 20));
    let pickle = asm.text("t").tensor(("FloatStorage", "0", 2), 0, &[2], &[1]).raw(b"u").stop();
    fs::write(&path, legacy_file(&pickle, &[("0", 2, f32_bytes(&[1., 2.]))])).expect("writing");
    let file = open(&path);
    assert_eq!(file.format(), Format::TorchLegacy);
    assert_eq!(floats(&file, "t"), [1., 2.]);
}

/// Forty tensors of two storages each way, in all formats.
fn middling() -> [(Format, Vec<u8>); 3] {
    let values: Vec<f32> = (0..700).map(|number| number as f32).collect();
    let names: Vec<String> = (0..40).map(|number| format!("layers.{number}.weight")).collect();
    let storage = |number: usize| ("FloatStorage", if number.is_multiple_of(2) { "0" } else { "1" }, 700);
    let rows: Vec<_> = names
        .iter()
        .enumerate()
        .map(|(number, name)| (&**name, storage(number), 3, &[10, 60][..], &[1, 11][..]))
        .collect();
    let pickle = state_dict(&rows);
    let entries: Vec<String> = (0..40u32)
        .map(|n| {
            format!(r#""{n}":{{"dtype":"F32","shape":[17],"data_offsets":[{},{}]}}"#, n * 68, n * 68 + 68)
        })
        .collect();
    let bytes = f32_bytes(&values);
    [
        (Format::TorchZip, zip_file(&pickle, &[("0", bytes.clone()), ("1", bytes.clone())])),
        (Format::TorchLegacy, legacy_file(&pickle, &[("0", 700, bytes.clone()), ("1", 700, bytes.clone())])),
        (Format::Safetensors, safetensors(&format!("{{{}}}", entries.join(",")), &bytes[..40 * 68])),
    ]
}

/// What a file gives: all values, or what is wrong with it.
fn outcome(file: Result<Checkpoint, Error>) -> Result<Vec<(String, Vec<f32>)>, String> {
    let file = file.map_err(|error| error.to_string())?;
    let tensors = file.tensors(&[]).map_err(|error| error.to_string())?;
    let values = |(name, tensor): (&str, super::super::TensorRef<'_>)| {
        tensor.to_f32().map(|values| (name.to_owned(), values)).map_err(|error| error.to_string())
    };
    tensors.iter().map(values).collect()
}

/// A file on the disk gives what its bytes in memory give, wherever it is cut and whatever is changed in it.
#[test]
fn disk_and_memory_agree_on_sound_cut_and_changed_files() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("file.pt");
    let both = |bytes: &[u8]| {
        fs::write(&path, bytes).expect("writing");
        let from_disk = outcome(Checkpoint::open(&path));
        let from_memory = outcome(Checkpoint::from_bytes(bytes.to_vec()));
        // What is found at opening names the file.
        let prefix = format!("{}: ", path.display());
        assert_eq!(
            from_disk.map_err(|error| error.strip_prefix(&prefix).unwrap_or(&error).to_owned()),
            from_memory
        );
        from_memory
    };
    for (format, file) in middling() {
        let sound = both(&file).expect("a sound file");
        assert_eq!(sound.len(), 40, "{format}");
        let sixteenths = (0..16).map(|part| file.len() * part / 16);
        for length in sixteenths.chain(file.len() - 64..file.len()) {
            let error = both(&file[..length]).expect_err("it is cut off");
            let told = ["cut off", "checkpoint", "it is empty"];
            assert!(told.iter().any(|what| error.contains(what)), "{format} to byte {length}: {error}");
        }
        // The directory, the pickles or the header, and a part of the values.
        for at in (0..file.len()).step_by(31) {
            let mut changed = file.clone();
            changed[at] ^= 0x55;
            let _ = both(&changed);
        }
    }
}

#[test]
fn hash_path_and_length() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("file.pt");
    // Longer than one piece of reading, and no multiple of it.
    let count = 700_001;
    let bytes = zip_file(
        &state_dict(&[("t", ("FloatStorage", "0", count), 0, &[count], &[1])]),
        &[("0", f32_bytes(&(0..count).map(|number| number as f32).collect::<Vec<_>>()))],
    );
    fs::write(&path, &bytes).expect("writing");
    let (disk, memory) = (open(&path), Checkpoint::from_bytes(bytes.clone()).expect("a sound file"));
    let expected = blake3::hash(&bytes).to_hex().to_string();
    for file in [&disk, &memory] {
        assert_eq!(file.content_hash().expect("a hash"), expected);
        assert_eq!(file.len_bytes(), bytes.len() as u64);
        assert!(floats(file, "t").iter().enumerate().all(|(number, &value)| value == number as f32));
    }
    assert_eq!((disk.path(), memory.path()), (Some(path.as_path()), None));
}

/// A file that is cut, or written to, between its opening and the reading of its values.
#[test]
fn files_that_change_while_they_are_open() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("moving.pt");
    for (format, bytes) in middling() {
        let written = |change: &dyn Fn(&File)| {
            fs::write(&path, &bytes).expect("writing");
            let file = open(&path);
            change(&OpenOptions::new().write(true).open(&path).expect("the file"));
            let values = file.tensors(&[]).expect("the tensors");
            let (name, tensor) = values.iter().last().expect("a tensor");
            [tensor.to_f32().err(), tensor.to_le_bytes().err(), file.content_hash().err()].map(|error| {
                let error = error.unwrap_or_else(|| panic!("{format}: `{name}` was read")).to_string();
                assert!(error.contains("moving.pt"), "{error}");
                error
            })
        };
        for length in [0, 100, bytes.len() as u64 / 2] {
            let errors = written(&|file| file.set_len(length).expect("cutting"));
            assert!(errors.iter().all(|error| error.contains("became shorter")), "{format}: {errors:?}");
        }
        let grown = written(&|file| file.set_len(bytes.len() as u64 + 1).expect("lengthening"));
        assert!(grown.iter().all(|error| error.contains("was written to")), "{format}: {grown:?}");
        // The same length, written an hour later.
        let later = std::time::SystemTime::now() + Duration::from_secs(3600);
        let rewritten = written(&|file| file.set_modified(later).expect("a time"));
        assert!(rewritten.iter().all(|error| error.contains("was written to")), "{format}: {rewritten:?}");
    }
}

/// Another file of that name leaves the open one as it is.
#[cfg(unix)]
#[test]
fn files_that_are_replaced_while_they_are_open() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("replaced.pt");
    for (_, bytes) in middling() {
        fs::write(&path, &bytes).expect("writing");
        let file = open(&path);
        let before = outcome(Checkpoint::open(&path));
        fs::remove_file(&path).expect("removing");
        fs::write(&path, b"something else").expect("writing");
        assert_eq!(outcome(Ok(file)), before);
    }
}

#[test]
fn what_is_no_checkpoint() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("model.pt");
    assert!(error(&path).contains("failed to read"), "{}", error(&path));
    assert!(error(folder.path()).contains("not a regular file"));
    for (bytes, why) in [
        (&b""[..], "it is empty"),
        (b"<!DOCTYPE html>\n<html><body>404</body></html>", "it is a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 3\n", "`git lfs pull`"),
        (b"PK", "ends too early"),
        (b"\x80", "it needs 1 bytes where 0 are left"),
        (b"\x00\x00\x00\x00\x00\x00\x00\x00{", "its header: EOF"),
    ] {
        fs::write(&path, bytes).expect("writing");
        let error = error(&path);
        assert!(error.contains(why), "{error}\nwhere: {why}");
    }
}

/// A pipe that nobody writes to: waiting for it would be for ever.
#[cfg(unix)]
#[test]
fn a_pipe_is_refused_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let path: PathBuf = folder.path().join("pipe.pt");
    let made = std::process::Command::new("mkfifo").arg(&path).status().expect("mkfifo is there");
    assert!(made.success());
    let (told, answer) = mpsc::channel();
    std::thread::spawn(move || {
        let _ = told.send(error(&path));
    });
    let error = answer.recv_timeout(Duration::from_secs(20)).expect("an answer");
    assert!(error.contains("pipe.pt: it is not a regular file"), "{error}");
}
