//! Residual networks in torchvision's names: which one a checkpoint holds.
//!
//! Depth, width and channels are read from the tensors, because such files hold nothing else.

use std::collections::BTreeMap;

use super::import::{Checkpoint, TensorRef, Tensors};
use super::pretrained::{Error, LeftOver, Used};

/// A stem as wide as this has been seen nowhere; shapes of tensors without elements can claim anything.
const WIDEST: usize = 1 << 16;
/// What tells a residual network's file that this program wrote from an encoder's and a run's.
pub const KIND: &str = "resnet";
/// Problems that a message names.
const NAMED: usize = 5;

/// A residual network with its tensors.
#[derive(Debug)]
pub struct ResNetFile<'a> {
    /// Layers with weights, the classifier with them: 18, 34, 50…
    pub depth: usize,
    /// Blocks of the four stages.
    pub blocks: [usize; 4],
    /// Channels behind the stem; 64 in the papers.
    pub width: usize,
    /// Channels of the input.
    pub inputs: usize,
    /// Values of its feature.
    pub features: usize,
    /// Classes that its classifier tells apart, where it has one.
    pub classes: Option<usize>,
    /// The tensors that the network takes.
    pub used: Vec<Used>,
    /// The others.
    pub left_over: Vec<LeftOver>,
    tensors: Vec<(String, TensorRef<'a>)>,
}

impl<'a> ResNetFile<'a> {
    /// The residual network of a checkpoint; nothing where the names are not those of one.
    ///
    /// # Errors
    /// When the names are, and tensors are missing or of other shapes.
    pub fn of(checkpoint: &'a Checkpoint) -> Result<Option<Self>, Error> {
        // A file whose tensors cannot be listed is for others to complain about.
        let Ok(tensors) = checkpoint.tensors(&[]) else { return Ok(None) };
        let Some(prefix) = prefix(&tensors) else { return Ok(None) };
        Self::with_prefix(&tensors, prefix).map(Some)
    }

    fn with_prefix(tensors: &Tensors<'a>, prefix: &str) -> Result<Self, Error> {
        let get = |name: &str| tensors.get(&format!("{prefix}{name}"));
        let stem = get("conv1.weight").map(|tensor| tensor.shape()).unwrap_or_default();
        let &[width @ 1..=WIDEST, inputs @ 1..=WIDEST, 7, 7] = stem else {
            return Err(unfit(&[format!(
                "`{prefix}conv1.weight` is {stem:?}, expected [width, channels, 7, 7]"
            )]));
        };
        let expansion = if get("layer1.0.conv3.weight").is_some() { 4 } else { 1 };
        let is_block = |stage: usize, n: &usize| get(&format!("layer{stage}.{n}.conv1.weight")).is_some();
        let blocks = [1, 2, 3, 4].map(|stage| (0..).take_while(|n| is_block(stage, n)).count());
        let features = 8 * width * expansion; // 2³ of three doublings
        let classes = get("fc.weight").and_then(|tensor| tensor.shape().first().copied());

        let mut expected = encoder(width, inputs, expansion, blocks);
        if let Some(classes) = classes {
            expected.push(("fc.weight".to_owned(), vec![classes, features]));
            expected.push(("fc.bias".to_owned(), vec![classes]));
        }
        let (mut used, mut found, mut problems) = (Vec::new(), Vec::new(), Vec::new());
        for (name, shape) in expected {
            let from = format!("{prefix}{name}");
            match tensors.get(&from) {
                Some(tensor) if tensor.shape() == shape => {
                    used.push(Used { name: name.clone(), from, shape, dtype: tensor.dtype().name() });
                    found.push((name, tensor));
                }
                Some(tensor) => {
                    problems.push(format!("`{from}` is {:?}, expected {shape:?}", tensor.shape()))
                }
                None => problems.push(format!("`{from}` is missing")),
            }
        }
        if !problems.is_empty() {
            return Err(unfit(&problems));
        }
        let convolutions = if expansion == 4 { 3 } else { 2 };
        Ok(Self {
            depth: blocks.iter().sum::<usize>() * convolutions + 2,
            blocks,
            width,
            inputs,
            features,
            classes,
            left_over: left_over(tensors, &used),
            used,
            tensors: found,
        })
    }

