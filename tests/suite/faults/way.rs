//! The way that is disturbed: its stages, and what each leaves when nothing disturbs it.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Child;

use tempfile::TempDir;

use super::same::{Results, results, walk};
use crate::program::{Bench, shipped};

/// A file that is there lets faults happen.
const PERMISSION: &str = ".asdbench-faults";
/// Where a disturbed process lists its operations.
const LOG: &str = "ops.txt";

/// One command of the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    Synth,
    Autoencoder,
    Classifier,
    Judge,
    Report,
    Sweep,
}

impl Stage {
    pub const ALL: [Self; 6] =
        [Self::Synth, Self::Autoencoder, Self::Classifier, Self::Judge, Self::Report, Self::Sweep];

    /// The folders of what is there before it and after it.
    pub fn between(self) -> (&'static str, &'static str) {
        match self {
            Self::Synth => ("nothing", "data"),
            Self::Autoencoder => ("data", "autoencoder"),
            Self::Classifier => ("autoencoder", "trained"),
            Self::Judge => ("trained", "judged"),
            Self::Report => ("judged", "reported"),
            Self::Sweep => ("data", "swept"),
        }
    }

    /// The stages that lead to it, itself last.
    pub fn way(self) -> Vec<Self> {
        match self {
            Self::Synth => vec![self],
            Self::Sweep => vec![Self::Synth, self],
            _ => Self::ALL.into_iter().filter(|stage| *stage <= self).collect(),
        }
    }

    fn arguments(self) -> Vec<String> {
        let train = |config: &str, sets: &[&str]| {
            let config = shipped(config).to_str().expect("a path in UTF-8").to_owned();
            let sets = ["data.root=data", "train.checkpoint_every_s=0.0"].iter().chain(sets);
            let sets = sets.flat_map(|set| ["--set".to_owned(), (*set).to_owned()]);
            ["train".to_owned(), config, "--device".to_owned(), "cpu".to_owned()]
                .into_iter()
                .chain(sets)
                .collect()
        };
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let mut arguments: Vec<String> = match self {
            Self::Synth => {
                words("synth data --machines fan --duration-s 1 --train-per-section 4 --test-per-section 4")
            }
            Self::Autoencoder => train("micro/ae.toml", &["train.epochs=3", "task.autoencoder.hidden=8"]),
            Self::Classifier => train(
                "micro/ce.toml",
                &["train.epochs=2", "task.classification.width=4", "task.classification.frames=32"],
            ),
            Self::Judge => words("eval runs --device cpu"),
            Self::Report => words("report runs -o report"),
            Self::Sweep => words("sweep tiny.toml --device cpu --no-progress"),
        };
        arguments.push("-q".to_owned());
        arguments
    }
}

/// An operation of a disturbed process.
#[derive(Debug, Clone)]
pub struct Step {
    /// Among all of its process, from 1.
    pub number: u64,
    /// Such as `write`.
    pub kind: String,
    /// Among those of its kind, from 1.
    pub of_kind: u64,
    /// To be written.
    pub bytes: u64,
    /// Its file, as a message calls it.
    pub path: String,
    /// What happened to it; empty where nothing did.
    pub what: String,
}

/// How a command ended.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub signal: Option<i32>,
    pub err: String,
}

/// A working folder in which a fault happens.
pub struct Scene {
    bench: Bench,
}

impl Scene {
    fn copy_of(folder: &Path) -> Self {
        let bench = Bench::empty();
        copy(folder, &bench.path(""));
        Self { bench }
    }

    pub fn path(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.bench.path("").join(relative)
    }

    pub fn start(&self, stage: Stage, plan: Option<&str>) -> Child {
        let arguments = stage.arguments();
        self.spawn(&arguments.iter().map(String::as_str).collect::<Vec<_>>(), plan)
    }

    fn spawn(&self, arguments: &[&str], plan: Option<&str>) -> Child {
        let mut command = self.bench.command(arguments);
        command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::piped());
        match plan {
            Some(plan) => command.env("ASDBENCH_FAULTS", format!("{plan},log:{LOG}")),
            None => command.env_remove("ASDBENCH_FAULTS"),
        };
        command.spawn().expect("the program starts")
    }

    pub fn run(&self, stage: Stage, plan: Option<&str>) -> Ended {
        end(self.start(stage, plan))
    }

    /// Re-check all runs; none where the program cannot.
    pub fn verify(&self) -> Ended {
        end(self.spawn(&["verify", "runs", "-q"], None))
    }

    /// What the disturbed process did, as far as it came.
    pub fn steps(&self) -> Vec<Step> {
        fs::read_to_string(self.path(LOG)).unwrap_or_default().lines().filter_map(step).collect()
    }

    /// All that a reader would take for a result.
    pub fn results(&self) -> Results {
        results(&self.path(""))
    }
}

