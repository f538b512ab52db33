//! CMGAN's generator (Cao et al., arXiv 2203.15149 and 2209.11112) as a separator of machine sounds, with any number of
//! two-stage conformer blocks (study, section III-D).
//!
//! ```text
//! [batch, samples] → / RMS → STFT, |X|^0.3 → [batch, 3 (|X|, re, im), T, F]
//!                  → dense encoder → [batch, C, T, F'] → blocks → mask decoder    → × |X|, phase of X ┐
//!                                                              → complex decoder → re, im            ┴ + → inverse
//! ```
//!
//! T = 1 + samples / hop, F = n_fft / 2 + 1, F' = ⌈F / 2⌉. Names of parameters are the reference's, so that its weights
//! load unmapped. The metric discriminator is not needed here.

mod conformer;
mod dense;
mod norm;
mod pass;
mod rows;
mod segments;
mod spectrum;
#[cfg(test)]
mod tests;

pub use conformer::{Attention, Conformer, ConformerSize, Steps};
pub use dense::{ComplexDecoder, DenseEncoder, DilatedDense, MaskDecoder, SubPixel};
pub use pass::Pass;
pub use spectrum::{EXPONENT, Stft, compress, expand, magnitude, rms};

use burn::module::Module;
use burn::tensor::Tensor;

use super::init::Init;

/// Maps of a spectrum: its magnitude, its real part, its imaginary part.
const INPUTS: usize = 3;
/// Heads of each attention; they divide the channels.
pub const HEADS: usize = 4;
/// Rows that a conformer's convolution reads.
const KERNEL: usize = 31;
/// Largest distance that relative positions tell apart.
const REACH: usize = 512;

/// The sizes of a [`Cmgan`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CmganSize {
    /// Channels of every map; a multiple of [`HEADS`]. 64 in the paper.
    pub channels: usize,
    /// Two-stage conformer blocks; 4 in the paper.
    pub blocks: usize,
    /// Samples of a transform, 400 in the paper; even.
    pub n_fft: usize,
    /// Samples between two transforms, 100 in the paper; divides `n_fft`.
    pub hop_samples: usize,
    /// Share of values that fall in the conformers while training; 0.2 in the paper.
    pub dropout: f32,
}

/// A two-stage conformer block: along time, then along frequency.
#[derive(Module, Debug)]
pub struct Tscb {
    time_conformer: Conformer,
    freq_conformer: Conformer,
}

impl Tscb {
    /// `path` is the block's full name.
    pub fn new(path: &str, size: ConformerSize, init: Init<'_>) -> Self {
        Self {
            time_conformer: Conformer::new(&format!("{path}.time_conformer"), size, init),
            freq_conformer: Conformer::new(&format!("{path}.freq_conformer"), size, init),
        }
    }

    /// `[batch, channels, time, frequency]` → the same shape.
    pub fn forward(&self, x: Tensor<4>, pass: Pass) -> Tensor<4> {
        let [batch, channels, time, frequency] = x.dims();
        let x = x.permute([0, 3, 2, 1]).reshape([batch * frequency, time, channels]);
        let x = self.time_conformer.forward(x.clone(), pass.within(0)) + x;
        let x = x.reshape([batch, frequency, time, channels]).swap_dims(1, 2);
        let x = x.reshape([batch * time, frequency, channels]);
        let x = self.freq_conformer.forward(x.clone(), pass.within(1)) + x;
        x.reshape([batch, time, frequency, channels]).permute([0, 3, 1, 2])
    }
}

/// The generator.
#[derive(Module, Debug)]
pub struct Cmgan {
    dense_encoder: DenseEncoder,
    /// The two-stage conformer blocks.
    tscbs: Vec<Tscb>,
    mask_decoder: MaskDecoder,
    complex_decoder: ComplexDecoder,
    #[module(skip)]
    stft: Stft,
}

/// What the network takes for the target.
#[derive(Debug, Clone)]
pub struct Separated {
    /// The estimate, `[batch, samples]`, at the mixture's level as the network has it; a loss that knows no level leaves
    /// it open.
    pub wave: Tensor<2>,
    /// Its compressed spectrum, real and imaginary parts `[batch, 2, T, F]`, in units of the mixture's RMS.
    pub spectrum: Tensor<4>,
    /// The mixture's RMS, `[batch, 1]`.
    pub rms: Tensor<2>,
}

