//! Proxy performance against detection performance: the study's Figs. 2 to 4.

use super::axis::{Axis, placeable};
use super::drawing::Element;
use super::palette::{Marker, Paint};
use super::sheet::{Key, MARGIN, Plot, ROOM, Sheet, Side, below, beside};
use super::{Figure, Scale};

/// Points of several families in one plane.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Scatter {
    /// One line above the plot.
    pub title: String,
    /// Quantity and unit, such as `In-domain LP AUC (%)`.
    pub x_label: String,
    /// Quantity and unit, such as `Normalised proxy performance`.
    pub y_label: String,
    /// Each with a colour and a marker of its own, by position: give all figures the same families in the same order.
    pub families: Vec<Family>,
}

/// The configurations of one family.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Family {
    /// In the legend.
    pub name: String,
    /// One a configuration.
    pub points: Vec<Point>,
    /// Where it is there, a dashed least-squares line goes through the family's points, and this stands beside its name in
    /// the legend: `ρ = 0.98, p < 0.001`. Leave it out where the correlation is not significant.
    pub trend: Option<String>,
}

/// One configuration.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Point {
    /// In the unit of the x axis.
    pub x: f64,
    /// In the unit of the y axis.
    pub y: f64,
    /// Which configuration it is; shown by a browser when the pointer rests on it.
    pub label: String,
}

const HEIGHT: f64 = 290.0;

/// Draw points of several families.
#[must_use]
pub fn scatter(scatter: &Scatter) -> Figure {
    let mut sheet = Sheet::new(&scatter.title);
    let families = &scatter.families;
    let shown: Vec<Vec<&Point>> = families
        .iter()
        .map(|family| family.points.iter().filter(|point| has_place(point)).collect())
        .collect();
    let axis =
        |of: fn(&Point) -> f64| Axis::around(shown.iter().flatten().map(|point| of(point)), Scale::Linear);
    let (x, y) = (axis(|point| point.x), axis(|point| point.y));
    let lines: Vec<Option<Line>> = shown
        .iter()
        .zip(families)
        .map(|(points, family)| family.trend.as_ref().and(least_squares(points)))
        .collect();

    let look = |position: usize| (Marker::of(position), Paint::Slot(position));
    let entry = |(position, family): (usize, &Family)| {
        let (marker, paint) = look(position);
        match (&family.trend, &lines[position]) {
            (Some(trend), Some(_)) => (Key::Trend(marker, paint), format!("{} ({trend})", family.name)),
            (Some(trend), None) => (Key::Mark(marker, paint), format!("{} ({trend})", family.name)),
            (None, _) => (Key::Mark(marker, paint), family.name.clone()),
        }
    };
    let entries: Vec<(Key, String)> = families.iter().enumerate().map(entry).collect();
    sheet.legend(&entries);

    let ticks = if shown.iter().all(Vec::is_empty) { 0.0 } else { 6.0 };
    let sides = (Side::new(&scatter.x_label, ticks), Side::new(&scatter.y_label, ticks));
    let room = beside(&y, sides.1);
    let plot =
        Plot { left: MARGIN + room, top: sheet.y + 8.0, width: ROOM - room - 4.0, height: HEIGHT, x, y };
    sheet.axes(&plot, sides.0, sides.1);
    for (position, line) in lines.iter().enumerate() {
        let Some((from, to)) = line.as_ref().and_then(|line| line.within(&plot)) else {
            continue;
        };
        sheet.add(Element::Line {
            points: vec![from, to],
            paint: Paint::Slot(position),
            width: 1.5,
            dashed: true,
            hint: String::new(),
        });
    }
    for (position, points) in shown.iter().enumerate() {
        let (marker, paint) = look(position);
        for point in points {
            let (at, hint) = (plot.at(point.x, point.y), point.label.clone());
            sheet.add(Element::Mark { at, marker, radius: 5.0, paint, hint });
        }
    }
    let count = shown.iter().map(Vec::len).sum::<usize>();
    if count == 0 {
        sheet.nothing(&plot, "no points");
    }
    sheet.y = plot.top + plot.height + below(sides.0);
    sheet.note_left_out(families.iter().map(|family| family.points.len()).sum::<usize>() - count, "point(s)");
    for (family, line) in families.iter().zip(&lines) {
        if family.trend.is_some() && line.is_none() {
            sheet.note(format!(
                "no trend line for {}: it needs points at two places of the x axis",
                family.name
            ));
        }
    }
    sheet.finish()
}

