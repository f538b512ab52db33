//! Curves over the epochs of a training.

use super::Figure;
use super::axis::{Axis, placeable};
use super::drawing::Element;
use super::palette::{Marker, Paint, SLOTS};
use super::sheet::{Key, MARGIN, Plot, ROOM, Sheet, Side, below, beside};

/// Curves in one plane.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Curves {
    /// One line above the plot.
    pub title: String,
    /// Quantity and unit.
    pub x_label: String,
    /// Quantity and unit.
    pub y_label: String,
    /// Of the y axis.
    pub y_scale: Scale,
    /// In the order of the legend. Up to seven groups have a colour each; more are one group, whose median is drawn.
    pub lines: Vec<Curve>,
}

/// How values become places.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scale {
    /// Evenly.
    #[default]
    Linear,
    /// By their logarithm; values that are not positive are left out.
    Log,
}

/// One curve.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Curve {
    /// What shares a colour and one entry of the legend, such as a configuration. A group of several curves is drawn as
    /// light lines and their median.
    pub group: String,
    /// Which one of its group it is, such as a machine type and a seed; shown when the pointer rests on it.
    pub name: String,
    /// (epoch, value).
    pub points: Vec<(f64, f64)>,
}

const HEIGHT: f64 = 250.0;
/// Width of a line that is to be followed.
const BOLD: f64 = 2.0;
/// Width of one among many.
const LIGHT: f64 = 1.0;

/// Draw curves.
#[must_use]
pub fn curves(curves: &Curves) -> Figure {
    let mut sheet = Sheet::new(&curves.title);
    let values = || curves.lines.iter().flat_map(|line| &line.points);
    let shown = |point: &&(f64, f64)| placeable(point.0, Scale::Linear) && placeable(point.1, curves.y_scale);
    let x = Axis::around(values().filter(shown).map(|point| point.0), Scale::Linear);
    let y = Axis::around(values().filter(shown).map(|point| point.1), curves.y_scale);
    let groups = groups(&curves.lines);
    let entries: Vec<(Key, String)> = groups.iter().map(Group::entry).collect();
    // One unnamed group needs no legend.
    if entries.iter().any(|(_, name)| !name.is_empty()) {
        sheet.legend(&entries);
    }

    // Epochs are whole numbers.
    let whole = values().all(|point| point.0.fract() == 0.0);
    let ticks = if values().any(|point| shown(&point)) { 6.0 } else { 0.0 };
    let across = Side { step: if whole { 1.0 } else { 0.0 }, ..Side::new(&curves.x_label, ticks) };
    let up = Side::new(&curves.y_label, ticks);
    let room = beside(&y, up);
    let plot =
        Plot { left: MARGIN + room, top: sheet.y + 10.0, width: ROOM - room - 4.0, height: HEIGHT, x, y };
    sheet.axes(&plot, across, up);
    let mut pieces = 0;
    // All light lines lie below all medians.
    for group in groups.iter().filter(|group| group.lines.len() > 1) {
        for line in &group.lines {
            let look = (Paint::Pale(group.slot), LIGHT);
            pieces += draw(&mut sheet, &plot, &line.points, curves.y_scale, look, &group.hint(line));
        }
    }
    for group in &groups {
        let (points, hint) = match group.lines.as_slice() {
            [line] => (line.points.clone(), group.hint(line)),
            lines => (median(lines, curves.y_scale), group.entry().1),
        };
        pieces += draw(&mut sheet, &plot, &points, curves.y_scale, (group.paint(), BOLD), &hint);
    }
    if pieces == 0 {
        sheet.nothing(&plot, "no values");
    }
    sheet.y = plot.top + plot.height + below(across);
    sheet.note_left_out(values().count() - values().filter(shown).count(), "value(s)");
    sheet.finish()
}

/// Curves that share a colour.
struct Group<'a> {
    name: String,
    slot: usize,
    /// Whether they are of several groups.
    mixed: bool,
    lines: Vec<&'a Curve>,
}

/// In the order in which they come first; one where they are more than there are colours.
fn groups(lines: &[Curve]) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for line in lines {
        match groups.iter_mut().find(|group| group.name == line.group) {
            Some(group) => group.lines.push(line),
            None => {
                let (name, slot) = (line.group.clone(), groups.len());
                groups.push(Group { name, slot, mixed: false, lines: vec![line] });
            }
        }
    }
    if groups.len() <= SLOTS {
        return groups;
    }
    vec![Group {
        name: format!("{} curves", lines.len()),
        slot: SLOTS - 1,
        mixed: true,
        lines: lines.iter().collect(),
    }]
}

impl Group<'_> {
    fn paint(&self) -> Paint {
        if self.mixed { Paint::Ink } else { Paint::Slot(self.slot) }
    }

    fn entry(&self) -> (Key, String) {
        let text = match (self.mixed, self.lines.len()) {
            (true, _) => format!("median of {}", self.name),
            (_, 1) => self.name.clone(),
            (_, count) => format!("{} (median of {count})", self.name),
        };
        (Key::Line(self.paint(), BOLD), text)
    }

    fn hint(&self, line: &Curve) -> String {
        [line.group.as_str(), line.name.as_str()]
            .into_iter()
            .filter(|part| !part.is_empty())
            .collect::<Vec<_>>()
            .join(" · ")
    }
}

