//! What a run's folder says of its making and of its data.

use super::families::TaskData;
use super::{Error, Recordings, Trial};
use crate::dataset::synth;
use crate::device::OpenDevice;
use crate::run::{Hashes, InterferenceRecord, Manifest, PretrainedRecord, RunFolder, SkippedClip, Start};
use crate::task::pretrained::Embedder;
use crate::task::{BadClip, Interference, TrainingSet, Waves};

/// The manifest of a trial that begins.
pub(super) fn manifest(
    trial: &Trial,
    recordings: &Recordings<'_>,
    data: TaskData<'_>,
    device: &OpenDevice,
) -> Result<Manifest, Error> {
    let sounds = || data.sets.iter().map(TrainingSet::sounds);
    let embedder = data.frozen.map(|frozen| frozen.embedder);
    Ok(Manifest {
        schema: 1,
        family: trial.experiment.family().into(),
        config: RunFolder::config_name(&trial.experiment),
        config_hash: trial.experiment.training_hash(),
        data_fingerprint: recordings.data_fingerprint(&trial.machine, &trial.learnt, &trial.experiment)?,
        synthetic: Some(synth::made(recordings.index.root())),
        machine: trial.machine.clone(),
        learnt: trial.learnt.clone(),
        seed: trial.seed,
        started: Start::now(&device.name),
        resumed: Vec::new(),
        copied_from: None,
        model: embedder.map(|embedder| embedder.content_hash().to_owned()),
        artefacts: Hashes::new(),
        clips: sounds().map(|sounds| sounds.len()).sum(),
        skipped: sounds().flat_map(|sounds| skipped(sounds.bad())).collect(),
        interference: data.interference.map(|of| interference(of, of.train())),
        pretrained: embedder.map(pretrained),
    })
}

fn pretrained(embedder: &Embedder) -> PretrainedRecord {
    let model = embedder.model();
    PretrainedRecord {
        path: embedder.path().to_string_lossy().into_owned(),
        architecture: model.architecture.name().to_owned(),
        fine_tuned: model.fine_tuned(),
        random_seed: model.random,
    }
}

fn skipped(bad: &[BadClip]) -> impl Iterator<Item = SkippedClip> {
    bad.iter().map(|bad| SkippedClip { path: bad.path.clone(), reason: bad.reason.clone() })
}

/// What a run's folder says of the recordings `used` of some interference.
pub(super) fn interference(of: &Interference, used: &Waves) -> InterferenceRecord {
    InterferenceRecord {
        what: of.what().to_owned(),
        clips: used.clips().len(),
        fingerprint: used.fingerprint().to_owned(),
        remark: of.remark().map(str::to_owned),
        skipped: skipped(used.bad()).collect(),
    }
}