    /// Its name in the papers.
    pub fn name(&self) -> String {
        format!("ResNet-{}", self.depth)
    }

    /// Weights and biases, the classifier's too; running statistics are none.
    pub fn parameters(&self) -> usize {
        let learnt = self.tensors.iter().filter(|(name, _)| !name.contains(".running_"));
        learnt.map(|(_, tensor)| tensor.len()).sum()
    }

    /// The tensors under torchvision's names.
    pub fn tensors(&self) -> &[(String, TensorRef<'a>)] {
        &self.tensors
    }
}

/// What stands before torchvision's names, such as `state_dict.module.`.
fn prefix<'t>(tensors: &'t Tensors<'_>) -> Option<&'t str> {
    let stems = tensors.names().filter_map(|name| name.strip_suffix("conv1.weight"));
    let is_complete = |prefix: &&str| {
        ["bn1.running_mean", "layer1.0.conv1.weight", "layer4.0.conv1.weight"]
            .iter()
            .all(|name| tensors.get(&format!("{prefix}{name}")).is_some())
    };
    stems.filter(is_complete).min_by_key(|prefix| prefix.len())
}

/// Names and shapes of everything before the classifier.
fn encoder(width: usize, inputs: usize, expansion: usize, blocks: [usize; 4]) -> Vec<(String, Vec<usize>)> {
    let mut all = vec![("conv1.weight".to_owned(), vec![width, inputs, 7, 7])];
    let norm = |all: &mut Vec<_>, path: &str, channels: usize| {
        for value in ["weight", "bias", "running_mean", "running_var"] {
            all.push((format!("{path}.{value}"), vec![channels]));
        }
    };
    norm(&mut all, "bn1", width);
    let mut channels = width;
    for (stage, &count) in blocks.iter().enumerate() {
        let planes = width << stage;
        let outputs = planes * expansion;
        for n in 0..count {
            let path = format!("layer{}.{n}", stage + 1);
            let convolutions: &[_] = match expansion {
                1 => &[[planes, channels, 3], [planes, planes, 3]],
                _ => &[[planes, channels, 1], [planes, planes, 3], [outputs, planes, 1]],
            };
            for (number, &[to, from, kernel]) in (1..).zip(convolutions) {
                all.push((format!("{path}.conv{number}.weight"), vec![to, from, kernel, kernel]));
                norm(&mut all, &format!("{path}.bn{number}"), to);
            }
            let halves = stage > 0 && n == 0;
            if halves || channels != outputs {
                all.push((format!("{path}.downsample.0.weight"), vec![outputs, channels, 1, 1]));
                norm(&mut all, &format!("{path}.downsample.1"), outputs);
            }
            channels = outputs;
        }
    }
    all
}

/// What no residual network takes, in groups of one beginning.
fn left_over(tensors: &Tensors<'_>, used: &[Used]) -> Vec<LeftOver> {
    const COUNTER: &str = "num_batches_tracked";
    let used: std::collections::BTreeSet<&str> = used.iter().map(|used| used.from.as_str()).collect();
    let mut groups: BTreeMap<(String, &str), usize> = BTreeMap::new();
    for name in tensors.names().filter(|name| !used.contains(name)) {
        let group = match name.ends_with(COUNTER) {
            true => (format!("*.{COUNTER}"), "a counter of training steps, which no result depends on"),
            false => {
                let start =
                    name.split_once('.').map_or_else(|| name.to_owned(), |(start, _)| format!("{start}.*"));
                (start, "no part of a residual network")
            }
        };
        *groups.entry(group).or_default() += 1;
    }
    let group = |((name, why), tensors): ((String, &str), usize)| LeftOver { name, tensors, why: why.into() };
    groups.into_iter().map(group).collect()
}

fn unfit(problems: &[String]) -> Error {
    let named = problems.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    let more = match problems.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    Error::Unfit(format!(
        "its names are those of a residual network of torchvision, but {named}{more}; it is incomplete, or of a kind that is not read (wide, grouped)"
    ))
}
