//! Which recordings a machine's clips are mixed with in an experiment, opened.
//!
//! Without `data.interference` these are the clips of all other machine types of the data set, whatever `data.machines`
//! selects: a run's result must not depend on which other runs were asked for.

use std::path::Path;
use std::sync::Arc;

use super::data::report;
use super::{Error, Recordings};
use crate::config::{DataConfig, Experiment};
use crate::dataset::{self, ClipIndex, InterferenceClips, InterferenceFolder, SoundClips};
use crate::task::{self, Interference, Sounds, Source, Waves, joint_fingerprint};

/// Recordings to mix with, not yet opened.
struct Chosen {
    what: String,
    /// One per machine type, or one of a folder.
    train: Vec<InterferenceClips>,
    /// Where there are others to be judged with.
    held_out: Option<Vec<SoundClips>>,
    /// Said where the training recordings serve for both.
    otherwise: &'static str,
}

impl Recordings<'_> {
    /// What a training mixes the clips of a machine with; `None` in a family that mixes nothing.
    ///
    /// # Errors
    /// When there is nothing to mix with, or it cannot be read.
    pub fn training_interference(
        &self,
        machine: &str,
        experiment: &Experiment,
    ) -> Result<Option<Interference>, Error> {
        if !experiment.task.needs_interference() {
            return Ok(None);
        }
        self.open_training(&self.choose(machine)?, experiment).map(Some)
    }

    /// As [`Recordings::training_interference`], with recordings that no network was trained with.
    ///
    /// # Errors
    /// As there.
    pub fn evaluation_interference(
        &self,
        machine: &str,
        experiment: &Experiment,
    ) -> Result<Option<Interference>, Error> {
        if !experiment.task.needs_interference() {
            return Ok(None);
        }
        self.open_held_out(machine, experiment).map(Some)
    }

    fn open_held_out(&self, machine: &str, experiment: &Experiment) -> Result<Interference, Error> {
        let chosen = self.choose(machine)?;
        let training = self.open_training(&chosen, experiment)?;
        Ok(match &chosen.held_out {
            Some(held_out) => {
                let held_out: Vec<&SoundClips> = held_out.iter().collect();
                training.with_held_out(self.open_all(&held_out, "test", experiment)?, None)
            }
            None => {
                self.ui.warn(&format!("{machine}: {}", chosen.otherwise));
                let train = training.train().clone();
                training.with_held_out(train, Some(chosen.otherwise.to_owned()))
            }
        })
    }

    /// Fingerprint of all that a training hears: the clips of the machine types that it learns, and what they are mixed
    /// with.
    ///
    /// # Errors
    /// When a clip cannot be read, or there is nothing to mix with.
    pub fn data_fingerprint(
        &self,
        machine: &str,
        learnt: &[String],
        experiment: &Experiment,
    ) -> Result<String, Error> {
        let own = self.joint_fingerprint(learnt)?;
        if !experiment.task.needs_interference() {
            return Ok(own);
        }
        let both = format!("{own}\ninterference\n{}\n", self.interference_fingerprint(machine)?);
        Ok(blake3::hash(both.as_bytes()).to_hex().to_string())
    }

    /// Fingerprint of what a training mixes with; nothing is decoded. Once for each machine: which clips these are takes
    /// longer to say than to look up.
    fn interference_fingerprint(&self, machine: &str) -> Result<String, Error> {
        self.fingerprint(&format!("interference/train/{machine}"), || {
            self.sets_fingerprint(&sounds_of(&self.choose(machine)?.train), "train")
        })
    }

    /// Fingerprint of what held-out clips are mixed with, as an evaluation notes it; `None` in a family that mixes nothing.
    ///
    /// # Errors
    /// As [`Recordings::data_fingerprint`].
    pub(super) fn held_out_fingerprint(
        &self,
        machine: &str,
        experiment: &Experiment,
    ) -> Result<Option<String>, Error> {
        if !experiment.task.needs_interference() {
            return Ok(None);
        }
        let fingerprint = self.fingerprint(&format!("interference/test/{machine}"), || {
            let chosen = self.choose(machine)?;
            match &chosen.held_out {
                Some(held_out) => self.sets_fingerprint(&held_out.iter().collect::<Vec<_>>(), "test"),
                None => self.sets_fingerprint(&sounds_of(&chosen.train), "train"),
            }
        })?;
        Ok(Some(fingerprint))
    }

    fn sets_fingerprint(&self, sets: &[&SoundClips], split: &str) -> Result<String, Error> {
        let parts = sets.iter().map(|clips| self.sound_fingerprint(clips, split));
        Ok(joint_fingerprint(&parts.collect::<Result<Vec<_>, _>>()?))
    }

    fn open_training(&self, chosen: &Chosen, experiment: &Experiment) -> Result<Interference, Error> {
        let train = self.open_all(&sounds_of(&chosen.train), "train", experiment)?;
        Ok(Interference::of_training(chosen.what.clone(), &chosen.train, train)?)
    }

    /// Several sets, each checked and cached for itself, as one. A set may be left out whole, as long as one is there.
    fn open_all(&self, sets: &[&SoundClips], split: &str, experiment: &Experiment) -> Result<Waves, Error> {
        let open = |&clips: &&SoundClips| {
            let fingerprint = self.sound_fingerprint(clips, split)?;
            self.any_waves(&Source::from(clips), &fingerprint, experiment, &format!("{}: {split}", clips.of))
        };
        let opened = sets.iter().map(open).collect::<Result<Vec<Arc<Sounds>>, Error>>()?;
        let waves = opened.iter().map(|sounds| sounds.waves()).collect::<Result<Vec<_>, _>>()?;
        let joined = waves.split_first().map(|(first, others)| first.joined(others.iter().copied()));
        let joined = joined.ok_or(task::Error::Fault("an empty choice of interference"))?;
        if joined.clips().is_empty() {
            let of: Vec<&str> = sets.iter().map(|clips| clips.of.as_str()).collect();
            let first = joined.bad().first().map_or(String::new(), |bad| bad.reason.clone());
            return Err(task::Error::NoClip(joined.bad().len(), of.join(", "), first).into());
        }
        for (clips, _) in sets.iter().zip(waves).filter(|(_, found)| found.clips().is_empty()) {
            let count = clips.clips.len();
            let why = format!("all {count} {split} clips are bad");
            self.ui.warn(&format!("{} is left out of the interference: {why}", clips.of));
        }
        Ok(joined)
    }

    fn sound_fingerprint(&self, clips: &SoundClips, split: &str) -> Result<String, Error> {
        self.fingerprint(&format!("{split}/{}", clips.of), || clips.fingerprint_in(self.memory()))
    }

    fn choose(&self, machine: &str) -> Result<Chosen, Error> {
        let Some(path) = &self.config.interference else {
            return choose_of_others(self.whole_index()?, machine);
        };
        let folder = self.folder(path)?;
        folder.check_apart(&self.index, machine)?;
        Ok(Chosen {
            what: "the recordings of data.interference".to_owned(),
            train: vec![folder.train.clone()],
            held_out: folder.held_out.clone().map(|held_out| vec![held_out]),
            otherwise: "data.interference has fewer than 5 recordings, so mixtures are judged with those that the \
                        network was trained with",
        })
    }

    fn folder(&self, path: &Path) -> Result<&InterferenceFolder, Error> {
        if let Some(known) = self.folder.get() {
            return Ok(known);
        }
        let folder = InterferenceFolder::open(path)?;
        report(path, &folder.problems, &self.config, " in data.interference", self.ui)?;
        Ok(self.folder.get_or_init(|| folder))
    }

    pub(super) fn whole_index(&self) -> Result<&ClipIndex, Error> {
        if self.config.machines.is_empty() {
            return Ok(&self.index);
        }
        if let Some(known) = self.whole.get() {
            return Ok(known);
        }
        let all = DataConfig { machines: Vec::new(), ..self.config.clone() };
        let index = dataset::index(&all)?;
        Ok(self.whole.get_or_init(|| index))
    }
}

