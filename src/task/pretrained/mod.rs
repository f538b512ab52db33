//! Features of encoders whose weights were trained elsewhere: BEATs, EAT, CED.
//!
//! Nothing is trained. A clip's feature is made of the tokens that the frozen encoder gives; the proxy metric is the mean
//! average precision on AudioSet that is published of the checkpoint.

mod cache;
mod checkpoint_file;
mod embedder;
mod extraction;
mod front_end;
mod origin;
mod pool;
#[cfg(test)]
mod tests;
mod windows;

pub use checkpoint_file::CheckpointFile;
pub use embedder::{Embedded, Embedder, Wants};

use std::path::PathBuf;

use burn::tensor::Device;
use serde_json::json;

use super::{Error, Extracted, FeatureTask, HeldOut, Judged, Proxy, Sounds, Waves};
use crate::config::{PretrainedEvalConfig, checkpoint_name};
use crate::nn::kernels;
use cache::FeatureCache;

/// The proxy metric's name.
const METRIC: &str = "map";

/// The family of encoders that were trained elsewhere.
pub struct PretrainedTask<'a> {
    eval: &'a PretrainedEvalConfig,
    cache: PathBuf,
    device_name: &'a str,
    remarks: Vec<String>,
}

impl<'a> PretrainedTask<'a> {
    /// The task of one machine type, whose training clips are `waves`. Features are kept below `cache`; `device_name` tells
    /// those of one GPU from those of another.
    pub fn new(
        embedder: &Embedder,
        eval: &'a PretrainedEvalConfig,
        waves: &Waves,
        cache: PathBuf,
        device_name: &'a str,
    ) -> Self {
        Self { eval, cache, device_name, remarks: remarks(embedder, waves) }
    }

    /// What is published of the checkpoint.
    fn proxy(&self, embedder: &Embedder) -> Proxy {
        let name = checkpoint_name(embedder.path());
        let (value, note) = match (random(embedder), self.eval.published(&name)) {
            (Some(why), _) => (Err(why), None),
            (None, Some(entry)) => {
                (Ok(entry.map), Some(format!("as published in {}, not measured here", entry.source)))
            }
            (None, None) => (
                Err(format!("eval.pretrained.published has no checkpoint called {name}; add it there")),
                None,
            ),
        };
        Proxy::new(METRIC, value, true).noted(note)
    }
}

/// That a network's weights are random, where they are.
fn random(embedder: &Embedder) -> Option<String> {
    let seed = embedder.model().random?;
    Some(format!(
        "the weights of {} are random (seed {seed}): the network has learnt nothing",
        embedder.path().display()
    ))
}

/// What a user should know of a network that has learnt nothing, and of what it cannot hear.
fn remarks(embedder: &Embedder, waves: &Waves) -> Vec<String> {
    let mut remarks: Vec<String> = random(embedder).into_iter().collect();
    remarks.extend(cut(embedder, waves, "training"));
    remarks
}

/// That some of the `which` clips are longer than a network hears, where they are.
pub fn cut(embedder: &Embedder, waves: &Waves, which: &str) -> Option<String> {
    let cut_s: Vec<f64> = waves.clips().iter().map(|clip| embedder.cut_s(clip.samples)).collect();
    cut_remark(&cut_s, which)
}

/// The same by the seconds that each clip loses.
fn cut_remark(cut_s: &[f64], which: &str) -> Option<String> {
    let longest_s = cut_s.iter().copied().fold(0.0, f64::max);
    (longest_s > 0.0).then(|| {
        format!(
            "{} of {} {which} clips are longer than the network hears: up to {longest_s:.2} s of their ends are left out; \
             see task.pretrained.frames",
            cut_s.iter().filter(|cut_s| **cut_s > 0.0).count(),
            cut_s.len(),
        )
    })
}

impl FeatureTask for PretrainedTask<'_> {
    type Net = Embedder;
    type Term = ();

    fn remarks(&self) -> &[String] {
        &self.remarks
    }

    fn extract(
        &self,
        net: &Embedder,
        clips: &Sounds,
        device: &Device,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<Extracted<()>, Error> {
        let waves = clips.waves()?;
        let made_on = if kernels::serve(device) { "cpu" } else { self.device_name };
        let about = json!({ "embedder": net.identity(), "channel": waves.channel(), "device": made_on });
        let cache = FeatureCache::open(&self.cache, &about, net.dim())?;
        let features = extraction::features(net, waves, &cache, progress)?;
        Ok(Extracted { features, terms: vec![(); waves.clips().len()] })
    }

    fn proxies(
        &self,
        net: &Embedder,
        _held_out: &HeldOut<'_, ()>,
        _trained: &Extracted<()>,
        _device: &Device,
    ) -> Result<Judged, Error> {
        Ok(vec![self.proxy(net)].into())
    }
}
