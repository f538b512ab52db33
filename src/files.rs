//! The one place that writes a file: it appears whole or not at all.
//!
//! Bytes go to a temporary file in the target's own folder (a rename is only
//! atomic within one file system), are flushed to the disk, and then take the
//! target's name. A crash at any instant leaves the old file or the new one.
//!
//! Two more ways to change a file are here, for what cannot be whole or not: lines at the end of one ([`Appended`]) and
//! files that only carry a lock ([`open_lock`]). All of them can be made to fail on purpose, see [`crate::faults`].

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::faults::{self, Operation};

/// How temporary files' names begin.
const TEMPORARY: &str = ".writing-";
/// Nothing takes this long between two writes to one file: what is older was left by a killed process.
const ABANDONED: Duration = Duration::from_secs(3600);

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

    /// What the system said.
    pub fn into_source(self) -> io::Error {
        self.source
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
            "; free some space or choose another folder, then run the same command again"
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

/// A file that is being filled, before or after it has the name that it is known by.
#[derive(Debug)]
pub struct Sink {
    file: File,
    path: PathBuf,
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        faults::write(&mut self.file, &self.path, bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Seek for Sink {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
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
    fill: impl FnOnce(&mut Sink) -> io::Result<()>,
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
    fill: impl FnOnce(&mut Sink) -> io::Result<()>,
    check: impl FnOnce(&Path) -> Result<T, E>,
) -> Result<T, E> {
    let fail = |source| Error::new("write", path, source);
    let folder = folder_of(path);
    tidy(folder);
    // The temporary file removes itself when it is dropped before `persist`.
    let mut builder = tempfile::Builder::new();
    builder.prefix(TEMPORARY);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // What an ordinary new file gets, less the umask; `tempfile` alone makes it private.
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    faults::before(Operation::Create, path).map_err(fail)?;
    let temporary = builder.tempfile_in(folder).map_err(|e| fail(unwrap_path(e)))?;
    let (file, temporary) = temporary.into_parts();
    let mut sink = Sink { file, path: path.to_owned() };
    fill(&mut sink).map_err(fail)?;
    if durability == Durability::Flushed {
        faults::before(Operation::Fsync, path).and_then(|()| sink.file.sync_all()).map_err(fail)?;
    }
    let checked = check(&temporary)?;
    faults::before_rename(&temporary, path).map_err(fail)?;
    temporary.persist(path).map_err(|e| fail(e.error))?;
    if durability == Durability::Flushed {
        flush_folder(folder).map_err(fail)?;
    }
    Ok(checked)
}

/// Flush the names in a folder. Some network file systems refuse it, and the file itself is safe; a disk that fails is heard.
fn flush_folder(folder: &Path) -> io::Result<()> {
    faults::before(Operation::Fsync, folder)?;
    match File::open(folder).and_then(|folder| folder.sync_all()) {
        Err(error) if error.raw_os_error() == Some(libc::EIO) => Err(error),
        _ => Ok(()),
    }
}

/// Folders that this process has written to.
static TIDIED: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

/// Before the first file that this process writes in a folder: away with what killed ones left there.
fn tidy(folder: &Path) {
    let mut tidied = TIDIED.lock().unwrap_or_else(PoisonError::into_inner);
    let new = !tidied.contains(folder) && tidied.insert(folder.to_owned());
    drop(tidied);
    if new {
        sweep(folder, ABANDONED);
    }
}

/// A file that grows at its end. What a crash, or a write that failed, leaves of its last line is for the reader to see.
#[derive(Debug)]
pub struct Appended(Sink);

impl Appended {
    /// A file that is there.
    ///
    /// # Errors
    /// When it is not, or cannot be written.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let opened = faults::before(Operation::Create, path)
            .and_then(|()| File::options().append(true).open(path))
            .map_err(|e| Error::new("write", path, e))?;
        Ok(Self(Sink { file: opened, path: path.to_owned() }))
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// Add bytes to its end.
    ///
    /// # Errors
    /// When they cannot be written; some of them may have been.
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.0.write_all(bytes).map_err(|e| Error::new("write", &self.0.path, e))
    }

    /// Return when all of it has reached the disk.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn sync(&self) -> Result<(), Error> {
        let Sink { file, path } = &self.0;
        faults::before(Operation::Fsync, path)
            .and_then(|()| file.sync_data())
            .map_err(|e| Error::new("write", path, e))
    }
}

/// A file to be locked, made where it is not there; what it holds stays.
///
/// # Errors
/// When it can be neither made nor opened.
pub fn open_lock(path: &Path) -> Result<File, Error> {
    faults::before(Operation::Create, path)
        .and_then(|()| File::options().read(true).write(true).create(true).truncate(false).open(path))
        .map_err(|e| Error::new("write", path, e))
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
    faults::before(Operation::Folder, path)
        .and_then(|()| fs::create_dir_all(path))
        .map_err(|e| Error::new("make the folder", path, e))
}

/// Whether a file of this name is one that is being written, or that a killed process left half-written.
pub fn is_temporary(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(TEMPORARY.as_bytes())
}

/// Remove what killed processes left half-written in a folder: temporary files that nobody wrote to for `age`.
///
/// What cannot be removed stays; it does no harm but take room.
pub fn sweep(folder: &Path, age: Duration) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let old = || entry.metadata().ok()?.modified().ok()?.elapsed().ok().map(|since| since >= age);
        if is_temporary(&entry.file_name()) && old() == Some(true) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// The whole content of a text file that this program writes.
///
/// # Errors
/// When it cannot be read, is no regular file or not UTF-8.
pub fn read_text(path: &Path) -> Result<String, Error> {
    faults::before(Operation::Read, path)
        .and_then(|()| regular(path))
        .and_then(|()| fs::read_to_string(path))
        .map_err(|e| Error::new("read", path, e))
}

/// The whole content of a file that this program writes. What somebody put in its place, a pipe or a device, is not waited for.
///
/// # Errors
/// When it cannot be read or is no regular file.
pub fn read_own(path: &Path) -> Result<Vec<u8>, Error> {
    check_own(path)?;
    read(path)
}

/// Whether a file that this program writes is there, and its reading comes to an end.
///
/// # Errors
/// When it cannot be looked at or is no regular file.
pub fn check_own(path: &Path) -> Result<(), Error> {
    regular(path).map_err(|e| Error::new("read", path, e))
}

fn regular(path: &Path) -> io::Result<()> {
    match fs::metadata(path)?.is_file() {
        true => Ok(()),
        false => Err(io::Error::other("it is not a regular file")),
    }
}

/// The whole content of a file that a user names, which may be a pipe.
///
/// # Errors
/// When it cannot be read.
pub fn read(path: &Path) -> Result<Vec<u8>, Error> {
    faults::before(Operation::Read, path)
        .and_then(|()| fs::read(path))
        .map_err(|e| Error::new("read", path, e))
}

/// Remove a file that may be missing.
///
/// # Errors
/// When it is there and cannot be removed.
pub fn remove(path: &Path) -> Result<(), Error> {
    match faults::before(Operation::Remove, path).and_then(|()| fs::remove_file(path)) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(Error::new("remove", path, e)),
        _ => Ok(()),
    }
}

