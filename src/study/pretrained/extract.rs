//! What an encoder says of clips, as arrays for other programs.

use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::Serialize;

use super::clips::Clips;
use super::{Error, Listening, Overrides, check_frames, check_output};
use crate::config::{OnBadClip, TokenPool};
use crate::dataset::{Problem, WavFiles, wav_files};
use crate::device::OpenDevice;
use crate::files::{self, Durability};
use crate::report::{NpzWriter, Spool};
use crate::study;
use crate::task::BadClip;
use crate::task::pretrained::{Embedded, Embedder, Wants};
use crate::ui::Ui;

/// Clips that a warning names.
const NAMED: usize = 5;
/// No write of a result takes this long: what is older was left by a killed process.
const ABANDONED: Duration = Duration::from_secs(3600);

/// What is to be heard by what, and where the result goes.
#[derive(Debug, Clone, Copy)]
pub struct ExtractRequest<'a> {
    /// A checkpoint file, or a folder at or above one run of the family.
    pub model: &'a Path,
    /// WAV files and folders of them.
    pub clips: &'a [PathBuf],
    /// The `.npz` file.
    pub output: &'a Path,
    /// Whether every layer's tokens are wanted.
    pub layers: bool,
    /// What is wanted otherwise than the defaults or the run have it.
    pub overrides: Overrides,
}

/// What was extracted; the result of `asdbench extract --format json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Extraction {
    /// Version of this form.
    pub schema: u32,
    /// The checkpoint file.
    pub checkpoint: String,
    /// BLAKE3 of the checkpoint file.
    pub content_hash: String,
    /// `BEATs`, `EAT` or `CED`.
    pub architecture: &'static str,
    /// The seed of random weights.
    pub random: Option<u64>,
    /// The `.npz` file.
    pub output: String,
    /// The names of its arrays.
    pub arrays: Vec<String>,
    /// Clips in it.
    pub clips: usize,
    /// Values of an embedding.
    pub dim: usize,
    /// What an embedding keeps of a clip's tokens.
    pub pool: TokenPool,
    /// The layer that it is of, counted from 0.
    pub layer: usize,
    /// Tokens of a clip: the least and the most.
    pub tokens: [usize; 2],
    /// Length of all clips.
    pub duration_s: f64,
    /// What it took, without reading the checkpoint and checking the clips.
    pub took_s: f64,
    /// Clips of that time.
    pub clips_per_s: f64,
    /// What computed.
    pub device: String,
    /// Clips with values that are not finite.
    pub not_finite: Vec<String>,
    /// Clips of which the end was not heard.
    pub cut: Vec<Cut>,
    /// Clips that were left out.
    pub bad: Vec<BadClip>,
}

/// A clip that is longer than what its encoder hears.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Cut {
    /// As it was named.
    pub path: String,
    /// What was not heard.
    pub lost_s: f64,
}

/// Hear clips and write the embeddings, and what else is wanted, as a `.npz` file, whole or not at all.
///
/// What grows with the clips waits in files without a name beside the result; memory holds a batch.
///
/// # Errors
/// When the checkpoint cannot be used, a clip is bad and bad clips are errors, the device fails, the result cannot be
/// written.
pub fn extract(
    request: &ExtractRequest<'_>,
    device: &OpenDevice,
    ui: &Ui,
) -> Result<Extraction, study::Error> {
    let ExtractRequest { output, .. } = *request;
    let listening = Listening::of(request.model)?.with(&request.overrides);
    let named = wav_files(request.clips)?;
    check_output(output, Some(listening.checkpoint()), &named.paths)?;
    files::make_folder(files::folder_of(output))?;
    files::sweep(files::folder_of(output), ABANDONED);
    let unreached = unreached(&named, listening.on_bad_clip)?;
    let embedder = listening.open(device, ui)?;
    check_frames(&request.overrides, &embedder)?;
    let mut clips = Clips::check(&named.paths, &embedder, &listening, ui)?;
    clips.bad.extend(unreached);
    clips.warn(ui);
    let cut = cut(&clips, &embedder);
    warn_of_cuts(&cut, ui);

    let model = embedder.model();
    let wants = Wants { layers: request.layers, probabilities: model.fine_tuned() };
    let mut arrays = Arrays::new(output, &embedder)?;
    let bar = ui.bar("hearing the clips", clips.good.len() as u64, "clips");
    let started = Instant::now();
    embedder.embed(clips.good.len(), &|n| clips.read(n), wants, &mut |n, heard| {
        if !heard.embedding.iter().all(|value| value.is_finite()) {
            arrays.not_finite.push(n);
        }
        bar.add(1);
        arrays.push(heard)
    })?;
    let took_s = started.elapsed().as_secs_f64();
    bar.clear();
    let names: Vec<String> = clips.good.iter().map(|clip| clip.path.display().to_string()).collect();
    let not_finite: Vec<String> = arrays.not_finite.iter().map(|&n| names[n].clone()).collect();
    if !not_finite.is_empty() {
        let first = super::first_few(not_finite.iter().cloned(), NAMED);
        ui.warn(&format!(
            "embeddings are not finite numbers of {first}; --precision f32 has the widest range"
        ));
    }
    let tokens: Vec<usize> = clips.good.iter().map(|clip| embedder.tokens(clip.samples)).collect();
    let range = [tokens.iter().min(), tokens.iter().max()].map(|end| end.copied().unwrap_or(0));
    let npz = arrays.finish(&names, &tokens, &embedder);
    let stored = npz.names().map(str::to_owned).collect();
    files::write_with(output, Durability::Flushed, |file| npz.write(&mut BufWriter::new(file)))?;
    Ok(Extraction {
        schema: 1,
        checkpoint: embedder.path().display().to_string(),
        content_hash: embedder.content_hash().to_owned(),
        architecture: model.architecture.name(),
        random: model.random,
        output: output.display().to_string(),
        arrays: stored,
        clips: names.len(),
        dim: embedder.dim(),
        pool: listening.encoder.pool,
        layer: listening.encoder.layer.unwrap_or(model.architecture.layers().saturating_sub(1)),
        tokens: range,
        duration_s: clips.duration_s(),
        took_s,
        clips_per_s: names.len() as f64 / took_s,
        device: device.name.clone(),
        not_finite,
        cut,
        bad: clips.bad,
    })
}

