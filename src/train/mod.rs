//! The one training loop: AdamW, StepLR, checkpoints, resume, the weights of the lowest training loss.

mod checkpoint;
mod gradients;
mod interrupt;
mod metrics;
mod pending;
pub mod prefetch;

pub use interrupt::Interrupt;
pub use metrics::{EpochLine, epochs_in, read_epochs};

use std::time::{Duration, Instant};

use burn::module::Module;
use burn::optim::ModuleOptimizer;
use burn::tensor::Device;

use crate::config::TrainConfig;
use crate::files::{self, Durability};
use crate::nn::adamw::AdamW;
use crate::nn::init::Init;
use crate::nn::precision::Precision;
use crate::nn::{kernels, weights};
use crate::process;
use crate::run::RunFolder;
use crate::task::{self, ProxyTask};
use checkpoint::{Best, Checkpoint};
use gradients::{BatchGradients, LossScale, Treatment};
use metrics::Metrics;
use pending::{NotANumber, Pending};

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
    #[error("the training loss became {loss} in epoch {epoch}, {batch}, of {clips}; {remedy}")]
    Diverged {
        /// The loss.
        loss: f64,
        /// From 1.
        epoch: usize,
        /// Which, from 1, in words.
        batch: String,
        /// The clips that the batch was made of, in words.
        clips: String,
        /// What may help.
        remedy: String,
    },
    /// The last steps of a training broke the weights.
    #[error("after epoch {epoch} {what}: its last steps were too long; {remedy}")]
    BrokenWeights {
        /// From 1.
        epoch: usize,
        /// What is no number.
        what: String,
        /// What may help.
        remedy: String,
    },
    /// Half precision cannot hold the gradients.
    #[error("f16 overflows at every loss scale; train with train.precision = \"bf16\" or \"f32\"")]
    Overflow,
    /// The device does not compute in the number format that was asked for.
    #[error("the device does not compute in {0}; set train.precision = \"f32\" or choose another --device")]
    Precision(&'static str),
    /// The device failed.
    #[error(
        "the device failed during training: {0}; try a larger train.accumulate, train.checkpoint_blocks = true (separation), a smaller train.batch_size or --device cpu"
    )]
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

/// When the last checkpoint was written, and how long that took.
#[derive(Clone, Copy)]
struct LastSave {
    at: Instant,
    took: Duration,
}

/// What changes from step to step.
struct State<N> {
    net: N,
    optimizer: ModuleOptimizer,
    /// Full epochs done.
    epoch: usize,
    /// Batches done in the current epoch; with `train.accumulate` parts of them, and a multiple of it here.
    batch: usize,
    /// Sum of losses × examples, and of examples, in the current epoch.
    loss_sum: f64,
    examples: f64,
    /// Sums of signals × examples in the current epoch.
    signal_sums: Vec<f64>,
    loss_scale: LossScale,
    best: Option<Best>,
}