fn sounds_of(recordings: &[InterferenceClips]) -> Vec<&SoundClips> {
    recordings.iter().map(InterferenceClips::sounds).collect()
}

/// The other machine types of a data set.
fn choose_of_others(index: &ClipIndex, machine: &str) -> Result<Chosen, Error> {
    let others: Vec<&String> = index.machines().iter().filter(|other| *other != machine).collect();
    let root = index.root().display();
    if others.is_empty() {
        let why = format!("machine `{machine}` is the only machine type in {root}");
        return Err(dataset::Error::NoInterference { why }.into());
    }
    let train = others.iter().map(|other| index.interference(other));
    let train: Vec<InterferenceClips> = train.filter(|of| !of.sounds().clips.is_empty()).collect();
    let held_out = others.iter().map(|other| index.held_out_sounds(other));
    let held_out: Vec<SoundClips> = held_out.filter(|of| !of.clips.is_empty()).collect();
    if train.is_empty() {
        let why = format!("no machine type in {root} but `{machine}` has train clips");
        return Err(dataset::Error::NoInterference { why }.into());
    }
    let names: Vec<&str> = others.iter().map(|other| other.as_str()).collect();
    Ok(Chosen {
        what: format!("the other machine types: {}", names.join(", ")),
        train,
        held_out: (!held_out.is_empty()).then_some(held_out),
        otherwise: "the other machine types have no test clips, so mixtures are judged with the train clips that the \
                    network was trained with",
    })
}

#[cfg(test)]
mod tests;