fn has_place(point: &Point) -> bool {
    [point.x, point.y].into_iter().all(|value| placeable(value, Scale::Linear))
}

/// y = `slope` · x + `offset`, over the points that it was fitted to.
struct Line {
    slope: f64,
    offset: f64,
    from: f64,
    to: f64,
}

/// The line of least squared vertical distances; none where all points lie above each other.
fn least_squares(points: &[&Point]) -> Option<Line> {
    let count = points.len() as f64;
    let mean = |of: fn(&Point) -> f64| points.iter().map(|point| of(point) / count).sum::<f64>();
    let (mean_x, mean_y) = (mean(|point| point.x), mean(|point| point.y));
    let spread = |point: &&Point| (point.x - mean_x).powi(2);
    let both = |point: &&Point| (point.x - mean_x) * (point.y - mean_y);
    let slope = points.iter().map(both).sum::<f64>() / points.iter().map(spread).sum::<f64>();
    let from = points.iter().map(|point| point.x).fold(f64::INFINITY, f64::min);
    let to = points.iter().map(|point| point.x).fold(f64::NEG_INFINITY, f64::max);
    (slope.is_finite() && from < to).then(|| Line { slope, offset: mean_y - slope * mean_x, from, to })
}

impl Line {
    /// Its ends, where it is inside of the plot.
    fn within(&self, plot: &Plot) -> Option<((f64, f64), (f64, f64))> {
        let [from, to] = [self.from, self.to].map(|x| plot.at(x, self.slope * x + self.offset));
        let (top, bottom) = (plot.top, plot.top + plot.height);
        // How far along the line it goes in at y.
        let way = |y: f64| (y - from.1) / (to.1 - from.1);
        let (enters, leaves) = if from.1 == to.1 {
            (0.0, 1.0)
        } else {
            let (one, other) = (way(top), way(bottom));
            (one.min(other).max(0.0), one.max(other).min(1.0))
        };
        let at = |way: f64| (from.0 + way * (to.0 - from.0), from.1 + way * (to.1 - from.1));
        (enters < leaves && from.1.is_finite() && to.1.is_finite()).then(|| (at(enters), at(leaves)))
    }
}

