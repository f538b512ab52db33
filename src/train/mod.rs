//! The one training loop: AdamW, StepLR, checkpoints, resume, the weights of the lowest training loss.

mod adamw;
mod checkpoint;
mod interrupt;
mod metrics;
mod prefetch;

pub use adamw::AdamW;
pub use interrupt::Interrupt;
pub use metrics::EpochLine;

use std::time::{Duration, Instant};

use burn::module::Module;
use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::{Device, Tensor};

use crate::config::TrainConfig;
use crate::files::{self, Durability};
use crate::nn::{kernels, weights};
use crate::process;
use crate::run::RunFolder;
use crate::task::{self, ProxyTask};
use checkpoint::{Best, Checkpoint};
use metrics::Metrics;

/// Losses that may wait on a GPU before they are fetched: fetching one stalls it.
const PENDING_LOSSES: usize = 64;

/// Why a training stopped without a result.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The data could not be read.
    #[error(transparent)]
    Task(#[from] task::Error),
    /// A file could not be written or read.
    #[error(transparent)]
    File(#[from] files::Error),
    /// The weights could not be written.
    #[error("failed to write the weights: {0}")]
    Weights(#[from] weights::Error),
    /// The resume state could not be made or used.
    #[error("failed to {action} the checkpoint {path}: {why}; remove it to start the run from its beginning")]
    Checkpoint {
        /// `write` or `resume from`.
        action: &'static str,
        /// The file.
        path: String,
        /// What is wrong.
        why: String,
    },
    /// The loss is not a number any more.
    #[error(
        "the training loss became {loss} in epoch {epoch}, batches {first_batch} to {last_batch}; \
         lower train.optimizer.lr (now {lr:e}) or look for broken clips with `asdbench data`"
    )]
    Diverged {
        /// The loss.
        loss: f64,
        /// From 1.
        epoch: usize,
        /// From 1: losses are looked at in groups.
        first_batch: usize,
        /// From 1.
        last_batch: usize,
        /// The learning rate then.
        lr: f64,
    },
    /// The device failed.
    #[error("the device failed during training: {0}; try a smaller train.batch_size or --device cpu")]
    Device(String),
}

/// How a training ended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outcome {
    /// Whether all epochs were trained; else the user stopped it and a checkpoint waits.
    pub finished: bool,
    /// Epochs trained.
    pub epochs: usize,
    /// The lowest mean training loss of an epoch, and that epoch (from 1).
    pub best: Option<(f64, usize)>,
}

/// What a training tells while it runs.
pub trait Observer {
    /// Resumed: epochs and batches that were done before.
    fn resumed(&mut self, epochs: usize, batches: usize);
    /// One batch is done; `loss` is the mean of the epoch so far where it is known.
    fn batch(&mut self, epoch: usize, batch: usize, loss: Option<f64>);
    /// An epoch is done.
    fn epoch(&mut self, line: &EpochLine);
}

/// All that one training needs.
pub struct Training<'a, T: ProxyTask> {
    /// The family.
    pub task: &'a T,
    /// `[train]`.
    pub config: &'a TrainConfig,
    /// Seed of every draw.
    pub seed: u64,
    /// Inference device; the loop adds gradients.
    pub device: &'a Device,
    /// Where to write.
    pub folder: &'a RunFolder,
    /// Metadata of the weights: what inference needs to know, as JSON.
    pub metadata: String,
    /// Asks whether to stop.
    pub interrupt: &'a Interrupt,
}

/// What changes from step to step.
struct State<N> {
    net: N,
    optimizer: ModuleOptimizer,
    /// Full epochs done.
    epoch: usize,
    /// Batches done in the current epoch.
    batch: usize,
    /// Sum of losses × examples, and of examples, in the current epoch.
    loss_sum: f64,
    examples: f64,
    best: Option<Best>,
}

