//! The parts that all figures share: title, legend, notes, and plots with their axes.

use super::axis::Axis;
use super::drawing::{Anchor, Element, Text};
use super::lettering::{fitted, flow, width, wrapped};
use super::palette::{Marker, Paint};
use super::{Figure, PrintedAuc};
use crate::report::Cell;

/// All figures are as wide, so that text has the same size wherever it stands. Shown 400 pixels wide, the smallest is
/// still of 9 pixels.
pub(super) const WIDTH: f64 = 480.0;
/// Around everything.
pub(super) const MARGIN: f64 = 12.0;
/// Width for what stands across the whole picture.
pub(super) const ROOM: f64 = WIDTH - 2.0 * MARGIN;

const TITLE: u32 = 15;
/// How much wider bold letters are.
const BOLDER: f64 = 1.12;
/// Labels of axes and entries of legends.
pub(super) const LABEL: u32 = 13;
/// Numbers at ticks, facts and notes.
pub(super) const SMALL: u32 = 11;
/// Between a tick and its number.
const TICK: f64 = 4.0;

/// A picture in the making, filled from top to bottom.
pub(super) struct Sheet {
    title: String,
    elements: Vec<Element>,
    notes: Vec<String>,
    /// The upper edge of what comes next.
    pub y: f64,
}

/// What stands for something in a legend.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Key {
    Mark(Marker, Paint),
    /// The same, with a dashed line below it.
    Trend(Marker, Paint),
    Line(Paint, f64),
    Area(Paint, f64),
}

impl Key {
    /// With the gap to its text. A trend shows a dash at both sides of its marker.
    fn width(self) -> f64 {
        match self {
            Self::Mark(..) => 17.0,
            Self::Trend(..) => 32.0,
            Self::Line(..) | Self::Area(..) => 24.0,
        }
    }
}

/// The rectangle of a plot.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Plot {
    pub left: f64,
    pub top: f64,
    pub width: f64,
    pub height: f64,
    pub x: Axis,
    pub y: Axis,
}

/// What is written at an axis.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Side<'a> {
    /// Quantity and unit.
    pub label: &'a str,
    /// About how many ticks; none at all where it is 0.
    pub ticks: f64,
    /// The least step between ticks.
    pub step: f64,
    /// Numbers without their sign.
    pub mirrored: bool,
}

impl<'a> Side<'a> {
    pub fn new(label: &'a str, ticks: f64) -> Self {
        Self { label, ticks, step: 0.0, mirrored: false }
    }
}

impl Sheet {
    /// A picture with its title.
    pub fn new(title: &str) -> Self {
        let mut sheet = Self { title: title.to_owned(), elements: Vec::new(), notes: Vec::new(), y: MARGIN };
        let lines = wrapped(title, BOLDER * f64::from(TITLE), ROOM, 2);
        for line in &lines {
            sheet.y += 15.0;
            let hint = if line.ends_with('…') { title } else { "" };
            sheet.text(Text {
                size: TITLE,
                bold: true,
                hint: hint.into(),
                ..letters((MARGIN, sheet.y), line)
            });
            sheet.y += 4.0;
        }
        if !lines.is_empty() {
            sheet.y += 4.0;
        }
        sheet
    }

    pub fn add(&mut self, element: Element) {
        self.elements.push(element);
    }

    pub fn text(&mut self, text: Text) {
        self.add(Element::Text(text));
    }

    /// A text that is cut off where it is wider than `room`.
    pub fn text_within(&mut self, text: Text, room: f64) {
        let size = f64::from(text.size) * if text.bold { BOLDER } else { 1.0 };
        let content = fitted(&text.content, size, room);
        let hint = if content == text.content { String::new() } else { text.content };
        self.text(Text { content, hint, ..text });
    }

    pub fn line(&mut self, from: (f64, f64), to: (f64, f64), paint: Paint) {
        self.add(Element::Line {
            points: vec![from, to],
            paint,
            width: 1.0,
            dashed: false,
            hint: String::new(),
        });
    }

    /// Something that the picture says at its foot.
    pub fn note(&mut self, note: String) {
        self.notes.push(note);
    }

