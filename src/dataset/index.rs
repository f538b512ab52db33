//! The index of a data set: which clips there are, by names alone.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use super::attributes::AttributeTables;
use super::layout::{self, Misfit, Parsed};
use super::truth::GroundTruth;
use super::walk::{Problem, ProblemKind, Tree, walk};
use super::{Clip, Error, EvaluationClips, LabelledClip, Split, TrainingClips};
use crate::config::{DataConfig, Layout};

/// One clip with everything that the data set says of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexedClip {
    /// The clip.
    pub clip: Clip,
    /// The part of the data set it belongs to.
    pub split: Split,
    /// `None` where neither name nor ground truth says it.
    pub anomalous: Option<bool>,
}

/// All clips below a root, sorted by path. Training code gets no index, but [`TrainingClips`].
#[derive(Clone, Debug)]
pub struct ClipIndex {
    root: PathBuf,
    layout: Layout,
    machines: Vec<String>,
    pub(super) clips: Vec<IndexedClip>,
    problems: Vec<Problem>,
    other_files: BTreeMap<String, usize>,
    /// (machine, first, second) of clips that share a name.
    same_names: Vec<(String, PathBuf, PathBuf)>,
}

/// Indexes the data set of `config`: its root, its layout (or the one that most names fit) and its choice of
/// machines. Opens no clip (but for a few headers, where the years 2023 to 2026 must be told apart) and reads the
/// tables of attributes and ground truth that lie below the root.
///
/// Fails where the root is missing, a file, empty or without `.wav` files, where no name fits the layout, and
/// where a chosen machine is not there. Single files that do not fit are [`ClipIndex::problems`].
pub fn index(config: &DataConfig) -> Result<ClipIndex, Error> {
    let root = config.root.clone().ok_or(Error::NoRoot)?;
    let tree = walk(&root)?;
    if tree.wavs.is_empty() {
        return Err(no_wav(root, &tree));
    }
    let canonical = root.canonicalize().map_err(|source| Error::Io {
        action: "open data folder",
        path: root.clone(),
        source,
    })?;
    let layout = match config.layout {
        Layout::Auto => layout::detect(&canonical, &tree.wavs).ok_or_else(|| Error::UnknownLayout {
            root: root.clone(),
            wavs: tree.wavs.len(),
            example: tree.wavs[0].clone(),
            known: layout::known(),
        })?,
        asked => asked,
    };
    let answers = layout::read(layout, &canonical, &tree.wavs);
    if answers.iter().all(Result::is_err) {
        return Err(mismatch(root, &canonical, layout, &tree));
    }

    let mut problems = tree.problems;
    let attributes = AttributeTables::read(&canonical, &tree.attributes, &mut problems);
    let truth = GroundTruth::read(&canonical, &tree.truths, &mut problems);
    let mut clips = Vec::with_capacity(tree.wavs.len());
    for (path, answer) in tree.wavs.iter().zip(answers) {
        match answer {
            Ok(parsed) => clips.push(complete(path, parsed, &attributes, &truth)),
            Err(misfit) => problems.push(misfit_problem(path, misfit, layout)),
        }
    }
    let mut index = ClipIndex {
        root,
        layout,
        machines: Vec::new(),
        clips,
        problems,
        other_files: tree.others,
        same_names: Vec::new(),
    };
    index.choose_machines(&config.machines)?;
    index.find_contradictions();
    Ok(index)
}

impl ClipIndex {
    /// The data set's root, as the config gave it.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The layout that the names were read as; never `Auto`.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// The machine types, sorted; only the chosen ones where the config chooses.
    pub fn machines(&self) -> &[String] {
        &self.machines
    }

    /// All clips of the chosen machines, sorted by path. For audits and tables; training takes
    /// [`ClipIndex::training`].
    pub fn clips(&self) -> &[IndexedClip] {
        &self.clips
    }

    /// What the names alone show to be wrong. [`audit`](super::audit) adds what the clips' content shows.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// Number of files that are neither clips nor tables, by lower-case extension.
    pub fn other_files(&self) -> &BTreeMap<String, usize> {
        &self.other_files
    }

