//! `asdbench data preview-augment`: views of a clip, for ears and eyes.

use std::io;
use std::path::{Path, PathBuf};

use clap::Args;
use ndarray::{Array2, ArrayView2};
use serde::Serialize;

use super::{Context, Failure};
use crate::audio::augment::{AugmentSpec, Augmenter, Mask, ViewPlan, ViewScratch};
use crate::audio::{ChannelChoice, LogMel, LogMelSpec, SampleFormat, write_wav};
use crate::config::TaskConfig;
use crate::files::{self, Durability};
use crate::nn::resnet::STRIDE;
use crate::report::{self, Align, Cell, Panel, Table, spectrograms};
use crate::{config, dataset, rng, study};

/// Arguments of `asdbench data preview-augment`.
#[derive(Args, Debug)]
pub struct PreviewAugmentArgs {
    /// The clip, a WAV file
    clip: PathBuf,
    /// Folder for original.wav, view-1.wav and so on, views.svg and views.json
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
    /// Configuration of a contrastive family, whose views are made; the defaults, on the whole clip, where not given
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Number of views
    #[arg(long, default_value_t = 4, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=99))]
    views: u64,
    /// Seed: the same gives the same views
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

/// One view and what was drawn for it.
#[derive(Serialize)]
struct View {
    name: String,
    #[serde(flatten)]
    plan: ViewPlan,
    #[serde(skip)]
    logmel: Array2<f32>,
    #[serde(skip)]
    sound: Vec<f32>,
}

/// `views.json`, and what is printed as JSON.
#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    clip: &'a Path,
    seed: u64,
    frames: usize,
    front_end: &'a LogMelSpec,
    augment: &'a AugmentSpec,
    views: &'a [View],
}

/// Make all views, then write all files.
pub fn run(args: &PreviewAugmentArgs, context: &Context) -> Result<(), Failure> {
    let Settings { front_end, augment, channel, frames } = settings(args.config.as_deref())?;
    let in_clip = |error: crate::audio::Error| dataset::Error::from(error.in_file(&args.clip));
    let reader = LogMel::new(&front_end).map_err(in_clip)?;
    let samples = reader.read_clip(&args.clip, channel).map_err(dataset::Error::from)?;
    // A clip that no network would be trained on.
    reader.check_length(samples.len(), frames.map_or(1, |_| STRIDE)).map_err(in_clip)?;
    let frames = frames.unwrap_or_else(|| reader.frames(samples.len()));
    let augmenter = Augmenter::new(&front_end, &augment, frames).map_err(in_clip)?;
    let original = augmenter.front_end().compute(&samples).map_err(in_clip)?;
    let views = (1..=args.views)
        .map(|number| view(&augmenter, &samples, args.seed, number))
        .collect::<Result<Vec<View>, _>>()
        .map_err(in_clip)?;

    let document = Document {
        schema: 1,
        clip: &args.clip,
        seed: args.seed,
        frames: augmenter.frames(),
        front_end: &front_end,
        augment: &augment,
        views: &views,
    };
    write(args, &document, &samples, &picture(args, &augmenter, original.view(), &views))?;
    let table = table(&views, &augmenter);
    context.print(|out| report::print(out, context.format, &table, &document))?;
    context.ui.say(&format!("written to {}: open views.svg, listen to the WAV files", args.output.display()));
    Ok(())
}

/// What views are made with.
#[derive(Default)]
struct Settings {
    front_end: LogMelSpec,
    augment: AugmentSpec,
    channel: ChannelChoice,
    /// Frames of a view; as many as the clip has where no configuration says it.
    frames: Option<usize>,
}

/// Those of a configuration, or the defaults.
fn settings(config: Option<&Path>) -> Result<Settings, Failure> {
    let Some(path) = config else {
        return Ok(Settings::default());
    };
    let experiment = config::load(path, &[])?.experiment;
    match &experiment.task {
        TaskConfig::Contrastive(task) => Ok(Settings {
            front_end: experiment.frontend.logmel.clone(),
            augment: task.augment.clone(),
            channel: experiment.data.channel,
            frames: Some(task.frames),
        }),
        TaskConfig::Autoencoder(_) | TaskConfig::Classification(_) | TaskConfig::Separation(_) => {
            Err(config::Error::NoViews(experiment.family()).into())
        }
    }
}

