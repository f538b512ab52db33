//! A value of several systems for each of several things, such as machine types: one line a thing, one mark a system.

use super::axis::{Axis, placeable};
use super::drawing::{Anchor, Element, Text};
use super::lettering::width;
use super::palette::{Marker, Paint, SLOTS};
use super::sheet::{Key, MARGIN, Plot, ROOM, SMALL, Sheet, Side, below, letters};
use super::{Figure, Scale};
use crate::report::Cell;

/// Values by thing and system.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Dots {
    /// One line above the plot.
    pub title: String,
    /// Quantity and unit.
    pub x_label: String,
    /// The systems, in the order of the legend. The last one stands out. Up to six others have a colour and a marker each;
    /// more share one.
    pub series: Vec<String>,
    /// From top to bottom.
    pub rows: Vec<DotRow>,
    /// What a reader must know, at the foot; nothing where it is empty.
    pub note: String,
}

/// One thing and what every system's value is.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DotRow {
    /// What it is called.
    pub name: String,
    /// In the order of the series.
    pub values: Vec<Option<f64>>,
}

/// Height of a row.
const ROW: f64 = 26.0;
/// Width that names of rows take at most.
const NAMES: f64 = 140.0;

/// Draw values by thing and system.
#[must_use]
pub fn dots(dots: &Dots) -> Figure {
    let mut sheet = Sheet::new(&dots.title);
    let last = dots.series.len().saturating_sub(1);
    let many = last >= SLOTS;
    let look = |series: usize| match () {
        () if series == last => (Marker::Diamond, Paint::Ink, 6.0),
        () if many => (Marker::Circle, Paint::Slot(0), 4.0),
        // A marker of its own for the last one.
        () => (Marker::of(series + usize::from(series >= 3)), Paint::Slot(series), 4.5),
    };
    let mut entries: Vec<(Key, String)> = Vec::new();
    for (series, name) in dots.series.iter().enumerate() {
        let (marker, paint, _) = look(series);
        match (many && series < last, series) {
            (true, 0) => entries.push((Key::Mark(marker, paint), format!("{last} single systems"))),
            (true, _) => {}
            (false, _) => entries.push((Key::Mark(marker, paint), name.clone())),
        }
    }
    sheet.legend(&entries);
    let shown = |value: &f64| placeable(*value, Scale::Linear);
    let values = || dots.rows.iter().flat_map(|row| row.values.iter().flatten());
    let x = Axis::around(values().filter(|value| shown(value)).copied(), Scale::Linear);
    let rows = dots.rows.len().max(1) as f64;
    let names = dots.rows.iter().map(|row| width(&row.name, f64::from(SMALL))).fold(0.0, f64::max).min(NAMES);
    let (left, top) = (MARGIN + names + 8.0, sheet.y + 8.0);
    let plot = Plot {
        left,
        top,
        width: ROOM - names - 12.0,
        height: ROW * rows,
        x,
        y: Axis::new(0.0, rows, Scale::Linear),
    };
    let count = values().filter(|value| shown(value)).count();
    let across = Side::new(&dots.x_label, if count > 0 { 6.0 } else { 0.0 });
    sheet.axes(&plot, across, Side::new("", 0.0));
    for (number, row) in dots.rows.iter().enumerate() {
        let y = top + ROW * (number as f64 + 0.5);
        let name = Text { size: SMALL, anchor: Anchor::End, ..letters((left - 6.0, y + 4.0), &row.name) };
        sheet.text_within(name, NAMES);
        sheet.line((left, y), (left + plot.width, y), Paint::Grid);
        for (series, value) in row.values.iter().enumerate() {
            let Some(value) = value.filter(|value| shown(value)) else { continue };
            let (marker, paint, radius) = look(series);
            let system = dots.series.get(series).map_or("", String::as_str);
            let hint = format!("{system} · {}: {}", row.name, Cell::number(value, 2).text());
            let at = (plot.at(value, 0.0).0, y);
            sheet.add(Element::Mark { at, marker, radius, paint, hint });
        }
    }
    if count == 0 {
        sheet.nothing(&plot, "no values");
    }
    sheet.y = top + plot.height + below(across);
    sheet.note_left_out(values().count() - count, "value(s)");
    if !dots.note.is_empty() {
        sheet.note(dots.note.clone());
    }
    sheet.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::figure::Theme;

    fn of(systems: usize, rows: &[&[Option<f64>]]) -> Dots {
        let row = |(number, values): (usize, &&[Option<f64>])| DotRow {
            name: format!("machine {number}"),
            values: values.to_vec(),
        };
        Dots {
            title: "Machines".into(),
            x_label: "Ω (%)".into(),
            series: (0..systems).map(|system| format!("s{system}")).collect(),
            rows: rows.iter().enumerate().map(row).collect(),
            note: String::new(),
        }
    }

    #[test]
    fn every_value_is_a_mark_with_its_name() {
        let svg = dots(&of(3, &[&[Some(60.0), Some(61.5), Some(63.0)], &[Some(50.0), None, Some(55.0)]]))
            .svg(Theme::Light);
        assert_eq!(svg.matches("· machine").count(), 5, "{svg}");
        assert!(svg.contains("<title>s1 · machine 0: 61.50</title>") && svg.contains(">s2<"), "{svg}");
    }

    #[test]
    fn many_systems_share_an_entry_and_odd_values_are_counted() {
        let values: Vec<Option<f64>> = (0..12).map(|value| Some(f64::from(value))).collect();
        let svg = dots(&of(12, &[&values])).svg(Theme::Light);
        assert!(
            svg.contains(">11 single systems<") && svg.contains(">s11<") && !svg.contains(">s3<"),
            "{svg}"
        );
        let svg = dots(&of(2, &[&[Some(f64::NAN), Some(1.0)]])).svg(Theme::Dark);
        assert!(svg.contains("1 value(s) without a place") && !svg.contains("NaN"), "{svg}");
        for empty in [of(0, &[]), of(2, &[&[None, None]]), Dots::default()] {
            assert!(dots(&empty).svg(Theme::Light).contains(">no values<") && dots(&empty).png().is_ok());
        }
    }
}
