//! Who works on a trial. Processes of a sweep on one shared folder ask here before they begin, so that none does what another
//! does already; a run's own lock is held while it is trained only, this one until it is judged.
//!
//! A claim is a locked file. The system gives up the lock with the process, however that ends; the file stays.

use std::fs::{File, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use crate::files;

/// Held while a process works on a trial.
#[derive(Debug)]
pub(super) struct Claim {
    _file: File,
}

/// What came of asking.
#[derive(Debug)]
pub(super) enum Claimed {
    /// It is this process's.
    Ours(Claim),
    /// It is another's, who is named.
    Theirs(String),
}

/// Where the locks of a runs folder's sweeps lie.
pub(super) fn folder(runs: &Path) -> PathBuf {
    runs.join(".studies").join(".claims")
}

/// The file of a claim; `trial` is the run's folder below the runs folder.
pub(super) fn path(runs: &Path, trial: &Path) -> PathBuf {
    let mut name = trial.as_os_str().to_owned();
    name.push(".lock");
    folder(runs).join(name)
}

/// Take a trial, or learn who has it.
///
/// # Errors
/// When the file cannot be made or locked.
pub(super) fn take(path: &Path) -> Result<Claimed, files::Error> {
    files::make_folder(files::folder_of(path))?;
    let mut file = files::open_lock(path)?;
    match file.try_lock() {
        Ok(()) => {
            // Who it is helps people only.
            let _ = file.set_len(0).and_then(|()| file.write_all(whoami().as_bytes()));
            Ok(Claimed::Ours(Claim { _file: file }))
        }
        Err(TryLockError::WouldBlock) => {
            let mut by = String::new();
            let named = file.read_to_string(&mut by).is_ok_and(|length| length > 0);
            Ok(Claimed::Theirs(if named { by } else { "another process".into() }))
        }
        Err(TryLockError::Error(e)) => Err(files::Error::new("lock", path, e)),
    }
}

fn whoami() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = if host.trim().is_empty() { "this machine" } else { host.trim() };
    format!("process {} on {host}", std::process::id())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trial_is_one_process_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = path(folder.path(), Path::new("ae/h8/fan/seed-0"));
        assert!(path.starts_with(folder.path().join(".studies")), "{}", path.display());
        let Claimed::Ours(claim) = take(&path).unwrap() else { panic!("nobody else has it") };
        let Claimed::Theirs(by) = take(&path).unwrap() else { panic!("it is taken") };
        assert!(by.starts_with(&format!("process {} on ", std::process::id())), "{by}");
        let other = super::path(folder.path(), Path::new("ae/h8/fan/seed-1"));
        assert!(matches!(take(&other).unwrap(), Claimed::Ours(_)));
        drop(claim);
        assert!(matches!(take(&path).unwrap(), Claimed::Ours(_)));
    }
}
