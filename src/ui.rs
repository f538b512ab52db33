//! What is printed where: results on standard output, everything else on standard error.
//!
//! Bars are drawn on a terminal only; elsewhere a long task says one line when it begins and training one line per
//! epoch. `NO_COLOR` is respected by every library in use.

use std::collections::HashSet;
use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{HumanDuration, MultiProgress, ProgressBar, ProgressStyle};

use crate::printable;
use crate::train::{EpochLine, Observer};

/// Seconds between two lines of a task that has no bar.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Decides what the user sees while the program works.
#[derive(Debug, Clone)]
pub struct Ui {
    bars: MultiProgress,
    drawn: bool,
    quiet: bool,
    /// Warnings that were said, where each is said once.
    said: Option<Arc<Mutex<HashSet<String>>>>,
}

impl Ui {
    /// `quiet` leaves warnings and errors only; `progress` allows bars.
    pub fn new(quiet: bool, progress: bool) -> Self {
        let drawn = progress && !quiet && io::stderr().is_terminal();
        Self { bars: MultiProgress::new(), drawn, quiet, said: None }
    }

    /// The same, and each warning is said once: of a thousand trials many have the same to say.
    #[must_use]
    pub fn once(&self) -> Self {
        Self { said: Some(Arc::default()), ..self.clone() }
    }

    /// A remark on standard error.
    pub fn say(&self, line: &str) {
        if !self.quiet {
            self.print(line);
        }
    }

    /// A warning on standard error.
    pub fn warn(&self, line: &str) {
        let fresh = |said: &Arc<Mutex<HashSet<String>>>| {
            said.lock().unwrap_or_else(PoisonError::into_inner).insert(line.to_owned())
        };
        if !self.said.as_ref().is_none_or(fresh) {
            return;
        }
        self.print(&format!("warning: {line}"));
    }

    fn print(&self, line: &str) {
        // A closed standard error must not end a training.
        self.bars.suspend(|| {
            let _ = writeln!(io::stderr(), "{}", printable::message(line));
        });
    }

    /// A bar over `total` things; a total of 0 becomes known with the first call of [`Bar::at`].
    pub fn bar(&self, what: &str, total: u64, unit: &str) -> Bar {
        let bar = match self.drawn {
            true => self.bars.add(ProgressBar::new(total)),
            false => ProgressBar::hidden(),
        };
        bar.set_length(total);
        let template = format!("{{prefix}} {{wide_bar}} {{pos}}/{{len}} {unit}, {{per_sec}}, {{eta}} left");
        if let Ok(style) = ProgressStyle::with_template(&template) {
            bar.set_style(style);
        }
        bar.set_prefix(printable::line(what).into_owned());
        Bar {
            bar,
            what: what.to_owned(),
            unit: unit.to_owned(),
            ui: self.clone(),
            said: Mutex::new(Instant::now()),
        }
    }
}

/// A time in its largest unit: `3 minutes`.
pub fn in_words(time: Duration) -> String {
    HumanDuration(time).to_string()
}

/// Progress over things that take unlike times.
#[derive(Debug)]
pub struct Gauge {
    bar: ProgressBar,
    what: String,
    ui: Ui,
    said: Option<Instant>,
}

/// Parts of a gauge.
const GAUGE: u64 = 1000;

impl Gauge {
    /// Nothing is done yet.
    pub fn new(ui: &Ui, what: &str) -> Self {
        let bar = match ui.drawn {
            true => ui.bars.add(ProgressBar::new(GAUGE)),
            false => ProgressBar::hidden(),
        };
        if let Ok(style) = ProgressStyle::with_template("{prefix} {wide_bar} {msg}") {
            bar.set_style(style);
        }
        bar.set_prefix(printable::line(what).into_owned());
        Self { bar, what: what.to_owned(), ui: ui.clone(), said: None }
    }

    /// The part that is done, from 0 to 1, how it stands in words, and the time left where it is known.
    pub fn at(&mut self, done: f64, message: &str, left: Option<Duration>) {
        let left = left.map_or(String::new(), |left| format!(", about {} left", in_words(left)));
        let message = format!("{message}{left}");
        self.bar.set_position((done.clamp(0.0, 1.0) * GAUGE as f64) as u64);
        let due = self.said.is_none_or(|said| said.elapsed() >= LINE_EVERY);
        if !self.ui.drawn && due {
            self.said = Some(Instant::now());
            self.ui.say(&format!("{}: {message}", self.what));
        }
        self.bar.set_message(message);
    }