impl<T: ProxyTask> Training<'_, T> {
    /// Train to the end, or until the user stops it; resumes from a checkpoint where there is one.
    ///
    /// # Errors
    /// When data, disk or device fail, or the loss is not a number; the last checkpoint stays.
    pub fn run(&self, observer: &mut dyn Observer) -> Result<Outcome, Error> {
        let precision = self.config.precision;
        if !precision.serves(self.device) {
            return Err(Error::Precision(precision.name()));
        }
        let device = self.device.clone().autodiff();
        let _awake = kernels::serve(&device).then(process::keep_awake);
        let mut state = self.start(&device)?;
        let mut metrics = Metrics::open(&self.folder.metrics(), state.epoch)?;
        if state.epoch > 0 || state.batch > 0 {
            observer.resumed(state.epoch, state.batch);
        }
        let mut saved = LastSave { at: Instant::now(), took: Duration::ZERO };
        while state.epoch < self.config.epochs {
            let finished = self.epoch(&mut state, &device, &mut saved, observer, &mut metrics)?;
            if !finished {
                metrics.sync()?;
                self.save(&state)?;
                return Ok(Outcome { finished: false, epochs: state.epoch, best: best(&state) });
            }
            if self.due(saved) && state.epoch < self.config.epochs {
                metrics.sync()?;
                saved = self.timed_save(&state)?;
            }
        }
        // Their hash is the run's from here on, and no checkpoint could give them again.
        metrics.sync()?;
        self.finish(&state, &device)?;
        Ok(Outcome { finished: true, epochs: state.epoch, best: best(&state) })
    }

    /// Saving a large network takes seconds: it may take a twentieth of the time, unless every chance is asked for.
    fn due(&self, saved: LastSave) -> bool {
        let every = Duration::try_from_secs_f64(self.config.checkpoint_every_s).unwrap_or(Duration::MAX);
        saved.at.elapsed() >= if every.is_zero() { every } else { every.max(saved.took * 20) }
    }

    fn timed_save(&self, state: &State<T::Net>) -> Result<LastSave, Error> {
        let started = Instant::now();
        self.save(state)?;
        Ok(LastSave { at: Instant::now(), took: started.elapsed() })
    }

    fn start(&self, device: &Device) -> Result<State<T::Net>, Error> {
        let optimizer = ModuleOptimizer::from(AdamW::new(self.config.optimizer.adamw()));
        let net = self.task.net(Init::new(self.seed, device).with_precision(self.config.precision));
        match Checkpoint::read(&self.folder.checkpoint())? {
            Some(checkpoint) => checkpoint.restore(net, optimizer),
            None => {
                let (loss_scale, signal_sums) = (LossScale::of(self.config.precision), Vec::new());
                let (epoch, batch, loss_sum, examples, best) = (0, 0, 0.0, 0.0, None);
                Ok(State { net, optimizer, epoch, batch, loss_sum, examples, signal_sums, loss_scale, best })
            }
        }
    }

    /// The rest of one epoch; `false` when the user stopped it.
    fn epoch(
        &self,
        state: &mut State<T::Net>,
        device: &Device,
        saved: &mut LastSave,
        observer: &mut dyn Observer,
        metrics: &mut Metrics,
    ) -> Result<bool, Error> {
        let started = Instant::now();
        let lr = self.config.optimizer.lr * self.config.schedule.factor(state.epoch);
        let order = self.task.order(self.seed, state.epoch);
        let mut pending = Pending::default();
        let epoch = state.epoch;
        let diverged = |found: NotANumber| self.diverged(&order, epoch, &found);
        let examples_before = state.examples;
        let batches = state.batch..self.task.batches();
        let accumulate = self.config.accumulate;
        let (clip_norm, precision) = (self.config.clip_norm, self.config.precision);
        let treatment = Treatment { accumulate, clip_norm, precision };
        let mut gathered = BatchGradients::default();
        let stopped = prefetch::each(self.task, &order, batches.clone(), |batch| {
            let examples = self.task.examples(&batch) as f64;
            let step = self.task.step(&state.net, batch, device);
            pending.steps.push((step.loss.clone().detach(), step.signals, examples));
            let from = (step.loss, step.below);
            treatment.backward(&state.net, &mut gathered, from, examples, state.loss_scale);
            state.batch += 1;
            let whole = state.batch.is_multiple_of(accumulate) || state.batch == batches.end;
            if whole
                && let Some(gradients) = treatment.finish(&state.net, &mut gathered, &mut state.loss_scale)?
            {
                // The optimiser takes the network and gives it back.
                state.net = state.optimizer.step(lr, state.net.clone(), gradients);
            }
            // A part of a batch is nowhere to stop at.
            let save = whole && self.due(*saved);
            let stop = whole && self.interrupt.requested();
            if save || stop || pending.steps.len() >= PENDING_LOSSES || kernels::serve(device) {
                pending.settle(state, diverged)?;
            }
            let mean = (state.examples > 0.0).then(|| state.loss_sum / state.examples);
            observer.batch(state.epoch, state.batch, mean);
            if save && !stop {
                metrics.sync()?;
                *saved = self.timed_save(state)?;
            }
            Ok(stop)
        })?;
        pending.settle(state, diverged)?;
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
        let signals: Vec<f64> = state.signal_sums.drain(..).map(|sum| sum / state.examples).collect();
        let names = self.task.signals().iter().map(|name| (*name).to_owned());
        let line = EpochLine {
            epoch: state.epoch,
            loss,
            lr,
            best: is_best,
            seconds,
            examples_per_s: rate,
            warning: self.task.warning(state.epoch, &signals),
            signals: names.zip(signals).filter(|(_, value)| value.is_finite()).collect(),
        };
        (state.batch, state.loss_sum, state.examples) = (0, 0.0, 0.0);
        metrics.append(&line)?;
        observer.epoch(&line);
        Ok(!stopped || state.epoch == self.config.epochs)
    }

    fn save(&self, state: &State<T::Net>) -> Result<(), Error> {
        checkpoint::save(state, &self.folder.checkpoint())
    }

    /// What is no number of weights that are to be kept. A loss is measured before its step, so that nobody has seen yet
    /// what the `last` one made of them: one more batch tells, of which nothing is learnt.
    fn broken(
        &self,
        net: &T::Net,
        bytes: &[u8],
        last: bool,
        device: &Device,
    ) -> Result<Option<String>, Error> {
        if let Some(name) = weights::not_finite(bytes)? {
            return Ok(Some(format!("there are weights that are not finite, in `{name}` for one")));
        }
        if !last {
            return Ok(None);
        }
        let order = self.task.order(self.seed, self.config.epochs);
        let loss = self.task.step(net, self.task.batch(&order, 0)?, device).loss.detach();
        let broken = task::host(loss)?.into_iter().find(|loss| !loss.is_finite());
        let clips = || pending::in_words(&self.task.clips_of(&order, 0));
        Ok(broken.map(|loss| format!("the training loss is {loss}, of {}", clips())))
    }

    /// The error of a loss that is no number.
    fn diverged(&self, order: &T::Order, epoch: usize, found: &NotANumber) -> Error {
        let (accumulate, batch) = (self.config.accumulate, found.part / self.config.accumulate + 1);
        let batch = match accumulate {
            1 => format!("batch {batch}"),
            _ => format!("part {} of batch {batch}", found.part % accumulate + 1),
        };
        let clips = pending::in_words(&self.task.clips_of(order, found.part));
        let remedy = format!("{} or look for broken clips with `asdbench data`", self.calmer(epoch));
        Error::Diverged { loss: found.loss, epoch: epoch + 1, batch, clips, remedy }
    }

    /// What keeps steps in bounds; `epoch` counts from 0.
    fn calmer(&self, epoch: usize) -> String {
        let lr = self.config.optimizer.lr * self.config.schedule.factor(epoch);
        let half = match self.config.precision {
            Precision::F16 => "set train.precision = \"bf16\" or \"f32\", or ",
            Precision::Bf16 | Precision::F32 => "",
        };
        format!("{half}lower train.optimizer.lr (now {lr:e})")
    }

    /// Write the best weights.
    fn finish(&self, state: &State<T::Net>, device: &Device) -> Result<(), Error> {
        let (best, epoch) = match &state.best {
            Some(best) => (state.net.clone().load_record(best.record.clone()), best.epoch),
            None => (state.net.clone(), state.epoch),
        };
        let bytes = weights::to_safetensors(&best, self.metadata.clone())?;
        if let Some(what) = self.broken(&best, &bytes, epoch == state.epoch, device)? {
            return Err(Error::BrokenWeights { epoch, what, remedy: self.calmer(epoch.saturating_sub(1)) });
        }
        files::write(&self.folder.model(), &bytes, Durability::Flushed)?;
        Ok(())
    }
}

fn best<N>(state: &State<N>) -> Option<(f64, usize)> {
    state.best.as_ref().map(|best| (best.loss, best.epoch))
}
