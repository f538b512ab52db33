//! WAV files that a user names, one by one or by the folder above them.

use std::io;
use std::path::{Path, PathBuf};

use super::Error;
use super::walk::{Problem, walk};

/// WAV files, and what could not be looked at.
#[derive(Debug, Default)]
pub struct WavFiles {
    /// As they were named, or the folder as it was named with the path below it.
    pub paths: Vec<PathBuf>,
    /// Below the folders.
    pub problems: Vec<Problem>,
    /// The folders' other files in words.
    pub others: String,
}

/// The files that are named, and all WAV files below the folders that are named, those of one folder sorted.
///
/// # Errors
/// When a file or folder is not there, and where no WAV file lies below a folder.
pub fn wav_files(named: &[PathBuf]) -> Result<WavFiles, Error> {
    let mut found = WavFiles::default();
    for path in named {
        match path.is_dir() {
            true => {
                let below = wavs_below(path)?;
                found.paths.extend(below.paths);
                found.problems.extend(below.problems);
            }
            // Whether it can be read is seen when it is heard; a name that leads nowhere is a typing error.
            false => match std::fs::metadata(path) {
                Ok(_) => found.paths.push(path.clone()),
                Err(source) => return Err(unreachable(path, source)),
            },
        }
    }
    Ok(found)
}

/// All WAV files at any depth below a folder, sorted by path.
///
/// # Errors
/// When the folder cannot be read or there is none.
pub fn wavs_below(folder: &Path) -> Result<WavFiles, Error> {
    let remedy = "name a folder of WAV files".to_owned();
    let tree = walk(folder).map_err(|error| match error {
        Error::MissingRoot { root } => unreachable(&root, io::ErrorKind::NotFound.into()),
        Error::NotAFolder { root, .. } => Error::NotAFolder { root, remedy: remedy.clone() },
        Error::EmptyRoot { root } => {
            Error::NoWav { root, seen: "the folder is empty".into(), remedy: remedy.clone() }
        }
        other => other,
    })?;
    let others = tree.others_seen();
    if tree.wavs.is_empty() {
        return Err(Error::NoWav { root: folder.to_owned(), seen: others, remedy });
    }
    let paths = tree.wavs.iter().map(|wav| folder.join(wav)).collect();
    Ok(WavFiles { paths, problems: tree.problems, others })
}

fn unreachable(path: &Path, source: io::Error) -> Error {
    let why = match source.kind() {
        io::ErrorKind::NotFound => {
            io::Error::other("there is no such file or folder; paths start at the working folder")
        }
        _ => source,
    };
    Error::Io { action: "open", path: path.to_owned(), source: why }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn files_stay_in_their_order_and_those_of_a_folder_are_sorted() {
        let place = tempfile::tempdir().unwrap();
        let at = |name: &str| place.path().join(name);
        fs::create_dir_all(at("clips/deep")).unwrap();
        for name in
            ["clips/b.wav", "clips/a.WAV", "clips/deep/c.wav", "clips/.hidden.wav", "clips/d.flac", "z.wav"]
        {
            fs::write(at(name), "").unwrap();
        }
        let found = wav_files(&[at("z.wav"), at("clips"), at("clips/d.flac")]).unwrap();
        let expected =
            ["z.wav", "clips/a.WAV", "clips/b.wav", "clips/deep/c.wav", "clips/d.flac"].map(at).to_vec();
        assert_eq!(found.paths, expected);
    }

    #[test]
    fn what_is_not_there_is_named() {
        let place = tempfile::tempdir().unwrap();
        let refused = |name: &str| wav_files(&[place.path().join(name)]).unwrap_err().to_string();
        let none = refused("none");
        assert!(none.contains("none") && none.contains("no such file"), "{none}");
        fs::create_dir(place.path().join("empty")).unwrap();
        assert!(refused("empty").contains("the folder is empty"));
        fs::write(place.path().join("empty/a.mp3"), "").unwrap();
        assert!(refused("empty").contains("1 .mp3"));
    }
}