/// Remove a folder if it is empty; one that is not there or holds something is left as it is.
pub fn remove_empty_folder(path: &Path) {
    if faults::before(Operation::Remove, path).is_ok() {
        let _ = fs::remove_dir(path);
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
        // Not all that is written goes below a runs folder.
        assert!(!message.contains("--runs"), "{message}");
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

    #[test]
    fn the_first_write_to_a_folder_tidies_it_of_what_is_old() {
        let folder = tempfile::tempdir().unwrap();
        for name in [".writing-old", ".writing-new"] {
            fs::write(folder.path().join(name), "x").unwrap();
        }
        let old = std::time::SystemTime::now() - 2 * ABANDONED;
        File::options()
            .append(true)
            .open(folder.path().join(".writing-old"))
            .unwrap()
            .set_modified(old)
            .unwrap();
        write(&folder.path().join("a"), b"x", Durability::Cached).unwrap();
        let mut names: Vec<_> =
            fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, [".writing-new", "a"]);
    }

    #[test]
    fn what_is_appended_and_what_carries_a_lock_keep_what_they_hold() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jsonl");
        assert!(Appended::open(&path).unwrap_err().to_string().contains("a.jsonl"));
        write(&path, b"one\n", Durability::Cached).unwrap();
        for _ in 0..2 {
            let mut file = Appended::open(&path).unwrap();
            file.append(b"two\n").unwrap();
            file.sync().unwrap();
        }
        drop(open_lock(&path).unwrap());
        assert_eq!(read_text(&path).unwrap(), "one\ntwo\ntwo\n");
        remove_empty_folder(folder.path());
        assert!(path.exists());
    }

    #[cfg(unix)]
    #[test]
    fn what_is_no_regular_file_is_no_file_of_this_program() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("eval.json");
        assert!(read_own(&path).unwrap_err().is_missing() && check_own(&path).unwrap_err().is_missing());
        // Waits for a writer for ever; has no end.
        let name = std::ffi::CString::new(path.to_str().unwrap()).unwrap();
        // SAFETY: the name is a string that ends in zero and lives through the call.
        assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
        let endless = folder.path().join("scores.csv");
        std::os::unix::fs::symlink("/dev/zero", &endless).unwrap();
        for path in [&path, &endless, &folder.path().to_owned()] {
            let refusals = [read_own(path).unwrap_err(), read_text(path).unwrap_err()];
            for why in refusals.map(|error| error.to_string()) {
                assert!(why.contains(path.to_str().unwrap()) && why.contains("not a regular file"), "{why}");
            }
        }
        // Another name for a file is one.
        write(&folder.path().join("a"), b"x", Durability::Cached).unwrap();
        std::os::unix::fs::symlink("a", folder.path().join("b")).unwrap();
        assert_eq!(read_own(&folder.path().join("b")).unwrap(), b"x");
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
