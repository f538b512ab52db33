//! Features in the plane, with the AUC beside them: the study's Fig. 5.

use super::axis::{Axis, placeable};
use super::drawing::{Element, Text};
use super::grid::{Cell, Grid};
use super::lettering::{flow, width};
use super::palette::{Marker, Paint, SLOTS};
use super::sheet::{Key, MARGIN, ROOM, SMALL, Sheet, Side, letters, printed};
use super::{Figure, PrintedAuc, Scale};
use crate::dataset::Domain;

/// Projections of the same clips, side by side.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Map {
    /// One line above all panels.
    pub title: String,
    /// Printed in the picture: what a projection looks like does not say how well anomalies are detected.
    pub aucs: Vec<PrintedAuc>,
    /// One a projection.
    pub panels: Vec<MapPanel>,
}

/// One projection.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct MapPanel {
    /// Its name, such as `t-SNE`.
    pub title: String,
    /// Such as `PC 1 (41.2 %)`; empty where an axis means nothing.
    pub x_label: String,
    /// As `x_label`.
    pub y_label: String,
    /// One a clip.
    pub points: Vec<MapPoint>,
}

/// One clip.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct MapPoint {
    /// Across.
    pub x: f64,
    /// Upwards.
    pub y: f64,
    /// Its label, by colour; none is grey.
    pub anomalous: Option<bool>,
    /// By marker: circles for source and none, triangles for target.
    pub domain: Option<Domain>,
    /// Its name; shown when the pointer rests on it.
    pub clip: String,
}

const HEIGHT: f64 = 196.0;

/// Draw projections.
#[must_use]
pub fn map(map: &Map) -> Figure {
    let mut sheet = Sheet::new(&map.title);
    let points = || map.panels.iter().flat_map(|panel| &panel.points);
    let shown =
        |point: &&MapPoint| [point.x, point.y].into_iter().all(|value| placeable(value, Scale::Linear));
    // Those that are there, normal before anomalous, source before target.
    let looks = [Some(false), Some(true), None]
        .into_iter()
        .flat_map(|label| [None, Some(Domain::Source), Some(Domain::Target)].map(|domain| (label, domain)));
    let entries: Vec<(Key, String)> = looks
        .filter(|look| points().any(|point| (point.anomalous, point.domain) == *look))
        .map(|(label, domain)| {
            let (marker, paint) = look(label, domain);
            let label = label.map_or("no label", |anomalous| if anomalous { "anomalous" } else { "normal" });
            let name = domain.map_or(label.to_owned(), |domain| format!("{label}, {}", domain.token()));
            (Key::Mark(marker, paint), name)
        })
        .collect();
    facts(&mut sheet, &map.aucs);
    sheet.legend(&entries);

    let cells: Vec<Cell<'_>> = map
        .panels
        .iter()
        .map(|panel| Cell {
            title: &panel.title,
            aucs: &[],
            axes: (
                Axis::around(panel.points.iter().filter(shown).map(|point| point.x), Scale::Linear),
                Axis::around(panel.points.iter().filter(shown).map(|point| point.y), Scale::Linear),
            ),
            sides: (Side::new(&panel.x_label, 0.0), Side::new(&panel.y_label, 0.0)),
        })
        .collect();
    let plots =
        Grid { columns: if cells.len() == 1 { 1 } else { 2 }, height: HEIGHT }.draw(&mut sheet, &cells);
    for (plot, panel) in plots.iter().zip(&map.panels) {
        if !panel.points.iter().any(|point| shown(&point)) {
            sheet.nothing(plot, "no points");
        }
        let radius = if panel.points.len() > 400 { 2.6 } else { 3.4 };
        for point in panel.points.iter().filter(shown) {
            let (marker, paint) = look(point.anomalous, point.domain);
            sheet.add(Element::Mark {
                at: plot.at(point.x, point.y),
                marker,
                radius,
                paint,
                hint: point.clip.clone(),
            });
        }
    }
    if map.panels.is_empty() {
        sheet.note("no points".into());
    }
    sheet.note_left_out(points().count() - points().filter(shown).count(), "point(s)");
    sheet.finish()
}

fn look(label: Option<bool>, domain: Option<Domain>) -> (Marker, Paint) {
    let marker = if domain == Some(Domain::Target) { Marker::Triangle } else { Marker::Circle };
    let paint = match label {
        Some(false) => Paint::Slot(0),
        Some(true) => Paint::Slot(1),
        None => Paint::Slot(SLOTS - 1),
    };
    (marker, paint)
}

/// AUCs, large: they are what counts.
fn facts(sheet: &mut Sheet, aucs: &[PrintedAuc]) {
    let size = SMALL + 1;
    let facts = printed(aucs);
    let widths: Vec<f64> = facts.iter().map(|fact| width(fact, f64::from(size))).collect();
    let places = flow(&widths, 16.0, ROOM);
    for (fact, (line, x)) in facts.iter().zip(&places) {
        let at = (MARGIN + x, sheet.y + 10.0 + 16.0 * *line as f64);
        sheet.text_within(Text { size, ..letters(at, fact) }, ROOM);
    }
    if let Some((line, _)) = places.last() {
        sheet.y += 16.0 * (line + 1) as f64 + 4.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::figure::Theme;

    fn point(x: f64, anomalous: Option<bool>, domain: Option<Domain>) -> MapPoint {
        MapPoint { x, y: x * x, anomalous, domain, clip: format!("clip <{x}>") }
    }

    fn of(points: Vec<MapPoint>) -> Map {
        let panel =
            |title: &str| MapPanel { title: title.into(), points: points.clone(), ..MapPanel::default() };
        let aucs = vec![PrintedAuc { name: "MD AUC".into(), auc: Some(0.6415) }];
        Map { title: "gearbox".into(), aucs, panels: vec![panel("PCA"), panel("t-SNE")] }
    }

    #[test]
    fn labels_have_colours_and_domains_markers() {
        let points = vec![
            point(0.0, Some(false), Some(Domain::Source)),
            point(1.0, Some(true), Some(Domain::Source)),
            point(2.0, Some(true), Some(Domain::Target)),
            point(3.0, None, None),
        ];
        let svg = map(&of(points)).svg(Theme::Light);
        for text in ["MD AUC 64.15 %", ">normal, source<", ">anomalous, target<", ">no label<", ">t-SNE<"] {
            assert!(svg.contains(text), "no {text}: {svg}");
        }
        assert!(!svg.contains(">normal, target<"), "no such clip: {svg}");
        assert_eq!(svg.matches("<title>clip &lt;2&gt;</title></path>").count(), 2);
        assert_eq!(svg.matches("<title>clip &lt;3&gt;</title></circle>").count(), 2);
    }

    #[test]
    fn little_and_much_are_no_reason_to_fail() {
        let odd = vec![point(f64::NAN, None, None), point(f64::INFINITY, Some(true), None)];
        for points in [vec![], vec![point(1.0, Some(true), None)], odd, vec![point(2.0, None, None); 10_000]]
        {
            let figure = map(&of(points));
            let svg = figure.svg(Theme::Dark);
            assert!(!svg.contains("NaN") && !svg.contains("inf") && figure.png().is_ok());
        }
        assert!(map(&of(vec![])).svg(Theme::Light).contains(">no points<"));
        assert!(map(&Map::default()).svg(Theme::Light).contains(">no points<"));
        let left_out = map(&of(vec![point(f64::NAN, None, None)])).svg(Theme::Light);
        assert!(left_out.contains("2 point(s) without a place"), "{left_out}");
    }
}
