//! What can go wrong with a configuration, and how it is shown.

use std::borrow::Cow;
use std::sync::Arc;
use std::{fmt, io};

use miette::{GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource};

use super::source::{SourceKind, Sources, Span};
use crate::printable;

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file that cannot be read.
    #[error("{0}")]
    Read(Box<Diagnosis>),
    /// A file or `--set` argument that is no TOML.
    #[error("{0}")]
    Syntax(Box<Diagnosis>),
    /// Files that extend each other.
    #[error("{0}")]
    Cycle(Box<Diagnosis>),
    /// Unknown keys, wrong types, values out of range: everything that was found, in the order of the sources.
    #[error("{}", summary(.0))]
    Invalid(Vec<Diagnosis>),
    /// What is asked for is not to be had of a study, but of one configuration.
    #[error("{}: it is a study of {families} families, and --toml prints one experiment: name a family's file", path.display())]
    OneExperiment {
        /// The study.
        path: std::path::PathBuf,
        /// How many families it has.
        families: usize,
    },
    /// No data folder was given where one is needed.
    #[error("{NO_DATA_ROOT}")]
    NoDataRoot,
    /// Views are asked of a family that has none.
    #[error(
        "a configuration of family `{0}` makes no views of clips; name one of a contrastive family, such as configs/simclr.toml"
    )]
    NoViews(&'static str),
    /// The result could not be written.
    #[error("failed to write the output")]
    Output(#[from] io::Error),
}

/// More problems than a person reads at once; each is shown with its place, which takes the whole file to find.
const MOST_TOLD: usize = 50;
/// Bytes of an excerpt: a line may be as long as its file, and the excerpts' printer takes lines of up to 65,535 characters.
const LONGEST_EXCERPT: usize = 4000;

const NO_DATA_ROOT: &str = "`data.root` is not set: the configuration names no folder of recordings";
const NO_DATA_ROOT_HELP: &str = "add `--set data.root=DIR`, or `root = \"DIR\"` under `[data]`";

/// One problem, and the place in a file or argument that it is about.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[error("{}{message}", self.prefix())]
pub struct Diagnosis {
    message: String,
    #[source_code]
    excerpt: Option<NamedSource<Arc<str>>>,
    #[label(collection)]
    labels: Vec<LabeledSpan>,
    #[help]
    help: Option<String>,
    /// For one-line messages: the file and line, or the argument.
    place: Option<String>,
}

impl Diagnosis {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), excerpt: None, labels: Vec::new(), help: None, place: None }
    }

    /// Points at a place. A span that ends before it begins, or lies outside its source, is narrowed to fit.
    pub(super) fn at(mut self, sources: &Sources, span: Span, label: Option<String>) -> Self {
        let source = sources.get(span);
        let start = span.start.min(source.text.len());
        let end = span.end.clamp(start, source.text.len());
        self.place = Some(match source.kind {
            SourceKind::File(_) => format!("{}:{}", source.name(), source.line(start)),
            SourceKind::Set => source.text.to_string(),
        });
        self.excerpt = Some(NamedSource::new(source.name(), Arc::clone(&source.text)));
        self.labels = vec![LabeledSpan::new(label, start, end - start)];
        self
    }

    pub(super) fn help(mut self, help: impl Into<Option<String>>) -> Self {
        self.help = help.into();
        self
    }

    pub(super) fn boxed(self) -> Box<Self> {
        Box::new(self)
    }

    /// What is wrong, without its place.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What to do about it, where that is known.
    #[must_use]
    pub fn remedy(&self) -> Option<&str> {
        self.help.as_deref()
    }

    /// Whether the lines that it is about can be shown: they are not too long and no character in them acts.
    fn has_excerpt(&self) -> bool {
        let (Some(excerpt), [label, ..]) = (&self.excerpt, self.labels.as_slice()) else { return false };
        let text: &str = excerpt.inner();
        let (Some(before), Some(after)) =
            (text.get(..label.offset()), text.get(label.offset() + label.len()..))
        else {
            return false;
        };
        // With the line before and the one behind it, which are shown too.
        let start = before.rmatch_indices('\n').nth(1).map_or(0, |(at, _)| at);
        let end =
            after.match_indices('\n').nth(1).map_or(text.len(), |(at, _)| text.len() - after.len() + at);
        end - start <= LONGEST_EXCERPT && matches!(printable::message(&text[start..end]), Cow::Borrowed(_))
    }

    fn prefix(&self) -> String {
        self.place.as_ref().map_or_else(String::new, |place| format!("{place}: "))
    }
}