    /// Says how many values are not shown, where there are any.
    pub fn note_left_out(&mut self, count: usize, what: &str) {
        if count > 0 {
            self.note(format!("{count} {what} without a place on the axes left out"));
        }
    }

    /// Keys and what they stand for, side by side.
    pub fn legend(&mut self, entries: &[(Key, String)]) {
        const KEY: f64 = 24.0;
        let size = f64::from(SMALL + 1);
        let widths: Vec<f64> =
            entries.iter().map(|(_, text)| KEY + width(text, size).min(ROOM - KEY)).collect();
        let places = flow(&widths, 14.0, ROOM);
        for ((key, text), (line, x)) in entries.iter().zip(&places) {
            let (x, middle) = (MARGIN + x, self.y + 9.0 + 18.0 * *line as f64);
            self.key(*key, x, middle);
            let text = Text { size: SMALL + 1, ..letters((x + key.width(), middle + 4.0), text) };
            self.text_within(text, ROOM - key.width());
        }
        if let Some((line, _)) = places.last() {
            self.y += 18.0 * (line + 1) as f64 + 4.0;
        }
    }

    fn key(&mut self, key: Key, x: f64, middle: f64) {
        let end = x + key.width() - 6.0;
        let line = |paint, width, dashed| Element::Line {
            points: vec![(x, middle), (end, middle)],
            paint,
            width,
            dashed,
            hint: String::new(),
        };
        let mark = |marker, paint| Element::Mark {
            at: ((x + end) / 2.0, middle),
            marker,
            radius: 4.5,
            paint,
            hint: String::new(),
        };
        match key {
            Key::Mark(marker, paint) => self.add(mark(marker, paint)),
            Key::Trend(marker, paint) => {
                self.add(line(paint, 1.5, true));
                self.add(mark(marker, paint));
            }
            Key::Line(paint, width) => self.add(line(paint, width, false)),
            Key::Area(paint, opacity) => {
                let corners = [(2.0, -5.0), (16.0, -5.0), (16.0, 5.0), (2.0, 5.0)];
                let points: Vec<_> = corners.map(|(dx, dy)| (x + dx, middle + dy)).to_vec();
                self.add(Element::Area { points: points.clone(), paint, opacity });
                let outline = points.iter().chain(points.first()).copied().collect();
                self.add(Element::Line {
                    points: outline,
                    paint,
                    width: 1.2,
                    dashed: false,
                    hint: String::new(),
                });
            }
        }
    }

