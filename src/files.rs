//! The one place that writes a file: it appears whole or not at all.
//!
//! Bytes go to a temporary file in the target's own folder (a rename is only
//! atomic within one file system), are flushed to the disk, and then take the
//! target's name. A crash at any instant leaves the old file or the new one.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How temporary files' names begin.
const TEMPORARY: &str = ".writing-";

/// Why a file or a folder could not be written or read.
#[derive(Debug, thiserror::Error)]
#[error("failed to {action} {}: {}{}", path.display(), source, remedy(source))]
pub struct Error {
    action: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl Error {
    /// `action` is a lowercase verb that fits "failed to {action} {path}".
    pub fn new(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self { action, path: path.to_owned(), source }
    }

    /// Whether the file was not there at all.
    pub fn is_missing(&self) -> bool {
        self.source.kind() == io::ErrorKind::NotFound
    }
}

/// What to do about the commonest causes.
fn remedy(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "; free some space or choose another folder with --runs, then run the same command again"
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "; choose a folder that you may write to"
        }
        io::ErrorKind::NotADirectory => "; a part of this path is a file: choose another folder",
        _ => "",
    }
}

/// Whether the bytes must have reached the disk before the call returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Results and checkpoints: flushed, so that a power cut cannot lose them.
    Flushed,
    /// What can be made again at no loss, such as synthetic clips.
    Cached,
}

/// Write `bytes` as the whole content of `path`.
///
/// # Errors
/// When the folder cannot be written or the disk is full; nothing is left behind.
pub fn write(path: &Path, bytes: &[u8], durability: Durability) -> Result<(), Error> {
    write_with(path, durability, |file| file.write_all(bytes))
}

/// Write `path` through `fill`, which gets the temporary file.
///
/// # Errors
/// As [`write`], and whatever `fill` returns.
pub fn write_with(
    path: &Path,
    durability: Durability,
    fill: impl FnOnce(&mut File) -> io::Result<()>,
) -> Result<(), Error> {
    write_checked(path, durability, fill, |_| Ok(()))
}

/// As [`write_with`], and before the file takes the target's name `check` sees the temporary one's: what it refuses never
/// takes the place of what is there.
///
/// # Errors
/// As [`write_with`], and whatever `check` returns.
pub fn write_checked<T, E: From<Error>>(
    path: &Path,
    durability: Durability,
    fill: impl FnOnce(&mut File) -> io::Result<()>,
    check: impl FnOnce(&Path) -> Result<T, E>,
) -> Result<T, E> {
    let fail = |source| Error::new("write", path, source);
    let folder = folder_of(path);
    // The temporary file removes itself when it is dropped before `persist`.
    let mut builder = tempfile::Builder::new();
    builder.prefix(TEMPORARY);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // What an ordinary new file gets, less the umask; `tempfile` alone makes it private.
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    let mut temporary = builder.tempfile_in(folder).map_err(|e| fail(unwrap_path(e)))?;
    fill(temporary.as_file_mut()).map_err(fail)?;
    if durability == Durability::Flushed {
        temporary.as_file().sync_all().map_err(fail)?;
    }
    let checked = check(temporary.path())?;
    temporary.persist(path).map_err(|e| fail(e.error))?;
    if durability == Durability::Flushed
        && let Ok(folder) = File::open(folder)
    {
        // Some network file systems refuse to flush a folder; the file itself is safe.
        let _ = folder.sync_all();
    }
    Ok(checked)
}

/// A file without a name on the disk that `path` will lie on; gone when it is closed, by a crash too.
///
/// # Errors
/// When the folder cannot be written.
pub fn nameless(path: &Path) -> Result<File, Error> {
    tempfile::tempfile_in(folder_of(path)).map_err(|e| Error::new("write", path, unwrap_path(e)))
}

/// The folder that a file lies in.
pub fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// `tempfile` adds its own random path to the message; the user knows the target's.
fn unwrap_path(error: io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(code) => io::Error::from_raw_os_error(code),
        None => error.kind().into(),
    }
}

/// Make a folder and those above it.
///
/// # Errors
/// When one of them cannot be made.
pub fn make_folder(path: &Path) -> Result<(), Error> {
    fs::create_dir_all(path).map_err(|e| Error::new("make the folder", path, e))
}

/// Remove what killed processes left half-written in a folder: temporary files that nobody wrote to for `age`.
///
/// What cannot be removed stays; it does no harm but take room.
pub fn sweep(folder: &Path, age: Duration) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let old = || entry.metadata().ok()?.modified().ok()?.elapsed().ok().map(|since| since >= age);
        if entry.file_name().to_string_lossy().starts_with(TEMPORARY) && old() == Some(true) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// The whole content of a text file.
///
/// # Errors
/// When it cannot be read or is not UTF-8.
pub fn read_text(path: &Path) -> Result<String, Error> {
    fs::read_to_string(path).map_err(|e| Error::new("read", path, e))
}

/// The whole content of a file.
///
/// # Errors
/// When it cannot be read.
pub fn read(path: &Path) -> Result<Vec<u8>, Error> {
    fs::read(path).map_err(|e| Error::new("read", path, e))
}

/// Remove a file that may be missing.
///
/// # Errors
/// When it is there and cannot be removed.
pub fn remove(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(Error::new("remove", path, e)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_keeps_the_old_content_and_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        write(&path, b"old", Durability::Flushed).unwrap();
        let failed = write_with(&path, Durability::Flushed, |file| {
            file.write_all(b"half of the new")?;
            Err(io::ErrorKind::StorageFull.into())
        });
        let message = failed.unwrap_err().to_string();
        assert!(message.contains("a.json") && message.contains("free some space"), "{message}");
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_a_check_refuses_takes_no_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        write(&path, b"old", Durability::Flushed).unwrap();
        let seen = |check: &dyn Fn(&Path) -> Result<Vec<u8>, Error>| {
            write_checked(&path, Durability::Flushed, |file| file.write_all(b"new"), check)
        };
        let refuse = |found: &Path| Err(Error::new("check", found, io::ErrorKind::InvalidData.into()));
        assert!(seen(&refuse).is_err());
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(seen(&|found| read(found)).unwrap(), b"new");
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_nameless_file_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = nameless(&folder.path().join("a.npz")).unwrap();
        file.write_all(b"x").unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        let message = nameless(&folder.path().join("none/a.npz")).unwrap_err().to_string();
        assert!(message.contains("a.npz"), "{message}");
    }

    #[test]
    fn a_missing_folder_is_named_by_the_target() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("none").join("a.json");
        let message = write(&path, b"x", Durability::Cached).unwrap_err().to_string();
        assert!(message.contains("a.json") && !message.contains(".writing-"), "{message}");
    }

    #[test]
    fn leftovers_are_swept_and_the_living_spared() {
        let folder = tempfile::tempdir().unwrap();
        for name in [".writing-abc", "a.json"] {
            fs::write(folder.path().join(name), "x").unwrap();
        }
        sweep(folder.path(), Duration::from_secs(3600));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
        sweep(folder.path(), Duration::ZERO);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        assert!(folder.path().join("a.json").exists());
    }

    #[cfg(unix)]
    #[test]
    fn others_may_read_what_was_written() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        write(&path, b"x", Durability::Cached).unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o400, 0o400);
    }
}
