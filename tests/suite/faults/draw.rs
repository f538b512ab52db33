//! One fault from a seed.

use std::fmt;
use std::path::{Path, PathBuf};

use asdbench::rng::stream;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::way::{Base, Stage, Step};

/// What happens.
#[derive(Debug, Clone)]
pub enum Fault {
    /// A plan for the process itself: it is killed, or an operation fails.
    Plan(String),
    /// A file or folder goes while the process works.
    Lost { plan: String, what: PathBuf },
    /// A clip changes while the process works.
    Clip { how: &'static str, at: u64, clip: PathBuf },
    /// A bit of a file that is there changes before the process starts.
    Bit { at: &'static str, file: PathBuf, place: f64, bit: u32 },
    /// The process is killed, and then a bit of its checkpoint changes.
    Checkpoint { kill: u64, place: f64, bit: u32 },
    /// Another process does the same at the same time.
    Twice,
}

/// A fault and the stage that it meets.
#[derive(Debug, Clone)]
pub struct Drawn {
    pub seed: u64,
    pub kind: &'static str,
    pub stage: Stage,
    pub fault: Fault,
}

impl fmt::Display for Drawn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seed {}: {} in {:?}: ", self.seed, self.kind, self.stage)?;
        match &self.fault {
            Fault::Plan(plan) | Fault::Lost { plan, .. } => f.write_str(plan),
            Fault::Clip { how, at, clip } => write!(f, "{how}:{at}={}", clip.display()),
            Fault::Bit { file, place, bit, .. } => write!(f, "{} at {place:.4}, bit {bit}", file.display()),
            Fault::Checkpoint { kill, place, bit } => write!(f, "kill:{kill}, then at {place:.4}, bit {bit}"),
            Fault::Twice => f.write_str("two processes"),
        }
    }
}

/// Each as often as it stands here, whatever the seeds are.
pub const KINDS: [&str; 16] = [
    "kill",
    "failure",
    "bit",
    "torn",
    "full",
    "clip",
    "kill",
    "bit",
    "failure",
    "lost",
    "checkpoint",
    "bit",
    "failure",
    "twice",
    "kill",
    "full",
];

/// Stages by weight: those that write most come most often, slow ones seldom.
const STAGES: [Stage; 12] = [
    Stage::Autoencoder,
    Stage::Classifier,
    Stage::Judge,
    Stage::Synth,
    Stage::Autoencoder,
    Stage::Judge,
    Stage::Classifier,
    Stage::Report,
    Stage::Judge,
    Stage::Autoencoder,
    Stage::Classifier,
    Stage::Sweep,
];

/// The fault of a seed.
pub fn draw(base: &Base, seed: u64) -> Drawn {
    let mut rng = stream(seed, "faults", 0);
    let kind = KINDS[(seed % KINDS.len() as u64) as usize];
    let mut stage = STAGES[rng.random_range(0..STAGES.len())];
    let fault = match kind {
        "kill" => Fault::Plan(format!("kill:{}", any(&mut rng, base.steps(stage)).number)),
        "failure" => failure(&mut rng, base.steps(stage)),
        "torn" => {
            let writes: Vec<Step> = of_kind(base.steps(stage), "write");
            Fault::Plan(format!("torn:{}", any(&mut rng, &writes).of_kind))
        }
        "full" => {
            let all: u64 = base.steps(stage).iter().map(|step| step.bytes).sum();
            Fault::Plan(format!("full:{}", rng.random_range(0..all)))
        }
        "lost" => lost(&mut rng, base, stage),
        "clip" => {
            let stages = [Stage::Autoencoder, Stage::Classifier, Stage::Judge];
            stage = stages[rng.random_range(0..stages.len())];
            let below = if stage == Stage::Judge { "data/fan" } else { "data/fan/train" };
            let clips = base.files("data", below);
            let clips: Vec<PathBuf> =
                clips.into_iter().filter(|path| path.extension().is_some_and(|e| e == "wav")).collect();
            let clip = clips[rng.random_range(0..clips.len())].clone();
            let at = any(&mut rng, base.steps(stage)).number;
            Fault::Clip { how: ["flip", "cut"][rng.random_range(0..2)], at, clip }
        }
        "bit" => {
            // A run that is trained, or judged, and then judged, or shown.
            let (at, next) = [
                ("autoencoder", Stage::Classifier),
                ("trained", Stage::Judge),
                ("judged", Stage::Judge),
                ("judged", Stage::Report),
            ][rng.random_range(0..4)];
            stage = next;
            let mut files = base.files(at, "runs");
            files.retain(|file| file.file_name().is_some_and(|name| name != "lock"));
            let file = files[rng.random_range(0..files.len())].clone();
            Fault::Bit { at, file, place: rng.random(), bit: rng.random_range(0..8) }
        }
        "checkpoint" => {
            stage = [Stage::Autoencoder, Stage::Classifier][rng.random_range(0..2)];
            let steps = base.steps(stage);
            let is_save = |step: &Step| step.kind == "rename" && step.path.ends_with("state.zip");
            let first = steps.iter().position(is_save).expect("a checkpoint");
            let gone = |step: &Step| step.kind == "remove" && step.path.ends_with("state.zip");
            // A run that begins clears away what is there already.
            let last = first + steps[first..].iter().position(gone).expect("the end of the checkpoint");
            let kill = any(&mut rng, &steps[first + 1..last]).number;
            Fault::Checkpoint { kill, place: rng.random(), bit: rng.random_range(0..8) }
        }
        _ => {
            // Two that make clips at once have nothing to agree on.
            if stage == Stage::Synth {
                stage = Stage::Sweep;
            }
            Fault::Twice
        }
    };
    Drawn { seed, kind, stage, fault }
}