impl<T: ProxyTask> Training<'_, T> {
    /// Train to the end, or until the user stops it; resumes from a checkpoint where there is one.
    ///
    /// # Errors
    /// When data, disk or device fail, or the loss is not a number; the last checkpoint stays.
    pub fn run(&self, observer: &mut dyn Observer) -> Result<Outcome, Error> {
        let device = self.device.clone().autodiff();
        let _awake = kernels::serve(&device).then(process::keep_awake);
        let mut state = self.start(&device)?;
        let mut metrics = Metrics::open(&self.folder.metrics(), state.epoch)?;
        if state.epoch > 0 || state.batch > 0 {
            observer.resumed(state.epoch, state.batch);
        }
        let mut saved = Instant::now();
        while state.epoch < self.config.epochs {
            let finished = self.epoch(&mut state, &device, &mut saved, observer, &mut metrics)?;
            if !finished {
                metrics.sync()?;
                self.save(&state)?;
                return Ok(Outcome { finished: false, epochs: state.epoch, best: best(&state) });
            }
            if self.due(saved) && state.epoch < self.config.epochs {
                metrics.sync()?;
                self.save(&state)?;
                saved = Instant::now();
            }
        }
        self.finish(&state)?;
        Ok(Outcome { finished: true, epochs: state.epoch, best: best(&state) })
    }

    fn due(&self, saved: Instant) -> bool {
        saved.elapsed()
            >= Duration::try_from_secs_f64(self.config.checkpoint_every_s).unwrap_or(Duration::MAX)
    }

    fn start(&self, device: &Device) -> Result<State<T::Net>, Error> {
        let optimizer = ModuleOptimizer::from(AdamW::new(&self.config.optimizer));
        let net = self.task.init(self.seed, device);
        match Checkpoint::read(&self.folder.checkpoint())? {
            Some(checkpoint) => checkpoint.restore(net, optimizer),
            None => {
                Ok(State { net, optimizer, epoch: 0, batch: 0, loss_sum: 0.0, examples: 0.0, best: None })
            }
        }
    }

    /// The rest of one epoch; `false` when the user stopped it.
    fn epoch(
        &self,
        state: &mut State<T::Net>,
        device: &Device,
        saved: &mut Instant,
        observer: &mut dyn Observer,
        metrics: &mut Metrics,
    ) -> Result<bool, Error> {
        let started = Instant::now();
        let lr = self.learning_rate(state.epoch);
        let order = self.task.order(self.seed, state.epoch);
        let mut pending = Pending { lr, ..Pending::default() };
        let examples_before = state.examples;
        let batches = state.batch..self.task.batches();
        let stopped = prefetch::each(self.task, &order, batches, |batch| {
            let examples = self.task.examples(&batch);
            let loss = self.task.loss(&state.net, batch, device);
            let gradients = GradientsParams::from_grads(loss.backward(), &state.net);
            // The optimiser takes the network and gives it back.
            state.net = state.optimizer.step(lr, state.net.clone(), gradients);
            pending.losses.push((loss.detach(), examples as f64));
            state.batch += 1;
            let save = self.due(*saved);
            let stop = self.interrupt.requested();
            if save || stop || pending.losses.len() >= PENDING_LOSSES || kernels::serve(device) {
                pending.settle(state)?;
            }
            let mean = (state.examples > 0.0).then(|| state.loss_sum / state.examples);
            observer.batch(state.epoch, state.batch, mean);
            if save && !stop {
                metrics.sync()?;
                self.save(state)?;
                *saved = Instant::now();
            }
            Ok(stop)
        })?;
        pending.settle(state)?;
        if stopped && state.batch < self.task.batches() {
            return Ok(false);
        }
        let loss = state.loss_sum / state.examples;
        let is_best = state.best.as_ref().is_none_or(|best| loss < best.loss);
        state.epoch += 1;
        if is_best {
            state.best = Some(Best { loss, epoch: state.epoch, record: state.net.clone().into_record() });
        }
        let seconds = started.elapsed().as_secs_f64();
        let rate = (state.examples - examples_before) / seconds;
        let line = EpochLine { epoch: state.epoch, loss, lr, best: is_best, seconds, examples_per_s: rate };
        (state.batch, state.loss_sum, state.examples) = (0, 0.0, 0.0);
        metrics.append(&line)?;
        observer.epoch(&line);
        Ok(!stopped || state.epoch == self.config.epochs)
    }

    /// StepLR: multiplied by gamma every `step_epochs` epochs.
    fn learning_rate(&self, epoch: usize) -> f64 {
        let schedule = &self.config.schedule;
        let steps = i32::try_from(epoch / schedule.step_epochs).unwrap_or(i32::MAX);
        self.config.optimizer.lr * schedule.gamma.powi(steps)
    }

    fn save(&self, state: &State<T::Net>) -> Result<(), Error> {
        Checkpoint::of(state)?.write(&self.folder.checkpoint())
    }

    /// Write the best weights.
    fn finish(&self, state: &State<T::Net>) -> Result<(), Error> {
        let best = match &state.best {
            Some(best) => state.net.clone().load_record(best.record.clone()),
            None => state.net.clone(),
        };
        let bytes = weights::to_safetensors(&best, self.metadata.clone())?;
        files::write(&self.folder.model(), &bytes, Durability::Flushed)?;
        Ok(())
    }
}

fn best<N>(state: &State<N>) -> Option<(f64, usize)> {
    state.best.as_ref().map(|best| (best.loss, best.epoch))
}

/// Losses that have not been fetched from the device.
#[derive(Default)]
struct Pending {
    losses: Vec<(Tensor<1>, f64)>,
    lr: f64,
}

impl Pending {
    /// Add them to the epoch's sum, in order.
    fn settle<N>(&mut self, state: &mut State<N>) -> Result<(), Error> {
        if self.losses.is_empty() {
            return Ok(());
        }
        let first_batch = state.batch + 1 - self.losses.len();
        let (tensors, examples): (Vec<_>, Vec<_>) = self.losses.drain(..).unzip();
        let data = Tensor::cat(tensors, 0).try_into_data().map_err(|e| Error::Device(e.to_string()))?;
        let losses =
            data.convert::<f32>().try_into_vec::<f32>().map_err(|e| Error::Device(format!("{e:?}")))?;
        for (loss, examples) in losses.into_iter().zip(examples) {
            if !loss.is_finite() {
                return Err(Error::Diverged {
                    loss: f64::from(loss),
                    epoch: state.epoch + 1,
                    first_batch,
                    last_batch: state.batch,
                    lr: self.lr,
                });
            }
            state.loss_sum += f64::from(loss) * examples;
            state.examples += examples;
        }
        Ok(())
    }
}