/// A mixture as the network sees it.
struct Analysed {
    /// Compressed spectrum, `[batch, 2, T, F]`.
    spectrum: Tensor<4>,
    rms: Tensor<2>,
    samples: usize,
}

impl Cmgan {
    /// With PyTorch's initial weights.
    ///
    /// # Panics
    /// When the channels are no multiple of [`HEADS`] or the hop does not divide the transform.
    pub fn new(size: CmganSize, init: Init<'_>) -> Self {
        let CmganSize { channels, blocks, n_fft, hop_samples, dropout } = size;
        assert!(channels > 0 && channels.is_multiple_of(HEADS), "{channels} channels for {HEADS} heads");
        let stft = Stft::new(n_fft, hop_samples);
        let conformer = ConformerSize { dim: channels, heads: HEADS, kernel: KERNEL, reach: REACH, dropout };
        let block = |index: usize| Tscb::new(&format!("TSCB_{}", index + 1), conformer, init);
        Self {
            dense_encoder: DenseEncoder::new(INPUTS, channels, init),
            tscbs: (0..blocks).map(block).collect(),
            mask_decoder: MaskDecoder::new(channels, stft.bins(), init),
            complex_decoder: ComplexDecoder::new(channels, init),
            stft,
        }
    }

    /// The target in each mixture `[batch, samples]`.
    pub fn separate(&self, mixture: Tensor<2>, pass: Pass) -> Separated {
        let analysed = self.analyse(mixture);
        let x = self.transform(self.encode(analysed.spectrum.clone()), pass);
        self.decode(x, &analysed)
    }

    /// The generator alone: compressed spectra, real and imaginary parts `[batch, 2, T, F]` → the target's.
    pub fn forward(&self, spectrum: Tensor<4>, pass: Pass) -> Tensor<4> {
        let x = self.transform(self.encode(spectrum.clone()), pass);
        self.decode_spectrum(x, spectrum)
    }

    /// The outputs of the encoder and of each block for waves `[batch, samples]`: `[batch, C, T, F']` each.
    pub fn points(&self, wave: Tensor<2>, pass: Pass) -> Vec<Tensor<4>> {
        self.maps(self.analyse(wave).spectrum, pass)
    }

    /// As [`Cmgan::points`], of compressed spectra `[batch, 2, T, F]`.
    pub fn maps(&self, spectrum: Tensor<4>, pass: Pass) -> Vec<Tensor<4>> {
        let mut maps = vec![self.encode(spectrum)];
        for (index, block) in self.tscbs.iter().enumerate() {
            maps.extend(maps.last().cloned().map(|x| block.forward(x, pass.within(index as u64))));
        }
        maps
    }

    /// Compressed spectra of waves `[batch, samples]` in units of `rms` `[batch, 1]`: `[batch, 2, T, F]`.
    pub fn spectrum(&self, wave: Tensor<2>, rms: Tensor<2>) -> Tensor<4> {
        compress(self.stft.forward(wave / rms))
    }

    fn analyse(&self, wave: Tensor<2>) -> Analysed {
        let (rms, samples) = (rms(wave.clone()), wave.dims()[1]);
        Analysed { spectrum: self.spectrum(wave, rms.clone()), rms, samples }
    }

    fn encode(&self, spectrum: Tensor<4>) -> Tensor<4> {
        self.dense_encoder.forward(Tensor::cat(vec![magnitude(spectrum.clone()), spectrum], 1))
    }

    fn transform(&self, x: Tensor<4>, pass: Pass) -> Tensor<4> {
        let blocks = self.tscbs.iter().enumerate();
        blocks.fold(x, |x, (index, block)| block.forward(x, pass.within(index as u64)))
    }

    fn decode_spectrum(&self, x: Tensor<4>, spectrum: Tensor<4>) -> Tensor<4> {
        // A factor of both parts leaves the phase as it is.
        self.mask_decoder.forward(x.clone()) * spectrum + self.complex_decoder.forward(x)
    }

    fn decode(&self, x: Tensor<4>, analysed: &Analysed) -> Separated {
        let Analysed { spectrum, rms, samples } = analysed;
        let spectrum = self.decode_spectrum(x, spectrum.clone());
        let wave = self.stft.inverse(expand(spectrum.clone()), *samples) * rms.clone();
        Separated { wave, spectrum, rms: rms.clone() }
    }
}