    /// The normal train clips of `machine`.
    ///
    /// Fails where there are none, or where two clips share a name.
    pub fn training(&self, machine: &str) -> Result<TrainingClips, Error> {
        let of_machine = self.of_machine(machine)?;
        let clips: Vec<Clip> = of_machine
            .iter()
            .filter(|entry| entry.split == Split::Train && entry.anomalous == Some(false))
            .map(|entry| entry.clip.clone())
            .collect();
        if clips.is_empty() {
            let remedy = match self.layout {
                Layout::Mimii => {
                    "MIMII's train split is what its test split leaves of the normal clips: add some"
                }
                _ => "add the `train` folder of the data set",
            };
            return Err(Error::NoTraining {
                machine: machine.to_owned(),
                root: self.root.clone(),
                seen: self.seen(&of_machine),
                remedy: remedy.to_owned(),
            });
        }
        Ok(TrainingClips { root: self.root.clone(), machine: machine.to_owned(), clips })
    }

    /// The test clips of `machine` with their labels.
    ///
    /// Fails where there are none, or where two clips share a name.
    pub fn evaluation(&self, machine: &str) -> Result<EvaluationClips, Error> {
        let of_machine = self.of_machine(machine)?;
        let clips: Vec<LabelledClip> = of_machine
            .iter()
            .filter(|entry| entry.split == Split::Test)
            .map(|entry| LabelledClip { clip: entry.clip.clone(), anomalous: entry.anomalous })
            .collect();
        if clips.is_empty() {
            let remedy = match self.layout {
                Layout::Dcase2021 => "add the `source_test` and `target_test` folders of the data set",
                Layout::Mimii => "add the `abnormal` folders of the data set",
                _ => "add the `test` folder of the data set",
            };
            return Err(Error::NoTest {
                machine: machine.to_owned(),
                root: self.root.clone(),
                seen: self.seen(&of_machine),
                remedy: remedy.to_owned(),
            });
        }
        Ok(EvaluationClips { root: self.root.clone(), machine: machine.to_owned(), clips })
    }

    /// The supplemental clips of `machine` (DCASE 2025 and later), sorted by path; empty where there are none.
    pub fn supplemental(&self, machine: &str) -> Result<Vec<Clip>, Error> {
        let of_machine = self.of_machine(machine)?;
        let supplemental = of_machine.into_iter().filter(|entry| entry.split == Split::Supplemental);
        Ok(supplemental.map(|entry| entry.clip.clone()).collect())
    }

    fn of_machine(&self, machine: &str) -> Result<Vec<&IndexedClip>, Error> {
        if !self.machines.iter().any(|known| known == machine) {
            return Err(unknown_machine(machine, &self.root, &self.machines));
        }
        if let Some((_, first, second)) = self.same_names.iter().find(|(of, ..)| of == machine) {
            return Err(Error::SameName {
                machine: machine.to_owned(),
                root: self.root.clone(),
                first: first.clone(),
                second: second.clone(),
            });
        }
        Ok(self.clips.iter().filter(|entry| entry.clip.machine == machine).collect())
    }

    /// What a machine has instead, for an error: `12 test clips, 3 files that fit no layout`.
    fn seen(&self, of_machine: &[&IndexedClip]) -> String {
        let count = |split| of_machine.iter().filter(|entry| entry.split == split).count();
        let kinds = [ProblemKind::UnmatchedName, ProblemKind::Contradiction];
        let misfits = self.problems.iter().filter(|problem| kinds.contains(&problem.kind)).count();
        let mut seen: Vec<String> = [Split::Train, Split::Test, Split::Supplemental]
            .into_iter()
            .filter(|split| count(*split) > 0)
            .map(|split| format!("{} {} clips", count(split), split.token()))
            .collect();
        if misfits > 0 {
            seen.push(format!("{misfits} files that do not fit layout {}", layout::name(self.layout)));
        }
        format!("it has {}", seen.join(", "))
    }

    fn choose_machines(&mut self, chosen: &[String]) -> Result<(), Error> {
        let mut machines: Vec<String> = self.clips.iter().map(|entry| entry.clip.machine.clone()).collect();
        machines.sort_unstable();
        machines.dedup();
        if let Some(unknown) = chosen.iter().find(|machine| !machines.contains(machine)) {
            return Err(unknown_machine(unknown, &self.root, &machines));
        }
        if !chosen.is_empty() {
            machines.retain(|machine| chosen.contains(machine));
            self.clips.retain(|entry| chosen.contains(&entry.clip.machine));
        }
        self.machines = machines;
        Ok(())
    }

