//! Faults on purpose: what a disk, a full folder, a kill or another program does to this one, at a moment that can be named.
//!
//! `ASDBENCH_FAULTS` holds a plan, items separated by commas; the process counts its file operations ([`Operation`]) from 1:
//!
//! ```text
//! kill:42              leave by SIGKILL in the place of the 42nd operation
//! torn:9               the 9th write puts half of its bytes on the disk; then as kill
//! full:4096            the disk is full after so many written bytes
//! write:17=ENOSPC      the 17th write fails so; as well folder, create, fsync, rename, remove, read
//! lose:12              before the 12th operation the file that it is about goes
//! lose:12=PATH         before the 12th operation this file or folder goes
//! flip:12=PATH         before it, one bit of this file changes
//! cut:12=PATH          before it, this file loses its second half
//! log:PATH             operations are listed in this file: number, kind, number of its kind, bytes, file, what was done
//! ```
//!
//! The same plan meets the same operations wherever one thread writes, and those of a process that several threads write in
//! are few. Children have the plan too, and count for themselves.
//!
//! A plan does damage, so one that came along with an environment must do none: it is said on standard error, a process
//! refuses to start with it in a folder that does not hold a file named `.asdbench-faults`, and paths lie below that folder.
//! Without the variable an operation costs one look at a word of memory.

mod plan;

use std::fs::{self, File};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use plan::{Alteration, Fault, Plan};

/// The environment variable.
pub const VARIABLE: &str = "ASDBENCH_FAULTS";
/// The file that lets faults happen in the folder that it lies in.
pub const PERMISSION: &str = ".asdbench-faults";

/// Why a plan is not followed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It says nothing that is known.
    #[error("failed to understand `{item}` in {VARIABLE}: {why}; unset the variable to work undisturbed")]
    Plan {
        /// The part of the plan.
        item: String,
        /// What is wrong with it.
        why: String,
    },
    /// Nobody allowed it here.
    #[error(
        "{VARIABLE} is set, which damages work on purpose, and the working folder holds no file `{PERMISSION}`; \
         unset the variable"
    )]
    NotAllowed,
}

/// What is done to the file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// A folder is made.
    Folder,
    /// A file is made or opened to be written to.
    Create,
    /// Bytes are written.
    Write,
    /// Bytes, or a folder's names, must have reached the disk.
    Fsync,
    /// A file takes its name.
    Rename,
    /// A file goes.
    Remove,
    /// A file is read as a whole.
    Read,
}

impl Operation {
    const ALL: [Self; 7] =
        [Self::Folder, Self::Create, Self::Write, Self::Fsync, Self::Rename, Self::Remove, Self::Read];

    fn name(self) -> &'static str {
        match self {
            Self::Folder => "folder",
            Self::Create => "create",
            Self::Write => "write",
            Self::Fsync => "fsync",
            Self::Rename => "rename",
            Self::Remove => "remove",
            Self::Read => "read",
        }
    }
}

/// A plan that is followed, and how far.
#[derive(Debug)]
struct Course {
    plan: Plan,
    operations: AtomicU64,
    of_kind: [AtomicU64; Operation::ALL.len()],
    bytes: AtomicU64,
}

/// Which operation it is.
#[derive(Debug, Clone, Copy)]
struct Numbers {
    /// Among all.
    all: u64,
    /// Among those of its kind.
    of_kind: u64,
}

/// An operation that is about to be done.
#[derive(Debug)]
struct Act<'a> {
    operation: Operation,
    /// What a message calls the file.
    path: &'a Path,
    /// The file itself: another one as long as it is temporary.
    file: &'a Path,
    /// To be written.
    bytes: usize,
}

static COURSE: OnceLock<Course> = OnceLock::new();

/// Follow the plan of the environment, if there is one; a program calls it once, before any work.
///
/// # Errors
/// When the plan cannot be understood, or the working folder does not allow it.
pub fn prepare() -> Result<(), Error> {
    let Some(text) = std::env::var_os(VARIABLE).filter(|text| !text.is_empty()) else {
        return Ok(());
    };
    let Some(text) = text.to_str() else {
        let why = "it is not UTF-8".to_owned();
        return Err(Error::Plan { item: text.to_string_lossy().into_owned(), why });
    };
    let plan = Plan::parse(text).map_err(|(item, why)| Error::Plan { item, why })?;
    if !Path::new(PERMISSION).is_file() {
        return Err(Error::NotAllowed);
    }
    let _ = writeln!(
        io::stderr(),
        "warning: {VARIABLE} is set: this process damages its own work on purpose ({text})"
    );
    // Nobody else sets it: this runs once.
    let _ = COURSE.set(Course {
        plan,
        operations: AtomicU64::new(0),
        of_kind: std::array::from_fn(|_| AtomicU64::new(0)),
        bytes: AtomicU64::new(0),
    });
    Ok(())
}

