//! Views of a clip as contrastive learning sees them, written down for ears and eyes.

use std::io;
use std::path::{Path, PathBuf};

use ndarray::{Array2, ArrayView2};
use serde::Serialize;

use super::Error;
use crate::audio::augment::{AugmentSpec, Augmenter, Mask, ViewPlan, ViewScratch};
use crate::audio::{self, ChannelChoice, LogMel, LogMelSpec, SampleFormat, write_wav};
use crate::config::{self, Experiment, TaskConfig};
use crate::files::{self, Durability};
use crate::nn::resnet::STRIDE;
use crate::report::{Panel, spectrograms};
use crate::{dataset, rng};

/// Which views of which clip.
#[derive(Debug, Clone, Copy)]
pub struct PreviewRequest<'a> {
    /// The clip, a WAV file.
    pub clip: &'a Path,
    /// Folder for `original.wav`, `view-1.wav` and so on, `views.svg` and `views.json`.
    pub output: &'a Path,
    /// One of a contrastive family, whose views are made; the defaults, on the whole clip, where there is none.
    pub experiment: Option<&'a Experiment>,
    /// How many.
    pub views: u64,
    /// The same gives the same views.
    pub seed: u64,
}

/// What was made, as it stands in `views.json`.
#[derive(Debug, Clone, Serialize)]
pub struct Preview {
    schema: u32,
    clip: PathBuf,
    seed: u64,
    frames: usize,
    front_end: LogMelSpec,
    augment: AugmentSpec,
    /// The views, from the first.
    pub views: Vec<View>,
}

/// One view: what was drawn for it, and where that lies.
#[derive(Debug, Clone, Serialize)]
pub struct View {
    /// Its name, and that of its sound without the extension.
    pub name: String,
    /// What was drawn.
    #[serde(flatten)]
    pub plan: ViewPlan,
    /// Where in the clip it begins, in seconds.
    #[serde(skip)]
    pub from_s: f64,
    /// Blanked stretches of the view, from and to, in seconds; ascending.
    #[serde(skip)]
    pub masked_s: Vec<[f64; 2]>,
    /// Blanked runs of bands, from and to, in Hz; ascending.
    #[serde(skip)]
    pub masked_hz: Vec<[f64; 2]>,
}

/// A view to see and to hear.
struct Rendered {
    /// `[frames, n_mels]`, in dB.
    logmel: Array2<f32>,
    sound: Vec<f32>,
}

/// Make all views, then write all files, each whole or not at all.
///
/// # Errors
/// When the clip cannot be read or is too short, the experiment makes no views, or the folder cannot be written.
pub fn preview(request: &PreviewRequest<'_>) -> Result<Preview, Error> {
    let Settings { front_end, augment, channel, frames } = Settings::of(request.experiment)?;
    let in_clip = |error: audio::Error| dataset::Error::from(error.in_file(request.clip));
    let reader = LogMel::new(&front_end).map_err(in_clip)?;
    let samples = reader.read_clip(request.clip, channel).map_err(dataset::Error::from)?;
    // A clip that no network would be trained on.
    reader.check_length(samples.len(), frames.map_or(1, |_| STRIDE)).map_err(in_clip)?;
    let frames = frames.unwrap_or_else(|| reader.frames(samples.len()));
    let augmenter = Augmenter::new(&front_end, &augment, frames).map_err(in_clip)?;
    let original = augmenter.front_end().compute(&samples).map_err(in_clip)?;
    let made = (1..=request.views)
        .map(|number| view(&augmenter, &samples, request.seed, number))
        .collect::<Result<Vec<_>, _>>()
        .map_err(in_clip)?;
    let (views, rendered): (Vec<View>, Vec<Rendered>) = made.into_iter().unzip();
    let picture = picture(request.clip, augmenter.front_end(), original.view(), &views, &rendered);
    let (clip, seed, frames) = (request.clip.to_owned(), request.seed, augmenter.frames());
    let preview = Preview { schema: 1, clip, seed, frames, front_end, augment, views };
    let mut sounds = vec![("original.wav".to_owned(), samples.as_slice())];
    let names = preview.views.iter().map(|view| format!("{}.wav", view.name));
    sounds.extend(names.zip(rendered.iter().map(|view| view.sound.as_slice())));
    write(request.output, &preview, &sounds, &picture)?;
    Ok(preview)
}

/// What views are made with.
#[derive(Default)]
struct Settings {
    front_end: LogMelSpec,
    augment: AugmentSpec,
    channel: ChannelChoice,
    /// Frames of a view; as many as the clip has where no experiment says it.
    frames: Option<usize>,
}

impl Settings {
    /// Those of an experiment, or the defaults.
    fn of(experiment: Option<&Experiment>) -> Result<Self, config::Error> {
        let Some(experiment) = experiment else {
            return Ok(Self::default());
        };
        match &experiment.task {
            TaskConfig::Contrastive(task) => Ok(Self {
                front_end: experiment.frontend.logmel.clone(),
                augment: task.augment.clone(),
                channel: experiment.data.channel,
                frames: Some(task.frames),
            }),
            TaskConfig::Autoencoder(_)
            | TaskConfig::Classification(_)
            | TaskConfig::Separation(_)
            | TaskConfig::Pretrained(_) => Err(config::Error::NoViews(experiment.family())),
        }
    }
}

