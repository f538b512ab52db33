//! Several plots in one picture, row by row.

use super::PrintedAuc;
use super::axis::Axis;
use super::drawing::Text;
use super::lettering::{flow, width};
use super::sheet::{LABEL, MARGIN, Plot, ROOM, SMALL, Sheet, Side, below, beside, letters, printed};

/// Between plots side by side, and between rows.
const GAP: f64 = 14.0;
/// Height of a line of facts.
const FACTS: f64 = 14.0;

/// How plots are laid out.
#[derive(Debug, Clone, Copy)]
pub(super) struct Grid {
    /// Plots in a row.
    pub columns: usize,
    /// Of a plot, without what stands around it.
    pub height: f64,
}

/// One plot and what stands around it.
#[derive(Debug, Clone)]
pub(super) struct Cell<'a> {
    pub title: &'a str,
    /// Printed below the title.
    pub aucs: &'a [PrintedAuc],
    pub axes: (Axis, Axis),
    pub sides: (Side<'a>, Side<'a>),
}

impl Grid {
    /// Draw titles, facts and axes; the plots in which to draw. All plots have the same size and columns are aligned.
    pub fn draw(self, sheet: &mut Sheet, cells: &[Cell<'_>]) -> Vec<Plot> {
        let columns = self.columns.max(1);
        let room = |column: usize| {
            let cells = cells.iter().skip(column).step_by(columns);
            cells.map(|cell| beside(&cell.axes.1, cell.sides.1)).fold(0.0, f64::max)
        };
        let rooms: Vec<f64> = (0..columns).map(room).collect();
        // A gap to the right of each, too: the number of a tick reaches beyond its plot.
        let across = (ROOM - rooms.iter().sum::<f64>()) / columns as f64 - GAP;
        let mut plots = Vec::new();
        for row in cells.chunks(columns) {
            let facts: Vec<Vec<(String, usize, f64)>> =
                row.iter().map(|cell| facts(cell.aucs, across)).collect();
            let lines = facts.iter().flatten().map(|(_, line, _)| line + 1).max().unwrap_or(0);
            let titled = row.iter().any(|cell| !cell.title.is_empty());
            let head = sheet.y + if titled { 18.0 } else { 4.0 };
            let top = head + FACTS * lines as f64 + if titled || lines > 0 { 4.0 } else { 0.0 };
            let mut left = MARGIN;
            for ((cell, facts), room) in row.iter().zip(facts).zip(&rooms) {
                left += room;
                let title = Text { bold: true, size: LABEL, ..letters((left, head - 4.0), cell.title) };
                sheet.text_within(title, across);
                for (fact, line, x) in facts {
                    let at = (left + x, head + 10.0 + FACTS * line as f64);
                    sheet.text_within(Text { size: SMALL, ..letters(at, &fact) }, across);
                }
                let (x, y) = cell.axes;
                let plot = Plot { left, top, width: across, height: self.height, x, y };
                sheet.axes(&plot, cell.sides.0, cell.sides.1);
                plots.push(plot);
                left += across + GAP;
            }
            let foot = row.iter().map(|cell| below(cell.sides.0)).fold(0.0, f64::max);
            sheet.y = top + self.height + foot + GAP;
        }
        if !cells.is_empty() {
            sheet.y -= GAP;
        }
        plots
    }
}

/// AUCs side by side, each with its line and its place.
fn facts(aucs: &[PrintedAuc], across: f64) -> Vec<(String, usize, f64)> {
    let facts = printed(aucs);
    let widths: Vec<f64> = facts.iter().map(|fact| width(fact, f64::from(SMALL))).collect();
    facts.into_iter().zip(flow(&widths, 8.0, across)).map(|(fact, (line, x))| (fact, line, x)).collect()
}