fn failure(rng: &mut ChaCha8Rng, steps: &[Step]) -> Fault {
    // By kind first: most operations are writes.
    let kinds = ["folder", "create", "write", "fsync", "rename", "remove", "read"];
    let kinds: Vec<&str> =
        kinds.into_iter().filter(|kind| steps.iter().any(|step| step.kind == *kind)).collect();
    let kind = kinds[rng.random_range(0..kinds.len())];
    let codes: &[&str] = match kind {
        "write" => &["ENOSPC", "EIO", "EDQUOT"],
        "fsync" => &["EIO", "ENOSPC"],
        "create" => &["EMFILE", "EACCES", "EROFS", "ENOSPC"],
        "folder" => &["EACCES", "ENOSPC"],
        "read" => &["EIO", "ESTALE"],
        _ => &["EIO", "EACCES"],
    };
    let code = codes[rng.random_range(0..codes.len())];
    let at = any(rng, &of_kind(steps, kind)).of_kind;
    Fault::Plan(format!("{kind}:{at}={code}"))
}

fn lost(rng: &mut ChaCha8Rng, base: &Base, stage: Stage) -> Fault {
    let step = any(rng, base.steps(stage));
    let there = base.files(stage.between().0, ".");
    let mut there: Vec<PathBuf> =
        there.iter().map(|path| path.strip_prefix(".").unwrap_or(path).to_owned()).collect();
    let reads_clips = matches!(stage, Stage::Autoencoder | Stage::Classifier | Stage::Judge);
    there.retain(|path| path.starts_with("runs") || reads_clips && path.starts_with("data/fan"));
    if there.is_empty() || rng.random_range(0..3) == 0 {
        return Fault::Lost { plan: format!("lose:{}", step.number), what: PathBuf::from(&step.path) };
    }
    let file = there[rng.random_range(0..there.len())].clone();
    if file.starts_with("data") {
        return Fault::Clip { how: "lose", at: step.number, clip: file };
    }
    // A whole run's folder goes as well as a file in it.
    let whole = !file.starts_with("runs/.cache") && rng.random_range(0..4) == 0;
    let what = if whole { file.parent().unwrap_or(Path::new("runs")).to_owned() } else { file };
    Fault::Lost { plan: format!("lose:{}={}", step.number, what.display()), what }
}

fn any<'a>(rng: &mut ChaCha8Rng, steps: &'a [Step]) -> &'a Step {
    &steps[rng.random_range(0..steps.len())]
}

fn of_kind(steps: &[Step], kind: &str) -> Vec<Step> {
    steps.iter().filter(|step| step.kind == kind).cloned().collect()
}
