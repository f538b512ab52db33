//! A sweep as a job array for the scheduler Slurm: one task a shard, each of which may be stopped and go on.
//!
//! Before a task's time is up, Slurm sends the script USR1. The script hands it on as the TERM on which a sweep writes its
//! checkpoints and ends, and has Slurm queue the task again. A task that somebody cancels gets TERM, as do all of its
//! processes, and stays away.

use std::fmt::Write;
use std::path::{Path, PathBuf};

/// Seconds before the end of its time at which a task is told. Slurm may be a minute early.
const NOTICE_S: u32 = 300;
/// What a sweep exits with that was interrupted and can go on.
const INTERRUPTED: u8 = 130;

/// What a job array is to run, and what each of its tasks needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlurmRequest {
    /// The study's name, which the job is called by.
    pub name: String,
    /// This program's file.
    pub program: PathBuf,
    /// The working folder, to which paths in configurations are relative.
    pub folder: PathBuf,
    /// The study's file.
    pub study: PathBuf,
    /// What is given to `asdbench sweep` beside the study and the shard, such as `--set data.root=DIR`.
    pub arguments: Vec<String>,
    /// Number of tasks; each does one shard.
    pub tasks: usize,
    /// Folder of what the tasks print.
    pub logs: PathBuf,
    /// What each task needs.
    pub resources: Resources,
}

/// What one task of the array needs; the cluster's own defaults where nothing is given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resources {
    /// The queue.
    pub partition: Option<String>,
    /// The longest time of one task, as Slurm writes it: minutes, `HH:MM:SS` or `D-HH`.
    pub time: Option<String>,
    /// Number of GPUs.
    pub gpus: Option<u32>,
    /// Number of CPU cores.
    pub cpus: Option<u32>,
    /// Memory, as Slurm writes it: `32G`.
    pub mem: Option<String>,
    /// Anything else that `sbatch` takes, such as `--account=lab`.
    pub options: Vec<String>,
}

/// Why there can be no script.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SlurmError {
    /// Slurm reads a script's options line by line and by words.
    #[error("{what} {value:?} cannot stand in a Slurm script; leave out {because}")]
    Unwritable {
        /// What it is.
        what: &'static str,
        /// As it was given.
        value: String,
        /// What is in it.
        because: &'static str,
    },
    /// No task.
    #[error("a job array needs one task or more")]
    NoTask,
}

/// The script of a job array, for `sbatch`.
///
/// Nothing about it depends on the machine that writes it: the same request gives the same bytes.
///
/// # Errors
/// When there is no task, or a value cannot be written as Slurm reads options.
pub fn script(request: &SlurmRequest) -> Result<String, SlurmError> {
    if request.tasks == 0 {
        return Err(SlurmError::NoTask);
    }
    let mut text = String::from("#!/bin/bash\n");
    text += "# Written by `asdbench sweep --slurm`; submit it with `sbatch`. The tasks share the runs folder and no more.\n";
    text += "# A task goes on where it was stopped, so it may be killed, queued again or submitted twice.\n";
    for option in options(request)? {
        let _ = writeln!(text, "#SBATCH {option}");
    }
    let sweep = [request.program.as_path(), Path::new("sweep"), &request.study].map(quoted_path);
    let arguments = request.arguments.iter().map(|argument| quoted(argument));
    let (tasks, folder) = (request.tasks, quoted_path(&request.folder));
    let command: Vec<String> = sweep
        .into_iter()
        .chain([format!("--shard \"$SLURM_ARRAY_TASK_ID/{tasks}\""), "--no-progress".to_owned()])
        .chain(arguments)
        .collect();
    let _ = write!(
        text,
        "
cd -- {folder} || exit
woken=0 time_up=0
# The time is nearly up, which Slurm tells this script alone.
trap 'woken=1 time_up=1; [ -z \"$!\" ] || kill -TERM \"$!\" 2>/dev/null' USR1
# Cancelled: Slurm tells the sweep too, and a second word would cut its checkpoints short.
trap 'woken=1' TERM
{} &
# A signal ends the waiting before the sweep, which writes its checkpoints first.
while woken=0; wait \"$!\"; code=$?; [ \"$woken\" = 1 ]; do :; done
if [ \"$time_up\" = 1 ] && [ \"$code\" = {INTERRUPTED} ]; then
    echo \"the time is up: queued again, to go on from the checkpoint\" >&2
    scontrol requeue \"$SLURM_JOB_ID\" && exit 0
fi
exit \"$code\"
",
        command.join(" ")
    );
    Ok(text)
}

fn options(request: &SlurmRequest) -> Result<Vec<String>, SlurmError> {
    let needs = &request.resources;
    let mut options = vec![
        format!("--job-name={}", word("the study's name", &format!("asdbench-{}", request.name))?),
        format!("--array=1-{}", request.tasks),
        // %A is the array's number and %a the task's; a task that is queued again writes on.
        format!("--output={}", pattern(&request.logs, "slurm-%A_%a.log")?),
        "--open-mode=append".to_owned(),
        "--requeue".to_owned(),
        format!("--signal=B:USR1@{NOTICE_S}"),
    ];
    for (what, name, value) in [
        ("the partition", "--partition", &needs.partition),
        ("the time", "--time", &needs.time),
        ("the memory", "--mem", &needs.mem),
    ] {
        if let Some(value) = value {
            options.push(format!("{name}={}", word(what, value)?));
        }
    }
    options.extend(needs.gpus.map(|gpus| format!("--gpus-per-task={gpus}")));
    options.push("--ntasks=1".to_owned());
    options.extend(needs.cpus.map(|cpus| format!("--cpus-per-task={cpus}")));
    for option in &needs.options {
        options.push(word("the option", option)?);
    }
    Ok(options)
}

// A value that needs no quotes, so that no version of Slurm reads it in another way.
fn word(what: &'static str, value: &str) -> Result<String, SlurmError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.,:=+@%/[]*&|!()".contains(c);
    match !value.is_empty() && value.chars().all(plain) {
        true => Ok(value.to_owned()),
        false => {
            let because = "spaces, quotes and other signs that shells give a meaning";
            Err(SlurmError::Unwritable { what, value: value.to_owned(), because })
        }
    }
}

// A file's name in which Slurm fills in numbers: its own signs are doubled or quoted.
fn pattern(folder: &Path, name: &str) -> Result<String, SlurmError> {
    let folder = folder.to_string_lossy();
    let because = "line breaks, backslashes and double quotes";
    if folder.chars().any(|c| c.is_control() || c == '"' || c == '\\') {
        let what = "the folder of the logs";
        return Err(SlurmError::Unwritable { what, value: folder.into_owned(), because });
    }
    Ok(format!("\"{}/{name}\"", folder.replace('%', "%%")))
}

// The first word of a command line with a `=` in it would be an assignment.
fn quoted_path(path: &Path) -> String {
    let text = path.to_string_lossy();
    if text.contains('=') && !text.contains('\'') { format!("'{text}'") } else { quoted(&text) }
}

/// A word of a shell's command line: as it is where it has no sign that means something, in single quotes otherwise.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:+,@%".contains(c);
    match !text.is_empty() && text.chars().all(plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests;
