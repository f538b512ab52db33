//! Runs the program as a user does.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

/// A working folder with synthetic machines in `data`, made once per test that needs it.
pub struct Bench {
    folder: TempDir,
}

/// What a command printed and how it ended.
pub struct Answer {
    pub out: String,
    pub err: String,
    pub code: Option<i32>,
}

impl Answer {
    fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8 output");
        Self { out: text(output.stdout), err: text(output.stderr), code: output.status.code() }
    }

    /// Standard output as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}: {}\n{}", self.out, self.err))
    }

    /// Fails the test unless the command ended with `code` and its error names all of `words`.
    pub fn refused(&self, code: i32, words: &[&str]) {
        assert_eq!(self.code, Some(code), "{}\n{}", self.out, self.err);
        for word in words {
            assert!(self.err.contains(word), "`{word}` is not in:\n{}", self.err);
        }
        assert!(!self.err.contains("panicked"), "{}", self.err);
    }

    /// Fails the test unless the command ended well.
    pub fn fine(self) -> Self {
        assert_eq!(self.code, Some(0), "{}\n{}", self.out, self.err);
        self
    }
}

impl Bench {
    /// An empty working folder.
    pub fn empty() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder") }
    }

    /// With one small machine, `fan`: 3 sections of 6 train and 8 test clips of 0.6 s.
    pub fn with_fan() -> Self {
        let bench = Self::empty();
        bench.synth("data", "fan");
        bench
    }

    /// Synthetic machines in a folder of the working folder.
    pub fn synth(&self, folder: &str, machines: &str) {
        let sizes = ["--duration-s", "0.6", "--train-per-section", "6", "--test-per-section", "8"];
        self.run(&[&["synth", folder, "--machines", machines, "-q"], &sizes[..]].concat()).fine();
    }

    pub fn path(&self, relative: &str) -> PathBuf {
        self.folder.path().join(relative)
    }

    /// A command, not yet started.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_asdbench"));
        command.current_dir(self.folder.path()).args(arguments).env("NO_COLOR", "1");
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Answer {
        Answer::of(self.command(arguments).output().expect("the program starts"))
    }

    /// `asdbench train` of the toy autoencoder with more options; JSON on standard output.
    pub fn train(&self, options: &[&str]) -> Answer {
        let config = shipped("micro/ae.toml");
        let base = ["train", config.to_str().unwrap(), "--set", "data.root=data", "--device", "cpu"];
        self.run(&[&base[..], &["--format", "json"], options].concat())
    }

    /// `asdbench eval` of a folder of runs; JSON on standard output.
    pub fn eval(&self, options: &[&str]) -> Answer {
        self.run(&[&["eval", "--device", "cpu", "--format", "json"], options].concat())
    }
}

/// A shipped configuration.
pub fn shipped(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("configs").join(name)
}

/// The only WAV-free way to have a bad clip: replace one of the data set's files.
pub fn first_clip(folder: &Path) -> PathBuf {
    let mut clips: Vec<PathBuf> =
        std::fs::read_dir(folder).expect("a folder of clips").map(|entry| entry.unwrap().path()).collect();
    clips.sort();
    clips.swap_remove(0)
}