/// A curve, interrupted where it has no value; how many pieces it has. A value between two others that are missing is a
/// point.
fn draw(
    sheet: &mut Sheet,
    plot: &Plot,
    points: &[(f64, f64)],
    scale: Scale,
    (paint, width): (Paint, f64),
    hint: &str,
) -> usize {
    let known = |point: &(f64, f64)| placeable(point.0, Scale::Linear) && placeable(point.1, scale);
    let pieces = points.split(|point| !known(point)).filter(|piece| !piece.is_empty());
    let mut count = 0;
    for piece in pieces {
        count += 1;
        let places: Vec<(f64, f64)> = piece.iter().map(|point| plot.at(point.0, point.1)).collect();
        let hint = hint.to_owned();
        sheet.add(match places.as_slice() {
            [at] => Element::Mark { at: *at, marker: Marker::Circle, radius: 1.5 * width, paint, hint },
            _ => Element::Line { points: places, paint, width, dashed: false, hint },
        });
    }
    count
}

/// Where at least half of the curves have a value, the median of those that have one.
fn median(lines: &[&Curve], scale: Scale) -> Vec<(f64, f64)> {
    let known = |point: &&(f64, f64)| placeable(point.0, Scale::Linear) && placeable(point.1, scale);
    let mut points: Vec<(f64, f64)> =
        lines.iter().flat_map(|line| &line.points).filter(known).copied().collect();
    points.sort_by(|one, other| one.0.total_cmp(&other.0).then(one.1.total_cmp(&other.1)));
    points
        .chunk_by(|one, other| one.0 == other.0)
        .filter(|chunk| 2 * chunk.len() >= lines.len())
        .map(|chunk| (chunk[0].0, f64::midpoint(chunk[(chunk.len() - 1) / 2].1, chunk[chunk.len() / 2].1)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::figure::Theme;

    fn line(group: &str, name: &str, values: &[f64]) -> Curve {
        let points = values.iter().enumerate().map(|(index, value)| (index as f64 + 1.0, *value)).collect();
        Curve { group: group.into(), name: name.into(), points }
    }

    fn of(lines: Vec<Curve>, y_scale: Scale) -> Curves {
        let (title, x_label, y_label) = ("Training".into(), "Epoch".into(), "Loss".into());
        Curves { title, x_label, y_label, y_scale, lines }
    }

    #[test]
    fn the_median_is_of_the_curves_that_go_so_far() {
        let lines =
            [line("a", "", &[1.0, 5.0, 2.0]), line("a", "", &[3.0, 1.0]), line("a", "", &[2.0, f64::NAN])];
        assert_eq!(median(&lines.iter().collect::<Vec<_>>(), Scale::Linear), [(1.0, 2.0), (2.0, 3.0)]);
    }

    #[test]
    fn groups_have_their_median_and_single_curves_themselves() {
        let lines = vec![
            line("ae-16", "fan, seed 0", &[3.0, 2.0, 1.0]),
            line("ae-32", "fan, seed 0", &[4.0, 2.0, 1.0]),
            line("ae-16", "fan, seed 1", &[5.0, 2.0, 1.5]),
        ];
        let svg = curves(&of(lines, Scale::Log)).svg(Theme::Light);
        assert!(svg.contains(">ae-16 (median of 2)<") && svg.contains(">ae-32<"), "{svg}");
        assert_eq!(svg.matches("<title>ae-16 · fan, seed 1</title></path>").count(), 1);
        assert_eq!(svg.matches("stroke-width=\"2\"").count(), 4, "two in the legend, two in the plot: {svg}");
        // More groups than colours are one.
        let many = (0..50).map(|index| line(&format!("c{index}"), "", &[f64::from(index), 1.0])).collect();
        let svg = curves(&of(many, Scale::Linear)).svg(Theme::Light);
        assert!(svg.contains(">median of 50 curves<") && svg.contains("<title>c49</title>"), "{svg}");
        assert_eq!(svg.matches("stroke-width=\"2\"").count(), 2);
    }

    #[test]
    fn curves_break_where_they_have_no_value() {
        let odd = line("a", "", &[1.0, f64::NAN, 2.0, f64::INFINITY, 2.0, 3.0, -1.0]);
        let svg = curves(&of(vec![odd.clone()], Scale::Log)).svg(Theme::Light);
        assert!(svg.contains("3 value(s) without a place on the axes left out"), "{svg}");
        assert_eq!(svg.matches("<circle").count(), 2);
        for empty in
            [of(vec![], Scale::Log), of(vec![line("a", "b", &[f64::NAN])], Scale::Linear), Curves::default()]
        {
            let figure = curves(&empty);
            assert!(figure.svg(Theme::Dark).contains(">no values<") && figure.png().is_ok());
        }
        let figure = curves(&of(vec![line("a", "b", &[2.0])], Scale::Linear));
        assert_eq!(figure.svg(Theme::Light).matches("<circle").count(), 1);
    }

    #[test]
    fn epochs_are_whole() {
        let svg = curves(&of(vec![line("a", "", &[1.0, 0.5])], Scale::Linear)).svg(Theme::Light);
        assert!(svg.contains(">1<") && svg.contains(">2<") && !svg.contains(">1.5<"), "{svg}");
    }
}
