//! A worker process as its parent sees it.

use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::Sender;
use std::thread;

use super::message::{END_OF_TRIAL, Order, Report};

/// How a worker is started.
#[derive(Debug, Clone)]
pub struct WorkerCommand {
    /// The program's file.
    pub program: PathBuf,
    /// What it is called.
    pub name: OsString,
    /// Its arguments: those of a worker on one device, that works on the sweep's runs folder.
    pub arguments: Vec<OsString>,
    /// Threads that it computes with.
    pub threads: usize,
}

/// What a worker lets hear.
#[derive(Debug)]
pub(super) enum Heard {
    Report(Report),
    /// A line for people.
    Line(String),
    /// All that belongs to one trial was said.
    EndOfTrial,
    /// It answers no more.
    OutClosed,
    /// It says no more.
    ErrClosed,
}

/// A worker process; it ends with this value.
#[derive(Debug)]
pub(super) struct Hand {
    child: Child,
    orders: Option<ChildStdin>,
}

impl Hand {
    /// Start a worker; what it lets hear comes through `events`, with `id`.
    pub fn start(command: &WorkerCommand, id: usize, events: &Sender<(usize, Heard)>) -> io::Result<Self> {
        let mut process = Command::new(&command.program);
        process
            .args(&command.arguments)
            .env("RAYON_NUM_THREADS", command.threads.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        #[cfg(unix)]
        {
            use std::os::unix::process::CommandExt;
            // A terminal's Ctrl-C goes to its whole foreground group: the parent hears it and says what is to be done.
            process.process_group(0).arg0(&command.name);
        }
        let mut child = process.spawn()?;
        if let Some(out) = child.stdout.take() {
            let report = |line: String| match serde_json::from_str(&line) {
                Ok(report) => Heard::Report(report),
                // A library's own print.
                Err(_) => Heard::Line(line),
            };
            pass_on(out, id, events.clone(), report, Heard::OutClosed);
        }
        if let Some(err) = child.stderr.take() {
            let line = |line: String| match line == END_OF_TRIAL {
                true => Heard::EndOfTrial,
                false => Heard::Line(line),
            };
            pass_on(err, id, events.clone(), line, Heard::ErrClosed);
        }
        let orders = child.stdin.take();
        Ok(Self { child, orders })
    }

    /// Tell it something. Where it is gone, that is heard of it anyway.
    pub fn tell(&mut self, order: &Order) {
        if let (Some(orders), Ok(mut line)) = (&mut self.orders, serde_json::to_vec(order)) {
            line.push(b'\n');
            let _ = orders.write_all(&line).and_then(|()| orders.flush());
        }
    }

    /// How it ended, in words; waits for it.
    pub fn ended(mut self) -> String {
        self.orders = None;
        match self.child.wait() {
            Ok(status) => in_words(status),
            Err(error) => format!("cannot be waited for: {error}"),
        }
    }
}

impl Drop for Hand {
    fn drop(&mut self) {
        // A worker ends when nobody can tell it anything any more, whatever it does.
        self.orders = None;
        let _ = self.child.wait();
    }
}

fn pass_on(
    from: impl Read + Send + 'static,
    id: usize,
    events: Sender<(usize, Heard)>,
    heard: impl Fn(String) -> Heard + Send + 'static,
    closed: Heard,
) {
    thread::spawn(move || {
        let mut from = BufReader::new(from);
        let mut line = Vec::new();
        while from.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
            let text = String::from_utf8_lossy(&line).trim_end_matches(['\n', '\r']).to_owned();
            line.clear();
            if events.send((id, heard(text))).is_err() {
                return;
            }
        }
        let _ = events.send((id, closed));
    });
}

fn in_words(status: ExitStatus) -> String {
    #[cfg(unix)]
    {
        use std::os::unix::process::ExitStatusExt;
        if let Some(signal) = status.signal() {
            // The system's way to get memory back, and a program's end where it gets none.
            let hint = match signal {
                libc::SIGKILL | libc::SIGABRT => {
                    "; was there enough memory? a larger train.accumulate or a smaller train.batch_size needs less"
                }
                _ => "",
            };
            return format!("was killed by signal {signal}{hint}");
        }
    }
    match status.code() {
        Some(code) => format!("ended with exit code {code}"),
        None => format!("ended: {status}"),
    }
}
