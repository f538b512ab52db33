//! Which recordings a machine's clips are mixed with: those of the other machine types, or a folder of any others.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::walk::{Problem, walk};
use super::{Clip, ClipIndex, Error, InterferenceClips, SoundClips, Split};

/// Of a folder's recordings, every so manieth is held out.
const HELD_OUT_EVERY: usize = 5;

impl ClipIndex {
    /// The clips of a machine that a training may mix others with: the normal ones of its train split, as in
    /// [`ClipIndex::training`]. Empty where there are none.
    pub fn interference(&self, machine: &str) -> InterferenceClips {
        InterferenceClips(self.sounds(machine, Split::Train))
    }

    /// The clips of a machine that no training hears, without labels. Empty where there are none.
    pub fn held_out_sounds(&self, machine: &str) -> SoundClips {
        self.sounds(machine, Split::Test)
    }

    fn sounds(&self, machine: &str, split: Split) -> SoundClips {
        let wanted = self.clips().iter().filter(|entry| {
            entry.clip.machine == machine
                && entry.split == split
                && (split != Split::Train || entry.anomalous == Some(false))
        });
        SoundClips {
            root: self.root().to_owned(),
            of: format!("machine `{machine}`"),
            clips: wanted.map(|entry| entry.clip.clone()).collect(),
        }
    }
}

/// The recordings of a folder that has nothing to do with the data set.
#[derive(Clone, Debug)]
pub struct InterferenceFolder {
    /// Those to learn with, sorted by path.
    pub train: InterferenceClips,
    /// Those to be judged with, every fifth; `None` where there are fewer than five, which then serve for both.
    pub held_out: Option<SoundClips>,
    /// What could not be looked at.
    pub problems: Vec<Problem>,
}

impl InterferenceFolder {
    /// The WAV files below `folder`, at any depth.
    ///
    /// # Errors
    /// [`Error::Interference`] where the folder is missing or has no WAV file.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        let wrong = |why: String| Error::Interference { folder: folder.to_owned(), why };
        let remedy = "name a folder of WAV files";
        let tree = walk(folder).map_err(|error| match error {
            Error::MissingRoot { .. } => wrong(format!(
                "the folder does not exist; {remedy} (relative paths start at the working folder)"
            )),
            Error::NotAFolder { .. } => wrong(format!("this is not a folder; {remedy}")),
            Error::EmptyRoot { .. } => wrong(format!("the folder is empty; {remedy}")),
            other => other,
        })?;
        if tree.wavs.is_empty() {
            return Err(wrong(format!(
                "no .wav file lies below the folder ({}); {remedy}",
                tree.others_seen()
            )));
        }
        let some = |chosen: &dyn Fn(usize) -> bool| SoundClips {
            root: folder.to_owned(),
            of: "data.interference".to_owned(),
            clips: tree
                .wavs
                .iter()
                .enumerate()
                .filter(|(n, _)| chosen(*n))
                .map(|(_, path)| clip(path))
                .collect(),
        };
        let held_out = |n: usize| n % HELD_OUT_EVERY == HELD_OUT_EVERY - 1;
        let enough = tree.wavs.len() >= HELD_OUT_EVERY;
        Ok(Self {
            train: InterferenceClips(some(&|n| !(enough && held_out(n)))),
            held_out: enough.then(|| some(&held_out)),
            problems: tree.problems,
        })
    }

    /// Whether none of these recordings is a clip of `machine`, of whatever split, so that it is never mixed with itself
    /// and no test clip is heard in a training. A link is the file that it leads to.
    ///
    /// # Errors
    /// [`Error::Interference`] where one is.
    pub fn check_apart(&self, index: &ClipIndex, machine: &str) -> Result<(), Error> {
        let own: HashSet<PathBuf> = index
            .clips()
            .iter()
            .filter(|entry| entry.clip.machine == machine)
            .filter_map(|entry| index.root().join(&entry.clip.path).canonicalize().ok())
            .collect();
        let sets = std::iter::once(self.train.sounds()).chain(&self.held_out);
        let recordings = sets.flat_map(|set| set.clips.iter().map(|clip| set.root.join(&clip.path)));
        let is_own = |path: &PathBuf| path.canonicalize().is_ok_and(|path| own.contains(&path));
        let Some(first) = recordings.filter(is_own).min() else {
            return Ok(());
        };
        let why = format!(
            "the folder has the clips of machine `{machine}` itself, {} for one; name a folder of other recordings, or \
             leave the setting out to mix with the other machine types",
            first.display()
        );
        Err(Error::Interference { folder: self.train.sounds().root.clone(), why })
    }
}

/// Nothing is known of such a recording but where it lies.
fn clip(path: &str) -> Clip {
    Clip {
        path: path.into(),
        machine: String::new(),
        section: String::new(),
        domain: None,
        attributes: Vec::new(),
    }
}