fn summary(problems: &[Diagnosis]) -> String {
    match problems {
        [] => "the configuration is not valid".to_owned(),
        [only] => only.to_string(),
        [first, rest @ ..] => format!("{first} (and {} more)", rest.len()),
    }
}

impl Error {
    /// The error with excerpts of the sources, carets and advice, ready for a terminal (`color`) or plain ASCII.
    ///
    /// Long lines are left to the terminal, so that the text does not depend on its width. Ends with a newline.
    #[must_use]
    pub fn render(&self, color: bool) -> String {
        match self {
            Self::Read(one) | Self::Syntax(one) | Self::Cycle(one) => render(one, color),
            Self::Invalid(all) => all.iter().map(|one| render(one, color)).collect::<Vec<_>>().join("\n"),
            Self::NoDataRoot => {
                render(&Diagnosis::new(NO_DATA_ROOT).help(NO_DATA_ROOT_HELP.to_owned()), color)
            }
            Self::NoViews(_) | Self::OneExperiment { .. } => render(&Diagnosis::new(self.to_string()), color),
            Self::Output(source) => render(&Diagnosis::new(format!("{self}: {source}")), color),
        }
    }

    /// The first of the problems that were found in one configuration, and the number of the others.
    pub(super) fn of_problems(mut problems: impl ExactSizeIterator<Item = Diagnosis>) -> Self {
        let mut told: Vec<Diagnosis> = problems.by_ref().take(MOST_TOLD).collect();
        match problems.len() {
            0 => {}
            more => told.push(Diagnosis::new(format!("{more} more problems; mend these first"))),
        }
        Self::Invalid(told)
    }

    /// The problems of several configurations as one error.
    #[must_use]
    pub fn join(errors: impl IntoIterator<Item = Self>) -> Self {
        let diagnoses = |error: Self| match error {
            Self::Read(one) | Self::Syntax(one) | Self::Cycle(one) => vec![*one],
            Self::Invalid(all) => all,
            Self::NoDataRoot => {
                vec![Diagnosis::new(NO_DATA_ROOT).help(NO_DATA_ROOT_HELP.to_owned())]
            }
            Self::NoViews(_) | Self::OneExperiment { .. } => vec![Diagnosis::new(error.to_string())],
            Self::Output(source) => vec![Diagnosis::new(format!("failed to write the output: {source}"))],
        };
        Self::Invalid(errors.into_iter().flat_map(diagnoses).collect())
    }

    /// As [`join`](Self::join), where the same thing may have gone wrong in several: each is told once, and one error alone
    /// stays what it is.
    pub(super) fn join_distinct(mut errors: Vec<Self>) -> Self {
        if errors.len() == 1 && !matches!(errors[0], Self::Invalid(_)) {
            return errors.remove(0);
        }
        let mut told = std::collections::HashSet::new();
        match Self::join(errors) {
            Self::Invalid(mut all) => {
                all.retain(|one| told.insert(one.to_string()));
                Self::Invalid(all)
            }
            other => other,
        }
    }
}

/// A diagnosis as it is shown: with an excerpt, which names the place by itself, or with the place in words.
#[derive(Debug)]
struct Report<'a> {
    diagnosis: &'a Diagnosis,
    excerpt: bool,
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self.excerpt {
            true => self.diagnosis.message.clone(),
            false => self.diagnosis.to_string(),
        };
        f.write_str(&printable::message(&text))
    }
}

impl std::error::Error for Report<'_> {}

impl miette::Diagnostic for Report<'_> {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        let help = self.diagnosis.help.as_deref()?;
        Some(Box::new(printable::message(help)))
    }

    fn source_code(&self) -> Option<&dyn miette::SourceCode> {
        self.diagnosis.source_code().filter(|_| self.excerpt)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        self.diagnosis.labels().filter(|_| self.excerpt)
    }
}

fn render(diagnosis: &Diagnosis, color: bool) -> String {
    let mut theme = if color { GraphicalTheme::unicode() } else { GraphicalTheme::none() };
    theme.characters.error = "error:".to_owned();
    let handler = GraphicalReportHandler::new_themed(theme).with_links(false).with_wrap_lines(false);
    let mut text = String::new();
    match handler.render_report(&mut text, &Report { diagnosis, excerpt: diagnosis.has_excerpt() }) {
        Ok(()) => text,
        // Writing to a string cannot fail; an excerpt that cannot be cut out could.
        Err(_) => format!("error: {}\n", printable::message(&diagnosis.to_string())),
    }
}