    /// Frame, ticks and labels of a plot, below what is drawn next.
    pub fn axes(&mut self, plot: &Plot, x: Side<'_>, y: Side<'_>) {
        let Plot { left, top, width: across, height, .. } = *plot;
        let (right, bottom) = (left + across, top + height);
        let small = |at, content: &str| Text { size: SMALL, paint: Paint::Faint, ..letters(at, content) };
        let number = |label: &str, side: Side<'_>| {
            if side.mirrored { label.trim_start_matches('−').to_owned() } else { label.to_owned() }
        };
        if x.ticks > 0.0 {
            let ticks = plot.x.ticks(x.ticks, x.step);
            for (value, label) in &ticks.at {
                let place = left + across * plot.x.place(*value);
                self.line((place, top), (place, bottom), Paint::Grid);
                self.line((place, bottom), (place, bottom + TICK), Paint::Faint);
                let at = (place, bottom + TICK + 11.0);
                self.text(Text { anchor: Anchor::Middle, ..small(at, &number(label, x)) });
            }
            self.text(Text { anchor: Anchor::End, ..small((right, bottom + TICK + 25.0), &ticks.factor) });
        }
        if y.ticks > 0.0 {
            let ticks = plot.y.ticks(y.ticks, y.step);
            for (value, label) in &ticks.at {
                let place = bottom - height * plot.y.place(*value);
                self.line((left, place), (right, place), Paint::Grid);
                self.line((left - TICK, place), (left, place), Paint::Faint);
                let at = (left - TICK - 2.0, place + 4.0);
                self.text(Text { anchor: Anchor::End, ..small(at, &number(label, y)) });
            }
            self.text(Text { anchor: Anchor::Start, ..small((left, top - 4.0), &ticks.factor) });
        }
        let corners = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)];
        let frame = Element::Line {
            points: corners.to_vec(),
            paint: Paint::Faint,
            width: 1.0,
            dashed: false,
            hint: String::new(),
        };
        self.add(frame);
        let below = if x.ticks > 0.0 { TICK + 27.0 } else { 16.0 };
        let label = Text {
            anchor: Anchor::Middle,
            size: LABEL,
            ..letters((left + across / 2.0, bottom + below), x.label)
        };
        self.text_within(label, across);
        let beside = if y.ticks > 0.0 { left - number_room(&plot.y, y) - 6.0 } else { left - 7.0 };
        let at = (beside, top + height / 2.0);
        self.text_within(
            Text { anchor: Anchor::Middle, size: LABEL, upwards: true, ..letters(at, y.label) },
            height,
        );
    }

    /// Says in the middle of a plot why it is empty.
    pub fn nothing(&mut self, plot: &Plot, why: &str) {
        let at = (plot.left + plot.width / 2.0, plot.top + plot.height / 2.0);
        let text = Text { anchor: Anchor::Middle, size: LABEL, paint: Paint::Faint, ..letters(at, why) };
        self.text_within(text, plot.width - 8.0);
    }

    /// The picture, with its notes at the foot.
    pub fn finish(mut self) -> Figure {
        for note in std::mem::take(&mut self.notes) {
            for line in wrapped(&note, f64::from(SMALL), ROOM, 3) {
                self.y += 14.0;
                self.text(Text { size: SMALL, paint: Paint::Faint, ..letters((MARGIN, self.y), &line) });
            }
        }
        self.elements.retain(|element| !matches!(element, Element::Text(text) if text.content.is_empty()));
        let height = (self.y + MARGIN).ceil();
        Figure { width: WIDTH, height, title: self.title, elements: self.elements }
    }
}

/// Text in the ink of the picture, from a place to the right.
pub(super) fn letters(at: (f64, f64), content: &str) -> Text {
    Text {
        at,
        size: LABEL,
        anchor: Anchor::Start,
        bold: false,
        upwards: false,
        paint: Paint::Ink,
        content: content.to_owned(),
        hint: String::new(),
    }
}

/// Room that the ticks of a vertical axis and their numbers take beside it.
fn number_room(axis: &Axis, side: Side<'_>) -> f64 {
    let ticks = axis.ticks(side.ticks, side.step);
    TICK + 2.0 + ticks.at.iter().map(|(_, label)| width(label, f64::from(SMALL))).fold(0.0, f64::max)
}

/// Room beside a plot for the whole of its vertical axis.
pub(super) fn beside(axis: &Axis, side: Side<'_>) -> f64 {
    let label = if side.label.is_empty() { 4.0 } else { 6.0 + f64::from(LABEL) };
    if side.ticks > 0.0 { number_room(axis, side) + label } else { label + 3.0 }
}

/// Room below a plot for the whole of its horizontal axis.
pub(super) fn below(side: Side<'_>) -> f64 {
    let ticks = if side.ticks > 0.0 { TICK + 13.0 } else { 4.0 };
    ticks + if side.label.is_empty() { 0.0 } else { 19.0 }
}

impl Plot {
    /// The place of a point.
    pub fn at(&self, x: f64, y: f64) -> (f64, f64) {
        (self.left + self.width * self.x.place(x), self.top + self.height * (1.0 - self.y.place(y)))
    }
}

/// AUCs as they are printed, one an entry.
pub(super) fn printed(aucs: &[PrintedAuc]) -> Vec<String> {
    let one = |PrintedAuc { name, auc }: &PrintedAuc| match auc.filter(|auc| auc.is_finite()) {
        Some(auc) => format!("{name} {} %", Cell::percent(auc).text()),
        None => format!("{name} {}", Cell::none().text()),
    };
    aucs.iter().map(one).collect()
}
