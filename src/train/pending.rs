//! Losses and signals on their way from the device to the host, and the first loss that is no number.

use burn::tensor::Tensor;

use super::{Error, State};

/// Clips of a batch that an error names; the others are counted.
const NAMED: usize = 12;

/// A loss that is NaN or infinite.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NotANumber {
    /// The loss.
    pub loss: f64,
    /// Which part of the epoch, from 0; without `train.accumulate` parts are batches.
    pub part: usize,
}

/// Losses and signals that have not been fetched from the device.
#[derive(Default)]
pub struct Pending {
    pub steps: Vec<(Tensor<1>, Option<Tensor<1>>, f64)>,
}

impl Pending {
    /// Add them to the epoch's sums, in order. Each step's loss is looked at for itself, however many waited together, so
    /// that the step that broke is known.
    pub fn settle<N>(
        &mut self,
        state: &mut State<N>,
        diverged: impl FnOnce(NotANumber) -> Error,
    ) -> Result<(), Error> {
        if self.steps.is_empty() {
            return Ok(());
        }
        let first_part = state.batch - self.steps.len();
        let (mut tensors, mut weights) = (Vec::new(), Vec::new());
        for (loss, signals, examples) in self.steps.drain(..) {
            tensors.push(loss);
            tensors.extend(signals);
            weights.push(examples);
        }
        let data = Tensor::cat(tensors, 0).try_into_data().map_err(|e| Error::Device(e.to_string()))?;
        let values =
            data.convert::<f32>().try_into_vec::<f32>().map_err(|e| Error::Device(format!("{e:?}")))?;
        // Every step has as many signals.
        let width = values.len() / weights.len();
        state.signal_sums.resize(width - 1, 0.0);
        for (step, (values, examples)) in values.chunks_exact(width).zip(weights).enumerate() {
            let loss = f64::from(values[0]);
            if !loss.is_finite() {
                return Err(diverged(NotANumber { loss, part: first_part + step }));
            }
            state.loss_sum += loss * examples;
            state.examples += examples;
            for (sum, value) in state.signal_sums.iter_mut().zip(&values[1..]) {
                *sum += f64::from(*value) * examples;
            }
        }
        Ok(())
    }
}

/// Some clips' names, and how many more there are.
pub fn in_words(clips: &[String]) -> String {
    let named = clips.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
    match clips.len().saturating_sub(NAMED) {
        0 => named,
        more => format!("{named} and {more} more clips"),
    }
}

#[cfg(test)]
mod tests {
    use burn::optim::ModuleOptimizer;
    use burn::tensor::Device;

    use super::*;
    use crate::nn::adamw::{AdamW, AdamWSettings};
    use crate::nn::precision::Precision;
    use crate::train::gradients::LossScale;

    fn state(batch: usize) -> State<()> {
        State {
            net: (),
            optimizer: ModuleOptimizer::from(AdamW::new(AdamWSettings {
                beta1: 0.9,
                beta2: 0.999,
                epsilon: 1e-8,
                weight_decay: 0.0,
            })),
            epoch: 0,
            batch,
            loss_sum: 0.0,
            examples: 0.0,
            signal_sums: Vec::new(),
            loss_scale: LossScale::of(Precision::F32),
            best: None,
        }
    }

    fn pending(losses: &[f32]) -> Pending {
        let scalar = |value: f32| Tensor::<1>::from_floats([value], &Device::flex());
        Pending { steps: losses.iter().map(|&loss| (scalar(loss), Some(scalar(1.0)), 2.0)).collect() }
    }

    #[test]
    fn the_first_loss_that_is_no_number_is_told_from_those_that_waited_with_it() {
        for broken in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut state = state(7);
            let mut found = None;
            let result = pending(&[1.0, 2.0, broken, f32::NAN]).settle(&mut state, |of| {
                found = Some(of);
                Error::Overflow
            });
            assert!(matches!(result, Err(Error::Overflow)));
            // Parts 3 to 6 waited.
            let found = found.unwrap();
            assert_eq!((found.part, found.loss.to_bits()), (5, f64::from(broken).to_bits()));
        }
        let mut state = state(2);
        pending(&[1.0, 3.0]).settle(&mut state, |_| Error::Overflow).unwrap();
        assert_eq!((state.loss_sum, state.examples, state.signal_sums), (8.0, 4.0, vec![4.0]));
    }

    #[test]
    fn many_clips_are_counted() {
        let clips: Vec<String> = (0..14).map(|n| format!("{n}.wav")).collect();
        assert_eq!(in_words(&clips[..2]), "0.wav, 1.wav");
        assert!(in_words(&clips).ends_with("10.wav, 11.wav and 2 more clips"));
    }
}