fn view(
    augmenter: &Augmenter,
    samples: &[f32],
    seed: u64,
    number: u64,
) -> Result<(View, Rendered), audio::Error> {
    let plan = augmenter.draw(samples.len(), &mut rng::stream(seed, "preview-augment", number));
    let spec = augmenter.front_end().spec();
    let mut logmel = Array2::zeros((augmenter.frames(), spec.n_mels));
    let values = logmel.as_slice_mut().unwrap_or_default();
    augmenter.view_into(samples, &plan, &mut ViewScratch::default(), values)?;
    let sound = augmenter.render(samples, &plan)?;
    let rate_hz = f64::from(spec.rate_hz);
    let view = View {
        name: format!("view-{number}"),
        from_s: plan.first_sample as f64 / rate_hz,
        masked_s: stretches_s(&plan.time_masks, spec.hop_samples as f64 / rate_hz),
        masked_hz: bands_hz(&plan.frequency_masks, &augmenter.front_end().band_edges_hz()),
        plan,
    };
    Ok((view, Rendered { logmel, sound }))
}

/// From the first frame's time to that of the frame behind the last.
fn stretches_s(masks: &[Mask], hop_s: f64) -> Vec<[f64; 2]> {
    let stretch = |mask: &Mask| [mask.first, mask.first + mask.length].map(|frame| frame as f64 * hop_s);
    ascending(masks).iter().map(stretch).collect()
}

/// From where the first band rises to where the last one has fallen, of bands with `edges_hz`, two more than bands.
fn bands_hz(masks: &[Mask], edges_hz: &[f64]) -> Vec<[f64; 2]> {
    let run = |mask: &Mask| Some([*edges_hz.get(mask.first)?, *edges_hz.get(mask.first + mask.length + 1)?]);
    ascending(masks).iter().filter_map(run).collect()
}

/// They are drawn in no order.
fn ascending(masks: &[Mask]) -> Vec<Mask> {
    let mut sorted = masks.to_vec();
    sorted.sort_by_key(|mask| (mask.first, mask.length));
    sorted
}

fn picture(
    clip: &Path,
    front_end: &LogMel,
    original: ArrayView2<'_, f32>,
    views: &[View],
    rendered: &[Rendered],
) -> String {
    let mut panels = vec![Panel { title: "original".into(), logmel: original }];
    let of_views = views.iter().zip(rendered);
    panels.extend(of_views.map(|(view, made)| Panel { title: title(view), logmel: made.logmel.view() }));
    let name = clip.file_name().map_or_else(|| clip.to_string_lossy(), |name| name.to_string_lossy());
    spectrograms(&format!("Views of {name}"), &panels, front_end)
}

/// What a view is, in a line.
fn title(view: &View) -> String {
    let plan = &view.plan;
    let mut parts = Vec::new();
    parts.extend(plan.noise.map(|noise| format!("noise {:.1} dB below the clip", noise.snr_db)));
    if plan.speed != 1.0 {
        parts.push(format!("speed {:.3}", plan.speed));
    }
    if plan.semitones != 0.0 {
        parts.push(format!("{:+.2} semitones", plan.semitones));
    }
    for (masks, what) in [(&plan.time_masks, "time"), (&plan.frequency_masks, "frequency")] {
        match masks.len() {
            0 => {}
            1 => parts.push(format!("1 {what} mask")),
            several => parts.push(format!("{several} {what} masks")),
        }
    }
    let parts = if parts.is_empty() { "as recorded".to_owned() } else { parts.join(", ") };
    format!("{}: {parts}", view.name)
}

fn write(folder: &Path, preview: &Preview, sounds: &[(String, &[f32])], picture: &str) -> Result<(), Error> {
    files::make_folder(folder)?;
    let own = preview.clip.canonicalize().ok();
    for (name, _) in sounds {
        let path = folder.join(name);
        if own.is_some() && path.canonicalize().ok() == own {
            let source = io::Error::other("it is the clip itself; choose another folder with -o");
            return Err(dataset::Error::Io { action: "write", path, source }.into());
        }
    }
    for (name, sound) in sounds {
        // Floats: noise may reach beyond full scale, and clipping is none of the augmentations.
        write_wav(&folder.join(name), sound, preview.front_end.rate_hz, SampleFormat::Float32)
            .map_err(dataset::Error::from)?;
    }
    files::write(&folder.join("views.svg"), picture.as_bytes(), Durability::Cached)?;
    let path = folder.join("views.json");
    let json =
        serde_json::to_string_pretty(preview).map_err(|e| files::Error::new("write", &path, e.into()))?;
    Ok(files::write(&path, (json + "\n").as_bytes(), Durability::Cached)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_are_told_in_order_by_their_edges() {
        let masks = [Mask { first: 2, length: 2 }, Mask { first: 1, length: 1 }];
        // Four bands; the second alone reaches from edge 1 to edge 3.
        let edges_hz = [0.0, 100.0, 200.0, 300.0, 400.0, 500.0];
        assert_eq!(bands_hz(&masks, &edges_hz), [[100.0, 300.0], [200.0, 500.0]]);
        assert_eq!(stretches_s(&masks, 0.25), [[0.25, 0.5], [0.5, 1.0]]);
    }
}