    /// Take it away.
    pub fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

/// Progress over a number of things.
#[derive(Debug)]
pub struct Bar {
    bar: ProgressBar,
    what: String,
    unit: String,
    ui: Ui,
    said: Mutex<Instant>,
}

impl Bar {
    /// `done` of `total` things are done.
    pub fn at(&self, done: u64, total: u64) {
        self.bar.set_length(total);
        self.bar.set_position(done);
        self.say();
    }

    /// `n` more things are done.
    pub fn add(&self, n: u64) {
        self.bar.inc(n);
        self.say();
    }

    /// Without a drawn bar, a line now and then.
    fn say(&self) {
        if self.ui.drawn {
            return;
        }
        if let Ok(mut said) = self.said.try_lock()
            && said.elapsed() >= LINE_EVERY
        {
            *said = Instant::now();
            let (done, total) = (self.bar.position(), self.bar.length().unwrap_or(0));
            self.ui.say(&format!("{}: {done} of {total} {}", self.what, self.unit));
        }
    }

    /// Take the bar away.
    pub fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

/// The bar of one training: batches of all epochs, the loss, the rate, the time left.
pub struct EpochBar {
    bar: ProgressBar,
    ui: Ui,
    name: String,
    epochs: usize,
    batches: usize,
    warned: bool,
}

impl EpochBar {
    /// For a training of `epochs` × `batches`.
    pub fn new(ui: &Ui, name: &str, epochs: usize, batches: usize) -> Self {
        let bar = match ui.drawn {
            true => ui.bars.add(ProgressBar::new((epochs * batches) as u64)),
            false => ProgressBar::hidden(),
        };
        let template = "{prefix} {wide_bar} {msg}, {per_sec}, {eta} left";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_prefix(printable::line(name).into_owned());
        Self { bar, ui: ui.clone(), name: name.to_owned(), epochs, batches, warned: false }
    }

    /// Take the bar away and say how it ended.
    pub fn finish(&self, best: Option<(f64, usize)>) {
        self.bar.finish_and_clear();
        if let Some((loss, epoch)) = best
            && self.ui.drawn
        {
            self.ui.say(&format!("{}: loss {loss:.6} (epoch {epoch} of {})", self.name, self.epochs));
        }
    }
}

impl Observer for EpochBar {
    fn resumed(&mut self, epochs: usize, batches: usize) {
        let after = match batches {
            0 => String::new(),
            1 => " and 1 batch".to_owned(),
            several => format!(" and {several} batches"),
        };
        self.ui.say(&format!("{}: resumes after {epochs} epochs{after}", self.name));
        self.bar.set_position((epochs * self.batches + batches) as u64);
        // Rate and time left are of this process.
        self.bar.reset_eta();
    }

    fn batch(&mut self, epoch: usize, batch: usize, loss: Option<f64>) {
        self.bar.set_position((epoch * self.batches + batch) as u64);
        if let Some(loss) = loss {
            self.bar.set_message(format!("epoch {}/{} loss {loss:.6}", epoch + 1, self.epochs));
        }
    }

    fn epoch(&mut self, line: &EpochLine) {
        // Once for each time that it begins: the metrics have it for every epoch.
        if let Some(warning) = line.warning.as_ref().filter(|_| !self.warned) {
            self.ui.warn(&format!("{}: epoch {}: {warning}", self.name, line.epoch));
        }
        self.warned = line.warning.is_some();
        if self.ui.drawn {
            return;
        }
        let signals: String =
            line.signals.iter().map(|(name, value)| format!(" {name} {value:.4}")).collect();
        self.ui.say(&format!(
            "{}: epoch {}/{} loss {:.6}{signals} lr {:.2e} {:.*} examples/s",
            self.name,
            line.epoch,
            self.epochs,
            line.loss,
            line.lr,
            // Below ten a whole number would say little.
            usize::from(line.examples_per_s < 10.0) * 2,
            line.examples_per_s
        ));
    }
}

/// Warnings of the rooms below, as `tracing` events, through the same door.
#[derive(Debug, Clone)]
pub struct LogWriter(pub Ui);

impl Write for LogWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.bars.suspend(|| io::stderr().write_all(bytes))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