    fn find_contradictions(&mut self) {
        for entry in
            self.clips.iter().filter(|entry| entry.split == Split::Train && entry.anomalous == Some(true))
        {
            self.problems.push(Problem {
                path: Some(entry.clip.path.clone()),
                machine: Some(entry.clip.machine.clone()),
                kind: ProblemKind::AnomalousTraining,
                message: "is anomalous but lies in the train split; it is kept out of training".to_owned(),
            });
        }
        // MIMII counts from 00000000.wav in every folder; elsewhere a name is a clip's identity within
        // its split.
        if self.layout == Layout::Mimii {
            return;
        }
        let mut seen: HashMap<(&str, Split, &str), &Path> = HashMap::with_capacity(self.clips.len());
        for IndexedClip { clip, split, .. } in &self.clips {
            let Some(first) = seen.insert((&clip.machine, *split, clip.file_name()), &clip.path) else {
                continue;
            };
            self.same_names.push((clip.machine.clone(), first.to_owned(), clip.path.clone()));
            self.problems.push(Problem {
                path: Some(clip.path.clone()),
                machine: Some(clip.machine.clone()),
                kind: ProblemKind::SameName,
                message: format!("has the same name as {}; keep one of them below the root", first.display()),
            });
        }
    }
}

fn complete(
    path: &str,
    mut parsed: Parsed,
    attributes: &AttributeTables,
    truth: &GroundTruth,
) -> IndexedClip {
    let file = path.rsplit('/').next().unwrap_or_default();
    if parsed.split == Split::Test {
        truth.apply(file, &mut parsed);
    }
    attributes.apply(&parsed.machine, file, &mut parsed.attributes);
    IndexedClip {
        split: parsed.split,
        anomalous: parsed.anomalous,
        clip: Clip {
            path: PathBuf::from(path),
            machine: parsed.machine,
            section: parsed.section,
            domain: parsed.domain,
            attributes: parsed.attributes,
        },
    }
}

fn misfit_problem(path: &str, misfit: Misfit, layout: Layout) -> Problem {
    let (kind, message) = match misfit {
        Misfit::Unmatched(why) => {
            (ProblemKind::UnmatchedName, format!("{why}; layout {} leaves it out", layout::name(layout)))
        }
        Misfit::Contradiction(why) => (ProblemKind::Contradiction, format!("{why}; it is left out")),
    };
    Problem { path: Some(PathBuf::from(path)), machine: None, kind, message }
}

fn no_wav(root: PathBuf, tree: &Tree) -> Error {
    let remedy = if tree.others.contains_key("zip") {
        "unpack the archives"
    } else if tree.others.contains_key("flac") || tree.others.contains_key("mp3") {
        "convert the clips to WAV"
    } else {
        "point `data.root` at the folder that holds one folder per machine type"
    };
    Error::NoWav { root, seen: tree.others_seen(), remedy: remedy.to_owned() }
}

fn mismatch(root: PathBuf, canonical: &Path, asked: Layout, tree: &Tree) -> Error {
    let fitting = layout::fitting(canonical, &tree.wavs);
    let fits = if fitting.is_empty() {
        format!("known layouts: {}", layout::known())
    } else {
        format!(
            "they fit {}: set `data.layout` to it, or to \"auto\"; known layouts: {}",
            fitting.join(" or "),
            layout::known()
        )
    };
    let (wavs, example) = (tree.wavs.len(), tree.wavs[0].clone());
    Error::LayoutMismatch { root, wavs, asked: layout::name(asked).to_owned(), example, fits }
}

fn unknown_machine(machine: &str, root: &Path, known: &[String]) -> Error {
    Error::UnknownMachine {
        machine: machine.to_owned(),
        root: root.to_owned(),
        nearest: nearest(machine, known.iter().map(String::as_str)),
        known: known.join(", "),
    }
}

/// `did you mean `fan`? ` where a known name is near enough to `name`, else nothing.
pub(super) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    let alike = |candidate: &str| strsim::jaro_winkler(&name.to_lowercase(), &candidate.to_lowercase());
    known
        .map(|candidate| (alike(candidate), candidate))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .filter(|(likeness, _)| *likeness > 0.7)
        .map_or_else(String::new, |(_, candidate)| format!("did you mean `{candidate}`? "))
}