/// What could not be looked at below a folder; it stands behind the clips.
fn unreached(named: &WavFiles, on_bad_clip: OnBadClip) -> Result<Vec<BadClip>, Error> {
    let bad = |(index, problem): (usize, &Problem)| {
        let path = problem.path.as_deref().unwrap_or(Path::new("?")).display().to_string();
        BadClip { index, reason: format!("{path}: {}", problem.message), path }
    };
    let mut all = (named.paths.len()..).zip(&named.problems).map(bad);
    match on_bad_clip {
        OnBadClip::Skip => Ok(all.collect()),
        OnBadClip::Error => all.next().map_or(Ok(Vec::new()), |first| Err(Error::BadClip(first.reason))),
    }
}

fn cut(clips: &Clips, embedder: &Embedder) -> Vec<Cut> {
    let cut = |clip: &super::clips::GoodClip| Cut {
        path: clip.path.display().to_string(),
        lost_s: embedder.cut_s(clip.samples),
    };
    clips.good.iter().map(cut).filter(|cut| cut.lost_s > 0.0).collect()
}

fn warn_of_cuts(cut: &[Cut], ui: &Ui) {
    if cut.is_empty() {
        return;
    }
    let named = cut.iter().map(|cut| format!("{} ({:.2} s)", cut.path, cut.lost_s));
    ui.warn(&format!(
        "the end of {} {} is not heard: {}; --frames takes more of them",
        cut.len(),
        if cut.len() == 1 { "clip" } else { "clips" },
        super::first_few(named, NAMED)
    ));
}

/// What waits to be written.
struct Arrays<'a> {
    output: &'a Path,
    width: usize,
    embedding: Spool,
    layers: Vec<Spool>,
    probabilities: Option<Spool>,
    /// Numbers of clips whose embedding has no sense.
    not_finite: Vec<usize>,
}

impl<'a> Arrays<'a> {
    fn new(output: &'a Path, embedder: &Embedder) -> Result<Self, files::Error> {
        let architecture = &embedder.model().architecture;
        let classes = architecture.classes();
        let probabilities = classes.map(|classes| Ok(Spool::new(files::nameless(output)?, classes)));
        Ok(Self {
            output,
            width: architecture.width(),
            embedding: Spool::new(files::nameless(output)?, embedder.dim()),
            layers: Vec::new(),
            probabilities: probabilities.transpose()?,
            not_finite: Vec::new(),
        })
    }

    fn push(&mut self, heard: Embedded) -> Result<(), study::Error> {
        let full = |source| files::Error::new("write", self.output, source);
        // How many layers there are is known from the first clip.
        while self.layers.len() < heard.layers.len() {
            self.layers.push(Spool::new(files::nameless(self.output)?, self.width));
        }
        self.embedding.push(&heard.embedding).map_err(full)?;
        if let Some(probabilities) = &mut self.probabilities {
            probabilities.push(&heard.probabilities).map_err(full)?;
        }
        for (spool, tokens) in self.layers.iter_mut().zip(&heard.layers) {
            let tokens = tokens.as_standard_layout();
            let values = tokens.as_slice().ok_or(io::ErrorKind::InvalidData.into());
            values.and_then(|values| spool.push(values)).map_err(full)?;
        }
        Ok(())
    }

    fn finish(self, names: &[String], tokens: &[usize], embedder: &Embedder) -> NpzWriter {
        let model = embedder.model();
        let mut npz = NpzWriter::default();
        npz.spooled("embedding", self.embedding);
        npz.texts("clip", names);
        npz.integers("tokens", &tokens.iter().map(|&tokens| tokens as i64).collect::<Vec<_>>());
        if let Some(probabilities) = self.probabilities {
            npz.spooled("probabilities", probabilities);
        }
        if let Some(labels) = &model.labels {
            npz.texts("label", labels);
        }
        npz.texts("checkpoint", &[embedder.content_hash()]);
        if let Some(seed) = model.random {
            npz.number("random", seed);
        }
        for (number, layer) in self.layers.into_iter().enumerate() {
            npz.ragged(&format!("layer_{number:02}"), layer);
        }
        npz
    }
}