/// A family's proxy values on the axis that the study's figures share: 0 its lowest, 1 its highest value.
///
/// Proxies of families have different units, so that only their order and spacing within a family can be compared. All
/// equal values lie at 0.5; what is not finite stays so.
#[must_use]
pub fn normalised(proxies: &[f64]) -> Vec<f64> {
    let known = || proxies.iter().copied().filter(|value| value.is_finite());
    let (low, high) = (known().fold(f64::INFINITY, f64::min), known().fold(f64::NEG_INFINITY, f64::max));
    let place = |value: f64| match value.is_finite() {
        // Halves, so that the range of the largest numbers is one too.
        true if low < high => (value / 2.0 - low / 2.0) / (high / 2.0 - low / 2.0),
        true => 0.5,
        false => value,
    };
    proxies.iter().copied().map(place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::figure::Theme;

    fn family(name: &str, points: &[(f64, f64)], trend: Option<&str>) -> Family {
        let points =
            points.iter().map(|(x, y)| Point { x: *x, y: *y, label: format!("{name} at {x}") }).collect();
        Family { name: name.into(), points, trend: trend.map(str::to_owned) }
    }

    fn of(families: Vec<Family>) -> Scatter {
        let (x_label, y_label) = ("LP AUC (%)".into(), "Normalised proxy".into());
        Scatter { title: "Proxy & detection".into(), x_label, y_label, families }
    }

    #[test]
    fn a_line_goes_through_a_family_that_has_a_trend() {
        let points = [(1.0, 2.0), (2.0, 4.0), (3.0, 6.0)];
        let with = scatter(&of(vec![family("a", &points, Some("ρ = 1.00"))])).svg(Theme::Light);
        let without = scatter(&of(vec![family("a", &points, None)])).svg(Theme::Light);
        // One in the legend, one in the plot.
        assert_eq!(with.matches("stroke-dasharray").count(), 2);
        assert_eq!(without.matches("stroke-dasharray").count(), 0);
        assert!(with.contains(">a (ρ = 1.00)<") && without.contains(">a<"));
        // A point and its hint each, and the legend's.
        assert_eq!(with.matches("<circle").count(), 4);
        assert_eq!(with.matches("<title>a at 2</title></circle>").count(), 1);

        let points: Vec<Point> = points.map(|(x, y)| Point { x, y, label: String::new() }).into();
        let line = least_squares(&points.iter().collect::<Vec<_>>()).unwrap();
        assert!((line.slope - 2.0).abs() < 1e-12 && line.offset.abs() < 1e-12);
    }

    #[test]
    fn a_line_ends_at_the_plot() {
        let axis = Axis::new(0.0, 10.0, Scale::Linear);
        let plot = Plot { left: 0.0, top: 0.0, width: 100.0, height: 100.0, x: axis, y: axis };
        let line = |slope, offset| Line { slope, offset, from: 0.0, to: 10.0 };
        let near = |found: Option<((f64, f64), (f64, f64))>, wanted: [f64; 4]| {
            let ((x1, y1), (x2, y2)) = found.unwrap();
            [x1, y1, x2, y2].iter().zip(wanted).all(|(found, wanted)| (found - wanted).abs() < 1e-9)
        };
        assert!(near(line(1.0, 0.0).within(&plot), [0.0, 100.0, 100.0, 0.0]));
        assert!(near(line(2.0, -5.0).within(&plot), [25.0, 100.0, 75.0, 0.0]));
        assert!(near(line(-2.0, 15.0).within(&plot), [25.0, 0.0, 75.0, 100.0]));
        assert!(near(line(0.0, 5.0).within(&plot), [0.0, 50.0, 100.0, 50.0]));
        assert!(line(0.1, 20.0).within(&plot).is_none());
    }

    #[test]
    fn what_has_no_place_is_counted_and_not_drawn() {
        let points = [(1.0, f64::NAN), (f64::INFINITY, 1.0), (1e200, 1.0), (1.0, 1.0)];
        let svg = scatter(&of(vec![family("a", &points, Some("ρ = 1"))])).svg(Theme::Dark);
        assert!(svg.contains("3 point(s) without a place on the axes left out"), "{svg}");
        assert!(svg.contains("no trend line for a"), "{svg}");
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        assert!(scatter(&of(vec![])).svg(Theme::Light).contains(">no points<"));
        assert!(scatter(&Scatter::default()).png().is_ok());
    }

    #[test]
    fn the_same_gives_the_same_bytes_and_much_is_no_reason_to_fail() {
        let points: Vec<(f64, f64)> =
            (0..10_000).map(|index| (f64::from(index % 100), f64::from(index / 100))).collect();
        let long =
            of((0..30).map(|_| family(&"<w>".repeat(70), &points[..400], Some(&"ρ".repeat(90)))).collect());
        let large = of(vec![family("many", &points, None)]);
        for one in [long, large] {
            let (first, again) = (scatter(&one), scatter(&one.clone()));
            assert_eq!(first.svg(Theme::Light), again.svg(Theme::Light));
            assert_eq!(first.png().unwrap(), again.png().unwrap());
            assert_ne!(first.svg(Theme::Light), first.svg(Theme::Dark));
            assert!(!first.svg(Theme::Light).contains("<w>"));
        }
    }

    #[test]
    fn proxies_span_their_own_range() {
        assert_eq!(normalised(&[2.0, 4.0, 3.0]), [0.0, 1.0, 0.5]);
        assert_eq!(normalised(&[7.0, 7.0]), [0.5, 0.5]);
        assert_eq!(normalised(&[f64::MAX, -f64::MAX]), [1.0, 0.0]);
        let odd = normalised(&[f64::NAN, 1.0, 2.0]);
        assert!(odd[0].is_nan() && odd[1..] == [0.0, 1.0]);
        assert!(normalised(&[]).is_empty());
    }
}
