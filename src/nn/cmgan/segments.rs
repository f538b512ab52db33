//! A training step that keeps the inputs of encoder, blocks and decoders only (Chen et al., arXiv 1604.06174). When the
//! gradients come to them, the encoder and a block's conformer along frequency run a second time, with a graph, the one
//! along time a third time, because the input of the other is made again first.
//!
//! Where an attention's logits, the largest tensors of all, would be kept for its gradients, it runs once more, some
//! sequences at once.

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::{Gradients, Tensor};

use super::{Cmgan, Conformer, Pass, Separated, Tscb};
use crate::nn::below::Below;

impl Cmgan {
    /// As [`Cmgan::separate`] of a mixture on an autodiff device; the graph of the result ends at the last block.
    pub fn separate_in_segments(&self, mixture: Tensor<2>, pass: Pass) -> (Separated, Below) {
        let plain = self.valid();
        let analysed = self.analyse(mixture);
        let spectrum = analysed.spectrum.clone().inner();
        // Batch statistics without learning: the second time counts.
        let maps = plain.maps(spectrum.clone(), pass);
        let top = leaf(maps.last().cloned().unwrap_or_else(|| plain.encode(spectrum.clone())));
        let separated = self.decode(top.clone(), &analysed);
        let net = self.clone();
        let below = move |of_loss: &mut Gradients| {
            let mut found = Vec::new();
            let Some(mut gradient) = top.grad_remove(of_loss) else {
                return found;
            };
            let mut inputs = maps;
            inputs.pop();
            for (index, (block, input)) in net.tscbs.iter().zip(inputs).enumerate().rev() {
                gradient = block.backward(input, gradient, pass.within(index as u64), &mut found);
            }
            let output = net.encode(Tensor::from_inner(spectrum));
            found.push(parameters(backward(output, gradient), &net.dense_encoder));
            found
        };
        (separated, Below::new(below))
    }
}

/// A tensor that gradients are wanted at.
fn leaf<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    Tensor::from_inner(x).require_grad()
}

/// The gradients below `output`, where `gradient` arrives at it.
fn backward<const D: usize>(output: Tensor<D>, gradient: Tensor<D>) -> Gradients {
    (output * Tensor::from_inner(gradient)).sum().backward()
}

fn parameters<M: Module>(mut gradients: Gradients, module: &M) -> GradientsParams {
    GradientsParams::from_module(&mut gradients, module)
}

/// The gradient at a leaf, zero where the graph does not reach it.
fn at<const D: usize>(leaf: &Tensor<D>, gradients: &mut Gradients) -> Tensor<D> {
    leaf.grad_remove(gradients).unwrap_or_else(|| leaf.clone().inner().zeros_like())
}

impl Tscb {
    /// Gradient at the input, on a device without graph; those of the parameters are added to `found`.
    fn backward(
        &self,
        input: Tensor<4>,
        gradient: Tensor<4>,
        pass: Pass,
        found: &mut Vec<GradientsParams>,
    ) -> Tensor<4> {
        let [batch, channels, time, frequency] = input.dims();
        let by_time = |x: Tensor<4>| x.permute([0, 3, 2, 1]).reshape([batch * frequency, time, channels]);
        let by_frequency =
            |x: Tensor<4>| x.permute([0, 2, 3, 1]).reshape([batch * time, frequency, channels]);
        let (first, second) = (pass.within(0), pass.within(1));

        let x = by_time(input);
        let middle = self.time_conformer.valid().forward(x.clone(), first) + x.clone();
        let turned = middle.reshape([batch, frequency, time, channels]).swap_dims(1, 2);
        let turned = turned.reshape([batch * time, frequency, channels]);

        let arriving = by_frequency(gradient);
        let through = self.freq_conformer.backward(turned, arriving.clone(), second, found);
        let turned = (through + arriving).reshape([batch, time, frequency, channels]).swap_dims(1, 2);
        let arriving = turned.reshape([batch * frequency, time, channels]);
        let through = self.time_conformer.backward(x, arriving.clone(), first, found);
        (through + arriving).reshape([batch, frequency, time, channels]).permute([0, 3, 2, 1])
    }
}

impl Conformer {
    /// As [`Tscb::backward`], of `[sequences, length, dim]`.
    pub(super) fn backward(
        &self,
        input: Tensor<3>,
        gradient: Tensor<3>,
        pass: Pass,
        found: &mut Vec<GradientsParams>,
    ) -> Tensor<3> {
        let [sequences, length, _] = input.dims();
        let at_once = self.sequences_at_once(&input.device(), length);
        if at_once < sequences {
            return self.backward_in_parts(input, gradient, pass, at_once, found);
        }
        let entry = leaf(input);
        let mut gradients = backward(self.forward(entry.clone(), pass), gradient);
        let through = at(&entry, &mut gradients);
        found.push(parameters(gradients, self));
        through
    }

    /// With graphs of `at_once` sequences' attention at a time.
    pub(super) fn backward_in_parts(
        &self,
        input: Tensor<3>,
        gradient: Tensor<3>,
        pass: Pass,
        at_once: usize,
        found: &mut Vec<GradientsParams>,
    ) -> Tensor<3> {
        let [sequences, length, dim] = input.dims();
        let rows = |x: Tensor<3>| x.reshape([sequences * length, dim]);
        let entry = leaf(rows(input));
        let early = self.before_attention(entry.clone(), pass);
        let parts: Vec<(usize, usize)> = (0..sequences)
            .step_by(at_once)
            .map(|first| (first * length, at_once.min(sequences - first) * length))
            .collect();
        let early_plain = early.clone().inner();
        let part = |(first, count): (usize, usize)| early_plain.clone().narrow(0, first, count);
        let plain = self.valid();
        let attended = parts.iter().map(|&rows| plain.attend(part(rows), length)).collect();
        let (residual, attended) = (leaf(early_plain.clone()), leaf(Tensor::cat(attended, 0)));
        let output = self.after_attention(residual.clone(), attended.clone(), length, pass);
        let mut gradients = backward(output, rows(gradient));
        let (beside, arriving) = (at(&residual, &mut gradients), at(&attended, &mut gradients));
        found.push(parameters(gradients, self));

        let of_parts = parts.iter().map(|&(first, count)| {
            let entry = leaf(part((first, count)));
            let output = self.attend(entry.clone(), length);
            let mut gradients = backward(output, arriving.clone().narrow(0, first, count));
            let through = at(&entry, &mut gradients);
            found.push(parameters(gradients, self));
            through
        });
        let of_parts = of_parts.collect();
        let mut gradients = backward(early, Tensor::cat(of_parts, 0) + beside);
        let through = at(&entry, &mut gradients);
        found.push(parameters(gradients, self));
        through.reshape([sequences, length, dim])
    }
}