/// To be called before an operation on `path`: the error that it shall fail with.
///
/// # Errors
/// As the plan says.
pub fn before(operation: Operation, path: &Path) -> io::Result<()> {
    match COURSE.get() {
        None => Ok(()),
        Some(course) => course.meet(&Act { operation, path, file: path, bytes: 0 }).1,
    }
}

/// As [`before`] a rename to `path`; the file that it is about is `from`, which may go under it.
///
/// # Errors
/// As the plan says.
pub fn before_rename(from: &Path, path: &Path) -> io::Result<()> {
    match COURSE.get() {
        None => Ok(()),
        Some(course) => course.meet(&Act { operation: Operation::Rename, path, file: from, bytes: 0 }).1,
    }
}

/// Write to a file that becomes `path`, as [`Write::write`].
///
/// # Errors
/// When the file cannot be written, and as the plan says.
pub fn write(file: &mut File, path: &Path, bytes: &[u8]) -> io::Result<usize> {
    let Some(course) = COURSE.get() else {
        return file.write(bytes);
    };
    let act = Act { operation: Operation::Write, path, file: path, bytes: bytes.len() };
    let (number, met) = course.meet(&act);
    met?;
    for fault in &course.plan.faults {
        match *fault {
            Fault::Torn { at } if at == number.of_kind => {
                let _ = file.write_all(&bytes[..bytes.len() / 2]);
                course.log(&act, number, "torn");
                die();
            }
            // As a disk does it: what fits is taken, and the next write is refused.
            Fault::Full { bytes: room } => {
                let before = course.bytes.load(Ordering::SeqCst);
                let fits = usize::try_from(room.saturating_sub(before)).unwrap_or(usize::MAX);
                if fits == 0 && !bytes.is_empty() {
                    course.log(&act, number, "full");
                    return Err(io::Error::from_raw_os_error(libc::ENOSPC));
                }
                let written = file.write(&bytes[..bytes.len().min(fits)])?;
                course.bytes.fetch_add(written as u64, Ordering::SeqCst);
                return Ok(written);
            }
            _ => {}
        }
    }
    file.write(bytes)
}

impl Course {
    /// Count an operation and do what the plan says of it: its numbers, and how it ends.
    fn meet(&self, act: &Act<'_>) -> (Numbers, io::Result<()>) {
        let operation = act.operation;
        let all = self.operations.fetch_add(1, Ordering::SeqCst) + 1;
        let of_kind = self.of_kind[operation as usize].fetch_add(1, Ordering::SeqCst) + 1;
        let number = Numbers { all, of_kind };
        let mut done = Ok(());
        let mut what = "";
        for fault in &self.plan.faults {
            match fault {
                Fault::Kill { at } if *at == all => {
                    self.log(act, number, "kill");
                    die();
                }
                Fault::Fail { operation: of, at, code } if *of == operation && *at == of_kind => {
                    done = Err(io::Error::from_raw_os_error(*code));
                    what = "fail";
                }
                Fault::Alter { at, how, path: named } if *at == all => {
                    // A file that is not there cannot be altered: the plan is met all the same.
                    let altered = alter(*how, named.as_deref().unwrap_or(act.file));
                    what = if altered.is_ok() { how.name() } else { "nothing to alter" };
                }
                _ => {}
            }
        }
        self.log(act, number, what);
        (number, done)
    }

    fn log(&self, act: &Act<'_>, number: Numbers, what: &str) {
        let Some(log) = &self.plan.log else { return };
        let Numbers { all, of_kind } = number;
        let (kind, bytes, path) = (act.operation.name(), act.bytes, act.path.display());
        let line = format!("{all}\t{kind}\t{of_kind}\t{bytes}\t{path}\t{what}\n");
        if let Ok(mut file) = File::options().append(true).create(true).open(log) {
            let _ = file.write_all(line.as_bytes());
        }
    }
}

/// As a crash would do it: no destructor runs, nothing is tidied up.
fn die() -> ! {
    // SAFETY: sends a signal to this process; none of its memory is touched.
    unsafe {
        libc::kill(libc::getpid(), libc::SIGKILL);
    }
    // The signal may reach another thread first.
    loop {
        std::thread::park();
    }
}

fn alter(how: Alteration, path: &Path) -> io::Result<()> {
    match how {
        Alteration::Lose if path.is_dir() => fs::remove_dir_all(path),
        Alteration::Lose => fs::remove_file(path),
        Alteration::Cut => {
            let file = File::options().write(true).open(path)?;
            file.set_len(file.metadata()?.len() / 2)
        }
        Alteration::Flip => {
            let mut file = File::options().read(true).write(true).open(path)?;
            let middle = SeekFrom::Start(file.metadata()?.len() / 2);
            let mut byte = [0];
            file.seek(middle)?;
            io::Read::read_exact(&mut file, &mut byte)?;
            file.seek(middle)?;
            file.write_all(&[byte[0] ^ 1])
        }
    }
}