fn view(augmenter: &Augmenter, samples: &[f32], seed: u64, number: u64) -> Result<View, crate::audio::Error> {
    let plan = augmenter.draw(samples.len(), &mut rng::stream(seed, "preview-augment", number));
    let mut logmel = Array2::zeros((augmenter.frames(), augmenter.front_end().spec().n_mels));
    let values = logmel.as_slice_mut().unwrap_or_default();
    augmenter.view_into(samples, &plan, &mut ViewScratch::default(), values)?;
    let sound = augmenter.render(samples, &plan)?;
    Ok(View { name: format!("view-{number}"), plan, logmel, sound })
}

fn picture(
    args: &PreviewAugmentArgs,
    augmenter: &Augmenter,
    original: ArrayView2<'_, f32>,
    views: &[View],
) -> String {
    let mut panels = vec![Panel { title: "original".into(), logmel: original }];
    panels.extend(views.iter().map(|view| Panel { title: title(view), logmel: view.logmel.view() }));
    let name =
        args.clip.file_name().map_or_else(|| args.clip.to_string_lossy(), |name| name.to_string_lossy());
    spectrograms(&format!("Views of {name}"), &panels, augmenter.front_end())
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

/// Write everything into the folder, each file whole or not at all.
fn write(
    args: &PreviewAugmentArgs,
    document: &Document<'_>,
    original: &[f32],
    picture: &str,
) -> Result<(), Failure> {
    let rate_hz = document.front_end.rate_hz;
    let mut sounds = vec![("original.wav".to_owned(), original)];
    sounds.extend(document.views.iter().map(|view| (format!("{}.wav", view.name), view.sound.as_slice())));
    files::make_folder(&args.output).map_err(study::Error::from)?;
    let own = args.clip.canonicalize().ok();
    for (name, _) in &sounds {
        let path = args.output.join(name);
        if own.is_some() && path.canonicalize().ok() == own {
            let source = io::Error::other("it is the clip itself; choose another folder with -o");
            return Err(dataset::Error::Io { action: "write", path, source }.into());
        }
    }
    for (name, sound) in sounds {
        // Floats: noise may reach beyond full scale, and clipping is none of the augmentations.
        write_wav(&args.output.join(name), sound, rate_hz, SampleFormat::Float32)
            .map_err(dataset::Error::from)?;
    }
    let save = |name: &str, bytes: &[u8]| {
        files::write(&args.output.join(name), bytes, Durability::Cached).map_err(study::Error::from)
    };
    save("views.svg", picture.as_bytes())?;
    let json = serde_json::to_string_pretty(document).map_err(io::Error::from).map_err(Failure::Output)?;
    Ok(save("views.json", (json + "\n").as_bytes())?)
}

/// A row a view.
fn table(views: &[View], augmenter: &Augmenter) -> Table {
    let columns = [
        ("view", Align::Left),
        ("from s", Align::Right),
        ("noise SNR dB", Align::Right),
        ("speed", Align::Right),
        ("semitones", Align::Right),
        ("masked s", Align::Left),
        ("masked Hz", Align::Left),
    ];
    let spec = augmenter.front_end().spec();
    let (rate_hz, hop_s) = (f64::from(spec.rate_hz), spec.hop_samples as f64 / f64::from(spec.rate_hz));
    let edges_hz = augmenter.front_end().band_edges_hz();
    let edge_hz = |edge: usize| edges_hz.get(edge).map_or_else(|| "-".into(), |hz| format!("{hz:.0}"));
    let mut table = Table::new(&columns);
    for view in views {
        let plan = &view.plan;
        let time = |mask: &Mask| {
            let end = (mask.first + mask.length) as f64;
            format!("{:.2} to {:.2}", mask.first as f64 * hop_s, end * hop_s)
        };
        // From the centre of the first band to that of the last one.
        let bands =
            |mask: &Mask| format!("{} to {}", edge_hz(mask.first + 1), edge_hz(mask.first + mask.length));
        table.row([
            Cell::from(view.name.as_str()),
            Cell::number(plan.first_sample as f64 / rate_hz, 2),
            plan.noise.map_or_else(Cell::none, |noise| Cell::number(noise.snr_db, 1)),
            if plan.speed == 1.0 { Cell::none() } else { Cell::number(plan.speed, 3) },
            if plan.semitones == 0.0 { Cell::none() } else { Cell::number(plan.semitones, 2) },
            list(&plan.time_masks, time),
            list(&plan.frequency_masks, bands),
        ]);
    }
    table
}

fn list(masks: &[Mask], show: impl Fn(&Mask) -> String) -> Cell {
    if masks.is_empty() {
        return Cell::none();
    }
    masks.iter().map(show).collect::<Vec<_>>().join(", ").into()
}
