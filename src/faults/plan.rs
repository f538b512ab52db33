//! A plan of faults, from its text.

use std::path::{Component, Path, PathBuf};

use super::Operation;

/// What happens to a file from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Alteration {
    /// It goes.
    Lose,
    /// One bit of it changes.
    Flip,
    /// Its second half goes.
    Cut,
}

impl Alteration {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Lose => "lose",
            Self::Flip => "flip",
            Self::Cut => "cut",
        }
    }
}

/// One thing that happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    /// The process is killed at this operation.
    Kill {
        /// Of all operations, from 1.
        at: u64,
    },
    /// The process is killed half-way in this write.
    Torn {
        /// Of the writes, from 1.
        at: u64,
    },
    /// The disk is full.
    Full {
        /// After so many bytes.
        bytes: u64,
    },
    /// An operation fails.
    Fail {
        /// Its kind.
        operation: Operation,
        /// Of its kind, from 1.
        at: u64,
        /// The system's number of the error.
        code: i32,
    },
    /// A file changes.
    Alter {
        /// Before this one of all operations, from 1.
        at: u64,
        /// How.
        how: Alteration,
        /// Which; the operation's own where none is named.
        path: Option<PathBuf>,
    },
}

/// What is to happen, and where it is listed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) faults: Vec<Fault>,
    pub(super) log: Option<PathBuf>,
}

impl Plan {
    /// The plan that a text stands for, or the item that cannot be understood and why.
    pub(super) fn parse(text: &str) -> Result<Self, (String, String)> {
        let mut plan = Self::default();
        for item in text.split(',').map(str::trim) {
            let wrong = |why: String| (item.to_owned(), why);
            let (word, rest) = item.split_once(':').ok_or_else(|| wrong("it has no colon".into()))?;
            if word == "log" {
                plan.log = Some(below(rest).map_err(wrong)?);
                continue;
            }
            plan.faults.push(fault(word, rest).map_err(wrong)?);
        }
        Ok(plan)
    }
}

fn fault(word: &str, rest: &str) -> Result<Fault, String> {
    let (number, of) = match rest.split_once('=') {
        Some((number, of)) => (number, Some(of)),
        None => (rest, None),
    };
    let number: u64 = number.parse().map_err(|_| format!("`{number}` is no whole number"))?;
    let alone = |fault| match of {
        None => Ok(fault),
        Some(of) => Err(format!("`={of}` says nothing here")),
    };
    let counted = |at: u64| if at > 0 { Ok(at) } else { Err("operations are counted from 1".to_owned()) };
    let alter = |how| {
        let path = of.map(below).transpose()?;
        Ok(Fault::Alter { at: counted(number)?, how, path })
    };
    match word {
        "kill" => alone(Fault::Kill { at: counted(number)? }),
        "torn" => alone(Fault::Torn { at: counted(number)? }),
        "full" => alone(Fault::Full { bytes: number }),
        "lose" => alter(Alteration::Lose),
        "flip" | "cut" if of.is_none() => Err("it names no file".into()),
        "flip" => alter(Alteration::Flip),
        "cut" => alter(Alteration::Cut),
        _ => {
            let operation = Operation::ALL.into_iter().find(|operation| operation.name() == word);
            let operation = operation.ok_or_else(|| format!("`{word}` is no fault"))?;
            let name = of.ok_or("it names no error, such as EIO")?;
            let code = code(name).ok_or_else(|| format!("`{name}` is no known error"))?;
            Ok(Fault::Fail { operation, at: counted(number)?, code })
        }
    }
}

/// Errors that disks, quotas and other programs give.
fn code(name: &str) -> Option<i32> {
    Some(match name {
        "EIO" => libc::EIO,
        "ENOSPC" => libc::ENOSPC,
        "EDQUOT" => libc::EDQUOT,
        "EACCES" => libc::EACCES,
        "EROFS" => libc::EROFS,
        "EMFILE" => libc::EMFILE,
        "ESTALE" => libc::ESTALE,
        _ => return None,
    })
}

/// A path below the working folder, whatever it says.
fn below(text: &str) -> Result<PathBuf, String> {
    let path = Path::new(text);
    let stays = !text.is_empty() && path.components().all(|part| matches!(part, Component::Normal(_)));
    if stays { Ok(path.to_owned()) } else { Err(format!("`{text}` is no path below the working folder")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_fault_can_be_written() {
        let plan = Plan::parse("kill:42, torn:9,full:0,rename:3=EIO,lose:2,flip:7=data/a.wav,log:ops.txt");
        let alter = |at, how, path: Option<&str>| Fault::Alter { at, how, path: path.map(PathBuf::from) };
        let faults = vec![
            Fault::Kill { at: 42 },
            Fault::Torn { at: 9 },
            Fault::Full { bytes: 0 },
            Fault::Fail { operation: Operation::Rename, at: 3, code: libc::EIO },
            alter(2, Alteration::Lose, None),
            alter(7, Alteration::Flip, Some("data/a.wav")),
        ];
        assert_eq!(plan, Ok(Plan { faults, log: Some("ops.txt".into()) }));
        for operation in Operation::ALL {
            let fault = Plan::parse(&format!("{}:1=ENOSPC", operation.name())).unwrap().faults.remove(0);
            assert_eq!(fault, Fault::Fail { operation, at: 1, code: libc::ENOSPC });
        }
    }

    #[test]
    fn what_is_no_plan_is_refused_by_name() {
        for (text, item, why) in [
            ("kill", "kill", "colon"),
            ("kill:2,kill:x", "kill:x", "whole number"),
            ("kill:0", "kill:0", "from 1"),
            ("kill:1=EIO", "kill:1=EIO", "says nothing"),
            ("write:1", "write:1", "EIO"),
            ("write:1=EWHAT", "write:1=EWHAT", "EWHAT"),
            ("burn:1=EIO", "burn:1=EIO", "no fault"),
            ("flip:1", "flip:1", "names no file"),
            ("lose:1=../a", "lose:1=../a", "below the working folder"),
            ("cut:1=/etc/a", "cut:1=/etc/a", "below the working folder"),
            ("log:", "log:", "below the working folder"),
        ] {
            let (found, said) = Plan::parse(text).unwrap_err();
            assert!(found == item && said.contains(why), "{text}: {found}: {said}");
        }
    }
}
