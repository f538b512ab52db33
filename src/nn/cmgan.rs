//! Placeholder.
use burn::module::{Module, Param};
use burn::tensor::Tensor;

use super::init::Init;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CmganSize {
    pub channels: usize,
    pub blocks: usize,
    pub n_fft: usize,
    pub hop_samples: usize,
}

#[derive(Debug, Clone, Copy)]
pub enum Pass {
    Evaluate,
    Train { dropout: u64 },
}

#[derive(Debug)]
pub struct Separated {
    pub wave: Tensor<2>,
    pub spectrum: Tensor<4>,
    pub rms: Tensor<2>,
}

#[derive(Debug)]
pub struct Below;

#[derive(Module, Debug)]
pub struct Cmgan {
    weight: Param<Tensor<2>>,
    #[module(skip)]
    size: [usize; 4],
}

impl Cmgan {
    pub fn new(size: CmganSize, init: Init<'_>) -> Self {
        let CmganSize { channels, blocks, n_fft, hop_samples } = size;
        Self { weight: init.uniform("weight", [1, 1], 1.0), size: [channels, blocks, n_fft, hop_samples] }
    }

    pub fn separate(&self, mixture: Tensor<2>, _pass: Pass) -> Separated {
        let rms = mixture.clone().square().mean_dim(1).sqrt();
        let wave = mixture * self.weight.val();
        let spectrum = self.spectrum(wave.clone(), rms.clone());
        Separated { wave, spectrum, rms }
    }

    pub fn separate_in_segments(&self, mixture: Tensor<2>, pass: Pass) -> (Separated, Below) {
        (self.separate(mixture, pass), Below)
    }

    pub fn points(&self, wave: Tensor<2>, _pass: Pass) -> Vec<Tensor<4>> {
        let [channels, blocks, n_fft, hop] = self.size;
        let [batch, samples] = wave.dims();
        let map = (wave * self.weight.val()).narrow(1, 0, samples / hop).unsqueeze_dim::<3>(1);
        let map = map.unsqueeze_dim::<4>(3).expand([batch, channels, samples / hop, n_fft / 4 + 1]);
        vec![map; blocks + 1]
    }

    pub fn spectrum(&self, wave: Tensor<2>, rms: Tensor<2>) -> Tensor<4> {
        let [batch, samples] = wave.dims();
        (wave / rms).reshape([batch, 2, samples / 8, 4])
    }
}
