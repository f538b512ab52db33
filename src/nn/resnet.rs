//! Residual networks (He et al., arXiv 1512.03385) in torchvision's layout "v1.5": a bottleneck's stride is on its 3×3.
//!
//! ```text
//! [batch, 1, mel, frames] → 7×7/2, BN, ReLU → 3×3/2 maximum → four stages of blocks, the last three halving
//!                         → mean over the map → [batch, features]
//! ```
//!
//! Field names are torchvision's, so that its weights load unmapped, but for `conv1`, which has one input channel.

use burn::module::Module;
use burn::tensor::Tensor;
use burn::tensor::activation::relu;
use burn::tensor::module::max_pool2d;
use burn::tensor::ops::MaxPoolOptions;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::conv::{Conv2d, ConvSize};
use super::init::Init;
use super::norm::BatchNorm;

/// Input pixels per pixel of the last map, in both directions: 2 (stem) · 2 (maximum) · 2 · 2 · 2 (stages).
pub const STRIDE: usize = 32;

/// Depth of a residual network, counted in layers with weights.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Backbone {
    /// 8 blocks of two 3×3 convolutions.
    Resnet18,
    /// 16 blocks of two 3×3 convolutions.
    Resnet34,
    /// 16 bottlenecks.
    Resnet50,
    /// 33 bottlenecks.
    Resnet101,
    /// 50 bottlenecks.
    Resnet152,
}

impl Backbone {
    /// The word of the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Resnet18 => "resnet18",
            Self::Resnet34 => "resnet34",
            Self::Resnet50 => "resnet50",
            Self::Resnet101 => "resnet101",
            Self::Resnet152 => "resnet152",
        }
    }
}

/// The sizes of a [`ResNet`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResNetSize {
    /// Depth, hence kind and number of blocks.
    pub backbone: Backbone,
    /// Channels of the first stage; each later one has twice as many. 64 in the papers.
    pub width: usize,
}

impl ResNetSize {
    /// Width of the feature: 512 for 18 and 34 layers, 2,048 for more, at the papers' width of 64.
    pub fn features(self) -> usize {
        8 * self.width * self.expansion() // 2³ of three doublings
    }

    fn expansion(self) -> usize {
        match self.backbone {
            Backbone::Resnet18 | Backbone::Resnet34 => 1,
            Backbone::Resnet50 | Backbone::Resnet101 | Backbone::Resnet152 => 4,
        }
    }

    /// Blocks of the four stages.
    fn blocks(self) -> [usize; 4] {
        match self.backbone {
            Backbone::Resnet18 => [2, 2, 2, 2],
            Backbone::Resnet34 | Backbone::Resnet50 => [3, 4, 6, 3],
            Backbone::Resnet101 => [3, 4, 23, 3],
            Backbone::Resnet152 => [3, 8, 36, 3],
        }
    }
}

/// A residual block: two 3×3 (18 and 34 layers), or 1×1, 3×3, 1×1 to four times the channels.
#[derive(Module, Debug)]
pub struct Block {
    conv1: Conv2d,
    bn1: BatchNorm,
    conv2: Conv2d,
    bn2: BatchNorm,
    conv3: Option<Conv2d>,
    bn3: Option<BatchNorm>,
    /// Where the block changes its input's shape.
    downsample: Option<(Conv2d, BatchNorm)>,
}

impl Block {
    /// `inputs` → `planes` · expansion channels; `path` is the block's full name.
    pub fn new(path: &str, [inputs, planes, expansion]: [usize; 3], stride: usize, init: Init<'_>) -> Self {
        let outputs = planes * expansion;
        let conv = |name: &str, inputs, outputs, kernel: usize, stride| {
            let size = ConvSize { inputs, outputs, kernel, stride, padding: kernel / 2 };
            Conv2d::he_normal(&format!("{path}.{name}"), size, init)
        };
        let bottleneck = expansion > 1;
        let (conv1, conv2) = match bottleneck {
            true => (conv("conv1", inputs, planes, 1, 1), conv("conv2", planes, planes, 3, stride)),
            false => (conv("conv1", inputs, planes, 3, stride), conv("conv2", planes, planes, 3, 1)),
        };
        let reshapes = stride > 1 || inputs != outputs;
        Self {
            conv1,
            bn1: BatchNorm::new(planes, init),
            conv2,
            bn2: BatchNorm::new(planes, init),
            conv3: bottleneck.then(|| conv("conv3", planes, outputs, 1, 1)),
            bn3: bottleneck.then(|| BatchNorm::new(outputs, init)),
            downsample: reshapes
                .then(|| (conv("downsample.0", inputs, outputs, 1, stride), BatchNorm::new(outputs, init))),
        }
    }

    /// `[batch, inputs, height, width]` → `[batch, outputs, ⌈height / stride⌉, ⌈width / stride⌉]`.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let mut y = relu(self.bn1.forward(self.conv1.forward(x.clone())));
        y = self.bn2.forward(self.conv2.forward(y));
        if let (Some(conv3), Some(bn3)) = (&self.conv3, &self.bn3) {
            y = bn3.forward(conv3.forward(relu(y)));
        }
        let shortcut = match &self.downsample {
            Some((conv, norm)) => norm.forward(conv.forward(x)),
            None => x,
        };
        relu(y + shortcut)
    }
}

/// The network without its classifier.
#[derive(Module, Debug)]
pub struct ResNet {
    conv1: Conv2d,
    bn1: BatchNorm,
    layer1: Vec<Block>,
    layer2: Vec<Block>,
    layer3: Vec<Block>,
    layer4: Vec<Block>,
}

impl ResNet {
    /// With torchvision's initial weights.
    pub fn new(size: ResNetSize, init: Init<'_>) -> Self {
        let (expansion, blocks) = (size.expansion(), size.blocks());
        let stage = |number: usize| -> Vec<Block> {
            let planes = size.width << number;
            let before = match number {
                0 => size.width,
                _ => planes / 2 * expansion,
            };
            let block = |index: usize| {
                let (inputs, stride) = match index {
                    0 => (before, if number == 0 { 1 } else { 2 }),
                    _ => (planes * expansion, 1),
                };
                let path = format!("layer{}.{index}", number + 1);
                Block::new(&path, [inputs, planes, expansion], stride, init)
            };
            (0..blocks[number]).map(block).collect()
        };
        let stem = ConvSize { inputs: 1, outputs: size.width, kernel: 7, stride: 2, padding: 3 };
        Self {
            conv1: Conv2d::he_normal("conv1", stem, init),
            bn1: BatchNorm::new(size.width, init),
            layer1: stage(0),
            layer2: stage(1),
            layer3: stage(2),
            layer4: stage(3),
        }
    }

    /// `[batch, 1, mel, frames]` → penultimate features `[batch, features]`.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<2> {
        let x = relu(self.bn1.forward(self.conv1.forward(x))); // [batch, width, mel/2, frames/2]
        let pool = MaxPoolOptions::new([3, 3]).with_stride([2, 2]).with_padding_pairs([(1, 1), (1, 1)]);
        let mut x = max_pool2d(x, pool); // [batch, width, mel/4, frames/4]
        for block in [&self.layer1, &self.layer2, &self.layer3, &self.layer4].into_iter().flatten() {
            x = block.forward(x);
        }
        let [batch, channels, height, width] = x.dims(); // mel/32, frames/32
        x.reshape([batch, channels, height * width]).mean_dim(2).reshape([batch, channels])
    }
}
