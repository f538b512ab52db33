//! Runs that somebody else made up, with files whose reading would not end and names that lead elsewhere. All hashes are right.

use std::io::{Cursor, Write as _};

use super::*;

/// A shape that nobody's memory holds, in a file of a few bytes whose hash is right.
#[test]
fn features_that_are_said_to_be_endless_are_a_problem_of_their_run_alone() {
    let (place, sound) = (Place::new(), Place::new());
    let path = place.run().file("features.npz");
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let stored = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for name in ["train.npy", "test.npy"] {
        zip.start_file(name, stored).unwrap();
        zip.write_all(&crate::npy::header("<f4", "(4000000000, 1000)")).unwrap();
    }
    fs::write(&path, zip.finish().unwrap().into_inner()).unwrap();
    let hashes = place.run().hashes(JUDGED).unwrap();
    place.lie("eval.json", |document| document["artefacts"] = json!(hashes));
    let found = verify(&[place.run(), sound.run()], &Ui::new(true, false));
    let states = [State::Damaged, State::Sound];
    assert_eq!([found[0].state, found[1].state], states, "{found:?}");
    let problem = &found[0].problems[0];
    assert!(problem.file == "features.npz" && problem.why.contains("4000000000 rows"), "{problem:?}");
}

/// Puts a pipe, whose reading waits for ever, in the place of a file.
#[cfg(unix)]
fn pipe(path: &Path) {
    fs::remove_file(path).unwrap();
    let name = std::ffi::CString::new(path.to_str().unwrap()).unwrap();
    // SAFETY: the name is a string that ends in zero and lives through the call.
    assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
}

#[cfg(unix)]
#[test]
fn a_pipe_in_the_place_of_a_file_is_not_waited_for() {
    let names = [
        "manifest.json",
        MODEL,
        CONFIG,
        "metrics.jsonl",
        "eval.json",
        "features.npz",
        "scores.csv",
        "status",
    ];
    for name in names {
        let place = Place::new();
        pipe(&place.run().file(name));
        let found = place.verify();
        let problem = &found.problems[0];
        assert_eq!((found.state, problem.file.as_str()), (State::Damaged, name), "{found:?}");
        assert!(problem.why.contains("not a regular file"), "{problem:?}");
    }
    // Of a file without a hash too.
    let place = Place::new();
    place.lie("manifest.json", |manifest| {
        manifest["artefacts"].as_object_mut().unwrap().remove(CONFIG);
    });
    pipe(&place.run().file(CONFIG));
    assert_eq!(place.verify().problems[0].file, CONFIG);
}

#[test]
fn a_hash_of_what_is_no_file_of_the_run_is_a_problem_and_nothing_is_read() {
    let outside = tempfile::NamedTempFile::new().unwrap();
    let hash = blake3::hash(b"").to_hex().to_string();
    for name in [outside.path().to_str().unwrap(), "../seed-4/scores.csv", "/dev/zero", ""] {
        let place = Place::new();
        place.lie("eval.json", |document| document["artefacts"][name] = hash.as_str().into());
        let found = place.verify();
        assert_eq!((found.state, found.problems.len(), found.files), (State::Damaged, 1, 7), "{found:?}");
        let problem = &found.problems[0];
        assert!(problem.file == "eval.json" && problem.why.contains("no file of the run"), "{problem:?}");
    }
}

#[test]
fn a_checkpoint_that_has_no_end_is_not_read() {
    let place = Place::new();
    fs::remove_file(place.run().model()).unwrap();
    place.lie("manifest.json", |manifest| {
        manifest["pretrained"] = json!({ "path": "/dev/zero", "architecture": "BEATs", "fine_tuned": false });
    });
    let found = place.verify();
    assert!(found.notes.iter().any(|note| note.starts_with("/dev/zero cannot be read")), "{found:?}");
}