pub fn end(child: Child) -> Ended {
    let output = child.wait_with_output().expect("the program ends");
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    Ended { code: output.status.code(), signal: output.status.signal(), err }
}

fn step(line: &str) -> Option<Step> {
    let mut fields = line.split('\t');
    let mut next = || fields.next().map(str::to_owned);
    Some(Step {
        number: next()?.parse().ok()?,
        kind: next()?,
        of_kind: next()?.parse().ok()?,
        bytes: next()?.parse().ok()?,
        path: next()?,
        what: next()?,
    })
}

/// What every stage does and leaves undisturbed.
pub struct Base {
    folder: TempDir,
    steps: BTreeMap<Stage, Vec<Step>>,
    results: BTreeMap<&'static str, Results>,
    pub verifies: bool,
}

impl Base {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut base = Self { folder, steps: BTreeMap::new(), results: BTreeMap::new(), verifies: false };
        let nothing = base.folder.path().join("nothing");
        fs::create_dir(&nothing).expect("a folder");
        fs::write(nothing.join(PERMISSION), "").expect("a file");
        fs::write(nothing.join("tiny.toml"), study()).expect("a file");
        for stage in Stage::ALL {
            let (before, after) = stage.between();
            let scene = base.scene(before);
            let ended = scene.run(stage, Some("full:1000000000000"));
            assert_eq!(ended.code, Some(0), "{stage:?}: {}", ended.err);
            base.steps.insert(stage, scene.steps());
            fs::remove_file(scene.path(LOG)).expect("operations were listed");
            base.results.insert(after, scene.results());
            copy(&scene.path(""), &base.folder.path().join(after));
        }
        let verified = base.scene("judged").verify();
        // Usage: there is no such command.
        base.verifies = verified.code != Some(2);
        assert!(!base.verifies || verified.code == Some(0), "{}", verified.err);
        base
    }

    /// A folder as it is between two stages.
    pub fn scene(&self, at: &str) -> Scene {
        Scene::copy_of(&self.folder.path().join(at))
    }

    /// A file as it should be.
    pub fn file(&self, at: &str, relative: &Path) -> PathBuf {
        self.folder.path().join(at).join(relative)
    }

    /// Files below one of the folders of a scene, relative to the scene.
    pub fn files(&self, at: &str, below: &str) -> Vec<PathBuf> {
        let root = self.folder.path().join(at);
        let all = walk(&root.join(below));
        all.iter().map(|path| path.strip_prefix(&root).expect("a path below").to_owned()).collect()
    }

    pub fn steps(&self, stage: Stage) -> &[Step] {
        &self.steps[&stage]
    }

    pub fn results(&self, at: &str) -> &Results {
        &self.results[at]
    }
}

/// Both families at once.
fn study() -> String {
    let config = |name: &str| format!("{:?}", shipped(name).to_str().expect("a path in UTF-8"));
    format!(
        "[study]\nname = \"tiny\"\nseeds = [0]\n\n\
         [common]\ndata.root = \"data\"\ntrain.checkpoint_every_s = 0.0\n\n\
         [[family]]\nconfig = {}\n[family.override]\ntrain.epochs = 2\n\
         [family.grid]\n\"task.autoencoder.hidden\" = [8]\n\n\
         [[family]]\nconfig = {}\n[family.override]\ntask.classification.frames = 32\n\
         task.classification.width = 4\ntrain.epochs = 1\n\
         [family.grid]\n\"task.classification.backbone\" = [\"resnet18\"]\n",
        config("micro/ae.toml"),
        config("micro/ce.toml")
    )
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder").flatten() {
        let target = to.join(entry.file_name());
        match entry.path().is_dir() {
            true => copy(&entry.path(), &target),
            false => drop(fs::copy(entry.path(), target).expect("a copy")),
        }
    }
}
